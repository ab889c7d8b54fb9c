"""Pruning: parameters times masks of zeros and ones, which are computed before each forward.

The parameter becomes `name_orig`, the mask is the buffer `name_mask`, and the attribute `name` their product.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...creation import ones_like, randperm, zeros_like
from ...ops.order import norm, topk
from ...tensor import Tensor
from ..module import Module
from . import parameters_to_vector

__all__ = [
    "BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "RandomStructured",
    "RandomUnstructured", "custom_from_mask", "global_unstructured", "identity", "is_pruned", "l1_unstructured",
    "ln_structured", "random_structured", "random_unstructured", "remove",
]  # fmt: skip


def _count(amount: float, size: int) -> int:
    """Return how many of `size` an amount is: a number of them, or a part."""
    if isinstance(amount, bool) or not isinstance(amount, (int, float)):
        raise TypeError(f"prune: amount must be an int or a float, got {amount!r}")
    if amount < 0 or (isinstance(amount, float) and amount > 1):
        raise ValueError(f"prune: amount must be a part from 0 to 1 or a number of parameters, got {amount}")
    if isinstance(amount, int) and amount > size:
        raise ValueError(f"prune: amount {amount} is more than the {size} that there are")
    return round(amount * size) if isinstance(amount, float) else amount


class BasePruningMethod:
    """The base of methods: PRUNING_TYPE, and compute_mask(importance, mask so far) for what is not pruned yet."""

    PRUNING_TYPE = "unstructured"  # of single elements, or of slices along self.dim ("structured"), or "global"
    dim = 0
    _tensor_name: str

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return the mask."""
        raise NotImplementedError(f"{type(self).__name__} must define compute_mask(t, default_mask)")

    def __call__(self, module: Module, inputs: Any) -> None:
        """Compute the product; a hook before forward."""
        setattr(module, self._tensor_name, self.apply_mask(module))

    def apply_mask(self, module: Module) -> Tensor:
        """Return the parameter times its mask."""
        mask, original = [getattr(module, self._tensor_name + end) for end in ("_mask", "_orig")]
        return mask.to(original.dtype) * original

    def combined(self, t: Tensor, mask: Tensor) -> Tensor:
        """Return a mask from before with what this method takes from the rest."""
        where: Any = ...
        if self.PRUNING_TYPE == "unstructured":
            where = mask == 1
        elif self.PRUNING_TYPE == "structured":
            dim = self.dim % t.ndim
            where = (*[slice(None)] * dim, (mask.transpose(0, dim).flatten(1) != 0).any(1))
        mask = mask.clone()
        mask[where] = self.compute_mask(t[where], mask[where])
        return mask

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any
    ) -> Any:
        """Prune a parameter of a module; elements of the smallest importance (default: the parameter) go first."""
        method = cls(*args, **kwargs)
        method._tensor_name = name
        for key in _methods(module, name):
            del module._forward_pre_hooks[key]
        parameter = getattr(module, name + "_orig", None)
        if parameter is None:
            parameter = getattr(module, name)
            del module._parameters[name]
            module.register_parameter(name + "_orig", parameter)
        so_far = getattr(module, name + "_mask", None)
        scores = parameter if importance_scores is None else importance_scores
        if scores.shape != parameter.shape:
            raise ValueError(
                f"prune: importance_scores must have shape {tuple(parameter.shape)}, got {tuple(scores.shape)}"
            )
        mask = ones_like(parameter.detach()) if so_far is None else so_far.detach()
        module.register_buffer(name + "_mask", method.combined(scores.detach(), mask))
        method(module, None)
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None) -> Tensor:
        """Return a tensor with what the method takes set to 0."""
        mask = ones_like(t) if default_mask is None else default_mask
        return t * self.combined(t if importance_scores is None else importance_scores, mask)

    def remove(self, module: Module) -> None:
        """Make the product the parameter."""
        name, value = self._tensor_name, self.apply_mask(module)
        parameter = module._parameters.pop(name + "_orig")
        del module._buffers[name + "_mask"]
        delattr(module, name)
        assert parameter is not None
        parameter.data = value.data
        module.register_parameter(name, parameter)


