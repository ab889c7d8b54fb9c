"""conv2d, unfold and fold over a grid of arguments."""

import numpy as np
import pytest

from .compare import agree, agree_or_both_reject, both_reject, check_all, normal, rows

ARGUMENTS = rows("""
    stride=2
    stride=(2, 1)
    stride=[1, 3]
    padding=1
    padding=(1, 2)
    padding=(0, 1), stride=2
    padding=2, stride=3
    padding="valid"
    padding="valid", stride=2
    padding="same"
    padding="same", dilation=2
    padding="same", dilation=(1, 2)
    dilation=2
    dilation=(2, 1), padding=2
    dilation=2, stride=2, padding=3
    stride=1, padding=0, dilation=1
""")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", [(3, 3), (1, 1), (2, 3), (3, 2), (4, 4), (1, 5)], ids=str)
@pytest.mark.parametrize("arguments", ["", *ARGUMENTS])
def test_conv2d(arguments, kernel, dtype):
    x, w, b = (
        normal(2, 3, 8, 9, dtype=dtype),
        normal(4, 3, *kernel, seed=1, dtype=dtype),
        normal(4, seed=2, dtype=dtype),
    )
    agree_or_both_reject(f"F.conv2d(x, w, b, {arguments})", scaled=True, x=x, w=w, b=b)


@pytest.mark.parametrize(
    ("groups", "channels", "filters"), [(1, 1, 1), (2, 4, 6), (3, 3, 3), (4, 4, 8), (2, 2, 4), (1, 5, 2)]
)
@pytest.mark.parametrize("arguments", ["", "padding=1", "stride=2", "padding=1, stride=2, dilation=2"])
def test_groups(groups, channels, filters, arguments):
    x, w, b = normal(2, channels, 7, 6), normal(filters, channels // groups, 3, 2, seed=1), normal(filters, seed=2)
    agree(f"F.conv2d(x, w, b, groups={groups}, {arguments})", x=x, w=w, b=b)


@pytest.mark.parametrize(
    "code",
    rows("""
    F.conv2d(x, w)
    F.conv2d(x, w, None, 2)
    F.conv2d(x, w, b, 2, 1, 1, 1)
    F.conv2d(input=x, weight=w, bias=b, stride=1, padding=1, dilation=1, groups=1)
    t.conv2d(x, w, b)
    F.conv2d(x[0], w, b)
    F.conv2d(x[0], w, b, padding=1, stride=2)
    F.conv2d(x[:0], w, b)
    F.conv2d(x[:1], w, b)
    F.conv2d(x.detach(), w, b)
    F.conv2d(x, w.detach(), b)
    F.conv2d(x, w, b.detach())
    F.conv2d(x.transpose(2, 3), w, b)
    F.conv2d(x.transpose(0, 1), w[:, :2], b)
    F.conv2d(x[:, :, ::2], w, b)
    F.conv2d(x[..., 1:], w, b)
    F.conv2d(x, w.transpose(2, 3), b)
    F.conv2d(x[:, :1].expand(2, 3, 7, 6), w, b)
    F.conv2d(x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2), w, b)
    F.conv2d(x, w[:1], b[:1])
    F.conv2d(x, F.pad(w, (3, 0, 4, 0)), b)
    F.conv2d(x[:, :, :3, :3], w, b)
    F.conv2d(x, w, b).relu().sum() + F.conv2d(x, w).mean()
"""),
)
def test_forms(code):
    agree(code, x=normal(2, 3, 7, 6), w=normal(4, 3, 3, 3, seed=1), b=normal(4, seed=2))


@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1), (1, 1, 28, 28), (3, 2, 1, 9), (2, 16, 12, 12), (5, 1, 17, 3), (1, 33, 5, 5)], ids=str
)
def test_sizes(shape):
    for dtype in ("float32", "float64"):
        for filters, kernel in ((1, 1), (6, 5), (17, 3)):
            x, w = normal(*shape, dtype=dtype), normal(filters, shape[1], kernel, kernel, seed=1, dtype=dtype)
            agree(f"F.conv2d(x, w, padding={kernel // 2})", scaled=True, x=x, w=w)


