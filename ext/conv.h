/* The innermost loops of convolution: tiles of sums held in registers, over operands that are not packed.
 *
 * x is an image in which every element under the kernel is a constant shift (phases.pxd), so tiles read it where it lies.
 * The lanes of a tile are output positions or output channels; the other operand is broadcast.
 */
#ifndef TINYGRAD_CNN_CONV_H
#define TINYGRAD_CNN_CONV_H

#include "gemm.h"
#include "shuffle.h"
#include "vexp.h"

#if defined(__AVX512F__)
enum { DOT_SUMS = 24, DOT_ROWS = 4, DOT_TAPS = 12 };
#else
enum { DOT_SUMS = 8, DOT_ROWS = 2, DOT_TAPS = 8 };
#endif

/* Keeps a vector in a register, where the compiler would rather load it again for each of two or three products. */
#if defined(__GNUC__) && defined(__x86_64__)
#define IN_REGISTER(vector) __asm__("" : "+v"(vector))
#else
#define IN_REGISTER(vector) ((void)0)
#endif

/* Panels of output channels have up to three vectors; the more they have, the fewer positions fit in a tile. */
enum { PANEL_VECS = 3, WIDE_ROWS = TILE_ROWS * TILE_VECS / PANEL_VECS };

/* Fewer rows of sums leave registers for more vectors in each. */
ALWAYS_INLINE int position_vecs(int rows) {
#if defined(__AVX512F__)
    return rows <= 2 ? 8 : rows == 3 ? 6 : rows <= 6 ? 4 : rows <= 8 ? 3 : 2;
#else
    return rows == 1 ? 6 : rows == 2 ? 4 : rows == 3 ? 3 : 2;
#endif
}

/* y[r][v]  =  start + sum over k of  w[k][r] * x[offsets[k] + v * step ...]       lanes = positions, w packed as [depth][rows]
 *
 * It starts from bias[r], or from sums[r][v] unless that is NULL.  What is smaller than `least` becomes `least`.  What lies
 * `ahead` of x is fetched meanwhile: the next strip.
 */
ALWAYS_INLINE void positions_of(const int rows, const int vecs, ptrdiff_t depth, const real *w, const real *x,
                                const ptrdiff_t *offsets, ptrdiff_t step, ptrdiff_t ahead, const real *bias,
                                const real *sums, ptrdiff_t lds, real least, real *y, ptrdiff_t ldy) {
    vec sum[TILE_ROWS][8];
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int v = 0; v < vecs; v++) sum[r][v] = vec_set((real)0);
    TWO_STEPS
    for (ptrdiff_t k = 0; k < depth; k++, w += rows) {
        const real *from = x + offsets[k];
        vec row[8];
        if (vecs == TILE_VECS) PREFETCH_FAR(from + ahead);
        UNROLLED for (int v = 0; v < vecs; v++) {
            row[v] = vec_load(from + v * step);
            if (rows > 1) IN_REGISTER(row[v]);
        }
        UNROLLED for (int r = 0; r < rows; r++)
            UNROLLED for (int v = 0; v < vecs; v++) sum[r][v] += w[r] * row[v];
    }
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int v = 0; v < vecs; v++) {
            const vec start = sums ? vec_load(sums + r * lds + v * LANES) : vec_set(bias[r]);
            vec_store(y + r * ldy + v * LANES, vec_max(vec_set(least), start + sum[r][v]));
        }
}

/* As many vectors as fit in the registers, of `left` that are wanted: returns their number. */
ALWAYS_INLINE int positions_some(const int rows, ptrdiff_t left, ptrdiff_t depth, const real *w, const real *x,
                                 const ptrdiff_t *offsets, ptrdiff_t step, ptrdiff_t ahead, const real *bias,
                                 const real *sums, ptrdiff_t lds, real least, real *y, ptrdiff_t ldy) {
#define TRY(vecs) \
    if (vecs <= position_vecs(rows) && vecs <= left) { \
        positions_of(rows, vecs, depth, w, x, offsets, step, ahead, bias, sums, lds, least, y, ldy); \
        return vecs; \
    }
    TRY(8) TRY(6) TRY(4) TRY(3) TRY(2)
#undef TRY
    positions_of(rows, 1, depth, w, x, offsets, step, ahead, bias, sums, lds, least, y, ldy);
    return 1;
}

