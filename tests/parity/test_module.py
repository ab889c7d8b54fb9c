"""Modules: backward hooks, state hooks, extra state, and lists and dictionaries of parameters."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_cnn as tg

from .compare import error_of, same_in_both, torch

# ---- backward hooks ----


def values(t, x):
    """Return nested gradients as lists; None stays."""
    if isinstance(x, (tuple, list)):
        return [values(t, y) for y in x]
    return x.tolist() if isinstance(x, t.Tensor) else x


def numbers(t, *shape, grad=True):
    x = t.arange(float(np.prod(shape))).reshape(shape) / 10 + 0.5
    return x.requires_grad_() if grad else x


def several(t):
    class Several(t.nn.Module):
        def forward(self, a, b, number=3, c=None):
            return a * b * number, a + 1, "text", b.detach()

    return Several()


@pytest.mark.parametrize("which", [(1, 1), (1, 0), (0, 1), (0, 0)])
@same_in_both
def test_what_hooks_see(t, which):
    seen = []
    net = several(t)
    net.register_full_backward_hook(lambda m, dx, dy: seen.append(["full", values(t, dx), values(t, dy)]))
    net.register_full_backward_pre_hook(lambda m, dy: seen.append(["pre", values(t, dy)]))
    a, b = [numbers(t, 2, grad=bool(grad)) for grad in which]
    w = numbers(t, 2)
    product, *_ = net(a, b, 2)
    (product * w).sum().backward()
    return [*seen, values(t, [a.grad, b.grad, w.grad])]


@pytest.mark.parametrize("prepend", [False, True])
@same_in_both
def test_hooks_replace_gradients_in_order(t, prepend):
    net = t.nn.Linear(3, 2)
    with t.no_grad():
        net.weight.copy_(numbers(t, 2, 3))
    net.register_full_backward_hook(lambda m, dx, dy: (dx[0] * 2,))
    net.register_full_backward_hook(lambda m, dx, dy: (dx[0] + 1,), prepend=prepend)
    net.register_full_backward_pre_hook(lambda m, dy: (dy[0] * 3,))
    net.register_full_backward_pre_hook(lambda m, dy: (dy[0] + 1,), prepend=prepend)
    x = numbers(t, 4, 3)
    net(x).sum().backward()
    return x.grad, net.weight.grad, net.bias.grad


@same_in_both
def test_hooks_on_a_chain_of_modules(t):
    seen = []
    net = t.nn.Sequential(t.nn.Linear(3, 3), t.nn.ReLU(), t.nn.Linear(3, 2))
    with t.no_grad():
        for p in net.parameters():
            p.copy_(numbers(t, *p.shape) - 0.7)
    handles = [
        m.register_full_backward_hook(lambda m, dx, dy: seen.append([type(m).__name__, values(t, dx), values(t, dy)]))
        for m in net
    ]
    x = numbers(t, 2, 3)
    net(x).sum().backward()
    for handle in handles:
        handle.remove()
    net(x).sum().backward()
    with t.no_grad():
        net(x)
    return [np.round(s[1:], 5).tolist() if len(s[1]) == len(s[2]) == 2 else str(s[0]) for s in seen], x.grad


@same_in_both
def test_hooks_where_no_input_needs_a_gradient(t):
    net, seen = t.nn.Linear(2, 2), []
    net.register_full_backward_hook(lambda m, dx, dy: seen.append([values(t, dx), values(t, dy)]))
    net.register_full_backward_pre_hook(lambda m, dy: (dy[0] * 2,))
    net(numbers(t, 3, 2, grad=False)).sum().backward()
    return seen, net.bias.grad


@same_in_both
def test_backward_hooks_are_for_gradients_only(t):
    net, seen = t.nn.Linear(2, 2), []
    net.register_full_backward_hook(lambda m, dx, dy: seen.append(dx))
    net(numbers(t, 2)).sum()
    with t.no_grad():
        net(numbers(t, 2))
    return len(seen)


@same_in_both
def test_hooks_must_return_as_many_gradients(t):
    found = []
    for register in ("register_full_backward_hook", "register_full_backward_pre_hook"):
        net = t.nn.Linear(2, 2)
        getattr(net, register)(lambda m, *grads: (None, None))
        found.append(error_of(lambda net=net: net(numbers(t, 2)).sum().backward()))
    return found


def test_a_hook_sees_second_derivatives_pass():
    x = tg.tensor([2.0], requires_grad=True)
    net = tg.nn.Identity()
    net.register_full_backward_hook(lambda m, dx, dy: None)
    (first,) = tg.autograd.grad((net(x) ** 3).sum(), x, create_graph=True)
    (second,) = tg.autograd.grad(first.sum(), x)
    assert second.item() == 12


def test_an_activation_in_place_may_be_watched():
    net = tg.nn.Sequential(tg.nn.Linear(2, 2), tg.nn.ReLU(inplace=True))
    for m in net:
        m.register_full_backward_hook(lambda m, dx, dy: (dx[0] * 2,))
    x = tg.ones(2, requires_grad=True)
    net(x).sum().backward()
    plain = tg.ones(2, requires_grad=True)
    net[1](net[0](plain)).sum().backward()
    assert x.grad.tolist() == plain.grad.tolist()


# ---- states ----


def counting(t):
    class Counting(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = t.nn.Parameter(t.zeros(2))
            self.register_buffer("kept", t.ones(1))
            self.register_buffer("left_out", t.ones(1), persistent=False)
            self.calls = 0

        def get_extra_state(self):
            return {"calls": self.calls}

        def set_extra_state(self, state):
            self.calls = state["calls"]

    return t.nn.Sequential(Counting(), t.nn.Linear(1, 1))


@same_in_both
def test_extra_state(t):
    source, target = counting(t), counting(t)
    source[0].calls = 5
    state = source.state_dict()
    target.load_state_dict(state)
    del state["0._extra_state"]
    return [
        list(source.state_dict()),
        target[0].calls,
        error_of(target.load_state_dict, state),
        source[0].get_buffer("kept"),
    ]


@same_in_both
def test_state_hooks(t):
    net, seen = t.nn.Sequential(t.nn.Linear(1, 2), t.nn.Linear(2, 1)), []
    net[1].register_state_dict_pre_hook(lambda m, prefix, keep: seen.append([type(m).__name__, prefix, keep]))
    net[1].register_state_dict_post_hook(lambda m, state, prefix, meta: state.__setitem__(prefix + "more", t.ones(1)))
    state = net.state_dict()
    net[1].register_load_state_dict_pre_hook(
        lambda m, state, prefix, *rest: seen.append([prefix, state.pop(prefix + "more").item()])
    )
    net.register_load_state_dict_post_hook(lambda m, keys: seen.append([type(m).__name__, list(keys.missing_keys)]))
    net[0].register_load_state_dict_post_hook(lambda m, keys: seen.append("first"))
    other = OrderedDict(state)
    net._state_dict_hooks.clear()
    net[1]._state_dict_hooks.clear()
    net.load_state_dict(other)
    handle = net.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    del other["0.bias"]
    net.load_state_dict(other)
    handle.remove()
    return [
        *sorted(map(str, seen)),
        list(state),
        list(other),
        error_of(net.load_state_dict, other),
    ]  # before or after others


@same_in_both
def test_replacing_a_submodule(t):
    net = t.nn.Sequential(OrderedDict(a=t.nn.Sequential(t.nn.ReLU()), b=t.nn.Linear(1, 1)))
    net.set_submodule("a.0", t.nn.Tanh())
    net.set_submodule("a.new", t.nn.Identity())
    wrong = [("", t.nn.ReLU()), ("a", 3), ("b.weight", t.nn.ReLU()), ("no.x", t.nn.ReLU())]
    found = [[isinstance(failure, Exception) for failure in [_failure(net.set_submodule, *args)]] for args in wrong]
    found.append(isinstance(_failure(net.set_submodule, "a.no", t.nn.ReLU(), strict=True), AttributeError))
    return [type(net.a[0]).__name__, list(net.a._modules), found]


def _failure(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except Exception as error:
        return error
    return None


@same_in_both
def test_converting(t):
    net = t.nn.Sequential(t.nn.Linear(2, 2), t.nn.ReLU())
    first = next(net.parameters())
    net.type(t.float64)
    empty = t.nn.Linear(3, 2).to_empty(device="cpu")
    return [net[0].weight.dtype, next(net.parameters()) is first, empty.weight.shape, empty.weight.requires_grad]


# ---- parameters by number and by name ----


@same_in_both
def test_parameter_list(t):
    made = t.nn.ParameterList([t.ones(2), t.nn.Parameter(t.zeros(1, 2)), 5])
    made += [t.ones(1)]
    made.append(t.nn.Parameter(t.zeros(3))).extend([t.ones(2), "text"])
    made[0] = t.zeros(4)
    errors = [
        error_of(made.__getitem__, 9),
        error_of(made.extend, t.ones(2)),
        error_of(made.extend, 3),
        error_of(made, 1),
    ]
    part = made[1:4]
    return [
        [type(x).__name__ for x in made], len(made), list(made.state_dict()), list(dict(made.named_parameters())), errors,
        [type(part).__name__, len(part)], made[-2], repr(made).replace("torch.", "").replace("tinygrad_cnn.", ""),
    ]  # fmt: skip


@same_in_both
def test_parameter_dict(t):
    made = t.nn.ParameterDict({"b": t.ones(2), "a": t.nn.Parameter(t.zeros(1))})
    made.update([("z", t.ones(1)), ("y", t.zeros(2))])
    made["number"] = 3
    order = [
        list(made),
        list(made.state_dict()),
        list(dict(made.named_parameters())),
        [type(v).__name__ for v in made.values()],
    ]
    popped = [
        made.pop("z"),
        made.popitem(),
        made.get("none", 7),
        made.setdefault("s", t.ones(1)),
        "s" in made,
        len(made),
    ]
    both = made | {"d": t.ones(1), "c": t.ones(2)}
    copied = made.copy()
    made |= {"e": t.ones(1)}
    errors = [error_of(t.nn.ParameterDict().__setitem__, 3, t.ones(1)), error_of(made.update, 3), error_of(made, 1)]
    state = made.state_dict()
    del made["b"]
    kinds = [list(both), list(copied), list(reversed(made)), list(made.fromkeys(["q", "p"], 1)), list(state), errors]
    made.clear()
    return [*order, popped[0], list(popped[1]), *popped[2:], kinds, len(made), list(made.named_parameters())]


@same_in_both
def test_parameters_are_trained(t):
    class Net(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.scales = t.nn.ParameterList([t.ones(2), t.ones(2)])
            self.named = t.nn.ParameterDict({"w": t.ones(2)})

        def forward(self, x):
            for scale in self.scales:
                x = x * scale
            return x * self.named["w"]

    net = Net()
    net(numbers(t, 2)).sum().backward()
    optimizer = t.optim.SGD(net.parameters(), lr=0.5)
    optimizer.step()
    return [list(net.state_dict()), list(net.parameters()), len(set(net.modules()))]


def test_the_names_of_pytorchs_module_that_are_missing():
    missing = {n for n in dir(torch.nn.Module) if not n.startswith("_")} - set(dir(tg.nn.Module))
    assert missing == {
        "T_destination", "bfloat16", "call_super_init", "dump_patches", "half", "ipu", "mtia", "register_backward_hook",
        "share_memory", "xpu",
    }  # fmt: skip
