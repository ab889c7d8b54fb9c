"""Schedules, weight averaging and gradient norms step by step: the same rates, momenta and states as PyTorch's."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="parity needs torch 2.13.0")

import tinygrad_cnn as tg  # noqa: E402

from .compare import same_error  # noqa: E402
from .twins import both, close  # noqa: E402

LIBRARIES = (tg, torch)


class Decay:
    """A callable object, whose attributes a state keeps."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, epoch):
        return self.rate**epoch


def sequential(s, o, *parts, milestones):
    return s.SequentialLR(o, [part(s, o) for part in parts], milestones)


SCHEDULES = {
    "LambdaLR": lambda s, o: s.LambdaLR(o, [lambda e: 0.95**e, Decay(0.5)]),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, [lambda e: 0.95, Decay(0.9)]),
    "StepLR": lambda s, o: s.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [2, 5, 5, 11], 0.3),
    "ConstantLR": lambda s, o: s.ConstantLR(o, 0.25, 4),
    "ConstantLR default": lambda s, o: s.ConstantLR(o),
    "LinearLR": lambda s, o: s.LinearLR(o, 0.2, 0.7, 6),
    "LinearLR default": lambda s, o: s.LinearLR(o),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, 8, 2.0),
    "PolynomialLR default": lambda s, o: s.PolynomialLR(o),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 7, 0.01),
    "WarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 4),
    "WarmRestarts T_mult": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.1, 0.5, 4),
    "CyclicLR triangular2": lambda s, o: s.CyclicLR(o, [0.1, 0.2], [0.5, 0.9], 3, 5, "triangular2"),
    "CyclicLR exp_range": lambda s, o: s.CyclicLR(
        o, 0.1, 0.5, 4, mode="exp_range", gamma=0.9, base_momentum=[0.7, 0.6], max_momentum=0.95
    ),
    "CyclicLR scale_fn": lambda s, o: s.CyclicLR(o, 0.1, 0.5, 4, scale_fn=lambda x: 0.8**x, scale_mode="iterations"),
    "CyclicLR object": lambda s, o: s.CyclicLR(o, 0.1, 0.5, 4, scale_fn=Decay(0.7), cycle_momentum=False),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, [0.5, 2.0], total_steps=31),
    "OneCycleLR three phases": lambda s, o: s.OneCycleLR(o, 0.5, 40, three_phase=True, pct_start=0.4),
    "Sequential": lambda s, o: sequential(
        s, o, lambda s, o: s.LinearLR(o, 0.1), lambda s, o: s.CosineAnnealingLR(o, 9), milestones=[5]
    ),
    "Sequential of many": lambda s, o: sequential(
        s, o,
        lambda s, o: s.ConstantLR(o), lambda s, o: s.ExponentialLR(o, 0.9), lambda s, o: s.StepLR(o, 2),
        lambda s, o: s.PolynomialLR(o), lambda s, o: s.MultiStepLR(o, [1, 2]), lambda s, o: s.LambdaLR(o, Decay(0.8)),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 3),
        milestones=[3, 6, 9, 12, 15, 18],
    ),
    "Sequential of chains": lambda s, o: sequential(
        s, o, lambda s, o: sequential(s, o, lambda s, o: s.StepLR(o, 2), lambda s, o: s.ExponentialLR(o, 0.9), milestones=[4]),
        lambda s, o: s.ConstantLR(o, 0.5, 2), milestones=[9],
    ),
    "Chained": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9), s.StepLR(o, 4)]),
    "Chained cosine": lambda s, o: s.ChainedScheduler([s.LinearLR(o), s.CosineAnnealingLR(o, 6)], optimizer=o),
    "SWALR": lambda s, o: SWA[s].SWALR(o, [0.05, 0.4]),
    "SWALR linear": lambda s, o: SWA[s].SWALR(o, 0.05, 4, "linear"),
    "SWALR at once": lambda s, o: SWA[s].SWALR(o, 0.05, 0),
}  # fmt: skip
SWA = {t.optim.lr_scheduler: t.optim.swa_utils for t in LIBRARIES}


