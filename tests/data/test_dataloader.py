"""DataLoader: order, batches, collation, and the same bits by whole batches as item by item."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
)


class Numbers(Dataset):
    """0, 1, 2, ... as items only."""

    def __init__(self, count):
        self.count = count

    def __getitem__(self, index):
        return index * 10

    def __len__(self):
        return self.count


def lists(loader):
    return [batch.tolist() for batch in loader]


def generator(seed=5):
    return tg.Generator().manual_seed(seed)


# ---- order and length ----

ORDERS = [
    (7, {"batch_size": 3}, [[0, 10, 20], [30, 40, 50], [60]]),
    (7, {"batch_size": 3, "drop_last": True}, [[0, 10, 20], [30, 40, 50]]),
    (6, {"batch_size": 3, "drop_last": True}, [[0, 10, 20], [30, 40, 50]]),
    (2, {"batch_size": 3, "drop_last": True}, []),
    (2, {"batch_size": 3}, [[0, 10]]),
    (2, {}, [[0], [10]]),
    (0, {}, []),
    (0, {"shuffle": True}, []),
    (3, {"sampler": [2, 0]}, [[20], [0]]),
    (9, {"sampler": (8, 1, 1, 3), "batch_size": 2}, [[80, 10], [10, 30]]),
    (9, {"batch_sampler": [[1, 2, 3], [5]]}, [[10, 20, 30], [50]]),
    (4, {"batch_sampler": BatchSampler(SequentialSampler(range(3)), 2, False)}, [[0, 10], [20]]),
    (4, {"batch_sampler": BatchSampler([3, 2, 1], 2, True)}, [[30, 20]]),
]


@pytest.mark.parametrize(("count", "options", "expected"), ORDERS)
def test_order_and_length(count, options, expected):
    loader = DataLoader(Numbers(count), **options)
    assert lists(loader) == expected == lists(loader)
    assert len(loader) == len(expected)


def test_shuffling_visits_everything_once_in_a_new_order_each_time():
    loader = DataLoader(Numbers(50), 8, shuffle=True)
    first, second = [[n for batch in loader for n in batch.tolist()] for _ in range(2)]
    assert sorted(first) == sorted(second) == list(range(0, 500, 10))
    assert first != second != list(range(0, 500, 10))
    assert [len(b) for b in lists(loader)] == [8] * 6 + [2]


def test_a_generator_makes_shuffling_reproducible():
    def epochs(**options):
        loader = DataLoader(Numbers(30), 4, shuffle=True, **options)
        return [lists(loader), lists(loader)]

    assert epochs(generator=generator()) == epochs(generator=generator())
    assert epochs(generator=generator(1)) != epochs(generator=generator(2))
    tg.manual_seed(3)
    first = epochs()
    tg.manual_seed(3)
    assert epochs() == first
    before = tg.get_rng_state().tolist()
    epochs(generator=generator())
    assert tg.get_rng_state().tolist() == before


def test_a_batch_sampler_decides_the_order():
    data = TensorDataset(tg.arange(40))
    sampler = RandomSampler(data, generator=generator())
    loader = DataLoader(data, batch_sampler=BatchSampler(sampler, 6, True))
    found = [batch[0].tolist() for batch in loader]
    order = list(RandomSampler(data, generator=generator()))
    assert found == [order[i : i + 6] for i in range(0, 36, 6)]
    assert len(loader) == 6


def test_a_sampler_smaller_than_the_data():
    loader = DataLoader(Numbers(100), 4, sampler=RandomSampler(range(10), num_samples=25, generator=generator()))
    found = lists(loader)
    assert len(loader) == len(found) == 7
    assert {n for batch in found for n in batch} == set(range(0, 100, 10))


# ---- whole batches and items ----


def tensors():
    return TensorDataset(tg.randn(23, 2, 3), tg.arange(23), tg.rand(23, dtype=tg.float64))


class Itemwise(Dataset):
    """The same data without batch()."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __getitem__(self, index):
        return self.dataset[index]

    def __len__(self):
        return len(self.dataset)


def assert_same_batches(a, b):
    a, b = list(a), list(b)
    assert len(a) == len(b) > 0
    for batch, other in zip(a, b, strict=True):
        assert type(batch) is type(other) is list
        for x, y in zip(batch, other, strict=True):
            assert x.dtype is y.dtype
            np.testing.assert_array_equal(x.numpy(), y.numpy())


