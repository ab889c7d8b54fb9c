"""Chains of transforms on whole uint8 batches: a window of each image and a table of 257 values a channel.

Cropping, padding and flipping move a window; ToTensor and Normalize change what each byte becomes, and so what pixels outside
of an image become (value 256 of the table).  One compiled pass then makes the batch, with the bits and the random numbers of
the transforms applied image by image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.graph import wrap
from ..backends import get_backend
from ..tensor import Tensor
from . import transforms as T
from .functional import sides

OUTSIDE = 256


class _Batch:
    """The state of a batch: its windows, their size, and what bytes have become."""

    def __init__(self, count: int, rows: int, columns: int, channels: int) -> None:
        self.windows = np.zeros((count, 4), np.int64)
        self.rows, self.columns = rows, columns
        # All bytes and what lies outside, as an image of 1 x 257 pixels; later a tensor.
        values = np.append(np.arange(256, dtype=np.uint8), np.uint8(0))
        self.values: Any = np.repeat(values[None, :, None], channels, axis=2)

    def change_values(self, transform: Any, shares: Any) -> None:
        """Apply ToTensor or Normalize."""
        self.values = transform(self.values)

    def pad(self, transform: Any, shares: Any = None) -> None:
        """Move the windows outwards."""
        if transform.padding is None:
            return
        left, top, right, bottom = sides(transform.padding)
        self.rows += top + bottom
        self.columns += left + right
        self._move(-top, -left, top + bottom, left + right)
        if isinstance(self.values, Tensor):
            self.values.numpy()[:, :, OUTSIDE] = np.reshape(transform.fill, (-1, 1))
        else:
            self.values[:, OUTSIDE] = transform.fill

    def crop(self, transform: T.RandomCrop, shares: np.ndarray) -> None:
        """Move the windows inwards."""
        self.pad(transform)
        top, left = transform.corner(self.rows, self.columns, shares)
        rows, columns = transform.size
        self._move(top, left, rows - self.rows, columns - self.columns)
        self.rows, self.columns = rows, columns

    def _move(self, top: Any, left: Any, taller: int, wider: int) -> None:
        """Move the windows by top and left as they show the images: counted from the other side where they are flipped."""
        for k, shift, growth in ((0, top, taller), (1, left, wider)):
            self.windows[:, k] += np.where(self.windows[:, 2 + k], -growth - shift, shift)

    def flip(self, transform: T.RandomHorizontalFlip, shares: np.ndarray) -> None:
        """Turn windows round."""
        self.windows[:, 2 if type(transform) is T.RandomVerticalFlip else 3] ^= shares[:, 0] < transform.p


STEPS: dict[type, Callable[[_Batch, Any, Any], None]] = {
    T.Normalize: _Batch.change_values,
    T.Pad: _Batch.pad,
    T.RandomCrop: _Batch.crop,
    T.RandomHorizontalFlip: _Batch.flip,
    T.RandomVerticalFlip: _Batch.flip,
    T.ToTensor: _Batch.change_values,
}
RANDOM = (T.RandomCrop, T.RandomHorizontalFlip, T.RandomVerticalFlip)


def flattened(transform: Any) -> list[Any]:
    """Return a transform as a list of those that it is composed of."""
    return (
        [part for t in transform.transforms for part in flattened(t)] if type(transform) is T.Compose else [transform]
    )


def fits(chain: list[Any]) -> bool:
    """Return whether windows and a table can stand for transforms: those of STEPS, ToTensor once, at most one padding."""
    moved = False
    for t in chain:
        if type(t) not in STEPS or getattr(t, "pad_if_needed", False):
            return False
        if getattr(t, "padding", None) is not None:
            if moved or t.padding_mode != "constant" or min(sides(t.padding)) < 0:
                return False
        moved |= type(t) in (T.Pad, T.RandomCrop)
    kinds = [type(t) for t in chain]
    return kinds.count(T.ToTensor) == 1 and T.Normalize not in kinds[: kinds.index(T.ToTensor)]


def transform_images(images: np.ndarray, index: np.ndarray, transform: Any) -> Tensor | None:
    """Return transform(image), stacked, for uint8 images (N, H, W, C) at `index`; None for transforms that do not fit."""
    chain = flattened(transform)
    if not fits(chain):
        return None
    batch = _Batch(len(index), *images.shape[1:])
    draws = sum(isinstance(t, RANDOM) for t in chain)
    shares = iter(T.draw(len(index) * draws * T.BLOCK).reshape(len(index), draws, T.BLOCK).swapaxes(0, 1))
    for t in chain:
        STEPS[type(t)](batch, t, next(shares) if isinstance(t, RANDOM) else None)
    backend = get_backend("cpu")
    table = np.ascontiguousarray(batch.values.numpy()[:, 0, :])
    images, index, table, windows = [backend.from_numpy(a) for a in (images, index, table, batch.windows)]
    return wrap(Tensor, backend.gather_images(images, index, table, windows, (batch.rows, batch.columns)), backend)
