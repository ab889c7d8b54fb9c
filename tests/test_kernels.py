"""The compiled kernels: odd sizes, special values, threads.  (Agreement with the reference is in test_ops.py.)

This file and test_ops.py also run in the build with address and undefined-behaviour sanitizers.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
import strategies as draw
from conftest import LEVELS
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_cnn as tg
from tinygrad_cnn import _ext
from tinygrad_cnn.backends import algorithms, get_backend
from tinygrad_cnn.geometry import window
from tinygrad_cnn.nn import functional as F

REFERENCE: Any = get_backend("reference")
on_levels = pytest.mark.parametrize("level", LEVELS)
on_reals = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def close(actual: Any, expected: Any, dtype: Any, scale: float = 1.0) -> None:
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(
        actual, expected, rtol=tolerance, atol=tolerance * max(scale, np.abs(expected).max(initial=0))
    )


# ---- matrix products: every tile height and edge, blocks, strides ----


@on_levels
@on_reals
@pytest.mark.parametrize(("m", "k", "n"), [
    *[(m, 3, 5) for m in range(1, 30)], *[(3, 2, n) for n in range(1, 70, 3)], (1, 1, 1), (15, 257, 33), (57, 300, 481), (130, 513, 40),
])  # fmt: skip
def test_matmul_of_odd_sizes(level: str, dtype: Any, m: int, k: int, n: int) -> None:
    x, y = rng().standard_normal((m, k)).astype(dtype), rng(1).standard_normal((k, n)).astype(dtype)
    close(get_backend(level).matmul(x, y), x.astype(np.float64) @ y.astype(np.float64), dtype, k**0.5)


@on_levels
@pytest.mark.parametrize("sizes", [(0, 3, 2), (2, 0, 3), (2, 3, 0)])
def test_matmul_of_nothing(level: str, sizes: tuple[int, int, int]) -> None:
    m, k, n = sizes
    z = get_backend(level).matmul(np.ones((m, k), np.float32), np.ones((k, n), np.float32))
    assert z.shape == (m, n)
    assert not z.any()


@on_levels
def test_matmul_reads_any_strides(level: str) -> None:
    x, y = rng().standard_normal((2, 6, 8)), rng(1).standard_normal((2, 10, 6))
    operands = [x.swapaxes(1, 2), x.swapaxes(1, 2)[:, ::2], np.broadcast_to(x[:1].swapaxes(1, 2), (2, 8, 6))]
    for a in operands:
        for b in (y.swapaxes(1, 2), y.swapaxes(1, 2)[..., ::3]):
            close(get_backend(level).matmul(a, b), np.matmul(a, b), np.float64)


# ---- convolution: all passes over drawn geometry and over shapes that cross every block size ----

BIG = [  # (N, C, H, W, O, KH, KW, stride, padding, dilation, groups)
    (2, 3, 40, 37, 20, 7, 7, 2, 3, 1, 1),  # several strips and phases
    (1, 40, 9, 9, 30, 3, 3, 1, 1, 1, 1),  # more than one block of K
    (9, 1, 28, 28, 6, 5, 5, 1, 2, 1, 1),  # chunks of images
    (1, 4, 70, 70, 33, 3, 3, 1, 1, 1, 1),  # strips of rows
    (2, 6, 15, 11, 6, 3, 2, (3, 1), (2, 0), (1, 2), 6),  # depthwise
    (1, 300, 4, 4, 70, 1, 1, 1, 0, 1, 1),
    (1, 2, 5, 600, 3, 1, 9, 1, (0, 4), 1, 1),  # wide
]


def conv_arguments(shape: tuple[Any, ...], dtype: Any) -> tuple[Any, ...]:
    n, c, h, w, o, kh, kw, stride, padding, dilation, groups = shape
    x, k = (
        rng().standard_normal((n, c, h, w)).astype(dtype),
        rng(1).standard_normal((o, c // groups, kh, kw)).astype(dtype),
    )
    place = window("test", (h, w), (kh, kw), stride, padding, dilation)
    dy = rng(2).standard_normal((n, o, place.oh, place.ow)).astype(dtype)
    return x, k, rng(3).standard_normal(o).astype(dtype), dy, place, groups


@on_levels
@on_reals
@pytest.mark.parametrize("shape", BIG, ids=str)
def test_conv2d_in_all_passes(level: str, dtype: Any, shape: tuple[Any, ...]) -> None:
    x, w, b, dy, place, groups = conv_arguments(shape, dtype)
    backend: Any = get_backend(level)
    close(backend.conv2d(x, w, b, place, groups), REFERENCE.conv2d(x, w, b, place, groups), dtype)
    size = x.shape[2:]
    close(
        backend.conv2d_input_grad(dy, w, place, groups, size),
        REFERENCE.conv2d_input_grad(dy, w, place, groups, size),
        dtype,
    )
    close(backend.conv2d_weight_grad(dy, x, place, groups), REFERENCE.conv2d_weight_grad(dy, x, place, groups), dtype)


POOLED = [  # (N, C, H, W, O, KH, KW, padding, pool, its stride, ceil_mode)
    (9, 1, 28, 28, 6, 5, 5, 2, 2, 2, False),  # LeNet-5
    (3, 6, 14, 14, 16, 5, 5, 0, 2, 2, False),
    (2, 3, 11, 40, 4, 3, 7, ((2, 1), (0, 3)), (3, 2), (4, 2), True),  # gaps, windows beyond the edge
    (2, 20, 9, 9, 3, 3, 3, 1, 2, 2, True),  # more channels than lanes, several blocks of sums
    (1, 37, 3, 33, 2, 2, 3, 0, (1, 2), (1, 2), False),
    (5, 2, 4, 4, 3, 1, 1, 0, (4, 2), (4, 2), False),
]


@on_levels
@on_reals
@pytest.mark.parametrize(
    "shape", [*POOLED, (2, 2, 33, 29, 5, 3, 3, 1, 5, 5, False)], ids=str
)  # more positions than lanes
@pytest.mark.parametrize("share", [0, 0.7, 1], ids="{} without a gradient".format)
def test_gradients_of_conv2d_behind_max_pooling(level: str, dtype: Any, shape: tuple[Any, ...], share: float) -> None:
    *sizes, padding, kernel, stride, ceil_mode = shape
    x, w, _, dy, place, _ = conv_arguments((*sizes, 1, padding, 1, 1), dtype)
    pool = window("test", dy.shape[2:], kernel, stride, 0, 1, ceil_mode)
    maxima, offsets = REFERENCE.max_pool2d(dy, pool)
    maxima[rng(4).random(maxima.shape) < share] = 0
    assert algorithms.fits_pooled(place, 1, pool)
    backend: Any = get_backend(level)
    for name, args in (("input", (w, place, pool, x.shape[2:])), ("weight", (x, place, pool))):
        expected = getattr(REFERENCE, f"pooled_conv2d_{name}_grad")(maxima, offsets, *args)
        close(getattr(backend, f"pooled_conv2d_{name}_grad")(maxima, offsets, *args), expected, dtype)
    y = np.where(rng(5).random(maxima.shape) < 0.5, 0, np.abs(maxima))
    y.flat[0], wanted = np.nan, (True, True, True)  # a NaN lets the gradient pass
    for after in (None, y):
        args = (maxima, after, offsets, x, w, place, pool, x.shape[2:])
        grads = backend.pooled_conv2d_grad(*args, wanted)
        for got, expected in zip(grads, REFERENCE.pooled_conv2d_grad(*args, wanted), strict=True):
            close(got, expected, dtype)
        for i in range(3):
            alone = backend.pooled_conv2d_grad(*args, tuple(k == i for k in range(3)))
            assert [g is None for g in alone] == [k != i for k in range(3)]
            close(alone[i], grads[i], dtype)


@on_levels
@on_reals
@pytest.mark.parametrize("shape", [*POOLED, (2, 3, 70, 66, 17, 3, 3, 1, (3, 2), (4, 2), False)], ids=str)
@pytest.mark.parametrize("relu", [False, True])
def test_convolution_and_pooling_as_one_give_the_same_bits(
    level: str, dtype: Any, shape: tuple[Any, ...], relu: bool
) -> None:
    *sizes, padding, kernel, stride, _ = shape
    x, w, b, dy, place, _ = conv_arguments((*sizes, 1, padding, 1, 1), dtype)
    x = np.round(x) if relu else x  # makes ties
    x[-1, 0, :2, :2] = np.nan
    pool = window("test", dy.shape[2:], kernel, stride, 0, 1)
    backend: Any = get_backend(level)
    for bias in (b, None):
        y, offsets = backend.max_pool2d(backend.conv2d(x, w, bias, place, 1), pool)
        together = backend.pooled_conv2d(x, w, bias, place, pool, relu)
        np.testing.assert_array_equal(together[0], backend.elementwise("relu", y) if relu else y)
        np.testing.assert_array_equal(together[1], offsets)


@on_levels
@given(draw.convolutions())
def test_conv2d_over_drawn_geometry(level: str, call: draw.Call) -> None:
    x, w, b = call.args
    place = draw.window_of(x.shape, w.shape[2:], call.kwargs)
    groups, backend = call.kwargs["groups"], get_backend(level)
    y = REFERENCE.conv2d(x, w, b, place, groups)
    dy = rng(4).standard_normal(y.shape)
    close(backend.conv2d(x, w, b, place, groups), y, np.float64)
    dx = REFERENCE.conv2d_input_grad(dy, w, place, groups, x.shape[2:])
    close(backend.conv2d_input_grad(dy, w, place, groups, x.shape[2:]), dx, np.float64)
    dw = REFERENCE.conv2d_weight_grad(dy, x, place, groups)
    close(backend.conv2d_weight_grad(dy, x, place, groups), dw, np.float64)
    # the three are adjoint: <dy, conv(x, w)> = <dx, x> = <dw, w>
    bare = REFERENCE.conv2d(x, w, None, place, groups)
    assert (dy * bare).sum() == pytest.approx((dx * x).sum(), rel=1e-9, abs=1e-9)
    assert (dy * bare).sum() == pytest.approx((dw * w).sum(), rel=1e-9, abs=1e-9)


@on_levels
def test_an_empty_batch(level: str) -> None:
    x, w = tg.zeros(0, 2, 6, 6).to(level).requires_grad_(), tg.ones(3, 2, 3, 3).to(level).requires_grad_()
    y = F.max_pool2d(F.relu(F.conv2d(x, w, padding=1)), 2)
    assert y.shape == (0, 3, 3, 3)
    F.avg_pool2d(y, 3).flatten(1).sum().backward()
    assert x.grad is not None
    assert w.grad is not None
    assert x.grad.shape == x.shape
    assert not w.grad.numpy().any()


# ---- pooling: ties, special values, windows without elements ----


@on_levels
@on_reals
def test_the_first_of_equal_maxima_wins_and_nan_stays(level: str, dtype: Any) -> None:
    x = np.array([[1, 1, 5, 0], [1, 1, 5, 5], [np.nan, 9, -np.inf, -np.inf], [9, np.nan, -np.inf, -np.inf]], dtype)
    backend: Any = get_backend(level)
    y, offsets = backend.max_pool2d(x[None, None], window("test", (4, 4), 2, 2, 0, 1))
    assert offsets.ravel().tolist() == [0, 0, 0, 0]
    np.testing.assert_array_equal(y.ravel(), [1, 5, np.nan, -np.inf])


@on_levels
def test_a_window_outside_the_image_has_no_gradient(level: str) -> None:
    x = tg.tensor([[[[7.0]]]]).to(level).requires_grad_()
    y = F.max_pool2d(x, 2, stride=1, padding=1, dilation=2)
    assert y.tolist() == [[[[float("-inf")]]]]
    y.backward(y.new_ones(y.shape))
    assert x.grad is not None
    assert x.grad.tolist() == [[[[0.0]]]]


@on_levels
def test_windows_of_more_than_256_elements(level: str) -> None:
    x = rng().standard_normal((2, 2, 40, 40))
    place = window("test", (40, 40), 17, 5, 8, 1)
    (y, offsets), (expected, places) = get_backend(level).max_pool2d(x, place), REFERENCE.max_pool2d(x, place)
    assert offsets.dtype == np.int32
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(offsets, places)


# ---- sums, softmax, normalisation: accuracy and extremes ----


@on_levels
@pytest.mark.parametrize("shape", [(3, 5), (1, 100_003), (64, 6, 28, 28), (2, 3, 4, 5, 6)])
def test_sums_along_all_axes(level: str, shape: tuple[int, ...]) -> None:
    x = rng().standard_normal(shape).astype(np.float32) + 1
    for mask in range(1, 2 ** len(shape)):
        dims = tuple(d for d in range(len(shape)) if mask >> d & 1)
        for op, exact in (("sum", np.sum), ("mean", np.mean)):
            y = get_backend(level).reduce(op, x, dims, False)
            np.testing.assert_allclose(y, exact(x.astype(np.float64), axis=dims), rtol=2e-6, atol=1e-4)


@on_levels
@on_reals
def test_softmax_of_extremes(level: str, dtype: Any) -> None:
    backend: Any = get_backend(level)
    x = np.array([[1000, 0, -1000], [-np.inf, 0, 0], [1e4, 1e4, 1e4]], dtype)
    np.testing.assert_allclose(backend.softmax(x, 1), [[1, 0, 0], [0, 0.5, 0.5], [1 / 3] * 3], rtol=1e-6)
    assert np.isnan(backend.softmax(np.array([[np.nan, 1]], dtype), 1)).all()
    losses, _ = backend.cross_entropy(x[:1], np.array([1]), -100, "none")
    assert losses.tolist() == [1000.0]


@on_levels
def test_batch_norm_of_values_far_from_zero(level: str) -> None:
    x = (rng().standard_normal((8, 3, 50)) + 1000).astype(np.float32)
    y, mean, var = get_backend(level).batch_norm(x, None, None, 1e-5)
    np.testing.assert_allclose(mean, x.astype(np.float64).mean(axis=(0, 2)), rtol=1e-6)
    np.testing.assert_allclose(var, x.astype(np.float64).var(axis=(0, 2)), rtol=1e-3)
    assert abs(y.mean()) < 1e-3


@on_levels
@on_reals
@pytest.mark.parametrize("shape", [(40, 3, 49), (5, 2, 3000), (3000, 2, 1)])
def test_batch_norm_of_data_that_begins_elsewhere(level: str, dtype: Any, shape: tuple[int, ...]) -> None:
    x = rng().standard_normal(shape).astype(dtype)
    x[0] = 1000
    x[..., 0] += 50
    exact = x.astype(np.float64)
    _, mean, var = get_backend(level).batch_norm(x, None, None, 1e-5)
    close(mean, exact.mean(axis=(0, 2)), dtype)
    close(var, exact.var(axis=(0, 2)), dtype)


@on_levels
@on_reals
@pytest.mark.parametrize("shape", [(5, 30, 49), (3, 2, 3001), (700, 1, 17)])
def test_batch_norm_finds_what_relu_cut_off(level: str, dtype: Any, shape: tuple[int, ...]) -> None:
    backend: Any = get_backend(level)
    x, dy, w, b = (
        rng(i).standard_normal(s).astype(dtype) for i, s in enumerate((shape, shape, shape[1:2], shape[1:2]))
    )
    x[0, 0, 0] = np.nan
    for scale, shift in ((w, b), (None, None), (w, None)):
        y, mean, var = backend.batch_norm(x, scale, shift, 1e-5)
        rectified = backend.elementwise("relu_grad", dy, y)
        apart = backend.batch_norm_grad(rectified, x, scale, shift, mean, var, 1e-5, False)
        for one, other in zip(backend.batch_norm_grad(dy, x, scale, shift, mean, var, 1e-5, True), apart, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("inplace", [False, True])
def test_batch_norm_and_relu_go_backward_as_one(inplace: bool) -> None:
    grads = []
    for watched in (False, True):  # a hook in between keeps them apart
        x = tg.tensor(rng().standard_normal((4, 3, 5, 5)).astype(np.float32)).requires_grad_()
        w, b = (tg.tensor(rng(i).standard_normal(3).astype(np.float32)).requires_grad_() for i in (1, 2))
        h = F.batch_norm(x, None, None, w, b, training=True)
        if watched:
            h.register_hook(lambda _: None)
        y = F.relu(h, inplace=inplace)
        b.data.add_(1.0)  # too late to matter
        (y * y).sum().backward()
        grads.append([t.grad.numpy() for t in (x, w, b) if t.grad is not None])
    assert len(grads[0]) == 3
    for one, other in zip(*grads, strict=True):
        np.testing.assert_array_equal(one, other)


# ---- random numbers ----


def test_philox_matches_its_published_test_vectors() -> None:
    """Known answers of Random123 for a zero counter and key; seed and counter of ones."""
    bits = get_backend("cpu").random_bits(4, 0, 0)
    assert [hex(b) for b in bits] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]


@on_levels
@given(st.integers(0, 300), st.integers(0, 2**64 - 1), st.integers(0, 2**40))
def test_random_bits_are_the_same_everywhere(level: str, count: int, seed: int, counter: int) -> None:
    np.testing.assert_array_equal(
        get_backend(level).random_bits(count, seed, counter), REFERENCE.random_bits(count, seed, counter)
    )


COUNTERS = [0, 2**32 - 3, 2**32, 2**63 + 1]


@on_levels
@on_reals
@pytest.mark.parametrize("count", [0, 1, 2, 3, 31, 63, 65, 4095, 4097, 20001])
@pytest.mark.parametrize("counter", COUNTERS)
def test_uniform_numbers_are_the_same_everywhere(level: str, dtype: Any, count: int, counter: int) -> None:
    arguments = (count,), np.dtype(dtype), 2**64 - 5, counter
    drawn = get_backend(level).random_uniform(*arguments)
    assert drawn.dtype == dtype
    np.testing.assert_array_equal(drawn, REFERENCE.random_uniform(*arguments))


@on_levels
@on_reals
@pytest.mark.parametrize("count", [0, 1, 2, 3, 31, 63, 65, 4095, 4097, 20001])
@pytest.mark.parametrize("counter", COUNTERS)
def test_normal_numbers_are_the_same_everywhere(level: str, dtype: Any, count: int, counter: int) -> None:
    """But for the last digits, and the rounding of the reference's angles."""
    arguments = (count,), np.dtype(dtype), 2**64 - 5, counter
    drawn = get_backend(level).random_normal(*arguments)
    assert drawn.dtype == dtype
    np.testing.assert_allclose(drawn, REFERENCE.random_normal(*arguments), rtol=2 * np.finfo(dtype).eps, atol=5e-15)


