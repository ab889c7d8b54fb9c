"""Tensor: an array with its backend, its gradient, and the operations as operators and methods.

A method is the function of the same name in ops/, taken over in the class body; a `_` method is its in-place form.
"""

from __future__ import annotations

import builtins
import weakref
from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from . import autograd, dtypes
from .autograd.graph import TensorBase, fill, refresh, wrap
from .autograd.rows import Arithmetic
from .backends import device as Device
from .backends import get_backend
from .backends.base import is_contiguous
from .ops import elementwise, index, reduce
from .ops import matmul as products
from .ops import shape as views
from .ops.inplace import copy_, in_place
from .random import default_generator, words_needed


class Size(tuple[int, ...]):
    """A shape: a tuple that knows its number of elements."""

    def numel(self) -> int:
        """Return the number of elements of a tensor of this shape."""
        return prod(self)

    def __repr__(self) -> str:
        return f"Size({list(self)})"

    def __getitem__(self, key: Any) -> Any:
        item = super().__getitem__(key)
        return Size(item) if isinstance(key, slice) else item

    def __add__(self, other: Any) -> Any:
        return Size(super().__add__(tuple(other)))


class RemovableHandle:
    """What registering a hook returns: ``remove()`` takes the hook away; also a context manager."""

    _next_id = 0

    def __init__(self, hooks: dict[int, Any]) -> None:
        self.id = RemovableHandle._next_id
        RemovableHandle._next_id += 1
        self._hooks = hooks

    def remove(self) -> None:
        """Take the hook away; once more does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def add_hook(hooks: dict[int, Any], hook: Callable[..., Any]) -> RemovableHandle:
    """Put a hook into a dictionary and return its handle."""
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def _compared(function: Callable[..., Any], otherwise: Any) -> Callable[[Any, Any], Any]:
    """Make == or !=, which give an answer also for what cannot be compared."""

    def method(self: Any, other: Any) -> Any:
        if isinstance(other, (TensorBase, float, int, np.generic)):
            return function(self, other)
        return otherwise

    return method


def _reflected(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """Make the operator for `other op self`."""

    def method(self: Any, other: Any) -> Any:
        return function(other, self)

    return method


def _converter(dtype: dtypes.dtype) -> Callable[[Any], Any]:
    """Make the method that converts to a dtype."""

    def method(self: Any) -> Any:
        return self.to(dtype)

    method.__doc__ = f"Return the tensor as {dtype.name}."
    return method


class _Move(autograd.Function):
    """A copy on another device; the gradient comes back."""

    @staticmethod
    def forward(ctx: Any, x: Any, backend: Any) -> Any:
        ctx.source = x._backend
        return wrap(x.result_class, backend.from_numpy(np.array(x._backend.to_numpy(x._array))), backend)

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        return _Move.apply(dy, ctx.source), None


def _rebuild(cls: type[TensorBase], array: np.ndarray, device: str, requires_grad: bool) -> Any:
    """Make a pickled tensor again."""
    backend = get_backend(device)
    t = fill(Arithmetic.__new__(cls), backend.from_numpy(array), backend)  # past any __new__ of a subclass
    t._requires_grad = requires_grad
    return t


class Tensor(Arithmetic):
    """An n-dimensional array that records operations for differentiation.

    Make one with ``tensor``, ``zeros``, ``randn`` ...; ``Tensor(data)`` and ``Tensor(*sizes)`` give the default dtype.
    """

    __array_priority__ = 1000

    def __init__(self, *data: Any, device: Any = None) -> None:
        backend = get_backend(device)
        kind = dtypes.get_default_dtype().numpy
        data = data or (0,)
        if len(data) == 1 and not isinstance(data[0], int):
            source = data[0]
            array = source.numpy() if isinstance(source, Tensor) else np.asarray(source)
            made = backend.from_numpy(np.array(array, kind, order="C"))
        else:
            made = backend.empty(views.new_shape("Tensor", data), kind)
        fill(self, made, backend)

    # ---- what it is ----

    @property
    def shape(self) -> Size:
        """The size of each axis."""
        return Size(self._array.shape)

    def size(self, dim: builtins.int | None = None) -> Any:
        """Return the shape, or the size of one axis."""
        return self.shape if dim is None else self._array.shape[views.wrap_dim("size", dim, self._array.ndim)]

    @property
    def ndim(self) -> builtins.int:
        """The number of axes."""
        return self._array.ndim

    def dim(self) -> builtins.int:
        """Return the number of axes."""
        return self._array.ndim

    def numel(self) -> builtins.int:
        """Return the number of elements."""
        return prod(self._array.shape)

    nelement = numel

    @property
    def dtype(self) -> dtypes.dtype:
        """The type of the elements."""
        return dtypes.of_numpy(self._array.dtype)

    @property
    def device(self) -> Device:
        """Where the elements are."""
        return Device(self._backend.name)

    @property
    def itemsize(self) -> builtins.int:
        """The bytes of one element."""
        return self._array.dtype.itemsize

    def element_size(self) -> builtins.int:
        """Return the bytes of one element."""
        return self._array.dtype.itemsize

    @property
    def nbytes(self) -> builtins.int:
        """The bytes of all elements."""
        return self.numel() * self.itemsize

    def stride(self, dim: builtins.int | None = None) -> Any:
        """Return how many elements lie between neighbours along each axis, or one."""
        strides = tuple(s // self._array.dtype.itemsize for s in self._array.strides)
        return strides if dim is None else strides[views.wrap_dim("stride", dim, self._array.ndim)]

    def is_contiguous(self, memory_format: Any = None) -> builtins.bool:
        """Return whether the elements lie in memory in order."""
        return is_contiguous(self._array)

    def is_floating_point(self) -> builtins.bool:
        """Return whether the dtype is float32 or float64."""
        return self._array.dtype.kind == "f"

    def is_complex(self) -> builtins.bool:
        """Return False: there are no complex dtypes."""
        return False

    def data_ptr(self) -> builtins.int:
        """Return the address of the first element (CPU)."""
        return int(self._backend.to_numpy(self._array).ctypes.data)

    @property
    def is_cuda(self) -> builtins.bool:
        """Whether the elements are on a GPU."""
        return self.device.type == "cuda"

    # ---- history ----

    @property
    def requires_grad(self) -> builtins.bool:
        """Whether a gradient is computed for this tensor."""
        refresh(self)
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: builtins.bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: builtins.bool = True) -> Tensor:
        """Say whether a gradient is to be computed for this leaf; return it."""
        if requires_grad and not self.is_floating_point():
            raise RuntimeError(f"requires_grad_: only floating tensors can have a gradient, this one is {self.dtype}")
        if self.grad_fn is not None:
            if not requires_grad:
                raise RuntimeError("requires_grad_: only leaf tensors can be changed; use detach() for a constant")
            return self
        self._requires_grad = bool(requires_grad)
        return self

    @property
    def grad_fn(self) -> Any:
        """The node that made this tensor; None for a leaf."""
        refresh(self)
        return self._node

    @property
    def is_leaf(self) -> builtins.bool:
        """Whether no recorded operation made this tensor."""
        return self.grad_fn is None

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward() has added up."""
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad: expected a tensor or None, got {type(value).__name__}")
            if value._array.shape != self._array.shape or value._array.dtype != self._array.dtype:
                raise RuntimeError(
                    f"grad: expected {self.dtype} of shape {tuple(self.shape)}, got {value.dtype} of {tuple(value.shape)}"
                )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: builtins.bool | None = None,
        create_graph: builtins.bool = False,
        inputs: Any = None,
    ) -> None:
        """Add the gradient of this tensor to the `.grad` of the leaves; see autograd.backward."""
        autograd.backward(self, gradient, retain_graph, create_graph, inputs)

    def detach(self) -> Tensor:
        """Return a tensor on the same memory that takes no part in the history."""
        alias = wrap(self.result_class, self._array, self._backend)
        alias._version = self._version
        alias._version.shared = True
        return alias

    def detach_(self) -> Tensor:
        """Forget the history of this tensor; return it."""
        if self._view is not None:
            raise RuntimeError("detach_: a view cannot be detached in place; use detach()")
        self._node, self._output, self._requires_grad = None, 0, False
        return self

    @property
    def data(self) -> Tensor:
        """The same memory without history; changes through it are not noticed by autograd."""
        self._version.shared = True
        alias = wrap(self.result_class, self._array, self._backend)
        alias._version.shared = True
        return alias

    @data.setter
    def data(self, value: Tensor) -> None:
        elementwise.check_tensors("data", value)
        if value._array.dtype != self._array.dtype and self._requires_grad and not value.is_floating_point():
            raise RuntimeError(f"data: a tensor that requires a gradient cannot become {value.dtype}")
        self._version.value += 1
        self._version.shared = value._version.shared = True
        self._array, self._backend = value._array, value._backend

    @property
    def _base(self) -> Any:
        return None if self._view is None else self._view.base

    def retain_grad(self) -> None:
        """Keep the gradient of this non-leaf in `.grad` when backward passes."""
        node = self.grad_fn
        if not self._requires_grad:
            raise RuntimeError("retain_grad: this tensor does not require a gradient")
        if node is not None and not self._retains_grad:
            node.retaining = {} if node.retaining is None else node.retaining
            node.retaining[self._output] = weakref.ref(self)
            self._retains_grad = True

    @property
    def retains_grad(self) -> builtins.bool:
        """Whether retain_grad() was called on this non-leaf."""
        return self._retains_grad

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call `hook(grad)` when the gradient of this tensor has been computed; what it returns replaces the gradient."""
        if not self.requires_grad:
            raise RuntimeError("register_hook: this tensor does not require a gradient")
        node = self._node
        if node is None:
            self._hooks = {} if self._hooks is None else self._hooks
            return add_hook(self._hooks, hook)
        node.hooks = {} if node.hooks is None else node.hooks
        return add_hook(node.hooks.setdefault(self._output, {}), hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Call `hook(tensor)` after backward has added to the `.grad` of this leaf."""
        if self.grad_fn is not None or not self._requires_grad:
            raise RuntimeError("register_post_accumulate_grad_hook: expected a leaf that requires a gradient")
        return add_hook(self.__dict__.setdefault("_post_accumulate_hooks", {}), hook)

    # ---- to Python and NumPy ----

    def item(self) -> Any:
        """Return the only element as a Python number."""
        if self.numel() != 1:
            raise RuntimeError(f"item: only one-element tensors are numbers, this one has shape {tuple(self.shape)}")
        return self._backend.to_numpy(self._array).item()

    def tolist(self) -> Any:
        """Return the elements as nested lists of Python numbers."""
        return self._backend.to_numpy(self._array).tolist()

    def numpy(self, *, force: builtins.bool = False) -> np.ndarray:
        """Return a NumPy array on the same memory (CPU); `force` detaches and copies from other devices."""
        if self.requires_grad and not force:
            raise RuntimeError("numpy: this tensor requires a gradient; use detach().numpy()")
        if self.device.type == "cuda" and not force:
            raise TypeError("numpy: this tensor is on a GPU; use cpu().numpy()")
        self._version.shared = True
        return self._backend.to_numpy(self._array)

    def __array__(self, dtype: Any = None, copy: builtins.bool | None = None) -> np.ndarray:
        array = self.numpy()
        return np.array(array, dtype, copy=copy)

    def __len__(self) -> builtins.int:
        if self._array.ndim == 0:
            raise TypeError("len() of a tensor without dimensions")
        return self._array.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self._array.ndim == 0:
            raise TypeError("iteration over a tensor without dimensions")
        return iter(views.unbind(self))

    def __bool__(self) -> builtins.bool:
        if self.numel() != 1:
            raise RuntimeError(
                f"the truth of a tensor of shape {tuple(self.shape)} is ambiguous; use any() or all(), or compare shapes"
            )
        return bool(self.item())

    def __float__(self) -> builtins.float:
        return float(self._number())

    def __int__(self) -> builtins.int:
        return int(self._number())

    def _number(self) -> Any:
        if self.numel() != 1:
            raise ValueError(
                f"only one-element tensors can be converted to numbers, this one has shape {tuple(self.shape)}"
            )
        return self.item()

    def __index__(self) -> builtins.int:
        if self._array.dtype.kind not in "iub" or self.numel() != 1:
            raise TypeError("only integer tensors of one element can be converted to an index")
        return int(self.item())

    def __contains__(self, element: Any) -> builtins.bool:
        return bool(reduce.any(elementwise.eq(self, element)))

    def __format__(self, spec: str) -> str:
        if type(self) is Tensor and self._array.ndim == 0:
            return format(self.item(), spec)
        return object.__format__(self, spec)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        from ._repr import tensor_repr

        return tensor_repr(self)

    __hash__ = TensorBase.__hash__  # which a class that defines __eq__ must name

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) in memo:
            return memo[id(self)]
        if self.grad_fn is not None:
            raise RuntimeError("deepcopy: only leaf tensors can be copied deeply; use detach() or clone()")
        copy = fill(Arithmetic.__new__(type(self)), self._backend.copy(self._array), self._backend)
        copy._requires_grad = self._requires_grad
        copy._grad = None if self._grad is None else self._grad.__deepcopy__(memo)
        copy.__dict__.update(self.__dict__)
        memo[id(self)] = copy
        return copy

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.grad_fn is not None:
            raise RuntimeError("pickle: only leaf tensors can be pickled; use detach()")
        return _rebuild, (type(self), self._backend.to_numpy(self._array), str(self.device), self._requires_grad)

    # ---- conversion ----

    def to(
        self, *args: Any, dtype: Any = None, device: Any = None, copy: builtins.bool = False, **ignored: Any
    ) -> Tensor:
        """Return the tensor with another dtype or on another device; itself if nothing changes.

        to(dtype), to(device), to(device, dtype), to(other), each also by keyword; non_blocking is accepted.
        """
        for arg in args:
            if isinstance(arg, Tensor):
                dtype, device = arg.dtype, arg.device
            elif isinstance(arg, (str, Device)):
                device = arg
            elif not isinstance(arg, bool) and arg is not None:
                dtype = arg
        for name in ignored:
            if name not in ("non_blocking", "memory_format"):
                raise TypeError(f"to: unexpected argument {name!r}")
        x = self
        if device is not None and get_backend(device) is not self._backend:
            x = _Move.apply(x, get_backend(device))
        if dtype is not None:
            x = elementwise.cast(x, dtypes.as_dtype(dtype).numpy)
        return views.clone(x) if copy and x is self else x

    def type(self, dtype: Any = None) -> Any:
        """Return the tensor as another dtype, or the name of its type."""
        return f"tinygrad_cnn.{self.dtype.name}" if dtype is None else self.to(dtype)

    def type_as(self, other: Tensor) -> Tensor:
        """Return the tensor with the dtype of another."""
        return self.to(other.dtype)

    def cpu(self) -> Tensor:
        """Return the tensor on the CPU."""
        return self.to(device="cpu")

    def cuda(self, device: Any = None) -> Tensor:
        """Return the tensor on the GPU."""
        return self.to(device="cuda" if device is None else device)

    float, double = _converter(dtypes.float32), _converter(dtypes.float64)
    int, long, short = _converter(dtypes.int32), _converter(dtypes.int64), _converter(dtypes.int16)
    char, byte, bool = _converter(dtypes.int8), _converter(dtypes.uint8), _converter(dtypes.boolean)

    # ---- new tensors like this one ----

    def new_full(
        self, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Tensor:
        """Return a filled tensor with this one's dtype and device."""
        backend = self._backend if device is None else get_backend(device)
        kind = self._array.dtype if dtype is None else dtypes.as_dtype(dtype).numpy
        value = dtypes.stored("new_full", elementwise.number("new_full", fill_value), kind)
        t = wrap(self.result_class, backend.full(views.new_shape("new_full", (size,)), value, kind), backend)
        t._requires_grad = bool(requires_grad)
        return t

    def new_zeros(self, *size: Any, **kwargs: Any) -> Tensor:
        """Return zeros with this tensor's dtype and device."""
        return self.new_full(views.given("new_zeros", "size", size, kwargs.pop("size", None)), 0, **kwargs)

    def new_ones(self, *size: Any, **kwargs: Any) -> Tensor:
        """Return ones with this tensor's dtype and device."""
        return self.new_full(views.given("new_ones", "size", size, kwargs.pop("size", None)), 1, **kwargs)

    def new_empty(self, *size: Any, **kwargs: Any) -> Tensor:
        """Return an uninitialised tensor with this tensor's dtype and device."""
        return self.new_full(views.given("new_empty", "size", size, kwargs.pop("size", None)), 0, **kwargs)

    def new_tensor(self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False) -> Tensor:
        """Return a copy of data with this tensor's dtype and device."""
        kind = self._array.dtype if dtype is None else dtypes.as_dtype(dtype).numpy
        backend = self._backend if device is None else get_backend(device)
        with np.errstate(all="ignore"):
            t: Tensor = wrap(self.result_class, backend.from_numpy(np.array(data, kind)), backend)
        return t.requires_grad_() if requires_grad else t

    # ---- operators (+ - * / are those of Arithmetic) ----

    __floordiv__ = elementwise.floor_divide
    __rfloordiv__ = _reflected(elementwise.floor_divide)
    __mod__ = elementwise.remainder
    __rmod__ = _reflected(elementwise.remainder)
    __pow__ = elementwise.pow
    __rpow__ = _reflected(elementwise.pow)
    __matmul__ = products.matmul
    __and__ = __rand__ = elementwise.bitwise_and
    __or__ = __ror__ = elementwise.bitwise_or
    __xor__ = __rxor__ = elementwise.bitwise_xor
    __invert__ = elementwise.bitwise_not
    __abs__ = elementwise.abs
    __lt__ = elementwise.lt
    __le__ = elementwise.le
    __gt__ = elementwise.gt
    __ge__ = elementwise.ge
    __eq__ = _compared(elementwise.eq, False)
    __ne__ = _compared(elementwise.ne, True)
    __getitem__ = index.getitem
    __setitem__ = index.setitem
    __iadd__ = in_place(elementwise.add)
    __isub__ = in_place(elementwise.sub)
    __imul__ = in_place(elementwise.mul)
    __itruediv__ = in_place(elementwise.div)
    __ifloordiv__ = in_place(elementwise.floor_divide)
    __imod__ = in_place(elementwise.remainder)
    __ipow__ = in_place(elementwise.pow)

    # ---- elementwise ----

    add, add_ = elementwise.add, in_place(elementwise.add)
    sub, sub_ = elementwise.sub, in_place(elementwise.sub)
    mul, mul_ = elementwise.mul, in_place(elementwise.mul)
    div, div_ = elementwise.div, in_place(elementwise.div)
    pow, pow_ = elementwise.pow, in_place(elementwise.pow)
    floor_divide, floor_divide_ = elementwise.floor_divide, in_place(elementwise.floor_divide)
    remainder, remainder_ = elementwise.remainder, in_place(elementwise.remainder)
    maximum, minimum = elementwise.maximum, elementwise.minimum
    clamp, clamp_ = elementwise.clamp, in_place(elementwise.clamp)
    clip, clip_ = elementwise.clamp, in_place(elementwise.clamp)
    eq, ne, lt, le, gt, ge = (
        elementwise.eq, elementwise.ne, elementwise.lt, elementwise.le, elementwise.gt, elementwise.ge,
    )  # fmt: skip
    bitwise_and, bitwise_or = elementwise.bitwise_and, elementwise.bitwise_or
    bitwise_xor, bitwise_not = elementwise.bitwise_xor, elementwise.bitwise_not
    logical_and, logical_or = elementwise.logical_and, elementwise.logical_or
    logical_xor, logical_not = elementwise.logical_xor, elementwise.logical_not
    neg, neg_ = elementwise.neg, in_place(elementwise.neg)
    abs, abs_ = elementwise.abs, in_place(elementwise.abs)
    sign, square = elementwise.sign, elementwise.square
    exp, exp_ = elementwise.exp, in_place(elementwise.exp)
    log, log_ = elementwise.log, in_place(elementwise.log)
    expm1, log1p, log2 = elementwise.expm1, elementwise.log1p, elementwise.log2
    sqrt, sqrt_ = elementwise.sqrt, in_place(elementwise.sqrt)
    rsqrt, reciprocal = elementwise.rsqrt, elementwise.reciprocal
    sin, cos = elementwise.sin, elementwise.cos
    tanh, tanh_ = elementwise.tanh, in_place(elementwise.tanh)
    sigmoid, sigmoid_ = elementwise.sigmoid, in_place(elementwise.sigmoid)
    relu, relu_ = elementwise.relu, in_place(elementwise.relu)
    floor, ceil, round, trunc = elementwise.floor, elementwise.ceil, elementwise.round, elementwise.trunc
    isnan, isinf, isfinite = elementwise.isnan, elementwise.isinf, elementwise.isfinite

    # ---- reductions ----

    sum, mean, prod = reduce.sum, reduce.mean, reduce.prod
    max, min, amax, amin = reduce.max, reduce.min, reduce.amax, reduce.amin
    argmax, argmin, any, all = reduce.argmax, reduce.argmin, reduce.any, reduce.all
    var, std, logsumexp = reduce.var, reduce.std, reduce.logsumexp
    softmax, log_softmax = reduce.softmax, reduce.log_softmax

    # ---- shape ----

    reshape, view, flatten, unflatten = views.reshape, views.view, views.flatten, views.unflatten
    squeeze, unsqueeze, permute, transpose = views.squeeze, views.unsqueeze, views.permute, views.transpose
    swapaxes, movedim, t = views.transpose, views.movedim, views.t
    expand, expand_as, broadcast_to = views.expand, views.expand_as, views.broadcast_to
    clone, contiguous = views.clone, views.contiguous
    narrow, select, unbind, split, chunk = views.narrow, views.select, views.unbind, views.split, views.chunk

    @property
    def T(self) -> Tensor:
        """The transposed matrix."""
        return views.permute(self, tuple(reversed(range(self._array.ndim))))

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        if self._array.ndim < 2:
            raise RuntimeError(f"mT: expected at least 2 dimensions, got {self._array.ndim}")
        return views.transpose(self, -1, -2)

    def view_as(self, other: Tensor) -> Tensor:
        """Return a view with the shape of `other`."""
        return views.view(self, other.shape)

    def reshape_as(self, other: Tensor) -> Tensor:
        """Return the tensor with the shape of `other`."""
        return views.reshape(self, other.shape)

    def sum_to_size(self, *size: Any) -> Tensor:
        """Return the sum over the axes that broadcasting from `size` had added or stretched."""
        wanted = views.sizes("sum_to_size", size)
        have = self._array.shape
        extra = len(have) - len(wanted)
        if extra < 0 or builtins.any(small not in (1, big) for small, big in zip(wanted, have[max(0, extra) :])):
            raise RuntimeError(f"sum_to_size: size {wanted} does not broadcast to {tuple(have)}")
        dims = [d for d in range(len(have)) if d < extra or (wanted[d - extra] == 1 and have[d] != 1)]
        y = reduce.sum(self, dims, True) if dims else self
        return views.reshape(y, wanted) if extra else y

    # ---- indexing ----

    gather, scatter_add, index_select = index.gather, index.scatter_add, index.index_select
    masked_fill, nonzero = index.masked_fill, index.nonzero
    masked_fill_, scatter_add_ = in_place(index.masked_fill), in_place(index.scatter_add)

    # ---- matrix products ----

    matmul, mm, bmm = products.matmul, products.mm, products.bmm

    def where(self, condition: Tensor, other: Any) -> Tensor:
        """Return self where condition holds, other elsewhere."""
        return elementwise.where(condition, self, other)

    # ---- in place ----

    def copy_(self, src: Tensor, non_blocking: Any = False) -> Tensor:
        """Write the elements of `src`, broadcast and converted, into this tensor."""
        elementwise.check_tensors("copy_", src)
        return copy_(self, src.to(device=self.device) if src._backend is not self._backend else src)

    def fill_(self, value: Any) -> Tensor:
        """Set all elements to a number."""
        if isinstance(value, Tensor) and value.ndim:
            raise RuntimeError(f"fill_: value must be a number or have no dimensions, got shape {tuple(value.shape)}")
        source = value if isinstance(value, Tensor) else elementwise.element_like("fill_", self, value)
        return copy_(self, source, "fill_")

    def zero_(self) -> Tensor:
        """Set all elements to 0."""
        return copy_(self, elementwise.tensor_like(self, 0), "zero_")

    def uniform_(self, from_: Any = 0.0, to: Any = 1.0, *, generator: Any = None) -> Tensor:
        """Fill with uniform random numbers from [from, to)."""
        if not from_ <= to:
            raise RuntimeError(f"uniform_: from {from_} must not exceed to {to}")
        u = self._random("uniform_", "random_uniform", generator)
        return copy_(self, elementwise.add(elementwise.mul(u, to - from_), from_), "uniform_")

    def normal_(self, mean: Any = 0.0, std: Any = 1.0, *, generator: Any = None) -> Tensor:
        """Fill with normal random numbers."""
        if not std >= 0:
            raise RuntimeError(f"normal_: std must not be negative, got {std}")
        z = self._random("normal_", "random_normal", generator)
        return copy_(self, elementwise.add(elementwise.mul(z, std), mean), "normal_")

    def bernoulli_(self, p: Any = 0.5, *, generator: Any = None) -> Tensor:
        """Fill with 1 with probability p, else 0."""
        if not isinstance(p, Tensor) and not 0 <= p <= 1:
            raise RuntimeError(f"bernoulli_: p must be a probability between 0 and 1, got {p}")
        u = self._random("bernoulli_", "random_uniform", generator)
        return copy_(self, elementwise.lt(u, p), "bernoulli_")

    def _random(self, op: str, kernel: str, generator: Any) -> Tensor:
        kind = self._array.dtype
        if kind.kind != "f":
            raise RuntimeError(f"{op}: expected a floating tensor, got {kind}")
        seed, counter = (generator or default_generator).take(words_needed(kernel, self.numel(), kind.itemsize))
        array = getattr(self._backend, kernel)(self._array.shape, kind, seed, counter)
        return wrap(self.result_class, array, self._backend)


Tensor.result_class = Tensor
