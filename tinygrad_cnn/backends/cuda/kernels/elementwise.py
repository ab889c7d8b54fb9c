"""Elementwise kernels: the rows of the contract as expressions, in two loops (flat and strided)."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .._numba import device
from ..intrinsics import load4, store4
from ..launch import INTEGER, integers, number, pointer, spec
from ..scalar import functions
from .common import I32, global_thread, place

CONDITIONS = {
    "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor", "logical_not",
    "signbit", "isnan", "isinf", "isfinite",
}  # rows whose result is bool  # fmt: skip
FLOATS = (np.float32, np.float64)


@lru_cache(maxsize=None)
def expressions(real: Any) -> dict[str, Callable[..., Any]]:
    """Return row -> expression of numbers of a type; constants have that type, since Python's would be float64."""
    f = functions(real)
    zero, one, three, six, hundred = (real(v) for v in (0, 1, 3, 6, 100))
    rows: dict[str, Callable[..., Any]] = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "maximum": lambda a, b: a if a > b or a != a else b,
        "minimum": lambda a, b: a if a < b or a != a else b,
        "fmax": lambda a, b: a if a >= b or b != b else b,
        "fmin": lambda a, b: a if a <= b or b != b else b,
        "eq": lambda a, b: a == b,
        "ne": lambda a, b: a != b,
        "lt": lambda a, b: a < b,
        "le": lambda a, b: a <= b,
        "gt": lambda a, b: a > b,
        "ge": lambda a, b: a >= b,
        "logical_and": lambda a, b: a != zero and b != zero,
        "logical_or": lambda a, b: a != zero or b != zero,
        "logical_xor": lambda a, b: (a != zero) != (b != zero),
        "logical_not": lambda a: a == zero,
        "where": lambda a, b, c: b if a else c,
        "relu": lambda a: zero if a < zero else a,
        "relu_grad": lambda a, b: zero if b <= zero else a,
        "clamp": lambda a, b, c: a if a != a or (a >= b and a <= c) else c if a > c or b > c else b,
        "clamp_grad": lambda a, b, c, d: a if b >= c and b <= d else zero,
        "hardtanh_grad": lambda a, b, c, d: zero if b <= c or b >= d else a,
        "add_scaled": lambda a, b, c: a + c * b,
        "addcmul": lambda a, b, c, d: a + d * b * c,
        "lerp": lambda a, b, c: a + c * (b - a),
        "leaky_relu": lambda a, b: a if a > zero else b * a,
        "leaky_relu_grad": lambda a, b, c: a if b > zero else c * a,
        "neg": lambda a: -a,
        "abs": lambda a: abs(a),
        "sign": lambda a: one if a > zero else real(-1) if a < zero else zero,
        "isnan": lambda a: a != a,
        "copy": lambda a: a,
        "set": lambda a, b: b,  # of scatter
    }
    if real not in FLOATS:
        return rows | _whole(real)
    infinity, half = real(np.inf), real(0.5)
    exp, log, log1p, floor = f.exp, f.log, f.log1p, f.floor
    copysign, fabs, fmod = f.copysign, f.fabs, f.fmod
    expm1, tanh, erf, four = f.expm1, f.tanh, f.erf, real(0.044715)
    root_half, density, slope = real(0.5**0.5), real((2 * np.pi) ** -0.5), real((8 / np.pi) ** 0.5)
    sigmoid = device(lambda a: one / (one + exp(-a)))
    softplus = device(lambda a: (a if a > zero else zero) + log1p(exp(-fabs(a))))

    def gelu_tanh_grad(a: Any, b: Any) -> Any:
        s = sigmoid(slope * b * (one + four * b * b))
        return a * (s + b * s * (one - s) * slope * (one + three * four * b * b))

    def mish_grad(a: Any, b: Any) -> Any:
        t = tanh(softplus(b))
        return a * (t + b * (one - t * t) * sigmoid(b))

    def remainder(a: Any, b: Any) -> Any:
        rest = fmod(a, b)
        return rest + b if rest != zero and (rest < zero) != (b < zero) else copysign(rest, b) if rest == zero else rest

    def logaddexp(a: Any, b: Any) -> Any:
        return a + real(0.6931471805599453) if a == b else (a if a > b else b) + log1p(exp(-fabs(a - b)))

    def binary_cross_entropy(a: Any, b: Any) -> Any:
        yes, no = log(a), log1p(-a)
        return -(b * (yes if yes > -hundred else -hundred) + (one - b) * (no if no > -hundred else -hundred))

    unary = "exp exp2 expm1 log log1p log2 log10 sqrt rsqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh"
    return rows | {
        **{name: getattr(f, name) for name in (*unary.split(), "erf", "erfc", "floor", "ceil", "trunc")},
        **{name: getattr(f, name) for name in ("pow", "fmod", "atan2", "hypot", "copysign")},
        "round": f.rint,
        "abs": fabs,
        "div": lambda a, b: a / b,
        "floor_divide": lambda a, b: floor(a / b) if b != zero else a / b,
        "remainder": remainder,
        "logaddexp": logaddexp,
        "xlogy": lambda a, b: zero if a == zero and b == b else a * log(b),
        "sigmoid_grad": lambda a, b: a * b * (one - b),
        "tanh_grad": lambda a, b: a * (one - b * b),
        "binary_cross_entropy": binary_cross_entropy,
        "hardswish": lambda a: a * (zero if a < -three else six if a > three else a + three) / six,
        "hardswish_grad": lambda a, b: zero if b <= -three else a * (b / three + half) if b < three else a,
        "hardsigmoid": lambda a: (zero if a < -three else six if a > three else a + three) / six,
        "hardsigmoid_grad": lambda a, b: a / six if b > -three and b < three else zero,
        "elu": lambda a, b, c: a if a > zero else b * expm1(c * a),
        "elu_grad": lambda a, b, c, d: a * c * d * exp(d * b) if b <= zero else a,
        "gelu": lambda a: a * (one + erf(a * root_half)) * half,
        "gelu_grad": lambda a, b: a * ((one + erf(b * root_half)) * half + b * exp(-b * b * half) * density),
        "gelu_tanh": lambda a: a * sigmoid(slope * a * (one + four * a * a)),
        "gelu_tanh_grad": gelu_tanh_grad,
        "logsigmoid": lambda a: -softplus(-a),
        "logsigmoid_grad": lambda a, b: a / (one + exp(b)),
        "mish": lambda a: a * tanh(softplus(a)),
        "mish_grad": mish_grad,
        "softplus": lambda a, b, c: a if a * b > c else log1p(exp(a * b)) / b,
        "softplus_grad": lambda a, b, c, d: a if b * c > d else a / (one + exp(-b * c)),
        "addcdiv": lambda a, b, c, d: a + d * b / c,
        "silu": lambda a: a * sigmoid(a),
        "silu_grad": lambda a, b: a * sigmoid(b) * (one + b * sigmoid(-b)),
        "reciprocal": lambda a: one / a,
        "sigmoid": lambda a: one / (one + exp(-a)),
        "logit": lambda a: log(a / (one - a)),
        "signbit": lambda a: copysign(one, a) < zero,
        "isinf": lambda a: fabs(a) == infinity,
        "isfinite": lambda a: fabs(a) < infinity,
    }


