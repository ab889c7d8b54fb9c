"""A device made of the compiler and the interpreter: kernels are compiled to PTX, and the PTX is executed."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numba.cuda.dispatcher
import numpy as np
from numba import cuda
from ptx_machine import Memory, Traffic, launch
from ptx_parser import Entry, parse

from tinygrad_cnn.backends.cuda._numba import signature
from tinygrad_cnn.backends.cuda.driver import LaunchList
from tinygrad_cnn.backends.cuda.launch import Kernel

CAPABILITY = (8, 0)


@cache
def compile_ptx(kernel: Kernel, capability: tuple[int, int] = CAPABILITY) -> str:
    """Return a kernel's PTX.  Functions that it calls are compiled for the current device, which is told what to be."""
    numba.cuda.dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    ptx, _ = cuda.compile(
        kernel.function, signature(kernel.parameters), device=False, abi="numba", cc=capability, output="ptx",
        launch_bounds=(kernel.threads, kernel.blocks_per_sm),
    )  # fmt: skip
    return ptx


@cache
def entry(kernel: Kernel) -> Entry:
    """Return a kernel as the interpreter reads it."""
    return parse(compile_ptx(kernel), kernel.name)


class InterpreterDriver(LaunchList):
    """Runs every launch through the interpreter, with all its checks; remembers the traffic of each kernel."""

    def __init__(self, counts: bool = False) -> None:
        self.memory = Memory()
        self.counts = counts
        self.traffic: dict[str, Traffic] = {}
        self.launches: list[str] = []

    def allocate(self, size: int) -> tuple[int, Any]:
        return self.memory.allocate(size), None

    def free(self, address: int, size: int) -> None:
        self.memory.free(address, size)

    def upload(self, address: int, host: np.ndarray, wait: bool = True) -> None:
        self.memory.write(address, host)

    def download(self, address: int, host: np.ndarray) -> None:
        host.reshape(-1).view(np.uint8)[:] = self.memory.read(address, host.nbytes)

    def launch(self, kernel: Kernel, grid: tuple[int, int, int], arguments: list[Any]) -> None:
        if self.noted is not None:
            self.noted.append((kernel, grid, arguments))
            return
        flat: list[Any] = []
        for parameter, value in zip(kernel.parameters, arguments):
            if parameter.length:
                flat += [np.int32(v) for v in value]
            else:
                flat.append(int(value) if parameter.pointer else parameter.dtype(value))
        self.launches.append(kernel.name)
        self.traffic[kernel.name] = launch(
            self.memory, entry(kernel), grid, (kernel.threads,), flat, counts=self.counts
        )

    def synchronize(self) -> None:
        """Do nothing: a launch returns when it is done."""
