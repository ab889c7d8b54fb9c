"""Utilities: utils.data, make_grid, save_image."""

from . import data
from .images import make_grid, save_image

__all__ = ["data", "make_grid", "save_image"]
