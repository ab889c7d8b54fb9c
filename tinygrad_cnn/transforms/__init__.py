"""Image transforms under torchvision's names."""

# fmt: off
from . import functional
from .augment import AutoAugment, AutoAugmentPolicy, RandAugment, TrivialAugmentWide
from .modes import InterpolationMode
from .transforms import (
    CenterCrop, ColorJitter, Compose, ConvertImageDtype, FiveCrop, GaussianBlur, Grayscale, Lambda, Normalize, Pad,
    PCANoise, PILToTensor, RandomAdjustSharpness, RandomAffine, RandomApply, RandomAutocontrast, RandomChoice,
    RandomCrop, RandomEqualize, RandomErasing, RandomGrayscale, RandomHorizontalFlip, RandomInvert, RandomOrder,
    RandomPerspective, RandomPosterize, RandomResizedCrop, RandomRotation, RandomSolarize, RandomVerticalFlip,
    Resize, TenCrop, ToPILImage, ToTensor, Transform,
)
from .whole import transform_images

__all__ = [
    "AutoAugment", "AutoAugmentPolicy", "CenterCrop", "ColorJitter", "Compose", "ConvertImageDtype", "FiveCrop",
    "GaussianBlur", "Grayscale", "InterpolationMode", "Lambda", "Normalize", "PCANoise", "PILToTensor", "Pad",
    "RandAugment", "RandomAdjustSharpness", "RandomAffine", "RandomApply", "RandomAutocontrast", "RandomChoice",
    "RandomCrop", "RandomEqualize", "RandomErasing", "RandomGrayscale", "RandomHorizontalFlip", "RandomInvert",
    "RandomOrder", "RandomPerspective", "RandomPosterize", "RandomResizedCrop", "RandomRotation", "RandomSolarize",
    "RandomVerticalFlip", "Resize", "TenCrop", "ToPILImage", "ToTensor", "Transform", "TrivialAugmentWide",
    "functional", "transform_images",
]
