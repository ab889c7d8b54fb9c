"""TensorDataset, Subset and random_split."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_cnn as tg
from tinygrad_cnn.utils.data import Dataset, Subset, TensorDataset, random_split


def test_tensor_dataset():
    data = TensorDataset(tg.arange(6).reshape(3, 2), tg.tensor([7, 8, 9]))
    assert len(data) == 3
    x, y = data[1]
    assert (x.tolist(), y.item()) == ([2, 3], 8)
    assert [t.tolist() for t in data[-1]] == [[4, 5], 9]
    assert [t.tolist() for t in data[[0, 2]]] == [[[0, 1], [4, 5]], [7, 9]]
    with pytest.raises(IndexError):
        data[3]
    with pytest.raises(AssertionError, match=r"lengths differ: \[3, 2\]"):
        TensorDataset(tg.zeros(3), tg.zeros(2))
    with pytest.raises(ValueError, match="at least one tensor"):
        TensorDataset()


def test_subset():
    part = Subset(list("abcdef"), [4, 0, 2])
    assert [*part] == ["e", "a", "c"]
    assert len(part) == 3
    assert part[-1] == "c"
    rows = Subset(TensorDataset(tg.arange(6)), [4, 0, 2])
    assert rows[[2, 0]][0].tolist() == [2, 4]
    with pytest.raises(IndexError):
        part[3]


def test_a_data_set_must_define_its_items():
    class Empty(Dataset):
        pass

    with pytest.raises(NotImplementedError, match="Empty must define __getitem__"):
        Empty()[0]


def split(total, lengths, seed=1):
    parts = random_split(range(total), lengths, tg.Generator().manual_seed(seed))
    return [[part.dataset[i] for i in part.indices] for part in parts]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5))
def test_lengths(lengths):
    parts = split(sum(lengths), lengths)
    assert [len(p) for p in parts] == lengths
    assert sorted(chain(*parts)) == list(range(sum(lengths)))


FRACTIONS = [
    (10, [0.5, 0.5], [5, 5]),
    (10, [0.8, 0.1, 0.1], [8, 1, 1]),
    (11, [0.5, 0.5], [6, 5]),
    (10, [1 / 3, 1 / 3, 1 / 3], [4, 3, 3]),
    (11, [0.25] * 4, [3, 3, 3, 2]),
    (3, [1.0], [3]),
    (1, [1, 0], [1, 0]),
    (0, [0.5, 0.5], [0, 0]),
]


@pytest.mark.parametrize(("total", "fractions", "expected"), FRACTIONS)
def test_fractions(total, fractions, expected):
    parts = split(total, fractions)
    assert [len(p) for p in parts] == expected
    assert sorted(chain(*parts)) == list(range(total))


def test_the_generator_decides():
    assert split(50, [25, 25], 1) == split(50, [25, 25], 1) != split(50, [25, 25], 2)
    tg.manual_seed(4)
    first = [p.indices for p in random_split(range(20), [10, 10])]
    assert first != [p.indices for p in random_split(range(20), [10, 10])]
    tg.manual_seed(4)
    assert first == [p.indices for p in random_split(range(20), [10, 10])]
    assert sorted(chain(*first)) != [*chain(*first)]


@pytest.mark.parametrize("lengths", [[3, 3], [10, 1], [0.5, 0.4], []])
def test_lengths_that_do_not_add_up(lengths):
    with pytest.raises(ValueError, match="must add up to 10, the size of the data set"):
        random_split(range(10), lengths)


def test_fractions_outside_0_to_1():
    with pytest.raises(ValueError, match=r"fraction 0 must be between 0 and 1, got 1\.5"):
        random_split(range(10), [1.5, -0.5])
