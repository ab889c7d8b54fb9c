"""Questions that scripts ask about NVIDIA GPUs.  This version has no backend for them, and says so."""

from __future__ import annotations

from .random import manual_seed as _manual_seed


def is_available() -> bool:
    """Return whether tensors can live on a GPU."""
    return False


def device_count() -> int:
    """Return the number of GPUs that can be used."""
    return 0


def manual_seed(seed: int) -> None:
    """Seed the random numbers, which are the same on every device."""
    _manual_seed(seed)


manual_seed_all = manual_seed
