"""What a unit of a network responds to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from ..autograd import no_grad
from ..nn import Module
from ..ops.shape import pad
from ..random import Generator
from ..tensor import Tensor
from ..utils.data import DataLoader
from ..utils.summary import LayerSummary, summary, watched
from .attribution import module_of
from .canvas import gallery, new_figure

BATCH = 256


@dataclass(frozen=True)
class Activation:
    """A response of a unit: its value, the number of the image, where on the map it is, and the pixels that the unit saw."""

    value: float
    index: int
    position: tuple[int, ...]
    patch: Tensor


def top_activations(model: Module, layer: str | Module, unit: int, dataset: Any, k: int = 9) -> list[Activation]:
    """Return the k largest responses of a unit to a data set, the largest first, one from each image.

    The unit is a channel of `layer`, a module or its dotted name; on maps the largest place of each image counts.  `dataset`
    holds images (C, H, W), or tuples that begin with one.  A patch (C, h, w) is the receptive field, with zeros outside of the
    image, as the unit sees them; the whole image where `summary` knows no field.  Zeiler and Fergus, "Visualizing and
    understanding convolutional networks", 2014.
    """
    if k < 1:
        raise ValueError(f"top_activations: k must be at least 1, got {k}")
    module = module_of("top_activations", model, layer)
    outputs: list[Tensor] = []

    def keep(module: Module, args: Any, kwargs: Any, output: Tensor) -> None:
        outputs.append(output[:, unit].clone())  # a layer behind it may work in place

    best: list[Activation] = []
    seen = 0
    for batch in DataLoader(dataset, BATCH, generator=Generator()):  # the global one stays where it is
        images = batch[0] if isinstance(batch, (list, tuple)) else batch
        outputs.clear()
        with watched(model, [module], keep), no_grad():
            model(images.clone())
        if not outputs:
            raise ValueError(f"top_activations: the network did not call the layer {layer!r}")
        values = outputs[-1].flatten(1) if outputs[-1].ndim > 1 else outputs[-1].unsqueeze(1)
        highest, places = values.max(1)
        for i in highest.topk(min(k, len(highest)))[1].tolist():
            place = _unravelled(int(places[i]), tuple(outputs[-1].shape[1:]))
            best.append(Activation(highest[i].item(), seen + i, place, images[i]))
        best = sorted(best, key=lambda found: -found.value)[:k]
        seen += len(images)
    if not best:
        raise ValueError("top_activations: the data set is empty")
    row = _row(model, module, best[0].patch)
    return [replace(found, patch=_field(row, found.position, found.patch).clone()) for found in best]


def _unravelled(place: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the position of an element of a flattened array."""
    position: list[int] = []
    for size in reversed(shape):
        place, i = divmod(place, size)
        position.insert(0, i)
    return tuple(position)


def _row(model: Module, module: Module, image: Tensor) -> LayerSummary | None:
    """Return the last row of a layer in the summary."""
    name = next(name for name, found in model.named_modules() if found is module)
    rows = [row for row in summary(model, input_data=image.unsqueeze(0)).layers if row.name == name]
    return rows[-1] if rows else None


def _field(row: LayerSummary | None, position: tuple[int, ...], image: Tensor) -> Tensor:
    """Return what of an image the element of a layer's output sees."""
    if row is None or row.receptive_field is None or row.field_start is None or row.field_step is None:
        return image
    position = position or (0,) * len(row.receptive_field)  # a linear layer has one place
    begins = [int(start + i * step) for start, i, step in zip(row.field_start, position, row.field_step)]
    ends = [begin + size for begin, size in zip(begins, row.receptive_field)]
    for axis, (begin, end, size) in enumerate(zip(begins, ends, image.shape[1:]), 1):
        image = image.narrow(axis, max(begin, 0), min(end, size) - max(begin, 0))
        sides = (max(-begin, 0), max(end - size, 0))
        image = pad(image, (0, 0) * (image.ndim - 1 - axis) + sides)
    return image


def draw_top_activations(activations: list[Activation], columns: int = 9, *, figure: Any = None) -> Any:
    """Draw patches, each scaled to its own range, under their values; return the figure."""
    if not activations:
        raise ValueError("draw_top_activations: there are no activations")
    columns = min(columns, len(activations))
    figure = new_figure(figure, 0.4 + 1.1 * columns, 1.4 * ceil(len(activations) / columns))
    titles = [f"{found.value:.3g}" for found in activations]
    gallery(figure, [found.patch for found in activations], titles, columns)
    return figure
