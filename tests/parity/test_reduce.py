"""Reductions: dims, dtypes, empty tensors, ties, NaN; softmax and its relatives."""

import numpy as np
import pytest

from .compare import Const, agree, agree_or_both_reject, both_reject, check_all, integers, mask, normal, rows

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64"]
MANY = ["sum", "mean", "amax", "amin", "any", "all", "var", "std", "logsumexp"]  # these take several dims
ONE = ["prod", "argmax", "argmin", "max", "min"]
DIMS = ["0", "1", "2", "-1", "-2", "(0,)", "(0, 1)", "(0, -1)", "[2, 0]", "(0, 1, 2)", "(-1, -2, -3)"]
EMPTY_SHAPES = [(0,), (2, 0), (0, 3), (2, 0, 3)]


@pytest.mark.parametrize("name", MANY + ONE)
def test_dims(name):
    dims = DIMS if name in MANY else DIMS[:5]
    codes = [f"t.{name}(x, {dim}{rest})" for dim in dims for rest in ("", ", keepdim=True", ", keepdim=False")]
    codes += [f"x.{name}({dim})" for dim in dims] + [f"t.{name}(x, dim={dim})" for dim in dims]
    if name != "logsumexp":
        codes += [f"t.{name}(x)", f"x.{name}()", f"t.{name}(input=x)"]
    if name not in ("var", "std"):
        codes += [f"x.{name}({dim}, True)" for dim in dims[:2]]
    check_all([(code, {"x": normal(2, 3, 4)}) for code in codes])


@pytest.mark.parametrize("name", MANY + ONE)
def test_numpy_spellings(name):
    check_all([(f"t.{name}(x, axis={dim})", {"x": normal(2, 3, 4)}) for dim in DIMS[:3]])
    check_all([(f"x.{name}(axis=1, keepdim=True)", {"x": normal(2, 3, 4)})])


@pytest.mark.parametrize(
    "make", ["x.t()", "x[:, ::2]", "x[0]", "x[1, 2]", "x[:1].expand(3, 4)", "x.view(2, 2, 3).permute(2, 0, 1)"]
)
@pytest.mark.parametrize("name", MANY + ONE)
def test_layouts(name, make):
    codes = [f"{make}.{name}(0)", f"{make}.{name}(-1, keepdim=True)"] + (
        [f"{make}.{name}()"] if name != "logsumexp" else []
    )
    check_all([(code, {"x": normal(3, 4)}) for code in codes])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MANY + ONE)
def test_dtypes(name, dtype):
    x = integers(3, 4, low=0 if dtype in ("bool", "uint8") else -3, high=4).astype(dtype)
    codes = [f"x.{name}(1)", f"x.{name}(0, keepdim=True)", f"x[0, 0].{name}(0)"] + (
        [f"x.{name}()"] if name != "logsumexp" else []
    )
    check_all([(code, {"x": Const(x)}) for code in codes])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sum", "mean", "prod"])
def test_asked_dtype(name, dtype):
    check_all([
        (code, {"x": x})
        for code in (f"x.{name}(dtype=t.{dtype})", f"x.{name}(0, dtype=t.{dtype})", f"t.{name}(x, 1, keepdim=True, dtype=t.{dtype})")
        for x in (Const(integers(2, 3, low=0)), Const(integers(2, 3, low=0).astype(np.float32)), Const(mask(2, 3)))
    ])  # fmt: skip


def test_sums_of_small_integers_do_not_overflow():
    for dtype in ("int8", "uint8", "int16", "int32"):
        agree("x.sum(), x.sum(0), x.prod()", x=np.full((1000,), 100).astype(dtype))


@pytest.mark.parametrize("shape", EMPTY_SHAPES, ids=str)
@pytest.mark.parametrize("name", MANY + ONE)
def test_empty(name, shape):
    dims = ["0", "-1", *(["(0, 1)", "()"] if len(shape) > 1 and name in MANY else [])]
    codes = [f"x.{name}({dim})" for dim in dims] + [f"x.{name}(0, keepdim=True)"]
    codes += [f"x.{name}()"] if name != "logsumexp" else []
    check_all(
        [(code, {"x": x}) for code in codes for x in (normal(*shape), Const(integers(*shape)), Const(mask(*shape)))]
    )


