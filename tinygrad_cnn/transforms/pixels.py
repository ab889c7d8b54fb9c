"""Images as arrays (..., C, H, W): geometry and colours, with torchvision's formulas for tensors.

`pillow` has the same functions for PIL images; `functional` chooses between the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .modes import InterpolationMode

NEAREST = (InterpolationMode.NEAREST, InterpolationMode.NEAREST_EXACT)
SMOOTH = (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)


def _floating(x: np.ndarray) -> np.ndarray:
    return x if x.dtype.kind == "f" else x.astype(np.float32)


def _back(y: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Return y as `kind`, rounded and kept in range if that is an integer type."""
    if kind.kind not in "iu":
        return y.astype(kind)
    return np.clip(np.rint(y), np.iinfo(kind).min, np.iinfo(kind).max).astype(kind)


def _filling(fill: Any) -> Any:
    """Return a number, or one number a channel as (C, 1, 1)."""
    return 0 if fill is None else np.reshape(fill, (-1, 1, 1)) if isinstance(fill, Sequence) else fill


# ---- geometry ----


def hflip(x: np.ndarray) -> np.ndarray:
    """Mirror left and right."""
    return x[..., ::-1]


def vflip(x: np.ndarray) -> np.ndarray:
    """Mirror top and bottom."""
    return x[..., ::-1, :]


def pad(x: np.ndarray, left: int, top: int, right: int, bottom: int, fill: Any, mode: str) -> np.ndarray:
    """Add rows and columns; negative numbers take some away."""
    cut = x[..., max(0, -top) : x.shape[-2] - max(0, -bottom), max(0, -left) : x.shape[-1] - max(0, -right)]
    left, top, right, bottom = [max(0, n) for n in (left, top, right, bottom)]
    if mode != "constant":
        return np.pad(cut, [(0, 0)] * (x.ndim - 2) + [(top, bottom), (left, right)], mode)  # type: ignore[call-overload]
    height, width = cut.shape[-2:]
    y = np.empty((*x.shape[:-2], height + top + bottom, width + left + right), x.dtype)
    y[...] = _filling(fill)
    y[..., top : top + height, left : left + width] = cut
    return y


def crop(x: np.ndarray, top: int, left: int, height: int, width: int) -> np.ndarray:
    """Cut a window out; what lies outside the image is 0."""
    return pad(x, -left, -top, left + width - x.shape[-1], top + height - x.shape[-2], 0, "constant")


def resize(x: np.ndarray, rows: int, columns: int, interpolation: InterpolationMode, antialias: bool) -> np.ndarray:
    """Resample to another size: a product with one matrix of weights for each axis."""
    if interpolation in NEAREST:
        middle = 0.5 if interpolation is InterpolationMode.NEAREST_EXACT else 0.0
        i, j = [
            ((np.arange(to, dtype=np.float32) + np.float32(middle)) * np.float32(n / to)).astype(int).clip(0, n - 1)
            for n, to in ((x.shape[-2], rows), (x.shape[-1], columns))
        ]
        return x[..., i[:, None], j]
    if interpolation not in SMOOTH:
        raise ValueError(f"resize: {interpolation.value} needs a PIL image; use nearest, bilinear or bicubic")
    y = _floating(x)
    down, across = [
        _weights(n, to, interpolation, antialias).astype(y.dtype)
        for n, to in ((x.shape[-2], rows), (x.shape[-1], columns))
    ]
    return _back(down @ y @ across.T, x.dtype)


def _weights(n: int, to: int, interpolation: InterpolationMode, antialias: bool) -> np.ndarray:
    """Return the weights (to, n) of n pixels for each of `to` new ones; a smaller image is averaged if antialias."""
    cubic = interpolation is InterpolationMode.BICUBIC
    scale = n / to
    centres = (np.arange(to) + 0.5) * scale
    if antialias:
        distances = (np.arange(n) + 0.5 - centres[:, None]) / max(scale, 1)
        weights = _cubic(distances, -0.5) if cubic else np.maximum(0, 1 - np.abs(distances))
        return weights / weights.sum(axis=1, keepdims=True)
    weights = np.zeros((to, n))
    start = np.floor(centres - 0.5)
    for k in (-1, 0, 1, 2) if cubic else (0, 1):
        distances = start + k + 0.5 - centres
        share = _cubic(distances, -0.75) if cubic else 1 - np.abs(distances)
        np.add.at(weights, (np.arange(to), (start + k).astype(int).clip(0, n - 1)), share)
    return weights


