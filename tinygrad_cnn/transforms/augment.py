"""Changes chosen from a list of them: AutoAugment, RandAugment, TrivialAugmentWide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from typing import Any, ClassVar

from . import functional as F
from .modes import InterpolationMode
from .transforms import Transform, draw

PLAIN = ("Identity", "AutoContrast", "Equalize", "Invert")  # changes without a magnitude
UNSIGNED = (*PLAIN, "Posterize", "Solarize")  # the others are also done with the opposite magnitude
ENHANCED = {"Brightness": "brightness", "Color": "saturation", "Contrast": "contrast", "Sharpness": "sharpness"}
NAMES = (*PLAIN[:3], "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", *ENHANCED, "Posterize", "Solarize")


class AutoAugmentPolicy(Enum):
    """The data set that a policy was learned on."""

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


# Pairs of changes, each with its probability and the number of its magnitude (Cubuk et al., 2019, appendix A).
POLICIES = {
    AutoAugmentPolicy.IMAGENET: """
        Posterize .4 8 Rotate .6 9; Solarize .6 5 AutoContrast .6 0; Equalize .8 0 Equalize .6 0;
        Posterize .6 7 Posterize .6 6; Equalize .4 0 Solarize .2 4; Equalize .4 0 Rotate .8 8; Solarize .6 3 Equalize .6 0;
        Posterize .8 5 Equalize 1 0; Rotate .2 3 Solarize .6 8; Equalize .6 0 Posterize .4 6; Rotate .8 8 Color .4 0;
        Rotate .4 9 Equalize .6 0; Equalize 0 0 Equalize .8 0; Invert .6 0 Equalize 1 0; Color .6 4 Contrast 1 8;
        Rotate .8 8 Color 1 2; Color .8 8 Solarize .8 7; Sharpness .4 7 Invert .6 0; ShearX .6 5 Equalize 1 0;
        Color .4 0 Equalize .6 0; Equalize .4 0 Solarize .2 4; Solarize .6 5 AutoContrast .6 0; Invert .6 0 Equalize 1 0;
        Color .6 4 Contrast 1 8; Equalize .8 0 Equalize .6 0""",
    AutoAugmentPolicy.CIFAR10: """
        Invert .1 0 Contrast .2 6; Rotate .7 2 TranslateX .3 9; Sharpness .8 1 Sharpness .9 3; ShearY .5 8 TranslateY .7 9;
        AutoContrast .5 0 Equalize .9 0; ShearY .2 7 Posterize .3 7; Color .4 3 Brightness .6 7;
        Sharpness .3 9 Brightness .7 9; Equalize .6 0 Equalize .5 0; Contrast .6 7 Sharpness .6 5; Color .7 7 TranslateX .5 8;
        Equalize .3 0 AutoContrast .4 0; TranslateY .4 3 Sharpness .2 6; Brightness .9 6 Color .2 8; Solarize .5 2 Invert 0 0;
        Equalize .2 0 AutoContrast .6 0; Equalize .2 0 Equalize .6 0; Color .9 9 Equalize .6 0; AutoContrast .8 0 Solarize .2 8;
        Brightness .1 3 Color .7 0; Solarize .4 5 AutoContrast .9 0; TranslateY .9 9 TranslateY .7 9;
        AutoContrast .9 0 Solarize .8 3; Equalize .8 0 Invert .1 0; TranslateY .7 9 AutoContrast .9 0""",
    AutoAugmentPolicy.SVHN: """
        ShearX .9 4 Invert .2 0; ShearY .9 8 Invert .7 0; Equalize .6 0 Solarize .6 6; Invert .9 0 Equalize .6 0;
        Equalize .6 0 Rotate .9 3; ShearX .9 4 AutoContrast .8 0; ShearY .9 8 Invert .4 0; ShearY .9 5 Solarize .2 6;
        Invert .9 0 AutoContrast .8 0; Equalize .6 0 Rotate .9 3; ShearX .9 4 Solarize .3 3; ShearY .8 8 Invert .7 0;
        Equalize .9 0 TranslateY .6 6; Invert .9 0 Equalize .6 0; Contrast .3 3 Rotate .8 4; Invert .8 0 TranslateY 0 2;
        ShearY .7 6 Solarize .4 8; Invert .6 0 Rotate .8 4; ShearY .3 7 TranslateX .9 3; ShearX .1 6 Invert .6 0;
        Solarize .7 2 TranslateY .6 7; ShearY .8 4 Invert .8 0; ShearX .7 9 TranslateY .8 3; ShearY .8 5 AutoContrast .7 0;
        ShearX .7 2 Invert .1 0""",
}  # fmt: skip


class Augment(Transform):
    """The base: a change by its name, with a magnitude that may be 0 up to `largest`, in steps."""

    largest: ClassVar[dict[str, float]] = {
        "Shear": 0.3,
        "Translate": 150 / 331,
        "Rotate": 30,
        "Posterize": 4,
        "enhance": 0.9,
    }

    def __init__(self, interpolation: InterpolationMode, fill: Any) -> None:
        super().__init__()
        self.interpolation, self.fill = interpolation, fill

    def amount(self, img: Any, name: str, step: int, steps: int) -> float:
        """Return the magnitude of a change at step 0 to steps - 1."""
        share = step / (steps - 1)
        if name == "Solarize":
            return 255 * (1 - share)
        if name == "Posterize":
            return 8 - round(share * self.largest[name])
        kind = "enhance" if name in ENHANCED else name.rstrip("XY")
        return share * self._extent(img, name) * self.largest.get(kind, 0)

    def _extent(self, img: Any, name: str) -> float:
        """Return what the largest movement is a part of."""
        return F.get_image_size(img)[name == "TranslateY"] if name.startswith("Translate") else 1

    def changed(self, img: Any, name: str, magnitude: float) -> Any:
        """Change an image."""
        if name in ENHANCED:
            return getattr(F, f"adjust_{ENHANCED[name]}")(img, 1 + magnitude)
        along = [1, 0] if name.endswith("X") else [0, 1]
        if name.startswith("Shear"):  # about the corner
            shear = [math.degrees(math.atan(magnitude)) * k for k in along]
            return F.affine(img, 0.0, [0, 0], 1.0, shear, self.interpolation, self.fill, [0, 0])
        if name.startswith("Translate"):
            shift = [int(magnitude) * k for k in along]
            return F.affine(img, 0.0, shift, 1.0, [0.0, 0.0], self.interpolation, self.fill)
        if name == "Rotate":
            return F.rotate(img, magnitude, self.interpolation, fill=self.fill)
        if name == "Posterize":
            return F.posterize(img, int(magnitude))
        if name == "Solarize":
            return F.solarize(img, magnitude)
        return img if name == "Identity" else getattr(F, name.lower())(img)

    def at_random(self, img: Any, name: str, step: int, steps: int, share: float) -> Any:
        """Change an image, with either sign."""
        sign = -1 if name not in UNSIGNED and share < 0.5 else 1
        return self.changed(img, name, sign * self.amount(img, name, step, steps))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)}' for name in self.shown)})"


class AutoAugment(Augment):
    """One of 25 pairs of changes, which were learned on a data set (Cubuk et al., 2019)."""

    shown = ("policy", "fill")

    def __init__(self, policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET,
                 interpolation: InterpolationMode = InterpolationMode.NEAREST, fill: Any = None) -> None:  # fmt: skip
        super().__init__(interpolation, fill)
        if policy not in POLICIES:
            raise ValueError(f"AutoAugment: policy must be one of {', '.join(map(str, POLICIES))}, got {policy!r}")
        self.policy = policy
        self.policies = [self._pair(text.split()) for text in POLICIES[policy].split(";")]

    @staticmethod
    def _pair(words: Sequence[str]) -> list[tuple[str, float, int]]:
        return [(words[k], float(words[k + 1]), int(words[k + 2])) for k in (0, 3)]

    def forward(self, img: Any) -> Any:
        """Apply a pair of changes."""
        u = draw(5)
        for k, (name, p, step) in enumerate(self.policies[int(u[0] * len(self.policies))]):
            if u[1 + k] <= p:
                img = self.at_random(img, name, step, 10, u[3 + k])
        return img


class RandAugment(Augment):
    """`num_ops` changes, each of the same magnitude (Cubuk et al., 2020)."""

    shown = ("num_ops", "magnitude", "num_magnitude_bins", "interpolation", "fill")

    def __init__(self, num_ops: int = 2, magnitude: int = 9, num_magnitude_bins: int = 31,
                 interpolation: InterpolationMode = InterpolationMode.NEAREST, fill: Any = None) -> None:  # fmt: skip
        super().__init__(interpolation, fill)
        self.num_ops, self.magnitude, self.num_magnitude_bins = num_ops, magnitude, num_magnitude_bins

    def forward(self, img: Any) -> Any:
        """Apply some changes."""
        for u in draw(4 * self.num_ops).reshape(-1, 4):
            img = self.at_random(img, NAMES[int(u[0] * len(NAMES))], self.magnitude, self.num_magnitude_bins, u[1])
        return img


class TrivialAugmentWide(Augment):
    """One change of any magnitude (Müller and Hutter, 2021)."""

    shown = ("num_magnitude_bins", "interpolation", "fill")
    largest: ClassVar = {"Shear": 0.99, "Translate": 32, "Rotate": 135, "Posterize": 6, "enhance": 0.99}

    def __init__(self, num_magnitude_bins: int = 31, interpolation: InterpolationMode = InterpolationMode.NEAREST,
                 fill: Any = None) -> None:  # fmt: skip
        super().__init__(interpolation, fill)
        self.num_magnitude_bins = num_magnitude_bins

    def _extent(self, img: Any, name: str) -> float:
        return 1

    def forward(self, img: Any) -> Any:
        """Apply a change."""
        name, step, share, _ = draw(4)
        bins = self.num_magnitude_bins
        return self.at_random(img, NAMES[int(name * len(NAMES))], int(step * bins), bins, share)
