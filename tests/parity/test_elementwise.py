"""Functions of each element: values, dtypes and gradients, for special values, layouts and broadcasting."""

import numpy as np
import pytest

from .compare import Const, agree, both_reject, check_all, integers, mask, normal, rows, tg

UNARY = [
    "neg",
    "abs",
    "sign",
    "exp",
    "expm1",
    "log",
    "log1p",
    "log2",
    "sqrt",
    "rsqrt",
    "reciprocal",
    "sin",
    "cos",
    "tanh",
    "sigmoid",
    "floor",
    "ceil",
    "round",
    "trunc",
    "logical_not",
    "isnan",
    "isinf",
    "isfinite",
    "relu",
    "square",
    "bitwise_not",
]
DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64"]
SPECIAL = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, 2.5, -2.5, 1e-30, 1e30, 88.0, -88.0, np.inf, -np.inf]


def values(dtype):
    """Return numbers of a dtype, special ones among them; the last is NaN where there is one."""
    if dtype.startswith("float"):
        return np.array([*SPECIAL, np.nan], dtype)
    return np.array([0, 1, 2, 100, *([-1, -3] if dtype.startswith("int") else [])]).astype(dtype)


def unary_forms(name):
    yield from (f"t.{name}(x)", f"x.{name}()")
    if hasattr(tg.Tensor, name + "_"):
        yield from (f"x.clone().{name}_()", f"x.clone().view(-1).{name}_()")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_unary(name, dtype):
    x = values(dtype)
    x = Const(x) if name == "logical_not" else x
    check_all([(code, {"x": x}) for code in unary_forms(name)])


@pytest.mark.parametrize(
    "make", ["x.t()", "x[::2, 1:]", "x[0]", "x[1, 2]", "x[:0]", "x.expand(2, 3, 4)", "x.unsqueeze(1)"]
)
@pytest.mark.parametrize("name", UNARY[:-1])
def test_unary_of_a_view(name, make):
    agree(f"t.{name}({make})", x=np.abs(normal(3, 4)) + 0.1)


@pytest.mark.parametrize(
    "code",
    rows("""
    F.relu(x)
    F.relu(x * 1, inplace=True)
    F.relu_(x * 1)
    F.leaky_relu(x)
    F.leaky_relu(x, 0.3)
    F.leaky_relu(x, negative_slope=-0.5)
    F.leaky_relu(x * 1, 0.2, inplace=True)
    F.leaky_relu_(x * 1, 0.2)
    F.sigmoid(x)
    F.tanh(x)
    x.clamp(-0.5, 0.5)
    x.clamp(min=0.1)
    x.clamp(max=0.1)
    x.clamp(0.5, -0.5)
    x.clip(-1, 1)
    t.clamp(x, t.tensor(-0.5), t.tensor([0.1, 0.2, 0.3, 0.4]))
    t.clamp(x, max=y)
    t.clamp(x, min=y, max=y + 1)
    t.clip(x, 0)
    (x * 1).clamp_(-0.5, 0.5)
    (x * 1).clamp_(min=y)
    (x * 1).clip_(max=0)
    t.where(x > 0, x, y)
    t.where(x > 0, x, 2.0)
    t.where(x > 0, 1, x)
    t.where(x > 0, 1, 2)
    t.where(x > 0, 1.5, 2)
    t.where(x > 0, True, False)
    t.where(x[:1] > 0, x, y[:, :1])
    x.where(x > y, y)
    x.where(x > y, 0.0)
    t.maximum(x, y)
    t.minimum(x, y)
    t.maximum(x, x)
    x.maximum(y)
    x.minimum(y)
    t.max(x, y)
    t.min(x, y)
    t.add(x, y)
    t.add(x, y, alpha=2)
    t.add(x, 2, alpha=0.5)
    x.add(y, alpha=-1)
    t.sub(x, y, alpha=3)
    t.subtract(x, y)
    x.sub(1.5)
    t.mul(x, y)
    t.multiply(x, y)
    x.mul(2)
    t.div(x, y)
    t.divide(x, y)
    t.true_divide(x, y)
    x.div(y, rounding_mode=None)
    t.pow(x, 2)
    t.pow(x, 3)
    t.pow(x, 0)
    t.pow(x, -1)
    t.pow(x.abs(), 0.5)
    t.pow(x.abs(), y)
    t.pow(2, y)
    t.pow(2.5, y)
    t.pow(0.0, y.abs())
    t.pow(x.round(), t.tensor([2, 3, 0, 1]))
    x ** 2
    2 ** x
    x.abs() ** y
    x.pow(2)
    t.remainder(x, 0.7)
    t.remainder(x, y)
    x % 0.7
    x % y
    3 - x
    3 / x
    -x + 1
    abs(x)
    x.square() * x.sign()
    x.lt(y), x.le(y), x.gt(y), x.ge(y), x.eq(y), x.ne(y)
    t.lt(x, 0), t.le(x, 0), t.gt(x, 0), t.ge(x, 0), t.eq(x, 0), t.ne(x, 0)
    x == x, x != x, x == 1, x != 1
    t.logical_and(x > 0, y), t.logical_or(x, y), t.logical_xor(x, y), t.logical_not(x)
    x.logical_and(y), x.logical_or(y), x.logical_xor(y), x.logical_not()
    x.masked_fill(x > 0, 2.0)
    x.masked_fill(x[:1] > 0, t.tensor(2.0))
    (x * 1).masked_fill_(x > 0, 2.0)
    x * x.detach() + x
    x * y.detach()
    (x * 1).add_(y).mul_(x).sub_(1).div_(2).neg_().abs_()
    (x * 1).pow_(2), (x * 1).mul_(y), (x * 1).div_(y), (x * 1).add_(y, alpha=2)
    (x * 1).exp_(), (x * 1).tanh_(), (x * 1).sigmoid_(), (x.abs() + 1).log_(), (x.abs() + 1).sqrt_()
    (x * 1).remainder_(y)
"""),
)
def test_functions(code):
    agree(code, x=normal(3, 4), y=normal(3, 4, seed=1))


