"""The networks of tinygrad_cnn.models written for PyTorch, with the same names of parameters."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F


class LeNet5(nn.Module):
    """LeNet-5 with ReLU and max pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2, 2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2, 2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.classifier(self.features(x))


class AlexNet(nn.Module):
    """AlexNet as in torchvision."""

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(inplace=True),
            nn.Dropout(dropout), nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, 1000),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around which the input is added."""

    def __init__(self, inputs: int, outputs: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = _conv(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(residual + shortcut)."""
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class PaddedShortcut(nn.Module):
    """Every second pixel, and zeros for the new channels."""

    def __init__(self, new: int) -> None:
        super().__init__()
        self.new = new

    def forward(self, x: Tensor) -> Tensor:
        """Subsample and pad."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.new // 2, self.new - self.new // 2))


def _stage(blocks: int, inputs: int, outputs: int, projected: bool) -> nn.Sequential:
    """Return a stage of basic blocks; the first halves the image if it changes the channels."""
    shortcut: nn.Module | None = None
    stride = 1 if inputs == outputs else 2
    if stride == 2:
        projection = nn.Sequential(_conv(inputs, outputs, 1, 2), nn.BatchNorm2d(outputs)) if projected else None
        shortcut = projection or PaddedShortcut(outputs - inputs)
    first = BasicBlock(inputs, outputs, stride, shortcut)
    return nn.Sequential(first, *[BasicBlock(outputs, outputs, 1, None) for _ in range(blocks - 1)])


class ResNet18(nn.Module):
    """ResNet-18 as in torchvision."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        self.layer1, self.layer2 = _stage(2, 64, 64, True), _stage(2, 64, 128, True)
        self.layer3, self.layer4 = _stage(2, 128, 256, True), _stage(2, 256, 512, True)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(512, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


class ResNet20(nn.Module):
    """The CIFAR ResNet of 20 layers with option-A shortcuts."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = _conv(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(inplace=True)
        self.layer1, self.layer2 = _stage(3, 16, 16, False), _stage(3, 16, 32, False)
        self.layer3 = _stage(3, 32, 64, False)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self.layer3(self.layer2(self.layer1(self.relu(self.bn1(self.conv1(x))))))
        return self.fc(self.avgpool(x).flatten(1))


def simple_convnet() -> nn.Sequential:
    """Return the network of "Deep Learning from Scratch"."""
    return nn.Sequential(OrderedDict(
        conv=nn.Conv2d(1, 30, 5), relu=nn.ReLU(), pool=nn.MaxPool2d(2), flatten=nn.Flatten(),
        hidden=nn.Linear(30 * 12 * 12, 100), relu2=nn.ReLU(), output=nn.Linear(100, 10),
    ))  # fmt: skip


def keras_convnet() -> nn.Sequential:
    """Return the small network of Keras courses."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 4), nn.ReLU(), nn.MaxPool2d(3), nn.Conv2d(32, 64, 4), nn.ReLU(), nn.MaxPool2d(3),
        nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def alexnet_small() -> nn.Sequential:
    """Return AlexNet with few maps, for grey images of 28 pixels."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(16, 48, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(48, 64, 3, padding=1), nn.ReLU(),
        nn.Conv2d(64, 48, 3, padding=1), nn.ReLU(),
        nn.Conv2d(48, 48, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(192, 256), nn.ReLU(),
        nn.Dropout(0.2), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10),
    )  # fmt: skip


def resnet18_small() -> nn.Sequential:
    """Return ResNet-18 with a 3x3 stem and 16 to 128 maps, for grey images of 28 pixels."""
    stages = [_stage(2, inputs, outputs, True) for inputs, outputs in ((16, 16), (16, 32), (32, 64), (64, 128))]
    return nn.Sequential(
        _conv(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        *[block for stage in stages for block in stage],
        nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip


lenet5, alexnet, resnet18, resnet20 = LeNet5, AlexNet, ResNet18, ResNet20
