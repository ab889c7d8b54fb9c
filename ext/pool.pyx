"""Max and average pooling over windows of a plane, forward and backward."""
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcpy, memset
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE

from parallel cimport import_runtime, parallel_for, scratch_memory
from pooling cimport max_lines, pool_lines
from real cimport LANES, address, read, real, vec, vec_set, vec_store, write
from sums cimport RUN, row_sum
from window cimport Span, Window, gather_row, inside, read_window

import_runtime()

cdef extern from "pool.h":
    ctypedef struct spread_lines:
        const real* dy
        const uint8_t* offsets
        const real* scales
        int kh, kw
        Py_ssize_t lines, count, advance, width, scale_advance
        real* dx
        Py_ssize_t dy_room, dx_room
    void avg_lines(const pool_lines* lines) noexcept nogil
    void scatter(const real* dy, const uint8_t* offsets, Py_ssize_t lines, Py_ssize_t count,
                 const Py_ssize_t* places, Py_ssize_t advance, Py_ssize_t step, real* dx) noexcept nogil
    void spread(const spread_lines* lines) noexcept nogil
    vec image_sums(const real* x, Py_ssize_t size) noexcept nogil
    void prefetch(const real* source, Py_ssize_t n) noexcept nogil
    void prefetch_for_writing(const real* to, Py_ssize_t n) noexcept nogil
    void copy_over(const real* source, real* to, Py_ssize_t n) noexcept nogil
    void fill_over(real* to, real value, Py_ssize_t n) noexcept nogil
    void fill_exactly(real* to, real value, Py_ssize_t n) noexcept nogil
    void add_over(const real* a, const real* b, real* to, Py_ssize_t n) noexcept nogil
    void scale_exactly(const real* x, const real* scales, real* to, Py_ssize_t n) noexcept nogil
    void zip_exactly(const real* a, const real* b, real* to, Py_ssize_t n) noexcept nogil

cdef enum:
    TASK = 8192                 # elements of x that a task takes at least, if there are so many
    LARGE = 16                  # elements of windows that, if apart, are averaged one after the other

cdef struct Pool:
    Window window
    Py_ssize_t planes, h, w
    Py_ssize_t per_task         # planes
    Py_ssize_t planes_end       # of a task
    const real* x               # what is read: x, or dy
    real* y                     # what is written: y, or dx
    uint8_t* small              # offsets (u * kw + v) of the maxima, for windows of up to 256 elements
    int32_t* large              # the same for larger windows
    real* scales                # 1 / divisor of each average
    bint uniform                # these are all equal
    Py_ssize_t divisor          # of the average; 0: the number of elements averaged
    bint count_include_pad
    # Staged rows: image rows with their padding.
    bint maxima                 # what is pooled: maxima or averages
    Py_ssize_t span             # rows from a window's first to its last
    Py_ssize_t reads            # elements that a line of windows reads from each row, those it does not need included
    Py_ssize_t pieces, stride   # a row is staged in one piece, or as what each column of the windows meets
    Py_ssize_t count, distance  # elements of a piece, and from one piece to the next


