"""Sequential, ModuleList and ModuleDict."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.ops.pool import PooledConv2d
from tinygrad_cnn.testing import assert_close

A, B, C, D = nn.ReLU(), nn.Sigmoid(), nn.Tanh(), nn.Identity()
LISTS = pytest.mark.parametrize(
    "make", [lambda *m: nn.Sequential(*m), lambda *m: nn.ModuleList(m)], ids=["seq", "list"]
)


def keys(container):
    return list(container._modules)


def test_sequential_applies_in_order():
    double = nn.Linear(1, 1)
    with tg.no_grad():
        double.weight.fill_(2)
        double.bias.fill_(1)
    assert nn.Sequential(double, double)(tg.ones(1, 1)).item() == 7
    x = tg.ones(1)
    assert nn.Sequential()(x) is x


def test_sequential_by_names():
    net = nn.Sequential(OrderedDict(act=A, out=B))
    assert keys(net) == ["act", "out"]
    assert net.act is net[0] is A
    assert nn.Sequential({"act": A}).act is A


@LISTS
def test_reading(make):
    net = make(A, B, C)
    assert len(net) == 3
    assert list(net) == [A, B, C]
    assert net[0] is A
    assert net[-1] is C
    assert list(net[1:]) == [B, C]
    assert list(net[::-1]) == [C, B, A]
    assert type(net[:2]) is type(net)
    assert len(net[3:]) == 0
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"index {index} is out of range for 3 modules"):
            net[index]


def test_a_slice_of_a_sequential_keeps_names_and_modules():
    net = nn.Sequential(OrderedDict(a=A, b=B, c=C))
    assert keys(net[1:]) == ["b", "c"]
    assert net[1:][0] is B


@LISTS
def test_replacing_keeps_the_order(make):
    net = make(A, B, C)
    net[0] = D
    assert list(net) == [D, B, C]
    net[-1] = A
    assert list(net) == [D, B, A]
    with pytest.raises(IndexError):
        net[3] = A
    with pytest.raises(TypeError):
        net[0] = "text"


@LISTS
def test_deleting_renumbers(make):
    net = make(A, B, C, D)
    del net[1]
    assert list(net) == [A, C, D]
    assert keys(net) == ["0", "1", "2"]
    del net[-2:]
    assert list(net) == [A]


@LISTS
def test_growing(make):
    net = make(A)
    assert net.append(B) is net
    assert net.extend([C, D]) is net
    assert net.insert(0, D) is net
    net.insert(-1, D)
    assert list(net) == [D, A, B, C, D, D]
    assert keys(net) == list("012345")


@LISTS
def test_a_failed_insertion_changes_nothing(make):
    net = make(A, B)
    with pytest.raises(TypeError, match="must be a Module"):
        net.insert(0, "text")
    assert list(net) == [A, B]
    with pytest.raises(TypeError):
        net.append(lambda x: x)
    assert list(net) == [A, B]


def test_module_list_holds_and_does_not_run():
    net = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 1)])
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert len(nn.ModuleList()) == 0
    with pytest.raises(NotImplementedError):
        net(tg.zeros(1, 2))


def test_module_list_repr_shows_equal_neighbours_once():
    assert repr(nn.ModuleList()) == "ModuleList()"
    net = nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Tanh(), nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU())])
    assert repr(net) == (
        "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Tanh()\n  (3-4): 2 x Sequential(\n    (0): ReLU()\n  )\n)"
    )


def test_module_dict():
    net = nn.ModuleDict({"a": A, "b": B})
    assert net["a"] is net.a is A
    assert list(net) == list(net.keys()) == ["a", "b"]
    assert list(net.values()) == [A, B]
    assert list(net.items()) == [("a", A), ("b", B)]
    assert len(net) == 2
    assert "a" in net
    assert "z" not in net
    net.update([("a", C), ("d", D)])
    net.update(nn.ModuleDict({"d": D}))
    assert list(net.items()) == [("a", C), ("b", B), ("d", D)]
    assert net.pop("b") is B
    del net["a"]
    assert keys(net) == ["d"]
    net.clear()
    assert len(net) == 0
    with pytest.raises(KeyError):
        net["a"]
    with pytest.raises(TypeError):
        net["a"] = 3


# ---- ReLU and max pooling change places ----


def relu_then_pool(relu: nn.Module, pool: nn.Module, before: nn.Module) -> tuple[nn.Sequential, list[str]]:
    """Return a network of the three, and the list of what it runs, in order."""
    order: list[str] = []

    def noting(name: str, forward: Any) -> Any:
        return lambda x: (order.append(name), forward(x))[1]

    for module in (relu, pool):
        module.forward = noting(type(module).__name__, module.forward)  # type: ignore[method-assign]
    return nn.Sequential(before, relu, pool), order


@pytest.mark.parametrize("inplace", [False, True])
def test_max_pooling_comes_before_relu(inplace):
    x = tg.randn(2, 3, 9, 9, requires_grad=True)
    net, order = relu_then_pool(nn.ReLU(inplace), nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.Conv2d(3, 4, 3))
    y = net(x)
    y.square().sum().backward()
    assert order == ["MaxPool2d", "ReLU"]
    dx, x.grad = x.grad, None
    expected = F.max_pool2d(F.relu(net[0](x)), 3, 2, 1, ceil_mode=True)
    expected.square().sum().backward()
    assert (y == expected).all()
    assert (dx == x.grad).all()


@pytest.mark.parametrize(
    ("relu", "pool", "before"),
    [
        (nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Identity()),
        (nn.ReLU(), nn.MaxPool2d(2, dilation=2), nn.Identity()),
        (nn.ReLU(), nn.MaxPool2d(2, return_indices=True), nn.Identity()),
        (nn.ReLU(), nn.AvgPool2d(2), nn.Identity()),
        (nn.Sigmoid(), nn.MaxPool2d(2), nn.Identity()),
    ],
    ids=str,
)
def test_the_order_stays_where_somebody_could_tell(relu, pool, before):
    net, order = relu_then_pool(relu, pool, before)
    net(tg.randn(1, 2, 8, 8))
    assert order == [type(relu).__name__, type(pool).__name__]


def test_the_order_stays_for_hooks():
    net, order = relu_then_pool(nn.ReLU(), nn.MaxPool2d(2), nn.Identity())
    shapes = []
    net[1].register_forward_hook(lambda m, args, y: shapes.append(tuple(y.shape)))
    net(tg.randn(1, 2, 8, 8))
    assert order == ["ReLU", "MaxPool2d"]
    assert shapes == [(1, 2, 8, 8)]


# ---- convolution, ReLU and max pooling as one ----


@pytest.fixture
def joined(monkeypatch):
    """Return a list that grows whenever the three are one step."""
    seen = []
    forward = PooledConv2d.forward
    monkeypatch.setattr(PooledConv2d, "forward", lambda self, *args: (seen.append(self), forward(self, *args))[1])
    return seen


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("single", [False, True])
def test_a_convolution_with_relu_and_pooling_is_one_step(inplace, single, joined):
    x = tg.randn(*[2, 3, 9, 9][single:], requires_grad=True)
    net = nn.Sequential(
        nn.Identity(),
        nn.Conv2d(3, 4, 3),
        nn.ReLU(inplace),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(4, 6, 2),
        nn.ReLU(inplace),
        nn.MaxPool2d(2),
    )
    y = net(x)
    y.square().sum().backward()
    assert len(joined) == 1  # the windows of the first pooling overlap
    grads = [t.grad for t in (x, *net.parameters())]
    for t in (x, *net.parameters()):
        t.grad = None
    expected = F.max_pool2d(F.relu(net[4](F.max_pool2d(F.relu(net[1](x)), 3, 2))), 2)
    expected.square().sum().backward()
    assert (y == expected).all()
    for t, grad in zip((x, *net.parameters()), grads, strict=True):
        assert_close(grad, t.grad)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_three_modules_stay_three_for_hooks(number, joined):
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2))
    net(tg.randn(1, 2, 8, 8))
    assert joined
    joined.clear()
    shapes = []
    net[number].register_forward_hook(lambda m, args, y: shapes.append(tuple(y.shape)))
    net(tg.randn(1, 2, 8, 8))
    assert not joined
    assert shapes == [(1, 3, 3, 3) if number == 2 else (1, 3, 6, 6)]