def _cubic(x: np.ndarray, a: float) -> np.ndarray:
    """Return the cubic convolution kernel (Keys, 1981)."""
    x = np.abs(x)
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def warp(
    x: np.ndarray, matrix: Sequence[float], interpolation: InterpolationMode, fill: Any, rows: int, columns: int
) -> np.ndarray:
    """Sample the image at matrix @ (column, row, 1), both measured from the centres, for each pixel of the result."""
    height, width = x.shape[-2:]
    j, i = np.arange(columns) - columns / 2 + 0.5, (np.arange(rows) - rows / 2 + 0.5)[:, None]
    u = matrix[3] * j + matrix[4] * i + matrix[5] + height / 2 - 0.5
    v = matrix[0] * j + matrix[1] * i + matrix[2] + width / 2 - 0.5
    return _sample(x, u, v, interpolation, fill)


def perspective(
    x: np.ndarray, coefficients: Sequence[float], interpolation: InterpolationMode, fill: Any
) -> np.ndarray:
    """Sample the image at (a x + b y + c, d x + e y + f) / (g x + h y + 1) for each pixel (x, y) of the result."""
    a, b, c, d, e, f, g, h = coefficients
    j, i = np.arange(x.shape[-1]) + 0.5, (np.arange(x.shape[-2]) + 0.5)[:, None]
    scale = g * j + h * i + 1
    return _sample(x, (d * j + e * i + f) / scale - 0.5, (a * j + b * i + c) / scale - 0.5, interpolation, fill)


def _sample(x: np.ndarray, u: np.ndarray, v: np.ndarray, interpolation: InterpolationMode, fill: Any) -> np.ndarray:
    """Return the image at rows u and columns v, and `fill` outside."""
    if interpolation not in (InterpolationMode.NEAREST, InterpolationMode.BILINEAR):
        raise ValueError(f"{interpolation.value} is for PIL images here; use nearest or bilinear")
    height, width = x.shape[-2:]
    source, nearest = _floating(x), interpolation is InterpolationMode.NEAREST
    y = np.zeros((*x.shape[:-2], *u.shape), source.dtype)
    seen = np.zeros(u.shape, source.dtype)  # how much of each pixel comes from the image
    for down in (0,) if nearest else (0, 1):
        for right in (0,) if nearest else (0, 1):
            p, q = (np.rint(u), np.rint(v)) if nearest else (np.floor(u) + down, np.floor(v) + right)
            share = (p >= 0) & (p < height) & (q >= 0) & (q < width)
            share = (share if nearest else share * (1 - np.abs(u - p)) * (1 - np.abs(v - q))).astype(source.dtype)
            y += share * source[..., p.astype(int).clip(0, height - 1), q.astype(int).clip(0, width - 1)]
            seen += share
    if fill is not None:
        y = np.where(seen < 0.5, _filling(fill), y) if nearest else y * seen + (1 - seen) * _filling(fill)
    return _back(y, x.dtype)


def affine(x: np.ndarray, matrix: Callable[[float, float], list[float]], interpolation: InterpolationMode, fill: Any,
           center: Sequence[float] | None) -> np.ndarray:  # fmt: skip
    """Warp by a matrix that is given for a centre, here relative to the image's."""
    height, width = x.shape[-2:]
    middle = (0.0, 0.0) if center is None else (center[0] - width / 2, center[1] - height / 2)
    return warp(x, matrix(*middle), interpolation, fill, height, width)