static int positions_tile(int rows, ptrdiff_t left, ptrdiff_t depth, const real *w, const real *x, const ptrdiff_t *offsets,
                          ptrdiff_t step, ptrdiff_t ahead, const real *bias, const real *sums, ptrdiff_t lds, real least, real *y,
                          ptrdiff_t ldy) {
    switch (rows) {
#define CASE(n) case n: return positions_some(n, left, depth, w, x, offsets, step, ahead, bias, sums, lds, least, y, ldy);
        FOR_ROWS(CASE)
#undef CASE
    }
    return 1;
}

/* A plane under a 3x3 kernel, stride 1: so many rows of y at once that each vector of x serves three of them.  columns >= LANES;
 * the last tiles overlap.
 */
#if defined(__AVX512F__)
enum { PLANE_ROWS = 7 };
#else
enum { PLANE_ROWS = 4 };
#endif

typedef struct {
    const real *x;            /* the element under the middle of the kernel for the first output */
    const real *top, *bottom; /* the rows above and below those of x */
    ptrdiff_t pitch;
    int framed; /* zeros are to the left and right of x, and not in memory */
} plane;

/* Row t of the rows + 2 that rows i, i + 1 ... of `all` need, at column j. */
ALWAYS_INLINE const real *plane_row(const plane *p, const int rows, ptrdiff_t all, ptrdiff_t i, ptrdiff_t j, const int t) {
    if (t == 0 && i == 0) return p->top + j;
    if (t == rows + 1 && i + rows == all) return p->bottom + j;
    return p->x + (i + t - 1) * p->pitch + j;
}

/* What lies under column v of the kernel; `from` is what lies under its middle. */
ALWAYS_INLINE vec plane_tap(const real *from, const int v, const int left, const int right) {
    if (v == 0 && left) return shift_up(vec_load(from));
    if (v == 2 && right) return shift_down(vec_load(from));
    return vec_load(from + v - 1);
}

ALWAYS_INLINE void plane_tile(const int rows, const int left, const int right, const plane *p, ptrdiff_t all, ptrdiff_t i,
                              ptrdiff_t j, const vec *w, vec bias, vec least, real *y, ptrdiff_t ldy, ptrdiff_t ahead) {
    vec sum[PLANE_ROWS];
    UNROLLED for (int r = 0; r < rows; r++) sum[r] = bias;
    UNROLLED for (int t = 0; t < rows + 2; t++) {
        const real *from = plane_row(p, rows, all, i, j, t);
        UNROLLED for (int v = 0; v < 3; v++) {
            vec tap = plane_tap(from, v, left, right);
            IN_REGISTER(tap);
            UNROLLED for (int u = 0; u < 3; u++)
                if (0 <= t - u && t - u < rows) sum[t - u] += w[u * 3 + v] * tap;
        }
    }
    UNROLLED for (int r = 0; r < rows; r++) {
        vec_store(y + r * ldy + j, vec_max(least, sum[r]));
        PREFETCH(y + r * ldy + j + ahead, 1);
    }
}

ALWAYS_INLINE void plane_rows(const int rows, const plane *p, ptrdiff_t all, ptrdiff_t i, ptrdiff_t columns, const vec *w,
                              vec bias, vec least, real *y, ptrdiff_t ldy) {
    for (ptrdiff_t j = 0; j < columns; j += LANES) {
        if (j > columns - LANES) j = columns - LANES;
        const int left = p->framed && j == 0, right = p->framed && j == columns - LANES;
#define TILE(left, right) plane_tile(rows, left, right, p, all, i, j, w, bias, least, y + i * ldy, ldy, all * ldy)
        if (left && right) TILE(1, 1);
        else if (left) TILE(1, 0);
        else if (right) TILE(0, 1);
        else TILE(0, 0);
#undef TILE
    }
}

