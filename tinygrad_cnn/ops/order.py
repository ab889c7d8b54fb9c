"""Running sums and extremes along an axis, sorting, quantiles, and counting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.graph import Op, TensorBase, wrap
from ..autograd.modes import state
from ..geometry import wrap_dim
from .arrange import flip
from .elementwise import (
    T, abs, cast, check_tensors, div, eq, exp, floor, gt, isnan, log, logical_and, logical_not, logical_or, lt, mul, ne,
    pow, sub, tensor_like, where,
)  # fmt: skip
from .index import gather
from .inplace import takes_out
from .math import lerp
from .reduce import Dim, _typed, amax, amin, argmax, found, mean, result, std, sum, var, without_each
from .shape import flatten, movedim, narrow, numpy_names, reshape, squeeze, unsqueeze

__all__ = [
    "aminmax", "argsort", "bincount", "bucketize", "count_nonzero", "cummax", "cummin", "cumprod", "cumsum", "diff", "dist",
    "histc", "isin", "kthvalue", "logcumsumexp", "median", "mode", "msort", "nanmean", "nanmedian", "nanquantile", "nansum",
    "norm", "quantile", "searchsorted", "sort", "std_mean", "topk", "trapezoid", "trapz", "unique",
    "unique_consecutive", "var_mean",
]  # fmt: skip

INT64 = np.dtype(np.int64)


# ---- running sums, products and extremes ----


class Cumsum(Op):
    """Running sums along an axis."""

    def forward(self, x: Any, dim: int) -> Any:
        self.dim = dim
        return self.backend.scan("cumsum", x, dim)

    def backward(self, dy: Any) -> Any:
        return _from_the_end(dy, self.dim)


class Cumprod(Op):
    """Running products along an axis."""

    def forward(self, x: Any, dim: int) -> Any:
        self.dim = dim
        y = self.backend.scan("cumprod", x, dim)
        self.save(x, y)
        return y

    def backward(self, dy: Any) -> Any:
        (x, y), dim = self.saved_tensors, self.dim
        zero = eq(x, 0)
        if state.grad and bool(zero.any()):  # what comes below has no second derivative there
            products = cumprod(without_each(movedim(x, dim, -1)), -1)
            return movedim(sum(mul(products.triu(), unsqueeze(movedim(dy, dim, -1), -2)), -1), -1, dim)
        count = Cumsum.apply(cast(zero, dy._array.dtype), dim)
        before = div(_from_the_end(mul(dy, y), dim), where(zero, 1.0, x))
        first = logical_and(zero, eq(count, 1))  # the products from here on, but for this zero, are its slope
        without = Cumprod.apply(where(first, 1.0, x), dim)
        at_first = _from_the_end(where(eq(count, 0), 0.0, mul(dy, without)), dim)
        return where(first, at_first, where(eq(count, 0), before, 0.0))


class Logcumsumexp(Op):
    """log(running sums of e ** x) along an axis."""

    def forward(self, x: Any, dim: int) -> Any:
        self.dim = dim
        y = self.backend.scan("logcumsumexp", x, dim)
        self.save(x, y)
        return y

    def backward(self, dy: Any) -> Any:
        x, y = self.saved_tensors

        def part(share: Any) -> Any:
            """Return e ** x times the sum from the end of share * e ** -y, for a share that is not negative."""
            some = gt(share, 0)
            logs = where(some, sub(log(where(some, share, 1.0)), y), -float("inf"))
            return exp(flip(Logcumsumexp.apply(flip(logs, self.dim), self.dim), self.dim) + x)

        return sub(part(where(gt(dy, 0), dy, 0.0)), part(where(lt(dy, 0), -dy, 0.0)))


def _from_the_end(x: Any, dim: int) -> Any:
    """Return sums of each element and all that follow it."""
    return flip(Cumsum.apply(flip(x, dim), dim), dim)


def _scanned(op: str, apply: Callable[..., Any], x: Any, dim: int) -> Any:
    at = wrap_dim(op, dim, x._array.ndim)
    return apply(x, at) if x._array.ndim else reshape(apply(reshape(x, 1), 0), ())


@numpy_names
def cumsum(input: T, dim: int, *, dtype: Any = None) -> T:
    """Return running sums along an axis; integers are added up in int64."""
    return _scanned("cumsum", Cumsum.apply, _typed(input, dtype, True), dim)


@numpy_names
def cumprod(input: T, dim: int, *, dtype: Any = None) -> T:
    """Return running products along an axis; integers are multiplied in int64."""
    return _scanned("cumprod", Cumprod.apply, _typed(input, dtype, True), dim)


@numpy_names
def logcumsumexp(input: T, dim: int) -> T:
    """Return log(running sums of e ** input) along an axis, computed safely."""
    if input._array.dtype.kind != "f":
        raise RuntimeError(f"logcumsumexp: expected a floating dtype, got {input._array.dtype}")
    return _scanned("logcumsumexp", Logcumsumexp.apply, input, dim)


def _running(op: str, input: Any, dim: int) -> Any:
    """Return running extremes and where they were last found."""
    at = wrap_dim(op, dim, input._array.ndim)
    if not input._array.ndim:
        return found(op, input.clone(), cast(tensor_like(input, 0), INT64))
    backend, kind = input._backend, input.result_class
    best = wrap(kind, backend.scan(op, input._array, at), backend)
    reached = logical_or(eq(input.detach(), best), isnan(input))
    size = input._array.shape[at]
    places = wrap(kind, backend.from_numpy(np.arange(size).reshape(size, *[1] * (input._array.ndim - at - 1))), backend)
    indices = wrap(kind, backend.scan("cummax", where(reached, places, 0)._array, at), backend)
    return found(op, gather(input, at, indices), indices)


@numpy_names
def cummax(input: T, dim: int) -> Any:
    """Return (values, indices) of the running maxima along an axis; of equal ones the last."""
    return _running("cummax", input, dim)


@numpy_names
def cummin(input: T, dim: int) -> Any:
    """Return (values, indices) of the running minima along an axis; of equal ones the last."""
    return _running("cummin", input, dim)


@numpy_names
def diff(input: T, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> T:
    """Return differences of neighbours along an axis, `n` times; other tensors may be joined to either end first."""
    from .shape import cat

    at = wrap_dim("diff", dim, input._array.ndim)
    if not input._array.ndim or n < 0:
        raise RuntimeError(f"diff: expected at least 1 dimension and n of at least 0, got {input._array.ndim}, {n}")
    parts = [x for x in (prepend, input, append) if x is not None]
    y: Any = cat(parts, at) if len(parts) > 1 else input
    for _ in range(n):
        size = max(y._array.shape[at] - 1, 0)
        ahead, behind = narrow(y, at, y._array.shape[at] - size, size), narrow(y, at, 0, size)
        y = ne(ahead, behind) if y._array.dtype.kind == "b" else sub(ahead, behind)
    return y


# ---- sorting ----


def _order(op: str, input: Any, dim: int, descending: bool) -> tuple[int, Any]:
    """Return an axis and the places of its elements in sorted order: equal ones in theirs, NaN as the largest."""
    check_tensors(op, input)
    at = wrap_dim(op, dim, input._array.ndim)
    backend = input._backend
    array = input._array if input._array.ndim else backend.reshape(input._array, (1,))
    places = wrap(input.result_class, backend.argsort(array, at, descending), backend)
    return at, places if input._array.ndim else reshape(places, ())


def _picked(input: Any, at: int, places: Any) -> Any:
    """Return what gather picks, also from a tensor without axes."""
    return gather(input, at, places) if input._array.ndim else input.clone()


@numpy_names
def sort(input: T, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """Return (values, indices) of the elements in order along an axis; equal ones keep their order."""
    at, places = _order("sort", input, dim, descending)
    return found("sort", _picked(input, at, places), places)


@numpy_names
def argsort(input: T, dim: int = -1, descending: bool = False, stable: bool = False) -> T:
    """Return the places of the elements in order along an axis; equal ones keep their order."""
    return _order("argsort", input, dim, descending)[1]


def msort(input: T) -> T:
    """Return the elements in order along the first axis."""
    return sort(input, 0).values


@takes_out
def topk(input: T, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """Return (values, indices) of the k largest or smallest elements along an axis, best first."""
    at, places = _order("topk", input, dim, largest)
    size = input._array.shape[at] if input._array.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(f"topk: k must be between 0 and {size}, the size of dim {at}, got {k}")
    places = narrow(places, at, 0, k).contiguous() if input._array.ndim else places
    return found("topk", _picked(input, at, places), places)


@numpy_names
def kthvalue(input: T, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """Return (values, indices) of the k-th smallest elements along an axis, counted from 1."""
    at, places = _order("kthvalue", input, dim, False)
    size = input._array.shape[at] if input._array.ndim else 1
    if not 1 <= k <= size:
        raise RuntimeError(f"kthvalue: k must be between 1 and {size}, the size of dim {at}, got {k}")
    if not input._array.ndim:
        return found("kthvalue", _picked(input, at, places), places)
    places = narrow(places, at, k - 1, 1).contiguous()
    values = gather(input, at, places)
    return found("kthvalue", values, places) if keepdim else found("kthvalue", squeeze(values, at), squeeze(places, at))


@numpy_names
def mode(input: T, dim: int = -1, keepdim: bool = False) -> Any:
    """Return (values, indices) of the most frequent elements along an axis: of equally frequent ones the smallest."""
    at, places = _order("mode", input, dim, False)
    if not input._array.ndim:
        return found("mode", _picked(input, at, places), places)
    size = input._array.shape[at]
    if not size:
        raise IndexError(f"mode: no most frequent of no elements along dim {at}")
    ordered = movedim(gather(input, at, places).detach(), at, -1)
    numbers = wrap(input.result_class, input._backend.from_numpy(np.arange(size)), input._backend)
    begins = ne(numbers, 0).logical_not().expand(ordered._array.shape).clone()  # where runs of equal elements do
    begins[..., 1:] = ne(narrow(ordered, -1, 1, size - 1), narrow(ordered, -1, 0, size - 1))
    lengths = numbers - cummax(where(begins, numbers, 0), -1).values
    places = gather(places, at, movedim(unsqueeze(argmax(lengths, -1), -1), -1, at))
    values = gather(input, at, places)
    return found("mode", values, places) if keepdim else found("mode", squeeze(values, at), squeeze(places, at))


@takes_out
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Any:
    """Return whether each element is among test_elements; `invert` says whether it is not."""
    one = elements if isinstance(elements, TensorBase) else test_elements
    check_tensors("isin", one)
    x, among = [y if isinstance(y, TensorBase) else tensor_like(one, y) for y in (elements, test_elements)]
    y = eq(unsqueeze(x, -1), reshape(among, -1)).any(-1)
    return logical_not(y) if invert else y


def trapezoid(y: Any, x: Any = None, *, dx: float = 1, dim: int = -1) -> Any:
    """Return the integral of y along an axis by trapezoids between points x, or at a distance dx."""
    at = wrap_dim("trapezoid", dim, y._array.ndim)
    less = max(y._array.shape[at] - 1, 0)
    heights = div(narrow(y, at, 0, less) + narrow(y, at, y._array.shape[at] - less, less), 2)
    if x is None:
        return sum(heights * dx, at)
    widths = diff(x, dim=0 if x._array.ndim == 1 else at)
    return sum(heights * (reshape(widths, -1, *[1] * (y._array.ndim - 1 - at)) if x._array.ndim == 1 else widths), at)


trapz = trapezoid


def _median(op: str, input: Any, dim: int | None, keepdim: bool, skip_nan: bool) -> Any:
    if dim is None:
        flat = reshape(input, -1)
        if not flat._array.shape[0]:
            return input.new_full((), float("nan")) if input._array.dtype.kind == "f" else input.new_zeros(())
        return _median(op, flat, 0, False, skip_nan).values
    at = wrap_dim(op, dim, input._array.ndim)
    _, places = _order(op, input, dim, False)
    if not input._array.ndim:
        return found(op, input.clone(), places)
    size = input._array.shape[at]
    if not size:
        raise IndexError(f"{op}: no median of no elements along dim {at}")
    missing = sum(isnan(input), at, True)
    middle = (size - missing - 1) // 2 if skip_nan else where(gt(missing, 0), size - missing, (size - 1) // 2)
    chosen = gather(places, at, middle.clamp(min=0))
    values = gather(input, at, chosen)
    return found(op, values, chosen) if keepdim else found(op, squeeze(values, at), squeeze(chosen, at))


@numpy_names
def median(input: T, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return the median, of an even number of elements the lower one; with `dim` (values, indices) along it."""
    return _median("median", input, dim, keepdim, False)


