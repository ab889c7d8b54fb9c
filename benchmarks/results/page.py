"""The page of results: tables and learning curves of finished runs."""

from __future__ import annotations

from pathlib import Path
from statistics import mean, median, stdev

import tinygrad_cnn as tg

from .. import machine
from . import pictures
from .recipes import NETWORKS, RATES, Program, Recipe
from .training import Run, runs_of

PAIRS = ("response normalisation", "overlapping pooling", "dropout", "augmentation")
ACTIVATIONS = [(name, rate) for name in ("ReLU", "Tanh") for rate in RATES]
NETS = [(kind, depth) for depth in (20, 56) for kind in ("plain", "residual")]
NETWORKS_HEAD = (
    "| network and data | parameters | epochs, recipe | test accuracy, % (seeds) | seconds | images/s "
    "| PyTorch: accuracy, % | images/s |"
)
PAIRS_HEAD = "| | test error, % without | with | difference | training error, % without | with | difference |"
ACTIVATIONS_HEAD = "| | rate | epochs, by seed | training error at the end, % | test error, % |"
DEPTHS_HEAD = "| | training error, % | test error, % | seeds |"
THRESHOLD = 0.25  # of the training error, as in figure 1 of AlexNet's paper

TEXT = """# Results

What networks reach with tinygrad_cnn.  `python -m benchmarks.results` trains them all and writes this page (a stopped
command goes on where it was; `--only NAME` trains a part, `--report` only writes).  Numbers are those of the last epoch, not
of the best.  There is no validation set: four recipes (the batch of the Keras-style net; dropout and epochs of AlexNet-small;
passes and shifted images of LeNet-5 of 1998; epochs of ResNet-20) were changed after earlier runs had been tested.

Machine: {machine}, kernels of level {level}, one thread.  Seconds are processor time (user and system) of training, without
testing: the machine had other work, so that times of the clock would say more about that.  They still vary by a fifth or so
with what the neighbours do to the caches.  ± is the standard deviation over seeds, which change initial weights, order and
augmentation.

PyTorch {torch} gets the same recipe, the same initial weights and the same batches from the same loader, in its usual
format (NCHW), one thread, one seed; `python -m benchmarks` compares speeds with care.

Data: MNIST; Fashion-MNIST (Debian's `dataset-fashion-mnist`); CIFAR-10 in a lossy form, as small JPEG files, so that its
numbers cannot be compared with published ones.  All are centred and scaled; "flips" are random horizontal ones, "crops" are
random ones of 32x32 out of the image padded by 4.

## Networks
{networks}

![Test error after each epoch, of all seeds](images/learning_curves.png)

- LeNet is `models.lenet5` (ReLU, max pooling); `models.alexnet_small` and `models.resnet18_small` have AlexNet's and
  ResNet-18's layers with few maps.  SimpleConvNet: convolution 30@5x5, ReLU, pooling 2, linear 100, ReLU, linear 10.
  Keras-style: convolution 32@4x4, pooling 3, convolution 64@4x4, pooling 3, linear 64, linear 10, ReLU between; a tenth of
  the training images is left out, as `validation_split=0.1` does.
- One-cycle: the rate rises for three tenths of the steps and falls to almost 0.
- ResNet-20's schedule is a short one: the paper trains for 164 epochs.  With 14 and 30 epochs it reached 84.7 and 86.6 %.
  PyTorch has not trained it: the same recipe would take it two hours.
- `examples/train_mnist.py`, `train_fashion_mnist.py` and `train_cifar10_resnet.py` are such trainings as short programs.

## Effects of the papers, in small
Each effect is measured on 5,000 images of CIFAR-10 (JPEG) and all 10,000 test images, batches of 128, with the same seeds
with and without: differences are those of pairs.  A budget this small shows directions, not the papers' numbers.  An effect
is called noise if it is less than twice its standard error.

### What helps a network of three convolutions
Convolutions 16, 32 and 32@5x5, each with ReLU and pooling 2, linear 128, ReLU, linear 10; 20 epochs, SGD 0.03, one-cycle.

{pairs}

- Response normalisation stands behind the ReLU of the first two convolutions, with the paper's constants (k = 2, n = 5,
  alpha = 1e-4 of the sum, beta = 0.75); overlapping pooling takes windows of 3x3 every 2 pixels; dropout 0.5 is that of the
  hidden linear layer.

### ReLU and tanh
The same network with a constant rate and no weight decay: epochs until the training error is below {threshold:.0%}.

{activations}

### Residual and plain networks
The CIFAR networks of 20 and 56 layers with and without shortcuts, images halved to 16x16, 12 epochs, SGD 0.1, one-cycle.

{depths}

![Training error: ReLU and tanh; residual and plain networks](images/effects.png)
"""


