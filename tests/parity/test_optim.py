"""Optimisers and schedules step by step: the same parameters, state and rates over many steps."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="parity needs torch 2.13.0")
pytestmark = pytest.mark.parity

import tinygrad_cnn as tg  # noqa: E402

from .twins import close  # noqa: E402

SHAPES = [(7,), (3, 4), ()]
STEPS = 40
TOLERANCES = {"float32": (1e-6, 1e-6), "float64": (1e-12, 1e-12)}


def table(**choices):
    """Return every combination as a dictionary."""
    return [dict(zip(choices, values)) for values in product(*choices.values())]


SGD = [
    options
    for options in table(
        momentum=[0, 0.9], dampening=[0, 0.3], weight_decay=[0, 0.05], nesterov=[0, 1], maximize=[0, 1]
    )
    if not options["nesterov"] or (options["momentum"] and not options["dampening"])
]
ADAM = table(betas=[(0.9, 0.999), (0.5, 0.9)], eps=[1e-8, 1e-3], weight_decay=[0, 0.1], amsgrad=[0, 1], maximize=[0, 1])
CASES = [*(("SGD", o) for o in SGD), *(("Adam", o) for o in ADAM), *(("AdamW", o) for o in ADAM)]
IDS = [f"{name}-" + ",".join(f"{k}={v}" for k, v in options.items() if v) for name, options in CASES]


def parameters(t, dtype="float64"):
    rng = np.random.default_rng(0)
    return [t.nn.Parameter(t.tensor(np.asarray(rng.standard_normal(s), dtype))) for s in SHAPES]


def gradient(step, i, dtype="float64"):
    """Return a gradient whose size changes; never near 0, where Adam's first step divides rounding errors by each other."""
    rng = np.random.default_rng([step, i])
    sizes = rng.uniform(0.5, 1.5, SHAPES[i]) * 10.0 ** rng.integers(0, 2, SHAPES[i])
    return np.asarray(sizes * rng.choice([-1, 1], SHAPES[i]), dtype)


def start(t, name, options, dtype="float64", lr=0.01):
    params = parameters(t, dtype)
    options = {k: bool(v) if k in ("nesterov", "amsgrad", "maximize") else v for k, v in options.items()}
    groups = [{"params": params[:2]}, {"params": params[2:], "lr": 3 * lr, "weight_decay": 0.02}]
    return params, getattr(t.optim, name)(groups, lr=lr, **options)


def advance(t, params, optimizer, step, dtype="float64"):
    for i, p in enumerate(params):
        skip = i == 1 and step % 3 == 0  # now and then a parameter without a gradient
        p.grad = None if skip else t.tensor(gradient(step, i, dtype))
    optimizer.step()


def same_parameters(ours, theirs, dtype, where):
    for a, b in zip(ours, theirs, strict=True):
        close(a, b, *TOLERANCES[dtype], where)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_steps(name, options, dtype):
    ours, theirs = [start(t, name, options, dtype) for t in (tg, torch)]
    for step in range(STEPS):
        advance(tg, *ours, step, dtype)
        advance(torch, *theirs, step, dtype)
        same_parameters(ours[0], theirs[0], dtype, f"step {step}")


STATEFUL = [("SGD", {"momentum": 0.9}), ("SGD", {}), ("Adam", {"amsgrad": True}), ("AdamW", {})]


def plain(value, t):
    """Return nested state with tensors as lists, and counts of steps as ints."""
    if isinstance(value, dict):
        return {k: int(v) if k == "step" else plain(v, t) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, t) for v in value]
    return value.shape if isinstance(value, t.Tensor) else value


@pytest.mark.parametrize(("name", "options"), STATEFUL)
def test_state_has_pytorchs_names_and_shapes(name, options):
    states = []
    for t in (tg, torch):
        params, optimizer = start(t, name, options)
        advance(t, params, optimizer, 0)
        advance(t, params, optimizer, 1)
        states.append(plain(optimizer.state_dict(), t))
    ours, theirs = states
    stateless = {k: v for k, v in theirs["state"].items() if any(x is not None for x in v.values())}
    assert ours["state"] == stateless
    for a, b in zip(ours["param_groups"], theirs["param_groups"], strict=True):
        assert a == {k: b[k] for k in a}


