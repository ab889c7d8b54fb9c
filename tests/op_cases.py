"""THE TABLE: one row per operation, from which tests/test_ops.py makes all tests of it.

A row names the public function, how its inputs are drawn, what it should give (an oracle that does not call the package), and
inputs that it must refuse.  An op class or a kernel that no row reaches fails the suite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import oracles
import strategies as draw
from hypothesis import strategies as st
from strategies import Call

import tinygrad_cnn as tg
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.ops.conv import conv2d_relu
from tinygrad_cnn.ops.norm import batch_norm_relu
from tinygrad_cnn.ops.pool import conv2d_max_pool2d_relu


@dataclass(frozen=True)
class Bad:
    """Arguments that must be refused, with which exception, and what its text must say."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    error: type[Exception]
    says: tuple[str, ...]


def bad(error: type[Exception], says: str | tuple[str, ...], *args: Any, **kwargs: Any) -> Bad:
    """Make a Bad entry; arrays become tensors."""
    return Bad(args, kwargs, error, (says,) if isinstance(says, str) else says)


@dataclass(frozen=True)
class OpCase:
    """One row."""

    name: str
    function: Callable[..., Any]
    inputs: Any  # strategy of Call
    oracle: Callable[..., Any]
    bad: list[Bad] = field(default_factory=list)
    differentiable: bool = True
    second: bool = True  # whether second derivatives exist and are not all zero

    def __repr__(self) -> str:
        return self.name


def zeros(*shape: int, dtype: str = "float64") -> np.ndarray:
    """Return zeros, for bad inputs."""
    return np.zeros(shape, dtype)


def reduced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make an oracle from a NumPy reduction."""
    return lambda x, dim, keepdim: function(x, axis=dim, keepdims=keepdim)


def ceil_or_not(**kwargs: Any) -> Any:
    """Draw the options of average pooling."""
    return draw.pooled_images(
        dilated=False,
        ceil_mode=st.booleans(),
        count_include_pad=st.booleans(),
        divisor_override=st.sampled_from([None, 3]),
    )


def pooled_conv2d(x: Any, w: Any, b: Any, padding: Any, pool: dict[str, Any], relu: str) -> Any:
    """Convolve and pool, with a ReLU in between, behind both or not at all: one step of the backward pass."""
    y = F.conv2d(x, w, b, padding=padding)
    y = F.max_pool2d(F.relu(y) if relu == "before" else y, **pool)
    return F.relu(y) if relu == "behind" else y


def joined_conv2d(x: Any, w: Any, b: Any, padding: Any, pool: dict[str, Any], relu: str) -> Any:
    """Compute the same as nn.Sequential does it: as one operation, if windows lie inside."""
    pooling = (pool["kernel_size"], pool["stride"], 0, 1, pool["ceil_mode"])
    return conv2d_max_pool2d_relu(x, w, b, (1, padding, 1, 1), pooling)


def rectified_norm(function: Any, x: Any, *args: Any, training: bool) -> Any:
    """Normalise, add the input and rectify."""
    return function(x, *args, training, 0.1, 1e-5, residual=x)


def pooled_conv2d_oracle(x: Any, w: Any, b: Any, padding: Any, pool: dict[str, Any], relu: str) -> Any:
    """Compute the same from the oracles of the two."""
    y = oracles.conv2d(x, w, b, (1, 1), padding, (1, 1), 1)
    y = oracles.max_pool2d(y, padding=((0, 0), (0, 0)), dilation=(1, 1), **pool)
    return y if relu == "nowhere" else np.maximum(y, 0)


keys = st.sampled_from([
    (0,), (slice(None), 1), (..., 0), (slice(1, None, 2),), (None, slice(0, 2), ...), (slice(None), slice(None), slice(1, 3)),
    ([2, 0],), (slice(None), [1, 0]), ([0, 1], [1, 1]), ([[0], [2]], 0), ([1], slice(None), [3]), (..., [2, 1], None),
    (np.array([True, False, True]),), (slice(None), np.array([True, False])), (-1, [0, 1], slice(None, None, 3)),
])  # fmt: skip
as_key = tuple


@st.composite
def indexed(draw_one: Any, values: bool = False) -> Call:
    """Draw a (3, 2, 4) array and a key, perhaps with values to put there."""
    rng = np.random.default_rng(draw_one(draw.seeds))
    x = rng.standard_normal((3, 2, 4))
    key = draw_one(keys if values else st.one_of(keys, st.just(([0, 2, 0],))))  # repeated places can only be read
    if not values:
        return Call((x, key))
    shape = x[numpy_key(key)].shape
    return Call((x, key, rng.standard_normal(shape[draw_one(st.integers(0, len(shape))) :])))


def numpy_key(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the key for NumPy; the keys above mean the same there."""
    return tuple(np.array(k) if isinstance(k, list) else k for k in key)


def put(x: np.ndarray, key: tuple[Any, ...], values: np.ndarray) -> np.ndarray:
    """Put values into a copy."""
    y = x.copy()
    y[numpy_key(key)] = values
    return y


def setitem(x: Any, key: Any, values: Any) -> Any:
    """Put values into a clone by assignment."""
    y = x.clone()
    y[key] = values
    return y


