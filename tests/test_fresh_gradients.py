"""Gradients in place: what only the backward pass holds is written over, what anybody else sees never is."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.autograd import Function
from tinygrad_cnn.autograd.rows import operators
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.ops.elementwise import relu_grad
from tinygrad_cnn.testing import assert_close


def leaf(*shape: int, seed: int = 0) -> tg.Tensor:
    return tg.randn(*shape, generator=tg.Generator().manual_seed(seed)).requires_grad_()


def grad_of(t: tg.Tensor) -> tg.Tensor:
    assert t.grad is not None
    return t.grad


def overwriting(x: tg.Tensor) -> tg.Tensor:
    """Return a result on whose way back every gradient that may be is written over."""
    return -F.relu(-F.relu(x * 2.0) * 3.0) / 5.0


class Seen:
    """Gradients, and what they were when they were seen."""

    def __init__(self) -> None:
        self.tensors: list[Any] = []
        self.copies: list[Any] = []

    def __call__(self, grad: Any) -> None:
        self.tensors.append(grad)
        self.copies.append(grad.clone())

    def check(self) -> None:
        """Raise if one of them was changed since."""
        assert self.tensors
        for t, copy in zip(self.tensors, self.copies, strict=True):
            assert t.tolist() == copy.tolist()


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows with each gradient that is written over."""
    names: list[str] = []
    backend = tg.zeros(1)._backend
    for row in (operators.add, operators.mul, operators.neg, relu_grad):
        kernel = backend.update(row.name)

        def spy(*args: Any, kernel: Any = kernel, name: str = row.name) -> Any:
            result = kernel(*args)
            assert result is args[0]
            names.append(name)
            return result

        monkeypatch.setitem(row.updates, backend, spy)
    return names


# ---- that it is done ----


def test_elementwise_gradients_are_written_over_those_they_are_made_from(updates: list[str]) -> None:
    x = leaf(3, 4)
    F.relu(F.relu(-x * 2.0) * 3.0).sum().backward()
    assert updates == ["mul", "relu_grad", "mul", "neg"]  # the first ReLU's dy is an expanded number


def test_sums_of_gradients_are_made_in_the_memory_of_one_of_them(updates: list[str]) -> None:
    x = leaf(3, 4)
    h = x * 2.0
    (h.exp() + h.sin() + h.cos()).sum().backward()
    assert updates.count("add") == 2


def test_what_needs_a_graph_is_not_written_over(updates: list[str]) -> None:
    x = leaf(3, 4)
    tg.autograd.grad(overwriting(x).sum(), x, create_graph=True)
    assert not updates


def test_gradients_grow_in_place() -> None:
    x = leaf(3, 4)
    (x * 2).sum().backward()
    kept, alias = grad_of(x), grad_of(x).detach()
    version = kept._counter.value
    (x * 3).sum().backward()
    assert x.grad is kept
    assert kept._counter.value > version  # so that a graph which has saved it notices
    assert alias.tolist() == kept.tolist() == [[5.0] * 4] * 3


@pytest.mark.parametrize("owner", ["optimizer", "module"])
def test_gradients_set_to_zero_keep_their_memory(owner: str) -> None:
    layer = nn.Linear(3, 2)
    optimizer = tg.optim.SGD(layer.parameters(), lr=0.1)
    layer(tg.ones(1, 3)).sum().backward()
    kept = [grad_of(p).numpy() for p in layer.parameters()]
    grads = [p.grad for p in layer.parameters()]
    expected = [array.copy() for array in kept]
    for _ in range(2):
        (optimizer if owner == "optimizer" else layer).zero_grad(set_to_none=False)
        assert not any(array.any() for array in kept)
        layer(tg.ones(1, 3)).sum().backward()
        assert all(p.grad is grad for p, grad in zip(layer.parameters(), grads, strict=True))
        for array, values in zip(kept, expected, strict=True):
            np.testing.assert_array_equal(array, values)


# ---- that nobody can tell ----


