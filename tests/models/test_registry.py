"""The list of networks, and what all functions that build them share."""

from __future__ import annotations

import pickle

import pytest

from tinygrad_cnn import models, nn
from tinygrad_cnn.models.registry import BUILDERS


def test_every_network_is_listed_and_exported():
    names = models.list_models()
    assert names == sorted(names)
    assert len(names) >= 50
    for name in names:
        build = models.get_model_builder(name)
        assert getattr(models, name) is build
        assert name in models.__all__
        assert build.__name__ == name
        assert build.__doc__.startswith("Return ")
        assert pickle.loads(pickle.dumps(build)) is build


def test_lists_by_pattern():
    assert models.list_models(include="densenet*") == ["densenet121", "densenet161", "densenet169", "densenet201"]
    assert models.list_models(include=["vgg*", "nin"], exclude=["*_bn", "*1x1", "*lrn"]) == [
        "nin",
        "vgg11",
        "vgg13",
        "vgg16",
        "vgg19",
    ]
    assert models.list_models(include="nothing*") == []
    from tinygrad_cnn.models import resnet

    assert set(models.list_models(resnet)) == {
        n for n in models.list_models() if n.startswith(("res", "wide", "plain")) and not n.endswith("small")
    }


def test_get_model():
    model = models.get_model("ECG_Net", num_classes=3)
    assert isinstance(model, models.ECGNet)
    assert model.classifier[-1].out_features == 3
    with pytest.raises(ValueError, match=r"Unknown model .resnet19.; did you mean .*resnet18"):
        models.get_model("resnet19")


def test_register_model():
    @models.register_model("mine")
    def build(width=3):
        return nn.Linear(width, 1)

    try:
        assert models.get_model("mine", width=2).in_features == 2
        with pytest.raises(ValueError, match="already registered under the name 'mine'"):
            models.register_model("mine")(build)
    finally:
        del BUILDERS["mine"]


@pytest.mark.parametrize("name", ["nin", "vgg16_bn", "resnet20", "googlenet_2014"])
def test_pretrained_weights_are_refused(name):
    for options in ({"weights": "DEFAULT"}, {"pretrained": True}):
        with pytest.raises(ValueError, match=f"{name}: no pretrained weights are distributed"):
            models.get_model(name, **options)


def test_arguments_of_torchvision():
    assert isinstance(models.nin(weights=None, progress=False, pretrained=False), models.NiN)
    with pytest.raises(TypeError):
        models.nin(depth=3)
    with pytest.raises(TypeError):
        models.wide_resnet50_2(width_per_group=64)  # its own
