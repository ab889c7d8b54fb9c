"""Reductions along axes, softmax, and what is composed of them."""

from __future__ import annotations

import inspect
from collections import namedtuple
from collections.abc import Callable
from functools import cache
from math import prod as product
from typing import Any

import numpy as np

from .. import dtypes, geometry
from ..autograd.graph import Op, TensorBase, wrap
from ..autograd.modes import state
from ..geometry import wrap_dim
from .elementwise import T, _floating, cast, div, eq, exp, log, maximum, minimum, mul, ne, sqrt, sub, where
from .index import gather
from .shape import Expand, numpy_names, permute, reshape, squeeze, unsqueeze

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "log_softmax", "logsumexp", "max", "mean", "min", "prod", "softmax",
    "std", "sum", "var",
]  # fmt: skip

Dim = int | tuple[int, ...] | list[int] | None


class Reduction(Op):
    """The base of all rows; dy and y come to the derivative with the reduced axes as size 1, and broadcast."""

    kernel: str
    derivative: Callable[..., Any]
    uses_x = uses_y = False

    def forward(self, x: Any, dims: tuple[int, ...], keepdim: bool = False) -> Any:
        self.shape, self.dims = x.shape, dims
        y = self.backend.reduce(self.kernel, x, dims, keepdim)
        if self.uses_x or self.uses_y:
            self.save(*([x] if self.uses_x else []), *([y] if self.uses_y else []))
        return y

    def backward(self, dy: Any) -> Any:
        needed = [*self.saved_tensors]
        kept = [1 if d in self.dims else size for d, size in enumerate(self.shape)]
        if self.uses_y:
            needed[-1] = reshape(needed[-1], kept)
        dx = type(self).derivative(self, reshape(dy, kept), *needed)
        return dx if dx._array.shape == self.shape else Expand.apply(dx, self.shape)


