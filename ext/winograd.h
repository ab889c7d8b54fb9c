/* Winograd's transforms F(m x m, taps x taps) for tiles of m = 2 or 4 outputs along a side and 3 or 5 taps:
 * y = A' [(G w G') * (B' x B)] A, element by element in the middle.
 *
 * Polynomials are evaluated at m + taps - 1 points: 0, infinity, and as many of +-p as it takes (point_of).  B and A hold the
 * powers of the points, G the denominators of Lagrange's formula.
 *
 * Lanes run over neighbouring tiles.  Rows are transformed first, on plain pixels; then vectors of pixels are sorted by their
 * column in the tile, which takes log2(m) rounds of shuffles, and columns are transformed tile by tile.
 */
#ifndef TINYGRAD_CNN_WINOGRAD_H
#define TINYGRAD_CNN_WINOGRAD_H

#include "gemm.h"
#include "shuffle.h"
#include "vexp.h"

enum { MOST_OUTPUTS = 4, MOST_TAPS = 5, MOST_KERNEL = MOST_TAPS * MOST_TAPS, MOST_POINTS = MOST_OUTPUTS + MOST_TAPS - 1 };

/* One channel of images.  Dilation convolves pixels dh and dw apart: dh * dw interleaved images. */
typedef struct {
    ptrdiff_t h, w, dh, dw;
    ptrdiff_t image; /* elements between two images */
} plane;

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

/* Lanes i whose pixel, column + i * step, lies in a row of w.  For pairs of pixels (step 2) vectors take both. */
ALWAYS_INLINE unsigned pixel_lanes(const int step, ptrdiff_t w, ptrdiff_t column, ptrdiff_t dw) {
    if (step <= 2) return first_lanes(w - column) & ~first_lanes(-column);
    unsigned lanes = 0;
    for (int i = 0; i < LANES; i++) lanes |= (unsigned)(0 <= column + i * dw && column + i * dw < w) << i;
    return lanes;
}

/* LANES pixels dw apart, zeros for those outside `lanes`; step is dw if that is 1 or 2, `more` the lanes of the second vector. */
ALWAYS_INLINE vec load_pixels(const int step, const real *from, ptrdiff_t dw, unsigned lanes, unsigned more) {
    if (step == 1) return load_lanes(from, lanes);
    if (step == 2) return evens(load_lanes(from, lanes), load_lanes(from + LANES, more));
    real values[LANES];
    for (int i = 0; i < LANES; i++) values[i] = lanes >> i & 1 ? from[i * dw] : (real)0;
    return vec_load(values);
}

/* phase[p] = elements p, p + m, p + 2 m ... of m vectors, in some order; join is its inverse.  The order does not matter, for lanes
 * are tiles, so they stay near, unless a tile's row is longer than that. */
#define TILES(name, a, b) (m <= NEAR ? near_##name(a, b) : name(a, b))

ALWAYS_INLINE void split(const int m, const real *from, vec *phase) {
    vec a = vec_load(from), b = vec_load(from + LANES);
    if (m == 2) {
        phase[0] = TILES(evens, a, b);
        phase[1] = TILES(odds, a, b);
    } else {
        vec c = vec_load(from + 2 * LANES), d = vec_load(from + 3 * LANES);
        vec even_low = TILES(evens, a, b), odd_low = TILES(odds, a, b);
        vec even_high = TILES(evens, c, d), odd_high = TILES(odds, c, d);
        phase[0] = TILES(evens, even_low, even_high);
        phase[1] = TILES(evens, odd_low, odd_high);
        phase[2] = TILES(odds, even_low, even_high);
        phase[3] = TILES(odds, odd_low, odd_high);
    }
}

ALWAYS_INLINE void join(const int m, const vec *phase, real *to) {
    if (m == 2) {
        vec_store(to, TILES(zip_low, phase[0], phase[1]));
        vec_store(to + LANES, TILES(zip_high, phase[0], phase[1]));
    } else {
        vec even_low = TILES(zip_low, phase[0], phase[2]), even_high = TILES(zip_high, phase[0], phase[2]);
        vec odd_low = TILES(zip_low, phase[1], phase[3]), odd_high = TILES(zip_high, phase[1], phase[3]);
        vec_store(to, TILES(zip_low, even_low, odd_low));
        vec_store(to + LANES, TILES(zip_high, even_low, odd_low));
        vec_store(to + 2 * LANES, TILES(zip_low, even_high, odd_high));
        vec_store(to + 3 * LANES, TILES(zip_high, even_high, odd_high));
    }
}

/* ---- the transforms along one axis: `points` points, of which the last is infinity ---- */

