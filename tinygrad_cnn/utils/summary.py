"""What a network consists of: its layers in the order of one forward pass, with sizes, costs and receptive fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, floor, prod
from typing import Any, NamedTuple

from .. import nn
from ..autograd import enable_grad
from ..creation import zeros
from ..geometry import paddings
from ..nn.conv import _ConvNd
from ..nn.pool import _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd
from ..tensor import Tensor

# With their subclasses for two and three axes.  Through RESHAPING ones fields are not followed.
LINEAR = (nn.Linear, nn.Bilinear)
ADAPTIVE = (_AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd)
RESHAPING = (
    nn.Fold, nn.MaxUnpool1d, nn.PixelShuffle, nn.PixelUnshuffle, nn.Unflatten, nn.Unfold, nn.Upsample
)  # fmt: skip


@dataclass(frozen=True)
class LayerSummary:
    """One call of a layer; for the whole batch, but parameters and receptive field.

    output_shape is None if the pass did not use the layer.  parameters are those that no row above has counted.  connections
    are what reaches the units, one by one, biases included; zeros of the padding count, as in papers.  receptive_field is
    how many elements of the input an output sees along each axis, padding included; None where it is not known.  The field of
    output i begins at field_start + i * field_step (Araujo, Norris and Sim, "Computing receptive fields of convolutional
    neural networks", 2019).  inputs are the numbers of the rows whose outputs reach the layer; -1 is the network's input.
    """

    name: str
    kind: str
    parameters: int
    output_shape: tuple[int, ...] | None = None
    kernel_size: tuple[int, ...] = ()
    multiply_adds: int = 0
    connections: int = 0
    activation_bytes: int = 0
    receptive_field: tuple[int, ...] | None = None
    field_start: tuple[int, ...] | None = None
    field_step: tuple[float, ...] | None = None
    inputs: tuple[int, ...] = ()


@dataclass(frozen=True, repr=False)
class Summary:
    """The layers of a network: a table as text, and summary[name] is the (first) row of a layer."""

    layers: tuple[LayerSummary, ...]
    trainable_parameters: int
    parameter_bytes: int

    def __getitem__(self, name: str) -> LayerSummary:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def _sum(self, column: str) -> int:
        return sum(getattr(layer, column) for layer in self.layers)

    @property
    def parameters(self) -> int:
        """The number of parameters, each counted once, of layers that are not used too."""
        return self._sum("parameters")

    @property
    def multiply_adds(self) -> int:
        """The products of convolutions and linear layers that are added up."""
        return self._sum("multiply_adds")

    @property
    def connections(self) -> int:
        """The connections of convolutions, linear layers and poolings."""
        return self._sum("connections")

    @property
    def activation_bytes(self) -> int:
        """The memory of all outputs; layers that work in place are counted too."""
        return self._sum("activation_bytes")

    def __repr__(self) -> str:
        head = ("layer", "output", "kernel", "parameters", "multiply-adds", "connections", "activations", "field")
        totals = ("total", "", "", *map(_number, (self.parameters, self.multiply_adds, self.connections)))
        rows = [head, *map(_cells, self.layers), (*totals, _bytes(self.activation_bytes), "")]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(w) if i < 3 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths)))
            for row in rows
        ]
        lines = [line.rstrip() for line in lines]
        rule = "-" * max(map(len, lines))
        end = f"{self.trainable_parameters:,} of {self.parameters:,} parameters are trained; they take "
        end += f"{_bytes(self.parameter_bytes)}."
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], end])


def _number(value: int) -> str:
    return f"{value:,}" if value else "-"


def _bytes(value: float) -> str:
    """Return a size in the unit that makes it short."""
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1000 and len(units) > 1:
        value /= 1024
        del units[0]
    return f"{value:.3g} {units[0]}" if value else "-"


def _times(sizes: Iterable[int] | None) -> str:
    return " x ".join(map(str, sizes or ())) or "-"


def _cells(layer: LayerSummary) -> tuple[str, ...]:
    """Return a row of the table; a field of equal sides is one number."""
    field = layer.receptive_field
    return (
        f"{layer.name} ({layer.kind})" if layer.name else layer.kind,
        "not used" if layer.output_shape is None else _times(layer.output_shape),
        _times(layer.kernel_size),
        *map(_number, (layer.parameters, layer.multiply_adds, layer.connections)),
        _bytes(layer.activation_bytes),
        str(field[0]) if field and len(set(field)) == 1 else _times(field),
    )


class _Field(NamedTuple):
    """What elements of a tensor see of the input: how much, how far apart for neighbours, where the first begins to see.

    counts is how many elements there are.
    """

    size: tuple[float, ...]
    step: tuple[float, ...]
    start: tuple[float, ...]
    counts: tuple[int, ...]

    def under(
        self, kernel: Iterable[float], stride: Iterable[float], before: Iterable[float], counts: Iterable[int]
    ) -> _Field:
        """Return what windows of these elements see, the first of which begins `before` the first element."""
        size = [s + (k - 1) * j for s, k, j in zip(self.size, kernel, self.step)]
        step = [j * by for j, by in zip(self.step, stride)]
        start = [s - n * j for s, n, j in zip(self.start, before, self.step)]
        return _Field(tuple(size), tuple(step), tuple(start), tuple(counts))

    def whole(self) -> _Field:
        """Return what an element sees that is made from all of these."""
        zero, one = (0,) * len(self.counts), (1,) * len(self.counts)
        return self.under(self.counts, one, zero, one)


def _joined(fields: Sequence[_Field | None]) -> _Field | None:
    """Return the largest of several fields along each axis, from the first that any of them sees; None if one is not known."""
    known = [field for field in fields if field is not None]
    if not known or len(known) < len(fields) or len({len(field.size) for field in known}) > 1:
        return None
    choices = (max, max, min, max)
    return _Field(*[tuple(map(choose, zip(*part))) for choose, part in zip(choices, zip(*known))])


class _Pass:
    """One forward pass, watched.

    Between layers, fields are followed through the graph: a tensor sees what the layers see that it was made from.  So the
    functions that a forward calls by itself may add, concatenate and reshape, but not convolve or pool.
    """

    def __init__(self, model: nn.Module) -> None:
        self.names = {module: name for name, module in model.named_modules()}
        self.marks: dict[int, tuple[Any, int, _Field | None]] = {}  # by the identity of the node, which is kept alive
        self.counted: set[int] = set()
        self.layers: list[LayerSummary] = []

    def parameters(self, module: nn.Module) -> int:
        """Return the number of a layer's own parameters that were not counted yet."""
        new = {id(p): p.numel() for p in module.parameters(recurse=False) if id(p) not in self.counted}
        self.counted |= set(new)
        return sum(new.values())

    def mark(self, x: Tensor, row: int, field: _Field | None) -> None:
        """Say which row a tensor belongs to, -1 for the input, and what it sees."""
        node = x if x.grad_fn is None else x.grad_fn
        self.marks[id(node)] = node, row, field

    def fields(self, x: Tensor) -> list[_Field | None]:
        """Return the fields of the layers, or inputs, that a tensor was made from."""
        return [field for _, field in self.sources(x)]

    def sources(self, x: Tensor) -> list[tuple[int, _Field | None]]:
        """Return the rows and fields of the layers, or inputs, that a tensor was made from."""
        waiting, seen, found = [x if x.grad_fn is None else x.grad_fn], set(), []
        while waiting:
            node = waiting.pop()
            node = getattr(node, "variable", node)  # a leaf
            if id(node) in self.marks:
                found.append(self.marks[id(node)][1:])
            elif id(node) not in seen:
                waiting += [following for following, _ in getattr(node, "next_functions", ())]
            seen.add(id(node))
        return found

    def after(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        """Add a row; a forward hook."""
        inputs, outputs = _tensors((args, kwargs)), _tensors(output)
        if not inputs or not outputs:
            return
        x, y = inputs[0], outputs[0]
        kernel = _kernel(module, x, y)
        field = self._field(module, kernel, x, y)
        made_from = sorted({row for out in outputs for row, _ in self.sources(out)})
        for out in outputs:
            self.mark(out, len(self.layers), field)
        multiply_adds, connections = _work(module, kernel, x, y)
        row = LayerSummary(
            self.names[module],
            type(module).__name__,
            self.parameters(module),
            tuple(y.shape),
            kernel,
            multiply_adds,
            connections,
            sum(out.numel() * out.element_size() for out in outputs),
            field and tuple(map(ceil, field.size)),
            field and tuple(map(floor, field.start)),
            field and field.step,
            tuple(made_from),
        )
        self.layers.append(row)

    def _field(self, module: nn.Module, kernel: tuple[int, ...], x: Tensor, y: Tensor) -> _Field | None:
        """Return what a layer's outputs see."""
        if isinstance(module, RESHAPING):
            return None
        if isinstance(module, LINEAR) and y.ndim == 2:
            return _joined([field and field.whole() for field in self.fields(x)])
        if not kernel:
            return _joined(self.fields(y))
        field, sizes = _joined(self.fields(x)), y.shape[2:]
        if field is None or x.ndim != y.ndim:
            return None
        if isinstance(module, ADAPTIVE):
            return field.under(kernel, [n / m for n, m in zip(x.shape[2:], sizes)], (0,) * len(kernel), sizes)
        stride, dilation = [_per_axis(getattr(module, name, 1), kernel) for name in ("stride", "dilation")]
        span = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
        pads = paddings("summary", getattr(module, "padding", 0), tuple(x.shape[2:]), kernel, stride, dilation)
        before = [pad for pad, _ in pads]
        if getattr(module, "transposed", False):
            first = [(n - 1 - pad) // s for n, pad, s in zip(span, before, stride)]
            return field.under([ceil(n / s) for n, s in zip(span, stride)], [1 / s for s in stride], first, sizes)
        return field.under(span, stride, before, sizes)


def _tensors(value: Any) -> list[Tensor]:
    """Return the tensors in a nest of containers."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in _tensors(item)]
    return [value] if isinstance(value, Tensor) else []


def _per_axis(value: Any, like: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * len(like)


def _kernel(module: nn.Module, x: Tensor, y: Tensor) -> tuple[int, ...]:
    """Return the window of a layer, () if it has none: any layer with a `kernel_size`, and adaptive pooling."""
    sizes = x.shape[2:]
    if isinstance(module, ADAPTIVE):
        sides = list(zip(sizes, y.shape[2:]))
        return tuple([max(-(-(i + 1) * n // m) - i * n // m for i in range(m)) for n, m in sides])
    kernel = getattr(module, "kernel_size", None)
    return () if kernel is None else _per_axis(kernel, sizes)


def _work(module: nn.Module, kernel: tuple[int, ...], x: Tensor, y: Tensor) -> tuple[int, int]:
    """Return the multiply-adds and the connections of a layer, or what it says of itself."""
    if hasattr(module, "work"):
        return module.work(tuple(y.shape))
    products = 0
    if isinstance(module, (_ConvNd, *LINEAR)):  # each weight meets every output (or input) of its channel
        products = (x if getattr(module, "transposed", False) else y).numel() * prod(module.weight.shape[1:])
    reached = products or (y.numel() * prod(kernel) if kernel else 0)
    biases = y.numel() if reached and getattr(module, "bias", None) is not None else 0
    return products, reached + biases


def layers_of(model: nn.Module) -> list[nn.Module]:
    """Return the layers of a network: modules without others inside, or with parameters of their own."""
    return [m for m in model.modules() if not list(m.children()) or list(m.parameters(recurse=False))]


@contextmanager
def watched(
    model: nn.Module, layers: Iterable[nn.Module] = (), hook: Callable[..., Any] | None = None
) -> Iterator[None]:
    """Evaluate, with `hook(module, args, kwargs, output)` called after each of the layers; leave the network as it was."""
    training = {module: module.training for module in model.modules()}
    handles = [layer.register_forward_hook(hook, with_kwargs=True) for layer in layers if hook]
    try:
        model.eval()
        yield
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode


def summary(model: nn.Module, input_size: Any = None, *, input_data: Any = None) -> Summary:
    """Return the layers of a network as one forward pass meets them: a table as text, and rows of data.

    `input_size` is the size of the input with its batch axis, or a list of sizes for several inputs, which are then zeros of
    the parameters' dtype; `input_data` gives the inputs themselves.  The pass runs in evaluation mode, and leaves the network
    as it was.  A layer is a module without others inside, or with parameters of its own; one that is called twice has two
    rows.  What a forward computes by functions is not counted.  A layer of one's own is a window if it has `kernel_size` (and
    `stride`, `dilation`); its method `work(output_shape)`, if it has one, returns its multiply-adds and connections.
    """
    if (input_size is None) == (input_data is None):
        raise ValueError("summary: exactly one of input_size and input_data must be given")
    inputs = _inputs(model, input_size) if input_data is None else _tensors(input_data)
    watch = _Pass(model)
    layers = layers_of(model)
    with watched(model, layers, watch.after), enable_grad():
        # Clones, since a first layer may work in place; integers have no gradient, and so no field.
        inputs = [x.detach().requires_grad_().clone() if x.is_floating_point() else x for x in inputs]
        for x in inputs:
            zero, one = (0,) * (x.ndim - 2), (1,) * (x.ndim - 2)
            watch.mark(x, -1, _Field(one, one, zero, tuple(x.shape[2:])) if one else None)
        model(*inputs)
    used = {layer.name for layer in watch.layers}
    for module in layers:
        if watch.names[module] not in used and (left := watch.parameters(module)):
            watch.layers.append(LayerSummary(watch.names[module], type(module).__name__, left))
    parameters = list(model.parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    return Summary(tuple(watch.layers), trainable, sum(p.numel() * p.element_size() for p in parameters))


def _inputs(model: nn.Module, input_size: Any) -> list[Tensor]:
    """Return zeros of the given size or sizes."""
    sizes: list[Any] = list(input_size) if isinstance(input_size, (tuple, list)) else []
    sizes = sizes if sizes and all(isinstance(size, (tuple, list)) for size in sizes) else [sizes]
    if not all(size and all(isinstance(n, int) and n > 0 for n in size) for size in sizes):
        raise ValueError(
            f"summary: input_size must be sizes with the batch axis, as (1, 3, 224, 224), or a list of them; got {input_size!r}"
        )
    like = next((p for p in model.parameters() if p.is_floating_point()), None)
    options = {} if like is None else {"dtype": like.dtype, "device": like.device}
    return [zeros(*size, **options) for size in sizes]
