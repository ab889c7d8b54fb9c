/* Philox4x32-10 on vectors of 64-bit lanes, one for each block of four words: products are whole, and only low halves count. */
#ifndef TINYGRAD_CNN_PHILOX_H
#define TINYGRAD_CNN_PHILOX_H

#include <stdint.h>

#include "simd.h"

#if defined(__GNUC__)
typedef uint64_t wide __attribute__((vector_size(VEC_BYTES)));
#define LANE(v, l) ((v)[l])
#else
typedef uint64_t wide;
#define LANE(v, l) (v)
#endif

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>
#endif

/* The products of the low halves. */
ALWAYS_INLINE wide low_product(wide a, uint64_t b) {
#if defined(__GNUC__) && defined(__AVX512F__)
    return (wide)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64((long long)b));
#elif defined(__GNUC__) && defined(__AVX2__)
    return (wide)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x((long long)b));
#elif defined(__GNUC__) && defined(__x86_64__)
    return (wide)_mm_mul_epu32((__m128i)a, _mm_set1_epi64x((long long)b));
#else
    return (a & 0xFFFFFFFFu) * b;
#endif
}

enum { BLOCKS = sizeof(wide) / sizeof(uint64_t), CHAINS = 4, WORDS = 4 * CHAINS * BLOCKS };

/* The words of blocks counter, counter + 1, ... as low halves of lanes.  Several chains hide each other's latency. */
ALWAYS_INLINE void philox_blocks(uint64_t seed, uint64_t counter, wide *a, wide *b, wide *c, wide *d) {
    uint32_t keys[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (int k = 0; k < CHAINS; k++) {
        uint64_t counters[BLOCKS];
        for (int l = 0; l < BLOCKS; l++) counters[l] = counter + k * BLOCKS + l;
        memcpy(&a[k], counters, sizeof(wide));
        b[k] = a[k] >> 32;
        c[k] = d[k] = a[k] - a[k];
    }
    for (int round = 0; round < 10; round++, keys[0] += 0x9E3779B9u, keys[1] += 0xBB67AE85u)
        for (int k = 0; k < CHAINS; k++) {
            wide p = low_product(a[k], 0xD2511F53u), q = low_product(c[k], 0xCD9E8D57u);
            a[k] = (q >> 32) ^ b[k] ^ keys[0];
            c[k] = (p >> 32) ^ d[k] ^ keys[1];
            b[k] = q;
            d[k] = p;
        }
}

/* Write the WORDS words of the same blocks. */
static void philox(uint64_t seed, uint64_t counter, uint32_t *words) {
    wide a[CHAINS], b[CHAINS], c[CHAINS], d[CHAINS];
    philox_blocks(seed, counter, a, b, c, d);
    for (int k = 0; k < CHAINS; k++)
        for (int l = 0; l < BLOCKS; l++, words += 4) {
            words[0] = (uint32_t)LANE(a[k], l);
            words[1] = (uint32_t)LANE(b[k], l);
            words[2] = (uint32_t)LANE(c[k], l);
            words[3] = (uint32_t)LANE(d[k], l);
        }
}

#endif
