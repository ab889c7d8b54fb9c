"""viz's numbers against formulas, finite differences and constructed cases; nothing of the network changes."""

from __future__ import annotations

import contextlib

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn, viz
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.utils.data import TensorDataset


def net(frozen=False):
    tg.manual_seed(3)
    layers = [nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout(0.5)]
    model = nn.Sequential(*layers, nn.Conv2d(4, 5, 3), nn.Tanh(), nn.Flatten(), nn.Linear(20, 3)).double()
    return model.requires_grad_(not frozen)


def image():
    return tg.rand(2, 8, 8, dtype=tg.float64, generator=tg.Generator().manual_seed(1))


def evaluated(model, x):
    with tg.no_grad():
        return model.eval()(x)


def test_filters():
    model = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Conv2d(1, 2, 3)), nn.Conv2d(2, 2, 3))
    weights = viz.filters(model)
    assert (weights == model[1][0].weight).all()
    assert viz.filters(model[2]).shape == (2, 2, 3, 3)
    model[1][0].weight.data.zero_()
    assert weights.abs().sum() > 0
    assert not weights.requires_grad
    with pytest.raises(ValueError, match="Linear has no convolution"):
        viz.filters(nn.Linear(2, 2))


def test_feature_maps():
    model, x = net(), image()
    maps = viz.feature_maps(model, x)
    assert list(maps) == [str(i) for i in range(9)]
    y = x.unsqueeze(0)
    for name, layer in model.eval().named_children():
        y = layer(y.clone())
        tg.testing.assert_close(maps[name], y.detach()[0])


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(self.act(x) - 1)


def test_feature_maps_of_a_layer_called_twice():
    maps = viz.feature_maps(Twice(), tg.tensor([[-1.0, 0.5, 3.0]]))
    assert {name: values.tolist() for name, values in maps.items()} == {"act": [[0, 0.5, 3]], "act (2)": [[0, 0, 2]]}
    assert list(viz.feature_maps(nn.ReLU(), tg.ones(1, 2))) == ["ReLU"]


def test_saliency_is_a_finite_difference():
    model, x = net(), image()
    found = viz.saliency(model, x, 1)
    assert found.shape == (8, 8)
    step = 1e-6
    for i, j in [(0, 0), (3, 4), (7, 2)]:
        slopes = []
        for c in range(2):
            d = tg.zeros_like(x)
            d[c, i, j] = step
            ends = [evaluated(model, (x + sign * d).unsqueeze(0))[0, 1] for sign in (1, -1)]
            slopes.append(abs(float(ends[0] - ends[1])) / (2 * step))
        assert float(found[i, j]) == pytest.approx(max(slopes), abs=1e-7)


def test_saliency_of_a_linear_network_is_its_weight():
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    found = viz.saliency(model, tg.rand(1, 2, 3), 0)
    tg.testing.assert_close(found, model[1].weight.detach()[0].abs().reshape(2, 3))


@pytest.mark.parametrize("frozen", [False, True])
def test_grad_cam_is_the_formula(frozen):
    model, x = net(frozen), image()
    found = viz.grad_cam(model, x, 2, "5")
    maps = viz.feature_maps(model, x)["5"]
    leaf = maps.unsqueeze(0).clone().requires_grad_()
    model.eval()[8](F.tanh(leaf).flatten(1))[0, 2].backward()
    weights = leaf.grad[0].mean((1, 2))
    tg.testing.assert_close(found, F.relu(sum(weights[k] * maps[k] for k in range(5))))
    assert found.shape == (2, 2)
    assert found.max() > 0


def test_grad_cam_before_a_layer_that_works_in_place():
    model, x = net(), image()
    found = viz.grad_cam(model, x, 0, model[1])
    model[2] = nn.ReLU()
    tg.testing.assert_close(found, viz.grad_cam(model, x, 0, "1"))


def test_top_activations_on_a_constructed_case():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.ReLU(inplace=True))
    with tg.no_grad():
        model[0].weight.zero_()
        model[0].weight[1, 0, 1, 1] = 2.0  # the unit is twice the pixel in its middle
    images = tg.zeros(4, 1, 5, 5)
    images[0, 0, 2, 3], images[2, 0, 0, 0], images[3, 0, 4, 2] = 1.0, 5.0, 3.0
    images[2, 0, 0, 1], images[3, 0, 4, 4] = -1.0, 2.5
    for dataset in (images, TensorDataset(images, tg.arange(4))):
        best = viz.top_activations(model, "0", 1, dataset, k=3)
        assert [(a.value, a.index, a.position) for a in best] == [(10.0, 2, (0, 0)), (6.0, 3, (4, 2)), (2.0, 0, (2, 3))]
        assert best[0].patch.tolist() == [[[0, 0, 0], [0, 5, -1], [0, 0, 0]]]
        assert best[1].patch.tolist() == [[[0, 0, 0], [0, 3, 0], [0, 0, 0]]]
    assert [a.index for a in viz.top_activations(model, model[1], 1, images, k=9)] == [2, 3, 0, 1]


def test_top_activations_see_only_their_patch(monkeypatch):
    monkeypatch.setattr("tinygrad_cnn.viz.units.BATCH", 3)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.MaxPool2d(2), nn.Conv2d(3, 4, 2))
    images = tg.rand(10, 1, 16, 16)
    values = evaluated(model, images)[:, 2].flatten(1).amax(1)
    best = viz.top_activations(model, "2", 2, images, k=4)
    assert [a.index for a in best] == values.topk(4)[1].tolist()
    for found in best:
        assert found.patch.shape == (1, 6, 6)
        assert evaluated(model, found.patch.unsqueeze(0))[0, 2].item() == pytest.approx(found.value, abs=1e-6)


