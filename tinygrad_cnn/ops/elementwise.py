"""Elementwise operations: each is one row that names its kernel and its derivatives.

A derivative is a function of dy and of what it needs: the operands a, b, c, d and the result y, by these names
(autograd/rows.py).  To add a function: a row in backends/base.py (the formula), its kernel in each backend, a row here, a row
in tests/op_cases.py (docs/adding-an-op.md).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np

from .. import dtypes
from ..autograd.graph import Op, TensorBase, wrap
from ..autograd.rows import ITSELF, SAME, Derivative, Row, operators
from .inplace import into, operand, takes_out, write_

__all__ = [
    "abs", "add", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "ceil", "clamp", "cos", "div", "eq", "erf", "exp",
    "expm1", "floor", "floor_divide", "ge", "gt", "isfinite", "isinf", "isnan", "le", "log", "log1p", "log2",
    "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "maximum", "minimum", "mul", "ne", "neg", "pow",
    "reciprocal", "relu", "remainder", "rsqrt", "sigmoid", "sign", "sin", "sqrt", "square", "sub", "tanh", "trunc",
    "where",
]  # fmt: skip

T = TypeVar("T", bound=TensorBase)
Number = float | int | bool


def row(name: str, *derivatives: Derivative | None) -> Row:
    """Define the op of a kernel in backends.base.ELEMENTWISE; a derivative None is zero."""
    return Row(name, derivatives)


def check_tensors(op: str, *operands: Any) -> None:
    """Raise unless all operands are tensors."""
    for x in operands:
        if not isinstance(x, TensorBase):
            raise TypeError(f"{op}: expected a tensor, got {type(x).__name__} {x!r}")


def check_floating(op: str, *operands: Any) -> None:
    """Raise unless all operands are floating tensors."""
    check_tensors(op, *operands)
    for x in operands:
        if x._array.dtype.kind != "f":
            raise RuntimeError(f"{op}: expected a floating input, got {x._array.dtype}; convert with .float()")


# ---- the dtype of the result ----


def number(op: str, value: Any) -> Number:
    """Return a Python number for a number of any kind."""
    if isinstance(value, (float, int)):  # bool is an int
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return value.item()
    raise TypeError(f"{op}: expected a tensor or a number, got {type(value).__name__} {value!r}")


def cast(x: T, kind: np.dtype) -> T:
    """Convert to a NumPy dtype; the same tensor if it has it."""
    return x if x._array.dtype == kind else _cast(x, kind)


def promoted(op: str, a: Any, b: Any, floating: bool = False, exact: bool = False) -> tuple[Any, Any]:
    """Convert two operands to their common dtype (a floating one, if so wished); numbers stay numbers.

    Numbers beyond the range of an integer dtype wrap around, or with `exact` raise.
    """
    if isinstance(a, TensorBase):
        kind = a._array.dtype
        if isinstance(b, TensorBase):
            if kind == b._array.dtype and (kind.kind == "f" or not floating):
                return a, b
        elif type(b) is float or type(b) is int:
            if kind.kind == "f" and not exact:
                return a, b
    elif not isinstance(b, TensorBase):
        raise TypeError(f"{op}: expected a tensor, got {type(a).__name__} {a!r} and {type(b).__name__} {b!r}")
    operands = [x if isinstance(x, TensorBase) else number(op, x) for x in (a, b)]
    kind = dtypes.result_numpy([rank(x) for x in operands])
    if floating and kind.kind != "f":
        kind = dtypes.get_default_dtype().numpy
    convert = partial(dtypes.stored, op) if exact else dtypes.wrapped
    first, second = [cast(x, kind) if isinstance(x, TensorBase) else convert(x, kind) for x in operands]
    return first, second


def rank(x: Any) -> tuple[np.dtype, int]:
    """Return the dtype of an operand and how much it counts: tensor 2, zero-dimensional tensor 1, number 0."""
    if isinstance(x, TensorBase):
        return x._array.dtype, 2 if x._array.ndim else 1
    return dtypes.of_scalar(x).numpy, 0


def tensor_like(x: Any, value: Number, kind: np.dtype | None = None) -> Any:
    """Return a zero-dimensional tensor on the device of x."""
    array = x._backend.full((), value, x._array.dtype if kind is None else kind)
    return wrap(x.result_class, array, x._backend)


def element_like(op: str, x: Any, value: Any) -> Any:
    """Return a number that is to become an element of x as a zero-dimensional tensor; RuntimeError if it does not fit."""
    return tensor_like(x, dtypes.stored(op, number(op, value), x._array.dtype))


def _floating(x: T) -> T:
    return x if x._array.dtype.kind == "f" else cast(x, dtypes.get_default_dtype().numpy)


class Cast(Op):
    """Conversion to another dtype."""

    title = "ToCopy"

    def forward(self, x: Any, kind: np.dtype) -> Any:
        return self.backend.cast(x, kind)

    def backward(self, dy: Any) -> Any:
        return dy  # the backward pass converts it


_cast = Cast.apply


# ---- functions of one tensor ----


class Unary(Protocol):
    """A function of one tensor."""

    def __call__(self, input: T, *, out: T | None = None) -> T:
        """Apply it."""


def unary(kernel: Row, doc: str, floating: bool = False, bools: bool = True) -> Unary:
    """Make the public function of a row; `floating` ones convert integers to the default dtype first."""
    name = kernel.name

    def function(input: T, *, out: T | None = None) -> T:
        if not isinstance(input, TensorBase):
            check_tensors(name, input)
        if not bools and input._array.dtype.kind == "b":
            raise RuntimeError(f"{name}: not defined for bools; convert with .int()")
        y: T = kernel(_floating(input) if floating else input)
        return y if out is None else into(out, y, name)

    kernel.function = function
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def _zero(dy: Any) -> Any:
    return tensor_like(dy, 0).expand(dy.shape)


_neg = row("neg", (ITSELF,))
neg = unary(_neg, "Return -input.", bools=False)
abs = unary(row("abs", lambda dy, a: dy * a.sign()), "Return |input|; the derivative at 0 is 0.", bools=False)
sign = unary(row("sign", _zero), "Return -1, 0 or 1 for each element.")
exp = unary(row("exp", lambda dy, y: dy * y), "Return e ** input.", floating=True)
expm1 = unary(
    row("expm1", lambda dy, y: dy * (y + 1)), "Return e ** input - 1, exactly for small input.", floating=True
)
log = unary(row("log", lambda dy, a: dy / a), "Return the natural logarithm.", floating=True)
log1p = unary(row("log1p", lambda dy, a: dy / (a + 1)), "Return ln(1 + input), exactly for small input.", floating=True)
log2 = unary(row("log2", lambda dy, a: dy / (a * 0.6931471805599453)), "Return the logarithm to base 2.", floating=True)
sqrt = unary(row("sqrt", lambda dy, y: dy / (y * 2)), "Return the square root.", floating=True)
rsqrt = unary(row("rsqrt", lambda dy, y: dy * y * y * y * -0.5), "Return 1 / sqrt(input).", floating=True)
reciprocal = unary(row("reciprocal", lambda dy, y: -dy * y * y), "Return 1 / input.", floating=True)
sin = unary(row("sin", lambda dy, a: dy * a.cos()), "Return the sine.", floating=True)
cos = unary(row("cos", lambda dy, a: -dy * a.sin()), "Return the cosine.", floating=True)
tanh = unary(row("tanh", lambda dy, y: _tanh_grad(dy, y)), "Return the hyperbolic tangent.", floating=True)
erf = unary(
    row("erf", lambda dy, a: dy * exp(-a * a) * 1.1283791670955126), "Return the error function.", floating=True
)
sigmoid = unary(row("sigmoid", lambda dy, y: _sigmoid_grad(dy, y)), "Return 1 / (1 + e ** -input).", floating=True)
floor = unary(row("floor", _zero), "Return the largest integer not above each element.", bools=False)
ceil = unary(row("ceil", _zero), "Return the smallest integer not below each element.", bools=False)
round = unary(row("round", _zero), "Return the nearest integer, halves to even.", bools=False)
trunc = unary(row("trunc", _zero), "Return each element without its fraction.", bools=False)
logical_not = unary(row("logical_not"), "Return whether each element is 0, as bool.")
_bitwise_not = unary(row("bitwise_not"), "")
isnan = unary(row("isnan"), "Return whether each element is NaN, as bool.")
isinf = unary(row("isinf"), "Return whether each element is infinite, as bool.")
isfinite = unary(row("isfinite"), "Return whether each element is neither infinite nor NaN, as bool.")
relu_grad = row("relu_grad", (ITSELF, "b"), None)
RELU = row("relu", (relu_grad, "y"))
_relu = unary(RELU, "", bools=False)
_sigmoid_grad: Callable[..., Any] = row(
    "sigmoid_grad", lambda dy, b: _sigmoid_grad(dy, b), lambda dy, a, b: dy * a * (1 - 2 * b)
)
_tanh_grad: Callable[..., Any] = row("tanh_grad", lambda dy, b: _tanh_grad(dy, b), lambda dy, a, b: dy * a * b * -2)
_leaky_relu = row("leaky_relu", lambda dy, a, b: _leaky_relu_grad(dy, a, b))
_leaky_relu_grad: Callable[..., Any] = row("leaky_relu_grad", lambda dy, b, c: _leaky_relu_grad(dy, b, c), None)


def relu(input: T, inplace: bool = False) -> T:
    """Return max(input, 0); NaN stays NaN, and the derivative at 0 is 0."""
    return write_(input, _relu(input), "relu_") if inplace else _relu(input)


def leaky_relu(input: T, negative_slope: float = 0.01, inplace: bool = False) -> T:
    """Return input where it is positive, negative_slope * input elsewhere."""
    x = operand(input) if inplace else input
    y = _leaky_relu(x, number("leaky_relu", negative_slope))
    return write_(input, y, "leaky_relu_") if inplace else y


@takes_out
def bitwise_not(input: T) -> T:
    """Return the bits that are not set (integers), or the opposite (bool)."""
    check_tensors("bitwise_not", input)
    if input._array.dtype.kind == "f":
        raise RuntimeError(f"bitwise_not: expected integers or bool, got {input._array.dtype}")
    return _bitwise_not(input)


def square(input: T) -> T:
    """Return input ** 2."""
    check_tensors("square", input)
    return pow(input, 2) if input._array.dtype.kind == "b" else mul(input, input)


# ---- functions of two ----

_add = row("add", SAME, SAME)
_sub = row("sub", SAME, (_neg,))
_mul = row("mul", (ITSELF, "b"), (ITSELF, "a"))
_div = row("div", (ITSELF, "b"), lambda dy, a, b: -dy * (a / b) / b)
_floor_divide = row("floor_divide", _zero, _zero)
_remainder = row("remainder", SAME, lambda dy, a, b: -dy * floor_divide(a, b))
_pow = row("pow", lambda dy, a, b: dy * _pow_base_slope(a, b), lambda dy, a, b, y: dy * _pow_exponent_slope(a, b, y))
_maximum = row("maximum", lambda dy, a, b: dy * _wins(a > b, a, b), lambda dy, a, b: dy * _wins(b > a, a, b))
_minimum = row("minimum", lambda dy, a, b: dy * _wins(a < b, a, b), lambda dy, a, b: dy * _wins(b < a, a, b))
_where = row("where", None, lambda dy, a: where(a, dy, 0), lambda dy, a: where(a, 0, dy))
_clamp = row("clamp", lambda dy, a, b, c: _clamp_grad(dy, a, b, c))  # between numbers
_clamp_grad: Callable[..., Any] = row("clamp_grad", lambda dy, b, c, d: _clamp_grad(dy, b, c, d), None)
_clamp_min = row("maximum", lambda dy, a, b: where(a >= b, dy, 0), lambda dy, a, b: where(a < b, dy, 0))
_clamp_max = row("minimum", lambda dy, a, b: where(a <= b, dy, 0), lambda dy, a, b: where(a > b, dy, 0))


def _wins(strictly: Any, a: Any, b: Any) -> Any:
    """Return the slope of a maximum: 1 for the winner, shared equally by equals, 1 for both sides of a NaN."""
    return where(strictly, 1.0, where(eq(a, b), 0.5, where(isnan(a + b), 1.0, 0.0)))


def _pow_base_slope(a: Any, b: Any) -> Any:
    """Return the slope of a ** b in a: 0 where b is 0, whatever a is."""
    if isinstance(b, TensorBase):
        return where(eq(b, 0), 0.0, mul(b, pow(a, sub(b, 1))))
    if b == 0:
        return tensor_like(a, 0)
    return a * 2 if b == 2 else pow(a, b - 1) * b


def _pow_exponent_slope(a: Any, b: Any, y: Any) -> Any:
    """Return the slope of a ** b in b: 0 where a is 0 and b is not negative."""
    if isinstance(a, TensorBase):
        return where(logical_and(eq(a, 0), ge(b, 0)), 0.0, y * log(a))
    if a == 0:
        return where(ge(b, 0), 0.0, y)
    return y * float(np.log(a))


def _dtype(a: Any, b: Any) -> np.dtype:
    """Return the dtype of promoted operands, one of which is a tensor."""
    return (a if isinstance(a, TensorBase) else b)._array.dtype


_add_scaled = row("add_scaled", lambda dy: dy, lambda dy, c: dy * c)


def _scaled(op: Row, a: Any, b: Any, alpha: Number) -> Any:
    """Return a + alpha * b, or a - alpha * b."""
    a, b = promoted(op.name, a, b)
    kind = _dtype(a, b)
    if kind.kind == "f" and isinstance(a, TensorBase) and isinstance(b, TensorBase) and isinstance(alpha, (int, float)):
        return _add_scaled(a, b, alpha if op is _add else -alpha)
    if kind.kind != "f" and isinstance(alpha, float):
        raise RuntimeError(f"{op.name}: alpha must be an integer for {kind} operands, got {alpha}")
    return op(a, cast(mul(b, alpha), kind) if isinstance(b, TensorBase) else dtypes.wrapped(b * alpha, kind))


def add(input: T, other: T | Number, *, alpha: Number = 1, out: T | None = None) -> T:
    """Return input + alpha * other."""
    y = _add(*promoted("add", input, other)) if alpha == 1 else _scaled(_add, input, other, alpha)
    return y if out is None else into(out, y, "add")


def sub(input: T, other: T | Number, *, alpha: Number = 1, out: T | None = None) -> T:
    """Return input - alpha * other; not for bool."""
    for x in (input, other):
        if type(x) is not float and (x._array.dtype.kind == "b" if isinstance(x, TensorBase) else isinstance(x, bool)):
            raise RuntimeError("sub: bools cannot be subtracted; use logical_xor or logical_not")
    y = _sub(*promoted("sub", input, other)) if alpha == 1 else _scaled(_sub, input, other, alpha)
    return y if out is None else into(out, y, "sub")


def mul(input: T, other: T | Number, *, out: T | None = None) -> T:
    """Return input * other."""
    y = _mul(*promoted("mul", input, other))
    return y if out is None else into(out, y, "mul")


@takes_out
def div(input: T, other: T | Number, *, rounding_mode: str | None = None) -> T:
    """Return input / other; rounding_mode 'floor' or 'trunc' rounds the quotient and keeps integers integers."""
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode not in (None, "trunc"):
        raise RuntimeError(f"div: rounding_mode must be None, 'floor' or 'trunc', got {rounding_mode!r}")
    if rounding_mode is None:
        return _div(*promoted("div", input, other, floating=True))
    a, b = promoted("div", input, other)
    if _dtype(a, b).kind == "f":
        return trunc(_div(a, b))
    down = floor_divide(a, b)  # and up again where that is not towards 0
    return down + logical_and(lt(down, 0), ne(mul(down, b), a))


_add.function, _sub.function, _mul.function, _div.function = add, sub, mul, div
operators.add, operators.sub, operators.mul, operators.div, operators.neg = _add, _sub, _mul, _div, _neg


@takes_out
def floor_divide(input: T, other: T | Number) -> T:
    """Return floor(input / other)."""
    return _floor_divide(*_divisible("floor_divide", input, other))


@takes_out
def remainder(input: T, other: T | Number) -> T:
    """Return input - other * floor(input / other): the sign is other's."""
    return _remainder(*_divisible("remainder", input, other))


