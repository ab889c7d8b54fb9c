"""Where PyTorch keeps its layers: ``nn.modules.Conv2d``, ``nn.modules.batchnorm._BatchNorm``, ``nn.modules.utils._pair``."""

from .. import *  # noqa: F403
from .. import activation, conv, linear, loss, module
from .. import containers as container
from .. import pool as pooling
from . import batchnorm, utils

__all__ = ["activation", "batchnorm", "container", "conv", "linear", "loss", "module", "pooling", "utils"]
