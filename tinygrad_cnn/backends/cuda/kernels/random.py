"""Random numbers: Philox4x32-10 of (seed, counter), the same words on every device."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .._numba import device
from ..intrinsics import load4, store4
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


SEED, STATE = number(U64), pointer(U64)


@lru_cache(maxsize=None)
def words_of(replayed: bool) -> Any:
    """Return a function that makes a thread's four words; in a recorded step `state` (2,) holds seed and counter."""
    if replayed:
        return device(lambda t, seed, counter, state: philox(U64(state[1] + U64(t)), state[0]))
    return device(lambda t, seed, counter, state: philox(U64(counter + U64(t)), seed))


@spec(threads=256, registers=40, sectors=(0, 12), example={"replayed": False})
def random_bits(replayed: bool) -> Callable[..., None]:
    """Write n words."""
    words_for = words_of(replayed)

    def random_bits(y: pointer(U32), n: INTEGER, seed: SEED, counter: SEED, state: STATE) -> None:
        t = global_thread()
        a, b, c, d = words = words_for(t, seed, counter, state)
        i = I32(4 * t)
        if I32(i + 3) < n:
            store4(y, i, a, b, c, d)
        else:
            for k in range(4):
                if I32(i + k) < n:
                    y[I32(i + k)] = words[k]

    return random_bits


@spec(threads=256, registers=40, sectors=(0, 12), example={"real": np.float32, "replayed": False})
def random_uniform(real: Any, replayed: bool) -> Callable[..., None]:
    """Write n numbers in [0, 1): four of 24 bits, or two of 53, from each counter."""
    single, words_for = real == np.float32, words_of(replayed)
    small, large, shift, low = real(2**-24), real(2**-53), U64(11), U32(8)
    upper = device(lambda word: real(U32(word >> low)) * small)

    def random_uniform(y: pointer(real), n: INTEGER, seed: SEED, counter: SEED, state: STATE) -> None:
        t = global_thread()
        words = words_for(t, seed, counter, state)
        if single:
            i = I32(4 * t)
            if I32(i + 3) < n:
                store4(y, i, upper(words[0]), upper(words[1]), upper(words[2]), upper(words[3]))
            else:
                for k in range(4):
                    if I32(i + k) < n:
                        y[I32(i + k)] = upper(words[k])
        else:
            for k in range(2):
                i = I32(2 * t + k)
                if i < n:
                    wide = U64(U64(U64(words[2 * k + 1]) << _HALF) | U64(words[2 * k]))
                    y[i] = real(U64(wide >> shift)) * large

    return random_uniform


@spec(threads=256, registers=64, sectors=(2, 8), example={"real": np.float32, "replayed": False}, doubles=True)
def random_normal(real: Any, replayed: bool) -> Callable[..., None]:
    """Write n normal numbers: two from each counter, by Box and Muller, in double precision."""
    f, words_for = functions(np.float64), words_of(replayed)
    log1p, sqrt, sin_pi, cos_pi = f.log1p, f.sqrt, f.sinpi, f.cospi
    scale, two, shift = np.float64(2**-53), np.float64(2), U64(11)

    def random_normal(y: pointer(real), n: INTEGER, seed: SEED, counter: SEED, state: STATE) -> None:
        t = global_thread()
        i = I32(2 * t)
        if i < n:
            a, b, c, d = words_for(t, seed, counter, state)
            u = np.float64(U64(U64(U64(U64(b) << _HALF) | U64(a)) >> shift)) * scale
            v = np.float64(U64(U64(U64(U64(d) << _HALF) | U64(c)) >> shift)) * scale
            radius, angle = sqrt(-two * log1p(-u)), two * v
            y[i] = real(radius * cos_pi(angle))
            if I32(i + 1) < n:
                y[I32(i + 1)] = real(radius * sin_pi(angle))

    return random_normal


@spec(
    threads=256,
    registers=40,
    sectors=(12, 12),
    example={"real": np.float32, "wide": True, "replayed": False},
    wide_loads=True,
)
def dropout(real: Any, wide: bool, replayed: bool) -> Callable[..., None]:
    """Make x * scale where a word reaches the threshold, else 0; with `wide` x begins at a multiple of 16 bytes."""
    zero, words_for = real(0), words_of(replayed)
    kept = device(lambda value, word, threshold, scale: value * scale if word >= threshold else zero)

    def dropout(
        y: pointer(real), x: pointer(real), n: INTEGER, threshold: number(U32), scale: number(real), seed: SEED,
        counter: SEED, state: STATE,
    ) -> None:  # fmt: skip
        t = global_thread()
        a, b, c, d = words = words_for(t, seed, counter, state)
        i = I32(4 * t)
        if wide and I32(i + 3) < n:
            p, q, r, s = load4(x, i)
            p, q = kept(p, a, threshold, scale), kept(q, b, threshold, scale)
            store4(y, i, p, q, kept(r, c, threshold, scale), kept(s, d, threshold, scale))
        else:
            for k in range(4):
                if I32(i + k) < n:
                    y[I32(i + k)] = kept(x[I32(i + k)], words[k], threshold, scale)

    return dropout
