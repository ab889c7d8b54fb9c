"""DataLoader: batches of a data set, in order or shuffled, made here or by worker processes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from ...backends import cuda
from ...creation import randint
from .collate import default_collate, default_convert, pin
from .dataset import IterableDataset, items, whole_batches
from .sampler import BatchSampler, RandomSampler, SequentialSampler

if TYPE_CHECKING:
    from .worker import WorkerIterator

FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class _Fetch:
    """Makes the batch (or the sample) at given positions, or the next one of an IterableDataset."""

    def __init__(
        self, dataset: Any, collate_fn: Callable[[Any], Any], size: int | None, batched: bool, drop_last: bool
    ) -> None:
        self.dataset, self.collate_fn, self.size, self.batched = dataset, collate_fn, size, batched
        self.drop_last = drop_last

    def start(self) -> None:
        """Start from the beginning; called in the process that makes the batches."""
        self._stream = iter(self.dataset) if isinstance(self.dataset, IterableDataset) else None
        self._whole = whole_batches(self.dataset) if self.collate_fn is default_collate else None

    def __call__(self, task: Any) -> Any:
        if self._stream is not None:
            return self._following()
        if not self.batched:
            return self.collate_fn(self.dataset[task])
        if self._whole is not None:
            batch = self._whole(np.asarray(task, np.int64))
            if batch is not None:
                return batch
        return self.collate_fn(items(self.dataset, task.tolist() if isinstance(task, np.ndarray) else task))

    def _following(self) -> Any:
        assert self._stream is not None
        if not self.batched:
            return self.collate_fn(next(self._stream))
        samples = [sample for _, sample in zip(range(self.size or 0), self._stream)]
        if not samples or (self.drop_last and len(samples) < (self.size or 0)):
            raise StopIteration
        return self.collate_fn(samples)


def _batches(fetch: _Fetch, tasks: Iterable[Any]) -> Iterator[Any]:
    """Make batches in this process."""
    fetch.start()
    for task in tasks:
        try:
            batch = fetch(task)
        except StopIteration:
            return
        yield batch


class DataLoader:
    """Iterates over batches of a data set.

    The order comes from `shuffle`, a `sampler` or a `batch_sampler`; `generator` makes it reproducible.  A data set that
    defines `batch(indices)` is served by whole batches unless a `collate_fn` is given.  batch_size=None gives samples.

    With num_workers > 0 processes make the batches, each `prefetch_factor` ahead, until the end of the pass or, if
    persistent_workers, of the loader.  Worker i seeds all generators with a number drawn from `generator`, plus i, and calls
    worker_init_fn(i).  An exception in a worker is raised here with its traceback; `timeout` is in seconds.
    With pin_memory batches come in page-locked memory, if there is a GPU to copy them.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        streams = isinstance(dataset, IterableDataset)
        self._check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        if streams and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError(
                "DataLoader: an IterableDataset decides its order; shuffle, sampler and batch_sampler do not apply"
            )
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler and shuffle exclude each other")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError("DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last")
        if batch_size is None and drop_last:
            raise ValueError("DataLoader: drop_last needs a batch_size")
        self.dataset, self.num_workers, self.timeout = dataset, num_workers, timeout
        self.multiprocessing_context = _context(multiprocessing_context, num_workers)
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.persistent_workers, self.worker_init_fn, self.in_order = persistent_workers, worker_init_fn, in_order
        self.pin_memory, self.pin_memory_device = pin_memory, pin_memory_device
        self.drop_last, self.generator = drop_last, generator
        if sampler is None and not streams:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        self.sampler: Any = repeat(0) if sampler is None else sampler
        if batch_sampler is None and batch_size is not None:
            batch_sampler = BatchSampler(self.sampler, batch_size, drop_last)
            self.batch_size: int | None = batch_size
        else:
            self.batch_size = None
        self.batch_sampler: Any = batch_sampler
        self.collate_fn = collate_fn or (default_convert if batch_sampler is None else default_collate)
        self._iterator: WorkerIterator | None = None

    @staticmethod
    def _check_workers(num_workers: int, timeout: float, prefetch_factor: int | None, persistent: bool) -> None:
        for name, value in (
            ("num_workers", num_workers),
            ("timeout", timeout),
            ("prefetch_factor", prefetch_factor or 0),
        ):
            if value < 0:
                raise ValueError(f"DataLoader: {name} must not be negative, got {value}")
        if num_workers == 0 and (prefetch_factor is not None or persistent):
            raise ValueError("DataLoader: prefetch_factor and persistent_workers need num_workers > 0")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIXED and "_iterator" in vars(self):
            raise ValueError(f"DataLoader: {name} cannot be changed any more; make another loader")
        super().__setattr__(name, value)

    def __len__(self) -> int:
        if isinstance(self.dataset, IterableDataset):
            return len(BatchSampler(self.dataset, self.batch_size or 1, self.drop_last))
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)

    def __iter__(self) -> Iterator[Any]:
        if self.pin_memory and cuda.reason():
            warnings.warn(f"DataLoader: pin_memory=True changes nothing: {cuda.reason()}", stacklevel=2)
        elif self.pin_memory:
            return map(pin, self._iterate())
        return self._iterate()

    def _iterate(self) -> Iterator[Any]:
        base_seed = int(randint(2**63 - 1, (), generator=self.generator))
        if self._iterator is not None:
            return self._iterator.restart(self._tasks())
        fetch = _Fetch(self.dataset, self.collate_fn, self.batch_size, self.batch_sampler is not None, self.drop_last)
        if not self.num_workers:
            return _batches(fetch, self._tasks())
        from .worker import WorkerIterator  # and with it multiprocessing, which takes a while

        iterator = WorkerIterator(self, fetch, self._tasks(), base_seed)
        if self.persistent_workers:
            self._iterator = iterator
        return iterator

    def _tasks(self) -> Iterator[Any]:
        """Yield the positions of each batch, or of each sample; cut from one array where the order is our own."""
        if self.batch_sampler is None or isinstance(self.dataset, IterableDataset):
            yield from self.sampler
            return
        sampler: Any = getattr(self.batch_sampler, "sampler", None)
        if type(self.batch_sampler) is not BatchSampler or type(sampler) not in (RandomSampler, SequentialSampler):
            yield from self.batch_sampler
            return
        size = self.batch_sampler.batch_size
        order = sampler.order() if isinstance(sampler, RandomSampler) else np.arange(len(sampler))
        for start in range(0, len(order) - (size - 1 if self.batch_sampler.drop_last else 0), size):
            yield order[start : start + size]


def _context(context: Any, num_workers: int) -> Any:
    """Return how processes are started: a context of multiprocessing, or None for the default."""
    if context is None:
        return None
    if not num_workers:
        raise ValueError("DataLoader: multiprocessing_context needs num_workers > 0")
    import multiprocessing

    if isinstance(context, str):
        methods = multiprocessing.get_all_start_methods()
        if context not in methods:
            raise ValueError(f"DataLoader: multiprocessing_context must be one of {methods}, got {context!r}")
        return multiprocessing.get_context(context)
    if not isinstance(context, multiprocessing.context.BaseContext):
        raise TypeError(
            f"DataLoader: multiprocessing_context must be a context or a start method's name, got {context!r}"
        )
    return context
