"""Questions that scripts ask about NVIDIA GPUs.  This version has no backend for them, and says so."""

from __future__ import annotations

from typing import Any

from ..random import manual_seed as _manual_seed
from . import amp as amp


def is_available() -> bool:
    """Return whether tensors can live on a GPU."""
    return False


is_initialized = is_bf16_supported = is_available


def device_count() -> int:
    """Return the number of GPUs that can be used."""
    return 0


def manual_seed(seed: int) -> None:
    """Seed the random numbers, which are the same on every device."""
    _manual_seed(seed)


manual_seed_all = manual_seed


def empty_cache() -> None:
    """Do nothing: no GPU memory is kept."""


def memory_allocated(device: Any = None) -> int:
    """Return 0: no GPU memory is used."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def current_device() -> int:
    """Raise RuntimeError: there is no GPU."""
    raise RuntimeError("cuda: this version has no CUDA backend; ask is_available() first")


def get_device_name(device: Any = None) -> str:
    """Raise RuntimeError: there is no GPU."""
    raise RuntimeError("cuda: this version has no CUDA backend; ask is_available() first")


def synchronize(device: Any = None) -> None:
    """Raise RuntimeError: there is no GPU."""
    raise RuntimeError("cuda: this version has no CUDA backend; ask is_available() first")
