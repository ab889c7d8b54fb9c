"""summary: rows of every kind of layer, shared layers, several inputs, and that nothing of the network changes."""

from __future__ import annotations

import dataclasses

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn
from tinygrad_cnn.nn import functional as F


def rows(model, *sizes, column="receptive_field"):
    size = sizes[0] if len(sizes) == 1 else list(sizes)
    return [getattr(row, column) for row in tg.summary(model, size).layers]


def test_rows_and_totals():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5)
    )
    summary = tg.summary(model, (2, 3, 8, 8))
    conv, norm, _, pool, _, linear = summary.layers
    assert dataclasses.asdict(conv) == {
        "name": "0", "kind": "Conv2d", "parameters": 108, "output_shape": (2, 4, 6, 6), "kernel_size": (3, 3),
        "multiply_adds": 2 * 4 * 36 * 27, "connections": 2 * 4 * 36 * 27, "activation_bytes": 2 * 4 * 36 * 4, "receptive_field": (3, 3),
        "field_start": (0, 0), "field_step": (1, 1), "inputs": (-1,),
    }  # fmt: skip
    assert (norm.parameters, norm.connections, norm.multiply_adds) == (8, 0, 0)
    assert (pool.parameters, pool.connections, pool.multiply_adds) == (0, 2 * 36 * 4, 0)
    assert (linear.parameters, linear.connections, linear.multiply_adds) == (185, 2 * 185, 2 * 180)
    assert (summary.parameters, summary.trainable_parameters, summary.parameter_bytes) == (301, 301, 1204)
    assert summary.multiply_adds == conv.multiply_adds + linear.multiply_adds
    assert summary.connections == conv.connections + pool.connections + linear.connections
    assert summary.activation_bytes == 4 * 2 * (3 * 144 + 2 * 36 + 5)
    assert summary["5"] is linear
    with pytest.raises(KeyError):
        summary["6"]


def test_the_table():
    model = nn.Sequential(nn.Conv2d(1, 2, (3, 1), stride=2), nn.Linear(4, 300))
    model[0].requires_grad_(False)
    assert str(tg.summary(model, (1, 1, 9, 7))).splitlines() == [
        "layer       output           kernel  parameters  multiply-adds  connections  activations  field",
        "-----------------------------------------------------------------------------------------------",
        "0 (Conv2d)  1 x 2 x 4 x 4    3 x 1            8             96          128        128 B  3 x 1",
        "1 (Linear)  1 x 2 x 4 x 300  -            1,500          9,600       12,000     9.38 KiB  3 x 1",
        "-----------------------------------------------------------------------------------------------",
        "total                                     1,508          9,696       12,128      9.5 KiB",
        "1,500 of 1,508 parameters are trained; they take 5.89 KiB.",
    ]


FIELDS = [
    (nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3, stride=2), nn.Conv2d(1, 1, 3)), (1, 1, 20, 20), [3, 5, 9]),
    (nn.Sequential(nn.Conv2d(1, 1, 3, dilation=2), nn.Conv2d(1, 1, 3, dilation=4)), (1, 1, 20, 20), [5, 13]),
    (nn.Sequential(nn.AvgPool2d(2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 1)), (1, 1, 20, 20), [2, 2, 6]),
    (nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(1, 1, 3, padding=1)), (1, 1, 5, 5), [1, 3]),
    (nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.AdaptiveMaxPool2d(2)), (1, 1, 16, 16), [4, 8]),
    (nn.Sequential(nn.AdaptiveAvgPool2d(3)), (1, 1, 5, 5), [3]),
    (nn.Sequential(nn.Conv2d(1, 1, 3, 2), nn.ConvTranspose2d(1, 1, 4, 2), nn.Conv2d(1, 1, 2)), (1, 1, 21, 21), [3, 5, 6]),
    (nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(), nn.Linear(16, 2), nn.Linear(2, 2)), (1, 1, 6, 6), [3, 3, 6, 6]),
    (nn.Sequential(nn.Conv2d(1, 1, 2), nn.Upsample(scale_factor=2), nn.ReLU()), (1, 1, 4, 4), [2, None, None]),
    (nn.Sequential(nn.Conv1d(1, 2, 5, 2), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(8, 1)), (1, 1, 20), [5, 7, 7, 19]),
    (nn.Sequential(nn.Conv3d(1, 2, 3), nn.AvgPool3d(2), nn.Conv3d(2, 1, 2)), (1, 1, 8, 8, 8), [3, 4, 6]),
    (nn.Sequential(nn.Linear(4, 3), nn.ReLU()), (2, 4), [None, None]),
]  # fmt: skip


