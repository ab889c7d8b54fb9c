"""Every test in this folder compares with PyTorch: it carries the marker `parity`, and PyTorch runs on one thread."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.parity)


if find_spec("torch"):
    import torch

    torch.set_num_threads(1)

    @pytest.fixture(autouse=True)
    def _pytorch_state():
        """Undo what a test changes in PyTorch."""
        yield
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
