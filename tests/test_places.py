"""The compiled kernels of places, against the reference: reading, combining, weighted sums, where extremes are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import LEVELS

import tinygrad_cnn as tg
from tinygrad_cnn.backends import get_backend
from tinygrad_cnn.backends.base import SCATTERS

REFERENCE: Any = get_backend("reference")
on_levels = pytest.mark.parametrize("level", LEVELS)
on_reals = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SHAPES = [  # x, axis, how many places
    ((7,), 0, 20), ((3, 5), 0, 40), ((3, 5), 1, 4), ((2, 3, 4, 5), 1, 9), ((1, 6, 17), 1, 8), ((40, 3), 0, 3000), ((2, 5, 700), 1, 13),
    ((5, 1), 0, 3), ((0, 4), 1, 2), ((3, 4), 0, 0), ((3, 0), 0, 2), ((1,), 0, 1),
]  # fmt: skip


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def places(shape: tuple[int, ...], dim: int, count: int) -> np.ndarray:
    """Return places along an axis for each place along the others."""
    return rng(1).integers(0, max(1, shape[dim]), [count if d == dim else n for d, n in enumerate(shape)])


def layouts(index: np.ndarray, dim: int) -> list[np.ndarray]:
    """Return an index of any places, and those that repeat along axes before and behind the one they point along."""
    first = index[tuple([slice(None) if d == dim else slice(0, 1) for d in range(index.ndim)])]
    before = index[:1] if dim else index
    return [index, np.broadcast_to(first, index.shape), np.broadcast_to(before, index.shape), np.asfortranarray(index)]


@on_levels
@on_reals
@pytest.mark.parametrize(("shape", "dim", "count"), SHAPES, ids=str)
def test_gather_and_scatter(level: str, dtype: Any, shape: tuple[int, ...], dim: int, count: int) -> None:
    backend: Any = get_backend(level)
    x = rng().standard_normal(shape).astype(dtype)
    if x.size > 3:
        x.flat[[0, 3]] = np.nan, np.inf
    for index in layouts(places(shape, dim, count), dim):
        np.testing.assert_array_equal(backend.gather(x, dim, index), REFERENCE.gather(x, dim, index), strict=True)
        values = rng(2).integers(-3, 4, index.shape).astype(dtype)  # so that sums are exact
        for op in SCATTERS:
            found, expected = np.ones(shape, dtype), np.ones(shape, dtype)
            backend.scatter(op, found, dim, index, values)
            REFERENCE.scatter(op, expected, dim, index, values)
            np.testing.assert_array_equal(found, expected, strict=True)


@on_levels
def test_scatter_where_the_index_is_smaller_and_extremes_meet_nan(level: str) -> None:
    backend: Any = get_backend(level)
    index, values = np.array([[0, 0, 1]]), np.array([[2.0, np.nan, 3.0], [4.0, 5.0, 6.0]])
    for op in SCATTERS:
        found, expected = np.full((3, 4), 2.5), np.full((3, 4), 2.5)
        backend.scatter(op, found, 0, index, values)
        REFERENCE.scatter(op, expected, 0, index, values)
        np.testing.assert_array_equal(found, expected)


MASK = rng(5).random((4, 5)) > 0.5
KEYS = [
    (np.array([2, -1, 0, 2]),), (slice(None), np.array([[1, -5], [4, 4]])), (np.array([0, -1]), np.array([[3], [-2]])), (MASK,),
    (slice(None), MASK[0]), (np.array([1, 1]), slice(None), np.array([0, 2])), (slice(None), slice(None), np.array([-3])),
    (np.array([], np.int64),), (MASK[:, 0], np.array([2])), (slice(None), np.array(3)),
]  # fmt: skip


@on_levels
@on_reals
@pytest.mark.parametrize("key", KEYS, ids=[str(i) for i in range(len(KEYS))])
def test_keys(level: str, dtype: Any, key: tuple[Any, ...]) -> None:
    backend: Any = get_backend(level)
    x = rng().standard_normal((4, 5, 3)).astype(dtype)
    picked = REFERENCE.index(x, key)
    for source in (x, np.asfortranarray(x)):
        np.testing.assert_array_equal(backend.index(source, key), picked, strict=True)
    for values in (rng(1).integers(-3, 4, picked.shape).astype(dtype), np.array(2, dtype)):
        for accumulate in (False, True):
            for order in "CF":
                found, expected = np.ones_like(x, order=order), np.ones_like(x)
                backend.index_put(found, key, values, accumulate)
                REFERENCE.index_put(expected, key, values, accumulate)
                np.testing.assert_array_equal(found, expected)


@on_levels
def test_places_that_do_not_exist_change_nothing(level: str) -> None:
    backend: Any = get_backend(level)
    target = np.zeros((3, 2), np.float32)
    for bad in (3, -4):
        with pytest.raises(IndexError):
            backend.index(target, (np.array([0, bad]),))
        with pytest.raises(IndexError):
            backend.index_put(target, (np.array([0, bad]),), np.ones((2, 2), np.float32), True)
        with pytest.raises(IndexError):
            backend.index(target, (np.array([0, bad]), np.array([0, 0])))
    with pytest.raises(IndexError):
        backend.index(target, (np.array([0, 1]), np.array([0, 1, 0])))
    assert not target.any()


def test_elements_put_into_their_own_tensor_are_read_before() -> None:
    x = np.arange(6, dtype=np.float32)
    get_backend("cpu").index_put(x, (np.arange(5, -1, -1),), x, False)
    np.testing.assert_array_equal(x, [5, 4, 3, 2, 1, 0])


SAMPLED = [(2, 3, 20, 4, 33), (1, 1, 1, 1, 1), (3, 2, 7, 8, 5), (0, 2, 3, 1, 2), (2, 0, 3, 2, 2), (2, 2, 3, 2, 0)]


@on_levels
@on_reals
@pytest.mark.parametrize("sizes", SAMPLED, ids=str)
def test_weighted_sums_at_places(level: str, dtype: Any, sizes: tuple[int, ...]) -> None:
    backend: Any = get_backend(level)
    n, c, a, taps, b = sizes
    x, dy, w = (
        rng(i).standard_normal(shape).astype(dtype) for i, shape in enumerate([(n, c, a), (n, c, b), (n, taps, b)])
    )
    at = rng(3).integers(-1, a, (n, taps, b)).astype(np.int32)
    close: Any = {"rtol": 1e-5, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}
    calls = {"sample": (x, at, w), "sample_input_grad": (dy, at, w, a), "sample_weight_grad": (dy, x, at)}
    for name, operands in calls.items():
        np.testing.assert_allclose(getattr(backend, name)(*operands), getattr(REFERENCE, name)(*operands), **close)


@on_levels
@on_reals
@pytest.mark.parametrize("shape", [(9,), (4, 7), (2, 9, 3), (1, 8, 600), (0, 5, 2), (3, 5, 0)], ids=str)
def test_places_of_extremes(level: str, dtype: Any, shape: tuple[int, ...]) -> None:
    backend: Any = get_backend(level)
    x = rng().integers(-2, 3, shape).astype(dtype)  # with many equals
    holed = np.where(rng(1).random(shape) < 0.2, np.nan, x).astype(dtype)
    for dim in range(len(shape)):
        for op in ("argmax", "argmin"):
            for source in (x, holed, -np.inf * np.ones_like(x)):
                parts = ((0, shape[dim]), (1, 2), (2, 1)) if shape[dim] > 3 else ()
                found, expected = (device.arg_parts(op, source, dim, parts) for device in (backend, REFERENCE))
                np.testing.assert_array_equal(found, expected, strict=True)
                if shape[dim]:
                    whole = [device.arg_reduce(op, source, dim, True) for device in (backend, REFERENCE)]
                    np.testing.assert_array_equal(*whole, strict=True)


def test_places_give_the_same_bits_for_any_number_of_threads() -> None:
    index, values = rng().integers(0, 50, 4000), rng(1).standard_normal((4000, 300)).astype(np.float32)
    wide, before, seen = rng(2).integers(0, 50, (4000, 300)), tg.get_num_threads(), set()
    try:
        for threads in (1, 2, 3):
            tg.set_num_threads(threads)
            target = np.zeros((50, 300), np.float32)
            get_backend("cpu").index_put(target, (index,), values, True)
            get_backend("cpu").scatter("add", target, 0, wide, values)
            seen.add(target.tobytes())
    finally:
        tg.set_num_threads(before)
    assert len(seen) == 1
