"""Progress, and Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from operator import length_hint
from typing import Any


def text_of(values: dict[str, float]) -> str:
    """Return numbers with their names, for a line."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


class Progress:
    """The progress of an epoch: a bar if tqdm is installed, and a line at its end."""

    def __init__(self, title: str, batches: Any, done: int, show: bool) -> None:
        self._title, self._show, self._bar = title, show, None
        if show and find_spec("tqdm"):
            total = length_hint(batches) or None
            self._bar = import_module("tqdm").tqdm(total=total, initial=done, desc=title, unit="batch", leave=False)

    def batch(self, values: dict[str, float]) -> None:
        """Count a batch."""
        if self._bar is not None:
            self._bar.set_postfix_str(text_of(values), refresh=False)
            self._bar.update()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()

    def end(self, values: dict[str, float]) -> None:
        """Write the line."""
        if self._show:
            print(f"{self._title}: {text_of(values)}", flush=True)


@contextmanager
def deferred_interrupt() -> Iterator[threading.Event]:
    """Let Ctrl-C only set the event, so that who works can end in a state that makes sense; a second Ctrl-C does not wait.

    Where SIGINT is ignored or somebody else's, and in other threads, nothing changes.
    """
    event = threading.Event()
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield event
        return

    def note(number: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if event.is_set():  # and nobody has looked
        raise KeyboardInterrupt
