"""ReLU in the same step as what comes before it: the same bits, gradients, graph and errors as one after the other.

This file also runs in the build with address and undefined-behaviour sanitizers.
"""

from __future__ import annotations

import copy
import pickle
from functools import partial
from typing import Any

import numpy as np
import pytest
from conftest import LEVELS

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.backends import get_backend
from tinygrad_cnn.geometry import window
from tinygrad_cnn.models.resnet import BasicBlock, Bottleneck
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.nn.joined import in_turn, norm_add_relu
from tinygrad_cnn.ops.conv import conv2d_relu
from tinygrad_cnn.ops.matmul import linear_relu
from tinygrad_cnn.ops.norm import batch_norm_relu

on_levels = pytest.mark.parametrize("level", LEVELS)
on_reals = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def normal(dtype: Any, seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def bits(array: np.ndarray) -> bytes:
    return array.tobytes()


# ---- kernels ----

CONVOLUTIONS = [  # (N, C, H, W, O, K, stride, padding, groups, algorithm)
    (3, 5, 9, 31, 48, 3, 1, 1, 1, "direct"),  # a panel of three vectors
    (1, 40, 9, 9, 30, 3, 1, 1, 1, "direct"),  # more than one block of K
    (2, 3, 40, 37, 20, 7, 2, 3, 1, "direct"),  # strips and phases
    (2, 70, 8, 8, 33, 1, 1, 0, 1, "direct"),  # 1x1
    (2, 3, 9, 70, 4, 3, 1, 1, 1, "direct"),  # lanes over positions
    (1, 300, 3, 9, 2, 3, 1, 1, 1, "direct"),  # the same, more than one block of K
    (2, 18, 20, 20, 18, 3, 1, 1, 18, "direct"),  # depthwise
    (2, 0, 4, 5, 3, 3, 1, 1, 1, "direct"),  # no channels: the bias alone
    (0, 2, 4, 5, 3, 3, 1, 1, 1, "direct"),
    (2, 17, 13, 15, 33, 3, 1, 1, 1, "winograd2"),
    (2, 17, 13, 15, 33, 5, 1, 2, 1, "winograd4"),
    (3, 300, 6, 5, 260, 3, 1, 1, 1, "winograd4"),  # more kernels than tiles
    (2, 40, 30, 30, 46, 3, 1, 1, 2, "winograd4"),
]


@on_levels
@on_reals
@pytest.mark.parametrize("shape", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("biased", [False, True])
def test_a_convolution_with_relu_gives_the_same_bits(level: str, dtype: Any, shape: Any, biased: bool) -> None:
    n, c, h, w, o, k, stride, padding, groups, algorithm = shape
    backend: Any = get_backend(level)
    place = window("test", (h, w), (k, k), stride, padding, 1)
    x, weight = normal(dtype, 0, n, c, h, w), normal(dtype, 1, o, c // groups, k, k)
    bias = normal(dtype, 2, o) if biased else None
    if x.size and k == 1:
        x[-1, 0, 1, 1] = np.nan
    with tg.set_conv_algorithm(algorithm):
        apart = backend.elementwise("relu", backend.conv2d(x, weight, bias, place, groups))
        assert bits(backend.conv2d(x, weight, bias, place, groups, True)) == bits(apart)


@on_levels
@on_reals
@pytest.mark.parametrize(
    "shape", [(5, 3, 49), (130, 2, 64), (3, 2, 5000), (1, 4, 1), (700, 1, 17), (4, 33, 8), (0, 3, 5)]
)
@pytest.mark.parametrize("given", [False, True], ids=["batch", "given"])
def test_batch_norm_with_relu_gives_the_same_bits(level: str, dtype: Any, shape: Any, given: bool) -> None:
    backend: Any = get_backend(level)
    c = shape[1]
    x, other = normal(dtype, 0, *shape), normal(dtype, 1, *shape)
    mean, var = normal(dtype, 2, c), normal(dtype, 3, c) ** 2

    def normalised(affine: Any, *args: Any) -> np.ndarray:
        return (
            backend.normalise(x, *affine, mean, var, 1e-5, *args)
            if given
            else backend.batch_norm(x, *affine, 1e-5, *args)[0]
        )

    if x.size:
        x[0, 0, 0], other[-1, -1, -1] = -0.0, np.nan
    for affine in ((None, None), (normal(dtype, 4, c), None), (normal(dtype, 4, c), normal(dtype, 5, c))):
        y = normalised(affine)
        assert bits(normalised(affine, None, True)) == bits(backend.elementwise("relu", y))
        assert bits(normalised(affine, other)) == bits(backend.elementwise("add", y, other))
        assert bits(normalised(affine, other, True)) == bits(
            backend.elementwise("relu", backend.elementwise("add", y, other))
        )


@on_levels
@on_reals
def test_batch_norm_by_its_own_statistics_gives_the_same_bits(level: str, dtype: Any) -> None:
    backend: Any = get_backend(level)
    x, w, b = normal(dtype, 0, 6, 20, 9, 9), normal(dtype, 1, 20), normal(dtype, 2, 20)
    y, mean, var = backend.batch_norm(x, w, b, 1e-5)
    assert bits(backend.normalise(x, w, b, mean, var, 1e-5)) == bits(y)


@on_levels
@on_reals
@pytest.mark.parametrize("shape", [(64, 40, 33), (1, 300, 7), (2, 3, 5, 4), (130, 1, 6), (3, 0, 4), (0, 4, 3)], ids=str)
@pytest.mark.parametrize("biased", [False, True])
def test_a_linear_layer_with_relu_gives_the_same_bits(level: str, dtype: Any, shape: Any, biased: bool) -> None:
    backend: Any = get_backend(level)
    *rows, k, n = shape
    x, w, b = normal(dtype, 0, *rows, k), normal(dtype, 1, n, k), normal(dtype, 2, n) if biased else None
    if x.size:
        x.reshape(-1)[0] = np.nan
    y = backend.linear(x, w, b, True)
    assert bits(y) == bits(backend.elementwise("relu", backend.linear(x, w, b)))
    dy = normal(dtype, 3, *rows, n)
    expected = backend.linear_grad(backend.elementwise("relu_grad", dy, y), x, w, None, (True, True, True))
    for wanted in ((True, True, True), (True, False, True), (False, True, False)):
        for got, want, which in zip(backend.linear_grad(dy, x, w, y, wanted), expected, wanted, strict=True):
            assert (got is not None) == which
            assert got is None or bits(got) == bits(want)


@on_levels
@on_reals
@pytest.mark.parametrize(
    "shape", [(64, 40, 33), (1, 300, 7), (2, 3, 5, 4), (700, 3, 18), (3, 0, 4), (0, 4, 3)], ids=str
)
def test_gradients_of_a_linear_layer_are_products_and_a_sum(level: str, dtype: Any, shape: Any) -> None:
    backend: Any = get_backend(level)
    *rows, k, n = shape
    x, w, dy = normal(dtype, 0, *rows, k), normal(dtype, 1, k, n).T, normal(dtype, 3, n, *rows).T  # strided
    dy = dy if dy.shape == (*rows, n) else np.moveaxis(normal(dtype, 3, n, *rows), 0, -1)
    dx, dw, db = backend.linear_grad(dy, x, w, None, (True, True, True))
    flat, exact = dy.reshape(-1, n).astype(np.float64), {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(dx, (flat @ w).reshape(x.shape), **exact)
    np.testing.assert_allclose(dw, flat.T @ x.reshape(len(flat), k), **exact)
    np.testing.assert_allclose(db, flat.sum(0), **exact)


# ---- values, gradients and graph of modules ----


def names(t: Any) -> list[str]:
    """Return the names of the nodes from a tensor back along first inputs."""
    found, node = [], t.grad_fn
    while hasattr(node, "next_functions"):
        found.append(node.name())
        node = node.next_functions[0][0] if node.next_functions else None
    return found


def gradients(y: Any, *leaves: Any) -> list[bytes]:
    """Return the bits of the gradients of leaves, and forget them."""
    (y * y).sum().backward()
    found = [bits(t.grad.numpy()) for t in leaves]
    for t in leaves:
        t.grad = None
    return found


def block() -> Any:
    return BasicBlock(4, 4)


def bottleneck() -> Any:
    return Bottleneck(4, 2, 2, nn.Sequential(nn.Conv2d(4, 8, 1, 2), nn.BatchNorm2d(8)))


NETWORKS = [
    lambda: nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 3, 1), nn.ReLU(inplace=True)),
    lambda: nn.Sequential(
        nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect", bias=False), nn.ReLU(), nn.MaxPool2d(2)
    ),
    lambda: nn.Sequential(nn.Conv2d(4, 9, 5), nn.BatchNorm2d(9), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
    lambda: nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 2), nn.ReLU6()),
    block,
    bottleneck,
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", NETWORKS)
def test_joined_modules_give_the_same_bits_gradients_and_graph(make: Any, training: bool) -> None:
    net = make().train(training)
    x = tg.randn(3, 4, 9, 9, requires_grad=True)
    results: list[Any] = []
    state = {name: t.clone() for name, t in net.state_dict().items()}
    for apart in (False, True):
        net.load_state_dict(state)
        if apart:
            for module in net.modules():
                module.register_forward_hook(lambda *_: None)
        y = net(x)
        buffers = [bits(t.numpy()) for t in net.buffers()]
        results.append((bits(y.detach().numpy()), names(y), gradients(y, x, *net.parameters()), buffers))
        with tg.no_grad():
            net.load_state_dict(state)
            assert bits(net(x).numpy()) == results[-1][0]
    assert results[0] == results[1]


def test_a_joined_linear_layer_gives_the_same_bits_and_gradients() -> None:
    net = nn.Sequential(nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 4, bias=False), nn.ReLU(inplace=True))
    x = tg.randn(3, 2, 9, requires_grad=True)
    results = []
    for apart in (False, True):
        if apart:
            net[1].register_forward_hook(lambda *_: None)
            net[3].register_forward_hook(lambda *_: None)
        y = net(x)
        assert y.grad_fn.name() == "ReluBackward0"
        results.append((bits(y.detach().numpy()), gradients(y, x, *net.parameters())))
    assert results[0] == results[1]


def test_double_backward_goes_through_both() -> None:
    x, w = tg.randn(2, 3, 5, 5, dtype=tg.float64), tg.randn(4, 3, 3, 3, dtype=tg.float64)
    b, scale, other = (tg.randn(*s, dtype=tg.float64) for s in ((4,), (3,), (2, 3, 5, 5)))
    mean, var = tg.zeros(3, dtype=tg.float64), tg.ones(3, dtype=tg.float64)
    operands = [t.requires_grad_() for t in (x, w, b, scale, other)]
    assert tg.testing.gradgradcheck(lambda x, w, b: conv2d_relu(x, w, b, 1, 1, 1, 1), operands[:3])
    assert tg.testing.gradgradcheck(lambda x, w, b: linear_relu(x[0, 0, :, :3], w[0, :, :, 0].T, b[:3]), operands[:3])
    for training in (True, False):
        args = (mean, var, scale, None, training, 0.0, 1e-5)
        assert tg.testing.gradgradcheck(lambda x, r, args=args: batch_norm_relu(x, *args, residual=r), [x, other])


# ---- where somebody could tell ----


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list of the kernels that apply a ReLU."""
    seen: list[str] = []
    backend: Any = get_backend("cpu")

    def noting(name: str, kernel: Any, *args: Any) -> Any:
        if args[-1] is True:
            seen.append(name)
        return kernel(*args)

    for name in ("conv2d", "batch_norm", "normalise"):
        kernel = getattr(backend, name)
        monkeypatch.setattr(backend, name, partial(noting, name, kernel))
    return seen


X = tg.randn(2, 3, 6, 6)


def conv() -> Any:
    return nn.Conv2d(3, 4, 3)


def test_what_is_joined(joined: list[str]) -> None:
    norm = nn.BatchNorm2d(3)
    in_turn(X, conv(), nn.ReLU(), nn.Identity(), nn.ReLU())
    in_turn(X, norm, nn.ReLU(inplace=True))
    norm_add_relu(norm.eval(), nn.ReLU(), X, lambda: X)
    assert joined == ["conv2d", "batch_norm", "normalise"]


@pytest.mark.parametrize("number", [0, 1])
def test_modules_with_hooks_or_a_forward_of_their_own_stay_apart(number: int, joined: list[str]) -> None:
    for first in (conv(), nn.BatchNorm2d(3)):
        net = nn.Sequential(first, nn.ReLU())
        shapes: list[Any] = []
        handle = net[number].register_forward_hook(lambda m, args, y, shapes=shapes: shapes.append(y.shape))
        y = net(X)
        assert shapes == [y.shape]
        handle.remove()
        net[number].forward = net[number].forward
        net(X)
    assert not joined


def test_what_was_joined_once_is_apart_when_somebody_could_tell(joined: list[str]) -> None:
    net = nn.Sequential(conv(), nn.ReLU())
    expected = net(X)
    seen: list[Any] = []
    handle = net[1].register_forward_hook(lambda *_: seen.append(1))
    net(X)
    handle.remove()
    net[0].forward = net[0].forward
    net(X)
    assert (joined, seen) == (["conv2d"], [1])
    del net[0].forward
    for copied in (net, copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert (copied(X) == expected).all()
    assert joined == ["conv2d"] * 4
    net._modules["1"] = nn.Identity()
    assert (net(X) == net[0](X)).all()
    net[1] = nn.ReLU()
    assert (net(X) == expected).all()


def test_residuals_of_another_shape_or_type_are_added_apart(joined: list[str]) -> None:
    norm, relu = nn.BatchNorm2d(3), nn.ReLU()
    for residual in (X[:1], X.double()):
        y = norm_add_relu(norm, relu, X, lambda residual=residual: residual)
        assert (y == F.relu(F.batch_norm(X, None, None, norm.weight, norm.bias, True) + residual)).all()
        assert y.dtype == residual.dtype
    assert not joined


def test_nothing_is_joined_while_anomalies_are_looked_for(joined: list[str]) -> None:
    net = nn.Sequential(conv(), nn.ReLU())
    with tg.autograd.set_detect_anomaly(True):
        net(X)
        norm_add_relu(nn.BatchNorm2d(3), nn.ReLU(), X, lambda: X)
    assert not joined


def test_an_error_names_the_module() -> None:
    net = nn.Sequential(nn.Sequential(nn.ReLU(), conv(), nn.ReLU()), nn.BatchNorm2d(9), nn.ReLU())
    for x, where in ((X[:, :2], "in 0.1: Conv2d"), (X, "in 1: BatchNorm2d")):
        with pytest.raises(RuntimeError) as caught:
            net(x)
        assert where in str(caught.value.__notes__)


def test_a_hook_between_both_sees_its_gradient() -> None:
    y = conv2d_relu(X, *(t.requires_grad_() for t in (tg.randn(4, 3, 3, 3), tg.randn(4))), 1, 0, 1, 1)
    seen: list[Any] = []
    before = y.grad_fn.next_functions[0][0]
    assert before.name() == "ConvolutionBackward0"
    y.register_hook(seen.append)
    y.sum().backward()
    assert len(seen) == 1


def test_statistics_may_change_between_evaluation_and_backward() -> None:
    norm = nn.BatchNorm2d(3).eval()
    x = X.clone().requires_grad_()
    expected = gradients(norm(x), x)
    y = norm(x)
    norm.train()(x)
    assert gradients(y, x) == expected


def test_batch_norm_of_mixed_types_is_refused() -> None:
    with pytest.raises(RuntimeError, match="running_mean is float64"):
        F.batch_norm(X, tg.zeros(3).double(), tg.ones(3))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: tg.sigmoid(F.batch_norm(x, None, None, training=True)),
        lambda x: tg.sigmoid(F.local_response_norm(x, 2, 1.0)),
        lambda x: F.layer_norm(x, (4,)).tanh(),
    ],
)
def test_second_gradients_where_dy_depends_on_x(function: Any) -> None:
    assert tg.testing.gradgradcheck(function, [tg.randn(2, 3, 4, dtype=tg.float64, requires_grad=True)])


def test_what_leads_to_a_target_alone_is_not_freed() -> None:
    x = tg.randn(3, requires_grad=True)
    y = x.exp()
    tg.autograd.grad(y.exp().sum(), y)
    y.sum().backward()
    assert (x.grad == y).all()
