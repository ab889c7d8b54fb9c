"""2-d convolution (cross-correlation) in all three passes, and im2col/col2im.

The passes read the image through a copy in which every kernel element is a constant shift (phases.pxd), so no matrix of
patches is ever built.  With K = (c, u, v), the elements under the kernel, and q running over output positions:

    y[o, q]  = sum over k of w[o, k] * x[q + offset[k]]          forward: tiles of outputs x positions
    dx       = the same with dy and the kernel flipped           input gradient, stride 1
    dx       = col2im(sum over o of w[o, k] * dy[o, p])          input gradient, other strides
    dw[o, k] = sum over n, q of dy[n, o, q] * x[n, q + offset[k]]    weight gradient: dot products, or packed products

Every task owns its outputs, and blocks depend on shapes alone: results do not depend on the number of threads.
"""
from libc.string cimport memcpy, memset

from gemm cimport (DOT_ROWS, DOT_TAPS, TILE_COLUMNS, TILE_ROWS, ceil_div, dots, even_part, multiply_panel, pack_columns,
                   pack_rows, panel_rows, shifted_tile)
from parallel cimport import_runtime, parallel_for, scratch_memory
from phases cimport Phases, load_phases, phases_of, phases_size, shift
from real cimport LANES, read, real, write
from window cimport Window, gather_row, read_window, scatter_row

import_runtime()

cdef enum:
    DEPTH = 256                 # most values of K (weight gradient: positions) in a packed block
    STRIP = 1 << 16             # elements that the phases and outputs of one strip of rows may take: a part of L2
    POSITIONS = 512             # most columns in a packed block
    CHUNKS = 8                  # partial sums of the weight gradient, over parts of the batch
    MOST_PARTIAL = 1 << 22      # elements that these partial sums may take
    MOST_DOTS = 1 << 16         # elements that the sums of a weight gradient by dot products may take

cdef struct Conv:
    Window window
    Py_ssize_t n, c, h, w       # images; channels and size of one group's input
    Py_ssize_t o, groups        # output channels of one group
    Py_ssize_t taps, k, p       # kh * kw, c * taps, oh * ow
    Phases phases               # of one strip of output rows
    Py_ssize_t strip, strips    # output rows of a strip; number of strips
    Py_ssize_t length           # positions of a strip, unused ones included, rounded up to whole tiles
    Py_ssize_t* offsets         # of each k
    Py_ssize_t blocks, block    # of positions, or of K: number and size
    Py_ssize_t chunks           # of images, each with a partial weight gradient
    const real* x
    const real* weights         # packed for the pass
    const real* bias
    const real* dy
    real* out


cdef Conv describe(object x_shape, object w_shape, object window, Py_ssize_t groups):
    """Collect the sizes of a convolution."""
    cdef Conv conv
    conv.window = read_window(window)
    conv.groups = groups
    conv.n, conv.c, conv.h, conv.w = x_shape
    conv.c //= groups
    conv.o = w_shape[0] // groups
    conv.chunks = 1
    conv.bias = NULL
    derive(&conv)
    return conv


cdef void derive(Conv* conv) noexcept nogil:
    """Fill in what follows from the window, the channels and the size."""
    conv.taps = conv.window.kh * conv.window.kw
    conv.k = conv.c * conv.taps
    conv.p = conv.window.oh * conv.window.ow


# ---- phases ----

