/* Lanes in another order: every second one, two vectors like a zip, transposition in registers. */
#ifndef TINYGRAD_CNN_SHUFFLE_H
#define TINYGRAD_CNN_SHUFFLE_H

#include "simd.h"

#if defined(__GNUC__)
typedef __typeof__((vec){0} < (vec){0}) vec_index;

/* Lane i of the result is number from[i] of a's lanes followed by b's.  `from` is always known to the compiler. */
#if defined(__clang__)
#define vec_shuffle(a, b, from)                                                              \
    ({                                                                                       \
        const __typeof__(a) first_ = (a), second_ = (b);                                     \
        const int lanes_ = (int)(sizeof(first_) / sizeof(real));                             \
        __typeof__(a) mixed_ = first_;                                                       \
        for (int i = 0; i < lanes_; i++)                                                     \
            mixed_[i] = from[i] < lanes_ ? first_[from[i]] : second_[from[i] - lanes_];      \
        mixed_;                                                                              \
    })
#else
#define vec_shuffle(a, b, from) __builtin_shuffle(a, b, from)
#endif

ALWAYS_INLINE vec vec_and(vec a, vec bits) { return (vec)((vec_index)a & (vec_index)bits); }
ALWAYS_INLINE vec last_lanes(ptrdiff_t count) { /* the bits of so many lanes set, and none of the others */
    unsigned char bits[2 * sizeof(vec)];
    vec used;
    memset(bits, 0, sizeof(vec));
    memset(bits + sizeof(vec), 0xFF, sizeof(vec));
    memcpy(&used, bits + (size_t)count * sizeof(real), sizeof(vec));
    return used;
}

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
/* Elements 0, 2, 4 ... of a row.  Nothing behind the last of them is read: the second vector begins one element early. */
ALWAYS_INLINE vec every_second(const real *from) {
    VEC_INDEX(order, 2 * i + (2 * i >= LANES))
    return vec_shuffle(vec_load(from), vec_load(from + LANES - 1), order);
}
ALWAYS_INLINE vec every_fourth(const real *from) {
    VEC_INDEX(order, 2 * i + (2 * i >= LANES))
    return vec_shuffle(every_second(from), every_second(from + 2 * (LANES - 1)), order);
}

