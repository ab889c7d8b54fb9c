"""python -m benchmarks.algorithms: time every algorithm of convolution, and judge the table that chooses among them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from fnmatch import fnmatchcase
from statistics import geometric_mean
from typing import Any

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn.backends import algorithms
from tinygrad_cnn.geometry import Window, window

from .frameworks import Ours
from .runner import SETTLE
from .timing import alternate
from .verify import relative_error
from .workloads import Workload
from .workloads.conv import LAYERS, PASSES, Layer, workload

NAMES = ("direct", *algorithms.TILE)


def place(layer: Layer) -> Window:
    """Return the geometry of a layer."""
    size = (layer.size, layer.size)
    return window("conv2d", size, layer.kernel, layer.stride, layer.padding, layer.dilation)


FITTING = [layer for layer in LAYERS if algorithms.fits(place(layer))]


def choice(layer: Layer, which: str) -> str:
    """Return what the table chooses."""
    x, w, y = layer.shapes
    size = (x if which == "input grad" else y)[2:]
    sides = (w[0] // layer.groups, w[1], size)
    return algorithms.choose(which, np.dtype(np.float32), place(layer), layer.groups, layer.batch, *sides)


def sides(work: Workload) -> dict[str, Callable[[], Any]]:
    """Return the same pass by every algorithm, verified against the direct one."""
    run = work.build(Ours(), np.random.default_rng(0))

    def by(name: str) -> Callable[[], Any]:
        def forced() -> Any:
            with tg.set_conv_algorithm(name):
                return run()

        return forced

    runs = {name: by(name) for name in NAMES}
    expected = runs["direct"]().numpy()
    for name, forced in runs.items():
        error = relative_error(forced().numpy(), expected)
        if not error < work.tolerance:
            raise RuntimeError(f"{work.name}: {name} differs from direct by {error:.0e}")
    return runs


def main() -> None:
    """Print a line for every pass of every layer."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.algorithms", description=__doc__)
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument(
        "--only", default="", metavar="PATTERN", help="passes whose name contains PATTERN (* is anything)"
    )
    parser.add_argument("--seconds", type=float, default=0.5, metavar="PER_PASS")
    args = parser.parse_args()
    tg.set_num_threads(args.threads)
    print(f"{'pass':<46}" + "".join(f"{name:>12}" for name in NAMES) + f"  {'choice':<10} regret")
    regrets = []
    for layer in FITTING:
        for which in PASSES:
            work = workload(layer, which)
            if not fnmatchcase(work.name.lower(), f"*{args.only.lower()}*"):
                continue
            timings = alternate(sides(work), args.seconds, SETTLE if args.threads > 1 else 0)
            times = {name: timing.median for name, timing in timings.items()}
            chosen = choice(layer, which)
            regrets.append(times[chosen] / min(times.values()))
            cells = "".join(f"{times[name] * 1e3:>9.2f} ms" for name in NAMES)
            print(f"{work.name:<46}{cells}  {chosen:<10} {regrets[-1] - 1:>5.0%}", flush=True)
    if regrets:
        print(
            f"\nregret: by how much the chosen algorithm is slower than the fastest; "
            f"{geometric_mean(regrets) - 1:.1%} on average, {max(regrets) - 1:.0%} at most"
        )


if __name__ == "__main__":
    main()
