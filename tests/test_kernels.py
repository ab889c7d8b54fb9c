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
    losses, _ = backend.cross_entropy(x[:1], np.array([1]), -100)
    assert losses.tolist() == [1000.0]


@on_levels
def test_batch_norm_of_values_far_from_zero(level: str) -> None:
    x = (rng().standard_normal((8, 3, 50)) + 1000).astype(np.float32)
    y, mean, var = get_backend(level).batch_norm(x, None, None, 1e-5)
    np.testing.assert_allclose(mean, x.astype(np.float64).mean(axis=(0, 2)), rtol=1e-6)
    np.testing.assert_allclose(var, x.astype(np.float64).var(axis=(0, 2)), rtol=1e-3)
    assert abs(y.mean()) < 1e-3


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


@on_levels
@on_reals
def test_dropout_masks_are_the_same_everywhere(level: str, dtype: Any) -> None:
    x = rng().standard_normal((7, 33)).astype(dtype)
    np.testing.assert_array_equal(get_backend(level).dropout(x, 0.3, 5, 9), REFERENCE.dropout(x, 0.3, 5, 9))


# ---- images ----


@on_levels
@on_reals
def test_gather_images(level: str, dtype: Any) -> None:
    images = rng().integers(0, 256, (9, 2, 5, 3), dtype=np.uint8)
    table, index = rng(1).standard_normal((2, 256)).astype(dtype), np.array([3, 3, 0, 8])
    np.testing.assert_array_equal(
        get_backend(level).gather_images(images, index, table), REFERENCE.gather_images(images, index, table)
    )


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
        tg.nn.Conv2d(6, 16, 3, stride=2), tg.nn.ReLU(), tg.nn.Dropout(0.2), tg.nn.Flatten(), tg.nn.Linear(16 * 36, 10),
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
    with pytest.raises(TypeError, match="4 bytes, got 8"):
        kernels.relu(np.zeros(3), np.zeros(3))
    with pytest.raises((BufferError, ValueError)):
        kernels.relu(np.zeros(6, np.float32)[::2], np.zeros(3, np.float32))


# ---- Winograd convolution: values, tails, padding, threads, the choice of the algorithm ----

WINOGRAD = [  # (N, C, O, H, W, padding)
    (1, 1, 1, 3, 3, 0),
    (2, 3, 5, 9, 7, 1),
    (3, 17, 33, 13, 15, ((0, 2), (1, 0))),  # nothing is a multiple of anything
    (1, 8, 20, 4, 70, ((5, 3), (2, 6))),  # more padding than a kernel reaches
    (2, 40, 30, 30, 45, 1),  # several blocks
    (37, 20, 14, 7, 7, 1),  # blocks of many images
    (1, 100, 70, 11, 6, ((0, 0), (0, 1))),
    (3, 300, 260, 6, 5, 1),  # more kernels than tiles
]
ERRORS = {(np.float32, 2): 1e-6, (np.float32, 4): 4e-6, (np.float64, 2): 1e-12, (np.float64, 4): 1e-12}


