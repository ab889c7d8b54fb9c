"""PyTorch's own files (.pt, .pth), read and written without PyTorch and without executing anything.

A file is a pickle with the structure, and the raw memories ("storages") that its tensors lie on: members of a zip archive,
or, before PyTorch 1.6, the rest of the file.  The pickle is read by a machine of its own that knows tensors, containers,
numbers and strings; whatever else a pickle could call is refused by name.
"""

from __future__ import annotations

import math
import pickletools
import struct
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from io import BytesIO
from operator import index
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from . import dtypes
from .autograd.graph import wrap
from .backends import device
from .nn.parameter import Parameter
from .tensor import Size, Tensor

MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of an old file
STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "CharStorage": "int8", "ShortStorage": "int16", "IntStorage": "int32", "LongStorage": "int64",
    "ByteStorage": "uint8", "BoolStorage": "bool",
}  # fmt: skip
STORAGE_OF = {kind: storage for storage, kind in STORAGES.items()}


class StorageKind(NamedTuple):
    """The element type of a storage; 16-bit floats become float32."""

    name: str

    @property
    def itemsize(self) -> int:
        """Return the bytes of an element in the file."""
        return 2 if self.name == "bfloat16" else np.dtype(self.name).itemsize

    @property
    def dtype(self) -> np.dtype:
        """Return the type of the elements in memory."""
        return np.dtype("float32" if self.name in ("float16", "bfloat16") else self.name)

    def decode(self, raw: Any, order: Literal["<", ">"]) -> np.ndarray:
        """Return the elements, given in byte order "<" or ">"."""
        if self.name == "bfloat16":  # the upper half of a float32
            return (np.frombuffer(raw, f"{order}u2").astype(np.uint32) << 16).view(np.float32)
        if self.name == "bool":
            return np.frombuffer(raw, np.uint8) != 0
        return np.frombuffer(raw, np.dtype(self.name).newbyteorder(order)).astype(self.dtype)


# ---- pickles ----


class Callee(NamedTuple):
    """What a pickle may call."""

    call: Callable[..., Any]


def _encode(text: str, encoding: str) -> bytes:
    """Return the bytes that an old protocol writes as text."""
    if encoding != "latin1":
        raise ValueError(f"bytes in the encoding {encoding!r}")
    return text.encode(encoding)


def _rebuild_parameter(data: Tensor, requires_grad: bool, hooks: Any) -> Parameter:
    return Parameter(data, bool(requires_grad))


KNOWN: dict[str, Any] = {
    "collections OrderedDict": Callee(OrderedDict),
    "collections Counter": Callee(Counter),
    "torch Size": Callee(Size),
    "torch device": Callee(device),
    "torch._utils _rebuild_parameter": Callee(_rebuild_parameter),
    "_codecs encode": Callee(_encode),
    **{
        f"{module} {kind.__name__}": Callee(kind) for module in ("builtins", "__builtin__") for kind in (set, frozenset)
    },
    **{f"torch {storage}": StorageKind(kind) for storage, kind in STORAGES.items()},
    **{f"torch {kind.name}": kind for kind in dtypes.ALL},
}
NEW = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set, "EMPTY_TUPLE": tuple}
MARKED: dict[str, Callable[[list[Any]], Any]] = {"TUPLE": tuple, "LIST": list, "DICT": lambda items: _pairs(items)}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
ARGUMENTS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8",
}  # fmt: skip


