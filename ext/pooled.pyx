"""A stride-1 convolution with max pooling behind it, of windows that do not overlap, and its gradients.

Forward the sums of a few rows stay in the cache until they are pooled.

Of the positions in a window only the maximum has a gradient, so backward a quarter of the products (2x2 windows) is enough.
Images lie with channels last and with their padding: the elements under the kernel are KH runs of KW * C neighbours, wherever
they begin.

    dw[o]           sums in registers; for each window its element of dy times the elements under the kernel at its maximum
    dx of a window  sums in registers, over output channels: dy times the kernel, moved to where the maximum is

Every task owns its outputs, and blocks depend on shapes alone: results do not depend on the number of threads.
"""
from libc.math cimport INFINITY
from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memset
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE

from convolution cimport PANEL_VECS, WIDE_ROWS, outputs_tile, positions_tile, round_up, start_sums, transpose
from gemm cimport TILE_COLUMNS, TILE_ROWS, ceil_div, even_part
from parallel cimport import_runtime, parallel_for, scratch_memory
from pooling cimport max_lines, pool_lines
from real cimport LANES, address, read, real, write
from sums cimport row_sum
from window cimport Window, copy_row, read_window

import_runtime()
prepare_lists()

cdef extern from "pooled.h":
    ctypedef struct output_windows:
        int vecs, kh, kw
        Py_ssize_t lines, count, sh, sw, width
    void max_outputs(const output_windows* p, const real* sums, real* y, real* offsets) noexcept nogil
    void narrow(const real* source, Py_ssize_t n, uint8_t* to) noexcept nogil
    const int MOST_SUMS, MOST_ROWS, MOST_VECS, SHORT
    ctypedef struct maxima:
        Py_ssize_t count
        int* at
        real* dy
    void prepare_lists()
    void append_maxima(maxima* list, Py_ssize_t windows, Py_ssize_t positions, const real* dy, const real* y,
                       const uint8_t* offsets, Py_ssize_t stride, Py_ssize_t start, const int* places,
                       const int* shifts) noexcept nogil
    void channels_last(Py_ssize_t channels, Py_ssize_t columns, const real* source, Py_ssize_t plane, real* to) noexcept nogil
    void channels_first(Py_ssize_t channels, Py_ssize_t columns, const real* source, real* to, Py_ssize_t plane) noexcept nogil
    void weight_sums(int rows, int vecs, const maxima* list, const real* x, Py_ssize_t pitch, real* sums,
                     Py_ssize_t lds) noexcept nogil
    void make_patch(int vecs, const maxima* list, const real* table, real* patch) noexcept nogil
    void add_rows(Py_ssize_t rows, Py_ssize_t width, const real* patch, real* x, Py_ssize_t pitch) noexcept nogil

cdef enum:
    TASKS = 8                   # enough for the threads of a small machine
    WINDOWS = 128               # of a plane, or of planes of several images: enough for one reading of the sums
    CACHED = 16 << 10           # bytes of the images that are worked on together: a part of L1

cdef struct Pooled:
    Window window, pool
    Py_ssize_t n, c, h, w, o
    Py_ssize_t rows, pitch, size        # of a padded image: rows, elements of one, elements with room for a last vector
    Py_ssize_t count, positions         # windows of a plane, positions of a window
    int* places                         # where each window begins in the padded image
    int* shifts                         # and how much further each of its positions
    int* moved                          # numbers: of the kernels of each output among those moved, then of positions
    Py_ssize_t tasks
    const real* dy
    const real* y                       # of the ReLU behind pooling, whose gradient dy is; NULL without one
    const uint8_t* offsets
    const real* x
    real* out
    double* biases                      # of each task: sums of the gradients of each output
    real* table                         # kernels moved to each position, in blocks of vectors of a patch
    Py_ssize_t high, wide               # rows of a patch, which is all that a window's positions reach; elements of one
    Py_ssize_t vecs                     # of a patch
    int block                           # vectors of it that are summed together
    Py_ssize_t line                     # vectors of a row under the kernel


# ---- images with channels last ----