@st.composite
def gathered(draw_one: Any, source: bool = False) -> Call:
    """Draw an array, an axis and positions along it, perhaps with values to scatter."""
    shape = draw_one(draw.with_axes)
    dim = draw_one(st.integers(0, len(shape) - 1))
    rng = np.random.default_rng(draw_one(draw.seeds))
    picked = [n if d == dim else draw_one(st.integers(1, n)) for d, n in enumerate(shape)]
    picked[dim] = draw_one(draw.sizes)
    index = rng.integers(0, shape[dim], picked)
    x = rng.standard_normal(shape)
    if not source:
        return Call((x, dim, index))
    return Call((x, dim, index, rng.standard_normal([n + draw_one(st.integers(0, 1)) for n in picked])))


def scattered(x: np.ndarray, dim: int, index: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Add values one by one."""
    y = x.copy()
    for at in np.ndindex(index.shape):
        y[(*at[:dim], index[at], *at[dim + 1 :])] += source[at]
    return y


@st.composite
def several(draw_one: Any, axis_may_differ: bool) -> Call:
    """Draw a list of arrays to join."""
    shape = draw_one(draw.with_axes)
    dim = draw_one(st.integers(-len(shape), len(shape) - 1))
    rng = np.random.default_rng(draw_one(draw.seeds))
    parts = []
    for _ in range(draw_one(st.integers(1, 3))):
        part = list(shape)
        part[dim] = draw_one(st.integers(0, 3)) if axis_may_differ and part[dim] > 1 else part[dim]
        parts.append(rng.standard_normal(part))
    return Call((*parts,), {"dim": dim})


def joined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of (*tensors, dim) from one of (tensors, dim)."""
    return lambda *parts, dim: function(parts, dim)


@st.composite
def padded(draw_one: Any) -> Call:
    """Draw an array, paddings of its last axes (some negative) and a value."""
    shape = draw_one(st.lists(st.integers(2, 4), min_size=1, max_size=3).map(tuple))
    axes = draw_one(st.integers(1, len(shape)))
    pads = [draw_one(st.integers(-1, 2)) for _ in range(2 * axes)]
    x = draw.normal(np.random.default_rng(draw_one(draw.seeds)), shape)
    return Call((x, tuple(pads)), {"value": draw_one(st.sampled_from([0.0, 1.5]))})


def pad_oracle(x: np.ndarray, pads: tuple[int, ...], value: float) -> np.ndarray:
    """Pad or crop the last axes."""
    for k in range(len(pads) // 2):
        axis, (before, after) = x.ndim - 1 - k, pads[2 * k : 2 * k + 2]
        x = np.take(x, range(max(0, -before), x.shape[axis] - max(0, -after)), axis)
        widths = [(max(0, before), max(0, after)) if a == axis else (0, 0) for a in range(x.ndim)]
        x = np.pad(x, widths, constant_values=value)
    return x


@st.composite
def reflected(draw_one: Any) -> Call:
    """Draw images and paddings for the other modes."""
    x = draw.normal(np.random.default_rng(draw_one(draw.seeds)), (1, 2, draw_one(st.integers(3, 4)), 4))
    pads = tuple(draw_one(st.integers(-1, 2)) for _ in range(4))
    return Call((x, pads), {"mode": draw_one(st.sampled_from(["reflect", "replicate", "circular"]))})


def mode_oracle(x: np.ndarray, pads: tuple[int, ...], mode: str) -> np.ndarray:
    """Pad rows and columns with elements of the image."""
    left, right, top, bottom = pads
    widths = [(0, 0), (0, 0), (max(0, top), max(0, bottom)), (max(0, left), max(0, right))]
    y = np.pad(x, widths, mode={"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode])
    rows = slice(max(0, -top), y.shape[2] - max(0, -bottom))
    return y[:, :, rows, slice(max(0, -left), y.shape[3] - max(0, -right))]


@st.composite
def shaped(draw_one: Any, arguments: Callable[[tuple[int, ...], Any], tuple[Any, ...]]) -> Call:
    """Draw an array and arguments that depend on its shape."""
    shape = draw_one(draw.with_axes)
    x = draw.normal(np.random.default_rng(draw_one(draw.seeds)), shape)
    return Call((x, *arguments(shape, draw_one)))


def any_axis(shape: tuple[int, ...], draw_one: Any) -> tuple[Any, ...]:
    """Draw one axis."""
    return (draw_one(st.integers(-len(shape), len(shape) - 1)),)


def two_axes(shape: tuple[int, ...], draw_one: Any) -> tuple[Any, ...]:
    """Draw two axes."""
    return any_axis(shape, draw_one) + any_axis(shape, draw_one)


def any_order(shape: tuple[int, ...], draw_one: Any) -> tuple[Any, ...]:
    """Draw an order of the axes."""
    return (tuple(draw_one(st.permutations(range(len(shape))))),)


def expanded_shape(shape: tuple[int, ...], draw_one: Any) -> tuple[Any, ...]:
    """Draw a shape to expand to."""
    return ((draw_one(draw.sizes), *(draw_one(draw.sizes) if n == 1 else n for n in shape)),)


@st.composite
def linear_inputs(draw_one: Any) -> Call:
    """Draw rows, weights and perhaps a bias."""
    k, n = draw_one(draw.sizes), draw_one(draw.sizes)
    rng = np.random.default_rng(draw_one(draw.seeds))
    x = rng.standard_normal((*draw_one(draw.shapes)[:2], k))
    return Call((x, rng.standard_normal((n, k)), rng.standard_normal(n) if draw_one(st.booleans()) else None))


@st.composite
def normalised(draw_one: Any, training: bool) -> Call:
    """Draw a batch (N, C, ...), running statistics, and perhaps weights."""
    shape = (draw_one(st.integers(2, 3)), draw_one(st.integers(1, 2)), *draw_one(st.sampled_from([(), (3,), (2, 2)])))
    rng = np.random.default_rng(draw_one(draw.seeds))
    x = rng.standard_normal(shape) * 2
    running = (None, None) if training else (rng.standard_normal(shape[1]), rng.uniform(0.5, 2, shape[1]))
    affine = (rng.uniform(0.5, 2, shape[1]), rng.standard_normal(shape[1])) if draw_one(st.booleans()) else (None, None)
    return Call((x, *running, *affine), {"training": training})


@st.composite
def responses(draw_one: Any) -> Call:
    """Draw images and the window of local response normalisation."""
    shape = (draw_one(draw.sizes), draw_one(draw.sizes), *draw_one(st.sampled_from([(1,), (3,), (2, 3), (1, 2, 1)])))
    x = 2 * draw.normal(np.random.default_rng(draw_one(draw.seeds)), shape)
    size, beta, k = (
        draw_one(options)
        for options in (st.integers(1, 6), st.sampled_from([0.75, 0.5, 2.0]), st.sampled_from([1.0, 2]))
    )
    return Call((x, size, draw_one(st.sampled_from([1e-4, 1.5])), beta, k))


@st.composite
def folded(draw_one: Any) -> Call:
    """Draw patches and the image that they fold to."""
    arguments, size = draw_one(draw.windows())
    n, c = draw_one(st.integers(1, 2)), draw_one(st.integers(1, 2))
    image = draw.normal(np.random.default_rng(draw_one(draw.seeds)), (n, c, *size))
    return Call((oracles.im2col(image, **arguments), size), arguments)


def fold_oracle(columns: np.ndarray, size: tuple[int, int], **window: Any) -> np.ndarray:
    """Apply the transposed matrix of im2col."""
    channels = columns.shape[1] // int(np.prod(window["kernel_size"]))
    image = np.zeros((columns.shape[0], channels, *size))
    for at in np.ndindex(image.shape[1:]):
        one_hot = np.zeros((1, *image.shape[1:]))
        one_hot[(0, *at)] = 1
        image[(slice(None), *at)] = (columns * oracles.im2col(one_hot, **window)).sum(axis=(1, 2))
    return image


def images_and_kernels() -> Any:
    """Draw images with the arguments of unfold."""
    return draw.windows().flatmap(
        lambda drawn: st.builds(
            lambda seed, c: Call((draw.normal(np.random.default_rng(seed), (2, c, *drawn[1])),), drawn[0]),
            draw.seeds,
            st.integers(1, 2),
        )
    )


def soft_targets() -> Any:
    """Draw logits and class probabilities."""

    def build(seed: int, n: int, c: int, reduction: str) -> Call:
        rng = np.random.default_rng(seed)
        p = rng.uniform(0.1, 1, (n, c))
        return Call((rng.standard_normal((n, c)), p / p.sum(1, keepdims=True)), {"reduction": reduction})

    return st.builds(build, draw.seeds, draw.sizes, st.integers(2, 4), st.sampled_from(["none", "mean", "sum"]))


def soft_oracle(x: np.ndarray, p: np.ndarray, reduction: str) -> Any:
    """Take -sum(p * log_softmax(x))."""
    losses = -(p * oracles.log_softmax(x, 1)).sum(axis=1)
    return {"none": losses, "sum": losses.sum(), "mean": losses.mean()}[reduction]


def regression(loss: Callable[..., Any]) -> Callable[..., Any]:
    """Make an oracle from the loss of one element."""
    return lambda x, t, reduction: {"none": lambda v: v, "mean": np.mean, "sum": np.sum}[reduction](loss(x, t))


def predictions() -> Any:
    """Draw predictions and targets of one shape."""

    def build(seed: int, shape: tuple[int, ...], reduction: str) -> Call:
        both = draw.separated(np.random.default_rng(seed), (2, *shape))
        return Call((both[0], both[1]), {"reduction": reduction})

    return st.builds(build, draw.seeds, draw.shapes, st.sampled_from(["none", "mean", "sum"]))


@st.composite
def masked(draw_one: Any) -> Call:
    """Draw a mask and two arrays that broadcast."""
    a, b, c = draw_one(draw.broadcast_shapes(3))
    rng = np.random.default_rng(draw_one(draw.seeds))
    return Call((rng.uniform(size=a) < 0.5, rng.standard_normal(b), rng.standard_normal(c)))


def as_integers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of two floating tensors (or arrays) from one of integers."""

    def whole(x: Any) -> Any:
        return (x * 8).astype(np.int32) if isinstance(x, np.ndarray) else (x * 8).int()

    return lambda x, y: function(whole(x), whole(y))


not_a_tensor = bad(TypeError, "expected a tensor", 3.0)
images = zeros(1, 2, 4, 4)

TABLE = [
    # ---- elementwise, one tensor ----
    OpCase("neg", tg.neg, draw.one(), np.negative, [not_a_tensor], second=False),
    OpCase("abs", tg.abs, draw.one(), np.abs, [not_a_tensor], second=False),
    OpCase("sign", tg.sign, draw.one(), np.sign, second=False),
    OpCase("exp", tg.exp, draw.one(), np.exp, [not_a_tensor]),
    OpCase("expm1", tg.expm1, draw.one(), np.expm1),
    OpCase("log", tg.log, draw.one(draw.positive), np.log),
    OpCase("log1p", tg.log1p, draw.one(draw.positive), np.log1p),
    OpCase("log2", tg.log2, draw.one(draw.positive), np.log2),
    OpCase("sqrt", tg.sqrt, draw.one(draw.positive), np.sqrt),
    OpCase("rsqrt", tg.rsqrt, draw.one(draw.positive), lambda x: x**-0.5),
    OpCase("reciprocal", tg.reciprocal, draw.one(draw.positive), lambda x: 1 / x),
    OpCase("square", tg.square, draw.one(), np.square),
    OpCase("sin", tg.sin, draw.one(), np.sin),
    OpCase("cos", tg.cos, draw.one(), np.cos),
    OpCase("tanh", tg.tanh, draw.one(), np.tanh),
    OpCase("sigmoid", tg.sigmoid, draw.one(), lambda x: 1 / (1 + np.exp(-x))),
    OpCase("relu", tg.relu, draw.one(), lambda x: np.maximum(x, 0), [not_a_tensor], second=False),
    OpCase("leaky_relu", F.leaky_relu, draw.one(negative_slope=st.sampled_from([0.01, 0.5])),
           lambda x, negative_slope: np.where(x > 0, x, negative_slope * x), second=False),
    OpCase("floor", tg.floor, draw.one(), np.floor, second=False),
    OpCase("ceil", tg.ceil, draw.one(), np.ceil, second=False),
    OpCase("round", tg.round, draw.one(lambda rng, s: draw.separated(rng, s) * 3.1), np.rint, second=False),
    OpCase("trunc", tg.trunc, draw.one(), np.trunc, second=False),
    OpCase("clone", tg.clone, draw.one(), np.array, second=False),
    OpCase("logical_not", tg.logical_not, draw.one(), np.logical_not, differentiable=False),
    OpCase("isnan", tg.isnan, draw.one(), np.isnan, differentiable=False),
    OpCase("isinf", tg.isinf, draw.one(), np.isinf, differentiable=False),
    OpCase("isfinite", tg.isfinite, draw.one(), np.isfinite, differentiable=False),
    OpCase("cast", lambda x: x.float().to(x.dtype), draw.one(lambda rng, s: rng.integers(-8, 8, s) / 4), np.array,
           differentiable=False),
    # ---- elementwise, two ----
    OpCase("add", tg.add, draw.two(alpha=st.sampled_from([1, 2.5])), lambda x, y, alpha: x + alpha * y,
           [bad(RuntimeError, ("add", "(2,)", "(3,)"), zeros(2), zeros(3)), bad(TypeError, ("add", "str"), zeros(2), "a")],
           second=False),
    OpCase("sub", tg.sub, draw.two(alpha=st.sampled_from([1, 2.5])), lambda x, y, alpha: x - alpha * y,
           [bad(RuntimeError, "bool", zeros(2, dtype="bool"), zeros(2, dtype="bool"))], second=False),
    OpCase("mul", tg.mul, draw.two(), np.multiply, [bad(TypeError, ("mul", "list"), zeros(2), [1])]),
    OpCase("div", tg.div, draw.two(second=draw.positive), np.divide,
           [bad(RuntimeError, ("rounding_mode", "up"), zeros(2), zeros(2), rounding_mode="up")]),
    OpCase("div_trunc", tg.div, draw.two(second=draw.positive, rounding_mode=st.just("trunc")),
           lambda x, y, rounding_mode: np.trunc(x / y), differentiable=False),
    OpCase("floor_divide", tg.floor_divide, draw.two(second=draw.positive), np.floor_divide,
           [bad(RuntimeError, "division by zero", zeros(2, dtype="int64"), 0)], differentiable=False),
    OpCase("remainder", tg.remainder, draw.two(second=draw.positive), np.remainder,
           [bad(RuntimeError, "division by zero", zeros(2, dtype="int64"), zeros(2, dtype="int64"))], differentiable=False),
    OpCase("pow", tg.pow, draw.two(first=draw.positive), np.power,
           [bad(RuntimeError, "negative integer power", np.arange(3), -1)]),
    OpCase("pow_scalar_base", lambda e: tg.pow(2.0, e), draw.one(), lambda e: 2.0**e),
    OpCase("pow_square", lambda x: x**2, draw.one(), np.square),
    OpCase("maximum", tg.maximum, draw.two_separated(), np.maximum, second=False),
    OpCase("minimum", tg.minimum, draw.two_separated(), np.minimum, second=False),
    OpCase("clamp", tg.clamp, draw.one(min=st.sampled_from([None, -0.7]), max=st.sampled_from([0.6, 1.5])),
           lambda x, min, max: np.clip(x, min, max), [bad(RuntimeError, "at least one", zeros(2))], second=False),
    OpCase("lerp", lambda x, y: tg.lerp(tg.lerp(x, y, 0.3), y, 0.7), draw.two_separated(), lambda x, y: 0.21 * x + 0.79 * y, second=False),
    OpCase("addcmul", lambda x, y: tg.addcmul(x, x, y, value=-2.5), draw.two_separated(), lambda x, y: x - 2.5 * x * y),
    OpCase("addcdiv", lambda x, y: tg.addcdiv(x, y, y * y + 1, value=2), draw.two_separated(),
           lambda x, y: x + 2 * y / (y * y + 1)),
    OpCase("clamp_tensors", lambda x, y: tg.clamp(x, min=y), draw.two_separated(), np.maximum, second=False),
    OpCase("where", tg.where, masked(), np.where,
           [bad(RuntimeError, ("where", "bool", "float64"), zeros(2), zeros(2), zeros(2))], second=False),
    *[OpCase(name, getattr(tg, name), draw.two_separated(), oracle, differentiable=False) for name, oracle in [
        ("eq", np.equal), ("ne", np.not_equal), ("lt", np.less), ("le", np.less_equal), ("gt", np.greater),
        ("ge", np.greater_equal), ("logical_and", np.logical_and), ("logical_or", np.logical_or),
        ("logical_xor", np.logical_xor)]],
    *[OpCase(f.__name__, as_integers(f), draw.two_separated(), as_integers(getattr(np, f.__name__)), differentiable=False)
      for f in (tg.bitwise_and, tg.bitwise_or, tg.bitwise_xor)],
    OpCase("bitwise_not", lambda x: ~(x * 8).int(), draw.one(), lambda x: ~(x * 8).astype(int),
           differentiable=False),
    # ---- reductions ----
    OpCase("sum", tg.sum, draw.reductions(), reduced(np.sum),
           [bad(IndexError, ("sum", "2"), zeros(2, 3), 2), bad(RuntimeError, "twice", zeros(2, 3), (0, -2))], second=False),
    OpCase("mean", tg.mean, draw.reductions(), reduced(np.mean),
           [bad(RuntimeError, ("mean", "int64"), zeros(2, dtype="int64"))], second=False),
    OpCase("prod", tg.prod, draw.reductions(several=False), reduced(np.prod)),
    OpCase("amax", tg.amax, draw.reductions(), reduced(np.max), [bad(RuntimeError, "no elements", zeros(0))], second=False),
    OpCase("amin", tg.amin, draw.reductions(), reduced(np.min), second=False),
    OpCase("max", lambda x, dim, keepdim: tg.max(x, dim, keepdim).values, draw.reductions(several=False), reduced(np.max),
           second=False),
    OpCase("min", lambda x, dim, keepdim: tg.min(x, dim, keepdim).values, draw.reductions(several=False), reduced(np.min),
           second=False),
    OpCase("argmax", tg.argmax, draw.reductions(several=False), reduced(np.argmax),
           [bad(IndexError, "no elements", zeros(0, 2), 0)], differentiable=False),
    OpCase("argmin", tg.argmin, draw.reductions(several=False), reduced(np.argmin), differentiable=False),
    OpCase("any", lambda x, dim, keepdim: tg.any(x > 0.5, dim, keepdim), draw.reductions(),
           lambda x, dim, keepdim: np.any(x > 0.5, axis=dim, keepdims=keepdim), differentiable=False),
    OpCase("all", lambda x, dim, keepdim: tg.all(x > -0.5, dim, keepdim), draw.reductions(),
           lambda x, dim, keepdim: np.all(x > -0.5, axis=dim, keepdims=keepdim), differentiable=False),
    OpCase("var", lambda x, dim, keepdim: tg.var(x, dim, correction=0, keepdim=keepdim), draw.reductions(), reduced(np.var)),
    OpCase("std", lambda x: tg.std(x, correction=0.5), draw.one(shape=st.sampled_from([(3,), (2, 3)])),
           lambda x: np.sqrt(((x - x.mean()) ** 2).sum() / (x.size - 0.5))),
    OpCase("logsumexp", tg.logsumexp, draw.reductions(), lambda x, dim, keepdim: np.log(np.exp(x).sum(axis=dim, keepdims=keepdim))),
    OpCase("softmax", F.softmax, shaped(any_axis), lambda x, dim: np.exp(oracles.log_softmax(x, dim)),
           [bad(RuntimeError, ("softmax", "int64"), zeros(2, dtype="int64"), 0), bad(IndexError, "softmax", zeros(2), 3)]),
    OpCase("log_softmax", F.log_softmax, shaped(any_axis), oracles.log_softmax),
    # ---- shape ----
    OpCase("reshape", tg.reshape, shaped(lambda shape, _: ((*shape[1:], -1),)), lambda x, shape: x.reshape(shape),
           [bad(RuntimeError, ("reshape", "(3,)", "4 elements"), zeros(2, 2), (3,)),
            bad(RuntimeError, ("reshape", "at most one"), zeros(2, 2), (-1, -1))], second=False),
    OpCase("view", lambda x: x.contiguous().view(1, -1), draw.one(), lambda x: x.reshape(1, -1), second=False),
    OpCase("flatten", tg.flatten, draw.one(), lambda x: x.reshape(-1),
           [bad(RuntimeError, "start_dim", zeros(2, 3), 1, 0)], second=False),
    OpCase("squeeze", tg.squeeze, draw.one(), np.squeeze, [bad(IndexError, "squeeze", zeros(2), 1)], second=False),
    OpCase("unsqueeze", tg.unsqueeze, shaped(any_axis), lambda x, d: np.expand_dims(x, d),
           [bad(IndexError, "unsqueeze", zeros(2), 3)], second=False),
    OpCase("permute", tg.permute, shaped(any_order), np.transpose,
           [bad(RuntimeError, ("permute", "once"), zeros(2, 3), (0, 0))], second=False),
    OpCase("transpose", tg.transpose, shaped(two_axes), np.swapaxes, [bad(IndexError, "transpose", zeros(2, 3), 0, 2)],
           second=False),
    OpCase("movedim", tg.movedim, shaped(two_axes), np.moveaxis, second=False),
    OpCase("expand", lambda x, shape: x.expand(shape), shaped(expanded_shape), np.broadcast_to,
           [bad(RuntimeError, ("expand", "(2,)", "(3,)"), zeros(2), (3,))], second=False),
    OpCase("cat", joined(tg.cat), several(True), joined(np.concatenate),
           [bad(RuntimeError, ("cat", "(2, 2)", "(3, 3)"), zeros(2, 2), zeros(3, 3), dim=0)], second=False),
    OpCase("stack", joined(tg.stack), several(False), joined(np.stack),
           [bad(RuntimeError, ("stack", "(2,)", "(3,)"), zeros(2), zeros(3), dim=0)], second=False),
    OpCase("split", lambda x: tg.split(x, 2, -1)[-1], draw.one(shape=draw.with_axes),
           lambda x: np.split(x, range(2, x.shape[-1], 2), -1)[-1], second=False),
    OpCase("pad", F.pad, padded(), pad_oracle,
           [bad(RuntimeError, ("pad", "pairs"), zeros(2), (1,)), bad(RuntimeError, "negative size", zeros(2), (-2, -1))],
           second=False),
    OpCase("pad_modes", F.pad, reflected(), mode_oracle,
           [bad(RuntimeError, ("reflect", "at most 1"), zeros(1, 1, 2, 2), (2, 0), mode="reflect"),
            bad(NotImplementedError, "mode", zeros(1, 1, 2, 2), (1, 0), mode="mirror")], second=False),
    # ---- indexing ----
    OpCase("getitem", lambda x, key: x[as_key(key)], indexed(), lambda x, key: x[numpy_key(key)],
           [bad(IndexError, ("index", "5", "size 3"), zeros(3), (5,)),
            bad(IndexError, "too many indices", zeros(3), (0, 0)),
            bad(IndexError, ("mask", "(2,)", "(3,)"), zeros(3), (np.array([True, False]),)),
            bad(ValueError, "positive", zeros(3), (slice(None, None, -1),))], second=False),
    OpCase("setitem", setitem, indexed(values=True), put,
           [bad(RuntimeError, ("setitem", "(3,)"), zeros(2, 2), (0,), zeros(3)),
            bad(TypeError, "setitem", zeros(2), (0,), "a")], second=False),
    OpCase("gather", tg.gather, gathered(), lambda x, dim, index: np.array(
        [x[(*at[:dim], index[at], *at[dim + 1:])] for at in np.ndindex(index.shape)]).reshape(index.shape),
           [bad(RuntimeError, ("gather", "3"), zeros(3), 0, np.array([3])),
            bad(RuntimeError, ("gather", "int64"), zeros(3), 0, zeros(1))], second=False),
    OpCase("scatter_add", tg.scatter_add, gathered(source=True), scattered,
           [bad(RuntimeError, "scatter_add", zeros(3), 0, np.array([-1]), zeros(1))], second=False),
    OpCase("masked_fill", lambda x: x.masked_fill(x > 0, 2.5), draw.one(), lambda x: np.where(x > 0, 2.5, x), second=False),
    OpCase("nonzero", lambda x: (x > 0).nonzero(), draw.one(shape=draw.with_axes), lambda x: np.argwhere(x > 0),
           differentiable=False),
    # ---- matrix products ----
    OpCase("matmul", tg.matmul, draw.matrices(), np.matmul,
           [bad(RuntimeError, ("matmul", "(2, 3)", "(2, 3)"), zeros(2, 3), zeros(2, 3)),
            bad(RuntimeError, ("matmul", "float32"), zeros(2, 2), zeros(2, 2, dtype="float32")),
            bad(RuntimeError, "1 dimension", zeros(), zeros(2))]),
    OpCase("bmm", tg.bmm, st.builds(lambda seed: Call(tuple(np.random.default_rng(seed).standard_normal((2, 2, 3, 3)))), draw.seeds),
           np.matmul, [bad(RuntimeError, "bmm", zeros(2, 3), zeros(3, 2))]),
    OpCase("linear", F.linear, linear_inputs(), lambda x, w, b: x @ w.T + (0 if b is None else b),
           [bad(RuntimeError, ("linear", "(2, 3)", "in_features = 4"), zeros(2, 3), zeros(5, 4)),
            bad(RuntimeError, "bias", zeros(2, 3), zeros(5, 3), zeros(4))]),
    # ---- convolution ----
    OpCase("conv2d", F.conv2d, draw.convolutions(), oracles.conv2d,
           [bad(RuntimeError, ("conv2d", "1 dimensions", "(3,)"), zeros(3), zeros(1, 1, 1, 1)),
            bad(RuntimeError, ("conv2d", "2 channels", "3 * 1 = 3"), images, zeros(4, 3, 1, 1)),
            bad(RuntimeError, ("conv2d", "kernel is larger", "5 > 4"), images, zeros(1, 2, 5, 5)),
            bad(RuntimeError, ("conv2d", "padding", "negative"), images, zeros(1, 2, 1, 1), padding=-1),
            bad(RuntimeError, ("conv2d", "stride", "positive"), images, zeros(1, 2, 1, 1), stride=0),
            bad(RuntimeError, ("conv2d", "dilation"), images, zeros(1, 2, 1, 1), dilation=(1, 0)),
            bad(RuntimeError, ("conv2d", "groups", "3"), images, zeros(4, 1, 1, 1), groups=3),
            bad(RuntimeError, ("conv2d", "dtype", "float32"), images, zeros(1, 2, 1, 1, dtype="float32")),
            bad(RuntimeError, ("conv2d", "bias", "(4,)"), images, zeros(4, 2, 1, 1), zeros(3)),
            bad(RuntimeError, ("conv2d", "floating"), zeros(1, 2, 4, 4, dtype="int64"), zeros(4, 2, 1, 1, dtype="int64")),
            bad(RuntimeError, ("conv2d", "'same'"), images, zeros(4, 2, 1, 1), padding="full"),
            bad(TypeError, ("conv2d", "stride"), images, zeros(4, 2, 1, 1), stride=1.5)]),
    OpCase("conv2d_relu", conv2d_relu, draw.convolutions(),
           lambda *args, **window: np.maximum(oracles.conv2d(*args, **window), 0)),
    OpCase("unfold", F.unfold, images_and_kernels(), oracles.im2col,
           [bad(RuntimeError, ("unfold", "kernel is larger"), images, 5)], second=False),
    OpCase("fold", F.fold, folded(), fold_oracle,
           [bad(RuntimeError, ("fold", "columns"), zeros(1, 4, 3), (4, 4), 2)], second=False),
    # ---- pooling ----
    OpCase("max_pool2d", F.max_pool2d, draw.pooled_images(ceil_mode=st.booleans()), oracles.max_pool2d,
           [bad(RuntimeError, ("max_pool2d", "half of the kernel"), images, 2, padding=2),
            bad(RuntimeError, ("max_pool2d", "kernel is larger"), images, 5),
            bad(RuntimeError, ("max_pool2d", "stride"), images, 2, 0),
            bad(RuntimeError, ("max_pool2d", "rows and columns"), zeros(1, 2, 0, 4), 1),
            bad(RuntimeError, ("max_pool2d", "(N, C, H, W)"), zeros(4, 4), 2)], second=False),
    OpCase("max_pool2d_indices", lambda x, **window: F.max_pool2d(x, return_indices=True, **window)[1],
           draw.pooled_images(ceil_mode=st.booleans()), oracles.max_pool2d_indices, differentiable=False),
    OpCase("pooled_conv2d", pooled_conv2d, draw.pooled_convolutions(), pooled_conv2d_oracle, second=False),
    OpCase("conv2d_max_pool2d_relu", joined_conv2d, draw.pooled_convolutions(st.just("behind")), pooled_conv2d_oracle),
    OpCase("avg_pool2d", F.avg_pool2d, ceil_or_not(), oracles.avg_pool2d,
           [bad(RuntimeError, ("avg_pool2d", "divisor_override"), images, 2, divisor_override=0),
            bad(RuntimeError, ("avg_pool2d", "half of the kernel"), images, 2, padding=2)], second=False),
    OpCase("adaptive_avg_pool2d", F.adaptive_avg_pool2d,
           st.builds(lambda seed, h, w, oh, ow: Call((draw.normal(np.random.default_rng(seed), (2, 2, h, w)), (oh, ow))),
                     draw.seeds, st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4)),
           oracles.adaptive_avg_pool2d, [bad(RuntimeError, "output_size", images, (1, 2, 3))], second=False),
    # ---- normalisation, dropout ----
    OpCase("batch_norm", F.batch_norm, normalised(True), oracles.batch_norm,
           [bad(ValueError, ("batch_norm", "more than 1 value"), zeros(1, 2), None, None, training=True),
            bad(RuntimeError, ("batch_norm", "running_mean"), zeros(2, 2), None, None),
            bad(RuntimeError, ("batch_norm", "weight", "(2,)"), zeros(2, 2), None, None, zeros(3), training=True)]),
    OpCase("batch_norm_eval", F.batch_norm, normalised(False), oracles.batch_norm),
    *[OpCase(f"batch_norm_relu_{training}", partial(rectified_norm, batch_norm_relu), normalised(training),
             partial(rectified_norm, lambda x, *args, residual: np.maximum(oracles.batch_norm(x, *args) + residual, 0)))
      for training in (True, False)],
    OpCase("local_response_norm", F.local_response_norm, responses(), oracles.local_response_norm,
           [bad(ValueError, ("local_response_norm", "(2, 3)"), zeros(2, 3), 5),
            bad(RuntimeError, ("local_response_norm", "int64"), zeros(2, 3, 4, dtype="int64"), 5),
            bad(RuntimeError, ("local_response_norm", "size", "0"), zeros(2, 3, 4), 0)]),
    OpCase("dropout_linear", lambda x: _dropout_twice(x), draw.one(shape=draw.with_axes), lambda x: x, second=False),
    # ---- losses ----
    OpCase("cross_entropy", F.cross_entropy, draw.classified(label_smoothing=st.sampled_from([0.0, 0.1])), oracles.cross_entropy,
           [bad(IndexError, ("cross_entropy", "3", "0 to 2"), zeros(2, 3), np.array([0, 3])),
            bad(ValueError, ("cross_entropy", "(2,)", "(3,)"), zeros(2, 3), np.array([0, 1, 1])),
            bad(RuntimeError, ("cross_entropy", "float32"), zeros(2, 3), zeros(2, dtype="float32")),
            bad(ValueError, ("reduction", "avg"), zeros(2, 3), np.array([0, 1]), reduction="avg"),
            bad(RuntimeError, "weight", zeros(2, 3), np.array([0, 1]), zeros(2)),
            bad(RuntimeError, "label_smoothing", zeros(2, 3), np.array([0, 1]), label_smoothing=2.0)]),
    OpCase("cross_entropy_soft", F.cross_entropy, soft_targets(), soft_oracle),
    OpCase("nll_loss", F.nll_loss, draw.classified(logits=False), oracles.nll_loss,
           [bad(IndexError, "3", zeros(2, 3), np.array([0, 3]))], second=False),
    OpCase("mse_loss", F.mse_loss, predictions(), regression(lambda x, t: (x - t) ** 2),
           [bad(ValueError, "reduction", zeros(2), zeros(2), reduction="average")]),
    OpCase("l1_loss", F.l1_loss, predictions(), regression(lambda x, t: np.abs(x - t)), second=False),
]  # fmt: skip


def _dropout_twice(x: Any) -> Any:
    """Check that a mask is drawn anew each time, and make the identity of two complementary ones (p = 1/2)."""
    tg.manual_seed(7)
    kept = F.dropout(x, 0.5)
    return (kept + (x * 2 - kept)) / 2


# ---- more elementwise operations, scans, sorting, diagonals, scatter ----


def between(low: float, high: float) -> Callable[..., np.ndarray]:
    """Draw numbers between two limits."""
    return lambda rng, shape: rng.uniform(low, high, shape)


def integer_pairs(call: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of two floating tensors (or arrays) from one of small integers."""

    def whole(x: Any) -> Any:
        return np.abs(x * 4).astype(np.int32) if isinstance(x, np.ndarray) else (x * 4).abs().int()

    return lambda x, y: call(whole(x), whole(y))


def extremes_so_far(x: np.ndarray, dim: int) -> np.ndarray:
    """Return running maxima."""
    return np.maximum.accumulate(x, dim)


def logcumsumexp_oracle(x: np.ndarray, dim: int) -> np.ndarray:
    """Return log(running sums of e ** x)."""
    return np.log(np.cumsum(np.exp(x), dim))


@st.composite
def scattered_once(draw_one: Any) -> Call:
    """Draw an array, an axis, places along it and values to combine, all far from each other."""
    call = draw_one(gathered(source=True))
    x, dim, index, source = call.args
    values = draw.separated(np.random.default_rng(draw_one(draw.seeds)), (x.size + source.size,))
    how = draw_one(st.sampled_from(["prod", "amax", "amin", "sum"]))
    return Call(
        (values[: x.size].reshape(x.shape), dim, index, values[x.size :].reshape(source.shape)), {"reduce": how}
    )


def scatter_oracle(x: np.ndarray, dim: int, index: np.ndarray, source: np.ndarray, reduce: str) -> np.ndarray:
    """Combine values one by one."""
    combine = {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum, "sum": np.add}[reduce]
    y = x.copy()
    for at in np.ndindex(index.shape):
        place = (*at[:dim], index[at], *at[dim + 1 :])
        y[place] = combine(y[place], source[at])
    return y


matrix = st.tuples(draw.sizes, draw.sizes)
inside = draw.one(between(-0.9, 0.9))
TABLE += [
    OpCase("tan", tg.tan, inside, np.tan),
    OpCase("asin", tg.asin, inside, np.arcsin),
    OpCase("acos", tg.acos, inside, np.arccos),
    OpCase("atan", tg.atan, draw.one(), np.arctan),
    OpCase("sinh", tg.sinh, draw.one(), np.sinh),
    OpCase("cosh", tg.cosh, draw.one(), np.cosh),
    OpCase("asinh", tg.asinh, draw.one(), np.arcsinh),
    OpCase("acosh", tg.acosh, draw.one(between(1.2, 4)), np.arccosh),
    OpCase("atanh", tg.atanh, inside, np.arctanh),
    OpCase("exp2", tg.exp2, draw.one(), np.exp2),
    OpCase("log10", tg.log10, draw.one(draw.positive), np.log10),
    OpCase("erf", tg.erf, draw.one(), np.vectorize(math.erf, [float])),
    OpCase("erfc", tg.erfc, draw.one(), np.vectorize(math.erfc, [float])),
    OpCase("logit", tg.logit, draw.one(between(0.1, 0.9)), lambda x: np.log(x / (1 - x))),
    OpCase("signbit", tg.signbit, draw.one(), np.signbit, differentiable=False),
    OpCase("atan2", tg.atan2, draw.two_separated(), np.arctan2),
    OpCase("hypot", tg.hypot, draw.two_separated(), np.hypot),
    OpCase("copysign", tg.copysign, draw.two(draw.separated), np.copysign, second=False),
    OpCase("logaddexp", tg.logaddexp, draw.two_separated(), np.logaddexp),
    OpCase("fmax", tg.fmax, draw.two_separated(), np.fmax, second=False),
    OpCase("fmin", tg.fmin, draw.two_separated(), np.fmin, second=False),
    OpCase("fmod", tg.fmod, draw.two(draw.separated, between(5, 6)), np.fmod, second=False),
    OpCase("xlogy", tg.xlogy, draw.two(draw.positive, draw.positive), lambda x, y: x * np.log(y)),
    OpCase("bitwise_left_shift", integer_pairs(lambda x, y: x << y), draw.two_separated(), integer_pairs(np.left_shift), differentiable=False),
    OpCase("bitwise_right_shift", integer_pairs(lambda x, y: x >> y), draw.two_separated(), integer_pairs(np.right_shift), differentiable=False),
    OpCase("cumsum", tg.cumsum, shaped(any_axis), np.cumsum),
    OpCase("cumprod", tg.cumprod, shaped(any_axis), np.cumprod),
    OpCase("cummax", lambda x, dim: tg.cummax(x, dim).values, shaped(any_axis), extremes_so_far, second=False),
    OpCase("logcumsumexp", tg.logcumsumexp, shaped(any_axis), logcumsumexp_oracle),
    OpCase("sort", lambda x, dim: tg.sort(x, dim).values, shaped(any_axis), np.sort, second=False),
    OpCase("diagonal", tg.diagonal, draw.one(shape=matrix, offset=st.integers(-2, 2)), np.diagonal, second=False),
    OpCase("diag_embed", tg.diag_embed, draw.one(shape=st.tuples(draw.sizes)), np.diag, second=False),
    OpCase("scatter_reduce", tg.scatter_reduce, scattered_once(), scatter_oracle, second=False),
]  # fmt: skip
