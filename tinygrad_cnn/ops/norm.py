"""Batch normalisation and local response normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import autograd
from ..autograd.graph import Op, Shortcut, wrap
from ..autograd.modes import enable_grad, is_grad_enabled, no_grad
from ..autograd.rows import computed, operators
from .elementwise import RELU, T, add, check_tensors, div, mul, pow, relu, rsqrt, sub
from .inplace import write_
from .pool import avg_pool2d
from .reduce import mean, var
from .reduce import sum as sum_
from .shape import Reshape, clone, pad, reshape


class BatchNorm(Op):
    """x (N, C, ...) normalised over all axes but C -> y, mean (C,), biased variance (C,)."""

    title = "NativeBatchNorm"
    differentiable = 1  # the statistics are by-products, for the running averages

    def forward(self, x: Any, w: Any, b: Any, eps: float, residual: Any = None, relu: bool = False) -> Any:
        self.eps = eps
        y, self.mean, self.var = self.backend.batch_norm(x, w, b, eps, residual, relu)
        self.b = None if b is None else self.backend.copy(b)  # for RectifiedBatchNorm; users may change b meanwhile
        self.save(x, w)
        return y, self.mean, self.var

    def backward(self, dy: Any, *_: Any) -> Any:
        x, w = self.saved_tensors
        return BatchNormGrad.apply(dy, x, w, self.mean, self.var, self.eps)


class BatchNormGrad(Op):
    """dy, x and w -> dx, dw, db, by one kernel; differentiated through the formula that the kernel computes."""

    def forward(self, dy: Any, x: Any, w: Any, mean: Any, var: Any, eps: float) -> Any:
        self.eps = eps
        self.save(dy, x, w)
        return self.backend.batch_norm_grad(dy, x, w, None, mean, var, eps, False)

    def backward(self, *ds: Any) -> Any:
        return through_formula(self, lambda dy, x, w: batch_norm_grad_formula(dy, x, w, self.eps), ds)


class Normalise(Op):
    """x (N, C, ...) by mean and var (C,) -> (x - mean) / sqrt(var + eps) * w + b."""

    def forward(self, x: Any, w: Any, b: Any, mean: Any, var: Any, eps: float, residual: Any, relu: bool) -> Any:
        self.eps = eps
        self.save(x, w, mean, var)
        return self.backend.normalise(x, w, b, mean, var, eps, residual, relu)

    def backward(self, dy: Any) -> Any:
        x, w, mean, var = self.saved_tensors
        needs, shape, axes = self.needs_grad, channel_shape(x), (0, *range(2, x._array.ndim))
        inverse = rsqrt(add(var, self.eps))
        scale = inverse if w is None else mul(inverse, w)
        total = sum_(dy, axes) if needs[2] or needs[3] else None
        dot = sum_(mul(dy, sub(x, reshape(mean, shape))), axes) if needs[1] or needs[4] else None
        return (
            mul(dy, reshape(scale, shape)) if needs[0] else None,
            mul(dot, inverse) if needs[1] else None,
            total,
            mul(total, -scale) if needs[3] else None,
            mul(mul(dot, scale), mul(inverse, inverse) * -0.5) if needs[4] else None,
        )


class RectifiedBatchNorm(Shortcut):
    """BatchNorm and the ReLU behind it: x tells where the result was cut off, so one kernel reads nothing but x and dy."""

    def run(self, dys: list[Any]) -> Any:
        relu: Any = self.nodes[0]
        norm: Any = self.nodes[1]
        _ = relu.saved_tensors  # raises if they were freed or changed
        x, w = norm.saved_tensors
        args = (None if w is None else w._array, norm.b, norm.mean, norm.var, norm.eps, True)
        grads = norm.backend.batch_norm_grad(dys[0]._array, x._array, *args)
        return [wrap(dys[0].result_class, grad, norm.backend) for grad in grads]


RELU.shortcuts[BatchNorm] = lambda relu: RectifiedBatchNorm(relu, relu.edges[0][0])


class LocalResponseNorm(Op):
    """x (N, C, ...) -> x / (k + alpha * the mean of x ** 2 over neighbouring channels) ** beta."""

    def forward(self, x: Any, size: int, alpha: float, beta: float, k: float) -> Any:
        self.args = (size, alpha, beta, k)
        self.save(x)
        return self.backend.local_response_norm(x, *self.args)

    def backward(self, dy: Any) -> Any:
        return LocalResponseNormGrad.apply(dy, *self.saved_tensors, *self.args)


class LocalResponseNormGrad(Op):
    """dy and x -> dx, by one kernel; differentiated through the formula that the kernel computes."""

    def forward(self, dy: Any, x: Any, size: int, alpha: float, beta: float, k: float) -> Any:
        self.args = (size, alpha, beta, k)
        self.save(dy, x)
        return self.backend.local_response_norm_grad(dy, x, *self.args)

    def backward(self, d: Any) -> Any:
        return through_formula(self, lambda dy, x: (local_response_norm_grad_formula(dy, x, *self.args),), (d,))


def through_formula(op: Op, formula: Callable[..., tuple[Any, ...]], ds: tuple[Any, ...]) -> Any:
    """Return the gradients of what an op saved, its inputs, through a formula of its outputs in differentiable operations.

    The formula gets views of the inputs, for one of them may have been computed from another.
    """
    with enable_grad():
        tensors = [t if t is None else Reshape.apply(t, t._array.shape) for t in op.saved_tensors]
        outputs = formula(*tensors)
    inputs = [t for t, need in zip(tensors, op.needs_grad) if need]
    pairs = [(y, d) for y, d in zip(outputs, ds) if d is not None and y.requires_grad]
    if not pairs:
        return None
    differentiable, cotangents = zip(*pairs)
    found = iter(autograd.grad(differentiable, inputs, cotangents, create_graph=is_grad_enabled(), allow_unused=True))
    return tuple([next(found) if need else None for _, need in zip(tensors, op.needs_grad)])


def channel_shape(x: Any) -> tuple[int, ...]:
    """Return the shape that lines a vector of channels up with x (N, C, ...)."""
    return (1, -1, *[1] * (x._array.ndim - 2))


def batch_norm_grad_formula(dy: Any, x: Any, w: Any, eps: float) -> tuple[Any, Any, Any]:
    """Return dx, dw, db of batch_norm in differentiable operations."""
    axes = (0, *range(2, x._array.ndim))
    scale = rsqrt(var(x, axes, correction=0, keepdim=True) + eps)
    normal = mul(sub(x, mean(x, axes, True)), scale)
    dw, db = sum_(mul(dy, normal), axes), sum_(dy, axes)
    dnormal = dy if w is None else mul(dy, reshape(w, channel_shape(x)))
    dx = mul(scale, dnormal - mean(dnormal, axes, True) - mul(normal, mean(mul(dnormal, normal), axes, True)))
    return dx, dw, db


def _mean_around(x: Any, before: int, after: int) -> Any:
    """Return the mean over channels c - before ... c + after for each channel c of x (N, C, ...)."""
    rows = reshape(x, x._array.shape[0], 1, x._array.shape[1], -1)
    return reshape(avg_pool2d(pad(rows, (0, 0, before, after)), (before + after + 1, 1), 1), x._array.shape)


def local_response_norm_grad_formula(dy: Any, x: Any, size: int, alpha: float, beta: float, k: float) -> Any:
    """Return dx of local_response_norm in differentiable operations."""
    before, after = size // 2, (size - 1) // 2
    scale = add(mul(_mean_around(mul(x, x), before, after), alpha), k)
    direct = mul(dy, pow(scale, -beta))
    return sub(direct, mul(x, mul(_mean_around(div(mul(direct, x), scale), after, before), 2 * alpha * beta)))


def local_response_norm(
    input: T, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0, alpha_mode: str = "mean"
) -> T:
    """Divide each element of input (N, C, ...) by (k + alpha * mean) ** beta; Krizhevsky et al., 2012, with alpha / size.

    mean is that of the squares at the same position of `size` neighbouring channels; those that do not exist count as 0.
    alpha_mode='sum' takes their sum, as the paper does.
    """
    check_tensors("local_response_norm", input)
    shape = input._array.shape
    if len(shape) < 3:
        raise ValueError(f"local_response_norm: expected input (N, C, L, ...), got shape {tuple(shape)}")
    if input._array.dtype.kind != "f":
        raise RuntimeError(
            f"local_response_norm: expected a floating input, got {input._array.dtype}; convert with .float()"
        )
    if size < 1:
        raise RuntimeError(f"local_response_norm: size must be at least 1, got {size}")
    if alpha_mode not in ("mean", "sum"):
        raise ValueError(f"local_response_norm: alpha_mode must be 'mean' or 'sum', got {alpha_mode!r}")
    alpha = alpha * size if alpha_mode == "sum" else alpha
    return LocalResponseNorm.apply(input, size, alpha, beta, k) if 0 not in shape else input


def batch_norm(
    input: T, running_mean: T | None, running_var: T | None, weight: T | None = None, bias: T | None = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> T:  # fmt: skip
    """Normalise each channel of input (N, C, ...): (x - mean) / sqrt(var + eps) * weight + bias.

    In training by the batch's own mean and biased variance, which also move the running ones by `momentum` (the running
    variance is unbiased); otherwise by the running ones.  Ioffe and Szegedy, 2015.
    """
    return _batch_norm(None, False, input, running_mean, running_var, weight, bias, training, momentum, eps)


def batch_norm_relu(input: T, *args: Any, residual: T | None = None) -> T:
    """Return relu(batch_norm(input, *args) + residual): one step forward, with the same bits and the same graph."""
    if residual is None:
        y = _batch_norm(None, True, input, *args)
        return computed(RELU, (y,), y._array)
    given, other = input._array, residual._array
    if given.shape != other.shape or given.dtype != other.dtype or input._backend is not residual._backend:
        return relu(add(batch_norm(input, *args), residual))
    y = _batch_norm(other, True, input, *args)
    return computed(RELU, (computed(operators.add, (y, residual), y._array),), y._array)


def _batch_norm(
    residual: Any, relu: bool, input: Any, running_mean: Any, running_var: Any, weight: Any, bias: Any, training: bool,
    momentum: float, eps: float,
) -> Any:  # fmt: skip
    """Normalise; forward also adds an array and applies a ReLU, whose gradients are the next nodes' business."""
    given = [t for t in (running_mean, running_var, weight, bias) if t is not None]
    check_tensors("batch_norm", input, *given)
    shape = input._array.shape
    if len(shape) < 2:
        raise RuntimeError(f"batch_norm: expected input (N, C, ...), got shape {tuple(shape)}")
    if input._array.dtype.kind != "f":
        raise RuntimeError(f"batch_norm: expected a floating input, got {input._array.dtype}; convert with .float()")
    for name, t in (("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias)):
        if t is not None and t._array.shape != (shape[1],):
            raise RuntimeError(
                f"batch_norm: {name} must have shape {(shape[1],)}, one per channel, got {tuple(t._array.shape)}"
            )
        if t is not None and t._array.dtype != input._array.dtype:
            raise RuntimeError(
                f"batch_norm: {name} is {t._array.dtype}, the input {input._array.dtype}; convert with .to()"
            )
    if training:
        count = 1
        for axis, size in enumerate(shape):
            count *= 1 if axis == 1 else size
        if count == 1:
            raise ValueError(
                f"batch_norm: expected more than 1 value per channel when training, got input shape {tuple(shape)}; "
                "use a larger batch or eval()"
            )
        y, batch_mean, batch_var = BatchNorm.apply(input, weight, bias, eps, residual, relu)
        with no_grad():
            _move(running_mean, batch_mean, momentum, 1)
            _move(running_var, batch_var, momentum, count / max(1, count - 1))
        return y
    if running_mean is None or running_var is None:
        raise RuntimeError("batch_norm: running_mean and running_var are needed when training is False")
    # Copies, since training may change the running ones before backward.
    return Normalise.apply(input, weight, bias, clone(running_mean), clone(running_var), eps, residual, relu)


def _move(running: Any, statistic: Any, momentum: float, correction: float) -> None:
    """Move a running average towards a statistic of the batch."""
    if running is not None:
        write_(running, add(mul(running, 1 - momentum), mul(statistic, momentum * correction)), "batch_norm")
