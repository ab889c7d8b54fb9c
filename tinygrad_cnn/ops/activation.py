"""Activations, composed of elementwise operations.  relu, leaky_relu, sigmoid and tanh are rows of elementwise.py."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import partial, wraps
from math import pi, sqrt
from typing import Any

from .. import dtypes
from ..geometry import wrap_dim
from . import reduce
from .elementwise import (
    Number, T, abs, add, cast, check_floating, check_tensors, clamp, div, element_like, exp, gt,
    le, leaky_relu, log, log1p, lt, mul, neg, number, row, sigmoid, sub, tanh, where,
)  # fmt: skip
from .inplace import in_place, operand, write_
from .reduce import argmax
from .shape import narrow, reshape, unsqueeze

SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def activation(function: Callable[..., Any], floating: bool = True) -> Callable[..., Any]:
    """Check the input of an activation, and let it change the input if its argument `inplace`, the last one, says so."""
    name, names = function.__name__, list(inspect.signature(function).parameters)[1:]
    last = names.index("inplace") if "inplace" in names else len(names)

    @wraps(function)
    def wrapper(input: Any, *args: Any, **kwargs: Any) -> Any:
        (check_floating if floating else check_tensors)(name, input)
        if kwargs.get("inplace") or (len(args) > last and args[last]):
            return write_(input, function(operand(input), *args, **kwargs), name + "_")
        return function(input, *args, **kwargs)

    return wrapper


# ---- those with kernels ----

# Unlike clamp's, this gradient does not pass at the limits.
_hardtanh = row("clamp", lambda dy, a, b, c: _hardtanh_grad(dy, a, b, c))
_hardtanh_grad: Callable[..., Any] = row("hardtanh_grad", lambda dy, b, c, d: _hardtanh_grad(dy, b, c, d), None)
_hardsigmoid = row("hardsigmoid", lambda dy, a: _hardsigmoid_grad(dy, a))
_hardsigmoid_grad: Callable[..., Any] = row("hardsigmoid_grad", lambda dy, b: _hardsigmoid_grad(dy, b), None)
_hardswish = row("hardswish", lambda dy, a: _hardswish_grad(dy, a))
_hardswish_grad: Callable[..., Any] = row(
    "hardswish_grad", lambda dy, b: _hardswish_grad(dy, b), lambda dy, a, b: where(lt(abs(b), 3), dy * a / 3, 0.0)
)
_silu = row("silu", lambda dy, a: _silu_grad(dy, a))
_silu_grad: Callable[..., Any] = row(
    "silu_grad", lambda dy, b: _silu_grad(dy, b), lambda dy, a, b: dy * a * _silu_curvature(sigmoid(b), b)
)


_elu = row("elu", lambda dy, a, b, c: _elu_grad(dy, a, b, c))
_elu_grad: Callable[..., Any] = row(
    "elu_grad",
    lambda dy, b, c, d: _elu_grad(dy, b, c, d),
    lambda dy, a, b, c, d: where(gt(b, 0), 0.0, dy * a * (c * d * d) * exp(clamp(b, max=0) * d)),
)
_gelu = row("gelu", lambda dy, a: _gelu_grad(dy, a))
_gelu_grad: Callable[..., Any] = row(
    "gelu_grad",
    lambda dy, b: _gelu_grad(dy, b),
    lambda dy, a, b: dy * a * exp(b * b * -0.5) * (2 - b * b) * sqrt(0.5 / pi),
)
_gelu_tanh = row("gelu_tanh", lambda dy, a: _gelu_tanh_grad(dy, a))
_gelu_tanh_grad: Callable[..., Any] = row(
    "gelu_tanh_grad", lambda dy, b: _gelu_tanh_grad(dy, b), lambda dy, a, b: dy * a * _gelu_tanh_curvature(b)
)
_logsigmoid = row("logsigmoid", lambda dy, a: _logsigmoid_grad(dy, a))
_logsigmoid_grad: Callable[..., Any] = row(
    "logsigmoid_grad", lambda dy, b: _logsigmoid_grad(dy, b), lambda dy, a, b: -dy * a * _sigmoid_slope(sigmoid(b))
)
_mish = row("mish", lambda dy, a: _mish_grad(dy, a))
_mish_grad: Callable[..., Any] = row(
    "mish_grad", lambda dy, b: _mish_grad(dy, b), lambda dy, a, b: dy * a * _mish_curvature(sigmoid(b), b)
)
_softplus = row("softplus", lambda dy, a, b, c: _softplus_grad(dy, a, b, c))
_softplus_grad: Callable[..., Any] = row(
    "softplus_grad",
    lambda dy, b, c, d: _softplus_grad(dy, b, c, d),
    lambda dy, a, b, c, d: where(gt(b * c, d), 0.0, dy * a * c * _sigmoid_slope(sigmoid(b * c))),
)


def _sigmoid_slope(s: Any) -> Any:
    """Return the derivative of sigmoid from its value."""
    return s * (1 - s)


def _silu_curvature(s: Any, x: Any) -> Any:
    """Return the second derivative of silu; s is sigmoid(x)."""
    return _sigmoid_slope(s) * (2 + x * (1 - 2 * s))


def _gelu_tanh_curvature(x: Any) -> Any:
    """Return the second derivative of x * sigmoid(u), u = k * (x + 0.044715 * x ** 3)."""
    k, square = sqrt(8 / pi), x * x
    s = sigmoid(x * (square * 0.044715 + 1) * k)
    slope, bend = (square * (3 * 0.044715) + 1) * k, x * (6 * 0.044715 * k)  # of u
    return _sigmoid_slope(s) * (2 * slope + x * bend + x * slope * slope * (1 - 2 * s))


def _mish_curvature(s: Any, x: Any) -> Any:
    """Return the second derivative of x * t, t = tanh(softplus(x)); s is sigmoid(x)."""
    t = tanh(softplus(x))
    return (1 - t * t) * s * (2 + x * (1 - s - 2 * t * s))


# ---- pieces of lines ----


@partial(activation, floating=False)
def hardtanh(input: T, min_val: Number = -1.0, max_val: Number = 1.0, inplace: bool = False) -> T:
    """Limit elements to [min_val, max_val]; the gradient passes strictly inside."""
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val must not be larger than max_val, got {min_val} and {max_val}")
    kind = input._array.dtype
    low, high = [dtypes.stored("hardtanh", number("hardtanh", limit), kind) for limit in (min_val, max_val)]
    return _hardtanh(input, low, high)


@partial(activation, floating=False)
def relu6(input: T, inplace: bool = False) -> T:
    """Return min(max(input, 0), 6); the gradient passes strictly inside."""
    if input._array.dtype.kind == "b":
        raise RuntimeError("relu6: not defined for bools; convert with .int()")
    return _hardtanh(input, 0, 6)


@activation
def hardsigmoid(input: T, inplace: bool = False) -> T:
    """Return input / 6 + 1/2, limited to [0, 1]."""
    return _hardsigmoid(input)


@activation
def hardswish(input: T, inplace: bool = False) -> T:
    """Return input * hardsigmoid(input)."""
    return _hardswish(input)


@partial(activation, floating=False)
def threshold(input: T, threshold: Number, value: Number, inplace: bool = False) -> T:
    """Return input where it is larger than threshold, value elsewhere."""
    return where(le(input, threshold), element_like("threshold", input, value), input)


@activation
def hardshrink(input: T, lambd: Number = 0.5) -> T:
    """Return input where it is beyond -lambd or lambd, 0 elsewhere."""
    return where(le(abs(input), lambd), 0.0, input)


@activation
def softshrink(input: T, lambd: Number = 0.5) -> T:
    """Return input moved by lambd towards 0, which it does not pass."""
    if lambd < 0:
        raise RuntimeError(f"softshrink: lambd must not be negative, got {lambd}")
    return sub(input, clamp(input, -lambd, lambd))


@activation
def rrelu(input: T, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False) -> T:
    """Multiply negative elements by a slope from [lower, upper]: in training a random one for each, else the middle."""
    if lower > upper:
        raise RuntimeError(f"rrelu: lower must not be larger than upper, got {lower} and {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2)
    slopes = input.new_empty(input._array.shape).uniform_(lower, upper)  # type: ignore[attr-defined]
    return where(le(input, 0), mul(input, slopes), input)


@activation
def prelu(input: T, weight: T) -> T:
    """Return input where it is positive, weight * input elsewhere; one weight, or one for each channel (axis 1)."""
    check_tensors("prelu", weight)
    shape, count = input._array.shape, weight._array.shape
    if count not in ((), (1,)):
        channels = shape[1] if len(shape) > 1 else 1
        if count != (channels,):
            raise RuntimeError(
                f"prelu: weight must hold one number, or one for each of {channels} channels, got {tuple(count)}"
            )
        weight = reshape(weight, -1, *[1] * (len(shape) - 2))
    return where(le(input, 0), mul(reshape(weight, ()) if count == (1,) else weight, input), input)


# ---- curves ----


@activation
def elu(input: T, alpha: float = 1.0, inplace: bool = False) -> T:
    """Return input where it is positive, alpha * (e ** input - 1) elsewhere.  Clevert et al., 2016."""
    return _elu(input, alpha, 1.0)


@activation
def celu(input: T, alpha: float = 1.0, inplace: bool = False) -> T:
    """Return input where it is positive, alpha * (e ** (input / alpha) - 1) elsewhere."""
    if alpha == 0:
        raise RuntimeError("celu: alpha must not be 0")
    return _elu(input, alpha, 1 / alpha)


@activation
def selu(input: T, inplace: bool = False) -> T:
    """Return scaled elu that keeps mean 0 and variance 1.  Klambauer et al., 2017."""
    return mul(_elu(input, SELU_ALPHA, 1.0), SELU_SCALE)


@activation
def gelu(input: T, *, approximate: str = "none") -> T:
    """Return input * Phi(input), or with 'tanh' an approximation.  Hendrycks and Gimpel, 2016."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return _gelu(input) if approximate == "none" else _gelu_tanh(input)


