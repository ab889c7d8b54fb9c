"""python -m benchmarks.neighbour: training steps while another process keeps one core busy.

For each side: the time with one thread, then with two, alone and beside the busy process, relative to one thread alone.
Threads that wait for each other may together become many times slower than one; they should not.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import machine, report, runner
from .frameworks import set_num_threads
from .timing import alternate
from .workloads import select

STEPS = ["lenet5 training step, batch 64, SGD", "resnet20 training step, batch 128"]
SECONDS = 4.0


@contextmanager
def busy_process() -> Iterator[None]:
    """Run a process that never rests."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def medians(sides: dict[str, Callable[[], Any]], threads: int) -> dict[str, float]:
    """Return the median time of each side with a number of threads."""
    set_num_threads(threads)
    found = alternate(sides, SECONDS, runner.SETTLE)
    return {name: timing.median for name, timing in found.items()}


def main() -> int:
    """Time the steps and print a table."""
    print(report.header(machine.describe(), {}), "", sep="\n")
    print(f"{'':42}{'1 thread':>10}{'2 threads':>11}{'2 beside a busy process':>26}", flush=True)
    for workload in select(STEPS, slow=True):
        set_num_threads(1)
        sides = runner.build_sides(workload)
        runner.check(workload, sides)
        alone, both = medians(sides, 1), medians(sides, 2)
        with busy_process():
            beside = medians(sides, 2)
        for name, one in alone.items():
            row = f"{workload.name.split(' training')[0] + ', ' + name:42}{one * 1e3:>7.2f} ms"
            print(f"{row}{both[name] / one:>11.2f}{beside[name] / one:>26.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
