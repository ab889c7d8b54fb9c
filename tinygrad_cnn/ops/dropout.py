"""Dropout: the mask is a function of a seed and a counter, so none is stored."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from ..autograd.graph import Op
from ..random import default_generator
from .elementwise import T, add, cast, check_floating, check_tensors, mul, ne, sub, tensor_like
from .inplace import write_
from .shape import expand, expand_as, squeeze, unsqueeze


class Dropout(Op):
    """x / (1 - p) with probability 1 - p, else 0; the gradient goes through the same mask."""

    def forward(self, x: Any, p: float, seed: int, counter: int) -> Any:
        self.args = (p, seed, counter)
        return self.backend.dropout(x, p, seed, counter)

    def backward(self, dy: Any) -> Any:
        return Dropout.apply(dy, *self.args)


def _check(op: str, input: Any, p: float, training: bool) -> None:
    (check_floating if training else check_tensors)(op, input)
    if not 0 <= p <= 1:
        raise ValueError(f"{op}: p must be a probability between 0 and 1, got {p}")


def _dropped(input: Any, p: float) -> Any:
    if p == 0:
        return input
    if p == 1:
        return mul(input, 0.0)
    return Dropout.apply(input, float(p), *default_generator.take(prod(input._array.shape)))


def _kept(input: Any, p: float) -> Any:
    """Return for each channel of input (N, C, ...) 1 / (1 - p), or 0 with probability p."""
    shape = input._array.shape
    ones = expand(tensor_like(input, 1), (*shape[:2], *[1] * (len(shape) - 2)))
    return expand(_dropped(ones, p), shape)


def dropout(input: T, p: float = 0.5, training: bool = True, inplace: bool = False) -> T:
    """Set elements to 0 with probability p and scale the others by 1 / (1 - p), when training.  Srivastava et al., 2014."""
    _check("dropout", input, p, training)
    if not training:
        return input
    y = _dropped(input, p)
    return write_(input, y, "dropout_") if inplace else y


def _whole_channels(
    op: str, input: Any, p: float, training: bool, inplace: bool, dims: tuple[int, ...], single: int
) -> Any:
    """Drop channels of an input that has one of `dims` numbers of axes; `single` means that it comes without a batch axis."""
    _check(op, input, p, training)
    ndim = input._array.ndim
    if ndim not in dims:
        raise RuntimeError(f"{op}: expected an input of {' or '.join(map(str, dims))} dimensions, got {ndim}")
    if not training or p == 0:
        return input
    x = unsqueeze(input, 0) if ndim == single else input
    kept = _kept(x, p)
    y = mul(input, squeeze(kept, 0) if ndim == single else kept)
    return write_(input, y, op + "_") if inplace else y


def dropout1d(input: T, p: float = 0.5, training: bool = True, inplace: bool = False) -> T:
    """Set whole channels (N, C, L) or (C, L) to 0 with probability p and scale the others, when training."""
    return _whole_channels("dropout1d", input, p, training, inplace, (2, 3), 2)


def dropout2d(input: T, p: float = 0.5, training: bool = True, inplace: bool = False) -> T:
    """Set whole feature maps (N, C, ...) to 0 with probability p and scale the others, when training."""
    return _whole_channels("dropout2d", input, p, training, inplace, (2, 3, 4, 5), 0)


def dropout3d(input: T, p: float = 0.5, training: bool = True, inplace: bool = False) -> T:
    """Set whole volumes (N, C, D, H, W) or (C, D, H, W) to 0 with probability p and scale the others, when training."""
    return _whole_channels("dropout3d", input, p, training, inplace, (2, 3, 4, 5), 4)


def _alpha(op: str, input: Any, p: float, training: bool, inplace: bool, keep: Callable[[Any, float], Any]) -> Any:
    """Replace dropped elements by what selu gives for very negative input, then restore mean 0 and variance 1."""
    _check(op, input, p, training)
    if not training or p == 0:
        return input
    floor = -1.7580993408473766
    if p == 1:
        y = mul(input, 0.0)
    else:
        mask = cast(ne(keep(input, p), 0), input._array.dtype)
        scale = ((1 - p) * (1 + p * floor**2)) ** -0.5
        y = add(mul(add(mul(input, mask), mul(sub(1, mask), floor)), scale), -scale * p * floor)
    return write_(input, y, op + "_") if inplace else y


def alpha_dropout(input: T, p: float = 0.5, training: bool = False, inplace: bool = False) -> T:
    """Drop elements to the floor of selu, keeping mean and variance, when training.  Klambauer et al., 2017."""
    return _alpha(
        "alpha_dropout", input, p, training, inplace, lambda x, p: _dropped(expand_as(tensor_like(x, 1), x), p)
    )


def feature_alpha_dropout(input: T, p: float = 0.5, training: bool = False, inplace: bool = False) -> T:
    """Drop whole channels (N, C, ...) to the floor of selu with probability p, when training."""
    return _alpha("feature_alpha_dropout", input, p, training, inplace, _kept)
