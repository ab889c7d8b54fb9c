"""Optimisers and schedules step by step: the same parameters, state and rates over many steps."""

from __future__ import annotations

import inspect
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
COMMON = {"weight_decay": [0, 0.05], "maximize": [0, 1]}
DECOUPLED = {**COMMON, "betas": [(0.9, 0.999), (0.5, 0.9)], "eps": [1e-8, 1e-3], "decoupled_weight_decay": [0, 1]}
FORMULAS = {
    "RMSprop": table(alpha=[0.99, 0.5], eps=[1e-8, 1e-3], momentum=[0, 0.9], centered=[0, 1], **COMMON),
    "Adagrad": table(lr_decay=[0, 0.1], initial_accumulator_value=[0, 0.5], eps=[1e-10, 1e-3], **COMMON),
    "Adadelta": table(rho=[0.9, 0.5, 1.0], eps=[1e-6, 1e-3], **COMMON),
    "Adamax": table(betas=[(0.9, 0.999), (0.5, 0.9)], eps=[1e-8, 1e-3], **COMMON),
    "NAdam": table(momentum_decay=[4e-3, 0.1], **DECOUPLED),
    "RAdam": table(**DECOUPLED),
    "ASGD": table(lambd=[1e-4, 0.1], alpha=[0.75, 0.5], t0=[1e6, 5], **COMMON),
    "Rprop": table(etas=[(0.5, 1.2), (0.3, 2.0)], step_sizes=[(1e-6, 50), (1e-3, 0.02)], maximize=[0, 1]),
}
FLAGS = ("nesterov", "amsgrad", "maximize", "centered", "decoupled_weight_decay")
CASES = [
    *(("SGD", o) for o in SGD), *(("Adam", o) for o in ADAM), *(("AdamW", o) for o in ADAM),
    ("Adam", {"decoupled_weight_decay": 1, "weight_decay": 0.1}),
    *((name, o) for name, many in FORMULAS.items() for o in many),
]  # fmt: skip
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
    options = {k: bool(v) if k in FLAGS else v for k, v in options.items()}
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
    torch.set_default_dtype(getattr(torch, dtype))  # PyTorch keeps mu_product, eta and mu in the default dtype
    ours, theirs = [start(t, name, options, dtype) for t in (tg, torch)]
    for step in range(STEPS):
        advance(tg, *ours, step, dtype)
        advance(torch, *theirs, step, dtype)
        same_parameters(ours[0], theirs[0], dtype, f"step {step}")


STATEFUL = [
    ("SGD", {"momentum": 0.9}), ("SGD", {}), ("Adam", {"amsgrad": True}), ("AdamW", {}), ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "centered": True}), *((name, {}) for name in FORMULAS if name != "RMSprop"),
    ("ASGD", {"t0": 3}),
]  # fmt: skip
NUMBERS = ("step", "mu_product", "eta", "mu")


def plain(value, t):
    """Return nested state with tensors as lists, and counts of steps as ints."""
    if isinstance(value, dict):
        return {k: pytest.approx(float(v)) if k in NUMBERS else plain(v, t) for k, v in value.items()}
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
    assert ours["param_groups"] == theirs["param_groups"]


@pytest.mark.parametrize(("name", "options"), STATEFUL)
def test_pytorchs_state_can_be_taken_over(name, options):
    torch.set_default_dtype(torch.float64)
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


@pytest.mark.parametrize(("name", "options"), STATEFUL)
def test_pytorch_takes_over_our_state(name, options):
    torch.set_default_dtype(torch.float64)
    ours, theirs = [start(t, name, options) for t in (tg, torch)]
    for step in range(5):
        advance(tg, *ours, step)
    state = ours[1].state_dict()
    as_torch = {
        i: {k: torch.tensor(v.numpy()) if isinstance(v, tg.Tensor) else v for k, v in values.items()}
        for i, values in state["state"].items()
    }
    theirs[1].load_state_dict({**state, "state": as_torch})
    with torch.no_grad():
        for a, b in zip(ours[0], theirs[0], strict=True):
            b.copy_(torch.tensor(a.detach().numpy()))
    for step in range(5, 12):
        advance(tg, *ours, step)
        advance(torch, *theirs, step)
        same_parameters(ours[0], theirs[0], "float64", f"step {step}")


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", *FORMULAS])
def test_signatures(name):
    found = [inspect.signature(getattr(t.optim, name)).parameters for t in (tg, torch)]
    ours, theirs = [{k: (p.default, p.kind) for k, p in parameters.items()} for parameters in found]
    assert ours == theirs
    ours, theirs = [[k for k, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD] for parameters in found]
    assert ours == theirs


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", *FORMULAS])
def test_the_rate_may_be_a_tensor(name):
    found = []
    for t in (tg, torch):
        p = t.nn.Parameter(t.tensor([1.0, -2.0], dtype=t.float64))
        rate = t.tensor(0.5, dtype=t.float64)
        optimizer = getattr(t.optim, name)([p], lr=rate)
        for step in range(4):
            p.grad = t.tensor([step + 1.0, -1.0], dtype=t.float64)
            optimizer.step()
            rate.mul_(0.5)
        found.append(p.detach().numpy())
    np.testing.assert_allclose(*found, rtol=1e-6)


