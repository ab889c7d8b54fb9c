"""What the drawing functions share.  Figures are made without pyplot, so nothing global changes and nothing stays open."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np

from ..tensor import Tensor
from ..utils import make_grid
from ..utils.optional import required


def new_figure(figure: Any, width: float, height: float) -> Any:
    """Return the figure (or subfigure) to draw in; a new one, of a size in inches, if none is given."""
    if figure is not None:
        return figure
    return required("matplotlib.figure", "drawing", "viz").Figure(figsize=(width, height), layout="constrained")


def bare(axes: Any, title: str = "") -> Any:
    """Take ticks and frame away; return the axes."""
    axes.set(xticks=[], yticks=[])
    axes.set_frame_on(False)
    axes.set_title(title, loc="left", fontsize="small")
    return axes


def pixels(image: Tensor) -> np.ndarray:
    """Return an image (1 or 3, H, W) as matplotlib takes it, from its smallest value (0) to its largest (1)."""
    values = image.detach().numpy().astype(np.float64)
    if values.ndim != 3 or len(values) not in (1, 3):
        raise ValueError(f"drawing: an image must have the shape (1, H, W) or (3, H, W), got {tuple(values.shape)}")
    values = (values - values.min()) / (np.ptp(values) or 1)
    return (
        np.repeat(values, 4 - len(values), 0)[:3].transpose(1, 2, 0) if len(values) == 1 else values.transpose(1, 2, 0)
    )


def mosaic(maps: Tensor, columns: int) -> np.ndarray:
    """Return maps (B, H, W) side by side, `columns` in a row, with NaN in the gaps."""
    return make_grid(maps.double().unsqueeze(1), columns, 1, pad_value=np.nan).numpy()[0]


def gallery(figure: Any, images: list[Any], titles: list[str], columns: int) -> None:
    """Show images in rows, each under its title and scaled to its own range."""
    axes = figure.subplots(ceil(len(images) / columns), columns, squeeze=False).ravel()
    for place in axes:
        bare(place)
    for place, image, title in zip(axes, images, titles):
        bare(place, title).imshow(pixels(image))
