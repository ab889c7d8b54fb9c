"""Winograd convolution: 3 x 3 and 5 x 5 kernels, stride 1, any dilation and groups, in all three passes.

The output is cut into tiles of m x m pixels (m is 2 or 4), numbered through all images.  Each tile, each patch of the input
under it, m + taps - 1 along a side, and each kernel is transformed to as many points (winograd.h), where the convolution is a
product of matrices, one for each point:

    points of y (O, tiles)  = points of w (O, C)  @  points of x (C, tiles)

The weight gradient is the adjoint: points of dw (O, C) = points of dy (O, tiles) @ points of x' (tiles, C).  Dilated
convolution is that of dh * dw interleaved images, whose tiles are numbered as if they all had the size of the first.  Groups
follow each other.

A task takes one block of tiles through all steps, so that points stay in the cache; where kernels outweigh tiles, all tiles are
transformed first, and a task takes one group of kernels through all steps.  Blocks and groups depend on shapes alone: results
do not depend on the number of threads.
"""
from libc.math cimport INFINITY
from libc.string cimport memset

from gemm cimport TILE_COLUMNS, ceil_div, even_part, panel_rows
from parallel cimport import_runtime, parallel_for, scratch_memory
from real cimport LANES, read, real, write
from window cimport Window, read_window

cdef extern from "winograd.h":
    ctypedef struct Plane "plane":
        Py_ssize_t h, w, dh, dw, image
    void packed_tile(int rows, Py_ssize_t depth, const real* a, const real* b, real* c, Py_ssize_t ldc,
                     bint accumulate) noexcept nogil
    void input_rows(int m, int taps, const Plane* plane, const real* image, Py_ssize_t row, Py_ssize_t column,
                    Py_ssize_t length, real* to, Py_ssize_t pitch) noexcept nogil
    void input_columns(int m, int taps, const real* rows, Py_ssize_t pitch, real* to, Py_ssize_t stride) noexcept nogil
    void output_tiles(int m, int taps, const real* points, Py_ssize_t stride, real bias, real least, real* to,
                      Py_ssize_t pitch) noexcept nogil
    void store_row(const real* source, Py_ssize_t length, real* to, Py_ssize_t dw) noexcept nogil
    void transform_weights(int m, int taps, bint flipped, const real* w, Py_ssize_t row, Py_ssize_t column, int rows,
                           Py_ssize_t depth, real* to, Py_ssize_t stride) noexcept nogil
    void gradient_rows(int m, int taps, const Plane* plane, const real* image, Py_ssize_t row, Py_ssize_t column,
                       Py_ssize_t length, real* to, Py_ssize_t pitch) noexcept nogil
    void gradient_columns(int m, int taps, const real* rows, Py_ssize_t pitch, real* to, Py_ssize_t stride) noexcept nogil
    void transpose_points(const real* source, Py_ssize_t channels, Py_ssize_t width, real* to) noexcept nogil
    void gradient_tile(int rows, int vecs, Py_ssize_t groups, const real* a, Py_ssize_t step, const real* b, real* c,
                       Py_ssize_t ldc, bint accumulate) noexcept nogil
    void weight_gradients(int m, int taps, const real* points, Py_ssize_t stride, Py_ssize_t chunks, Py_ssize_t chunk,
                          Py_ssize_t kernels, real* to) noexcept nogil

import_runtime()

cdef enum:
    BLOCK = 1 << 18             # bytes that the points of a block should take: a part of L2
    MOST_TILES = 128            # in a block; a multiple of TILE_COLUMNS
    GAP = 16                    # elements between points: else their distance may be a power of two, bad for caches
    LARGE = 1 << 20             # elements from which the points of all kernels are better not kept
    PARTS = 8                   # of the channels whose tiles are transformed
    GROUP = 42                  # most output channels of a group
    DEPTH = 64                  # input channels whose kernels are transformed together in a group
    GRADIENT_GROUP = 126        # most output channels of a group, weight gradient
    CHUNKS = 8                  # partial sums of the weight gradient, over parts of the tiles
    MOST_PARTIAL = 1 << 22      # elements that these partial sums may take

