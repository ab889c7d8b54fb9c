"""Residual networks: torchvision's for ImageNet, and the paper's for CIFAR; plain networks to compare with.

He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2015.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from ..nn import AdaptiveAvgPool2d, BatchNorm2d, Linear, MaxPool2d, Module, ReLU, Sequential, init
from ..nn.joined import in_turn, norm_add_relu
from ..ops.shape import pad
from ..tensor import Tensor
from .blocks import conv, he, initialise
from .registry import builder

NormLayer = Callable[..., Module]


class PaddedShortcut(Module):
    """Option A: every `stride`-th pixel, and zeros for the new channels; no parameters."""

    kernel_size = 1

    def __init__(self, channels: int, stride: int = 2) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Subsample and pad."""
        new = self.channels - x.shape[1]
        return pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, new // 2, new - new // 2))


class _Block(Module):
    """A few convolutions around which the input is added."""

    expansion: ClassVar[int]
    last_norm: ClassVar[str]  # the name of the layer behind which the input is added
    downsample: Module | None

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, downsample: Module | None = None, groups: int = 1,
        base_width: int = 64, dilation: int = 1, norm_layer: NormLayer | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._build(inplanes, planes, stride, groups, base_width, dilation, norm_layer or BatchNorm2d)
        self.relu = ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def _build(
        self, inplanes: int, planes: int, stride: int, groups: int, base_width: int, dilation: int, norm: NormLayer
    ) -> None:
        """Make the convolutions."""
        raise NotImplementedError

    def _convolve(self, x: Tensor) -> Tensor:
        """Return what the last norm gets."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(residual + shortcut)."""
        y = self._convolve(x)
        shortcut = partial(self.downsample, x) if self.downsample is not None else lambda: x
        return norm_add_relu(getattr(self, self.last_norm), self.relu, y, shortcut)


class BasicBlock(_Block):
    """Two 3x3 convolutions around which the input is added."""

    expansion = 1
    last_norm = "bn2"

    def _build(
        self, inplanes: int, planes: int, stride: int, groups: int, base_width: int, dilation: int, norm: NormLayer
    ) -> None:
        if groups != 1 or base_width != 64:
            raise ValueError(
                f"BasicBlock: only groups=1 and base_width=64 are supported, got {groups} and {base_width}"
            )
        if dilation > 1:
            raise NotImplementedError(f"BasicBlock: only dilation=1 is supported, got {dilation}")
        self.conv1 = conv(inplanes, planes, 3, stride)
        self.bn1 = norm(planes)
        self.conv2 = conv(planes, planes, 3)
        self.bn2 = norm(planes)

    def _convolve(self, x: Tensor) -> Tensor:
        return in_turn(x, self.conv1, self.bn1, self.relu, self.conv2)


