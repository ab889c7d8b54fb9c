"""evaluate and predict, and predictions averaged over crops."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ..autograd import no_grad
from ..nn import Module
from ..ops.shape import cat, stack
from ..tensor import Tensor
from .data import as_loader, device_of, moved, parts
from .names import Function, Means, Metrics, loss_function, main_output, metric_functions


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Have a model in evaluation mode, without gradients, and then as it was."""
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with no_grad():
            yield
    finally:
        for module, mode in training.items():
            module.training = mode


def evaluate_batches(model: Module, batches: Iterable[Any], loss: Function, metrics: Metrics) -> dict[str, float]:
    """Return the averages of loss and metrics over the samples of batches."""
    means, device = Means(), device_of(model)
    with evaluating(model):
        for batch in batches:
            x, y = parts(moved(batch, device), "evaluate")
            output = model(x)
            means.add(float(loss(output, y)), metrics, output, y)
    return means.values("evaluate")


def evaluate(
    model: Module, data: Any, loss: Any = "cross_entropy", metrics: Iterable[Any] = (), batch_size: int | None = None
) -> dict[str, float]:
    """Return the loss and the metrics of a model on data, by name: averages over samples.

    `data`, `loss` and `metrics` as in fit().
    """
    loader = as_loader(data, batch_size, False, "evaluate")
    return evaluate_batches(model, loader, loss_function(loss), metric_functions(metrics))


def predict(model: Module, data: Any, batch_size: int | None = None) -> Tensor:
    """Return the outputs of a model for all samples, in one tensor.

    `data` as in fit(), or only the inputs.  Of a batch that is a list or tuple the first part is the input, and so the
    labels of a data set do no harm.
    """
    outputs, device = [], device_of(model)
    with evaluating(model):
        for batch in as_loader(data, batch_size, False, "predict"):
            x = batch[0] if isinstance(batch, (tuple, list)) else batch
            outputs.append(main_output(model(moved(x, device))))
    if not outputs:
        raise ValueError("predict: the data are empty")
    return cat(outputs)


class AverageCrops(Module):
    """A classifier that averages its predictions over several crops of an image (Krizhevsky et al., 2012, section 4.1).

    Crops are a list of tensors (N, C, H, W), as the transforms TenCrop and FiveCrop make them, or one (N, crops, C, H, W).
    The average is that of the probabilities; the output is its logarithm (N, classes), which losses and metrics take as logits.
    """

    def __init__(self, model: Callable[..., Any]) -> None:
        super().__init__()
        self.model = model

    def forward(self, crops: Any) -> Tensor:
        """Return log(mean of softmax)."""
        crops = crops.unbind(1) if isinstance(crops, Tensor) else crops
        each = [main_output(self.model(crop)).log_softmax(1) for crop in crops]
        return stack(each).logsumexp(0) - math.log(len(each))
