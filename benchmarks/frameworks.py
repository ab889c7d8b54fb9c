"""The sides: one set of names for tinygrad_cnn and for PyTorch in its two memory formats.

Workloads call F, optim, tensor, conv2d_grads and model; they do not know which side they run on.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import tinygrad_cnn as tg
from tinygrad_cnn.geometry import window
from tinygrad_cnn.nn import functional
from tinygrad_cnn.ops.conv import Conv2dInputGrad, Conv2dWeightGrad


@cache
def _initial(name: str, options: tuple[tuple[str, Any], ...]) -> dict[str, np.ndarray]:
    """Return a network's weights, always the same."""
    tg.manual_seed(0)
    state = getattr(tg.models, name)(**dict(options)).state_dict()
    return {key: np.array(value.numpy()) for key, value in state.items()}


class Ours:
    """tinygrad_cnn."""

    name = "ours"
    F = functional
    optim = tg.optim

    def _formatted(self, value: Any) -> Any:
        """Bring a tensor or a model into the form of this side."""
        return value

    def tensor(self, array: np.ndarray, requires_grad: bool = False) -> Any:
        """Return a copy of the array."""
        return self._formatted(tg.tensor(array)).requires_grad_(requires_grad)

    def conv2d_grads(self, wanted: str, x: Any, w: Any, dy: Any, args: tuple[int, int, int, int]) -> Any:
        """Return the gradient of 'input' or 'weight' alone; args are stride, padding, dilation and groups."""
        stride, padding, dilation, groups = args
        size = tuple(x.shape[2:])
        place = window("conv2d", size, tuple(w.shape[2:]), stride, padding, dilation)
        if wanted == "input":
            return Conv2dInputGrad.apply(dy, w, place, groups, size)
        return Conv2dWeightGrad.apply(dy, x, place, groups)

    def model(self, name: str, **options: Any) -> Any:
        """Return a network of tinygrad_cnn.models, with the same weights on every side."""
        model = getattr(tg.models, name)(**options)
        state = {key: tg.tensor(value) for key, value in _initial(name, tuple(options.items())).items()}
        model.load_state_dict(state)
        return self._formatted(model)


class OursDouble(Ours):
    """tinygrad_cnn in float64."""

    name = "ours float64"

    def _formatted(self, value: Any) -> Any:
        return value.double() if isinstance(value, tg.nn.Module) or value.is_floating_point() else value


class Torch:
    """PyTorch, with images and filters in its usual format NCHW."""

    name = "NCHW"
    channels_last = False

    def __init__(self) -> None:
        import torch

        self.torch = torch
        self.F = torch.nn.functional
        self.optim = torch.optim
        self._backward = torch.ops.aten.convolution_backward.default

    def _formatted(self, value: Any) -> Any:
        """Bring a 4-d tensor, or those of a model, into the memory format of this side."""
        if self.channels_last and (isinstance(value, self.torch.nn.Module) or value.ndim == 4):
            return value.to(memory_format=self.torch.channels_last)
        return value

    def tensor(self, array: np.ndarray, requires_grad: bool = False) -> Any:
        """Return a copy of the array."""
        return self._formatted(self.torch.tensor(array)).requires_grad_(requires_grad)

    def conv2d_grads(self, wanted: str, x: Any, w: Any, dy: Any, args: tuple[int, int, int, int]) -> Any:
        """Return the gradient of 'input' or 'weight' alone; args are stride, padding, dilation and groups."""
        stride, padding, dilation, groups = args
        mask = [wanted == "input", wanted == "weight", False]
        pairs = [stride, stride], [padding, padding], [dilation, dilation]
        grads = self._backward(dy, x, w, None, *pairs, False, [0, 0], groups, mask)
        return grads[0 if wanted == "input" else 1]

    def model(self, name: str, **options: Any) -> Any:
        """Return a network of tinygrad_cnn.models, with the same weights on every side."""
        from . import torch_models

        model = getattr(torch_models, name)(**options)
        state = {key: self.torch.tensor(value) for key, value in _initial(name, tuple(options.items())).items()}
        model.load_state_dict(state)
        return self._formatted(model)


class TorchChannelsLast(Torch):
    """PyTorch, with images and filters in channels_last: its faster format for many convolutions."""

    name = "chan.last"
    channels_last = True


class TorchDouble(Torch):
    """PyTorch in float64: what the other sides are compared with."""

    name = "float64"

    def _formatted(self, value: Any) -> Any:
        return value.double() if isinstance(value, self.torch.nn.Module) or value.is_floating_point() else value


Framework = Ours | Torch


def set_num_threads(num: int) -> None:
    """Let both libraries use up to `num` threads."""
    import torch

    tg.set_num_threads(num)
    torch.set_num_threads(num)
