"""CIFAR-10 and CIFAR-100: 32 x 32 colour images; Krizhevsky, 2009.

They are read from the original batches (Python's or binary, in a folder or as the .tar.gz), or from JPEG files in a folder for
each class (`train` and `test`, as folders or zip files), which are decoded once and kept in the user's cache.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..transforms import pillow
from . import files
from .vision import Function, ImagesInMemory

PIXELS = 3 * 32 * 32
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
Reader = Callable[[str], bytes]
Split = tuple[np.ndarray, list[int]]  # images (N, 32, 32, 3) and labels


class _PlainUnpickler(pickle.Unpickler):
    """Builds containers, numbers, texts, bytes and NumPy arrays, and nothing else: a batch cannot execute code."""

    ALLOWED: ClassVar[dict[tuple[str, str], Any]] = {
        (module, name): value
        for module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
        for name, value in (
            ("ndarray", np.ndarray), ("dtype", np.dtype), ("_reconstruct", lambda *_: np.ndarray((0,), np.uint8)),
        )
    }  # fmt: skip
    ALLOWED["_codecs", "encode"] = lambda text, encoding: str.encode(text, encoding)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}; only plain data and arrays are read")
        return self.ALLOWED[module, name]


def read_batch(content: bytes, label: str) -> Split:
    """Return images and labels of one of the Python batches."""
    batch = _PlainUnpickler(io.BytesIO(content), encoding="bytes").load()
    batch = {key.decode() if isinstance(key, bytes) else key: value for key, value in batch.items()}
    return _images(np.asarray(batch["data"], np.uint8)), [int(n) for n in batch[label]]


def _images(rows: np.ndarray) -> np.ndarray:
    """Return rows of red, green and blue planes as images (N, 32, 32, 3)."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


class CIFAR10(ImagesInMemory):
    """Animals and vehicles: 50,000 images for training, 10,000 for testing.

    `data` (N, 32, 32, 3) uint8 and the list `targets` hold everything.  Files are looked for in `root`, in
    $TINYGRAD_CNN_DATA/cifar10 and in the user's cache; `download` fetches the archive.
    """

    folder: ClassVar[str] = "cifar10"
    base_folder: ClassVar[str] = "cifar-10-batches-py"
    binary_folder: ClassVar[str] = "cifar-10-batches-bin"
    archive: ClassVar[str] = "cifar-10-python.tar.gz"
    binary_archive: ClassVar[str] = "cifar-10-binary.tar.gz"
    sha256: ClassVar[str] = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
    mirrors: ClassVar[tuple[str, ...]] = ("https://www.cs.toronto.edu/~kriz/",)
    train_batches: ClassVar[list[str]] = [f"data_batch_{i}" for i in range(1, 6)]
    test_batches: ClassVar[list[str]] = ["test_batch"]
    label: ClassVar[str] = "labels"
    label_bytes: ClassVar[int] = 1  # in front of each binary image; the last one counts
    classes: ClassVar[list[str]] = [
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ]  # fmt: skip

    def __init__(self, root: str | os.PathLike[str] | None = None, train: bool = True, transform: Function | None = None,
                 target_transform: Function | None = None, download: bool = False) -> None:  # fmt: skip
        super().__init__(root, transform, target_transform)
        self.train = train
        places = list(dict.fromkeys(files.search_path(root, "", self.folder)))
        found = next((split for place in places if (split := self._read(place)) is not None), None)
        if found is None and download:
            files.download(self.archive, self.sha256, self.mirrors, places[0], places)
            found = self._read(places[0])
        if found is None:
            raise files.missing(self.archive, places, "download=True was not given")
        self.data, self.targets = found

    def _read(self, place: Path) -> Split | None:
        """Return the split in whatever form a folder has it, or None."""
        names = self.train_batches if self.train else self.test_batches
        for folder, archive, suffix, parse in (
            (self.base_folder, self.archive, "", lambda content: read_batch(content, self.label)),
            (self.binary_folder, self.binary_archive, ".bin", self._read_binary),
        ):
            with _reader(place, folder, archive, names[0] + suffix) as read:
                if read is not None:
                    parts = [self._parsed(f"{name}{suffix}", read, parse, place) for name in names]
                    return np.concatenate([p[0] for p in parts]), [label for p in parts for label in p[1]]
        images = place / ("train" if self.train else "test")
        packed = images.with_suffix(".zip")
        source = packed if packed.is_file() else images if images.is_dir() else None
        return None if source is None else read_folders(source, self.classes, files.cache_folder() / self.folder)

    @staticmethod
    def _parsed(name: str, read: Reader, parse: Callable[[bytes], Split], place: Path) -> Split:
        """Parse one batch; an error names it."""
        try:
            images, labels = parse(read(name))
            if len(images) != len(labels):
                raise ValueError(f"{len(images)} images, but {len(labels)} labels")
            return images, labels
        except Exception as error:
            raise RuntimeError(f"{name} in {place} is not a CIFAR batch, or is incomplete: {error}") from error

    def _read_binary(self, content: bytes) -> Split:
        records = np.frombuffer(content, np.uint8).reshape(-1, self.label_bytes + PIXELS)
        return _images(records[:, self.label_bytes :]), records[:, self.label_bytes - 1].tolist()


