"""Elements in other places: joining, splitting, flipping, rolling, repeating, triangles and diagonals; all composed."""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import geometry
from ..autograd.graph import Op, TensorBase, wrap
from ..geometry import wrap_dim
from .elementwise import T, check_tensors, tensor_like, where
from .inplace import takes_out
from .reduce import sum
from .shape import (
    Index, Slice, axis_of, cat, chunk, clone, expand, given, movedim, pad, permute, reshape, shape_of, split, stack, transpose,
    unsqueeze,
)  # fmt: skip

__all__ = [
    "adjoint", "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_shapes", "broadcast_tensors",
    "cartesian_prod", "column_stack", "combinations", "diag", "diag_embed", "diagflat", "diagonal", "dsplit", "dstack", "flip",
    "fliplr", "flipud", "hsplit", "hstack", "meshgrid", "moveaxis", "ravel", "repeat_interleave", "roll", "rot90",
    "row_stack", "split_with_sizes", "swapdims", "tensor_split", "tile", "trace", "tril", "triu", "unsafe_chunk",
    "unsafe_split", "vsplit", "vstack",
]  # fmt: skip

moveaxis, swapdims = movedim, transpose


def adjoint(input: T) -> T:
    """Return the last two axes exchanged: there are no complex dtypes."""
    return transpose(input, -2, -1) if len(shape_of("adjoint", input)) else input


# ---- joining ----


def _at_least(ndim: int) -> Callable[..., Any]:
    def function(*tensors: Any) -> Any:
        if len(tensors) > 1 or isinstance(tensors[0], (tuple, list)):
            many = tensors[0] if len(tensors) == 1 else tensors
            return tuple([function(x) for x in many])
        x, shape = tensors[0], shape_of(f"atleast_{ndim}d", tensors[0])
        if len(shape) >= ndim:
            return x
        if ndim == 3 and len(shape) == 2:
            return unsqueeze(x, -1)
        return reshape(x, (1,) * (ndim - len(shape)) + tuple(shape) if ndim < 3 or not shape else (1, shape[0], 1))

    function.__name__ = function.__qualname__ = f"atleast_{ndim}d"
    function.__doc__ = f"Return tensors with new axes of size 1 where they have fewer than {ndim}."
    return function


atleast_1d, atleast_2d, atleast_3d = _at_least(1), _at_least(2), _at_least(3)


@takes_out
def hstack(tensors: Sequence[T]) -> T:
    """Return tensors joined along axis 1, vectors along axis 0."""
    parts = [atleast_1d(x) for x in _several("hstack", tensors)]
    return cat(parts, 0 if parts[0]._array.ndim == 1 else 1)


@takes_out
def vstack(tensors: Sequence[T]) -> T:
    """Return tensors joined along axis 0, vectors as rows."""
    return cat([atleast_2d(x) for x in _several("vstack", tensors)])


@takes_out
def dstack(tensors: Sequence[T]) -> T:
    """Return tensors joined along axis 2."""
    return cat([atleast_3d(x) for x in _several("dstack", tensors)], 2)


@takes_out
def column_stack(tensors: Sequence[T]) -> T:
    """Return tensors joined along axis 1, vectors as columns."""
    parts: list[Any] = _several("column_stack", tensors)
    return hstack([x if x._array.ndim > 1 else reshape(x, x._array.shape[0] if x._array.ndim else 1, 1) for x in parts])


row_stack = vstack


def _several(op: str, tensors: Sequence[T]) -> list[T]:
    if not tensors:
        raise RuntimeError(f"{op}: expected at least one tensor")
    check_tensors(op, *tensors)
    return list(tensors)


def _listed(op: str, tensors: tuple[Any, ...]) -> list[Any]:
    """Return tensors given as f(x, y) or as f([x, y])."""
    many = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    return _several(op, many)


def broadcast_shapes(*shapes: Any) -> geometry.Size:
    """Return the shape to which all shapes broadcast."""
    return geometry.Size(
        geometry.broadcast("broadcast_shapes", *[(s,) if isinstance(s, int) else tuple(s) for s in shapes])
    )


