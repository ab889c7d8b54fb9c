"""The weight gradient of 2-d convolution.

The image is read through a copy in which every element under the kernel is a constant shift (phases.pxd).  With K = (c, u, v)
and q running over output positions:

    dw[o, k] = sum over n, q of dy[n, o, q] * x[n, q + offset[k]]

Vector lanes run over output channels, of a transposed dy, or over positions where output channels are few.  Every task owns
its outputs, and blocks depend on shapes alone: results do not depend on the number of threads.
"""
from libc.string cimport memcpy, memset

from convolution cimport (DOT_ROWS, DOT_SUMS, DOT_TAPS, TASKS, Sizes, Strips, cut_strips, dots, is_plane, load_plane,
                          load_strips, plane, plane_products, read_sizes, round_up, strips_size, taps_tile, transpose)
from gemm cimport TILE_COLUMNS, TILE_ROWS, ceil_div, even_part
from parallel cimport import_runtime, parallel_for, scratch_memory
from phases cimport shift
from real cimport LANES, read, real, write
from window cimport copy_lines

import_runtime()

cdef enum:
    POSITIONS = 1024            # most positions that one reading of the sums works off, and enough of them
    MOST_PARTIAL = 1 << 18      # elements that partial sums over parts of the batch may take
    MOST_DOTS = 1 << 16         # elements that vectors of sums may take

cdef struct Grad:
    Sizes s
    bint wide                   # lanes run over output channels, not over positions
    Py_ssize_t padded           # output channels, rounded up to whole vectors
    Py_ssize_t chunks           # of images, each with a partial sum
    Py_ssize_t blocks, block    # of channels, or of groups where lanes run over positions: number and size
    Strips strips               # of one block of channels
    Py_ssize_t* offsets         # of each k of a block
    Py_ssize_t* starts          # of the output rows of the images worked on together
    const real* dy
    const real* x
    real* out