@pytest.mark.parametrize(("name", "options"), STATEFUL)
def test_pytorchs_state_can_be_taken_over(name, options):
    theirs = start(torch, name, options)
    for step in range(5):
        advance(torch, *theirs, step)
    ours = start(tg, name, options, lr=0.5)
    state = theirs[1].state_dict()
    for values in state["state"].values():
        values.update({k: tg.tensor(v.numpy()) for k, v in values.items() if v is not None})
    ours[1].load_state_dict({**state, "state": {k: dict(v) for k, v in state["state"].items()}})
    theirs = resumed(name, options, theirs)
    with tg.no_grad():
        for a, b in zip(ours[0], theirs[0], strict=True):
            a.copy_(tg.tensor(b.detach().numpy()))
    for step in range(5, 12):
        advance(tg, *ours, step)
        advance(torch, *theirs, step)
        same_parameters(ours[0], theirs[0], "float64", f"step {step}")


def resumed(name, options, before):
    """Return PyTorch's optimizer again as it was after 5 steps: the state above was changed in place."""
    after = start(torch, name, options)
    for step in range(5):
        advance(torch, *after, step)
    same_parameters(after[0], before[0], "float64", "the same steps again")
    return after


# ---- schedules ----

SCHEDULES = {
    "StepLR": lambda s, o: s.StepLR(o, 7, 0.3),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [3, 8, 8, 21], 0.5),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 10, 1e-3),
    "CosineAnnealingLR once": lambda s, o: s.CosineAnnealingLR(o, 30),
    "LambdaLR": lambda s, o: s.LambdaLR(o, [lambda e: 0.95**e, lambda e: 1 / (e + 1)]),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, [0.5, 2.0], total_steps=31),
    "OneCycleLR linear": lambda s, o: s.OneCycleLR(o, 0.5, epochs=5, steps_per_epoch=7, anneal_strategy="linear"),
    "OneCycleLR in three phases": lambda s, o: s.OneCycleLR(o, 0.5, 40, three_phase=True, pct_start=0.4),
    "OneCycleLR with own factors": lambda s, o: s.OneCycleLR(
        o, 0.5, 33, pct_start=0.0, div_factor=3.0, final_div_factor=7.0, base_momentum=[0.7, 0.6], max_momentum=0.9
    ),
    "OneCycleLR without momentum": lambda s, o: s.OneCycleLR(o, 0.5, 33, cycle_momentum=False),
    "chained": lambda s, o: [s.StepLR(o, 4, 0.5), s.CosineAnnealingLR(o, 9)],
}


def hyperparameters(optimizer):
    keys = ("lr", "momentum", "betas", "initial_lr")
    return [value for g in optimizer.param_groups for k in keys if k in g for value in np.ravel(g[k])]


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
def test_schedule(make, name):
    found = []
    for t in (tg, torch):
        _, optimizer = start(t, name, {"momentum": 0.3} if name == "SGD" else {}, lr=0.2)
        made = make(t.optim.lr_scheduler, optimizer)
        made = made if isinstance(made, list) else [made]
        steps = [hyperparameters(optimizer)]
        for _ in range(30):
            optimizer.step()
            for schedule in made:
                schedule.step()
            steps.append([*hyperparameters(optimizer), *made[-1].get_last_lr()])
        found.append(steps)
    for step, (ours, theirs) in enumerate(zip(*found, strict=True)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15, err_msg=f"step {step}")


RESUMED = {k: v for k, v in SCHEDULES.items() if "OneCycle" not in k and k != "chained"}


