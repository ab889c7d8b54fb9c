"""For each row of the table of kernels a call of the backend that launches it, on odd shapes, to compare with the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_cnn.backends.reference import ReferenceBackend
from tinygrad_cnn.geometry import Window

REFERENCE = ReferenceBackend()
Make = Callable[[np.random.Generator], tuple[Callable[..., Any], list[Any]]]
CASES: dict[str, Make] = {}


def case(name: str) -> Callable[[Make], Make]:
    """Enter a case: from a generator to a function of (backend, *arrays) and the arrays."""

    def enter(make: Make) -> Make:
        CASES[name] = make
        return make

    return enter


def floats(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Return normal float32 numbers."""
    return rng.standard_normal(shape).astype(np.float32)


def window(kernel: Any, stride: Any, padding: Any, dilation: Any, size: Any) -> Window:
    """Return a window with the same padding on both sides."""
    outputs = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(size, kernel, stride, padding, dilation)]
    return Window(*kernel, *stride, padding[0], padding[0], padding[1], padding[1], *dilation, *outputs)


def simple(name: str, function: Callable[..., Any], *arrays: Callable[[np.random.Generator], Any]) -> None:
    """Enter a case whose arrays are drawn one by one."""
    CASES[name] = lambda rng: (function, [a(rng) for a in arrays])


