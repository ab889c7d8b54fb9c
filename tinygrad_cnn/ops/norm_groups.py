"""Normalisation of parts of each sample: layer, group, instance, root mean square.

All but the last are batch normalisation of the input seen as one sample, whose channels are the parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..autograd.modes import no_grad
from .elementwise import T, add, check_floating, check_tensors, mul, rsqrt
from .norm import BatchNorm, _move, batch_norm, channel_shape
from .reduce import mean
from .shape import reshape


def _scaled(op: str, y: Any, weight: Any, bias: Any, size: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """Return y * weight + bias, both of `size`, lined up with y by `shape`."""
    for name, t, combine in (("weight", weight, mul), ("bias", bias, add)):
        if t is None:
            continue
        check_tensors(op, t)
        if t._array.shape != size:
            raise RuntimeError(f"{op}: {name} must have shape {tuple(size)}, got {tuple(t._array.shape)}")
        y = combine(y, reshape(t, shape))
    return y


def _normal(x: Any, parts: int, eps: float) -> tuple[Any, Any, Any]:
    """Return x with each of so many parts, which lie one behind the other, normalised; and their means and biased variances."""
    y, means, variances = BatchNorm.apply(reshape(x, 1, parts, -1), None, None, eps)
    return reshape(y, x._array.shape), means, variances


def _last_axes(op: str, input: Any, normalized_shape: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shape of the last axes, which must be `normalized_shape`, and the axes."""
    check_floating(op, input)
    wanted, shape = tuple(normalized_shape), input._array.shape
    if not wanted or shape[max(0, len(shape) - len(wanted)) :] != wanted:
        raise RuntimeError(
            f"{op}: normalized_shape {wanted} must be the last sizes of the input {tuple(shape)}, at least one"
        )
    return wanted, tuple(range(len(shape) - len(wanted), len(shape)))


def layer_norm(
    input: T, normalized_shape: Sequence[int], weight: T | None = None, bias: T | None = None, eps: float = 1e-5
) -> T:
    """Return (x - mean) / sqrt(var + eps) * weight + bias over the last axes, of sizes normalized_shape.  Ba et al., 2016."""
    size, axes = _last_axes("layer_norm", input, normalized_shape)
    shape = input._array.shape
    y = input if 0 in shape else _normal(input, prod(shape[: axes[0]]), eps)[0]
    return _scaled("layer_norm", y, weight, bias, size, size)


def rms_norm(input: T, normalized_shape: Sequence[int], weight: T | None = None, eps: float | None = None) -> T:
    """Divide by the root of the mean square over the last axes, of sizes normalized_shape.  Zhang and Sennrich, 2019.

    eps, added to the mean square, defaults to the dtype's.
    """
    size, axes = _last_axes("rms_norm", input, normalized_shape)
    least = float(np.finfo(input._array.dtype).eps) if eps is None else eps
    y = mul(input, rsqrt(add(mean(mul(input, input), axes, True), least)))
    return _scaled("rms_norm", y, weight, None, size, size)


def group_norm(input: T, num_groups: int, weight: T | None = None, bias: T | None = None, eps: float = 1e-5) -> T:
    """Normalise each group of channels of each sample of input (N, C, ...); weight and bias (C,).  Wu and He, 2018."""
    check_floating("group_norm", input)
    shape = input._array.shape
    if len(shape) < 2 or num_groups < 1 or shape[1] % num_groups:
        raise RuntimeError(
            f"group_norm: expected input (N, C, ...), C divisible by num_groups={num_groups}, got {tuple(shape)}"
        )
    if shape[0] * shape[1] // num_groups * prod(shape[2:]) == 1:
        raise ValueError(f"group_norm: expected more than 1 value per group, got input shape {tuple(shape)}")
    y = input if 0 in shape else _normal(input, shape[0] * num_groups, eps)[0]
    return _scaled("group_norm", y, weight, bias, (shape[1],), channel_shape(input))


def instance_norm(
    input: T, running_mean: T | None = None, running_var: T | None = None, weight: T | None = None,
    bias: T | None = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> T:  # fmt: skip
    """Normalise each channel of each sample of input (N, C, ...).  Ulyanov et al., 2016.

    By its own mean and variance, whose averages over the samples move the running ones, or else by the running ones.
    """
    check_floating("instance_norm", input)
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    shape = input._array.shape
    if len(shape) < 3:
        raise RuntimeError(f"instance_norm: expected input (N, C, L, ...), got shape {tuple(shape)}")
    n, c, *size = shape
    count = prod(size)
    if count == 1:
        raise ValueError(f"instance_norm: expected more than 1 value per channel, got input shape {tuple(shape)}")
    if 0 in shape:
        return input
    y, means, variances = _normal(input, n * c, eps)
    with no_grad():
        _move(running_mean, mean(reshape(means, n, c), 0), momentum, 1)
        _move(running_var, mean(reshape(variances, n, c), 0), momentum, count / (count - 1))
    return _scaled("instance_norm", y, weight, bias, (c,), channel_shape(input))
