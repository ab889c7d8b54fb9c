"""Pooling layers."""

from __future__ import annotations

from typing import Any, ClassVar

from ..geometry import Padding, Pair
from ..ops import pool, pool_nd
from ..tensor import Tensor
from .layer import Layer


class _Pool(Layer):
    """A window whose stride is the kernel size unless another is given."""

    axes: ClassVar[int] = 0  # for how many axes its numbers are written out, as PyTorch does here and there
    kernel_size: Pair
    stride: Pair | None = None

    def __post_init__(self) -> None:
        """Complete the stride."""
        self.stride = self.kernel_size if self.stride is None else self.stride
        for name in ("kernel_size", "stride", "padding") if self.axes else ():
            value = getattr(self, name)
            setattr(self, name, value if isinstance(value, (tuple, list)) else (value,) * self.axes)


class _MaxPoolNd(_Pool):
    padding: Padding = 0
    dilation: Pair = 1
    return_indices: bool = False
    ceil_mode: bool = False
    shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")


class MaxPool1d(_MaxPoolNd, function=pool_nd.max_pool1d):
    """Take the maximum of each window of (N, C, L); see functional.max_pool1d."""


class MaxPool2d(_MaxPoolNd, function=pool.max_pool2d):
    """Take the maximum of each window of (N, C, H, W); see functional.max_pool2d."""


class MaxPool3d(_MaxPoolNd, function=pool_nd.max_pool3d):
    """Take the maximum of each window of (N, C, D, H, W); see functional.max_pool3d."""


class _AvgPoolNd(_Pool):
    padding: Padding = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    shown = ("kernel_size", "stride", "padding")


class AvgPool1d(_AvgPoolNd, function=pool_nd.avg_pool1d):
    """Take the average of each window of (N, C, L); see functional.avg_pool1d."""

    axes = 1


class AvgPool2d(_AvgPoolNd, function=pool.avg_pool2d):
    """Take the average of each window of (N, C, H, W); see functional.avg_pool2d."""

    divisor_override: int | None = None


class AvgPool3d(_AvgPoolNd, function=pool_nd.avg_pool3d):
    """Take the average of each window of (N, C, D, H, W); see functional.avg_pool3d."""

    divisor_override: int | None = None


class _LPPoolNd(Layer):
    norm_type: float
    kernel_size: Pair
    stride: Pair | None = None
    ceil_mode: bool = False


class LPPool1d(_LPPoolNd, function=pool_nd.lp_pool1d):
    """Take the root of the sum of powers of each window of (N, C, L); see functional.lp_pool1d."""


class LPPool2d(_LPPoolNd, function=pool_nd.lp_pool2d):
    """Take the root of the sum of powers of each window of (N, C, H, W); see functional.lp_pool2d."""


class LPPool3d(_LPPoolNd, function=pool_nd.lp_pool3d):
    """Take the root of the sum of powers of each window of (N, C, D, H, W); see functional.lp_pool3d."""


class _AdaptiveAvgPoolNd(Layer):
    output_size: Any


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd, function=pool_nd.adaptive_avg_pool1d):
    """Average over output_size parts of (N, C, L); see functional.adaptive_avg_pool1d."""


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd, function=pool.adaptive_avg_pool2d):
    """Average over output_size parts of (N, C, H, W); see functional.adaptive_avg_pool2d."""


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd, function=pool_nd.adaptive_avg_pool3d):
    """Average over output_size parts of (N, C, D, H, W); see functional.adaptive_avg_pool3d."""


class _AdaptiveMaxPoolNd(Layer):
    output_size: Any
    return_indices: bool = False
    shown = ("output_size",)


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd, function=pool_nd.adaptive_max_pool1d):
    """Take the maximum of output_size parts of (N, C, L); see functional.adaptive_max_pool1d."""


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd, function=pool_nd.adaptive_max_pool2d):
    """Take the maximum of output_size parts of (N, C, H, W); see functional.adaptive_max_pool2d."""


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd, function=pool_nd.adaptive_max_pool3d):
    """Take the maximum of output_size parts of (N, C, D, H, W); see functional.adaptive_max_pool3d."""


class _MaxUnpoolNd(_Pool):
    padding: Pair = 0

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        """Unpool."""
        return self.function(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(_MaxUnpoolNd, function=pool_nd.max_unpool1d):
    """Put elements back to where MaxPool1d found them, among zeros; see functional.max_unpool1d."""

    axes = 1


class MaxUnpool2d(_MaxUnpoolNd, function=pool_nd.max_unpool2d):
    """Put elements back to where MaxPool2d found them, among zeros; see functional.max_unpool2d."""

    axes = 2


class MaxUnpool3d(_MaxUnpoolNd, function=pool_nd.max_unpool3d):
    """Put elements back to where MaxPool3d found them, among zeros; see functional.max_unpool3d."""

    axes = 3
