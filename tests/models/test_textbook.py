"""The networks of textbooks: layers, initial weights, and the same network built from im2col."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import models, nn

COUNTS = {
    "caffe_lenet": [520, 25_050, 400_500, 5_010],
    "simple_convnet": [780, 432_100, 1_010],
    "keras_convnet": [544, 32_832, 4_160, 650],
}
TOTALS = {"caffe_lenet": 431_080, "simple_convnet": 433_890, "keras_convnet": 38_186}


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_of_each_layer(name):
    net = getattr(models, name)()
    layers = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert [sum(p.numel() for p in layer.parameters()) for layer in layers] == COUNTS[name]
    assert sum(COUNTS[name]) == TOTALS[name]
    assert net(tg.rand(2, 1, 28, 28)).shape == (2, 10)
    assert getattr(models, name)(num_classes=3)(tg.rand(2, 1, 28, 28)).shape == (2, 3)
    assert all((layer.bias == 0).all() for layer in layers)


def test_initial_weights():
    def spread(layer):
        return layer.weight.std().item(), layer.weight.abs().max().item()

    assert spread(models.simple_convnet().hidden)[0] == pytest.approx(0.01, rel=0.01)
    assert spread(models.simple_convnet(weight_init="he").hidden)[0] == pytest.approx(math.sqrt(2 / 4320), rel=0.01)
    for layer, bound in (
        (models.caffe_lenet()[2], math.sqrt(3 / 500)),
        (models.keras_convnet()[3], math.sqrt(6 / 1536)),
    ):
        std, largest = spread(layer)
        assert 0.99 * bound < largest <= bound
        assert std == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_layers_and_im2col_give_the_same():
    layers, patches = models.simple_convnet(), models.simple_convnet(im2col=True)
    patches.load_state_dict(layers.state_dict())
    images = tg.rand(3, 1, 28, 28, requires_grad=True)
    found = []
    for net in (layers, patches):
        images.grad = None
        logits = net(images)
        nn.functional.cross_entropy(logits, tg.tensor([3, 1, 4])).backward()
        found.append([logits, images.grad, *[p.grad for p in net.parameters()]])
    for a, b in zip(*found):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_errors():
    with pytest.raises(
        ValueError, match="SimpleConvNet: weight_init must be 'he' or a standard deviation, got 'xavier'"
    ):
        models.simple_convnet(weight_init="xavier")
