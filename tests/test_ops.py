"""Tests generated from the table in op_cases.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import strategies as draw
from conftest import LEVELS
from hypothesis import given
from hypothesis import strategies as st
from nn_op_cases import ROWS
from op_cases import TABLE as FIRST
from op_cases import Bad, OpCase
from strategies import Call

import tinygrad_cnn as tg
from tinygrad_cnn.autograd.graph import Op
from tinygrad_cnn.backends import get_backend
from tinygrad_cnn.backends.base import ELEMENTWISE, kernel_names
from tinygrad_cnn.testing import assert_close, gradcheck, gradgradcheck

TABLE = [*FIRST, *ROWS]
DTYPES = ["float32", "float64"]
LAYOUTS = ["contiguous", "transposed", "sliced"]
DIFFERENTIABLE = [case for case in TABLE if case.differentiable]
SECOND = [case for case in TABLE if case.second and case.differentiable]
by_case = pytest.mark.parametrize("case", TABLE, ids=repr)


def laid_out(array: np.ndarray, layout: str) -> np.ndarray:
    """Return the same values with other strides."""
    if layout == "transposed":
        return np.array(array, order="F")
    if layout == "sliced" and array.ndim:
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        return wide[..., ::2]
    return array


def to_device(value: Any, device: str, dtype: str = "float64", layout: str = "contiguous", grad: bool = False) -> Any:
    """Turn arrays into tensors of a device; floating ones take the dtype."""
    if isinstance(value, np.ndarray):
        array = value.astype(dtype) if value.dtype == np.float64 else value
        t = tg.from_numpy(array.copy())
        if get_backend(device) is get_backend("cpu"):
            t = tg.from_numpy(laid_out(array, layout))
        else:
            t = t.to(device)
        return t.requires_grad_() if grad and t.is_floating_point() else t
    if type(value) is tuple and any(isinstance(v, np.ndarray) for v in value):
        return tuple(to_device(v, device) for v in value)
    return value


def run(case: OpCase, call: Call, device: str = "cpu", **options: Any) -> tuple[Any, list[Any]]:
    """Call the function; return its result and its tensor inputs."""
    args = [to_device(a, device, **options) for a in call.args]
    kwargs = {k: to_device(v, device, **options) for k, v in call.kwargs.items()}
    inputs = [t for t in (*args, *kwargs.values()) if isinstance(t, tg.Tensor) and t.is_floating_point()]
    return case.function(*args, **kwargs), inputs


def gradients(y: tg.Tensor, inputs: list[tg.Tensor]) -> list[tg.Tensor]:
    """Return gradients for a fixed random gradient of y."""
    dy = np.random.default_rng(1).uniform(0.5, 1.5, tuple(y.shape))
    return list(tg.autograd.grad(y, inputs, y.new_tensor(dy), allow_unused=True, materialize_grads=True))


@by_case
@given(st.data(), st.sampled_from(DTYPES), st.sampled_from(LAYOUTS))
def test_forward_equals_the_oracle(case: OpCase, data: Any, dtype: str, layout: str) -> None:
    call = data.draw(case.inputs)
    expected = np.asarray(case.oracle(*call.args, **call.kwargs))
    y, inputs = run(case, call, dtype=dtype, layout=layout)
    assert y.shape == expected.shape
    if y.is_floating_point():
        assert y.dtype == inputs[0].dtype
    tolerance = {"float32": 2e-5, "float64": 1e-11}[dtype]
    scale = max(1.0, np.abs(expected).max(initial=0.0)) if expected.dtype.kind == "f" else 0
    assert_close(y.numpy().astype(expected.dtype), expected, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=repr)
@given(st.data(), st.sampled_from(LAYOUTS))
def test_gradient_equals_finite_differences(case: OpCase, data: Any, layout: str) -> None:
    call = data.draw(case.inputs)
    args, kwargs, inputs = _with_grad(call, layout)
    small = sum(x.numel() for x in inputs) <= 12
    gradcheck(_of_tensors(case, args, kwargs), inputs, fast_mode=not small)


@pytest.mark.parametrize("case", SECOND, ids=repr)
@given(st.data())
def test_second_gradient_equals_finite_differences(case: OpCase, data: Any) -> None:
    call = data.draw(case.inputs)
    args, kwargs, inputs = _with_grad(call, "contiguous")
    gradgradcheck(_of_tensors(case, args, kwargs), inputs, fast_mode=True)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=repr)
@given(st.data())
def test_gradients_written_over_change_nothing_that_is_needed_again(case: OpCase, data: Any) -> None:
    args, kwargs, inputs = _with_grad(data.draw(case.inputs), "contiguous")
    made = _of_tensors(case, args, kwargs)(*[x.neg().neg() for x in inputs])  # neg's gradient is written over
    ys = [y.neg().neg() for y in (made if isinstance(made, tuple) else [made]) if y.requires_grad]
    dys = [y.new_tensor(np.random.default_rng(1).uniform(0.5, 1.5, tuple(y.shape))) for y in ys]
    given_out = [tg.autograd.grad(ys, inputs, dys, True, new, allow_unused=True) for new in (True, False, False)]
    for expected, first, second in zip(*given_out, strict=True):
        if expected is not None:
            np.testing.assert_array_equal(first.numpy(), second.numpy())
            assert_close(first, expected.detach())


def _with_grad(call: Call, layout: str) -> tuple[list[Any], dict[str, Any], list[tg.Tensor]]:
    args = [to_device(a, "cpu", layout=layout, grad=True) for a in call.args]
    kwargs = {k: to_device(v, "cpu") for k, v in call.kwargs.items()}
    return args, kwargs, [t for t in args if isinstance(t, tg.Tensor) and t.requires_grad]


def _of_tensors(case: OpCase, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Make a function of the differentiable inputs only."""

    def function(*inputs: tg.Tensor) -> Any:
        given = iter(inputs)
        return case.function(
            *[next(given) if isinstance(a, tg.Tensor) and a.requires_grad else a for a in args], **kwargs
        )

    function.__name__ = case.name
    return function


