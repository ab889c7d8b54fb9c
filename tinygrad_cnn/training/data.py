"""What fit, evaluate and predict accept as data; the part that is held back for validation; random streams."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..creation import from_numpy, randperm
from ..dtypes import get_default_dtype
from ..nn import Module
from ..random import Generator, default_generator
from ..tensor import Tensor
from ..utils.data import DataLoader, IterableDataset, Subset, TensorDataset

BATCH_SIZE = 32
SPLITS = ("last", "random", "stratified")


def _as_tensor(values: Any, labels: bool = False) -> Tensor:
    """Return a tensor as it is; of an array, floats in the default type and integers that are labels as int64."""
    if isinstance(values, Tensor):
        return values
    array = np.asarray(values)
    if array.dtype.kind == "f":
        return from_numpy(array.astype(get_default_dtype().name))
    return from_numpy(array.astype(np.int64) if labels and array.dtype.kind in "iu" else array)


def as_dataset(data: Any, by: str) -> Any:
    """Return a data set as it is, tensors or arrays (x, y) as one."""
    if isinstance(data, (tuple, list)) and len(data) == 2:
        x, y = _as_tensor(data[0]), _as_tensor(data[1], labels=True)
        if len(x) != len(y):
            raise ValueError(f"{by}: the lengths differ: [{len(x)}, {len(y)}]; give one target for each input")
        return TensorDataset(x, y)
    if isinstance(data, (Tensor, np.ndarray)):
        return TensorDataset(_as_tensor(data))
    if hasattr(data, "__getitem__") and not isinstance(data, (str, dict)):
        return data
    raise TypeError(f"{by}: data must be a DataLoader, a Dataset or a pair (x, y), got {type(data).__name__}")


def as_loader(data: Any, batch_size: int | None, shuffle: bool, by: str) -> DataLoader:
    """Return a loader as it is, anything else in batches."""
    if isinstance(data, DataLoader):
        if batch_size is not None:
            raise ValueError(f"{by}: a DataLoader has its own batch_size; leave the argument out")
        return data
    dataset = as_dataset(data, by)
    shuffle = shuffle and not isinstance(dataset, IterableDataset)
    return DataLoader(dataset, BATCH_SIZE if batch_size is None else batch_size, shuffle=shuffle)


def device_of(model: Module) -> Any:
    """Return where the parameters of a model are."""
    return next((p.device for p in model.parameters()), "cpu")


def moved(value: Any, device: Any) -> Any:
    """Return tensors on a device, also those in lists and tuples."""
    if isinstance(value, Tensor):
        return value.to(device)
    return type(value)(moved(v, device) for v in value) if type(value) in (list, tuple) else value


def parts(batch: Any, by: str) -> tuple[Any, Any]:
    """Return inputs and targets of a batch."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        told = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else type(batch).__name__
        raise TypeError(f"{by}: a batch must be a pair of inputs and targets, got {told}")
    return batch[0], batch[1]


# ---- validation ----


def labels_of(dataset: Any) -> np.ndarray | None:
    """Return the class of each sample without touching the samples, or None where that is not known."""
    if isinstance(dataset, Subset):
        labels = labels_of(dataset.dataset)
        return None if labels is None else labels[np.asarray(dataset.indices, np.int64)]
    found = dataset.tensors[-1] if isinstance(dataset, TensorDataset) else getattr(dataset, "targets", None)
    array = np.asarray(found.numpy() if isinstance(found, Tensor) else found)
    return array if array.ndim == 1 and array.dtype.kind in "iu" else None


def split(data: Any, validation_split: float | tuple[float, str]) -> tuple[Subset, Subset]:
    """Return what is left for training, and the part for validation: 0.1, or (0.1, kind).

    "last", the default, takes the last samples before any shuffling; "random" any; "stratified" the same share of each
    class.  The same samples always, whatever manual_seed says, so that a run that is continued keeps them apart.
    """
    share, kind = validation_split if isinstance(validation_split, tuple) else (validation_split, "last")
    if kind not in SPLITS:
        raise ValueError(f"fit: validation_split must be one of {', '.join(SPLITS)}, got {kind!r}")
    if isinstance(data, (DataLoader, IterableDataset)):
        raise ValueError(f"fit: a {type(data).__name__} cannot be split; pass validation_data instead")
    dataset = as_dataset(data, "fit")
    total, labels = len(dataset), labels_of(dataset)
    count = round(total * share)
    if not 0 < count < total:
        raise ValueError(f"fit: validation_split={share} of {total} samples leaves nothing for training or validation")
    i = np.arange(total)
    order = i if kind == "last" else randperm(total, generator=Generator()).numpy()
    chosen = i >= total - count
    if kind == "stratified":
        if labels is None:
            raise ValueError("fit: a stratified split needs integer labels: a TensorDataset, or an attribute `targets`")
        order = order[np.argsort(labels[order], kind="stable")]
        chosen = (i + 1) * count // total > i * count // total  # evenly spaced, so each class has its share
    elif kind == "last" and labels is not None and _class_by_class(labels):
        warnings.warn(
            "fit: the samples lie class by class, so the last ones are not like the others; shuffle them, or use "
            f"validation_split=({share}, 'stratified')",
            stacklevel=4,
        )
    return tuple(Subset(dataset, np.sort(order[mask]).tolist()) for mask in (~chosen, chosen))  # type: ignore[return-value]


def _class_by_class(labels: np.ndarray) -> bool:
    """Return whether each of several classes lies in one piece."""
    classes = len(np.unique(labels))
    return 1 < classes == 1 + int(np.count_nonzero(np.diff(labels))) < len(labels)


# ---- random streams ----


def generators_of(loader: DataLoader) -> list[Generator]:
    """Return the generators that a pass over a loader draws from: the default one, and those it was given."""
    places = (loader, loader.sampler, loader.batch_sampler, getattr(loader.batch_sampler, "sampler", None))
    found = [default_generator, *(getattr(place, "generator", None) for place in places)]
    return list({id(g): g for g in found if isinstance(g, Generator)}.values())


def random_states(generators: list[Generator]) -> list[Tensor]:
    """Return the states of generators."""
    return [from_numpy(g.get_state()) for g in generators]


def set_random_states(generators: list[Generator], states: list[Tensor]) -> None:
    """Go back to states that random_states returned."""
    if len(generators) != len(states):
        raise ValueError(
            f"fit: the checkpoint has states of {len(states)} generators, this loader uses {len(generators)}; give it a "
            "generator exactly if the loader of the checkpoint had one"
        )
    for generator, state in zip(generators, states):
        generator.set_state(state)
