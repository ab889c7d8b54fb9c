/* Winograd's transforms F(m x m, 3 x 3) for m = 2 and 4: y = A' [(G w G') * (B' x B)] A, element by element in the middle.
 *
 * Polynomials are evaluated at 0, 1, -1 and infinity (m = 2), at 0, 3/4, -3/4, 3/2, -3/2 and infinity (m = 4): these lose
 * fewer digits than 0, 1, -1, 2, -2.  B and A hold the powers of the points, G the denominators of Lagrange's formula.
 *
 * Lanes run over neighbouring tiles.  Rows are transformed first, on plain pixels; then vectors of pixels are sorted by their
 * column in the tile, which takes log2(m) rounds of shuffles, and columns are transformed tile by tile.
 */
#ifndef TINYGRAD_CNN_WINOGRAD_H
#define TINYGRAD_CNN_WINOGRAD_H

#include "gemm.h"
#include "shuffle.h"

enum { TAPS = 3, KERNEL = TAPS * TAPS, MOST_OUTPUTS = 4, MOST_POINTS = MOST_OUTPUTS + TAPS - 1 };

/* ---- vectors: loads and stores of a part ---- */

/* A set of lanes is a number with a bit for each. */
enum { ALL_LANES = (1 << LANES) - 1 };

ALWAYS_INLINE unsigned first_lanes(ptrdiff_t count) {
    return count >= LANES ? (unsigned)ALL_LANES : count <= 0 ? 0u : (1u << count) - 1;
}

#if defined(__GNUC__) && defined(__AVX512F__)
#include <immintrin.h>
#if VEC_LANES == 16
#define LOAD_MASKED(from, lanes) _mm512_maskz_loadu_ps((__mmask16)(lanes), from)
#define STORE_MASKED(to, lanes, value) _mm512_mask_storeu_ps(to, (__mmask16)(lanes), (__m512)(value))
#else
#define LOAD_MASKED(from, lanes) _mm512_maskz_loadu_pd((__mmask8)(lanes), from)
#define STORE_MASKED(to, lanes, value) _mm512_mask_storeu_pd(to, (__mmask8)(lanes), (__m512d)(value))
#endif
/* Zeros in the other lanes, which are not read. */
ALWAYS_INLINE vec load_lanes(const real *from, unsigned lanes) { return (vec)LOAD_MASKED(from, lanes); }
ALWAYS_INLINE void store_lanes(real *to, vec value, unsigned lanes) { STORE_MASKED(to, lanes, value); }
#else
#if defined(__GNUC__) && defined(__AVX2__) && VEC_LANES == 8
#include <immintrin.h>
#define SIGN_BITS(lanes) _mm256_sllv_epi32(_mm256_set1_epi32((int)(lanes)), _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24))
#define LOAD_MASKED(from, lanes) _mm256_maskload_ps(from, SIGN_BITS(lanes)) /* a sign bit chooses the lane */
#endif
ALWAYS_INLINE vec load_lanes(const real *from, unsigned lanes) {
    if (lanes == ALL_LANES) return vec_load(from);
#if defined(LOAD_MASKED)
    return (vec)LOAD_MASKED(from, lanes);
#endif
    real values[LANES];
    for (int i = 0; i < LANES; i++) values[i] = lanes >> i & 1 ? from[i] : (real)0;
    return vec_load(values);
}
ALWAYS_INLINE void store_lanes(real *to, vec value, unsigned lanes) {
    real values[LANES];
    vec_store(values, value);
    for (int i = 0; i < LANES; i++)
        if (lanes >> i & 1) to[i] = values[i];
}
#endif

/* phase[p] = elements p, p + m, p + 2 m ... of m vectors; join is its inverse. */
ALWAYS_INLINE void split(const int m, const real *from, vec *phase) {
    vec a = vec_load(from), b = vec_load(from + LANES);
    if (m == 2) {
        phase[0] = evens(a, b);
        phase[1] = odds(a, b);
    } else {
        vec c = vec_load(from + 2 * LANES), d = vec_load(from + 3 * LANES);
        vec even_low = evens(a, b), odd_low = odds(a, b), even_high = evens(c, d), odd_high = odds(c, d);
        phase[0] = evens(even_low, even_high);
        phase[1] = evens(odd_low, odd_high);
        phase[2] = odds(even_low, even_high);
        phase[3] = odds(odd_low, odd_high);
    }
}

