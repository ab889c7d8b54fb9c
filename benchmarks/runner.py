"""One workload at one number of threads: build the sides, verify them, time them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .frameworks import Framework, Ours, OursDouble, Torch, TorchChannelsLast, TorchDouble, set_num_threads
from .report import Result
from .timing import alternate
from .verify import verify
from .workloads import Workload

SETTLE = 0.01  # seconds; see timing.alternate


def build(workload: Workload, framework: Framework) -> Callable[[], Any]:
    """Return what a side runs, on the same numbers as every other side."""
    return workload.build(framework, np.random.default_rng(0))


def build_sides(workload: Workload) -> dict[str, Callable[[], Any]]:
    """Return what is timed."""
    frameworks: list[Framework] = [Ours(), Torch()]
    if workload.formats:
        frameworks.append(TorchChannelsLast())
    return {fw.name: build(workload, fw) for fw in frameworks}


def check(workload: Workload, sides: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the errors of the sides, or raise VerificationError."""
    double = build(workload, OursDouble()) if workload.network else None
    return verify(sides, build(workload, TorchDouble()), workload.tolerance, Ours.name, double)


def run(workload: Workload, threads: int, seconds: float) -> Result:
    """Verify, then time for about `seconds`; whatever goes wrong before is the result's failure."""
    set_num_threads(threads)
    try:
        sides = build_sides(workload)
        errors = check(workload, sides)
    except Exception as error:  # one broken workload must not end the run
        return Result(workload, threads, failure=f"{type(error).__name__}: {error}")
    return Result(workload, threads, alternate(sides, seconds, SETTLE if threads > 1 else 0), errors)
