"""MobileNetV2: inverted residuals.  Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", 2018."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..nn import AdaptiveAvgPool2d, BatchNorm2d, Dropout, Linear, Module, ReLU6, Sequential, init
from ..tensor import Tensor
from .blocks import conv, he, initialise
from .registry import builder

# Table 2: expansion, channels, blocks, stride of the first.
SETTINGS = [
    [1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1],
]  # fmt: skip


def _make_divisible(value: float, divisor: int) -> int:
    """Return the nearest multiple of `divisor` that is not more than 10 % below `value`."""
    nearest = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * value else nearest


class Conv2dNormActivation(Sequential):
    """A convolution, normalisation and ReLU6."""

    def __init__(
        self, inputs: int, outputs: int, size: int = 3, stride: int = 1, groups: int = 1,
        norm_layer: Callable[..., Module] = BatchNorm2d,
    ) -> None:  # fmt: skip
        super().__init__(conv(inputs, outputs, size, stride, groups), norm_layer(outputs), ReLU6(inplace=True))


class InvertedResidual(Module):
    """1x1 convolution to more channels, 3x3 for each of them, 1x1 back to few, around which the input may be added."""

    def __init__(
        self, inp: int, oup: int, stride: int, expand_ratio: float, norm_layer: Callable[..., Module] | None = None
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"InvertedResidual: stride must be 1 or 2, got {stride}")
        norm = norm_layer or BatchNorm2d
        hidden = round(inp * expand_ratio)
        self.use_res_connect = stride == 1 and inp == oup
        expand = [] if expand_ratio == 1 else [Conv2dNormActivation(inp, hidden, 1, norm_layer=norm)]
        depthwise = Conv2dNormActivation(hidden, hidden, 3, stride, hidden, norm)
        self.conv = Sequential(*expand, depthwise, conv(hidden, oup, 1), norm(oup))

    def forward(self, x: Tensor) -> Tensor:
        """Return the residual, added to the input where sizes agree."""
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(Module):
    """A 3x3 convolution, 17 inverted residuals, a 1x1 convolution and a linear layer, for images (N, 3, 224, 224)."""

    def __init__(
        self, num_classes: int = 1000, width_mult: float = 1.0,
        inverted_residual_setting: list[list[int]] | None = None, round_nearest: int = 8,
        block: Callable[..., Module] | None = None, norm_layer: Callable[..., Module] | None = None,
        dropout: float = 0.2,
    ) -> None:  # fmt: skip
        super().__init__()
        settings = SETTINGS if inverted_residual_setting is None else inverted_residual_setting
        if not settings or len(settings[0]) != 4:
            raise ValueError(f"MobileNetV2: inverted_residual_setting must be rows of 4 numbers, got {settings!r}")
        block, norm = block or InvertedResidual, norm_layer or BatchNorm2d
        channels = _make_divisible(32 * width_mult, round_nearest)
        self.last_channel = _make_divisible(1280 * max(1.0, width_mult), round_nearest)
        features: list[Module] = [Conv2dNormActivation(3, channels, stride=2, norm_layer=norm)]
        for expansion, width, blocks, first_stride in settings:
            outputs = _make_divisible(width * width_mult, round_nearest)
            for i in range(blocks):
                stride = 1 if i else first_stride
                features.append(block(channels, outputs, stride, expand_ratio=expansion, norm_layer=norm))
                channels = outputs
        features.append(Conv2dNormActivation(channels, self.last_channel, 1, norm_layer=norm))
        self.features = Sequential(*features)
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.classifier = Sequential(Dropout(p=dropout), Linear(self.last_channel, num_classes))
        initialise(self, he, partial(init.normal_, std=0.01))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


mobilenet_v2 = builder("mobilenet_v2", "MobileNetV2: 3,504,872 parameters", MobileNetV2)
