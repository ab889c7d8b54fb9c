"""One training step of every network: loss, logits, all gradients, updated weights and running averages."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="parity needs torch 2.13.0")
pytestmark = pytest.mark.parity

import tinygrad_cnn as tg  # noqa: E402

from . import nets  # noqa: E402
from .twins import arrays, close, copy_weights, gradients  # noqa: E402

SMALL = (2, 3, 64, 64)
CIFAR = (4, 3, 32, 32)
VGG11, VGG16_1X1 = (
    "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "64 64 M 128 128 M 256 256 256' M" + " 512 512 512' M" * 2,
)
Bottleneck, Bottleneck2015 = tg.models.resnet.Bottleneck, tg.models.resnet.Bottleneck2015


class SumOfLogits(tg.nn.Module):
    """GoogLeNet in training, with its heads' logits added to the others."""

    def __init__(self, net):
        super().__init__()
        for name, module in net.named_children():
            self.add_module(name, module)
        self.__dict__["net"] = net

    def forward(self, x):
        logits, aux2, aux1 = self.net(x)
        return logits + 0.3 * aux2 + 0.3 * aux1


def headed(make, inputs):
    """Return a network of ours with a small layer in place of its large ones, which are not even drawn."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("normal_", "uniform_"):
            patch.setattr(tg.Tensor, name, lambda self, *args, **kwargs: self)
        net = make()
    for module in net.features:
        if isinstance(module, tg.nn.Conv2d):
            module.reset_parameters()
    net.classifier = tg.nn.Linear(inputs, 10)
    net.forward = lambda x: net.classifier(getattr(net, "avgpool", tg.nn.Identity())(net.features(x)).flatten(1))
    return net


# The network of ours, PyTorch's, the images, the dtype.
CASES = {
    "lenet5": (tg.models.lenet5, nets.LeNet5, (8, 1, 28, 28), "float64"),
    "lenet5 in float32": (tg.models.lenet5, nets.LeNet5, (8, 1, 28, 28), "float32"),
    "lenet5 of 1998": (
        lambda: tg.models.lenet5(activation="sigmoid", pooling="avg"), lambda: nets.LeNet5("sigmoid", "avg"),
        (8, 1, 28, 28), "float64",
    ),
    "alexnet": (lambda: tg.models.alexnet(dropout=0.0), nets.AlexNet, SMALL, "float32"),
    "resnet18": (tg.models.resnet18, lambda: nets.ResNet([2, 2, 2, 2], False), SMALL, "float64"),
    "resnet34": (tg.models.resnet34, lambda: nets.ResNet([3, 4, 6, 3], False), SMALL, "float64"),
    "resnet50": (tg.models.resnet50, lambda: nets.ResNet([3, 4, 6, 3], True), SMALL, "float64"),
    "alexnet_2012": (
        lambda: headed(tg.models.alexnet_2012, 9216), lambda: nets.Headed(nets.alexnet_2012(), 9216, 0, (1, 2, 1, 2)),
        (1, 3, 224, 224), "float64",
    ),
    "vgg11_bn": (
        lambda: headed(tg.models.vgg11_bn, 25088), lambda: nets.Headed(nets.vgg(VGG11, True), 25088, 7), SMALL, "float64",
    ),
    "vgg11_lrn": (
        lambda: headed(tg.models.vgg11_lrn, 25088), lambda: nets.Headed(nets.vgg("64 L" + VGG11[2:], False), 25088, 7),
        SMALL, "float64",
    ),
    "vgg16_1x1": (
        lambda: headed(tg.models.vgg16_1x1, 25088), lambda: nets.Headed(nets.vgg(VGG16_1X1, False), 25088, 7),
        SMALL, "float64",
    ),
    "googlenet": (
        lambda: SumOfLogits(tg.models.googlenet(num_classes=10, dropout=0.0, dropout_aux=0.0)),
        lambda: nets.GoogLeNet(True), SMALL, "float64",
    ),
    "googlenet_2014": (
        lambda: SumOfLogits(tg.models.googlenet_2014(num_classes=10, dropout=0.0, dropout_aux=0.0)),
        lambda: nets.GoogLeNet(False), (1, 3, 224, 224), "float64",
    ),
    "resnext": (
        lambda: tg.models.ResNet(Bottleneck, [1, 2, 1, 1], groups=8, width_per_group=4),
        lambda: nets.ResNet([1, 2, 1, 1], True, 8, 4), SMALL, "float64",
    ),
    "dilated resnet": (
        lambda: tg.models.ResNet(
            Bottleneck, [1, 1, 1, 2], width_per_group=32, replace_stride_with_dilation=[False, True, True]
        ),
        lambda: nets.ResNet([1, 1, 1, 2], True, 1, 32, (False, True, True)), (2, 3, 32, 32), "float64",
    ),
    "resnet of 2015": (
        lambda: tg.models.ResNet(Bottleneck2015, [1, 2, 1, 1]),
        lambda: nets.ResNet([1, 2, 1, 1], True, stride_first=True), SMALL, "float64",
    ),
    "squeezenet1_0": (
        lambda: tg.models.squeezenet1_0(dropout=0.0),
        lambda: nets.SqueezeNet(7, 96, [0, 16, 16, 32, 0, 32, 48, 48, 64, 0, 64]), SMALL, "float64",
    ),
    "squeezenet1_1": (
        lambda: tg.models.squeezenet1_1(dropout=0.0),
        lambda: nets.SqueezeNet(3, 64, [0, 16, 16, 0, 32, 32, 0, 48, 48, 64, 64]), SMALL, "float64",
    ),
    "mobilenet_v2": (lambda: tg.models.mobilenet_v2(dropout=0.0), nets.MobileNetV2, SMALL, "float64"),
    "densenet121": (tg.models.densenet121, lambda: nets.DenseNet(32, (6, 12, 24, 16), 64), SMALL, "float64"),
    "densenet": (
        lambda: tg.models.DenseNet(4, (2, 3), 6, 2, num_classes=10),
        lambda: nets.DenseNet(4, (2, 3), 6, 2, 10), CIFAR, "float64",
    ),
    "nin": (lambda: tg.models.nin(dropout=0.0), nets.NiN, CIFAR, "float64"),
    "ecg_net": (tg.models.ecg_net, nets.ecg_net, (4, 1, 260), "float64"),
    "voxnet": (lambda: tg.models.voxnet(dropout=(0.0, 0.0, 0.0)), nets.voxnet, (2, 1, 32, 32, 32), "float64"),
    "resnet20": (tg.models.resnet20, lambda: nets.CifarResNet(3), CIFAR, "float64"),
    "resnet20 in float32": (tg.models.resnet20, lambda: nets.CifarResNet(3), CIFAR, "float32"),
    "resnet32": (tg.models.resnet32, lambda: nets.CifarResNet(5), CIFAR, "float64"),
    "resnet56": (tg.models.resnet56, lambda: nets.CifarResNet(9), CIFAR, "float64"),
}  # fmt: skip
# Relative to the largest element of each tensor: batch normalisation makes gradients out of small differences.
TOLERANCES = {"float32": 2e-4, "float64": 1e-9}


def train(t, net, images, labels, optimizer):
    """Take one step and return all that it gives."""
    net.train()
    logits = net(t.from_numpy(images))
    loss = t.nn.functional.cross_entropy(logits, t.from_numpy(labels))
    loss.backward()
    results = {"logits": logits.detach().numpy().copy(), "loss": loss.detach().numpy().copy()}
    results |= {f"d {name}": grad for name, grad in gradients(net).items()}
    optimizer.step()
    return results | arrays(net.state_dict())


def compare_training_step(make, make_twin, shape, dtype):
    rng = np.random.default_rng(1)
    images = rng.standard_normal(shape).astype(dtype)
    ours, theirs = make().to(getattr(tg, dtype)), make_twin().to(getattr(torch, dtype))
    copy_weights(ours, theirs)
    labels = rng.integers(0, 5, shape[0])
    results = []
    for t, net in ((tg, ours), (torch, theirs)):
        optimizer = t.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3)
        results.append(train(t, net, images, labels, optimizer))
    found, expected = results
    assert len([name for name in found if name.startswith("d ")]) == len(list(ours.parameters()))
    for name, array in expected.items():
        close(found[name], array, 0, TOLERANCES[dtype] * max(1e-4, np.abs(array).max()), name)


@pytest.mark.parametrize(("make", "make_twin", "shape", "dtype"), CASES.values(), ids=CASES)
def test_training_step(make, make_twin, shape, dtype):
    with tg.set_conv_algorithm("exact"):  # a relu of almost 0 may go either way, and moves gradients by 0.1 %
        compare_training_step(make, make_twin, shape, dtype)


@pytest.mark.parametrize("algorithm", ["winograd2", "winograd4"])
def test_training_step_by_winograd(algorithm):
    with tg.set_conv_algorithm(algorithm):
        compare_training_step(*CASES["resnet20"])


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "resnet18", "mobilenet_v2", "densenet"])
def test_evaluation(name):
    make, make_twin, shape, dtype = CASES[name]
    ours, theirs = make().to(getattr(tg, dtype)), make_twin().to(getattr(torch, dtype))
    images = np.random.default_rng(2).standard_normal(shape).astype(dtype)
    ours(tg.from_numpy(images))  # in training: moves the running averages
    copy_weights(ours, theirs)
    with tg.no_grad(), torch.no_grad():
        close(ours.eval()(tg.from_numpy(images)), theirs.eval()(torch.from_numpy(images)), 1e-10, 1e-10)
