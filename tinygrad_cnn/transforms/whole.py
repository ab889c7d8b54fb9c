"""Chains of transforms on whole uint8 batches: windows of each image and tables of 257 values a channel.

Cropping, padding and flipping move a window; ToTensor, Normalize and PCANoise change what each byte becomes, and so what
pixels outside of an image become (value 256 of the table).  One compiled pass then makes the batch, with the bits and the
random numbers of the transforms applied image by image.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ..autograd.graph import wrap
from ..backends import get_backend
from ..creation import tensor
from ..random import default_generator
from ..tensor import Tensor
from . import transforms as T
from .functional import sides

OUTSIDE = 256


class _Batch:
    """The state of a batch: windows (crops, B, 4), their size, and what bytes have become.

    A step gets its transform and its random numbers (B, blocks, numbers of a block).
    """

    def __init__(self, count: int, rows: int, columns: int, channels: int) -> None:
        self.windows = np.zeros((1, count, 4), np.int64)
        self.rows, self.columns = rows, columns
        # All bytes and what lies outside, as an image of 1 x 257 pixels; later a tensor, with PCANoise one for each image.
        values = np.append(np.arange(256, dtype=np.uint8), np.uint8(0))
        self.values: Any = np.repeat(values[None, :, None], channels, axis=2)

    def change_values(self, transform: Any, draws: Any) -> None:
        """Apply ToTensor or Normalize."""
        self.values = transform(self.values)

    def add_noise(self, transform: T.PCANoise, draws: np.ndarray) -> None:
        """Apply PCANoise, different for each image."""
        numbers = draws.reshape(len(draws), draws.shape[1] * 2)[:, : len(transform.eigenvalues)]
        shift = transform.shift(numbers)
        self.values = self.values + tensor(shift, dtype=self.values.dtype)[:, :, None, None]

    def pad(self, transform: Any, draws: Any = None) -> None:
        """Move the windows outwards."""
        if transform.padding is None:
            return
        left, top, right, bottom = sides(transform.padding)
        self._move(-top, -left, self.rows + top + bottom, self.columns + left + right)
        if isinstance(self.values, Tensor):
            self.values.numpy()[..., OUTSIDE] = np.reshape(transform.fill, (-1, 1))
        else:
            self.values[:, OUTSIDE] = transform.fill

    def crop(self, transform: T.RandomCrop, draws: np.ndarray) -> None:
        """Move the windows inwards."""
        self.pad(transform)
        self._move(*transform.corner(self.rows, self.columns, draws[:, 0]), *transform.size)

    def crop_middle(self, transform: T.CenterCrop, draws: Any) -> None:
        """Move the windows to the middle."""
        self._move(*self._middle(*transform.size), *transform.size)

    def crop_corners(self, transform: T.FiveCrop, draws: Any) -> None:
        """Make five windows of each, or ten."""
        rows, columns = transform.size
        bottom, right = self.rows - rows, self.columns - columns
        places = [(0, 0), (0, right), (bottom, 0), (bottom, right), self._middle(rows, columns)]
        if isinstance(transform, T.TenCrop):
            places *= 2
        self.windows = np.repeat(self.windows, len(places), axis=0)
        if isinstance(transform, T.TenCrop):
            self.windows[5:, :, 2 if transform.vertical_flip else 3] ^= 1
        tops, lefts = np.transpose(places)[:, :, None]
        self._move(tops, lefts, rows, columns)

    def _middle(self, rows: int, columns: int) -> tuple[int, int]:
        return round((self.rows - rows) / 2), round((self.columns - columns) / 2)

    def _move(self, top: Any, left: Any, rows: int, columns: int) -> None:
        """Move the windows by top and left as they show the images: counted from the other side where they are flipped."""
        for k, shift, growth in ((0, top, rows - self.rows), (1, left, columns - self.columns)):
            self.windows[..., k] += np.where(self.windows[..., 2 + k], -growth - shift, shift)
        self.rows, self.columns = rows, columns

    def flip(self, transform: T.Sometimes, draws: np.ndarray) -> None:
        """Turn windows round."""
        self.windows[..., 2 if type(transform) is T.RandomVerticalFlip else 3] ^= draws[:, 0, 0] < transform.p


STEPS: dict[type, Callable[[_Batch, Any, Any], None]] = {
    T.CenterCrop: _Batch.crop_middle,
    T.FiveCrop: _Batch.crop_corners,
    T.Normalize: _Batch.change_values,
    T.PCANoise: _Batch.add_noise,
    T.Pad: _Batch.pad,
    T.RandomCrop: _Batch.crop,
    T.RandomHorizontalFlip: _Batch.flip,
    T.RandomVerticalFlip: _Batch.flip,
    T.TenCrop: _Batch.crop_corners,
    T.ToTensor: _Batch.change_values,
}


def flattened(transform: Any) -> list[Any]:
    """Return a transform as a list of those that it is composed of."""
    return (
        [part for t in transform.transforms for part in flattened(t)] if type(transform) is T.Compose else [transform]
    )


def fits(chain: list[Any], rows: int, columns: int, channels: int) -> bool:
    """Return whether windows and tables can stand for transforms of images of a size.

    They are those of STEPS, with ToTensor once, one padding at most, before crops, and several crops only at the end.
    """
    moved = False
    for t in chain:
        if type(t) not in STEPS or getattr(t, "pad_if_needed", False):
            return False
        if getattr(t, "padding", None) is not None:
            left, top, right, bottom = sides(t.padding)
            if moved or t.padding_mode != "constant" or min(left, top, right, bottom) < 0:
                return False
            rows, columns = rows + top + bottom, columns + left + right
        if isinstance(t, T.CenterCrop) and (t.size[0] > rows or t.size[1] > columns):
            return False  # it would pad
        if isinstance(t, T.PCANoise) and len(t.eigenvalues) != channels:
            return False
        if isinstance(t, (T.CenterCrop, T.RandomCrop)):
            rows, columns = t.size
        moved |= isinstance(t, (T.Pad, T.CenterCrop, T.RandomCrop))
    kinds = [type(t) for t in chain]
    return (
        kinds.count(T.ToTensor) == 1
        and {T.Normalize, T.PCANoise}.isdisjoint(kinds[: kinds.index(T.ToTensor)])
        and {T.FiveCrop, T.TenCrop}.isdisjoint(kinds[:-1])
    )


def _blocks(transform: Any) -> int:
    """Return how many blocks of random numbers a transform draws for an image: of four uniform or two normal numbers."""
    if isinstance(transform, T.PCANoise):
        return -(-len(transform.eigenvalues) // 2)
    return int(isinstance(transform, (T.RandomCrop, T.RandomHorizontalFlip, T.RandomVerticalFlip)))


def _draw(count: int, blocks: int, normal: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the blocks that `count` images would draw one after the other, as uniform numbers and as normal ones."""
    state = default_generator.get_state()
    uniform = T.draw(count * blocks * T.BLOCK).reshape(count, blocks, T.BLOCK)
    if not normal:
        return uniform, uniform
    default_generator.set_state(state)  # the same blocks once more
    return uniform, T.draw_normal(count * blocks * 2).reshape(count, blocks, 2)


