"""Memory of the simulator: NumPy arrays behind addresses."""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import Any

import numpy as np

_BASE = 1 << 40
_starts: list[int] = []
_memory: dict[int, np.ndarray] = {}


def allocate(size: int) -> int:
    """Return the address of new memory."""
    last = _starts[-1] if _starts else _BASE
    start = last + -(-(_memory[last].nbytes if _starts else 0) // 256) * 256 + 256
    _memory[start] = np.zeros(size, np.uint8)
    insort(_starts, start)
    return start


def free(address: int) -> None:
    """Forget memory."""
    del _memory[address]
    _starts.remove(address)


def pointer_from(address: int, dtype: Any) -> np.ndarray:
    """Return the numbers from an address to the end of its memory."""
    address = int(address)
    if address == 0:
        return np.empty(0, dtype)
    start = _starts[bisect_right(_starts, address) - 1]
    raw = _memory[start][address - start :]
    return raw[: raw.size // np.dtype(dtype).itemsize * np.dtype(dtype).itemsize].view(dtype)