@on_levels
@on_reals
@pytest.mark.parametrize("kernel", ["random_uniform", "random_normal"])
def test_random_numbers_do_not_depend_on_the_number_of_threads(level: str, dtype: Any, kernel: str) -> None:
    draws, before = [], tg.get_num_threads()
    for threads in (1, 2, 5):
        tg.set_num_threads(threads)
        draws.append(getattr(get_backend(level), kernel)((7, 30_001), np.dtype(dtype), 3, 4))
    tg.set_num_threads(before)
    np.testing.assert_array_equal(draws[0], draws[1])
    np.testing.assert_array_equal(draws[0], draws[2])


@on_levels
@on_reals
def test_dropout_masks_are_the_same_everywhere(level: str, dtype: Any) -> None:
    x = rng().standard_normal((7, 33)).astype(dtype)
    np.testing.assert_array_equal(get_backend(level).dropout(x, 0.3, 5, 9), REFERENCE.dropout(x, 0.3, 5, 9))


# ---- images ----


@on_levels
@on_reals
@pytest.mark.parametrize("size", [(5, 3), (2, 2), (9, 11), (1, 1), (0, 4)])
@pytest.mark.parametrize(
    ("channels", "tables", "positions"), [(1, 1, 80), (3, 1, 80), (3, 80, 80), (3, 20, 20), (1, 1, 8)]
)
def test_gather_images(
    level: str, dtype: Any, channels: int, tables: int, positions: int, size: tuple[int, int]
) -> None:
    images = rng().integers(0, 256, (9, 5, 3, channels), dtype=np.uint8)
    table, index = rng(1).standard_normal((tables, channels, 257)).astype(dtype), rng(2).integers(0, 9, positions)
    windows = np.stack(
        [rng(3).integers(-7, 8, 80), rng(4).integers(-9, 6, 80), *rng(5).integers(0, 2, (2, 80))], axis=1
    )
    expected = REFERENCE.gather_images(images, index, table, windows, size)
    np.testing.assert_array_equal(get_backend(level).gather_images(images, index, table, windows, size), expected)


