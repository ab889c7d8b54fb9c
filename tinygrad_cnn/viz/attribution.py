"""Which part of an image makes a network say what it says: saliency and Grad-CAM."""

from __future__ import annotations

from typing import Any

from ..autograd import enable_grad, grad
from ..nn import Module
from ..nn.functional import relu
from ..tensor import Tensor
from ..utils.summary import watched
from .canvas import bare, new_figure, pixels


def saliency(model: Module, image: Tensor, target: int) -> Tensor:
    """Return how much each pixel of an image (C, H, W) changes the score of a class: (H, W).

    That is the largest absolute derivative of the score by the pixel's channels.  The network is in evaluation mode meanwhile,
    and its gradients stay as they are.  Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks", 2013.
    """
    with watched(model), enable_grad():
        x = image.detach().clone().requires_grad_()
        (dx,) = grad(_score("saliency", model(x.unsqueeze(0).clone()), target), [x])
    return dx.abs().amax(0)


def grad_cam(model: Module, image: Tensor, target: int, layer: str | Module) -> Tensor:
    """Return where the maps of a convolutional layer speak for a class: (h, w), as large as the maps.

    With A[k] the layer's maps for an image (C, H, W) it is relu(sum over k of a[k] A[k]), where a[k] is the mean over the map
    of the derivative of the class's score by A[k].  `layer` is a module or its dotted name; if it is called more than once, the
    last call counts.  Selvaraju et al., "Grad-CAM: visual explanations from deep networks", 2017.
    """
    module = module_of("grad_cam", model, layer)
    kept: list[Tensor] = []

    def keep(module: Module, args: Any, kwargs: Any, output: Tensor) -> Tensor:
        kept.append(output if output.requires_grad else output.detach().requires_grad_())
        return kept[-1].clone()  # a layer behind it may work in place

    with watched(model, [module], keep), enable_grad():
        score = _score("grad_cam", model(image.detach().unsqueeze(0).clone()), target)
        if not kept or kept[-1].ndim < 3:
            found = f"its output is {tuple(kept[-1].shape)}" if kept else "the network did not call it"
            raise ValueError(f"grad_cam: layer must be a layer with maps (N, C, H, W), but {found}: {layer!r}")
        (da,) = grad(score, [kept[-1]])
    maps, da = kept[-1].detach()[0], da[0]
    return relu((da.flatten(1).mean(1).reshape(-1, *[1] * (maps.ndim - 1)) * maps).sum(0))


def module_of(function: str, model: Module, layer: str | Module) -> Module:
    """Return a layer of a network, by itself or by its dotted name."""
    if isinstance(layer, str):
        return model.get_submodule(layer)
    if not any(layer is module for module in model.modules()):
        raise ValueError(f"{function}: layer must be a module of the network or its dotted name, got {layer!r}")
    return layer


def _score(function: str, scores: Any, target: int) -> Tensor:
    """Return the score of a class."""
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(f"{function}: the network must return scores (1, classes) for one image, got {shape}")
    if not 0 <= target < scores.shape[1]:
        raise IndexError(f"{function}: target must be a class from 0 to {scores.shape[1] - 1}, got {target}")
    return scores[0, target]


def draw_saliency(image: Tensor, saliency: Tensor, *, figure: Any = None) -> Any:
    """Draw an image (scaled to its own range) and its saliency beside it; return the figure."""
    right, figure = _beside(image, figure)
    shown = bare(right, "saliency").imshow(saliency.numpy(), cmap="inferno", vmin=0)
    figure.colorbar(shown, ax=right, label="|d score / d pixel|")
    return figure


def draw_grad_cam(image: Tensor, cam: Tensor, *, figure: Any = None) -> Any:
    """Draw an image (scaled to its own range), and a Grad-CAM over it, interpolated to its size; return the figure."""
    right, figure = _beside(image, figure)
    bare(right, "Grad-CAM").imshow(pixels(image))
    extent = (-0.5, image.shape[2] - 0.5, image.shape[1] - 0.5, -0.5)
    options = {"cmap": "inferno", "vmin": 0, "alpha": 0.6, "interpolation": "bilinear", "extent": extent}
    figure.colorbar(right.imshow(cam.numpy(), **options), ax=right, label="evidence for the class")
    return figure


def _beside(image: Tensor, figure: Any) -> tuple[Any, Any]:
    """Draw an image on the left; return the axes on the right, and the figure."""
    shown = pixels(image)
    figure = new_figure(figure, 6.4, 2.8)
    left, right = figure.subplots(1, 2)
    bare(left, "image").imshow(shown)
    return right, figure
