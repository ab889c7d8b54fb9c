"""Data sets: anything with a length and items; some also hand out whole batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Generic, TypeVar

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


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Samples that are rows of tensors."""

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors:
            raise ValueError("TensorDataset: expected at least one tensor")
        if any(len(t) != len(tensors[0]) for t in tensors):
            raise ValueError(f"TensorDataset: lengths differ: {[len(t) for t in tensors]}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple([t[index] for t in self.tensors])

    def __len__(self) -> int:
        return len(self.tensors[0])

    def batch(self, indices: np.ndarray) -> Any:
        """Return rows of all tensors."""
        at = from_numpy(indices)
        return [t[at] for t in self.tensors]


class Subset(Dataset[Any]):
    """The samples of a data set at given positions."""

    def __init__(self, dataset: Dataset[Any], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (list, np.ndarray)):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, indices: np.ndarray) -> Any:
        """Hand on to the data set, if it has batches."""
        whole = getattr(self.dataset, "batch", None)
        return whole(np.array([self.indices[i] for i in indices.tolist()], np.int64)) if callable(whole) else None


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
