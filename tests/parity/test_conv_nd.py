"""Convolution along one and three axes, and transposed convolution, over grids of arguments."""

import itertools

import numpy as np
import pytest

from .compare import Const, agree, agree_or_both_reject, check_all, normal, rows, same_in_both

SIZES = (6, 5, 4)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kernel", [1, 2, 3])
@pytest.mark.parametrize("axes", [1, 3])
def test_conv(axes, kernel, groups):
    cases = []
    for s, p, d in itertools.product([1, 2], [0, 1, "same", "valid", (1, 0, 2)], [1, 2]):
        p = p[:axes] if isinstance(p, tuple) else repr(p)
        inputs = {
            "x": normal(2, 4, *SIZES[:axes]), "w": normal(6, 4 // groups, *(kernel, kernel % 3 + 1, kernel)[:axes]),
            "b": normal(6),
        }  # fmt: skip
        cases.append((f"F.conv{axes}d(x, w, b, {s}, {p}, {d}, {groups})", inputs))
    # 'same' with a stride is ours alone
    check_all([(code, inputs) for code, inputs in cases if not ("'same'" in code and ", 2, 'same'" in code)])


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kernel", [1, 2, 3])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_conv_transpose(axes, kernel, groups):
    cases = []
    for s, p, extra, d in itertools.product([1, 2, 3], [0, 1, (1, 0, 1)], [0, 1, 2], [1, 2]):
        p = p[:axes] if isinstance(p, tuple) else p
        inputs = {
            "x": normal(2, 4, *SIZES[:axes]), "w": normal(4, 6 // groups, *(kernel, kernel % 3 + 1, kernel)[:axes]),
            "b": normal(6),
        }  # fmt: skip
        cases.append((f"F.conv_transpose{axes}d(x, w, b, {s}, {p}, {extra}, {groups}, {d})", inputs))
    check_all(cases)


FORMS = rows("""
    F.conv1d(x[0], w)
    F.conv1d(x, w, None, (2,), (1,), (1,))
    F.conv1d(x.float(), w.float(), padding=1)
    F.conv1d(x[:0], w)
    F.conv1d(x.transpose(0, 2).contiguous().transpose(0, 2), w)
    F.conv1d(x, w[:, :1].repeat(1, 3, 1) if hasattr(w, "repeat") else w[:, :1].expand(5, 3, 2))
    F.conv_transpose1d(x[0], w.transpose(0, 1))
    F.conv_transpose1d(x, w.transpose(0, 1), stride=2, output_padding=1)
    F.conv_transpose2d(z, v)
    F.conv_transpose2d(z[0], v, stride=(2, 1), padding=(1, 0), output_padding=(1, 0))
    F.conv_transpose2d(z.float(), v.float(), stride=2)
    F.conv_transpose2d(z[:0], v)
    F.conv3d(u, f)
    F.conv3d(u[0], f, stride=(1, 2, 1), padding=(0, 1, 1))
    F.conv3d(u[:0], f)
    F.conv_transpose3d(u[0], f.transpose(0, 1))
    F.conv1d(x, w, b)
    F.conv1d(x[0, 0], w)
    F.conv1d(x, w, stride=0)
    F.conv1d(x, w, stride=(1, 1))
    F.conv1d(x, w, padding=-1)
    F.conv1d(x, w[:, :2])
    F.conv1d(x, w, groups=2)
    F.conv1d(x, w.float())
    F.conv1d(x[:, :, :1], w)
    F.conv3d(x, w)
    F.conv3d(u, f, padding="full")
    F.conv_transpose2d(z, v, output_padding=1)
    F.conv_transpose2d(z, v, stride=2, output_padding=2)
    F.conv_transpose2d(z, v, padding=5)
    F.conv_transpose2d(z, v, groups=3)
    F.conv_transpose2d(z, v, b)
    F.conv_transpose2d(z, v[:2])
    F.conv_transpose2d(z, v, padding="same")
""")


@pytest.mark.parametrize("code", FORMS)
def test_forms(code):
    agree_or_both_reject(
        code, x=normal(2, 3, 7), w=normal(5, 3, 2), b=normal(4), z=normal(2, 3, 4, 5), v=normal(3, 2, 2, 3), u=normal(2, 2, 4, 5, 3),
        f=normal(3, 2, 2, 3, 2),
    )  # fmt: skip


@pytest.mark.parametrize(
    "code", ["F.conv1d(x, w, padding=1)", "F.conv_transpose2d(z, v, stride=2)", "F.conv3d(u, f, padding=1)"]
)
def test_in_single_precision(code):
    x, w, z, v = normal(2, 3, 9), normal(5, 3, 3), normal(2, 3, 6, 5), normal(3, 4, 3, 3)
    u, f = normal(2, 3, 5, 6, 4), normal(4, 3, 3, 3, 3)
    agree(code, True, **{k: a.astype(np.float32) for k, a in {"x": x, "w": w, "z": z, "v": v, "u": u, "f": f}.items()})


def test_no_gradient_that_nobody_asked_for():
    agree("F.conv3d(x, w)", x=Const(normal(1, 2, 3, 4, 4)), w=normal(2, 2, 2, 2, 2))
    agree("F.conv_transpose3d(x, w)", x=normal(1, 2, 3, 4, 4), w=Const(normal(2, 2, 2, 2, 2)))


@pytest.mark.parametrize("axes", [1, 2, 3])
@same_in_both
def test_gradients_as_functions(t, axes):
    x, w, dy = (
        t.from_numpy(normal(*shape)) for shape in ((2, 4) + (5,) * axes, (6, 2) + (3,) * axes, (2, 6) + (3,) * axes)
    )
    options = {"stride": 2, "padding": 1, "groups": 2}
    of = t.nn.grad
    return (
        getattr(of, f"conv{axes}d_input")(x.shape, w, dy, **options),
        getattr(of, f"conv{axes}d_weight")(x, w.shape, dy, **options),
    )
