"""What several networks share: convolutions, AlexNet's normalisation, initial weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..nn import Conv2d, Linear, LocalResponseNorm, Module, init

he = partial(init.kaiming_normal_, mode="fan_out", nonlinearity="relu")  # N(0, 2 / fan_out)
# Of the paper of 2012: alpha is multiplied with the sum of squares, not with their mean.
lrn_2012 = partial(LocalResponseNorm, 5, alpha=1e-4, beta=0.75, k=2.0, alpha_mode="sum")


def conv(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> Conv2d:
    """Return a convolution without bias that keeps the size of images up to the stride."""
    padding = dilation * (size // 2)
    return Conv2d(inputs, outputs, size, stride, padding, dilation=dilation, groups=groups, bias=False)


def initialise(
    model: Module, conv: Callable[..., Any], linear: Callable[..., Any] | None = None, bias: float | None = 0.0
) -> None:
    """Fill the weights of convolutions, and of linear layers, by functions, and their biases with a number."""
    for module in model.modules():
        fill = conv if isinstance(module, Conv2d) else linear if isinstance(module, Linear) else None
        if fill is not None and isinstance(module, (Conv2d, Linear)):
            fill(module.weight)
            if module.bias is not None and bias is not None:
                init.constant_(module.bias, bias)
