"""Layers with the same weights: outputs, gradients, state, text; and what modules do to their parts."""

from __future__ import annotations

import copy
from collections import OrderedDict

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="parity needs torch 2.13.0")
pytestmark = pytest.mark.parity

import tinygrad_cnn as tg  # noqa: E402

from .twins import arrays, both, close, gradients, quietly  # noqa: E402

IMAGES = (3, 4, 9, 8)
LAYERS = [
    (lambda t: t.nn.Conv2d(4, 6, 3), IMAGES),
    (lambda t: t.nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), 2, False), IMAGES),
    (lambda t: t.nn.Conv2d(4, 8, 3, padding=1, groups=4), IMAGES),
    (lambda t: t.nn.Conv2d(4, 2, 1, stride=2), IMAGES),
    (lambda t: t.nn.Conv2d(4, 2, (4, 3), padding="same"), IMAGES),
    (lambda t: t.nn.Conv2d(4, 2, 2, padding="valid"), IMAGES),
    (lambda t: t.nn.Conv2d(4, 2, 3, padding=(2, 1), padding_mode="reflect"), IMAGES),
    (lambda t: t.nn.Conv2d(4, 2, 3, padding=2, padding_mode="replicate", bias=False), IMAGES),
    (lambda t: t.nn.Conv2d(4, 2, 3, padding=(1, 2), padding_mode="circular", stride=2), IMAGES),
    (lambda t: t.nn.Conv2d(4, 2, (2, 4), padding="same", padding_mode="circular"), IMAGES),
    (lambda t: t.nn.Conv2d(4, 2, 3), IMAGES[1:]),
    (lambda t: t.nn.Linear(8, 5), IMAGES),
    (lambda t: t.nn.Linear(8, 5, bias=False), (8,)),
    (lambda t: t.nn.MaxPool2d(3), IMAGES),
    (lambda t: t.nn.MaxPool2d((3, 2), 2, (1, 0), 2, ceil_mode=True), IMAGES),
    (lambda t: t.nn.AvgPool2d(2), IMAGES),
    (lambda t: t.nn.AvgPool2d(3, 2, 1, True, False), IMAGES),
    (lambda t: t.nn.AvgPool2d((2, 3), divisor_override=4), IMAGES),
    (lambda t: t.nn.AdaptiveAvgPool2d((3, None)), IMAGES),
    (lambda t: t.nn.AdaptiveAvgPool2d((4, 3)), IMAGES),
    (lambda t: t.nn.AdaptiveAvgPool2d(1), IMAGES),
    (lambda t: t.nn.BatchNorm2d(4), IMAGES),
    (lambda t: t.nn.BatchNorm2d(4, 1e-3, 0.3, affine=False), IMAGES),
    (lambda t: t.nn.BatchNorm2d(4, momentum=None), IMAGES),
    (lambda t: t.nn.BatchNorm2d(4, bias=False), IMAGES),
    (lambda t: t.nn.BatchNorm2d(4, track_running_stats=False), IMAGES),
    (lambda t: t.nn.BatchNorm1d(4), (5, 4)),
    (lambda t: t.nn.BatchNorm1d(4), (5, 4, 3)),
    (lambda t: t.nn.Unfold((2, 3), padding=1, stride=(2, 1), dilation=2), IMAGES),
    (lambda t: t.nn.Fold((4, 5), (2, 1)), (2, 6, 15)),
    (lambda t: t.nn.Flatten(), IMAGES),
    (lambda t: t.nn.Flatten(0, 2), IMAGES),
    (lambda t: t.nn.Unflatten(1, (2, 2)), IMAGES),
    (lambda t: t.nn.Identity(1, key=2), IMAGES),
    (lambda t: t.nn.ReLU(), IMAGES),
    (lambda t: t.nn.ReLU(inplace=True), IMAGES),
    (lambda t: t.nn.LeakyReLU(0.2), IMAGES),
    (lambda t: t.nn.LeakyReLU(inplace=True), IMAGES),
    (lambda t: t.nn.Sigmoid(), IMAGES),
    (lambda t: t.nn.Tanh(), IMAGES),
    (lambda t: t.nn.Softmax(dim=1), IMAGES),
    (lambda t: t.nn.LogSoftmax(dim=-1), IMAGES),
    (lambda t: t.nn.Dropout(0.0), IMAGES),
    (lambda t: t.nn.Dropout(1.0), IMAGES),
    (lambda t: t.nn.Dropout2d(0.0, inplace=True), IMAGES),
]
IDS = [f"{i}-{make(tg)}" for i, (make, _) in enumerate(LAYERS)]
TOLERANCES = {"float32": (2e-5, 5e-6), "float64": (1e-11, 1e-12)}


