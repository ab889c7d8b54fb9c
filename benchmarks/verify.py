"""Verification: what each side computes is compared with PyTorch in float64, output by output, gradient by gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

Run = Callable[[], Any]

EXACT = 1e-9  # relative error allowed in float64
SANE = 0.1  # allowed to PyTorch's own float32 sides: a larger one is a mistake in this package
LENIENCE = 10


class VerificationError(AssertionError):
    """A side computed something else."""


def arrays(value: Any) -> Iterator[np.ndarray]:
    """Yield the arrays of a result: a tensor, a sequence, or a module (its gradients, parameters and buffers)."""
    if hasattr(value, "parameters"):
        for p in value.parameters():
            yield from arrays((p.grad, p))
        yield from arrays(tuple(value.buffers()))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from arrays(item)
    else:
        yield value.detach().numpy()


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Return |found - expected| / |expected| in the 2-norm; infinite for different shapes."""
    if found.shape != expected.shape:
        return float("inf")
    difference, scale = np.linalg.norm(found - expected), np.linalg.norm(expected)
    return float(difference / scale) if scale else float(difference)


def compare(found: Any, expected: Any) -> float:
    """Return the largest relative error among the arrays of two results."""
    errors = [relative_error(f, e) for f, e in zip(arrays(found), arrays(expected), strict=True)]
    return max(errors, key=lambda error: np.inf if np.isnan(error) else error)


def verify(
    runs: Mapping[str, Run], reference: Run, tolerance: float, ours: str, double: Run | None = None
) -> dict[str, float]:
    """Return the error of each side; VerificationError if that of `ours` exceeds the tolerance.

    `double`, our side in float64, is for networks: there rounding flips the sign of a few relu inputs among millions, which
    moves float32 gradients by up to 1e-2, PyTorch's too.  So the float64 side proves the computation, and in float32 ours
    may be LENIENCE times as far off as PyTorch's sides are.
    """
    for _ in range(1 if double is None else 2):  # the second time through the optimiser's and the layers' state
        expected = reference()
        errors = {name: compare(run(), expected) for name, run in runs.items()}
        exact = 0.0 if double is None else compare(double(), expected)
    limits = dict.fromkeys(runs, SANE)
    theirs = max(error for name, error in errors.items() if name != ours)
    limits[ours] = tolerance if double is None else max(tolerance, min(LENIENCE * theirs, SANE))
    wrong = [
        f"{name} has an error of {e:.1e} > {limits[name]:.0e}" for name, e in errors.items() if not e <= limits[name]
    ]
    if not exact <= EXACT:
        wrong.append(f"{ours} in float64 has an error of {exact:.1e} > {EXACT:.0e}")
    if wrong:
        raise VerificationError("; ".join(wrong))
    return errors
