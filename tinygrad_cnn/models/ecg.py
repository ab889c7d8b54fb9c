"""A network for heartbeats: convolution along time."""

from __future__ import annotations

from ..nn import Conv1d, Flatten, LeakyReLU, Linear, MaxPool1d, Module, Sequential
from ..tensor import Tensor
from .registry import builder


class ECGNet(Module):
    """Three convolutions with pooling and three linear layers, for beats (N, 1, 260): 19,805 parameters for 5 classes.

    260 samples are 0.72 s at 360 Hz.  After Acharya et al., "A deep convolutional neural network model to classify
    heartbeats", 2017, with cross-entropy's logits in place of their softmax.
    """

    def __init__(self, num_classes: int = 5) -> None:
        super().__init__()
        self.features = Sequential(
            Conv1d(1, 5, 3), LeakyReLU(), MaxPool1d(2),
            Conv1d(5, 10, 4), LeakyReLU(), MaxPool1d(2),
            Conv1d(10, 20, 4), LeakyReLU(), MaxPool1d(2),
        )  # fmt: skip
        self.classifier = Sequential(
            Flatten(),
            Linear(20 * 30, 30), LeakyReLU(),
            Linear(30, 20), LeakyReLU(),
            Linear(20, num_classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.classifier(self.features(x))


ecg_net = builder("ecg_net", "the network for heartbeats: 19,805 parameters", ECGNet)
