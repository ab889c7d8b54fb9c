/* The innermost loops of pooling: vectors of neighbouring outputs, for maps of any width.
 *
 * Windows that advance by 2 find their elements in pairs of neighbours: two vectors are read and their even or odd lanes
 * kept, so no lane is wasted on columns between the windows.
 */
#ifndef TINYGRAD_CNN_POOL_H
#define TINYGRAD_CNN_POOL_H

#include <stdint.h>

#include "shuffle.h"

/* ---- vectors: integers as wide as the lanes, masks, even and odd lanes ---- */

#if defined(__GNUC__)
typedef __typeof__(__builtin_choose_expr(sizeof(real) == 4, (int32_t)0, (int64_t)0)) lane;
typedef lane lanes __attribute__((vector_size(VEC_BYTES)));
#define lanes_set(scalar) ((lanes){0} + (lane)(scalar))
ALWAYS_INLINE vec and_lanes(vec a, lanes b) { return (vec)((lanes)a & b); }
#else
typedef int32_t lane, lanes;
#define lanes_set(scalar) (scalar)
ALWAYS_INLINE vec and_lanes(vec a, lanes b) { return b ? a : 0; }
#endif

/* is_larger: value > old, or value is the first NaN;  choose: a where the mask is set, else b */
#if defined(__GNUC__) && defined(__AVX512F__)
#define HAS_MASKS
#include <immintrin.h>
typedef uint16_t mask;
ALWAYS_INLINE mask is_larger(vec value, vec old) {
    if (sizeof(real) == 4) {
        __mmask16 number = _mm512_cmp_ps_mask((__m512)old, (__m512)old, _CMP_ORD_Q);
        return _mm512_mask_cmp_ps_mask(number, (__m512)value, (__m512)old, _CMP_NLE_UQ);
    }
    __mmask8 number = _mm512_cmp_pd_mask((__m512d)old, (__m512d)old, _CMP_ORD_Q);
    return _mm512_mask_cmp_pd_mask(number, (__m512d)value, (__m512d)old, _CMP_NLE_UQ);
}
ALWAYS_INLINE mask is_equal(lanes a, lanes b) {
    return sizeof(real) == 4 ? _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b)
                             : _mm512_cmpeq_epi64_mask((__m512i)a, (__m512i)b);
}
ALWAYS_INLINE lanes choose_lanes(mask m, lanes a, lanes b) {
    return sizeof(real) == 4 ? (lanes)_mm512_mask_mov_epi32((__m512i)b, m, (__m512i)a)
                             : (lanes)_mm512_mask_mov_epi64((__m512i)b, (__mmask8)m, (__m512i)a);
}
ALWAYS_INLINE vec choose(mask m, vec a, vec b) { return (vec)choose_lanes(m, (lanes)a, (lanes)b); }
#elif defined(__GNUC__)
typedef lanes mask;
ALWAYS_INLINE mask is_larger(vec value, vec old) { return (mask)(old == old) & ~(mask)(value <= old); }
ALWAYS_INLINE mask is_equal(lanes a, lanes b) { return (mask)(a == b); }
ALWAYS_INLINE lanes choose_lanes(mask m, lanes a, lanes b) { return (m & a) | (~m & b); }
ALWAYS_INLINE vec choose(mask m, vec a, vec b) { return (vec)choose_lanes(m, (lanes)a, (lanes)b); }
#else
typedef int mask;
ALWAYS_INLINE mask is_larger(vec value, vec old) { return old == old && !(value <= old); }
ALWAYS_INLINE mask is_equal(lanes a, lanes b) { return a == b; }
ALWAYS_INLINE lanes choose_lanes(mask m, lanes a, lanes b) { return m ? a : b; }
ALWAYS_INLINE vec choose(mask m, vec a, vec b) { return m ? a : b; }
#endif

/* Offsets are bytes in memory and integers as wide as `real` in registers. */
#if defined(__GNUC__) && defined(__AVX2__)
#include <immintrin.h>
#endif

