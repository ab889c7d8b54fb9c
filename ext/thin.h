/* Products of thin matrices, which are read once: packing them would cost more than the product.
 *
 * Batches of one image make them: x W^T and dy W have one row, and dy^T x has an inner size of one.
 */
#ifndef TINYGRAD_CNN_THIN_H
#define TINYGRAD_CNN_THIN_H

#include <string.h>

#include "simd.h"

/* Rows, or inner size, of a thin matrix; columns from which an inner size counts; rows of b that are added at once. */
enum { THIN = 4, LONG = 128, STEPS = 8 };

/* c[j] (+)= sum over k < count of a[k * step] * b[k * ldb + j] */
ALWAYS_INLINE void add_rows(const int count, const int add, ptrdiff_t columns, const real *a, ptrdiff_t step, const real *b,
                            ptrdiff_t ldb, real_alone c) {
    for (ptrdiff_t j = 0; j < columns; j++) {
        real sum = add ? c[j] : (real)0;
        for (int k = 0; k < count; k++) sum += a[k * step] * b[k * ldb + j];
        c[j] = sum;
    }
}

/* A row of c from rows of b, added to what is there or not; an outer product (depth 1) is written without reading it first. */
static void thin_row(ptrdiff_t depth, int add, ptrdiff_t columns, const real *a, ptrdiff_t step, const real *b, ptrdiff_t ldb, real *c) {
    ptrdiff_t k = 0;
    if (!add && depth == 1) {
        add_rows(1, 0, columns, a, step, b, ldb, c);
        return;
    }
    if (!add) memset(c, 0, sizeof(real) * (size_t)columns);
    for (; k + STEPS <= depth; k += STEPS) add_rows(STEPS, 1, columns, a + k * step, step, b + k * ldb, ldb, c);
    if (depth - k >= 4) add_rows(4, 1, columns, a + k * step, step, b + k * ldb, ldb, c), k += 4;
    for (; k < depth; k++) add_rows(1, 1, columns, a + k * step, step, b + k * ldb, ldb, c);
}

ALWAYS_INLINE real lanes_sum(vec v) {
    real lanes[LANES], sum = 0;
    vec_store(lanes, v);
    for (int step = LANES / 2; step > 0; step /= 2)
        for (int i = 0; i < step; i++) lanes[i] += lanes[i + step];
    return sum + lanes[0];
}

/* c[j] += a . (column j of b), which lies in one piece, ldb behind the one before: `count` columns at once */
ALWAYS_INLINE void add_dots(const int count, ptrdiff_t depth, const real *a, const real *b, ptrdiff_t ldb, real *c) {
    vec sum[STEPS];
    ptrdiff_t k = 0;
    for (int j = 0; j < count; j++) sum[j] = vec_set((real)0);
    for (; k + LANES <= depth; k += LANES) {
        vec x = vec_load(a + k);
        for (int j = 0; j < count; j++) sum[j] += x * vec_load(b + j * ldb + k);
    }
    for (int j = 0; j < count; j++) {
        real rest = lanes_sum(sum[j]);
        for (ptrdiff_t i = k; i < depth; i++) rest += a[i] * b[j * ldb + i];
        c[j] += rest;
    }
}

static void thin_dots(ptrdiff_t depth, ptrdiff_t columns, const real *a, const real *b, ptrdiff_t ldb, real *c) {
    ptrdiff_t j = 0;
    for (; j + STEPS <= columns; j += STEPS) add_dots(STEPS, depth, a, b + j * ldb, ldb, c + j);
    for (; j < columns; j++) add_dots(1, depth, a, b + j * ldb, ldb, c + j);
}

#endif
