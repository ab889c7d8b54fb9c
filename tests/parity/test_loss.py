"""Losses: reductions, weights, ignored and smoothed targets, probabilities, shapes."""

import itertools

import numpy as np
import pytest

from .compare import Const, agree, agree_or_both_reject, both_reject, check_all, normal, rows

REDUCTIONS = ["mean", "sum", "none"]
SHAPES = [(5, 4), (4,), (5, 4, 3), (2, 4, 3, 2), (1, 4), (5, 1), (2, 4, 1, 1)]


def classes_for(shape, ignored=None):
    count = shape[1] if len(shape) > 1 else shape[0]
    targets = np.random.default_rng(len(shape)).integers(0, count, (shape[0], *shape[2:]) if len(shape) > 1 else ())
    if ignored is not None and targets.size > 1:
        targets.reshape(-1)[::2] = ignored
    return targets


def data(shape, ignored=None, dtype=np.float64):
    count = shape[1] if len(shape) > 1 else shape[0]
    p = np.abs(normal(*shape, seed=3, dtype=dtype)) + 0.1
    return {
        "x": normal(*shape, dtype=dtype) * 3, "y": classes_for(shape, ignored), "p": p / p.sum(1 if len(shape) > 1 else 0, keepdims=True),
        "w": Const(np.abs(normal(count, seed=4, dtype=dtype)) + 0.2),
    }  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy(reduction, shape, dtype):
    codes = [
        f"F.cross_entropy(x, y, reduction={reduction!r}, {options})"
        for options in ("", "weight=w", "label_smoothing=0.1", "weight=w, label_smoothing=0.3", "label_smoothing=1.0", "ignore_index=1",
                        "ignore_index=1, weight=w", "ignore_index=1, weight=w, label_smoothing=0.2")
    ]  # fmt: skip
    codes += [f"F.cross_entropy(x, p, reduction={reduction!r}, {options})" for options in
              ("", "weight=w", "label_smoothing=0.1", "weight=w, label_smoothing=0.3")]  # fmt: skip
    check_all([(code, data(shape, dtype=dtype)) for code in codes])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("ignored", [-100, -1, 1, 255])
