"""DataLoader with worker processes: the same batches in the same order, seeds, errors, and no process left over."""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, get_worker_info

if "fork" not in multiprocessing.get_all_start_methods():
    pytest.skip("these tests define their data sets inside functions, which only fork allows", allow_module_level=True)


@pytest.fixture(autouse=True)
def _no_process_left():
    yield
    gc.collect()
    assert multiprocessing.active_children() == []


class Items(Dataset):
    """Items made by a function, in whatever process asks."""

    def __init__(self, function, count=10):
        self.function, self.count = function, count

    def __getitem__(self, index):
        return self.function(index)

    def __len__(self):
        return self.count


class Stream(IterableDataset):
    """100 w, 100 w + 1, ... in worker w: as many as `counts` says."""

    def __init__(self, counts):
        self.counts = counts

    def __iter__(self):
        worker = get_worker_info().id if get_worker_info() else 0
        return iter(range(100 * worker, 100 * worker + self.counts[worker]))


def values(loader):
    return [batch.tolist() for batch in loader]


@pytest.mark.parametrize(
    "options",
    [{"batch_size": 3}, {"batch_size": 3, "drop_last": True}, {"batch_size": 4, "shuffle": True}, {"sampler": [3, 1]},
     {"batch_sampler": [[1, 2], [0]]}, {"batch_size": 20}, {"batch_size": 4, "prefetch_factor": 5}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("workers", [1, 3])
def test_the_same_batches_as_without_workers(options, workers):
    data = Items(lambda i: i * 10)
    many = DataLoader(data, num_workers=workers, generator=tg.Generator().manual_seed(3), **options)
    options.pop("prefetch_factor", None)
    one = DataLoader(data, generator=tg.Generator().manual_seed(3), **options)
    assert values(many) == values(one)
    assert values(many) == values(one)


def test_whole_batches_after_the_thread_pool_was_used():
    x = tg.randn(300, 3, 40, 40)
    (x.reshape(300, -1) @ tg.randn(4800, 64)).sum()
    data = TensorDataset(x, tg.arange(300))
    batches = list(DataLoader(data, 64, num_workers=2))
    np.testing.assert_array_equal(np.concatenate([b[0].numpy() for b in batches]), x.numpy())
    assert batches[0][0].add_(1).is_contiguous()  # what arrives can be written


def test_all_kinds_of_parts_arrive():
    data = Items(
        lambda i: {"x": np.full(40_000, i), "t": tg.tensor([i, 0.5]), "s": str(i), "n": (i, None)[:1], "e": np.zeros(0)}
    )
    (batch,) = DataLoader(data, 10, num_workers=1)
    assert batch["x"][:, -1].tolist() == list(range(10))
    assert batch["t"][4].tolist() == [4, 0.5]
    assert batch["s"] == [str(i) for i in range(10)]
    assert batch["e"].shape == (10, 0)


def test_seeds():
    def numbers(i):
        info = get_worker_info()
        return (
            info.id,
            info.seed,
            info.num_workers,
            random.random(),
            np.random.rand(),  # noqa: NPY002
            tg.rand(1).item(),
            tg.initial_seed(),
        )

    def run(seed, **options):
        tg.manual_seed(seed)
        loader = DataLoader(Items(numbers, 4), None, num_workers=2, **options)
        return [list(loader), list(loader)]

    first, second = run(1)
    assert [n[0] for n in first] == [0, 1, 0, 1]
    assert {n[2] for n in first} == {2}
    assert first[1][1] == first[0][1] + 1
    assert all(n[6] == n[1] for n in first)
    for k in (3, 4, 5):
        assert len({n[k] for n in first + second}) == 8
    assert run(1) == [first, second] != run(2)
    assert get_worker_info() is None


def test_worker_init_fn_sees_its_data_set():
    class Scaled(Items):
        scale = 1

        def __getitem__(self, index):
            return index * self.scale

    def init(worker):
        assert get_worker_info().id == worker
        get_worker_info().dataset.scale = 10 ** (worker + 1)

    assert values(DataLoader(Scaled(None, 4), num_workers=2, worker_init_fn=init)) == [[0], [100], [20], [300]]


@pytest.mark.parametrize("ahead", [1, 2, 4])
def test_iterable_data_sets(ahead):
    def run(workers, counts, **options):
        return list(
            DataLoader(Stream(counts), num_workers=workers, prefetch_factor=ahead if workers else None, **options)
        )

    assert run(0, [3], batch_size=None) == [0, 1, 2]
    assert run(2, [3, 1], batch_size=None) == [0, 100, 1, 2]
    assert [b.tolist() for b in run(2, [3, 5], batch_size=2)] == [[0, 1], [100, 101], [2], [102, 103], [104]]
    assert [b.tolist() for b in run(2, [3, 5], batch_size=2, drop_last=True)] == [[0, 1], [100, 101], [102, 103]]
    assert run(3, [0, 0, 2], batch_size=None) == [200, 201]
    assert run(1, [0]) == []


@pytest.mark.parametrize("make", [lambda: Items(lambda i: i), lambda: Stream([7, 3])], ids=["items", "stream"])
def test_persistent_workers(make):
    class Process(IterableDataset if isinstance(make(), IterableDataset) else Dataset):
        data = make()

        def __getitem__(self, index):
            return self.data[index], os.getpid()

        def __iter__(self):
            return ((x, os.getpid()) for x in self.data)

        def __len__(self):
            return 10

    loader = DataLoader(Process(), num_workers=2, persistent_workers=True)
    first = [(x.item(), pid.item()) for x, pid in loader]
    for x, _ in loader:  # stops early
        if x >= 1:
            break
    assert [(x.item(), pid.item()) for x, pid in loader] == first
    assert len({pid for _, pid in first}) == 2
    assert len(multiprocessing.active_children()) == 2


def test_stopping_early_ends_the_workers():
    loader = DataLoader(Items(lambda i: np.zeros(300_000)), num_workers=2, prefetch_factor=4)
    iterator = iter(loader)
    next(iterator)
    assert len(multiprocessing.active_children()) == 2
    start = time.perf_counter()
    del iterator
    gc.collect()
    assert multiprocessing.active_children() == []
    assert time.perf_counter() - start < 4


def test_two_loaders_at_once():
    loaders = [DataLoader(Items(lambda i: i), num_workers=2, persistent_workers=True) for _ in range(2)]
    assert [(a.item(), b.item()) for a, b in zip(*loaders)] == [(i, i) for i in range(10)]
    assert values(loaders[0]) == [[i] for i in range(10)]


def test_out_of_order():
    def slow(i):
        time.sleep(0.3 * (i == 0))
        return i

    found = values(DataLoader(Items(slow, 6), num_workers=2, in_order=False))
    assert sorted(found) == [[i] for i in range(6)]
    assert found[0] != [0]


# ---- errors ----


class TwoArgumentsError(Exception):
    def __init__(self, a, b):
        super().__init__(a, b)


def fail(kind):
    def item(i):
        if i == 2:
            raise {"value": ValueError("two\nlines"), "key": KeyError("name"), "two": TwoArgumentsError(1, 2)}[kind]
        return i

    return Items(item, 5)


@pytest.mark.parametrize(("kind", "error"), [("value", ValueError), ("key", KeyError), ("two", RuntimeError)])
def test_exceptions_come_back_with_their_traceback(kind, error):
    iterator = iter(DataLoader(fail(kind), num_workers=2))
    assert [next(iterator).item(), next(iterator).item()] == [0, 1]
    with pytest.raises(error) as caught:
        next(iterator)
    text = str(caught.value)
    assert "in DataLoader worker process 0.\nOriginal Traceback (most recent call last):" in text
    assert "in item\n" in text
    assert [x.item() for x in iterator] == [3, 4]


def test_exceptions_of_unknown_classes_and_of_init_fn():
    def local(i):
        class LocalError(Exception):
            pass

        raise LocalError("here")

    with pytest.raises(RuntimeError, match=r"(?s)Caught RuntimeError.*LocalError: here"):
        list(DataLoader(Items(local), num_workers=1))

    def init(worker):
        raise ValueError(f"no worker {worker}")

    with pytest.raises(ValueError, match=r"(?s)worker process 0.*no worker 0"):
        list(DataLoader(Items(int), num_workers=1, worker_init_fn=init))


def test_what_cannot_be_sent():
    with pytest.raises(Exception, match=r"(?s)in DataLoader worker process 0.*pickle"):
        list(DataLoader(Items(lambda i: lambda: i), None, num_workers=1))


def test_timeout():
    loader = DataLoader(Items(lambda i: time.sleep(30)), num_workers=1, timeout=0.2)
    with pytest.raises(RuntimeError, match=r"timed out after 0\.2 seconds"):
        next(iter(loader))


def test_a_worker_that_dies():
    def item(i):
        if i == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return i

    iterator = iter(DataLoader(Items(item), num_workers=2))
    with pytest.raises(RuntimeError, match=r"worker process \d+ \(exit code -9\) exited unexpectedly"):
        list(iterator)


def test_workers_end_with_the_calling_process():
    code = (
        "import os, time\n"
        "from tinygrad_cnn.utils.data import DataLoader\n"
        "class D:\n"
        "    def __len__(self): return 100\n"
        "    def __getitem__(self, i): return os.getpid()\n"
        "it = iter(DataLoader(D(), num_workers=2))\n"
        "print(next(it).item(), next(it).item(), flush=True)\n"
        "os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    pids = [int(pid) for pid in done.stdout.split()]
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < deadline:  # noqa: PTH110
        time.sleep(0.05)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)  # noqa: PTH110
    assert done.stderr == ""


def test_spawned_workers(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import tinygrad_cnn as tg\n"
        "from tinygrad_cnn.utils.data import DataLoader, TensorDataset\n"
        "if __name__ == '__main__':\n"
        "    data = TensorDataset(tg.arange(10))\n"
        "    loader = DataLoader(data, 4, num_workers=2, multiprocessing_context='spawn')\n"
        "    print([x.tolist() for (x,) in loader])\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert (done.stdout.strip(), done.stderr) == ("[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]", "")
