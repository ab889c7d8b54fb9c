"""The small convolutional networks of textbooks, for images of digits (N, 1, 28, 28)."""

from __future__ import annotations

from ..nn import Conv2d, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential, init
from ..nn import functional as F
from ..tensor import Tensor


class SimpleConvNet(Module):
    """One convolution with pooling and two linear layers: 433,890 parameters.

    Conv 30@5x5, ReLU, pool 2, 100, ReLU, and the classes.  Saito, "Deep Learning from Scratch", 2016, section 7.5.  Weights are
    from N(0, 0.01 ** 2), the book's first choice, or with weight_init="he" from N(0, 2 / fan_in); biases are 0.
    """

    def __init__(self, num_classes: int = 10, weight_init: str | float = 0.01) -> None:
        super().__init__()
        if isinstance(weight_init, str) and weight_init != "he":
            raise ValueError(f"SimpleConvNet: weight_init must be 'he' or a standard deviation, got {weight_init!r}")
        self.conv = Conv2d(1, 30, 5)
        self.hidden = Linear(30 * 12 * 12, 100)
        self.output = Linear(100, num_classes)
        for layer in (self.conv, self.hidden, self.output):
            if isinstance(weight_init, str):
                init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                init.normal_(layer.weight, std=weight_init)
            init.zeros_(layer.bias)

    def features(self, x: Tensor) -> Tensor:
        """Convolve, rectify and pool to (N, 30, 12, 12)."""
        return F.max_pool2d(F.relu(self.conv(x)), 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.output(F.relu(self.hidden(self.features(x).flatten(1))))


class Im2colConvNet(SimpleConvNet):
    """SimpleConvNet as the book builds it: convolution and pooling from the patches of im2col and a matrix product."""

    def features(self, x: Tensor) -> Tensor:
        """Convolve, rectify and pool to (N, 30, 12, 12)."""
        patches = F.unfold(x, 5)  # (N, 25, 24 * 24): the 25 pixels under the kernel, at each of its places
        maps = F.relu(self.conv.weight.flatten(1) @ patches + self.conv.bias.unsqueeze(1))  # (N, 30, 24 * 24)
        windows = F.unfold(maps.reshape(-1, 1, 24, 24), 2, stride=2)  # (N * 30, 4, 12 * 12)
        return windows.max(dim=1).values.reshape(-1, 30, 12, 12)


def simple_convnet(num_classes: int = 10, weight_init: str | float = 0.01, im2col: bool = False) -> SimpleConvNet:
    """Return the network of "Deep Learning from Scratch", made of layers or, with im2col=True, of patches and products."""
    return (Im2colConvNet if im2col else SimpleConvNet)(num_classes, weight_init)


def keras_convnet(num_classes: int = 10) -> Sequential:
    """Return the small network of many Keras courses: 38,186 parameters.

    Conv 32@4x4, ReLU, pool 3, conv 64@4x4, ReLU, pool 3, 64, ReLU, and the classes.  Initialised as Keras does: weights from
    U(-a, a), a = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010), biases 0.
    """
    model = Sequential(
        Conv2d(1, 32, 4), ReLU(), MaxPool2d(3),
        Conv2d(32, 64, 4), ReLU(), MaxPool2d(3),
        Flatten(), Linear(64, 64), ReLU(), Linear(64, num_classes),
    )  # fmt: skip
    for parameter in model.parameters():
        init.xavier_uniform_(parameter) if parameter.ndim > 1 else init.zeros_(parameter)
    return model
