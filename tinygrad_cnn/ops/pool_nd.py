"""Pooling along one and three axes through the ops of two; adaptive maxima, unpooling, power-average pooling.

One axis is an image of one row.  A window of a volume is a rectangle of planes times a piece of the depth: planes are pooled
first, then the depth, as the first of two axes if rows and columns are joined.
"""

from __future__ import annotations

from math import inf, prod
from typing import Any

import numpy as np

from ..autograd.graph import wrap
from ..autograd.modes import no_grad
from ..geometry import Padding, Pair, Window, paddings, per_axis
from .conv import image_input
from .elementwise import T, abs, add, check_tensors, floor_divide, mul, neg, pow, sign
from .index import ScatterSet, gather
from .pool import (
    AvgPool2d, MaxPool2d, adaptive_averages, adaptive_size, averages_along, avg_pool2d, cuts, max_pool2d, maxima, pool_window,
)  # fmt: skip
from .shape import flatten, reshape, squeeze, unsqueeze


def _windows(
    op: str, x: Any, kernel_size: Pair, stride: Pair | None, padding: Padding, dilation: Pair, ceil_mode: bool
) -> list[tuple[Any, ...]]:
    """Return what pool_window takes for a row, or for planes and for the depth."""
    size = x._array.shape[2:]
    axes = len(size)
    kernel = per_axis(op, "kernel_size", kernel_size, 1, axes)
    strides = kernel if stride is None or stride in ((), []) else per_axis(op, "stride", stride, 1, axes)
    dilations = per_axis(op, "dilation", dilation, 1, axes)
    pads = paddings(op, padding, size, kernel, strides, dilations)
    none = (0, 0)
    if axes == 1:
        return [((1, *kernel), (1, *strides), (none, *pads), (1, *dilations), ceil_mode)]
    return [
        (kernel[1:], strides[1:], pads[1:], dilations[1:], ceil_mode),
        ((kernel[0], 1), (strides[0], 1), (pads[0], none), (dilations[0], 1), ceil_mode),
    ]


def _pooled(op: str, x: Any, windows: list[tuple[Any, ...]], pool: Any) -> Any:
    """Apply pool(images, window, k), k = 0, 1, to rows, or to planes and then to the depth."""
    if len(windows) == 1:
        row = unsqueeze(x, 2)
        return squeeze(pool(row, pool_window(op, row._array.shape, *windows[0]), 0), 2)
    n, c, d, h, w = x._array.shape
    planes = reshape(x, n, c * d, h, w)
    y = pool(planes, pool_window(op, planes._array.shape, *windows[0]), 0)
    oh, ow = y._array.shape[2:]
    y = reshape(y, n, c, d, oh * ow)
    y = pool(y, pool_window(op, y._array.shape, *windows[1]), 1)
    return reshape(y, n, c, y._array.shape[2], oh, ow)


def _max_pool(op: str, axes: int, input: Any, window: tuple[Any, ...], return_indices: bool) -> Any:
    x, single = image_input(op, input, axes)
    windows = _windows(op, x, *window)
    found: list[Any] = []

    def pool(images: Any, place: Window, _: int) -> Any:
        if not return_indices:
            return MaxPool2d.apply(images, place)[0]
        y, indices = maxima(images, place)
        found.append(indices)
        return y

    y = _pooled(op, x, windows, pool)
    if return_indices:
        indices = reshape(found[0] if axes == 1 else _places_in_volume(x, *found), y._array.shape)
        return (squeeze(y, 0), squeeze(indices, 0)) if single else (y, indices)
    return squeeze(y, 0) if single else y


def _places_in_volume(x: Any, in_plane: Any, in_depth: Any) -> Any:
    """Return places in volumes x (N, C, D, H, W) from places in planes, and from the places of those that won."""
    n, c, d, h, w = x._array.shape
    area = prod(in_plane._array.shape[2:])
    won = flatten(in_depth, 2)
    planes = reshape(in_plane, n, c, d * area)
    return add(gather(planes, 2, won), mul(floor_divide(won, area), h * w)) if area else won


def _avg_pool(
    op: str, axes: int, input: Any, window: tuple[Any, ...], count_include_pad: bool, divisor: int | None
) -> Any:
    x, single = image_input(op, input, axes)
    if divisor == 0:
        raise RuntimeError(f"{op}: divisor_override must not be 0")
    divisors = (divisor, 1) if divisor else (0, 0)
    y = _pooled(
        op, x, _windows(op, x, *window),
        lambda images, place, k: AvgPool2d.apply(images, place, bool(count_include_pad), divisors[k]),
    )  # fmt: skip
    return squeeze(y, 0) if single else y


