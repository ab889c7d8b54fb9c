"""Learning-rate schedules against their closed formulas."""

from __future__ import annotations

import math

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim
from tinygrad_cnn.optim import lr_scheduler as schedules


def optimizer(*rates, cls=optim.SGD, **options):
    groups = [{"params": [nn.Parameter(tg.zeros(1))], "lr": rate} for rate in rates or (0.5,)]
    return cls(groups, **options)


def rates(make, steps, *starts, **options):
    """Return the rates of all groups: at the start, and after each step."""
    opt = optimizer(*starts, **options)
    scheduler = make(opt)
    result = [[g["lr"] for g in opt.param_groups]]
    for _ in range(steps):
        opt.step()
        scheduler.step()
        result.append([g["lr"] for g in opt.param_groups])
        assert scheduler.get_last_lr() == result[-1]
    return result


def cosine(t, period, low, high):
    return low + (high - low) * (1 + math.cos(math.pi * t / period)) / 2


# The schedule, and its rate at step t from a starting rate.
CLOSED = {
    "StepLR": (lambda o: schedules.StepLR(o, 3), lambda t, lr: lr * 0.1 ** (t // 3)),
    "StepLR gamma": (lambda o: schedules.StepLR(o, 1, gamma=0.9), lambda t, lr: lr * 0.9**t),
    "MultiStepLR": (
        lambda o: schedules.MultiStepLR(o, [2, 5, 5, 9], 0.5), lambda t, lr: lr * 0.5 ** sum(t >= m for m in (2, 5, 5, 9)),
    ),
    "CosineAnnealingLR": (lambda o: schedules.CosineAnnealingLR(o, 12), lambda t, lr: cosine(t, 12, 0, lr)),
    "CosineAnnealingLR beyond": (
        lambda o: schedules.CosineAnnealingLR(o, 4, eta_min=0.01), lambda t, lr: cosine(t, 4, 0.01, lr),
    ),
    "CosineAnnealingLR of 1": (lambda o: schedules.CosineAnnealingLR(o, 1, 0.1), lambda t, lr: cosine(t, 1, 0.1, lr)),
    "LambdaLR": (lambda o: schedules.LambdaLR(o, lambda t: 1 / (1 + t)), lambda t, lr: lr / (1 + t)),
}  # fmt: skip


@pytest.mark.parametrize(("make", "formula"), CLOSED.values(), ids=CLOSED)
def test_closed_formula(make, formula):
    found = rates(make, 12, 0.5, 2.0)
    for t, pair in enumerate(found):
        assert pair == pytest.approx([formula(t, 0.5), formula(t, 2.0)], rel=1e-12, abs=1e-15), f"step {t}"


def test_lambda_for_each_group():
    found = rates(lambda o: schedules.LambdaLR(o, [lambda t: t, lambda t: 2**-t]), 3, 1.0, 1.0)
    assert found == [[0, 1], [1, 0.5], [2, 0.25], [3, 0.125]]


def one_cycle(t, total, peak, pct=0.3, div=25.0, final=1e4, linear=False, three=False):
    """Return the rate and the momentum (0.85 to 0.95) of OneCycleLR at step t."""
    top, start = pct * total - 1, peak / div
    phases = [(0.0, top, start, peak, 0.95, 0.85), (top, total - 1, peak, start / final, 0.85, 0.95)]
    if three:
        phases[1:] = [(top, 2 * top, peak, start, 0.85, 0.95), (2 * top, total - 1, start, start / final, 0.95, 0.95)]
    first, last, *values = next(p for p in phases if t <= p[1] or p is phases[-1])
    part = (t - first) / (last - first)
    weight = part if linear else (1 - math.cos(math.pi * part)) / 2
    return values[0] + (values[1] - values[0]) * weight, values[2] + (values[3] - values[2]) * weight


CYCLES = {
    "cos": {},
    "linear": {"anneal_strategy": "linear"},
    "three phases": {"three_phase": True},
    "three linear phases": {"three_phase": True, "anneal_strategy": "linear", "pct_start": 0.4},
    "own factors": {"pct_start": 0.55, "div_factor": 4.0, "final_div_factor": 10.0},
    "no warm-up": {"pct_start": 0.0},
}


@pytest.mark.parametrize("cls", [optim.SGD, optim.Adam])
@pytest.mark.parametrize("options", CYCLES.values(), ids=CYCLES)
def test_one_cycle(options, cls):
    opt = optimizer(0.1, 0.1, cls=cls, **({"momentum": 0.5} if cls is optim.SGD else {}))
    scheduler = schedules.OneCycleLR(opt, [1.0, 3.0], total_steps=20, **options)
    names = {
        "pct_start": "pct", "div_factor": "div", "final_div_factor": "final", "anneal_strategy": "linear", "three_phase": "three",
    }  # fmt: skip
    given = {names[k]: v == "linear" if k == "anneal_strategy" else v for k, v in options.items()}
    for t in range(20):
        for group, peak in zip(opt.param_groups, (1.0, 3.0), strict=True):
            rate, momentum = one_cycle(t, 20, peak, **given)
            assert group["lr"] == pytest.approx(rate, rel=1e-12), f"step {t}"
            found = group["momentum"] if cls is optim.SGD else group["betas"][0]
            assert found == pytest.approx(momentum, rel=1e-12), f"step {t}"
        opt.step()
        scheduler.step()


def test_one_cycle_by_epochs_and_without_momentum():
    opt = optimizer(momentum=0.3)
    scheduler = schedules.OneCycleLR(opt, 1.0, epochs=3, steps_per_epoch=4, cycle_momentum=False)
    assert scheduler.total_steps == 12
    assert opt.param_groups[0]["momentum"] == 0.3
    for _ in range(12):
        scheduler.step()
    with pytest.raises(ValueError, match="step 13 is beyond the 12"):
        scheduler.step()


def test_one_cycle_whose_warm_up_is_one_step():
    found = rates(lambda o: schedules.OneCycleLR(o, 1.0, total_steps=10, pct_start=0.1), 9, momentum=0.9)
    assert found[0] == [1.0]
    assert found[-1] == pytest.approx([0.04 / 1e4])


def test_schedules_can_be_chained():
    opt = optimizer(1.0)
    both = [schedules.StepLR(opt, 2, 0.1), schedules.CosineAnnealingLR(opt, 4)]
    found = []
    for _ in range(4):
        for scheduler in both:
            scheduler.step()
        found.append(opt.param_groups[0]["lr"])
    expected = [cosine(t, 4, 0, 1) * 0.1 ** (t // 2) for t in range(1, 5)]
    assert found == pytest.approx(expected, abs=1e-12)


MAKERS = {
    **{name: make for name, (make, _) in CLOSED.items()},
    "OneCycleLR": lambda o: schedules.OneCycleLR(o, 1.0, total_steps=13),
}


@pytest.mark.parametrize("how", ["in memory", "in a file"])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_state_round_trip(make, how, tmp_path):
    first, second = optimizer(momentum=0.9), optimizer(momentum=0.1)
    a, b = make(first), make(second)
    for _ in range(4):
        a.step()
    state = {"optimizer": first.state_dict(), "scheduler": a.state_dict()}
    if how == "in a file":
        tg.save(state, tmp_path / "state.safetensors")
        state = tg.load(tmp_path / "state.safetensors")
    second.load_state_dict(state["optimizer"])
    b.load_state_dict(state["scheduler"])
    assert b.last_epoch == 4
    for _ in range(8):
        a.step()
        b.step()
        assert second.param_groups[0]["lr"] == first.param_groups[0]["lr"]
        assert second.param_groups[0]["momentum"] == first.param_groups[0]["momentum"]


def test_resuming_by_last_epoch():
    opt = optimizer(0.5)
    with pytest.raises(KeyError, match="group 0 has no 'initial_lr'"):
        schedules.StepLR(opt, 2, last_epoch=3)
    opt.param_groups[0]["initial_lr"] = 1.0
    schedules.LambdaLR(opt, lambda t: 0.5**t, last_epoch=3)
    assert opt.param_groups[0]["lr"] == 0.5**4


ERRORS = {
    "an optimizer": (TypeError, lambda o: schedules.StepLR(o.param_groups, 1)),
    "2 values of lr_lambda": (ValueError, lambda o: schedules.LambdaLR(o, [abs])),
    "give total_steps": (ValueError, lambda o: schedules.OneCycleLR(o, 1.0, epochs=3)),
    "total_steps must be a positive integer": (ValueError, lambda o: schedules.OneCycleLR(o, 1.0, 0)),
    "pct_start must be between": (ValueError, lambda o: schedules.OneCycleLR(o, 1.0, 5, pct_start=1.5)),
    "'cos' or 'linear'": (ValueError, lambda o: schedules.OneCycleLR(o, 1.0, 5, anneal_strategy="exp")),
    "2 values of max_lr": (ValueError, lambda o: schedules.OneCycleLR(o, [1.0], 5)),
}


@pytest.mark.parametrize(("text", "error", "make"), [(k, *v) for k, v in ERRORS.items()], ids=ERRORS)
def test_errors(text, error, make):
    with pytest.raises(error, match=text):
        make(optimizer(0.1, 0.2))


def test_one_cycle_needs_a_momentum_to_cycle():
    class Plain(optim.Optimizer):
        pass

    plain = Plain([nn.Parameter(tg.zeros(1))], {"lr": 0.1})
    with pytest.raises(ValueError, match="cycle_momentum needs an optimizer with momentum or betas"):
        schedules.OneCycleLR(plain, 1.0, 5)
    assert schedules.OneCycleLR(plain, 1.0, 5, cycle_momentum=False).get_last_lr() == pytest.approx([1 / 25])
