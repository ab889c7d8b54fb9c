"""How images are resampled."""

from __future__ import annotations

from enum import Enum
from typing import Any

PILLOW_CODES = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")


class InterpolationMode(Enum):
    """Resampling filters; box, hamming and lanczos are Pillow's alone."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"

    @property
    def pillow_code(self) -> int:
        """Pillow's number of the filter."""
        return PILLOW_CODES.index(self.value.removesuffix("-exact"))


def as_mode(interpolation: Any) -> InterpolationMode:
    """Return a mode as it is, or the one that Pillow gives a number."""
    if isinstance(interpolation, InterpolationMode):
        return interpolation
    if isinstance(interpolation, int) and 0 <= interpolation < len(PILLOW_CODES):
        return InterpolationMode(PILLOW_CODES[interpolation])
    raise TypeError(f"interpolation must be an InterpolationMode or Pillow's number of one, got {interpolation!r}")
