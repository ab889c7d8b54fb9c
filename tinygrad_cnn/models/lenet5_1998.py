"""LeNet-5 as it was in 1998, with its layers and its loss.

LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition", Proceedings of the IEEE 86(11),
1998, section II.  `optim.SDLM` is the paper's optimiser.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..autograd import no_grad
from ..creation import empty, tensor
from ..geometry import Pair, pair
from ..nn import Conv2d, Flatten, Linear, Module, Parameter, Sequential
from ..nn import functional as F
from ..tensor import Tensor

PAPER, INK = (
    -0.1,
    1.175,
)  # the values of white and black pixels, which make an image's mean about 0, its variance about 1

C3_TABLE = [  # the maps of S2 that each of the 16 maps of C3 sees: table I
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
]  # fmt: skip

DIGITS = """
..###.. ...##.. .#####. .#####. ....##. ####### ..####. ####### .#####. .#####.
.#####. ..###.. ####### ####### ...###. ####### .#####. ####### ####### #######
##...## .####.. ##...## ##...## ..####. ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## .....## .##.##. ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## .....## .##.##. ######. ##..... ....##. ##...## ##...##
##...## ...##.. ....##. ..####. ##..##. ####### ######. ....##. .#####. #######
##...## ...##.. ...##.. ..####. ##..##. .....## ####### ...##.. .#####. .######
##...## ...##.. ..##... .....## ####### .....## ##...## ...##.. ##...## .....##
##...## ...##.. .##.... .....## ####### .....## ##...## ..##... ##...## .....##
##...## ...##.. ##..... ##...## ....##. ##...## ##...## ..##... ##...## .....##
.#####. .###### ####### ####### ....##. ####### ####### .##.... ####### .#####.
..###.. .###### ####### .#####. ....##. .#####. .#####. .##.... .#####. .####..
"""


def digit_codes() -> Tensor:
    """Return the drawings of the ten digits, 12 rows of 7 pixels each, as codes (10, 84): ink is 1, paper -1."""
    rows = [line.split() for line in DIGITS.split("\n") if line]
    return tensor([[1.0 if pixel == "#" else -1.0 for row in rows for pixel in row[digit]] for digit in range(10)])


@no_grad()
def _draw(parameter: Tensor, fan_in: int | Tensor, power: float) -> None:
    """Draw initial values from U(-a, a), a = 2.4 / fan_in ** power, for units of fan_in inputs."""
    parameter.uniform_(-2.4, 2.4).div_(fan_in**power)


class ScaledTanh(Module):
    """1.7159 * tanh(2 / 3 * x): it maps 1 to 1 and -1 to -1, where its curvature is largest (appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        """Squash."""
        return (x * (2 / 3)).tanh() * 1.7159


class Subsampling(Module):
    """Add up windows of (N, C, H, W) that do not overlap, multiply by one coefficient and add one bias for each map."""

    def __init__(self, channels: int, kernel_size: Pair = 2) -> None:
        super().__init__()
        self.kernel_size = self.stride = pair("Subsampling", "kernel_size", kernel_size, 1)
        self.weight = Parameter(empty(channels, 1, 1, 1))
        self.bias = Parameter(empty(channels))
        self.reset_parameters()

    def reset_parameters(self, power: float = 1.0) -> None:
        """Draw coefficients and biases from U(-a, a), a = 2.4 / fan_in ** power."""
        for parameter in (self.weight, self.bias):
            _draw(parameter, math.prod(self.kernel_size), power)

    def forward(self, x: Tensor) -> Tensor:
        """Subsample."""
        sums = F.avg_pool2d(x, self.kernel_size, divisor_override=1)
        return F.conv2d(
            sums, self.weight, self.bias, groups=len(self.weight)
        )  # coefficients are kernels of one element

    def work(self, output_shape: tuple[int, ...]) -> tuple[int, int]:
        """Return the multiply-adds and the connections, for utils.summary."""
        units = math.prod(output_shape)
        return units, units * (math.prod(self.kernel_size) + 1)

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"{self.weight.shape[0]}, kernel_size={self.kernel_size}"


class TableConv2d(Module):
    """A convolution each of whose output maps sees only some input maps: `table[o]` names those of output map o.

    The weights (links, KH, KW) are one kernel for each link, in the order of the table.
    """

    places: Tensor

    def __init__(self, in_channels: int, table: Sequence[Sequence[int]], kernel_size: Pair) -> None:
        super().__init__()
        if any(not 0 <= c < in_channels or len(set(seen)) < len(seen) for seen in table for c in seen):
            raise ValueError(f"TableConv2d: each row must name maps from 0 to {in_channels - 1} once, got {table}")
        self.in_channels, self.table = in_channels, table
        self.kernel_size = pair("TableConv2d", "kernel_size", kernel_size, 1)
        places = [o * in_channels + c for o, seen in enumerate(table) for c in seen]
        self.register_buffer("places", tensor(places), persistent=False)  # of links among all pairs of maps
        self.weight = Parameter(empty(len(places), *self.kernel_size))
        self.bias = Parameter(empty(len(table)))
        self.reset_parameters()

    def reset_parameters(self, power: float = 1.0) -> None:
        """Draw kernels and biases from U(-a, a), a = 2.4 / fan_in ** power, with the fan-in of each output map."""
        fan_in = tensor([len(seen) * math.prod(self.kernel_size) for seen in self.table])
        _draw(self.bias, fan_in, power)
        _draw(self.weight, fan_in[self.places // self.in_channels].reshape(-1, 1, 1), power)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with kernels that are zero where there is no link."""
        complete = self.weight.new_zeros(len(self.table) * self.in_channels, *self.kernel_size)
        kernels = complete.index_copy(0, self.places, self.weight)
        return F.conv2d(x, kernels.reshape(-1, self.in_channels, *self.kernel_size), self.bias)

    def work(self, output_shape: tuple[int, ...]) -> tuple[int, int]:
        """Return the multiply-adds of the links and the connections, for utils.summary."""
        products = output_shape[0] * math.prod(output_shape[2:]) * self.weight.numel()
        return products, products + math.prod(output_shape)

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"{self.in_channels}, {len(self.table)}, kernel_size={self.kernel_size}, links={self.places.numel()}"


class RBF(Module):
    """Euclidean radial basis functions: the squared distances of vectors (N, D) from fixed codes (K, D), (N, K)."""

    codes: Tensor

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the distances."""
        return (x.unsqueeze(1) - self.codes).square().sum(2)

    def work(self, output_shape: tuple[int, ...]) -> tuple[int, int]:
        """Return the multiply-adds and the connections, for utils.summary."""
        return (output_shape[0] * self.codes.numel(),) * 2


def map_loss(scores: Tensor, target: Tensor, j: float = 1.0, reduction: str = "mean") -> Tensor:
    """Return the loss of equation 9, -score[target] + log(e^-j + sum(e^scores)), for classes target (N,).

    scores (N, K) are minus the distances of RBF units.  The constant, a class that is never right, keeps distances that are
    large already from being driven further up.
    """
    return F.cross_entropy(F.pad(scores, (0, 1), value=-j), target, reduction=reduction)


class LeNet5_1998(Module):
    """LeNet-5 of the paper, for digits (N, 1, 32, 32) between PAPER and INK -> scores (N, 10): 60,000 parameters.

    `features` are the layers up to F6, 84 units that learn to draw the digit in 12 rows of 7 pixels; a score is minus the
    distance from the drawing of a digit, so the largest is the answer.  Parameters are drawn from U(-a, a) with
    a = 2.4 / fan_in ** power: the paper prints 2.4 / fan_in, from which training collapses here; power=0.5 is the rule of
    LeCun, Bottou, Orr and Mueller, "Efficient BackProp", 1998.
    """

    def __init__(self, power: float = 1.0) -> None:
        super().__init__()
        self.features = Sequential({
            "c1": Conv2d(1, 6, 5), "c1_squash": ScaledTanh(),
            "s2": Subsampling(6), "s2_squash": ScaledTanh(),
            "c3": TableConv2d(6, C3_TABLE, 5), "c3_squash": ScaledTanh(),
            "s4": Subsampling(16), "s4_squash": ScaledTanh(),
            "flatten": Flatten(), "c5": Linear(16 * 5 * 5, 120), "c5_squash": ScaledTanh(),  # kernels as large as the maps
            "f6": Linear(120, 84), "f6_squash": ScaledTanh(),
        })  # fmt: skip
        self.output = RBF(digit_codes())
        for layer in self.features:
            if isinstance(layer, (Subsampling, TableConv2d)):
                layer.reset_parameters(power)
            elif isinstance(layer, (Conv2d, Linear)):
                _draw(layer.weight, layer.weight[0].numel(), power)
                _draw(layer.bias, layer.weight[0].numel(), power)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores."""
        return -self.output(self.features(x))


def lenet5_1998(power: float = 1.0) -> LeNet5_1998:
    """Return LeNet-5 of 1998; `power` is that of the fan-in in the range of the initial weights."""
    return LeNet5_1998(power)