class Unpickler:
    """A machine for pickles of plain data: `known` lists what they may name, `storage` makes a storage from its id."""

    def __init__(self, known: dict[str, Any], storage: Callable[[Any], Any]) -> None:
        self.known, self.storage = known, storage

    def load(self, file: BytesIO) -> Any:
        """Read one pickle."""
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # the stacks below the marks
        self.memo: dict[int, Any] = {}
        for opcode, arg, _ in pickletools.genops(file):
            self._run(opcode.name, arg)
        return self.stack.pop()

    def _run(self, name: str, arg: Any) -> None:
        stack = self.stack
        if name in ARGUMENTS:
            stack.append(arg)
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in NEW:
            stack.append(NEW[name]())
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if name == "MEMOIZE" else arg] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[arg])
        elif name == "MARK":
            self.outer.append(stack)
            self.stack = []
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            stack[-int(name[-1]) :] = [tuple(stack[-int(name[-1]) :])]
        elif name in MARKED:
            items = self._marked()
            self.stack.append(MARKED[name](items))
        elif name in ("APPEND", "SETITEM"):
            self._extend([stack.pop()] if name == "APPEND" else [stack.pop(-2), stack.pop()], name)
        elif name in ("APPENDS", "SETITEMS", "ADDITEMS"):
            self._extend(self._marked(), name)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            stack.append(self._find(arg if name == "GLOBAL" else f"{stack.pop(-2)} {stack.pop()}"))
        elif name == "REDUCE":
            callee, args = stack[-2:]
            if not isinstance(callee, Callee) or not isinstance(args, tuple):
                raise ValueError(f"it calls {type(callee).__name__} with {type(args).__name__}")
            stack[-2:] = [callee.call(*args)]
        elif name == "BINPERSID":
            stack.append(self.storage(stack.pop()))
        elif name == "BUILD" and isinstance(stack[-2], OrderedDict):
            stack.pop()  # a state dict's `_metadata`
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise ValueError(f"refused the pickle instruction {name}, which plain data does not need")

    def _marked(self) -> list[Any]:
        """Return what lies above the last mark."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    def _extend(self, items: list[Any], name: str) -> None:
        """Add items to the container on top."""
        target = self.stack[-1]
        if name.startswith("APPEND") and isinstance(target, list):
            target.extend(items)
        elif name.startswith("SETITEM") and isinstance(target, dict):
            target.update(_pairs(items))
        elif name == "ADDITEMS" and isinstance(target, set):
            target.update(items)
        else:
            raise ValueError(f"{name} on {type(target).__name__}")

    def _find(self, name: str) -> Any:
        if name not in self.known:
            raise ValueError(
                f"refused {name.replace(' ', '.')}: only tensors, containers, numbers and strings are read, since anything "
                "else could execute code (save a state dict, not the model)"
            )
        return self.known[name]


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


# ---- reading ----


class Storages:
    """The memories of a file by key, and the tensors on them; together not larger than the file."""

    def __init__(self, content: bytes, backend: Any) -> None:
        self.content, self.backend = content, backend
        self.found: dict[str, tuple[StorageKind, np.ndarray]] = {}
        self.left = len(content)
        builders = {"_rebuild_tensor": Callee(self.tensor), "_rebuild_tensor_v2": Callee(self.tensor)}
        known = KNOWN | {f"torch._utils {name}": callee for name, callee in builders.items()}
        self.unpickler = Unpickler(known, self.of_id)

    def of_id(self, pid: Any) -> np.ndarray:
        """Return the storage that ("storage", kind, key, location, elements, ...) names."""
        word, kind, key, _, count, *view = pid
        if word != "storage" or not isinstance(kind, StorageKind) or any(part is not None for part in view):
            raise ValueError(f"an unknown kind of storage: {pid!r}")
        if key not in self.found:
            self.left -= index(count) * kind.itemsize
            if count < 0 or self.left < 0:
                raise ValueError(f"storage {key!r} of {count} elements is larger than the file")
            self.found[key] = kind, self.read(key, kind, count)
        if self.found[key][0] != kind:
            raise ValueError(f"storage {key!r} is named as {self.found[key][0].name} and as {kind.name}")
        return self.found[key][1]

    def read(self, key: str, kind: StorageKind, count: int) -> np.ndarray:
        """Return the elements of a storage."""
        raise NotImplementedError

    def tensor(
        self, storage: np.ndarray, offset: int, size: Iterable[int], stride: Iterable[int],
        requires_grad: bool = False, hooks: Any = None, metadata: Any = None,
    ) -> Tensor:  # fmt: skip
        """Return the tensor of a size and stride (in elements) that begins at an offset of a storage."""
        shape, steps, offset = tuple(map(index, size)), tuple(map(index, stride)), index(offset)
        last = offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
        if min(offset, *shape, *steps, 0) < 0 or (last >= storage.size and 0 not in shape):
            raise ValueError(
                f"a tensor of shape {shape}, stride {steps} and offset {offset} on {storage.size} elements"
            )
        array = as_strided(storage[offset:], shape, tuple(storage.itemsize * step for step in steps))
        t: Tensor = wrap(Tensor, self.backend.from_numpy(array), self.backend)
        t._counter.shared = True
        return t.requires_grad_(bool(requires_grad))


class _ZipStorages(Storages):
    """A zip archive, as PyTorch writes it since version 1.6."""

    def load(self) -> Any:
        """Read the file."""
        self.archive = zipfile.ZipFile(BytesIO(self.content))
        roots = [name.removesuffix("data.pkl") for name in self.archive.namelist() if name.endswith("/data.pkl")]
        if len(roots) != 1:
            raise ValueError(f"the archive holds {len(roots)} pickles named data.pkl, not one")
        self.root = roots[0]
        order = self._member("byteorder") if f"{self.root}byteorder" in self.archive.namelist() else b"little"
        self.order: Literal["<", ">"] = ">" if order == b"big" else "<"
        return self.unpickler.load(BytesIO(self._member("data.pkl")))

    def _member(self, name: str) -> bytes:
        info = self.archive.getinfo(self.root + name)
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > len(self.content):
            raise ValueError(f"the member {info.filename!r} is compressed")
        return self.archive.read(info)

    def read(self, key: str, kind: StorageKind, count: int) -> np.ndarray:
        """Return the elements of a storage."""
        raw = self._member(f"data/{key}")
        if len(raw) != count * kind.itemsize:
            raise ValueError(f"storage {key!r} should have {count * kind.itemsize} bytes, the file has {len(raw)}")
        return kind.decode(raw, self.order)


class _OldStorages(Storages):
    """Pickles and raw memory one after the other, as PyTorch wrote it before version 1.6."""

    def load(self) -> Any:
        """Read the file."""
        file = BytesIO(self.content)
        if self.unpickler.load(file) != MAGIC:
            raise ValueError("it is a pickle, but not of PyTorch's")
        self.unpickler.load(file)  # the version of the format
        order: Literal["<", ">"] = "<" if self.unpickler.load(file)["little_endian"] else ">"
        result = self.unpickler.load(file)
        for key in self.unpickler.load(file):
            kind, storage = self.found[key]
            count = int.from_bytes(file.read(8), "little" if order == "<" else "big")
            raw = file.read(storage.size * kind.itemsize)
            if count != storage.size or len(raw) != count * kind.itemsize:
                raise ValueError(f"storage {key!r} should have {storage.size} elements, the file has {count}")
            storage[...] = kind.decode(raw, order)
        return result

    def read(self, key: str, kind: StorageKind, count: int) -> np.ndarray:
        """Return memory that is filled at the end."""
        return np.zeros(count, kind.dtype)


def is_torch_file(content: bytes) -> bool:
    """Return whether a file is a zip archive or a pickle; a safetensors header may begin like one, but goes on with "{"."""
    pickled = content[:2] in (b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5") and content[8:9] != b"{"
    return pickled or content[:4] == b"PK\3\4"


def read(content: bytes, backend: Any) -> Any:
    """Return what a file of PyTorch's holds."""
    return (_ZipStorages if content[:2] == b"PK" else _OldStorages)(content, backend).load()


