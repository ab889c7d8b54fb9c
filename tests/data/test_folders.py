"""DatasetFolder, ImageFolder and FakeData."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from tinygrad_cnn import transforms
from tinygrad_cnn.datasets import DatasetFolder, FakeData, ImageFolder

Image = pytest.importorskip("PIL.Image", reason="image files need the package pillow")


@pytest.fixture
def root(tmp_path):
    for k, name in enumerate(["b/2.png", "b/1.PNG", "a/deep/er/3.png", "a/4.txt", "c/x.jpg"]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 3), 10 * k).save(path, "PNG")
    (tmp_path / "no class").write_text("")
    return tmp_path


def test_image_folder(root):
    data = ImageFolder(root)
    assert data.classes == ["a", "b", "c"]
    assert data.class_to_idx == {"a": 0, "b": 1, "c": 2}
    names = ["a/deep/er/3.png", "b/1.PNG", "b/2.png", "c/x.jpg"]
    assert data.samples == data.imgs == [(str(root / n), t) for n, t in zip(names, [0, 1, 1, 2], strict=True)]
    assert data.targets == [0, 1, 1, 2]
    image, target = data[2]
    assert (image.mode, image.size, np.asarray(image)[0, 0].tolist(), target) == ("RGB", (4, 3), [0, 0, 0], 1)
    assert repr(data) == f"Dataset ImageFolder\n    Number of datapoints: 4\n    Root location: {root}"
    assert len(pickle.loads(pickle.dumps(data))) == 4


def test_transforms_and_own_rules(root):
    data = ImageFolder(
        root, transforms.ToTensor(), lambda t: -t, is_valid_file=lambda path: path.endswith("txt"), allow_empty=True
    )
    x, target = data[0]
    assert (tuple(x.shape), target, len(data)) == ((3, 3, 4), 0, 1)
    texts = DatasetFolder(root, loader=lambda path: path[-5:], extensions=(".txt",), allow_empty=True)
    assert list(texts) == [("4.txt", 0)]


def test_errors(root, tmp_path):
    (root / "a" / "deep" / "er" / "3.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"for the classes a, c in .*; the extensions are \.PNG, \.png"):
        DatasetFolder(root, str, (".PNG", ".png"))
    with pytest.raises(FileNotFoundError, match="no folder of a class"):
        ImageFolder(root / "c")
    with pytest.raises(ValueError, match="either extensions or is_valid_file"):
        DatasetFolder(root, str)


def test_fake_data():
    data = FakeData(5, (3, 8, 6), num_classes=4)
    image, target = data[2]
    assert (image.size, image.mode) == ((6, 8), "RGB")
    assert 0 <= target < 4
    assert data[2][0].tobytes() == image.tobytes() != data[1][0].tobytes()
    assert FakeData(5, (3, 8, 6), random_offset=1)[1][0].tobytes() == image.tobytes()
    assert FakeData(5, (1, 8, 6), transform=transforms.ToTensor())[0][0].shape == (1, 8, 6)
    with pytest.raises(IndexError):
        data[5]
    assert len(list(data)) == 5


def test_fake_data_without_pillow(monkeypatch):
    image = FakeData(5, (3, 8, 6))[2][0]
    monkeypatch.setattr(transforms.pillow, "library", lambda: None)
    np.testing.assert_array_equal(FakeData(5, (3, 8, 6))[2][0], np.asarray(image))
