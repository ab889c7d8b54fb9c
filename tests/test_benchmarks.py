"""benchmarks/: every workload that is not slow agrees with PyTorch, and the timer does what it says.  Nothing is timed."""

from __future__ import annotations

import gc
import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn as tg

torch = pytest.importorskip("torch", reason="the benchmarks need PyTorch: pip install 'tinygrad_cnn[parity]'")
sys.path.append(str(Path(__file__).parents[1]))  # last, so that an installed tinygrad_cnn stays the one that is tested

from benchmarks import __main__ as command  # noqa: E402
from benchmarks import algorithms as convolution  # noqa: E402
from benchmarks import augmentation, layouts, mnist, report, runner, timing, workloads  # noqa: E402
from benchmarks import data as loaders  # noqa: E402
from benchmarks.frameworks import Ours, Torch  # noqa: E402
from benchmarks.verify import VerificationError, relative_error, verify  # noqa: E402
from benchmarks.workloads import WORKLOADS, Workload, select, steps  # noqa: E402

pytestmark = pytest.mark.parity


@pytest.fixture(autouse=True)
def _threads():
    before = tg.get_num_threads(), torch.get_num_threads()
    yield
    tg.set_num_threads(before[0])
    torch.set_num_threads(before[1])


# ---- workloads ----


@pytest.mark.parametrize("workload", select([], slow=False), ids=lambda w: w.name)
def test_workload_agrees_with_pytorch(workload):
    tg.set_num_threads(2)
    torch.set_num_threads(1)  # PyTorch's threads collapse where a processor is shared with other tests
    errors = runner.check(workload, runner.build_sides(workload))
    assert set(errors) == {"ours", "NCHW"} | ({"chan.last"} if workload.formats else set())


def test_names_are_unique():
    names = [w.name for w in WORKLOADS]
    assert len(set(names)) == len(names)


def test_select():
    assert [w.name for w in select(["RESNET18"], slow=False)] == ["resnet18 training step, batch 8, SGD"]
    assert {w.family for w in select(["conv2d forward*7x7"], slow=False)} == {"conv2d other forward"}
    assert not any(w.slow for w in select([], slow=False))
    assert len(select([], slow=True)) == len(WORKLOADS)


