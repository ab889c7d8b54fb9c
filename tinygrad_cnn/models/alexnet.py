"""AlexNet: the paper's (two towers), and torchvision's (one)."""

from __future__ import annotations

from functools import partial

from ..nn import AdaptiveAvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential, init
from ..tensor import Tensor
from .blocks import initialise, lrn_2012
from .registry import builder


class AlexNet(Module):
    """Five convolutions and three linear layers, for images (N, 3, 224, 224): 61,100,840 parameters for 1000 classes.

    Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014, section 5.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = Sequential(
            Conv2d(3, 64, kernel_size=11, stride=4, padding=2), ReLU(inplace=True), MaxPool2d(kernel_size=3, stride=2),
            Conv2d(64, 192, kernel_size=5, padding=2), ReLU(inplace=True), MaxPool2d(kernel_size=3, stride=2),
            Conv2d(192, 384, kernel_size=3, padding=1), ReLU(inplace=True),
            Conv2d(384, 256, kernel_size=3, padding=1), ReLU(inplace=True),
            Conv2d(256, 256, kernel_size=3, padding=1), ReLU(inplace=True), MaxPool2d(kernel_size=3, stride=2),
        )  # fmt: skip
        self.avgpool = AdaptiveAvgPool2d((6, 6))
        self.classifier = Sequential(
            Dropout(p=dropout), Linear(256 * 6 * 6, 4096), ReLU(inplace=True),
            Dropout(p=dropout), Linear(4096, 4096), ReLU(inplace=True),
            Linear(4096, num_classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class AlexNet2012(Module):
    """The network of the paper, for images (N, 3, 224, 224) or (N, 3, 227, 227): 60,965,224 parameters, 659,272 units.

    Two towers, which meet in the third convolution and in the linear layers, as convolutions of two groups (`groups=1` joins
    them everywhere); normalisation after ReLU, with alpha on the plain sum; overlapping pooling; weights from N(0, 0.01 ** 2),
    and biases of 1 where the paper has them.  The padding of (1, 2) gives the paper's 55 x 55 maps from 224 x 224 pixels.
    Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", 2012.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5, groups: int = 2) -> None:
        super().__init__()
        self.features = Sequential(
            Conv2d(3, 96, 11, stride=4, padding=((1, 2), (1, 2))), ReLU(inplace=True), lrn_2012(), MaxPool2d(3, 2),
            Conv2d(96, 256, 5, padding=2, groups=groups), ReLU(inplace=True), lrn_2012(), MaxPool2d(3, 2),
            Conv2d(256, 384, 3, padding=1), ReLU(inplace=True),
            Conv2d(384, 384, 3, padding=1, groups=groups), ReLU(inplace=True),
            Conv2d(384, 256, 3, padding=1, groups=groups), ReLU(inplace=True), MaxPool2d(3, 2),
        )  # fmt: skip
        self.classifier = Sequential(
            Flatten(),
            Linear(256 * 6 * 6, 4096), ReLU(inplace=True), Dropout(dropout),
            Linear(4096, 4096), ReLU(inplace=True), Dropout(dropout),
            Linear(4096, num_classes),
        )  # fmt: skip
        normal = partial(init.normal_, std=0.01)
        initialise(self, normal, normal)
        for layer in (*(self.features[i] for i in (4, 10, 12)), *(self.classifier[i] for i in (1, 4))):
            init.ones_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.classifier(self.features(x))


alexnet = builder("alexnet", "AlexNet with one tower: 61,100,840 parameters", AlexNet)
alexnet_2012 = builder("alexnet_2012", "the AlexNet of the paper: 60,965,224 parameters", AlexNet2012)
