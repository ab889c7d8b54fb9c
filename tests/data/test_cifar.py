"""CIFAR-10 and CIFAR-100 from batches and from JPEG files; a batch cannot execute code."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import zipfile

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import transforms
from tinygrad_cnn.datasets import CIFAR10, CIFAR100, files
from tinygrad_cnn.datasets.cifar import read_batch
from tinygrad_cnn.utils.data import DataLoader

pytestmark = pytest.mark.usefixtures("_no_network")
COUNT = 4  # images in each batch


def rows(seed):
    return np.random.default_rng(seed).integers(0, 256, (COUNT, 3072), np.uint8)


def python_batch(seed, cls, protocol=2):
    labels = [(seed + i) % len(cls.classes) for i in range(COUNT)]
    batch = {
        b"batch_label": b"a batch",
        b"data": rows(seed),
        cls.label.encode(): labels,
        b"filenames": [b"a.png"] * COUNT,
    }
    if protocol == 0:  # as Python 2 wrote it: names of bytes are texts of Latin-1
        batch = {key.decode(): value for key, value in batch.items()}
    return pickle.dumps(batch, protocol)


def binary_batch(seed, cls):
    labels = np.array([[7] * (cls.label_bytes - 1) + [(seed + i) % len(cls.classes)] for i in range(COUNT)], np.uint8)
    return np.concatenate([labels, rows(seed)], axis=1).tobytes()


def contents(cls, binary=False):
    """Return the files of both splits by name."""
    names = cls.train_batches + cls.test_batches
    if binary:
        return {f"{name}.bin": binary_batch(k, cls) for k, name in enumerate(names)}
    return {name: python_batch(k, cls) for k, name in enumerate(names)}


def write_folder(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def write_archive(path, folder, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def check(data, cls, train):
    seeds = range(len(cls.train_batches)) if train else [len(cls.train_batches)]
    expected = np.concatenate([rows(k) for k in seeds]).reshape(-1, 3, 32, 32)
    np.testing.assert_array_equal(data.data, expected.transpose(0, 2, 3, 1))
    assert data.targets == [(k + i) % len(cls.classes) for k in seeds for i in range(COUNT)]
    assert data.class_to_idx[cls.classes[3]] == 3


@pytest.mark.parametrize("cls", [CIFAR10, CIFAR100])
@pytest.mark.parametrize("binary", [False, True], ids=["python", "binary"])
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
@pytest.mark.parametrize("train", [True, False])
def test_batches(cls, binary, packed, train, tmp_path, monkeypatch):
    folder, archive = (cls.binary_folder, cls.binary_archive) if binary else (cls.base_folder, cls.archive)
    if packed:
        write_archive(tmp_path / "root" / archive, folder, contents(cls, binary))
        write_archive(tmp_path / "shared" / cls.folder / archive, folder, contents(cls, binary))
    else:
        write_folder(tmp_path / "root" / folder, contents(cls, binary))
        write_folder(tmp_path / "shared" / cls.folder, contents(cls, binary))
    check(cls(tmp_path / "root", train), cls, train)
    monkeypatch.setenv(files.VARIABLE, str(tmp_path / "shared"))
    check(cls(train=train, download=True), cls, train)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_batches_of_every_protocol(protocol):
    images, labels = read_batch(python_batch(3, CIFAR10, protocol), "labels")
    np.testing.assert_array_equal(images.transpose(0, 3, 1, 2).reshape(COUNT, -1), rows(3))
    assert labels == [3, 4, 5, 6]


class Evil:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "evil",
    [Evil(os.system, "echo"), Evil(eval, "1"), Evil(print), Evil(getattr, "text", "upper"), Evil(np.load, "file")],
)
def test_a_batch_cannot_call_functions(evil, tmp_path, capfd):
    write_folder(tmp_path, contents(CIFAR10) | {"test_batch": pickle.dumps({b"data": evil, b"labels": []})})
    with pytest.raises(RuntimeError, match=r"test_batch in .* is not a CIFAR batch.*it asks for"):
        CIFAR10(tmp_path, train=False)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    "content", [b"", b"<html>", python_batch(0, CIFAR10)[:-500], pickle.dumps({b"data": rows(0), b"labels": [1]}),
                pickle.dumps([1]), pickle.dumps({b"labels": []})],
)  # fmt: skip
def test_broken_batches_are_named(content, tmp_path):
    write_folder(tmp_path, contents(CIFAR10) | {"data_batch_3": content})
    with pytest.raises(RuntimeError, match=r"data_batch_3 in .* is not a CIFAR batch, or is incomplete"):
        CIFAR10(tmp_path)


def test_a_missing_data_set_says_where_to_put_it(tmp_path):
    with pytest.raises(RuntimeError, match=r"cifar-100-python.tar.gz was not found, and download=True was not given"):
        CIFAR100(tmp_path)


# ---- JPEG files ----


def jpegs(classes, suffix=".jpg", size=32):
    image = pytest.importorskip("PIL.Image", reason="JPEG files need the package pillow")
    found = {}
    for k, name in enumerate(classes):
        for i in (1, 0):
            file = io.BytesIO()
            image.new("RGB", (size, size), (20 * k, 100 * i, 7)).save(file, "PNG" if suffix == ".png" else "JPEG")
            found[f"{name}/{i:04}{suffix}"] = file.getvalue()
    return found


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_jpeg_files(packed, tmp_path, monkeypatch):
    root = tmp_path / "root"
    for split, suffix in (("train", ".jpg"), ("test", ".png")):
        found = jpegs(CIFAR10.classes, suffix)
        if packed:
            root.mkdir(exist_ok=True)
            with zipfile.ZipFile(root / f"{split}.zip", "w") as archive:
                for name, data in found.items():
                    archive.writestr(name, data)
        else:
            for name, data in found.items():
                write_folder((root / split / name).parent, {(root / split / name).name: data})
    data = CIFAR10(root, train=False)
    assert data.targets == [k for k in range(10) for _ in range(2)]
    assert data.data.dtype == np.uint8
    assert data.data[:, 0, 0].tolist() == [[20 * k, 100 * i, 7] for k in range(10) for i in (0, 1)]
    train = CIFAR10(root)
    assert np.abs(train.data.astype(int) - data.data).max() <= 4
    kept = sorted(p.name[:5] for p in (tmp_path / "cache" / "cifar10").iterdir())
    assert kept == ["test-", "train"]
    monkeypatch.setattr(transforms.pillow, "library", lambda: None)  # not needed a second time
    np.testing.assert_array_equal(CIFAR10(root).data, train.data)
    for path in (tmp_path / "cache" / "cifar10").iterdir():
        path.unlink()
    with pytest.raises(RuntimeError, match="needs the package pillow"):
        CIFAR10(root)


def test_images_of_another_size(tmp_path):
    for name, data in jpegs(CIFAR10.classes, size=16).items():
        write_folder((tmp_path / "train" / name).parent, {(tmp_path / name).name: data})
    with pytest.raises(RuntimeError, match=r"has shape \(16, 16, 3\)"):
        CIFAR10(tmp_path)
    assert not (tmp_path / "cache").exists()


def test_folders_of_another_data_set_are_passed_over(tmp_path):
    for name, data in jpegs(["cat", "tree"]).items():
        write_folder((tmp_path / "train" / name).parent, {(tmp_path / name).name: data})
    with pytest.raises(RuntimeError, match="was not found"):
        CIFAR10(tmp_path)


# ---- samples and batches ----


def test_samples_and_batches(tmp_path):
    write_folder(tmp_path, contents(CIFAR10))
    image, label = CIFAR10(tmp_path)[5]
    pil = pytest.importorskip("PIL.Image", reason="items are PIL images where pillow is installed")
    assert isinstance(image, pil.Image)
    assert (image.mode, label) == ("RGB", 2)
    chain = transforms.Compose(
        [transforms.RandomCrop(32, padding=4, fill=(1, 2, 3)), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
         transforms.Normalize((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616))]
    )  # fmt: skip
    data = CIFAR10(tmp_path, transform=chain)
    tg.manual_seed(1)
    x, y = data.batch(np.arange(20))
    tg.manual_seed(1)
    items = [data[i] for i in range(20)]
    np.testing.assert_array_equal(x.numpy(), np.stack([item[0].numpy() for item in items]))
    assert y.tolist() == [item[1] for item in items]
    assert next(iter(DataLoader(data, 7)))[0].shape == (7, 3, 32, 32)
    assert data.batch(np.arange(0))[0].shape == (0, 3, 32, 32)
