"""LBFGS takes PyTorch's steps, with and without a line search, also from a state that was saved."""

import numpy as np
import pytest

from .compare import same_in_both, tg, torch

OPTIONS = [
    {"lr": 1e-3}, {"lr": 1e-3, "max_iter": 7, "history_size": 2}, {"lr": 1e-3, "max_eval": 3},
    {"line_search_fn": "strong_wolfe"}, {"line_search_fn": "strong_wolfe", "lr": 0.02},
    {"line_search_fn": "strong_wolfe", "max_iter": 7, "history_size": 2},
    {"line_search_fn": "strong_wolfe", "tolerance_grad": 1.0},
    {"line_search_fn": "strong_wolfe", "tolerance_change": 1e-2},
]  # fmt: skip


def minimised(t, options):
    """Return losses, parameters and counts of steps on Rosenbrock's function and a power."""
    p = t.tensor([-1.2, 1.0, 0.3, 2.0], dtype=t.float64, requires_grad=True)
    q = t.tensor([[1.0, 2.0]], dtype=t.float64, requires_grad=True)
    unused = t.zeros(1, dtype=t.float64, requires_grad=True)

    def closure():
        optimizer.zero_grad()
        loss = ((1 - p[:-1]) ** 2).sum() + 100 * ((p[1:] - p[:-1] ** 2) ** 2).sum() + (q**4).sum()
        loss.backward()
        return loss

    optimizer = t.optim.LBFGS([p, unused, q], **options)
    seen = []
    for _ in range(3):
        seen += [optimizer.step(closure).item(), *p.tolist(), *q.reshape(-1).tolist()]
        state = optimizer.state_dict()
        seen += [state["state"][0]["func_evals"], state["state"][0]["n_iter"]]
        optimizer = t.optim.LBFGS([p, unused, q], **options)
        optimizer.load_state_dict(state)
    return seen


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_steps_are_those_of_pytorch(options):
    np.testing.assert_allclose(minimised(tg, options), minimised(torch, options), rtol=1e-6, atol=1e-9)


@same_in_both
def test_errors(t):
    p, q = t.zeros(1, requires_grad=True), t.zeros(1, requires_grad=True)
    errors = []
    for make in (
        lambda: t.optim.LBFGS([{"params": [p]}, {"params": [q]}]),
        lambda: t.optim.LBFGS([p], lr=-1.0),
        lambda: t.optim.LBFGS([p]).step(),
    ):
        with pytest.raises((ValueError, TypeError)) as info:
            make()
        errors.append(info.type.__name__)
    return errors
