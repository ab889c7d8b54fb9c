"""Networks, by the papers that introduced them."""

from .alexnet import AlexNet, alexnet
from .lenet import LeNet5, lenet5
from .resnet import CifarResNet, ResNet, resnet18, resnet20, resnet32, resnet34, resnet50, resnet56

__all__ = [
    "AlexNet",
    "CifarResNet",
    "LeNet5",
    "ResNet",
    "alexnet",
    "lenet5",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet50",
    "resnet56",
]
