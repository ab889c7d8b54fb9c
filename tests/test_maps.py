"""The table of elementwise functions (ext/elementwise.h) against the reference: sizes, special values, kinks, layouts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import LEVELS

from tinygrad_cnn import _ext
from tinygrad_cnn.backends import get_backend
from tinygrad_cnn.backends.base import ELEMENTWISE

REFERENCE: Any = get_backend("reference")
on_levels = pytest.mark.parametrize("level", LEVELS)
on_reals = pytest.mark.parametrize("dtype", [np.float32, np.float64])
NUMBERS: dict[str, tuple[float, ...]] = {  # behind the arrays
    "add_scaled": (-0.3,), "addcdiv": (0.7,), "addcmul": (0.7,), "clamp": (-0.5, 1.0), "clamp_grad": (-0.5, 1.0), "elu": (0.7, 1.3),
    "elu_grad": (0.7, 1.3), "hardtanh_grad": (-0.5, 1.0), "leaky_relu": (0.1,), "leaky_relu_grad": (0.1,), "lerp": (0.3,),
    "softplus": (1.5, 6.0), "softplus_grad": (1.5, 6.0),
}  # fmt: skip
MAPS = [
    (name, arrays) for name, (_, arrays, _) in _ext.load("elementwise", "float32").maps.items() if name in ELEMENTWISE
]
by_name = pytest.mark.parametrize(("name", "arrays"), [m for m in MAPS if m[0] != "where"])
SPECIAL = [
    np.nan,
    np.inf,
    -np.inf,
    0.0,
    -0.0,
    0.5,
    -0.5,
    1.0,
    -1.0,
    3.0,
    -3.0,
    6.0,
    -6.0,
    30.0,
    -30.0,
    700.0,
    -700.0,
    1e-6,
    -1e-6,
]


def operands(name: str, arrays: int, values: np.ndarray) -> list[Any]:
    """Return arrays of the values, each in another order, and the numbers that the function takes."""
    return [np.roll(values, 5 * i) for i in range(arrays)] + list(NUMBERS.get(name, ()))


def agree(level: str, name: str, given: list[Any], dtype: Any) -> None:
    """Compare with the reference in more digits."""
    wide = [x.astype(np.float64) if isinstance(x, np.ndarray) else x for x in given]
    expected = REFERENCE.elementwise(name, *wide)
    found = get_backend(level).elementwise(name, *given)
    assert found.dtype == dtype
    close = {"rtol": 2e-5, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-11, "atol": 1e-14}
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(found, expected.astype(dtype), **close)


@on_levels
@on_reals
@by_name
def test_any_size(level: str, dtype: Any, name: str, arrays: int) -> None:
    for size in (0, 1, 7, 33, 16391):
        values = np.random.default_rng(size).standard_normal(size).astype(dtype) * 3
        positive = name in ("log", "log1p", "sqrt", "rsqrt")
        agree(level, name, operands(name, arrays, np.abs(values) if positive else values), dtype)


@on_levels
@on_reals
@pytest.mark.parametrize(("name", "arrays"), [m for m in MAPS if m[0] != "where" and not m[0].startswith("addc")])
def test_special_values(level: str, dtype: Any, name: str, arrays: int) -> None:
    """What is lost in float32 is lost in the reference, too, so each dtype is compared with itself."""
    for first in (1.0, np.nan, -2.0):
        values = np.array(SPECIAL, dtype)
        given = operands(name, arrays, values)
        if arrays == 2:
            given[:2] = np.full_like(values, first), values
        with np.errstate(all="ignore"):
            found, expected = (get_backend(device).elementwise(name, *given) for device in (level, "reference"))
        close = {"rtol": 2e-5, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-11, "atol": 1e-14}
        np.testing.assert_allclose(found, expected, **close, err_msg=f"{name} of {values}")


@by_name
def test_other_layouts_and_operands(name: str, arrays: int) -> None:
    """Strided arrays, and those that broadcast, which the reference computes."""
    values = np.abs(np.random.default_rng(0).standard_normal((6, 8))) + 0.1
    for layout in (np.asfortranarray, lambda x: x[::2, ::3], lambda x: np.broadcast_to(x[:1], x.shape)):
        agree(
            "cpu",
            name,
            [layout(x) if isinstance(x, np.ndarray) else x for x in operands(name, arrays, values)],
            np.float64,
        )
    if arrays > 1:
        given = operands(name, arrays, values)
        agree("cpu", name, [given[0], given[1][:1], *given[2:]], np.float64)


def test_one_repeated_element_is_a_number() -> None:
    """A gradient of a sum is one, expanded."""
    y = np.array([[1.0, -1.0, 0.0, np.nan]], np.float32)
    dy = np.broadcast_to(np.float32(3), y.shape)
    np.testing.assert_array_equal(get_backend("cpu").elementwise("relu_grad", dy, y), [[3, 0, 0, 3]], strict=False)
    np.testing.assert_array_equal(get_backend("cpu").elementwise("mul", dy, dy), np.full_like(y, 9))
