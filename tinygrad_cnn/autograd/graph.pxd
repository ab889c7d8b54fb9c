# The C types of graph.py, for Cython only.
cimport cython


@cython.freelist(64)
cdef class Version:
    cdef public Py_ssize_t value, generation
    cdef public bint shared


cdef class View:
    cdef public object base, steps
    cdef public Py_ssize_t generation


@cython.trashcan(True)      # graphs may be deep
cdef class TensorBase:
    cdef public object _after_hooks, _array, _backend, _grad, _hooks, _node
    cdef public Py_ssize_t _output
    cdef public bint _fresh, _requires_grad, _retains_grad
    cdef public Version _counter
    cdef public View _view


@cython.trashcan(True)
cdef class Node:
    cdef object __weakref__
    cdef public object edges, outputs, needs_grad, hooks, retaining
    cdef public Py_ssize_t sequence
    cpdef run(self, list dys)
    cpdef release(self)


cdef class Op(Node):
    cdef public object backend, like, saved
    cpdef run(self, list dys)
    cpdef release(self)


cdef class Shortcut(Node):
    cdef public tuple nodes
    cpdef run(self, list dys)


@cython.freelist(64)
cdef class Saved:
    cdef public object array, tensor
    cdef public Py_ssize_t output, value
    cdef public Version version


@cython.locals(version=Version)
cpdef Version new_version()
@cython.locals(saved=Saved)
cpdef Saved save_array(array, tensor, Py_ssize_t output, Version version)
cpdef wrap(type cls, array, backend)
cpdef TensorBase fill(TensorBase t, array, backend)
cpdef bint is_fresh(TensorBase t)
cpdef refresh(TensorBase t)
cpdef tuple gradient_edge(TensorBase t)
cdef object _watcher
cpdef tell(Node node, grads)
cpdef own(TensorBase t, Node node, Py_ssize_t output)
@cython.locals(t=TensorBase, arrays=list, needs=list, wanted=cython.bint, need=cython.bint, recording=cython.bint)
cpdef apply_op(Op node, tuple args)
cpdef record(Op node, tuple args, needs, tuple outputs)
cdef _link_view(cls, tuple args, TensorBase out)
cdef _remember(value, tuple args, tuple outputs)
@cython.locals(t=TensorBase, arrays=list)
cdef tuple on_arrays(gradients, Op node, list dys)
cpdef tuple recall(Op node, bint as_arrays)
@cython.locals(saved=Saved)
cdef _recall(Op node, entry, bint as_array)
