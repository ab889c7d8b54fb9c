"""Max and average pooling over windows of a plane, forward and backward."""
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcpy, memset
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE

from parallel cimport import_runtime, parallel_for, scratch_memory
from phases cimport Phases, load_phases, phases_of, phases_size, shift
from real cimport address, int_alone, read, real, real_alone, write
from sums cimport row_sum
from window cimport Span, Window, inside, read_window

import_runtime()

cdef enum:
    FLAT_TAPS = 16              # averages over more elements, where windows do not overlap, go window by window

cdef struct Pool:
    Window window
    Phases phases               # of one plane
    Py_ssize_t planes, h, w
    Py_ssize_t length           # output positions of a plane, unused ones included
    const real* x               # what is read: x, or dy
    real* y                     # what is written: y, or dx
    uint8_t* small              # offsets (u * kw + v) of the maxima, for windows of up to 256 elements
    int32_t* large              # the same for larger windows
    int* firsts                 # the first element inside the image of each window, at the pitch of the phases
    real* scales                # 1 / divisor of each average, likewise
    Py_ssize_t divisor          # of the average; 0: the number of elements averaged
    bint count_include_pad


cdef Pool describe(object image_shape, object window):
    """Collect the sizes of a pooling."""
    cdef Pool pool
    pool.window = read_window(window)
    pool.planes = image_shape[0] * image_shape[1]
    pool.h = image_shape[2]
    pool.w = image_shape[3]
    pool.phases = phases_of(&pool.window, 1, pool.h, pool.w, pool.window.oh)
    pool.length = pool.window.oh * pool.phases.pitch
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


# ---- maxima ----

cdef inline Py_ssize_t first_inside(Py_ssize_t first, Py_ssize_t step, Py_ssize_t count, Py_ssize_t size) noexcept nogil:
    """Return the first of `count` positions, `step` apart, that lies in [0, size); -1 if none does."""
    cdef Span span = inside(first, step, count, size)
    return span.begin if span.begin < span.end else -1


cdef void find_firsts(Pool* pool) noexcept nogil:
    """Tabulate the first element of each window that lies inside the image, 0 where none does."""
    cdef const Window* w = &pool.window
    cdef Py_ssize_t i, j, u, v
    pool.firsts = <int*> scratch_memory(3, sizeof(int) * pool.length)
    memset(pool.firsts, 0, sizeof(int) * pool.length)
    for i in range(w.oh):
        u = first_inside(i * w.sh - w.pt, w.dh, w.kh, pool.h)
        for j in range(w.ow):
            v = first_inside(j * w.sw - w.pl, w.dw, w.kw, pool.w)
            if u >= 0 and v >= 0:
                pool.firsts[i * pool.phases.pitch + j] = <int> (u * w.kw + v)


cdef inline void take_larger(const real* x, Py_ssize_t count, int offset, real_alone y, int_alone best) noexcept nogil:
    """Let all windows take the value of one element, where it is larger (or the first NaN)."""
    cdef Py_ssize_t q
    cdef real value, old
    cdef bint larger
    for q in range(count):
        value = x[q]
        old = y[q]
        larger = (value > old) | ((value != value) & (old == old))
        y[q] = value if larger else old
        best[q] = offset if larger else best[q]