def rotate(x: np.ndarray, matrix: Callable[[float, float], list[float]], angle: float, interpolation: InterpolationMode,
           expand: bool, center: Sequence[float] | None, fill: Any) -> np.ndarray:  # fmt: skip
    """Turn counter-clockwise; the result holds the whole turned image if expand."""
    height, width = x.shape[-2:]
    if not expand:
        return affine(x, matrix, interpolation, fill, center)
    turn = matrix(0.0, 0.0) if center is None else matrix(center[0] - width / 2, center[1] - height / 2)
    corners = [(sx * width / 2, sy * height / 2) for sx in (-1, 1) for sy in (-1, 1)]
    sizes, step = [], np.float32(1e-4)  # single precision as in torchvision, where it decides about whole numbers
    for k, n in ((0, width), (3, height)):
        ends = [turn[k] * cx + turn[k + 1] * cy + turn[k + 2] + n / 2 for cx, cy in corners]
        last, first = [np.trunc(np.float32(end) / step) * step for end in (max(ends), min(ends))]
        sizes.append(math.ceil(last) - math.floor(first))
    return warp(x, turn, interpolation, fill, sizes[1], sizes[0])


def gaussian_blur(x: np.ndarray, kernel_size: Sequence[int], sigma: Sequence[float]) -> np.ndarray:
    """Average with Gaussian weights along rows and columns, the image reflected at its borders."""
    y = _floating(x)
    for axis, n, width in ((-1, kernel_size[0], sigma[0]), (-2, kernel_size[1], sigma[1])):
        weights = np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / width) ** 2)
        padding = [(0, 0)] * y.ndim
        padding[axis] = (n // 2, n // 2)
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(y, padding, "reflect"), n, axis)
        y = windows @ (weights / weights.sum()).astype(y.dtype)
    return _back(y, x.dtype)


# ---- colours ----


def _blend(x: np.ndarray, other: Any, ratio: float) -> np.ndarray:
    """Return ratio * x + (1 - ratio) * other, kept in the range of images and cut to x's type."""
    y = np.clip(_floating(x) * ratio + (1 - ratio) * other, 0, _bound(x))
    return y.astype(x.dtype)


def to_grayscale(x: np.ndarray, channels: int) -> np.ndarray:
    """Weigh red, green and blue; repeat the result for each channel.  A grey image stays as it is, as in torchvision."""
    if x.shape[-3] == 1:
        return x.copy()
    red, green, blue = [_floating(x[..., c : c + 1, :, :]) for c in range(3)]
    return np.repeat((0.2989 * red + 0.587 * green + 0.114 * blue).astype(x.dtype), channels, axis=-3)


def adjust_brightness(x: np.ndarray, factor: float) -> np.ndarray:
    """Blend with black."""
    return _blend(x, 0, factor)


def adjust_contrast(x: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the mean grey."""
    return _blend(x, _floating(to_grayscale(x, 1)).mean(axis=(-3, -2, -1), keepdims=True), factor)


def adjust_saturation(x: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the grey image."""
    return x if x.shape[-3] == 1 else _blend(x, _floating(to_grayscale(x, 1)), factor)


def adjust_hue(x: np.ndarray, factor: float) -> np.ndarray:
    """Turn the hue by `factor` of the circle."""
    if x.shape[-3] == 1:
        return x
    r, g, b = np.moveaxis(convert(x, np.dtype(np.float32) if x.dtype.kind != "f" else x.dtype), -3, 0)
    high, low = np.maximum(np.maximum(r, g), b), np.minimum(np.minimum(r, g), b)
    spread = high - low
    divisor = np.where(spread == 0, 1, spread)
    hue = np.where(high == r, (g - b) / divisor, np.where(high == g, 2 + (b - r) / divisor, 4 + (r - g) / divisor))
    hue = (hue / 6 + 1 + factor) % 1 * 6
    saturation = spread / np.where(spread == 0, 1, high)
    colours = []
    for shift in (5, 3, 1):  # red, green, blue
        k = (hue + shift) % 6
        colours.append(np.clip(high - high * saturation * np.clip(np.minimum(k, 4 - k), 0, 1), 0, 1))
    return convert(np.stack(colours, axis=-3), x.dtype)


def _bound(x: np.ndarray) -> int:
    """Return the value of white."""
    return 1 if x.dtype.kind == "f" else int(np.iinfo(x.dtype).max)


def _check_bytes(op: str, x: np.ndarray) -> None:
    if x.dtype != np.uint8:
        raise TypeError(f"{op}: expected uint8, got {x.dtype}; put it before ToTensor(), or use PILToTensor()")


def adjust_sharpness(x: np.ndarray, factor: float) -> np.ndarray:
    """Blend with an image smoothed by 3x3 weights, but at the border."""
    if min(x.shape[-2:]) <= 2:
        return x
    windows = np.lib.stride_tricks.sliding_window_view(_floating(x), (3, 3), (-2, -1))
    weights = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], windows.dtype) / windows.dtype.type(13)
    smooth = x.copy()
    smooth[..., 1:-1, 1:-1] = _back((windows * weights).sum((-2, -1)), x.dtype)
    return _blend(x, _floating(smooth), factor)