def data(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("make", "shape"), LAYERS, ids=IDS)
def test_layer(make, shape, dtype):
    ours, theirs = both(make, dtype)
    assert repr(ours) == repr(theirs)
    for mode in (True, True, False):
        results = []
        for t, module in ((tg, ours), (torch, theirs)):
            module.train(mode)
            module.zero_grad()
            x = t.tensor(data(shape).astype(dtype)).requires_grad_()
            y = quietly(module, x * 1)  # * 1: a layer may change it in place
            dy = t.tensor(data(tuple(y.shape), 1).astype(dtype))
            y.backward(dy)
            results.append({"y": y, "dx": x.grad, **{f"d {k}": g for k, g in named(module)}, **module.state_dict()})
        close(*map(arrays, results), *TOLERANCES[dtype])


def named(module):
    return [(name, p.grad) for name, p in module.named_parameters()]


def test_max_pool_indices():
    x = data(IMAGES)
    for arguments in ((2,), (3, 2, 1), (2, 1, 0, 2)):
        ours = tg.nn.MaxPool2d(*arguments, return_indices=True)(tg.tensor(x))
        theirs = torch.nn.MaxPool2d(*arguments, return_indices=True)(torch.tensor(x))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


# ---- losses ----

CLASSES = np.array([0, 3, 1, -7, 2, 2])
WEIGHT = np.array([1.0, 2.0, 0.5, 1.5])
CLASS_LOSSES = [
    (lambda t: t.nn.CrossEntropyLoss(ignore_index=-7)),
    (lambda t: t.nn.CrossEntropyLoss(t.tensor(WEIGHT), ignore_index=-7, label_smoothing=0.2)),
    (lambda t: t.nn.CrossEntropyLoss(ignore_index=-7, reduction="none")),
    (lambda t: t.nn.NLLLoss(t.tensor(WEIGHT), ignore_index=-7, reduction="sum")),
    (lambda t: t.nn.NLLLoss(ignore_index=-7)),
]
LOSSES = [
    (lambda t: t.nn.MSELoss()),
    (lambda t: t.nn.MSELoss(reduction="sum")),
    (lambda t: t.nn.L1Loss()),
    (lambda t: t.nn.L1Loss(reduction="none")),
    (lambda t: t.nn.CrossEntropyLoss(t.tensor(WEIGHT), label_smoothing=0.1)),
]


@pytest.mark.parametrize(
    ("make", "target"), [*((m, CLASSES) for m in CLASS_LOSSES), *((m, np.abs(data((6, 4), 3))) for m in LOSSES)]
)
def test_loss(make, target):
    ours, theirs = make(tg), make(torch)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    results = []
    for t, loss in ((tg, ours), (torch, theirs)):
        x = t.tensor(data((6, 4))).requires_grad_()
        y = loss(x, t.tensor(target))
        y.backward(t.ones_like(y))
        results.append(arrays({"loss": y, "dx": x.grad}))
    close(*results, 1e-12, 1e-13)


# ---- what modules do with their parts: programs whose results are plain values ----


