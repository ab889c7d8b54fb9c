"""Softmax, log-softmax and cross-entropy along the middle axis of (outer, D, inner), inner elements side by side."""
from libc.math cimport INFINITY
from libc.math cimport log as ln
from libc.stdint cimport int64_t
from libc.string cimport memset
from cpython.buffer cimport PyBUF_SIMPLE

from parallel cimport import_runtime, parallel_for, scratch_memory
from real cimport address, read, real, write

import_runtime()

cdef extern from *:
    """
    #include <math.h>
    #define real_exp(x) (sizeof(real) == 4 ? (real)expf((float)(x)) : (real)exp(x))
    """
    real real_exp(real x) noexcept nogil

cdef struct Softmax:
    const real* x       # or dy
    const real* given   # y, for the gradients
    real* y             # or dx
    Py_ssize_t outer, d, inner
    bint log


cdef void forward_task(void* args, Py_ssize_t outer) noexcept nogil:
    """Compute (log-)softmax for one outer index."""
    cdef Softmax* s = <Softmax*> args
    cdef const real* x = s.x + outer * s.d * s.inner
    cdef real* y = s.y + outer * s.d * s.inner
    cdef real* top = <real*> scratch_memory(0, sizeof(real) * s.inner)
    cdef double* total = <double*> scratch_memory(1, sizeof(double) * s.inner)
    cdef Py_ssize_t d, i
    cdef real value, e
    for i in range(s.inner):
        top[i] = -INFINITY
        total[i] = 0
    for d in range(s.d):
        for i in range(s.inner):
            value = x[d * s.inner + i]
            if value > top[i]:
                top[i] = value
    for d in range(s.d):
        for i in range(s.inner):
            value = x[d * s.inner + i] - top[i]
            e = real_exp(value)
            total[i] += e
            y[d * s.inner + i] = value if s.log else e
    for i in range(s.inner):
        total[i] = ln(total[i]) if s.log else 1 / total[i]
    for d in range(s.d):
        for i in range(s.inner):
            value = y[d * s.inner + i]
            y[d * s.inner + i] = <real> (value - total[i] if s.log else value * total[i])


cdef void backward_task(void* args, Py_ssize_t outer) noexcept nogil:
    """Compute y * (dy - sum(dy * y)), or dy - exp(y) * sum(dy), for one outer index."""
    cdef Softmax* s = <Softmax*> args
    cdef Py_ssize_t first = outer * s.d * s.inner, at, d, i
    cdef double* total = <double*> scratch_memory(1, sizeof(double) * s.inner)
    memset(total, 0, sizeof(double) * s.inner)
    for d in range(s.d):
        for i in range(s.inner):
            at = first + d * s.inner + i
            total[i] += s.x[at] if s.log else s.x[at] * s.given[at]
    for d in range(s.d):
        for i in range(s.inner):
            at = first + d * s.inner + i
            if s.log:
                s.y[at] = <real> (s.x[at] - real_exp(s.given[at]) * total[i])
            else:
                s.y[at] = <real> (s.given[at] * (s.x[at] - total[i]))


def softmax(object x, object y, Py_ssize_t outer, Py_ssize_t d, Py_ssize_t inner, bint log):
    """Write the (log-)softmax y of x."""
    cdef Softmax s
    s.x = read(x)
    s.y = write(y)
    s.outer, s.d, s.inner, s.log = outer, d, inner, log
    with nogil:
        parallel_for(forward_task, &s, outer, 10.0 * outer * d * inner)


def softmax_grad(object dy, object y, object dx, Py_ssize_t outer, Py_ssize_t d, Py_ssize_t inner, bint log):
    """Write dx from dy and the (log-)softmax y."""
    cdef Softmax s
    s.x = read(dy)
    s.given = read(y)
    s.y = write(dx)
    s.outer, s.d, s.inner, s.log = outer, d, inner, log
    with nogil:
        parallel_for(backward_task, &s, outer, 10.0 * outer * d * inner)


def cross_entropy(object x, object target, object losses, object y, int64_t ignore_index) -> bool:
    """Write log-softmax y (N, C) and losses (N,); return whether all targets are classes (or ignored)."""
    cdef Softmax s
    cdef const int64_t* classes = <const int64_t*> address(target, 8, PyBUF_SIMPLE)
    cdef real* loss = write(losses)
    cdef Py_ssize_t n
    cdef bint valid = True
    s.x = read(x)
    s.y = write(y)
    s.outer, s.d = x.shape
    s.inner, s.log = 1, True
    with nogil:
        parallel_for(forward_task, &s, s.outer, 10.0 * s.outer * s.d)
        for n in range(s.outer):
            if classes[n] == ignore_index:
                loss[n] = 0
            elif 0 <= classes[n] < s.d:
                loss[n] = -s.y[n * s.d + classes[n]]
            else:
                valid = False
    return valid


def cross_entropy_grad(object dy, object y, object target, object dx, int64_t ignore_index):
    """Write dx (N, C) = dy (N,) * (exp(y) - one_hot(target)), zero where ignored."""
    cdef const int64_t* classes = <const int64_t*> address(target, 8, PyBUF_SIMPLE)
    cdef const real* dloss = read(dy)
    cdef const real* log_p = read(y)
    cdef real* out = write(dx)
    cdef Py_ssize_t rows, c, n, j
    cdef real scale
    rows, c = y.shape
    with nogil:
        for n in range(rows):
            scale = 0 if classes[n] == ignore_index else dloss[n]
            for j in range(c):
                out[n * c + j] = 0 if scale == 0 else scale * real_exp(log_p[n * c + j])
            if classes[n] != ignore_index:
                out[n * c + classes[n]] -= scale
