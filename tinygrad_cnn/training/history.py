"""History: the numbers of each epoch."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

from ..serialization import write_atomically
from ..viz.curves import draw_learning_curves, learning_curves


class History(dict[str, list[float]]):
    """A list for each name ("loss", "val_loss", "accuracy", "lr" ...) with a number for each epoch.

    NaN stands for what was not measured in an epoch.  `seconds` is the time of training, without validation.
    """

    @property
    def epochs(self) -> int:
        """How many epochs there are."""
        return max(map(len, self.values()), default=0)

    def append(self, values: dict[str, float]) -> None:
        """Add an epoch."""
        done = self.epochs
        for name in values:
            self.setdefault(name, [math.nan] * done)
        for name, column in self.items():
            column.append(values.get(name, math.nan))

    def write_csv(self, path: str | PathLike[str]) -> None:
        """Write a row for each epoch, its number first; the file is replaced in one step."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(["epoch", *self])
        writer.writerows([i, *row] for i, row in enumerate(zip(*self.values()), 1))
        write_atomically(Path(path), lambda file: file.writelines([text.getvalue().encode()]))

    def plot(self, names: Iterable[str] | None = None) -> Any:
        """Return a figure of matplotlib's with the curves of training and validation: the loss and the metrics, or `names`."""
        return draw_learning_curves(learning_curves(self, names))
