"""Learning curves as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from .recipes import DATA, NETWORKS, RATES
from .training import Run, runs_of


def curve(axes: Any, label: str, runs: list[Run], what: str) -> None:
    """Draw an error in percent after each epoch: a line for each run, in one colour."""
    colour = None
    for run in runs:
        points = [(epoch, 100 * error) for epoch, error in enumerate(getattr(run, what), 1) if error is not None]
        (line,) = axes.plot(*zip(*points), color=colour, linewidth=1.2, marker=".", markersize=4)
        line.set_label(label if colour is None else None)
        colour = line.get_color()


def finish(figure: Any, file: Path) -> None:
    """Write a picture."""
    figure.savefig(file, dpi=80, pil_kwargs={"optimize": True})
    plt.close(figure)


def learning_curves(runs: list[Run], file: Path) -> None:
    """Draw the test errors of the networks, a panel for each data set."""
    figure, panels = plt.subplots(1, len(DATA), figsize=(10, 3.4), layout="constrained")
    for axes, data in zip(panels, DATA, strict=True):
        for recipe in NETWORKS:
            if recipe.data == data:
                curve(axes, recipe.name.partition(" on ")[0], runs_of(runs, recipe.name), "test_error")
        axes.set(title=data, xlabel="epoch", ylabel="test error, %", yscale="log")
        ticks(axes)
    finish(figure, file)


def ticks(axes: Any) -> None:
    """Write plain numbers on a logarithmic axis, and the names of the curves."""
    for axis in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        axis("{x:g}")
    axes.tick_params(axis="y", which="minor", labelsize=7)
    axes.xaxis.get_major_locator().set_params(integer=True)
    if axes.lines:
        axes.legend(fontsize=8)


def effects(runs: list[Run], file: Path) -> None:
    """Draw training errors: ReLU and tanh, residual and plain networks."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name in ("ReLU", "Tanh"):
        for rate in RATES:
            curve(left, f"{name}, rate {rate:g}", runs_of(runs, f"small: {name} at {rate}"), "train_error")
    for depth in (20, 56):
        for kind in ("plain", "residual"):
            recipe = f"small: {kind} net of {depth} layers"
            curve(right, f"{kind}, {depth} layers", runs_of(runs, recipe), "train_error")
    for axes, title in ((left, "ReLU and tanh"), (right, "residual and plain networks")):
        axes.set(title=title, xlabel="epoch", ylabel="training error, %", ylim=(0, None))
        axes.xaxis.get_major_locator().set_params(integer=True)
        if axes.lines:
            axes.legend(fontsize=8)
    finish(figure, file)


def draw(runs: list[Run], folder: Path) -> None:
    """Draw all pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    learning_curves(runs, folder / "learning_curves.png")
    effects(runs, folder / "effects.png")