def real(*shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    """Return how to draw floats."""
    return lambda rng: floats(rng, *shape)


def whole(low: int, high: int, *shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    """Return how to draw integers."""
    return lambda rng: rng.integers(low, high, shape)


# ---- elementwise, reductions, order ----

simple("flat", lambda b, x, y: b.elementwise("lt", x, y), real(301), real(301))
simple("flat4", lambda b, x, y: b.elementwise("sub", x, y), real(7, 43), real(7, 43))
simple("strided", lambda b, x, y: b.elementwise("mul", b.permute(x, (2, 0, 1)), y), real(3, 5, 7), real(3, 1))
simple("reduce_by_thread", lambda b, x: b.reduce("amax", x, (1,), True), real(9, 5, 7))
simple("reduce_by_block", lambda b, x: b.reduce("mean", x, (0, 2), False), real(9, 3, 31))
PARTS = ((0, 3), (2, 4), (8, 1))
simple("arg_parts", lambda b, x: b.arg_parts("argmin", x, 1, PARTS), lambda rng: rng.integers(0, 4, (4, 9, 3)))
simple("scan", lambda b, x: b.scan("logcumsumexp", x, 1), real(4, 9, 3))
simple("argsort", lambda b, x: b.argsort(x, 1, True), lambda rng: rng.integers(0, 4, (3, 9, 2)).astype(np.float32))

# ---- products and convolutions ----

simple(
    "matmul", lambda b, x, w, c, y, z: (b.linear(x, w, c), b.matmul(y, z)), real(70, 33), real(65, 33), real(65),
    real(33, 20), real(20, 36),
)  # fmt: skip

SLIDE = window((3, 2), (2, 1), (1, 0), (1, 2), (9, 8))
THREE = window((3, 3), (1, 1), (1, 1), (1, 1), (6, 7))


def convolutions(name: str, groups: int, channels: int, outputs: int, slide: Window, size: tuple[int, int]) -> None:
    """Enter the three passes of a convolution."""
    shape = (2, channels, *size)
    w, y = (outputs, channels // groups, slide.kh, slide.kw), (2, outputs, slide.oh, slide.ow)
    simple(name, lambda b, x, w, c: b.conv2d(x, w, c, slide, groups, True), real(*shape), real(*w), real(outputs))
    simple(f"{name}_input_grad", lambda b, dy, w: b.conv2d_input_grad(dy, w, slide, groups, size), real(*y), real(*w))
    simple(f"{name}_weight_grad", lambda b, dy, x: b.conv2d_weight_grad(dy, x, slide, groups), real(*y), real(*shape))


convolutions("conv2d", 1, 3, 5, SLIDE, (9, 8))
convolutions("grouped_conv2d", 4, 4, 8, THREE, (6, 7))
simple("im2col", lambda b, x: b.im2col(x, SLIDE), real(2, 3, 9, 8))
simple("col2im", lambda b, x: b.col2im(x, SLIDE, (9, 8)), real(2, 18, SLIDE.oh * SLIDE.ow))

# ---- pooling ----

POOL = window((3, 2), (2, 1), (1, 0), (1, 2), (9, 8))
MEAN = window((3, 2), (2, 1), (1, 0), (1, 1), (9, 8))
simple("max_pool2d", lambda b, x: b.max_pool2d(x, POOL), real(2, 3, 9, 8))


def offsets(rng: np.random.Generator) -> np.ndarray:
    """Return places of maxima."""
    return REFERENCE.max_pool2d(floats(rng, 2, 3, 9, 8), POOL)[1]


maxima = real(2, 3, POOL.oh, POOL.ow)
simple("max_pool2d_grad", lambda b, dy, o: b.max_pool2d_grad(dy, o, POOL, (9, 8)), maxima, offsets)
simple("max_pool2d_gather", lambda b, x, o: b.max_pool2d_gather(x, o, POOL), real(2, 3, 9, 8), offsets)
simple("max_pool2d_indices", lambda b, o: b.max_pool2d_indices(o, POOL, (9, 8)), offsets)
simple("avg_pool2d", lambda b, x: b.avg_pool2d(x, MEAN, False, 0), real(2, 3, 9, 8))
simple("avg_pool2d_grad", lambda b, dy: b.avg_pool2d_grad(dy, MEAN, (9, 8), True, 0), real(2, 3, MEAN.oh, MEAN.ow))

# ---- normalisation, softmax, losses ----

IMAGES = real(4, 3, 9, 8)
simple("batch_norm", lambda b, x, w, c, r: b.batch_norm(x, w, c, 1e-5, r, True), IMAGES, real(3), real(3), IMAGES)
simple(
    "normalise", lambda b, x, w, c, m, r: b.normalise(x, w, c, m, b.elementwise("exp", m), 1e-5, r, True),
    IMAGES, real(3), real(3), real(3), IMAGES,
)  # fmt: skip
simple(
    "batch_norm_grad",
    lambda b, dy, x, w, c: b.batch_norm_grad(dy, x, w, c, b.reduce("mean", x, (0, 2, 3), False), w, 2.0, True),
    real(4, 3, 5, 8), real(4, 3, 5, 8), lambda rng: np.abs(floats(rng, 3)), real(3),
)  # fmt: skip
simple("local_response_norm", lambda b, x: b.local_response_norm(x, 5, 0.1, 0.75, 2.0), real(2, 7, 5, 3))
simple(
    "local_response_norm_grad", lambda b, dy, x: b.local_response_norm_grad(dy, x, 4, 0.1, 0.75, 2.0),
    real(2, 7, 5, 3), real(2, 7, 5, 3),
)  # fmt: skip
simple("softmax", lambda b, x: b.log_softmax(x, 1), real(3, 150))
simple("softmax_grad", lambda b, dy, x: b.softmax_grad(dy, b.softmax(x, 1), 1), real(3, 150), real(3, 150))
TARGETS = whole(0, 10, 7)
simple("cross_entropy", lambda b, x, t: b.cross_entropy(x, t, 3, "none"), real(7, 10), TARGETS)
simple("total_loss", lambda b, x, t: b.cross_entropy(x, t, 3, "mean"), real(7, 10), TARGETS)
GRAD = (lambda rng: np.array(1.5, np.float32)), real(7, 10), TARGETS
simple("count_targets", lambda b, dy, y, t: b.cross_entropy_grad(dy, y, t, 3, "mean"), *GRAD)
simple("cross_entropy_grad", lambda b, dy, y, t: b.cross_entropy_grad(dy, y, t, 3, "sum"), *GRAD)


# ---- indexing ----


def changed(name: str, change: Callable[..., None], *arrays: Callable[[np.random.Generator], Any]) -> None:
    """Enter a case that changes its first array."""

    def function(b: Any, target: Any, *rest: Any) -> Any:
        change(b, target, *rest)
        return target

    simple(name, function, *arrays)


simple("gather", lambda b, x, i: b.gather(b.permute(x, (0, 2, 1)), 2, i), real(4, 5, 7), whole(0, 5, 3, 7, 9))
changed("scatter", lambda b, t, i, v: b.scatter("add", t, 1, i, v), real(4, 5, 7), whole(0, 5, 3, 9, 7), real(4, 9, 8))
simple("take", lambda b, x, i: b.index(x, (i, slice(None), i)), real(4, 5, 7), whole(0, 4, 6))
simple("take_rows", lambda b, x, i: b.index(x, (slice(None), i)), real(4, 5, 7), whole(-5, 5, 2, 3))
changed("put", lambda b, t, i, v: b.index_put(t, (i,), v, False), real(4, 5), whole(0, 4, 6), real(6, 5))
changed(
    "put_sums", lambda b, t, i, v: b.index_put(t, (slice(None), i), v, True), real(4, 5), whole(0, 5, 6), real(4, 6)
)
PLACES = lambda rng: rng.integers(-2, 7, (2, 4, 5)).astype(np.int32)  # noqa: E731
simple("sample", lambda b, x, p, w: b.sample(x, p, w), real(2, 3, 7), PLACES, real(2, 4, 5))
simple("sample_input_grad", lambda b, y, p, w: b.sample_input_grad(y, p, w, 7), real(2, 3, 5), PLACES, real(2, 4, 5))
simple("sample_weight_grad", lambda b, y, x, p: b.sample_weight_grad(y, x, p), real(2, 3, 5), real(2, 3, 7), PLACES)
simple(
    "resample", lambda b, x, *taps: b.resample(x, *taps), real(2, 5, 3), lambda rng: np.array([0, 2, 3, 6]),
    lambda rng: np.array([0, 1, 4, 2, 2, 3]), real(6),
)  # fmt: skip
simple(
    "gather_images", lambda b, images, index, table, windows: b.gather_images(images, index, table, windows, (4, 5)),
    lambda rng: rng.integers(0, 256, (6, 5, 5, 3)).astype(np.uint8), lambda rng: np.array([3, 1]), real(2, 3, 257),
    lambda rng: np.array([[-1, 0, 1, 0], [0, 1, 0, 1], [2, 2, 0, 0]]),
)  # fmt: skip

# ---- random numbers, optimisers ----

simple("random_bits", lambda b: b.random_bits(1030, 123456789012, 2**33))
simple("random_uniform", lambda b: b.random_uniform((31, 33), np.dtype(np.float32), 5, 7))
simple("random_normal", lambda b: b.random_normal((31, 33), np.dtype(np.float32), 5, 7))
simple("dropout", lambda b, x: b.dropout(x, 0.3, 5, 7), real(31, 33))


def step_sgd(b: Any, p: Any, q: Any, g: Any, h: Any, m: Any, n: Any) -> tuple[Any, ...]:
    """Update two parameters, one of them for the first time."""
    b.sgd([p, q], [g, h], [m, n], [True, False], 0.1, 0.9, 0.1, 0.01, True, False)
    return p, q, m, n


def step_adam(b: Any, p: Any, q: Any, g: Any, h: Any, m: Any, n: Any, v: Any, w: Any) -> tuple[Any, ...]:
    """Update two parameters at different steps."""
    squares = [b.elementwise("mul", v, v), b.elementwise("mul", w, w)]
    b.adam([p, q], [g, h], [m, n], squares, [None, None], [1, 3], 0.1, 0.9, 0.99, 1e-8, 0.01, True, False)
    return p, q, m, n, *squares


PAIR = real(4100), real(3, 3)
simple("sgd", step_sgd, *PAIR, *PAIR, *PAIR)
simple("adam", step_adam, *PAIR, *PAIR, *PAIR, *PAIR)


def compare(backend: Any, name: str) -> None:
    """Run a case on a backend and on the reference."""
    function, arrays = CASES[name](np.random.default_rng(0))
    expected = function(REFERENCE, *[a.copy() for a in arrays])
    got = function(backend, *[backend.from_numpy(a) for a in arrays])
    got, expected = [v if isinstance(v, tuple) else (v,) for v in (got, expected)]
    assert len(got) == len(expected)
    for y, wanted in zip(got, expected):
        assert y.shape == wanted.shape
        assert y.dtype == wanted.dtype
        np.testing.assert_allclose(backend.to_numpy(y), wanted, rtol=1e-4, atol=2e-5)
