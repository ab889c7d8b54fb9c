"""Image transforms as objects, to be chained by Compose.

Random ones draw from the default generator, in blocks of four numbers, so that manual_seed() repeats them, and a whole batch
(`whole`) draws what its images would one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from ..backends import get_backend
from ..creation import randn, tensor
from ..nn.module import Module
from ..random import default_generator
from ..tensor import Tensor
from . import functional as F
from .modes import InterpolationMode, as_mode

BLOCK = 4  # numbers that are drawn at once


def draw(count: int = 1) -> np.ndarray:
    """Return uniform random numbers from [0, 1), `count` rounded up to whole blocks."""
    words = -(-count // BLOCK) * BLOCK
    backend = get_backend("cpu")
    return backend.to_numpy(backend.random_bits(words, *default_generator.take(words))) / 2.0**32


def draw_normal(count: int) -> np.ndarray:
    """Return standard normal random numbers, two of each block."""
    blocks = -(-count // 2)
    backend = get_backend("cpu")
    numbers = backend.random_normal((2 * blocks,), np.dtype(np.float64), *default_generator.take(blocks * BLOCK))
    return backend.to_numpy(numbers)[:count]


def _between(share: float, low: float, high: float) -> float:
    return low + float(share) * (high - low)


class Transform(Module):
    """The base of transforms: `forward` takes an image and returns another.

    `shown` are the attributes in its text; those that are as in `usual` are left out.
    """

    shown: ClassVar[tuple[str, ...]] = ()
    usual: ClassVar[dict[str, Any]] = {}

    def forward(self, img: Any) -> Any:
        """Transform one image; most transforms also take a batch of tensors, and treat its images alike."""
        raise NotImplementedError(f"{type(self).__name__} must define forward")

    def __repr__(self) -> str:
        values = [(name, getattr(self, name)) for name in self.shown]
        values = [(name, v) for name, v in values if name not in self.usual or v != self.usual[name]]
        texts = [f"{name}={v.value if isinstance(v, InterpolationMode) else v}" for name, v in values]
        return f"{type(self).__name__}({', '.join(texts)})"


# ---- from and to tensors ----


class ToTensor(Transform):
    """Turn an image into a float32 tensor (C, H, W): a PIL image or an array (H, W) or (H, W, C); uint8 becomes 0 to 1."""

    def forward(self, pic: Any) -> Tensor:
        return F.to_tensor(pic)


class PILToTensor(Transform):
    """Turn a PIL image into a tensor (C, H, W) of its own type."""

    def forward(self, pic: Any) -> Tensor:
        return F.pil_to_tensor(pic)


class ConvertImageDtype(Transform):
    """Convert a tensor and the range of its values."""

    def __init__(self, dtype: Any) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, image: Tensor) -> Tensor:
        return F.convert_image_dtype(image, self.dtype)


class ToPILImage(Transform):
    """Turn a tensor (C, H, W) or an array (H, W[, C]) into a PIL image."""

    def __init__(self, mode: str | None = None) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, pic: Any) -> Any:
        return F.to_pil_image(pic, self.mode)

    def __repr__(self) -> str:
        return f"ToPILImage({'' if self.mode is None else f'mode={self.mode}'})"


class Normalize(Transform):
    """(image - mean) / std for each channel of a floating tensor (..., C, H, W)."""

    shown = ("mean", "std")

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        super().__init__()
        self.mean, self.std, self.inplace = mean, std, inplace

    def forward(self, tensor: Tensor) -> Tensor:
        return F.normalize(tensor, self.mean, self.std, self.inplace)


# ---- chains ----


class Compose(Transform):
    """Several transforms, one after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        super().__init__()
        self.transforms = transforms

    def forward(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return f"{type(self).__name__}(" + "".join(f"\n    {t}" for t in self.transforms) + "\n)"


class RandomApply(Compose):
    """All transforms with probability p, else none."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5) -> None:
        super().__init__(transforms)
        self.p = p

    def forward(self, img: Any) -> Any:
        return super().forward(img) if draw()[0] < self.p else img

    def __repr__(self) -> str:
        return f"RandomApply(\n    p={self.p}" + "".join(f"\n    {t}" for t in self.transforms) + "\n)"


class _RandomTransforms(Compose):
    """The base of transforms that choose among others."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        if not isinstance(transforms, Sequence):
            raise TypeError(
                f"{type(self).__name__}: expected a sequence of transforms, got {type(transforms).__name__}"
            )
        super().__init__(transforms)


class RandomChoice(_RandomTransforms):
    """One of the transforms, chosen with equal probabilities or in proportion to p."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        if p is not None and not isinstance(p, Sequence):
            raise TypeError(f"RandomChoice: p must be a sequence of numbers, got {p!r}")
        self.p = p

    def forward(self, img: Any) -> Any:
        ends = np.cumsum([1.0] * len(self.transforms) if self.p is None else self.p)
        return self.transforms[int(np.searchsorted(ends, draw()[0] * ends[-1], side="right"))](img)

    def __repr__(self) -> str:
        return f"{super().__repr__()}(p={self.p})"


class RandomOrder(_RandomTransforms):
    """All transforms in random order."""

    def forward(self, img: Any) -> Any:
        for i in np.argsort(draw(len(self.transforms))[: len(self.transforms)]):
            img = self.transforms[i](img)
        return img


class Lambda(Transform):
    """A function as a transform."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Lambda: expected a function, got {type(lambd).__name__}")
        super().__init__()
        self.lambd = lambd

    def forward(self, img: Any) -> Any:
        return self.lambd(img)


