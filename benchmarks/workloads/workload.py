"""Workload: a computation that is written once and run by every side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..frameworks import Framework

Build = Callable[[Framework, np.random.Generator], Callable[[], Any]]


@dataclass(frozen=True)
class Workload:
    """One row of the table.

    `build(framework, random)` makes the inputs, the same ones on every side, and returns the function that is verified and
    then timed.  It returns what is to be compared: tensors, or a module, which stands for its gradients and parameters.
    """

    name: str
    family: str
    build: Build
    flops: float = 0  # of the direct algorithm; 0 where counting them says nothing
    bytes: float = 0  # to read each input and to write each output once
    formats: bool = False  # whether channels_last makes a difference
    operations: int = 1  # in one run; times are given per operation
    tolerance: float = 1e-5  # relative error, in the 2-norm of each output and gradient
    network: bool = False  # whether relus follow each other, so that float32 cannot be compared closely (see verify)
    slow: bool = False  # left out unless asked for


def normal(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Return standard normal float32 numbers."""
    return random.standard_normal(shape, dtype=np.float32)


def floats(*shapes: tuple[int, ...]) -> int:
    """Return the bytes of float32 arrays of these shapes."""
    return 4 * sum(map(prod, shapes))


def backward(y: Any, inputs: Sequence[Any], dy: Any = None) -> tuple[Any, ...]:
    """Return y and the gradients of the inputs, which end up in their `.grad` as in training."""
    for x in inputs:
        x.grad = None
    y.backward(dy)
    return y, *(x.grad for x in inputs)


def forward_backward(
    name: str, family: str, function: Callable[..., Any], *shapes: tuple[int, ...], formats: bool = False
) -> Workload:
    """Return the workload y = function(F, *inputs) and its gradients for a given dy; dy has the shape of the first input."""

    def build(fw: Framework, random: np.random.Generator) -> Callable[[], Any]:
        inputs = [fw.tensor(normal(random, *shape), requires_grad=True) for shape in shapes]
        dy = fw.tensor(normal(random, *shapes[0]))

        return lambda: backward(function(fw.F, *inputs), inputs, dy)

    return Workload(name, family, build, bytes=2 * floats(shapes[0], *shapes), formats=formats)
