"""Making tensors: dtypes, shapes, values, memory and refusals."""

import numpy as np
import pytest

from .compare import (
    ERRORS,
    Const,
    agree,
    agree_or_both_reject,
    both_reject,
    check_all,
    evaluate,
    failure,
    rows,
    same,
    same_in_both,
    tg,
    torch,
)

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64"]


@pytest.mark.parametrize("code", rows("""
    t.tensor(1)
    t.tensor(1.5)
    t.tensor(True)
    t.tensor([])
    t.tensor([[]])
    t.tensor([[], []])
    t.tensor(())
    t.tensor([1, 2])
    t.tensor([1, 2.5])
    t.tensor([True, 2])
    t.tensor([True, 2.5])
    t.tensor([True, False])
    t.tensor((1, 2))
    t.tensor([(1, 2), [3, 4]])
    t.tensor([[[1], [2]], [[3], [4]]])
    t.tensor([1, 2], dtype=t.float64)
    t.tensor([1.9, -1.9], dtype=t.int32)
    t.tensor([1, 0, 2], dtype=t.bool)
    t.tensor([0.0, 0.5, nan], dtype=t.bool)
    t.tensor([], dtype=t.int64)
    t.tensor(range(4))
    t.tensor(2**40)
    t.tensor(-(2**63))
    t.tensor([2**63 - 1])
    t.tensor([-1], dtype=t.uint8)
    t.tensor(inf), t.tensor([nan, -inf])
    t.tensor(1e300), t.tensor(1e300, dtype=t.float64)
    t.tensor(np.float64(1.5))
    t.tensor(np.float32(1.5))
    t.tensor(np.int8(1))
    t.tensor(np.bool_(True))
    t.tensor([np.float64(1.5), np.float64(2)])
    t.tensor([np.float32(1.5), 2.0])
    t.tensor([np.int32(1), np.int32(2)])
    t.tensor([np.int64(1), 2.5])
    t.tensor(np.array(3))
    t.tensor(np.arange(3, dtype=np.int16))
    t.tensor(np.zeros((2, 0)))
    t.tensor(np.arange(6.0).reshape(2, 3).T)
    t.tensor([np.arange(3.0), np.arange(3.0)])
    t.tensor([np.arange(3), np.arange(3)])
    t.tensor([t.tensor(1), t.tensor(2)])
    t.tensor([t.tensor(1.5), 2])
    t.tensor([[t.tensor(1.5), t.tensor(2)]])
    t.tensor([t.tensor([1]), t.tensor([2])])
    t.tensor(t.tensor([1.5]))
    t.tensor([1.5], requires_grad=True)
    t.tensor(1.0, device="cpu")
    t.as_tensor([1, 2])
    t.as_tensor(3.0)
    t.as_tensor(np.arange(3.0))
    t.as_tensor(np.arange(3), dtype=t.float32)
    t.as_tensor(t.ones(2), dtype=t.int32)
    t.as_tensor(np.float32(2))
    t.from_numpy(np.arange(4, dtype=np.uint8))
    t.from_numpy(np.arange(6.0).reshape(2, 3).T).stride()
    t.zeros(2, 3), t.ones(2, 3), t.zeros((2, 3)), t.ones([2]), t.zeros(()), t.zeros(0), t.ones(2, 0)
    t.zeros(size=(2, 3))
    t.zeros(t.Size([2, 1]))
    t.zeros(2, dtype=t.int8), t.ones(2, dtype=t.bool), t.ones(2, dtype=t.float64, requires_grad=True)
    t.zeros(np.int64(2), 3)
    t.zeros(t.tensor(2), 3)
    t.empty(2, 3).shape, t.empty((0,)), t.empty(2, dtype=t.int16).dtype
    t.full((2, 3), 1.5), t.full((2,), 7), t.full((), True), t.full([2], 3, dtype=t.float32)
    t.full((2,), t.tensor(3)), t.full((2,), np.float32(1.5)), t.full((2,), t.tensor(2.5))
    t.full((2,), 2.7, dtype=t.int32), t.full((2,), -1, dtype=t.uint8), t.full((2,), inf)
    t.full(size=(2,), fill_value=3)
    t.full((2,), 1.0, requires_grad=True)
    t.eye(3), t.eye(2, 3), t.eye(3, 2), t.eye(0), t.eye(2, 0), t.eye(2, dtype=t.int64), t.eye(2, m=3), t.eye(n=2)
    t.arange(5), t.arange(1, 5), t.arange(1, 10, 3), t.arange(5, 0, -2), t.arange(0), t.arange(3, 3)
    t.arange(5.0), t.arange(0, 1, 0.25), t.arange(1, 2.5, 0.5), t.arange(0.5, 5), t.arange(1, 0, -0.3)
    t.arange(5, dtype=t.float64), t.arange(5, dtype=t.float32), t.arange(2.7, dtype=t.int32), t.arange(3, dtype=t.uint8)
    t.arange(0, 1, 0.1), t.arange(0, 1, 0.1, dtype=t.float64), t.arange(1, 1.3, 0.1), t.arange(0.0, 10.0, 3)
    t.arange(end=4), t.arange(start=1, end=4), t.arange(1, 4, step=2), t.arange(start=1, end=8, step=3)
    t.arange(t.tensor(3)), t.arange(t.tensor(3.0)), t.arange(np.int64(4)), t.arange(np.float32(2.5))
    t.arange(True), t.arange(2**31, 2**31 + 2), t.arange(-3, 3), t.arange(3, requires_grad=False)
    t.arange(3.0, requires_grad=True)
    t.linspace(0, 1, 5), t.linspace(1, 0, 3), t.linspace(-1, 1, 4), t.linspace(0, 10, 1), t.linspace(2, 3, 0)
    t.linspace(0, 1, steps=3), t.linspace(start=0, end=1, steps=3), t.linspace(0, 1, 3, dtype=t.float64)
    t.linspace(0, 10, 5, dtype=t.int64), t.linspace(0, 1, 5, requires_grad=True), t.linspace(3, 3, 4)
    t.linspace(-5, 5, 7, dtype=t.int32), t.linspace(0, 7, 4, dtype=t.uint8)
    t.linspace(t.tensor(0.0), t.tensor(1.0), 3)
    t.Tensor([1, 2, 3]), t.Tensor(2, 3).shape, t.Tensor(), t.Tensor([[1.5]]), t.Tensor([]), t.Tensor(0).shape
    t.Tensor((2, 3)), t.Tensor([True, False])
    t.rand(2, 3).shape, t.randn(2, 3).dtype, t.rand((2,)).shape, t.randn(()).shape, t.rand(0).shape, t.rand(size=(2,)).shape
    t.rand(2, dtype=t.float64).dtype, t.randn(2, requires_grad=True).requires_grad
    t.randint(5, (2, 3)).shape, t.randint(2, 5, (2,)).dtype, t.randint(0, 2, (3,), dtype=t.float32).dtype
    t.randint(high=5, size=(2,)).shape, t.randint(low=1, high=2, size=(2,)), t.randint(-3, -2, (4,)), t.randint(1, (0,))
    t.randperm(0), t.randperm(1), t.randperm(3).dtype, t.randperm(3, dtype=t.int32).dtype
    t.get_default_dtype()
"""))  # fmt: skip
def test_creation(code):
    agree(code)


