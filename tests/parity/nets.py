"""The networks of tinygrad_cnn.models, built once more from PyTorch's layers."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class LeNet5(nn.Module):
    """28 x 28 grey images; ReLU and max pooling, or sigmoid and average pooling."""

    def __init__(self, activation: str = "relu", pooling: str = "max") -> None:
        super().__init__()
        act = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}[activation]
        pool = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}[pooling]
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), act(), pool(2, 2), nn.Conv2d(6, 16, 5), act(), pool(2, 2)
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(400, 120), act(), nn.Linear(120, 84), act(), nn.Linear(84, 10)
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x))


class AlexNet(nn.Module):
    """As in torchvision, without dropout."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for outputs, size, stride, padding, pooled in [
            (64, 11, 4, 2, True), (192, 5, 1, 2, True), (384, 3, 1, 1, False), (256, 3, 1, 1, False), (256, 3, 1, 1, True),
        ]:  # fmt: skip
            layers += [nn.Conv2d(inputs, outputs, size, stride, padding), nn.ReLU(inplace=True)]
            layers += [nn.MaxPool2d(3, 2)] if pooled else []
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(0.0), nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(0.0), nn.Linear(4096, 4096), nn.ReLU(),
            nn.Linear(4096, 1000),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class Block(nn.Module):
    """A residual block: (kernel size, outputs, stride[, groups, dilation]) of each convolution, and the shortcut."""

    def __init__(self, inputs: int, convolutions: list[tuple[int, ...]], shortcut: nn.Module | None) -> None:
        super().__init__()
        for i, (size, outputs, stride, *more) in enumerate(convolutions, 1):
            groups, dilation = more or (1, 1)
            conv = nn.Conv2d(inputs, outputs, size, stride, size // 2 * dilation, dilation, groups, bias=False)
            self.add_module(f"conv{i}", conv)
            self.add_module(f"bn{i}", nn.BatchNorm2d(outputs))
            inputs = outputs
        self.count = len(convolutions)
        self.downsample = shortcut

    def forward(self, x: Any) -> Any:
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = F.relu(y) if i < self.count else y
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """For ImageNet: basic blocks, or bottlenecks with the stride on the 3x3; `dilated` says for which stages but the first."""

    def __init__(
        self, depths: list[int], bottleneck: bool, groups: int = 1, width: int = 64, dilated: Any = (False,) * 3,
        stride_first: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs, dilation = 64, 1
        for stage, depth in enumerate(depths):
            blocks = []
            dilate = stage > 0 and dilated[stage - 1]
            for i in range(depth):
                stride = 2 if stage and not i and not dilate else 1
                planes = 64 * 2**stage
                outputs = planes * (4 if bottleneck else 1)
                middle = planes * width // 64 * groups
                before, after = (stride, 1) if stride_first else (1, stride)
                wide = [(1, middle, before), (3, middle, after, groups, dilation), (1, outputs, 1)]
                shortcut = None
                if stride != 1 or inputs != outputs:
                    shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
                blocks.append(Block(inputs, wide if bottleneck else [(3, planes, stride), (3, planes, 1)], shortcut))
                inputs = outputs
                dilation *= 2 if dilate and not i else 1
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(inputs, 1000)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


class Padded(nn.Module):
    """Option A: every second pixel, and as many channels of zeros before as behind."""

    def forward(self, x: Any) -> Any:
        new = x.shape[1] // 2
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, new, new))


class CifarResNet(nn.Module):
    """6 n + 2 layers for 32 x 32 images."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        inputs = 16
        for stage, planes in enumerate((16, 32, 64), 1):
            blocks = []
            for _ in range(n):
                stride = 1 if inputs == planes else 2
                blocks.append(Block(inputs, [(3, planes, stride), (3, planes, 1)], Padded() if stride == 2 else None))
                inputs = planes
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.fc(x.mean((2, 3)))


class Headed(nn.Module):
    """Convolutional layers with one linear layer behind them, after average pooling to side x side if a side is given."""

    def __init__(self, features: nn.Module, inputs: int, side: int = 0, pad: Any = None) -> None:
        super().__init__()
        self.features, self.side, self.pad = features, side, pad
        self.classifier = nn.Linear(inputs, 10)

    def forward(self, x: Any) -> Any:
        x = self.features(F.pad(x, self.pad) if self.pad else x)
        x = F.adaptive_avg_pool2d(x, self.side) if self.side else x
        return self.classifier(x.flatten(1))


def lrn() -> nn.Module:
    """AlexNet's normalisation: PyTorch divides alpha by the number of channels."""
    return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)