# ---- geometry ----


class Resize(Transform):
    """Resize to (height, width), or so that the shorter side is `size` and the longer at most max_size."""

    shown = ("size", "interpolation", "max_size", "antialias")

    def __init__(self, size: Any, interpolation: Any = InterpolationMode.BILINEAR, max_size: int | None = None,
                 antialias: bool | None = True) -> None:  # fmt: skip
        super().__init__()
        F.pair(size)
        self.size, self.max_size, self.interpolation, self.antialias = size, max_size, as_mode(interpolation), antialias

    def forward(self, img: Any) -> Any:
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)


class CenterCrop(Transform):
    """The middle of an image, padded with 0 if the image is smaller."""

    shown: ClassVar[tuple[str, ...]] = ("size",)

    def __init__(self, size: Any) -> None:
        super().__init__()
        self.size = F.pair(size)

    def forward(self, img: Any) -> Any:
        return F.center_crop(img, self.size)


class FiveCrop(CenterCrop):
    """The corners and the middle of an image, as a tuple."""

    def forward(self, img: Any) -> Any:
        return F.five_crop(img, self.size)


class TenCrop(CenterCrop):
    """FiveCrop of an image and of its mirror image, as a tuple."""

    shown = ("size", "vertical_flip")

    def __init__(self, size: Any, vertical_flip: bool = False) -> None:
        super().__init__(size)
        self.vertical_flip = vertical_flip

    def forward(self, img: Any) -> Any:
        return F.ten_crop(img, self.size, self.vertical_flip)


class Pad(Transform):
    """Rows and columns around an image: constant, edge, reflect or symmetric."""

    shown = ("padding", "fill", "padding_mode")

    def __init__(self, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> None:
        super().__init__()
        F.sides(padding)
        if not isinstance(fill, (int, float, tuple, list)):
            raise TypeError(f"Pad: fill must be a number or one for each channel, got {fill!r}")
        if padding_mode not in F.PADDING_MODES:
            raise ValueError(f"Pad: padding_mode must be one of {', '.join(F.PADDING_MODES)}, got {padding_mode!r}")
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def forward(self, img: Any) -> Any:
        return F.pad(img, self.padding, self.fill, self.padding_mode)


class RandomCrop(Transform):
    """A window at a random place, after padding."""

    shown = ("size", "padding")

    def __init__(self, size: Any, padding: Any = None, pad_if_needed: bool = False, fill: Any = 0,
                 padding_mode: str = "constant") -> None:  # fmt: skip
        super().__init__()
        self.size, self.padding, self.pad_if_needed = F.pair(size), padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode

    def corner(self, rows: int, columns: int, shares: np.ndarray) -> tuple[Any, Any]:
        """Return top and left of windows in an image of that size, for random numbers (..., 4)."""
        height, width = self.size
        if rows < height or columns < width:
            raise ValueError(f"RandomCrop: size {self.size} is larger than the image {(rows, columns)}; set padding")
        return [(shares[..., k] * (n + 1)).astype(np.int64) for k, n in ((0, rows - height), (1, columns - width))]  # type: ignore[return-value]

    def forward(self, img: Any) -> Any:
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        _, rows, columns = F.get_dimensions(img)
        if self.pad_if_needed:
            more = (max(self.size[1] - columns, 0), max(self.size[0] - rows, 0))
            img = F.pad(img, more, self.fill, self.padding_mode) if any(more) else img
            _, rows, columns = F.get_dimensions(img)
        top, left = self.corner(rows, columns, draw())
        return F.crop(img, int(top), int(left), *self.size)


class Sometimes(Transform):
    """The base of what happens with probability p: `change`, with the options that are shown before p."""

    shown: ClassVar[tuple[str, ...]] = ("p",)
    change: ClassVar[Callable[..., Any]]

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, img: Any) -> Any:
        return self.change(img, *[getattr(self, name) for name in self.shown[:-1]]) if draw()[0] < self.p else img

    def __repr__(self) -> str:
        return super().__repr__().replace(", ", ",")  # as in torchvision


