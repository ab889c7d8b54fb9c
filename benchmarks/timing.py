"""The timer: sides take turns, sample by sample, so that whatever disturbs the machine disturbs all of them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np

Run = Callable[[], object]
Clock = Callable[[], float]

SAMPLE = 1e-3  # seconds that a sample takes at least
SHORT = 10e-3  # a sample below this is preceded by untimed calls
LEAD = 20e-3  # seconds of untimed calls after a pause
ROUNDS = 5  # at least


@dataclass(frozen=True)
class Timing:
    """The samples of one side: seconds per call, in the order in which they were taken; none is left out."""

    samples: tuple[float, ...]
    calls: int  # in each sample
    busy: float  # processor time / elapsed time; below 1 others had the core

    @property
    def median(self) -> float:
        """The median sample."""
        return float(np.median(self.samples))

    @property
    def spread(self) -> float:
        """The distance of the quartiles, relative to the median."""
        low, high = np.percentile(self.samples, [25, 75])
        return float(high - low) / self.median if self.median else 0.0


def elapsed(run: Run, calls: int, clock: Clock) -> float:
    """Return the time of `calls` calls."""
    start = clock()
    for _ in range(calls):
        run()
    return clock() - start


def calibrate(run: Run, clock: Clock) -> tuple[int, float]:
    """Warm up; return how many calls make a sample, and its time."""
    run()
    calls = 1
    while True:
        spent = elapsed(run, calls, clock)
        if spent >= SAMPLE:
            return calls, spent
        calls = max(calls + 1, min(10 * calls, int(1.25 * calls * SAMPLE / max(spent, 1e-9))))


def alternate(
    sides: Mapping[str, Run],
    seconds: float,
    settle: float = 0.0,
    clock: Clock = time.perf_counter,
    cpu_clock: Clock = time.process_time,
) -> dict[str, Timing]:
    """Time all sides for about `seconds` together, and at least ROUNDS rounds of one sample each.

    A sample waits `settle` seconds first: OpenMP threads keep spinning for about 8 ms after their last work, on the core
    that the next side needs.  Short samples are preceded by untimed calls, which bring the caches back, and after a pause
    also get a process's threads spread over the cores again, which takes some systems 15 ms.
    """
    plan = {name: calibrate(run, clock) for name, run in sides.items()}
    samples: dict[str, list[float]] = {name: [] for name in sides}
    busy = dict.fromkeys(sides, 0.0)
    rounds = 0
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        end = clock() + seconds
        while rounds < ROUNDS or clock() < end:
            for name, run in sides.items():
                calls, expected = plan[name]
                if settle:
                    time.sleep(settle)
                if settle:
                    elapsed(run, max(calls, ceil(LEAD / expected * calls)), clock)
                elif expected < SHORT:
                    elapsed(run, calls, clock)
                cpu_start = cpu_clock()
                samples[name].append(elapsed(run, calls, clock) / calls)
                busy[name] += cpu_clock() - cpu_start
            rounds += 1
    finally:
        if collecting:
            gc.enable()
    return {name: _timing(samples[name], plan[name][0], busy[name]) for name in sides}


def _timing(samples: list[float], calls: int, cpu_time: float) -> Timing:
    total = sum(samples) * calls
    return Timing(tuple(samples), calls, cpu_time / total if total else 0.0)
