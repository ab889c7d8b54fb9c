"""Philox4x32-10: random words as a function of a seed and a counter, and what is made of them."""
from libc.stdint cimport uint32_t, uint64_t
from cpython.buffer cimport PyBUF_WRITABLE

from parallel cimport import_runtime, parallel_for
from real cimport address, read, real, write

import_runtime()

cdef enum:
    LANES = 16                      # blocks computed side by side
    CHUNK = 4096                    # words of a task

cdef struct Stream:
    uint64_t seed, counter
    Py_ssize_t count
    uint32_t* bits
    const real* x
    real* y
    uint64_t threshold
    real scale


cdef void philox(uint64_t seed, uint64_t counter, uint32_t* words) noexcept nogil:
    """Write the 4 * LANES words of blocks counter, counter + 1, ..."""
    cdef uint32_t a[LANES]
    cdef uint32_t b[LANES]
    cdef uint32_t c[LANES]
    cdef uint32_t d[LANES]
    cdef uint32_t key0 = <uint32_t> seed, key1 = <uint32_t> (seed >> 32)
    cdef uint64_t p, q
    cdef int i, _round
    for i in range(LANES):
        a[i] = <uint32_t> (counter + i)
        b[i] = <uint32_t> ((counter + i) >> 32)
        c[i] = d[i] = 0
    for _round in range(10):
        for i in range(LANES):
            p = <uint64_t> 0xD2511F53 * a[i]
            q = <uint64_t> 0xCD9E8D57 * c[i]
            a[i] = <uint32_t> (q >> 32) ^ b[i] ^ key0
            c[i] = <uint32_t> (p >> 32) ^ d[i] ^ key1
            b[i] = <uint32_t> q
            d[i] = <uint32_t> p
        key0 += <uint32_t> 0x9E3779B9
        key1 += <uint32_t> 0xBB67AE85
    for i in range(LANES):
        words[4 * i] = a[i]
        words[4 * i + 1] = b[i]
        words[4 * i + 2] = c[i]
        words[4 * i + 3] = d[i]


cdef void bits_task(void* args, Py_ssize_t index) noexcept nogil:
    """Write one chunk of words, or drop one chunk of elements."""
    cdef Stream* s = <Stream*> args
    cdef uint32_t words[4 * LANES]
    cdef Py_ssize_t first = index * CHUNK, stop = min(s.count, (index + 1) * CHUNK), i
    while first < stop:
        philox(s.seed, s.counter + <uint64_t> (first // 4), words)
        for i in range(min(<Py_ssize_t> (4 * LANES), stop - first)):
            if s.bits != NULL:
                s.bits[first + i] = words[i]
            else:
                s.y[first + i] = s.x[first + i] * s.scale if words[i] >= s.threshold else 0
        first += 4 * LANES


def random_bits(object out, uint64_t seed, uint64_t counter):
    """Fill `out` (uint32) with words."""
    cdef Stream s
    s.seed, s.counter, s.count = seed, counter, out.shape[0]
    s.bits = <uint32_t*> address(out, 4, PyBUF_WRITABLE)
    with nogil:
        parallel_for(bits_task, &s, (s.count + CHUNK - 1) // CHUNK, 2.0 * s.count)


def dropout(object x, object y, uint64_t seed, uint64_t counter, uint64_t threshold, double scale):
    """Write y = x * scale where the element's word is at least `threshold`, else 0."""
    cdef Stream s
    s.seed, s.counter, s.count = seed, counter, x.size
    s.bits = NULL
    s.x = read(x)
    s.y = write(y)
    s.threshold, s.scale = threshold, <real> scale
    with nogil:
        parallel_for(bits_task, &s, (s.count + CHUNK - 1) // CHUNK, 3.0 * s.count)
