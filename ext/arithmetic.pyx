"""+ - * / of contiguous arrays of one shape, or of an array and a number: the operations that tiny tensors need most."""
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_STRIDES, PyBuffer_IsContiguous, PyBuffer_Release, PyObject_GetBuffer
from cpython.float cimport PyFloat_Check
from cpython.long cimport PyLong_Check
from libc.string cimport memset
from parallel cimport import_runtime, parallel_for
from real cimport real, write

import_runtime()

cdef extern from *:
    """
    /* One loop for two arrays, one for each side a number: the compiler vectorises each. */
    #define ARITHMETIC_LOOPS(OP)                                                                     \\
        if (!a) for (Py_ssize_t i = from; i < to; i++) y[i] = x OP b[i];                             \\
        else if (!b) for (Py_ssize_t i = from; i < to; i++) y[i] = a[i] OP x;                        \\
        else for (Py_ssize_t i = from; i < to; i++) y[i] = a[i] OP b[i];

    static void arithmetic_loop(int op, const REAL *a, const REAL *b, REAL x, REAL *restrict y, Py_ssize_t from,
                                Py_ssize_t to) {
        switch (op) {
            case 0: ARITHMETIC_LOOPS(+) break;
            case 1: ARITHMETIC_LOOPS(-) break;
            case 2: ARITHMETIC_LOOPS(*) break;
            default: ARITHMETIC_LOOPS(/)
        }
    }
    """
    void arithmetic_loop(int op, const real* a, const real* b, real x, real* y, Py_ssize_t first, Py_ssize_t end) noexcept nogil

cdef enum:
    CHUNK = 16384       # elements of a task

cdef char KIND = c"f" if sizeof(real) == sizeof(float) else c"d"

cdef struct Operation:
    int op
    const real* a       # NULL for the number
    const real* b
    real number
    real* y
    Py_ssize_t size


cdef void arithmetic_task(void* args, Py_ssize_t index) noexcept nogil:
    cdef Operation* o = <Operation*> args
    arithmetic_loop(o.op, o.a, o.b, o.number, o.y, index * CHUNK, min(o.size, (index + 1) * CHUNK))


cdef bint take(object x, Py_buffer* view, const real** data, real* number) except -1:
    """Read an operand, an array or a number; return whether the loops can take it."""
    if PyFloat_Check(x) or PyLong_Check(x):
        number[0] = <real> <double> x
        return True
    PyObject_GetBuffer(x, view, PyBUF_STRIDES | PyBUF_FORMAT)
    data[0] = <const real*> view.buf
    return view.format[0] == KIND and view.format[1] == 0 and PyBuffer_IsContiguous(view, c"C")


cdef bint same_shape(const Py_buffer* a, const Py_buffer* b) noexcept:
    cdef int d
    if a.ndim != b.ndim:
        return False
    for d in range(a.ndim):
        if a.shape[d] != b.shape[d]:
            return False
    return True


def arithmetic(int op, object a, object b, object allocate):
    """Return a op b (0 to 3: + - * /) in an array that allocate(shape, dtype) makes, or None if it takes another way."""
    cdef Operation o
    cdef Py_buffer first, second
    memset(&first, 0, sizeof(Py_buffer))        # nothing to release yet
    memset(&second, 0, sizeof(Py_buffer))
    o.op = op
    o.a = o.b = NULL
    try:
        if not take(a, &first, &o.a, &o.number) or not take(b, &second, &o.b, &o.number):
            return None
        if o.a != NULL and o.b != NULL and not same_shape(&first, &second):
            return None
        like = b if o.a == NULL else a
        y = allocate(like.shape, like.dtype)
        o.y = write(y)
        o.size = (second.len if o.a == NULL else first.len) // <Py_ssize_t> sizeof(real)
        with nogil:
            parallel_for(arithmetic_task, &o, (o.size + CHUNK - 1) // CHUNK, 0.3 * o.size)
        return y
    finally:
        PyBuffer_Release(&first)
        PyBuffer_Release(&second)
