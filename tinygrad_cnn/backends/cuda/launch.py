"""Kernels as data: a function, the types of its parameters, the size of its blocks, and what it may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

LARGEST = 2**31 - 1  # kernels count in int32


@dataclass(frozen=True)
class Parameter:
    """What a kernel takes at one place: a number, a pointer to numbers, or a tuple of int32."""

    dtype: Any = np.int32
    pointer: bool = False
    length: int = 0


def pointer(dtype: Any) -> Parameter:
    """Annotate a pointer; what is bool for the user is uint8 for kernels."""
    return Parameter(np.uint8 if np.dtype(dtype) == bool else np.dtype(dtype).type, True)


def number(dtype: Any) -> Parameter:
    """Annotate a number."""
    return Parameter(np.uint8 if np.dtype(dtype) == bool else np.dtype(dtype).type)


def integers(length: int) -> Parameter:
    """Annotate a tuple of int32: sizes or steps."""
    return Parameter(length=length)


INTEGER = Parameter()


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel with its options filled in."""

    name: str
    function: Callable[..., None]
    threads: int
    blocks_per_sm: int

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return the types of the parameters: the annotations of the function."""
        return tuple(v for k, v in self.function.__annotations__.items() if k != "return")


@dataclass(frozen=True, eq=False)
class Spec:
    """A row of the table of kernels: how to make it, and what the compiled kernel may use.

    `example` holds options with which every level of tests makes it; `registers` is the most for float32.  `sectors` are
    the most 32-byte sectors that a warp's global load, and store, touches on average: 4 for 32 floats side by side, 16 for
    32 times 4, more for steps, less where lanes share a word; the tests measure them on the row's case (kernel_cases.py).
    """

    name: str
    make: Callable[..., Callable[..., None]]
    threads: int
    registers: int
    sectors: tuple[float, float]
    example: dict[str, Any]
    conflicts: float = 1.0  # turns of shared memory for each that is needed
    blocks_per_sm: int = 1
    shared: int = 0  # bytes, for float32
    wide_loads: bool = False  # whether it must move 16 bytes at once
    fma_share: float = 0.0  # of the instructions in the hottest loop
    doubles: bool = False  # whether float32 kernels compute in double precision
    stack: bool = False  # sines and the like reduce large arguments in local memory

    @cache  # noqa: B019 - rows live as long as the program
    def build(self, **options: Any) -> Kernel:
        """Make the kernel for options such as real=float32."""
        return Kernel(self.name, self.make(**options), self.threads, self.blocks_per_sm)


SPECS: dict[str, Spec] = {}


def spec(
    threads: int, registers: int, sectors: tuple[float, float], example: dict[str, Any], **budget: Any
) -> Callable[[Any], Spec]:
    """Enter a factory of kernels in the table, under its own name."""

    def enter(make: Callable[..., Callable[..., None]]) -> Spec:
        SPECS[make.__name__] = row = Spec(make.__name__, make, threads, registers, sectors, example, **budget)
        return row

    return enter
