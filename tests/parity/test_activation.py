"""Activations: values, gradients, dtypes, in place, errors."""

import numpy as np
import pytest

from .compare import agree, agree_or_both_reject, check_all, integers, normal, rows, same_in_both

ONE = rows("""
    F.relu6(x * 4)
    F.elu(x)
    F.elu(x, 0.3)
    F.celu(x, alpha=2.0)
    F.celu(x, -0.5)
    F.selu(x)
    F.gelu(x)
    F.gelu(x, approximate="tanh")
    F.silu(x)
    F.mish(x)
    F.mish(x * 30)
    F.softplus(x)
    F.softplus(x, 2.0, 1.5)
    F.softplus(x * 20)
    F.softsign(x)
    F.softshrink(x)
    F.softshrink(x, 1.2)
    F.hardshrink(x)
    F.hardshrink(x, lambd=1)
    F.tanhshrink(x)
    F.threshold(x, 0.1, 20)
    F.threshold(x, 0, -1.5)
    F.hardtanh(x)
    F.hardtanh(x, -0.5, 0.25)
    F.hardtanh(x, min_val=0, max_val=1)
    F.hardsigmoid(x.float() * 4)  # whose 1/6 is single in PyTorch
    F.hardswish(x * 4)
    F.logsigmoid(x)
    F.logsigmoid(x * 200)
    F.glu(x)
    F.glu(x, 1)
    F.softmin(x, 1)
    F.softmin(x, dim=-1, dtype=t.float64)
    F.rrelu(x)
    F.rrelu(x, 0.2, 0.4)
    F.rrelu(x, 0.3, 0.3, True)
    F.prelu(x, t.ones(1, dtype=x.dtype) * 0.3)
    F.prelu(x, t.ones(4, dtype=x.dtype) * 0.3)
    F.prelu(x[0, 0, 0], t.ones(1, dtype=x.dtype))
""")
LINES = np.concatenate([np.linspace(-4, 4, 33), [6, -6, 0.1, 0.5, -0.5, 100, -100, 1000, -1000]])  # with all kinks


@pytest.mark.parametrize("code", ONE)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_activation(code, dtype):
    agree(code, x=normal(2, 4, 3, 6, dtype=dtype))


KINKS = [
    code for code in ONE if "glu(" not in code and "prelu" not in code and "softmin" not in code and "* " not in code
]


@pytest.mark.parametrize("code", KINKS)
def test_kinks_and_extremes(code):
    agree(code, x=LINES)
    agree(code, x=np.array([np.nan, np.inf, -np.inf]))


@pytest.mark.parametrize("code", ["F.prelu(x, w)", "F.prelu(x, w[:1])"])
def test_prelu_trains_its_weight(code):
    agree(code, x=normal(2, 4, 3, 5), w=normal(4))
    agree(code, x=normal(2, 4), w=normal(4))


NAMES = ["relu6", "elu", "celu", "selu", "gelu", "silu", "mish", "softplus", "softsign", "softshrink", "hardshrink", "tanhshrink", "hardtanh", "hardsigmoid", "hardswish", "logsigmoid", "rrelu", "relu", "leaky_relu", "glu"]  # fmt: skip


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8, np.bool_])
def test_other_dtypes(kind):
    x = integers(4, 6, low=0, high=9).astype(kind)
    skipped = {"relu6", "hardtanh"} if kind in (np.uint8, np.bool_) else set()
    skipped |= {"leaky_relu"}  # ours accepts integers
    check_all([(f"F.{name}(x)", {"x": x}) for name in NAMES if name not in skipped])
    check_all([("F.softmin(x, 0)", {"x": x})])
    if kind is not np.bool_:
        agree("F.threshold(x, 3, 7)", x=x)


INPLACE = rows("""
    F.relu6(y, inplace=True)
    F.relu6(y, True)
    F.elu(y, 0.5, True)
    F.elu_(y, 0.5)
    F.celu(y, 1.5, inplace=True)
    F.celu_(y)
    F.selu(y, True)
    F.selu_(y)
    F.silu(y, inplace=True)
    F.mish(y, True)
    F.hardtanh(y, -0.5, 0.5, True)
    F.hardtanh_(y, -0.5, 0.5)
    F.hardswish(y, inplace=True)
    F.threshold(y, 0.1, 2, True)
    F.threshold_(y, 0.1, 2)
    F.rrelu(y, 0.1, 0.3, False, True)
    F.rrelu_(y)
    F.leaky_relu_(y, 0.2)
    F.relu_(y)
""")


@pytest.mark.parametrize("code", INPLACE)
@same_in_both
def test_in_place(t, code):
    x = t.from_numpy(normal(3, 4)).requires_grad_()
    y = x * 1
    z = eval(code, {"F": t.nn.functional, "y": y})
    (d,) = t.autograd.grad((y * y).sum(), x)
    return z is y, y, d


@pytest.mark.parametrize(
    "code",
    rows("""
    F.glu(x[:, :3])
    F.glu(x, 7)
    F.gelu(x, approximate="some")
    F.celu(x, 0)
    F.softshrink(x, -1)
    F.hardtanh(x, 1, -1)
    F.rrelu(x, 0.5, 0.1)
    F.prelu(x, x[0, :3])
    F.prelu(x, 0.5)
    F.elu(None)
    F.elu_(x)
    F.elu(x, inplace=True)
"""),
)
def test_errors(code):
    agree_or_both_reject(code, x=normal(2, 4))


@pytest.mark.parametrize("hard", [False, True])
@same_in_both
def test_gumbel_softmax(t, hard):
    t.manual_seed(1)
    logits = t.tensor([[0.0, 1.0, 2.0]], dtype=t.float64).expand(20000, 3).clone().requires_grad_()
    y = t.nn.functional.gumbel_softmax(logits, tau=0.5, hard=hard)
    share = (y.argmax(1) == 2).double().mean()
    (d,) = t.autograd.grad((y * y).sum(), logits)
    return (
        bool(((y.sum(1) - 1).abs() < 1e-9).all()), abs(float(share) - 0.665) < 0.02, bool((d.sum(1).abs() < 1e-9).all()),
        bool(((y == 0) | (y == 1)).all()) == hard, tuple(y.shape), y.dtype,
    )  # fmt: skip


@same_in_both
def test_rrelu_draws_slopes(t):
    x = -t.ones(200, 200, dtype=t.float64, requires_grad=True)
    y = t.nn.functional.rrelu(x, 0.2, 0.6, True)
    (d,) = t.autograd.grad(y.sum(), x)
    return (
        bool(((-y >= 0.2) & (-y <= 0.6)).all()), abs(float(y.mean()) + 0.4) < 0.01, abs(float(y.std()) - 0.4 / 12**0.5) < 0.01,
        bool((d + y == 0).all()),
    )  # fmt: skip