def test_a_given_gradient_is_kept() -> None:
    x, dy = leaf(3, 4), tg.ones(3, 4)
    for function in (overwriting, F.relu, lambda t: t * 2.0, lambda t: (t * 2.0)[:], lambda t: t + 0.0):
        function(x).backward(dy)
        tg.autograd.grad(function(x), x, dy)
        assert dy.tolist() == [[1.0] * 4] * 3
        grad_of(x).fill_(7.0)
        assert dy.tolist() == [[1.0] * 4] * 3
        x.grad = None


def test_a_gradient_that_is_only_reshaped_on_its_way_is_copied() -> None:
    x, y, dy = leaf(3), leaf(1, 3), tg.ones(1, 3)
    (x + y).backward(dy)
    grad_of(x).fill_(7.0)
    grad_of(y).fill_(8.0)
    assert dy.tolist() == [[1.0] * 3]
    assert grad_of(x).tolist() == [7.0] * 3


def test_what_hooks_saw_is_kept() -> None:
    x, seen = leaf(3, 4), Seen()
    x.register_hook(seen)
    a = x * 2.0
    a.register_hook(seen)
    b = overwriting(a)
    b.register_hook(seen)
    (overwriting(b) + a).sum().backward()
    overwriting(x).sum().backward()
    assert len(seen.tensors) == 4
    seen.check()


def test_a_gradient_returned_by_a_hook_is_kept() -> None:
    x, mine = leaf(3, 4), tg.ones(3, 4)
    a = x * 2.0
    b = overwriting(a)
    b.register_hook(lambda _: mine)
    a.register_hook(lambda _: mine)
    (overwriting(b) + a).sum().backward()
    assert mine.tolist() == [[1.0] * 4] * 3


def test_retained_gradients_are_kept() -> None:
    x = leaf(3, 4)
    a = x * 2.0
    b = overwriting(a)
    loss = (overwriting(b) + a).sum()
    expected = tg.autograd.grad(loss, [a, b], create_graph=True)
    for t in (a, b):
        t.retain_grad()
    loss.backward()
    for t, g in zip((a, b), expected, strict=True):
        assert grad_of(t).tolist() == g.tolist()


def test_gradients_of_intermediate_results_are_kept() -> None:
    x = leaf(3, 4)
    a = overwriting(x)
    b = overwriting(a)
    loss = (b * b + a).sum()
    expected = tg.autograd.grad(loss, [b, a, x, a], create_graph=True)
    found = tg.autograd.grad(loss, [b, a, x, a], retain_graph=True)
    copies = [g.tolist() for g in found]
    assert copies == [g.tolist() for g in expected]
    overwriting(x).backward(found[2])  # what was given out is as good as any other tensor
    loss.backward(inputs=[a, x])
    grad_of(a).fill_(7.0)
    assert [g.tolist() for g in found] == copies


def test_what_a_function_of_ones_own_sees_and_returns_is_kept() -> None:
    seen = Seen()
    mine = tg.ones(3, 4)

    class Watched(Function):
        @staticmethod
        def forward(ctx: Any, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
            return x * y

        @staticmethod
        def backward(ctx: Any, dy: tg.Tensor) -> Any:
            seen(dy)
            return dy, mine

    x, y = leaf(3, 4), leaf(3, 4, seed=1)
    overwriting(Watched.apply(overwriting(x), overwriting(y))).sum().backward()
    seen.check()
    stashed = seen.tensors[0]
    overwriting(x).backward(stashed)
    seen.check()
    assert mine.tolist() == [[1.0] * 4] * 3


def test_what_hooks_of_modules_saw_is_kept() -> None:
    seen = Seen()
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU())
    for module in net:
        module.register_full_backward_hook(lambda _, dx, dy: [seen(g) for g in (*dx, *dy) if g is not None] and None)
    overwriting(net(leaf(3, 4))).sum().backward()
    seen.check()


def test_a_grad_of_two_leaves_grows_for_both() -> None:
    x, y = leaf(2), leaf(2)
    x.grad = y.grad = tg.zeros(2)
    (x * 2 + y * 3).sum().backward()
    assert x.grad is y.grad
    assert grad_of(x).tolist() == [5.0, 5.0]


