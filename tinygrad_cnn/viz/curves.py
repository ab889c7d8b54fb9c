"""Learning curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .canvas import new_figure

OTHERS = ("epoch", "lr", "seconds")  # what is no result

Curves = dict[str, dict[str, list[float]]]


def learning_curves(history: Any, names: Iterable[str] | None = None) -> Curves:
    """Return the curves of a training by quantity, each with "training" and "validation" where they exist.

    `history` is a dictionary with a number for each epoch under each name, `val_` before those of validation, or has such a
    dictionary as its attribute `history`.  `names` chooses quantities; all but rates and times otherwise.
    """
    columns = history if isinstance(history, Mapping) else getattr(history, "history", None)
    if not isinstance(columns, Mapping):
        raise TypeError(f"learning_curves: history must be a dictionary of lists, got {type(history).__name__}")
    if names is None:
        names = dict.fromkeys(name.removeprefix("val_") for name in columns if name not in OTHERS)
    curves: Curves = {}
    for name in names:
        keys = {"training": name, "validation": f"val_{name}"}
        curves[name] = {kind: list(columns[key]) for kind, key in keys.items() if key in columns}
        if not curves[name]:
            raise KeyError(f"learning_curves: {name!r} is not in the history, which has {', '.join(columns)}")
    return curves


def draw_learning_curves(curves: Curves, *, figure: Any = None) -> Any:
    """Draw curves over the epochs, each quantity in axes of its own; return the figure."""
    if not curves:
        raise ValueError("draw_learning_curves: there are no curves")
    figure = new_figure(figure, 4.2 * len(curves), 3.2)
    for axes, (name, kinds) in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves.items()):
        for kind, values in kinds.items():
            axes.plot(range(1, len(values) + 1), values, marker=".", label=kind)
        axes.set(title=name, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    return figure