def spread(values: list[float], form: str = ".2f") -> str:
    """Return mean and standard deviation."""
    return f"{mean(values):{form}}" + (f" ± {stdev(values):{form}}" if len(values) > 1 else "")


def table(head: str, rows: list[list[str]]) -> str:
    """Return a table in Markdown; rows without cells are left out."""
    lines = ["| " + " | ".join(row) + " |" for row in rows if row]
    return "\n".join([head, "|---" * (head.count("|") - 1) + "|", *lines]) if lines else "No run is finished yet."


def last_test_error(run: Run) -> float:
    """Return the test error in percent."""
    assert run.test_error[-1] is not None
    return 100 * run.test_error[-1]


def last_train_error(run: Run) -> float:
    """Return the training error of the last epoch in percent."""
    return 100 * run.train_error[-1]


# ---- networks ----


def speed(runs: list[Run]) -> float:
    """Return images trained in a second, by the median epoch."""
    return median(run.images / seconds for run in runs for seconds in run.seconds)


def network_row(recipe: Recipe | Program, runs: list[Run]) -> list[str]:
    """Return the cells of a network's results."""
    ours, theirs = runs_of(runs, recipe.name), runs_of(runs, recipe.name, "torch")
    if not ours:
        return []
    tg.manual_seed(0)
    parameters = sum(p.numel() for p in recipe.network(tg).parameters())
    cells = [recipe.name, f"{parameters:,}", str(recipe)]
    cells += [spread([100 - last_test_error(run) for run in ours]) + f" ({len(ours)})"]
    cells += [f"{mean(sum(run.seconds) for run in ours):,.0f}", f"{speed(ours):,.0f}"]
    return cells + ([f"{100 - last_test_error(theirs[0]):.2f}", f"{speed(theirs):,.0f}"] if theirs else ["", ""])


# ---- effects ----


def pair_row(name: str, runs: list[Run]) -> list[str]:
    """Return the cells of an effect: test and training error without and with it, and whether seeds could do the same."""
    pairs = list(zip(runs_of(runs, "small: base"), runs_of(runs, f"small: {name}")))
    if not pairs:
        return []
    cells = [name]
    for measure in (last_test_error, last_train_error):
        without, present = ([measure(run) for run in side] for side in zip(*pairs))
        cells += [spread(without, ".1f"), spread(present, ".1f"), difference(without, present)]
    return cells


def difference(before: list[float], after: list[float]) -> str:
    """Return the mean difference of pairs, and whether it is more than noise."""
    found = [b - a for a, b in zip(before, after, strict=True)]
    if len(found) < 2:
        return f"{found[0]:+.1f} (one seed)"
    error = stdev(found) / len(found) ** 0.5
    return f"{mean(found):+.1f} ± {error:.1f}" + (" (noise)" if abs(mean(found)) < 2 * error else "")


def epochs_until(run: Run) -> int | None:
    """Return after how many epochs the training error was below the threshold."""
    return next((epoch for epoch, error in enumerate(run.train_error, 1) if error < THRESHOLD), None)


def activation_row(name: str, rate: float, runs: list[Run]) -> list[str]:
    """Return the cells of an activation at a rate."""
    found = runs_of(runs, f"small: {name} at {rate}")
    if not found:
        return []
    epochs = [epochs_until(run) for run in found]
    never = f"more than {len(found[0].loss)}"
    return [
        name, f"{rate:g}", ", ".join(never if n is None else str(n) for n in epochs),
        spread([last_train_error(run) for run in found], ".1f"), spread([last_test_error(run) for run in found], ".1f"),
    ]  # fmt: skip


def depth_row(kind: str, depth: int, runs: list[Run]) -> list[str]:
    """Return the cells of a deep network."""
    found = runs_of(runs, f"small: {kind} net of {depth} layers")
    if not found:
        return []
    return [
        f"{kind}, {depth} layers", *(spread([f(run) for run in found], ".1f") for f in (last_train_error, last_test_error)),
        str(len(found)),
    ]  # fmt: skip


def write(runs: list[Run], docs: Path) -> None:
    """Write the page and its pictures."""
    found = machine.describe()
    text = TEXT.format(
        machine=found["processor"], level=found["kernel level"], torch=found["PyTorch"].partition("+")[0],
        threshold=THRESHOLD, networks=table(NETWORKS_HEAD, [network_row(recipe, runs) for recipe in NETWORKS]),
        pairs=table(PAIRS_HEAD, [pair_row(name, runs) for name in PAIRS]),
        activations=table(ACTIVATIONS_HEAD, [activation_row(name, rate, runs) for name, rate in ACTIVATIONS]),
        depths=table(DEPTHS_HEAD, [depth_row(kind, depth, runs) for kind, depth in NETS]),
    )  # fmt: skip
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "results.md").write_text(text)
    pictures.draw(runs, docs / "images")
