"""Normalisation layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..creation import empty, ones, tensor, zeros
from ..dtypes import int64
from ..ops.norm import batch_norm, local_response_norm
from ..ops.norm_groups import group_norm, instance_norm, layer_norm, rms_norm
from ..tensor import Tensor
from . import init
from .layer import Layer
from .module import Module
from .parameter import Parameter


class _NormBase(Module):
    """Normalise each channel by the batch in training, by running averages in evaluation; see functional.batch_norm.

    momentum=None keeps a cumulative average; track_running_stats=False always uses the batch.
    """

    dimensions: tuple[int, ...]

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            value = Parameter(empty(num_features, device=device, dtype=dtype)) if wanted else None
            self.register_parameter(name, value)
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.num_batches_tracked: Tensor | None
        self.register_buffer(
            "running_mean", zeros(num_features, device=device, dtype=dtype) if track_running_stats else None
        )
        self.register_buffer(
            "running_var", ones(num_features, device=device, dtype=dtype) if track_running_stats else None
        )
        self.register_buffer(
            "num_batches_tracked", tensor(0, dtype=int64, device=device) if track_running_stats else None
        )
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the running averages."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Set weights to 1 and biases to 0, and forget the running averages."""
        self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def extra_repr(self) -> str:
        """Show the arguments."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_NormBase):
    def forward(self, input: Tensor) -> Tensor:
        """Normalise."""
        return self._normalise(batch_norm, input)

    def _normalise(self, function: Callable[..., Tensor], input: Tensor) -> Tensor:
        """Normalise by a function with the arguments of batch_norm."""
        name = type(self).__name__
        if input.ndim not in self.dimensions:
            raise ValueError(
                f"{name}: expected {' or '.join(map(str, self.dimensions))} dimensions, got {tuple(input.shape)}"
            )
        if input.shape[1] != self.num_features:
            raise RuntimeError(
                f"{name}: expected {self.num_features} channels (num_features), got {input.shape[1]} in {tuple(input.shape)}"
            )
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                momentum = 1 / float(self.num_batches_tracked)
        by_batch = self.training or self.running_mean is None
        update = self.training and self.track_running_stats
        return function(
            input,
            self.running_mean if update or not by_batch else None,
            self.running_var if update or not by_batch else None,
            self.weight,
            self.bias,
            by_batch,
            momentum,
            self.eps,
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L)."""

    dimensions = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of (N, C, H, W)."""

    dimensions = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of (N, C, D, H, W)."""

    dimensions = (5,)


class _InstanceNorm(_NormBase):
    """Normalise each channel of each sample; see functional.instance_norm."""

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = False,
        track_running_stats: bool = False, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise; the batch axis may be missing."""
        least, most = self.dimensions
        if input.ndim not in self.dimensions:
            raise ValueError(f"{self._get_name()}: expected {least} or {most} dimensions, got {tuple(input.shape)}")
        channels = input.shape[input.ndim - most + 1]
        if channels != self.num_features and self.affine:
            raise ValueError(
                f"{self._get_name()}: expected {self.num_features} channels (num_features), got {channels} in "
                f"{tuple(input.shape)}"
            )
        by_input = self.training or not self.track_running_stats
        single = input.ndim == least
        x = input.unsqueeze(0) if single else input
        momentum = self.momentum or 0.0
        y = instance_norm(x, self.running_mean, self.running_var, self.weight, self.bias, by_input, momentum, self.eps)
        return y.squeeze(0) if single else y


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of (N, C, L) or (C, L)."""

    dimensions = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of (N, C, H, W) or (C, H, W)."""

    dimensions = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of (N, C, D, H, W) or (C, D, H, W)."""

    dimensions = (4, 5)


class _Affine(Module):
    """A trained weight, which starts at 1, and a bias, which starts at 0."""

    def _register(self, shape: Any, weight: bool, bias: bool, device: Any, dtype: Any) -> None:
        for name, wanted in (("weight", weight), ("bias", bias)):
            self.register_parameter(name, Parameter(empty(shape, device=device, dtype=dtype)) if wanted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0."""
        for name, value in (("weight", 1.0), ("bias", 0.0)):
            if self._parameters.get(name) is not None:
                init.constant_(self._parameters[name], value)


class GroupNorm(_Affine):
    """Normalise each group of channels of each sample; see functional.group_norm."""

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, device: Any = None,
        dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_groups={num_groups} must divide num_channels={num_channels}")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._register(num_channels, affine, affine and bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise."""
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Show the arguments."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class _RowNorm(_Affine):
    """Normalisation over the last axes."""

    def __init__(
        self, normalized_shape: Any, eps: float | None, elementwise_affine: bool, bias: bool, device: Any, dtype: Any
    ) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._register(self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype)

    def extra_repr(self) -> str:
        """Show the arguments."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LayerNorm(_RowNorm):
    """Normalise over the last axes; see functional.layer_norm."""

    eps: float

    def __init__(
        self, normalized_shape: Any, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(normalized_shape, eps, elementwise_affine, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise."""
        return layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Show the arguments."""
        return f"{super().extra_repr()}, bias={self.bias is not None}"


class RMSNorm(_RowNorm):
    """Divide by the root of the mean square over the last axes; see functional.rms_norm."""

    def __init__(
        self, normalized_shape: Any, eps: float | None = None, elementwise_affine: bool = True, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(normalized_shape, eps, elementwise_affine, False, device, dtype)
        del self._parameters["bias"]

    def forward(self, input: Tensor) -> Tensor:
        """Divide."""
        return rms_norm(input, self.normalized_shape, self.weight, self.eps)


class LocalResponseNorm(Layer, function=local_response_norm):
    """Divide by the activity of neighbouring channels; see functional.local_response_norm."""

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0
    alpha_mode: str = "mean"

    def extra_repr(self) -> str:
        """Show the arguments."""
        text = f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
        return text + (f", alpha_mode={self.alpha_mode!r}" if self.alpha_mode != "mean" else "")
