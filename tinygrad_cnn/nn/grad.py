"""Gradients of convolutions as functions of their own, under the names of torch.nn.grad."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import autograd
from ..ops.conv import conv2d
from ..ops.conv_nd import conv1d, conv3d
from ..tensor import Tensor

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]


def _gradient(wanted: Tensor, output: Tensor, grad_output: Tensor) -> Tensor:
    return autograd.grad(output, wanted, grad_output)[0]


def _of_input(convolve: Callable[..., Any]) -> Callable[..., Tensor]:
    def conv_input(
        input_size: Sequence[int], weight: Tensor, grad_output: Tensor, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1,
    ) -> Tensor:  # fmt: skip
        """Return the gradient of a convolution with respect to its input, of this size."""
        with autograd.enable_grad():
            input = weight.new_zeros(input_size, requires_grad=True)
            output = convolve(input, weight.detach(), None, stride, padding, dilation, groups)
        return _gradient(input, output, grad_output)

    conv_input.__name__ = conv_input.__qualname__ = convolve.__name__ + "_input"
    return conv_input


def _of_weight(convolve: Callable[..., Any]) -> Callable[..., Tensor]:
    def conv_weight(
        input: Tensor, weight_size: Sequence[int], grad_output: Tensor, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1,
    ) -> Tensor:  # fmt: skip
        """Return the gradient of a convolution with respect to its weight, of this size."""
        with autograd.enable_grad():
            weight = input.new_zeros(weight_size, requires_grad=True)
            output = convolve(input.detach(), weight, None, stride, padding, dilation, groups)
        return _gradient(weight, output, grad_output)

    conv_weight.__name__ = conv_weight.__qualname__ = convolve.__name__ + "_weight"
    return conv_weight


conv1d_input, conv2d_input, conv3d_input = map(_of_input, (conv1d, conv2d, conv3d))
conv1d_weight, conv2d_weight, conv3d_weight = map(_of_weight, (conv1d, conv2d, conv3d))
