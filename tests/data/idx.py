"""Tiny data sets in MNIST's form, for the tests of this folder."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}
STEMS = {True: "train", False: "t10k"}


def encode(array: np.ndarray) -> bytes:
    """Return an array as the contents of an IDX file."""
    header = bytes([0, 0, CODES[array.dtype.name], array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def images(train: bool = True, count: int = 12) -> np.ndarray:
    """Return random images (count, 28, 28)."""
    return np.random.default_rng(train).integers(0, 256, (count, 28, 28), np.uint8)


def labels(train: bool = True, count: int = 12) -> np.ndarray:
    """Return random labels (count,)."""
    return np.random.default_rng([2, train]).integers(0, 10, count, np.uint8)


def contents(train: bool = True, count: int = 12) -> dict[str, bytes]:
    """Return the two plain files of a split by name."""
    prefix = STEMS[train]
    return {
        f"{prefix}-images-idx3-ubyte": encode(images(train, count)),
        f"{prefix}-labels-idx1-ubyte": encode(labels(train, count)),
    }


def write(folder: Path, packed: bool = True) -> Path:
    """Write all four files into a folder, gzipped or not."""
    folder.mkdir(parents=True, exist_ok=True)
    for train in (True, False):
        for name, data in contents(train).items():
            target = folder / (name + ".gz" if packed else name)
            target.write_bytes(gzip.compress(data, mtime=0) if packed else data)
    return folder