def optimizer(t, name="SGD", lr=0.2):
    params = [t.nn.Parameter(t.zeros(2)) for _ in range(2)]
    groups = [{"params": [params[0]]}, {"params": [params[1]], "lr": lr * 3 if isinstance(lr, float) else lr.clone()}]
    return getattr(t.optim, name)(groups, lr=lr, **({"momentum": 0.3} if name == "SGD" else {}))


def hyperparameters(o):
    keys = ("lr", "momentum", "betas", "initial_lr", "max_lr", "min_lr", "swa_lr", "max_momentum", "base_momentum")
    return [float(value) for g in o.param_groups for k in keys if k in g for value in np.ravel(g[k])]


def quietly(function, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args)


def states(made):
    """Return a schedule's state as plain values."""

    def plain(value):
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(v) for v in value]
        return float(value) if isinstance(value, (tg.Tensor, torch.Tensor)) else value

    return plain(made.state_dict())


def same_states(ours, theirs, where):
    """Raise unless our state has PyTorch's keys and values (but for what it notes about warnings and bound methods)."""
    hidden = {"_get_lr_called_within_step", "_scale_fn_ref"}
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs) - hidden, where
        for key, value in ours.items():
            same_states(value, theirs[key], f"{where}.{key}")
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), where
        for a, b in zip(ours, theirs):
            same_states(a, b, where)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-15), where
    else:
        assert ours == theirs, where


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
def test_schedule(make, name):
    found = []
    for t in LIBRARIES:
        o = optimizer(t, name)
        made = quietly(make, t.optim.lr_scheduler, o)
        steps = [(hyperparameters(o), made.get_last_lr(), states(made))]
        for _ in range(28):
            o.step()
            quietly(made.step)
            steps.append((hyperparameters(o), made.get_last_lr(), states(made)))
        found.append(steps)
    for step, (ours, theirs) in enumerate(zip(*found, strict=True)):
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-12, atol=1e-15, err_msg=f"step {step}")
        np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-12, atol=1e-15, err_msg=f"step {step}")
        same_states(ours[2], theirs[2], f"step {step}")


