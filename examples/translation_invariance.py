"""Train on digits in the middle of the image and test on digits that are elsewhere: the reason for convolution.

A multilayer perceptron must learn each pixel anew.  A convolution looks for the same strokes everywhere, and pooling forgets a
little of where they were; with a maximum over the whole image as its last pooling, a network forgets nearly all of it.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
from devices import parse_args
from train_mnist import MEAN, STD, load

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim, transforms
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.utils.data import DataLoader

MARGIN = 8  # pixels around the 28 x 28 image, which has 4 around its digit


def networks():
    """Return the three networks, for images (N, 1, 44, 44)."""
    size = 28 + 2 * MARGIN
    return {
        "MLP": nn.Sequential(nn.Flatten(), nn.Linear(size * size, 128), nn.ReLU(), nn.Linear(128, 10)),
        "CNN": nn.Sequential(
            nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * 8 * 8, 10),
        ),
        "CNN, global maximum": nn.Sequential(
            nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 64, 5), nn.ReLU(), nn.AdaptiveMaxPool2d(1),
            nn.Flatten(), nn.Linear(64, 10),
        ),
    }  # fmt: skip


def train(model, batches, epochs, device):
    """Train with Adam."""
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for x, y in batches:
            loss = F.cross_entropy(model(x.to(device)), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def accuracy(model, batches, shift, device):
    """Return the percentage of right answers for digits moved to the right and down, averaged over both."""
    right = 0
    with tg.no_grad():
        for x, y in batches:
            x, y = x.to(device), y.to(device)
            for axis in (2, 3):
                right += int((model(x.roll(shift, axis)).argmax(1) == y).sum())  # only margin comes round the edge
    return 100 * right / (2 * len(batches.dataset))


def main():
    """Train the networks, print the table and draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="folder with the MNIST files")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the picture")
    args = parse_args(parser)
    paper = transforms.Pad(MARGIN), transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))
    train_set, test_set = load(args.data, *paper)
    shifts = range(MARGIN + 1)
    print("accuracy in %, by the shift in pixels\n" + " " * 20 + "".join(f"{shift:>6}" for shift in shifts))

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    tg.manual_seed(args.seed)
    for name, model in networks().items():
        train(model.to(args.device), DataLoader(train_set, 64, shuffle=True), args.epochs, args.device)
        row = [accuracy(model, DataLoader(test_set, 1000), shift, args.device) for shift in shifts]
        print(f"{name:<20}" + "".join(f"{value:6.1f}" for value in row), flush=True)
        axes.plot(shifts, row, marker="o", label=name)
    axes.set(title="trained on digits in the middle", xlabel="shift of the test digits (pixels)", ylabel="accuracy (%)")
    axes.set_ylim(0, 102)
    axes.legend()
    args.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out / "translation_invariance.png", dpi=120)
    print(f"wrote {args.out.resolve() / 'translation_invariance.png'}")


if __name__ == "__main__":
    main()
