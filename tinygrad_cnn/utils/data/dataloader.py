"""DataLoader: batches of a data set, in order or shuffled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...creation import as_tensor, tensor
from ...ops.shape import stack
from ...tensor import Tensor
from .sampler import BatchSampler, RandomSampler, SequentialSampler

PERFORMANCE_ONLY = ("prefetch_factor", "persistent_workers", "pin_memory_device", "in_order")


def _mapping_like(example: Any, items: dict[Any, Any]) -> Any:
    """Return items as the same kind of mapping, if that can be made of a dictionary."""
    try:
        return type(example)(items)
    except TypeError:
        return items


def default_collate(batch: Sequence[Any]) -> Any:
    """Join samples into a batch: tensors and arrays are stacked, numbers become tensors, containers are joined inside."""
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(batch)
    if isinstance(first, (np.ndarray, np.generic)):
        return as_tensor(np.stack(batch))
    if isinstance(first, float):
        return tensor(batch, dtype="float64")
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _mapping_like(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*map(default_collate, zip(*batch, strict=True)))
    if isinstance(first, (list, tuple)):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("default_collate: the samples of a batch must have the same number of parts")
        return [default_collate(part) for part in zip(*batch)]
    raise TypeError(
        f"default_collate: cannot join samples of {type(first).__name__}; expected tensors, arrays, numbers, strings, "
        "dictionaries or lists, or pass collate_fn"
    )


def _as_tensors(sample: Any) -> Any:
    """Return a sample with the arrays in it as tensors."""
    if isinstance(sample, (np.ndarray, np.generic)):
        return as_tensor(sample)
    if isinstance(sample, Mapping):
        return _mapping_like(sample, {key: _as_tensors(value) for key, value in sample.items()})
    if isinstance(sample, tuple) and hasattr(sample, "_fields"):
        return type(sample)(*map(_as_tensors, sample))
    return [*map(_as_tensors, sample)] if isinstance(sample, (list, tuple)) else sample


class DataLoader:
    """Iterates over batches of a data set.

    The order comes from `shuffle`, a `sampler` or a `batch_sampler`; `generator` makes it reproducible.  A data set that
    defines `batch(indices)` is served by whole batches unless a `collate_fn` is given.  batch_size=None gives samples.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[list[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        **options: Any,
    ) -> None:
        for name in options:
            if name not in PERFORMANCE_ONLY:
                raise TypeError(f"DataLoader: unexpected argument {name!r}")
        if num_workers:
            raise ValueError(
                f"DataLoader: num_workers must be 0 (data is loaded in the calling process), got {num_workers}"
            )
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler and shuffle exclude each other")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError("DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last")
        if batch_size is None and drop_last:
            raise ValueError("DataLoader: drop_last needs a batch_size")
        self.dataset = dataset
        self.batch_size = batch_size if batch_sampler is None else None
        self.num_workers = num_workers
        self.drop_last = drop_last
        self.generator = generator
        self.collate_fn = default_collate if collate_fn is None else collate_fn
        self.sampler: Any = sampler
        if self.sampler is None:
            self.sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        self.batch_sampler: Any = batch_sampler
        if batch_sampler is None and batch_size is not None:
            self.batch_sampler = BatchSampler(self.sampler, batch_size, drop_last)

    def __len__(self) -> int:
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)

    def __iter__(self) -> Iterator[Any]:
        if self.batch_sampler is None:
            convert = _as_tensors if self.collate_fn is default_collate else self.collate_fn
            for i in self.sampler:
                yield convert(self.dataset[i])
            return
        whole = getattr(self.dataset, "batch", None) if self.collate_fn is default_collate else None
        for indices in self._index_batches():
            batch = whole(np.asarray(indices, np.int64)) if callable(whole) else None
            if batch is None:
                batch = self.collate_fn([self.dataset[int(i)] for i in indices])
            yield batch

    def _index_batches(self) -> Iterator[Any]:
        """Yield the positions of each batch; cut from one array where the order is our own."""
        sampler: Any = getattr(self.batch_sampler, "sampler", None)
        if type(self.batch_sampler) is not BatchSampler or type(sampler) not in (RandomSampler, SequentialSampler):
            yield from self.batch_sampler
            return
        size = self.batch_sampler.batch_size
        order = sampler.order() if isinstance(sampler, RandomSampler) else np.arange(len(sampler))
        for start in range(0, len(order) - (size - 1 if self.batch_sampler.drop_last else 0), size):
            yield order[start : start + size]
