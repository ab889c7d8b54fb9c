"""Data sets, loaders, samplers, splits: the same samples, batches, lengths and errors."""

from __future__ import annotations

from collections import OrderedDict, UserList, namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="parity needs torch 2.13.0")
pytestmark = pytest.mark.parity

import tinygrad_cnn as tg  # noqa: E402

from .twins import quietly  # noqa: E402

BOTH = (tg, torch)
Point = namedtuple("Point", "x y")


def plain(value):
    """Return a nested result with the types of its parts, tensors as (dtype, values)."""
    if isinstance(value, (tg.Tensor, torch.Tensor)):
        return str(value.dtype).split(".")[1], value.tolist()
    if isinstance(value, dict):
        return type(value).__name__, {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, UserList)):
        return type(value).__name__, [plain(v) for v in value]
    return type(value).__name__, value


def same(function):
    """Raise unless function(library) gives the same, or an error of the same class, in both."""
    found = []
    for t in BOTH:
        try:
            found.append(plain(quietly(function, t)))
        except Exception as error:
            found.append(type(error))
    assert found[0] == found[1]
    return found[0]


def rows(t, count=11):
    return t.utils.data.TensorDataset(t.arange(2 * count).reshape(count, 2), t.arange(count) * 1.5)


# ---- loaders ----

LOADERS = [
    {"batch_size": 4},
    {"batch_size": 4, "drop_last": True},
    {"batch_size": 20, "drop_last": True},
    {"batch_size": 20},
    {},
    {"batch_size": None},
    {"batch_size": 3, "sampler": [5, 1, 1, -1]},
    {"sampler": range(2)},
    {"batch_sampler": [[1, 2], [10]]},
    {"batch_size": 5, "collate_fn": len},
    {"batch_size": None, "collate_fn": type},
    {"batch_size": 2, "shuffle": False},
    {"batch_size": 0},
    {"batch_size": -1},
    {"batch_size": None, "drop_last": True},
    {"sampler": [0], "shuffle": True},
    {"batch_sampler": [[0]], "batch_size": 2},
    {"batch_sampler": [[0]], "shuffle": True},
    {"batch_sampler": [[0]], "sampler": [0]},
    {"batch_sampler": [[0]], "drop_last": True},
    {"sampler": [11]},
    {"workers": 1},
]


@pytest.mark.parametrize("options", LOADERS, ids=str)
def test_loader(options):
    def load(t):
        loader = t.utils.data.DataLoader(rows(t), **options)
        return [len(loader), list(loader)]

    same(load)


@pytest.mark.parametrize("options", LOADERS[:12], ids=str)
def test_loader_of_a_subset_and_of_a_list(options):
    def load(t, data):
        return list(t.utils.data.DataLoader(data, **options))

    same(lambda t: load(t, t.utils.data.Subset(rows(t, 30), list(range(29, 7, -2)))))
    same(lambda t: load(t, [{"i": i, "x": np.full(2, i, np.float32)} for i in range(11)]))


@given(st.integers(1, 30), st.integers(1, 9), st.booleans(), st.booleans())
def test_lengths_of_loaders(count, batch_size, drop_last, shuffle):
    def lengths(t):
        loader = t.utils.data.DataLoader(rows(t, count), batch_size, shuffle, drop_last=drop_last)
        batches = list(loader)
        seen = sorted(i for batch in batches for i in (batch[1] / 1.5).round().tolist())
        return [len(loader), [len(b[0]) for b in batches], len(seen), not drop_last and seen]

    same(lengths)


# ---- workers ----


class Squares:
    """Items by index, in either library's loader."""

    def __init__(self, count):
        self.count = count

    def __getitem__(self, index):
        if index == 8:
            raise ValueError("eight")
        return {"x": np.full(3, index**2), "y": (index, str(index))}

    def __len__(self):
        return self.count


def stream(t, counts):
    """Return an IterableDataset with so many numbers in each worker."""

    class Stream(t.utils.data.IterableDataset):
        def __iter__(self):
            info = t.utils.data.get_worker_info()
            worker = info.id if info else 0
            return iter(range(100 * worker, 100 * worker + counts[worker]))

        def __len__(self):
            return sum(counts)

    return Stream()


WORKERS = [
    {"batch_size": 3},
    {"batch_size": 3, "drop_last": True},
    {"batch_size": None},
    {"batch_sampler": [[2, 1], [0]]},
    {"prefetch_factor": 1},
    {"batch_size": 2, "persistent_workers": True},
]


@pytest.mark.parametrize("options", WORKERS, ids=str)
def test_workers(options):
    def load(t):
        loader = t.utils.data.DataLoader(Squares(7), num_workers=2, **options)
        return [list(loader), list(loader)]

    same(load)
    same(lambda t: list(t.utils.data.DataLoader(rows(t), num_workers=1, **options)))


