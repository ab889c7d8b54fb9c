/* Elements at places that integers name: read (gather), combined with values (scatter), added up with weights (sample); and
 * where extremes are (locate). */
#ifndef TINYGRAD_CNN_PLACES_H
#define TINYGRAD_CNN_PLACES_H

#include <stdint.h>

#include "simd.h"

/* Rows of K elements, A of them in each of P arrays, and B places each.  Column k of place b is in row index[p / shared, b, k],
 * or if not `wide` index[p / shared, b]; negative numbers count from the end. */
typedef struct {
    const real *from;
    real *to;
    const int64_t *index;
    ptrdiff_t p, a, b, k, shared;
    int wide;
} places;

/* Whether all rows exist. */
static int within(const int64_t *index, ptrdiff_t count, ptrdiff_t rows) {
    int64_t low = 0, high = -1;
    for (ptrdiff_t i = 0; i < count; i++) {
        low = index[i] < low ? index[i] : low;
        high = index[i] > high ? index[i] : high;
    }
    return low >= -rows && high < rows;
}

/* Return where the index of array p begins at place b. */
ALWAYS_INLINE const int64_t *index_at(const places *m, ptrdiff_t p, ptrdiff_t b) {
    return m->index + (p / m->shared * m->b + b) * (m->wide ? m->k : 1);
}

/* to (P, B, K): its rows [first, end) are those of from (P, A, K). */
ALWAYS_INLINE void gather_rows(const int wide, const ptrdiff_t k, const places *m, ptrdiff_t p, ptrdiff_t first,
                               ptrdiff_t end) {
    const real *from = m->from + p * m->a * k;
    const int64_t *index = index_at(m, p, first);
    const ptrdiff_t a = m->a, columns = wide ? k : 1;
    real_alone to = m->to + (p * m->b + first) * k;
    for (ptrdiff_t b = first; b < end; b++, index += columns, to += k)
        for (ptrdiff_t j = 0; j < k; j++) {
            const ptrdiff_t i = (ptrdiff_t)index[wide ? j : 0];
            to[j] = from[(i < 0 ? i + a : i) * k + j];
        }
}

static void gather_part(const places *m, ptrdiff_t p, ptrdiff_t first, ptrdiff_t end) {
    if (m->k == 1)
        gather_rows(1, 1, m, p, first, end);
    else if (m->wide)
        gather_rows(1, m->k, m, p, first, end);
    else
        gather_rows(0, m->k, m, p, first, end);
}

enum { ADD, SET, MUL, MAXIMUM, MINIMUM };

ALWAYS_INLINE real combine(const int op, real old, real value) {
    switch (op) {
        case ADD: return old + value;
        case SET: return value;
        case MUL: return old * value;
        case MAXIMUM: return (value > old) | (value != value) ? value : old;
        default: return (value < old) | (value != value) ? value : old;
    }
}

/* to (P, A, K): columns [first, end) of its rows are combined with those of from (P, B, K), in order. */
ALWAYS_INLINE void scatter_columns(const int op, const int wide, const ptrdiff_t k, const places *m, ptrdiff_t p,
                                   ptrdiff_t first, ptrdiff_t end) {
    const real *from = m->from + p * m->b * k;
    const int64_t *index = index_at(m, p, 0);
    const ptrdiff_t a = m->a, columns = wide ? k : 1;
    real_alone to = m->to + p * a * k;
    for (ptrdiff_t b = 0; b < m->b; b++, index += columns, from += k)
        for (ptrdiff_t j = first; j < end; j++) {
            const ptrdiff_t i = (ptrdiff_t)index[wide ? j : 0], at = (i < 0 ? i + a : i) * k + j;
            to[at] = combine(op, to[at], from[j]);
        }
}

ALWAYS_INLINE void scatter_op(const int op, const places *m, ptrdiff_t p, ptrdiff_t first, ptrdiff_t end) {
    if (m->k == 1)
        scatter_columns(op, 1, 1, m, p, 0, 1);
    else if (m->wide)
        scatter_columns(op, 1, m->k, m, p, first, end);
    else
        scatter_columns(op, 0, m->k, m, p, first, end);
}

static void scatter_part(int op, const places *m, ptrdiff_t p, ptrdiff_t first, ptrdiff_t end) {
    switch (op) {
        case ADD: scatter_op(ADD, m, p, first, end); break;
        case SET: scatter_op(SET, m, p, first, end); break;
        case MUL: scatter_op(MUL, m, p, first, end); break;
        case MAXIMUM: scatter_op(MAXIMUM, m, p, first, end); break;
        default: scatter_op(MINIMUM, m, p, first, end);
    }
}

