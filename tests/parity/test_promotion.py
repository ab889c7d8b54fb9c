"""The dtype, the shape and the value of every operator for all pairs of dtypes: tensors, 0-dim tensors, numbers."""

import itertools

import numpy as np
import pytest

from .compare import Const, agree, agree_or_both_reject, check_all, rows, same, tg, torch

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64"]
NUMBERS = [True, False, 2, 3, -2, 2.5, 0.0]
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "&", "|", "^"]
FUNCTIONS = rows("""
    t.maximum(a, b)
    t.minimum(a, b)
    t.logical_and(a, b)
    t.logical_or(a, b)
    t.logical_xor(a, b)
    t.bitwise_and(a, b)
    t.bitwise_xor(a, b)
    t.where(t.tensor([True, False, True]), a, b)
    t.clamp(a, b)
    t.clamp(a, max=b)
    t.add(a, b, alpha=2)
    t.div(a, b, rounding_mode="trunc")
    t.div(a, b, rounding_mode="floor")
    t.cat([a, b])
    t.stack([a, b])
    a.clone().add_(b)
    a.clone().mul_(b)
    a.clone().div_(b)
    a.clone().copy_(b)
    a.type_as(b)
""")


def operand(dtype, shape, values):
    return Const(np.array(values[: int(np.prod(shape))]).astype(dtype).reshape(shape))


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((3,), ()), ((), (3,)), ((), ())], ids=str)
@pytest.mark.parametrize("code", [f"a {op} b" for op in OPERATORS] + FUNCTIONS)
def test_two_tensors(code, shapes):
    check_all([
        (code, {"a": operand(a, shapes[0], [5, 1, 7]), "b": operand(b, shapes[1], [2, 3, 1])})
        for a, b in itertools.product(DTYPES, DTYPES)
    ])  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
@pytest.mark.parametrize("op", OPERATORS)
def test_tensor_and_number(op, number):
    check_all([
        (code, {"a": operand(dtype, shape, [5, 1, 7]), "b": number})
        for dtype, shape in itertools.product(DTYPES, [(3,), ()])
        for code in (f"a {op} b", f"b {op} a")
    ])  # fmt: skip


def test_promote_types():
    for a, b in itertools.product(DTYPES, DTYPES):
        same(
            tg.promote_types(getattr(tg, a), getattr(tg, b)), torch.promote_types(getattr(torch, a), getattr(torch, b))
        )


def test_can_cast():
    for a, b in itertools.product(DTYPES, DTYPES):
        assert tg.can_cast(getattr(tg, a), getattr(tg, b)) == torch.can_cast(getattr(torch, a), getattr(torch, b))


@pytest.mark.parametrize("a", DTYPES)
def test_conversion(a):
    values = [0, 1, 2, 100, 127] if a != "bool" else [0, 1]
    if a.startswith(("float", "int")):
        values += [-1, -100]
    if a.startswith("float"):
        values += [0.4, 0.6, -0.4, 1.5, 2.5]
    for b in DTYPES:
        if b == "uint8" and min(values) < 0 and a.startswith("float"):  # undefined in C
            values = [v for v in values if v >= 0]
        agree(f"a.to(t.{b})", a=Const(np.array(values).astype(a)))
        agree(f"a.to(dtype=t.{b}, copy=True)", a=Const(np.array(values).astype(a)))


@pytest.mark.parametrize(
    "code",
    rows("""
    a.float()
    a.double()
    a.int()
    a.long()
    a.short()
    a.char()
    a.byte()
    a.bool()
    a.to(t.int32)
    a.to(b)
    a.to("cpu")
    a.to("cpu", t.float64)
    a.to(t.device("cpu"), dtype=t.int16)
    a.to(b, non_blocking=True)
    a.type(t.int8)
    a.type_as(b)
    a.is_floating_point()
    a.is_complex()
    a.element_size()
    a.itemsize
    a.nbytes
    a.dtype
    a.dtype.itemsize
    a.dtype.is_floating_point
    a.dtype.is_signed
    a.dtype.is_complex
    a.to(a.dtype) is a
    a.to(a.dtype, copy=True) is a
    a.cpu() is a
"""),
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_conversion_method(code, dtype):
    agree(code, a=Const(np.array([0, 1, 3]).astype(dtype)), b=Const(np.array([1], np.int16)))


@pytest.mark.parametrize(
    "code",
    rows("""
    x.to(t.float32) * 3
    x.float() * 3
    x.double()
    x.to(y)
    x + y
    x * y
    x / y
    t.where(x > 0, x, y)
    t.maximum(x, y)
    x.sum(dtype=t.float64) * 2
"""),
)
def test_gradients_come_back_in_the_dtype_of_the_input(code):
    agree(code, x=np.array([1.0, -2.0, 3.0], np.float32), y=np.array([2.0, 1.0, -1.0], np.float64))
    agree(code, x=np.array([1.0, -2.0, 3.0], np.float64), y=np.array(2.0, np.float32))


@pytest.mark.parametrize(
    "code",
    rows("""
    x + 1e300
    x * 2**31
    x + 300
    x + (-1)
    x == 300
    x < 300
    x > 300
    x.clone().fill_(300)
    x.clone().add_(300)
    x * 200
    x + x + x
    -x
    abs(x)
    x ** 2
    x ** 7
    x & 300
    x | -1
    x ^ 1
"""),
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_beyond_the_dtype(code, dtype):
    agree_or_both_reject(code, x=Const(np.array([0, 1, 100]).astype(dtype)))


@pytest.mark.parametrize("dtype", DTYPES[:-2])
def test_bits(dtype):
    a, b = (np.array(values).astype(dtype) for values in ([0, 1, 100, 85], [1, 3, 51, 127]))
    agree("~a, a & b, a | b, a ^ b, a & 1, 1 | b, a ^ True", a=a, b=b)


@pytest.mark.parametrize("dtype", DTYPES)
def test_limits(dtype):
    info, names = (
        ("finfo", "bits eps max min tiny smallest_normal resolution") if dtype[0] == "f" else ("iinfo", "bits max min")
    )
    if dtype == "bool":
        return
    ours, theirs = (getattr(t, info)(getattr(t, dtype)) for t in (tg, torch))
    for name in names.split():
        same(getattr(ours, name), getattr(theirs, name), name)
