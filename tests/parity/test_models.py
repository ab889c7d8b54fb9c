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
    labels = rng.integers(0, 10, shape[0])
    results = []
    for t, net in ((tg, ours), (torch, theirs)):
        optimizer = t.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3)
        results.append(train(t, net, images, labels, optimizer))
    found, expected = results
    assert len([name for name in found if name.startswith("d ")]) == len(list(ours.parameters()))
    for name, array in expected.items():
        close(found[name], array, 0, TOLERANCES[dtype] * max(1e-6, np.abs(array).max()), name)


@pytest.mark.parametrize(("make", "make_twin", "shape", "dtype"), CASES.values(), ids=CASES)
def test_training_step(make, make_twin, shape, dtype):
    with tg.set_conv_algorithm("exact"):  # a relu of almost 0 may go either way, and moves gradients by 0.1 %
        compare_training_step(make, make_twin, shape, dtype)


@pytest.mark.parametrize("algorithm", ["winograd2", "winograd4"])
def test_training_step_by_winograd(algorithm):
    with tg.set_conv_algorithm(algorithm):
        compare_training_step(*CASES["resnet20"])


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "resnet18"])
def test_evaluation(name):
    make, make_twin, shape, dtype = CASES[name]
    ours, theirs = make().to(getattr(tg, dtype)), make_twin().to(getattr(torch, dtype))
    images = np.random.default_rng(2).standard_normal(shape).astype(dtype)
    ours(tg.from_numpy(images))  # in training: moves the running averages
    copy_weights(ours, theirs)
    with tg.no_grad(), torch.no_grad():
        close(ours.eval()(tg.from_numpy(images)), theirs.eval()(torch.from_numpy(images)), 1e-10, 1e-10)
