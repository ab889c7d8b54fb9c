/* Vectors that need more than arithmetic: ends of rows, sums and maxima over lanes, exponentials and logarithms.
 *
 * exp and log are accurate to about an ulp.  Numbers too small for a normal float count as 0, as everywhere in kernels.
 */
#ifndef TINYGRAD_CNN_VEXP_H
#define TINYGRAD_CNN_VEXP_H

#include <math.h>
#include <stdint.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "simd.h"

#define PICK(of_float, of_double) (sizeof(real) == 4 ? (of_float) : (of_double))

/* vec_load_part: the first `count` < LANES lanes of a vector, the others being `fill`; vec_store_part. */
#if defined(__AVX512F__)

#define LANE_MASK(count) ((1u << (count)) - 1)

ALWAYS_INLINE vec vec_load_part(const real *from, ptrdiff_t count, real fill) {
    return PICK((vec)_mm512_mask_loadu_ps((__m512)vec_set(fill), (__mmask16)LANE_MASK(count), from),
                (vec)_mm512_mask_loadu_pd((__m512d)vec_set(fill), (__mmask8)LANE_MASK(count), from));
}

ALWAYS_INLINE void vec_store_part(real *to, vec value, ptrdiff_t count) {
    PICK(_mm512_mask_storeu_ps(to, (__mmask16)LANE_MASK(count), (__m512)value),
         _mm512_mask_storeu_pd(to, (__mmask8)LANE_MASK(count), (__m512d)value));
}

#elif defined(__GNUC__)

ALWAYS_INLINE vec vec_load_part(const real *from, ptrdiff_t count, real fill) {
    vec v = vec_set(fill);
#pragma GCC unroll 8
    for (int i = 0; i < LANES; i++)
        if (i < count) v[i] = from[i];
    return v;
}

ALWAYS_INLINE void vec_store_part(real *to, vec value, ptrdiff_t count) {
#pragma GCC unroll 8
    for (int i = 0; i < LANES; i++)
        if (i < count) to[i] = value[i];
}

#else

ALWAYS_INLINE vec vec_load_part(const real *from, ptrdiff_t count, real fill) { return count > 0 ? *from : fill; }
ALWAYS_INLINE void vec_store_part(real *to, vec value, ptrdiff_t count) {
    if (count > 0) *to = value;
}

#endif

/* The same for any count: a whole vector where there is one. */
ALWAYS_INLINE vec vec_load_to(const real *from, ptrdiff_t count) {
    return count >= LANES ? vec_load(from) : vec_load_part(from, count, 0);
}

ALWAYS_INLINE void vec_store_to(real *to, vec value, ptrdiff_t count) {
    if (count >= LANES)
        vec_store(to, value);
    else
        vec_store_part(to, value, count);
}

ALWAYS_INLINE vec vec_sqrt(vec x) {
    real lanes[LANES];
    vec_store(lanes, x);
    for (int i = 0; i < LANES; i++) lanes[i] = (real)PICK(sqrtf((float)lanes[i]), sqrt(lanes[i]));
    return vec_load(lanes);
}

/* The sum of all lanes, in double precision. */
ALWAYS_INLINE double vec_sum(vec v) {
    real lanes[LANES];
    double sums[LANES];
    vec_store(lanes, v);
    for (int i = 0; i < LANES; i++) sums[i] = lanes[i];
#pragma GCC unroll 8 /* without it, these are no vectors */
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) sums[i] += sums[i + half];
    return sums[0];
}

/* The maximum of all lanes; NaN if one is. */
ALWAYS_INLINE real vec_top(vec v) {
    real tops[LANES];
    vec_store(tops, v);
#pragma GCC unroll 8
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) {
            real a = tops[i], b = tops[i + half];
            tops[i] = (a > b) | (a != a) ? a : b;
        }
    return tops[0];
}

#if defined(__GNUC__)

typedef __typeof__((vec){0} < (vec){0}) vint; /* what a comparison gives: -1 or 0 */
typedef __typeof__(__builtin_choose_expr(sizeof(real) == 4, (uint32_t)0, (uint64_t)0)) bits;
typedef bits vbits __attribute__((vector_size(VEC_BYTES)));

