"""Initial values, under PyTorch's names; each function fills its tensor in place and returns it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..creation import eye, rand, randn, tensor
from ..tensor import Tensor

LIKELY = 0.3  # if more of a normal distribution lies inside the limits, trunc_normal_ draws from it


@no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with numbers from U(a, b)."""
    return tensor.uniform_(a, b, generator=generator)


@no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with numbers from N(mean, std ** 2)."""
    return tensor.normal_(mean, std, generator=generator)


@no_grad()
def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    """Fill with numbers from N(mean, std ** 2) cut to [a, b]: drawn again until they are inside.

    Where that is rare, numbers from U(a, b) are drawn instead, and kept with the probability that their density asks for.
    """
    if a > b:
        raise ValueError(f"trunc_normal_: a must not exceed b, got a={a} and b={b}")
    below_a, below_b = [(1 + math.erf((limit - mean) / std / math.sqrt(2))) / 2 for limit in (a, b)]
    peak = -(((max(a, min(mean, b)) - mean) / std) ** 2) / 2

    def draw() -> tuple[Tensor, Tensor]:
        kind: dict[str, Any] = {"generator": generator, "dtype": tensor.dtype, "device": tensor.device}
        shape = tuple(tensor.shape)
        if below_b - below_a > LIKELY:
            x = randn(shape, **kind) * std + mean
            return x, (x < a).logical_or(x > b)
        x = rand(shape, **kind) * (b - a) + a
        return x, rand(shape, **kind).log() > ((x - mean) / std).square() / -2 - peak

    values, refused = draw()
    while refused.any():
        again, still = draw()
        values, refused = again.where(refused, values), refused.logical_and(still)
    return tensor.copy_(values)


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one number."""
    return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    return constant_(tensor, 0.0)


@no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_: expected a matrix, got {tensor.ndim} dimensions")
    return tensor.copy_(eye(*tensor.shape, dtype=tensor.dtype, device=tensor.device))


@no_grad()
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill convolution weights (O, C / groups, ...) so that each group keeps its input channels, as far as there are any."""
    if tensor.ndim not in (3, 4, 5) or tensor.shape[0] % groups:
        raise ValueError(f"dirac_: expected convolution weights for {groups} groups, got shape {tuple(tensor.shape)}")
    per_group = tensor.shape[0] // groups
    values = np.zeros(tensor.shape)
    for group in range(groups):
        for c in range(min(per_group, tensor.shape[1])):
            values[(group * per_group + c, c, *[size // 2 for size in tensor.shape[2:]])] = 1
    return tensor.copy_(_like(tensor, values))


def _like(t: Tensor, values: np.ndarray) -> Tensor:
    return tensor(values, dtype=t.dtype, device=t.device)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the recommended gain of a nonlinearity; `param` is the slope of leaky_relu."""
    gains = {"sigmoid": 1, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75, "linear": 1}
    if nonlinearity == "leaky_relu":
        if isinstance(param, bool) or not isinstance(param, (int, float, type(None))):
            raise ValueError(f"calculate_gain: the slope of leaky_relu must be a number, got {param!r}")
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity.startswith("conv"):
        return 1
    if nonlinearity not in gains:
        raise ValueError(
            f"calculate_gain: unsupported nonlinearity {nonlinearity!r}; known: {', '.join(gains)}, leaky_relu"
        )
    return gains[nonlinearity]


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """Return how many inputs an output sees, and how many outputs an input reaches."""
    if tensor.ndim < 2:
        raise ValueError(f"fan in and fan out need at least 2 dimensions, got shape {tuple(tensor.shape)}")
    receptive = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive, tensor.shape[0] * receptive


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Fill from U(-a, a), a = gain * sqrt(6 / (fan_in + fan_out)).  Glorot and Bengio, 2010."""
    bound = gain * math.sqrt(6 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Fill from N(0, gain ** 2 * 2 / (fan_in + fan_out)).  Glorot and Bengio, 2010."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(_calculate_fan_in_and_fan_out(tensor))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"kaiming: mode must be 'fan_in' or 'fan_out', got {mode!r}")
    fan = _calculate_fan_in_and_fan_out(tensor)[mode.lower() == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Fill from U(-b, b), b = gain * sqrt(3 / fan).  He et al., 2015."""
    if 0 in tensor.shape:
        return tensor
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Fill from N(0, gain ** 2 / fan).  He et al., 2015."""
    if 0 in tensor.shape:
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


@no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """Fill so that rows (or columns, if fewer) of the first axis against the rest are orthogonal; Saxe et al., 2013."""
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: expected at least 2 dimensions, got shape {tuple(tensor.shape)}")
    if tensor.numel() == 0:
        return tensor
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    flat = randn(max(rows, columns), min(rows, columns), generator=generator).double().numpy()
    q, r = np.linalg.qr(flat)
    q = q * np.sign(np.diag(r))
    return tensor.copy_(_like(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape)))


@no_grad()
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Fill a matrix from N(0, std ** 2), with the fraction `sparsity` of each column set to 0.  Martens, 2010."""
    if tensor.ndim != 2:
        raise ValueError(f"sparse_: expected a matrix, got {tensor.ndim} dimensions")
    zeros = math.ceil(sparsity * tensor.shape[0])
    rank = rand(*tensor.shape, generator=generator).numpy().argsort(axis=0).argsort(axis=0)
    tensor.normal_(0, std, generator=generator)
    return tensor.mul_(_like(tensor, (rank >= zeros).astype(np.float64)))
