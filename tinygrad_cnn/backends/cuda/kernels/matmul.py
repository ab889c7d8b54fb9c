"""Matrix products: tiles of 64 x 64 results a block, 4 x 4 a thread, 16 steps of the inner axis in shared memory at a time."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .._numba import cuda, device
from ..intrinsics import load4, store4
from ..launch import INTEGER, integers, pointer, spec
from .common import I32, place

TILE, DEPTH, THREADS = 64, 16, 256
PITCH = TILE + 4  # of rows in shared memory: 4 more, so that columns of four fall into different banks
CELLS = DEPTH * PITCH


@lru_cache(maxsize=None)
def multiply_tile(real: Any) -> Any:
    """Return a function that adds a (DEPTH, TILE) times b (DEPTH, TILE), both in shared memory, to the sums of a thread."""

    @device
    def multiply(a: Any, b: Any, sums: Any, row: Any, column: Any) -> None:
        k = I32(0)
        while k < DEPTH:  # `range` would count in int64
            a0, a1, a2, a3 = load4(a, I32(k * PITCH + row))
            b0, b1, b2, b3 = load4(b, I32(k * PITCH + column))
            sums[0] += a0 * b0
            sums[1] += a0 * b1
            sums[2] += a0 * b2
            sums[3] += a0 * b3
            sums[4] += a1 * b0
            sums[5] += a1 * b1
            sums[6] += a1 * b2
            sums[7] += a1 * b3
            sums[8] += a2 * b0
            sums[9] += a2 * b1
            sums[10] += a2 * b2
            sums[11] += a2 * b3
            sums[12] += a3 * b0
            sums[13] += a3 * b1
            sums[14] += a3 * b2
            sums[15] += a3 * b3
            k = I32(k + 1)

    return multiply


@lru_cache(maxsize=None)
def fill_tile(real: Any, along: str, wide: bool) -> Any:
    """Return a function that brings (TILE, DEPTH) numbers at first + row * steps[0] + k * steps[1] to shared memory.

    `along` tells which step is 1: "rows", or "depth".  What lies outside of the matrix counts as 0.  With `wide` both the
    addresses and the length of the contiguous axis are multiples of four numbers.
    """
    zero = real(0)

    @device
    def read(p: Any, at: Any, step: Any, inside: Any) -> Any:
        if wide:
            return load4(p, at) if inside > 0 else (zero, zero, zero, zero)
        return (
            p[at] if inside > 0 else zero,
            p[I32(at + step)] if inside > 1 else zero,
            p[I32(at + I32(2 * step))] if inside > 2 else zero,
            p[I32(at + I32(3 * step))] if inside > 3 else zero,
        )

    @device
    def along_rows(tile: Any, p: Any, first: Any, row: Any, k: Any, rows: Any, depth: Any, row_step: Any, k_step: Any) -> None:
        t = I32(cuda.threadIdx.x)
        j, i = I32(t >> 4), I32((t & 15) << 2)
        inside = I32(rows - I32(row + i)) if I32(k + j) < depth else I32(0)
        at = I32(first + I32(I32(row + i) * row_step) + I32(I32(k + j) * k_step))
        a, b, c, d = read(p, at, row_step, inside)
        store4(tile, I32(j * PITCH + i), a, b, c, d)

    @device
    def along_depth(tile: Any, p: Any, first: Any, row: Any, k: Any, rows: Any, depth: Any, row_step: Any, k_step: Any) -> None:
        t = I32(cuda.threadIdx.x)
        i, j = I32(t >> 2), I32((t & 3) << 2)
        inside = I32(depth - I32(k + j)) if I32(row + i) < rows else I32(0)
        at = I32(first + I32(I32(row + i) * row_step) + I32(I32(k + j) * k_step))
        a, b, c, d = read(p, at, k_step, inside)
        tile[I32(j * PITCH + i)] = a
        tile[I32(I32(j + 1) * PITCH + i)] = b
        tile[I32(I32(j + 2) * PITCH + i)] = c
        tile[I32(I32(j + 3) * PITCH + i)] = d

    return along_rows if along == "rows" else along_depth


@spec(
    threads=THREADS, registers=96, shared=2 * CELLS * 4, blocks_per_sm=2, wide_loads=True, fma_share=0.7,
    example={"real": np.float32, "x_along": "depth", "y_along": "rows", "wide": True, "axes": 1, "bias": False},
)  # fmt: skip
def matmul(real: Any, x_along: str, y_along: str, wide: bool, axes: int, bias: bool) -> Callable[..., None]:
    """Make z (batch, M, N) = x (.., M, K) @ y (.., K, N) [+ b (N,)], with any steps; batch axes may have steps of 0."""
    multiply, fill_x, fill_y = multiply_tile(real), fill_tile(real, x_along, wide), fill_tile(real, y_along, wide)
    find, zero = place(axes), real(0)

    def matmul(
        z: pointer(real), x: pointer(real), y: pointer(real), b: pointer(real), m: INTEGER, n: INTEGER, depth: INTEGER,
        x_steps: integers(2), y_steps: integers(2), sizes: integers(axes), x_batch: integers(axes), y_batch: integers(axes),
    ) -> None:  # fmt: skip
        a_tile = cuda.shared.array(CELLS, real)
        b_tile = cuda.shared.array(CELLS, real)
        sums = cuda.local.array(16, real)
        for s in range(16):
            sums[s] = zero
        batch = I32(cuda.blockIdx.z)
        x_first, y_first = find(batch, sizes, x_batch), find(batch, sizes, y_batch)
        row, column = I32(cuda.blockIdx.y * TILE), I32(cuda.blockIdx.x * TILE)
        t = I32(cuda.threadIdx.x)
        my_row, my_column = I32((t >> 4) << 2), I32((t & 15) << 2)
        k = I32(0)
        while k < depth:
            fill_x(a_tile, x, x_first, row, k, m, depth, x_steps[0], x_steps[1])
            fill_y(b_tile, y, y_first, column, k, n, depth, y_steps[1], y_steps[0])
            cuda.syncthreads()
            multiply(a_tile, b_tile, sums, my_row, my_column)
            cuda.syncthreads()
            k = I32(k + DEPTH)
        first = I32(I32(batch * m) * n)
        for i in range(4):
            r = I32(row + my_row + i)
            if r < m:
                for j in range(4):
                    c = I32(column + my_column + j)
                    if c < n:
                        value = sums[i * 4 + j]
                        if bias:
                            value += b[c]
                        z[I32(first + I32(r * n) + c)] = value

    return matmul
