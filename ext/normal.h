/* Uniform numbers from random words, and normal ones from those (Box and Muller, 1958). */
#ifndef TINYGRAD_CNN_NORMAL_H
#define TINYGRAD_CNN_NORMAL_H

#include "philox.h"
#include "shuffle.h"
#include "vexp.h"

/* Write n numbers in [0, 1): the highest 24 bits of a word, or 53 bits of two. */
ALWAYS_INLINE void uniforms(const uint32_t *words, real_alone y, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++)
        if (sizeof(real) == 4)
            y[i] = (real)(int32_t)(words[i] >> 8) * (real)0x1p-24;
        else
            y[i] = (real)(int64_t)(((uint64_t)words[2 * i + 1] << 32 | words[2 * i]) >> 11) * (real)0x1p-53;
}

/* Integers below 2^52 as doubles: they are the last bits of 2^52 + integer. */
#if defined(__GNUC__)
#define TO_DOUBLES(integers) ((vec)((integers) | 0x4330000000000000u) - (real)0x1p52)
#else
#define TO_DOUBLES(integers) ((vec)(integers))
#endif

/* What uniforms makes of the words that are the low halves of lanes. */
ALWAYS_INLINE vec uniform_doubles(wide first, wide second) {
    return TO_DOUBLES(second & 0xFFFFFFFFu) * (real)0x1p-32 + TO_DOUBLES((first & 0xFFFFFFFFu) >> 11) * (real)0x1p-53;
}

/* Write two normal numbers for each of CHAINS * BLOCKS blocks.  For REAL=double: a float has too few bits for the tails. */
static void normals(uint64_t seed, uint64_t counter, real *y) {
    wide a[CHAINS], b[CHAINS], c[CHAINS], d[CHAINS];
    philox_blocks(seed, counter, a, b, c, d);
    for (int k = 0; k < CHAINS; k++, y += 2 * LANES) {
        vec cosine, sine, radius = vec_sqrt(-2 * vec_log(1 - uniform_doubles(a[k], b[k]))); /* 1 - u is exact */
        vec_circle(uniform_doubles(c[k], d[k]), &cosine, &sine);
        cosine *= radius, sine *= radius;
        if (LANES == 1)
            y[0] = LANE(cosine, 0), y[1] = LANE(sine, 0);
        else
            vec_store(y, zip_low(cosine, sine)), vec_store(y + LANES, zip_high(cosine, sine));
    }
}

#endif
