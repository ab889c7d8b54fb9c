# The C types of engine.py, for Cython only.
cimport cython

from tinygrad_cnn.autograd.graph cimport Node, TensorBase, gradient_edge, refresh, tell, wrap
from tinygrad_cnn.autograd.rows cimport Operators, Row


cdef class LeafGradient:
    cdef public object leaf, grad
    cdef public bint fresh


cdef class _Table:
    cdef public dict nodes, leaves
    cdef public set passed
    @cython.locals(node=Node, total=LeafGradient, slots=list)
    cdef LeafGradient add(self, target, Py_ssize_t k, grad)


cdef _sum(TensorBase a, TensorBase b)

@cython.locals(i=Py_ssize_t, k=Py_ssize_t, edges=tuple, edge=tuple, total=LeafGradient, tensor=TensorBase)
cdef _run(Node node, list dys, _Table table, wanted)

@cython.locals(before=Node, one=Node)
cdef Node _shortcut(Node node, _Table table, wanted)

@cython.locals(i=Py_ssize_t)
cdef bint _held(grad, list dys, grads, Py_ssize_t place)

@cython.locals(node=Node, earlier=Node, start=Node, edge=tuple, found=dict, stack=list)
cdef list _topological(list starts)

@cython.locals(t=TensorBase, leaf=TensorBase, earlier=Node)
cdef _fit(Node node, Py_ssize_t i, target, Py_ssize_t k, grad)
