"""Scans, sorting, quantiles, counting and the reductions around them."""

import re

import numpy as np
import pytest

from .compare import Const, agree_or_both_reject, both_reject, check_all, integers, mask, normal, rows, same_in_both

DTYPES = ["bool", "uint8", "int32", "int64", "float32", "float64"]
ROWS = rows("""
    t.cumsum(x, 0)
    x.cumsum(-1)
    t.cumsum(x, dim=1, dtype=t.float32)
    t.cumprod(x, 0)
    x.cumprod(1)
    t.cummax(x, 0)
    t.cummax(x, -1)
    x.cummin(1)
    t.logcumsumexp(x, 1)
    t.logcumsumexp(x * 100, 0)
    t.diff(x)
    t.diff(x, dim=0)
    t.diff(x, n=2)
    t.diff(x, prepend=x[:, :1], append=x[:, -2:])
    t.diff(x, n=7)
    t.sort(x)
    t.sort(x, 0, True)
    x.sort(dim=0, descending=True, stable=True)
    t.sort(x, stable=True).values
    x.argsort(0)
    t.argsort(x, dim=-1, descending=True, stable=True)
    t.msort(x)
    t.topk(x, 2)
    x.topk(2, 0)
    t.topk(x, 3, dim=1, largest=False)
    t.topk(x, 9)
    t.mode(x)
    x.mode(0, True)
    t.mode(x, 1)
    t.mode(x.round())
    t.mode(x.round(), 0, keepdim=True)
    t.mode(x[0, 0])
    t.mode(x[:0], 0)
    t.kthvalue(x, 2)
    x.kthvalue(1, 0, True)
    t.kthvalue(x, 0)
    t.median(x)
    t.median(x, 0)
    x.median(1, keepdim=True)
    t.nanmedian(x)
    t.nanmedian(x, 1)
    t.quantile(x, 0.3)
    t.quantile(x, 0.5, 1)
    t.quantile(x, t.tensor([0.1, 0.9], dtype=x.dtype), dim=0)
    t.quantile(x, t.tensor([0.1, 0.9, 1.0], dtype=x.dtype), 1, keepdim=True)
    t.quantile(x, t.tensor([0.25], dtype=x.dtype), keepdim=True)
    t.quantile(x, 0.3, dim=1, interpolation="lower")
    t.quantile(x, 0.3, dim=1, interpolation="higher")
    t.quantile(x, 0.3, dim=1, interpolation="nearest")
    t.quantile(x, 0.3, dim=1, interpolation="midpoint")
    t.quantile(x, 1.5)
    t.nanquantile(x, 0.4, 0)
    t.aminmax(x)
    x.aminmax(dim=1)
    t.aminmax(x, dim=0, keepdim=True)
    t.nansum(x)
    t.nansum(x, 1, True)
    t.nanmean(x, 0)
    t.count_nonzero(x)
    x.count_nonzero(0)
    t.count_nonzero(x, (0, 1))
    t.var_mean(x)
    t.var_mean(x, 1)
    t.std_mean(x, dim=0, correction=0, keepdim=True)
    t.std_mean(x, unbiased=False)
    t.norm(x)
    x.norm()
    x.norm(1)
    x.norm(2, 1)
    x.norm(p=3, dim=0, keepdim=True)
    x.norm(float("inf"))
    x.norm(-inf, 1)
    x.detach().norm(0)
    t.norm(x, "fro", (0, 1))
    t.norm(x, dim=1)
    x.norm(0.5)
    t.dist(x, x * 2 + 1)
    t.dist(x, x + 1, 1)
    t.std(x, 1), t.var(x, (0, 1), correction=2), x.logsumexp((0, 1))
    x.max(1).indices, x.min(0).values, x.max(dim=0)[1]
    t.max(x, 1, keepdim=True), t.min(x, x * 0)
    x.sum((0, 1)), x.mean(1, True), t.prod(x, 1), t.amax(x, (0, 1)), t.argmin(x, 1)
""")


@pytest.mark.parametrize("code", ROWS)
def test_values_and_gradients(code):
    x = normal(3, 5, seed=4)
    cases = [x, x.astype(np.float32), Const(integers(3, 5, low=-3, high=4)), Const(mask(3, 5)), Const(x.T.copy().T)]
    check_all([(code, {"x": case}) for case in cases if case is cases[0] or not tied(code, case)])


def tied(code, case):
    """Return whether PyTorch's answer depends on the order of equal elements, or is an error for bools."""
    array = case.array if isinstance(case, Const) else case
    if array.dtype.kind == "f":
        return "norm(0)" in code
    return ("sort" in code and "stable" not in code) or re.search("topk|kthvalue|median", code)


@pytest.mark.parametrize("code", [c for c in ROWS if "[:, " not in c and "var" not in c and "std" not in c])
@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (1, 1)], ids=str)
def test_unusual_shapes(code, shape):
    if (shape == () and ("quantile(x, t.tensor" in code or "diff" in code)) or (shape == (0,) and "cummin(1)" in code):
        pytest.skip("other shapes in PyTorch")
    agree_or_both_reject(code, x=Const(normal(*shape)))


