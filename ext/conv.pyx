"""2-d convolution (cross-correlation) and its input gradient, and im2col/col2im.

Both read images through a copy in which every element under the kernel is a constant shift (phases.pxd), so no matrix of
patches is ever built.  With K = (c, u, v), the elements under the kernel, and q running over output positions:

    y[o, q] = sum over k of w[o, k] * x[q + offset[k]]

The input gradient is the same sum over dy, once for each phase of dx: the rows and columns with one remainder modulo the
stride, which only some elements of the kernel meet.

Vector lanes run over output channels, or over positions where channels are few.  Every task owns its outputs, and blocks
depend on shapes alone: results do not depend on the number of threads.
"""
from libc.math cimport INFINITY
from libc.string cimport memset

from convolution cimport (PANEL_VECS, TASKS, WIDE_ROWS, Sizes, Strips, cut_strips, fetch_maps, interleave_rows, is_plane,
                          load_plane, load_strips, next_strip, outputs_tile, plane, plane_3x3, positions_tile, read_sizes,
                          round_up, start_sums, strips_size, transpose, transpose_blocks)
from gemm cimport TILE_COLUMNS, TILE_ROWS, TILE_VECS, ceil_div, even_part
from parallel cimport import_runtime, parallel_for, scratch_memory
from phases cimport shift
from real cimport LANES, read, real, write
from window cimport Window, copy_row, gather_row, read_window, scatter_row

import_runtime()

cdef enum:
    WHOLE = 256                 # most values of K that make up one block: small sums have the same bits behind pooling
    DEPTH = 128                 # of a larger K in a block: its weights and the shifted rows share L1
    POSITIONS = 256             # enough for one reading of the weights, where images are small

cdef struct Part:               # the outputs of one phase of dx; forward there is only one
    Py_ssize_t k                # elements under its kernel: c * count
    Py_ssize_t count            # of its taps
    Py_ssize_t* taps            # their numbers u * kw + v
    Py_ssize_t* offsets         # of each k
    Py_ssize_t oh, ow, at       # its rows, its columns and the place of its first output
    real* weights               # packed as [group][panel][k][output]

cdef struct Conv:
    Py_ssize_t n, groups        # images, groups
    Py_ssize_t c, h, w          # channels of one group's input, and its size
    Py_ssize_t o, padded        # channels of one group's output; those that the packed weights have room for
    Py_ssize_t plane, row, column   # distance of output maps, of rows and of columns of a part
    Part* parts
    Py_ssize_t count, across    # of parts; of those that share rows
    bint holes                  # some part has no taps, so that its outputs are 0
    bint wide                   # lanes run over output channels, not over positions
    Py_ssize_t panel            # output channels of a panel
    Strips strips
    Py_ssize_t batches          # of images worked on together
    Py_ssize_t runs, run        # of strips that one task works through: number and size
    Py_ssize_t blocks, block    # of panels: number and size
    Py_ssize_t advance, line    # lanes over positions: distance of vectors in the phases, of rows in the sums
    bint exact                  # lines hold only positions that are wanted, so the last vector may overlap
    bint straight               # their sums go straight to y
    bint apart                  # each row is a line of its own
    Py_ssize_t order_o, order_c     # distance of the weights of neighbouring outputs, and of neighbouring inputs
    Py_ssize_t size             # weights of one group
    const real* x
    const real* weights
    const real* bias
    real least                  # of y: 0 if a relu follows
    real* y


# ---- plans ----