@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
def test_a_tensor_rate_stays_the_same_tensor(make):
    found = []
    for t in LIBRARIES:
        o = optimizer(t, "Adam", t.tensor(0.2, dtype=t.float64))
        rates = [g["lr"] for g in o.param_groups]
        made = quietly(make, t.optim.lr_scheduler, o)
        steps = [[float(lr) for lr in rates]]
        for _ in range(20):
            o.step()
            quietly(made.step)
            steps.append([float(lr) for lr in rates])
        assert all(g["lr"] is lr for g, lr in zip(o.param_groups, rates))
        assert all(isinstance(lr, t.Tensor) and lr is not rate for lr, rate in zip(made.get_last_lr(), rates))
        found.append(steps)
    np.testing.assert_allclose(*found, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
def test_pytorchs_state_goes_on(make, name):
    theirs = optimizer(torch, name)
    made = quietly(make, torch.optim.lr_scheduler, theirs)
    for _ in range(6):
        theirs.step()
        quietly(made.step)
    state, groups = copy.deepcopy(states(made)), theirs.state_dict()
    ours = optimizer(tg, name)
    again = make(tg.optim.lr_scheduler, ours)
    ours.load_state_dict(groups)
    again.load_state_dict(state)
    for step in range(6, 24):
        theirs.step()
        quietly(made.step)
        again.step()
        np.testing.assert_allclose(hyperparameters(ours), hyperparameters(theirs), rtol=1e-12, err_msg=f"step {step}")


CLOSED = [name for name in SCHEDULES if "Sequential" not in name and "Chained" not in name]


@pytest.mark.parametrize("make", CLOSED)
def test_step_to_an_epoch(make):
    found = []
    for t in LIBRARIES:
        o = optimizer(t)
        made = quietly(SCHEDULES[make], t.optim.lr_scheduler, o)
        rates = []
        for epoch in (3, 4, 9, 2, 12, 5):
            quietly(made.step, epoch)
            rates.append([made.last_epoch, *hyperparameters(o), *made.get_last_lr()])
            quietly(made.step)
            rates.append([made.last_epoch, *hyperparameters(o), *made.get_last_lr()])
        found.append(rates)
    np.testing.assert_allclose(*found, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("last_epoch", [0, 1, 4, 9])
@pytest.mark.parametrize(
    "make",
    [
        lambda s, o, n: s.MultiplicativeLR(o, lambda e: 0.9, n),
        lambda s, o, n: s.ConstantLR(o, 0.5, 3, n),
        lambda s, o, n: s.LinearLR(o, 0.5, 1.0, 6, n),
        lambda s, o, n: s.ExponentialLR(o, 0.9, n),
        lambda s, o, n: s.PolynomialLR(o, 12, 2.0, n),
        lambda s, o, n: s.CosineAnnealingLR(o, 5, 0.01, n),
        lambda s, o, n: s.CosineAnnealingWarmRestarts(o, 4, 1, 0.01, n),
        lambda s, o, n: s.CyclicLR(o, 0.1, 0.5, 4, cycle_momentum=False, last_epoch=n),
        lambda s, o, n: SWA[s].SWALR(o, 0.05, 4, last_epoch=n),
    ],
    ids=[
        "Multiplicative",
        "Constant",
        "Linear",
        "Exponential",
        "Polynomial",
        "Cosine",
        "WarmRestarts",
        "Cyclic",
        "SWALR",
    ],
)
def test_resuming_by_last_epoch(make, last_epoch):
    found = []
    for t in LIBRARIES:
        o = optimizer(t)
        for group in o.param_groups:
            group["initial_lr"] = 0.7
        made = quietly(make, t.optim.lr_scheduler, o, last_epoch)
        rates = [made.get_last_lr()]
        for _ in range(8):
            o.step()
            quietly(made.step)
            rates.append(made.get_last_lr())
        found.append(rates)
    np.testing.assert_allclose(*found, rtol=1e-12, atol=1e-15)


def test_fractions_of_epochs():
    found = []
    for t in LIBRARIES:
        o = optimizer(t)
        made = t.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 2, 3)
        rates = []
        for epoch in np.arange(0, 12, 0.3):
            quietly(made.step, float(epoch))
            rates.append([made.last_epoch, made.T_cur, made.T_i, *hyperparameters(o)])
        found.append(rates)
    np.testing.assert_allclose(*found, rtol=1e-12)


METRICS = [1.0, 0.9, 0.8999, 0.95, 0.95, 0.9, 0.9, 0.91, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, float("nan"), 0.4, 0.4, 0.4, 0.4]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("patience", [0, 2])
@pytest.mark.parametrize("cooldown", [0, 2])
@pytest.mark.parametrize("min_lr", [0, 0.01, [0.0, 0.3]], ids=str)
def test_reduce_on_plateau(mode, threshold_mode, patience, cooldown, min_lr):
    found = []
    for t in LIBRARIES:
        o = optimizer(t)
        made = t.optim.lr_scheduler.ReduceLROnPlateau(
            o, mode, 0.5, patience, 1e-3, threshold_mode, cooldown, min_lr, 1e-4
        )
        steps = []
        for metric in METRICS:
            made.step(t.tensor(metric))
            steps.append(
                [*hyperparameters(o), *made.get_last_lr(), made.num_bad_epochs, made.best, made.cooldown_counter]
            )
        found.append(steps)
        state = states(made)
        made.load_state_dict(state)
    np.testing.assert_allclose(*found, rtol=1e-12)


BAD = [
    lambda s, o: s.ConstantLR(o, 2.0),
    lambda s, o: s.ConstantLR(o, -0.5),
    lambda s, o: s.LinearLR(o, 0.0),
    lambda s, o: s.LinearLR(o, 0.5, 1.5),
    lambda s, o: s.MultiplicativeLR(o, [3, 4]),
    lambda s, o: s.MultiplicativeLR(o, [abs]),
    lambda s, o: s.CosineAnnealingWarmRestarts(o, 0),
    lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 0),
    lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 1, "x"),
    lambda s, o: s.CosineAnnealingWarmRestarts(o, 3).step(-1),
    lambda s, o: s.CyclicLR(o, [0.1], 0.5),
    lambda s, o: s.CyclicLR(o, 0.1, 0.5, mode="some"),
    lambda s, o: s.CyclicLR([], 0.1, 0.5),
    lambda s, o: s.ReduceLROnPlateau(o, "most"),
    lambda s, o: s.ReduceLROnPlateau(o, factor=1.0),
    lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="some"),
    lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]),
    lambda s, o: s.ReduceLROnPlateau([]),
    lambda s, o: s.SequentialLR(o, [], []),
    lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [3]),
    lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1), 3], [3]),
    lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o), s.StepLR(o, 1)], [3]),
    lambda s, o: s.SequentialLR(copy.deepcopy(o), [s.StepLR(o, 1)], []),
    lambda s, o: s.ChainedScheduler([]),
    lambda s, o: s.ChainedScheduler([s.ReduceLROnPlateau(o)]),
    lambda s, o: SWA[s].SWALR(o, [0.1]),
    lambda s, o: SWA[s].SWALR(o, 0.1, -1),
    lambda s, o: SWA[s].SWALR(o, 0.1, anneal_strategy="some"),
    lambda s, o: SWA[s].get_ema_avg_fn(1.5),
    lambda s, o: SWA[s].get_ema_multi_avg_fn(-0.1),
]