def test_errors_of_workers():
    def load(t):
        iterator = iter(t.utils.data.DataLoader(Squares(10), num_workers=2))
        good = [next(iterator) for _ in range(8)]
        try:
            next(iterator)
        except ValueError as error:
            text = str(error).split("\n")
        return [good, text[0], text[1], "eight" in text[-2], next(iterator)]

    same(load)


@pytest.mark.parametrize("counts", [[3, 5, 2], [4, 4, 4], [0, 1, 9]])
@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_iterable_data_sets(workers, counts):
    for options in ({"batch_size": 2}, {"batch_size": 2, "drop_last": True}, {"batch_size": None}):
        same(lambda t: list(t.utils.data.DataLoader(stream(t, counts), num_workers=workers, **options)))  # noqa: B023
    same(lambda t: len(t.utils.data.DataLoader(stream(t, counts), 4)))


STREAM_OPTIONS = [
    {"shuffle": True}, {"shuffle": False}, {"sampler": [0]}, {"batch_sampler": [[0]]}, {"num_workers": -1}, {"timeout": -1},
    {"prefetch_factor": 2}, {"num_workers": 1, "prefetch_factor": -1}, {"persistent_workers": True},
    {"multiprocessing_context": "fork"}, {"num_workers": 1, "multiprocessing_context": "spoon"},
    {"num_workers": 1, "multiprocessing_context": 5}, {"num_workers": 1, "multiprocessing_context": "fork"},
]  # fmt: skip


@pytest.mark.parametrize("options", STREAM_OPTIONS, ids=str)
def test_options(options):
    same(lambda t: [x.tolist() for x in t.utils.data.DataLoader(stream(t, [2]), **options)])


def test_attributes_and_their_changes():
    names = [
        "batch_size",
        "num_workers",
        "drop_last",
        "timeout",
        "prefetch_factor",
        "persistent_workers",
        "pin_memory",
        "in_order",
    ]

    def look(t, **options):
        loader = t.utils.data.DataLoader(rows(t), **options)
        return [getattr(loader, name) for name in names]

    same(lambda t: look(t))
    same(lambda t: look(t, num_workers=2, batch_size=3))
    same(lambda t: look(t, num_workers=1, prefetch_factor=3, batch_sampler=[[0]]))
    for name in (*names, "sampler", "batch_sampler", "dataset"):
        same(lambda t: setattr(t.utils.data.DataLoader(rows(t)), name, None))  # noqa: B023


# ---- collation ----

SAMPLES = [
    [1, 2],
    [True, False],
    [1.5, 2.0],
    [np.float32(1), np.float32(2)],
    [np.float64(1), np.float64(2)],
    [np.int16(1), np.int16(2)],
    [np.bool_(1)],
    [np.ones(2, np.uint8), np.zeros(2, np.uint8)],
    ["a", "b"],
    [b"a", b"b"],
    [(1, "a"), (2, "b")],
    [[1, 2.0], [3, 4.0]],
    [{"x": 1, "y": (2,)}, {"x": 3, "y": (4,)}],
    [OrderedDict(x=1), OrderedDict(x=2)],
    [Point(1, 2), Point(3, 4)],
    [(), ()],
    [None],
    [object()],
    [(1, 2), (1,)],
    [[[1, [2.5]], "x"]],
    [np.array(["a", "b"])],
    [np.ones(2), np.ones(3)],
    [np.float64(1), 2.0],
    [range(2), range(2)],
    [{1}, {2}],
    [{"x": [1, 2]}, {"x": [3]}],
    [UserList([1, 2]), UserList([3, 4])],
]


@pytest.mark.parametrize("batch", SAMPLES, ids=range(len(SAMPLES)))
def test_default_collate(batch):
    same(lambda t: t.utils.data.default_collate(batch))


@pytest.mark.parametrize("sample", [s[0] for s in SAMPLES], ids=range(len(SAMPLES)))
def test_default_convert(sample):
    same(lambda t: t.utils.data.default_convert(sample))


def test_default_collate_of_tensors():
    same(lambda t: t.utils.data.default_collate([t.zeros(2), t.ones(2)]))
    same(lambda t: t.utils.data.default_collate([(t.tensor(1), t.tensor(2.0))] * 2))
    same(lambda t: t.utils.data.default_collate([t.zeros(2), t.ones(3)]))


# ---- data sets and splits ----


def test_data_sets():
    same(lambda t: list(rows(t)))
    same(lambda t: [rows(t)[i] for i in (0, -1, slice(1, 3), [1, 5])])
    same(lambda t: rows(t)[11])
    same(lambda t: [rows(t)[[0, 1]][0], len(rows(t))])
    same(lambda t: list(t.utils.data.Subset("abcdef", [3, 0])))
    same(lambda t: t.utils.data.Subset("abcdef", [3, 0])[2])
    same(lambda t: t.utils.data.Subset(rows(t), [3, 0, 7])[[0, 2]])