# ---- writing ----


class _Writer:
    """Pickles plain data, and collects the memories of its tensors."""

    def __init__(self) -> None:
        self.storages: list[np.ndarray] = []
        self.keys: dict[Any, int] = {}  # of equal views of one memory, which stay shared

    def value(self, value: Any, path: str) -> bytes:
        """Return the instructions that make a value."""
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, (list, tuple)):
            parts = b"".join(self.value(part, f"{path}.{i}") for i, part in enumerate(value))
            return b"(" + parts + b"t" if isinstance(value, tuple) else b"](" + parts + b"e"
        if isinstance(value, dict):
            pairs = (self.value(k, path) + self.value(v, f"{path}.{k}") for k, v in value.items())
            empty = b"ccollections\nOrderedDict\n)R" if isinstance(value, OrderedDict) else b"}"
            return empty + b"(" + b"".join(pairs) + b"u"
        return _scalar(value.item() if isinstance(value, np.generic) else value, path)

    def _tensor(self, t: Tensor) -> bytes:
        array = t.numpy(force=True)
        key = self.keys.setdefault((array.ctypes.data, array.shape, array.strides, array.dtype), len(self.storages))
        if key == len(self.storages):
            self.storages.append(np.ascontiguousarray(array, array.dtype.newbyteorder("<")))
        steps = [math.prod(array.shape[d + 1 :]) for d in range(array.ndim)]
        storage = STORAGE_OF[array.dtype.name]
        out = b"ctorch._utils\n_rebuild_tensor_v2\n(("
        out += _scalar("storage") + f"ctorch\n{storage}\n".encode() + _scalar(str(key)) + _scalar("cpu")
        out += _scalar(array.size) + b"tQ" + _scalar(0)
        for sizes in (array.shape, steps):
            out += b"(" + b"".join(map(_scalar, sizes)) + b"t"
        grad = _scalar(t.requires_grad and not isinstance(t, Parameter))
        out += grad + b"ccollections\nOrderedDict\n)RtR"
        if isinstance(t, Parameter):
            end = _scalar(t.requires_grad) + b"ccollections\nOrderedDict\n)RtR"
            out = b"ctorch._utils\n_rebuild_parameter\n(" + out + end
        return out


def _scalar(value: Any, path: str = "") -> bytes:
    """Return the instruction that makes a number or a string."""
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        if -(2**31) <= value < 2**31:
            return b"J" + struct.pack("<i", value)
        size = value.bit_length() // 8 + 1
        return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        raw = value.encode("utf-8", "surrogatepass")
        return b"X" + struct.pack("<I", len(raw)) + raw
    raise unstorable(value, path)


def unstorable(value: Any, path: str) -> TypeError:
    """Return the error about a value that files cannot hold."""
    return TypeError(
        f"save: cannot store {type(value).__name__} at {path.lstrip('.') or 'the top'}; dictionaries, lists, tuples, "
        "tensors, numbers, strings, bool and None can be saved (save model.state_dict(), not the model)"
    )


def write(obj: Any, file: Any) -> None:
    """Write a nest of plain data as PyTorch does: a zip archive whose members begin at multiples of 64 bytes."""
    writer = _Writer()
    members = {"data.pkl": b"\x80\2" + writer.value(obj, "") + b"."}
    members |= {"byteorder": b"little", "version": b"3\n"}
    members |= {f"data/{key}": array.tobytes() for key, array in enumerate(writer.storages)}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(f"archive/{name}")
            pad = -(archive.start_dir + 30 + len(info.filename) + 4) % 64
            info.extra = b"FB" + pad.to_bytes(2, "little") + bytes(pad)
            archive.writestr(info, content)
