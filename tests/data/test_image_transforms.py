"""The image transforms: the same on PIL images, arrays and tensors; ranges, probabilities, texts and errors."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn import transforms as T
from tinygrad_cnn.transforms import functional as F

Image = pytest.importorskip("PIL.Image", reason="PIL images need the package pillow")
COLOUR = np.random.default_rng(0).integers(0, 256, (12, 15, 3), np.uint8)
GREY = np.ascontiguousarray(COLOUR[..., 0])
SMOOTH = np.clip(np.add.outer(np.arange(24) * 7, np.arange(30) * 3)[:, :, None] + np.array([0, 20, 5]), 0, 255).astype(
    np.uint8
)


def as_array(image):
    """Return any image as (H, W, C)."""
    array = image.numpy().transpose(1, 2, 0) if isinstance(image, tg.Tensor) else np.asarray(image)
    return array if array.ndim == 3 else array[:, :, None]


def kinds(array):
    chw = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return {"PIL": Image.fromarray(array), "array": array, "tensor": tg.from_numpy(np.ascontiguousarray(chw))}


def alike(function, array, tolerance=0):
    """Raise unless a function gives the same for all kinds of image, each as its own kind; return the array."""
    results = []
    for image in kinds(array).values():
        tg.manual_seed(3)
        results.append(function(image))
        kind = Image.Image if isinstance(image, Image.Image) else type(image)
        assert isinstance(results[-1], kind)
    arrays = [as_array(r) for r in results]
    for other in arrays[1:]:
        assert other.dtype == arrays[0].dtype == np.uint8
        np.testing.assert_allclose(other.astype(int), arrays[0].astype(int), rtol=0, atol=tolerance)
    return arrays[0]


EXACT = {
    "hflip": F.hflip,
    "vflip": F.vflip,
    "crop": lambda x: F.crop(x, 2, 3, 5, 6),
    "crop outside": lambda x: F.crop(x, -2, 9, 20, 11),
    "center_crop": T.CenterCrop((5, 8)),
    "center_crop of more": T.CenterCrop(17),
    "pad": T.Pad((1, 2, 3, 4), fill=7),
    "pad edge": T.Pad(3, padding_mode="edge"),
    "pad reflect": T.Pad((2, 1), padding_mode="reflect"),
    "pad symmetric": T.Pad(2, padding_mode="symmetric"),
    "resize nearest": T.Resize((6, 30), T.InterpolationMode.NEAREST_EXACT),
    "blur": T.GaussianBlur(5),
    "random crop": T.RandomCrop((9, 17), padding=2, pad_if_needed=True, fill=9),
    "random flips": T.Compose([T.RandomHorizontalFlip(), T.RandomVerticalFlip(0.7)]),
    "random order": T.RandomOrder([T.Pad(1), T.CenterCrop(8), T.RandomHorizontalFlip(1.0)]),
    "choice": T.RandomChoice([T.Pad(1), T.CenterCrop(8)], p=[0, 1]),
    "apply": T.RandomApply([T.Pad(1), T.CenterCrop(8)], p=0.5),
    "quarter turn": lambda x: F.rotate(F.crop(x, 0, 0, 12, 14), 90, expand=True),
    "half turn": T.RandomRotation((180, 180)),
}


@pytest.mark.parametrize("array", [COLOUR, GREY], ids=["colour", "grey"])
@pytest.mark.parametrize("function", EXACT.values(), ids=EXACT)
def test_exact_on_all_kinds(function, array):
    alike(function, array)


CLOSE = {
    "resize": T.Resize(9),
    "resize larger": T.Resize((40, 41), T.InterpolationMode.BICUBIC),
    "resized crop": T.RandomResizedCrop(16),
    "brightness": lambda x: F.adjust_brightness(x, 1.3),
    "contrast": lambda x: F.adjust_contrast(x, 0.6),
    "saturation": lambda x: F.adjust_saturation(x, 1.7),
    "grey": T.Grayscale(),
    "grey in three": T.RandomGrayscale(1.0),
}


@pytest.mark.parametrize("function", CLOSE.values(), ids=CLOSE)
def test_close_on_all_kinds(function):
    alike(function, SMOOTH, tolerance=2)


@pytest.mark.parametrize("factor", [-0.5, -0.21, 0.0, 0.1, 0.5])
def test_hue(factor):
    image = np.random.default_rng(2).random((3, 6, 7)).astype(np.float32)
    image[:, 0] = 0.25  # grey has no hue
    found = F.adjust_hue(tg.from_numpy(image), factor).numpy()
    for i, j in np.ndindex(6, 7):
        h, s, v = colorsys.rgb_to_hsv(*map(float, image[:, i, j]))
        np.testing.assert_allclose(found[:, i, j], colorsys.hsv_to_rgb((h + factor) % 1, s, v), atol=1e-5)
    alike(lambda x: F.adjust_hue(x, factor), SMOOTH, tolerance=14)  # Pillow keeps hue in 8 bits


def test_rotation_is_counter_clockwise():
    image = np.zeros((3, 3), np.uint8)
    image[1, 2] = 1  # right
    assert alike(lambda x: F.rotate(x, 90), image)[0, 1, 0] == 1  # up
    assert alike(lambda x: F.affine(x, 90, (0, 0), 1.0, 0), image)[2, 1, 0] == 1  # clockwise: down
    assert alike(lambda x: F.affine(x, 0, (-1, 1), 1.0, 0), image)[2, 1, 0] == 1


def test_sizes_of_resize():
    sizes = {
        (7, None): (7, 8), ((5, 4), None): (5, 4), ((6,), None): (6, 7), (11, 12): (10, 12), (12, None): (12, 15),
    }  # fmt: skip
    for (size, most), expected in sizes.items():
        image = F.resize(COLOUR, size, max_size=most)
        assert image.shape[:2] == expected
    assert F.resize(COLOUR, 12) is COLOUR


def test_crops():
    corners = T.FiveCrop(4)(COLOUR)
    expected = [COLOUR[:4, :4], COLOUR[:4, -4:], COLOUR[-4:, :4], COLOUR[-4:, -4:], COLOUR[4:8, 6:10]]
    for crop, wanted in zip(corners, expected, strict=True):
        np.testing.assert_array_equal(crop, wanted)
    ten = T.TenCrop((4, 5), vertical_flip=True)(COLOUR)
    assert len(ten) == 10
    np.testing.assert_array_equal(ten[5], COLOUR[::-1][:4, :5])


# ---- from and to tensors ----


@pytest.mark.parametrize(
    ("source", "target", "value", "expected"),
    [
        ("uint8", "float32", 255, 1.0), ("float32", "uint8", 1.0, 255), ("float32", "uint8", 0.5, 127),
        ("uint8", "int16", 255, 255 * 128), ("int16", "uint8", 32767, 255), ("float64", "int32", 1.0, 2**31 - 1),
        ("int32", "float64", 2**31 - 1, 1.0), ("float32", "float64", 0.25, 0.25), ("uint8", "uint8", 3, 3),
    ],
)  # fmt: skip
def test_convert_image_dtype(source, target, value, expected):
    x = T.ConvertImageDtype(getattr(tg, target))(tg.full((1, 2, 2), value, dtype=source))
    assert x.dtype is getattr(tg, target)
    assert x[0, 0, 0].item() == expected


@pytest.mark.parametrize("array", [COLOUR, GREY, COLOUR[:, :, :2], np.dstack([COLOUR, GREY]), GREY.astype(np.int32),
                                   GREY.astype(np.float32)])  # fmt: skip
def test_to_pil_image_and_back(array):
    image = T.ToPILImage()(array)
    assert image.size == (15, 12)
    back = T.PILToTensor()(image)
    np.testing.assert_array_equal(back.numpy(), array[None] if array.ndim == 2 else array.transpose(2, 0, 1))
    assert T.ToPILImage("F" if image.mode == "F" else None)(back).tobytes() == image.tobytes()


def test_floating_tensors_become_bytes():
    image = T.ToPILImage()(tg.tensor([[[0.0, 0.5, 1.0]]]))
    assert (image.mode, list(image.tobytes())) == ("L", [0, 127, 255])
    assert T.ToPILImage("HSV")(COLOUR).mode == "HSV"


# ---- random ones ----


def test_the_seed_decides():
    chain = T.Compose([T.RandomResizedCrop(8), T.ColorJitter(0.4, 0.4, 0.4, 0.1), T.RandomAffine(20, (0.1, 0.1), (0.8, 1.2), 5),
                       T.ToTensor(), T.RandomErasing(1.0, value="random"), T.PCANoise()])  # fmt: skip
    tg.manual_seed(5)
    first, second = chain(COLOUR), chain(COLOUR)
    tg.manual_seed(5)
    assert (chain(COLOUR) == first).all()
    assert (first != second).any()


@pytest.mark.parametrize(
    ("make", "changed"),
    [
        (lambda p: T.RandomHorizontalFlip(p), COLOUR[:, ::-1]),
        (lambda p: T.RandomVerticalFlip(p), COLOUR[::-1]),
        (lambda p: T.RandomGrayscale(p), F.to_grayscale(COLOUR, 3)),
        (lambda p: T.RandomApply([T.Pad(1)], p), F.pad(COLOUR, 1)),
    ],
)
def test_probabilities(make, changed):
    for p, low, high in ((0, 0, 0), (0.3, 60, 122), (1, 300, 300)):
        hits = sum(np.array_equal(make(p)(COLOUR), changed) for _ in range(300))
        assert low <= hits <= high


def test_random_crops_are_everywhere_and_equally_likely():
    image = np.arange(20, dtype=np.uint8).reshape(4, 5)
    counts = np.zeros(20, int)
    for _ in range(900):
        counts[T.RandomCrop((2, 3))(image)[0, 0]] += 1
    found = counts.reshape(4, 5)[:3, :3]
    assert found.sum() == 900
    assert found.min() > 60


def test_random_resized_crop_keeps_to_its_ranges():
    image = np.zeros((40, 60), np.uint8)
    for _ in range(200):
        i, j, h, w = T.RandomResizedCrop.get_params(image, (0.2, 0.5), (0.5, 2.0))
        assert 0 <= i <= 40 - h
        assert 0 <= j <= 60 - w
        assert 0.15 < h * w / 2400 < 0.55
        assert 0.45 < w / h < 2.2
    assert T.RandomResizedCrop.get_params(np.zeros((10, 100)), (5, 5), (0.5, 2.0)) == (0, 40, 10, 20)


def test_random_erasing():
    x = tg.zeros(3, 20, 20)
    for value, seen in ((1, {1.0}), ((1.0, 2.0, 3.0), {1.0, 2.0, 3.0})):
        y = T.RandomErasing(1.0, value=value)(x)
        assert set(y.numpy()[y.numpy() != 0].tolist()) == seen
        share = (y.numpy()[0] != 0).mean()
        assert 0.01 < share < 0.4
    assert (x == 0).all()
    assert T.RandomErasing(1.0, value=1, inplace=True)(x) is x
    assert T.RandomErasing(0.0)(x) is x


def test_colour_jitter_leaves_out_what_is_0():
    assert T.ColorJitter()(COLOUR) is COLOUR
    bright = T.ColorJitter(brightness=(2.0, 2.0))(COLOUR)
    np.testing.assert_array_equal(bright, np.minimum(COLOUR.astype(int) * 2, 255))


def test_pca_noise_lies_along_the_components():
    noise = T.PCANoise(std=1.0, eigenvalues=(2.0, 0.0, 0.0), eigenvectors=((0.6, 0, 0), (0.8, 0, 0), (0, 0, 1)))
    x = tg.zeros(3, 2, 2)
    draws = np.stack([noise(x).numpy()[:, 0, 0] for _ in range(400)])
    np.testing.assert_allclose(draws[:, 0] * 0.8, draws[:, 1] * 0.6, atol=1e-6)
    assert (draws[:, 2] == 0).all()
    assert 1.7 < np.hypot(draws[:, 0], draws[:, 1]).std() ** 2 + np.hypot(draws[:, 0], draws[:, 1]).mean() ** 2 < 6
    assert (noise(x)[:, 0, 0] == noise(x + 0)[:, 0, 0]).all().item() is False


def test_batches_of_tensors_and_modules():
    batch = tg.from_numpy(np.stack([COLOUR.transpose(2, 0, 1)] * 2))
    chain = nn.Sequential(T.Resize(9), T.CenterCrop(8), T.ConvertImageDtype(tg.float32), T.Normalize(0.5, 0.5))
    y = chain(batch)
    assert y.shape == (2, 3, 8, 8)
    assert (y[0] == y[1]).all()


# ---- texts and errors ----

TEXTS = {
    "Resize(size=9, interpolation=bilinear, max_size=None, antialias=True)": T.Resize(9),
    "CenterCrop(size=(4, 5))": T.CenterCrop((4, 5)),
    "RandomCrop(size=(4, 4), padding=None)": T.RandomCrop(4),
    "RandomHorizontalFlip(p=0.5)": T.RandomHorizontalFlip(),
    "Pad(padding=1, fill=0, padding_mode=constant)": T.Pad(1),
    "RandomRotation(degrees=[-5.0, 5.0], interpolation=nearest, expand=False, fill=0)": T.RandomRotation(5),
    "RandomAffine(degrees=[-5.0, 5.0], scale=(1, 2), fill=3)": T.RandomAffine(5, scale=(1, 2), fill=3),
    "Grayscale(num_output_channels=1)": T.Grayscale(),
    "RandomApply(\n    p=0.5\n    PILToTensor()\n)": T.RandomApply([T.PILToTensor()]),
    "ToPILImage(mode=RGB)": T.ToPILImage("RGB"),
}


@pytest.mark.parametrize("text", TEXTS)
def test_texts(text):
    assert repr(TEXTS[text]) == text


ERRORS = [
    (lambda: T.Resize((1, 2, 3)), ValueError, "size must be an int or"),
    (lambda: T.Resize(9, "bilinear"), TypeError, "interpolation must be"),
    (lambda: F.resize(COLOUR, (4, 5), max_size=9), ValueError, "max_size needs a size of one number"),
    (lambda: F.resize(COLOUR, 9, max_size=9), ValueError, "must be greater than size 9"),
    (lambda: F.resize(COLOUR, 9, T.InterpolationMode.LANCZOS), ValueError, "lanczos needs a PIL image"),
    (lambda: F.resize("image", 9), TypeError, "expected a PIL image"),
    (lambda: T.RandomCrop(20)(COLOUR), ValueError, "larger than the image"),
    (lambda: T.FiveCrop(20)(COLOUR), ValueError, "larger than the image"),
    (lambda: T.Pad("1"), TypeError, "padding must be an int"),
    (lambda: T.Pad((1, 2, 3)), ValueError, "padding must be an int"),
    (lambda: T.Pad(1, padding_mode="wrap"), ValueError, "padding_mode must be one of"),
    (lambda: T.Pad(1, "red"), TypeError, "fill must be a number"),
    (lambda: T.RandomRotation(5, center=(1,)), ValueError, r"center must be \(x, y\)"),
    (lambda: T.ColorJitter(brightness=-1), ValueError, "brightness must not be negative"),
    (lambda: T.ColorJitter(hue=0.6), ValueError, "hue must lie between"),
    (lambda: T.ColorJitter(contrast="x"), TypeError, "contrast must be one number or two"),
    (lambda: T.RandomRotation(-5), ValueError, "degrees must not be negative"),
    (lambda: T.RandomRotation((1, 2, 3)), ValueError, "degrees must be one number or 2"),
    (lambda: T.RandomAffine(0, translate=(2, 0)), ValueError, "translate must be two numbers"),
    (lambda: T.RandomAffine(0, scale=(0, 1)), ValueError, "scale must be two positive"),
    (lambda: T.GaussianBlur(4), ValueError, "odd and positive"),
    (lambda: T.GaussianBlur(3, 0.0), ValueError, "sigma must be positive"),
    (lambda: T.RandomErasing(value="noise"), ValueError, "'random'"),
    (lambda: T.RandomErasing(p=2), ValueError, "between 0 and 1"),
    (lambda: T.RandomErasing(1.0)(COLOUR), TypeError, "put ToTensor"),
    (lambda: T.RandomErasing(1.0, value=(1, 2))(tg.zeros(3, 9, 9)), ValueError, "does not fit"),
    (lambda: T.RandomOrder(T.Pad(1)), TypeError, "expected a sequence of transforms"),
    (lambda: T.PCANoise()(COLOUR), TypeError, "expected a floating tensor"),
    (lambda: T.PCANoise(eigenvalues=(1, 2)), ValueError, "eigenvalues need as many"),
    (lambda: T.PILToTensor()(COLOUR), TypeError, "expected a PIL image"),
    (lambda: T.ToPILImage()(tg.zeros(7, 2, 2, dtype=tg.uint8)), ValueError, "no mode for 7 channels"),
    (lambda: T.ToPILImage()(tg.zeros(2, 2, 2, 2)), ValueError, "2 or 3 dimensions"),
    (lambda: T.ToPILImage("L")(COLOUR), ValueError, "does not have 3 channels"),
    (lambda: F.adjust_brightness(COLOUR, -1), ValueError, "must not be negative"),
    (lambda: F.adjust_hue(COLOUR, 1), ValueError, "between -0.5 and 0.5"),
    (lambda: F.affine(COLOUR, 0, (0, 0), 0.0, 0), ValueError, "scale must be positive"),
    (lambda: F.convert_image_dtype(tg.zeros(1, 2, 2), tg.int64), RuntimeError, "cannot hold"),
    (lambda: F.pad(Image.fromarray(COLOUR), 1, fill=(1, 2)), ValueError, "does not fit an image of 3 channels"),
    (lambda: F.to_grayscale(COLOUR, 2), ValueError, "must be 1 or 3"),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS, ids=range(len(ERRORS)))
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()
