"""One training of a recipe, by tinygrad_cnn or by PyTorch, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn.utils.data import DataLoader

from .recipes import OURS, Recipe

TEST_BATCH = 500


def library(name: str) -> Any:
    """Return the module `tinygrad_cnn` or `torch`: recipes use only names that both have."""
    if name == OURS:
        return tg
    import torch

    return torch


@dataclass
class Run:
    """A finished training; lists have a value for each epoch, None where the test set was not looked at.

    `seconds` are processor time (user and system) of training alone.  `train_error` is measured on the way: by the scores
    before each update, of augmented images.
    """

    recipe: str
    library: str
    seed: int
    images: int = 0
    seconds: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    train_error: list[float] = field(default_factory=list)
    test_error: list[float | None] = field(default_factory=list)


def runs_of(runs: list[Run], recipe: str, library: str = OURS) -> list[Run]:
    """Return the runs of a recipe, by seed."""
    return sorted((r for r in runs if (r.recipe, r.library) == (recipe, library)), key=lambda r: r.seed)


class Training:
    """A network, its optimiser and its batches; the same initial weights and the same loader for both libraries."""

    def __init__(self, recipe: Recipe, name: str, seed: int, roots: dict[str, str]) -> None:
        self.recipe, self.t = recipe, library(name)
        train_set, test_set = recipe.sets(roots)
        self.train_batches = DataLoader(train_set, recipe.batch, shuffle=True, drop_last=True)
        self.test_batches = DataLoader(test_set, TEST_BATCH)
        self.run = Run(recipe.name, name, seed, len(self.train_batches) * recipe.batch)
        self.model = self._initial_model(seed)
        self.optimizer, self.schedule = recipe.optimizer(self.t, self.model, len(self.train_batches))

    def _initial_model(self, seed: int) -> Any:
        tg.manual_seed(seed)
        ours = self.recipe.network(tg)
        if self.t is tg:
            return ours
        self.t.manual_seed(seed)
        theirs = self.recipe.network(self.t)
        theirs.load_state_dict({key: self.t.tensor(value.numpy()) for key, value in ours.state_dict().items()})
        return theirs

    def _batches(self, loader: DataLoader) -> Iterator[tuple[Any, Any]]:
        for x, target in loader:
            yield (x, target) if self.t is tg else (self.t.from_numpy(x.numpy()), self.t.from_numpy(target.numpy()))

    def save(self, file: Path) -> None:
        """Write all that the next epoch depends on."""
        state = {name: part.state_dict() for name, part in self._parts()}
        random = tg.get_rng_state().tolist(), self.t.get_rng_state().tolist()
        self.t.save(state | {"run": asdict(self.run), "random": random}, file)

    def load(self, file: Path) -> None:
        """Go on where `save` was called."""
        state = self.t.load(file)
        for name, part in self._parts():
            part.load_state_dict(state[name])
        self.run = Run(**state["run"])
        for t, random in zip((tg, self.t), state["random"], strict=True):
            t.set_rng_state(t.tensor(random, dtype=t.uint8))

    def _parts(self) -> list[tuple[str, Any]]:
        parts = [("model", self.model), ("optimizer", self.optimizer), ("schedule", self.schedule)]
        return [(name, part) for name, part in parts if part is not None]

    def epoch(self) -> None:
        """Train on all batches."""
        start, losses, wrong = time.process_time(), [], 0
        self.model.train()
        for x, target in self._batches(self.train_batches):
            scores = self.model(x)
            loss = self.t.nn.functional.cross_entropy(scores, target)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if self.schedule is not None:
                self.schedule.step()
            losses.append(loss.item())
            wrong += int((scores.argmax(1) != target).sum())
        self.run.seconds.append(time.process_time() - start)
        self.run.loss.append(float(np.mean(losses)))
        self.run.train_error.append(wrong / self.run.images)

    def test(self) -> float:
        """Return the share of the test images that get a wrong class."""
        self.model.eval()
        with self.t.no_grad():
            wrong = [int((self.model(x).argmax(1) != target).sum()) for x, target in self._batches(self.test_batches)]
        return sum(wrong) / len(self.test_batches.dataset)


def train(recipe: Recipe, name: str, seed: int, roots: dict[str, str], folder: Path) -> Run:
    """Train on one thread, printing a line after each epoch; what is unfinished is kept in a folder and taken up again."""
    library(name).set_num_threads(1)
    training = Training(recipe, name, seed, roots)
    unfinished = folder / f"{recipe.name}, {name}, {seed}.unfinished"
    if unfinished.is_file():
        training.load(unfinished)
    run = training.run
    for epoch in range(len(run.loss) + 1, recipe.epochs + 1):
        training.epoch()
        run.test_error.append(training.test() if epoch % recipe.test_every == 0 or epoch == recipe.epochs else None)
        training.save(unfinished)
        tested = "" if run.test_error[-1] is None else f", test error {run.test_error[-1]:.2%}"
        print(
            f"{recipe.name} | {name} | seed {seed} | epoch {epoch}/{recipe.epochs}: loss {run.loss[-1]:.4f}, "
            f"training error {run.train_error[-1]:.2%}{tested}, {run.seconds[-1]:.1f} s",
            flush=True,
        )
    unfinished.unlink(missing_ok=True)
    return run