def test_gather_images_crops_and_flips() -> None:
    images = np.arange(6, dtype=np.uint8).reshape(1, 2, 3, 1)
    table = np.arange(257, dtype=np.float32)[None, None]
    windows = np.array([[0, 0, 0, 0], [-1, 1, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1]])
    y = REFERENCE.gather_images(images, np.zeros(1, np.int64), table, windows, (2, 2))
    assert y[:, 0].tolist() == [[[0, 1], [3, 4]], [[256, 256], [1, 2]], [[3, 4], [0, 1]], [[2, 1], [5, 4]]]


# ---- denormals, threads, processes ----


def test_denormals_are_flushed_in_kernels_and_nowhere_else() -> None:
    tiny = np.full(64, 1e-40, np.float32)
    assert not get_backend("cpu").dropout(tiny, 0.0, 1, 0).any()
    assert (tiny * np.float32(0.5)).all()


def training(threads: int) -> bytes:
    """Train a small net a little; return the bits of its weights."""
    tg.set_num_threads(threads)
    tg.manual_seed(1)
    model = tg.nn.Sequential(
        tg.nn.Conv2d(1, 6, 5, padding=2), tg.nn.BatchNorm2d(6), tg.nn.ReLU(), tg.nn.MaxPool2d(2),
        tg.nn.Conv2d(6, 8, 3, padding=1), tg.nn.ReLU(), tg.nn.MaxPool2d(2), tg.nn.Conv2d(8, 16, 3, stride=2), tg.nn.ReLU(),
        tg.nn.Dropout(0.2), tg.nn.Flatten(), tg.nn.Linear(16 * 9, 10),
    )  # fmt: skip
    optimizer = tg.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(3):
        x, target = tg.randn(48, 1, 28, 28), tg.randint(10, (48,))
        optimizer.zero_grad()
        F.cross_entropy(model(x), target).backward()
        optimizer.step()
    return b"".join(p.detach().numpy().tobytes() for p in model.parameters())


