"""Philox4x32-10: random words as a function of a seed and a counter, and what is made of them."""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy
from cpython.buffer cimport PyBUF_WRITABLE

from parallel cimport import_runtime, parallel_for
from real cimport address, read, real, real_alone, write

import_runtime()

cdef extern from "philox.h":
    const int WORDS         # that are computed side by side: 4 a block
    void philox(uint64_t seed, uint64_t counter, uint32_t* words) noexcept nogil

cdef extern from "normal.h":
    void uniforms(const uint32_t* words, real_alone y, Py_ssize_t n) noexcept nogil
    void normals(uint64_t seed, uint64_t counter, real* y) noexcept nogil

cdef enum:
    MOST_WORDS = 256        # WORDS at most
    CHUNK = 4096            # words of a task, or normal numbers

cdef struct Stream:
    uint64_t seed, counter
    Py_ssize_t count
    uint32_t* bits
    const real* x
    real* y
    float* singles
    uint32_t threshold
    real scale


cdef void bits_task(void* args, Py_ssize_t index) noexcept nogil:
    """Write one chunk of words."""
    cdef Stream* s = <Stream*> args
    cdef uint32_t words[MOST_WORDS]
    cdef Py_ssize_t first = index * CHUNK, stop = min(s.count, (index + 1) * CHUNK)
    while first < stop:
        philox(s.seed, s.counter + <uint64_t> (first // 4), words)
        memcpy(s.bits + first, words, sizeof(uint32_t) * min(<Py_ssize_t> WORDS, stop - first))
        first += WORDS


cdef void uniform_task(void* args, Py_ssize_t index) noexcept nogil:
    """Write the numbers of one chunk of words."""
    cdef const Stream* s = <const Stream*> args
    cdef uint32_t words[MOST_WORDS]
    cdef Py_ssize_t per_number = sizeof(real) // sizeof(uint32_t)
    cdef Py_ssize_t first = index * CHUNK, stop = min(s.count, (index + 1) * CHUNK)
    while first < stop:
        philox(s.seed, s.counter + <uint64_t> (first // 4), words)
        uniforms(words, s.y + first // per_number, min(<Py_ssize_t> WORDS, stop - first) // per_number)
        first += WORDS


cdef inline void copy(const real* numbers, float* singles, real* y, Py_ssize_t n) noexcept nogil:
    """Write n numbers to `singles`, or to y where that is NULL."""
    cdef Py_ssize_t i
    if singles == NULL:
        memcpy(y, numbers, sizeof(real) * n)
    else:
        for i in range(n):
            singles[i] = <float> numbers[i]


cdef void normal_task(void* args, Py_ssize_t index) noexcept nogil:
    """Write one chunk of normal numbers, two for each block."""
    cdef const Stream* s = <const Stream*> args
    cdef real numbers[MOST_WORDS]
    cdef Py_ssize_t first = index * CHUNK, stop = min(s.count, (index + 1) * CHUNK)
    while first < stop:
        normals(s.seed, s.counter + <uint64_t> (first // 2), numbers)
        copy(numbers, s.singles + first if s.singles else NULL, s.y + first, min(<Py_ssize_t> WORDS // 2, stop - first))
        first += WORDS // 2


cdef inline void drop(const real* x, const uint32_t* words, uint32_t threshold, real scale, real_alone y,
                      Py_ssize_t n) noexcept nogil:
    """Write y = x * scale where a word is at least the threshold, else 0."""
    cdef Py_ssize_t i
    cdef real kept
    for i in range(n):
        kept = x[i] * scale         # in any case, so that the loop can be vectorised
        y[i] = kept if words[i] >= threshold else 0


cdef void dropout_task(void* args, Py_ssize_t index) noexcept nogil:
    """Drop elements of one chunk."""
    cdef const Stream* s = <const Stream*> args
    cdef uint32_t words[MOST_WORDS]
    cdef Py_ssize_t first = index * CHUNK, stop = min(s.count, (index + 1) * CHUNK)
    while first < stop:
        philox(s.seed, s.counter + <uint64_t> (first // 4), words)
        if stop - first >= WORDS:
            drop(s.x + first, words, s.threshold, s.scale, s.y + first, WORDS)
        else:
            drop(s.x + first, words, s.threshold, s.scale, s.y + first, stop - first)
        first += WORDS


def random_bits(object out, uint64_t seed, uint64_t counter):
    """Fill `out` (uint32) with words."""
    cdef Stream s
    s.seed, s.counter, s.count = seed, counter, out.shape[0]
    s.bits = <uint32_t*> address(out, 4, PyBUF_WRITABLE)
    with nogil:
        parallel_for(bits_task, &s, (s.count + CHUNK - 1) // CHUNK, 1.0 * s.count)


def random_uniform(object out, uint64_t seed, uint64_t counter):
    """Fill `out` with numbers in [0, 1)."""
    cdef Stream s
    s.seed, s.counter, s.count = seed, counter, out.nbytes // sizeof(uint32_t)
    s.y = write(out)
    with nogil:
        parallel_for(uniform_task, &s, (s.count + CHUNK - 1) // CHUNK, 1.0 * s.count)


def random_normal(object out, uint64_t seed, uint64_t counter):
    """Fill `out`, of either element type, with standard normal numbers; for REAL=double."""
    cdef Stream s
    s.seed, s.counter, s.count = seed, counter, out.size
    s.singles = NULL
    s.y = NULL
    if out.itemsize == sizeof(float):
        s.singles = <float*> address(out, sizeof(float), PyBUF_WRITABLE)
    else:
        s.y = write(out)
    with nogil:
        parallel_for(normal_task, &s, (s.count + CHUNK - 1) // CHUNK, 5.0 * s.count)


def dropout(object x, object y, uint64_t seed, uint64_t counter, uint32_t threshold, double scale):
    """Write y = x * scale where the element's word is at least `threshold`, else 0."""
    cdef Stream s
    s.seed, s.counter, s.count = seed, counter, x.size
    s.x = read(x)
    s.y = write(y)
    s.threshold, s.scale = threshold, <real> scale
    with nogil:
        parallel_for(dropout_task, &s, (s.count + CHUNK - 1) // CHUNK, 1.0 * s.count)
