"""Softmax, log-softmax and cross-entropy along the middle axis of (outer, D, inner), inner elements side by side.

With inner > 1 the lanes of a vector are columns.  Else rows go through one pass after the other, several rows each time: the
sums of one row then need not wait for those of another.
"""
from libc.math cimport INFINITY
from libc.stdint cimport int64_t
from libc.string cimport memset
from cpython.buffer cimport PyBUF_SIMPLE

from parallel cimport import_runtime, parallel_for, scratch_memory
from real cimport LANES, address, read, real, vec, vec_load, vec_set, vec_store, write
from sums cimport RUN, row_sum, rows_dot
from vexp cimport load, store, vec_exp, vec_load_part, vec_log, vec_max, vec_store_part, vec_sum, vec_top

import_runtime()

cdef enum:
    CHUNK = 4096        # elements of a task, about
    ROWS = 64           # of a task, at most
    RUN_DOWN = 64       # elements of a column added up before they go to the total

cdef struct Softmax:
    const real* x       # or dy
    const real* given   # the result y, for gradients; else NULL
    real* y             # or dx
    Py_ssize_t outer, d, inner
    bint log
    Py_ssize_t groups   # rows, or groups of LANES columns
    Py_ssize_t together     # groups of a task
    const int64_t* target   # of cross-entropy; else NULL
    int64_t ignore_index
    real* losses


# ---- columns side by side ----


cdef void forward_columns(const real* x, real* y, Py_ssize_t step, Py_ssize_t d, Py_ssize_t columns,
                          bint log) noexcept nogil:
    """Compute (log-)softmax down at most LANES columns."""
    cdef vec top = vec_set(<real> -INFINITY), total = vec_set(0), run, e
    cdef Py_ssize_t k, stop
    for k in range(d):
        top = vec_max(load(x + k * step, columns), top)
    k = 0
    while k < d:
        stop = min(d, k + RUN_DOWN)
        run = vec_set(0)
        while k < stop:
            e = vec_exp(load(x + k * step, columns) - top)
            run = run + e
            if not log:
                store(y + k * step, e, columns)
            k += 1
        total = total + run
    total = vec_log(total) if log else vec_set(1) / total
    for k in range(d):
        if log:
            store(y + k * step, load(x + k * step, columns) - top - total, columns)
        else:
            store(y + k * step, load(y + k * step, columns) * total, columns)


cdef void backward_columns(const real* dy, const real* y, real* dx, Py_ssize_t step, Py_ssize_t d, Py_ssize_t columns,
                           bint log) noexcept nogil:
    """Compute y * (dy - sum(dy * y)), or dy - exp(y) * sum(dy), down at most LANES columns."""
    cdef vec total = vec_set(0), run, one
    cdef Py_ssize_t k = 0, stop
    while k < d:
        stop = min(d, k + RUN_DOWN)
        run = vec_set(0)
        while k < stop:
            one = load(dy + k * step, columns)
            run = run + (one if log else one * load(y + k * step, columns))
            k += 1
        total = total + run
    for k in range(d):
        one = load(y + k * step, columns)
        if log:
            store(dx + k * step, load(dy + k * step, columns) - vec_exp(one) * total, columns)
        else:
            store(dx + k * step, one * (load(dy + k * step, columns) - total), columns)