def test_combined_data_sets():
    same(lambda t: list(rows(t) + rows(t, 2)))
    same(lambda t: [len(rows(t) + [1, 2]), (rows(t) + [1, 2])[-1], (rows(t, 3) + [1, 2]).cumulative_sizes])
    for index in (13, -13, -14, 14):
        same(lambda t: t.utils.data.ConcatDataset([range(5), range(8)])[index])  # noqa: B023
    same(lambda t: list(stream(t, [2]) + stream(t, [3])))
    same(lambda t: len(t.utils.data.ChainDataset([stream(t, [2]), stream(t, [3, 1])])))
    same(lambda t: list(t.utils.data.StackDataset(range(3), "abc")))
    same(lambda t: list(t.utils.data.StackDataset(a=range(3), b=rows(t, 3))))
    same(lambda t: list(t.utils.data.DataLoader(t.utils.data.StackDataset(a=range(3), b=rows(t, 3)), 2)))
    same(lambda t: t.utils.data.StackDataset(rows(t), "abc").__getitems__([0, 2]))
    same(lambda t: t.utils.data.StackDataset("abcd", "abc"))
    same(lambda t: t.utils.data.StackDataset("abc", b="abc"))
    same(lambda t: t.utils.data.StackDataset())
    same(lambda t: t.utils.data.StackDataset("abc", t.utils.data.Subset("abcdef", [5, 3, 1])).__getitems__([0, 2]))
    same(lambda t: t.utils.data.Subset(rows(t), [5, 3, 1]).__getitems__([0, 2]))


LENGTHS = [
    [4, 7], [11], [0, 11], [5, 5, 1], [3, 3], [11, 1], [],
    [0.5, 0.5], [0.8, 0.1, 0.1], [1 / 3, 1 / 3, 1 / 3], [0.25] * 4, [0.9, 0.05, 0.05], [0.5, 0.4], [1.5, -0.5], [1.0],
]  # fmt: skip


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("count", [11, 1])
def test_random_split(lengths, count):
    def split(t):
        parts = t.utils.data.random_split(range(count), lengths, t.Generator().manual_seed(3))
        return [[len(p) for p in parts], sorted(p[i] for p in parts for i in range(len(p)))]

    same(split)


@given(st.integers(1, 40), st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_random_split_by_fractions(count, weights):
    fractions = [w / 64 for w in weights]
    fractions.append(1 - sum(fractions))  # adds up to 1 exactly: PyTorch refuses the next number above it
    same(lambda t: [len(p) for p in t.utils.data.random_split(range(count), fractions)])


# ---- samplers ----

SAMPLERS = [
    lambda d: list(d.SequentialSampler(range(4))),
    lambda d: sorted(d.RandomSampler(range(4))),
    lambda d: len(d.RandomSampler(range(4), num_samples=10)),
    lambda d: sorted(list(d.RandomSampler(range(4), num_samples=10))[:8]),
    lambda d: len(list(d.RandomSampler(range(4), replacement=True, num_samples=9))),
    lambda d: d.RandomSampler(range(4), num_samples=0),
    lambda d: d.RandomSampler(range(4), num_samples=-1),
    lambda d: sorted(d.SubsetRandomSampler([4, 2, 9])),
    lambda d: d.RandomSampler(range(4), num_samples=1.5),
    lambda d: d.RandomSampler(range(4), replacement=1),
    lambda d: set(d.WeightedRandomSampler([0, 1, 0, 2.5], 30)),
    lambda d: sorted(d.WeightedRandomSampler([0, 1, 0, 2.5, 1], 3, replacement=False)),
    lambda d: len(list(d.WeightedRandomSampler([1.0], 7))),
    lambda d: list(d.WeightedRandomSampler([0, 0], 2)),
    lambda d: list(d.WeightedRandomSampler([1, -1], 2)),
    lambda d: d.WeightedRandomSampler([1, 1], 0),
    lambda d: d.WeightedRandomSampler([1, 1], 2, 1),
    lambda d: d.WeightedRandomSampler([[1, 1]], 2),
    lambda d: list(d.BatchSampler("abcde", 2, False)),
    lambda d: list(d.BatchSampler("abcde", 2, True)),
    lambda d: [len(d.BatchSampler("abcde", n, drop)) for n in (1, 2, 5, 9) for drop in (False, True)],
    lambda d: d.BatchSampler("abcde", 0, True),
    lambda d: d.BatchSampler("abcde", 2.0, True),
    lambda d: d.BatchSampler("abcde", True, True),
    lambda d: d.BatchSampler("abcde", 2, 1),
]


@pytest.mark.parametrize("call", SAMPLERS, ids=range(len(SAMPLERS)))
def test_samplers(call):
    same(lambda t: call(t.utils.data))