class PlainBlock(BasicBlock):
    """Two 3x3 convolutions and nothing added: what a plain network consists of."""

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(residual)."""
        return in_turn(self._convolve(x), self.bn2, self.relu)


class Bottleneck(_Block):
    """1x1, 3x3 and 1x1 convolutions around which the input is added; the stride is on the 3x3 (torchvision's "v1.5")."""

    expansion = 4
    last_norm = "bn3"
    stride_first: ClassVar[bool] = False

    def _build(
        self, inplanes: int, planes: int, stride: int, groups: int, base_width: int, dilation: int, norm: NormLayer
    ) -> None:
        width = int(planes * (base_width / 64.0)) * groups
        first, second = (stride, 1) if self.stride_first else (1, stride)
        self.conv1 = conv(inplanes, width, 1, first)
        self.bn1 = norm(width)
        self.conv2 = conv(width, width, 3, second, groups, dilation)
        self.bn2 = norm(width)
        self.conv3 = conv(width, planes * 4, 1)
        self.bn3 = norm(planes * 4)

    def _convolve(self, x: Tensor) -> Tensor:
        return in_turn(x, self.conv1, self.bn1, self.relu, self.conv2, self.bn2, self.relu, self.conv3)


class Bottleneck2015(Bottleneck):
    """The bottleneck of the paper, with the stride on the first 1x1 convolution ("v1")."""

    stride_first = True


class _Stages(Module):
    """What both kinds of residual networks share: stages of blocks, and the shortcuts between them.

    `shortcut` is the paper's option where a block changes size or channels: "A" pads, "B" projects, "C" projects everywhere.
    """

    groups, base_width, dilation = 1, 64, 1

    def __init__(self, inplanes: int, shortcut: str, norm_layer: NormLayer | None = None) -> None:
        super().__init__()
        if shortcut not in ("A", "B", "C"):
            raise ValueError(f"{self._get_name()}: shortcut must be 'A', 'B' or 'C', got {shortcut!r}")
        self.inplanes = inplanes
        self.shortcut = shortcut
        self._norm_layer = norm_layer or BatchNorm2d

    def _make_layer(
        self, block: type[_Block], planes: int, blocks: int, stride: int = 1, dilate: bool = False
    ) -> Sequential:
        """Return a stage, whose first block changes size and channels; `dilate` widens the kernels instead of striding."""
        before = self.dilation
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        layers = []
        for i in range(blocks):
            step, dilation = (1, self.dilation) if i else (stride, before)
            inputs, self.inplanes = self.inplanes, planes * block.expansion
            shortcut = None if issubclass(block, PlainBlock) else self._shortcut(inputs, self.inplanes, step)
            layers.append(
                block(inputs, planes, step, shortcut, self.groups, self.base_width, dilation, self._norm_layer)
            )
        return Sequential(*layers)

    def _shortcut(self, inputs: int, outputs: int, stride: int) -> Module | None:
        """Return what brings a block's input to the size of its output, or None where that is its size."""
        if self.shortcut != "C" and stride == 1 and inputs == outputs:
            return None
        if self.shortcut == "A":
            return PaddedShortcut(outputs, stride)
        return Sequential(conv(inputs, outputs, 1, stride), self._norm_layer(outputs))


class ResNet(_Stages):
    """A 7x7 stem, four stages of residual blocks, average pooling and a linear layer, for images (N, 3, 224, 224)."""

    def __init__(
        self, block: type[_Block], layers: list[int], num_classes: int = 1000, zero_init_residual: bool = False,
        groups: int = 1, width_per_group: int = 64, replace_stride_with_dilation: list[bool] | None = None,
        norm_layer: NormLayer | None = None, *, shortcut: str = "B",
    ) -> None:  # fmt: skip
        super().__init__(64, shortcut, norm_layer)
        dilate = replace_stride_with_dilation or [False, False, False]
        if len(dilate) != 3:
            raise ValueError(f"ResNet: replace_stride_with_dilation must be None or 3 bools, got {dilate!r}")
        self.groups = groups
        self.base_width = width_per_group
        self.conv1 = conv(3, 64, 7, 2)
        self.bn1 = self._norm_layer(64)
        self.relu = ReLU(inplace=True)
        self.maxpool = MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], 2, dilate[0])
        self.layer3 = self._make_layer(block, 256, layers[2], 2, dilate[1])
        self.layer4 = self._make_layer(block, 512, layers[3], 2, dilate[2])
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.fc = Linear(512 * block.expansion, num_classes)
        initialise(self, he)
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, _Block):
                    init.zeros_(module.get_parameter(f"{module.last_norm}.weight"))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = in_turn(x, self.conv1, self.bn1, self.relu, self.maxpool)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


class CifarResNet(_Stages):
    """A 3x3 stem and three stages of n blocks with 16, 32 and 64 maps, for images (N, 3, 32, 32): 6n + 2 layers.

    Section 4.2 of the paper, which pads its shortcuts (option A).
    """

    def __init__(
        self, depth: int, num_classes: int = 10, shortcut: str = "A", block: type[_Block] = BasicBlock
    ) -> None:
        super().__init__(16, shortcut)
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"CifarResNet: depth must be 6 n + 2 (8, 14, 20, 32, ...), got {depth}")
        blocks = (depth - 2) // 6
        self.conv1 = conv(3, 16, 3)
        self.bn1 = BatchNorm2d(16)
        self.relu = ReLU(inplace=True)
        self.layer1 = self._make_layer(block, 16, blocks)
        self.layer2 = self._make_layer(block, 32, blocks, 2)
        self.layer3 = self._make_layer(block, 64, blocks, 2)
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.fc = Linear(64, num_classes)
        initialise(self, he)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = in_turn(x, self.conv1, self.bn1, self.relu)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))


