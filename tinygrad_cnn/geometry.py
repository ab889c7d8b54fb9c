"""Shapes, and output sizes and padding of sliding windows: integers only."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

Pair = int | tuple[int, ...] | list[int]
Padding = str | int | tuple | list


class Size(tuple[int, ...]):
    """A shape: a tuple that knows its number of elements."""

    def numel(self) -> int:
        """Return the number of elements of a tensor of this shape."""
        return prod(self)

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"

    def __getitem__(self, key: Any) -> Any:
        item = super().__getitem__(key)
        return Size(item) if isinstance(key, slice) else item

    def __add__(self, other: Any) -> Any:
        return Size(super().__add__(tuple(other)))


class Window(NamedTuple):
    """A kernel sliding over rows and columns; the compiled kernels read the fields in this order.

    Sizes, strides, padding (top, bottom, left, right), dilation, and the number of output rows and columns.
    """

    kh: int
    kw: int
    sh: int
    sw: int
    pt: int
    pb: int
    pl: int
    pr: int
    dh: int
    dw: int
    oh: int
    ow: int


def per_axis(op: str, name: str, value: Pair, least: int, count: int) -> tuple[int, ...]:
    """Return `value` as one number per axis, each at least `least`."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    values = values * count if len(values) == 1 else values
    wanted = {1: "an int", 2: "an int or a pair of ints"}.get(count, f"an int or {count} ints")
    if len(values) != count:
        raise RuntimeError(f"{op}: {name} must be {wanted}, got {value!r}")
    for number in values:
        if isinstance(number, bool) or not hasattr(number, "__index__"):
            raise TypeError(f"{op}: {name} must be {wanted}, got {value!r}")
        if number < least:
            kind = "must not be negative" if least == 0 else "must be positive"
            raise RuntimeError(f"{op}: {name} {kind}, got {value!r}")
    return tuple(map(int, values))


def pair(op: str, name: str, value: Pair, least: int) -> tuple[int, int]:
    """Return `value` as (rows, columns), each at least `least`."""
    rows, columns = per_axis(op, name, value, least, 2)
    return rows, columns


def effective(kernel: int, dilation: int) -> int:
    """Return how many elements a dilated kernel spans."""
    return dilation * (kernel - 1) + 1