ALWAYS_INLINE void join(const int m, const vec *phase, real *to) {
    if (m == 2) {
        vec_store(to, zip_low(phase[0], phase[1]));
        vec_store(to + LANES, zip_high(phase[0], phase[1]));
    } else {
        vec even_low = zip_low(phase[0], phase[2]), even_high = zip_high(phase[0], phase[2]);
        vec odd_low = zip_low(phase[1], phase[3]), odd_high = zip_high(phase[1], phase[3]);
        vec_store(to, zip_low(even_low, odd_low));
        vec_store(to + LANES, zip_high(even_low, odd_low));
        vec_store(to + 2 * LANES, zip_low(even_high, odd_high));
        vec_store(to + 3 * LANES, zip_high(even_high, odd_high));
    }
}

ALWAYS_INLINE void transpose(vec *rows) { /* LANES rows of LANES */
    for (int round = 1; round < LANES; round *= 2) {
        vec zipped[LANES];
        for (int r = 0; r < (LANES + 1) / 2; r++) {
            zipped[2 * r] = zip_low(rows[r], rows[r + LANES / 2]);
            zipped[2 * r + 1] = zip_high(rows[r], rows[r + LANES / 2]);
        }
        memcpy(rows, zipped, sizeof(zipped));
    }
}

/* ---- the transforms along one axis ---- */

#define P ((real)0.75)             /* the points of m = 4 */
#define Q ((real)1.5)
#define P2 ((real)0.5625)
#define Q2 ((real)2.25)
#define P2_Q2 ((real)1.265625)     /* products and sums of squares */
#define P2_PLUS_Q2 ((real)2.8125)
#define AT_0 ((real)(1 / 1.265625)) /* 1 / derivative, at each point, of the polynomial that vanishes at all of them */
#define AT_P ((real)(-1 / 1.8984375))
#define AT_Q ((real)(1 / 7.59375))

/* t = B' x: pixels to points */
ALWAYS_INLINE void input_points(const int m, const vec *x, vec *t) {
    if (m == 2) {
        t[0] = x[2] - x[0];
        t[1] = x[2] + x[1];
        t[2] = x[2] - x[1];
        t[3] = x[3] - x[1];
    } else {
        vec even_p = x[4] - Q2 * x[2], odd_p = P * (x[3] - Q2 * x[1]);
        vec even_q = x[4] - P2 * x[2], odd_q = Q * (x[3] - P2 * x[1]);
        t[0] = x[4] - P2_PLUS_Q2 * x[2] + P2_Q2 * x[0];
        t[1] = even_p + odd_p;
        t[2] = even_p - odd_p;
        t[3] = even_q + odd_q;
        t[4] = even_q - odd_q;
        t[5] = x[5] - P2_PLUS_Q2 * x[3] + P2_Q2 * x[1];
    }
}

/* y = A' t: points to outputs */
ALWAYS_INLINE void output_pixels(const int m, const vec *t, vec *y) {
    vec sum_p = t[1] + t[2], difference_p = t[1] - t[2];
    if (m == 2) {
        y[0] = t[0] + sum_p;
        y[1] = t[3] + difference_p;
    } else {
        vec sum_q = t[3] + t[4], difference_q = t[3] - t[4];
        y[0] = t[0] + sum_p + sum_q;
        y[1] = P * difference_p + Q * difference_q;
        y[2] = P2 * sum_p + Q2 * sum_q;
        y[3] = t[5] + P * P2 * difference_p + Q * Q2 * difference_q;
    }
}

/* t = A y: the adjoint, output gradients to points */
ALWAYS_INLINE void gradient_points(const int m, const vec *y, vec *t) {
    t[0] = y[0];
    if (m == 2) {
        t[1] = y[0] + y[1];
        t[2] = y[0] - y[1];
        t[3] = y[1];
    } else {
        vec even_p = y[0] + P2 * y[2], odd_p = P * (y[1] + P2 * y[3]);
        vec even_q = y[0] + Q2 * y[2], odd_q = Q * (y[1] + Q2 * y[3]);
        t[1] = even_p + odd_p;
        t[2] = even_p - odd_p;
        t[3] = even_q + odd_q;
        t[4] = even_q - odd_q;
        t[5] = y[3];
    }
}

