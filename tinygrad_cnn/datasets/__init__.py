"""Data sets under torchvision's names."""

from .cifar import CIFAR10, CIFAR100
from .folder import DatasetFolder, FakeData, ImageFolder
from .mnist import KMNIST, MNIST, FashionMNIST, read_idx
from .vision import VisionDataset

__all__ = [
    "CIFAR10", "CIFAR100", "KMNIST", "MNIST", "DatasetFolder", "FakeData", "FashionMNIST", "ImageFolder", "VisionDataset",
    "read_idx",
]  # fmt: skip
