"""Elementwise operations, each one row: a kernel, its derivatives, and what they need.

A derivative is a function of dy and of what it needs: the operands a, b, c and the result y, by these names.  Only what the
wanted derivatives use is kept for backward.  The rows themselves are in ops/elementwise.py.
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
POSITIONS = {"a": 0, "b": 1, "c": 2, "y": -1}


class Plan:
    """What to do for one choice of operands that need a gradient."""

    __slots__ = ("kept", "needs", "steps")

    def __init__(self, row: Row, needs: tuple[bool, ...]) -> None:
        wanted = [u for need, u, d in zip(needs, row.uses, row.derivatives) if need and d is not None]
        self.needs = needs
        self.kept = sorted({i for places in wanted for i in places})  # positions in (*operands, y) of what is saved
        self.steps = tuple([  # of each operand its derivative, and where in `kept` this finds what it needs
            (d, tuple([self.kept.index(i) for i in u])) if need and d is not None else None
            for need, d, u in zip(needs, row.derivatives, row.uses)
        ])  # fmt: skip


class Row:
    """An elementwise operation: call it with tensors and numbers of one dtype."""

    __slots__ = ("derivatives", "function", "loops", "name", "plans", "shortcuts", "uses")

    def __init__(self, name: str, derivatives: tuple[Callable[..., Any] | None, ...]) -> None:
        self.name = name
        self.derivatives = derivatives
        self.uses = [
            [] if d is None else [POSITIONS[p] for p in list(inspect.signature(d).parameters)[1:]] for d in derivatives
        ]
        self.plans: dict[int, Plan] = {}
        self.loops: dict[Backend, Any] = {}
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

    def plan(self, needs: int, count: int) -> Plan:
        """Return the plan for `count` operands; bit i of `needs` says whether operand i needs a gradient."""
        key = needs * 4 + count
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

    def name(self) -> str:
        return self.row.name.title().replace("_", "") + "Backward"

    def run(self, dys: list[Any]) -> Any:
        dy = dys[0]
        plan = self.plan
        saved = recall(self) if plan.kept else ()
        grads: list[Any] = []
        for i, step in enumerate(plan.steps):
            if step is None or not self.needs_grad[i]:
                grads.append(None)
                continue
            derivative, places = step
            if not places:
                grads.append(derivative(dy))
            elif len(places) == 1:
                grads.append(derivative(dy, saved[places[0]]))
            else:
                grads.append(derivative(dy, *[saved[k] for k in places]))
        return grads


def apply_row(row: Row, operands: tuple[Any, ...]) -> Any:
    """Run a row, and record it if an operand requires a gradient."""
    first: Any = None
    arrays = [None, None, None]
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
            arrays[i] = t._array
            if t._requires_grad:
                needs |= 1 << i
        else:
            arrays[i] = operand
    base: TensorBase = first
    loop = row.loop(base._backend)
    like = first.result_class
    out: TensorBase = wrap(like, _run_loop(row.name, loop, arrays, count), base._backend)
    if needs and state.grad:
        node = Elementwise.__new__(Elementwise)
        node.row = row
        node.backend, node.like = base._backend, like
        _record(node, operands, needs, out)
    return out


def _run_loop(name: str, loop: Any, arrays: list[Any], count: int) -> Any:
    """Call a kernel with its first `count` operands."""
    if count == 1:
        return loop(arrays[0])
    try:
        return loop(arrays[0], arrays[1]) if count == 2 else loop(*arrays)
    except ValueError:  # shapes that do not broadcast; say which
        broadcast(name, *[getattr(array, "shape", ()) for array in arrays])
        raise


def _record(node: Elementwise, operands: tuple[Any, ...], needs: int, out: TensorBase) -> None:
    """Make a node the history of `out`."""
    count = len(operands)
    plan = node.row.plan(needs, count)
    node.plan = plan
    node.sequence = next_sequence()
    node.needs_grad = plan.needs
    node.edges = tuple([gradient_edge(operands[i]) if needs >> i & 1 else None for i in range(count)])
    dtype = out._array.dtype
    if dtype is not FLOAT32 and dtype.kind != "f":
        node.outputs = [None]
        node.saved = ()
        return
    node.outputs = _described(operands[0], out._array.shape, dtype)
    own(out, node, 0)
    saved: list[Any] = []
    for i in plan.kept:
        if i < 0:  # by number, since a reference to the output itself would be a cycle
            saved.append(save_array(out._array, None, 0, out._version))
        else:
            operand = operands[i]
            if isinstance(operand, TensorBase):
                t: TensorBase = operand
                saved.append(save_array(t._array, operand, -1, t._version))
            else:
                saved.append(operand)
    node.saved = tuple(saved)


def _described(operand: Any, shape: tuple[int, ...], dtype: Any) -> list[Any]:
    """Return the outputs of a node: those of the node before it, if they are alike, so that chains keep one object."""
    if isinstance(operand, TensorBase):
        t: TensorBase = operand
        if t._node is not None:
            before: Node = t._node
            if len(before.outputs) == 1 and before.outputs[0] == (shape, dtype):
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
    return apply_row(row, (a, b)) if simple else row.function(a, b)


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
        return operate(operators.div, other, self)

    def __neg__(self) -> Any:
        return operators.neg.function(self)
