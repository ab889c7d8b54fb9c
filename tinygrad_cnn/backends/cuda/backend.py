"""The contract on an NVIDIA GPU: memory, views, elementwise operations, reductions and indexing; layers.py adds the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from math import prod
from typing import Any

import numpy as np

from ...random import Generator, watched
from ..base import Array, Backend, Dims, Shape
from ..reference import ReferenceBackend
from . import kernels as k
from .array import CudaArray, Driver, Pool, contiguous_strides, joined
from .kernels.elementwise import CONDITIONS, expressions
from .kernels.reduce import neutral
from .launch import Spec

REFERENCE = ReferenceBackend()
PARTS = 1 << 15  # elements that one block adds up, if few results would leave the device idle


def real_type(dtype: np.dtype) -> Any:
    """Return the type that kernels compute with: bool is uint8 to them."""
    return np.uint8 if dtype.kind == "b" else dtype.type


class Recorded:
    """The launches of a step, the memory that they use, and what the host brings to that memory before each replay."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.keep: list[Any] = []
        self.uploads: list[tuple[int, np.ndarray]] = []
        self.graph: Any = None
        self.sources: list[Callable[[], Any]] = []  # learning rates and counted steps, seeds and counters
        self.undo: list[Callable[[], Any]] = []  # recording is no step
        self.streams: dict[tuple[int, int], int] = {}  # seed and counter when recorded -> source
        self.fills: list[tuple[int, Callable[[Any], np.ndarray], int]] = []  # source, what is made of it, address

    def draw(self, generator: Generator, words: int) -> None:
        """Note that a generator is about to draw, which each replay does again."""
        state = generator.get_state()
        seed, counter = map(int, state.view(np.uint64))
        self.streams[seed, counter] = len(self.sources)
        self.sources.append(partial(generator.take, words))
        self.undo.append(partial(generator.set_state, state))

    def end(self) -> None:
        """Take the steps back that the host counted."""
        self.graph = self.driver.end_recording()
        for undo in reversed(self.undo):
            undo()

    def launch(self) -> None:
        """Run them."""
        values = [source() for source in self.sources]
        for source, make, address in self.fills:
            self.driver.upload(address, make(values[source]))
        self.driver.replay(self.graph)


