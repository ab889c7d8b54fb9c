"""Making tensors: from data, filled, evenly spaced, random."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce, wraps
from typing import Any

import numpy as np

from . import dtypes
from .autograd import no_grad
from .autograd.graph import TensorBase, wrap
from .backends import get_backend
from .geometry import broadcast
from .ops.elementwise import number
from .ops.inplace import into
from .ops.random import words64
from .ops.shape import new_shape
from .random import Generator, default_generator, words_needed
from .tensor import Tensor

Shape = Any  # ints, or one tuple of ints


def _make(array: np.ndarray, device: Any, requires_grad: bool) -> Tensor:
    """Return a tensor that owns `array`."""
    backend = get_backend(device)
    t: Tensor = wrap(Tensor, backend.from_numpy(array), backend)
    if requires_grad:
        t.requires_grad_()
    return t


def _kind(dtype: Any) -> np.dtype:
    """Return the NumPy dtype that is wanted, or the default one."""
    return (dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)).numpy


def _checked(array: np.ndarray) -> np.ndarray:
    """Raise unless the array has one of our dtypes, in the machine's byte order."""
    if array.dtype.isnative is False:
        raise ValueError(
            f"the array has byte order {array.dtype.byteorder!r}; convert with array.astype({array.dtype.name})"
        )
    dtypes.as_dtype(array.dtype)
    return array


def _dtypes_in(data: Any) -> set[np.dtype]:
    """Return the dtypes of the elements of nested lists; a Python float has the default one."""
    found: set[np.dtype] = set()
    for kind in set(map(type, data)):
        items: list[Any] = [item for item in data if type(item) is kind]
        if issubclass(kind, (np.ndarray, np.generic)):
            found.update(_checked(item).dtype for item in items)
        elif issubclass(kind, (bool, int, float)):
            found.add(dtypes.of_scalar(items[0]).numpy)
        elif issubclass(kind, TensorBase):
            found.update(item._array.dtype for item in items)
        elif issubclass(kind, Sequence) and not issubclass(kind, (str, bytes)):
            found.update(*map(_dtypes_in, items))
        else:
            raise TypeError(f"tensor: cannot make a tensor of {kind.__name__} {items[0]!r}")
    return found


def _unwrapped(data: Any) -> Any:
    """Replace one-element tensors in nested lists by numbers."""
    if isinstance(data, TensorBase):
        return data.item()  # type: ignore[attr-defined]
    return [_unwrapped(item) for item in data] if isinstance(data, (list, tuple)) else data


def _from_nested(data: Any, wanted: np.dtype | None) -> np.ndarray:
    """Return a number or nested lists of numbers, tensors, arrays as an array of the dtype that PyTorch gives them."""
    kinds = _dtypes_in([data])
    own = reduce(dtypes.promote_numpy, kinds) if kinds else dtypes.get_default_dtype().numpy
    try:
        array = np.array(_unwrapped(data), np.float64 if own.kind == "f" else own)
    except OverflowError:
        raise ValueError(f"tensor: a number in {data!r} does not fit into {own}") from None
    except ValueError as error:
        raise ValueError(f"tensor: the nested lists are not all of equal length: {error}") from None
    kind = own if wanted is None else wanted
    if kind.kind in "iu" and array.size:
        for extreme in (array.min(), array.max()):
            dtypes.stored("tensor", extreme.item(), kind)
    return _converted(array, kind)


