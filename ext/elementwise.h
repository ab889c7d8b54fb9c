/* Loops over elements: functions of arrays of one shape, arithmetic of two arrays that broadcast. */
#ifndef TINYGRAD_CNN_ELEMENTWISE_H
#define TINYGRAD_CNN_ELEMENTWISE_H

#include "vexp.h"

/* ---- functions of arrays of one shape ---- */

typedef struct {
    const real *a, *b, *c; /* arrays among the operands, in order */
    real p, q;             /* numbers among them */
    const unsigned char *condition;
    real *y;
    ptrdiff_t size;
} map;

typedef void (*map_loop)(const map *m, ptrdiff_t from, ptrdiff_t to);

#define SQRT(x) (sizeof(real) == 4 ? (real)sqrtf((float)(x)) : (real)sqrt(x))
#define ONE vec_set((real)1)
#define ZERO vec_set((real)0)

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
    return vec_select(y > 1, ONE, vec_select(y < -1, -ONE, y));
}

ALWAYS_INLINE vec vec_erf(vec x) {
    if (sizeof(real) == 4) return single_erf(x);
    real lanes[LANES];
    vec_store(lanes, x);
    for (int j = 0; j < LANES; j++) lanes[j] = (real)erf(lanes[j]);
    return vec_load(lanes);
}

ALWAYS_INLINE vec vec_sigmoid(vec x) { return ONE / (vec_exp(-x) + 1); }

ALWAYS_INLINE vec silu_slope(vec x) {
    const vec s = vec_sigmoid(x);
    return s * (x * (1 - s) + 1);
}

ALWAYS_INLINE vec gelu_slope(vec x) {
    const vec density = vec_exp(x * x * (real)-0.5) * (real)0.3989422804014327;
    return (vec_erf(x * (real)M_SQRT1_2) + 1) * (real)0.5 + x * density;
}

/* With tanh for erf, gelu is x sigmoid(x (TANH_1 + TANH_3 x^2)). */
#define TANH_1 ((real)1.5957691216057308)
#define TANH_3 ((real)0.0713548162726009)

ALWAYS_INLINE vec gelu_tanh_slope(vec x) {
    const vec square = x * x, s = vec_sigmoid(x * (square * TANH_3 + TANH_1));
    return s + x * s * (1 - s) * (square * (3 * TANH_3) + TANH_1);
}

/* tanh(ln(1 + e)) = n / (n + 2) with n = e (e + 2); of larger x it is 1,
 * and infinity times its slope, 0, is NaN. */
#define MISH_END ((real)PICK(20, 40))

ALWAYS_INLINE vec mish(vec x) {
    const vec e = vec_exp(vec_select(x > MISH_END, vec_set(MISH_END), x)), n = e * (e + 2);
    return x * (n / (n + 2));
}

ALWAYS_INLINE vec mish_slope(vec x) {
    const vec e = vec_exp(x), n = e * (e + 2);
    return vec_select(x > MISH_END, x * 0 + 1, (n + x * 4 * e * (e + 1) / (n + 2)) / (n + 2));
}

/* The functions: name, nanoseconds for an element, how many operands are arrays and how many numbers, value. */

/* Of elements, for the compiler to vectorise: every operand is loaded in any case. */
#define OF_ELEMENTS(ROW)                                                                             \
    ROW(abs, 0.3, 1, 0, a[i] < 0 ? -a[i] : a[i] + 0)                                                 \
    ROW(add_scaled, 0.3, 2, 1, a[i] + p * b[i])                                                      \
    ROW(addcdiv, 0.5, 3, 1, a[i] + p * b[i] / c[i])                                                  \
    ROW(addcmul, 0.4, 3, 1, a[i] + p * b[i] * c[i])                                                  \
    ROW(clamp, 0.3, 1, 2, a[i] < p ? p : a[i] > q ? q : a[i])                                        \
    ROW(clamp_grad, 0.4, 2, 2, (b[i] >= p) & (b[i] <= q) ? a[i] : 0)                                 \
    ROW(cube, 0.3, 1, 0, a[i] * a[i] * a[i])                                                         \
    ROW(hardsigmoid, 0.4, 1, 0, (a[i] < -3 ? 0 : a[i] > 3 ? 6 : a[i] + 3) / 6)                       \
    ROW(hardsigmoid_grad, 0.4, 2, 0, (b[i] > -3) & (b[i] < 3) ? a[i] / 6 : 0)                        \
    ROW(hardswish, 0.4, 1, 0, a[i] * (a[i] < -3 ? 0 : a[i] > 3 ? 6 : a[i] + 3) / 6)                  \
    ROW(hardswish_grad, 0.4, 2, 0, b[i] <= -3 ? 0 : b[i] < 3 ? a[i] * (b[i] / 3 + (real)0.5) : a[i]) \
    ROW(hardtanh_grad, 0.4, 2, 2, (b[i] <= p) | (b[i] >= q) ? 0 : a[i])                              \
    ROW(leaky_relu, 0.3, 1, 1, a[i] > 0 ? a[i] : p * a[i])                                           \
    ROW(leaky_relu_grad, 0.4, 2, 1, b[i] > 0 ? a[i] : p * a[i])                                      \
    ROW(lerp, 0.4, 2, 1, a[i] + p * (b[i] - a[i]))                                                   \
    ROW(reciprocal, 0.3, 1, 0, 1 / a[i])                                                             \
    ROW(rsqrt, 0.6, 1, 0, 1 / SQRT(a[i]))                                                            \
    ROW(sigmoid_grad, 0.4, 2, 0, a[i] * b[i] * (1 - b[i]))                                           \
    ROW(sign, 0.3, 1, 0, (real)(a[i] > 0) - (real)(a[i] < 0))                                        \
    ROW(sqrt, 0.4, 1, 0, SQRT(a[i]))                                                                 \
    ROW(tanh_grad, 0.4, 2, 0, a[i] * (1 - b[i] * b[i]))                                              \
    ROW(where, 0.4, 2, 0, condition[i] ? a[i] : b[i])                                                \
    ROW(where_else_number, 0.4, 1, 1, condition[i] ? a[i] : p)                                       \
    ROW(where_number, 0.4, 1, 1, condition[i] ? p : a[i])

