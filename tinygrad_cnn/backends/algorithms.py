"""Which algorithm convolves: the direct one, or Winograd's with tiles of 2 x 2 or 4 x 4 outputs.

Winograd needs 3 x 3 or 5 x 5 kernels and stride 1.  For 16 outputs and a pair of channels the direct algorithm multiplies 144
or 400 times, Winograd 64 or 36 times (3 x 3) and 144 or 64 times (5 x 5), and has to transform inputs, outputs and weights; so
it pays with many channels and large outputs.  The choice follows from shapes alone, so that results do not depend on the
number of threads.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..geometry import Window

NAMES = ("auto", "direct", "winograd2", "winograd4", "exact")
TILE = {"winograd2": 2, "winograd4": 4}  # outputs along a side of a tile
TAPS = (3, 5)  # along a side of a kernel
BLOCK = 32  # tiles that are worked on together, whether they exist or not
DEPTH = 256  # products that one sum of the direct algorithm takes at once
FEWEST = 8  # channels, input and output, from which Winograd can pay
SMALL = 5e7  # multiplications of a pass that takes half a millisecond: there the last digits are worth more than time
MOVED = 1 << 14  # elements of all kernels, moved to every position of a pooling window, that stay in the cache

_current = "auto"


def check(name: str) -> str:
    """Return the name of an algorithm, or raise."""
    if name not in NAMES:
        raise ValueError(f"convolution algorithm must be one of {', '.join(map(repr, NAMES))}, got {name!r}")
    return name


def current() -> str:
    """Return the algorithm that was asked for."""
    return _current


def select(name: str) -> None:
    """Ask for an algorithm, in all threads."""
    global _current
    _current = check(name)


class Costs(NamedTuple):
    """Picoseconds on one core, by the side of a tile: 1 is the direct algorithm, which transforms nothing but copies.

    Only the ratios matter, and they hold well enough for every instruction-set level; `python -m benchmarks.algorithms` shows
    how well they choose.
    """

    product: dict[int, float]  # one multiplication and addition
    tile: dict[int, float]  # to transform a point of a tile of one channel, input or output
    kernel: dict[int, float]  # to transform a point of the kernel of a pair of channels


COSTS = {
    "forward": Costs({1: 11, 2: 9, 4: 9}, {1: 17, 2: 125, 4: 140}, {1: 660, 2: 250, 4: 250}),
    "input grad": Costs({1: 11, 2: 9, 4: 9}, {1: 17, 2: 125, 4: 140}, {1: 1500, 2: 250, 4: 250}),
    "weight grad": Costs({1: 15, 2: 10, 4: 10}, {1: 17, 2: 155, 4: 180}, {1: 110, 2: 310, 4: 280}),
}


def fits(window: Window) -> bool:
    """Return whether Winograd's algorithm can be used."""
    return window.kh == window.kw in TAPS and window.sh == window.sw == 1


def cost(name: str, which: str, window: Window, n: int, outputs: int, channels: int, size: tuple[int, int]) -> float:
    """Estimate the time of a pass over one group; `size` is that of the side which is cut into tiles."""
    costs, m, points, pairs = COSTS[which], TILE.get(name, 1), window.kh**2, channels * outputs
    tiles = n * size[0] * size[1]
    if m > 1:
        points = (m + window.kh - 1) ** 2
        high, wide = (-(-axis // (dilation * m)) for axis, dilation in zip(size, (window.dh, window.dw), strict=True))
        tiles = -(-n * window.dh * window.dw * high * wide // BLOCK) * BLOCK
    return points * (
        tiles * (pairs * costs.product[m] + (channels + outputs) * costs.tile[m]) + pairs * costs.kernel[m]
    )


@lru_cache(maxsize=4096)
def _cheapest(
    which: str, window: Window, groups: int, n: int, outputs: int, channels: int, size: tuple[int, int]
) -> str:
    work = n * size[0] * size[1] * outputs * channels * window.kh**2
    if min(outputs, channels) < FEWEST or work * groups < SMALL:
        return "direct"
    return min(("direct", *TILE), key=lambda name: cost(name, which, window, n, outputs, channels, size))


def choose(
    which: str, dtype: np.dtype, window: Window, groups: int, n: int, outputs: int, channels: int, size: tuple[int, int]
) -> str:
    """Return the algorithm of a pass ('forward', 'input grad' or 'weight grad'): 'direct' or one of TILE.

    `outputs` and `channels` are those of a group, `size` that of what is cut into tiles.  float64 is direct unless asked
    otherwise: whoever computes in it wants the digits.
    """
    if _current in ("direct", "exact") or not fits(window):
        return "direct"
    if _current in TILE:
        return _current
    return _cheapest(which, window, groups, n, outputs, channels, size) if dtype == np.float32 else "direct"


def fits_pooled(window: Window, groups: int, pool: Window) -> bool:
    """Return whether pooled_conv2d_*_grad can be used: stride 1, and pooling windows that neither overlap nor begin outside."""
    plain = window.sh == window.sw == window.dh == window.dw == groups == 1
    apart = pool.kh <= pool.sh and pool.kw <= pool.sw and pool.dh == pool.dw == 1 and pool.pt == pool.pl == 0
    return plain and apart and pool.kh * pool.kw <= 256


def choose_pooled(window: Window, groups: int, pool: Window, channels: int, outputs: int) -> bool:
    """Return whether the gradients of a convolution behind max pooling are computed from the maxima alone.

    That takes one product in kh * kw, but each begins somewhere else: with many channels the tables leave the cache, and
    Winograd's algorithm is faster.
    """
    if _current in TILE or not fits_pooled(window, groups, pool):
        return False
    patch = (window.kh + pool.kh - 1) * (window.kw + pool.kw - 1)
    return outputs * pool.kh * pool.kw * channels * patch <= MOVED


def fuses_pooling(window: Window, groups: int, pool: Window, channels: int, outputs: int) -> bool:
    """Return whether convolution and pooling are one step forward too: few channels, and windows that lie inside."""
    inside = (pool.oh - 1) * pool.sh + pool.kh <= window.oh and (pool.ow - 1) * pool.sw + pool.kw <= window.ow
    small = channels < FEWEST and pool.sw <= 2 and channels * window.kh * window.kw <= DEPTH
    return inside and small and choose_pooled(window, groups, pool, channels, outputs)
