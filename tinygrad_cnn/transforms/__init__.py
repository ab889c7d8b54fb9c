"""Image transforms under torchvision's names."""

from .transforms import Compose, Lambda, Normalize, ToTensor, byte_table

__all__ = ["Compose", "Lambda", "Normalize", "ToTensor", "byte_table"]