@numpy_names
def nanmedian(input: T, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return the median of the elements that are not NaN; see median."""
    return _median("nanmedian", input, dim, keepdim, True)


def _quantile(op: str, input: Any, q: Any, dim: int | None, keepdim: bool, interpolation: str, skip_nan: bool) -> Any:
    ways = {"linear": "", "lower": "floor", "higher": "ceil", "nearest": "round", "midpoint": ""}
    if interpolation not in ways:
        raise RuntimeError(f"{op}: interpolation must be one of {', '.join(ways)}, got {interpolation!r}")
    check_tensors(op, input)
    if input._array.dtype.kind != "f":
        raise RuntimeError(f"{op}: expected a floating dtype, got {input._array.dtype}")
    q = q if isinstance(q, TensorBase) else tensor_like(input, q)
    if q._array.dtype != input._array.dtype or q._array.ndim > 1:
        raise RuntimeError(f"{op}: q must be a number or a vector of {input._array.dtype}")
    if bool(logical_or(lt(q, 0), gt(q, 1)).any()):
        raise RuntimeError(f"{op}: q must lie between 0 and 1")
    ndim = input._array.ndim
    x = flatten(input) if dim is None else input if ndim else reshape(input, 1)
    at = 0 if dim is None else wrap_dim(op, dim, ndim)
    size = x._array.shape[at]
    if 0 in x._array.shape:
        raise RuntimeError(f"{op}: no quantile of no elements")
    x = x.transpose(at, -1)
    ordered = sort(x).values
    missing = sum(isnan(x), -1, True)
    last = cast(size - missing if skip_nan else tensor_like(x, size), x._array.dtype) - 1
    rank = mul(reshape(q, -1), last.clamp(min=0)).expand(*x._array.shape[:-1], q.numel())
    if ways[interpolation]:
        rank = getattr(rank, ways[interpolation])()
    below = floor(rank)
    low, high = [gather(ordered, x._array.ndim - 1, cast(r, INT64)) for r in (below, rank.ceil())]
    y = lerp(low, high, tensor_like(x, 0.5) if interpolation == "midpoint" else sub(rank, below))
    if not skip_nan:
        y = where(gt(missing, 0), float("nan"), y)
    if dim is None:
        y = reshape(y, q.numel(), *[1] * ndim) if keepdim else reshape(y, -1)
    else:
        y = unsqueeze(y.movedim(-1, 0), -1).transpose(at + 1, -1)
        y = y if keepdim and ndim else squeeze(y, at + 1)
    return y if q._array.ndim else squeeze(y, 0)


@takes_out
def quantile(input: T, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear") -> T:
    """Return the q-quantiles along an axis (default: of all elements); a vector of q adds a first axis."""
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False)


@takes_out
def nanquantile(input: T, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear") -> T:
    """Return the q-quantiles of the elements that are not NaN; see quantile."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True)


# ---- more reductions ----


@numpy_names
def aminmax(input: T, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return (min, max) along an axis (default: of all elements)."""
    dims = () if dim is None else dim
    return result("aminmax", "min", "max")(amin(input, dims, keepdim), amax(input, dims, keepdim))


@numpy_names
def nansum(input: T, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> T:
    """Return the sum along axes, NaN counting as 0."""
    return sum(where(isnan(input), 0, input), dim, keepdim, dtype=dtype)


@numpy_names
def nanmean(input: T, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> T:
    """Return the mean along axes of the elements that are not NaN."""
    if input._array.dtype.kind != "f":
        raise RuntimeError(f"nanmean: expected a floating dtype, got {input._array.dtype}")
    count = sum(logical_not(isnan(input)), dim, keepdim)
    return div(nansum(input, dim, keepdim, dtype=dtype), count)


@numpy_names
def count_nonzero(input: T, dim: Dim = None) -> T:
    """Return how many elements along axes are not 0."""
    return sum(ne(input, 0), dim)


def _spread(function: Callable[..., Any]) -> Callable[..., Any]:
    def both(input: T, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *,
             correction: float | None = None) -> tuple[T, T]:  # fmt: skip
        y = function(input, dim, unbiased, keepdim, correction=correction)
        return y, mean(input, None if isinstance(dim, bool) else dim, keepdim)

    both.__name__ = both.__qualname__ = f"{function.__name__}_mean"
    both.__doc__ = f"Return {function.__name__}() and mean() along axes (default: all)."
    return numpy_names(both)


var_mean, std_mean = _spread(var), _spread(std)


@numpy_names
def norm(input: T, p: Any = "fro", dim: Dim = None, keepdim: bool = False, dtype: Any = None) -> T:
    """Return the p-norm (sum |x| ** p) ** (1 / p) along axes (default: all); p may be inf, -inf, 0, and 'fro' is 2."""
    if not isinstance(input, TensorBase) or input._array.dtype.kind != "f":
        raise RuntimeError("norm: expected a floating tensor; convert with .float()")
    if isinstance(p, str):
        if p != "fro":
            raise RuntimeError(f"norm: p must be a number or 'fro', got {p!r}")
        p = 2
    return vector_norm(input, 2 if p is None else p, dim, keepdim, dtype=dtype)


@takes_out
def vector_norm(x: T, ord: float = 2, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> T:
    """Return the norm of vectors along axes (default: of all elements); see norm."""
    y: Any = _typed(x, dtype, False)
    if y._array.dtype.kind != "f":
        raise RuntimeError(f"linalg.vector_norm: expected a floating dtype, got {y._array.dtype}")
    dims = () if dim is None else dim
    if ord in (float("inf"), -float("inf")):
        return (amax if ord > 0 else amin)(abs(y), dims, keepdim)
    if ord == 0:
        return sum(cast(ne(y, 0), y._array.dtype), dim, keepdim)
    if ord == 1:
        return sum(abs(y), dim, keepdim)
    powers = sum(mul(y, y) if ord == 2 else pow(abs(y), ord), dim, keepdim)
    some = ne(powers, 0)  # elsewhere the root has an infinite derivative, and the norm 0
    root = pow(where(some, powers, 1.0), 1 / ord)
    return where(some, root, 0.0 if ord > 0 else float("inf"))


def dist(input: T, other: T, p: float = 2) -> T:
    """Return the p-norm of input - other."""
    return norm(sub(input, other), p)


# ---- computed on the host, without gradients ----


def _host(op: str, *tensors: Any) -> list[np.ndarray]:
    check_tensors(op, *tensors)
    return [x._backend.to_numpy(x._array) for x in tensors]


def _like(input: Any, array: Any) -> Any:
    return wrap(input.result_class, input._backend.from_numpy(np.array(array, order="C", copy=None)), input._backend)


def unique(
    input: T, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """Return the different elements (or, with `dim`, slices) in order; optionally where each went, and how often."""
    (x,) = _host("unique", input)
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=dim)
    inverse = inverse.reshape(-1 if dim is not None else x.shape)
    return _chosen(input, values, inverse, counts, return_inverse, return_counts)


def _chosen(input: Any, values: Any, inverse: Any, counts: Any, return_inverse: bool, return_counts: bool) -> Any:
    parts = [values, *([inverse] if return_inverse else []), *([counts] if return_counts else [])]
    found = [_like(input, part) for part in parts]
    return found[0] if len(found) == 1 else tuple(found)


def unique_consecutive(
    input: T, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """Return elements (or slices along `dim`) without those that equal the one before; see unique."""
    (x,) = _host("unique_consecutive", input)
    rows = x.reshape(-1) if dim is None else np.moveaxis(x, wrap_dim("unique_consecutive", dim, x.ndim), 0)
    new = np.ones(len(rows), bool)
    new[1:] = (rows[1:] != rows[:-1]).reshape(max(len(rows) - 1, 0), -1).any(axis=1)
    values = rows[new] if dim is None else np.moveaxis(rows[new], 0, dim)
    inverse = np.cumsum(new) - 1
    counts = np.diff([*np.flatnonzero(new), len(rows)])
    return _chosen(
        input, values, inverse.reshape(x.shape) if dim is None else inverse, counts, return_inverse, return_counts
    )


def bincount(input: T, weights: Any = None, minlength: int = 0) -> T:
    """Return how often (or with which total weight) each number 0, 1, ... occurs in a vector of integers."""
    x, *w = _host("bincount", input, *([] if weights is None else [weights]))
    if x.ndim != 1 or x.dtype.kind not in "iu" or (x < 0).any():
        raise RuntimeError("bincount: expected a vector of integers that are not negative")
    if minlength < 0 or (w and w[0].shape != x.shape):
        raise RuntimeError("bincount: minlength must not be negative, and weights have the shape of input")
    counts = np.bincount(x, w[0] if w else None, minlength)
    return _like(input, counts.astype(w[0].dtype) if w and w[0].dtype.kind == "f" else counts)


@takes_out
def histc(input: T, bins: int = 100, min: float = 0, max: float = 0) -> T:
    """Return the counts of elements in `bins` equal intervals from min to max (both 0: from the least to the largest)."""
    (x,) = _host("histc", input)
    if x.dtype.kind != "f":
        raise RuntimeError(f"histc: expected a floating dtype, got {x.dtype}")
    if bins <= 0 or max < min:
        raise RuntimeError(f"histc: bins {bins} must be positive and max {max} not less than min {min}")
    low, high = (x.min(), x.max()) if min == max and x.size else (min, max)
    if low == high:
        low, high = low - 1, high + 1
    inside = x[(x >= low) & (x <= high)].astype(np.float64)
    at = np.minimum(((inside - low) * (bins / (float(high) - float(low)))).astype(np.int64), bins - 1)
    return _like(input, np.bincount(at, minlength=bins).astype(x.dtype))


@takes_out
def searchsorted(
    sorted_sequence: Any, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Any = None,
) -> Any:  # fmt: skip
    """Return where values are to be put into sorted rows (last axis) to keep the order: before equals, or behind (right)."""
    if side not in (None, "left", "right") or (side == "left" and right):
        raise RuntimeError(f"searchsorted: side must be 'left' or 'right' and agree with right, got {side!r}, {right}")
    check_tensors("searchsorted", sorted_sequence)
    values = input if isinstance(input, TensorBase) else tensor_like(sorted_sequence, input)
    edges, v = _host("searchsorted", sorted_sequence, values)
    if sorter is not None:
        edges = np.take_along_axis(edges, _host("searchsorted", sorter)[0], -1)
    if edges.ndim != 1 and edges.shape[:-1] != v.shape[:-1]:
        raise RuntimeError(
            f"searchsorted: all axes but the last must agree, got {edges.shape} and {v.shape}, unless the sequence is a vector"
        )
    where_to: Any = "right" if right or side == "right" else "left"
    if edges.ndim == 1:
        places = np.searchsorted(edges, v, where_to)
    else:
        places = np.empty(v.shape, np.int64)
        for row in np.ndindex(v.shape[:-1]):
            places[row] = np.searchsorted(edges[row], v[row], where_to)
    return _like(sorted_sequence, np.asarray(places).astype(np.int32 if out_int32 else np.int64))


def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False, out: Any = None) -> Any:
    """Return the number of the interval between sorted boundaries in which each element lies."""
    check_tensors("bucketize", boundaries)
    if boundaries._array.ndim != 1:
        raise RuntimeError(f"bucketize: boundaries must be a vector, got {boundaries._array.ndim} dimensions")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right, out=out)
