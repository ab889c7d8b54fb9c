"""Images in another size.  Each axis is resampled by itself: outputs are weighted sums of inputs, and so are gradients."""

from __future__ import annotations

from functools import cached_property, lru_cache
from math import prod
from typing import Any

import numpy as np

from ..autograd.graph import Op
from .elementwise import T, check_floating
from .pool import adaptive_avg_pool2d
from .pool_nd import adaptive_avg_pool1d, adaptive_avg_pool3d
from .shape import clone, reshape

MODES = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2, "nearest": 0, "nearest-exact": 0, "area": 0}


class Taps:
    """For each output along an axis, inputs and their weights: those of output b are number starts[b] ... starts[b + 1] - 1."""

    def __init__(self, size: int, starts: np.ndarray, places: np.ndarray, weights: np.ndarray) -> None:
        self.size = size  # of the input
        self.arrays = (starts, places, weights)

    @cached_property
    def transposed(self) -> Taps:
        """Return, for each input, the outputs that it goes into: the adjoint."""
        starts, places, weights = self.arrays
        order = np.argsort(places, kind="stable")
        outputs = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        counts = np.bincount(places, minlength=self.size)
        return Taps(len(starts) - 1, np.cumsum([0, *counts]), outputs[order], weights[order])


class Resample(Op):
    """x (P, A, K) -> y (P, B, K), each row of it a weighted sum of rows of x."""

    def forward(self, x: Any, taps: Taps) -> Any:
        self.taps = taps
        return self.backend.resample(x, *map(self.backend.from_numpy, taps.arrays))

    def backward(self, dy: Any) -> Any:
        return Resample.apply(dy, self.taps.transposed)


def _cubic(distance: np.ndarray, a: float) -> np.ndarray:
    """Return Keys' kernel, 1981."""
    d = np.abs(distance)
    near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d < 1, near, np.where(d < 2, far, 0))


@lru_cache(256)
def _taps(
    mode: str, size: int, outputs: int, scale: float, align_corners: bool, antialias: bool, kind: np.dtype
) -> Taps:
    """Return the inputs of each output: `scale` inputs lie between the centres of two outputs."""
    step = kind.type(scale)
    number = np.arange(outputs).astype(kind)
    if mode.startswith("nearest"):
        shift = 0.5 if mode == "nearest-exact" else 0.0
        places = np.minimum(
            ((np.arange(outputs) + shift).astype(np.float32) * np.float32(scale)).astype(np.int64), size - 1
        )
        return Taps(size, np.arange(outputs + 1), places, np.ones(outputs, kind))
    if antialias:
        return _smooth_taps(mode, size, outputs, scale, kind)
    centre = number * step if align_corners else (number + kind.type(0.5)) * step - kind.type(0.5)
    if mode == "bicubic":
        first = np.floor(centre).astype(np.int64)
        offsets = np.arange(-1, 3)
        weights = _cubic((centre - first)[:, None] - offsets, -0.75)
    else:
        centre = np.maximum(centre, 0)
        first = np.minimum(centre.astype(np.int64), size - 1)
        share = np.clip(centre - first, 0, 1)
        offsets, weights = np.arange(2), np.stack([1 - share, share], 1)
    places = np.clip(first[:, None] + offsets, 0, size - 1)
    starts = np.arange(outputs + 1) * len(offsets)
    return Taps(size, starts, places.reshape(-1), np.ascontiguousarray(weights.reshape(-1), kind))


def _smooth_taps(mode: str, size: int, outputs: int, scale: float, kind: np.dtype) -> Taps:
    """Return taps under a kernel as wide as the distance of outputs, so that shrinking does not alias."""
    stretch = max(scale, 1.0)
    support = (2 if mode == "bicubic" else 1) * stretch
    places, weights, starts = [], [], [0]
    for centre in (np.arange(outputs) + 0.5) * scale:
        inputs = np.arange(max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), size))
        distance = (inputs - centre + 0.5) / stretch
        share = _cubic(distance, -0.5) if mode == "bicubic" else np.maximum(0, 1 - np.abs(distance))
        places.append(inputs)
        weights.append(share / share.sum())
        starts.append(starts[-1] + len(inputs))
    return Taps(size, np.array(starts), np.concatenate(places), np.concatenate(weights).astype(kind))


def _sizes(size: tuple[int, ...], wanted: Any, scale_factor: Any) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """Return the output sizes and the scale factors, as far as they are given."""
    if (wanted is None) == (scale_factor is None):
        raise ValueError("interpolate: exactly one of size and scale_factor must be given")
    given: Any = scale_factor if wanted is None else wanted
    values = tuple(given) if isinstance(given, (tuple, list)) else (given,) * len(size)
    if len(values) != len(size):
        raise ValueError(f"interpolate: expected one number or {len(size)} for the axes {size}, got {given!r}")
    if wanted is not None:
        if not all(hasattr(n, "__index__") for n in values):
            raise TypeError(f"interpolate: size must be an int or ints, got {wanted!r}")
        return tuple(map(int, values)), (None,) * len(size)
    return tuple([int(n * factor) for n, factor in zip(size, values)]), tuple(map(float, values))


def interpolate(
    input: T, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> T:  # fmt: skip
    """Return input (N, C, L), (N, C, H, W) or (N, C, D, H, W) in another size, or scaled.

    Modes: 'nearest', 'nearest-exact', 'area', 'linear' (one axis), 'bilinear' and 'bicubic' (two), 'trilinear' (three).
    """
    check_floating("interpolate", input)
    n, c, *axes = input._array.shape if input._array.ndim > 1 else (0, 0)
    if mode not in MODES or not 1 <= len(axes) <= 3 or MODES[mode] not in (0, len(axes)):
        raise NotImplementedError(
            f"interpolate: mode {mode!r} with input of shape {tuple(input._array.shape)}; modes: {', '.join(MODES)}"
        )
    if not MODES[mode] and align_corners is not None:
        raise ValueError(f"interpolate: align_corners has no meaning in mode {mode!r}")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"interpolate: antialias needs mode 'bilinear' or 'bicubic', got {mode!r}")
    if recompute_scale_factor and size is not None:
        raise ValueError("interpolate: recompute_scale_factor has no meaning with a size")
    outputs, factors = _sizes(tuple(axes), size, scale_factor)
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[len(axes) - 1](input, outputs)
    if min(*axes, *outputs) < 1:
        raise RuntimeError(f"interpolate: input and output sizes must be positive, got {tuple(axes)} and {outputs}")
    y: Any = input
    for d, (before, after, factor) in enumerate(zip(axes, outputs, factors)):
        scale = before / after if factor is None or recompute_scale_factor else 1 / factor
        if align_corners:
            scale = (before - 1) / (after - 1) if after > 1 else 0.0
        if before == after and scale == 1:
            continue
        taps = _taps(mode, before, after, scale, bool(align_corners), antialias, input._array.dtype)
        left, right = (n, c, *outputs[:d]), tuple(axes[d + 1 :])
        y = reshape(Resample.apply(reshape(y, prod(left), before, prod(right)), taps), *left, after, *right)
    return clone(input) if y is input else y


def upsample(
    input: T, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> T:
    """Return interpolate(input, ...), under its former name."""
    return interpolate(input, size, scale_factor, mode, align_corners)
