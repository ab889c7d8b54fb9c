"""Elementwise operations, each one row: a kernel, its derivatives, and what they need.

A derivative is a function of dy and of what it needs: the operands a, b, c, d and the result y, by these names.  Only what the
wanted derivatives use is kept for backward.  The commonest derivatives need no Python: SAME is dy itself, and (row, "b") is
row(dy, b), which is written over dy if nobody else sees it; ITSELF stands for the row whose derivative it is.  The rows
themselves are in ops/elementwise.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backends.base import Backend
from ..geometry import broadcast
from .graph import (
    Node,
    Op,
    TensorBase,
    gradient_edge,
    is_fresh,
    mixed_devices,
    next_sequence,
    own,
    recall,
    refresh,
    save_array,
    wrap,
)
from .modes import state

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
POSITIONS = {"a": 0, "b": 1, "c": 2, "d": 3, "y": -1}


SAME: tuple[Any, ...] = ()
ITSELF = object()
Derivative = Callable[..., Any] | tuple[Any, ...]


class Step:
    """A derivative, and where in what is saved it finds what it needs."""

    __slots__ = ("derivative", "places", "row")

    def __init__(self, derivative: Any, places: tuple[int, ...], row: Row) -> None:
        self.derivative = derivative
        self.places = places
        first = derivative[0] if isinstance(derivative, tuple) and derivative else None
        self.row: Row | None = row if first is ITSELF else first


class Plan:
    """What to do for one choice of operands that need a gradient."""

    __slots__ = ("kept", "last", "needs", "steps")

    def __init__(self, row: Row, needs: tuple[bool, ...]) -> None:
        wanted = [need and d is not None for need, d in zip(needs, row.derivatives)]
        uses = [places for want, places in zip(wanted, row.uses) if want]
        self.needs = needs
        self.kept = sorted({i for places in uses for i in places})  # positions in (*operands, y) of what is saved
        self.steps = tuple([
            Step(d, tuple([self.kept.index(i) for i in places]), row) if want else None
            for want, d, places in zip(wanted, row.derivatives, row.uses)
        ])  # fmt: skip
        self.last = max([i for i, want in enumerate(wanted) if want], default=-1)  # the last one that reads dy


def _needed(derivative: Derivative | None) -> list[int]:
    """Return the positions in (*operands, y) of what a derivative needs besides dy."""
    if derivative is None:
        return []
    names = derivative[1:] if isinstance(derivative, tuple) else list(inspect.signature(derivative).parameters)[1:]
    return [POSITIONS[name] for name in names]


class Row:
    """An elementwise operation: call it with tensors and numbers of one dtype."""

    __slots__ = ("derivatives", "function", "loops", "name", "plans", "shortcuts", "updates", "uses")

    def __init__(self, name: str, derivatives: tuple[Derivative | None, ...]) -> None:
        self.name = name
        self.derivatives = derivatives
        self.uses = [_needed(d) for d in derivatives]
        self.plans: dict[int, Plan] = {}
        self.loops: dict[Backend, Any] = {}
        self.updates: dict[Backend, Any] = {}
        self.function: Any = None  # what users call: it checks and promotes first
        self.shortcuts: dict[Any, Any] = {}  # of its nodes

    def __call__(self, *operands: Any) -> Any:
        return apply_row(self, operands)

    def loop(self, backend: Backend) -> Any:
        """Return the kernel on a device."""
        found = self.loops.get(backend)
        if found is None:
            found = self.loops[backend] = backend.loop(self.name)
        return found

    def update(self, t: TensorBase, other: Any) -> None:
        """Let a tensor that nobody else sees become the result for it and another tensor, or a number, or None."""
        kernel = self.updates.get(t._backend)
        if kernel is None:
            kernel = self.updates[t._backend] = t._backend.update(self.name)
        if isinstance(other, TensorBase):
            operand: TensorBase = other
            other = operand._array
        t._array = kernel(t._array) if other is None else kernel(t._array, other)

    def plan(self, needs: int, count: int) -> Plan:
        """Return the plan for `count` operands; bit i of `needs` says whether operand i needs a gradient."""
        key = needs * 8 + count
        found = self.plans.get(key)
        if found is None:
            found = self.plans[key] = Plan(self, tuple([bool(needs >> i & 1) for i in range(count)]))
        return found


class Elementwise(Op):
    """The node of a row."""

    row: Row
    plan: Plan

    @property
    def kind(self) -> Row:
        return self.row

    @property
    def shortcuts(self) -> Any:
        return self.row.shortcuts

    def shown(self) -> Any:
        arithmetic = (operators.add, operators.sub, operators.mul, operators.div)  # whose numbers count as constants
        return self.edges if self.row in arithmetic else Op.shown(self)

    def name(self) -> str:
        return self.row.name.title().replace("_", "") + "Backward0"

    def run(self, dys: list[Any]) -> Any:
        dy = dys[0]
        plan = self.plan
        saved = recall(self, False) if plan.kept else ()
        grads: list[Any] = []
        for i in range(len(plan.steps)):
            step = plan.steps[i]
            if step is None or not self.needs_grad[i]:
                grads.append(None)
            else:
                last = i == plan.last and is_fresh(dy) and not _contains(grads, dy)
                grads.append(_derive(step, dy, saved, last))
        return grads


def _derive(step: Step, dy: Any, saved: tuple[Any, ...], last: bool) -> Any:
    """Return a derivative; if nobody needs dy after this, it may be written over."""
    places = step.places
    if step.row is not None:
        other = saved[places[0]] if places else None
        if not last:
            return apply_row(step.row, (dy, other) if places else (dy,))
        step.row.update(dy, other)
        return dy
    derivative = step.derivative
    if derivative is SAME:
        return dy
    if len(places) == 1:
        return derivative(dy, saved[places[0]])
    return derivative(dy, *[saved[k] for k in places])


def _contains(grads: list[Any], dy: Any) -> bool:
    for grad in grads:  # noqa: SIM110  (any() would make a generator)
        if grad is dy:
            return True
    return False


def apply_row(row: Row, operands: tuple[Any, ...]) -> Any:
    """Run a row, and record it if an operand requires a gradient."""
    first: Any = None
    a: Any = None
    b: Any = None
    c: Any = None
    d: Any = None
    needs, count = 0, len(operands)
    for i in range(count):
        operand = operands[i]
        if isinstance(operand, TensorBase):
            t: TensorBase = operand
            if t._view is not None:
                refresh(t)
            if first is None:
                first = t
            elif t._backend is not first._backend:
                raise mixed_devices(row.name, first._backend, t._backend)
            if t._requires_grad:
                needs |= 1 << i
            operand = t._array
        if i == 0:
            a = operand
        elif i == 1:
            b = operand
        elif i == 2:
            c = operand
        else:
            d = operand
    base: TensorBase = first
    loop = row.loop(base._backend)
    out: TensorBase = wrap(first.result_class, _run_loop(row.name, loop, count, a, b, c, d), base._backend)
    if needs and state.grad:
        _record(row, operands, needs, out)
    return out


def computed(row: Row, operands: tuple[Any, ...], array: Any) -> Any:
    """Return `array`, which another kernel computed on its way, with the history that it would have from the row."""
    needs = 0
    for i in range(len(operands)):
        t: TensorBase = operands[i]
        refresh(t)
        if t._requires_grad:
            needs |= 1 << i
    base: TensorBase = operands[0]
    out: TensorBase = wrap(base.result_class, array, base._backend)
    if needs and state.grad:
        _record(row, operands, needs, out)
    return out


def _run_loop(name: str, loop: Any, count: int, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Call a kernel with its first `count` operands."""
    if count == 1:
        return loop(a)
    try:
        return loop(a, b) if count == 2 else loop(a, b, c) if count == 3 else loop(a, b, c, d)
    except ValueError:  # shapes that do not broadcast; say which
        broadcast(name, *[getattr(operand, "shape", ()) for operand in (a, b, c, d)[:count]])
        raise


