"""Products of vectors, matrices and tensors beyond matmul, einsum, and norms of matrices; all composed."""

from __future__ import annotations

import string
from math import prod
from typing import Any

from ..autograd.graph import TensorBase
from ..geometry import broadcast, wrap_dim
from .elementwise import Number, T, abs, add, check_tensors, mul, sub
from .inplace import takes_out
from .matmul import bmm, matmul, mm
from .order import vector_norm
from .reduce import amax, amin, sum
from .shape import expand, permute, reshape, squeeze, stack, unsqueeze

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "cdist", "chain_matmul", "cross", "dot", "einsum", "ger", "inner", "kron",
    "mv", "outer", "tensordot", "vdot",
]  # fmt: skip


def _check_dims(op: str, *expected: tuple[Any, int]) -> None:
    """Raise unless each tensor has so many axes."""
    check_tensors(op, *[x for x, _ in expected])
    for x, ndim in expected:
        if x._array.ndim != ndim:
            raise RuntimeError(f"{op}: expected {ndim} dimensions, got shape {tuple(x._array.shape)}")


def _check_one_dtype(op: str, a: Any, b: Any) -> None:
    if a._array.dtype != b._array.dtype:
        raise RuntimeError(f"{op}: both operands must have one dtype, got {a._array.dtype} and {b._array.dtype}")


@takes_out
def mv(input: T, vec: T) -> T:
    """Return a matrix times a vector."""
    _check_dims("mv", (input, 2), (vec, 1))
    return matmul(input, vec)


@takes_out
def dot(input: T, tensor: T) -> T:
    """Return the sum of products of two vectors of one size."""
    _check_dims("dot", (input, 1), (tensor, 1))
    if input._array.shape != tensor._array.shape:
        raise RuntimeError(f"dot: the vectors have {input._array.shape[0]} and {tensor._array.shape[0]} elements")
    return matmul(input, tensor)


def vdot(input: T, other: T, *, out: T | None = None) -> T:
    """Return dot(): there are no complex dtypes."""
    return dot(input, other, out=out)


@takes_out
def outer(input: T, vec2: T) -> T:
    """Return the products of all elements of two vectors as a matrix."""
    _check_dims("outer", (input, 1), (vec2, 1))
    return mul(unsqueeze(input, 1), vec2)


ger = outer


def _scaled_sum(op: str, input: T, product: T, beta: Number, alpha: Number) -> T:
    """Return beta * input + alpha * product; with beta 0 input is not looked at, as in PyTorch."""
    check_tensors(op, input)
    _check_one_dtype(op, input, product)
    broadcast_shape = broadcast(op, input._array.shape, product._array.shape)
    if broadcast_shape != product._array.shape:
        raise RuntimeError(
            f"{op}: input of shape {tuple(input._array.shape)} does not fit {tuple(product._array.shape)}"
        )
    y = product if alpha == 1 else mul(product, alpha)
    if beta == 0:
        return y
    return add(y, input if beta == 1 else mul(input, beta))


@takes_out
def addmm(input: T, mat1: T, mat2: T, *, beta: Number = 1, alpha: Number = 1) -> T:
    """Return beta * input + alpha * mat1 @ mat2."""
    return _scaled_sum("addmm", input, mm(mat1, mat2), beta, alpha)


@takes_out
def addmv(input: T, mat: T, vec: T, *, beta: Number = 1, alpha: Number = 1) -> T:
    """Return beta * input + alpha * mat @ vec."""
    return _scaled_sum("addmv", input, mv(mat, vec), beta, alpha)


@takes_out
def addr(input: T, vec1: T, vec2: T, *, beta: Number = 1, alpha: Number = 1) -> T:
    """Return beta * input + alpha * outer(vec1, vec2)."""
    return _scaled_sum("addr", input, outer(vec1, vec2), beta, alpha)


