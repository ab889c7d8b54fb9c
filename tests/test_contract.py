"""The contract of backends: same names, parameters and defaults everywhere; the kinds of kernels are listed once."""

from __future__ import annotations

import inspect

import pytest
from opaque import OpaqueBackend

from tinygrad_cnn.backends import base, device, get_backend, reference
from tinygrad_cnn.backends.base import Backend, kernel_names
from tinygrad_cnn.backends.cpu import CpuBackend
from tinygrad_cnn.backends.reference import ReferenceBackend

BACKENDS = [ReferenceBackend, CpuBackend]


def public_methods(cls: type) -> set[str]:
    return {name for name, member in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", kernel_names())
def test_a_kernel_has_the_parameters_of_the_contract(backend: type[Backend], name: str) -> None:
    ours, contract = (inspect.signature(getattr(cls, name)).parameters for cls in (backend, Backend))
    assert [(p.name, p.kind, p.default) for p in ours.values()] == [
        (p.name, p.kind, p.default) for p in contract.values()
    ]


OTHERS = ["copied_in", "host_numbers", "linear_grad", "loop", "not_recorded", "pooled_conv2d_grad", "update"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_has_every_kernel_and_nothing_else(backend: type[Backend]) -> None:
    assert public_methods(backend) == {*kernel_names(), *OTHERS}
    assert not [name for name in kernel_names() if getattr(getattr(backend, name), "is_kernel", False)]


def test_every_elementwise_and_reduction_row_has_a_formula_and_a_reference() -> None:
    assert set(base.ELEMENTWISE) == set(reference._UFUNCS)
    assert set(base.REDUCTIONS) == set(reference._REDUCTIONS)
    assert set(base.ARG_REDUCTIONS) == set(reference._ARG_REDUCTIONS)


def test_every_kernel_is_documented() -> None:
    assert not [name for name in kernel_names() if not (getattr(Backend, name).__doc__ or "").strip()]


def test_a_missing_kernel_says_which_backend_lacks_it() -> None:
    class Bare(Backend):
        name = "bare"

    with pytest.raises(NotImplementedError, match="'bare' backend has no kernel 'conv2d'"):
        Bare().conv2d(None, None, None, None, 1)  # type: ignore[arg-type]


def test_the_opaque_backend_stands_behind_the_contract() -> None:
    assert set(kernel_names()) <= public_methods(OpaqueBackend)


def test_devices() -> None:
    assert str(device("cuda", 1)) == "cuda:1"
    assert device("cuda:1") == device("cuda", 1) != device("cpu")
    assert get_backend("cpu") is get_backend(device("cpu"))
    assert isinstance(get_backend("reference"), ReferenceBackend)
    with pytest.raises(RuntimeError, match="unknown device 'cpufoo'"):
        device("cpufoo")
    with pytest.raises(RuntimeError, match="one device of each kind"):
        get_backend("cuda:1")
    with pytest.raises(TypeError, match="expected a name"):
        device(3)  # type: ignore[arg-type]
