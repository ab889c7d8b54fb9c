"""Matrix products: square ones, and the skinny ones of linear layers, also with the second matrix transposed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..frameworks import Framework
from .workload import Workload, floats, normal

SQUARE = [512, 1024, 2048]
SKINNY = [  # rows, inner size, columns
    (64, 400, 120),  # LeNet-5
    (16, 9216, 4096),  # AlexNet
    (128, 9216, 4096),
]


def _workload(m: int, k: int, n: int, transposed: bool, family: str) -> Workload:
    def build(fw: Framework, random: np.random.Generator) -> Callable[[], Any]:
        x = fw.tensor(normal(random, m, k))
        w = fw.tensor(normal(random, n, k) if transposed else normal(random, k, n))
        if transposed:
            return lambda: fw.F.linear(x, w)
        return lambda: x @ w

    name = f"matmul {m}x{k}x{n}" + (" (x W^T)" if transposed else "")
    return Workload(name, family, build, 2 * m * k * n, floats((m, k), (k, n), (m, n)))


WORKLOADS = [_workload(size, size, size, False, "matmul square") for size in SQUARE] + [
    _workload(*sizes, transposed, "matmul skinny") for sizes in SKINNY for transposed in (False, True)
]