def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """Return views of tensors in the shape to which all broadcast."""
    many = _listed("broadcast_tensors", tensors)
    shape = geometry.broadcast("broadcast_tensors", *[x._array.shape for x in many])
    return tuple([x if x._array.shape == shape else expand(x, shape) for x in many])


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Any, ...]:
    """Return for each of n vectors its elements on the n-dimensional grid of all; 'xy' exchanges the first two axes."""
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be 'ij' or 'xy', got {indexing!r}")
    many = _listed("meshgrid", tensors)
    if max(x._array.ndim for x in many) > 1:
        raise RuntimeError("meshgrid: expected vectors or tensors without dimensions")
    if len({x._array.dtype for x in many}) > 1:
        raise RuntimeError("meshgrid: expected tensors of one dtype")
    count = len(many)
    grids = [expand(reshape(x, *[-1 if d == i else 1 for d in range(count)]), [y.numel() for y in many])
             for i, x in enumerate(many)]  # fmt: skip
    return tuple([transpose(g, 0, 1) for g in grids] if indexing == "xy" and count > 1 else grids)


def cartesian_prod(*tensors: Any) -> Any:
    """Return all choices of one element from each vector as rows."""
    many = _listed("cartesian_prod", tensors)
    if any(x._array.ndim != 1 for x in many):
        raise RuntimeError("cartesian_prod: expected vectors")
    return many[0] if len(many) == 1 else stack([reshape(g, -1) for g in meshgrid(*many)], 1)


def combinations(input: T, r: int = 2, with_replacement: bool = False) -> T:
    """Return all choices of r elements of a vector as rows."""
    if r < 0 or len(shape_of("combinations", input)) != 1:
        raise RuntimeError(
            f"combinations: expected a vector and r of at least 0, got {input._array.ndim} dimensions, {r}"
        )
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = list(choose(range(shape_of("combinations", input)[0]), r))
    array = np.array(places, np.int64).reshape(len(places), r) if r else np.empty(0, np.int64)
    return Index.apply(input, (input._backend.from_numpy(array),))


def block_diag(*tensors: Any) -> Any:
    """Return the matrix with the given matrices along its diagonal."""
    many = [atleast_2d(x) for x in _listed("block_diag", tensors)]
    width, before, rows = builtins.sum(x._array.shape[1] for x in many), 0, []
    for x in many:
        columns = x._array.shape[1]
        rows.append(pad(x, (before, width - before - columns)))
        before += columns
    return cat(rows)


# ---- splitting ----


def tensor_split(input: T, indices_or_sections: Any, dim: int = 0) -> tuple[T, ...]:
    """Return views of nearly equal sections along an axis, or of what lies between the given places."""
    at, total = axis_of("tensor_split", input, dim)
    if isinstance(indices_or_sections, TensorBase):
        indices_or_sections = indices_or_sections._backend.to_numpy(indices_or_sections._array).tolist()
    if isinstance(indices_or_sections, int):
        if indices_or_sections <= 0:
            raise RuntimeError(f"tensor_split: the number of sections must be positive, got {indices_or_sections}")
        small, more = divmod(total, indices_or_sections)
        return split(input, [small + (i < more) for i in range(indices_or_sections)], at)
    ends = [*indices_or_sections, total]
    return tuple([
        Slice.apply(input, (*[slice(None)] * at, slice(*slice(start, end).indices(total)[:2])))
        for start, end in zip([0, *ends], ends)
    ])  # fmt: skip


def _splitter(name: str, axis: int) -> Callable[..., Any]:
    def function(input: T, indices_or_sections: Any) -> tuple[T, ...]:
        ndim = len(shape_of(name, input))
        if ndim < (axis + 1 if name != "hsplit" else 1):
            raise RuntimeError(f"{name}: expected more dimensions, got {ndim}")
        at = 0 if name == "hsplit" and ndim == 1 else axis
        size = input._array.shape[at]
        if isinstance(indices_or_sections, int) and (indices_or_sections < 1 or size % indices_or_sections):
            raise RuntimeError(f"{name}: size {size} cannot be divided into {indices_or_sections} equal sections")
        return tensor_split(input, indices_or_sections, at)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Return tensor_split() along axis {axis}."
    return function


hsplit, vsplit, dsplit = _splitter("hsplit", 1), _splitter("vsplit", 0), _splitter("dsplit", 2)
unsafe_split = split


def split_with_sizes(input: T, split_sizes: Sequence[int], dim: int = 0) -> tuple[T, ...]:
    """Return views of pieces of the given sizes along an axis."""
    return split(input, list(split_sizes), dim)


def unsafe_chunk(input: T, chunks: int, dim: int = 0) -> tuple[T, ...]:
    """Return the views that chunk() returns."""
    return chunk(input, chunks, dim)


# ---- another order ----


def ravel(input: T) -> T:
    """Return the elements as a vector."""
    return reshape(input, -1)


