# Packed, blocked matrix multiplication in one precision: c (+)= a @ b.
#
# Operands are strided views, so a transposed matrix costs nothing: element (i, k) of `a` is a[i * row + k * column].
# Both are packed block by block into the order in which the tile loop of gemm.h reads them.
from real cimport LANES, real

cdef extern from "transpose.h":
    void pack_transposed(const real* source, Py_ssize_t stride, int lines, Py_ssize_t depth, real* to, int width) noexcept nogil

cdef extern from "gemm.h":
    const int TILE_ROWS, TILE_VECS, TILE_COLUMNS
    void edge_tile(int rows, Py_ssize_t columns, Py_ssize_t depth, const real* a, const real* b, real* c, Py_ssize_t ldc,
                   bint accumulate) noexcept nogil

cdef enum:
    DEPTH = 256         # of a block: a packed column panel (DEPTH x TILE_COLUMNS floats) is 32 KiB
    COLUMNS = 480       # of a block: the packed block (DEPTH x COLUMNS) stays in L2


cdef inline Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return (a + b - 1) // b


cdef inline int even_part(Py_ssize_t m, int most) noexcept nogil:
    """Return the size of equal parts of m, each at most `most`."""
    return <int> ceil_div(m, ceil_div(m, most)) if m > 0 else 1


cdef inline int panel_rows(Py_ssize_t m) noexcept nogil:
    """Return the height of row panels: m rows split evenly (64 = 13 + 13 + 13 + 13 + 12, not 14 + ... + 8)."""
    return even_part(m, TILE_ROWS)


cdef inline void pack_rows(const real* a, Py_ssize_t row, Py_ssize_t column, int rows, Py_ssize_t depth,
                           real* packed) noexcept nogil:
    """Pack a panel of rows: packed[k][r] = a[r][k]."""
    cdef Py_ssize_t k
    cdef int r
    if row == 1:
        for k in range(depth):
            for r in range(rows):
                packed[k * rows + r] = a[k * column + r]
    elif column == 1:
        pack_transposed(a, row, rows, depth, packed, rows)
    else:
        for r in range(rows):
            for k in range(depth):
                packed[k * rows + r] = a[r * row + k * column]


cdef inline void pack_columns(const real* b, Py_ssize_t row, Py_ssize_t column, Py_ssize_t depth, Py_ssize_t n,
                              real* packed) noexcept nogil:
    """Pack n columns into panels of TILE_COLUMNS, the last one filled up with zeros: packed[panel][k][j] = b[k][j]."""
    cdef Py_ssize_t panel, first, width, j, k
    cdef real* to
    for panel in range(ceil_div(n, TILE_COLUMNS)):
        first = panel * TILE_COLUMNS
        width = min(<Py_ssize_t> TILE_COLUMNS, n - first)
        to = packed + first * depth
        if column == 1 and width == TILE_COLUMNS:
            for k in range(depth):
                for j in range(TILE_COLUMNS):
                    to[k * TILE_COLUMNS + j] = b[k * row + first + j]
        else:
            if row == 1:
                pack_transposed(b + first * column, column, <int> width, depth, to, TILE_COLUMNS)
            else:
                for j in range(width):
                    for k in range(depth):
                        to[k * TILE_COLUMNS + j] = b[k * row + (first + j) * column]
            for j in range(width, TILE_COLUMNS):
                for k in range(depth):
                    to[k * TILE_COLUMNS + j] = 0


cdef inline void multiply_panel(int rows, Py_ssize_t n, Py_ssize_t depth, const real* a, const real* b,
                                real* c, Py_ssize_t ldc, bint accumulate) noexcept nogil:
    """Multiply one packed panel of rows with packed columns: c[rows][n] (+)= a @ b."""
    cdef Py_ssize_t panel, first
    for panel in range(ceil_div(n, TILE_COLUMNS)):
        first = panel * TILE_COLUMNS
        edge_tile(rows, n - first, depth, a, b + first * depth, c + first, ldc, accumulate)