def _converted(array: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Return a C-contiguous copy of another dtype; what does not fit wraps around or becomes infinite."""
    with np.errstate(all="ignore"):
        return np.array(array, kind, order="C")


def _quiet(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Accept PyTorch's `layout` and `memory_format`, which change nothing, `pin_memory` and `out`."""

    @wraps(function)
    def wrapper(
        *args: Any,
        layout: Any = None,
        pin_memory: Any = None,
        memory_format: Any = None,
        out: Any = None,
        **kwargs: Any,
    ) -> Tensor:
        t = function(*args, **kwargs)
        t = t.pin_memory() if pin_memory else t
        return t if out is None else into(out, t, function.__name__)

    return wrapper


@_quiet
def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a new tensor with a copy of numbers, nested lists, an array (whose dtype is kept) or a tensor."""
    if isinstance(data, TensorBase):
        copied = data.detach().to(dtype=dtype, device=device, copy=True)  # type: ignore[attr-defined]
        return copied.requires_grad_() if requires_grad else copied
    wanted = None if dtype is None else dtypes.as_dtype(dtype).numpy
    if isinstance(data, (np.ndarray, np.generic)):
        array = _converted(_checked(np.asarray(data)), data.dtype if wanted is None else wanted)
    else:
        array = _from_nested(data, wanted)
    return _make(array, device, requires_grad)


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """Return a tensor on the memory of a NumPy array: changes of either are seen by both."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected an array, got {type(ndarray).__name__}")
    if any(stride < 0 for stride in ndarray.strides):
        raise ValueError("from_numpy: arrays with negative strides are not supported; pass array.copy()")
    t = _make(_checked(ndarray), None, False)
    t._counter.shared = True
    return t


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Return data as a tensor, without a copy where dtype and device allow it."""
    if isinstance(data, Tensor):
        return data.to(dtype=dtype, device=device)
    if isinstance(data, np.ndarray) and not any(stride < 0 for stride in data.strides):
        return from_numpy(data).to(dtype=dtype, device=device)
    return tensor(data, dtype=dtype, device=device)


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Tensor:
    """Return data as a tensor; copy=True always copies, False never (ValueError where that is impossible)."""
    t = tensor(obj, dtype=dtype, device=device) if copy else as_tensor(obj, dtype, device)
    if copy is False and not (t is obj or (isinstance(obj, np.ndarray) and np.shares_memory(t.numpy(), obj))):
        raise ValueError("asarray: this conversion needs a copy; leave copy at None")
    return t.requires_grad_() if requires_grad else t


def from_dlpack(ext_tensor: Any) -> Tensor:
    """Return a tensor on the memory of any array that has `__dlpack__`, on the CPU or on a GPU."""
    if ext_tensor.__dlpack_device__()[0] == 2:
        from .backends.cuda.dlpack import adopt

        return wrap(Tensor, adopt(ext_tensor.__dlpack__()), get_backend("cuda"))
    array = np.from_dlpack(ext_tensor)
    return from_numpy(array if array.flags.writeable else array.copy())


def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """Return a vector on the memory of a writable buffer."""
    t = from_numpy(np.frombuffer(buffer, _kind(dtype), count, offset))
    return t.requires_grad_() if requires_grad else t


def scalar_tensor(s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a number as a tensor without dimensions, of the default dtype unless one is named."""
    return full((), s, dtype=_kind(dtype), device=device, requires_grad=requires_grad)


