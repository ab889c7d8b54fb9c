"""Pooling.  Max pooling remembers where each maximum was; its gradient scatters there, and theirs gathers."""

from __future__ import annotations

from typing import Any

from ..autograd.graph import Op, wrap
from ..geometry import Padding, Pair, Window, check_pool_padding, window
from .conv import image_input
from .elementwise import T
from .reduce import mean
from .shape import cat, narrow, squeeze


class MaxPool2d(Op):
    """x (N, C, H, W) -> maxima (N, C, OH, OW), offsets inside the windows."""

    def forward(self, x: Any, window: Window) -> Any:
        self.window, self.size = window, x.shape[2:]
        y, offsets = self.backend.max_pool2d(x, window)
        self.save(offsets)
        return y, offsets

    def backward(self, dy: Any, _: Any) -> Any:
        (offsets,) = self.saved_tensors
        return MaxPool2dGrad.apply(dy, offsets, self.window, self.size)


class MaxPool2dGrad(Op):
    """dy and offsets -> dx (N, C, H, W)."""

    def forward(self, dy: Any, offsets: Any, window: Window, size: tuple[int, int]) -> Any:
        self.window, self.size = window, size
        self.save(offsets)
        return self.backend.max_pool2d_grad(dy, offsets, window, size)

    def backward(self, dx: Any) -> Any:
        (offsets,) = self.saved_tensors
        return MaxPool2dGather.apply(dx, offsets, self.window)


class MaxPool2dGather(Op):
    """x and offsets -> the elements of x at the places of the maxima."""

    def forward(self, x: Any, offsets: Any, window: Window) -> Any:
        self.window, self.size = window, x.shape[2:]
        self.save(offsets)
        return self.backend.max_pool2d_gather(x, offsets, window)

    def backward(self, dy: Any) -> Any:
        (offsets,) = self.saved_tensors
        return MaxPool2dGrad.apply(dy, offsets, self.window, self.size)


class AvgPool2d(Op):
    """x (N, C, H, W) -> averages (N, C, OH, OW)."""

    def forward(self, x: Any, window: Window, count_include_pad: bool, divisor: int) -> Any:
        self.args, self.size = (window, count_include_pad, divisor), x.shape[2:]
        return self.backend.avg_pool2d(x, window, count_include_pad, divisor)

    def backward(self, dy: Any) -> Any:
        return AvgPool2dGrad.apply(dy, self.size, *self.args)


class AvgPool2dGrad(Op):
    """dy (N, C, OH, OW) -> dx (N, C, H, W)."""

    def forward(self, dy: Any, size: tuple[int, int], window: Window, count_include_pad: bool, divisor: int) -> Any:
        self.args = (window, count_include_pad, divisor)
        return self.backend.avg_pool2d_grad(dy, window, size, count_include_pad, divisor)

    def backward(self, dx: Any) -> Any:
        return AvgPool2d.apply(dx, *self.args)


def pool_window(
    op: str, x: Any, kernel_size: Pair, stride: Pair | None, padding: Padding, dilation: Pair, ceil_mode: bool
) -> Window:
    """Return the window of a pooling of images x; the stride defaults to the kernel size."""
    h, w = x._array.shape[2:]
    if x._array.shape[1] == 0 or h == 0 or w == 0:
        raise RuntimeError(
            f"{op}: expected an input with channels, rows and columns, got shape {tuple(x._array.shape)}"
        )
    stride = kernel_size if stride is None or stride == () or stride == [] else stride
    place = window(op, (h, w), kernel_size, stride, padding, dilation, ceil_mode)
    check_pool_padding(op, place)
    return place


