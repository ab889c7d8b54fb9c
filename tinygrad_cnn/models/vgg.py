"""VGG: stacks of 3x3 convolutions.  Simonyan and Zisserman, "Very deep convolutional networks ...", 2014."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..nn import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d, Module, ReLU, Sequential, init
from ..tensor import Tensor
from .blocks import he, initialise, lrn_2012
from .registry import builder


def _stages(*depths: int) -> list[Any]:
    """Return five stages of convolutions, each with a pooling behind it."""
    widths = (64, 128, 256, 512, 512)
    return [item for width, depth in zip(widths, depths, strict=True) for item in (*[width] * depth, "M")]


# The columns of table 1: a number is the width of a 3x3 convolution, a pair width and kernel size, "M" a pooling, "L" LRN.
cfgs: dict[str, list[Any]] = {
    "A": _stages(1, 1, 2, 2, 2),
    "A-LRN": [64, "L", *_stages(1, 1, 2, 2, 2)[1:]],
    "B": _stages(2, 2, 2, 2, 2),
    "C": [64, 64, "M", 128, 128, "M", 256, 256, (256, 1), "M", *[512, 512, (512, 1), "M"] * 2],
    "D": _stages(2, 2, 3, 3, 3),
    "E": _stages(2, 2, 4, 4, 4),
}


def make_layers(cfg: list[Any], batch_norm: bool = False) -> Sequential:
    """Return the convolutional part of a configuration."""
    layers: list[Module] = []
    inputs = 3
    for item in cfg:
        if item in ("M", "L"):
            layers.append(MaxPool2d(kernel_size=2, stride=2) if item == "M" else lrn_2012())
        else:
            width, size = item if isinstance(item, tuple) else (item, 3)
            layers.append(Conv2d(inputs, width, kernel_size=size, padding=size // 2))
            layers += [BatchNorm2d(width), ReLU(inplace=True)] if batch_norm else [ReLU(inplace=True)]
            inputs = width
    return Sequential(*layers)


class VGG(Module):
    """Convolutions, three linear layers with dropout, for images (N, 3, 224, 224).

    `init_weights` draws weights as He et al. do, which trains networks of this depth from scratch; the paper's authors started
    the deeper ones with layers of the trained A.
    """

    def __init__(
        self, features: Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = AdaptiveAvgPool2d((7, 7))
        self.classifier = Sequential(
            Linear(512 * 7 * 7, 4096), ReLU(inplace=True), Dropout(p=dropout),
            Linear(4096, 4096), ReLU(inplace=True), Dropout(p=dropout),
            Linear(4096, num_classes),
        )  # fmt: skip
        if init_weights:
            initialise(self, he, partial(init.normal_, std=0.01))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _vgg(cfg: str, batch_norm: bool, **kwargs: Any) -> VGG:
    return VGG(make_layers(cfgs[cfg], batch_norm), **kwargs)


vgg11 = builder("vgg11", "VGG-11 (A): 132,863,336 parameters", _vgg, "A", False)
vgg11_lrn = builder("vgg11_lrn", "VGG-11 with LRN (A-LRN): 132,863,336 parameters", _vgg, "A-LRN", False)
vgg13 = builder("vgg13", "VGG-13 (B): 133,047,848 parameters", _vgg, "B", False)
vgg16_1x1 = builder("vgg16_1x1", "VGG-16 with 1x1 convolutions (C): 133,638,952 parameters", _vgg, "C", False)
vgg16 = builder("vgg16", "VGG-16 (D): 138,357,544 parameters", _vgg, "D", False)
vgg19 = builder("vgg19", "VGG-19 (E): 143,667,240 parameters", _vgg, "E", False)
vgg11_bn = builder("vgg11_bn", "VGG-11 with batch norm: 132,868,840 parameters", _vgg, "A", True)
vgg13_bn = builder("vgg13_bn", "VGG-13 with batch norm: 133,053,736 parameters", _vgg, "B", True)
vgg16_bn = builder("vgg16_bn", "VGG-16 with batch norm: 138,365,992 parameters", _vgg, "D", True)
vgg19_bn = builder("vgg19_bn", "VGG-19 with batch norm: 143,678,248 parameters", _vgg, "E", True)
