"""Module: what assignment registers, walking, converting, copying, printing."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn


class Net(nn.Module):
    """Two layers, a parameter and a buffer of its own, and a module that appears twice."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(tg.ones(2))
        self.register_buffer("count", tg.zeros(3))
        self.first = nn.Linear(2, 3)
        self.body = nn.Sequential(nn.BatchNorm1d(3), nn.ReLU())
        self.again = self.first

    def forward(self, x):
        return self.body(self.first(x))


def names(pairs):
    return [name for name, _ in pairs]


# ---- attributes ----


def test_assignment_registers_by_type():
    net = Net()
    net.plain = tg.zeros(1)
    assert names(net.named_parameters(recurse=False)) == ["scale"]
    assert names(net.named_buffers(recurse=False)) == ["count"]
    assert names(net.named_children()) == ["first", "body"]
    assert isinstance(net.plain, tg.Tensor)
    assert "plain" not in net.state_dict()


@pytest.mark.parametrize("name", ["scale", "first", "count"])
def test_replacing_keeps_the_place(name):
    net = Net()
    before = list(net.state_dict())
    if name == "scale":
        net.scale = nn.Parameter(tg.zeros(5))
    elif name == "first":
        net.first = nn.Linear(2, 3)
    else:
        net.count = tg.ones(4)
    assert list(net.state_dict()) == before
    assert names(net.named_children())[0] == "first"


def test_a_value_of_another_kind_moves_the_name():
    net = Net()
    net.count = nn.Parameter(tg.zeros(3))
    net.scale = nn.Identity()
    net.plain = tg.zeros(1)
    net.plain = nn.Parameter(tg.zeros(1))
    assert names(net.named_buffers(recurse=False)) == []
    assert names(net.named_parameters(recurse=False)) == ["count", "plain"]
    assert "scale" in names(net.named_children())
    assert "plain" not in net.__dict__


def test_none_reserves_the_name():
    net = Net()
    net.scale = None
    net.first = None
    net.again = None
    net.count = None
    assert net.scale is net.first is net.count is None
    assert names(net.named_parameters()) == ["body.0.weight", "body.0.bias"]
    net.scale = nn.Parameter(tg.zeros(2))
    assert names(net.named_parameters())[0] == "scale"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("scale", tg.zeros(2), "cannot assign Tensor as parameter 'scale'"),
        ("first", 3, "cannot assign int as module 'first'"),
        ("count", [1], "cannot assign list as buffer 'count'"),
    ],
)
def test_assigning_the_wrong_type(name, value, text):
    with pytest.raises(TypeError, match=text):
        setattr(Net(), name, value)


def test_delete_and_missing_attributes():
    net = Net()
    net.plain = 1
    for name in ("scale", "count", "body", "plain"):
        delattr(net, name)
        with pytest.raises(AttributeError, match=f"'Net' object has no attribute '{name}'"):
            getattr(net, name)
    with pytest.raises(AttributeError):
        del net.scale


def test_dir_lists_what_is_registered():
    assert {"scale", "count", "first", "forward"} <= set(dir(Net()))


@pytest.mark.parametrize("value", [nn.Parameter(tg.zeros(1)), nn.Identity()])
def test_assignment_before_init(value):
    class Early(nn.Module):
        def __init__(self) -> None:
            self.early = value

    with pytest.raises(AttributeError, match=r"before Module\.__init__"):
        Early()


REGISTER = {
    "parameter": (nn.Module.register_parameter, nn.Parameter(tg.zeros(1))),
    "buffer": (nn.Module.register_buffer, tg.zeros(1)),
    "module": (nn.Module.add_module, nn.Identity()),
}


@pytest.mark.parametrize("kind", REGISTER)
@pytest.mark.parametrize(
    ("name", "error"), [("", KeyError), ("a.b", KeyError), ("forward", KeyError), (3, TypeError)], ids=repr
)
def test_bad_names(kind, name, error):
    register, value = REGISTER[kind]
    with pytest.raises(error):
        register(nn.Module(), name, value)


@pytest.mark.parametrize("kind", REGISTER)
def test_register_none_and_wrong_type(kind):
    register, _ = REGISTER[kind]
    module = nn.Module()
    register(module, "x", None)
    assert module.x is None
    with pytest.raises(TypeError):
        register(module, "y", "text")


