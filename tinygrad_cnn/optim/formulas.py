"""Optimisers written as a formula on tensors: those that are used less than SGD and Adam, which have kernels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ops.elementwise import maximum, where
from ..tensor import Tensor
from .optimizer import Optimizer, options

State = dict[str, Any]
Group = dict[str, Any]
Betas = tuple[float, float]


class ByFormula(Optimizer):
    """An optimiser that steps one parameter after the other: `_start` makes its state, `_update` changes both in place.

    g is the gradient, with the sign of `maximize` and with weight decay, unless that is decoupled; `step` is counted before.
    """

    names: tuple[str, ...] = ()  # of the states that start as zeros

    def _start(self, p: Tensor, group: Group) -> State:
        return {"step": 0, **{name: p.new_zeros(p.shape) for name in self.names}}

    def _update(self, p: Tensor, g: Tensor, state: State, group: Group, lr: float) -> None:
        raise NotImplementedError

    def step_group(self, backend: Any, group: Group, params: list[Tensor]) -> None:
        """Change parameters of one group that have a gradient."""
        backend.not_recorded(f"{type(self).__name__}, whose numbers are computed on the host,")
        lr, decay = float(group["lr"]), group["weight_decay"] if "weight_decay" in self.defaults else 0
        for p in params:
            state = self.state[p]
            if not state:
                state.update(self._start(p, group))
            state["step"] += 1
            g = -p._grad if group["maximize"] else p._grad
            if decay and group.get("decoupled_weight_decay"):
                p.mul_(1 - lr * decay)
            elif decay:
                g = g.add(p, alpha=decay)
            self._update(p, g, state, group, lr)


def _average(mean: Tensor, x: Tensor, weight: float) -> Tensor:
    """Move a running mean towards x: mean += weight * (x - mean)."""
    return mean.lerp_(x, weight)


class RMSprop(ByFormula):
    """v = alpha * v + (1 - alpha) * g ** 2;  p -= lr * g / (sqrt(v) + eps).  Tieleman and Hinton, 2012.

    `centered` subtracts the square of the mean gradient from v; with `momentum` the quotients are added up first.
    """

    names = ("square_avg",)

    def __init__(
        self, params: Iterable[Any], lr: float | Tensor = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
        weight_decay: float = 0, momentum: float = 0, centered: bool = False, capturable: bool = False,
        foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals(), "lr momentum alpha eps centered weight_decay"))

    def _start(self, p: Tensor, group: Group) -> State:
        used = {"momentum_buffer": group["momentum"] > 0, "grad_avg": group["centered"]}
        return super()._start(p, group) | {name: p.new_zeros(p.shape) for name, use in used.items() if use}

    def _update(self, p: Tensor, g: Tensor, state: State, group: Group, lr: float) -> None:
        v = state["square_avg"].mul_(group["alpha"]).addcmul_(g, g, value=1 - group["alpha"])
        if group["centered"]:
            mean = _average(state["grad_avg"], g, 1 - group["alpha"])
            v = v.addcmul(mean, mean, value=-1)
        root = v.sqrt().add_(group["eps"])
        if group["momentum"] > 0:
            p.sub_(state["momentum_buffer"].mul_(group["momentum"]).addcdiv_(g, root), alpha=lr)
        else:
            p.addcdiv_(g, root, value=-lr)


class Adagrad(ByFormula):
    """s += g ** 2;  p -= lr / (1 + (step - 1) * lr_decay) * g / (sqrt(s) + eps).  Duchi et al., 2011."""

    def __init__(
        self, params: Iterable[Any], lr: float | Tensor = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *,
        maximize: bool = False, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals(), "lr lr_decay eps weight_decay"))
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p].update(self._start(p, group))

    def _start(self, p: Tensor, group: Group) -> State:
        return {"step": 0, "sum": p.new_full(p.shape, group["initial_accumulator_value"])}

    def _update(self, p: Tensor, g: Tensor, state: State, group: Group, lr: float) -> None:
        root = state["sum"].addcmul_(g, g).sqrt().add_(group["eps"])
        p.addcdiv_(g, root, value=-lr / (1 + (state["step"] - 1) * group["lr_decay"]))


class Adadelta(ByFormula):
    """v = rho * v + (1 - rho) * g ** 2;  d = g * sqrt(u + eps) / sqrt(v + eps);  p -= lr * d; u averages d ** 2 as v does.

    Zeiler, 2012.
    """

    names = ("square_avg", "acc_delta")

    def __init__(
        self, params: Iterable[Any], lr: float | Tensor = 1.0, rho: float = 0.9, eps: float = 1e-6,
        weight_decay: float = 0, foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False,
        differentiable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals(), "lr rho eps weight_decay maximize capturable"))

    def check(self, group: Group) -> None:
        """Raise ValueError for hyperparameters that make no sense."""
        super().check(group)
        if not 0 <= group["rho"] <= 1:
            raise ValueError(f"Adadelta: rho must be between 0 and 1, got {group['rho']}")

    def _update(self, p: Tensor, g: Tensor, state: State, group: Group, lr: float) -> None:
        rho, eps = group["rho"], group["eps"]
        v = state["square_avg"].mul_(rho).addcmul_(g, g, value=1 - rho)
        change = ((state["acc_delta"] + eps) / (v + eps)).sqrt_().mul_(g)
        state["acc_delta"].mul_(rho).addcmul_(change, change, value=1 - rho)
        p.sub_(change, alpha=lr)


class Adamax(ByFormula):
    """m = b1 * m + (1 - b1) * g;  u = max(b2 * u, |g| + eps);  p -= lr / (1 - b1 ** step) * m / u.  Kingma and Ba, 2015."""

    names = ("exp_avg", "exp_inf")

    def __init__(
        self, params: Iterable[Any], lr: float | Tensor = 2e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals()))

    def _update(self, p: Tensor, g: Tensor, state: State, group: Group, lr: float) -> None:
        beta1, beta2 = group["betas"]
        m, u = _average(state["exp_avg"], g, 1 - beta1), state["exp_inf"]
        u.copy_(maximum(u * beta2, g.abs() + group["eps"]))
        p.addcdiv_(m, u, value=-lr / (1 - beta1 ** state["step"]))


class NAdam(ByFormula):
    """Adam with Nesterov's momentum, whose size mu = b1 * (1 - 0.96 ** (step * momentum_decay) / 2) grows.  Dozat, 2016."""

    names = ("exp_avg", "exp_avg_sq")

    def __init__(
        self, params: Iterable[Any], lr: float | Tensor = 2e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            params, options(locals(), "lr betas eps weight_decay momentum_decay decoupled_weight_decay maximize")
        )

    def _start(self, p: Tensor, group: Group) -> State:
        return super()._start(p, group) | {"mu_product": 1.0}

    def _update(self, p: Tensor, g: Tensor, state: State, group: Group, lr: float) -> None:
        (beta1, beta2), step = group["betas"], state["step"]
        mu, following = [beta1 * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in (step, step + 1)]
        state["mu_product"] *= mu
        m = _average(state["exp_avg"], g, 1 - beta1)
        v = state["exp_avg_sq"].mul_(beta2).addcmul_(g, g, value=1 - beta2)
        root = (v / (1 - beta2**step)).sqrt_().add_(group["eps"])
        p.addcdiv_(g, root, value=-lr * (1 - mu) / (1 - state["mu_product"]))
        p.addcdiv_(m, root, value=-lr * following / (1 - state["mu_product"] * following))