@by_case
@given(st.data(), st.sampled_from(DTYPES), st.sampled_from(LEVELS))
def test_devices_agree_with_the_reference(case: OpCase, data: Any, dtype: str, device: str) -> None:
    call = data.draw(case.inputs)
    (expected, left), (actual, right) = (
        run(case, call, "reference", dtype=dtype, grad=True),
        run(case, call, device, dtype=dtype, grad=True),
    )
    tolerance = {"float32": 1e-4, "float64": 1e-10}[dtype]
    pairs = [(actual, expected)]
    if case.differentiable and expected.requires_grad:
        pairs += zip(gradients(actual, right), gradients(expected, left), strict=True)
    for ours, theirs in pairs:
        assert ours.dtype == theirs.dtype
        scale = max(1.0, float(theirs.abs().max())) if theirs.numel() and theirs.is_floating_point() else 0
        assert_close(ours, theirs, rtol=tolerance, atol=tolerance * scale, check_device=False)


CONV2D = next(case for case in TABLE if case.name == "conv2d")


@pytest.mark.parametrize("algorithm", ["direct", "winograd2", "winograd4"])
@given(st.one_of(draw.winograd_convolutions(), draw.convolutions()), st.sampled_from(DTYPES), st.sampled_from(LEVELS))
def test_every_algorithm_of_conv2d_agrees_with_the_reference(
    algorithm: str, call: Call, dtype: str, device: str
) -> None:
    expected, left = run(CONV2D, call, "reference", dtype=dtype, grad=True)
    with tg.set_conv_algorithm(algorithm):
        actual, right = run(CONV2D, call, device, dtype=dtype, grad=True)
        pairs = [(actual, expected), *zip(gradients(actual, right), gradients(expected, left), strict=True)]
    tolerance = {"float32": 1e-4, "float64": 1e-10}[dtype]
    for ours, theirs in pairs:
        scale = max(1.0, float(theirs.abs().max())) if theirs.numel() else 0
        assert_close(ours, theirs, rtol=tolerance, atol=tolerance * scale, check_device=False)


