"""The hot core: the data side of a tensor, operations as nodes of a graph, and the backward pass.

A recorded operation is a Node.  Its `edges` say where the gradient of each input goes: to output k of an earlier
node, or to a leaf tensor.  Nodes only point to earlier nodes, so their sequence numbers are a topological order.
A node keeps what its backward needs in `saved`, and nothing else: an input that is not saved is free to go.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from ..backends.base import Array, Backend
from .modes import enable_grad, set_grad_enabled, state

Hook = Callable[[Any], Any]
_sequence = itertools.count().__next__


class Version:
    """How often memory was written in place; shared by all tensors that see the same memory."""

    __slots__ = ("generation", "shared", "value")

    def __init__(self) -> None:
        self.value = 0
        self.generation = 0  # how often the history of the base of these views was replaced
        self.shared = False  # whether anything but one tensor can see the memory


class View:
    """How a view was made: the tensor that owns the memory, and the view ops that lead from it to here."""

    __slots__ = ("base", "generation", "steps")

    def __init__(self, base: TensorBase, steps: tuple[tuple[type[Op], tuple[Any, ...]], ...], generation: int) -> None:
        self.base = base
        self.steps = steps
        self.generation = generation


class TensorBase:
    """An array, the backend that understands it, and its place in the graph."""

    __slots__ = (
        "__dict__", "__weakref__", "_array", "_backend", "_grad", "_hooks", "_node", "_output", "_requires_grad",
        "_retains_grad", "_version", "_view",
    )  # fmt: skip
    result_class: ClassVar[type[TensorBase]]  # what operations on this class return

    _array: Array
    _backend: Backend
    _grad: Any
    _hooks: dict[int, Hook] | None  # of a leaf; those of other tensors sit on their node
    _node: Node | None
    _output: int
    _requires_grad: bool
    _retains_grad: bool
    _version: Version
    _view: View | None


def wrap(cls: type[TensorBase], array: Array, backend: Backend) -> Any:
    """Make a tensor without history."""
    t: Any = TensorBase.__new__(cls)  # past any __new__ of a subclass
    t._array = array
    t._backend = backend
    t._grad = None
    t._hooks = None
    t._node = None
    t._output = 0
    t._requires_grad = False
    t._retains_grad = False
    t._version = Version()
    t._view = None
    return t


def overwrite(t: TensorBase, values: TensorBase) -> None:
    """Let `t` take the values of a result that nobody else holds: the in-place change of every `_` method.

    They are written into t's memory if anything else can see it; otherwise t simply takes over the new array.
    """
    version = t._version
    version.value += 1
    if version.shared or values._version.shared:
        t._backend.assign(t._array, values._array)
        return
    t._array = values._array
    if isinstance(values._node, Op) and values._node.saved:
        for entry in values._node.saved:  # what was saved as the result is from now on saved as t
            if isinstance(entry, _Saved) and entry.version is values._version:
                entry.version, entry.value = version, version.value


def refresh(t: TensorBase) -> None:
    """Give a view the history of its base anew, if an in-place operation has replaced that since."""
    view = t._view
    if view is None or view.generation == t._version.generation:
        return
    with enable_grad():
        again: Any = view.base
        for op, args in view.steps:
            again = op.apply(again, *args)
    t._node, t._output, t._requires_grad = again._node, again._output, again._requires_grad
    view.generation = t._version.generation


class Node:
    """A step of the graph: turns the gradients of its outputs into the gradients of its inputs."""

    edges: tuple[
        tuple[Any, int] | None, ...
    ] = ()  # (node or leaf, output number) of each tensor input; None: no gradient
    outputs: list[tuple[tuple[int, ...], Any] | None]  # (shape, dtype) of each output; None: not differentiable
    needs_grad: tuple[bool, ...] = ()
    sequence = 0
    hooks: dict[int, dict[int, Hook]] | None = None  # by output number
    retaining: dict[int, Any] | None = None  # weak references to outputs that keep their gradient
    makes_fresh_gradients = True  # whether nobody else holds the gradients that run() returns

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
        """The nodes that this one passes gradients to; leaves appear as AccumulateGrad."""
        return tuple(
            edge if isinstance(edge[0], Node) else (AccumulateGrad(edge[0]), 0)
            for edge in self.edges
            if edge is not None
        )

    def __repr__(self) -> str:
        return f"<{self.name()}>"


class AccumulateGrad:
    """How a leaf appears among next_functions."""

    def __init__(self, variable: TensorBase) -> None:
        self.variable = variable

    def name(self) -> str:
        """Return the name of this end of the graph."""
        return "AccumulateGrad"


class Op(Node):
    """A differentiable primitive: `forward` on arrays, by kernels; `backward` on tensors, by other ops.

    forward gets the arguments of apply, arrays in place of tensors; it may `save` arrays (inputs, outputs, others) or
    plain values for backward and keep parameters as attributes.  backward returns a gradient or None for each tensor
    argument; it need not undo broadcasting or type promotion, and may skip what needs_grad says nobody wants.
    """

    is_view = False  # whether the output shares memory with the first argument
    differentiable = 1 << 30  # how many of the outputs have a gradient (integers never have)
    backend: Backend
    saved: Any = ()
    like: type[TensorBase]

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
        node = cls()
        arrays = list(args)
        needs = []
        backend = None
        for i, arg in enumerate(args):
            if isinstance(arg, TensorBase):
                if backend is None:
                    backend = arg._backend
                    node.like = arg.result_class
                elif arg._backend is not backend:
                    raise RuntimeError(
                        f"{cls.__name__.lower()}: expected all tensors on the same device, but found "
                        f"{backend.name} and {arg._backend.name}; move them with .to()"
                    )
                if arg._view is not None:
                    refresh(arg)
                arrays[i] = arg._array
                needs.append(arg._requires_grad)
            else:
                needs.append(False)
        assert backend is not None, f"{cls.__name__}.apply needs a tensor"
        node.backend = backend
        recording = state.grad and True in needs
        node.needs_grad = tuple(needs) if recording else (False,) * len(needs)
        result = node.forward(*arrays)
        results = result if isinstance(result, tuple) else (result,)
        outputs = tuple([wrap(node.like, array, backend) for array in results])
        if recording:
            node.record(args, outputs)
        if cls.is_view:
            _link_view(cls, args, outputs[0])
        return outputs if isinstance(result, tuple) else outputs[0]

    def record(self, args: tuple[Any, ...], outputs: tuple[Any, ...]) -> None:
        """Make this node the history of `outputs`."""
        self.sequence = _sequence()
        self.edges = tuple([gradient_edge(arg) if need else None for arg, need in zip(args, self.needs_grad)])
        self.outputs = []
        for k, out in enumerate(outputs):
            array = out._array
            if array.dtype.kind == "f" and k < self.differentiable:
                self.outputs.append((array.shape, array.dtype))
                out._node, out._output, out._requires_grad = self, k, True
            else:
                self.outputs.append(None)
        self.saved = tuple([_remember(value, args, outputs) for value in self.saved])

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What forward saved; RuntimeError if it was freed or changed in place since."""
        if self.saved is None:
            raise RuntimeError(
                "trying to go backward through the graph a second time, but what it saved has been freed; "
                "say backward(retain_graph=True) the first time"
            )
        return tuple([_recall(self, entry) for entry in self.saved])

    def run(self, dys: list[Any]) -> Sequence[Any]:
        grads = self.backward(*dys)
        return grads if isinstance(grads, tuple) else (grads,)

    def release(self) -> None:
        if self.saved:
            self.saved = None


