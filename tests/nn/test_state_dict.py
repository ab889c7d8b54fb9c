"""state_dict and load_state_dict: names, memory, every kind of mismatch, and no half-loaded models."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn


def net(width: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def values(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: t.numpy().copy() for name, t in module.state_dict().items()}


def assert_equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


KEYS = [
    "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked",
]  # fmt: skip


def test_names_and_memory():
    module = net()
    state = module.state_dict()
    assert isinstance(state, OrderedDict)
    assert list(state) == KEYS
    assert list(module.state_dict(prefix="net.")) == ["net." + key for key in KEYS]
    assert not any(t.requires_grad for t in state.values())
    assert module.state_dict(keep_vars=True)["0.weight"] is module[0].weight
    state["0.weight"].zero_()
    assert (module[0].weight == 0).all()


def test_round_trip():
    source, target = net(), net()
    source.train()(tg.randn(5, 2))
    result = target.load_state_dict(source.state_dict())
    assert result == ([], [])
    assert (result.missing_keys, result.unexpected_keys) == ([], [])
    assert_equal(values(target), values(source))
    assert target[0].weight.requires_grad
    assert target[0].weight is not source[0].weight


def test_loading_copies_into_the_same_parameters():
    module, state = net(), net().state_dict()
    parameters = list(module.parameters())
    module.load_state_dict(state)
    state["0.weight"].fill_(9)
    assert not (module[0].weight == 9).any()
    assert all(p is q for p, q in zip(parameters, module.parameters(), strict=True))


def test_loading_converts_dtypes():
    module = net()
    module.load_state_dict(net().double().state_dict())
    assert module[0].weight.dtype is tg.float32
    module.load_state_dict({**module.state_dict(), "1.num_batches_tracked": tg.tensor(7.0)})
    assert module[1].num_batches_tracked.item() == 7
    assert module[1].num_batches_tracked.dtype is tg.int64


def test_assign_takes_the_tensors_over():
    module, state = net(), net().double().state_dict()
    module[0].bias.requires_grad_(False)
    module.load_state_dict(state, assign=True)
    assert isinstance(module[0].weight, nn.Parameter)
    assert module[0].weight.dtype is tg.float64
    assert module[0].weight.requires_grad
    assert not module[0].bias.requires_grad
    assert module[1].running_mean is state["1.running_mean"]
    assert list(module.state_dict()) == KEYS


BAD = {
    "missing": (lambda s: s.pop("0.bias"), ["Missing key(s) in state_dict: '0.bias'."]),
    "unexpected": (lambda s: s.update(x=tg.zeros(1), y=tg.zeros(1)), ["Unexpected key(s) in state_dict: 'x', 'y'."]),
    "shape": (
        lambda s: s.update({"0.weight": tg.zeros(3, 4)}),
        ["size mismatch for 0.weight: the checkpoint has (3, 4), the model (3, 2)."],
    ),
    "not a tensor": (lambda s: s.update({"0.bias": [1.0]}), ["0.bias: expected a tensor, got list."]),
    "all at once": (
        lambda s: (s.pop("0.bias"), s.pop("1.bias"), s.update({"x": tg.zeros(1), "1.weight": tg.zeros(1)})),
        [
            "Missing key(s) in state_dict: '0.bias', '1.bias'.",
            "Unexpected key(s) in state_dict: 'x'.",
            "size mismatch for 1.weight: the checkpoint has (1,), the model (3,).",
        ],
    ),
}


@pytest.mark.parametrize(("spoil", "lines"), BAD.values(), ids=BAD)
def test_strict_errors_list_every_problem_and_change_nothing(spoil, lines):
    module, state = net(), net().state_dict()
    before = values(module)
    spoil(state)
    with pytest.raises(RuntimeError) as caught:
        module.load_state_dict(state)
    assert str(caught.value).split("\n\t") == ["Error(s) in loading state_dict for Sequential:", *lines]
    assert_equal(values(module), before)


def test_not_strict():
    module, state = net(), net().state_dict()
    del state["0.bias"]
    state["x"] = tg.zeros(1)
    before = values(module)
    result = module.load_state_dict(state, strict=False)
    assert result == (["0.bias"], ["x"])
    after = values(module)
    np.testing.assert_array_equal(after["0.bias"], before["0.bias"])
    np.testing.assert_array_equal(after["0.weight"], state["0.weight"].numpy())


def test_not_strict_still_refuses_wrong_shapes_and_changes_nothing():
    module, state = net(), net().state_dict()
    before = values(module)
    state["1.bias"] = tg.zeros(7)
    with pytest.raises(RuntimeError, match=r"size mismatch for 1\.bias"):
        module.load_state_dict(state, strict=False)
    assert_equal(values(module), before)


def test_not_a_dictionary():
    with pytest.raises(TypeError, match="expected a dictionary, got list"):
        net().load_state_dict([])


def test_buffers_that_are_not_persistent():
    module = nn.Module()
    module.register_buffer("kept", tg.zeros(1))
    module.register_buffer("passing", tg.zeros(1), persistent=False)
    module.register_buffer("nothing", None)
    assert list(module.state_dict()) == ["kept"]
    assert [name for name, _ in module.named_buffers()] == ["kept", "passing"]
    assert module.load_state_dict({"kept": tg.ones(1)}) == ([], [])
    module.passing = tg.ones(2)
    assert list(module.state_dict()) == ["kept"]
    module.register_buffer("passing", tg.zeros(1))
    assert list(module.state_dict()) == ["kept", "passing"]


def test_a_shared_module_appears_under_both_names():
    layer = nn.Linear(2, 2)
    module = nn.ModuleDict({"a": layer, "b": layer})
    state = module.state_dict()
    assert list(state) == ["a.weight", "a.bias", "b.weight", "b.bias"]
    other = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    other.load_state_dict(state)
    np.testing.assert_array_equal(other["a"].weight.detach().numpy(), layer.weight.detach().numpy())
    np.testing.assert_array_equal(other["b"].weight.detach().numpy(), layer.weight.detach().numpy())


def test_class_weights_of_a_loss_are_state():
    assert list(nn.CrossEntropyLoss().state_dict()) == []
    assert list(nn.CrossEntropyLoss(tg.ones(3)).state_dict()) == ["weight"]