def test_a_parameter_must_be_a_leaf():
    with pytest.raises(TypeError, match="expected a tensor"):
        nn.Parameter([1.0])
    result = nn.Parameter(tg.zeros(2)) * 2
    with pytest.raises(TypeError):
        nn.Module().register_parameter("x", result)


def test_parameter():
    data = tg.zeros(2)
    p = nn.Parameter(data)
    assert isinstance(p, tg.Tensor)
    assert p.requires_grad
    assert p.is_leaf
    data[0] = 5
    assert p[0].item() == 5
    assert type(p * 2) is tg.Tensor
    assert not nn.Parameter(tg.zeros(1), requires_grad=False).requires_grad
    assert repr(p) == "Parameter containing:\ntensor([5., 0.], requires_grad=True)"


# ---- walking ----


def test_named_modules_depth_first_each_once():
    net = Net()
    assert names(net.named_modules()) == ["", "first", "body", "body.0", "body.1"]
    assert names(net.named_modules(prefix="net"))[:2] == ["net", "net.first"]
    assert names(net.named_modules(remove_duplicate=False)) == ["", "first", "body", "body.0", "body.1", "again"]
    assert list(net.modules()) == [net, net.first, net.body, net.body[0], net.body[1]]
    assert list(net.children()) == [net.first, net.body]


def test_named_parameters_and_buffers():
    net = Net()
    own = ["scale", "first.weight", "first.bias", "body.0.weight", "body.0.bias"]
    assert names(net.named_parameters()) == own
    assert names(net.named_parameters(remove_duplicate=False)) == [*own, "again.weight", "again.bias"]
    assert names(net.named_parameters("p", recurse=False)) == ["p.scale"]
    assert [p is q for p, (_, q) in zip(net.parameters(), net.named_parameters(), strict=True)] == [True] * 5
    buffers = ["count", "body.0.running_mean", "body.0.running_var", "body.0.num_batches_tracked"]
    assert names(net.named_buffers()) == buffers
    assert len(list(net.buffers())) == 4


def test_a_shared_parameter_is_listed_once():
    a, b = nn.Linear(3, 3), nn.Linear(3, 3)
    b.weight = a.weight
    net = nn.Sequential(a, b)
    assert names(net.named_parameters()) == ["0.weight", "0.bias", "1.bias"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_get_submodule_and_parameter():
    net = Net()
    assert net.get_submodule("") is net
    assert net.get_submodule("body.1") is net.body[1]
    assert net.get_parameter("body.0.weight") is net.body[0].weight
    with pytest.raises(AttributeError, match=r"no submodule '7' \(looking for 'body.7'\)"):
        net.get_submodule("body.7")
    with pytest.raises(AttributeError, match=r"no parameter 'first\.gain'"):
        net.get_parameter("first.gain")


def test_apply_goes_children_first_and_returns_the_module():
    visited = []
    net = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Tanh())
    assert net.apply(lambda m: visited.append(type(m).__name__)) is net
    assert visited == ["ReLU", "Sequential", "Tanh", "Sequential"]


# ---- changing everything ----


def test_train_and_eval():
    net = Net()
    assert net.training
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    assert net.train() is net
    assert all(m.training for m in net.modules())
    with pytest.raises(ValueError, match="mode must be a bool"):
        net.train("yes")


def test_to_converts_floating_tensors_in_place():
    net = Net()
    parameters = list(net.parameters())
    net(tg.ones(4, 2)).sum().backward()
    assert net.double() is net
    assert [p is q for p, q in zip(net.parameters(), parameters, strict=True)] == [True] * 5
    for t in (*net.parameters(), *(p.grad for p in net.parameters() if p.grad is not None), net.count):
        assert t.dtype is tg.float64
    assert net.body[0].num_batches_tracked.dtype is tg.int64
    assert all(p.is_leaf and p.requires_grad for p in net.parameters())
    assert net.float().scale.dtype is tg.float32
    assert net.to(tg.float64).to("cpu").to(tg.zeros(1)).scale.dtype is tg.float32
    assert net.to(device="reference").scale.device.type == "reference"
    assert net.cpu().scale.device.type == "cpu"


