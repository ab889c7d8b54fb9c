"""Images read at places that a tensor says: spatial transformers.  Jaderberg et al., 2015."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..autograd.graph import Op, wrap
from .activation import hardtanh
from .elementwise import (
    T, abs, add, cast, check_floating, div, eq, floor, floor_divide, ge, le, lt, mul, remainder, round, sign, sub, where,
)  # fmt: skip
from .matmul import matmul
from .shape import reshape, select, transpose, unsqueeze


def affine_grid(theta: T, size: Sequence[int], align_corners: bool | None = None) -> T:
    """Return the grid (N, H, W, 2) or (N, D, H, W, 3) of affine transforms theta (N, 2, 3) or (N, 3, 4), for grid_sample.

    size is (N, C, H, W) or (N, C, D, H, W).  -1 and 1 are the centres of the outer pixels with align_corners, else their edges.
    """
    check_floating("affine_grid", theta)
    axes = tuple(size)[2:]
    if len(axes) not in (2, 3):
        raise NotImplementedError(f"affine_grid: size must be (N, C, H, W) or (N, C, D, H, W), got {tuple(size)}")
    if theta._array.ndim != 3 or theta._array.shape[1:] != (len(axes), len(axes) + 1):
        raise ValueError(
            f"affine_grid: size {tuple(size)} needs theta (N, {len(axes)}, {len(axes) + 1}), got {theta._array.shape}"
        )
    if min(size) < 1:
        raise ValueError(f"affine_grid: sizes must be positive, got {tuple(size)}")
    lines = [np.linspace(-1, 1, n) * (1 if align_corners else (n - 1) / n) if n > 1 else np.zeros(1) for n in axes]
    points = np.stack([*reversed(np.meshgrid(*lines, indexing="ij")), np.ones(axes)], -1)
    base = theta._backend.from_numpy(points.reshape(1, prod(axes), len(axes) + 1).astype(theta._array.dtype))
    grid = matmul(wrap(theta.result_class, base, theta._backend), transpose(theta, 1, 2))
    return reshape(grid, theta._array.shape[0], *axes, len(axes))


def _inside(place: Any, size: int, padding_mode: str, align_corners: bool) -> Any:
    """Return places, in pixels, moved into the image as the padding mode says."""
    if padding_mode == "zeros":
        return place
    if padding_mode == "reflection":
        low, span = (0.0, size - 1.0) if align_corners else (-0.5, float(size))
        if span == 0:
            return mul(place, 0.0)
        away = abs(sub(place, low))
        back = remainder(away, span)
        even = eq(remainder(floor_divide(away, span), 2), 0)
        place = add(where(even, back, span - back), low)
    return hardtanh(place, 0, size - 1)


def grid_sample(
    input: T, grid: T, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> T:
    """Read images input (N, C, H, W) at grid (N, OH, OW, 2), or volumes (N, C, D, H, W) at (N, OD, OH, OW, 3).

    The grid holds (x, y) or (x, y, z) from -1 to 1 across the image, see affine_grid.  Modes: 'bilinear', 'nearest'; places
    outside read 'zeros', the 'border', or the 'reflection' of the image.
    """
    check_floating("grid_sample", input, grid)
    n, c, *size = input._array.shape if input._array.ndim > 1 else (0, 0)
    axes, shape = len(size), grid._array.shape
    if mode not in ("bilinear", "nearest"):
        raise ValueError(f"grid_sample: mode must be 'bilinear' or 'nearest', got {mode!r}")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"grid_sample: padding_mode must be 'zeros', 'border' or 'reflection', got {padding_mode!r}")
    if axes not in (2, 3) or len(shape) != axes + 2 or shape[0] != n or shape[-1] != axes or 0 in size:
        raise RuntimeError(
            f"grid_sample: input {tuple(input._array.shape)} and grid {tuple(shape)} do not fit together"
        )
    if input._array.dtype != grid._array.dtype:
        raise RuntimeError(f"grid_sample: input is {input._array.dtype}, grid {grid._array.dtype}; convert one of them")
    places: Any = None
    weights: Any = None
    for axis, length in enumerate(size):
        along = reshape(select(grid, -1, axes - 1 - axis), n, 1, -1)
        pixels = mul(add(along, 1), (length - 1) / 2) if align_corners else div(sub(mul(add(along, 1), length), 1), 2)
        index, share = _taps(_inside(pixels, length, padding_mode, bool(align_corners)), length, mode == "nearest")
        if places is None:
            places, weights = index, share
        else:
            rows, columns, count = unsqueeze(places, 2), unsqueeze(index, 1), index._array.shape[2]
            places = reshape(where(lt(rows, 0) | lt(columns, 0), -1, add(mul(rows, length), columns)), n, -1, count)
            weights = reshape(mul(unsqueeze(weights, 2), unsqueeze(share, 1)), n, -1, count)
    y = Sample.apply(reshape(input, n, c, prod(size)), weights, cast(places, np.dtype(np.int32))._array)
    return reshape(y, n, c, *shape[1:-1])


def _taps(pixels: Any, length: int, nearest: bool) -> tuple[Any, Any]:
    """Return, for places (N, 1, L) along an axis, which pixels count there (N, J, L), -1 for one outside, and how much."""
    if nearest:
        index = round(pixels)
        share = add(mul(sign(index), 0.0), 1.0)  # a gradient of 0 for the grid
    else:
        step = pixels._backend.from_numpy(np.array([[0.0], [1.0]], pixels._array.dtype))
        second = wrap(pixels.result_class, step, pixels._backend)
        first = floor(pixels.detach())
        index = add(first, second)
        share = add(mul(sub(pixels, first), sub(mul(second, 2), 1)), sub(1, second))
    return cast(where(ge(index, 0) & le(index, length - 1), index, -1.0), np.dtype(np.int64)), share


class Sample(Op):
    """x (N, C, A), weights and places (N, J, B) -> y (N, C, B), each element a weighted sum of J elements of its image."""

    def forward(self, x: Any, weights: Any, places: Any) -> Any:
        self.places = places
        self.save(x, weights)
        return self.backend.sample(x, places, weights)

    def backward(self, dy: Any) -> Any:
        x, weights = self.saved_tensors
        dx = SampleInputGrad.apply(dy, weights, self.places, x._array.shape[2]) if self.needs_grad[0] else None
        return dx, SampleWeightGrad.apply(dy, x, self.places) if self.needs_grad[1] else None


class SampleInputGrad(Op):
    """dy and weights -> dx: the adjoint of Sample in x."""

    def forward(self, dy: Any, weights: Any, places: Any, size: int) -> Any:
        self.places = places
        self.save(dy, weights)
        return self.backend.sample_input_grad(dy, places, weights, size)

    def backward(self, d: Any) -> Any:
        dy, weights = self.saved_tensors
        ddy = Sample.apply(d, weights, self.places) if self.needs_grad[0] else None
        return ddy, SampleWeightGrad.apply(dy, d, self.places) if self.needs_grad[1] else None


class SampleWeightGrad(Op):
    """dy and x -> dw: the adjoint of Sample in the weights."""

    def forward(self, dy: Any, x: Any, places: Any) -> Any:
        self.places = places
        self.save(dy, x)
        return self.backend.sample_weight_grad(dy, x, places)

    def backward(self, d: Any) -> Any:
        dy, x = self.saved_tensors
        ddy = Sample.apply(x, d, self.places) if self.needs_grad[0] else None
        return ddy, SampleInputGrad.apply(dy, d, self.places, x._array.shape[2]) if self.needs_grad[1] else None
