"""The Trainer: a loop over epochs and batches that can stop anywhere and go on as if it had not."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from os import PathLike
from threading import Event
from typing import Any

from ..nn import Module
from ..nn.utils import clip_grad_norm_, clip_grad_value_
from ..optim.lr_scheduler import LRScheduler
from ..optim.lr_scheduler import ReduceLROnPlateau as Plateau
from ..optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from ..random import default_generator, fork_rng
from ..serialization import load, save
from ..tensor import Tensor
from ..utils.data import DataLoader
from .callbacks import Callback, ModelCheckpoint
from .data import as_loader, device_of, generators_of, moved, parts, random_states, set_random_states, split
from .evaluation import evaluate_batches, predict
from .extras import Progress, deferred_interrupt
from .history import History
from .names import Means, loss_function, metric_functions, optimizer_of

INTERVALS = ("epoch", "step")
COUNTS = ("epoch", "batch", "step", "stop", "_samples", "_seconds")  # attributes that checkpoints hold


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, between two batches."""


class Trainer:
    """Trains a model: `fit(data, epochs)`, then `evaluate(data)` and `predict(data)`; `save` and `load` between batches.

    loss           function of output and target, a module, or a name: "cross_entropy", "mse" ...
    optimizer      object, class, function of the parameters, or a name: "adam", "sgd" ...
    metrics        functions of output and target that give a batch's average, or names: "accuracy", "top5"
    scheduler      a schedule of lr_scheduler, or a function of the optimiser that makes one; stepped after each "epoch" or
                   each "step" of the optimiser (scheduler_interval)
    accumulate     batches whose gradients are averaged for one step, each sample counting the same
    clip_norm, clip_value   limits of the gradients: of the norm of all together, of each element
    ema            decay of an exponential average of the weights, which then validates and predicts (`averaged`)

    `epoch` counts finished epochs, `batch` the batches of the one at work, `step` the steps of the optimiser.  Ctrl-C ends
    the training between two batches (a second one at once): fit() then goes on from there, as it does after load() in
    another process.
    """

    def __init__(
        self, model: Module, loss: Any = "cross_entropy", optimizer: Any = "adam", metrics: Iterable[Any] = (), *,
        scheduler: Any = None, scheduler_interval: str = "epoch", accumulate: int = 1, clip_norm: float | None = None,
        clip_value: float | None = None, ema: float | None = None, callbacks: Iterable[Callback] = (),
        progress: bool = True,
    ) -> None:  # fmt: skip
        if scheduler_interval not in INTERVALS:
            raise ValueError(f"Trainer: scheduler_interval must be 'epoch' or 'step', got {scheduler_interval!r}")
        if accumulate < 1:
            raise ValueError(f"Trainer: accumulate must be a positive number of batches, got {accumulate}")
        self.model, self.loss, self.metrics = model, loss_function(loss), metric_functions(metrics)
        self.optimizer = optimizer_of(model, optimizer)
        made = scheduler is None or isinstance(scheduler, LRScheduler)
        self.scheduler = scheduler if made else scheduler(self.optimizer)
        if isinstance(self.scheduler, Plateau):
            raise TypeError("Trainer: ReduceLROnPlateau needs a number to watch; use the callback of this name")
        self.scheduler_interval, self.accumulate, self.progress = scheduler_interval, accumulate, progress
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.averaged = None if ema is None else AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema))
        self.history, self.stop = History(), False
        self.epoch = self.batch = self.step = 0
        self._means, self._seconds = Means(), 0.0  # of the epoch at work
        self._samples = 0  # whose gradients wait for a step
        self._generators = [default_generator]
        self._start: list[Tensor] = []  # their states at the start of the epoch
        self._now: list[Tensor] | None = None  # and those that a checkpoint has brought
        self._interrupted = Event()
        self.callbacks = sorted(callbacks, key=lambda callback: isinstance(callback, ModelCheckpoint))
        self._tell("on_init")

    def fit(
        self, data: Any, epochs: int = 1, *, validation_data: Any = None,
        validation_split: float | tuple[float, str] | None = None, batch_size: int | None = None, shuffle: bool = True,
    ) -> History:  # fmt: skip
        """Train until `epochs` epochs are done in all, and return the history.

        `data` is a DataLoader, a Dataset or a pair (x, y) of tensors or arrays; the latter two are shuffled and cut into
        batches of 32, or batch_size.  `validation_split` holds back a part: 0.1 the last tenth, (0.1, "random"),
        (0.1, "stratified"), with the transforms of the rest; `validation_data` is other data.

        FloatingPointError if a loss is not finite, with the weights as they were before this batch.
        """
        if validation_split is not None:
            if validation_data is not None:
                raise ValueError("fit: give validation_split or validation_data, not both")
            data, validation_data = split(data, validation_split)
        loader = as_loader(data, batch_size, shuffle, "fit")
        if validation_data is not None:
            size = None if isinstance(validation_data, DataLoader) else batch_size
            validation_data = as_loader(validation_data, size, False, "fit")
        self._generators = generators_of(loader)
        self._tell("on_fit_start")
        if self._now is not None:
            set_random_states(self._generators, self._now)
            self._now = None
        with deferred_interrupt() as self._interrupted:
            try:
                while self.epoch < epochs and not self.stop:
                    self._fit_epoch(loader, validation_data, f"epoch {self.epoch + 1}/{epochs}")
            except Interrupted:
                self._tell("on_interrupt")
                raise
        self._tell("on_fit_end")
        return self.history

    def evaluate(self, data: Any, batch_size: int | None = None) -> dict[str, float]:
        """Return loss and metrics on data, by name."""
        loader = as_loader(data, batch_size, False, "evaluate")
        return evaluate_batches(self.evaluated_model, loader, self.loss, self.metrics)

    def predict(self, data: Any, batch_size: int | None = None) -> Tensor:
        """Return the outputs for all samples, in one tensor."""
        return predict(self.evaluated_model, data, batch_size)

    @property
    def evaluated_model(self) -> Module:
        """The model that validates and predicts: the averaged one, if there is one."""
        return self.model if self.averaged is None else self.averaged.module

    # ---- the loop ----

    def _fit_epoch(self, loader: DataLoader, validation: DataLoader | None, title: str) -> None:
        """Train for (the rest of) an epoch, validate, and take note."""
        progress = Progress(title, loader, self.batch, self.progress)
        try:
            self._train_epoch(loader, progress)
        finally:
            progress.close()
        if self.stop:
            return
        logs = self._means.values("fit")
        if validation is not None:
            with fork_rng():  # so that it changes nothing, and may be done again
                batches = self._until_interrupted(validation)
                found = evaluate_batches(self.evaluated_model, batches, self.loss, self.metrics)
            logs |= {f"val_{name}": value for name, value in found.items()}
        logs |= {"lr": float(self.optimizer.param_groups[0]["lr"]), "seconds": self._seconds}
        self.history.append(logs)
        if self.scheduler is not None and self.scheduler_interval == "epoch":
            self.scheduler.step()
        self.epoch, self.batch, self._means, self._seconds = self.epoch + 1, 0, Means(), 0.0
        progress.end(logs)
        self._tell("on_epoch_end", logs)

    def _train_epoch(self, loader: DataLoader, progress: Progress) -> None:
        start = time.perf_counter() - self._seconds
        self.model.train()
        if self.batch == 0:
            self._tell("on_epoch_start")
        if not self._samples:
            self.optimizer.zero_grad()
        for batch in self._until_interrupted(self._rest_of(loader)):
            self._train_batch(batch)
            self._seconds = time.perf_counter() - start
            logs = self._means.values("fit")
            progress.batch(logs)
            self._tell("on_batch_end", logs)
            if self.stop:
                return
        if self._samples:
            self._step()

    def _rest_of(self, loader: DataLoader) -> Iterator[Any]:
        """Return the batches of an epoch from `batch` on.

        Its beginning is made again, from the random numbers it had, so that any order and any worker is as it was.
        """
        if self.batch == 0:
            self._start = random_states(self._generators)
            return iter(loader)
        now = random_states(self._generators)
        set_random_states(self._generators, self._start)
        batches = iter(loader)
        for _ in range(self.batch):
            next(batches)
        set_random_states(self._generators, now)
        return batches

    def _until_interrupted(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Yield batches; raise Interrupted between two of them."""
        iterator = iter(batches)
        while not self._interrupted.is_set():
            try:
                batch = next(iterator)
            except StopIteration:
                return
            except RuntimeError:
                if self._interrupted.is_set():  # Ctrl-C reaches workers too, and has ended them
                    break
                raise
            yield batch
        raise Interrupted(f"in epoch {self.epoch + 1}, after batch {self.batch}; fit() goes on from there")

    def _train_batch(self, batch: Any) -> None:
        """Compute gradients, and step if it is time."""
        x, y = parts(moved(batch, device_of(self.model)), "fit")
        try:
            output = self.model(x)
            loss = self.loss(output, y)
        except Exception as error:
            error.add_note(f"{self._place()}: inputs of shape {_shape(x)}, targets of shape {_shape(y)}")
            raise
        value = float(loss)
        if not math.isfinite(value):
            rate = float(self.optimizer.param_groups[0]["lr"])
            raise FloatingPointError(
                f"fit: the loss is {value} in {self._place()}, at learning rate {rate:g}; lower it, clip the gradients "
                "(clip_norm), or look for bad samples (autograd.detect_anomaly names the operation)"
            )
        (loss if self.accumulate == 1 else loss * len(y)).backward()
        self._samples += len(y)
        self._means.add(value, self.metrics, output, y)
        self.batch += 1
        if self.batch % self.accumulate == 0:
            self._step()

    def _step(self) -> None:
        """Change the weights by the gradients so far."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        if self.accumulate > 1:
            for p in parameters:
                if p.grad is not None:
                    p.grad.div_(self._samples)
        if self.clip_norm is not None:
            clip_grad_norm_(parameters, self.clip_norm)
        if self.clip_value is not None:
            clip_grad_value_(parameters, self.clip_value)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._samples = 0
        self.step += 1
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)
        if self.scheduler is not None and self.scheduler_interval == "step":
            self.scheduler.step()

    def _place(self) -> str:
        return f"epoch {self.epoch + 1}, batch {self.batch + 1}"

    def _tell(self, event: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(self, *args)

    # ---- checkpoints ----

    def _parts(self) -> dict[str, Any]:
        """Return what has a state of its own, by name."""
        parts = {
            "model": self.model,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
            "averaged": self.averaged,
        }
        for callback in self.callbacks:
            alike = [other for other in self.callbacks if type(other) is type(callback)]
            parts[f"{type(callback).__name__} {alike.index(callback)}"] = callback
        return {name: part for name, part in parts.items() if part is not None}

    def state_dict(self) -> dict[str, Any]:
        """Return all that the rest of the training depends on but the data: of those, the place in the epoch."""
        return {
            "parts": {name: state for name, part in self._parts().items() if (state := part.state_dict())},
            "gradients": [p.grad for p in self.model.parameters()] if self._samples else [],
            "generators": {"start": self._start, "now": self._now or random_states(self._generators)},
            "counts": {name: getattr(self, name) for name in COUNTS},
            "means": {"count": self._means.count, "sums": self._means.sums},
            "history": dict(self.history),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what state_dict returned, in a trainer that was made in the same way; ValueError if it was not."""
        parts, states = self._parts(), state_dict.get("parts", {})
        different = states.keys() ^ {name for name, part in parts.items() if part.state_dict()}
        if different:
            raise ValueError(f"Trainer: only one of the checkpoint and this trainer has {', '.join(sorted(different))}")
        for name, state in states.items():
            parts[name].load_state_dict(state)
        for p, gradient in zip(self.model.parameters(), state_dict["gradients"]):
            p.grad = gradient
        self._start, self._now = state_dict["generators"]["start"], state_dict["generators"]["now"]
        for name in COUNTS:
            setattr(self, name, state_dict["counts"][name])
        self._means, self.history = Means(**state_dict["means"]), History(state_dict["history"])

    def save(self, path: str | PathLike[str]) -> None:
        """Write a checkpoint; the file is replaced in one step."""
        save(self.state_dict(), path)

    def load(self, path: str | PathLike[str]) -> None:
        """Read a checkpoint: fit() then goes on where it was written, and ends with the same bits as if it had not stopped."""
        self.load_state_dict(load(path))


def _shape(value: Any) -> Any:
    return tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__


def fit(
    model: Module, data: Any, *, loss: Any = "cross_entropy", optimizer: Any = "adam", epochs: int = 1,
    validation_split: float | tuple[float, str] | None = None, validation_data: Any = None,
    callbacks: Iterable[Callback] = (), metrics: Iterable[Any] = (), batch_size: int | None = None,
    shuffle: bool = True, resume: str | PathLike[str] | None = None, **options: Any,
) -> History:  # fmt: skip
    """Train a model and return the history: Trainer, with its `options`, and Trainer.fit in one call.

    `resume` is a file of ModelCheckpoint's, or of Trainer.save, with which to go on.
    """
    trainer = Trainer(model, loss, optimizer, metrics, callbacks=callbacks, **options)
    if resume is not None:
        trainer.load(resume)
    return trainer.fit(
        data, epochs, validation_data=validation_data, validation_split=validation_split, batch_size=batch_size,
        shuffle=shuffle,
    )  # fmt: skip
