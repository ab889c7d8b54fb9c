"""More elementwise operations: trigonometry, error functions, rounding, comparisons with tolerance; rows and compositions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.graph import TensorBase
from .elementwise import (
    _divisible, _floating, _zero, abs, add, binary, cast, check_tensors, clamp, div, eq, ge, gt, isfinite, isnan,
    le, log, logical_and, logical_or, lt, mul, ne, neg, Number, number, pow, promoted, row, sign, sub,
    T, tensor_like, trunc, unary, where,
)  # fmt: skip
from .elementwise import round as _round
from .inplace import takes_out
from .shape import clone

__all__ = [
    "absolute", "acos", "acosh", "addcdiv", "addcmul", "allclose", "arccos", "arccosh", "arcsin", "arcsinh", "arctan",
    "arctan2", "arctanh", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_left_shift", "bitwise_right_shift",
    "clamp_max", "clamp_min", "clip", "copysign", "cosh", "deg2rad", "divide", "equal", "erfc", "exp2", "fix",
    "float_power", "fmax", "fmin", "fmod", "frac", "greater", "greater_equal", "heaviside", "hypot", "isclose",
    "isneginf", "isposinf", "isreal", "ldexp", "lerp", "less", "less_equal", "log10", "logaddexp", "logit", "multiply",
    "nan_to_num", "negative", "not_equal", "positive", "rad2deg", "round", "rsub", "sgn", "signbit", "sinh", "subtract",
    "tan", "true_divide", "xlogy",
]  # fmt: skip

# ---- functions of one tensor ----

tan = unary(row("tan", lambda dy, y: dy * (y * y + 1)), "Return the tangent.", floating=True)
asin = unary(row("asin", lambda dy, a: dy * (1 - a * a).rsqrt()), "Return the angle whose sine it is.", floating=True)
acos = unary(
    row("acos", lambda dy, a: -dy * (1 - a * a).rsqrt()), "Return the angle whose cosine it is.", floating=True
)
atan = unary(row("atan", lambda dy, a: dy / (a * a + 1)), "Return the angle whose tangent it is.", floating=True)
sinh = unary(row("sinh", lambda dy, a: dy * a.cosh()), "Return the hyperbolic sine.", floating=True)
cosh = unary(row("cosh", lambda dy, a: dy * a.sinh()), "Return the hyperbolic cosine.", floating=True)
asinh = unary(row("asinh", lambda dy, a: dy * (a * a + 1).rsqrt()), "Return the inverse of sinh.", floating=True)
acosh = unary(row("acosh", lambda dy, a: dy * (a * a - 1).rsqrt()), "Return the inverse of cosh.", floating=True)
atanh = unary(row("atanh", lambda dy, a: dy / (1 - a * a)), "Return the inverse of tanh.", floating=True)
exp2 = unary(row("exp2", lambda dy, y: dy * y * math.log(2)), "Return 2 ** input.", floating=True)
log10 = unary(row("log10", lambda dy, a: dy / (a * math.log(10))), "Return the logarithm to base 10.", floating=True)
erfc = unary(
    row("erfc", lambda dy, a: -dy * (-a * a).exp() * (2 / math.sqrt(math.pi))),
    "Return 1 - erf(input), exactly for large input.",
    floating=True,
)
_logit = unary(
    row("logit", lambda dy, a: where(logical_and(ge(a, 0), le(a, 1)), dy / (a * (1 - a)), math.nan)), "", floating=True
)
signbit = unary(row("signbit"), "Return whether each element has its sign bit set, as bool.")
arcsin, arccos, arctan, arcsinh, arccosh, arctanh = asin, acos, atan, asinh, acosh, atanh
absolute, negative, sgn, fix = abs, neg, sign, trunc


@takes_out
def round(input: T, *, decimals: int = 0) -> T:
    """Return the nearest number of so many decimals (negative: of tens, hundreds ...), halves to even."""
    if not decimals:
        return _round(input)
    if input._array.dtype.kind != "f":
        raise RuntimeError(f"round: decimals need a floating dtype, got {input._array.dtype}")
    scale = 10.0 ** math.fabs(decimals)
    return div(_round(mul(input, scale)), scale) if decimals > 0 else mul(_round(div(input, scale)), scale)


@takes_out
def frac(input: T) -> T:
    """Return what trunc() takes away."""
    check_tensors("frac", input)
    if input._array.dtype.kind != "f":
        raise RuntimeError(f"frac: expected a floating dtype, got {input._array.dtype}")
    return sub(input, trunc(input))


@takes_out
def deg2rad(input: T) -> T:
    """Return degrees as radians."""
    check_tensors("deg2rad", input)
    return mul(_floating(input), math.pi / 180)


@takes_out
def rad2deg(input: T) -> T:
    """Return radians as degrees."""
    check_tensors("rad2deg", input)
    return mul(_floating(input), 180 / math.pi)


@takes_out
def logit(input: T, eps: float | None = None) -> T:
    """Return log(input / (1 - input)), the inverse of sigmoid; `eps` first limits input to [eps, 1 - eps]."""
    return _logit(input if eps is None else clamp(_floating(input), eps, 1 - eps))


def positive(input: T) -> T:
    """Return the tensor itself; not for bool."""
    check_tensors("positive", input)
    if input._array.dtype.kind == "b":
        raise RuntimeError("positive: not defined for bools; convert with .int()")
    return input


def isreal(input: T) -> T:
    """Return True for each element: there are no complex dtypes."""
    return eq(_zeros("isreal", input), 0)


def _zeros(op: str, input: T) -> T:
    """Return zeros in the shape of a tensor, which take no part in its history."""
    check_tensors(op, input)
    return _zero(input)


@takes_out
def isposinf(input: T) -> T:
    """Return whether each element is +infinity, as bool."""
    zeros = _zeros("isposinf", input)
    return eq(input, math.inf) if input._array.dtype.kind == "f" else ne(zeros, 0)


@takes_out
def isneginf(input: T) -> T:
    """Return whether each element is -infinity, as bool."""
    zeros = _zeros("isneginf", input)
    return eq(input, -math.inf) if input._array.dtype.kind == "f" else ne(zeros, 0)


@takes_out
def nan_to_num(input: T, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> T:
    """Return input with NaN replaced by 0 or `nan`, and infinities by the limits of the dtype or the given numbers."""
    check_tensors("nan_to_num", input)
    nan, posinf, neginf = [None if x is None else number("nan_to_num", x) for x in (nan, posinf, neginf)]
    if input._array.dtype.kind != "f":
        return clone(input)
    most = float(np.finfo(input._array.dtype).max)
    y = where(isnan(input), 0.0 if nan is None else nan, input)
    y = where(eq(input, math.inf), most if posinf is None else posinf, y)
    return where(eq(input, -math.inf), -most if neginf is None else neginf, y)


# ---- functions of two ----

atan2 = binary(
    row("atan2", lambda dy, a, b: dy * b / (a * a + b * b), lambda dy, a, b: -dy * a / (a * a + b * b)),
    "Return the angle of the point (other, input), from -pi to pi.",
    floating=True,
    numbers=False,
)
arctan2 = atan2
hypot = binary(
    row("hypot", lambda dy, a, y: dy * a / y, lambda dy, b, y: dy * b / y),
    "Return the square root of input ** 2 + other ** 2, without overflow.",
    kinds="f",
    numbers=False,
)
copysign = binary(
    row("copysign", lambda dy, a, y: where(eq(a, 0), 0.0, dy * (y / a)), _zero),
    "Return |input| with the sign of other.",
    floating=True,
)
logaddexp = binary(
    row("logaddexp", lambda dy, a, y: dy * (a - y).exp(), lambda dy, b, y: dy * (b - y).exp()),
    "Return log(e ** input + e ** other), computed safely.",
    kinds="f",
    numbers=False,
)
fmax = binary(
    row(
        "fmax",
        lambda dy, a, b: where(_first_wins(a, b, ge), dy, 0),
        lambda dy, a, b: where(_first_wins(a, b, ge), 0, dy),
    ),
    "Return the larger of two elements; of a number and NaN the number.",
    numbers=False,
)
fmin = binary(
    row(
        "fmin",
        lambda dy, a, b: where(_first_wins(a, b, le), dy, 0),
        lambda dy, a, b: where(_first_wins(a, b, le), 0, dy),
    ),
    "Return the smaller of two elements; of a number and NaN the number.",
    numbers=False,
)
bitwise_left_shift = binary(row("bitwise_left_shift"), "Return input * 2 ** other of integers.", kinds="iu")
bitwise_right_shift = binary(row("bitwise_right_shift"), "Return floor(input / 2 ** other) of integers.", kinds="iu")
_fmod = row("fmod", lambda dy: dy, lambda dy, a, b: -dy * trunc(div(a, b)))
_xlogy = row(
    "xlogy", lambda dy, a, b: dy * where(logical_and(eq(a, 0), le(b, 0)), 0.0, log(b)), lambda dy, a, b: dy * a / b
)
true_divide = divide = div
multiply, subtract, clip = mul, sub, clamp
greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne


def _first_wins(a: Any, b: Any, better: Callable[..., Any]) -> Any:
    return logical_or(better(a, b), isnan(b))


@takes_out
def fmod(input: T, other: T | Number) -> T:
    """Return input - other * trunc(input / other): the sign is input's."""
    return _fmod(*_divisible("fmod", input, other))