@pytest.mark.parametrize("algorithm", ["winograd2", "winograd4"])
@given(draw.winograd_convolutions(most=5))
def test_gradients_of_winograd_equal_finite_differences(algorithm: str, call: Call) -> None:
    args, kwargs, inputs = _with_grad(call, "contiguous")
    with tg.set_conv_algorithm(algorithm):
        gradcheck(_of_tensors(CONV2D, args, kwargs), inputs, fast_mode=True)
        gradgradcheck(_of_tensors(CONV2D, args, kwargs), inputs, fast_mode=True)


REFUSED = [(case, entry) for case in TABLE for entry in case.bad]


@pytest.mark.parametrize(("case", "entry"), REFUSED, ids=[f"{c.name}-{e.says[-1]}" for c, e in REFUSED])
def test_bad_input_is_refused(case: OpCase, entry: Bad) -> None:
    args = [to_device(a, "cpu", dtype="float64") for a in entry.args]
    kwargs = {k: to_device(v, "cpu") for k, v in entry.kwargs.items()}
    with pytest.raises(entry.error) as caught:
        case.function(*args, **kwargs)
    assert type(caught.value) is entry.error
    for fragment in entry.says:
        assert fragment in str(caught.value)


@by_case
@given(st.data())
def test_ops_leave_arrays_to_the_backend(case: OpCase, data: Any) -> None:
    call = data.draw(case.inputs)
    y, inputs = run(case, call, "opaque", grad=True)
    if case.differentiable and y.requires_grad:
        assert len(gradients(y, inputs)) == len(inputs)


def _op_classes(cls: type[Op] = Op) -> set[type[Op]]:
    below = {c for sub in cls.__subclasses__() for c in _op_classes(sub)}
    return below or {cls}


def _noting(op: type[Op], used: set[type[Op]]) -> Any:
    """Return an op's forward that notes its use."""
    forward = op.forward

    def noting(self: Op, *args: Any) -> Any:
        used.add(op)
        return forward(self, *args)

    return noting


def test_every_op_and_every_kernel_has_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """An op class, an elementwise or reduction kernel, or a kernel of the contract that no row uses is missing a test."""
    used: set[type[Op]] = set()
    ours = {op for op in _op_classes() if op.__module__.startswith("tinygrad_cnn.ops")}
    assert ours, "no op classes found"
    for op in ours:
        monkeypatch.setattr(op, "forward", _noting(op, used))
    backend: Any = get_backend("opaque")
    backend.used.clear()
    for case in TABLE:
        _try_examples(case)
    missing = {op.__name__ for op in ours - used} - ELSEWHERE["ops"]
    assert not missing, f"ops without a row in op_cases.py: {sorted(missing)}"
    kernels = {*kernel_names(), *ELEMENTWISE} - {"elementwise"} - backend.used - ELSEWHERE["kernels"]
    assert not kernels, f"kernels of the contract that no row uses: {sorted(kernels)}"


# Tested in files of their own, because they are not functions of tensors: in-place changes, and kernels of optimisers,
# random numbers and image batches.
ELSEWHERE: dict[str, set[str]] = {
    "ops": {"ViewScatter", "Replace"},
    "kernels": {"adam", "empty", "gather_images", "random_bits", "random_normal", "random_uniform", "sgd"},
}


def _try_examples(case: OpCase) -> None:
    @given(st.data())
    def examples(data: Any) -> None:
        y, inputs = run(case, data.draw(case.inputs), "opaque", grad=True)
        if case.differentiable and y.requires_grad:
            dy = y.new_ones(y.shape, requires_grad=True)
            tg.autograd.grad(y, inputs, dy, retain_graph=True, allow_unused=True)  # by shortcuts, where there are any
            first = tg.autograd.grad(y, inputs, dy, create_graph=True, allow_unused=True)
            second = [g for g in first if g is not None and g.requires_grad]
            if second:
                ones = [g.new_ones(g.shape) for g in second]
                tg.autograd.grad(second, [*inputs, dy], ones, allow_unused=True)

    examples()