class CudaMemory(Backend):
    """Memory, launches and views."""

    name = "cuda"

    def __init__(self, driver: Driver | None = None) -> None:
        if driver is None:
            from .driver import open_driver

            driver = open_driver()
        self.driver = driver
        self.pool = Pool(driver)
        self._tables: dict[Any, CudaArray] = {}
        self._wrong: CudaArray | None = None  # where kernels note what they cannot raise
        self._doubtful: str | None = None  # the last kernel that may have done so
        self._recorded: Recorded | None = None  # while a step is recorded

    def launch(self, spec: Spec, threads: int, arguments: list[Any], grid: Any = None, **options: Any) -> None:
        """Run a kernel with `threads` threads in all, or a grid of blocks; arrays become addresses, None becomes 0."""
        kernel = spec.build(**options)
        if grid is None:
            grid = (-(-threads // kernel.threads), 1, 1)
        if threads == 0 or 0 in grid:
            return
        if self._recorded is not None:
            self._recorded.keep += [a.block for a in arguments if isinstance(a, CudaArray)]
        values = [
            a.address
            if isinstance(a, CudaArray)
            else 0
            if a is None
            else p.dtype(a)
            if not p.pointer and not p.length
            else a
            for a, p in zip(arguments, kernel.parameters, strict=True)
        ]
        self.driver.launch(kernel, grid, values)

    def table(self, key: Any, make: Callable[[], np.ndarray]) -> CudaArray:
        """Return a small constant array, made once for each key."""
        found = self._tables.get(key)
        if found is None:
            if len(self._tables) >= 1024:
                self._tables.clear()
            host = np.ascontiguousarray(make())
            found = self._tables[key] = self.empty(host.shape, host.dtype)
            if self._recorded is not None:  # constants can come before the first replay
                self._recorded.uploads.append((found.address, host))
            elif host.size:
                self.driver.upload(found.address, host)
        if self._recorded is not None:
            self._recorded.keep.append(found.block)
        return found

    @contextmanager
    def recording(self) -> Iterator[Recorded]:
        """Record launches instead of running them."""
        self._recorded = recorded = Recorded(self.driver)
        self.driver.begin_recording()
        try:
            with watched(recorded.draw):
                yield recorded
        finally:
            self._recorded = None
            recorded.end()
        for address, host in recorded.uploads:
            self.driver.upload(address, host)

    def host_numbers(self, advance: Callable[[int], Any]) -> Any:
        if self._recorded is not None:
            self._recorded.sources.append(partial(advance, 1))
            self._recorded.undo.append(partial(advance, -1))
        return advance(1)

    def of_host(self, make: Callable[[Any], np.ndarray], numbers: Any, source: int = -1) -> CudaArray:
        """Return a small array made of numbers of the host; a replay makes it again of what a source (the last) gives."""
        host, recorded = make(numbers), self._recorded
        if recorded is None:
            return self.from_numpy(host)
        y = self.empty(host.shape, host.dtype)
        recorded.fills.append((source % len(recorded.sources), make, y.address))
        return y

    def stream(self, seed: int, counter: int) -> tuple[bool, list[Any]]:
        """Return whether kernels read seed and counter from memory, and their arguments: both, and that memory."""
        if self._recorded is None:
            return False, [seed, counter, None]
        source = self._recorded.streams[seed, counter]
        return True, [0, 0, self.of_host(lambda drawn: np.array(drawn, np.uint64), (seed, counter), source)]

    def not_recorded(self, what: str) -> None:
        if self._recorded is not None:
            raise RuntimeError(
                f"cuda.graph: {what} cannot be part of a recorded step: each replay would repeat what was recorded"
            )

    def suspects(self, kernel: str) -> CudaArray:
        """Return where a kernel notes a wrong index; it is looked at when numbers are next read."""
        if self._wrong is None:
            self._wrong = self.from_numpy(np.zeros(2, np.int64))
        self._doubtful = kernel
        return self._wrong

    def check(self) -> None:
        """Raise IndexError if a kernel has met an index out of range."""
        if self._doubtful is None or self._wrong is None:
            return
        host, name = np.zeros(2, np.int64), self._doubtful
        self.driver.download(self._wrong.address, host)
        self._doubtful = None
        if host[0]:
            self._wrong = None
            raise IndexError(f"{name}: {int(host[1])} is out of range (noticed when results were read)")

    # ---- memory ----

    def from_numpy(self, array: np.ndarray) -> Array:
        return self.copied_in(array)

    def copied_in(self, array: np.ndarray, wait: bool = True) -> Array:
        self.not_recorded("a copy from the host")
        host = np.ascontiguousarray(array).reshape(array.shape)
        y = self.empty(host.shape, host.dtype)
        if host.size:
            self.driver.upload(y.address, host, wait)
        return y

    def to_numpy(self, x: Array) -> np.ndarray:
        self.not_recorded("reading numbers")
        self.check()
        host = np.empty(x.shape, x.dtype)
        if host.size:
            self.driver.download(self.packed(x).address, host)
        return host

    def empty(self, shape: Shape, dtype: np.dtype) -> Array:
        dtype = np.dtype(dtype)
        shape = tuple(map(int, shape))
        block = self.pool.take(max(1, prod(shape)) * dtype.itemsize)
        return CudaArray(block, 0, shape, contiguous_strides(shape, dtype.itemsize), dtype)

    def full(self, shape: Shape, value: float, dtype: np.dtype) -> Array:
        y = self.empty(shape, dtype)
        self._map("copy", y, [value], real_type(y.dtype), y.dtype.type)
        return y

    def copy(self, x: Array) -> Array:
        return self.cast(x, x.dtype)

    def cast(self, x: Array, dtype: np.dtype) -> Array:
        y = self.empty(x.shape, dtype)
        self.assign(y, x)
        return y

    def assign(self, target: Array, values: Array) -> None:
        if values.shape != target.shape:
            values = self.expand(values, target.shape)
        self._map("copy", target, [values], real_type(values.dtype), values.dtype.type)

    def packed(self, x: CudaArray) -> CudaArray:
        """Return x, or a contiguous copy of it."""
        return x if x.contiguous else self.copy(x)

    # ---- views: NumPy works out shapes and steps on an array without memory ----

    def _view(self, kernel: str, x: CudaArray, *args: Any) -> CudaArray:
        shadow = np.lib.stride_tricks.as_strided(np.empty(1, x.dtype), x.shape, x.strides)
        view = getattr(REFERENCE, kernel)(shadow, *args)
        moved = view.__array_interface__["data"][0] - shadow.__array_interface__["data"][0]
        return CudaArray(x.block, x.offset + moved, view.shape, view.strides, x.dtype)

    def reshape(self, x: Array, shape: Shape) -> Array:
        if x.contiguous and prod(shape) == x.size and -1 not in shape:
            return CudaArray(
                x.block, x.offset, tuple(shape), contiguous_strides(tuple(shape), x.dtype.itemsize), x.dtype
            )
        return self._view("reshape", x, shape)

    def permute(self, x: Array, dims: Dims) -> Array:
        return self._view("permute", x, dims)

    def expand(self, x: Array, shape: Shape) -> Array:
        return self._view("expand", x, shape)

    def slice(self, x: Array, key: tuple[Any, ...]) -> Array:
        return self._view("slice", x, key)

    def diagonal(self, x: Array, offset: int) -> Array:
        return self._view("diagonal", x, offset)

    # ---- elementwise ----

    def elementwise(self, op: str, *operands: Any) -> Array:
        arrays = [o for o in operands if isinstance(o, CudaArray)]
        shapes = [a.shape for a in arrays]
        shape = shapes[0] if all(s == shapes[0] for s in shapes) else np.broadcast_shapes(*shapes)
        values = arrays[1:] if op == "where" and isinstance(operands[0], CudaArray) else arrays
        dtype = values[0].dtype if values else np.result_type(*operands[1:])
        if op == "bitwise_not" and dtype.kind == "b":
            op = "logical_not"
        y = self.empty(shape, np.dtype(bool) if op in CONDITIONS else dtype)
        first = arrays[0].dtype.type if isinstance(operands[0], CudaArray) else dtype.type
        self._map(op, y, list(operands), real_type(dtype), first)
        return y

    def loop(self, op: str) -> Callable[..., Array]:
        return partial(self.elementwise, op)

    def _map(self, row: str, y: CudaArray, operands: list[Any], real: Any, first: Any) -> None:
        """Write a row of operands, which broadcast to the shape of y, into y."""
        if row not in expressions(real):
            raise NotImplementedError(f"the 'cuda' backend has no {row!r} of {np.dtype(real)}")
        kinds = "".join("a" if isinstance(o, CudaArray) else "n" for o in operands)
        padded: list[Any] = [*operands, None, None, None][:4]
        pointers = [o if isinstance(o, CudaArray) else None for o in padded]
        numbers = [o if o is not None and p is None else 0 for o, p in zip(padded, pointers)]
        arguments = [y, *pointers, *numbers, y.size]
        arrays = [y, *[p for p in pointers if p is not None]]
        options: dict[str, Any] = {"row": row, "real": real, "kinds": kinds}
        result = y.dtype.type
        if all(a.contiguous and a.shape == y.shape for a in arrays):
            plain = real in (np.float32, np.float64) and all(a.dtype == real for a in arrays)
            if plain and all(a.address % 16 == 0 for a in arrays):
                self.launch(k.elementwise.flat4, -(-y.size // 4), arguments, **options)
            else:
                self.launch(k.elementwise.flat, y.size, arguments, first=first, result=result, **options)
            return
        steps = [_broadcast_steps(a, y.shape) for a in arrays]
        sizes, moves = joined(y.shape, steps)
        none = [0] * len(sizes)
        placed = iter(moves[1:])
        layout = [sizes, moves[0], *[none if p is None else next(placed) for p in pointers]]
        options |= {"axes": len(sizes), "first": first, "result": result}
        self.launch(k.elementwise.strided, y.size, [*arguments, *map(tuple, layout)], **options)

    # ---- reductions ----

    def reduce(self, op: str, x: Array, dims: Dims, keepdim: bool) -> Array:
        kept = [a for a in range(x.ndim) if a not in dims]
        shape = [1 if a in dims else n for a, n in enumerate(x.shape)] if keepdim else [x.shape[a] for a in kept]
        real = real_type(x.dtype)
        count = prod(x.shape[a] for a in dims)
        if count == 0:
            if op in ("amax", "amin"):
                raise ValueError(f"{op}: no elements along axes {dims} of shape {x.shape}")
            return self.full(tuple(shape), np.nan if op == "mean" else neutral(op, real), x.dtype)
        y = self.empty(tuple(shape), x.dtype)
        self._reduce(op, real, y, x, kept, list(dims), count)
        return y

    def _reduce(
        self, op: str, real: Any, y: CudaArray, x: CudaArray, kept: list[int], dims: list[int], count: int
    ) -> None:
        outer, outer_steps = joined(tuple(x.shape[a] for a in kept), [tuple(x.steps[a] for a in kept)])
        inner, inner_steps = joined(tuple(x.shape[a] for a in dims), [tuple(x.steps[a] for a in dims)])
        layout = [tuple(outer), tuple(outer_steps[0]), tuple(inner), tuple(inner_steps[0])]
        options = {"op": op, "real": real, "kept": len(outer), "reduced": len(inner)}
        n = y.size
        if count <= 64 or (n >= 4096 and outer_steps[0][-1] == 1):
            self.launch(k.reduce.reduce_by_thread, n, [y, x, n, count, *layout], **options)
            return
        parts = -(-count // PARTS) if n < 1024 else 1
        if parts == 1:
            self.launch(k.reduce.reduce_by_block, n, [y, x, n, count, count, *layout], (n, 1, 1), **options)
            return
        partial_op = "sum" if op == "mean" else op
        some = self.empty((parts, n), y.dtype)
        arguments = [some, x, n, count, PARTS, *layout]
        self.launch(k.reduce.reduce_by_block, n, arguments, (n, parts, 1), **options | {"op": partial_op})
        total = self.reduce(partial_op, some, (0,), False)
        if op == "mean":
            total = self.elementwise("div", total, float(count))
        self.assign(y, self.reshape(total, y.shape))

    def arg_reduce(self, op: str, x: Array, dim: int, keepdim: bool) -> Array:
        y = self.arg_parts(op, x, dim, ((0, x.shape[dim]),))
        return y if keepdim else self.reshape(y, (*x.shape[:dim], *x.shape[dim + 1 :]))

    def arg_parts(self, op: str, x: Array, dim: int, parts: tuple[tuple[int, int], ...]) -> Array:
        y = self.empty((*x.shape[:dim], len(parts), *x.shape[dim + 1 :]), np.dtype(np.int64))
        table = self.table(("parts", parts), partial(np.array, parts, np.int32))
        arguments = [y, self.packed(x), table, y.size, x.shape[dim], len(parts), prod(x.shape[dim + 1 :])]
        self.launch(k.reduce.arg_parts, y.size, arguments, op=op, real=real_type(x.dtype))
        return y

    def scan(self, op: str, x: Array, dim: int) -> Array:
        y = self.empty(x.shape, x.dtype)
        length, inner = x.shape[dim], prod(x.shape[dim + 1 :])
        lines = x.size // max(1, length)
        self.launch(k.reduce.scan, lines, [y, self.packed(x), lines, length, inner], op=op, real=real_type(x.dtype))
        return y

    def argsort(self, x: Array, dim: int, descending: bool) -> Array:
        y = self.empty(x.shape, np.dtype(np.int64))
        arguments = [y, self.packed(x), x.size, x.shape[dim], prod(x.shape[dim + 1 :])]
        self.launch(k.reduce.argsort, x.size, arguments, real=real_type(x.dtype), descending=descending)
        return y

    # ---- joining and indexing ----

    def cat(self, xs: Sequence[Array], dim: int) -> Array:
        shape = list(xs[0].shape)
        shape[dim] = sum(x.shape[dim] for x in xs)
        y = self.empty(tuple(shape), xs[0].dtype)
        start = 0
        for x in xs:
            stop = start + x.shape[dim]
            self.assign(self.slice(y, (*[slice(None)] * dim, slice(start, stop))), x)
            start = stop
        return y

    def pad(self, x: Array, pads: tuple[tuple[int, int], ...], value: float) -> Array:
        y = self.full(tuple(n + a + b for n, (a, b) in zip(x.shape, pads)), value, x.dtype)
        inner = self.slice(x, tuple(slice(max(0, -a), n - max(0, -b)) for (a, b), n in zip(pads, x.shape)))
        self.assign(self.slice(y, tuple(slice(max(0, a), n - max(0, b)) for (a, b), n in zip(pads, y.shape))), inner)
        return y

    def index(self, x: Array, key: tuple[Any, ...]) -> Array:
        single = _single_index(key)
        if single is not None and x.ndim > single:
            return self._index_axis(x, single, key[single])
        places = self._places(x, key)
        y = self.empty(places.shape, x.dtype)
        self.launch(k.index.take, y.size, [y, x, self.from_numpy(places), y.size], real=real_type(x.dtype))
        return y

    def _index_axis(self, x: CudaArray, axis: int, index: CudaArray) -> CudaArray:
        y = self.empty((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]), x.dtype)
        index = self.packed(self.cast(index, np.dtype(np.int64)) if index.dtype != np.int64 else index)
        sizes = [x.shape[axis], index.size, prod(x.shape[axis + 1 :])]
        arguments = [y, self.suspects("index"), self.packed(x), index, y.size, *sizes]
        self.launch(k.index.take_rows, y.size, arguments, real=real_type(x.dtype))
        return y

    def _places(self, x: CudaArray, key: tuple[Any, ...]) -> np.ndarray:
        """Return where x[key] lies, in elements from the first: NumPy indexes an array of places, on the host."""
        places = np.zeros(x.shape, np.int64)
        for axis, (n, step) in enumerate(zip(x.shape, x.steps)):
            places += (np.arange(n) * step).reshape(-1, *[1] * (x.ndim - axis - 1))
        return places[tuple(self.to_numpy(item) if isinstance(item, CudaArray) else item for item in key)]

    def index_put(self, target: Array, key: tuple[Any, ...], values: Array, accumulate: bool) -> None:
        places = self._places(target, key)
        values = self.packed(self.expand(values, places.shape))
        flat = places.reshape(-1)
        order = np.argsort(flat, kind="stable")
        real = real_type(target.dtype)
        unique, starts = np.unique(flat[order], return_index=True)
        ends = np.append(starts, flat.size)
        if accumulate:
            lists = [self.from_numpy(a.astype(np.int64)) for a in (unique, ends, order)]
            self.launch(k.index.put_sums, unique.size, [target, *lists, values, unique.size], real=real)
        else:  # the last value written to a place stays
            lists = [self.from_numpy(a.astype(np.int64)) for a in (unique, order[ends[1:] - 1])]
            self.launch(k.index.put, unique.size, [target, *lists, values, unique.size], real=real)

    def nonzero(self, x: Array) -> tuple[Array, ...]:
        return tuple(self.from_numpy(places) for places in np.nonzero(self.to_numpy(x)))

    def gather(self, x: Array, dim: int, index: Array) -> Array:
        y = self.empty(index.shape, x.dtype)
        steps = [0 if a == dim else s for a, s in enumerate(x.steps)]
        sizes, (moves,) = joined(index.shape, [tuple(steps)])
        arguments = [y, x, self.packed(index), y.size, x.steps[dim], tuple(sizes), tuple(moves)]
        self.launch(k.index.gather, y.size, arguments, real=real_type(x.dtype), axes=len(sizes))
        return y

    def scatter(self, op: str, target: Array, dim: int, index: Array, values: Array) -> None:
        if index.size == 0:
            return
        sizes = tuple(target.shape[a] if a == dim else n for a, n in enumerate(index.shape))
        steps = [tuple(int(a == dim) for a in range(target.ndim)), target.steps]
        steps += [tuple(0 if a == dim else s for a, s in enumerate(t.steps)) for t in (index, values)]
        joint, moves = joined(sizes, steps)
        arguments = [
            target, index, values, prod(sizes), index.shape[dim], index.steps[dim], values.steps[dim], tuple(joint),
            *map(tuple, moves),
        ]  # fmt: skip
        self.launch(k.index.scatter, prod(sizes), arguments, op=op, real=real_type(target.dtype), axes=len(joint))


def _broadcast_steps(x: CudaArray, shape: Shape) -> tuple[int, ...]:
    """Return the steps of x in an array of another shape."""
    missing = len(shape) - x.ndim
    return (0,) * missing + tuple([0 if n == 1 and m != 1 else s for n, m, s in zip(x.shape, shape[missing:], x.steps)])


def _single_index(key: tuple[Any, ...]) -> int | None:
    """Return the place of the only array of integers in a key that is otherwise of whole axes."""
    arrays = [a for a, item in enumerate(key) if isinstance(item, CudaArray)]
    others = [item for item in key if not isinstance(item, CudaArray)]
    if len(arrays) == 1 and all(isinstance(o, slice) and o == slice(None) for o in others):
        return arrays[0] if key[arrays[0]].dtype != bool else None
    return None
