/* The innermost loops of convolution with max pooling behind it, and of its gradients: only the maxima have one.
 *
 * For the gradients images lie with channels last and with their padding, so the elements under the kernel at one position are KH runs of KW * C
 * neighbours.  Which position of its window an element of dy belongs to, its offset says.
 */
#ifndef TINYGRAD_CNN_POOLED_H
#define TINYGRAD_CNN_POOLED_H

#include <stdint.h>

#include "conv.h"
#include "pool.h"

#if defined(__AVX512F__)
enum { MOST_SUMS = 16 }; /* vectors of sums that stay in registers */
#else
enum { MOST_SUMS = 12 };
#endif
enum { MOST_ROWS = 5, MOST_VECS = 4 }; /* of a block of sums of the weight gradient */

/* ---- forward ---- */

/* The maxima of lines of windows, lanes = output channels: sums[position][vecs * LANES], `width` positions in a row.  Offsets
 * are written as lanes. */
typedef struct {
    int vecs, kh, kw;
    ptrdiff_t lines, count, sh, sw, width;
} output_windows;

ALWAYS_INLINE void max_outputs_of(const output_windows *p, const int kh, const int kw, const real *sums, real *y, real *offsets) {
    const output_windows w = *p;
    const ptrdiff_t span = w.vecs * LANES;
    for (ptrdiff_t i = 0; i < w.lines; i++)
        for (ptrdiff_t j = 0; j < w.count * span; j += LANES, y += LANES, offsets += LANES) {
            const real *from = sums + (i * w.sh * w.width + j / span * w.sw) * span + j % span;
            vec value = vec_load(from);
            lanes offset = lanes_set(0);
            for (int u = 0; u < kh; u++)
                for (int t = 0; t < kw; t++) {
                    if (u + t == 0) continue;
                    const vec x = vec_load(from + (u * w.width + t) * span);
                    const mask m = is_larger(x, value);
                    value = choose(m, x, value);
                    offset = choose_lanes(m, lanes_set(u * kw + t), offset);
                }
            vec_store(y, value);
            vec_store(offsets, (vec)offset);
        }
}

static void max_outputs(const output_windows *p, const real *sums, real *y, real *offsets) {
    if (p->kh == 2 && p->kw == 2)
        max_outputs_of(p, 2, 2, sums, y, offsets);
    else
        max_outputs_of(p, p->kh, p->kw, sums, y, offsets);
}

/* Write lanes as bytes. */
static void narrow(const real *from, ptrdiff_t n, uint8_t *to) {
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) store_bytes(to + i, (lanes)vec_load(from + i));
    for (; i < n; i++) {
        uint8_t bytes[LANES];
        store_bytes(bytes, (lanes)vec_load(from + i));
        to[i] = bytes[0];
    }
}

/* ---- channels last ---- */

/* to[j][c] = from[c][j] for c < channels, j < columns (LANES or more); writes up to LANES - 1 zeros behind.  The last block
 * overlaps the one before it.  Channels beyond a multiple of LANES come first, since what they write too much the others put right. */
static void channels_last(ptrdiff_t channels, ptrdiff_t columns, const real *from, ptrdiff_t plane, real *to) {
    for (ptrdiff_t c = (channels - 1) / LANES * LANES; c >= 0; c -= LANES)
        for (ptrdiff_t j = 0;; j = j + LANES < columns - LANES ? j + LANES : columns - LANES) {
            vec line[LANES];
            for (int l = 0; l < LANES; l++)
                line[l] = c + l < channels ? vec_load(from + (c + l) * plane + j) : vec_set((real)0);
            transpose_lanes(line);
            for (int l = 0; l < LANES; l++) vec_store(to + (j + l) * channels + c, line[l]);
            if (j == columns - LANES) break;
        }
}

/* to[c][j] = from[j][c], the other way round; reads up to LANES - 1 elements behind. */
static void channels_first(ptrdiff_t channels, ptrdiff_t columns, const real *from, real *to, ptrdiff_t plane) {
    for (ptrdiff_t c = 0; c < channels; c += LANES)
        for (ptrdiff_t j = 0;; j = j + LANES < columns - LANES ? j + LANES : columns - LANES) {
            vec line[LANES];
            for (int l = 0; l < LANES; l++) line[l] = vec_load(from + (j + l) * channels + c);
            transpose_lanes(line);
            for (int l = 0; l < LANES && c + l < channels; l++) vec_store(to + (c + l) * plane + j, line[l]);
            if (j == columns - LANES) break;
        }
}

/* ---- weight gradient ---- */

typedef struct {
    ptrdiff_t images, image, plane; /* images; elements from one to the next, in x, and in dy and its offsets */
    ptrdiff_t count;                /* windows of a plane */
    const ptrdiff_t *places;        /* where the first position of each window finds its elements in x */
    const ptrdiff_t *shifts;        /* how much further those of its other positions lie */
    ptrdiff_t pitch;                /* of the rows of x */
} pooled_planes;

