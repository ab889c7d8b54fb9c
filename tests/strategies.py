"""What hypothesis draws: arrays that are kind to finite differences, and the geometry of windows, built outwards.

Geometry starts from the kernel, the stride and the number of outputs, and the input's size follows: nothing is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinygrad_cnn.geometry import Window, effective


@dataclass
class Call:
    """Arguments of one call; float64 arrays are the inputs that have a gradient."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.args = tuple(np.asarray(a) if isinstance(a, np.generic) else a for a in self.args)

    def __repr__(self) -> str:
        def text(value: Any) -> str:
            return f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else repr(value)

        return f"({', '.join([*map(text, self.args), *(f'{k}={text(v)}' for k, v in self.kwargs.items())])})"


seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 4)


def separated(rng: np.random.Generator, shape: tuple[int, ...], low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Return different numbers in random order, well apart from each other and from 0 and +-1."""
    count = int(np.prod(shape))
    values = np.linspace(low, high, count) if count > 1 else np.array([rng.uniform(low, high)])[:count]
    gap = (high - low) / max(count, 2)
    values = values + rng.uniform(-0.2, 0.2, count) * gap
    for kink in (-1.0, 0.0, 1.0):
        near = np.abs(values - kink) < 0.02
        values[near] = kink + np.where(values[near] >= kink, 0.02, -0.02) * (1 + rng.uniform(0, 1, near.sum()))
    return rng.permutation(values).reshape(shape)


def positive(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers between 0.3 and 3."""
    return rng.uniform(0.3, 3.0, shape)


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return standard normal numbers."""
    return rng.standard_normal(shape)


shapes = st.lists(sizes, min_size=0, max_size=3).map(tuple)
with_axes = st.lists(sizes, min_size=1, max_size=3).map(tuple)


@st.composite
def one(draw: Any, values: Callable[..., np.ndarray] = separated, shape: Any = shapes, **kwargs: Any) -> Call:
    """Draw one array; `kwargs` are strategies for keyword arguments."""
    x = values(np.random.default_rng(draw(seeds)), draw(shape))
    return Call((x,), {name: draw(strategy) for name, strategy in kwargs.items()})


@st.composite
def broadcast_shapes(draw: Any, count: int) -> list[tuple[int, ...]]:
    """Draw shapes that broadcast together: sizes of 1 and missing leading axes here and there."""
    full = draw(shapes)
    result = []
    for _ in range(count):
        shape = tuple(1 if draw(st.booleans()) and draw(st.booleans()) else n for n in full)
        result.append(shape[draw(st.integers(0, len(shape))) :] if draw(st.booleans()) else shape)
    return result


@st.composite
def two(
    draw: Any, first: Callable[..., np.ndarray] = normal, second: Callable[..., np.ndarray] = normal, **kwargs: Any
) -> Call:
    """Draw two arrays that broadcast, or an array and a number."""
    a, b = draw(broadcast_shapes(2))
    rng = np.random.default_rng(draw(seeds))
    x, y = first(rng, a), second(rng, b)
    if draw(st.integers(0, 3)) == 0:
        y = float(second(rng, ()))
    return Call((x, y), {name: draw(strategy) for name, strategy in kwargs.items()})


@st.composite
def two_separated(draw: Any) -> Call:
    """Draw two arrays that broadcast, all of whose elements differ."""
    a, b = draw(broadcast_shapes(2))
    both = separated(np.random.default_rng(draw(seeds)), (int(np.prod(a)) + int(np.prod(b)),))
    return Call((both[: int(np.prod(a))].reshape(a), both[int(np.prod(a)) :].reshape(b)))


@st.composite
def reductions(draw: Any, values: Callable[..., np.ndarray] = separated, several: bool = True) -> Call:
    """Draw an array, axes to reduce (one, several or all) and keepdim."""
    shape = draw(with_axes)
    x = values(np.random.default_rng(draw(seeds)), shape)
    axis = st.integers(-len(shape), len(shape) - 1)
    axes = st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True).map(tuple)
    dim = draw(st.one_of(axis, axes, st.none()) if several else axis)
    return Call((x,), {"dim": dim, "keepdim": draw(st.booleans())})


@st.composite
def windows(draw: Any, pooling: bool = False, dilated: bool = True) -> tuple[dict[str, Any], tuple[int, int]]:
    """Draw arguments of a window and the size of an image that it fits: outputs first, then the input."""
    axes = []
    for _ in range(2):
        k, stride, d = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 2)) if dilated else 1
        span = effective(k, d)
        most = span // 2 if pooling else span
        before, after = draw(st.integers(0, most)), draw(st.integers(0, most))
        extra = draw(st.integers(0, stride - 1))
        size = (draw(st.integers(1, 3)) - 1) * stride + span + extra - before - after
        least = d if pooling else 1  # so that no pooling window lies outside the image altogether
        axes.append((k, stride, d, (before, after), max(size, least)))
    (kh, sh, dh, rows, h), (kw, sw, dw, columns, w) = axes
    arguments = {"stride": (sh, sw), "padding": (rows, columns)}
    if dilated:
        arguments["dilation"] = (dh, dw)
    arguments["kernel_size"] = (kh, kw)
    return arguments, (h, w)


@st.composite
def convolutions(draw: Any) -> Call:
    """Draw images, filters, perhaps a bias, and the geometry."""
    arguments, (h, w) = draw(windows())
    groups = draw(st.integers(1, 2))
    n, c, o = draw(st.integers(1, 2)), groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(seeds))
    weight = rng.standard_normal((o, c // groups, *arguments.pop("kernel_size")))
    bias = rng.standard_normal(o) if draw(st.booleans()) else None
    x = rng.standard_normal((n, c, h, w))
    return Call((x, weight, bias), {**arguments, "groups": groups})


@st.composite
def winograd_convolutions(draw: Any, most: int = 20) -> Call:
    """Draw what Winograd's algorithm can do: 3 x 3 and 5 x 5 kernels, stride 1, any padding on each side, dilation, groups."""
    groups, k = draw(st.integers(1, 2)), draw(st.sampled_from([3, 5]))
    n, c, o = draw(st.integers(1, 3)), groups * draw(st.integers(1, most)), groups * draw(st.integers(1, most))
    pads = [(draw(st.integers(0, 4)), draw(st.integers(0, 4))) for _ in range(2)]
    dilation = draw(st.one_of(st.just((1, 1)), st.tuples(st.integers(1, 3), st.integers(1, 3))))
    least = [max(1, effective(k, d) - sum(pad)) for pad, d in zip(pads, dilation, strict=True)]
    h, w = [draw(st.integers(size, size + most)) for size in least]
    rng = np.random.default_rng(draw(seeds))
    bias = rng.standard_normal(o) if draw(st.booleans()) else None
    arrays = rng.standard_normal((n, c, h, w)), rng.standard_normal((o, c // groups, k, k)), bias
    return Call(arrays, {"stride": 1, "padding": tuple(pads), "dilation": dilation, "groups": groups})


def window_of(x_shape: tuple[int, ...], kernel: tuple[int, int], kwargs: dict[str, Any]) -> Window:
    """Return the geometry of a drawn convolution."""
    from tinygrad_cnn.geometry import window

    return window("test", x_shape[2:], kernel, kwargs["stride"], kwargs["padding"], kwargs["dilation"])


@st.composite
def pooled_images(draw: Any, dilated: bool = True, **kwargs: Any) -> Call:
    """Draw images and the geometry of a pooling."""
    arguments, (h, w) = draw(windows(pooling=True, dilated=dilated))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 2)), h, w)
    x = separated(np.random.default_rng(draw(seeds)), shape)
    return Call((x,), {**arguments, **{name: draw(strategy) for name, strategy in kwargs.items()}})


