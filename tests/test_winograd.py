"""Winograd convolution: values and their errors, tails, padding, dilation, groups, threads, the choice of the algorithm.

This file also runs in the build with address and undefined-behaviour sanitizers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import strategies as draw
from conftest import LEVELS
from hypothesis import given

import tinygrad_cnn as tg
from tinygrad_cnn import _ext
from tinygrad_cnn.backends import algorithms, get_backend
from tinygrad_cnn.geometry import Padding, Window, window

REFERENCE: Any = get_backend("reference")
PASSES = ("forward", "input grad", "weight grad")
on_levels = pytest.mark.parametrize("level", LEVELS)
on_reals = pytest.mark.parametrize("dtype", [np.float32, np.float64])
on_tiles = pytest.mark.parametrize("m", [2, 4])
on_kernels = pytest.mark.parametrize("taps", [3, 5])


class Shape(NamedTuple):
    """Sizes of a convolution; c and o count the channels of all groups."""

    n: int
    c: int
    o: int
    h: int
    w: int
    taps: int = 3
    padding: Padding = 1
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


SHAPES = [
    Shape(1, 1, 1, 3, 3, padding=0),
    Shape(2, 3, 5, 9, 7),
    Shape(3, 17, 33, 13, 15, padding=((0, 2), (1, 0))),  # nothing is a multiple of anything
    Shape(1, 8, 20, 4, 70, padding=((5, 3), (2, 6))),  # more padding than a kernel reaches
    Shape(2, 40, 30, 30, 45),  # several blocks
    Shape(37, 20, 14, 7, 7),  # blocks of many images
    Shape(1, 100, 70, 11, 6, padding=((0, 0), (0, 1))),
    Shape(3, 300, 260, 6, 5),  # more kernels than tiles
    Shape(1, 1, 1, 5, 5, 5, 0),
    Shape(2, 3, 5, 9, 7, 5, 2),
    Shape(3, 17, 33, 13, 15, 5, ((0, 4), (3, 1))),
    Shape(1, 8, 20, 4, 70, 5, ((6, 3), (2, 7))),
    Shape(2, 40, 90, 27, 27, 5, 2),
    Shape(2, 200, 190, 6, 5, 5, 2),
    Shape(2, 20, 34, 28, 30, padding=2, dilation=(2, 2)),
    Shape(2, 9, 7, 17, 40, padding=((3, 1), (0, 2)), dilation=(3, 1)),
    Shape(2, 5, 6, 9, 41, padding=((0, 1), (4, 6)), dilation=(1, 5)),
    Shape(1, 5, 6, 3, 2, padding=8, dilation=(7, 8)),  # fewer rows and columns than interleaved images
    Shape(1, 200, 180, 14, 14, padding=2, dilation=(2, 2)),
    Shape(2, 8, 6, 23, 21, 5, 4, (2, 2)),
    Shape(2, 12, 20, 13, 15, groups=4),
    Shape(2, 24, 40, 27, 27, 5, 2, groups=2),
    Shape(1, 400, 360, 6, 5, groups=2),
    Shape(2, 6, 10, 15, 13, 5, ((1, 4), (5, 0)), (2, 1), 2),
]
ERRORS = {  # by the number of points along a side, the largest known to happen and a margin
    np.float32: {4: 1e-6, 6: 2e-6, 8: 4e-6},
    np.float64: {4: 2e-15, 6: 4e-15, 8: 8e-15},
}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def relative_error(actual: Any, expected: Any) -> float:
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def all_passes(backend: Any, x: Any, w: Any, b: Any, dy: Any, place: Window, groups: int) -> list[np.ndarray]:
    return [
        backend.conv2d(x, w, b, place, groups),
        backend.conv2d_input_grad(dy, w, place, groups, x.shape[2:]),
        backend.conv2d_weight_grad(dy, x, place, groups),
    ]


def arguments(shape: Shape, dtype: Any) -> tuple[Any, ...]:
    n, c, o, h, w, taps, padding, dilation, groups = shape
    place = window("test", (h, w), taps, 1, padding, dilation)
    sizes = (n, c, h, w), (o, c // groups, taps, taps), (o,), (n, o, place.oh, place.ow)
    return *(rng(seed).standard_normal(size).astype(dtype) for seed, size in enumerate(sizes)), place, groups


def by_kernels(level: str, m: int, x: Any, w: Any, b: Any, dy: Any, place: Window, groups: int) -> list[np.ndarray]:
    """Return the same, written over NaN."""
    kernels = _ext.load("winograd", x.dtype.name, level.removeprefix("cpu-"))
    y, dx, dw = np.full_like(dy, np.nan), np.full_like(x, np.nan), np.full_like(w, np.nan)
    kernels.conv2d(x, w, b, y, place, groups, m, False)
    kernels.conv2d_input_grad(dy, w, dx, place, groups, m)
    kernels.conv2d_weight_grad(dy, x, dw, place, groups, m)
    return [y, dx, dw]


@on_levels
@on_reals
@on_tiles
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape)))
def test_values_of_all_passes(level: str, dtype: Any, m: int, shape: Shape) -> None:
    slack = 3 if shape.n * shape.c == 1 else 1  # a single number says little about a norm
    *arrays, place, groups = arguments(shape, dtype)
    exact = all_passes(REFERENCE, *(a.astype(np.float64) for a in arrays), place, groups)
    for actual, expected in zip(by_kernels(level, m, *arrays, place, groups), exact, strict=True):
        assert relative_error(actual, expected) < slack * ERRORS[dtype][m + shape.taps - 1]


@on_levels
@on_tiles
@given(draw.winograd_convolutions(most=40))
def test_drawn_geometry(level: str, m: int, call: draw.Call) -> None:
    x, w, b = call.args
    place, groups = draw.window_of(x.shape, w.shape[2:], call.kwargs), call.kwargs["groups"]
    dy = rng(4).standard_normal((x.shape[0], w.shape[0], place.oh, place.ow))
    with tg.set_conv_algorithm(f"winograd{m}"):
        results = all_passes(get_backend(level), x, w, b, dy, place, groups)
    for actual, expected in zip(results, all_passes(REFERENCE, x, w, b, dy, place, groups), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12 * max(1, np.abs(expected).max(initial=0)))


@on_levels
@on_tiles
@pytest.mark.parametrize(
    "shape",
    [
        Shape(5, 20, 30, 19, 21),
        Shape(2, 300, 260, 9, 9),
        Shape(40, 16, 16, 16, 16),
        Shape(3, 50, 92, 14, 14, 5, 2, (2, 2), 2),
    ],
    ids=lambda shape: "-".join(map(str, shape)),
)
def test_results_are_bit_identical_for_any_number_of_threads(level: str, m: int, shape: Shape) -> None:
    before = tg.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 5):
            tg.set_num_threads(threads)
            results.append([a.tobytes() for a in by_kernels(level, m, *arguments(shape, np.float32))])
    finally:
        tg.set_num_threads(before)
    assert all(result == results[0] for result in results)


@on_levels
@on_tiles
@on_kernels
@pytest.mark.parametrize("sizes", [(0, 2, 4), (2, 0, 4), (2, 4, 0)])
def test_convolutions_of_nothing(level: str, m: int, taps: int, sizes: tuple[int, int, int]) -> None:
    n, c, o = sizes
    place, backend = window("test", (6, 6), taps, 1, taps // 2, 1), get_backend(level)
    x, w, b = np.ones((n, c, 6, 6), np.float32), np.ones((o, c // 2, taps, taps), np.float32), np.ones(o, np.float32)
    with tg.set_conv_algorithm(f"winograd{m}"):
        y = backend.conv2d(x, w, b, place, 2)
        assert (y == 1).all()
        assert not backend.conv2d_input_grad(y, w, place, 2, (6, 6)).any()
        assert not backend.conv2d_weight_grad(y, x, place, 2).any()


@on_levels
@on_reals
@on_tiles
@on_kernels
@pytest.mark.parametrize("d", [1, 2])
def test_nan_stays_in_the_tiles_that_see_it(level: str, dtype: Any, m: int, taps: int, d: int) -> None:
    x, w = rng().standard_normal((3, 5, 24, 26)).astype(dtype), rng(1).standard_normal((4, 5, taps, taps)).astype(dtype)
    place, backend = window("test", (24, 26), taps, 1, taps // 2 * d, d), get_backend(level)
    with tg.set_conv_algorithm(f"winograd{m}"):
        expected = backend.conv2d(x, w, None, place, 1)
        x[1, 2, 8, 8] = np.nan
        y = backend.conv2d(x, w, None, place, 1)
    lost = np.isnan(y)
    reach = taps // 2 * d
    assert lost[1, :, 8 - reach : 9 + reach : d, 8 - reach : 9 + reach : d].all()
    np.testing.assert_array_equal(y[~lost], expected[~lost])
    seen = slice(max(0, 8 - (m + taps // 2 - 1) * d), 8 + (m + taps // 2) * d)
    lost[1, :, seen, seen] = False
    assert not lost.any()


def test_only_shapes_that_gain_are_done_by_winograd() -> None:
    def chosen(
        channels: int, size: int, dtype: Any = np.float32, stride: int = 1, groups: int = 1, taps: int = 3, d: int = 1
    ) -> str:
        place = window("test", (size, size), taps, stride, taps // 2 * d, d)
        sizes = (8, channels // groups, channels // groups, (place.oh, place.ow))
        names = {algorithms.choose(which, np.dtype(dtype), place, groups, *sizes) for which in PASSES}
        return names.pop() if len(names) == 1 else "various"

    assert chosen(64, 56) == chosen(64, 56, taps=5) == chosen(64, 56, d=2) == chosen(64, 56, groups=2) == "winograd4"
    assert chosen(1, 56) == chosen(128, 28, groups=128) == chosen(64, 56, stride=2) == "direct"
    assert chosen(64, 56, np.float64) == "direct"
    for name in ("winograd2", "winograd4"):
        with tg.set_conv_algorithm(name):
            assert chosen(64, 56) == chosen(1, 3) == chosen(64, 56, np.float64) == name
            assert chosen(64, 56, taps=5) == chosen(64, 56, groups=2) == chosen(64, 56, d=3) == name
            assert chosen(64, 56, stride=2) == chosen(64, 56, taps=7) == chosen(64, 56, taps=1) == "direct"
    for name in ("direct", "exact"):
        with tg.set_conv_algorithm(name):
            assert chosen(64, 56) == chosen(64, 56, taps=5) == "direct"