def gradient_edge(t: TensorBase) -> tuple[Any, int]:
    """Return where the gradient of `t` goes: (its node, output number), or (t, 0) for a leaf."""
    return (t, 0) if t._node is None else (t._node, t._output)


def _link_view(cls: type[Op], args: tuple[Any, ...], out: TensorBase) -> None:
    """Let `out` share the version counter of the tensor it is a view of, and remember how it was made."""
    source = args[0]
    base, steps = (source, ()) if source._view is None else (source._view.base, source._view.steps)
    out._version = source._version
    out._version.shared = True
    out._view = View(base, (*steps, (cls, args[1:])), out._version.generation)


class _Saved:
    """An array kept for backward: of an input (tensor), of an output (its number), or of nobody (neither)."""

    __slots__ = ("array", "output", "tensor", "value", "version")

    def __init__(self, array: Array, tensor: TensorBase | None, output: int, version: Version | None) -> None:
        self.array = array
        self.tensor = tensor
        self.output = output
        self.version = version
        self.value = version.value if version is not None else 0


def _remember(value: Any, args: tuple[Any, ...], outputs: tuple[Any, ...]) -> Any:
    if not hasattr(value, "dtype"):  # a number, a shape, None
        return value
    for arg in args:
        if isinstance(arg, TensorBase) and arg._array is value:
            return _Saved(value, arg, -1, arg._version)
    for k, out in enumerate(outputs):
        if out._array is value:  # by number, since a reference to the output itself would be a cycle
            return _Saved(value, None, k, out._version)
    return _Saved(value, None, -1, None)


