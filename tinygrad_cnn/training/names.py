"""What the names of losses, metrics and optimisers stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .. import optim
from ..autograd import no_grad
from ..nn import Module
from ..nn import functional as F
from ..optim import Optimizer
from ..tensor import Tensor

Function = Callable[[Any, Any], Any]  # of output and target: a loss, or a metric averaged over the batch
Metrics = dict[str, Function]


def accuracy(output: Tensor, target: Tensor) -> Tensor:
    """Return the share of samples whose largest output (N, classes, ...) is that of the target (N, ...)."""
    return (output.argmax(1) == target).float().mean()


def top5(output: Tensor, target: Tensor) -> Tensor:
    """Return the share of samples whose target is among the five largest outputs (N, classes)."""
    return (output.topk(5, 1).indices == target.unsqueeze(1)).any(1).float().mean()


LOSSES = {name.removesuffix("_loss"): getattr(F, name) for name in F.__all__ if "loss" in name or "entropy" in name}
METRICS = {"accuracy": accuracy, "top5": top5}
OPTIMIZERS = {name.lower(): getattr(optim, name) for name in optim.__all__ if name[0].isupper() and name != "Optimizer"}


def _named(kind: str, value: Any, known: dict[str, Any]) -> Any:
    """Return a function as it is, or the one that has this name."""
    if callable(value):
        return value
    if not isinstance(value, str):
        raise TypeError(f"{kind} must be a function or a name, got {type(value).__name__}")
    if value not in known:
        raise ValueError(f"unknown {kind} {value!r}; known are {', '.join(sorted(known))}, or pass a function")
    return known[value]


def loss_function(loss: Any) -> Function:
    """Return a loss: a function, a module or its class, or a name of nn.functional with or without "_loss"."""
    if isinstance(loss, str):
        loss = loss.removesuffix("_loss")
    found = _named("loss", loss, LOSSES)
    return found() if isinstance(found, type) else found


def metric_functions(metrics: Iterable[Any]) -> Metrics:
    """Return metrics by name; that of a function is its __name__, that of another object its class's."""
    if isinstance(metrics, str):
        raise TypeError(f"metrics must be a list, got the string {metrics!r}; write [{metrics!r}]")
    return {
        m if isinstance(m, str) else getattr(m, "__name__", type(m).__name__): _named("metric", m, METRICS)
        for m in metrics
    }


def optimizer_of(model: Module, optimizer: Any) -> Optimizer:
    """Return an optimiser: as it is, or made from the model's parameters by a class, a function or a name."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    return _named("optimizer", optimizer, OPTIMIZERS)(model.parameters())


def main_output(output: Any) -> Any:
    """Return the output that metrics and predictions see: the first, where a network has auxiliary ones."""
    return output[0] if isinstance(output, (tuple, list)) else output


class Means:
    """Averages over the samples of an epoch."""

    def __init__(self, count: int = 0, sums: dict[str, float] | None = None) -> None:
        self.count, self.sums = count, sums or {}

    @no_grad()
    def add(self, loss: float, metrics: Metrics, output: Any, target: Any) -> None:
        """Take in a batch."""
        output = main_output(output)
        values = {"loss": loss, **{name: float(metric(output, target)) for name, metric in metrics.items()}}
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value * len(target)
        self.count += len(target)

    def values(self, by: str) -> dict[str, float]:
        """Return the averages; ValueError if there was no sample."""
        if not self.count:
            raise ValueError(f"{by}: the data are empty (or smaller than a batch, with drop_last)")
        return {name: total / self.count for name, total in self.sums.items()}