/* Points 2 * pair + 1 and 2 * pair + 2 are plus and minus this: few digits are lost, and their powers are exact. */
ALWAYS_INLINE real point_of(const int points, const int pair) {
    if (points == 4) return 1;
    if (points == 6) return pair == 0 ? (real)0.75 : (real)1.5;
    return pair == 0 ? (real)0.5 : pair == 1 ? 1 : 2;
}

ALWAYS_INLINE real square_of(const int points, const int pair) { return point_of(points, pair) * point_of(points, pair); }

/* The square of the pair so many places behind this one, going round; of all pairs if this is -1. */
ALWAYS_INLINE real other_square(const int points, const int pair, const int places) {
    return square_of(points, (pair + places) % (points / 2 - 1));
}

/* 1 / derivative, at such a point or (pair -1) at 0, of the polynomial that vanishes at all points but infinity. */
ALWAYS_INLINE real scale_of(const int points, const int pair) {
    real square = pair < 0 ? 0 : square_of(points, pair), slope = pair < 0 ? 1 : 2 * square;
    const int others = points / 2 - 1 - (pair >= 0);
    if (others > 0) slope *= square - other_square(points, pair, 1);
    if (others > 1) slope *= square - other_square(points, pair, 2);
    if (others > 2) slope *= square - other_square(points, pair, 3);
    return 1 / slope;
}

/* x[0], x[2] ... times the coefficients, by rising degree, of the polynomial in p^2 that vanishes at all pairs but one. */
ALWAYS_INLINE vec vanishing(const int points, const int pair, const vec *x) {
    const int degree = points / 2 - 1 - (pair >= 0);
    real a = other_square(points, pair, 1), b = other_square(points, pair, 2), c = other_square(points, pair, 3);
    if (degree == 0) return x[0];
    if (degree == 1) return x[2] - a * x[0];
    if (degree == 2) return x[4] - (a + b) * x[2] + a * b * x[0];
    return x[6] - (a + b + c) * x[4] + (a * b + b * c + c * a) * x[2] - a * b * c * x[0];
}

/* t = B' x: pixels to points */
ALWAYS_INLINE void input_points(const int points, const vec *x, vec *t) {
    t[0] = vanishing(points, -1, x);
    for (int pair = 0; pair < points / 2 - 1; pair++) {
        vec even = vanishing(points, pair, x + 2), odd = point_of(points, pair) * vanishing(points, pair, x + 1);
        t[2 * pair + 1] = even + odd;
        t[2 * pair + 2] = even - odd;
    }
    t[points - 1] = vanishing(points, -1, x + 1);
}

/* t = A y, or `scaled` G y: the values of a polynomial with `count` coefficients */
ALWAYS_INLINE void evaluate(const int points, const int count, const int scaled, const vec *y, vec *t) {
    t[0] = scaled ? scale_of(points, -1) * y[0] : y[0];
    for (int pair = 0; pair < points / 2 - 1; pair++) {
        const int last_even = (count - 1) / 2 * 2, last_odd = (count - 2) / 2 * 2 + 1;
        real p = point_of(points, pair), scale = scaled ? scale_of(points, pair) : 1;
        vec even = y[last_even], odd = y[last_odd];
        for (int k = last_even - 2; k >= 0; k -= 2) even = y[k] + p * p * even;
        for (int k = last_odd - 2; k >= 0; k -= 2) odd = y[k] + p * p * odd;
        t[2 * pair + 1] = scale * even + scale * p * odd;
        t[2 * pair + 2] = scale * even - scale * p * odd;
    }
    t[points - 1] = y[count - 1];
}

/* y = A' t, or `scaled` G' t: the adjoint, points to coefficients */
ALWAYS_INLINE void collect(const int points, const int count, const int scaled, const vec *t, vec *y) {
    y[0] = scaled ? scale_of(points, -1) * t[0] : t[0];
    for (int k = 1; k < count; k++) y[k] = k == count - 1 ? t[points - 1] : vec_set((real)0);
    for (int pair = 0; pair < points / 2 - 1; pair++) {
        real power = scaled ? scale_of(points, pair) : 1;
        vec even = t[2 * pair + 1] + t[2 * pair + 2], odd = t[2 * pair + 1] - t[2 * pair + 2];
        for (int k = 0; k < count; k++, power *= point_of(points, pair)) y[k] += power * (k % 2 ? odd : even);
    }
}

/* ---- input: pixels of a channel to points of its tiles ---- */

/* Hardware does not see that blocks jump from channel to channel: so many channels on, pixels and points are prefetched. */
enum { CHANNELS_AHEAD = 3 };