@pytest.mark.parametrize(
    "code",
    rows("""
    x // y
    x // 0.7
    3 // x
    t.floor_divide(x, y)
    x.floor_divide(0.5)
    t.div(x, y, rounding_mode="floor")
    x.clone().floor_divide_(y)
    x.clone().div_(y, rounding_mode="floor")
    x.clone().div_(y, rounding_mode="trunc")
    t.div(x, y, rounding_mode="trunc")
"""),
)
def test_rounded_division(code):  # PyTorch has no gradient of floor_divide; ours is 0
    agree(code, x=Const(normal(3, 4) * 5), y=Const(normal(3, 4, seed=1)))


OPERATORS = ["+", "-", "*", "/", "**", "==", "!=", "<", "<=", ">", ">="]


@pytest.mark.parametrize("op", OPERATORS)
def test_broadcasting(op):
    shapes = [(3, 4), (4,), (1, 4), (3, 1), (1, 1), (1,), (), (2, 1, 4), (2, 3, 1), (0, 4), (2, 0, 1), (0,)]
    check_all(
        [(f"(x {op} y)", {"x": np.abs(normal(*a)) + 0.5, "y": normal(*b, seed=1)}) for a in shapes for b in shapes]
    )


@pytest.mark.parametrize("op", OPERATORS)
def test_layouts(op):
    layouts = ["", ".t()", ".t().contiguous().t()", "[:, ::2]", "[:1].expand(4, 4)", "[:, 1:2].expand(4, 4).t()"]
    for a in layouts:
        for b in layouts:
            if (a == "[:, ::2]") == (b == "[:, ::2]"):
                agree(f"x{a} {op} y{b}", x=np.abs(normal(4, 4)) + 0.5, y=normal(4, 4, seed=1))


@pytest.mark.parametrize("op", [*OPERATORS, "//", "%"])
def test_special_values(op):
    for dtype in ("float32", "float64"):
        numbers = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -2.5, np.inf, -np.inf, np.nan], dtype)
        agree(f"x {op} y", x=Const(numbers[:, None]), y=Const(numbers))


@pytest.mark.parametrize(
    "code",
    rows("""
    t.maximum(x, y)
    t.minimum(x, y)
    t.clamp(x, y)
    t.clamp(x, max=y)
    t.clamp(x, -1.0, 1.0)
    t.div(x, y, rounding_mode="trunc")
    t.div(x, y, rounding_mode="floor")
    t.logical_and(x, y)
    t.logical_xor(x, y)
    t.where(x > y, x, y)
    F.leaky_relu(x, 0.1)
"""),
)
def test_special_values_of_functions(code):
    numbers = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -2.5, np.inf, -np.inf, np.nan])
    agree(code, x=Const(numbers[:, None]), y=Const(numbers))


@pytest.mark.parametrize("code", ["t.maximum(x, y)", "t.minimum(x, y)", "t.clamp(x, y)", "t.clamp(x, max=y)", "abs(x - y)",
                                  "t.clamp(x, -1, 1)", "F.relu(x)", "F.leaky_relu(x)", "x ** y.abs()"])  # fmt: skip
def test_gradients_at_ties(code):
    agree(code, x=np.array([0.0, 1.0, -1.0, 1.0, 2.0, 0.0]), y=np.array([0.0, 1.0, 2.0, -1.0, 2.0, -3.0]))


@pytest.mark.parametrize("op", ["//", "%", "+", "*", "**"])
def test_integers(op):
    for dtype in ("int8", "int32", "int64", "uint8"):
        a, b = np.array([7, -7, 0, 100, -100]), np.array([2, 3, -2, -3, 5])
        b = np.abs(b) if dtype == "uint8" or op == "**" else b
        agree(f"x {op} y", x=a.astype(dtype)[:, None], y=b.astype(dtype))


