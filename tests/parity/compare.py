"""Run one piece of code on our tensors and on PyTorch's: results, gradients and errors must agree.

A row is an expression in `t` (the library), `F` (its nn.functional), put() and named inputs: agree("t.sum(x, 0)", x=array).
A program is a test function of `t` that returns what is to be equal: see same_in_both.
"""

from __future__ import annotations

import inspect
import math
import re
import warnings
from contextlib import contextmanager
from functools import partial, wraps

import numpy as np
import pytest

import tinygrad_cnn as tg

torch = pytest.importorskip("torch", reason="the parity tests need PyTorch: pip install 'tinygrad_cnn[parity]'")

ERRORS = (ValueError, TypeError, RuntimeError, IndexError)  # what rejecting an argument may raise
TOLERANCES = {"float32": (2e-5, 2e-6), "float64": (1e-9, 1e-11)}  # relative, absolute; other dtypes: equal


class Const:
    """A floating array that is to become a tensor without a gradient."""

    def __init__(self, array):
        self.array = np.asarray(array)


def rows(text):
    """Return the lines of a table, without comments and blank lines."""
    lines = [line.split("  #")[0].strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def normal(*shape, seed=0, dtype=np.float64):
    """Return normal random numbers."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def integers(*shape, low=-9, high=10, seed=0, dtype=np.int64):
    """Return random integers from low to high - 1."""
    return np.random.default_rng([seed, *shape]).integers(low, high, shape).astype(dtype)


def mask(*shape, seed=0):
    """Return random bools."""
    return np.random.default_rng([seed, *shape]).random(shape) < 0.5


# ---- running ----


def as_tensor(t, value, grad=True):
    """Return an array as a tensor on a copy of it, floating ones with a gradient; other values as they are."""
    if isinstance(value, Const):
        return t.from_numpy(value.array.copy())
    if not isinstance(value, np.ndarray):
        return value
    x = t.from_numpy(value.copy())
    return x.requires_grad_() if grad and x.is_floating_point() else x


@contextmanager
def quiet(t):
    """Ignore warnings while PyTorch runs; ours stay errors."""
    with warnings.catch_warnings():
        if t is torch:
            warnings.simplefilter("ignore")
        yield


def put(x, key, value):
    """Return a copy of x in which x[key] = value was done; keys are written as np.s_[...]."""
    y = x.clone()
    y[key] = value
    return y


def evaluate(t, code, inputs, grad=True):
    """Return the value of an expression and the tensors that it was given."""
    given = {name: as_tensor(t, value, grad) for name, value in inputs.items()}
    names = {"t": t, "F": t.nn.functional, "np": np, "inf": math.inf, "nan": math.nan, "put": put, **given}
    with quiet(t):
        return eval(code, names), given


def tensors_in(value):
    """Return the tensors in a nested result, in order."""
    if isinstance(value, (tg.Tensor, torch.Tensor)):
        return [value]
    return [x for item in value for x in tensors_in(item)] if isinstance(value, (list, tuple)) else []


def gradients(t, value, given):
    """Return the gradients of the inputs for random gradients of the results."""
    outputs = [y for y in tensors_in(value) if y.requires_grad]
    leaves = [x for x in given.values() if isinstance(x, (tg.Tensor, torch.Tensor)) and x.requires_grad]
    if not outputs or not leaves:
        return []
    dys = [t.from_numpy(normal(*y.shape, seed=k)).to(y.dtype) for k, y in enumerate(outputs)]
    with quiet(t):
        return list(t.autograd.grad(outputs, leaves, dys, allow_unused=True))


def failure(function, *args):
    """Return the exception that a call raises, or None; a mistake in the test itself is passed on."""
    try:
        function(*args)
    except Exception as error:
        return error
    return None


# ---- comparing ----


def name_of(value):
    """Return a dtype's name in both libraries."""
    return str(value).removeprefix("torch.").removeprefix("tinygrad_cnn.")


def same(ours, theirs, where="", precision=None, scaled=False):
    """Raise unless two nested results are equal: tensors in shape, dtype, requires_grad and (closely) value.

    The precision is that of the tensors' dtype, or of another.  `scaled` measures errors against the largest element, as is
    fair for sums of many terms.
    """
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, tg.Tensor), f"{where}: got {type(ours).__name__}, PyTorch a tensor"
        same_tensor(ours, theirs, where, precision, scaled)
    elif isinstance(theirs, (torch.Size, torch.dtype, torch.device)):
        assert name_of(ours).replace("'", "") == name_of(theirs).replace("'", ""), where
    elif isinstance(theirs, (list, tuple)):
        assert isinstance(ours, (list, tuple)), f"{where}: got {ours!r}, PyTorch {theirs!r}"
        assert len(ours) == len(theirs), f"{where}: {len(ours)} items, PyTorch has {len(theirs)}"
        for i, (a, b) in enumerate(zip(ours, theirs)):
            same(a, b, f"{where}[{i}]", precision, scaled)
    elif isinstance(theirs, np.ndarray):
        assert ours.dtype == theirs.dtype, where
        np.testing.assert_array_equal(ours, theirs, err_msg=where)
    else:
        assert type(ours) is type(theirs), f"{where}: got {ours!r}, PyTorch {theirs!r}"
        close = isinstance(theirs, float) and (math.isclose(ours, theirs, rel_tol=1e-6) or ours != ours != theirs)
        assert close or ours == theirs, f"{where}: got {ours!r}, PyTorch {theirs!r}"


