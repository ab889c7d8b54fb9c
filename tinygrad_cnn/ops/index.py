"""Indexing: reading and writing x[...] in all of PyTorch's forms, gather and scatter."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..autograd.graph import Op, TensorBase, wrap
from ..autograd.modes import state
from ..geometry import wrap_dim
from .elementwise import Number, T, cast, check_tensors, element_like, tensor_like, where
from .inplace import check_writable, copy_, takes_out, write_
from .shape import Index, Pad, Slice, reshape, stack

__all__ = [
    "gather", "index_select", "masked_fill", "nonzero", "scatter_add",
]  # fmt: skip


class IndexPut(Op):
    """A tensor with the elements that a key picks replaced, or added to."""

    def forward(self, x: Any, values: Any, key: tuple[Any, ...], accumulate: bool) -> Any:
        self.key, self.accumulate = key, accumulate
        y = self.backend.copy(x)
        self.backend.index_put(y, key, values, accumulate)
        return y

    def backward(self, dy: Any) -> Any:
        dx = dy if self.accumulate else IndexPut.apply(dy, tensor_like(dy, 0), self.key, False)
        return dx, Index.apply(dy, self.key) if self.needs_grad[1] else None


class Gather(Op):
    """Elements picked along an axis by an integer array."""

    def forward(self, x: Any, dim: int, index: Any) -> Any:
        self.shape, self.dim, self.index = x.shape, dim, index
        return self.backend.gather(x, dim, index)

    def backward(self, dy: Any) -> Any:
        return ScatterAdd.apply(dy.new_zeros(self.shape), dy, self.dim, self.index)


class Scatter(Op):
    """A tensor with values combined along an axis where an integer array says."""

    kernel: str

    def forward(self, x: Any, values: Any, dim: int, index: Any) -> Any:
        self.dim, self.index, self.shape = dim, index, values.shape
        y = self.backend.copy(x)
        self.backend.scatter(self.kernel, y, dim, index, values)
        return y

    def backward(self, dy: Any) -> Any:
        return self._dx(dy), self._dvalues(dy) if self.needs_grad[1] else None

    def _dx(self, dy: Any) -> Any:
        raise NotImplementedError

    def _dvalues(self, dy: Any) -> Any:
        dvalues = Gather.apply(dy, self.dim, self.index)
        grown = [(0, big - small) for big, small in zip(self.shape, dvalues._array.shape)]
        return Pad.apply(dvalues, tuple(grown), 0.0) if any(after for _, after in grown) else dvalues


class ScatterAdd(Scatter):
    """A tensor with values added."""

    kernel = "add"

    def _dx(self, dy: Any) -> Any:
        return dy


class ScatterSet(Scatter):
    """A tensor with elements replaced."""

    kernel = "set"

    def _dx(self, dy: Any) -> Any:
        return ScatterSet.apply(dy, dy.new_zeros(self.shape), self.dim, self.index)


# ---- x[key] ----


def _plain(item: Any) -> Any:
    return item.item() if isinstance(item, TensorBase) else item  # type: ignore[attr-defined]


def _advanced(x: TensorBase, item: Any) -> TensorBase:
    """Return an index given as a tensor, an array or a list as a tensor of int64 or bool."""
    if isinstance(item, TensorBase):
        array = item._array
        if item._backend is not x._backend:
            raise RuntimeError(f"index: the index is on {item._backend.name}, the tensor on {x._backend.name}")
    else:
        host = np.asarray([_plain(i) for i in item] if isinstance(item, (list, tuple)) else item)
        array = x._backend.from_numpy(host.astype(np.int64) if host.size == 0 else host)
    if array.dtype.kind not in "iub":
        if array.dtype.kind in "US":
            raise TypeError(f"index: a text cannot be an index, got {item!r}")
        raise IndexError(f"index: tensors used as indices must be integers or bool, got {array.dtype}")
    if array.dtype.kind == "u":
        raise IndexError("index: uint8 is not used as an index: say .long() for positions or .bool() for a mask")
    if array.dtype.kind == "i" and array.dtype != np.int64:
        array = x._backend.cast(array, np.dtype(np.int64))
    return wrap(x.result_class, array, x._backend)


def _is_integer(item: Any) -> bool:
    if isinstance(item, TensorBase):
        return item._array.ndim == 0 and item._array.dtype.kind == "i"
    return hasattr(item, "__index__") and not isinstance(item, (bool, np.bool_)) and getattr(item, "ndim", 0) == 0


def _whole(s: Any) -> bool:
    return isinstance(s, slice) and s == slice(None)


def _normal_slice(item: slice, size: int) -> slice:
    start, stop, step = [None if v is None else operator.index(v) for v in (item.start, item.stop, item.step)]
    if step is not None and step <= 0:
        raise ValueError(f"index: slice step must be positive, got {step}; use flip() to reverse")
    if start is None and stop is None and step in (None, 1):
        return slice(None)
    return slice(*slice(start, stop, step).indices(size))


def parse(x: TensorBase, key: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Split a key into its basic part (a view) and its advanced part (for that view; () if there is none).

    As in PyTorch, integers, slices and None act first; index tensors then pick from what they leave.
    """
    items = list(key) if isinstance(key, tuple) else [key]
    shape = x._array.shape
    used = 0
    for i, item in enumerate(items):
        if not (item is None or item is Ellipsis or isinstance(item, (bool, np.bool_, slice)) or _is_integer(item)):
            items[i] = item = _advanced(x, item)
        if isinstance(item, TensorBase) and item._array.dtype.kind == "b":
            used += item._array.ndim
        elif not (item is None or item is Ellipsis or isinstance(item, (bool, np.bool_))):
            used += 1
    if used > len(shape):
        raise IndexError(f"index: too many indices ({used}) for a tensor of {len(shape)} dimensions")
    dots = [i for i, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexError("index: only one ellipsis is allowed")
    at = dots[0] if dots else len(items)
    items[at : at + 1] = [slice(None)] * (len(shape) - used)

    basic: list[Any] = []  # what Slice gets
    picks: list[Any] = []  # what Index gets, for the axes of the view
    dim = 0  # axis of x
    for item in items:
        pick: Any = slice(None)
        if item is None:
            basic.append(None)
        elif isinstance(item, (bool, np.bool_)):
            basic.append(None)
            pick = x._backend.from_numpy(np.array([bool(item)]))
        elif isinstance(item, slice):
            basic.append(_normal_slice(item, shape[dim]))
            dim += 1
        elif _is_integer(item):
            i = int(item)
            if not -shape[dim] <= i < shape[dim]:
                raise IndexError(f"index: {i} is out of range for dim {dim} of size {shape[dim]}")
            basic.append(i % shape[dim])
            dim += 1
            continue
        elif item._array.dtype.kind == "b" and item._array.ndim == 0:
            basic.append(None)
            pick = x._backend.reshape(item._array, (1,))
        else:
            pick = item._array
            axes = pick.ndim if pick.dtype.kind == "b" else 1
            if pick.dtype.kind == "b" and pick.shape != shape[dim : dim + axes]:
                raise IndexError(
                    f"index: the mask has shape {tuple(pick.shape)}, but the tensor {tuple(shape)} has "
                    f"{tuple(shape[dim : dim + axes])} there"
                )
            basic += [slice(None)] * axes
            dim += axes
        picks.append(pick)
    if all(map(_whole, picks)):
        return tuple(basic), ()
    return (() if all(map(_whole, basic)) else tuple(basic)), tuple(picks)


def getitem(input: T, key: Any) -> T:
    """Return input[key]: a view for integers, slices, None and Ellipsis, a copy if index tensors or masks take part."""
    basic, advanced = parse(input, key)
    if basic or not advanced:
        input = Slice.apply(input, basic)
    return Index.apply(input, advanced) if advanced else input


def setitem(input: Any, key: Any, value: Any) -> None:
    """Write `value`, a number or a tensor that broadcasts, to input[key]."""
    if not isinstance(value, TensorBase):
        value = element_like("setitem", input, value)
    elif value._backend is not input._backend:
        raise RuntimeError(f"setitem: the value is on {value._backend.name}, the tensor on {input._backend.name}")
    if key is False:  # picks nothing
        return
    basic, advanced = parse(input, key)
    value = _without_leading_ones(value)
    check_writable(input, "setitem")
    target = Slice.apply(input, basic) if basic or not advanced else input
    if not advanced:
        copy_(target, value, "setitem")
        return
    index_put_(target, advanced, value, False, "setitem")


def index_put_(input: Any, key: tuple[Any, ...], value: Any, accumulate: bool, name: str) -> Any:
    """Write values to the places that a parsed key picks."""
    value = cast(value, input._array.dtype)
    try:
        if state.grad and (input._requires_grad or value._requires_grad):
            return write_(input, IndexPut.apply(input, value, key, accumulate), name)
        check_writable(input, name)
        input._backend.index_put(input._array, key, value._array, accumulate)
    except ValueError as error:
        raise RuntimeError(
            f"{name}: a value of shape {tuple(value._array.shape)} does not fit the places: {error}"
        ) from None
    input._counter.value += 1
    return input


def _without_leading_ones(value: Any) -> Any:
    """Return a value without its leading axes of size 1, which broadcasting would add again where they are needed."""
    shape = value._array.shape
    first = next((axis for axis, size in enumerate(shape) if size != 1), len(shape))
    return reshape(value, shape[first:]) if first else value


# ---- along one axis ----


def _index_array(op: str, input: Any, dim: int, index: Any) -> tuple[int, Any]:
    """Check a dim and an index tensor for gather and scatter; return the axis and an int64 array."""
    check_tensors(op, input, index)
    at = wrap_dim(op, dim, input._array.ndim)
    if index._array.dtype.kind not in "iu" or index._array.dtype.itemsize < 4:
        raise RuntimeError(f"{op}: index must be int64 or int32, got {index._array.dtype}")
    if index._array.ndim != input._array.ndim:
        raise RuntimeError(f"{op}: index has {index._array.ndim} dimensions, input {input._array.ndim}")
    for d, (small, big) in enumerate(zip(index._array.shape, input._array.shape)):
        if d != at and small > big:
            raise RuntimeError(
                f"{op}: index of shape {tuple(index.shape)} exceeds input {tuple(input.shape)} in dim {d}"
            )
    host = input._backend.to_numpy(index._array)
    if host.size and (host.min() < 0 or host.max() >= input._array.shape[at]):
        bad = host[(host < 0) | (host >= input._array.shape[at])][0]
        raise RuntimeError(f"{op}: index {bad} is out of range for dim {at} of size {input._array.shape[at]}")
    return at, cast(index, np.dtype(np.int64))._array


@takes_out
def gather(input: T, dim: int, index: Any) -> T:
    """Return input picked along an axis: y[.., i, ..] = input[.., index[.., i, ..], ..]."""
    at, places = _index_array("gather", input, dim, index)
    return Gather.apply(input, at, places)


def scatter_add(input: T, dim: int, index: Any, src: T) -> T:
    """Return input with the elements of `src` added where `index` says along an axis."""
    at, places = _index_array("scatter_add", input, dim, index)
    check_tensors("scatter_add", src)
    if any(small > big for small, big in zip(index._array.shape, src._array.shape)):
        raise RuntimeError(f"scatter_add: index of shape {tuple(index.shape)} exceeds src {tuple(src._array.shape)}")
    if src._array.dtype != input._array.dtype:
        raise RuntimeError(f"scatter_add: input is {input._array.dtype}, src {src._array.dtype}")
    return ScatterAdd.apply(input, src, at, places)


@takes_out
def index_select(input: T, dim: int, index: Any) -> T:
    """Return a copy of the given positions along an axis; `index` is a vector of integers."""
    check_tensors("index_select", input, index)
    at = wrap_dim("index_select", dim, input._array.ndim)
    if index._array.ndim > 1:
        raise IndexError(f"index_select: index must be a vector, got {index._array.ndim} dimensions")
    if not input._array.ndim:
        return reshape(getitem(reshape(input, 1), reshape(index, -1)), ())
    return getitem(input, (*[slice(None)] * at, reshape(index, -1)))


def masked_fill(input: T, mask: Any, value: Number | TensorBase) -> T:
    """Return input with `value` where `mask` (bool, broadcast) holds."""
    check_tensors("masked_fill", input, mask)
    if mask._array.dtype.kind != "b":
        raise RuntimeError(f"masked_fill: mask must be bool, got {mask._array.dtype}")
    if isinstance(value, TensorBase) and value._array.ndim:
        raise RuntimeError(
            f"masked_fill: value must be a number or have no dimensions, got shape {tuple(value._array.shape)}"
        )
    filler = value if isinstance(value, TensorBase) else element_like("masked_fill", input, value)
    return where(mask, cast(filler, input._array.dtype), input)


@takes_out
def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """Return the positions of elements that are not 0: int64 (count, ndim), or a vector for each axis."""
    check_tensors("nonzero", input)
    x = input if input._array.ndim else reshape(input, 1)
    places = [wrap(x.result_class, p, x._backend) for p in x._backend.nonzero(x._array)]
    if as_tuple:
        return tuple(places)
    return stack(places, 1) if x is input else reshape(places[0], places[0]._array.shape[0], 1)[:, :0]
