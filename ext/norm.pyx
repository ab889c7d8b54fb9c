"""Batch normalisation of (N, C, L): each channel over all images and positions."""
from libc.math cimport sqrt

from parallel cimport import_runtime, parallel_for
from real cimport read, real, write
from sums cimport row_dot, row_squares, row_sum

import_runtime()

cdef struct Norm:
    const real* x
    const real* w       # NULL: 1
    const real* b       # NULL: 0
    const real* dy
    real* y             # or dx
    real* mean
    real* var
    real* dw
    real* db
    Py_ssize_t n, c, size
    double eps


cdef void forward_task(void* args, Py_ssize_t c) noexcept nogil:
    """Normalise one channel."""
    cdef Norm* m = <Norm*> args
    cdef double total = 0, count = m.n * m.size
    cdef Py_ssize_t n, i, at
    cdef real mean, scale, shift
    for n in range(m.n):
        total += row_sum(m.x + (n * m.c + c) * m.size, m.size)
    mean = <real> (total / count)
    total = 0
    for n in range(m.n):
        total += row_squares(m.x + (n * m.c + c) * m.size, mean, m.size)
    m.mean[c] = mean
    m.var[c] = <real> (total / count)
    scale = <real> (1 / sqrt(m.var[c] + m.eps))
    if m.w != NULL:
        scale = scale * m.w[c]
    shift = m.b[c] if m.b != NULL else 0
    for n in range(m.n):
        at = (n * m.c + c) * m.size
        for i in range(m.size):
            m.y[at + i] = (m.x[at + i] - mean) * scale + shift


cdef void backward_task(void* args, Py_ssize_t c) noexcept nogil:
    """Compute dx, dw and db of one channel."""
    cdef Norm* m = <Norm*> args
    cdef double dot = 0, total = 0, count = m.n * m.size
    cdef double inverse = 1 / sqrt(m.var[c] + m.eps)
    cdef real mean = m.mean[c], scale, mean_dy, slope
    cdef Py_ssize_t n, i, at
    for n in range(m.n):
        at = (n * m.c + c) * m.size
        total += row_sum(m.dy + at, m.size)
        dot += row_dot(m.x + at, m.dy + at, mean, m.size)
    m.dw[c] = <real> (dot * inverse)
    m.db[c] = <real> total
    scale = <real> (inverse * (m.w[c] if m.w != NULL else 1))
    mean_dy = <real> (total / count)
    slope = <real> (dot * inverse * inverse / count)
    for n in range(m.n):
        at = (n * m.c + c) * m.size
        for i in range(m.size):
            m.y[at + i] = scale * (m.dy[at + i] - mean_dy - (m.x[at + i] - mean) * slope)


def batch_norm(object x, object w, object b, object y, object mean, object var, double eps):
    """Write y (N, C, L), mean and biased var (C,)."""
    cdef Norm m
    m.n, m.c, m.size = x.shape
    m.x = read(x)
    m.w = read(w)
    m.b = read(b)
    m.y = write(y)
    m.mean = write(mean)
    m.var = write(var)
    m.eps = eps
    with nogil:
        parallel_for(forward_task, &m, m.c, 0.5 * m.n * m.c * m.size)


def batch_norm_grad(object dy, object x, object w, object mean, object var, object dx, object dw, object db, double eps):
    """Write dx (N, C, L), dw and db (C,)."""
    cdef Norm m
    m.n, m.c, m.size = x.shape
    m.dy = read(dy)
    m.x = read(x)
    m.w = read(w)
    m.mean = <real*> read(mean)
    m.var = <real*> read(var)
    m.y = write(dx)
    m.dw = write(dw)
    m.db = write(db)
    m.eps = eps
    with nogil:
        parallel_for(backward_task, &m, m.c, 0.7 * m.n * m.c * m.size)
