"""Batches made by worker processes.

Each worker has a pipe of its own.  The calling process sends the positions of batches, round robin and some ahead, and puts
the answers in order.  Arrays travel as raw bytes beside the pickle that describes them.  A worker ends when it is told to,
or when the calling process is gone.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import queue
import random
import sys
import threading
import traceback
import warnings
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from multiprocessing import connection
from typing import Any, NamedTuple

import numpy as np

from ...config import set_num_threads
from ...random import manual_seed
from .dataset import WorkerInfo, set_worker_info

LAST_WISH = 5.0  # seconds for a worker to end by itself


class Ended(NamedTuple):
    """What a worker answers when its part of an IterableDataset is at its end."""


class Failure(NamedTuple):
    """An exception in a worker: its class, and the text of its traceback."""

    kind: type[Exception]
    worker: int
    text: str

    def reraise(self) -> None:
        """Raise an exception of the same class, if one can be made of a text."""
        text = f"Caught {self.kind.__name__} in DataLoader worker process {self.worker}.\nOriginal {self.text}"
        try:
            error: Exception = self.kind(_Readable(text) if self.kind is KeyError else text)
        except Exception:  # a class that wants other arguments
            error = RuntimeError(text)
        raise error


class _Readable(str):
    """A text that KeyError does not quote."""

    def __repr__(self) -> str:
        return str(self)


# ---- messages ----


def _pack(message: Any) -> list[Any]:
    """Return a message as a pickle and the buffers of the arrays in it."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(message, 5, buffer_callback=buffers.append)
    return [head, *[buffer.raw() for buffer in buffers]]


def _send(pipe: Any, parts: list[Any]) -> None:
    pipe.send([len(part) for part in parts])
    for part in parts:
        pipe.send_bytes(part)


def _receive(pipe: Any) -> Any:
    parts: list[Any] = [np.empty(size, np.uint8) for size in pipe.recv()]
    for part in parts:
        pipe.recv_bytes_into(part)
    return pickle.loads(parts[0], buffers=parts[1:])


# ---- in the worker ----


def _work(pipe: Any, foreign: list[Any], fetch: Any, init: Any, worker: int, workers: int, base_seed: int) -> None:
    """Answer messages: (number, positions) by (number, batch), (number, None) by starting the data set again."""
    for other in foreign:  # the calling process's ends of pipes, which fork copies
        other.close()
    outbox: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
    threading.Thread(target=_post, args=(pipe, outbox), daemon=True).start()
    try:
        failure = _begin(fetch, init, worker, workers, base_seed)
        for number, task in _inbox(pipe):
            answer = failure or _answer(fetch, task, worker)
            try:
                outbox.put(_pack((number, answer)))
            except Exception:  # what cannot be pickled
                outbox.put(_pack((number, _failure(worker))))
    except KeyboardInterrupt:  # the calling process gets it too
        pass


def _begin(fetch: Any, init: Any, worker: int, workers: int, base_seed: int) -> Failure | None:
    """Seed everything, call worker_init_fn, start the data set; return what went wrong."""
    seed = base_seed + worker
    set_num_threads(1)
    random.seed(seed)
    manual_seed(seed)
    np.random.seed(np.random.SeedSequence([worker, base_seed]).generate_state(4))  # noqa: NPY002  (what data sets may use)
    set_worker_info(WorkerInfo(worker, workers, seed, fetch.dataset))
    try:
        if init is not None:
            init(worker)
        fetch.start()
    except Exception:
        return _failure(worker)
    return None


def _inbox(pipe: Any) -> Iterator[Any]:
    """Yield messages until None comes, which overtakes the others, or until the calling process is gone."""
    waiting: deque[Any] = deque()
    parent = multiprocessing.parent_process()
    assert parent is not None
    while True:
        while waiting and not pipe.poll():
            yield waiting.popleft()
        if pipe not in connection.wait([pipe, parent.sentinel]):
            return
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            return
        if message is None:
            return
        waiting.append(message)


def _post(pipe: Any, outbox: Any) -> None:
    """Send answers, while the worker makes the next one."""
    with suppress(OSError):  # nobody reads any more
        while True:
            _send(pipe, outbox.get())


def _answer(fetch: Any, task: Any, worker: int) -> Any:
    try:
        return fetch.start() if task is None else fetch(task)
    except StopIteration:
        return Ended()
    except Exception:
        return _failure(worker)


def _failure(worker: int) -> Failure:
    kind = type(sys.exc_info()[1])
    try:
        pickle.dumps(kind)
    except Exception:  # a class that the calling process does not know
        kind = RuntimeError
    return Failure(kind, worker, traceback.format_exc())  # type: ignore[arg-type]


# ---- in the calling process ----


def _stop(owner: int, workers: list[tuple[Any, Any]]) -> None:
    """Tell workers to end, and end those that do not."""
    if os.getpid() != owner:  # a copy of the object in a forked process
        return
    for _, pipe in workers:
        with suppress(OSError):
            pipe.send(None)
        pipe.close()
    for process, _ in workers:
        process.join(LAST_WISH)
        if process.is_alive():
            process.terminate()
            process.join()


