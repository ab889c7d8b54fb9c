"""Convolution (cross-correlation) and its patches.

conv2d and its two gradients are bilinear and each other's derivatives: three ops close the circle.
"""

from __future__ import annotations

from typing import Any

from ..autograd.graph import Op
from ..autograd.rows import computed
from ..geometry import Padding, Pair, Window, pair, window
from .elementwise import RELU, T, check_tensors
from .reduce import _sum as sum_
from .shape import squeeze, unsqueeze


class Conv2d(Op):
    """x (N, C, H, W) and w (O, C / groups, KH, KW) -> y (N, O, OH, OW).

    With `relu`, forward also applies a ReLU, whose gradient is the next node's business (conv2d_relu).
    """

    title = "Convolution"

    def forward(self, x: Any, w: Any, b: Any, window: Window, groups: int, relu: bool = False) -> Any:
        self.window, self.groups, self.channels, self.size = window, groups, w.shape[:2], x.shape[2:]
        self.save(x if self.needs_grad[1] else None, w if self.needs_grad[0] else None)
        return self.backend.conv2d(x, w, b, window, groups, relu)

    def gradients(self, dy: Any) -> Any:
        x, w = self.saved_arrays
        geometry = self.window, self.groups
        return (
            self.backend.conv2d_input_grad(dy, w, *geometry, self.size) if self.needs_grad[0] else None,
            self.backend.conv2d_weight_grad(dy, x, *geometry) if self.needs_grad[1] else None,
            self.backend.reduce("sum", dy, (0, 2, 3), False) if self.needs_grad[2] else None,
        )

    def backward(self, dy: Any) -> Any:
        x, w = self.saved_tensors
        return (
            Conv2dInputGrad.apply(dy, w, self.window, self.groups, self.size) if self.needs_grad[0] else None,
            Conv2dWeightGrad.apply(dy, x, self.window, self.groups) if self.needs_grad[1] else None,
            sum_(dy, (0, 2, 3)) if self.needs_grad[2] else None,
        )


class Conv2dInputGrad(Op):
    """dy (N, O, OH, OW) and w -> dx (N, C, H, W)."""

    def forward(self, dy: Any, w: Any, window: Window, groups: int, size: tuple[int, int]) -> Any:
        self.window, self.groups = window, groups
        self.save(dy if self.needs_grad[1] else None, w if self.needs_grad[0] else None)
        return self.backend.conv2d_input_grad(dy, w, window, groups, size)

    def backward(self, dx: Any) -> Any:
        dy, w = self.saved_tensors
        return (
            Conv2d.apply(dx, w, None, self.window, self.groups) if self.needs_grad[0] else None,
            Conv2dWeightGrad.apply(dy, dx, self.window, self.groups) if self.needs_grad[1] else None,
        )


class Conv2dWeightGrad(Op):
    """dy (N, O, OH, OW) and x -> dw (O, C / groups, KH, KW)."""

    def forward(self, dy: Any, x: Any, window: Window, groups: int) -> Any:
        self.window, self.groups, self.size = window, groups, x.shape[2:]
        self.save(dy if self.needs_grad[1] else None, x if self.needs_grad[0] else None)
        return self.backend.conv2d_weight_grad(dy, x, window, groups)

    def backward(self, dw: Any) -> Any:
        dy, x = self.saved_tensors
        return (
            Conv2d.apply(x, dw, None, self.window, self.groups) if self.needs_grad[0] else None,
            Conv2dInputGrad.apply(dy, dw, self.window, self.groups, self.size) if self.needs_grad[1] else None,
        )


AXES = {1: "L", 2: "H, W", 3: "D, H, W"}


def image_input(op: str, input: Any, axes: int = 2) -> tuple[Any, bool]:
    """Return a batch (N, C, ...) with `axes` further axes, and whether the input came without the batch axis."""
    check_tensors(op, input)
    ndim = input._array.ndim
    if ndim not in (axes + 1, axes + 2):
        raise RuntimeError(
            f"{op}: expected input (N, C, {AXES[axes]}) or (C, {AXES[axes]}), got {ndim} dimensions, "
            f"shape {tuple(input._array.shape)}"
        )
    if input._array.dtype.kind != "f":
        raise RuntimeError(f"{op}: expected a floating input, got {input._array.dtype}; convert with .float()")
    return (unsqueeze(input, 0), True) if ndim == axes + 1 else (input, False)


