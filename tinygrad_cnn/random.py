"""Random numbers: a generator is a seed and a counter of blocks of Philox4x32-10 (Salmon et al., 2011).

Block i of a seed is the same on every device and for any number of threads, so a mask can be computed again instead of
being kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

DEFAULT_SEED = 67280421310721  # PyTorch's, for a Generator that was never seeded


class Generator:
    """A stream of random numbers: ``manual_seed``, ``seed``, ``initial_seed``, ``get_state``, ``set_state``."""

    def __init__(self, device: Any = "cpu") -> None:
        self.device = device
        self._seed = DEFAULT_SEED
        self._counter = 0

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of `seed` from the beginning."""
        self._seed = int(seed) & 0xFFFFFFFFFFFFFFFF
        self._counter = 0
        return self

    def seed(self) -> int:
        """Start a stream that the operating system chooses, and return its seed."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self._seed

    def initial_seed(self) -> int:
        """Return the seed."""
        return self._seed

    def take(self, words: int) -> tuple[int, int]:
        """Reserve blocks for so many 32-bit words; return the seed and the first block's counter."""
        if _watcher is not None:
            _watcher(self, words)
        start = self._counter
        self._counter += -(-words // 4)
        return self._seed, start

    def get_state(self) -> np.ndarray:
        """Return seed and counter as 16 bytes."""
        return np.array([self._seed, self._counter], np.uint64).view(np.uint8)

    def set_state(self, new_state: Any) -> None:
        """Go back to a state that get_state returned."""
        state = np.asarray(new_state)
        if state.dtype != np.uint8 or state.shape != (16,):
            raise RuntimeError(f"set_state: expected 16 bytes (uint8), got {state.dtype} of shape {state.shape}")
        self._seed, self._counter = map(int, np.ascontiguousarray(state).view(np.uint64))


_watcher: Callable[[Generator, int], None] | None = None


@contextmanager
def watched(watcher: Callable[[Generator, int], None]) -> Iterator[None]:
    """Tell `watcher` of each draw before it is made: the generator, and how many words."""
    global _watcher
    before, _watcher = _watcher, watcher
    try:
        yield
    finally:
        _watcher = before


default_generator = Generator()
default_generator.seed()


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, from which everything draws that is given no other."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator from the operating system, and return the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """Return the seed of the default generator."""
    return default_generator.initial_seed()


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True) -> Iterator[None]:
    """Give the default generator its state back at the end of a with block."""
    state = default_generator.get_state()
    try:
        yield
    finally:
        if enabled:
            default_generator.set_state(state)


def words_needed(kernel: str, count: int, itemsize: int) -> int:
    """Return how many 32-bit words the kernels random_uniform and random_normal use for `count` numbers."""
    return count * itemsize // 4 if kernel == "random_uniform" else 4 * -(-count // 2)
