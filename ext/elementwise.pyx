"""Elementwise functions of contiguous arrays of one shape, or of two that broadcast; the loops are in elementwise.h."""
from cpython.buffer cimport PyBUF_SIMPLE

from parallel cimport import_runtime, parallel_for
from real cimport address, read, real, write

import_runtime()

cdef extern from "elementwise.h":
    const int OUTER
    ctypedef struct map:
        const real* a
        const real* b
        const unsigned char* condition
        real* y
        real number
        Py_ssize_t size
    ctypedef struct broadcast_operands "broadcast":
        const real* a
        const real* b
        real* y
        Py_ssize_t* sizes
        Py_ssize_t* a_strides
        Py_ssize_t* b_strides
        Py_ssize_t count, a_step, b_step
    ctypedef void (*map_loop)(const map* m, Py_ssize_t first, Py_ssize_t end) noexcept nogil
    const map_loop hardswish_map, hardswish_grad_map, relu6_map, relu6_grad_map, silu_map, silu_grad_map
    const map_loop abs_map, cube_map, erf_map, exp_map, expm1_map, leaky_relu_map, leaky_relu_grad_map, log_map, log1p_map
    const map_loop reciprocal_map, rsqrt_map, sigmoid_map, sigmoid_grad_map, sign_map, sqrt_map
    const map_loop tanh_grad_map, where_map, where_else_number_map, where_number_map
    void broadcast_rows(int op, const broadcast_operands* m, Py_ssize_t first, Py_ssize_t to, Py_ssize_t begin,
                        Py_ssize_t end) noexcept nogil

cdef enum:
    CHUNK = 16384       # elements of a task, about

cdef struct Mapping:
    map operands
    map_loop loop

cdef struct Broadcasting:
    broadcast_operands operands
    int op
    Py_ssize_t rows, together, pieces       # rows of a task, or pieces of a row


# ---- functions of arrays of one shape ----

cdef void map_task(void* args, Py_ssize_t index) noexcept nogil:
    cdef const Mapping* m = <const Mapping*> args
    m.loop(&m.operands, index * CHUNK, min(m.operands.size, (index + 1) * CHUNK))


