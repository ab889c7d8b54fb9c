# The C types of rows.py, for Cython only.
cimport cython

from tinygrad_cnn.autograd.graph cimport (Node, Op, TensorBase, gradient_edge, is_fresh, own, recall, refresh,
                                          save_array, wrap)


cdef class Step:
    cdef public object derivative
    cdef public tuple places
    cdef public Row row


cdef class Plan:
    cdef public list kept
    cdef public tuple needs, steps
    cdef public Py_ssize_t last


cdef class Row:
    cdef public str name
    cdef public tuple derivatives
    cdef public list uses
    cdef public dict plans, loops, updates
    cdef public object function, shortcuts
    cpdef loop(self, backend)
    @cython.locals(operand=TensorBase)
    cpdef update(self, TensorBase t, other)
    cpdef Plan plan(self, Py_ssize_t needs, Py_ssize_t count)


cdef class Elementwise(Op):
    cdef public Row row
    cdef public Plan plan
    @cython.locals(dy=TensorBase, plan=Plan, step=Step, grads=list, i=Py_ssize_t, last=cython.bint)
    cpdef run(self, list dys)


@cython.locals(places=tuple)
cdef _derive(Step step, TensorBase dy, tuple saved, bint last)

cdef bint _contains(list grads, dy)

@cython.locals(t=TensorBase, before=Node, known=tuple)
cdef _described(operand, tuple shape, dtype)


cdef class Operators:
    cdef public Row add, sub, mul, div, neg


cdef class Arithmetic(TensorBase):
    pass


@cython.locals(t=TensorBase, base=TensorBase, out=TensorBase, needs=Py_ssize_t, count=Py_ssize_t, i=Py_ssize_t)
cpdef apply_row(Row row, tuple operands)

@cython.locals(t=TensorBase, base=TensorBase, out=TensorBase, needs=Py_ssize_t, i=Py_ssize_t)
cpdef computed(Row row, tuple operands, array)

cdef _run_loop(str name, loop, Py_ssize_t count, a, b, c, d)

@cython.locals(plan=Plan, node=Elementwise, count=Py_ssize_t, i=Py_ssize_t)
cdef _record(Row row, tuple operands, Py_ssize_t needs, TensorBase out)

cdef _edge(operand, Py_ssize_t need)

@cython.locals(t=TensorBase)
cdef _kept(tuple operands, TensorBase out, Py_ssize_t place)

@cython.locals(x=TensorBase, y=TensorBase, simple=cython.bint)
cdef operate(Row row, a, b)
