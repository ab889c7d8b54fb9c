"""In-place changes: how a tensor takes the value and the history of a result.

Every `_` method computes its result like any other function and hands it to `write_`.  If the tensor is a view, the
history of the tensor that owns the memory changes, and all other views of it get theirs anew (autograd.graph.refresh).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from .. import dtypes, geometry
from ..autograd.graph import Op, TensorBase, overwrite, record, refresh, wrap
from ..autograd.modes import state


def follow(t: Any, steps: tuple[tuple[type[Op], tuple[Any, ...]], ...]) -> Any:
    """Apply a chain of view ops."""
    for op, args in steps:
        t = op.apply(t, *args)
    return t


class ViewScatter(Op):
    """A tensor with the elements that a chain of views selects replaced."""

    def forward(self, base: Any, values: Any, steps: tuple[Any, ...]) -> Any:
        self.steps, self.shape = steps, values.shape
        y = wrap(self.like, self.backend.copy(base), self.backend)
        self.backend.assign(follow(y, steps)._array, values)
        return y._array

    def backward(self, dy: Any) -> Any:
        dbase = dvalues = None
        if self.needs_grad[0]:
            dbase = ViewScatter.apply(dy, dy.new_zeros(self.shape), self.steps)
        if self.needs_grad[1]:
            dvalues = follow(dy, self.steps)
        return dbase, dvalues


class Replace(Op):
    """New values that keep nothing of the old ones but the shape; the gradients of x and of `others` are zero."""

    def forward(self, x: Any, values: Any, *others: Any) -> Any:
        self.shapes = [getattr(other, "shape", ()) for other in (x, *others)]
        return self.backend.copy(self.backend.expand(values, x.shape))

    def backward(self, dy: Any) -> Any:
        x, _, *others = self.needs_grad
        zeros = [dy.new_zeros(shape) if need else None for need, shape in zip((x, *others), self.shapes)]
        return zeros[0], dy, *zeros[1:]


def check_writable(x: TensorBase, name: str) -> None:
    """Raise if autograd or the memory layout forbids to change x in place."""
    refresh(x)
    if state.grad and x._requires_grad:
        owner = x if x._view is None else x._view.base
        if owner._node is None and owner._requires_grad:
            what = "a leaf tensor" if owner is x else "a view of a leaf tensor"
            raise RuntimeError(f"{name}: {what} that requires a gradient cannot be changed in place; use no_grad()")
    elif state.grad and x._view is not None and x._view.base._requires_grad:
        raise RuntimeError(
            f"{name}: a view that was made under no_grad() cannot be changed where operations are recorded"
        )
    shape = x._array.shape
    if 0 not in shape and any(stride == 0 and size > 1 for stride, size in zip(x._array.strides, shape)):
        raise RuntimeError(
            f"{name}: several elements of an expanded tensor share one place in memory; clone() it first"
        )


def operand(x: Any, *others: Any) -> Any:
    """Return x as an operand of what is to change x in place: if backward needs it, it has the value that x has now."""
    if not state.grad or not any(isinstance(t, TensorBase) and (t._requires_grad or t._view) for t in (x, *others)):
        return x
    refresh(x)
    array = x._backend.copy(x._array) if x._counter.shared else x._array  # else x will take over another array
    before = wrap(x.result_class, array, x._backend)
    before._node, before._output, before._requires_grad = x._node, x._output, x._requires_grad
    return before


def write_(x: Any, y: Any, name: str = "in-place operation") -> Any:
    """Give x the value and the history of the result y, and return x."""
    if y is x:
        return x
    check_writable(x, name)
    if y._array.shape != x._array.shape:
        raise RuntimeError(f"{name}: the result has shape {tuple(y._array.shape)}, the tensor {tuple(x._array.shape)}")
    if y._array.dtype != x._array.dtype:
        if not dtypes.can_cast(dtypes.of_numpy(y._array.dtype), dtypes.of_numpy(x._array.dtype)):
            raise RuntimeError(f"{name}: a result of {y._array.dtype} cannot be stored in a tensor of {x._array.dtype}")
        y = y.to(dtypes.of_numpy(x._array.dtype))
    if state.grad and x._requires_grad and not y._requires_grad and x._view is None:
        y = Replace.apply(x, y)  # x keeps its history, with a gradient of zero
    overwrite(x, y)
    if state.grad and (x._requires_grad or y._requires_grad):
        _adopt(x, y)
    return x


def _adopt(x: Any, y: Any) -> None:
    """Give x, or the tensor that x is a view of, the history of y."""
    if x._view is None:
        if x._retains_grad:  # the gradient to retain is from now on that of the new value
            reference = x._node.retaining.pop(x._output)
            y._node.retaining = {**(y._node.retaining or {}), y._output: reference}
        x._node, x._output, x._requires_grad = y._node, y._output, y._requires_grad
    else:
        base, steps = x._view.base, x._view.steps
        node = ViewScatter()
        node.backend, node.like, node.saved = x._backend, x.result_class, ()
        node.steps, node.shape = steps, x._array.shape
        node.needs_grad = (base._requires_grad, y._requires_grad, False)
        record(node, (base, y, steps), node.needs_grad, (base,))
    x._counter.generation += 1


def copy_(x: Any, source: Any, name: str = "copy_") -> Any:
    """Write the elements of `source`, broadcast and converted, into x."""
    geometry.broadcast_to(name, source._array.shape, x._array.shape)
    check_writable(x, name)
    if state.grad and (x._requires_grad or source._requires_grad):
        old = x if x._view is None else x.detach()  # of a view, the rest of its base keeps the history
        return write_(x, Replace.apply(old, source.to(dtypes.of_numpy(x._array.dtype))), name)
    x._backend.assign(x._array, source._array)
    x._counter.value += 1
    return x


def in_place(function: Callable[..., Any], name: str | None = None) -> Callable[..., Any]:
    """Make the `_` method of a function: the first argument takes the result."""
    name = name or function.__name__ + "_"

    @wraps(function)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        y = function(operand(self, *args), *args, **kwargs)
        if state.grad and not y._requires_grad and y._array.shape == self._array.shape:
            others = [arg for arg in args if isinstance(arg, TensorBase) and arg._requires_grad]
            if others and self._array.dtype.kind == "f":  # a comparison, say, has a gradient, which is zero
                y = Replace.apply(self, y.to(dtypes.of_numpy(self._array.dtype)), *others)
        return write_(self, y, name)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"In-place version of {function.__name__}."
    return method


def relabelled(view: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Make the `_` method of a function that views the same elements in another shape."""

    @wraps(view)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_writable(self, name)
        before = wrap(self.result_class, self._array, self._backend)  # what self was, and is now a view of
        for field in ("_node", "_output", "_requires_grad", "_counter", "_view"):
            setattr(before, field, getattr(self, field))
        y = view(before, *args, **kwargs)
        if y is not before:
            for field in ("_array", "_node", "_output", "_requires_grad", "_view"):
                setattr(self, field, getattr(y, field))
            self._counter.value += 1
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"In-place version of {view.__name__}."
    return method


def into(out: Any, y: Any, name: str) -> Any:
    """Write a result to the tensor that was passed as `out=`, and return it; an empty one takes over the result.

    Several results take as many tensors.
    """
    if isinstance(y, tuple) and isinstance(out, (tuple, list)) and len(out) == len(y):
        return type(y)(*[into(one, result, name) for one, result in zip(out, y)])
    if not isinstance(out, TensorBase):
        raise TypeError(f"{name}: out must be a tensor, got {type(out).__name__}")
    if state.grad and (out._requires_grad or y._requires_grad):
        raise RuntimeError(f"{name}: what is written to out= has no gradient; call it under no_grad()")
    if out._array.shape != y._array.shape and 0 in out._array.shape:
        out._array = out._backend.empty(y._array.shape, out._array.dtype)
    return write_(out, y, f"{name}(out=)")


def takes_out(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function also write its result to a tensor passed as `out=`."""

    @wraps(function)
    def wrapper(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        y = function(*args, **kwargs)
        return y if out is None else into(out, y, function.__name__)

    return wrapper