@activation
def silu(input: T, inplace: bool = False) -> T:
    """Return input * sigmoid(input)."""
    return _silu(input)


@activation
def softplus(input: T, beta: float = 1.0, threshold: float = 20.0) -> T:
    """Return ln(1 + e ** (beta * input)) / beta; input itself where beta * input is larger than threshold."""
    return _softplus(input, beta, threshold)


@activation
def mish(input: T, inplace: bool = False) -> T:
    """Return input * tanh(softplus(input)).  Misra, 2020."""
    return _mish(input)


@activation
def logsigmoid(input: T) -> T:
    """Return the logarithm of sigmoid, computed safely."""
    return _logsigmoid(input)


def softsign(input: T) -> T:
    """Return input / (1 + |input|)."""
    return div(input, add(abs(input), 1))


def tanhshrink(input: T) -> T:
    """Return input - tanh(input)."""
    return sub(input, tanh(input))


@activation
def glu(input: T, dim: int = -1) -> T:
    """Return the first half of an axis times the sigmoid of the second.  Dauphin et al., 2017."""
    shape = input._array.shape
    at = wrap_dim("glu", dim, len(shape))
    if not shape or shape[at] % 2:
        raise RuntimeError(f"glu: axis {at} must have an even size, got shape {tuple(shape)}")
    half = shape[at] // 2
    return mul(narrow(input, at, 0, half), sigmoid(narrow(input, at, half, half)))