class RandomHorizontalFlip(Sometimes):
    """The mirror image, with probability p."""

    change = staticmethod(F.hflip)


class RandomVerticalFlip(Sometimes):
    """The image upside down, with probability p."""

    change = staticmethod(F.vflip)


class RandomResizedCrop(Transform):
    """A window of random area and shape, resized to `size`."""

    shown = ("size", "scale", "ratio", "interpolation", "antialias")

    def __init__(self, size: Any, scale: Sequence[float] = (0.08, 1.0), ratio: Sequence[float] = (3 / 4, 4 / 3),
                 interpolation: Any = InterpolationMode.BILINEAR, antialias: bool | None = True) -> None:  # fmt: skip
        super().__init__()
        for name, value in (("scale", scale), ("ratio", ratio)):
            if not isinstance(value, Sequence):
                raise TypeError(f"RandomResizedCrop: {name} must be two numbers, got {value!r}")
        self.size, self.scale, self.ratio = F.pair(size), scale, ratio
        self.interpolation, self.antialias = as_mode(interpolation), antialias

    @staticmethod
    def get_params(img: Any, scale: Sequence[float], ratio: Sequence[float]) -> tuple[int, int, int, int]:
        """Return top, left, height and width of a random window; the middle after ten that did not fit."""
        _, rows, columns = F.get_dimensions(img)
        window = _random_window(rows, columns, scale, ratio, 0)
        if window is not None:
            return window
        lowest, highest = ratio
        height, width = rows, columns
        if columns / rows < lowest:
            height = round(columns / lowest)
        elif columns / rows > highest:
            width = round(rows * highest)
        return (rows - height) // 2, (columns - width) // 2, height, width

    def forward(self, img: Any) -> Any:
        window = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *window, self.size, self.interpolation, self.antialias)


def _random_window(rows: int, columns: int, scale: Sequence[float], ratio: Sequence[float], less: int) -> Any:
    """Return top, left, height, width of a window at least `less` smaller than the image, or None after ten attempts.

    The area is uniform between two parts of the image's, the logarithm of width / height between those of `ratio`.
    """
    for _ in range(10):
        u = draw(4)
        area = rows * columns * _between(u[0], *scale)
        shape = math.exp(_between(u[1], math.log(ratio[0]), math.log(ratio[1])))
        height, width = round(math.sqrt(area / shape)), round(math.sqrt(area * shape))
        if 0 < height <= rows - less and 0 < width <= columns - less:
            return int(u[2] * (rows - height + 1)), int(u[3] * (columns - width + 1)), height, width
    return None


def _symmetric(name: str, value: Any, counts: tuple[int, ...] = (2,)) -> Sequence[float]:
    """Return a range: a number d means (-d, d)."""
    if isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(f"{name} must not be negative if it is one number, got {value}")
        return [0.0 - value, float(value)]
    if not isinstance(value, Sequence) or len(value) not in counts:
        raise ValueError(f"{name} must be one number or {' or '.join(map(str, counts))} of them, got {value!r}")
    return [*map(float, value)]


