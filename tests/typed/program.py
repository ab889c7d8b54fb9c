"""A user's program: `mypy --strict` must pass, and the types of `forward` must reach whoever calls a module."""

from typing import assert_type

import tinygrad_cnn as torch
import tinygrad_cnn.nn.functional as F
from tinygrad_cnn import Tensor, nn, optim
from tinygrad_cnn.utils.data import DataLoader, TensorDataset


class Features(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class Net(nn.Module):
    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.features = Features(4)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(4 * 4 * 4, classes)

    def forward(self, x: Tensor, scale: float = 1.0) -> tuple[Tensor, Tensor]:
        maps = self.features(x)
        assert_type(maps, Tensor)
        return self.head(self.pool(maps).flatten(1)) * scale, maps


def train(model: Net, loader: DataLoader) -> float:
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    total = 0.0
    for images, labels in loader:
        logits, _ = model(images, scale=0.5)
        assert_type(logits, Tensor)
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total


def main() -> None:
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(32, 1, 8, 8), torch.randint(0, 10, (32,)))
    print(train(Net(), DataLoader(data, batch_size=8, shuffle=True)))


if __name__ == "__main__":
    main()
