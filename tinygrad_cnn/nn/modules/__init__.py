"""Where PyTorch keeps its layers: ``nn.modules.Conv2d``, ``nn.modules.batchnorm._BatchNorm``, ``nn.modules.utils._pair``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .. import activation, conv, linear, loss, module
from .. import containers as container
from .. import pool as pooling
from . import batchnorm, utils

__all__ = ["activation", "batchnorm", "container", "conv", "linear", "loss", "module", "pooling", "utils"]


def __getattr__(name: str) -> Any:
    return getattr(import_module("..", __name__), name)  # a layer
