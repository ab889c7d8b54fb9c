"""python -m benchmarks.results: train what is missing in benchmarks/results/runs.jsonl, then write docs/results.md.

Each finished training is a line there, so a stopped command goes on where it was; delete lines to train again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from . import page
from .program import run_program
from .recipes import ALL, OURS, Program, Recipe
from .training import Run, train

MOST_SEEDS = 3
RUNS = Path(__file__).with_name("runs.jsonl")
DEBIAN = "/usr/share/datasets/fashion-mnist"  # of the package dataset-fashion-mnist


def arguments() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.results", description=__doc__)
    parser.add_argument("--fashion-mnist", default=DEBIAN, metavar="FOLDER", help="with the files of Fashion-MNIST")
    parser.add_argument("--only", nargs="+", default=[""], metavar="NAME", help="recipes whose name contains NAME")
    parser.add_argument("--report", action="store_true", help="train nothing, write the page from the runs there are")
    parser.add_argument("--list", action="store_true", help="print the names of the recipes and stop")
    parser.add_argument("--runs", type=Path, default=RUNS, metavar="FILE", help="finished runs")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of the page and its pictures")
    return parser


def stored(file: Path) -> list[Run]:
    """Return the finished runs."""
    lines = file.read_text().splitlines() if file.is_file() else []
    return [Run(**json.loads(line)) for line in lines]


def wanted(recipes: list[Recipe | Program]) -> list[tuple[Recipe | Program, str, int]]:
    """Return recipes with libraries and seeds: a run of each by us, one by PyTorch, then our other seeds."""
    ours = [[(recipe, OURS, seed) for recipe in recipes for seed in recipe.seeds[i : i + 1]] for i in range(MOST_SEEDS)]
    theirs = [(r, library, r.seeds[0]) for r in recipes for library in r.libraries if library != OURS]
    return ours[0] + theirs + [run for others in ours[1:] for run in others]


def train_missing(recipes: list[Recipe | Program], file: Path, roots: dict[str, str]) -> None:
    """Train what has no line in the file yet, and add the lines."""
    file.parent.mkdir(parents=True, exist_ok=True)
    for recipe, library, seed in wanted(recipes):
        if any((run.recipe, run.library, run.seed) == (recipe.name, library, seed) for run in stored(file)):
            continue
        if isinstance(recipe, Program):
            run = run_program(recipe, seed, file.parent)
        else:
            run = train(recipe, library, seed, roots, file.parent)
        with file.open("a") as lines:
            lines.write(json.dumps(asdict(run)) + "\n")


def main() -> None:
    """Train the chosen recipes and write the page."""
    args = arguments().parse_args()
    chosen = [r for r in ALL if any(name.lower() in r.name.lower() for name in args.only)]
    if args.list:
        print("\n".join(recipe.name for recipe in chosen))
        return
    if not args.report:
        train_missing(chosen, args.runs, {"Fashion-MNIST": args.fashion_mnist})
    page.write(stored(args.runs), args.docs)


if __name__ == "__main__":
    main()