static void plane_3x3(ptrdiff_t rows, ptrdiff_t columns, const plane *p, const real *w, real bias, real least, real *y,
                      ptrdiff_t ldy) {
    const vec start = vec_set(bias), bound = vec_set(least);
    vec weights[9];
    for (int k = 0; k < 9; k++) weights[k] = vec_set(w[k]);
    if (rows < PLANE_ROWS) {
        for (ptrdiff_t i = 0; i < rows; i++) plane_rows(1, p, rows, i, columns, weights, start, bound, y, ldy);
        return;
    }
    for (ptrdiff_t i = 0; i < rows; i += PLANE_ROWS) {
        if (i > rows - PLANE_ROWS) i = rows - PLANE_ROWS;
        plane_rows(PLANE_ROWS, p, rows, i, columns, weights, start, bound, y, ldy);
    }
}

/* sum[u][v]  +=  products of rows of dy with what lies under kernel element (u, v), in lanes */
ALWAYS_INLINE void plane_products_of(const int rows, const int left, const int right, const plane *p, ptrdiff_t all,
                                     ptrdiff_t i, ptrdiff_t j, const real *dy, ptrdiff_t ldy, vec used, vec *sum) {
    vec row[PLANE_ROWS];
    UNROLLED for (int r = 0; r < rows; r++) {
        row[r] = vec_and(vec_load(dy + (i + r) * ldy + j), used);
        PREFETCH(dy + (i + r + all) * ldy + j, 0);
    }
    UNROLLED for (int t = 0; t < rows + 2; t++) {
        const real *from = plane_row(p, rows, all, i, j, t);
        if (t < rows) PREFETCH(from + all * p->pitch, 0);
        UNROLLED for (int v = 0; v < 3; v++) {
            vec tap = plane_tap(from, v, left, right);
            IN_REGISTER(tap);
            UNROLLED for (int u = 0; u < 3; u++)
                if (0 <= t - u && t - u < rows) sum[u * 3 + v] += row[t - u] * tap;
        }
    }
}

ALWAYS_INLINE void plane_column(const int left, const int right, const plane *p, ptrdiff_t rows, ptrdiff_t j, const real *dy,
                                ptrdiff_t ldy, vec used, vec *sum) {
    ptrdiff_t i = 0;
    for (; i + PLANE_ROWS <= rows; i += PLANE_ROWS)
        plane_products_of(PLANE_ROWS, left, right, p, rows, i, j, dy, ldy, used, sum);
    for (; i < rows; i++) plane_products_of(1, left, right, p, rows, i, j, dy, ldy, used, sum);
}

/* sums[k]  +=  products of a plane of dy with what lies under element k of a 3x3 kernel, in lanes; columns >= LANES */
static void plane_products(ptrdiff_t rows, ptrdiff_t columns, const plane *p, const real *dy, ptrdiff_t ldy, real *sums) {
    const vec rest = last_lanes((columns - 1) % LANES + 1), all = last_lanes(LANES);
    vec sum[9];
    UNROLLED for (int k = 0; k < 9; k++) sum[k] = vec_set((real)0);
    for (ptrdiff_t j = 0; j < columns; j += LANES) {
        const vec used = j <= columns - LANES ? all : rest; /* the last vector overlaps */
        if (j > columns - LANES) j = columns - LANES;
        const int left = p->framed && j == 0, right = p->framed && j == columns - LANES;
        if (left && right) plane_column(1, 1, p, rows, j, dy, ldy, used, sum);
        else if (left) plane_column(1, 0, p, rows, j, dy, ldy, used, sum);
        else if (right) plane_column(0, 1, p, rows, j, dy, ldy, used, sum);
        else plane_column(0, 0, p, rows, j, dy, ldy, used, sum);
    }
    UNROLLED for (int k = 0; k < 9; k++) vec_store(sums + k * LANES, vec_load(sums + k * LANES) + sum[k]);
}

/* y[r]  (+)=  sum over k of  x[offsets[k] + r * step] * w[k]       lanes = output channels, rows = neighbours in a row
 *
 * w and y are packed: vecs * LANES outputs for each k or position.  What is smaller than `least` becomes `least`.  What lies
 * `ahead` of x is fetched meanwhile.  Rows are reached in threes, since an address can hold step and 2 * step, but not more.
 */
