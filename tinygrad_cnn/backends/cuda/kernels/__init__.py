"""Kernels by family.  Importing this fills the table `launch.SPECS`."""

from . import conv, elementwise, index, loss, matmul, norm, optim, pool, random, reduce

__all__ = ["conv", "elementwise", "index", "loss", "matmul", "norm", "optim", "pool", "random", "reduce"]
