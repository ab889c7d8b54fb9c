"""Views, and operations that move elements without computing: reshape, permute, expand, cat, pad ..."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from math import prod
from typing import Any

import numpy as np

from .. import dtypes, geometry
from ..autograd.graph import Op, TensorBase
from ..backends.base import is_contiguous
from ..geometry import wrap_dim
from .elementwise import T, cast, check_tensors
from .inplace import into

__all__ = [
    "broadcast_to", "cat", "chunk", "clone", "concat", "concatenate", "flatten", "movedim", "narrow", "permute", "reshape",
    "select", "split", "squeeze", "stack", "swapaxes", "t", "transpose", "unbind", "unflatten", "unsqueeze",
]  # fmt: skip


def numpy_names(function: Callable[..., Any]) -> Callable[..., Any]:
    """Accept NumPy's spellings `axis` and `keepdims` for `dim` and `keepdim`, and `out`; refuse an input that is no tensor."""
    has_input = "input" in inspect.signature(function).parameters

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if has_input and args and not isinstance(args[0], TensorBase):
            check_tensors(function.__name__, args[0])
        if kwargs:
            for ours, theirs in (("dim", "axis"), ("keepdim", "keepdims")):
                if theirs in kwargs:
                    if ours in kwargs:
                        raise TypeError(f"{function.__name__}: got both {ours} and {theirs}")
                    kwargs[ours] = kwargs.pop(theirs)
            if kwargs.get("out") is not None:
                out = kwargs.pop("out")
                return into(out, function(*args, **kwargs), function.__name__)
            kwargs.pop("out", None)
        return function(*args, **kwargs)

    return wrapper


class Reshape(Op):
    """View with another shape."""

    title = "View"
    is_view = True

    def forward(self, x: Any, shape: tuple[int, ...]) -> Any:
        self.shape = x.shape
        return self.backend.reshape(x, shape)

    def backward(self, dy: Any) -> Any:
        return _reshaped(dy, self.shape)


class Permute(Op):
    """View with axes in another order."""

    is_view = True

    def forward(self, x: Any, dims: tuple[int, ...]) -> Any:
        self.dims = dims
        return self.backend.permute(x, dims)

    def backward(self, dy: Any) -> Any:
        return Permute.apply(dy, tuple(int(d) for d in np.argsort(self.dims)))


class Expand(Op):
    """View repeated along axes of size 1."""

    is_view = True

    def forward(self, x: Any, shape: tuple[int, ...]) -> Any:
        return self.backend.expand(x, shape)

    def backward(self, dy: Any) -> Any:
        return dy  # the backward pass sums over what was broadcast


class Clone(Op):
    """Contiguous copy."""

    def forward(self, x: Any) -> Any:
        return self.backend.copy(x)

    def backward(self, dy: Any) -> Any:
        return dy


class Cat(Op):
    """Tensors joined along an axis; arguments: tensors, then the axis."""

    def forward(self, *args: Any) -> Any:
        *xs, self.dim = args
        self.sizes = [x.shape[self.dim] for x in xs]
        return self.backend.cat(xs, self.dim)

    def backward(self, dy: Any) -> Any:
        ends = np.cumsum([0, *self.sizes])
        return tuple([
            narrow(dy, self.dim, int(start), size) if need else None
            for start, size, need in zip(ends, self.sizes, self.needs_grad)
        ])  # fmt: skip


class Pad(Op):
    """Constant elements added around each axis, or elements cut off where a number is negative."""

    title = "ConstantPadNd"

    def forward(self, x: Any, pads: tuple[tuple[int, int], ...], value: float) -> Any:
        self.pads = pads
        return self.backend.pad(x, pads, value)

    def backward(self, dy: Any) -> Any:
        return Pad.apply(dy, tuple((-a, -b) for a, b in self.pads), 0.0)