@pytest.mark.parametrize(
    "code",
    rows("""
    t.zeros_like(x), t.ones_like(x), t.full_like(x, 2), t.empty_like(x).shape, t.empty_like(x).dtype
    t.zeros_like(x, dtype=t.float64), t.ones_like(x, dtype=t.int8), t.full_like(x, 1.5, dtype=t.float32)
    t.zeros_like(x, requires_grad=False), t.ones_like(x, device="cpu"), t.zeros_like(input=x)
    t.full_like(x, True), t.full_like(x, t.tensor(1))
    t.randint_like(x, 1, 2), t.randint_like(x, 1), t.randint_like(x, 1, 2, dtype=t.float32)
    x.new_zeros(2, 3), x.new_zeros((2, 3)), x.new_ones(2), x.new_ones([2, 1]), x.new_full((2,), 1), x.new_empty(3).dtype
    x.new_zeros(2, dtype=t.float32), x.new_full((2,), 2.5, dtype=t.float64), x.new_zeros(()), x.new_zeros(0)
    x.new_tensor([1, 0]), x.new_tensor(1), x.new_tensor([1.0, 0.0], dtype=t.float64), x.new_tensor(np.array([1, 0]))
    t.as_tensor(x) is x, t.as_tensor(x, dtype=x.dtype) is x, t.tensor(x) is x
    x.clone(), x.clone().stride(), x.detach(), x.contiguous() is x, x.data
"""),
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_like(code, dtype):
    agree(code, x=Const(np.array([[1, 0, 1], [0, 1, 1]]).astype(dtype)))


@pytest.mark.parametrize(
    "code",
    rows("""
    t.rand_like(x).dtype, t.randn_like(x).shape, t.rand_like(x, dtype=t.float32).dtype
    t.zeros_like(x), t.zeros_like(x, requires_grad=True), t.empty_like(x).requires_grad
    t.tensor(x), x.new_tensor([1, 2]), x.new_ones(2, requires_grad=True)
    x.t().contiguous().stride(), x[:, ::2].contiguous().stride(), x[:, ::2].clone().stride()
"""),
)
def test_like_of_floats(code):
    agree(code, x=np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize(
    "code",
    rows("""
    t.tensor("a")
    t.tensor([1, "a"])
    t.tensor([[1, 2], [3]])
    t.tensor([1, 2], [3])
    t.tensor(300, dtype=t.uint8)
    t.tensor([300], dtype=t.uint8)
    t.tensor(inf, dtype=t.int32)
    t.tensor([nan], dtype=t.int64)
    t.tensor([1], dtype="nonsense")
    t.tensor([1], requires_grad=True)
    t.tensor([1.0], device="nonsense")
    t.tensor(np.array(["a"]))
    t.tensor(np.array([object()]))
    t.from_numpy([1, 2])
    t.from_numpy(3.0)
    t.from_numpy(np.arange(3.0)[::-1])
    t.from_numpy(np.array(["a"]))
    t.from_numpy(np.arange(3.0).astype(">f8"))
    t.zeros(-1)
    t.zeros((2, -3))
    t.zeros("a")
    t.zeros(1.5)
    t.zeros((2, 1.5))
    t.zeros()
    t.zeros(2, dtype="nonsense")
    t.zeros(2, size=(3,))
    t.zeros(2, nonsense=3)
    t.ones(2, dtype=t.int64, requires_grad=True)
    t.full((2,), "a")
    t.full((2,), None)
    t.full((2,), t.tensor([1, 2]))
    t.full(2, 1)
    t.full((-1,), 1)
    t.full((2,), 300, dtype=t.uint8)
    t.full((2,), inf, dtype=t.int64)
    t.full((2,), 1e300, dtype=t.float32)
    t.full((2,))
    t.full_like(t.zeros(2, dtype=t.uint8), 300)
    t.zeros_like(3)
    t.zeros_like([1, 2])
    t.zeros_like(t.zeros(2, dtype=t.int64), requires_grad=True)
    t.zeros(2).new_full((2,), "a")
    t.zeros(2, dtype=t.int8).new_full((2,), 1000)
    t.zeros(2).new_zeros(-1)
    t.eye(-1)
    t.eye(2, -1)
    t.eye(2.5)
    t.eye((2, 3))
    t.arange(5, 1)
    t.arange(1, 5, 0)
    t.arange(1, 5, -1)
    t.arange(0, 1, -0.1)
    t.arange("a")
    t.arange()
    t.arange(0, nan)
    t.arange(0, inf)
    t.arange(0, 1, nan)
    t.linspace(0, 1, -1)
    t.linspace(0, 1)
    t.linspace("a", 1, 3)
    t.linspace(0, 1, 2.5)
    t.rand(-1)
    t.rand(2, dtype=t.int64)
    t.randn(2, dtype=t.bool)
    t.rand_like(t.zeros(2, dtype=t.int64))
    t.randint(0, (2,))
    t.randint(5, 2, (2,))
    t.randint(2, 2, (2,))
    t.randint(5)
    t.randint(0, 5, 3)
    t.randint(0, 5, (-1,))
    t.randint(0, 1000, (2,), dtype=t.uint8)
    t.randperm(-1)
    t.randperm(2.5)
    t.randperm("a")
    t.manual_seed("a")
    t.set_default_dtype(t.int64)
    t.Tensor(2, "a")
    t.Tensor(-1)
    t.zeros(2).to("nonsense")
    t.zeros(2).to(t.zeros)
    t.device("nonsense")
    t.device(3.5)
"""),
)
def test_errors(code):
    both_reject(code)


@pytest.mark.parametrize(
    "code",
    rows("""
    t.tensor(["a"])
    t.tensor(None)
    t.tensor([None])
    t.tensor([1, [2]])
    t.tensor([[1], 2])
    t.tensor({"a": 1})
    t.tensor({1, 2})
    t.tensor(object())
    t.zeros(2).to(3)
    t.Tensor("a")
"""),
)
def test_errors_of_either_kind(code):  # whether type or value is wrong is a matter of taste
    theirs, ours = (failure(evaluate, t, code, {}) for t in (torch, tg))
    assert isinstance(theirs, ERRORS)
    assert isinstance(ours, (TypeError, ValueError))


@pytest.mark.parametrize("dtype", DTYPES)
def test_kept_dtype_of_arrays(dtype):
    check_all([(f"t.{make}(x)", {"x": Const(np.array([0, 1, 1]).astype(dtype))}) for make in ("tensor", "as_tensor")])
    for make in ("tensor", "from_numpy", "as_tensor"):
        array = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
        same(getattr(tg, make)(array), getattr(torch, make)(array))


@same_in_both
def test_sharing_memory(t):
    result = []
    for make in (t.tensor, t.as_tensor, t.from_numpy):
        array = np.arange(3.0)
        x = make(array)
        array[0] = 7
        x[1] = 8
        result += [x, array.copy()]
    array = np.arange(3.0)
    y = t.as_tensor(array, dtype=t.float32)
    array[0] = 5
    x = t.ones(3)
    x.numpy()[0] = 9
    x.detach()[1] = 10
    x.data[2] = 11
    return [*result, y, x]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_default_dtype(dtype):
    codes = ("t.zeros(2)", "t.tensor(1.5)", "t.tensor([1.0, 2])", "t.tensor([])", "t.arange(0.0, 2)", "t.linspace(0, 1, 3)",
             "t.full((2,), 1.5)", "t.ones(2) + t.tensor(1)", "t.tensor(1) + 1.5", "t.tensor([1]) / 2", "t.tensor([4]).sqrt()",
             "t.eye(2)", "t.Tensor([1]).dtype", "t.get_default_dtype()", "t.tensor(np.float64(1))", "t.tensor([1]).float()",
             "t.randn(2).dtype", "str(t.tensor([1.5]))", "str(t.tensor([1.5], dtype=t.float64)).replace('torch', '')[:14]")  # fmt: skip
    for t in (tg, torch):
        t.set_default_dtype(getattr(t, dtype))
    try:
        for code in codes:
            agree(code)
    finally:
        for t in (tg, torch):
            t.set_default_dtype(t.float32)


@pytest.mark.parametrize("step", [0.1, 0.2, 0.3, -0.1, 1 / 3, 1e-3 * 7, 1.1, -2.7])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", None])
def test_arange_with_fractions(step, dtype):
    for start in (0, 0.5, -1.3, 2):
        end = start + 17.05 * step
        if dtype is None or dtype.startswith("float") or abs(step) >= 1:
            agree_or_both_reject(f"t.arange({start}, {end}, {step}, dtype={'t.' + dtype if dtype else None})")


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10, 101])
def test_linspace(steps):
    for start, end in ((0, 1), (1, 0), (-3.7, 11.3), (0, 1e6), (5, 5)):
        # PyTorch rounds the steps of integers to float32, and cuts the result
        for dtype in ("float32", "float64", *(["int64"] if steps in (1, 2, 3, 10) else [])):
            agree(f"t.linspace({start}, {end}, {steps}, dtype=t.{dtype})")


