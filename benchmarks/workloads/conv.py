"""conv2d: forward, input gradient and weight gradient, each on its own.

Nothing requires a gradient here, so neither side records a graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..frameworks import Framework
from .workload import Workload, floats, normal

PASSES = ("forward", "input grad", "weight grad")


class Layer(NamedTuple):
    """A convolution with a square kernel, of `batch` square images."""

    kernel: int
    inputs: int
    outputs: int
    size: int
    batch: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    def __str__(self) -> str:
        marks = [("s", self.stride), ("d", self.dilation), ("g", self.groups)]
        extra = "".join(f" {letter}{value}" for letter, value in marks if value > 1)
        return f"{self.kernel}x{self.kernel} {self.inputs}>{self.outputs} @{self.size}{extra} N{self.batch}"

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """The shapes of x, w and y."""
        k, n = self.kernel, self.batch
        out = (self.size + 2 * self.padding - self.dilation * (k - 1) - 1) // self.stride + 1
        w = (self.outputs, self.inputs // self.groups, k, k)
        return (n, self.inputs, self.size, self.size), w, (n, self.outputs, out, out)

    @property
    def flops(self) -> int:
        """Multiplications and additions of direct convolution, the same for all three passes."""
        (_, channels, kh, kw), (n, o, oh, ow) = self.shapes[1:]
        return 2 * n * o * oh * ow * channels * kh * kw


STRIDE_1 = [  # 3x3, stride 1
    Layer(3, 64, 64, 56, 8, padding=1),  # ResNet-18
    Layer(3, 128, 128, 28, 8, padding=1),
    Layer(3, 256, 256, 14, 8, padding=1),
    Layer(3, 16, 16, 32, 128, padding=1),  # ResNet-20
    Layer(3, 32, 32, 16, 128, padding=1),
    Layer(3, 64, 64, 8, 128, padding=1),
]
OTHER = [
    Layer(5, 1, 6, 28, 64, padding=2),  # LeNet-5
    Layer(5, 6, 16, 14, 64),
    Layer(11, 3, 64, 224, 16, stride=4, padding=2),  # AlexNet
    Layer(5, 64, 192, 27, 16, padding=2),
    Layer(5, 96, 256, 27, 16, padding=2, groups=2),  # in two towers, as in 2012
    Layer(3, 192, 384, 13, 16, padding=1),
    Layer(3, 384, 256, 13, 16, padding=1),
    Layer(7, 3, 64, 224, 8, stride=2, padding=3),  # ResNet-18
    Layer(3, 512, 512, 7, 8, padding=1),
    Layer(3, 64, 128, 56, 8, stride=2, padding=1),
    Layer(3, 256, 512, 14, 8, stride=2, padding=1),
    Layer(1, 64, 128, 56, 8, stride=2),
    Layer(3, 3, 16, 32, 128, padding=1),  # ResNet-20
    Layer(3, 16, 32, 32, 128, stride=2, padding=1),
    Layer(3, 32, 64, 16, 128, stride=2, padding=1),
    Layer(1, 64, 256, 56, 8),  # bottlenecks
    Layer(1, 1024, 256, 14, 8),
    Layer(3, 128, 128, 28, 8, padding=1, groups=128),  # depthwise
    Layer(3, 128, 128, 28, 8, padding=2, dilation=2),
]


LAYERS = STRIDE_1 + OTHER


def workload(layer: Layer, which: str, family: str = "conv2d") -> Workload:
    """Return one of the PASSES of a layer."""
    args = (layer.stride, layer.padding, layer.dilation, layer.groups)

    def build(fw: Framework, random: np.random.Generator) -> Callable[[], Any]:
        x, w, dy = [fw.tensor(normal(random, *shape)) for shape in layer.shapes]
        if which == "forward":
            return lambda: fw.F.conv2d(x, w, None, *args)
        wanted = which.removesuffix(" grad")
        return lambda: fw.conv2d_grads(wanted, x, w, dy, args)

    return Workload(f"conv2d {which} {layer}", family, build, layer.flops, floats(*layer.shapes), formats=True)


WORKLOADS = [
    workload(layer, which, f"conv2d {kind} {which}")
    for kind, layers in (("3x3 s1", STRIDE_1), ("other", OTHER))
    for layer in layers
    for which in PASSES
]
