"""Batch normalisation: training and evaluation, running statistics, shapes, errors.  Local response normalisation."""

import numpy as np
import pytest

from .compare import Const, agree, both_reject, error_of, normal, rows, same_in_both

SHAPES = [(4, 3, 5, 6), (4, 3), (2, 3, 7), (1, 3, 2, 2), (2, 1, 3, 3), (2, 3, 2, 3, 2), (64, 3, 1, 1)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "code",
    rows("""
    F.batch_norm(x, None, None, training=True)
    F.batch_norm(x, None, None, w, b, True)
    F.batch_norm(x, None, None, w, None, training=True)
    F.batch_norm(x, None, None, None, b, training=True)
    F.batch_norm(x, None, None, w, b, training=True, eps=0.1)
    F.batch_norm(x, m, v, w, b)
    F.batch_norm(x, m, v)
    F.batch_norm(x, m, v, w, None)
    F.batch_norm(x, m, v, None, b)
    F.batch_norm(x, m, v, w, b, False, 0.1, 1e-3)
    F.batch_norm(input=x, running_mean=m, running_var=v, weight=w, bias=b, training=False, momentum=0.1, eps=1e-5)
    F.batch_norm(x, None, None, w.detach(), b, True)
    F.batch_norm(x.detach(), None, None, w, b, True)
    F.batch_norm(x * 10 + 10, None, None, w, b, True)
"""),
)
def test_values(code, shape, dtype):
    c = shape[1]
    agree(
        code, scaled=True, x=normal(*shape, dtype=dtype), w=normal(c, seed=1, dtype=dtype), b=normal(c, seed=2, dtype=dtype),
        m=Const(normal(c, seed=3, dtype=dtype)), v=Const(np.abs(normal(c, seed=4, dtype=dtype)) + 0.1),
    )  # fmt: skip


@pytest.mark.parametrize(
    "layout", ["x.transpose(0, 1)", "x.transpose(2, 3)", "x[:, :, ::2]", "x[:1].expand(4, 4, 5, 6)", "x[:, 1:]", "x[0]"]
)
def test_layouts(layout):
    agree(f"F.batch_norm({layout}, None, None, training=True)", x=normal(4, 4, 5, 6))


@pytest.mark.parametrize("momentum", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@same_in_both
def test_running_statistics(t, shape, momentum):
    x = t.from_numpy(normal(*shape)).requires_grad_()
    mean, var = t.zeros(shape[1], dtype=t.float64), t.ones(shape[1], dtype=t.float64)
    first = t.nn.functional.batch_norm(x, mean, var, training=True, momentum=momentum)
    second = t.nn.functional.batch_norm(x * 2 + 1, mean, var, training=True, momentum=momentum)
    last = t.nn.functional.batch_norm(x, mean, var, training=False)
    return first, second, last, mean, var, t.autograd.grad((first * second * last).sum(), x)


@same_in_both
def test_only_one_running_statistic(t):
    x, mean, var = t.from_numpy(normal(4, 3)), t.zeros(3, dtype=t.float64), t.ones(3, dtype=t.float64)
    f = t.nn.functional.batch_norm
    return error_of(f, x, mean, None), error_of(f, x, None, var), error_of(f, x, None, None)


@same_in_both
def test_empty_batches(t):
    f, mean, var = t.nn.functional.batch_norm, t.zeros(3), t.ones(3)
    return f(t.zeros(0, 3, 2, 2), mean, var), f(t.zeros(0, 3), mean, var), mean, var


@pytest.mark.parametrize(
    "code",
    rows("""
    F.batch_norm(x[0, :, 0, 0], m, v)
    F.batch_norm(x, m[:2], v)
    F.batch_norm(x, m, v[:2])
    F.batch_norm(x, m, v, w[:2], b)
    F.batch_norm(x, m, v, w, b[:2])
    F.batch_norm(x[:1, :, :1, :1], None, None, training=True)
    F.batch_norm(x[:1, :, 0, 0], m, v, training=True)
    F.batch_norm(x.long(), m.long(), v.long())
    F.batch_norm(x)
    F.batch_norm(None, m, v)
    F.batch_norm(x, 1, 2)
    F.batch_norm([1.0], m, v)
"""),
)
def test_errors(code):
    both_reject(code, x=normal(4, 3, 2, 2), w=normal(3), b=normal(3), m=Const(normal(3)), v=Const(np.ones(3)))


def test_constant_channels_and_nan():
    x = normal(4, 3, 2, 2)
    x[:, 0] = 2.0
    agree("F.batch_norm(x, None, None, training=True)", x=x)
    x[0, 1, 0, 0] = np.nan
    agree("F.batch_norm(x, None, None, training=True)", x=Const(x))


# ---- local response normalisation ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(2, 7, 5, 3), (3, 4, 17), (1, 1, 2, 2), (2, 6, 2, 3, 4), (2, 3, 1)], ids=str)
@pytest.mark.parametrize(
    "code",
    rows("""
    F.local_response_norm(x, 5)
    F.local_response_norm(x, 4, 0.5)
    F.local_response_norm(x, 1, alpha=1.0, beta=0.5, k=2.0)
    F.local_response_norm(x, 3, 0.1, 1.25, 0.5)
    F.local_response_norm(x * 100, size=20, alpha=1e-2)
    F.local_response_norm(x.transpose(0, 1), 2, 1.0)
"""),
)
def test_local_response_norm(code, shape, dtype):
    agree(code, scaled=True, x=normal(*shape, dtype=dtype))


@pytest.mark.parametrize("code", ["F.local_response_norm(x[0, 0], 2)", "F.local_response_norm(x, 0)"])
def test_local_response_norm_errors(code):
    both_reject(code, x=normal(2, 3, 4, 4))


def test_local_response_norm_of_nothing_and_nan():
    agree("F.local_response_norm(x, 2)", x=normal(0, 3, 4))
    x = normal(2, 5, 3, 3)
    x[0, 2, 1, 1], x[1, 0, 0, 0], x[1, 1] = np.nan, np.inf, 0.0
    agree("F.local_response_norm(x, 3, 1.0, k=0.0)", x=Const(x))


@pytest.mark.parametrize("after", ["Tanh", "ReLU", "Softplus"])
@pytest.mark.parametrize(
    "make",
    ["BatchNorm2d(2)", "InstanceNorm2d(2, affine=True)", "GroupNorm(1, 2)", "LayerNorm((2, 5, 5))",
     "LocalResponseNorm(2, alpha=0.5)"],
)  # fmt: skip
@same_in_both
def test_second_derivatives_inside_a_network(t, make, after):
    """The gradient that comes to a normalisation depends on its input, too; that dependence must count once."""
    first, last = t.nn.Conv2d(1, 2, 3, padding=1), t.nn.Conv2d(2, 1, 2)
    net = t.nn.Sequential(first, eval("t.nn." + make, {"t": t}), getattr(t.nn, after)(), last).double()
    with t.no_grad():
        for i, p in enumerate(net.parameters()):
            p.copy_(t.from_numpy(normal(*p.shape, seed=i)))
    x = t.from_numpy(normal(2, 1, 5, 5, seed=9)).requires_grad_()
    gradient = t.autograd.grad((net(x) ** 2).sum(), x, create_graph=True)[0]
    (gradient**2).sum().backward()
    return gradient, x.grad, [p.grad for p in net.parameters()]
