"""Distances, similarities, and the losses that compare: pairs, triplets, and scores of several classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.graph import wrap
from ..geometry import broadcast
from .elementwise import (
    T, _relu, add, check_floating, check_tensors, clamp, div, eq, minimum, mul, ne, neg, sqrt, sub, where,
)  # fmt: skip
from .index import gather, index_select
from .loss import _elementwise, at_least, reduced
from .matmul import matmul
from .order import vector_norm
from .reduce import sum as sum_
from .shape import expand, movedim, reshape, squeeze, unsqueeze


def normalize(input: T, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Any = None) -> T:
    """Return input divided by its p-norm along `dim`, which counts as at least eps."""
    check_floating("normalize", input)
    if out is not None:
        raise NotImplementedError("normalize: out is not supported; assign the result")
    return div(input, clamp(vector_norm(input, p, dim, True), min=eps))


def cosine_similarity(x1: T, x2: T, dim: int = 1, eps: float = 1e-8) -> T:
    """Return x1 . x2 / (|x1| * |x2|) along an axis; norms count as at least eps."""
    check_floating("cosine_similarity", x1, x2)
    shape = broadcast("cosine_similarity", x1._array.shape, x2._array.shape)
    a, b = [expand(x, shape) for x in (x1, x2)]
    return sum_(mul(*[div(x, at_least(vector_norm(x, 2, dim, True), eps)) for x in (a, b)]), dim)


def pairwise_distance(x1: T, x2: T, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> T:
    """Return the p-norm of x1 - x2 + eps along the last axis."""
    check_tensors("pairwise_distance", x1, x2)
    return vector_norm(add(sub(x1, x2), eps), p, -1, keepdim)


def bilinear(input1: T, input2: T, weight: T, bias: T | None = None) -> T:
    """Return y[.., k] = input1[.., i] * weight[k, i, j] * input2[.., j], summed over i and j, + bias[k]."""
    check_tensors("bilinear", input1, input2, weight)
    a, b, w = input1._array.shape, input2._array.shape, weight._array.shape
    if len(w) != 3 or a[:-1] != b[:-1] or a[-1:] != w[1:2] or b[-1:] != w[2:]:
        raise RuntimeError(f"bilinear: inputs {tuple(a)} and {tuple(b)} do not fit weight {tuple(w)} (O, I, J)")
    rows = reshape(input1, -1, w[1])
    left = reshape(matmul(rows, reshape(movedim(weight, 0, 1), w[1], w[0] * w[2])), -1, w[0], w[2])
    y = reshape(sum_(mul(left, reshape(input2, -1, 1, w[2])), -1), *a[:-1], w[0])
    return y if bias is None else add(y, bias)


# ---- losses of pairs and triplets ----


def hinge_embedding_loss(
    input: T, target: T, margin: float = 1.0, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> T:  # fmt: skip
    """Return the distance input where target is 1, max(0, margin - input) where it is -1."""
    check_tensors("hinge_embedding_loss", input, target)
    apart = where(ne(target, 1), clamp(add(neg(input), margin), min=0), 0.0)
    losses = add(apart, where(ne(target, -1), input, 0.0))
    return _elementwise("hinge_embedding_loss", losses, size_average, reduce, reduction)


def cosine_embedding_loss(
    input1: T, input2: T, target: T, margin: float = 0, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> T:  # fmt: skip
    """Return 1 - cos(input1, input2) where target is 1, max(0, cos - margin) where it is -1; inputs (N, D) or (D,)."""
    check_tensors("cosine_embedding_loss", input1, input2, target)
    a, b, t = input1._array.shape, input2._array.shape, target._array.shape
    if len(a) not in (1, 2) or len(a) != len(b) or len(t) != len(a) - 1:
        raise RuntimeError(
            f"cosine_embedding_loss: expected inputs (N, D) and target (N,), or (D,) and a number, got {tuple(a)}, {tuple(b)} "
            f"and {tuple(t)}"
        )
    squares = [add(sum_(mul(x, x), -1), 1e-12) for x in (input1, input2)]
    cosine = div(sum_(mul(input1, input2), -1), sqrt(mul(*squares)))
    apart = where(eq(target, -1), clamp(sub(cosine, margin), min=0), 0.0)
    losses = add(where(eq(target, 1), sub(1, cosine), 0.0), apart)
    return _elementwise("cosine_embedding_loss", losses, size_average, reduce, reduction)


def margin_ranking_loss(
    input1: T, input2: T, target: T, margin: float = 0, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> T:  # fmt: skip
    """Return max(0, -target * (input1 - input2) + margin): target 1 says that input1 should be the larger."""
    check_tensors("margin_ranking_loss", input1, input2, target)
    if not input1._array.ndim == input2._array.ndim == target._array.ndim:
        raise RuntimeError("margin_ranking_loss: inputs and target must have the same number of dimensions")
    losses = clamp(add(mul(neg(target), sub(input1, input2)), margin), min=0)
    return _elementwise("margin_ranking_loss", losses, size_average, reduce, reduction)


def triplet_margin_loss(
    anchor: T, positive: T, negative: T, margin: float = 1.0, p: float = 2, eps: float = 1e-6, swap: bool = False,
    size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> T:  # fmt: skip
    """Return max(0, margin + |anchor - positive| - |anchor - negative|) of vectors (N, D) or (D,).  Balntas et al., 2016."""

    def distance(x1: Any, x2: Any) -> Any:
        return pairwise_distance(x1, x2, p, eps)

    losses = _triplets("triplet_margin_loss", anchor, positive, negative, distance, margin, swap)
    return _elementwise("triplet_margin_loss", losses, size_average, reduce, reduction)


def triplet_margin_with_distance_loss(
    anchor: T, positive: T, negative: T, *, distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> T:  # fmt: skip
    """Return triplet_margin_loss with a distance of one's own."""
    op, distance = "triplet_margin_with_distance_loss", distance_function or pairwise_distance
    return reduced(op, _triplets(op, anchor, positive, negative, distance, margin, swap), reduction)