def transform_images(images: np.ndarray, index: np.ndarray, transform: Any) -> Any:
    """Return transform(image), stacked, for uint8 images (N, H, W, C) at `index`; None for transforms that do not fit.

    FiveCrop and TenCrop make a list of as many stacks.
    """
    chain = flattened(transform)
    if not fits(chain, *images.shape[1:]):
        return None
    batch = _Batch(len(index), *images.shape[1:])
    ends = [0, *accumulate(map(_blocks, chain))]
    uniform, normal = _draw(len(index), ends[-1], any(isinstance(t, T.PCANoise) for t in chain))
    for t, (start, stop) in zip(chain, pairwise(ends)):
        STEPS[type(t)](batch, t, (normal if isinstance(t, T.PCANoise) else uniform)[:, start:stop])
    backend = get_backend("cpu")
    table = np.ascontiguousarray(batch.values.numpy().reshape(-1, images.shape[3], OUTSIDE + 1))
    windows = batch.windows.reshape(-1, 4)
    images, index, table, windows = [backend.from_numpy(a) for a in (images, index, table, windows)]
    made = wrap(Tensor, backend.gather_images(images, index, table, windows, (batch.rows, batch.columns)), backend)
    crops = len(batch.windows)
    return made if crops == 1 else list(made.reshape(crops, len(index), *made.shape[1:]).unbind())