cdef int run(map_loop loop, object a, object b, object y, double nanoseconds, double number=0,
             object condition=None) except -1:
    """Run a loop over all elements; `nanoseconds` is its cost for one."""
    cdef Mapping m
    m.loop = loop
    m.operands.a = read(a)
    m.operands.b = read(b)
    m.operands.condition = NULL
    if condition is not None:
        m.operands.condition = <const unsigned char*> address(condition, 1, PyBUF_SIMPLE)
    m.operands.y = write(y)
    m.operands.number = <real> number
    m.operands.size = y.size
    with nogil:
        parallel_for(map_task, &m, (m.operands.size + CHUNK - 1) // CHUNK, nanoseconds * m.operands.size)
    return 0


def abs(object a, object y):
    """Write y = |a|."""
    run(abs_map, a, None, y, 0.3)


def cube(object a, object y):
    """Write y = a ** 3."""
    run(cube_map, a, None, y, 0.3)


def exp(object a, object y):
    """Write y = e ** a."""
    run(exp_map, a, None, y, 0.5)


def expm1(object a, object y):
    """Write y = e ** a - 1."""
    run(expm1_map, a, None, y, 0.6)


def log(object a, object y):
    """Write y = ln a."""
    run(log_map, a, None, y, 0.6)


def log1p(object a, object y):
    """Write y = ln(1 + a)."""
    run(log1p_map, a, None, y, 0.8)


def reciprocal(object a, object y):
    """Write y = 1 / a."""
    run(reciprocal_map, a, None, y, 0.3)


def rsqrt(object a, object y):
    """Write y = a ** -0.5."""
    run(rsqrt_map, a, None, y, 0.6)


def sigmoid(object a, object y):
    """Write y = 1 / (1 + e ** -a)."""
    run(sigmoid_map, a, None, y, 0.6)


def erf(object a, object y):
    """Write y = erf(a)."""
    run(erf_map, a, None, y, 1)


def hardswish(object a, object y):
    """Write y = a * min(max(a + 3, 0), 6) / 6."""
    run(hardswish_map, a, None, y, 0.4)


def hardswish_grad(object a, object b, object y):
    """Write y = a times the slope of hardswish at b."""
    run(hardswish_grad_map, a, b, y, 0.4)


def relu6(object a, object y):
    """Write y = min(max(a, 0), 6)."""
    run(relu6_map, a, None, y, 0.4)


def relu6_grad(object a, object b, object y):
    """Write y = a where 0 < b < 6, else 0."""
    run(relu6_grad_map, a, b, y, 0.4)


def silu(object a, object y):
    """Write y = a / (1 + e ** -a)."""
    run(silu_map, a, None, y, 0.7)


def silu_grad(object a, object b, object y):
    """Write y = a times the slope of silu at b."""
    run(silu_grad_map, a, b, y, 0.7)


def sign(object a, object y):
    """Write y = -1, 0 or 1; 0 for NaN."""
    run(sign_map, a, None, y, 0.3)


def sqrt(object a, object y):
    """Write y = a ** 0.5."""
    run(sqrt_map, a, None, y, 0.4)


def leaky_relu(object a, double b, object y):
    """Write y = a where a > 0, else b * a."""
    run(leaky_relu_map, a, None, y, 0.3, b)


def leaky_relu_grad(object a, object b, double c, object y):
    """Write y = a where b > 0, else c * a."""
    run(leaky_relu_grad_map, a, b, y, 0.4, c)


def sigmoid_grad(object a, object b, object y):
    """Write y = a * b * (1 - b)."""
    run(sigmoid_grad_map, a, b, y, 0.4)


def tanh_grad(object a, object b, object y):
    """Write y = a * (1 - b * b)."""
    run(tanh_grad_map, a, b, y, 0.4)


def where(object condition, object a, object b, object y):
    """Write y = a where the condition (bool) holds, else b; one of the two may be a number."""
    if isinstance(a, (int, float)):
        run(where_number_map, None, b, y, 0.4, a, condition)
    elif isinstance(b, (int, float)):
        run(where_else_number_map, a, None, y, 0.4, b, condition)
    else:
        run(where_map, a, b, y, 0.4, 0, condition)


# ---- functions of two arrays that broadcast ----

cdef void broadcast_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute some rows, or a piece of one."""
    cdef const Broadcasting* m = <const Broadcasting*> args
    cdef Py_ssize_t first = index // m.pieces * m.together, begin = index % m.pieces * CHUNK
    cdef Py_ssize_t end = m.operands.count if m.pieces == 1 else min(m.operands.count, begin + CHUNK)
    broadcast_rows(m.op, &m.operands, first, min(m.rows, first + m.together), begin, end)


def broadcast(int op, object a, object b, object y, object layout):
    """Write y = a op b (0 to 5: + - * / max min); layout has (size, step in a, step in b) of each axis of y, four of them."""
    cdef Broadcasting m
    cdef int d
    m.op = op
    m.operands.a = read(a)
    m.operands.b = read(b)
    m.operands.y = write(y)
    m.rows = 1
    for d in range(OUTER):
        m.operands.sizes[d], m.operands.a_strides[d], m.operands.b_strides[d] = layout[d]
        m.rows *= m.operands.sizes[d]
    m.operands.count, m.operands.a_step, m.operands.b_step = layout[OUTER]
    m.pieces = max(1, (m.operands.count + CHUNK - 1) // CHUNK)
    m.together = max(1, CHUNK // max(1, m.operands.count)) if m.pieces == 1 else 1
    with nogil:
        parallel_for(broadcast_task, &m, (m.rows + m.together - 1) // m.together * m.pieces,
                     0.3 * m.rows * m.operands.count)
