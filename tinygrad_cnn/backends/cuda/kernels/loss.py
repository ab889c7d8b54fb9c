"""Cross-entropy, fused with softmax and with its gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._numba import cuda
from ..intrinsics import quotient
from ..launch import INTEGER, number, pointer, spec
from ..scalar import functions
from .common import ADD, I32, LARGER, block_reduce, global_thread

THREADS = 128


@spec(threads=THREADS, registers=48, sectors=(2, 2), shared=512, example={"real": np.float32})
def cross_entropy(real: Any) -> Callable[..., None]:
    """Make softmax(x) (N, C) and the losses (N,), a block for each row; a wrong class is noted in `wrong`."""
    zero, lowest, f = real(0), real(-np.inf), functions(real)
    exp, ln = f.exp, f.log
    largest, over_block = block_reduce(LARGER, THREADS), block_reduce(ADD, THREADS)

    def cross_entropy(
        losses: pointer(real), y: pointer(real), wrong: pointer(np.int64), x: pointer(real), target: pointer(np.int64),
        classes: INTEGER, ignored: number(np.int64),
    ) -> None:  # fmt: skip
        scratch = cuda.shared.array(THREADS, real)
        n, t = I32(cuda.blockIdx.x), I32(cuda.threadIdx.x)
        first = I32(n * classes)
        top = lowest
        c = t
        while c < classes:
            value = x[I32(first + c)]
            top = top if top > value or top != top else value
            c = I32(c + THREADS)
        top = largest(top, scratch)
        total = zero
        c = t
        while c < classes:
            e = exp(x[I32(first + c)] - top)
            y[I32(first + c)] = e
            total += e
            c = I32(c + THREADS)
        total = over_block(total, scratch)
        c = t
        while c < classes:
            y[I32(first + c)] = y[I32(first + c)] / total
            c = I32(c + THREADS)
        if t == 0:
            mine = target[n]
            loss = zero
            if mine != ignored:
                if mine < 0 or mine >= classes:
                    wrong[0] = 1
                    wrong[1] = mine
                else:
                    loss = ln(total) - (x[I32(first + I32(mine))] - top)
            losses[n] = loss

    return cross_entropy


@spec(threads=256, registers=32, sectors=(1.5, 1), shared=2048, example={"real": np.float32, "mean": True})
def total_loss(real: Any, mean: bool) -> Callable[..., None]:
    """Add up the losses of one batch in one block; divide by the number of targets that are not ignored if `mean`."""
    zero, one = real(0), real(1)
    over_block = block_reduce(ADD, 256)

    def total_loss(
        loss: pointer(real), losses: pointer(real), target: pointer(np.int64), n: INTEGER, ignored: number(np.int64)
    ) -> None:
        scratch = cuda.shared.array(256, real)
        total, counted = zero, zero
        i = I32(cuda.threadIdx.x)
        while i < n:
            total += losses[i]
            counted += one if target[i] != ignored else zero
            i = I32(i + 256)
        total = over_block(total, scratch)
        counted = over_block(counted, scratch)
        if cuda.threadIdx.x == 0:
            loss[0] = total / counted if mean else total

    return total_loss


@spec(threads=256, registers=32, sectors=(2, 1), shared=2048, example={"real": np.float32})
def count_targets(real: Any) -> Callable[..., None]:
    """Count the targets that are not ignored, in one block."""
    zero, one = real(0), real(1)
    over_block = block_reduce(ADD, 256)

    def count_targets(count: pointer(real), target: pointer(np.int64), n: INTEGER, ignored: number(np.int64)) -> None:
        scratch = cuda.shared.array(256, real)
        counted = zero
        i = I32(cuda.threadIdx.x)
        while i < n:
            counted += one if target[i] != ignored else zero
            i = I32(i + 256)
        counted = over_block(counted, scratch)
        if cuda.threadIdx.x == 0:
            count[0] = counted

    return count_targets


@spec(threads=256, registers=32, sectors=(2, 3), example={"real": np.float32, "reduction": "mean"})
def cross_entropy_grad(real: Any, reduction: str) -> Callable[..., None]:
    """Make dx (N, C) = dy * (y - one_hot(target)), divided by `count` if the loss was a mean."""
    zero, one = real(0), real(1)
    each, mean = reduction == "none", reduction == "mean"

    def cross_entropy_grad(
        dx: pointer(real), dy: pointer(real), y: pointer(real), target: pointer(np.int64), count: pointer(real), n: INTEGER,
        classes: INTEGER, ignored: number(np.int64),
    ) -> None:  # fmt: skip
        i = global_thread()
        if i < n:
            row = quotient(i, classes)
            mine = target[row]
            share = dy[row] if each else dy[0]
            if mean:
                share = share / count[0]
            hit = one if mine == I32(i - I32(row * classes)) else zero
            dx[i] = zero if mine == ignored else share * (y[i] - hit)

    return cross_entropy_grad
