/* Transposition by vectors: LANES lines of LANES elements at a time, in registers. */
#ifndef TINYGRAD_CNN_TRANSPOSE_H
#define TINYGRAD_CNN_TRANSPOSE_H

#include "simd.h"

#if defined(__GNUC__)
typedef __typeof__((vec){0} < (vec){0}) vec_index;

/* Exchange the off-diagonal blocks of `size` x `size` within every 2 size x 2 size. */
ALWAYS_INLINE void exchange_blocks(vec *lines, const int size) {
    vec_index low, high;
    for (int j = 0; j < LANES; j++) {
        low[j] = j & size ? LANES + j - size : j;
        high[j] = j & size ? LANES + j : j + size;
    }
    for (int i = 0; i < LANES; i++)
        if (!(i & size)) {
            vec a = lines[i], b = lines[i + size];
            lines[i] = __builtin_shuffle(a, b, low);
            lines[i + size] = __builtin_shuffle(a, b, high);
        }
}

ALWAYS_INLINE void transpose_lanes(vec *lines) {
    if (LANES >= 16) exchange_blocks(lines, 8);
    if (LANES >= 8) exchange_blocks(lines, 4);
    if (LANES >= 4) exchange_blocks(lines, 2);
    exchange_blocks(lines, 1);
}
#else
static void transpose_lanes(vec *lines) { (void)lines; } /* one line of one element */
#endif

/* to[k * width + l] = from[l * stride + k]      l < lines <= width,  k < depth
 *
 * Elements lines <= l < width may become anything.
 */
static void pack_transposed(const real *from, ptrdiff_t stride, int lines, ptrdiff_t depth, real *to, int width) {
    ptrdiff_t whole = depth - depth % LANES;
    for (int first = 0; first < lines; first += LANES) {
        int count = lines - first < LANES ? lines - first : LANES;
        /* A vector of fewer than LANES lines may reach into the place of k + 1, which is written later.  It must not reach
         * into lines that are written already, nor behind the last k. */
        int fits = first + LANES <= width;
        ptrdiff_t k = 0, end = fits || first == 0 ? whole : 0, room = depth * width - LANES;
        for (; k < end; k += LANES) {
            vec block[LANES];
            for (int l = 0; l < LANES; l++)
                block[l] = l < count ? vec_load(from + (first + l) * stride + k) : vec_set((real)0);
            transpose_lanes(block);
            for (int i = 0; i < LANES; i++)
                if (fits || (k + i) * width <= room) vec_store(to + (k + i) * width + first, block[i]);
                else memcpy(to + (k + i) * width, &block[i], (size_t)count * sizeof(real));
        }
        for (; k < depth; k++)
            for (int l = 0; l < count; l++) to[k * width + first + l] = from[(first + l) * stride + k];
    }
}

#endif