def alexnet_2012() -> nn.Module:
    """The paper's layers."""
    layers: list[nn.Module] = []
    inputs = 3
    for outputs, size, stride, groups, after in [
        (96, 11, 4, 1, "np"), (256, 5, 1, 2, "np"), (384, 3, 1, 1, ""), (384, 3, 1, 2, ""), (256, 3, 1, 2, "p"),
    ]:  # fmt: skip
        layers += [nn.Conv2d(inputs, outputs, size, stride, size // 2 if stride == 1 else 0, groups=groups), nn.ReLU()]
        layers += [lrn() if c == "n" else nn.MaxPool2d(3, 2) for c in after]
        inputs = outputs
    return nn.Sequential(*layers)


def vgg(text: str, norm: bool) -> nn.Module:
    """Widths of 3x3 convolutions, 512' of 1x1; M for pooling, L for normalisation."""
    layers: list[nn.Module] = []
    inputs = 3
    for item in text.split():
        if item in "ML":
            layers.append(nn.MaxPool2d(2) if item == "M" else lrn())
            continue
        size = 1 if item.endswith("'") else 3
        outputs = int(item.rstrip("'"))
        layers += [nn.Conv2d(inputs, outputs, size, padding=size // 2)] + [nn.BatchNorm2d(outputs)] * norm + [nn.ReLU()]
        inputs = outputs
    return nn.Sequential(*layers)


class _Conv(nn.Module):
    def __init__(self, inputs: int, outputs: int, size: int, norm: bool, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=not norm)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001) if norm else nn.Identity()

    def forward(self, x: Any) -> Any:
        return F.relu(self.bn(self.conv(x)))


class _Inception(nn.Module):
    def __init__(self, inputs: int, a: int, b1: int, b: int, c1: int, c: int, d: int, norm: bool) -> None:
        super().__init__()
        self.branch1 = _Conv(inputs, a, 1, norm)
        self.branch2 = nn.Sequential(_Conv(inputs, b1, 1, norm), _Conv(b1, b, 3, norm))
        self.branch3 = nn.Sequential(_Conv(inputs, c1, 1, norm), _Conv(c1, c, 3 if norm else 5, norm))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), _Conv(inputs, d, 1, norm))

    def forward(self, x: Any) -> Any:
        return torch.cat([branch(x) for branch in self.children()], 1)


class _Head(nn.Module):
    def __init__(self, inputs: int, norm: bool) -> None:
        super().__init__()
        self.norm, self.conv = norm, _Conv(inputs, 128, 1, norm)
        self.fc1, self.fc2 = nn.Linear(2048, 1024), nn.Linear(1024, 10)

    def forward(self, x: Any) -> Any:
        x = F.adaptive_avg_pool2d(x, 4) if self.norm else F.avg_pool2d(x, 5, 3)
        return self.fc2(F.relu(self.fc1(self.conv(x).flatten(1))))


class GoogLeNet(nn.Module):
    """With norm torchvision's, without it the paper's; returns a sum of all logits."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.norm = norm
        self.conv1, self.conv2 = _Conv(3, 64, 7, norm, 2), _Conv(64, 64, 1, norm)
        self.conv3 = _Conv(64, 192, 3, norm)
        inputs = 192
        for name, *sizes in [
            ("3a", 64, 96, 128, 16, 32, 32), ("3b", 128, 128, 192, 32, 96, 64), ("4a", 192, 96, 208, 16, 48, 64),
            ("4b", 160, 112, 224, 24, 64, 64), ("4c", 128, 128, 256, 24, 64, 64), ("4d", 112, 144, 288, 32, 64, 64),
            ("4e", 256, 160, 320, 32, 128, 128), ("5a", 256, 160, 320, 32, 128, 128), ("5b", 384, 192, 384, 48, 128, 128),
        ]:  # fmt: skip
            self.add_module(f"inception{name}", _Inception(inputs, *sizes, norm))
            inputs = sizes[0] + sizes[2] + sizes[4] + sizes[5]
        self.aux1, self.aux2 = _Head(512, norm), _Head(528, norm)
        self.fc = nn.Linear(1024, 10)

    def forward(self, x: Any) -> Any:
        squash = nn.Identity() if self.norm else lrn()
        x = squash(F.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True))
        x = squash(self.conv3(self.conv2(x)))
        x = self.inception3b(self.inception3a(F.max_pool2d(x, 3, 2, ceil_mode=True)))
        x1 = self.inception4a(F.max_pool2d(x, 3, 2, ceil_mode=True))
        x2 = self.inception4d(self.inception4c(self.inception4b(x1)))
        x = F.max_pool2d(self.inception4e(x2), 2 if self.norm else 3, 2, ceil_mode=True)
        x = self.inception5b(self.inception5a(x))
        return self.fc(x.mean((2, 3))) + 0.3 * self.aux2(x2) + 0.3 * self.aux1(x1)


class _Fire(nn.Module):
    def __init__(self, inputs: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1, self.expand3x3 = (
            nn.Conv2d(squeezed, 4 * squeezed, 1),
            nn.Conv2d(squeezed, 4 * squeezed, 3, padding=1),
        )

    def forward(self, x: Any) -> Any:
        x = F.relu(self.squeeze(x))
        return F.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))


class SqueezeNet(nn.Module):
    """The kernel of the first convolution, its width, and the squeezed widths, 0 for pooling."""

    def __init__(self, size: int, width: int, squeezed: list[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, size, 2), nn.ReLU()]
        for n in squeezed:
            layers.append(_Fire(width, n) if n else nn.MaxPool2d(3, 2, ceil_mode=True))
            width = 8 * n or width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Identity(), nn.Conv2d(512, 1000, 1))

    def forward(self, x: Any) -> Any:
        return F.relu(self.classifier(self.features(x))).mean((2, 3))


def _unit(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU6()]


class _Inverted(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, factor: int) -> None:
        super().__init__()
        middle = inputs * factor
        layers = [nn.Sequential(*_unit(inputs, middle, 1))] if factor > 1 else []
        layers.append(nn.Sequential(*_unit(middle, middle, 3, stride, middle)))
        self.conv = nn.Sequential(*layers, *_unit(middle, outputs, 1)[:2])
        self.added = stride == 1 and inputs == outputs

    def forward(self, x: Any) -> Any:
        return self.conv(x) + x if self.added else self.conv(x)


class MobileNetV2(nn.Module):
    """At its usual width."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Sequential(*_unit(3, 32, 3, 2))]
        inputs = 32
        for factor, outputs, count, stride in [
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
        ]:  # fmt: skip
            for i in range(count):
                layers.append(_Inverted(inputs, outputs, 1 if i else stride, factor))
                inputs = outputs
        self.features = nn.Sequential(*layers, nn.Sequential(*_unit(320, 1280, 1)))
        self.classifier = nn.Sequential(nn.Identity(), nn.Linear(1280, 1000))

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x).mean((2, 3)))