def max_pool2d(
    input: T,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the maximum of each window, with return_indices also its place h * W + w (int64).

    input (N, C, H, W) or (C, H, W) -> (N, C, OH, OW); stride defaults to kernel_size.  Padding as in conv2d, at most half
    of the kernel; it never wins.  The first of equal maxima gets the gradient.
    """
    x, single = image_input("max_pool2d", input)
    place = pool_window("max_pool2d", x, kernel_size, stride, padding, dilation, ceil_mode)
    if not return_indices:
        y, _ = MaxPool2d.apply(x, place)
        return squeeze(y, 0) if single else y
    y, indices = maxima(x, place)
    return (squeeze(y, 0), squeeze(indices, 0)) if single else (y, indices)


def maxima(x: Any, place: Window) -> tuple[Any, Any]:
    """Return the maximum of each window, and its place h * W + w (int64)."""
    y, offsets = MaxPool2d.apply(x, place)
    places = x._backend.max_pool2d_indices(offsets._array, place, x._array.shape[2:])
    return y, wrap(x.result_class, places, x._backend)


def avg_pool2d(
    input: T,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> T:
    """Return the average of each window.

    input (N, C, H, W) or (C, H, W) -> (N, C, OH, OW); stride defaults to kernel_size.  Padding as in max_pool2d; it counts
    as zeros with count_include_pad, else not at all.  divisor_override replaces the number of elements.
    """
    x, single = image_input("avg_pool2d", input)
    if divisor_override is not None and divisor_override == 0:
        raise RuntimeError("avg_pool2d: divisor_override must not be 0")
    place = pool_window("avg_pool2d", x, kernel_size, stride, padding, 1, ceil_mode)
    y = AvgPool2d.apply(x, place, bool(count_include_pad), divisor_override or 0)
    return squeeze(y, 0) if single else y


def cuts(size: int, count: int) -> list[tuple[int, int]]:
    """Return where `count` parts of an axis start and how long they are: part i ends at ceil((i + 1) * size / count)."""
    return [(i * size // count, -(-(i + 1) * size // count) - i * size // count) for i in range(count)]


def averages_along(x: Any, dim: int, count: int) -> Any:
    """Return the means of `count` parts of an axis."""
    parts = [mean(narrow(x, dim, start, length), dim, True) for start, length in cuts(x._array.shape[dim], count)]
    return cat(parts, dim) if parts else narrow(x, dim, 0, 0)


def adaptive_size(op: str, x: Any, output_size: Any) -> tuple[int, ...]:
    """Return the sizes asked for, one for each axis of x (N, C, ...); None keeps a size."""
    size = x._array.shape[2:]
    if 0 in size:
        raise RuntimeError(f"{op}: expected an input without empty axes, got shape {tuple(x._array.shape)}")
    wanted = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,)
    wanted = wanted * len(size) if len(wanted) == 1 else wanted
    for n in wanted:
        if n is not None and (isinstance(n, bool) or not hasattr(n, "__index__")):
            raise TypeError(f"{op}: output_size must be an int or one for each axis, got {output_size!r}")
    if len(wanted) != len(size) or any(n is not None and n < 0 for n in wanted):
        raise RuntimeError(f"{op}: output_size must be an int or {len(size)} of them, got {output_size!r}")
    return tuple([given if target is None else int(target) for target, given in zip(wanted, size)])


def adaptive_averages(x: Any, oh: int, ow: int) -> Any:
    """Return averages over (OH, OW) parts of images x (N, C, H, W)."""
    h, w = x._array.shape[2:]
    if (oh, ow) == (1, 1):
        return mean(x, (2, 3), True)
    if oh and ow and h % oh == 0 and w % ow == 0:
        return avg_pool2d(x, (h // oh, w // ow))
    return averages_along(averages_along(x, 2, oh), 3, ow)  # a mean of means, since a part is a rectangle


def adaptive_avg_pool2d(input: T, output_size: Any) -> T:
    """Return averages over windows that cut the image into output_size (OH, OW) parts; None keeps a size.

    input (N, C, H, W) or (C, H, W) -> (N, C, OH, OW).
    """
    x, single = image_input("adaptive_avg_pool2d", input)
    y = adaptive_averages(x, *adaptive_size("adaptive_avg_pool2d", x, output_size))
    return squeeze(y, 0) if single else y
