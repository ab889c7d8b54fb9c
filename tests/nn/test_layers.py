"""Each layer: what it makes of an input, that it is its function, its text, its errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.nn import functional as F

IMAGES = (2, 4, 9, 7)

# A layer, the shape of an input and of its output, its text, and the same result by a function.
LAYERS = [
    (nn.Conv2d(4, 6, 3), IMAGES, (2, 6, 7, 5), "Conv2d(4, 6, kernel_size=(3, 3), stride=(1, 1))",
     lambda m, x: F.conv2d(x, m.weight, m.bias)),
    (nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), 2, False), IMAGES, (2, 6, 5, 5),
     "Conv2d(4, 6, kernel_size=(3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2, bias=False)",
     lambda m, x: F.conv2d(x, m.weight, None, (2, 1), (1, 0), (1, 2), 2)),
    (nn.Conv2d(4, 1, 4, padding="same"), IMAGES, (2, 1, 9, 7),
     "Conv2d(4, 1, kernel_size=(4, 4), stride=(1, 1), padding=same)",
     lambda m, x: F.conv2d(F.pad(x, (1, 2, 1, 2)), m.weight, m.bias)),
    (nn.Conv2d(4, 1, 4, stride=2, padding="same"), IMAGES, (2, 1, 5, 4),
     "Conv2d(4, 1, kernel_size=(4, 4), stride=(2, 2), padding=same)",
     lambda m, x: F.conv2d(F.pad(x, (1, 2, 1, 2)), m.weight, m.bias, 2)),
    (nn.Conv2d(4, 1, 3, padding=((0, 1), (2, 0))), IMAGES, (2, 1, 8, 7),
     "Conv2d(4, 1, kernel_size=(3, 3), stride=(1, 1), padding=((0, 1), (2, 0)))",
     lambda m, x: F.conv2d(F.pad(x, (2, 0, 0, 1)), m.weight, m.bias)),
    (nn.Conv2d(4, 1, 3, padding=1, padding_mode="reflect"), IMAGES, (2, 1, 9, 7),
     "Conv2d(4, 1, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), padding_mode=reflect)",
     lambda m, x: F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), m.weight, m.bias)),
    (nn.Linear(7, 3), IMAGES, (2, 4, 9, 3), "Linear(in_features=7, out_features=3, bias=True)",
     lambda m, x: x @ m.weight.T + m.bias),
    (nn.Linear(7, 3, bias=False), (7,), (3,), "Linear(in_features=7, out_features=3, bias=False)",
     lambda m, x: m.weight @ x),
    (nn.MaxPool2d(3), IMAGES, (2, 4, 3, 2),
     "MaxPool2d(kernel_size=3, stride=3, padding=0, dilation=1, ceil_mode=False)", lambda m, x: F.max_pool2d(x, 3)),
    (nn.MaxPool2d((3, 2), 2, (1, 0), 2, ceil_mode=True), IMAGES, (2, 4, 4, 3),
     "MaxPool2d(kernel_size=(3, 2), stride=2, padding=(1, 0), dilation=2, ceil_mode=True)",
     lambda m, x: F.max_pool2d(x, (3, 2), 2, (1, 0), 2, True)),
    (nn.AvgPool2d(2), IMAGES, (2, 4, 4, 3), "AvgPool2d(kernel_size=2, stride=2, padding=0)",
     lambda m, x: F.avg_pool2d(x, 2)),
    (nn.AvgPool2d(3, 2, 1, True, False, 5), IMAGES, (2, 4, 5, 4), "AvgPool2d(kernel_size=3, stride=2, padding=1)",
     lambda m, x: F.avg_pool2d(x, 3, 2, 1, True, False, 5)),
    (nn.AdaptiveAvgPool2d((3, None)), IMAGES, (2, 4, 3, 7), "AdaptiveAvgPool2d(output_size=(3, None))",
     lambda m, x: F.avg_pool2d(x, (3, 1))),
    (nn.AdaptiveAvgPool2d(1), IMAGES, (2, 4, 1, 1), "AdaptiveAvgPool2d(output_size=1)",
     lambda m, x: x.mean((2, 3), keepdim=True)),
    (nn.Unfold(3, padding=1, stride=2), IMAGES, (2, 36, 20),
     "Unfold(kernel_size=3, dilation=1, padding=1, stride=2)", lambda m, x: F.unfold(x, 3, padding=1, stride=2)),
    (nn.Fold((4, 5), (2, 1)), (2, 6, 15), (2, 3, 4, 5),
     "Fold(output_size=(4, 5), kernel_size=(2, 1), dilation=1, padding=0, stride=1)",
     lambda m, x: F.fold(x, (4, 5), (2, 1))),
    (nn.Flatten(), IMAGES, (2, 252), "Flatten(start_dim=1, end_dim=-1)", lambda m, x: x.reshape(2, 252)),
    (nn.Flatten(0, 2), IMAGES, (72, 7), "Flatten(start_dim=0, end_dim=2)", lambda m, x: x.reshape(72, 7)),
    (nn.Unflatten(1, (2, -1)), IMAGES, (2, 2, 2, 9, 7), "Unflatten(dim=1, unflattened_size=(2, -1))",
     lambda m, x: x.reshape(2, 2, 2, 9, 7)),
    (nn.Identity(3, key=4), IMAGES, IMAGES, "Identity()", lambda m, x: x),
    (nn.ReLU(), IMAGES, IMAGES, "ReLU()", lambda m, x: x.clamp(min=0)),
    (nn.ReLU(inplace=True), IMAGES, IMAGES, "ReLU(inplace=True)", lambda m, x: x.clamp(min=0)),
    (nn.LeakyReLU(0.2), IMAGES, IMAGES, "LeakyReLU(negative_slope=0.2)", lambda m, x: tg.where(x > 0, x, 0.2 * x)),
    (nn.LeakyReLU(inplace=True), IMAGES, IMAGES, "LeakyReLU(negative_slope=0.01, inplace=True)",
     lambda m, x: tg.where(x > 0, x, 0.01 * x)),
    (nn.Sigmoid(), IMAGES, IMAGES, "Sigmoid()", lambda m, x: 1 / (1 + (-x).exp())),
    (nn.Tanh(), IMAGES, IMAGES, "Tanh()", lambda m, x: x.tanh()),
    (nn.Softmax(1), IMAGES, IMAGES, "Softmax(dim=1)", lambda m, x: x.exp() / x.exp().sum(1, True)),
    (nn.LogSoftmax(-1), IMAGES, IMAGES, "LogSoftmax(dim=-1)", lambda m, x: x - x.logsumexp(-1, True)),
    (nn.Dropout(0.3).eval(), IMAGES, IMAGES, "Dropout(p=0.3, inplace=False)", lambda m, x: x),
    (nn.Dropout(1.0), IMAGES, IMAGES, "Dropout(p=1.0, inplace=False)", lambda m, x: x * 0),
    (nn.Dropout2d(0.0, inplace=True), IMAGES, IMAGES, "Dropout2d(p=0.0, inplace=True)", lambda m, x: x),
    (nn.BatchNorm2d(4), IMAGES, IMAGES,
     "BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
     lambda m, x: (x - x.mean((0, 2, 3), True)) / (x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt()),
    (nn.BatchNorm1d(4, 1e-3, None, False, False).eval(), (5, 4), (5, 4),
     "BatchNorm1d(4, eps=0.001, momentum=None, affine=False, bias=False, track_running_stats=False)",
     lambda m, x: (x - x.mean(0)) / (x.var(0, correction=0) + 1e-3).sqrt()),
    (nn.BatchNorm1d(4).eval(), (5, 4, 3), (5, 4, 3),
     "BatchNorm1d(4, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
     lambda m, x: x / (1 + 1e-5) ** 0.5),
    (nn.LocalResponseNorm(3, 0.5), IMAGES, IMAGES, "LocalResponseNorm(3, alpha=0.5, beta=0.75, k=1.0)",
     lambda m, x: F.local_response_norm(x, 3, 0.5)),
]  # fmt: skip
by_layer = pytest.mark.parametrize(("layer", "shape", "out", "text", "same"), LAYERS, ids=[row[3] for row in LAYERS])


@by_layer
def test_layer(layer, shape, out, text, same):
    x = tg.randn(shape)
    expected = same(layer, x.clone())
    y = layer(x.clone())
    assert tuple(y.shape) == out
    tg.testing.assert_close(y, expected, atol=2e-6, rtol=1e-5)
    assert repr(layer) == text


@by_layer
def test_layer_in_float64_with_gradients(layer, shape, out, text, same):
    x = tg.randn(shape, dtype=tg.float64, requires_grad=True)
    layer.double()
    y = layer(x.clone())
    y.sum().backward()
    layer.float()
    layer.zero_grad()
    assert y.dtype is tg.float64
    assert x.grad.shape == x.shape


def test_inplace_changes_the_input():
    for layer in (nn.ReLU(inplace=True), nn.LeakyReLU(0.5, inplace=True), nn.Dropout(0.5, inplace=True)):
        x = tg.tensor([-1.0, 2.0])
        assert layer(x) is x


def test_max_pool_returns_indices():
    y, indices = nn.MaxPool2d(2, return_indices=True)(tg.arange(16.0).reshape(1, 1, 4, 4))
    assert y.tolist() == [[[[5, 7], [13, 15]]]]
    assert indices.tolist() == [[[[5, 7], [13, 15]]]]


def test_images_without_a_batch():
    x = tg.randn(4, 9, 7)
    for layer in (nn.Conv2d(4, 2, 3), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(2)):
        tg.testing.assert_close(layer(x), layer(x.unsqueeze(0)).squeeze(0))


# ---- padding_mode ----

MODES = st.sampled_from(["zeros", "reflect", "replicate", "circular"])
SMALL = st.integers(0, 2)
PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(MODES, PAIRS, PAIRS, PAIRS, st.tuples(SMALL, SMALL, SMALL, SMALL), st.tuples(SMALL, SMALL))
def test_padding_modes_are_pad_and_convolution(mode, kernel, stride, dilation, sides, extra):
    tg.manual_seed(1)
    left, right, top, bottom = sides
    layer = nn.Conv2d(
        2, 3, kernel, stride, ((top, bottom), (left, right)), dilation, padding_mode=mode, dtype=tg.float64
    )
    size = [max(3, d * (k - 1) + 1) + e for d, k, e in zip(dilation, kernel, extra)]  # 3: enough to reflect 2
    x = tg.randn(1, 2, *size, dtype=tg.float64)
    padded = F.pad(x, sides, "constant" if mode == "zeros" else mode)
    expected = F.conv2d(padded, layer.weight, layer.bias, layer.stride, 0, layer.dilation)
    tg.testing.assert_close(layer(x), expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("padding", ["same", "same_lower", "valid"])
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("kernel", [(3, 3), (2, 4)])
def test_padding_modes_with_named_padding(padding, mode, kernel):
    layer = nn.Conv2d(1, 1, kernel, padding=padding, padding_mode=mode)
    totals = [k - 1 if padding != "valid" else 0 for k in kernel]
    before = [(t + 1) // 2 if padding == "same_lower" else t // 2 for t in totals]
    x = np.random.default_rng(0).standard_normal((1, 1, 6, 7)).astype(np.float32)
    name = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    padded = np.pad(x, [(0, 0), (0, 0), *((b, t - b) for b, t in zip(before, totals))], mode=name)
    expected = F.conv2d(tg.from_numpy(padded), layer.weight, layer.bias)
    tg.testing.assert_close(layer(tg.from_numpy(x)), expected, atol=1e-6)


# ---- batch normalisation ----


def test_batch_norm_keeps_running_averages():
    layer = nn.BatchNorm2d(3, momentum=0.25)
    mean, var = np.zeros(3), np.ones(3)
    rng = np.random.default_rng(1)
    for step in range(1, 4):
        x = rng.normal(2, 3, (4, 3, 5, 2)).astype(np.float32)
        layer(tg.from_numpy(x))
        mean = 0.75 * mean + 0.25 * x.mean((0, 2, 3))
        var = 0.75 * var + 0.25 * x.var((0, 2, 3), ddof=1)
        assert layer.num_batches_tracked.item() == step
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(layer.running_var.numpy(), var, rtol=1e-5)
    layer.eval()
    x = rng.normal(0, 1, (2, 3, 1, 1)).astype(np.float32)
    expected = (x - mean.reshape(3, 1, 1)) / np.sqrt(var.reshape(3, 1, 1) + 1e-5)
    np.testing.assert_allclose(layer(tg.from_numpy(x)).detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    assert layer.num_batches_tracked.item() == 3


def test_batch_norm_cumulative_average():
    layer = nn.BatchNorm1d(2, momentum=None)
    batches = [tg.randn(6, 2) for _ in range(4)]
    for x in batches:
        layer(x)
    expected = np.mean([x.numpy().mean(0) for x in batches], axis=0)
    np.testing.assert_allclose(layer.running_mean.numpy(), expected, atol=1e-6)


def test_batch_norm_reset():
    layer = nn.BatchNorm1d(2)
    layer(tg.randn(6, 2))
    with tg.no_grad():
        layer.weight.fill_(5)
    layer.reset_parameters()
    state = [t.tolist() for t in layer.state_dict().values()]
    assert state == [[1, 1], [0, 0], [0, 0], [1, 1], 0]


# ---- dropout ----


@pytest.mark.parametrize("layer", [nn.Dropout(0.25), nn.Dropout2d(0.25)])
def test_dropout_scales_what_it_keeps(layer):
    y = layer(tg.ones(40, 100, 2, 2)).numpy()
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    whole_maps = (y == y[:, :, :1, :1]).all()
    assert whole_maps == isinstance(layer, nn.Dropout2d)


def test_dropout_follows_the_seed():
    layer, x = nn.Dropout(0.5), tg.ones(1000)
    tg.manual_seed(3)
    first = layer(x)
    assert not (layer(x) == first).all()
    tg.manual_seed(3)
    assert (layer(x) == first).all()


# ---- losses ----

LOGITS, CLASSES = tg.randn(6, 4), tg.tensor([0, 3, 1, -7, 2, 2])
WEIGHT = tg.tensor([1.0, 2.0, 0.5, 1.5])
LOSSES = [
    (nn.MSELoss(), lambda x, y, _: F.mse_loss(x, y)),
    (nn.MSELoss(reduction="sum"), lambda x, y, _: ((x - y) ** 2).sum()),
    (nn.L1Loss(reduction="none"), lambda x, y, _: (x - y).abs()),
    (nn.L1Loss(size_average=False), lambda x, y, _: (x - y).abs().sum()),
    (nn.CrossEntropyLoss(ignore_index=-7), lambda x, _, t: F.cross_entropy(x, t, ignore_index=-7)),
    (nn.CrossEntropyLoss(WEIGHT, ignore_index=-7, reduction="sum", label_smoothing=0.1),
     lambda x, _, t: F.cross_entropy(x, t, WEIGHT, ignore_index=-7, reduction="sum", label_smoothing=0.1)),
    (nn.NLLLoss(WEIGHT, ignore_index=-7), lambda x, _, t: F.nll_loss(x, t, WEIGHT, ignore_index=-7)),
    (nn.NLLLoss(ignore_index=-7, reduce=False), lambda x, _, t: F.nll_loss(x, t, ignore_index=-7, reduction="none")),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "same"), LOSSES)
def test_loss(loss, same):
    target = CLASSES if isinstance(loss, (nn.CrossEntropyLoss, nn.NLLLoss)) else tg.ones(6, 4)
    tg.testing.assert_close(loss(LOGITS, target), same(LOGITS, target, CLASSES))
    assert repr(loss) == type(loss).__name__ + "()"


# ---- errors ----

BAD = [
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "groups=2 must be positive and divide in_channels=3"),
    (lambda: nn.Conv2d(3, 4, 3, groups=0), ValueError, "groups=0"),
    (lambda: nn.Conv2d(3, 4, 3, padding="some"), ValueError, "padding must be 'valid', 'same'"),
    (lambda: nn.Conv2d(3, 4, 3.5), TypeError, r"Conv2d: kernel_size must be an int or a pair of ints, got 3\.5"),
    (lambda: nn.Conv2d(3, 4, (3, 3, 3)), RuntimeError, "Conv2d: kernel_size must be an int or a pair of ints"),
    (lambda: nn.Conv2d(3, 4, 3, stride=0), RuntimeError, "Conv2d: stride must be positive, got 0"),
    (lambda: nn.Conv2d(3, 4, 3, padding=(1, -1)), RuntimeError, r"Conv2d: padding must not be negative, got \(1, -1\)"),
    (lambda: nn.Conv2d(3, 4, 3, dilation=(1, 0)), RuntimeError, "Conv2d: dilation must be positive"),
    (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), ValueError, "padding_mode must be one of"),
    (lambda: nn.Conv2d(1, 1, 3, 2, "same", padding_mode="reflect")(tg.zeros(1, 1, 5, 5)), ValueError, "stride"),
    (lambda: nn.Conv2d(3, 4, 3)(tg.zeros(1, 5, 8, 8)), RuntimeError, "conv2d"),
    (lambda: nn.Conv2d(3, 4, 3)(tg.zeros(8, 8)), RuntimeError, "conv2d"),
    (lambda: nn.Conv2d(3, 4, 9)(tg.zeros(1, 3, 8, 8)), RuntimeError, "conv2d"),
    (lambda: nn.Linear(3, 4)(tg.zeros(2, 5)), RuntimeError, "linear"),
    (lambda: nn.Linear(3, 4)(tg.zeros(2, 3, dtype=tg.float64)), RuntimeError, "linear"),
    (lambda: nn.MaxPool2d(2, padding=2)(tg.zeros(1, 1, 8, 8)), RuntimeError, "at most half"),
    (lambda: nn.BatchNorm2d(3)(tg.zeros(4, 3)), ValueError, "BatchNorm2d: expected 4 dimensions"),
    (lambda: nn.BatchNorm1d(3)(tg.zeros(4, 3, 2, 2)), ValueError, "BatchNorm1d: expected 2 or 3 dimensions"),
    (lambda: nn.BatchNorm2d(3)(tg.zeros(4, 5, 2, 2)), RuntimeError, r"expected 3 channels \(num_features\), got 5"),
    (lambda: nn.BatchNorm2d(3)(tg.zeros(1, 3, 1, 1)), ValueError, "more than 1 value per channel"),
    (lambda: nn.Dropout(1.5), ValueError, "Dropout: p must be a probability"),
    (lambda: nn.Dropout2d(-0.1), ValueError, "Dropout2d: p must be a probability"),
    (lambda: nn.MSELoss(reduction="median")(tg.zeros(1), tg.zeros(1)), ValueError, "reduction must be"),
    (lambda: nn.CrossEntropyLoss()(tg.zeros(2, 3), tg.tensor([0, 3])), IndexError, "target 3 is not a class"),
    (lambda: nn.CrossEntropyLoss()(tg.zeros(2, 3), tg.tensor([0])), ValueError, "target of shape"),
    (lambda: nn.Unflatten(1, (2, 3))(tg.zeros(1, 7)), RuntimeError, "unflatten"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "text"), BAD, ids=[row[2] for row in BAD])
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()
