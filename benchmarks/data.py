"""python -m benchmarks.data: a pass over random images of CIFAR-10's size through our DataLoader and PyTorch's.

Images are padded, cropped, flipped, scaled and normalised: by our transforms, and by the same steps in PyTorch's operations.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn.datasets.vision import ImagesInMemory
from tinygrad_cnn.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToTensor
from tinygrad_cnn.utils.data import DataLoader, TensorDataset

from .timing import alternate

COUNT, BATCH, PADDING = 5120, 128, 4
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


class Images(ImagesInMemory):
    """Random images in memory."""

    train = True

    def __init__(self, pixels: np.ndarray, itemwise: bool) -> None:
        super().__init__(
            transform=Compose([RandomCrop(32, PADDING), RandomHorizontalFlip(), ToTensor(), Normalize(MEAN, STD)])
        )
        self.data, self.targets = pixels, [0] * len(pixels)
        if itemwise:
            self.batch = None  # type: ignore[assignment,method-assign]


def torch_images(pixels: np.ndarray) -> Any:
    """Return the same as a data set for PyTorch's loader."""
    import torch

    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    mean, std = [torch.tensor(values).reshape(3, 1, 1) for values in (MEAN, STD)]

    class Images(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int) -> tuple[Any, int]:
            padded = torch.nn.functional.pad(images[index], [PADDING] * 4)
            i, j = torch.randint(0, 2 * PADDING + 1, (2,)).tolist()
            image = padded[:, i : i + 32, j : j + 32]
            image = image.flip(-1) if torch.rand(1) < 0.5 else image
            return (image.to(torch.float32).div(255) - mean) / std, 0

    return Images()


def passes(pixels: np.ndarray) -> dict[str, dict[str, Callable[[], int]]]:
    """Return, for each row, one pass over the data on each side."""
    import torch

    def consume(loader: Any) -> Callable[[], int]:
        return lambda: sum(len(x) for x, _ in loader)

    floats, labels = pixels.transpose(0, 3, 1, 2).astype(np.float32), np.zeros(len(pixels), np.int64)
    sets = TensorDataset(tg.tensor(floats), tg.tensor(labels))
    torch_sets = torch.utils.data.TensorDataset(torch.tensor(floats), torch.tensor(labels))
    rows: dict[str, dict[str, Callable[[], int]]] = {
        "rows of tensors": {
            "ours": consume(DataLoader(sets, BATCH, shuffle=True)),
            "PyTorch": consume(torch.utils.data.DataLoader(torch_sets, BATCH, shuffle=True)),
        }
    }
    for name, itemwise, workers in (
        ("augmented images", False, 0),
        ("augmented images, one by one", True, 0),
        ("augmented images, one by one, 2 workers", True, 2),
    ):
        options = {"num_workers": workers, "persistent_workers": bool(workers)}
        rows[name] = {
            "ours": consume(DataLoader(Images(pixels, itemwise), BATCH, shuffle=True, **options)),
            "PyTorch": consume(torch.utils.data.DataLoader(torch_images(pixels), BATCH, shuffle=True, **options)),
        }
    return rows


def main() -> int:
    """Time all rows; print images a second."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, metavar="PER_ROW")
    parser.add_argument("--count", type=int, default=COUNT, metavar="IMAGES")
    args = parser.parse_args()
    if find_spec("torch") is None:
        sys.exit("PyTorch is not installed: pip install 'tinygrad_cnn[parity]'")
    from .frameworks import set_num_threads

    set_num_threads(1)
    pixels = np.random.default_rng(0).integers(0, 256, (args.count, 32, 32, 3), np.uint8)
    print("| thousand images a second, batches of 128 | ours | PyTorch | ratio |\n|---|---|---|---|")
    for name, sides in passes(pixels).items():
        assert {run() for run in sides.values()} == {len(pixels)}, "a side left images out"
        speeds = [len(pixels) / timing.median / 1e3 for timing in alternate(sides, args.seconds).values()]
        print(f"| {name} | {speeds[0]:.0f} | {speeds[1]:.0f} | {speeds[0] / speeds[1]:.1f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