@pytest.mark.parametrize(("model", "size", "expected"), FIELDS)
def test_receptive_fields(model, size, expected):
    axes = len(size) - 2
    assert rows(model, size) == [n and (n,) * axes for n in expected]


def test_fields_of_oblong_windows():
    model = nn.Sequential(
        nn.Conv2d(1, 1, (3, 5), stride=(2, 1)), nn.Conv2d(1, 1, (1, 2)), nn.Flatten(), nn.LazyLinear(1)
    )
    assert rows(model, (1, 1, 9, 9)) == [(3, 5), (3, 6), (3, 6), (9, 9)]


STARTS = [  # where the first output begins to see, and how far apart outputs are
    (
        nn.Sequential(nn.Conv2d(1, 1, 5, padding=2), nn.MaxPool2d(2), nn.Conv2d(1, 1, 3, padding=(1, 0))),
        (16, 16),
        (-4, -2),
        2,
    ),
    (
        nn.Sequential(nn.Conv2d(1, 1, 4, padding="same"), nn.Conv2d(1, 1, 3, 2, padding=((0, 1), (2, 0)))),
        (9, 9),
        (-1, -3),
        2,
    ),
    (nn.Sequential(nn.AvgPool2d(3, 2, padding=1), nn.AdaptiveAvgPool2d(2)), (8, 8), (-1, -1), 4),
    (nn.Sequential(nn.Conv2d(1, 1, 3, 2), nn.ConvTranspose2d(1, 1, 3, 2, padding=1)), (9, 9), (0, 0), 1),
    (nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Flatten(), nn.Linear(36, 2)), (6, 6), (-1, -1), 1),
]


@pytest.mark.parametrize(("model", "size", "start", "step"), STARTS)
def test_where_fields_begin(model, size, start, step):
    last = tg.summary(model, (1, 1, *size)).layers[-1]
    assert last.field_start == start
    assert last.field_step == (step, step)


def test_fields_hold_all_that_a_unit_sees():
    model = nn.Sequential(nn.Conv2d(1, 1, 4, 2, padding=1), nn.AvgPool2d(2), nn.ConvTranspose2d(1, 1, 3, 2))
    row = tg.summary(model, (1, 1, 20, 20)).layers[-1]
    x = tg.rand(1, 1, 20, 20, requires_grad=True)
    y = model(x)
    for i in range(y.shape[2]):
        (dx,) = tg.autograd.grad(y[0, 0, i].abs().sum(), [x], retain_graph=True)
        seen = dx[0, 0].abs().sum(1).nonzero().reshape(-1).tolist()
        begin = row.field_start[0] + i * row.field_step[0]
        assert begin <= min(seen)
        assert max(seen) < begin + row.receptive_field[0]


class Branches(nn.Module):
    """A wide and a narrow path that meet, by functions; a second input that joins at the end."""

    def __init__(self):
        super().__init__()
        self.wide, self.narrow, self.head = nn.Conv2d(1, 2, 5, padding=2), nn.Conv2d(1, 2, 1), nn.Conv2d(4, 1, 3)
        self.scale = nn.Parameter(tg.ones(1))
        self.never = nn.Linear(3, 3)

    def forward(self, x, y):
        both = tg.cat([F.relu(self.wide(x)), self.narrow(x)], 1)
        return self.head(both) * self.scale + y