def _record(row: Row, operands: tuple[Any, ...], needs: int, out: TensorBase) -> None:
    """Make a node of a row the history of `out`."""
    count = len(operands)
    plan = row.plan(needs, count)
    node = Elementwise.__new__(Elementwise)
    node.row, node.plan = row, plan
    node.backend, node.like = out._backend, type(out)
    node.sequence = next_sequence()
    node.needs_grad = plan.needs
    if count == 2:  # without a list in between
        node.edges = _edge(operands[0], needs & 1), _edge(operands[1], needs & 2)
    else:
        node.edges = tuple([_edge(operands[i], needs >> i & 1) for i in range(count)])
    dtype = out._array.dtype
    if dtype is not FLOAT32 and dtype.kind != "f":
        node.outputs = [None]
        node.saved = ()
        return
    node.outputs = _described(operands[0], out._array.shape, dtype)
    own(out, node, 0)
    node.saved = tuple([_kept(operands, out, i) for i in plan.kept]) if plan.kept else ()


def _edge(operand: Any, need: int) -> Any:
    return gradient_edge(operand) if need else None


def _kept(operands: tuple[Any, ...], out: TensorBase, place: int) -> Any:
    """Return what is saved of the operand at a place, or of the result (-1)."""
    if place < 0:  # by number, since a reference to the output itself would be a cycle
        return save_array(out._array, None, 0, out._counter)
    operand = operands[place]
    if isinstance(operand, TensorBase):
        t: TensorBase = operand
        return save_array(t._array, operand, -1, t._counter)
    return operand