@pytest.mark.parametrize("code", rows("""
    t.cumsum(x, 0)
    t.cumprod(x, 1)
    t.cummax(x, 1)
    t.cummin(x, 1)
    t.sort(x, stable=True)
    t.sort(x, descending=True, stable=True)
    t.median(x, 1).values
    t.nanmedian(x, 1).values
    t.nanmedian(x)
    t.quantile(x, 0.5, 1)
    t.nanquantile(x, 0.5, 1)
    t.nansum(x, 1)
    t.nanmean(x, 1)
    t.aminmax(x)
    t.logcumsumexp(x, 1)
"""))  # fmt: skip
def test_special_values(code):
    x = np.array([[1, np.nan, 2, 0, 1], [0, 3, 3, -np.inf, 0], [np.inf, 1, 1, 2, np.nan], [0, 2, 0, 3, 4]])
    check_all([(code, {"x": Const(x)}), (code, {"x": Const(x.astype(np.float32))})])


def test_gradients_of_running_products_with_zeros():
    x = np.array([[2.0, 0, 3, 4], [0, 0, 1, 2], [1, 2, 3, 0], [1, 2, 3, 4]])
    check_all([("t.cumprod(x, 1)", {"x": x}), ("t.cumprod(x, 0)", {"x": x})])


COUNTS = rows("""
    t.unique(i)
    t.unique(i, return_inverse=True)
    i.unique(return_counts=True)
    t.unique(i, return_inverse=True, return_counts=True)
    t.unique(i, dim=0)
    t.unique(i, dim=1, return_inverse=True, return_counts=True)
    t.unique_consecutive(j)
    t.unique_consecutive(j, return_inverse=True, return_counts=True)
    t.unique_consecutive(i, dim=0, return_inverse=True)
    t.bincount(j)
    j.bincount(minlength=12)
    t.bincount(j, w)
    t.bincount(j, w.float())
    t.bincount(j - 9)
    t.bincount(i)
    t.bincount(w)
    t.histc(w)
    t.histc(w, 5)
    t.histc(w, bins=4, min=-1, max=1)
    w.histc(3, 0, 0)
    t.histc(w, 0)
    t.searchsorted(w.sort()[0], i.double() / 3)
    t.searchsorted(w.sort()[0], 0.5)
    t.searchsorted(j.sort()[0], i, right=True)
    t.searchsorted(j.sort()[0], i, side="left")
    t.searchsorted(j.sort()[0], i, out_int32=True)
    t.searchsorted(t.sort(i, 1)[0], i.flip(1))
    t.searchsorted(t.sort(i, 1)[0], j)
    t.searchsorted(j, i, sorter=j.argsort())
    t.bucketize(w, w.sort()[0])
    t.bucketize(2.0, w.sort()[0])
    t.bucketize(i, j.sort()[0], right=True)
    t.bucketize(w, i.double())
""")


@pytest.mark.parametrize("code", COUNTS)
def test_counting(code):
    agree_or_both_reject(
        code, i=integers(3, 4, low=-2, high=3), j=np.sort(integers(9, low=0, high=5)), w=Const(normal(9))
    )


def test_refused():
    for code in (
        "t.topk(x, -1)",
        "t.sort(x, 2)",
        "t.norm(x.long())",
        "t.cumsum(x, 3)",
        "t.quantile(x.long(), 0.5)",
        "t.histc(x, 3, 2, 1)",
    ):
        both_reject(code, x=Const(normal(2, 3)))


@pytest.mark.parametrize(
    "values", [[1.0, 2.0, 3.0], [1.0, 0.0, 3.0], [0.0, 0.0, 3.0], [2.0, 0.0, 0.0, 4.0], [0.0, 0.0, 0.0]]
)
@same_in_both
def test_second_derivatives_of_products(t, values):
    """Where elements are 0, quotients of the whole product would give first derivatives only."""
    results = []
    for product in (lambda x: x.cumprod(0), lambda x: x.prod(), lambda x: x.reshape(1, -1, 1).prod(1, keepdim=True)):
        x = t.tensor(values, dtype=t.float64, requires_grad=True)
        y = product(x)
        first = t.autograd.grad((y * t.arange(1.0, y.numel() + 1).view(y.shape)).sum(), x, create_graph=True)[0]
        results += [first, t.autograd.grad((first * t.arange(1.0, len(values) + 1)).sum(), x)[0]]
    return results


@same_in_both
def test_texts_of_named_results(t):
    x = t.tensor([[3.0, 1.0], [2.0, 4.0]])
    return [
        repr(y)
        for y in (x.max(1), x.min(0), x.sort(), x.topk(1), x.kthvalue(1), x.median(0), x.cummax(0), t.aminmax(x))
    ]
