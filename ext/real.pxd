# The element type of a kernel module, and how it gets at the memory of an array.
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyObject_GetBuffer, PyBuffer_Release

cdef extern from "simd.h":
    ctypedef float real         # float or double, as the build says
    ctypedef float vec          # LANES of them; arithmetic goes element by element
    ctypedef real* real_alone
    ctypedef int* int_alone
    const int LANES
    vec vec_set(real scalar) noexcept nogil
    vec vec_load(const real* source) noexcept nogil
    void vec_store(real* target, vec value) noexcept nogil


cdef inline void* address(object array, Py_ssize_t itemsize, int flags) except? NULL:
    """Return where the elements of a C-contiguous array are; the caller keeps the array alive."""
    cdef Py_buffer view
    cdef void* where
    PyObject_GetBuffer(array, &view, flags)
    where = view.buf
    cdef Py_ssize_t found = view.itemsize
    PyBuffer_Release(&view)
    if found != itemsize:
        raise TypeError(f"kernel expects elements of {itemsize} bytes, got {found}")
    return where


cdef inline const real* read(object array) except? NULL:
    """Return the elements of an input; None gives NULL."""
    if array is None:
        return NULL
    return <const real*> address(array, sizeof(real), PyBUF_SIMPLE)


cdef inline real* write(object array) except? NULL:
    """Return the elements of an output."""
    return <real*> address(array, sizeof(real), PyBUF_WRITABLE)
