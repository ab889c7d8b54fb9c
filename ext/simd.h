/* The element type of a kernel module and the widest vector of its instruction-set level.
 *
 * The build compiles every kernel module once for each level and for REAL = float and double: one body serves
 * all of them.  `vec` is a GCC/Clang vector type: + - * work element by element.  Other compilers get one lane.
 */
#ifndef TINYGRAD_CNN_SIMD_H
#define TINYGRAD_CNN_SIMD_H

#include <stddef.h>
#include <string.h>

typedef REAL real;

/* Pointers through which alone their memory is reached: without this promise loops start with overlap checks. */
#if defined(__GNUC__)
typedef real *__restrict__ real_alone;
typedef int *__restrict__ int_alone;
#else
typedef real *real_alone;
typedef int *int_alone;
#endif

#if defined(__GNUC__)
#if defined(__AVX512F__)
#define VEC_BYTES 64
#elif defined(__AVX2__)
#define VEC_BYTES 32
#else
#define VEC_BYTES 16
#endif
#define BYTES_OF_float 4
#define BYTES_OF_double 8
#define BYTES_OF_(type) BYTES_OF_##type
#define BYTES_OF(type) BYTES_OF_(type)
#define VEC_LANES (VEC_BYTES / BYTES_OF(REAL)) /* LANES, for the preprocessor */
typedef real vec __attribute__((vector_size(VEC_BYTES)));
typedef real vec_anywhere __attribute__((vector_size(VEC_BYTES), aligned(sizeof(real)), may_alias));
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define PREFETCH(address, writes) __builtin_prefetch(address, writes) /* a cache line that will be read, or written */
#define PREFETCH_FAR(address) __builtin_prefetch(address, 0, 2) /* not to L1 yet */
#define vec_set(scalar) ((scalar) - (vec){0}) /* - keeps the sign of -0.0 */
#else
typedef real vec;
typedef real vec_anywhere;
#define ALWAYS_INLINE static inline
#define PREFETCH(address, writes) ((void)0)
#define PREFETCH_FAR(address) ((void)0)
#define vec_set(scalar) (scalar)
#endif

enum { LANES = (int)(sizeof(vec) / sizeof(real)) };

ALWAYS_INLINE vec vec_load(const real *from) { return *(const vec_anywhere *)from; }
ALWAYS_INLINE void vec_store(real *to, vec value) { *(vec_anywhere *)to = value; }

#endif
