"""Network in network.  Lin, Chen and Yan, 2013."""

from __future__ import annotations

from functools import partial

from ..nn import AdaptiveAvgPool2d, Conv2d, Dropout, MaxPool2d, Module, ReLU, Sequential, init
from ..tensor import Tensor
from .blocks import initialise
from .registry import builder

# Kernel size of each stage's convolution, and the widths of it and of the two 1x1 convolutions behind it.
STAGES = ((5, (192, 160, 96)), (5, (192, 192, 192)), (3, (192, 192)))


class NiN(Module):
    """Three convolutions with a small network of 1x1 convolutions behind each, for images (N, 3, 32, 32).

    966,986 parameters for 10 classes: there is no linear layer, the last maps are averaged.  Pooling (3x3, overlapping) and
    dropout follow the first two stages.  Weights are from N(0, 0.05 ** 2), as in the authors' configuration for Caffe.
    """

    def __init__(self, num_classes: int = 10, dropout: float = 0.5) -> None:
        super().__init__()
        layers: list[Module] = []
        inputs = 3
        for i, (size, widths) in enumerate(STAGES):
            outputs = widths if i < 2 else (*widths, num_classes)
            for j, width in enumerate(outputs):
                kernel = 1 if j else size
                layers += [Conv2d(inputs, width, kernel, padding=kernel // 2), ReLU(inplace=True)]
                inputs = width
            if i < 2:
                layers += [MaxPool2d(3, stride=2, ceil_mode=True), Dropout(dropout)]
        self.features = Sequential(*layers)
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        initialise(self, partial(init.normal_, std=0.05))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.avgpool(self.features(x)).flatten(1)


nin = builder("nin", "network in network for CIFAR: 966,986 parameters", NiN)
