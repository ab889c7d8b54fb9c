"""Weights that are made from others before each forward: weight normalisation and spectral normalisation.

Each is a formula on tensors, here also in PyTorch's first form, as a hook; parametrizations.py has the second, as a module.
"""

from __future__ import annotations

from typing import Any, TypeVar

from ...autograd import no_grad
from ...tensor import Tensor
from ..conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..functional import normalize
from ..module import Module
from ..parameter import Parameter

M = TypeVar("M", bound=Module)


def norm_except(v: Tensor, dim: int | None) -> Tensor:
    """Return the norm over all axes but one, kept as size 1; over all without `dim`."""
    return v.norm() if dim in (None, -1) else v.norm(2, [d for d in range(v.ndim) if d != dim % v.ndim], True)


def output_dim(module: Module, dim: int | None) -> int:
    """Return the axis of a weight that stands for its outputs, unless it is given."""
    transposed = isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d))
    return (1 if transposed else 0) if dim is None else dim


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """Return a weight as a matrix with one row for each place of an axis."""
    return weight.movedim(dim, 0).flatten(1)


@no_grad()
def iterate(matrix: Tensor, u: Tensor, v: Tensor, count: int, eps: float) -> None:
    """Move u and v towards the singular vectors of the largest singular value, in place: power iteration."""
    for _ in range(count):
        v.copy_(normalize(matrix.t() @ u, dim=0, eps=eps))
        u.copy_(normalize(matrix @ v, dim=0, eps=eps))


def divided(weight: Tensor, matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Return a weight divided by its largest singular value, u W v."""
    return weight / u.clone().dot(matrix @ v.clone())


class _Hook:
    """A forward pre-hook that makes a weight from what it has put in its place."""

    def __init__(self, module: Module, name: str) -> None:
        self.name = name
        if any(type(h.function) is type(self) and h.function.name == name for h in module._forward_pre_hooks.values()):
            raise RuntimeError(f"{self.title}: {name!r} of this module is already made this way")
        weight = module._parameters[name]
        if weight is None:
            raise ValueError(f"{self.title}: the parameter {name!r} is None")
        del module._parameters[name]
        self.split(module, weight)
        setattr(module, name, weight.data)
        module.register_forward_pre_hook(self)

    title: str
    parts: tuple[str, ...]  # what is behind the name in the names of what the weight is made from

    def split(self, module: Module, weight: Parameter) -> None:
        """Put the parts of a weight into its module."""
        raise NotImplementedError

    def compute(self, module: Module, training: bool) -> Tensor:
        """Return the weight."""
        raise NotImplementedError

    def part(self, module: Module, k: int) -> Any:
        """Return what the weight is made from."""
        return getattr(module, self.name + self.parts[k])

    def __call__(self, module: Module, args: Any) -> None:
        setattr(module, self.name, self.compute(module, module.training))

    @classmethod
    def remove(cls, module: M, name: str) -> M:
        """Make the weight a parameter again."""
        for key, hook in module._forward_pre_hooks.items():
            if type(hook.function) is cls and hook.function.name == name:
                with no_grad():
                    weight = hook.function.compute(module, False)
                for part in ("", *cls.parts):
                    delattr(module, name + part)
                module.register_parameter(name, Parameter(weight.detach()))
                del module._forward_pre_hooks[key]
                return module
        raise ValueError(f"{cls.title} of {name!r} not found in {module}")


class WeightNorm(_Hook):
    """w = g * v / |v|."""

    title, parts = "weight_norm", ("_g", "_v")

    def __init__(self, module: Module, name: str, dim: int | None) -> None:
        self.dim = dim
        super().__init__(module, name)

    def split(self, module: Module, weight: Parameter) -> None:
        """Put length and direction into the module."""
        module.register_parameter(self.name + "_g", Parameter(norm_except(weight, self.dim).data))
        module.register_parameter(self.name + "_v", Parameter(weight.data))

    def compute(self, module: Module, training: bool) -> Tensor:
        """Return the weight."""
        g, v = self.part(module, 0), self.part(module, 1)
        return v * (g / norm_except(v, self.dim))


class SpectralNorm(_Hook):
    """w / sigma(w)."""

    title, parts = "spectral_norm", ("_u", "_v", "_orig")

    def __init__(self, module: Module, name: str, count: int, eps: float, dim: int) -> None:
        if count <= 0:
            raise ValueError(f"spectral_norm: n_power_iterations must be positive, got {count}")
        self.count, self.eps, self.dim = count, eps, dim
        super().__init__(module, name)

    def split(self, module: Module, weight: Parameter) -> None:
        """Put the weight under another name, and first guesses of the singular vectors, into the module."""
        module.register_parameter(self.name + "_orig", weight)
        for part, size in zip(self.parts, as_matrix(weight, self.dim).shape):
            vector = normalize(weight.new_empty(size).normal_(), dim=0, eps=self.eps)
            module.register_buffer(self.name + part, vector.detach())

    def compute(self, module: Module, training: bool) -> Tensor:
        """Return the weight, in training with better singular vectors."""
        u, v, weight = [self.part(module, k) for k in range(3)]
        matrix = as_matrix(weight, self.dim)
        iterate(matrix, u, v, self.count if training else 0, self.eps)
        return divided(weight, matrix, u, v)


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Train the length of a weight (for each place of an axis) and its direction apart.  Salimans and Kingma, 2016."""
    WeightNorm(module, name, dim)
    return module


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Make a weight with weight_norm an ordinary parameter."""
    return WeightNorm.remove(module, name)


def spectral_norm(
    module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> M:
    """Divide a weight by its largest singular value, which every training forward knows better.  Miyato et al., 2018."""
    SpectralNorm(module, name, n_power_iterations, eps, output_dim(module, dim))
    return module


def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Make a weight with spectral_norm an ordinary parameter."""
    return SpectralNorm.remove(module, name)
