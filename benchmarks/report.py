"""Results as a table, a summary by family, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import geometric_mean
from typing import Any

from .timing import Timing
from .workloads import Workload

OURS, NCHW, CHANNELS_LAST = "ours", "NCHW", "chan.last"
CROWDED = 0.9  # processor time / elapsed time below which others had the core


@dataclass(frozen=True)
class Result:
    """A workload at a number of threads: timings by side, or why there are none."""

    workload: Workload
    threads: int
    timings: dict[str, Timing] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    failure: str = ""

    def seconds(self, side: str) -> float | None:
        """Return the median time of one operation."""
        timing = self.timings.get(side)
        return None if timing is None else timing.median / self.workload.operations

    def ratio(self, side: str) -> float | None:
        """Return a side's time / ours."""
        ours, theirs = self.seconds(OURS), self.seconds(side)
        return theirs / ours if ours and theirs else None

    @property
    def best_ratio(self) -> float | None:
        """The ratio to the faster of PyTorch's formats."""
        return min(filter(None, (self.ratio(NCHW), self.ratio(CHANNELS_LAST))), default=None)

    def rate(self, amount: float) -> float | None:
        """Return amount (flops or bytes) / our time, in units of 1e9 a second."""
        ours = self.seconds(OURS)
        return 1e-9 * amount / ours if ours and amount else None

    @property
    def crowded(self) -> bool:
        """Whether a side had to share its core."""
        return any(timing.busy < CROWDED for timing in self.timings.values())


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    unit, scale = ("us", 1e6) if seconds < 1e-3 else ("ms", 1e3) if seconds < 1 else ("s", 1)
    value = seconds * scale
    return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f} {unit}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


WIDTHS = {
    "workload": -48, "thr": 3, "ours": 8, "NCHW": 8, "ch.last": 8, "/NCHW": 6, "/ch.l": 6, "/best": 6,
    "spread": 6, "GFLOP/s": 7, "matmul": 6, "GB/s": 6, "copy": 5, "error": 7,
}  # fmt: skip


def _line(cells: Iterable[str]) -> str:
    return "  ".join(f"{c:<{-w}}" if w < 0 else f"{c:>{w}}" for c, w in zip(cells, WIDTHS.values())).rstrip()


def heading() -> str:
    """Return the first line of the table."""
    return _line(WIDTHS)


def row(result: Result, limits: dict[str, float]) -> str:
    """Return the line of one result; `limits` are the machine's GFLOP/s and GB/s at this number of threads."""
    start = (result.workload.name, str(result.threads))
    if result.failure:
        return f"{_line(start)}  FAILED: {result.failure}"
    flops, moved = result.rate(result.workload.flops), result.rate(result.workload.bytes)
    cells = (
        *start,
        *(_time(result.seconds(side)) for side in (OURS, NCHW, CHANNELS_LAST)),
        *(_number(value, ".2f") for value in (result.ratio(NCHW), result.ratio(CHANNELS_LAST), result.best_ratio)),
        f"{max(timing.spread for timing in result.timings.values()):.0%}",
        _number(flops, ".1f"),
        _number(flops and flops / limits["GFLOP/s"], ".0%"),
        _number(moved, ".1f"),
        _number(moved and moved / limits["GB/s"], ".0%"),
        _number(result.errors.get(OURS), ".0e"),
    )
    return _line(cells) + ("  !" if result.crowded else "")


LEGEND = f"""\
Times are medians, for one call.  /X: X's time / ours, above 1 we are faster; /best: the faster of PyTorch's formats.
spread: quartile distance / median, of the least steady side.  GFLOP/s, GB/s: ours, by the flops of the direct algorithm and
with each input read and each output written once; matmul, copy: these as fractions of the attainable figures above.
error: ours against PyTorch in float64, relative, in the 2-norm.  !: a side got less than {CROWDED:.0%} of a core."""


def summary(results: list[Result]) -> str:
    """Return geometric mean and minimum of the ratios to the better format, by family and threads."""
    groups: dict[tuple[str, int], list[Result]] = {}
    for result in results:
        if result.best_ratio is not None:
            groups.setdefault((result.workload.family, result.threads), []).append(result)
    lines = [f"{'family':<30}  thr  rows  geometric mean  least"]
    for (family, threads), members in groups.items():
        least = min(members, key=lambda r: r.best_ratio or 0)
        mean = geometric_mean([r.best_ratio or 0 for r in members])
        lines.append(
            f"{family:<30}  {threads:>3}  {len(members):>4}  {mean:>14.2f}  {least.best_ratio:>5.2f}  {least.workload.name}"
        )
    return "\n".join(lines)


def header(machine: dict[str, Any], limits: dict[int, dict[str, float]]) -> str:
    """Return what the machine is and can do, line by line."""
    lines = [f"{name}: {value}" for name, value in machine.items() if value]
    for threads, limit in limits.items():
        lines.append(
            f"attainable with {threads} thread{'s' * (threads > 1)}: {limit['GFLOP/s']:.0f} GFLOP/s (our matmul, 512 x 512), "
            f"{limit['GB/s']:.1f} GB/s (copy, read + write)"
        )
    return "\n".join(lines)


def _record(result: Result) -> dict[str, Any]:
    w = result.workload
    sides = {
        name: {
            "seconds": result.seconds(name), "spread": t.spread, "least": min(t.samples) / w.operations,
            "samples": len(t.samples), "calls a sample": t.calls, "busy": t.busy,
        }
        for name, t in result.timings.items()
    }  # fmt: skip
    return {
        "workload": w.name, "family": w.family, "threads": result.threads, "sides": sides, "errors": result.errors,
        "ratio NCHW": result.ratio(NCHW), "ratio channels_last": result.ratio(CHANNELS_LAST),
        "ratio best": result.best_ratio, "GFLOP/s": result.rate(w.flops), "GB/s": result.rate(w.bytes),
        "failure": result.failure or None,
    }  # fmt: skip


def write_json(path: Path, machine: dict[str, Any], limits: dict[int, dict[str, float]], results: list[Result]) -> None:
    """Write everything to a file."""
    content = {"machine": machine, "limits": limits, "results": [_record(result) for result in results]}
    path.write_text(json.dumps(content, indent=1) + "\n")
