# Lines of pooling windows, as pool.h defines them.
from libc.stdint cimport int32_t, uint8_t

from real cimport real

cdef extern from "pool.h":
    ctypedef struct pool_lines:
        const real** rows
        const Py_ssize_t* taps
        int kh, kw, step, dense, doubled, streamed
        Py_ssize_t lines, count, advance, images, image_advance
        const real* scales
        Py_ssize_t scale_advance
        real* y
        uint8_t* small
        int32_t* large
        Py_ssize_t room
    void max_lines(const pool_lines* lines) noexcept nogil
