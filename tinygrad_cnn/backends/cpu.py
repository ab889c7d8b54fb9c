"""The CPU: compiled kernels for what is heavy, the NumPy reference for the rest.

Compiled kernels want C-contiguous float32 or float64; each method here brings its arguments into that form, allocates the
result, and hands other dtypes on to the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import takewhile
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .. import _ext
from ..geometry import Window
from . import algorithms
from .base import SCATTERS, Array, Dims, Shape
from .reference import ReferenceBackend, _outside

_REALS = {np.dtype(np.float32): "float32", np.dtype(np.float64): "float64"}
_LOOPS = frozenset(_ext.runtime.LOOPS)  # ext/arithmetic.pyx
# ext/elementwise.pyx
_BROADCAST = {"add": 0, "sub": 1, "mul": 2, "div": 3, "maximum": 4, "minimum": 5}
_MAPS: dict[str, tuple[int, int, int]] = _ext.load("elementwise", "float32", _ext.LEVEL).maps
_WHERE = {(True, True): "where", (False, True): "where_number", (True, False): "where_else_number"}
_WORTH_BROADCASTING = 4096  # elements from which it takes less time than NumPy
_contiguous = np.ascontiguousarray
_empty = _ext.runtime.empty


def _maybe(x: Array | None) -> Array | None:
    return None if x is None else _contiguous(x)


def _alike(operands: Sequence[Any]) -> bool:
    """Return whether arrays among the operands have one shape and one dtype, a compiled one, but are not all contiguous."""
    arrays = [x for x in operands if isinstance(x, np.ndarray)]
    like = arrays[0]
    return (
        like.dtype in _REALS
        and all(x.shape == like.shape and x.dtype == like.dtype for x in arrays)
        and not all(x.flags.c_contiguous for x in arrays)
    )


def _simple(operands: Sequence[Any]) -> list[Any]:
    """Return operands as the loops take them: a number for one element repeated beside another array, else contiguous."""
    repeated = [isinstance(x, np.ndarray) and x.size > 1 and not any(x.strides) for x in operands]
    if len(operands) == 2 and repeated in ([True, False], [False, True]) and all(map(_is_array, operands)):
        return [x.flat[0].item() if one else _contiguous(x) for x, one in zip(operands, repeated)]
    return [_contiguous(x) if isinstance(x, np.ndarray) else x for x in operands]


def _is_array(x: Any) -> bool:
    """Return whether an operand is an array; one without axes counts as a number."""
    return isinstance(x, np.ndarray) and x.ndim > 0


def _flat(x: Array, dim: int) -> tuple[int, int, int]:
    """Return the sizes before, along and behind an axis."""
    return prod(x.shape[:dim]), x.shape[dim], prod(x.shape[dim + 1 :])


def _as_batch(x: Array, batch: Shape) -> Array:
    """Return x (..., M, N) as (B, M, N), its batch axes broadcast to `batch`; a view if strides allow."""
    if x.shape[:-2] == batch and len(batch) == 1:
        return x
    return np.broadcast_to(x, (*batch, *x.shape[-2:])).reshape(prod(batch), *x.shape[-2:])


class Picked(NamedTuple):
    """Places in an array, in the form of ext/places.h."""

    index: Array
    shape: Shape  # of what is picked
    layout: tuple[int, int, int, int, int, bool]  # P, A, B, K, shared, wide


def _picked(shape: Shape, key: tuple[Any, ...]) -> Picked | None:
    """Return the places that a key picks; None if its arrays do not stand side by side, or name what does not exist."""
    first = next((d for d, item in enumerate(key) if isinstance(item, np.ndarray)), len(key))
    arrays = list(takewhile(lambda item: isinstance(item, np.ndarray), key[first:]))
    rest = (*key[:first], *key[first + len(arrays) :])
    if not arrays or not all(isinstance(item, slice) and item == slice(None) for item in rest):
        return None
    index: Array = np.zeros((), np.int64)
    last = first
    for item in arrays:
        mask = item.dtype.kind == "b"
        end = last + (item.ndim if mask else 1)
        size = prod(shape[last:end])
        place = np.flatnonzero(item) if mask else item
        if len(arrays) == 1:
            index = place
        elif ((place < -size) | (place >= size)).any():
            return None
        else:
            try:
                index = index * size + np.where(place < 0, place + size, place)
            except ValueError:  # they do not broadcast, as NumPy will say
                return None
        last = end
    before, behind = shape[:first], shape[last:]
    layout = (prod(before), prod(shape[first:last]), index.size, prod(behind), max(1, prod(before)), False)
    return Picked(_contiguous(index, np.int64), (*before, *index.shape, *behind), layout)


def _along(shape: Shape, dim: int, index: Array) -> Picked:
    """Return the places that an array names along an axis; the other axes of `shape` are the array's."""
    first = dim  # of the axes before it along which the array repeats itself
    while first and (index.shape[first - 1] == 1 or index.strides[first - 1] == 0):
        first -= 1
    wide = any(n > 1 and stride for n, stride in zip(index.shape[dim + 1 :], index.strides[dim + 1 :]))
    once = index
    if index.size:
        kept = (*range(first), dim, *(range(dim + 1, index.ndim) if wide else ()))
        once = index[tuple([slice(None) if d in kept else 0 for d in range(index.ndim)])]
    before, behind = prod(shape[:dim]), prod(shape[dim + 1 :])
    layout = (before, shape[dim], index.shape[dim], behind, max(1, prod(shape[first:dim])), wide)
    return Picked(_contiguous(once, np.int64), index.shape, layout)


