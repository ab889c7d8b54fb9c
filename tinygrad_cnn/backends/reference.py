"""The contract in obvious NumPy: the oracle for every other backend, and the CPU's fallback."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..geometry import Window
from .base import Array, Backend, Dims, Shape

_ERF = (  # Cody, Rational Chebyshev approximations for the error function, 1969: numerators and denominators
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
_ERFC = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1, 2.98635138197400131e2,
     8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)  # fmt: skip
_ERFC_FAR = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242, 1.87295284992346047, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3),
)  # fmt: skip


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: np.ndarray) -> np.ndarray:
    """Return one polynomial divided by another."""
    return np.polyval(coefficients[0], x) / np.polyval(coefficients[1], x)


def _erfc(a: np.ndarray, complement: bool) -> np.ndarray:
    """Return 1 - erf(a), or erf(a), in double precision."""
    x = np.abs(a, dtype=np.float64)
    inverse = 1 / np.maximum(x, 1.0) ** 2
    cut = np.trunc(x * 16) / 16  # e ** -x ** 2 in two factors, the first of them exact in its exponent
    decay = np.exp(-cut * cut) * np.exp(-(x - cut) * (x + cut))
    near = _ratio(_ERFC, np.minimum(x, 4.0))
    far = (0.5641895835477563 - inverse * _ratio(_ERFC_FAR, inverse)) / np.maximum(x, 1.0)
    tail = np.where(x == np.inf, 0.0, decay * np.where(x <= 4, near, far))  # erfc(|a|), for |a| > 0.46875
    centre = a * _ratio(_ERF, np.minimum(x, 1.0) ** 2)
    small = x <= 0.46875
    if complement:
        return np.where(small, 1 - centre, np.where(a < 0, 2 - tail, tail)).astype(a.dtype)
    return np.where(small, centre, np.copysign(1 - tail, a)).astype(a.dtype)


_ROOT_HALF, _DENSITY, _TANH = 0.5**0.5, (2 * np.pi) ** -0.5, (8 / np.pi) ** 0.5  # of gelu


def _sigmoid(a: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + e ** -a), computed safely."""
    return np.where(a >= 0, 1, np.exp(-np.abs(a))) / (1 + np.exp(-np.abs(a)))


def _gelu_tanh_slope(a: np.ndarray) -> np.ndarray:
    """Return the slope of gelu's approximation."""
    s = _sigmoid(_TANH * a * (1 + 0.044715 * a * a))
    return s + a * s * (1 - s) * _TANH * (1 + 3 * 0.044715 * a * a)


def _mish_slope(a: np.ndarray) -> np.ndarray:
    """Return the slope of a * tanh(ln(1 + e ** a))."""
    t = np.tanh(np.logaddexp(a, 0))
    return t + a * (1 - t * t) * _sigmoid(a)


