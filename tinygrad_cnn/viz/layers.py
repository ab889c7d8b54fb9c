"""First-layer filters, and the feature maps of every layer."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..nn import Module
from ..nn.conv import _ConvNd
from ..tensor import Tensor
from ..utils.summary import layers_of, watched
from .canvas import bare, mosaic, new_figure


def filters(model_or_layer: Module) -> Tensor:
    """Return a copy of the filters (O, C / groups, KH, KW) of a convolution, or of a network's first one.

    A copy from before the training can be drawn beside one from after it.
    """
    for module in model_or_layer.modules():
        if isinstance(module, _ConvNd):
            return module.weight.detach().clone()
    raise ValueError(f"filters: {type(model_or_layer).__name__} has no convolution")


def draw_filters(filters: Tensor, before: Tensor | None = None, *, figure: Any = None) -> Any:
    """Draw filters of one channel in grey or of three in colours, below those from before the training; return the figure.

    All share one scale, symmetric around 0, a medium grey: the bar shows it for grey filters, the title for coloured ones.
    """
    if filters.ndim != 4 or filters.shape[1] not in (1, 3):
        raise ValueError(
            f"draw_filters: filters must be (O, 1, KH, KW) or (O, 3, KH, KW), got {tuple(filters.shape)}; choose channels first"
        )
    if before is not None and before.shape != filters.shape:
        raise ValueError(f"draw_filters: before has the shape {tuple(before.shape)}, filters {tuple(filters.shape)}")
    sets = {"": filters} if before is None else {"before training": before, "after training": filters}
    limit = max(float(weights.abs().max()) for weights in sets.values()) or 1.0
    columns = min(len(filters), 16)
    rows = ceil(len(filters) / columns)
    figure = new_figure(figure, 1.5 + 0.55 * max(columns, 6), (0.35 + 0.6 * rows) * len(sets) + 0.3)
    places = figure.subplots(len(sets), 1, squeeze=False).ravel()
    for axes, (title, weights) in zip(places, sets.items()):
        grids = np.stack([mosaic(weights[:, channel], columns) for channel in range(weights.shape[1])], -1)
        if weights.shape[1] == 1:
            shown = bare(axes, title).imshow(grids[..., 0], cmap="gray", vmin=-limit, vmax=limit)
        else:
            scale = f"weights from {-limit:.2g} (dark) to {limit:.2g} (bright) in each colour"
            bare(axes, f"{title}: {scale}" if title else scale).imshow(np.nan_to_num(grids / limit / 2 + 0.5, nan=1))
    if filters.shape[1] == 1:
        figure.colorbar(shown, ax=list(places), label="weight")
    return figure


def feature_maps(model: Module, image: Tensor) -> dict[str, Tensor]:
    """Return the outputs of all layers for an image (C, H, W), without batch axis, by the layers' names.

    The network is in evaluation mode meanwhile.  A layer that is called again has the number of the call in parentheses.
    Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014, section 4.
    """
    names = {module: name or type(module).__name__ for name, module in model.named_modules()}
    maps: dict[str, Tensor] = {}

    def keep(module: Module, args: Any, kwargs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            calls = sum(name.partition(" ")[0] == names[module] for name in maps)
            name = f"{names[module]} ({calls + 1})" if calls else names[module]
            maps[name] = output[0].clone()  # a layer behind it may work in place

    with watched(model, layers_of(model), keep), no_grad():
        model(image.unsqueeze(0).clone())
    return maps


def draw_feature_maps(maps: dict[str, Tensor], limit: int = 16, *, figure: Any = None) -> Any:
    """Draw the first `limit` maps of each layer in a row, vectors as a strip; return the figure.

    Each layer has a scale of its own, shown by the bar beside it.
    """
    if not maps:
        raise ValueError("draw_feature_maps: there are no maps")
    figure = new_figure(figure, 9, sum(_height(layer) for layer in maps.values()))
    heights = [_height(layer) for layer in maps.values()]
    places = figure.subplots(len(maps), 1, squeeze=False, gridspec_kw={"height_ratios": heights}).ravel()
    for axes, (name, layer) in zip(places, maps.items()):
        title = f"{name}: {' x '.join(map(str, layer.shape))}"
        if layer.ndim == 3:
            count = min(len(layer), limit)
            title += f", the first {count}" if count < len(layer) else ""
            shown = bare(axes, title).imshow(mosaic(layer[:count], count), cmap="viridis")
        else:
            shown = bare(axes, title).imshow(layer.reshape(1, -1).numpy(), cmap="viridis", aspect="auto")
        figure.colorbar(shown, ax=axes, pad=0.01, panchor=(0, 0.5))
    return figure


def _height(layer: Tensor) -> float:
    """Return how many inches the row of a layer takes."""
    return 1.2 if layer.ndim == 3 else 0.7
