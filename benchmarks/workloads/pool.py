"""Max and average pooling: forward, and forward with the gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..frameworks import Framework
from .workload import Workload, backward, floats, normal

Shape = tuple[int, int, int, int]

MAX = [  # input, kernel, stride, padding
    ((64, 6, 28, 28), 2, 2, 0),  # LeNet-5
    ((64, 16, 10, 10), 2, 2, 0),
    ((16, 64, 55, 55), 3, 2, 0),  # AlexNet
    ((16, 192, 27, 27), 3, 2, 0),
    ((16, 256, 13, 13), 3, 2, 0),
    ((8, 64, 112, 112), 3, 2, 1),  # ResNet-18
    ((32, 64, 32, 32), 2, 2, 0),
    ((8, 64, 112, 112), 2, 2, 0),
]
AVERAGE = [
    ((64, 6, 28, 28), 2, 2, 0),  # LeNet-5 of the textbooks
    ((64, 16, 10, 10), 2, 2, 0),
    ((8, 64, 112, 112), 2, 2, 0),
    ((8, 64, 112, 112), 3, 2, 1),
    ((8, 512, 7, 7), 7, 7, 0),  # ResNet-18, over the whole image
    ((128, 64, 8, 8), 8, 8, 0),  # ResNet-20
]


def _output(shape: Shape, kernel: int, stride: int, padding: int) -> Shape:
    n, c, h, w = shape
    return n, c, (h + 2 * padding - kernel) // stride + 1, (w + 2 * padding - kernel) // stride + 1


def _workload(op: str, shape: Shape, kernel: int, stride: int, padding: int, gradient: bool) -> Workload:
    output = _output(shape, kernel, stride, padding)

    def build(fw: Framework, random: np.random.Generator) -> Callable[[], Any]:
        pool = getattr(fw.F, op)
        x = fw.tensor(normal(random, *shape), requires_grad=gradient)
        if not gradient:
            return lambda: pool(x, kernel, stride, padding)
        dy = fw.tensor(normal(random, *output))
        return lambda: backward(pool(x, kernel, stride, padding), [x], dy)

    which = "fwd+bwd" if gradient else "forward"
    n, c, h, _ = shape
    extra = f" p{padding}" if padding else ""
    name = f"{op} {which} {kernel}x{kernel} s{stride}{extra} {c}@{h} N{n}"
    return Workload(name, f"{op} {which}", build, bytes=(1 + gradient) * floats(shape, output), formats=True)


WORKLOADS = [
    _workload(op, *case, gradient)
    for op, cases in (("max_pool2d", MAX), ("avg_pool2d", AVERAGE))
    for case in cases
    for gradient in (False, True)
]
