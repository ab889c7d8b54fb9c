"""Image transforms.

A chain of ToTensor and Normalize is also known as a table of 256 values a channel (byte_table), so that whole
uint8 batches are converted by one compiled lookup, with the same result to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..creation import from_numpy, tensor
from ..tensor import Tensor


class ToTensor:
    """Turn an image into a float32 tensor (C, H, W): a PIL image or an array (H, W) or (H, W, C); uint8 becomes 0 to 1."""

    def __call__(self, pic: Any) -> Tensor:
        """Convert one image."""
        if not hasattr(type(pic), "__array_interface__"):
            raise TypeError(f"ToTensor: expected a PIL image or an array, got {type(pic).__name__}")
        array = np.array(pic)
        if getattr(pic, "mode", None) == "1":  # a PIL image of black and white
            array = array.astype(np.uint8) * 255
        if array.ndim not in (2, 3):
            raise ValueError(f"ToTensor: expected an image (H, W) or (H, W, C), got shape {array.shape}")
        array = array[:, :, None] if array.ndim == 2 else array
        array = np.ascontiguousarray(array.transpose(2, 0, 1))
        if array.dtype == np.uint8:
            return from_numpy(array.astype(np.float32) / np.float32(255))
        return from_numpy(array)

    def __repr__(self) -> str:
        return "ToTensor()"


class Normalize:
    """(image - mean) / std for each channel of a floating tensor (..., C, H, W)."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        self.mean, self.std, self.inplace = mean, std, inplace

    def __call__(self, tensor: Tensor) -> Tensor:
        """Normalise one image, or a batch."""
        if not isinstance(tensor, Tensor):
            raise TypeError(f"Normalize: expected a tensor, got {type(tensor).__name__}; put ToTensor() before it")
        if not tensor.is_floating_point():
            raise TypeError(f"Normalize: expected a floating tensor, got {tensor.dtype}")
        if tensor.ndim < 3:
            raise ValueError(f"Normalize: expected an image (..., C, H, W), got shape {tuple(tensor.shape)}")
        mean, std = [_per_channel(v, tensor) for v in (self.mean, self.std)]
        if not {len(mean), len(std)} <= {1, tensor.shape[-3]}:
            raise ValueError(
                f"Normalize: mean {self.mean} and std {self.std} do not fit the {tensor.shape[-3]} channels of "
                f"{tuple(tensor.shape)}"
            )
        if (std == 0).any():
            raise ValueError(f"Normalize: std must not be 0, got {self.std}")
        return tensor.sub_(mean).div_(std) if self.inplace else tensor.sub(mean).div(std)

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"


def _per_channel(values: Any, image: Tensor) -> Tensor:
    return tensor(values, dtype=image.dtype).reshape(-1, 1, 1)


class Compose:
    """Several transforms, one after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        """Apply all transforms."""
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return "Compose(\n" + "".join(f"    {t}\n" for t in self.transforms) + ")"


class Lambda:
    """A function as a transform."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Lambda: expected a function, got {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        """Apply the function."""
        return self.lambd(img)

    def __repr__(self) -> str:
        return "Lambda()"


def byte_table(transform: Any, channels: int) -> np.ndarray | None:
    """Return what ToTensor, and any Normalize after it, make of each byte: (C, 256) float32; None for other transforms."""
    chain = list(transform.transforms) if type(transform) is Compose else [transform]
    if not chain or type(chain[0]) is not ToTensor or any(type(t) is not Normalize for t in chain[1:]):
        return None
    bytes_as_image = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], channels, axis=2)
    table = Compose(chain)(bytes_as_image)  # (C, 1, 256)
    return np.ascontiguousarray(table.numpy()[:, 0, :])
