/* The innermost loops of matrix multiplication and convolution: tiles of sums held in registers while the depth runs.
 *
 * Sizes of a tile are constants in every copy of a loop (the switches below), so that the compiler keeps all its sums in
 * registers: at most 28 of 32 with AVX-512, 12 of 16 otherwise.
 */
#ifndef TINYGRAD_CNN_GEMM_H
#define TINYGRAD_CNN_GEMM_H

#include "simd.h"

#if defined(__AVX512F__)
enum { TILE_ROWS = 14, TILE_VECS = 2 };
#else
enum { TILE_ROWS = 6, TILE_VECS = 2 };
#endif
enum { TILE_COLUMNS = TILE_VECS * LANES };

/* Loops over registers.  Unless told so, the compiler may unroll them too late, and store all sums before and after the depth. */
#if defined(__GNUC__)
#define UNROLLED _Pragma("GCC unroll 16")
#else
#define UNROLLED
#endif

/* Two steps of a loop over the depth at once: 5 % on processors with two 512-bit FMA units. */
#if defined(__GNUC__)
#define TWO_STEPS _Pragma("GCC unroll 2")
#else
#define TWO_STEPS
#endif

/* c[r][j]  (+)=  sum over k of  a[k][r] * b[k][j]       r < rows,  j < TILE_COLUMNS,  a and b packed in this order */
ALWAYS_INLINE void tile_of(const int rows, ptrdiff_t depth, const real *a, const real *b, real *c, ptrdiff_t ldc,
                           int accumulate) {
    vec sum[TILE_ROWS][TILE_VECS];
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int v = 0; v < TILE_VECS; v++) sum[r][v] = vec_set((real)0);
    TWO_STEPS
    for (ptrdiff_t k = 0; k < depth; k++, a += rows, b += TILE_COLUMNS) {
        vec row[TILE_VECS];
        UNROLLED for (int v = 0; v < TILE_VECS; v++) row[v] = vec_load(b + v * LANES);
        UNROLLED for (int r = 0; r < rows; r++)
            UNROLLED for (int v = 0; v < TILE_VECS; v++) sum[r][v] += a[r] * row[v];
    }
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int v = 0; v < TILE_VECS; v++) {
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
#define CASE(n) case n: tile_of(n, depth, a, b, c, ldc, accumulate); break;
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

#endif
