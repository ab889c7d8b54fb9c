"""Where the first NaN or infinity came from: the operation, and the module that was running."""

from __future__ import annotations

import sys
import warnings
import weakref
from types import TracebackType
from typing import Any

from . import graph


def _finite(array: Any, backend: Any) -> bool:
    """Return whether no element is NaN or infinite."""
    finite = backend.elementwise("isfinite", array)
    return bool(backend.to_numpy(backend.reduce("all", finite, tuple(range(array.ndim)), False)))


def _has_nan(array: Any, backend: Any) -> bool:
    bad = backend.elementwise("isnan", array)
    return bool(backend.to_numpy(backend.reduce("any", bad, tuple(range(array.ndim)), False)))


def module_path() -> str:
    """Return the names of the modules whose forward is running, outermost first: ``Net.features.0``."""
    running: list[Any] = []
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "__call__" and hasattr(frame.f_locals.get("module"), "_modules"):
            running.append(frame.f_locals["module"])
        frame = frame.f_back
    if not running:
        return ""
    names, outer = [type(running[-1]).__name__], running.pop()
    for inner in reversed(running):
        names.append(next((name for name, child in outer._modules.items() if child is inner), type(inner).__name__))
        outer = inner
    return ".".join(names)


class Watcher:
    """What graph.py and engine.py tell while anomalies are looked for."""

    def __init__(self, check_nan: bool) -> None:
        self.check_nan = check_nan
        self.paths: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        self.first = ""  # what made the first NaN or infinity in a forward pass

    def made(self, node: Any, t: Any) -> None:
        """Note where a result was made, and whether it is the first that is not finite."""
        if node in self.paths:
            return
        path = module_path()
        self.paths[node] = f" in {path}" if path else ""
        if not self.first and not _finite(t._array, t._backend):
            kind = "NaN" if _has_nan(t._array, t._backend) else "infinity"
            self.first = (
                f"; the first {kind} of the forward passes was made by {self.describe(node)}, "
                f"shape {tuple(t._array.shape)}"
            )

    def describe(self, node: Any) -> str:
        """Return the name of an operation and the module in which it ran."""
        return node.name().partition("Backward")[0] + self.paths.get(node, "")

    def passed(self, node: Any, grads: Any) -> None:
        """Raise if a gradient that a node returned holds a NaN."""
        for i, grad in enumerate(grads if self.check_nan else ()):
            if grad is not None and _has_nan(grad._array, grad._backend):
                raise RuntimeError(
                    f"Function '{node.name()}' returned nan values in its {i}th output: the gradient of "
                    f"{self.describe(node)} with respect to its input {i}{self.first}"
                )


class set_detect_anomaly:
    """Look for NaN in gradients or not, as `mode` says: at once, and in a with block until its end.

    RuntimeError from backward() then names the operation, the module in which it ran, and the operation that made the first
    NaN or infinity of the forward passes.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.previous = graph.watcher()
        graph.watch(Watcher(check_nan) if mode else None)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        graph.watch(self.previous)


class detect_anomaly(set_detect_anomaly):
    """Look for NaN in gradients inside a with block; see set_detect_anomaly."""

    def __init__(self, check_nan: bool = True) -> None:
        self.check_nan = check_nan
        warnings.warn("detect_anomaly is for finding errors: it makes everything slower", stacklevel=2)

    def __enter__(self) -> None:
        super().__init__(True, self.check_nan)


def is_anomaly_enabled() -> bool:
    """Return whether anomalies are looked for."""
    return graph.watcher() is not None
