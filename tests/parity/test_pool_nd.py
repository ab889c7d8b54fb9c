"""Pooling along one and three axes, adaptive maxima, unpooling, power averages: over grids of arguments."""

import itertools

import numpy as np
import pytest

from .compare import agree, agree_or_both_reject, check_all, integers, normal, rows

SHAPES = {1: (2, 3, 9), 2: (2, 3, 7, 8), 3: (2, 3, 6, 7, 5)}


def spread(values, axes):
    """Return a number for all axes, or numbers for each: (a, b) becomes (a, b, a)."""
    return tuple((values * 2)[:axes]) if isinstance(values, tuple) else values


@pytest.mark.parametrize("axes", [1, 3])
def test_max_pool(axes):
    grid = itertools.product([2, 3, (3, 2)], [None, 1, (2, 1)], [0, 1], [1, 2], [False, True])
    cases = []
    for kernel, stride, padding, dilation, ceil_mode in grid:
        k, s = spread(kernel, axes), spread(stride, axes)
        code = f"F.max_pool{axes}d(x, {k}, {s}, {padding}, {dilation}, {ceil_mode}, return_indices=True)"
        cases += [
            (code, {"x": normal(*SHAPES[axes])}),
            (code, {"x": integers(*SHAPES[axes], low=0, high=3).astype(float)}),
        ]
    check_all(cases)


@pytest.mark.parametrize("axes", [1, 3])
def test_avg_pool(axes):
    grid = itertools.product([2, 3, (3, 2)], [None, 1, (2, 3)], [0, 1], [False, True], [False, True], [None, 5])
    cases = []
    for kernel, stride, padding, ceil_mode, include, divisor in grid:
        k, s = spread(kernel, axes), spread(stride, axes)
        more = f", {divisor}" if axes == 3 else ""
        cases.append(
            (f"F.avg_pool{axes}d(x, {k}, {s}, {padding}, {ceil_mode}, {include}{more})", {"x": normal(*SHAPES[axes])})
        )
    check_all(cases)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_lp_pool(axes):
    grid = itertools.product([1, 2, 3.0, float("inf"), -float("inf")], [2, 3], [None, 1, 2], [False, True])
    x = {"x": np.abs(normal(*SHAPES[axes])) + 0.1}
    check_all([(f"F.lp_pool{axes}d(x, {p}, {k}, {s}, {c})".replace("(x, inf", "(x, inf"), x) for p, k, s, c in grid])
    agree(f"F.lp_pool{axes}d(x, 2, 2)", x=normal(*SHAPES[axes][1:]))


@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_adaptive(kind, axes):
    sizes = [1, 2, 3, 5, (2, 3), (4, 1), (9, 7)] if axes > 1 else [1, 2, 3, 4, 5, 9, 12, (3,)]
    cases = []
    for size in sizes:
        size = spread(size, axes)
        more = ", return_indices=True" if kind == "max" else ""
        code = f"F.adaptive_{kind}_pool{axes}d(x, {size}{more})"
        cases += [(code, {"x": normal(*SHAPES[axes])}), (code, {"x": normal(*SHAPES[axes][1:])}),
                  (code, {"x": integers(*SHAPES[axes], low=0, high=3).astype(float)})]  # fmt: skip
    cases.append((f"F.adaptive_{kind}_pool{axes}d(x, {(None, 2, None)[:axes]})", {"x": normal(*SHAPES[axes])}))
    check_all(cases[: None if axes > 1 else -1])


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_max_unpool(axes):
    cases = []
    for k, s, p in [(2, None, 0), (3, 2, 1), (2, 1, 0), (3, 3, 0)]:
        pool = f"F.max_pool{axes}d(x, {k}, {s}, {p}, return_indices=True)"
        for size in ("", f", output_size={SHAPES[axes][2:]}", f", output_size={SHAPES[axes]}", ", output_size=[40]"):
            cases.append((f"F.max_unpool{axes}d(*{pool}, {k}, {s}, {p}{size})", {"x": normal(*SHAPES[axes])}))
        cases.append((f"F.max_unpool{axes}d(*{pool}, {k}, {s}, {p})", {"x": normal(*SHAPES[axes][1:])}))
    check_all(cases)


FORMS = rows("""
    F.max_pool1d(a, 2)
    F.max_pool1d(a[0], 3, 2, 1, return_indices=True)
    F.max_pool1d(a.float(), (3,), stride=(2,))
    F.max_pool1d(a[:0], 2)
    F.avg_pool1d(a[0], 2)
    F.avg_pool1d(a, kernel_size=(2,), stride=(1,), padding=(1,), count_include_pad=False)
    F.max_pool3d(b, 2)
    F.max_pool3d(b[0], (1, 2, 3), return_indices=True)
    F.max_pool3d(b.float(), 3, 2, 1)
    F.max_pool3d(b.transpose(2, 4), 2)
    F.avg_pool3d(b[0], 3, 2, 1)
    F.avg_pool3d(b, (2, 1, 2), divisor_override=3)
    F.max_pool1d(a, 3, 1, 2)
    F.max_pool1d(a, 0)
    F.max_pool1d(a, 10)
    F.max_pool1d(a[0, 0], 2)
    F.max_pool3d(b[0, 0], 2)
    F.max_pool3d(b, (2, 2))
    F.avg_pool3d(b, 2, divisor_override=0)
    F.adaptive_max_pool2d(b, 2)
    F.adaptive_avg_pool3d(a, 2)
    F.adaptive_max_pool3d(b, (2, 2))
    F.adaptive_avg_pool1d(a, -1)
    F.max_unpool2d(b[0], b[0].long(), 2)
    F.max_unpool1d(a, a, 2)
    F.max_unpool1d(a, a[:, :, :3].long(), 2)
    F.max_unpool1d(a, a.long() * 0 + 99, 2)
""")


@pytest.mark.parametrize("code", FORMS)
def test_forms(code):
    agree_or_both_reject(code, a=normal(2, 3, 9), b=normal(2, 3, 6, 7, 5))