ALWAYS_INLINE void store_points(const int count, const vec *t, real *to, ptrdiff_t stride) {
    for (int k = 0; k < count; k++) {
        vec_store(to + k * stride, t[k]);
        PREFETCH(to + k * stride + CHANNELS_AHEAD * TILE_COLUMNS, 1);
    }
}

/* Transform `length` pixels of a tile's rows from (row, column) on to as many points: point k goes to to[k * pitch].
 * The same from column + m on goes to the next copy, as often as a tile reaches into others.  Whole vectors are written. */
ALWAYS_INLINE void input_rows_of(const int m, const int taps, const int step, const plane *in, const real *image,
                                 ptrdiff_t row, ptrdiff_t column, ptrdiff_t length, real *to, ptrdiff_t pitch) {
    const int points = m + taps - 1;
    unsigned rows = 0;
    for (int i = 0; i < points; i++) rows |= (unsigned)(0 <= row + i * in->dh && row + i * in->dh < in->h) << i;
    image += row * in->w;
    for (ptrdiff_t q = 0; q < length; q += LANES)
        for (int shift = 0; shift < points; shift += m) {
            ptrdiff_t first = column + (q + shift) * in->dw;
            unsigned lanes = pixel_lanes(step, in->w, first, in->dw), more = pixel_lanes(step, in->w, first + LANES, in->dw);
            vec x[MOST_POINTS], t[MOST_POINTS];
            for (int i = 0; i < points; i++) {
                const real *from = image + i * in->dh * in->w + first;
                x[i] = load_pixels(step, from, in->dw, lanes & -(rows >> i & 1), more & -(rows >> i & 1));
                if (shift == 0) PREFETCH(from + CHANNELS_AHEAD * in->h * in->w, 0);
            }
            input_points(points, x, t);
            for (int i = 0; i < points; i++) vec_store(to + (shift / m * points + i) * pitch + q, t[i]);
        }
}

/* Transform columns of LANES tiles: point (i, j) goes to to[(i * points + j) * stride].
 * Rows of points as input_rows left them, with all copies. */
ALWAYS_INLINE void input_columns_of(const int m, const int taps, const real *rows, ptrdiff_t pitch, real *to,
                                    ptrdiff_t stride) {
    const int points = m + taps - 1;
    for (int i = 0; i < points; i++) {
        vec x[MOST_POINTS], t[MOST_POINTS];
        for (int shift = 0; shift < points; shift += m) split(m, rows + (shift / m * points + i) * pitch, x + shift);
        input_points(points, x, t);
        store_points(points, t, to + i * points * stride, stride);
    }
}

/* ---- output: points of a map's tiles to pixels ---- */

/* Transform LANES tiles: row i of their pixels, tile beside tile, goes to to[i * pitch], none smaller than `least`. */
ALWAYS_INLINE void output_tiles_of(const int m, const int taps, const real *from, ptrdiff_t stride, real bias, real least,
                                   real *to, ptrdiff_t pitch) {
    const int points = m + taps - 1;
    vec rows[MOST_OUTPUTS][MOST_POINTS];
    for (int j = 0; j < points; j++) {
        vec t[MOST_POINTS], y[MOST_OUTPUTS];
        for (int i = 0; i < points; i++) {
            t[i] = vec_load(from + (i * points + j) * stride);
            PREFETCH(from + (i * points + j) * stride + CHANNELS_AHEAD * TILE_COLUMNS, 0);
        }
        collect(points, m, 0, t, y);
        for (int i = 0; i < m; i++) rows[i][j] = y[i];
    }
    for (int i = 0; i < m; i++) {
        vec y[MOST_OUTPUTS];
        collect(points, m, 0, rows[i], y);
        for (int j = 0; j < m; j++) y[j] = vec_max(vec_set(least), y[j] + bias);
        join(m, y, to + i * pitch);
    }
}

/* Copy `length` pixels to places dw apart. */
ALWAYS_INLINE void store_row(const real *from, ptrdiff_t length, real *to, ptrdiff_t dw) {
    ptrdiff_t q = 0;
    if (dw > 1) {
        for (; q < length; q++) to[q * dw] = from[q];
        return;
    }
    for (; q + LANES <= length; q += LANES) vec_store(to + q, vec_load(from + q));
    if (q < length) store_lanes(to + q, vec_load(from + q), first_lanes(length - q));
}

/* ---- weights ---- */

