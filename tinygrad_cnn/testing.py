"""Tools for tests, also of one's own operations: gradcheck, gradgradcheck, assert_close.

def cube(x): ...                                   # or MyFunction.apply
gradcheck(cube, torch_like.randn(3, dtype=float64, requires_grad=True))
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from . import autograd
from .autograd import enable_grad
from .tensor import Tensor

MOST_ELEMENTS = 4096  # of a Jacobian that a failing fast check works out to say what is wrong
PROJECTIONS = 2


class GradcheckError(RuntimeError):
    """A gradient differs from finite differences."""


def _tuple(values: Any) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, (tuple, list)) else (values,)


def _host(t: Tensor | None, like: Tensor) -> np.ndarray:
    return np.zeros(like.shape) if t is None else np.array(t.detach().numpy(force=True), np.float64)


def name_of(func: Callable[..., Any]) -> str:
    """Return what to call a function in an error: the class for the apply of a Function."""
    name: str = getattr(func, "__name__", type(func).__name__)
    owner = getattr(func, "__self__", None)
    return owner.__name__ if name == "apply" and isinstance(owner, type) else name


class _Check:
    """A function with its inputs, whose outputs and gradients are asked for as NumPy arrays."""

    def __init__(self, func: Callable[..., Any], inputs: Any, eps: float) -> None:
        self.func, self.eps = func, eps
        self.inputs = _tuple(inputs)
        self.name = name_of(func)
        self.checked = [i for i, x in enumerate(self.inputs) if isinstance(x, Tensor) and x.requires_grad]
        if not self.checked:
            raise ValueError(f"gradcheck: no input of {self.name} requires a gradient; call requires_grad_() on one")
        for i in self.checked:
            if self.inputs[i].itemsize < 8:
                warnings.warn(
                    f"gradcheck: input {i} is {self.inputs[i].dtype}; finite differences need float64", stacklevel=4
                )
        with enable_grad():
            self.outputs = self._differentiable(self.func(*self.inputs))
        if not self.outputs:
            raise ValueError(f"gradcheck: no output of {self.name} requires a gradient")

    def _differentiable(self, result: Any) -> list[Tensor]:
        return [y for y in _tuple(result) if isinstance(y, Tensor) and y.is_floating_point() and y.requires_grad]

    def evaluate(self) -> list[np.ndarray]:
        """Return the values of the outputs that have a gradient."""
        with enable_grad():  # a function may itself call backward
            return [_host(y, y) for y in self._differentiable(self.func(*self.inputs))]

    def shifted(self, steps: dict[int, np.ndarray]) -> list[np.ndarray]:
        """Return the outputs at inputs + steps, by changing the inputs' memory for a moment."""
        saved = {i: self.inputs[i].detach().clone() for i in steps}
        try:
            for i, step in steps.items():  # through .data, so that tensors saved for backward stay valid
                self.inputs[i].data.copy_(saved[i] + saved[i].new_tensor(step.tolist()).reshape(saved[i].shape))
            return self.evaluate()
        finally:
            for i, value in saved.items():
                self.inputs[i].data.copy_(value)

    def slope(self, directions: dict[int, np.ndarray]) -> list[np.ndarray]:
        """Return the derivative of the outputs along a direction, by central differences."""
        plus = self.shifted({i: self.eps * d for i, d in directions.items()})
        minus = self.shifted({i: -self.eps * d for i, d in directions.items()})
        return [(a - b) / (2 * self.eps) for a, b in zip(plus, minus, strict=True)]

    def gradients(self, cotangents: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return what backward says for these gradients of the outputs."""
        dys = [y.new_tensor(c.tolist()).reshape(y.shape) for y, c in zip(self.outputs, cotangents, strict=True)]
        inputs = [self.inputs[i] for i in self.checked]
        found = autograd.grad(self.outputs, inputs, dys, retain_graph=True, allow_unused=True)
        for x, g in zip(inputs, found):
            if g is not None and g.shape != x.shape:
                raise GradcheckError(
                    f"gradcheck: {self.name} returned a gradient of shape {g.shape} for an input {x.shape}"
                )
        return [_host(g, x) for g, x in zip(found, inputs)]

    def numerical_jacobian(self, i: int, k: int) -> np.ndarray:
        """Return d output k / d input i, (output size, input size), column by column."""
        x = self.inputs[i]
        columns = []
        for j in range(x.numel()):
            direction = np.zeros(x.numel())
            direction[j] = 1
            columns.append(self.slope({i: direction.reshape(x.shape)})[k].reshape(-1))
        return np.stack(columns, 1) if columns else np.zeros((self.outputs[k].numel(), 0))

    def analytical_jacobian(self, i: int, k: int) -> np.ndarray:
        """Return the same from backward, row by row."""
        rows = []
        for j in range(self.outputs[k].numel()):
            cotangents = [np.zeros(tuple(y.shape)) for y in self.outputs]
            cotangents[k].reshape(-1)[j] = 1
            rows.append(self.gradients(cotangents)[self.checked.index(i)].reshape(-1))
        return np.stack(rows) if rows else np.zeros((0, self.inputs[i].numel()))


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
) -> bool:
    """Compare the gradients of a function with central differences; inputs with requires_grad should be float64.

    The full mode compares every element of every Jacobian.  fast_mode compares random projections of them: two
    evaluations instead of two for each input element.  A difference beyond atol + rtol * |numerical| raises
    GradcheckError (a RuntimeError) with the element, both numbers and a likely cause, or returns False.
    """
    try:
        check = _Check(func, inputs, eps)
        _check_repeatable(check, nondet_tol)
        if fast_mode:
            _check_projections(check, atol, rtol)
        else:
            _check_jacobians(check, atol, rtol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _check_repeatable(check: _Check, tolerance: float) -> None:
    """Raise unless backward gives the same twice."""
    ones = [np.ones(tuple(y.shape)) for y in check.outputs]
    for i, first, second in zip(check.checked, check.gradients(ones), check.gradients(ones)):
        if not (np.abs(first - second) <= tolerance).all() and not np.array_equal(first, second, equal_nan=True):
            raise GradcheckError(f"gradcheck: backward of {check.name} gave two different gradients for input {i}")


def _check_projections(check: _Check, atol: float, rtol: float) -> None:
    random = np.random.default_rng(2026)
    for _ in range(PROJECTIONS):
        # Random cotangents: with ones a softmax whose gradient is always 0 would pass.
        cotangents = [
            random.uniform(0.5, 1.5, tuple(y.shape)) * random.choice([-1, 1], tuple(y.shape)) for y in check.outputs
        ]
        gradients = check.gradients(cotangents)
        for i, gradient in zip(check.checked, gradients):
            shape = tuple(check.inputs[i].shape)
            direction = random.uniform(0.5, 1.0, shape) * random.choice([-1, 1], shape)
            slopes = check.slope({i: direction})
            numerical = float(sum((s * c).sum() for s, c in zip(slopes, cotangents, strict=True)))
            analytical = float((gradient * direction).sum())
            if not abs(analytical - numerical) <= atol + rtol * abs(numerical):
                _explain_projection(check, i, analytical, numerical, atol, rtol)


def _explain_projection(check: _Check, i: int, analytical: float, numerical: float, atol: float, rtol: float) -> None:
    """Work out the Jacobian, if it is small, to name the wrong element; else report the projection."""
    if sum(y.numel() for y in check.outputs) * check.inputs[i].numel() <= MOST_ELEMENTS:
        _check_jacobians(check, atol, rtol)
    raise GradcheckError(
        f"gradcheck: {check.name} has a wrong gradient for input {i} of shape {tuple(check.inputs[i].shape)}: along a random "
        f"direction backward gives {analytical:.9g}, finite differences {numerical:.9g}{_ratio(analytical, numerical)}"
    )


def _ratio(analytical: float, numerical: float) -> str:
    return f" (ratio {analytical / numerical:.6g})" if numerical else ""


def _check_jacobians(check: _Check, atol: float, rtol: float) -> None:
    for k, y in enumerate(check.outputs):
        for i in check.checked:
            analytical, numerical = check.analytical_jacobian(i, k), check.numerical_jacobian(i, k)
            wrong = ~(np.abs(analytical - numerical) <= atol + rtol * np.abs(numerical))
            if wrong.any():
                row, column = np.unravel_index(
                    np.argmax(np.where(wrong, np.abs(analytical - numerical), -1)), wrong.shape
                )
                x = check.inputs[i]
                at = tuple(int(n) for n in np.unravel_index(column, tuple(x.shape)))
                out = tuple(int(n) for n in np.unravel_index(row, tuple(y.shape)))
                raise GradcheckError(
                    f"gradcheck: {check.name} has a wrong gradient: d output {k}{out} / d input {i}{at}: backward gives "
                    f"{analytical[row, column]:.9g}, finite differences {numerical[row, column]:.9g}; {int(wrong.sum())} of "
                    f"{wrong.size} entries are wrong. Likely cause: "
                    f"{likely_cause(analytical, numerical, wrong, tuple(x.shape), atol, rtol)}"
                )


def likely_cause(
    analytical: np.ndarray, numerical: np.ndarray, wrong: np.ndarray, shape: tuple[int, ...], atol: float, rtol: float
) -> str:
    """Say what kind of mistake turns the right Jacobian (output size, input size) into the wrong one."""

    def close(a: np.ndarray, b: np.ndarray) -> bool:
        return bool((np.abs(a - b) <= 10 * (atol + rtol * np.abs(b))).all())

    if not np.isfinite(analytical).all():
        return "backward gives NaN or infinity"
    if not analytical.any():
        return "the gradient is zero everywhere (detached, or None returned?)"
    energy = float((numerical * numerical).sum())
    factor = float((analytical * numerical).sum()) / energy if energy else 0.0
    if factor and close(analytical, factor * numerical):
        return "the sign is flipped" if abs(factor + 1) < 1e-3 else f"every entry is scaled by {factor:.6g}"
    for name, candidate in _rearranged(numerical, shape):
        if close(analytical, candidate):
            return name
    if wrong.any(axis=0).sum() == 1 and shape:
        at = tuple(int(n) for n in np.unravel_index(int(np.argmax(wrong.any(axis=0))), shape))
        return f"only input element {at} is wrong (an edge or an index?)"
    rows = wrong.any(axis=1)
    if not rows.all() and not analytical[rows].any():
        return "some outputs contribute nothing: a sum over a broadcast or reduced axis is missing"
    difference = analytical - numerical
    if np.ptp(difference) <= 10 * atol:
        return f"every entry is off by {float(difference.mean()):.6g}"
    return "no simple pattern; compare the formula term by term"


def _rearranged(jacobian: np.ndarray, shape: tuple[int, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the Jacobians that common mix-ups of the input's elements would give."""
    full = jacobian.reshape(-1, *shape)
    for a, b in pairwise(range(len(shape))):
        if shape[a] == shape[b] > 1:
            yield (
                f"the gradient is transposed (axes {a} and {b})",
                np.swapaxes(full, a + 1, b + 1).reshape(jacobian.shape),
            )
    for axis, size in enumerate(shape):
        if size > 1:
            yield f"the gradient is reversed along axis {axis}", np.flip(full, axis + 1).reshape(jacobian.shape)
            for step in (1, -1):
                yield (
                    f"the gradient is shifted by {step} along axis {axis}",
                    np.roll(full, step, axis + 1).reshape(jacobian.shape),
                )
    if len(shape) > 1:
        flipped = np.flip(full, tuple(range(1, len(shape) + 1))).reshape(jacobian.shape)
        yield "the gradient is reversed along all axes", flipped
        flipped = np.flip(full, (len(shape) - 1, len(shape))).reshape(jacobian.shape)
        yield "the gradient is reversed along the last two axes (convolution for cross-correlation?)", flipped
    if jacobian.shape[0] == jacobian.shape[1]:
        yield "the Jacobian itself is transposed", jacobian.T


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
) -> bool:
    """Check second derivatives: gradcheck of the gradients, as functions of the inputs and of the output's gradients."""
    given = _tuple(inputs)
    sources = [x for x in given if isinstance(x, Tensor) and x.requires_grad]
    outputs = [y for y in _tuple(func(*given)) if isinstance(y, Tensor) and y.is_floating_point() and y.requires_grad]
    if grad_outputs is None:
        random = np.random.default_rng(2027)
        cotangents = [y.new_tensor(random.uniform(0.5, 1.5, tuple(y.shape)).tolist()).reshape(y.shape) for y in outputs]
    else:
        cotangents = list(_tuple(grad_outputs))
    for c in cotangents:
        c.requires_grad_()

    def gradient(*args: Any) -> Any:
        results = [y for y in _tuple(func(*args[: len(given)])) if isinstance(y, Tensor) and y.requires_grad]
        results = [y for y in results if y.is_floating_point()]
        with enable_grad():
            grads = autograd.grad(results, sources, args[len(given) :], create_graph=True, allow_unused=True)
        return tuple([g for g in grads if g is not None])

    gradient.__name__ = f"gradient of {name_of(func)}"
    return gradcheck(
        gradient, (*given, *cotangents), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception,
        nondet_tol=nondet_tol, fast_mode=fast_mode,
    )  # fmt: skip