def test_ignored_targets(ignored, shape):
    check_all([
        (f"F.{loss}(x, y, reduction={reduction!r}, ignore_index={ignored}, {options})", data(shape, ignored))
        for loss in ("cross_entropy", "nll_loss")
        for reduction in REDUCTIONS
        for options in ("", "weight=w", *(["label_smoothing=0.1", "weight=w, label_smoothing=0.1"] if loss == "cross_entropy" else []))
    ])  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nll_loss(reduction, shape, dtype):
    codes = [
        f"F.nll_loss(x, y, reduction={reduction!r}, {options})"
        for options in ("", "weight=w", "ignore_index=0", "weight=w, ignore_index=2")
    ]
    check_all([(code, data(shape, dtype=dtype)) for code in codes])


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss"])
@pytest.mark.parametrize("shape", [(3, 4), (5,), (), (2, 1, 3), (0, 3)], ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_regression(reduction, shape, name):
    inputs = {"x": normal(*shape), "y": normal(*shape, seed=1)}
    check_all([(f"F.{name}(x, {y}, reduction={reduction!r})", inputs) for y in ("y", "y.detach()", "x", "y.float()")])


@pytest.mark.parametrize(
    "code",
    rows("""
    F.cross_entropy(x, y)
    F.cross_entropy(x, y, w)
    F.cross_entropy(input=x, target=y, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0)
    F.cross_entropy(x, y, size_average=False)
    F.cross_entropy(x, y, reduce=False)
    F.cross_entropy(x, y, size_average=True, reduce=True)
    F.nll_loss(x, y, size_average=False)
    F.nll_loss(x, y, reduce=False)
    F.mse_loss(x, p, size_average=False)
    F.mse_loss(x, p, reduce=False)
    F.l1_loss(x, p, size_average=True)
    F.cross_entropy(x, p.detach())
    F.cross_entropy(x.detach(), p)
    F.cross_entropy(x, p * 2 - 1)
    F.cross_entropy(x.t(), y[:4])
    F.cross_entropy(x[:, ::2], y * 0)
    F.cross_entropy(x[::2], y[::2])
    F.cross_entropy(x[:1].expand(5, 4), y)
    F.cross_entropy(x[:0], y[:0])
    F.cross_entropy(x[:0], y[:0], reduction="sum")
    F.cross_entropy(x[:0], y[:0], reduction="none")
    F.cross_entropy(x[:0], p[:0])
    F.nll_loss(x[:0], y[:0])
    F.nll_loss(x[:0], y[:0], reduction="sum")
    F.cross_entropy(x * 1000, y)
    F.cross_entropy(x * 1000, p)
    F.cross_entropy(x, y * 0 - 100)
    F.cross_entropy(x, y * 0 - 100, reduction="sum")
    F.cross_entropy(x, y, weight=w * 0)
    F.nll_loss(F.log_softmax(x, 1), y) - F.cross_entropy(x, y)
    F.nll_loss(F.log_softmax(x, 1), y, w) + F.cross_entropy(x, y, w)
    F.nll_loss(x.log_softmax(1).exp(), y, reduction="none")
    F.mse_loss(x, p.mean(0, keepdim=True).expand(5, 4))
    F.cross_entropy(x, y).backward() is None
    F.mse_loss(x, x), F.l1_loss(x, x)
    F.mse_loss(x.long().double(), p), F.l1_loss(x.float(), p)
    F.cross_entropy(x.float(), y, weight=w.float()), F.nll_loss(x.float(), y, w.float())
    F.nll_loss(x, y.byte())
    F.cross_entropy(x, y.byte())
"""),
)
def test_forms(code):
    agree(code, **data((5, 4)))


@pytest.mark.filterwarnings("ignore:.*differs from input")
@pytest.mark.parametrize(
    "code",
    ["F.mse_loss(x, p[:1])", "F.l1_loss(x, p[0])", "F.mse_loss(x[:1], p)", "F.l1_loss(x[0, 0], p, reduction='none')"],
)
def test_broadcast_targets(code):
    agree(code, **data((5, 4)))


@pytest.mark.parametrize(
    "code",
    rows("""
    F.cross_entropy(x, y + 4)
    F.cross_entropy(x, y - 5)
    F.cross_entropy(x, y[:3])
    F.cross_entropy(x, y[:, None])
    F.cross_entropy(x, y[0])
    F.cross_entropy(x, p[:, :3])
    F.cross_entropy(x, p[0])
    F.cross_entropy(x, y.double())
    F.cross_entropy(x, y.int())
    F.cross_entropy(x, y > 0)
    F.cross_entropy(x.long(), y)
    F.cross_entropy(x, y, w[:3])
    F.cross_entropy(x, y, w[None])
    F.cross_entropy(x, y, w.float())
    F.cross_entropy(x, y, reduction="nonsense")
    F.cross_entropy(x, y, reduction=None)
    F.cross_entropy(x, y, label_smoothing=1.5)
    F.cross_entropy(x[0, 0], y[0])
    F.cross_entropy(x, None)
    F.cross_entropy(None, y)
    F.cross_entropy(x, [1, 2])
    F.cross_entropy(x, 1)
    F.cross_entropy([1.0], y)
    F.cross_entropy(x, p, weight=w[:3])
    F.nll_loss(x, y + 4)
    F.nll_loss(x, y - 5)
    F.nll_loss(x, y[:3])
    F.nll_loss(x, y.double())
    F.nll_loss(x, p)
    F.nll_loss(x, y, w[:3])
    F.nll_loss(x, y, w.float())
    F.nll_loss(x, y, reduction="nonsense")
    F.nll_loss(x[0, 0], y[0])
    F.nll_loss(x, None)
    F.nll_loss(None, y)
    F.mse_loss(x, p[:, :3])
    F.mse_loss(x, p, reduction="nonsense")
    F.l1_loss(x, p[:, :3])
    F.l1_loss(x, p, reduction="nonsense")
"""),
)
@pytest.mark.filterwarnings("ignore:.*differs from input")
def test_errors(code):
    both_reject(code, **data((5, 4)))


def test_probabilities_of_every_shape():
    for shape, reduction in itertools.product(SHAPES, REDUCTIONS):
        agree_or_both_reject(f"F.cross_entropy(x, p.detach(), reduction={reduction!r})", **data(shape))
