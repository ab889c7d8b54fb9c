"""Whether operations are recorded: no_grad and its family."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import isgeneratorfunction
from types import TracebackType
from typing import Any, TypeVar

from .._ext.runtime import Mode

F = TypeVar("F", bound=Callable[..., Any])


state = Mode()  # of each thread


def is_grad_enabled() -> bool:
    """Return whether operations are recorded in this thread."""
    return state.grad


def is_inference_mode_enabled() -> bool:
    """Return whether this thread is inside inference_mode."""
    return state.inference


class _Mode:
    """A context manager and decorator that sets the mode and restores the previous one."""

    grad: bool = True
    inference: bool | None = None  # None: leave as it is

    def __enter__(self) -> None:
        # A stack, because one object may be entered again before it is left (recursion).
        self.__dict__.setdefault("_previous", []).append((state.grad, state.inference))
        state.grad = self.grad
        if self.inference is not None:
            state.inference = self.inference

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        state.grad, state.inference = self.__dict__["_previous"].pop()

    def __call__(self, function: F) -> F:
        if isgeneratorfunction(function):
            return self._around_generator(function)  # type: ignore[return-value]

        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Set the mode whenever the body of a generator runs, but not while its caller does."""

        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            generator, sent = function(*args, **kwargs), None
            while True:
                with self._again():
                    try:
                        item = generator.send(sent)
                    except StopIteration as stop:
                        return stop.value
                sent = yield item

        return wrapper

    def _again(self) -> _Mode:
        """Return a mode like this one, for one call of a decorated function."""
        mode = _Mode()
        mode.grad, mode.inference = self.grad, self.inference
        return mode

    def __new__(cls, function: Any = None, **_: Any) -> Any:
        mode = object.__new__(cls)
        if callable(function):  # used as @no_grad, without parentheses
            return mode(function)
        return mode


class no_grad(_Mode):
    """Do not record operations: ``with no_grad(): ...`` or ``@no_grad()``."""

    grad = False


class enable_grad(_Mode):
    """Record operations, also inside no_grad."""

    grad = True


class set_grad_enabled(_Mode):
    """Record operations or not, as `mode` says; takes effect at once, and until the end of a with block."""

    def __init__(self, mode: bool) -> None:
        self.grad = bool(mode)
        self.__dict__["_previous"] = [(state.grad, state.inference)]
        state.grad = self.grad

    def __enter__(self) -> None:
        if not self.__dict__["_previous"]:
            super().__enter__()
        state.grad = self.grad

    def __call__(self, function: F) -> F:
        state.grad, state.inference = self.__dict__["_previous"].pop()  # as a decorator it acts only in calls
        return super().__call__(function)


class inference_mode(_Mode):
    """Do not record operations (like no_grad, and is_inference_mode_enabled() says so)."""

    grad = False
    inference = True

    def __init__(self, mode: bool = True) -> None:
        self.grad, self.inference = not mode, mode  # inference_mode(False) records again, as in PyTorch
