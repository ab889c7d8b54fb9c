"""Initial values: each distribution's limits and moments, and the distributions that layers start from."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.nn import init

SHAPE = (40, 30, 3, 5)  # fan in 450, fan out 600


def assert_uniform(values: np.ndarray, low: float, high: float) -> None:
    """Limits, and the first two moments within 5 standard errors."""
    assert low <= values.min()
    assert values.max() <= high
    spread = (high - low) / math.sqrt(12)
    assert abs(values.mean() - (low + high) / 2) < 5 * spread / math.sqrt(values.size)
    assert abs(values.std() / spread - 1) < 5 * 0.45 / math.sqrt(values.size)
    assert np.ptp(values) > 0.9 * (high - low)


def assert_normal(values: np.ndarray, mean: float, std: float) -> None:
    """The first four moments within 5 standard errors."""
    z = (values.astype(np.float64) - mean) / std
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((z**power).mean() - moment) < 5 * math.sqrt(variance / z.size), f"moment {power}"


UNIFORM = {
    "uniform_": (lambda t: init.uniform_(t, -2, 5), -2, 5),
    "xavier_uniform_": (init.xavier_uniform_, -math.sqrt(6 / 1050), math.sqrt(6 / 1050)),
    "xavier_uniform_ gain": (lambda t: init.xavier_uniform_(t, 3), -3 * math.sqrt(6 / 1050), 3 * math.sqrt(6 / 1050)),
    "kaiming_uniform_": (init.kaiming_uniform_, -math.sqrt(6 / 450), math.sqrt(6 / 450)),
    "kaiming_uniform_ a": (lambda t: init.kaiming_uniform_(t, math.sqrt(5)), -1 / math.sqrt(450), 1 / math.sqrt(450)),
    "kaiming_uniform_ out": (
        lambda t: init.kaiming_uniform_(t, mode="fan_out", nonlinearity="linear"), -math.sqrt(3 / 600), math.sqrt(3 / 600),
    ),
}  # fmt: skip
NORMAL = {
    "normal_": (lambda t: init.normal_(t, 3, 0.5), 3, 0.5),
    "xavier_normal_": (lambda t: init.xavier_normal_(t, 2), 0, 2 * math.sqrt(2 / 1050)),
    "kaiming_normal_": (init.kaiming_normal_, 0, math.sqrt(2 / 450)),
    "kaiming_normal_ out": (
        lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="tanh"), 0, 5 / 3 / math.sqrt(600),
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(("fill", "low", "high"), UNIFORM.values(), ids=UNIFORM)
def test_uniform(fill, low, high, dtype):
    t = tg.zeros(SHAPE, dtype=dtype)
    assert fill(t) is t
    assert_uniform(t.numpy(), low, high)


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(("fill", "mean", "std"), NORMAL.values(), ids=NORMAL)
def test_normal(fill, mean, std, dtype):
    t = tg.zeros(SHAPE, dtype=dtype)
    assert fill(t) is t
    assert_normal(t.numpy(), mean, std)


def test_trunc_normal():
    values = init.trunc_normal_(tg.empty(200, 100), 1.0, 2.0, 0.0, 2.0).numpy()
    assert values.min() >= 0
    assert values.max() <= 2
    inside = np.random.default_rng(0).normal(1, 2, 200_000)
    inside = inside[(inside >= 0) & (inside <= 2)]
    assert abs(values.mean() - inside.mean()) < 0.02
    assert abs(values.std() - inside.std()) < 0.01
    assert_normal(init.trunc_normal_(tg.empty(SHAPE), std=0.02).numpy(), 0, 0.02)
    assert 0 <= init.trunc_normal_(tg.tensor(9.0), 0, 1, 0, 1).item() <= 1


@pytest.mark.parametrize(("a", "b"), [(3, 3), (8, 9), (-9, -8), (1, 1.5)])
def test_trunc_normal_far_from_the_mean(a, b):
    values = init.trunc_normal_(tg.empty(20_000, dtype=tg.float64), a=a, b=b).numpy()
    assert ((values >= a) & (values <= b)).all()
    x = np.linspace(a, b, 1001)
    density = np.exp(-(x**2 - min(a * a, b * b)) / 2)
    assert values.mean() == pytest.approx((x * density).sum() / density.sum(), abs=0.01)


def test_trunc_normal_refuses_limits_the_wrong_way_round():
    with pytest.raises(ValueError, match="a must not exceed b"):
        init.trunc_normal_(tg.empty(2), a=1, b=-1)


def test_constants():
    t = tg.empty(2, 3)
    assert init.constant_(t, 2.5) is t
    assert (t == 2.5).all()
    assert (init.ones_(t) == 1).all()
    assert (init.zeros_(t) == 0).all()
    assert init.eye_(t).tolist() == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("groups", [1, 2])
def test_dirac_keeps_the_channels(groups):
    weight = init.dirac_(tg.empty(4, 4 // groups, 3, 5), groups)
    x = tg.randn(2, 4, 6, 7)
    tg.testing.assert_close(nn.functional.conv2d(x, weight, None, 1, (1, 2), 1, groups), x)


def test_dirac_with_fewer_inputs_fills_what_it_can():
    assert init.dirac_(tg.empty(3, 2, 1)).tolist() == [[[1], [0]], [[0], [1]], [[0], [0]]]


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (6, 2, 3, 2)])
@pytest.mark.parametrize("dtype", [tg.float32, tg.float64], ids=["float32", "float64"])
def test_orthogonal(shape, dtype):
    t = tg.empty(shape, dtype=dtype)
    assert init.orthogonal_(t, gain=2.0) is t
    q = t.numpy().reshape(shape[0], -1) / 2
    product = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-6 if dtype is tg.float32 else 1e-14)


def test_orthogonal_matrices_are_spread_evenly():
    traces = [np.trace(init.orthogonal_(tg.empty(3, 3)).numpy()) for _ in range(400)]
    assert abs(np.mean(traces)) < 0.25  # of a Haar-distributed matrix: mean 0, variance 1
    assert abs(np.var(traces) - 1) < 0.35


def test_sparse():
    t = init.sparse_(tg.empty(50, 200), 0.3, std=2.0).numpy()
    assert ((t == 0).sum(axis=0) == 15).all()
    assert_normal(t[t != 0], 0, 2)


GAINS = [
    ("linear", None, 1), ("conv2d", None, 1), ("sigmoid", None, 1), ("tanh", None, 5 / 3), ("relu", None, math.sqrt(2)),
    ("selu", None, 0.75), ("leaky_relu", None, math.sqrt(2 / 1.0001)), ("leaky_relu", 2, math.sqrt(2 / 5)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "param", "gain"), GAINS)
def test_gain(name, param, gain):
    assert init.calculate_gain(name, param) == pytest.approx(gain, rel=1e-15)


def test_a_generator_decides():
    def draw(fill, seed):
        return fill(tg.empty(5, 4), generator=tg.Generator().manual_seed(seed)).tolist()

    functions = (
        init.uniform_, init.normal_, init.trunc_normal_, init.xavier_uniform_, init.xavier_normal_, init.kaiming_uniform_,
        init.kaiming_normal_, init.orthogonal_, lambda t, generator: init.sparse_(t, 0.5, generator=generator),
    )  # fmt: skip
    for fill in functions:
        assert draw(fill, 1) == draw(fill, 1) != draw(fill, 2)


def test_parameters_stay_leaves_and_empty_tensors_are_left_alone():
    weight = nn.Parameter(tg.empty(3, 4))
    for fill in (init.ones_, init.uniform_, init.kaiming_normal_, init.orthogonal_, init.trunc_normal_, init.eye_):
        fill(weight)
        assert weight.is_leaf
        assert weight.requires_grad
    for fill in (init.kaiming_uniform_, init.kaiming_normal_, init.orthogonal_):
        assert fill(tg.empty(0, 3)).shape == (0, 3)


ERRORS = [
    (lambda: init.eye_(tg.empty(2)), "eye_: expected a matrix"),
    (lambda: init.sparse_(tg.empty(2), 0.1), "sparse_: expected a matrix"),
    (lambda: init.dirac_(tg.empty(2, 2)), "dirac_: expected convolution weights"),
    (lambda: init.dirac_(tg.empty(3, 2, 1), 2), "2 groups"),
    (lambda: init.orthogonal_(tg.empty(2)), "orthogonal_: expected at least 2"),
    (lambda: init.xavier_uniform_(tg.empty(2)), "at least 2 dimensions"),
    (lambda: init.kaiming_normal_(tg.empty(2)), "at least 2 dimensions"),
    (lambda: init.kaiming_normal_(tg.empty(2, 2), mode="fan_avg"), "mode must be 'fan_in' or 'fan_out'"),
    (lambda: init.calculate_gain("swish"), "unsupported nonlinearity 'swish'"),
]


@pytest.mark.parametrize(("call", "text"), ERRORS, ids=[text for _, text in ERRORS])
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()


# ---- what layers start from ----

LAYERS = {
    "Linear": (lambda: nn.Linear(300, 200), 300),
    "Conv2d": (lambda: nn.Conv2d(20, 300, (3, 2)), 120),
    "Conv2d in groups": (lambda: nn.Conv2d(40, 300, 3, groups=4), 90),
}


@pytest.mark.parametrize(("make", "fan_in"), LAYERS.values(), ids=LAYERS)
def test_default_weights_and_biases(make, fan_in):
    layer, bound = make(), 1 / math.sqrt(fan_in)
    assert_uniform(layer.weight.detach().numpy(), -bound, bound)
    assert_uniform(layer.bias.detach().numpy(), -bound, bound)


def test_default_batch_norm():
    layer = nn.BatchNorm2d(3)
    state = {name: t.tolist() for name, t in layer.state_dict().items()}
    assert state == {
        "weight": [1, 1, 1], "bias": [0, 0, 0], "running_mean": [0, 0, 0], "running_var": [1, 1, 1], "num_batches_tracked": 0,
    }  # fmt: skip


def test_a_layer_without_inputs():
    layer = nn.Linear(0, 3)
    assert layer.weight.shape == (3, 0)
    assert layer(tg.zeros(2, 0)).shape == (2, 3)


def test_layers_follow_the_seed_and_the_dtype():
    def draw(seed):
        tg.manual_seed(seed)
        return nn.Conv2d(2, 3, 2).weight.tolist()

    assert draw(1) == draw(1) != draw(2)
    assert nn.Linear(2, 2, dtype=tg.float64).bias.dtype is tg.float64
    assert nn.Conv2d(2, 2, 1, device="reference").weight.device.type == "reference"
    assert nn.BatchNorm2d(2, dtype=tg.float64).running_var.dtype is tg.float64
