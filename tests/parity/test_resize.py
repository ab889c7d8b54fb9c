"""Resizing over grids of modes, sizes and factors; reading at a grid; shuffles, one-hot, embedding."""

import numpy as np
import pytest

from .compare import Const, agree_or_both_reject, check_all, integers, normal, rows, same_in_both

SHAPES = {1: (2, 3, 7), 2: (2, 2, 5, 6), 3: (1, 2, 4, 5, 4)}
AXES = [("linear", 1), ("bilinear", 2), ("bicubic", 2), ("trilinear", 3),
        *((mode, axes) for mode in ("nearest", "nearest-exact", "area") for axes in (1, 2, 3))]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("mode", "axes"), AXES)
def test_interpolate(mode, axes, dtype):
    cases, x = [], {"x": normal(*SHAPES[axes], dtype=dtype)}
    corners = [None] if mode in ("nearest", "nearest-exact", "area") else [None, False, True]
    for align in corners:
        for size in (1, 2, 3, 7, 10, (9, 4, 2)[:axes]):
            cases.append((f"F.interpolate(x, {size}, mode={mode!r}, align_corners={align})", x))
        for factor in (2, 0.5, 1.7, 0.3, 1, (2.0, 1.5, 0.7)[:axes]):
            cases += [(f"F.interpolate(x, scale_factor={factor}, mode={mode!r}, align_corners={align}, "
                       f"recompute_scale_factor={again})", x) for again in (None, True)]  # fmt: skip
    check_all(cases, lambda code, **inputs: agree_or_both_reject(code, True, **inputs))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_antialias(mode):
    x = {"x": normal(2, 2, 11, 14)}
    check_all([(f"F.interpolate(x, {size}, mode={mode!r}, align_corners={align}, antialias=True)", x)
               for size in ((5, 6), (3, 14), (20, 9), (1, 1)) for align in (False,)])  # fmt: skip


FORMS = rows("""
    F.interpolate(x)
    F.interpolate(x, 3, 2)
    F.interpolate(x, (2, 3, 4))
    F.interpolate(x, 3.5)
    F.interpolate(x, 3, mode="linear")
    F.interpolate(x, 3, mode="trilinear")
    F.interpolate(x, 3, mode="cubic")
    F.interpolate(x, 3, align_corners=True)
    F.interpolate(x, 0)
    F.interpolate(x, scale_factor=0.01)
    F.interpolate(x, scale_factor=(1, 2, 3))
    F.interpolate(x, 3, recompute_scale_factor=True)
    F.interpolate(x, 3, antialias=True)
    F.interpolate(x[0, 0], 3)
    F.interpolate(x.transpose(2, 3), 4, mode="bilinear")
    F.upsample(x, scale_factor=2, mode="bilinear")
    F.pixel_shuffle(y, 2)
    F.pixel_shuffle(y[0], 2)
    F.pixel_shuffle(y[0, 0, 0], 2)
    F.pixel_shuffle(y, 3)
    F.pixel_shuffle(y, 0)
    F.pixel_unshuffle(y, 2)
    F.pixel_unshuffle(y[0, 0].unsqueeze(0), 2)
    F.pixel_unshuffle(y, 3)
    F.channel_shuffle(y, 2)
    F.channel_shuffle(y, 4)
    F.channel_shuffle(y, 3)
    F.one_hot(n)
    F.one_hot(n, 9)
    F.one_hot(n, num_classes=3)
    F.one_hot(n[0, 0])
    F.one_hot(n - 1)
    F.one_hot(x)
    F.one_hot(n[:0], 4)
    F.one_hot(n[:0])
""")


@pytest.mark.parametrize("code", FORMS)
def test_forms(code):
    agree_or_both_reject(code, x=normal(2, 3, 5, 6), y=normal(2, 8, 4, 6), n=integers(3, 4, low=0, high=5))


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_grid_sample(mode, padding, align):
    code = f"F.grid_sample(x, g, {mode!r}, {padding!r}, {align})"
    cases = []
    for scale in (0.5, 1.5, 4):
        cases += [(code, {"x": normal(2, 3, 5, 6), "g": normal(2, 4, 3, 2) * scale}),
                  (code, {"x": normal(2, 2, 4, 3, 5), "g": normal(2, 2, 3, 4, 3) * scale}),
                  (code, {"x": normal(1, 1, 1, 4), "g": normal(1, 4, 3, 2) * scale})]  # fmt: skip
    cases.append(
        (code, {"x": Const(normal(1, 2, 3, 3)), "g": Const(np.array([[[[np.nan, 0], [1e9, 0], [0.0, -np.inf]]]]))})
    )
    check_all(cases if padding == "zeros" else cases[:-1])


GRIDS = rows("""
    F.affine_grid(m, (2, 3, 4, 5), False)
    F.affine_grid(m, [2, 3, 4, 5], align_corners=True)
    F.affine_grid(v, (2, 3, 4, 5, 3), False)
    F.affine_grid(v, (2, 3, 4, 5, 1), True)
    F.affine_grid(m.float(), (2, 1, 1, 1), False)
    F.grid_sample(x, F.affine_grid(m, (2, 3, 4, 5), False), align_corners=False)
    F.affine_grid(m, (2, 3, 4), False)
    F.affine_grid(v, (2, 3, 4, 5), False)
    F.affine_grid(m.long(), (2, 3, 4, 5), False)
    F.grid_sample(x, m, align_corners=False)
    F.grid_sample(x, x, align_corners=False)
    F.grid_sample(x, x[..., :2], mode="some", align_corners=False)
    F.grid_sample(x, x[..., :2], padding_mode="some", align_corners=False)
    F.grid_sample(x, x[:1, ..., :2], align_corners=False)
""")


@pytest.mark.parametrize("code", GRIDS)
def test_grids(code):
    agree_or_both_reject(code, m=normal(2, 2, 3), v=normal(2, 3, 4), x=normal(2, 3, 4, 4))


EMBEDDINGS = rows("""
    F.embedding(n, w)
    F.embedding(n.int(), w)
    F.embedding(n[0, 0], w)
    F.embedding(n[:0], w)
    F.embedding(n, w, 2)
    F.embedding(n, w, padding_idx=-1)
    F.embedding(n, w, scale_grad_by_freq=True)
    F.embedding(n, w, 0, scale_grad_by_freq=True)
    F.embedding(n.double(), w)
    F.embedding(n + 9, w)
    F.embedding(n - 9, w)
    F.embedding(n, w[0])
""")


@pytest.mark.parametrize("code", EMBEDDINGS)
def test_embedding(code):
    agree_or_both_reject(code, n=integers(4, 3, low=0, high=5), w=normal(6, 3))


@pytest.mark.parametrize("norm", [2.0, 1.0, float("inf")])
@same_in_both
def test_embedding_shortens_rows(t, norm):
    w = t.from_numpy(normal(6, 3) * 2).requires_grad_()
    n = t.from_numpy(integers(4, 3, low=0, high=5))
    y = t.nn.functional.embedding(n, w, max_norm=1.0, norm_type=norm)
    (d,) = t.autograd.grad((y * y).sum(), w)
    return y, w, d