/* elements[t][r] = element t of kernel r, for LANES kernels `row` apart, of which the first `count` exist. */
ALWAYS_INLINE void load_kernels(const int kernel, const real *w, ptrdiff_t row, ptrdiff_t count, vec *elements) {
    for (int first = 0; first < kernel; first += LANES) {
        vec rows[LANES];
        for (int r = 0; r < LANES; r++)
            rows[r] = r < count ? load_lanes(w + r * row + first, first_lanes(kernel - first)) : vec_set((real)0);
        transpose_lanes(rows);
        for (int t = 0; t < LANES && first + t < kernel; t++) elements[first + t] = rows[t];
    }
}

/* Its inverse, for neighbouring kernels. */
ALWAYS_INLINE void store_kernels(const int kernel, const vec *elements, ptrdiff_t count, real *w) {
    for (int first = 0; first < kernel; first += LANES) {
        vec rows[LANES];
        for (int t = 0; t < LANES; t++) rows[t] = first + t < kernel ? elements[first + t] : vec_set((real)0);
        transpose_lanes(rows);
        for (int r = 0; r < LANES && r < count; r++)
            store_lanes(w + r * kernel + first, rows[r], first_lanes(kernel - first));
    }
}

/* Prefetch `count` kernels of a later depth: neighbours line by line, others, of which a line holds several, further ahead. */
ALWAYS_INLINE void prefetch_kernels(const int kernel, const real *w, ptrdiff_t row, ptrdiff_t column, int count) {
    enum { LINE = 64 / sizeof(real), KERNELS_AHEAD = 4 };
    if (row == kernel)
        for (int i = 0; i < count * kernel; i += LINE) PREFETCH(w + KERNELS_AHEAD * column + i, 0);
    else
        for (int r = 0; r < count; r++) PREFETCH(w + r * row + 4 * KERNELS_AHEAD * column, 0);
}

/* Transform `rows` kernels at every depth k < depth and pack them: point t of row r goes to to[t * stride + k * rows + r].
 * Kernel (r, k) begins at w + r * row + k * column; `flipped` ones are read backwards. */
ALWAYS_INLINE void weights_of(const int m, const int taps, const int flipped, const real *w, ptrdiff_t row, ptrdiff_t column,
                              int rows, ptrdiff_t depth, real *to, ptrdiff_t stride) {
    const int points = m + taps - 1, kernel = taps * taps;
    for (ptrdiff_t k = 0; k < depth; k++, to += rows) {
        prefetch_kernels(kernel, w + k * column, row, column, rows);
        for (int r = 0; r < rows; r += LANES) {
            /* Lanes behind the last row are overwritten by the next k. */
            unsigned lanes = (depth - k) * rows - r >= LANES ? (unsigned)ALL_LANES : first_lanes(rows - r);
            vec elements[MOST_KERNEL], columns[MOST_POINTS][MOST_TAPS];
            load_kernels(kernel, w + r * row + k * column, row, rows - r, elements);
            for (int v = 0; v < taps; v++) {
                vec x[MOST_TAPS], u[MOST_POINTS];
                for (int i = 0; i < taps; i++) x[i] = elements[flipped ? kernel - 1 - i * taps - v : i * taps + v];
                evaluate(points, taps, 1, x, u);
                for (int i = 0; i < points; i++) columns[i][v] = u[i];
            }
            for (int i = 0; i < points; i++) {
                vec u[MOST_POINTS];
                evaluate(points, taps, 1, columns[i], u);
                for (int j = 0; j < points; j++) store_lanes(to + (i * points + j) * stride + r, u[j], lanes);
            }
        }
    }
}

/* ---- weight gradient ---- */

/* Transform the output gradients of a run of tiles, as input_rows does; they do not overlap. */
ALWAYS_INLINE void gradient_rows_of(const int m, const int taps, const int step, const plane *out, const real *image,
                                    ptrdiff_t row, ptrdiff_t column, ptrdiff_t length, real *to, ptrdiff_t pitch) {
    const int points = m + taps - 1;
    image += row * out->w;
    for (ptrdiff_t q = 0; q < length; q += LANES) {
        ptrdiff_t first = column + q * out->dw;
        unsigned lanes = pixel_lanes(step, out->w, first, out->dw), more = pixel_lanes(step, out->w, first + LANES, out->dw);
        vec y[MOST_OUTPUTS], t[MOST_POINTS];
        for (int i = 0; i < m; i++) {
            const real *from = image + i * out->dh * out->w + first;
            int exists = row + i * out->dh < out->h;
            y[i] = load_pixels(step, from, out->dw, exists ? lanes : 0, exists ? more : 0);
            PREFETCH(from + CHANNELS_AHEAD * out->h * out->w, 0);
        }
        evaluate(points, m, 0, y, t);
        for (int i = 0; i < points; i++) vec_store(to + i * pitch + q, t[i]);
    }
}