DATASETS = {
    "tensors": tensors,
    "subset": lambda: Subset(tensors(), [4, 2, 2, 22, -1]),
    "subset of a subset": lambda: Subset(Subset(tensors(), range(3, 20)), [0, -1, 5, 5]),
}
LOADERS = [
    {"batch_size": 5},
    {"batch_size": 4, "shuffle": True},
    {"batch_size": 4, "shuffle": True, "drop_last": True},
    {"batch_size": 2, "sampler": [3, 0, 1]},
    {"batch_sampler": [[1, 0], [2], [-1, 3]]},
]


@pytest.mark.parametrize("options", LOADERS)
@pytest.mark.parametrize("make", DATASETS.values(), ids=DATASETS)
def test_whole_batches_equal_items(make, options):
    data = make()
    calls = []
    data.batch = lambda indices, batch=data.batch: calls.append(len(indices)) or batch(indices)
    whole, items = [
        list(DataLoader(d, generator=generator(), **options)) for d in (data, Itemwise(data))
    ]  # fmt: skip
    assert len(calls) == len(whole)
    assert_same_batches(whole, items)


def test_batches_are_copies():
    data = TensorDataset(tg.zeros(4, 2))
    (batch,) = next(iter(DataLoader(data, 4)))
    batch.fill_(1)
    assert (data.tensors[0] == 0).all()


def test_a_data_set_may_decline_to_give_a_batch():
    class Sometimes(Numbers):
        def batch(self, indices):
            return None if 0 in indices else "whole"

    assert [b if b == "whole" else b.tolist() for b in DataLoader(Sometimes(4), 2)] == [[0, 10], "whole"]


def test_an_attribute_of_that_name_is_no_batch():
    data = Numbers(4)
    data.batch = 2
    assert lists(DataLoader(data, 2)) == lists(DataLoader(Subset(data, range(4)), 2)) == [[0, 10], [20, 30]]


def test_batch_gets_int64_positions():
    class Asked(Numbers):
        def batch(self, indices):
            assert isinstance(indices, np.ndarray)
            assert indices.dtype == np.int64
            return indices.tolist()

    for options in ({"shuffle": True}, {"sampler": [1, 0]}, {"batch_sampler": [[0, 1]]}, {}):
        assert list(DataLoader(Asked(2), **options))


# ---- collation ----


def test_collate_fn_gets_the_list_of_samples():
    assert list(DataLoader(Numbers(3), 2, collate_fn=lambda samples: samples)) == [[0, 10], [20]]
    assert list(DataLoader(tensors(), 23, collate_fn=len)) == [23]


def test_without_batches():
    loader = DataLoader(Numbers(3), batch_size=None)
    assert list(loader) == [0, 10, 20]
    assert len(loader) == 3
    assert list(DataLoader(Numbers(3), batch_size=None, collate_fn=str)) == ["0", "10", "20"]
    assert list(DataLoader(Numbers(3), batch_size=None, sampler=[2, 1])) == [20, 10]
    assert sorted(DataLoader(Numbers(3), batch_size=None, shuffle=True)) == [0, 10, 20]


def test_without_batches_arrays_become_tensors():
    samples = [(np.ones(2), {"a": np.float32(1)}, [3], "text", Point(np.zeros(1), 2))]
    array, mapping, listed, text, point = next(iter(DataLoader(samples, batch_size=None)))
    assert isinstance(array, tg.Tensor)
    assert isinstance(mapping["a"], tg.Tensor)
    assert (listed, text) == ([3], "text")
    assert isinstance(point, Point)
    assert isinstance(point.x, tg.Tensor)


Point = namedtuple("Point", "x y")
COLLATED = [
    ([1, 2], tg.tensor([1, 2])),
    ([True, False], tg.tensor([True, False])),
    ([1.5, 2.0], tg.tensor([1.5, 2.0], dtype=tg.float64)),
    ([np.float32(1), np.float32(2)], tg.tensor([1.0, 2.0])),
    ([np.int32(1), np.int32(2)], tg.tensor([1, 2], dtype=tg.int32)),
    ([tg.tensor([1]), tg.tensor([2])], tg.tensor([[1], [2]])),
    ([tg.tensor(1.0), tg.tensor(2.0)], tg.tensor([1.0, 2.0])),
    ([np.ones(2), np.zeros(2)], tg.tensor(np.array([[1.0, 1], [0, 0]]))),
    (["a", "b"], ["a", "b"]),
    ([b"a"], [b"a"]),
    ([(1, "a"), (2, "b")], [tg.tensor([1, 2]), ("a", "b")]),
    ([[1, 2.0], [3, 4.0]], [tg.tensor([1, 3]), tg.tensor([2.0, 4.0], dtype=tg.float64)]),
    ([{"x": 1, "y": (2,)}, {"x": 3, "y": (4,)}], {"x": tg.tensor([1, 3]), "y": [tg.tensor([2, 4])]}),
    ([OrderedDict(x=1), OrderedDict(x=2)], OrderedDict(x=tg.tensor([1, 2]))),
    ([Point(1, 2), Point(3, 4)], Point(tg.tensor([1, 3]), tg.tensor([2, 4]))),
    ([(), ()], []),
]


