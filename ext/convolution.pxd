# What the passes of convolution share: tiles of sums, sizes, and images in which kernel elements are constant shifts.
from libc.string cimport memset

from phases cimport Phases, load_phases, phases_of, phases_size, shift
from real cimport LANES, real
from window cimport Window, read_window

cdef extern from "conv.h":
    const int PANEL_VECS, WIDE_ROWS, DOT_SUMS, DOT_ROWS, DOT_TAPS
    int positions_tile(int rows, Py_ssize_t left, Py_ssize_t depth, const real* w, const real* x, const Py_ssize_t* offsets,
                       Py_ssize_t step, Py_ssize_t ahead, const real* bias, const real* sums, Py_ssize_t lds, real least,
                       real* y, Py_ssize_t ldy) noexcept nogil
    ctypedef struct plane:
        const real* x
        const real* top
        const real* bottom
        Py_ssize_t pitch
        bint framed
    void plane_3x3(Py_ssize_t rows, Py_ssize_t columns, const plane* p, const real* w, real bias, real least, real* y,
                   Py_ssize_t ldy) noexcept nogil
    void plane_products(Py_ssize_t rows, Py_ssize_t columns, const plane* p, const real* dy, Py_ssize_t ldy,
                        real* sums) noexcept nogil
    void outputs_tile(int rows, int vecs, Py_ssize_t depth, const real* x, const Py_ssize_t* offsets, Py_ssize_t step,
                      Py_ssize_t ahead, const real* w, real* y, bint accumulate, real least) noexcept nogil
    void taps_tile(int rows, int vecs, Py_ssize_t runs, const Py_ssize_t* starts, Py_ssize_t length, const real* x,
                   Py_ssize_t step, const Py_ssize_t* offsets, const real* dy, real* dw) noexcept nogil
    void dots(int rows, int taps, Py_ssize_t runs, Py_ssize_t length, const real* y, Py_ssize_t ldy, Py_ssize_t run_y,
              const real* x, Py_ssize_t run_x, const Py_ssize_t* offsets, real* sums) noexcept nogil
    void fetch_maps(Py_ssize_t maps, real* y, Py_ssize_t plane, Py_ssize_t vecs) noexcept nogil
    void interleave_rows(Py_ssize_t rows, Py_ssize_t evens, Py_ssize_t odds, const real* even, Py_ssize_t lde, const real* odd,
                         Py_ssize_t ldo, real* to, Py_ssize_t ldt) noexcept nogil
    void start_sums(Py_ssize_t positions, int vecs, Py_ssize_t outputs, const real* bias, real* sums) noexcept nogil
    void transpose(Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t padded, const real* source, Py_ssize_t ldf, real* to,
                   Py_ssize_t ldt) noexcept nogil
    void transpose_blocks(Py_ssize_t rows, Py_ssize_t columns, const real* source, Py_ssize_t ldf, real* to,
                          Py_ssize_t ldt) noexcept nogil

cdef enum:
    TASKS = 8                   # enough for the threads of a small machine, where a batch gives fewer
    CACHED = 320 << 10          # bytes of images that are worked on together: a part of L2

cdef struct Sizes:
    Window window
    Py_ssize_t n, c, h, w       # images; channels and size of one group's input
    Py_ssize_t o, groups        # output channels of one group
    Py_ssize_t taps, k, p       # kh * kw, c * taps, oh * ow


cdef inline Sizes read_sizes(object x_shape, object w_shape, object window, Py_ssize_t groups):
    """Collect the sizes of a convolution."""
    cdef Sizes s
    s.window = read_window(window)
    s.groups = groups
    s.n, s.c, s.h, s.w = x_shape
    s.c //= groups
    s.o = w_shape[0] // groups
    s.taps = s.window.kh * s.window.kw
    s.k = s.c * s.taps
    s.p = s.window.oh * s.window.ow
    return s


cdef inline bint is_plane(const Window* w, Py_ssize_t channels, Py_ssize_t outputs) noexcept nogil:
    """Return whether each output map is one input plane under one 3x3 kernel, with stride and dilation 1."""
    return channels == 1 and outputs == 1 and w.kh == 3 and w.kw == 3 and w.sh == 1 and w.sw == 1 and w.dh == 1 and w.dw == 1 \
        and w.ow >= LANES


cdef inline Py_ssize_t round_up(Py_ssize_t size, Py_ssize_t step) noexcept nogil:
    return (size + step - 1) // step * step


