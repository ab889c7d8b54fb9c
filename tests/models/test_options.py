"""The options of the networks: torchvision's, and those of the papers; names of states, initial weights, errors."""

from __future__ import annotations

import math
from functools import partial

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import models, nn
from tinygrad_cnn.models.resnet import BasicBlock, Bottleneck, PaddedShortcut, PlainBlock
from tinygrad_cnn.models.vgg import cfgs, make_layers

KEYS = {
    "vgg11_bn": ["features.0.weight", "features.1.running_var", "features.26.bias", "classifier.0.weight", "classifier.6.bias"],
    "vgg19": ["features.0.weight", "features.34.bias", "classifier.3.weight"],
    "googlenet": [
        "conv1.conv.weight", "conv1.bn.running_mean", "inception3a.branch1.conv.weight", "inception4e.branch2.1.bn.weight",
        "inception5b.branch4.1.conv.weight", "aux1.conv.bn.bias", "aux2.fc1.weight", "aux2.fc2.bias", "fc.weight",
    ],
    "resnext50_32x4d": ["layer1.0.conv2.weight", "layer4.2.bn3.num_batches_tracked", "layer2.0.downsample.1.running_var"],
    "squeezenet1_0": ["features.0.weight", "features.3.squeeze.weight", "features.12.expand3x3.bias", "classifier.1.weight"],
    "mobilenet_v2": [
        "features.0.0.weight", "features.0.1.running_mean", "features.1.conv.0.0.weight", "features.1.conv.1.weight",
        "features.2.conv.0.1.bias", "features.17.conv.3.weight", "features.18.1.bias", "classifier.1.bias",
    ],
    "densenet121": [
        "features.conv0.weight", "features.norm0.running_var", "features.denseblock1.denselayer1.norm1.weight",
        "features.denseblock4.denselayer16.conv2.weight", "features.transition3.conv.weight", "features.norm5.bias",
        "classifier.bias",
    ],
}  # fmt: skip


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", KEYS)
def test_state_dict_names(name):
    assert set(KEYS[name]) <= set(models.get_model(name).state_dict())


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", [n for n in models.list_models() if n not in ("resnet1202", "lenet5", "lenet5_1998")])
def test_number_of_classes(name):
    model = models.get_model(name, num_classes=7)
    last = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))][-1]
    assert 7 in (getattr(last, "out_features", 0), getattr(last, "out_channels", 0))


# ---- options of residual networks ----


def test_norm_layers():
    model = models.resnet18(num_classes=2, norm_layer=partial(nn.GroupNorm, 8))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    assert isinstance(model.layer2[0].downsample[1], nn.GroupNorm)
    mobile = models.mobilenet_v2(width_mult=0.25, num_classes=2, norm_layer=nn.InstanceNorm2d)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in mobile.modules())


def test_dilation_in_place_of_strides():
    model = models.ResNet(Bottleneck, [1, 1, 2, 2], 2, replace_stride_with_dilation=[False, True, True])
    with tg.no_grad():
        assert model.layer4(model.layer3(tg.rand(1, 512, 4, 4))).shape == (1, 2048, 4, 4)
    convolutions = [b.conv2 for layer in (model.layer3, model.layer4) for b in layer]
    assert [c.dilation[0] for c in convolutions] == [1, 2, 2, 4]
    assert [c.padding[0] for c in convolutions] == [1, 2, 2, 4]


def test_zero_init_residual_of_every_block():
    model = models.ResNet(Bottleneck, [1, 2, 1, 1], 2, zero_init_residual=True)
    assert all((m.bn3.weight == 0).all() for m in model.modules() if isinstance(m, Bottleneck))
    assert (models.ResNet(PlainBlock, [1, 1, 1, 1], 2).layer1[0].bn2.weight == 1).all()


def test_padding_without_a_stride():
    shortcut = PaddedShortcut(5, stride=1)
    x = tg.rand(1, 2, 3, 3)
    y = shortcut(x)
    assert y.shape == (1, 5, 3, 3)
    tg.testing.assert_close(y[:, 1:3], x)


def test_every_option_runs():
    for shortcut in "ABC":
        assert models.ResNet(BasicBlock, [1, 1, 1, 1], 3, shortcut=shortcut)(tg.rand(2, 3, 32, 32)).shape == (2, 3)
        assert models.CifarResNet(8, 3, shortcut)(tg.rand(2, 3, 16, 16)).shape == (2, 3)
    assert models.ResNet(Bottleneck, [1, 1, 1, 1], 3, shortcut="A")(tg.rand(2, 3, 32, 32)).shape == (2, 3)


# ---- other options ----