RELU_PLACES = st.sampled_from(["before", "behind", "nowhere"])


@st.composite
def pooled_convolutions(draw: Any, relu: Any = RELU_PLACES) -> Call:
    """Draw a convolution and the max pooling behind it, of windows that do not overlap, and where a ReLU stands."""
    axes = []
    for _ in range(2):
        k, pool = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        step, before, after = pool + draw(st.integers(0, 1)), draw(st.integers(0, 2)), draw(st.integers(0, 2))
        outputs = (draw(st.integers(1, 3)) - 1) * step + pool + draw(st.integers(0, step - 1))
        axes.append((k, pool, step, (before, after), max(1, outputs + k - 1 - before - after)))
    (kh, ph, sh, rows, h), (kw, pw, sw, columns, w) = axes
    n, c, o = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(seeds))
    x, weight = rng.standard_normal((n, c, h, w)), rng.standard_normal((o, c, kh, kw))
    bias = rng.standard_normal(o) if draw(st.booleans()) else None
    pool = {"kernel_size": (ph, pw), "stride": (sh, sw), "ceil_mode": draw(st.booleans())}
    return Call((x, weight, bias), {"padding": (rows, columns), "pool": pool, "relu": draw(relu)})


@st.composite
def matrices(draw: Any) -> Call:
    """Draw operands of matmul in all combinations of ranks."""
    m, k, n = draw(sizes), draw(sizes), draw(sizes)
    a, b = draw(broadcast_shapes(2))
    x, y = draw(
        st.sampled_from([((k,), (k,)), ((m, k), (k,)), ((k,), (k, n)), ((*a, m, k), (*b, k, n)), ((*a, m, k), (k, n))])
    )
    rng = np.random.default_rng(draw(seeds))
    return Call((rng.standard_normal(x), rng.standard_normal(y)))


@st.composite
def classified(draw: Any, logits: bool = True, **kwargs: Any) -> Call:
    """Draw scores (N, C, ...) and class numbers, some of them ignored."""
    n, c, more = draw(sizes), draw(st.integers(2, 4)), draw(st.lists(st.integers(1, 2), max_size=2))
    rng = np.random.default_rng(draw(seeds))
    x = rng.standard_normal((n, c, *more))
    if not logits:
        x = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    target = rng.integers(0, c, (n, *more))
    target.flat[0] = 0  # at least one that counts
    target.flat[1:] = np.where(rng.uniform(size=target.size - 1) < 0.2, -100, target.flat[1:])
    options = {name: draw(strategy) for name, strategy in kwargs.items()}
    if draw(st.booleans()):
        options["weight"] = rng.uniform(0.5, 2.0, c)
    return Call((x, target), {**options, "reduction": draw(st.sampled_from(["none", "mean", "sum"]))})
