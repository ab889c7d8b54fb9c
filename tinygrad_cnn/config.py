"""What is built in, what is in use, the number of threads, and how convolutions are computed."""

from __future__ import annotations

import os
import platform
import sys
from types import TracebackType

import numpy as np

from . import _ext
from ._ext import runtime
from .backends import algorithms, cuda
from .version import __version__

MOST_KEPT = 1 << 30  # bytes of memory kept for reuse


def available_threads() -> int:
    """Return the number of threads to start with: OMP_NUM_THREADS, or the processors this process may use."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def set_num_threads(num: int) -> None:
    """Let kernels use up to `num` threads; results do not depend on it."""
    if not isinstance(num, int) or isinstance(num, bool) or num < 1:
        raise RuntimeError(f"set_num_threads: expected a positive int, got {num!r}")
    runtime.set_num_threads(num)


def get_num_threads() -> int:
    """Return how many threads kernels may use."""
    return runtime.get_num_threads()


class set_conv_algorithm:
    """Say how convolutions are computed on the CPU, in all threads; in a with block, until its end.

    - ``'auto'`` (the default): what should be fastest; for float64 as 'exact'
    - ``'direct'``: sums of products, as the definition says
    - ``'winograd2'``, ``'winograd4'``: Winograd's algorithm with tiles of 2 x 2 or 4 x 4 outputs, where it fits (3 x 3 and
      5 x 5 kernels, stride 1), else direct.  Fewer multiplications, relative errors in float32 of about 3e-7 and 1e-6 (3 x 3)
      or 1e-6 and 3e-6 (5 x 5), and a NaN or infinity in the input reaches all outputs of the tiles that see it.
    - ``'exact'``: what should be fastest without Winograd
    """

    def __init__(self, name: str) -> None:
        self._name, self._previous = algorithms.check(name), algorithms.current()
        algorithms.select(name)

    def __enter__(self) -> None:
        algorithms.select(self._name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        algorithms.select(self._previous)


def get_conv_algorithm() -> str:
    """Return how convolutions are computed, as set_conv_algorithm() was told."""
    return algorithms.current()


def show_config() -> None:
    """Print versions, instruction-set levels, threads, devices and the algorithm of convolutions."""
    forced = os.environ.get(_ext.LEVEL_VARIABLE)
    lines = {
        "tinygrad_cnn": __version__,
        "Python": f"{platform.python_version()} on {sys.platform} ({platform.machine()})",
        "NumPy": np.__version__,
        "kernel level": f"{_ext.LEVEL}" + (f" (forced by {_ext.LEVEL_VARIABLE})" if forced else ""),
        "levels built": ", ".join(_ext.built_levels()),
        "levels of the processor": ", ".join(runtime.cpu_levels()) or "unknown",
        "threads": f"{get_num_threads()} ({runtime.thread_library()}; OpenMP is not used)",
        "convolution": f"{get_conv_algorithm()} (of {', '.join(algorithms.NAMES)})",
        "devices": "cpu, reference" + ("" if cuda.reason() else ", cuda"),
        "CUDA": cuda.reason() or "available",
    }
    width = max(map(len, lines))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in lines.items()))


def memory_stats() -> dict[str, int]:
    """Return the bytes of large arrays on the CPU: in use, at most in use so far, kept for reuse, and the limit of that."""
    return runtime.memory_stats()


def empty_cache() -> None:
    """Return memory that is kept for reuse to the system."""
    runtime.empty_cache()


runtime.set_num_threads(available_threads())
runtime.set_block_limit(MOST_KEPT)
