"""What all optimisers share: groups, state, closures, and refusing what makes no sense."""

from __future__ import annotations

import copy
from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim

MAKERS = {
    "sgd": lambda p, **k: optim.SGD(p, **{"lr": 0.1, "momentum": 0.9, **k}),
    "sgd plain": lambda p, **k: optim.SGD(p, **{"lr": 0.1, **k}),
    "adam": lambda p, **k: optim.Adam(p, **{"lr": 0.1, **k}),
    "adam amsgrad": lambda p, **k: optim.Adam(p, **{"lr": 0.1, "amsgrad": True, **k}),
    "adamw": lambda p, **k: optim.AdamW(p, **{"lr": 0.1, **k}),
}
EVERY = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def parameters(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [nn.Parameter(tg.tensor(rng.standard_normal(shape).astype(np.float32))) for shape in shapes]


def set_grads(params, seed):
    rng = np.random.default_rng(seed)
    for p in params:
        p.grad = tg.tensor(rng.standard_normal(tuple(p.shape)).astype(np.float32))


def run(optimizer, params, seeds):
    for seed in seeds:
        set_grads(params, seed)
        optimizer.step()


def arrays(params):
    return [p.detach().numpy().copy() for p in params]


def assert_same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


# ---- groups ----


def test_groups_have_options_of_their_own():
    a, b = parameters((3,), (3,))
    start = arrays([a, b])
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5, "weight_decay": 0.1}], lr=0.01)
    assert [g["lr"] for g in optimizer.param_groups] == [0.01, 0.5]
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0, 0.1]
    set_grads([a, b], 1)
    optimizer.step()
    np.testing.assert_allclose(a.detach().numpy(), start[0] - 0.01 * a.grad.numpy(), rtol=1e-6)
    expected = start[1] - 0.5 * (b.grad.numpy() + 0.1 * start[1])
    np.testing.assert_allclose(b.detach().numpy(), expected, rtol=1e-6, atol=1e-7)


def test_add_param_group_later():
    a, b = parameters((2,), (2,))
    optimizer = optim.Adam([a], lr=0.1)
    run(optimizer, [a], [1])
    optimizer.add_param_group({"params": [b], "lr": 0.2})
    run(optimizer, [a, b], [2])
    assert [optimizer.state[p]["step"] for p in (a, b)] == [2, 1]
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 0.2]


def test_a_changed_rate_counts_from_the_next_step():
    (p,) = parameters((2,))
    optimizer = optim.SGD([p], lr=1.0)
    optimizer.param_groups[0]["lr"] = 0.0
    start = arrays([p])
    run(optimizer, [p], [1])
    assert_same(arrays([p]), start)