cdef struct Conv:
    int m, taps, points         # along a side: outputs of a tile, kernel elements; of a tile: (m + taps - 1)^2
    Py_ssize_t n, c, o          # images; channels of the input and of the output, in one group
    Plane input, output
    Py_ssize_t pt, pl
    Py_ssize_t high, wide, tiles    # tiles of an image: rows, columns; of all images
    Py_ssize_t block, blocks    # tiles of a block, whole columns of gemm.h; number of blocks
    Py_ssize_t pitch, copies    # of a row of the block's pixels; of such rows, each one tile further
    bint keep                   # the points of x and not those of kernels: few tiles, many kernels
    const real* x
    const real* weights         # kernel (o, c) begins at weights[o * row + c * column]
    Py_ssize_t row, column
    bint flipped                # and is read backwards
    real* u                     # points of all kernels, packed
    real* x_points              # of all tiles, if they are kept
    real* dy_points
    Py_ssize_t group            # of output channels that are worked on together
    const real* bias
    real least                  # of the output: 0 if a relu follows
    real* out
    const real* dy              # weight gradient
    Py_ssize_t width            # channels, rounded up to whole vectors
    Py_ssize_t chunks, parts    # of blocks, each with partial sums; of channels
    real* sums                  # (chunks, points, O, width)

cdef struct Run:                # neighbouring tiles of one row of tiles, from place `at` of a block on
    Py_ssize_t image, row, column, count, at    # the first tile's pixel of the output