ALWAYS_INLINE void store_bytes(uint8_t *to, lanes values) {
#if defined(HAS_MASKS)
    __m128i bytes = sizeof(real) == 4 ? _mm512_cvtepi32_epi8((__m512i)values) : _mm512_cvtepi64_epi8((__m512i)values);
#elif defined(__GNUC__) && defined(__AVX2__)
    __m128i bytes = _mm_packus_epi32(_mm256_castsi256_si128((__m256i)values), _mm256_extracti128_si256((__m256i)values, 1));
    if (sizeof(real) == 8) bytes = _mm_packus_epi32(bytes, bytes);
    bytes = _mm_packus_epi16(bytes, bytes);
#elif defined(__GNUC__)
    uint8_t bytes[LANES];
    for (int l = 0; l < LANES; l++) bytes[l] = (uint8_t)values[l];
#else
    uint8_t bytes = (uint8_t)values;
#endif
    memcpy(to, &bytes, LANES);
}

ALWAYS_INLINE lanes load_bytes(const uint8_t *from) {
#if defined(HAS_MASKS)
    return sizeof(real) == 4 ? (lanes)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)from))
                             : (lanes)_mm512_cvtepu8_epi64(_mm_loadl_epi64((const __m128i *)from));
#elif defined(__GNUC__) && defined(__AVX2__)
    __m128i bytes = _mm_setzero_si128();
    memcpy(&bytes, from, LANES);
    return sizeof(real) == 4 ? (lanes)_mm256_cvtepu8_epi32(bytes) : (lanes)_mm256_cvtepu8_epi64(bytes);
#else
    lane values[LANES];
    lanes wide;
    for (int l = 0; l < LANES; l++) values[l] = from[l];
    memcpy(&wide, values, sizeof wide);
    return wide;
#endif
}

/* Ask for memory that will be read (or written) soon.  The processor's own prefetching stops at the end of each page. */
enum { AHEAD = 16384 / sizeof(real), CACHE_LINE = 64 / sizeof(real) };

ALWAYS_INLINE void prefetch(const real *from, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i += CACHE_LINE) PREFETCH(from + AHEAD + i, 0);
}

ALWAYS_INLINE void prefetch_for_writing(const real *from, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i += CACHE_LINE) PREFETCH(from + AHEAD + i, 1);
}

/* ---- forward: lines of windows ---- */

/* `lines` lines of `count` windows of each of `images` images; results follow each other.  Row u of window q of line i begins
 * at rows[u] + i * advance + q * step (1 or 2), and its element v lies taps[v] further.
 *
 * Lines shorter than a vector are written with a whole vector: what is too much the next line puts right.  Only the last ones,
 * with less than LANES elements of `room`, are written exactly.  If two lines fit into a vector, they are done together. */
typedef struct {
    const real *const *rows;
    const ptrdiff_t *taps;
    int kh, kw, step, dense; /* dense: without dilation */
    int doubled;             /* two lines at a time, for count <= LANES / 2 */
    int streamed;            /* lines are read in the order of memory, each for the first time */
    ptrdiff_t lines, count, advance, images, image_advance;
    const real *scales;      /* of the averages */
    ptrdiff_t scale_advance; /* from one line to the next: 0 if all are equal */
    real *y;
    uint8_t *small; /* offsets u * kw + v, for windows of up to 256 elements */
    int32_t *large; /* or for larger ones */
    ptrdiff_t room; /* elements of y that may be written */
} pool_lines;

enum { FEW = 3 }; /* rows or columns of windows for which there is a loop of their own */

/* One element of LANES windows; `tap` is where it lies in the first of them, `second` from there to the other half.  The windows
 * of pairs stand in the order of shuffle.h's pair_evens, here and in the two functions below. */
ALWAYS_INLINE vec load_tap(const real *row, ptrdiff_t tap, ptrdiff_t second, const int paired, const int odd) {
    if (!paired) return vec_load(row + tap);
    const real *pair = row + tap - odd;
    return odd ? pair_odds(vec_load(pair), vec_load(pair + second)) : pair_evens(vec_load(pair), vec_load(pair + second));
}

/* The maxima of LANES windows and their offsets. */
ALWAYS_INLINE void max_block(const pool_lines *p, const int kh, const int kw, const int paired, const int dense,
                             ptrdiff_t shift, ptrdiff_t second, vec *value, lanes *offset) {
    for (int u = 0; u < kh; u++) { /* along the rows first: the first of equal maxima must win */
        const real *row = p->rows[u] + shift;
        vec row_value = load_tap(row, p->taps[0], second, paired, 0);
        lanes row_offset = lanes_set(u * kw);
        for (int v = 1; v < kw; v++) {
            vec x = load_tap(row, p->taps[v], second, paired, dense ? v & 1 : (int)(p->taps[v] & 1));
            mask m = is_larger(x, row_value);
            row_value = choose(m, x, row_value);
            row_offset = choose_lanes(m, lanes_set(u * kw + v), row_offset);
        }
        if (u > 0) {
            mask m = is_larger(row_value, *value);
            row_value = choose(m, row_value, *value);
            row_offset = choose_lanes(m, row_offset, *offset);
        }
        *value = row_value;
        *offset = row_offset;
    }
}

