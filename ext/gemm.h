/* The innermost loops of matrix multiplication and convolution: tiles of sums held in registers while the depth runs.
 *
 * Sizes of a tile are constants in every copy of a loop (the switches below), so that the compiler keeps all its sums in
 * registers: at most 28 of 32 with AVX-512, 12 of 16 otherwise.
 */
#ifndef TINYGRAD_CNN_GEMM_H
#define TINYGRAD_CNN_GEMM_H

#include "simd.h"

#if defined(__AVX512F__)
enum { TILE_ROWS = 14, TILE_VECS = 2, DOT_ROWS = 4, DOT_TAPS = 6 };
#else
enum { TILE_ROWS = 6, TILE_VECS = 2, DOT_ROWS = 2, DOT_TAPS = 4 };
#endif
enum { TILE_COLUMNS = TILE_VECS * LANES };

/* c[r][j]  (+)=  sum over k of  a[k][r] * b_k[j]       r < rows,  j < TILE_COLUMNS
 *
 * a is packed as [depth][rows].  Row b_k begins at b + k * TILE_COLUMNS (packed), or at b + offsets[k]: the shifted rows of
 * an image, which need no packing.
 */
ALWAYS_INLINE void tile_of(const int rows, const int shifted, ptrdiff_t depth, const real *a, const real *b,
                           const ptrdiff_t *offsets, real *c, ptrdiff_t ldc, int accumulate) {
    vec sum[TILE_ROWS][TILE_VECS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < TILE_VECS; v++) sum[r][v] = vec_set((real)0);
    for (ptrdiff_t k = 0; k < depth; k++, a += rows) {
        const real *from = b + (shifted ? offsets[k] : k * TILE_COLUMNS);
        vec row[TILE_VECS];
        for (int v = 0; v < TILE_VECS; v++) row[v] = vec_load(from + v * LANES);
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < TILE_VECS; v++) sum[r][v] += a[r] * row[v];
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < TILE_VECS; v++) {
            real *to = c + r * ldc + v * LANES;
            vec_store(to, accumulate ? vec_load(to) + sum[r][v] : sum[r][v]);
        }
}

#if defined(__AVX512F__)
#define FOR_ROWS(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12) CASE(13) CASE(14)
#else
#define FOR_ROWS(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#endif

static void packed_tile(int rows, ptrdiff_t depth, const real *a, const real *b, real *c, ptrdiff_t ldc, int accumulate) {
    switch (rows) {
#define CASE(n) case n: tile_of(n, 0, depth, a, b, NULL, c, ldc, accumulate); break;
        FOR_ROWS(CASE)
#undef CASE
    }
}

static void shifted_tile(int rows, ptrdiff_t depth, const real *a, const real *b, const ptrdiff_t *offsets, real *c,
                         ptrdiff_t ldc, int accumulate) {
    switch (rows) {
#define CASE(n) case n: tile_of(n, 1, depth, a, b, offsets, c, ldc, accumulate); break;
        FOR_ROWS(CASE)
#undef CASE
    }
}

/* packed_tile for the right edge of C, where fewer than TILE_COLUMNS columns may exist. */
static void edge_tile(int rows, ptrdiff_t columns, ptrdiff_t depth, const real *a, const real *b, real *c, ptrdiff_t ldc,
                      int accumulate) {
    if (columns >= TILE_COLUMNS) {
        packed_tile(rows, depth, a, b, c, ldc, accumulate);
        return;
    }
    real edge[TILE_ROWS * TILE_COLUMNS];
    packed_tile(rows, depth, a, b, edge, TILE_COLUMNS, 0);
    for (int r = 0; r < rows; r++)
        for (ptrdiff_t j = 0; j < columns; j++)
            c[r * ldc + j] = edge[r * TILE_COLUMNS + j] + (accumulate ? c[r * ldc + j] : (real)0);
}

/* sums[r][t]  +=  products of LANES neighbours, over all of  y_r[q] * x[offsets[t] + q],  q < length
 *
 * Row y_r begins at y + r * ldy; length is a multiple of LANES.  The lanes are added up later, by the caller.
 */
ALWAYS_INLINE void dots_of(const int rows, const int taps, ptrdiff_t length, const real *y, ptrdiff_t ldy, const real *x,
                           const ptrdiff_t *offsets, real *sums) {
    vec sum[DOT_ROWS][DOT_TAPS];
    for (int r = 0; r < rows; r++)
        for (int t = 0; t < taps; t++) sum[r][t] = vec_load(sums + (r * taps + t) * LANES);
    for (ptrdiff_t q = 0; q < length; q += LANES) {
        vec row[DOT_ROWS];
        for (int r = 0; r < rows; r++) row[r] = vec_load(y + r * ldy + q);
        for (int t = 0; t < taps; t++) {
            vec tap = vec_load(x + offsets[t] + q);
            for (int r = 0; r < rows; r++) sum[r][t] += row[r] * tap;
        }
    }
    for (int r = 0; r < rows; r++)
        for (int t = 0; t < taps; t++) vec_store(sums + (r * taps + t) * LANES, sum[r][t]);
}

static void dots(int rows, int taps, ptrdiff_t length, const real *y, ptrdiff_t ldy, const real *x,
                 const ptrdiff_t *offsets, real *sums) {
#define CASE(r, t) case r * 8 + t: dots_of(r, t, length, y, ldy, x, offsets, sums); break;
#define TAPS4(r) CASE(r, 1) CASE(r, 2) CASE(r, 3) CASE(r, 4)
    switch (rows * 8 + taps) {
#if defined(__AVX512F__)
#define TAPS6(r) TAPS4(r) CASE(r, 5) CASE(r, 6)
        TAPS6(1) TAPS6(2) TAPS6(3) TAPS6(4)
#else
        TAPS4(1) TAPS4(2)
#endif
    }
#undef CASE
}

#endif
