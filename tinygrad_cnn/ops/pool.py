"""Pooling.  Max pooling remembers where each maximum was; its gradient scatters there, and theirs gathers."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ..autograd.graph import Op, Shortcut, wrap
from ..backends import algorithms
from ..geometry import Padding, Pair, Window, check_pool_padding, window
from .conv import Conv2d, check_filters, image_input
from .elementwise import RELU, T, relu, relu_grad
from .reduce import _sum as sum_
from .reduce import mean
from .shape import cat, narrow, squeeze


class MaxPool2d(Op):
    """x (N, C, H, W) -> maxima (N, C, OH, OW), offsets inside the windows."""

    title = "MaxPool2DWithIndices"

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


# ---- a convolution with max pooling behind it ----


class PooledConv2d(Op):
    """x, w and b -> maxima of conv2d(x, w, b), or with `relu` these and 0 (N, O, PH, PW), and their offsets."""

    title = "Relu"

    def forward(self, x: Any, w: Any, b: Any, window: Window, pool: Window, relu: bool) -> Any:
        self.window, self.pool, self.size = window, pool, x.shape[2:]
        y, offsets = self.backend.pooled_conv2d(x, w, b, window, pool, relu)
        self.save(x if self.needs_grad[1] else None, w if self.needs_grad[0] else None, y if relu else None, offsets)
        return y, offsets

    def gradients(self, dy: Any, _: Any) -> Any:
        x, w, y, offsets = self.saved_arrays
        geometry = self.window, self.pool, self.size
        return self.backend.pooled_conv2d_grad(dy, y, offsets, x, w, *geometry, self.needs_grad[:3])

    def backward(self, dy: Any, _: Any) -> Any:
        x, w, y, offsets = self.saved_tensors
        dy = dy if y is None else relu_grad(dy, y)
        return _pooled_grads(self.needs_grad, dy, offsets, x, w, self.window, self.pool, self.size)


class PooledConv2dInputGrad(Op):
    """dy (N, O, PH, PW), offsets and w -> dx (N, C, H, W)."""

    def forward(self, dy: Any, offsets: Any, w: Any, window: Window, pool: Window, size: tuple[int, int]) -> Any:
        self.window, self.pool = window, pool
        self.save(dy if self.needs_grad[2] else None, offsets, w if self.needs_grad[0] else None)
        return self.backend.pooled_conv2d_input_grad(dy, offsets, w, window, pool, size)

    def backward(self, dx: Any) -> Any:
        dy, offsets, w = self.saved_tensors
        return (
            MaxPool2dGather.apply(Conv2d.apply(dx, w, None, self.window, 1), offsets, self.pool)
            if self.needs_grad[0]
            else None,
            None,
            PooledConv2dWeightGrad.apply(dy, offsets, dx, self.window, self.pool) if self.needs_grad[2] else None,
        )


class PooledConv2dWeightGrad(Op):
    """dy (N, O, PH, PW), offsets and x -> dw (O, C, KH, KW)."""

    def forward(self, dy: Any, offsets: Any, x: Any, window: Window, pool: Window) -> Any:
        self.window, self.pool, self.size = window, pool, x.shape[2:]
        self.save(dy if self.needs_grad[2] else None, offsets, x if self.needs_grad[0] else None)
        return self.backend.pooled_conv2d_weight_grad(dy, offsets, x, window, pool)

    def backward(self, dw: Any) -> Any:
        dy, offsets, x = self.saved_tensors
        args = (self.window, self.pool, self.size)
        return (
            MaxPool2dGather.apply(Conv2d.apply(x, dw, None, self.window, 1), offsets, self.pool)
            if self.needs_grad[0]
            else None,
            None,
            PooledConv2dInputGrad.apply(dy, offsets, dw, *args) if self.needs_grad[2] else None,
        )


def _pooled_grads(
    needs: Any, dy: Any, offsets: Any, x: Any, w: Any, window: Window, pool: Window, size: tuple[int, int]
) -> tuple[Any, Any, Any]:
    """Return the gradients of x, w and b from that of the maxima."""
    return (
        PooledConv2dInputGrad.apply(dy, offsets, w, window, pool, size) if needs[0] else None,
        PooledConv2dWeightGrad.apply(dy, offsets, x, window, pool) if needs[1] else None,
        sum_(dy, (0, 2, 3)) if needs[2] else None,
    )


class PoolingShortcut(Shortcut):
    """From max pooling, and a ReLU before it, behind it or not at all, to the convolution: gradients from the maxima alone."""

    def gradients(self, dy: Any, *_: Any) -> Any:
        conv: Any = self.nodes[-1]
        pool: Any = next(node for node in self.nodes if node.kind is MaxPool2d)
        (offsets,), y = pool.saved_arrays, None
        for node in self.nodes:
            if node.kind is RELU:
                (y,) = node.saved_arrays
                y = y if node is self.nodes[0] else conv.backend.max_pool2d_gather(y, offsets, pool.window)
        x, w = conv.saved_arrays
        geometry = conv.window, pool.window, conv.size
        return conv.backend.pooled_conv2d_grad(dy, y, offsets, x, w, *geometry, self.needs_grad[:3])


def _to_conv2d(last: Any) -> Shortcut | None:
    """Return the shortcut from a ReLU or max pooling to the convolution before both, or None."""
    nodes: list[Any] = [last, last.edges[0][0]]
    if nodes[1].kind in (RELU, MaxPool2d):
        nodes.append(nodes[1].edges[0][0])
    conv: Any = nodes[-1]
    if type(conv) is not Conv2d:
        return None
    pool = next(node for node in nodes if node.kind is MaxPool2d)
    outputs, channels = conv.channels
    pays = algorithms.choose_pooled(conv.window, conv.groups, pool.window, channels, outputs)
    return PoolingShortcut(*nodes) if pays else None


MaxPool2d.shortcuts = {Conv2d: _to_conv2d, RELU: _to_conv2d}
RELU.shortcuts[MaxPool2d] = _to_conv2d


class AvgPool2d(Op):
    """x (N, C, H, W) -> averages (N, C, OH, OW)."""

    title = "AvgPool2D"

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
    op: str, shape: tuple[int, ...], kernel_size: Pair, stride: Pair | None, padding: Padding, dilation: Pair,
    ceil_mode: bool,
) -> Window:  # fmt: skip
    """Return the window of a pooling of images of a shape (N, C, H, W); the stride defaults to the kernel size."""
    h, w = shape[2:]
    if 0 in shape[1:]:
        raise RuntimeError(f"{op}: expected an input with channels, rows and columns, got shape {tuple(shape)}")
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
    place = pool_window("max_pool2d", x._array.shape, kernel_size, stride, padding, dilation, ceil_mode)
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


def conv2d_max_pool2d_relu(input: T, weight: T, bias: T | None, convolution: Any, pooling: Any) -> T:
    """Return relu(max_pool2d(conv2d(input, weight, bias, *convolution), *pooling)), in one step where that is faster."""
    x, single = image_input("conv2d", input)
    groups = convolution[-1]
    check_filters("conv2d", x, weight, bias, groups)
    args = (x._array.shape[2:], weight._array.shape, convolution, pooling, algorithms.current())
    try:
        place, pool, as_one = _pooled_windows(*args)
    except TypeError:  # a list is as good as a tuple, but cannot be a cache key
        place, pool, as_one = _pooled_windows.__wrapped__(*args)
    if as_one:
        y, _ = PooledConv2d.apply(x, weight, bias, place, pool, True)
    else:
        y, _ = MaxPool2d.apply(Conv2d.apply(x, weight, bias, place, groups), pool)
        y = relu(y)
    return squeeze(y, 0) if single else y


@lru_cache(maxsize=4096)
def _pooled_windows(
    size: tuple[int, int], weight: tuple[int, ...], convolution: Any, pooling: Any, algorithm: str
) -> tuple[Window, Window, bool]:
    """Return the windows of a convolution and of the pooling behind it, and whether both are one step."""
    outputs, channels, *kernel = weight
    *geometry, groups = convolution
    place = window("conv2d", size, tuple(kernel), *geometry)
    pool = pool_window("max_pool2d", (1, outputs, place.oh, place.ow), *pooling)
    return place, pool, algorithms.fuses_pooling(place, groups, pool, channels, outputs)


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
    place = pool_window("avg_pool2d", x._array.shape, kernel_size, stride, padding, 1, ceil_mode)
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