_UFUNCS: dict[str, Any] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.true_divide,
    "floor_divide": np.floor_divide,
    "remainder": np.remainder,
    "pow": operator.pow,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "fmax": np.fmax,
    "fmin": np.fmin,
    "fmod": np.fmod,
    "atan2": np.arctan2,
    "hypot": np.hypot,
    "copysign": np.copysign,
    "logaddexp": np.logaddexp,
    "xlogy": lambda a, b: np.where((a == 0) & ~np.isnan(b), 0, a * np.log(b)),
    "bitwise_left_shift": np.left_shift,
    "bitwise_right_shift": np.right_shift,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
    "bitwise_and": np.bitwise_and,
    "bitwise_or": np.bitwise_or,
    "bitwise_xor": np.bitwise_xor,
    "where": np.where,
    "relu_grad": lambda a, b: np.where(b <= 0, 0, a),
    "sigmoid_grad": lambda a, b: a * b * (1 - b),
    "tanh_grad": lambda a, b: a * (1 - b * b),
    "binary_cross_entropy": lambda a, b: -(b * np.maximum(np.log(a), -100) + (1 - b) * np.maximum(np.log1p(-a), -100)),
    "clamp": lambda a, b, c: np.minimum(np.maximum(a, b), c),
    "clamp_grad": lambda a, b, c, d: np.where((b >= c) & (b <= d), a, 0),
    "hardtanh_grad": lambda a, b, c, d: np.where((b <= c) | (b >= d), 0, a),
    "hardsigmoid": lambda a: np.clip(a + 3, 0, 6) / 6,
    "hardsigmoid_grad": lambda a, b: np.where((b > -3) & (b < 3), a / 6, 0),
    "hardswish": lambda a: a * np.clip(a + 3, 0, 6) / 6,
    "hardswish_grad": lambda a, b: np.where(b <= -3, 0, np.where(b < 3, a * (b / 3 + 0.5), a)),
    "elu": lambda a, b, c: np.where(a > 0, a, b * np.expm1(c * a)),
    "elu_grad": lambda a, b, c, d: np.where(b <= 0, a * c * d * np.exp(d * b), a),
    "gelu": lambda a: a * (1 + _erfc(a * _ROOT_HALF, False)) / 2,
    "gelu_grad": lambda a, b: a * ((1 + _erfc(b * _ROOT_HALF, False)) / 2 + b * np.exp(-b * b / 2) * _DENSITY),
    "gelu_tanh": lambda a: a * _sigmoid(_TANH * a * (1 + 0.044715 * a * a)),
    "gelu_tanh_grad": lambda a, b: a * _gelu_tanh_slope(b),
    "logsigmoid": lambda a: np.minimum(a, 0) - np.log1p(np.exp(-np.abs(a))),
    "logsigmoid_grad": lambda a, b: a / (1 + np.exp(b)),
    "mish": lambda a: a * np.tanh(np.logaddexp(a, 0)),
    "mish_grad": lambda a, b: a * _mish_slope(b),
    "silu": lambda a: a / (1 + np.exp(-a)),
    "silu_grad": lambda a, b: a / (1 + np.exp(-b)) * (1 + b / (1 + np.exp(b))),
    "softplus": lambda a, b, c: np.where(a * b > c, a, np.log1p(np.exp(a * b)) / b),
    "softplus_grad": lambda a, b, c, d: np.where(b * c > d, a, a / (1 + np.exp(-b * c))),
    "leaky_relu": lambda a, b: np.where(a > 0, a, b * a),
    "leaky_relu_grad": lambda a, b, c: np.where(b > 0, a, c * a),
    "add_scaled": lambda a, b, c: a + c * b,
    "addcmul": lambda a, b, c, d: a + d * b * c,
    "addcdiv": lambda a, b, c, d: a + d * b / c,
    "lerp": lambda a, b, c: a + c * (b - a),
    "neg": np.negative,
    "abs": np.abs,
    "sign": lambda a: a.copy() if a.dtype.kind == "b" else (a > 0).astype(a.dtype) - (a < 0),
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "rsqrt": lambda a: 1 / np.sqrt(a),
    "reciprocal": lambda a: 1 / a,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erf": lambda a: _erfc(a, False),
    "erfc": lambda a: _erfc(a, True),
    "sigmoid": lambda a: _sigmoid(a),
    "logit": lambda a: np.log(a / (1 - a)),
    "relu": lambda a: np.where(a < 0, 0, a),
    "floor": np.floor,
    "ceil": np.ceil,
    "round": lambda a: np.rint(a) if a.dtype.kind == "f" else a.copy(),
    "trunc": np.trunc,
    "logical_not": np.logical_not,
    "bitwise_not": np.bitwise_not,
    "signbit": lambda a: np.signbit(a) if a.dtype.kind == "f" else a < 0,
    "isnan": np.isnan,
    "isinf": np.isinf,
    "isfinite": np.isfinite,
}