def test_transform_input_of_googlenet():
    model = models.googlenet(num_classes=2, aux_logits=False, transform_input=True, init_weights=False).eval()
    plain = models.googlenet(num_classes=2, aux_logits=False, init_weights=False).eval()
    plain.load_state_dict(model.state_dict())
    pixels = tg.rand(1, 3, 64, 64)
    mean, std = [tg.tensor(v).reshape(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    with tg.no_grad():
        tg.testing.assert_close(model((pixels - mean) / std), plain((pixels - 0.5) / 0.5), rtol=1e-3, atol=1e-5)


def test_dropout():
    def rates(model):
        return [m.p for m in model.modules() if isinstance(m, nn.Dropout)]

    assert rates(models.googlenet_2014(num_classes=2)) == [0.7, 0.7, 0.4]
    assert rates(models.GoogLeNet(2, init_weights=False)) == [0.7, 0.7, 0.2]
    assert rates(models.squeezenet1_1(dropout=0.1)) == [0.1]
    assert rates(models.mobilenet_v2(width_mult=0.1)) == [0.2]
    assert rates(models.nin()) == [0.5, 0.5]
    assert rates(models.voxnet()) == [0.2, 0.3, 0.4]


def test_memory_efficient_densenet():
    one, other = [models.DenseNet(4, (2, 2), 6, 2, num_classes=3, memory_efficient=m) for m in (False, True)]
    other.load_state_dict(one.state_dict())
    x = tg.rand(2, 3, 32, 32)
    for model in (one, other):
        model(x).sum().backward()
    for p, q in zip(one.parameters(), other.parameters(), strict=True):
        tg.testing.assert_close(p.grad, q.grad)
    assert models.DenseNet(4, (1,), 6, drop_rate=1.0).features.denseblock1.denselayer1(tg.rand(1, 6, 4, 4)).sum() == 0


def test_widths_of_mobilenet():
    assert [m.out_channels for m in models.mobilenet_v2(width_mult=0.35).modules() if isinstance(m, nn.Conv2d)][
        -1
    ] == 1280
    model = models.MobileNetV2(5, width_mult=1.4, inverted_residual_setting=[[1, 16, 1, 1], [6, 24, 1, 2]])
    assert len(model.features) == 4
    assert model.last_channel == 1792
    assert model.features[2].conv[2].out_channels == 32  # 33.6 to the next multiple of 8


def test_initial_weights():
    def std(layer):
        return layer.weight.std().item()

    net = models.squeezenet1_1(num_classes=100)
    assert std(net.classifier[1]) == pytest.approx(0.01, rel=0.05)
    assert std(net.features[3].expand3x3) == pytest.approx(math.sqrt(2 / (16 * 9)), rel=0.05)
    assert std(models.nin().features[8]) == pytest.approx(0.05, rel=0.05)
    mobile = models.mobilenet_v2(num_classes=50)
    assert std(mobile.classifier[1]) == pytest.approx(0.01, rel=0.05)
    assert std(mobile.features[18][0]) == pytest.approx(math.sqrt(2 / 1280), rel=0.05)
    dense = models.DenseNet(8, (2, 2), 16)
    assert std(dense.features.denseblock2.denselayer2.conv2) == pytest.approx(math.sqrt(2 / (32 * 9)), rel=0.05)
    assert (dense.classifier.bias == 0).all()
    vgg = make_layers(cfgs["A"])
    assert [m.kernel_size for m in vgg if isinstance(m, nn.Conv2d)] == [(3, 3)] * 8
    assert std(models.googlenet(num_classes=2).inception4a.branch2[1].conv) == pytest.approx(0.01, rel=0.05)
    paper = models.googlenet_2014(num_classes=2)
    assert std(paper.conv3.conv) == pytest.approx(math.sqrt(2 / (9 * (64 + 192))), rel=0.05)
    assert (paper.conv3.conv.bias == 0.2).all()


ERRORS = [
    (lambda: models.SqueezeNet("2_0"), ValueError, "version must be one of 1_0, 1_1, got '2_0'"),
    (lambda: models.ResNet(BasicBlock, [1] * 4, shortcut="D"), ValueError, "shortcut must be 'A', 'B' or 'C', got 'D'"),
    (lambda: models.CifarResNet(20, shortcut=None), ValueError, "CifarResNet: shortcut"),
    (lambda: models.ResNet(BasicBlock, [1] * 4, groups=2), ValueError, "BasicBlock: only groups=1"),
    (lambda: models.ResNet(Bottleneck, [1] * 4, replace_stride_with_dilation=[True]), ValueError, "None or 3 bools"),
    (
        lambda: models.ResNet(BasicBlock, [2] * 4, replace_stride_with_dilation=[True] * 3), NotImplementedError,
        "only dilation=1",
    ),
    (lambda: models.MobileNetV2(inverted_residual_setting=[]), ValueError, "rows of 4 numbers"),
    (lambda: models.MobileNetV2(inverted_residual_setting=[[1, 2]]), ValueError, "rows of 4 numbers"),
    (lambda: models.mobilenet.InvertedResidual(8, 8, 3, 6), ValueError, "stride must be 1 or 2, got 3"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), ERRORS)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
