"""Every network against the numbers of its paper, layer by layer."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import models, nn
from tinygrad_cnn.models.googlenet import INCEPTIONS

IMAGE, CIFAR = (1, 3, 224, 224), (1, 3, 32, 32)
DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"


def weighted(summary):
    """Return the convolutions and linear layers."""
    return [row for row in summary.layers if row.multiply_adds]


COUNTS = {
    "alexnet": 61_100_840, "alexnet_2012": 60_965_224,
    "vgg11": 132_863_336, "vgg13": 133_047_848, "vgg16": 138_357_544, "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840, "vgg13_bn": 133_053_736, "vgg16_bn": 138_365_992, "vgg19_bn": 143_678_248,
    "vgg11_lrn": 132_863_336, "vgg16_1x1": 133_638_952,
    "googlenet": 13_004_888, "googlenet_2014": 13_378_280,
    "resnet101": 44_549_160, "resnet152": 60_192_808, "resnet50_2015": 25_557_032, "resnet101_2015": 44_549_160,
    "resnet152_2015": 60_192_808, "resnext50_32x4d": 25_028_904, "resnext101_32x8d": 88_791_336,
    "resnext101_64x4d": 83_455_272, "wide_resnet50_2": 68_883_240, "wide_resnet101_2": 126_886_696,
    "resnet44": 658_586, "resnet110": 1_727_962,
    "plain18": 11_515_688, "plain34": 21_623_848, "plain20": 269_722, "plain32": 464_154, "plain44": 658_586, "plain56": 853_018,
    "nin": 966_986, "squeezenet1_0": 1_248_424, "squeezenet1_1": 1_235_496, "mobilenet_v2": 3_504_872,
    "densenet121": 7_978_856, "densenet161": 28_681_000, "densenet169": 14_149_480, "densenet201": 20_013_928,
    "ecg_net": 19_805, "voxnet": 921_736,
}  # fmt: skip


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", COUNTS)
def test_parameter_count(name):
    model = models.get_model(name)
    assert sum(p.numel() for p in model.parameters()) == COUNTS[name]
    assert f"{COUNTS[name]:,}" in models.get_model_builder(name).__doc__ or name.endswith("_2015") or "plain" in name


@pytest.mark.usefixtures("undrawn")
def test_the_deepest_cifar_network():
    assert sum(p.numel() for p in models.resnet1202().parameters()) == 19_421_274


def test_the_table_of_the_documentation():
    rows = re.findall(r"^\| `(\w+)`.*?\| ([\d,]+) \|", DOCUMENT.read_text(), re.M)
    found = {name: int(count.replace(",", "")) for name, count in rows}
    others = {
        "lenet5": 61_706,
        "resnet1202": 19_421_274,
        "resnet18": 11_689_512,
        "resnet34": 21_797_672,
        "resnet50": 25_557_032,
    }
    cifar = {"resnet20": 269_722, "resnet32": 464_154, "resnet56": 853_018}
    small = {"alexnet_small": 213_626, "resnet18_small": 701_178}
    assert found == {**COUNTS, **others, **cifar, **small}
    assert set(found) <= set(models.list_models())


# ---- AlexNet ----

ALEXNET = [  # the maps, the kernel, the parameters, the receptive field
    ((96, 55, 55), (11, 11), 34_944, 11),
    ((256, 27, 27), (5, 5), 307_456, 51),
    ((384, 13, 13), (3, 3), 885_120, 99),
    ((384, 13, 13), (3, 3), 663_936, 131),
    ((256, 13, 13), (3, 3), 442_624, 163),
    ((4096,), (), 37_752_832, 355),
    ((4096,), (), 16_781_312, 355),
    ((1000,), (), 4_097_000, 355),
]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("size", [224, 227])
def test_alexnet(size):
    summary = tg.summary(models.alexnet_2012(), (1, 3, size, size))
    rows = weighted(summary)
    assert [(r.output_shape[1:], r.kernel_size, r.parameters, r.receptive_field[0]) for r in rows] == ALEXNET
    assert sum(math.prod(r.output_shape) for r in rows) == 659_272
    assert summary.multiply_adds == 724_406_816
    pools = [(r.output_shape[1:], r.receptive_field[0]) for r in summary.layers if r.kind == "MaxPool2d"]
    assert pools == [((96, 27, 27), 19), ((256, 13, 13), 67), ((256, 6, 6), 195)]
    kinds = [r.kind for r in summary.layers[:8]]
    assert kinds == ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"] * 2


@pytest.mark.usefixtures("undrawn")
def test_alexnet_in_one_tower():
    summary = tg.summary(models.alexnet_2012(groups=1), IMAGE)
    assert summary.parameters == 62_378_344
    assert summary.multiply_adds == 1_135_256_096


@pytest.mark.usefixtures("undrawn")
def test_alexnet_normalises_by_the_plain_sum():
    norm = models.alexnet_2012(num_classes=2).features[2]
    assert (norm.size, norm.alpha, norm.beta, norm.k, norm.alpha_mode) == (5, 1e-4, 0.75, 2.0, "sum")
    x = tg.rand(1, 7, 1, 1) * 100
    squares = (x * x).flatten()
    expected = x[0, 3, 0, 0] / (2 + 1e-4 * squares[1:6].sum()) ** 0.75
    tg.testing.assert_close(norm(x)[0, 3, 0, 0], expected)


def test_initial_weights_of_alexnet(monkeypatch):
    drawn = []
    monkeypatch.setattr(tg.Tensor, "uniform_", lambda self, *args, **kwargs: self)
    monkeypatch.setattr(tg.Tensor, "normal_", lambda self, *args, **kwargs: drawn.append((tuple(self.shape), args)))
    model = models.alexnet_2012()
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert drawn == [(tuple(layer.weight.shape), (0.0, 0.01)) for layer in layers]
    assert [set(layer.bias.tolist()) for layer in layers] == [{b} for b in (0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0)]
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.5, 0.5]


# ---- VGG ----


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("name", "layers", "millions", "multiply_adds"),
    [
        ("vgg11", 11, 133, 7_609_090_048), ("vgg11_lrn", 11, 133, 7_609_090_048), ("vgg13", 13, 133, 11_308_466_176),
        ("vgg16_1x1", 16, 134, 11_770_888_192), ("vgg16", 16, 138, 15_470_264_320), ("vgg19", 19, 144, 19_632_062_464),
    ],
)  # fmt: skip
def test_vgg(name, layers, millions, multiply_adds):
    summary = tg.summary(models.get_model(name), (1, 3, 32, 32))  # 49 times fewer pixels, but for the linear layers
    rows = weighted(summary)
    assert len(rows) == layers
    assert round(summary.parameters / 1e6) == millions
    linear = 25_088 * 4096 + 4096 * 4096 + 4096 * 1000
    assert (summary.multiply_adds - linear) * 49 + linear == multiply_adds
    pools = [r.output_shape[1:] for r in summary.layers if r.kind == "MaxPool2d"]
    assert pools == [(64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2), (512, 1, 1)]


@pytest.mark.usefixtures("undrawn")
def test_vgg16_by_layer():
    summary = tg.summary(models.vgg16(), IMAGE)
    sizes = [(64, 224)] * 2 + [(128, 112)] * 2 + [(256, 56)] * 3 + [(512, 28)] * 3 + [(512, 14)] * 3
    rows = weighted(summary)
    assert [r.output_shape[1:] for r in rows[:-3]] == [(c, n, n) for c, n in sizes]
    assert [r.receptive_field[0] for r in rows] == [3, 5, 10, 14, 24, 32, 40, 60, 76, 92, 132, 164, 196, 404, 404, 404]
    assert [r.parameters for r in rows[-3:]] == [102_764_544, 16_781_312, 4_097_000]
    assert summary["features.30"].receptive_field == (212, 212)


@pytest.mark.usefixtures("undrawn")
def test_normalisation_of_vgg():
    kinds = [type(m).__name__ for m in models.vgg11_lrn().features]
    assert kinds[:4] == ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"]
    assert kinds.count("LocalResponseNorm") == 1


# ---- GoogLeNet ----

GOOGLENET = {  # side, output maps, parameters, millions of multiply-adds
    "3a": (28, 256, 163_696, 128.0), "3b": (28, 480, 388_736, 304.3), "4a": (14, 512, 376_176, 73.6),
    "4b": (14, 512, 449_160, 87.9), "4c": (14, 512, 510_104, 99.9), "4d": (14, 528, 605_376, 118.5),
    "4e": (14, 832, 868_352, 170.0), "5a": (7, 832, 1_043_456, 51.1), "5b": (7, 1024, 1_444_080, 70.7),
}  # fmt: skip


@pytest.mark.usefixtures("undrawn")
def test_googlenet():
    summary = tg.summary(models.googlenet_2014(), IMAGE)
    for name, (side, maps, parameters, millions) in GOOGLENET.items():
        rows = [r for r in weighted(summary) if r.name.startswith(f"inception{name}.")]
        assert sum(r.parameters for r in rows) == parameters, name
        assert sum(r.multiply_adds for r in rows) / 1e6 == pytest.approx(millions, abs=0.06), name
        outputs = [r.output_shape[1:] for r in rows if r.name.split(".", 1)[1] in ENDS]
        assert [shape[1:] for shape in outputs] == [(side, side)] * 4, name
        assert sum(shape[0] for shape in outputs) == maps, name
        assert [r.kernel_size[0] for r in rows] == [1, 1, 3, 1, 5, 1], name
    used = [r for r in summary.layers if r.output_shape]
    assert sum(r.parameters for r in used) == 6_998_552
    assert summary.multiply_adds == 1_582_671_872
    pools = [r.output_shape[1:] for r in used if r.name.startswith("maxpool")]
    assert pools == [(64, 56, 56), (192, 28, 28), (480, 14, 14), (832, 7, 7)]
    assert [r.name for r in used[:7]] == [
        "conv1.conv",
        "maxpool1",
        "norm1",
        "conv2.conv",
        "conv3.conv",
        "norm2",
        "maxpool2",
    ]


ENDS = ("branch1.conv", "branch2.1.conv", "branch3.1.conv", "branch4.1.conv")


@pytest.mark.usefixtures("undrawn")
def test_googlenet_of_torchvision():
    model = models.googlenet(aux_logits=False)
    assert sum(p.numel() for p in model.parameters()) == 6_624_904
    assert model.aux1 is None
    assert {
        m.branch3[1].conv.kernel_size for n, m in model.named_modules() if n.removeprefix("inception") in INCEPTIONS
    } == {(3, 3)}


@pytest.mark.parametrize("name", ["googlenet", "googlenet_2014"])
def test_heads_of_googlenet(name, undrawn):
    model = models.get_model(name, num_classes=3)
    for p in model.parameters():
        p.data.fill_(0.01)
    side = 224 if name == "googlenet_2014" else 64
    x = tg.rand(2, 3, side, side)
    with tg.no_grad():
        outputs = model(x)
        assert type(outputs) is models.GoogLeNetOutputs
        assert outputs._fields == ("logits", "aux_logits2", "aux_logits1")
        assert [y.shape for y in outputs] == [(2, 3)] * 3
        model.aux1 = None
        assert model(x).aux_logits1 is None
        assert model.eval()(x).shape == (2, 3)


# ---- residual networks ----

RESNETS = {  # multiply-adds
    "resnet18": 1_814_073_344, "resnet34": 3_663_761_408, "resnet50": 4_089_184_256, "resnet50_2015": 3_857_973_248,
    "resnet101": 7_801_405_440, "resnet152": 11_513_626_624, "plain34": 3_644_493_824,
}  # fmt: skip


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", RESNETS)
def test_resnet(name):
    expansion = 1 if name in ("resnet18", "resnet34", "plain34") else 4
    summary = tg.summary(models.get_model(name), (1, 3, 32, 32))  # a 49th of the pixels
    linear = 512 * expansion * 1000
    assert (summary.multiply_adds - linear) * 49 + linear == RESNETS[name]
    convolutions = [r for r in weighted(summary) if "downsample" not in r.name]
    digits = "".join(filter(str.isdigit, name.split("_")[0]))
    assert len(convolutions) == int(digits)
    ends = [[r for r in convolutions if r.name.startswith(f"layer{i}")][-1].output_shape[1:] for i in (1, 2, 3, 4)]
    assert ends == [(64 * 2**i * expansion, 8 // 2**i, 8 // 2**i) for i in range(4)]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("name", "field"), [("resnet18", 435), ("resnet34", 899), ("resnet50_2015", 483), ("resnet50", 427)]
)
def test_receptive_fields_of_residual_networks(name, field):
    rows = tg.summary(models.get_model(name), (1, 3, 32, 32)).layers
    assert [r for r in rows if r.name.startswith("layer4")][-1].receptive_field == (field, field)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("shortcut", "parameters"), [("A", 21_623_848), ("B", 21_797_672), ("C", 22_716_840)])
def test_shortcuts_of_resnet34(shortcut, parameters):
    model = models.resnet34(shortcut=shortcut)
    projections = {"A": 0, "B": 3, "C": 16}[shortcut]
    assert (
        sum(isinstance(m.downsample, nn.Sequential) for m in model.modules() if hasattr(m, "downsample")) == projections
    )
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.usefixtures("undrawn")
def test_where_the_stride_of_a_bottleneck_is():
    for name, strides in (("resnet50", [1, 2]), ("resnet50_2015", [2, 1])):
        block = models.get_model(name).layer2[0]
        assert [block.conv1.stride[0], block.conv2.stride[0]] == strides


CIFARS = {"resnet20": 40.6, "resnet32": 68.9, "resnet44": 97.2, "resnet56": 125.5, "resnet110": 252.9, "plain20": 40.6}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", CIFARS)
def test_cifar_networks(name):
    summary = tg.summary(models.get_model(name), CIFAR)
    assert summary.multiply_adds / 1e6 == pytest.approx(CIFARS[name], abs=0.06)
    rows = weighted(summary)
    assert len(rows) == int("".join(filter(str.isdigit, name)))
    n = (len(rows) - 2) // 6
    assert [r.output_shape[1:] for r in rows[:-1]] == [(16, 32, 32)] * (2 * n + 1) + [(32, 16, 16)] * 2 * n + [
        (64, 8, 8)
    ] * 2 * n


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("shortcut", "parameters"), [("A", 269_722), ("B", 272_474), ("C", 283_962)])
def test_shortcuts_of_cifar_networks(shortcut, parameters):
    model = models.resnet20(shortcut=shortcut)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_a_plain_network_adds_nothing():
    block = models.plain20().eval().layer1[0]
    for bn in (block.bn1, block.bn2):
        nn.init.zeros_(bn.weight)
    with tg.no_grad():
        assert (block(tg.rand(1, 16, 4, 4)) == 0).all()
        assert (models.resnet20().layer1[0].eval()(tg.rand(1, 16, 4, 4)) != 0).any()


# ---- the others ----


@pytest.mark.usefixtures("undrawn")
def test_nin():
    rows = weighted(tg.summary(models.nin(), CIFAR))
    assert [(r.output_shape[1], r.output_shape[2], r.kernel_size[0]) for r in rows] == [
        (192, 32, 5), (160, 32, 1), (96, 32, 1), (192, 16, 5), (192, 16, 1), (192, 16, 1), (192, 8, 3), (192, 8, 1), (10, 8, 1),
    ]  # fmt: skip


@pytest.mark.usefixtures("undrawn")
def test_squeezenet():
    summary = tg.summary(models.squeezenet1_0(), IMAGE)
    fires = [r for r in summary.layers if r.name.endswith("expand3x3")]
    assert [(2 * r.output_shape[1], r.output_shape[2]) for r in fires] == [
        (128, 54), (128, 54), (256, 54), (256, 27), (384, 27), (384, 27), (512, 27), (512, 13),
    ]  # fmt: skip
    parameters = [
        sum(r.parameters for r in summary.layers if r.name.startswith(f"features.{i}."))
        for i in (3, 4, 5, 7, 8, 9, 10, 12)
    ]
    assert parameters == [11_920, 12_432, 45_344, 49_440, 104_880, 111_024, 188_992, 197_184]  # the paper's table 1
    assert tg.summary(models.squeezenet1_1(), IMAGE).multiply_adds / 1e6 == pytest.approx(349, abs=1)


@pytest.mark.usefixtures("undrawn")
def test_mobilenet_v2():
    summary = tg.summary(models.mobilenet_v2(), IMAGE)
    assert summary.multiply_adds / 1e6 == pytest.approx(300, abs=1)
    blocks = [
        [r for r in summary.layers if r.name.startswith(f"features.{i}.")][-1].output_shape[1:3] for i in range(19)
    ]
    assert blocks == [
        (32, 112), (16, 112), *[(24, 56)] * 2, *[(32, 28)] * 3, *[(64, 14)] * 4, *[(96, 14)] * 3, *[(160, 7)] * 3, (320, 7), (1280, 7),
    ]  # fmt: skip


@pytest.mark.usefixtures("undrawn")
def test_densenet121():
    summary = tg.summary(models.densenet121(), IMAGE)
    assert len(weighted(summary)) == 121
    assert summary.multiply_adds / 1e9 == pytest.approx(2.83, abs=0.01)
    transitions = [summary[f"features.transition{i}.pool"].output_shape[1:3] for i in (1, 2, 3)]
    assert transitions == [(128, 28), (256, 14), (512, 7)]
    assert summary["features.norm5"].output_shape == (1, 1024, 7, 7)


@pytest.mark.usefixtures("undrawn")
def test_voxnet():
    rows = weighted(tg.summary(models.voxnet(), (1, 1, 32, 32, 32)))
    assert [(r.output_shape[1:], r.parameters, r.receptive_field[0]) for r in rows] == [
        ((32, 14, 14, 14), 4_032, 5), ((32, 12, 12, 12), 27_680, 9), ((128,), 884_864, 31), ((40,), 5_160, 31),
    ]  # fmt: skip


@pytest.mark.usefixtures("undrawn")
def test_ecg_net():
    rows = [r for r in tg.summary(models.ecg_net(), (1, 1, 260)).layers if r.kernel_size or r.multiply_adds]
    assert [r.output_shape[1:] for r in rows] == [
        (5, 258), (5, 129), (10, 126), (10, 63), (20, 60), (20, 30), (30,), (20,), (5,),
    ]  # fmt: skip
