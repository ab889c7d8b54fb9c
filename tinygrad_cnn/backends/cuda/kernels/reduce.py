"""Reductions along any axes, positions of extremes, scans and sorting; every result is made in one order of additions."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .._numba import cuda, device
from ..launch import INTEGER, integers, pointer, spec
from .common import I32, block_reduce, global_thread, place, split
from .elementwise import expressions

THREADS = 256


@lru_cache(maxsize=None)
def combination(op: str, real: Any) -> Any:
    """Return how two numbers become one."""
    if op in ("any", "all"):
        one, zero = real(1), real(0)
        if op == "any":
            return device(lambda a, b: one if a != zero or b != zero else zero)
        return device(lambda a, b: one if a != zero and b != zero else zero)
    row = {"sum": "add", "mean": "add", "prod": "mul", "amax": "maximum", "amin": "minimum"}[op]
    f = device(expressions(real)[row])
    return device(lambda a, b: real(f(a, b)))


def neutral(op: str, real: Any) -> Any:
    """Return the number that changes nothing."""
    if op in ("amax", "amin"):
        if np.dtype(real).kind == "f":
            return real(-np.inf if op == "amax" else np.inf)
        limits = np.iinfo(real)
        return real(limits.min if op == "amax" else limits.max)
    return real(1 if op in ("prod", "all") else 0)


@spec(threads=256, registers=48, sectors=(8.5, 4), example={"op": "sum", "real": np.float32, "kept": 2, "reduced": 1})
def reduce_by_thread(op: str, real: Any, kept: int, reduced: int) -> Callable[..., None]:
    """Make the reduction with one thread for each result: for results that lie side by side."""
    combine, start, mean = combination(op, real), neutral(op, real), op == "mean"
    find_kept, find_reduced = place(kept), place(reduced)

    def reduce_by_thread(
        y: pointer(real), x: pointer(real), n: INTEGER, count: INTEGER,
        sizes: integers(kept), steps: integers(kept), inner_sizes: integers(reduced), inner_steps: integers(reduced),
    ) -> None:  # fmt: skip
        i = global_thread()
        if i < n:
            at = find_kept(i, sizes, steps)
            total = start
            k = I32(0)
            while k < count:
                total = combine(total, x[I32(at + find_reduced(k, inner_sizes, inner_steps))])
                k = I32(k + 1)
            y[i] = total / real(count) if mean else total

    return reduce_by_thread


@spec(
    threads=THREADS,
    registers=48,
    sectors=(5.5, 1),
    example={"op": "sum", "real": np.float32, "kept": 1, "reduced": 2},
    shared=1024,
)
def reduce_by_block(op: str, real: Any, kept: int, reduced: int) -> Callable[..., None]:
    """Make the reduction with a block for each result and part of it: y (parts, n)."""
    combine, start, mean = combination(op, real), neutral(op, real), op == "mean"
    find_kept, find_reduced = place(kept), place(reduced)
    over_block = block_reduce(combine, THREADS)

    def reduce_by_block(
        y: pointer(real), x: pointer(real), n: INTEGER, count: INTEGER, length: INTEGER,
        sizes: integers(kept), steps: integers(kept), inner_sizes: integers(reduced), inner_steps: integers(reduced),
    ) -> None:  # fmt: skip
        scratch = cuda.shared.array(THREADS, real)
        i, part = I32(cuda.blockIdx.x), I32(cuda.blockIdx.y)
        at = find_kept(i, sizes, steps)
        k = I32(part * length + cuda.threadIdx.x)
        end = min(count, I32(I32(part + 1) * length))
        total = start
        while k < end:
            total = combine(total, x[I32(at + find_reduced(k, inner_sizes, inner_steps))])
            k = I32(k + THREADS)
        total = over_block(total, scratch)
        if cuda.threadIdx.x == 0:
            y[I32(part * n + i)] = total / real(count) if mean else total

    return reduce_by_block


@spec(threads=256, registers=48, sectors=(4.5, 4.5), example={"op": "argmax", "real": np.float32})
def arg_parts(op: str, real: Any) -> Callable[..., None]:
    """Make y[i, p, j] = the first place k of the extreme, or of a NaN, of x (I, K, J) in part p, of parts (start, length)."""
    largest = op == "argmax"

    def arg_parts(
        y: pointer(np.int64), x: pointer(real), parts: pointer(np.int32), n: INTEGER, length: INTEGER, count: INTEGER,
        inner: INTEGER,
    ) -> None:  # fmt: skip
        i = global_thread()
        if i < n:
            line, j = split(i, inner)
            outer, part = split(line, count)
            k = parts[I32(2 * part)]
            end = I32(k + parts[I32(2 * part + 1)])
            at = I32(I32(I32(outer * length) * inner) + j)
            best, where = x[I32(at + I32(k * inner))], k
            k = I32(k + 1)
            while k < end:
                value = x[I32(at + I32(k * inner))]
                better = value > best if largest else value < best
                if best == best and (better or value != value):
                    best, where = value, k
                k = I32(k + 1)
            y[i] = where

    return arg_parts


@spec(threads=256, registers=48, sectors=(5, 5), example={"op": "cumsum", "real": np.float32})
def scan(op: str, real: Any) -> Callable[..., None]:
    """Make y[i, k, j] = x[i, 0, j] op ... op x[i, k, j]."""
    row = {"cumsum": "add", "cumprod": "mul", "cummax": "maximum", "cummin": "minimum", "logcumsumexp": "logaddexp"}[op]
    f = device(expressions(real)[row])

    def scan(y: pointer(real), x: pointer(real), n: INTEGER, length: INTEGER, inner: INTEGER) -> None:
        i = global_thread()
        if i < n:
            outer = I32(i // inner)
            at = I32(I32(outer * length) * inner + I32(i - I32(outer * inner)))
            total = x[at]
            y[at] = total
            k = I32(1)
            while k < length:
                at = I32(at + inner)
                total = real(f(total, x[at]))
                y[at] = total
                k = I32(k + 1)

    return scan


@spec(threads=256, registers=48, sectors=(2.5, 8.5), example={"real": np.float32, "descending": False})
def argsort(real: Any, descending: bool) -> Callable[..., None]:
    """Make the order of each line of x (I, K, J): an element's place is the number of those before it."""

    def argsort(y: pointer(np.int64), x: pointer(real), n: INTEGER, length: INTEGER, inner: INTEGER) -> None:
        i = global_thread()
        if i < n:
            line = I32(i // I32(length * inner))
            rest = I32(i - I32(line * I32(length * inner)))
            k = I32(rest // inner)
            first = I32(I32(line * I32(length * inner)) + I32(rest - I32(k * inner)))
            mine = x[i]
            before = I32(0)
            j = I32(0)
            while j < length:
                other = x[I32(first + I32(j * inner))]
                # NaN counts as the largest number
                less = other < mine or (mine != mine and other == other)
                more = other > mine or (other != other and mine == mine)
                if (more if descending else less) or (not less and not more and j < k):
                    before = I32(before + 1)
                j = I32(j + 1)
            y[I32(first + I32(before * inner))] = k

    return argsort
