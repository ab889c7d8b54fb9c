"""Matrix products: tiles of 64 x 64 results a block, 4 x 4 a thread, 16 steps of the inner axis in shared memory at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from .._numba import cuda, device
from ..intrinsics import load4, store4
from ..launch import INTEGER, integers, pointer, spec
from .common import I32, place

THREADS = 256


@dataclass(frozen=True)
class Tile:
    """The part of a product that a block makes: size x size results, 4 x 4 or 8 x 8 a thread."""

    size: int

    @property
    def depth(self) -> int:
        """Return how many steps of the inner axis lie in shared memory: four numbers of each matrix for each thread."""
        return 4 * THREADS // self.size

    @property
    def pitch(self) -> int:
        """Return the length of rows in shared memory: 4 more, so that columns of four fall into different banks."""
        return self.size + 4

    @property
    def cells(self) -> int:
        """Return the numbers of one matrix in shared memory."""
        return self.depth * self.pitch

    @property
    def each(self) -> int:
        """Return the rows, and columns, of a thread: groups of four, 64 apart."""
        return self.size // 16


SMALL, LARGE = Tile(64), Tile(128)
TILED: dict[str, Any] = {  # the budget of products of tiles
    "threads": THREADS, "registers": 128, "shared": 2 * LARGE.cells * 4, "blocks_per_sm": 2, "fma_share": 0.85,
    "conflicts": 1.1,
}  # fmt: skip


@lru_cache(maxsize=None)
def multiply_tile(real: Any, tile: Tile) -> Any:
    """Return a function that adds a (depth, size) times b (depth, size), both in shared memory, to the sums of a thread."""
    pitch, cells, each, groups = tile.pitch, tile.cells, tile.each, tile.each // 4

    @device
    def step(a: Any, b: Any, sums: Any, left: Any, right: Any, at_a: Any, at_b: Any) -> None:
        for g in range(groups):
            left[4 * g], left[4 * g + 1], left[4 * g + 2], left[4 * g + 3] = load4(a, I32(at_a + 64 * g))
            right[4 * g], right[4 * g + 1], right[4 * g + 2], right[4 * g + 3] = load4(b, I32(at_b + 64 * g))
        for i in range(each):
            for j in range(each):
                sums[i * each + j] += left[i] * right[j]

    @device
    def multiply(a: Any, b: Any, sums: Any, left: Any, right: Any, row: Any, column: Any) -> None:
        k = I32(0)
        while k < cells:  # `range` would count in int64; four steps a turn, so that counting costs little
            at_a, at_b = I32(k + row), I32(k + column)
            step(a, b, sums, left, right, at_a, at_b)
            step(a, b, sums, left, right, I32(at_a + pitch), I32(at_b + pitch))
            step(a, b, sums, left, right, I32(at_a + 2 * pitch), I32(at_b + 2 * pitch))
            step(a, b, sums, left, right, I32(at_a + 3 * pitch), I32(at_b + 3 * pitch))
            k = I32(k + 4 * pitch)

    return multiply


@lru_cache(maxsize=None)
def fill_tile(real: Any, tile: Tile, along: str, wide: bool) -> Any:
    """Return a function that brings (size, depth) numbers at first + row * steps[0] + k * steps[1] to shared memory.

    `along` tells which step is 1: "rows", or "depth".  What lies outside of the matrix counts as 0.  With `wide` both the
    addresses and the length of the contiguous axis are multiples of four numbers.
    """
    zero, pitch = real(0), tile.pitch
    by_row, by_depth = tile.size // 4, tile.depth // 4  # threads for one row of the tile, or one column

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
    def along_rows(
        cells: Any, p: Any, first: Any, row: Any, k: Any, rows: Any, depth: Any, row_step: Any, k_step: Any
    ) -> None:
        t = I32(cuda.threadIdx.x)
        j = I32(t // by_row)
        i = I32(4 * (t - j * by_row))
        inside = I32(rows - I32(row + i)) if I32(k + j) < depth else I32(0)
        at = I32(first + I32(I32(row + i) * row_step) + I32(I32(k + j) * k_step))
        a, b, c, d = read(p, at, row_step, inside)
        store4(cells, I32(j * pitch + i), a, b, c, d)

    @device
    def along_depth(
        cells: Any, p: Any, first: Any, row: Any, k: Any, rows: Any, depth: Any, row_step: Any, k_step: Any
    ) -> None:
        t = I32(cuda.threadIdx.x)
        i = I32(t // by_depth)
        j = I32(4 * (t - i * by_depth))
        inside = I32(depth - I32(k + j)) if I32(row + i) < rows else I32(0)
        at = I32(first + I32(I32(row + i) * row_step) + I32(I32(k + j) * k_step))
        a, b, c, d = read(p, at, k_step, inside)
        cells[I32(j * pitch + i)] = a
        cells[I32(I32(j + 1) * pitch + i)] = b
        cells[I32(I32(j + 2) * pitch + i)] = c
        cells[I32(I32(j + 3) * pitch + i)] = d

    return along_rows if along == "rows" else along_depth


@spec(
    sectors=(10.5, 10), wide_loads=True, **TILED,
    example={"real": np.float32, "tile": LARGE, "x_along": "depth", "y_along": "rows", "wide": True, "axes": 1, "bias": False},
)  # fmt: skip
def matmul(real: Any, tile: Tile, x_along: str, y_along: str, wide: bool, axes: int, bias: bool) -> Callable[..., None]:
    """Make z (batch, M, N) = x (.., M, K) @ y (.., K, N) [+ b (N,)], with any steps; batch axes may have steps of 0."""
    multiply = multiply_tile(real, tile)
    fill_x, fill_y = fill_tile(real, tile, x_along, wide), fill_tile(real, tile, y_along, wide)
    find, zero = place(axes), real(0)
    cells, size, step, each = tile.cells, tile.size, tile.depth, tile.each
    results = each * each

    def matmul(
        z: pointer(real), x: pointer(real), y: pointer(real), b: pointer(real), m: INTEGER, n: INTEGER, depth: INTEGER,
        x_steps: integers(2), y_steps: integers(2), sizes: integers(axes), x_batch: integers(axes), y_batch: integers(axes),
    ) -> None:  # fmt: skip
        a_tile = cuda.shared.array(cells, real)
        b_tile = cuda.shared.array(cells, real)
        sums = cuda.local.array(results, real)
        left = cuda.local.array(each, real)
        right = cuda.local.array(each, real)
        for s in range(results):
            sums[s] = zero
        batch = I32(cuda.blockIdx.z)
        x_first, y_first = find(batch, sizes, x_batch), find(batch, sizes, y_batch)
        row, column = I32(cuda.blockIdx.y * size), I32(cuda.blockIdx.x * size)
        t = I32(cuda.threadIdx.x)
        my_row, my_column = I32((t >> 4) << 2), I32((t & 15) << 2)
        k = I32(0)
        while k < depth:
            fill_x(a_tile, x, x_first, row, k, m, depth, x_steps[0], x_steps[1])
            fill_y(b_tile, y, y_first, column, k, n, depth, y_steps[1], y_steps[0])
            cuda.syncthreads()
            multiply(a_tile, b_tile, sums, left, right, my_row, my_column)
            cuda.syncthreads()
            k = I32(k + step)
        first = I32(I32(batch * m) * n)
        for i in range(each):
            r = I32(row + my_row + (i & 3) + 64 * (i >> 2))
            if r < m:
                for j in range(each):
                    c = I32(column + my_column + (j & 3) + 64 * (j >> 2))
                    if c < n:
                        value = sums[i * each + j]
                        if bias:
                            value += b[c]
                        z[I32(first + I32(r * n) + c)] = value

    return matmul