def _imagenet(name: str, text: str, block: type[_Block], layers: list[int], **fixed: Any) -> Callable[..., ResNet]:
    return builder(name, text, ResNet, block, layers, **fixed)


def _cifar(name: str, text: str, depth: int, **fixed: Any) -> Callable[..., CifarResNet]:
    return builder(name, f"the CIFAR network of {depth} layers: {text} parameters", CifarResNet, depth, **fixed)


resnet18 = _imagenet("resnet18", "ResNet-18: 11,689,512 parameters", BasicBlock, [2, 2, 2, 2])
resnet34 = _imagenet("resnet34", "ResNet-34: 21,797,672 parameters", BasicBlock, [3, 4, 6, 3])
resnet50 = _imagenet("resnet50", "ResNet-50 (v1.5): 25,557,032 parameters", Bottleneck, [3, 4, 6, 3])
resnet101 = _imagenet("resnet101", "ResNet-101 (v1.5): 44,549,160 parameters", Bottleneck, [3, 4, 23, 3])
resnet152 = _imagenet("resnet152", "ResNet-152 (v1.5): 60,192,808 parameters", Bottleneck, [3, 8, 36, 3])
resnet50_2015 = _imagenet("resnet50_2015", "ResNet-50 (v1)", Bottleneck2015, [3, 4, 6, 3])
resnet101_2015 = _imagenet("resnet101_2015", "ResNet-101 (v1)", Bottleneck2015, [3, 4, 23, 3])
resnet152_2015 = _imagenet("resnet152_2015", "ResNet-152 (v1)", Bottleneck2015, [3, 8, 36, 3])
plain18 = _imagenet("plain18", "ResNet-18 without shortcuts", PlainBlock, [2, 2, 2, 2])
plain34 = _imagenet("plain34", "ResNet-34 without shortcuts", PlainBlock, [3, 4, 6, 3])
resnext50_32x4d = _imagenet(
    "resnext50_32x4d", "ResNeXt-50, 32 groups of 4: 25,028,904 parameters; Xie et al., 2016",
    Bottleneck, [3, 4, 6, 3], groups=32, width_per_group=4,
)  # fmt: skip
resnext101_32x8d = _imagenet(
    "resnext101_32x8d", "ResNeXt-101, 32 groups of 8: 88,791,336 parameters; Xie et al., 2016",
    Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=8,
)  # fmt: skip
resnext101_64x4d = _imagenet(
    "resnext101_64x4d", "ResNeXt-101, 64 groups of 4: 83,455,272 parameters; Xie et al., 2016",
    Bottleneck, [3, 4, 23, 3], groups=64, width_per_group=4,
)  # fmt: skip
wide_resnet50_2 = _imagenet(
    "wide_resnet50_2", "ResNet-50 of twice the width: 68,883,240 parameters; Zagoruyko and Komodakis, 2016",
    Bottleneck, [3, 4, 6, 3], width_per_group=128,
)  # fmt: skip
wide_resnet101_2 = _imagenet(
    "wide_resnet101_2", "ResNet-101 of twice the width: 126,886,696 parameters; Zagoruyko and Komodakis, 2016",
    Bottleneck, [3, 4, 23, 3], width_per_group=128,
)  # fmt: skip

resnet20 = _cifar("resnet20", "269,722", 20)
resnet32 = _cifar("resnet32", "464,154", 32)
resnet44 = _cifar("resnet44", "658,586", 44)
resnet56 = _cifar("resnet56", "853,018", 56)
resnet110 = _cifar("resnet110", "1,727,962", 110)
resnet1202 = _cifar("resnet1202", "19,421,274", 1202)
plain20 = _cifar("plain20", "no shortcuts, 269,722", 20, block=PlainBlock)
plain32 = _cifar("plain32", "no shortcuts, 464,154", 32, block=PlainBlock)
plain44 = _cifar("plain44", "no shortcuts, 658,586", 44, block=PlainBlock)
plain56 = _cifar("plain56", "no shortcuts, 853,018", 56, block=PlainBlock)
