"""Weighted sums of rows: one axis of images in another size."""
from cpython.buffer cimport PyBUF_SIMPLE
from libc.stdint cimport int64_t
from libc.string cimport memset

from parallel cimport import_runtime, parallel_for
from real cimport address, read, real, write

import_runtime()

cdef enum:
    CHUNK = 4096        # outputs of a task, about

cdef struct Resample:
    const real* x
    real* y
    const int64_t* starts
    const int64_t* places
    const real* weights
    Py_ssize_t p, a, b, k
    Py_ssize_t together     # rows of a task


cdef void elements_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute some rows of B outputs each, where K is 1."""
    cdef const Resample* s = <const Resample*> args
    cdef Py_ssize_t p, b, j
    cdef const real* x
    cdef real total
    for p in range(index * s.together, min(s.p, (index + 1) * s.together)):
        x = s.x + p * s.a
        for b in range(s.b):
            total = 0
            for j in range(s.starts[b], s.starts[b + 1]):
                total += s.weights[j] * x[s.places[j]]
            s.y[p * s.b + b] = total


cdef void rows_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute some of the P * B rows of K outputs."""
    cdef const Resample* s = <const Resample*> args
    cdef Py_ssize_t i, p, b, j, k
    cdef const real* x
    cdef real* y
    cdef real weight
    for i in range(index * s.together, min(s.p * s.b, (index + 1) * s.together)):
        p, b = i // s.b, i % s.b
        y = s.y + i * s.k
        memset(y, 0, sizeof(real) * s.k)
        for j in range(s.starts[b], s.starts[b + 1]):
            x = s.x + (p * s.a + s.places[j]) * s.k
            weight = s.weights[j]
            for k in range(s.k):
                y[k] += weight * x[k]


def resample(object x, object y, object starts, object places, object weights, tuple shape):
    """Write y (P, B, K) from x (P, A, K); shape is (P, A, B, K)."""
    cdef Resample s
    s.p, s.a, s.b, s.k = shape
    if s.p * s.b * s.k == 0:
        return
    s.x, s.y, s.weights = read(x), write(y), read(weights)
    s.starts = <const int64_t*> address(starts, sizeof(int64_t), PyBUF_SIMPLE)
    s.places = <const int64_t*> address(places, sizeof(int64_t), PyBUF_SIMPLE)
    cdef Py_ssize_t rows = s.p if s.k == 1 else s.p * s.b
    cdef double work = <double> s.p * s.k * s.starts[s.b]
    s.together = max(<Py_ssize_t> 1, CHUNK // (s.b if s.k == 1 else s.k))
    with nogil:
        parallel_for(elements_task if s.k == 1 else rows_task, &s, (rows + s.together - 1) // s.together, work)
