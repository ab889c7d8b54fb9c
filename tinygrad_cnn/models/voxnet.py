"""VoxNet: convolution of volumes.  Maturana and Scherer, "VoxNet: a 3D convolutional neural network ...", 2015."""

from __future__ import annotations

from ..nn import Conv3d, Dropout, Flatten, LeakyReLU, Linear, MaxPool3d, Module, ReLU, Sequential
from ..tensor import Tensor
from .registry import builder


class VoxNet(Module):
    """Two convolutions, one pooling and two linear layers, for volumes (N, 1, 32, 32, 32): 921,736 parameters.

    The paper's network for the 40 classes of ModelNet40; `dropout` holds for its three layers.
    """

    def __init__(self, num_classes: int = 40, dropout: tuple[float, float, float] = (0.2, 0.3, 0.4)) -> None:
        super().__init__()
        self.features = Sequential(
            Conv3d(1, 32, 5, stride=2), LeakyReLU(0.1), Dropout(dropout[0]),
            Conv3d(32, 32, 3), LeakyReLU(0.1), MaxPool3d(2), Dropout(dropout[1]),
        )  # fmt: skip
        self.classifier = Sequential(
            Flatten(), Linear(32 * 6**3, 128), ReLU(), Dropout(dropout[2]), Linear(128, num_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.classifier(self.features(x))


voxnet = builder("voxnet", "VoxNet: 921,736 parameters", VoxNet)
