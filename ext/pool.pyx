"""Max and average pooling over windows of a plane, forward and backward."""
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memset
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE

from parallel cimport import_runtime, parallel_for, scratch_memory
from real cimport address, int_alone, read, real, real_alone, write
from window cimport Span, Window, inside, read_window

import_runtime()

cdef struct Pool:
    Window window
    Py_ssize_t planes, h, w
    const real* x               # what is read: x, or dy
    real* y                     # what is written: y, or dx
    uint8_t* small              # offsets (u * kw + v) of the maxima, for windows of up to 256 elements
    int32_t* large              # the same for larger windows
    Py_ssize_t divisor          # of the average; 0: the number of elements averaged
    bint count_include_pad


cdef Pool describe(object image_shape, object window):
    """Collect the sizes of a pooling."""
    cdef Pool pool
    pool.window = read_window(window)
    pool.planes = image_shape[0] * image_shape[1]
    pool.h = image_shape[2]
    pool.w = image_shape[3]
    return pool


cdef int take_offsets(Pool* pool, object offsets, int flags) except -1:
    """Point to the offsets, whose type follows from the window's size."""
    pool.small = NULL
    pool.large = NULL
    if pool.window.kh * pool.window.kw <= 256:
        pool.small = <uint8_t*> address(offsets, 1, flags)
    else:
        pool.large = <int32_t*> address(offsets, 4, flags)
    return 0


cdef inline Py_ssize_t first_inside(Py_ssize_t first, Py_ssize_t step, Py_ssize_t count, Py_ssize_t size) noexcept nogil:
    """Return the first of `count` positions, `step` apart, that lies in [0, size); -1 if none does."""
    cdef Span span = inside(first, step, count, size)
    return span.begin if span.begin < span.end else -1


cdef inline void first_taps(const Pool* pool, Py_ssize_t i, int* best) noexcept nogil:
    """Start the offsets of output row i at the first element of each window that lies inside the image, or at 0."""
    cdef const Window* w = &pool.window
    cdef Py_ssize_t j, u = first_inside(i * w.sh - w.pt, w.dh, w.kh, pool.h), v
    for j in range(w.ow):
        v = first_inside(j * w.sw - w.pl, w.dw, w.kw, pool.w)
        best[j] = <int> (u * w.kw + v) if u >= 0 and v >= 0 else 0


cdef inline void take_larger(const real* row, Py_ssize_t step, Span span, int offset, real_alone y,
                             int_alone best) noexcept nogil:
    """Let the windows of one output row take the values of one kernel element, where they are larger (or the first NaN)."""
    cdef Py_ssize_t j
    cdef real value, old
    cdef bint larger
    for j in range(span.begin, span.end):
        value = row[j * step]
        old = y[j]
        larger = (value > old) | ((value != value) & (old == old))
        y[j] = value if larger else old
        best[j] = offset if larger else best[j]


cdef void max_forward_task(void* args, Py_ssize_t plane) noexcept nogil:
    """Pool one plane: for each output row, all windows advance together through their elements."""
    cdef Pool* pool = <Pool*> args
    cdef const Window* w = &pool.window
    cdef const real* row
    cdef real* y = pool.y + plane * w.oh * w.ow
    cdef int* best = <int*> scratch_memory(0, sizeof(int) * w.ow)
    cdef Py_ssize_t i, j, u, v, h, first, at
    cdef int offset
    cdef Span span
    for i in range(w.oh):
        first_taps(pool, i, best)
        for j in range(w.ow):
            y[j] = -INFINITY
        for u in range(w.kh):
            h = i * w.sh - w.pt + u * w.dh
            if not 0 <= h < pool.h:
                continue
            for v in range(w.kw):
                first = v * w.dw - w.pl
                span = inside(first, w.sw, w.ow, pool.w)
                row = pool.x + (plane * pool.h + h) * pool.w + first
                offset = <int> (u * w.kw + v)
                if w.sw == 1:                           # constant strides can be vectorised
                    take_larger(row, 1, span, offset, y, best)
                elif w.sw == 2:
                    take_larger(row, 2, span, offset, y, best)
                else:
                    take_larger(row, w.sw, span, offset, y, best)
        at = (plane * w.oh + i) * w.ow
        if pool.small != NULL:
            for j in range(w.ow):
                pool.small[at + j] = <uint8_t> best[j]
        else:
            for j in range(w.ow):
                pool.large[at + j] = best[j]
        y += w.ow


