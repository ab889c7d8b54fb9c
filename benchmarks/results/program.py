"""A run of an example that has a training of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from .recipes import OURS, Program
from .training import Run

LINE = re.compile(r"pass \d+: error ([\d.]+) % while training, ([\d.]+) % in the test")


def processor_seconds() -> float:
    """Return the processor time of all programs that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def run_program(program: Program, seed: int, folder: Path) -> Run:
    """Run an example on one thread and read its lines; its processor time is shared out equally to the passes."""
    run = Run(program.name, OURS, seed, program.images)
    command = [sys.executable, program.file, "--seed", str(seed), "--out", str(folder)]
    environment, start = {**os.environ, "OMP_NUM_THREADS": "1"}, processor_seconds()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"{program.name} | seed {seed} | {line}", end="", flush=True)
            if numbers := LINE.search(line):
                run.train_error.append(float(numbers[1]) / 100)
                run.test_error.append(float(numbers[2]) / 100)
    if process.returncode or len(run.test_error) != program.epochs:
        passes = f"{len(run.test_error)} of {program.epochs} passes"
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode} after {passes}")
    run.seconds = [(processor_seconds() - start) / program.epochs] * program.epochs
    return run
