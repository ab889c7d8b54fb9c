"""Elementwise loops over contiguous arrays of one shape."""
from parallel cimport import_runtime, parallel_for
from real cimport read, real, write

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


def relu(object a, object y):
    """Write y = max(a, 0)."""
    cdef Map m
    m.a = read(a)
    m.y = write(y)
    m.size = y.size
    with nogil:
        parallel_for(relu_task, &m, (m.size + CHUNK - 1) // CHUNK, 0.3 * m.size)


def relu_grad(object a, object b, object y):
    """Write y = 0 where b <= 0, else a."""
    cdef Map m
    m.a = read(a)
    m.b = read(b)
    m.y = write(y)
    m.size = y.size
    with nogil:
        parallel_for(relu_grad_task, &m, (m.size + CHUNK - 1) // CHUNK, 0.4 * m.size)