/* Of vectors: x of a. */
#define OF_VECTORS(ROW)                                                                                   \
    ROW(elu, 0.7, 1, 2, vec_select(x > 0, x, vec_expm1(x * q) * p))                                       \
    ROW(erf, 1.0, 1, 0, vec_erf(x))                                                                       \
    ROW(exp, 0.5, 1, 0, vec_exp(x))                                                                       \
    ROW(expm1, 0.6, 1, 0, vec_expm1(x))                                                                   \
    ROW(gelu, 1.0, 1, 0, x * (real)0.5 * (vec_erf(x * (real)M_SQRT1_2) + 1))                              \
    ROW(gelu_tanh, 0.7, 1, 0, x * vec_sigmoid(x * (x * x * TANH_3 + TANH_1)))                             \
    ROW(log, 0.6, 1, 0, vec_log(x))                                                                       \
    ROW(log1p, 0.8, 1, 0, vec_log1p(x))                                                                   \
    ROW(logsigmoid, 1.3, 1, 0, vec_select(x < 0, x, ZERO) - vec_log1p(vec_exp(vec_select(x < 0, x, -x)))) \
    ROW(mish, 0.7, 1, 0, mish(x))                                                                         \
    ROW(sigmoid, 0.6, 1, 0, vec_sigmoid(x))                                                               \
    ROW(silu, 0.7, 1, 0, x / (vec_exp(-x) + 1))                                                           \
    ROW(softplus, 1.3, 1, 2, vec_select(x * p > q, x, vec_log1p(vec_exp(x * p)) / p))

/* Of vectors: x of a, z of b. */
#define OF_TWO_VECTORS(ROW)                                                       \
    ROW(elu_grad, 0.6, 2, 2, vec_select(z <= 0, x * (p * q) * vec_exp(z * q), x)) \
    ROW(gelu_grad, 1.2, 2, 0, x * gelu_slope(z))                                  \
    ROW(gelu_tanh_grad, 0.8, 2, 0, x * gelu_tanh_slope(z))                        \
    ROW(logsigmoid_grad, 0.6, 2, 0, x / (vec_exp(z) + 1))                         \
    ROW(mish_grad, 0.8, 2, 0, x * mish_slope(z))                                  \
    ROW(silu_grad, 0.7, 2, 0, x * silu_slope(z))                                  \
    ROW(softplus_grad, 0.7, 2, 2, vec_select(z * p > q, x, x / (vec_exp(z * -p) + 1)))

#define MAP(name, LOOP)                                                  \
    static void name##_map(const map *m, ptrdiff_t from, ptrdiff_t to) { \
        const real *a = m->a, *b = m->b, *c = m->c, p = m->p, q = m->q;  \
        const unsigned char *condition = m->condition;                   \
        real_alone y = m->y;                                             \
        LOOP                                                             \
        (void)a, (void)b, (void)c, (void)p, (void)q, (void)condition;    \
    }
#define MAP_ELEMENTS(name, nanoseconds, arrays, numbers, value) \
    MAP(name, for (ptrdiff_t i = from; i < to; i++) { y[i] = (value); })
#define MAP_VECTORS(name, nanoseconds, arrays, numbers, value) \
    MAP(name, for (ptrdiff_t i = from; i < to; i += LANES) {   \
        const vec x = vec_load_to(a + i, to - i);              \
        vec_store_to(y + i, value, to - i);                    \
    })
#define MAP_TWO_VECTORS(name, nanoseconds, arrays, numbers, value) \
    MAP(name, for (ptrdiff_t i = from; i < to; i += LANES) {       \
        const vec x = vec_load_to(a + i, to - i);                  \
        const vec z = vec_load_to(b + i, to - i);                  \
        vec_store_to(y + i, value, to - i);                        \
    })
#define MAP_ENTRY(name, nanoseconds, arrays, numbers, value) {#name, name##_map, nanoseconds, arrays, numbers},

OF_ELEMENTS(MAP_ELEMENTS)
OF_VECTORS(MAP_VECTORS)
OF_TWO_VECTORS(MAP_TWO_VECTORS)

typedef struct {
    const char *name;
    map_loop loop;
    double nanoseconds;
    int arrays, numbers;
} map_entry;

static const map_entry MAPS[] = {OF_ELEMENTS(MAP_ENTRY) OF_VECTORS(MAP_ENTRY) OF_TWO_VECTORS(MAP_ENTRY)};

enum { MAP_COUNT = sizeof(MAPS) / sizeof(*MAPS) };

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
