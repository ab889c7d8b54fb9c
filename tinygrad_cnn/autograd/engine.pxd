# The C types of engine.py, for Cython only.
from tinygrad_cnn.autograd.graph cimport Node, TensorBase, gradient_edge, refresh, wrap


cdef class LeafGradient:
    cdef public object leaf, grad
    cdef public bint fresh


cdef class _Table:
    cdef public dict nodes, leaves
    cpdef add(self, target, Py_ssize_t k, grad, bint fresh)


cdef _sum(TensorBase a, TensorBase b)
cdef _run(Node node, list dys, _Table table, wanted)
cdef bint _holds(tensors, one)
cdef list _topological(list starts)
cdef _fit(Node node, Py_ssize_t i, target, Py_ssize_t k, grad)
