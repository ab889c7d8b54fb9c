"""Classify heartbeats by convolution along time: `python examples/ecg.py`.

The beats are generated, not recorded: a wave P, the peaks Q, R and S and a wave T are Gaussian bumps, and what differs between
the three kinds of beats is drawn around what textbooks show.  Noise and a slow drift of the base line make it a task.
"""

import argparse

import numpy as np
from devices import parse_args

import tinygrad_cnn as tg
from tinygrad_cnn import models, optim
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.utils.data import DataLoader, TensorDataset

SAMPLES, RATE = 260, 360  # of a beat; in a second
# Place in seconds, height in millivolts and width in seconds of P, Q, R, S and T.
KINDS = {
    "normal": [(0.17, 0.15, 0.025), (0.31, -0.12, 0.01), (0.335, 1.0, 0.012), (0.36, -0.25, 0.01), (0.55, 0.3, 0.05)],
    "ventricular": [(0.17, 0.0, 0.025), (0.29, -0.1, 0.02), (0.34, 1.0, 0.045), (0.42, -0.4, 0.03), (0.58, -0.35, 0.06)],
    "atrial": [(0.10, -0.12, 0.02), (0.25, -0.12, 0.01), (0.275, 0.9, 0.012), (0.30, -0.25, 0.01), (0.49, 0.3, 0.05)],
}  # fmt: skip


def generate(count, rng):
    """Return beats (count, 1, SAMPLES) and their kinds."""
    labels = rng.integers(0, len(KINDS), count)
    waves = np.array(list(KINDS.values()))[labels]
    waves = waves * rng.normal(1, (0.03, 0.2, 0.15), waves.shape) + rng.normal(0, 0.01, (count, 1, 1)) * (1, 0, 0)
    time = np.arange(SAMPLES) / RATE
    place, height, width = waves.transpose(2, 0, 1)[..., None]
    beats = (height * np.exp(-(((time - place) / width) ** 2) / 2)).sum(1)
    drift = 0.2 * np.sin(2 * np.pi * (rng.uniform(0.1, 0.5, (count, 1)) * time + rng.random((count, 1))))
    beats += drift + rng.normal(0, 0.1, beats.shape)
    return tg.tensor(beats[:, None], dtype=tg.float32), tg.tensor(labels)


def main():
    """Train, and test on beats that were not seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--beats", type=int, default=4000)
    args = parse_args(parser)
    tg.manual_seed(0)
    rng = np.random.default_rng(0)
    batches = DataLoader(TensorDataset(*generate(args.beats, rng)), 50, shuffle=True)
    beats, kinds = [t.to(args.device) for t in generate(1000, rng)]

    model = models.ecg_net(num_classes=len(KINDS))
    print(tg.summary(model, (1, 1, SAMPLES)))
    model.to(args.device)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(1, args.epochs + 1):
        for x, y in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x.to(args.device)), y.to(args.device)).backward()
            optimizer.step()
        with tg.no_grad():
            found = model(beats).argmax(1)
        print(f"epoch {epoch}: {100 * (found == kinds).float().mean().item():.1f} % of the test beats are right")
    for i, kind in enumerate(KINDS):
        print(f"{kind}: {100 * (found[kinds == i] == i).float().mean().item():.1f} %")


if __name__ == "__main__":
    main()
