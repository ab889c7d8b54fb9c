"""Matrix products of strided operands, single and batched."""
from cpython.buffer cimport PyBUF_STRIDES, PyObject_GetBuffer, PyBuffer_Release, Py_buffer

from gemm cimport (COLUMNS, DEPTH, TILE_COLUMNS, TILE_ROWS, ceil_div, multiply_panel, pack_columns, pack_rows,
                   panel_rows)
from parallel cimport import_runtime, parallel_for, scratch_memory
from real cimport read, real, real_alone, write
from sums cimport column_sums

import_runtime()

cdef extern from "thin.h":
    const int THIN, LONG
    void thin_row(Py_ssize_t depth, bint add, Py_ssize_t columns, const real* a, Py_ssize_t step, const real* b,
                  Py_ssize_t ldb, real* c) noexcept nogil
    void thin_dots(Py_ssize_t depth, Py_ssize_t columns, const real* a, const real* b, Py_ssize_t ldb, real* c) noexcept nogil

cdef enum:
    HALVED = 1 << 19    # multiplications from which two threads get a part each, although both pack the rows

cdef struct Matrix:             # strides count elements; a batch stride of 0 repeats the matrix
    const real* data
    Py_ssize_t rows, columns, row, column, batch

cdef struct Product:
    Matrix a, b
    real* c
    const real* bias
    bint relu
    Py_ssize_t m, n, k
    Py_ssize_t row_blocks, column_blocks, block_rows, block_columns


cdef struct Block:              # of one product of the batch, all of its depth
    Py_ssize_t m, n, j0
    const real* a
    const real* b
    real* c


cdef Block block_of(const Product* p, Py_ssize_t index) noexcept nogil:
    """Return where block number `index` is."""
    cdef Block at
    cdef Py_ssize_t column_block = index % p.column_blocks
    cdef Py_ssize_t row_block = index // p.column_blocks % p.row_blocks
    cdef Py_ssize_t batch = index // (p.column_blocks * p.row_blocks), i0 = row_block * p.block_rows
    at.j0 = column_block * p.block_columns
    at.m, at.n = min(p.block_rows, p.m - i0), min(p.block_columns, p.n - at.j0)
    at.a = p.a.data + batch * p.a.batch + i0 * p.a.row
    at.b = p.b.data + batch * p.b.batch + at.j0 * p.b.column
    at.c = p.c + (batch * p.m + i0) * p.n + at.j0
    return at


cdef void fill_block(const Product* p, real* c, Py_ssize_t m, Py_ssize_t n, Py_ssize_t j0) noexcept nogil:
    """Start a block of c with the bias, or with zeros."""
    cdef Py_ssize_t i, j
    for i in range(m):
        for j in range(n):
            c[i * p.n + j] = p.bias[j0 + j] if p.bias != NULL else 0


cdef void rectify_block(const Product* p, real* c, Py_ssize_t m, Py_ssize_t n) noexcept nogil:
    """Let what is negative in a block of c be 0; NaN stays."""
    cdef Py_ssize_t i, j
    cdef real_alone row
    for i in range(m):
        row = c + i * p.n
        for j in range(n):
            row[j] = 0 if row[j] < 0 else row[j]


cdef bint is_thin(const Product* p) noexcept nogil:
    """Return whether packing would not pay, and the operands can be read in pieces as they are."""
    if p.m <= THIN:
        return p.b.column == 1 or p.b.row == 1 and p.a.column == 1
    return p.k <= THIN and p.b.column == 1 and p.n >= LONG