/* u = G w: kernel elements to points */
ALWAYS_INLINE void weight_points(const int m, const vec *w, vec *u) {
    if (m == 2) {
        vec even = (real)0.5 * (w[0] + w[2]), odd = (real)0.5 * w[1];
        u[0] = -w[0];
        u[1] = even + odd;
        u[2] = even - odd;
        u[3] = w[2];
    } else {
        vec even_p = AT_P * (w[0] + P2 * w[2]), odd_p = AT_P * P * w[1];
        vec even_q = AT_Q * (w[0] + Q2 * w[2]), odd_q = AT_Q * Q * w[1];
        u[0] = AT_0 * w[0];
        u[1] = even_p + odd_p;
        u[2] = even_p - odd_p;
        u[3] = even_q + odd_q;
        u[4] = even_q - odd_q;
        u[5] = w[2];
    }
}

/* w = G' u: the adjoint, points to kernel gradients */
ALWAYS_INLINE void weight_taps(const int m, const vec *u, vec *w) {
    vec sum_p = u[1] + u[2], difference_p = u[1] - u[2];
    if (m == 2) {
        w[0] = (real)0.5 * sum_p - u[0];
        w[1] = (real)0.5 * difference_p;
        w[2] = (real)0.5 * sum_p + u[3];
    } else {
        vec sum_q = AT_Q * (u[3] + u[4]), difference_q = AT_Q * Q * (u[3] - u[4]);
        sum_p = AT_P * sum_p;
        w[0] = AT_0 * u[0] + sum_p + sum_q;
        w[1] = AT_P * P * difference_p + difference_q;
        w[2] = u[5] + P2 * sum_p + Q2 * sum_q;
    }
}

/* ---- input: pixels of a channel to points of its tiles ---- */

/* Hardware does not see that blocks jump from channel to channel: pixels so many channels on are prefetched. */
enum { CHANNELS_AHEAD = 3 };

/* Transform `length` pixels of m + 2 rows from (row, column) on to as many points: point k goes to to[k * pitch].
 * The same from column + m on goes to shifted[k * pitch].  Whole vectors are written. */
ALWAYS_INLINE void input_rows_of(const int m, const real *image, ptrdiff_t h, ptrdiff_t w, ptrdiff_t row, ptrdiff_t column,
                                 ptrdiff_t length, real *to, real *shifted, ptrdiff_t pitch) {
    unsigned rows = 0;
    for (int i = 0; i < m + 2; i++) rows |= (unsigned)(0 <= row + i && row + i < h) << i;
    image += row * w + column;
    for (ptrdiff_t q = 0; q < length; q += LANES)
        for (int shift = 0; shift <= m; shift += m) {
            unsigned lanes = first_lanes(w - column - q - shift) & ~first_lanes(-column - q - shift);
            vec x[MOST_POINTS], t[MOST_POINTS];
            for (int i = 0; i < m + 2; i++) {
                const real *from = image + i * w + q + shift;
                x[i] = load_lanes(from, lanes & -(rows >> i & 1));
                if (shift == 0) PREFETCH(from + CHANNELS_AHEAD * h * w, 0);
            }
            input_points(m, x, t);
            for (int i = 0; i < m + 2; i++) vec_store((shift ? shifted : to) + i * pitch + q, t[i]);
        }
}

/* Transform columns of LANES tiles: point (i, j) goes to to[(i * (m + 2) + j) * stride].
 * Rows of points as input_rows left them: all columns, and shifted by one tile, for the two that reach into it. */
ALWAYS_INLINE void input_columns_of(const int m, const real *rows, const real *shifted, ptrdiff_t pitch, real *to,
                                    ptrdiff_t stride) {
    for (int i = 0; i < m + 2; i++) {
        vec x[MOST_POINTS + 2], t[MOST_POINTS];
        split(m, rows + i * pitch, x);
        split(m, shifted + i * pitch, x + m);
        input_points(m, x, t);
        for (int j = 0; j < m + 2; j++) vec_store(to + (i * (m + 2) + j) * stride, t[j]);
    }
}

/* ---- output: points of a map's tiles to pixels ---- */