def _described(operand: Any, shape: tuple[int, ...], dtype: Any) -> list[Any]:
    """Return the outputs of a node: those of the node before it, if they are alike, so that chains keep one object."""
    if isinstance(operand, TensorBase):
        t: TensorBase = operand
        if t._node is not None:
            before: Node = t._node
            if len(before.outputs) == 1 and before.outputs[0] is not None:
                known: tuple[Any, Any] = before.outputs[0]
                if known[1] is dtype and known[0] == shape:
                    return before.outputs
    return [(shape, dtype)]


class Operators:
    """The rows behind the operators of tensors."""

    __slots__ = ("add", "div", "mul", "neg", "sub")

    add: Row
    sub: Row
    mul: Row
    div: Row
    neg: Row


operators = Operators()


def operate(row: Row, a: Any, b: Any) -> Any:
    """Compute a op b: at once for two floating tensors of one dtype, or one and a number; else by the public function."""
    if isinstance(a, TensorBase):
        x: TensorBase = a
        kind = x._array.dtype
        if isinstance(b, TensorBase):
            y: TensorBase = b
            simple = y._array.dtype is kind
        else:
            simple = type(b) is float or type(b) is int
    else:
        y = b
        kind = y._array.dtype
        simple = type(a) is float or type(a) is int
    simple = simple and (kind is FLOAT32 or kind is FLOAT64)
    if simple:
        return apply_row(row, (a, b))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return NotImplemented  # NumPy computes it, and Tensor.__array_wrap__ gives the result back
    return row.function(a, b)


class Arithmetic(TensorBase):
    """The operators that tiny tensors need most."""

    __slots__ = ()

    def __add__(self, other: Any) -> Any:
        return operate(operators.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return operate(operators.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return operate(operators.sub, self, other)

    def __rsub__(self, other: Any) -> Any:
        return operate(operators.sub, other, self)

    def __mul__(self, other: Any) -> Any:
        return operate(operators.mul, self, other)

    def __rmul__(self, other: Any) -> Any:
        return operate(operators.mul, other, self)

    def __truediv__(self, other: Any) -> Any:
        return operate(operators.div, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return self.reciprocal() * other  # type: ignore[attr-defined]
        return operate(operators.div, other, self)

    def __neg__(self) -> Any:
        return operators.neg.function(self)