ALWAYS_INLINE void gradient_columns_of(const int m, const int taps, const real *rows, ptrdiff_t pitch, real *to,
                                       ptrdiff_t stride) {
    const int points = m + taps - 1;
    for (int i = 0; i < points; i++) {
        vec y[MOST_OUTPUTS], t[MOST_POINTS];
        split(m, rows + i * pitch, y);
        evaluate(points, m, 0, y, t);
        store_points(points, t, to + i * points * stride, stride);
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
            transpose_lanes(rows);
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
 * point t of kernel c is from[t * stride + c]. */
ALWAYS_INLINE void weight_gradients_of(const int m, const int taps, const real *from, ptrdiff_t stride, ptrdiff_t chunks,
                                       ptrdiff_t chunk, ptrdiff_t kernels, real *to) {
    const int points = m + taps - 1, kernel = taps * taps;
    for (ptrdiff_t c = 0; c < kernels; c += LANES) {
        vec rows[MOST_TAPS][MOST_POINTS], elements[MOST_KERNEL];
        for (int j = 0; j < points; j++) {
            vec u[MOST_POINTS], w[MOST_TAPS];
            for (int i = 0; i < points; i++) {
                const real *sums = from + (i * points + j) * stride + c;
                u[i] = vec_load(sums);
                for (ptrdiff_t part = 1; part < chunks; part++) u[i] += vec_load(sums + part * chunk);
            }
            collect(points, taps, 1, u, w);
            for (int i = 0; i < taps; i++) rows[i][j] = w[i];
        }
        for (int i = 0; i < taps; i++) collect(points, taps, 1, rows[i], elements + i * taps);
        store_kernels(kernel, elements, kernels - c, to + c * kernel);
    }
}

/* ---- each for all sizes of tiles and kernels, and steps between pixels ---- */

#define BY_SIZES(transform, ...)                                             \
    do {                                                                     \
        if (m == 2 && taps == 3) transform(2, 3, __VA_ARGS__);               \
        else if (m == 4 && taps == 3) transform(4, 3, __VA_ARGS__);          \
        else if (m == 2) transform(2, 5, __VA_ARGS__);                       \
        else transform(4, 5, __VA_ARGS__);                                   \
    } while (0)

#define BY_STEPS(transform, plane, ...)                                      \
    do {                                                                     \
        if (plane->dw == 1) BY_SIZES(transform, 1, plane, __VA_ARGS__);      \
        else if (plane->dw == 2) BY_SIZES(transform, 2, plane, __VA_ARGS__); \
        else BY_SIZES(transform, 3, plane, __VA_ARGS__);                     \
    } while (0)

static void input_rows(int m, int taps, const plane *in, const real *image, ptrdiff_t row, ptrdiff_t column, ptrdiff_t length,
                       real *to, ptrdiff_t pitch) {
    BY_STEPS(input_rows_of, in, image, row, column, length, to, pitch);
}

static void input_columns(int m, int taps, const real *rows, ptrdiff_t pitch, real *to, ptrdiff_t stride) {
    BY_SIZES(input_columns_of, rows, pitch, to, stride);
}

static void output_tiles(int m, int taps, const real *from, ptrdiff_t stride, real bias, real least, real *to,
                         ptrdiff_t pitch) {
    BY_SIZES(output_tiles_of, from, stride, bias, least, to, pitch);
}

static void transform_weights(int m, int taps, int flipped, const real *w, ptrdiff_t row, ptrdiff_t column, int rows,
                              ptrdiff_t depth, real *to, ptrdiff_t stride) {
    if (flipped) BY_SIZES(weights_of, 1, w, row, column, rows, depth, to, stride);
    else BY_SIZES(weights_of, 0, w, row, column, rows, depth, to, stride);
}

static void gradient_rows(int m, int taps, const plane *out, const real *image, ptrdiff_t row, ptrdiff_t column,
                          ptrdiff_t length, real *to, ptrdiff_t pitch) {
    BY_STEPS(gradient_rows_of, out, image, row, column, length, to, pitch);
}

static void gradient_columns(int m, int taps, const real *rows, ptrdiff_t pitch, real *to, ptrdiff_t stride) {
    BY_SIZES(gradient_columns_of, rows, pitch, to, stride);
}

static void weight_gradients(int m, int taps, const real *from, ptrdiff_t stride, ptrdiff_t chunks, ptrdiff_t chunk,
                             ptrdiff_t kernels, real *to) {
    BY_SIZES(weight_gradients_of, from, stride, chunks, chunk, kernels, to);
}

#endif