cdef void max_forward_task(void* args, Py_ssize_t plane) noexcept nogil:
    """Pool one plane: all its windows advance together through their elements."""
    cdef Pool* pool = <Pool*> args
    cdef const Window* w = &pool.window
    cdef Py_ssize_t size = phases_size(&pool.phases)
    cdef real* phases = <real*> scratch_memory(0, sizeof(real) * (size + 2 * pool.length))
    cdef real* y = phases + size + pool.length
    cdef int* best = <int*> scratch_memory(1, sizeof(int) * pool.length)
    cdef Py_ssize_t q, u, v, i, j, at
    load_phases(&pool.phases, pool.x + plane * pool.h * pool.w, 0, -INFINITY, phases)
    for q in range(pool.length):
        phases[size + q] = -INFINITY        # what unused positions read
        y[q] = -INFINITY
    memcpy(best, pool.firsts, sizeof(int) * pool.length)
    for u in range(w.kh):
        for v in range(w.kw):
            take_larger(phases + shift(&pool.phases, 0, u, v), pool.length, <int> (u * w.kw + v), y, best)
    for i in range(w.oh):
        at = (plane * w.oh + i) * w.ow
        q = i * pool.phases.pitch
        memcpy(pool.y + at, y + q, sizeof(real) * w.ow)
        if pool.small != NULL:
            for j in range(w.ow):
                pool.small[at + j] = <uint8_t> best[q + j]
        else:
            for j in range(w.ow):
                pool.large[at + j] = best[q + j]


def max_pool2d(object x, object y, object offsets, object window):
    """Write the maxima y (N, C, OH, OW) of x and the offset u * KW + v of each inside its window."""
    cdef Pool pool = describe(x.shape, window)
    pool.x = read(x)
    pool.y = write(y)
    take_offsets(&pool, offsets, PyBUF_WRITABLE)
    with nogil:
        find_firsts(&pool)
        parallel_for(max_forward_task, &pool, pool.planes,
                     0.2 * pool.planes * pool.length * pool.window.kh * pool.window.kw)


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


# ---- averages ----

cdef inline Py_ssize_t extent(Py_ssize_t first, Py_ssize_t step, Py_ssize_t count, Py_ssize_t before, Py_ssize_t size,
                              Py_ssize_t after, bint count_include_pad) noexcept nogil:
    """Return how many of a window's rows (or columns) the average counts: inside the image, or the padded image."""
    cdef Span span
    if count_include_pad:       # a window of ceil_mode may reach beyond the padding: that part never counts
        span = inside(first + before, step, count, before + size + after)
    else:
        span = inside(first, step, count, size)
    return span.end - span.begin


cdef void find_scales(Pool* pool) noexcept nogil:
    """Tabulate 1 / divisor of each window."""
    cdef const Window* w = &pool.window
    cdef Py_ssize_t i, j, rows, columns
    pool.scales = <real*> scratch_memory(3, sizeof(real) * pool.length)
    for i in range(w.oh):
        rows = extent(i * w.sh - w.pt, w.dh, w.kh, w.pt, pool.h, w.pb, pool.count_include_pad)
        for j in range(pool.phases.pitch):
            columns = extent(j * w.sw - w.pl, w.dw, w.kw, w.pl, pool.w, w.pr, pool.count_include_pad)
            pool.scales[i * pool.phases.pitch + j] = \
                <real> 1 / (pool.divisor if pool.divisor != 0 else max(<Py_ssize_t> 1, rows * columns))


cdef void avg_flat_task(void* args, Py_ssize_t plane) noexcept nogil:
    """Average over the windows of one plane, all together, element by element."""
    cdef Pool* pool = <Pool*> args
    cdef const Window* w = &pool.window
    cdef Py_ssize_t size = phases_size(&pool.phases)
    cdef real* phases = <real*> scratch_memory(0, sizeof(real) * (size + 2 * pool.length))
    cdef real* y = phases + size + pool.length
    cdef const real* x
    cdef Py_ssize_t q, u, v, i
    load_phases(&pool.phases, pool.x + plane * pool.h * pool.w, 0, 0, phases)
    memset(phases + size, 0, sizeof(real) * 2 * pool.length)
    for u in range(w.kh):
        for v in range(w.kw):
            x = phases + shift(&pool.phases, 0, u, v)
            for q in range(pool.length):
                y[q] += x[q]
    for q in range(pool.length):
        y[q] *= pool.scales[q]
    for i in range(w.oh):
        memcpy(pool.y + (plane * w.oh + i) * w.ow, y + i * pool.phases.pitch, sizeof(real) * w.ow)


