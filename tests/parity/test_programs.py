"""Whole programs written for PyTorch, run with changed imports only: the same numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="parity needs torch 2.13.0")
pytestmark = pytest.mark.parity

import tinygrad_cnn as tg  # noqa: E402

from . import twins  # noqa: E402

PROGRAMS = Path(__file__).parents[1] / "programs"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.py") if path.stem != "__init__")


def load(name: str, package: str) -> dict[str, Any]:
    """Run a program's text with its imports of torch replaced."""
    text = (PROGRAMS / f"{name}.py").read_text()
    if package != "torch":
        text = re.sub(r"^import torch$", f"import {package} as torch", text, flags=re.M)
        text = re.sub(r"^import torch\.", f"import {package}.", text, flags=re.M)
        text = re.sub(r"^from torch\b", f"from {package}", text, flags=re.M)
    namespace: dict[str, Any] = {"__name__": name}
    exec(compile(text, name, "exec"), namespace)
    return namespace


def numbers(result: Any) -> list[np.ndarray]:
    """Return what a program returned as arrays."""
    return [np.asarray(r.detach().numpy() if hasattr(r, "detach") else r) for r in result]


@pytest.mark.parametrize("name", NAMES)
def test_a_program_gives_the_same_numbers(name: str) -> None:
    ours, theirs = load(name, "tinygrad_cnn"), load(name, "torch")
    tg.manual_seed(0)
    our_modules = [module.double() for module in ours["make"]()]
    their_modules = [module.double() for module in theirs["make"]()]
    for one, other in zip(our_modules, their_modules, strict=True):
        twins.copy_weights(one, other)
    found = numbers(ours["run"](our_modules, np.random.default_rng(0)))
    expected = numbers(theirs["run"](their_modules, np.random.default_rng(0)))
    assert len(found) == len(expected)
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9, err_msg=f"{name}: result {i}")
    for one, other in zip(our_modules, their_modules, strict=True):
        for (key, a), (_, b) in zip(one.state_dict().items(), other.state_dict().items(), strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6, atol=1e-9, err_msg=f"{name}: {key}")
