"""The machine: its processor, the versions, and what it can do at best."""

from __future__ import annotations

import os
import platform
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn import _ext

from .frameworks import Ours, set_num_threads
from .timing import alternate
from .workloads.workload import normal

SETTINGS = ("TINYGRAD_CNN_CPU_LEVEL", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "OMP_NUM_THREADS")
SIDE = 512
COPIED = 1 << 24  # floats: beyond the caches


def processor() -> str:
    """Return the model name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def describe() -> dict[str, Any]:
    """Return what the results depend on."""
    import torch

    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load average": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "tinygrad_cnn": tg.__version__,
        "kernel level": _ext.LEVEL,
        "PyTorch": torch.__version__,
        "PyTorch's CPU capability": torch.backends.cpu.get_cpu_capability(),
        "settings": {name: os.environ[name] for name in SETTINGS if name in os.environ},
    }


def measure(threads: int) -> dict[str, float]:
    """Return the attainable GFLOP/s (our matmul of 512 x 512 matrices) and the copy bandwidth in GB/s, read + write."""
    set_num_threads(threads)
    ours, random = Ours(), np.random.default_rng(0)
    x, y = [ours.tensor(normal(random, SIDE, SIDE)) for _ in range(2)]
    source = np.ones((threads, COPIED // threads), np.float32)
    target = np.zeros_like(source)
    with ThreadPoolExecutor(threads) as pool:  # copyto releases the interpreter's lock
        runs = {"matmul": lambda: x @ y, "copy": lambda: list(pool.map(np.copyto, target, source))}
        seconds = {name: timing.median for name, timing in alternate(runs, 0.3).items()}
    return {"GFLOP/s": 2e-9 * SIDE**3 / seconds["matmul"], "GB/s": 2e-9 * source.nbytes / seconds["copy"]}
