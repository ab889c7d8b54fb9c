"""Pixels, channels, classes and rows of a table in other places."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.graph import wrap
from ..autograd.modes import no_grad
from .elementwise import T, add, cast, check_tensors, div, eq, sub, where
from .index import setitem
from .order import vector_norm
from .shape import Index, permute, reshape, transpose, unsqueeze


def _image_axes(op: str, input: Any) -> tuple[tuple[int, ...], int, int, int]:
    """Return the leading sizes of images (..., C, H, W), and C, H, W."""
    check_tensors(op, input)
    shape = input._array.shape
    if len(shape) < 3:
        raise RuntimeError(f"{op}: expected input (..., C, H, W), got shape {tuple(shape)}")
    return shape[:-3], *shape[-3:]


def _whole(op: str, name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{op}: {name} must be an int, got {value!r}")
    if value < 1:
        raise RuntimeError(f"{op}: {name} must be positive, got {value}")
    return int(value)


def pixel_shuffle(input: T, upscale_factor: int) -> T:
    """Return (..., C * r * r, H, W) as (..., C, H * r, W * r), r being upscale_factor.  Shi et al., 2016."""
    r = _whole("pixel_shuffle", "upscale_factor", upscale_factor)
    lead, c, h, w = _image_axes("pixel_shuffle", input)
    if c % (r * r):
        raise RuntimeError(f"pixel_shuffle: {c} channels must be a multiple of upscale_factor ** 2 = {r * r}")
    n = len(lead)
    parts = reshape(input, *lead, c // (r * r), r, r, h, w)
    return reshape(permute(parts, (*range(n), n, n + 3, n + 1, n + 4, n + 2)), *lead, c // (r * r), h * r, w * r)


def pixel_unshuffle(input: T, downscale_factor: int) -> T:
    """Return (..., C, H * r, W * r) as (..., C * r * r, H, W), r being downscale_factor: the inverse of pixel_shuffle."""
    r = _whole("pixel_unshuffle", "downscale_factor", downscale_factor)
    lead, c, h, w = _image_axes("pixel_unshuffle", input)
    if h % r or w % r:
        raise RuntimeError(f"pixel_unshuffle: rows and columns {(h, w)} must be multiples of downscale_factor={r}")
    n = len(lead)
    parts = reshape(input, *lead, c, h // r, r, w // r, r)
    return reshape(permute(parts, (*range(n), n, n + 2, n + 4, n + 1, n + 3)), *lead, c * r * r, h // r, w // r)


def channel_shuffle(input: T, groups: int) -> T:
    """Return input (N, C, ...) with the channels of its groups interleaved.  Zhang et al., 2018."""
    g = _whole("channel_shuffle", "groups", groups)
    check_tensors("channel_shuffle", input)
    shape = input._array.shape
    if len(shape) < 3 or shape[1] % g:
        raise RuntimeError(
            f"channel_shuffle: expected input (N, C, ...) with C a multiple of groups={g}, got {tuple(shape)}"
        )
    return reshape(transpose(reshape(input, shape[0], g, shape[1] // g, *shape[2:]), 1, 2), shape)


def one_hot(tensor: T, num_classes: int = -1) -> T:
    """Return int64 zeros with a 1 at each class number of `tensor` along a new last axis of num_classes (-1: as needed)."""
    check_tensors("one_hot", tensor)
    if tensor._array.dtype != np.int64:
        raise RuntimeError(f"one_hot: expected class numbers (int64), got {tensor._array.dtype}; convert with .long()")
    host = tensor._backend.to_numpy(tensor._array)
    if num_classes == -1 and not host.size:
        raise RuntimeError("one_hot: num_classes is needed for an empty tensor")
    classes = int(host.max(initial=0)) + 1 if num_classes == -1 else num_classes
    if num_classes < -1 or num_classes == 0 or host.min(initial=0) < 0 or host.max(initial=0) >= max(classes, 1):
        raise RuntimeError(f"one_hot: class numbers must lie between 0 and num_classes - 1 = {classes - 1}")
    numbers = wrap(tensor.result_class, tensor._backend.from_numpy(np.arange(classes)), tensor._backend)
    return cast(eq(unsqueeze(tensor, -1), numbers), np.dtype(np.int64))


def embedding(
    input: Any, weight: T, padding_idx: int | None = None, max_norm: float | None = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, sparse: bool = False,
) -> T:  # fmt: skip
    """Return the rows of weight (V, D) that input (int64 or int32, any shape) names -> (..., D).

    Row padding_idx gets no gradient.  max_norm first shortens the rows named, in place, to that norm_type-norm.
    scale_grad_by_freq divides each row's gradient by how often it is named.
    """
    check_tensors("embedding", input, weight)
    rows = weight._array.shape[0] if weight._array.ndim == 2 else 0
    if weight._array.ndim != 2 or input._array.dtype not in (np.int64, np.int32):
        raise RuntimeError(
            f"embedding: expected indices (int64 or int32) and weight (V, D), got {input._array.dtype} and "
            f"{tuple(weight._array.shape)}"
        )
    if sparse:
        raise NotImplementedError("embedding: there are no sparse gradients; leave sparse=False")
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise ValueError(f"embedding: padding_idx {padding_idx} is not one of the {rows} rows of weight")
    places = cast(input, np.dtype(np.int64))
    host = weight._backend.to_numpy(places._array)
    if host.size and not 0 <= host.min() <= host.max() < rows:
        raise IndexError(
            f"embedding: index {host.min() if host.min() < 0 else host.max()} is not a row of weight (0 to {rows - 1})"
        )
    if max_norm is not None:
        _shorten(weight, weight._backend.from_numpy(np.unique(host)), max_norm, norm_type)
    y = Index.apply(weight, (places._array,))
    fixed = y.detach()
    if scale_grad_by_freq:
        _, inverse, counts = np.unique(host, return_inverse=True, return_counts=True)
        often = counts[inverse].reshape(*host.shape, 1).astype(weight._array.dtype)
        y = add(fixed, div(sub(y, fixed), wrap(y.result_class, y._backend.from_numpy(often), y._backend)))
    return y if padding_idx is None else where(unsqueeze(eq(places, padding_idx % rows), -1), fixed, y)


def _shorten(weight: Any, rows: Any, most: float, norm_type: float) -> None:
    """Scale the rows of weight that are longer than `most`, in place."""
    with no_grad():
        chosen = Index.apply(weight, (rows,))
        norms = vector_norm(chosen, norm_type, 1, True)
        shortened = where(norms > most, chosen * (most / (norms + 1e-7)), chosen)
        setitem(weight, wrap(weight.result_class, rows, weight._backend), shortened)