def _divisible(op: str, a: Any, b: Any) -> tuple[Any, Any]:
    """Return promoted operands; raise for bools, and for integers to be divided by 0."""
    a, b = promoted(op, a, b)
    kind = _dtype(a, b).kind
    if kind == "b":
        raise RuntimeError(f"{op}: bools cannot be divided; convert with .int()")
    if kind != "f" and (bool(eq(b, 0).any()) if isinstance(b, TensorBase) else b == 0):
        raise RuntimeError(f"{op}: integer division by zero")
    return a, b


@takes_out
def pow(input: T | Number, exponent: T | Number) -> T:
    """Return input ** exponent; an integer tensor cannot have a negative number as exponent."""
    a, b = promoted("pow", input, exponent)
    kind = _dtype(a, b).kind
    if kind == "b":
        if isinstance(b, TensorBase):
            raise RuntimeError("pow: bools cannot be raised to the power of bools; convert with .int()")
        return logical_or(a, tensor_like(a, not b))
    if kind != "f" and not isinstance(exponent, TensorBase) and exponent < 0:
        raise RuntimeError("pow: integers cannot be raised to a negative integer power; convert to a floating dtype")
    return _integer_pow(a, b) if kind == "i" and isinstance(b, TensorBase) else _pow(a, b)


def _integer_pow(a: Any, b: Any) -> Any:
    """Return a ** b of integers, cut to integers where b is negative: 0 unless a is 1 or -1."""
    if not bool(lt(b, 0).any()):
        return _pow(a, b)
    base = a if isinstance(a, TensorBase) else tensor_like(b, a)
    return where(logical_or(ge(b, 0), eq(abs(base), 1)), _pow(base, abs(b)), 0)


