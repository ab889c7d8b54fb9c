"""The data side of a tensor, and operations as nodes of a graph.

A recorded operation is a Node.  Its `edges` say where the gradient of each input goes: to output k of an earlier node, or to
a leaf tensor.  Nodes only point to earlier nodes, so their sequence numbers are a topological order (engine.py).  A node
keeps what its backward needs in `saved`, and nothing else: an input that is not saved is free to go.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backends.base import Array, Backend
from .modes import enable_grad, state

Hook = Callable[[Any], Any]
next_sequence = itertools.count(1).__next__
_FLOAT32 = np.dtype(np.float32)


class Version:
    """How often memory was written in place; shared by all tensors that see the same memory."""

    __slots__ = ("generation", "shared", "value")

    value: int
    generation: int  # how often the history of the base of these views was replaced
    shared: bool  # whether anything but one tensor can see the memory


def new_version() -> Version:
    """Return the version of new memory."""
    version = Version.__new__(Version)  # three times as fast as a call of the class
    version.value = version.generation = 0
    version.shared = False
    return version


class View:
    """How a view was made: the tensor that owns the memory, and the view ops that lead from it to here."""

    __slots__ = ("base", "generation", "steps")

    def __init__(self, base: TensorBase, steps: tuple[Any, ...], generation: int) -> None:
        self.base = base
        self.steps = steps  # of (op class, arguments)
        self.generation = generation


class TensorBase:
    """An array, the backend that understands it, and its place in the graph."""

    __slots__ = (
        "__dict__", "__weakref__", "_after_hooks", "_array", "_backend", "_counter", "_fresh", "_grad", "_hooks", "_node",
        "_output", "_requires_grad", "_retains_grad", "_view",
    )  # fmt: skip
    result_class = None  # type: Any  # what operations on this class return

    _after_hooks: dict[int, Hook] | None  # of a leaf, called when its `.grad` has grown
    _array: Array
    _backend: Backend
    _fresh: bool  # a gradient that only the backward pass holds; see is_fresh
    _grad: Any
    _hooks: dict[int, Hook] | None  # of a leaf; those of other tensors sit on their node
    _node: Node | None
    _output: int
    _requires_grad: bool
    _retains_grad: bool
    _counter: Version
    _view: View | None

    def __hash__(self) -> int:
        return id(self)


def wrap(cls: type, array: Array, backend: Backend) -> Any:
    """Make a tensor without history; `cls` has no __new__ of its own."""
    return fill(cls.__new__(cls), array, backend)  # type: ignore[call-overload]


def fill(t: TensorBase, array: Array, backend: Backend) -> TensorBase:
    """Give a new tensor its array, and no history."""
    t._after_hooks = None
    t._array = array
    t._backend = backend
    t._fresh = False
    t._grad = None
    t._hooks = None
    t._node = None
    t._output = 0
    t._requires_grad = False
    t._retains_grad = False
    t._counter = new_version()
    t._view = None
    return t


def is_fresh(t: TensorBase) -> bool:
    """Return whether a gradient may be written over: only the backward pass holds it, and nothing else sees its memory."""
    return t._fresh and t._view is None and not t._counter.shared


def overwrite(t: TensorBase, values: TensorBase) -> None:
    """Let `t` take the values of a result that nobody else holds: the in-place change of every `_` method.

    They are written into t's memory if anything else can see it; otherwise t simply takes over the new array.
    """
    version = t._counter
    version.value += 1
    if version.shared or values._counter.shared:
        t._backend.assign(t._array, values._array)
        return
    t._array = values._array
    node = values._node
    if isinstance(node, Op) and node.saved:
        for entry in node.saved:  # what was saved as the result is from now on saved as t
            if isinstance(entry, Saved) and entry.version is values._counter:
                entry.version, entry.value = version, version.value


def refresh(t: TensorBase) -> None:
    """Give a view the history of its base anew, if an in-place operation has replaced that since."""
    view = t._view
    if view is None or view.generation == t._counter.generation:
        return
    with enable_grad():
        again: Any = view.base
        for op, args in view.steps:
            again = op.apply(again, *args)
    t._node, t._output, t._requires_grad = again._node, again._output, again._requires_grad
    view.generation = t._counter.generation


def gradient_edge(t: TensorBase) -> tuple[Any, int]:
    """Return where the gradient of `t` goes: (its node, output number), or (t, 0) for a leaf."""
    return (t, 0) if t._node is None else (t._node, t._output)


class Node:
    """A step of the graph: turns the gradients of its outputs into the gradients of its inputs."""

    shortcuts = None  # type: Any  # {kind of the node that input 0 comes from: function of this node -> Shortcut or None}

    edges: tuple[tuple[Any, int] | None, ...]  # of each argument of forward; None where no gradient goes
    outputs: list[tuple[tuple[int, ...], Any] | None]  # (shape, dtype) of each output; None if not differentiable
    needs_grad: tuple[bool, ...]  # for each argument
    sequence: int
    hooks: dict[int, dict[int, Hook]] | None  # by output number
    retaining: dict[int, Any] | None  # weak references to outputs that keep their gradient

    @property
    def kind(self) -> Any:
        """Return what says which operation this is: the class, or the row of an elementwise one."""
        return type(self)

    def run(self, dys: list[Any]) -> Sequence[Any]:
        """Return a gradient or None for each input."""
        raise NotImplementedError

    def release(self) -> None:
        """Drop what backward needed."""

    def name(self) -> str:
        """Return the name that a tensor shows as its grad_fn."""
        return type(self).__name__ + "Backward"

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The nodes that this one passes gradients to; leaves appear as AccumulateGrad, constants as None."""
        edges = [(None, 0) if edge is None else edge for edge in self.shown()]
        return tuple([(AccumulateGrad(at), 0) if isinstance(at, TensorBase) else (at, k) for at, k in edges])

    def shown(self) -> Sequence[tuple[Any, int] | None]:
        """Return the edges of next_functions: up to the last argument that gets a gradient, as most others are no tensors."""
        return self.edges[: max([i + 1 for i, edge in enumerate(self.edges) if edge is not None], default=0)]

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"