def max_pool1d(
    input: T, kernel_size: Pair, stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """Return the maximum of each window of input (N, C, L) or (C, L), with return_indices also its place; see max_pool2d."""
    window = (kernel_size, stride, padding, dilation, ceil_mode)
    return _max_pool("max_pool1d", 1, input, window, return_indices)


def max_pool3d(
    input: T, kernel_size: Pair, stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """Return the maximum of each window of input (N, C, D, H, W), with return_indices also its place; see max_pool2d."""
    window = (kernel_size, stride, padding, dilation, ceil_mode)
    return _max_pool("max_pool3d", 3, input, window, return_indices)


def avg_pool1d(
    input: T, kernel_size: Pair, stride: Pair | None = None, padding: Padding = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> T:  # fmt: skip
    """Return the average of each window of input (N, C, L) or (C, L); see avg_pool2d."""
    window = (kernel_size, stride, padding, 1, ceil_mode)
    return _avg_pool("avg_pool1d", 1, input, window, count_include_pad, None)


def avg_pool3d(
    input: T, kernel_size: Pair, stride: Pair | None = None, padding: Padding = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> T:  # fmt: skip
    """Return the average of each window of input (N, C, D, H, W) or (C, D, H, W); see avg_pool2d."""
    window = (kernel_size, stride, padding, 1, ceil_mode)
    return _avg_pool("avg_pool3d", 3, input, window, count_include_pad, divisor_override)


# ---- power averages ----


def _lp_pool(axes: int, input: Any, norm_type: float, kernel_size: Pair, stride: Pair | None, ceil_mode: bool) -> Any:
    average, maximum = {1: (avg_pool1d, max_pool1d), 2: (avg_pool2d, max_pool2d), 3: (avg_pool3d, max_pool3d)}[axes]
    check_tensors(f"lp_pool{axes}d", input)
    if norm_type == inf:
        return maximum(abs(input), kernel_size, stride, 0, 1, ceil_mode)
    if norm_type == -inf:
        return neg(maximum(neg(abs(input)), kernel_size, stride, 0, 1, ceil_mode))
    count = prod(per_axis(f"lp_pool{axes}d", "kernel_size", kernel_size, 1, axes))
    y = average(pow(input, norm_type), kernel_size, stride, 0, ceil_mode)
    return pow(mul(mul(sign(y), abs(y)), count), 1.0 / norm_type)


def lp_pool1d(input: T, norm_type: float, kernel_size: Pair, stride: Pair | None = None, ceil_mode: bool = False) -> T:
    """Return the root of the sum of powers, (sum x ** norm_type) ** (1 / norm_type), of each window of (N, C, L)."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: T, norm_type: float, kernel_size: Pair, stride: Pair | None = None, ceil_mode: bool = False) -> T:
    """Return the root of the sum of powers, (sum x ** norm_type) ** (1 / norm_type), of each window of (N, C, H, W)."""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: T, norm_type: float, kernel_size: Pair, stride: Pair | None = None, ceil_mode: bool = False) -> T:
    """Return the root of the sum of powers, (sum x ** norm_type) ** (1 / norm_type), of each window of (N, C, D, H, W)."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


# ---- adaptive ----


def adaptive_avg_pool1d(input: T, output_size: Any) -> T:
    """Return averages over output_size parts of sequences (N, C, L) or (C, L)."""
    x, single = image_input("adaptive_avg_pool1d", input, 1)
    y = squeeze(adaptive_averages(unsqueeze(x, 2), 1, *adaptive_size("adaptive_avg_pool1d", x, output_size)), 2)
    return squeeze(y, 0) if single else y


def adaptive_avg_pool3d(input: T, output_size: Any) -> T:
    """Return averages over output_size (OD, OH, OW) parts of volumes (N, C, D, H, W) or (C, D, H, W); None keeps a size."""
    x, single = image_input("adaptive_avg_pool3d", input, 3)
    od, oh, ow = adaptive_size("adaptive_avg_pool3d", x, output_size)
    n, c, d, h, w = x._array.shape
    planes = adaptive_averages(reshape(x, n, c * d, h, w), oh, ow)
    y = averages_along(reshape(planes, n, c, d, oh, ow), 2, od)
    return squeeze(y, 0) if single else y


def _adaptive_places(x: Any, wanted: tuple[int, ...]) -> Any:
    """Return where in the flattened axes behind N and C the maximum of each part is, the first of equals."""
    size = x._array.shape[2:]
    values: Any = x.detach()
    places: Any = None
    stride = 1
    for axis in range(x._array.ndim - 1, 1, -1):
        parts = tuple(cuts(size[axis - 2], wanted[axis - 2]))
        won = wrap(x.result_class, x._backend.arg_parts("argmax", values._array, axis, parts), x._backend)
        values = gather(values, axis, won)
        along = mul(won, stride)
        places = along if places is None else add(gather(places, axis, won), along)
        stride *= size[axis - 2]
    return places


def _adaptive_max_pool(axes: int, input: Any, output_size: Any, return_indices: bool) -> Any:
    op = f"adaptive_max_pool{axes}d"
    x, single = image_input(op, input, axes)
    wanted = adaptive_size(op, x, output_size)
    size = x._array.shape[2:]
    if 0 not in wanted and not any(n % parts for n, parts in zip(size, wanted)):
        windows = tuple([n // parts for n, parts in zip(size, wanted)])
        if axes == 2:
            return max_pool2d(input, windows, return_indices=return_indices)
        return _max_pool(op, axes, input, (windows, None, 0, 1, False), return_indices)
    with no_grad():
        places = _adaptive_places(x, wanted)
    y = reshape(gather(flatten(x, 2), 2, flatten(places, 2)), places._array.shape)
    if single:
        y, places = squeeze(y, 0), squeeze(places, 0)
    return (y, places) if return_indices else y


def adaptive_max_pool1d(input: T, output_size: Any, return_indices: bool = False) -> Any:
    """Return maxima over output_size parts of sequences (N, C, L) or (C, L), and their places if asked for."""
    return _adaptive_max_pool(1, input, output_size, return_indices)


def adaptive_max_pool2d(input: T, output_size: Any, return_indices: bool = False) -> Any:
    """Return maxima over output_size (OH, OW) parts of images (N, C, H, W) or (C, H, W), and their places if asked for."""
    return _adaptive_max_pool(2, input, output_size, return_indices)


def adaptive_max_pool3d(input: T, output_size: Any, return_indices: bool = False) -> Any:
    """Return maxima over output_size (OD, OH, OW) parts of volumes (N, C, D, H, W), and their places if asked for."""
    return _adaptive_max_pool(3, input, output_size, return_indices)


# ---- unpooling ----


def _max_unpool(
    axes: int, input: Any, indices: Any, kernel_size: Pair, stride: Pair | None, padding: Pair, output_size: Any
) -> Any:
    op = f"max_unpool{axes}d"
    x, single = image_input(op, input, axes)
    check_tensors(op, indices)
    if indices._array.dtype != np.int64 or indices._array.shape != input._array.shape:
        raise RuntimeError(
            f"{op}: indices must be int64 of the input's shape {tuple(input._array.shape)}, got {indices._array.dtype} of "
            f"{tuple(indices._array.shape)}"
        )
    kernel = per_axis(op, "kernel_size", kernel_size, 1, axes)
    strides = kernel if stride is None or stride in ((), []) else per_axis(op, "stride", stride, 1, axes)
    pads = per_axis(op, "padding", padding, 0, axes)
    n, c, *counts = x._array.shape
    usual = [(i - 1) * s + k - 2 * p for i, s, k, p in zip(counts, strides, kernel, pads)]
    size = usual if output_size is None else list(output_size)[-axes:]
    if len(size) != axes or any(not u - s < m < u + s for m, u, s in zip(size, usual, strides)) or min(size) < 0:
        raise ValueError(
            f"{op}: output_size must differ from {tuple(usual)} by less than the stride, got {output_size}"
        )
    places = reshape(indices, n * c, -1)
    host = x._backend.to_numpy(places._array)
    if host.size and not 0 <= host.min() <= host.max() < prod(size):
        raise RuntimeError(
            f"{op}: an index lies outside the output of size {tuple(size)}: {host.min()} to {host.max()}"
        )
    y = ScatterSet.apply(x.new_zeros(n * c, prod(size)), reshape(x, n * c, -1), 1, places._array)
    return reshape(y, *([] if single else [n]), c, *size)


def max_unpool1d(
    input: T, indices: T, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0, output_size: Any = None
) -> T:
    """Return zeros with the elements of input (N, C, L) at the places that max_pool1d found."""
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: T, indices: T, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0, output_size: Any = None
) -> T:
    """Return zeros with the elements of input (N, C, H, W) at the places that max_pool2d found."""
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: T, indices: T, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0, output_size: Any = None
) -> T:
    """Return zeros with the elements of input (N, C, D, H, W) at the places that max_pool3d found."""
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)
