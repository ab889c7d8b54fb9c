"""Image transforms under torchvision's names."""

# fmt: off
from . import functional
from .modes import InterpolationMode
from .transforms import (
    CenterCrop, ColorJitter, Compose, ConvertImageDtype, FiveCrop, GaussianBlur, Grayscale, Lambda, Normalize, Pad, PCANoise,
    PILToTensor, RandomAffine, RandomApply, RandomChoice, RandomCrop, RandomErasing, RandomGrayscale, RandomHorizontalFlip,
    RandomOrder, RandomResizedCrop, RandomRotation, RandomVerticalFlip, Resize, TenCrop, ToPILImage, ToTensor, Transform,
)
from .whole import transform_images

__all__ = [
    "CenterCrop", "ColorJitter", "Compose", "ConvertImageDtype", "FiveCrop", "GaussianBlur", "Grayscale", "InterpolationMode",
    "Lambda", "Normalize", "PCANoise", "PILToTensor", "Pad", "RandomAffine", "RandomApply", "RandomChoice", "RandomCrop",
    "RandomErasing", "RandomGrayscale", "RandomHorizontalFlip", "RandomOrder", "RandomResizedCrop", "RandomRotation",
    "RandomVerticalFlip", "Resize", "TenCrop", "ToPILImage", "ToTensor", "Transform", "functional", "transform_images",
]
