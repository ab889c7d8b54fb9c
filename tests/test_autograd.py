"""The graph: what is kept, what is freed, what is refused.  (Values and gradients are compared in test_ops.py.)"""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.autograd import Function
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.ops.pool import PoolingShortcut
from tinygrad_cnn.testing import assert_close


def leaf(*values: float) -> tg.Tensor:
    return tg.tensor(list(values), dtype=tg.float64, requires_grad=True)


# ---- depth and memory ----


def test_a_chain_of_100_000_operations_neither_overflows_nor_leaks() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y * 1.0
    probe = weakref.ref(y.grad_fn)
    y.backward()
    assert x.grad is not None
    assert x.grad.item() == 1.0
    del y
    assert probe() is None  # without waiting for the garbage collector


def test_a_long_chain_that_is_never_differentiated_is_freed() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = (y + 1.0).exp() * 0.0
    probe = weakref.ref(y.grad_fn)
    del y
    assert probe() is None


def test_many_uses_of_one_tensor_are_visited_once() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(60):  # 2 ** 60 paths
        y = y + y
    y.backward()
    assert x.grad is not None
    assert x.grad.item() == 2.0**60


def test_backward_frees_what_was_saved() -> None:
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        h = x.exp()
        probe = weakref.ref(h)
        y = (h * h).sum()
        del h
        assert probe() is not None  # saved by the product
        y.backward()
        assert probe() is None
    finally:
        gc.enable()


def test_no_reference_cycles_are_made() -> None:
    gc.collect()
    gc.disable()
    try:
        x = tg.randn(4, 1, 8, 8, requires_grad=True)
        w = tg.randn(2, 1, 3, 3, requires_grad=True)
        y = F.max_pool2d(F.relu(F.conv2d(x, w)), 2).flatten(1).log_softmax(1).exp().sum()
        y.backward()
        del y
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_an_input_that_backward_does_not_need_is_not_kept() -> None:
    x = leaf(1.0)
    h = x * 2.0
    probe = weakref.ref(h)
    y = h + 1.0
    del h
    assert probe() is None
    y.backward()
    assert x.grad is not None


def test_no_gradient_is_computed_that_nobody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("computed")

    backend = type(tg.zeros(1)._backend)
    x, w = tg.randn(1, 1, 5, 5), tg.randn(2, 1, 3, 3, requires_grad=True)
    monkeypatch.setattr(backend, "conv2d_input_grad", refuse)
    F.conv2d(x, w).sum().backward()
    assert w.grad is not None
    x = x.requires_grad_()
    with pytest.raises(AssertionError, match="computed"):
        F.conv2d(x, w).sum().backward()
    # ... and with autograd.grad only what leads to the inputs
    tg.autograd.grad(F.conv2d(x, w).sum(), w)


# ---- second derivatives, graphs kept and not ----


def test_going_backward_twice_needs_retain_graph() -> None:
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad is not None
    assert x.grad.item() == 8.0
    with pytest.raises(RuntimeError, match=r"a second time.*retain_graph=True"):
        y.backward()


def test_derivatives_of_any_order() -> None:
    x = leaf(1.5)
    y = x.sin()
    for expected in ["cos", "-sin", "-cos", "sin", "cos"]:
        (y,) = tg.autograd.grad(y, x, create_graph=True)
        sign = -1 if expected.startswith("-") else 1
        assert y.item() == pytest.approx(sign * getattr(x, expected.strip("-"))().item(), rel=1e-12)