def max_pool2d(object x, object y, object offsets, object window):
    """Write the maxima y (N, C, OH, OW) of x and the offset u * KW + v of each inside its window."""
    cdef Pool pool = describe(x.shape, window)
    pool.x = read(x)
    pool.y = write(y)
    take_offsets(&pool, offsets, PyBUF_WRITABLE)
    with nogil:
        parallel_for(max_forward_task, &pool, pool.planes,
                     0.3 * pool.planes * pool.window.oh * pool.window.ow * pool.window.kh * pool.window.kw)


cdef inline Py_ssize_t position(const Pool* pool, Py_ssize_t plane, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """Return where in its plane the maximum of window (i, j) lies, h * W + w; -1 for a window outside the image."""
    cdef const Window* w = &pool.window
    cdef Py_ssize_t at = (plane * w.oh + i) * w.ow + j
    cdef Py_ssize_t offset = pool.small[at] if pool.small != NULL else pool.large[at]
    cdef Py_ssize_t row = i * w.sh - w.pt + offset // w.kw * w.dh
    cdef Py_ssize_t column = j * w.sw - w.pl + offset % w.kw * w.dw
    return row * pool.w + column if 0 <= row < pool.h and 0 <= column < pool.w else -1


cdef void max_scatter_task(void* args, Py_ssize_t plane) noexcept nogil:
    """Add each element of dy to the place of its maximum."""
    cdef Pool* pool = <Pool*> args
    cdef const Window* w = &pool.window
    cdef const real* dy = pool.x + plane * w.oh * w.ow
    cdef real* dx = pool.y + plane * pool.h * pool.w
    cdef Py_ssize_t i, j, at
    memset(dx, 0, sizeof(real) * pool.h * pool.w)
    for i in range(w.oh):
        for j in range(w.ow):
            at = position(pool, plane, i, j)
            if at >= 0:
                dx[at] += dy[i * w.ow + j]


cdef void max_gather_task(void* args, Py_ssize_t plane) noexcept nogil:
    """Read the place of each maximum: the adjoint of the scatter."""
    cdef Pool* pool = <Pool*> args
    cdef const Window* w = &pool.window
    cdef const real* x = pool.x + plane * pool.h * pool.w
    cdef Py_ssize_t i, j, at
    for i in range(w.oh):
        for j in range(w.ow):
            at = position(pool, plane, i, j)
            pool.y[(plane * w.oh + i) * w.ow + j] = x[at] if at >= 0 else 0


def max_pool2d_grad(object dy, object offsets, object dx, object window):
    """Write dx (N, C, H, W): dy at the places of the maxima, zero elsewhere."""
    cdef Pool pool = describe(dx.shape, window)
    pool.x = read(dy)
    pool.y = write(dx)
    take_offsets(&pool, offsets, PyBUF_SIMPLE)
    with nogil:
        parallel_for(max_scatter_task, &pool, pool.planes,
                     0.5 * pool.planes * (pool.h * pool.w + pool.window.oh * pool.window.ow))


def max_pool2d_gather(object x, object offsets, object y, object window):
    """Write y (N, C, OH, OW): the elements of x at the places of the maxima."""
    cdef Pool pool = describe(x.shape, window)
    pool.x = read(x)
    pool.y = write(y)
    take_offsets(&pool, offsets, PyBUF_SIMPLE)
    with nogil:
        parallel_for(max_gather_task, &pool, pool.planes, 1.0 * pool.planes * pool.window.oh * pool.window.ow)


cdef inline Py_ssize_t extent(Py_ssize_t first, Py_ssize_t step, Py_ssize_t count, Py_ssize_t before, Py_ssize_t size,
                              Py_ssize_t after, bint count_include_pad) noexcept nogil:
    """Return how many of a window's rows (or columns) the average counts: inside the image, or the padded image."""
    cdef Span span
    if count_include_pad:       # a window of ceil_mode may reach beyond the padding: that part never counts
        span = inside(first + before, step, count, before + size + after)
    else:
        span = inside(first, step, count, size)
    return span.end - span.begin


cdef void fill_scales(const Pool* pool, Py_ssize_t i, real* scales) noexcept nogil:
    """Write 1 / divisor for each window of output row i."""
    cdef const Window* w = &pool.window
    cdef Py_ssize_t rows = extent(i * w.sh - w.pt, w.dh, w.kh, w.pt, pool.h, w.pb, pool.count_include_pad)
    cdef Py_ssize_t j, columns
    for j in range(w.ow):
        columns = extent(j * w.sw - w.pl, w.dw, w.kw, w.pl, pool.w, w.pr, pool.count_include_pad)
        scales[j] = <real> 1 / (pool.divisor if pool.divisor != 0 else rows * columns)


cdef void avg_forward_task(void* args, Py_ssize_t plane) noexcept nogil:
    """Average over the windows of one plane."""
    cdef Pool* pool = <Pool*> args
    cdef const Window* w = &pool.window
    cdef real* y = pool.y + plane * w.oh * w.ow
    cdef real* scales = <real*> scratch_memory(0, sizeof(real) * w.ow)
    cdef const real* row
    cdef Py_ssize_t i, j, u, v, h, first
    cdef Span span
    for i in range(w.oh):
        fill_scales(pool, i, scales)
        memset(y, 0, sizeof(real) * w.ow)
        for u in range(w.kh):
            h = i * w.sh - w.pt + u * w.dh
            if 0 <= h < pool.h:
                row = pool.x + (plane * pool.h + h) * pool.w
                for v in range(w.kw):
                    first = v * w.dw - w.pl
                    span = inside(first, w.sw, w.ow, pool.w)
                    for j in range(span.begin, span.end):
                        y[j] += row[first + j * w.sw]
        for j in range(w.ow):
            y[j] *= scales[j]
        y += w.ow


cdef void avg_backward_task(void* args, Py_ssize_t plane) noexcept nogil:
    """Spread each element of dy over its window: the adjoint of the average."""
    cdef Pool* pool = <Pool*> args
    cdef const Window* w = &pool.window
    cdef const real* dy = pool.x + plane * w.oh * w.ow
    cdef real* dx = pool.y + plane * pool.h * pool.w
    cdef real* scales = <real*> scratch_memory(0, sizeof(real) * w.ow)
    cdef Py_ssize_t i, j, u, v, h, first
    cdef Span span
    memset(dx, 0, sizeof(real) * pool.h * pool.w)
    for i in range(w.oh):
        fill_scales(pool, i, scales)
        for j in range(w.ow):
            scales[j] *= dy[j]
        for u in range(w.kh):
            h = i * w.sh - w.pt + u * w.dh
            if 0 <= h < pool.h:
                for v in range(w.kw):
                    first = v * w.dw - w.pl
                    span = inside(first, w.sw, w.ow, pool.w)
                    for j in range(span.begin, span.end):
                        dx[h * pool.w + first + j * w.sw] += scales[j]
        dy += w.ow


def avg_pool2d(object x, object y, object window, bint count_include_pad, Py_ssize_t divisor):
    """Write the averages y (N, C, OH, OW) of x; divisor 0 means the number of elements averaged."""
    cdef Pool pool = describe(x.shape, window)
    pool.x = read(x)
    pool.y = write(y)
    pool.count_include_pad = count_include_pad
    pool.divisor = divisor
    with nogil:
        parallel_for(avg_forward_task, &pool, pool.planes,
                     0.3 * pool.planes * pool.window.oh * pool.window.ow * pool.window.kh * pool.window.kw)


def avg_pool2d_grad(object dy, object dx, object window, bint count_include_pad, Py_ssize_t divisor):
    """Write dx (N, C, H, W) from dy (N, C, OH, OW)."""
    cdef Pool pool = describe(dx.shape, window)
    pool.x = read(dy)
    pool.y = write(dx)
    pool.count_include_pad = count_include_pad
    pool.divisor = divisor
    with nogil:
        parallel_for(avg_backward_task, &pool, pool.planes,
                     0.5 * pool.planes * pool.window.oh * pool.window.ow * pool.window.kh * pool.window.kw)
