# The C types of engine.py, for Cython only.
cimport cython

from tinygrad_cnn.autograd.graph cimport Node, Op, Shortcut, TensorBase, gradient_edge, is_fresh, refresh, tell, wrap
from tinygrad_cnn.autograd.rows cimport Operators, Row


cdef class LeafGradient:
    cdef public object leaf, grad


cdef class _Table:
    cdef public dict nodes, leaves
    cdef public set passed
    @cython.locals(node=Node, total=LeafGradient, slots=list)
    cdef add(self, target, Py_ssize_t k, grad)


@cython.locals(total=TensorBase)
cdef _sum(TensorBase a, TensorBase b)

@cython.locals(i=Py_ssize_t, k=Py_ssize_t, edges=tuple, edge=tuple, fitted=TensorBase, ours=cython.bint, recording=cython.bint)
cdef _run(Node node, list dys, _Table table, wanted)

@cython.locals(before=Node, one=Node)
cdef Node _shortcut(Node node, _Table table, wanted)

@cython.locals(i=Py_ssize_t)
cdef bint _is_ours(TensorBase grad, list dys, grads, Py_ssize_t place, bint new)

@cython.locals(node=Node, last=Node, edge=tuple, found=set, order=list, stack=list, is_sorted=cython.bint)
cdef list _topological(list starts)

@cython.locals(t=TensorBase, leaf=TensorBase, earlier=Node)
cdef _fit(Node node, Py_ssize_t i, target, Py_ssize_t k, grad)

cpdef accumulate(TensorBase leaf, TensorBase grad, bint create_graph)

cdef _add_in_place(TensorBase total, TensorBase grad)
