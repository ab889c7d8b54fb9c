"""Utilities: utils.data, utils.checkpoint, make_grid, save_image."""

from . import checkpoint, data
from .images import make_grid, save_image

__all__ = ["checkpoint", "data", "make_grid", "save_image"]
