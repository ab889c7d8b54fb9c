"""The backward pass: iterative, each node once, gradients in a local table, what was used is freed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .graph import Hook, Node, TensorBase, gradient_edge, refresh, tell, wrap
from .modes import state
from .rows import operators


class LeafGradient:
    """The gradient of a leaf so far, and whether nobody else can hold the same tensor."""

    __slots__ = ("fresh", "grad", "leaf")

    def __init__(self, leaf: Any) -> None:
        self.leaf = leaf
        self.grad: Any = None
        self.fresh = False


class _Table:
    """Gradients on their way: those of nodes that have yet to run, and those of leaves."""

    __slots__ = ("leaves", "nodes", "passed")

    def __init__(self) -> None:
        self.nodes: dict[Any, list[Any]] = {}
        self.passed: set[Node] = set()  # by shortcuts
        self.leaves: dict[int, LeafGradient] = {}

    def add(self, target: Any, k: int, grad: Any) -> LeafGradient | None:
        """Add a gradient of output k of a node, or of a leaf, whose total is returned."""
        if isinstance(target, Node):
            node: Node = target
            slots = self.nodes.get(node)
            if slots is None:
                slots = self.nodes[node] = [None] * len(node.outputs)
            slots[k] = grad if slots[k] is None else _sum(slots[k], grad)
            return None
        key = id(target)
        total = self.leaves.get(key)
        if total is None:
            total = self.leaves[key] = LeafGradient(target)
        if total.grad is None:
            total.grad = grad
        else:
            total.grad = _sum(total.grad, grad)
            total.fresh = True
        return total


def _sum(a: TensorBase, b: TensorBase) -> Any:
    """Add two gradients of one shape and dtype."""
    if state.grad:  # create_graph
        return operators.add(a, b)
    return wrap(a.result_class, operators.add.loop(a._backend)(a._array, b._array), a._backend)


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
            if dys is not None:
                _run(node, dys, table, wanted)
            if not retain_graph and (dys is not None or node in table.passed):
                node.release()
        for total in table.leaves.values():
            if total.leaf._hooks:
                total.fresh = False
                total.grad = _call_hooks(total.leaf._hooks, total.grad)
    finally:
        state.grad = previous
    leaves = list(table.leaves.values())
    return ([] if wanted is None else wanted.gradients(table.leaves)), leaves


def _run(node: Node, dys: list[Any], table: _Table, wanted: _Wanted | None) -> None:
    """Run one node and hand on what it returns."""
    if node.hooks is not None or node.retaining is not None:
        _run_hooks(node, dys)
    if wanted is not None:
        wanted.take(node, dys)
        if node not in wanted.nodes:
            return
    if node.shortcuts and not state.grad:
        node = _shortcut(node, table, wanted)
    grads = node.run(dys) if wanted is None else wanted.run(node, dys)
    tell(node, grads)
    edges = node.edges
    for i in range(min(len(edges), len(grads))):
        edge, grad = edges[i], grads[i]
        if edge is None or grad is None or (wanted is not None and not wanted.leads(edge)):
            continue
        target, k = edge
        fitted = _fit(node, i, target, k, grad)
        total = table.add(target, k, fitted)
        if total is not None and total.grad is fitted:  # the first gradient of a leaf may become its .grad
            total.fresh = fitted is not grad or (
                node.makes_fresh_gradients and grad._view is None and not _held(grad, dys, grads, i)
            )


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


def _held(grad: Any, dys: list[Any], grads: Sequence[Any], place: int) -> bool:
    """Return whether a gradient also came in, or goes elsewhere."""
    for other in dys:
        if other is grad:
            return True
    for i in range(len(grads)):  # noqa: SIM110  (any() would make a generator)
        if i != place and grads[i] is grad:
            return True
    return False


def _topological(starts: list[Any]) -> list[Any]:
    """Return all nodes that can be reached, later ones first."""
    found: dict[int, Any] = {}
    stack = []
    for start in starts:
        if start.sequence not in found:
            found[start.sequence] = start
            stack.append(start)
    while stack:
        node: Node = stack.pop()
        for edge in node.edges:
            if edge is not None and isinstance(edge[0], Node):
                earlier: Node = edge[0]
                if earlier.sequence not in found:
                    found[earlier.sequence] = earlier
                    stack.append(earlier)
    return [found[sequence] for sequence in sorted(found, reverse=True)]


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
        for i, (target, _) in enumerate(self.edges):
            if isinstance(target, Node):
                result.append(self.found.get(i))
            else:
                result.append(leaves[id(target)].grad if id(target) in leaves else None)
        return result