def check_filters(op: str, x: Any, weight: Any, bias: Any, groups: int, transposed: bool = False) -> None:
    """Raise unless weight (O, C / groups, ...), or transposed (C, O / groups, ...), and bias (O,) fit x (N, C, ...)."""
    check_tensors(op, weight, *([] if bias is None else [bias]))
    c, shape = x._array.shape[1], weight._array.shape
    kind = "(C, O / groups" if transposed else "(O, C / groups"
    if len(shape) != x._array.ndim:
        raise RuntimeError(f"{op}: weight must have shape {kind}, and one size per axis), got {tuple(shape)}")
    if groups < 1 or shape[0] % groups:
        raise RuntimeError(f"{op}: groups must be positive and divide the {shape[0]} in {kind}, ...), got {groups}")
    wanted = shape[0] if transposed else shape[1] * groups
    if c != wanted:
        raise RuntimeError(
            f"{op}: input {tuple(x._array.shape)} has {c} channels, but weight {tuple(shape)} with groups={groups} "
            f"expects {wanted if transposed else f'{shape[1]} * {groups} = {wanted}'}"
        )
    if weight._array.dtype != x._array.dtype or (bias is not None and bias._array.dtype != x._array.dtype):
        kinds = [str(t._array.dtype) for t in (x, weight, bias) if t is not None]
        raise RuntimeError(f"{op}: input, weight and bias must have one dtype, got {', '.join(kinds)}")
    outputs = shape[1] * groups if transposed else shape[0]
    if bias is not None and bias._array.shape != (outputs,):
        raise RuntimeError(f"{op}: bias must have shape {(outputs,)}, got {tuple(bias._array.shape)}")


def checked_conv2d(
    input: Any, weight: Any, bias: Any, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> tuple[Any, bool, Window]:
    """Return a batch of images, whether it came without the batch axis, and the window; raise unless all fits."""
    x, single = image_input("conv2d", input)
    check_filters("conv2d", x, weight, bias, groups)
    return x, single, window("conv2d", x._array.shape[2:], weight._array.shape[2:], stride, padding, dilation)


def conv2d(
    input: T,
    weight: T,
    bias: T | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> T:
    """Cross-correlate images with filters.

    input (N, C, H, W) or (C, H, W), weight (O, C / groups, KH, KW), bias (O,) -> (N, O, OH, OW) with
    OH = floor((H + padding - dilation * (KH - 1) - 1) / stride) + 1.  Padding (zeros): an int, (rows, columns),
    ((top, bottom), (left, right)), 'valid', 'same' (any stride; an odd zero goes below and right) or 'same_lower'.
    """
    x, single, place = checked_conv2d(input, weight, bias, stride, padding, dilation, groups)
    y = Conv2d.apply(x, weight, bias, place, groups)
    return squeeze(y, 0) if single else y


def conv2d_relu(input: T, weight: T, bias: T | None, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> T:
    """Return relu(conv2d(input, ...)): one step forward, with the same bits and the same graph."""
    x, single, place = checked_conv2d(input, weight, bias, stride, padding, dilation, groups)
    y = Conv2d.apply(x, weight, bias, place, groups, True)
    y = computed(RELU, (y,), y._array)
    return squeeze(y, 0) if single else y


# ---- patches ----


class Im2col(Op):
    """x (N, C, H, W) -> patches (N, C * KH * KW, OH * OW)."""

    def forward(self, x: Any, window: Window) -> Any:
        self.window, self.size = window, x.shape[2:]
        return self.backend.im2col(x, window)

    def backward(self, dy: Any) -> Any:
        return Col2im.apply(dy, self.window, self.size)


class Col2im(Op):
    """Patches (N, C * KH * KW, OH * OW) -> their sum, images (N, C, H, W)."""

    def forward(self, columns: Any, window: Window, size: tuple[int, int]) -> Any:
        self.window = window
        return self.backend.col2im(columns, window, size)

    def backward(self, dx: Any) -> Any:
        return Im2col.apply(dx, self.window)


def unfold(input: T, kernel_size: Pair, dilation: Pair = 1, padding: Padding = 0, stride: Pair = 1) -> T:
    """Return the patches of images (im2col): (N, C, H, W) -> (N, C * KH * KW, OH * OW)."""
    x, single = image_input("unfold", input)
    y = Im2col.apply(x, window("unfold", x._array.shape[2:], kernel_size, stride, padding, dilation))
    return squeeze(y, 0) if single else y


def fold(
    input: T, output_size: Pair, kernel_size: Pair, dilation: Pair = 1, padding: Padding = 0, stride: Pair = 1
) -> T:
    """Return the sum of patches (col2im): (N, C * KH * KW, L) -> (N, C, H, W) with output_size (H, W)."""
    size = pair("fold", "output_size", output_size, 1)
    check_tensors("fold", input)
    if input._array.ndim not in (2, 3):
        raise RuntimeError(f"fold: expected input (N, C * KH * KW, L), got shape {tuple(input._array.shape)}")
    x = unsqueeze(input, 0) if input._array.ndim == 2 else input
    place = window("fold", size, kernel_size, stride, padding, dilation)
    taps, positions = place.kh * place.kw, place.oh * place.ow
    if x._array.shape[1] % taps or x._array.shape[2] != positions:
        raise RuntimeError(
            f"fold: input {tuple(input._array.shape)} does not fit output_size {size}: expected a multiple of "
            f"KH * KW = {taps} rows and {place.oh} * {place.ow} = {positions} columns"
        )
    y = Col2im.apply(x, place, size)
    return squeeze(y, 0) if input._array.ndim == 2 else y
