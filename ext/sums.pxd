# Accurate sums: vector lanes over short runs, double precision over the runs.
from real cimport LANES, real, vec, vec_load, vec_set
from vexp cimport vec_load_part, vec_sum

cdef enum:
    RUN = 4096          # elements added up in single precision before they go to double


cdef inline double row_sum(const real* x, Py_ssize_t n) noexcept nogil:
    """Return the sum of n neighbours."""
    cdef double total = 0
    cdef Py_ssize_t i = 0, stop
    cdef vec a, b
    while n - i >= 2 * LANES:
        stop = min(n, i + RUN)
        a = vec_set(0)
        b = vec_set(0)
        while stop - i >= 2 * LANES:
            a = a + vec_load(x + i)
            b = b + vec_load(x + i + LANES)
            i += 2 * LANES
        total += vec_sum(a + b)
    a = vec_set(0)
    while i < n:
        a = a + vec_load_part(x + i, n - i, 0)
        i += LANES
    return total + vec_sum(a)


cdef inline double row_squares(const real* x, real mean, Py_ssize_t n) noexcept nogil:
    """Return the sum of (x - mean) ** 2 over n neighbours."""
    cdef double total = 0
    cdef Py_ssize_t i = 0, stop
    cdef vec a, b, d, e, m = vec_set(mean)
    while n - i >= 2 * LANES:
        stop = min(n, i + RUN)
        a = vec_set(0)
        b = vec_set(0)
        while stop - i >= 2 * LANES:
            d = vec_load(x + i) - m
            e = vec_load(x + i + LANES) - m
            a = a + d * d
            b = b + e * e
            i += 2 * LANES
        total += vec_sum(a + b)
    a = vec_set(0)
    while i < n:
        d = vec_load_part(x + i, n - i, mean) - m
        a = a + d * d
        i += LANES
    return total + vec_sum(a)


cdef inline double row_dot(const real* x, const real* y, real mean, Py_ssize_t n) noexcept nogil:
    """Return the sum of (x - mean) * y over n neighbours."""
    cdef double total = 0
    cdef Py_ssize_t i = 0, stop
    cdef vec a, b, m = vec_set(mean)
    while n - i >= 2 * LANES:
        stop = min(n, i + RUN)
        a = vec_set(0)
        b = vec_set(0)
        while stop - i >= 2 * LANES:
            a = a + (vec_load(x + i) - m) * vec_load(y + i)
            b = b + (vec_load(x + i + LANES) - m) * vec_load(y + i + LANES)
            i += 2 * LANES
        total += vec_sum(a + b)
    a = vec_set(0)
    while i < n:
        a = a + (vec_load_part(x + i, n - i, mean) - m) * vec_load_part(y + i, n - i, 0)
        i += LANES
    return total + vec_sum(a)