/* ---- weighted sums: x (N, C, A), y (N, C, B), index and w (N, J, B); below 0 the index names a 0 ---- */

typedef struct {
    const real *x, *w, *dy;
    real *y;
    const int32_t *index;
    ptrdiff_t c, a, b, taps;
} sampling;

/* y, of one channel, = sum over j of w[j, b] * x[index[j, b]]. */
static void sample_channel(const sampling *s, ptrdiff_t n, ptrdiff_t c) {
    const real *x = s->x + (n * s->c + c) * s->a;
    real_alone y = s->y + (n * s->c + c) * s->b;
    for (ptrdiff_t b = 0; b < s->b; b++) y[b] = 0;
    for (ptrdiff_t j = n * s->taps; j < (n + 1) * s->taps; j++) {
        const int32_t *index = s->index + j * s->b;
        const real *w = s->w + j * s->b;
        for (ptrdiff_t b = 0; b < s->b; b++) { /* without a branch, so that vectors can gather */
            const real value = x[index[b] < 0 ? 0 : index[b]];
            y[b] += w[b] * (index[b] < 0 ? 0 : value);
        }
    }
}

/* Its adjoint in x: y (N, C, A), of one channel, = sum over j and b of w[j, b] * dy[b] at index[j, b]. */
static void sample_input_channel(const sampling *s, ptrdiff_t n, ptrdiff_t c) {
    const real *dy = s->dy + (n * s->c + c) * s->b;
    real_alone y = s->y + (n * s->c + c) * s->a;
    for (ptrdiff_t a = 0; a < s->a; a++) y[a] = 0;
    for (ptrdiff_t j = n * s->taps; j < (n + 1) * s->taps; j++) {
        const int32_t *index = s->index + j * s->b;
        const real *w = s->w + j * s->b;
        for (ptrdiff_t b = 0; b < s->b; b++)
            if (index[b] >= 0) y[index[b]] += w[b] * dy[b];
    }
}

/* Its adjoint in w: y (N, J, B), of one tap, = sum over channels of dy[c, b] * x[c, index[j, b]]. */
static void sample_weight_tap(const sampling *s, ptrdiff_t n, ptrdiff_t j) {
    const int32_t *index = s->index + (n * s->taps + j) * s->b;
    real_alone y = s->y + (n * s->taps + j) * s->b;
    for (ptrdiff_t b = 0; b < s->b; b++) y[b] = 0;
    for (ptrdiff_t c = n * s->c; c < (n + 1) * s->c; c++) {
        const real *x = s->x + c * s->a, *dy = s->dy + c * s->b;
        for (ptrdiff_t b = 0; b < s->b; b++) {
            const real value = x[index[b] < 0 ? 0 : index[b]];
            y[b] += dy[b] * (index[b] < 0 ? 0 : value);
        }
    }
}

/* ---- places of extremes ---- */

/* at (P, B, K): which row of x (P, A, K), from starts[b] to starts[b] + counts[b] - 1, holds the largest sign * x of its
 * column; the first of equals, and a NaN is larger than any number. */
typedef struct {
    const real *x;
    int64_t *at;
    const int64_t *starts, *counts;
    ptrdiff_t p, a, b, k;
    real sign;
} locating;

enum { COLUMNS = 256 }; /* whose extremes so far stay in the cache */

ALWAYS_INLINE void locate_columns(const locating *s, ptrdiff_t p, ptrdiff_t b, ptrdiff_t first, const ptrdiff_t columns) {
    const real *x = s->x + (p * s->a + s->starts[b]) * s->k + first;
    real best[COLUMNS];
    int64_t rows[COLUMNS];
    for (ptrdiff_t j = 0; j < columns; j++) best[j] = s->sign * x[j], rows[j] = s->starts[b];
    for (int64_t i = 1; i < s->counts[b]; i++)
        for (ptrdiff_t j = 0; j < columns; j++) {
            const real value = s->sign * x[i * s->k + j];
            const int better = (value > best[j]) | ((value != value) & (best[j] == best[j]));
            best[j] = better ? value : best[j];
            rows[j] = better ? s->starts[b] + i : rows[j];
        }
    memcpy(s->at + (p * s->b + b) * s->k + first, rows, sizeof(int64_t) * columns);
}

static void locate_part(const locating *s, ptrdiff_t p, ptrdiff_t b, ptrdiff_t first) {
    if (s->k == 1)
        locate_columns(s, p, b, 0, 1);
    else
        locate_columns(s, p, b, first, s->k - first < COLUMNS ? s->k - first : COLUMNS);
}

#endif
