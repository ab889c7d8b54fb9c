"""benchmarks/results: the recipes, a training that goes on where it was stopped, and the page."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from data import idx

import tinygrad_cnn as tg

torch = pytest.importorskip("torch", reason="the benchmarks need PyTorch: pip install 'tinygrad_cnn[parity]'")
pytest.importorskip("matplotlib", reason="pictures: pip install 'tinygrad_cnn[examples]'")
sys.path.append(str(Path(__file__).parents[1]))  # last, so that an installed tinygrad_cnn stays the one that is tested

from parity.twins import both, close, gradients  # noqa: E402

from benchmarks.results import __main__ as command  # noqa: E402
from benchmarks.results import page, training  # noqa: E402
from benchmarks.results.program import run_program  # noqa: E402
from benchmarks.results.recipes import ALL, NETWORKS, OURS, SGD, Program, Recipe, zoo  # noqa: E402
from benchmarks.results.training import Run  # noqa: E402

pytestmark = pytest.mark.parity
TINY = Recipe("LeNet, tiny", "MNIST", zoo("lenet5"), 3, SGD(0.01), batch=4, seeds=(0, 1), libraries=(OURS, "torch"))


@pytest.fixture(autouse=True)
def _threads():
    before = tg.get_num_threads(), torch.get_num_threads()
    yield
    tg.set_num_threads(before[0])
    torch.set_num_threads(before[1])


@pytest.fixture
def roots(tmp_path):
    idx.write(tmp_path / "files")
    return {"MNIST": str(tmp_path / "files")}


# ---- recipes ----


def test_names_are_unique():
    assert len({recipe.name for recipe in ALL}) == len(ALL)


@pytest.mark.parametrize("recipe", [r for r in NETWORKS if isinstance(r, Recipe)], ids=lambda r: r.name)
def test_networks_agree_with_pytorch(recipe):
    ours, theirs = both(recipe.network)
    shape = (4, 3, 32, 32) if "CIFAR" in recipe.data else (4, 1, 28, 28)
    x = tg.randn(*shape, dtype=tg.float64)
    scores = [net.eval()(images) for net, images in ((ours, x), (theirs, torch.from_numpy(x.numpy())))]
    close(*scores, 1e-9, 1e-9)
    for y in scores:
        y.square().sum().backward()
    found, expected = gradients(ours), gradients(theirs)
    for name, grad in expected.items():
        close(found[name], grad, 1e-7, 1e-9 * abs(grad).max(), name)


@pytest.mark.parametrize("recipe", [r for r in ALL if r not in NETWORKS], ids=lambda r: r.name)
def test_networks_of_effects(recipe):
    assert recipe.network(tg).eval()(tg.randn(2, 3, 32, 32)).shape == (2, 10)


def test_a_part_of_the_images_is_always_the_same(roots):
    first, second = (replace(TINY, count=5).sets(roots)[0].indices for _ in range(2))
    assert first == second
    assert len(set(first)) == 5


# ---- trainings ----


@pytest.mark.parametrize("name", [OURS, "torch"])
def test_what_was_stopped_goes_on(roots, tmp_path, monkeypatch, name):
    whole = training.train(TINY, name, 0, roots, tmp_path)

    def stop(self):
        if self.run.loss:
            raise KeyboardInterrupt  # in the second epoch
        epoch(self)

    epoch = training.Training.epoch
    monkeypatch.setattr(training.Training, "epoch", stop)
    with pytest.raises(KeyboardInterrupt):
        training.train(TINY, name, 0, roots, tmp_path)
    monkeypatch.setattr(training.Training, "epoch", epoch)
    resumed = training.train(TINY, name, 0, roots, tmp_path)
    assert (resumed.loss, resumed.test_error) == (whole.loss, whole.test_error)
    assert len(whole.loss) == TINY.epochs
    assert not list(tmp_path.glob("*.unfinished"))


def test_both_libraries_start_alike(roots):
    ours, theirs = (training.Training(TINY, name, 0, roots) for name in (OURS, "torch"))
    for key, value in ours.model.state_dict().items():
        close(value, theirs.model.state_dict()[key], 0, 0, key)


def test_a_program_is_run_and_read(tmp_path):
    file = tmp_path / "program.py"
    file.write_text("""for n in (1, 2):
    print(f"pass {n}: error {n + 0.25:.2f} % while training, {n + 0.5:.2f} % in the test")
