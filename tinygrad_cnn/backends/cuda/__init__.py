"""NVIDIA GPUs.  Importing this imports no Numba; the backend (layers.py) is made when the device is first used.

launch.py      kernels as data, and the table of them
kernels/       the kernels, by family
array.py       memory that is kept for reuse, arrays on it; driver.py what talks to a GPU or to Numba's simulator
pinned.py      page-locked memory of the host
backend.py layers.py   the contract; graph.py steps that are recorded and replayed
_numba.py intrinsics.py scalar.py   all that touches Numba
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from types import SimpleNamespace

# Switches of CUDA's matrix products that programs set; they change nothing.
matmul = SimpleNamespace(allow_tf32=False, allow_fp16_reduced_precision_reduction=True)


def is_built() -> bool:
    """Return whether Numba is installed, which compiles the kernels."""
    return importlib.util.find_spec("numba") is not None


def is_simulated() -> bool:
    """Return whether Numba's simulator stands for a device (NUMBA_ENABLE_CUDASIM=1)."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


def reason() -> str:
    """Return why CUDA cannot be used, or an empty string."""
    if not is_built():
        return "Numba is not installed; pip install 'tinygrad_cnn[cuda]' (CUDA 13) or 'tinygrad_cnn[cuda12]'"
    if is_simulated():
        return ""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return "no NVIDIA driver was found"
    from ._numba import cuda

    return "" if cuda.is_available() else "the NVIDIA driver sees no GPU"
