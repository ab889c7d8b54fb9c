"""Dropout: what does not depend on the random numbers, and their statistics."""

import pytest

from .compare import agree, both_reject, error_of, normal, rows, same_in_both


@pytest.mark.parametrize(
    "code",
    rows("""
    F.dropout(x, 0.5, False)
    F.dropout(x, 0.0)
    F.dropout(x, 0)
    F.dropout(x, 1.0)
    F.dropout(x, 1)
    F.dropout(x, p=0.3, training=False)
    F.dropout(x * 1, 0.5, False, True)
    F.dropout(x * 1, 0.0, True, True)
    F.dropout(x * 1, 1.0, True, inplace=True)
    F.dropout(x[:0], 0.5)
    F.dropout(x, 0.5, False) is x
    F.dropout2d(x, 0.5, False)
    F.dropout2d(x, 0.0)
    F.dropout2d(x, 1.0)
    F.dropout2d(x[0], 1.0)
    F.dropout2d(x * 1, 1.0, True, True)
"""),
)
def test_certain_results(code):
    agree(code, x=normal(2, 3, 4, 5))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@same_in_both
def test_statistics(t, p):
    t.manual_seed(1)
    x = t.from_numpy(normal(200, 200)).requires_grad_()
    y = t.nn.functional.dropout(x, p)
    kept = (y != 0).double()
    (d,) = t.autograd.grad(y.sum(), x)
    again = t.nn.functional.dropout(x, p)
    return [
        abs(float(kept.mean()) - (1 - p)) < 0.01,
        abs(float(kept.mean(0).std()) - (p * (1 - p) / 200) ** 0.5) < 0.01,
        abs(float(kept[1:].mul(kept[:-1]).mean()) - (1 - p) ** 2) < 0.02,
        float((y - x * kept / (1 - p)).abs().max()) < 1e-9,
        float((d - kept / (1 - p)).abs().max()) < 1e-9,
        bool((again != y).any()),
        bool((t.nn.functional.dropout(x.detach(), p, training=True) == 0).any()),
    ]


@same_in_both
def test_maps(t):
    t.manual_seed(1)
    x = t.ones(50, 40, 3, 3, dtype=t.float64, requires_grad=True)
    y = t.nn.functional.dropout2d(x, 0.3)
    first = y[:, :, :1, :1]
    (d,) = t.autograd.grad((y * 2).sum(), x)
    whole = bool((y == first).all())
    return (
        whole,
        abs(float((first != 0).double().mean()) - 0.7) < 0.05,
        abs(float(y.max()) - 1 / 0.7) < 1e-9,
        bool((d == 2 * y).all()),
    )


@same_in_both
def test_seed_and_grad_mode(t):
    x = t.ones(100)
    t.manual_seed(3)
    a = t.nn.functional.dropout(x)
    t.manual_seed(3)
    b = t.nn.functional.dropout(x)
    with t.no_grad():
        c = t.nn.functional.dropout(x)
    return bool((a == b).all()), bool((c == 0).any()), a.dtype, error_of(t.nn.functional.dropout, x, 2)


@pytest.mark.parametrize(
    "code",
    rows("""
    F.dropout(x, -0.1)
    F.dropout(x, 1.1)
    F.dropout(x, nan)
    F.dropout(x, "a")
    F.dropout(None)
    F.dropout([1.0])
    F.dropout(x.long(), 0.5)
    F.dropout2d(x, -0.1)
    F.dropout2d(x, 1.1)
    F.dropout(x, 0.5, True, True)
"""),
)
def test_errors(code):
    both_reject(code, x=normal(2, 3, 4, 5))
