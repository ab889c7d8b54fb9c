"""The recipes: which network, which images, which optimiser, how long.

A network is made by a function of the library, `tinygrad_cnn` or `torch`: all names are those of both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tinygrad_cnn as tg
from tinygrad_cnn import datasets
from tinygrad_cnn.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToTensor
from tinygrad_cnn.utils.data import Subset

Network = Callable[[Any], Any]
OURS = "tinygrad_cnn"
# The data set, and mean and deviation of its training pixels.
DATA: dict[str, tuple[Any, tuple[float, ...], tuple[float, ...]]] = {
    "MNIST": (datasets.MNIST, (0.1307,), (0.3081,)),
    "Fashion-MNIST": (datasets.FashionMNIST, (0.2860,), (0.3530,)),
    "CIFAR-10 (JPEG)": (datasets.CIFAR10, (0.4913, 0.4821, 0.4465), (0.2452, 0.2428, 0.2606)),
}
AUGMENTATION: dict[str, list[Any]] = {
    "": [],
    "flips": [RandomHorizontalFlip()],
    "crops and flips": [RandomCrop(32, padding=4), RandomHorizontalFlip()],
}


def constant(t: Any, optimizer: Any, epochs: int, batches: int) -> Any:
    """Leave the rate as it is."""
    return None


def one_cycle(t: Any, optimizer: Any, epochs: int, batches: int) -> Any:
    """Raise the rate to its value over three tenths of the steps, and lower it to almost 0; Smith and Topin, 2018."""
    rate = optimizer.param_groups[0]["lr"]
    return t.optim.lr_scheduler.OneCycleLR(optimizer, rate, epochs=epochs, steps_per_epoch=batches)


@dataclass(frozen=True)
class SGD:
    """With Nesterov's momentum of 0.9; the rate follows a schedule."""

    rate: float
    schedule: Callable[[Any, Any, int, int], Any] = one_cycle
    decay: float = 5e-4

    def __call__(self, t: Any, model: Any, epochs: int, batches: int) -> tuple[Any, Any]:
        """Return the optimiser and the schedule."""
        optimizer = t.optim.SGD(model.parameters(), self.rate, 0.9, nesterov=True, weight_decay=self.decay)
        return optimizer, self.schedule(t, optimizer, epochs, batches)

    def __str__(self) -> str:
        return f"SGD {self.rate:g}, {self.schedule.__name__.replace('_', '-')}"


@dataclass(frozen=True)
class Adam:
    """Adam with a constant rate."""

    rate: float = 1e-3

    def __call__(self, t: Any, model: Any, epochs: int, batches: int) -> tuple[Any, Any]:
        """Return the optimiser, and no schedule."""
        return t.optim.Adam(model.parameters(), self.rate), None

    def __str__(self) -> str:
        return f"Adam {self.rate:g}"


@dataclass(frozen=True)
class Recipe:
    """A training: everything but the seed.  `count` takes the first so many images only."""

    name: str
    data: str
    network: Network
    epochs: int
    make_optimizer: Callable[[Any, Any, int, int], tuple[Any, Any]]
    batch: int = 128
    augmentation: str = ""
    count: int | None = None
    test_every: int = 1
    seeds: tuple[int, ...] = (0, 1, 2)
    libraries: tuple[str, ...] = (OURS,)

    def __str__(self) -> str:
        parts = [str(self.make_optimizer), f"batch {self.batch}", self.augmentation]
        return f"{self.epochs}: {', '.join(filter(None, parts))}"

    def optimizer(self, t: Any, model: Any, batches: int) -> tuple[Any, Any]:
        """Return the optimiser of a model and its schedule, given the batches of an epoch."""
        return self.make_optimizer(t, model, self.epochs, batches)

    def sets(self, roots: dict[str, str]) -> tuple[Any, Any]:
        """Return the images to train on and those to test on; `roots` has the folders that are not in the usual places."""
        dataset, mean, deviation = DATA[self.data]
        root = roots.get(self.data)
        to_tensor = [ToTensor(), Normalize(mean, deviation)]
        train = dataset(root, train=True, transform=Compose(AUGMENTATION[self.augmentation] + to_tensor))
        test = dataset(root, train=False, transform=Compose(to_tensor))
        return train if self.count is None else Subset(train, chosen(len(train), self.count)), test


@dataclass(frozen=True)
class Program:
    """An example with a training of its own; it prints "pass 3: error 1.23 % while training, 1.34 % in the test"."""

    name: str
    data: str
    network: Network
    file: str
    text: str
    epochs: int
    images: int
    seeds: tuple[int, ...] = (0, 1, 2)
    libraries: tuple[str, ...] = (OURS,)

    def __str__(self) -> str:
        return f"{self.epochs}: {self.text}"


