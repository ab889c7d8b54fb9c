"""Loops of elementwise operations that tiny tensors need most: runtime.pyx calls them, without Python in between."""
from cpython.pycapsule cimport PyCapsule_New

from parallel cimport import_runtime, parallel_for
from real cimport real

import_runtime()

cdef extern from *:
    """
    #if defined(__GNUC__) && !defined(__clang__)
    #define INDEPENDENT _Pragma("GCC ivdep")
    #else
    #define INDEPENDENT
    #endif
    /* One loop for two arrays, one for each side a number: the compiler vectorises each.  y may be a or b, but overlaps
     * neither in part, so no element depends on another one. */
    #define LOOP(EXPRESSION, OPERAND_A, OPERAND_B) \\
        INDEPENDENT                                \\
        for (Py_ssize_t i = from; i < to; i++) { const REAL A = OPERAND_A, B = OPERAND_B; y[i] = EXPRESSION; }
    #define BINARY(EXPRESSION)                       \\
        if (!a) LOOP(EXPRESSION, number, b[i])      \\
        else if (!b) LOOP(EXPRESSION, a[i], number) \\
        else LOOP(EXPRESSION, a[i], b[i])
    #define UNARY(EXPRESSION) INDEPENDENT for (Py_ssize_t i = from; i < to; i++) { const REAL A = a[i]; y[i] = EXPRESSION; }

    static void elementwise_loop(int op, const REAL *a, const REAL *b, REAL number, REAL *y, Py_ssize_t from, Py_ssize_t to) {
        switch (op) { /* numbered as in runtime.pyx */
            case 0: BINARY(A + B) break;
            case 1: BINARY(A - B) break;
            case 2: BINARY(A * B) break;
            case 3: BINARY(A / B) break;
            case 4: BINARY(B <= 0 ? (REAL)0 : A) break; /* relu_grad; a NaN in b lets a pass */
            case 5: UNARY(A < 0 ? (REAL)0 : A) break;   /* relu; NaN stays */
            default: UNARY(-A) break;
        }
    }
    """
    void elementwise_loop(int op, const real* a, const real* b, real number, real* y, Py_ssize_t first,
                          Py_ssize_t end) noexcept nogil

cdef enum:
    CHUNK = 16384       # elements of a task

cdef struct Operation:
    int op
    const real* a       # NULL for the number
    const real* b
    real number
    real* y
    Py_ssize_t size


cdef void elementwise_task(void* args, Py_ssize_t index) noexcept nogil:
    cdef Operation* o = <Operation*> args
    elementwise_loop(o.op, o.a, o.b, o.number, o.y, index * CHUNK, min(o.size, (index + 1) * CHUNK))


cdef void elementwise(int op, const void* a, const void* b, double number, void* y, Py_ssize_t size) noexcept nogil:
    """Compute y = a op b for `size` elements; a or b may be NULL, which stands for the number."""
    cdef Operation o
    o.op, o.a, o.b, o.number, o.y, o.size = op, <const real*> a, <const real*> b, <real> number, <real*> y, size
    parallel_for(elementwise_task, &o, (size + CHUNK - 1) // CHUNK, 0.3 * size)


loops = PyCapsule_New(<void*> elementwise, NULL, NULL)
