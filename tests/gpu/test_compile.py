"""Every row of the table of kernels, compiled for two architectures: what it uses must stay within its budget."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="Numba's compiler is missing: pip install '.[gpucheck]'")

from interpreter import compile_ptx
from ptx_tools import Report, inspect, occupancy

from tinygrad_cnn.backends.cuda import kernels  # noqa: F401
from tinygrad_cnn.backends.cuda.launch import SPECS

CAPABILITIES = [(8, 0), (9, 0)]
BASELINES = Path(__file__).with_name("baselines.json")
MARGIN = 4  # registers by which a kernel may grow before somebody must look at it


def report(name: str, capability: tuple[int, int]) -> Report:
    kernel = SPECS[name].build(**SPECS[name].example)
    return inspect(compile_ptx(kernel, capability), kernel.threads, capability)


@pytest.mark.parametrize("capability", CAPABILITIES, ids=["sm_80", "sm_90"])
@pytest.mark.parametrize("name", SPECS)
def test_a_kernel_stays_within_its_budget(name: str, capability: tuple[int, int]) -> None:
    spec, made = SPECS[name], report(name, capability)
    assert made.spills == 0
    assert made.stack == 0 or spec.stack
    assert made.doubles == 0 or spec.doubles
    assert made.registers <= spec.registers
    assert made.shared <= spec.shared + 1024  # what the system keeps on newer architectures is counted too
    assert made.blocks >= spec.blocks_per_sm
    assert not spec.wide_loads or made.wide_loads > 0
    assert made.fma_share >= spec.fma_share
    key = f"{name} sm_{capability[0]}{capability[1]}"
    known = json.loads(BASELINES.read_text()) if BASELINES.exists() else {}
    if os.environ.get("UPDATE_BASELINES"):
        known[key] = made.figures()
        BASELINES.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
        return
    assert key in known, "no baseline: UPDATE_BASELINES=1 pytest tests/gpu/test_compile.py"
    assert made.registers <= known[key]["registers"] + MARGIN
    assert made.occupancy >= known[key]["occupancy"]
    assert made.fma_share >= known[key]["fma_share"] - 0.02


def test_occupancy_by_hand() -> None:
    assert occupancy(32, 0, 256, (8, 0)) == (8, 1.0)
    assert occupancy(128, 8320, 256, (9, 0)) == (2, 0.25)
