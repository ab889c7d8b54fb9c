"""detect_anomaly: where the first NaN or infinity came from."""

from __future__ import annotations

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn


class Root(nn.Module):
    def forward(self, x: tg.Tensor) -> tg.Tensor:
        return x.sqrt()


def test_a_gradient_that_is_nan_names_the_operation_and_the_module() -> None:
    net = nn.Sequential(nn.Linear(2, 2), Root())
    with tg.no_grad():
        net[0].weight.fill_(0.0)
        net[0].bias.fill_(-1.0)
    with tg.autograd.set_detect_anomaly(True):
        loss = net(tg.ones(1, 2)).sum()
        with pytest.raises(RuntimeError) as caught:
            loss.backward()
    text = str(caught.value)
    assert "Function 'SqrtBackward0' returned nan values in its 0th output" in text
    assert "Sqrt in Sequential.1" in text
    assert "the first NaN of the forward passes was made by Sqrt in Sequential.1, shape (1, 2)" in text
    assert not tg.is_anomaly_enabled()


def test_a_nan_that_only_backward_makes() -> None:
    x = tg.zeros(2, requires_grad=True)
    says = pytest.raises(RuntimeError, match="the first infinity of the forward passes was made by Div")
    with pytest.warns(UserWarning, match="slower"), tg.autograd.detect_anomaly(), says:
        (x * 0 * (1 / x)).sum().backward()


def test_infinities_alone_do_not_raise() -> None:
    x = tg.zeros(2, requires_grad=True)
    with tg.autograd.set_detect_anomaly(True):
        (1 / x).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isinf().all())


def test_check_nan_false_and_nesting() -> None:
    x = tg.zeros(1, requires_grad=True)
    with tg.autograd.set_detect_anomaly(True):
        with tg.autograd.set_detect_anomaly(True, check_nan=False):
            (x / x).backward()
        assert tg.is_anomaly_enabled()
        with pytest.raises(RuntimeError, match="DivBackward"):
            (x / x).backward()
    (x / x).backward()


def test_a_users_function_is_named() -> None:
    class Bad(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, dy):
            return dy * float("nan")

    x = tg.ones(1, requires_grad=True)
    with tg.autograd.set_detect_anomaly(True), pytest.raises(RuntimeError, match="'BadBackward' returned nan"):
        Bad.apply(x).sum().backward()