def _whole(real: Any) -> dict[str, Callable[..., Any]]:
    """Return the rows that integers and bool have, or have differently."""
    zero, one = real(0), real(1)

    def power(a: Any, b: Any) -> Any:
        result = one
        while b > zero:
            if b & one:
                result = real(result * a)
            a = real(a * a)
            b = real(b >> one)
        return result

    same = device(lambda a: a)
    return {
        "floor_divide": lambda a, b: a // b if b != zero else zero,
        "remainder": lambda a, b: a % b if b != zero else zero,
        "fmod": lambda a, b: zero if b == zero else abs(a) % abs(b) if a >= zero else -(abs(a) % abs(b)),
        "pow": power,
        "bitwise_and": lambda a, b: a & b,
        "bitwise_or": lambda a, b: a | b,
        "bitwise_xor": lambda a, b: a ^ b,
        "bitwise_left_shift": lambda a, b: a << b,
        "bitwise_right_shift": lambda a, b: a >> b,
        "bitwise_not": lambda a: ~a,
        "signbit": lambda a: a < zero,
        "isinf": lambda a: False,
        "isfinite": lambda a: True,
        "floor": same, "ceil": same, "trunc": same, "round": same,
    }  # fmt: skip


# ---- loops: an operand is an array ("a"), or a number ("n") that the kernel gets beside it ----


@lru_cache(maxsize=None)
def _operand(kind: str) -> Any:
    """Return how a kernel reads an operand."""
    return device(lambda p, value, i: p[i]) if kind == "a" else device(lambda p, value, i: value)


@lru_cache(maxsize=None)
def _function(row: str, real: Any, result: Any, operands: int) -> Any:
    """Return a row as a function of four numbers, of which it takes the first ones, with the type of its result."""
    f = expressions(real)[row]
    f = device(f) if getattr(f, "__module__", "").startswith("tinygrad_cnn") else f
    if np.dtype(result) == bool:
        one, zero = np.uint8(1), np.uint8(0)
        return {
            1: device(lambda a, b, c, d: one if f(a) else zero),
            2: device(lambda a, b, c, d: one if f(a, b) else zero),
        }[operands]
    return {
        1: device(lambda a, b, c, d: result(f(a))),
        2: device(lambda a, b, c, d: result(f(a, b))),
        3: device(lambda a, b, c, d: result(f(a, b, c))),
        4: device(lambda a, b, c, d: result(f(a, b, c, d))),
    }[operands]


