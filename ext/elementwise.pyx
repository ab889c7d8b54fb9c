"""Elementwise functions of contiguous arrays of one shape, or of two that broadcast; the loops are in elementwise.h."""
from cpython.buffer cimport PyBUF_SIMPLE

from parallel cimport import_runtime, parallel_for
from real cimport address, read, real, write

import_runtime()

cdef extern from "elementwise.h":
    const int OUTER
    const int MAP_COUNT
    ctypedef struct map:
        const real* a
        const real* b
        const real* c
        real p, q
        const unsigned char* condition
        real* y
        Py_ssize_t size
    ctypedef void (*map_loop)(const map* m, Py_ssize_t first, Py_ssize_t end) noexcept nogil
    ctypedef struct map_entry:
        const char* name
        map_loop loop
        double nanoseconds
        int arrays, numbers
    const map_entry* MAPS
    ctypedef struct broadcast_operands "broadcast":
        const real* a
        const real* b
        real* y
        Py_ssize_t* sizes
        Py_ssize_t* a_strides
        Py_ssize_t* b_strides
        Py_ssize_t count, a_step, b_step
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


# name -> number in the table, how many operands are arrays, how many are numbers
maps = {MAPS[i].name.decode(): (i, MAPS[i].arrays, MAPS[i].numbers) for i in range(MAP_COUNT)}


def run(int which, list arrays, list numbers, object y, object condition=None):
    """Write y = the function `which` of arrays and numbers; a condition (bool) chooses between them."""
    cdef Mapping m
    m.loop = MAPS[which].loop
    m.operands.a = read(arrays[0])
    m.operands.b = read(arrays[1]) if len(arrays) > 1 else NULL
    m.operands.c = read(arrays[2]) if len(arrays) > 2 else NULL
    m.operands.p = <real> <double> numbers[0] if len(numbers) > 0 else 0
    m.operands.q = <real> <double> numbers[1] if len(numbers) > 1 else 0
    m.operands.condition = NULL
    if condition is not None:
        m.operands.condition = <const unsigned char*> address(condition, 1, PyBUF_SIMPLE)
    m.operands.y = write(y)
    m.operands.size = y.size
    with nogil:
        parallel_for(map_task, &m, (m.operands.size + CHUNK - 1) // CHUNK, MAPS[which].nanoseconds * m.operands.size)


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
