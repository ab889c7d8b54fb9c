"""Losses: cross-entropy by one kernel, the others composed."""

from __future__ import annotations

import warnings
from math import log as ln
from math import pi, prod
from typing import Any

import numpy as np

from ..autograd.graph import Op, wrap
from .activation import logsigmoid
from .elementwise import (
    T, abs, add, cast, check_floating, check_tensors, clamp, div, exp, ge, gt, le, log, log1p, lt, maximum, mul, ne, neg,
    row, sub, where,
)  # fmt: skip
from .index import gather, index_select
from .reduce import SoftmaxGrad, all, log_softmax, mean
from .reduce import sum as sum_
from .shape import movedim, reshape, squeeze, unsqueeze


class CrossEntropy(Op):
    """Logits x (N, C) and classes (N,) -> -log_softmax(x)[n, target[n]], reduced, and softmax(x)."""

    title = "NllLoss"

    def forward(self, x: Any, target: Any, ignore_index: int, reduction: str) -> Any:
        loss, y = self.backend.cross_entropy(x, target, ignore_index, reduction)
        self.args = (target, ignore_index, reduction)
        self.save(y)
        return loss, y

    def gradients(self, dloss: Any, dy: Any) -> Any:
        (y,) = self.saved_arrays
        dx = None if dloss is None else self.backend.cross_entropy_grad(dloss, y, *self.args)
        if dy is None:
            return (dx,)
        through_y = self.backend.softmax_grad(dy, y, 1)
        return (through_y if dx is None else self.backend.elementwise("add", dx, through_y),)

    def backward(self, dloss: Any, dy: Any) -> Any:
        (y,) = self.saved_tensors
        dx = None if dloss is None else CrossEntropyGrad.apply(dloss, y, *self.args)
        if dy is None:
            return dx
        through_y = SoftmaxGrad.apply(dy, y, 1)  # of gradients of gradients
        return through_y if dx is None else dx + through_y


class CrossEntropyGrad(Op):
    """dloss and y = softmax(x) -> dx (N, C) = dloss * (y - one_hot(target)), 0 where ignored, / their number for a mean."""

    def forward(self, dloss: Any, y: Any, target: Any, ignore_index: int, reduction: str) -> Any:
        self.args = (target, ignore_index, reduction)
        self.save(dloss, y)
        return self.backend.cross_entropy_grad(dloss, y, *self.args)

    def backward(self, d: Any) -> Any:
        dloss, y = self.saved_tensors
        target, ignore_index, reduction = self.args
        slope = mul(d, CrossEntropyGrad.apply(dloss.new_ones(dloss._array.shape), y, *self.args))
        counted = cast(ne(wrap(y.result_class, target, y._backend), ignore_index), y._array.dtype)
        share = div(counted, sum_(counted)) if reduction == "mean" else counted
        return sum_(slope, 1) if reduction == "none" else sum_(slope), mul(d, unsqueeze(mul(dloss, share), 1))


def _checked(op: str, reduction: str) -> str:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{op}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    return reduction


def reduced(op: str, losses: Any, reduction: str) -> Any:
    """Apply reduction='none', 'mean' or 'sum'."""
    if _checked(op, reduction) == "none":
        return losses
    return mean(losses) if reduction == "mean" else sum_(losses)


