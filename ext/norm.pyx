"""Batch normalisation of (N, C, L), each channel over all images and positions; local response normalisation."""
from libc.math cimport sqrt

from parallel cimport import_runtime, parallel_for, scratch_memory
from real cimport LANES, read, real, vec, vec_load, vec_set, vec_store, write
from sums cimport RUN, rows_dot, rows_squares, rows_sum
from vexp cimport load, PREFETCH, store, vec_exp, vec_log

import_runtime()

cdef struct Norm:
    const real* x
    const real* w       # NULL: 1
    const real* b       # NULL: 0
    const real* dy
    real* y             # or dx
    real* mean
    real* var
    real* dw
    real* db
    Py_ssize_t n, c, size
    double eps


cdef void forward_task(void* args, Py_ssize_t c) noexcept nogil:
    """Normalise one channel."""
    cdef const Norm* m = <const Norm*> args
    cdef const real* x = m.x + c * m.size
    cdef real* y = m.y + c * m.size
    cdef Py_ssize_t stride = m.c * m.size, n, i
    cdef double count = m.n * m.size
    cdef real mean = <real> (rows_sum(x, m.n, stride, m.size) / count)
    cdef real var = <real> (rows_squares(x, mean, m.n, stride, m.size) / count)
    cdef vec middle = vec_set(mean), scale, shift = vec_set(m.b[c] if m.b != NULL else 0)
    m.mean[c] = mean
    m.var[c] = var
    scale = vec_set(<real> (1 / sqrt(var + m.eps)) * (m.w[c] if m.w != NULL else 1))
    for n in range(m.n):
        i = 0
        while i < m.size:
            i = vector_at(i, m.size)
            PREFETCH(x + n * stride + i + m.size, False)
            PREFETCH(y + n * stride + i + m.size, True)
            store(y + n * stride + i, (load(x + n * stride + i, m.size - i) - middle) * scale + shift, m.size - i)
            i += LANES


cdef void backward_task(void* args, Py_ssize_t c) noexcept nogil:
    """Compute dx, dw and db of one channel."""
    cdef const Norm* m = <const Norm*> args
    cdef const real* x = m.x + c * m.size
    cdef const real* dy = m.dy + c * m.size
    cdef real* dx = m.y + c * m.size
    cdef Py_ssize_t stride = m.c * m.size, together = max(1, RUN // max(1, m.size)), n = 0, i, rows
    cdef double dot = 0, total = 0, count = m.n * m.size, inverse = 1 / sqrt(m.var[c] + m.eps)
    cdef vec middle = vec_set(m.mean[c]), scale, mean_dy, slope
    while n < m.n:      # both sums at once, while rows are in the cache
        rows = min(together, m.n - n)
        total += rows_sum(dy + n * stride, rows, stride, m.size)
        dot += rows_dot(x + n * stride, dy + n * stride, m.mean[c], rows, stride, m.size)
        n += rows
    m.dw[c] = <real> (dot * inverse)
    m.db[c] = <real> total
    scale = vec_set(<real> (inverse * (m.w[c] if m.w != NULL else 1)))
    mean_dy = vec_set(<real> (total / count))
    slope = vec_set(<real> (dot * inverse * inverse / count))
    for n in range(m.n):
        i = 0
        while i < m.size:
            i = vector_at(i, m.size)
            PREFETCH(x + n * stride + i + m.size, False)
            PREFETCH(dy + n * stride + i + m.size, False)
            PREFETCH(dx + n * stride + i + m.size, True)
            store(dx + n * stride + i, scale * (load(dy + n * stride + i, m.size - i) - mean_dy
                                                - (load(x + n * stride + i, m.size - i) - middle) * slope), m.size - i)
            i += LANES


cdef inline Py_ssize_t vector_at(Py_ssize_t i, Py_ssize_t size) noexcept nogil:
    """Return where the next vector begins: the last one of a row overlaps the one before it."""
    return size - LANES if size - i < LANES <= size else i


def batch_norm(object x, object w, object b, object y, object mean, object var, double eps):
    """Write y (N, C, L), mean and biased var (C,)."""
    cdef Norm m
    m.n, m.c, m.size = x.shape
    m.x = read(x)
    m.w = read(w)
    m.b = read(b)
    m.y = write(y)
    m.mean = write(mean)
    m.var = write(var)
    m.eps = eps
    with nogil:
        parallel_for(forward_task, &m, m.c, 0.5 * m.n * m.c * m.size)


def batch_norm_grad(object dy, object x, object w, object mean, object var, object dx, object dw, object db, double eps):
    """Write dx (N, C, L), dw and db (C,)."""
    cdef Norm m
    m.n, m.c, m.size = x.shape
    m.dy = read(dy)
    m.x = read(x)
    m.w = read(w)
    m.mean = <real*> read(mean)
    m.var = <real*> read(var)
    m.y = write(dx)
    m.dw = write(dw)
    m.db = write(db)
    m.eps = eps
    with nogil:
        parallel_for(backward_task, &m, m.c, 0.7 * m.n * m.c * m.size)


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