def network(t):
    class Net(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = t.nn.Parameter(t.ones(2))
            self.register_buffer("count", t.zeros(3))
            self.register_buffer("passing", t.zeros(1), persistent=False)
            self.first = t.nn.Linear(2, 3)
            self.body = t.nn.Sequential(t.nn.BatchNorm1d(3), t.nn.ReLU(inplace=True))
            self.stack = t.nn.ModuleList([t.nn.Linear(3, 3) for _ in range(3)] + [t.nn.Tanh()])
            self.table = t.nn.ModuleDict({"b": t.nn.Identity(), "a": t.nn.Dropout(0.1)})
            self.again = self.first
            self.register_parameter("nothing", None)
            self.nowhere = None

    return Net()


def names(pairs):
    return [name for name, _ in pairs]


def listing(t):
    net = network(t)
    return [
        names(net.named_parameters()), names(net.named_parameters("p", recurse=False)), names(net.named_modules()),
        names(net.named_parameters(remove_duplicate=False)), names(net.named_buffers()), names(net.named_children()),
        names(net.named_modules(remove_duplicate=False)), list(net.state_dict()), list(net.state_dict(prefix="x.")),
        [type(m).__name__ for m in net.modules()], repr(net),
    ]  # fmt: skip


def replacing(t):
    net = network(t)
    net.first = t.nn.Identity()
    net.scale = t.nn.Parameter(t.zeros(1))
    net.count = None
    net.body[0] = t.nn.Tanh()
    net.stack[1] = t.nn.ReLU()
    net.table["b"] = t.nn.Sigmoid()
    net.again = None
    net.nowhere = t.nn.Parameter(t.zeros(1))
    del net.passing
    return [repr(net), list(net.state_dict()), names(net.named_parameters()), names(net.named_buffers())]


def editing(t):
    net = t.nn.Sequential(t.nn.ReLU(), t.nn.Tanh(), t.nn.Sigmoid())
    net.append(t.nn.Identity()).extend([t.nn.ReLU()]).insert(1, t.nn.Flatten())
    del net[2], net[-1]
    stack = t.nn.ModuleList(net)
    stack.insert(0, t.nn.Tanh())
    del stack[1:3]
    return [repr(net), repr(net[1:]), repr(net[::-1]), repr(stack), repr(stack[-2:]), len(net), len(stack)]


def editing_by_name(t):
    net = t.nn.Sequential(OrderedDict(a=t.nn.ReLU(), b=t.nn.Tanh(), c=t.nn.Sigmoid()))
    texts = [repr(net), repr(net[1:])]
    net[1] = t.nn.Identity()
    texts.append(repr(net))
    del net[0]
    return [*texts, repr(net)]


def shared(t):
    a, b = t.nn.Linear(2, 2), t.nn.Linear(2, 2)
    b.weight = a.weight
    net = t.nn.Sequential(a, b, a)
    twin = copy.deepcopy(net)
    return [
        names(net.named_parameters()), list(net.state_dict()), twin[1].weight is twin[0].weight, twin[2] is twin[0],
        sum(p.numel() for p in net.parameters()),
    ]  # fmt: skip


def applying(t):
    seen = []
    net = network(t)
    net.apply(lambda m: seen.append(type(m).__name__))
    net.body.eval()
    modes = [m.training for m in net.modules()]
    net.requires_grad_(False)
    net.double()
    kinds = [str(x.dtype).split(".")[1] for x in net.state_dict().values()]
    return [seen, modes, [p.requires_grad for p in net.parameters()], kinds]


def loading(t):
    net, state = network(t), network(t).state_dict()
    state["extra"] = state.pop("scale")
    result = net.load_state_dict(state, strict=False)
    return [list(result.missing_keys), list(result.unexpected_keys), tuple(result)]


def hooking(t):
    class Add(t.nn.Module):
        def forward(self, a, b=1):
            return a + b

    net, seen = Add(), []
    net.register_forward_pre_hook(lambda m, args: seen.append(("pre", args)))
    net.register_forward_pre_hook(lambda m, args: 5)
    net.register_forward_pre_hook(lambda m, args, kwargs: (args, {"b": 7}), with_kwargs=True)
    handle = net.register_forward_hook(lambda m, args, out: out * 10)
    net.register_forward_hook(lambda m, args, kwargs, out: seen.append((args, kwargs, out)), with_kwargs=True)
    net.register_forward_hook(lambda m, args, out: out + 1, prepend=True)
    net.register_forward_hook(lambda m, args, out: seen.append(("always", out)), always_call=True)
    results = [net(1, b=2)]
    handle.remove()
    results.append(net(1))
    broken = net.register_forward_pre_hook(lambda m, args: (None,))
    with pytest.raises(TypeError):
        net(1)
    broken.remove()
    return [results, seen]


PROGRAMS = [listing, replacing, editing, editing_by_name, shared, applying, loading, hooking]


@pytest.mark.parametrize("program", PROGRAMS)
def test_modules(program):
    assert program(tg) == program(torch)


BAD = [
    lambda t: t.nn.Module()(1),
    lambda t: setattr(t.nn.Linear(1, 1), "weight", t.zeros(1)),
    lambda t: setattr(network(t), "first", 3),
    lambda t: setattr(network(t), "count", "text"),
    lambda t: t.nn.Module().register_buffer("a.b", None),
    lambda t: t.nn.Module().register_parameter("forward", None),
    lambda t: t.nn.Module().add_module("x", "text"),
    lambda t: network(t).missing,
    lambda t: network(t).get_submodule("body.7"),
    lambda t: network(t).get_parameter("body.0.nothing"),
    lambda t: network(t).load_state_dict({}),
    lambda t: network(t).load_state_dict([]),
    lambda t: network(t).train("yes"),
    lambda t: t.nn.Sequential(1),
    lambda t: t.nn.Sequential(t.nn.ReLU())[1],
    lambda t: t.nn.Conv2d(3, 4, 3, groups=2),
    lambda t: t.nn.Conv2d(3, 4, 3, padding="some"),
    lambda t: t.nn.Conv2d(3, 4, 3, padding_mode="some"),
    lambda t: t.nn.Dropout(1.5),
    lambda t: t.nn.BatchNorm2d(3)(t.zeros(2, 3)),
    lambda t: t.nn.BatchNorm2d(3)(t.zeros(1, 3, 1, 1)),
    lambda t: t.nn.Linear(3, 4)(t.zeros(2, 5)),
    lambda t: t.nn.Conv2d(3, 4, 3)(t.zeros(2, 5, 8, 8)),
    lambda t: t.nn.MSELoss(reduction="some")(t.zeros(1), t.zeros(1)),
    lambda t: t.nn.CrossEntropyLoss()(t.zeros(2, 3), t.tensor([0, 3])),
    lambda t: t.nn.init.eye_(t.zeros(1)),
    lambda t: t.nn.init.xavier_normal_(t.zeros(1)),
    lambda t: t.nn.init.orthogonal_(t.zeros(1)),
    lambda t: t.nn.init.kaiming_normal_(t.zeros(1, 1), mode="some"),
    lambda t: t.nn.init.calculate_gain("some"),
]


def failure(call, t):
    try:
        call(t)
    except Exception as error:
        return type(error)
    return None


@pytest.mark.parametrize("call", BAD, ids=range(len(BAD)))
def test_errors_have_pytorchs_class(call):
    assert failure(call, tg) is quietly(failure, call, torch)


def fused(t, transpose=False):
    conv = t.nn.Conv2d(3, 4, 3)
    if transpose:
        conv.weight = t.nn.Parameter(conv.weight.detach().transpose(0, 1))
    return t.nn.utils.fuse_conv_bn_weights(
        conv.weight, None, t.arange(4.0), t.arange(1.0, 5.0), 1e-3, None, t.arange(4.0), transpose
    )


def test_fused_convolution_and_batch_norm():
    ours, theirs = both(lambda t: t.nn.Sequential(t.nn.Conv2d(3, 4, 3, groups=1), t.nn.BatchNorm2d(4)))
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 5))
    states = []
    for t, net in ((tg, ours), (torch, theirs)):
        net(t.tensor(x))
        with pytest.raises(AssertionError):
            t.nn.utils.fuse_conv_bn_eval(net[0], net[1])
        made = t.nn.utils.fuse_conv_bn_eval(net.eval()[0], net[1])
        close(made(t.tensor(x)), net(t.tensor(x)), 1e-9, 1e-12)
        assert all(p.requires_grad and p.is_leaf for p in made.parameters())
        states.append({k: v.detach().numpy() for k, v in made.state_dict().items()})
    close(*states, 1e-9, 1e-12)
    bias = {k: [p.detach().numpy() for p in fused(tg, k)][1] for k in (False, True)}
    np.testing.assert_allclose(bias[False], bias[True])
    np.testing.assert_allclose(bias[False], fused(torch)[1].detach().numpy(), rtol=1e-6)