@takes_out
def baddbmm(input: T, batch1: T, batch2: T, *, beta: Number = 1, alpha: Number = 1) -> T:
    """Return beta * input + alpha * batch1 @ batch2, batches of matrices."""
    return _scaled_sum("baddbmm", input, bmm(batch1, batch2), beta, alpha)


@takes_out
def addbmm(input: T, batch1: T, batch2: T, *, beta: Number = 1, alpha: Number = 1) -> T:
    """Return beta * input + alpha * the sum of batch1 @ batch2 over the batch."""
    return _scaled_sum("addbmm", input, sum(bmm(batch1, batch2), 0), beta, alpha)


@takes_out
def inner(input: T, other: T) -> T:
    """Return the sums of products along the last axes of two tensors; of a number, its multiple."""
    check_tensors("inner", input, other)
    if not input._array.ndim or not other._array.ndim:
        return mul(input, other)
    if input._array.shape[-1] != other._array.shape[-1]:
        raise RuntimeError(f"inner: the last sizes of {tuple(input.shape)} and {tuple(other.shape)} differ")  # type: ignore[attr-defined]
    return tensordot(input, other, ([-1], [-1]))


@takes_out
def tensordot(a: T, b: T, dims: Any = 2) -> T:
    """Return sums of products over pairs of axes: the last `dims` of a and the first of b, or (axes of a, axes of b)."""
    check_tensors("tensordot", a, b)
    if isinstance(dims, TensorBase):
        dims = dims.tolist()  # type: ignore[attr-defined]
    if isinstance(dims, int):
        if dims < 0 or dims > min(a._array.ndim, b._array.ndim):
            raise RuntimeError(f"tensordot: dims {dims} exceeds the dimensions of an operand, or is negative")
        dims = (range(a._array.ndim - dims, a._array.ndim), range(dims))
    left = [wrap_dim("tensordot", d, a._array.ndim) for d in dims[0]]
    right = [wrap_dim("tensordot", d, b._array.ndim) for d in dims[1]]
    if len(left) != len(right):
        raise RuntimeError(f"tensordot: {len(left)} axes of a cannot pair up with {len(right)} of b")
    _check_one_dtype("tensordot", a, b)
    for i, j in zip(left, right):  # a size of 1 is summed over what it pairs with
        m, n = a._array.shape[i], b._array.shape[j]
        if m != n and m == 1:
            b = sum(b, j, True)
        elif m != n and n == 1:
            a = sum(a, i, True)
        elif m != n:
            raise RuntimeError(f"tensordot: dim {i} of a has size {m}, dim {j} of b {n}")
    rows = [d for d in range(a._array.ndim) if d not in left]
    columns = [d for d in range(b._array.ndim) if d not in right]
    shape = [a._array.shape[d] for d in rows] + [b._array.shape[d] for d in columns]
    inner_size = prod(a._array.shape[d] for d in left)
    x = reshape(permute(a, (*rows, *left)), prod(a._array.shape[d] for d in rows), inner_size)
    y = reshape(permute(b, (*right, *columns)), inner_size, prod(b._array.shape[d] for d in columns))
    return reshape(mm(x, y), shape)


@takes_out
def kron(input: T, other: T) -> T:
    """Return the Kronecker product: each element of input times all of other."""
    check_tensors("kron", input, other)
    ndim = max(input._array.ndim, other._array.ndim)
    a = (1,) * (ndim - input._array.ndim) + tuple(input._array.shape)
    b = (1,) * (ndim - other._array.ndim) + tuple(other._array.shape)
    x = reshape(input, [n for size in a for n in (size, 1)])
    y = reshape(other, [n for size in b for n in (1, size)])
    return reshape(mul(x, y), [m * n for m, n in zip(a, b)])


def chain_matmul(*matrices: Any) -> Any:
    """Return the product of matrices."""
    y = matrices[0]
    _check_dims("chain_matmul", *[(m, 2) for m in matrices])
    for matrix in matrices[1:]:
        y = mm(y, matrix)
    return y


