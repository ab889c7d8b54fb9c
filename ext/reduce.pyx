"""Sums along axes of a contiguous array, seen as (P, A, K, B): those of A and B are added up."""
from libc.string cimport memset

from parallel cimport import_runtime, parallel_for, scratch_memory
from real cimport read, real, write
from sums cimport rows_sum

import_runtime()

cdef enum:
    COLUMNS = 512       # of a task, where whole rows are added up
    ROWS = 128          # added up in single precision before they go to double

cdef struct Sum:
    const real* x
    real* y
    Py_ssize_t p, a, k, b
    Py_ssize_t blocks
    double scale


cdef void along_rows_task(void* args, Py_ssize_t index) noexcept nogil:
    """Add up A runs of B neighbours for one output."""
    cdef Sum* s = <Sum*> args
    cdef const real* x = s.x + (index // s.k * s.a * s.k + index % s.k) * s.b
    s.y[index] = <real> (rows_sum(x, s.a, s.k * s.b, s.b) * s.scale)


cdef void down_columns_task(void* args, Py_ssize_t index) noexcept nogil:
    """Add up A rows, for one block of columns (B is 1)."""
    cdef Sum* s = <Sum*> args
    cdef Py_ssize_t p = index // s.blocks, k0 = index % s.blocks * COLUMNS
    cdef Py_ssize_t columns = min(<Py_ssize_t> COLUMNS, s.k - k0), first, a, j
    cdef double* total = <double*> scratch_memory(0, sizeof(double) * COLUMNS)
    cdef real* run = <real*> scratch_memory(1, sizeof(real) * COLUMNS)
    cdef const real* row
    memset(total, 0, sizeof(double) * columns)
    first = 0
    while first < s.a:
        memset(run, 0, sizeof(real) * columns)
        for a in range(first, min(s.a, first + ROWS)):
            row = s.x + (p * s.a + a) * s.k + k0
            for j in range(columns):
                run[j] += row[j]
        for j in range(columns):
            total[j] += run[j]
        first += ROWS
    for j in range(columns):
        s.y[p * s.k + k0 + j] = <real> (total[j] * s.scale)


def sum(object x, object y, Py_ssize_t p, Py_ssize_t a, Py_ssize_t k, Py_ssize_t b, double scale):
    """Write y[p, k] = scale * sum over a, b of x[p, a, k, b]."""
    cdef Sum s
    s.x = read(x)
    s.y = write(y)
    s.p, s.a, s.k, s.b = p, a, k, b
    s.scale = scale
    s.blocks = (k + COLUMNS - 1) // COLUMNS
    with nogil:
        if b > 1 or a == 1:
            parallel_for(along_rows_task, &s, p * k, 0.2 * p * a * k * b)
        else:
            parallel_for(down_columns_task, &s, p * s.blocks, 0.2 * p * a * k)
