"""ToTensor, Normalize, Compose and Lambda."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.transforms import Compose, Lambda, Normalize, ToTensor

GREY = np.random.default_rng(0).integers(0, 256, (4, 5), np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (4, 5, 3), np.uint8)


# ---- ToTensor ----


@pytest.mark.parametrize(
    ("array", "expected"),
    [(GREY, GREY[None]), (COLOUR, COLOUR.transpose(2, 0, 1)), (GREY[:, ::-1], GREY[None, :, ::-1])],
)
def test_bytes_become_0_to_1(array, expected):
    t = ToTensor()(array)
    assert t.dtype is tg.float32
    assert t.is_contiguous()
    np.testing.assert_array_equal(t.numpy(), expected.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_other_arrays_keep_type_and_values(dtype):
    array = COLOUR.astype(dtype)
    t = ToTensor()(array)
    assert t.dtype.name == dtype
    np.testing.assert_array_equal(t.numpy(), array.transpose(2, 0, 1))


def test_the_result_has_memory_of_its_own():
    array = np.ones((2, 2, 1), np.float32)
    array.flags.writeable = False
    t = ToTensor()(array)
    t.mul_(5)
    assert (array == 1).all()


PIL_MODES = {
    "L": (GREY, tg.float32, GREY[None] / np.float32(255)),
    "RGB": (COLOUR, tg.float32, COLOUR.transpose(2, 0, 1) / np.float32(255)),
    "F": (GREY.astype(np.float32), tg.float32, GREY[None].astype(np.float32)),
    "I": (GREY.astype(np.int32), tg.int32, GREY[None].astype(np.int32)),
}


@pytest.mark.parametrize("mode", PIL_MODES)
def test_pil_images(mode):
    image = pytest.importorskip("PIL.Image", reason="PIL images need the package pillow")
    array, dtype, expected = PIL_MODES[mode]
    t = ToTensor()(image.fromarray(array))
    assert t.dtype is dtype
    np.testing.assert_array_equal(t.numpy(), expected)
    t.mul_(2)


def test_pil_images_of_black_and_white():
    image = pytest.importorskip("PIL.Image", reason="PIL images need the package pillow")
    t = ToTensor()(image.fromarray(GREY > 99))
    assert t.dtype is tg.float32
    np.testing.assert_array_equal(t.numpy()[0], (GREY > 99).astype(np.float32))


@pytest.mark.parametrize(
    ("pic", "error", "text"),
    [
        (tg.zeros(3, 4, 5), TypeError, "expected a PIL image or an array, got Tensor"),
        ([[1, 2]], TypeError, "expected a PIL image or an array, got list"),
        (np.zeros(3), ValueError, r"got shape \(3,\)"),
        (np.zeros((1, 2, 3, 4)), ValueError, r"got shape \(1, 2, 3, 4\)"),
    ],
)
def test_to_tensor_errors(pic, error, text):
    with pytest.raises(error, match=text):
        ToTensor()(pic)


# ---- Normalize ----


@pytest.mark.parametrize(("mean", "std"), [([0.5, 0.2, 0.1], [1.0, 2.0, 3.0]), ((0.5,), (2.0,)), (0.5, 2.0)])
@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 4, 5)])
def test_normalize(mean, std, shape):
    x = tg.randn(shape, dtype=tg.float64)
    y = Normalize(mean, std)(x)
    mean, std = [np.reshape(v, (-1, 1, 1)) for v in (mean, std)]
    np.testing.assert_allclose(y.numpy(), (x.numpy() - mean) / std, rtol=1e-14)
    assert y is not x


def test_normalize_in_place():
    x = tg.ones(1, 2, 2)
    assert Normalize(0.5, 0.25, inplace=True)(x) is x
    assert (x == 2).all()


@pytest.mark.parametrize(
    ("options", "x", "error", "text"),
    [
        ((0.5, 0.5), np.zeros((1, 2, 2)), TypeError, r"expected a tensor, got ndarray; put ToTensor\(\) before it"),
        ((0.5, 0.5), tg.zeros(1, 2, 2, dtype=tg.uint8), TypeError, "expected a floating tensor"),
        ((0.5, 0.5), tg.zeros(2, 2), ValueError, r"got shape \(2, 2\)"),
        (([0.5], [0.0]), tg.zeros(1, 2, 2), ValueError, "std must not be 0"),
        (([0.5] * 3, [0.5] * 3), tg.zeros(1, 2, 2), RuntimeError, "do not fit the 1 channels"),
        (([0.5] * 2, 0.5), tg.zeros(3, 2, 2), RuntimeError, "do not fit the 3 channels"),
    ],
)
def test_normalize_errors(options, x, error, text):
    with pytest.raises(error, match=text):
        Normalize(*options)(x)


# ---- Compose and Lambda ----


def test_compose_applies_in_order():
    assert Compose([Lambda(lambda x: x + 1), lambda x: x * 10])(2) == 30
    assert Compose([])(2) == 2


def test_lambda_needs_a_function():
    with pytest.raises(TypeError, match="expected a function, got int"):
        Lambda(3)


def test_texts():
    assert repr(Compose([ToTensor(), Normalize((0.5,), (0.25,)), Lambda(abs)])) == (
        "Compose(\n    ToTensor()\n    Normalize(mean=(0.5,), std=(0.25,))\n    Lambda()\n)"
    )
