"""LeNet-5 of 1998 against the figures and formulas of its paper."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import models
from tinygrad_cnn.models.lenet5_1998 import C3_TABLE, RBF, ScaledTanh, Subsampling, TableConv2d, digit_codes

# Trainable parameters, connections and output shape of each layer: section II-B.
LAYERS = {
    "c1": (156, 122_304, (6, 28, 28)),
    "s2": (12, 5_880, (6, 14, 14)),
    "c3": (1_516, 151_600, (16, 10, 10)),
    "s4": (32, 2_000, (16, 5, 5)),
    "c5": (48_120, 48_120, (120,)),
    "f6": (10_164, 10_164, (84,)),
}


@pytest.fixture
def net():
    return models.lenet5_1998()


def fan_in(name, unit):
    """Return how many inputs a unit of a map has."""
    return {"c1": 25, "s2": 4, "c3": 25 * len(C3_TABLE[unit % 16]), "s4": 4, "c5": 400, "f6": 120}[name]


@pytest.mark.parametrize("name", LAYERS)
def test_parameters_connections_and_shapes(net, name):
    shapes = {}
    net.features.get_submodule(name).register_forward_hook(lambda m, args, y: shapes.update(y=tuple(y.shape[1:])))
    assert net(tg.zeros(1, 1, 32, 32)).shape == (1, 10)
    parameters, connections, shape = LAYERS[name]
    assert sum(p.numel() for p in net.features.get_submodule(name).parameters()) == parameters
    assert shapes["y"] == shape
    assert sum((fan_in(name, unit) + 1) * math.prod(shape[1:]) for unit in range(shape[0])) == connections


def test_summary_counts_the_connections(net):
    rows = {row.name: (row.parameters, row.connections) for row in tg.summary(net, (1, 1, 32, 32)).layers}
    for name, (parameters, connections, _) in LAYERS.items():
        assert rows[f"features.{name}"] == (parameters, connections)
    assert rows["output"] == (0, 840)
    assert sum(connections for _, connections in rows.values()) == 340_908


def test_60_000_parameters_and_fixed_outputs(net):
    assert sum(p.numel() for p in net.parameters()) == 60_000
    assert list(net.output.parameters()) == []
    assert net.output.codes.numel() == 840


@pytest.mark.parametrize("name", ["c1", "s2", "c3", "s4", "c5", "f6"])
def test_a_unit_sees_as_many_inputs_as_its_weights_say(name, net):
    layer = net.features.get_submodule(name)
    for p in layer.parameters():
        p.requires_grad_(False).fill_(1)
    sizes = {"c1": (1, 32, 32), "s2": (6, 28, 28), "c3": (6, 14, 14), "s4": (16, 10, 10), "c5": (400,), "f6": (120,)}
    y = layer(tg.ones(1, *sizes[name])).reshape(LAYERS[name][2][0], -1)  # inputs and bias: one each
    assert y[:, 0].tolist() == [fan_in(name, unit) + 1 for unit in range(y.shape[0])]


def test_table_of_connections():
    links = np.zeros((16, 6), int)
    for o, seen in enumerate(C3_TABLE):
        links[o, list(seen)] = 1
    assert links.sum(1).tolist() == [3] * 6 + [4] * 9 + [6]
    assert links.sum(0).tolist() == [10] * 6  # the table is symmetric: each map of S2 is seen ten times
    assert len({tuple(row) for row in links}) == 16


def test_table_convolution_is_a_convolution_with_zeros():
    layer = TableConv2d(4, [(0, 2), (3,), (1, 2, 3)], (3, 2)).double()
    x = tg.randn(2, 4, 6, 5, dtype=tg.float64)
    dense = np.zeros((3, 4, 3, 2))
    for kernel, (o, c) in zip(layer.weight.detach().numpy(), [(0, 0), (0, 2), (1, 3), (2, 1), (2, 2), (2, 3)]):
        dense[o, c] = kernel
    expected = tg.nn.functional.conv2d(x, tg.tensor(dense), layer.bias)
    tg.testing.assert_close(layer(x), expected)
    assert tg.testing.gradcheck(
        lambda *args: tg.nn.functional.mse_loss(layer(args[0]), x[:, :3, :4, :4]), x.requires_grad_()
    )


def test_subsampling():
    layer = Subsampling(2)
    x = tg.arange(32.0).reshape(1, 2, 4, 4)
    with tg.no_grad():
        layer.weight.copy_(tg.tensor([0.5, -1.0]).reshape(2, 1, 1, 1))
        layer.bias.copy_(tg.tensor([1.0, 2.0]))
        y = layer(x)
    assert y[0, 0].tolist() == [[0.5 * 10 + 1, 0.5 * 18 + 1], [0.5 * 42 + 1, 0.5 * 50 + 1]]
    assert y[0, 1, 0].tolist() == [-(16 + 17 + 20 + 21) + 2.0, -(18 + 19 + 22 + 23) + 2.0]
    assert repr(layer) == "Subsampling(2, kernel_size=(2, 2))"


def test_scaled_tanh():
    x = tg.tensor([-100.0, -1.0, 0.0, 1.0, 100.0])
    tg.testing.assert_close(ScaledTanh()(x), tg.tensor([-1.7159, -1.0, 0.0, 1.0, 1.7159]), rtol=0, atol=1e-4)


def test_codes_are_drawings():
    codes = digit_codes()
    assert codes.shape == (10, 84)
    assert set(codes.flatten().tolist()) == {-1.0, 1.0}
    differing = (codes.unsqueeze(0) != codes.unsqueeze(1)).sum(2)
    assert (differing + 84 * tg.eye(10)).min().item() >= 6
    one = codes[1].reshape(12, 7)
    assert one[:, 3].tolist() == [1.0] * 12  # its stem
    assert one[5].tolist() == [-1, -1, -1, 1, 1, -1, -1]


def test_rbf():
    codes = tg.tensor([[1.0, -1.0], [-1.0, 0.0]])
    assert RBF(codes)(tg.tensor([[1.0, -1.0], [0.0, 2.0]])).tolist() == [[0.0, 5.0], [10.0, 5.0]]


@pytest.mark.parametrize("j", [0.5, 20.0])
def test_map_loss_is_equation_9(j):
    distances = np.random.default_rng(0).uniform(0, 30, (4, 10))
    target = np.array([3, 0, 9, 3])
    each = distances[range(4), target] + np.log(np.exp(-j) + np.exp(-distances).sum(1))
    for reduction, expected in (("none", each), ("sum", each.sum()), ("mean", each.mean())):
        found = models.map_loss(-tg.tensor(distances), tg.tensor(target), j, reduction)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_the_closest_drawing_is_the_answer(net):
    scores = -net.output(digit_codes() * 1.2)
    assert scores.argmax(1).tolist() == list(range(10))


def test_table_errors():
    for table in ([(0, 4)], [(1, 1)], [(-1,)]):
        with pytest.raises(ValueError, match="TableConv2d: each row must name maps from 0 to 3 once"):
            TableConv2d(4, table, 3)
