"""Small relatives of large networks, for images of 28 or 32 pixels: a run takes minutes on one core."""

from __future__ import annotations

from ..nn import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential
from .blocks import conv, he, initialise
from .registry import register_model
from .resnet import BasicBlock


@register_model()
def alexnet_small(num_classes: int = 10, in_channels: int = 1, dropout: float = 0.2) -> Sequential:
    """Return AlexNet's sequence of layers with few maps, for images of 28 to 34 pixels: 213,626 parameters.

    Five convolutions, three overlapping poolings and three linear layers; Krizhevsky, Sutskever and Hinton, 2012.
    """
    return Sequential(
        Conv2d(in_channels, 16, 5, padding=2), ReLU(), MaxPool2d(3, 2),
        Conv2d(16, 48, 5, padding=2), ReLU(), MaxPool2d(3, 2),
        Conv2d(48, 64, 3, padding=1), ReLU(),
        Conv2d(64, 48, 3, padding=1), ReLU(),
        Conv2d(48, 48, 3, padding=1), ReLU(), MaxPool2d(3, 2),
        Flatten(),
        Dropout(dropout), Linear(48 * 2 * 2, 256), ReLU(),
        Dropout(dropout), Linear(256, 256), ReLU(),
        Linear(256, num_classes),
    )  # fmt: skip


@register_model()
def resnet18_small(num_classes: int = 10, in_channels: int = 1, width: int = 16) -> Sequential:
    """Return ResNet-18 with a 3x3 stem and `width` maps instead of 64, for images of 28 pixels or more: 701,178 parameters.

    Pooling 2x2, then four stages of two residual blocks, each after the first with half the size and twice the maps; He,
    Zhang, Ren and Sun, 2015.
    """
    layers: list[Module] = [conv(in_channels, width, 3), BatchNorm2d(width), ReLU(inplace=True), MaxPool2d(2)]
    maps = width
    for planes in (width, 2 * width, 4 * width, 8 * width):
        stride, shortcut = 1, None
        if planes != maps:
            stride, shortcut = 2, Sequential(conv(maps, planes, 1, 2), BatchNorm2d(planes))
        layers += [BasicBlock(maps, planes, stride, shortcut), BasicBlock(planes, planes)]
        maps = planes
    model = Sequential(*layers, AdaptiveAvgPool2d((1, 1)), Flatten(), Linear(maps, num_classes))
    initialise(model, he)
    return model
