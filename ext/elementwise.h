/* Loops over elements: functions of arrays of one shape, arithmetic of two arrays that broadcast. */
#ifndef TINYGRAD_CNN_ELEMENTWISE_H
#define TINYGRAD_CNN_ELEMENTWISE_H

#include "vexp.h"

/* ---- functions of arrays of one shape ---- */

typedef struct {
    const real *a, *b; /* b: NULL for functions of one array */
    const unsigned char *condition;
    real *y;
    real number;
    ptrdiff_t size;
} map;

typedef void (*map_loop)(const map *m, ptrdiff_t from, ptrdiff_t to);

#define MAP(name, LOOP)                                                  \
    static void name##_map(const map *m, ptrdiff_t from, ptrdiff_t to) { \
        const real *a = m->a, *b = m->b;                                 \
        const real number = m->number;                                   \
        const unsigned char *condition = m->condition;                   \
        real_alone y = m->y;                                             \
        LOOP                                                             \
        (void)a, (void)b, (void)number, (void)condition;                 \
    }

/* Of numbers, for the compiler to vectorise: every operand is loaded in any case. */
#define MAP_NUMBERS(name, value) MAP(name, for (ptrdiff_t i = from; i < to; i++) { y[i] = (value); })

/* Of vectors: x holds elements of a. */
#define MAP_VECTORS(name, value)                             \
    MAP(name, for (ptrdiff_t i = from; i < to; i += LANES) { \
        const vec x = vec_load_to(a + i, to - i);            \
        vec_store_to(y + i, value, to - i);                  \
    })

#define SQRT(x) (sizeof(real) == 4 ? (real)sqrtf((float)(x)) : (real)sqrt(x))

/* Eigen's quotient of polynomials for single precision: 4 ulp. */
ALWAYS_INLINE vec single_erf(vec x) {
    static const double P[] = {-2.72614225801306e-10, 2.77068142495902e-08,  -2.10102402082508e-06, -5.69250639462346e-05,
                               -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02};
    static const double Q[] = {-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
                               -1.42647390514189e-02};
    x = vec_select(x > 4, vec_set((real)4), vec_select(x < -4, vec_set((real)-4), x));
    const vec square = x * x;
    vec p = vec_set((real)P[0]), q = vec_set((real)Q[0]);
    for (int i = 1; i < 7; i++) p = p * square + (real)P[i];
    for (int i = 1; i < 5; i++) q = q * square + (real)Q[i];
    const vec y = x * p / q;
    return vec_select(y > 1, vec_set((real)1), vec_select(y < -1, vec_set((real)-1), y));
}

ALWAYS_INLINE vec silu_slope(vec x) {
    const vec s = vec_set((real)1) / (vec_exp(-x) + 1);
    return s * (x * (1 - s) + 1);
}

MAP_NUMBERS(leaky_relu, a[i] > 0 ? a[i] : number * a[i])
MAP_NUMBERS(leaky_relu_grad, b[i] > 0 ? a[i] : number * a[i])
MAP_NUMBERS(sigmoid_grad, a[i] * b[i] * (1 - b[i]))
MAP_NUMBERS(tanh_grad, a[i] * (1 - b[i] * b[i]))
MAP_NUMBERS(abs, a[i] < 0 ? -a[i] : a[i] + 0)
MAP_NUMBERS(cube, a[i] * a[i] * a[i])
MAP_NUMBERS(sign, (real)(a[i] > 0) - (real)(a[i] < 0))
MAP(erf, for (ptrdiff_t i = from; i < to; i += LANES) {
    if (sizeof(real) == 4)
        vec_store_to(y + i, single_erf(vec_load_to(a + i, to - i)), to - i);
    else
        for (ptrdiff_t j = i; j < i + LANES && j < to; j++) y[j] = (real)erf(a[j]);
})
MAP_NUMBERS(relu6, a[i] < 0 ? 0 : a[i] > 6 ? 6 : a[i])
MAP_NUMBERS(relu6_grad, (b[i] <= 0) | (b[i] >= 6) ? 0 : a[i])
MAP_NUMBERS(hardswish, a[i] * (a[i] < -3 ? 0 : a[i] > 3 ? 6 : a[i] + 3) / 6)
MAP_NUMBERS(hardswish_grad, b[i] <= -3 ? 0 : b[i] < 3 ? a[i] * (b[i] / 3 + (real)0.5) : a[i])
MAP_NUMBERS(sqrt, SQRT(a[i]))
MAP_NUMBERS(rsqrt, 1 / SQRT(a[i]))
MAP_NUMBERS(reciprocal, 1 / a[i])
MAP_NUMBERS(where, condition[i] ? a[i] : b[i])
MAP_NUMBERS(where_else_number, condition[i] ? a[i] : number)
MAP_NUMBERS(where_number, condition[i] ? number : b[i])
MAP_VECTORS(exp, vec_exp(x))
MAP_VECTORS(expm1, vec_expm1(x))
MAP_VECTORS(log, vec_log(x))
MAP_VECTORS(log1p, vec_log1p(x))
MAP_VECTORS(sigmoid, vec_set((real)1) / (vec_exp(-x) + 1))
MAP_VECTORS(silu, x / (vec_exp(-x) + 1))
MAP_VECTORS(silu_grad, silu_slope(vec_load_to(b + i, to - i)) * x)

