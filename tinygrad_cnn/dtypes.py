"""Element types and PyTorch's rules for mixing them."""

from __future__ import annotations

import builtins
from functools import cache
from typing import Any

import numpy as np


class dtype:
    """An element type: ``float32.itemsize``, ``float32.is_floating_point``, ``float32.numpy``."""

    __slots__ = ("is_complex", "is_floating_point", "is_signed", "itemsize", "name", "numpy")

    def __init__(self, name: str) -> None:
        self.name = name
        self.numpy = np.dtype(name)
        self.itemsize = self.numpy.itemsize
        self.is_floating_point = self.numpy.kind == "f"
        self.is_complex = False
        self.is_signed = self.numpy.kind in "fi"

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return as_dtype, (self.name,)


float32 = dtype("float32")
float64 = dtype("float64")
int8 = dtype("int8")
int16 = dtype("int16")
int32 = dtype("int32")
int64 = dtype("int64")
uint8 = dtype("uint8")
boolean = dtype("bool")

ALL = (float32, float64, int8, int16, int32, int64, uint8, boolean)
_of_numpy = {t.numpy: t for t in ALL}
_of_anything: dict[Any, dtype] = {
    **{t: t for t in ALL},
    **_of_numpy,
    **{t.name: t for t in ALL},
    builtins.float: float64,
    builtins.int: int64,
    builtins.bool: boolean,
}

# Enough for speed-critical lookups: array.dtype -> public dtype.
of_numpy = _of_numpy.__getitem__

_default = float32


def as_dtype(value: Any) -> dtype:
    """Return the dtype that `value` names: a dtype, a Python type, a NumPy dtype or its name."""
    found = _of_anything.get(value)
    if found is None:
        try:
            found = _of_numpy.get(np.dtype(value))
        except TypeError:
            found = None
    if found is None:
        raise TypeError(f"unsupported dtype {value!r}; supported: {', '.join(t.name for t in ALL)}")
    return found


def get_default_dtype() -> dtype:
    """Return the dtype of new floating-point tensors: float32 unless changed."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Make `d`, float32 or float64, the dtype of new floating-point tensors."""
    global _default
    if not as_dtype(d).is_floating_point:
        raise TypeError(f"set_default_dtype: only floating-point dtypes can be the default, got {d}")
    _default = as_dtype(d)


@cache
def promote_numpy(a: np.dtype, b: np.dtype) -> np.dtype:
    """Return the NumPy dtype that holds both: a float with any integer keeps the float's width, as in PyTorch."""
    if a.kind == "f" and b.kind != "f":
        return a
    if b.kind == "f" and a.kind != "f":
        return b
    return np.promote_types(a, b)


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """Return the smallest dtype to which both can be converted."""
    return of_numpy(promote_numpy(as_dtype(type1).numpy, as_dtype(type2).numpy))


def of_scalar(value: builtins.bool | builtins.int | builtins.float) -> dtype:
    """Return the dtype that a Python number takes on its own."""
    if isinstance(value, builtins.bool):
        return boolean
    return int64 if isinstance(value, builtins.int) else _default


def wrapped(value: Any, kind: np.dtype) -> Any:
    """Return a number as an operand of `kind`: integers beyond its range wrap around, as in PyTorch."""
    if kind.kind == "f":
        return builtins.float(value)
    if kind.kind == "b":
        return builtins.bool(value)
    bits = 8 * kind.itemsize
    low = builtins.int(value) & ((1 << bits) - 1)
    return low - (1 << bits) if kind.kind == "i" and low >> (bits - 1) else low


def stored(op: str, value: Any, kind: np.dtype) -> Any:
    """Return a number as an element of `kind`, or raise where it does not fit; uint8 takes -1 as 255, as in PyTorch."""
    if kind.kind == "b":
        return builtins.bool(value)
    if kind.kind == "f":
        if (
            -1e38 < value < 1e38 or abs(value) <= builtins.float(np.finfo(kind).max) or value - value != 0
        ):  # infinity and NaN are kept
            return builtins.float(value)
    else:
        info = np.iinfo(kind)
        least = -info.max if kind.kind == "u" and isinstance(value, builtins.int) else info.min
        if least <= value <= info.max:
            return wrapped(value, kind)
    raise RuntimeError(f"{op}: {value} does not fit into {kind}")


def can_cast(from_: dtype, to: dtype) -> builtins.bool:
    """Return whether in-place results may be converted: never float to integer, never anything to bool."""
    rank = {"b": 0, "u": 1, "i": 1, "f": 2}
    return rank[as_dtype(from_).numpy.kind] <= rank[as_dtype(to).numpy.kind]


def result_numpy(operands: list[tuple[np.dtype, builtins.int]]) -> np.dtype:
    """Return the common dtype of operands given as (dtype, rank): 2 tensor, 1 zero-dimensional tensor, 0 number.

    A lower rank only matters if its kind (bool, integer, float) is higher than that of every higher rank.
    """
    result: np.dtype | None = None
    for level in (2, 1, 0):
        group: np.dtype | None = None
        for kind, rank in operands:
            if rank == level:
                group = kind if group is None else promote_numpy(group, kind)
        if group is None:
            continue
        if result is None:
            result = group
        elif result.kind != "f" and (result.kind == "b" or group.kind == "f"):
            result = promote_numpy(result, group)
    assert result is not None, "result_numpy needs an operand"
    return result


class _Limits:
    """The base of finfo and iinfo: what NumPy knows of a dtype, shown and compared as in PyTorch."""

    kinds: str
    shown: tuple[str, ...]

    def __init__(self, type: dtype) -> None:
        kind = as_dtype(type).numpy
        if kind.kind not in self.kinds:
            raise TypeError(
                f"{self.__class__.__name__}: {kind} has no such limits; use {'iinfo' if kind.kind in 'iu' else 'finfo'}"
            )
        info: Any = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
        self.dtype, self.bits = kind.name, info.bits
        convert = builtins.float if kind.kind == "f" else builtins.int
        for name in self.shown:
            setattr(self, name, convert(getattr(info, name)))

    def __eq__(self, other: object) -> builtins.bool:
        return isinstance(other, _Limits) and self.dtype == other.dtype

    def __hash__(self) -> builtins.int:
        return hash(self.dtype)

    def __repr__(self) -> str:
        limits = [f"{name}={getattr(self, name):g}" for name in self.shown]
        return f"{self.__class__.__name__}({', '.join(limits)}, dtype={self.dtype})"


class finfo(_Limits):
    """Limits of a floating-point dtype: bits, eps, max, min, tiny, smallest_normal, resolution."""

    kinds = "f"
    shown = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")

    def __init__(self, type: dtype | None = None) -> None:
        super().__init__(type or _default)


class iinfo(_Limits):
    """Limits of an integer dtype: bits, max, min."""

    kinds = "iu"
    shown = ("min", "max")


class layout:
    """How the elements of a tensor lie in memory; there is one layout, `strided`."""

    def __repr__(self) -> str:
        return "torch.strided"


class memory_format:
    """The order of axes in memory that programs ask for; it is accepted everywhere and changes nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"


strided = layout()
contiguous_format, preserve_format, channels_last, channels_last_3d = map(
    memory_format, ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d")
)

TYPE_NAMES = {  # PyTorch's, of Tensor.type()
    float32: "FloatTensor", float64: "DoubleTensor", int8: "CharTensor", int16: "ShortTensor", int32: "IntTensor",
    int64: "LongTensor", uint8: "ByteTensor", boolean: "BoolTensor",
}  # fmt: skip


def named_type(value: Any) -> dtype:
    """Return the dtype that 'torch.FloatTensor', a class such as FloatTensor, or anything that as_dtype takes names."""
    name = value.rpartition(".")[2] if isinstance(value, str) else getattr(value, "__name__", None)
    return next((kind for kind, known in TYPE_NAMES.items() if known == name), None) or as_dtype(value)
