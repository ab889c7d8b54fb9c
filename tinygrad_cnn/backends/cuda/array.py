"""Device memory that is kept for reuse, and arrays on it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Protocol

import numpy as np

from ..base import is_contiguous
from .launch import LARGEST, Kernel


class Driver(Protocol):
    """What talks to a device: numbers of bytes, addresses and kernels."""

    def allocate(self, size: int) -> tuple[int, Any]:
        """Return the address of new memory, and what keeps it."""

    def free(self, address: int, size: int) -> None:
        """Give memory back."""

    def upload(self, address: int, host: np.ndarray, wait: bool = True) -> None:
        """Copy a contiguous array to the device; without `wait` pinned memory is copied later, and kept until then."""

    def pinned(self, size: int) -> np.ndarray:
        """Return page-locked bytes of the host."""

    def download(self, address: int, host: np.ndarray) -> None:
        """Fill a contiguous array from the device, when all kernels have run."""

    def launch(self, kernel: Kernel, grid: tuple[int, int, int], arguments: list[Any]) -> None:
        """Run a kernel after those launched before; pointers are addresses."""

    def synchronize(self) -> None:
        """Wait for all kernels."""

    def begin_recording(self) -> None:
        """Note launches from now on instead of running them."""

    def end_recording(self) -> Any:
        """Return what was noted."""

    def replay(self, graph: Any) -> None:
        """Run what was noted."""

    def name(self) -> str:
        """Return the name of the device."""

    def capability(self) -> tuple[int, int]:
        """Return its compute capability."""

    def event(self) -> Any:
        """Return a mark for timing."""

    def record(self, event: Any) -> None:
        """Place a mark behind the kernels launched so far."""


class Pool:
    """Blocks of device memory by size.  Kernels run in order, so a block may be used again as soon as its array is gone."""

    def __init__(self, driver: Driver, limit: int = 1 << 30) -> None:
        self.driver, self.limit = driver, limit
        self.free: dict[int, list[tuple[int, Any]]] = defaultdict(list)
        self.allocated = self.reserved = self.peak = 0

    def take(self, size: int) -> Block:
        """Return a block of at least `size` bytes."""
        size = self._rounded(size)
        kept = self.free[size]
        if kept:
            address, keeper = kept.pop()
        else:
            address, keeper = self._allocate(size)
            self.reserved += size
        self.allocated += size
        self.peak = max(self.peak, self.allocated)
        return Block(self, address, size, keeper)

    def _allocate(self, size: int) -> tuple[int, Any]:
        try:
            return self.driver.allocate(size)
        except MemoryError:
            self.empty()
            return self.driver.allocate(size)

    @staticmethod
    def _rounded(size: int) -> int:
        """Return 512 bytes, or the next of eight steps between powers of two: at most an eighth is wasted."""
        step = max(512, 1 << max(0, size.bit_length() - 4))
        return max(1, -(-size // step)) * step

    def give(self, block: Block) -> None:
        """Keep a block for reuse, or free it if too much is kept."""
        self.allocated -= block.size
        if self.reserved > self.limit + self.allocated:
            self.driver.free(block.address, block.size)
            self.reserved -= block.size
        else:
            self.free[block.size].append((block.address, block.keeper))

    def empty(self) -> None:
        """Free what is kept."""
        for size, kept in self.free.items():
            for address, _ in kept:
                self.driver.free(address, size)
                self.reserved -= size
        self.free.clear()


class Block:
    """A piece of device memory; arrays share it."""

    __slots__ = ("address", "keeper", "pool", "size")

    def __init__(self, pool: Pool, address: int, size: int, keeper: Any) -> None:
        self.pool, self.address, self.size, self.keeper = pool, address, size, keeper

    def __del__(self) -> None:
        self.pool.give(self)


class CudaArray:
    """An array on a device: memory, shape, and steps in bytes."""

    __slots__ = ("block", "dtype", "ndim", "offset", "shape", "strides")

    def __init__(
        self, block: Block, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: np.dtype
    ) -> None:
        self.block, self.offset, self.shape, self.strides, self.dtype = block, offset, shape, strides, dtype
        self.ndim = len(shape)
        if self.size > LARGEST:
            raise RuntimeError(f"cuda: arrays have at most 2 ** 31 - 1 elements, got shape {shape}")

    @property
    def address(self) -> int:
        """Return where the first element lies."""
        return self.block.address + self.offset

    @property
    def size(self) -> int:
        """Return the number of elements."""
        count = 1
        for n in self.shape:
            count *= n
        return count

    @property
    def steps(self) -> tuple[int, ...]:
        """Return the steps in elements."""
        return tuple([s // self.dtype.itemsize for s in self.strides])

    @property
    def contiguous(self) -> bool:
        """Return whether elements lie in C order without gaps."""
        return is_contiguous(self)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Describe the memory for CuPy, PyTorch, Numba and others, which share it."""
        return {
            "shape": self.shape, "typestr": self.dtype.str, "data": (self.address, False), "version": 3,
            "strides": None if self.contiguous else self.strides, "stream": 1,
        }  # fmt: skip


def contiguous_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the steps of a C-contiguous array."""
    strides = []
    for n in reversed(shape):
        strides.append(itemsize)
        itemsize *= max(1, n)
    return tuple(reversed(strides))


def joined(sizes: tuple[int, ...], steps: list[tuple[int, ...]]) -> tuple[list[int], list[list[int]]]:
    """Join neighbouring axes along which all arrays go on as if they were one; return at least one axis."""
    axes = [a for a, n in enumerate(sizes) if n != 1] or [len(sizes) - 1] if sizes else []
    kept: list[int] = []
    moves: list[list[int]] = [[] for _ in steps]
    for a in axes:
        if kept and all(m[-1] == s[a] * sizes[a] for m, s in zip(moves, steps)):
            kept[-1] *= sizes[a]
            for m, s in zip(moves, steps):
                m[-1] = s[a]
        else:
            kept.append(sizes[a])
            for m, s in zip(moves, steps):
                m.append(s[a])
    return (kept, moves) if kept else ([1], [[0] for _ in steps])