class AccumulateGrad:
    """How a leaf appears among next_functions."""

    def __init__(self, variable: Any) -> None:
        self.variable = variable

    def name(self) -> str:
        """Return the name of this end of the graph."""
        return "torch::autograd::AccumulateGrad"

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {id(self):#x}>"


class Op(Node):
    """A differentiable primitive: `forward` on arrays, by kernels; `backward` on tensors, by other ops.

    forward gets the arguments of apply, arrays in place of tensors; it may `save` arrays (inputs, outputs, others) or
    plain values for backward and keep parameters as attributes.  backward returns a gradient or None for each tensor
    argument: a new tensor which it does not keep, a dy, or a view of one.  It need not undo broadcasting or type promotion,
    and may skip what needs_grad says nobody wants.
    """

    gradients = None  # type: Any # backward on arrays, for when no graph is wanted: all it returns is new memory; or None
    is_view = False  # whether the output shares memory with the first argument
    differentiable = 1 << 30  # how many of the outputs have a gradient (integers never have)
    title = ""  # what its name as a grad_fn begins with, as in PyTorch, if that is not the name of the class

    backend: Backend
    like: Any  # the class of the outputs
    saved: Any

    def forward(self, *args: Any) -> Any:
        """Compute the output array, or a tuple of them."""
        raise NotImplementedError

    def backward(self, *dys: Any) -> Any:
        """Compute the gradients of the inputs: one, or a tuple."""
        raise NotImplementedError

    def save(self, *values: Any) -> None:
        """Keep values for backward; it finds them, arrays as tensors, in saved_tensors."""
        self.saved = values

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run forward, and record the operation if an input requires a gradient."""
        return apply_op(cls(), args)

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What forward saved; RuntimeError if it was freed or changed in place since."""
        return recall(self, False)

    @property
    def saved_arrays(self) -> tuple[Any, ...]:
        """The same, as arrays."""
        return recall(self, True)

    def name(self) -> str:
        return (self.title or type(self).__name__) + "Backward0"

    def run(self, dys: list[Any]) -> Sequence[Any]:
        if self.gradients is not None and not state.grad:
            return on_arrays(self.gradients, self, dys)
        grads = self.backward(*dys)
        return grads if isinstance(grads, tuple) else (grads,)

    def release(self) -> None:
        if self.saved:
            self.saved = None


class Shortcut(Node):
    """Several nodes as one: turns gradients of the outputs of the last into gradients of the inputs of the first.

    The backward pass takes it in place of the last one if no graph is wanted and nobody sees the gradients in between.
    """

    def __init__(self, *nodes: Op) -> None:
        self.nodes = nodes  # the last one first
        self.edges = nodes[-1].edges
        self.needs_grad = nodes[-1].needs_grad

    def gradients(self, *dys: Any) -> Any:
        """Compute the gradients of the inputs of the first node from those of the outputs of the last, as Op.gradients."""
        raise NotImplementedError

    def run(self, dys: list[Any]) -> Sequence[Any]:
        return on_arrays(self.gradients, self.nodes[-1], dys)

    def name(self) -> str:
        return self.nodes[-1].name()


_watcher: Any = None


def watch(watcher: Any) -> None:
    """Tell a watcher (anomaly.py) of all results and gradients, or nobody."""
    global _watcher
    _watcher = watcher


def watcher() -> Any:
    """Return who is told of results and gradients."""
    return _watcher


def tell(node: Node, grads: Any) -> None:
    """Tell the watcher what a node returned in the backward pass."""
    if _watcher is not None:
        _watcher.passed(node, grads)


def own(t: TensorBase, node: Node, output: int) -> None:
    """Make output number `output` of a node the history of a tensor."""
    t._node = node
    t._output = output
    t._requires_grad = True
    if _watcher is not None:
        _watcher.made(node, t)


def record(node: Op, args: tuple[Any, ...], needs: Sequence[bool], outputs: tuple[Any, ...]) -> None:
    """Make a node the history of `outputs`."""
    node.sequence = next_sequence()
    edges: list[Any] = []
    for i, need in enumerate(needs):
        edges.append(gradient_edge(args[i]) if need else None)
    node.edges = tuple(edges)
    described: list[Any] = []
    limit: int = node.differentiable
    for k, out in enumerate(outputs):
        array = out._array
        dtype = array.dtype
        if k < limit and (dtype is _FLOAT32 or dtype.kind == "f"):
            described.append((array.shape, dtype))
            own(out, node, k)
        else:
            described.append(None)
    node.outputs = described
    if node.saved:
        node.saved = tuple([_remember(value, args, outputs) for value in node.saved])


def mixed_devices(op: str, one: Backend, other: Backend) -> RuntimeError:
    """Return the error for tensors that cannot meet."""
    return RuntimeError(
        f"{op}: expected all tensors on the same device, but found {one.name} and {other.name}; move them with .to()"
    )


def apply_op(node: Op, args: tuple[Any, ...]) -> Any:
    """Run a new node forward, and record it if an input requires a gradient."""
    arrays = list(args)
    needs: list[Any] = []
    backend: Any = None
    wanted = False
    for i, arg in enumerate(args):
        need = False
        if isinstance(arg, TensorBase):
            t: TensorBase = arg
            if t._view is not None:
                refresh(t)
            if backend is None:
                backend = t._backend
                node.like = arg.result_class
            elif t._backend is not backend:
                raise mixed_devices(type(node).__name__.lower(), backend, t._backend)
            arrays[i] = t._array
            need = t._requires_grad
            wanted = wanted or need
        needs.append(need)
    assert backend is not None, f"{type(node).__name__}.apply needs a tensor"
    node.backend = backend
    node.saved = ()
    recording = wanted and state.grad
    node.needs_grad = tuple(needs) if recording else (False,) * len(needs)
    result = node.forward(*arrays)
    if isinstance(result, tuple):
        outputs = tuple([wrap(node.like, array, backend) for array in result])
        if recording:
            record(node, args, needs, outputs)
        return outputs
    out = wrap(node.like, result, backend)
    if recording:
        record(node, args, needs, (out,))
    if node.is_view:
        _link_view(type(node), args, out)
    return out


def _link_view(cls: Any, args: tuple[Any, ...], out: TensorBase) -> None:
    """Let `out` share the version counter of the tensor it is a view of, and remember how it was made."""
    source: TensorBase = args[0]
    base, steps = (source, ()) if source._view is None else (source._view.base, source._view.steps)
    out._counter = source._counter
    out._counter.shared = True
    out._view = View(base, (*steps, (cls, args[1:])), out._counter.generation)


class Saved:
    """An array kept for backward: of an input (tensor), of an output (its number), or of nobody (neither)."""

    __slots__ = ("array", "output", "tensor", "value", "version")

    array: Array
    tensor: Any
    output: int
    version: Version | None
    value: int  # of the version, when it was saved


def save_array(array: Array, tensor: Any, output: int, version: Version | None) -> Saved:
    """Keep an array for backward."""
    saved = Saved.__new__(Saved)
    saved.array = array
    saved.tensor = tensor
    saved.output = output
    saved.version = version
    saved.value = version.value if version is not None else 0
    return saved


def _remember(value: Any, args: tuple[Any, ...], outputs: tuple[Any, ...]) -> Any:
    if value is None or not hasattr(value, "dtype"):  # a number, a shape
        return value
    for arg in args:
        if isinstance(arg, TensorBase) and arg._array is value:
            return save_array(value, arg, -1, arg._counter)
    for k, out in enumerate(outputs):
        if out._array is value:  # by number, since a reference to the output itself would be a cycle
            return save_array(value, None, k, out._counter)
    return save_array(value, None, -1, None)


def on_arrays(gradients: Any, node: Op, dys: list[Any]) -> tuple[Any, ...]:
    """Run a function of the arrays of dys, and make tensors like those of a node of what it returns."""
    arrays: list[Any] = []
    for dy in dys:
        if dy is None:
            arrays.append(None)
            continue
        t: TensorBase = dy
        if t._backend is not node.backend:
            raise mixed_devices(node.name(), node.backend, t._backend)
        arrays.append(t._array)
    return tuple([None if grad is None else wrap(node.like, grad, node.backend) for grad in gradients(*arrays)])


def recall(node: Op, as_arrays: bool) -> tuple[Any, ...]:
    """Return what a node saved, arrays as tensors or as they are."""
    if node.saved is None:
        raise RuntimeError(
            "trying to go backward through the graph a second time, but what it saved has been freed; "
            "say backward(retain_graph=True) the first time"
        )
    return tuple([_recall(node, entry, as_arrays) for entry in node.saved])


def _recall(node: Op, entry: Any, as_array: bool) -> Any:
    if not isinstance(entry, Saved):
        return entry
    saved: Saved = entry
    if saved.version is not None and saved.version.value != saved.value:
        raise RuntimeError(
            f"{node.name()}: a tensor of shape {tuple(saved.array.shape)} needed for the gradient has been changed by an "
            f"in-place operation: it is at version {saved.version.value}, but version {saved.value} is needed"
        )
    if as_array:
        return saved.array if saved.tensor is None else saved.tensor._array
    if saved.tensor is not None:
        return saved.tensor
    t = wrap(node.like, saved.array, node.backend)
    if saved.output >= 0 and node.outputs[saved.output] is not None:
        own(t, node, saved.output)
    return t
