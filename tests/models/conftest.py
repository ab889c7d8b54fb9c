"""Networks without initial values: what a test of sizes needs, in no time."""

from __future__ import annotations

import pytest

import tinygrad_cnn as tg
from tinygrad_cnn.nn import init


@pytest.fixture
def undrawn(monkeypatch):
    """Leave parameters as memory has them, instead of drawing them."""
    for name in ("uniform_", "normal_"):
        monkeypatch.setattr(tg.Tensor, name, lambda self, *args, **kwargs: self)
    for name in ("constant_", "trunc_normal_"):
        monkeypatch.setattr(init, name, lambda tensor, *args, **kwargs: tensor)
