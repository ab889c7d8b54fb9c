"""Data sets: anything with a length and items; some also hand out whole batches."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from ...creation import from_numpy, randperm
from ...tensor import Tensor

S = TypeVar("S", covariant=True)


class Dataset(Generic[S]):
    """The base of data sets: `__getitem__(index)` and `__len__()`.

    A data set in memory may also define `batch(indices)`: it gets int64 positions and returns what collating the items
    would give, or None to be asked item by item.  DataLoader then serves whole batches without touching single items.
    """

    def __getitem__(self, index: Any) -> S:
        """Return one sample."""
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    def batch(self, indices: np.ndarray) -> Any:
        """Return the collated samples at `indices`, or None."""
        return None

    def __add__(self, other: Dataset[Any]) -> Dataset[Any]:
        return ConcatDataset([self, other])


def whole_batches(dataset: Any) -> Callable[[np.ndarray], Any] | None:
    """Return a data set's method `batch`, unless it has none or a subclass has given items another meaning."""
    if "batch" not in getattr(dataset, "__dict__", ()):
        owners = (cls for cls in type(dataset).__mro__ if not {"batch", "__getitem__"}.isdisjoint(vars(cls)))
        owner = next(owners, Dataset)
        if owner is Dataset or "batch" not in vars(owner):
            return None
    return dataset.batch if callable(dataset.batch) else None


def items(dataset: Any, indices: Any) -> list[Any]:
    """Return samples, by `__getitems__` if the data set has it."""
    together = getattr(dataset, "__getitems__", None)
    return together(indices) if callable(together) else [dataset[i] for i in indices]


class WorkerInfo(NamedTuple):
    """Who a worker process is: `id` of `num_workers`, the `seed` of its random numbers, its copy of the data set."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_worker_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Return who this worker process is, or None in the calling process."""
    return _worker_info


def set_worker_info(info: WorkerInfo) -> None:
    """Say who this process is."""
    global _worker_info
    _worker_info = info


class IterableDataset(Dataset[S]):
    """The base of data sets that are read in their own order: `__iter__()`, and `__len__()` if it is known.

    In a worker process `get_worker_info()` says which part to read; otherwise every worker reads all of it.
    """

    def __iter__(self) -> Iterator[S]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__")

    def __add__(self, other: Dataset[Any]) -> Dataset[Any]:
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Samples that are rows of tensors."""

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ValueError("TensorDataset: expected at least one tensor")
        if any(len(t) != len(tensors[0]) for t in tensors):
            raise AssertionError(f"TensorDataset: lengths differ: {[len(t) for t in tensors]}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple([t[index] for t in self.tensors])

    def __len__(self) -> int:
        return len(self.tensors[0])

    def batch(self, indices: np.ndarray) -> Any:
        """Return rows of all tensors."""
        at = from_numpy(indices)
        return [t[at] for t in self.tensors]


class StackDataset(Dataset[Any]):
    """Samples of several data sets side by side: as a tuple, or as a dictionary if they are given by name."""

    datasets: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset: expected data sets either by position or by name, and at least one")
        self.datasets = args or kwargs
        lengths = {len(dataset) for dataset in args or kwargs.values()}
        if len(lengths) > 1:
            raise ValueError(f"StackDataset: lengths differ: {sorted(lengths)}")
        self._length = lengths.pop()

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple([dataset[index] for dataset in self.datasets])

    def __getitems__(self, indices: Any) -> list[Any]:
        if isinstance(self.datasets, dict):
            rows = zip(*[items(dataset, indices) for dataset in self.datasets.values()], strict=True)
            return [dict(zip(self.datasets, row)) for row in rows]
        return [*zip(*[items(dataset, indices) for dataset in self.datasets], strict=True)]

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[Any]):
    """The samples of several data sets, one after the other."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets or any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise ValueError("ConcatDataset: expected at least one data set, and no IterableDataset (see ChainDataset)")
        self.cumulative_sizes = [*accumulate(map(len, self.datasets))]

    def __getitem__(self, index: int) -> Any:
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise (ValueError if index < 0 else IndexError)(f"ConcatDataset: index {index}, but length {len(self)}")
        part = bisect_right(self.cumulative_sizes, position)
        return self.datasets[part][position - (self.cumulative_sizes[part - 1] if part else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[Any]):
    """The samples of several IterableDatasets, one after the other."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def _parts(self) -> Iterator[Any]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise TypeError(f"ChainDataset: expected IterableDatasets, got {type(dataset).__name__}")
            yield dataset

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self._parts())

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self._parts())


class Subset(Dataset[Any]):
    """The samples of a data set at given positions."""

    def __init__(self, dataset: Dataset[Any], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (list, np.ndarray)):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: Any) -> list[Any]:
        return items(self.dataset, [self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, indices: np.ndarray) -> Any:
        """Hand on to the data set, if it has batches."""
        whole = whole_batches(self.dataset)
        return None if whole is None else whole(np.array([self.indices[i] for i in indices.tolist()], np.int64))


def random_split(dataset: Any, lengths: Sequence[float], generator: Any = None) -> list[Subset]:
    """Return random disjoint subsets: of given lengths, or of given fractions (which add up to 1)."""
    total = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1 + 1e-9:
        for i, fraction in enumerate(lengths):
            if not 0 <= fraction <= 1:
                raise ValueError(f"random_split: fraction {i} must be between 0 and 1, got {fraction}")
        sizes = [math.floor(total * fraction) for fraction in lengths]
        for i in range(total - sum(sizes)):
            sizes[i % len(sizes)] += 1
    else:
        sizes = [int(n) for n in lengths]
    if sum(sizes) != total:
        raise ValueError(f"random_split: the lengths {list(lengths)} must add up to {total}, the size of the data set")
    order = randperm(total, generator=generator).tolist()
    ends = np.cumsum([0, *sizes])
    return [Subset(dataset, order[start:stop]) for start, stop in pairwise(ends)]