cdef void plan_strips(Conv* conv) noexcept nogil:
    """Choose how many output rows are worked on together, and tabulate the offset of each k."""
    cdef Window* w = &conv.window
    cdef Phases* p = &conv.phases
    cdef Py_ssize_t most, c, u, v
    cdef Py_ssize_t* offset
    p[0] = phases_of(w, conv.c, conv.h, conv.w, 1)
    most = max(<Py_ssize_t> 1, STRIP // max(<Py_ssize_t> 1, (conv.c * p.high * p.wide + conv.o) * p.pitch))
    conv.strip = ceil_div(w.oh, ceil_div(w.oh, most))
    conv.strips = ceil_div(w.oh, conv.strip)
    p[0] = phases_of(w, conv.c, conv.h, conv.w, conv.strip)
    conv.length = ceil_div(conv.strip * p.pitch, TILE_COLUMNS) * TILE_COLUMNS
    conv.offsets = <Py_ssize_t*> scratch_memory(3, sizeof(Py_ssize_t) * conv.k)
    offset = conv.offsets
    for c in range(conv.c):
        for u in range(w.kh):
            for v in range(w.kw):
                offset[0] = shift(p, c, u, v)
                offset += 1


cdef Py_ssize_t strip_size(const Conv* conv) noexcept nogil:
    """Return how many elements the phases of a strip take, with what the last tile reads beyond them."""
    return phases_size(&conv.phases) + conv.length + TILE_COLUMNS


cdef void load_strip(const Conv* conv, const real* image, Py_ssize_t first, real* phases) noexcept nogil:
    """Copy what the strip that starts at output row `first` needs of an image."""
    load_phases(&conv.phases, image, first, 0, phases)
    memset(phases + phases_size(&conv.phases), 0, (conv.length + TILE_COLUMNS) * sizeof(real))


# ---- forward ----

cdef void pack_weights(const real* w, Py_ssize_t row, Py_ssize_t column, Py_ssize_t rows, Py_ssize_t depth,
                       real* packed) noexcept nogil:
    """Pack all panels of one group's weights, DEPTH by DEPTH; the block that starts at k begins at packed[rows * k]."""
    cdef int height = panel_rows(rows)
    cdef Py_ssize_t block, panel, k, i, size
    for block in range(ceil_div(depth, DEPTH)):
        k = block * DEPTH
        size = min(<Py_ssize_t> DEPTH, depth - k)
        for panel in range(ceil_div(rows, height)):
            i = panel * height
            pack_rows(w + i * row + k * column, row, column, <int> min(<Py_ssize_t> height, rows - i), size,
                      packed + rows * k + i * size)


cdef void forward_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute one strip of output rows of all maps of one group of one image."""
    cdef Conv* conv = <Conv*> args
    cdef const Window* w = &conv.window
    cdef Py_ssize_t group = index // conv.strips % conv.groups
    cdef Py_ssize_t image = index // conv.strips                            # n * groups + group
    cdef Py_ssize_t first = index % conv.strips * conv.strip
    cdef Py_ssize_t rows = min(conv.strip, w.oh - first)
    cdef const real* weights = conv.weights + group * conv.o * conv.k
    cdef real* phases = <real*> scratch_memory(0, sizeof(real) * strip_size(conv))
    cdef real* out = <real*> scratch_memory(1, sizeof(real) * conv.o * conv.length)
    cdef int height = panel_rows(conv.o)
    cdef Py_ssize_t block, k, depth, tile, panel, o, i, j
    cdef real bias
    cdef real* y
    load_strip(conv, conv.x + image * conv.c * conv.h * conv.w, first, phases)
    for block in range(ceil_div(conv.k, DEPTH)):
        k = block * DEPTH
        depth = min(<Py_ssize_t> DEPTH, conv.k - k)
        for tile in range(ceil_div(rows * conv.phases.pitch, TILE_COLUMNS)):
            for panel in range(ceil_div(conv.o, height)):
                o = panel * height
                shifted_tile(<int> min(<Py_ssize_t> height, conv.o - o), depth, weights + conv.o * k + o * depth,
                             phases + tile * TILE_COLUMNS, conv.offsets + k,
                             out + o * conv.length + tile * TILE_COLUMNS, conv.length, k > 0)
    for o in range(conv.o):
        bias = conv.bias[group * conv.o + o] if conv.bias != NULL else 0
        for i in range(rows):
            y = conv.out + ((image * conv.o + o) * w.oh + first + i) * w.ow
            for j in range(w.ow):
                y[j] = out[o * conv.length + i * conv.phases.pitch + j] + bias


cdef void run_forward(Conv* conv, const real* w) noexcept nogil:
    """Pack the weights of every group and convolve."""
    cdef real* packed = <real*> scratch_memory(2, sizeof(real) * conv.groups * conv.o * conv.k)
    cdef Py_ssize_t group
    for group in range(conv.groups):
        pack_weights(w + group * conv.o * conv.k, conv.k, 1, conv.o, conv.k, packed + group * conv.o * conv.k)
    conv.weights = packed
    plan_strips(conv)
    parallel_for(forward_task, conv, conv.n * conv.groups * conv.strips,
                 0.02 * conv.n * conv.groups * conv.o * conv.k * conv.p)


def conv2d(object x, object w, object b, object y, object window, Py_ssize_t groups):
    """Write y = x (N, C, H, W) convolved with w (O, C / groups, KH, KW), plus b (O,) unless it is None."""
    cdef Conv conv = describe(x.shape, w.shape, window, groups)
    cdef const real* weights = read(w)
    conv.x = read(x)
    conv.bias = read(b)
    conv.out = write(y)
    if conv.n * conv.o * conv.p == 0:
        return
    with nogil:
        run_forward(&conv, weights)


# ---- input gradient ----

cdef void flip_weights(const real* w, Py_ssize_t groups, Py_ssize_t outputs, Py_ssize_t channels, Py_ssize_t taps,
                       real* flipped) noexcept nogil:
    """Write flipped[g][c][o][tap] = w[g][o][c][last - tap]."""
    cdef Py_ssize_t g, c, o, t
    for g in range(groups):
        for c in range(channels):
            for o in range(outputs):
                for t in range(taps):
                    flipped[((g * channels + c) * outputs + o) * taps + t] = \
                        w[((g * outputs + o) * channels + c) * taps + taps - 1 - t]


cdef Conv mirrored(const Conv* conv) noexcept nogil:
    """Describe the convolution of dy with flipped kernels that gives dx, for stride 1."""
    cdef Conv back = conv[0]
    cdef const Window* w = &conv.window
    back.c, back.o = conv.o, conv.c
    back.h, back.w = w.oh, w.ow
    back.window.oh, back.window.ow = conv.h, conv.w
    back.window.pt = (w.kh - 1) * w.dh - w.pt
    back.window.pl = (w.kw - 1) * w.dw - w.pl
    back.x = conv.dy
    derive(&back)
    return back


cdef void col2im_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute dx of one group of one image: columns = w' dy block by block, added where they came from."""
    cdef Conv* conv = <Conv*> args
    cdef const Window* w = &conv.window
    cdef Py_ssize_t group = index % conv.groups
    cdef const real* dy = conv.dy + index * conv.o * conv.p
    cdef const real* weights = conv.weights + group * conv.o * conv.k
    cdef real* image = conv.out + index * conv.c * conv.h * conv.w
    cdef real* packed = <real*> scratch_memory(0, sizeof(real) * DEPTH * conv.block)
    cdef real* columns = <real*> scratch_memory(1, sizeof(real) * conv.k * conv.block)
    cdef int height = panel_rows(conv.k)
    cdef Py_ssize_t block, p0, positions, step, o, depth, panel, k, tap, i, j, at, length, row
    memset(image, 0, sizeof(real) * conv.c * conv.h * conv.w)
    for block in range(conv.blocks):
        p0 = block * conv.block
        positions = min(conv.block, conv.p - p0)
        for step in range(ceil_div(conv.o, DEPTH)):
            o = step * DEPTH
            depth = min(<Py_ssize_t> DEPTH, conv.o - o)
            pack_columns(dy + o * conv.p + p0, conv.p, 1, depth, positions, packed)
            for panel in range(ceil_div(conv.k, height)):
                k = panel * height
                multiply_panel(<int> min(<Py_ssize_t> height, conv.k - k), positions, depth,
                               weights + conv.k * o + k * depth, packed, columns + k * conv.block, conv.block, o > 0)
        for k in range(conv.k):
            tap = k % conv.taps
            i = p0 // w.ow
            j = p0 % w.ow
            at = 0
            while at < positions:               # one piece for each output row that the block touches
                length = min(w.ow - j, positions - at)
                row = i * w.sh - w.pt + tap // w.kw * w.dh
                if 0 <= row < conv.h:
                    scatter_row(columns + k * conv.block + at, length, j * w.sw - w.pl + tap % w.kw * w.dw, w.sw,
                                image + (k // conv.taps * conv.h + row) * conv.w, conv.w)
                at += length
                i += 1
                j = 0


cdef void run_col2im(Conv* conv, const real* w) noexcept nogil:
    """Compute the input gradient for any stride."""
    cdef real* packed = <real*> scratch_memory(2, sizeof(real) * conv.groups * conv.o * conv.k)
    cdef Py_ssize_t most = max(<Py_ssize_t> TILE_COLUMNS, STRIP // conv.k), group
    for group in range(conv.groups):
        pack_weights(w + group * conv.o * conv.k, 1, conv.k, conv.k, conv.o, packed + group * conv.o * conv.k)
    conv.weights = packed
    conv.block = ceil_div(ceil_div(conv.p, ceil_div(conv.p, most)), TILE_COLUMNS) * TILE_COLUMNS
    conv.blocks = ceil_div(conv.p, conv.block)
    parallel_for(col2im_task, conv, conv.n * conv.groups, 0.03 * conv.n * conv.groups * conv.o * conv.k * conv.p)


def conv2d_input_grad(object dy, object w, object dx, object window, Py_ssize_t groups):
    """Write dx (N, C, H, W) from dy (N, O, OH, OW) and w (O, C / groups, KH, KW)."""
    cdef Conv conv = describe(dx.shape, w.shape, window, groups)
    cdef Conv back
    cdef const real* weights = read(w)
    cdef real* flipped
    conv.dy = read(dy)
    conv.out = write(dx)
    if conv.n * conv.c * conv.h * conv.w == 0:
        return
    with nogil:
        if conv.o == 0 or conv.p == 0:
            memset(conv.out, 0, sizeof(real) * conv.n * conv.groups * conv.c * conv.h * conv.w)
        elif conv.window.sh == 1 and conv.window.sw == 1:
            flipped = <real*> scratch_memory(1, sizeof(real) * conv.groups * conv.o * conv.k)
            flip_weights(weights, conv.groups, conv.o, conv.c, conv.taps, flipped)
            back = mirrored(&conv)
            run_forward(&back, flipped)
        else:
            run_col2im(&conv, weights)


# ---- weight gradient ----

cdef void load_rows(const Conv* conv, const real* dy, Py_ssize_t first, Py_ssize_t rows, real* to) noexcept nogil:
    """Copy a strip of dy (O, OH, OW) to the pitch of the phases, with zeros at the unused positions."""
    cdef const Window* w = &conv.window
    cdef Py_ssize_t o, i
    memset(to, 0, conv.o * conv.length * sizeof(real))
    for o in range(conv.o):
        for i in range(rows):
            memcpy(to + o * conv.length + i * conv.phases.pitch, dy + (o * w.oh + first + i) * w.ow, w.ow * sizeof(real))


cdef void dots_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute dw of one group over one chunk of the images, few weights: each a dot product of vectors in registers."""
    cdef Conv* conv = <Conv*> args
    cdef Py_ssize_t group = index % conv.groups, chunk = index // conv.groups
    cdef real* phases = <real*> scratch_memory(0, sizeof(real) * strip_size(conv))
    cdef real* dy = <real*> scratch_memory(1, sizeof(real) * (conv.o * conv.length + conv.o * conv.k * LANES))
    cdef real* sums = dy + conv.o * conv.length
    cdef int height = even_part(conv.o, DOT_ROWS), width = even_part(conv.k, DOT_TAPS), rows, taps
    cdef Py_ssize_t n, strip, first, used, panel, part, o, k, r, t, lane
    cdef real* tile
    cdef real total
    memset(sums, 0, conv.o * conv.k * LANES * sizeof(real))
    for n in range(conv.n * chunk // conv.chunks, conv.n * (chunk + 1) // conv.chunks):
        for strip in range(conv.strips):
            first = strip * conv.strip
            used = min(conv.strip, conv.window.oh - first)
            load_strip(conv, conv.x + (n * conv.groups + group) * conv.c * conv.h * conv.w, first, phases)
            load_rows(conv, conv.dy + (n * conv.groups + group) * conv.o * conv.p, first, used, dy)
            for panel in range(ceil_div(conv.o, height)):
                o = panel * height
                rows = <int> min(<Py_ssize_t> height, conv.o - o)
                for part in range(ceil_div(conv.k, width)):
                    k = part * width
                    taps = <int> min(<Py_ssize_t> width, conv.k - k)
                    dots(rows, taps, ceil_div(used * conv.phases.pitch, LANES) * LANES, dy + o * conv.length, conv.length,
                         phases, conv.offsets + k, sums + (o * conv.k + rows * k) * LANES)
    for panel in range(ceil_div(conv.o, height)):
        o = panel * height
        rows = <int> min(<Py_ssize_t> height, conv.o - o)
        for part in range(ceil_div(conv.k, width)):
            k = part * width
            taps = <int> min(<Py_ssize_t> width, conv.k - k)
            tile = sums + (o * conv.k + rows * k) * LANES
            for r in range(rows):
                for t in range(taps):
                    total = 0
                    for lane in range(LANES):
                        total += tile[(r * taps + t) * LANES + lane]
                    conv.out[(index * conv.o + o + r) * conv.k + k + t] = total


cdef void products_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute one block of K of one group's dw, over one chunk of the images: products of packed blocks."""
    cdef Conv* conv = <Conv*> args
    cdef Py_ssize_t block = index % conv.blocks
    cdef Py_ssize_t group = index // conv.blocks % conv.groups
    cdef Py_ssize_t chunk = index // (conv.blocks * conv.groups)
    cdef Py_ssize_t k0 = block * conv.block
    cdef Py_ssize_t columns = min(conv.block, conv.k - k0)
    cdef real* out = conv.out + ((chunk * conv.groups + group) * conv.o) * conv.k + k0
    cdef real* phases = <real*> scratch_memory(0, sizeof(real) * (strip_size(conv) + DEPTH * TILE_ROWS))
    cdef real* packed_rows = phases + strip_size(conv)
    cdef real* dy = <real*> scratch_memory(1, sizeof(real) * (conv.o * conv.length + DEPTH * conv.block))
    cdef real* packed_columns = dy + conv.o * conv.length
    cdef int height = panel_rows(conv.o), rows
    cdef Py_ssize_t n, strip, first, used, step, q, depth, panel, o, j, t
    cdef const real* from_
    cdef real* to
    cdef bint accumulate = False
    for n in range(conv.n * chunk // conv.chunks, conv.n * (chunk + 1) // conv.chunks):
        for strip in range(conv.strips):
            first = strip * conv.strip
            used = min(conv.strip, conv.window.oh - first)
            load_strip(conv, conv.x + (n * conv.groups + group) * conv.c * conv.h * conv.w, first, phases)
            load_rows(conv, conv.dy + (n * conv.groups + group) * conv.o * conv.p, first, used, dy)
            for step in range(ceil_div(used * conv.phases.pitch, DEPTH)):
                q = step * DEPTH
                depth = min(<Py_ssize_t> DEPTH, used * conv.phases.pitch - q)
                for j in range(ceil_div(columns, TILE_COLUMNS) * TILE_COLUMNS):      # k along the lanes
                    to = packed_columns + j // TILE_COLUMNS * TILE_COLUMNS * depth + j % TILE_COLUMNS
                    from_ = phases + (conv.offsets[k0 + j] if j < columns else 0) + q
                    for t in range(depth):
                        to[t * TILE_COLUMNS] = from_[t]
                for panel in range(ceil_div(conv.o, height)):
                    o = panel * height
                    rows = <int> min(<Py_ssize_t> height, conv.o - o)
                    pack_rows(dy + o * conv.length + q, conv.length, 1, rows, depth, packed_rows)
                    multiply_panel(rows, columns, depth, packed_rows, packed_columns, out + o * conv.k, conv.k, accumulate)
                accumulate = True


def conv2d_weight_grad(object dy, object x, object dw, object window, Py_ssize_t groups):
    """Write dw (O, C / groups, KH, KW) from dy (N, O, OH, OW) and x (N, C, H, W)."""
    cdef Conv conv = describe(x.shape, dw.shape, window, groups)
    cdef real* result = write(dw)
    cdef Py_ssize_t size = conv.groups * conv.o * conv.k
    cdef double work = 0.03 * conv.n * size * conv.p
    cdef Py_ssize_t chunk, i
    cdef bint by_dots = conv.o * conv.k * LANES <= MOST_DOTS
    conv.dy = read(dy)
    conv.x = read(x)
    if size == 0:
        return
    with nogil:
        if conv.n * conv.p == 0:
            memset(result, 0, sizeof(real) * size)
        else:
            plan_strips(&conv)
            conv.block = ceil_div(even_part(conv.k, POSITIONS), TILE_COLUMNS) * TILE_COLUMNS
            conv.blocks = 1 if by_dots else ceil_div(conv.k, conv.block)
            if conv.blocks * conv.groups < CHUNKS and size * CHUNKS <= MOST_PARTIAL:
                conv.chunks = min(<Py_ssize_t> CHUNKS, conv.n)
            conv.out = result
            if conv.chunks > 1:
                conv.out = <real*> scratch_memory(2, sizeof(real) * size * conv.chunks)
            parallel_for(dots_task if by_dots else products_task, &conv, conv.chunks * conv.groups * conv.blocks, work)
            if conv.chunks > 1:
                memcpy(result, conv.out, sizeof(real) * size)
                for chunk in range(1, conv.chunks):
                    for i in range(size):
                        result[i] += conv.out[chunk * size + i]


# ---- patches ----

cdef void unfold_task(void* args, Py_ssize_t index) noexcept nogil:
    """Copy the patches of one channel of one image."""
    cdef Conv* conv = <Conv*> args
    cdef const Window* w = &conv.window
    cdef const real* image = conv.x + index * conv.h * conv.w
    cdef real* out = conv.out + index * conv.taps * conv.p
    cdef Py_ssize_t tap, i, row
    for tap in range(conv.taps):
        for i in range(w.oh):
            row = i * w.sh - w.pt + tap // w.kw * w.dh
            if 0 <= row < conv.h:
                gather_row(image + row * conv.w, conv.w, tap % w.kw * w.dw - w.pl, w.sw, w.ow, 0, out)
            else:
                memset(out, 0, w.ow * sizeof(real))
            out += w.ow


cdef void fold_task(void* args, Py_ssize_t index) noexcept nogil:
    """Add up the patches of one channel of one image."""
    cdef Conv* conv = <Conv*> args
    cdef const Window* w = &conv.window
    cdef const real* patches = conv.x + index * conv.taps * conv.p
    cdef real* image = conv.out + index * conv.h * conv.w
    cdef Py_ssize_t tap, i, row
    memset(image, 0, sizeof(real) * conv.h * conv.w)
    for tap in range(conv.taps):
        for i in range(w.oh):
            row = i * w.sh - w.pt + tap // w.kw * w.dh
            if 0 <= row < conv.h:
                scatter_row(patches, w.ow, tap % w.kw * w.dw - w.pl, w.sw, image + row * conv.w, conv.w)
            patches += w.ow


def im2col(object x, object columns, object window):
    """Write columns (N, C * KH * KW, OH * OW): the patches of x (N, C, H, W)."""
    cdef Conv conv = describe(x.shape, (1,), window, 1)
    conv.x = read(x)
    conv.out = write(columns)
    with nogil:
        parallel_for(unfold_task, &conv, conv.n * conv.c, 1.0 * conv.n * conv.k * conv.p)


def col2im(object columns, object x, object window):
    """Write x (N, C, H, W): the sum of the patches in columns (N, C * KH * KW, OH * OW).  The adjoint of im2col."""
    cdef Conv conv = describe(x.shape, (1,), window, 1)
    conv.x = read(columns)
    conv.out = write(x)
    with nogil:
        parallel_for(fold_task, &conv, conv.n * conv.c, 1.0 * conv.n * conv.k * conv.p)
