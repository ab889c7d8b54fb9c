"""A training that is stopped anywhere ends, when it goes on, with the bits of one that was not."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import optim
from tinygrad_cnn.training import Callback, EarlyStopping, ModelCheckpoint, Trainer, fit
from tinygrad_cnn.utils.data import DataLoader, Subset, SubsetRandomSampler, TensorDataset

from . import nets

BATCHES = 7  # in an epoch of 50 images


def stop() -> None:
    raise RuntimeError("stop here")


def check(folder: Path, batches: int, make: Any = nets.loader, **options: Any) -> None:
    """Compare a run that is cut off, and goes on from the file written after so many batches, with one that is not."""
    expected = nets.finish(nets.everything(folder / "whole.safetensors", 0, **options), make())
    path = folder / "run.safetensors"
    with pytest.raises(RuntimeError, match="stop here"):
        nets.finish(nets.everything(path, 0, nets.StopAt(batches + 1, stop), **options), make())
    tg.manual_seed(99)
    trainer = nets.everything(path, 1, **options)  # other weights
    trainer.load(path)
    assert divmod(batches, len(make())) == (trainer.epoch, trainer.batch)
    assert nets.finish(trainer, make()) == expected


@pytest.mark.parametrize("batches", [1, 3, BATCHES - 1, BATCHES, 2 * BATCHES + 4])
def test_resume_anywhere(tmp_path, batches):
    check(tmp_path, batches)


def seeded(**options: Any) -> DataLoader:
    return nets.loader(generator=tg.Generator().manual_seed(5), **options)


def one_by_one() -> DataLoader:
    data = nets.Images()
    data.batch = None
    return DataLoader(data, 8, shuffle=True)


@pytest.mark.parametrize(
    "make",
    [
        seeded, lambda: seeded(num_workers=2), lambda: nets.loader(num_workers=2), one_by_one,
        lambda: DataLoader(nets.Images(), 8, sampler=SubsetRandomSampler(range(49))),
        lambda: DataLoader(Subset(nets.Images(), range(40)), 8, shuffle=True, drop_last=True),
    ],
    ids=["generator", "generator and workers", "workers", "one by one", "sampler", "subset"],
)  # fmt: skip
def test_resume_with_any_loader(tmp_path, make):
    check(tmp_path, 3, make)


@pytest.mark.parametrize(
    "options",
    [
        {"accumulate": 1}, {"accumulate": 3}, {"ema": None}, {"clip_value": 0.01},
        {"scheduler_interval": "epoch", "scheduler": lambda o: optim.lr_scheduler.MultiStepLR(o, [1, 2])},
        {"scheduler": lambda o: optim.lr_scheduler.SequentialLR(
            o, [optim.lr_scheduler.LinearLR(o, 0.1, total_iters=3), optim.lr_scheduler.CosineAnnealingLR(o, 9)], [3])},
        {"scheduler": lambda o: optim.lr_scheduler.CyclicLR(o, 1e-3, 1e-2, cycle_momentum=False, step_size_up=2)},
        {"scheduler": None},
    ],
    ids=["each", "three", "no average", "values clipped", "each epoch", "one after the other", "cyclic", "constant"],
)  # fmt: skip
def test_resume_with_any_options(tmp_path, options):
    check(tmp_path, 4, **options)


@pytest.mark.parametrize("kind", ["last", "random", "stratified"])
def test_resume_holds_the_same_samples_back(tmp_path, kind):
    def run(trainer: Trainer) -> Any:
        trainer.fit(nets.Images(), 3, validation_split=(0.2, kind), batch_size=8)
        return nets.flat(trainer.model.state_dict())

    path = tmp_path / "run.safetensors"
    expected = run(nets.everything(tmp_path / "whole.safetensors", 0))
    with pytest.raises(RuntimeError, match="stop here"):
        run(nets.everything(path, 0, nets.StopAt(7, stop)))
    tg.manual_seed(99)
    trainer = nets.everything(path, 1)
    trainer.load(path)
    assert run(trainer) == expected


def test_killed_process(tmp_path):
    """Nothing of the process is left but the file."""
    command = [sys.executable, "-P", "-m", "training.nets", str(tmp_path / "run.safetensors"), str(BATCHES + 3)]
    tests = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=tests, env=_path(tests), timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]
    trainer = nets.everything(tmp_path / "run.safetensors", 1)
    trainer.load(tmp_path / "run.safetensors")
    assert (trainer.epoch, trainer.batch) == (1, 3 - 1)  # checkpoints come last, after what kills
    assert nets.finish(trainer) == nets.finish(nets.everything(tmp_path / "other.safetensors", 0))


def _path(tests: Path) -> dict[str, str]:
    import os

    package = str(Path(tg.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), package])}


# ---- Ctrl-C ----


def press() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("batches", [1, 4, BATCHES])
def test_interrupted_and_continued(tmp_path, batches):
    expected = nets.finish(nets.everything(tmp_path / "a.safetensors", 0))
    path = tmp_path / "b.safetensors"
    trainer = nets.everything(path, 0, nets.StopAt(batches, press))
    with pytest.raises(KeyboardInterrupt):
        nets.finish(trainer)
    assert trainer.batch == batches
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    copy = path.rename(tmp_path / "copy.safetensors")
    assert nets.finish(trainer) == expected  # in this process
    other = nets.everything(path, 1)  # and in another one
    other.load(copy)
    assert nets.finish(other) == expected


def test_interrupt_waits_for_the_end_of_a_batch(tmp_path):
    class Press(Callback):
        steps = ()

        def on_batch_end(self, trainer: Trainer, logs: dict[str, float]) -> None:
            if trainer.batch == 2:
                press()
            self.steps = (*self.steps, trainer.batch)

    callback = Press()
    path = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fit(
            nets.net(),
            nets.arrays(),
            callbacks=[callback, ModelCheckpoint(path, every=100)],
            progress=False,
            batch_size=8,
        )
    assert callback.steps == (1, 2)
    assert tg.load(path)["counts"]["batch"] == 2  # written because of the interrupt
    assert fit(nets.net(), nets.arrays(), callbacks=[Callback(), ModelCheckpoint(path)], progress=False, batch_size=8,
               resume=path).epochs == 1  # fmt: skip


def test_a_second_interrupt_does_not_wait():
    def loss(output: Any, target: Any) -> Any:
        press()
        press()

    class NotTold(Callback):
        def on_interrupt(self, trainer: Trainer) -> None:
            raise AssertionError("the batch was not finished")

    with pytest.raises(KeyboardInterrupt):
        fit(nets.net(), nets.arrays(), loss=loss, callbacks=[NotTold()], progress=False)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_interrupt_while_workers_are_awaited(tmp_path, context):
    """Ctrl-C reaches all processes of a terminal; it ends workers that were not forked."""
    code = (
        "import os, signal, sys, threading\n"
        "from training import nets\n"
        "def main():\n"
        "    data = nets.DataLoader(nets.SlowImages(), 8, num_workers=1, multiprocessing_context=sys.argv[2])\n"
        "    press = lambda: threading.Timer(0.2, os.killpg, (os.getpgid(0), signal.SIGINT)).start()\n"
        "    nets.everything(sys.argv[1], 0, nets.StopAt(2, press)).fit(data, 9)\n"
        "if __name__ == '__main__':\n"
        "    main()\n"
    )
    tests = Path(__file__).parents[1]
    command = [sys.executable, "-P", "-c", code, str(tmp_path / "run.safetensors"), context]
    done = subprocess.run(
        command, env=_path(tests), timeout=120, check=False, start_new_session=True, capture_output=True, text=True
    )
    assert "Interrupted: in epoch 1, after batch" in done.stderr
    assert tg.load(tmp_path / "run.safetensors")["counts"]["batch"] >= 2


def test_interrupt_during_validation(tmp_path):
    def metric(output: Any, target: Any) -> float:
        if not trainer.model.training:
            press()
        return 0.0

    trainer = Trainer(nets.net(), metrics=[metric], progress=False)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(nets.arrays(), 2, validation_data=nets.arrays(), batch_size=25)
    assert (trainer.epoch, trainer.batch, trainer.history) == (0, 2, {})
    assert not any(not m.training for m in trainer.model.modules())


def test_other_threads_and_handlers_keep_their_interrupts():
    threads = [threading.Thread(target=fit, args=(nets.net(), nets.arrays()), kwargs={"progress": False})]
    threads[0].start()
    threads[0].join()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        fit(nets.net(), nets.arrays(), progress=False)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


# ---- what does not fit ----


def test_checkpoints_that_do_not_fit(tmp_path):
    path = tmp_path / "run.safetensors"
    trainer = Trainer(nets.net(), progress=False, ema=0.5)
    trainer.fit(TensorDataset(tg.zeros(4, 1, 8, 8), tg.tensor([0, 1, 2, 0])))
    trainer.save(path)
    with pytest.raises(ValueError, match="only one of the checkpoint and this trainer has averaged"):
        Trainer(nets.net()).load(path)
    with pytest.raises(ValueError, match="has EarlyStopping 0"):
        Trainer(nets.net(), ema=0.5, callbacks=[EarlyStopping()]).load(path)
    same = Trainer(nets.net(), ema=0.5, callbacks=[Callback()])  # which has no state
    same.load(path)
    with pytest.raises(ValueError, match="states of 1 generators, this loader uses 2"):
        same.fit(seeded())
    tg.save(nets.net().state_dict(), path)
    with pytest.raises(ValueError, match=r"only one .* has model, optimizer"):
        Trainer(nets.net()).load(path)
