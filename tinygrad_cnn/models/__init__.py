"""Networks, by the papers that introduced them.

A name of torchvision's is torchvision's network, with its arguments and the keys of its state.  A name with a year is the
network as the paper of that year has it, where the two differ: `alexnet_2012`, `googlenet_2014`, `resnet50_2015`.
"""

from .alexnet import AlexNet, AlexNet2012, alexnet, alexnet_2012
from .densenet import DenseNet, densenet121, densenet161, densenet169, densenet201
from .ecg import ECGNet, ecg_net
from .googlenet import GoogLeNet, GoogLeNet2014, GoogLeNetOutputs, googlenet, googlenet_2014
from .lenet import LeNet5, caffe_lenet, lenet5
from .lenet5_1998 import LeNet5_1998, lenet5_1998, map_loss
from .mobilenet import MobileNetV2, mobilenet_v2
from .nin import NiN, nin
from .registry import get_model, get_model_builder, list_models, register_model
from .resnet import (
    CifarResNet, ResNet, plain18, plain20, plain32, plain34, plain44, plain56, resnet18, resnet20, resnet32, resnet34,
    resnet44, resnet50, resnet50_2015, resnet56, resnet101, resnet101_2015, resnet110, resnet152, resnet152_2015,
    resnet1202, resnext50_32x4d, resnext101_32x8d, resnext101_64x4d, wide_resnet50_2, wide_resnet101_2,
)  # fmt: skip
from .small import alexnet_small, resnet18_small
from .squeezenet import SqueezeNet, squeezenet1_0, squeezenet1_1
from .textbook import Im2colConvNet, SimpleConvNet, keras_convnet, simple_convnet
from .vgg import (
    VGG, vgg11, vgg11_bn, vgg11_lrn, vgg13, vgg13_bn, vgg16, vgg16_1x1, vgg16_bn, vgg19, vgg19_bn,
)  # fmt: skip
from .voxnet import VoxNet, voxnet

for _builder in (lenet5, lenet5_1998, caffe_lenet, simple_convnet, keras_convnet):
    register_model()(_builder)

__all__ = [
    "AlexNet", "AlexNet2012", "CifarResNet", "DenseNet", "ECGNet", "GoogLeNet", "GoogLeNet2014", "GoogLeNetOutputs",
    "Im2colConvNet", "LeNet5", "LeNet5_1998", "MobileNetV2", "NiN", "ResNet", "SimpleConvNet", "SqueezeNet", "VGG",
    "VoxNet", "alexnet", "alexnet_2012", "alexnet_small", "caffe_lenet", "densenet121", "densenet161", "densenet169",
    "densenet201", "ecg_net", "get_model", "get_model_builder", "googlenet", "googlenet_2014", "keras_convnet",
    "lenet5", "lenet5_1998", "list_models", "map_loss", "mobilenet_v2", "nin", "plain18", "plain20", "plain32",
    "plain34", "plain44", "plain56", "register_model", "resnet101", "resnet101_2015", "resnet110", "resnet1202",
    "resnet152", "resnet152_2015", "resnet18", "resnet18_small", "resnet20", "resnet32", "resnet34", "resnet44",
    "resnet50", "resnet50_2015", "resnet56", "resnext101_32x8d", "resnext101_64x4d", "resnext50_32x4d",
    "simple_convnet", "squeezenet1_0", "squeezenet1_1", "vgg11", "vgg11_bn", "vgg11_lrn", "vgg13", "vgg13_bn", "vgg16",
    "vgg16_1x1", "vgg16_bn", "vgg19", "vgg19_bn", "voxnet", "wide_resnet101_2", "wide_resnet50_2",
]  # fmt: skip
