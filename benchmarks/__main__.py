"""python -m benchmarks: verify and time workloads beside PyTorch, as a table and as JSON.

NumPy takes no part in what is timed, so settings of its BLAS (OPENBLAS_CORETYPE) do not matter.
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from . import report
from .workloads import select


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], metavar="N", help="numbers of threads")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="PATTERN", help="workloads whose name contains PATTERN (* is anything)"
    )
    parser.add_argument("--all", action="store_true", help="slow workloads too")
    parser.add_argument("--list", action="store_true", help="print the names of the workloads and stop")
    parser.add_argument("--seconds", type=float, default=0.5, metavar="PER_WORKLOAD", help="at each number of threads")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to FILE")
    return parser


def main() -> int:
    """Run the chosen workloads; return 1 if one failed."""
    args = arguments().parse_args()
    workloads = select(args.only, args.all)
    if args.list:
        print("\n".join(w.name + "  (slow)" * w.slow for w in workloads))
        return 0
    if not workloads:
        sys.exit(f"no workload matches {' '.join(args.only)}; --list names them all")
    if find_spec("torch") is None:
        sys.exit("PyTorch is not installed: pip install 'tinygrad_cnn[parity]'")
    from . import machine, runner

    description = machine.describe()
    limits = {threads: machine.measure(threads) for threads in args.threads}
    print(report.header(description, limits), report.heading(), sep="\n\n", flush=True)
    results = []
    for workload in workloads:
        for threads in args.threads:
            results.append(runner.run(workload, threads, args.seconds))
            print(report.row(results[-1], limits[threads]), flush=True)
    print("", report.LEGEND, "", report.summary(results), sep="\n")
    if args.json:
        report.write_json(args.json, description, limits, results)
    failed = sum(bool(result.failure) for result in results)
    if failed:
        print(f"\n{failed} of {len(results)} FAILED verification and were not timed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
