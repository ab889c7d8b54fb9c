"""A small network, small data, and a training with everything that has a state."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim
from tinygrad_cnn.datasets.vision import ImagesInMemory
from tinygrad_cnn.training import Callback, EarlyStopping, History, ModelCheckpoint, ReduceLROnPlateau, Trainer
from tinygrad_cnn.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToTensor
from tinygrad_cnn.utils.data import DataLoader

CLASSES = 3


def net(seed: int = 0) -> nn.Sequential:
    tg.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(4 * 6 * 6, CLASSES)
    )


def arrays(count: int = 50, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return images whose brightest third is their class, and the classes."""
    random = np.random.default_rng(seed)
    x, y = random.standard_normal((count, 1, 8, 8), np.float32), random.integers(0, CLASSES, count)
    for image, label in zip(x, y):
        image[0, :, 3 * label : 3 * label + 2] += 2
    return x, y


class Images(ImagesInMemory):
    """Bytes with augmentation."""

    def __init__(self, count: int = 50) -> None:
        super().__init__(
            transform=Compose([RandomCrop(8, 1), RandomHorizontalFlip(), ToTensor(), Normalize((0.5,), (0.5,))])
        )
        x, y = arrays(count)
        self.data, self.targets = (np.clip(x[:, 0], -2, 2) * 60 + 128).astype(np.uint8), y.tolist()


class SlowImages(Images):
    """One by one, and not at once."""

    batch = None

    def __getitem__(self, index: int) -> Any:
        time.sleep(0.05)
        return super().__getitem__(index)


class StopAt(Callback):
    """Do something after a number of batches."""

    def __init__(self, batches: int, action: Any) -> None:
        self.left, self.action = batches, action

    def on_batch_end(self, trainer: Trainer, logs: dict[str, float]) -> None:
        self.left -= 1
        if self.left == 0:
            self.action()


def everything(path: Path, seed: int, stop: Callback | None = None, **options: Any) -> Trainer:
    """Return a trainer with everything that has a state; it writes a checkpoint after each batch."""
    options = {
        "accumulate": 2, "ema": 0.9, "clip_norm": 1.0, "scheduler_interval": "step",
        "scheduler": lambda optimizer: optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=100), **options,
    }  # fmt: skip
    callbacks = [
        ModelCheckpoint(path, every=1), EarlyStopping("val_loss", patience=9, restore_best=True),
        ReduceLROnPlateau("loss", patience=0, threshold=1.0, cooldown=1), stop or Callback(),
    ]  # fmt: skip
    return Trainer(
        net(seed), optimizer=optim.Adam, metrics=["accuracy"], callbacks=callbacks, progress=False, **options
    )


def loader(**options: Any) -> DataLoader:
    return DataLoader(Images(), 8, shuffle=True, **options)


def finish(trainer: Trainer, data: Any = None) -> dict[str, Any]:
    """Train for three epochs; return all that must agree, as arrays and numbers."""
    trainer.fit(loader() if data is None else data, 3, validation_data=arrays(20, 1))
    state = trainer.state_dict()
    del state["counts"]["_seconds"], state["history"]["seconds"]
    return flat(state)


def flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, tg.Tensor):
        return {name: value.numpy().tobytes()}
    if isinstance(value, (dict, list, tuple, History)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, part in items for k, v in flat(part, f"{name}.{key}").items()}
    return {name: value}


if __name__ == "__main__":  # be killed after so many batches
    everything(Path(sys.argv[1]), 0, StopAt(int(sys.argv[2]), lambda: os.kill(os.getpid(), signal.SIGKILL))).fit(
        loader(), 3, validation_data=arrays(20, 1)
    )
