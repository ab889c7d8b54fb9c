"""Times of kernels and training steps on a GPU, by events, beside PyTorch's: python -m benchmarks.gpu.

Medians of 20 after 5 warm-up runs.  PyTorch is timed with TF32 off and on, if it sees the GPU.  Results are verified first.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_cnn as tg

Case = tuple[str, Callable[[Any], Callable[[], Any]]]


def product(n: int) -> Case:
    """Return the product of n x n matrices."""

    def make(t: Any) -> Callable[[], Any]:
        x, y = (
            t.tensor(np.random.default_rng(k).standard_normal((n, n)).astype(np.float32)).to("cuda") for k in (0, 1)
        )
        return lambda: x @ y

    return f"matmul {n}", make


def convolution(channels: int, size: int, images: int) -> Case:
    """Return the three passes of a 3x3 convolution."""

    def make(t: Any) -> Callable[[], Any]:
        rng = np.random.default_rng(0)
        x = t.tensor(rng.standard_normal((images, channels, size, size)).astype(np.float32)).to("cuda").requires_grad_()
        w = t.tensor(rng.standard_normal((channels, channels, 3, 3)).astype(np.float32)).to("cuda").requires_grad_()

        def run() -> Any:
            x.grad = w.grad = None
            t.nn.functional.conv2d(x, w, padding=1).backward(gradient)
            return w.grad

        gradient = t.nn.functional.conv2d(x, w, padding=1).detach()
        return run

    return f"conv 3x3 {channels}@{size}, batch {images}, forward and backward", make


def copy(n: int) -> Case:
    """Return an elementwise sum, whose speed is that of memory."""

    def make(t: Any) -> Callable[[], Any]:
        x = t.ones(n).to("cuda")
        return lambda: x + x

    return f"add of {n:,} elements", make


def lenet(images: int) -> Case:
    """Return a training step of LeNet-5."""

    def make(t: Any) -> Callable[[], Any]:
        nn = t.nn
        model = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
        ).to("cuda")  # fmt: skip
        optimizer = t.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        x, labels = t.ones(images, 1, 28, 28).to("cuda"), t.zeros(images, dtype=t.int64).to("cuda")

        def step() -> Any:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), labels)
            loss.backward()
            optimizer.step()
            return loss

        return step

    return f"LeNet-5 training step, batch {images}", make


CASES = [
    copy(1 << 24),
    product(1024),
    product(4096),
    convolution(64, 56, 32),
    convolution(256, 14, 32),
    lenet(64),
    lenet(256),
]


def milliseconds(t: Any, run: Callable[[], Any], repeats: int) -> float:
    """Return the median time of a call."""
    times = []
    for k in range(repeats + 5):
        start, end = (t.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        t.cuda.synchronize()
        if k >= 5:
            times.append(start.elapsed_time(end))
    return statistics.median(times)


def main() -> None:
    """Print one line for each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    if not tg.cuda.is_available():
        raise SystemExit(f"no GPU: {tg.backends.cuda.reason()}")
    rival: Any = None
    if importlib.util.find_spec("torch"):
        import torch

        rival = torch if torch.cuda.is_available() else None
    print(f"device: {tg.cuda.get_device_name()}; PyTorch: {rival.__version__ if rival else 'does not see the GPU'}")
    for name, make in CASES:
        run = make(tg)
        cells = [f"{milliseconds(tg, run, repeats):8.3f} ms"]
        if name.startswith("LeNet"):
            cells.append(f"recorded {milliseconds(tg, tg.cuda.graph(run), repeats):8.3f} ms")
        if rival:
            theirs = make(rival)
            for tf32 in (False, True):
                rival.backends.cuda.matmul.allow_tf32 = rival.backends.cudnn.allow_tf32 = tf32
                cells.append(f"PyTorch {'with TF32' if tf32 else ''} {milliseconds(rival, theirs, repeats):8.3f} ms")
                if not tf32 and "step" not in name:
                    np.testing.assert_allclose(
                        run().cpu().numpy(), theirs().detach().cpu().numpy(), rtol=1e-2, atol=1e-2
                    )
        print(f"{name:60}", *cells, sep="  ")


if __name__ == "__main__":
    main()