@_quiet
def full(size: Shape, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor filled with a number, whose type gives the dtype unless one is named."""
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"full: size must be a tuple of ints, got {size!r}")
    value = number("full", fill_value.item() if isinstance(fill_value, Tensor) and not fill_value.ndim else fill_value)
    kind = dtypes.of_scalar(value).numpy if dtype is None else _kind(dtype)
    return _filled("full", (size,), value, kind, device, requires_grad)


def _filled(op: str, size: tuple[Any, ...], value: Any, kind: np.dtype, device: Any, requires_grad: bool) -> Tensor:
    shape = new_shape(op, size)
    backend = get_backend(device)
    array = backend.empty(shape, kind) if value is None else backend.full(shape, dtypes.stored(op, value, kind), kind)
    t: Tensor = wrap(Tensor, array, backend)
    return t.requires_grad_() if requires_grad else t


def _wanted(op: str, size: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """Return the sizes given by position, or as size=."""
    if set(named) - {"size"} or bool(size) == bool(named):
        raise TypeError(f"{op}: expected sizes, as {op}(2, 3), {op}((2, 3)) or {op}(size=(2, 3)); got {size}, {named}")
    return size or (named["size"],)


def _filler(name: str, value: float | None, doc: str) -> Callable[..., Tensor]:
    def function(
        *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **named: Any
    ) -> Tensor:
        return _filled(name, _wanted(name, size, named), value, _kind(dtype), device, requires_grad)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return _quiet(function)


zeros = _filler("zeros", 0, "Return zeros: zeros(2, 3) or zeros((2, 3)).")
ones = _filler("ones", 1, "Return ones: ones(2, 3) or ones((2, 3)).")
empty = _filler("empty", None, "Return a tensor with arbitrary contents.")


@_quiet
def arange(start: float | None = None, end: float | None = None, step: float = 1, *, dtype: Any = None, device: Any = None,
           requires_grad: bool = False) -> Tensor:  # fmt: skip
    """Return start, start + step, ... below end; with one number it is the end.  All ints give int64."""
    if start is None or end is None:
        start, end = 0, start if end is None else end
    first, last, step = [number("arange", x.item() if isinstance(x, Tensor) else x) for x in (start, end, step)]
    whole = all(isinstance(x, int) for x in (first, last, step))
    kind = np.dtype(np.int64) if dtype is None and whole else _kind(dtype)
    if step == 0 or not 0 <= (last - first) / step < math.inf or (kind == np.int64 and not int(step)):
        raise RuntimeError(f"arange: step {step} does not lead from {first} to {last}")
    if kind == np.int64:  # as in PyTorch, integers are counted in whole steps
        whole, first, last, step = True, int(first), int(last), int(step)
    count = -(-(last - first) // step) if whole else math.ceil((last - first) / step)
    start, step = (int(first), int(step)) if kind.kind in "iu" else (first, step)
    return _make(_converted(start + np.arange(count) * step, kind), device, requires_grad)


@_quiet
def linspace(start: float, end: float, steps: int, *, dtype: Any = None, device: Any = None,
             requires_grad: bool = False) -> Tensor:  # fmt: skip
    """Return `steps` evenly spaced numbers from start to end, both included."""
    if steps < 0:
        raise RuntimeError(f"linspace: steps must not be negative, got {steps}")
    kind = _kind(dtype)
    first, last = [number("linspace", x.item() if isinstance(x, Tensor) else x) for x in (start, end)]
    if kind.kind in "iu":
        first, last = int(first), int(last)
    return _make(_converted(np.linspace(first, last, steps), kind), device, requires_grad)


@_quiet
def logspace(start: float, end: float, steps: int, base: float = 10.0, *, dtype: Any = None, device: Any = None,
             requires_grad: bool = False) -> Tensor:  # fmt: skip
    """Return `steps` powers of base, their exponents evenly spaced from start to end."""
    exponents = linspace(start, end, steps, dtype=dtypes.float64)
    return _make(_converted(base ** exponents.numpy(), _kind(dtype)), device, requires_grad)


def _triangle_indices(name: str, find: Callable[..., Any]) -> Callable[..., Tensor]:
    def function(row: int, col: int, offset: int = 0, *, dtype: Any = dtypes.int64, device: Any = None) -> Tensor:
        if row < 0 or col < 0:
            raise RuntimeError(f"{name}: sizes must not be negative, got {row}, {col}")
        return _make(np.stack(find(row, offset, col)).astype(_kind(dtype)), device, False)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Return rows and columns of the elements that {name[:4]}() keeps, as two rows."
    return _quiet(function)


tril_indices, triu_indices = (
    _triangle_indices("tril_indices", np.tril_indices),
    _triangle_indices("triu_indices", np.triu_indices),
)


@_quiet
def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return the identity matrix of n rows and m (default n) columns."""
    if n < 0 or (m is not None and m < 0):
        raise RuntimeError(f"eye: sizes must not be negative, got {n}, {m}")
    return _make(np.eye(n, m, dtype=_kind(dtype)), device, requires_grad)


# ---- random ----


def _random(name: str, kernel: str, doc: str) -> Callable[..., Tensor]:
    def function(*size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None,
                 requires_grad: bool = False, **named: Any) -> Tensor:  # fmt: skip
        t = _filled(name, _wanted(name, size, named), None, _kind(dtype), device, False)
        if not t.is_floating_point():
            raise RuntimeError(f"{name}: expected a floating dtype, got {t.dtype}; use randint()")
        stream = generator or default_generator
        t._array = getattr(t._backend, kernel)(
            t._array.shape, t._array.dtype, *stream.take(words_needed(kernel, t.numel(), t.itemsize))
        )
        return t.requires_grad_() if requires_grad else t

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return _quiet(function)


rand = _random("rand", "random_uniform", "Return uniform random numbers from [0, 1).")
randn = _random("randn", "random_normal", "Return standard normal random numbers.")


@_quiet
def randint(low: Any = None, high: Any = None, size: Any = None, *, generator: Generator | None = None,
            dtype: Any = dtypes.int64, device: Any = None, requires_grad: bool = False) -> Tensor:  # fmt: skip
    """Return random integers from low to high - 1; low may be left out and is 0 then."""
    if isinstance(high, (tuple, list)):
        low, high, size = 0, low, high
    elif low is None or high is None:
        low, high = 0, low if high is None else high
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"randint: size must be a tuple of ints, got {size!r}")
    if high <= low:
        raise RuntimeError(f"randint: low {low} must be less than high {high}")
    shape = new_shape("randint", (size,))
    for limit in (low, high - 1):
        dtypes.stored("randint", limit, _kind(dtype))
    values = words64(math.prod(shape), generator) % np.uint64(high - low)
    return _make((values.astype(np.int64) + low).astype(_kind(dtype)).reshape(shape), device, requires_grad)


