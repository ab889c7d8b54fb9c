"""Build the network of "Deep Learning from Scratch" twice, from layers and from im2col, and train both alike.

A convolution is a matrix product: im2col writes the pixels under the kernel, at each of its places, into a column.  From
equal weights both take equal steps, up to rounding.
"""

import argparse
import time

from devices import parse_args
from train_mnist import load

import tinygrad_cnn as tg
from tinygrad_cnn import models, optim, transforms
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.utils.data import DataLoader


def train(model, batches, epochs, device):
    """Train with Adam; return the loss of each step."""
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(epochs):
        for x, y in batches:
            loss = F.cross_entropy(model(x.to(device)), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def accuracy(model, batches, device):
    """Return the percentage of right answers."""
    with tg.no_grad():
        return (
            100 * sum(int((model(x.to(device)).argmax(1).cpu() == y).sum()) for x, y in batches) / len(batches.dataset)
        )


def main():
    """Train both and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="folder with the MNIST files")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parse_args(parser)
    train_set, test_set = load(args.data, transforms.ToTensor())
    curves = []
    for name, im2col in (("layers", False), ("im2col", True)):
        tg.manual_seed(args.seed)  # the same initial weights, and the same batches
        model = models.simple_convnet(weight_init="he", im2col=im2col).to(args.device)
        start = time.perf_counter()
        curves.append(train(model, DataLoader(train_set, 100, shuffle=True), args.epochs, args.device))
        seconds = time.perf_counter() - start
        tested = accuracy(model, DataLoader(test_set, 1000), args.device)
        print(f"{name}: test accuracy {tested:.2f} % after {seconds:.1f} s")
    first = max(abs(a - b) for a, b in zip(*[curve[:10] for curve in curves]))
    print(f"largest difference of the losses of the first ten steps: {first:.1e}")


if __name__ == "__main__":
    main()
