"""Batch normalisation, and the base that programs look for: ``isinstance(m, _BatchNorm)``."""

from ..norm import BatchNorm1d, BatchNorm2d, BatchNorm3d, _BatchNorm

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "_BatchNorm"]