def test_top_activations_of_a_linear_unit_are_whole_images():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 9, 4))
    images = tg.rand(3, 1, 5, 5)
    (best,) = viz.top_activations(model, "2", 3, images, k=1)
    assert best.position == ()
    assert (best.patch == images[best.index]).all()
    assert best.value == pytest.approx(evaluated(model, images)[:, 3].max().item(), abs=1e-6)


def test_confusion_matrix():
    matrix = viz.confusion_matrix(tg.tensor([0, 0, 1, 2, 2, 2]), tg.tensor([0, 1, 1, 0, 0, 2]), ["a", "b", "c", "d"])
    assert matrix.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [2, 0, 1, 0], [0, 0, 0, 0]]
    assert matrix.dtype == tg.int64


def test_worst_mistakes():
    scores = tg.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 0.0], [0.0, 1.0]])
    worst = viz.worst_mistakes(scores, tg.tensor([0, 0, 1, 0]))
    assert [(m.index, m.target, m.prediction) for m in worst] == [(1, 0, 1), (2, 1, 0), (3, 0, 1)]
    assert worst[0].probability == pytest.approx(0.952574, abs=1e-6)
    assert viz.worst_mistakes(scores, scores.argmax(1)) == []
    assert len(viz.worst_mistakes(scores, tg.tensor([1, 0, 1, 0]), k=2)) == 2


class Fitted:
    history: object = {"val_loss": [3.0, 2.0], "lr": [0.1, 0.1]}


def test_learning_curves():
    history = {"epoch": [1, 2], "loss": [2.0, 1.0], "val_loss": [3.0, 2.0], "lr": [0.1, 0.1], "accuracy": [0.5, 0.6]}
    assert viz.learning_curves(history) == {
        "loss": {"training": [2.0, 1.0], "validation": [3.0, 2.0]},
        "accuracy": {"training": [0.5, 0.6]},
    }
    assert viz.learning_curves(history, ["lr"]) == {"lr": {"training": [0.1, 0.1]}}
    assert viz.learning_curves(Fitted()) == {"loss": {"validation": [3.0, 2.0]}}


def test_nothing_changes():
    model = net()
    model[1].eval()
    model[8].weight.grad = tg.ones_like(model[8].weight)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    modes = [m.training for m in model.modules()]
    x = image()
    copy, state = x.clone(), tg.get_rng_state()
    with tg.no_grad():
        viz.feature_maps(model, x)
        viz.saliency(model, x, 0)
        viz.grad_cam(model, x, 0, "5")
        viz.top_activations(model, "5", 0, x.unsqueeze(0), 1)
        viz.network_svg(model, (1, 2, 8, 8))
        assert not tg.is_grad_enabled()
    with contextlib.suppress(RuntimeError):
        viz.feature_maps(model, tg.zeros(3, 8, 8))
    assert (x == copy).all()
    assert x.grad is None
    assert not x.requires_grad
    assert (tg.get_rng_state() == state).all()
    assert [m.training for m in model.modules()] == modes
    assert all((t == before[name]).all() for name, t in model.state_dict().items())
    assert (model[8].weight.grad == 1).all()
    assert all(p.grad is None for p in model.parameters() if p is not model[8].weight)
    assert not any(m._forward_hooks for m in model.modules())


BAD = {
    "no such class": (IndexError, "from 0 to 2, got 3", lambda m, x: viz.saliency(m, x, 3)),
    "a class below": (IndexError, "got -1", lambda m, x: viz.grad_cam(m, x, -1, "5")),
    "no scores": (ValueError, r"saliency: the network must return scores .*, got \(1, 4, 8, 8\)", lambda m, x: viz.saliency(m[:2], x, 0)),
    "no such layer": (AttributeError, "'9'", lambda m, x: viz.grad_cam(m, x, 0, "9")),
    "another network's layer": (ValueError, "grad_cam: layer must be a module of the network", lambda m, x: viz.grad_cam(m, x, 0, nn.ReLU())),
    "no maps": (ValueError, r"its output is \(1, 3\)", lambda m, x: viz.grad_cam(m, x, 0, "8")),
    "no responses": (ValueError, "k must be at least 1, got 0", lambda m, x: viz.top_activations(m, "5", 0, x.unsqueeze(0), 0)),
    "no such unit": (IndexError, "5", lambda m, x: viz.top_activations(m, "5", 5, x.unsqueeze(0), 1)),
    "no images": (ValueError, "the data set is empty", lambda m, x: viz.top_activations(m, "5", 0, [], 1)),
    "lengths": (ValueError, "2 targets, but 1 predictions", lambda m, x: viz.confusion_matrix(tg.tensor([0, 1]), tg.tensor([0]), 2)),
    "scores": (ValueError, r"take .argmax\(1\)", lambda m, x: viz.confusion_matrix(tg.tensor([0]), tg.ones(1, 2), 2)),
    "a class too many": (ValueError, "targets must lie from 0 to 1, got 0 to 2", lambda m, x: viz.confusion_matrix(tg.tensor([0, 2]), tg.tensor([0, 1]), 2)),
    "mistakes": (ValueError, r"got \(2, 3\) and \(3,\)", lambda m, x: viz.worst_mistakes(tg.ones(2, 3), tg.tensor([0, 1, 2]))),
    "no history": (TypeError, "got list", lambda m, x: viz.learning_curves([1, 2])),
    "no such curve": (KeyError, "'f1' is not in the history, which has loss", lambda m, x: viz.learning_curves({"loss": [1]}, ["f1"])),
}  # fmt: skip


@pytest.mark.parametrize(("error", "text", "call"), BAD.values(), ids=BAD)
def test_bad_input(error, text, call):
    with pytest.raises(error, match=text):
        call(net(), image())
