"""Writing to chosen places: scatter and its reductions, index_add and its family, masks and flat positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.graph import Op, TensorBase, wrap
from ..geometry import broadcast_to, wrap_dim
from .arrange import broadcast_tensors
from .elementwise import Number, T, cast, check_tensors, div, element_like, eq, mul, where
from .index import (
    Gather, IndexPut, ScatterAdd, ScatterSet, _index_array, gather, getitem, index_put_, nonzero, parse,
)  # fmt: skip
from .inplace import takes_out
from .shape import expand, reshape

__all__ = [
    "argwhere", "index_add", "index_copy", "index_fill", "index_put", "masked_scatter", "masked_select", "put", "scatter",
    "scatter_reduce", "take", "take_along_dim",
]  # fmt: skip


class ScatterReduce(Op):
    """A tensor combined with values by a product, maximum or minimum along an axis where an integer array says."""

    def forward(self, x: Any, values: Any, op: str, dim: int, index: Any) -> Any:
        self.op, self.dim, self.index = op, dim, index
        y = self.backend.copy(x)
        self.backend.scatter(op, y, dim, index, values)
        self.save(x, values, y)
        return y

    def backward(self, dy: Any) -> Any:
        x, values, y = self.saved_tensors
        dim, index = self.dim, self.index
        if self.op != "mul":  # equal extremes share the gradient
            first = cast(eq(x, y), dy._array.dtype)
            others = cast(eq(values, Gather.apply(y, dim, index)), dy._array.dtype)
            share = div(dy, ScatterAdd.apply(first, others, dim, index))
            return mul(share, first), mul(Gather.apply(share, dim, index), others)
        zero, zeros = cast(eq(x, 0), dy._array.dtype), cast(eq(values, 0), dy._array.dtype)
        count = ScatterAdd.apply(zero, zeros, dim, index)  # of factors that are 0
        safe, safes = where(eq(x, 0), 1.0, x), where(eq(values, 0), 1.0, values)
        product = ScatterReduce.apply(safe, safes, "mul", dim, index)
        dx = where(eq(count, zero), div(mul(dy, product), safe), 0.0)
        at = Gather.apply(mul(dy, product), dim, index)
        return dx, where(eq(Gather.apply(count, dim, index), zeros), div(at, safes), 0.0)


REDUCTIONS = {"prod": "mul", "amax": "maximum", "amin": "minimum"}


def _source(op: str, input: Any, index: Any, src: Any) -> Any:
    """Return the part of src that index uses, with input's dtype."""
    check_tensors(op, src)
    if src._array.dtype != input._array.dtype:
        raise RuntimeError(f"{op}: input is {input._array.dtype}, src {src._array.dtype}")
    shape = index._array.shape
    if src._array.ndim != len(shape) or any(small > big for small, big in zip(shape, src._array.shape)):
        raise RuntimeError(f"{op}: index of shape {tuple(shape)} exceeds src {tuple(src._array.shape)}")
    return src if src._array.shape == shape else getitem(src, tuple(map(slice, shape)))


def _vectors(op: str, input: Any, dim: int, index: Any, src: Any) -> tuple[Any, int, Any, Any]:
    """Return the arguments of a scatter with a vector for each number."""
    if isinstance(input, TensorBase) and not input._array.ndim:
        input, index = reshape(input, 1), reshape(index, -1)
        src = reshape(src, -1) if isinstance(src, TensorBase) else src
    at, places = _index_array(op, input, dim, index)
    if not isinstance(src, TensorBase):
        src = expand(element_like(op, input, src), index._array.shape)
    return input, at, places, _source(op, input, index, src)


def scatter(input: T, dim: int, index: Any, src: Any = None, value: Any = None, *, reduce: str | None = None) -> T:
    """Return input with elements of `src`, or a number, where `index` says along an axis; reduce: 'add' or 'multiply'."""
    src = value if src is None else src
    x, at, places, values = _vectors("scatter", input, dim, index, src)
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError(f"scatter: reduce must be 'add' or 'multiply', got {reduce!r}")
    if reduce == "add":
        y = ScatterAdd.apply(x, values, at, places)
    elif reduce:
        y = ScatterReduce.apply(x, values, "mul", at, places)
    else:
        y = ScatterSet.apply(x, values, at, places)
    return y if x is input else reshape(y, ())


