"""Reverse-mode automatic differentiation: backward, grad, Function and the grad modes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from . import functional
from .anomaly import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from .engine import accumulate, propagate
from .function import Function
from .graph import Node, TensorBase, wrap
from .modes import enable_grad, inference_mode, is_grad_enabled, is_inference_mode_enabled, no_grad, set_grad_enabled

__all__ = [
    "Function",
    "Node",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "inference_mode",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]

Variable: Any  # the class of tensors, and its friends gradcheck and gradgradcheck; the package puts them here
gradcheck: Any
gradgradcheck: Any

Tensors = Any  # a tensor or a sequence of them


def backward(
    tensors: Tensors,
    grad_tensors: Tensors | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensors | None = None,
) -> None:
    """Add the gradient of `tensors`, weighted by `grad_tensors`, to the `.grad` of the leaves (or of `inputs` only).

    `grad_tensors` may be left out for one-element tensors.  The graph is freed unless `retain_graph`; with
    `create_graph` the gradients can be differentiated again.
    """
    targets = None if inputs is None else _targets("backward", inputs)
    roots = _roots("backward", _listed(tensors), grad_tensors)
    grads, leaves = propagate(roots, targets, create_graph if retain_graph is None else retain_graph, create_graph)
    for total in leaves:
        accumulate(total.leaf, total.grad, create_graph)
    for target, gradient in zip(targets or (), grads):
        if target._node is not None and gradient is not None:
            accumulate(target, gradient, create_graph)


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Tensors | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """Return the gradients of `outputs`, weighted by `grad_outputs`, with respect to `inputs`; `.grad` is untouched.

    RuntimeError if an input takes no part, unless `allow_unused` (its gradient is then None, or zeros with
    `materialize_grads`).  `only_inputs` is accepted; NotImplementedError for `is_grads_batched`.
    """
    if is_grads_batched:
        raise NotImplementedError("grad: is_grads_batched=True is not supported; call grad() once for each row")
    targets = _targets("grad", inputs)
    roots = _roots("grad", _listed(outputs), grad_outputs)
    grads, _ = propagate(roots, targets, create_graph if retain_graph is None else retain_graph, create_graph)
    for i, (target, gradient) in enumerate(zip(targets, grads)):
        if gradient is None and materialize_grads:
            grads[i] = _full_like(target, 0)
        elif gradient is None and not allow_unused:
            raise RuntimeError(
                f"grad: input {i} of shape {tuple(target.shape)} takes no part in the outputs; "
                "say allow_unused=True if that is meant"
            )
    return tuple(grads)


def _listed(tensors: Tensors) -> list[Any]:
    return [tensors] if isinstance(tensors, TensorBase) else list(tensors)


def _targets(name: str, inputs: Tensors) -> list[Any]:
    """Return the tensors whose gradients are wanted, each of which must require one."""
    targets = _listed(inputs)
    if not targets:
        raise RuntimeError(f"{name}: inputs must not be empty")
    for i, target in enumerate(targets):
        if not target.requires_grad:
            raise RuntimeError(f"{name}: input {i} does not require a gradient; call requires_grad_() on it first")
    return targets


def _full_like(t: TensorBase, value: float) -> Any:
    return wrap(t.result_class, t._backend.full(t._array.shape, value, t._array.dtype), t._backend)


def _roots(name: str, tensors: Sequence[Any], grads: Tensors | None) -> list[tuple[Any, Any]]:
    """Pair each output with its gradient: the one given, or 1 for a single element."""
    given = [None] * len(tensors) if grads is None else _listed(grads)
    if len(given) != len(tensors):
        raise RuntimeError(f"{name}: got {len(given)} gradients for {len(tensors)} outputs")
    roots = []
    for i, (tensor, gradient) in enumerate(zip(tensors, given)):
        if not tensor.requires_grad:
            raise RuntimeError(f"{name}: output {i} does not require a gradient and has no grad_fn")
        shape = tensor._array.shape
        if gradient is None:
            if prod(shape) != 1:
                raise RuntimeError(
                    f"{name}: a gradient can be created implicitly only for one element, but output {i} has shape "
                    f"{tuple(shape)}; pass one, or reduce the output with sum() or mean()"
                )
            gradient = _full_like(tensor, 1)
        elif gradient._array.shape != shape:
            raise RuntimeError(
                f"{name}: gradient {i} has shape {tuple(gradient._array.shape)}, but output {i} has shape {tuple(shape)}"
            )
        roots.append((tensor, gradient))
    return roots
