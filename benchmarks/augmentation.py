"""python -m benchmarks.augmentation: images a second that augmentation makes, beside those that training uses.

Random bytes in memory stand for the photographs.  AlexNet's are cropped, flipped, shifted in colour and normalised
(Krizhevsky et al., 2012, section 4.1), and for its test cropped ten times; CIFAR's are padded by 4, cropped and flipped (He et
al., 2016).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn import models, optim
from tinygrad_cnn import transforms as T
from tinygrad_cnn.nn import functional as F

from .timing import alternate

SCALED = [T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]


class Case(NamedTuple):
    """A network with the images it is trained on: their size, how many there are, a batch; augmentation, and for the test."""

    net: str
    size: int
    count: int
    batch: int
    classes: int
    training: T.Compose
    testing: T.Compose


CASES = [
    Case(
        "alexnet", 256, 256, 16, 1000,
        T.Compose([T.RandomCrop(224), T.RandomHorizontalFlip(), T.ToTensor(), T.PCANoise(), SCALED[1]]),
        T.Compose([*SCALED, T.TenCrop(224)]),
    ),
    Case(
        "resnet20", 32, 5120, 128, 10,
        T.Compose([T.RandomCrop(32, padding=4), T.RandomHorizontalFlip(), *SCALED]),
        T.Compose(SCALED),
    ),
]  # fmt: skip


def check(images: np.ndarray, transform: T.Compose) -> None:
    """Compare a batch with the transform of each image."""
    tg.manual_seed(0)
    batch = T.transform_images(images, np.arange(4), transform)
    tg.manual_seed(0)
    items = [transform(image) for image in images[:4]]
    pairs = zip(batch, zip(*items)) if isinstance(batch, list) else [(batch, items)]
    assert all((x == tg.stack(list(same))).all() for x, same in pairs), "batches differ from single images"


def sides(case: Case) -> dict[str, Callable[[], Any]]:
    """Return a batch of training, one of testing, and a training step."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (case.count, case.size, case.size, 3), np.uint8)
    model = getattr(models, case.net)(num_classes=case.classes)
    optimizer = optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def make(transform: T.Compose) -> Callable[[], Any]:
        check(images, transform)
        return lambda: T.transform_images(images, random.integers(0, case.count, case.batch), transform)

    x, y = make(case.training)(), tg.tensor(random.integers(0, case.classes, case.batch))

    def step() -> None:
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()

    return {"training": make(case.training), "testing": make(case.testing), "step": step}


def main() -> int:
    """Time all cases; print images a second, and the share of augmentation in the time of both."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.augmentation", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, metavar="PER_NET")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=[case.net for case in CASES])
    args = parser.parse_args()
    tg.set_num_threads(args.threads)
    print("| images a second | training step | augmented | share of time | for the test |\n|---|---|---|---|---|")
    for case in CASES:
        if args.only in (None, case.net):
            seconds = {name: timing.median for name, timing in alternate(sides(case), args.seconds).items()}
            speeds = [case.batch / seconds[name] for name in ("step", "training", "testing")]
            share = seconds["training"] / (seconds["training"] + seconds["step"])
            name = f"{case.net}, batch {case.batch}"
            print(f"| {name} | {speeds[0]:,.0f} | {speeds[1]:,.0f} | {share:.1%} | {speeds[2]:,.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
