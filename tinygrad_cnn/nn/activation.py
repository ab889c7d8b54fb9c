"""Activations and dropout as layers."""

from __future__ import annotations

from ..ops import dropout as dropouts
from ..ops import elementwise, reduce
from ..tensor import Tensor
from .module import Module


class ReLU(Module):
    """max(x, 0)."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Apply."""
        return elementwise.relu(input, self.inplace)

    def extra_repr(self) -> str:
        """Show inplace if it is set."""
        return "inplace=True" if self.inplace else ""


class LeakyReLU(Module):
    """x where positive, negative_slope * x elsewhere."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Apply."""
        return elementwise.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        """Show the slope."""
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class Sigmoid(Module):
    """1 / (1 + e ** -x)."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply."""
        return elementwise.sigmoid(input)


class Tanh(Module):
    """Hyperbolic tangent."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply."""
        return elementwise.tanh(input)


class Softmax(Module):
    """e ** x / sum(e ** x) along `dim`."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Apply."""
        return reduce.softmax(input, self.dim)

    def extra_repr(self) -> str:
        """Show the axis."""
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """The logarithm of softmax along `dim`."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply."""
        return reduce.log_softmax(input, self.dim)


class Dropout(Module):
    """Set elements to 0 with probability p and scale the others, in training; see functional.dropout."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p must be a probability between 0 and 1, got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Apply."""
        return dropouts.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """Show the arguments."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout2d(Dropout):
    """Set whole feature maps to 0 with probability p and scale the others, in training."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply."""
        return dropouts.dropout2d(input, self.p, self.training, self.inplace)
