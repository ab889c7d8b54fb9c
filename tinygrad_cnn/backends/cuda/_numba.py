"""The only place that imports Numba: NVIDIA's `numba-cuda` or the target that Numba itself has, a device or its simulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

try:
    import numba
    from numba import cuda, types
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise RuntimeError(
        "cuda: Numba is not installed; pip install 'tinygrad_cnn[cuda]' (CUDA 13) or 'tinygrad_cnn[cuda12]'"
    ) from error

SIMULATED = bool(numba.config.ENABLE_CUDASIM)
_INT32 = types.int32


def device(function: Callable[..., Any]) -> Any:
    """Compile a function that kernels call; it is inlined."""
    return cuda.jit(function, device=True) if SIMULATED else cuda.jit(function, device=True, forceinline=True)


def numba_type(kind: Any) -> Any:
    """Return Numba's type of a kernel's parameter (see launch.py)."""
    if kind.length:
        return types.UniTuple(_INT32, kind.length)
    scalar = numba.from_dtype(np.dtype(kind.dtype))
    return types.CPointer(scalar) if kind.pointer else scalar


def signature(parameters: tuple[Any, ...]) -> Any:
    """Return the signature of a kernel."""
    return types.void(*[numba_type(p) for p in parameters])
