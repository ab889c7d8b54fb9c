"""What kernels of all families use: the number of a thread, places in strided arrays, sums of a block."""

from functools import lru_cache
from typing import Any

import numpy as np

from ..intrinsics import quotient
from .._numba import cuda, device

I32 = np.int32


@device
def global_thread() -> Any:
    """Return the number of a thread in the grid."""
    return I32(I32(cuda.blockIdx.x) * I32(cuda.blockDim.x) + I32(cuda.threadIdx.x))


@lru_cache(maxsize=None)
def place(axes: int) -> Any:
    """Return a function that finds element i of an array, counted in C order, from its sizes and steps."""

    @device
    def find(i: Any, sizes: Any, steps: Any) -> Any:
        at = I32(0)
        for axis in range(axes - 1, 0, -1):
            rest = quotient(i, sizes[axis])
            at = I32(at + I32(i - I32(rest * sizes[axis])) * steps[axis])
            i = rest
        return I32(at + I32(i * steps[0]))

    return find if axes else _nowhere


@device
def _nowhere(i: Any, sizes: Any, steps: Any) -> Any:
    return I32(0)


@lru_cache(maxsize=None)
def block_reduce(combine: Any, threads: int) -> Any:
    """Return a function that combines one number of each thread of a block, always in the same order; all get the result."""
    half = threads // 2

    @device
    def reduce(value: Any, scratch: Any) -> Any:
        t = I32(cuda.threadIdx.x)
        scratch[t] = value
        cuda.syncthreads()
        step = I32(half)
        while step > 0:
            if t < step:
                scratch[t] = combine(scratch[t], scratch[I32(t + step)])
            cuda.syncthreads()
            step = I32(step >> 1)
        result = scratch[0]
        cuda.syncthreads()
        return result

    return reduce


@device
def split(i: Any, size: Any) -> Any:
    """Return quotient and remainder of sizes."""
    upper = quotient(i, size)
    return upper, I32(i - I32(upper * size))


ADD = device(lambda a, b: a + b)
LARGER = device(lambda a, b: a if a > b or a != a else b)
