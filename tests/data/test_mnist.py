"""MNIST and FashionMNIST: where files are found, what is refused, and what samples and batches hold."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import transforms
from tinygrad_cnn.datasets import KMNIST, MNIST, FashionMNIST, read_idx
from tinygrad_cnn.utils.data import DataLoader, Subset

from . import idx

pytestmark = pytest.mark.usefixtures("_no_network")
NORMALIZED = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])


@pytest.fixture
def root(tmp_path):
    return idx.write(tmp_path / "files")


# ---- where files are ----


@pytest.mark.parametrize("packed", [True, False], ids=["gz", "plain"])
@pytest.mark.parametrize(
    ("cls", "folder"),
    [(MNIST, "MNIST/raw"), (MNIST, ""), (FashionMNIST, "FashionMNIST/raw"), (FashionMNIST, ""), (KMNIST, "KMNIST/raw")],
)
def test_found_in_root(cls, folder, packed, tmp_path):
    idx.write(tmp_path / "root" / folder, packed)
    for train in (True, False):
        for root in (tmp_path / "root", str(tmp_path / "root")):
            data = cls(root, train=train)
            np.testing.assert_array_equal(data.data.numpy(), idx.images(train))
            np.testing.assert_array_equal(data.targets.numpy(), idx.labels(train))


@pytest.mark.parametrize(
    ("cls", "folder"),
    [(MNIST, "mnist"), (MNIST, "MNIST/raw"), (FashionMNIST, "fashion-mnist"), (FashionMNIST, "FashionMNIST/raw")],
)
@pytest.mark.parametrize("root", [None, "elsewhere"])
def test_found_through_the_environment(cls, folder, root, tmp_path, monkeypatch):
    idx.write(tmp_path / "shared" / folder)
    monkeypatch.setenv("TINYGRAD_CNN_DATA", str(tmp_path / "shared"))
    assert len(cls(root and tmp_path / root)) == 12
    assert len(cls(root and tmp_path / root, download=True)) == 12


def test_found_in_the_cache(tmp_path):
    idx.write(tmp_path / "cache" / "mnist")
    assert len(MNIST()) == 12
    with pytest.raises(RuntimeError, match="not found"):
        FashionMNIST()


def test_root_comes_before_the_environment(root, tmp_path, monkeypatch):
    other = tmp_path / "shared" / "mnist"
    other.mkdir(parents=True)
    for name, data in idx.contents(count=3).items():
        (other / name).write_bytes(data)
    monkeypatch.setenv("TINYGRAD_CNN_DATA", str(tmp_path / "shared"))
    assert len(MNIST(root)) == 12
    assert len(MNIST()) == 3


def test_a_missing_file_says_where_to_put_which(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGRAD_CNN_DATA", str(tmp_path / "shared"))
    with pytest.raises(RuntimeError) as caught:
        MNIST(tmp_path / "root", train=False)
    lines = str(caught.value).split("\n")
    assert lines[0] == "t10k-images-idx3-ubyte.gz was not found, and download=True was not given. Put it into one of"
    places = ["root/MNIST/raw", "root", "shared/mnist", "shared/MNIST/raw", "cache/mnist"]
    assert [line.strip() for line in lines[1:-1]] == [str(tmp_path / place) for place in places]
    assert lines[-1].startswith("or set TINYGRAD_CNN_DATA to a folder that has it")


def test_one_missing_file_is_named(root):
    (root / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(RuntimeError, match=r"^train-labels-idx1-ubyte\.gz was not found"):
        MNIST(root)


# ---- files that are refused, by name ----

PLAIN = idx.encode(idx.images())
PACKED = gzip.compress(PLAIN)
REFUSED = {
    "truncated gzip": (PACKED[:-100], "is truncated or corrupt"),
    "cut to the gzip header": (PACKED[:8], "is truncated or corrupt"),
    "corrupt gzip": (PACKED[:500] + b"\0\0\0\0" + PACKED[504:], "is truncated or corrupt"),
    "wrong checksum": (PACKED[:-8] + bytes(4) + PACKED[-4:], "is truncated or corrupt"),
    "truncated": (PLAIN[:-1], r"shape \(12, 28, 28\) needs 9424 bytes, it has 9423"),
    "too long": (PLAIN + b"\0", "needs 9424 bytes, it has 9425"),
    "truncated inside gzip": (gzip.compress(PLAIN[:-1]), "needs 9424 bytes, it has 9423"),
    "cut in the header": (PLAIN[:9], "is truncated or corrupt"),
    "empty": (b"", "is not an IDX file"),
    "a web page": (b"<!DOCTYPE html><html>not found</html>", "is not an IDX file: it starts with '3c 21 44 4f'"),
    "wrong magic": (b"\0\1" + PLAIN[2:], "is not an IDX file"),
    "unknown type": (b"\0\0\x0a" + PLAIN[3:], "is not an IDX file"),
    "too many axes": (b"\0\0\x08\xff" + bytes(4 * 255), "is not an IDX file"),
    "sizes beyond 64 bits": (b"\0\0\x08\x03" + (b"\x80" + bytes(3)) * 3, "is truncated or corrupt"),
    "wrong rank": (idx.encode(idx.labels()), "holds uint8 of 1 dimensions, expected uint8 of 3"),
    "wrong dtype": (idx.encode(idx.images().astype(np.int32)), "holds int32 of 3 dimensions, expected uint8 of 3"),
}


@pytest.mark.parametrize(("content", "text"), REFUSED.values(), ids=REFUSED)
def test_refused_by_name(content, text, root):
    path = root / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match=text) as caught:
        MNIST(root)
    assert str(caught.value).startswith(str(path))
    assert len(MNIST(root, train=False)) == 12


def test_images_and_labels_that_do_not_match(root):
    (root / "train-labels-idx1-ubyte").write_bytes(idx.encode(idx.labels(count=11)))
    with pytest.raises(RuntimeError) as caught:
        MNIST(root)
    images, labels = root / "train-images-idx3-ubyte.gz", root / "train-labels-idx1-ubyte"
    assert str(caught.value) == f"{images} holds 12 images, but {labels} 11 labels"


@pytest.mark.parametrize("dtype", idx.CODES)
@pytest.mark.parametrize("shape", [(), (3,), (0, 4), (2, 3, 4)])
def test_read_idx_of_every_type(dtype, shape, tmp_path):
    array = np.asarray(np.arange(-3, 21)[: int(np.prod(shape))].reshape(shape), dtype)
    (tmp_path / "file").write_bytes(idx.encode(array))
    found = read_idx(tmp_path / "file")
    assert found.dtype == np.dtype(dtype)
    assert found.flags.writeable
    np.testing.assert_array_equal(found, array)


# ---- samples ----


def test_samples(root):
    data = MNIST(root)
    image, label = data[3]
    assert type(label) is int
    pil = pytest.importorskip("PIL.Image", reason="items are PIL images where pillow is installed")
    assert isinstance(image, pil.Image)
    assert image.mode == "L"
    np.testing.assert_array_equal(image, idx.images()[3])
    assert label == idx.labels()[3]
    assert len(data) == len(list(data)) == 12
    assert (data.data.dtype, data.data.shape) == (tg.uint8, (12, 28, 28))
    assert (data.targets.dtype, data.targets.shape) == (tg.int64, (12,))
    with pytest.raises(IndexError):
        data[12]


def test_transforms_are_applied(root):
    data = MNIST(root, transform=NORMALIZED, target_transform=lambda label: label + 1000)
    image, label = data[-1]
    expected = (idx.images()[-1] / np.float32(255) - np.float32(0.1307)) / np.float32(0.3081)
    np.testing.assert_array_equal(image.numpy()[0], expected)
    assert label == idx.labels()[-1] + 1000.0


def test_names_and_text(root):
    data = FashionMNIST(root, train=False)
    assert data.classes[9] == "Ankle boot"
    assert MNIST.classes[0] == "0 - zero"
    assert data.class_to_idx["Pullover"] == 2
    assert (
        repr(data) == f"Dataset FashionMNIST\n    Number of datapoints: 12\n    Root location: {root}\n    Split: Test"
    )


def test_without_pillow_samples_are_arrays(root, monkeypatch):
    monkeypatch.setattr(transforms.pillow, "library", lambda: None)
    data = MNIST(root)
    assert data[3][0].dtype == np.uint8
    np.testing.assert_array_equal(data[3][0], idx.images()[3])
    data.transform = NORMALIZED
    np.testing.assert_array_equal(data[3][0].numpy(), data.batch(np.array([3]))[0][0].numpy())


# ---- batches ----

TABLES = {
    "ToTensor": (transforms.ToTensor(), True),
    "Compose of ToTensor": (transforms.Compose([transforms.ToTensor()]), True),
    "normalized": (NORMALIZED, True),
    "twice normalized": (transforms.Compose([NORMALIZED.transforms[0], *[transforms.Normalize(0.5, 0.5)] * 2]), True),
    "another transform": (transforms.Compose([transforms.ToTensor(), transforms.Lambda(lambda x: x * 2)]), False),
    "nested": (transforms.Compose([NORMALIZED]), True),
    "cropped and flipped": (
        transforms.Compose(
            [transforms.RandomCrop((28, 24), padding=(3, 2), fill=9), transforms.RandomHorizontalFlip(), NORMALIZED]
        ),
        True,
    ),
    "normalized, then padded, flipped and cropped": (
        transforms.Compose(
            [
                NORMALIZED,
                transforms.Pad((1, 2, 3, 4), fill=0.25),
                transforms.RandomVerticalFlip(0.4),
                transforms.RandomHorizontalFlip(),
                transforms.RandomCrop(20),
                transforms.Normalize(0.1, 2.0),
            ]
        ),
        True,
    ),
    "padded twice": (transforms.Compose([transforms.Pad(1), transforms.Pad(1, fill=5), transforms.ToTensor()]), False),
    "reflected": (transforms.Compose([transforms.Pad(1, padding_mode="reflect"), transforms.ToTensor()]), False),
}


@pytest.mark.parametrize(("transform", "by_table"), TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("order", [{"shuffle": True}, {"sampler": [3, -1, 0, 3]}, {"batch_sampler": [[1, -12], [5]]}])
def test_batches_have_the_bits_of_items(transform, by_table, order, root):
    data = MNIST(root, transform=transform)
    assert (data.batch(np.array([0])) is not None) == by_table
    if "batch_sampler" not in order:
        order = {"batch_size": 5, **order}

    def batches(data):
        tg.manual_seed(8)
        return list(DataLoader(data, generator=tg.Generator().manual_seed(1), **order))

    class Itemwise(Subset):
        batch = None

    for (x, y), (x_items, y_items) in zip(batches(data), batches(Itemwise(data, range(12))), strict=True):
        assert x.dtype is x_items.dtype
        np.testing.assert_array_equal(x.numpy(), x_items.numpy())
        np.testing.assert_array_equal(y.numpy(), y_items.numpy())


def test_batches_of_a_subset(root):
    data = Subset(MNIST(root, transform=NORMALIZED), [7, 1, -1])
    x, y = next(iter(DataLoader(data, 3)))
    np.testing.assert_array_equal(x.numpy(), np.stack([data[i][0].numpy() for i in range(3)]))
    assert y.tolist() == idx.labels()[[7, 1, -1]].tolist()


def test_a_target_transform_goes_item_by_item(root):
    data = MNIST(root, transform=NORMALIZED, target_transform=lambda label: label + 100)
    assert data.batch(np.arange(3)) is None
    assert next(iter(DataLoader(data, 12)))[1].tolist() == (idx.labels() + 100.0).tolist()


@pytest.mark.parametrize("position", [12, -13, 10**9])
def test_positions_out_of_range_are_refused(position, root):
    data = MNIST(root, transform=NORMALIZED)
    with pytest.raises(IndexError, match="MNIST: positions must be between 0 and 11"):
        data.batch(np.array([0, position]))


def test_batches_of_strided_and_empty_positions(root):
    data = MNIST(root, transform=NORMALIZED)
    x, y = data.batch(np.arange(12)[::-3])
    np.testing.assert_array_equal(x[1].numpy(), data[8][0].numpy())
    x, y = data.batch(np.arange(0))
    assert (x.shape, y.shape) == ((0, 1, 28, 28), (0,))


def test_a_transform_for_other_channels_is_refused_in_both_ways(root):
    data = MNIST(
        root, transform=transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)])
    )
    for use in (lambda: data[0], lambda: data.batch(np.arange(2))):
        with pytest.raises(RuntimeError, match="do not fit the 1 channels"):
            use()
