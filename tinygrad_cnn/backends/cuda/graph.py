"""A whole step as one launch, recorded once and replayed: small nets wait for launches more than for kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .backend import CudaMemory


class Graph:
    """A recorded step: ``replay()`` runs its kernels again on the same memory."""

    def __init__(self, backend: CudaMemory, step: Callable[[], Any], warmup: int = 2) -> None:
        for _ in range(warmup):  # kernels are compiled, memory and tables are there, momenta have started
            step()
        backend.driver.synchronize()
        backend.check()
        with backend.recording() as recorded:
            self.result = step()
        self.backend, self.recorded = backend, recorded

    def replay(self) -> Any:
        """Run the step; return what it returned when it was recorded, whose values are new."""
        self.recorded.launch()
        return self.result

    __call__ = replay
