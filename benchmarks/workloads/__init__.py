"""The workloads, by family: the table of contents.

steps    whole training steps of LeNet-5, ResNet-20, AlexNet and ResNet-18
conv     conv2d forward, input gradient and weight gradient
pool     max and average pooling
matmul   matrix products
layers   batch and local response normalisation, activations, indexing, grid_sample, cross-entropy, log_softmax
chain    a chain of 1,000 tiny operations
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from . import chain, conv, layers, matmul, pool, steps
from .workload import Workload

WORKLOADS: list[Workload] = [w for family in (steps, conv, pool, matmul, layers, chain) for w in family.WORKLOADS]


def select(patterns: list[str], slow: bool) -> list[Workload]:
    """Return the workloads whose name contains one of the patterns (`*` stands for anything), or all (slow ones: if asked)."""
    if patterns:
        wanted = [f"*{pattern.lower()}*" for pattern in patterns]
        return [w for w in WORKLOADS if any(fnmatchcase(w.name.lower(), pattern) for pattern in wanted)]
    return [w for w in WORKLOADS if slow or not w.slow]


__all__ = ["WORKLOADS", "Workload", "select"]
