"""Memory: training does not grow, and arrays' memory is used again, counted, and given back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import tinygrad_cnn as tg

MEGABYTE = 1 << 20

TRAINING = """
import resource, sys
import tinygrad_cnn as tg
from tinygrad_cnn import models, nn, optim

tg.manual_seed(0)
net = models.lenet5()
optimizer = optim.Adam(net.parameters())
x, target = tg.randn(32, 1, 28, 28), tg.randint(10, (32,))

def train(steps):
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), target).backward()
        optimizer.step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return peak, tg.memory_stats()

warm, before = train(100)
peak, after = train(2000)
assert before == after, (before, after)
print(peak - warm)
"""


def test_two_thousand_training_steps_do_not_grow() -> None:
    pytest.importorskip("resource", reason="the module resource measures memory (not on Windows)")
    done = subprocess.run([sys.executable, "-P", "-c", TRAINING], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < MEGABYTE


def test_memory_is_counted_and_used_again() -> None:
    tg.empty_cache()
    start = tg.memory_stats()
    assert start["kept"] == 0
    x = tg.zeros(MEGABYTE)
    used = tg.memory_stats()["used"] - start["used"]
    assert 4 * MEGABYTE <= used <= 5 * MEGABYTE
    assert tg.memory_stats()["peak"] >= tg.memory_stats()["used"]
    address = x.data_ptr()
    del x
    assert tg.memory_stats() == {**start, "kept": used, "peak": tg.memory_stats()["peak"]}
    assert tg.empty(MEGABYTE).data_ptr() == address
    tg.empty_cache()
    assert tg.memory_stats()["kept"] == 0


def test_a_numpy_array_outlives_its_tensor() -> None:
    array = tg.full((MEGABYTE,), 3.0).numpy()
    other = tg.zeros(MEGABYTE)
    assert np.shares_memory(array, other.numpy()) is False
    assert (array == 3).all()