def _mean(x: np.ndarray, **kwargs: Any) -> np.ndarray:
    """Return the mean like np.mean, but NaN without a warning where there are no elements."""
    total = np.sum(x, **kwargs)
    return total / (x.size // max(1, total.size)) if x.size else total * np.nan


_REDUCTIONS: dict[str, Any] = {
    "sum": np.sum,
    "mean": _mean,
    "prod": np.prod,
    "amax": np.max,
    "amin": np.min,
    "any": np.any,
    "all": np.all,
}
_SCANS = {
    "cumsum": np.add, "cumprod": np.multiply, "cummax": np.maximum, "cummin": np.minimum, "logcumsumexp": np.logaddexp,
}  # fmt: skip
_SCATTERS: dict[str, Any] = {
    "add": np.add.at, "set": operator.setitem, "mul": np.multiply.at, "maximum": np.maximum.at, "minimum": np.minimum.at,
}  # fmt: skip
_ARG_REDUCTIONS: dict[str, Any] = {"argmax": np.argmax, "argmin": np.argmin}


def taps(window: Window) -> Iterator[tuple[int, int, slice, slice]]:
    """Yield (u, v, rows, columns) for each kernel element: where it reads in an image padded by `padded`."""
    for u in range(window.kh):
        for v in range(window.kw):
            rows = slice(u * window.dh, u * window.dh + (window.oh - 1) * window.sh + 1, window.sh)
            columns = slice(v * window.dw, v * window.dw + (window.ow - 1) * window.sw + 1, window.sw)
            yield u, v, rows, columns


def padded_size(window: Window, height: int, width: int) -> tuple[int, int]:
    """Return the size of the padded image, wide enough for windows that ceil_mode lets stick out."""
    reach_h = (window.oh - 1) * window.sh + (window.kh - 1) * window.dh + 1
    reach_w = (window.ow - 1) * window.sw + (window.kw - 1) * window.dw + 1
    return max(reach_h, window.pt + height), max(reach_w, window.pl + width)


def padded(x: np.ndarray, window: Window, value: float = 0) -> np.ndarray:
    """Return a copy of images x (N, C, H, W) with the window's padding around them."""
    n, c, h, w = x.shape
    y = np.full((n, c, *padded_size(window, h, w)), value, x.dtype)
    y[:, :, window.pt : window.pt + h, window.pl : window.pl + w] = x
    return y


def cropped(y: np.ndarray, window: Window, size: tuple[int, int]) -> np.ndarray:
    """Undo `padded`."""
    h, w = size
    return np.ascontiguousarray(y[:, :, window.pt : window.pt + h, window.pl : window.pl + w])


def window_counts(window: Window, size: tuple[int, int], count_include_pad: bool, divisor: int) -> np.ndarray:
    """Return what each window's sum is divided by in average pooling, (OH, OW)."""
    if divisor:
        return np.full((window.oh, window.ow), divisor)
    counted = padded(np.ones((1, 1, *size), np.int64), window)
    if count_include_pad:
        counted[:, :, : window.pt + size[0] + window.pb, : window.pl + size[1] + window.pr] = 1
    counts: Any = sum(counted[0, 0, rows, columns] for _, _, rows, columns in taps(window))
    return counts


def channel_axes(x: np.ndarray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return all axes of x but 1, and the shape that lines a vector of channels up with x."""
    return (0, *range(2, x.ndim)), (1, -1, *[1] * (x.ndim - 2))


class ReferenceBackend(Backend):
    """Every kernel, as short and as plain as NumPy allows."""

    name = "reference"

    # ---- memory ----

    def from_numpy(self, array: np.ndarray) -> Array:
        return array

    def to_numpy(self, x: Array) -> np.ndarray:
        return x

    def empty(self, shape: Shape, dtype: np.dtype) -> Array:
        return np.empty(shape, dtype)

    def full(self, shape: Shape, value: float, dtype: np.dtype) -> Array:
        return np.full(shape, value, dtype)

    def copy(self, x: Array) -> Array:
        return np.array(x, order="C")

    def cast(self, x: Array, dtype: np.dtype) -> Array:
        with np.errstate(all="ignore"):
            return np.array(x, dtype, order="C")

    def assign(self, target: Array, values: Array) -> None:
        with np.errstate(all="ignore"):
            np.copyto(target, values, casting="unsafe")

    # ---- views ----

    def reshape(self, x: Array, shape: Shape) -> Array:
        return x.reshape(shape, copy=False)

    def permute(self, x: Array, dims: Dims) -> Array:
        return np.transpose(x, dims)

    def expand(self, x: Array, shape: Shape) -> Array:
        return np.broadcast_to(x, shape)

    def slice(self, x: Array, key: tuple[Any, ...]) -> Array:
        return x[*key, ...] if Ellipsis not in key else x[key]

    def diagonal(self, x: Array, offset: int) -> Array:
        rows, columns = x.strides[-2:]
        size = max(0, min(x.shape[-2] + min(offset, 0), x.shape[-1] - max(offset, 0)))
        start = x[..., max(0, -offset) :, max(0, offset) :]
        return np.lib.stride_tricks.as_strided(start, (*x.shape[:-2], size), (*x.strides[:-2], rows + columns))

    # ---- elementwise and reductions ----

    def elementwise(self, op: str, *operands: Any) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(_UFUNCS[op](*operands))

    def reduce(self, op: str, x: Array, dims: Dims, keepdim: bool) -> Array:
        with np.errstate(all="ignore"):
            # The dtype is named because NumPy would add up small integers in int64.
            kwargs = {"dtype": x.dtype} if op in ("sum", "mean", "prod") else {}
            return np.asarray(_REDUCTIONS[op](x, axis=dims, keepdims=keepdim, **kwargs))

    def arg_reduce(self, op: str, x: Array, dim: int, keepdim: bool) -> Array:
        return np.asarray(_ARG_REDUCTIONS[op](x, axis=dim, keepdims=keepdim), np.int64)

    def arg_parts(self, op: str, x: Array, dim: int, parts: tuple[tuple[int, int], ...]) -> Array:
        found = [start + self.arg_reduce(op, np.take(x, range(start, start + n), dim), dim, True) for start, n in parts]
        return np.concatenate(found, dim) if parts else np.empty((*x.shape[:dim], 0, *x.shape[dim + 1 :]), np.int64)

    def scan(self, op: str, x: Array, dim: int) -> Array:
        with np.errstate(all="ignore"):
            return _SCANS[op].accumulate(x, axis=dim, dtype=x.dtype)

    def argsort(self, x: Array, dim: int, descending: bool) -> Array:
        if descending:  # equal elements are to keep their order
            x = np.flip(x, dim)
        order = np.ascontiguousarray(np.argsort(x, axis=dim, kind="stable"), np.int64)
        return np.ascontiguousarray(x.shape[dim] - 1 - np.flip(order, dim)) if descending else order

    # ---- joining and indexing ----

    def cat(self, xs: Sequence[Array], dim: int) -> Array:
        return np.concatenate(xs, axis=dim)

    def pad(self, x: Array, pads: tuple[tuple[int, int], ...], value: float) -> Array:
        inner = x[tuple(slice(max(0, -a), n - max(0, -b)) for (a, b), n in zip(pads, x.shape, strict=True))]
        return np.pad(inner, [(max(0, a), max(0, b)) for a, b in pads], constant_values=value)

    def index(self, x: Array, key: tuple[Any, ...]) -> Array:
        return np.array(x[key], order="C")

    def index_put(self, target: Array, key: tuple[Any, ...], values: Array, accumulate: bool) -> None:
        if accumulate:
            np.add.at(target, key, values)
        else:
            target[key] = values

    def nonzero(self, x: Array) -> tuple[Array, ...]:
        return np.nonzero(x)

    def gather(self, x: Array, dim: int, index: Array) -> Array:
        return x[_along(dim, index)]

    def scatter(self, op: str, target: Array, dim: int, index: Array, values: Array) -> None:
        _SCATTERS[op](target, _along(dim, index), values[tuple(map(slice, index.shape))])

    # ---- random numbers ----

    def random_bits(self, count: int, seed: int, counter: int) -> Array:
        blocks = np.arange(counter, counter + -(-count // 4), dtype=np.uint64)
        mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
        words = [blocks & mask, blocks >> half, np.zeros_like(blocks), np.zeros_like(blocks)]
        key0, key1 = seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF
        for _ in range(10):
            p0, p1 = words[0] * np.uint64(0xD2511F53), words[2] * np.uint64(0xCD9E8D57)
            words = [
                (p1 >> half) ^ words[1] ^ np.uint64(key0),
                p1 & mask,
                (p0 >> half) ^ words[3] ^ np.uint64(key1),
                p0 & mask,
            ]
            key0, key1 = (key0 + 0x9E3779B9) & 0xFFFFFFFF, (key1 + 0xBB67AE85) & 0xFFFFFFFF
        return np.stack(words, axis=1).astype(np.uint32).reshape(-1)[:count]

    def random_uniform(self, shape: Shape, dtype: np.dtype, seed: int, counter: int) -> Array:
        count = int(np.prod(shape))
        if dtype.itemsize == 4:
            return (self.random_bits(count, seed, counter) >> 8).astype(dtype).reshape(shape) * dtype.type(2**-24)
        bits = self.random_bits(2 * count, seed, counter).astype(np.uint64)
        return ((bits[1::2] << np.uint64(32) | bits[::2]) >> np.uint64(11)).astype(dtype).reshape(shape) * 2**-53

    def random_normal(self, shape: Shape, dtype: np.dtype, seed: int, counter: int) -> Array:
        count = int(np.prod(shape))
        u = self.random_uniform((-(-count // 2), 2), np.dtype(np.float64), seed, counter)
        radius, angle = np.sqrt(-2 * np.log1p(-u[:, 0])), 2 * np.pi * u[:, 1]
        normal = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return normal.reshape(-1)[:count].astype(dtype).reshape(shape)

    def dropout(self, x: Array, p: float, seed: int, counter: int) -> Array:
        keep = self.random_bits(x.size, seed, counter).reshape(x.shape) >= np.uint32(p * 2**32)
        return np.where(keep, x * x.dtype.type(1 / (1 - p)), 0).astype(x.dtype)

    # ---- matrix products ----

    def matmul(self, x: Array, y: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.matmul(x, y)

    def linear(self, x: Array, w: Array, b: Array | None, relu: bool = False) -> Array:
        y = self.matmul(x, w.T)
        y = y if b is None else y + b
        return self.elementwise("relu", y) if relu else y

    # ---- convolution ----

    def conv2d(self, x: Array, w: Array, b: Array | None, window: Window, groups: int, relu: bool = False) -> Array:
        (n, c, h, width), o = x.shape, w.shape[0]
        image = padded(x, window).reshape(n, groups, c // groups, *padded_size(window, h, width))
        filters = w.reshape(groups, o // groups, c // groups, window.kh, window.kw)
        y = np.zeros((n, groups, o // groups, window.oh, window.ow), x.dtype)
        for u, v, rows, columns in taps(window):
            y += np.einsum("goc,ngcij->ngoij", filters[..., u, v], image[..., rows, columns], optimize=True)
        y = y.reshape(n, o, window.oh, window.ow)
        y = y if b is None else y + b[:, None, None]
        return self.elementwise("relu", y) if relu else y

    def conv2d_input_grad(self, dy: Array, w: Array, window: Window, groups: int, size: tuple[int, int]) -> Array:
        (n, o), c = dy.shape[:2], w.shape[1]
        filters = w.reshape(groups, o // groups, c, window.kh, window.kw)
        dy = dy.reshape(n, groups, o // groups, window.oh, window.ow)
        dx = np.zeros((n, groups, c, *padded_size(window, *size)), dy.dtype)
        for u, v, rows, columns in taps(window):
            dx[..., rows, columns] += np.einsum("goc,ngoij->ngcij", filters[..., u, v], dy, optimize=True)
        return cropped(dx.reshape(n, groups * c, *dx.shape[3:]), window, size)

    def conv2d_weight_grad(self, dy: Array, x: Array, window: Window, groups: int) -> Array:
        (n, o), (c, h, w) = dy.shape[:2], x.shape[1:]
        image = padded(x, window).reshape(n, groups, c // groups, *padded_size(window, h, w))
        dy = dy.reshape(n, groups, o // groups, window.oh, window.ow)
        dw = np.zeros((groups, o // groups, c // groups, window.kh, window.kw), dy.dtype)
        for u, v, rows, columns in taps(window):
            dw[..., u, v] = np.einsum("ngoij,ngcij->goc", dy, image[..., rows, columns], optimize=True)
        return dw.reshape(o, c // groups, window.kh, window.kw)

    def im2col(self, x: Array, window: Window) -> Array:
        n, c = x.shape[:2]
        image = padded(x, window)
        columns = np.empty((n, c, window.kh, window.kw, window.oh, window.ow), x.dtype)
        for u, v, rows, cols in taps(window):
            columns[:, :, u, v] = image[:, :, rows, cols]
        return columns.reshape(n, c * window.kh * window.kw, window.oh * window.ow)

    def col2im(self, columns: Array, window: Window, size: tuple[int, int]) -> Array:
        n, c = columns.shape[0], columns.shape[1] // (window.kh * window.kw)
        columns = columns.reshape(n, c, window.kh, window.kw, window.oh, window.ow)
        x = np.zeros((n, c, *padded_size(window, *size)), columns.dtype)
        for u, v, rows, cols in taps(window):
            x[:, :, rows, cols] += columns[:, :, u, v]
        return cropped(x, window, size)

    # ---- pooling ----

    def max_pool2d(self, x: Array, window: Window) -> tuple[Array, Array]:
        image, inside = padded(x, window, -np.inf), padded(np.ones_like(x, bool), window, False)
        values = np.stack([image[:, :, rows, columns] for _, _, rows, columns in taps(window)])
        valid = np.stack([inside[:, :, rows, columns] for _, _, rows, columns in taps(window)])
        y = values.max(axis=0)
        offsets = np.argmax(valid & ((values == y) | np.isnan(values)), axis=0)
        return y, offsets.astype(np.uint8 if window.kh * window.kw <= 256 else np.int32)

    def max_pool2d_grad(self, dy: Array, offsets: Array, window: Window, size: tuple[int, int]) -> Array:
        image = np.zeros((*dy.shape[:2], *padded_size(window, *size)), dy.dtype)
        for tap, (_, _, rows, columns) in enumerate(taps(window)):
            image[:, :, rows, columns] += np.where(offsets == tap, dy, 0)
        return cropped(image, window, size)

    def max_pool2d_gather(self, x: Array, offsets: Array, window: Window) -> Array:
        image = padded(x, window)
        picked = [image[:, :, rows, columns] for _, _, rows, columns in taps(window)]
        return np.take_along_axis(np.stack(picked), offsets[None].astype(np.int64), axis=0)[0]

    def max_pool2d_indices(self, offsets: Array, window: Window, size: tuple[int, int]) -> Array:
        u, v = np.divmod(offsets.astype(np.int64), window.kw)
        i, j = np.ix_(range(window.oh), range(window.ow))
        row = i * window.sh - window.pt + u * window.dh
        return row * size[1] + j * window.sw - window.pl + v * window.dw

    def pooled_conv2d(
        self, x: Array, w: Array, b: Array | None, window: Window, pool: Window, relu: bool
    ) -> tuple[Array, Array]:
        y, offsets = self.max_pool2d(self.conv2d(x, w, b, window, 1), pool)
        return (self.elementwise("relu", y) if relu else y), offsets

    def pooled_conv2d_input_grad(
        self, dy: Array, offsets: Array, w: Array, window: Window, pool: Window, size: tuple[int, int]
    ) -> Array:
        full = self.max_pool2d_grad(dy, offsets, pool, (window.oh, window.ow))
        return self.conv2d_input_grad(full, w, window, 1, size)

    def pooled_conv2d_weight_grad(self, dy: Array, offsets: Array, x: Array, window: Window, pool: Window) -> Array:
        full = self.max_pool2d_grad(dy, offsets, pool, (window.oh, window.ow))
        return self.conv2d_weight_grad(full, x, window, 1)

    def avg_pool2d(self, x: Array, window: Window, count_include_pad: bool, divisor: int) -> Array:
        h, w = x.shape[2:]
        image = padded(x, window)
        total: Any = sum(image[:, :, rows, columns] for _, _, rows, columns in taps(window))
        return (total / window_counts(window, (h, w), count_include_pad, divisor)).astype(x.dtype)

    def avg_pool2d_grad(
        self, dy: Array, window: Window, size: tuple[int, int], count_include_pad: bool, divisor: int
    ) -> Array:
        share = (dy / window_counts(window, size, count_include_pad, divisor)).astype(dy.dtype)
        dx = np.zeros((*dy.shape[:2], *padded_size(window, *size)), dy.dtype)
        for _, _, rows, columns in taps(window):
            dx[:, :, rows, columns] += share
        return cropped(dx, window, size)

    # ---- resampling ----

    def resample(self, x: Array, starts: Array, places: Array, weights: Array) -> Array:
        y = np.zeros((x.shape[0], len(starts) - 1, x.shape[2]), x.dtype)
        for b, (start, stop) in enumerate(pairwise(starts)):
            for j in range(start, stop):
                y[:, b] += weights[j] * x[:, places[j]]
        return y

    def sample(self, x: Array, places: Array, weights: Array) -> Array:
        return (weights[:, None] * _sampled(x, places)).sum(axis=2)

    def sample_input_grad(self, dy: Array, places: Array, weights: Array, size: int) -> Array:
        dx = np.zeros((*dy.shape[:2], size), dy.dtype)
        shares = np.where(places < 0, 0, weights)[:, None] * dy[:, :, None]
        n, c = np.ogrid[: dy.shape[0], : dy.shape[1]]
        np.add.at(dx, (n[..., None, None], c[..., None, None], np.maximum(places, 0)[:, None]), shares)
        return dx

    def sample_weight_grad(self, dy: Array, x: Array, places: Array) -> Array:
        return (dy[:, :, None] * _sampled(x, places)).sum(axis=1)

    # ---- normalisation and softmax ----

    def batch_norm(
        self, x: Array, w: Array | None, b: Array | None, eps: float, residual: Array | None = None, relu: bool = False
    ) -> tuple[Array, Array, Array]:
        axes, _ = channel_axes(x)
        mean, var = x.mean(axis=axes), x.var(axis=axes)
        return self.normalise(x, w, b, mean, var, eps, residual, relu), mean, var

    def normalise(
        self, x: Array, w: Array | None, b: Array | None, mean: Array, var: Array, eps: float,
        residual: Array | None = None, relu: bool = False,
    ) -> Array:  # fmt: skip
        _, shape = channel_axes(x)
        y = (x - mean.reshape(shape)) / np.sqrt(var + eps).reshape(shape)
        y = y if w is None else y * w.reshape(shape)
        y = y if b is None else y + b.reshape(shape)
        y = (y if residual is None else y + residual).astype(x.dtype)
        return self.elementwise("relu", y) if relu else y

    def batch_norm_grad(
        self, dy: Array, x: Array, w: Array | None, b: Array | None, mean: Array, var: Array, eps: float, rectified: bool,
    ) -> tuple[Array, Array, Array]:  # fmt: skip
        axes, shape = channel_axes(x)
        scale = (1 / np.sqrt(var + eps)).reshape(shape)
        normal = (x - mean.reshape(shape)) * scale
        if rectified:
            y = (normal if w is None else normal * w.reshape(shape)) + (0 if b is None else b.reshape(shape))
            dy = np.where(y <= 0, 0, dy)
        dw, db = (dy * normal).sum(axis=axes), dy.sum(axis=axes)
        count = x.size // x.shape[1]
        dx = scale * (dy - (db.reshape(shape) + normal * dw.reshape(shape)) / count)
        return (dx if w is None else dx * w.reshape(shape)).astype(x.dtype), dw, db

    def local_response_norm(self, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
        scale = k + alpha / size * _sum_around(x * x, size // 2, (size - 1) // 2)
        with np.errstate(all="ignore"):
            return (x * scale**-beta).astype(x.dtype)

    def local_response_norm_grad(self, dy: Array, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
        scale = k + alpha / size * _sum_around(x * x, size // 2, (size - 1) // 2)
        with np.errstate(all="ignore"):
            direct = dy * scale**-beta
            shares = _sum_around(direct * x / scale, (size - 1) // 2, size // 2)
            return (direct - 2 * alpha / size * beta * x * shares).astype(x.dtype)

    def softmax(self, x: Array, dim: int) -> Array:
        with np.errstate(all="ignore"):
            e = np.exp(x - x.max(axis=dim, keepdims=True, initial=-np.inf))
            return e / e.sum(axis=dim, keepdims=True)

    def softmax_grad(self, dy: Array, y: Array, dim: int) -> Array:
        return y * (dy - (dy * y).sum(axis=dim, keepdims=True))

    def log_softmax(self, x: Array, dim: int) -> Array:
        with np.errstate(all="ignore"):
            shifted = x - x.max(axis=dim, keepdims=True, initial=-np.inf)
            return shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True))

    def log_softmax_grad(self, dy: Array, y: Array, dim: int) -> Array:
        return dy - np.exp(y) * dy.sum(axis=dim, keepdims=True)

    def cross_entropy(self, x: Array, target: Array, ignore_index: int, reduction: str) -> tuple[Array, Array]:
        counted = target != ignore_index
        classes = np.where(counted, target, 0)
        if ((classes < 0) | (classes >= x.shape[1])).any():
            raise IndexError(
                f"cross_entropy: target {_outside(classes, x.shape[1])} is not a class 0 to {x.shape[1] - 1}"
            )
        losses = np.where(counted, -self.log_softmax(x, 1)[np.arange(len(x)), classes], 0).astype(x.dtype)
        with np.errstate(all="ignore"):
            if reduction != "none":
                losses = losses.sum() / (counted.sum() if reduction == "mean" else 1)
            return np.asarray(losses, x.dtype), self.softmax(x, 1)

    def cross_entropy_grad(self, dy: Array, y: Array, target: Array, ignore_index: int, reduction: str) -> Array:
        counted = target != ignore_index
        one_hot = np.where(counted, target, 0)[:, None] == np.arange(y.shape[1])
        with np.errstate(all="ignore"):
            share = np.where(counted, dy / (counted.sum() if reduction == "mean" else 1), 0)
            return (share[:, None] * (y - one_hot)).astype(y.dtype)

    # ---- optimiser steps ----

    def sgd(
        self, params: Sequence[Array], grads: Sequence[Array], momenta: Sequence[Array | None], started: Sequence[bool],
        lr: float, momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool,
    ) -> None:  # fmt: skip
        for p, grad, m, running in zip(params, grads, momenta, started, strict=True):
            g = (-grad if maximize else grad) + weight_decay * p
            if m is not None:
                m[...] = momentum * m + (1 - dampening) * g if running else g
                g = g + momentum * m if nesterov else m
            p -= lr * g

    def adam(
        self, params: Sequence[Array], grads: Sequence[Array], means: Sequence[Array], squares: Sequence[Array],
        peaks: Sequence[Array | None], steps: Sequence[int], lr: float, beta1: float, beta2: float, eps: float,
        weight_decay: float, decoupled: bool, maximize: bool,
    ) -> None:  # fmt: skip
        for p, grad, m, v, peak, t in zip(params, grads, means, squares, peaks, steps, strict=True):
            g = -grad if maximize else grad
            if decoupled:
                p *= 1 - lr * weight_decay
            else:
                g = g + weight_decay * p
            m[...] = beta1 * m + (1 - beta1) * g
            v[...] = beta2 * v + (1 - beta2) * g * g
            if peak is not None:
                np.maximum(peak, v, out=peak)
            root = np.sqrt(v if peak is None else peak) / (1 - beta2**t) ** 0.5 + eps
            p -= lr / (1 - beta1**t) * m / root

    # ---- images ----

    def gather_images(self, images: Array, index: Array, table: Array, windows: Array, size: Shape) -> Array:
        _, height, width, channels = images.shape
        rows, columns = size
        y = np.empty((len(windows), channels, rows, columns), table.dtype)
        for b, (top, left, upside_down, mirrored) in enumerate(windows.tolist()):
            u = top + (np.arange(rows)[::-1] if upside_down else np.arange(rows))
            v = left + (np.arange(columns)[::-1] if mirrored else np.arange(columns))
            i, j = [np.flatnonzero((at >= 0) & (at < end)) for at, end in ((u, height), (v, width))]
            pixels = images[index[b % len(index)], u[i, None], v[j]]
            for c, values in enumerate(table[b % len(table)]):
                y[b, c] = values[256]
                y[b, c, i[:, None], j] = values[pixels[..., c]]
        return y


def _sum_around(x: np.ndarray, before: int, after: int) -> np.ndarray:
    """Return the sum over channels c - before ... c + after for each channel c of x (N, C, ...)."""
    return np.stack([x[:, max(0, c - before) : c + after + 1].sum(axis=1) for c in range(x.shape[1])], axis=1)


def _along(dim: int, index: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the advanced index that picks `index` along one axis and each position of its own along the others."""
    key: list[np.ndarray] = list(np.indices(index.shape, sparse=True))
    key[dim] = index
    return tuple(key)


def _sampled(x: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return x (N, C, A) at places (N, J, B) -> (N, C, J, B), 0 at those below 0."""
    at = places[:, None]
    return np.where(at < 0, 0, np.take_along_axis(x[:, :, None], np.maximum(at, 0), axis=3)).astype(x.dtype)


def _outside(classes: np.ndarray, count: int) -> int:
    """Return the first class number that is out of range."""
    return int(classes[(classes < 0) | (classes >= count)][0])
