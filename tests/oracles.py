"""What operations should give, in loops and NumPy, without any code of the package."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np


def positions(size: int, i: int, stride: int, before: int, dilation: int, kernel: int) -> list[tuple[int, int]]:
    """Return (kernel element, row) pairs of window i that lie inside an image of `size` rows."""
    reads = [(u, i * stride - before + u * dilation) for u in range(kernel)]
    return [(u, row) for u, row in reads if 0 <= row < size]


def count_outputs(size: int, kernel: int, stride: int, pads: tuple[int, int], dilation: int, ceil_mode: bool) -> int:
    """Count windows one by one."""
    span = dilation * (kernel - 1) + 1
    count = 0
    while count * stride + span <= size + sum(pads):
        count += 1
    sticks_out = (count - 1) * stride + span < size + sum(pads)
    if ceil_mode and sticks_out and count * stride < size + pads[0]:
        count += 1
    return count


def conv2d(
    x: np.ndarray, w: np.ndarray, b: np.ndarray | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> np.ndarray:
    """Cross-correlate, element by element."""
    (n_images, _, height, width), (maps, per_group, kh, kw) = x.shape, w.shape
    (sh, sw), (rows, columns), (dh, dw) = stride, padding, dilation
    oh, ow = count_outputs(height, kh, sh, rows, dh, False), count_outputs(width, kw, sw, columns, dw, False)
    y = np.zeros((n_images, maps, oh, ow), x.dtype)
    for n, o, i, j in product(range(n_images), range(maps), range(oh), range(ow)):
        first = o // (maps // groups) * per_group
        for c in range(per_group):
            for u, row in positions(height, i, sh, rows[0], dh, kh):
                for v, column in positions(width, j, sw, columns[0], dw, kw):
                    y[n, o, i, j] += w[o, c, u, v] * x[n, first + c, row, column]
        y[n, o, i, j] += 0 if b is None else b[o]
    return y


def pool2d(
    x: np.ndarray,
    reduce: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any = (1, 1),
    ceil_mode: bool = False,
) -> np.ndarray:
    """Apply `reduce(values, i, j)` to each window."""
    (sh, sw), (rows, columns), (dh, dw), (kh, kw) = stride, padding, dilation, kernel_size
    height, width = x.shape[2:]
    oh, ow = count_outputs(height, kh, sh, rows, dh, ceil_mode), count_outputs(width, kw, sw, columns, dw, ceil_mode)
    y = np.zeros((*x.shape[:2], oh, ow), x.dtype)
    for n, c, i, j in product(*map(range, y.shape)):
        inside = product(positions(height, i, sh, rows[0], dh, kh), positions(width, j, sw, columns[0], dw, kw))
        y[n, c, i, j] = reduce([x[n, c, row, column] for (_, row), (_, column) in inside], i, j)
    return y


def max_pool2d(x: np.ndarray, **window: Any) -> np.ndarray:
    """Take maxima."""
    return pool2d(x, lambda values, i, j: max(values, default=-np.inf), **window)


def max_pool2d_indices(x: np.ndarray, **window: Any) -> np.ndarray:
    """Find the place of each maximum, by the value: all are different."""
    maxima = max_pool2d(x, **window)
    places = np.zeros(maxima.shape, np.int64)
    for n, c in np.ndindex(x.shape[:2]):
        place_of = {value: place for place, value in enumerate(x[n, c].reshape(-1))}
        places[n, c] = np.vectorize(place_of.__getitem__)(maxima[n, c])
    return places


def avg_pool2d(
    x: np.ndarray, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool = False, count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> np.ndarray:  # fmt: skip
    """Take averages."""

    def mean(values: list[float], i: int, j: int) -> float:
        if divisor_override:
            return sum(values) / divisor_override
        if not count_include_pad:
            return sum(values) / len(values)
        counts = [
            sum(1 for u in range(k) if index * s + u < size + sum(pads))
            for index, k, s, size, pads in zip((i, j), kernel_size, stride, x.shape[2:], padding, strict=True)
        ]
        return sum(values) / (counts[0] * counts[1])

    return pool2d(x, mean, kernel_size, stride, padding, (1, 1), ceil_mode)


def adaptive_avg_pool2d(x: np.ndarray, output_size: tuple[int, int]) -> np.ndarray:
    """Average over parts of the image."""
    (oh, ow), (height, width) = output_size, x.shape[2:]
    y = np.zeros((*x.shape[:2], oh, ow), x.dtype)
    for i, j in product(range(oh), range(ow)):
        rows = slice(i * height // oh, -(-(i + 1) * height // oh))
        columns = slice(j * width // ow, -(-(j + 1) * width // ow))
        y[:, :, i, j] = x[:, :, rows, columns].mean(axis=(2, 3))
    return y


def im2col(x: np.ndarray, kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> np.ndarray:
    """Copy patches, element by element."""
    (sh, sw), (rows, columns), (dh, dw), (kh, kw) = stride, padding, dilation, kernel_size
    n, c, height, width = x.shape
    oh, ow = count_outputs(height, kh, sh, rows, dh, False), count_outputs(width, kw, sw, columns, dw, False)
    y = np.zeros((n, c, kh, kw, oh, ow), x.dtype)
    for i, j in product(range(oh), range(ow)):
        for u, row in positions(height, i, sh, rows[0], dh, kh):
            for v, column in positions(width, j, sw, columns[0], dw, kw):
                y[:, :, u, v, i, j] = x[:, :, row, column]
    return y.reshape(n, c * kh * kw, oh * ow)


def batch_norm(
    x: np.ndarray, mean: Any, var: Any, weight: Any = None, bias: Any = None, training: bool = True, momentum: float = 0.1,
    eps: float = 1e-5,
) -> np.ndarray:  # fmt: skip
    """Normalise channel by channel."""
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        channel = x[:, c]
        m, v = (channel.mean(), channel.var()) if training else (mean[c], var[c])
        y[:, c] = (channel - m) / np.sqrt(v + eps)
        y[:, c] = y[:, c] * (1 if weight is None else weight[c]) + (0 if bias is None else bias[c])
    return y


def local_response_norm(x: np.ndarray, size: int, alpha: float, beta: float, k: float) -> np.ndarray:
    """Divide channel by channel."""
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        window = x[:, max(0, c - size // 2) : c - size // 2 + size]
        y[:, c] = x[:, c] / (k + alpha * (window**2).sum(axis=1) / size) ** beta
    return y


def log_softmax(x: np.ndarray, dim: int) -> np.ndarray:
    """Take the logarithm of e ** x / sum(e ** x)."""
    return x - np.log(np.exp(x).sum(axis=dim, keepdims=True))


def nll_loss(
    x: np.ndarray, target: np.ndarray, weight: Any = None, reduction: str = "mean", label_smoothing: float = 0.0
) -> Any:
    """Pick log-probabilities sample by sample; -100 is ignored."""
    losses, total = np.zeros(target.shape), 0.0
    for at in np.ndindex(target.shape):
        scores = x[(at[0], slice(None), *at[1:])]
        t = target[at]
        if t != -100:
            w = np.ones(len(scores)) if weight is None else weight
            total += w[t]
            losses[at] = -(1 - label_smoothing) * w[t] * scores[t] - label_smoothing * (w * scores).sum() / len(scores)
    if reduction == "none":
        return losses
    return losses.sum() / (total if reduction == "mean" else 1)


def cross_entropy(x: np.ndarray, target: np.ndarray, **options: Any) -> Any:
    """Compose log_softmax and nll_loss."""
    return nll_loss(log_softmax(x, 1), target, **options)