/* LANES neighbours, summed up down the rows. */
ALWAYS_INLINE vec column_sum(const pool_lines *p, const int kh, ptrdiff_t shift) {
    vec sum = vec_load(p->rows[0] + shift);
    for (int u = 1; u < kh; u++) sum += vec_load(p->rows[u] + shift);
    return sum;
}

/* The sums of LANES windows: down the rows first, so that pairs are taken apart once. */
ALWAYS_INLINE vec sum_block(const pool_lines *p, const int kh, const int kw, const int paired, const int dense,
                            ptrdiff_t shift, ptrdiff_t second) {
    vec sum = vec_set((real)0);
    for (int v = 0; v < kw; v++) {
        if (!paired) {
            sum += column_sum(p, kh, shift + p->taps[v]);
            continue;
        }
        const int odd = dense ? 0 : (int)(p->taps[v] & 1);
        const ptrdiff_t pair = shift + p->taps[v] - odd;
        vec low = column_sum(p, kh, pair), high = column_sum(p, kh, pair + second);
        sum += odd ? pair_odds(low, high) : pair_evens(low, high);
        if (dense && ++v < kw) sum += pair_odds(low, high);
    }
    return sum;
}

/* Write n results, or LANES where there is room. */
ALWAYS_INLINE void put(const pool_lines *p, const int maxima, ptrdiff_t at, ptrdiff_t n, vec value, lanes offset) {
    if (p->room - at >= LANES && (!maxima || p->small)) {
        vec_store(p->y + at, value);
        if (maxima) store_bytes(p->small + at, offset);
        return;
    }
    real values[LANES];
    lanes offsets[1] = {offset};
    vec_store(values, value);
    memcpy(p->y + at, values, n * sizeof(real));
    for (ptrdiff_t l = 0; maxima && l < n; l++)
        if (p->small)
            p->small[at + l] = (uint8_t)((const lane *)offsets)[l];
        else
            p->large[at + l] = (int32_t)((const lane *)offsets)[l];
}

/* Pool a line whose rows lie `shift` behind the first one's, or with `both` also the next one, in the other half. */
ALWAYS_INLINE void pool_line(const pool_lines *p, const int maxima, const int kh, const int kw, const int paired,
                             const int dense, ptrdiff_t shift, ptrdiff_t at, const real *scales, int both) {
    const ptrdiff_t n = p->count < LANES ? p->count : LANES, last = p->count - n;
    const ptrdiff_t second = paired && p->doubled ? both * p->advance : LANES;
    for (ptrdiff_t q = 0;; q = q + n < last ? q + n : last) { /* the last block may overlap the one before it */
        const ptrdiff_t place = shift + (paired ? 2 * q : q);
        vec low = vec_set((real)0), high;
        lanes offset = lanes_set(0);
        if (maxima) {
            max_block(p, kh, kw, paired, dense, place, second, &low, &offset);
            if (paired) low = in_order(low), offset = (lanes)in_order((vec)offset);
            high = low;
        } else {
            vec sum = sum_block(p, kh, kw, paired, dense, place, second);
            if (paired) sum = in_order(sum);
            low = sum * vec_load(scales + q);
            high = sum * vec_load(scales + p->scale_advance - LANES / 2);
        }
        put(p, maxima, at + q, n, low, offset);
        if (both) put(p, maxima, at + n, n, upper_half(high), (lanes)upper_half((vec)offset));
        if (q == last) break;
    }
}

ALWAYS_INLINE void pool_loop(const pool_lines *lines, const int maxima, const int kh, const int kw, const int paired,
                             const int dense) {
    pool_lines copy = *lines; /* which no store can change */
    const pool_lines *p = &copy;
    const real *rows[FEW];
    ptrdiff_t taps[FEW];
    if (dense) { /* kh and kw are constants, so these stay in registers */
        for (int u = 0; u < kh; u++) rows[u] = lines->rows[u];
        for (int v = 0; v < kw; v++) taps[v] = lines->taps[v];
        copy.rows = rows;
        copy.taps = taps;
    }
    const int doubled = paired && p->doubled;
    for (ptrdiff_t image = 0, at = 0; image < p->images; image++, at += p->lines * p->count)
        for (ptrdiff_t i = 0; i < p->lines; i += 1 + doubled) {
            const int both = doubled && i + 1 < p->lines;
            const ptrdiff_t shift = image * p->image_advance + i * p->advance;
            if (p->streamed) prefetch(p->rows[0] + shift, (1 + both) * p->advance);
            pool_line(p, maxima, kh, kw, paired, dense, shift, at + i * p->count, p->scales + i * p->scale_advance, both);
        }
}

