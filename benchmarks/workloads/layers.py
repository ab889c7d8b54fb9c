"""Layers without a matrix product: forward with all gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..frameworks import Framework
from .workload import Workload, backward, floats, forward_backward, normal

IMAGES = [(8, 64, 56, 56), (8, 512, 7, 7), (128, 16, 32, 32), (128, 64, 8, 8)]
RESPONSES = [(16, 64, 55, 55), (16, 192, 27, 27)]  # AlexNet
ACTIVATIONS = [(64, 6, 28, 28), (8, 64, 56, 56), (128, 16, 32, 32)]
LOGITS = [(64, 10), (128, 1000), (4096, 10)]


def _batch_norm(F: Any, x: Any, weight: Any, bias: Any) -> Any:
    return F.batch_norm(x, None, None, weight, bias, training=True)


SMOOTH = {
    "gelu": lambda F, x: F.gelu(x),
    "elu": lambda F, x: F.elu(x),
    "hardswish": lambda F, x: F.hardswish(x),
    "hardtanh": lambda F, x: F.hardtanh(x),
}


def _indexed(shape: tuple[int, ...]) -> Workload:
    """Rows picked by an array, whose gradient adds up what was picked several times."""

    def build(fw: Framework, random: np.random.Generator) -> Callable[[], Any]:
        x = fw.tensor(normal(random, *shape), requires_grad=True)
        dy = fw.tensor(normal(random, *shape))
        index = fw.tensor(random.integers(0, shape[0], shape[0]))
        return lambda: backward(x[index], [x], dy)

    return Workload(f"index fwd+bwd {_label(shape)}", "layers fwd+bwd", build, bytes=4 * floats(shape))


def _grid_sample(shape: tuple[int, ...]) -> Workload:
    def build(fw: Framework, random: np.random.Generator) -> Callable[[], Any]:
        x = fw.tensor(normal(random, *shape), requires_grad=True)
        places = random.uniform(-1.1, 1.1, (shape[0], *shape[2:], 2)).astype(np.float32)
        grid, dy = fw.tensor(places, requires_grad=True), fw.tensor(normal(random, *shape))
        return lambda: backward(fw.F.grid_sample(x, grid, align_corners=False), [x, grid], dy)

    return Workload(
        f"grid_sample fwd+bwd {_label(shape)}", "layers fwd+bwd", build, bytes=4 * floats(shape), tolerance=1e-4
    )


def _label(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}@{shape[2]} N{shape[0]}" if len(shape) == 4 else f"{shape[0]}x{shape[1]}"


def _cross_entropy(rows: int, classes: int) -> Workload:
    def build(fw: Framework, random: np.random.Generator) -> Callable[[], Any]:
        x = fw.tensor(normal(random, rows, classes), requires_grad=True)
        target = fw.tensor(random.integers(0, classes, rows))
        return lambda: backward(fw.F.cross_entropy(x, target), [x])

    name = f"cross_entropy fwd+bwd {rows}x{classes}"
    return Workload(name, "layers fwd+bwd", build, bytes=2 * floats((rows, classes)))


WORKLOADS = [
    *(
        forward_backward(
            f"batch_norm fwd+bwd {_label(s)}", "layers fwd+bwd", _batch_norm, s, s[1:2], s[1:2], formats=True
        )
        for s in IMAGES
    ),
    *(forward_backward(f"relu fwd+bwd {_label(s)}", "layers fwd+bwd", lambda F, x: F.relu(x), s) for s in ACTIVATIONS),
    *(
        forward_backward(f"{name} fwd+bwd {_label(s)}", "layers fwd+bwd", function, s)
        for name, function in SMOOTH.items()
        for s in ACTIVATIONS[1:2]
    ),
    *(_indexed(s) for s in ACTIVATIONS[1:]),
    *(_grid_sample(s) for s in ACTIVATIONS[1:]),
    *(
        forward_backward(
            f"local_response_norm fwd+bwd {_label(s)}",
            "layers fwd+bwd",
            lambda F, x: F.local_response_norm(x, 5),
            s,
            formats=True,
        )
        for s in RESPONSES
    ),
    *(_cross_entropy(*s) for s in LOGITS),
    *(
        forward_backward(f"log_softmax fwd+bwd {_label(s)}", "layers fwd+bwd", lambda F, x: F.log_softmax(x, 1), s)
        for s in LOGITS
    ),
]
