"""python -m benchmarks.memory: the memory of training steps, each side in a process of its own.  Linux only.

Resident memory with the library loaded and network and images made, and how much more there is at the peak of five steps.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from .frameworks import Ours, Torch, TorchChannelsLast
from .workloads import select

SIDES: dict[str, type[Ours] | type[Torch]] = {side.name: side for side in (Ours, Torch, TorchChannelsLast)}
STEPS = [
    "lenet5 training step, batch 64, SGD",
    "resnet20 training step, batch 128",
    "resnet18 training step",
    "alexnet*step",
]


def resident(which: str) -> float:
    """Return this process's resident memory in MB: VmRSS is that of now, VmHWM its peak."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(which))
    return int(line.split()[1]) / 1024


def measure(name: str, side: str) -> tuple[float, float]:
    """Run five steps of a workload and return both numbers."""
    (workload,) = select([name], slow=True)
    run = workload.build(SIDES[side](), np.random.default_rng(0))
    before = resident("VmRSS")
    for _ in range(5):
        run()
    return before, resident("VmHWM") - before


def main() -> int:
    """Measure every step on every side, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", default=STEPS, metavar="PATTERN", help="workloads whose name contains PATTERN"
    )
    args = parser.parse_args()
    print(f"{'MB':48}{'before':>10}{'the step':>10}", flush=True)
    for workload in select(args.only, slow=True):
        for side in SIDES:
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                before, step = process.submit(measure, workload.name, side).result()
            print(f"{workload.name.split(' training')[0] + ', ' + side:48}{before:>10.0f}{step:>10.0f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