@takes_out
def maximum(input: T, other: T) -> T:
    """Return the larger of two elements, NaN if either is; equal elements share the gradient."""
    check_tensors("maximum", input, other)
    return _maximum(*promoted("maximum", input, other))


@takes_out
def minimum(input: T, other: T) -> T:
    """Return the smaller of two elements, NaN if either is; equal elements share the gradient."""
    check_tensors("minimum", input, other)
    return _minimum(*promoted("minimum", input, other))


@takes_out
def clamp(input: T, min: T | Number | None = None, max: T | Number | None = None) -> T:
    """Limit elements to [min, max]; the gradient passes where the element is inside, limits included."""
    if min is None and max is None:
        raise RuntimeError("clamp: at least one of min and max must be given")
    y = input
    numbers: Any = (min, max)
    floating = isinstance(input, TensorBase) and input._array.dtype.kind == "f"
    if floating and all(isinstance(limit, (int, float)) for limit in numbers) and numbers[0] <= numbers[1]:
        return _clamp(input, *numbers)
    if min is not None:
        y = _clamp_min(*promoted("clamp", y, min, exact=True))
    if max is not None:
        y = _clamp_max(*promoted("clamp", y, max, exact=True))
    return y


@takes_out
def where(condition: T, input: Any = None, other: Any = None) -> Any:
    """Return input where condition (bool) holds, other elsewhere; without them the places where condition holds."""
    check_tensors("where", condition)
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)  # type: ignore[attr-defined]
    if condition._array.dtype.kind != "b":
        raise RuntimeError(f"where: condition must be bool, got {condition._array.dtype}; compare, or use .bool()")
    if isinstance(input, TensorBase) or isinstance(other, TensorBase):
        a, b = promoted("where", input, other, exact=True)
    else:
        kind = dtypes.result_numpy([rank(number("where", input)), rank(number("where", other))])
        a, b = tensor_like(condition, input, kind), other
    return _where(condition, a, b)