cdef void plan(Conv* conv, Py_ssize_t least) noexcept nogil:
    """Cut the output into tiles and blocks: of at least so many tiles, or one of all."""
    cdef Py_ssize_t column_bytes = conv.points * TILE_COLUMNS * (conv.c + conv.o) * <Py_ssize_t> sizeof(real)
    cdef Py_ssize_t most
    conv.high = ceil_div(ceil_div(conv.output.h, conv.output.dh), conv.m)
    conv.wide = ceil_div(ceil_div(conv.output.w, conv.output.dw), conv.m)
    conv.tiles = conv.n * conv.output.dh * conv.output.dw * conv.high * conv.wide
    conv.keep = conv.tiles <= MOST_TILES and conv.points * conv.o * conv.c > LARGE
    most = MOST_TILES if conv.keep else max(least, min(<Py_ssize_t> MOST_TILES, BLOCK // column_bytes * TILE_COLUMNS))
    conv.block = ceil_div(min(conv.tiles, most), TILE_COLUMNS) * TILE_COLUMNS
    conv.blocks = ceil_div(conv.tiles, conv.block)
    conv.pitch = conv.block * conv.m + LANES
    conv.copies = ceil_div(conv.m + conv.taps - 1, conv.m)


cdef Py_ssize_t cut_runs(const Conv* conv, Py_ssize_t block, Run* runs) noexcept nogil:
    """List the runs of a block; return how many there are."""
    cdef Py_ssize_t first = block * conv.block, count = 0, at = 0, tile, image
    cdef Py_ssize_t total = min(conv.block, conv.tiles - first), dh = conv.output.dh, dw = conv.output.dw
    cdef Run* run
    while at < total:
        tile = first + at
        image = tile // (conv.high * conv.wide)     # of the interleaved ones
        run = &runs[count]
        run.image = image // (dh * dw)
        run.row = image // dw % dh + tile // conv.wide % conv.high * conv.m * dh
        run.column = image % dw + tile % conv.wide * conv.m * dw
        run.count = min(conv.wide - tile % conv.wide, total - at)
        run.at = at
        at += run.count
        count += 1
    return count


# ---- forward ----

cdef Py_ssize_t input_size(const Conv* conv) noexcept nogil:
    """Return how many elements the points of a block of the input take."""
    return conv.points * (conv.block * conv.c + GAP)


cdef Py_ssize_t kernels_size(const Conv* conv, Py_ssize_t outputs, Py_ssize_t depth) noexcept nogil:
    """Return how many elements the points of the kernels of so many channels take."""
    return conv.points * (outputs * depth + GAP)


cdef void pack_weights(const Conv* conv, Py_ssize_t o, Py_ssize_t outputs, Py_ssize_t c, Py_ssize_t depth,
                       real* u) noexcept nogil:
    """Transform the kernels of some channels: (points, panels of rows, depth, rows)."""
    cdef int height = panel_rows(outputs), rows
    cdef Py_ssize_t panel, r
    for panel in range(ceil_div(outputs, height)):
        r = panel * height
        rows = <int> min(<Py_ssize_t> height, outputs - r)
        transform_weights(conv.m, conv.taps, conv.flipped, conv.weights + (o + r) * conv.row + c * conv.column, conv.row,
                          conv.column, rows, depth, u + r * depth, outputs * depth + GAP)


cdef real* take_rows(const Conv* conv, Py_ssize_t copies) noexcept nogil:
    """Return memory for a block's rows of pixels, zeros where the last block lacks tiles."""
    cdef Py_ssize_t size = copies * (conv.m + conv.taps - 1) * conv.pitch * <Py_ssize_t> sizeof(real)
    cdef void* rows = scratch_memory(3, size)
    if conv.tiles % conv.block:
        memset(rows, 0, size)
    return <real*> rows


cdef void transform_input(const Conv* conv, Py_ssize_t block, Py_ssize_t first, Py_ssize_t end,
                          real* points) noexcept nogil:
    """Write the points of some channels of a block of the input, (points, columns of gemm.h, C, TILE_COLUMNS)."""
    cdef Run runs[MOST_TILES]
    cdef Py_ssize_t count = cut_runs(conv, block, runs)
    cdef Py_ssize_t stride = conv.c * conv.block + GAP, c, r, tile, t
    cdef real* rows = take_rows(conv, conv.copies)
    cdef const Run* run
    cdef const real* image
    for c in range(first, end):
        for r in range(count):
            run = &runs[r]
            image = conv.x + run.image * conv.input.image + c * conv.input.h * conv.input.w
            input_rows(conv.m, conv.taps, &conv.input, image, run.row - conv.pt, run.column - conv.pl, run.count * conv.m,
                       rows + run.at * conv.m, conv.pitch)
        for tile in range(conv.block // LANES):
            t = tile * LANES
            input_columns(conv.m, conv.taps, rows + t * conv.m, conv.pitch,
                          points + (t // TILE_COLUMNS * conv.c + c) * TILE_COLUMNS + t % TILE_COLUMNS, stride)


cdef void multiply(const Conv* conv, const real* u, Py_ssize_t outputs, const real* x, Py_ssize_t channels, real* y,
                   bint accumulate) noexcept nogil:
    """Multiply the points of packed kernels with those of a block's channels.

    Products of more than DEPTH channels are added up part by part, which keeps the rounding errors of the sums small.
    """
    cdef int height = panel_rows(outputs), rows, point
    cdef Py_ssize_t depth = even_part(channels, DEPTH), panel, o, part, column, index, c
    cdef const real* kernels
    for point in range(conv.points):
        for panel in range(ceil_div(outputs, height)):
            o = panel * height
            rows = <int> min(<Py_ssize_t> height, outputs - o)
            kernels = u + point * (outputs * channels + GAP) + o * channels
            for part in range(conv.block // TILE_COLUMNS):
                column = part * TILE_COLUMNS
                for index in range(max(<Py_ssize_t> 1, ceil_div(channels, depth))):     # no channels are zeros
                    c = index * depth
                    packed_tile(rows, min(depth, channels - c), kernels + c * rows,
                                x + point * (conv.block * conv.c + GAP) + column * conv.c + c * TILE_COLUMNS,
                                y + point * (conv.block * outputs + GAP) + column * outputs + o * TILE_COLUMNS,
                                TILE_COLUMNS, accumulate or index > 0)


cdef void transform_output(const Conv* conv, Py_ssize_t block, Py_ssize_t first, Py_ssize_t outputs,
                           const real* points) noexcept nogil:
    """Write the pixels of some maps of a block of the output."""
    cdef Run runs[MOST_TILES]
    cdef Py_ssize_t count = cut_runs(conv, block, runs)
    cdef Py_ssize_t stride = outputs * conv.block + GAP, o, r, tile, t, i, row, length
    cdef real* rows = take_rows(conv, 1)
    cdef const Plane* plane = &conv.output
    cdef real bias
    cdef const Run* run
    cdef real* y
    for o in range(first, first + outputs):
        bias = conv.bias[o] if conv.bias != NULL else 0
        for tile in range(conv.block // LANES):
            t = tile * LANES
            output_tiles(conv.m, conv.taps,
                         points + (t // TILE_COLUMNS * outputs + o - first) * TILE_COLUMNS + t % TILE_COLUMNS, stride, bias,
                         conv.least, rows + t * conv.m, conv.pitch)
        for r in range(count):
            run = &runs[r]
            length = min(run.count * conv.m, ceil_div(plane.w - run.column, plane.dw))
            for i in range(conv.m):
                row = run.row + i * plane.dh
                if row < plane.h:
                    y = conv.out + run.image * plane.image + (o * plane.h + row) * plane.w + run.column
                    store_row(rows + i * conv.pitch + run.at * conv.m, length, y, plane.dw)


# Many tiles: kernels are transformed first, then each block of tiles goes through all steps, for a group of maps at a time.

cdef void weights_task(void* args, Py_ssize_t index) noexcept nogil:
    """Transform the kernels of one group of maps."""
    cdef Conv* conv = <Conv*> args
    cdef Py_ssize_t first = index * conv.group, outputs = min(conv.group, conv.o - first)
    pack_weights(conv, first, outputs, 0, conv.c, conv.u + index * kernels_size(conv, conv.group, conv.c))


cdef void block_task(void* args, Py_ssize_t block) noexcept nogil:
    """Compute one block of tiles of all maps."""
    cdef Conv* conv = <Conv*> args
    cdef real* x = <real*> scratch_memory(0, sizeof(real) * input_size(conv))
    cdef real* y = <real*> scratch_memory(1, sizeof(real) * conv.points * (conv.block * conv.group + GAP))
    cdef Py_ssize_t index, outputs
    transform_input(conv, block, 0, conv.c, x)
    for index in range(ceil_div(conv.o, conv.group)):
        outputs = min(conv.group, conv.o - index * conv.group)
        multiply(conv, conv.u + index * kernels_size(conv, conv.group, conv.c), outputs, x, conv.c, y, False)
        transform_output(conv, block, index * conv.group, outputs, y)


# Few tiles, many kernels: tiles are transformed first, then each group of kernels, which never leaves the cache.

cdef void input_task(void* args, Py_ssize_t part) noexcept nogil:
    """Transform a part of the channels of the input."""
    cdef Conv* conv = <Conv*> args
    transform_input(conv, 0, conv.c * part // PARTS, conv.c * (part + 1) // PARTS, conv.x_points)


cdef void group_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute one group of maps."""
    cdef Conv* conv = <Conv*> args
    cdef Py_ssize_t first = index * conv.group, outputs = min(conv.group, conv.o - first), chunk, c, depth
    cdef real* u = <real*> scratch_memory(0, sizeof(real) * kernels_size(conv, outputs, DEPTH))
    cdef real* y = <real*> scratch_memory(1, sizeof(real) * conv.points * (conv.block * outputs + GAP))
    for chunk in range(ceil_div(conv.c, DEPTH)):
        c = chunk * DEPTH
        depth = min(<Py_ssize_t> DEPTH, conv.c - c)
        pack_weights(conv, first, outputs, c, depth, u)
        multiply(conv, u, outputs, conv.x_points + c * TILE_COLUMNS, depth, y, c > 0)
    transform_output(conv, 0, first, outputs, y)


cdef void run_forward(Conv* conv) noexcept nogil:
    """Convolve, in the order that moves less memory."""
    cdef double work = 0.01 * conv.points * conv.o * conv.c
    cdef Py_ssize_t groups
    plan(conv, TILE_COLUMNS)
    conv.group = even_part(conv.o, GROUP)
    groups = ceil_div(conv.o, conv.group)
    if conv.keep:
        conv.x_points = <real*> scratch_memory(2, sizeof(real) * input_size(conv))
        parallel_for(input_task, conv, PARTS, 5.0 * conv.tiles * conv.c)
        parallel_for(group_task, conv, groups, work * conv.tiles)
    else:
        conv.u = <real*> scratch_memory(2, sizeof(real) * groups * kernels_size(conv, conv.group, conv.c))
        parallel_for(weights_task, conv, groups, 25 * work)
        parallel_for(block_task, conv, conv.blocks, work * conv.tiles)


cdef Conv describe(object x_shape, object w_shape, object window, Py_ssize_t groups, int m):
    """Collect the sizes of the convolution of one group of x."""
    cdef Conv conv
    cdef Window place = read_window(window)
    conv.m, conv.taps = m, <int> place.kh
    conv.points = (conv.m + conv.taps - 1) * (conv.m + conv.taps - 1)
    conv.n, conv.c, conv.o = x_shape[0], x_shape[1] // groups, w_shape[0] // groups
    conv.input.h, conv.input.w, conv.output.h, conv.output.w = x_shape[2], x_shape[3], place.oh, place.ow
    conv.input.image = groups * conv.c * conv.input.h * conv.input.w
    conv.output.image = groups * conv.o * conv.output.h * conv.output.w
    conv.input.dh = conv.output.dh = place.dh
    conv.input.dw = conv.output.dw = place.dw
    conv.pt, conv.pl = place.pt, place.pl
    conv.row, conv.column, conv.flipped = conv.c * place.kh * place.kw, place.kh * place.kw, False
    conv.bias, conv.least = NULL, <real> -INFINITY
    return conv


def conv2d(object x, object w, object b, object y, object window, Py_ssize_t groups, int m, bint relu):
    """Write y = x (N, C, H, W) convolved with w (O, C / groups, KH, KW), plus b (O,) unless it is None, and its relu."""
    cdef Conv conv = describe(x.shape, w.shape, window, groups, m)
    conv.x = read(x)
    conv.weights = read(w)
    conv.bias = read(b)
    conv.least = <real> (0 if relu else -INFINITY)
    conv.out = write(y)
    if conv.n * conv.output.image == 0:
        return
    with nogil:
        for _ in range(groups):
            run_forward(&conv)
            conv.x += conv.c * conv.input.h * conv.input.w
            conv.weights += conv.o * conv.row
            conv.bias = conv.bias + conv.o if conv.bias != NULL else NULL
            conv.out += conv.o * conv.output.h * conv.output.w


# ---- input gradient ----

cdef Conv mirrored(const Conv* conv) noexcept nogil:
    """Describe the convolution of dy with flipped, transposed kernels that gives dx."""
    cdef Conv back = conv[0]
    back.c, back.o = conv.o, conv.c
    back.input, back.output = conv.output, conv.input
    back.pt = (conv.taps - 1) * conv.input.dh - conv.pt
    back.pl = (conv.taps - 1) * conv.input.dw - conv.pl
    back.row, back.column, back.flipped = conv.column, conv.row, True
    return back


def conv2d_input_grad(object dy, object w, object dx, object window, Py_ssize_t groups, int m):
    """Write dx (N, C, H, W) from dy (N, O, OH, OW) and w (O, C / groups, KH, KW)."""
    cdef Conv conv = describe(dx.shape, w.shape, window, groups, m)
    cdef Conv back = mirrored(&conv)
    back.x = read(dy)
    back.weights = read(w)
    back.out = write(dx)
    if back.n * back.output.image == 0:
        return
    with nogil:
        for _ in range(groups):
            run_forward(&back)
            back.x += back.c * back.input.h * back.input.w
            back.weights += conv.o * conv.row
            back.out += back.o * back.output.h * back.output.w


# ---- weight gradient ----

cdef void transform_gradient(const Conv* conv, Py_ssize_t block, Py_ssize_t first, Py_ssize_t end, Py_ssize_t outputs,
                             real* points) noexcept nogil:
    """Write the points of channels `first` to `end` of a block of dy: (points, columns of gemm.h, outputs, TILE_COLUMNS)."""
    cdef Run runs[MOST_TILES]
    cdef Py_ssize_t count = cut_runs(conv, block, runs)
    cdef Py_ssize_t stride = outputs * conv.block + GAP, o, r, tile, t
    cdef real* rows = take_rows(conv, 1)
    cdef const Run* run
    cdef const real* image
    for o in range(first, end):
        for r in range(count):
            run = &runs[r]
            image = conv.dy + run.image * conv.output.image + o * conv.output.h * conv.output.w
            gradient_rows(conv.m, conv.taps, &conv.output, image, run.row, run.column, run.count * conv.m,
                          rows + run.at * conv.m, conv.pitch)
        for tile in range(conv.block // LANES):
            t = tile * LANES
            gradient_columns(conv.m, conv.taps, rows + t * conv.m, conv.pitch,
                             points + (t // TILE_COLUMNS * outputs + o - first) * TILE_COLUMNS + t % TILE_COLUMNS, stride)


cdef void multiply_gradient(const Conv* conv, int point, const real* x, Py_ssize_t c, Py_ssize_t width, const real* dy,
                            Py_ssize_t outputs, Py_ssize_t all_outputs, real* columns, real* sums, Py_ssize_t pitch,
                            bint accumulate) noexcept nogil:
    """Add products of a point of x, channels c to c + width, and of dy, over a block's tiles, so x is transposed first."""
    cdef Py_ssize_t groups = conv.block // TILE_COLUMNS, group, strip, o
    cdef int height = panel_rows(outputs), rows
    x += point * (conv.block * conv.c + GAP) + c * TILE_COLUMNS
    dy += point * (conv.block * all_outputs + GAP)
    for group in range(groups):
        transpose_points(x + group * conv.c * TILE_COLUMNS, conv.c - c, width, columns + group * TILE_COLUMNS * width)
    for strip in range(ceil_div(outputs, height)):
        o = strip * height
        rows = <int> min(<Py_ssize_t> height, outputs - o)
        gradient_tile(rows, <int> (width // LANES), groups, dy + o * TILE_COLUMNS, all_outputs * TILE_COLUMNS, columns,
                      sums + o * pitch, pitch, accumulate)


# Many tiles: blocks go through all steps, and their points are added up.

cdef void gradient_task(void* args, Py_ssize_t index) noexcept nogil:
    """Add up points over one chunk of the blocks, for one part of the output channels."""
    cdef Conv* conv = <Conv*> args
    cdef Py_ssize_t chunk = index // conv.parts, part = index % conv.parts, block, panel, c, width
    cdef Py_ssize_t first = conv.o * part // conv.parts, end = conv.o * (part + 1) // conv.parts
    cdef Py_ssize_t outputs = end - first, stride = conv.o * conv.width + GAP
    cdef Py_ssize_t begin = conv.blocks * chunk // conv.chunks
    cdef real* x = <real*> scratch_memory(0, sizeof(real) * input_size(conv))
    cdef real* dy = <real*> scratch_memory(1, sizeof(real) * conv.points * (conv.block * outputs + GAP))
    cdef real* sums = conv.sums + chunk * conv.points * stride + first * conv.width
    cdef real* columns
    cdef int point
    for block in range(begin, conv.blocks * (chunk + 1) // conv.chunks):
        transform_input(conv, block, 0, conv.c, x)
        transform_gradient(conv, block, first, end, outputs, dy)
        columns = <real*> scratch_memory(3, sizeof(real) * conv.block * TILE_COLUMNS)
        for point in range(conv.points):
            for panel in range(ceil_div(conv.width, TILE_COLUMNS)):
                c = panel * TILE_COLUMNS
                width = min(<Py_ssize_t> TILE_COLUMNS, conv.width - c)
                multiply_gradient(conv, point, x, c, width, dy, outputs, outputs, columns, sums + point * stride + c,
                                  conv.width, block > begin)


cdef void sum_task(void* args, Py_ssize_t o) noexcept nogil:
    """Add up the chunks of one output channel and transform the sums to gradients."""
    cdef Conv* conv = <Conv*> args
    cdef Py_ssize_t stride = conv.o * conv.width + GAP
    weight_gradients(conv.m, conv.taps, conv.sums + o * conv.width, stride, conv.chunks, conv.points * stride, conv.c,
                     conv.out + o * conv.row)


# Few tiles, many kernels: all tiles are transformed first, then come groups of kernels, which never leave the cache.

cdef void points_task(void* args, Py_ssize_t part) noexcept nogil:
    """Transform a part of the channels of x, and of dy."""
    cdef Conv* conv = <Conv*> args
    cdef Py_ssize_t first = conv.o * part // PARTS
    transform_input(conv, 0, conv.c * part // PARTS, conv.c * (part + 1) // PARTS, conv.x_points)
    transform_gradient(conv, 0, first, conv.o * (part + 1) // PARTS, conv.o, conv.dy_points + first * TILE_COLUMNS)


cdef void kernels_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute the gradients of a group of kernels, as many input channels as a tile of gemm.h has columns."""
    cdef Conv* conv = <Conv*> args
    cdef Py_ssize_t panels = ceil_div(conv.width, TILE_COLUMNS)
    cdef Py_ssize_t c = index % panels * TILE_COLUMNS, width = min(<Py_ssize_t> TILE_COLUMNS, conv.width - c)
    cdef Py_ssize_t first = index // panels * conv.group, outputs = min(conv.group, conv.o - first)
    cdef Py_ssize_t stride = outputs * width + GAP, o
    cdef real* columns = <real*> scratch_memory(0, sizeof(real) * conv.block * TILE_COLUMNS)
    cdef real* sums = <real*> scratch_memory(1, sizeof(real) * conv.points * stride)
    cdef int point
    for point in range(conv.points):
        multiply_gradient(conv, point, conv.x_points, c, width, conv.dy_points + first * TILE_COLUMNS, outputs, conv.o,
                          columns, sums + point * stride, width, False)
    for o in range(outputs):
        weight_gradients(conv.m, conv.taps, sums + o * width, stride, 1, 0, min(width, conv.c - c),
                         conv.out + (first + o) * conv.row + c * conv.column)


cdef void run_weight_grad(Conv* conv) noexcept nogil:
    """Compute dw: points, added up, then transformed; in the order that moves less memory."""
    cdef Py_ssize_t size
    cdef double work = 0.01 * conv.points * conv.o * conv.c
    conv.width = ceil_div(conv.c, LANES) * LANES
    plan(conv, MOST_TILES // 2)
    if conv.keep:
        conv.group = even_part(conv.o, GRADIENT_GROUP)
        size = input_size(conv) + conv.points * (conv.block * conv.o + GAP)
        conv.x_points = <real*> scratch_memory(2, sizeof(real) * size)
        conv.dy_points = conv.x_points + input_size(conv)
        parallel_for(points_task, conv, PARTS, 5.0 * conv.tiles * (conv.c + conv.o))
        parallel_for(kernels_task, conv, ceil_div(conv.width, TILE_COLUMNS) * ceil_div(conv.o, conv.group),
                     work * conv.tiles)
        return
    size = conv.points * (conv.o * conv.width + GAP)
    conv.chunks = CHUNKS
    while conv.chunks > 1 and (conv.chunks > conv.blocks or conv.chunks * size > MOST_PARTIAL):
        conv.chunks //= 2
    conv.parts = 1 if conv.chunks > 1 else min(conv.o, <Py_ssize_t> 2)
    conv.sums = <real*> scratch_memory(2, sizeof(real) * conv.chunks * size)
    parallel_for(gradient_task, conv, conv.chunks * conv.parts, work * conv.tiles)
    parallel_for(sum_task, conv, conv.o, 25 * work)


def conv2d_weight_grad(object dy, object x, object dw, object window, Py_ssize_t groups, int m):
    """Write dw (O, C / groups, KH, KW) from dy (N, O, OH, OW) and x (N, C, H, W)."""
    cdef Conv conv = describe(x.shape, dw.shape, window, groups, m)
    conv.dy = read(dy)
    conv.x = read(x)
    conv.out = write(dw)
    if conv.o * conv.c == 0:
        return
    if conv.n * conv.output.image == 0:
        memset(conv.out, 0, sizeof(real) * groups * conv.o * conv.row)
        return
    with nogil:
        for _ in range(groups):
            run_weight_grad(&conv)
            conv.x += conv.c * conv.input.h * conv.input.w
            conv.dy += conv.o * conv.output.h * conv.output.w
            conv.out += conv.o * conv.row