cdef void plan(Grad* g) noexcept nogil:
    """Choose what the lanes run over, by an estimate of the products and of what surrounds them, and cut up the work."""
    cdef const Sizes* s = &g.s
    cdef Py_ssize_t pitch = s.window.ow + (s.window.kw - 1) * s.window.dw // s.window.sw, images, c, t, n, i
    cdef double over_outputs, over_positions
    g.padded = round_up(s.o, LANES)
    over_outputs = (s.k * (1.15 if g.padded == LANES else 1.0) + 8.0) * g.padded * s.p
    over_positions = (s.k * 1.2 + 4.0) * s.o * s.window.oh * pitch
    g.wide = over_outputs < over_positions or s.o * s.k * LANES > MOST_DOTS
    g.chunks = max(<Py_ssize_t> 1, min(min(<Py_ssize_t> TASKS, MOST_PARTIAL // (s.groups * s.o * s.k)), s.n))
    if s.groups >= TASKS:
        g.chunks = 1
    g.block = s.c
    if g.wide:
        g.block = ceil_div(s.c, min(s.c, ceil_div(TASKS, g.chunks * s.groups)))
    g.blocks = ceil_div(s.c, g.block) * s.groups
    images = max(<Py_ssize_t> 1, POSITIONS // max(<Py_ssize_t> 1, s.p)) if g.wide else 1
    g.strips = cut_strips(&s.window, g.block, s.h, s.w, s.groups * s.c * s.h * s.w, g.wide, g.wide,
                          max(<Py_ssize_t> 1, POSITIONS // s.window.ow), min(images, ceil_div(s.n, g.chunks)))
    g.offsets = <Py_ssize_t*> scratch_memory(
        3, sizeof(Py_ssize_t) * (g.block * s.taps + g.strips.images * g.strips.rows))
    for c in range(g.block):
        for t in range(s.taps):
            g.offsets[c * s.taps + t] = shift(&g.strips.phases, c, t // s.window.kw, t % s.window.kw)
    g.starts = g.offsets + g.block * s.taps
    for n in range(g.strips.images):
        for i in range(g.strips.rows):
            g.starts[n * g.strips.rows + i] = n * g.strips.image + i * g.strips.down * g.strips.phases.pitch
    if not g.wide:
        g.block = ceil_div(s.groups, TASKS)         # neighbouring groups of one image lie together in memory
        g.blocks = ceil_div(s.groups, g.block)


# ---- lanes over output channels ----

cdef void add_products(const Grad* g, const real* x, Py_ssize_t k_count, const real* dy, Py_ssize_t images,
                       Py_ssize_t first, Py_ssize_t rows, real* turned, real* sums) noexcept nogil:
    """Add one strip of some images to sums[panel][k][output]; dy begins at the first image and output of the group."""
    cdef const Sizes* s = &g.s
    cdef int height = even_part(k_count, TILE_ROWS)
    cdef Py_ssize_t positions = rows * s.window.ow, o, outputs, span, panel, n, tile, k
    for panel in range(ceil_div(s.o, TILE_COLUMNS)):
        o = panel * TILE_COLUMNS
        span = min(<Py_ssize_t> TILE_COLUMNS, g.padded - o)
        outputs = min(<Py_ssize_t> TILE_COLUMNS, s.o - o)
        for n in range(images):
            transpose(outputs, positions, span, dy + (n * s.groups * s.o + o) * s.p + first * s.window.ow, s.p,
                      turned + n * positions * span, span)
        for tile in range(ceil_div(k_count, height)):
            k = tile * height
            taps_tile(<int> min(<Py_ssize_t> height, k_count - k), <int> (span // LANES), images * rows, g.starts,
                      s.window.ow, x, g.strips.step, g.offsets + k, turned, sums + o * k_count + k * span)


cdef void products_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute dw of one block of channels of one group, over one chunk of the images."""
    cdef Grad* g = <Grad*> args
    cdef const Sizes* s = &g.s
    cdef Py_ssize_t group = index % g.blocks % s.groups, chunk = index // g.blocks
    cdef Py_ssize_t c = index % g.blocks // s.groups * g.block, channels = min(g.block, s.c - c), k_count = channels * s.taps
    cdef Py_ssize_t most = g.strips.images * g.strips.rows * s.window.ow * TILE_COLUMNS, image = s.groups * s.c * s.h * s.w
    cdef Strips strips = g.strips
    cdef real* phases = <real*> scratch_memory(0, sizeof(real) * strips_size(&strips))
    cdef real* sums = <real*> scratch_memory(1, sizeof(real) * (k_count * g.padded + most))
    cdef Py_ssize_t n = s.n * chunk // g.chunks, end = s.n * (chunk + 1) // g.chunks, strip, first, count, panel, o
    cdef const real* x
    memset(sums, 0, sizeof(real) * k_count * g.padded)
    strips.phases.c = channels
    while n < end:
        count = min(strips.images, end - n)
        for strip in range(strips.count):
            first = strip * strips.rows
            x = load_strips(&strips, g.x + n * image + (group * s.c + c) * s.h * s.w, image, count, first, phases)
            add_products(g, x, k_count, g.dy + (n * s.groups + group) * s.o * s.p, count, first,
                         min(strips.rows, s.window.oh - first), sums + k_count * g.padded, sums)
        n += count
    for panel in range(ceil_div(s.o, TILE_COLUMNS)):
        o = panel * TILE_COLUMNS
        transpose(k_count, min(<Py_ssize_t> TILE_COLUMNS, s.o - o), k_count, sums + o * k_count,
                  min(<Py_ssize_t> TILE_COLUMNS, g.padded - o),
                  g.out + ((chunk * s.groups + group) * s.o + o) * s.k + c * s.taps, s.k)


# ---- lanes over positions ----

cdef void copy_strip(const Grad* g, const real* dy, Py_ssize_t rows, Py_ssize_t length, real* to) noexcept nogil:
    """Copy a strip of dy (O, OH, OW) to the pitch of the phases, with zeros at the unused positions."""
    cdef Py_ssize_t ow = g.s.window.ow, pitch = g.strips.phases.pitch, o, i, j
    for o in range(g.s.o):
        copy_lines(rows, ow, dy + o * g.s.p, ow, 1, g.s.p, to + o * length, pitch)
        for i in range(rows):
            for j in range(ow, pitch):
                to[o * length + i * pitch + j] = 0
        for j in range(rows * pitch, length):
            to[o * length + j] = 0


cdef int dots_taps(const Grad* g, int rows) noexcept nogil:
    """Return how many taps a tile of dot products of so many outputs has."""
    return even_part(g.s.k, <int> min(<Py_ssize_t> DOT_TAPS, DOT_SUMS // rows))


cdef void add_lanes(const Grad* g, const real* sums, real* dw) noexcept nogil:
    """Add up the lanes of sums[panel][part][output][tap]."""
    cdef const Sizes* s = &g.s
    cdef int height = even_part(s.o, DOT_ROWS), width = dots_taps(g, height)
    cdef Py_ssize_t panel, part, o, k, r, t, lane, rows, taps
    cdef real total
    for panel in range(ceil_div(s.o, height)):
        o = panel * height
        rows = min(<Py_ssize_t> height, s.o - o)
        for part in range(ceil_div(s.k, width)):
            k = part * width
            taps = min(<Py_ssize_t> width, s.k - k)
            for r in range(rows):
                for t in range(taps):
                    total = 0
                    for lane in range(LANES):
                        total += sums[lane]
                    sums += LANES
                    dw[(o + r) * s.k + k + t] = total


cdef void add_dots(const Grad* g, const real* x, const real* dy, Py_ssize_t rows, real* copied, real* sums) noexcept nogil:
    """Add the dot products of one strip of one group to sums[panel][part][output][tap][lane]; dy begins at the strip.

    Rows of dy that fill whole vectors, or nearly, are read where they lie; others are copied to make one long run.
    """
    cdef const Sizes* s = &g.s
    cdef int height = even_part(s.o, DOT_ROWS), width = dots_taps(g, height), outputs, taps
    cdef Py_ssize_t pitch = g.strips.phases.pitch, runs = rows, length = s.window.ow, map_size = s.p, panel, part, o, k
    if length < LANES or round_up(length, LANES) * 4 > pitch * 5:
        runs = 1
        map_size = length = round_up(rows * pitch, LANES)
        copy_strip(g, dy, rows, length, copied)
        dy = copied
    for panel in range(ceil_div(s.o, height)):
        o = panel * height
        outputs = <int> min(<Py_ssize_t> height, s.o - o)
        for part in range(ceil_div(s.k, width)):
            k = part * width
            taps = <int> min(<Py_ssize_t> width, s.k - k)
            dots(outputs, taps, runs, length, dy + o * map_size, map_size, s.window.ow, x, pitch, g.offsets + k,
                 sums + (o * s.k + outputs * k) * LANES)


cdef void dots_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute dw of a block of groups over one chunk of the images, few weights: each a dot product of vectors in registers."""
    cdef Grad* g = <Grad*> args
    cdef const Sizes* s = &g.s
    cdef const Strips* strips = &g.strips
    cdef Py_ssize_t first_group = index % g.blocks * g.block, end_group = min(first_group + g.block, s.groups)
    cdef Py_ssize_t chunk = index // g.blocks, size = s.o * s.k
    cdef Py_ssize_t length = round_up(strips.rows * strips.phases.pitch, LANES)
    cdef Py_ssize_t behind = strips.phases.pitch + LANES         # what the last unused positions read
    cdef real* phases = <real*> scratch_memory(0, sizeof(real) * (strips_size(strips) + behind))
    cdef real* copied = <real*> scratch_memory(1, sizeof(real) * (s.o * length + g.block * size * LANES))
    cdef real* sums = copied + s.o * length
    cdef Py_ssize_t n, group, strip, first, rows
    cdef bint planes = is_plane(&s.window, s.c, s.o)
    cdef const real* image
    cdef const real* rows_of_dy
    cdef plane x
    memset(sums, 0, g.block * size * LANES * sizeof(real))
    memset(phases + strips_size(strips), 0, behind * sizeof(real))
    for n in range(s.n * chunk // g.chunks, s.n * (chunk + 1) // g.chunks):
        for group in range(first_group, end_group):
            for strip in range(strips.count):
                first = strip * strips.rows
                rows = min(strips.rows, s.window.oh - first)
                image = g.x + (n * s.groups + group) * s.c * s.h * s.w
                rows_of_dy = g.dy + (n * s.groups + group) * s.o * s.p + first * s.window.ow
                if planes:
                    x = load_plane(strips, image, first, rows, phases)
                    plane_products(rows, s.window.ow, &x, rows_of_dy, s.window.ow, sums + (group - first_group) * size * LANES)
                else:
                    load_strips(strips, image, 0, 1, first, phases)
                    add_dots(g, phases, rows_of_dy, rows, copied, sums + (group - first_group) * size * LANES)
    for group in range(first_group, end_group):
        add_lanes(g, sums + (group - first_group) * size * LANES, g.out + (chunk * s.groups + group) * size)


def conv2d_weight_grad(object dy, object x, object dw, object window, Py_ssize_t groups):
    """Write dw (O, C / groups, KH, KW) from dy (N, O, OH, OW) and x (N, C, H, W)."""
    cdef Grad g
    cdef real* result = write(dw)
    cdef Py_ssize_t size, chunk, i
    g.s = read_sizes(x.shape, dw.shape, window, groups)
    g.dy = read(dy)
    g.x = read(x)
    g.out = result
    size = groups * g.s.o * g.s.k
    if size == 0:
        return
    with nogil:
        if g.s.n * g.s.p == 0:
            memset(result, 0, sizeof(real) * size)
        else:
            plan(&g)
            if g.chunks > 1:
                g.out = <real*> scratch_memory(2, sizeof(real) * size * g.chunks)
            parallel_for(products_task if g.wide else dots_task, &g, g.chunks * g.blocks,
                         0.015 * g.s.n * size * g.s.p)
            if g.chunks > 1:
                memcpy(result, g.out, sizeof(real) * size)
                for chunk in range(1, g.chunks):
                    for i in range(size):
                        result[i] += g.out[chunk * size + i]
