"""Joining samples into batches."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from ...creation import as_tensor, tensor
from ...ops.shape import stack
from ...tensor import Tensor


def _holds_numbers(value: Any) -> bool:
    """Return whether something of NumPy's can become a tensor."""
    return isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind not in "SUOa"


def _alike(example: Any, parts: Any) -> Any:
    """Return parts (a dictionary or a list) in a container like the example, if one can be made."""
    try:
        if isinstance(example, (MutableMapping, MutableSequence)):
            clone = copy.copy(example)
            for key, value in parts.items() if isinstance(parts, dict) else enumerate(parts):
                clone[key] = value
            return clone
        return type(example)(parts)
    except TypeError:
        return parts


def _inside(example: Any, part: Callable[[Any], Any], parts: Callable[[], Sequence[Any]]) -> Any:
    """Return a container like the example of what part(key) or parts() give; None if it is not a container."""
    if isinstance(example, Mapping):
        return _alike(example, {key: part(key) for key in example})
    if isinstance(example, tuple) and hasattr(example, "_fields"):
        return type(example)(*parts())
    if isinstance(example, Sequence) and not isinstance(example, (str, bytes)):
        return [*parts()] if isinstance(example, tuple) else _alike(example, [*parts()])
    return None


def default_collate(batch: Sequence[Any]) -> Any:
    """Join samples into a batch: tensors and arrays are stacked, numbers become tensors, containers are joined inside."""
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(batch)
    if _holds_numbers(first):
        if any(np.shape(sample) != np.shape(first) for sample in batch):
            raise RuntimeError(f"default_collate: arrays of different shapes: {[np.shape(sample) for sample in batch]}")
        return as_tensor(np.stack(batch))
    if isinstance(first, float):
        return tensor(batch, dtype="float64")
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch

    def parts() -> list[Any]:
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("default_collate: the samples of a batch must have the same number of parts")
        return [default_collate(part) for part in zip(*batch)]

    joined = _inside(first, lambda key: default_collate([sample[key] for sample in batch]), parts)
    if joined is None:
        raise TypeError(
            f"default_collate: cannot join samples of {type(first).__name__}; expected tensors, arrays, numbers, strings, "
            "dictionaries or lists, or pass collate_fn"
        )
    return joined


def pin(data: Any) -> Any:
    """Return a batch with the tensors in it in page-locked memory; other objects may have a method pin_memory."""
    if hasattr(data, "pin_memory"):
        return data.pin_memory()
    pinned = _inside(data, lambda key: pin(data[key]), lambda: [*map(pin, data)])
    return data if pinned is None else pinned


def default_convert(data: Any) -> Any:
    """Return a sample with the arrays in it as tensors."""
    if _holds_numbers(data):
        return as_tensor(data)
    converted = _inside(data, lambda key: default_convert(data[key]), lambda: [*map(default_convert, data)])
    return data if converted is None else converted
