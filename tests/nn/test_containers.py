"""Sequential, ModuleList and ModuleDict."""

from __future__ import annotations

from collections import OrderedDict

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn

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
