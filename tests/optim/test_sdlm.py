"""SDLM: its estimates against the formulas of appendix C in NumPy, and its steps."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import models, nn, optim
from tinygrad_cnn.autograd.functional import hessian
from tinygrad_cnn.nn import functional as F


def summed_squares(target):
    return lambda y: (y - target).square().sum()


def curvatures(optimizer):
    return [optimizer.state[p]["curvature"].numpy() for group in optimizer.param_groups for p in group["params"]]


def test_estimates_of_a_linear_layer_are_exact():
    x, target = tg.randn(7, 3, dtype=tg.float64), tg.randn(7, 2, dtype=tg.float64)
    layer = nn.Linear(3, 2).double()
    optimizer = optim.SDLM(layer.parameters())
    optimizer.estimate([layer], x, summed_squares(target))
    exact = hessian(lambda w, b: summed_squares(target)(F.linear(x, w, b)) / 7, tuple(layer.parameters()))
    for i, (p, found) in enumerate(zip(layer.parameters(), curvatures(optimizer))):
        size = p.numel()
        np.testing.assert_allclose(found.ravel(), np.diag(exact[i][i].reshape(size, size).numpy()))


def test_estimates_go_back_by_squares():
    rng = np.random.default_rng(0)
    x, target = rng.standard_normal((5, 1, 6, 6)), rng.standard_normal((5, 3))
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(32, 3)).double()
    optimizer = optim.SDLM(net.parameters())
    optimizer.estimate(net, tg.tensor(x), summed_squares(tg.tensor(target)))
    hw, hb, hv, hc = curvatures(optimizer)

    w, v = net[0].weight.detach().numpy(), net[3].weight.detach().numpy()
    a = np.tanh(net[0](tg.tensor(x)).detach().numpy())
    second = np.full((5, 3), 2 / 5)  # of the mean of squares, with respect to the outputs
    np.testing.assert_allclose(hc, second.sum(0))
    np.testing.assert_allclose(hv, second.T @ a.reshape(5, -1) ** 2)
    second = (second @ v**2).reshape(a.shape) * (1 - a**2) ** 2  # of the convolution's outputs
    np.testing.assert_allclose(hb, second.sum((0, 2, 3)))
    expected = np.zeros_like(w)
    for i, j in np.ndindex(3, 3):
        expected[:, 0, i, j] = (second * x[:, :, i : i + 4, j : j + 4] ** 2).sum((0, 2, 3))
    np.testing.assert_allclose(hw, expected)


def test_estimates_are_those_of_the_mean_and_never_negative():
    net = models.lenet5_1998()
    optimizer = optim.SDLM(net.parameters())
    x, y = tg.randn(4, 1, 32, 32), tg.tensor([1, 2, 3, 4])

    def estimate(x, y):
        optimizer.estimate(net.features, x, lambda f6: models.map_loss(-net.output(f6), y, 50.0, "sum"))
        return curvatures(optimizer)

    once, twice = estimate(x, y), estimate(tg.cat([x, x]), tg.cat([y, y]))
    for a, b in zip(once, twice):
        assert (a >= 0).all()
        np.testing.assert_allclose(a, b, rtol=1e-3)


def test_steps():
    layer = nn.Linear(2, 1, bias=False)
    optimizer = optim.SDLM(layer.parameters(), lr=0.1, mu=0.5)
    before = layer.weight.detach().clone()
    x = tg.tensor([[1.0, 2.0]])
    optimizer.estimate([layer], x, summed_squares(tg.zeros(1, 1)))
    layer(x).square().sum().backward()
    optimizer.step()
    expected = before - 0.1 * layer.weight.grad / (tg.tensor([[2.0, 8.0]]) + 0.5)
    tg.testing.assert_close(layer.weight.detach(), expected)


def test_frozen_parameters_are_left_alone():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    net[0].weight.requires_grad_(False)
    optimizer = optim.SDLM([p for p in net.parameters() if p.requires_grad])
    optimizer.estimate(net, tg.ones(1, 2), summed_squares(tg.zeros(1, 1)))
    assert len(optimizer.state) == 3


def test_it_resumes_from_its_state():
    net = nn.Linear(2, 1)
    optimizer = optim.SDLM(net.parameters(), lr=0.2)
    optimizer.estimate([net], tg.ones(1, 2), summed_squares(tg.zeros(1, 1)))
    other = optim.SDLM(net.parameters())
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["lr"] == 0.2
    for a, b in zip(curvatures(optimizer), curvatures(other)):
        np.testing.assert_array_equal(a, b)


def test_errors():
    net = nn.Linear(2, 1)
    with pytest.raises(ValueError, match="SDLM: mu must be positive, got 0"):
        optim.SDLM(net.parameters(), mu=0)
    net(tg.ones(1, 2)).sum().backward()
    with pytest.raises(RuntimeError, match=r"call estimate\(\) before step\(\)"):
        optim.SDLM(net.parameters()).step()
