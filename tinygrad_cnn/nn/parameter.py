"""Parameter: a tensor that a module lists among those to be trained."""

from __future__ import annotations

from typing import Any

from ..autograd.graph import fill
from ..tensor import Tensor


class Parameter(Tensor):
    """A leaf tensor on the memory of `data`; as an attribute of a Module it becomes one of its parameters."""

    _is_parameter = True

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        """Make a leaf on the memory of `data`."""
        source = Tensor(0) if data is None else data
        if not isinstance(source, Tensor):
            raise TypeError(f"Parameter: expected a tensor, got {type(data).__name__}")
        parameter: Any = fill(super().__new__(cls), source._array, source._backend)
        source._counter.shared = parameter._counter.shared = data is not None
        if requires_grad:
            parameter.requires_grad_()
        return parameter

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        pass  # __new__ has done it
