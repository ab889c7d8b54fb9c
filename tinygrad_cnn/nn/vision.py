"""Layers that resize images or move their pixels, padding layers, and a table of vectors."""

from __future__ import annotations

from typing import Any, ClassVar

from ..creation import empty
from ..ops import rearrange, resize
from ..ops.shape import pad
from ..tensor import Tensor
from . import init
from .layer import Layer
from .module import Module
from .parameter import Parameter


class Upsample(Layer, function=resize.interpolate):
    """Resize images, or scale them; see functional.interpolate."""

    size: Any = None
    scale_factor: Any = None
    mode: str = "nearest"
    align_corners: bool | None = None
    recompute_scale_factor: bool | None = None

    def __post_init__(self) -> None:
        """Make factors floats."""
        if isinstance(self.scale_factor, (tuple, list)):
            self.scale_factor = tuple(map(float, self.scale_factor))
        elif self.scale_factor is not None:
            self.scale_factor = float(self.scale_factor)

    def extra_repr(self) -> str:
        """Show the size or the factor, and the mode."""
        name = "size" if self.scale_factor is None else "scale_factor"
        return f"{name}={getattr(self, name)!r}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Resize images (N, C, H, W) by repeating pixels."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """Resize images (N, C, H, W) bilinearly, with the corners aligned."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, "bilinear", True)


class PixelShuffle(Layer, function=rearrange.pixel_shuffle):
    """(N, C * r * r, H, W) as (N, C, H * r, W * r); see functional.pixel_shuffle."""

    upscale_factor: int


class PixelUnshuffle(Layer, function=rearrange.pixel_unshuffle):
    """(N, C, H * r, W * r) as (N, C * r * r, H, W); see functional.pixel_unshuffle."""

    downscale_factor: int


class ChannelShuffle(Layer, function=rearrange.channel_shuffle):
    """Interleave the channels of groups; see functional.channel_shuffle."""

    groups: int


class _Pad(Layer):
    """Padding of the last `axes` axes; an int pads all sides."""

    axes: ClassVar[int]
    mode: ClassVar[str]
    padding: Any

    def __init_subclass__(cls, axes: int = 0, mode: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if axes:
            cls.axes = axes
        cls.mode = mode or getattr(cls, "mode", "")

    def __post_init__(self) -> None:
        """Give each side its number."""
        self.padding = (
            tuple(self.padding) if isinstance(self.padding, (tuple, list)) else (self.padding,) * 2 * self.axes
        )

    def forward(self, input: Tensor) -> Tensor:
        """Pad."""
        return pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        """Show the padding."""
        return str(self.padding)


class ReflectionPad1d(_Pad, axes=1, mode="reflect"):
    """Pad (N, C, L) with its own reflection."""


class ReflectionPad2d(_Pad, axes=2, mode="reflect"):
    """Pad (N, C, H, W) with its own reflection."""


class ReflectionPad3d(_Pad, axes=3, mode="reflect"):
    """Pad (N, C, D, H, W) with its own reflection."""


class ReplicationPad1d(_Pad, axes=1, mode="replicate"):
    """Pad (N, C, L) with its outer elements."""


class ReplicationPad2d(_Pad, axes=2, mode="replicate"):
    """Pad (N, C, H, W) with its outer elements."""


class ReplicationPad3d(_Pad, axes=3, mode="replicate"):
    """Pad (N, C, D, H, W) with its outer elements."""


class CircularPad1d(_Pad, axes=1, mode="circular"):
    """Pad (N, C, L) with its other end."""


class CircularPad2d(_Pad, axes=2, mode="circular"):
    """Pad (N, C, H, W) with its other ends."""


class CircularPad3d(_Pad, axes=3, mode="circular"):
    """Pad (N, C, D, H, W) with its other ends."""


class _ConstantPadNd(_Pad, mode="constant"):
    value: float

    def forward(self, input: Tensor) -> Tensor:
        """Pad."""
        return pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        """Show the padding and the value."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd, axes=1):
    """Pad the last axis with a value."""


class ConstantPad2d(_ConstantPadNd, axes=2):
    """Pad the last two axes with a value."""


class ConstantPad3d(_ConstantPadNd, axes=3):
    """Pad the last three axes with a value."""


class _ZeroPad(_ConstantPadNd):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    extra_repr = _Pad.extra_repr


class ZeroPad1d(_ZeroPad, ConstantPad1d):
    """Pad the last axis with zeros."""


class ZeroPad2d(_ZeroPad, ConstantPad2d):
    """Pad the last two axes with zeros."""


class ZeroPad3d(_ZeroPad, ConstantPad3d):
    """Pad the last three axes with zeros."""


class Embedding(Module):
    """A table of trained vectors, looked up by number; see functional.embedding."""

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
        _weight: Tensor | None = None, _freeze: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise AssertionError(f"Embedding: padding_idx {padding_idx} is not one of num_embeddings={num_embeddings}")
        if _weight is not None and tuple(_weight.shape) != (num_embeddings, embedding_dim):
            raise AssertionError(
                f"Embedding: weight must have shape {(num_embeddings, embedding_dim)}, got {tuple(_weight.shape)}"
            )
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx if padding_idx is None else padding_idx % num_embeddings
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        table = empty(num_embeddings, embedding_dim, device=device, dtype=dtype) if _weight is None else _weight
        self.weight = Parameter(table, not _freeze)
        if _weight is None:
            self.reset_parameters()

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
    ) -> Embedding:  # fmt: skip
        """Make a layer from a table (num_embeddings, embedding_dim), which is not trained if `freeze`."""
        if embeddings.ndim != 2:
            raise AssertionError(f"Embedding.from_pretrained: expected a matrix, got shape {tuple(embeddings.shape)}")
        rows, columns = embeddings.shape
        options = (padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
        return cls(rows, columns, *options, _weight=embeddings, _freeze=freeze)

    def reset_parameters(self) -> None:
        """Draw the table from N(0, 1); row padding_idx becomes 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    def forward(self, input: Tensor) -> Tensor:
        """Look up."""
        return rearrange.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

    def extra_repr(self) -> str:
        """Show the sizes, and what differs from the defaults."""
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, usual in (("padding_idx", None), ("max_norm", None), ("norm_type", 2), ("scale_grad_by_freq", False)):
            value = getattr(self, name)
            text += "" if value == usual else f", {name}={value}"
        return text