@pytest.mark.parametrize("name", MANY + ONE)
def test_no_dimensions(name):
    codes = [f"x.{name}(0)", f"x.{name}(-1)", f"x.{name}(0, keepdim=True)", f"x.{name}(1)", f"x.{name}(-2)"]
    codes += [f"x.{name}()"] if name != "logsumexp" else []
    check_all([(code, {"x": np.array(1.5)}) for code in codes])


@pytest.mark.parametrize("name", MANY[:-1])  # in PyTorch logsumexp(()) is an error
def test_empty_dim_list(name):
    codes = (f"x.{name}(())", f"x.{name}([])", f"x.{name}(dim=(), keepdim=True)")
    x = normal(2, 3)  # PyTorch's gradient of var(()) is infinite
    check_all([(code, {"x": Const(x) if name in ("var", "std") else x}) for code in codes])


@pytest.mark.parametrize("name", ["amax", "amin", "max", "min", "argmax", "argmin"])
def test_ties(name):
    x = np.array([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 2.0, 2.0], [0.0, -1.0, 0.0, -1.0]])
    codes = [f"x.{name}({dim})" for dim in ("", "0", "1")] + [f"x.t().{name}(0)"]
    check_all([(code, {"x": x}) for code in codes])
    check_all([(code, {"x": Const(x.astype(np.int32))}) for code in codes])


@pytest.mark.parametrize("name", MANY + ONE)
def test_nan_and_infinity(name):
    x = np.array([[1.0, np.nan, 3.0, np.nan], [np.inf, -np.inf, 2.0, 0.0], [np.inf, 1.0, np.inf, 0.0], [-np.inf] * 4])
    codes = [f"x.{name}({dim})" for dim in ("0", "1")] + ([f"x.{name}()"] if name != "logsumexp" else [])
    check_all([(code, {"x": Const(x)}) for code in codes])


@pytest.mark.parametrize("code", rows("""
    x.var(unbiased=False), x.var(unbiased=True), x.std(unbiased=False), x.var(False), x.std(True)
    x.var(0, unbiased=False), x.var(0, False), x.std(0, True), x.var((0, 1), False), x.var(1, False, True)
    x.var(correction=0), x.var(correction=2), x.var(0, correction=0), x.std((0, 1), correction=1), x.std(correction=0)
    x.var(dim=0, keepdim=True), x.std(dim=(0, 1), correction=0, keepdim=True), t.var(x, 0), t.std(x, dim=1)
    t.var(x.detach(), 0, correction=3), t.var(x, 0, correction=1.5), x[:1].var(0, correction=0), x[0].std(correction=0)
    x[:1].std(correction=0), x.std(dim=None, keepdim=True), x.var(dim=None, correction=0)
    x.sum(None), x.sum(dim=None), x.sum(dim=None, keepdim=True), x.mean(dim=None), x.amax(dim=()), x.argmax(dim=None)
    x.argmax(None), x.argmax(keepdim=True), x.argmin(dim=None, keepdim=True), x.all(), x.any(dim=0)
    x.max(0).values, x.max(0).indices, x.min(1)[0], x.min(1)[1], tuple(x.max(0)), t.max(x, 1, True), t.max(x, dim=0, keepdim=True)
    [*x.max(-1)], x.max(), t.min(x), t.max(x, y), x.min(y), x.max(y)
    x.sum(0).sum(), x.mean((0, 1)), x.mean(-1).mean(), x.prod(0).prod(), t.prod(x, -1, True)
    x.prod(), (x * z).prod(0), (x * z).prod(), (x * z.t().t()).prod(1), x.prod(1)
    t.logsumexp(x, 0), t.logsumexp(x, (0, 1)), x.logsumexp(dim=1, keepdim=True), t.logsumexp(x * 500, 1)
    (x > 0).sum(), (x > 0).sum(0), (x > 0).any(), (x > 0).all(1), x.any(), (x * 0).any(0), (x > 0).sum(dtype=t.float32)
    x.sum_to_size(1, 4), x.sum_to_size(3, 4), x.sum_to_size(4), x.sum_to_size(()), x.sum_to_size((3, 1))
"""))  # fmt: skip
def test_arguments(code):
    z = np.ones((3, 4))
    z[1, 2] = z[0, 0] = 0
    agree(code, x=normal(3, 4), y=normal(3, 4, seed=1), z=z)