@same_in_both
def test_generator(t):
    g = t.Generator()
    first = g.manual_seed(3) is g
    a, b = t.rand(4, generator=g), t.rand(4, generator=g)
    g.manual_seed(3)
    again = bool((t.rand(4, generator=g) == a).all())
    t.manual_seed(5)
    c = t.randn(3)
    t.manual_seed(5)
    state = t.get_rng_state()
    d = t.randn(3)
    t.set_rng_state(state)
    e = t.randn(3)
    return (
        first,
        again,
        bool((a == b).any()),
        bool((c == d).all()),
        bool((d == e).all()),
        g.initial_seed(),
        t.initial_seed(),
    )


@same_in_both
def test_random_ranges(t):
    t.manual_seed(0)
    u, i, p = t.rand(2000), t.randint(-3, 4, (2000,)), t.randperm(50)
    f = t.empty(2000).uniform_(2, 3)
    n = t.empty(2000).normal_(5, 0.5)
    b = t.empty(2000).bernoulli_(0.3)
    z = t.randn(2000)
    facts = [
        bool((u >= 0).all()),
        bool((u < 1).all()),
        int(i.min()),
        int(i.max()),
        sorted(p.tolist()) == list(range(50)),
    ]
    facts += [bool((f >= 2).all()), bool((f <= 3).all()), sorted(set(b.tolist()))]
    means = [(u, 0.5), (f, 2.5), (n, 5.0), (b, 0.3), (z, 0.0), (z * z, 1.0), ((n - 5) ** 2, 0.25)]
    return facts + [abs(float(x.mean()) - mean) < 0.12 for x, mean in means]