/* The same with a half or a quarter of the lanes, for short rows. */
#define PART(name, lanes)                                                                             \
    typedef real name##_vec __attribute__((vector_size((lanes) * sizeof(real))));                     \
    typedef __typeof__((name##_vec){0} < (name##_vec){0}) name##_index;                               \
    ALWAYS_INLINE name##_vec name##_load(const real *from) {                                          \
        name##_vec part;                                                                              \
        memcpy(&part, from, sizeof(part));                                                            \
        return part;                                                                                  \
    }                                                                                                 \
    ALWAYS_INLINE name##_vec name##_of_seconds(const real *from) {                                    \
        name##_index order;                                                                           \
        for (int i = 0; i < (lanes); i++) order[i] = 2 * i + (2 * i >= (lanes));                      \
        return vec_shuffle(name##_load(from), name##_load(from + (lanes) - 1), order);                \
    }
PART(half, LANES >= 2 ? LANES / 2 : 1)
PART(quarter, LANES >= 4 ? LANES / 4 : 1)
#undef PART

ALWAYS_INLINE vec zip_low(vec a, vec b) { /* a0 b0 a1 b1 ... */
    VEC_INDEX(from, i / 2 + i % 2 * LANES)
    return vec_shuffle(a, b, from);
}
ALWAYS_INLINE vec zip_high(vec a, vec b) {
    VEC_INDEX(from, i / 2 + i % 2 * LANES + LANES / 2)
    return vec_shuffle(a, b, from);
}
ALWAYS_INLINE vec shift_up(vec a) { /* 0 a0 a1 ... */
    VEC_INDEX(from, i == 0 ? LANES : i - 1)
    return vec_shuffle(a, (vec){0}, from);
}
ALWAYS_INLINE vec shift_down(vec a) { /* a1 a2 ... 0 */
    VEC_INDEX(from, i + 1)
    return vec_shuffle(a, (vec){0}, from);
}
ALWAYS_INLINE vec upper_half(vec a) {
    VEC_INDEX(from, (i + LANES / 2) % LANES)
    return vec_shuffle(a, a, from);
}

/* The same in each part of NEAR lanes, or with parts as elements.  Lanes that stay in their part move in one instruction, others
 * take two with AVX2. */
enum { NEAR = VEC_BYTES > 16 ? 16 / (int)sizeof(real) : LANES, PARTS_OF_LANES = LANES / NEAR };

ALWAYS_INLINE vec near_evens(vec a, vec b) {
    VEC_INDEX(from, i / NEAR * NEAR + 2 * i % NEAR + (i % NEAR >= NEAR / 2) * LANES)
    return vec_shuffle(a, b, from);
}
ALWAYS_INLINE vec near_odds(vec a, vec b) {
    VEC_INDEX(from, i / NEAR * NEAR + 2 * i % NEAR + (i % NEAR >= NEAR / 2) * LANES + 1)
    return vec_shuffle(a, b, from);
}
ALWAYS_INLINE vec near_zip_low(vec a, vec b) {
    VEC_INDEX(from, i / NEAR * NEAR + i % NEAR / 2 + i % 2 * LANES)
    return vec_shuffle(a, b, from);
}
ALWAYS_INLINE vec near_zip_high(vec a, vec b) {
    VEC_INDEX(from, i / NEAR * NEAR + i % NEAR / 2 + NEAR / 2 + i % 2 * LANES)
    return vec_shuffle(a, b, from);
}
ALWAYS_INLINE vec far_zip_low(vec a, vec b) {
    VEC_INDEX(from, i / NEAR / 2 * NEAR + i % NEAR + i / NEAR % 2 * LANES)
    return vec_shuffle(a, b, from);
}
ALWAYS_INLINE vec far_zip_high(vec a, vec b) {
    VEC_INDEX(from, i / NEAR / 2 * NEAR + i % NEAR + i / NEAR % 2 * LANES + LANES / 2)
    return vec_shuffle(a, b, from);
}

/* Evens and odds of pairs, in an order that in_order mends once for all that is computed from them. */
#if defined(__AVX2__) && !defined(__AVX512F__) /* elsewhere evens and odds take one instruction too */
#define pair_evens near_evens
#define pair_odds near_odds
ALWAYS_INLINE vec in_order(vec a) {
    VEC_INDEX(from, i / (NEAR / 2) % PARTS_OF_LANES * NEAR + i / (LANES / 2) * (NEAR / 2) + i % (NEAR / 2))
    return vec_shuffle(a, a, from);
}
#else
#define pair_evens evens
#define pair_odds odds
ALWAYS_INLINE vec in_order(vec a) { return a; }
#endif

/* One round: `count` lines, `step` apart, of which i and i + count / 2 are interleaved. */
#define ZIP_LINES(lines, count, step, low, high)                                        \
    do {                                                                                \
        vec mixed[count];                                                               \
        for (int i = 0; i < (count) / 2; i++) {                                         \
            mixed[2 * i] = low((lines)[i * (step)], (lines)[(i + (count) / 2) * (step)]);      \
            mixed[2 * i + 1] = high((lines)[i * (step)], (lines)[(i + (count) / 2) * (step)]); \
        }                                                                               \
        for (int i = 0; i < (count); i++) (lines)[i * (step)] = mixed[i];               \
    } while (0)

/* Transpose LANES lines: squares of NEAR lines and lanes, then what is in their places.  Each takes log2(its side) rounds. */
ALWAYS_INLINE void transpose_lanes(vec *lines) {
    for (int first = 0; first < LANES; first += NEAR)
        for (int round = 1; round < NEAR; round *= 2) ZIP_LINES(lines + first, NEAR, 1, near_zip_low, near_zip_high);
    for (int first = 0; first < NEAR; first++)
        for (int round = NEAR; round < LANES; round *= 2)
            ZIP_LINES(lines + first, PARTS_OF_LANES, NEAR, far_zip_low, far_zip_high);
}
#undef ZIP_LINES
#else /* one lane */
ALWAYS_INLINE vec evens(vec a, vec b) { return (void)b, a; }
ALWAYS_INLINE vec odds(vec a, vec b) { return (void)a, b; }
ALWAYS_INLINE vec vec_and(vec a, vec bits) { return (void)bits, a; }
ALWAYS_INLINE vec last_lanes(ptrdiff_t count) { return (void)count, (real)0; }
ALWAYS_INLINE vec every_second(const real *from) { return *from; }
ALWAYS_INLINE vec every_fourth(const real *from) { return *from; }
ALWAYS_INLINE vec zip_low(vec a, vec b) { return (void)b, a; }
ALWAYS_INLINE vec zip_high(vec a, vec b) { return (void)a, b; }
ALWAYS_INLINE vec shift_up(vec a) { return (void)a, (real)0; }
ALWAYS_INLINE vec shift_down(vec a) { return (void)a, (real)0; }
ALWAYS_INLINE vec upper_half(vec a) { return a; }
ALWAYS_INLINE vec in_order(vec a) { return a; }
enum { NEAR = 1 };
#define near_evens evens
#define near_odds odds
#define pair_evens evens
#define pair_odds odds
#define near_zip_low zip_low
#define near_zip_high zip_high
ALWAYS_INLINE void transpose_lanes(vec *lines) { (void)lines; }
#endif

#endif