cdef struct Strips:             # images cut into strips of output rows, or several small ones taken together
    Phases phases               # of one strip of one image; those of stride 1 if its elements are read one by one
    bint in_place               # the image itself serves as its phases: no padding
    Py_ssize_t down, step       # distance of neighbouring outputs in the phases: rows, columns
    Py_ssize_t columns          # outputs of a row
    Py_ssize_t rows, count      # output rows of a strip; strips of an image
    Py_ssize_t images           # worked on together
    Py_ssize_t image            # elements between two of them


cdef inline Strips cut_strips(const Window* w, Py_ssize_t c, Py_ssize_t height, Py_ssize_t width, Py_ssize_t stride,
                              bint singly, bint may_stay, Py_ssize_t most_rows, Py_ssize_t most_images) noexcept nogil:
    """Choose how many output rows or images are worked on together; images are `stride` elements apart.

    If its elements are read singly, and not as vectors, an image that has few or none in vain is not sorted by phase.
    """
    cdef Strips s
    cdef Window read = w[0]
    cdef Py_ssize_t budget = CACHED // <Py_ssize_t> sizeof(real), most
    s.down = s.step = 1
    s.columns = w.ow
    singly = singly and w.kh >= w.sh and w.kw >= w.sw
    if singly:
        s.down, s.step = w.sh, w.sw
        read.sh = read.sw = 1
        read.ow = (w.ow - 1) * w.sw + 1
    s.phases = phases_of(&read, c, height, width, 1)
    most = max(<Py_ssize_t> 1, budget // max(<Py_ssize_t> 1, c * s.phases.high * s.phases.wide * s.phases.pitch)
               - s.phases.rows + 1)
    most = max(<Py_ssize_t> 1, min(min((most - 1) // s.down + 1, most_rows), w.oh))
    s.count = max(<Py_ssize_t> 1, (w.oh + most - 1) // most)
    s.rows = (w.oh + s.count - 1) // s.count
    s.phases = phases_of(&read, c, height, width, (s.rows - 1) * s.down + 1)
    s.images = 1
    s.image = phases_size(&s.phases)
    if s.count == 1 and s.image > 0:
        s.images = max(<Py_ssize_t> 1, min(2 * budget // s.image, most_images))
    s.in_place = may_stay and read.sh == 1 and read.sw == 1 and w.pt == 0 and w.pl == 0 \
        and (w.oh - 1) * w.sh + (w.kh - 1) * w.dh < height \
        and (s.phases.pitch <= width if singly else s.phases.pitch == width)
    if s.in_place:
        s.phases.rows, s.phases.pitch = height, width
        s.image = stride
    return s


cdef inline Py_ssize_t strips_size(const Strips* s) noexcept nogil:
    """Return how many elements the phases of the images worked on together take."""
    return 0 if s.in_place else s.images * s.image


cdef inline const real* load_strips(const Strips* s, const real* images, Py_ssize_t stride, Py_ssize_t count,
                                    Py_ssize_t first, real* phases) noexcept nogil:
    """Return what the strip that starts at output row `first` needs of `count` images, `stride` elements apart."""
    cdef Py_ssize_t n
    if s.in_place:
        return images + first * s.down * s.phases.pitch
    for n in range(count):
        load_phases(&s.phases, images + n * stride, first * s.down, 0, phases + n * s.image)
    return phases


cdef inline Py_ssize_t next_strip(const Strips* s, Py_ssize_t stride, Py_ssize_t strip) noexcept nogil:
    """Return how far behind strip number `strip` the next one lies, or 0 if it will be copied first."""
    cdef Py_ssize_t size = s.rows * s.down * s.phases.pitch
    if not s.in_place:
        return 0
    return size if strip + 1 < s.count else s.images * stride - strip * size


cdef inline plane load_plane(const Strips* s, const real* image, Py_ssize_t first, Py_ssize_t rows,
                             real* phases) noexcept nogil:
    """Return what `rows` output rows from `first` on need of an image under a 3x3 kernel, which stays where padding is 1."""
    cdef plane p
    cdef const Window* w = &s.phases.window
    p.framed = w.pt == 1 and w.pl == 1 and w.oh == s.phases.h and w.ow == s.phases.w
    p.pitch = w.ow if p.framed else s.phases.pitch
    if p.framed:
        p.x = image + first * p.pitch
        memset(phases, 0, sizeof(real) * w.ow)
    else:
        p.x = load_strips(s, image, 0, 1, first, phases) + p.pitch + 1
    p.top, p.bottom = p.x - p.pitch, p.x + rows * p.pitch
    if p.framed and first == 0:
        p.top = phases
    if p.framed and first + rows == w.oh:
        p.bottom = phases
    return p
