"""Optimiser steps: one launch for all parameters.

`table` (chunks, 2 + arrays) holds for each chunk how many elements it has, the number of its parameter, and the addresses where
the chunk begins in the parameter, its gradient and its state (0 where there is none).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._numba import cuda
from ..intrinsics import double_pointer, float_pointer
from ..launch import number, pointer, spec
from ..scalar import functions
from .common import I32

THREADS = 256


@spec(
    threads=THREADS,
    registers=40,
    sectors=(3.5, 4),
    example={"real": np.float32, "momentum": True, "nesterov": False, "replayed": False},
)
def sgd(real: Any, momentum: bool, nesterov: bool, replayed: bool) -> Callable[..., None]:
    """Step as the contract says; `started` (parameters,) tells which momenta exist already; a recorded step reads `rate`."""
    at = float_pointer if real == np.float32 else double_pointer

    def sgd(
        table: pointer(np.int64), started: pointer(np.int32), lr: number(real), decay: number(real), beta: number(real),
        fresh: number(real), sign: number(real), rate: pointer(real),
    ) -> None:  # fmt: skip
        if replayed:
            lr = rate[0]
        row = I32(cuda.blockIdx.x * 5)
        size, parameter = I32(table[row]), I32(table[I32(row + 1)])
        p, grad, m = at(table[I32(row + 2)]), at(table[I32(row + 3)]), at(table[I32(row + 4)])
        running = started[parameter]
        i = I32(cuda.threadIdx.x)
        while i < size:
            g = sign * grad[i] + decay * p[i]
            if momentum:
                step = beta * m[i] + fresh * g if running else g
                m[i] = step
                g = g + beta * step if nesterov else step
            p[i] = p[i] - lr * g
            i = I32(i + THREADS)

    return sgd


@spec(threads=THREADS, registers=48, sectors=(4, 4), example={"real": np.float32, "decoupled": False, "peaks": False})
def adam(real: Any, decoupled: bool, peaks: bool) -> Callable[..., None]:
    """Step as the contract says; `corrections` (parameters, 3): the step's length, the root's divisor, the rate."""
    at = float_pointer if real == np.float32 else double_pointer
    one, sqrt = real(1), functions(real).sqrt

    def adam(
        table: pointer(np.int64), corrections: pointer(real), decay: number(real), beta1: number(real),
        beta2: number(real), eps: number(real), sign: number(real),
    ) -> None:  # fmt: skip
        row = I32(cuda.blockIdx.x * 7)
        size, parameter = I32(table[row]), I32(table[I32(row + 1)])
        p, grad, m = at(table[I32(row + 2)]), at(table[I32(row + 3)]), at(table[I32(row + 4)])
        v, peak = at(table[I32(row + 5)]), at(table[I32(row + 6)])
        first = I32(3 * parameter)
        length, divisor, lr = corrections[first], corrections[I32(first + 1)], corrections[I32(first + 2)]
        i = I32(cuda.threadIdx.x)
        while i < size:
            g = sign * grad[i]
            value = p[i]
            if decoupled:
                value = value * (one - lr * decay)
            else:
                g = g + decay * value
            mean = beta1 * m[i] + (one - beta1) * g
            square = beta2 * v[i] + (one - beta2) * g * g
            m[i] = mean
            v[i] = square
            if peaks:
                square = max(square, peak[i])
                peak[i] = square
            p[i] = value - length * mean / (sqrt(square) / divisor + eps)
            i = I32(i + THREADS)

    return adam
