"""Whole batches of colour images: the random numbers and the bits of the transforms applied image by image."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import transforms as T
from tinygrad_cnn.datasets.vision import ImagesInMemory
from tinygrad_cnn.training import AverageCrops, evaluate, predict
from tinygrad_cnn.utils.data import DataLoader, Subset

IMAGES = np.random.default_rng(0).integers(0, 256, (9, 13, 18, 3), np.uint8)
SCALED = T.Compose([T.ToTensor(), T.Normalize((0.4, 0.5, 0.6), (0.2, 0.3, 0.4))])
ALEXNET = T.Compose([T.RandomCrop((8, 9)), T.RandomHorizontalFlip(), T.ToTensor(), T.PCANoise(), T.Normalize(0.5, 0.2)])

FITTING = {
    "AlexNet's": ALEXNET,
    "noise first": T.Compose([T.ToTensor(), T.PCANoise(0.3), T.RandomVerticalFlip(), T.RandomCrop(9), T.PCANoise()]),
    "noise, then padding": T.Compose([T.ToTensor(), T.PCANoise(), T.RandomCrop(13, 4, fill=0.3), T.Normalize(0.5, 2.0)]),
    "padding, then noise": T.Compose([T.Pad(2, fill=7), T.ToTensor(), T.PCANoise()]),
    "middle": T.Compose([T.CenterCrop((8, 13)), SCALED]),
    "middle of what is flipped and padded": T.Compose([T.Pad(3), T.RandomHorizontalFlip(), T.CenterCrop(17), SCALED]),
    "middle of an odd rest": T.Compose([T.RandomVerticalFlip(1.0), T.CenterCrop((8, 9)), T.ToTensor()]),
    "five": T.Compose([SCALED, T.FiveCrop((6, 7))]),
    "ten": T.Compose([SCALED, T.TenCrop(8)]),
    "ten upside down, of random crops": T.Compose([SCALED, T.RandomCrop(12), T.RandomHorizontalFlip(), T.PCANoise(),
                                                   T.TenCrop((5, 9), vertical_flip=True)]),
}  # fmt: skip


@pytest.mark.parametrize("chain", FITTING.values(), ids=FITTING)
def test_the_bits_of_items(chain):
    index = np.array([3, 0, 8, 3, 5, 1, 7])
    tg.manual_seed(5)
    batch = T.transform_images(IMAGES, index, chain)
    after = tg.randn(1)
    tg.manual_seed(5)
    items = [chain(IMAGES[i]) for i in index]
    assert after == tg.randn(1)
    assert isinstance(batch, list) == isinstance(items[0], tuple)
    stacks = zip(*items, strict=True) if isinstance(batch, list) else [items]
    for x, images in zip(batch if isinstance(batch, list) else [batch], stacks, strict=True):
        np.testing.assert_array_equal(x.numpy(), np.stack([image.numpy() for image in images]))


@pytest.mark.parametrize(
    "chain",
    [
        T.Compose([T.CenterCrop(14), T.ToTensor()]),
        T.Compose([T.RandomCrop(10), T.CenterCrop(11), T.ToTensor()]),
        T.Compose([T.CenterCrop(8), T.RandomCrop(8, padding=1), T.ToTensor()]),
        T.Compose([T.ToTensor(), T.PCANoise(eigenvalues=[1.0], eigenvectors=[[1.0]])]),
        T.Compose([T.ToTensor(), T.TenCrop(9), T.Lambda(tg.stack)]),
        T.Compose([T.PCANoise(), T.ToTensor()]),
        T.TenCrop(9),
    ],
    ids=str,
)
def test_what_does_not_fit(chain):
    assert T.transform_images(IMAGES, np.arange(2), chain) is None


def test_no_images():
    assert T.transform_images(IMAGES, np.arange(0), ALEXNET).shape == (0, 3, 8, 9)
    assert [len(x) for x in T.transform_images(IMAGES, np.arange(0), FITTING["ten"])] == [0] * 10


class Images(ImagesInMemory):
    def __init__(self, transform):
        super().__init__(transform=transform)
        self.data, self.targets = IMAGES, [0, 1, 2] * 3


def test_predictions_are_averaged_over_ten_crops():
    model = AverageCrops(tg.nn.Sequential(tg.nn.Conv2d(3, 2, 3, 2), tg.nn.Flatten(), tg.nn.Linear(18, 3)))
    data = Images(FITTING["ten"])

    class Itemwise(Subset):
        batch = None

    together, single = [DataLoader(d, 4) for d in (data, Itemwise(data, range(9)))]
    outputs = predict(model, together)
    assert outputs.shape == (9, 3)
    np.testing.assert_array_equal(outputs.numpy(), predict(model, single).numpy())
    np.testing.assert_allclose(outputs.exp().sum(1).numpy(), 1, rtol=1e-5)
    assert set(evaluate(model, together, metrics=["accuracy"])) == {"loss", "accuracy"}
