"""Gathering and scattering.  Scatters are made by the elements that receive, so every sum has one order."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._numba import device
from ..intrinsics import quotient
from ..launch import INTEGER, integers, pointer, spec
from .common import I32, global_thread, place, split
from .elementwise import expressions


@spec(threads=256, registers=48, sectors=(6.5, 4), example={"real": np.float32, "axes": 3})
def gather(real: Any, axes: int) -> Callable[..., None]:
    """Make y[i] = x[.., index[i], ..]; steps of x along the axis are `step`, and 0 in `steps`."""
    find = place(axes)

    def gather(
        y: pointer(real), x: pointer(real), index: pointer(np.int64), n: INTEGER, step: INTEGER, sizes: integers(axes),
        steps: integers(axes),
    ) -> None:  # fmt: skip
        i = global_thread()
        if i < n:
            y[i] = x[I32(find(i, sizes, steps) + I32(I32(index[i]) * step))]

    return gather


@spec(threads=256, registers=64, sectors=(2.5, 3.5), example={"op": "add", "real": np.float32, "axes": 3})
def scatter(op: str, real: Any, axes: int) -> Callable[..., None]:
    """Combine each element of the target with the values whose index names it: index (sizes, but `length` along the axis)."""
    f = device(expressions(real)[op])
    find = place(axes)

    def scatter(
        target: pointer(real), index: pointer(np.int64), values: pointer(real), n: INTEGER, length: INTEGER,
        index_step: INTEGER, value_step: INTEGER, sizes: integers(axes), along: integers(axes), steps: integers(axes),
        index_steps: integers(axes), value_steps: integers(axes),
    ) -> None:  # fmt: skip
        i = global_thread()
        if i < n:
            mine = find(i, sizes, along)
            at = find(i, sizes, steps)
            index_at, value_at = find(i, sizes, index_steps), find(i, sizes, value_steps)
            total = target[at]
            k = I32(0)
            while k < length:
                if I32(index[I32(index_at + I32(k * index_step))]) == mine:
                    total = real(f(total, values[I32(value_at + I32(k * value_step))]))
                k = I32(k + 1)
            target[at] = total

    return scatter


@spec(threads=256, registers=32, sectors=(11, 4), example={"real": np.float32})
def take(real: Any) -> Callable[..., None]:
    """Make y[i] = x[places[i]]."""

    def take(y: pointer(real), x: pointer(real), places: pointer(np.int64), n: INTEGER) -> None:
        i = global_thread()
        if i < n:
            y[i] = x[I32(places[i])]

    return take


@spec(threads=256, registers=32, sectors=(4, 3.5), example={"real": np.float32})
def take_rows(real: Any) -> Callable[..., None]:
    """Make y (O, J, I) = x (O, K, I)[:, index]; negative numbers count from the end, wrong ones are noted in `wrong`."""
    zero = real(0)

    def take_rows(
        y: pointer(real), wrong: pointer(np.int64), x: pointer(real), index: pointer(np.int64), n: INTEGER, rows: INTEGER,
        picked: INTEGER, inner: INTEGER,
    ) -> None:  # fmt: skip
        i = global_thread()
        if i < n:
            line, rest = split(i, inner)
            outer, j = split(line, picked)
            k = index[j]
            row = I32(k) if k >= 0 else I32(k + rows)
            if row < 0 or row >= rows:
                wrong[0] = 2
                wrong[1] = k
                y[i] = zero
            else:
                y[i] = x[I32(I32(I32(outer * rows + row) * inner) + rest)]

    return take_rows


@spec(threads=256, registers=32, sectors=(4, 2), example={"real": np.float32})
def put(real: Any) -> Callable[..., None]:
    """Write target[places[i]] = values[order[i]]."""

    def put(
        target: pointer(real), places: pointer(np.int64), order: pointer(np.int64), values: pointer(real), n: INTEGER
    ) -> None:
        i = global_thread()
        if i < n:
            target[I32(places[i])] = values[I32(order[i])]

    return put


@spec(threads=256, registers=40, sectors=(3.5, 3), example={"real": np.float32})
def put_sums(real: Any) -> Callable[..., None]:
    """Add to target[places[i]] the values order[starts[i]] to order[starts[i + 1] - 1], one after another."""

    def put_sums(
        target: pointer(real), places: pointer(np.int64), starts: pointer(np.int64), order: pointer(np.int64),
        values: pointer(real), n: INTEGER,
    ) -> None:  # fmt: skip
        i = global_thread()
        if i < n:
            at = I32(places[i])
            total = target[at]
            k = I32(starts[i])
            while k < I32(starts[I32(i + 1)]):
                total = real(total + values[I32(order[k])])
                k = I32(k + 1)
            target[at] = total

    return put_sums


@spec(threads=256, registers=48, sectors=(2, 3), example={"real": np.float32})
def resample(real: Any) -> Callable[..., None]:
    """Make y[p, b, k] = sum of weights[j] * x[p, places[j], k] for j from starts[b] to starts[b + 1] - 1."""
    zero = real(0)

    def resample(
        y: pointer(real), x: pointer(real), starts: pointer(np.int64), places: pointer(np.int64), weights: pointer(real),
        n: INTEGER, length: INTEGER, results: INTEGER, inner: INTEGER,
    ) -> None:  # fmt: skip
        i = global_thread()
        if i < n:
            line, k = split(i, inner)
            plane, b = split(line, results)
            total = zero
            j = I32(starts[b])
            while j < I32(starts[I32(b + 1)]):
                total += weights[j] * x[I32(I32(I32(plane * length) + I32(places[j])) * inner + k)]
                j = I32(j + 1)
            y[i] = total

    return resample


@spec(threads=256, registers=48, sectors=(4, 4), example={"real": np.float32})
def gather_images(real: Any) -> Callable[..., None]:
    """Make y (B, C, rows, columns) from bytes (N, H, W, C), as the contract says."""

    def gather_images(
        y: pointer(real), images: pointer(np.uint8), index: pointer(np.int64), table: pointer(real),
        windows: pointer(np.int64), n: INTEGER, positions: INTEGER, tables: INTEGER, channels: INTEGER, size: integers(2),
        y_size: integers(2),
    ) -> None:  # fmt: skip
        i = global_thread()
        if i < n:
            plane, rest = split(i, I32(y_size[0] * y_size[1]))
            row, column = split(rest, y_size[1])
            b, c = split(plane, channels)
            u = I32(windows[I32(4 * b)]) + (I32(y_size[0] - 1 - row) if windows[I32(4 * b + 2)] != 0 else row)
            v = I32(windows[I32(4 * b + 1)]) + (I32(y_size[1] - 1 - column) if windows[I32(4 * b + 3)] != 0 else column)
            byte = I32(256)
            if u >= 0 and u < size[0] and v >= 0 and v < size[1]:
                image = I32(index[I32(b % positions)])
                byte = I32(images[I32(I32(I32(I32(image * size[0]) + I32(u)) * size[1] + I32(v)) * channels + c)])
            row = I32(I32(I32(b % tables) * channels) + c)
            y[i] = table[I32(I32(row * 257) + byte)]

    return gather_images


@spec(threads=256, registers=48, sectors=(4, 4), example={"real": np.float32})
def sample(real: Any) -> Callable[..., None]:
    """Make y[n, c, b] = sum over j of weights[n, j, b] * x[n, c, places[n, j, b]]; places below 0 name a 0."""
    zero = real(0)

    def sample(
        y: pointer(real), x: pointer(real), places: pointer(np.int32), weights: pointer(real), n: INTEGER,
        channels: INTEGER, length: INTEGER, terms: INTEGER, results: INTEGER,
    ) -> None:  # fmt: skip
        i = global_thread()
        if i < n:
            plane, b = split(i, results)
            image = quotient(plane, channels)
            total = zero
            j = I32(0)
            while j < terms:
                at = I32(I32(I32(image * terms) + j) * results + b)
                place = places[at]
                if place >= 0:
                    total += weights[at] * x[I32(I32(plane * length) + place)]
                j = I32(j + 1)
            y[i] = total

    return sample


@spec(threads=256, registers=48, sectors=(2, 3), example={"real": np.float32})
def sample_input_grad(real: Any) -> Callable[..., None]:
    """Make dx (N, C, A): each element looks for itself among the places of its image."""
    zero = real(0)

    def sample_input_grad(
        dx: pointer(real), dy: pointer(real), places: pointer(np.int32), weights: pointer(real), n: INTEGER,
        channels: INTEGER, length: INTEGER, terms: INTEGER, results: INTEGER,
    ) -> None:  # fmt: skip
        i = global_thread()
        if i < n:
            plane, a = split(i, length)
            image = quotient(plane, channels)
            first, line = I32(I32(image * terms) * results), I32(plane * results)
            total = zero
            j = I32(0)
            while j < terms:
                b = I32(0)
                while b < results:
                    at = I32(first + I32(j * results) + b)
                    if places[at] == a:
                        total += weights[at] * dy[I32(line + b)]
                    b = I32(b + 1)
                j = I32(j + 1)
            dx[i] = total

    return sample_input_grad


@spec(threads=256, registers=56, sectors=(2.5, 2.5), example={"real": np.float32})
def sample_weight_grad(real: Any) -> Callable[..., None]:
    """Make dw[n, j, b] = sum over c of dy[n, c, b] * x[n, c, places[n, j, b]]."""
    zero = real(0)

    def sample_weight_grad(
        dw: pointer(real), dy: pointer(real), x: pointer(real), places: pointer(np.int32), n: INTEGER, channels: INTEGER,
        length: INTEGER, terms: INTEGER, results: INTEGER,
    ) -> None:  # fmt: skip
        i = global_thread()
        if i < n:
            line, b = split(i, results)
            image = quotient(line, terms)
            place = places[i]
            total = zero
            c = I32(0)
            while c < channels and place >= 0:
                plane = I32(I32(image * channels) + c)
                total += dy[I32(I32(plane * results) + b)] * x[I32(I32(plane * length) + place)]
                c = I32(c + 1)
            dw[i] = total

    return sample_weight_grad
