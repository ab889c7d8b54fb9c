/* Packing of transposed operands: LANES lines of LANES elements at a time, in registers. */
#ifndef TINYGRAD_CNN_TRANSPOSE_H
#define TINYGRAD_CNN_TRANSPOSE_H

#include "shuffle.h"

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
