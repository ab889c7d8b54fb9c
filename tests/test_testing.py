"""gradcheck and gradgradcheck accept right gradients and refuse every kind of wrong one, saying what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.autograd import Function
from tinygrad_cnn.testing import GradcheckError, assert_close, gradcheck, gradgradcheck


def planted(forward: Callable[..., Any], backward: Callable[..., Any]) -> Callable[..., Any]:
    """Make an op of a forward and a (wrong) backward(dy, *inputs)."""

    class Planted(Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            ctx.save_for_backward(*inputs)
            return forward(*inputs)

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return backward(dy, *ctx.saved_tensors)

    return Planted.apply


def one_off(g: tg.Tensor) -> tg.Tensor:
    """Spoil the last element."""
    spoiled = g.clone()
    spoiled.view(-1)[-1] *= 1.5
    return spoiled


def matrix(*shape: int) -> tg.Tensor:
    rng = np.random.default_rng(3)
    return tg.tensor(rng.uniform(0.5, 2.0, shape), requires_grad=True)


def weighted(x: tg.Tensor) -> tg.Tensor:
    return x.new_tensor(np.arange(1.0, x.numel() + 1).tolist()).view(x.shape) * x * x


def slope(x: tg.Tensor) -> tg.Tensor:
    return 2 * x * x.new_tensor(np.arange(1.0, x.numel() + 1).tolist()).view(x.shape)


WRONG = {
    "scaled": (weighted, lambda dy, x: 0.5 * dy * slope(x), (3, 3), "scaled by 0.5"),
    "slightly scaled": (weighted, lambda dy, x: 1.01 * dy * slope(x), (3, 3), "scaled by 1.01"),
    "negated": (weighted, lambda dy, x: -dy * slope(x), (3, 3), "sign is flipped"),
    "zero": (weighted, lambda dy, x: 0 * dy, (3, 3), "zero everywhere"),
    "offset": (weighted, lambda dy, x: dy * slope(x) + 0.1, (3, 3), "off by 0.1"),
    "transposed": (weighted, lambda dy, x: (dy * slope(x)).T, (3, 3), "transposed"),
    "shifted": (weighted, lambda dy, x: tg.cat([dy * slope(x)] * 2)[2:5], (3, 2), "shifted by 1 along axis 0"),
    "reversed": (weighted, lambda dy, x: (dy * slope(x))[[2, 1, 0]], (3, 2), "reversed along axis 0"),
    "one element": (weighted, lambda dy, x: one_off(dy * slope(x)), (3, 3), "(2, 2)"),
    "missing sum": (
        lambda x: x * x.new_ones(4, 1),
        lambda dy, x: dy[:1] * 1.0,
        (1, 3),
        "a sum over a broadcast or reduced axis is missing",
    ),
    "softmax without a gradient": (lambda x: x.softmax(-1), lambda dy, x: 0 * dy, (2, 3), "zero everywhere"),
    "not a number": (weighted, lambda dy, x: dy * slope(x) * float("nan"), (2, 2), "NaN"),
}


@pytest.mark.parametrize("fast_mode", [False, True])
@pytest.mark.parametrize("kind", WRONG)
def test_a_planted_wrong_gradient_is_refused(kind: str, fast_mode: bool) -> None:
    forward, backward, shape, cause = WRONG[kind]
    op = planted(forward, backward)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(op, matrix(*shape), fast_mode=fast_mode)
    text = str(caught.value)
    assert cause in text
    assert "backward gives" in text
    assert "finite differences" in text
    assert not gradcheck(op, matrix(*shape), fast_mode=fast_mode, raise_exception=False)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_right_gradients_are_accepted(fast_mode: bool) -> None:
    right = planted(weighted, lambda dy, x: dy * slope(x))
    assert gradcheck(right, matrix(3, 3), fast_mode=fast_mode)
    assert gradgradcheck(right, matrix(2, 2), fast_mode=fast_mode)
    assert gradcheck(lambda x, y: (x @ y, x.sum()), (matrix(2, 3), matrix(3, 2)), fast_mode=fast_mode)


def test_a_large_wrong_gradient_is_refused_by_projection_alone() -> None:
    op = planted(weighted, lambda dy, x: 1.01 * dy * slope(x))
    with pytest.raises(GradcheckError, match=r"along a random direction .*ratio 1.01"):
        gradcheck(op, matrix(70, 70), fast_mode=True)


def test_the_second_input_is_named() -> None:
    op = planted(lambda x, y: x * y, lambda dy, x, y: (dy * y, dy * y))
    with pytest.raises(GradcheckError, match=r"input 1\(\d, \d\)"):
        gradcheck(op, (matrix(2, 2), (matrix(2, 2) * 1.5).detach().requires_grad_()))


def test_a_wrong_second_gradient_is_refused() -> None:
    op = planted(lambda x: x * x * x, lambda dy, x: dy * 3 * (x * x.detach()))
    assert gradcheck(op, matrix(2, 2))
    with pytest.raises(GradcheckError, match="gradient of"):
        gradgradcheck(op, matrix(2, 2))


def test_a_gradient_of_the_wrong_shape_is_refused() -> None:
    op = planted(weighted, lambda dy, x: (dy * slope(x))[0])
    with pytest.raises(
        RuntimeError, match=r"PlantedBackward: returned a gradient of shape \(2,\) for input 0 of shape \(3, 2\)"
    ):
        gradcheck(op, matrix(3, 2))


def test_an_unrepeatable_gradient_is_refused() -> None:
    count = iter(range(1, 1000))
    op = planted(weighted, lambda dy, x: dy * slope(x) * (1 + 1e-3 * next(count)))
    with pytest.raises(GradcheckError, match="two different gradients"):
        gradcheck(op, matrix(2, 2))


def test_inputs_are_checked_and_left_unchanged() -> None:
    with pytest.raises(ValueError, match="requires a gradient"):
        gradcheck(tg.exp, tg.ones(2, dtype=tg.float64))
    with pytest.warns(UserWarning, match="need float64"):
        gradcheck(lambda x: x * 2, tg.ones(2, requires_grad=True), eps=1e-2)
    x = matrix(2, 2)
    before = x.tolist()
    gradcheck(tg.exp, x)
    assert x.tolist() == before
    assert x.grad is None


def test_assert_close() -> None:
    assert_close(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 2.0 + 1e-6]))
    assert_close({"a": [1, 2.0]}, {"a": [1, 2.0]})
    assert_close(tg.tensor([float("nan"), float("inf")]), tg.tensor([float("nan"), float("inf")]), equal_nan=True)
    with pytest.raises(AssertionError, match=r"1 of 2 elements differ; the worst, at \(1,\): 2.0 and 3.0"):
        assert_close(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 3.0]))
    with pytest.raises(AssertionError, match="dtypes differ"):
        assert_close(tg.tensor([1]), tg.tensor([1.0]))
    with pytest.raises(AssertionError, match="shapes differ"):
        assert_close(tg.ones(2), tg.ones(3))
    with pytest.raises(AssertionError, match="differ"):
        assert_close(tg.tensor([float("nan")]), tg.tensor([float("nan")]))
    with pytest.raises(AssertionError, match="my words"):
        assert_close(1.0, 2.0, msg="my words")
