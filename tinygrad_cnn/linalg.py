"""Norms and products under the names of torch.linalg; there are no decompositions and no solvers."""

from __future__ import annotations

from typing import Any

from .ops.arrange import diagonal as _diagonal
from .ops.elementwise import T, mul
from .ops.linalg import chain_matmul as _chain
from .ops.linalg import cross as _cross
from .ops.linalg import matrix_norm, norm
from .ops.matmul import matmul
from .ops.order import vector_norm
from .ops.reduce import sum as _sum

__all__ = ["cross", "diagonal", "matmul", "matrix_norm", "multi_dot", "norm", "vecdot", "vector_norm"]


def cross(input: T, other: T, *, dim: int = -1) -> T:
    """Return the cross products along an axis of size 3."""
    return _cross(input, other, dim)


def diagonal(A: T, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> T:
    """Return a view of a diagonal of the last two axes."""
    return _diagonal(A, offset, dim1, dim2)


def vecdot(x: T, y: T, *, dim: int = -1) -> T:
    """Return the sums of products along an axis."""
    return _sum(mul(x, y), dim)


def multi_dot(tensors: Any) -> Any:
    """Return the product of matrices; the first and the last may be vectors."""
    first, *between, last = tensors
    y = _chain(
        *([first.unsqueeze(0)] if first.ndim == 1 else [first]), *between, last.unsqueeze(1) if last.ndim == 1 else last
    )
    return y.reshape([*first.shape[:-1], *last.shape[1:]])
