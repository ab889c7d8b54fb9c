"""Which algorithm convolves: the direct one, or Winograd's with tiles of 2 x 2 or 4 x 4 outputs.

Winograd needs 3 x 3 kernels, stride 1, no dilation, one group.  For an output of 36 pixels and a pair of channels the direct
algorithm multiplies 324 times, Winograd 144 or 81 times, and has to transform inputs, outputs and weights; so it pays with many
channels and large outputs.  The choice follows from shapes alone, so that results do not depend on the number of threads.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..geometry import Window

NAMES = ("auto", "direct", "winograd2", "winograd4", "exact")
TILE = {"winograd2": 2, "winograd4": 4}  # outputs along a side of a tile
TAPS = 3
BLOCK = 32  # tiles that are worked on together, whether they exist or not

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
    """Picoseconds on one core; only their ratios matter.  `python -m benchmarks.algorithms` shows how well they choose."""

    direct: float  # a multiplication and addition of the direct algorithm
    product: float  # one of the products of transformed tiles and weights
    tile: dict[int, float]  # to transform a tile of one channel, input or output
    weight: dict[int, float]  # to transform the kernel of a pair of channels


FORWARD = Costs(direct=11, product=9, tile={2: 2000, 4: 5000}, weight={2: 4000, 4: 9000})
COSTS = {
    "forward": FORWARD,
    "input grad": FORWARD,  # a convolution, too
    "weight grad": Costs(direct=15, product=10, tile={2: 2500, 4: 6000}, weight={2: 8000, 4: 18000}),
}


def fits(window: Window, groups: int) -> bool:
    """Return whether Winograd's algorithm can be used."""
    return window.kh == window.kw == TAPS and window.sh == window.sw == window.dh == window.dw == groups == 1


def cost(name: str, which: str, n: int, channels: int, outputs: int, size: tuple[int, int]) -> float:
    """Estimate the time of a pass over n images; `size` is that of the side which is cut into tiles."""
    costs, pairs = COSTS[which], channels * outputs
    if name not in TILE:
        return costs.direct * n * size[0] * size[1] * pairs * TAPS**2
    m = TILE[name]
    tiles = -(-n * -(-size[0] // m) * -(-size[1] // m) // BLOCK) * BLOCK
    points = (m + TAPS - 1) ** 2
    return tiles * (points * pairs * costs.product + (channels + outputs) * costs.tile[m]) + pairs * costs.weight[m]


@lru_cache(maxsize=4096)
def _cheapest(which: str, n: int, channels: int, outputs: int, size: tuple[int, int]) -> str:
    return min(("direct", *TILE), key=lambda name: cost(name, which, n, channels, outputs, size))


def choose(
    which: str, dtype: np.dtype, window: Window, groups: int, n: int, channels: int, outputs: int, size: tuple[int, int]
) -> str:
    """Return the algorithm of a pass ('forward', 'input grad' or 'weight grad'): 'direct' or one of TILE.

    float64 is direct unless asked otherwise: whoever computes in it wants the digits.
    """
    if _current in ("direct", "exact") or not fits(window, groups):
        return "direct"
    if _current in TILE:
        return _current
    return _cheapest(which, n, channels, outputs, size) if dtype == np.float32 else "direct"