def binary(
    kernel: Row, doc: str, floating: bool = False, kinds: str = "biuf", numbers: bool = True
) -> Callable[..., Any]:
    """Make the public function of a row of two operands; `kinds` are NumPy's, `numbers` says whether one may be a number."""
    name, restricted = kernel.name, len(kinds) < 4

    def function(input: T, other: T | Number, *, out: T | None = None) -> T:
        if not numbers:
            check_tensors(name, input, other)
        a, b = promoted(name, input, other, floating)
        if restricted and _dtype(a, b).kind not in kinds:
            raise RuntimeError(f"{name}: expected {' or '.join(KINDS[kind] for kind in kinds)}, got {_dtype(a, b)}")
        y: T = kernel(a, b)
        return y if out is None else into(out, y, name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


KINDS = {"b": "bool", "i": "integers", "u": "uint8", "f": "floating dtypes"}  # of NumPy dtypes
eq = binary(row("eq"), "Return input == other, as bool.")
ne = binary(row("ne"), "Return input != other, as bool.")
lt = binary(row("lt"), "Return input < other, as bool.")
le = binary(row("le"), "Return input <= other, as bool.")
gt = binary(row("gt"), "Return input > other, as bool.")
ge = binary(row("ge"), "Return input >= other, as bool.")
bitwise_and = binary(row("bitwise_and"), "Return the bits set in both (integers and bool).", kinds="biu")
bitwise_or = binary(row("bitwise_or"), "Return the bits set in either (integers and bool).", kinds="biu")
bitwise_xor = binary(row("bitwise_xor"), "Return the bits set in one of the two (integers and bool).", kinds="biu")
logical_and = binary(row("logical_and"), "Return whether both elements are not 0, as bool.", numbers=False)
logical_or = binary(row("logical_or"), "Return whether an element of the two is not 0, as bool.", numbers=False)
logical_xor = binary(
    row("logical_xor"), "Return whether exactly one element of the two is not 0, as bool.", numbers=False
)