def sizes(op: str, shape: tuple[Any, ...]) -> tuple[int, ...]:
    """Return the sizes given as f(2, 3) or as f((2, 3))."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    for size in shape:
        if not hasattr(size, "__index__"):
            raise TypeError(f"{op}: sizes must be ints, got {size!r}")
    return tuple([int(size) for size in shape])


def new_shape(op: str, shape: tuple[Any, ...]) -> tuple[int, ...]:
    """Return the sizes of a tensor to be made, none of which may be negative."""
    wanted = sizes(op, shape)
    if any(n < 0 for n in wanted):
        raise RuntimeError(f"{op}: sizes must not be negative, got {wanted}")
    return wanted


def axis_of(op: str, input: Any, dim: int) -> tuple[int, int]:
    """Return an axis as a non-negative number, and its size; IndexError for a tensor without dimensions."""
    shape = shape_of(op, input)
    if not shape:
        raise IndexError(f"{op}: a tensor without dimensions has no parts")
    at = wrap_dim(op, dim, len(shape))
    return at, shape[at]


def shape_of(op: str, input: Any) -> tuple[int, ...]:
    """Return the shape of a tensor; TypeError for anything else."""
    if not isinstance(input, TensorBase):
        check_tensors(op, input)
    return input._array.shape


def given(op: str, name: str, args: tuple[Any, ...], named: Any) -> tuple[int, ...]:
    """Return ints given by position, f(2, 3) or f((2, 3)), or by name."""
    if (named is None) == (not args):
        raise TypeError(f"{op}: expected {op}(2, 3), {op}((2, 3)) or {op}({name}=(2, 3))")
    return sizes(op, args or (named,))


def reshape(input: T, *args: Any, shape: Any = None) -> T:
    """Return the elements in another shape, as a view where the memory allows it; one size may be -1."""
    return _reshaped(
        input, geometry.infer_shape("reshape", given("reshape", "shape", args, shape), prod(shape_of("reshape", input)))
    )


def _reshaped(input: T, shape: tuple[int, ...]) -> T:
    """Return the elements in another shape, which fits."""
    try:
        return Reshape.apply(input, shape)
    except ValueError:  # not viewable
        return Reshape.apply(clone(input), shape)


def view(input: T, *args: Any, size: Any = None) -> T:
    """Return a view with another shape; RuntimeError where only a copy could have it.  A dtype converts the bits."""
    if len(args) == 1 and isinstance(args[0], dtypes.dtype):
        if args[0] is not dtypes.of_numpy(input._array.dtype):
            raise RuntimeError(f"view: reinterpreting the bits as {args[0]} is not supported; .to() converts values")
        return input
    new = geometry.infer_shape("view", given("view", "size", args, size), prod(shape_of("view", input)))
    try:
        return Reshape.apply(input, new)
    except ValueError:
        raise RuntimeError(
            f"view: shape {new} is not a view of a tensor of shape {tuple(input._array.shape)} with its strides; "
            "use reshape(), or contiguous() first"
        ) from None


def flatten(input: T, start_dim: int = 0, end_dim: int = -1) -> T:
    """Return the axes start_dim ... end_dim joined into one."""
    shape = shape_of("flatten", input)
    start, end = wrap_dim("flatten", start_dim, len(shape)), wrap_dim("flatten", end_dim, len(shape))
    if start > end:
        raise RuntimeError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim}")
    if start == end and shape:
        return input
    return _reshaped(input, (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :]))


def unflatten(input: T, dim: int, sizes: Sequence[int]) -> T:
    """Return axis `dim` split into several; one of the sizes may be -1."""
    shape = shape_of("unflatten", input)
    at = wrap_dim("unflatten", dim, len(shape))
    return reshape(input, (*shape[:at], *geometry.infer_shape("unflatten", tuple(sizes), shape[at]), *shape[at + 1 :]))


def squeeze(input: T, dim: int | tuple[int, ...] | None = None) -> T:
    """Return a view without the axes of size 1, or without those of them that `dim` names."""
    shape = shape_of("squeeze", input)
    named = geometry.wrap_dims("squeeze", dim, len(shape)) if dim != () else ()
    return Reshape.apply(input, tuple(size for d, size in enumerate(shape) if size != 1 or d not in named))


def unsqueeze(input: T, dim: int) -> T:
    """Return a view with a new axis of size 1 at `dim`."""
    shape = shape_of("unsqueeze", input)
    at = wrap_dim("unsqueeze", dim, len(shape) + 1)
    return Reshape.apply(input, (*shape[:at], 1, *shape[at:]))


def permute(input: T, *args: Any, dims: Any = None) -> T:
    """Return a view with the axes in another order, given as (1, 0), as 1, 0 or by name."""
    order = given("permute", "dims", args, dims)
    ndim = len(shape_of("permute", input))
    wrapped = tuple(wrap_dim("permute", d, ndim) for d in order)
    if sorted(wrapped) != list(range(ndim)):
        raise RuntimeError(f"permute: dims {order} must name each of the {ndim} axes once")
    return Permute.apply(input, wrapped)


def transpose(input: T, dim0: int, dim1: int) -> T:
    """Return a view with two axes exchanged."""
    ndim = len(shape_of("transpose", input))
    a, b = wrap_dim("transpose", dim0, ndim), wrap_dim("transpose", dim1, ndim)
    order = list(range(ndim))
    if ndim:
        order[a], order[b] = order[b], order[a]
    return Permute.apply(input, tuple(order))


def swapaxes(input: T, axis0: int, axis1: int) -> T:
    """Return a view with two axes exchanged."""
    return transpose(input, axis0, axis1)


def t(input: T) -> T:
    """Return the transposed matrix; tensors of fewer axes are returned as they are."""
    ndim = len(shape_of("t", input))
    if ndim > 2:
        raise RuntimeError(f"t: expected at most 2 dimensions, got {ndim}; use transpose() or mT")
    return input if ndim < 2 else transpose(input, 0, 1)


def movedim(input: T, source: int | tuple[int, ...], destination: int | tuple[int, ...]) -> T:
    """Return a view with axes moved to new positions; the others keep their order."""
    ndim = len(shape_of("movedim", input))
    here = [wrap_dim("movedim", d, ndim) for d in (source if isinstance(source, tuple) else (source,))]
    there = [wrap_dim("movedim", d, ndim) for d in (destination if isinstance(destination, tuple) else (destination,))]
    if len(set(here)) != len(here) or len(set(there)) != len(there) or len(here) != len(there):
        raise RuntimeError(f"movedim: source {source!r} and destination {destination!r} must pair up distinct axes")
    order = [d for d in range(ndim) if d not in here]
    for to, d in sorted(zip(there, here)):
        order.insert(to, d)
    return Permute.apply(input, tuple(order))


def expand(input: T, *args: Any, size: Any = None) -> T:
    """Return a view repeated along axes of size 1, and along new leading ones; -1 keeps a size."""
    wanted = given("expand", "size", args, size)
    old = shape_of("expand", input)
    missing = len(wanted) - len(old)
    if missing < 0 or any(size == -1 for size in wanted[:missing]):
        raise RuntimeError(f"expand: sizes {wanted} do not fit a tensor of shape {tuple(old)}")
    new = tuple(old[d - missing] if size == -1 else size for d, size in enumerate(wanted))
    geometry.broadcast_to("expand", old, new)
    return Expand.apply(input, new)


def expand_as(input: T, other: TensorBase) -> T:
    """Return a view of input with the shape of `other`."""
    return expand(input, other._array.shape)


def broadcast_to(input: T, size: Sequence[int]) -> T:
    """Return a view broadcast to `size`."""
    return expand(input, tuple(size))


def clone(input: T, *, memory_format: Any = None) -> T:
    """Return a contiguous copy that passes gradients on."""
    if not isinstance(input, TensorBase):
        check_tensors("clone", input)
    return Clone.apply(input)


def contiguous(input: T, memory_format: Any = None) -> T:
    """Return the tensor itself if it is contiguous, else a contiguous copy."""
    return input if is_contiguous(input._array) else Clone.apply(input)


def _check_list(op: str, tensors: Any) -> None:
    """Raise unless `tensors` holds tensors."""
    if not isinstance(tensors, Sequence):
        raise TypeError(f"{op}: expected a list or tuple of tensors, got {type(tensors).__name__}")
    if not tensors:
        raise (ValueError if op == "cat" else RuntimeError)(f"{op}: expected at least one tensor")
    check_tensors(op, *tensors)


@numpy_names
def cat(tensors: Sequence[T], dim: int = 0) -> T:
    """Return tensors joined along an axis; all other sizes must agree.  Empty 1-d tensors are skipped, as in PyTorch."""
    _check_list("cat", tensors)
    parts = [x for x in tensors if x._array.shape != (0,)] or list(tensors[:1])
    shape = parts[0]._array.shape
    if not shape:
        raise RuntimeError("cat: tensors without dimensions cannot be joined; use stack()")
    at = wrap_dim("cat", dim, len(shape))
    for i, x in enumerate(parts):
        other = x._array.shape
        if len(other) != len(shape) or (*other[:at], *other[at + 1 :]) != (*shape[:at], *shape[at + 1 :]):
            raise RuntimeError(
                f"cat: all sizes except those of dim {at} must agree, but tensor 0 has shape {tuple(shape)} "
                f"and tensor {i} {tuple(other)}"
            )
    kind = dtypes.result_numpy([(x._array.dtype, 2) for x in tensors])
    return Cat.apply(*[cast(x, kind) for x in parts], at)


concat = concatenate = cat


@numpy_names
def stack(tensors: Sequence[T], dim: int = 0) -> T:
    """Return tensors of one shape joined along a new axis."""
    _check_list("stack", tensors)
    shape = tensors[0]._array.shape
    for i, x in enumerate(tensors):
        if x._array.shape != shape:
            raise RuntimeError(
                f"stack: all shapes must be equal, but tensor 0 is {tuple(shape)} and {i} {tuple(x._array.shape)}"
            )
    at = wrap_dim("stack", dim, len(shape) + 1)
    return cat([unsqueeze(x, at) for x in tensors], at)


def narrow(input: T, dim: int, start: int, length: int) -> T:
    """Return a view of `length` elements along an axis, from `start`."""
    at, size = axis_of("narrow", input, dim)
    begin = start + size if start < 0 else start
    if length < 0 or not 0 <= begin <= size - length:
        raise RuntimeError(f"narrow: start {start} and length {length} exceed dim {at} of size {size}")
    return Slice.apply(input, (*[slice(None)] * at, slice(begin, begin + length)))


def select(input: T, dim: int, index: int) -> T:
    """Return a view of one position along an axis, which disappears."""
    at, size = axis_of("select", input, dim)
    if not -size <= index < size:
        raise IndexError(f"select: index {index} is out of range for dim {at} of size {size}")
    return Slice.apply(input, (*[slice(None)] * at, index % size))


def unbind(input: T, dim: int = 0) -> tuple[T, ...]:
    """Return the views of all positions along an axis."""
    at, size = axis_of("unbind", input, dim)
    return tuple([select(input, at, i) for i in range(size)])


def split(input: T, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[T, ...]:
    """Return views of pieces along an axis: of one size (the last may be smaller), or of the given sizes."""
    at, total = axis_of("split", input, dim)
    if isinstance(split_size_or_sections, int):
        step = split_size_or_sections
        if step < 0 or (step == 0 and total):
            raise RuntimeError(f"split: split_size must be positive, got {step}")
        lengths = [min(step, total - start) for start in range(0, total, step)] if total else [0]
    else:
        lengths = list(split_size_or_sections)
        if sum(lengths) != total or any(n < 0 for n in lengths):
            raise RuntimeError(f"split: sections {lengths} must add up to {total}, the size of dim {at}")
    starts = np.cumsum([0, *lengths])
    return tuple([narrow(input, at, int(start), length) for start, length in zip(starts, lengths)])


def chunk(input: T, chunks: int, dim: int = 0) -> tuple[T, ...]:
    """Return at most `chunks` views of equal size along an axis; the last may be smaller."""
    if chunks <= 0:
        raise RuntimeError(f"chunk: chunks must be positive, got {chunks}")
    at, total = axis_of("chunk", input, dim)
    return split(input, -(-total // chunks) if total else [0] * chunks, at)


class Slice(Op):
    """View of a rectangle with steps; the key holds ints, slices, None and Ellipsis."""

    is_view = True

    def forward(self, x: Any, key: tuple[Any, ...]) -> Any:
        self.shape, self.key = x.shape, key
        return self.backend.slice(x, key)

    def backward(self, dy: Any) -> Any:
        return SliceAdjoint.apply(dy, self.key, self.shape)


class SliceAdjoint(Op):
    """Zeros, with the given elements in a rectangle."""

    def forward(self, y: Any, key: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
        self.key = key
        x = self.backend.full(shape, 0, y.dtype)
        self.backend.assign(self.backend.slice(x, key), y)
        return x

    def backward(self, dx: Any) -> Any:
        return Slice.apply(dx, self.key)


def pad(input: T, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> T:
    """Pad the last axes: `pad` is (before, after) of the last axis, then of the one before it, ...; negative crops.

    Modes: 'constant' (any axes), 'reflect', 'replicate', 'circular' (of inputs with batch and channel axes).
    """
    shape = shape_of("pad", input)
    if not isinstance(pad, (tuple, list)):
        raise TypeError(f"pad: expected a list or tuple of ints, got {pad!r}")
    pad = sizes("pad", (pad,))
    if len(pad) % 2 or len(pad) > 2 * len(shape):
        raise RuntimeError(f"pad: expected pairs for at most {len(shape)} axes, got {tuple(pad)}")
    pairs = [(0, 0)] * (len(shape) - len(pad) // 2)
    pairs += [(int(pad[i]), int(pad[i + 1])) for i in range(len(pad) - 2, -1, -2)]
    for axis, ((before, after), size) in enumerate(zip(pairs, shape)):
        if size + before + after < 0:
            raise RuntimeError(f"pad: padding {(before, after)} leaves axis {axis} of size {size} with a negative size")
    if mode == "constant":
        return Pad.apply(input, tuple(pairs), 0.0 if value is None else value)
    if mode not in PAD_MODES:
        raise NotImplementedError(f"pad: mode must be 'constant', {', '.join(map(repr, PAD_MODES))}, got {mode!r}")
    if value:
        raise ValueError(f"pad: mode {mode!r} takes no value, got {value}")
    padded = [(axis, *pairs[axis]) for axis in range(len(shape)) if any(pairs[axis])]
    for axis, before, after in padded:
        most = {"reflect": shape[axis] - 1, "replicate": max(before, after), "circular": shape[axis]}[mode]
        if max(before, after) > most or shape[axis] == 0:
            raise RuntimeError(
                f"pad: {mode} padding {(before, after)} must be at most {most} for axis {axis} of size {shape[axis]}"
            )
    if not len(pad) // 2 < len(shape) <= len(pad) // 2 + 2 or len(pad) > 6:
        raise NotImplementedError(
            f"pad: mode {mode!r} pads all axes behind the batch and channel axes of an input (N, C, ...) or (C, ...), at most "
            f"3; got {len(pad)} numbers for shape {tuple(shape)}"
        )
    for axis, before, after in padded:
        input = _pad_by_index(input, axis, before, after, mode)
    return input


PAD_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}  # PyTorch's name: NumPy's


def _pad_by_index(input: T, axis: int, before: int, after: int, mode: str) -> T:
    """Pad one axis with elements of the input."""
    places = np.pad(np.arange(input._array.shape[axis]), (max(0, before), max(0, after)), mode=PAD_MODES[mode])  # type: ignore[call-overload]
    places = places[max(0, -before) : len(places) - max(0, -after)]
    return Index.apply(input, (*[slice(None)] * axis, input._backend.from_numpy(places)))


class Index(Op):
    """Copy of elements picked by integer and bool arrays, as NumPy picks."""

    def forward(self, x: Any, key: tuple[Any, ...]) -> Any:
        self.shape, self.key = x.shape, key
        return self.backend.index(x, key)

    def backward(self, dy: Any) -> Any:
        return IndexAdjoint.apply(dy, self.key, self.shape)


class IndexAdjoint(Op):
    """Zeros, with values added where a key picks."""

    def forward(self, y: Any, key: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
        self.key = key
        x = self.backend.full(shape, 0, y.dtype)
        self.backend.index_put(x, key, y, True)
        return x

    def backward(self, dx: Any) -> Any:
        return Index.apply(dx, self.key)
