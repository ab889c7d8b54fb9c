"""Questions about the accelerator in use: there is none."""

from __future__ import annotations

from typing import Any


def is_available() -> bool:
    """Return False."""
    return False


def device_count() -> int:
    """Return 0."""
    return 0


def current_accelerator(check_available: bool = False) -> None:
    """Return None."""


def synchronize(device: Any = None) -> None:
    """Return at once: kernels of the CPU are done when they return."""
