"""Classify solids by convolution of volumes: `python examples/volumes.py`.

The volumes are generated: balls, boxes, tori and cylinders of many sizes, places and directions, with some wrong voxels.
"""

import argparse

import numpy as np
from devices import parse_args

import tinygrad_cnn as tg
from tinygrad_cnn import models, optim
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.utils.data import DataLoader, TensorDataset

SIDE, WRONG = 32, 0.05  # voxels along an edge; the fraction that is wrong
SOLIDS = {  # whether points (x, y, z) lie inside of a solid of size 1
    "ball": lambda x, y, z: x**2 + y**2 + z**2 < 1,
    "box": lambda x, y, z: np.maximum(np.maximum(abs(x), abs(y)), abs(z)) < 0.75,
    "torus": lambda x, y, z: (np.hypot(x, y) - 0.8) ** 2 + z**2 < 0.3**2,
    "cylinder": lambda x, y, z: (np.hypot(x, y) < 0.5) & (abs(z) < 1),
}


def generate(count, rng):
    """Return volumes (count, 1, SIDE, SIDE, SIDE) of zeros and ones, and which solids they show."""
    labels = rng.integers(0, len(SOLIDS), count)
    axis = np.linspace(-1, 1, SIDE)
    points = np.stack(np.meshgrid(axis, axis, axis), -1)
    inside = list(SOLIDS.values())
    volumes = np.empty((count, 1, SIDE, SIDE, SIDE), np.float32)
    for volume, label in zip(volumes, labels):
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        local = (points - rng.uniform(-0.2, 0.2, 3)) @ turn / rng.uniform(0.5, 0.9)
        volume[0] = inside[label](*np.moveaxis(local, -1, 0)) ^ (rng.random(volume[0].shape) < WRONG)
    return tg.from_numpy(volumes), tg.tensor(labels)


def main():
    """Train, and test on volumes that were not seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--volumes", type=int, default=800)
    args = parse_args(parser)
    tg.manual_seed(0)
    rng = np.random.default_rng(0)
    batches = DataLoader(TensorDataset(*generate(args.volumes, rng)), 20, shuffle=True)
    volumes, solids = [t.to(args.device) for t in generate(100, rng)]

    model = models.voxnet(num_classes=len(SOLIDS))
    print(tg.summary(model, (1, 1, SIDE, SIDE, SIDE)))
    model.to(args.device)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(1, args.epochs + 1):
        model.train()
        for x, y in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x.to(args.device)), y.to(args.device)).backward()
            optimizer.step()
        with tg.no_grad():
            found = model.eval()(volumes).argmax(1)
        print(f"epoch {epoch}: {100 * (found == solids).float().mean().item():.1f} % of the test volumes are right")


if __name__ == "__main__":
    main()
