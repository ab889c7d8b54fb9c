"""Writing to chosen places: scatter, index_* and masks, out of place and in place."""

import numpy as np
import pytest

from .compare import Const, agree_or_both_reject, check_all, integers, mask, normal, rows

ROWS = rows("""
    t.scatter(x, 1, u, y)
    x.scatter(0, j % 3, y)
    t.scatter(x, 1, u, 2.5)
    x.scatter(1, u, value=1)
    x.scatter(dim=1, index=u, src=y)
    (x * 1).scatter_(1, u, y)
    (x * 1).scatter_(1, u, 7.0)
    t.scatter(x.detach(), 1, j, y.detach(), reduce="add")
    x.detach().scatter(1, j, y.detach(), reduce="multiply")
    x.scatter(1, j, y.float() if x.dtype == t.float64 else y.double())
    x.scatter(1, j + 4, y)
    x.scatter(2, j, y)
    x.detach().scatter(1, u[:, :2], y.detach())
    x.scatter_add(1, j, y), x.detach().scatter_add(0, j[:2] % 3, y.detach())
    x.scatter_reduce(1, j, y, "sum")
    x.scatter_reduce(1, j, y, "sum", include_self=False)
    x.scatter_reduce(1, j, y, reduce="mean")
    x.scatter_reduce(1, j, y, reduce="mean", include_self=False)
    x.scatter_reduce(1, j, y, "amax")
    x.scatter_reduce(1, j, y, "amin")
    x.scatter_reduce(1, j, y, "amax", include_self=False)
    x.scatter_reduce(1, j, y, "amin", include_self=False)
    x.scatter_reduce(1, j, x, "amax")
    x.scatter_reduce(1, j, y, "prod")
    x.scatter_reduce(1, j, y, "prod", include_self=False)
    (x * (x > 0)).scatter_reduce(1, j, y * (y > 0), "prod")
    (x * 1).scatter_reduce_(1, j, y, "sum")
    x.scatter_reduce(1, j, y, "most")
    t.index_add(x, 0, k, y[:2])
    x.index_add(1, k, y[:, :2], alpha=2)
    (x * 1).index_add_(0, k, y[:2])
    x.index_add(0, k, y)
    s.index_add(0, k[0], s)
    x.index_copy(0, k, y[:2])
    (x * 1).index_copy_(1, k, y[:, :2])
    x.index_fill(0, k, 3.0)
    (x * 1).index_fill_(1, k, -1)
    x.index_fill(1, k, s)
    x.index_fill(1, k, y)
    x.index_put((k, k), y[0, :2])
    x.index_put((k,), y[0])
    x.index_put((k, k), s, accumulate=True)
    (x * 1).index_put_((k, t.zeros_like(k)), y[0, :2], accumulate=True)
    (x * 1).index_put_((m,), s)
    t.index_select(x, 1, k), x.index_select(0, k), s.index_select(0, k[1] - k[1])
    t.masked_select(x, m)
    x.masked_select(m[:1])
    v.masked_select(m)
    x.masked_scatter(m, y)
    (x * 1).masked_scatter_(m[0], y)
    x.masked_scatter(m, y[0, :1])
    x.masked_fill(m, 2), x.masked_fill(m, s), (x * 1).masked_fill_(m[0], 0)
    x.take(j)
    t.take(x, j - 4)
    x.take(j + 20)
    x.put(k, y[0, :2])
    (x * 1).put_(k, y[0, :2], accumulate=True)
    t.take_along_dim(x, j, 1)
    t.take_along_dim(x, j[:1], 1)
    t.take_along_dim(x, j)
    x.gather(1, j), t.gather(x, 0, j % 3)
    t.argwhere(x > 0), t.nonzero(m), t.nonzero(m, as_tuple=True), m.nonzero(), t.where(m), s.nonzero()
    x.gather(1, x)
    t.where(m, x, y), x.where(m, y), x.where(m, 0)
""")


@pytest.mark.parametrize("code", ROWS)
def test_values_and_gradients(code):
    u = np.argsort(normal(3, 4, seed=9), axis=1)
    inputs = {
        "x": normal(3, 4), "y": normal(3, 4, seed=1), "j": integers(3, 4, low=0, high=4), "u": u, "m": mask(3, 4),
        "k": np.array([2, 0]), "s": np.array(1.5), "v": normal(4, seed=2),
    }  # fmt: skip
    single = {name: a.astype(np.float32) if a.dtype.kind == "f" else a for name, a in inputs.items()}
    whole = {n: Const(integers(*a.shape, seed=3)) if a.dtype.kind == "f" else a for n, a in inputs.items()}
    check_all([(code, inputs), (code, single), *([(code, whole)] if "mean" not in code else [])])


@pytest.mark.parametrize("code", rows("""
    x.scatter(0, i, x)
    x.scatter_reduce(0, i, x, "sum")
    x.index_add(0, i[0], x[:0])
    x.masked_select(x > 0)
    x.take(i)
    t.argwhere(x)
"""))  # fmt: skip
def test_empty(code):
    agree_or_both_reject(code, x=Const(normal(2, 0)), i=integers(2, 0))