def test_to_refuses_what_it_does_not_know():
    with pytest.raises(TypeError, match="floating"):
        Net().to(tg.int64)
    with pytest.raises(TypeError, match="unexpected argument 'kind'"):
        Net().to("cpu", kind=tg.float64)
    with pytest.raises(RuntimeError, match="device 'cuda'"):
        Net().cuda()
    Net().to("cpu", tg.float64, non_blocking=True)


def test_training_goes_on_after_conversion():
    net = nn.Linear(2, 1).double()
    optimizer = tg.optim.SGD(net.parameters(), 0.1)
    before = net.weight.detach().clone()
    net(tg.ones(1, 2, dtype=tg.float64)).sum().backward()
    optimizer.step()
    assert not (net.weight == before).any()


def test_zero_grad():
    net = nn.Linear(2, 1)
    net(tg.ones(1, 2)).sum().backward()
    kept = net.weight.grad
    net.zero_grad(set_to_none=False)
    assert (net.weight.grad == 0).all()
    assert (kept == 0).all()
    net.zero_grad()
    assert net.weight.grad is None


def test_requires_grad():
    net = Net()
    assert net.requires_grad_(False) is net
    assert not any(p.requires_grad for p in net.parameters())
    assert not net(tg.ones(4, 2)).requires_grad
    assert all(p.requires_grad for p in net.requires_grad_().parameters())


# ---- copies ----


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_are_equal_and_apart(duplicate):
    net = Net()
    net.scale.requires_grad_(False)
    twin = duplicate(net)
    assert type(twin) is Net
    assert twin.again is twin.first
    assert repr(twin) == repr(net)
    for (name, a), (other, b) in zip(net.state_dict().items(), twin.state_dict().items(), strict=True):
        assert name == other
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert [p.requires_grad for p in twin.parameters()] == [False, True, True, True, True]
    with tg.no_grad():
        twin.first.weight.zero_()
    assert net.first.weight.abs().sum() > 0
    assert isinstance(twin.scale, nn.Parameter)


def test_hooks_are_copied_but_separate():
    net, calls = nn.Identity(), []
    net.register_forward_hook(lambda *_: calls.append(1))
    twin = copy.deepcopy(net)
    twin._forward_hooks.clear()
    net(tg.zeros(1))
    assert calls == [1]


# ---- errors and text ----


def test_forward_is_required():
    with pytest.raises(NotImplementedError, match=r"Module \[Lazy\] is missing"):
        type("Lazy", (nn.Module,), {})()(1)


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())

    def forward(self, x):
        return self.features(x)


@pytest.mark.parametrize(
    ("net", "note"),
    [
        (nn.Linear(3, 2), "in module: Linear(in_features=3, out_features=2, bias=True)"),
        (Deep(), "in features.0: Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))"),
        (nn.Sequential(Deep()), "in 0.features.0: Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))"),
    ],
)
def test_an_error_says_in_which_module(net, note):
    with pytest.raises(RuntimeError) as caught:
        net(tg.zeros(2, 5, 8, 8))
    assert caught.value.__notes__ == [note]


def test_an_error_of_a_networks_own_forward():
    class Own(nn.Module):
        def forward(self, x):
            error = ValueError("broken")
            error.add_note("in spite of all")
            raise error

    with pytest.raises(ValueError, match="broken") as caught:
        nn.Sequential(nn.Identity(), nn.Sequential(Own()))(1)
    assert caught.value.__notes__ == ["in spite of all", "in 1.0: Own()"]


def test_repr_of_nested_modules():
    assert repr(nn.Module()) == "Module()"
    assert repr(Net()) == (
        "Net(\n"
        "  (first): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (body): Sequential(\n"
        "    (0): BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)\n"
        "    (1): ReLU()\n"
        "  )\n"
        "  (again): Linear(in_features=2, out_features=3, bias=True)\n"
        ")"
    )


def test_extra_repr_of_several_lines():
    class Wide(nn.Module):
        def extra_repr(self):
            return "a=1\nb=2"

    assert repr(Wide()) == "Wide(\n  a=1\n  b=2\n)"
    assert repr(nn.Sequential(Wide())) == "Sequential(\n  (0): Wide(\n    a=1\n    b=2\n  )\n)"