def cdist(x1: T, x2: T, p: float = 2.0, compute_mode: str | None = None) -> T:
    """Return the p-norm distances of all rows of x1 (..., P, M) and x2 (..., R, M) -> (..., P, R)."""
    check_tensors("cdist", x1, x2)
    if x1._array.ndim < 2 or x2._array.ndim < 2 or x1._array.shape[-1] != x2._array.shape[-1]:
        raise RuntimeError(f"cdist: expected rows of one size, got shapes {x1._array.shape} and {x2._array.shape}")
    _check_one_dtype("cdist", x1, x2)
    if p < 0:
        raise RuntimeError(f"cdist: p must not be negative, got {p}")
    return vector_norm(sub(unsqueeze(x1, -2), unsqueeze(x2, -3)), p, -1)


@takes_out
def cross(input: T, other: T, dim: int | None = None) -> T:
    """Return the cross products along an axis of size 3 (default: the first such axis)."""
    check_tensors("cross", input, other)
    _check_one_dtype("cross", input, other)
    shape = broadcast("cross", input._array.shape, other._array.shape)
    a, b = expand(input, shape), expand(other, shape)
    if dim is None and 3 not in shape:
        raise RuntimeError(f"cross: no axis of {tuple(shape)} has size 3")
    at = shape.index(3) if dim is None else wrap_dim("cross", dim, len(shape))
    if shape[at] != 3:
        raise RuntimeError(f"cross: dim {dim} must have size 3, got shape {tuple(shape)}")
    (a0, a1, a2), (b0, b1, b2) = a.unbind(at), b.unbind(at)  # type: ignore[attr-defined]
    return stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], at)


# ---- einsum ----


def einsum(equation: str, *operands: Any) -> Any:
    """Return sums of products of elements as the equation says, e.g. 'bij,bjk->bik'; '...' stands for broadcast axes."""
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    check_tensors("einsum", *operands)
    if not isinstance(equation, str):
        raise TypeError(f"einsum: the equation must be a text such as 'ij,jk->ik', got {type(equation).__name__}")
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        raise RuntimeError(f"einsum: {equation!r} names {len(terms)} operands, but {len(operands)} were given")
    widths = [x._array.ndim - len(term.replace("...", "")) for term, x in zip(terms, operands)]
    for term, x, width in zip(terms, operands, widths):
        if width < 0 or (width and "..." not in term) or not set(term.replace("...", "")) <= set(string.ascii_letters):
            raise RuntimeError(f"einsum: {term!r} does not describe a tensor of shape {tuple(x._array.shape)}")
    dots = tuple(range(max(widths, default=0)))  # the axes of '...' are named by numbers, counted from the last
    named = [_labels(term, dots[len(dots) - width :]) for term, width in zip(terms, widths)]
    if arrow:
        output = _labels(right, dots if "..." in right else ())
    else:
        letters = sorted(set(left) - set(",."))
        output = (*dots, *[letter for letter in letters if left.count(letter) == 1])
    known = {label for labels in named for label in labels}
    if len(set(output)) != len(output) or not set(output) <= known:
        raise RuntimeError(f"einsum: the output of {equation!r} must name axes of the operands, each once")
    sizes: dict[Any, int] = {}
    parts = [_diagonals(x, labels) for x, labels in zip(operands, named)]
    for x, labels in parts:
        for label, size in zip(labels, x._array.shape):
            if sizes.get(label, 1) not in (1, size) and size != 1:
                raise RuntimeError(f"einsum: axis {label} of {equation!r} has sizes {sizes[label]} and {size}")
            sizes[label] = max(size, sizes.get(label, 1)) if size else 0
    y, labels = parts[0]
    for i, (x, others) in enumerate(parts[1:], 2):
        needed = {*output, *[label for _, later in parts[i:] for label in later]}
        y, labels = _contract(y, labels, x, others, needed)
    gone = tuple(d for d, label in enumerate(labels) if label not in output)
    y = sum(y, gone, dtype=None) if gone else y
    kept = [label for label in labels if label in output]
    return permute(y, tuple(kept.index(label) for label in output)) if output else y


