"""Stochastic gradient descent with a step size for each weight, from estimates of second derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from ..autograd import enable_grad, grad, no_grad
from ..tensor import Tensor
from .optimizer import Optimizer, options


class SDLM(Optimizer):
    """p -= lr / (mu + h) * grad, where h >= 0 estimates the second derivative of one sample's loss: `estimate` finds it.

    The stochastic diagonal Levenberg-Marquardt method of LeCun, Bottou, Bengio and Haffner, 1998, section III-E and appendix
    C.  Steps are for the sum of the losses of a small batch; the paper's have one sample, mu=0.02, and estimate h on 500
    samples before each pass.
    """

    def __init__(self, params: Iterable[Any], lr: float | Tensor = 5e-4, mu: float = 0.02) -> None:
        super().__init__(params, options(locals()))

    def check(self, group: dict[str, Any]) -> None:
        """Raise ValueError for hyperparameters that make no sense."""
        super().check(group)
        if not group["mu"] > 0:
            raise ValueError(f"SDLM: mu must be positive, got {group['mu']}")

    def step_group(self, backend: Any, group: dict[str, Any], params: list[Tensor]) -> None:
        """Change parameters of one group that have a gradient."""
        for p in params:
            if "curvature" not in self.state[p]:
                raise RuntimeError("SDLM: a parameter has no estimate of its curvature; call estimate() before step()")
            p.sub_(p._grad / (self.state[p]["curvature"] + group["mu"]), alpha=float(group["lr"]))

    def estimate(self, layers: Iterable[Any], input: Tensor, loss: Callable[[Tensor], Tensor]) -> None:
        """Estimate the second derivatives of the mean loss on a batch, going back through a chain of layers once.

        `loss` maps the last layer's output (N, K) to the sum of the losses.  A layer with parameters must be linear in
        its input and in its parameters (convolution, linear, subsampling); one without must not mix its inputs (squashing,
        flattening).  Gauss-Newton: h of a layer's inputs is h of its outputs times the squares of its derivatives.
        """
        chain = []
        with no_grad():
            for layer in layers:
                chain.append((layer, input))
                input = layer(input)
        curvature = _diagonal(loss, input).clamp(min=0) / len(input)
        for layer, x in reversed(chain):
            curvature, of_parameters = _back(layer, x, curvature)
            for p, h in of_parameters:
                self.state[p]["curvature"] = h


@enable_grad()
def _diagonal(loss: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the second derivatives of a sum over rows with respect to x (N, K), one column after the other."""
    x = x.detach().requires_grad_()
    (slope,) = grad(loss(x), x, create_graph=True)
    second = x.new_zeros(x.shape)
    for k in range(x.shape[1]):
        (row,) = grad(slope[:, k].sum(), x, retain_graph=True)
        second[:, k] = row[:, k]
    return second


@enable_grad()
def _back(layer: Any, x: Tensor, curvature: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Return the curvature of a layer's input x, and of its parameters, from that of its output."""
    parameters = [p for p in layer.parameters() if p.requires_grad]
    if not parameters:  # each output depends on one input, so a gradient is that input's derivative times the output's
        x = x.detach().requires_grad_()
        y = layer(x)
        (slope,) = grad(y, x, y.new_ones(y.shape), retain_graph=True)
        (back,) = grad(y, x, curvature)
        return slope * back, []
    squared = deepcopy(layer)  # a sum of w * x, whose gradients are sums of w * dy and x * dy: squares are all it takes
    with no_grad():
        for p in squared.parameters():
            p.square_()
    x = x.square().requires_grad_()
    of_input, *of_parameters = grad(squared(x), [x, *[p for p in squared.parameters() if p.requires_grad]], curvature)
    return of_input, list(zip(parameters, of_parameters))
