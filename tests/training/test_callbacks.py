"""EarlyStopping, ModelCheckpoint, ReduceLROnPlateau, CSVLogger, TensorBoard."""

from __future__ import annotations

import csv
import sys
import types

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.training import (
    Callback,
    CSVLogger,
    EarlyStopping,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TensorBoard,
    Trainer,
    fit,
)  # fmt: skip

from . import nets


class Numbers(Callback):
    """Put given numbers in the place of measured ones, for the callbacks that follow."""

    def __init__(self, **columns):
        self.columns = columns

    def on_epoch_end(self, trainer, logs):
        logs.update({name: column[trainer.epoch - 1] for name, column in self.columns.items()})


def train(*callbacks, epochs=6, **columns):
    trainer = Trainer(nets.net(), callbacks=[Numbers(**columns), *callbacks], progress=False)
    trainer.fit(nets.arrays(20), epochs)
    return trainer


@pytest.mark.parametrize(
    ("options", "numbers", "epochs"),
    [
        ({}, [3, 2, 2, 1, 0, 0], 3),
        ({"patience": 2}, [3, 2, 2, 1, 1, 1], 6),
        ({"mode": "max"}, [3, 4, 5, 5, 6, 7], 4),
        ({"min_delta": 1}, [5, 3, 2.5, 1, 0, 0], 3),
        ({"monitor": "val_accuracy"}, [0.1, 0.2, 0.3, 0.2, 0.5, 0.6], 4),
    ],
)
def test_early_stopping(options, numbers, epochs):
    name = options.get("monitor", "val_loss")
    assert train(EarlyStopping(**options), **{name: numbers}).epoch == epochs


def test_early_stopping_restores_the_best_weights():
    states = []

    class Keep(Callback):
        def on_epoch_end(self, trainer, logs):
            states.append(nets.flat(trainer.model.state_dict()))

    trainer = train(Keep(), EarlyStopping(patience=2, restore_best=True), val_loss=[3, 1, 2, 2, 0, 0])
    assert trainer.epoch == 4
    assert nets.flat(trainer.model.state_dict()) == states[1] != states[3]
    assert train(Keep(), EarlyStopping(patience=2), val_loss=[3, 1, 2, 2, 0, 0]).epoch == 4


def test_a_stopped_training_stays_stopped(tmp_path):
    path = tmp_path / "run.safetensors"
    train(EarlyStopping(), ModelCheckpoint(path), val_loss=[1, 2, 0, 0, 0, 0])
    trainer = Trainer(nets.net(), callbacks=[Callback(), EarlyStopping(), ModelCheckpoint(path)], progress=False)
    trainer.load(path)
    assert trainer.fit(nets.arrays(20), 6).epochs == 2


def test_checkpoints_of_better_epochs(tmp_path):
    path = tmp_path / "made" / "{epoch}-{val_loss:.2f}.safetensors"
    train(ModelCheckpoint(path, "val_loss", weights_only=True), val_loss=[3, 4, 1, 2, 0.5, 0.5])
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "1-3.00.safetensors",
        "3-1.00.safetensors",
        "5-0.50.safetensors",
    ]
    nets.net().load_state_dict(tg.load(path.parent / "5-0.50.safetensors"))


def test_checkpoints_between_batches(tmp_path):
    written = []

    class Look(Callback):
        def on_batch_end(self, trainer, logs):
            written.append(tg.load(path)["counts"]["batch"] if path.exists() else None)

    path = tmp_path / "run.safetensors"
    fit(nets.net(), nets.arrays(50), batch_size=10, callbacks=[ModelCheckpoint(path, every=2), Look()], progress=False)
    assert written == [None, None, 2, 2, 4]
    assert tg.load(path)["counts"]["epoch"] == 1


def test_plateaus():
    rates = train(ReduceLROnPlateau(factor=0.1, patience=1), val_loss=[1, 1, 1, 1, 1, 1]).history["lr"]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5])
    rates = train(
        ReduceLROnPlateau("accuracy", factor=0.1, patience=0), accuracy=[0.1, 0.2, 0.2, 0.3, 0.4, 0.5]
    ).history["lr"]
    assert rates == pytest.approx([1e-3] * 3 + [1e-4] * 3)


def test_csv(tmp_path):
    path = tmp_path / "log.csv"
    trainer = train(CSVLogger(path), epochs=3)
    rows = [*csv.DictReader(path.read_text().splitlines())]
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [float(row["loss"]) for row in rows] == trainer.history["loss"]


# ---- TensorBoard ----


class Writer:
    """What tensorboardX has."""

    made: list

    def __init__(self, log_dir, purge_step):
        self.log_dir, self.purge_step, self.scalars, self.closed = log_dir, purge_step, [], False
        Writer.made.append(self)

    def add_scalar(self, tag, value, step):
        self.scalars.append((tag, value, step))

    def flush(self):
        pass

    def close(self):
        self.closed = True


def test_tensorboard(tmp_path, monkeypatch):
    Writer.made = []
    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=Writer))
    trainer = Trainer(nets.net(), callbacks=[TensorBoard(tmp_path)], progress=False)
    trainer.fit(nets.arrays(), 2)
    trainer.fit(nets.arrays(), 3)
    first, second = Writer.made
    assert first.scalars[0] == ("loss", trainer.history["loss"][0], 1)
    assert [step for tag, _, step in first.scalars if tag == "loss"] == [1, 2]
    assert (second.purge_step, second.scalars[0][2]) == (3, 3)
    assert first.closed


def test_tensorboard_writes_files(tmp_path):
    pytest.importorskip("tensorboardX", reason="pip install 'tinygrad_cnn[tensorboard]'")
    fit(nets.net(), nets.arrays(), callbacks=[TensorBoard(tmp_path)], progress=False)
    (file,) = tmp_path.glob("events.out.tfevents.*")
    assert b"loss" in file.read_bytes()


def test_tensorboard_needs_a_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(
        ImportError, match=r"TensorBoard needs the package tensorboardX: pip install 'tinygrad_cnn\[tensorboard\]'"
    ):
        TensorBoard()


# ---- errors ----


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: EarlyStopping("val_acc"), "EarlyStopping: there is no 'val_acc' to watch, but loss, lr, seconds"),
        (lambda: ReduceLROnPlateau(), "ReduceLROnPlateau: there is no 'val_loss' to watch"),
        (lambda: ModelCheckpoint("x", "val_loss"), "ModelCheckpoint: there is no 'val_loss' to watch"),
        (lambda: ModelCheckpoint("x{val_loss}"), "the path 'x{val_loss}' names 'val_loss'; there are epoch, loss, lr"),
        (lambda: ModelCheckpoint("x", every=0), "every must be a positive number"),
        (lambda: EarlyStopping(mode="least"), "mode must be 'min' or 'max', got 'least'"),
    ],
)
def test_errors(make, text):
    with pytest.raises(ValueError, match=text):
        train(make(), epochs=1)
