"""Dropout: the mask is a function of a seed and a counter, so none is stored."""

from __future__ import annotations

from math import prod
from typing import Any

from ..autograd.graph import Op
from ..random import default_generator
from .elementwise import T, check_tensors, mul, tensor_like
from .inplace import write_
from .shape import expand


class Dropout(Op):
    """x / (1 - p) with probability 1 - p, else 0; the gradient goes through the same mask."""

    def forward(self, x: Any, p: float, seed: int, counter: int) -> Any:
        self.args = (p, seed, counter)
        return self.backend.dropout(x, p, seed, counter)

    def backward(self, dy: Any) -> Any:
        return Dropout.apply(dy, *self.args)


def _check(op: str, input: Any, p: float, training: bool) -> None:
    check_tensors(op, input)
    if training and input._array.dtype.kind != "f":
        raise RuntimeError(f"{op}: expected a floating input, got {input._array.dtype}; convert with .float()")
    if not 0 <= p <= 1:
        raise ValueError(f"{op}: p must be a probability between 0 and 1, got {p}")


def _dropped(input: Any, p: float) -> Any:
    if p == 0:
        return input
    if p == 1:
        return mul(input, 0.0)
    return Dropout.apply(input, float(p), *default_generator.take(prod(input._array.shape)))


def dropout(input: T, p: float = 0.5, training: bool = True, inplace: bool = False) -> T:
    """Set elements to 0 with probability p and scale the others by 1 / (1 - p), when training.  Srivastava et al., 2014."""
    _check("dropout", input, p, training)
    if not training:
        return input
    y = _dropped(input, p)
    return write_(input, y, "dropout_") if inplace else y


def dropout2d(input: T, p: float = 0.5, training: bool = True, inplace: bool = False) -> T:
    """Set whole feature maps (N, C, ...) to 0 with probability p and scale the others, when training."""
    _check("dropout2d", input, p, training)
    if not training or p == 0:
        return input
    shape = input._array.shape
    ones = expand(tensor_like(input, 1), (*shape[:2], *[1] * (len(shape) - 2)))
    y = mul(input, expand(_dropped(ones, p), shape))
    return write_(input, y, "dropout2d_") if inplace else y