@spec(threads=256, registers=32, sectors=(4, 1), example={"row": "add", "real": np.float32, "kinds": "aa"})
def flat(row: str, real: Any, kinds: str, first: Any = None, result: Any = None) -> Callable[..., None]:
    """Make y[i] = row(a[i], b[i], c[i]) for contiguous arrays; `first` is the type of a, if not `real`."""
    first, result = first or real, result or (bool if row in CONDITIONS else real)
    f = _function(row, real, result, len(kinds))
    read_a, read_b, read_c, read_d = (_operand(k) for k in kinds.ljust(4, "n"))

    def flat(
        y: pointer(result), a: pointer(first), b: pointer(real), c: pointer(real), d: pointer(real),
        p: number(first), q: number(real), r: number(real), s: number(real), n: INTEGER,
    ) -> None:  # fmt: skip
        i = global_thread()
        if i < n:
            y[i] = f(read_a(a, p, i), read_b(b, q, i), read_c(c, r, i), read_d(d, s, i))

    return flat


@lru_cache(maxsize=None)
def _operand4(kind: str) -> Any:
    """Return how a kernel reads four operands."""
    return device(lambda p, value, i: load4(p, i)) if kind == "a" else device(lambda p, v, i: (v, v, v, v))


@spec(
    threads=256,
    registers=40,
    sectors=(10, 10),
    example={"row": "add", "real": np.float32, "kinds": "aa"},
    wide_loads=True,
)
def flat4(row: str, real: Any, kinds: str) -> Callable[..., None]:
    """Make the same for floats at addresses that are multiples of 16, four to a thread."""
    f = _function(row, real, real, len(kinds))
    read_a, read_b, read_c, read_d = (_operand4(k) for k in kinds.ljust(4, "n"))
    one_a, one_b, one_c, one_d = (_operand(k) for k in kinds.ljust(4, "n"))

    def flat4(
        y: pointer(real), a: pointer(real), b: pointer(real), c: pointer(real), d: pointer(real),
        p: number(real), q: number(real), r: number(real), s: number(real), n: INTEGER,
    ) -> None:  # fmt: skip
        i = I32(4 * global_thread())
        if I32(i + 3) < n:
            a0, a1, a2, a3 = read_a(a, p, i)
            b0, b1, b2, b3 = read_b(b, q, i)
            c0, c1, c2, c3 = read_c(c, r, i)
            d0, d1, d2, d3 = read_d(d, s, i)
            store4(y, i, f(a0, b0, c0, d0), f(a1, b1, c1, d1), f(a2, b2, c2, d2), f(a3, b3, c3, d3))
        else:
            while i < n:
                y[i] = f(one_a(a, p, i), one_b(b, q, i), one_c(c, r, i), one_d(d, s, i))
                i = I32(i + 1)

    return flat4


@spec(
    threads=256, registers=48, sectors=(6.5, 3.5), example={"row": "add", "real": np.float32, "kinds": "aa", "axes": 3}
)
def strided(row: str, real: Any, kinds: str, axes: int, first: Any = None, result: Any = None) -> Callable[..., None]:
    """Make the same for arrays with steps (0 where they broadcast); y has steps too."""
    first, result = first or real, result or (bool if row in CONDITIONS else real)
    f = _function(row, real, result, len(kinds))
    read_a, read_b, read_c, read_d = (_operand(k) for k in kinds.ljust(4, "n"))
    find = place(axes)

    def strided(
        y: pointer(result), a: pointer(first), b: pointer(real), c: pointer(real), d: pointer(real),
        p: number(first), q: number(real), r: number(real), s: number(real), n: INTEGER, sizes: integers(axes),
        steps_y: integers(axes), steps_a: integers(axes), steps_b: integers(axes), steps_c: integers(axes),
        steps_d: integers(axes),
    ) -> None:  # fmt: skip
        i = global_thread()
        if i < n:
            x0 = read_a(a, p, find(i, sizes, steps_a))
            x1 = read_b(b, q, find(i, sizes, steps_b))
            x2 = read_c(c, r, find(i, sizes, steps_c))
            x3 = read_d(d, s, find(i, sizes, steps_d))
            y[find(i, sizes, steps_y)] = f(x0, x1, x2, x3)

    return strided