@pytest.mark.parametrize("call", BAD, ids=range(len(BAD)))
def test_errors(call):
    found = []
    for t in LIBRARIES:
        try:
            quietly(call, t.optim.lr_scheduler, optimizer(t))
            found.append(None)
        except Exception as error:
            found.append(error)
    same_error(*found)


# ---- weight averaging ----

AVERAGES = {
    "mean": lambda u: {},
    "swa": lambda u: {"avg_fn": u.get_swa_avg_fn()},
    "swa of many": lambda u: {"multi_avg_fn": u.get_swa_multi_avg_fn()},
    "ema": lambda u: {"avg_fn": u.get_ema_avg_fn(0.9)},
    "ema of many": lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.9)},
    "ema with buffers": lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(), "use_buffers": True},
    "one's own": lambda u: {"avg_fn": lambda mean, p, n: mean * 0.5 + p * 0.5 + n},
}


def network(t):
    return t.nn.Sequential(t.nn.Conv2d(1, 3, 3), t.nn.BatchNorm2d(3), t.nn.ReLU(), t.nn.Flatten(), t.nn.Linear(12, 2))


@pytest.mark.parametrize("options", AVERAGES.values(), ids=AVERAGES)
def test_averaged_model(options):
    models = both(network)
    rng = np.random.default_rng(0)
    averaged = [t.optim.swa_utils.AveragedModel(m, **options(t.optim.swa_utils)) for t, m in zip(LIBRARIES, models)]
    batches = rng.standard_normal((4, 5, 1, 4, 4))
    for batch in batches:
        for t, model, mean in zip(LIBRARIES, models, averaged):
            loss = (model(t.tensor(batch)) ** 2).sum()
            model.zero_grad()
            loss.backward()
            t.optim.SGD(model.parameters(), lr=0.01).step()
            mean.update_parameters(model)
        close(*[{k: v.detach().numpy() for k, v in m.state_dict().items()} for m in averaged], 1e-7, 1e-9)
    for t, mean in zip(LIBRARIES, averaged):
        mean.eval()
        t.optim.swa_utils.update_bn([[t.tensor(batch), 0] for batch in batches], mean)
        assert not mean.training
    close(*[{k: v.detach().numpy() for k, v in m.state_dict().items()} for m in averaged], 1e-7, 1e-9)
    close(*[m(t.tensor(batches[0])) for t, m in zip(LIBRARIES, averaged)], 1e-7, 1e-9)