def test_branches_and_several_inputs():
    summary = tg.summary(Branches(), [(1, 1, 8, 8), (1, 1, 6, 6)])
    assert [(r.name, r.kind, r.receptive_field) for r in summary.layers] == [
        ("wide", "Conv2d", (5, 5)), ("narrow", "Conv2d", (1, 1)), ("head", "Conv2d", (7, 7)), ("", "Branches", (7, 7)),
        ("never", "Linear", None),
    ]  # fmt: skip
    assert [r.parameters for r in summary.layers] == [52, 4, 37, 1, 12]
    assert [r.inputs for r in summary.layers] == [(-1,), (-1,), (0, 1), (-1, 2), ()]
    assert summary["never"].output_shape is None
    assert "never (Linear)" in str(summary)
    assert "not used" in str(summary)


class Shared(nn.Module):
    """One layer, called twice, under two names."""

    def __init__(self):
        super().__init__()
        self.first = self.second = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x):
        return self.second(F.relu(self.first(x)))


def test_shared_layers():
    model = Shared()
    summary = tg.summary(model, (1, 2, 5, 5))
    assert [(r.name, r.parameters, r.receptive_field) for r in summary.layers] == [
        ("first", 38, (3, 3)),
        ("first", 0, (5, 5)),
    ]
    assert [r.inputs for r in summary.layers] == [(-1,), (0,)]
    assert summary.parameters == sum(p.numel() for p in model.parameters())
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    assert tg.summary(tied, (1, 4)).parameters == 24


class Squash(nn.Module):
    """A window of one's own that says what it costs."""

    kernel_size, stride = 2, 2

    def forward(self, x):
        return x[:, :, ::2] + x[:, :, 1::2]

    def work(self, output_shape):
        return 0, 3 * output_shape[-1]


def test_layers_of_ones_own():
    summary = tg.summary(nn.Sequential(Squash(), nn.Conv1d(1, 1, 2)), (1, 1, 8))
    assert [(r.kernel_size, r.connections, r.receptive_field) for r in summary.layers] == [
        ((2,), 12, (2,)),
        ((2,), 9, (4,)),
    ]


def test_nothing_changes():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5), nn.ReLU())
    model[1].eval()
    model[0].weight.requires_grad_(False)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    modes = [m.training for m in model.modules()]
    state = tg.get_rng_state()
    with tg.no_grad():
        tg.summary(model, (1, 1, 5, 5))
        assert not tg.is_grad_enabled()
    assert [m.training for m in model.modules()] == modes
    assert all((t == before[name]).all() for name, t in model.state_dict().items())
    assert (tg.get_rng_state() == state).all()
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())
    with pytest.raises(RuntimeError):
        tg.summary(model, (1, 2, 5, 5))
    assert [m.training for m in model.modules()] == modes
    assert not any(m._forward_hooks for m in model.modules())


def test_inputs_of_other_kinds():
    model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2))
    summary = tg.summary(model, input_data=tg.zeros(3, 5, dtype=tg.int64))
    assert [r.output_shape for r in summary.layers] == [(3, 5, 4), (3, 5, 2)]
    assert summary.parameters == 50
    assert tg.summary(nn.Linear(2, 2).double(), (1, 2)).activation_bytes == 16
    assert tg.summary(nn.ReLU(), (1, 2)).layers[0].name == ""


@pytest.mark.parametrize("size", [None, 224, (), (1, 0), (1, "3"), [(1, 2), ()]])
def test_bad_sizes(size):
    with pytest.raises(ValueError, match="summary: "):
        tg.summary(nn.ReLU(), size)
    with pytest.raises(ValueError, match="exactly one"):
        tg.summary(nn.ReLU(), (1, 2), input_data=tg.zeros(1, 2))
