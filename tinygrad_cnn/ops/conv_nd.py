"""Convolution along one and three axes, and transposed convolution, through the ops of conv2d.

One axis is an image of one row.  Three axes are images whose channels are the depths under the kernel: im2col along the
depth, which is the first of two axes if rows and columns are joined, then conv2d on planes.
"""

from __future__ import annotations

from math import prod
from typing import Any

from ..geometry import Padding, Pair, Window, effective, paddings, per_axis
from .conv import Col2im, Conv2d, Conv2dInputGrad, Im2col, check_filters, image_input
from .elementwise import T, add
from .shape import movedim, reshape, squeeze, unsqueeze

Sides = tuple[tuple[int, int], ...]


def _sliding(
    op: str, size: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], pads: Sides, dilation: tuple[int, ...]
) -> tuple[int, ...]:  # fmt: skip
    """Return the number of windows along each axis."""
    rooms = [n + sum(pad) - effective(k, d) for n, pad, k, d in zip(size, pads, kernel, dilation)]
    if min(rooms) < 0:
        raise RuntimeError(
            f"{op}: kernel {kernel} with dilation {dilation} is larger than the padded input: size {size}, padding {pads}"
        )
    return tuple([room // s + 1 for room, s in zip(rooms, stride)])


def _two_axes(kernel: Any, stride: Any, pads: Any, dilation: Any, counts: Any) -> Window:
    """Return the window along two axes, or along the columns of one row."""
    if len(kernel) == 1:
        kernel, stride, pads, dilation, counts = [
            ((0, 0) if a is pads else 1, *a) for a in (kernel, stride, pads, dilation, counts)
        ]
    return Window._make((*kernel, *stride, *pads[0], *pads[1], *dilation, *counts))


def _down_and_across(
    kernel: Any, stride: Any, pads: Any, dilation: Any, counts: Any, area: int
) -> tuple[Window, Window]:
    """Return the window along the depth of (D, H * W) and that over planes (H, W)."""
    first = [(a[0], 1) for a in (kernel, stride, dilation)]
    depth = _two_axes(first[0], first[1], (pads[0], (0, 0)), first[2], (counts[0], area))
    return depth, _two_axes(kernel[1:], stride[1:], pads[1:], dilation[1:], counts[1:])


def _plane_filters(weight: Any) -> Any:
    """Return filters (O, C, KD, KH, KW) as filters of planes (O, C * KD, KH, KW)."""
    o, c, *kernel = weight._array.shape
    return reshape(weight, o, c * kernel[0], *kernel[1:])


def _planes(x: Any) -> Any:
    """Return volumes (N, C, D, H, W) as images (N * D, C, H, W)."""
    n, c, d, h, w = x._array.shape
    return reshape(movedim(x, 2, 1), n * d, c, h, w)


def _volumes(x: Any, n: int, d: int) -> Any:
    """Return images (N * D, C, H, W) as volumes (N, C, D, H, W)."""
    return movedim(reshape(x, n, d, *x._array.shape[1:]), 1, 2)


def _convolve(
    op: str, axes: int, input: Any, weight: Any, bias: Any, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Any:
    x, single = image_input(op, input, axes)
    check_filters(op, x, weight, bias, groups)
    n, c, *size = x._array.shape
    kernel = weight._array.shape[2:]
    strides, dilations = per_axis(op, "stride", stride, 1, axes), per_axis(op, "dilation", dilation, 1, axes)
    pads = paddings(op, padding, tuple(size), kernel, strides, dilations)
    place = (kernel, strides, pads, dilations, _sliding(op, tuple(size), kernel, strides, pads, dilations))
    if axes == 1:
        y = squeeze(Conv2d.apply(unsqueeze(x, 2), unsqueeze(weight, 2), bias, _two_axes(*place), groups), 2)
    else:
        area = prod(size[1:])
        depth, plane = _down_and_across(*place, area)
        stacked = reshape(Im2col.apply(reshape(x, n, c, size[0], area), depth), n, c * kernel[0], depth.oh, *size[1:])
        y = _volumes(Conv2d.apply(_planes(stacked), _plane_filters(weight), bias, plane, groups), n, depth.oh)
    return squeeze(y, 0) if single else y


def _transposed(
    op: str, axes: int, input: Any, weight: Any, bias: Any, stride: Pair, padding: Padding, output_padding: Pair, groups: int,
    dilation: Pair,
) -> Any:  # fmt: skip
    x, single = image_input(op, input, axes)
    check_filters(op, x, weight, bias, groups, transposed=True)
    n, _, *counts = x._array.shape
    kernel = weight._array.shape[2:]
    strides, dilations = per_axis(op, "stride", stride, 1, axes), per_axis(op, "dilation", dilation, 1, axes)
    extra = per_axis(op, "output_padding", output_padding, 0, axes)
    if isinstance(padding, str):
        raise TypeError(f"{op}: padding must be numbers, got {padding!r}")
    pads = paddings(op, padding, tuple(counts), kernel, strides, dilations)
    size = [(i - 1) * s - sum(p) + effective(k, d) + e
            for i, s, p, k, d, e in zip(counts, strides, pads, kernel, dilations, extra)]  # fmt: skip
    if any(e >= max(s, d) for e, s, d in zip(extra, strides, dilations)):
        raise RuntimeError(
            f"{op}: output_padding {extra} must be smaller than stride {strides} or dilation {dilations}"
        )
    if min(size) < 1 or 0 in counts:
        raise RuntimeError(f"{op}: input {tuple(input._array.shape)} would give an output of size {tuple(size)}")
    place, maps = (kernel, strides, pads, dilations, counts), weight._array.shape[1] * groups
    if axes == 3:
        area = prod(size[1:])
        depth, plane = _down_and_across(*place, area)
        planes = Conv2dInputGrad.apply(_planes(x), _plane_filters(weight), plane, groups, tuple(size[1:]))
        stacked = _volumes(planes, n, counts[0])
        y = Col2im.apply(reshape(stacked, n, maps * kernel[0], counts[0] * area), depth, (size[0], area))
        y = reshape(y, n, maps, *size)
    elif axes == 2:
        y = Conv2dInputGrad.apply(x, weight, _two_axes(*place), groups, tuple(size))
    else:
        y = Conv2dInputGrad.apply(unsqueeze(x, 2), unsqueeze(weight, 2), _two_axes(*place), groups, (1, *size))
        y = squeeze(y, 2)
    y = y if bias is None else add(y, reshape(bias, maps, *[1] * axes))
    return squeeze(y, 0) if single else y


def conv1d(
    input: T, weight: T, bias: T | None = None, stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1,
    groups: int = 1,
) -> T:  # fmt: skip
    """Cross-correlate sequences input (N, C, L) or (C, L) with filters (O, C / groups, K) -> (N, O, OL); see conv2d."""
    return _convolve("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: T, weight: T, bias: T | None = None, stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1,
    groups: int = 1,
) -> T:  # fmt: skip
    """Cross-correlate volumes input (N, C, D, H, W) with filters (O, C / groups, KD, KH, KW); see conv2d."""
    return _convolve("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: T, weight: T, bias: T | None = None, stride: Pair = 1, padding: Padding = 0, output_padding: Pair = 0,
    groups: int = 1, dilation: Pair = 1,
) -> T:  # fmt: skip
    """Apply the adjoint of conv1d to input (N, C, L), weight (C, O / groups, K) -> (N, O, OL); see conv_transpose2d."""
    return _transposed("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: T, weight: T, bias: T | None = None, stride: Pair = 1, padding: Padding = 0, output_padding: Pair = 0,
    groups: int = 1, dilation: Pair = 1,
) -> T:  # fmt: skip
    """Apply the adjoint of conv2d to input (N, C, H, W) or (C, H, W), weight (C, O / groups, KH, KW) -> (N, O, OH, OW).

    OH = (H - 1) * stride - padding + dilation * (KH - 1) + 1 + output_padding.  Padding: numbers, as in conv2d.
    """
    return _transposed("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: T, weight: T, bias: T | None = None, stride: Pair = 1, padding: Padding = 0, output_padding: Pair = 0,
    groups: int = 1, dilation: Pair = 1,
) -> T:  # fmt: skip
    """Apply the adjoint of conv3d to input (N, C, D, H, W), weight (C, O / groups, KD, KH, KW); see conv_transpose2d."""
    return _transposed("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)