def test_parameters_as_one_vector():
    found = []
    for t in (tg, torch):
        net = t.nn.Linear(3, 2)
        vector = t.arange(8.0) * 2
        t.nn.utils.vector_to_parameters(vector, net.parameters())
        vector[0] = 100.0
        back = t.nn.utils.parameters_to_vector(net.parameters())
        back.sum().backward()
        found.append([back.tolist(), net.weight.tolist(), net.weight.grad.tolist(), net.bias.is_leaf])
        with pytest.raises(TypeError):
            t.nn.utils.vector_to_parameters([1.0], net.parameters())
    assert found[0] == found[1]


# ---- initial values and clipping ----


@pytest.mark.parametrize("name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gain(name):
    assert tg.nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    if name == "leaky_relu":
        assert tg.nn.init.calculate_gain(name, 0.3) == torch.nn.init.calculate_gain(name, 0.3)


@pytest.mark.parametrize("groups", [1, 2])
def test_dirac(groups):
    for shape in ((4, 2, 3), (2, 4, 2, 3), (6, 3, 1, 1)):
        ours, theirs = [t.nn.init.dirac_(t.empty(shape), groups) for t in (tg, torch)]
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


DISTRIBUTIONS = [
    lambda init, x: init.kaiming_uniform_(x, a=5**0.5),
    lambda init, x: init.kaiming_normal_(x, mode="fan_out", nonlinearity="relu"),
    lambda init, x: init.xavier_uniform_(x, gain=2),
    lambda init, x: init.xavier_normal_(x),
    lambda init, x: init.trunc_normal_(x, 0.5, 2.0, -1.0, 3.0),
    lambda init, x: init.trunc_normal_(x, 0.5, 0.5, 1.0, 3.0),
    lambda init, x: init.trunc_normal_(x, 0.5, 1.0, 2.0, 3.0),
    lambda init, x: init.kaiming_uniform_(x, 0.1, "FAN_OUT"),
    lambda init, x: init.normal_(x, 1.0, 0.1),
    lambda init, x: init.sparse_(x.view(-1, 30), 0.25).view(x.shape),
    lambda init, x: init.orthogonal_(x, 3.0),
    lambda init, x: init.uniform_(x, -3, 1),
]


@pytest.mark.parametrize("fill", DISTRIBUTIONS, ids=range(len(DISTRIBUTIONS)))
def test_quantiles_of_initial_values(fill):
    torch.manual_seed(0)
    ours, theirs = [np.sort(fill(t.nn.init, t.empty(200, 30, 3, 3)).numpy().reshape(-1)) for t in (tg, torch)]
    at = np.linspace(0, len(ours) - 1, 21).astype(int)[1:-1]
    np.testing.assert_allclose(ours[at], theirs[at], atol=0.02 * theirs.std() * 2)


@pytest.mark.parametrize("order", [1, 2.0, 3, 0.5, 0, -1, float("inf"), -float("inf")])
@pytest.mark.parametrize("most", [0.5, 100.0])
def test_clipping(order, most):
    results = []
    for t in (tg, torch):
        net = t.nn.Linear(3, 2)
        for i, p in enumerate(net.parameters()):
            p.grad = t.tensor(data(tuple(p.shape), i).astype(np.float32))
        total = t.nn.utils.clip_grad_norm_(net.parameters(), most, order)
        alone = t.nn.utils.get_total_norm([p.grad for p in net.parameters()], order)
        t.nn.utils.clip_grads_with_norm_(net.parameters(), most / 2, alone)
        norms = {**gradients(net), "total": total.numpy(), "alone": alone.numpy()}
        t.nn.utils.clip_grad_value_(net.parameters(), 0.1)
        results.append({**norms, **{f"{k} again": g for k, g in gradients(net).items()}})
    close(*results, 2e-6, 1e-7)