ALWAYS_INLINE void outputs_of(const int rows, const int vecs, ptrdiff_t depth, const real *x, const ptrdiff_t *offsets,
                              ptrdiff_t step, ptrdiff_t ahead, const real *w, real *y, int accumulate, real least) {
    vec sum[TILE_ROWS][PANEL_VECS];
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int v = 0; v < vecs; v++) sum[r][v] = vec_set((real)0);
    TWO_STEPS
    for (ptrdiff_t k = 0; k < depth; k++, w += vecs * LANES) {
        const real *from = x + offsets[k];
        vec row[PANEL_VECS];
        if (vecs > 1) PREFETCH_FAR(from + ahead);
        UNROLLED for (int v = 0; v < vecs; v++) row[v] = vec_load(w + v * LANES);
        UNROLLED for (int r = 0; r < rows; r++)
            UNROLLED for (int v = 0; v < vecs; v++) sum[r][v] += (from + r / 3 * 3 * step)[r % 3 * step] * row[v];
    }
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int v = 0; v < vecs; v++) {
            real *to = y + (r * vecs + v) * LANES;
            vec_store(to, vec_max(vec_set(least), accumulate ? vec_load(to) + sum[r][v] : sum[r][v]));
        }
}

static void outputs_tile(int rows, int vecs, ptrdiff_t depth, const real *x, const ptrdiff_t *offsets, ptrdiff_t step,
                         ptrdiff_t ahead, const real *w, real *y, int accumulate, real least) {
    switch (rows) {
#define CASE(n) \
    case n: \
        if (vecs == 1) { \
            outputs_of(n, 1, depth, x, offsets, step, ahead, w, y, accumulate, least); \
        } else if (vecs == PANEL_VECS) { \
            outputs_of(n <= WIDE_ROWS ? n : 1, PANEL_VECS, depth, x, offsets, step, ahead, w, y, accumulate, least); \
        } else { \
            outputs_of(n, TILE_VECS, depth, x, offsets, step, ahead, w, y, accumulate, least); \
        } \
        break;
        FOR_ROWS(CASE)
#undef CASE
    }
}

/* Write the bias of a panel of `outputs` maps to the sums of each position; what the panel has room for beyond them is 0. */
static void start_sums(ptrdiff_t positions, int vecs, ptrdiff_t outputs, const real *bias, real *sums) {
    vec row[PANEL_VECS];
    memset(row, 0, sizeof row);
    memcpy(row, bias, (size_t)outputs * sizeof(real));
    for (ptrdiff_t q = 0; q < positions; q++)
        for (int v = 0; v < vecs; v++, sums += LANES) vec_store(sums, row[v]);
}

/* dw[r]  +=  sum over runs i, q < length of  x[starts[i] + offsets[r] + q * step] * dy[i * length + q]    lanes = outputs
 *
 * The sums of one call start at zero, so that rounding errors grow with its length and not with that of the batch.
 */
ALWAYS_INLINE void taps_of(const int rows, const int vecs, ptrdiff_t runs, const ptrdiff_t *starts, ptrdiff_t length,
                           const real *x, ptrdiff_t step, const ptrdiff_t *offsets, const real *dy, real *dw) {
    vec sum[TILE_ROWS][TILE_VECS];
    const real *tap[TILE_ROWS];
    UNROLLED for (int r = 0; r < rows; r++) {
        tap[r] = x + offsets[r];
        UNROLLED for (int v = 0; v < vecs; v++) sum[r][v] = vec_set((real)0);
    }
    for (ptrdiff_t i = 0; i < runs; i++)
        TWO_STEPS
        for (ptrdiff_t q = starts[i]; q < starts[i] + length * step; q += step, dy += vecs * LANES) {
            vec row[TILE_VECS];
            UNROLLED for (int v = 0; v < vecs; v++) row[v] = vec_load(dy + v * LANES);
            UNROLLED for (int r = 0; r < rows; r++)
                UNROLLED for (int v = 0; v < vecs; v++) sum[r][v] += tap[r][q] * row[v];
        }
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int v = 0; v < vecs; v++) {
            real *to = dw + (r * vecs + v) * LANES;
            vec_store(to, vec_load(to) + sum[r][v]);
        }
}