/* Transform LANES tiles: row i of their pixels, tile beside tile, goes to to[i * pitch]. */
ALWAYS_INLINE void output_tiles_of(const int m, const real *points, ptrdiff_t stride, real bias, real *to, ptrdiff_t pitch) {
    vec rows[MOST_OUTPUTS][MOST_POINTS];
    for (int j = 0; j < m + 2; j++) {
        vec t[MOST_POINTS], y[MOST_OUTPUTS];
        for (int i = 0; i < m + 2; i++) t[i] = vec_load(points + (i * (m + 2) + j) * stride);
        output_pixels(m, t, y);
        for (int i = 0; i < m; i++) rows[i][j] = y[i];
    }
    for (int i = 0; i < m; i++) {
        vec y[MOST_OUTPUTS];
        output_pixels(m, rows[i], y);
        for (int j = 0; j < m; j++) y[j] += bias;
        join(m, y, to + i * pitch);
    }
}

ALWAYS_INLINE void copy_row(const real *from, ptrdiff_t length, real *to) {
    ptrdiff_t q = 0;
    for (; q + LANES <= length; q += LANES) vec_store(to + q, vec_load(from + q));
    if (q < length) store_lanes(to + q, vec_load(from + q), first_lanes(length - q));
}

/* ---- weights ---- */

/* taps[t][r] = element t of kernel r, for LANES kernels `row` apart, of which the first `count` exist. */
ALWAYS_INLINE void load_kernels(const real *w, ptrdiff_t row, ptrdiff_t count, vec *taps) {
    for (int first = 0; first < KERNEL; first += LANES) {
        vec rows[LANES];
        for (int r = 0; r < LANES; r++)
            rows[r] = r < count ? load_lanes(w + r * row + first, first_lanes(KERNEL - first)) : vec_set((real)0);
        transpose(rows);
        for (int t = 0; t < LANES && first + t < KERNEL; t++) taps[first + t] = rows[t];
    }
}

/* Its inverse, for neighbouring kernels. */
ALWAYS_INLINE void store_kernels(const vec *taps, ptrdiff_t count, real *w) {
    for (int first = 0; first < KERNEL; first += LANES) {
        vec rows[LANES];
        for (int t = 0; t < LANES; t++) rows[t] = first + t < KERNEL ? taps[first + t] : vec_set((real)0);
        transpose(rows);
        for (int r = 0; r < LANES && r < count; r++)
            store_lanes(w + r * KERNEL + first, rows[r], first_lanes(KERNEL - first));
    }
}

/* Prefetch `count` kernels of a later depth: neighbours line by line, others, of which a line holds several, further ahead. */
ALWAYS_INLINE void prefetch_kernels(const real *w, ptrdiff_t row, ptrdiff_t column, int count) {
    enum { LINE = 64 / sizeof(real), KERNELS_AHEAD = 4 };
    if (row == KERNEL)
        for (int i = 0; i < count * KERNEL; i += LINE) PREFETCH(w + KERNELS_AHEAD * column + i, 0);
    else
        for (int r = 0; r < count; r++) PREFETCH(w + r * row + 4 * KERNELS_AHEAD * column, 0);
}

/* Transform `rows` kernels at every depth k < depth and pack them: point t of row r goes to to[t * stride + k * rows + r].
 * Kernel (r, k) begins at w + r * row + k * column; `flipped` ones are read backwards. */
ALWAYS_INLINE void weights_of(const int m, const real *w, ptrdiff_t row, ptrdiff_t column, const int flipped, int rows,
                              ptrdiff_t depth, real *to, ptrdiff_t stride) {
    for (ptrdiff_t k = 0; k < depth; k++, to += rows) {
        prefetch_kernels(w + k * column, row, column, rows);
        for (int r = 0; r < rows; r += LANES) {
            /* Lanes behind the last row are overwritten by the next k. */
            unsigned lanes = (depth - k) * rows - r >= LANES ? (unsigned)ALL_LANES : first_lanes(rows - r);
            vec taps[KERNEL], points[MOST_POINTS][TAPS];
            load_kernels(w + r * row + k * column, row, rows - r, taps);
            for (int v = 0; v < TAPS; v++) {
                vec x[TAPS], u[MOST_POINTS];
                for (int i = 0; i < TAPS; i++) x[i] = flipped ? taps[KERNEL - 1 - i * TAPS - v] : taps[i * TAPS + v];
                weight_points(m, x, u);
                for (int i = 0; i < m + 2; i++) points[i][v] = u[i];
            }
            for (int i = 0; i < m + 2; i++) {
                vec u[MOST_POINTS];
                weight_points(m, points[i], u);
                for (int j = 0; j < m + 2; j++) store_lanes(to + (i * (m + 2) + j) * stride + r, u[j], lanes);
            }
        }
    }
}

