"""Whole training steps: zero_grad, forward, cross-entropy, backward, optimiser.

Batches repeat and rates are small, so that numbers stay of ordinary size however often a step runs.  PyTorch's optimisers
are its fused ones, the fastest it has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..frameworks import Framework
from .workload import Workload, normal


class Net(NamedTuple):
    """A network: its name in tinygrad_cnn.models, input and classes; multiplications an image, and those of its first layer.

    Dropout is off: the sides would draw different masks, and its share of an AlexNet step is below 1 %.
    """

    name: str
    image: tuple[int, int, int]
    classes: int
    products: int
    first: int
    options: tuple[tuple[str, Any], ...] = ()

    def step_flops(self, batch: int) -> int:
        """Count a training step: forward, input gradients (but the image's) and weight gradients."""
        return 2 * batch * (3 * self.products - self.first)


LENET5 = Net("lenet5", (1, 28, 28), 10, 416_520, 117_600)
RESNET20 = Net("resnet20", (3, 32, 32), 10, 40_551_040, 442_368)
ALEXNET = Net("alexnet", (3, 224, 224), 1000, 714_188_480, 70_276_800, (("dropout", 0.0),))
RESNET18 = Net("resnet18", (3, 224, 224), 1000, 1_814_073_344, 118_013_952)
NETS = [LENET5, RESNET20, ALEXNET, RESNET18]

OPTIMISERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 1e-3, "momentum": 0.9, "fused": True},
    "Adam": {"lr": 1e-4, "fused": True},
}


def _workload(net: Net, batch: int, optimiser: str = "SGD", slow: bool = False) -> Workload:
    def build(fw: Framework, random: np.random.Generator) -> Callable[[], Any]:
        model = fw.model(net.name, **dict(net.options))
        optim = getattr(fw.optim, optimiser)(model.parameters(), **OPTIMISERS[optimiser])
        x = fw.tensor(normal(random, batch, *net.image))
        target = fw.tensor(random.integers(0, net.classes, batch))

        def run() -> Any:
            optim.zero_grad()
            loss = fw.F.cross_entropy(model(x), target)
            loss.backward()
            optim.step()
            return loss, model

        return run

    name = f"{net.name} training step, batch {batch}, {optimiser}"
    family = f"{net.name} step"
    flops = net.step_flops(batch)
    return Workload(name, family, build, flops, formats=True, tolerance=1e-4, network=True, slow=slow)


WORKLOADS = [
    _workload(LENET5, 1),
    _workload(LENET5, 64),
    _workload(LENET5, 64, "Adam"),
    _workload(LENET5, 256),
    _workload(RESNET20, 128, slow=True),
    _workload(ALEXNET, 16, slow=True),
    _workload(RESNET18, 8, slow=True),
]