cdef void columns_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute some groups of columns."""
    cdef const Softmax* s = <const Softmax*> args
    cdef Py_ssize_t across = (s.inner + LANES - 1) // LANES, group, first, j
    for group in range(index * s.together, min(s.groups, (index + 1) * s.together)):
        j = group % across * LANES
        first = group // across * s.d * s.inner + j
        if s.given == NULL:
            forward_columns(s.x + first, s.y + first, s.inner, s.d, s.inner - j, s.log)
        else:
            backward_columns(s.x + first, s.given + first, s.y + first, s.inner, s.d, s.inner - j, s.log)


# ---- rows ----


cdef inline real row_max(const real* x, Py_ssize_t n) noexcept nogil:
    """Return the maximum of a row, NaN aside."""
    cdef vec a = vec_set(<real> -INFINITY), b = a, c = a, d = a
    cdef Py_ssize_t i = 0
    while n - i >= 4 * LANES:
        a = vec_max(vec_load(x + i), a)
        b = vec_max(vec_load(x + i + LANES), b)
        c = vec_max(vec_load(x + i + 2 * LANES), c)
        d = vec_max(vec_load(x + i + 3 * LANES), d)
        i += 4 * LANES
    while n - i >= LANES:
        a = vec_max(vec_load(x + i), a)
        i += LANES
    if i < n:
        b = vec_max(vec_load_part(x + i, n - i, <real> -INFINITY), b)
    return vec_top(vec_max(vec_max(a, b), vec_max(c, d)))


cdef inline real row_exp(const real* x, real top, Py_ssize_t n, real* y, bint keep) noexcept nogil:
    """Return the sum of exp(x - top) over a row, and write these exponentials to y if asked to."""
    cdef vec shift = vec_set(top), run, e
    cdef Py_ssize_t i = 0, stop
    cdef double total = 0
    while i < n:
        stop = min(n, i + RUN)
        run = vec_set(0)
        while stop - i >= LANES:
            e = vec_exp(vec_load(x + i) - shift)
            run = run + e
            if keep:
                vec_store(y + i, e)
            i += LANES
        if i < stop:
            e = vec_exp(vec_load_part(x + i, stop - i, <real> -INFINITY) - shift)
            run = run + e
            if keep:
                vec_store_part(y + i, e, stop - i)
            i = stop
        total += vec_sum(run)
    return <real> total


cdef inline void set_loss(const Softmax* s, Py_ssize_t row, real top, real log_total) noexcept nogil:
    """Set -log_softmax at the target, or 0."""
    cdef int64_t target = s.target[row]
    s.losses[row] = 0 if target == s.ignore_index else log_total - (s.x[row * s.d + target] - top)


cdef inline void row_shift(const real* x, real first, real second, Py_ssize_t n, real* y) noexcept nogil:
    """Write y = x - first - second."""
    cdef vec a = vec_set(first), b = vec_set(second)
    cdef Py_ssize_t i = 0
    while i < n:
        store(y + i, load(x + i, n - i) - a - b, n - i)
        i += LANES


cdef inline void row_scale(const real* x, real scale, Py_ssize_t n, real* y) noexcept nogil:
    """Write y = x * scale."""
    cdef vec a = vec_set(scale)
    cdef Py_ssize_t i = 0
    while i < n:
        store(y + i, load(x + i, n - i) * a, n - i)
        i += LANES


cdef void forward_rows(const Softmax* s, Py_ssize_t first, Py_ssize_t rows) noexcept nogil:
    """Compute (log-)softmax of some rows, and the losses if there are targets."""
    cdef const real* x = s.x + first * s.d
    cdef real* y = s.y + first * s.d
    cdef real top[ROWS]
    cdef real total[ROWS]
    cdef real log_total[ROWS]
    cdef Py_ssize_t d = s.d, r
    for r in range(rows):
        top[r] = row_max(x + r * d, d)
    for r in range(rows):
        total[r] = row_exp(x + r * d, top[r], d, y + r * d, not s.log)
    if s.log or s.target != NULL:
        r = 0
        while r < rows:
            store(log_total + r, vec_log(load(total + r, rows - r)), rows - r)
            r += LANES
    for r in range(rows):
        if s.log:
            row_shift(x + r * d, top[r], log_total[r], d, y + r * d)
        else:
            row_scale(y + r * d, 1 / total[r], d, y + r * d)
    if s.target != NULL:
        for r in range(rows):
            set_loss(s, first + r, top[r], log_total[r])


cdef inline void row_grad(const real* dy, const real* y, real total, Py_ssize_t n, bint log, real* dx) noexcept nogil:
    """Write dx = y * (dy - total), or dy - exp(y) * total."""
    cdef vec sum = vec_set(total), a, b
    cdef Py_ssize_t i = 0
    while i < n:
        a = load(dy + i, n - i)
        b = load(y + i, n - i)
        store(dx + i, a - vec_exp(b) * sum if log else b * (a - sum), n - i)
        i += LANES


cdef void backward_rows(const Softmax* s, Py_ssize_t first, Py_ssize_t rows) noexcept nogil:
    """Compute y * (dy - sum(dy * y)), or dy - exp(y) * sum(dy), for some rows."""
    cdef const real* dy = s.x + first * s.d
    cdef const real* y = s.given + first * s.d
    cdef real total[ROWS]
    cdef Py_ssize_t d = s.d, r
    for r in range(rows):
        total[r] = <real> (row_sum(dy + r * d, d) if s.log else rows_dot(y + r * d, dy + r * d, 0, 1, d, d))
    for r in range(rows):
        row_grad(dy + r * d, y + r * d, total[r], d, s.log, s.y + (first + r) * d)


cdef void rows_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute some rows."""
    cdef const Softmax* s = <const Softmax*> args
    cdef Py_ssize_t first = index * s.together, rows = min(s.groups - first, s.together)
    if s.given == NULL:
        forward_rows(s, first, rows)
    else:
        backward_rows(s, first, rows)