def test_a_grad_may_be_a_view() -> None:
    x, flat = leaf(2, 2), tg.zeros(8)
    x.grad = flat[::2].view(2, 2)
    overwriting(x).sum().backward()
    first = flat.clone()
    overwriting(x).sum().backward()
    assert_close(flat, first * 2)
    assert flat[1::2].tolist() == [0.0] * 4


def test_a_constant_gradient_that_goes_to_two_places_is_kept() -> None:
    x, y = leaf(3, 4), leaf(3, 4, seed=1)
    (overwriting(x) + overwriting(y)).sum().backward()
    for t in (x, y):
        (expected,) = tg.autograd.grad(overwriting(t).sum(), t, create_graph=True)
        assert grad_of(t).tolist() == expected.tolist()


OPERATIONS: list[Callable[..., Any]] = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / (b * b + 1.0),
    lambda a, b: F.relu(a),
    lambda a, b: -a,
    lambda a, b: a * 0.5,
    lambda a, b: a.reshape(2, 6).reshape(3, 4),
    lambda a, b: a.t().contiguous().view(3, 4),
    lambda a, b: a + b[0],
    lambda a, b: a.detach() * b,
    lambda a, b: a * a,
    lambda a, b: a.clone().relu_() + a,
    lambda a, b: F.linear(a, tg.ones(4, 4), b[0]),
]


@given(st.data())
def test_any_graph_has_the_gradients_that_it_has_without_writing_over(data: Any) -> None:
    """Compare with create_graph, which writes over nothing, to the bit; what hooks saw stays as it was."""
    steps = data.draw(
        st.lists(st.tuples(st.integers(0, len(OPERATIONS) - 1), st.integers(0), st.integers(0)), max_size=12)
    )
    watched = data.draw(st.sets(st.integers(0, 12), max_size=2))
    leaves, seen = [leaf(3, 4, seed=i) for i in range(2)], Seen()
    values: list[Any] = list(leaves)
    for number, (operation, i, j) in enumerate(steps):
        values.append(OPERATIONS[operation](values[i % len(values)], values[j % len(values)]))
        if number in watched and values[-1].requires_grad:
            values[-1].register_hook(seen)
    loss = sum([value.sum() for value in values[-3:]], start=leaves[0].sum() + leaves[1].sum())
    saved = [value.clone() for value in values]
    expected = tg.autograd.grad(loss, leaves, create_graph=True)
    loss.backward(retain_graph=True)
    first = [grad_of(t).clone() for t in leaves]
    loss.backward()
    for t, once, g in zip(leaves, first, expected, strict=True):
        assert once.tolist() == g.tolist()
        assert grad_of(t).tolist() == (once + once).tolist()
    for value, before in zip(values, saved, strict=True):
        assert value.tolist() == before.tolist()
    for t, copy in zip(seen.tensors, seen.copies, strict=True):
        assert t.tolist() == copy.tolist()


def test_a_training_loop_with_hooks_frees_its_graphs_at_once() -> None:
    layer, x = nn.Linear(4, 4), tg.ones(3, 4)
    optimizer = tg.optim.SGD(layer.parameters(), lr=0.1)
    norms: list[float] = []
    gc.collect()
    gc.disable()
    try:
        probes = []
        for _ in range(3):
            optimizer.zero_grad()
            h = F.relu(layer(x))
            h.register_hook(lambda g: norms.append(g.norm().item()))
            h.retain_grad()
            loss = overwriting(h).sum()
            probes += [weakref.ref(h), weakref.ref(h.grad_fn), weakref.ref(loss.grad_fn)]
            loss.backward()
            optimizer.step()
            del h, loss
        assert len(norms) == 3
        assert not any(probe() for probe in probes)
    finally:
        gc.enable()


def test_a_hook_that_holds_its_own_tensor_is_left_to_the_garbage_collector() -> None:
    def probed() -> Any:
        h = leaf(2) * 2.0
        h.register_hook(lambda g: g + h.detach())
        return weakref.ref(h.grad_fn)

    probe = probed()
    gc.collect()
    assert probe() is None
