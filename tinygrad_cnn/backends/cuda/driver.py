"""Drivers: an NVIDIA GPU, and Numba's simulator of one."""

from __future__ import annotations

from collections import deque
from time import perf_counter
from typing import Any

import numpy as np

from . import simulated
from ._numba import SIMULATED, cuda, signature
from .array import Driver
from .launch import Kernel
from .pinned import is_pinned


class LaunchList:
    """What drivers without a GPU share: launches of a recorded step are kept in a list, and memory is as good as pinned."""

    noted: list[tuple[Any, ...]] | None = None

    def pinned(self, size: int) -> np.ndarray:
        return np.empty(size, np.uint8)

    def begin_recording(self) -> None:
        self.noted = []

    def end_recording(self) -> Any:
        noted, self.noted = self.noted, None
        return noted

    def replay(self, graph: Any) -> None:
        for launch in graph:
            self.launch(*launch)  # type: ignore[attr-defined]


class GpuDriver:
    """A GPU, by Numba's context and dispatchers."""

    def __init__(self, index: int = 0) -> None:
        cuda.select_device(index)
        self.compiled: dict[Kernel, Any] = {}
        self.stream: Any = cuda.stream()
        self.builder: Any = None  # while a step is recorded
        self.sending: deque[tuple[Any, np.ndarray]] = deque()  # arrays being copied, and the marks behind the copies

    def allocate(self, size: int) -> tuple[int, Any]:
        memory = cuda.device_array(size, np.uint8)
        return int(memory.device_ctypes_pointer.value), memory

    def free(self, address: int, size: int) -> None:
        """Do nothing: the memory goes with what keeps it."""

    def upload(self, address: int, host: np.ndarray, wait: bool = True) -> None:
        self._memory(address, host.nbytes).copy_to_device(host.reshape(-1).view(np.uint8), stream=self.stream)
        if not is_pinned(host):
            return  # CUDA has copied it to memory of its own
        if wait:
            self.stream.synchronize()
            return
        mark = cuda.event(timing=False)
        mark.record(self.stream)
        self.sending.append((mark, host))
        while self.sending and self.sending[0][0].query():
            self.sending.popleft()

    def pinned(self, size: int) -> np.ndarray:
        return cuda.pinned_array(size, np.uint8)

    def download(self, address: int, host: np.ndarray) -> None:
        self._memory(address, host.nbytes).copy_to_host(host.reshape(-1).view(np.uint8), stream=self.stream)
        self.stream.synchronize()

    def _memory(self, address: int, size: int) -> Any:
        """Return bytes at an address as Numba's array."""
        interface = {"shape": (size,), "typestr": "|u1", "data": (address, False), "version": 3, "strides": None}
        return cuda.from_cuda_array_interface(interface, sync=False)

    def launch(self, kernel: Kernel, grid: tuple[int, int, int], arguments: list[Any]) -> None:
        found = self.compiled.get(kernel)
        if found is None:
            bounds = (kernel.threads, kernel.blocks_per_sm)
            compiler = cuda.jit(signature(kernel.parameters), launch_bounds=bounds)
            found = self.compiled[kernel] = compiler(kernel.function)
        found[grid, kernel.threads, self.builder or self.stream](*arguments)

    def synchronize(self) -> None:
        self.stream.synchronize()

    def begin_recording(self) -> None:
        self.builder = self._core_stream().create_graph_builder()
        self.builder.begin_building()

    def end_recording(self) -> Any:
        builder, self.builder = self.builder, None
        return builder.end_building().complete()

    def replay(self, graph: Any) -> None:
        graph.launch(self._core_stream())

    def _core_stream(self) -> Any:
        """Return the stream as cuda.core's, which knows graphs."""
        from cuda.core import Stream

        return Stream.from_handle(int(self.stream.handle.value))

    def name(self) -> str:
        name = cuda.get_current_device().name
        return name.decode() if isinstance(name, bytes) else name

    def capability(self) -> tuple[int, int]:
        return tuple(cuda.get_current_device().compute_capability)

    def event(self) -> Any:
        return cuda.event(timing=True)

    def record(self, event: Any) -> None:
        event.record(self.stream)


class Mark:
    """An event of the simulator, whose own ones keep no time."""

    at = 0.0

    def record(self) -> None:
        """Note the time."""
        self.at = perf_counter()

    def synchronize(self) -> None:
        """Return at once: launches are done when they return."""

    def query(self) -> bool:
        """Return True."""
        return True

    def elapsed_time(self, end: Mark) -> float:
        """Return the milliseconds to a later mark."""
        return 1e3 * (end.at - self.at)


class SimulatorDriver(LaunchList):
    """Numba's simulator: memory is NumPy's, and an address is looked up."""

    def __init__(self) -> None:
        self.compiled: dict[Kernel, Any] = {}

    def allocate(self, size: int) -> tuple[int, Any]:
        return simulated.allocate(size), None

    def free(self, address: int, size: int) -> None:
        simulated.free(address)

    def upload(self, address: int, host: np.ndarray, wait: bool = True) -> None:
        simulated.pointer_from(address, np.uint8)[: host.nbytes] = host.reshape(-1).view(np.uint8)

    def download(self, address: int, host: np.ndarray) -> None:
        host.reshape(-1).view(np.uint8)[:] = simulated.pointer_from(address, np.uint8)[: host.nbytes]

    def launch(self, kernel: Kernel, grid: tuple[int, int, int], arguments: list[Any]) -> None:
        if self.noted is not None:
            self.noted.append((kernel, grid, arguments))
            return
        found = self.compiled.get(kernel)
        if found is None:
            found = self.compiled[kernel] = cuda.jit(kernel.function)
        views = [
            simulated.pointer_from(value, parameter.dtype) if parameter.pointer else value
            for parameter, value in zip(kernel.parameters, arguments)
        ]
        with np.errstate(all="ignore"):
            found[grid, kernel.threads](*views)

    def synchronize(self) -> None:
        """Do nothing: the simulator is done when a launch returns."""

    def name(self) -> str:
        return "Numba's CUDA simulator"

    def capability(self) -> tuple[int, int]:
        return 0, 0

    def event(self) -> Any:
        return Mark()

    def record(self, event: Any) -> None:
        event.record()


def open_driver() -> Driver:
    """Return the driver of this process."""
    return SimulatorDriver() if SIMULATED else GpuDriver()