def row(name: str, derivative: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """Define the op of a kernel in backends.base.REDUCTIONS; the derivative takes the op, dy and any of x, y."""
    fields: dict[str, Any] = {"kernel": name, "__module__": __name__}
    if derivative is not None:
        names = list(inspect.signature(derivative).parameters)
        fields |= {"derivative": derivative, "uses_x": "x" in names, "uses_y": "y" in names}
    return type(name.title(), (Reduction,), fields).apply  # type: ignore[attr-defined]


def _share(op: Reduction, dy: Any, x: Any, y: Any) -> Any:
    """Give each of the equal extremes the same part of the gradient."""
    chosen = cast(eq(x, y), dy._array.dtype)
    return chosen * (dy / _sum(chosen, op.dims, True))


def without_each(x: Any) -> Any:
    """Return x (..., n) as n rows, (..., n, n): element i of row i is 1, so a product along a row leaves it out."""
    diagonal = np.eye(x._array.shape[-1], dtype=bool)
    return where(wrap(x.result_class, x._backend.from_numpy(diagonal), x._backend), 1.0, unsqueeze(x, -2))


def _product_of_others(op: Reduction, dy: Any, x: Any, y: Any) -> Any:
    """Return dy times the product of all other elements, also where some are 0."""
    zeros = eq(x, 0)
    if state.grad and bool(zeros.any()):  # what comes below has no second derivative there
        order = [d for d in range(len(op.shape)) if d not in op.dims] + [*op.dims]
        last = permute(x, order)
        flat = reshape(last, *[op.shape[d] for d in order[: len(order) - len(op.dims)]], -1)
        others = reshape(_prod(without_each(flat), (flat._array.ndim,)), last._array.shape)
        return dy * permute(others, [order.index(d) for d in range(len(order))])
    count = _sum(cast(zeros, dy._array.dtype), op.dims, True)
    others = _prod(where(zeros, 1.0, x), op.dims, True)
    safe = where(zeros, 1.0, x)
    return dy * where(eq(count, 0), y / safe, where(zeros & eq(count, 1), others, 0.0))


_sum = row("sum", lambda _, dy: dy)
_mean = row("mean", lambda op, dy: dy / product(op.shape[d] for d in op.dims))
_prod = row("prod", _product_of_others)
_amax = row("amax", _share)
_amin = row("amin", _share)
_any = row("any")
_all = row("all")


def _typed(input: Any, dtype: Any, widen: bool) -> Any:
    """Convert to the dtype in which to reduce: as said, or int64 for sums of integers."""
    if dtype is not None:
        return cast(input, dtypes.as_dtype(dtype).numpy)
    return cast(input, np.dtype(np.int64)) if widen and input._array.dtype.kind != "f" else input


@numpy_names
def sum(input: T, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> T:
    """Return the sum along axes (default: all); integers are added up in int64."""
    return _sum(_typed(input, dtype, True), geometry.wrap_dims("sum", dim, input._array.ndim), keepdim)


@numpy_names
def mean(input: T, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> T:
    """Return the mean along axes (default: all) of a floating tensor."""
    x = _typed(input, dtype, False)
    if x._array.dtype.kind != "f":
        raise RuntimeError(
            f"mean: expected a floating dtype, got {x._array.dtype}; pass dtype= or convert with .float()"
        )
    return _mean(x, geometry.wrap_dims("mean", dim, x._array.ndim), keepdim)


@numpy_names
def prod(input: T, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> T:
    """Return the product along an axis (default: of all elements)."""
    dims = None if dim is None else wrap_dim("prod", dim, input._array.ndim)
    return _prod(_typed(input, dtype, True), geometry.wrap_dims("prod", dims, input._array.ndim), keepdim)


def _check_not_empty(op: str, input: Any, dims: tuple[int, ...]) -> None:
    if 0 in [input._array.shape[d] for d in dims]:
        raise RuntimeError(f"{op}: no extreme of no elements: shape {tuple(input._array.shape)}, dims {dims}")


@numpy_names
def amax(input: T, dim: Dim = (), keepdim: bool = False) -> T:
    """Return the maximum along axes (default: all); equal maxima share the gradient."""
    dims = geometry.wrap_dims("amax", dim, input._array.ndim)
    _check_not_empty("amax", input, dims)
    return _amax(input, dims, keepdim)


@numpy_names
def amin(input: T, dim: Dim = (), keepdim: bool = False) -> T:
    """Return the minimum along axes (default: all); equal minima share the gradient."""
    dims = geometry.wrap_dims("amin", dim, input._array.ndim)
    _check_not_empty("amin", input, dims)
    return _amin(input, dims, keepdim)


@numpy_names
def any(input: T, dim: Dim = None, keepdim: bool = False) -> T:
    """Return whether any element along axes is not 0, as bool (of uint8: as uint8)."""
    return _truth("any", _any, input, dim, keepdim)


@numpy_names
def all(input: T, dim: Dim = None, keepdim: bool = False) -> T:
    """Return whether all elements along axes are not 0, as bool (of uint8: as uint8)."""
    return _truth("all", _all, input, dim, keepdim)


def _truth(op: str, apply: Callable[..., Any], input: Any, dim: Dim, keepdim: bool) -> Any:
    """Apply any or all, which unlike other reductions do not take () for all axes."""
    dims = () if dim is not None and not isinstance(dim, int) and not dim else dim
    y = apply(input, dims if dims == () else geometry.wrap_dims(op, dims, input._array.ndim), keepdim)
    return cast(y, input._array.dtype) if input._array.dtype == np.uint8 else y


def _arg(op: str, input: Any, dim: int | None, keepdim: bool) -> Any:
    backend, x = input._backend, input._array
    if product(x.shape) == 0 and (dim is None or x.shape[wrap_dim(op, dim, x.ndim)] == 0):
        raise IndexError(f"{op}: no extreme of no elements: shape {tuple(x.shape)}")
    if dim is None:
        y = reshape(input.detach(), -1)._array
        places = backend.arg_reduce(op, y, 0, False)
        places = backend.reshape(places, (1,) * x.ndim) if keepdim else places
    elif x.ndim == 0:
        wrap_dim(op, dim, 0)
        places = backend.full((), 0, np.dtype(np.int64))
    else:
        places = backend.arg_reduce(op, x, wrap_dim(op, dim, x.ndim), keepdim)
    return wrap(input.result_class, places, backend)


@numpy_names
def argmax(input: T, dim: int | None = None, keepdim: bool = False) -> T:
    """Return the position of the (first) maximum along an axis, or in the flattened tensor, as int64."""
    return _arg("argmax", _ordered("argmax", input), dim, keepdim)


@numpy_names
def argmin(input: T, dim: int | None = None, keepdim: bool = False) -> T:
    """Return the position of the (first) minimum along an axis, or in the flattened tensor, as int64."""
    return _arg("argmin", _ordered("argmin", input), dim, keepdim)


def _ordered(op: str, input: T) -> T:
    """Return the tensor unless it is bool."""
    if input._array.dtype.kind == "b":
        raise RuntimeError(f"{op}: not defined for bools; convert with .int()")
    return input


class _Result:
    """The text of a tuple with named fields."""

    __slots__ = ()

    def __repr__(self: Any) -> str:
        fields = ",\n".join(f"{name}={value!r}" for name, value in self._asdict().items())
        return f"torch.return_types.{type(self).__name__}(\n{fields})"


@cache
def result(op: str, *fields: str) -> Callable[..., Any]:
    """Return the class of what an operation returns, a tuple with named fields."""
    return type(op, (_Result, namedtuple(op, fields)), {"__slots__": (), "__module__": __name__})


def found(op: str, values: Any, indices: Any) -> Any:
    """Return values and where they were found, as what an operation returns."""
    return result(op, "values", "indices")(values, indices)


def _along(op: str, input: Any, dim: int, keepdim: bool) -> Any:
    if input._array.ndim == 0:
        return found(op, input.clone(), _arg("arg" + op, input, dim, False))
    at = wrap_dim(op, dim, input._array.ndim)
    indices = _arg("arg" + op, input, at, True)
    values = gather(input, at, indices)
    return found(op, values, indices) if keepdim else found(op, squeeze(values, at), squeeze(indices, at))


@numpy_names
def max(input: T, dim: int | T | None = None, keepdim: bool = False) -> Any:
    """Return the maximum of all elements; with `dim` (values, indices) along it; with a tensor, maximum() of the two."""
    return _extreme("max", amax, input, dim, keepdim)


@numpy_names
def min(input: T, dim: int | T | None = None, keepdim: bool = False) -> Any:
    """Return the minimum of all elements; with `dim` (values, indices) along it; with a tensor, minimum() of the two."""
    return _extreme("min", amin, input, dim, keepdim)


def _extreme(op: str, whole: Callable[..., Any], input: Any, dim: Any, keepdim: bool) -> Any:
    if dim is None:
        return whole(input)
    if isinstance(dim, TensorBase):
        return {"max": maximum, "min": minimum}[op](input, dim)
    return _along(op, input, dim, keepdim)


@numpy_names
def var(
    input: T, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> T:
    """Return the variance along axes (default: all): squared deviations / (count - correction), correction 1."""
    if isinstance(dim, bool):  # var(unbiased)
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError("var: got both unbiased and correction")
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    dims = geometry.wrap_dims("var", dim, input._array.ndim)
    count = product(input._array.shape[d] for d in dims)
    deviation = sub(input, mean(input, dims, True))
    total = _sum(mul(deviation, deviation), dims, keepdim)
    return div(total, float(count - correction) if count > correction else 0.0)


@numpy_names
def std(
    input: T, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> T:
    """Return the standard deviation along axes (default: all); see var."""
    squares = var(input, dim, unbiased, keepdim, correction=correction)
    positive = ne(squares, 0)  # elsewhere the derivative of sqrt is infinite, and that of std 0
    return where(positive, sqrt(where(positive, squares, 1.0)), 0.0)


# ---- softmax ----


class Softmax(Op):
    """e ** x / sum(e ** x) along an axis."""

    def forward(self, x: Any, dim: int) -> Any:
        self.dim = dim
        y = self.backend.softmax(x, dim)
        self.save(y)
        return y

    def backward(self, dy: Any) -> Any:
        (y,) = self.saved_tensors
        return SoftmaxGrad.apply(dy, y, self.dim)


class SoftmaxGrad(Op):
    """y * (dy - sum(dy * y)), by one kernel."""

    def forward(self, dy: Any, y: Any, dim: int) -> Any:
        self.dim = dim
        self.save(dy, y)
        return self.backend.softmax_grad(dy, y, dim)

    def backward(self, d: Any) -> Any:
        dy, y = self.saved_tensors
        inner = _sum(mul(dy, y), (self.dim,), True)
        outer = _sum(mul(d, y), (self.dim,), True)
        return mul(y, sub(d, outer)), sub(mul(d, sub(dy, inner)), mul(dy, outer))


class LogSoftmax(Op):
    """x - log(sum(e ** x)) along an axis."""

    def forward(self, x: Any, dim: int) -> Any:
        self.dim = dim
        y = self.backend.log_softmax(x, dim)
        self.save(y)
        return y

    def backward(self, dy: Any) -> Any:
        (y,) = self.saved_tensors
        return LogSoftmaxGrad.apply(dy, y, self.dim)


class LogSoftmaxGrad(Op):
    """dy - e ** y * sum(dy), by one kernel."""

    def forward(self, dy: Any, y: Any, dim: int) -> Any:
        self.dim = dim
        self.save(dy, y)
        return self.backend.log_softmax_grad(dy, y, dim)

    def backward(self, d: Any) -> Any:
        dy, y = self.saved_tensors
        inner = _sum(mul(d, exp(y)), (self.dim,), True)
        return sub(d, inner), -mul(mul(d, exp(y)), _sum(dy, (self.dim,), True))


def _softmax_input(op: str, input: Any, dim: int, dtype: Any) -> tuple[Any, int]:
    x = _typed(input, dtype, False)
    if x._array.dtype.kind != "f":
        raise RuntimeError(
            f"{op}: expected a floating dtype, got {x._array.dtype}; pass dtype= or convert with .float()"
        )
    return x, wrap_dim(op, dim, x._array.ndim)


def _along_vector(apply: Callable[..., Any], x: Any, dim: int) -> Any:
    """Apply along an axis, also to a tensor without axes."""
    return squeeze(apply(unsqueeze(x, 0), 0), 0) if x._array.ndim == 0 else apply(x, dim)


@numpy_names
def softmax(input: T, dim: int, dtype: Any = None) -> T:
    """Return e ** input / sum(e ** input) along an axis."""
    return _along_vector(Softmax.apply, *_softmax_input("softmax", input, dim, dtype))


@numpy_names
def log_softmax(input: T, dim: int, dtype: Any = None) -> T:
    """Return the logarithm of softmax, computed safely."""
    return _along_vector(LogSoftmax.apply, *_softmax_input("log_softmax", input, dim, dtype))


@numpy_names
def logsumexp(input: T, dim: Dim, keepdim: bool = False) -> T:
    """Return log(sum(e ** input)) along axes, computed safely."""
    x: Any = _floating(input)
    dims = geometry.wrap_dims("logsumexp", dim, x._array.ndim)
    top: Any = 0.0
    if 0 not in x._array.shape:
        top = amax(x.detach(), dims, True)
        top = where(eq(top.abs(), float("inf")), 0.0, top)
    y = log(_sum(exp(sub(x, top)), dims, True)) + top
    return y if keepdim else squeeze(y, dims)
