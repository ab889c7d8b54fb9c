"""Random words for what is drawn on the host, and draws from given probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.graph import wrap
from ..backends import get_backend
from ..random import Generator, default_generator
from .elementwise import T, check_tensors
from .inplace import takes_out

__all__ = ["multinomial"]


def words64(count: int, generator: Generator | None) -> np.ndarray:
    """Return `count` random 64-bit words on the host."""
    backend = get_backend("cpu")
    words = backend.to_numpy(backend.random_bits(2 * count, *(generator or default_generator).take(2 * count)))
    return words.view(np.uint64)


def uniforms(count: int, generator: Generator | None) -> np.ndarray:
    """Return `count` random numbers in (0, 1) on the host."""
    return ((words64(count, generator) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


@takes_out
def multinomial(input: T, num_samples: int, replacement: bool = False, *, generator: Any = None) -> T:
    """Return num_samples indices for each row (or the vector) of weights, drawn in proportion to them, as int64."""
    check_tensors("multinomial", input)
    weights = input._backend.to_numpy(input._array)
    if weights.ndim not in (1, 2) or weights.dtype.kind != "f":
        raise RuntimeError(
            f"multinomial: expected floating weights in rows, got {weights.dtype} of shape {weights.shape}"
        )
    rows = weights.reshape(-1, weights.shape[-1]).astype(np.float64)
    if not np.isfinite(rows).all() or (rows < 0).any() or (rows.sum(axis=1) <= 0).any():
        raise RuntimeError("multinomial: weights must be finite, not negative, and not all 0 in a row")
    if num_samples <= 0 or (not replacement and num_samples > rows.shape[1]):
        raise RuntimeError(f"multinomial: cannot draw {num_samples} of {rows.shape[1]} indices")
    if replacement:
        ends = rows.cumsum(axis=1)
        u = uniforms(len(rows) * num_samples, generator).reshape(len(rows), num_samples) * ends[:, -1:]
        drawn = np.stack([np.searchsorted(e, v, "right") for e, v in zip(ends, u)])
    else:  # the first arrivals of independent events (Efraimidis and Spirakis, 2006)
        with np.errstate(divide="ignore"):
            times = -np.log(uniforms(rows.size, generator).reshape(rows.shape)) / rows
        drawn = np.argsort(times, axis=1, kind="stable")[:, :num_samples]
    array = np.ascontiguousarray(drawn.reshape(*weights.shape[:-1], num_samples), np.int64)
    return wrap(input.result_class, input._backend.from_numpy(array), input._backend)
