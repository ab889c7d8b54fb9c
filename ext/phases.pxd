# Images sorted by phase, in which every element under a sliding window is a constant shift.
#
# Rows and columns of the padded image are sorted by their remainder modulo the stride: element (i * sh + a, j * sw + b) goes
# to phase (a, b), place i * pitch + j.  Output position q = i * pitch + j then finds window element (u, v) at
# q + (u * dh // sh) * pitch + v * dw // sw of phase (u * dh % sh, v * dw % sw), for any stride and dilation.  The pitch exceeds
# OW where windows overlap, so a few positions at the end of each row are computed in vain and dropped.
from real cimport real
from window cimport Span, Window, copy_lines, inside

cdef struct Phases:
    Window window
    Py_ssize_t c, h, w      # channels and size of the image
    Py_ssize_t high, wide   # number of phases of rows and of columns
    Py_ssize_t rows, pitch  # of one phase


cdef inline Phases phases_of(const Window* w, Py_ssize_t c, Py_ssize_t height, Py_ssize_t width,
                             Py_ssize_t output_rows) noexcept nogil:
    """Describe the phases that `output_rows` rows of outputs need."""
    cdef Phases p
    p.window = w[0]
    p.c, p.h, p.w = c, height, width
    p.high = min(w.sh, (w.kh - 1) * w.dh + 1)
    p.wide = min(w.sw, (w.kw - 1) * w.dw + 1)
    p.rows = output_rows + (w.kh - 1) * w.dh // w.sh
    p.pitch = w.ow + (w.kw - 1) * w.dw // w.sw
    return p


cdef inline Py_ssize_t phases_size(const Phases* p) noexcept nogil:
    """Return how many elements they take."""
    return p.c * p.high * p.wide * p.rows * p.pitch


cdef inline Py_ssize_t shift(const Phases* p, Py_ssize_t c, Py_ssize_t u, Py_ssize_t v) noexcept nogil:
    """Return where output position 0 finds element (c, u, v) of its window."""
    cdef const Window* w = &p.window
    return ((c * p.high + u * w.dh % w.sh) * p.wide + v * w.dw % w.sw) * p.rows * p.pitch \
        + u * w.dh // w.sh * p.pitch + v * w.dw // w.sw


cdef inline void load_phase(const Phases* p, const real* origin, Span rows, Span columns, real padding,
                            real* to) noexcept nogil:
    """Copy one phase, whose place (0, 0) comes from `origin`, with padding around the rows and columns of the image."""
    cdef Py_ssize_t step = p.window.sh * p.w, i, j
    for i in range(rows.begin * p.pitch):
        to[i] = padding
    for i in range(rows.end * p.pitch, p.rows * p.pitch):
        to[i] = padding
    for j in range(columns.begin):
        for i in range(rows.begin, rows.end):
            to[i * p.pitch + j] = padding
    for j in range(columns.end, p.pitch):
        for i in range(rows.begin, rows.end):
            to[i * p.pitch + j] = padding
    copy_lines(rows.end - rows.begin, columns.end - columns.begin,
               origin + rows.begin * step + columns.begin * p.window.sw, step, p.window.sw, p.h * p.w,
               to + rows.begin * p.pitch + columns.begin, p.pitch)


cdef inline void load_phases(const Phases* p, const real* image, Py_ssize_t first, real padding, real* to) noexcept nogil:
    """Copy what output rows `first`, first + 1, ... need of an image (C, H, W)."""
    cdef const Window* w = &p.window
    cdef Py_ssize_t c, a, b
    for c in range(p.c):
        for a in range(p.high):
            for b in range(p.wide):
                load_phase(p, image + (c * p.h + first * w.sh + a - w.pt) * p.w + b - w.pl,
                           inside(first * w.sh + a - w.pt, w.sh, p.rows, p.h),
                           inside(b - w.pl, w.sw, p.pitch, p.w), padding, to)
                to += p.rows * p.pitch
