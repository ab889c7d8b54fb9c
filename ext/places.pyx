"""Elements at places that integers name: read, combined, added up with weights; where extremes are; loops: places.h."""
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE
from libc.stdint cimport int32_t, int64_t

from parallel cimport import_runtime, parallel_for
from real cimport address, read, real, write

import_runtime()

cdef extern from "places.h":
    ctypedef struct places:
        const real* source "from"
        real* to
        const int64_t* index
        Py_ssize_t p, a, b, k, shared
        bint wide
    ctypedef struct sampling:
        const real* x
        const real* w
        const real* dy
        real* y
        const int32_t* index
        Py_ssize_t c, a, b, taps
    bint within(const int64_t* index, Py_ssize_t count, Py_ssize_t rows) noexcept nogil
    void gather_part(const places* m, Py_ssize_t p, Py_ssize_t first, Py_ssize_t end) noexcept nogil
    void scatter_part(int op, const places* m, Py_ssize_t p, Py_ssize_t first, Py_ssize_t end) noexcept nogil
    const int COLUMNS
    ctypedef struct locating:
        const real* x
        int64_t* at
        const int64_t* starts
        const int64_t* counts
        Py_ssize_t p, a, b, k
        real sign
    void locate_part(const locating* s, Py_ssize_t p, Py_ssize_t b, Py_ssize_t first) noexcept nogil
    void sample_channel(const sampling* s, Py_ssize_t n, Py_ssize_t c) noexcept nogil
    void sample_input_channel(const sampling* s, Py_ssize_t n, Py_ssize_t c) noexcept nogil
    void sample_weight_tap(const sampling* s, Py_ssize_t n, Py_ssize_t j) noexcept nogil

cdef enum:
    CHUNK = 8192        # elements of a task, about
    LINE = 16           # columns at least, so that threads do not share cache lines

ctypedef void (*channel_task)(void* args, Py_ssize_t task) noexcept nogil

cdef struct Task:
    places places
    int op
    Py_ssize_t part, parts      # rows (gather) or columns (scatter) of a task, and how many tasks an array has


# ---- gather and scatter ----

cdef int set_up(Task* t, object index, tuple layout) except -1:
    """Describe the places; return whether all of them exist."""
    cdef places* m = &t.places
    m.p, m.a, m.b, m.k, m.shared, m.wide = layout
    m.index = <const int64_t*> address(index, sizeof(int64_t), PyBUF_SIMPLE)
    return within(m.index, index.size, m.a)


cdef void cut(Task* t, Py_ssize_t size, Py_ssize_t part) noexcept:
    """Cut an array's rows or columns into parts."""
    t.part = part
    t.parts = (size + t.part - 1) // t.part


