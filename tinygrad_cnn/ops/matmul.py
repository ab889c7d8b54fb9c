"""Matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from ..autograd.graph import Op, TensorBase
from ..geometry import broadcast
from .elementwise import T, add, check_tensors, relu, relu_grad
from .inplace import takes_out
from .shape import reshape, squeeze, unsqueeze

__all__ = [
    "bmm", "matmul", "mm",
]  # fmt: skip


class Matmul(Op):
    """x (..., M, K) @ y (..., K, N), batch axes broadcast; the last two axes of an operand may come exchanged (xt, yt)."""

    title = "Mm"

    def forward(self, x: Any, y: Any, xt: bool = False, yt: bool = False) -> Any:
        self.xt, self.yt = xt, yt
        self.save(x if self.needs_grad[1] else None, y if self.needs_grad[0] else None)
        return self.backend.matmul(self._exchanged(x) if xt else x, self._exchanged(y) if yt else y)

    def _exchanged(self, x: Any) -> Any:
        last = x.ndim - 1
        return self.backend.permute(x, (*range(last - 1), last, last - 1))

    def backward(self, dz: Any) -> Any:
        x, y = self.saved_tensors
        dx = dy = None
        if self.needs_grad[0]:
            dx = Matmul.apply(y, dz, self.yt, True) if self.xt else Matmul.apply(dz, y, False, not self.yt)
        if self.needs_grad[1]:
            dy = Matmul.apply(dz, x, True, self.xt) if self.yt else Matmul.apply(x, dz, not self.xt, False)
        return dx, dy


class Linear(Op):
    """x (..., K) @ w (N, K) transposed + b (N,), or with `relu` the relu of that."""

    title = "Addmm"

    def forward(self, x: Any, w: Any, b: Any, relu: bool) -> Any:
        y = self.backend.linear(x, w, b, relu)
        if relu:
            self.title = "Relu"
        self.save(x if self.needs_grad[1] else None, w if self.needs_grad[0] else None, y if relu else None)
        return y

    def gradients(self, dy: Any) -> Any:
        x, w, y = self.saved_arrays
        return self.backend.linear_grad(dy, x, w, y, self.needs_grad[:3])

    def backward(self, dy: Any) -> Any:
        x, w, y = self.saved_tensors
        wanted = self.needs_grad[:3]
        return _spread(LinearGrad.apply(dy if y is None else relu_grad(dy, y), x, w, wanted), wanted)


class LinearGrad(Op):
    """dy (..., N), x (..., K) and w (N, K) -> those of dx, dw and db that are wanted."""

    def forward(self, dy: Any, x: Any, w: Any, wanted: tuple[bool, ...]) -> Any:
        self.wanted = wanted
        self.save(dy, x, w)
        return tuple([grad for grad in self.backend.linear_grad(dy, x, w, None, wanted) if grad is not None])

    def backward(self, *ds: Any) -> Any:
        dy, x, w = self.saved_tensors
        ddx, ddw, ddb = _spread(ds, self.wanted)
        d, dx, dw = [], None, None
        if ddx is not None:
            d.append(Linear.apply(ddx, w, None, False))
            dw = Matmul.apply(_as_matrix(dy), _as_matrix(ddx), True)
        if ddw is not None:
            d.append(Linear.apply(x, ddw, ddb, False))
            dx = reshape(Matmul.apply(_as_matrix(dy), ddw), x._array.shape)
        elif ddb is not None:
            d.append(ddb.expand(dy._array.shape))
        return sum(d[1:], start=d[0]), dx, dw


def _spread(grads: Sequence[Any], wanted: Sequence[bool]) -> tuple[Any, ...]:
    """Return gradients at the places that are wanted, and None at the others."""
    found = iter(grads)
    return tuple([next(found) if want else None for want in wanted])


def _as_matrix(x: Any) -> Any:
    """Return x (..., K) as (M, K)."""
    shape = x._array.shape
    return x if len(shape) == 2 else reshape(x, prod(shape[:-1]), shape[-1])


def _check_operands(op: str, x: Any, y: Any) -> None:
    if not (isinstance(x, TensorBase) and isinstance(y, TensorBase)):
        check_tensors(op, x, y)
    if x._array.dtype != y._array.dtype:
        raise RuntimeError(f"{op}: both operands must have one dtype, got {x._array.dtype} and {y._array.dtype}")


@takes_out
def matmul(input: T, other: T) -> T:
    """Return the matrix product; vectors act as a row (left) or a column (right), and batch axes broadcast."""
    _check_operands("matmul", input, other)
    a, b = input._array.shape, other._array.shape
    if not a or not b:
        raise RuntimeError(f"matmul: both operands need at least 1 dimension, got shapes {tuple(a)} and {tuple(b)}")
    inner = b[-2] if len(b) > 1 else b[0]
    if a[-1] != inner:
        raise RuntimeError(
            f"matmul: shapes {tuple(a)} and {tuple(b)} cannot be multiplied: the last size of the first, {a[-1]}, "
            f"must equal the {'last but one' if len(b) > 1 else 'only'} size of the second, {inner}"
        )
    broadcast("matmul", a[:-2], b[:-2])
    if len(a) == 1:
        return squeeze(matmul(unsqueeze(input, 0), other), -2 if len(b) > 1 else 0)
    if len(b) == 1:
        return squeeze(matmul(input, unsqueeze(other, 1)), -1)
    if len(a) > 2 and len(b) == 2:  # one product of many rows instead of a batch of products
        return reshape(Matmul.apply(reshape(input, prod(a[:-1]), a[-1]), other), (*a[:-1], b[-1]))
    return Matmul.apply(input, other)


@takes_out
def mm(input: T, mat2: T) -> T:
    """Return the product of two matrices."""
    check_tensors("mm", input, mat2)
    if input._array.ndim != 2 or mat2._array.ndim != 2:
        raise RuntimeError(
            f"mm: expected matrices, got shapes {tuple(input._array.shape)} and {tuple(mat2._array.shape)}"
        )
    return matmul(input, mat2)


@takes_out
def bmm(input: T, mat2: T) -> T:
    """Return the products of two batches of matrices: (B, M, K) @ (B, K, N)."""
    check_tensors("bmm", input, mat2)
    a, b = input._array.shape, mat2._array.shape
    if len(a) != 3 or len(b) != 3 or a[0] != b[0]:
        raise RuntimeError(f"bmm: expected (B, M, K) and (B, K, N), got {tuple(a)} and {tuple(b)}")
    return matmul(input, mat2)


def linear(input: T, weight: T, bias: T | None = None) -> T:
    """Return input (..., K) times weight (N, K) transposed, plus bias (N,)."""
    return _linear(input, weight, bias, False)


def linear_relu(input: T, weight: T, bias: T | None = None) -> T:
    """Return relu(linear(input, weight, bias)), in one step."""
    return _linear(input, weight, bias, True)


def _linear(input: T, weight: T, bias: T | None, rectified: bool) -> T:
    _check_operands("linear", input, weight)
    x, w = input._array.shape, weight._array.shape
    if len(w) == 1:
        y = matmul(input, weight)
        y = y if bias is None else add(y, bias)
        return relu(y) if rectified else y
    if len(w) != 2 or not x or x[-1] != w[1]:
        raise RuntimeError(
            f"linear: input of shape {tuple(x)} does not fit weight {tuple(w)}: the last size of the input must be "
            f"in_features = {w[-1]}"
        )
    if bias is not None:
        _check_operands("linear", weight, bias)
        if bias._array.shape != (w[0],):
            raise RuntimeError(f"linear: bias must have shape {(w[0],)}, got {tuple(bias._array.shape)}")
    return Linear.apply(input, weight, bias, rectified)
