"""Saving and loading: safetensors (a header of JSON and raw bytes), or PyTorch's own files (torch_files.py).

Neither can execute code when it is loaded.

A flat dictionary of tensors becomes a plain safetensors file that any reader understands.  Other nests of dictionaries,
lists, numbers and strings (an optimiser's state, a whole checkpoint) have their tensors stored under dotted names, and
their structure as JSON in the file's metadata.

Format: 8 bytes with the header's length (little endian), the header {name: {dtype, shape, data_offsets}}, the data.
https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from . import torch_files
from .autograd.graph import wrap
from .backends import get_backend
from .tensor import Tensor

NAMES = {
    "float32": "F32", "float64": "F64", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64", "uint8": "U8",
    "bool": "BOOL",
}  # fmt: skip
DTYPES = {theirs: np.dtype(ours).newbyteorder("<") for ours, theirs in NAMES.items()}
STRUCTURE = "tinygrad_cnn.structure"
METADATA = "__metadata__"  # the format's own entry in the header
MOST_HEADER = 100_000_000
OF_PYTORCH = {".pt", ".pth"}  # also as in "best.pth.tar"
IGNORED = ("weights_only", "mmap", "pickle_module", "pickle_protocol", "encoding", "_use_new_zipfile_serialization")


def save(obj: Any, f: Any, **options: Any) -> None:
    """Write a state dict, or a nest of dictionaries, lists, tensors, numbers and strings, to a path or a binary file.

    A path that ends in .pt or .pth gets the format of PyTorch, everything else that of safetensors.  A file at a path is
    replaced in one step: it holds the old contents or the new, never a part.
    """
    _check_options("save", options)
    if hasattr(f, "write"):
        _write_safetensors(obj, f)
        return
    write = torch_files.write if OF_PYTORCH & set(Path(f).suffixes) else _write_safetensors
    write_atomically(Path(f), lambda file: write(obj, file))


def _check_options(name: str, options: dict[str, Any]) -> None:
    """Accept PyTorch's options that change nothing here."""
    for option in options:
        if option not in IGNORED:
            raise TypeError(f"{name}: unexpected argument {option!r}")


def _write_safetensors(obj: Any, file: Any) -> None:
    tensors: dict[str, np.ndarray] = {}
    flat = isinstance(obj, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in obj.items())
    if flat:
        metadata = {"format": "pt"}
        if METADATA in obj:
            raise ValueError(f"save: the format reserves the name {METADATA!r}; give the tensor another one")
        tensors = {key: value.numpy(force=True) for key, value in obj.items()}
    else:
        metadata = {"format": "pt", STRUCTURE: json.dumps(_encode(obj, "", tensors))}
    header: dict[str, Any] = {METADATA: metadata}
    offset = 0
    for key, array in tensors.items():
        header[key] = {
            "dtype": NAMES[array.dtype.name], "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes],
        }  # fmt: skip
        offset += array.nbytes
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    chunks = [len(head).to_bytes(8, "little"), head]
    chunks += [np.ascontiguousarray(a, a.dtype.newbyteorder("<")).tobytes() for a in tensors.values()]
    for chunk in chunks:
        file.write(chunk)


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Let `write` fill a file beside `path`, and move it there when it is complete."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise


def _encode(value: Any, path: str, tensors: dict[str, np.ndarray]) -> Any:
    """Return the structure of a nest as JSON values, and collect its tensors by dotted name."""
    if isinstance(value, Tensor):
        name = path or "tensor"
        while name in tensors or name == METADATA:
            name += "_"
        tensors[name] = value.numpy(force=True)
        return {"tensor": name}
    if isinstance(value, dict):
        items = [[_key(k), _encode(v, f"{path}.{k}" if path else str(k), tensors)] for k, v in value.items()]
        return {"ordered" if isinstance(value, OrderedDict) else "dict": items}
    if isinstance(value, (list, tuple)):
        parts = [_encode(v, f"{path}.{i}" if path else str(i), tensors) for i, v in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": parts}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    raise torch_files.unstorable(value, path)


def _key(key: Any) -> Any:
    if isinstance(key, (str, int, float, bool)) or key is None:
        return key
    raise TypeError(f"save: a dictionary key must be a string or a number, got {key!r}")


def _decode(node: Any, tensors: dict[str, Tensor]) -> Any:
    """Undo _encode."""
    ((kind, content),) = node.items()
    if kind == "tensor":
        return tensors[content]
    if kind in ("dict", "ordered"):
        make = OrderedDict if kind == "ordered" else dict
        return make((key, _decode(value, tensors)) for key, value in content)
    if kind in ("list", "tuple"):
        parts = [_decode(part, tensors) for part in content]
        return tuple(parts) if kind == "tuple" else parts
    if kind == "value":
        return content
    raise ValueError(f"unknown kind {kind!r} in the structure")


def load(
    f: Any, map_location: Any = None, pickle_module: Any = None, *, weights_only: bool | None = None, **options: Any
) -> Any:
    """Read what save() or torch.save() wrote, or any safetensors file, from a path or a binary file.

    The content decides the format, not the name.  Objects other than tensors, containers, numbers and strings are refused,
    whatever `weights_only` says.  `map_location` names the device; it is the CPU by default and for PyTorch's functions and
    dictionaries.  16-bit floats become float32.  ValueError, with the file's name, for a file that is truncated or corrupt.
    """
    _check_options("load", options)
    content = f.read() if hasattr(f, "read") else Path(f).read_bytes()
    name = getattr(f, "name", "the file") if hasattr(f, "read") else str(f)
    backend = get_backend(None if callable(map_location) or isinstance(map_location, dict) else map_location)
    read, kind = (torch_files.read, "PyTorch") if torch_files.is_torch_file(content) else (_parse, "safetensors")
    try:
        return read(content, backend)
    except Exception as error:  # parsing a file that is not what it should be may fail in any way
        raise ValueError(f"load: {name} is not a valid {kind} file: {error}") from error


def _parse(content: bytes, backend: Any) -> Any:
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > min(MOST_HEADER, len(content) - 8):
        raise ValueError(f"the header should have {size} bytes, the file has {len(content)}")
    header = json.loads(content[8 : 8 + size])
    data = memoryview(content)[8 + size :]
    metadata = header.pop(METADATA, {})
    tensors: OrderedDict[str, Tensor] = OrderedDict()
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        start, stop = entry["data_offsets"]
        if entry["dtype"] not in DTYPES:
            raise ValueError(f"tensor {name!r} has dtype {entry['dtype']}; supported: {', '.join(DTYPES)}")
        dtype, shape = DTYPES[entry["dtype"]], tuple(entry["shape"])
        fits = start == end and stop - start == dtype.itemsize * math.prod(shape) and stop <= len(data)
        if not fits or any(n < 0 for n in shape):
            raise ValueError(f"tensor {name!r} of shape {shape} does not fit bytes {start} to {stop} of {len(data)}")
        end = stop
        array = np.frombuffer(data[start:stop], np.uint8 if dtype.kind == "b" else dtype).reshape(shape)
        array = array != 0 if dtype.kind == "b" else array.astype(dtype.newbyteorder("="))
        tensors[name] = wrap(Tensor, backend.from_numpy(np.asarray(array)), backend)
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes behind the last tensor")
    if STRUCTURE in metadata:
        return _decode(json.loads(metadata[STRUCTURE]), tensors)
    return OrderedDict((name, tensors[name]) for name in header)


__all__ = ["load", "save"]