def _check_center(name: str, center: Any) -> None:
    if center is not None and len(center) != 2:
        raise ValueError(f"{name}: center must be (x, y), got {center!r}")


class RandomRotation(Transform):
    """Turn by a random angle from -degrees to degrees, or between two."""

    shown = ("degrees", "interpolation", "expand", "fill")

    def __init__(self, degrees: Any, interpolation: Any = InterpolationMode.NEAREST, expand: bool = False,
                 center: Sequence[float] | None = None, fill: Any = 0) -> None:  # fmt: skip
        super().__init__()
        _check_center("RandomRotation", center)
        self.degrees, self.interpolation = _symmetric("degrees", degrees), as_mode(interpolation)
        self.expand, self.center, self.fill = expand, center, fill

    def forward(self, img: Any) -> Any:
        angle = _between(draw()[0], *self.degrees)
        return F.rotate(img, angle, self.interpolation, self.expand, self.center, self.fill)


class RandomAffine(Transform):
    """Turn, move, scale and shear at random: degrees, parts of the size, a range of factors, degrees."""

    shown = ("degrees", "translate", "scale", "shear", "interpolation", "fill", "center")
    usual: ClassVar[dict[str, Any]] = {
        "translate": None, "scale": None, "shear": None, "interpolation": InterpolationMode.NEAREST, "fill": 0, "center": None,
    }  # fmt: skip

    def __init__(self, degrees: Any, translate: Sequence[float] | None = None, scale: Sequence[float] | None = None,
                 shear: Any = None, interpolation: Any = InterpolationMode.NEAREST, fill: Any = 0,
                 center: Sequence[float] | None = None) -> None:  # fmt: skip
        super().__init__()
        if translate is not None and (len(translate) != 2 or not all(0 <= t <= 1 for t in translate)):
            raise ValueError(f"RandomAffine: translate must be two numbers between 0 and 1, got {translate}")
        if scale is not None and (len(scale) != 2 or min(scale) <= 0):
            raise ValueError(f"RandomAffine: scale must be two positive numbers, got {scale}")
        _check_center("RandomAffine", center)
        self.degrees, self.translate, self.scale = _symmetric("degrees", degrees), translate, scale
        self.shear = None if shear is None else _symmetric("shear", shear, (2, 4))
        self.interpolation, self.fill, self.center = as_mode(interpolation), fill, center

    def forward(self, img: Any) -> Any:
        u = draw(6)
        moves = zip(self.translate or (0, 0), F.get_image_size(img), u[1:3])
        shift = [round(_between(share, -part * n, part * n)) for part, n, share in moves]
        scale = _between(u[3], *(self.scale or (1.0, 1.0)))
        ranges = [*(self.shear or ()), 0.0, 0.0, 0.0, 0.0]
        shear = [_between(u[4], *ranges[:2]), _between(u[5], *ranges[2:4])]
        angle = _between(u[0], *self.degrees)
        return F.affine(img, angle, shift, scale, shear, self.interpolation, self.fill, self.center)


class GaussianBlur(Transform):
    """Average with Gaussian weights of a random width from `sigma`."""

    shown = ("kernel_size", "sigma")

    def __init__(self, kernel_size: Any, sigma: Any = (0.1, 2.0)) -> None:
        super().__init__()
        self.kernel_size = F.pair(kernel_size)
        self.sigma = (float(sigma),) * 2 if isinstance(sigma, (int, float)) else sigma
        if any(n <= 0 or n % 2 == 0 for n in self.kernel_size):
            raise ValueError(f"GaussianBlur: kernel_size must be odd and positive, got {kernel_size}")
        if len(self.sigma) != 2 or not 0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError(f"GaussianBlur: sigma must be positive, one number or (low, high), got {sigma}")

    def forward(self, img: Any) -> Any:
        return F.gaussian_blur(img, self.kernel_size, _between(draw()[0], *self.sigma))