ALWAYS_INLINE void pool_any(const pool_lines *p, const int maxima) {
    const int kh = p->kh, kw = p->kw, paired = p->step == 2, dense = p->dense;
    if (dense && kh == 2 && kw == 2 && paired)
        pool_loop(p, maxima, 2, 2, 1, 1);
    else if (dense && kh == 3 && kw == 3 && paired)
        pool_loop(p, maxima, 3, 3, 1, 1);
    else if (dense && kh == 3 && kw == 3)
        pool_loop(p, maxima, 3, 3, 0, 1);
    else if (paired)
        pool_loop(p, maxima, kh, kw, 1, 0);
    else
        pool_loop(p, maxima, kh, kw, 0, 0);
}

static void max_lines(const pool_lines *p) { pool_any(p, 1); }
static void avg_lines(const pool_lines *p) { pool_any(p, 0); }

/* ---- whole images: LANES of them at a time ---- */

ALWAYS_INLINE vec image_sums_of(const int vectors, const real *x, ptrdiff_t size) {
    vec part[LANES];
    lanes rest = lanes_set(0); /* the lanes of the last vector that the whole ones before it leave */
    for (int l = 0; l < LANES; l++) ((lane *)&rest)[l] = l >= LANES - size % LANES ? -1 : 0;
    for (int k = 0; k < LANES; k++, x += size) {
        vec sum = and_lanes(vec_load(x + size - LANES), rest);
        for (int i = 0; i < vectors; i++) sum += vec_load(x + i * LANES);
        part[k] = sum;
    }
    for (int w = LANES / 2; w > 0; w /= 2)
        for (int k = 0; k < w; k++) part[k] = evens(part[2 * k], part[2 * k + 1]) + odds(part[2 * k], part[2 * k + 1]);
    return part[0];
}

/* The sums of `size` neighbours (at least LANES) of LANES images. */
static vec image_sums(const real *x, ptrdiff_t size) {
    switch (size / LANES) {
        case 1: return image_sums_of(1, x, size);
        case 2: return image_sums_of(2, x, size);
        case 3: return image_sums_of(3, x, size);
        case 4: return image_sums_of(4, x, size);
        default: return image_sums_of((int)(size / LANES), x, size);
    }
}

/* ---- rows ---- */

/* Copy n elements, and up to LANES - 1 more. */
ALWAYS_INLINE void copy_over(const real *from, real *to, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i += LANES) vec_store(to + i, vec_load(from + i));
}

/* Write a value to n elements, and up to LANES - 1 more. */
ALWAYS_INLINE void fill_over(real *to, real value, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i += LANES) vec_store(to + i, vec_set(value));
}

/* Write a value to n elements, LANES or more. */
ALWAYS_INLINE void fill_exactly(real *to, real value, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n - LANES; i += LANES) vec_store(to + i, vec_set(value));
    vec_store(to + n - LANES, vec_set(value));
}

/* Add n elements of two rows, and up to LANES - 1 more. */
ALWAYS_INLINE void add_over(const real *a, const real *b, real *to, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i += LANES) vec_store(to + i, vec_load(a + i) + vec_load(b + i));
}

ALWAYS_INLINE void scale_exactly(const real *x, const real *scales, real_alone to, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) to[i] = x[i] * scales[i];
}

ALWAYS_INLINE void zip_block(const real *a, const real *b, real *to) {
    vec x = vec_load(a), y = vec_load(b);
    vec_store(to, zip_low(x, y));
    vec_store(to + LANES, zip_high(x, y));
}

