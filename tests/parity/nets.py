"""The networks of tinygrad_cnn.models, built once more from PyTorch's layers."""

from __future__ import annotations

from typing import Any

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
    """A residual block: (kernel size, outputs, stride) of each convolution, and the shortcut."""

    def __init__(self, inputs: int, convolutions: list[tuple[int, int, int]], shortcut: nn.Module | None) -> None:
        super().__init__()
        for i, (size, outputs, stride) in enumerate(convolutions, 1):
            self.add_module(f"conv{i}", nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False))
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
    """For ImageNet: basic blocks, or bottlenecks with the stride on the 3x3."""

    def __init__(self, depths: list[int], bottleneck: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for stage, depth in enumerate(depths):
            blocks = []
            for i in range(depth):
                stride, planes = 2 if stage and not i else 1, 64 * 2**stage
                outputs = planes * (4 if bottleneck else 1)
                wide = [(1, planes, 1), (3, planes, stride), (1, outputs, 1)]
                shortcut = None
                if stride != 1 or inputs != outputs:
                    shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
                blocks.append(Block(inputs, wide if bottleneck else [(3, planes, stride), (3, planes, 1)], shortcut))
                inputs = outputs
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