def test_negative_powers_of_integers():
    a = np.array([-3, -2, -1, 0, 1, 2])
    agree("x ** y", x=a[:, None], y=a)
    agree("1 ** y, -1 ** y, 3 ** y", y=a)


@pytest.mark.parametrize("mode", [None, "trunc", "floor"])
def test_integer_division(mode):
    a, b = np.array([7, -7, 0, 2**31 - 1, -(2**31)]), np.array([2, -2, 3, -3, 1])
    for dtype in ("int32", "int64"):
        agree(f"t.div(x, y, rounding_mode={mode!r})", x=a.astype(dtype)[:, None], y=b.astype(dtype))
        agree(f"t.div(x, 3, rounding_mode={mode!r})", x=a.astype(dtype))


@pytest.mark.parametrize(
    "code",
    rows("""
    x + y
    x.add(y)
    x - y
    x * z
    t.maximum(x, y)
    t.where(x > 0, x, y)
    t.clamp(x)
    t.clamp(x, y)
    t.where(x, x, x)
    t.pow(i, -1)
    i ** -2
    f"{x:.2f}"
    i // 0
    i % 0
    i // (i * 0)
    t.div(i, 0, rounding_mode="floor")
    t.div(i, 0, rounding_mode="trunc")
    t.div(x, x, rounding_mode="up")
    b - b
    1 - b
    b - True
    i - True
    -b
    t.neg(b)
    t.add(i, i, alpha=0.5)
    t.add(i, 1, alpha=0.5)
    x + "a"
    x + None
    x + [1, 2]
    x < "a"
    "a" * x
    t.add(x, "a")
    t.exp(1.0)
    t.sqrt("a")
    t.mul(x, None)
    t.maximum(x, 1)
    t.relu(b)
    i.clone().add_(0.5)
    i.clone().div_(2)
    b.clone().add_(1)
    i.clone().exp_()
    x.clone().add_(y)
    x[0].clone().add_(x)
    i.clone().mul_(x[0])
    x.masked_fill(i, 0)
    x.masked_fill(y > 0, 0)
    x.masked_fill(x > 0, "a")
    x.masked_fill(x > 0, x)
    i.int().masked_fill(i > 0, 2**40)
    x.clone().fill_("a")
    x.clone().fill_(x)
    x.clone().copy_(y)
    t.bitwise_not(x)
    x & x
    i | 0.5
    t.bitwise_xor(x, i[:1])
    bool(x)
    float(x)
    int(x)
    1 if x else 0
    len(x[0, 0])
    list(x[0, 0])
    x.item()
"""),
)
def test_errors(code):
    both_reject(code, x=normal(3, 4), y=normal(5), z=normal(2, 4), i=integers(4, low=1), b=mask(4))


@pytest.mark.parametrize("dtype", DTYPES)
def test_to_python(dtype):
    x = Const(np.array([[0, 1], [1, 0]]).astype(dtype))
    for code in ("x.tolist()", "x[0, 1].item()", "x[0, 1].tolist()", "float(x[0, 1])", "int(x[1, 0])", "bool(x[0, 0])",
                 "x.numpy()", "np.asarray(x)", "np.array(x, dtype=np.float32)", "len(x)", "[y.tolist() for y in x]",
                 "x.shape", "x.size()", "x.size(1)", "x.size(-1)", "x.dim()", "x.ndim", "x.numel()", "x.nelement()",
                 "x.stride()", "x.stride(0)", "x.is_contiguous()", "1 in x", "5 in x", "x.shape.numel()", "x.shape[0]",
                 "x.shape[:1]", "x.shape + (3,)", "x.device", "x.is_cuda"):  # fmt: skip
        agree(code, x=x)


@pytest.mark.parametrize(
    "code",
    rows("""
    "abc"[x]
    range(5)[x]
    [1, 2, 3][x:]
    hash(x) == id(x)
    f"{x:.3f}"
    f"{x}"
    "{:d}".format(x)
    round(float(x), 1)
    x == "a", x != "a", x == None, x != None, (x == x) is True
    np.float64(2) * x.double()
    x.double() * np.float32(2)
    x + np.int64(2)
    np.ones(2) * 2.0
    x.new_zeros(2, 3), x.new_zeros((2,)), x.new_ones([2]), x.new_full((2,), 7), x.new_tensor([1.5, 2.5])
    x.new_zeros(2, dtype=t.float64), x.new_ones(2, requires_grad=False), x.new_tensor([1, 2], dtype=t.float32)
    x.new_empty((2, 0)).shape
"""),
)
def test_number_like_uses(code):
    agree(code, x=Const(np.array(2)))