@pytest.mark.parametrize("last_epoch", [0, 2, 6, 9])
@pytest.mark.parametrize("make", RESUMED, ids=RESUMED)
def test_resuming_by_last_epoch(make, last_epoch):
    makers = {
        "StepLR": lambda s, o: s.StepLR(o, 7, 0.3, last_epoch),
        "MultiStepLR": lambda s, o: s.MultiStepLR(o, [3, 8, 8, 21], 0.5, last_epoch),
        "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 10, 1e-3, last_epoch),
        "CosineAnnealingLR once": lambda s, o: s.CosineAnnealingLR(o, 30, last_epoch=last_epoch),
        "LambdaLR": lambda s, o: s.LambdaLR(o, lambda e: 0.95**e, last_epoch),
    }
    found = []
    for t in (tg, torch):
        _, optimizer = start(t, "SGD", {})
        for group in optimizer.param_groups:
            group["initial_lr"] = 0.7
        schedule = makers[make](t.optim.lr_scheduler, optimizer)
        rates = [schedule.get_last_lr()]
        for _ in range(12):
            optimizer.step()
            schedule.step()
            rates.append(schedule.get_last_lr())
        found.append(rates)
    np.testing.assert_allclose(*found, rtol=1e-12)


# ---- errors ----

BAD = [
    lambda t, p: t.optim.SGD([], lr=0.1),
    lambda t, p: t.optim.SGD(p, lr=0.1),
    lambda t, p: t.optim.SGD([3], lr=0.1),
    lambda t, p: t.optim.SGD([p * 2], lr=0.1),
    lambda t, p: t.optim.SGD([p], lr=-0.1),
    lambda t, p: t.optim.SGD([p], momentum=-0.1),
    lambda t, p: t.optim.SGD([p], weight_decay=-0.1),
    lambda t, p: t.optim.SGD([p], nesterov=True),
    lambda t, p: t.optim.SGD([p], rate=1),
    lambda t, p: t.optim.SGD([{"params": [p]}, {"params": [p]}]),
    lambda t, p: t.optim.SGD([{"params": {p}}]),
    lambda t, p: t.optim.SGD([p]).add_param_group([p]),
    lambda t, p: t.optim.Adam([p], lr=-1),
    lambda t, p: t.optim.Adam([p], eps=-1),
    lambda t, p: t.optim.Adam([p], betas=(1, 0.9)),
    lambda t, p: t.optim.Adam([p], betas=(0.9, -0.1)),
    lambda t, p: t.optim.AdamW([p], weight_decay=-1),
    lambda t, p: t.optim.SGD([p]).load_state_dict({"param_groups": [], "state": {}}),
    lambda t, p: t.optim.lr_scheduler.StepLR([p], 1),
    lambda t, p: t.optim.lr_scheduler.StepLR(t.optim.SGD([p]), 1, last_epoch=2),
    lambda t, p: t.optim.lr_scheduler.LambdaLR(t.optim.SGD([p]), [abs, abs]),
    lambda t, p: t.optim.lr_scheduler.OneCycleLR(t.optim.SGD([p]), 1.0),
    lambda t, p: t.optim.lr_scheduler.OneCycleLR(t.optim.SGD([p]), 1.0, -3),
    lambda t, p: t.optim.lr_scheduler.OneCycleLR(t.optim.SGD([p]), 1.0, 3, pct_start=2.0),
    lambda t, p: t.optim.lr_scheduler.OneCycleLR(t.optim.SGD([p]), 1.0, 3, anneal_strategy="some"),
    lambda t, p: t.optim.lr_scheduler.OneCycleLR(t.optim.SGD([p]), [1.0, 2.0], 3),
]


@pytest.mark.parametrize("call", BAD, ids=range(len(BAD)))
def test_errors_have_pytorchs_class(call):
    kinds = []
    for t in (tg, torch):
        with pytest.raises(Exception) as caught:  # noqa: PT011
            call(t, t.nn.Parameter(t.zeros(2)))
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]


def test_closure():
    found = []
    for t in (tg, torch):
        p = t.nn.Parameter(t.tensor([1.0, -2.0], dtype=t.float64))
        optimizer = t.optim.SGD([p], lr=0.1, momentum=0.9)

        def closure(p=p, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (p**2).sum()
            loss.backward()
            return loss

        found.append([optimizer.step(closure).item() for _ in range(5)] + p.tolist())
    np.testing.assert_allclose(*found, rtol=1e-14)
