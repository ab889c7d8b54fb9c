"""GoogLeNet: torchvision's, and the paper's.  Szegedy et al., "Going deeper with convolutions", 2014."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ..creation import tensor
from ..nn import AdaptiveAvgPool2d, AvgPool2d, BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d, Module, Sequential, init
from ..nn import functional as F
from ..ops.shape import cat
from ..tensor import Tensor
from .blocks import initialise, lrn_2012
from .registry import builder

# Table 1: inputs, 1x1, 3x3 reduced, 3x3, 5x5 reduced, 5x5, pooling projected.
INCEPTIONS = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


class GoogLeNetOutputs(NamedTuple):
    """The logits in training, and those of the auxiliary heads, whose losses the paper weights by 0.3."""

    logits: Tensor
    aux_logits2: Tensor | None
    aux_logits1: Tensor | None


class BasicConv2d(Module):
    """A convolution, batch norm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__()
        self.conv = Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """Apply all three."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class ConvReLU(Module):
    """A convolution with biases and ReLU: batch norm came a year after the paper."""

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__()
        self.conv = Conv2d(in_channels, out_channels, **kwargs)

    def forward(self, x: Tensor) -> Tensor:
        """Apply both."""
        return F.relu(self.conv(x), inplace=True)


class Inception(Module):
    """Four branches side by side; `size` is the kernel of the third, 3 in torchvision and 5 in the paper."""

    def __init__(
        self, in_channels: int, ch1x1: int, ch3x3red: int, ch3x3: int, ch5x5red: int, ch5x5: int, pool_proj: int,
        conv_block: Callable[..., Module] | None = None, size: int = 3,
    ) -> None:  # fmt: skip
        super().__init__()
        conv = conv_block or BasicConv2d
        self.branch1 = conv(in_channels, ch1x1, kernel_size=1)
        self.branch2 = Sequential(
            conv(in_channels, ch3x3red, kernel_size=1), conv(ch3x3red, ch3x3, kernel_size=3, padding=1)
        )
        self.branch3 = Sequential(
            conv(in_channels, ch5x5red, kernel_size=1), conv(ch5x5red, ch5x5, kernel_size=size, padding=size // 2)
        )
        self.branch4 = Sequential(
            MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=True), conv(in_channels, pool_proj, kernel_size=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the channels of all branches."""
        return cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class InceptionAux(Module):
    """A head in the middle of the network, which brings gradients there: pooling to 4x4, a 1x1 convolution, two layers."""

    def __init__(
        self, in_channels: int, num_classes: int, conv_block: Callable[..., Module] | None = None,
        dropout: float = 0.7, pool: Module | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.pool = pool or AdaptiveAvgPool2d((4, 4))
        self.conv = (conv_block or BasicConv2d)(in_channels, 128, kernel_size=1)
        self.fc1 = Linear(2048, 1024)
        self.fc2 = Linear(1024, num_classes)
        self.dropout = Dropout(p=dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.conv(self.pool(x)).flatten(1)
        return self.fc2(self.dropout(F.relu(self.fc1(x), inplace=True)))


class GoogLeNet(Module):
    """Nine inception modules, for images (N, 3, 224, 224); GoogLeNetOutputs in training with auxiliary heads, else logits.

    torchvision's form: batch norm, 3x3 convolutions in place of 5x5, 6,624,904 parameters without the heads.
    `transform_input` converts images that were normalised with ImageNet's statistics to the range -1 ... 1.  `blocks` replaces
    the classes of convolution, inception module and head.
    """

    def __init__(
        self, num_classes: int = 1000, aux_logits: bool = True, transform_input: bool = False,
        init_weights: bool | None = True, blocks: list[Callable[..., Module]] | None = None, dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ) -> None:  # fmt: skip
        super().__init__()
        conv, inception, head = blocks or [BasicConv2d, Inception, InceptionAux]
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.conv1 = conv(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = conv(64, 64, kernel_size=1)
        self.conv3 = conv(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = MaxPool2d(3, stride=2, ceil_mode=True)
        for name, sizes in INCEPTIONS.items():
            self.add_module(f"inception{name}", inception(*sizes))
            if name in ("3b", "4e"):
                size = 3 if name == "3b" else 2
                self.add_module(f"maxpool{name[0]}", MaxPool2d(size, stride=2, ceil_mode=True))
        self.aux1 = head(512, num_classes, dropout=dropout_aux) if aux_logits else None
        self.aux2 = head(528, num_classes, dropout=dropout_aux) if aux_logits else None
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.dropout = Dropout(p=dropout)
        self.fc = Linear(1024, num_classes)
        if init_weights or init_weights is None:
            normal = partial(init.trunc_normal_, std=0.01)
            initialise(self, normal, normal, bias=None)

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutputs:
        """Return the logits, in training with those of the auxiliary heads."""
        x = _to_unit_range(x) if self.transform_input else x
        x = self._stem(x)
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        x = first = self.inception4a(x)
        x = second = self.inception4d(self.inception4c(self.inception4b(x)))
        x = self.maxpool4(self.inception4e(x))
        x = self.inception5b(self.inception5a(x))
        logits = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        if not (self.training and self.aux_logits):
            return logits
        aux1, aux2 = [head(maps) if head else None for head, maps in ((self.aux1, first), (self.aux2, second))]
        return GoogLeNetOutputs(logits, aux2, aux1)

    def _stem(self, x: Tensor) -> Tensor:
        """Return what goes into the first inception module."""
        return self.maxpool2(self.conv3(self.conv2(self.maxpool1(self.conv1(x)))))


def _to_unit_range(x: Tensor) -> Tensor:
    """Return images that were normalised by ImageNet's means and deviations as if by 0.5 and 0.5."""
    numbers = [(0.229, 0.224, 0.225), (0.485, 0.456, 0.406)]
    std, mean = [tensor(values, dtype=x.dtype, device=x.device).reshape(3, 1, 1) for values in numbers]
    return x * (std / 0.5) + (mean - 0.5) / 0.5


class GoogLeNet2014(GoogLeNet):
    """The network of the paper: 6,998,552 parameters, 13,378,280 with the auxiliary heads.

    5x5 branches, biases, local response normalisation (with AlexNet's numbers, since the paper gives none), 3x3 pooling
    everywhere, dropout of 0.4.  The paper does not say how weights were drawn: Glorot and Bengio's way, with biases of 0.2.
    """

    def __init__(
        self, num_classes: int = 1000, aux_logits: bool = True, dropout: float = 0.4, dropout_aux: float = 0.7
    ) -> None:
        blocks: list[Callable[..., Module]] = [
            ConvReLU,
            partial(Inception, conv_block=ConvReLU, size=5),
            partial(InceptionAux, conv_block=ConvReLU, pool=AvgPool2d(5, stride=3)),
        ]
        super().__init__(num_classes, aux_logits, False, False, blocks, dropout, dropout_aux)
        self.maxpool4 = MaxPool2d(3, stride=2, ceil_mode=True)
        self.norm1, self.norm2 = lrn_2012(), lrn_2012()
        initialise(self, init.xavier_uniform_, init.xavier_uniform_, bias=0.2)

    def _stem(self, x: Tensor) -> Tensor:
        x = self.norm1(self.maxpool1(self.conv1(x)))
        return self.maxpool2(self.norm2(self.conv3(self.conv2(x))))


googlenet = builder("googlenet", "GoogLeNet: 6,624,904 parameters, 13,004,888 with the heads", GoogLeNet)
googlenet_2014 = builder(
    "googlenet_2014", "the GoogLeNet of the paper: 6,998,552 parameters, 13,378,280 with the heads", GoogLeNet2014
)