class RandomPerspective(Sometimes):
    """The corners moved inwards by up to half of distortion_scale of the size, with probability p."""

    def __init__(self, distortion_scale: float = 0.5, p: float = 0.5, interpolation: Any = InterpolationMode.BILINEAR,
                 fill: Any = 0) -> None:  # fmt: skip
        super().__init__(p)
        if not isinstance(fill, (int, float, tuple, list, type(None))):
            raise TypeError(f"RandomPerspective: fill must be a number or one for each channel, got {fill!r}")
        self.distortion_scale, self.interpolation = distortion_scale, as_mode(interpolation)
        self.fill = 0 if fill is None else fill

    @staticmethod
    def get_params(width: int, height: int, distortion_scale: float) -> tuple[list[list[int]], list[list[int]]]:
        """Return the corners (x, y) and where they go."""
        u = draw(8)
        x, y = [
            (u[k::2] * (int(distortion_scale * (n // 2)) + 1)).astype(int).tolist()
            for k, n in ((0, width), (1, height))
        ]
        right, low = width - 1, height - 1
        start = [[0, 0], [right, 0], [right, low], [0, low]]
        return start, [[x[0], y[0]], [right - x[1], y[1]], [right - x[2], low - y[2]], [x[3], low - y[3]]]

    def change(self, img: Any) -> Any:
        """Move the corners."""
        _, rows, columns = F.get_dimensions(img)
        return F.perspective(img, *self.get_params(columns, rows, self.distortion_scale), self.interpolation, self.fill)


class RandomErasing(Transform):
    """Fill a random rectangle of a tensor, with probability p: by numbers, or 'random' ones (Zhong et al., 2017)."""

    shown = ("p", "scale", "ratio", "value", "inplace")

    def __init__(self, p: float = 0.5, scale: Sequence[float] = (0.02, 0.33), ratio: Sequence[float] = (0.3, 3.3),
                 value: Any = 0, inplace: bool = False) -> None:  # fmt: skip
        super().__init__()
        if not isinstance(value, (int, float, str, tuple, list)):
            raise TypeError(f"RandomErasing: value must be a number, a sequence or 'random', got {value!r}")
        if isinstance(value, str) and value != "random":
            raise ValueError(f"RandomErasing: the only text that value may be is 'random', got {value!r}")
        for name, bounds in (("scale", scale), ("ratio", ratio)):
            if not isinstance(bounds, (tuple, list)):
                raise TypeError(f"RandomErasing: {name} must be two numbers, got {bounds!r}")
        if not 0 <= scale[0] <= scale[1] <= 1 or not 0 <= p <= 1:
            raise ValueError(f"RandomErasing: scale and p must lie between 0 and 1, got {scale} and {p}")
        self.p, self.scale, self.ratio, self.value, self.inplace = p, scale, ratio, value, inplace

    def forward(self, img: Tensor) -> Tensor:
        if draw()[0] >= self.p:
            return img
        channels, rows, columns = F.get_dimensions(img)
        if isinstance(self.value, (tuple, list)) and len(self.value) not in (1, channels):
            raise ValueError(f"RandomErasing: value {self.value} does not fit an image of {channels} channels")
        window = _random_window(rows, columns, self.scale, self.ratio, 1)
        if window is None:
            return img
        top, left, height, width = window
        if self.value == "random":
            value = randn(channels, height, width, dtype=img.dtype)
        else:
            value = tensor(self.value, dtype=img.dtype).reshape(-1, 1, 1)
        return F.erase(img, top, left, height, width, value, self.inplace)


# ---- colours ----


class ColorJitter(Transform):
    """Change brightness, contrast, saturation and hue at random, in random order: by 1 - x to 1 + x, or within a range."""

    shown = ("brightness", "contrast", "saturation", "hue")

    def __init__(self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0) -> None:
        super().__init__()
        self.brightness = self._range("brightness", brightness)
        self.contrast = self._range("contrast", contrast)
        self.saturation = self._range("saturation", saturation)
        self.hue = self._range("hue", hue, 0.0, (-0.5, 0.5))

    @staticmethod
    def _range(name: str, value: Any, middle: float = 1.0, bounds: tuple[float, float] = (0.0, math.inf)) -> Any:
        if isinstance(value, (int, float)):
            if value < 0:
                raise ValueError(f"ColorJitter: {name} must not be negative if it is one number, got {value}")
            value = (middle - value, middle + value)
            value = (max(value[0], 0.0), value[1]) if middle else value
        elif not isinstance(value, (tuple, list)) or len(value) != 2:
            raise TypeError(f"ColorJitter: {name} must be one number or two, got {value!r}")
        if not bounds[0] <= value[0] <= value[1] <= bounds[1]:
            raise ValueError(f"ColorJitter: {name} must lie between {bounds[0]} and {bounds[1]}, got {value}")
        return None if value[0] == value[1] == middle else (float(value[0]), float(value[1]))

    def forward(self, img: Any) -> Any:
        u = draw(8)
        for i in np.argsort(u[4:]):
            name = self.shown[i]
            bounds = getattr(self, name)
            if bounds is not None:
                img = getattr(F, f"adjust_{name}")(img, _between(u[i], *bounds))
        return img


class Grayscale(Transform):
    """Grey, as 1 or 3 equal channels."""

    shown = ("num_output_channels",)

    def __init__(self, num_output_channels: int = 1) -> None:
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, self.num_output_channels)


class RandomGrayscale(Sometimes):
    """Grey with probability p, in as many channels as before."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p)

    def change(self, img: Any) -> Any:
        """Turn grey."""
        return F.rgb_to_grayscale(img, F.get_image_num_channels(img))


class RandomInvert(Sometimes):
    """The negative, with probability p."""

    change = staticmethod(F.invert)


class RandomAutocontrast(Sometimes):
    """Each channel stretched from black to white, with probability p."""

    change = staticmethod(F.autocontrast)


class RandomEqualize(Sometimes):
    """All bytes of each channel about as frequent, with probability p."""

    change = staticmethod(F.equalize)


class RandomPosterize(Sometimes):
    """Only the highest `bits` of each byte, with probability p."""

    shown = ("bits", "p")
    change = staticmethod(F.posterize)

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(p)
        self.bits = bits


class RandomSolarize(Sometimes):
    """What is not below the threshold inverted, with probability p."""

    shown = ("threshold", "p")
    change = staticmethod(F.solarize)

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.threshold = threshold


class RandomAdjustSharpness(Sometimes):
    """Sharper (above 1) or smoother (below 1), with probability p."""

    shown = ("sharpness_factor", "p")
    change = staticmethod(F.adjust_sharpness)

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.sharpness_factor = sharpness_factor


class PCANoise(Transform):
    """Noise along the principal components of the colours (Krizhevsky, Sutskever and Hinton, 2012, section 4.1).

    Adds sum_k p_k a_k l_k to every pixel of a floating tensor (..., 3, H, W) of values 0 to 1: eigenvectors p_k (columns) and
    eigenvalues l_k of the covariance of the pixels, a_k normal with standard deviation `std`.  The defaults are ImageNet's.
    """

    shown = ("std", "eigenvalues", "eigenvectors")

    def __init__(
        self,
        std: float = 0.1,
        eigenvalues: Sequence[float] = (0.2175, 0.0188, 0.0045),
        eigenvectors: Sequence[Sequence[float]] = (
            (-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203),
        ),
    ) -> None:  # fmt: skip
        super().__init__()
        if np.shape(eigenvectors) != (len(eigenvalues),) * 2:
            raise ValueError(f"PCANoise: {len(eigenvalues)} eigenvalues need as many eigenvectors, got {eigenvectors}")
        self.std, self.eigenvalues, self.eigenvectors = std, eigenvalues, eigenvectors

    def shift(self, numbers: np.ndarray) -> np.ndarray:
        """Return what each channel gains, for normal random numbers (..., components)."""
        amounts = numbers * self.std * np.asarray(self.eigenvalues)
        return (np.asarray(self.eigenvectors) * amounts[..., None, :]).sum(-1)

    def forward(self, img: Tensor) -> Tensor:
        if not isinstance(img, Tensor) or not img.is_floating_point() or img.shape[-3:-2] != (len(self.eigenvalues),):
            raise TypeError(
                f"PCANoise: expected a floating tensor (..., {len(self.eigenvalues)}, H, W); ToTensor() makes one"
            )
        shift = self.shift(draw_normal(len(self.eigenvalues)))
        return img + tensor(shift, dtype=img.dtype).reshape(-1, 1, 1)