def _methods(module: Module, name: str | None = None) -> dict[int, BasePruningMethod]:
    """Return the methods that prune a module, or one of its parameters, by the numbers of their hooks."""
    found = {key: hook.function for key, hook in module._forward_pre_hooks.items()}
    return {
        key: method
        for key, method in found.items()
        if isinstance(method, BasePruningMethod) and name in (None, method._tensor_name)
    }


class Identity(BasePruningMethod):
    """Nothing is pruned."""

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return the mask."""
        return default_mask


class CustomFromMask(BasePruningMethod):
    """A mask of one's own."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return the mask."""
        return default_mask * self.mask.to(dtype=default_mask.dtype)


class RandomUnstructured(BasePruningMethod):
    """Elements at random."""

    def __init__(self, amount: float) -> None:
        _count(amount, 1 << 62)
        self.amount = amount

    def _chosen(self, t: Tensor, count: int) -> Tensor:
        return randperm(t.numel())[:count]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return the mask."""
        mask = default_mask.flatten().clone()
        mask[self._chosen(t, _count(self.amount, t.numel()))] = 0
        return mask.reshape(default_mask.shape)


class L1Unstructured(RandomUnstructured):
    """The elements of the smallest absolute values."""

    def _chosen(self, t: Tensor, count: int) -> Tensor:
        return topk(t.abs().flatten(), count, largest=False).indices


class RandomStructured(BasePruningMethod):
    """Slices along an axis at random."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1) -> None:
        _count(amount, 1 << 62)
        self.amount, self.dim = amount, dim

    def _kept(self, t: Tensor, count: int) -> Tensor:
        return randperm(t.shape[self.dim])[:count]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """Return the mask."""
        size = t.shape[self.dim]
        mask = zeros_like(default_mask)
        mask[(*[slice(None)] * (self.dim % t.ndim), self._kept(t, size - _count(self.amount, size)))] = 1
        return mask * default_mask


class LnStructured(RandomStructured):
    """The slices along an axis of the smallest n-norms."""

    def __init__(self, amount: float, n: Any, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def _kept(self, t: Tensor, count: int) -> Tensor:
        others = [d for d in range(t.ndim) if d != self.dim % t.ndim]
        return topk(norm(t, self.n, others), count).indices


def identity(module: Module, name: str) -> Module:
    """Make a parameter one with a mask, of ones."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: float) -> Module:
    """Prune a number (int) or a part (float) of the elements at random."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: Module, name: str, amount: float, importance_scores: Tensor | None = None) -> Module:
    """Prune a number (int) or a part (float) of the elements, the smallest absolute values."""
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: float, dim: int) -> Module:
    """Prune a number (int) or a part (float) of the slices along an axis at random."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: Module, name: str, amount: float, n: Any, dim: int, importance_scores: Tensor | None = None
) -> Module:
    """Prune a number (int) or a part (float) of the slices along an axis, those of the smallest n-norms."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Prune by a mask."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]], pruning_method: type[BasePruningMethod], importance_scores: Any = None,
    **kwargs: Any,
) -> None:  # fmt: skip
    """Prune several parameters (module, name) as if they were one."""
    places, given = list(parameters), importance_scores or {}
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(f"global_unstructured: expected an unstructured method, got {pruning_method.__name__}")
    values = [getattr(module, name) for module, name in places]
    masks = [getattr(module, name + "_mask", ones_like(x.detach())) for (module, name), x in zip(places, values)]
    scores = parameters_to_vector([given.get(place, x).detach() for place, x in zip(places, values)])
    mask, start = method.combined(scores, parameters_to_vector(masks)), 0
    for (module, name), x in zip(places, values):
        custom_from_mask(module, name, mask[start : start + x.numel()].reshape(x.shape))
        start += x.numel()


def remove(module: Module, name: str) -> Module:
    """Make a pruned parameter an ordinary one, with zeros."""
    for key, method in _methods(module, name).items():
        method.remove(module)
        del module._forward_pre_hooks[key]
        return module
    raise ValueError(f"prune.remove: parameter {name!r} of module {module} is not pruned")


def is_pruned(module: Module) -> bool:
    """Return whether a module or one of its children has a pruned parameter."""
    return any(_methods(m) for m in module.modules())
