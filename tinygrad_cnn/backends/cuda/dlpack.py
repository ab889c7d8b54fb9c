"""Sharing device memory with other libraries by DLPack: the C structures, capsules, and who frees what.

The protocol: https://dmlc.github.io/dlpack/latest/python_spec.html
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from .array import CudaArray, contiguous_strides

CUDA = 2  # kDLCUDA
_CODES = {"i": 0, "u": 1, "f": 2, "b": 6}
_NAME, _USED = b"dltensor", b"used_dltensor"


class _Device(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("index", ctypes.c_int32)]


class _Type(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("device", _Device), ("ndim", ctypes.c_int32), ("dtype", _Type),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]  # fmt: skip


class _Managed(ctypes.Structure):
    pass


_Deleter = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Managed))
_Managed._fields_ = [("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _Deleter)]
_Destructor = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_api = ctypes.pythonapi
_api.PyCapsule_New.restype = ctypes.py_object
_api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, _Destructor]
_api.PyCapsule_IsValid.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
_api.PyCapsule_GetPointer.restype = ctypes.c_void_p
_api.PyCapsule_GetPointer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
_api.PyCapsule_SetName.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
_lent: dict[int, tuple[Any, ...]] = {}  # what must live until the other side is done


@_Deleter
def _return(managed: Any) -> None:
    _lent.pop(ctypes.addressof(managed.contents), None)


@_Destructor
def _forget(capsule: int) -> None:
    """Free a capsule that nobody has taken."""
    if _api.PyCapsule_IsValid(capsule, _NAME):
        _lent.pop(_api.PyCapsule_GetPointer(capsule, _NAME), None)


def export(x: CudaArray) -> Any:
    """Return a capsule that shares the memory of an array."""
    shape, steps = ((ctypes.c_int64 * x.ndim)(*values) for values in (x.shape, x.steps))
    kind = _Type(_CODES[x.dtype.kind], 8 * x.dtype.itemsize, 1)
    managed = _Managed(_Tensor(x.address, _Device(CUDA, 0), x.ndim, kind, shape, steps, 0), None, _return)
    address = ctypes.addressof(managed)
    _lent[address] = managed, shape, steps, x.block
    return _api.PyCapsule_New(address, _NAME, _forget)


class _Borrowed:
    """Memory of another library; it gets it back when the last array is gone."""

    def __init__(self, managed: Any) -> None:
        self.managed, self.address = managed, int(managed.contents.tensor.data or 0)

    def __del__(self) -> None:
        if self.managed.contents.deleter:
            self.managed.contents.deleter(self.managed)


def adopt(capsule: Any) -> CudaArray:
    """Return an array on the memory of a capsule; ValueError if it was taken before."""
    if not _api.PyCapsule_IsValid(id(capsule), _NAME):
        raise ValueError("from_dlpack: this capsule was used before")
    managed = ctypes.cast(_api.PyCapsule_GetPointer(id(capsule), _NAME), ctypes.POINTER(_Managed))
    _api.PyCapsule_SetName(id(capsule), _USED)
    block: Any = _Borrowed(managed)
    tensor = managed.contents.tensor
    codes = {code: kind for kind, code in _CODES.items()}
    if tensor.dtype.lanes != 1 or tensor.dtype.code not in codes:
        raise TypeError(f"from_dlpack: elements of DLPack's type {tensor.dtype.code} are not supported")
    dtype = np.dtype(f"{codes[tensor.dtype.code]}{tensor.dtype.bits // 8}")
    shape = tuple(tensor.shape[: tensor.ndim])
    steps = [s * dtype.itemsize for s in tensor.strides[: tensor.ndim]] if tensor.strides else None
    strides = contiguous_strides(shape, dtype.itemsize) if steps is None else tuple(steps)
    return CudaArray(block, int(tensor.byte_offset), shape, strides, dtype)
