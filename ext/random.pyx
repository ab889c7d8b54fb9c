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

cdef enum:
    MOST_WORDS = 256        # WORDS at most
    CHUNK = 4096            # words of a task

cdef struct Stream:
    uint64_t seed, counter
    Py_ssize_t count
    uint32_t* bits
    const real* x
    real* y
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


def dropout(object x, object y, uint64_t seed, uint64_t counter, uint32_t threshold, double scale):
    """Write y = x * scale where the element's word is at least `threshold`, else 0."""
    cdef Stream s
    s.seed, s.counter, s.count = seed, counter, x.size
    s.x = read(x)
    s.y = write(y)
    s.threshold, s.scale = threshold, <real> scale
    with nogil:
        parallel_for(dropout_task, &s, (s.count + CHUNK - 1) // CHUNK, 1.0 * s.count)
