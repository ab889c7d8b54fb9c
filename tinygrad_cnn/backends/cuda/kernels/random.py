"""Random numbers: Philox4x32-10 of (seed, counter), the same words on every device."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._numba import device
from ..launch import INTEGER, number, pointer, spec
from ..scalar import functions
from .common import I32, global_thread

U32, U64 = np.uint32, np.uint64
_M0, _M1 = U64(0xD2511F53), U64(0xCD9E8D57)
_W0, _W1 = U32(0x9E3779B9), U32(0xBB67AE85)
_HALF = U64(32)


@device
def philox(counter: Any, seed: Any) -> Any:
    """Return four words."""
    a, b, c, d = U32(counter), U32(counter >> _HALF), U32(0), U32(0)
    key0, key1 = U32(seed), U32(seed >> _HALF)
    for _ in range(10):
        p0, p1 = U64(a) * _M0, U64(c) * _M1
        a, b, c, d = U32(U32(p1 >> _HALF) ^ b ^ key0), U32(p1), U32(U32(p0 >> _HALF) ^ d ^ key1), U32(p0)
        key0, key1 = U32(U64(key0) + U64(_W0)), U32(U64(key1) + U64(_W1))
    return a, b, c, d


SEED = number(U64)


@spec(threads=256, registers=40, example={})
def random_bits() -> Callable[..., None]:
    """Write n words."""

    def random_bits(y: pointer(U32), n: INTEGER, seed: SEED, counter: SEED) -> None:
        t = global_thread()
        words = philox(U64(counter + U64(t)), seed)
        for k in range(4):
            i = I32(4 * t + k)
            if i < n:
                y[i] = words[k]

    return random_bits


@spec(threads=256, registers=40, example={"real": np.float32})
def random_uniform(real: Any) -> Callable[..., None]:
    """Write n numbers in [0, 1): four of 24 bits, or two of 53, from each counter."""
    single = real == np.float32
    small, large, shift = real(2**-24), real(2**-53), U64(11)

    def random_uniform(y: pointer(real), n: INTEGER, seed: SEED, counter: SEED) -> None:
        t = global_thread()
        words = philox(U64(counter + U64(t)), seed)
        if single:
            for k in range(4):
                i = I32(4 * t + k)
                if i < n:
                    y[i] = real(U32(words[k] >> U32(8))) * small
        else:
            for k in range(2):
                i = I32(2 * t + k)
                if i < n:
                    wide = U64(U64(U64(words[2 * k + 1]) << _HALF) | U64(words[2 * k]))
                    y[i] = real(U64(wide >> shift)) * large

    return random_uniform


@spec(threads=256, registers=64, example={"real": np.float32}, doubles=True)
def random_normal(real: Any) -> Callable[..., None]:
    """Write n normal numbers: two from each counter, by Box and Muller, in double precision."""
    f = functions(np.float64)
    log1p, sqrt, sin_pi, cos_pi = f.log1p, f.sqrt, f.sinpi, f.cospi
    scale, two, shift = np.float64(2**-53), np.float64(2), U64(11)

    def random_normal(y: pointer(real), n: INTEGER, seed: SEED, counter: SEED) -> None:
        t = global_thread()
        i = I32(2 * t)
        if i < n:
            a, b, c, d = philox(U64(counter + U64(t)), seed)
            u = np.float64(U64(U64(U64(U64(b) << _HALF) | U64(a)) >> shift)) * scale
            v = np.float64(U64(U64(U64(U64(d) << _HALF) | U64(c)) >> shift)) * scale
            radius, angle = sqrt(-two * log1p(-u)), two * v
            y[i] = real(radius * cos_pi(angle))
            if I32(i + 1) < n:
                y[I32(i + 1)] = real(radius * sin_pi(angle))

    return random_normal


@spec(threads=256, registers=40, example={"real": np.float32})
def dropout(real: Any) -> Callable[..., None]:
    """Make x * scale where a word reaches the threshold, else 0."""
    zero = real(0)

    def dropout(
        y: pointer(real),
        x: pointer(real),
        n: INTEGER,
        threshold: number(U32),
        scale: number(real),
        seed: SEED,
        counter: SEED,
    ) -> None:
        t = global_thread()
        words = philox(U64(counter + U64(t)), seed)
        for k in range(4):
            i = I32(4 * t + k)
            if i < n:
                y[i] = x[i] * scale if words[k] >= threshold else zero

    return dropout
