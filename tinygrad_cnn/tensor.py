"""Tensor: an array with its backend, its gradient, and the operations as operators and methods.

A method is the public function of the same name in ops/ (`__all__` of its module); a `_` method is its in-place form
(`IN_PLACE` below).
"""

from __future__ import annotations

import builtins
import weakref
from collections.abc import Callable, Iterator
from inspect import signature
from math import prod
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import autograd, dtypes
from .autograd.graph import TensorBase, fill, refresh, wrap
from .autograd.rows import Arithmetic
from .backends import device as Device
from .backends import get_backend
from .backends.base import is_contiguous
from .backends.cuda.pinned import is_pinned, pinned_copy
from .geometry import Size
from .ops import arrange, elementwise, index, linalg, math, order, reduce, scatter
from .ops import matmul as products
from .ops import random as draws
from .ops import shape as views
from .ops.inplace import copy_, in_place, relabelled
from .random import default_generator, words_needed


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
        if isinstance(other, np.ndarray):
            other = self.__array_wrap__(other)
        if isinstance(other, (TensorBase, float, int, np.generic)):
            return function(self, other)
        return otherwise

    return method


def _operator(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """Make the operator `self op other`; NumPy computes it with its own arrays, and __array_wrap__ gives the result back."""

    def method(self: Any, other: Any) -> Any:
        return NotImplemented if isinstance(other, np.ndarray) else function(self, other)

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
    def forward(ctx: Any, x: Any, backend: Any, wait: bool = True) -> Any:
        ctx.source = x._backend
        return wrap(x.result_class, backend.copied_in(x._backend.to_numpy(x._array), wait), backend)

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        return _Move.apply(dy, ctx.source), None, None


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
    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # the methods that _add_methods makes

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

    is_cpu = property(lambda self: self.device.type == "cpu", doc="Whether the elements are in the memory of the CPU.")
    is_sparse = is_quantized = is_meta = is_mps = is_nested = is_xpu = is_mkldnn = False

    @property
    def layout(self) -> Any:
        """The memory layout: always strided."""
        return dtypes.strided

    def storage_offset(self) -> builtins.int:
        """Return how many elements lie in memory before the first (CPU; of the array that owns the memory)."""
        base = x = self._backend.to_numpy(self._array)
        while isinstance(base.base, np.ndarray):
            base = base.base
        return (x.ctypes.data - base.ctypes.data) // x.itemsize

    def get_device(self) -> builtins.int:
        """Return the number of the GPU, -1 for the CPU."""
        return -1 if self.device.index is None else self.device.index

    def is_signed(self) -> builtins.bool:
        """Return whether the dtype has negative numbers."""
        return self.dtype.is_signed

    def is_nonzero(self) -> builtins.bool:
        """Return the truth of a tensor of one element."""
        return bool(self)

    def is_same_size(self, other: Tensor) -> builtins.bool:
        """Return whether two shapes are equal."""
        elementwise.check_tensors("is_same_size", other)
        return self._array.shape == other._array.shape

    def is_inference(self) -> builtins.bool:
        """Return False: what inference_mode() makes are ordinary tensors."""
        return False

    def is_pinned(self, device: Any = None) -> builtins.bool:
        """Return whether the memory is page-locked."""
        return is_pinned(self._array)

    def pin_memory(self, device: Any = None) -> Tensor:
        """Return a copy in page-locked memory, from which ``to("cuda", non_blocking=True)`` does not wait; itself if there.

        RuntimeError for tensors that are not on the CPU, and where CUDA cannot be used.
        """
        if self._backend is not get_backend("cpu"):
            raise RuntimeError(f"pin_memory: only tensors on the CPU can be pinned, got one on {str(self.device)!r}")
        if is_pinned(self._array):
            return self
        driver = get_backend("cuda").driver  # type: ignore[attr-defined]
        return wrap(self.result_class, pinned_copy(self._array, driver), self._backend)

    def share_memory_(self) -> Tensor:
        """Return the tensor itself: memory is shared by threads, not with processes."""
        return self

    ndimension = dim

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

    def _clear_grad(self, set_to_none: builtins.bool) -> None:
        """Forget the gradient, or set it to zero in its memory."""
        if set_to_none:
            self._grad = None
        elif self._grad is not None:
            if self._grad._requires_grad:  # it has a graph, by create_graph
                self._grad = self._grad.detach()
            self._grad.zero_()

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
        alias._counter = self._counter
        alias._counter.shared = True
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
        self._counter.shared = True
        alias = wrap(self.result_class, self._array, self._backend)
        alias._counter.shared = True
        return alias

    @data.setter
    def data(self, value: Tensor) -> None:
        elementwise.check_tensors("data", value)
        if value._array.dtype != self._array.dtype and self._requires_grad and not value.is_floating_point():
            raise RuntimeError(f"data: a tensor that requires a gradient cannot become {value.dtype}")
        self._counter.value += 1
        self._counter.shared = value._counter.shared = True
        self._array, self._backend = value._array, value._backend

    @property
    def _version(self) -> builtins.int:
        return self._counter.value

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
        self._after_hooks = {} if self._after_hooks is None else self._after_hooks
        return add_hook(self._after_hooks, hook)

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
        self._counter.shared = True
        return self._backend.to_numpy(self._array)

    def __array__(self, dtype: Any = None, copy: builtins.bool | None = None) -> np.ndarray:
        array = self.numpy()
        return np.array(array, dtype, copy=copy)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Describe the memory of a tensor on a GPU for CuPy, Numba and others, which share it."""
        if self.device.type != "cuda":
            raise AttributeError(f"__cuda_array_interface__: this tensor is on {self.device}, not on a GPU")
        return self._array.__cuda_array_interface__

    def __array_wrap__(self, array: np.ndarray, context: Any = None, return_scalar: Any = False) -> Tensor:
        array = np.asarray(array, np.uint8 if array.dtype == np.bool_ else None)  # as in PyTorch
        return wrap(self.result_class, self._backend.from_numpy(array), self._backend)

    def __dlpack__(self, **kwargs: Any) -> Any:
        if self.device.type == "cuda":
            from .backends.cuda.dlpack import export

            return export(self.detach()._array)
        return self.numpy().__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[Any, builtins.int]:
        return (2, 0) if self.device.type == "cuda" else self.numpy().__dlpack_device__()

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

    def __abs__(self) -> Tensor:
        return elementwise.abs(self)

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

        to(dtype), to(device), to(device, dtype), to(other), each also by keyword.  With non_blocking=True the program
        goes on while a GPU copies page-locked memory, which must not change meanwhile.
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
            x = _Move.apply(x, get_backend(device), not ignored.get("non_blocking"))
        if dtype is not None:
            x = elementwise.cast(x, dtypes.as_dtype(dtype).numpy)
        return views.clone(x) if copy and x is self else x

    def type(self, dtype: Any = None) -> Any:
        """Return the tensor as another dtype (or named as 'torch.LongTensor'), or PyTorch's name of its type."""
        return f"torch.{dtypes.TYPE_NAMES[self.dtype]}" if dtype is None else self.to(dtypes.named_type(dtype))

    def type_as(self, other: Tensor) -> Tensor:
        """Return the tensor with the dtype of another."""
        return self.to(other.dtype)

    def cpu(self) -> Tensor:
        """Return the tensor on the CPU."""
        return self.to(device="cpu")

    def cuda(self, device: Any = None, non_blocking: builtins.bool = False) -> Tensor:
        """Return the tensor on the GPU."""
        return self.to(device="cuda" if device is None else device, non_blocking=non_blocking)

    float, double = _converter(dtypes.float32), _converter(dtypes.float64)
    int, long, short = _converter(dtypes.int32), _converter(dtypes.int64), _converter(dtypes.int16)
    char, byte, bool = _converter(dtypes.int8), _converter(dtypes.uint8), _converter(dtypes.boolean)

    # ---- new tensors like this one ----

    def new_full(
        self, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False,
        layout: Any = None, pin_memory: Any = False,
    ) -> Tensor:  # fmt: skip
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

    __floordiv__ = _operator(elementwise.floor_divide)
    __rfloordiv__ = _reflected(elementwise.floor_divide)
    __mod__ = _operator(elementwise.remainder)
    __rmod__ = _reflected(elementwise.remainder)
    __pow__ = _operator(elementwise.pow)
    __rmatmul__ = _reflected(products.matmul)
    __lshift__ = _operator(math.bitwise_left_shift)
    __rshift__ = _operator(math.bitwise_right_shift)
    __rlshift__ = _reflected(math.bitwise_left_shift)
    __rrshift__ = _reflected(math.bitwise_right_shift)
    __pos__ = math.positive
    __rpow__ = _reflected(elementwise.pow)
    __matmul__ = _operator(products.matmul)
    __and__, __rand__ = _operator(elementwise.bitwise_and), elementwise.bitwise_and
    __or__, __ror__ = _operator(elementwise.bitwise_or), elementwise.bitwise_or
    __xor__, __rxor__ = _operator(elementwise.bitwise_xor), elementwise.bitwise_xor
    __invert__ = elementwise.bitwise_not
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
    __iand__ = in_place(elementwise.bitwise_and)
    __ior__ = in_place(elementwise.bitwise_or)
    __ixor__ = in_place(elementwise.bitwise_xor)
    __ilshift__ = in_place(math.bitwise_left_shift)
    __irshift__ = in_place(math.bitwise_right_shift)

    # ---- shape ----

    view, expand, expand_as, contiguous = views.view, views.expand, views.expand_as, views.contiguous
    repeat, unfold = arrange.repeat, arrange.unfold

    @property
    def T(self) -> Tensor:
        """The axes in reverse order; of a matrix its transpose."""
        return views.permute(self, tuple(reversed(range(self._array.ndim))))

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        if self._array.ndim < 2:
            raise RuntimeError(f"mT: expected at least 2 dimensions, got {self._array.ndim}")
        return views.transpose(self, -1, -2)

    H, mH = T, mT  # noqa: N815

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

    def where(self, condition: Tensor, other: Any) -> Tensor:
        """Return self where condition holds, other elsewhere."""
        return elementwise.where(condition, self, other)

    def split(self, split_size: Any, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """Return views of pieces along an axis: of one size (the last may be smaller), or of the given sizes."""
        return views.split(self, split_size, dim)

    def bernoulli(self, p: Any = None, *, generator: Any = None) -> Tensor:
        """Return 1 with the probabilities that the elements are (or with p), else 0."""
        return self.detach().clone().bernoulli_(self.detach() if p is None else p, generator=generator)

    def fill_diagonal_(self, fill_value: Any, wrap: builtins.bool = False) -> Tensor:
        """Set the main diagonal of a matrix to a number; `wrap` starts anew below it in tall ones."""
        if self._array.ndim != 2:
            raise RuntimeError(f"fill_diagonal_: expected a matrix, got {self._array.ndim} dimensions")
        rows, columns = self._array.shape
        for top in range(0, rows if wrap else 1, columns + 1):
            arrange.diagonal(self[top:]).fill_(fill_value)
        return self

    # ---- in place ----

    def copy_(self, src: Tensor, non_blocking: Any = False) -> Tensor:
        """Write the elements of `src`, broadcast and converted, into this tensor."""
        elementwise.check_tensors("copy_", src)
        moved = src if src._backend is self._backend else src.to(device=self.device, non_blocking=non_blocking)
        return copy_(self, moved)

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
        if not (reduce.all((p >= 0) & (p <= 1)) if isinstance(p, Tensor) else 0 <= p <= 1):
            raise RuntimeError(f"bernoulli_: p must be a probability between 0 and 1, got {p}")
        like = self if self.is_floating_point() else self.new_empty(self.shape, dtype=dtypes.float32)
        return copy_(self, elementwise.lt(like._random("bernoulli_", "random_uniform", generator), p), "bernoulli_")

    def exponential_(self, lambd: Any = 1.0, *, generator: Any = None) -> Tensor:
        """Fill with random numbers of the density lambd * e ** (-lambd * x)."""
        if not lambd > 0:
            raise RuntimeError(f"exponential_: lambd must be positive, got {lambd}")
        u = self._random("exponential_", "random_uniform", generator)
        return copy_(self, elementwise.log1p(-u) / -lambd, "exponential_")

    def log_normal_(self, mean: Any = 1.0, std: Any = 2.0, *, generator: Any = None) -> Tensor:
        """Fill with e to the power of normal random numbers."""
        if not std > 0:
            raise RuntimeError(f"log_normal_: std must be positive, got {std}")
        z = self._random("log_normal_", "random_normal", generator)
        return copy_(self, elementwise.exp(z * std + mean), "log_normal_")

    def random_(self, from_: Any = None, to: Any = None, *, generator: Any = None) -> Tensor:
        """Fill with random integers: from `from_` to to - 1, below the only number given, or any that the dtype holds."""
        kind = self._array.dtype
        most = (2 if kind.kind == "b" else np.iinfo(kind).max + 1) if kind.kind != "f" else 2 ** np.finfo(kind).nmant
        low, high = (0, most if from_ is None else from_) if to is None else (from_, to)
        if not low < high:
            raise RuntimeError(f"random_: from {low} must be less than to {high}")
        words = draws.words64(self.numel(), generator) % np.uint64(high - low)
        values = (words.astype(np.int64) + low).astype(kind).reshape(self._array.shape)
        return copy_(self, wrap(self.result_class, self._backend.from_numpy(values), self._backend), "random_")

    def _random(self, op: str, kernel: str, generator: Any) -> Tensor:
        kind = self._array.dtype
        if kind.kind != "f":
            raise RuntimeError(f"{op}: expected a floating tensor, got {kind}")
        seed, counter = (generator or default_generator).take(words_needed(kernel, self.numel(), kind.itemsize))
        array = getattr(self._backend, kernel)(self._array.shape, kind, seed, counter)
        return wrap(self.result_class, array, self._backend)


def _add_methods(*modules: ModuleType) -> None:
    """Make methods of the public functions of ops whose first argument is called input, and `_` forms of some."""
    for module in modules:
        for name in module.__all__:
            function = getattr(module, name)
            if next(iter(signature(function).parameters)) == "input" and name not in FUNCTIONS_ONLY:
                if name not in vars(Tensor):
                    setattr(Tensor, name, function)
                if name in IN_PLACE:
                    setattr(Tensor, name + "_", in_place(function, name + "_"))


# fmt: off
FUNCTIONS_ONLY = {  # functions of an input that are no methods
    "bucketize", "cdist", "combinations", "rsub", "std_mean", "var_mean",
}
IN_PLACE = {
    "abs", "absolute", "acos", "acosh", "add", "addbmm", "addcdiv", "addcmul", "addmm", "addmv", "addr", "arccos",
    "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin", "asinh", "atan", "atan2", "atanh",
    "baddbmm", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
    "ceil", "clamp", "clamp_max", "clamp_min", "clip", "copysign", "cos", "cosh", "cumprod", "cumsum", "deg2rad", "div",
    "divide", "eq", "erf", "erfc", "exp", "exp2", "expm1", "fix", "float_power", "floor", "floor_divide", "fmod",
    "frac", "ge", "greater", "greater_equal", "gt", "heaviside", "hypot", "index_add", "index_copy", "index_fill",
    "index_put", "ldexp", "le", "lerp", "less", "less_equal", "log", "log10", "log1p", "log2", "logical_and",
    "logical_not", "logical_or", "logical_xor", "logit", "lt", "masked_fill", "masked_scatter", "mul", "multiply",
    "nan_to_num", "ne", "neg", "negative", "not_equal", "pow", "put", "rad2deg", "reciprocal", "relu", "remainder",
    "round", "rsqrt", "scatter", "scatter_add", "scatter_reduce", "sgn", "sigmoid", "sign", "sin", "sinh", "sqrt",
    "square", "sub", "subtract", "tan", "tanh", "tril", "triu", "true_divide", "trunc", "xlogy",
}
RELABELLED = ("squeeze", "unsqueeze", "transpose", "t", "swapaxes", "swapdims")  # whose `_` form changes the shape only
# fmt: on

Tensor.result_class = Tensor
_add_methods(elementwise, math, reduce, views, arrange, index, scatter, order, products, linalg, draws)
for _name in RELABELLED:
    setattr(Tensor, _name + "_", relabelled(getattr(Tensor, _name), _name + "_"))
