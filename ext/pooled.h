/* The innermost loops of convolution with max pooling behind it, and of its gradients: only the maxima have one.
 *
 * For the gradients images lie with channels last and with their padding, so the elements under the kernel at one position
 * are KH runs of KW * C neighbours.  Which position of its window an element of dy belongs to, its offset says.
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

/* ---- maxima with a gradient ---- */

/* A ReLU leaves many of them without one: two of three in a trained LeNet. */
typedef struct {
    ptrdiff_t count;
    int *at; /* where the operand of each begins */
    real *dy;
} maxima;

/* What follows handles LANES windows at a time where their positions are at most as many.  It writes LANES elements, of which so
 * many as it returns are kept.
 */
#if defined(__AVX512F__) && VEC_LANES == 16
#include <immintrin.h>
ALWAYS_INLINE void prepare_lists(void) {}
ALWAYS_INLINE int append_vector(const real *dy, const real *y, const uint8_t *offsets, int start, const int *places,
                                const int *shifts, real *to_dy, int *to_at) {
    const __m512 g = _mm512_loadu_ps(dy), zero = _mm512_setzero_ps();
    __mmask16 kept = _mm512_cmp_ps_mask(g, zero, _CMP_NEQ_UQ);
    if (y) kept = _mm512_mask_cmp_ps_mask(kept, _mm512_loadu_ps(y), zero, _CMP_NLE_UQ);
    const __m512i offset = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)offsets));
    const __m512i shift = _mm512_permutexvar_epi32(offset, _mm512_loadu_si512(shifts));
    const __m512i at = _mm512_add_epi32(_mm512_add_epi32(_mm512_loadu_si512(places), _mm512_set1_epi32(start)), shift);
    _mm512_storeu_ps(to_dy, _mm512_maskz_compress_ps(kept, g));
    _mm512_storeu_si512(to_at, _mm512_maskz_compress_epi32(kept, at));
    return __builtin_popcount(kept);
}
#elif defined(__AVX2__) && !defined(__AVX512F__) && VEC_LANES == 8
#include <immintrin.h>
static uint8_t kept_lanes[256][8]; /* for each mask the numbers of its lanes */
static void prepare_lists(void) {
    for (int mask = 0; mask < 256; mask++)
        for (int lane = 0, k = 0; lane < 8; lane++)
            if (mask >> lane & 1) kept_lanes[mask][k++] = (uint8_t)lane;
}
ALWAYS_INLINE int append_vector(const real *dy, const real *y, const uint8_t *offsets, int start, const int *places,
                                const int *shifts, real *to_dy, int *to_at) {
    const __m256 g = _mm256_loadu_ps(dy), zero = _mm256_setzero_ps();
    int kept = _mm256_movemask_ps(_mm256_cmp_ps(g, zero, _CMP_NEQ_UQ));
    if (y) kept &= _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(y), zero, _CMP_NLE_UQ));
    const __m256i lanes_of = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)kept_lanes[kept]));
    const __m256i offset = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)offsets));
    const __m256i shift = _mm256_permutevar8x32_epi32(_mm256_loadu_si256((const __m256i *)shifts), offset);
    const __m256i first = _mm256_add_epi32(_mm256_loadu_si256((const __m256i *)places), _mm256_set1_epi32(start));
    _mm256_storeu_ps(to_dy, _mm256_permutevar8x32_ps(g, lanes_of));
    _mm256_storeu_si256((__m256i *)to_at, _mm256_permutevar8x32_epi32(_mm256_add_epi32(first, shift), lanes_of));
    return __builtin_popcount((unsigned)kept);
}
#else
#define NO_VECTORS
ALWAYS_INLINE void prepare_lists(void) {}
#endif

/* Append the maxima of windows of so many positions to a list; dy, offsets, and y if there is a ReLU, are `stride` apart. */
ALWAYS_INLINE void append_maxima(maxima *list, ptrdiff_t windows, ptrdiff_t positions, const real *dy, const real *y,
                                 const uint8_t *offsets, ptrdiff_t stride, ptrdiff_t start, const int *places,
                                 const int *shifts) {
    ptrdiff_t k = list->count, q = 0;
#ifndef NO_VECTORS
    if (stride == 1 && positions <= LANES)
        for (; q + LANES <= windows; q += LANES)
            k += append_vector(dy + q, y ? y + q : NULL, offsets + q, (int)start, places + q, shifts, list->dy + k,
                               list->at + k);
#endif
    for (; q < windows; q++) {
        const real g = dy[q * stride];
        list->at[k] = (int)start + places[q] + shifts[offsets[q * stride]];
        list->dy[k] = g;
        k += !(g == 0) & !(y && y[q * stride] <= 0); /* the next one overwrites what has no gradient */
    }
    list->count = k;
}

/* ---- weight gradient ---- */

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

/* sums[u][v]  +=  sum over maxima of  dy * x[at + u * pitch + v] */
ALWAYS_INLINE void weight_sums_of(const int rows, const int vecs, const int is_short, const maxima *list, const real *x,
                                  ptrdiff_t pitch, real *sums, ptrdiff_t lds) {
    const maxima m = *list;
    vec sum[MOST_ROWS][MOST_VECS];
    for (int u = 0; u < rows; u++)
        for (int v = 0; v < vecs; v++) sum[u][v] = vec_load(sums + u * lds + v * LANES);
    for (ptrdiff_t i = 0; i < m.count; i++) {
        const real *from = x + m.at[i];
        const vec g = vec_set(m.dy[i]);
        for (int u = 0; u < rows; u++)
            for (int v = 0; v < vecs; v++)
                sum[u][v] += g * (is_short ? load_short(from + u * pitch) : vec_load(from + u * pitch + v * LANES));
    }
    for (int u = 0; u < rows; u++)
        for (int v = 0; v < vecs; v++) vec_store(sums + u * lds + v * LANES, sum[u][v]);
}

/* rows x vecs vectors of sums, at most MOST_ROWS x MOST_VECS and MOST_SUMS; vecs 0: only the first SHORT elements of one. */
static void weight_sums(int rows, int vecs, const maxima *list, const real *x, ptrdiff_t pitch, real *sums, ptrdiff_t lds) {
#define TRY(r, v) \
    if (r * v <= MOST_SUMS && rows == r && vecs == v) weight_sums_of(r, v ? v : 1, !v, list, x, pitch, sums, lds);
#define ROWS(v) TRY(1, v) TRY(2, v) TRY(3, v) TRY(4, v) TRY(5, v)
    ROWS(0) ROWS(1) ROWS(2) ROWS(3) ROWS(4)
#undef ROWS
#undef TRY
}

/* ---- input gradient ---- */

/* patch  =  sum over maxima of  dy * table[at]       each `vecs` vectors */
ALWAYS_INLINE void patch_of(const int vecs, const maxima *list, const real *table, real *patch) {
    const maxima m = *list;
    vec sum[MOST_SUMS];
    UNROLLED
    for (int v = 0; v < vecs; v++) sum[v] = vec_set((real)0);
    for (ptrdiff_t i = 0; i < m.count; i++) {
        const real *from = table + (ptrdiff_t)m.at[i] * (vecs * LANES);
        const vec g = vec_set(m.dy[i]);
        UNROLLED
        for (int v = 0; v < vecs; v++) sum[v] += g * vec_load(from + v * LANES);
    }
    UNROLLED
    for (int v = 0; v < vecs; v++) vec_store(patch + v * LANES, sum[v]);
}

static void make_patch(int vecs, const maxima *list, const real *table, real *patch) {
    switch (vecs) {
#define CASE(n) case n: patch_of(n, list, table, patch); break;
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