@pytest.mark.parametrize(
    "code",
    rows("""
    F.conv2d(x, w, b, stride=0)
    F.conv2d(x, w, b, stride=-1)
    F.conv2d(x, w, b, stride=(1, 2, 3))
    F.conv2d(x, w, b, stride=1.5)
    F.conv2d(x, w, b, stride="a")
    F.conv2d(x, w, b, padding=-1)
    F.conv2d(x, w, b, padding=(1, 2, 3))
    F.conv2d(x, w, b, padding="nonsense")
    F.conv2d(x, w, b, padding=1.5)
    F.conv2d(x, w, b, dilation=0)
    F.conv2d(x, w, b, dilation=-1)
    F.conv2d(x, w, b, groups=0)
    F.conv2d(x, w, b, groups=-1)
    F.conv2d(x, w, b, groups=2)
    F.conv2d(x, w, b, groups=3)
    F.conv2d(x, w, b, groups="a")
    F.conv2d(x[:, :2], w, b)
    F.conv2d(x[0, 0], w, b)
    F.conv2d(x[None], w, b)
    F.conv2d(x, w[0], b)
    F.conv2d(x, w[None], b)
    F.conv2d(x, w, b[:2])
    F.conv2d(x, w, b[None])
    F.conv2d(x, w, b[0])
    F.conv2d(x.float(), w, b)
    F.conv2d(x, w.float(), b)
    F.conv2d(x, w, b.float())
    F.conv2d(x.long(), w, b)
    F.conv2d(x[:, :, :2], w, b)
    F.conv2d(x, w, b, dilation=4)
    F.conv2d(x[:, :, :0], w, b)
    F.conv2d(x, w[:, :, :0], b)
    F.conv2d(None, w, b)
    F.conv2d(x, None, b)
    F.conv2d([1.0], w, b)
    F.conv2d(x, w, 3.0)
    F.conv2d(x, w, b, nonsense=1)
    F.conv2d(x)
"""),
)
def test_errors(code):
    both_reject(code, x=normal(2, 3, 7, 6), w=normal(4, 3, 3, 3, seed=1), b=normal(4, seed=2))


PATCHES = rows("""
    3
    (2, 3)
    1
    3, stride=2
    (3, 2), stride=(2, 1)
    3, padding=1
    (2, 3), padding=(1, 2)
    2, dilation=2
    2, dilation=(1, 3), padding=1
    3, stride=2, padding=1, dilation=2
    2, 2, 1, 2
    kernel_size=[2, 2], stride=[2, 2]
""")


@pytest.mark.parametrize("arguments", PATCHES)
def test_unfold(arguments):
    check_all(
        [
            (f"F.unfold({x}, {arguments})", {"x": normal(2, 3, 7, 6)})
            for x in ("x", "x[0]", "x[:, :1]", "x.transpose(2, 3)")
        ]
    )


@pytest.mark.parametrize("arguments", PATCHES)
def test_fold(arguments):
    check_all(
        [
            (f"F.fold(F.unfold({x}, {arguments}) * 1.5, (7, 6), {arguments})", {"x": normal(2, 3, 7, 6)})
            for x in ("x", "x[0]")
        ]
    )


@pytest.mark.parametrize(
    "code",
    rows("""
    F.unfold(x, 8)
    F.unfold(x, 0)
    F.unfold(x, -1)
    F.unfold(x, 3, stride=0)
    F.unfold(x, 3, dilation=0)
    F.unfold(x, 3, padding=-1)
    F.unfold(x[0, 0], 3)
    F.unfold(x[None], 3)
    F.unfold(x, (1, 2, 3))
    F.unfold(None, 3)
    F.fold(c, (7, 6), 4)
    F.fold(c, (6, 6), 3)
    F.fold(c[:, :5], (7, 6), 3)
    F.fold(c, (7, 6), 3, stride=2)
    F.fold(c, (7, 6), 0)
    F.fold(c, (7, 6), 3, padding=-1)
    F.fold(c, 7, 3)
    F.fold(c, (7, 6, 5), 3)
    F.fold(c, (-7, 6), 3)
    F.fold(c[None], (7, 6), 3)
    F.fold(c[0, 0], (7, 6), 3)
    F.fold(None, (7, 6), 3)
"""),
)
def test_patch_errors(code):
    both_reject(code, x=normal(2, 3, 7, 6), c=normal(2, 27, 20))


def test_nan_and_infinity():
    x = normal(1, 1, 5, 5)
    x[0, 0, 1, 1], x[0, 0, 3, 4] = np.nan, np.inf
    agree("F.conv2d(x, w, padding=1)", x=x, w=normal(2, 1, 3, 3, seed=1))
