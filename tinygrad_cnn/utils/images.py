"""Grids of images, and PNG files."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..creation import full
from ..ops.shape import cat, stack
from ..tensor import Tensor
from ..transforms import pillow

PNG_COLOURS = {1: 0, 3: 2}  # channels: PNG's number


def make_grid(
    tensor: Tensor | Sequence[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Return a batch of images (B, C, H, W), or a list, as one image (3, rows, columns) with `nrow` in each row.

    normalize moves values to 0 ... 1, from `value_range` or from their extremes, of each image alone if scale_each.
    """
    images = tensor if isinstance(tensor, Tensor) else stack(list(tensor))
    if not 2 <= images.ndim <= 4:
        raise TypeError(f"make_grid: expected images (B, C, H, W), got shape {tuple(images.shape)}")
    images = images.detach().reshape(*(1,) * (3 - images.ndim), *images.shape)
    images = images.unsqueeze(0) if images.ndim == 3 else images
    if images.shape[1] == 1:
        images = cat([images] * 3, 1)
    if normalize:
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError(f"make_grid: value_range must be a pair (low, high), got {value_range!r}")
        parts = [*images] if scale_each else [images]
        scaled = [_normalized(part, value_range) for part in parts]
        images = stack(scaled) if scale_each else scaled[0]
    if len(images) == 1:
        return images.squeeze(0)
    count, channels, height, width = images.shape
    columns = min(nrow, count)
    rows = -(-count // columns)
    height, width = height + padding, width + padding
    grid = full((channels, height * rows + padding, width * columns + padding), pad_value, dtype=images.dtype)
    for k in range(count):
        i, j = k // columns * height + padding, k % columns * width + padding
        grid[:, i : i + height - padding, j : j + width - padding] = images[k]
    return grid


def _normalized(images: Tensor, value_range: tuple[float, float] | None) -> Tensor:
    low, high = value_range or (float(images.min()), float(images.max()))
    return (images.clamp(low, high) - low) / max(high - low, 1e-5)


def save_image(tensor: Tensor | Sequence[Tensor], fp: Any, format: str | None = None, **kwargs: Any) -> None:
    """Write make_grid(tensor, **kwargs), with values from 0 to 1, to a path or an open file.

    Pillow writes any format; where it is not installed, PNG is written.
    """
    grid = make_grid(tensor, **kwargs)
    pixels = np.clip(grid.numpy() * 255 + 0.5, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    if pillow.library():
        pillow.from_array(pixels).save(fp, format=format)
        return
    suffix = (format or (Path(fp).suffix[1:] if isinstance(fp, (str, os.PathLike)) else "")).lower()
    if suffix not in ("", "png"):
        raise ValueError(f"save_image: writing {suffix} needs the package pillow (pip install 'tinygrad_cnn[data]')")
    if isinstance(fp, (str, os.PathLike)):
        Path(fp).write_bytes(png(pixels))
    else:
        fp.write(png(pixels))


def png(pixels: np.ndarray) -> bytes:
    """Return uint8 pixels (H, W, 1 or 3) as the contents of a PNG file."""
    height, width, channels = pixels.shape
    lines = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with its filter: none
    lines[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, PNG_COLOURS[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