cdef void gather_task(void* args, Py_ssize_t task) noexcept nogil:
    cdef const Task* t = <const Task*> args
    cdef Py_ssize_t first = task % t.parts * t.part
    gather_part(&t.places, task // t.parts, first, min(t.places.b, first + t.part))


def gather(object x, object index, object y, tuple layout):
    """Write y (P, B, K) from x (P, A, K), layout being (P, A, B, K, shared, wide); return False if a place does not exist."""
    cdef Task t
    if not set_up(&t, index, layout):
        return False
    t.places.source, t.places.to = read(x), write(y)
    cut(&t, t.places.b, max(<Py_ssize_t> 1, CHUNK // max(<Py_ssize_t> 1, t.places.k)))
    with nogil:
        parallel_for(gather_task, &t, t.places.p * t.parts, 1.0 * t.places.p * t.places.b * t.places.k)
    return True


cdef void scatter_task(void* args, Py_ssize_t task) noexcept nogil:
    cdef const Task* t = <const Task*> args
    cdef Py_ssize_t first = task % t.parts * t.part
    scatter_part(t.op, &t.places, task // t.parts, first, min(t.places.k, first + t.part))


def scatter(int op, object x, object index, object y, tuple layout):
    """Combine x (P, B, K) with y (P, A, K), op being 0 to 4: + = * max min; return False if a place does not exist."""
    cdef Task t
    t.op = op
    if not set_up(&t, index, layout):
        return False
    t.places.source, t.places.to = read(x), write(y)
    cut(&t, t.places.k, max(<Py_ssize_t> LINE, CHUNK // max(<Py_ssize_t> 1, t.places.b)))
    with nogil:
        parallel_for(scatter_task, &t, t.places.p * t.parts, 1.5 * t.places.p * t.places.b * t.places.k)
    return True


# ---- weighted sums: x (N, C, A), y (N, C, B), index (int32) and w (N, J, B); sizes is (N, C, A, B, J) ----

cdef void sample_task(void* args, Py_ssize_t task) noexcept nogil:
    cdef const sampling* s = <const sampling*> args
    sample_channel(s, task // s.c, task % s.c)


cdef void sample_input_task(void* args, Py_ssize_t task) noexcept nogil:
    cdef const sampling* s = <const sampling*> args
    sample_input_channel(s, task // s.c, task % s.c)


cdef void sample_weight_task(void* args, Py_ssize_t task) noexcept nogil:
    cdef const sampling* s = <const sampling*> args
    sample_weight_tap(s, task // s.taps, task % s.taps)


cdef int run(channel_task task, Py_ssize_t tasks, sampling* s, object index, tuple sizes) except -1:
    """Run so many tasks for each of N."""
    cdef Py_ssize_t n
    n, s.c, s.a, s.b, s.taps = sizes
    s.index = <const int32_t*> address(index, sizeof(int32_t), PyBUF_SIMPLE)
    with nogil:
        parallel_for(task, s, n * tasks, 1.0 * n * s.c * s.b * s.taps)
    return 0


def sample(object x, object index, object w, object y, tuple sizes):
    """Write y[n, c, b] = sum over j of w[n, j, b] * x[n, c, index[n, j, b]]."""
    cdef sampling s
    s.x, s.w, s.dy, s.y = read(x), read(w), NULL, write(y)
    run(sample_task, sizes[1], &s, index, sizes)


def sample_input_grad(object dy, object index, object w, object dx, tuple sizes):
    """Write dx, the adjoint of sample in x."""
    cdef sampling s
    s.x, s.w, s.dy, s.y = NULL, read(w), read(dy), write(dx)
    run(sample_input_task, sizes[1], &s, index, sizes)


def sample_weight_grad(object dy, object x, object index, object dw, tuple sizes):
    """Write dw, the adjoint of sample in w."""
    cdef sampling s
    s.x, s.w, s.dy, s.y = read(x), NULL, read(dy), write(dw)
    run(sample_weight_task, sizes[4], &s, index, sizes)


# ---- places of extremes ----

cdef void locate_task(void* args, Py_ssize_t task) noexcept nogil:
    """Locate the extremes of all parts, in one block of columns."""
    cdef const locating* s = <const locating*> args
    cdef Py_ssize_t blocks = (s.k + COLUMNS - 1) // COLUMNS, b
    for b in range(s.b):
        locate_part(s, task // blocks, b, task % blocks * COLUMNS)


def locate(object x, object starts, object counts, object at, tuple sizes, bint least):
    """Write at (P, B, K): the rows of the maxima, or minima, of parts of x (P, A, K); sizes is (P, A, B, K), no part empty."""
    cdef locating s
    s.p, s.a, s.b, s.k = sizes
    s.x, s.sign = read(x), -1 if least else 1
    s.at = <int64_t*> address(at, sizeof(int64_t), PyBUF_WRITABLE)
    s.starts = <const int64_t*> address(starts, sizeof(int64_t), PyBUF_SIMPLE)
    s.counts = <const int64_t*> address(counts, sizeof(int64_t), PyBUF_SIMPLE)
    with nogil:
        parallel_for(locate_task, &s, s.p * ((s.k + COLUMNS - 1) // COLUMNS), 1.0 * s.p * s.a * s.k)
