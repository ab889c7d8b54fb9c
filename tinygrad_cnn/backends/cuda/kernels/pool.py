"""Pooling: a thread for each window, and backward for each element of the image, which collects what its windows give."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._numba import device
from ..intrinsics import quotient
from ..launch import INTEGER, integers, pointer, spec
from .common import I32, global_thread, split

# `window` in parameters: KH, KW, SH, SW, PT, PL, DH, DW
WINDOW = integers(8)


@device
def corner(index: Any, y_size: Any, window: Any) -> Any:
    """Return plane and place of output `index`, and where its window begins."""
    plane, rest = split(index, I32(y_size[0] * y_size[1]))
    i, j = split(rest, y_size[1])
    return plane, rest, I32(I32(i * window[2]) - window[4]), I32(I32(j * window[3]) - window[5])


@device
def maximum_at(index: Any, offset: Any, y_size: Any, window: Any) -> Any:
    """Return plane, row and column of the maximum of output `index`."""
    plane, _, top, left = corner(index, y_size, window)
    u, v = split(I32(offset), window[1])
    return plane, I32(top + I32(u * window[6])), I32(left + I32(v * window[7]))


@device
def within(h: Any, column: Any, size: Any) -> Any:
    """Return whether a place lies in the image."""
    return h >= 0 and h < size[0] and column >= 0 and column < size[1]


@device
def window_at(place: Any, stride: Any, count: Any) -> Any:
    """Return the number of the window that begins at a place, and whether there is one."""
    i = quotient(max(place, I32(0)), stride)
    return i, place >= 0 and I32(i * stride) == place and i < count


@spec(threads=256, registers=48, sectors=(5, 2.5), example={"real": np.float32, "offset": np.uint8})
def max_pool2d(real: Any, offset: Any) -> Callable[..., None]:
    """Make the maxima and where they are in their windows."""
    lowest = real(-np.inf) if np.dtype(real).kind == "f" else real(np.iinfo(real).min)

    def max_pool2d(
        y: pointer(real), offsets: pointer(offset), x: pointer(real), n: INTEGER, size: integers(2), y_size: integers(2),
        window: WINDOW,
    ) -> None:  # fmt: skip
        index = global_thread()
        if index < n:
            plane, _, top, left = corner(index, y_size, window)
            first = I32(plane * I32(size[0] * size[1]))
            best, where, found = lowest, I32(0), False
            for u in range(window[0]):
                h = I32(top + I32(I32(u) * window[6]))
                for v in range(window[1]):
                    column = I32(left + I32(I32(v) * window[7]))
                    if within(h, column, size):
                        value = x[I32(first + I32(h * size[1]) + column)]
                        if not found or (best == best and (value > best or value != value)):
                            best, where, found = value, I32(I32(I32(u) * window[1]) + I32(v)), True
            y[index] = best
            offsets[index] = where

    return max_pool2d


@spec(threads=256, registers=64, sectors=(1.5, 4), example={"real": np.float32, "offset": np.uint8})
def max_pool2d_grad(real: Any, offset: Any) -> Callable[..., None]:
    """Make dx: each element adds up dy of the windows whose maximum it is."""
    zero = real(0)

    def max_pool2d_grad(
        dx: pointer(real), dy: pointer(real), offsets: pointer(offset), n: INTEGER, size: integers(2), y_size: integers(2),
        window: WINDOW,
    ) -> None:  # fmt: skip
        index = global_thread()
        if index < n:
            plane, rest = split(index, I32(size[0] * size[1]))
            h, column = split(rest, size[1])
            first = I32(plane * I32(y_size[0] * y_size[1]))
            total = zero
            # windows in the order of their places: kernel elements from the last to the first
            for u in range(window[0] - 1, -1, -1):
                i, exists = window_at(I32(I32(h + window[4]) - I32(I32(u) * window[6])), window[2], y_size[0])
                if exists:
                    for v in range(window[1] - 1, -1, -1):
                        j, exists = window_at(
                            I32(I32(column + window[5]) - I32(I32(v) * window[7])), window[3], y_size[1]
                        )
                        if exists:
                            at = I32(first + I32(i * y_size[1]) + j)
                            if I32(offsets[at]) == I32(I32(I32(u) * window[1]) + I32(v)):
                                total += dy[at]
            dx[index] = total

    return max_pool2d_grad


@spec(threads=256, registers=48, sectors=(5.5, 4), example={"real": np.float32, "offset": np.uint8})
def max_pool2d_gather(real: Any, offset: Any) -> Callable[..., None]:
    """Read x where the maxima are; 0 for windows that lie outside."""
    zero = real(0)

    def max_pool2d_gather(
        y: pointer(real), x: pointer(real), offsets: pointer(offset), n: INTEGER, size: integers(2), y_size: integers(2),
        window: WINDOW,
    ) -> None:  # fmt: skip
        index = global_thread()
        if index < n:
            plane, h, column = maximum_at(index, offsets[index], y_size, window)
            at = I32(I32(plane * I32(size[0] * size[1])) + I32(h * size[1]) + column)
            y[index] = x[at] if within(h, column, size) else zero

    return max_pool2d_gather


@spec(threads=256, registers=48, sectors=(1, 7.5), example={"offset": np.uint8})
def max_pool2d_indices(offset: Any) -> Callable[..., None]:
    """Turn offsets into places in the image."""

    def max_pool2d_indices(
        y: pointer(np.int64),
        offsets: pointer(offset),
        n: INTEGER,
        size: integers(2),
        y_size: integers(2),
        window: WINDOW,
    ) -> None:
        index = global_thread()
        if index < n:
            _, h, column = maximum_at(index, offsets[index], y_size, window)
            y[index] = I32(I32(h * size[1]) + column)

    return max_pool2d_indices


@spec(threads=256, registers=48, sectors=(4.5, 4), example={"real": np.float32})
def avg_pool2d(real: Any) -> Callable[..., None]:
    """Make the averages; counts (OH, OW) holds what each sum is divided by."""
    zero = real(0)

    def avg_pool2d(
        y: pointer(real), x: pointer(real), counts: pointer(real), n: INTEGER, size: integers(2), y_size: integers(2),
        window: WINDOW,
    ) -> None:  # fmt: skip
        index = global_thread()
        if index < n:
            plane, rest, top, left = corner(index, y_size, window)
            first = I32(plane * I32(size[0] * size[1]))
            total = zero
            for u in range(max(I32(0), I32(-top)), min(window[0], I32(size[0] - top))):
                for v in range(max(I32(0), I32(-left)), min(window[1], I32(size[1] - left))):
                    total += x[I32(first + I32(I32(top + I32(u)) * size[1]) + I32(left + I32(v)))]
            y[index] = total / counts[rest]

    return avg_pool2d


@spec(threads=256, registers=64, sectors=(3, 4), example={"real": np.float32})
def avg_pool2d_grad(real: Any) -> Callable[..., None]:
    """Make dx: each element adds up its share of its windows."""
    zero = real(0)

    def avg_pool2d_grad(
        dx: pointer(real), dy: pointer(real), counts: pointer(real), n: INTEGER, size: integers(2), y_size: integers(2),
        window: WINDOW,
    ) -> None:  # fmt: skip
        index = global_thread()
        if index < n:
            plane, rest = split(index, I32(size[0] * size[1]))
            h, column = split(rest, size[1])
            first = I32(plane * I32(y_size[0] * y_size[1]))
            total = zero
            for u in range(window[0] - 1, -1, -1):
                i, exists = window_at(I32(I32(h + window[4]) - I32(u)), window[2], y_size[0])
                if exists:
                    for v in range(window[1] - 1, -1, -1):
                        j, exists = window_at(I32(I32(column + window[5]) - I32(v)), window[3], y_size[1])
                        if exists:
                            at = I32(I32(i * y_size[1]) + j)
                            total += dy[I32(first + at)] / counts[at]
            dx[index] = total

    return avg_pool2d_grad
