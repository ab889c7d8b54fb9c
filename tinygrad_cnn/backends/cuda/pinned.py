"""Page-locked memory of the host, which a GPU copies from while the program goes on."""

from __future__ import annotations

from typing import Any

import numpy as np


class PinnedMemory:
    """Keeps page-locked bytes; arrays on it lead back to it."""

    def __init__(self, memory: np.ndarray) -> None:
        self.memory = memory
        self.__array_interface__ = memory.__array_interface__


def pinned_copy(array: np.ndarray, driver: Any) -> np.ndarray:
    """Return a contiguous copy of an array in page-locked memory."""
    memory = np.asarray(PinnedMemory(driver.pinned(max(1, array.nbytes))))
    copy = memory[: array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def is_pinned(array: Any) -> bool:
    """Return whether an array lies in page-locked memory."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, PinnedMemory)