cdef Pool describe(object image_shape, object window):
    """Collect the sizes of a pooling."""
    cdef Pool pool
    pool.window = read_window(window)
    pool.planes = image_shape[0] * image_shape[1]
    pool.h = image_shape[2]
    pool.w = image_shape[3]
    pool.small = NULL
    pool.large = NULL
    pool.scales = NULL
    pool.maxima = False
    pool.uniform = False
    pool.per_task = max(<Py_ssize_t> 1, TASK // max(<Py_ssize_t> 1, pool.h * pool.w))
    if pool.per_task > LANES:
        pool.per_task -= pool.per_task % LANES      # for vectors of planes
    return pool


cdef int take_offsets(Pool* pool, object offsets, int flags) except -1:
    """Point to the offsets, whose type follows from the window's size."""
    if pool.window.kh * pool.window.kw <= 256:
        pool.small = <uint8_t*> address(offsets, 1, flags)
    else:
        pool.large = <int32_t*> address(offsets, 4, flags)
    return 0


cdef void run_tasks(void (*task)(void*, Py_ssize_t) noexcept nogil, Pool* pool, double work) noexcept nogil:
    """Run a task for every `per_task` planes."""
    parallel_for(task, pool, (pool.planes + pool.per_task - 1) // pool.per_task, work)


cdef inline Span planes_of(const Pool* pool, Py_ssize_t task) noexcept nogil:
    """Return the planes of a task."""
    cdef Span span
    span.begin = task * pool.per_task
    span.end = min(pool.planes, span.begin + pool.per_task)
    return span


# ---- forward: lines of windows, over the rows of a plane or over staged ones ----

cdef inline Py_ssize_t with_room(Py_ssize_t size) noexcept nogil:
    """Return a size with room for vectors that reach beyond it, as a multiple of 16."""
    return (size + 2 * LANES + 15) // 16 * 16


cdef void plan(Pool* pool) noexcept nogil:
    """Decide how rows are read and staged."""
    cdef const Window* w = &pool.window
    cdef Py_ssize_t reach = (w.kw - 1) * w.dw, across = max(w.ow, <Py_ssize_t> LANES)
    pool.span = (w.kh - 1) * w.dh + 1
    if w.sw > 2:
        pool.pieces, pool.stride, pool.count, pool.reads = w.kw, w.sw, w.ow, across
    else:
        pool.pieces, pool.stride, pool.count = 1, 1, (w.ow - 1) * w.sw + reach + 1
        pool.reads = 2 * (across + reach // 2) if w.sw == 2 else across + reach
    pool.distance = with_room(max(pool.reads, pool.count))


cdef inline void stage_row(const Pool* pool, const real* plane, Py_ssize_t h, real* to) noexcept nogil:
    """Copy row h of a plane, with padding; writes beyond its end."""
    cdef const real* end = pool.x + pool.planes * pool.h * pool.w
    cdef const real* row = plane + h * pool.w
    cdef real padding = <real> -INFINITY if pool.maxima else 0
    cdef Py_ssize_t piece, first = -pool.window.pl, begin, stop
    if h < 0 or h >= pool.h:
        fill_over(to, padding, pool.pieces * pool.distance - LANES)
    elif pool.stride > 1:
        for piece in range(pool.pieces):
            gather_row(row, pool.w, first + piece * pool.window.dw, pool.stride, pool.count, padding, to)
            to += pool.distance
    else:
        prefetch(row, pool.w)
        begin = min(max(<Py_ssize_t> 0, -first), pool.count)
        stop = max(min(pool.count, pool.w - first), begin)
        fill_over(to, padding, begin)
        if end - row >= first + stop + LANES - 1:
            copy_over(row + first + begin, to + begin, stop - begin)
        else:
            memcpy(to + begin, row + first + begin, sizeof(real) * (stop - begin))
        fill_over(to + stop, padding, pool.count - stop)


cdef inline Py_ssize_t first_inside(Py_ssize_t first, Py_ssize_t step, Py_ssize_t count,
                                    Py_ssize_t size) noexcept nogil:
    """Return the first of `count` positions, `step` apart, that lies in [0, size); -1 if none does."""
    cdef Span span = inside(first, step, count, size)
    return span.begin if span.begin < span.end else -1


cdef void mend_offsets(const Pool* pool, Py_ssize_t at, Py_ssize_t count) noexcept nogil:
    """Let windows of nothing but -inf and padding point to their first element inside the image, or to 0."""
    cdef const Window* w = &pool.window
    cdef Py_ssize_t u, v, offset, q
    cdef bint found = False
    for q in range(at, at + count):
        found |= pool.y[q] == <real> -INFINITY
    if not found:
        return
    for q in range(at, at + count):
        if pool.y[q] == <real> -INFINITY:
            u = first_inside(q // w.ow % w.oh * w.sh - w.pt, w.dh, w.kh, pool.h)
            v = first_inside(q % w.ow * w.sw - w.pl, w.dw, w.kw, pool.w)
            offset = u * w.kw + v if u >= 0 and v >= 0 else 0
            if pool.small != NULL:
                pool.small[q] = <uint8_t> offset
            else:
                pool.large[q] = <int32_t> offset


cdef inline void pool_run(const Pool* pool, pool_lines* lines, Py_ssize_t plane, Span span, Py_ssize_t advance,
                          Py_ssize_t images) noexcept nogil:
    """Pool lines of windows of a plane, or of several if these are all their lines."""
    cdef const Window* w = &pool.window
    cdef Py_ssize_t at = (plane * w.oh + span.begin) * w.ow
    lines.lines, lines.advance = span.end - span.begin, advance
    lines.images, lines.image_advance = images, pool.h * pool.w
    lines.room = pool.planes_end * w.oh * w.ow - at
    lines.y = pool.y + at
    if pool.maxima:
        lines.small = pool.small + at if pool.small != NULL else NULL
        lines.large = pool.large + at
        max_lines(lines)
        if w.pt > 0 or w.pl > 0:
            mend_offsets(pool, at, images * lines.lines * w.ow)
    else:
        lines.scales = pool.scales + span.begin * lines.scale_advance
        avg_lines(lines)


cdef Span direct_lines(const Pool* pool, Py_ssize_t plane) noexcept nogil:
    """Return which lines of windows can read a plane itself: those without padding, not beyond the end of x."""
    cdef const Window* w = &pool.window
    cdef Py_ssize_t rest = (pool.planes - plane) * pool.h * pool.w - pool.reads
    cdef Py_ssize_t last = min(pool.h, rest // pool.w + 1 if rest >= 0 else 0) - pool.span + w.pt
    cdef Span span
    span.begin = span.end = 0
    if pool.stride == 1 and w.pl == 0 and pool.count <= pool.w and last >= 0:
        span.begin = min(w.oh, (w.pt + w.sh - 1) // w.sh)
        span.end = max(span.begin, min(w.oh, last // w.sh + 1))
    return span


cdef void staged_lines(const Pool* pool, pool_lines* lines, const real** rows, real* staged, Py_ssize_t plane,
                       Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Pool lines of windows, staging rows as they are needed."""
    cdef const Window* w = &pool.window
    cdef Py_ssize_t size = pool.pieces * pool.distance, h = 0, i, u      # rows of the padded image before h are staged
    cdef Span line
    lines.streamed = lines.doubled = False
    for i in range(begin, end):
        h = max(h, i * w.sh)
        while h < i * w.sh + pool.span:
            stage_row(pool, pool.x + plane * pool.h * pool.w, h - w.pt, staged + h % pool.span * size)
            h += 1
        for u in range(w.kh):
            rows[u] = staged + (i * w.sh + u * w.dh) % pool.span * size
        line.begin, line.end = i, i + 1
        pool_run(pool, lines, plane, line, 0, 1)


cdef void forward_task(void* args, Py_ssize_t task) noexcept nogil:
    """Pool planes line by line."""
    cdef Pool pool = (<Pool*> args)[0]
    cdef const Window* w = &pool.window
    cdef real* staged = <real*> scratch_memory(0, sizeof(real) * pool.span * pool.pieces * pool.distance)
    cdef const real** rows = <const real**> scratch_memory(1, (sizeof(real*) + sizeof(Py_ssize_t)) * (w.kh + w.kw))
    cdef Py_ssize_t* taps = <Py_ssize_t*> (rows + w.kh)
    cdef pool_lines lines
    cdef Span planes = planes_of(&pool, task), inner = direct_lines(&pool, 0), direct
    cdef Py_ssize_t plane = planes.begin, count, u, v
    cdef bint whole = inner.begin == 0 and inner.end == w.oh      # planes that need no staging are pooled together
    for v in range(w.kw):
        taps[v] = v * (pool.distance if pool.stride > 1 else w.dw)
    lines.rows, lines.taps, lines.count = rows, taps, w.ow
    lines.kh, lines.kw, lines.step, lines.dense = <int> w.kh, <int> w.kw, 2 if w.sw == 2 else 1, w.dw == 1
    lines.scales, lines.scale_advance = pool.scales, 0 if pool.uniform else w.ow
    pool.planes_end = planes.end
    while plane < planes.end:
        direct = inner
        count = min(planes.end, pool.planes - (pool.reads - 1) // (pool.h * pool.w) - 1) - plane
        if count < 1:                       # a window's row might reach beyond the end of x
            direct = direct_lines(&pool, plane)
        count = max(<Py_ssize_t> 1, count) if whole else 1
        staged_lines(&pool, &lines, rows, staged, plane, 0, direct.begin)
        for u in range(w.kh):
            rows[u] = pool.x + (plane * pool.h + direct.begin * w.sh - w.pt + u * w.dh) * pool.w
        lines.streamed, lines.doubled = True, w.sw == 2 and 2 * w.ow <= LANES
        pool_run(&pool, &lines, plane, direct, w.sh * pool.w, count)
        staged_lines(&pool, &lines, rows, staged, plane, direct.end, w.oh)
        plane += count


# ---- maxima ----

def max_pool2d(object x, object y, object offsets, object window):
    """Write the maxima y (N, C, OH, OW) of x and the offset u * KW + v of each inside its window."""
    cdef Pool pool = describe(x.shape, window)
    cdef const Window* w = &pool.window
    pool.x = read(x)
    pool.y = write(y)
    pool.maxima = True
    take_offsets(&pool, offsets, PyBUF_WRITABLE)
    with nogil:
        plan(&pool)
        run_tasks(forward_task, &pool, 0.1 * pool.planes * w.oh * w.ow * w.kh * w.kw)


cdef Py_ssize_t* find_places(const Pool* pool) noexcept nogil:
    """Tabulate how far the elements of a window lie from its first."""
    cdef const Window* w = &pool.window
    cdef Py_ssize_t* places = <Py_ssize_t*> scratch_memory(2, sizeof(Py_ssize_t) * w.kh * w.kw)
    cdef Py_ssize_t u, v
    for u in range(w.kh):
        for v in range(w.kw):
            places[u * w.kw + v] = u * w.dh * pool.w + v * w.dw
    return places


cdef inline Py_ssize_t position(const Pool* pool, Py_ssize_t plane, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """Return where in its plane the maximum of window (i, j) lies, h * W + w; -1 for a window outside the image."""
    cdef const Window* w = &pool.window
    cdef Py_ssize_t at = (plane * w.oh + i) * w.ow + j
    cdef Py_ssize_t offset = pool.small[at] if pool.small != NULL else pool.large[at]
    cdef Py_ssize_t row = i * w.sh - w.pt + offset // w.kw * w.dh
    cdef Py_ssize_t column = j * w.sw - w.pl + offset % w.kw * w.dw
    return row * pool.w + column if 0 <= row < pool.h and 0 <= column < pool.w else -1


cdef void scatter_task(void* args, Py_ssize_t task) noexcept nogil:
    """Add each element of dy to the place of its maximum."""
    cdef Pool* pool = <Pool*> args
    cdef const Window* w = &pool.window
    cdef const Py_ssize_t* places = find_places(pool)
    cdef Span planes = planes_of(pool, task)
    cdef Py_ssize_t plane, i, j, at, place
    # No window lies outside the image: none begins behind it, and one that begins in the padding reaches out of it.
    cdef bint covered = w.dh == 1 and w.dw == 1 and w.kh > w.pt and w.kw > w.pl and (w.oh - 1) * w.sh - w.pt < pool.h \
        and (w.ow - 1) * w.sw - w.pl < pool.w and pool.small != NULL
    cdef real* dx = pool.y + planes.begin * pool.h * pool.w
    memset(dx, 0, sizeof(real) * (planes.end - planes.begin) * pool.h * pool.w)
    for plane in range(planes.begin, planes.end):
        at = plane * w.oh * w.ow
        dx = pool.y + plane * pool.h * pool.w
        if covered:
            scatter(pool.x + at, pool.small + at, w.oh, w.ow, places, w.sh * pool.w, w.sw, dx - w.pt * pool.w - w.pl)
            continue
        for i in range(w.oh):
            for j in range(w.ow):
                place = position(pool, plane, i, j)
                if place >= 0:
                    dx[place] += pool.x[at + i * w.ow + j]


cdef void gather_task(void* args, Py_ssize_t task) noexcept nogil:
    """Read the place of each maximum: the adjoint of the scatter."""
    cdef Pool* pool = <Pool*> args
    cdef const Window* w = &pool.window
    cdef const Py_ssize_t* places = find_places(pool)
    cdef bint inside_all = pool.small != NULL and w.pt == 0 and w.pl == 0    # every window has its first element
    cdef Span planes = planes_of(pool, task)
    cdef Py_ssize_t plane, i, j, place, q
    cdef const real* x
    for plane in range(planes.begin, planes.end):
        for i in range(w.oh):
            x = pool.x + (plane * pool.h + i * w.sh) * pool.w
            q = (plane * w.oh + i) * w.ow
            if inside_all:
                for j in range(w.ow):
                    pool.y[q + j] = x[j * w.sw + places[pool.small[q + j]]]
            else:
                for j in range(w.ow):
                    place = position(pool, plane, i, j)
                    pool.y[q + j] = pool.x[plane * pool.h * pool.w + place] if place >= 0 else 0


def max_pool2d_grad(object dy, object offsets, object dx, object window):
    """Write dx (N, C, H, W): dy at the places of the maxima, zero elsewhere."""
    cdef Pool pool = describe(dx.shape, window)
    pool.x = read(dy)
    pool.y = write(dx)
    pool.maxima = True
    take_offsets(&pool, offsets, PyBUF_SIMPLE)
    with nogil:
        if spreads(&pool):
            run_spread(&pool)
        else:
            run_tasks(scatter_task, &pool, pool.planes * (0.1 * pool.h * pool.w + pool.window.oh * pool.window.ow))


def max_pool2d_gather(object x, object offsets, object y, object window):
    """Write y (N, C, OH, OW): the elements of x at the places of the maxima."""
    cdef Pool pool = describe(x.shape, window)
    pool.x = read(x)
    pool.y = write(y)
    take_offsets(&pool, offsets, PyBUF_SIMPLE)
    with nogil:
        run_tasks(gather_task, &pool, 1.0 * pool.planes * pool.window.oh * pool.window.ow)


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
    """Tabulate 1 / divisor of each window, readable for a vector before and behind."""
    cdef const Window* w = &pool.window
    cdef Py_ssize_t i, j, rows, columns, before = -1
    cdef real* scales = <real*> scratch_memory(3, sizeof(real) * (w.oh * w.ow + 2 * LANES)) + LANES
    pool.scales = scales
    for i in range(w.oh):
        rows = extent(i * w.sh - w.pt, w.dh, w.kh, w.pt, pool.h, w.pb, pool.count_include_pad)
        if rows == before:
            memcpy(scales, scales - w.ow, sizeof(real) * w.ow)
        else:
            for j in range(w.ow):
                columns = extent(j * w.sw - w.pl, w.dw, w.kw, w.pl, pool.w, w.pr, pool.count_include_pad)
                scales[j] = <real> 1 / (pool.divisor if pool.divisor != 0 else max(<Py_ssize_t> 1, rows * columns))
        before = rows
        scales += w.ow
    pool.uniform = True
    for i in range(w.oh * w.ow):
        pool.uniform &= pool.scales[i] == pool.scales[0]


cdef bint covers(const Pool* pool) noexcept nogil:
    """Tell whether the only window takes a whole plane, whose elements fill a vector and need no sums in double."""
    cdef const Window* w = &pool.window
    return w.oh == 1 and w.ow == 1 and w.dh == 1 and w.dw == 1 and w.kh - w.pt >= pool.h and w.kw - w.pl >= pool.w \
        and LANES <= pool.h * pool.w <= RUN


cdef void image_sums_task(void* args, Py_ssize_t task) noexcept nogil:
    """Average whole planes, LANES of them at a time."""
    cdef Pool* pool = <Pool*> args
    cdef Span planes = planes_of(pool, task)
    cdef Py_ssize_t plane = planes.begin, size = pool.h * pool.w
    cdef real scale = pool.scales[0]
    while planes.end - plane >= LANES:
        vec_store(pool.y + plane, image_sums(pool.x + plane * size, size) * vec_set(scale))
        plane += LANES
    while plane < planes.end:
        pool.y[plane] = <real> row_sum(pool.x + plane * size, size) * scale
        plane += 1


cdef void image_fill_task(void* args, Py_ssize_t task) noexcept nogil:
    """Spread each element of dy over its plane."""
    cdef Pool* pool = <Pool*> args
    cdef Span planes = planes_of(pool, task)
    cdef Py_ssize_t plane, size = pool.h * pool.w
    for plane in range(planes.begin, planes.end):
        fill_exactly(pool.y + plane * size, pool.x[plane] * pool.scales[0], size)


cdef void windows_task(void* args, Py_ssize_t task) noexcept nogil:
    """Average over windows one after the other: few large ones."""
    cdef Pool* pool = <Pool*> args
    cdef const Window* w = &pool.window
    cdef Span planes = planes_of(pool, task)
    cdef Py_ssize_t plane, i, j, h
    cdef Span rows, columns
    cdef double total
    for plane in range(planes.begin, planes.end):
        for i in range(w.oh):
            rows = inside(i * w.sh - w.pt, 1, w.kh, pool.h)
            for j in range(w.ow):
                columns = inside(j * w.sw - w.pl, 1, w.kw, pool.w)
                total = 0
                for h in range(i * w.sh - w.pt + rows.begin, i * w.sh - w.pt + rows.end):
                    total += row_sum(pool.x + (plane * pool.h + h) * pool.w + j * w.sw - w.pl + columns.begin,
                                     columns.end - columns.begin)
                pool.y[(plane * w.oh + i) * w.ow + j] = <real> (total * pool.scales[i * w.ow + j])


def avg_pool2d(object x, object y, object window, bint count_include_pad, Py_ssize_t divisor):
    """Write the averages y (N, C, OH, OW) of x; divisor 0 means the number of elements averaged."""
    cdef Pool pool = describe(x.shape, window)
    cdef const Window* w = &pool.window
    cdef bint apart = w.kh * w.kw > LARGE and w.kw <= w.sw and w.dh == 1 and w.dw == 1
    cdef double work = 0.05 * pool.planes * w.oh * w.ow * w.kh * w.kw
    pool.x = read(x)
    pool.y = write(y)
    pool.count_include_pad = count_include_pad
    pool.divisor = divisor
    with nogil:
        if not apart:
            plan(&pool)
        find_scales(&pool)
        if covers(&pool):
            run_tasks(image_sums_task, &pool, work)
        elif apart:
            run_tasks(windows_task, &pool, 4 * work)
        else:
            run_tasks(forward_task, &pool, work)


# ---- backward of averages: each row of dx from the rows of dy whose windows cover it ----

cdef struct Spreading:
    const Pool* pool
    Py_ssize_t left, pitch      # zeros before a row of dy, and distance of such rows
    Py_ssize_t wide             # elements of a row of dx with the same place modulo the stride
    real* dy                    # scaled rows of a plane, with zeros on both sides
    real* sum                   # of several such rows
    real* phases                # elements of a row of dx, sorted by phase
    Py_ssize_t* phase           # of each column of a window
    Py_ssize_t* shift           # element m of a phase finds the element of dy with that window column at m + shift


cdef Spreading spreading_of(const Pool* pool) noexcept nogil:
    """Tabulate which elements of dy reach a row of dx, and make room for them."""
    cdef const Window* w = &pool.window
    cdef Spreading s
    cdef Py_ssize_t v, column, size, right = 0
    s.pool = pool
    s.phase = <Py_ssize_t*> scratch_memory(1, 2 * sizeof(Py_ssize_t) * w.kw)
    s.shift = s.phase + w.kw
    s.left = 0
    s.wide = (pool.w + w.sw - 1) // w.sw
    for v in range(w.kw):
        column = v * w.dw - w.pl
        s.phase[v] = (column % w.sw + w.sw) % w.sw
        s.shift[v] = (s.phase[v] - column) // w.sw
        s.left = max(s.left, -s.shift[v])
        right = max(right, s.shift[v])
    s.pitch = with_room(s.left + max(w.ow, s.wide + right))
    size = s.pitch * (w.oh + 2 + w.sw)
    s.dy = <real*> scratch_memory(0, sizeof(real) * size)
    memset(s.dy, 0, sizeof(real) * size)
    s.sum = s.dy + s.pitch * w.oh
    s.phases = s.sum + s.pitch
    return s


cdef void spread_row(const Spreading* s, const real* row, real* dx) noexcept nogil:
    """Write a row of dx, given the sum of the rows of dy that reach it."""
    cdef const Window* w = &s.pool.window
    cdef const real** sources = <const real**> scratch_memory(2, sizeof(real*) * w.sw)
    cdef const real* source
    cdef const real* zeros = s.phases + w.sw * s.pitch
    cdef Py_ssize_t v, b, m
    for b in range(w.sw):
        sources[b] = zeros
    for v in range(w.kw):
        source = row + s.left + s.shift[v]
        b = s.phase[v]
        if sources[b] == zeros:
            sources[b] = source
        else:
            add_over(sources[b], source, s.phases + b * s.pitch, s.wide)
            sources[b] = s.phases + b * s.pitch
    if w.sw == 1:
        memcpy(dx, sources[0], sizeof(real) * s.wide)
    elif w.sw == 2:
        zip_exactly(sources[0], sources[1], dx, s.pool.w)
    else:
        for b in range(min(w.sw, s.pool.w)):
            for m in range((s.pool.w - b + w.sw - 1) // w.sw):
                dx[m * w.sw + b] = sources[b][m]


cdef const real* sum_of_rows(const Spreading* s, Py_ssize_t h, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Return the sum of those rows first ... last of dy whose windows have elements in row h of the padded image."""
    cdef const Window* w = &s.pool.window
    cdef const real* total = NULL
    cdef Py_ssize_t i
    for i in range(first, last + 1):
        if (h - i * w.sh) % w.dh == 0:
            if total == NULL:
                total = s.dy + i * s.pitch
            else:
                add_over(total, s.dy + i * s.pitch, s.sum, s.pitch)
                total = s.sum
    return total


cdef void avg_backward_task(void* args, Py_ssize_t task) noexcept nogil:
    """Spread each element of dy over its window: the adjoint of the average."""
    cdef Pool* pool = <Pool*> args
    cdef const Window* w = &pool.window
    cdef Spreading s = spreading_of(pool)
    cdef Span planes = planes_of(pool, task)
    cdef Py_ssize_t plane, i, h, first, last, before, reach = (w.kh - 1) * w.dh
    cdef const real* row
    cdef real* dx
    for plane in range(planes.begin, planes.end):
        for i in range(w.oh):
            scale_exactly(pool.x + (plane * w.oh + i) * w.ow, pool.scales + i * w.ow, s.dy + i * s.pitch + s.left, w.ow)
        before = -1
        for h in range(w.pt, w.pt + pool.h):
            dx = pool.y + (plane * pool.h + h - w.pt) * pool.w
            prefetch_for_writing(dx, pool.w)
            first = max(<Py_ssize_t> 0, (h - reach + w.sh - 1) // w.sh) if h > reach else 0
            last = min(w.oh - 1, h // w.sh)
            if w.dh == 1 and first == last == before:       # the same window rows as the row before
                memcpy(dx, dx - pool.w, sizeof(real) * pool.w)
                continue
            before = last if first == last else -1
            row = sum_of_rows(&s, h, first, last)
            if row != NULL:
                spread_row(&s, row, dx)
            else:
                memset(dx, 0, sizeof(real) * pool.w)


def avg_pool2d_grad(object dy, object dx, object window, bint count_include_pad, Py_ssize_t divisor):
    """Write dx (N, C, H, W) from dy (N, C, OH, OW)."""
    cdef Pool pool = describe(dx.shape, window)
    cdef double work = 0.1 * pool.planes * pool.h * pool.w
    pool.x = read(dy)
    pool.y = write(dx)
    pool.count_include_pad = count_include_pad
    pool.divisor = divisor
    with nogil:
        if spreads(&pool):
            run_spread(&pool)
        else:
            find_scales(&pool)
            run_tasks(image_fill_task if covers(&pool) else avg_backward_task, &pool, work)


# ---- backward of pairs: windows that do not overlap, 2 columns apart ----

cdef bint spreads(const Pool* pool) noexcept nogil:
    """Tell whether all elements of a window belong to it alone and lie inside the image, in pairs of columns."""
    cdef const Window* w = &pool.window
    return w.sw == 2 and w.kw <= 2 and w.kh <= w.sh and w.kh * w.kw <= 256 and w.dh == 1 and w.dw == 1 \
        and w.pt == 0 and w.pl == 0 and 2 * w.ow <= pool.w and (w.oh - 1) * w.sh + w.kh <= pool.h


cdef void spread_task(void* args, Py_ssize_t task) noexcept nogil:
    """Spread the elements of dy over windows, line by line."""
    cdef Pool* pool = <Pool*> args
    cdef const Window* w = &pool.window
    cdef Span planes = planes_of(pool, task)
    cdef Py_ssize_t plane, h, size = w.oh * w.ow
    # Planes whose lines follow each other at one distance are treated as one.
    cdef Py_ssize_t count = 1
    cdef spread_lines s
    if w.oh * w.sh == pool.h and w.kh == w.sh and (pool.maxima or pool.uniform):
        count = planes.end - planes.begin
    s.offsets = NULL
    s.scales, s.scale_advance = pool.scales, 0 if pool.uniform else w.ow
    s.kh, s.kw = <int> w.kh, <int> w.kw
    s.lines, s.count, s.advance, s.width = count * w.oh, w.ow, w.sh * pool.w, pool.w
    plane = planes.begin
    while plane < planes.end:
        s.dy = pool.x + plane * size
        if pool.maxima:
            s.offsets = pool.small + plane * size
        s.dx = pool.y + plane * pool.h * pool.w
        s.dy_room = (pool.planes - plane) * size
        s.dx_room = (planes.end - plane) * pool.h * pool.w
        spread(&s)
        if count == 1:
            for h in range(pool.h):         # rows between and below the windows
                if h >= w.oh * w.sh or h % w.sh >= w.kh:
                    memset(s.dx + h * pool.w, 0, sizeof(real) * pool.w)
        plane += count


cdef void run_spread(Pool* pool) noexcept nogil:
    if not pool.maxima:
        find_scales(pool)
    run_tasks(spread_task, pool, 0.1 * pool.planes * pool.h * pool.w)
