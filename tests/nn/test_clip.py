"""Gradient clipping against the formula in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.nn.utils import clip_grad_norm_, clip_grad_value_

GRADS = [np.array([[3.0, -4.0]]), np.array([12.0]), np.array(-0.5)]


def parameters():
    """Three parameters with gradients, and one without."""
    made = [nn.Parameter(tg.zeros(g.shape, dtype=tg.float64)) for g in GRADS]
    for p, g in zip(made, GRADS, strict=True):
        p.grad = tg.tensor(g)
    return [*made, nn.Parameter(tg.zeros(2))]


def norm(order):
    flat = np.concatenate([g.reshape(-1) for g in GRADS])
    return np.linalg.norm(flat, order)


@pytest.mark.parametrize("order", [1, 2, 2.0, 3, 0.5, -1, float("inf"), "inf", -float("inf")])
@pytest.mark.parametrize("most", [0.1, 5.0, 1000.0])
def test_norm(order, most):
    ps = parameters()
    total = clip_grad_norm_(iter(ps), most, order)
    expected = norm(float(order))
    assert total.item() == pytest.approx(expected, rel=1e-12)
    scale = min(1.0, most / (expected + 1e-6))
    for p, g in zip(ps, GRADS):
        np.testing.assert_allclose(p.grad.numpy(), g * scale, rtol=1e-12)
    assert ps[-1].grad is None


def test_norm_below_the_limit_changes_no_bit():
    ps = parameters()
    clip_grad_norm_(ps, 100)
    assert [p.grad.tolist() for p in ps[:-1]] == [g.tolist() for g in GRADS]


def test_norm_of_one_tensor_and_of_none():
    p = parameters()[0]
    assert clip_grad_norm_(p, 1.0).item() == pytest.approx(5)
    assert p.grad.numpy() == pytest.approx(np.array([[0.6, -0.8]]), rel=1e-5)
    assert clip_grad_norm_([nn.Parameter(tg.zeros(2))], 1.0).item() == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_norm_that_is_not_finite(bad):
    p = nn.Parameter(tg.zeros(2))
    p.grad = tg.tensor([1.0, bad])
    with pytest.raises(RuntimeError, match=f"get_total_norm: the norm of order 2.0 is {bad}"):
        clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
    assert p.grad[0].item() == 1
    assert not clip_grad_norm_(p, 1.0).isfinite()


def test_value():
    ps = parameters()
    clip_grad_value_(iter(ps), 1.5)
    assert [p.grad.tolist() for p in ps[:-1]] == [[[1.5, -1.5]], [1.5], -0.5]
    clip_grad_value_(ps[0], 0.5)
    assert ps[0].grad.tolist() == [[0.5, -0.5]]


def test_clipping_records_nothing():
    p = nn.Parameter(tg.ones(2))
    (p * p).sum().backward(create_graph=True)
    p.grad = p.grad.detach()
    assert not clip_grad_norm_([p], 0.1).requires_grad
    assert not p.grad.requires_grad