def _triplets(
    op: str, anchor: Any, positive: Any, negative: Any, distance: Callable[[Any, Any], Any], margin: float, swap: bool
) -> Any:
    check_tensors(op, anchor, positive, negative)
    if margin <= 0:
        raise ValueError(f"{op}: margin must be positive, got {margin}")
    if not anchor._array.ndim == positive._array.ndim == negative._array.ndim:
        raise RuntimeError(f"{op}: anchor, positive and negative must have the same number of dimensions")
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return clamp(sub(add(near, margin), far), min=0)


# ---- margins between classes ----


def multi_margin_loss(
    input: T, target: T, p: int = 1, margin: float = 1.0, weight: T | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> T:  # fmt: skip
    """Return the mean over classes i of max(0, margin - x[target] + x[i]) ** p, i not being target, times weight[target].

    input (N, C) or (C,), target (N,) or a number.
    """
    check_floating("multi_margin_loss", input)
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: p must be 1 or 2, got {p}")
    x, t = _score_rows("multi_margin_loss", input, target, 0)
    classes = x._array.shape[1]
    if weight is not None and weight._array.shape != (classes,):
        raise ValueError(f"multi_margin_loss: weight must have shape {(classes,)}, got {tuple(weight._array.shape)}")
    places = unsqueeze(t, 1)
    gaps = _relu(add(sub(x, gather(x, 1, places)), margin))
    others = ne(_class_numbers(x), places)
    losses = where(others, gaps if p == 1 else mul(gaps, gaps), 0.0)
    if weight is not None:
        losses = mul(losses, unsqueeze(index_select(weight, 0, t), 1))
    losses = div(sum_(losses, 1), classes)
    losses = squeeze(losses, 0) if input._array.ndim < 2 else losses
    return _elementwise("multi_margin_loss", losses, size_average, reduce, reduction)


def multilabel_margin_loss(
    input: T, target: T, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> T:
    """Return the sum over targets j and other classes i of max(0, 1 - x[j] + x[i]), divided by C.

    input (N, C) or (C,); target of the same shape holds class numbers, which end before the first -1.
    """
    check_floating("multilabel_margin_loss", input)
    x, t = _score_rows("multilabel_margin_loss", input, target, 1)
    listed = np.logical_and.accumulate(x._backend.to_numpy(t._array) >= 0, axis=1)
    there = wrap(t.result_class, x._backend.from_numpy(listed), x._backend)
    places = where(there, t, 0)
    is_target = (eq(unsqueeze(places, 2), _class_numbers(x)) & unsqueeze(there, 2)).any(1)
    gaps = _relu(add(sub(unsqueeze(x, 1), unsqueeze(gather(x, 1, places), 2)), 1))
    counted = unsqueeze(there, 2) & ~unsqueeze(is_target, 1)
    losses = div(sum_(where(counted, gaps, 0.0), (1, 2)), x._array.shape[1])
    losses = squeeze(losses, 0) if input._array.ndim < 2 else losses
    return _elementwise("multilabel_margin_loss", losses, size_average, reduce, reduction)


def _class_numbers(x: Any) -> Any:
    """Return 0 ... C - 1 for scores x (N, C)."""
    return wrap(x.result_class, x._backend.from_numpy(np.arange(x._array.shape[1])), x._backend)


def _score_rows(op: str, input: Any, target: Any, per_class: int) -> tuple[Any, Any]:
    """Return scores as (N, C) and targets with them, of as many further axes as `per_class` says."""
    check_tensors(op, target)
    x, t = input._array.shape, target._array.shape
    expected = x if per_class else x[:-1]
    if len(x) not in (1, 2) or (t != expected and not (len(x) == 1 and t in ((), (1,)))):
        raise RuntimeError(f"{op}: input {tuple(x)} needs target of shape {tuple(expected)}, got {tuple(t)}")
    if target._array.dtype != np.int64:
        raise RuntimeError(f"{op}: target must be class numbers (int64), got {target._array.dtype}")
    rows = reshape(input, -1, x[-1])
    return rows, reshape(target, rows._array.shape[0], *[-1] * per_class)
