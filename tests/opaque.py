"""A backend whose arrays refuse everything but what the contract allows: shape, dtype, ndim, strides.

Device arrays have no arithmetic; an op that computes on arrays itself works with NumPy's by accident, and fails here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_cnn.backends.base import kernel_names
from tinygrad_cnn.backends.reference import ReferenceBackend


class OpaqueArray:
    """What an op may know of an array."""

    def __init__(self, hidden: np.ndarray) -> None:
        self._hidden = hidden
        self.shape, self.dtype, self.ndim, self.strides = hidden.shape, hidden.dtype, hidden.ndim, hidden.strides

    def _refuse(self, *_: Any) -> Any:
        raise AssertionError("an op used an array directly; arrays are opaque above backends/")

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = _refuse
    __pow__ = __matmul__ = __lt__ = __le__ = __gt__ = __ge__ = __getitem__ = __setitem__ = _refuse
    __iter__ = __len__ = __bool__ = __float__ = __int__ = __array__ = _refuse


def opened(value: Any) -> Any:
    """Replace opaque arrays by what they hide."""
    if isinstance(value, OpaqueArray):
        return value._hidden
    if type(value) in (list, tuple):
        return type(value)(opened(v) for v in value)
    return value


def closed(value: Any) -> Any:
    """Hide arrays."""
    if isinstance(value, np.ndarray):
        return OpaqueArray(value)
    return tuple(closed(v) for v in value) if isinstance(value, tuple) else value


class OpaqueBackend(ReferenceBackend):
    """The reference, behind opaque arrays; notes which kernels were used, and which rows of ELEMENTWISE."""

    name = "opaque"

    def __init__(self) -> None:
        self.used: set[str] = set()


def _wrapped(name: str) -> Any:
    def method(self: OpaqueBackend, *args: Any, **kwargs: Any) -> Any:
        self.used.add(args[0] if name == "elementwise" else name)
        result = getattr(REFERENCE, name)(*opened(args), **{k: opened(v) for k, v in kwargs.items()})
        return result if name == "to_numpy" else closed(result)

    return method


REFERENCE = ReferenceBackend()
for _name in kernel_names():
    setattr(OpaqueBackend, _name, _wrapped(_name))
