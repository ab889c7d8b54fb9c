"""SGD, Adam and AdamW step by step against the formulas in NumPy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim

SHAPES = [(), (5,), (3, 4), (0,)]
STEPS = 6
TOLERANCES = {"float32": {"rtol": 2e-6, "atol": 2e-7}, "float64": {"rtol": 1e-13, "atol": 1e-14}}


def sgd(p, grads, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False):
    """Return p after all steps."""
    buffer = None
    for g in grads:
        g = (-g if maximize else g) + weight_decay * p
        if momentum:
            buffer = g if buffer is None else momentum * buffer + (1 - dampening) * g
            g = g + momentum * buffer if nesterov else buffer
        p = p - lr * g
    return p


def adam(
    p, grads, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, maximize=False, decoupled=False
):
    """Return p after all steps."""
    m = v = peak = np.zeros_like(p)
    for t, g in enumerate(grads, 1):
        g = -g if maximize else g
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        peak = np.maximum(peak, v)
        second = (peak if amsgrad else v) / (1 - betas[1] ** t)
        p = p - lr * m / (1 - betas[0] ** t) / (np.sqrt(second) + eps)
    return p


def adamw(p, grads, weight_decay=1e-2, **options):
    return adam(p, grads, weight_decay=weight_decay, decoupled=True, **options)


def table(**choices):
    """Return every combination as a dictionary."""
    return [dict(zip(choices, values)) for values in product(*choices.values())]


SGD_OPTIONS = [
    options
    for options in table(
        lr=[0.1], momentum=[0.0, 0.9], dampening=[0.0, 0.3], weight_decay=[0.0, 0.05], nesterov=[False, True],
        maximize=[False, True],
    )
    if not options["nesterov"] or (options["momentum"] and not options["dampening"])
]  # fmt: skip
ADAM_OPTIONS = table(
    lr=[0.02], betas=[(0.9, 0.999), (0.0, 0.5)], eps=[1e-8, 0.1], weight_decay=[0.0, 0.1], amsgrad=[False, True],
    maximize=[False, True],
)  # fmt: skip
CASES = [
    *[(optim.SGD, sgd, options) for options in SGD_OPTIONS],
    *[(optim.Adam, adam, options) for options in ADAM_OPTIONS],
    *[(optim.AdamW, adamw, options) for options in ADAM_OPTIONS],
    (optim.SGD, sgd, {"lr": 1e-3}),
    (optim.Adam, adam, {}),
    (optim.AdamW, adamw, {}),
]


def case_id(value):
    if isinstance(value, dict):
        return ",".join(f"{k}={v}" for k, v in value.items() if v) or "defaults"
    return value.__name__ if isinstance(value, type) else ""


def data(dtype):
    """Return starting values and the gradients of each step."""
    rng = np.random.default_rng(7)
    starts = [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]
    grads = [[rng.standard_normal(shape).astype(dtype) * 3**-k for shape in SHAPES] for k in range(STEPS)]
    return starts, [[np.asarray(g, dtype) for g in step] for step in grads]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("optimizer", "formula", "options"), CASES, ids=case_id)
def test_formula(optimizer, formula, options, dtype):
    starts, grads = data(dtype)
    parameters = [nn.Parameter(tg.tensor(p)) for p in starts]
    stepper = optimizer(parameters, **options)
    for step in grads:
        for p, g in zip(parameters, step, strict=True):
            p.grad = tg.tensor(g)
        stepper.step()
    for i, p in enumerate(parameters):
        expected = formula(starts[i].astype(np.float64), [step[i].astype(np.float64) for step in grads], **options)
        assert p.dtype.name == dtype
        np.testing.assert_allclose(p.detach().numpy(), expected, **TOLERANCES[dtype])


LAYOUTS = {"transposed": lambda t: t.T, "every second": lambda t: t[:, ::2], "expanded": lambda t: t[:1].expand(4, 6)}


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
@pytest.mark.parametrize("what", ["parameter", "gradient"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_in_memory_make_no_difference(name, what, layout):
    if (what, layout) == ("parameter", "expanded"):
        return  # cannot be written
    rng = np.random.default_rng(3)
    strange = LAYOUTS[layout](tg.tensor(rng.standard_normal((4, 6))))
    plain = tg.tensor(rng.standard_normal(tuple(strange.shape)))
    value, grad = (strange, plain) if what == "parameter" else (plain, strange)
    results = []
    for p, g in ((value.clone().contiguous(), grad.clone().contiguous()), (value, grad)):
        p = nn.Parameter(p)
        options = {"momentum": 0.9} if name == "SGD" else {"amsgrad": True}
        stepper = getattr(optim, name)([p], lr=0.1, weight_decay=0.1, **options)
        for _ in range(3):
            p.grad = g
            stepper.step()
        results.append(p.detach().numpy().copy())
    np.testing.assert_allclose(results[0], results[1], **TOLERANCES["float64"])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_do_not_depend_on_threads(threads):
    rng = np.random.default_rng(1)
    start, grad = rng.standard_normal((2, 50_000)).astype(np.float32)
    before = tg.get_num_threads()
    results = []
    for n in (1, threads):
        tg.set_num_threads(n)
        p = nn.Parameter(tg.tensor(start))
        for stepper in (optim.SGD([p], 0.1, 0.9), optim.Adam([p])):
            p.grad = tg.tensor(grad)
            stepper.step()
            stepper.step()
        results.append(p.detach().numpy().copy())
    tg.set_num_threads(before)
    np.testing.assert_array_equal(results[0], results[1])


def test_extreme_gradients():
    p = nn.Parameter(tg.zeros(4))
    p.grad = tg.tensor([1e-30, 1e30, float("nan"), -float("inf")])
    optim.SGD([p], 1.0).step()
    np.testing.assert_array_equal(p.detach().numpy(), np.array([-1e-30, -1e30, np.nan, np.inf], np.float32))