def chosen(total: int, count: int) -> list[int]:
    """Return `count` of `total` positions, always the same: data sets may be sorted by class."""
    return tg.randperm(total, generator=tg.Generator().manual_seed(0))[:count].tolist()


def zoo(name: str, **options: Any) -> Network:
    """Return the function that makes a network of tinygrad_cnn.models, or its twin written for PyTorch."""

    def network(t: Any) -> Any:
        if t is tg:
            return tg.models.get_model(name, **options)
        from .. import torch_models

        return getattr(torch_models, name)()

    return network


# ---- networks ----


BOTH = (OURS, "torch")
NETWORKS: list[Recipe | Program] = [
    Program(
        "LeNet-5 of 1998 on MNIST", "MNIST", zoo("lenet5_1998"), "examples/train_lenet5_1998.py", "SDLM, batch 8 and 16", 20,
        60_000,
    ),
    Recipe("LeNet on MNIST", "MNIST", zoo("lenet5"), 10, SGD(0.1), batch=64, libraries=BOTH),
    Recipe("SimpleConvNet on MNIST", "MNIST", zoo("simple_convnet", weight_init="he"), 6, Adam(), batch=100, libraries=BOTH),
    Recipe("Keras-style net on MNIST", "MNIST", zoo("keras_convnet"), 5, Adam(), batch=32, count=54_000, libraries=BOTH),
    Recipe("LeNet on Fashion-MNIST", "Fashion-MNIST", zoo("lenet5"), 12, SGD(0.05), batch=64, libraries=BOTH),
    Recipe(
        "AlexNet-small on Fashion-MNIST", "Fashion-MNIST", zoo("alexnet_small"), 10, SGD(0.03), augmentation="flips",
        libraries=BOTH,
    ),
    Recipe(
        "ResNet-18-small on Fashion-MNIST", "Fashion-MNIST", zoo("resnet18_small"), 8, SGD(0.1), augmentation="flips",
        libraries=BOTH,
    ),
    Recipe(
        "ResNet-20 on CIFAR-10", "CIFAR-10 (JPEG)", zoo("resnet20"), 80, SGD(0.1), augmentation="crops and flips",
        test_every=5, seeds=(0,),
    ),
]  # fmt: skip


# ---- effects of the papers, in small ----


def quick(
    activation: str = "ReLU", overlapping: bool = False, normalised: bool = False, dropout: float = 0.0
) -> Network:
    """Return the function that makes a network of three convolutions, as the smaller experiments of AlexNet's paper had.

    Overlapping pooling takes windows of 3x3 instead of 2x2; response normalisation has the paper's constants.
    """

    def network(t: Any) -> Any:
        nn, layers, inputs = t.nn, [], 3
        for maps in (16, 32, 32):
            layers += [nn.Conv2d(inputs, maps, 5, padding=2), getattr(nn, activation)()]
            if normalised and inputs < 32:  # the first two; alpha is PyTorch's, five times the paper's
                layers.append(nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0))
            layers.append(nn.MaxPool2d(3, 2, padding=1) if overlapping else nn.MaxPool2d(2))
            inputs = maps
        layers += [nn.Flatten(), nn.Linear(32 * 4 * 4, 128), getattr(nn, activation)(), nn.Dropout(dropout)]
        return nn.Sequential(*layers, nn.Linear(128, 10))

    return network


def halved(network: Network) -> Network:
    """Return the function that makes a network for images halved to 16x16."""
    return lambda t: t.nn.Sequential(t.nn.AvgPool2d(2), network(t))


def effect(name: str, network: Network, optimizer: Any = SGD(0.03), epochs: int = 20, **options: Any) -> Recipe:
    """Return a recipe on 5,000 images of CIFAR-10, tested at the end."""
    data = "CIFAR-10 (JPEG)"
    return Recipe(f"small: {name}", data, network, epochs, optimizer, count=5_000, test_every=epochs, **options)


RATES = (0.01, 0.03)
EFFECTS = [
    effect("base", quick()),
    effect("response normalisation", quick(normalised=True)),
    effect("overlapping pooling", quick(overlapping=True)),
    effect("dropout", quick(dropout=0.5)),
    effect("augmentation", quick(), augmentation="crops and flips"),
    *[effect(f"{a} at {rate}", quick(a), SGD(rate, constant, 0.0)) for a in ("ReLU", "Tanh") for rate in RATES],
    *[
        effect(f"{kind} net of {depth} layers", halved(zoo(f"{name}{depth}")), SGD(0.1), 12)
        for depth in (20, 56)
        for kind, name in (("plain", "plain"), ("residual", "resnet"))
    ],
]
ALL = [*NETWORKS, *EFFECTS]
