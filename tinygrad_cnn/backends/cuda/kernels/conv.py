"""Convolution as a matrix product whose second matrix is read from the images where it lies (implicit GEMM).

A table in device memory tells for each row k of that matrix, that is for each channel and kernel element, what to add to the
place of a pixel, and how far the pixel moves down and to the right; so no kernel divides in its loop, and any dilation is one.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._numba import cuda
from ..intrinsics import quotient
from ..launch import INTEGER, integers, pointer, spec
from .common import ADD, I32, block_reduce, global_thread, split
from .matmul import LARGE, THREADS, TILED, Tile, multiply_tile


@spec(sectors=(2, 10.5), example={"real": np.float32, "tile": LARGE, "bias": True, "relu": True}, **TILED)
def conv2d(real: Any, tile: Tile, bias: bool, relu: bool) -> Callable[..., None]:
    """Make y (N, G * O, OH, OW) from x (N, G * C, H, W) and w (G * O, C, KH, KW); table (K, 3): place, rows, columns."""
    multiply, zero = multiply_tile(real, tile), real(0)
    cells, span, step, each, pitch = tile.cells, tile.size, tile.depth, tile.each, tile.pitch
    results, lines, rows = each * each, THREADS // tile.size, THREADS // tile.depth

    def conv2d(
        y: pointer(real), x: pointer(real), w: pointer(real), b: pointer(real), table: pointer(np.int32),
        images: INTEGER, outputs: INTEGER, depth: INTEGER, groups: INTEGER, x_group: INTEGER, size: integers(2),
        y_size: integers(2), stride: integers(2), padding: integers(2),
    ) -> None:  # fmt: skip
        w_tile = cuda.shared.array(cells, real)
        x_tile = cuda.shared.array(cells, real)
        sums = cuda.local.array(results, real)
        a_row = cuda.local.array(each, real)
        b_row = cuda.local.array(each, real)
        for s in range(results):
            sums[s] = zero
        t = I32(cuda.threadIdx.x)
        group = I32(cuda.blockIdx.z)
        row, column = I32(cuda.blockIdx.y * span), I32(cuda.blockIdx.x * span)
        area = I32(y_size[0] * y_size[1])
        pixels = I32(images * area)
        # the pixel that this thread reads, and where its window begins
        pixel = I32(column + (t & (span - 1)))
        image = quotient(pixel, area)
        rest = I32(pixel - I32(image * area))
        i = quotient(rest, y_size[1])
        top = I32(I32(i * stride[0]) - padding[0])
        left = I32(I32(I32(rest - I32(i * y_size[1])) * stride[1]) - padding[1])
        first = I32(I32(I32(image * groups + group) * x_group) + I32(top * size[1]) + left)
        w_first = I32(I32(group * outputs) * depth)
        k0 = I32(0)
        while k0 < depth:
            for r in range(4):
                k = I32(k0 + t // span + lines * r)
                value = zero
                if k < depth and pixel < pixels:
                    u, v = I32(top + table[I32(3 * k + 1)]), I32(left + table[I32(3 * k + 2)])
                    if u >= 0 and u < size[0] and v >= 0 and v < size[1]:
                        value = x[I32(first + table[I32(3 * k)])]
                x_tile[I32(I32(t // span + lines * r) * pitch + (t & (span - 1)))] = value
            for r in range(4):
                o, k = I32(row + t // step + rows * r), I32(k0 + (t & (step - 1)))
                value = zero
                if o < outputs and k < depth:
                    value = w[I32(w_first + I32(o * depth) + k)]
                w_tile[I32(I32(t & (step - 1)) * pitch + t // step + rows * r)] = value
            cuda.syncthreads()
            multiply(w_tile, x_tile, sums, a_row, b_row, I32((t >> 4) << 2), I32((t & 15) << 2))
            cuda.syncthreads()
            k0 = I32(k0 + step)
        for j in range(each):
            pixel = I32(column + I32((t & 15) << 2) + (j & 3) + 64 * (j >> 2))
            if pixel < pixels:
                image = quotient(pixel, area)
                at = I32(I32(I32(image * groups + group) * outputs) * area + I32(pixel - I32(image * area)))
                for i in range(each):
                    o = I32(row + I32((t >> 4) << 2) + (i & 3) + 64 * (i >> 2))
                    if o < outputs:
                        value = sums[i * each + j]
                        if bias:
                            value += b[I32(I32(group * outputs) + o)]
                        if relu and value < zero:
                            value = zero
                        y[I32(at + I32(o * area))] = value

    return conv2d


@spec(sectors=(1.5, 6), example={"real": np.float32, "tile": LARGE}, **TILED)
def conv2d_input_grad(real: Any, tile: Tile) -> Callable[..., None]:
    """Make dx (N, G * C, H, W) from dy (N, G * O, OH, OW); table (K, 4) for k = (o, u, v): place in w, in dy, rows, columns."""
    multiply, zero = multiply_tile(real, tile), real(0)
    cells, span, step, each, pitch = tile.cells, tile.size, tile.depth, tile.each, tile.pitch
    results, lines, rows = each * each, THREADS // tile.size, THREADS // tile.depth

    def conv2d_input_grad(
        dx: pointer(real), dy: pointer(real), w: pointer(real), table: pointer(np.int32), images: INTEGER, channels: INTEGER,
        depth: INTEGER, groups: INTEGER, taps: INTEGER, w_group: INTEGER, dy_group: INTEGER, size: integers(2),
        y_size: integers(2), stride: integers(2), padding: integers(2),
    ) -> None:  # fmt: skip
        w_tile = cuda.shared.array(cells, real)
        y_tile = cuda.shared.array(cells, real)
        sums = cuda.local.array(results, real)
        a_row = cuda.local.array(each, real)
        b_row = cuda.local.array(each, real)
        for s in range(results):
            sums[s] = zero
        t = I32(cuda.threadIdx.x)
        group = I32(cuda.blockIdx.z)
        row, column = I32(cuda.blockIdx.y * span), I32(cuda.blockIdx.x * span)
        area = I32(size[0] * size[1])
        pixels = I32(images * area)
        pixel = I32(column + (t & (span - 1)))
        image = quotient(pixel, area)
        rest = I32(pixel - I32(image * area))
        h = quotient(rest, size[1])
        top = I32(h + padding[0])
        left = I32(I32(rest - I32(h * size[1])) + padding[1])
        first = I32(I32(image * groups + group) * dy_group)
        w_first = I32(group * w_group)
        k0 = I32(0)
        while k0 < depth:
            for r in range(4):
                k = I32(k0 + t // span + lines * r)
                value = zero
                if k < depth and pixel < pixels:
                    down, right = I32(top - table[I32(4 * k + 2)]), I32(left - table[I32(4 * k + 3)])
                    if down >= 0 and right >= 0:
                        i, j = quotient(down, stride[0]), quotient(right, stride[1])
                        meets = I32(i * stride[0]) == down and I32(j * stride[1]) == right
                        if meets and i < y_size[0] and j < y_size[1]:
                            value = dy[I32(first + table[I32(4 * k + 1)] + I32(i * y_size[1]) + j)]
                y_tile[I32(I32(t // span + lines * r) * pitch + (t & (span - 1)))] = value
            for r in range(4):
                c, k = I32(row + t // step + rows * r), I32(k0 + (t & (step - 1)))
                value = zero
                if c < channels and k < depth:
                    value = w[I32(w_first + table[I32(4 * k)] + I32(c * taps))]
                w_tile[I32(I32(t & (step - 1)) * pitch + t // step + rows * r)] = value
            cuda.syncthreads()
            multiply(w_tile, y_tile, sums, a_row, b_row, I32((t >> 4) << 2), I32((t & 15) << 2))
            cuda.syncthreads()
            k0 = I32(k0 + step)
        for j in range(each):
            pixel = I32(column + I32((t & 15) << 2) + (j & 3) + 64 * (j >> 2))
            if pixel < pixels:
                image = quotient(pixel, area)
                at = I32(I32(I32(image * groups + group) * channels) * area + I32(pixel - I32(image * area)))
                for i in range(each):
                    c = I32(row + I32((t >> 4) << 2) + (i & 3) + 64 * (i >> 2))
                    if c < channels:
                        dx[I32(at + I32(c * area))] = sums[i * each + j]

    return conv2d_input_grad


@spec(sectors=(2.5, 3.5), example={"real": np.float32, "tile": LARGE}, **TILED)
def conv2d_weight_grad(real: Any, tile: Tile) -> Callable[..., None]:
    """Make parts (P, G * O, K) whose sum over P is dw: part p adds up `length` pixels of dy; table as conv2d's."""
    multiply, zero = multiply_tile(real, tile), real(0)
    cells, span, step, each, pitch = tile.cells, tile.size, tile.depth, tile.each, tile.pitch
    results, rows = each * each, THREADS // tile.depth

    def conv2d_weight_grad(
        parts: pointer(real), dy: pointer(real), x: pointer(real), table: pointer(np.int32), images: INTEGER,
        outputs: INTEGER, depth: INTEGER, groups: INTEGER, length: INTEGER, x_group: INTEGER, size: integers(2),
        y_size: integers(2), stride: integers(2), padding: integers(2),
    ) -> None:  # fmt: skip
        y_tile = cuda.shared.array(cells, real)
        x_tile = cuda.shared.array(cells, real)
        sums = cuda.local.array(results, real)
        a_row = cuda.local.array(each, real)
        b_row = cuda.local.array(each, real)
        move = cuda.local.array(4, np.int32)
        down = cuda.local.array(4, np.int32)
        right = cuda.local.array(4, np.int32)
        for s in range(results):
            sums[s] = zero
        t = I32(cuda.threadIdx.x)
        part = quotient(I32(cuda.blockIdx.z), groups)
        group = I32(I32(cuda.blockIdx.z) - I32(part * groups))
        row, column = I32(cuda.blockIdx.y * span), I32(cuda.blockIdx.x * span)
        area = I32(y_size[0] * y_size[1])
        pixels = I32(images * area)
        for r in range(4):
            k = min(I32(column + t // step + rows * r), I32(depth - 1))
            move[r], down[r], right[r] = table[I32(3 * k)], table[I32(3 * k + 1)], table[I32(3 * k + 2)]
        start = I32(part * length)
        end = min(pixels, I32(start + length))
        while start < end:
            pixel = I32(start + (t & (step - 1)))
            image = quotient(pixel, area)
            rest = I32(pixel - I32(image * area))
            i = quotient(rest, y_size[1])
            top = I32(I32(i * stride[0]) - padding[0])
            left = I32(I32(I32(rest - I32(i * y_size[1])) * stride[1]) - padding[1])
            x_first = I32(I32(I32(image * groups + group) * x_group) + I32(top * size[1]) + left)
            y_first = I32(I32(I32(image * groups + group) * outputs) * area + rest)
            for r in range(4):
                o = I32(row + t // step + rows * r)
                value = zero
                if o < outputs and pixel < end:
                    value = dy[I32(y_first + I32(o * area))]
                y_tile[I32(I32(t & (step - 1)) * pitch + t // step + rows * r)] = value
                u, v = I32(top + down[r]), I32(left + right[r])
                value = zero
                if pixel < end and u >= 0 and u < size[0] and v >= 0 and v < size[1]:
                    value = x[I32(x_first + move[r])]
                x_tile[I32(I32(t & (step - 1)) * pitch + t // step + rows * r)] = value
            cuda.syncthreads()
            multiply(y_tile, x_tile, sums, a_row, b_row, I32((t >> 4) << 2), I32((t & 15) << 2))
            cuda.syncthreads()
            start = I32(start + step)
        for i in range(each):
            o = I32(row + I32((t >> 4) << 2) + (i & 3) + 64 * (i >> 2))
            for j in range(each):
                k = I32(column + I32((t & 15) << 2) + (j & 3) + 64 * (j >> 2))
                if o < outputs and k < depth:
                    at = I32(I32(I32(part * groups + group) * outputs) + o)
                    parts[I32(I32(at * depth) + k)] = sums[i * each + j]

    return conv2d_weight_grad


# ---- few channels a group (depthwise): a tile of 64 outputs would be empty, so a thread or block makes one result ----


@spec(threads=256, registers=64, sectors=(2, 4), example={"real": np.float32, "bias": True, "relu": True})
def grouped_conv2d(real: Any, bias: bool, relu: bool) -> Callable[..., None]:
    """Make conv2d with a thread for each output."""
    zero = real(0)

    def grouped_conv2d(
        y: pointer(real), x: pointer(real), w: pointer(real), b: pointer(real), table: pointer(np.int32), n: INTEGER,
        outputs: INTEGER, depth: INTEGER, groups: INTEGER, x_group: INTEGER, size: integers(2), y_size: integers(2),
        stride: integers(2), padding: integers(2),
    ) -> None:  # fmt: skip
        index = global_thread()
        if index < n:
            plane, rest = split(index, I32(y_size[0] * y_size[1]))
            i, j = split(rest, y_size[1])
            all_outputs = I32(groups * outputs)
            image, o = split(plane, all_outputs)
            group = quotient(o, outputs)
            top, left = I32(I32(i * stride[0]) - padding[0]), I32(I32(j * stride[1]) - padding[1])
            first = I32(I32(I32(image * groups + group) * x_group) + I32(top * size[1]) + left)
            total = zero
            k = I32(0)
            while k < depth:
                u, v = I32(top + table[I32(3 * k + 1)]), I32(left + table[I32(3 * k + 2)])
                if u >= 0 and u < size[0] and v >= 0 and v < size[1]:
                    total += w[I32(I32(o * depth) + k)] * x[I32(first + table[I32(3 * k)])]
                k = I32(k + 1)
            if bias:
                total += b[o]
            y[index] = zero if relu and total < zero else total

    return grouped_conv2d


@spec(threads=256, registers=64, sectors=(2, 4), example={"real": np.float32})
def grouped_conv2d_input_grad(real: Any) -> Callable[..., None]:
    """Make conv2d_input_grad with a thread for each element of dx."""
    zero = real(0)

    def grouped_conv2d_input_grad(
        dx: pointer(real), dy: pointer(real), w: pointer(real), table: pointer(np.int32), n: INTEGER, channels: INTEGER,
        depth: INTEGER, groups: INTEGER, taps: INTEGER, w_group: INTEGER, dy_group: INTEGER, size: integers(2),
        y_size: integers(2), stride: integers(2), padding: integers(2),
    ) -> None:  # fmt: skip
        index = global_thread()
        if index < n:
            plane, rest = split(index, I32(size[0] * size[1]))
            h, column = split(rest, size[1])
            image, c = split(plane, I32(groups * channels))
            group, c = split(c, channels)
            first = I32(I32(image * groups + group) * dy_group)
            w_first = I32(I32(group * w_group) + I32(c * taps))
            total = zero
            k = I32(0)
            while k < depth:
                down = I32(I32(h + padding[0]) - table[I32(4 * k + 2)])
                right = I32(I32(column + padding[1]) - table[I32(4 * k + 3)])
                if down >= 0 and right >= 0:
                    i, j = quotient(down, stride[0]), quotient(right, stride[1])
                    meets = I32(i * stride[0]) == down and I32(j * stride[1]) == right
                    if meets and i < y_size[0] and j < y_size[1]:
                        at = I32(first + table[I32(4 * k + 1)] + I32(i * y_size[1]) + j)
                        total += w[I32(w_first + table[I32(4 * k)])] * dy[at]
                k = I32(k + 1)
            dx[index] = total

    return grouped_conv2d_input_grad


@spec(threads=256, registers=64, sectors=(2.5, 1), shared=1024, example={"real": np.float32})
def grouped_conv2d_weight_grad(real: Any) -> Callable[..., None]:
    """Make conv2d_weight_grad with a block for each element of dw."""
    zero = real(0)
    over_block = block_reduce(ADD, 256)

    def grouped_conv2d_weight_grad(
        dw: pointer(real), dy: pointer(real), x: pointer(real), table: pointer(np.int32), images: INTEGER,
        outputs: INTEGER, depth: INTEGER, groups: INTEGER, x_group: INTEGER, size: integers(2), y_size: integers(2),
        stride: integers(2), padding: integers(2),
    ) -> None:  # fmt: skip
        scratch = cuda.shared.array(256, real)
        o, k = split(I32(cuda.blockIdx.x), depth)
        group = quotient(o, outputs)
        area = I32(y_size[0] * y_size[1])
        total = zero
        pixel = I32(cuda.threadIdx.x)
        while pixel < I32(images * area):
            image, rest = split(pixel, area)
            i, j = split(rest, y_size[1])
            top, left = I32(I32(i * stride[0]) - padding[0]), I32(I32(j * stride[1]) - padding[1])
            u, v = I32(top + table[I32(3 * k + 1)]), I32(left + table[I32(3 * k + 2)])
            if u >= 0 and u < size[0] and v >= 0 and v < size[1]:
                first = I32(I32(I32(image * groups + group) * x_group) + I32(top * size[1]) + left)
                at = I32(I32(I32(image * I32(groups * outputs)) + o) * area + rest)
                total += dy[at] * x[I32(first + table[I32(3 * k)])]
            pixel = I32(pixel + 256)
        total = over_block(total, scratch)
        if cuda.threadIdx.x == 0:
            dw[I32(cuda.blockIdx.x)] = total

    return grouped_conv2d_weight_grad


# ---- patches ----


@spec(threads=256, registers=48, sectors=(2.5, 4), example={"real": np.float32})
def im2col(real: Any) -> Callable[..., None]:
    """Make columns (N, C * KH * KW, OH * OW), a thread for each element; table as conv2d's, for all channels."""
    zero = real(0)

    def im2col(
        y: pointer(real), x: pointer(real), table: pointer(np.int32), n: INTEGER, depth: INTEGER, x_image: INTEGER,
        size: integers(2), y_size: integers(2), stride: integers(2), padding: integers(2),
    ) -> None:  # fmt: skip
        index = global_thread()
        if index < n:
            line, rest = split(index, I32(y_size[0] * y_size[1]))
            i, j = split(rest, y_size[1])
            image, k = split(line, depth)
            top, left = I32(I32(i * stride[0]) - padding[0]), I32(I32(j * stride[1]) - padding[1])
            u, v = I32(top + table[I32(3 * k + 1)]), I32(left + table[I32(3 * k + 2)])
            inside = u >= 0 and u < size[0] and v >= 0 and v < size[1]
            at = I32(I32(image * x_image) + I32(top * size[1]) + left + table[I32(3 * k)])
            y[index] = x[at] if inside else zero

    return im2col


@spec(threads=256, registers=64, sectors=(2.5, 4), example={"real": np.float32})
def col2im(real: Any) -> Callable[..., None]:
    """Make images (N, C, H, W): each element adds up the patches that hold it."""
    zero = real(0)

    def col2im(
        dx: pointer(real), columns: pointer(real), n: INTEGER, channels: INTEGER, kernel: integers(2), size: integers(2),
        y_size: integers(2), stride: integers(2), padding: integers(2), dilation: integers(2),
    ) -> None:  # fmt: skip
        index = global_thread()
        if index < n:
            plane, rest = split(index, I32(size[0] * size[1]))
            h, column = split(rest, size[1])
            area = I32(y_size[0] * y_size[1])
            first = I32(I32(plane * I32(kernel[0] * kernel[1])) * area)
            total = zero
            u = I32(0)
            while u < kernel[0]:
                down = I32(I32(h + padding[0]) - I32(u * dilation[0]))
                i = quotient(max(down, I32(0)), stride[0])
                if down >= 0 and I32(i * stride[0]) == down and i < y_size[0]:
                    v = I32(0)
                    while v < kernel[1]:
                        right = I32(I32(column + padding[1]) - I32(v * dilation[1]))
                        j = quotient(max(right, I32(0)), stride[1])
                        if right >= 0 and I32(j * stride[1]) == right and j < y_size[1]:
                            k = I32(I32(u * kernel[1]) + v)
                            total += columns[I32(first + I32(k * area) + I32(i * y_size[1]) + j)]
                        v = I32(v + 1)
                u = I32(u + 1)
            dx[index] = total

    return col2im
