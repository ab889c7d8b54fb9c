"""Batch normalisation of (N, C, L), each channel over all images and positions; local response normalisation."""
from libc.math cimport INFINITY, sqrt

from parallel cimport import_runtime, parallel_for, scratch_memory
from real cimport LANES, read, real, vec, vec_load, vec_set, vec_store, write
from sums cimport rows_sum
from vexp cimport load, PREFETCH, store, vec_exp, vec_load_part, vec_log, vec_max, vec_relu_grad, vec_sum

import_runtime()

cdef enum:
    PIECE = 1024        # elements of a channel added up in single precision before they go to double
    PART = 32           # elements of a row that are enough to guess the mean of a piece
    FEW = 8             # tasks that there are at least, if there are so many channels
    AHEAD = 4096        # elements between what is read and what is asked for
    RESIDENT = 1 << 18  # bytes of a group of channels that surely stay in the cache
    PAGE = 4096         # bytes; rows that lie whole pages apart push each other out of the cache

cdef struct Norm:
    const real* x
    const real* w       # NULL: 1
    const real* b       # NULL: 0
    const real* dy
    const real* residual    # what is added to y, or NULL
    real* y             # or dx
    real* mean
    real* var
    real* dw
    real* db
    Py_ssize_t n, c, size
    Py_ssize_t stride       # from one image to the next
    Py_ssize_t group        # channels of a task, neighbours that together fill a page of an image
    Py_ssize_t rows         # of a channel, one an image, that are added up together
    Py_ssize_t ahead, next  # from what is read to what is asked for, in the first and in the second pass
    double eps
    bint rectified          # whether a relu follows
    real least              # of y: 0 if a relu follows

cdef struct Channel:
    double mean, squares    # of the elements so far: their mean, and the sum of the squares of their distances to it
    double total, dot       # sums of dy and of dy * (x - mean)
    vec middle, scale, shift        # y = (x - middle) * scale + shift
    vec mean_dy, slope              # dx = scale * (dy - mean_dy - (x - middle) * slope)


