"""Parameters that are functions of others: modules that make them stand in `module.parametrizations`."""

from __future__ import annotations

from typing import Any, TypeVar

from ...autograd import no_grad
from ...tensor import Tensor
from ..containers import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter

M = TypeVar("M", bound=Module)


class ParametrizationList(ModuleList):
    """The modules that make a parameter, one after the other, and what they make it from.

    This is `original`, or `original0`, `original1` ... if right_inverse() of the first module returns several tensors.
    """

    def __init__(self, first: Module, value: Tensor) -> None:
        super().__init__([first])
        inverse = getattr(first, "right_inverse", None)
        with no_grad():
            made = value if inverse is None else inverse(value)
        self.count = None if isinstance(made, Tensor) else len(made)
        if self.count is None:
            self._put("original", value, made)
        else:
            for i, part in enumerate(made):
                self._put(f"original{i}", value, part)

    def _put(self, name: str, value: Tensor, part: Tensor) -> None:
        """Take over a tensor: in the same parameter, if it has its shape and is the only one."""
        if not isinstance(value, Parameter):
            self.register_buffer(name, part)
        elif self.count is None:
            value.data = part.data
            self.register_parameter(name, value)
        else:
            self.register_parameter(name, Parameter(part.detach(), value.requires_grad))

    def originals(self) -> list[Tensor]:
        """Return what the parameter is made from."""
        names = ["original"] if self.count is None else [f"original{i}" for i in range(self.count)]
        return [getattr(self, name) for name in names]

    def forward(self) -> Any:
        """Make the parameter."""
        first, *others = self
        value = first(*self.originals())
        for module in others:
            value = module(value)
        return value

    def right_inverse(self, value: Tensor) -> None:
        """Change the originals so that forward() returns a value."""
        with no_grad():
            made: Any = value
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrized: {type(module).__name__} has no right_inverse, so it cannot be set"
                    )
                made = module.right_inverse(made)
            for original, new in zip(self.originals(), [made] if isinstance(made, Tensor) else made):
                original.copy_(new)


def _property(name: str) -> property:
    """Make the attribute that makes a parameter."""

    def get(module: Any) -> Any:
        return module.parametrizations[name]()

    def put(module: Any, value: Tensor) -> None:
        module.parametrizations[name].right_inverse(value)

    return property(get, put)


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Return whether a parameter of a module (or any) is a function of others."""
    made = module._modules.get("parametrizations")
    return isinstance(made, ModuleDict) and (len(made) > 0 if tensor_name is None else tensor_name in made)


def register_parametrization(module: M, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> M:
    """Make a parameter or buffer a function, a module, of what it was (or what right_inverse() of the module returns).

    ValueError if the result has another shape or dtype; `unsafe` does not look.
    """
    if is_parametrized(module, tensor_name):
        module.parametrizations[tensor_name].append(parametrization)
        return module
    registry = next((r for r in (module._parameters, module._buffers) if r.get(tensor_name) is not None), None)
    if registry is None:
        raise ValueError(
            f"register_parametrization: {type(module).__name__} has no parameter or buffer {tensor_name!r}"
        )
    value: Any = registry[tensor_name]
    if not unsafe:
        with no_grad():
            made = parametrization(value)
        if not isinstance(made, Tensor) or (made.shape, made.dtype) != (value.shape, value.dtype):
            raise ValueError(f"register_parametrization: {tensor_name!r} must keep shape and dtype; or say unsafe=True")
    listed = ParametrizationList(parametrization, value)
    if not is_parametrized(module):
        kind = type(module)
        module.__class__ = type(f"Parametrized{kind.__name__}", (kind,), {"_unparametrized": kind})
        module.parametrizations = ModuleDict()
    del registry[tensor_name]
    setattr(type(module), tensor_name, _property(tensor_name))
    module.parametrizations[tensor_name] = listed
    return module


def remove_parametrizations(module: M, tensor_name: str, leave_parametrized: bool = True) -> M:
    """Make a parameter an ordinary one again: with its value, or with the original one (if there is one only)."""
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"remove_parametrizations: {tensor_name!r} of {type(module).__name__} has no parametrization")
    listed = module.parametrizations[tensor_name]
    originals = listed.originals()
    if not leave_parametrized and len(originals) != 1:
        raise ValueError(f"remove_parametrizations: {tensor_name!r} is made from {len(originals)} tensors")
    with no_grad():
        value: Any = listed() if leave_parametrized else originals[0]
    if len(originals) == 1 and isinstance(originals[0], Parameter):
        originals[0].data = value.data
        value = originals[0]
    elif isinstance(originals[0], Parameter):
        value = Parameter(value.detach(), any(original.requires_grad for original in originals))
    del module.parametrizations[tensor_name]
    delattr(type(module), tensor_name)
    if isinstance(value, Parameter):
        module.register_parameter(tensor_name, value)
    else:
        module.register_buffer(tensor_name, value)
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type(module)._unparametrized  # type: ignore[attr-defined]
    return module
