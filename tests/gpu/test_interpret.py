"""The op table on device('cuda') whose kernels are compiled to PTX, and the PTX is executed by the interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from op_cases import OpCase
from test_ops import TABLE, gradients, run

from tinygrad_cnn import backends
from tinygrad_cnn.testing import assert_close

pytest.importorskip("numba", reason="Numba's compiler is missing: pip install '.[gpucheck]'")

from interpreter import InterpreterDriver

from tinygrad_cnn.backends.cuda.layers import CudaBackend

DRIVER = InterpreterDriver()
few = settings(max_examples=2, deadline=None, derandomize=True, database=None, phases=[Phase.generate])


@pytest.fixture(autouse=True, scope="module")
def _device() -> Iterator[None]:
    backends.register("cuda", lambda: CudaBackend(DRIVER))
    yield
    backends.register("cuda", backends._cuda)


def compare(case: OpCase, data: Any, dtype: str, rtol: float) -> None:
    """Run a case on the device and on the CPU, with its gradients."""
    call = data.draw(case.inputs)
    expected, inputs = run(case, call, dtype=dtype)
    y, moved = run(case, call, "cuda", dtype=dtype, grad=case.differentiable)
    assert y.dtype == expected.dtype
    assert_close(y.cpu().detach(), expected.detach(), rtol=rtol, atol=0.1 * rtol)
    if case.differentiable and y.is_floating_point() and y.requires_grad:
        expected, inputs = run(case, call, dtype=dtype, grad=True)
        for got, want in zip(gradients(y, moved), gradients(expected, inputs)):
            assert_close(got.cpu(), want, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("case", TABLE, ids=repr)
@few
@given(st.data())
def test_the_op_table(case: OpCase, data: Any) -> None:
    compare(case, data, "float32", 1e-3)


@pytest.mark.parametrize("case", TABLE, ids=repr)
@settings(few, max_examples=1)
@given(st.data())
def test_the_op_table_in_float64(case: OpCase, data: Any) -> None:
    compare(case, data, "float64", 1e-9)