TOLERANCES = {"float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}


def assert_close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_stride: bool = False,
    msg: str | None = None,
) -> None:
    """Raise AssertionError unless |actual - expected| <= atol + rtol * |expected| for all elements.

    Takes tensors, arrays, numbers, and sequences or dictionaries of them.  Default tolerances follow the dtype: 1.3e-6 and
    1e-5 for float32, 1e-7 for float64, exact for integers and bool.
    """
    options: dict[str, Any] = {
        "rtol": rtol, "atol": atol, "equal_nan": equal_nan, "check_device": check_device, "check_dtype": check_dtype,
        "check_stride": check_stride, "msg": msg,
    }  # fmt: skip
    if isinstance(expected, dict):
        if set(actual) != set(expected):
            raise AssertionError(msg or f"keys differ: {sorted(actual)} and {sorted(expected)}")
        for key in expected:
            assert_close(actual[key], expected[key], **options)
        return
    if isinstance(expected, (list, tuple)):
        if len(actual) != len(expected):
            raise AssertionError(msg or f"lengths differ: {len(actual)} and {len(expected)}")
        for a, e in zip(actual, expected):
            assert_close(a, e, **options)
        return
    if isinstance(actual, Tensor) and isinstance(expected, Tensor):
        if check_device and actual.device != expected.device:
            raise AssertionError(msg or f"devices differ: {actual.device} and {expected.device}")
        if check_stride and actual.stride() != expected.stride():
            raise AssertionError(msg or f"strides differ: {actual.stride()} and {expected.stride()}")
    a, e = [x.numpy(force=True) if isinstance(x, Tensor) else np.asarray(x) for x in (actual, expected)]
    if a.shape != e.shape:
        raise AssertionError(msg or f"shapes differ: {a.shape} and {e.shape}")
    if check_dtype and a.dtype != e.dtype:
        raise AssertionError(msg or f"dtypes differ: {a.dtype} and {e.dtype}")
    relative, absolute = TOLERANCES.get(np.result_type(a, e).name, (0.0, 0.0))
    relative, absolute = relative if rtol is None else rtol, absolute if atol is None else atol
    a64, e64 = a.astype(np.float64), e.astype(np.float64)
    with np.errstate(invalid="ignore"):
        good = (a64 == e64) | (np.abs(a64 - e64) <= absolute + relative * np.abs(e64))
    if equal_nan:
        good |= np.isnan(a64) & np.isnan(e64)
    if not good.all():
        worst = np.unravel_index(
            int(np.argmax(np.where(good, -1.0, np.nan_to_num(np.abs(a64 - e64), nan=np.inf)))), a.shape
        )
        raise AssertionError(
            msg
            or f"{int((~good).sum())} of {good.size} elements differ; the worst, at {tuple(map(int, worst))}: {a[worst]} "
            f"and {e[worst]} (allowed: {absolute:g} + {relative:g} * |expected|)"
        )
