"""The text of a tensor is PyTorch's, but for the name of the library."""

import numpy as np
import pytest

from .compare import Const, evaluate, normal, rows, same_in_both, tg, torch


def text(t, value):
    """Return repr(value)."""
    return repr(value)


@pytest.mark.parametrize(
    "code",
    rows("""
    t.tensor(1)
    t.tensor(-5)
    t.tensor(1.5)
    t.tensor(True)
    t.tensor(2.0)
    t.tensor(1e10), t.tensor(1e-10), t.tensor(123456789.0), t.tensor(0.1 + 0.2)
    t.tensor(inf), t.tensor(-inf), t.tensor(nan)
    t.tensor([])
    t.tensor([[]]), t.zeros(2, 0), t.zeros(0, 3), t.zeros(0, dtype=t.int64), t.zeros(0, 2, dtype=t.bool), t.zeros(0, dtype=t.float64)
    t.tensor([1, 2, 3])
    t.tensor([1, -20, 300])
    t.tensor([True, False])
    t.tensor([1.0, 2.0])
    t.tensor([1.0, -2.0])
    t.tensor([1.5, 2.25, -3.125])
    t.tensor([0.0]), t.tensor([-0.0]), t.tensor([0.0, 1.0])
    t.tensor([1e-5, 1.0]), t.tensor([1e-3, 1.0]), t.tensor([1e-4, 0.5])
    t.tensor([1e8, 1.0]), t.tensor([1e7, 1.0]), t.tensor([1e9]), t.tensor([99999999.0, 1.5])
    t.tensor([1e5, 1.5]), t.tensor([1000.5, 1.0]), t.tensor([1001.5, 1.0]), t.tensor([12345.678])
    t.tensor([1e-10, 1e10])
    t.tensor([1e-5]), t.tensor([1e-4]), t.tensor([0.00012]), t.tensor([0.001])
    t.tensor([nan, 1.0]), t.tensor([nan, 1.5]), t.tensor([inf, 1.0]), t.tensor([-inf, 1.5]), t.tensor([inf, nan])
    t.tensor([nan, 1e10]), t.tensor([inf, 1e-10, -nan]), t.tensor([inf, 2])
    t.tensor([1.0, 2.0], dtype=t.float64), t.tensor([1, 2], dtype=t.int32), t.tensor([1, 2], dtype=t.uint8)
    t.tensor(1.5, dtype=t.float64), t.tensor(3, dtype=t.int8), t.tensor([[1]], dtype=t.int16)
    t.tensor([[1, 2], [3, 4]])
    t.tensor([[1.5, 2.0], [3.0, 4.0]])
    t.tensor([[[1, 2], [3, 4]], [[5, 6], [7, 8]]])
    t.tensor([[True, False], [False, True]])
    t.zeros(2, 2, 2, 2)
    t.ones(1, 1, 1)
    t.zeros(3, 1)
    t.tensor([1.0, 2.0], requires_grad=True)
    t.tensor([[1.0, 2.0]], requires_grad=True)
    t.tensor([1.0, 2.0], dtype=t.float64, requires_grad=True)
    t.tensor([1.0, 2.0], requires_grad=True) * 2
    t.tensor([1.0, 2.0], requires_grad=True).sum()
    t.tensor([1.0, 2.0], requires_grad=True).exp()
    t.tensor([[1.0, 2.0]], dtype=t.float64, requires_grad=True) + 1
    t.tensor([1.0, 2.0], requires_grad=True).detach()
    t.arange(20)
    t.arange(30)
    t.arange(100)
    t.arange(999)
    t.arange(1000)
    t.arange(1001)
    t.arange(2000).reshape(2, 1000)
    t.arange(2000.0).reshape(40, 50)
    t.arange(1001) > 500
    t.arange(1200).reshape(10, 10, 12)
    t.arange(1200).reshape(2, 2, 300)
    t.zeros(1001)
    t.zeros(50, 50)
    t.arange(40.0)
    t.arange(40.0, dtype=t.float64)
    t.arange(40).reshape(2, 20)
    t.arange(60.0).reshape(2, 30)
    t.arange(60) % 2 == 0
    t.arange(24).reshape(2, 3, 4).permute(2, 0, 1)
    t.arange(6).reshape(2, 3).t()
    t.arange(3.0).expand(2, 3)
    t.ones(25, requires_grad=True) * 2
    t.ones(20, dtype=t.float64, requires_grad=True)
    t.ones(3, 30, dtype=t.float64, requires_grad=True)
    t.tensor([255, 0], dtype=t.uint8), t.tensor([-128, 127], dtype=t.int8)
    t.tensor([2**62, -(2**62)]), t.tensor([10**18])
    x
    x * 1000
    x * 1e-6
    x * 1e6
    x.float()
    x.float() * 12345
    x[0]
    x[:, :1]
    x.long()
    x > 0
    x.round()
    big
    big.float()
    t.Size([2, 3])
    x.shape
    t.Size([])
    t.float32, t.int64, t.bool, t.float64
    t.device("cpu"), str(t.device("cpu")), x.device
    [t.tensor(1), t.tensor([2.5])]
    t.nn.Parameter(t.tensor([1.0, 2.0]))
    t.nn.Parameter(t.ones(2, 2, dtype=t.float64))
    t.nn.Parameter(t.tensor([1.0]), requires_grad=False)
"""),
)
def test_text(code):
    texts = [
        text(t, evaluate(t, code, {"x": Const(normal(3, 4)), "big": Const(normal(30, 40))})[0]) for t in (tg, torch)
    ]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
@pytest.mark.parametrize("seed", range(15))
def test_random_texts(seed, dtype):
    random = np.random.default_rng(seed)
    shape = tuple(int(n) for n in random.choice([1, 2, 3, 5, 11, 27], random.integers(0, 4)))
    x = random.standard_normal(shape) * 10.0 ** random.integers(-6, 7, shape if seed % 2 else ())
    x = np.where(random.random(shape) < 0.1, random.choice([0.0, 1.0, np.nan, np.inf, -np.inf]), x)
    if not dtype.startswith("float"):
        x = np.nan_to_num(x, posinf=7, neginf=-3) % 200
    with np.errstate(all="ignore"):
        x = np.asarray(x.astype(dtype))
    assert text(tg, tg.tensor(x)) == text(torch, torch.tensor(x))


@same_in_both
def test_strings(t):
    x = t.tensor([1.5])
    return (
        str(x),
        f"{x}",
        f"{t.tensor(2.5):.2f}",
        f"{t.tensor(2.5)}",
        f"{t.tensor(3)}",
        f"{t.tensor(3):5d}",
        str(t.tensor(1.0)),
    )