@_quiet
def randperm(n: int, *, generator: Generator | None = None, dtype: Any = dtypes.int64, device: Any = None,
             requires_grad: bool = False) -> Tensor:  # fmt: skip
    """Return the numbers 0 ... n - 1 in random order."""
    if n < 0:
        raise RuntimeError(f"randperm: n must not be negative, got {n}")
    order = np.argsort(words64(n, generator), kind="stable")
    return _make(order.astype(_kind(dtype)), device, requires_grad)


@_quiet
def normal(mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Generator | None = None, dtype: Any = None,
           device: Any = None, requires_grad: bool = False) -> Tensor:  # fmt: skip
    """Return normal random numbers: of a size, or with a mean or a standard deviation (or both) for each element."""
    if size is None:
        if not isinstance(mean, Tensor) and not isinstance(std, Tensor):
            raise TypeError("normal: expected a tensor of means or standard deviations, or a size")
        like = mean if isinstance(mean, Tensor) else std
        size = broadcast("normal", *[x._array.shape for x in (mean, std) if isinstance(x, Tensor)])
        dtype, device = like.dtype, like.device
    if (std.numel() and bool((std < 0).any())) if isinstance(std, Tensor) else std < 0:
        raise RuntimeError(f"normal: std must not be negative, got {std}")
    with no_grad():
        y = randn(size, generator=generator, dtype=dtype, device=device) * std + mean
    return y.requires_grad_() if requires_grad else y


def bernoulli(input: Tensor, p: Any = None, *, generator: Generator | None = None) -> Tensor:
    """Return 1 with the probabilities that the elements are (or with p), else 0."""
    return input.bernoulli(p, generator=generator)


def get_rng_state() -> Tensor:
    """Return the state of the default generator as uint8."""
    return _make(default_generator.get_state(), None, False)


def set_rng_state(new_state: Any) -> None:
    """Set the default generator to a state that get_rng_state returned."""
    default_generator.set_state(new_state)


# ---- like another tensor ----


def _like(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def function(
        input: Tensor, *args: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **kwargs: Any
    ) -> Tensor:
        if not isinstance(input, Tensor):
            raise TypeError(f"{make.__name__}_like: expected a tensor, got {type(input).__name__} {input!r}")
        kind = input.dtype if dtype is None else dtype
        where = input.device if device is None else device
        return make(tuple(input.shape), *args, dtype=kind, device=where, requires_grad=requires_grad, **kwargs)

    function.__name__ = function.__qualname__ = make.__name__ + "_like"
    function.__doc__ = f"Return {make.__name__}() with the shape, dtype and device of `input`."
    return _quiet(function)


zeros_like = _like(zeros)
ones_like = _like(ones)
empty_like = _like(empty)
full_like = _like(full)
rand_like = _like(rand)
randn_like = _like(randn)


@_quiet
def randint_like(input: Tensor, low: int, high: int | None = None, *, dtype: Any = None, device: Any = None,
                 requires_grad: bool = False) -> Tensor:  # fmt: skip
    """Return randint() with the shape, dtype and device of `input`."""
    low, high = (0, low) if high is None else (low, high)
    kind, where = dtype or input.dtype, device or input.device
    return randint(low, high, tuple(input.shape), dtype=kind, device=where, requires_grad=requires_grad)


# ---- PyTorch's older names ----


class _Typed(type):
    """A class of tensors of one dtype: makes them, and knows them by isinstance."""

    dtype: dtypes.dtype

    def __call__(cls, *data: Any) -> Tensor:
        return Tensor(*data).to(cls.dtype) if not data or isinstance(data[0], int) else tensor(data[0], dtype=cls.dtype)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype is cls.dtype


def _typed(dtype: dtypes.dtype) -> _Typed:
    doc = f"Make {dtype.name} tensors: of given sizes (contents arbitrary), or from data."
    return _Typed(dtypes.TYPE_NAMES[dtype], (), {"dtype": dtype, "__doc__": doc, "__module__": __name__})


FloatTensor, DoubleTensor, CharTensor, ShortTensor = map(
    _typed, (dtypes.float32, dtypes.float64, dtypes.int8, dtypes.int16)
)
IntTensor, LongTensor, ByteTensor, BoolTensor = map(_typed, (dtypes.int32, dtypes.int64, dtypes.uint8, dtypes.boolean))