cdef void thin_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute one block of one thin product, row by row."""
    cdef Product* p = <Product*> args
    cdef Block at = block_of(p, index)
    cdef Py_ssize_t i
    cdef const real* a
    cdef real* c
    if p.bias != NULL or p.b.column != 1:
        fill_block(p, at.c, at.m, at.n, at.j0)
    for i in range(at.m):
        a, c = at.a + i * p.a.row, at.c + i * p.n
        if p.b.column == 1:
            thin_row(p.k, p.bias != NULL, at.n, a, p.a.column, at.b, p.b.row, c)
        else:
            thin_dots(p.k, at.n, a, at.b, p.b.column, c)
    if p.relu:
        rectify_block(p, at.c, at.m, at.n)


cdef void product_task(void* args, Py_ssize_t index) noexcept nogil:
    """Compute one block of one product of the batch, all of its depth."""
    cdef Product* p = <Product*> args
    cdef Block at = block_of(p, index)
    cdef real* packed_b = <real*> scratch_memory(0, sizeof(real) * DEPTH * (COLUMNS + TILE_COLUMNS))
    cdef real* packed_a = <real*> scratch_memory(1, sizeof(real) * DEPTH * TILE_ROWS)
    cdef int height = panel_rows(at.m), rows
    cdef Py_ssize_t block, panel, k0, depth, i
    if p.bias != NULL or p.k == 0:
        fill_block(p, at.c, at.m, at.n, at.j0)
    for block in range(ceil_div(p.k, DEPTH)):
        k0 = block * DEPTH
        depth = min(<Py_ssize_t> DEPTH, p.k - k0)
        pack_columns(at.b + k0 * p.b.row, p.b.row, p.b.column, depth, at.n, packed_b)
        for panel in range(ceil_div(at.m, height)):
            i = panel * height
            rows = <int> min(<Py_ssize_t> height, at.m - i)
            pack_rows(at.a + i * p.a.row + k0 * p.a.column, p.a.row, p.a.column, rows, depth, packed_a)
            multiply_panel(rows, at.n, depth, packed_a, packed_b, at.c + i * p.n, p.n, k0 > 0 or p.bias != NULL)
    if p.relu:
        rectify_block(p, at.c, at.m, at.n)


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


cdef void multiply(Product* p, Py_ssize_t batches) noexcept nogil:
    """Compute all products; their operands, bias and relu are given."""
    cdef Py_ssize_t least_blocks
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
    if batches * p.row_blocks * p.column_blocks == 1 and p.n >= 2 * TILE_COLUMNS and p.m * p.n * p.k >= HALVED:
        p.block_columns = ceil_div(p.n, 2 * TILE_COLUMNS) * TILE_COLUMNS
        p.column_blocks = 2
    parallel_for(thin_task if is_thin(p) else product_task, p, batches * p.row_blocks * p.column_blocks,
                 0.02 * batches * p.m * p.n * p.k)


def matmul(object a, object b, object c):
    """Write c[batch] = a[batch] @ b[batch]: ([B,] M, K) @ ([B,] K, N), any strides; c contiguous."""
    cdef Product p
    cdef Py_ssize_t batches = len(a) if a.ndim == 3 else 1
    fill_matrix(a, &p.a)
    fill_matrix(b, &p.b)
    p.c, p.bias, p.relu = write(c), NULL, False
    with nogil:
        multiply(&p, batches)


# ---- linear layers ----

cdef Matrix transposed(const Matrix* x) noexcept nogil:
    """Return a matrix with rows and columns exchanged."""
    cdef Matrix turned = x[0]
    turned.rows, turned.columns, turned.row, turned.column = x.columns, x.rows, x.column, x.row
    return turned


def linear(object x, object w, object b, object y, bint relu):
    """Write y (M, N) = x (M, K) @ w (N, K) transposed (+ b (N,)), any strides, y contiguous; or its relu."""
    cdef Product p
    cdef Matrix weights
    fill_matrix(x, &p.a)
    fill_matrix(w, &weights)
    p.b = transposed(&weights)
    p.c, p.bias, p.relu = write(y), read(b), relu
    with nogil:
        multiply(&p, 1)


cdef void rectify_grad(const real* dy, const real* y, Py_ssize_t n, real_alone to) noexcept nogil:
    """Write dy, or 0 where y <= 0."""
    cdef Py_ssize_t i
    for i in range(n):
        to[i] = 0 if y[i] <= 0 else dy[i]


def linear_grad(object dy, object x, object w, object y, object dx, object dw, object db):
    """Write dx = dy @ w, dw = dy transposed @ x and db = the sum of dy (M, N), or those of them that are not None.

    x and w may have any strides.  With y, the relu of a linear layer, dy is its gradient.
    """
    cdef Product p
    cdef Matrix given
    cdef const real* grad = read(dy)
    cdef const real* after = read(y)
    cdef real* sums = NULL if db is None else write(db)
    cdef Py_ssize_t m, n, j
    cdef double* totals
    cdef real* run
    cdef real* masked
    fill_matrix(dy, &given)
    m, n = given.rows, given.columns
    p.bias, p.relu = NULL, False
    with nogil:
        totals = <double*> scratch_memory(2, sizeof(double) * n + sizeof(real) * (m + 1) * n)
        run = <real*> (totals + n)
        masked = run + n
        if after != NULL:
            rectify_grad(grad, after, m * n, masked)
            grad = given.data = masked
        if sums != NULL:
            column_sums(grad, m, n, n, totals, run)
            for j in range(n):
                sums[j] = <real> totals[j]
    if dx is not None:
        p.a, p.c = given, write(dx)
        fill_matrix(w, &p.b)
        with nogil:
            multiply(&p, 1)
    if dw is not None:
        p.a, p.c = transposed(&given), write(dw)
        fill_matrix(x, &p.b)
        with nogil:
            multiply(&p, 1)