def named_reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """Translate PyTorch's former arguments size_average and reduce."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


def _check_class_targets(op: str, input: Any, target: Any, weight: Any) -> None:
    """Check class numbers (N, ...) against scores (N, C, ...), or one number against (C,)."""
    check_tensors(op, input, target, *([] if weight is None else [weight]))
    x, t = input._array.shape, target._array.shape
    if not x:
        raise RuntimeError(f"{op}: expected input (N, C, ...) or (C,), got a tensor without dimensions")
    expected = (x[0], *x[2:]) if len(x) > 1 else ()
    if t != expected:
        kind = ValueError if expected[:1] != t[:1] else RuntimeError
        raise kind(f"{op}: input of shape {tuple(x)} needs target of shape {tuple(expected)}, got {tuple(t)}")
    if target._array.dtype not in (np.int64, np.uint8):
        raise RuntimeError(f"{op}: target must be class numbers (int64) or, for cross_entropy, probabilities of the "
                           f"input's shape and dtype, got {target._array.dtype}; convert with .long()")  # fmt: skip
    classes = x[1] if len(x) > 1 else x[0]
    if weight is not None and weight._array.shape != (classes,):
        raise RuntimeError(
            f"{op}: weight must have shape {(classes,)}, one per class, got {tuple(weight._array.shape)}"
        )
    if weight is not None and weight._array.dtype != input._array.dtype:
        raise RuntimeError(
            f"{op}: weight must have the dtype of the input, {input._array.dtype}, got {weight._array.dtype}"
        )


def _class_weights(target: Any, weight: Any, ignore_index: int, like: Any) -> Any:
    """Return the weight of each sample: that of its class, or 1; 0 where the target is ignored."""
    counted = ne(target, ignore_index)
    if weight is None:
        return cast(counted, like._array.dtype)
    flat = reshape(where(counted, target, 0), -1)
    return mul(reshape(index_select(weight, 0, flat), target._array.shape), cast(counted, weight._array.dtype))


def _weighted(op: str, losses: Any, weights: Any, reduction: str) -> Any:
    """Reduce losses that already carry their weights; the mean divides by the sum of weights."""
    if reduction == "mean":
        return div(sum_(losses), sum_(weights))
    return reduced(op, losses, reduction)


def nll_loss(
    input: T, target: T, weight: T | None = None, size_average: bool | None = None, ignore_index: int = -100,
    reduce: bool | None = None, reduction: str = "mean",
) -> T:  # fmt: skip
    """Return the negative log-likelihood -weight[target] * input[target] of log-probabilities input (N, C, ...).

    target (N, ...) holds class numbers; those equal to ignore_index count nothing.
    """
    reduction = named_reduction(size_average, reduce, reduction)
    _check_class_targets("nll_loss", input, target, weight)
    if input._array.ndim == 1:
        loss = nll_loss(unsqueeze(input, 0), unsqueeze(target, 0), weight, None, ignore_index, None, reduction)
        return squeeze(loss)
    target = cast(target, np.dtype(np.int64))
    counted = ne(target, ignore_index)
    try:
        picked = squeeze(gather(input, 1, unsqueeze(where(counted, target, 0), 1)), 1)
    except RuntimeError as error:  # a target that is no class
        raise IndexError(f"nll_loss: {error}") from None
    weights = _class_weights(target, weight, ignore_index, input)
    return _weighted("nll_loss", mul(neg(where(counted, picked, 0.0)), weights), weights, reduction)


def cross_entropy(
    input: T, target: T, weight: T | None = None, size_average: bool | None = None, ignore_index: int = -100,
    reduce: bool | None = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> T:  # fmt: skip
    """Return the cross-entropy of logits input (N, C, ...) or (C,) against target.

    target holds class numbers (N, ...), of which ignore_index counts nothing, or probabilities (N, C, ...).  `weight`
    (C,) weighs classes; the mean then divides by the sum of weights.  label_smoothing mixes in the uniform distribution.
    """
    reduction = named_reduction(size_average, reduce, reduction)
    check_tensors("cross_entropy", input, target)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"cross_entropy: label_smoothing must be between 0 and 1, got {label_smoothing}")
    if input._array.dtype.kind != "f":
        raise RuntimeError(f"cross_entropy: expected floating logits, got {input._array.dtype}; convert with .float()")
    if target._array.dtype.kind == "f" and target._array.shape == input._array.shape:
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    _check_class_targets("cross_entropy", input, target, weight)
    rows, flat = _rows(input, target)
    if weight is None and not label_smoothing:
        loss, _ = CrossEntropy.apply(rows, flat._array, ignore_index, _checked("cross_entropy", reduction))
        return loss if reduction != "none" or target._array.ndim == 1 else reshape(loss, target._array.shape)
    losses, _ = CrossEntropy.apply(rows, flat._array, ignore_index, "none")
    weights = _class_weights(flat, weight, ignore_index, input)
    if weight is not None:
        losses = mul(losses, weights)
    if label_smoothing:
        spread = neg(log_softmax(rows, 1)) if weight is None else neg(mul(log_softmax(rows, 1), weight))
        uniform = where(ne(flat, ignore_index), mean(spread, 1), 0.0)
        losses = mul(losses, 1 - label_smoothing) + mul(uniform, label_smoothing)
    return _weighted("cross_entropy", reshape(losses, target._array.shape), weights, reduction)


def _rows(input: Any, target: Any) -> tuple[Any, Any]:
    """Return scores (N, C, ...) or (C,) as rows (count, C), and class numbers as int64 (count,)."""
    target = cast(target, np.dtype(np.int64))
    if input._array.ndim == 2:
        return input, target
    classes = 1 if input._array.ndim > 1 else 0
    scores = movedim(input, classes, -1) if classes else input
    return reshape(scores, prod(target._array.shape), input._array.shape[classes]), reshape(target, -1)


def _soft_cross_entropy(input: Any, target: Any, weight: Any, reduction: str, label_smoothing: float) -> Any:
    """Return the cross-entropy against class probabilities; the mean divides by the number of distributions."""
    classes = 1 if input._array.ndim > 1 else 0
    count = input._array.shape[classes]
    if label_smoothing:
        target = mul(target, 1 - label_smoothing) + label_smoothing / count
    terms = mul(log_softmax(input, classes), target)
    if weight is not None:
        if weight._array.shape != (count,):
            raise RuntimeError(f"cross_entropy: weight must have shape {(count,)}, got {tuple(weight._array.shape)}")
        terms = mul(terms, reshape(weight, count, *[1] * (input._array.ndim - classes - 1)))
    losses = neg(sum_(terms, classes))
    if reduction == "mean":
        return mean(losses)
    return reduced("cross_entropy", losses, reduction)


def _check_sizes(op: str, input: Any, target: Any) -> None:
    check_tensors(op, input, target)
    if input._array.shape != target._array.shape:
        warnings.warn(
            f"{op}: target of shape {tuple(target._array.shape)} differs from input {tuple(input._array.shape)}; they are "
            "broadcast, which is rarely meant",
            stacklevel=3,
        )


def mse_loss(
    input: T, target: T, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    weight: T | None = None,
) -> T:  # fmt: skip
    """Return the squared error (input - target) ** 2, times weight, by whose sum the mean then divides."""
    _check_sizes("mse_loss", input, target)
    difference = sub(input, target)
    return _error("mse_loss", mul(difference, difference), size_average, reduce, reduction, weight)


def l1_loss(
    input: T, target: T, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    weight: T | None = None,
) -> T:  # fmt: skip
    """Return the absolute error |input - target|, times weight, by whose sum the mean then divides."""
    _check_sizes("l1_loss", input, target)
    return _error("l1_loss", abs(sub(input, target)), size_average, reduce, reduction, weight)


def _error(op: str, errors: Any, size_average: bool | None, reduce: bool | None, reduction: str, weight: Any) -> Any:
    """Reduce errors, or weigh them and let the mean divide by the sum of weights."""
    if weight is None:
        return _elementwise(op, errors, size_average, reduce, reduction)
    if weight._array.shape != errors._array.shape:
        raise ValueError(f"{op}: weight must have the input's shape, got {tuple(weight._array.shape)}")
    return _weighted(op, mul(errors, weight), weight, named_reduction(size_average, reduce, reduction))


def _elementwise(
    op: str, losses: Any, size_average: bool | None, reduce: bool | None, reduction: str, weight: Any = None
) -> Any:
    """Weigh and reduce the losses of elements."""
    losses = losses if weight is None else mul(losses, weight)
    return reduced(op, losses, named_reduction(size_average, reduce, reduction))


def at_least(x: Any, least: float) -> Any:
    """Return max(x, least) with the derivative of x."""
    value = x.detach()
    return add(x, sub(maximum(value, value.new_full((), least)), value))


def smooth_l1_loss(
    input: T, target: T, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    beta: float = 1.0,
) -> T:  # fmt: skip
    """Return error ** 2 / (2 * beta) where |error| < beta, |error| - beta / 2 elsewhere."""
    _check_sizes("smooth_l1_loss", input, target)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss: beta must not be negative, got {beta}")
    error = sub(input, target)
    size = abs(error)
    losses = size if beta == 0 else where(lt(size, beta), mul(mul(error, error), 0.5 / beta), sub(size, 0.5 * beta))
    return _elementwise("smooth_l1_loss", losses, size_average, reduce, reduction)


def huber_loss(input: T, target: T, reduction: str = "mean", delta: float = 1.0, weight: T | None = None) -> T:
    """Return error ** 2 / 2 where |error| <= delta, delta * (|error| - delta / 2) elsewhere, times weight.  Huber, 1964."""
    _check_sizes("huber_loss", input, target)
    if delta <= 0:
        raise RuntimeError(f"huber_loss: delta must be positive, got {delta}")
    if weight is not None and weight._array.shape != input._array.shape:
        raise ValueError(f"huber_loss: weight must have the input's shape, got {tuple(weight._array.shape)}")
    error = sub(input, target)
    size = abs(error)
    losses = where(le(size, delta), mul(mul(error, error), 0.5), mul(sub(size, 0.5 * delta), delta))
    return _elementwise("huber_loss", losses, None, None, reduction, weight)


def kl_div(
    input: T, target: T, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    log_target: bool = False,
) -> T:  # fmt: skip
    """Return target * (ln target - input) for log-probabilities input; log_target: target holds logarithms too.

    reduction 'batchmean' divides the sum by the first size, which is the divergence; 'mean' by the number of elements.
    """
    check_tensors("kl_div", input, target)
    losses = mul(exp(target), sub(target, input)) if log_target else sub(_times_log(target, target), mul(target, input))
    if reduction == "batchmean" and size_average is None and reduce is None:
        return div(sum_(losses), input._array.shape[0] if input._array.ndim else 1)
    return _elementwise("kl_div", losses, size_average, reduce, reduction)


def _times_log(x: Any, y: Any) -> Any:
    """Return x * ln y, 0 where x is 0."""
    zero = ~ne(x, 0)
    return where(zero, 0.0, mul(x, log(where(zero, 1.0, y))))


def _check_same_shape(op: str, input: Any, target: Any) -> None:
    check_tensors(op, input, target)
    if target._array.shape != input._array.shape:
        raise ValueError(
            f"{op}: target must have the input's shape {tuple(input._array.shape)}, got {tuple(target._array.shape)}"
        )


_binary_cross_entropy = row(
    "binary_cross_entropy",
    lambda dy, a, b: dy * (a - b) / clamp(mul(a, 1 - a), min=1e-12),
    lambda dy, a: dy * (clamp(log1p(-a), min=-100.0) - clamp(log(a), min=-100.0)),
)


def binary_cross_entropy(
    input: T, target: T, weight: T | None = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> T:  # fmt: skip
    """Return -(target * ln input + (1 - target) * ln(1 - input)) of probabilities, times weight; logarithms end at -100."""
    _check_same_shape("binary_cross_entropy", input, target)
    if input._array.dtype != target._array.dtype or input._array.dtype.kind != "f":
        raise RuntimeError(
            f"binary_cross_entropy: input and target must have one floating dtype, got {input._array.dtype} and "
            f"{target._array.dtype}"
        )
    if not bool(all(ge(input, 0) & le(input, 1))):
        raise RuntimeError("binary_cross_entropy: all elements of input must lie between 0 and 1; apply sigmoid first")
    losses = _binary_cross_entropy(input, target)
    return _elementwise("binary_cross_entropy", losses, size_average, reduce, reduction, weight)


def binary_cross_entropy_with_logits(
    input: T, target: T, weight: T | None = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", pos_weight: T | None = None,
) -> T:  # fmt: skip
    """Return the binary cross-entropy of sigmoid(input), computed safely, times weight; pos_weight weighs positive targets."""
    _check_same_shape("binary_cross_entropy_with_logits", input, target)
    check_floating("binary_cross_entropy_with_logits", target)
    certainty = logsigmoid(input)
    if pos_weight is not None:
        certainty = mul(certainty, add(mul(sub(pos_weight, 1), target), 1))
    losses = sub(mul(_complement(target), input), certainty)
    return _elementwise("binary_cross_entropy_with_logits", losses, size_average, reduce, reduction, weight)


def _complement(target: Any) -> Any:
    return 1 - target


def soft_margin_loss(
    input: T, target: T, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> T:
    """Return ln(1 + e ** (-target * input)) for targets -1 and 1."""
    check_tensors("soft_margin_loss", input, target)
    losses = log1p(exp(mul(neg(target), input)))
    return _elementwise("soft_margin_loss", losses, size_average, reduce, reduction)


def multilabel_soft_margin_loss(
    input: T, target: T, weight: T | None = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> T:  # fmt: skip
    """Return the binary cross-entropy of sigmoid(input) (N, C), times weight (C,), averaged over classes."""
    check_tensors("multilabel_soft_margin_loss", input, target)
    losses = neg(add(mul(target, logsigmoid(input)), mul(_complement(target), logsigmoid(neg(input)))))
    losses = mean(losses if weight is None else mul(losses, weight), -1)
    return _elementwise("multilabel_soft_margin_loss", losses, size_average, reduce, reduction)


def poisson_nll_loss(
    input: T, target: T, log_input: bool = True, full: bool = False, size_average: bool | None = None,
    eps: float = 1e-8, reduce: bool | None = None, reduction: str = "mean",
) -> T:  # fmt: skip
    """Return e ** input - target * input, or input - target * ln(input + eps); `full` adds Stirling's term of target > 1."""
    check_tensors("poisson_nll_loss", input, target)
    if log_input:
        losses = sub(exp(input), mul(target, input))
    else:
        losses = sub(input, mul(target, log(add(input, eps))))
    if full:
        large = gt(target, 1)
        counts = where(large, target, 1.0)
        stirling = add(sub(mul(counts, log(counts)), counts), mul(log(mul(counts, 2 * pi)), 0.5))
        losses = add(losses, where(large, stirling, 0.0))
    return _elementwise("poisson_nll_loss", losses, size_average, reduce, reduction)


def gaussian_nll_loss(
    input: T, target: T, var: T | float, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> T:
    """Return (ln var + (input - target) ** 2 / var) / 2, var at least eps; `full` adds the constant ln(2 pi) / 2."""
    check_tensors("gaussian_nll_loss", input, target)
    variance: Any = input.new_full(input._array.shape, var) if isinstance(var, float) else var  # type: ignore[attr-defined]
    check_tensors("gaussian_nll_loss", variance)
    if bool((variance < 0).any()):
        raise ValueError("gaussian_nll_loss: var must not be negative")
    x, v = input._array.shape, variance._array.shape
    if v == x[:-1] and v != x:
        variance = unsqueeze(variance, -1)
    elif v != x and not (len(v) == len(x) and [b for a, b in zip(x, v) if a != b] == [1]):
        raise ValueError(f"gaussian_nll_loss: var of shape {tuple(v)} does not fit input {tuple(x)}")
    variance = at_least(variance, eps)
    difference = sub(input, target)
    losses = mul(add(log(variance), div(mul(difference, difference), variance)), 0.5)
    return reduced("gaussian_nll_loss", add(losses, 0.5 * ln(2 * pi)) if full else losses, reduction)