#define MANTISSA_BITS PICK(23, 52)
#define EXPONENT_BIAS PICK(127, 1023)

ALWAYS_INLINE vec vec_select(vint yes, vec a, vec b) { return (vec)((yes & (vint)a) | (~yes & (vint)b)); }

/* a > b ? a : b */
ALWAYS_INLINE vec vec_max(vec a, vec b) { return vec_select(a > b, a, b); }

/* The same, or NaN if a or b is. */
ALWAYS_INLINE vec vec_max_or_nan(vec a, vec b) { return vec_select((a > b) | (a != a), a, b); }

/* ln(2) in two parts, the first so short that its product with an exponent is exact. */
#define LN2_HIGH ((real)PICK(0x1.62ep-1, 0x1.62e42feep-1))
#define LN2_LOW ((real)PICK(0x1.0bfbe8e7bcd5ep-15, 0x1.a39ef35793c76p-33))

/* e^x = 2^n e^r with |r| <= ln(2) / 2: Taylor's series of e^r - 1, and 2^n in two factors so that it may over- or underflow. */
ALWAYS_INLINE vec exp_parts(vec x, vec *first, vec *second) {
    static const real coefficient[] = {1. / 2,     1. / 6,      1. / 24,      1. / 120,      1. / 720,       1. / 5040,
                                       1. / 40320, 1. / 362880, 1. / 3628800, 1. / 39916800, 1. / 479001600, 1. / 6227020800};
    const real round = PICK(0x1.8p23, 0x1.8p52);
    /* Added to `round`, a number is rounded to an integer, which the last bits of the sum hold. */
    vec sum = x * (real)1.4426950408889634 + (round + 2 * EXPONENT_BIAS);
    vec n = sum - (round + 2 * EXPONENT_BIAS);
    vec r = x - n * LN2_HIGH - n * LN2_LOW;
    vec square = r * r, even = vec_set(coefficient[PICK(4, 10)]), odd = vec_set(coefficient[PICK(5, 11)]);
    for (int k = PICK(2, 8); k >= 0; k -= 2) { /* two chains, since latency is what counts */
        even = even * square + coefficient[k];
        odd = odd * square + coefficient[k + 1];
    }
    vbits exponents = (vbits)sum - (vbits)vec_set(round); /* n + 2 * EXPONENT_BIAS: those of both factors together */
    vbits half = (exponents << (MANTISSA_BITS - 1)) & (vbits)vec_set((real)INFINITY);
    *first = (vec)half;
    *second = (vec)((exponents << MANTISSA_BITS) - half);
    return (odd * r + even) * square + r;
}

ALWAYS_INLINE vec vec_exp(vec x) {
    vec first, second, y = exp_parts(x, &first, &second);
    y = (y + 1) * first * second;
    y = vec_select(x > (real)PICK(89, 710), vec_set((real)INFINITY), y);
    return vec_select(x < (real)PICK(-104, -746), vec_set((real)0), y);
}

/* e^x - 1; where e^x is large, 1 is nothing. */
ALWAYS_INLINE vec vec_expm1(vec x) {
    vec first, second, part = exp_parts(x, &first, &second), power = first * second;
    vec y = vec_select(x > (real)PICK(20, 40), (part + 1) * first * second, part * power + (power - 1));
    y = vec_select(x > (real)PICK(89, 710), vec_set((real)INFINITY), y);
    return vec_select(x < (real)PICK(-104, -746), vec_set((real)-1), y);
}

/* The gradient of relu: dy, or 0 where y <= 0. */
ALWAYS_INLINE vec vec_relu_grad(vec dy, vec y) { return vec_select(y <= 0, vec_set((real)0), dy); }

/* ln(x) = n ln(2) + ln(1 + f) with sqrt(1/2) <= 1 + f < sqrt(2).
 *
 * ln(1 + f) = 2 artanh(s), s = f / (2 + f), rearranged so that only small terms are rounded: 2 s = f - s f.
 */
