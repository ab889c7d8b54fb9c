/* Lanes in another order: every second one, two vectors like a zip, transposition in registers. */
#ifndef TINYGRAD_CNN_SHUFFLE_H
#define TINYGRAD_CNN_SHUFFLE_H

#include "simd.h"

#if defined(__GNUC__)
typedef __typeof__((vec){0} < (vec){0}) vec_index;

/* Lane i of the result is number from[i] of a's lanes followed by b's.  `from` is always known to the compiler. */
#if defined(__clang__)
ALWAYS_INLINE vec vec_shuffle(vec a, vec b, vec_index from) {
    vec mixed = a;
    for (int i = 0; i < LANES; i++) mixed[i] = from[i] < LANES ? a[from[i]] : b[from[i] - LANES];
    return mixed;
}
#else
#define vec_shuffle(a, b, from) __builtin_shuffle(a, b, from)
#endif

#define VEC_INDEX(name, number) \
    vec_index name;             \
    for (int i = 0; i < LANES; i++) name[i] = number;

ALWAYS_INLINE vec evens(vec a, vec b) {
    VEC_INDEX(from, 2 * i)
    return vec_shuffle(a, b, from);
}
ALWAYS_INLINE vec odds(vec a, vec b) {
    VEC_INDEX(from, 2 * i + 1)
    return vec_shuffle(a, b, from);
}
ALWAYS_INLINE vec zip_low(vec a, vec b) { /* a0 b0 a1 b1 ... */
    VEC_INDEX(from, i / 2 + i % 2 * LANES)
    return vec_shuffle(a, b, from);
}
ALWAYS_INLINE vec zip_high(vec a, vec b) {
    VEC_INDEX(from, i / 2 + i % 2 * LANES + LANES / 2)
    return vec_shuffle(a, b, from);
}
ALWAYS_INLINE vec upper_half(vec a) {
    VEC_INDEX(from, (i + LANES / 2) % LANES)
    return vec_shuffle(a, a, from);
}

/* Transpose LANES lines: in each of log2(LANES) rounds lines i and i + LANES / 2 are interleaved. */
ALWAYS_INLINE void transpose_lanes(vec *lines) {
    for (int round = 1; round < LANES; round *= 2) {
        vec mixed[LANES];
        for (int i = 0; i < LANES / 2; i++) {
            mixed[2 * i] = zip_low(lines[i], lines[i + LANES / 2]);
            mixed[2 * i + 1] = zip_high(lines[i], lines[i + LANES / 2]);
        }
        for (int i = 0; i < LANES; i++) lines[i] = mixed[i];
    }
}
#else /* one lane */
ALWAYS_INLINE vec evens(vec a, vec b) { return (void)b, a; }
ALWAYS_INLINE vec odds(vec a, vec b) { return (void)a, b; }
ALWAYS_INLINE vec zip_low(vec a, vec b) { return (void)b, a; }
ALWAYS_INLINE vec zip_high(vec a, vec b) { return (void)a, b; }
ALWAYS_INLINE vec upper_half(vec a) { return a; }
ALWAYS_INLINE void transpose_lanes(vec *lines) { (void)lines; }
#endif

#endif