cdef void plan_lanes(Conv* conv, const Window* w, Py_ssize_t taps) noexcept nogil:
    """Choose what the lanes run over, by an estimate of the products and of what surrounds them, and cut up the work."""
    cdef Py_ssize_t pitch = w.ow + (w.kw - 1) * w.dw // w.sw, panel = even_part(conv.o, TILE_ROWS)
    cdef bint narrow = w.ow <= LANES < pitch            # a vector holds one row, not what follows it
    cdef bint apart = pitch > w.ow > LANES and w.ow % LANES == 0 and panel * TILE_VECS > TILE_ROWS
    cdef bint exact = apart or w.ow == LANES or pitch == w.ow > LANES
    cdef Py_ssize_t positions = w.oh * (round_up(w.ow, LANES) if narrow or apart else pitch)
    cdef Py_ssize_t padded = round_up(conv.o, LANES), panels, images
    cdef double over_outputs = (conv.c * taps + 8.0) * padded * w.oh * w.ow * (1.15 if padded == LANES else 1.0)
    cdef double over_positions = (conv.c * taps + 2.0 if exact else (conv.c * taps + 4.0) * 1.07) * 1.03
    over_positions *= conv.o * round_up(positions, LANES)
    over_outputs *= max(1.0, 4.0 / max(<Py_ssize_t> 1, w.ow))       # too few sums to hide their latency
    conv.wide = over_outputs < over_positions
    conv.padded = padded if conv.wide else conv.o
    conv.panel = panel
    if conv.wide:
        conv.panel = padded if padded == PANEL_VECS * LANES else TILE_COLUMNS
    images = max(<Py_ssize_t> 1, POSITIONS // max(<Py_ssize_t> 1, w.oh * w.ow)) if conv.wide else 1
    conv.strips = cut_strips(w, conv.c, conv.h, conv.w, conv.groups * conv.c * conv.h * conv.w,
                             conv.wide, conv.wide or exact, w.oh, min(images, conv.n))
    conv.exact, conv.straight, conv.apart = exact, exact and conv.row == w.ow, apart
    conv.advance = pitch if narrow else LANES
    conv.line = round_up(w.ow, LANES) if narrow or apart else pitch
    conv.batches = ceil_div(conv.n, conv.strips.images)
    panels = ceil_div(conv.o, conv.panel)
    conv.blocks = min(panels, ceil_div(TASKS, conv.batches * conv.groups * conv.strips.count))
    conv.block = ceil_div(panels, conv.blocks)
    conv.blocks = ceil_div(panels, conv.block)
    conv.run = 1
    if conv.strips.in_place:                            # so that what is fetched early is fetched by who needs it
        conv.run = max(<Py_ssize_t> 1, conv.strips.count * conv.batches * conv.groups * conv.blocks // (2 * TASKS))
    conv.runs = ceil_div(conv.strips.count, conv.run)


cdef void plan_forward(Conv* conv, const Sizes* s) noexcept nogil:
    """Plan y from x: one part with all elements of the kernel."""
    cdef const Window* w = &s.window
    cdef Part* part = <Part*> scratch_memory(3, sizeof(Part) + (s.k + s.taps) * sizeof(Py_ssize_t))
    cdef Py_ssize_t c, t
    conv.n, conv.groups, conv.c, conv.h, conv.w, conv.o = s.n, s.groups, s.c, s.h, s.w, s.o
    conv.plane, conv.row, conv.column = s.p, w.ow, 1
    conv.order_o, conv.order_c, conv.size = s.k, s.taps, s.o * s.k
    conv.parts, conv.count, conv.across, conv.holes = part, 1, 1, False
    plan_lanes(conv, w, s.taps)
    part.k, part.count = s.k, s.taps
    part.oh, part.ow, part.at = w.oh, w.ow, 0
    part.taps = <Py_ssize_t*> (part + 1)
    part.offsets = part.taps + s.taps
    for t in range(s.taps):
        part.taps[t] = t
    for c in range(s.c):
        for t in range(s.taps):
            part.offsets[c * s.taps + t] = shift(&conv.strips.phases, c, t // w.kw, t % w.kw)


cdef Window around_dy(const Sizes* s) noexcept nogil:
    """Return the window of dy that some phase of dx reads; its padding is what row 0 and column 0 read before the image.

    Row i of phase a is row i * sh + a of dx; tap u takes it from row i + (a + pt - u * dh) / sh of dy, if that is integral.
    """
    cdef const Window* w = &s.window
    cdef Window around = w[0]
    around.pt = max(<Py_ssize_t> 0, ((w.kh - 1) * w.dh - w.pt) // w.sh)
    around.pl = max(<Py_ssize_t> 0, ((w.kw - 1) * w.dw - w.pl) // w.sw)
    around.kh = around.pt + (w.sh - 1 + w.pt) // w.sh + 1
    around.kw = around.pl + (w.sw - 1 + w.pl) // w.sw + 1
    around.sh = around.sw = around.dh = around.dw = 1
    around.oh = ceil_div(s.h, w.sh)
    around.ow = ceil_div(s.w, w.sw)
    return around


cdef void plan_input_grad(Conv* conv, const Sizes* s) noexcept nogil:
    """Plan dx from dy: one part for each phase of dx, with the taps that meet it."""
    cdef const Window* w = &s.window
    cdef Window around = around_dy(s)
    cdef Py_ssize_t high = min(w.sh, s.h), wide = min(w.sw, s.w), a, b, c, t, u, v, row, column
    cdef Part* part
    cdef Py_ssize_t* table
    conv.n, conv.groups, conv.c, conv.h, conv.w, conv.o = s.n, s.groups, s.o, w.oh, w.ow, s.c
    conv.plane, conv.row, conv.column = s.h * s.w, s.w * w.sh, w.sw
    conv.order_o, conv.order_c, conv.size = s.taps, s.k, s.o * s.k
    conv.count, conv.across, conv.holes = high * wide, wide, False
    conv.parts = <Part*> scratch_memory(3, conv.count * sizeof(Part) + (s.o + 1) * s.taps * sizeof(Py_ssize_t))
    table = <Py_ssize_t*> (conv.parts + conv.count)
    plan_lanes(conv, &around, ceil_div(s.taps, conv.count))
    for a in range(high):
        for b in range(wide):
            part = conv.parts + a * wide + b
            part.oh, part.ow, part.at = ceil_div(s.h - a, w.sh), ceil_div(s.w - b, w.sw), a * s.w + b
            part.taps, part.count = table, 0
            for t in range(s.taps):
                if (a + w.pt - t // w.kw * w.dh) % w.sh == 0 and (b + w.pl - t % w.kw * w.dw) % w.sw == 0:
                    part.taps[part.count] = t
                    part.count += 1
            part.k = s.o * part.count
            conv.holes |= part.k == 0
            part.offsets = table + part.count
            table = part.offsets + part.k
            for c in range(s.o):
                for t in range(part.count):
                    u, v = part.taps[t] // w.kw, part.taps[t] % w.kw
                    row = around.pt + (a + w.pt - u * w.dh) // w.sh
                    column = around.pl + (b + w.pl - v * w.dw) // w.sw
                    part.offsets[c * part.count + t] = shift(&conv.strips.phases, c, row, column)


# ---- weights ----

cdef Py_ssize_t panel_span(const Conv* conv, Py_ssize_t first) noexcept nogil:
    """Return how many outputs the packed panel from output `first` has room for."""
    return min(conv.panel, conv.padded - first)


cdef void turn_taps(const Conv* conv, const real* w, Py_ssize_t outputs, Py_ssize_t span, bint more,
                    real* turned) noexcept nogil:
    """Write turned[tap][output] for one input; there is `more` memory behind w if other inputs or groups follow."""
    cdef Py_ssize_t taps = conv.order_o, t, i
    if taps > 1 and outputs % LANES == 0 and more:
        transpose_blocks(outputs, taps, w, taps, turned, span)
        return
    for t in range(taps):
        for i in range(outputs):
            turned[t * span + i] = w[i * taps + t]
        for i in range(outputs, span):
            turned[t * span + i] = 0


cdef void pack_task(void* args, Py_ssize_t index) noexcept nogil:
    """Pack the weights of one panel of outputs of one group, for all parts."""
    cdef Conv* conv = <Conv*> args
    cdef Py_ssize_t panels = ceil_div(conv.o, conv.panel)
    cdef Py_ssize_t group = index // panels, first = index % panels * conv.panel
    cdef Py_ssize_t span = panel_span(conv, first), outputs = min(conv.panel, conv.o - first), p, c, t
    cdef const real* w = conv.weights + group * conv.size + first * conv.order_o
    cdef const Part* part = conv.parts
    cdef real* turned
    cdef real* to
    if part.count == conv.order_c:                              # all taps, in the order of the weights
        transpose(outputs, part.k, span, w, conv.order_o, part.weights + (group * conv.padded + first) * part.k, span)
        return
    turned = <real*> scratch_memory(1, sizeof(real) * round_up(conv.order_o, LANES) * span)
    for c in range(conv.c):
        turn_taps(conv, w + c * conv.order_c, outputs, span, c + 1 < conv.c or group + 1 < conv.groups, turned)
        for p in range(conv.count):
            part = conv.parts + p
            to = part.weights + (group * conv.padded + first) * part.k + c * part.count * span
            for t in range(part.count):
                copy_row(turned + part.taps[t] * span, span, to + t * span)


cdef void pack_weights(Conv* conv) noexcept nogil:
    """Pack the weights of all parts."""
    cdef Py_ssize_t p, size = 0
    cdef real* packed
    for p in range(conv.count):
        size += conv.groups * conv.padded * conv.parts[p].k
    packed = <real*> scratch_memory(2, sizeof(real) * size)
    for p in range(conv.count):
        conv.parts[p].weights = packed
        packed += conv.groups * conv.padded * conv.parts[p].k
    parallel_for(pack_task, conv, conv.groups * ceil_div(conv.o, conv.panel), 0.5 * size)


# ---- outputs ----

cdef int depth_of(const Part* part) noexcept nogil:
    """Return how many values of K make up a block."""
    return <int> max(<Py_ssize_t> 1, part.k) if part.k <= WHOLE else even_part(part.k, DEPTH)


cdef bint has_no_taps(const Conv* conv, const Part* parts) noexcept nogil:
    """Return whether none of the parts that share rows meets an element of the kernel."""
    cdef Py_ssize_t b
    for b in range(conv.across):
        if parts[b].k > 0:
            return False
    return True


cdef inline void clear_holes(const Conv* conv, const Part* parts, real* y, const real* map) noexcept nogil:
    """Zero one strip of a map, which begins at y, where parts have holes, before the first of them is written."""
    if conv.holes and parts == conv.parts:
        memset(y, 0, min(conv.strips.rows * conv.row, map + conv.plane - y) * sizeof(real))


# ---- lanes over output channels ----

cdef void store_maps(const Conv* conv, const Part* parts, Py_ssize_t image, const real* sums, Py_ssize_t apart,
                     Py_ssize_t span, Py_ssize_t outputs, Py_ssize_t rows, real* maps, real* y, const real* map) noexcept nogil:
    """Copy sums[part][image][position][output] of one image to the rows of its output maps.

    The sums of parts are `apart` elements from each other; `maps` has memory for all parts that share rows.
    """
    cdef Py_ssize_t size = conv.strips.rows * conv.strips.columns, b, o, i, j
    cdef const real* from_
    cdef real* to
    if conv.across == 1 and conv.row == parts.ow:
        size = rows * parts.ow
        transpose(size, outputs, size, sums + image * size * span, span, y, conv.plane)
        return
    for b in range(conv.across):
        if conv.holes and parts[b].k == 0:
            memset(maps + b * size * outputs, 0, size * outputs * sizeof(real))
        else:
            transpose(rows * parts[b].ow, outputs, rows * parts[b].ow, sums + b * apart + image * rows * parts[b].ow * span,
                      span, maps + b * size * outputs, size)
    for o in range(outputs):
        from_ = maps + o * size
        to = y + o * conv.plane
        clear_holes(conv, parts, to, map + o * conv.plane)
        if conv.across == 2 and conv.column == 2:
            interleave_rows(rows, parts[0].ow, parts[1].ow, from_, parts[0].ow, from_ + size * outputs, parts[1].ow, to,
                            conv.row)
            continue
        for b in range(conv.across):
            for i in range(rows):
                for j in range(parts[b].ow):
                    to[i * conv.row + j * conv.column + b] = from_[b * size * outputs + i * parts[b].ow + j]


cdef void multiply_outputs(const Conv* conv, const Part* part, const real* x, Py_ssize_t ahead, Py_ssize_t turn,
                           Py_ssize_t images, Py_ssize_t rows, const real* weights, const real* bias, Py_ssize_t outputs,
                           Py_ssize_t span, real* sums, real* y) noexcept nogil:
    """Compute sums[image][position][output] of one panel of outputs: tiles of neighbours in a row x outputs.

    The lines of y that the sums will go to are fetched meanwhile.  So is what lies `ahead` of x, in turns with other panels.
    """
    cdef int vecs = <int> (span // LANES), depth = depth_of(part), size
    cdef int width = even_part(part.ow, WIDE_ROWS if vecs == PANEL_VECS else TILE_ROWS)
    cdef const Strips* s = &conv.strips
    cdef Py_ssize_t block, block_depth, k, n, i, j, tile
    cdef bint given = bias != NULL, last
    cdef real* to
    if given:
        start_sums(images * rows * part.ow, vecs, outputs, bias, sums)
    for block in range(max(<Py_ssize_t> 1, ceil_div(part.k, depth))):       # no taps are zeros
        k = block * depth
        block_depth = min(<Py_ssize_t> depth, part.k - k)
        last = k + block_depth == part.k
        to = sums
        for n in range(images):
            for i in range(rows):
                for tile in range(ceil_div(part.ow, width)):
                    j = tile * width
                    size = <int> min(<Py_ssize_t> width, part.ow - j)
                    if last:
                        fetch_maps(outputs, y + n * conv.groups * conv.o * conv.plane + i * conv.row + j * conv.column,
                                   conv.plane, 1)
                    outputs_tile(size, vecs, block_depth, x + n * s.image + i * s.down * s.phases.pitch + j * s.step,
                                 part.offsets + k, s.step, ahead if (i + tile) % conv.block == turn else 0,
                                 weights + k * span, to, given or k > 0, conv.least if last else <real> -INFINITY)
                    to += size * span


cdef void outputs_strip(const Conv* conv, Py_ssize_t block, Py_ssize_t strip, Py_ssize_t batch) noexcept nogil:
    """Compute one strip of rows of one group of some images, for one block of output channels."""
    cdef const Strips* s = &conv.strips
    cdef Py_ssize_t group = batch % conv.groups, n0 = batch // conv.groups * s.images
    cdef Py_ssize_t images = min(s.images, conv.n - n0)
    cdef Py_ssize_t most = s.rows * s.columns * conv.panel         # sums of one image
    cdef real* phases = <real*> scratch_memory(0, sizeof(real) * strips_size(s))
    cdef real* sums = <real*> scratch_memory(1, sizeof(real) * (most * conv.across * (images + 1) + LANES))
    cdef const real* x = load_strips(s, conv.x + (n0 * conv.groups + group) * conv.c * conv.h * conv.w,
                                     conv.groups * conv.c * conv.h * conv.w, images, strip * s.rows, phases)
    cdef Py_ssize_t ahead = next_strip(s, conv.groups * conv.c * conv.h * conv.w, strip)
    cdef Py_ssize_t a, b, panel, o, rows, outputs, span, n
    cdef const Part* parts
    cdef real* y
    cdef real* map
    for a in range(conv.count // conv.across):
        parts = conv.parts + a * conv.across
        rows = min(s.rows, parts.oh - strip * s.rows)
        if rows <= 0 or a > 0 and conv.holes and has_no_taps(conv, parts):
            continue
        for panel in range(block * conv.block, min((block + 1) * conv.block, ceil_div(conv.o, conv.panel))):
            o = panel * conv.panel
            outputs = min(conv.panel, conv.o - o)
            span = panel_span(conv, o)
            map = conv.y + ((n0 * conv.groups + group) * conv.o + o) * conv.plane
            y = map + parts.at + strip * s.rows * conv.row
            for b in range(conv.across):
                if not conv.holes or parts[b].k > 0:
                    multiply_outputs(conv, parts + b, x, ahead, panel % conv.block, images, rows,
                                     parts[b].weights + (group * conv.padded + o) * parts[b].k,
                                     conv.bias + group * conv.o + o if conv.bias != NULL else NULL, outputs, span,
                                     sums + b * images * most, y + b * LANES)
            for n in range(images):
                store_maps(conv, parts, n, sums, images * most, span, outputs, rows, sums + conv.across * images * most,
                           y + n * conv.groups * conv.o * conv.plane, map + n * conv.groups * conv.o * conv.plane)


# ---- lanes over positions ----

cdef void multiply_positions(const Conv* conv, const Part* part, Py_ssize_t first, Py_ssize_t end, const real* x,
                             Py_ssize_t rows, const real* weights, const real* bias, Py_ssize_t ahead, real* sums,
                             Py_ssize_t size, real* y) noexcept nogil:
    """Compute outputs `first` to `end` of a strip, in tiles of outputs x vectors of a line.

    Straight lines go to y, others to sums[output][line][position], where outputs are `size` elements apart.  The last vector
    of an exact line overlaps.  What lies `ahead` of x is fetched meanwhile, in turns.
    """
    cdef int depth = depth_of(part), height
    cdef Py_ssize_t lines = rows if conv.apart else 1, length = part.ow if conv.apart else rows * conv.line
    cdef Py_ssize_t vectors = ceil_div(length, LANES), whole = length // LANES if conv.exact else vectors
    cdef Py_ssize_t block, block_depth, k, panel, o, line, v, at, turn
    cdef bint last, done
    cdef real* so_far
    cdef real* to
    for block in range(max(<Py_ssize_t> 1, ceil_div(part.k, depth))):       # no taps are zeros
        k = block * depth
        block_depth = min(<Py_ssize_t> depth, part.k - k)
        last = k + block_depth == part.k
        done = last and conv.straight
        for panel in range(ceil_div(end - first, conv.panel)):
            o = first + panel * conv.panel
            height = <int> min(conv.panel, end - o)
            for line in range(lines):
                v = 0
                while v < vectors:
                    so_far = sums + o * size + (line * vectors + v) * LANES
                    turn = (panel + line + v // TILE_VECS) % conv.block
                    at = v * LANES if v < whole else length - LANES
                    to = so_far
                    if last:
                        to = at + (y + o * conv.plane + line * conv.row if done else sums + o * size + line * vectors * LANES)
                    if done:
                        fetch_maps(height, to, conv.plane, TILE_VECS)
                    v += positions_tile(height, max(<Py_ssize_t> 1, whole - v), block_depth,
                                        weights + o * part.k + k * height,
                                        x + line * conv.strips.phases.pitch + (v * conv.advance if v < whole else at),
                                        part.offsets + k, conv.advance, ahead + turn * LANES if turn < TILE_VECS else 0,
                                        bias + o, so_far if k > 0 else NULL, size,
                                        conv.least if last else <real> -INFINITY, to, conv.plane if done else size)


cdef void store_lines(const Conv* conv, const Part* parts, Py_ssize_t first, Py_ssize_t end, const real* sums,
                      Py_ssize_t size, Py_ssize_t rows, const real* zeros, real* y, const real* map) noexcept nogil:
    """Copy sums[part][output][line] to the rows of output maps `first` to `end`."""
    cdef Py_ssize_t o, b, i, j
    cdef const real* from_
    cdef const real* other
    cdef real* to
    cdef bint even = not conv.holes or parts[0].k > 0, odd = conv.across > 1 and (not conv.holes or parts[1].k > 0)
    for o in range(first, end):
        to = y + o * conv.plane
        clear_holes(conv, parts, to, map + o * conv.plane)
        if conv.across == 2 and conv.column == 2:
            from_ = sums + o * size if even else zeros
            other = sums + (conv.o + o) * size if odd else zeros
            interleave_rows(rows, parts[0].ow, parts[1].ow, from_, conv.line if even else 0, other, conv.line if odd else 0, to,
                            conv.row)
        else:
            for b in range(conv.across):
                from_ = sums + (b * conv.o + o) * size
                for i in range(0 if conv.holes and parts[b].k == 0 else rows):
                    if conv.column == 1:
                        copy_row(from_ + i * conv.line, parts[b].ow, to + i * conv.row)
                    else:
                        for j in range(parts[b].ow):
                            to[i * conv.row + j * conv.column + b] = from_[i * conv.line + j]


cdef void positions_strip(const Conv* conv, Py_ssize_t block, Py_ssize_t strip, Py_ssize_t image) noexcept nogil:
    """Compute one strip of rows of one group of one image, for one block of output channels."""
    cdef const Strips* s = &conv.strips
    cdef Py_ssize_t group = image % conv.groups, first = block * conv.block * conv.panel
    cdef Py_ssize_t end = min(first + conv.block * conv.panel, conv.o)
    cdef Py_ssize_t size = round_up(s.rows * conv.line, LANES), room = conv.across * conv.o * size
    cdef real* phases = <real*> scratch_memory(0, sizeof(real) * (strips_size(s) + s.phases.pitch + LANES))
    cdef real* sums = <real*> scratch_memory(1, sizeof(real) * (room + conv.line + LANES + conv.o))
    cdef real* zeros = sums + room
    cdef real* bias = zeros + conv.line + LANES
    cdef const real* x = load_strips(s, conv.x + image * conv.c * conv.h * conv.w, 0, 1, strip * s.rows, phases)
    cdef Py_ssize_t ahead = next_strip(s, conv.c * conv.h * conv.w, strip), a, b, o, rows
    cdef const Part* parts
    cdef real* map = conv.y + image * conv.o * conv.plane
    cdef real* y
    memset(zeros, 0, sizeof(real) * (conv.line + LANES))
    for o in range(conv.o):
        bias[o] = conv.bias[group * conv.o + o] if conv.bias != NULL else 0
    for a in range(conv.count // conv.across):
        parts = conv.parts + a * conv.across
        rows = min(s.rows, parts.oh - strip * s.rows)
        if rows <= 0 or a > 0 and conv.holes and has_no_taps(conv, parts):
            continue
        y = map + parts.at + strip * s.rows * conv.row
        for b in range(conv.across):
            if not conv.holes or parts[b].k > 0:
                multiply_positions(conv, parts + b, first, end, x, rows, parts[b].weights + group * conv.o * parts[b].k, bias,
                                   ahead, sums + b * conv.o * size, size, y)
        if not conv.straight:
            store_lines(conv, parts, first, end, sums, size, rows, zeros, y, map)


# ---- one channel to one ----

cdef void plane_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute one strip of rows of one map."""
    cdef Conv* conv = <Conv*> args
    cdef const Strips* s = &conv.strips
    cdef Py_ssize_t strip = index % s.count, image = index // s.count, group = image % conv.groups, k
    cdef const Part* part = conv.parts
    cdef Py_ssize_t first = strip * s.rows, rows = min(s.rows, part.oh - first)
    cdef real* phases = <real*> scratch_memory(0, sizeof(real) * strips_size(s))
    cdef plane x = load_plane(s, conv.x + image * conv.h * conv.w, first, rows, phases)
    cdef bint turned = part.offsets[8] == 0             # as the taps of an input gradient are
    cdef real[9] w
    for k in range(9):
        w[8 - k if turned else k] = part.weights[group * 9 + k]
    plane_3x3(rows, part.ow, &x, w, conv.bias[group] if conv.bias != NULL else 0, conv.least,
              conv.y + image * conv.plane + first * conv.row, conv.row)


# ---- passes ----

cdef void strips_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute a run of strips of one group of some images, for one block of output channels."""
    cdef Conv* conv = <Conv*> args
    cdef Py_ssize_t block = index % conv.blocks, first = index // conv.blocks % conv.runs * conv.run, strip
    cdef Py_ssize_t batch = index // (conv.blocks * conv.runs)              # of images, of a group
    for strip in range(first, min(first + conv.run, conv.strips.count)):
        if conv.wide:
            outputs_strip(conv, block, strip, batch)
        else:
            positions_strip(conv, block, strip, batch)


cdef void run(Conv* conv) noexcept nogil:
    """Convolve as planned."""
    cdef Py_ssize_t p, tasks = conv.batches * conv.groups * conv.runs * conv.blocks
    cdef double work = 0
    pack_weights(conv)
    for p in range(conv.count):
        work += 0.01 * conv.n * conv.groups * conv.o * conv.parts[p].k * conv.parts[p].oh * conv.parts[p].ow
    if conv.count == 1 and conv.parts.k == 9 and is_plane(&conv.strips.phases.window, conv.c, conv.o):
        parallel_for(plane_task, conv, tasks, work)
    else:
        parallel_for(strips_task, conv, tasks, work)


def conv2d(object x, object w, object b, object y, object window, Py_ssize_t groups, bint relu):
    """Write y = x (N, C, H, W) convolved with w (O, C / groups, KH, KW), plus b (O,) unless it is None, and its relu."""
    cdef Sizes s = read_sizes(x.shape, w.shape, window, groups)
    cdef Conv conv
    conv.x = read(x)
    conv.weights = read(w)
    conv.bias = read(b)
    conv.least = <real> (0 if relu else -INFINITY)
    conv.y = write(y)
    if s.n * s.o * s.p == 0:
        return
    with nogil:
        plan_forward(&conv, &s)
        run(&conv)


def conv2d_input_grad(object dy, object w, object dx, object window, Py_ssize_t groups):
    """Write dx (N, C, H, W) from dy (N, O, OH, OW) and w (O, C / groups, KH, KW)."""
    cdef Sizes s = read_sizes(dx.shape, w.shape, window, groups)
    cdef Conv conv
    conv.x = read(dy)
    conv.weights = read(w)
    conv.bias, conv.least = NULL, <real> -INFINITY
    conv.y = write(dx)
    if s.n * s.c * s.h * s.w == 0:
        return
    with nogil:
        if s.o * s.p == 0:
            memset(conv.y, 0, sizeof(real) * s.n * s.groups * s.c * s.h * s.w)
        else:
            plan_input_grad(&conv, &s)
            run(&conv)


# ---- patches ----

cdef struct Patches:
    Window window
    Py_ssize_t planes, h, w     # n * c, and the size of the image
    double work                 # elements of the patches
    const real* x
    real* out


cdef Patches describe_patches(object shape, object window):
    """Collect the sizes of im2col and col2im."""
    cdef Patches p
    p.window = read_window(window)
    p.planes, p.h, p.w = shape[0] * shape[1], shape[2], shape[3]
    p.work = 1.0 * p.planes * p.window.kh * p.window.kw * p.window.oh * p.window.ow
    return p


cdef void unfold_task(void* args, Py_ssize_t index) noexcept nogil:
    """Copy the patches of one channel of one image."""
    cdef const Patches* p = <Patches*> args
    cdef const Window* w = &p.window
    cdef const real* image = p.x + index * p.h * p.w
    cdef real* out = p.out + index * w.kh * w.kw * w.oh * w.ow
    cdef Py_ssize_t tap, i, row
    for tap in range(w.kh * w.kw):
        for i in range(w.oh):
            row = i * w.sh - w.pt + tap // w.kw * w.dh
            if 0 <= row < p.h:
                gather_row(image + row * p.w, p.w, tap % w.kw * w.dw - w.pl, w.sw, w.ow, 0, out)
            else:
                memset(out, 0, w.ow * sizeof(real))
            out += w.ow


cdef void fold_task(void* args, Py_ssize_t index) noexcept nogil:
    """Add up the patches of one channel of one image."""
    cdef const Patches* p = <Patches*> args
    cdef const Window* w = &p.window
    cdef const real* patches = p.x + index * w.kh * w.kw * w.oh * w.ow
    cdef real* image = p.out + index * p.h * p.w
    cdef Py_ssize_t tap, i, row
    memset(image, 0, sizeof(real) * p.h * p.w)
    for tap in range(w.kh * w.kw):
        for i in range(w.oh):
            row = i * w.sh - w.pt + tap // w.kw * w.dh
            if 0 <= row < p.h:
                scatter_row(patches, w.ow, tap % w.kw * w.dw - w.pl, w.sw, image + row * p.w, p.w)
            patches += w.ow


def im2col(object x, object columns, object window):
    """Write columns (N, C * KH * KW, OH * OW): the patches of x (N, C, H, W)."""
    cdef Patches p = describe_patches(x.shape, window)
    p.x = read(x)
    p.out = write(columns)
    with nogil:
        parallel_for(unfold_task, &p, p.planes, p.work)


def col2im(object columns, object x, object window):
    """Write x (N, C, H, W): the sum of the patches in columns (N, C * KH * KW, OH * OW).  The adjoint of im2col."""
    cdef Patches p = describe_patches(x.shape, window)
    p.x = read(columns)
    p.out = write(x)
    with nogil:
        parallel_for(fold_task, &p, p.planes, p.work)
