"""Residual networks: torchvision's for ImageNet, and the paper's for CIFAR.  He, Zhang, Ren and Sun, 2015."""

from __future__ import annotations

from typing import Any

from ..nn import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Linear, MaxPool2d, Module, ReLU, Sequential, init
from ..ops.shape import pad
from ..tensor import Tensor
from .alexnet import no_weights


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> Conv2d:
    return Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)


class BasicBlock(Module):
    """Two 3x3 convolutions around which the input is added."""

    expansion = 1

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: Module | None = None) -> None:
        super().__init__()
        self.conv1 = _conv(inplanes, planes, 3, stride)
        self.bn1 = BatchNorm2d(planes)
        self.relu = ReLU(inplace=True)
        self.conv2 = _conv(planes, planes, 3)
        self.bn2 = BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(residual + shortcut)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(Module):
    """1x1, 3x3 and 1x1 convolutions around which the input is added; the stride is on the 3x3 (torchvision's "v1.5")."""

    expansion = 4

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: Module | None = None) -> None:
        super().__init__()
        self.conv1 = _conv(inplanes, planes, 1)
        self.bn1 = BatchNorm2d(planes)
        self.conv2 = _conv(planes, planes, 3, stride)
        self.bn2 = BatchNorm2d(planes)
        self.conv3 = _conv(planes, planes * 4, 1)
        self.bn3 = BatchNorm2d(planes * 4)
        self.relu = ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(residual + shortcut)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


def _initialise(model: Module) -> None:
    """Draw convolution weights from N(0, 2 / fan_out), as He et al. do for ReLU."""
    for module in model.modules():
        if isinstance(module, Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class ResNet(Module):
    """A 7x7 stem, four stages of residual blocks, average pooling and a linear layer, for images (N, 3, 224, 224)."""

    def __init__(
        self, block: type[BasicBlock] | type[Bottleneck], layers: list[int], num_classes: int = 1000,
        zero_init_residual: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.inplanes = 64
        self.conv1 = Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = BatchNorm2d(64)
        self.relu = ReLU(inplace=True)
        self.maxpool = MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._stage(block, 64, layers[0])
        self.layer2 = self._stage(block, 128, layers[1], stride=2)
        self.layer3 = self._stage(block, 256, layers[2], stride=2)
        self.layer4 = self._stage(block, 512, layers[3], stride=2)
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.fc = Linear(512 * block.expansion, num_classes)
        _initialise(self)
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, (BasicBlock, Bottleneck)):
                    init.zeros_((module.bn2 if isinstance(module, BasicBlock) else module.bn3).weight)

    def _stage(
        self, block: type[BasicBlock] | type[Bottleneck], planes: int, blocks: int, stride: int = 1
    ) -> Sequential:
        """Return a stage; its first block changes size and channels, with a projection shortcut where they differ."""
        outputs = planes * block.expansion
        downsample = None
        if stride != 1 or self.inplanes != outputs:
            downsample = Sequential(_conv(self.inplanes, outputs, 1, stride), BatchNorm2d(outputs))
        first = block(self.inplanes, planes, stride, downsample)
        self.inplanes = outputs
        return Sequential(first, *[block(outputs, planes) for _ in range(blocks - 1)])

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def resnet18(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """Return ResNet-18: 11,689,512 parameters for 1000 classes."""
    no_weights("resnet18", weights)
    return ResNet(BasicBlock, [2, 2, 2, 2], **kwargs)


def resnet34(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """Return ResNet-34: 21,797,672 parameters for 1000 classes."""
    no_weights("resnet34", weights)
    return ResNet(BasicBlock, [3, 4, 6, 3], **kwargs)


def resnet50(*, weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """Return ResNet-50 (v1.5): 25,557,032 parameters for 1000 classes."""
    no_weights("resnet50", weights)
    return ResNet(Bottleneck, [3, 4, 6, 3], **kwargs)


# ---- CIFAR: section 4.2 of the paper ----


class PaddedShortcut(Module):
    """Option A: every second pixel, and zeros for the new channels; no parameters."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Subsample and pad."""
        before = (self.channels - x.shape[1]) // 2
        return pad(x[:, :, ::2, ::2], (0, 0, 0, 0, before, self.channels - x.shape[1] - before))


class CifarResNet(Module):
    """A 3x3 stem and three stages of n basic blocks with 16, 32 and 64 maps, for images (N, 3, 32, 32): 6n + 2 layers."""

    def __init__(self, depth: int, num_classes: int = 10) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"CifarResNet: depth must be 6 n + 2 (8, 14, 20, 32, ...), got {depth}")
        blocks = (depth - 2) // 6
        self.conv1 = _conv(3, 16, 3)
        self.bn1 = BatchNorm2d(16)
        self.relu = ReLU(inplace=True)
        self.layer1 = Sequential(*[BasicBlock(16, 16) for _ in range(blocks)])
        self.layer2 = Sequential(
            BasicBlock(16, 32, 2, PaddedShortcut(32)), *[BasicBlock(32, 32) for _ in range(blocks - 1)]
        )
        self.layer3 = Sequential(
            BasicBlock(32, 64, 2, PaddedShortcut(64)), *[BasicBlock(64, 64) for _ in range(blocks - 1)]
        )
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.fc = Linear(64, num_classes)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))


def resnet20(num_classes: int = 10) -> CifarResNet:
    """Return the CIFAR ResNet of 20 layers: 269,722 parameters."""
    return CifarResNet(20, num_classes)


def resnet32(num_classes: int = 10) -> CifarResNet:
    """Return the CIFAR ResNet of 32 layers: 464,154 parameters."""
    return CifarResNet(32, num_classes)


def resnet56(num_classes: int = 10) -> CifarResNet:
    """Return the CIFAR ResNet of 56 layers: 853,018 parameters."""
    return CifarResNet(56, num_classes)