cdef void run(Softmax* s) noexcept nogil:
    """Cut the work into tasks and do it."""
    cdef double work = 0.5 * s.outer * s.d * s.inner
    if s.inner > 1:
        s.groups = s.outer * ((s.inner + LANES - 1) // LANES)
        s.together = max(1, CHUNK // (max(1, s.d) * LANES))
        parallel_for(columns_task, s, (s.groups + s.together - 1) // s.together, work)
    else:
        s.groups = s.outer
        s.together = max(1, min(<Py_ssize_t> ROWS, CHUNK // max(1, s.d)))
        parallel_for(rows_task, s, (s.groups + s.together - 1) // s.together, work)


def softmax(object x, object y, Py_ssize_t outer, Py_ssize_t d, Py_ssize_t inner, bint log):
    """Write the (log-)softmax y of x."""
    cdef Softmax s
    s.x = read(x)
    s.given = NULL
    s.target = NULL
    s.y = write(y)
    s.outer, s.d, s.inner, s.log = outer, d, inner, log
    with nogil:
        run(&s)


def softmax_grad(object dy, object y, object dx, Py_ssize_t outer, Py_ssize_t d, Py_ssize_t inner, bint log):
    """Write dx from dy and the (log-)softmax y."""
    cdef Softmax s
    s.x = read(dy)
    s.given = read(y)
    s.target = NULL
    s.y = write(dx)
    s.outer, s.d, s.inner, s.log = outer, d, inner, log
    with nogil:
        run(&s)


# ---- cross-entropy ----


cdef inline Py_ssize_t counted(const int64_t* target, Py_ssize_t n, int64_t ignore_index) noexcept nogil:
    """Return how many targets are not ignored."""
    cdef Py_ssize_t i, count = 0
    for i in range(n):
        count += target[i] != ignore_index
    return count


def cross_entropy(object x, object target, object loss, object y, int64_t ignore_index, str reduction) -> bool:
    """Write softmax y (N, C) and the loss, (N,) or their mean or sum; return whether all targets are classes (or ignored)."""
    cdef Softmax s
    cdef real* result = write(loss)
    cdef bint every = reduction == "none", mean = reduction == "mean"
    cdef double total = 0
    cdef Py_ssize_t n
    cdef bint valid = True
    s.x = read(x)
    s.given = NULL
    s.y = write(y)
    s.outer, s.d = x.shape
    s.inner, s.log = 1, False
    s.target = <const int64_t*> address(target, 8, PyBUF_SIMPLE)
    s.ignore_index = ignore_index
    with nogil:
        for n in range(s.outer):
            valid = valid and (s.target[n] == ignore_index or 0 <= s.target[n] < s.d)
    if not valid:
        return False
    with nogil:
        s.losses = result if every else <real*> scratch_memory(2, sizeof(real) * s.outer)
        run(&s)
        if not every:
            for n in range(s.outer):
                total += s.losses[n]
            result[0] = <real> (total / <double> counted(s.target, s.outer, ignore_index) if mean else total)
    return True


cdef struct LossGrad:
    const real* y
    const real* dy
    const int64_t* target
    real* dx
    Py_ssize_t n, c, rows   # rows of a task
    int64_t ignore_index
    bint every              # whether dy has one element for each row
    real share              # of each row, if it has not


cdef void loss_grad_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute dy * (softmax - one_hot) for some rows."""
    cdef const LossGrad* g = <const LossGrad*> args
    cdef Py_ssize_t n, j
    cdef real scale
    cdef const real* y
    cdef real* dx
    for n in range(index * g.rows, min(g.n, (index + 1) * g.rows)):
        y = g.y + n * g.c
        dx = g.dx + n * g.c
        if g.target[n] == g.ignore_index:
            memset(dx, 0, sizeof(real) * g.c)
            continue
        scale = g.dy[n] if g.every else g.share
        for j in range(g.c):
            dx[j] = scale * y[j]
        dx[g.target[n]] = scale * (y[g.target[n]] - 1)


def cross_entropy_grad(object dy, object y, object target, object dx, int64_t ignore_index, str reduction):
    """Write dx (N, C) = dy * (y - one_hot(target)), zero where ignored; y is the softmax."""
    cdef LossGrad g
    g.dy = read(dy)
    g.y = read(y)
    g.dx = write(dx)
    g.target = <const int64_t*> address(target, 8, PyBUF_SIMPLE)
    g.n, g.c = y.shape
    g.ignore_index = ignore_index
    g.every = reduction == "none"
    g.rows = max(1, CHUNK // max(1, g.c))
    g.share = 0
    if not g.every:
        g.share = g.dy[0]
        if reduction == "mean":
            g.share = <real> (g.share / <double> counted(g.target, g.n, ignore_index))
    with nogil:
        parallel_for(loss_grad_task, &g, (g.n + g.rows - 1) // g.rows, 0.2 * g.n * g.c)
