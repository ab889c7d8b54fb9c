"""Which classes a network confuses, and where it is most wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from math import ceil
from typing import Any

from ..nn.functional import softmax
from ..ops.order import bincount
from ..tensor import Tensor
from .canvas import gallery, new_figure


@dataclass(frozen=True)
class Mistake:
    """An example that is taken for another class: its number, both classes, and the probability of the wrong one."""

    index: int
    target: int
    prediction: int
    probability: float


def confusion_matrix(targets: Tensor, predictions: Tensor, classes: int | Sequence[str]) -> Tensor:
    """Return how many examples of each class (rows) are taken for each class (columns): (classes, classes), int64.

    targets and predictions are integers (N,), classes is their number or their names.
    """
    count = classes if isinstance(classes, int) else len(classes)
    for name, values in (("targets", targets), ("predictions", predictions)):
        if values.ndim != 1 or values.is_floating_point():
            raise ValueError(
                f"confusion_matrix: {name} must be integers (N,), got {values.dtype} {tuple(values.shape)}; "
                "of scores (N, classes) take .argmax(1)"
            )
        if values.numel() and (int(values.min()) < 0 or int(values.max()) >= count):
            raise ValueError(
                f"confusion_matrix: {name} must lie from 0 to {count - 1}, got {int(values.min())} to {int(values.max())}"
            )
    if len(targets) != len(predictions):
        raise ValueError(f"confusion_matrix: there are {len(targets)} targets, but {len(predictions)} predictions")
    return bincount(targets.long() * count + predictions.long(), minlength=count**2).reshape(count, count)


def worst_mistakes(scores: Tensor, targets: Tensor, k: int = 12) -> list[Mistake]:
    """Return the k wrong examples with the most probable wrong class, the worst first; scores are logits (N, classes)."""
    if scores.ndim != 2 or targets.shape != scores.shape[:1]:
        raise ValueError(
            "worst_mistakes: scores must be (N, classes) and targets (N,), "
            f"got {tuple(scores.shape)} and {tuple(targets.shape)}"
        )
    probabilities, predictions = softmax(scores.detach(), 1).max(1)
    wrong = (predictions != targets).nonzero().reshape(-1)
    order = wrong[probabilities[wrong].sort(descending=True, stable=True)[1]][:k]
    return [Mistake(i, int(targets[i]), int(predictions[i]), probabilities[i].item()) for i in order.tolist()]


def draw_confusion_matrix(
    matrix: Tensor,
    classes: Sequence[str] | None = None,
    mistakes: Sequence[Mistake] = (),
    images: Sequence[Tensor] | Tensor = (),
    *,
    figure: Any = None,
) -> Any:
    """Draw a confusion matrix and, beside it, the images of the worst mistakes; return the figure.

    The colours are shares of a row (by their square roots), the numbers are counts.  `classes` are names, `images` one image
    for each of `mistakes`.
    """
    names = [str(i) for i in range(len(matrix))] if classes is None else list(classes)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(names) != len(matrix):
        raise ValueError(f"draw_confusion_matrix: the matrix is {tuple(matrix.shape)} for {len(names)} classes")
    if len(mistakes) != len(images):
        raise ValueError(f"draw_confusion_matrix: there are {len(mistakes)} mistakes, but {len(images)} images")
    side = 1.8 + 0.38 * len(names)
    figure = new_figure(figure, side + (4.6 if mistakes else 0.6), max(side - 0.6, 3.6))
    if not mistakes:
        _draw_matrix(figure, matrix.numpy(), names)
    else:
        left, right = figure.subfigures(1, 2, width_ratios=(side, 4))
        _draw_matrix(left, matrix.numpy(), names)
        right.suptitle("worst mistakes: predicted, its probability, (true)", fontsize="small")
        titles = [f"{names[m.prediction]} {100 * m.probability:.0f} %\n({names[m.target]})" for m in mistakes]
        gallery(right, list(images), titles, ceil(len(mistakes) ** 0.5))
    return figure


def _draw_matrix(figure: Any, matrix: Any, names: list[str]) -> None:
    """Draw the matrix with its counts, but zeros."""
    shares = matrix / matrix.sum(1, keepdims=True).clip(1)
    axes = figure.subplots()
    roots = import_module("matplotlib.colors").PowerNorm(0.5, 0, 1)  # else mistakes are too pale to be seen
    figure.colorbar(axes.imshow(shares, cmap="Blues", norm=roots), ax=axes, label="share of the true class")
    ticks = range(len(names))
    axes.set(xticks=ticks, yticks=ticks, xlabel="predicted", ylabel="true")
    axes.set_xticklabels(names, rotation=90 if max(map(len, names)) > 3 else 0)
    axes.set_yticklabels(names)
    for i, j in zip(*matrix.nonzero()):
        colour = "white" if shares[i, j] > 0.25 else "black"
        axes.text(j, i, str(matrix[i, j]), ha="center", va="center", color=colour, fontsize="x-small")