static void taps_tile(int rows, int vecs, ptrdiff_t runs, const ptrdiff_t *starts, ptrdiff_t length, const real *x,
                      ptrdiff_t step, const ptrdiff_t *offsets, const real *dy, real *dw) {
    switch (rows) {
#define CASE(n) \
    case n: \
        if (vecs == 1) { \
            taps_of(n, 1, runs, starts, length, x, step, offsets, dy, dw); \
        } else { \
            taps_of(n, TILE_VECS, runs, starts, length, x, step, offsets, dy, dw); \
        } \
        break;
        FOR_ROWS(CASE)
#undef CASE
    }
}

/* sums[r][t]  +=  products of LANES neighbours, over all of  y_r[i * run_y + q] * x[offsets[t] + i * run_x + q],  q < length
 *
 * for runs i.  y_r begins at y + r * ldy; length >= LANES.  The lanes are added up later, by the caller.
 */
ALWAYS_INLINE void dots_of(const int rows, const int taps, ptrdiff_t runs, ptrdiff_t length, const real *y, ptrdiff_t ldy,
                           ptrdiff_t run_y, const real *x, ptrdiff_t run_x, const ptrdiff_t *offsets, real *sums) {
    const vec rest = last_lanes((length - 1) % LANES + 1), all = last_lanes(LANES);
    vec sum[DOT_ROWS][DOT_TAPS];
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int t = 0; t < taps; t++) sum[r][t] = vec_set((real)0);
    for (; runs > 0; runs--, y += run_y, x += run_x)
        for (ptrdiff_t q = 0; q < length; q += LANES) {
            const vec used = q <= length - LANES ? all : rest; /* the last vector overlaps */
            if (q > length - LANES) q = length - LANES;
            vec row[DOT_ROWS];
            UNROLLED for (int r = 0; r < rows; r++) {
                row[r] = vec_and(vec_load(y + r * ldy + q), used);
                PREFETCH(y + (rows + r) * ldy + q, 0); /* comes next */
            }
            UNROLLED for (int t = 0; t < taps; t++) {
                vec tap = vec_load(x + offsets[t] + q);
                if (rows > 1) IN_REGISTER(tap);
                UNROLLED for (int r = 0; r < rows; r++) sum[r][t] += row[r] * tap;
            }
        }
    UNROLLED for (int r = 0; r < rows; r++)
        UNROLLED for (int t = 0; t < taps; t++) {
            real *to = sums + (r * taps + t) * LANES;
            vec_store(to, vec_load(to) + sum[r][t]);
        }
}

static void dots(int rows, int taps, ptrdiff_t runs, ptrdiff_t length, const real *y, ptrdiff_t ldy, ptrdiff_t run_y,
                 const real *x, ptrdiff_t run_x, const ptrdiff_t *offsets, real *sums) {
#define CASE(r, t) \
    case r * 16 + t: dots_of(r, t, runs, length, y, ldy, run_y, x, run_x, offsets, sums); break;
#define TAPS4(r) CASE(r, 1) CASE(r, 2) CASE(r, 3) CASE(r, 4)
#define TAPS8(r) TAPS4(r) CASE(r, 5) CASE(r, 6) CASE(r, 7) CASE(r, 8)
    switch (rows * 16 + taps) {
#if defined(__AVX512F__)
        TAPS8(1) CASE(1, 9) CASE(1, 10) CASE(1, 11) CASE(1, 12)
        TAPS8(2) CASE(2, 9) CASE(2, 10) CASE(2, 11) CASE(2, 12)
        TAPS8(3)
        TAPS4(4) CASE(4, 5) CASE(4, 6)
#else
        TAPS8(1) TAPS4(2)
#endif
    }
#undef TAPS8
#undef TAPS4
#undef CASE
}

