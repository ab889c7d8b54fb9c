"""Where PyTorch keeps its layers: ``nn.modules.Conv2d``, ``nn.modules.batchnorm._BatchNorm``, ``nn.modules.utils._pair``."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from .. import activation, containers, conv, lazy, linear, loss, module, norm, pool, vision
from . import utils

HOMES = {  # PyTorch's files, and which of the files here has their layers
    activation: "activation dropout", containers: "container", conv: "conv fold", lazy: "lazy", loss: "loss",
    linear: "distance flatten linear", module: "module", norm: "batchnorm instancenorm normalization", pool: "pooling",
    vision: "channelshuffle padding pixelshuffle sparse upsampling",
}  # fmt: skip
for _home, _names in HOMES.items():
    for _name in _names.split():
        globals()[_name] = sys.modules[f"{__name__}.{_name}"] = _home

__all__ = ["utils", *" ".join(HOMES.values()).split()]


def __getattr__(name: str) -> Any:
    return getattr(import_module("..", __name__), name)  # a layer
