"""MNIST and data sets of its form: 28 x 28 grey images in IDX files."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..creation import from_numpy
from ..tensor import Tensor
from . import files
from .vision import ImagesInMemory

IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_AXES = 32


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an IDX file, gzipped or not: 0 0 type rank, the sizes (big-endian), the elements.

    RuntimeError, with the file's name, if it is truncated, corrupt or something else.
    """
    content = Path(path).read_bytes()
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise RuntimeError(f"{path} is truncated or corrupt: {error}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in IDX_TYPES or content[3] > MOST_AXES:
        raise RuntimeError(f"{path} is not an IDX file: it starts with {content[:4].hex(' ')!r}")
    kind, rank = np.dtype(IDX_TYPES[content[2]]), content[3]
    start = 4 + 4 * rank
    shape = tuple(int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank))
    size = kind.itemsize * math.prod(shape)
    if len(content) != start + size:
        raise RuntimeError(
            f"{path} is truncated or corrupt: shape {shape} needs {start + size} bytes, it has {len(content)}"
        )
    return np.frombuffer(content, kind, offset=start).reshape(shape).astype(kind.newbyteorder("="))


class MNIST(ImagesInMemory):
    """Handwritten digits: 60,000 for training, 10,000 for testing; LeCun, Cortes and Burges.

    `root` may hold the files in torchvision's layout (root/MNIST/raw) or directly, gzipped or not; $TINYGRAD_CNN_DATA/mnist
    and the user's cache are searched too, and `download` fetches what is missing.  `data` (N, 28, 28) uint8 and `targets`
    (N,) int64 hold everything.
    """

    folder: ClassVar[str] = "mnist"
    mirrors: ClassVar[tuple[str, ...]] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    sha256: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    }
    classes: ClassVar[list[str]] = [
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine",
    ]  # fmt: skip

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform, target_transform)
        self.train = train
        prefix = "train" if train else "t10k"
        images, images_path = self._read(f"{prefix}-images-idx3-ubyte", 3, download)
        labels, labels_path = self._read(f"{prefix}-labels-idx1-ubyte", 1, download)
        if len(images) != len(labels):
            raise RuntimeError(f"{images_path} holds {len(images)} images, but {labels_path} {len(labels)} labels")
        self.data: Tensor = from_numpy(images)
        self.targets: Tensor = from_numpy(labels.astype(np.int64))

    def _read(self, stem: str, rank: int, download: bool) -> tuple[np.ndarray, Path]:
        places = files.search_path(self.root, f"{type(self).__name__}/raw", self.folder)
        name = f"{stem}.gz"
        path = files.find((stem, name), places)
        if path is None:
            if not download:
                raise files.missing(name, places, "download=True was not given")
            path = files.download(name, self.sha256[name], self.mirrors, places[0], places)
        array = read_idx(path)
        if array.ndim != rank or array.dtype != np.uint8:
            raise RuntimeError(f"{path} holds {array.dtype} of {array.ndim} dimensions, expected uint8 of {rank}")
        return array, path


class FashionMNIST(MNIST):
    """Articles of clothing in MNIST's form; Xiao, Rasul and Vollgraf, 2017."""

    folder = "fashion-mnist"
    mirrors = (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    )
    sha256: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    }
    classes: ClassVar[list[str]] = [
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ]  # fmt: skip


class KMNIST(MNIST):
    """Cursive Japanese characters in MNIST's form; Clanuwat et al., 2018."""

    folder = "kmnist"
    mirrors = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
    sha256: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        "train-labels-idx1-ubyte.gz": "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        "t10k-images-idx3-ubyte.gz": "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        "t10k-labels-idx1-ubyte.gz": "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    }
    classes: ClassVar[list[str]] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]