def scatter_reduce(input: T, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True) -> T:
    """Return input with elements of `src` combined where `index` says along an axis.

    reduce: 'sum', 'prod', 'mean', 'amax' or 'amin'; without include_self input counts only where nothing is written.
    """
    x, at, places, values = _vectors("scatter_reduce", input, dim, index, src)
    if reduce not in ("sum", "mean", *REDUCTIONS):
        raise RuntimeError(f"scatter_reduce: reduce must be one of sum, mean, {', '.join(REDUCTIONS)}, got {reduce!r}")
    start: Any = x
    backend, kind = x._backend, x._array.dtype
    one = backend.full(places.shape, 1, np.dtype(np.int64))
    zeros = wrap(x.result_class, backend.full(x._array.shape, 0, np.dtype(np.int64)), backend)
    count = ScatterAdd.apply(zeros, wrap(x.result_class, one, backend), at, places)
    if not include_self:
        neutral: Any = {"sum": 0, "mean": 0, "prod": 1}.get(reduce)
        if neutral is None:
            limits: Any = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind) if kind.kind != "b" else None
            least, most = (
                (-np.inf, np.inf) if kind.kind == "f" else (limits.min, limits.max) if limits else (False, True)
            )
            neutral = least if reduce == "amax" else most
        start = where(eq(count, 0), x, element_like("scatter_reduce", x, neutral))
    if reduce in REDUCTIONS:
        y = ScatterReduce.apply(start, values, REDUCTIONS[reduce], at, places)
    else:
        y = ScatterAdd.apply(start, values, at, places)
        if reduce == "mean":
            total = cast((count + 1 if include_self else count).clamp(min=1), kind)
            y = div(y, total, rounding_mode=None if kind.kind == "f" else "floor")
    return y if x is input else reshape(y, ())


# ---- slices along one axis ----


def _axis_key(op: str, input: Any, dim: int, index: Any) -> tuple[Any, Any]:
    """Return input, at least a vector, and the key of slices along an axis."""
    check_tensors(op, input, index)
    at = wrap_dim(op, dim, input._array.ndim)
    if index._array.ndim > 1 or index._array.dtype.kind != "i":
        raise IndexError(
            f"{op}: index must be a vector of integers, got {index._array.dtype} of shape {tuple(index.shape)}"
        )
    x = input if input._array.ndim else reshape(input, 1)
    return x, parse(x, (*[slice(None)] * at, reshape(index, -1)))[1]


def _put(op: str, input: Any, dim: int, index: Any, source: Any, accumulate: bool) -> Any:
    x, key = _axis_key(op, input, dim, index)
    if source._array.dtype != input._array.dtype:
        raise RuntimeError(f"{op}: input is {input._array.dtype}, source {source._array.dtype}")
    at = wrap_dim(op, dim, input._array.ndim)
    wanted = [index.numel() if d == at else n for d, n in enumerate(x._array.shape)]
    source = reshape(source, 1) if not source._array.ndim and len(wanted) == 1 else source
    if source._array.shape != tuple(wanted):
        raise RuntimeError(f"{op}: expected a source of shape {tuple(wanted)}, got {tuple(source._array.shape)}")
    y = IndexPut.apply(x, source, key, accumulate)
    return y if x is input else reshape(y, ())


def index_add(input: T, dim: int, index: Any, source: Any, *, alpha: Number = 1) -> T:
    """Return input with slices alpha * source added at the given places along an axis."""
    check_tensors("index_add", source)
    return _put("index_add", input, dim, index, source if alpha == 1 else mul(source, alpha), True)


def index_copy(input: T, dim: int, index: Any, source: Any) -> T:
    """Return input with the given places along an axis replaced by slices of source."""
    check_tensors("index_copy", source)
    return _put("index_copy", input, dim, index, source, False)


def index_fill(input: T, dim: int, index: Any, value: Any) -> T:
    """Return input with a number at the given places along an axis."""
    x, key = _axis_key("index_fill", input, dim, index)
    if isinstance(value, TensorBase) and value._array.ndim:
        raise RuntimeError(f"index_fill: value must be a number or have no dimensions, got {tuple(value._array.shape)}")
    filler = value if isinstance(value, TensorBase) else element_like("index_fill", input, value)
    y = IndexPut.apply(x, cast(filler, input._array.dtype), key, False)
    return y if x is input else reshape(y, ())