""")
    program = Program("two passes", "MNIST", zoo("lenet5"), str(file), "by a rule of its own", 2, 100)
    run = run_program(program, 3, tmp_path)
    assert (run.recipe, run.library, run.seed, run.images) == ("two passes", OURS, 3, 100)
    assert run.train_error == pytest.approx([0.0125, 0.0225])
    assert run.test_error == pytest.approx([0.015, 0.025])
    assert run.seconds[0] == run.seconds[1] > 0
    with pytest.raises(RuntimeError, match="ended with status 0 after 2 of 3 passes"):
        run_program(replace(program, epochs=3), 3, tmp_path)


# ---- the command ----


def _main(monkeypatch, folder, *arguments):
    options = ["--runs", folder / "runs.jsonl", "--docs", folder / "docs", *arguments]
    monkeypatch.setattr(sys, "argv", ["results", *map(str, options)])
    command.main()


def test_command(monkeypatch, tmp_path, capsys):
    idx.write(tmp_path / "mnist")
    monkeypatch.setenv("TINYGRAD_CNN_DATA", str(tmp_path))
    monkeypatch.setattr(command, "ALL", [TINY])
    monkeypatch.setattr(page, "NETWORKS", [TINY])
    _main(monkeypatch, tmp_path, "--only", "lenet")
    lines = (tmp_path / "runs.jsonl").read_text().splitlines()
    assert [(r["library"], r["seed"]) for r in map(json.loads, lines)] == [(OURS, 0), ("torch", 0), (OURS, 1)]
    assert "LeNet, tiny | tinygrad_cnn | seed 1 | epoch 3/3: loss " in capsys.readouterr().out
    text = (tmp_path / "docs/results.md").read_text()
    assert "| LeNet, tiny | 61,706 | 3: SGD 0.01, one-cycle, batch 4 | " in text
    assert text.count("No run is finished yet.") == 3  # of the effects
    for name in ("learning_curves", "effects"):
        assert f"(images/{name}.png)" in text
        assert (tmp_path / f"docs/images/{name}.png").read_bytes().startswith(b"\x89PNG")
    _main(monkeypatch, tmp_path)
    assert (tmp_path / "runs.jsonl").read_text().splitlines() == lines


def test_list(monkeypatch, tmp_path, capsys):
    _main(monkeypatch, tmp_path, "--list", "--only", "on cifar")
    assert capsys.readouterr().out == "ResNet-20 on CIFAR-10\n"


# ---- the page ----


def _run(recipe, seed, train, test):
    return Run(
        recipe, OURS, seed, 100, [1.0] * len(train), [1.0] * len(train), train, [*[None] * (len(train) - 1), test]
    )


def test_effects():
    runs = [_run("small: base", seed, [0.1], 0.4) for seed in range(3)]
    runs += [_run("small: dropout", seed, [0.2 + 0.01 * seed], 0.4 + 0.01 * (seed - 1)) for seed in range(3)]
    row = page.pair_row("dropout", runs)
    assert row == [
        "dropout", "40.0 ± 0.0", "40.0 ± 1.0", "+0.0 ± 0.6 (noise)", "10.0 ± 0.0", "21.0 ± 1.0", "+11.0 ± 0.6",
    ]  # fmt: skip
    assert page.pair_row("augmentation", runs) == []
    assert page.difference([1.0], [3.0]) == "+2.0 (one seed)"


def test_epochs_until_a_training_error():
    runs = [_run("small: Tanh at 0.01", seed, errors, 0.5) for seed, errors in enumerate([[0.5, 0.2], [0.5, 0.3]])]
    assert page.activation_row("Tanh", 0.01, runs)[2] == "2, more than 2"
