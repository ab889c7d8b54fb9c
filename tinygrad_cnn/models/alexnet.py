"""AlexNet in torchvision's form (one tower)."""

from __future__ import annotations

from typing import Any

from ..nn import AdaptiveAvgPool2d, Conv2d, Dropout, Linear, MaxPool2d, Module, ReLU, Sequential
from ..tensor import Tensor


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


def no_weights(name: str, weights: Any) -> None:
    """Raise if pretrained weights are asked for: none are distributed."""
    if weights is not None:
        raise ValueError(
            f"{name}: no pretrained weights are distributed, use weights=None and load_state_dict(); got {weights!r}"
        )


def alexnet(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> AlexNet:
    """Return AlexNet; keyword arguments: num_classes, dropout."""
    no_weights("alexnet", weights)
    return AlexNet(**kwargs)