def index_put(input: T, indices: Any, values: Any, accumulate: bool = False) -> T:
    """Return input with values at input[indices], or added there; indices is a tuple of tensors."""
    check_tensors("index_put", input, values)
    if values._array.dtype != input._array.dtype:
        raise RuntimeError(f"index_put: input is {input._array.dtype}, values {values._array.dtype}")
    key = parse(input, tuple(slice(None) if i is None else i for i in indices))[1]
    y: Any = input.clone()  # type: ignore[attr-defined]
    return index_put_(y, key, values, accumulate, "index_put")


# ---- masks and flat positions ----


@takes_out
def masked_select(input: T, mask: Any) -> T:
    """Return the elements where a mask, both broadcast, holds."""
    check_tensors("masked_select", input, mask)
    if mask._array.dtype.kind != "b":
        raise RuntimeError(f"masked_select: mask must be bool, got {mask._array.dtype}")
    x, m = broadcast_tensors(input, mask)
    return getitem(x, m) if x._array.ndim else getitem(reshape(x, 1), reshape(m, 1))


def masked_scatter(input: T, mask: Any, source: Any) -> T:
    """Return input with the first elements of source, in order, where a mask (broadcast) holds."""
    check_tensors("masked_scatter", input, mask, source)
    if mask._array.dtype.kind != "b" or source._array.dtype != input._array.dtype:
        raise RuntimeError("masked_scatter: mask must be bool, and source have input's dtype")
    x, m = broadcast_tensors(input, mask)
    places = nonzero(reshape(m, -1), as_tuple=True)[0]
    if places._array.shape[0] > source.numel():
        raise RuntimeError(f"masked_scatter: source has {source.numel()} elements, the mask {places._array.shape[0]}")
    values = reshape(source, -1)[: places._array.shape[0]]
    return reshape(IndexPut.apply(reshape(x, -1), values, (places._array,), False), x._array.shape)


def _flat(op: str, input: Any, index: Any) -> tuple[Any, Any]:
    """Return input as a vector and positions in it as an advanced key."""
    check_tensors(op, input, index)
    if index._array.dtype != np.int64:
        raise RuntimeError(f"{op}: index must be int64, got {index._array.dtype}")
    x = reshape(input, -1)
    size = x._array.shape[0]
    host = input._backend.to_numpy(index._array)
    if host.size and (host.min() < -size or host.max() >= size):
        raise IndexError(f"{op}: an index is out of range for {size} elements")
    return x, index


def take(input: T, index: Any) -> T:
    """Return elements at positions in the flattened tensor."""
    x, places = _flat("take", input, index)
    return reshape(getitem(x, reshape(places, -1)), places._array.shape)


def put(input: T, index: Any, source: Any, accumulate: bool = False) -> T:
    """Return input with elements of source at positions in the flattened tensor, or added there."""
    x, places = _flat("put", input, index)
    check_tensors("put", source)
    if source._array.dtype != input._array.dtype or source.numel() != places.numel():
        raise RuntimeError("put: source must have input's dtype, and as many elements as index")
    key = parse(x, (reshape(places, -1),))[1]
    return reshape(IndexPut.apply(x, reshape(source, -1), key, accumulate), input._array.shape)


@takes_out
def take_along_dim(input: T, indices: Any, dim: int | None = None) -> T:
    """Return input picked along an axis, other axes broadcast; without `dim` as from the flattened tensor."""
    check_tensors("take_along_dim", input, indices)
    if dim is None:
        return gather(reshape(input, -1), 0, reshape(indices, -1))
    at = wrap_dim("take_along_dim", dim, input._array.ndim)
    if input._array.ndim != indices._array.ndim:
        raise RuntimeError("take_along_dim: input and indices must have equally many dimensions")
    rest = [max(a, b) if a and b else 0 for a, b in zip(input._array.shape, indices._array.shape)]
    wanted = [(*rest[:at], x._array.shape[at], *rest[at + 1 :]) for x in (input, indices)]
    for x, shape in zip((input, indices), wanted):
        broadcast_to("take_along_dim", x._array.shape, shape)
    return gather(expand(input, wanted[0]), at, expand(indices, wanted[1]))


def argwhere(input: T) -> T:
    """Return the positions of elements that are not 0 as rows."""
    return nonzero(input)
