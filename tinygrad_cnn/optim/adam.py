"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..tensor import Tensor
from .optimizer import Optimizer, options


class Adam(Optimizer):
    """m = b1 * m + (1 - b1) * g;  v = b2 * v + (1 - b2) * g ** 2;  p -= lr * m' / (sqrt(v') + eps).

    m' and v' are divided by 1 - b ** step; with amsgrad v' is the largest so far.  Kingma and Ba, 2015.
    """

    decoupled = False

    def __init__(
        self, params: Iterable[Any], lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0,
        amsgrad: bool = False, *, maximize: bool = False, foreach: bool | None = None, capturable: bool = False,
        differentiable: bool = False, fused: bool | None = None, decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        betas = tuple(float(beta) if isinstance(beta, Tensor) else beta for beta in betas)  # type: ignore[assignment]
        super().__init__(params, options(locals()))

    def step_group(self, backend: Any, group: dict[str, Any], params: list[Tensor]) -> None:
        """Change parameters of one group that have a gradient."""
        states = [self.state[p] for p in params]
        names = ["exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if group["amsgrad"] else [])]
        for p, state in zip(params, states):
            for name in names:
                if name not in state:
                    state[name] = p.new_zeros(p.shape)
        moments = [[state[name]._array for state in states] for name in names]

        def advance(by: int) -> tuple[list[int], float]:
            for state in states:
                state["step"] = state.get("step", 0) + by
            return [state["step"] for state in states], float(group["lr"])

        peaks = moments[2] if group["amsgrad"] else [None] * len(params)
        backend.adam(
            [p._array for p in params], [p._grad._array for p in params], moments[0], moments[1], peaks,
            *backend.host_numbers(advance), *group["betas"], group["eps"],
            group["weight_decay"], self.decoupled or group["decoupled_weight_decay"], group["maximize"],
        )  # fmt: skip


class AdamW(Adam):
    """Adam with decoupled weight decay, p -= lr * weight_decay * p.  Loshchilov and Hutter, 2019."""

    decoupled = True

    def __init__(
        self, params: Iterable[Any], lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 1e-2,
        amsgrad: bool = False, *, maximize: bool = False, foreach: bool | None = None, capturable: bool = False,
        differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, **options(locals()), decoupled_weight_decay=True)
