"""Gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..autograd import no_grad
from ..creation import tensor
from ..ops.shape import stack
from ..tensor import Tensor


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.grad for p in listed if p.grad is not None]


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
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: Any = None,
) -> Tensor:
    """Scale the gradients so that the norm of all of them together is at most max_norm; return the norm before."""
    grads = _gradients(parameters)
    if not grads:
        return tensor(0.0)
    order = float(norm_type)
    total = _norm(stack([_norm(g, order) for g in grads]), order)
    if error_if_nonfinite and not total.isfinite():
        raise RuntimeError(f"clip_grad_norm_: the norm of order {norm_type} of the gradients is {total.item()}")
    scale = (max_norm / (total + 1e-6)).clamp(max=1.0)
    for g in grads:
        g.mul_(scale)
    return total


@no_grad()
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: Any = None) -> None:
    """Limit every element of the gradients to [-clip_value, clip_value]."""
    for g in _gradients(parameters):
        g.clamp_(-clip_value, clip_value)
