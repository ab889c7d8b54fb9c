/* Copies of rows of images, or of elements of them that are a constant step apart. */
#ifndef TINYGRAD_CNN_LINES_H
#define TINYGRAD_CNN_LINES_H

#include "shuffle.h"

/* to[line * ldt + t] = from[line * ldf + t * step]      t < count
 *
 * The last vector of a row overlaps, since single elements take longer where rows are short.  What is `ahead` elements further on
 * will be copied soon: it is fetched, since the processor does not foresee lines that are a step apart.
 */
static void copy_lines(ptrdiff_t lines, ptrdiff_t count, const real *from, ptrdiff_t ldf, ptrdiff_t step, ptrdiff_t ahead,
                       real *to, ptrdiff_t ldt) {
#define COPY(lanes, type, load)                                                        \
    for (; lines > 0; lines--, from += ldf, to += ldt) {                               \
        for (ptrdiff_t t = 0;; t += lanes) {                                           \
            if (t > count - lanes) t = count - lanes;                                  \
            PREFETCH(from + t * step + ahead, 0);                                      \
            if (step > 1) PREFETCH(from + t * step + lanes * step / 2 + ahead, 0);     \
            const type some = load(from + t * step);                                   \
            memcpy(to + t, &some, sizeof(some));                                       \
            if (t == count - lanes) break;                                             \
        }                                                                              \
    }
    if (count >= LANES) {
        if (step == 1) COPY(LANES, vec, vec_load)
        else if (step == 2) COPY(LANES, vec, every_second)
        else if (step == 4) COPY(LANES, vec, every_fourth)
    }
#if defined(__GNUC__)
    else if (count >= LANES / 2 && LANES >= 4) {
        if (step == 1) COPY(LANES / 2, half_vec, half_load)
        else if (step == 2) COPY(LANES / 2, half_vec, half_of_seconds)
    } else if (count >= LANES / 4 && LANES >= 8) {
        if (step == 1) COPY(LANES / 4, quarter_vec, quarter_load)
        else if (step == 2) COPY(LANES / 4, quarter_vec, quarter_of_seconds)
    }
#endif
#undef COPY
    for (; lines > 0; lines--, from += ldf, to += ldt)
        for (ptrdiff_t t = 0; t < count; t++) to[t] = from[t * step];
}

#endif
