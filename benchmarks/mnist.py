"""python -m benchmarks.mnist: train LeNet-5 on MNIST with tinygrad_cnn and PyTorch, epoch by epoch in turn."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tinygrad_cnn as tg
from tinygrad_cnn.datasets import MNIST
from tinygrad_cnn.transforms import Compose, Normalize, ToTensor
from tinygrad_cnn.utils.data import DataLoader

from . import machine, report
from .frameworks import Framework, Ours, Torch, TorchChannelsLast, set_num_threads

GOAL = 0.99
TEST_BATCH = 1000


@dataclass
class Side:
    """One framework with its network, its recipe and its batches; seconds and accuracy after each epoch."""

    name: str
    framework: Framework
    train: Callable[[], Iterable[tuple[Any, Any]]]
    test: Callable[[], Iterable[tuple[Any, Any]]]
    epochs: int
    lr: float
    seconds: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        fw = self.framework
        self.model = fw.model("lenet5")
        self.optim = fw.optim.SGD(self.model.parameters(), lr=self.lr, momentum=0.9, weight_decay=5e-4, fused=True)
        self.schedule = fw.optim.lr_scheduler.CosineAnnealingLR(self.optim, self.epochs)

    def epoch(self) -> None:
        """Train on all batches, timed; then test."""
        start = time.perf_counter()
        for x, target in self.train():
            self.optim.zero_grad()
            self.framework.F.cross_entropy(self.model(x), target).backward()
            self.optim.step()
        self.schedule.step()
        self.seconds.append(time.perf_counter() - start)
        right = [int((self.model(x).detach().argmax(1) == target).sum()) for x, target in self.test()]
        self.accuracy.append(sum(right) / (TEST_BATCH * len(right)))

    @property
    def verdict(self) -> str:
        """When the goal was reached, and the time of an epoch."""
        typical = sorted(self.seconds)[len(self.seconds) // 2]
        reached = next((i for i, a in enumerate(self.accuracy) if a >= GOAL), None)
        if reached is None:
            when = f"{GOAL:.1%} not reached"
        else:
            when = f"{GOAL:.1%} after {reached + 1} epochs, {sum(self.seconds[: reached + 1]):.1f} s of training"
        return f"{self.name}: {typical:.2f} s/epoch (median), best {max(self.accuracy):.2%}, {when}"


def our_side(args: argparse.Namespace, sets: dict[bool, MNIST]) -> Side:
    """Return tinygrad_cnn with its own loader, which normalises bytes batch by batch."""
    shuffled = DataLoader(sets[True], args.batch, shuffle=True, generator=tg.Generator().manual_seed(args.seed))
    ordered = DataLoader(sets[False], TEST_BATCH)
    return Side("ours", Ours(), lambda: shuffled, lambda: ordered, args.epochs, args.lr)


def torch_side(args: argparse.Namespace, sets: dict[bool, MNIST]) -> Side:
    """Return PyTorch at its fastest: normalised images in memory, cut into batches without a loader."""
    fw = TorchChannelsLast() if args.channels_last else Torch()
    generator = fw.torch.Generator().manual_seed(args.seed)
    whole = {}
    for train, dataset in sets.items():
        [(images, targets)] = DataLoader(dataset, len(dataset))
        whole[train] = fw.tensor(images.numpy()), fw.tensor(targets.numpy())

    def batches(train: bool) -> Iterator[tuple[Any, Any]]:
        x, target = whole[train]
        if not train:
            yield from zip(x.split(TEST_BATCH), target.split(TEST_BATCH))
            return
        for rows in fw.torch.randperm(len(x), generator=generator).split(args.batch):
            yield x.index_select(0, rows), target.index_select(0, rows)

    return Side("PyTorch", fw, lambda: batches(True), lambda: batches(False), args.epochs, args.lr)


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mnist", description=__doc__)
    parser.add_argument("--root", type=Path, help="folder of the data set, beside the usual places")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.02, help="at the start; a half cosine leads to 0")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="of the order of the images")
    parser.add_argument("--channels-last", action="store_true", help="PyTorch's other memory format")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to FILE")
    return parser


def main() -> int:
    """Train both sides, one epoch each in turn."""
    args = arguments().parse_args()
    to_tensor = Compose([ToTensor(), Normalize([0.1307], [0.3081])])
    try:
        sets = {train: MNIST(args.root, train, to_tensor) for train in (True, False)}
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    set_num_threads(args.threads)
    description = machine.describe()
    print(report.header(description, {}), f"threads: {args.threads}", "", sep="\n", flush=True)
    sides = [our_side(args, sets), torch_side(args, sets)]
    print("epoch" + "".join(f"  {s.name + ' s':>11}  {'test':>6}" for s in sides) + "  ratio")
    for epoch in range(args.epochs):
        for side in sides:
            side.epoch()
        cells = "".join(f"  {s.seconds[-1]:>11.2f}  {s.accuracy[-1]:>6.2%}" for s in sides)
        print(f"{epoch + 1:>5}{cells}  {sides[1].seconds[-1] / sides[0].seconds[-1]:>5.2f}", flush=True)
    print("", *(side.verdict for side in sides), sep="\n")
    if args.json:
        found = {s.name: {"seconds": s.seconds, "accuracy": s.accuracy} for s in sides}
        recipe = {name: value for name, value in vars(args).items() if name not in ("json", "root")}
        args.json.write_text(json.dumps({"machine": description, "recipe": recipe, "sides": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