def test_training_is_bit_identical_for_any_number_of_threads_and_from_run_to_run() -> None:
    before = tg.get_num_threads()
    try:
        assert len({training(threads) for threads in (1, 2, 3, 2, 1)}) == 1
    finally:
        tg.set_num_threads(before)


def test_several_python_threads_at_once() -> None:
    x, w = tg.randn(16, 3, 32, 32), tg.randn(8, 3, 3, 3)
    expected = F.conv2d(x, w).tolist()
    results: list[Any] = []
    before = tg.get_num_threads()
    tg.set_num_threads(2)
    try:
        threads = [threading.Thread(target=lambda: results.append(F.conv2d(x, w).tolist())) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        tg.set_num_threads(before)
    assert results == [expected] * 6


def _child(queue: Any, x: np.ndarray, w: np.ndarray) -> None:
    queue.put(F.conv2d(tg.from_numpy(x), tg.from_numpy(w)).numpy())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_computes_too() -> None:
    x, w = (
        rng().standard_normal((16, 3, 32, 32)).astype(np.float32),
        rng(1).standard_normal((8, 3, 3, 3)).astype(np.float32),
    )
    before = tg.get_num_threads()
    tg.set_num_threads(2)
    try:
        expected = F.conv2d(tg.from_numpy(x), tg.from_numpy(w)).numpy()  # the parent's workers exist now
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        child = context.Process(target=_child, args=(queue, x, w))
        child.start()
        np.testing.assert_array_equal(queue.get(timeout=60), expected)
        child.join(timeout=60)
        assert child.exitcode == 0
    finally:
        tg.set_num_threads(before)


@pytest.mark.parametrize("level", _ext.usable_levels())
def test_an_environment_variable_forces_a_level(level: str) -> None:
    code = "from tinygrad_cnn import _ext, zeros; print(_ext.LEVEL, zeros(1).relu().item())"
    environment = {**os.environ, _ext.LEVEL_VARIABLE: level}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [level, "0.0"]


def test_an_unknown_level_is_refused() -> None:
    environment = {**os.environ, _ext.LEVEL_VARIABLE: "v9"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import tinygrad_cnn"], env=environment, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert f"{_ext.LEVEL_VARIABLE}=v9: not one of the levels usable here" in done.stderr


def test_a_kernel_refuses_what_the_backend_must_not_pass() -> None:
    kernels = _ext.load("elementwise", "float32")
    number = kernels.maps["exp"][0]
    with pytest.raises(TypeError, match="4 bytes, got 8"):
        kernels.run(number, [np.zeros(3)], [], np.zeros(3))
    with pytest.raises((BufferError, ValueError)):
        kernels.run(number, [np.zeros(6, np.float32)[::2]], [], np.zeros(3, np.float32))


# ---- exponentials, softmax and cross-entropy: accuracy, ends of rows, extremes ----

ROW_LENGTHS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 129, 1000, 5003]


@on_levels
@on_reals
@pytest.mark.parametrize("d", ROW_LENGTHS)
def test_softmax_of_rows_of_any_length(level: str, dtype: Any, d: int) -> None:
    backend: Any = get_backend(level)
    x, dy = (4 * rng().standard_normal((67, d))).astype(dtype), rng(1).standard_normal((67, d)).astype(dtype)
    wide, wide_dy = x.astype(np.float64), dy.astype(np.float64)
    for name in ("softmax", "log_softmax"):
        y = getattr(REFERENCE, name)(wide, 1)
        close(getattr(backend, name)(x, 1), y, dtype)
        close(
            getattr(backend, name + "_grad")(dy, y.astype(dtype), 1),
            getattr(REFERENCE, name + "_grad")(wide_dy, y, 1),
            dtype,
        )


@on_levels
@on_reals
@pytest.mark.parametrize("shape", [(2, 3, 1, 5), (3, 10, 4, 4), (2, 70, 17), (1, 5, 33), (2, 300, 16)])
def test_softmax_of_columns(level: str, dtype: Any, shape: tuple[int, ...]) -> None:
    backend: Any = get_backend(level)
    x, dy = rng().standard_normal(shape).astype(dtype), rng(1).standard_normal(shape).astype(dtype)
    for name in ("softmax", "log_softmax"):
        y = getattr(backend, name)(x, 1)
        close(y, getattr(REFERENCE, name)(x.astype(np.float64), 1), dtype)
        close(
            getattr(backend, name + "_grad")(dy, y, 1),
            getattr(REFERENCE, name + "_grad")(dy.astype(np.float64), y.astype(np.float64), 1),
            dtype,
        )


@on_levels
@on_reals
def test_exp_and_log_are_accurate_to_about_an_ulp(level: str, dtype: Any) -> None:
    """In columns of two, 0 and x <= 0, softmax is e^x / (1 + e^x), and log_softmax of the first is -log(1 + e^x)."""
    x = -np.concatenate([rng().uniform(0, 80, 2000), rng(1).uniform(0, 1, 2000)]).astype(dtype)
    rows, e = np.stack([np.zeros_like(x), x], 1), np.exp(x.astype(np.longdouble))
    ulp = float(np.finfo(dtype).eps)
    small = get_backend(level).softmax(rows, 1)[:, 1]
    assert (np.abs(small - e / (1 + e)) <= 2.5 * ulp * (e / (1 + e))).all()
    exact = -np.log1p(e)
    assert (np.abs(get_backend(level).log_softmax(rows, 1)[:, 0] - exact) <= 1.5 * ulp * np.maximum(-exact, 1)).all()


@on_levels
@on_reals
@pytest.mark.parametrize("d", [3, 20, 70])
def test_softmax_of_special_values(level: str, dtype: Any, d: int) -> None:
    backend: Any = get_backend(level)
    x = rng().standard_normal((6, d)).astype(dtype)
    x[0, 1], x[1, 1], x[2, 1], x[3], x[4], x[5, :2] = np.nan, np.inf, -np.inf, -np.inf, -1e30, (3e4, -3e4)
    for layout in (x, np.repeat(x[:, :, None], 17, 2)):  # rows, and columns
        for name in ("softmax", "log_softmax"):
            np.testing.assert_allclose(
                getattr(backend, name)(layout, 1),
                getattr(REFERENCE, name)(layout.astype(np.float64), 1),
                rtol=1e-5,
                atol=1e-6,
            )


@on_levels
@on_reals
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("shape", [(1, 1), (5, 10), (67, 3), (70, 64), (33, 129), (3, 1000), (0, 4)])
def test_cross_entropy_of_any_size(level: str, dtype: Any, reduction: str, shape: tuple[int, int]) -> None:
    backend: Any = get_backend(level)
    x, target = rng().standard_normal(shape).astype(dtype), rng(1).integers(0, shape[1], shape[0])
    target[1::3] = -1
    loss, y = backend.cross_entropy(x, target, -1, reduction)
    expected, wide = REFERENCE.cross_entropy(x.astype(np.float64), target, -1, reduction)
    assert loss.shape == expected.shape
    close(loss, expected, dtype)
    close(y, wide, dtype)
    dy = rng(2).standard_normal(loss.shape).astype(dtype)
    close(
        backend.cross_entropy_grad(dy, y, target, -1, reduction),
        REFERENCE.cross_entropy_grad(dy.astype(np.float64), wide, target, -1, reduction),
        dtype,
    )


def test_softmax_is_bit_identical_for_any_number_of_threads() -> None:
    x, target = rng().standard_normal((700, 300)).astype(np.float32), rng(1).integers(0, 300, 700)
    columns = x.reshape(7, 100, 300)
    backend: Any = get_backend("cpu")
    before, seen = tg.get_num_threads(), set()
    try:
        for threads in (1, 2, 3):
            tg.set_num_threads(threads)
            loss, y = backend.cross_entropy(x, target, -100, "mean")
            dx = backend.cross_entropy_grad(loss, y, target, -100, "mean")
            results = loss, y, dx, backend.log_softmax(columns, 1), backend.softmax_grad(columns, columns, 1)
            seen.add(b"".join(result.tobytes() for result in results))
    finally:
        tg.set_num_threads(before)
    assert len(seen) == 1


# ---- local response normalisation ----


@on_levels
@on_reals
@pytest.mark.parametrize("size", [1, 2, 5, 300])
@pytest.mark.parametrize("shape", [(2, 7, 5, 5), (1, 3, 1), (2, 70, 3, 7), (1, 5, 531), (1, 2, 1030)])
def test_local_response_norm_of_any_size(level: str, dtype: Any, shape: tuple[int, ...], size: int) -> None:
    backend: Any = get_backend(level)
    x, dy = (3 * rng().standard_normal(shape)).astype(dtype), rng(1).standard_normal(shape).astype(dtype)
    wide, wide_dy = x.astype(np.float64), dy.astype(np.float64)
    for options in ((1e-4, 0.75, 1.0), (2.0, 0.75, 0.5), (1.0, 3.0, 2.0)):
        close(
            backend.local_response_norm(x, size, *options), REFERENCE.local_response_norm(wide, size, *options), dtype
        )
        close(
            backend.local_response_norm_grad(dy, x, size, *options),
            REFERENCE.local_response_norm_grad(wide_dy, wide, size, *options),
            dtype,
        )


# ---- elementwise ----


@on_levels
@on_reals
@pytest.mark.parametrize("size", [0, 1, 7, 16, 33, 16391])
def test_elementwise_of_any_size(level: str, dtype: Any, size: int) -> None:
    backend: Any = get_backend(level)
    a, b = (5 * rng().standard_normal(size)).astype(dtype), rng(1).uniform(-1, 1, size).astype(dtype)
    ulps = 4 * np.finfo(dtype).eps
    for op in (
        "relu",
        "hardsigmoid",
        "hardswish",
        "silu",
        "erf",
        "exp",
        "sigmoid",
        "abs",
        "expm1",
        "reciprocal",
        "sign",
    ):
        exact = REFERENCE.elementwise(op, a.astype(np.longdouble))
        np.testing.assert_allclose(backend.elementwise(op, a), exact.astype(dtype), rtol=ulps)
    for op in ("log", "log1p", "sqrt", "rsqrt"):
        exact = REFERENCE.elementwise(op, np.abs(a).astype(np.longdouble))
        np.testing.assert_allclose(backend.elementwise(op, np.abs(a)), exact.astype(dtype), rtol=ulps)
    for op in ("relu_grad", "hardsigmoid_grad", "hardswish_grad", "silu_grad", "sigmoid_grad", "tanh_grad"):
        exact = REFERENCE.elementwise(op, a.astype(np.float64), b.astype(np.float64))
        close(backend.elementwise(op, a, b), exact, dtype)
    for operands in ((a > 0, a, b), (a > 0, a, 2.0), (a > 0, 3, b)):
        np.testing.assert_array_equal(backend.elementwise("where", *operands), np.where(*operands))
    for op, operands in (("leaky_relu", (a, 0.1)), ("leaky_relu_grad", (a, b, 0.1))):
        close(backend.elementwise(op, *operands), REFERENCE.elementwise(op, *operands), dtype)


BROADCAST = [  # whole rows, pieces of rows, one number, axes joined, more axes than the kernel has
    ((300, 70), (300, 1)), ((300, 70), (70,)), ((70, 1), (1, 300)), ((20, 30, 4, 5), (30, 1, 1)), ((40, 30, 4, 5), (40, 1, 4, 1)),
    ((2, 20_000), (2, 1)), ((20_000,), (3, 1)), ((4099,), ()), ((), (4099,)), ((8, 1, 9, 1, 70), (1, 4, 1, 6, 1)), ((0, 1), (5000,)),
]  # fmt: skip


@on_levels
@on_reals
@pytest.mark.parametrize("shapes", BROADCAST, ids=str)
def test_arithmetic_of_arrays_that_broadcast(level: str, dtype: Any, shapes: Any) -> None:
    a, b = (rng(i).standard_normal(shape).astype(dtype) for i, shape in enumerate(shapes))
    for op in ("add", "sub", "mul", "div", "maximum", "minimum"):
        for operands in ((a, b), (b, a)):
            np.testing.assert_array_equal(
                get_backend(level).elementwise(op, *operands), REFERENCE.elementwise(op, *operands), strict=True
            )


@on_levels
@on_reals
def test_limits_and_powers_of_special_values(level: str, dtype: Any) -> None:
    backend: Any = get_backend(level)
    a = np.resize(np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1, -1, 2.5, -2.5], dtype), 5000)
    with np.errstate(all="ignore"):
        for op in ("maximum", "minimum"):
            for b in (0.5, np.nan, 0):
                np.testing.assert_array_equal(backend.elementwise(op, a, b), REFERENCE.elementwise(op, a, b))
            np.testing.assert_array_equal(backend.elementwise(op, a, a[::-1]), REFERENCE.elementwise(op, a, a[::-1]))
        for b in (-3, -2, -1, 0, 0.5, 1, 2, 3.0, 4, 5, 1.5, np.inf):
            close(backend.elementwise("pow", a, b), REFERENCE.elementwise("pow", a, b), dtype)