def same_padding(size: int, kernel: int, stride: int, dilation: int, upper: bool) -> tuple[int, int]:
    """Return the padding that gives ceil(size / stride) outputs; an odd one is larger after (upper) or before."""
    outputs = -(-size // stride)
    total = max(0, (outputs - 1) * stride + effective(kernel, dilation) - size)
    return (total // 2, total - total // 2) if upper else (total - total // 2, total // 2)


def paddings(
    op: str, padding: Padding, size: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[tuple[int, int], ...]:  # fmt: skip
    """Return the padding of each axis as (before, after) pairs.

    `padding` is an int, one for each axis (rows, columns), pairs ((top, bottom), (left, right)), or 'valid', 'same'
    (an odd zero goes below and right, as in PyTorch; any stride), 'same_lower' (above and left).
    """
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0),) * len(size)
        if padding not in ("same", "same_lower"):
            raise RuntimeError(f"{op}: padding must be 'valid', 'same', 'same_lower' or numbers, got {padding!r}")
        upper = padding == "same"
        return tuple([same_padding(*axis, upper) for axis in zip(size, kernel, stride, dilation)])
    if isinstance(padding, (tuple, list)) and padding and isinstance(padding[0], (tuple, list)):
        if len(padding) != len(size):
            sides = "((top, bottom), (left, right))" if len(size) == 2 else f"{len(size)} pairs (before, after)"
            raise RuntimeError(f"{op}: padding per side must be {sides}, got {padding!r}")
        return tuple([pair(op, "padding", sides, 0) for sides in padding])
    return tuple([(n, n) for n in per_axis(op, "padding", padding, 0, len(size))])


def outputs(
    op: str, axis: str, size: int, kernel: int, stride: int, pad: tuple[int, int], dilation: int, ceil_mode: bool
) -> int:
    """Return the number of windows along one axis: (size + padding - span) / stride, rounded, plus 1."""
    span = effective(kernel, dilation)
    room = size + pad[0] + pad[1] - span
    if room < 0 and not (ceil_mode and room + stride > 0):
        raise RuntimeError(
            f"{op}: kernel is larger than the padded image along {axis}: "
            f"dilation * (kernel - 1) + 1 = {span} > {size + pad[0] + pad[1]} = {size} + padding {pad}; "
            "use a smaller kernel or more padding"
        )
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    # A window that would start in the padding behind the image is dropped.
    return count - 1 if (count - 1) * stride >= size + pad[0] else count


@lru_cache(maxsize=4096)
def _window(
    op: str, size: tuple[int, int], kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Window:
    kernel = pair(op, "kernel_size", kernel, 1)
    stride = pair(op, "stride", stride, 1)
    dilation = pair(op, "dilation", dilation, 1)
    rows, columns = paddings(op, padding, size, kernel, stride, dilation)
    oh = outputs(op, "rows", size[0], kernel[0], stride[0], rows, dilation[0], ceil_mode)
    ow = outputs(op, "columns", size[1], kernel[1], stride[1], columns, dilation[1], ceil_mode)
    return Window._make((*kernel, *stride, *rows, *columns, *dilation, oh, ow))


def _hashable(value: Any) -> Any:
    return tuple(_hashable(item) for item in value) if isinstance(value, list) else value


def window(
    op: str,
    size: tuple[int, int],
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    ceil_mode: bool = False,
) -> Window:
    """Return the window of `op` over an image of `size` (H, W), or raise an error that names the bad argument."""
    args: tuple[Any, ...] = (kernel, stride, padding, dilation)
    try:
        return _window(op, size, *args, ceil_mode)
    except TypeError:  # a list is as good as a tuple, but cannot be a cache key
        return _window(op, size, *[_hashable(value) for value in args], ceil_mode)


@lru_cache(maxsize=4096)  # of what passes
def check_pool_padding(op: str, window: Window) -> None:
    """Raise unless every pooling window touches the image: padding at most half of the (dilated) kernel."""
    for axis, pads, kernel, dilation in (
        ("rows", (window.pt, window.pb), window.kh, window.dh),
        ("columns", (window.pl, window.pr), window.kw, window.dw),
    ):
        if max(pads) > effective(kernel, dilation) // 2:
            raise RuntimeError(
                f"{op}: padding must be at most half of the kernel: {pads} along {axis} > "
                f"{effective(kernel, dilation)} // 2"
            )


def wrap_dim(op: str, dim: int, ndim: int) -> int:
    """Return `dim` as a non-negative axis number."""
    limit = max(ndim, 1)
    if not hasattr(dim, "__index__"):
        raise TypeError(f"{op}: dim must be an int, got {dim!r}")
    if not -limit <= dim < limit:
        raise IndexError(f"{op}: dim {dim} is out of range for {ndim} dimensions; expected {-limit} to {limit - 1}")
    return int(dim) % limit


def wrap_dims(op: str, dims: int | tuple[int, ...] | list[int] | None, ndim: int) -> tuple[int, ...]:
    """Return axes as sorted non-negative numbers; None and () mean all of them."""
    if dims is None or (isinstance(dims, (tuple, list)) and not dims):
        return tuple(range(ndim))
    wrapped = [wrap_dim(op, d, ndim) for d in (dims if isinstance(dims, (tuple, list)) else (dims,))]
    if len(set(wrapped)) != len(wrapped):
        raise RuntimeError(f"{op}: dim {dims!r} names an axis twice")
    return tuple(sorted(wrapped)) if ndim else ()


def infer_shape(op: str, shape: tuple[int, ...], numel: int) -> tuple[int, ...]:
    """Return `shape` with a -1 replaced by what makes it hold `numel` elements."""
    if prod(shape) == numel and all(size >= 0 for size in shape):
        return shape
    unknown = [axis for axis, size in enumerate(shape) if size == -1]
    known = prod(size for size in shape if size != -1)
    if len(unknown) > 1 or any(size < -1 for size in shape):
        raise RuntimeError(f"{op}: invalid shape {shape}: at most one size may be -1 and none less")
    if unknown and known and numel % known == 0:
        axis = unknown[0]
        return (*shape[:axis], numel // known, *shape[axis + 1 :])
    if unknown and not known:
        raise RuntimeError(f"{op}: cannot infer the -1 in {shape} for a tensor of {numel} elements")
    if unknown or known != numel:
        raise RuntimeError(f"{op}: shape {shape} is invalid for a tensor of {numel} elements")
    return shape


def broadcast(op: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape to which all `shapes` broadcast."""
    ndim = max(map(len, shapes))
    result = [1] * ndim
    for shape in shapes:
        for axis, size in enumerate(shape, ndim - len(shape)):
            if size != 1 and result[axis] not in (1, size):
                raise RuntimeError(
                    f"{op}: shapes {' and '.join(map(str, shapes))} cannot be broadcast together: "
                    f"sizes {result[axis]} and {size} differ at dimension {axis}"
                )
            if size != 1:
                result[axis] = size
    return tuple(result)


def broadcast_to(op: str, shape: tuple[int, ...], target: tuple[int, ...]) -> None:
    """Raise unless `shape` broadcasts to exactly `target`."""
    if len(shape) > len(target) or any(
        a not in (1, b) for a, b in zip(reversed(shape), reversed(target), strict=False)
    ):
        raise RuntimeError(f"{op}: shape {tuple(shape)} cannot be broadcast to {tuple(target)}")