def _implicit_dim(function: Callable[..., T], name: str, doc: str) -> Callable[..., T]:
    """Make the form of a softmax that chooses the axis, with a warning, if none is given."""

    def chosen(input: T, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> T:
        if dim is None:
            dim = 0 if input._array.ndim in (0, 1, 3) else 1
            warnings.warn(
                f"{name}: dim will have to be given; without it, it is {dim} here", stacklevel=_stacklevel - 1
            )
        return function(input, dim, dtype)

    chosen.__name__ = chosen.__qualname__ = name
    chosen.__doc__ = doc
    return chosen


softmax = _implicit_dim(reduce.softmax, "softmax", "Return e ** input / sum(e ** input) along an axis.")
log_softmax = _implicit_dim(reduce.log_softmax, "log_softmax", "Return the logarithm of softmax, computed safely.")
softmin = _implicit_dim(lambda x, dim, dtype: reduce.softmax(neg(x), dim, dtype), "softmin", "Return softmax(-input).")


def gumbel_softmax(logits: T, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> T:
    """Draw from the Gumbel-softmax distribution; `hard` gives one-hot vectors with the gradient of the soft ones."""
    check_floating("gumbel_softmax", logits)
    uniform = logits.new_empty(logits._array.shape).uniform_()  # type: ignore[attr-defined]
    noise = neg(log(neg(log1p(neg(clamp(uniform, min=1e-30))))))
    soft = softmax(div(add(logits, noise), tau), dim)
    if not hard:
        return soft
    at = wrap_dim("gumbel_softmax", dim, soft._array.ndim)
    places = soft.new_empty(soft._array.shape[at]).fill_(1).nonzero().reshape(-1, *[1] * (soft._array.ndim - 1 - at))
    one_hot = cast(unsqueeze(argmax(soft, at), at) == places, soft._array.dtype)
    return add(sub(one_hot, soft.detach()), soft)


celu_, elu_, selu_ = in_place(celu), in_place(elu), in_place(selu)
hardtanh_, rrelu_, threshold_ = in_place(hardtanh), in_place(rrelu), in_place(threshold)
