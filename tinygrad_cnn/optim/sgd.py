"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..tensor import Tensor
from .optimizer import Optimizer, options


class SGD(Optimizer):
    """g = grad + weight_decay * p;  v = momentum * v + (1 - dampening) * g;  p -= lr * v.

    The first v is g.  With nesterov p -= lr * (g + momentum * v).
    """

    def __init__(
        self, params: Iterable[Any], lr: float | Tensor = 1e-3, momentum: float = 0, dampening: float = 0,
        weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False, foreach: bool | None = None,
        differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals()))

    def check(self, group: dict[str, Any]) -> None:
        """Raise ValueError for hyperparameters that make no sense."""
        super().check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("SGD: nesterov needs a momentum and no dampening")

    def step_group(self, backend: Any, group: dict[str, Any], params: list[Tensor]) -> None:
        """Change parameters of one group that have a gradient."""
        momentum = group["momentum"]
        started, momenta = [False] * len(params), [None] * len(params)
        for i, p in enumerate(params if momentum else ()):
            state = self.state[p]
            buffer = state.get("momentum_buffer")
            if buffer is None:
                buffer = state["momentum_buffer"] = p.new_empty(p.shape)
            else:
                started[i] = True
            momenta[i] = buffer._array
        lr = backend.host_numbers(lambda _: float(group["lr"]))
        backend.sgd(
            [p._array for p in params], [p._grad._array for p in params], momenta, started, lr, momentum,
            group["dampening"], group["weight_decay"], group["nesterov"], group["maximize"],
        )  # fmt: skip
