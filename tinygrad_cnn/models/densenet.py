"""DenseNet: every layer sees all before it.  Huang et al., "Densely connected convolutional networks", 2016."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from ..nn import AvgPool2d, BatchNorm2d, Linear, MaxPool2d, Module, ModuleDict, ReLU, Sequential, init
from ..nn import functional as F
from ..ops.shape import cat
from ..tensor import Tensor
from ..utils.checkpoint import checkpoint
from .blocks import conv, initialise
from .registry import builder


class DenseLayer(Module):
    """Norm, ReLU and a 1x1 convolution, norm, ReLU and a 3x3 convolution, of all maps so far -> growth_rate new ones."""

    def __init__(
        self, num_input_features: int, growth_rate: int, bn_size: int, drop_rate: float, memory_efficient: bool = False
    ) -> None:
        super().__init__()
        self.norm1 = BatchNorm2d(num_input_features)
        self.relu1 = ReLU(inplace=True)
        self.conv1 = conv(num_input_features, bn_size * growth_rate, 1)
        self.norm2 = BatchNorm2d(bn_size * growth_rate)
        self.relu2 = ReLU(inplace=True)
        self.conv2 = conv(bn_size * growth_rate, growth_rate, 3)
        self.drop_rate = drop_rate
        self.memory_efficient = memory_efficient

    def _bottleneck(self, *maps: Tensor) -> Tensor:
        return self.conv1(self.relu1(self.norm1(cat(maps, 1))))

    def forward(self, input: Tensor | list[Tensor]) -> Tensor:
        """Return the new maps."""
        maps = [input] if isinstance(input, Tensor) else input
        if self.memory_efficient and any(m.requires_grad for m in maps):
            x = checkpoint(self._bottleneck, *maps, use_reentrant=False)
        else:
            x = self._bottleneck(*maps)
        x = self.conv2(self.relu2(self.norm2(x)))
        return F.dropout(x, self.drop_rate, self.training) if self.drop_rate > 0 else x


class DenseBlock(ModuleDict):
    """Layers whose outputs are added to the maps that the next ones see."""

    def __init__(
        self, num_layers: int, num_input_features: int, bn_size: int, growth_rate: int, drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        for i in range(num_layers):
            inputs = num_input_features + i * growth_rate
            self[f"denselayer{i + 1}"] = DenseLayer(inputs, growth_rate, bn_size, drop_rate, memory_efficient)

    def forward(self, init_features: Tensor) -> Tensor:
        """Return the maps that came in, and those of all layers."""
        maps = [init_features]
        for layer in self.values():
            maps.append(layer(maps))
        return cat(maps, 1)


class Transition(Sequential):
    """Half as many maps of half the size."""

    def __init__(self, num_input_features: int, num_output_features: int) -> None:
        super().__init__(
            OrderedDict(
                norm=BatchNorm2d(num_input_features), relu=ReLU(inplace=True),
                conv=conv(num_input_features, num_output_features, 1), pool=AvgPool2d(kernel_size=2, stride=2),
            )
        )  # fmt: skip


class DenseNet(Module):
    """A 7x7 stem and dense blocks with transitions between them, for images (N, 3, 224, 224).

    `memory_efficient` computes the concatenated maps again in backward instead of keeping them; Pleiss et al., 2017.
    """

    def __init__(
        self, growth_rate: int = 32, block_config: Sequence[int] = (6, 12, 24, 16), num_init_features: int = 64,
        bn_size: int = 4, drop_rate: float = 0, num_classes: int = 1000, memory_efficient: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.features = Sequential(
            OrderedDict(
                conv0=conv(3, num_init_features, 7, 2), norm0=BatchNorm2d(num_init_features), relu0=ReLU(inplace=True),
                pool0=MaxPool2d(kernel_size=3, stride=2, padding=1),
            )
        )  # fmt: skip
        features = num_init_features
        for i, layers in enumerate(block_config, 1):
            block = DenseBlock(layers, features, bn_size, growth_rate, drop_rate, memory_efficient)
            self.features.add_module(f"denseblock{i}", block)
            features += layers * growth_rate
            if i < len(block_config):
                self.features.add_module(f"transition{i}", Transition(features, features // 2))
                features //= 2
        self.features.add_module("norm5", BatchNorm2d(features))
        self.classifier = Linear(features, num_classes)
        initialise(self, init.kaiming_normal_)
        init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = F.relu(self.features(x), inplace=True)
        return self.classifier(F.adaptive_avg_pool2d(x, (1, 1)).flatten(1))


densenet121 = builder("densenet121", "DenseNet-121: 7,978,856 parameters", DenseNet, 32, (6, 12, 24, 16), 64)
densenet161 = builder("densenet161", "DenseNet-161: 28,681,000 parameters", DenseNet, 48, (6, 12, 36, 24), 96)
densenet169 = builder("densenet169", "DenseNet-169: 14,149,480 parameters", DenseNet, 32, (6, 12, 32, 32), 64)
densenet201 = builder("densenet201", "DenseNet-201: 20,013,928 parameters", DenseNet, 32, (6, 12, 48, 32), 64)