def assert_same(a, b):
    assert type(a) is type(b)
    if isinstance(a, tg.Tensor):
        tg.testing.assert_close(a, b, rtol=0, atol=0)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        assert_same(list(a.values()), list(b.values()))
    elif isinstance(a, (list, tuple)):
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert a == b


@pytest.mark.parametrize(("batch", "expected"), COLLATED)
def test_default_collate(batch, expected):
    assert_same(default_collate(batch), expected)


BAD = [
    ([object()], TypeError, "cannot join samples of object"),
    ([None, None], TypeError, "cannot join samples of NoneType"),
    ([(1, 2), (1,)], RuntimeError, "the same number of parts"),
    ([tg.zeros(2), tg.zeros(3)], RuntimeError, "stack"),
    ([{"x": 1}, {"y": 1}], KeyError, "x"),
]


@pytest.mark.parametrize(("batch", "error", "text"), BAD)
def test_collate_errors(batch, error, text):
    with pytest.raises(error, match=text):
        default_collate(batch)


# ---- errors ----

ERRORS = [
    ({"sampler": [0], "shuffle": True}, ValueError, "sampler and shuffle exclude each other"),
    ({"batch_sampler": [[0]], "batch_size": 2}, ValueError, "batch_sampler excludes"),
    ({"batch_sampler": [[0]], "shuffle": True}, ValueError, "batch_sampler excludes"),
    ({"batch_sampler": [[0]], "sampler": [0]}, ValueError, "batch_sampler excludes"),
    ({"batch_sampler": [[0]], "drop_last": True}, ValueError, "batch_sampler excludes"),
    ({"batch_size": None, "drop_last": True}, ValueError, "drop_last needs a batch_size"),
    ({"batch_size": 0}, ValueError, "batch_size must be a positive int, got 0"),
    ({"batch_size": 2.0}, ValueError, "batch_size must be a positive int, got 2.0"),
    ({"num_workers": -1}, ValueError, "num_workers must not be negative, got -1"),
    ({"timeout": -1}, ValueError, "timeout must not be negative, got -1"),
    ({"num_workers": 1, "prefetch_factor": -1}, ValueError, "prefetch_factor must not be negative"),
    ({"prefetch_factor": 2}, ValueError, "need num_workers > 0"),
    ({"persistent_workers": True}, ValueError, "need num_workers > 0"),
    ({"multiprocessing_context": "fork"}, ValueError, "needs num_workers > 0"),
    ({"num_workers": 1, "multiprocessing_context": "spoon"}, ValueError, "must be one of"),
    ({"num_workers": 1, "multiprocessing_context": 3}, TypeError, "a context or a start method's name, got 3"),
    ({"workers": 2}, TypeError, "unexpected keyword argument 'workers'"),
]


@pytest.mark.parametrize(("options", "error", "text"), ERRORS)
def test_errors(options, error, text):
    with pytest.raises(error, match=text):
        DataLoader(Numbers(3), **options)


def test_options_that_only_concern_speed_are_accepted():
    assert lists(DataLoader(Numbers(3), timeout=1, persistent_workers=False)) == [[0], [10], [20]]


