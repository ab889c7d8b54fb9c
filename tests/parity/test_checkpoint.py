"""utils.checkpoint: the same values and gradients as PyTorch's, and as without it, from less memory."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.utils.checkpoint import checkpoint, checkpoint_sequential

from .compare import normal, same_in_both


def saving(t):
    """Return the module of checkpoints of a library."""
    import torch.utils.checkpoint  # noqa: F401

    return t.utils.checkpoint


def leaf(t, *shape, seed=0, grad=True):
    return t.from_numpy(normal(*shape, seed=seed)).requires_grad_(grad)


@pytest.mark.parametrize("use_reentrant", [True, False])
@same_in_both
def test_values_and_gradients(t, use_reentrant):
    x, y, w = leaf(t, 3), leaf(t, 3, seed=1, grad=False), leaf(t, 3, seed=2)
    made = saving(t).checkpoint(lambda a, b, n: (a * b * w).sin() * n, x * 2, y, 3, use_reentrant=use_reentrant)
    (made * x).sum().backward()
    return made, x.grad, w.grad


@same_in_both
def test_several_outputs_and_keywords(t):
    x, y = leaf(t, 3), leaf(t, 2, 3, seed=1)
    a, b, n, c = saving(t).checkpoint(lambda x, y=None: (x * y, x.detach() * 2, 5, x + 1), x, y=y, use_reentrant=False)
    a.sum().backward()
    return a, b, n, c, x.grad, y.grad


@same_in_both
def test_captured_tensors_get_gradients_too(t):
    x, w, v = leaf(t, 3, grad=False), leaf(t, 3, seed=1), leaf(t, 3, seed=2)
    made = saving(t).checkpoint(lambda x: x * w.exp(), x, use_reentrant=False)
    hidden = v * 2
    again = saving(t).checkpoint(lambda x: x * hidden * w, made, use_reentrant=False)
    return [made, again, *t.autograd.grad((again * hidden).sum(), (w, v))]


@same_in_both
def test_nested(t):
    c, x = saving(t).checkpoint, leaf(t, 3)
    inner = lambda a: a.exp() * x  # noqa: E731
    made = c(lambda a: c(inner, a.sin(), use_reentrant=False) * a, x * 2, use_reentrant=False)
    made.sum().backward()
    return made, x.grad


@same_in_both
def test_without_gradients(t):
    x = leaf(t, 3)
    with t.no_grad():
        a = saving(t).checkpoint(lambda x: x * 2, x, use_reentrant=False)
    b = saving(t).checkpoint(lambda x: x * 2, x.detach(), use_reentrant=False)
    return a, b


def network(t):
    t.manual_seed(0)
    net = t.nn.Sequential(
        t.nn.Conv2d(1, 3, 3),
        t.nn.BatchNorm2d(3),
        t.nn.ReLU(),
        t.nn.Flatten(),
        t.nn.Linear(12, 5),
        t.nn.ReLU(),
        t.nn.Linear(5, 2),
    ).double()
    for k, p in enumerate(net.parameters()):
        p.data.copy_(t.from_numpy(normal(*p.shape, seed=k)))
    return net


@pytest.mark.parametrize("segments", [1, 2, 3, 7])
@same_in_both
def test_sequential(t, segments):
    x, net = leaf(t, 4, 1, 4, 4), network(t)
    y = saving(t).checkpoint_sequential(net, segments, x, use_reentrant=False)
    (y**2).sum().backward()
    plain = network(t)
    (plain(leaf(t, 4, 1, 4, 4)) ** 2).sum().backward()
    for p, q in zip(net.parameters(), plain.parameters()):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-10)
    return [y, x.grad, *[p.grad for p in net.parameters()]]


@same_in_both
def test_contexts(t):
    log = []

    @contextlib.contextmanager
    def noted(name):
        log.append(name)
        yield
        log.append("end")

    x = leaf(t, 3)
    made = saving(t).checkpoint(
        lambda a: a * 2, x, use_reentrant=False, context_fn=lambda: (noted("first"), noted("second")), early_stop=False
    )
    log.append("forward is over")
    made.sum().backward()
    return log[:3]


def test_random_numbers_are_the_same_again():
    x = tg.ones(1000, requires_grad=True)
    tg.manual_seed(3)
    y = checkpoint(tg.dropout, x, 0.5)
    after = tg.rand(3).tolist()
    y.sum().backward()
    assert x.grad.tolist() == y.tolist()
    tg.manual_seed(3)
    assert tg.dropout(tg.ones(1000), 0.5).tolist() == y.tolist()
    assert tg.rand(3).tolist() == after
    z = checkpoint(tg.dropout, x.detach().requires_grad_(), 0.5, preserve_rng_state=False)
    state = tg.get_rng_state().tolist()
    z.sum().backward()
    assert tg.get_rng_state().tolist() != state


def test_nothing_in_between_is_kept():
    x, calls = tg.ones(3, requires_grad=True), []
    y = checkpoint(lambda x: calls.append(1) or x.exp().sin().exp(), x)
    assert [(node.name(), node.variable is x) for node, _ in y.grad_fn.next_functions] == [
        ("torch::autograd::AccumulateGrad", True)
    ]
    assert len(calls) == 1
    y.sum().backward()
    assert len(calls) == 2


def test_what_is_refused():
    x = tg.ones(3, requires_grad=True)
    with pytest.raises(TypeError, match="a tensor or a tuple of them, got dict"):
        checkpoint(lambda x: {"y": x}, x)
    sizes = iter([3, 2])
    y = checkpoint(lambda x: x[: next(sizes)] * 2, x)
    with pytest.raises(RuntimeError, match=r"shape \(3,\) in forward and \(2,\) in backward"):
        y.sum().backward()
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        tg.autograd.grad(checkpoint(lambda x: x**3, x).sum(), x, create_graph=True)
    z = x * 1
    y = checkpoint(lambda z: z.exp(), z)
    z.add_(1)
    with pytest.raises(RuntimeError, match="changed by an in-place operation"):
        y.sum().backward()


def test_a_sequence_of_functions():
    x = tg.ones(3, requires_grad=True)
    checkpoint_sequential([tg.exp, tg.sin, lambda x: x * 2], 2, x).sum().backward()
    expected = 2 * np.cos(np.e) * np.e
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-6)
