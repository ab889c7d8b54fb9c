# Accurate sums: vector lanes over short runs, double precision over the runs.
from libc.string cimport memset

from real cimport LANES, real, real_alone, vec, vec_set
from vexp cimport load, vec_sum

cdef enum:
    RUN = 4096          # elements added up in single precision before they go to double
    ROWS = 128          # the same, where rows are added up

cdef enum Term:
    VALUES              # x
    PRODUCTS            # (x - mean) * y


cdef inline vec term(Term kind, const real* x, const real* y, real mean, Py_ssize_t count) noexcept nogil:
    """Return LANES terms of a sum, or as many as there are and zeros."""
    return load(x, count) if kind == VALUES else (load(x, count) - vec_set(mean)) * load(y, count)


cdef inline vec run_sum(Term kind, const real* x, const real* y, real mean, Py_ssize_t n) noexcept nogil:
    """Return sums over n neighbours, which the lanes share."""
    cdef vec a = vec_set(0), b = a, c = a, d = a
    cdef Py_ssize_t i = 0
    while n - i >= 4 * LANES:
        a = a + term(kind, x + i, y + i, mean, LANES)
        b = b + term(kind, x + i + LANES, y + i + LANES, mean, LANES)
        c = c + term(kind, x + i + 2 * LANES, y + i + 2 * LANES, mean, LANES)
        d = d + term(kind, x + i + 3 * LANES, y + i + 3 * LANES, mean, LANES)
        i += 4 * LANES
    while i < n:
        a = a + term(kind, x + i, y + i, mean, n - i)
        i += LANES
    return (a + b) + (c + d)


cdef inline double sum_of(Term kind, const real* x, const real* y, real mean, Py_ssize_t rows, Py_ssize_t stride,
                          Py_ssize_t n) noexcept nogil:
    """Return the sum over rows of n neighbours, `stride` apart; short rows share a run."""
    if rows == 1 and n <= RUN:
        return vec_sum(run_sum(kind, x, y, mean, n))
    cdef double total = 0
    cdef Py_ssize_t together = max(1, RUN // max(1, n)), r, k, i
    cdef vec run
    r = 0
    while r < rows:
        i = 0
        while n - i > RUN:
            total += vec_sum(run_sum(kind, x + r * stride + i, y + r * stride + i, mean, RUN))
            i += RUN
        run = vec_set(0)
        for k in range(r, min(rows, r + together)):
            run = run + run_sum(kind, x + k * stride + i, y + k * stride + i, mean, n - i)
        total += vec_sum(run)
        r += together
    return total


cdef inline double rows_sum(const real* x, Py_ssize_t rows, Py_ssize_t stride, Py_ssize_t n) noexcept nogil:
    """Return the sum of all x in rows of n, `stride` apart."""
    return sum_of(VALUES, x, x, 0, rows, stride, n)


cdef inline double rows_dot(const real* x, const real* y, real mean, Py_ssize_t rows, Py_ssize_t stride,
                            Py_ssize_t n) noexcept nogil:
    """Return the sum of (x - mean) * y."""
    return sum_of(PRODUCTS, x, y, mean, rows, stride, n)


cdef inline void column_sums(const real* x, Py_ssize_t rows, Py_ssize_t stride, Py_ssize_t n, double* total,
                             real_alone run) noexcept nogil:
    """Write the sums of n columns over rows, `stride` apart; `run` has room for a row."""
    cdef Py_ssize_t first = 0, i, j
    cdef const real* row
    memset(total, 0, sizeof(double) * n)
    while first < rows:
        memset(run, 0, sizeof(real) * n)
        for i in range(first, min(rows, first + ROWS)):
            row = x + i * stride
            for j in range(n):
                run[j] += row[j]
        for j in range(n):
            total[j] += run[j]
        first += ROWS


cdef inline double row_sum(const real* x, Py_ssize_t n) noexcept nogil:
    """Return the sum of n neighbours."""
    return rows_sum(x, 1, n, n)