def _recall(node: Op, entry: Any) -> Any:
    if not isinstance(entry, _Saved):
        return entry
    if entry.version is not None and entry.version.value != entry.value:
        raise RuntimeError(
            f"{node.name()}: a tensor of shape {tuple(entry.array.shape)} needed for the gradient has been changed by an "
            f"in-place operation: it is at version {entry.version.value}, but version {entry.value} is needed"
        )
    if entry.tensor is not None:
        return entry.tensor
    t = wrap(node.like, entry.array, node.backend)
    if entry.output >= 0 and node.outputs[entry.output] is not None:
        t._node, t._output, t._requires_grad = node, entry.output, True
    return t


# ---- the backward pass ----


class _Sum:
    """The gradient of a leaf so far, and whether somebody else may hold the same tensor."""

    __slots__ = ("fresh", "grad", "leaf")

    def __init__(self, leaf: TensorBase) -> None:
        self.leaf = leaf
        self.grad: Any = None
        self.fresh = False


def propagate(
    roots: Iterable[tuple[TensorBase, Any]],
    targets: Sequence[TensorBase] | None,
    retain_graph: bool,
    create_graph: bool,
) -> tuple[list[Any], list[_Sum]]:
    """Send gradients from `roots` (tensor, its gradient) back through the graph.

    Returns the gradients of `targets` (None where there is none), and the sums of all leaves that were reached.
    With targets only the nodes that lead to one of them run.
    """
    pending: dict[Node, list[Any]] = {}
    leaves: dict[int, _Sum] = {}

    def deliver(edge: tuple[Any, int], grad: Any, fresh: bool) -> None:
        target, k = edge
        if isinstance(target, Node):
            slots = pending.get(target)
            if slots is None:
                slots = pending[target] = [None] * len(target.outputs)
            slots[k] = grad if slots[k] is None else slots[k] + grad
        else:
            total = leaves.get(id(target))
            if total is None:
                total = leaves[id(target)] = _Sum(target)
            total.fresh = fresh or total.grad is not None
            total.grad = grad if total.grad is None else total.grad + grad

    with set_grad_enabled(create_graph):
        starts = []
        for tensor, grad in roots:
            refresh(tensor)
            edge = gradient_edge(tensor)
            deliver(edge, grad, False)
            if isinstance(edge[0], Node):
                starts.append(edge[0])
        order = _topological(starts)
        wanted = None if targets is None else _Wanted(targets, order)
        for node in order:
            dys = pending.pop(node, None)
            if dys is None:
                continue
            if node.hooks is not None or node.retaining is not None:
                _run_hooks(node, dys)
            if wanted is not None:
                wanted.take(node, dys)
                if node not in wanted.nodes:
                    continue
            grads = wanted.run(node, dys) if wanted is not None else node.run(dys)
            for i, (edge, grad) in enumerate(zip(node.edges, grads)):
                if edge is None or grad is None or (wanted is not None and not wanted.leads(edge)):
                    continue
                fitted = _fit(node, i, edge, grad)
                fresh = fitted is not grad or (
                    node.makes_fresh_gradients
                    and grad._view is None
                    and not _holds(dys, grad)
                    and not _holds(grads[:i], grad)
                )
                deliver(edge, fitted, fresh)
            if not retain_graph:
                node.release()
        for total in leaves.values():
            if total.leaf._hooks:
                total.fresh = False
                total.grad = _call_hooks(total.leaf._hooks, total.grad)
    if wanted is None:
        return [], list(leaves.values())
    return wanted.gradients(leaves), list(leaves.values())


