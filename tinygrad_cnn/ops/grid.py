"""Images read at places that a tensor says: spatial transformers.  Jaderberg et al., 2015."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ..autograd.graph import wrap
from .activation import hardtanh
from .elementwise import (
    T, abs, add, cast, check_floating, div, eq, floor, floor_divide, ge, isfinite, le, mul, remainder, round, sub, where,
)  # fmt: skip
from .index import gather
from .matmul import matmul

from .shape import expand, reshape, select, transpose


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
    places = []
    for axis, length in enumerate(size):
        along = reshape(select(grid, -1, axes - 1 - axis), n, 1, -1)
        pixels = mul(add(along, 1), (length - 1) / 2) if align_corners else div(sub(mul(add(along, 1), length), 1), 2)
        places.append(_inside(pixels, length, padding_mode, bool(align_corners)))
    image = reshape(input, n, c, prod(size))
    if mode == "nearest":
        nearest = [round(place) for place in places]
        y = _read(image, nearest, size)
        for place in nearest:  # a gradient of 0 for the grid
            y = add(y, where(isfinite(place), sub(place, place.detach()), 0.0))
    else:
        before = [floor(place.detach()) for place in places]
        y = None
        for corner in product((0, 1), repeat=axes):
            part = _read(image, [add(b, k) for b, k in zip(before, corner)], size)
            for place, b, k in zip(places, before, corner):
                part = mul(part, sub(place, b) if k else sub(add(b, 1), place))
            y = part if y is None else add(y, part)
    return reshape(y, n, c, *shape[1:-1])


def _read(image: Any, places: Sequence[Any], size: Sequence[int]) -> Any:
    """Return the pixels of image (N, C, pixels) at whole places (N, 1, L), 0 outside."""
    inside: Any = None
    flat: Any = None
    for place, length in zip(places, size):
        here = ge(place, 0) & le(place, length - 1)
        inside = here if inside is None else inside & here
        index = cast(where(here, place, 0.0), np.dtype(np.int64))
        flat = index if flat is None else add(mul(flat, length), index)
    n, c, _ = image._array.shape
    return where(inside, gather(image, 2, expand(flat, n, c, flat._array.shape[2])), 0.0)