@takes_out
def xlogy(input: T | Number, other: T | Number) -> T:
    """Return input * log(other), 0 where input is 0."""
    a, b = promoted("xlogy", input, other, floating=True)
    like = a if isinstance(a, TensorBase) else b
    return _xlogy(*[x if isinstance(x, TensorBase) else tensor_like(like, x) for x in (a, b)])


def rsub(input: Any, other: Any, *, alpha: Number = 1) -> Any:
    """Return other - alpha * input."""
    return sub(other, input, alpha=alpha)


@takes_out
def float_power(input: T | Number, exponent: T | Number) -> T:
    """Return input ** exponent in float64."""
    double = dtypes.float64.numpy
    a, b = [
        cast(x, double) if isinstance(x, TensorBase) else float(number("float_power", x)) for x in (input, exponent)
    ]
    return pow(a, b)


@takes_out
def ldexp(input: T, other: T) -> T:
    """Return input * 2 ** other."""
    return mul(input, pow(2.0, other))


@takes_out
def clamp_min(input: T, min: T | Number) -> T:
    """Return the larger of each element and min."""
    return clamp(input, min)


@takes_out
def clamp_max(input: T, max: T | Number) -> T:
    """Return the smaller of each element and max."""
    return clamp(input, max=max)


@takes_out
def heaviside(input: T, values: T) -> T:
    """Return 0 for negative elements, 1 for positive ones and `values` for 0; it has no gradient."""
    check_tensors("heaviside", input, values)
    _check_one_dtype("heaviside", input, values)
    step = cast(gt(input, 0), input._array.dtype)
    y: Any = where(eq(input, 0), values, step)
    return y.detach()


