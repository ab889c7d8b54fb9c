"""SqueezeNet.  Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and < 0.5 MB model size", 2016."""

from __future__ import annotations

from typing import Any

from ..nn import AdaptiveAvgPool2d, Conv2d, Dropout, MaxPool2d, Module, ReLU, Sequential, init
from ..ops.shape import cat
from ..tensor import Tensor
from .blocks import initialise
from .registry import builder

# Width and kernel of the first convolution; then the squeezed widths of the fire modules, "M" for a pooling.
VERSIONS: dict[str, tuple[int, int, list[Any]]] = {
    "1_0": (96, 7, ["M", 16, 16, 32, "M", 32, 48, 48, 64, "M", 64]),
    "1_1": (64, 3, ["M", 16, 16, "M", 32, 32, "M", 48, 48, 64, 64]),
}


class Fire(Module):
    """A 1x1 convolution to few channels, then 1x1 and 3x3 convolutions side by side."""

    def __init__(self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int) -> None:
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = Conv2d(inplanes, squeeze_planes, kernel_size=1)
        self.squeeze_activation = ReLU(inplace=True)
        self.expand1x1 = Conv2d(squeeze_planes, expand1x1_planes, kernel_size=1)
        self.expand1x1_activation = ReLU(inplace=True)
        self.expand3x3 = Conv2d(squeeze_planes, expand3x3_planes, kernel_size=3, padding=1)
        self.expand3x3_activation = ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the channels of both."""
        x = self.squeeze_activation(self.squeeze(x))
        return cat([self.expand1x1_activation(self.expand1x1(x)), self.expand3x3_activation(self.expand3x3(x))], 1)


class SqueezeNet(Module):
    """Eight fire modules and a 1x1 convolution whose maps are averaged, for images (N, 3, 224, 224).

    version "1_0" is the paper's, "1_1" its authors' later one with 2.4 times fewer multiplications.
    """

    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        if version not in VERSIONS:
            raise ValueError(f"SqueezeNet: version must be one of {', '.join(VERSIONS)}, got {version!r}")
        channels, size, rest = VERSIONS[version]
        layers: list[Module] = [Conv2d(3, channels, kernel_size=size, stride=2), ReLU(inplace=True)]
        for item in rest:
            if item == "M":
                layers.append(MaxPool2d(kernel_size=3, stride=2, ceil_mode=True))
            else:
                layers.append(Fire(channels, item, 4 * item, 4 * item))
                channels = 8 * item
        self.features = Sequential(*layers)
        last = Conv2d(channels, num_classes, kernel_size=1)
        self.classifier = Sequential(Dropout(p=dropout), last, ReLU(inplace=True), AdaptiveAvgPool2d((1, 1)))
        initialise(self, init.kaiming_uniform_)
        init.normal_(last.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.classifier(self.features(x)).flatten(1)


squeezenet1_0 = builder("squeezenet1_0", "SqueezeNet 1.0: 1,248,424 parameters", SqueezeNet, "1_0")
squeezenet1_1 = builder("squeezenet1_1", "SqueezeNet 1.1: 1,235,496 parameters", SqueezeNet, "1_1")