def test_gradients_add_up_and_zero_is_not_none() -> None:
    x = leaf(1.0, 2.0)
    (x * 3).sum().backward()
    first = x.grad
    (x * 4).sum().backward()
    assert x.grad is first
    assert x.grad.tolist() == [7.0, 7.0]
    x.grad = None
    (x[:1] * 0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


def test_gradients_never_share_memory() -> None:
    x, y = leaf(1.0), leaf(1.0)
    (x + y).backward()
    assert x.grad is not None
    x.grad.fill_(5.0)
    assert y.grad is not None
    assert y.grad.item() == 1.0
    given = tg.tensor([2.0], dtype=tg.float64)
    z = leaf(1.0)
    z.backward(given)
    given.fill_(9.0)
    assert z.grad is not None
    assert z.grad.item() == 2.0


# ---- errors ----


def test_refusals_say_what_to_do() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"implicitly only for one element, but output 0 has shape \(2,\)"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        tg.ones(1).backward()
    with pytest.raises(RuntimeError, match=r"gradient 0 has shape \(3,\), but output 0 has shape \(2,\)"):
        (x * 2).backward(tg.ones(3, dtype=tg.float64))
    with pytest.raises(RuntimeError, match=r"takes no part.*allow_unused"):
        tg.autograd.grad((x * 2).sum(), leaf(1.0))
    with pytest.raises(RuntimeError, match="only floating tensors"):
        tg.tensor([1]).requires_grad_()
    with pytest.raises(RuntimeError, match="leaf tensor that requires a gradient cannot be changed in place"):
        x.add_(1)
    with pytest.raises(RuntimeError, match=r"use detach\(\)\.numpy\(\)"):
        x.numpy()
    with pytest.raises(RuntimeError, match=r"same device.*cpu and reference"):
        x + x.detach().to("reference")


def test_a_changed_input_is_noticed() -> None:
    x = leaf(1.0, 2.0)
    h = x * 1.0
    y = (h * h).sum()
    h.add_(1)
    with pytest.raises(
        RuntimeError, match=r"MulBackward0: a tensor of shape .* changed by an in-place operation: .* version 1"
    ):
        y.backward()


def test_a_changed_output_is_noticed_through_any_view() -> None:
    x = leaf(1.0, 2.0)
    h = x.exp()
    y = h.sum()
    h.view(2, 1)[0] = 5.0
    with pytest.raises(RuntimeError, match="in-place"):
        y.backward()


# ---- views and in-place changes ----


def test_in_place_change_of_a_view_changes_the_history_of_its_base() -> None:
    x = leaf(1.0, 2.0, 3.0)
    base = x * 1.0
    row = base[1:]
    row.mul_(10.0)
    assert base.tolist() == [1.0, 20.0, 30.0]
    assert row.grad_fn is not None
    (base * tg.tensor([1.0, 2.0, 3.0], dtype=tg.float64)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 20.0, 30.0]


def test_a_view_follows_later_changes_of_its_base() -> None:
    x, w = leaf(1.0, 2.0), leaf(3.0)
    base = x * 1.0
    view = base[0]
    base.mul_(w)
    view.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [3.0, 0.0]
    assert w.grad is not None
    assert w.grad.tolist() == [1.0]


def test_writing_what_requires_a_gradient_into_a_constant_view() -> None:
    x = leaf(2.0)
    base = tg.zeros(3, dtype=tg.float64)
    base[1] = x[0] * 5
    assert base.requires_grad
    base.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [5.0]


def test_memory_is_shared_or_not_whatever_in_place_does_inside() -> None:
    x = tg.ones(3)
    alias, view = x.detach(), x[1:]
    array = x.numpy()
    x.add_(1)
    assert alias.tolist() == view.tolist() + [2.0] == array.tolist() == [2.0] * 3
    y = tg.ones(3)
    z = y.add_(1)  # nobody else sees the memory of y
    assert z is y
    z.mul_(2)
    assert y.tolist() == [4.0] * 3


def test_relu_in_place_keeps_the_gradient() -> None:
    x = leaf(-1.0, 2.0)
    h = x * 3.0
    y = h.relu_()
    assert y is h
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 3.0]


# ---- modes ----


def test_modes_nest_and_restore_what_was_before() -> None:
    x = leaf(1.0)
    with tg.no_grad():
        assert not (x * 2).requires_grad
        with tg.enable_grad():
            assert (x * 2).requires_grad
            with tg.set_grad_enabled(False):
                assert not (x * 2).requires_grad
            assert tg.is_grad_enabled()
        assert not tg.is_grad_enabled()
    with pytest.raises(KeyError), tg.no_grad():
        raise KeyError
    assert tg.is_grad_enabled()
    tg.set_grad_enabled(False)
    assert not tg.is_grad_enabled()
    tg.set_grad_enabled(True)
    with tg.inference_mode():
        assert tg.is_inference_mode_enabled()
        assert not tg.is_grad_enabled()
    assert not tg.is_inference_mode_enabled()


@pytest.mark.parametrize(
    "make", [lambda: tg.no_grad, lambda: tg.no_grad(), lambda: tg.inference_mode(), lambda: tg.set_grad_enabled(False)]
)
def test_modes_decorate_recursive_functions(make: Any) -> None:
    @make()
    def depth(n: int) -> int:
        assert not tg.is_grad_enabled()
        return 0 if n == 0 else 1 + depth(n - 1)

    assert depth(3) == 3
    assert tg.is_grad_enabled()