class RAdam(ByFormula):
    """Adam whose first steps, while the variance is unknown, are those of momentum alone.  Liu et al., 2020."""

    names = ("exp_avg", "exp_avg_sq")

    def __init__(
        self, params: Iterable[Any], lr: float | Tensor = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals(), "lr betas eps weight_decay maximize foreach capturable"))

    def _update(self, p: Tensor, g: Tensor, state: State, group: Group, lr: float) -> None:
        (beta1, beta2), step = group["betas"], state["step"]
        m = _average(state["exp_avg"], g, 1 - beta1)
        v = state["exp_avg_sq"].mul_(beta2).addcmul_(g, g, value=1 - beta2)
        rate, known = lr / (1 - beta1**step), 1 - beta2**step
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / known
        if length > 5.0:
            rectified = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            m = m / (v.sqrt() + group["eps"])
            rate *= (known * rectified) ** 0.5
        p.sub_(m, alpha=rate)


class ASGD(ByFormula):
    """SGD with a decaying rate eta = lr / (1 + lambd * lr * step) ** alpha; from step t0 on `ax` averages the parameter.

    Polyak and Juditsky, 1992.
    """

    names = ("ax",)

    def __init__(
        self, params: Iterable[Any], lr: float | Tensor = 1e-2, lambd: float = 1e-4, alpha: float = 0.75,
        t0: float = 1e6, weight_decay: float = 0, foreach: bool | None = None, maximize: bool = False,
        differentiable: bool = False, capturable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals()))

    def _start(self, p: Tensor, group: Group) -> State:
        return super()._start(p, group) | {"eta": float(group["lr"]), "mu": 1.0}

    def _update(self, p: Tensor, g: Tensor, state: State, group: Group, lr: float) -> None:
        p.mul_(1 - group["lambd"] * state["eta"]).sub_(g, alpha=state["eta"])
        _average(state["ax"], p, state["mu"])
        state["eta"] = lr / (1 + group["lambd"] * lr * state["step"]) ** group["alpha"]
        state["mu"] = 1 / max(1, state["step"] - group["t0"])


class Rprop(ByFormula):
    """Steps that know only the sign of the gradient: longer while it stays the same, shorter when it changes.

    Riedmiller and Braun, 1993 (for whole data sets, not for batches).
    """

    names = ("prev",)

    def __init__(
        self, params: Iterable[Any], lr: float | Tensor = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, options(locals(), "lr etas step_sizes foreach maximize differentiable"))

    def check(self, group: Group) -> None:
        """Raise ValueError for hyperparameters that make no sense."""
        super().check(group)
        if not 0 < group["etas"][0] < 1 < group["etas"][1]:
            raise ValueError(f"Rprop: etas must be below 1 (but positive) and above 1, got {group['etas']}")

    def _start(self, p: Tensor, group: Group) -> State:
        return super()._start(p, group) | {"step_size": p.new_full(p.shape, float(group["lr"]))}

    def _update(self, p: Tensor, g: Tensor, state: State, group: Group, lr: float) -> None:
        shorter, longer = group["etas"]
        agreement = g * state["prev"]
        factor = where(agreement > 0, longer, where(agreement < 0, shorter, agreement.new_ones(())))
        size = state["step_size"].mul_(factor).clamp_(*group["step_sizes"])
        g = where(agreement < 0, 0, g)
        p.sub_(g.sign() * size)
        state["prev"].copy_(g)