cdef Norm norm_of(object x, object w, object b, object mean, object var, double eps):
    """Describe the work."""
    cdef Norm m
    m.n, m.c, m.size = x.shape
    m.x = read(x)
    m.w = read(w)
    m.b = read(b)
    m.mean = <real*> read(mean)
    m.var = <real*> read(var)
    m.eps = eps
    m.stride = m.c * m.size
    m.group = max(1, min(PIECE // max(1, m.size), m.c // FEW))
    m.rows = max(1, PIECE // max(1, m.size))
    if m.n * m.group * m.size * sizeof(real) <= RESIDENT and m.stride * sizeof(real) % PAGE != 0:
        m.ahead, m.next = 0, m.group * m.size       # the second pass finds all in the cache, and asks for the next group
    else:
        m.ahead = AHEAD if m.size >= AHEAD else max(m.rows, AHEAD // max(1, m.group * m.size)) * m.stride
        m.next = m.ahead
    return m


cdef void run(void (*task)(void*, Py_ssize_t) noexcept nogil, Norm* m, double nanoseconds) noexcept nogil:
    """Run a task for each group of channels; `nanoseconds` is its cost for one element."""
    parallel_for(task, m, (m.c + m.group - 1) // m.group, nanoseconds * m.n * m.c * m.size)


cdef inline Channel* channels_of(const Norm* m, Py_ssize_t task, Py_ssize_t* first, Py_ssize_t* count) noexcept nogil:
    """Return memory for the channels of a task, the first of them and how many there are."""
    first[0] = task * m.group
    count[0] = min(m.group, m.c - first[0])
    return <Channel*> scratch_memory(0, sizeof(Channel) * m.group)


cdef inline void find_line(const Norm* m, Py_ssize_t c, Channel* channel) noexcept nogil:
    """Set y = (x - middle) * scale + shift."""
    channel.middle = vec_set(m.mean[c])
    channel.scale = vec_set(<real> (1 / sqrt(m.var[c] + m.eps)) * (m.w[c] if m.w != NULL else 1))
    channel.shift = vec_set(m.b[c] if m.b != NULL else 0)


cdef inline vec normalised(const Channel* channel, vec x) noexcept nogil:
    return (x - channel.middle) * channel.scale + channel.shift


cdef inline vec slope_of(const Channel* channel, vec x, vec dy, bint rectified) noexcept nogil:
    """Return the gradient of the normalised elements: dy, or what a relu leaves of it."""
    return vec_relu_grad(dy, normalised(channel, x)) if rectified else dy


cdef inline Py_ssize_t vector_at(Py_ssize_t i, Py_ssize_t size) noexcept nogil:
    """Return where the next vector begins: the last one of a row overlaps the one before it."""
    return size - LANES if size - i < LANES <= size else i


cdef inline void add_moments(const real* x, Py_ssize_t rows, Py_ssize_t stride, Py_ssize_t n, Py_ssize_t ahead,
                             double before, Channel* channel) noexcept nogil:
    """Add a piece, n neighbours of each row, to the `before` elements whose mean and squares are known.

    Chan et al., 1979.  One pass finds the sums of deviations and of their squares: these are taken from the mean so far, so
    that what cancels between the two sums is small beside the squares of all; the first piece finds its mean beforehand.
    """
    cdef double count = rows * n, weight = count / (before + count), distance, squares
    cdef real origin = <real> (channel.mean if before > 0 else rows_sum(x, rows, stride, n) / count)
    cdef vec middle = vec_set(origin), sums = vec_set(0), more_sums = sums, powers = sums, more_powers = sums, deviation
    cdef Py_ssize_t i
    for _ in range(rows):
        i = 0
        while n - i >= 2 * LANES:
            PREFETCH(x + i + ahead, False)
            deviation = vec_load(x + i) - middle
            sums = sums + deviation
            powers = powers + deviation * deviation
            PREFETCH(x + i + LANES + ahead, False)
            deviation = vec_load(x + i + LANES) - middle
            more_sums = more_sums + deviation
            more_powers = more_powers + deviation * deviation
            i += 2 * LANES
        while i < n:
            deviation = (vec_load(x + i) if n - i >= LANES else vec_load_part(x + i, n - i, origin)) - middle
            sums = sums + deviation
            powers = powers + deviation * deviation
            i += LANES
        x += stride
    distance = vec_sum(sums + more_sums) / count
    squares = vec_sum(powers + more_powers) - count * distance * distance
    distance += origin - channel.mean
    channel.mean += distance * weight
    channel.squares += (0 if squares < 0 else squares) + distance * distance * before * weight


cdef inline void normalise_row(const Norm* m, Py_ssize_t at, const Channel* channels, Py_ssize_t c,
                               bint added) noexcept nogil:
    """Write a row of y, with what is to be `added` to it."""
    cdef Channel channel = channels[c]      # a copy, which what is written cannot change
    cdef const real* x = m.x + at
    cdef const real* residual = m.residual + at if added else NULL
    cdef real* y = m.y + at
    cdef Py_ssize_t i = 0, size = m.size, ahead = m.next
    cdef vec value, least = vec_set(m.least)
    while i < size:
        i = vector_at(i, size)
        PREFETCH(x + i + ahead, False)
        PREFETCH(y + i + ahead, True)
        value = normalised(&channel, load(x + i, size - i))
        if added:
            PREFETCH(residual + i + ahead, False)
            value = value + load(residual + i, size - i)
        store(y + i, vec_max(least, value), size - i)
        i += LANES


cdef void normalise_task(void* args, Py_ssize_t index) noexcept nogil:
    """Normalise a group of channels by mean and var."""
    cdef const Norm* m = <const Norm*> args
    cdef Py_ssize_t first, count, n, c, at
    cdef Channel* channels = channels_of(m, index, &first, &count)
    for c in range(count):
        find_line(m, first + c, &channels[c])
    for n in range(m.n):
        for c in range(count):
            at = n * m.stride + (first + c) * m.size
            if m.residual != NULL:
                normalise_row(m, at, channels, c, True)
            else:
                normalise_row(m, at, channels, c, False)


cdef void forward_task(void* args, Py_ssize_t index) noexcept nogil:
    """Normalise a group of channels."""
    cdef const Norm* m = <const Norm*> args
    cdef Py_ssize_t first, count, rows, n = 0, c, i
    cdef Channel* channels = channels_of(m, index, &first, &count)
    for c in range(count):
        channels[c].mean = channels[c].squares = 0
    while n < m.n:
        rows = min(m.rows, m.n - n)
        for c in range(count):
            i = 0
            while i < m.size:
                add_moments(m.x + n * m.stride + (first + c) * m.size + i, rows, m.stride,
                            min(<Py_ssize_t> PIECE, m.size - i), m.ahead, n * m.size + rows * i, &channels[c])
                i += PIECE
        n += rows
    for c in range(count):
        m.mean[first + c] = <real> channels[c].mean
        m.var[first + c] = <real> (channels[c].squares / (m.n * m.size))
    normalise_task(args, index)


cdef inline void add_products(const Norm* m, Py_ssize_t at, Py_ssize_t rows, Py_ssize_t n, Channel* channel,
                              bint rectified) noexcept nogil:
    """Add a piece, n neighbours of each row, to the sums of dy and of dy * (x - mean)."""
    cdef vec total = vec_set(0), dot = total, more = total, more_dot = total, x, dy
    cdef Py_ssize_t i
    for _ in range(rows):
        i = 0
        while n - i >= 2 * LANES:
            PREFETCH(m.x + at + i + m.ahead, False)
            PREFETCH(m.dy + at + i + m.ahead, False)
            x = vec_load(m.x + at + i)
            dy = slope_of(channel, x, vec_load(m.dy + at + i), rectified)
            total = total + dy
            dot = dot + (x - channel.middle) * dy
            i += LANES
            PREFETCH(m.x + at + i + m.ahead, False)
            PREFETCH(m.dy + at + i + m.ahead, False)
            x = vec_load(m.x + at + i)
            dy = slope_of(channel, x, vec_load(m.dy + at + i), rectified)
            more = more + dy
            more_dot = more_dot + (x - channel.middle) * dy
            i += LANES
        while i < n:
            x = load(m.x + at + i, n - i)
            dy = slope_of(channel, x, load(m.dy + at + i, n - i), rectified)
            total = total + dy
            dot = dot + (x - channel.middle) * dy
            i += LANES
        at += m.stride
    channel.total += vec_sum(total + more)
    channel.dot += vec_sum(dot + more_dot)


cdef inline void spread_row(const Norm* m, Py_ssize_t at, const Channel* channels, Py_ssize_t c,
                            bint rectified) noexcept nogil:
    """Write a row of dx."""
    cdef Channel channel = channels[c]
    cdef const real* x = m.x + at
    cdef const real* dy = m.dy + at
    cdef real* dx = m.y + at
    cdef Py_ssize_t i = 0, size = m.size, ahead = m.next
    cdef vec value, slope
    while i < size:
        i = vector_at(i, size)
        PREFETCH(x + i + ahead, False)
        PREFETCH(dy + i + ahead, False)
        PREFETCH(dx + i + ahead, True)
        value = load(x + i, size - i)
        slope = slope_of(&channel, value, load(dy + i, size - i), rectified)
        store(dx + i, channel.scale * (slope - channel.mean_dy - (value - channel.middle) * channel.slope), size - i)
        i += LANES


cdef inline void backward_group(const Norm* m, Py_ssize_t index, bint rectified) noexcept nogil:
    """Compute dx, dw and db of a group of channels; a constant `rectified` leaves loops without branches."""
    cdef double elements = m.n * m.size, inverse
    cdef Py_ssize_t first, count, rows, n = 0, c, i
    cdef Channel* channels = channels_of(m, index, &first, &count)
    cdef Channel* channel
    for c in range(count):
        channels[c].total = channels[c].dot = 0
        find_line(m, first + c, &channels[c])
    while n < m.n:
        rows = min(m.rows, m.n - n)
        for c in range(count):
            i = 0
            while i < m.size:
                add_products(m, n * m.stride + (first + c) * m.size + i, rows, min(<Py_ssize_t> PIECE, m.size - i),
                             &channels[c], rectified)
                i += PIECE
        n += rows
    for c in range(count):
        channel = &channels[c]
        inverse = 1 / sqrt(m.var[first + c] + m.eps)
        m.dw[first + c] = <real> (channel.dot * inverse)
        m.db[first + c] = <real> channel.total
        channel.mean_dy = vec_set(<real> (channel.total / elements))
        channel.slope = vec_set(<real> (channel.dot * inverse * inverse / elements))
    for n in range(m.n):
        for c in range(count):
            spread_row(m, n * m.stride + (first + c) * m.size, channels, c, rectified)


cdef void backward_task(void* args, Py_ssize_t index) noexcept nogil:
    cdef const Norm* m = <const Norm*> args
    if m.rectified:
        backward_group(m, index, True)
    else:
        backward_group(m, index, False)


def batch_norm(object x, object w, object b, object y, object mean, object var, double eps, object residual, bint relu):
    """Write y (N, C, L), mean and biased var (C,)."""
    cdef Norm m = norm_of(x, w, b, mean, var, eps)
    m.y, m.residual, m.least = write(y), read(residual), <real> (0 if relu else -INFINITY)
    with nogil:
        run(forward_task, &m, 0.5)


def normalise(object x, object w, object b, object y, object mean, object var, double eps, object residual, bint relu):
    """Write y (N, C, L) by mean and var (C,), plus the residual unless it is None, and its relu."""
    cdef Norm m = norm_of(x, w, b, mean, var, eps)
    m.y, m.residual, m.least = write(y), read(residual), <real> (0 if relu else -INFINITY)
    with nogil:
        run(normalise_task, &m, 0.3)


def batch_norm_grad(object dy, object x, object w, object b, object mean, object var, object dx, object dw, object db,
                    double eps, bint rectified):
    """Write dx (N, C, L), dw and db (C,); `rectified`: dy is the gradient of max(y, 0)."""
    cdef Norm m = norm_of(x, w, b, mean, var, eps)
    m.dy = read(dy)
    m.y = write(dx)
    m.dw = write(dw)
    m.db = write(db)
    m.rectified = rectified
    with nogil:
        run(backward_task, &m, 0.7)


# ---- local response normalisation ----

cdef enum:
    PIXELS = 512        # neighbours that a task takes through all channels

cdef struct Response:
    const real* x
    const real* dy
    real* y             # or dx
    Py_ssize_t c, pixels, blocks    # blocks of PIXELS
    Py_ssize_t before, after        # channels of a window
    real scale, beta, k


cdef inline vec window_scale(const Response* r, const real* x, Py_ssize_t c, Py_ssize_t count) noexcept nogil:
    """Return k + scale * the sum of squares around channel c; x points to channel 0."""
    cdef vec total = vec_set(0), value
    cdef Py_ssize_t j
    for j in range(max(0, c - r.before), min(r.c, c + r.after + 1)):
        value = load(x + j * r.pixels, count)
        total = total + value * value
    return vec_set(r.k) + total * vec_set(r.scale)


cdef void response_task(void* args, Py_ssize_t index) noexcept nogil:
    """Normalise one block of pixels of one image: y = x * scale ** -beta."""
    cdef const Response* r = <const Response*> args
    cdef Py_ssize_t first = index // r.blocks * r.c * r.pixels, begin = index % r.blocks * PIXELS, c, q, at
    cdef Py_ssize_t end = min(r.pixels, begin + PIXELS)
    cdef vec power
    for c in range(r.c):
        q = begin
        while q < end:
            at = first + c * r.pixels + q
            PREFETCH(r.x + at + (r.after + 1) * r.pixels, False)     # channels are far apart
            PREFETCH(r.y + at + r.pixels, True)
            power = vec_exp(vec_log(window_scale(r, r.x + first + q, c, end - q)) * vec_set(-r.beta))
            store(r.y + at, load(r.x + at, end - q) * power, end - q)
            q += LANES


cdef void response_grad_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute dx of one block of pixels of one image.

    dx = dy * scale ** -beta - 2 * alpha / size * beta * x * (the sum of dy * y / scale over the windows that contain x)
    """
    cdef const Response* r = <const Response*> args
    cdef Py_ssize_t first = index // r.blocks * r.c * r.pixels, begin = index % r.blocks * PIXELS, c, j, q, at
    cdef Py_ssize_t end = min(r.pixels, begin + PIXELS)
    cdef real* shares = <real*> scratch_memory(0, sizeof(real) * r.c * PIXELS)     # dy * y / scale
    cdef vec scale, direct, total, slope = vec_set(<real> (-2 * r.scale * r.beta))
    for c in range(r.c):
        q = begin
        while q < end:
            at = first + c * r.pixels + q
            PREFETCH(r.x + at + (r.after + 1) * r.pixels, False)
            PREFETCH(r.dy + at + r.pixels, False)
            PREFETCH(r.y + at + r.pixels, True)
            scale = window_scale(r, r.x + first + q, c, end - q)
            direct = load(r.dy + at, end - q) * vec_exp(vec_log(scale) * vec_set(-r.beta))
            store(r.y + at, direct, end - q)
            vec_store(shares + c * PIXELS + q - begin, direct * load(r.x + at, end - q) / scale)
            q += LANES
    for c in range(r.c):
        q = begin
        while q < end:
            at = first + c * r.pixels + q
            total = vec_set(0)
            for j in range(max(0, c - r.after), min(r.c, c + r.before + 1)):
                total = total + vec_load(shares + j * PIXELS + q - begin)
            store(r.y + at, load(r.y + at, end - q) + load(r.x + at, end - q) * total * slope, end - q)
            q += LANES


cdef Response response_of(object x, Py_ssize_t size, double alpha, double beta, double k):
    """Describe the work."""
    cdef Response r
    _, r.c, r.pixels = x.shape
    r.x = read(x)
    r.blocks = (r.pixels + PIXELS - 1) // PIXELS
    r.before, r.after = size // 2, (size - 1) // 2
    r.scale, r.beta, r.k = <real> (alpha / size), <real> beta, <real> k
    return r


def local_response_norm(object x, object y, Py_ssize_t size, double alpha, double beta, double k):
    """Write y (N, C, L)."""
    cdef Response r = response_of(x, size, alpha, beta, k)
    cdef Py_ssize_t n = x.shape[0]
    r.y = write(y)
    with nogil:
        parallel_for(response_task, &r, n * r.blocks, 0.8 * n * r.c * r.pixels)


def local_response_norm_grad(object dy, object x, object dx, Py_ssize_t size, double alpha, double beta, double k):
    """Write dx (N, C, L)."""
    cdef Response r = response_of(x, size, alpha, beta, k)
    cdef Py_ssize_t n = x.shape[0]
    r.dy = read(dy)
    r.y = write(dx)
    with nogil:
        parallel_for(response_grad_task, &r, n * r.blocks, 1.5 * n * r.c * r.pixels)