/* ---- weight gradient ---- */

/* Transform the output gradients of a run of tiles, as input_rows does; they do not overlap. */
ALWAYS_INLINE void gradient_rows_of(const int m, const real *image, ptrdiff_t h, ptrdiff_t w, ptrdiff_t row, ptrdiff_t column,
                                    ptrdiff_t length, real *to, ptrdiff_t pitch) {
    image += row * w + column;
    for (ptrdiff_t q = 0; q < length; q += LANES) {
        unsigned lanes = first_lanes(w - column - q);
        vec y[MOST_OUTPUTS], t[MOST_POINTS];
        for (int i = 0; i < m; i++) {
            const real *from = image + i * w + q;
            y[i] = load_lanes(from, row + i < h ? lanes : 0);
            PREFETCH(from + CHANNELS_AHEAD * h * w, 0);
        }
        gradient_points(m, y, t);
        for (int i = 0; i < m + 2; i++) vec_store(to + i * pitch + q, t[i]);
    }
}

ALWAYS_INLINE void gradient_columns_of(const int m, const real *rows, ptrdiff_t pitch, real *to, ptrdiff_t stride) {
    for (int i = 0; i < m + 2; i++) {
        vec y[MOST_OUTPUTS], t[MOST_POINTS];
        split(m, rows + i * pitch, y);
        gradient_points(m, y, t);
        for (int j = 0; j < m + 2; j++) vec_store(to + (i * (m + 2) + j) * stride, t[j]);
    }
}

/* to[t * width + c] = from[c * TILE_COLUMNS + t] for t < TILE_COLUMNS, c < width; width is a multiple of LANES, and rows of
 * `from` behind `channels` count as zeros. */
static void transpose_points(const real *from, ptrdiff_t channels, ptrdiff_t width, real *to) {
    for (ptrdiff_t c = 0; c < width; c += LANES)
        for (int t = 0; t < TILE_COLUMNS; t += LANES) {
            vec rows[LANES];
            for (int r = 0; r < LANES; r++)
                rows[r] = c + r < channels ? vec_load(from + (c + r) * TILE_COLUMNS + t) : vec_set((real)0);
            transpose(rows);
            for (int r = 0; r < LANES; r++) vec_store(to + (t + r) * width + c, rows[r]);
        }
}

/* c[r][j]  (+)=  sum over groups of TILE_COLUMNS tiles, and tiles t in them, of  a[r][t] * b[t][j]
 *
 * A group of `a` is [row][TILE_COLUMNS], and begins `step` behind the one before; b is packed as [t][vecs * LANES]. */
ALWAYS_INLINE void gradient_tile_of(const int rows, const int vecs, ptrdiff_t groups, const real *a, ptrdiff_t step,
                                    const real *b, real *c, ptrdiff_t ldc, int accumulate) {
    vec sum[TILE_ROWS][TILE_VECS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++) sum[r][v] = vec_set((real)0);
    for (ptrdiff_t g = 0; g < groups; g++, a += step)
        for (int t = 0; t < TILE_COLUMNS; t++, b += vecs * LANES) {
            vec row[TILE_VECS];
            for (int v = 0; v < vecs; v++) row[v] = vec_load(b + v * LANES);
            for (int r = 0; r < rows; r++)
                for (int v = 0; v < vecs; v++) sum[r][v] += a[r * TILE_COLUMNS + t] * row[v];
        }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++) {
            real *to = c + r * ldc + v * LANES;
            vec_store(to, accumulate ? vec_load(to) + sum[r][v] : sum[r][v]);
        }
}

static void gradient_tile(int rows, int vecs, ptrdiff_t groups, const real *a, ptrdiff_t step, const real *b, real *c,
                          ptrdiff_t ldc, int accumulate) {
    switch (rows * 2 + vecs - 1) {
#define CASE(n) \
    case 2 * n: gradient_tile_of(n, 1, groups, a, step, b, c, ldc, accumulate); break; \
    case 2 * n + 1: gradient_tile_of(n, 2, groups, a, step, b, c, ldc, accumulate); break;
        FOR_ROWS(CASE)
#undef CASE
    }
}