ALWAYS_INLINE vec vec_log(vec x) {
    const vbits mantissa = (vbits)vec_set((real)PICK(0x1.fffffep0, 0x1.fffffffffffffp0)) ^ (vbits)vec_set((real)1);
    const vbits shift = (vbits)vec_set((real)1) - (vbits)vec_set((real)M_SQRT1_2);
    vbits moved = (vbits)x + shift; /* now the exponent counts from sqrt(1/2) on */
    vec m = (vec)((moved & mantissa) + (vbits)vec_set((real)M_SQRT1_2));
    vbits biased = (moved & (vbits)vec_set((real)INFINITY)) >> MANTISSA_BITS;
    const real whole = PICK(0x1p23, 0x1p52); /* an integer in the last bits of this number becomes a float */
    vec n = (vec)(biased | (vbits)vec_set(whole)) - (whole + EXPONENT_BIAS);
    vec f = m - 1, s = f / (f + 2), square = s * s, half = f * f * (real)0.5, y = vec_set((real)0);
    for (int k = PICK(9, 21); k > 1; k -= 2) y = (y + (real)2 / k) * square;
    y = n * LN2_HIGH - ((half - (s * (half + y) + n * LN2_LOW)) - f);
    y = vec_select(x < (real)INFINITY, y, x); /* infinity and NaN */
    y = vec_select(x < 0, vec_set((real)NAN), y);
    return vec_select(x == 0, vec_set((real)-INFINITY), y);
}

/* ln(1 + x): the logarithm of the rounded sum, and what the rounding left out. */
ALWAYS_INLINE vec vec_log1p(vec x) {
    vec sum = 1 + x, y = vec_log(sum);
    return vec_select((sum > 0) & (sum < (real)INFINITY), y + (x - (sum - 1)) / sum, y);
}

/* cos(2 pi t) and sin(2 pi t) for t in [0, 1]: whole quarters, which are exact, and Taylor's series of the rest. */
ALWAYS_INLINE void vec_circle(vec t, vec *cosine, vec *sine) {
    const real round = PICK(0x1.8p23, 0x1.8p52); /* as in exp_parts */
    vec sum = t * 4 + round, x = (t * 4 - (sum - round)) * (real)M_PI_2, square = x * x;
    vec c = vec_set((real)1), s = c;
    for (int k = PICK(8, 16); k > 0; k -= 2) {
        c = 1 - square * ((real)1 / (k * (k - 1))) * c;
        s = 1 - square * ((real)1 / (k * (k + 1))) * s;
    }
    s *= x;
    vbits quarters = (vbits)sum;
    vint odd = -(vint)(quarters & 1);
    const int to_sign = 8 * sizeof(real) - 2; /* from bit 1 */
    *cosine = (vec)((vbits)vec_select(odd, s, c) ^ ((quarters + 1) & 2) << to_sign);
    *sine = (vec)((vbits)vec_select(odd, c, s) ^ (quarters & 2) << to_sign);
}

#else

#define vec_select(yes, a, b) ((yes) ? (a) : (b))

ALWAYS_INLINE vec vec_max(vec a, vec b) { return a > b ? a : b; }
ALWAYS_INLINE vec vec_max_or_nan(vec a, vec b) { return a > b || a != a ? a : b; }
ALWAYS_INLINE vec vec_exp(vec x) { return (vec)exp(x); }
ALWAYS_INLINE vec vec_expm1(vec x) { return (vec)expm1(x); }
ALWAYS_INLINE vec vec_relu_grad(vec dy, vec y) { return y <= 0 ? 0 : dy; }
ALWAYS_INLINE vec vec_log(vec x) { return (vec)log(x); }
ALWAYS_INLINE vec vec_log1p(vec x) { return (vec)log1p(x); }
ALWAYS_INLINE void vec_circle(vec t, vec *cosine, vec *sine) {
    *cosine = (vec)cos(2 * M_PI * t);
    *sine = (vec)sin(2 * M_PI * t);
}

#endif

#endif
