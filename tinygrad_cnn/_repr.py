"""How a tensor prints: like PyTorch's, so that its users recognise it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from . import dtypes

PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": float("inf"), "edgeitems": 3, "linewidth": 80},
}
options = SimpleNamespace(**PROFILES["default"], sci_mode=None)  # as set_printoptions() changes them
IMPLIED = (dtypes.int64, dtypes.boolean)  # dtypes that are not printed, besides the default one


def tensor_repr(t: Any) -> str:
    """Return ``tensor(values, dtype=..., requires_grad=...)``."""
    array = t._backend.to_numpy(t._array)
    start = "tensor("
    text = start + (
        "[]" if array.size == 0 else _nested(array, _Format(_shown(array)), len(start), array.size > options.threshold)
    )
    for extra in _extras(t, array):
        last = len(text) - text.rfind("\n") + 1
        text += (", " if last + len(extra) + 2 <= options.linewidth else ",\n" + " " * len(start)) + extra
    return ("Parameter containing:\n" if getattr(t, "_is_parameter", False) else "") + text + ")"


def _extras(t: Any, array: np.ndarray) -> list[str]:
    """Return what is said behind the values."""
    extras = []
    if t.device.type != "cpu":
        extras.append(f"device='{t.device}'")
    if array.size == 0 and array.ndim != 1:
        extras.append(f"size={tuple(array.shape)}")
    if t.dtype is not dtypes.get_default_dtype() and (array.size == 0 or t.dtype not in IMPLIED):
        extras.append(f"dtype={t.dtype}")
    if t.grad_fn is not None:
        extras.append(f"grad_fn=<{t.grad_fn.name()}>")
    elif t.requires_grad:
        extras.append("requires_grad=True")
    return extras


def _shown(array: np.ndarray) -> np.ndarray:
    """Return the elements that will be printed."""
    if array.size <= options.threshold:
        return array
    for axis, size in enumerate(array.shape):
        if size > 2 * options.edgeitems:
            array = np.take(array, [*range(options.edgeitems), *range(size - options.edgeitems, size)], axis)
    return array


class _Format:
    """One format for all elements, integers, fixed point or scientific, and the width of the longest finite one."""

    def __init__(self, shown: np.ndarray) -> None:
        self.spec = ".0f" if shown.dtype.kind == "f" else ""
        sized = shown.reshape(-1)
        if self.spec:
            sized = sized[np.isfinite(sized) & (sized != 0)].astype(np.float64)
            size = np.abs(sized)
            if options.sci_mode is not None:
                scientific = options.sci_mode
            else:
                scientific = size.size and (size.max() / size.min() > 1000 or size.max() > 1e8 or size.min() < 1e-4)
            if scientific:
                self.spec = f".{options.precision}e"
            elif (sized != np.ceil(sized)).any():
                self.spec = f".{options.precision}f"
        self.width = max([len(self.raw(value)) for value in sized.tolist()], default=1)

    def raw(self, value: Any) -> str:
        """Return the text of one element."""
        if not self.spec:
            return str(value)
        return format(value, self.spec) + ("." if self.spec == ".0f" and np.isfinite(value) else "")

    def __call__(self, value: Any) -> str:
        return self.raw(value).rjust(self.width)


def _nested(array: np.ndarray, form: _Format, indent: int, shorten: bool) -> str:
    """Return nested brackets, long axes shortened to their edges."""
    if array.ndim == 0:
        return form(array.item())
    cut = shorten and len(array) > 2 * options.edgeitems
    parts = [array[: options.edgeitems], array[-options.edgeitems :]] if cut else [array]
    if array.ndim == 1:
        texts = [[form(value) for value in part.tolist()] for part in parts]
        items = [*texts[0], *([" ...", *texts[1]] if cut else [])]
        per_line = max(1, (options.linewidth - indent) // (form.width + 2))
        lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    texts = [[_nested(row, form, indent + 1, shorten) for row in part] for part in parts]
    items = [*texts[0], *(["...", *texts[1]] if cut else [])]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(items) + "]"
