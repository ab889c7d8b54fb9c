"""Weight normalisation and spectral normalisation as parametrizations."""

from __future__ import annotations

from typing import TypeVar

from ...tensor import Tensor
from ..functional import normalize
from ..module import Module
from .parametrize import register_parametrization
from .reweighted import as_matrix, divided, iterate, norm_except, output_dim

M = TypeVar("M", bound=Module)


class _WeightNorm(Module):
    """Length g and direction v -> g * v / |v|."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        """Make the weight."""
        return weight_v * (weight_g / norm_except(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return length and direction."""
        return norm_except(weight, self.dim), weight


class _SpectralNorm(Module):
    """w -> w / sigma(w)."""

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        if n_power_iterations <= 0:
            raise ValueError(f"spectral_norm: n_power_iterations must be positive, got {n_power_iterations}")
        self.dim, self.eps, self.n_power_iterations = dim, eps, n_power_iterations
        if weight.ndim > 1:
            matrix = as_matrix(weight.detach(), dim)
            for name, size in zip(("_u", "_v"), matrix.shape):
                self.register_buffer(name, normalize(matrix.new_empty(size).normal_(), dim=0, eps=eps))
            self._iterate(matrix, 15)

    def _iterate(self, matrix: Tensor, count: int) -> None:
        iterate(matrix.t(), self._v, self._u, count, self.eps)  # u first, unlike the hook of reweighted.py

    def forward(self, weight: Tensor) -> Tensor:
        """Divide the weight, in training after a better look at its singular vectors."""
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        self._iterate(matrix, self.n_power_iterations if self.training else 0)
        return divided(weight, matrix, self._u, self._v)

    def right_inverse(self, value: Tensor) -> Tensor:
        """Return the value itself."""
        return value


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Train the length of a weight (for each place of an axis) and its direction apart.  Salimans and Kingma, 2016."""
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


def spectral_norm(
    module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> M:
    """Divide a weight by its largest singular value, which every training forward knows better.  Miyato et al., 2018."""
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"spectral_norm: {type(module).__name__} has no parameter {name!r}")
    parametrization = _SpectralNorm(weight, n_power_iterations, output_dim(module, dim), eps)
    return register_parametrization(module, name, parametrization)
