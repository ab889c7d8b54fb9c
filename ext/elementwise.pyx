"""Elementwise loops over contiguous arrays of one shape."""
from libc.math cimport erf as erf_of

from parallel cimport import_runtime, parallel_for
from real cimport LANES, read, real, vec, vec_set, write
from vexp cimport load, store, vec_exp

import_runtime()

cdef enum:
    CHUNK = 16384       # elements of a task

cdef struct Map:
    const real* a
    const real* b
    real* y
    Py_ssize_t size


cdef void relu_task(void* args, Py_ssize_t index) noexcept nogil:
    """y = a if a > 0 else 0; NaN stays."""
    cdef Map* m = <Map*> args
    cdef Py_ssize_t i
    cdef real a
    for i in range(index * CHUNK, min(m.size, (index + 1) * CHUNK)):
        a = m.a[i]
        m.y[i] = <real> 0 if a < 0 else a


cdef void relu_grad_task(void* args, Py_ssize_t index) noexcept nogil:
    """y = 0 if b <= 0 else a; a NaN in b lets a pass."""
    cdef Map* m = <Map*> args
    cdef Py_ssize_t i
    cdef real a, b
    for i in range(index * CHUNK, min(m.size, (index + 1) * CHUNK)):
        a = m.a[i]              # loaded in any case, so that the loop can be vectorised
        b = m.b[i]
        m.y[i] = <real> 0 if b <= 0 else a


cdef void exp_task(void* args, Py_ssize_t index) noexcept nogil:
    """y = e ** a."""
    cdef Map* m = <Map*> args
    cdef Py_ssize_t i = index * CHUNK, end = min(m.size, (index + 1) * CHUNK)
    while i < end:
        store(m.y + i, vec_exp(load(m.a + i, end - i)), end - i)
        i += LANES


cdef void sigmoid_task(void* args, Py_ssize_t index) noexcept nogil:
    """y = 1 / (1 + e ** -a)."""
    cdef Map* m = <Map*> args
    cdef Py_ssize_t i = index * CHUNK, end = min(m.size, (index + 1) * CHUNK)
    cdef vec one = vec_set(1)
    while i < end:
        store(m.y + i, one / (one + vec_exp(-load(m.a + i, end - i))), end - i)
        i += LANES


cdef void erf_task(void* args, Py_ssize_t index) noexcept nogil:
    """y = erf(a)."""
    cdef Map* m = <Map*> args
    cdef Py_ssize_t i
    for i in range(index * CHUNK, min(m.size, (index + 1) * CHUNK)):
        m.y[i] = <real> erf_of(m.a[i])


cdef void sigmoid_grad_task(void* args, Py_ssize_t index) noexcept nogil:
    """y = a * b * (1 - b)."""
    cdef Map* m = <Map*> args
    cdef Py_ssize_t i
    for i in range(index * CHUNK, min(m.size, (index + 1) * CHUNK)):
        m.y[i] = m.a[i] * m.b[i] * (1 - m.b[i])


cdef void tanh_grad_task(void* args, Py_ssize_t index) noexcept nogil:
    """y = a * (1 - b * b)."""
    cdef Map* m = <Map*> args
    cdef Py_ssize_t i
    for i in range(index * CHUNK, min(m.size, (index + 1) * CHUNK)):
        m.y[i] = m.a[i] * (1 - m.b[i] * m.b[i])


cdef int run(void (*task)(void*, Py_ssize_t) noexcept nogil, object a, object b, object y,
             double nanoseconds) except -1:
    """Run a task over all elements; `nanoseconds` is its cost for one."""
    cdef Map m
    m.a = read(a)
    m.b = read(b)
    m.y = write(y)
    m.size = y.size
    with nogil:
        parallel_for(task, &m, (m.size + CHUNK - 1) // CHUNK, nanoseconds * m.size)
    return 0


def relu(object a, object y):
    """Write y = max(a, 0)."""
    run(relu_task, a, None, y, 0.3)


def exp(object a, object y):
    """Write y = e ** a."""
    run(exp_task, a, None, y, 0.5)


def sigmoid(object a, object y):
    """Write y = 1 / (1 + e ** -a)."""
    run(sigmoid_task, a, None, y, 0.6)


def erf(object a, object y):
    """Write y = erf(a)."""
    run(erf_task, a, None, y, 10)


def relu_grad(object a, object b, object y):
    """Write y = 0 where b <= 0, else a."""
    run(relu_grad_task, a, b, y, 0.4)


def sigmoid_grad(object a, object b, object y):
    """Write y = a * b * (1 - b)."""
    run(sigmoid_grad_task, a, b, y, 0.4)


def tanh_grad(object a, object b, object y):
    """Write y = a * (1 - b * b)."""
    run(tanh_grad_task, a, b, y, 0.4)