@on_levels
@on_reals
def test_logarithms_of_special_values(level: str, dtype: Any) -> None:
    a = np.array([0, -0.0, -1, -2, np.inf, -np.inf, np.nan, 1e-30, -1e-30, 1e30, 1], dtype)
    for op in ("log", "log1p", "expm1", "rsqrt", "sqrt", "reciprocal", "abs", "sign"):
        with np.errstate(all="ignore"):
            exact = REFERENCE.elementwise(op, a.astype(np.longdouble)).astype(dtype)
        np.testing.assert_allclose(get_backend(level).elementwise(op, a), exact, rtol=4 * np.finfo(dtype).eps)


@on_levels
@on_reals
def test_exp_and_sigmoid_of_special_values(level: str, dtype: Any) -> None:
    info = np.finfo(dtype)
    most = np.log(info.max)
    a = np.array(
        [0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30, most * 0.999999, most * 1.00001, -most * 0.98, -2 * most], dtype
    )
    for op in ("exp", "sigmoid"):
        with np.errstate(all="ignore"):
            exact = REFERENCE.elementwise(op, a.astype(np.longdouble)).astype(dtype)
        np.testing.assert_allclose(get_backend(level).elementwise(op, a), exact, rtol=4 * info.eps, atol=info.tiny)


# ---- maxima and minima; sums of many short rows ----


