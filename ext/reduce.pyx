"""Sums and maxima along axes of a contiguous array, seen as (P, A, K, B): those of A and B are reduced."""
from libc.math cimport INFINITY
from parallel cimport import_runtime, parallel_for, scratch_memory
from real cimport LANES, read, real, vec, vec_load, vec_set, write
from sums cimport column_sums, rows_sum
from vexp cimport load, store, vec_load_part, vec_max_or_nan, vec_top

import_runtime()

cdef enum:
    COLUMNS = 512       # of a task, where whole rows are reduced
    CHUNK = 4096        # elements of a task, about, where neighbours are reduced

cdef struct Reduction:
    const real* x
    real* y
    Py_ssize_t p, a, k, b
    Py_ssize_t blocks       # of columns
    Py_ssize_t together     # outputs of a task, where neighbours are reduced
    double scale            # of a sum
    real sign               # 1 for maxima, -1 for minima, which are maxima of -x


cdef inline const real* runs(const Reduction* s, Py_ssize_t output) noexcept nogil:
    """Return where the A runs of B neighbours begin that make one output."""
    if s.a == 1:
        return s.x + output * s.b
    return s.x + (output // s.k * s.a * s.k + output % s.k) * s.b


# ---- sums ----


cdef void sum_rows_task(void* args, Py_ssize_t index) noexcept nogil:
    """Add up A runs of B neighbours for some outputs."""
    cdef const Reduction* s = <const Reduction*> args
    cdef Py_ssize_t i
    for i in range(index * s.together, min(s.p * s.k, (index + 1) * s.together)):
        s.y[i] = <real> (rows_sum(runs(s, i), s.a, s.k * s.b, s.b) * s.scale)


cdef void sum_columns_task(void* args, Py_ssize_t index) noexcept nogil:
    """Add up A rows, for one block of columns (B is 1)."""
    cdef const Reduction* s = <const Reduction*> args
    cdef Py_ssize_t p = index // s.blocks, k0 = index % s.blocks * COLUMNS
    cdef Py_ssize_t columns = min(<Py_ssize_t> COLUMNS, s.k - k0), j
    cdef double* total = <double*> scratch_memory(0, sizeof(double) * COLUMNS)
    column_sums(s.x + p * s.a * s.k + k0, s.a, s.k, columns, total, <real*> scratch_memory(1, sizeof(real) * COLUMNS))
    for j in range(columns):
        s.y[p * s.k + k0 + j] = <real> (total[j] * s.scale)


# ---- maxima ----


cdef inline real run_max(const real* x, Py_ssize_t rows, Py_ssize_t stride, Py_ssize_t n, real sign) noexcept nogil:
    """Return the maximum of sign * x in rows of n, `stride` apart; NaN if there is one."""
    cdef real low = <real> -INFINITY, outside = low * sign
    cdef vec a = vec_set(low), b = a, c = a, d = a, factor = vec_set(sign)
    cdef Py_ssize_t i
    for _ in range(rows):
        i = 0
        while n - i >= 4 * LANES:
            a = vec_max_or_nan(vec_load(x + i) * factor, a)
            b = vec_max_or_nan(vec_load(x + i + LANES) * factor, b)
            c = vec_max_or_nan(vec_load(x + i + 2 * LANES) * factor, c)
            d = vec_max_or_nan(vec_load(x + i + 3 * LANES) * factor, d)
            i += 4 * LANES
        while n - i >= LANES:
            a = vec_max_or_nan(vec_load(x + i) * factor, a)
            i += LANES
        if i < n:
            b = vec_max_or_nan(vec_load_part(x + i, n - i, outside) * factor, b)
        x += stride
    return vec_top(vec_max_or_nan(vec_max_or_nan(a, b), vec_max_or_nan(c, d)))


cdef void max_rows_task(void* args, Py_ssize_t index) noexcept nogil:
    """Take the maximum of A runs of B neighbours for some outputs."""
    cdef const Reduction* s = <const Reduction*> args
    cdef Py_ssize_t i
    for i in range(index * s.together, min(s.p * s.k, (index + 1) * s.together)):
        s.y[i] = s.sign * run_max(runs(s, i), s.a, s.k * s.b, s.b, s.sign)


cdef void max_columns_task(void* args, Py_ssize_t index) noexcept nogil:
    """Take the maximum of A rows, for one block of columns (B is 1)."""
    cdef const Reduction* s = <const Reduction*> args
    cdef Py_ssize_t p = index // s.blocks, k0 = index % s.blocks * COLUMNS
    cdef Py_ssize_t columns = min(<Py_ssize_t> COLUMNS, s.k - k0), a, j
    cdef const real* x = s.x + p * s.a * s.k + k0
    cdef real* y = s.y + p * s.k + k0
    cdef vec factor = vec_set(s.sign)
    for a in range(s.a):
        j = 0
        while j < columns:
            if a == 0:
                store(y + j, load(x + j, columns - j), columns - j)
            else:
                store(y + j, factor * vec_max_or_nan(load(x + a * s.k + j, columns - j) * factor,
                                                     load(y + j, columns - j) * factor), columns - j)
            j += LANES


cdef int run(void (*rows_task)(void*, Py_ssize_t) noexcept nogil, void (*columns_task)(void*, Py_ssize_t) noexcept nogil,
             Reduction* s, object x, object y, Py_ssize_t p, Py_ssize_t a, Py_ssize_t k, Py_ssize_t b) except -1:
    """Reduce x (P, A, K, B) to y (P, K), over neighbours or down columns."""
    cdef double work = 0.2 * p * a * k * b
    s.x = read(x)
    s.y = write(y)
    s.p, s.a, s.k, s.b = p, a, k, b
    s.blocks = (k + COLUMNS - 1) // COLUMNS
    s.together = max(1, CHUNK // max(1, a * b))
    with nogil:
        if b > 1 or a == 1:
            parallel_for(rows_task, s, (p * k + s.together - 1) // s.together, work)
        else:
            parallel_for(columns_task, s, p * s.blocks, work)
    return 0


def sum(object x, object y, Py_ssize_t p, Py_ssize_t a, Py_ssize_t k, Py_ssize_t b, double scale):
    """Write y[p, k] = scale * sum over a, b of x[p, a, k, b]."""
    cdef Reduction s
    s.scale = scale
    run(sum_rows_task, sum_columns_task, &s, x, y, p, a, k, b)


def extreme(object x, object y, Py_ssize_t p, Py_ssize_t a, Py_ssize_t k, Py_ssize_t b, bint least):
    """Write y[p, k] = the maximum, or minimum, over a, b of x[p, a, k, b]; NaN if there is one.  None of them is 0."""
    cdef Reduction s
    s.sign = -1 if least else 1
    run(max_rows_task, max_columns_task, &s, x, y, p, a, k, b)