cdef void avg_windows_task(void* args, Py_ssize_t plane) noexcept nogil:
    """Average over the windows of one plane, one after the other: few large ones."""
    cdef Pool* pool = <Pool*> args
    cdef const Window* w = &pool.window
    cdef Py_ssize_t i, j, h
    cdef Span rows, columns
    cdef double total
    for i in range(w.oh):
        rows = inside(i * w.sh - w.pt, 1, w.kh, pool.h)
        for j in range(w.ow):
            columns = inside(j * w.sw - w.pl, 1, w.kw, pool.w)
            total = 0
            for h in range(i * w.sh - w.pt + rows.begin, i * w.sh - w.pt + rows.end):
                total += row_sum(pool.x + (plane * pool.h + h) * pool.w + j * w.sw - w.pl + columns.begin,
                                 columns.end - columns.begin)
            pool.y[(plane * w.oh + i) * w.ow + j] = <real> (total * pool.scales[i * pool.phases.pitch + j])


cdef void avg_backward_task(void* args, Py_ssize_t plane) noexcept nogil:
    """Spread each element of dy over its window: the adjoint of the average."""
    cdef Pool* pool = <Pool*> args
    cdef const Window* w = &pool.window
    cdef const real* dy = pool.x + plane * w.oh * w.ow
    cdef real* dx = pool.y + plane * pool.h * pool.w
    cdef const real* scales
    cdef real* row
    cdef Py_ssize_t i, j, u, v, h, first
    cdef Span span
    cdef real share
    memset(dx, 0, sizeof(real) * pool.h * pool.w)
    for i in range(w.oh):
        scales = pool.scales + i * pool.phases.pitch
        for u in range(w.kh):
            h = i * w.sh - w.pt + u * w.dh
            if not 0 <= h < pool.h:
                continue
            row = dx + h * pool.w
            if w.dw == 1:                       # a run of neighbours for each window
                for j in range(w.ow):
                    first = j * w.sw - w.pl
                    share = dy[i * w.ow + j] * scales[j]
                    span = inside(first, 1, w.kw, pool.w)
                    for v in range(span.begin, span.end):
                        row[first + v] += share
            else:
                for v in range(w.kw):
                    first = v * w.dw - w.pl
                    span = inside(first, w.sw, w.ow, pool.w)
                    for j in range(span.begin, span.end):
                        row[first + j * w.sw] += dy[i * w.ow + j] * scales[j]


def avg_pool2d(object x, object y, object window, bint count_include_pad, Py_ssize_t divisor):
    """Write the averages y (N, C, OH, OW) of x; divisor 0 means the number of elements averaged."""
    cdef Pool pool = describe(x.shape, window)
    cdef const Window* w = &pool.window
    cdef bint apart = w.kh * w.kw > FLAT_TAPS and w.kw <= w.sw and w.dh == 1 and w.dw == 1
    pool.x = read(x)
    pool.y = write(y)
    pool.count_include_pad = count_include_pad
    pool.divisor = divisor
    with nogil:
        find_scales(&pool)
        parallel_for(avg_windows_task if apart else avg_flat_task, &pool, pool.planes,
                     0.2 * pool.planes * pool.length * w.kh * w.kw)


def avg_pool2d_grad(object dy, object dx, object window, bint count_include_pad, Py_ssize_t divisor):
    """Write dx (N, C, H, W) from dy (N, C, OH, OW)."""
    cdef Pool pool = describe(dx.shape, window)
    pool.x = read(dy)
    pool.y = write(dx)
    pool.count_include_pad = count_include_pad
    pool.divisor = divisor
    with nogil:
        find_scales(&pool)
        parallel_for(avg_backward_task, &pool, pool.planes,
                     0.5 * pool.planes * pool.window.oh * pool.window.ow * pool.window.kh * pool.window.kw)
