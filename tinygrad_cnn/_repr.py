"""How a tensor prints: like PyTorch's, so that its users recognise it."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import dtypes

PRECISION, THRESHOLD, EDGE_ITEMS, LINE_WIDTH = 4, 1000, 3, 80
IMPLIED = (dtypes.int64, dtypes.boolean)  # dtypes that are not printed, besides the default one


def tensor_repr(t: Any) -> str:
    """Return ``tensor(values, dtype=..., requires_grad=...)``."""
    array = t._backend.to_numpy(t._array)
    prefix = "Parameter containing:\ntensor(" if getattr(t, "_is_parameter", False) else "tensor("
    extras = []
    if array.size == 0 and array.ndim != 1:
        extras.append(f"size={tuple(array.shape)}")
    if (t.dtype is not dtypes.get_default_dtype() and t.dtype not in IMPLIED) or (
        array.size == 0 and t.dtype in IMPLIED
    ):
        extras.append(f"dtype={t.dtype}")
    if t.device.type != "cpu":
        extras.append(f"device='{t.device}'")
    if t.grad_fn is not None:
        extras.append(f"grad_fn={t.grad_fn}")
    elif t.requires_grad:
        extras.append("requires_grad=True")
    body = "[]" if array.size == 0 else _nested(array, _Format(_shown(array)), len("tensor("))
    text = prefix + body
    for extra in extras:
        last = text.rsplit("\n", 1)[-1]
        text += (", " if len(last) + len(extra) + 3 <= LINE_WIDTH else ",\n" + " " * len("tensor(")) + extra
    return text + ")"


def _shown(array: np.ndarray) -> np.ndarray:
    """Return the elements that will be printed."""
    if array.size <= THRESHOLD:
        return array
    for axis, size in enumerate(array.shape):
        if size > 2 * EDGE_ITEMS:
            array = np.take(array, [*range(EDGE_ITEMS), *range(size - EDGE_ITEMS, size)], axis)
    return array


class _Format:
    """One format for all elements: integers, fixed point or scientific, and the width of the longest."""

    def __init__(self, shown: np.ndarray) -> None:
        self.spec = ""
        if shown.dtype.kind == "f":
            finite = np.abs(shown[np.isfinite(shown) & (shown != 0)].astype(np.float64))
            large, small = (finite.max(), finite.min()) if finite.size else (0.0, 1.0)
            whole = bool((finite == np.ceil(finite)).all())
            scientific = large > 1e8 or large / small > 1000 or (not whole and small < 1e-4)
            self.spec = f".{PRECISION}e" if scientific else ".0f" if whole else f".{PRECISION}f"
        self.width = max(len(self.raw(value)) for value in shown.reshape(-1))

    def raw(self, value: Any) -> str:
        """Return the text of one element."""
        if self.spec and np.isfinite(value):
            return format(float(value), self.spec) + ("." if self.spec == ".0f" else "")
        return str(value.item())

    def __call__(self, value: Any) -> str:
        return self.raw(value).rjust(self.width)


def _nested(array: np.ndarray, form: _Format, indent: int) -> str:
    """Return nested brackets, long axes shortened to their edges."""
    return form.raw(array[()]) if array.ndim == 0 else _level(array, form, indent, array.size > THRESHOLD)


def _level(array: np.ndarray, form: _Format, indent: int, shorten: bool) -> str:
    cut = shorten and len(array) > 2 * EDGE_ITEMS
    rows = [*array[:EDGE_ITEMS], ..., *array[-EDGE_ITEMS:]] if cut else list(array)
    if array.ndim == 1:
        items = ["..." if row is ... else form(row) for row in rows]
        per_line = max(1, (LINE_WIDTH - indent) // (form.width + 2))
        lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    parts = ["..." if row is ... else _level(row, form, indent + 1, shorten) for row in rows]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"
