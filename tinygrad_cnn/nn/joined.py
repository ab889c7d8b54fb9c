"""Neighbouring modules as one step: the same values, gradients and errors in less time.

A ReLU is joined with the convolution, linear layer or batch norm before it, and changes places with max pooling behind it.
Nothing is joined where somebody could tell: hooks, a replaced `forward`, a search for anomalies, a ReLU in place on a
tensor that others see.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from ..autograd import is_anomaly_enabled
from ..ops.conv import conv2d_relu
from ..ops.matmul import linear_relu
from ..ops.norm import batch_norm_relu
from ..ops.pool import conv2d_max_pool2d_relu
from .activation import ReLU
from .conv import Conv2d
from .hooks import changes
from .linear import Linear
from .module import has_hooks, note_path
from .norm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from .pool import MaxPool2d

BATCH_NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d)
Step = Callable[[Any], Any]


def in_turn(input: Any, *modules: Any) -> Any:
    """Apply modules one after the other."""
    for step in modules if is_anomaly_enabled() else _joined(list(modules)):
        input = step(input)
    return input


class Steps:
    """The steps of a row of modules, kept until some module changes."""

    def __init__(self) -> None:
        self._found: tuple[int, list[Any], list[Step]] = (-1, [], [])  # changes so far, modules, steps

    def of(self, modules: list[Any]) -> list[Step]:
        """Return what does the same as these modules one after the other."""
        if is_anomaly_enabled():
            return modules
        count, known, steps = self._found
        if count != changes[0] or known != modules:
            count, steps = changes[0], _joined(modules.copy())
            self._found = (count, modules, steps)
        return steps

    def __reduce__(self) -> Any:
        return Steps, ()  # a copy finds its own


def norm_add_relu(norm: Any, relu: Any, input: Any, residual: Callable[[], Any]) -> Any:
    """Return relu(norm(input) + residual())."""
    if _is(norm, *BATCH_NORMS) and _is(relu, ReLU) and _unchanged(norm, relu) and not is_anomaly_enabled():
        return _noted(norm, norm._normalise, partial(batch_norm_relu, residual=residual()), input)
    return relu(norm(input) + residual())


def _is(module: Any, *types: type) -> bool:
    """Return whether a module is of one of these types and has no hooks."""
    return type(module) in types and not has_hooks(module)


def _unchanged(*modules: Any) -> bool:
    """Return whether nobody replaced a `forward`."""
    return not any("forward" in vars(module) for module in modules)


@lru_cache(maxsize=1024)
def _places(kinds: tuple[type, ...]) -> tuple[int, ...]:
    """Return where a ReLU stands beside what it may be joined with, the last one first."""
    after, before = (Conv2d, Linear, *BATCH_NORMS), MaxPool2d
    around = [
        (i, kinds[max(i - 1, 0)], kinds[min(i + 1, len(kinds) - 1)]) for i, kind in enumerate(kinds) if kind is ReLU
    ]
    return tuple([i for i, left, right in reversed(around) if left in after or right is before])


def _joined(modules: list[Any]) -> list[Step]:
    """Return steps that do what modules do one after the other."""
    for i in _places(tuple(map(type, modules))):
        relu = modules[i]
        if has_hooks(relu):
            continue
        before, behind = modules[max(i - 1, 0)], modules[min(i + 1, len(modules) - 1)]
        fresh = _is(before, Conv2d, Linear, *BATCH_NORMS)  # nobody else sees the result
        pools = _is(behind, MaxPool2d) and _comes_first(behind) and (fresh or not relu.inplace)
        if not (fresh and _unchanged(before, relu)):
            modules[i : i + 2] = (behind, relu) if pools else modules[i : i + 2]
        elif type(before) is Linear:
            modules[i - 1 : i + 1] = [partial(_noted, before, before._multiply, linear_relu)]
        elif type(before) is not Conv2d:
            modules[i - 1 : i + 1] = [partial(_noted, before, before._normalise, batch_norm_relu)]
        elif pools and before.padding_mode == "zeros" and _unchanged(behind):
            modules[i - 1 : i + 2] = [partial(_noted, before, _convolve_and_pool, before, *_geometry(before, behind))]
        else:
            modules[i - 1 : i + 1] = [partial(_noted, before, before._convolve, conv2d_relu)]
    return modules


def _comes_first(pool: MaxPool2d) -> bool:
    """Return whether max pooling may change places with a ReLU before it: no window lies outside the image."""
    return not pool.return_indices and pool.dilation in (1, (1, 1))


def _geometry(conv: Conv2d, pool: MaxPool2d) -> tuple[Any, Any]:
    """Return what a convolution and a pooling are called with."""
    convolution = (conv.stride, conv.padding, conv.dilation, conv.groups)
    return convolution, (pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode)


def _convolve_and_pool(conv: Conv2d, convolution: Any, pooling: Any, input: Any) -> Any:
    """Apply a convolution, max pooling and a ReLU."""
    return conv2d_max_pool2d_relu(input, conv.weight, conv.bias, convolution, pooling)


def _noted(module: Any, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function that stands for a module: an error is noted with its path."""
    try:
        return function(*args)
    except Exception as error:
        note_path(error, module)
        raise
