"""Small questions and switches of programs: types of tensors, devices, determinism, printing."""

from __future__ import annotations

from typing import Any

from . import _repr, dtypes
from .backends import device as Device
from .nn.module import Module
from .ops.elementwise import number, rank
from .tensor import Tensor

__all__ = [
    "are_deterministic_algorithms_enabled", "compile", "get_default_device", "get_float32_matmul_precision",
    "get_num_interop_threads", "is_complex", "is_floating_point", "is_inference", "is_nonzero", "is_same_size",
    "is_signed", "is_storage", "is_tensor", "numel", "result_type", "set_default_device", "set_default_tensor_type",
    "set_deterministic_debug_mode", "set_float32_matmul_precision", "set_flush_denormal", "set_num_interop_threads",
    "set_printoptions", "typename", "use_deterministic_algorithms",
]  # fmt: skip


class _Tensors(type):
    """The class of a class whose instances all tensors are."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_Tensors):
    """What tensors with a history were before PyTorch 0.4: ``Variable(x)`` returns x without it, on the same memory."""

    def __new__(cls, data: Any = None, requires_grad: bool = False) -> Any:
        """Make it."""
        return (Tensor() if data is None else data).detach().requires_grad_(requires_grad)


_settings: dict[str, Any] = {"deterministic": True, "precision": "highest"}


class OptimizedModule(Module):
    """What compile() makes of a module: the module itself, whose parameters have the prefix ``_orig_mod.``, as in PyTorch."""

    def __init__(self, mod: Module) -> None:
        super().__init__()
        self._orig_mod = mod

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module."""
        return self._orig_mod(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name) if name == "_orig_mod" else getattr(self._orig_mod, name)


def compile(model: Any = None, **options: Any) -> Any:
    """Return a function, or a module in an OptimizedModule: there is nothing to compile, the kernels are."""
    if model is None:
        return lambda function: compile(function, **options)
    return OptimizedModule(model) if isinstance(model, Module) else model


def is_tensor(obj: Any) -> bool:
    """Return whether an object is a tensor."""
    return isinstance(obj, Tensor)


def is_storage(obj: Any) -> bool:
    """Return False: memory is no object of its own."""
    return False


def _asking(name: str) -> Any:
    """Make the function of a tensor's method."""

    def function(input: Tensor, *args: Any) -> Any:
        if not isinstance(input, Tensor):
            raise TypeError(f"{name}: expected a tensor, got {type(input).__name__}")
        return getattr(Tensor, name)(input, *args)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = getattr(Tensor, name).__doc__
    return function


is_floating_point, is_complex, is_signed = _asking("is_floating_point"), _asking("is_complex"), _asking("is_signed")
is_nonzero, is_same_size, is_inference, numel = map(_asking, ("is_nonzero", "is_same_size", "is_inference", "numel"))


def result_type(tensor1: Any, tensor2: Any) -> dtypes.dtype:
    """Return the dtype that an operation on two tensors or numbers would give."""
    operands = [x if isinstance(x, Tensor) else number("result_type", x) for x in (tensor1, tensor2)]
    return dtypes.of_numpy(dtypes.result_numpy([rank(x) for x in operands]))


def typename(obj: Any) -> str:
    """Return the name of an object's type: of a tensor as its type() does."""
    if isinstance(obj, Tensor):
        return obj.type()
    kind = obj if isinstance(obj, type) or hasattr(obj, "__qualname__") else type(obj)
    module = "" if kind.__module__ == "builtins" else kind.__module__ + "."
    return module + kind.__qualname__


def set_default_device(device: Any) -> None:
    """Accept the CPU, where new tensors always are; RuntimeError for other devices."""
    if device is not None and Device(device).type != "cpu":
        raise RuntimeError(f"set_default_device: new tensors are on the CPU; name {device!r} where you make them")


def get_default_device() -> Device:
    """Return the CPU."""
    return Device("cpu")


def set_default_tensor_type(t: Any) -> None:
    """Make the dtype that a class such as DoubleTensor or its name stands for the default one."""
    dtypes.set_default_dtype(dtypes.named_type(t))


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Note a wish that is always met: every kernel gives the same bits each time."""
    _settings["deterministic"] = bool(mode)


def are_deterministic_algorithms_enabled() -> bool:
    """Return what use_deterministic_algorithms() was last told (at first True)."""
    return _settings["deterministic"]


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """Do nothing: there is nothing to warn about."""


def set_float32_matmul_precision(precision: str) -> None:
    """Note 'highest', 'high' or 'medium'; products are always computed in float32."""
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f"set_float32_matmul_precision: expected 'highest', 'high' or 'medium', got {precision!r}")
    _settings["precision"] = precision


def get_float32_matmul_precision() -> str:
    """Return what set_float32_matmul_precision() was last told."""
    return _settings["precision"]


def set_num_interop_threads(num: int) -> None:
    """Do nothing: operations run one after the other."""


def get_num_interop_threads() -> int:
    """Return 1: operations run one after the other."""
    return 1


def set_flush_denormal(mode: bool) -> bool:
    """Return whether kernels flush denormals as asked: they always do."""
    return bool(mode)


def set_printoptions(
    precision: int | None = None, threshold: float | None = None, edgeitems: int | None = None, linewidth: int | None = None,
    profile: str | None = None, sci_mode: bool | None = None,
) -> None:  # fmt: skip
    """Set how tensors print: digits, from how many elements on to shorten, elements at each edge, columns, notation.

    profile: 'default', 'short' or 'full' sets the first four at once.
    """
    options = _repr.options
    if profile is not None:
        options.__dict__.update(_repr.PROFILES[profile])
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    options.__dict__.update({name: value for name, value in given.items() if value is not None})
    options.sci_mode = sci_mode