def test_named_parameters_are_welcome():
    net = nn.Linear(2, 1)
    optimizer = optim.SGD(net.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.param_groups[0]["params"] == list(net.parameters())


# ---- which parameters move ----


@EVERY
def test_parameters_without_a_gradient_stay(make):
    a, b = parameters((3,), (3,))
    optimizer = make([a, b], weight_decay=0.1)
    start = arrays([b])
    run(optimizer, [a], [1, 2])
    assert_same(arrays([b]), start)
    assert not optimizer.state.get(b)
    run(optimizer, [a, b], [3])
    assert (b.detach().numpy() != start[0]).all()


def test_frozen_layers_stay():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
    net[0].requires_grad_(False)
    frozen, free = arrays(net[0].parameters()), arrays(net[1].parameters())
    optimizer = optim.SGD(net.parameters(), lr=0.1, weight_decay=0.1)
    net(tg.ones(2, 3)).sum().backward()
    optimizer.step()
    assert_same(arrays(net[0].parameters()), frozen)
    assert all((a != b).any() for a, b in zip(arrays(net[1].parameters()), free))


@EVERY
def test_dtypes_may_be_mixed(make):
    single, double = parameters((3,), (3,))
    double.data = double.data.double()
    optimizer = make([single, double])
    single.grad, double.grad = tg.ones(3), tg.ones(3, dtype=tg.float64)
    optimizer.step()
    assert [p.dtype for p in (single, double)] == [tg.float32, tg.float64]
    for p in (single, double):
        state = optimizer.state[p]
        assert all(t.dtype is p.dtype for t in state.values() if isinstance(t, tg.Tensor))


@EVERY
def test_a_step_is_seen_by_autograd(make):
    (p,) = parameters((3,))
    loss = (p * p).sum()
    p.grad = tg.ones(3)
    make([p]).step()
    with pytest.raises(RuntimeError, match="changed by an in-place operation"):
        loss.backward()
    assert p.is_leaf
    assert p.requires_grad


def test_zero_grad():
    a, b = parameters((2,), (2,))
    optimizer = optim.SGD([a, b], lr=0.1)
    set_grads([a], 1)
    kept = a.grad
    optimizer.zero_grad(set_to_none=False)
    assert a.grad.tolist() == kept.tolist() == [0, 0]
    optimizer.zero_grad()
    assert a.grad is b.grad is None


def test_closure():
    (p,) = parameters((2,))
    optimizer = optim.SGD([p], lr=0.1)
    recorded = []

    def closure():
        recorded.append(tg.is_grad_enabled())
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    before = (p.detach() ** 2).sum().item()
    with tg.no_grad():
        loss = optimizer.step(closure)
    assert recorded == [True]
    assert loss.item() == pytest.approx(before)
    assert (p.detach() ** 2).sum().item() == pytest.approx(0.64 * before, rel=1e-5)
    assert optimizer.step() is None


# ---- state ----


@EVERY
@pytest.mark.parametrize("how", ["in memory", "in a file"])
def test_state_round_trip_goes_on_bit_for_bit(make, how, tmp_path):
    params = parameters((3, 2), (4,))
    optimizer = make(params, weight_decay=0.01)
    run(optimizer, params, [1, 2, 3])
    twins = [nn.Parameter(p.detach().clone()) for p in params]
    other = make(twins, lr=9.0)
    state = optimizer.state_dict()
    if how == "in a file":
        tg.save(state, tmp_path / "state.safetensors")
        state = tg.load(tmp_path / "state.safetensors")
    other.load_state_dict(state)
    assert other.param_groups[0]["lr"] == 0.1
    for seed in (4, 5):
        run(optimizer, params, [seed])
        run(other, twins, [seed])
        assert_same(arrays(params), arrays(twins))


def test_state_dict_numbers_the_parameters():
    a, b, c = parameters((2,), (2,), (2,))
    optimizer = optim.Adam([{"params": [a, b]}, {"params": [c], "lr": 0.5}])
    run(optimizer, [a, c], [1])
    state = optimizer.state_dict()
    assert [g["params"] for g in state["param_groups"]] == [[0, 1], [2]]
    assert sorted(state["state"]) == [0, 2]
    assert sorted(state["state"][0]) == ["exp_avg", "exp_avg_sq", "step"]
    assert state["param_groups"][1] == {
        "lr": 0.5, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "amsgrad": False, "maximize": False, "params": [2],
        "foreach": None, "capturable": False, "differentiable": False, "fused": None, "decoupled_weight_decay": False,
    }  # fmt: skip
    assert sorted(optim.SGD([a], momentum=0.5).state_dict()["param_groups"][0]) == [
        "dampening", "differentiable", "foreach", "fused", "lr", "maximize", "momentum", "nesterov", "params",
        "weight_decay",
    ]  # fmt: skip


def test_loaded_state_is_a_copy_in_the_parameters_dtype():
    (p,) = parameters((2,))
    optimizer = optim.Adam([p])
    run(optimizer, [p], [1])
    state = optimizer.state_dict()
    twin = nn.Parameter(p.detach().double())
    other = optim.Adam([twin])
    other.load_state_dict(state)
    assert other.state[twin]["exp_avg"].dtype is tg.float64
    state["state"][0]["exp_avg"].zero_()
    assert (other.state[twin]["exp_avg"] != 0).all()


def test_a_step_count_may_be_a_tensor():
    (p,) = parameters((2,))
    optimizer = optim.Adam([p])
    run(optimizer, [p], [1])
    state = copy.deepcopy(optimizer.state_dict())
    state["state"][0]["step"] = tg.tensor(1.0)
    optimizer.load_state_dict(state)
    assert optimizer.state[p]["step"] == 1


SPOILT = {
    "groups": (lambda s: s["param_groups"].append(s["param_groups"][0]), "2 parameter groups for 1"),
    "size": (lambda s: s["param_groups"][0]["params"].append(9), "a group of 3 parameters for one of 2"),
    "shape": (
        lambda s: s["state"][1].update(exp_avg_sq=tg.zeros(7)),
        r"exp_avg_sq of shape \(7,\) for a parameter of shape \(2,\)",
    ),
    "number": (lambda s: s["state"].update({5: {}}), "state for parameter 5, which is in no group"),
}


@pytest.mark.parametrize(("spoil", "text"), SPOILT.values(), ids=SPOILT)
def test_loading_errors_change_nothing(spoil, text):
    params = parameters((3,), (2,))
    optimizer = optim.Adam(params, lr=0.1)
    run(optimizer, params, [1])
    state = copy.deepcopy(optimizer.state_dict())
    state["param_groups"][0]["lr"] = 7.0
    spoil(state)
    before = {k: v.tolist() for k, v in optimizer.state[params[0]].items() if k != "step"}
    with pytest.raises(ValueError, match=text):
        optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert {k: v.tolist() for k, v in optimizer.state[params[0]].items() if k != "step"} == before


def test_deepcopy_of_model_and_optimizer_together():
    net = nn.Linear(2, 1)
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    run(optimizer, list(net.parameters()), [1])
    net2, optimizer2 = copy.deepcopy((net, optimizer))
    run(optimizer, list(net.parameters()), [2])
    run(optimizer2, list(net2.parameters()), [2])
    assert_same(arrays(net.parameters()), arrays(net2.parameters()))


# ---- options ----

P = nn.Parameter(tg.zeros(2))
NEGATIVE = [
    (cls, {name: -1.0}, f"{cls.__name__}: {name} must not be negative, got -1.0")
    for cls, names in ((optim.SGD, ("lr", "momentum", "weight_decay")), (optim.Adam, ("lr", "eps", "weight_decay")))
    for name in names
]
OPTIONS = [
    *NEGATIVE,
    (optim.SGD, {"lr": float("nan")}, "lr must not be negative, got nan"),
    (optim.SGD, {"nesterov": True}, "nesterov needs a momentum and no dampening"),
    (optim.SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "nesterov needs"),
    (optim.Adam, {"betas": (1.0, 0.999)}, r"betas\[0\] must be in \[0, 1\), got 1.0"),
    (optim.AdamW, {"betas": (0.9, -0.1)}, r"AdamW: betas\[1\]"),
]


@pytest.mark.parametrize(("cls", "options", "text"), OPTIONS)
def test_option_errors(cls, options, text):
    with pytest.raises(ValueError, match=text):
        cls([P], **options)


PARAMS = [
    ([], ValueError, "empty parameter list"),
    (P, TypeError, "got a Parameter; write a list"),
    ({P}, TypeError, "fixed order, got a set"),
    ([1, 2], TypeError, "can only optimise tensors, got int"),
    ([P * 2], ValueError, "not a leaf"),
    ([P, P], ValueError, r"shape \(2,\) appears in more than one group"),
    ([{"params": [P]}, {"params": [P]}], ValueError, "more than one group"),
    ([{"params": {P}}], TypeError, "a list of 'params'"),
    ([{"params": [P]}, [P]], TypeError, "must be a dictionary"),
    ([{"params": [P], "lr": -1}], ValueError, "lr must not be negative"),
]


@pytest.mark.parametrize(("params", "error", "text"), PARAMS, ids=[row[2] for row in PARAMS])
def test_parameter_errors(params, error, text):
    with pytest.raises(error, match=text):
        optim.SGD(params, lr=0.1)


@pytest.mark.parametrize("cls", [optim.SGD, optim.Adam, optim.AdamW])
def test_options_that_change_no_value_are_accepted(cls):
    cls([P], foreach=True, fused=False, differentiable=False)
    with pytest.raises(ValueError, match="differentiable=True is not supported"):
        cls([P], differentiable=True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'rate'"):
        cls([P], rate=0.1)


def test_repr():
    assert repr(optim.SGD([P], lr=0.1)) == (
        "SGD (\nParameter Group 0\n    dampening: 0\n    differentiable: False\n    foreach: None\n    fused: None\n    lr: 0.1\n    maximize: False\n    momentum: 0\n"
        "    nesterov: False\n    weight_decay: 0\n)"
    )


def test_an_optimizer_of_ones_own():
    class SignSGD(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def step_group(self, backend, group, params):
            for p in params:
                p.sub_(p.grad.sign(), alpha=group["lr"])

    p = nn.Parameter(tg.tensor([1.0, 1.0]))
    p.grad = tg.tensor([5.0, -0.1])
    SignSGD(OrderedDict(a=p).values(), 0.5).step()
    assert p.tolist() == [0.5, 1.5]