def _labels(term: str, dots: tuple[int, ...]) -> tuple[Any, ...]:
    before, found, after = term.partition("...")
    return (*before, *(dots if found else ()), *after)


def _diagonals(x: Any, labels: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Return a tensor with the diagonal in place of axes of one name."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            if x._array.shape[first] != x._array.shape[second]:
                raise RuntimeError(f"einsum: axis {label!r} is repeated with sizes {x._array.shape[first]} and others")
            x = x.diagonal(0, first, second)
            labels = (*[name for d, name in enumerate(labels) if d not in (first, second)], label)
    return x, labels


def _contract(x: Any, a: tuple[Any, ...], y: Any, b: tuple[Any, ...], needed: set[Any]) -> tuple[Any, tuple[Any, ...]]:
    """Multiply two tensors and sum over the axes that nobody needs any more, as a batch of matrix products."""
    x, a = _summed(x, a, needed | set(b))
    y, b = _summed(y, b, needed | set(a))
    for label in set(a) & set(b):  # sizes of 1 broadcast
        m, n = x._array.shape[a.index(label)], y._array.shape[b.index(label)]
        if m != n:
            x, y = (
                _widened(x, a, label, max(m, n) if m and n else 0),
                _widened(y, b, label, max(m, n) if m and n else 0),
            )
    batch = tuple(label for label in a if label in b and label in needed)
    shared = tuple(label for label in a if label in b and label not in needed)
    rows = tuple(label for label in a if label not in b)
    columns = tuple(label for label in b if label not in a)
    size = {**dict(zip(b, y._array.shape)), **dict(zip(a, x._array.shape))}
    left = permute(x, tuple(a.index(label) for label in (*batch, *rows, *shared)))
    right = permute(y, tuple(b.index(label) for label in (*batch, *shared, *columns)))
    m, k, n, many = [prod(size[label] for label in group) for group in (rows, shared, columns, batch)]
    result = matmul(reshape(left, many, m, k), reshape(right, many, k, n))
    return reshape(result, [size[label] for label in (*batch, *rows, *columns)]), (*batch, *rows, *columns)


def _summed(x: Any, labels: tuple[Any, ...], needed: set[Any]) -> tuple[Any, tuple[Any, ...]]:
    gone = tuple(d for d, label in enumerate(labels) if label not in needed)
    return (sum(x, gone) if gone else x), tuple(label for label in labels if label in needed)


def _widened(x: Any, labels: tuple[Any, ...], label: Any, size: int) -> Any:
    at = labels.index(label)
    return expand(x, (*x._array.shape[:at], size, *x._array.shape[at + 1 :]))


# ---- linalg.* ----


@takes_out
def matrix_norm(
    A: T, ord: Any = "fro", dim: tuple[int, int] = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> T:
    """Return norms of matrices: 'fro', or the largest (inf, 1) or smallest (-inf, -1) sum of a row or column."""
    if ord == "fro":
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if ord not in (1, -1, float("inf"), -float("inf")):
        raise NotImplementedError(f"linalg.matrix_norm: ord must be 'fro', 1, -1, inf or -inf, got {ord!r}")
    rows, columns = [wrap_dim("linalg.matrix_norm", d, A._array.ndim) for d in dim]
    added, other = (rows, columns) if ord in (1, -1) else (columns, rows)
    sums = sum(abs(A), added, True, dtype=dtype)
    y = (amax if ord > 0 else amin)(sums, other, True)
    return y if keepdim else squeeze(y, (rows, columns))


@takes_out
def norm(A: T, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> T:
    """Return the norm of all elements, of vectors along one axis, or (with ord) of matrices along two."""
    matrices = ord is not None and (
        isinstance(ord, str) or (A._array.ndim == 2 if dim is None else not isinstance(dim, int))
    )
    if matrices and (dim is None or len(dim) == 2):
        return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)
