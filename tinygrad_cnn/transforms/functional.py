"""What the transforms do to one image (torchvision.transforms.functional): PIL images, arrays and tensors.

Arrays are (H, W) or (H, W, C), tensors (..., C, H, W).  PIL images are worked on by Pillow, the others by `pixels`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ..creation import from_numpy
from ..dtypes import as_dtype, float32
from ..tensor import Tensor
from . import pillow, pixels
from .modes import InterpolationMode, as_mode

MODES = {1: {"uint8": "L", "int16": "I;16", "int32": "I", "float32": "F"}, 2: "LA", 3: "RGB", 4: "RGBA"}
BYTE_MODES = {2: ["LA"], 3: ["RGB", "YCbCr", "HSV"], 4: ["RGBA", "CMYK", "RGBX"]}
PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def _apply(name: str, img: Any, *args: Any) -> Any:
    """Call the function of that name that belongs to the kind of image, and return the same kind."""
    if pillow.is_image(img):
        return getattr(pillow, name)(img, *args)
    function = getattr(pixels, name)
    if isinstance(img, Tensor):
        if img.ndim < 2:
            raise TypeError(f"{name}: expected an image (..., C, H, W), got shape {tuple(img.shape)}")
        return from_numpy(np.array(function(img.detach().cpu().numpy(), *args), order="C")).to(img.device)
    if isinstance(img, np.ndarray) and img.ndim in (2, 3):
        y = function(img[None] if img.ndim == 2 else img.transpose(2, 0, 1), *args)
        return np.array(y[0] if img.ndim == 2 and len(y) == 1 else y.transpose(1, 2, 0), order="C")
    shape = f" of shape {img.shape}" if isinstance(img, np.ndarray) else ""
    raise TypeError(f"{name}: expected a PIL image, an array (H, W[, C]) or a tensor, got {type(img).__name__}{shape}")


def get_dimensions(img: Any) -> list[int]:
    """Return channels, height and width."""
    if isinstance(img, np.ndarray) and img.ndim in (2, 3):
        return [1 if img.ndim == 2 else img.shape[2], *img.shape[:2]]
    if isinstance(img, Tensor) and img.ndim > 1:
        return [img.shape[-3] if img.ndim > 2 else 1, *img.shape[-2:]]
    if pillow.is_image(img):
        return [len(img.getbands()), img.height, img.width]
    raise TypeError(f"expected a PIL image, an array (H, W[, C]) or a tensor (..., C, H, W), got {type(img).__name__}")


def get_image_size(img: Any) -> list[int]:
    """Return width and height."""
    return get_dimensions(img)[:0:-1]


def get_image_num_channels(img: Any) -> int:
    """Return the number of channels."""
    return get_dimensions(img)[0]


# ---- from and to tensors ----


def _planes(op: str, pic: Any) -> np.ndarray:
    """Return a copy of an image or array as (C, H, W)."""
    if not (pillow.is_image(pic) or isinstance(pic, np.ndarray)):
        raise TypeError(f"{op}: expected a PIL image or an array, got {type(pic).__name__}")
    array = np.array(pic)
    if getattr(pic, "mode", "").startswith("I;16"):
        array = array.astype(np.int16)
    if array.ndim not in (2, 3):
        raise ValueError(f"{op}: expected an image (H, W) or (H, W, C), got shape {array.shape}")
    return np.ascontiguousarray(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))


def to_tensor(pic: Any) -> Tensor:
    """Return a PIL image or an array as a tensor (C, H, W): bytes as float32 from 0 to 1, other types as they are."""
    array = _planes("ToTensor", pic)
    if getattr(pic, "mode", None) == "1":  # a PIL image of black and white
        return from_numpy(array.astype(np.float32))
    return from_numpy(array.astype(np.float32) / np.float32(255) if array.dtype == np.uint8 else array)


def pil_to_tensor(pic: Any) -> Tensor:
    """Return a PIL image as a tensor (C, H, W) of its own type."""
    if not pillow.is_image(pic):
        raise TypeError(f"pil_to_tensor: expected a PIL image, got {type(pic).__name__}")
    return from_numpy(_planes("pil_to_tensor", pic))


def convert_image_dtype(image: Tensor, dtype: Any = float32) -> Tensor:
    """Convert a tensor and the range of its values: 0 to 1 for floating types, 0 to the maximum for others."""
    if not isinstance(image, Tensor):
        raise TypeError(f"convert_image_dtype: expected a tensor, got {type(image).__name__}")
    return _apply("convert", image, as_dtype(dtype).numpy)


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """Return a tensor (C, H, W) or (H, W), or an array (H, W[, C]), as a PIL image; floating tensors go from 0 to 1."""
    if not isinstance(pic, (Tensor, np.ndarray)):
        raise TypeError(f"to_pil_image: expected a tensor or an array, got {type(pic).__name__}")
    if pic.ndim not in (2, 3):
        raise ValueError(f"to_pil_image: expected 2 or 3 dimensions, got shape {tuple(pic.shape)}")
    if isinstance(pic, Tensor):
        array = pic.detach().cpu().numpy()
        array = array.transpose(1, 2, 0) if array.ndim == 3 else array
        if array.dtype.kind == "f" and mode != "F":
            array = (array * 255).astype(np.int64).astype(np.uint8)
    else:
        array = pic
    array = array[:, :, None] if array.ndim == 2 else array
    channels, kind = array.shape[2], array.dtype.name
    if channels == 1 and kind in MODES[1]:
        expected = MODES[1][kind]  # type: ignore[index]
        if mode not in (None, expected):
            raise ValueError(f"to_pil_image: mode {mode!r} does not fit {kind}; expected {expected!r}")
        return pillow.from_array(array[:, :, 0])
    if channels not in BYTE_MODES or kind != "uint8":
        raise (ValueError if channels > 4 else TypeError)(f"to_pil_image: no mode for {channels} channels of {kind}")
    if mode not in (None, *BYTE_MODES[channels]):
        raise ValueError(
            f"to_pil_image: mode {mode!r} does not have {channels} channels; use one of {BYTE_MODES[channels]}"
        )
    return pillow.from_array(array, mode or MODES[channels])  # type: ignore[arg-type]


def normalize(tensor: Tensor, mean: Any, std: Any, inplace: bool = False) -> Tensor:
    """Return (tensor - mean) / std for each channel of a floating tensor (..., C, H, W)."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"Normalize: expected a tensor, got {type(tensor).__name__}; put ToTensor() before it")
    if not tensor.is_floating_point():
        raise TypeError(f"Normalize: expected a floating tensor, got {tensor.dtype}")
    if tensor.ndim < 3:
        raise ValueError(f"Normalize: expected an image (..., C, H, W), got shape {tuple(tensor.shape)}")
    means, stds = [np.reshape(np.asarray(values, tensor.dtype.numpy), (-1, 1, 1)) for values in (mean, std)]
    if not {len(means), len(stds)} <= {1, tensor.shape[-3]}:
        raise RuntimeError(
            f"Normalize: mean {mean} and std {std} do not fit the {tensor.shape[-3]} channels of {tuple(tensor.shape)}"
        )
    if not stds.all():
        raise ValueError(f"Normalize: std must not be 0, got {std}")
    m, s = from_numpy(means).to(tensor.device), from_numpy(stds).to(tensor.device)
    return tensor.sub_(m).div_(s) if inplace else tensor.sub(m).div(s)


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Tensor:
    """Set a rectangle of a tensor to v."""
    if not isinstance(img, Tensor):
        raise TypeError(f"erase: expected a tensor, got {type(img).__name__}; put ToTensor() before it")
    img = img if inplace else img.clone()
    img[..., i : i + h, j : j + w] = v
    return img


