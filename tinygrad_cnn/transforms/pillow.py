"""Images of Pillow: geometry and colours by Pillow itself.

`pixels` has the same functions for arrays.  Pillow is imported when the first image is made or seen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from . import pixels
from .modes import InterpolationMode


@cache
def library() -> Any:
    """Return the module PIL.Image, or None where Pillow is not installed."""
    try:
        import PIL.Image
        import PIL.ImageEnhance
        import PIL.ImageOps
    except ImportError:
        return None
    return PIL


def is_image(value: Any) -> bool:
    """Return whether something is a PIL image."""
    return "PIL.Image" in sys.modules and isinstance(value, sys.modules["PIL.Image"].Image)


def from_array(array: np.ndarray, mode: str | None = None) -> Any:
    """Return an array (H, W) or (H, W, C) as an image; bytes may be read as another mode of as many channels."""
    if library() is None:
        raise ImportError("PIL images need the package pillow: pip install 'tinygrad_cnn[data]'")
    array = np.ascontiguousarray(array)
    if mode is None:
        return library().Image.fromarray(array)
    return library().Image.frombytes(mode, (array.shape[1], array.shape[0]), array.tobytes())


def _through_arrays(img: Any, function: Callable[..., np.ndarray], *args: Any) -> Any:
    """Apply a function of arrays (C, H, W)."""
    array = np.asarray(img)
    y = function(array[None] if array.ndim == 2 else array.transpose(2, 0, 1), *args)
    result = from_array(y[0] if array.ndim == 2 else y.transpose(1, 2, 0))
    if img.mode == "P":
        result.putpalette(img.getpalette())
    return result


def _filling(img: Any, fill: Any) -> Any:
    """Return a colour as Pillow wants it."""
    bands = len(img.getbands())
    fill = 0 if fill is None else fill
    if isinstance(fill, (int, float)):
        return (int(fill),) * bands if bands > 1 else fill if img.mode == "F" else int(fill)
    if len(fill) != bands:
        raise ValueError(f"fill {tuple(fill)} does not fit an image of {bands} channels")
    return tuple(int(n) for n in fill) if bands > 1 else fill[0]


# ---- geometry ----


def hflip(img: Any) -> Any:
    """Mirror left and right."""
    return library().ImageOps.mirror(img)


def vflip(img: Any) -> Any:
    """Mirror top and bottom."""
    return library().ImageOps.flip(img)


def pad(img: Any, left: int, top: int, right: int, bottom: int, fill: Any, mode: str) -> Any:
    """Add rows and columns."""
    if mode != "constant":
        return _through_arrays(img, pixels.pad, left, top, right, bottom, 0, mode)
    size = (img.width + left + right, img.height + top + bottom)
    result = library().Image.new(img.mode, size, _filling(img, fill))
    if img.mode == "P":
        result.putpalette(img.getpalette())
    result.paste(img, (left, top))
    return result


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """Cut a window out; what lies outside the image is 0."""
    return img.crop((left, top, left + width, top + height))


def resize(img: Any, rows: int, columns: int, interpolation: InterpolationMode, antialias: bool) -> Any:
    """Resample to another size."""
    return img.resize((columns, rows), interpolation.pillow_code)


def affine(img: Any, matrix: Callable[[float, float], list[float]], interpolation: InterpolationMode, fill: Any,
           center: Sequence[float] | None) -> Any:  # fmt: skip
    """Warp by a matrix that is given for a centre."""
    middle = (img.width / 2, img.height / 2) if center is None else center
    way = library().Image.Transform.AFFINE
    return img.transform(img.size, way, matrix(*middle), interpolation.pillow_code, fillcolor=_filling(img, fill))


def rotate(img: Any, matrix: Any, angle: float, interpolation: InterpolationMode, expand: bool,
           center: Sequence[float] | None, fill: Any) -> Any:  # fmt: skip
    """Turn counter-clockwise."""
    return img.rotate(angle, interpolation.pillow_code, expand, center, fillcolor=_filling(img, fill))


def perspective(img: Any, coefficients: Sequence[float], interpolation: InterpolationMode, fill: Any) -> Any:
    """Warp by a perspective."""
    way = library().Image.Transform.PERSPECTIVE
    return img.transform(img.size, way, coefficients, interpolation.pillow_code, fillcolor=_filling(img, fill))


def gaussian_blur(img: Any, kernel_size: Sequence[int], sigma: Sequence[float]) -> Any:
    """Average with Gaussian weights."""
    if img.mode == "P":
        raise ValueError("gaussian_blur: the numbers of colours cannot be averaged; use img.convert('RGB')")
    return _through_arrays(img, pixels.gaussian_blur, kernel_size, sigma)


# ---- colours ----


def _enhancer(name: str) -> Callable[[Any, float], Any]:
    def function(img: Any, factor: float) -> Any:
        return getattr(library().ImageEnhance, name)(img).enhance(factor)

    function.__name__, function.__doc__ = f"adjust_{name.lower()}", f"Enhance by ImageEnhance.{name}."
    return function


adjust_brightness = _enhancer("Brightness")
adjust_contrast = _enhancer("Contrast")
adjust_saturation = _enhancer("Color")
adjust_sharpness = _enhancer("Sharpness")


def _operation(name: str) -> Callable[..., Any]:
    def function(img: Any, *args: Any) -> Any:
        return getattr(library().ImageOps, name)(img, *args)

    function.__name__, function.__doc__ = name, f"Apply ImageOps.{name}."
    return function


invert, posterize, solarize, autocontrast, equalize = map(
    _operation, ("invert", "posterize", "solarize", "autocontrast", "equalize")
)


def adjust_gamma(img: Any, gamma: float, gain: float) -> Any:
    """Return gain * x ** gamma of values from 0 to 1, by a table."""
    table = [int((256 - 1e-3) * gain * (value / 255) ** gamma) for value in range(256)] * 3
    return img.convert("RGB").point(table).convert(img.mode)


def to_grayscale(img: Any, channels: int) -> Any:
    """Weigh red, green and blue."""
    grey = img.convert("L")
    return grey if channels == 1 else library().Image.merge("RGB", [grey] * 3)


def adjust_hue(img: Any, factor: float) -> Any:
    """Turn the hue by `factor` of the circle."""
    if img.mode in {"1", "L", "I", "F"}:
        return img
    hue, saturation, value = img.convert("HSV").split()
    hue = from_array(np.asarray(hue) + np.uint8(int(factor * 255) % 256))
    return library().Image.merge("HSV", (hue, saturation, value)).convert(img.mode)