@on_levels
@on_reals
@pytest.mark.parametrize(
    "shape", [(1,), (3, 5), (67, 10), (2, 1000), (1, 10_003), (9, 6, 7, 7), (2, 3, 4, 5, 6), (3, 700, 2)]
)
def test_maxima_along_all_axes(level: str, dtype: Any, shape: tuple[int, ...]) -> None:
    backend: Any = get_backend(level)
    x = rng().standard_normal(shape).astype(dtype)
    holed = x.copy()
    holed.flat[x.size // 2], holed.flat[0] = np.nan, -np.inf
    for mask in range(1, 2 ** len(shape)):
        dims = tuple(d for d in range(len(shape)) if mask >> d & 1)
        for op in ("amax", "amin"):
            for values in (x, holed, np.full_like(x, -np.inf), np.full_like(x, np.inf)):
                for keepdim in (False, True):
                    y = backend.reduce(op, values, dims, keepdim)
                    expected = REFERENCE.reduce(op, values, dims, keepdim)
                    assert y.dtype == dtype
                    np.testing.assert_array_equal(y, expected)


@on_levels
@on_reals
@pytest.mark.parametrize("shape", [(5, 3, 49), (130, 2, 64), (3, 2, 5000), (1, 4, 1), (700, 1, 17)])
def test_batch_norm_of_maps_of_any_size(level: str, dtype: Any, shape: tuple[int, ...]) -> None:
    backend: Any = get_backend(level)
    x, dy = (rng().standard_normal(shape) + 3).astype(dtype), rng(1).standard_normal(shape).astype(dtype)
    w, b = rng(2).standard_normal(shape[1]).astype(dtype), rng(3).standard_normal(shape[1]).astype(dtype)
    wide = [a.astype(np.float64) for a in (x, w, b, dy)]
    forward = REFERENCE.batch_norm(*wide[:3], 1e-5)
    for actual, expected in zip(backend.batch_norm(x, w, b, 1e-5), forward, strict=True):
        close(actual, expected, dtype)
    mean, var = (statistic.astype(dtype) for statistic in forward[1:])
    backward = REFERENCE.batch_norm_grad(wide[3], *wide[:3], *forward[1:], 1e-5, False)
    for actual, expected in zip(backend.batch_norm_grad(dy, x, w, b, mean, var, 1e-5, False), backward, strict=True):
        close(actual, expected, dtype, scale=100 if shape[2] == 1 else 10)


@on_levels
@on_reals
def test_sums_over_short_rows_are_accurate(level: str, dtype: Any) -> None:
    x = (rng().standard_normal((3000, 3, 37)) + 1).astype(dtype)
    backend, exact = get_backend(level), x.astype(np.longdouble)
    for dims in ((0, 2), (2,), (0, 1, 2), (0,)):
        total = exact.sum(axis=dims)
        np.testing.assert_allclose(
            backend.reduce("sum", x, dims, False), total, rtol=4 * np.finfo(dtype).eps, atol=1e-4
        )


# ---- optimiser steps ----


@on_levels
@on_reals
@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_step_of_many_parameters(level: str, dtype: Any, started: bool, nesterov: bool) -> None:
    sizes = [3, 0, 16385, 1, 40_000, 0]
    results = []
    for backend, kind in ((get_backend(level), dtype), (REFERENCE, np.float64)):
        params, grads, momenta = (
            [rng(10 * i + k).standard_normal(size).astype(dtype).astype(kind) for k, size in enumerate(sizes)]
            for i in range(3)
        )
        backend.sgd(params, grads, momenta, [started] * 6, 0.1, 0.9, 0.0 if nesterov else 0.2, 0.01, nesterov, False)
        backend.sgd(params, grads, [None] * 6, [False] * 6, 0.1, 0.0, 0.0, 0.01, False, True)
        results.append(params + momenta)
    for actual, expected in zip(*results, strict=True):
        close(actual, expected, dtype)


@on_levels
@on_reals
@pytest.mark.parametrize("size", [1, 15, 16, 16400])
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
def test_adam_step(level: str, dtype: Any, size: int, decoupled: bool, amsgrad: bool, maximize: bool) -> None:
    arrays = [rng(i).standard_normal(size) for i in range(2)] + [rng(i).uniform(0, 1, size) for i in range(3)]
    results = []
    for backend, kind in ((get_backend(level), dtype), (REFERENCE, np.float64)):
        p, g, m, v, peak = (a.astype(dtype).astype(kind) for a in arrays)
        peaks = [peak if amsgrad else None]
        backend.adam([p], [g], [m], [v], peaks, [3], 0.01, 0.9, 0.99, 1e-8, 0.1, decoupled, maximize)
        results.append((p, m, v, peak))
    for actual, expected in zip(*results, strict=True):
        close(actual, expected, dtype)


# ---- convolution: paths that depend on the shape ----

PATHS = [  # (N, C, H, W, O, KH, KW, stride, padding, dilation, groups)
    (3, 5, 9, 31, 48, 3, 3, 1, 1, 1, 1),  # a panel of three vectors
    (2, 48, 8, 15, 33, 2, 3, 1, 0, 1, 1),  # lanes partly used; the image itself serves as its phases
    (19, 20, 7, 7, 70, 3, 3, 1, 1, 1, 1),  # several small images together, the last time fewer
    (2, 34, 6, 5, 36, 1, 1, 2, 0, 1, 1),  # phases of dx that no tap meets
    (2, 20, 11, 13, 40, 2, 2, 3, 0, 1, 2),
    (2, 17, 16, 18, 35, 3, 5, (2, 4), (4, 3), (3, 2), 1),  # dilation and stride, padding beyond the kernel
    (2, 3, 40, 43, 24, 11, 11, 4, 2, 1, 1),
    (2, 18, 20, 20, 18, 3, 3, 1, 1, 1, 18),  # depthwise 3x3: rows of more than one vector
    (1, 3, 19, 39, 3, 3, 3, 1, (0, 2), 1, 3),
    (2, 4, 9, 70, 8, 3, 3, 1, 1, 1, 4),
    (2, 10, 9, 33, 10, 3, 3, 2, 1, 1, 10),
    (65, 6, 14, 14, 16, 5, 5, 1, 0, 1, 1),  # LeNet-5
    (2, 40, 3, 2, 40, 3, 3, 1, 1, 1, 1),  # rows shorter than a tile
    (2, 20, 17, 35, 20, 3, 3, 2, 1, 1, 1),  # every second element of rows, whole vectors and halves; odd rows of dx
    (2, 18, 16, 16, 33, 3, 3, 2, 1, 1, 1),
    (1, 70, 57, 58, 20, 3, 3, 2, 1, 1, 1),  # strips of phases
    (1, 3, 20, 139, 20, 5, 5, 4, 2, 1, 1),  # every fourth element
    (2, 3, 5, 40, 3, 3, 3, 1, 1, 1, 3),  # depthwise: fewer rows than a tile has
    (3, 2, 9, 32, 5, 3, 3, 1, 1, 1, 1),  # few channels: rows of dy that fill vectors, or nearly
    (3, 2, 9, 29, 4, 5, 5, 1, 2, 1, 1),
]


@on_levels
@on_reals
@pytest.mark.parametrize("shape", PATHS, ids=str)
def test_conv2d_on_every_path(level: str, dtype: Any, shape: tuple[Any, ...]) -> None:
    test_conv2d_in_all_passes(level, dtype, shape)


@on_levels
@on_reals
@pytest.mark.parametrize("shape", [PATHS[0], PATHS[1], PATHS[3], PATHS[7]], ids=str)
def test_conv2d_keeps_nan_where_it_belongs(level: str, dtype: Any, shape: tuple[Any, ...]) -> None:
    x, w, b, dy, place, groups = conv_arguments(shape, dtype)
    backend: Any = get_backend(level)
    x[-1, -1, 2, 1] = dy[-1, -1, 1, 2] = np.nan
    y = backend.conv2d(x, w, b, place, groups)
    assert np.array_equal(np.isnan(y), np.isnan(REFERENCE.conv2d(x, w, b, place, groups)))
    size = x.shape[2:]
    dx = backend.conv2d_input_grad(dy, w, place, groups, size)
    assert np.array_equal(np.isnan(dx), np.isnan(REFERENCE.conv2d_input_grad(dy, w, place, groups, size)))


@on_levels
@pytest.mark.parametrize(
    "shape", [(40, 3, 60, 60, 20, 3, 3, 1, 1, 1, 1), (40, 2, 60, 60, 2, 3, 3, 1, 1, 1, 1)], ids=str
)
def test_conv2d_weight_grad_adds_long_sums_accurately(level: str, shape: tuple[Any, ...]) -> None:
    x, _, _, dy, place, groups = conv_arguments(shape, np.float32)
    backend: Any = get_backend(level)
    dw = backend.conv2d_weight_grad(dy, x, place, groups)
    exact = backend.conv2d_weight_grad(dy.astype(np.float64), x.astype(np.float64), place, groups)
    assert np.linalg.norm(dw - exact) < 1e-6 * np.linalg.norm(exact)


# ---- pooling: lines of every length, staged and direct rows, planes together ----

POOLS = [  # shape, kernel, stride, padding ((top, bottom), (left, right)), dilation, ceil_mode
    ((3, 5, 10, 10), 2, 2, 0, 1, False),  # two lines in a vector, rows of all planes at one distance
    ((2, 9, 13, 13), 3, 2, 0, 1, False),  # two lines in a vector, rows shared by windows
    ((1, 3, 13, 12), 3, 2, 0, 1, True),
    ((2, 3, 27, 27), 3, 2, 0, 1, False),
    ((2, 2, 37, 55), 3, 2, 0, 1, False),  # the last row reaches beyond the end of the last plane
    ((2, 2, 30, 71), 2, 2, 0, 1, False),  # a column and blocks that overlap
    ((2, 2, 31, 71), 2, 2, 0, 1, True),
    ((1, 3, 40, 41), 3, 2, ((1, 1), (1, 1)), 1, False),
    ((1, 3, 40, 9), 3, 2, ((0, 1), (1, 0)), 1, False),
    ((2, 3, 20, 43), 3, 2, ((1, 1), (0, 0)), 1, False),  # direct between staged lines
    ((2, 3, 14, 14), 3, 1, ((1, 1), (1, 1)), 1, False),
    ((2, 3, 9, 40), (1, 2), (3, 2), 0, 1, False),  # rows between the windows
    ((2, 3, 11, 40), (2, 1), (2, 2), 0, 1, False),  # columns between the windows
    ((2, 3, 25, 50), 5, 2, ((2, 2), (2, 2)), 1, False),
    ((2, 3, 25, 50), 3, 2, ((1, 1), (1, 1)), 2, False),
    ((2, 3, 25, 50), 3, 1, 0, (2, 3), False),
    ((2, 3, 25, 50), (3, 4), (4, 5), 0, 1, False),
    ((2, 3, 21, 70), (2, 3), 3, ((1, 0), (1, 1)), 1, True),
    ((3, 17, 7, 7), 7, 7, 0, 1, False),  # whole images, an odd number of them
    ((2, 20, 8, 8), 8, 8, 0, 1, False),
    ((3, 11, 2, 3), (2, 3), 1, 0, 1, False),  # whole images smaller than a vector
    ((2, 3, 16, 16), 8, 8, 0, 1, False),
    ((1, 1, 1, 1), 1, 1, 0, 1, False),
    ((1, 1, 2, 2), 2, 2, 0, 1, False),
]
on_pools = pytest.mark.parametrize(("shape", "kernel", "stride", "padding", "dilation", "ceil"), POOLS, ids=str)


@on_levels
@on_reals
@on_pools
def test_pooling_of_odd_sizes(
    level: str, dtype: Any, shape: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool
) -> None:
    backend, place = get_backend(level), window("test", shape[2:], kernel, stride, padding, dilation, ceil)
    for special in (None, np.nan, -np.inf):
        x = rng().integers(-3, 4, shape).astype(dtype)  # with many ties
        if special is not None:
            x[rng(1).random(shape) < 0.3] = special
        (y, offsets), (expected, places) = backend.max_pool2d(x, place), REFERENCE.max_pool2d(x, place)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(offsets, places)
        dy = rng(2).standard_normal(y.shape).astype(dtype)
        close(
            backend.max_pool2d_grad(dy, offsets, place, shape[2:]),
            REFERENCE.max_pool2d_grad(dy, offsets, place, shape[2:]),
            dtype,
        )
    x = rng(3).standard_normal(shape).astype(dtype)
    np.testing.assert_array_equal(
        backend.max_pool2d_gather(x, offsets, place), REFERENCE.max_pool2d_gather(x, offsets, place)
    )
    for rule in ((True, 0), (False, 0), (True, 5)):
        close(backend.avg_pool2d(x, place, *rule), REFERENCE.avg_pool2d(x, place, *rule), dtype)
        close(
            backend.avg_pool2d_grad(dy, place, shape[2:], *rule),
            REFERENCE.avg_pool2d_grad(dy, place, shape[2:], *rule),
            dtype,
        )


@on_levels
@on_reals
def test_pooling_reads_and_writes_nothing_else(level: str, dtype: Any) -> None:
    """Vectors may reach beyond a line, but never beyond the arrays."""
    kernels = get_backend(level)._kernels("pool", np.dtype(dtype))  # type: ignore[attr-defined]
    for size, kernel, stride in ((10, 2, 2), (13, 3, 2), (5, 3, 1), (7, 7, 7), (34, 2, 2), (9, 3, 3)):
        place = window("test", (size, size), kernel, stride, 0, 1)
        x = rng().standard_normal((3, 7, size, size)).astype(dtype)
        many = x[0, 0].size * 21
        (y, offsets), dy = (
            REFERENCE.max_pool2d(x, place),
            rng(1).standard_normal((3, 7, place.oh, place.ow)).astype(dtype),
        )
        outputs = [
            np.full(n + 64, 77, t) for n, t in ((y.size, dtype), (y.size, np.uint8), (y.size, dtype), (many, dtype))
        ]
        inner = [out[: out.size - 64] for out in outputs]
        kernels.max_pool2d(x, inner[0].reshape(y.shape), inner[1].reshape(y.shape), place)
        kernels.avg_pool2d(x, inner[2].reshape(y.shape), place, True, 0)
        kernels.max_pool2d_grad(dy, offsets, inner[3].reshape(x.shape), place)
        kernels.avg_pool2d_grad(dy, inner[3].reshape(x.shape), place, True, 0)
        assert all((out[-64:] == 77).all() for out in outputs)


@on_levels
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_pooling_is_the_same_for_any_number_of_threads(level: str, threads: int) -> None:
    backend: Any = get_backend(level)
    x = rng().standard_normal((9, 33, 13, 13)).astype(np.float32)
    place = window("test", (13, 13), 3, 2, 0, 1)
    dy = rng(1).standard_normal((9, 33, 6, 6)).astype(np.float32)
    (expected, places), before = REFERENCE.max_pool2d(x, place), tg.get_num_threads()
    alone = backend.max_pool2d_grad(dy, places, place, (13, 13)), backend.avg_pool2d(x, place, True, 0)
    tg.set_num_threads(threads)
    try:
        y, offsets = backend.max_pool2d(x, place)
        together = backend.max_pool2d_grad(dy, places, place, (13, 13)), backend.avg_pool2d(x, place, True, 0)
    finally:
        tg.set_num_threads(before)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(offsets, places)
    for one, other in zip(alone, together):
        np.testing.assert_array_equal(one, other)