/* Add up `chunks` partial sums of points, `chunk` apart, and transform them to the gradients of neighbouring kernels:
 * point t of kernel c is points[t * stride + c]. */
ALWAYS_INLINE void weight_gradients_of(const int m, const real *points, ptrdiff_t stride, ptrdiff_t chunks, ptrdiff_t chunk,
                                       ptrdiff_t kernels, real *to) {
    for (ptrdiff_t c = 0; c < kernels; c += LANES) {
        vec rows[TAPS][MOST_POINTS];
        vec taps[KERNEL];
        for (int j = 0; j < m + 2; j++) {
            vec u[MOST_POINTS], w[TAPS];
            for (int i = 0; i < m + 2; i++) {
                const real *from = points + (i * (m + 2) + j) * stride + c;
                u[i] = vec_load(from);
                for (ptrdiff_t part = 1; part < chunks; part++) u[i] += vec_load(from + part * chunk);
            }
            weight_taps(m, u, w);
            for (int i = 0; i < TAPS; i++) rows[i][j] = w[i];
        }
        for (int i = 0; i < TAPS; i++) {
            vec w[TAPS];
            weight_taps(m, rows[i], w);
            for (int j = 0; j < TAPS; j++) taps[i * TAPS + j] = w[j];
        }
        store_kernels(taps, kernels - c, to + c * KERNEL);
    }
}

/* ---- each for both m ---- */

static void input_rows(int m, const real *image, ptrdiff_t h, ptrdiff_t w, ptrdiff_t row, ptrdiff_t column, ptrdiff_t length,
                       real *to, real *shifted, ptrdiff_t pitch) {
    if (m == 2) input_rows_of(2, image, h, w, row, column, length, to, shifted, pitch);
    else input_rows_of(4, image, h, w, row, column, length, to, shifted, pitch);
}

static void input_columns(int m, const real *rows, const real *shifted, ptrdiff_t pitch, real *to, ptrdiff_t stride) {
    if (m == 2) input_columns_of(2, rows, shifted, pitch, to, stride);
    else input_columns_of(4, rows, shifted, pitch, to, stride);
}

static void output_tiles(int m, const real *points, ptrdiff_t stride, real bias, real *to, ptrdiff_t pitch) {
    if (m == 2) output_tiles_of(2, points, stride, bias, to, pitch);
    else output_tiles_of(4, points, stride, bias, to, pitch);
}

static void transform_weights(int m, const real *w, ptrdiff_t row, ptrdiff_t column, int flipped, int rows, ptrdiff_t depth,
                              real *to, ptrdiff_t stride) {
    if (m == 2 && flipped) weights_of(2, w, row, column, 1, rows, depth, to, stride);
    else if (m == 2) weights_of(2, w, row, column, 0, rows, depth, to, stride);
    else if (flipped) weights_of(4, w, row, column, 1, rows, depth, to, stride);
    else weights_of(4, w, row, column, 0, rows, depth, to, stride);
}

static void gradient_rows(int m, const real *image, ptrdiff_t h, ptrdiff_t w, ptrdiff_t row, ptrdiff_t column,
                          ptrdiff_t length, real *to, ptrdiff_t pitch) {
    if (m == 2) gradient_rows_of(2, image, h, w, row, column, length, to, pitch);
    else gradient_rows_of(4, image, h, w, row, column, length, to, pitch);
}

static void gradient_columns(int m, const real *rows, ptrdiff_t pitch, real *to, ptrdiff_t stride) {
    if (m == 2) gradient_columns_of(2, rows, pitch, to, stride);
    else gradient_columns_of(4, rows, pitch, to, stride);
}

static void weight_gradients(int m, const real *points, ptrdiff_t stride, ptrdiff_t chunks, ptrdiff_t chunk, ptrdiff_t kernels,
                             real *to) {
    if (m == 2) weight_gradients_of(2, points, stride, chunks, chunk, kernels, to);
    else weight_gradients_of(4, points, stride, chunks, chunk, kernels, to);
}

#endif
