"""What an operation costs beside its kernel: a chain of 1,000 on 8 elements each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..frameworks import Framework
from .workload import Workload, backward

LINKS = 250  # of four operations


def _build(fw: Framework, random: np.random.Generator) -> Callable[[], Any]:
    # All numbers stay positive and near 1, so that relu passes them on and nothing overflows.
    inputs = [fw.tensor(random.uniform(0.99, 1.01, 8).astype(np.float32), requires_grad=True) for _ in range(3)]
    x, scale, shift = inputs
    dy = fw.tensor(random.standard_normal(8, dtype=np.float32))
    relu = fw.F.relu

    def run() -> Any:
        y = x
        for _ in range(LINKS):
            y = relu(y + shift) * scale - shift
        return backward(y, inputs, dy)

    return run


WORKLOADS = [Workload("chain of 1,000 tiny ops fwd+bwd, per op", "chain", _build, operations=4 * LINKS)]
