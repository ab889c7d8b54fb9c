"""The networks: parameter counts, output shapes, options, state-dict names, initial weights, errors."""

from __future__ import annotations

import math
from functools import cache

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import models, nn

COUNTS = {
    "lenet5": 61_706,
    "alexnet": 61_100_840,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet56": 853_018,
    "alexnet_small": 213_626,
    "resnet18_small": 701_178,
}
GREY = (1, 28, 28)
IMAGES = {
    "lenet5": GREY, "alexnet_small": GREY, "resnet18_small": GREY,
    "resnet20": (3, 32, 32), "resnet32": (3, 32, 32), "resnet56": (3, 32, 32),
}  # fmt: skip


@cache
def model(name):
    return getattr(models, name)().eval()


@pytest.fixture(scope="module", autouse=True)
def _forget_models():
    """Free the memory of all models at the end."""
    yield
    model.cache_clear()


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_count(name):
    assert sum(p.numel() for p in model(name).parameters()) == COUNTS[name]


@pytest.mark.parametrize("name", COUNTS)
def test_output_shape(name):
    with tg.no_grad():
        y = model(name)(tg.rand(2, *IMAGES.get(name, (3, 64, 64))))
    assert y.shape == (2, 10 if name in IMAGES else 1000)
    assert y.isfinite().all()


@pytest.mark.parametrize("name", ["resnet18", "resnet20", "alexnet"])
def test_other_image_sizes(name):
    with tg.no_grad():
        assert model(name)(tg.rand(1, 3, 75, 67)).shape == (1, 10 if name == "resnet20" else 1000)


@pytest.mark.parametrize("name", [n for n in COUNTS if n != "alexnet"])
def test_number_of_classes(name):
    net = getattr(models, name)(num_classes=7)
    last = list(net.modules())[-1]
    assert isinstance(last, nn.Linear)
    assert last.out_features == 7


def test_lenet_layers():
    net, sizes = models.lenet5(), []
    for layer in (*net.features, *net.classifier):
        layer.register_forward_hook(lambda m, args, y: sizes.append((type(m).__name__, tuple(y.shape[1:]))))
    net(tg.zeros(1, 1, 28, 28))
    assert sizes == [
        ("Conv2d", (6, 28, 28)), ("ReLU", (6, 28, 28)), ("MaxPool2d", (6, 14, 14)),
        ("Conv2d", (16, 10, 10)), ("ReLU", (16, 10, 10)), ("MaxPool2d", (16, 5, 5)),
        ("Flatten", (400,)), ("Linear", (120,)), ("ReLU", (120,)), ("Linear", (84,)), ("ReLU", (84,)), ("Linear", (10,)),
    ]  # fmt: skip


def test_lenet_of_older_textbooks():
    net = models.lenet5(activation="sigmoid", pooling="avg")
    kinds = {type(m) for m in net.modules()}
    assert {nn.Sigmoid, nn.AvgPool2d} <= kinds
    assert not {nn.ReLU, nn.MaxPool2d} & kinds
    assert sum(p.numel() for p in net.parameters()) == COUNTS["lenet5"]
    assert net(tg.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert isinstance(net, models.LeNet5)


NAMES = {
    "lenet5": ["features.0.weight", "features.0.bias", "features.3.weight"],
    "alexnet": ["features.0.weight", "features.0.bias", "features.3.weight"],
    "resnet18": [
        "conv1.weight",
        "bn1.weight",
        "bn1.bias",
        "bn1.running_mean",
        "bn1.running_var",
        "bn1.num_batches_tracked",
    ],
    "resnet20": ["conv1.weight", "bn1.weight"],
}
SOME = {
    "alexnet": ["features.10.bias", "classifier.1.weight", "classifier.6.bias"],
    "resnet18": ["layer1.1.bn2.running_var", "layer2.0.downsample.0.weight", "layer4.0.downsample.1.bias", "fc.bias"],
    "resnet50": ["layer1.0.conv3.weight", "layer1.0.downsample.0.weight", "layer4.2.bn3.weight"],
    "resnet20": ["layer1.2.bn2.bias", "layer3.0.conv1.weight", "fc.weight"],
}


@pytest.mark.parametrize("name", {**NAMES, **SOME})
def test_state_dict_names(name):
    keys = list(model(name).state_dict())
    assert keys[: len(NAMES.get(name, []))] == NAMES.get(name, [])
    assert set(SOME.get(name, [])) <= set(keys)


def test_option_a_shortcuts_have_no_parameters():
    assert not [key for key in model("resnet20").state_dict() if "downsample" in key]
    shortcut = model("resnet20").layer2[0].downsample
    x = tg.rand(1, 16, 4, 4)
    y = shortcut(x)
    assert y.shape == (1, 32, 2, 2)
    tg.testing.assert_close(y[:, 8:24], x[:, :, ::2, ::2])
    assert (y[:, :8] == 0).all()
    assert (y[:, 24:] == 0).all()


def test_initial_weights_of_residual_networks():
    for name in ("resnet18", "resnet20"):
        weight = model(name).layer3[1].conv1.weight
        expected = math.sqrt(2 / (weight.shape[0] * 9))
        assert weight.std().item() == pytest.approx(expected, rel=0.02)
        assert (model(name).bn1.weight == 1).all()


def test_zero_init_residual():
    basic, wide = [f(zero_init_residual=True, num_classes=2) for f in (models.resnet18, models.resnet50)]
    assert (basic.layer1[0].bn2.weight == 0).all()
    assert (wide.layer1[0].bn3.weight == 0).all()
    assert (wide.layer1[0].bn2.weight == 1).all()


def test_dropout_of_alexnet():
    assert [m.p for m in model("alexnet").modules() if isinstance(m, nn.Dropout)] == [0.5, 0.5]


def test_models_follow_the_seed():
    def first(seed):
        tg.manual_seed(seed)
        return models.resnet20().fc.weight.tolist()

    assert first(1) == first(1) != first(2)


ERRORS = [
    (lambda: models.lenet5(activation="tanh"), "activation must be 'relu' or 'sigmoid'"),
    (lambda: models.lenet5(pooling="min"), "pooling 'max' or 'avg', got 'relu', 'min'"),
    (lambda: models.alexnet(weights="DEFAULT"), "alexnet: no pretrained weights are distributed"),
    (lambda: models.resnet18(weights="IMAGENET1K_V1"), "resnet18: no pretrained weights are distributed"),
    (lambda: models.resnet34(weights=1), "resnet34"),
    (lambda: models.resnet50(weights=1), "resnet50"),
    (lambda: models.CifarResNet(21), r"depth must be 6 n \+ 2"),
    (lambda: models.CifarResNet(2), "got 2"),
]


@pytest.mark.parametrize(("call", "text"), ERRORS)
def test_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_an_image_of_the_wrong_size_names_the_layer():
    with pytest.raises(RuntimeError) as caught:
        model("lenet5")(tg.zeros(1, 1, 32, 32))
    assert caught.value.__notes__ == ["in classifier.1: Linear(in_features=400, out_features=120, bias=True)"]
