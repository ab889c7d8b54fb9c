"""Forward hooks: what they are given, what they may return, their order, and how they go away."""

from __future__ import annotations

import pytest

from tinygrad_cnn import nn


class Add(nn.Module):
    """a + b, on any numbers."""

    def forward(self, a, b=10):
        return a + b


# What a pre-hook returns, and what Add()(1, b=2) gives then.
PRE = {"None": (lambda m, args: None, 3), "a value": (lambda m, args: 5, 7), "a tuple": (lambda m, args: (6,), 8)}
PRE_KWARGS = {
    "None": (lambda m, args, kwargs: None, 3),
    "a pair": (lambda m, args, kwargs: ((args[0] + 1,), {"b": kwargs["b"] * 10}), 22),
}
AFTER = {
    "None": (lambda m, args, out: None, 3),
    "a value": (lambda m, args, out: (args, out), ((1,), 3)),
    "False": (lambda m, args, out: False, False),
}
AFTER_KWARGS = {
    "None": (lambda m, args, kwargs, out: None, 3),
    "a value": (lambda m, args, kwargs, out: kwargs["b"] + out, 5),
}


@pytest.mark.parametrize(("hook", "expected"), PRE.values(), ids=PRE)
def test_pre_hook(hook, expected):
    net = Add()
    net.register_forward_pre_hook(hook)
    assert net(1, b=2) == expected


@pytest.mark.parametrize(("hook", "expected"), PRE_KWARGS.values(), ids=PRE_KWARGS)
def test_pre_hook_with_kwargs(hook, expected):
    net = Add()
    net.register_forward_pre_hook(hook, with_kwargs=True)
    assert net(1, b=2) == expected


@pytest.mark.parametrize("value", [5, (1,), (1, 2, 3)], ids=repr)
def test_pre_hook_with_kwargs_must_return_a_pair(value):
    net = Add()
    net.register_forward_pre_hook(lambda m, args, kwargs: value, with_kwargs=True)
    with pytest.raises(RuntimeError, match="None or a pair"):
        net(1)


@pytest.mark.parametrize(("hook", "expected"), AFTER.values(), ids=AFTER)
def test_hook(hook, expected):
    net = Add()
    net.register_forward_hook(hook)
    assert net(1, b=2) == expected


@pytest.mark.parametrize(("hook", "expected"), AFTER_KWARGS.values(), ids=AFTER_KWARGS)
def test_hook_with_kwargs(hook, expected):
    net = Add()
    net.register_forward_hook(hook, with_kwargs=True)
    assert net(1, b=2) == expected


def test_hooks_run_in_order_and_chain():
    net, order = Add(), []
    for name in "ab":
        net.register_forward_pre_hook(lambda m, args, name=name: order.append("pre " + name))
        net.register_forward_hook(lambda m, args, out, name=name: order.append(name) or out * 10)
    net.register_forward_pre_hook(lambda m, args: order.append("pre first"), prepend=True)
    net.register_forward_hook(lambda m, args, out: order.append("first") or out + 1, prepend=True)
    assert net(1, 1) == 300
    assert order == ["pre first", "pre a", "pre b", "first", "a", "b"]


def test_removal():
    net = Add()
    handles = [net.register_forward_hook(lambda m, args, out, i=i: out + i) for i in (100, 1000)]
    assert net(1, 1) == 1102
    handles[0].remove()
    handles[0].remove()
    assert net(1, 1) == 1002
    with handles[1]:
        assert net(1, 1) == 1002
    assert net(1, 1) == 2


def test_a_hook_may_remove_itself():
    net, calls = Add(), []

    def once(module, args, out):
        calls.append(out)
        handle.remove()

    handle = net.register_forward_hook(once)
    assert net(1, 1) == net(1, 1) == 2
    assert calls == [2]


def test_hooks_of_submodules_see_their_module():
    net, seen = nn.Sequential(nn.Identity(), nn.Identity()), []
    for module in net.modules():
        module.register_forward_hook(lambda m, args, out: seen.append(m))
    net(1)
    assert seen == [net[0], net[1], net]


def failing(*_, **__):
    raise ValueError("forward broke")


def test_after_an_error_only_the_hooks_that_ask_for_it_run():
    net, seen = Add(), []
    net.forward = failing
    net.register_forward_hook(lambda m, args, out: seen.append("never"))
    net.register_forward_hook(lambda m, args, out: seen.append((args, out)), always_call=True)
    net.register_forward_hook(lambda m, args, kwargs, out: seen.append(kwargs), always_call=True, with_kwargs=True)
    with pytest.raises(ValueError, match="forward broke"):
        net(1, b=2)
    assert seen == [((1,), None), {"b": 2}]


def test_always_call_runs_once():
    net, seen = Add(), []
    net.register_forward_hook(lambda m, args, out: seen.append(out), always_call=True)
    assert net(1, 2) == 3
    net.register_forward_hook(failing)
    with pytest.raises(ValueError, match="forward broke"):
        net(1, 2)
    assert seen == [3, 3]


def test_an_error_in_a_hook_is_noted():
    net = nn.Sequential(nn.Identity())
    net[0].register_forward_hook(failing)
    with pytest.raises(ValueError, match="forward broke") as caught:
        net(1)
    assert caught.value.__notes__ == ["in 0: Identity()"]