def relative_error(actual: Any, expected: Any) -> float:
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def winograd_passes(level: str, dtype: Any, shape: tuple[Any, ...], m: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return what the kernels compute in the three passes, and what they should."""
    n, c, o, h, width, padding = shape
    x, w, b, dy, place, _ = conv_arguments((n, c, h, width, o, 3, 3, 1, padding, 1, 1), dtype)
    kernels = _ext.load("winograd", np.dtype(dtype).name, level.removeprefix("cpu-"))
    y, dx, dw = np.full_like(dy, np.nan), np.full_like(x, np.nan), np.full_like(w, np.nan)
    kernels.conv2d(x, w, b, y, place, m)
    kernels.conv2d_input_grad(dy, w, dx, place, m)
    kernels.conv2d_weight_grad(dy, x, dw, place, m)
    x, w, b, dy = (a.astype(np.float64) for a in (x, w, b, dy))
    return [
        (y, REFERENCE.conv2d(x, w, b, place, 1)),
        (dx, REFERENCE.conv2d_input_grad(dy, w, place, 1, (h, width))),
        (dw, REFERENCE.conv2d_weight_grad(dy, x, place, 1)),
    ]


@on_levels
@on_reals
@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize("shape", WINOGRAD, ids=str)
def test_winograd_in_all_passes(level: str, dtype: Any, m: int, shape: tuple[Any, ...]) -> None:
    slack = 3 if shape[0] * shape[1] == 1 else 1  # a single number says little about a norm
    for actual, expected in winograd_passes(level, dtype, shape, m):
        assert relative_error(actual, expected) < slack * ERRORS[dtype, m]


@on_levels
@pytest.mark.parametrize("algorithm", ["winograd2", "winograd4"])
@given(draw.winograd_convolutions(most=70))
def test_winograd_over_drawn_geometry(level: str, algorithm: str, call: draw.Call) -> None:
    x, w, b = call.args
    place, backend = draw.window_of(x.shape, w.shape[2:], call.kwargs), get_backend(level)
    y = REFERENCE.conv2d(x, w, b, place, 1)
    dy = rng(4).standard_normal(y.shape)
    with tg.set_conv_algorithm(algorithm):
        close(backend.conv2d(x, w, b, place, 1), y, np.float64)
        dx = backend.conv2d_input_grad(dy, w, place, 1, x.shape[2:])
        close(dx, REFERENCE.conv2d_input_grad(dy, w, place, 1, x.shape[2:]), np.float64)
        close(backend.conv2d_weight_grad(dy, x, place, 1), REFERENCE.conv2d_weight_grad(dy, x, place, 1), np.float64)


@on_levels
@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize("shape", [(5, 20, 30, 19, 21, 1), (2, 300, 260, 9, 9, 1), (40, 16, 16, 16, 16, 1)], ids=str)
def test_winograd_is_bit_identical_for_any_number_of_threads(level: str, m: int, shape: tuple[Any, ...]) -> None:
    before = tg.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 5):
            tg.set_num_threads(threads)
            results.append([actual.tobytes() for actual, _ in winograd_passes(level, np.float32, shape, m)])
    finally:
        tg.set_num_threads(before)
    assert all(result == results[0] for result in results)


@on_levels
@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize("sizes", [(0, 2, 3), (2, 0, 3), (2, 3, 0)])
def test_winograd_of_nothing(level: str, m: int, sizes: tuple[int, int, int]) -> None:
    n, c, o = sizes
    place, backend = window("test", (6, 6), 3, 1, 1, 1), get_backend(level)
    x, w, b = np.ones((n, c, 6, 6), np.float32), np.ones((o, c, 3, 3), np.float32), np.ones(o, np.float32)
    with tg.set_conv_algorithm(f"winograd{m}"):
        y = backend.conv2d(x, w, b, place, 1)
        assert (y == 1).all()
        assert not backend.conv2d_input_grad(y, w, place, 1, (6, 6)).any()
        assert not backend.conv2d_weight_grad(y, x, place, 1).any()


@on_levels
@on_reals
@pytest.mark.parametrize("m", [2, 4])
def test_winograd_keeps_nan_to_the_tiles_that_see_it(level: str, dtype: Any, m: int) -> None:
    x, w = rng().standard_normal((3, 5, 24, 26)).astype(dtype), rng(1).standard_normal((4, 5, 3, 3)).astype(dtype)
    place, backend = window("test", (24, 26), 3, 1, 1, 1), get_backend(level)
    with tg.set_conv_algorithm(f"winograd{m}"):
        expected = backend.conv2d(x, w, None, place, 1)
        x[1, 2, 8, 8] = np.nan
        y = backend.conv2d(x, w, None, place, 1)
    lost = np.isnan(y)
    assert lost[1, :, 7:10, 7:10].all()
    np.testing.assert_array_equal(y[~lost], expected[~lost])
    lost[1, :, 8 - m : 8 + 2 * m, 8 - m : 8 + 2 * m] = False
    assert not lost.any()


def test_only_shapes_that_gain_are_done_by_winograd() -> None:
    def chosen(
        channels: int, size: int, dtype: Any = np.float32, stride: int = 1, groups: int = 1, kernel: int = 3
    ) -> str:
        place = window("test", (size, size), kernel, stride, kernel // 2, 1)
        sizes = (8, channels, channels, (place.oh, place.ow))
        names = {
            algorithms.choose(which, np.dtype(dtype), place, groups, *sizes)
            for which in ("forward", "input grad", "weight grad")
        }
        return names.pop() if len(names) == 1 else "various"

    assert chosen(64, 56) == "winograd4"
    assert chosen(1, 56) == "direct"
    assert chosen(64, 56, np.float64) == "direct"
    for name in ("winograd2", "winograd4"):
        with tg.set_conv_algorithm(name):
            assert chosen(64, 56) == chosen(1, 3) == chosen(64, 56, np.float64) == name
            assert chosen(64, 56, stride=2) == chosen(64, 56, groups=2) == chosen(64, 56, kernel=5) == "direct"
    for name in ("direct", "exact"):
        with tg.set_conv_algorithm(name):
            assert chosen(64, 56) == "direct"
