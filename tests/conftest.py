"""Hypothesis profiles, the devices under test, and a guard against changed global state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from opaque import OpaqueBackend

import tinygrad_cnn as tg
from tinygrad_cnn import _ext, backends
from tinygrad_cnn.backends.cpu import CpuBackend

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("dev", max_examples=15, deadline=None, suppress_health_check=SLOW)
settings.register_profile("ci", max_examples=30, deadline=None, suppress_health_check=SLOW, derandomize=True)
settings.register_profile("nightly", max_examples=500, deadline=None, suppress_health_check=SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))

LEVELS = [f"cpu-{level}" for level in _ext.usable_levels()]  # one device for each instruction-set level of this machine
for name in LEVELS:
    backends.register(name, partial(CpuBackend, name.removeprefix("cpu-")))
backends.register("opaque", OpaqueBackend)


def _settings() -> tuple[Any, ...]:
    return (
        tg.get_num_threads(), tg.get_default_dtype(), tg.get_conv_algorithm(), tg.is_grad_enabled(),
        tg.is_inference_mode_enabled(),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _global_state() -> Iterator[None]:
    """Fail a test that leaves a global setting changed."""
    before = _settings()
    tg.manual_seed(0)
    yield
    after = _settings()
    tg.set_num_threads(before[0])
    tg.set_default_dtype(before[1])
    tg.set_conv_algorithm(before[2])
    assert before == after, "the test changed a global setting"