class CIFAR100(CIFAR10):
    """A hundred classes (the fine labels) in CIFAR-10's form."""

    folder = "cifar100"
    base_folder, binary_folder = "cifar-100-python", "cifar-100-binary"
    archive, binary_archive = "cifar-100-python.tar.gz", "cifar-100-binary.tar.gz"
    sha256 = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
    train_batches: ClassVar[list[str]] = ["train"]
    test_batches: ClassVar[list[str]] = ["test"]
    label, label_bytes = "fine_labels", 2
    classes: ClassVar[list[str]] = (  # noqa: SIM905  (a hundred words read better so)
        "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can "
        "castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin "
        "elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster "
        "man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck "
        "pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk "
        "skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger "
        "tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
    ).split()


@contextmanager
def _reader(place: Path, folder: str, archive: str, first: str) -> Iterator[Reader | None]:
    """Yield a function that reads a batch by name, from a folder, from the place itself or from the archive; or None."""
    for where in (place / folder, place):
        if (where / first).is_file():
            yield lambda name: (where / name).read_bytes()  # noqa: B023  (used before the next round)
            return
    if not (place / archive).is_file():
        yield None
        return
    import tarfile  # seldom needed, slow to import

    with tarfile.open(place / archive) as tar:

        def read(name: str) -> bytes:
            member = tar.extractfile(f"{folder}/{name}")
            assert member is not None, f"{name} is not a file"
            return member.read()

        yield read


# ---- JPEG files ----


def read_folders(source: Path, classes: list[str], cache: Path) -> Split | None:
    """Return the images in a folder for each class, of a zip file or a folder, by class and then by name.

    None if there are other classes: it is another data set.
    They are decoded once: the cache keeps records of a label byte and the pixels, in a file named by what was read.
    """
    paths, read, close = _folder_listing(source)
    if {path.parent.name for path in paths} != set(classes):
        close()
        return None
    listing = sorted((classes.index(path.parent.name), path) for path in paths)
    stamp = f"{source.resolve()} {source.stat().st_mtime_ns} {len(listing)}"
    kept = cache / f"{source.stem}-{hashlib.sha256(stamp.encode()).hexdigest()[:16]}.npy"
    try:
        records = np.load(kept) if kept.is_file() else _decoded(listing, read, kept, source)
    finally:
        close()
    return np.ascontiguousarray(records[:, 1:]).reshape(-1, 32, 32, 3), records[:, 0].tolist()


def _folder_listing(source: Path) -> tuple[list[Path], Callable[[Path], bytes], Callable[[], None]]:
    """Return the images of a zip file or folder, a function that reads one, and one that ends it."""
    if source.is_dir():
        found = [p for p in source.glob("*/*") if p.suffix.lower() in IMAGE_SUFFIXES]
        return found, Path.read_bytes, lambda: None
    import zipfile

    archive = zipfile.ZipFile(source)
    found = [Path(name) for name in archive.namelist() if Path(name).suffix.lower() in IMAGE_SUFFIXES]
    return found, lambda path: archive.read(path.as_posix()), archive.close


def _decoded(listing: list[tuple[int, Path]], read: Callable[[Path], bytes], kept: Path, source: Path) -> np.ndarray:
    """Decode images and keep them, in a file that appears when it is complete."""
    image = pillow.library()
    if image is None:
        raise RuntimeError(f"reading images from {source} needs the package pillow: pip install 'tinygrad_cnn[data]'")
    records = np.empty((len(listing), 1 + PIXELS), np.uint8)
    for record, (label, path) in zip(records, listing, strict=True):
        pixels = np.asarray(image.Image.open(io.BytesIO(read(path))).convert("RGB"))
        if pixels.shape != (32, 32, 3):
            raise RuntimeError(f"{path} in {source} has shape {pixels.shape}, expected (32, 32, 3)")
        record[0], record[1:] = label, pixels.ravel()
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        np.save(Path(folder) / kept.name, records)
        (Path(folder) / kept.name).replace(kept)
    return records
