"""Matrix products of strided operands, single and batched."""
from cpython.buffer cimport PyBUF_STRIDES, PyObject_GetBuffer, PyBuffer_Release, Py_buffer

from gemm cimport (COLUMNS, DEPTH, TILE_COLUMNS, TILE_ROWS, ceil_div, multiply_panel, pack_columns, pack_rows,
                   panel_rows)
from parallel cimport import_runtime, parallel_for, scratch_memory
from real cimport read, real, write

import_runtime()

cdef struct Matrix:             # strides count elements; a batch stride of 0 repeats the matrix
    const real* data
    Py_ssize_t rows, columns, row, column, batch

cdef struct Product:
    Matrix a, b
    real* c
    const real* bias
    Py_ssize_t m, n, k
    Py_ssize_t row_blocks, column_blocks, block_rows, block_columns


cdef void product_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute one block of one product of the batch, all of its depth."""
    cdef Product* p = <Product*> args
    cdef Py_ssize_t column_block = index % p.column_blocks
    cdef Py_ssize_t row_block = index // p.column_blocks % p.row_blocks
    cdef Py_ssize_t batch = index // (p.column_blocks * p.row_blocks)
    cdef Py_ssize_t i0 = row_block * p.block_rows, j0 = column_block * p.block_columns
    cdef Py_ssize_t m = min(p.block_rows, p.m - i0), n = min(p.block_columns, p.n - j0)
    cdef const real* a = p.a.data + batch * p.a.batch + i0 * p.a.row
    cdef const real* b = p.b.data + batch * p.b.batch + j0 * p.b.column
    cdef real* c = p.c + (batch * p.m + i0) * p.n + j0
    cdef real* packed_b = <real*> scratch_memory(0, sizeof(real) * DEPTH * (COLUMNS + TILE_COLUMNS))
    cdef real* packed_a = <real*> scratch_memory(1, sizeof(real) * DEPTH * TILE_ROWS)
    cdef int height = panel_rows(m), rows
    cdef Py_ssize_t block, panel, k0, depth, i, j
    if p.bias != NULL or p.k == 0:
        for i in range(m):
            for j in range(n):
                c[i * p.n + j] = p.bias[j0 + j] if p.bias != NULL else 0
    for block in range(ceil_div(p.k, DEPTH)):
        k0 = block * DEPTH
        depth = min(<Py_ssize_t> DEPTH, p.k - k0)
        pack_columns(b + k0 * p.b.row, p.b.row, p.b.column, depth, n, packed_b)
        for panel in range(ceil_div(m, height)):
            i = panel * height
            rows = <int> min(<Py_ssize_t> height, m - i)
            pack_rows(a + i * p.a.row + k0 * p.a.column, p.a.row, p.a.column, rows, depth, packed_a)
            multiply_panel(rows, n, depth, packed_a, packed_b, c + i * p.n, p.n, k0 > 0 or p.bias != NULL)


cdef int fill_matrix(object array, Matrix* matrix) except -1:
    """Read data, sizes and strides of an array of shape ([batch,] rows, columns)."""
    cdef Py_buffer view
    cdef int axis
    PyObject_GetBuffer(array, &view, PyBUF_STRIDES)
    try:
        if not 2 <= view.ndim <= 3 or view.itemsize != sizeof(real):
            raise TypeError(f"matmul kernel expects 2 or 3 dimensions of {sizeof(real)}-byte elements")
        axis = view.ndim - 2
        matrix.data = <const real*> view.buf
        matrix.batch = view.strides[0] // <Py_ssize_t> sizeof(real) if axis else 0
        matrix.rows, matrix.columns = view.shape[axis], view.shape[axis + 1]
        matrix.row = view.strides[axis] // <Py_ssize_t> sizeof(real)
        matrix.column = view.strides[axis + 1] // <Py_ssize_t> sizeof(real)
    finally:
        PyBuffer_Release(&view)
    return 0


def matmul(object a, object b, object bias, object c):
    """Write c[batch] = a[batch] @ b[batch] (+ bias): ([B,] M, K) @ ([B,] K, N), any strides; c contiguous."""
    cdef Product p
    cdef Py_ssize_t batches = len(a) if a.ndim == 3 else 1, least_blocks
    fill_matrix(a, &p.a)
    fill_matrix(b, &p.b)
    p.c = write(c)
    p.bias = read(bias)
    p.m, p.k, p.n = p.a.rows, p.a.columns, p.b.columns
    if batches == 0 or p.m == 0 or p.n == 0:
        return
    # Blocks depend on the shape alone, never on the number of threads, so neither does any sum.
    p.column_blocks = ceil_div(p.n, COLUMNS)
    p.block_columns = ceil_div(ceil_div(p.n, p.column_blocks), TILE_COLUMNS) * TILE_COLUMNS
    p.column_blocks = ceil_div(p.n, p.block_columns)
    least_blocks = ceil_div(8, batches * p.column_blocks)
    p.row_blocks = max(1, min(least_blocks, p.m // (4 * TILE_ROWS)))
    p.block_rows = ceil_div(p.m, p.row_blocks)
    p.row_blocks = ceil_div(p.m, p.block_rows)
    with nogil:
        parallel_for(product_task, &p, batches * p.row_blocks * p.column_blocks, 0.02 * batches * p.m * p.n * p.k)