/* ---- functions of two arrays that broadcast ---- */

enum { ADD, SUB, MUL, DIV, MAXIMUM, MINIMUM };

ALWAYS_INLINE vec apply(const int op, vec a, vec b) {
    switch (op) {
        case ADD: return a + b;
        case SUB: return a - b;
        case MUL: return a * b;
        case DIV: return a / b;
        case MAXIMUM: return vec_select((a > b) | (a != a), a, b);
        default: return vec_select((a < b) | (a != a), a, b);
    }
}

enum { OUTER = 3 }; /* axes before the last one */

/* y (sizes, count) = a op b; the operands advance by a_strides and b_strides along the axes before the last, and along the
 * last one by a_step and b_step, 1 or 0. */
typedef struct {
    const real *a, *b;
    real *y;
    ptrdiff_t sizes[OUTER], a_strides[OUTER], b_strides[OUTER], count, a_step, b_step;
} broadcast;

ALWAYS_INLINE void broadcast_row(const int op, const int a_step, const int b_step, const real *a, const real *b, real *y,
                                 ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i += LANES) {
        const vec left = a_step ? vec_load_to(a + i, n - i) : vec_set(*a);
        const vec right = b_step ? vec_load_to(b + i, n - i) : vec_set(*b);
        vec_store_to(y + i, apply(op, left, right), n - i);
    }
}

/* Columns [begin, end) of rows [from, to). */
ALWAYS_INLINE void broadcast_loop(const int op, const int a_step, const int b_step, const broadcast *m, ptrdiff_t from,
                                  ptrdiff_t to, ptrdiff_t begin, ptrdiff_t end) {
    ptrdiff_t k = from % m->sizes[2], j = from / m->sizes[2] % m->sizes[1], i = from / m->sizes[2] / m->sizes[1];
    for (; from < to; i++, j = 0)
        for (; j < m->sizes[1] && from < to; j++, k = 0) {
            const real *a = m->a + i * m->a_strides[0] + j * m->a_strides[1] + begin * a_step;
            const real *b = m->b + i * m->b_strides[0] + j * m->b_strides[1] + begin * b_step;
            for (; k < m->sizes[2] && from < to; k++, from++)
                broadcast_row(op, a_step, b_step, a + k * m->a_strides[2], b + k * m->b_strides[2],
                              m->y + from * m->count + begin, end - begin);
        }
}

ALWAYS_INLINE void broadcast_steps(const int op, const broadcast *m, ptrdiff_t from, ptrdiff_t to, ptrdiff_t begin,
                                   ptrdiff_t end) {
    if (!m->b_step)
        broadcast_loop(op, 1, 0, m, from, to, begin, end);
    else if (!m->a_step)
        broadcast_loop(op, 0, 1, m, from, to, begin, end);
    else
        broadcast_loop(op, 1, 1, m, from, to, begin, end);
}

static void broadcast_rows(int op, const broadcast *m, ptrdiff_t from, ptrdiff_t to, ptrdiff_t begin, ptrdiff_t end) {
    switch (op) {
        case ADD: broadcast_steps(ADD, m, from, to, begin, end); break;
        case SUB: broadcast_steps(SUB, m, from, to, begin, end); break;
        case MUL: broadcast_steps(MUL, m, from, to, begin, end); break;
        case DIV: broadcast_steps(DIV, m, from, to, begin, end); break;
        case MAXIMUM: broadcast_steps(MAXIMUM, m, from, to, begin, end); break;
        default: broadcast_steps(MINIMUM, m, from, to, begin, end);
    }
}

#endif