def test_step_hooks():
    found = []
    for t in (tg, torch):
        seen = []
        p = t.nn.Parameter(t.tensor([1.0]))
        optimizer = t.optim.SGD([p], lr=1.0)
        first = optimizer.register_step_pre_hook(
            lambda o, args, kwargs, seen=seen: seen.append(("pre", len(args), kwargs))
        )
        replacing = optimizer.register_step_pre_hook(lambda o, args, kwargs: ((args[0], lambda: 7), {}))
        optimizer.register_step_post_hook(
            lambda o, args, kwargs, seen=seen: seen.append(
                (len(args), type(o).__name__, o.param_groups[0]["params"][0].item())
            )
        )
        p.grad = t.tensor([0.25])
        seen.append(optimizer.step())
        first.remove()
        replacing.remove()
        seen.append(optimizer.step(closure=lambda: 3))
        optimizer.register_step_pre_hook(lambda o, args, kwargs: 5)
        with pytest.raises(RuntimeError):
            optimizer.step()
        found.append(seen)
    assert found[0] == found[1]


def test_hooks_of_a_step_of_ones_own():
    found = []
    for t in (tg, torch):

        class Sign(t.optim.Optimizer):
            def __init__(self, params, lr=0.5, t=t):
                self.t = t
                super().__init__(params, {"lr": lr})

            def step(self, closure=None):
                with self.t.no_grad():
                    for group in self.param_groups:
                        for p in group["params"]:
                            p.add_(p.grad.sign(), alpha=-group["lr"])

        p = t.nn.Parameter(t.tensor([1.0, 2.0]))
        optimizer, calls = Sign([p]), []
        optimizer.register_step_post_hook(lambda o, args, kwargs, calls=calls: calls.append(o.param_groups[0]["lr"]))
        schedule = t.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        for _ in range(3):
            p.grad = t.tensor([1.0, -3.0])
            optimizer.step()
            schedule.step()
        found.append([*calls, *p.tolist()])
    assert found[0] == found[1]


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
    lambda t, p: t.optim.RMSprop([p], alpha=-1),
    lambda t, p: t.optim.RMSprop([p], momentum=-1),
    lambda t, p: t.optim.Adagrad([p], lr_decay=-1),
    lambda t, p: t.optim.Adagrad([p], initial_accumulator_value=-1),
    lambda t, p: t.optim.Adadelta([p], rho=1.5),
    lambda t, p: t.optim.NAdam([p], momentum_decay=-1),
    lambda t, p: t.optim.RAdam([p], betas=(1.0, 0.9)),
    lambda t, p: t.optim.Adamax([p], eps=-1),
    lambda t, p: t.optim.ASGD([p], lr=-1),
    lambda t, p: t.optim.Rprop([p], etas=(1.5, 1.2)),
    lambda t, p: t.optim.Rprop([p], weight_decay=0.1),
    lambda t, p: t.optim.SGD([p], lr=t.tensor([0.1, 0.2])),
    lambda t, p: t.optim.SGD([p], fused=True, foreach=True),
    lambda t, p: t.optim.SGD([("a", p), t.nn.Parameter(t.zeros(1))]),
    lambda t, p: t.optim.SGD([("a", p)]).add_param_group({"params": [t.nn.Parameter(t.zeros(1))]}),
    lambda t, p: t.optim.SGD([p]).add_param_group({"params": [("a", t.nn.Parameter(t.zeros(1)))]}),
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