# ---- geometry ----


def sides(padding: Any) -> tuple[int, int, int, int]:
    """Return a padding (all; left and right, top and bottom; or each) as left, top, right, bottom."""
    if isinstance(padding, int):
        return (padding,) * 4
    if not isinstance(padding, Sequence) or isinstance(padding, str):
        raise TypeError(f"padding must be an int or 1, 2 or 4 of them, got {padding!r}")
    if len(padding) not in (1, 2, 4):
        raise ValueError(f"padding must be an int or 1, 2 or 4 of them, got {padding!r}")
    left, top, right, bottom = [*padding] * (4 // len(padding))
    return left, top, right, bottom


def pad(img: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """Pad by `padding`: constant, edge, reflect (without the border) or symmetric (with it)."""
    if padding_mode not in PADDING_MODES:
        raise ValueError(f"pad: padding_mode must be one of {', '.join(PADDING_MODES)}, got {padding_mode!r}")
    return _apply("pad", img, *sides(padding), fill, padding_mode)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """Return a window; what lies outside the image is 0."""
    return _apply("crop", img, top, left, height, width)


def pair(size: Any) -> tuple[int, int]:
    """Return a size, one int or (height, width), as (height, width)."""
    if isinstance(size, Sequence) and len(size) not in (1, 2):
        raise ValueError(f"size must be an int or (height, width), got {size!r}")
    return (size[0], size[-1]) if isinstance(size, Sequence) else (int(size), int(size))


def center_crop(img: Any, output_size: Any) -> Any:
    """Return the middle, padded with 0 if the image is smaller."""
    (height, width), (_, rows, columns) = pair(output_size), get_dimensions(img)
    more, wider = max(height - rows, 0), max(width - columns, 0)
    if more or wider:
        img = pad(img, (wider // 2, more // 2, (wider + 1) // 2, (more + 1) // 2))
        _, rows, columns = get_dimensions(img)
    return crop(img, round((rows - height) / 2), round((columns - width) / 2), height, width)


def resize(img: Any, size: Any, interpolation: Any = InterpolationMode.BILINEAR, max_size: int | None = None,
           antialias: bool | None = True) -> Any:  # fmt: skip
    """Resize to (height, width), or so that the shorter side is `size` and the longer at most max_size."""
    interpolation = as_mode(interpolation)
    _, rows, columns = get_dimensions(img)
    if isinstance(size, Sequence) and len(size) == 2:
        if max_size is not None:
            raise ValueError("resize: max_size needs a size of one number")
        wanted = (size[0], size[1])
    else:
        shorter = pair(size)[0]
        if max_size is not None and max_size <= shorter:
            raise ValueError(f"resize: max_size {max_size} must be greater than size {shorter}")
        longer = int(shorter * max(rows, columns) / min(rows, columns))
        if max_size is not None and longer > max_size:
            shorter, longer = int(max_size * shorter / longer), max_size
        wanted = (shorter, longer) if rows <= columns else (longer, shorter)
    return img if wanted == (rows, columns) else _apply("resize", img, *wanted, interpolation, bool(antialias))


def resized_crop(img: Any, top: int, left: int, height: int, width: int, size: Any,
                 interpolation: Any = InterpolationMode.BILINEAR, antialias: bool | None = True) -> Any:  # fmt: skip
    """Crop, then resize."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def hflip(img: Any) -> Any:
    """Mirror left and right."""
    return _apply("hflip", img)


def vflip(img: Any) -> Any:
    """Mirror top and bottom."""
    return _apply("vflip", img)


def five_crop(img: Any, size: Any) -> tuple[Any, ...]:
    """Return the corners (top left, top right, bottom left, bottom right) and the middle."""
    (height, width), (_, rows, columns) = pair(size), get_dimensions(img)
    if height > rows or width > columns:
        raise ValueError(f"five_crop: size {(height, width)} is larger than the image {(rows, columns)}")
    corners = [(i, j) for i in (0, rows - height) for j in (0, columns - width)]
    return (*[crop(img, i, j, height, width) for i, j in corners], center_crop(img, (height, width)))


def ten_crop(img: Any, size: Any, vertical_flip: bool = False) -> tuple[Any, ...]:
    """Return five_crop of the image and of its mirror image."""
    return five_crop(img, size) + five_crop((vflip if vertical_flip else hflip)(img), size)


def _inverse_matrix(angle: float, translate: Sequence[float], scale: float, shear: Sequence[float],
                    x: float, y: float) -> list[float]:  # fmt: skip
    """Return the two rows of the map from the result to the image: about (x, y), angles in degrees."""
    turn, sx, sy = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    a, c = math.cos(turn - sy) / math.cos(sy), math.sin(turn - sy) / math.cos(sy)
    b, d = -a * math.tan(sx) - math.sin(turn), -c * math.tan(sx) + math.cos(turn)
    rows = [[n / scale for n in row] for row in ([d, -b], [-c, a])]
    shifts = [m[0] * (-x - translate[0]) + m[1] * (-y - translate[1]) for m in rows]
    return [*rows[0], shifts[0] + x, *rows[1], shifts[1] + y]


def rotate(img: Any, angle: float, interpolation: Any = InterpolationMode.NEAREST, expand: bool = False,
           center: Sequence[float] | None = None, fill: Any = None) -> Any:  # fmt: skip
    """Turn by degrees, counter-clockwise, about center (x, y) or the middle."""
    matrix = partial(_inverse_matrix, -angle, (0, 0), 1.0, (0, 0))
    return _apply("rotate", img, matrix, angle, as_mode(interpolation), expand, center, fill)


def affine(img: Any, angle: float, translate: Sequence[float], scale: float, shear: Any,
           interpolation: Any = InterpolationMode.NEAREST, fill: Any = None,
           center: Sequence[float] | None = None) -> Any:  # fmt: skip
    """Turn (degrees, clockwise), move (pixels), scale and shear (degrees) about center (x, y) or the middle."""
    if scale <= 0:
        raise ValueError(f"affine: scale must be positive, got {scale}")
    shear = (shear, 0.0) if isinstance(shear, (int, float)) else (shear[0], shear[-1])
    matrix = partial(_inverse_matrix, angle, translate, scale, shear)
    return _apply("affine", img, matrix, as_mode(interpolation), fill, center)


def perspective(img: Any, startpoints: Sequence[Sequence[int]], endpoints: Sequence[Sequence[int]],
                interpolation: Any = InterpolationMode.BILINEAR, fill: Any = None) -> Any:  # fmt: skip
    """Move four corners (x, y) from startpoints to endpoints."""
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(endpoints, startpoints, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    coefficients = np.linalg.lstsq(np.array(rows, np.float64), np.ravel(startpoints).astype(np.float64), rcond=None)[0]
    return _apply("perspective", img, coefficients.tolist(), as_mode(interpolation), fill)


def gaussian_blur(img: Any, kernel_size: Any, sigma: Any = None) -> Any:
    """Average with Gaussian weights; kernel_size is one odd int or (x, y), sigma 0.15 of it + 0.35 unless given."""
    sizes = [kernel_size] * 2 if isinstance(kernel_size, int) else [*kernel_size]
    if len(sizes) != 2 or any(n <= 0 or n % 2 == 0 for n in sizes):
        raise ValueError(f"gaussian_blur: kernel_size must be odd and positive, one int or two, got {kernel_size}")
    sigmas = [n * 0.15 + 0.35 for n in sizes] if sigma is None else _two(sigma)
    if len(sigmas) != 2 or min(sigmas) <= 0:
        raise ValueError(f"gaussian_blur: sigma must be positive, one number or two, got {sigma}")
    return _apply("gaussian_blur", img, sizes, sigmas)


def _two(value: Any) -> list[float]:
    return [value] * 2 if isinstance(value, (int, float)) else [*value] * (2 // len(value))


# ---- colours ----


def _adjusted(name: str, img: Any, factor: float) -> Any:
    if factor < 0:
        raise ValueError(f"{name}: the factor must not be negative, got {factor}")
    return _apply(name, img, factor)


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """Return black for 0, the image for 1, twice as bright for 2."""
    return _adjusted("adjust_brightness", img, brightness_factor)


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """Return plain grey for 0, the image for 1."""
    return _adjusted("adjust_contrast", img, contrast_factor)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """Return a grey image for 0, the image for 1."""
    return _adjusted("adjust_saturation", img, saturation_factor)


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """Turn the hue by -0.5 to 0.5 of the circle."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"adjust_hue: hue_factor must be between -0.5 and 0.5, got {hue_factor}")
    return _apply("adjust_hue", img, hue_factor)


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """Return a smoothed image for 0, the image for 1, a sharper one for 2."""
    return _adjusted("adjust_sharpness", img, sharpness_factor)


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """Return gain * img ** gamma of values from 0 to 1."""
    if gamma < 0:
        raise ValueError(f"adjust_gamma: gamma must not be negative, got {gamma}")
    return _apply("adjust_gamma", img, gamma, gain)


def invert(img: Any) -> Any:
    """Return the negative."""
    return _apply("invert", img)


def posterize(img: Any, bits: int) -> Any:
    """Keep the highest `bits` of each byte."""
    if not 0 <= bits <= 8:
        raise ValueError(f"posterize: bits must be between 0 and 8, got {bits}")
    return _apply("posterize", img, bits)


def solarize(img: Any, threshold: float) -> Any:
    """Invert what is not below the threshold."""
    return _apply("solarize", img, threshold)


def autocontrast(img: Any) -> Any:
    """Stretch each channel from black to white."""
    return _apply("autocontrast", img)


def equalize(img: Any) -> Any:
    """Map the bytes of each channel so that all are about as frequent."""
    return _apply("equalize", img)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """Return 0.2989 R + 0.587 G + 0.114 B as 1 or 3 equal channels."""
    if num_output_channels not in (1, 3):
        raise ValueError(f"to_grayscale: num_output_channels must be 1 or 3, got {num_output_channels}")
    if not pillow.is_image(img) and get_image_num_channels(img) not in (1, 3):
        raise TypeError(f"to_grayscale: expected 1 or 3 channels, got {get_image_num_channels(img)}")
    return _apply("to_grayscale", img, num_output_channels)


to_grayscale = rgb_to_grayscale
