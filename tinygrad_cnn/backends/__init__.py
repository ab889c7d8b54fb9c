"""Devices and their backends.  A backend is built when its device is first named; nothing switches silently.

cpu         compiled kernels (cpu.py)
reference   the same contract in plain NumPy, for tests and for looking things up (reference.py)

cuda        NVIDIA GPUs: Numba kernels (cuda/)

cuda, cudnn, mkldnn and mps also hold the switches and answers that programs expect under these names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import cuda, cudnn, mkldnn, mps
from .base import Backend

__all__ = ["Backend", "cuda", "cudnn", "device", "get_backend", "mkldnn", "mps", "register"]


class device:
    """Where tensors live: ``device('cpu')``, ``device('cuda', 0)``, ``device('cuda:0')``."""

    __slots__ = ("index", "type")
    type: str
    index: int | None

    def __init__(self, type: str | device, index: int | None = None) -> None:
        if isinstance(type, device):
            index = type.index
            type = type.type
        if not isinstance(type, str):
            raise TypeError(f"device: expected a name such as 'cpu', got {type!r}")
        name, colon, number = type.partition(":")
        if name not in _factories:
            raise RuntimeError(f"device: unknown device {type!r}; known: {', '.join(_factories)}")
        if colon:
            if not number.isdecimal() or index is not None:
                raise RuntimeError(f"device: invalid device string {type!r}")
            index = int(number)
        self.type = name
        self.index = index

    def __repr__(self) -> str:
        return f"device(type={self.type!r}" + (f", index={self.index})" if self.index is not None else ")")

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (str(self),)


def _cpu() -> Backend:
    from .cpu import CpuBackend

    return CpuBackend()


def _reference() -> Backend:
    from .reference import ReferenceBackend

    return ReferenceBackend()


def _cuda() -> Backend:
    missing = cuda.reason()
    if missing:
        raise RuntimeError(f"device 'cuda': {missing}; use device='cpu'")
    from .cuda.layers import CudaBackend

    return CudaBackend()


_factories: dict[str, Callable[[], Backend]] = {"cpu": _cpu, "reference": _reference, "cuda": _cuda}
_backends: dict[str, Backend] = {}


def register(name: str, factory: Callable[[], Backend]) -> None:
    """Add a device: from now on ``device(name)`` is known, and `factory` builds its backend when it is first used."""
    _factories[name] = factory
    _backends.pop(name, None)


def get_backend(where: str | device | None = None) -> Backend:
    """Return the backend of a device; None is the CPU."""
    name = "cpu" if where is None else where if isinstance(where, str) else str(where)
    found = _backends.get(name)
    if found is None:
        chosen = device(name)
        if chosen.index:
            raise RuntimeError(f"device {name!r}: one device of each kind is supported; use {chosen.type!r}")
        found = _backends.get(chosen.type)
        if found is None:
            found = _backends[chosen.type] = _factories[chosen.type]()
        _backends[name] = found
    return found
