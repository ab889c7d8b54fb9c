"""Convolve a photograph with kernels that blur, sharpen and find edges: what a first layer may learn, done by hand."""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from devices import parse_args
from matplotlib.cbook import get_sample_data

import tinygrad_cnn as tg
from tinygrad_cnn.nn import functional as F

KERNELS = {
    "blur": np.ones((5, 5)) / 25,
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "horizontal edges": [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],  # Sobel's
    "vertical edges": [[1, 0, -1], [2, 0, -2], [1, 0, -1]],
    "all edges": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],  # Laplace's
}


def main():
    """Filter the photograph and save the pictures side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", help="a picture (default: Grace Hopper, 1984, who comes with matplotlib)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the picture")
    args = parse_args(parser)
    photograph = plt.imread(args.image or get_sample_data("grace_hopper.jpg", asfileobj=False))
    grey = photograph[..., :3].mean(2) if photograph.ndim == 3 else photograph
    image = tg.tensor(grey / (255 if photograph.dtype == np.uint8 else 1), dtype=tg.float32)[None, None]

    pictures = {"the photograph": image}
    for name, values in KERNELS.items():
        kernel = tg.tensor(values, dtype=tg.float32, device=args.device)[None, None]
        same = F.conv2d(image.to(args.device), kernel, padding="same")  # the same size: zeros around the image
        pictures[name] = same.cpu()
    figure, grid = plt.subplots(2, 3, figsize=(9, 8), layout="constrained")
    for axes, (name, picture) in zip(grid.flat, pictures.items()):
        low, high = (-1, 1) if "edges" in name else (0, 1)  # edges have a sign: grey is 0
        axes.imshow(picture[0, 0].numpy(), cmap="gray", vmin=low, vmax=high)
        axes.set_title(f"{name}: black {low}, white {high}", fontsize=10)
        axes.axis("off")
    args.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out / "filters.png", dpi=120)
    print(f"wrote {args.out.resolve() / 'filters.png'}")


if __name__ == "__main__":
    main()