@pytest.mark.parametrize(
    "code",
    rows("""
    x.prod()
    x.prod(0)
    x.prod(1)
    x[1:].prod()
    x[1:, 1:].prod(1, keepdim=True)
"""),
)
def test_product_with_zeros(code):
    agree(code, x=np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 5.0], [1.0, 4.0, 0.0]]))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name):
    codes = [f"{where}.{name}(x, {dim})" for where in ("t", "F") for dim in ("0", "1", "2", "-1")]
    codes += [f"x.{name}(1)", f"x.{name}(dim=-1)", f"F.{name}(x, dim=1, dtype=t.float32)", f"x.{name}(0, dtype=t.float64)",
              f"x.transpose(0, 2).{name}(1)", f"x[:, :, ::2].{name}(-1)", f"x[0, 0, 0].{name}(0)", f"x[0, 0, 0].{name}(-1)",
              f"x[:0].{name}(1)", f"x[:, :0].{name}(1)", f"(x * 1000).{name}(-1)", f"x.float().{name}(1)",
              f"x.long().{name}(0, dtype=t.float32)"]  # fmt: skip
    check_all([(code, {"x": normal(2, 3, 4)}) for code in codes])
    big = np.array(
        [[1e4, -1e4, 0], [-np.inf, 0, 1], [-np.inf, -np.inf, 3], [np.inf, 0, 1], [np.nan, 0, 1], [-np.inf] * 3]
    )
    check_all(
        [(f"x.{name}({dim})", {"x": Const(big.astype(dtype))}) for dim in (0, 1) for dtype in ("float32", "float64")]
    )


@pytest.mark.parametrize(
    "code",
    rows("""
    x.sum(2)
    x.sum(-3)
    x.sum((0, 0))
    x.sum((0, -2))
    x.sum("a")
    x.sum(1.5)
    x.sum(dim=0, axis=0)
    x.sum(nonsense=1)
    x.mean((0, 5))
    x.prod((0, 1))
    x.max((0, 1))
    x.max(2)
    x.max(0, 1, 2)
    x.max("a")
    x.argmax((0, 1))
    x.argmax(2)
    x.amax(3)
    x.amax((0, 0))
    i.mean()
    i.mean(0)
    i.var()
    i.std(0)
    b.mean()
    i.softmax(0)
    i.log_softmax(0)
    F.softmax(x, 2)
    F.softmax(x, "a")
    x.logsumexp(2)
    x.logsumexp()
    e.max()
    e.min()
    e.amax()
    e.argmax()
    e.argmin(0)
    e.max(0)
    e.amax(0)
    e2.max(1)
    e2.amax(1)
    e2.argmax(1)
    x.var(0, unbiased=True, correction=1)
    x.var((0, 0))
    x.sum_to_size(2, 4)
    x.sum_to_size(2, 3, 4)
    x.sum(dtype="nonsense")
    x.mean(dtype=t.int64)
    x.all(2)
    t.sum([1, 2])
    t.max(3)
    t.mean("a")
    t.softmax([1.0], 0)
"""),
)
def test_errors(code):
    e = np.zeros(0)
    both_reject(code, x=normal(3, 4), i=integers(3, 4), b=mask(3), e=e, e2=np.zeros((2, 0)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_and_all(dtype):
    x = np.array([[0, 0, 1], [1, 1, 1], [0, 0, 0]]).astype(dtype)
    check_all(
        [
            (f"x.{name}({dim})", {"x": Const(x)})
            for name in ("any", "all")
            for dim in ("", "0", "1", "(0, 1)", "1, keepdim=True")
        ]
    )


@pytest.mark.parametrize("name", ["sum", "mean", "var", "amax", "prod"])
def test_long_rows(name):
    x = normal(3, 1001, dtype=np.float32)
    x = x * 0.01 + 1 if name == "prod" else x
    agree_or_both_reject(f"x.{name}(1)", x=x)
    agree_or_both_reject(f"x.{name}(0)", x=x)