def same_tensor(ours, theirs, where, precision=None, scaled=False):
    """Raise unless two tensors are equal."""
    assert tuple(ours.shape) == tuple(theirs.shape), f"{where}: {tuple(ours.shape)}, PyTorch {tuple(theirs.shape)}"
    assert name_of(ours.dtype) == name_of(theirs.dtype), f"{where}: {ours.dtype}, PyTorch {theirs.dtype}"
    assert ours.requires_grad == theirs.requires_grad, f"{where}: requires_grad, PyTorch {theirs.requires_grad}"
    assert ours.is_leaf == theirs.is_leaf, f"{where}: is_leaf, PyTorch {theirs.is_leaf}"
    relative, absolute = TOLERANCES.get(precision or name_of(ours.dtype), (0, 0))
    a, b = ours.detach().numpy(), theirs.detach().numpy()
    absolute = absolute + relative * np.abs(b[np.isfinite(b)]).max(initial=0) if scaled else absolute
    np.testing.assert_allclose(a, b, relative, absolute, err_msg=f"{where}: ours, then PyTorch's")


def agree(code, scaled=False, **inputs):
    """Raise unless an expression has the same value and gradients in both libraries; `scaled` as in same()."""
    ours, given = evaluate(tg, code, inputs)
    theirs, theirs_given = evaluate(torch, code, inputs)
    same(ours, theirs, "value", None, scaled)
    single = "float32" if any(y.dtype is torch.float32 for y in tensors_in(theirs)) else None
    same(gradients(tg, ours, given), gradients(torch, theirs, theirs_given), "gradient", single, scaled)


def both_reject(code, **inputs):
    """Raise unless an expression is an error in both libraries, ours of a class that a user of PyTorch expects."""
    theirs = failure(evaluate, torch, code, inputs)
    assert theirs is not None, "PyTorch accepts this"
    same_error(failure(evaluate, tg, code, inputs), theirs)


def same_error(ours, theirs):
    """Raise unless our exception can stand for PyTorch's: a TypeError for a TypeError, one about values for another."""
    assert isinstance(theirs, ERRORS), f"not an error that PyTorch raises on purpose: {theirs!r}"
    assert ours is not None, f"accepted, but PyTorch raises {type(theirs).__name__}: {theirs}"
    wanted = TypeError if isinstance(theirs, TypeError) else (ValueError, RuntimeError, IndexError)
    assert isinstance(ours, wanted), f"{type(ours).__name__}: {ours}; PyTorch raises {type(theirs).__name__}: {theirs}"
    assert len(str(ours)) > 10, f"an error that says nothing: {ours!r}"


def agree_or_both_reject(code, scaled=False, **inputs):
    """Raise unless an expression gives the same in both libraries, be it a value or an error; return whether a value."""
    theirs = failure(evaluate, torch, code, inputs)
    if theirs is None:
        agree(code, scaled, **inputs)
    else:
        same_error(failure(evaluate, tg, code, inputs), theirs)
    return theirs is None


def shown(value):
    """Return the text of an input."""
    array = value.array if isinstance(value, Const) else value
    if isinstance(array, np.ndarray) and array.size > 8:
        return f"{array.dtype} {array.shape}"
    return repr(array)


def check_all(cases, check=agree_or_both_reject):
    """Check an expression for each of many inputs [(code, inputs) ...], and raise one error about all that differ."""
    differing = []
    for code, inputs in cases:
        error = failure(partial(check, code, **inputs))
        if error is not None:
            used = [name for name in inputs if re.search(rf"\b{name}\b", code)]
            told = ", ".join(f"{name}={shown(inputs[name])}" for name in used)
            differing.append(f"{code} with {told}: {type(error).__name__} {error}")
    assert not differing, f"{len(differing)} of {len(cases)} cases differ:\n" + "\n".join(differing)


def same_in_both(program):
    """Make a test of a function of the library, and of further parameters, whose results must be equal."""

    @wraps(program)
    def test(**kwargs):
        ours = program(tg, **kwargs)
        with quiet(torch):
            theirs = program(torch, **kwargs)
        assert theirs is not None, "the program returns nothing"
        same(ours, theirs, program.__name__)

    parameters = list(inspect.signature(program).parameters.values())[1:]
    test.__signature__ = inspect.Signature(parameters)
    del test.__wrapped__
    return test


def error_of(function, *args):
    """Return what kind of error a call raises, for programs: "error", the name of an unexpected one, or "none"."""
    error = failure(function, *args)
    return "none" if error is None else "error" if isinstance(error, ERRORS) else type(error).__name__
