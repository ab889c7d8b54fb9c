"""Functions of one number for kernels: libdevice's for each type, NumPy's in the simulator."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from ._numba import SIMULATED, cuda

_NAMES = """
    exp exp2 expm1 log log1p log2 log10 sqrt rsqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh
    floor ceil trunc rint pow fmod atan2 hypot copysign erf erfc fabs sinpi cospi
""".split()  # noqa: SIM905 - a list of quoted words is harder to read
_NUMPY = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
    "pow": "power", "atan2": "arctan2",
}  # fmt: skip


@cache
def functions(real: Any) -> SimpleNamespace:
    """Return the functions of floats of a type; those of integers are float64's and are never compiled."""
    if SIMULATED:
        return SimpleNamespace(**{name: _simulated(name, real) for name in _NAMES})
    suffix = "f" if real == np.float32 else ""
    return SimpleNamespace(**{name: getattr(cuda.libdevice, name + suffix) for name in _NAMES})


def _simulated(name: str, real: Any) -> Any:
    import math

    if name == "rsqrt":
        return lambda a: real(1) / np.sqrt(a)
    if name in ("erf", "erfc"):
        return lambda a: real(getattr(math, name)(a))
    if name in ("sinpi", "cospi"):
        return lambda a: getattr(np, name[:3])(np.pi * a)
    return getattr(np, _NUMPY.get(name, name))