def _start(context: Any, number: int, fetch: Any, init: Any, base_seed: int) -> list[tuple[Any, Any]]:
    """Start workers; return processes and pipes."""
    forked = context.get_start_method() == "fork"
    workers: list[tuple[Any, Any]] = []
    for i in range(number):
        ours, theirs = context.Pipe()
        foreign = [pipe for _, pipe in workers] + [ours] if forked else []
        process = context.Process(target=_work, args=(theirs, foreign, fetch, init, i, number, base_seed), daemon=True)
        with warnings.catch_warnings():  # the pool of threads is made for it: a forked process starts with none
            warnings.filterwarnings("ignore", ".*multi-threaded.*", DeprecationWarning)
            process.start()
        theirs.close()
        workers.append((process, ours))
    return workers


class WorkerIterator:
    """The batches of one pass, or of one after the other if the workers are `persistent`."""

    def __init__(self, loader: Any, fetch: Any, tasks: Iterable[Any], base_seed: int) -> None:
        context = loader.multiprocessing_context or multiprocessing.get_context(
            "fork" if sys.platform == "linux" else None
        )
        self._timeout, self._in_order, self._persistent = loader.timeout, loader.in_order, loader.persistent_workers
        self._ahead = max(loader.prefetch_factor, 1) * loader.num_workers
        self._workers = _start(context, loader.num_workers, fetch, loader.worker_init_fn, base_seed)
        self.close = weakref.finalize(self, _stop, os.getpid(), self._workers)
        self._asked = 0  # numbers messages over all passes
        self._begin(tasks)

    def _begin(self, tasks: Iterable[Any]) -> None:
        self._tasks, self._next, self._turn = iter(tasks), self._asked, 0
        self._waiting: dict[int, int] = {}  # number of a message: worker
        self._arrived: dict[int, Any] = {}
        self._open = [*range(len(self._workers))]  # workers that have not come to their end
        while len(self._waiting) < self._ahead and self._ask():
            pass

    def restart(self, tasks: Iterable[Any]) -> WorkerIterator:
        """Begin another pass."""
        first, self._tasks = self._asked, iter(())
        for worker in range(len(self._workers)):
            self._give(worker, None)
        while any(number >= first for number in self._waiting):
            self._collect()
        for number in range(first, self._asked):
            if isinstance(self._arrived[number], Failure):
                self._arrived[number].reraise()
        self._begin(tasks)
        return self

    def _give(self, worker: int, task: Any) -> None:
        """Send a message to a worker."""
        self._waiting[self._asked] = worker
        try:
            self._workers[worker][1].send((self._asked, task))
        except OSError:
            self._died()
        self._asked += 1

    def _ask(self) -> bool:
        """Give the next task to the next worker; return False if there is none."""
        if not self._open:
            return False
        try:
            task = next(self._tasks)
        except StopIteration:
            return False
        self._give(self._open[self._turn % len(self._open)], task)
        self._turn += 1
        return True

    def __iter__(self) -> WorkerIterator:
        return self

    def __next__(self) -> Any:
        while self._waiting or self._arrived:
            if self._in_order and self._next not in self._arrived:
                self._collect()
                continue
            if not self._arrived:
                self._collect()
            number = self._next if self._in_order else next(iter(self._arrived))
            answer = self._arrived.pop(number)
            self._next += 1
            if isinstance(answer, Ended):
                continue
            self._ask()
            if isinstance(answer, Failure):
                answer.reraise()
            return answer
        if not self._persistent:
            self.close()
        raise StopIteration

    def _collect(self) -> None:
        """Wait for answers, and take all that are there."""
        pipes = {self._workers[worker][1]: worker for worker in self._waiting.values()}
        processes = [process.sentinel for process, _ in self._workers]
        ready = connection.wait([*pipes, *processes], self._timeout or None)
        if not ready:
            self.close()
            raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds")
        answered = [pipe for pipe in ready if pipe in pipes]
        if not answered:
            self._died()
        for pipe in answered:
            try:
                number, answer = _receive(pipe)
            except (EOFError, OSError):
                self._died()
            worker = self._waiting.pop(number)
            self._arrived[number] = answer
            if isinstance(answer, Ended):
                self._end(worker)

    def _end(self, worker: int) -> None:
        """Ask this worker no more; the others keep their turns."""
        if worker in self._open:
            place, turn = self._open.index(worker), self._turn % len(self._open)
            self._open.remove(worker)
            self._turn = turn - (place < turn)
            self._ask()

    def _died(self) -> None:
        """Raise the error about workers that ended by themselves."""
        # A pipe may break a moment before its process has ended.
        ended = connection.wait([process.sentinel for process, _ in self._workers], LAST_WISH)
        dead = [process for process, _ in self._workers if process.sentinel in ended]
        for process in dead:
            process.join(LAST_WISH)
        told = ", ".join(f"{process.pid} (exit code {process.exitcode})" for process in dead)
        self.close()
        raise RuntimeError(f"DataLoader worker process {told} exited unexpectedly")
