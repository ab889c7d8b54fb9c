"""Lazy layers: what an input would tell, they learn from the first one, and become the ordinary layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..autograd import no_grad
from ..tensor import Tensor
from . import conv, linear, norm
from .module import Module
from .parameter import Parameter


class UninitializedParameter(Parameter):
    """A parameter of a lazy layer, without shape and values until the layer has seen an input."""


class _Lazy(Module):
    """A layer that is made when the first input comes; optimisers may hold its parameters before."""

    becomes: ClassVar[Any]
    size_name: ClassVar[str]

    def __init_subclass__(cls, becomes: Any = None, size_name: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.becomes, cls.size_name = becomes, size_name

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.becomes.__init__(self, 0, *args, **kwargs)
        hook = self.register_load_state_dict_pre_hook(self._learn)
        object.__setattr__(self, "_arguments", (args, kwargs, hook))
        for parameter in self.parameters():
            parameter.__class__ = UninitializedParameter

    def has_uninitialized_params(self) -> bool:
        """Return whether no input has come yet."""
        return True

    def initialize_parameters(self, size: int) -> None:
        """Become the ordinary layer, with a size that was open."""
        args, kwargs, hook = self._arguments
        made = self.becomes(size, *args, **kwargs)
        with no_grad():
            for name, parameter in self._parameters.items():
                if parameter is not None:
                    parameter.data = made._parameters[name].to(parameter)
                    parameter.__class__ = Parameter
            for name, buffer in self._buffers.items():
                if buffer is not None:
                    like = buffer if buffer.is_floating_point() else buffer.device
                    self._buffers[name] = made._buffers[name].to(like)
        setattr(self, self.size_name, size)
        hook.remove()
        object.__delattr__(self, "_arguments")
        self.__class__ = self.becomes

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Become the ordinary layer for this input, and apply it."""
        self.initialize_parameters(self._size_of(args[0] if args else kwargs["input"]))
        return self(*args, **kwargs)

    def _learn(self, _: Module, state: Mapping[str, Any], prefix: str, *__: Any) -> None:
        """Learn the open size from a checkpoint: that of the axis that is empty so far."""
        for name, own in (*self._parameters.items(), *self._buffers.items()):
            there = state.get(prefix + name)
            if own is not None and 0 in own.shape and isinstance(there, Tensor) and there.ndim == own.ndim:
                axis = own.shape.index(0)
                self.initialize_parameters(there.shape[axis] * (getattr(self, "groups", 1) if axis else 1))
                return

    def _size_of(self, input: Tensor) -> int:
        """Return the number of channels of an input."""
        axes = getattr(self, "axes", None)
        at = 1 if axes is None else input.ndim - axes - 1
        if not 0 <= at < input.ndim:
            raise RuntimeError(f"{self._get_name()}: an input of shape {tuple(input.shape)} has no channels")
        return input.shape[at]


class LazyLinear(_Lazy, linear.Linear, becomes=linear.Linear, size_name="in_features"):
    """Linear whose in_features is the last size of the first input."""

    def _size_of(self, input: Tensor) -> int:
        return input.shape[-1]


class LazyConv1d(_Lazy, conv.Conv1d, becomes=conv.Conv1d, size_name="in_channels"):
    """Conv1d whose in_channels is that of the first input."""


class LazyConv2d(_Lazy, conv.Conv2d, becomes=conv.Conv2d, size_name="in_channels"):
    """Conv2d whose in_channels is that of the first input."""


class LazyConv3d(_Lazy, conv.Conv3d, becomes=conv.Conv3d, size_name="in_channels"):
    """Conv3d whose in_channels is that of the first input."""


class LazyConvTranspose1d(_Lazy, conv.ConvTranspose1d, becomes=conv.ConvTranspose1d, size_name="in_channels"):
    """ConvTranspose1d whose in_channels is that of the first input."""


class LazyConvTranspose2d(_Lazy, conv.ConvTranspose2d, becomes=conv.ConvTranspose2d, size_name="in_channels"):
    """ConvTranspose2d whose in_channels is that of the first input."""


class LazyConvTranspose3d(_Lazy, conv.ConvTranspose3d, becomes=conv.ConvTranspose3d, size_name="in_channels"):
    """ConvTranspose3d whose in_channels is that of the first input."""


class LazyBatchNorm1d(_Lazy, norm.BatchNorm1d, becomes=norm.BatchNorm1d, size_name="num_features"):
    """BatchNorm1d whose num_features is the channels of the first input."""


class LazyBatchNorm2d(_Lazy, norm.BatchNorm2d, becomes=norm.BatchNorm2d, size_name="num_features"):
    """BatchNorm2d whose num_features is the channels of the first input."""


class LazyBatchNorm3d(_Lazy, norm.BatchNorm3d, becomes=norm.BatchNorm3d, size_name="num_features"):
    """BatchNorm3d whose num_features is the channels of the first input."""


class _LazyInstanceNorm(_Lazy):
    """A lazy instance norm, which unlike the ordinary one learns and tracks unless told otherwise."""

    def __init__(
        self, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True, track_running_stats: bool = True,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _size_of(self, input: Tensor) -> int:
        return input.shape[input.ndim - self.dimensions[1] + 1]


class LazyInstanceNorm1d(_LazyInstanceNorm, norm.InstanceNorm1d, becomes=norm.InstanceNorm1d, size_name="num_features"):
    """InstanceNorm1d whose num_features is the channels of the first input."""


class LazyInstanceNorm2d(_LazyInstanceNorm, norm.InstanceNorm2d, becomes=norm.InstanceNorm2d, size_name="num_features"):
    """InstanceNorm2d whose num_features is the channels of the first input."""


class LazyInstanceNorm3d(_LazyInstanceNorm, norm.InstanceNorm3d, becomes=norm.InstanceNorm3d, size_name="num_features"):
    """InstanceNorm3d whose num_features is the channels of the first input."""