def _places(input: Any, dim: int, places: np.ndarray) -> Any:
    """Return the given places along an axis."""
    return Index.apply(input, (*[slice(None)] * dim, input._backend.from_numpy(places)))


def flip(input: T, *args: Any, dims: Any = None) -> T:
    """Return a copy with the elements in reverse order along axes."""
    ndim = len(shape_of("flip", input))
    y: Any = input
    named = given("flip", "dims", args, dims)
    for dim in geometry.wrap_dims("flip", named, ndim) if named else ():
        y = _places(y, dim, np.arange(y._array.shape[dim])[::-1].copy())
    return clone(y) if y is input else y


def fliplr(input: T) -> T:
    """Return a copy with columns in reverse order."""
    if len(shape_of("fliplr", input)) < 2:
        raise RuntimeError("fliplr: expected at least 2 dimensions")
    return flip(input, 1)


def flipud(input: T) -> T:
    """Return a copy with rows in reverse order."""
    if not shape_of("flipud", input):
        raise RuntimeError("flipud: expected at least 1 dimension")
    return flip(input, 0)


def roll(input: T, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> T:
    """Return elements moved along axes, what leaves at one end entering at the other (default: of the flattened tensor)."""
    moves = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    shape = shape_of("roll", input)
    if dims is None or dims == ():
        if len(moves) != 1:
            raise RuntimeError(f"roll: expected one shift without dims, got {moves}")
        return reshape(roll(reshape(input, -1), moves, 0), shape)
    axes = (dims,) if isinstance(dims, int) else tuple(dims)
    if len(axes) != len(moves):
        raise RuntimeError(f"roll: shifts {moves} and dims {axes} must pair up")
    y: Any = input
    for shift, dim in zip(moves, axes):
        at = wrap_dim("roll", dim, len(shape))
        if shape:
            y = _places(y, at, np.roll(np.arange(shape[at]), shift))
    return y if y is not input else clone(y)


def rot90(input: T, k: int = 1, dims: Sequence[int] = (0, 1)) -> T:
    """Return a copy rotated k times by 90 degrees, from the first of two axes towards the second."""
    ndim = len(shape_of("rot90", input))
    if len(dims) != 2 or ndim < 2:
        raise RuntimeError(f"rot90: expected two axes of at least 2, got {dims} of {ndim}")
    a, b = [wrap_dim("rot90", d, ndim) for d in dims]
    if a == b:
        raise RuntimeError(f"rot90: the axes {dims} must differ")
    k %= 4
    if k % 2:
        return clone(transpose(flip(input, b if k == 1 else a), a, b))
    return flip(input, a, b) if k else clone(input)


def repeat(input: T, *args: Any, repeats: Any = None) -> T:
    """Return a copy repeated so many times along each axis; further numbers in front add axes."""
    counts = given("repeat", "repeats", args, repeats)
    shape = shape_of("repeat", input)
    missing = len(counts) - len(shape)
    if missing < 0 or min(counts, default=0) < 0:
        raise RuntimeError(f"repeat: repeats {counts} must not be negative nor fewer than the {len(shape)} dimensions")
    shape = (1,) * missing + tuple(shape)
    doubled = [n for pair in zip([1] * len(shape), shape) for n in pair]
    wide = expand(reshape(input, doubled), [n for pair in zip(counts, shape) for n in pair])
    return reshape(clone(wide), [c * n for c, n in zip(counts, shape)])


def tile(input: T, *args: Any, dims: Any = None) -> T:
    """Return a copy repeated along the last axes."""
    counts = given("tile", "dims", args, dims)
    return repeat(input, (1,) * (len(shape_of("tile", input)) - len(counts)) + counts)


def repeat_interleave(input: T, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None) -> T:
    """Return each element (or slice along `dim`) repeated so many times in a row; of counts alone, their places."""
    check_tensors("repeat_interleave", input)
    if repeats is None:
        count = input._backend.to_numpy(input._array)
        return wrap(
            input.result_class, input._backend.from_numpy(np.repeat(np.arange(count.size), count)), input._backend
        )
    x = reshape(input, -1) if dim is None else input
    at, size = axis_of("repeat_interleave", x, 0 if dim is None else dim) if x._array.ndim else (0, 1)
    counts = x._backend.to_numpy(repeats._array) if isinstance(repeats, TensorBase) else np.array(repeats)
    if counts.ndim > 1 or counts.size not in (1, size) or (counts < 0).any():
        raise RuntimeError(f"repeat_interleave: repeats must be a number or {size} numbers, none negative")
    return _places(x, at, np.repeat(np.arange(size), counts.reshape(-1) if counts.size > 1 else int(counts.item())))


def unfold(input: T, dimension: int, size: int, step: int) -> T:
    """Return windows of `size` elements every `step` along an axis, as a new last axis."""
    shape = shape_of("unfold", input)
    at = wrap_dim("unfold", dimension, len(shape))
    length = shape[at] if shape else 1
    if size < 0 or size > length or step <= 0:
        raise RuntimeError(f"unfold: size {size} must be 0 to {length}, the size of dim {at}, and step {step} positive")
    places = np.arange(0, length - size + 1, step)[:, None] + np.arange(size)
    windows = _places(input if shape else reshape(input, 1), at, places)
    return movedim(windows, at + 1, -1) if shape else reshape(windows, size)


# ---- triangles and diagonals ----


def _triangle(name: str, keep: Callable[..., Any]) -> Callable[..., Any]:
    @takes_out
    def function(input: T, diagonal: int = 0) -> T:
        shape = shape_of(name, input)
        if len(shape) < 2:
            raise RuntimeError(f"{name}: expected at least 2 dimensions, got {len(shape)}")
        mask = input._backend.from_numpy(keep(np.ones(shape[-2:], bool), diagonal))
        return where(wrap(input.result_class, mask, input._backend), input, tensor_like(input, 0))

    function.__name__ = function.__qualname__ = name
    side = {"tril": "below", "triu": "above"}[name]
    function.__doc__ = (
        f"Return matrices with zeros but on and {side} a diagonal; positive numbers mean those above the main one."
    )
    return function


tril, triu = _triangle("tril", np.tril), _triangle("triu", np.triu)


class Diagonal(Op):
    """View of the diagonal of the last two axes, `offset` columns to the right."""

    is_view = True

    def forward(self, x: Any, offset: int) -> Any:
        self.shape, self.offset = x.shape, offset
        return self.backend.diagonal(x, offset)

    def backward(self, dy: Any) -> Any:
        return DiagonalAdjoint.apply(dy, self.offset, self.shape)


class DiagonalAdjoint(Op):
    """Zeros, with the given elements on a diagonal."""

    def forward(self, y: Any, offset: int, shape: tuple[int, ...]) -> Any:
        self.offset = offset
        x = self.backend.full(shape, 0, y.dtype)
        self.backend.assign(self.backend.diagonal(x, offset), y)
        return x

    def backward(self, dx: Any) -> Any:
        return Diagonal.apply(dx, self.offset)


def _pair_last(op: str, ndim: int, dim1: int, dim2: int) -> tuple[int, ...]:
    a, b = wrap_dim(op, dim1, ndim), wrap_dim(op, dim2, ndim)
    if a == b:
        raise RuntimeError(f"{op}: dim1 {dim1} and dim2 {dim2} must differ")
    return (*[d for d in range(ndim) if d not in (a, b)], a, b)


def diagonal(input: T, offset: int = 0, dim1: int = 0, dim2: int = 1) -> T:
    """Return a view of a diagonal of two axes, as a new last axis; offset counts columns to the right."""
    order = _pair_last("diagonal", len(shape_of("diagonal", input)), dim1, dim2)
    return Diagonal.apply(permute(input, order), offset)


def diag_embed(input: T, offset: int = 0, dim1: int = -2, dim2: int = -1) -> T:
    """Return matrices with the last axis of input on a diagonal and zeros elsewhere."""
    shape = shape_of("diag_embed", input)
    order = _pair_last("diag_embed", len(shape) + 1, dim1, dim2)
    size = shape[-1] + abs(offset)
    y = DiagonalAdjoint.apply(input, offset, (*shape[:-1], size, size))
    return permute(y, tuple(int(d) for d in np.argsort(order)))


@takes_out
def diag(input: T, diagonal: int = 0) -> T:
    """Return the matrix with a vector on a diagonal, or a diagonal of a matrix."""
    ndim = len(shape_of("diag", input))
    if ndim not in (1, 2):
        raise RuntimeError(f"diag: expected a vector or a matrix, got {ndim} dimensions")
    return diag_embed(input, diagonal) if ndim == 1 else Diagonal.apply(input, diagonal).clone()


def diagflat(input: T, offset: int = 0) -> T:
    """Return the matrix with all elements on a diagonal."""
    return diag_embed(reshape(input, -1), offset)


def trace(input: T) -> T:
    """Return the sum of the diagonal of a matrix."""
    if len(shape_of("trace", input)) != 2:
        raise RuntimeError(f"trace: expected a matrix, got {input._array.ndim} dimensions")
    return sum(diagonal(input))
