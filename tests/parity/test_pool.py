"""Max, average and adaptive pooling over a grid of arguments, with indices."""

import itertools

import numpy as np
import pytest

from .compare import Const, agree, agree_or_both_reject, both_reject, check_all, integers, normal, rows

KERNELS = ["2", "3", "(2, 3)", "1", "[3, 2]"]
STRIDES = ["None", "1", "2", "(2, 1)", "3"]
PADDINGS = ["0", "1", "(0, 1)"]


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
def test_max_pool2d(kernel, ceil_mode):
    cases = [
        (
            f"F.max_pool2d(x, {kernel}, {stride}, {padding}, {dilation}, {ceil_mode}, return_indices=True)",
            {"x": normal(2, 2, 7, 8)},
        )
        for stride, padding, dilation in itertools.product(STRIDES, PADDINGS, ["1", "2", "(1, 2)"])
    ]
    check_all(cases, agree_or_both_reject)


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
def test_avg_pool2d(kernel, ceil_mode):
    cases = [
        (
            f"F.avg_pool2d(x, {kernel}, {stride}, {padding}, {ceil_mode}, {include}, {divisor})",
            {"x": normal(2, 2, 7, 8)},
        )
        for stride, padding, include, divisor in itertools.product(STRIDES, PADDINGS, [True, False], [None, 3, -2])
    ]
    check_all(cases, agree_or_both_reject)


@pytest.mark.parametrize(
    "size",
    [1, 2, 3, 5, 7, 8, 10, (1, 1), (2, 3), (None, 2), (7, None), (None, None), (8, 1), [3, 3], (0, 2), 0],
    ids=str,
)
def test_adaptive_avg_pool2d(size):
    for shape in ((2, 3, 7, 8), (3, 8, 8), (1, 1, 1, 1)):
        empty = 0 in np.array(size).reshape(-1)  # has no gradient in PyTorch
        agree_or_both_reject(f"F.adaptive_avg_pool2d(x, {size})", x=Const(normal(*shape)) if empty else normal(*shape))


FORMS = rows("""
    F.max_pool2d(x, 2)
    F.max_pool2d(x, 2, return_indices=True)
    F.max_pool2d(x[0], 3, 1, 1, return_indices=True)
    F.max_pool2d(x, kernel_size=(2, 2), stride=(2, 2), padding=(1, 1))
    F.max_pool2d(x, 2, stride=[])
    F.max_pool2d(x[:0], 2)
    F.max_pool2d(x.transpose(2, 3), 2, return_indices=True)
    F.max_pool2d(x[:, :, ::2], 2)
    F.max_pool2d(x.permute(0, 2, 3, 1), 2)
    F.max_pool2d(x[:, :1].expand(2, 3, 7, 8), 2)
    F.max_pool2d(x.float(), 2, return_indices=True)
    F.max_pool2d(x, (7, 8))
    F.max_pool2d(x, 20, 1, 10)
    F.max_pool2d(x * 0, 2, return_indices=True)
    F.max_pool2d(x.round(), 3, 2, 1, return_indices=True)
    F.max_pool2d(-x.relu(), 3, 1, 1, return_indices=True)
    F.max_pool2d(x - 100, 3, 2, 1)
    F.avg_pool2d(x, 2)
    F.avg_pool2d(x[0], 3, 2, 1)
    F.avg_pool2d(x, kernel_size=2, stride=1, padding=1, ceil_mode=True, count_include_pad=False)
    F.avg_pool2d(x[:0], 2)
    F.avg_pool2d(x.transpose(2, 3), 2)
    F.avg_pool2d(x[:, :, ::2], 2)
    F.avg_pool2d(x, (7, 8))
    F.avg_pool2d(x, 2, divisor_override=1)
    F.avg_pool2d(x.float(), 3, 2, 1)
    F.avg_pool2d(x, 2, stride=[])
    F.adaptive_avg_pool2d(x[0], 2)
    F.adaptive_avg_pool2d(x.transpose(2, 3), (3, 2))
    F.adaptive_avg_pool2d(x.float(), (3, 2))
    F.adaptive_avg_pool2d(x, (2, 2)).sum() + F.avg_pool2d(x, 2).mean()
""")


