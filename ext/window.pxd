# Sliding windows over rows and columns: what convolution, pooling and im2col share.
from real cimport real

cdef extern from "lines.h":
    void copy_lines(Py_ssize_t lines, Py_ssize_t count, const real* source, Py_ssize_t ldf, Py_ssize_t step,
                    Py_ssize_t ahead, real* to, Py_ssize_t ldt) noexcept nogil

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
    span.end = count
    if first + (count - 1) * step >= size:      # divisions take long, and are seldom needed
        span.end = max(span.begin, 0 if first >= size else min(count, (size - first + step - 1) // step))
    return span


cdef inline void copy_row(const real* row, Py_ssize_t count, real* to) noexcept nogil:
    """Copy a row, for which a call of memcpy takes too long where rows are short."""
    copy_lines(1, count, row, 0, 1, 0, to, 0)


cdef inline void gather_row(const real* row, Py_ssize_t size, Py_ssize_t first, Py_ssize_t step, Py_ssize_t count,
                            real padding, real* to) noexcept nogil:
    """Copy `count` elements of a row, `step` apart, with padding for those outside it."""
    cdef Span span = inside(first, step, count, size)
    cdef Py_ssize_t t
    for t in range(span.begin):
        to[t] = padding
    copy_lines(1, span.end - span.begin, row + first + span.begin * step, 0, step, 0, to + span.begin, 0)
    for t in range(span.end, count):
        to[t] = padding


cdef inline void scatter_row(const real* values, Py_ssize_t count, Py_ssize_t first, Py_ssize_t step, real* row,
                             Py_ssize_t size) noexcept nogil:
    """Add `count` values to a row, `step` apart; those outside it are dropped.  The adjoint of gather_row."""
    cdef Span span = inside(first, step, count, size)
    cdef Py_ssize_t t
    for t in range(span.begin, span.end):
        row[first + t * step] += values[t]