class _Dense(nn.Module):
    def __init__(self, inputs: int, growth: int, middle: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, middle, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(middle), nn.Conv2d(middle, growth, 3, padding=1, bias=False)

    def forward(self, x: Any) -> Any:
        y = self.conv1(F.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(F.relu(self.norm2(y)))], 1)


class DenseNet(nn.Module):
    """Growth, layers of each block, maps of the stem, width of the bottlenecks in growths, classes."""

    def __init__(self, growth: int, config: tuple[int, ...], maps: int, wide: int = 4, classes: int = 1000) -> None:
        super().__init__()
        stem = {"conv0": nn.Conv2d(3, maps, 7, 2, 3, bias=False), "norm0": nn.BatchNorm2d(maps), "relu0": nn.ReLU()}
        layers: dict[str, nn.Module] = {**stem, "pool0": nn.MaxPool2d(3, 2, 1)}
        for i, count in enumerate(config, 1):
            dense = OrderedDict()
            for j in range(1, count + 1):
                dense[f"denselayer{j}"] = _Dense(maps, growth, wide * growth)
                maps += growth
            layers[f"denseblock{i}"] = nn.Sequential(dense)
            if i < len(config):
                halved = {
                    "norm": nn.BatchNorm2d(maps),
                    "relu": nn.ReLU(),
                    "conv": nn.Conv2d(maps, maps // 2, 1, bias=False),
                }
                layers[f"transition{i}"] = nn.Sequential(OrderedDict(**halved, pool=nn.AvgPool2d(2)))
                maps //= 2
        self.features = nn.Sequential(OrderedDict(**layers, norm5=nn.BatchNorm2d(maps)))
        self.classifier = nn.Linear(maps, classes)

    def forward(self, x: Any) -> Any:
        return self.classifier(F.relu(self.features(x)).mean((2, 3)))


class NiN(nn.Module):
    """For CIFAR, without dropout."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for size, widths in ((5, (192, 160, 96)), (5, (192, 192, 192)), (3, (192, 192, 10))):
            for outputs, kernel in zip(widths, (size, 1, 1)):
                layers += [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU()]
                inputs = outputs
            layers += [nn.MaxPool2d(3, 2, ceil_mode=True), nn.Identity()] if size == 5 else []
        self.features = nn.Sequential(*layers)

    def forward(self, x: Any) -> Any:
        return self.features(x).mean((2, 3))


class Layers(nn.Module):
    """Two sequences, one behind the other."""

    def __init__(self, features: list[nn.Module], classifier: list[nn.Module]) -> None:
        super().__init__()
        self.features, self.classifier = nn.Sequential(*features), nn.Sequential(nn.Flatten(), *classifier)

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x))


def ecg_net() -> nn.Module:
    """Along time."""
    act = nn.LeakyReLU()
    convolutions = [nn.Conv1d(*sizes) for sizes in ((1, 5, 3), (5, 10, 4), (10, 20, 4))]
    features = [layer for conv in convolutions for layer in (conv, act, nn.MaxPool1d(2))]
    return Layers(features, [nn.Linear(600, 30), act, nn.Linear(30, 20), act, nn.Linear(20, 5)])


def voxnet() -> nn.Module:
    """Of volumes, without dropout."""
    act, none = nn.LeakyReLU(0.1), nn.Identity()
    features = [nn.Conv3d(1, 32, 5, 2), act, none, nn.Conv3d(32, 32, 3), act, nn.MaxPool3d(2)]
    return Layers(features, [nn.Linear(6912, 128), nn.ReLU(), none, nn.Linear(128, 40)])