def adjust_gamma(x: np.ndarray, gamma: float, gain: float) -> np.ndarray:
    """Return gain * x ** gamma of values from 0 to 1."""
    y = convert(x, x.dtype if x.dtype.kind == "f" else np.dtype(np.float32))
    return convert(np.clip(gain * y**gamma, 0, 1).astype(y.dtype), x.dtype)


def invert(x: np.ndarray) -> np.ndarray:
    """Return the negative."""
    return _bound(x) - x


def posterize(x: np.ndarray, bits: int) -> np.ndarray:
    """Keep the highest bits of each byte."""
    _check_bytes("posterize", x)
    return x & np.uint8(256 - 2 ** (8 - bits))


def solarize(x: np.ndarray, threshold: float) -> np.ndarray:
    """Invert what is not below the threshold."""
    if threshold > _bound(x):
        raise TypeError(f"solarize: threshold must be at most {_bound(x)} for {x.dtype}, got {threshold}")
    return np.where(x >= threshold, invert(x), x)


def autocontrast(x: np.ndarray) -> np.ndarray:
    """Stretch each channel from black to white; one of a single value stays."""
    y, bound = _floating(x), _bound(x)
    low, high = [extreme(axis=(-2, -1), keepdims=True) for extreme in (y.min, y.max)]
    flat = low == high
    scale = np.where(flat, 1, bound / np.where(flat, 1, high - low)).astype(y.dtype)
    return np.clip((y - np.where(flat, 0, low)) * scale, 0, bound).astype(x.dtype)


def equalize(x: np.ndarray) -> np.ndarray:
    """Map the bytes of each channel so that all are about as frequent."""
    _check_bytes("equalize", x)
    channels = x.reshape(-1, *x.shape[-2:])
    return np.stack([_equalized(channel) for channel in channels]).reshape(x.shape)


def _equalized(channel: np.ndarray) -> np.ndarray:
    counts = np.bincount(channel.reshape(-1), minlength=256)
    used = counts[counts != 0]
    step = int(used[:-1].sum()) // 255
    if step == 0:
        return channel
    table = (np.cumsum(counts) + step // 2) // step
    return np.clip([0, *table[:-1]], 0, 255).astype(np.uint8)[channel]


def convert(x: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Convert to another type, and the values to its range: 0 to 1 for floating types, 0 to the maximum for others."""
    if kind == x.dtype:
        return x
    floating, was_floating = kind.kind == "f", x.dtype.kind == "f"
    if floating and was_floating:
        return x.astype(kind)
    if was_floating:
        if (x.dtype.itemsize, kind.itemsize) in ((4, 4), (4, 8), (8, 8)):
            raise RuntimeError(f"convert_image_dtype: {x.dtype} cannot hold the values of {kind} without an error")
        return (x * (np.iinfo(kind).max + 1.0 - 1e-3)).astype(kind)
    most = np.iinfo(x.dtype).max
    if floating:
        return x.astype(kind) / kind.type(most)
    target = np.iinfo(kind).max
    if most > target:
        return (x // ((most + 1) // (target + 1))).astype(kind)
    return x.astype(kind) * kind.type((target + 1) // (most + 1))
