"""make_grid and save_image."""

from __future__ import annotations

import io

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.transforms import pillow
from tinygrad_cnn.utils import make_grid, save_image
from tinygrad_cnn.utils.images import png


def test_places():
    images = tg.arange(5).reshape(5, 1, 1, 1).float().expand(5, 3, 2, 3) + 1
    grid = make_grid(images, nrow=3, padding=1, pad_value=9)
    assert grid.shape == (3, 2 * 3 + 1, 3 * 4 + 1)
    assert grid[1, 1].tolist() == [9, 1, 1, 1, 9, 2, 2, 2, 9, 3, 3, 3, 9]
    assert grid[1, 4].tolist() == [9, 4, 4, 4, 9, 5, 5, 5, 9, 9, 9, 9, 9]
    assert (grid[:, 0] == 9).all()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((4, 5), (3, 4, 5)), ((1, 4, 5), (3, 4, 5)), ((3, 4, 5), (3, 4, 5)), ((1, 1, 4, 5), (3, 4, 5)),
     ((2, 3, 4, 5), (3, 8, 16)), ((9, 1, 4, 5), (3, 14, 58))],
)  # fmt: skip
def test_shapes(shape, expected):
    assert make_grid(tg.zeros(shape)).shape == expected


def test_normalize():
    images = tg.tensor([[[[1.0, 3.0]]], [[[2.0, 5.0]]]])
    assert make_grid(images, normalize=True, padding=0)[0].tolist() == [[0, 0.5, 0.25, 1]]
    assert make_grid(images, normalize=True, padding=0, scale_each=True)[0].tolist() == [[0, 1, 0, 1]]
    assert make_grid(images, normalize=True, padding=0, value_range=(2, 4))[0].tolist() == [[0, 0.5, 0, 1]]
    assert images.max() == 5


def test_a_list_and_errors():
    assert make_grid([tg.zeros(1, 2, 2)] * 3).shape == (3, 6, 14)
    with pytest.raises(TypeError, match=r"got shape \(3,\)"):
        make_grid(tg.zeros(3))
    with pytest.raises(TypeError, match="value_range must be a pair"):
        make_grid(tg.zeros(2, 1, 2, 2), normalize=True, value_range=[0, 1])


@pytest.mark.parametrize("with_pillow", [True, False])
def test_save_image(with_pillow, tmp_path, monkeypatch):
    image = pytest.importorskip("PIL.Image", reason="reading the file needs the package pillow")
    if not with_pillow:
        monkeypatch.setattr(pillow, "library", lambda: None)
        with pytest.raises(ValueError, match="writing jpg needs the package pillow"):
            save_image(tg.zeros(3, 2, 2), tmp_path / "a.jpg")
    x = tg.from_numpy(np.random.default_rng(0).random((2, 3, 5, 4)).astype(np.float32))
    buffer = io.BytesIO()
    save_image(x, tmp_path / "a.png", padding=1)
    save_image(x, buffer, "png", padding=1)
    expected = np.clip(make_grid(x, padding=1).numpy() * 255 + 0.5, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    for file in (tmp_path / "a.png", buffer):
        with image.open(file) as found:
            np.testing.assert_array_equal(np.asarray(found), expected)


def test_png_of_grey():
    image = pytest.importorskip("PIL.Image", reason="reading the file needs the package pillow")
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    np.testing.assert_array_equal(np.asarray(image.open(io.BytesIO(png(pixels)))), pixels[:, :, 0])