def test_modes_belong_to_a_thread() -> None:
    seen = []
    with tg.no_grad():
        thread = threading.Thread(target=lambda: seen.append(tg.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


# ---- hooks ----


def test_hooks_see_and_replace_gradients() -> None:
    x = leaf(1.0)
    h = x * 2
    seen: list[float] = []
    handle = h.register_hook(lambda g: seen.append(g.item()))
    h.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    h.retain_grad()
    (h * 3).backward(retain_graph=True)
    assert seen == [3.0]
    assert h.grad is not None
    assert h.grad.item() == 30.0
    assert x.grad is not None
    assert x.grad.item() == 61.0
    handle.remove()
    (h * 3).backward()
    assert seen == [3.0]


def test_a_hook_after_accumulation() -> None:
    x = leaf(1.0)
    seen = []
    with x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.item())):
        (x * 2).backward()
    (x * 2).backward()
    assert seen == [2.0]


# ---- Function ----


class Cube(Function):
    @staticmethod
    def forward(ctx: Any, x: tg.Tensor) -> tg.Tensor:
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx: Any, dy: tg.Tensor) -> tg.Tensor:
        (x,) = ctx.saved_tensors
        return dy * 3 * x * x


def test_a_function_of_ones_own_is_differentiable_twice() -> None:
    x = leaf(2.0)
    (first,) = tg.autograd.grad(Cube.apply(x), x, create_graph=True)
    (second,) = tg.autograd.grad(first, x)
    assert (first.item(), second.item()) == (12.0, 12.0)


