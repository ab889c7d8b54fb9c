# Sliding windows over rows and columns: what convolution, pooling and im2col share.
from libc.string cimport memcpy

from real cimport LANES, real, vec_load, vec_store

cdef struct Window:     # the fields of tinygrad_cnn.geometry.Window, in its order
    Py_ssize_t kh, kw, sh, sw, pt, pb, pl, pr, dh, dw, oh, ow


cdef inline Window read_window(object window):
    """Copy a geometry.Window."""
    cdef Window w
    w.kh, w.kw, w.sh, w.sw, w.pt, w.pb, w.pl, w.pr, w.dh, w.dw, w.oh, w.ow = window
    return w


cdef struct Span:       # the steps t for which first + t * step lies inside the row
    Py_ssize_t begin, end


cdef inline Span inside(Py_ssize_t first, Py_ssize_t step, Py_ssize_t count, Py_ssize_t size) noexcept nogil:
    """Return which of `count` positions first, first + step, ... lie in [0, size)."""
    cdef Span span
    span.begin = 0 if first >= 0 else min(count, (step - 1 - first) // step)
    span.end = 0 if first >= size else min(count, (size - first + step - 1) // step)
    span.end = max(span.end, span.begin)
    return span


cdef inline void copy_row(const real* row, Py_ssize_t count, real* to) noexcept nogil:
    """Copy a row, for which a call of memcpy takes too long where rows are short: the last vector overlaps."""
    cdef Py_ssize_t t
    if count >= LANES:
        for t in range(count // LANES):
            vec_store(to + t * LANES, vec_load(row + t * LANES))
        vec_store(to + count - LANES, vec_load(row + count - LANES))
    elif LANES >= 4 and count >= LANES // 2:
        memcpy(to, row, LANES // 2 * sizeof(real))
        memcpy(to + count - LANES // 2, row + count - LANES // 2, LANES // 2 * sizeof(real))
    else:
        for t in range(count):
            to[t] = row[t]


cdef inline void copy_steps(const real* row, Py_ssize_t step, Py_ssize_t count, real* to) noexcept nogil:
    """Copy elements of a row that are `step` apart."""
    cdef Py_ssize_t t
    if step == 1:
        copy_row(row, count, to)
    elif step == 2:             # constant steps can be vectorised
        for t in range(count):
            to[t] = row[t * 2]
    elif step == 4:
        for t in range(count):
            to[t] = row[t * 4]
    else:
        for t in range(count):
            to[t] = row[t * step]


cdef inline void gather_row(const real* row, Py_ssize_t size, Py_ssize_t first, Py_ssize_t step, Py_ssize_t count,
                            real padding, real* to) noexcept nogil:
    """Copy `count` elements of a row, `step` apart, with padding for those outside it."""
    cdef Span span = inside(first, step, count, size)
    cdef Py_ssize_t t
    for t in range(span.begin):
        to[t] = padding
    copy_steps(row + first + span.begin * step, step, span.end - span.begin, to + span.begin)
    for t in range(span.end, count):
        to[t] = padding


cdef inline void scatter_row(const real* values, Py_ssize_t count, Py_ssize_t first, Py_ssize_t step, real* row,
                             Py_ssize_t size) noexcept nogil:
    """Add `count` values to a row, `step` apart; those outside it are dropped.  The adjoint of gather_row."""
    cdef Span span = inside(first, step, count, size)
    cdef Py_ssize_t t
    for t in range(span.begin, span.end):
        row[first + t * step] += values[t]