def _holds(tensors: Iterable[Any], one: Any) -> bool:
    return any(t is one for t in tensors)


def _topological(starts: list[Node]) -> list[Node]:
    """Return all nodes that can be reached, later ones first."""
    seen = set(starts)
    stack = list(seen)
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and isinstance(edge[0], Node) and edge[0] not in seen:
                seen.add(edge[0])
                stack.append(edge[0])
    return sorted(seen, key=_by_sequence, reverse=True)


def _by_sequence(node: Node) -> int:
    return node.sequence


def _fit(node: Node, i: int, edge: tuple[Any, int], grad: Any) -> Any:
    """Undo the broadcasting and the type promotion that forward applied to an input."""
    target, k = edge
    shape, dtype = target.outputs[k] if isinstance(target, Node) else (target._array.shape, target._array.dtype)
    if grad._array.shape != shape:
        try:
            grad = grad.sum_to_size(shape)
        except RuntimeError as error:
            raise RuntimeError(
                f"{node.name()}: returned a gradient of shape {tuple(grad._array.shape)} for input {i} of shape {tuple(shape)}"
            ) from error
    return grad if grad._array.dtype == dtype else grad.to(dtype)


def _call_hooks(hooks: dict[int, Hook], grad: Any) -> Any:
    for hook in list(hooks.values()):
        replaced = hook(grad)
        if not (replaced is None or isinstance(replaced, TensorBase)):
            raise TypeError(f"a gradient hook must return a tensor or None, got {type(replaced).__name__}")
        grad = grad if replaced is None else replaced
    return grad


def _run_hooks(node: Node, dys: list[Any]) -> None:
    """Let hooks see and replace the gradients of a node's outputs, and keep those that are to be retained."""
    for k, hooks in (node.hooks or {}).items():
        if dys[k] is not None:
            dys[k] = _call_hooks(hooks, dys[k])
    for k, reference in (node.retaining or {}).items():
        tensor = reference()
        if tensor is not None and dys[k] is not None:
            tensor._grad = dys[k] if tensor._grad is None else tensor._grad + dys[k]


class _Wanted:
    """The part of the graph that leads to given tensors, and their gradients as they come by."""

    def __init__(self, targets: Sequence[TensorBase], order: list[Node]) -> None:
        for target in targets:
            refresh(target)
        self.edges = [gradient_edge(target) for target in targets]
        self.found: dict[int, Any] = {}
        self._places: dict[Any, list[int]] = {}
        for i, (target, k) in enumerate(self.edges):
            self._places.setdefault((id(target), k), []).append(i)
        self._producers = {target for target, _ in self.edges if isinstance(target, Node)}
        self.nodes: set[Node] = set()
        for node in reversed(order):
            if any(edge is not None and self.leads(edge) for edge in node.edges):
                self.nodes.add(node)

    def leads(self, edge: tuple[Any, int]) -> bool:
        """Return whether a gradient sent along this edge reaches a target."""
        target, k = edge
        return (id(target), k) in self._places or (isinstance(target, Node) and target in self.nodes)

    def take(self, node: Node, dys: list[Any]) -> None:
        """Keep the gradients of those outputs of `node` that are targets."""
        if node in self._producers:
            for k, dy in enumerate(dys):
                for i in self._places.get((id(node), k), ()):
                    self.found[i] = dy

    def run(self, node: Node, dys: list[Any]) -> Sequence[Any]:
        """Run a node for the inputs that matter only."""
        needs = node.needs_grad
        node.needs_grad = tuple([edge is not None and self.leads(edge) for edge in node.edges])
        try:
            return node.run(dys)
        finally:
            node.needs_grad = needs

    def gradients(self, leaves: dict[int, _Sum]) -> list[Any]:
        """Return the gradient of each target in order."""
        return [
            self.found.get(i) if isinstance(target, Node) else leaves[id(target)].grad if id(target) in leaves else None
            for i, (target, _) in enumerate(self.edges)
        ]
