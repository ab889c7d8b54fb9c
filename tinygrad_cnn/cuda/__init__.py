"""NVIDIA GPUs as PyTorch's programs ask for them: what there is, memory, time, and steps recorded as graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..backends import cuda as _status
from ..backends import get_backend
from ..random import manual_seed as _manual_seed
from . import amp as amp


def is_available() -> bool:
    """Return whether tensors can live on a GPU: Numba, a driver and a GPU are there."""
    return not _status.reason()


def is_bf16_supported() -> bool:
    """Return False: there are no 16-bit tensors."""
    return False


def device_count() -> int:
    """Return the number of GPUs that can be used: one at most."""
    return int(is_available())


def _backend() -> Any:
    """Return the backend; RuntimeError says why there is none."""
    missing = _status.reason()
    if missing:
        raise RuntimeError(f"cuda: {missing}; ask is_available() first")
    return get_backend("cuda")


def _pool() -> Any:
    """Return the memory of the GPU, or None."""
    backend: Any = get_backend("cuda") if is_available() else None
    return backend and backend.pool


def is_initialized() -> bool:
    """Return whether the GPU has been used."""
    return memory_reserved() > 0


def current_device() -> int:
    """Return 0, the only device; RuntimeError if there is none."""
    _backend()
    return 0


def set_device(device: Any) -> None:
    """Accept the only device."""
    get_backend(device if not isinstance(device, int) else f"cuda:{device}")


def get_device_name(device: Any = None) -> str:
    """Return the name of the GPU."""
    return str(_backend().driver.name())


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """Return the compute capability, as (9, 0)."""
    return tuple(_backend().driver.capability())


def synchronize(device: Any = None) -> None:
    """Wait until all kernels have run; IndexError if one of them met an index out of range."""
    backend = _backend()
    backend.driver.synchronize()
    backend.check()


def manual_seed(seed: int) -> None:
    """Seed the random numbers, which are the same on every device."""
    _manual_seed(seed)


manual_seed_all = manual_seed


def empty_cache() -> None:
    """Free the memory that is kept for reuse."""
    pool = _pool()
    if pool is not None:
        pool.empty()


def memory_stats(device: Any = None) -> dict[str, int]:
    """Return bytes in use, kept and at most in use, under PyTorch's names."""
    pool = _pool()
    return {
        "allocated_bytes.all.current": pool.allocated if pool else 0,
        "allocated_bytes.all.peak": pool.peak if pool else 0,
        "reserved_bytes.all.current": pool.reserved if pool else 0,
    }


def memory_allocated(device: Any = None) -> int:
    """Return the bytes of arrays in use."""
    return memory_stats()["allocated_bytes.all.current"]


def max_memory_allocated(device: Any = None) -> int:
    """Return the most bytes in use at once."""
    return memory_stats()["allocated_bytes.all.peak"]


def memory_reserved(device: Any = None) -> int:
    """Return the bytes taken from the device, in use or kept."""
    return memory_stats()["reserved_bytes.all.current"]


max_memory_reserved = memory_reserved


def reset_peak_memory_stats(device: Any = None) -> None:
    """Count the most bytes in use from now on."""
    pool = _pool()
    if pool is not None:
        pool.peak = pool.allocated


class Event:
    """A mark between kernels, for timing: ``start.record(); ...; end.record(); start.elapsed_time(end)`` in milliseconds."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        self.event = _backend().driver.event()

    def record(self, stream: Any = None) -> None:
        """Place the mark behind the kernels launched so far."""
        get_backend("cuda").driver.record(self.event)  # type: ignore[attr-defined]

    def synchronize(self) -> None:
        """Wait until the mark is reached."""
        self.event.synchronize()

    def query(self) -> bool:
        """Return whether the mark has been reached."""
        return bool(self.event.query())

    def elapsed_time(self, end_event: Event) -> float:
        """Return the milliseconds between two marks, waiting for the second."""
        end_event.synchronize()
        return float(self.event.elapsed_time(end_event.event))


def graph(step: Callable[[], Any], warmup: int = 2) -> Any:
    """Record a training step, and return it as one call.

    `step` takes no arguments: it reads its batch from tensors that stay where they are (fill them with `copy_`).  It
    runs `warmup` times, then is recorded, which changes nothing.  Replays count the steps of SGD, Adam and AdamW, follow
    changes of their learning rates, and draw new random numbers, as the step itself would; other numbers of the host are
    repeated as recorded.  Other optimisers, copies from the host and reading results raise RuntimeError in a recording.
    """
    from ..backends.cuda.graph import Graph

    return Graph(_backend(), step, warmup)
