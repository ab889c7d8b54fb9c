"""Convolution layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from ..creation import empty
from ..geometry import Padding, Pair, pair, per_axis
from ..ops import conv, conv_nd
from ..ops.shape import pad
from ..tensor import Tensor
from . import init
from .layer import Layer
from .module import Module
from .parameter import Parameter

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What convolutions along any number of axes share."""

    axes: ClassVar[int]
    function: ClassVar[Callable[..., Tensor]]
    transposed: ClassVar[bool] = False

    def __init_subclass__(cls, axes: int = 0, function: Any = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if axes:
            cls.axes, cls.function = axes, staticmethod(function)

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Pair, stride: Pair = 1, padding: Padding = 0,
        dilation: Pair = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        name = self._get_name()
        if groups <= 0 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: groups={groups} must be positive and divide in_channels={in_channels} and "
                f"out_channels={out_channels}"
            )
        if isinstance(padding, str) and padding not in ("valid", "same", "same_lower"):
            raise ValueError(f"{name}: padding must be 'valid', 'same', 'same_lower' or numbers, got {padding!r}")
        modes = ("zeros",) if self.transposed else PADDING_MODES
        if padding_mode not in modes:
            raise ValueError(f"{name}: padding_mode must be one of {modes}, got {padding_mode!r}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, 1, self.axes)
        self.stride = per_axis(name, "stride", stride, 1, self.axes)
        self.padding = self._padding(padding)
        self.dilation = per_axis(name, "dilation", dilation, 1, self.axes)
        self.output_padding = (0,) * self.axes
        self.groups = groups
        self.padding_mode = padding_mode
        ends = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = Parameter(empty((ends[0], ends[1] // groups, *self.kernel_size), device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(empty(out_channels, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def _padding(self, value: Any) -> Any:
        """Return padding by name as it is, by numbers as one for each axis, per side as a pair for each axis."""
        if isinstance(value, str):
            return value
        if isinstance(value, (tuple, list)) and value and all(isinstance(v, (tuple, list)) for v in value):
            return tuple(pair(self._get_name(), "padding", side, 0) for side in value)
        return per_axis(self._get_name(), "padding", value, 0, self.axes)

    def reset_parameters(self) -> None:
        """Draw weights and bias from U(-1 / sqrt(fan_in), 1 / sqrt(fan_in))."""
        if self.weight.numel():
            init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None and self.weight.numel():
            bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
            init.uniform_(self.bias, -bound, bound)

    def _pads(self) -> tuple[int, ...]:
        """Return the padding as functional.pad takes it, the last axis first."""
        if self.padding == "valid":
            return (0,) * 2 * self.axes
        if isinstance(self.padding, str):
            if max(self.stride) != 1:
                raise ValueError(f"{self._get_name()}: 'same' with a stride needs padding_mode='zeros'")
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size)]
            before = [t // 2 if self.padding == "same" else t - t // 2 for t in totals]
            sides = [(b, t - b) for b, t in zip(before, totals)]
        else:
            sides = [p if isinstance(p, tuple) else (p, p) for p in self.padding]
        return tuple(n for side in reversed(sides) for n in side)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve."""
        return self._convolve(self.function, input)

    def _convolve(self, function: Callable[..., Tensor], input: Tensor) -> Tensor:
        """Convolve by a function with the arguments of conv2d."""
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = pad(input, self._pads(), self.padding_mode), 0
        return function(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        """Show the sizes, and what differs from the defaults."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, usual in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            if getattr(self, name) != (usual,) * self.axes:
                text += f", {name}={getattr(self, name)}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        return text + (f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else "")


class Conv1d(_ConvNd, axes=1, function=conv_nd.conv1d):
    """Cross-correlate sequences (N, C, L) with trained filters (O, C / groups, K); see functional.conv1d."""


class Conv2d(_ConvNd, axes=2, function=conv.conv2d):
    """Cross-correlate images (N, C, H, W) with trained filters (O, C / groups, KH, KW); see functional.conv2d."""


class Conv3d(_ConvNd, axes=3, function=conv_nd.conv3d):
    """Cross-correlate volumes (N, C, D, H, W) with trained filters (O, C / groups, KD, KH, KW); see functional.conv3d."""


class _ConvTransposeNd(_ConvNd):
    """What transposed convolutions share."""

    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Pair, stride: Pair = 1, padding: Padding = 0,
        output_padding: Pair = 0, groups: int = 1, bias: bool = True, dilation: Pair = 1,
        padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )
        self.output_padding = per_axis(self._get_name(), "output_padding", output_padding, 0, self.axes)

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """Convolve; `output_size` (also with batch and channel axes) is one of the sizes that the stride leaves open."""
        extra = self.output_padding if output_size is None else self._output_padding(input, tuple(output_size))
        return self.function(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )

    def _output_padding(self, input: Tensor, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """Return the output padding that gives a wanted size."""
        wanted = wanted[len(wanted) - self.axes :] if len(wanted) in (input.ndim, self.axes) else wanted
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                input.shape[-self.axes :], self.stride, self.padding, self.dilation, self.kernel_size
            )
        ]
        if len(wanted) != self.axes or any(not low <= n < low + s for n, low, s in zip(wanted, least, self.stride)):
            most = [low + s - 1 for low, s in zip(least, self.stride)]
            raise ValueError(
                f"{self._get_name()}: output_size must lie between {tuple(least)} and {tuple(most)}, got {wanted}"
            )
        return tuple([n - low for n, low in zip(wanted, least)])


class ConvTranspose1d(_ConvTransposeNd, axes=1, function=conv_nd.conv_transpose1d):
    """The adjoint of Conv1d with trained filters (C, O / groups, K); see functional.conv_transpose1d."""


class ConvTranspose2d(_ConvTransposeNd, axes=2, function=conv_nd.conv_transpose2d):
    """The adjoint of Conv2d with trained filters (C, O / groups, KH, KW); see functional.conv_transpose2d."""


class ConvTranspose3d(_ConvTransposeNd, axes=3, function=conv_nd.conv_transpose3d):
    """The adjoint of Conv3d with trained filters (C, O / groups, KD, KH, KW); see functional.conv_transpose3d."""


class Unfold(Layer, function=conv.unfold):
    """Return the patches of images (im2col); see functional.unfold."""

    kernel_size: Pair
    dilation: Pair = 1
    padding: Padding = 0
    stride: Pair = 1


class Fold(Layer, function=conv.fold):
    """Return the sum of patches (col2im); see functional.fold."""

    output_size: Pair
    kernel_size: Pair
    dilation: Pair = 1
    padding: Padding = 0
    stride: Pair = 1
