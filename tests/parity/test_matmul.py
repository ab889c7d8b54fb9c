"""Matrix products in all combinations of ranks, layouts and dtypes; linear."""

import itertools

import numpy as np
import pytest

from .compare import Const, agree, both_reject, check_all, integers, normal, rows

SHAPES = [
    (), (1,), (3,), (4,), (3, 4), (4, 3), (1, 4), (4, 1), (4, 4), (2, 3, 4), (2, 4, 3), (1, 4, 4), (2, 4), (5, 1, 3, 4),
    (2, 4, 5), (5, 2, 4, 3), (0,), (0, 4), (4, 0), (2, 0, 4), (2, 4, 0),
]  # fmt: skip


@pytest.mark.parametrize("a", SHAPES, ids=str)
def test_ranks(a):
    check_all([("x @ y", {"x": normal(*a), "y": normal(*b, seed=1)}) for b in SHAPES])


@pytest.mark.parametrize(
    "code",
    rows("""
    t.matmul(x, y)
    x.matmul(y)
    t.mm(x, y)
    x.mm(y)
    x @ y
    x @ y[:, 0]
    x[0] @ y
    x[0] @ y[:, 0]
    x.t() @ x
    x @ x.t()
    x.T @ x.T.T
    x[:, ::2] @ y[::2]
    x.t()[::2].t() @ y[::2]
    x[:1].expand(3, 4) @ y
    x @ y[:, :1].expand(4, 2)
    t.bmm(x[None], y[None])
    x[None].bmm(y[None])
    t.bmm(x.expand(5, 3, 4), y.expand(5, 4, 2))
    t.bmm(x[None].transpose(1, 2), x[None])
    t.matmul(x.expand(5, 3, 4), y)
    t.matmul(x, y.expand(5, 4, 2))
    t.matmul(x.expand(5, 3, 4).transpose(0, 1), y)
    t.matmul(x.view(3, 1, 4), y.view(1, 4, 2))
    t.matmul(x.view(3, 1, 4).expand(3, 6, 4).permute(1, 0, 2), y)
    (x @ y).sum() + (x @ y).mean()
    x.float() @ y.float()
    x @ y.detach(), x.detach() @ y
"""),
)
def test_forms(code):
    agree(code, x=normal(3, 4), y=normal(4, 2, seed=1))


@pytest.mark.parametrize(
    "code", ["x @ y", "t.bmm(x, y)", "x[:, None] @ y[None, 0:0]", "F.adaptive_avg_pool2d(x[:, None], (2, 3))"]
)
def test_no_matrices(code):
    agree(code, x=normal(0, 3, 4), y=normal(0, 4, 3))


def test_integers():
    for dtype in ("int64", "int32", "int8", "uint8"):
        agree(
            "x @ y, x[0] @ y, x @ y[:, 0], t.bmm(x[None], y[None])",
            x=integers(3, 4, low=0, dtype=dtype),
            y=integers(4, 2, low=0, dtype=dtype),
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sizes(dtype):
    random = np.random.default_rng(0)
    for _ in range(40):
        m, k, n = (int(random.choice([1, 2, 3, 7, 8, 16, 17, 33, 64])) for _ in range(3))
        agree("x @ y", scaled=True, x=normal(m, k, dtype=dtype), y=normal(k, n, seed=1, dtype=dtype))
        agree("x.t() @ y.t()", scaled=True, x=normal(k, m, dtype=dtype), y=normal(n, k, seed=1, dtype=dtype))


def test_special_values():
    x = np.array([[np.inf, 1.0], [np.nan, 0.0], [0.0, 0.0]])
    agree("x @ y", x=Const(x), y=Const(np.array([[0.0, 1.0], [1.0, 1.0]])))


@pytest.mark.parametrize(
    ("x", "w", "b"),
    list(itertools.product([(4,), (3, 4), (2, 3, 4), (2, 1, 3, 4), (0, 4), (1, 4)], [(5, 4), (1, 4)], [True, False])),
)
def test_linear(x, w, b):
    agree("F.linear(x, w, b)", x=normal(*x), w=normal(*w, seed=1), b=normal(w[0], seed=2) if b else None)


@pytest.mark.parametrize(
    "code",
    rows("""
    F.linear(x, w)
    F.linear(x.t(), w[:, :3])
    F.linear(x[:, ::2], w[:, ::2], b)
    F.linear(x[None].expand(2, 3, 4), w, b)
    F.linear(x[None].expand(2, 3, 4).transpose(0, 1), w, b)
    F.linear(x, w[0])
    F.linear(x[0], w[0])
    F.linear(input=x, weight=w, bias=b)
    F.linear(x.detach(), w, b)
    F.linear(x, w.detach(), b)
    F.linear(x, w, b.detach())
    F.linear(x[0], w, b)
    F.linear(x[:, :0], w[:, :0], b)
    F.linear(x, w[:0], b[:0])
    F.linear(x.float(), w.float(), b.float())
"""),
)
def test_linear_forms(code):
    agree(code, x=normal(3, 4), w=normal(5, 4, seed=1), b=normal(5, seed=2))


@pytest.mark.parametrize(
    "code",
    rows("""
    x @ x
    x @ x[0, :3]
    x[0] @ x[0, :2]
    x @ 3
    3 @ x
    x @ [1, 2, 3, 4]
    x @ x.float().t()
    x @ x.long().t()
    x[0, 0] @ x
    x @ x[0, 0]
    t.matmul(x, None)
    t.mm(x, x[0])
    t.mm(x[None], x.t()[None])
    t.mm(x, x)
    t.bmm(x, x.t())
    t.bmm(x[None], x[None])
    t.bmm(x.expand(2, 3, 4), x.t().expand(3, 4, 3))
    t.bmm(x[None], x.t())
    t.matmul(x.expand(2, 3, 4), x.t().expand(3, 4, 3))
    F.linear(x, w[:, :3])
    F.linear(x, w, b[:2])
    F.linear(x, w.float())
    F.linear(x, w, b.float())
    F.linear(x, w[None])
    F.linear(x[0, 0], w)
    F.linear(x, None)
    F.linear([1.0], w)
    F.linear(x.long(), w)
    F.linear(x, w, 3)
"""),
)
def test_errors(code):
    both_reject(code, x=normal(3, 4), w=normal(5, 4, seed=1), b=normal(5, seed=2))
