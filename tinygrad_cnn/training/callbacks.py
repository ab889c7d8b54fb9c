"""Callbacks: what else happens while a Trainer works."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..optim import lr_scheduler
from ..serialization import save
from ..utils.optional import required

if TYPE_CHECKING:
    from .trainer import Trainer

Logs = dict[str, float]
FilePath = str | PathLike[str]
MODES = ("min", "max")


class Callback:
    """The base of callbacks: define the events that matter.

    `logs` are the averages so far in on_batch_end, and what History keeps in on_epoch_end.  Setting `trainer.stop` ends the
    training after the batch or the epoch.  `state` names the attributes that checkpoints hold.
    """

    state: ClassVar[tuple[str, ...]] = ()

    def on_init(self, trainer: Trainer) -> None:
        """Meet the trainer."""

    def on_fit_start(self, trainer: Trainer) -> None:
        """Act before training starts or goes on."""

    def on_epoch_start(self, trainer: Trainer) -> None:
        """Act before the first batch of an epoch; not again if the epoch is continued."""

    def on_batch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Act after a batch."""

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Act after an epoch and its validation; `trainer.epoch` has counted it."""

    def on_interrupt(self, trainer: Trainer) -> None:
        """Act when Ctrl-C ends the training, between two batches."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """Act when training has come to its end."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state: containers, tensors, numbers and strings."""
        return {name: getattr(self, name) for name in self.state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what state_dict returned."""
        for name in self.state:
            setattr(self, name, state_dict[name])


class _Monitor(Callback):
    """The base of callbacks that watch a number of each epoch: `mode` "min" or "max", by default "min" for losses only."""

    state: ClassVar[tuple[str, ...]] = ("best",)

    def __init__(self, monitor: str, mode: str | None, min_delta: float = 0.0) -> None:
        if mode not in (None, *MODES):
            raise ValueError(f"{type(self).__name__}: mode must be 'min' or 'max', got {mode!r}")
        self.monitor, self.mode, self.min_delta = monitor, mode or MODES["loss" not in monitor], min_delta
        self.best: float | None = None

    def value(self, logs: Logs) -> float:
        """Return the number; ValueError if there is none."""
        if self.monitor not in logs:
            raise ValueError(f"{type(self).__name__}: there is no {self.monitor!r} to watch, but {', '.join(logs)}")
        return logs[self.monitor]

    def improves(self, logs: Logs) -> bool:
        """Return whether the number is better than the best by more than min_delta, and if so, remember it."""
        value, sign = self.value(logs), 1 if self.mode == "max" else -1
        if self.best is not None and not sign * (value - self.best) > self.min_delta:
            return False
        self.best = value
        return True


class EarlyStopping(_Monitor):
    """Stop when a number has not improved by more than min_delta for `patience` epochs (at least one).

    With restore_best the model gets the weights of the best epoch back when training ends.
    """

    state = ("best", "waited", "weights")

    def __init__(
        self, monitor: str = "val_loss", patience: int = 1, mode: str | None = None, min_delta: float = 0.0,
        restore_best: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(monitor, mode, min_delta)
        self.patience, self.restore_best, self.waited = patience, restore_best, 0
        self.weights: dict[str, Any] | None = None

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        if not self.improves(logs):
            self.waited += 1
            trainer.stop |= self.waited >= self.patience
            return
        self.waited = 0
        if self.restore_best:
            self.weights = {name: tensor.clone() for name, tensor in trainer.evaluated_model.state_dict().items()}

    def on_fit_end(self, trainer: Trainer) -> None:
        if self.weights is not None:
            trainer.model.load_state_dict(self.weights)


class ModelCheckpoint(_Monitor):
    """Save the training, so that it can go on, after each epoch (or only after better ones, with `monitor`).

    With `every` also after so many batches of an epoch, and on Ctrl-C.  `path` may hold {epoch} and names of logs:
    "best-{epoch}-{val_loss:.3f}.safetensors".  weights_only saves the state of the model alone (of the average, with `ema`).
    Checkpoints come after all other callbacks, so that they hold what those have learned from the epoch.
    """

    def __init__(
        self, path: FilePath, monitor: str | None = None, mode: str | None = None, every: int | None = None,
        weights_only: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(monitor or "", mode)
        if every is not None and every < 1:
            raise ValueError(f"ModelCheckpoint: every must be a positive number of batches, got {every}")
        self.path, self.every, self.weights_only = str(path), every, weights_only

    def _save(self, trainer: Trainer, logs: Logs) -> None:
        try:
            path = Path(self.path.format(epoch=trainer.epoch, **logs))
        except KeyError as error:
            told = f"the path {self.path!r} names {error}; there are epoch, {', '.join(logs)}"
            raise ValueError(f"ModelCheckpoint: {told}") from None
        path.parent.mkdir(parents=True, exist_ok=True)
        save(trainer.evaluated_model.state_dict() if self.weights_only else trainer.state_dict(), path)

    def on_batch_end(self, trainer: Trainer, logs: Logs) -> None:
        if self.every is not None and trainer.batch % self.every == 0:
            self._save(trainer, logs)

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        if not self.monitor or self.improves(logs):
            self._save(trainer, logs)

    def on_interrupt(self, trainer: Trainer) -> None:
        if self.every is not None:
            self._save(trainer, {})


class ReduceLROnPlateau(_Monitor):
    """Reduce the learning rate when a number stops improving: lr_scheduler.ReduceLROnPlateau with its options."""

    def __init__(self, monitor: str = "val_loss", mode: str | None = None, **options: Any) -> None:
        super().__init__(monitor, mode)
        self.options = options

    def on_init(self, trainer: Trainer) -> None:
        self.schedule = lr_scheduler.ReduceLROnPlateau(trainer.optimizer, self.mode, **self.options)

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        self.schedule.step(self.value(logs))

    def state_dict(self) -> dict[str, Any]:
        return self.schedule.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.schedule.load_state_dict(state_dict)


class CSVLogger(Callback):
    """Write the history to a CSV file after each epoch, always whole: a run that is continued leaves no row twice."""

    def __init__(self, path: FilePath) -> None:
        self.path = path

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        trainer.history.write_csv(self.path)


class TensorBoard(Callback):
    """Write the numbers of each epoch for TensorBoard, through the package tensorboardX (extra `tensorboard`)."""

    def __init__(self, log_dir: FilePath = "runs") -> None:
        self.log_dir, self._library = str(log_dir), required("tensorboardX", "TensorBoard", "tensorboard")

    def on_fit_start(self, trainer: Trainer) -> None:
        # What an earlier file holds of the epochs to come does not count.
        self._writer = self._library.SummaryWriter(self.log_dir, purge_step=trainer.epoch + 1)

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        for name, value in logs.items():
            self._writer.add_scalar(name, value, trainer.epoch)
        self._writer.flush()

    def on_fit_end(self, trainer: Trainer) -> None:
        self._writer.close()
