"""DatasetFolder and ImageFolder: a folder for each class; FakeData: random images."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..creation import randint, randn
from ..random import Generator
from ..transforms import pillow
from ..transforms.functional import to_pil_image
from .vision import Function, VisionDataset

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def default_loader(path: str) -> Any:
    """Read an image file as a PIL image in RGB."""
    if pillow.library() is None:
        raise ImportError(f"reading {path} needs the package pillow: pip install 'tinygrad_cnn[data]'")
    with Path(path).open("rb") as file:
        return pillow.library().Image.open(file).convert("RGB")


class DatasetFolder(VisionDataset):
    """Samples root/class/.../file: those with one of the extensions, or those that is_valid_file(path) accepts.

    `samples` is the list of (path, class number), sorted; `targets`, `classes` and `class_to_idx` as in other data sets.
    """

    def __init__(
        self, root: str | os.PathLike[str], loader: Callable[[str], Any], extensions: tuple[str, ...] | None = None,
        transform: Function | None = None, target_transform: Function | None = None,
        is_valid_file: Callable[[str], bool] | None = None, allow_empty: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(root, transform, target_transform)
        if (extensions is None) == (is_valid_file is None):
            raise ValueError("DatasetFolder: expected either extensions or is_valid_file")
        self.loader, self.extensions = loader, extensions
        self.classes, self.class_to_idx = self.find_classes(root)
        valid = is_valid_file or (lambda path: path.lower().endswith(extensions))  # type: ignore[arg-type]
        self.samples = [
            (path, self.class_to_idx[name])
            for name in self.classes
            for folder, _, names in sorted(os.walk(Path(root) / name, followlinks=True))
            for path in sorted(os.path.join(folder, file) for file in names)  # noqa: PTH118  (texts, as torchvision's)
            if valid(path)
        ]
        self.targets = [target for _, target in self.samples]
        empty = sorted(set(self.classes) - {self.classes[t] for t in self.targets})
        if empty and not allow_empty:
            wanted = f"; the extensions are {', '.join(extensions)}" if extensions else ""
            raise FileNotFoundError(f"no valid file was found for the classes {', '.join(empty)} in {root}{wanted}")

    def find_classes(self, directory: str | os.PathLike[str]) -> tuple[list[str], dict[str, int]]:
        """Return the names of the sub-folders, sorted, and their numbers."""
        classes = sorted(entry.name for entry in Path(directory).iterdir() if entry.is_dir())
        if not classes:
            raise FileNotFoundError(f"no folder of a class was found in {directory}")
        return classes, {name: i for i, name in enumerate(classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        return self._transformed(self.loader(path), target)

    def __len__(self) -> int:
        return len(self.samples)


class ImageFolder(DatasetFolder):
    """Images root/class/.../file.png, as PIL images in RGB unless another loader is given."""

    def __init__(
        self, root: str | os.PathLike[str], transform: Function | None = None, target_transform: Function | None = None,
        loader: Callable[[str], Any] = default_loader, is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:  # fmt: skip
        extensions = IMG_EXTENSIONS if is_valid_file is None else None
        super().__init__(root, loader, extensions, transform, target_transform, is_valid_file, allow_empty)
        self.imgs = self.samples


class FakeData(VisionDataset):
    """Random images and labels, the same at the same index: PIL images, or uint8 arrays where Pillow is not installed."""

    def __init__(
        self, size: int = 1000, image_size: tuple[int, ...] = (3, 224, 224), num_classes: int = 10,
        transform: Function | None = None, target_transform: Function | None = None, random_offset: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(None, transform, target_transform)
        self.size, self.image_size, self.num_classes, self.random_offset = size, image_size, num_classes, random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not 0 <= index < len(self):
            raise IndexError(f"FakeData: index {index} is out of range for {len(self)} images")
        generator = Generator().manual_seed(index + self.random_offset)
        image = randn(*self.image_size, generator=generator)
        target = int(randint(0, self.num_classes, (1,), generator=generator))
        if pillow.library():
            return self._transformed(to_pil_image(image), target)
        array = (image.numpy() * 255).astype(np.int64).astype(np.uint8).transpose(1, 2, 0)
        return self._transformed(array[:, :, 0] if len(image) == 1 else array, target)

    def __len__(self) -> int:
        return self.size
