"""Norms and limits of gradients, parameters as one vector, folded batch normalisation, and weights made from others."""

from __future__ import annotations

import math
from collections.abc import Iterable
from copy import deepcopy
from typing import Any, TypeVar

from ...autograd import no_grad
from ...creation import ones_like, tensor, zeros_like
from ...ops.shape import cat, stack
from ...tensor import Tensor
from ..module import Module
from ..parameter import Parameter
from . import parametrizations, parametrize
from .reweighted import remove_spectral_norm, remove_weight_norm, spectral_norm, weight_norm

__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "fuse_conv_bn_eval", "fuse_conv_bn_weights",
    "get_total_norm", "parameters_to_vector", "parametrizations", "parametrize", "remove_spectral_norm",
    "remove_weight_norm", "spectral_norm", "vector_to_parameters", "weight_norm",
]  # fmt: skip

M = TypeVar("M", bound=Module)
Tensors = Tensor | Iterable[Tensor]


def _listed(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: Tensors) -> list[Tensor]:
    return [p.grad for p in _listed(parameters) if p.grad is not None]


def _norm(x: Tensor, order: float) -> Tensor:
    """Return the norm of all elements: (sum |x| ** order) ** (1 / order), and its limits at 0 and infinity."""
    if order == math.inf:
        return x.abs().max()
    if order == -math.inf:
        return x.abs().min()
    if order == 0:
        return (x != 0).to(x.dtype).sum()
    return (x * x if order == 2 else x.abs().pow(order)).sum().pow(1 / order)


@no_grad()
def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: Any = None
) -> Tensor:
    """Return the norm of all elements of all tensors together."""
    listed, order = _listed(tensors), float(norm_type)
    if not listed:
        return tensor(0.0)
    total = _norm(stack([_norm(x, order) for x in listed]), order)
    if error_if_nonfinite and not total.isfinite():
        raise RuntimeError(f"get_total_norm: the norm of order {order} is {total.item()}")
    return total


@no_grad()
def clip_grads_with_norm_(parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: Any = None) -> None:
    """Scale the gradients by max_norm / total_norm if that is less than 1."""
    scale = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    for g in _gradients(parameters):
        g.mul_(scale)


def clip_grad_norm_(
    parameters: Tensors, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: Any = None
) -> Tensor:
    """Scale the gradients so that the norm of all of them together is at most max_norm; return the norm before."""
    parameters = _listed(parameters)
    total = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


@no_grad()
def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: Any = None) -> None:
    """Limit every element of the gradients to [-clip_value, clip_value]."""
    limit = float(clip_value)
    for g in _gradients(parameters):
        g.clamp_(-limit, limit)


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Return the elements of all parameters as one vector."""
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Let each parameter be a piece of a vector, on the vector's memory: the opposite of parameters_to_vector."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: expected a tensor, got {type(vec).__name__}")
    start = 0
    for p in parameters:
        p.data = vec[start : start + p.numel()].view(p.shape).data
        start += p.numel()


def fuse_conv_bn_weights(
    conv_w: Tensor, conv_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor | None,
    bn_b: Tensor | None, transpose: bool = False,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """Return weight and bias of the convolution that does what a convolution and a batch normalisation after it do.

    The output channels of the weight are axis 0, or 1 with `transpose`.
    """
    conv_b = zeros_like(bn_rm) if conv_b is None else conv_b
    scale = (ones_like(bn_rm) if bn_w is None else bn_w) * (bn_rv + bn_eps).rsqrt()
    shape = [1] * conv_w.ndim
    shape[1 if transpose else 0] = -1
    weight = (conv_w * scale.reshape(shape)).to(conv_w.dtype)
    bias = ((conv_b - bn_rm) * scale + (zeros_like(bn_rm) if bn_b is None else bn_b)).to(conv_b.dtype)
    return Parameter(weight.detach(), conv_w.requires_grad), Parameter(bias.detach(), conv_b.requires_grad)


def fuse_conv_bn_eval(conv: M, bn: Any, transpose: bool = False) -> M:
    """Return a convolution that does what `conv` and the batch normalisation `bn` after it do in evaluation."""
    if conv.training or bn.training:
        raise AssertionError("fuse_conv_bn_eval: both modules must be in evaluation mode; call eval() first")
    fused: Any = deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused
