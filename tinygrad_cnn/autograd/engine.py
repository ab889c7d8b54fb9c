"""The backward pass: iterative, each node once, gradients in a local table, what was used is freed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from .graph import Hook, Node, Op, Shortcut, TensorBase, gradient_edge, is_fresh, mixed_devices, refresh, tell, wrap
from .modes import state
from .rows import operators


class LeafGradient:
    """The gradient of a leaf so far."""

    __slots__ = ("grad", "leaf")

    def __init__(self, leaf: Any, grad: Any) -> None:
        self.leaf = leaf
        self.grad = grad


class _Table:
    """Gradients on their way: those of nodes that have yet to run, and those of leaves.

    A gradient that only this table holds is marked as fresh: what is added later goes into its memory.
    """

    __slots__ = ("leaves", "nodes", "passed")

    def __init__(self) -> None:
        self.nodes: dict[Any, list[Any]] = {}
        self.passed: set[Node] = set()  # by shortcuts
        self.leaves: dict[int, LeafGradient] = {}

    def add(self, target: Any, k: int, grad: Any) -> None:
        """Add a gradient of output k of a node, or of a leaf."""
        if isinstance(target, Node):
            node: Node = target
            slots = self.nodes.get(node)
            if slots is None:
                slots = self.nodes[node] = [None] * len(node.outputs)
            slots[k] = grad if slots[k] is None else _sum(slots[k], grad)
            return
        key = id(target)
        total = self.leaves.get(key)
        if total is None:
            self.leaves[key] = LeafGradient(target, grad)
        else:
            total.grad = _sum(total.grad, grad)


def _sum(a: TensorBase, b: TensorBase) -> Any:
    """Add two gradients of one shape and dtype, in the memory of one of them if that is fresh."""
    if state.grad:  # create_graph
        return operators.add(a, b)
    if not is_fresh(a):
        a, b = b, a
    if is_fresh(a):
        operators.add.update(a, b)
        return a
    total: TensorBase = operators.add(a, b)
    total._fresh = True
    return total


def propagate(
    roots: Iterable[tuple[Any, Any]], targets: Sequence[Any] | None, retain_graph: bool, create_graph: bool
) -> tuple[list[Any], list[LeafGradient]]:
    """Send gradients from `roots` (tensor, its gradient) back through the graph.

    Returns the gradients of `targets` (None where there is none), and those of all leaves that were reached.  With targets
    only the nodes that lead to one of them run.
    """
    table = _Table()
    starts = []
    previous = state.grad
    state.grad = create_graph
    try:
        for tensor, grad in roots:
            refresh(tensor)
            target, k = gradient_edge(tensor)
            table.add(target, k, grad)
            if isinstance(target, Node):
                starts.append(target)
        order = _topological(starts)
        wanted = None if targets is None else _Wanted(targets, order)
        for node in order:
            dys = table.nodes.pop(node, None)
            ran = dys is not None and _run(node, dys, table, wanted)
            if not retain_graph and (ran or node in table.passed):
                node.release()
        for total in table.leaves.values():
            if total.leaf._hooks:
                total.grad = _call_hooks(total.leaf._hooks, total.grad)
    finally:
        state.grad = previous
    leaves = list(table.leaves.values())
    return ([] if wanted is None else wanted.gradients(table.leaves)), leaves


def _run(node: Node, dys: list[Any], table: _Table, wanted: _Wanted | None) -> bool:
    """Run one node and hand on what it returns; return whether it was needed."""
    if node.hooks is not None or node.retaining is not None:
        _run_hooks(node, dys)
    if wanted is not None:
        wanted.take(node, dys)
        if node not in wanted.nodes:
            return False
    recording = state.grad
    if node.shortcuts and not recording:
        node = _shortcut(node, table, wanted)
    ours = isinstance(node, (Op, Shortcut))  # and not a user's Function, which may keep what it sees and returns
    if not ours:
        _seen(dys)
    grads = node.run(dys) if wanted is None else wanted.run(node, dys)
    tell(node, grads)
    edges = node.edges
    for i in range(min(len(edges), len(grads))):
        edge, grad = edges[i], grads[i]
        if edge is None or grad is None or (wanted is not None and not wanted.leads(edge)):
            continue
        target, k = edge
        fitted: TensorBase = _fit(node, i, target, k, grad)
        if not recording:
            fitted._fresh = fitted is not grad or _is_ours(grad, dys, grads, i, ours)
        table.add(target, k, fitted)
    return True


def _is_ours(grad: TensorBase, dys: list[Any], grads: Sequence[Any], place: int, new: bool) -> bool:
    """Return whether a gradient goes nowhere else, and was fresh when it came in, or (`new` says so) is when it was made."""
    for i in range(len(grads)):
        if i != place and grads[i] is grad:
            return False
    for dy in dys:
        if dy is grad:
            return grad._fresh
    return new


def _seen(grads: Iterable[Any]) -> None:
    """Note that others see these gradients from now on."""
    for grad in grads:
        if grad is not None:
            grad._fresh = False


def _shortcut(node: Node, table: _Table, wanted: _Wanted | None) -> Node:
    """Return the shortcut that begins at a node, if it has one and nobody sees the gradients in between; else the node."""
    edge = node.edges[0]
    if edge is None or not isinstance(edge[0], Node):
        return node
    before: Node = edge[0]
    find = node.shortcuts.get(before.kind)
    shortcut = None if find is None else find(node)
    if shortcut is None:
        return node
    for one in shortcut.nodes[1:]:
        if one.hooks or one.retaining or (wanted is not None and one in wanted.producers):
            return node
    table.passed.update(shortcut.nodes[1:])
    return shortcut


def _topological(starts: list[Any]) -> list[Any]:
    """Return all nodes that can be reached, later ones first."""
    found: set[Any] = set()
    order: list[Any] = []
    stack = starts
    is_sorted = True
    last: Any = None
    while stack:
        node: Node = stack.pop()
        if node in found:
            continue
        found.add(node)
        order.append(node)
        if last is not None and node.sequence > last.sequence:
            is_sorted = False
        last = node
        for edge in node.edges:
            if edge is not None and isinstance(edge[0], Node):
                stack.append(edge[0])
    if not is_sorted:
        order.sort(key=attrgetter("sequence"), reverse=True)
    return order


def _fit(node: Node, i: int, target: Any, k: int, grad: Any) -> Any:
    """Undo the broadcasting and the type promotion that forward applied to an input."""
    if isinstance(target, Node):
        earlier: Node = target
        expected: Any = earlier.outputs[k]
        shape, dtype = expected
    else:
        leaf: TensorBase = target
        shape, dtype = leaf._array.shape, leaf._array.dtype
    t: TensorBase = grad
    given = t._array
    if given.shape != shape:
        try:
            grad = grad.sum_to_size(shape)
        except RuntimeError as error:
            raise RuntimeError(
                f"{node.name()}: returned a gradient of shape {tuple(given.shape)} for input {i} of shape {tuple(shape)}"
            ) from error
    return grad if given.dtype is dtype or given.dtype == dtype else grad.to(dtype)


def _call_hooks(hooks: dict[int, Hook], grad: Any) -> Any:
    for hook in list(hooks.values()):
        _seen((grad,))
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
            _seen((dys[k],))
            tensor._grad = dys[k] if tensor._grad is None else tensor._grad + dys[k]


def accumulate(leaf: TensorBase, grad: TensorBase, create_graph: bool) -> None:
    """Add to `.grad`: the first gradient is taken over if it is fresh, later ones are added in place."""
    before: Any = leaf._grad
    if create_graph:
        leaf._grad = grad if before is None else before + grad
    elif before is None and is_fresh(grad):
        grad._fresh = False
        leaf._grad = grad
    elif before is None:
        leaf._grad = wrap(leaf.result_class, leaf._backend.copy(grad._array), leaf._backend)
    else:
        _add_in_place(before, grad)
    if leaf._after_hooks:
        for hook in list(leaf._after_hooks.values()):
            hook(leaf)


def _add_in_place(total: TensorBase, grad: TensorBase) -> None:
    """Add a gradient to a `.grad`, in its memory, which anybody may see."""
    if total._backend is not grad._backend:
        raise mixed_devices("backward", total._backend, grad._backend)
    array = total._backend.update("add")(total._array, grad._array)
    if array is not total._array:
        total._backend.assign(total._array, array)
    total._counter.value += 1


class _Wanted:
    """The part of the graph that leads to given tensors, and their gradients as they come by."""

    def __init__(self, targets: Sequence[Any], order: list[Node]) -> None:
        for target in targets:
            refresh(target)
        self.edges = [gradient_edge(target) for target in targets]
        self.found: dict[int, Any] = {}
        self._places: dict[Any, list[int]] = {}
        for i, (target, k) in enumerate(self.edges):
            self._places.setdefault((id(target), k), []).append(i)
        self.producers = {target for target, _ in self.edges if isinstance(target, Node)}
        self.nodes: set[Node] = set()
        for node in reversed(order):
            for edge in node.edges:
                if edge is not None and self.leads(edge):
                    self.nodes.add(node)
                    break

    def leads(self, edge: tuple[Any, int]) -> bool:
        """Return whether a gradient sent along this edge reaches a target."""
        target, k = edge
        return (id(target), k) in self._places or (isinstance(target, Node) and target in self.nodes)

    def take(self, node: Node, dys: list[Any]) -> None:
        """Keep the gradients of those outputs of `node` that are targets."""
        if node in self.producers:
            _seen(dys)
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

    def gradients(self, leaves: dict[int, LeafGradient]) -> list[Any]:
        """Return the gradient of each target in order."""
        result = []
        _seen([total.grad for total in leaves.values()])
        for i, (target, _) in enumerate(self.edges):
            if isinstance(target, Node):
                result.append(self.found.get(i))
            else:
                result.append(leaves[id(target)].grad if id(target) in leaves else None)
        return result