_lerp = row("lerp", lambda dy, c: dy * (1 - c), lambda dy, c: dy * c)
_addcmul = row("addcmul", lambda dy: dy, lambda dy, c, d: dy * c * d, lambda dy, b, d: dy * b * d)
_addcdiv = row("addcdiv", lambda dy: dy, lambda dy, c, d: dy / c * d, lambda dy, b, c, d: -dy * (b / c) / c * d)


def _fusible(value: Any, *operands: Any) -> bool:
    """Return whether a row takes the operands as they are: floating tensors of one dtype, and a number."""
    kinds = {x._array.dtype for x in operands}
    return isinstance(value, (int, float)) and len(kinds) == 1 and kinds.pop().kind == "f"


@takes_out
def lerp(input: T, end: T, weight: T | Number) -> T:
    """Return input + weight * (end - input)."""
    check_tensors("lerp", input, end)
    _check_one_dtype("lerp", input, end, *([weight] if isinstance(weight, TensorBase) else []))
    if not isinstance(weight, TensorBase):  # exact at both ends
        return _lerp(input, end, weight) if math.fabs(weight) < 0.5 else _lerp(end, input, 1 - weight)
    way, rest = sub(end, input), 1 - weight  # type: ignore[operator]
    return where(lt(abs(weight), 0.5), add(input, mul(way, weight)), sub(end, mul(way, rest)))


@takes_out
def addcmul(input: T, tensor1: T, tensor2: T, *, value: Number = 1) -> T:
    """Return input + value * tensor1 * tensor2."""
    check_tensors("addcmul", input, tensor1, tensor2)
    if _fusible(value, input, tensor1, tensor2):
        return _addcmul(input, tensor1, tensor2, value)
    return add(input, mul(tensor1, tensor2), alpha=value)


@takes_out
def addcdiv(input: T, tensor1: T, tensor2: T, *, value: Number = 1) -> T:
    """Return input + value * tensor1 / tensor2, of floating tensors."""
    check_tensors("addcdiv", input, tensor1, tensor2)
    if tensor1._array.dtype.kind != "f" and tensor2._array.dtype.kind != "f":
        raise RuntimeError("addcdiv: integers are not divided; convert with .float(), or use addcmul and div")
    if _fusible(value, input, tensor1, tensor2):
        return _addcdiv(input, tensor1, tensor2, value)
    return add(input, div(tensor1, tensor2), alpha=value)


# ---- are they equal? ----


def _check_one_dtype(op: str, *operands: Any) -> None:
    kinds = [x._array.dtype for x in operands]
    if len(set(kinds)) > 1:
        raise RuntimeError(f"{op}: expected tensors of one dtype, got {', '.join(map(str, kinds))}")


def isclose(input: T, other: T, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> T:
    """Return whether |input - other| <= atol + rtol * |other|, as bool; infinities must be equal, NaN is as `equal_nan`."""
    check_tensors("isclose", input, other)
    _check_one_dtype("isclose", input, other)
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"isclose: rtol {rtol} and atol {atol} must not be negative")
    close = eq(input, other)
    if equal_nan:
        close = logical_or(close, logical_and(isnan(input), isnan(other)))
    if (not rtol and not atol) or input._array.dtype.kind == "b":
        return close
    distance = abs(sub(input, other))
    near = le(distance, add(abs(mul(other, rtol)), atol))
    return logical_or(close, logical_and(isfinite(distance), near))


def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Return whether isclose() holds everywhere."""
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


def equal(input: Any, other: Any) -> bool:
    """Return whether two tensors have the same shape and elements."""
    check_tensors("equal", input, other)
    return input._array.shape == other._array.shape and bool(eq(input, other).all())