@pytest.mark.parametrize("code", FORMS)
def test_forms(code):
    agree(code, x=normal(2, 3, 7, 8))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_and_infinity(dtype):
    x = normal(1, 2, 6, 6, dtype=dtype)
    x[0, 0, 1, 1] = x[0, 1, 4, 4] = np.nan  # of two in a window ours takes the first, PyTorch the last
    x[0, 1, 0] = -np.inf
    x[0, 1, 2, 2] = x[0, 1, 2, 3] = np.inf
    for code in ("F.max_pool2d(x, 2, return_indices=True)", "F.max_pool2d(x, 3, 2, 1, return_indices=True)", "F.avg_pool2d(x, 2)",
                 "F.avg_pool2d(x, 3, 2, 1)", "F.max_pool2d(x, 3, 1, 1, 1, True, True)"):  # fmt: skip
        agree(code, x=x)


def test_ties():
    x = integers(2, 3, 9, 9, low=0, high=3).astype(np.float64)
    for code in ("F.max_pool2d(x, 3, 1, 1, return_indices=True)", "F.max_pool2d(x, 2, return_indices=True)",
                 "F.max_pool2d(x, 3, 2, 0, 2, return_indices=True)"):  # fmt: skip
        agree(code, x=x)


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_windows_at_the_edges(ceil_mode):
    cases = []
    for size, kernel, stride in itertools.product(range(1, 7), range(1, 5), range(1, 5)):
        for padding in range(kernel // 2 + 1):
            x = {"x": normal(1, 1, size, size)}
            cases.append((f"F.max_pool2d(x, {kernel}, {stride}, {padding}, 1, {ceil_mode}, True)", x))
            cases += [
                (f"F.avg_pool2d(x, {kernel}, {stride}, {padding}, {ceil_mode}, {include})", x)
                for include in (True, False)
            ]
    check_all(cases, agree_or_both_reject)


@pytest.mark.parametrize(
    "code",
    rows("""
    F.max_pool2d(x, 0)
    F.max_pool2d(x, -1)
    F.max_pool2d(x, 2, 0)
    F.max_pool2d(x, 2, -1)
    F.max_pool2d(x, 2, padding=-1)
    F.max_pool2d(x, 2, padding=2)
    F.max_pool2d(x, 3, padding=2)
    F.max_pool2d(x, 2, dilation=0)
    F.max_pool2d(x, 10)
    F.max_pool2d(x, 3, dilation=4)
    F.max_pool2d(x, (1, 2, 3))
    F.max_pool2d(x, 2.5)
    F.max_pool2d(x, "a")
    F.max_pool2d(x[0, 0], 2)
    F.max_pool2d(x[None], 2)
    F.max_pool2d(x[:, :0], 2)
    F.max_pool2d(x[:, :, :0], 2)
    F.max_pool2d(None, 2)
    F.max_pool2d([[1.0]], 2)
    F.max_pool2d(x)
    F.avg_pool2d(x, 0)
    F.avg_pool2d(x, 2, 0)
    F.avg_pool2d(x, 2, padding=2)
    F.avg_pool2d(x, 2, padding=-1)
    F.avg_pool2d(x, 10)
    F.avg_pool2d(x, 2, divisor_override=0)
    F.avg_pool2d(x[0, 0], 2)
    F.avg_pool2d(x > 0, 2)
    F.avg_pool2d(x[:, :, :0], 2)
    F.avg_pool2d(None, 2)
    F.adaptive_avg_pool2d(x, (1, 2, 3))
    F.adaptive_avg_pool2d(x, -1)
    F.adaptive_avg_pool2d(x, "a")
    F.adaptive_avg_pool2d(x, 2.5)
    F.adaptive_avg_pool2d(x[0, 0], 2)
    F.adaptive_avg_pool2d(x[:, :, :0], 2)
    F.adaptive_avg_pool2d(x > 0, 2)
"""),
)
def test_errors(code):
    both_reject(code, x=normal(2, 3, 7, 8))
