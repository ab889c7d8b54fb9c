"""LeNet-5 as it is taught today, and Caffe's LeNet.  lenet5_1998.py has the original."""

from __future__ import annotations

from typing import Any

from ..nn import AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential, Sigmoid, init
from ..tensor import Tensor


class LeNet5(Module):
    """Two convolutions with pooling and three linear layers, for images (N, 1, 28, 28) -> (N, num_classes).

    C1 6@28x28, S2 6@14x14, C3 16@10x10, S4 16@5x5, then 120, 84 and the classes: 61,706 parameters.  LeCun, Bottou, Bengio
    and Haffner, 1998, with its connections made complete and its output layer linear.
    """

    def __init__(self, num_classes: int = 10, activation: str = "relu", pooling: str = "max") -> None:
        super().__init__()
        if activation not in ("relu", "sigmoid") or pooling not in ("max", "avg"):
            raise ValueError(
                f"LeNet5: activation must be 'relu' or 'sigmoid' and pooling 'max' or 'avg', got {activation!r}, {pooling!r}"
            )
        act = ReLU if activation == "relu" else Sigmoid
        pool: Any = MaxPool2d if pooling == "max" else AvgPool2d
        self.features = Sequential(
            Conv2d(1, 6, 5, padding=2), act(), pool(2, 2),
            Conv2d(6, 16, 5), act(), pool(2, 2),
        )  # fmt: skip
        self.classifier = Sequential(
            Flatten(),
            Linear(16 * 5 * 5, 120), act(),
            Linear(120, 84), act(),
            Linear(84, num_classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.classifier(self.features(x))


def lenet5(num_classes: int = 10, activation: str = "relu", pooling: str = "max") -> LeNet5:
    """Return LeNet-5 with ReLU and max pooling, or with activation='sigmoid', pooling='avg' as in older textbooks."""
    return LeNet5(num_classes, activation, pooling)


def caffe_lenet(num_classes: int = 10) -> Sequential:
    """Return the LeNet of Caffe's MNIST example, for images (N, 1, 28, 28): 431,080 parameters.

    Conv 20@5x5, pool 2, conv 50@5x5, pool 2, 500, ReLU, and the classes: rectified once only.  Jia et al., 2014.  Initialised
    by Caffe's "xavier" filler, weights from U(-a, a), a = sqrt(3 / fan_in), and zero biases; its pixels are from 0 to 1.
    """
    model = Sequential(
        Conv2d(1, 20, 5), MaxPool2d(2, 2),
        Conv2d(20, 50, 5), MaxPool2d(2, 2),
        Flatten(), Linear(50 * 4 * 4, 500), ReLU(), Linear(500, num_classes),
    )  # fmt: skip
    for parameter in model.parameters():
        init.kaiming_uniform_(parameter, nonlinearity="linear") if parameter.ndim > 1 else init.zeros_(parameter)
    return model