/* to[j][i] = from[i][j] for LANES x LANES elements. */
ALWAYS_INLINE void transpose_block(const real *from, ptrdiff_t ldf, real *to, ptrdiff_t ldt) {
    vec line[LANES];
    for (int i = 0; i < LANES; i++) line[i] = vec_load(from + i * ldf);
    transpose_lanes(line);
    for (int i = 0; i < LANES; i++) vec_store(to + i * ldt, line[i]);
}

/* Whole blocks, for `rows` a multiple of LANES: reads up to LANES - 1 elements behind each row, and writes rows for them. */
static void transpose_blocks(ptrdiff_t rows, ptrdiff_t columns, const real *from, ptrdiff_t ldf, real *to, ptrdiff_t ldt) {
    for (ptrdiff_t i = 0; i < rows; i += LANES)
        for (ptrdiff_t j = 0; j < columns; j += LANES) transpose_block(from + i * ldf + j, ldf, to + j * ldt + i, ldt);
}

/* transpose_block for rows x columns elements at an edge; `to` gets zeros for the missing rows if it has room for them. */
static void transpose_edge(ptrdiff_t rows, ptrdiff_t columns, const real *from, ptrdiff_t ldf, real *to, ptrdiff_t ldt,
                           ptrdiff_t room) {
    real a[LANES * LANES], b[LANES * LANES];
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < LANES; j++) a[i * LANES + j] = i < rows && j < columns ? from[i * ldf + j] : (real)0;
    transpose_block(a, LANES, b, LANES);
    if (room >= LANES)
        for (ptrdiff_t j = 0; j < columns; j++) vec_store(to + j * ldt, vec_load(b + j * LANES));
    else
        for (ptrdiff_t j = 0; j < columns; j++)
            for (ptrdiff_t i = 0; i < room; i++) to[j * ldt + i] = b[j * LANES + i];
}

/* to[j][i] = from[i][j] for i < rows, j < columns, and 0 for rows <= i < padded. */
static void transpose(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t padded, const real *from, ptrdiff_t ldf, real *to,
                      ptrdiff_t ldt) {
    if (padded == 1) {
        for (ptrdiff_t j = 0; j < columns; j++) to[j * ldt] = from[j];
        return;
    }
    for (ptrdiff_t i = 0; i < padded; i += LANES)
        for (ptrdiff_t j = 0; j < columns; j += LANES)
            if (i + LANES <= rows && j + LANES <= columns)
                transpose_block(from + i * ldf + j, ldf, to + j * ldt + i, ldt);
            else
                transpose_edge(rows - i, columns - j < LANES ? columns - j : LANES, from + i * ldf + j, ldf,
                               to + j * ldt + i, ldt, padded - i);
}

/* Fetches lines of each map that will be written soon: memory answers while sums are computed. */
static void fetch_maps(ptrdiff_t maps, real *y, ptrdiff_t plane, ptrdiff_t vecs) {
    for (ptrdiff_t o = 0; o < maps; o++)
        for (ptrdiff_t v = 0; v < vecs; v++) PREFETCH(y + o * plane + v * LANES, 1);
}

/* Rows of evens + odds elements, taken in turn from two images with rows of `evens` (odds, or one more) and of `odds` elements,
 * lde and ldo apart.  LANES / 2 elements behind each image are read. */
static void interleave_rows(ptrdiff_t rows, ptrdiff_t evens, ptrdiff_t odds, const real *even, ptrdiff_t lde, const real *odd,
                            ptrdiff_t ldo, real *to, ptrdiff_t ldt) {
    enum { PAIRS = LANES / 2 };
    for (ptrdiff_t i = 0; i < rows; i++, even += lde, odd += ldo, to += ldt) {
        ptrdiff_t j = 0;
        if (LANES > 1 && odds >= PAIRS) {
            for (; j < odds; j += PAIRS) {
                if (j > odds - PAIRS) j = odds - PAIRS; /* the last vector overlaps */
                vec_store(to + 2 * j, zip_low(vec_load(even + j), vec_load(odd + j)));
            }
        }
        for (; j < evens; j++) {
            to[2 * j] = even[j];
            if (j < odds) to[2 * j + 1] = odd[j];
        }
    }
}

#endif
