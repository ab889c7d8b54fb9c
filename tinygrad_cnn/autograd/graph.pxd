# The C types of graph.py, for Cython only.
cimport cython


cdef class Version:
    cdef public Py_ssize_t value, generation
    cdef public bint shared


cdef class View:
    cdef public object base, steps
    cdef public Py_ssize_t generation


@cython.trashcan(True)      # graphs may be deep
cdef class TensorBase:
    cdef dict __dict__
    cdef object __weakref__
    cdef public object _array, _backend, _grad, _hooks, _node
    cdef public Py_ssize_t _output
    cdef public bint _requires_grad, _retains_grad
    cdef public Version _version
    cdef public View _view


@cython.trashcan(True)
cdef class Node:
    cdef object __weakref__
    cdef public object edges, outputs, needs_grad, hooks, retaining
    cdef public Py_ssize_t sequence


cdef class Op(Node):
    cdef public object backend, like, saved


cdef class Saved:
    cdef public object array, tensor
    cdef public Py_ssize_t output, value
    cdef public Version version


cpdef wrap(cls, array, backend)
cpdef TensorBase fill(TensorBase t, array, backend)
cpdef refresh(TensorBase t)
cpdef tuple gradient_edge(TensorBase t)
cpdef own(TensorBase t, Node node, Py_ssize_t output)
cpdef apply_op(Op node, tuple args)
cpdef record(Op node, tuple args, needs, tuple outputs)
cdef _link_view(cls, tuple args, TensorBase out)
cdef _remember(value, tuple args, tuple outputs)
cdef _recall(Op node, entry)