/* Write n elements: a[0], b[0], a[1], b[1] ...  Reads up to LANES - 1 elements too many. */
static void zip_exactly(const real *a, const real *b, real *to, ptrdiff_t n) {
    const ptrdiff_t pairs = n / 2, last = pairs - LANES;
    if (last < 0) {
        real part[2 * LANES];
        zip_block(a, b, part);
        memcpy(to, part, n * sizeof(real));
        return;
    }
    for (ptrdiff_t i = 0; i < last; i += LANES) zip_block(a + i, b + i, to + 2 * i);
    zip_block(a + last, b + last, to + 2 * last);
    if (n % 2) to[n - 1] = a[pairs];
}

/* Add lines of dy to the places of the maxima: places[offset] from the beginning of each window. */
static void scatter(const real *dy, const uint8_t *offsets, ptrdiff_t lines, ptrdiff_t count, const ptrdiff_t *places,
                    ptrdiff_t advance, ptrdiff_t step, real *dx) {
    for (ptrdiff_t i = 0; i < lines; i++, dx += advance, dy += count, offsets += count)
        for (ptrdiff_t j = 0; j < count; j++) dx[step * j + places[offsets[j]]] += dy[j];
}

/* ---- backward: lines of windows that do not overlap ---- */

/* `lines` lines of `count` windows of kh x kw (kw <= 2) elements, 2 columns apart: each element of dy goes to the place of
 * its maximum (offsets) or, scaled, to all places.  Row u of line i is written to dx + i * advance + u * width.
 * Lines shorter than a vector are read, and rows written, with whole vectors while there is `room` in dy and dx. */
typedef struct {
    const real *dy;
    const uint8_t *offsets; /* NULL: averages */
    const real *scales;
    int kh, kw;
    ptrdiff_t lines, count, advance, width, scale_advance;
    real *dx;
    ptrdiff_t dy_room, dx_room;
} spread_lines;

/* Write n elements from `at` on, then zeros; n is even and at most 2 * LANES. */
ALWAYS_INLINE void put_pairs(const spread_lines *s, ptrdiff_t at, ptrdiff_t n, ptrdiff_t zeros, vec low, vec high) {
    real *dx = s->dx + at;
    if (s->dx_room - at >= 2 * LANES) {
        vec_store(dx, low);
        if (n > LANES) vec_store(dx + LANES, high);
    } else {
        real part[2 * LANES];
        vec_store(part, low);
        vec_store(part + LANES, high);
        memcpy(dx, part, n * sizeof(real));
    }
    for (ptrdiff_t j = 0; j < zeros; j++) dx[n + j] = 0;
}

ALWAYS_INLINE void spread_loop(const spread_lines *lines, const int kh, const int kw, const int maxima) {
    const spread_lines copy = *lines, *s = &copy; /* which no store can change */
    const ptrdiff_t n = s->count < LANES ? s->count : LANES, last = s->count - n;
    const vec zero = vec_set((real)0);
    for (ptrdiff_t i = 0; i < s->lines; i++) {
        prefetch(s->dy + i * s->count, s->count);
        prefetch_for_writing(s->dx + i * s->advance, s->advance);
        for (ptrdiff_t q = 0;; q = q + n < last ? q + n : last) {
            const ptrdiff_t at = i * s->count + q, zeros = q == last ? s->width - 2 * s->count : 0;
            vec dy = zero;
            lanes offset = lanes_set(0);
            if (s->dy_room - at >= LANES) {
                dy = vec_load(s->dy + at);
                if (maxima) offset = load_bytes(s->offsets + at);
            } else {
                uint8_t part[LANES] = {0};
                memcpy(&dy, s->dy + at, n * sizeof(real));
                if (maxima) offset = load_bytes(memcpy(part, s->offsets + at, n));
            }
            if (!maxima) dy *= vec_load(s->scales + i * s->scale_advance + q);
            for (int u = 0; u < kh; u++) {
                vec a = dy, b = kw == 2 ? dy : zero;
                if (maxima) {
                    a = choose(is_equal(offset, lanes_set(u * kw)), dy, zero);
                    if (kw == 2) b = choose(is_equal(offset, lanes_set(u * kw + 1)), dy, zero);
                }
                put_pairs(s, i * s->advance + u * s->width + 2 * q, 2 * n, zeros, zip_low(a, b), zip_high(a, b));
            }
            if (q == last) break;
        }
    }
}

static void spread(const spread_lines *s) {
    if (s->kh == 2 && s->kw == 2 && s->offsets)
        spread_loop(s, 2, 2, 1);
    else if (s->kh == 2 && s->kw == 2)
        spread_loop(s, 2, 2, 0);
    else
        spread_loop(s, s->kh, s->kw, s->offsets != NULL);
}

#endif
