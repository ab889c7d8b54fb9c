"""The contract on an NVIDIA GPU: random numbers, products, layers, losses and optimisers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from ...geometry import Window
from ..base import Array, Shape
from ..reference import ReferenceBackend, window_counts
from .array import CudaArray, joined
from .backend import CudaMemory, real_type
from .kernels import conv, loss, matmul, norm, optim, random
from .kernels import index as indexing
from .kernels import pool as pooling

SMALL, LARGE = matmul.SMALL, matmul.LARGE
BUSY = 128  # blocks that a device works on at once, by which tiles are chosen
CHUNK = 4096  # elements of a parameter that one block updates
FEW = 16  # outputs of a group for which a tile of 64 would be too empty


class CudaBackend(CudaMemory):
    """Every kernel of the contract."""

    # ---- random numbers ----

    def random_bits(self, count: int, seed: int, counter: int) -> Array:
        y, (replayed, stream) = self.empty((count,), np.dtype(np.uint32)), self.stream(seed, counter)
        self.launch(random.random_bits, -(-count // 4), [y, count, *stream], replayed=replayed)
        return y

    def random_uniform(self, shape: Shape, dtype: np.dtype, seed: int, counter: int) -> Array:
        y, (replayed, stream) = self.empty(shape, dtype), self.stream(seed, counter)
        threads = -(-y.size // (4 if y.dtype.itemsize == 4 else 2))
        self.launch(random.random_uniform, threads, [y, y.size, *stream], real=y.dtype.type, replayed=replayed)
        return y

    def random_normal(self, shape: Shape, dtype: np.dtype, seed: int, counter: int) -> Array:
        y, (replayed, stream) = self.empty(shape, dtype), self.stream(seed, counter)
        options = {"real": y.dtype.type, "replayed": replayed}
        self.launch(random.random_normal, -(-y.size // 2), [y, y.size, *stream], **options)
        return y

    def dropout(self, x: Array, p: float, seed: int, counter: int) -> Array:
        y, x = self.empty(x.shape, x.dtype), self.packed(x)
        replayed, stream = self.stream(seed, counter)
        arguments = [y, x, y.size, int(p * 2**32), 1 / (1 - p), *stream]
        options = {"real": x.dtype.type, "wide": x.address % 16 == 0, "replayed": replayed}
        self.launch(random.dropout, -(-y.size // 4), arguments, **options)
        return y

    # ---- matrix products ----

    def matmul(self, x: Array, y: Array) -> Array:
        return self._matmul(x, y, None)

    def linear(self, x: Array, w: Array, b: Array | None, relu: bool = False) -> Array:
        rows = x.shape[:-1]
        flat = self.reshape(self.packed(x), (prod(rows), x.shape[-1]))
        y = self.reshape(self._matmul(flat, self.permute(w, (1, 0)), b), (*rows, w.shape[0]))
        return self.elementwise("relu", y) if relu else y

    def _matmul(self, x: CudaArray, y: CudaArray, b: CudaArray | None) -> CudaArray:
        (m, depth), n = x.shape[-2:], y.shape[-1]
        batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        z = self.empty((*batch, m, n), x.dtype)
        if z.size == 0 or depth == 0:
            return self.full(z.shape, 0, z.dtype) if b is None else self.cast(self.expand(b, z.shape), z.dtype)
        x_along, y_along = "depth" if x.steps[-1] == 1 else "rows", "rows" if y.steps[-1] == 1 else "depth"
        wide = all(self._wide(t) for t in (x, y))
        batch_steps = [_batch_steps(t, batch) for t in (x, y)]
        sizes, moves = joined(batch, batch_steps)
        arguments = [z, x, y, b, m, n, depth, x.steps[-2:], y.steps[-2:], tuple(sizes), *map(tuple, moves)]
        tile, grid = _tiles(n, m, prod(batch))
        options = {
            "tile": tile,
            "x_along": x_along,
            "y_along": y_along,
            "wide": wide,
            "axes": len(sizes),
            "bias": b is not None,
        }
        self.launch(matmul.matmul, 1, arguments, grid, real=real_type(x.dtype), **options)
        return z

    @staticmethod
    def _wide(x: CudaArray) -> bool:
        """Return whether rows (or columns) can be read four numbers at a time: contiguous, and all begin at multiples of 4."""
        fast = x.ndim - 1 if x.steps[-1] == 1 else x.ndim - 2
        others = [s for a, s in enumerate(x.steps) if a != fast and x.shape[a] > 1]
        aligned = x.address % (4 * x.dtype.itemsize) == 0 and x.shape[fast] % 4 == 0
        return x.dtype.kind == "f" and x.steps[fast] == 1 and aligned and all(s % 4 == 0 for s in others)

    # ---- convolution ----

    def conv2d(self, x: Array, w: Array, b: Array | None, window: Window, groups: int, relu: bool = False) -> Array:
        x, w = self.packed(x), self.packed(w)
        n, _, h, width = x.shape
        outputs, channels = w.shape[0] // groups, w.shape[1]
        y = self.empty((n, w.shape[0], window.oh, window.ow), x.dtype)
        depth = channels * window.kh * window.kw
        tail = [groups, channels * h * width, (h, width), (window.oh, window.ow), *_slide(window)]
        start = [y, x, w, b, self._patch_table(window, channels, h, width)]
        options = {"real": x.dtype.type, "bias": b is not None, "relu": relu}
        if depth == 0 or y.size == 0:
            return self.full(y.shape, 0, y.dtype)
        if groups > 1 and outputs < FEW:
            self.launch(conv.grouped_conv2d, y.size, [*start, y.size, outputs, depth, *tail], **options)
        else:
            tile, grid = _tiles(n * window.oh * window.ow, outputs, groups)
            self.launch(conv.conv2d, 1, [*start, n, outputs, depth, *tail], grid, tile=tile, **options)
        return y

    def conv2d_input_grad(self, dy: Array, w: Array, window: Window, groups: int, size: tuple[int, int]) -> Array:
        dy, w = self.packed(dy), self.packed(w)
        n, outputs, channels = dy.shape[0], w.shape[0] // groups, w.shape[1]
        dx = self.empty((n, groups * channels, *size), dy.dtype)
        taps, area = window.kh * window.kw, window.oh * window.ow
        depth = outputs * taps
        if depth == 0 or area == 0:
            return self.full(dx.shape, 0, dx.dtype)
        start = [dx, dy, w, self._gradient_table(window, outputs, channels)]
        rest = [groups, taps, outputs * channels * taps, outputs * area, size, (window.oh, window.ow), *_slide(window)]
        if groups > 1 and channels < FEW:
            arguments = [*start, dx.size, channels, depth, *rest]
            self.launch(conv.grouped_conv2d_input_grad, dx.size, arguments, real=dy.dtype.type)
        else:
            tile, grid = _tiles(n * prod(size), channels, groups)
            arguments = [*start, n, channels, depth, *rest]
            self.launch(conv.conv2d_input_grad, 1, arguments, grid, real=dy.dtype.type, tile=tile)
        return dx

    def conv2d_weight_grad(self, dy: Array, x: Array, window: Window, groups: int) -> Array:
        dy, x = self.packed(dy), self.packed(x)
        n, c, h, width = x.shape
        outputs, channels = dy.shape[1] // groups, c // groups
        shape = (dy.shape[1], channels, window.kh, window.kw)
        depth, pixels = prod(shape[1:]), n * window.oh * window.ow
        if pixels == 0 or prod(shape) == 0:
            return self.full(shape, 0, x.dtype)
        table = self._patch_table(window, channels, h, width)
        tail = [channels * h * width, (h, width), (window.oh, window.ow), *_slide(window)]
        if groups > 1 and outputs < FEW:
            dw = self.empty(shape, x.dtype)
            arguments = [dw, dy, x, table, n, outputs, depth, groups, *tail]
            self.launch(conv.grouped_conv2d_weight_grad, 1, arguments, (dw.size, 1, 1), real=x.dtype.type)
            return dw
        tile, (columns, rows, _) = _tiles(depth, outputs, groups)
        parts = max(
            1, min(-(-pixels // 512), 512 // (columns * rows * groups))
        )  # blocks for the whole device, each with enough to do
        length = -(-pixels // parts)
        some = self.empty((parts, *shape), x.dtype)
        grid = (columns, rows, groups * parts)
        arguments = [some, dy, x, table, n, outputs, depth, groups, length, *tail]
        self.launch(conv.conv2d_weight_grad, 1, arguments, grid, real=x.dtype.type, tile=tile)
        return self.reshape(some, shape) if parts == 1 else self.reduce("sum", some, (0,), False)

    def _patch_table(self, window: Window, channels: int, h: int, width: int) -> CudaArray:
        """Return for each channel and kernel element (place, rows down, columns right), relative to a window's corner."""

        def make() -> np.ndarray:
            c, u, v = np.meshgrid(*map(np.arange, (channels, window.kh, window.kw)), indexing="ij")
            down, right = u * window.dh, v * window.dw
            return np.stack([c * h * width + down * width + right, down, right], -1).astype(np.int32)

        return self.table(("patch", channels, h, width, window.kh, window.kw, window.dh, window.dw), make)

    def _gradient_table(self, window: Window, outputs: int, channels: int) -> CudaArray:
        """Return for each output and kernel element (place in w, place in dy, rows, columns)."""

        def make() -> np.ndarray:
            o, u, v = np.meshgrid(*map(np.arange, (outputs, window.kh, window.kw)), indexing="ij")
            in_w = o * channels * window.kh * window.kw + u * window.kw + v
            in_dy = o * window.oh * window.ow
            return np.stack([in_w, in_dy, u * window.dh, v * window.dw], -1).astype(np.int32)

        return self.table(("gradient", outputs, channels, window), make)

    def im2col(self, x: Array, window: Window) -> Array:
        x = self.packed(x)
        n, c, h, width = x.shape
        depth = c * window.kh * window.kw
        y = self.empty((n, depth, window.oh * window.ow), x.dtype)
        arguments = [y, x, self._patch_table(window, c, h, width), y.size, depth, c * h * width, (h, width)]
        arguments += [(window.oh, window.ow), *_slide(window)]
        self.launch(conv.im2col, y.size, arguments, real=real_type(x.dtype))
        return y

    def col2im(self, columns: Array, window: Window, size: tuple[int, int]) -> Array:
        n, depth, _ = columns.shape
        dx = self.empty((n, depth // (window.kh * window.kw), *size), columns.dtype)
        arguments = [
            dx,
            self.packed(columns),
            dx.size,
            dx.shape[1],
            (window.kh, window.kw),
            size,
            (window.oh, window.ow),
        ]
        arguments += [*_slide(window), (window.dh, window.dw)]
        self.launch(conv.col2im, dx.size, arguments, real=real_type(columns.dtype))
        return dx

    # ---- pooling ----

    def max_pool2d(self, x: Array, window: Window) -> tuple[Array, Array]:
        shape = (*x.shape[:2], window.oh, window.ow)
        kind = np.dtype(np.uint8 if window.kh * window.kw <= 256 else np.int32)
        y, offsets = self.empty(shape, x.dtype), self.empty(shape, kind)
        arguments = [y, offsets, self.packed(x), y.size, x.shape[2:], shape[2:], _pooling(window)]
        self.launch(pooling.max_pool2d, y.size, arguments, real=real_type(x.dtype), offset=kind.type)
        return y, offsets

    def max_pool2d_grad(self, dy: Array, offsets: Array, window: Window, size: tuple[int, int]) -> Array:
        dx = self.empty((*dy.shape[:2], *size), dy.dtype)
        arguments = [dx, self.packed(dy), self.packed(offsets), dx.size, size, dy.shape[2:], _pooling(window)]
        options = {"real": real_type(dy.dtype), "offset": offsets.dtype.type}
        self.launch(pooling.max_pool2d_grad, dx.size, arguments, **options)
        return dx

    def max_pool2d_gather(self, x: Array, offsets: Array, window: Window) -> Array:
        y = self.empty(offsets.shape, x.dtype)
        arguments = [y, self.packed(x), self.packed(offsets), y.size, x.shape[2:], y.shape[2:], _pooling(window)]
        options = {"real": real_type(x.dtype), "offset": offsets.dtype.type}
        self.launch(pooling.max_pool2d_gather, y.size, arguments, **options)
        return y

    def max_pool2d_indices(self, offsets: Array, window: Window, size: tuple[int, int]) -> Array:
        y = self.empty(offsets.shape, np.dtype(np.int64))
        arguments = [y, self.packed(offsets), y.size, size, y.shape[2:], _pooling(window)]
        self.launch(pooling.max_pool2d_indices, y.size, arguments, offset=offsets.dtype.type)
        return y

    # made of other kernels, as in the reference
    pooled_conv2d = ReferenceBackend.pooled_conv2d
    pooled_conv2d_input_grad = ReferenceBackend.pooled_conv2d_input_grad
    pooled_conv2d_weight_grad = ReferenceBackend.pooled_conv2d_weight_grad

    def _counts(self, dtype: np.dtype, window: Window, size: Any, count_include_pad: bool, divisor: int) -> CudaArray:
        size = tuple(size)
        key = ("counts", dtype, window, size, count_include_pad, divisor)
        return self.table(key, lambda: window_counts(window, size, count_include_pad, divisor).astype(dtype))

    def avg_pool2d(self, x: Array, window: Window, count_include_pad: bool, divisor: int) -> Array:
        y = self.empty((*x.shape[:2], window.oh, window.ow), x.dtype)
        counts = self._counts(x.dtype, window, x.shape[2:], count_include_pad, divisor)
        arguments = [y, self.packed(x), counts, y.size, x.shape[2:], y.shape[2:], _pooling(window)]
        self.launch(pooling.avg_pool2d, y.size, arguments, real=real_type(x.dtype))
        return y

    def avg_pool2d_grad(
        self, dy: Array, window: Window, size: tuple[int, int], count_include_pad: bool, divisor: int
    ) -> Array:
        dx = self.empty((*dy.shape[:2], *size), dy.dtype)
        counts = self._counts(dy.dtype, window, size, count_include_pad, divisor)
        arguments = [dx, self.packed(dy), counts, dx.size, size, dy.shape[2:], _pooling(window)]
        self.launch(pooling.avg_pool2d_grad, dx.size, arguments, real=real_type(dy.dtype))
        return dx

    # ---- resampling and images ----

    def resample(self, x: Array, starts: Array, places: Array, weights: Array) -> Array:
        y = self.empty((x.shape[0], starts.shape[0] - 1, x.shape[2]), x.dtype)
        weights = weights if weights.dtype == x.dtype else self.cast(weights, x.dtype)
        arguments = [y, self.packed(x), starts, places, weights, y.size, x.shape[1], y.shape[1], x.shape[2]]
        self.launch(indexing.resample, y.size, arguments, real=real_type(x.dtype))
        return y

    def sample(self, x: Array, places: Array, weights: Array) -> Array:
        (n, channels, length), (_, terms, results) = x.shape, places.shape
        y = self.empty((n, channels, results), x.dtype)
        arguments = [y, *map(self.packed, (x, places, weights)), y.size, channels, length, terms, results]
        self.launch(indexing.sample, y.size, arguments, real=x.dtype.type)
        return y

    def sample_input_grad(self, dy: Array, places: Array, weights: Array, size: int) -> Array:
        (n, channels, results), terms = dy.shape, places.shape[1]
        dx = self.empty((n, channels, size), dy.dtype)
        arguments = [dx, *map(self.packed, (dy, places, weights)), dx.size, channels, size, terms, results]
        self.launch(indexing.sample_input_grad, dx.size, arguments, real=dy.dtype.type)
        return dx

    def sample_weight_grad(self, dy: Array, x: Array, places: Array) -> Array:
        (_, channels, length), (_, terms, results) = x.shape, places.shape
        dw = self.empty(places.shape, x.dtype)
        arguments = [dw, *map(self.packed, (dy, x, places)), dw.size, channels, length, terms, results]
        self.launch(indexing.sample_weight_grad, dw.size, arguments, real=x.dtype.type)
        return dw

    def gather_images(self, images: Array, index: Array, table: Array, windows: Array, size: Shape) -> Array:
        _, height, width, channels = images.shape
        y = self.empty((windows.shape[0], channels, *size), table.dtype)
        arguments = [y, *map(self.packed, (images, index, table, windows)), y.size, index.shape[0], table.shape[0]]
        arguments += [channels, (height, width), tuple(size)]
        self.launch(indexing.gather_images, y.size, arguments, real=real_type(table.dtype))
        return y

    # ---- normalisation and softmax ----

    def batch_norm(
        self, x: Array, w: Array | None, b: Array | None, eps: float, residual: Array | None = None, relu: bool = False
    ) -> tuple[Array, Array, Array]:
        x, channels = self.packed(x), x.shape[1]
        y = self.empty(x.shape, x.dtype)
        mean, var = [self.empty((channels,), x.dtype) for _ in range(2)]
        r = None if residual is None else self.packed(residual)
        arguments = [y, mean, var, x, w, b, r, x.shape[0], channels, prod(x.shape[2:]), eps]
        options = {"weight": w is not None, "bias": b is not None, "residual": r is not None, "relu": relu}
        self.launch(norm.batch_norm, 1, arguments, (channels, 1, 1), real=x.dtype.type, **options)
        return y, mean, var

    def normalise(
        self, x: Array, w: Array | None, b: Array | None, mean: Array, var: Array, eps: float,
        residual: Array | None = None, relu: bool = False,
    ) -> Array:  # fmt: skip
        x, y = self.packed(x), self.empty(x.shape, x.dtype)
        r = None if residual is None else self.packed(residual)
        arguments = [y, x, w, b, mean, var, r, y.size, x.shape[1], prod(x.shape[2:]), eps]
        options = {"weight": w is not None, "bias": b is not None, "residual": r is not None, "relu": relu}
        self.launch(norm.normalise, y.size, arguments, real=x.dtype.type, **options)
        return y

    def batch_norm_grad(
        self, dy: Array, x: Array, w: Array | None, b: Array | None, mean: Array, var: Array, eps: float, rectified: bool,
    ) -> tuple[Array, Array, Array]:  # fmt: skip
        dy, x, channels = self.packed(dy), self.packed(x), x.shape[1]
        dx = self.empty(x.shape, x.dtype)
        dw, db = [self.empty((channels,), x.dtype) for _ in range(2)]
        arguments = [dx, dw, db, dy, x, w, b, mean, var, x.shape[0], channels, prod(x.shape[2:]), eps]
        options = {"real": x.dtype.type, "weight": w is not None, "bias": b is not None, "rectified": rectified}
        self.launch(norm.batch_norm_grad, 1, arguments, (channels, 1, 1), **options)
        return dx, dw, db

    def local_response_norm(self, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
        y, x = self.empty(x.shape, x.dtype), self.packed(x)
        arguments = [y, x, *_around(x, size), alpha / size, beta, k]
        self.launch(norm.local_response_norm, y.size, arguments, real=x.dtype.type)
        return y

    def local_response_norm_grad(self, dy: Array, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
        dx, x = self.empty(x.shape, x.dtype), self.packed(x)
        arguments = [dx, self.packed(dy), x, *_around(x, size), alpha / size, beta, k]
        self.launch(norm.local_response_norm_grad, dx.size, arguments, real=x.dtype.type)
        return dx

    def softmax(self, x: Array, dim: int) -> Array:
        return self._softmax(x, dim, False)

    def log_softmax(self, x: Array, dim: int) -> Array:
        return self._softmax(x, dim, True)

    def _softmax(self, x: CudaArray, dim: int, log: bool) -> CudaArray:
        y = self.empty(x.shape, x.dtype)
        length, inner = x.shape[dim], prod(x.shape[dim + 1 :])
        arguments = [y, self.packed(x), length, inner]
        self.launch(norm.softmax, y.size, arguments, (x.size // max(1, length), 1, 1), real=x.dtype.type, log=log)
        return y

    def softmax_grad(self, dy: Array, y: Array, dim: int) -> Array:
        return self._softmax_grad(dy, y, dim, False)

    def log_softmax_grad(self, dy: Array, y: Array, dim: int) -> Array:
        return self._softmax_grad(dy, y, dim, True)

    def _softmax_grad(self, dy: CudaArray, y: CudaArray, dim: int, log: bool) -> CudaArray:
        dx = self.empty(y.shape, y.dtype)
        length, inner = y.shape[dim], prod(y.shape[dim + 1 :])
        arguments = [dx, self.packed(dy), self.packed(y), length, inner]
        grid = (y.size // max(1, length), 1, 1)
        self.launch(norm.softmax_grad, y.size, arguments, grid, real=y.dtype.type, log=log)
        return dx

    def cross_entropy(self, x: Array, target: Array, ignore_index: int, reduction: str) -> tuple[Array, Array]:
        (n, classes), x, target = x.shape, self.packed(x), self.packed(target)
        y, losses = self.empty(x.shape, x.dtype), self.empty((n,), x.dtype)
        arguments = [losses, y, self.suspects("cross_entropy"), x, target, classes, ignore_index]
        self.launch(loss.cross_entropy, n, arguments, (n, 1, 1), real=x.dtype.type)
        if reduction == "none":
            return losses, y
        total = self.empty((), x.dtype)
        arguments = [total, losses, target, n, ignore_index]
        self.launch(loss.total_loss, 1, arguments, (1, 1, 1), real=x.dtype.type, mean=reduction == "mean")
        return total, y

    def cross_entropy_grad(self, dy: Array, y: Array, target: Array, ignore_index: int, reduction: str) -> Array:
        dx, target, count = self.empty(y.shape, y.dtype), self.packed(target), None
        if reduction == "mean":
            count = self.empty((), y.dtype)
            arguments = [count, target, target.shape[0], ignore_index]
            self.launch(loss.count_targets, 1, arguments, (1, 1, 1), real=y.dtype.type)
        arguments = [dx, self.packed(dy), self.packed(y), target, count, dx.size, y.shape[1], ignore_index]
        self.launch(loss.cross_entropy_grad, dx.size, arguments, real=y.dtype.type, reduction=reduction)
        return dx

    # ---- optimiser steps ----

    def sgd(
        self, params: Sequence[Array], grads: Sequence[Array], momenta: Sequence[Array | None], started: Sequence[bool],
        lr: float, momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool,
    ) -> None:  # fmt: skip
        for places in _by_type(params):
            table, keep = self._chunks([[a[i] for i in places] for a in (params, grads, momenta)])
            flags = tuple(started[i] for i in places)
            running = self.table(("started", flags), partial(np.array, flags, np.int32))
            real = params[places[0]].dtype.type
            rate = None if self._recorded is None else self.of_host(partial(_single, real), lr)
            options = {"momentum": momenta[places[0]] is not None, "nesterov": nesterov, "replayed": rate is not None}
            arguments = [table, running, lr, weight_decay, momentum, 1 - dampening, -1 if maximize else 1, rate]
            self.launch(optim.sgd, 1, arguments, (table.shape[0], 1, 1), real=real, **options)
            del keep

    def adam(
        self, params: Sequence[Array], grads: Sequence[Array], means: Sequence[Array], squares: Sequence[Array],
        peaks: Sequence[Array | None], steps: Sequence[int], lr: float, beta1: float, beta2: float, eps: float,
        weight_decay: float, decoupled: bool, maximize: bool,
    ) -> None:  # fmt: skip
        for places in _by_type(params):
            table, keep = self._chunks([[a[i] for i in places] for a in (params, grads, means, squares, peaks)])
            real = params[places[0]].dtype.type

            def factors(numbers: Any, places: list[int] = places, real: Any = real) -> np.ndarray:
                steps, lr = numbers
                rows = [(lr / (1 - beta1 ** steps[i]), (1 - beta2 ** steps[i]) ** 0.5, lr) for i in places]
                return np.array(rows, real)

            corrections = self.of_host(factors, (steps, lr))
            arguments = [table, corrections, weight_decay, beta1, beta2, eps, -1 if maximize else 1]
            options = {"decoupled": decoupled, "peaks": peaks[places[0]] is not None}
            self.launch(optim.adam, 1, arguments, (table.shape[0], 1, 1), real=real, **options)
            del keep

    def _chunks(self, lists: list[list[CudaArray | None]]) -> tuple[CudaArray, list[Any]]:
        """Return the table of chunks of parameters, gradients and states, and what must live until it has been used."""
        lists = [lists[0], [self.packed(g) for g in lists[1] if g is not None], *lists[2:]]
        key = ("chunks", tuple(tuple(0 if a is None else a.address for a in arrays) for arrays in lists),
               tuple(p.size for p in lists[0] if p is not None))  # fmt: skip

        def make() -> np.ndarray:
            rows = []
            for number, arrays in enumerate(zip(*lists)):
                size, width = arrays[0].size, arrays[0].dtype.itemsize
                for start in range(0, size, CHUNK):
                    places = [0 if a is None else a.address + start * width for a in arrays]
                    rows.append([min(CHUNK, size - start), number, *places])
            return np.array(rows, np.int64).reshape(-1, 2 + len(lists))

        return self.table(key, make), lists


def _tiles(columns: int, rows: int, products: int) -> tuple[matmul.Tile, tuple[int, int, int]]:
    """Return the tile for products of (rows, columns), and the grid: large ones where they fill the device."""
    for tile in (LARGE, SMALL):
        grid = (-(-columns // tile.size), -(-rows // tile.size), products)
        if rows >= tile.size and prod(grid) >= BUSY:
            break
    return tile, grid


def _single(real: Any, value: float) -> np.ndarray:
    return np.array([value], real)


def _slide(window: Window) -> list[tuple[int, int]]:
    return [(window.sh, window.sw), (window.pt, window.pl)]


def _pooling(window: Window) -> tuple[int, ...]:
    """Return a window as pooling kernels read it."""
    return window.kh, window.kw, window.sh, window.sw, window.pt, window.pl, window.dh, window.dw


def _batch_steps(x: CudaArray, batch: Shape) -> tuple[int, ...]:
    missing = len(batch) - (x.ndim - 2)
    own = [0 if n == 1 else s for n, s in zip(x.shape[:-2], x.steps[:-2])]
    return (0,) * missing + tuple(own)


def _around(x: CudaArray, size: int) -> list[int]:
    """Return what kernels of local response normalisation are told: elements, channels, pixels, channels before and after."""
    return [x.size, x.shape[1], prod(x.shape[2:]), size // 2, (size - 1) // 2]


def _by_type(params: Sequence[CudaArray]) -> list[list[int]]:
    """Return the places of parameters of each type."""
    types = dict.fromkeys(p.dtype for p in params)
    return [[i for i, p in enumerate(params) if p.dtype == dtype] for dtype in types]