cdef Pooled describe(object x_shape, object w_shape, object window, object pool):
    """Collect the sizes; the tables are found by find_places."""
    cdef Pooled p
    p.window = read_window(window)
    p.pool = read_window(pool)
    p.n, p.c, p.h, p.w = x_shape
    p.o = w_shape[0]
    p.rows = max(p.window.oh, (p.pool.oh - 1) * p.pool.sh + p.pool.kh) + p.window.kh - 1
    p.pitch = (max(p.window.ow, (p.pool.ow - 1) * p.pool.sw + p.pool.kw) + p.window.kw - 1) * p.c
    p.size = p.rows * p.pitch + MOST_VECS * LANES
    p.count, p.positions = p.pool.oh * p.pool.ow, p.pool.kh * p.pool.kw
    p.high = p.window.kh + p.pool.kh - 1
    p.wide = (p.window.kw + p.pool.kw - 1) * p.c
    p.vecs = ceil_div(p.high * p.wide, LANES)
    p.block = even_part(p.vecs, MOST_SUMS)
    p.line = ceil_div(p.window.kw * p.c, LANES)
    p.tasks = min(<Py_ssize_t> TASKS, p.n)
    return p


cdef void find_places(Pooled* p) noexcept nogil:
    """Tabulate where windows begin, and how far their positions are from there; and the same of moved kernels."""
    cdef Py_ssize_t q
    p.places = <int*> scratch_memory(3, sizeof(int) * (p.count + 2 * p.positions + p.o + LANES))
    p.shifts = p.places + p.count
    p.moved = p.shifts + p.positions
    for q in range(p.count):
        p.places[q] = <int> (q // p.pool.ow * p.pool.sh * p.pitch + q % p.pool.ow * p.pool.sw * p.c)
    for q in range(p.positions):
        p.shifts[q] = <int> (q // p.pool.kw * p.pitch + q % p.pool.kw * p.c)
        p.moved[p.o + q] = <int> q
    for q in range(p.o):
        p.moved[q] = <int> (q * p.positions)


cdef void list_maxima(const Pooled* p, Py_ssize_t at, Py_ssize_t windows, Py_ssize_t stride, Py_ssize_t start,
                      const int* places, const int* shifts, maxima* found) noexcept nogil:
    """Append maxima from element `at` of dy."""
    append_maxima(found, windows, p.positions, p.dy + at, p.y + at if p.y != NULL else NULL, p.offsets + at, stride, start,
                  places, shifts)


cdef maxima room_for(Py_ssize_t most, void* memory) noexcept nogil:
    """Return an empty list with room for so many maxima, and for what is written behind them."""
    cdef maxima found
    found.count, found.dy = 0, <real*> memory
    found.at = <int*> (found.dy + most + LANES)
    return found


cdef void load_image(const Pooled* p, const real* image, real* to) noexcept nogil:
    """Copy an image (C, H, W) into the inside of a padded one with channels last."""
    cdef Py_ssize_t i, j, c, rows = 1 if p.w * p.c == p.pitch else p.h, columns = p.h * p.w // rows
    to += p.window.pt * p.pitch + p.window.pl * p.c
    for i in range(rows):
        if p.c == 1:
            copy_row(image + i * columns, columns, to + i * p.pitch)
        elif columns >= LANES:
            channels_last(p.c, columns, image + i * columns, p.h * p.w, to + i * p.pitch)
        else:
            for j in range(columns):
                for c in range(p.c):
                    to[i * p.pitch + j * p.c + c] = image[c * p.h * p.w + i * columns + j]


cdef void store_image(const Pooled* p, const real* source, real* image) noexcept nogil:
    """Copy the inside of a padded image to an image (C, H, W)."""
    cdef Py_ssize_t i, j, c, rows = 1 if p.w * p.c == p.pitch else p.h, columns = p.h * p.w // rows
    source += p.window.pt * p.pitch + p.window.pl * p.c
    for i in range(rows):
        if p.c == 1:
            copy_row(source + i * p.pitch, columns, image + i * columns)
        elif columns >= LANES:
            channels_first(p.c, columns, source + i * p.pitch, image + i * columns, p.h * p.w)
        else:
            for c in range(p.c):
                for j in range(columns):
                    image[c * p.h * p.w + i * columns + j] = source[i * p.pitch + j * p.c + c]


# ---- weight gradient ----

cdef void weight_task(void* args, Py_ssize_t task) noexcept nogil:
    """Add up sums[o][u] of whole vectors over one part of the images."""
    cdef Pooled* p = <Pooled*> args
    cdef Py_ssize_t n = p.n * task // p.tasks, end = p.n * (task + 1) // p.tasks, i, o, u, v
    cdef Py_ssize_t images = max(<Py_ssize_t> 1, min(min(WINDOWS // p.count, CACHED // <Py_ssize_t> sizeof(real) // p.size),
                                                     end - n))
    cdef int width = even_part(p.line, MOST_VECS), height = even_part(p.window.kh, min(MOST_ROWS, MOST_SUMS // width))
    cdef Py_ssize_t across = ceil_div(p.line, width), line = p.line * LANES
    cdef real* x = <real*> scratch_memory(1, (sizeof(real) + sizeof(int)) * (images * (p.size + p.count) + LANES))
    cdef real* sums = p.out + task * p.o * p.window.kh * line
    cdef maxima found = room_for(images * p.count, x + images * p.size)
    memset(sums, 0, sizeof(real) * p.o * p.window.kh * line)
    memset(x, 0, sizeof(real) * images * p.size)
    while n < end:
        images = min(images, end - n)
        for i in range(images):
            load_image(p, p.x + (n + i) * p.c * p.h * p.w, x + i * p.size)
        for o in range(p.o):
            found.count = 0
            for i in range(images):
                list_maxima(p, ((n + i) * p.o + o) * p.count, p.count, 1, i * p.size, p.places, p.shifts, &found)
            p.biases[task * p.o + o] += row_sum(found.dy, found.count)
            for i in range(ceil_div(p.window.kh, height) * across):
                u, v = i // across * height, i % across * width
                weight_sums(<int> min(<Py_ssize_t> height, p.window.kh - u),
                            0 if p.window.kw * p.c <= SHORT else <int> min(<Py_ssize_t> width, p.line - v), &found,
                            x + u * p.pitch + v * LANES, p.pitch, sums + (o * p.window.kh + u) * line + v * LANES, line)
        n += images


cdef void store_weights(const Pooled* p, real* dw, real* db) noexcept nogil:
    """Add up the sums of all tasks, in their order, and write them as dw and, unless it is NULL, db."""
    cdef Py_ssize_t line = p.line * LANES, size = p.o * p.window.kh * line, task, i, row, v, c
    for task in range(1, p.tasks):
        for i in range(p.o):
            p.biases[i] += p.biases[task * p.o + i]
    if db != NULL:
        for i in range(p.o):
            db[i] = <real> p.biases[i]
    for task in range(1, p.tasks):
        for i in range(size):
            p.out[i] += p.out[task * size + i]
    for row in range(p.o * p.window.kh):
        for v in range(p.window.kw):
            for c in range(p.c):
                dw[((row // p.window.kh * p.c + c) * p.window.kh + row % p.window.kh) * p.window.kw + v] = p.out[
                    row * line + v * p.c + c]


def pooled_conv2d_weight_grad(object dy, object y, object offsets, object x, object dw, object db, object window, object pool):
    """Write dw (O, C, KH, KW), and unless it is None db (O,), from x (N, C, H, W) and the pooled dy (N, O, OH, OW).

    offsets of the maxima are like dy, and so is y: with it, the relu of the maxima, dy is its gradient.
    """
    cdef Pooled p = describe(x.shape, dw.shape, window, pool)
    cdef Py_ssize_t size = p.o * p.c * p.window.kh * p.window.kw
    cdef real* result = write(dw)
    cdef real* sums = NULL if db is None else write(db)
    p.dy, p.y, p.x = read(dy), read(y), read(x)
    p.offsets = <const uint8_t*> address(offsets, 1, PyBUF_SIMPLE)
    with nogil:
        if p.n * p.count * size == 0:
            memset(result, 0, sizeof(real) * size)
            if sums != NULL:
                memset(sums, 0, sizeof(real) * p.o)
        else:
            find_places(&p)
            p.biases = <double*> scratch_memory(
                2, p.tasks * p.o * (sizeof(double) + sizeof(real) * p.window.kh * p.line * LANES))
            p.out = <real*> (p.biases + p.tasks * p.o)
            memset(p.biases, 0, sizeof(double) * p.tasks * p.o)
            parallel_for(weight_task, &p, p.tasks, 0.03 * p.n * p.count * size)
            store_weights(&p, result, sums)


# ---- input gradient ----

cdef void fill_table(const Pooled* p, const real* w) noexcept nogil:
    """Write the kernel of each output channel, moved to each position, as table[block][o][position][element of the patch]."""
    cdef Py_ssize_t size = p.vecs * LANES, o, c, u, v, q, at, span
    cdef real* kernel = p.table + p.o * p.positions * size      # room for two patches: a move is a shift of all elements
    cdef const real* moved
    memset(kernel, 0, 2 * sizeof(real) * size)
    kernel += size
    for o in range(p.o):
        for c in range(p.c):
            for u in range(p.window.kh):
                for v in range(p.window.kw):
                    kernel[u * p.wide + v * p.c + c] = w[v]
                w += p.window.kw
        for q in range(p.positions):
            moved = kernel - (q // p.pool.kw * p.wide + q % p.pool.kw * p.c)
            at = 0
            while at < size:
                span = min(p.block * LANES, size - at)
                memcpy(p.table + at * p.o * p.positions + (o * p.positions + q) * span, moved + at, sizeof(real) * span)
                at += span


cdef void input_task(void* args, Py_ssize_t n) noexcept nogil:
    """Compute dx of one image: for each window the sum over outputs in registers, added to the padded image."""
    cdef Pooled* p = <Pooled*> args
    cdef Py_ssize_t q, i, v
    cdef real* patch = <real*> scratch_memory(1, (sizeof(real) + sizeof(int)) * (p.vecs * LANES + LANES + p.size + p.o + LANES))
    cdef real* x = patch + p.vecs * LANES + LANES
    cdef maxima found = room_for(p.o, x + p.size)
    memset(x, 0, sizeof(real) * p.size)
    for q in range(p.count):
        found.count = 0
        list_maxima(p, n * p.o * p.count + q, p.o, p.count, 0, p.moved, p.moved + p.o, &found)
        for i in range(ceil_div(p.vecs, p.block)):
            v = i * p.block
            make_patch(<int> min(<Py_ssize_t> p.block, p.vecs - v), &found, p.table + v * LANES * p.o * p.positions,
                       patch + v * LANES)
        add_rows(p.high, p.wide, patch, x + p.places[q], p.pitch)
    store_image(p, x, p.out + n * p.c * p.h * p.w)


def pooled_conv2d_input_grad(object dy, object y, object offsets, object w, object dx, object window, object pool):
    """Write dx (N, C, H, W) from w (O, C, KH, KW) and the pooled dy (N, O, OH, OW); offsets and y as for the weights."""
    cdef Pooled p = describe(dx.shape, w.shape, window, pool)
    cdef const real* kernels = read(w)
    p.dy, p.y, p.out = read(dy), read(y), write(dx)
    p.offsets = <const uint8_t*> address(offsets, 1, PyBUF_SIMPLE)
    with nogil:
        find_places(&p)
        p.table = <real*> scratch_memory(2, sizeof(real) * (p.o * p.positions + 2) * p.vecs * LANES)
        fill_table(&p, kernels)
        parallel_for(input_task, &p, p.n, 0.03 * p.n * p.count * p.o * p.c * p.window.kh * p.window.kw)


# ---- forward ----

cdef enum:
    SUMS = 24 << 10             # bytes of sums that wait for pooling: a part of L1

cdef struct Forward:
    Window window, pool
    Py_ssize_t n, c, h, w, o, k, count
    Py_ssize_t rows, line       # of a padded plane
    bint wide                   # lanes run over output channels, not over positions
    bint in_place               # the image needs no padding
    Py_ssize_t panel, padded    # output channels of a panel; those that the packed weights have room for
    Py_ssize_t lines            # of windows that are pooled together
    Py_ssize_t* shifts          # of each k
    real* weights               # packed as [panel][k][output]
    const real* x
    const real* bias
    real* y
    uint8_t* offsets
    bint relu


cdef void plan_forward(Forward* f) noexcept nogil:
    """Choose what the lanes run over, and how much is pooled at once."""
    cdef const Window* w = &f.window
    cdef Py_ssize_t row
    f.rows, f.line, f.k = w.oh + w.kh - 1, w.ow + w.kw - 1, f.c * w.kh * w.kw
    f.wide = round_up(f.o, LANES) * w.oh * w.ow < f.o * round_up(w.oh * f.line, LANES)
    f.padded = round_up(f.o, LANES) if f.wide else f.o
    f.panel = even_part(f.o, TILE_ROWS)
    if f.wide:
        f.panel = f.padded if f.padded == PANEL_VECS * LANES else TILE_COLUMNS
    f.in_place = f.wide and f.rows == f.h and f.line == f.w
    row = f.pool.sh * f.line * min(f.panel, f.padded) * <Py_ssize_t> sizeof(real)
    f.lines = max(<Py_ssize_t> 1, min(SUMS // row, f.pool.oh))
    f.lines = ceil_div(f.pool.oh, ceil_div(f.pool.oh, f.lines))


cdef void pack_forward(Forward* f, const real* w) noexcept nogil:
    """Pack the weights, and tabulate where each element under the kernel lies."""
    cdef Py_ssize_t o = 0, k, span
    cdef const Window* window = &f.window
    f.shifts = <Py_ssize_t*> scratch_memory(3, sizeof(Py_ssize_t) * f.k)
    f.weights = <real*> scratch_memory(2, sizeof(real) * f.padded * f.k)
    for k in range(f.k):
        f.shifts[k] = (k // (window.kh * window.kw) * f.rows + k // window.kw % window.kh) * f.line + k % window.kw
    while o < f.o:
        span = min(f.panel, f.padded - o)
        transpose(min(span, f.o - o), f.k, span, w + o * f.k, f.k, f.weights + o * f.k, span)
        o += span


cdef const real* padded_image(const Forward* f, const real* image, real* to) noexcept nogil:
    """Return an image with its padding."""
    cdef Py_ssize_t c, i
    if f.in_place:
        return image
    memset(to, 0, sizeof(real) * (f.c * f.rows + 1) * f.line)
    for c in range(f.c):
        for i in range(f.h):
            copy_row(image + (c * f.h + i) * f.w, f.w, to + (c * f.rows + f.window.pt + i) * f.line + f.window.pl)
    return to


cdef void pool_outputs(const Forward* f, const real* x, Py_ssize_t o, Py_ssize_t lines, Py_ssize_t rows, real* sums,
                       real* y, uint8_t* offsets) noexcept nogil:
    """Compute some rows of a panel of outputs as sums[position][output], and pool them."""
    cdef Py_ssize_t span = min(f.panel, f.padded - o), outputs = min(span, f.o - o), i, j, size, count = lines * f.pool.ow
    cdef int width = even_part(f.window.ow, WIDE_ROWS if span == PANEL_VECS * LANES else TILE_ROWS)
    cdef real* to = sums
    cdef real* maxima = sums + rows * f.window.ow * span
    cdef real* wide = maxima + count * span     # offsets
    cdef real* turned = wide + count * span     # the same, as [output][window]
    cdef output_windows windows
    if f.bias != NULL:
        start_sums(rows * f.window.ow, <int> (span // LANES), outputs, f.bias + o, sums)
    for i in range(rows):
        j = 0
        while j < f.window.ow:
            size = min(<Py_ssize_t> width, f.window.ow - j)
            outputs_tile(<int> size, <int> (span // LANES), f.k, x + i * f.line + j, f.shifts, 1, 0, f.weights + o * f.k, to,
                         f.bias != NULL, <real> -INFINITY)
            to += size * span
            j += size
    windows.vecs, windows.kh, windows.kw = <int> (span // LANES), <int> f.pool.kh, <int> f.pool.kw
    windows.lines, windows.count, windows.width = lines, f.pool.ow, f.window.ow
    windows.sh, windows.sw = f.pool.sh, f.pool.sw
    max_outputs(&windows, sums, maxima, wide)
    transpose(count, outputs, count, maxima, span, y, f.count)
    transpose(count, outputs, count, wide, span, turned, count)
    for j in range(outputs):
        narrow(turned + j * count, count, offsets + j * f.count)


cdef void pool_positions(const Forward* f, const real* x, Py_ssize_t o, Py_ssize_t lines, Py_ssize_t rows, real* sums,
                         pool_lines* windows, Py_ssize_t room, real* y, uint8_t* offsets) noexcept nogil:
    """Compute some rows of a panel of outputs as sums[output][position], and pool them."""
    cdef Py_ssize_t outputs = min(f.panel, f.o - o), vectors = ceil_div(rows * f.line, LANES), v = 0, i, u
    cdef Py_ssize_t length = vectors * LANES
    cdef real[TILE_ROWS] bias
    for i in range(outputs):
        bias[i] = f.bias[o + i] if f.bias != NULL else 0
    while v < vectors:
        v += positions_tile(<int> outputs, vectors - v, f.k, f.weights + o * f.k, x + v * LANES, f.shifts, LANES, 0, bias,
                            NULL, 0, <real> -INFINITY, sums + v * LANES, length)
    windows.lines, windows.room = lines, room
    for i in range(outputs):
        for u in range(f.pool.kh):
            (<const real**> windows.rows)[u] = sums + i * length + u * f.line
        windows.y, windows.small = y + i * f.count, offsets + i * f.count
        max_lines(windows)


cdef void forward_task(void* args, Py_ssize_t n) noexcept nogil:
    """Convolve and pool one image, a few lines of windows of a panel of outputs at a time."""
    cdef Forward* f = <Forward*> args
    cdef Py_ssize_t o = 0, line, lines, rows, at, i, v, most = f.lines * f.pool.sh + f.pool.kh
    cdef Py_ssize_t taps = f.pool.kh + f.pool.kw
    cdef const real** pointers = <const real**> scratch_memory(
        0, sizeof(real*) * taps + sizeof(real) * ((f.c * f.rows + 1) * f.line + 9 * LANES))
    cdef real* sums = <real*> scratch_memory(1, sizeof(real) * (4 * most * f.line + 16 * LANES) * min(f.panel, f.padded))
    cdef const real* x = padded_image(f, f.x + n * f.c * f.h * f.w, <real*> (pointers + taps))
    cdef real* y = f.y + n * f.o * f.count
    cdef uint8_t* offsets = f.offsets + n * f.o * f.count
    cdef pool_lines windows
    windows.rows, windows.taps = pointers, <Py_ssize_t*> (pointers + f.pool.kh)
    for v in range(f.pool.kw):
        (<Py_ssize_t*> (pointers + f.pool.kh))[v] = v
    windows.kh, windows.kw, windows.step, windows.dense = <int> f.pool.kh, <int> f.pool.kw, <int> f.pool.sw, True
    windows.streamed, windows.doubled = False, f.pool.sw == 2 and f.pool.ow <= LANES // 2
    windows.count, windows.advance = f.pool.ow, f.pool.sh * f.line
    windows.images, windows.image_advance, windows.scales, windows.scale_advance, windows.large = 1, 0, NULL, 0, NULL
    while o < f.o:
        line = 0
        while line < f.pool.oh:
            lines = min(f.lines, f.pool.oh - line)
            rows = (lines - 1) * f.pool.sh + f.pool.kh
            at = o * f.count + line * f.pool.ow
            if f.wide:
                pool_outputs(f, x + line * f.pool.sh * f.line, o, lines, rows, sums, y + at, offsets + at)
            else:
                pool_positions(f, x + line * f.pool.sh * f.line, o, lines, rows, sums, &windows,
                               f.count - line * f.pool.ow, y + at, offsets + at)
            line += lines
        o += f.panel
    if f.relu:
        for i in range(f.o * f.count):
            y[i] = 0 if y[i] <= 0 else y[i]


def pooled_conv2d(object x, object w, object b, object y, object offsets, object window, object pool, bint relu):
    """Write y (N, O, PH, PW), the maxima of the convolution of x and w, with relu those above 0, and their offsets."""
    cdef Forward f
    cdef const real* weights = read(w)
    f.window = read_window(window)
    f.pool = read_window(pool)
    f.n, f.c, f.h, f.w = x.shape
    f.o, f.count = w.shape[0], f.pool.oh * f.pool.ow
    f.x, f.bias, f.y, f.relu = read(x), read(b), write(y), relu
    f.offsets = <uint8_t*> address(offsets, 1, PyBUF_WRITABLE)
    with nogil:
        if f.n * f.o * f.count > 0:
            plan_forward(&f)
            pack_forward(&f, weights)
            parallel_for(forward_task, &f, f.n, 0.015 * f.n * f.window.oh * f.window.ow * f.o * f.k)
