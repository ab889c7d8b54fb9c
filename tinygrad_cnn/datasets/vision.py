"""What data sets of images share: items as PIL images, transforms, and whole batches of images in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..creation import tensor
from ..dtypes import int64
from ..transforms import pillow, transform_images
from ..utils.data import Dataset

Function = Callable[[Any], Any]


class VisionDataset(Dataset[Any]):
    """The base of data sets of images: `root`, `transform` of images, `target_transform` of labels."""

    def __init__(
        self, root: Any = None, transform: Function | None = None, target_transform: Function | None = None
    ) -> None:
        self.root, self.transform, self.target_transform = root, transform, target_transform

    def _transformed(self, image: Any, target: Any) -> tuple[Any, Any]:
        return (
            image if self.transform is None else self.transform(image),
            target if self.target_transform is None else self.target_transform(target),
        )

    def extra_repr(self) -> str:
        """Return further lines of the text."""
        return ""

    def __repr__(self) -> str:
        lines = [f"Dataset {type(self).__name__}", f"    Number of datapoints: {len(self)}"]
        lines += [f"    Root location: {self.root}"] if self.root is not None else []
        lines += [f"    {line}" for line in self.extra_repr().splitlines()]
        given = {"Transform": self.transform, "Target transform": self.target_transform}
        if any(given.values()):
            lines.append("    StandardTransform")
        for name, function in given.items():
            if function:
                head = f"{name}: "
                lines.append(head + repr(function).replace("\n", "\n" + " " * len(head)))
        return "\n".join(lines)

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__")


class ImagesInMemory(VisionDataset):
    """Images that are all in memory, as uint8 `data`, with a label each in `targets`.

    An item is a PIL image and an int, or an array instead of the image where Pillow is not installed.
    """

    data: Any
    targets: Any
    classes: ClassVar[list[str]]
    train: bool

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The number of each class by its name."""
        return {name: i for i, name in enumerate(self.classes)}

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        array = np.asarray(self.data[index])
        image = pillow.from_array(array) if pillow.library() else array
        return self._transformed(image, int(self.targets[index]))

    def __len__(self) -> int:
        return len(self.data)

    def batch(self, indices: np.ndarray) -> Any:
        """Return images (B, C, H, W) and labels (B,) by one compiled pass, if the transform can be done so; else None."""
        if self.target_transform is not None:
            return None
        count = len(self)
        if ((indices < -count) | (indices >= count)).any():
            raise IndexError(f"{type(self).__name__}: positions must be between 0 and {count - 1}, got {indices}")
        places = indices % max(count, 1)
        images = np.asarray(self.data)
        images = images[..., None] if images.ndim == 3 else images
        batch = transform_images(images, places, self.transform)
        return None if batch is None else [batch, tensor([int(self.targets[i]) for i in places.tolist()], dtype=int64)]

    def extra_repr(self) -> str:
        """Return which split it is."""
        return f"Split: {'Train' if self.train else 'Test'}"
