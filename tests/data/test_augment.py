"""Colours by tables, perspective, and changes chosen at random: PIL images, arrays and tensors, torchvision's formulas."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import transforms
from tinygrad_cnn.transforms import functional as F

Image = pytest.importorskip("PIL.Image")
PIXELS = np.random.default_rng(0).integers(20, 200, (24, 32, 3)).astype(np.uint8)
PICTURE, TENSOR = Image.fromarray(PIXELS), tg.from_numpy(PIXELS.transpose(2, 0, 1).copy())


def planes(img):
    """Return any kind of image as an array (C, H, W)."""
    return img.numpy() if isinstance(img, tg.Tensor) else np.asarray(img).transpose(2, 0, 1)


EXACT = {  # what Pillow and the formulas for tensors agree on
    "invert": (), "posterize": (3,), "solarize": (100,), "autocontrast": (), "equalize": (), "adjust_gamma": (0.7, 1.1),
    "adjust_sharpness": (1.7,),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_pictures_tensors_and_arrays(name):
    function, arguments = getattr(F, name), EXACT[name]
    picture, tensor, array = [function(img, *arguments) for img in (PICTURE, TENSOR, PIXELS)]
    assert isinstance(picture, Image.Image)
    assert isinstance(tensor, tg.Tensor)
    np.testing.assert_array_equal(planes(array), tensor.numpy())
    assert np.abs(planes(picture).astype(int) - tensor.numpy()).max() <= (0 if name in ("invert", "posterize") else 1)
    np.testing.assert_array_equal(PIXELS, np.asarray(PICTURE))  # untouched


def test_formulas():
    x = tg.tensor([[[0.2, 0.4], [0.6, 0.8]]])
    np.testing.assert_allclose(F.invert(x), 1 - x.numpy())
    np.testing.assert_allclose(F.solarize(x, 0.5), [[[0.2, 0.4], [0.4, 0.2]]], rtol=1e-6)
    np.testing.assert_allclose(F.autocontrast(x), (x.numpy() - 0.2) / 0.6, atol=1e-6)
    np.testing.assert_allclose(F.adjust_gamma(x, 2, 2), np.clip(2 * x.numpy() ** 2, 0, 1), rtol=1e-6)
    np.testing.assert_array_equal(F.autocontrast(x * 0 + 0.3), x * 0 + 0.3)
    np.testing.assert_array_equal(F.equalize(tg.zeros(1, 3, 3, dtype=tg.uint8)), 0)
    bytes_ = tg.tensor([[[0, 1, 2, 255]]], dtype=tg.uint8)
    np.testing.assert_array_equal(F.posterize(bytes_, 1), [[[0, 0, 0, 128]]])
    spot = tg.zeros(1, 3, 3)
    spot[0, 1, 1] = 1.0
    assert F.adjust_sharpness(spot, 0)[0, 1, 1].item() == pytest.approx(5 / 13)


def test_perspective_moves_corners():
    start = [[0, 0], [31, 0], [31, 23], [0, 23]]
    np.testing.assert_array_equal(planes(F.perspective(TENSOR, start, start)), TENSOR.numpy())
    shifted = [[x + 2, y + 1] for x, y in start]
    for img in (TENSOR, PICTURE):
        moved = planes(F.perspective(img, start, shifted, transforms.InterpolationMode.NEAREST, 7))
        np.testing.assert_array_equal(moved[:, 1:, 2:], TENSOR.numpy()[:, :-1, :-2])
        np.testing.assert_array_equal(moved[:, 0], 7)
    end = [[2, 1], [30, 0], [29, 22], [1, 23]]
    ours, pillows = [planes(F.perspective(img, start, end)).astype(int) for img in (TENSOR, PICTURE)]
    assert np.median(np.abs(ours - pillows)) <= 1


@pytest.mark.parametrize(
    ("transform", "text"),
    [
        (transforms.RandomInvert(1), "RandomInvert(p=1)"),
        (transforms.RandomPosterize(2, p=1), "RandomPosterize(bits=2,p=1)"),
        (transforms.RandomSolarize(128, 1), "RandomSolarize(threshold=128,p=1)"),
        (transforms.RandomAdjustSharpness(2, 1), "RandomAdjustSharpness(sharpness_factor=2,p=1)"),
        (transforms.RandomAutocontrast(1), "RandomAutocontrast(p=1)"),
        (transforms.RandomEqualize(1), "RandomEqualize(p=1)"),
        (transforms.RandomPerspective(p=1), "RandomPerspective(p=1)"),
        (transforms.RandomHorizontalFlip(1), "RandomHorizontalFlip(p=1)"),
    ],
)
def test_random_ones(transform, text):
    assert repr(transform) == text
    for img in (PICTURE, TENSOR):
        assert (planes(transform(img)) != planes(img)).any()
        transform.p = 0
        assert transform(img) is img
        transform.p = 1


@pytest.mark.parametrize("policy", transforms.AutoAugmentPolicy)
def test_policies(policy):
    transform = transforms.AutoAugment(policy)
    assert len(transform.policies) == 25
    assert repr(transform) == f"AutoAugment(policy={policy}, fill=None)"
    for pair in transform.policies:
        for name, p, step in pair:
            assert 0 <= p <= 1
            changed = transform.changed(TENSOR, name, transform.amount(TENSOR, name, step, 10))
            assert changed.shape == TENSOR.shape


@pytest.mark.parametrize(
    "transform",
    [transforms.AutoAugment(), transforms.RandAugment(), transforms.TrivialAugmentWide(fill=3)],
    ids=lambda t: type(t).__name__,
)
def test_augment(transform):
    for img in (PICTURE, TENSOR):
        tg.manual_seed(1)
        first = [planes(transform(img)) for _ in range(20)]
        tg.manual_seed(1)
        assert all((planes(transform(img)) == y).all() for y in first)
        assert len({y.tobytes() for y in first}) > 8


def test_magnitudes():
    rand, wide = transforms.RandAugment(), transforms.TrivialAugmentWide()
    assert rand.amount(TENSOR, "ShearX", 30, 31) == 0.3
    assert rand.amount(TENSOR, "TranslateX", 30, 31) == pytest.approx(150 / 331 * 32)
    assert rand.amount(TENSOR, "TranslateY", 30, 31) == pytest.approx(150 / 331 * 24)
    assert [rand.amount(TENSOR, "Posterize", step, 31) for step in (0, 30)] == [8, 4]
    assert [wide.amount(TENSOR, "Posterize", step, 31) for step in (0, 30)] == [8, 2]
    assert [wide.amount(TENSOR, "Solarize", step, 31) for step in (0, 30)] == [255, 0]
    assert wide.amount(TENSOR, "TranslateY", 30, 31) == 32
    assert wide.amount(TENSOR, "Color", 30, 31) == 0.99
    assert repr(rand) == (
        "RandAugment(num_ops=2, magnitude=9, num_magnitude_bins=31, interpolation=InterpolationMode.NEAREST, fill=None)"
    )


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda: F.posterize(TENSOR.float(), 2), TypeError),
        (lambda: F.equalize(TENSOR.float()), TypeError),
        (lambda: F.posterize(TENSOR, 9), ValueError),
        (lambda: F.solarize(TENSOR, 300), TypeError),
        (lambda: F.adjust_sharpness(TENSOR, -1), ValueError),
        (lambda: F.adjust_gamma(TENSOR, -1), ValueError),
        (lambda: transforms.RandomPerspective(fill="red"), TypeError),
        (lambda: transforms.AutoAugment("cifar10"), ValueError),
    ],
)
def test_what_is_refused(wrong, error):
    with pytest.raises(error):
        wrong()
