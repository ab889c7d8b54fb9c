"""Activations and dropout as layers."""

from __future__ import annotations

from typing import Any

from ..creation import full
from ..geometry import wrap_dim
from ..ops import activation, dropout, elementwise, reduce
from ..tensor import Tensor
from .layer import Layer
from .module import Module
from .parameter import Parameter


class ReLU(Layer, function=elementwise.relu):
    """max(x, 0)."""

    inplace: bool = False

    def forward(self, input: Tensor) -> Tensor:
        """Apply."""
        return elementwise.relu(input, self.inplace)


class LeakyReLU(Layer, function=elementwise.leaky_relu):
    """x where positive, negative_slope * x elsewhere."""

    negative_slope: float = 0.01
    inplace: bool = False


class RReLU(Layer, function=activation.rrelu):
    """x where positive, elsewhere times a slope from [lower, upper], which is random in training."""

    lower: float = 1.0 / 8
    upper: float = 1.0 / 3
    inplace: bool = False

    def forward(self, input: Tensor) -> Tensor:
        """Apply."""
        return activation.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class PReLU(Module):
    """x where positive, elsewhere times a trained weight: one, or one for each channel.  He et al., 2015."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(full((num_parameters,), float(init), device=device, dtype=dtype))

    def forward(self, input: Tensor) -> Tensor:
        """Apply."""
        return activation.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """Show the number of weights."""
        return f"num_parameters={self.num_parameters}"


class ELU(Layer, function=activation.elu):
    """x where positive, alpha * (e ** x - 1) elsewhere."""

    alpha: float = 1.0
    inplace: bool = False


class CELU(Layer, function=activation.celu):
    """x where positive, alpha * (e ** (x / alpha) - 1) elsewhere."""

    alpha: float = 1.0
    inplace: bool = False


class SELU(Layer, function=activation.selu):
    """Scaled ELU that keeps mean 0 and variance 1."""

    inplace: bool = False


class GELU(Layer, function=activation.gelu):
    """x times the normal distribution function of x; approximate='tanh' computes it roughly."""

    approximate: str = "none"

    def extra_repr(self) -> str:
        """Show the approximation."""
        return f"approximate={self.approximate!r}"


class SiLU(Layer, function=activation.silu):
    """x * sigmoid(x)."""

    inplace: bool = False


class Mish(Layer, function=activation.mish):
    """x * tanh(softplus(x))."""

    inplace: bool = False


class Hardtanh(Layer, function=activation.hardtanh):
    """x limited to [min_val, max_val]."""

    min_val: float = -1.0
    max_val: float = 1.0
    inplace: bool = False

    def __post_init__(self) -> None:
        """Check the limits."""
        if self.min_val >= self.max_val:
            raise AssertionError(
                f"Hardtanh: min_val must be smaller than max_val, got {self.min_val} and {self.max_val}"
            )


class ReLU6(Hardtanh):
    """min(max(x, 0), 6)."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        """Show whether it works in place."""
        return "inplace=True" if self.inplace else ""


class Hardsigmoid(Layer, function=activation.hardsigmoid):
    """x / 6 + 1/2, limited to [0, 1]."""

    inplace: bool = False
    shown = ()


class Hardswish(Layer, function=activation.hardswish):
    """x * hardsigmoid(x)."""

    inplace: bool = False
    shown = ()


class Threshold(Layer, function=activation.threshold):
    """x where it is larger than threshold, value elsewhere."""

    threshold: float
    value: float
    inplace: bool = False


class Softplus(Layer, function=activation.softplus):
    """ln(1 + e ** (beta * x)) / beta; x where beta * x is larger than threshold."""

    beta: float = 1.0
    threshold: float = 20.0


class _Shrink(Layer):
    lambd: float = 0.5

    def extra_repr(self) -> str:
        """Show lambd."""
        return str(self.lambd)


class Softshrink(_Shrink, function=activation.softshrink):
    """x moved by lambd towards 0, which it does not pass."""


class Hardshrink(_Shrink, function=activation.hardshrink):
    """x where it is beyond -lambd or lambd, 0 elsewhere."""


class Sigmoid(Layer, function=elementwise.sigmoid):
    """1 / (1 + e ** -x)."""


class LogSigmoid(Layer, function=activation.logsigmoid):
    """ln(1 / (1 + e ** -x))."""


class Tanh(Layer, function=elementwise.tanh):
    """Hyperbolic tangent."""


class Tanhshrink(Layer, function=activation.tanhshrink):
    """x - tanh(x)."""


class Softsign(Layer, function=activation.softsign):
    """x / (1 + |x|)."""


class GLU(Layer, function=activation.glu):
    """The first half of an axis times the sigmoid of the second."""

    dim: int = -1


class Softmax(Layer, function=activation.softmax):
    """e ** x / sum(e ** x) along `dim`."""

    dim: int | None = None


class LogSoftmax(Layer, function=activation.log_softmax):
    """The logarithm of softmax along `dim`."""

    dim: int | None = None


class Softmin(Layer, function=activation.softmin):
    """softmax(-x) along `dim`."""

    dim: int | None = None


class Softmax2d(Layer):
    """Softmax over the channels of images (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply."""
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected (N, C, H, W) or (C, H, W), got shape {tuple(input.shape)}")
        return reduce.softmax(input, wrap_dim("Softmax2d", -3, input.ndim))


class _DropoutNd(Layer):
    p: float = 0.5
    inplace: bool = False

    def __post_init__(self) -> None:
        """Check the probability."""
        if not 0 <= self.p <= 1:
            raise ValueError(f"{self._get_name()}: p must be a probability between 0 and 1, got {self.p}")

    def forward(self, input: Tensor) -> Tensor:
        """Apply."""
        return self.function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """Show the arguments."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd, function=dropout.dropout):
    """Set elements to 0 with probability p and scale the others, in training; see functional.dropout."""


class Dropout1d(_DropoutNd, function=dropout.dropout1d):
    """Set whole channels (N, C, L) to 0 with probability p and scale the others, in training."""


class Dropout2d(_DropoutNd, function=dropout.dropout2d):
    """Set whole feature maps (N, C, H, W) to 0 with probability p and scale the others, in training."""


class Dropout3d(_DropoutNd, function=dropout.dropout3d):
    """Set whole feature volumes (N, C, D, H, W) to 0 with probability p and scale the others, in training."""


class AlphaDropout(_DropoutNd, function=dropout.alpha_dropout):
    """Dropout for SELU, which keeps mean and variance; see functional.alpha_dropout."""


class FeatureAlphaDropout(_DropoutNd, function=dropout.feature_alpha_dropout):
    """Alpha dropout of whole channels."""
