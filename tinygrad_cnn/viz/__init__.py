"""Seeing what a network does: functions that return numbers, and `draw_` functions that show them with matplotlib."""

from .attribution import draw_grad_cam, draw_saliency, grad_cam, saliency
from .curves import draw_learning_curves, learning_curves
from .layers import draw_feature_maps, draw_filters, feature_maps, filters
from .mistakes import Mistake, confusion_matrix, draw_confusion_matrix, worst_mistakes
from .network import network_svg
from .units import Activation, draw_top_activations, top_activations

__all__ = [
    "Activation", "Mistake", "confusion_matrix", "draw_confusion_matrix", "draw_feature_maps", "draw_filters",
    "draw_grad_cam", "draw_learning_curves", "draw_saliency", "draw_top_activations", "feature_maps", "filters",
    "grad_cam", "learning_curves", "network_svg", "saliency", "top_activations", "worst_mistakes",
]  # fmt: skip
