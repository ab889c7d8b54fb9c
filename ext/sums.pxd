# Accurate sums: vector lanes over short runs, double precision over the runs.
from real cimport LANES, real, vec, vec_load, vec_set, vec_store

cdef enum:
    RUN = 4096          # elements added up in single precision before they go to double


cdef inline double lanes(vec v) noexcept nogil:
    """Return the sum of a vector's lanes."""
    cdef real parts[64]
    cdef int i
    cdef double total = 0
    vec_store(parts, v)
    for i in range(LANES):
        total += parts[i]
    return total


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
        total += lanes(a + b)
    while i < n:
        total += x[i]
        i += 1
    return total


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
        total += lanes(a + b)
    while i < n:
        total += (x[i] - mean) * (x[i] - mean)
        i += 1
    return total


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
        total += lanes(a + b)
    while i < n:
        total += (x[i] - mean) * y[i]
        i += 1
    return total