@pytest.mark.parametrize("net", steps.NETS, ids=lambda net: net.name)
def test_multiplications_of_a_network(net):
    """The table's counts are those of our layers, and the PyTorch twin computes the same logits."""
    options = dict(net.options)
    ours, theirs = Ours().model(net.name, **options).eval(), Torch().model(net.name, **options).eval()
    counts = []

    def count(layer, args, y):
        counts.append(y.numel() * layer.weight.numel() // layer.weight.shape[0])

    for layer in ours.modules():
        if isinstance(layer, (tg.nn.Conv2d, tg.nn.Linear)):
            layer.register_forward_hook(count)
    x = np.random.default_rng(0).standard_normal((1, *net.image), dtype=np.float32)
    with tg.no_grad(), torch.no_grad():
        y, expected = ours(tg.tensor(x)), theirs(torch.tensor(x))
    assert relative_error(y.numpy(), expected.numpy()) < 1e-4
    assert (sum(counts), counts[0]) == (net.products, net.first)


# ---- verification ----


def _tensor(*values):
    return torch.tensor(values)


def test_verify_accepts_and_measures():
    runs = {"ours": lambda: _tensor(3.0, 4.0 + 1e-4), "NCHW": lambda: _tensor(3.0, 4.0)}
    errors = verify(runs, lambda: _tensor(3.0, 4.0), 1e-4, "ours")
    assert errors["ours"] == pytest.approx(2e-5, rel=0.01)
    assert errors["NCHW"] == 0


@pytest.mark.parametrize("wrong", [(3.0, 4.1), (3.0, float("nan")), (3.0, 4.0, 5.0), (0.0, 0.0)], ids=str)
def test_verify_rejects(wrong):
    runs = {"ours": lambda: _tensor(*wrong), "NCHW": lambda: _tensor(3.0, 4.0)}
    with pytest.raises(VerificationError, match="ours has an error"):
        verify(runs, lambda: _tensor(3.0, 4.0), 1e-4, "ours")


def test_verify_rejects_a_missing_gradient():
    runs = {"ours": lambda: (_tensor(1.0),), "NCHW": lambda: (_tensor(1.0), _tensor(2.0))}
    with pytest.raises(ValueError, match="zip"):
        verify(runs, lambda: (_tensor(1.0), _tensor(2.0)), 1e-4, "ours")


def test_network_is_lenient_in_float32_only():
    off, right = (lambda: _tensor(1.001)), (lambda: _tensor(1.0))
    runs = {"ours": lambda: _tensor(1.002), "NCHW": off}
    assert verify(runs, right, 1e-4, "ours", double=right)["ours"] == pytest.approx(2e-3, rel=0.01)
    with pytest.raises(VerificationError, match="float64"):
        verify(runs, right, 1e-4, "ours", double=off)
    with pytest.raises(VerificationError, match="ours has an error"):
        verify(runs, right, 1e-4, "ours")


# ---- the timer ----


class Clock:
    """A clock that moves only when a side works."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def __call__(self):
        return self.now

    def side(self, name, *seconds):
        """Return a side whose calls take these times in turn."""
        count = 0

        def run():
            nonlocal count
            assert name in "ab"
            self.calls.append((name, gc.isenabled()))
            self.now += seconds[count % len(seconds)]
            count += 1

        return run


def _alternate(clock, seconds, **sides):
    return timing.alternate(sides, seconds, clock=clock, cpu_clock=clock)


def test_sides_alternate():
    clock = Clock()
    timings = _alternate(clock, 1.0, a=clock.side("a", 0.02), b=clock.side("b", 0.05))
    warm_up = 2  # calls of each side: one to warm up, one to calibrate
    timed = clock.calls[2 * warm_up :]
    rounds = len(timings["a"].samples)
    assert timed == [("a", False), ("b", False)] * rounds  # and the garbage collector is off
    assert gc.isenabled()
    assert rounds == 15  # 1 s / 0.07 s, rounded up
    assert timings["a"].samples == pytest.approx([0.02] * rounds)
    assert timings["b"].busy == pytest.approx(1)


def test_a_sample_is_long_enough_and_preceded_by_an_untimed_one():
    clock = Clock()
    timings = _alternate(clock, 0.05, a=clock.side("a", 3e-5), b=clock.side("b", 2e-3))
    assert timings["a"].calls * 3e-5 >= timing.SAMPLE
    assert timings["a"].median == pytest.approx(3e-5)
    assert timings["b"].calls == 1
    last = [name for name, _ in clock.calls[-2 * (timings["a"].calls + 1) :]]
    assert last == ["a"] * 2 * timings["a"].calls + ["b"] * 2


def test_median_and_spread_use_every_sample():
    clock = Clock()
    timings = _alternate(clock, 0.0, a=clock.side("a", 0.1, 0.1, 0.2, 0.1, 9.0, 0.3, 0.4))
    found = timings["a"]
    assert len(found.samples) == timing.ROUNDS  # whatever the budget
    assert sorted(found.samples) == pytest.approx([0.1, 0.2, 0.3, 0.4, 9.0])
    assert found.median == pytest.approx(0.3)
    assert found.spread == pytest.approx((0.4 - 0.2) / 0.3)


def test_collector_is_restored_after_an_error():
    def fail():
        raise KeyboardInterrupt

    clock = Clock()
    runs = iter([lambda: None, lambda: setattr(clock, "now", 1.0)])
    with pytest.raises(KeyboardInterrupt):
        _alternate(clock, 1.0, a=lambda: next(runs, fail)())
    assert gc.isenabled()


# ---- the table and the commands ----


def _result(ours, nchw, last=None):
    sides = {"ours": ours, "NCHW": nchw} | ({"chan.last": last} if last else {})
    timings = {name: timing.Timing((seconds,), 1, 1.0) for name, seconds in sides.items()}
    return report.Result(Workload("w", "f", None, flops=6e9, operations=2), 1, timings, {"ours": 1e-7})


def test_ratios():
    result = _result(2.0, 6.0, 3.0)
    assert result.seconds("ours") == 1.0  # of one operation
    assert (result.ratio("NCHW"), result.ratio("chan.last"), result.best_ratio) == (3.0, 1.5, 1.5)
    assert result.rate(result.workload.flops) == 6
    alone = _result(2.0, 6.0)
    assert (alone.ratio("chan.last"), alone.best_ratio) == (None, 3.0)
    assert "4.24" in report.summary([_result(1.0, 3.0), _result(1.0, 6.0)])  # the geometric mean


def _main(module, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, arguments)])
    return module.main()


def test_command_lists(monkeypatch, capsys):
    assert _main(command, monkeypatch, "--list", "--only", "resnet20") == 0
    assert capsys.readouterr().out == "resnet20 training step, batch 128, SGD  (slow)\n"


def test_command_times_and_writes(monkeypatch, capsys, tmp_path):
    file = tmp_path / "results.json"
    options = ("--only", "relu*6@28", "max_pool2d forward*16@10", "--seconds", 0, "--threads", 1, "--json", file)
    assert _main(command, monkeypatch, *options) == 0
    table = capsys.readouterr().out
    assert "relu fwd+bwd 6@28 N64" in table
    content = json.loads(file.read_text())
    assert content["machine"]["PyTorch"] == torch.__version__
    assert content["limits"]["1"]["GFLOP/s"] > 0
    pool, relu = content["results"]
    assert set(pool["sides"]) == {"ours", "NCHW", "chan.last"}
    assert pool["ratio best"] == pytest.approx(min(pool["ratio NCHW"], pool["ratio channels_last"]))
    assert relu["ratio channels_last"] is None
    assert relu["sides"]["ours"]["samples"] >= timing.ROUNDS


def test_what_fails_is_reported_and_not_timed(monkeypatch, capsys):
    def wrong(fw, random):
        return lambda: fw.tensor(np.float32([2.0 if fw.name == "ours" else 1.0]))

    def broken(fw, random):
        raise RuntimeError("no such kernel")

    bad = [Workload("wrong one", "f", wrong), Workload("broken one", "f", broken)]
    monkeypatch.setattr(workloads, "WORKLOADS", bad)
    assert _main(command, monkeypatch, "--threads", 1) == 1
    out = capsys.readouterr().out
    assert "FAILED: VerificationError: ours has an error of 1.0e+00" in out
    assert "FAILED: RuntimeError: no such kernel" in out
    assert "2 of 2 FAILED" in out


def _write_digits(folder, prefix, count):
    random = np.random.default_rng(count)
    images, labels = random.integers(0, 256, (count, 28, 28), np.uint8), random.integers(0, 10, count, np.uint8)
    for name, array in ((f"{prefix}-images-idx3", images), (f"{prefix}-labels-idx1", labels)):
        sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
        content = bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()
        (folder / f"{name}-ubyte.gz").write_bytes(gzip.compress(content))


def test_mnist_command(monkeypatch, capsys, tmp_path):
    _write_digits(tmp_path, "train", 130)
    _write_digits(tmp_path, "t10k", mnist.TEST_BATCH)
    file = tmp_path / "mnist.json"
    assert _main(mnist, monkeypatch, "--root", tmp_path, "--epochs", 2, "--json", file) == 0
    assert "ours: " in capsys.readouterr().out
    sides = json.loads(file.read_text())["sides"]
    assert [len(side["accuracy"]) for side in sides.values()] == [2, 2]


def test_mnist_command_without_data(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("TINYGRAD_CNN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert _main(mnist, monkeypatch, "--root", tmp_path) == 1
    assert "train-images-idx3-ubyte.gz" in capsys.readouterr().err


def test_the_benchmark_of_loaders(monkeypatch, capsys):
    assert _main(loaders, monkeypatch, "--count", 130, "--seconds", 0) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| thousand images a second")
    assert len(lines) == 6


def test_the_benchmark_of_augmentation(monkeypatch, capsys):
    small = [case._replace(count=20, batch=4) for case in augmentation.CASES]
    monkeypatch.setattr(augmentation, "CASES", small)
    assert _main(augmentation, monkeypatch, "--only", "resnet20", "--seconds", 0) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("| resnet20, batch 4 | ")
    images = np.random.default_rng(0).integers(0, 256, (4, 256, 256, 3), np.uint8)
    augmentation.check(images, small[0].training)
    augmentation.check(images, small[0].testing)


# ---- algorithms of convolution ----


def test_the_benchmark_of_algorithms(capsys, monkeypatch):
    monkeypatch.setattr(
        sys, "argv", ["algorithms", "--only", "weight grad 3x3 3>16", "--seconds", "0", "--threads", "2"]
    )
    convolution.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["pass", "direct", "winograd2", "winograd4", "choice", "regret"]
    assert lines[1].startswith("conv2d weight grad 3x3 3>16 @32 N128 ")
    assert lines[1].split()[-2] == "direct"
    assert lines[-1].startswith("regret: ")
    assert tg.get_conv_algorithm() == "auto"


def test_the_algorithm_of_wide_layers():
    wide = [layer for layer in convolution.FITTING if min(layer.shapes[1][:2]) >= 16]
    names = {convolution.choice(layer, which) for layer in wide for which in convolution.PASSES}
    assert names == {"winograd4"}


def test_the_benchmark_of_layouts_finds_what_it_replaces(tmp_path):
    layouts.edit(tmp_path / "ext")


def test_the_benchmark_of_memory(capsys, monkeypatch):
    from benchmarks import memory

    monkeypatch.setattr("sys.argv", ["memory", "--only", "lenet5 training step, batch 1, SGD"])
    assert memory.main() == 0
    rows = [line.rsplit(maxsplit=2) for line in capsys.readouterr().out.splitlines()[1:]]
    assert [name.strip() for name, *_ in rows] == [f"lenet5, {side}" for side in memory.SIDES]
    before = [float(cell) for _, cell, _ in rows]
    assert 0 < before[0] < before[1]  # without PyTorch in memory