/* Runs of up to SHORT neighbours are read by half a vector: fewer of those lie across two cache lines, which take twice the time. */
#if defined(__GNUC__) && defined(__AVX512F__)
#include <immintrin.h>
enum { SHORT = LANES / 2 };
ALWAYS_INLINE vec load_short(const real *from) {
    return (vec)_mm512_zextpd256_pd512(_mm256_loadu_pd((const double *)from));
}
#else
enum { SHORT = 0 };
ALWAYS_INLINE vec load_short(const real *from) { return vec_load(from); }
#endif

/* sums[u][v]  +=  sum over images and windows q of  dy[q] * x[places[q] + shifts[offsets[q]] + u * pitch + v] */
ALWAYS_INLINE void weight_sums_of(const int rows, const int vecs, const int is_short, const pooled_planes *p, const real *dy,
                                  const uint8_t *offsets, const real *x, real *sums, ptrdiff_t lds) {
    const pooled_planes s = *p;
    vec sum[MOST_ROWS][MOST_VECS];
    for (int u = 0; u < rows; u++)
        for (int v = 0; v < vecs; v++) sum[u][v] = vec_load(sums + u * lds + v * LANES);
    for (ptrdiff_t n = 0; n < s.images; n++, dy += s.plane, offsets += s.plane, x += s.image)
        for (ptrdiff_t q = 0; q < s.count; q++) {
            const real *from = x + s.places[q] + s.shifts[offsets[q]];
            const vec g = vec_set(dy[q]);
            for (int u = 0; u < rows; u++)
                for (int v = 0; v < vecs; v++)
                    sum[u][v] += g * (is_short ? load_short(from + u * s.pitch) : vec_load(from + u * s.pitch + v * LANES));
        }
    for (int u = 0; u < rows; u++)
        for (int v = 0; v < vecs; v++) vec_store(sums + u * lds + v * LANES, sum[u][v]);
}

/* rows x vecs vectors of sums, at most MOST_ROWS x MOST_VECS and MOST_SUMS; vecs 0: only the first SHORT elements of one. */
static void weight_sums(int rows, int vecs, const pooled_planes *p, const real *dy, const uint8_t *offsets, const real *x,
                        real *sums, ptrdiff_t lds) {
#define TRY(r, v) \
    if (r * v <= MOST_SUMS && rows == r && vecs == v) weight_sums_of(r, v ? v : 1, !v, p, dy, offsets, x, sums, lds);
#define ROWS(v) TRY(1, v) TRY(2, v) TRY(3, v) TRY(4, v) TRY(5, v)
    ROWS(0) ROWS(1) ROWS(2) ROWS(3) ROWS(4)
#undef ROWS
#undef TRY
}

/* ---- input gradient ---- */

/* patch  =  sum over o of  dy[o] * table[o][offsets[o]]       each `vecs` vectors; dy and offsets are `stride` apart */
ALWAYS_INLINE void patch_of(const int vecs, ptrdiff_t outputs, const real *dy, const uint8_t *offsets, ptrdiff_t stride,
                            const real *table, ptrdiff_t positions, real *patch) {
    vec sum[MOST_SUMS];
    UNROLLED
    for (int v = 0; v < vecs; v++) sum[v] = vec_set((real)0);
    for (ptrdiff_t o = 0; o < outputs; o++) {
        const real *from = table + (o * positions + offsets[o * stride]) * (vecs * LANES);
        const vec g = vec_set(dy[o * stride]);
        UNROLLED
        for (int v = 0; v < vecs; v++) sum[v] += g * vec_load(from + v * LANES);
    }
    UNROLLED
    for (int v = 0; v < vecs; v++) vec_store(patch + v * LANES, sum[v]);
}

static void make_patch(int vecs, ptrdiff_t outputs, const real *dy, const uint8_t *offsets, ptrdiff_t stride,
                       const real *table, ptrdiff_t positions, real *patch) {
    switch (vecs) {
#define CASE(n) case n: patch_of(n, outputs, dy, offsets, stride, table, positions, patch); break;
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#if defined(__AVX512F__)
        CASE(13) CASE(14) CASE(15) CASE(16)
#endif
#undef CASE
    }
}

/* Add rows of `width` neighbours to rows of an image; reads and rewrites up to LANES - 1 elements behind each. */
static void add_rows(ptrdiff_t rows, ptrdiff_t width, const real *patch, real *x, ptrdiff_t pitch) {
    const ptrdiff_t whole = width - width % LANES;
#if defined(__GNUC__)
    vec_index kept;
    for (int l = 0; l < LANES; l++) kept[l] = l < width - whole ? -1 : 0;
#endif
    for (ptrdiff_t u = 0; u < rows; u++, patch += width, x += pitch) {
        for (ptrdiff_t j = 0; j < whole; j += LANES) vec_store(x + j, vec_load(x + j) + vec_load(patch + j));
#if defined(__GNUC__)
        if (whole < width) vec_store(x + whole, vec_load(x + whole) + (vec)((vec_index)vec_load(patch + whole) & kept));
#endif
    }
}

#endif