def test_a_function_must_return_a_gradient_for_each_argument() -> None:
    class Two(Function):
        @staticmethod
        def forward(ctx: Any, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
            return x + y

        @staticmethod
        def backward(ctx: Any, dy: tg.Tensor) -> tg.Tensor:
            return dy

    with pytest.raises(RuntimeError, match="TwoBackward returned 1 gradients for 2 arguments"):
        Two.apply(leaf(1.0), leaf(1.0)).backward()


# ---- shortcuts: convolution, ReLU and max pooling go backward as one ----

X, W, B = [
    tg.randn(*shape, generator=tg.Generator().manual_seed(i))
    for i, shape in enumerate([(2, 2, 7, 6), (3, 2, 3, 3), (3,)])
]


def net(relu: str = "before", see: Any = lambda name, t: None) -> tuple[list[tg.Tensor], tg.Tensor]:
    """Return x, w and b, and a loss; `see` gets each tensor in between."""
    x, w, b = leaves = [t.clone().requires_grad_() for t in (X, W, B)]
    y = F.conv2d(x, w, b, padding=1)
    see("conv", y)
    for name in ["relu", "pool"] if relu == "before" else ["pool", "relu"]:
        y = F.relu(y) if name == "relu" else F.max_pool2d(y, 2)
        see(name, y)
    return leaves, (y * y).sum()


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows with each shortcut that is taken."""
    names: list[str] = []
    run = PoolingShortcut.run
    monkeypatch.setattr(PoolingShortcut, "run", lambda self, dys: (names.append(self.name()), run(self, dys))[1])
    return names


def gradients_without_shortcut(relu: str) -> list[tg.Tensor]:
    leaves, loss = net(relu)
    return [g.detach() for g in tg.autograd.grad(loss, leaves, create_graph=True)]


ORDERS = pytest.mark.parametrize("relu", ["before", "behind"])


@ORDERS
def test_a_shortcut_gives_the_same_gradients(relu: str, taken: list[str]) -> None:
    expected = gradients_without_shortcut(relu)
    assert not taken  # its gradient would have no graph
    leaves, loss = net(relu)
    loss.backward()
    assert taken == ["ConvolutionBackward0"]
    for t, g in zip(leaves, expected, strict=True):
        assert_close(t.grad, g)


@ORDERS
@pytest.mark.parametrize("wanted", [[0], [1], [2], [2, 0]])
def test_a_shortcut_computes_what_is_wanted(relu: str, wanted: list[int], taken: list[str]) -> None:
    leaves, loss = net(relu)
    for g, i in zip(tg.autograd.grad(loss, [leaves[i] for i in wanted]), wanted, strict=True):
        assert_close(g, gradients_without_shortcut(relu)[i])
    assert taken
    leaves, loss = net(relu)
    loss.backward(inputs=[leaves[i] for i in wanted])
    assert [t.grad is not None for t in leaves] == [i in wanted for i in range(3)]


@ORDERS
@pytest.mark.parametrize("place", ["conv", "relu", "pool"])
def test_no_shortcut_past_what_somebody_sees(relu: str, place: str, taken: list[str]) -> None:
    seen: list[Any] = []
    expected = gradients_without_shortcut(relu)
    expects = place == "pool" or (relu, place) == (
        "behind",
        "relu",
    )  # from pooling to the convolution nobody sees a thing

    def hook(name: str, t: tg.Tensor) -> None:
        if name == place:
            t.register_hook(seen.append)
            t.retain_grad()
            seen.append(t)

    leaves, loss = net(relu, hook)
    loss.backward()
    t, g = seen
    assert_close(t.grad, g)
    for one, other in zip(leaves, expected, strict=True):
        assert_close(one.grad, other)
    assert bool(taken) == expects
    taken.clear()
    seen.clear()
    leaves, loss = net(relu, lambda name, t: seen.append(t) if name == place else None)
    dx, dt = tg.autograd.grad(loss, [leaves[0], seen[0]])
    assert_close(dx, expected[0])
    assert_close(dt, g)
    assert bool(taken) == expects


@ORDERS
@pytest.mark.parametrize("place", ["conv", "relu", "pool"])
def test_other_users_of_what_a_shortcut_passes(relu: str, place: str, taken: list[str]) -> None:
    results = []
    for create_graph in (True, False):
        seen: list[tg.Tensor] = []
        leaves, loss = net(relu, lambda name, t, to=seen: to.append(t) if name == place else None)
        loss = loss + (seen[0] * 3).sin().sum()
        results.append(tg.autograd.grad(loss, leaves, create_graph=create_graph))
    assert taken
    for g, expected in zip(*results, strict=True):
        assert_close(g, expected.detach())


@ORDERS
def test_a_shortcut_frees_what_it_passes(relu: str, taken: list[str]) -> None:
    gc.disable()
    try:
        seen: list[Any] = []
        nodes: list[Any] = []
        _, loss = net(relu, lambda name, t: (seen.append(weakref.ref(t)), nodes.append(t.grad_fn)))
        loss.backward(retain_graph=True)
        assert all(node.saved for node in nodes)
        loss.backward()
        assert len(taken) == 2
        assert not any(node.saved for node in nodes)
        with pytest.raises(RuntimeError, match="a second time"):
            loss.backward()
    finally:
        gc.enable()


@pytest.mark.parametrize(("relu", "place"), [("before", "relu"), ("behind", "relu"), ("before", "w")])
def test_a_shortcut_notices_a_changed_tensor(relu: str, place: str, taken: list[str]) -> None:
    tensors: dict[str, tg.Tensor] = {}
    (_, tensors["w"], _), loss = net(relu, tensors.__setitem__)
    with tg.no_grad():
        tensors[place].mul_(2)
    with pytest.raises(RuntimeError, match="changed by an in-place operation"):
        loss.backward()
    assert len(taken) == (relu == "before")  # the loss has saved what ReLU returned last


# ---- gradients on arrays ----


@pytest.mark.parametrize("frozen", [None, 0, 1, 2, 3])
def test_gradients_on_arrays_are_those_of_the_graph(frozen: int | None) -> None:
    tg.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 3, groups=1), nn.Flatten(),
        nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 5),
    ).double()  # fmt: skip
    leaves = [tg.randn(3, 2, 8, 8, dtype=tg.float64, requires_grad=True), *net.parameters()]
    if frozen is not None:
        leaves.pop(frozen).requires_grad_(False)
    x = leaves[0] if frozen != 0 else tg.randn(3, 2, 8, 8, dtype=tg.float64)
    results = []
    for create_graph in (True, False):
        loss = F.cross_entropy(net(x), tg.tensor([0, 4, 2])) + F.cross_entropy(
            net(x), tg.tensor([1, 1, 1]), reduction="sum"
        )
        results.append(tg.autograd.grad(loss, leaves, create_graph=create_graph))
    for expected, g in zip(*results, strict=True):
        assert_close(g, expected.detach())


def test_gradients_on_arrays_need_saved_tensors_as_they_were() -> None:
    x, w = tg.randn(2, 3, requires_grad=True), tg.randn(4, 3, requires_grad=True)
    y = F.linear(x, w)
    with tg.no_grad():
        w.add_(1)
    with pytest.raises(RuntimeError, match=r"AddmmBackward0: a tensor .* changed by an in-place operation"):
        y.sum().backward()
    y = F.linear(x, w).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