class CpuBackend(ReferenceBackend):
    """Kernels of tinygrad_cnn._ext."""

    name = "cpu"

    def __init__(self, level: str = _ext.LEVEL) -> None:
        self._modules: dict[str, dict[np.dtype, Any]] = {}  # of each family
        self._level = level
        self._loops: dict[str, Any] = {}

    def _kernels(self, family: str, dtype: np.dtype) -> Any:
        """Return the compiled kernels of a family for a dtype, or None."""
        of = self._modules.get(family)
        found = None if of is None else of.get(dtype)
        if found is None and dtype in _REALS:
            found = self._modules.setdefault(family, {})[dtype] = _ext.load(family, _REALS[dtype], self._level)
        return found

    # ---- memory ----

    def empty(self, shape: Shape, dtype: np.dtype) -> Array:
        return _empty(shape, dtype)

    def full(self, shape: Shape, value: float, dtype: np.dtype) -> Array:
        y = _empty(shape, dtype)
        y.fill(value)
        return y

    # ---- elementwise and reductions ----

    def elementwise(self, op: str, *operands: Any) -> Array:
        if op in _LOOPS and all(a.dtype in _REALS for a in operands if isinstance(a, np.ndarray)):
            return self.loop(op)(*operands)
        return self._elementwise(op, *operands)

    def _elementwise(self, op: str, *operands: Any) -> Array:
        """Compute what the loops of arithmetic.pyx do not take as it is."""
        y = None
        if op in _LOOPS and _alike(operands):  # strided or expanded, as the gradient of a sum is
            return self.loop(op)(*_simple(operands))
        if op in _MAPS:
            y = self._map(op, operands)
        elif op in _BROADCAST:
            y = self._broadcast(_BROADCAST[op], *operands)
        elif op == "pow" and isinstance(operands[1], int | float) and operands[0].dtype in _REALS:
            y = self._power(*operands)
        return super().elementwise(op, *operands) if y is None else y

    def loop(self, op: str) -> Callable[..., Array]:
        return self._compiled(op).run if op in _LOOPS else super().loop(op)

    def update(self, op: str) -> Callable[..., Array]:
        return self._compiled(op).update if op in _LOOPS else super().loop(op)

    def _compiled(self, op: str) -> Any:
        found = self._loops.get(op)
        if found is None:
            loops = [_ext.load("arithmetic", real, self._level).loops for real in _REALS.values()]
            found = self._loops[op] = _ext.runtime.Loop(op, *loops, partial(self._elementwise, op))
        return found

    def _map(self, op: str, operands: Sequence[Any]) -> Array | None:
        """Return the result for arrays of one shape and numbers, as many of each as the function takes, else None."""
        condition = None
        if op == "where":
            condition, *operands = operands
            op = _WHERE.get((_is_array(operands[0]), _is_array(operands[1])), op)
        arrays = [x for x in operands if _is_array(x)]
        numbers = [x for x in operands if not _is_array(x)]
        number, *counts = _MAPS[op]
        if counts != [len(arrays), len(numbers)]:
            return None
        like = arrays[0]
        kernels = self._kernels("elementwise", like.dtype)
        if (
            kernels is None
            or any(x.shape != like.shape for x in arrays)
            or not (condition is None or condition.shape == like.shape)
        ):
            return None
        y = _empty(like.shape, like.dtype)
        kernels.run(number, list(map(_contiguous, arrays)), list(map(float, numbers)), y, _maybe(condition))
        return y

    def _broadcast(self, op: int, a: Any, b: Any) -> Array | None:
        """Return the result for contiguous arrays of up to four axes that differ (and numbers), else None."""
        like = a if isinstance(a, np.ndarray) else b
        kernels = self._kernels("elementwise", like.dtype)
        if kernels is None or (like.size < _WORTH_BROADCASTING and getattr(b, "size", 1) < _WORTH_BROADCASTING):
            return None
        a, b = np.asarray(a, like.dtype), np.asarray(b, like.dtype)
        layout, shape = _broadcasting(a.shape, b.shape)
        if layout is None or not (a.flags.c_contiguous and b.flags.c_contiguous):
            return None
        y = _empty(shape, like.dtype)
        kernels.broadcast(op, a, b, y, layout)
        return y

    def _power(self, a: Array, b: float) -> Array | None:
        """Return a ** b for whole b, which NumPy computes slowly where a is negative; else None."""
        if b == 3:
            return self._map("cube", (a,))
        if b != b // 1 or abs(b) <= 2:
            return None
        y = super().elementwise("pow", self.elementwise("abs", a), b)
        return np.copysign(y, a) if b % 2 else y

    def reduce(self, op: str, x: Array, dims: Dims, keepdim: bool) -> Array:
        kernels = self._kernels("reduce", x.dtype) if op in ("sum", "mean", "amax", "amin") else None
        if kernels is None or not x.size:
            return super().reduce(op, x, dims, keepdim)
        layout, shape = _reduction(x.shape, dims, keepdim)
        if layout is None:
            return super().reduce(op, x, dims, keepdim)
        y = _empty(shape, x.dtype)
        if op == "sum" or op == "mean":
            kernels.sum(_contiguous(x), y, *layout, 1.0 if op == "sum" else 1.0 / (layout[1] * layout[3]))
        else:
            kernels.extreme(_contiguous(x), y, *layout, op == "amin")
        return y

    def arg_reduce(self, op: str, x: Array, dim: int, keepdim: bool) -> Array:
        if x.dtype not in _REALS or not x.size or dim % x.ndim == x.ndim - 1:  # along neighbours NumPy is fast
            return super().arg_reduce(op, x, dim, keepdim)
        at = self.arg_parts(op, x, dim % x.ndim, ((0, x.shape[dim]),))
        return at if keepdim else at.squeeze(dim)

    def arg_parts(self, op: str, x: Array, dim: int, parts: tuple[tuple[int, int], ...]) -> Array:
        kernels = self._kernels("places", x.dtype)
        if kernels is None:
            return super().arg_parts(op, x, dim, parts)
        before, size, behind = _flat(x, dim)
        at = _empty((*x.shape[:dim], len(parts), *x.shape[dim + 1 :]), np.dtype(np.int64))
        starts, counts = np.array(parts, np.int64).reshape(-1, 2).T.copy()
        kernels.locate(_contiguous(x), starts, counts, at, (before, size, len(parts), behind), op == "argmin")
        return at

    # ---- indexing ----

    def index(self, x: Array, key: tuple[Any, ...]) -> Array:
        picked = _picked(x.shape, key)
        y = None if picked is None else self._gather(x, picked)
        return super().index(x, key) if y is None else y

    def index_put(self, target: Array, key: tuple[Any, ...], values: Array, accumulate: bool) -> None:
        picked = _picked(target.shape, key)
        op = "add" if accumulate else "set"
        if picked is None or not self._scatter(op, target, picked, values):
            super().index_put(target, key, values, accumulate)

    def gather(self, x: Array, dim: int, index: Array) -> Array:
        part = x[tuple([slice(None if d == dim else n) for d, n in enumerate(index.shape)])]
        y = self._gather(part, _along(part.shape, dim, index))
        return super().gather(x, dim, index) if y is None else y

    def scatter(self, op: str, target: Array, dim: int, index: Array, values: Array) -> None:
        picked = None
        if all(n == size for d, (n, size) in enumerate(zip(index.shape, target.shape)) if d != dim):
            picked = _along(target.shape, dim, index)
            values = values[tuple(map(slice, index.shape))]
        if picked is None or not self._scatter(op, target, picked, values):
            super().scatter(op, target, dim, index, values)

    def _gather(self, x: Array, picked: Picked) -> Array | None:
        """Return the elements at places of x, or None if the reference is to do it."""
        kernels = self._kernels("places", x.dtype)
        if kernels is None:
            return None
        y = _empty(picked.shape, x.dtype)
        return y if kernels.gather(_contiguous(x), picked.index, y, picked.layout) else None

    def _scatter(self, op: str, target: Array, picked: Picked, values: Array) -> bool:
        """Combine values with the elements at places of an array; return False if the reference is to do it."""
        kernels = self._kernels("places", target.dtype)
        if kernels is None or not target.flags.c_contiguous or values.ndim > len(picked.shape):
            return False
        values = _contiguous(np.broadcast_to(values, picked.shape), target.dtype)
        values = values.copy() if np.may_share_memory(values, target) else values
        done: bool = kernels.scatter(SCATTERS.index(op), values, picked.index, target, picked.layout)
        return done

    # ---- random numbers ----

    def random_bits(self, count: int, seed: int, counter: int) -> Array:
        words = _empty((count,), np.dtype(np.uint32))
        self._kernels("random", np.dtype(np.float32)).random_bits(words, seed, counter)
        return words

    def random_uniform(self, shape: Shape, dtype: np.dtype, seed: int, counter: int) -> Array:
        y = _empty(shape, dtype)
        self._kernels("random", dtype).random_uniform(y, seed, counter)
        return y

    def random_normal(self, shape: Shape, dtype: np.dtype, seed: int, counter: int) -> Array:
        y = _empty(shape, dtype)
        self._kernels("random", np.dtype(np.float64)).random_normal(y, seed, counter)
        return y

    def dropout(self, x: Array, p: float, seed: int, counter: int) -> Array:
        kernels = self._kernels("random", x.dtype)
        y = _empty(x.shape, x.dtype)
        kernels.dropout(_contiguous(x), y, seed, counter, int(p * 2**32), 1 / (1 - p))
        return y

    # ---- matrix products ----

    def matmul(self, x: Array, y: Array) -> Array:
        kernels = self._kernels("matmul", x.dtype)
        if kernels is None:
            return super().matmul(x, y)
        if x.ndim == y.ndim == 2:
            z = _empty((x.shape[0], y.shape[1]), x.dtype)
            kernels.matmul(x, y, z)
            return z
        batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        z = _empty((*batch, x.shape[-2], y.shape[-1]), x.dtype)
        kernels.matmul(_as_batch(x, batch), _as_batch(y, batch), z.reshape(prod(batch), *z.shape[-2:]))
        return z

    def linear(self, x: Array, w: Array, b: Array | None, relu: bool = False) -> Array:
        kernels = self._kernels("matmul", x.dtype)
        if kernels is None:
            return super().linear(x, w, b, relu)
        y = _empty((*x.shape[:-1], w.shape[0]), x.dtype)
        kernels.linear(self._rows(x), w, _maybe(b), self._rows(y), relu)
        return y

    def linear_grad(
        self, dy: Array, x: Array, w: Array, y: Array | None, wanted: Sequence[bool]
    ) -> tuple[Array | None, ...]:
        kernels = self._kernels("matmul", dy.dtype)
        if kernels is None:
            return super().linear_grad(dy, x, w, y, wanted)
        n = dy.shape[-1]
        dx = _empty((*dy.shape[:-1], w.shape[1]), dy.dtype) if wanted[0] else None
        dw = _empty((n, x.shape[-1]), dy.dtype) if wanted[1] else None
        db = _empty((n,), dy.dtype) if wanted[2] else None
        rows = [None if a is None else self._rows(a) for a in (x, dx)]
        kernels.linear_grad(self._rows(_contiguous(dy)), rows[0], w, _maybe(y), rows[1], dw, db)
        return dx, dw, db

    # ---- convolution ----

    def _convolution(
        self, which: str, dtype: np.dtype, window: Window, groups: int, n: int, w: Shape, size: tuple[int, int]
    ) -> tuple[Any, tuple[int, ...]]:
        """Return the kernels that convolve, and their last arguments: groups, and the tile's side for Winograd's."""
        name = algorithms.choose(which, dtype, window, groups, n, w[0] // groups, w[1], size)
        if name in algorithms.TILE:
            return self._kernels("winograd", dtype), (groups, algorithms.TILE[name])
        return self._kernels("conv_weights" if which == "weight grad" else "conv", dtype), (groups,)

    def conv2d(self, x: Array, w: Array, b: Array | None, window: Window, groups: int, relu: bool = False) -> Array:
        size = (window.oh, window.ow)
        kernels, last = self._convolution("forward", x.dtype, window, groups, x.shape[0], w.shape, size)
        y = _empty((x.shape[0], w.shape[0], *size), x.dtype)
        kernels.conv2d(_contiguous(x), _contiguous(w), _maybe(b), y, window, *last, relu)
        return y

    def conv2d_input_grad(self, dy: Array, w: Array, window: Window, groups: int, size: tuple[int, int]) -> Array:
        kernels, last = self._convolution("input grad", dy.dtype, window, groups, dy.shape[0], w.shape, size)
        dx = _empty((dy.shape[0], w.shape[1] * groups, *size), dy.dtype)
        kernels.conv2d_input_grad(_contiguous(dy), _contiguous(w), dx, window, *last)
        return dx

    def conv2d_weight_grad(self, dy: Array, x: Array, window: Window, groups: int) -> Array:
        dw = _empty((dy.shape[1], x.shape[1] // groups, window.kh, window.kw), dy.dtype)
        size = (window.oh, window.ow)
        kernels, last = self._convolution("weight grad", dy.dtype, window, groups, x.shape[0], dw.shape, size)
        kernels.conv2d_weight_grad(_contiguous(dy), _contiguous(x), dw, window, *last)
        return dw

    def im2col(self, x: Array, window: Window) -> Array:
        n, c = x.shape[:2]
        columns = _empty((n, c * window.kh * window.kw, window.oh * window.ow), x.dtype)
        self._kernels("conv", x.dtype).im2col(_contiguous(x), columns, window)
        return columns

    def col2im(self, columns: Array, window: Window, size: tuple[int, int]) -> Array:
        n, rows = columns.shape[:2]
        x = _empty((n, rows // (window.kh * window.kw), *size), columns.dtype)
        self._kernels("conv", x.dtype).col2im(_contiguous(columns), x, window)
        return x

    # ---- pooling ----

    def max_pool2d(self, x: Array, window: Window) -> tuple[Array, Array]:
        shape = (*x.shape[:2], window.oh, window.ow)
        y = _empty(shape, x.dtype)
        offsets = _empty(shape, np.dtype(np.uint8 if window.kh * window.kw <= 256 else np.int32))
        self._kernels("pool", x.dtype).max_pool2d(_contiguous(x), y, offsets, window)
        return y, offsets

    def max_pool2d_grad(self, dy: Array, offsets: Array, window: Window, size: tuple[int, int]) -> Array:
        dx = _empty((*dy.shape[:2], *size), dy.dtype)
        self._kernels("pool", dy.dtype).max_pool2d_grad(_contiguous(dy), offsets, dx, window)
        return dx

    def max_pool2d_gather(self, x: Array, offsets: Array, window: Window) -> Array:
        y = _empty(offsets.shape, x.dtype)
        self._kernels("pool", x.dtype).max_pool2d_gather(_contiguous(x), offsets, y, window)
        return y

    def pooled_conv2d(
        self, x: Array, w: Array, b: Array | None, window: Window, pool: Window, relu: bool
    ) -> tuple[Array, Array]:
        shape = (x.shape[0], w.shape[0], pool.oh, pool.ow)
        y, offsets = _empty(shape, x.dtype), _empty(shape, np.dtype(np.uint8))
        kernels = self._kernels("pooled", x.dtype)
        kernels.pooled_conv2d(_contiguous(x), _contiguous(w), _maybe(b), y, offsets, window, pool, relu)
        return y, offsets

    def pooled_conv2d_input_grad(
        self, dy: Array, offsets: Array, w: Array, window: Window, pool: Window, size: tuple[int, int]
    ) -> Array:
        dx = _empty((dy.shape[0], w.shape[1], *size), dy.dtype)
        kernels = self._kernels("pooled", dy.dtype)
        kernels.pooled_conv2d_input_grad(_contiguous(dy), None, offsets, _contiguous(w), dx, window, pool)
        return dx

    def pooled_conv2d_weight_grad(self, dy: Array, offsets: Array, x: Array, window: Window, pool: Window) -> Array:
        dw = _empty((dy.shape[1], x.shape[1], window.kh, window.kw), dy.dtype)
        kernels = self._kernels("pooled", dy.dtype)
        kernels.pooled_conv2d_weight_grad(_contiguous(dy), None, offsets, _contiguous(x), dw, None, window, pool)
        return dw

    def pooled_conv2d_grad(
        self, dy: Array, y: Array | None, offsets: Array, x: Array, w: Array, window: Window, pool: Window,
        size: tuple[int, int], wanted: Sequence[bool],
    ) -> tuple[Array | None, ...]:  # fmt: skip
        if wanted[2] and not wanted[1]:
            return super().pooled_conv2d_grad(dy, y, offsets, x, w, window, pool, size, wanted)
        kernels, dy, y = self._kernels("pooled", dy.dtype), _contiguous(dy), _maybe(y)
        dx = dw = db = None
        if wanted[0]:
            dx = _empty((dy.shape[0], w.shape[1], *size), dy.dtype)
            kernels.pooled_conv2d_input_grad(dy, y, offsets, _contiguous(w), dx, window, pool)
        if wanted[1]:
            dw = _empty((dy.shape[1], x.shape[1], window.kh, window.kw), dy.dtype)
            db = _empty((dy.shape[1],), dy.dtype) if wanted[2] else None
            kernels.pooled_conv2d_weight_grad(dy, y, offsets, _contiguous(x), dw, db, window, pool)
        return dx, dw, db

    def avg_pool2d(self, x: Array, window: Window, count_include_pad: bool, divisor: int) -> Array:
        y = _empty((*x.shape[:2], window.oh, window.ow), x.dtype)
        self._kernels("pool", x.dtype).avg_pool2d(_contiguous(x), y, window, count_include_pad, divisor)
        return y

    def avg_pool2d_grad(
        self, dy: Array, window: Window, size: tuple[int, int], count_include_pad: bool, divisor: int
    ) -> Array:
        dx = _empty((*dy.shape[:2], *size), dy.dtype)
        self._kernels("pool", dy.dtype).avg_pool2d_grad(_contiguous(dy), dx, window, count_include_pad, divisor)
        return dx

    # ---- resampling ----

    def resample(self, x: Array, starts: Array, places: Array, weights: Array) -> Array:
        y = _empty((x.shape[0], len(starts) - 1, x.shape[2]), x.dtype)
        shape = (x.shape[0], x.shape[1], len(starts) - 1, x.shape[2])
        self._kernels("resample", x.dtype).resample(_contiguous(x), y, starts, places, weights, shape)
        return y

    def sample(self, x: Array, places: Array, weights: Array) -> Array:
        (n, c, a), (_, taps, b) = x.shape, places.shape
        y = _empty((n, c, b), x.dtype)
        kernels = self._kernels("places", x.dtype)
        kernels.sample(_contiguous(x), _contiguous(places), _contiguous(weights), y, (n, c, a, b, taps))
        return y

    def sample_input_grad(self, dy: Array, places: Array, weights: Array, size: int) -> Array:
        (n, c, b), taps = dy.shape, places.shape[1]
        dx = _empty((n, c, size), dy.dtype)
        kernels = self._kernels("places", dy.dtype)
        kernels.sample_input_grad(_contiguous(dy), _contiguous(places), _contiguous(weights), dx, (n, c, size, b, taps))
        return dx

    def sample_weight_grad(self, dy: Array, x: Array, places: Array) -> Array:
        (n, c, a), (_, taps, b) = x.shape, places.shape
        dw = _empty((n, taps, b), dy.dtype)
        kernels = self._kernels("places", dy.dtype)
        kernels.sample_weight_grad(_contiguous(dy), _contiguous(x), _contiguous(places), dw, (n, c, a, b, taps))
        return dw

    # ---- normalisation and softmax ----

    def batch_norm(
        self, x: Array, w: Array | None, b: Array | None, eps: float, residual: Array | None = None, relu: bool = False
    ) -> tuple[Array, Array, Array]:
        kernels = self._kernels("norm", x.dtype)
        x = _contiguous(x)
        n, c, size = _flat(x, 1)
        y, mean, var = _empty(x.shape, x.dtype), _empty(c, x.dtype), _empty(c, x.dtype)
        kernels.batch_norm(x.reshape(n, c, size), _maybe(w), _maybe(b), y, mean, var, eps, _maybe(residual), relu)
        return y, mean, var

    def normalise(
        self, x: Array, w: Array | None, b: Array | None, mean: Array, var: Array, eps: float,
        residual: Array | None = None, relu: bool = False,
    ) -> Array:  # fmt: skip
        kernels = self._kernels("norm", x.dtype)
        y = _empty(x.shape, x.dtype)
        args = (_maybe(w), _maybe(b), y, _contiguous(mean), _contiguous(var), eps, _maybe(residual), relu)
        kernels.normalise(_contiguous(x).reshape(_flat(x, 1)), *args)
        return y

    def batch_norm_grad(
        self, dy: Array, x: Array, w: Array | None, b: Array | None, mean: Array, var: Array, eps: float, rectified: bool,
    ) -> tuple[Array, Array, Array]:  # fmt: skip
        kernels = self._kernels("norm", x.dtype)
        x = _contiguous(x)
        n, c, size = _flat(x, 1)
        dx, dw, db = _empty(x.shape, x.dtype), _empty(c, x.dtype), _empty(c, x.dtype)
        args = (_maybe(w), _maybe(b), mean, var, dx, dw, db, eps, rectified)
        kernels.batch_norm_grad(_contiguous(dy), x.reshape(n, c, size), *args)
        return dx, dw, db

    def local_response_norm(self, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
        y = _empty(x.shape, x.dtype)
        images = _contiguous(x).reshape(_flat(x, 1))
        self._kernels("norm", x.dtype).local_response_norm(images, y, size, alpha, beta, k)
        return y

    def local_response_norm_grad(self, dy: Array, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
        dx = _empty(x.shape, x.dtype)
        images = _contiguous(x).reshape(_flat(x, 1))
        self._kernels("norm", x.dtype).local_response_norm_grad(_contiguous(dy), images, dx, size, alpha, beta, k)
        return dx

    def softmax(self, x: Array, dim: int) -> Array:
        return self._softmax(x, dim, False)

    def log_softmax(self, x: Array, dim: int) -> Array:
        return self._softmax(x, dim, True)

    def _softmax(self, x: Array, dim: int, log: bool) -> Array:
        y = _empty(x.shape, x.dtype)
        self._kernels("softmax", x.dtype).softmax(_contiguous(x), y, *_flat(x, dim), log)
        return y

    def softmax_grad(self, dy: Array, y: Array, dim: int) -> Array:
        return self._softmax_grad(dy, y, dim, False)

    def log_softmax_grad(self, dy: Array, y: Array, dim: int) -> Array:
        return self._softmax_grad(dy, y, dim, True)

    def _softmax_grad(self, dy: Array, y: Array, dim: int, log: bool) -> Array:
        dx = _empty(y.shape, y.dtype)
        self._kernels("softmax", y.dtype).softmax_grad(_contiguous(dy), _contiguous(y), dx, *_flat(y, dim), log)
        return dx

    def cross_entropy(self, x: Array, target: Array, ignore_index: int, reduction: str) -> tuple[Array, Array]:
        loss, y = _empty(x.shape[:1] if reduction == "none" else (), x.dtype), _empty(x.shape, x.dtype)
        target = _contiguous(target)
        kernels = self._kernels("softmax", x.dtype)
        if not kernels.cross_entropy(_contiguous(x), target, loss, y, ignore_index, reduction):
            bad = _outside(target[target != ignore_index], x.shape[1])
            raise IndexError(f"cross_entropy: target {bad} is not a class 0 to {x.shape[1] - 1}")
        return loss, y

    def cross_entropy_grad(self, dy: Array, y: Array, target: Array, ignore_index: int, reduction: str) -> Array:
        dx = _empty(y.shape, y.dtype)
        kernels = self._kernels("softmax", y.dtype)
        kernels.cross_entropy_grad(_contiguous(dy), _contiguous(y), _contiguous(target), dx, ignore_index, reduction)
        return dx

    # ---- optimiser steps ----

    def sgd(
        self, params: Sequence[Array], grads: Sequence[Array], momenta: Sequence[Array | None], started: Sequence[bool],
        lr: float, momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool,
    ) -> None:  # fmt: skip
        args = (momenta, started, lr, momentum, dampening, weight_decay, nesterov, maximize)
        try:
            self._kernels("optim", params[0].dtype).sgd(params, grads, *args)
        except ValueError:  # not contiguous
            super().sgd(params, grads, *args)

    def adam(
        self, params: Sequence[Array], grads: Sequence[Array], means: Sequence[Array], squares: Sequence[Array],
        peaks: Sequence[Array | None], steps: Sequence[int], lr: float, beta1: float, beta2: float, eps: float,
        weight_decay: float, decoupled: bool, maximize: bool,
    ) -> None:  # fmt: skip
        args = (means, squares, peaks, steps, lr, beta1, beta2, eps, weight_decay, decoupled, maximize)
        try:
            self._kernels("optim", params[0].dtype).adam(params, grads, *args)
        except ValueError:  # not contiguous
            super().adam(params, grads, *args)

    # ---- images ----

    def gather_images(self, images: Array, index: Array, table: Array, windows: Array, size: Shape) -> Array:
        out = _empty((len(windows), images.shape[3], *size), table.dtype)
        self._kernels("images", table.dtype).gather_images(_contiguous(images), index, table, windows, out)
        return out


@lru_cache(1024)
def _reduction(shape: Shape, dims: Dims, keepdim: bool) -> tuple[tuple[int, ...] | None, Shape]:
    """Return shape as (P, A, K, B), A and B being what `dims` reduce, or None if it has no such form; and what is left."""
    kept = tuple(1 if d in dims else n for d, n in enumerate(shape) if keepdim or d not in dims)
    runs: list[list[int]] = []  # neighbouring axes of one kind joined: [reduced or not, size]
    for d, size in enumerate(shape):
        reduced = d in dims
        if size == 1:  # counts as either kind
            continue
        if runs and runs[-1][0] == reduced:
            runs[-1][1] *= size
        else:
            runs.append([reduced, size])
    kinds = tuple(bool(kind) for kind, _ in runs)
    sizes = [size for _, size in runs]
    layouts: dict[tuple[bool, ...], Callable[..., tuple[int, ...]]] = {
        (): lambda: (1, 1, 1, 1),
        (True,): lambda b: (1, 1, 1, b),
        (False,): lambda k: (1, 1, k, 1),
        (False, True): lambda k, b: (1, 1, k, b),
        (True, False): lambda a, k: (1, a, k, 1),
        (True, False, True): lambda a, k, b: (1, a, k, b),
        (False, True, False): lambda p, a, k: (p, a, k, 1),
    }
    return layouts[kinds](*sizes) if kinds in layouts else None, kept


@lru_cache(1024)
def _broadcasting(a: Shape, b: Shape) -> tuple[tuple[tuple[int, int, int], ...] | None, Shape]:
    """Return (size, step in a, step in b) of each axis of two contiguous arrays' result, as four axes; and its shape.

    None in place of the axes if there are more, neighbours that both arrays pass through alike being joined.
    """
    shape = np.broadcast_shapes(a, b)
    axes: list[tuple[int, int, int]] = []  # the last one first
    a_step = b_step = 1
    for d in range(1, len(shape) + 1):
        size, along_a, along_b = shape[-d], a[-d] if d <= len(a) else 1, b[-d] if d <= len(b) else 1
        axis = (size, a_step if along_a > 1 else 0, b_step if along_b > 1 else 0)
        a_step, b_step = a_step * along_a, b_step * along_b
        if axes and axis[1:] == (axes[-1][0] * axes[-1][1], axes[-1][0] * axes[-1][2]):
            axes[-1] = (axes[-1][0] * size, *axes[-1][1:])
        elif size != 1:
            axes.append(axis)
    return (None if len(axes) > 4 else (*[(1, 0, 0)] * (4 - len(axes)), *reversed(axes))), shape