@pytest.mark.skipif(tg.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_pinned():
    with pytest.warns(UserWarning, match="pin_memory=True changes nothing"):
        assert lists(DataLoader(Numbers(3), pin_memory=True)) == [[0], [10], [20]]
    x = tg.ones(2)
    assert not x.is_pinned()
    with pytest.raises(RuntimeError, match="use device='cpu'"):
        x.pin_memory()
    with pytest.raises(RuntimeError, match="use device='cpu'"):
        tg.zeros(2, pin_memory=True)


def test_what_was_decided_is_fixed():
    loader = DataLoader(Numbers(3))
    for name in ("batch_size", "sampler", "batch_sampler", "drop_last", "dataset", "persistent_workers"):
        with pytest.raises(ValueError, match=f"{name} cannot be changed"):
            setattr(loader, name, None)
    loader.timeout = 2


@pytest.mark.parametrize("base", [TensorDataset, Subset])
def test_a_subclass_with_items_of_its_own_is_asked_for_them(base):
    class Doubled(base):
        def __getitem__(self, index):
            (x,) = super().__getitem__(index)
            return 2 * x

        def __getitems__(self, indices):
            return [self[i] for i in indices]

    data = Doubled(tg.arange(4)) if base is TensorDataset else Doubled(TensorDataset(tg.arange(4)), range(4))
    assert lists(DataLoader(data, 4)) == lists(DataLoader(Subset(data, range(4)), 4)) == [[0, 2, 4, 6]]


def test_items_may_be_asked_for_together():
    class Together(Numbers):
        def __getitems__(self, indices):
            return [-i for i in indices]

    assert lists(DataLoader(Together(4), 2)) == [[0, -1], [-2, -3]]


def test_positions_may_be_names():
    class Named(Dataset):
        def __getitem__(self, name):
            return len(name)

    assert lists(DataLoader(Named(), 2, sampler=["a", "bb", "ccc"])) == [[1, 2], [3]]


def test_a_position_out_of_range():
    for data in (TensorDataset(tg.zeros(3)), Itemwise(TensorDataset(tg.zeros(3)))):
        with pytest.raises(IndexError):
            list(DataLoader(data, sampler=[3]))


# ---- samplers ----


def test_samplers():
    assert list(SequentialSampler("abc")) == [0, 1, 2]
    assert len(SequentialSampler("abc")) == 3
    assert sorted(RandomSampler(range(9))) == list(range(9))
    assert list(RandomSampler(range(9), generator=generator())) == list(RandomSampler(range(9), generator=generator()))
    assert sorted(SubsetRandomSampler([5, 7, 9])) == [5, 7, 9]
    assert len(SubsetRandomSampler([5, 7, 9])) == 3
    assert list(RandomSampler([])) == []


def test_random_sampler_by_rounds_and_with_replacement():
    several = list(RandomSampler(range(4), num_samples=10))
    assert sorted(several[:4]) == sorted(several[4:8]) == [0, 1, 2, 3]
    assert len(several) == 10
    drawn = list(RandomSampler(range(4), replacement=True, num_samples=1000))
    counts = np.bincount(drawn, minlength=4)
    assert counts.sum() == 1000
    assert counts.min() > 190
    assert len(list(RandomSampler(range(4), replacement=True))) == 4


def test_every_order_is_equally_likely():
    sampler = RandomSampler(range(3), generator=generator())
    orders = [tuple(sampler) for _ in range(1200)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 6
    assert min(counts) > 150
    assert max(counts) < 250


def test_weighted_random_sampler():
    weights = np.array([0, 1, 2, 5.0])
    drawn = np.array(list(WeightedRandomSampler(weights, 8000, generator=generator())))
    np.testing.assert_allclose(np.bincount(drawn) / 1000, weights, atol=0.25)
    firsts = [next(iter(WeightedRandomSampler(weights, 3, False, generator()))) for _ in range(2)]
    assert firsts[0] == firsts[1]
    stream = generator()
    orders = [tuple(WeightedRandomSampler(weights, 3, False, stream)) for _ in range(4000)]
    assert {len(set(order)) for order in orders} == {3}
    np.testing.assert_allclose(np.bincount([order[0] for order in orders], minlength=4) / 500, weights, atol=0.25)
    share = sum(order[:2] == (3, 2) for order in orders) / 4000  # 5 / 8, then 2 / 3
    assert abs(share - 5 / 8 * 2 / 3) < 0.03


@pytest.mark.parametrize("weights", [[0, 1, 0], [0, 0], [1, -1], [1, float("inf")]])
def test_weights_that_cannot_be_drawn(weights):
    with pytest.raises(RuntimeError, match="WeightedRandomSampler"):
        list(WeightedRandomSampler(weights, 2, replacement=False))


def test_batch_sampler():
    assert list(BatchSampler("abcde", 2, False)) == [["a", "b"], ["c", "d"], ["e"]]
    assert list(BatchSampler("abcde", 2, True)) == [["a", "b"], ["c", "d"]]
    assert [len(BatchSampler("abcde", n, drop)) for n in (2, 5, 9) for drop in (False, True)] == [3, 2, 1, 1, 1, 0]


SAMPLER_ERRORS = [
    (lambda: RandomSampler("abc", num_samples=-1), "num_samples must be"),
    (lambda: WeightedRandomSampler([1, 1], 0), "num_samples must be a positive int"),
    (lambda: BatchSampler("abc", 0, False), "batch_size must be a positive int"),
    (lambda: BatchSampler("abc", True, False), "batch_size must be a positive int"),
    (lambda: BatchSampler("abc", 2, 1), "drop_last must be a bool"),
]


@pytest.mark.parametrize(("call", "text"), SAMPLER_ERRORS)
def test_sampler_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()
