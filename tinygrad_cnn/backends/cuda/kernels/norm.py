"""Batch norm, local response normalisation and softmax: a block for each channel or line, sums over the block in one order."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._numba import cuda
from ..intrinsics import quotient
from ..launch import INTEGER, number, pointer, spec
from ..scalar import functions
from .common import ADD, I32, LARGER, block_reduce, global_thread

THREADS = 256


@spec(
    threads=THREADS, registers=64, sectors=(3.5, 3.5), shared=1024,
    example={"real": np.float32, "weight": True, "bias": True, "residual": True, "relu": True},
)  # fmt: skip
def batch_norm(real: Any, weight: bool, bias: bool, residual: bool, relu: bool) -> Callable[..., None]:
    """Normalise x (N, C, S) over N and S, a block for each channel: the mean, the deviations from it, the result."""
    zero, one, rsqrt = real(0), real(1), functions(real).rsqrt
    over_block = block_reduce(ADD, THREADS)

    def batch_norm(
        y: pointer(real), mean: pointer(real), var: pointer(real), x: pointer(real), w: pointer(real), b: pointer(real),
        r: pointer(real), images: INTEGER, channels: INTEGER, size: INTEGER, eps: number(real),
    ) -> None:  # fmt: skip
        scratch = cuda.shared.array(THREADS, real)
        c, t = I32(cuda.blockIdx.x), I32(cuda.threadIdx.x)
        count = I32(images * size)
        total = zero
        i = t
        while i < count:
            image = quotient(i, size)
            total += x[I32(I32(I32(image * channels + c) * size) + I32(i - I32(image * size)))]
            i = I32(i + THREADS)
        centre = over_block(total, scratch) / real(count)
        total = zero
        i = t
        while i < count:
            image = quotient(i, size)
            apart = x[I32(I32(I32(image * channels + c) * size) + I32(i - I32(image * size)))] - centre
            total += apart * apart
            i = I32(i + THREADS)
        spread = over_block(total, scratch) / real(count)
        if t == 0:
            mean[c] = centre
            var[c] = spread
        scale = rsqrt(spread + eps) * (w[c] if weight else one)
        shift = b[c] if bias else zero
        i = t
        while i < count:
            image = quotient(i, size)
            at = I32(I32(I32(image * channels + c) * size) + I32(i - I32(image * size)))
            value = (x[at] - centre) * scale + shift
            if residual:
                value += r[at]
            y[at] = zero if relu and value < zero else value
            i = I32(i + THREADS)

    return batch_norm


@spec(
    threads=256, registers=40, sectors=(2, 4),
    example={"real": np.float32, "weight": True, "bias": True, "residual": True, "relu": True},
)  # fmt: skip
def normalise(real: Any, weight: bool, bias: bool, residual: bool, relu: bool) -> Callable[..., None]:
    """Make (x - mean) / sqrt(var + eps) * w + b + r, or its relu, a thread for each element of x (N, C, S)."""
    zero, one, rsqrt = real(0), real(1), functions(real).rsqrt

    def normalise(
        y: pointer(real), x: pointer(real), w: pointer(real), b: pointer(real), mean: pointer(real), var: pointer(real),
        r: pointer(real), n: INTEGER, channels: INTEGER, size: INTEGER, eps: number(real),
    ) -> None:  # fmt: skip
        i = global_thread()
        if i < n:
            plane = quotient(i, size)
            c = I32(plane - I32(quotient(plane, channels) * channels))
            scale = rsqrt(var[c] + eps) * (w[c] if weight else one)
            value = (x[i] - mean[c]) * scale + (b[c] if bias else zero)
            if residual:
                value += r[i]
            y[i] = zero if relu and value < zero else value

    return normalise


@spec(
    threads=THREADS, registers=64, sectors=(2.5, 3.5), shared=1024,
    example={"real": np.float32, "weight": True, "bias": True, "rectified": True},
)  # fmt: skip
def batch_norm_grad(real: Any, weight: bool, bias: bool, rectified: bool) -> Callable[..., None]:
    """Make dx, dw and db; with `rectified` dy counts only where the result was positive."""
    zero, one, rsqrt = real(0), real(1), functions(real).rsqrt
    over_block = block_reduce(ADD, THREADS)

    def batch_norm_grad(
        dx: pointer(real), dw: pointer(real), db: pointer(real), dy: pointer(real), x: pointer(real), w: pointer(real),
        b: pointer(real), mean: pointer(real), var: pointer(real), images: INTEGER, channels: INTEGER, size: INTEGER,
        eps: number(real),
    ) -> None:  # fmt: skip
        scratch = cuda.shared.array(THREADS, real)
        c, t = I32(cuda.blockIdx.x), I32(cuda.threadIdx.x)
        count = I32(images * size)
        centre, inverse = mean[c], rsqrt(var[c] + eps)
        factor, shift = w[c] if weight else one, b[c] if bias else zero
        scale = inverse * factor
        plain, weighted = zero, zero
        i = t
        while i < count:
            image = quotient(i, size)
            at = I32(I32(I32(image * channels + c) * size) + I32(i - I32(image * size)))
            apart = x[at] - centre
            if not rectified or not (apart * scale + shift <= zero):
                plain += dy[at]
                weighted += dy[at] * apart
            i = I32(i + THREADS)
        plain = over_block(plain, scratch)
        weighted = over_block(weighted, scratch) * inverse
        if t == 0:
            db[c] = plain
            dw[c] = weighted
        plain = plain / real(count)
        weighted = weighted * inverse / real(count)
        i = t
        while i < count:
            image = quotient(i, size)
            at = I32(I32(I32(image * channels + c) * size) + I32(i - I32(image * size)))
            apart = x[at] - centre
            mine = dy[at] if not rectified or not (apart * scale + shift <= zero) else zero
            dx[at] = scale * (mine - plain - apart * weighted)
            i = I32(i + THREADS)

    return batch_norm_grad


@spec(threads=256, registers=64, sectors=(3.5, 4), example={"real": np.float32})
def local_response_norm(real: Any) -> Callable[..., None]:
    """Make x / (k + alpha * sum of squares around) ** beta for x (N, C, S); alpha is divided by the size already."""
    zero, power = real(0), functions(real).pow

    def local_response_norm(
        y: pointer(real), x: pointer(real), n: INTEGER, channels: INTEGER, size: INTEGER, before: INTEGER, after: INTEGER,
        alpha: number(real), beta: number(real), k: number(real),
    ) -> None:  # fmt: skip
        i = global_thread()
        if i < n:
            plane = quotient(i, size)
            c = I32(plane - I32(quotient(plane, channels) * channels))
            total = zero
            for d in range(max(I32(0), I32(c - before)), min(channels, I32(c + after + 1))):
                value = x[I32(i + I32(I32(d) - c) * size)]
                total += value * value
            y[i] = x[i] * power(k + alpha * total, -beta)

    return local_response_norm


@spec(threads=256, registers=80, sectors=(3.5, 4), example={"real": np.float32})
def local_response_norm_grad(real: Any) -> Callable[..., None]:
    """Make dx = dy * scale ** -beta - 2 alpha beta x * sum over neighbours of dy x scale ** (-beta - 1)."""
    zero, one, two, power = real(0), real(1), real(2), functions(real).pow

    def local_response_norm_grad(
        dx: pointer(real), dy: pointer(real), x: pointer(real), n: INTEGER, channels: INTEGER, size: INTEGER,
        before: INTEGER, after: INTEGER, alpha: number(real), beta: number(real), k: number(real),
    ) -> None:  # fmt: skip
        i = global_thread()
        if i < n:
            plane = quotient(i, size)
            c = I32(plane - I32(quotient(plane, channels) * channels))
            shares, direct = zero, zero
            for e in range(
                max(I32(0), I32(c - after)), min(channels, I32(c + before + 1))
            ):  # channels that saw this one
                total = zero
                for d in range(max(I32(0), I32(I32(e) - before)), min(channels, I32(I32(e) + after + 1))):
                    value = x[I32(i + I32(I32(d) - c) * size)]
                    total += value * value
                scale = k + alpha * total
                at = I32(i + I32(I32(e) - c) * size)
                shares += dy[at] * x[at] * power(scale, -beta - one)
                if I32(e) == c:
                    direct = dy[i] * power(scale, -beta)
            dx[i] = direct - two * alpha * beta * x[i] * shares

    return local_response_norm_grad


@spec(threads=THREADS, registers=48, sectors=(4.5, 4.5), shared=1024, example={"real": np.float32, "log": False})
def softmax(real: Any, log: bool) -> Callable[..., None]:
    """Make softmax, or its logarithm, along K of x (I, K, J), a block for each line."""
    zero, lowest, f = real(0), real(-np.inf), functions(real)
    exp, ln = f.exp, f.log
    largest, over_block = block_reduce(LARGER, THREADS), block_reduce(ADD, THREADS)

    def softmax(y: pointer(real), x: pointer(real), length: INTEGER, inner: INTEGER) -> None:
        scratch = cuda.shared.array(THREADS, real)
        line, t = I32(cuda.blockIdx.x), I32(cuda.threadIdx.x)
        outer = quotient(line, inner)
        first = I32(I32(I32(outer * length) * inner) + I32(line - I32(outer * inner)))
        top = lowest
        k = t
        while k < length:
            value = x[I32(first + I32(k * inner))]
            top = top if top > value or top != top else value
            k = I32(k + THREADS)
        top = largest(top, scratch)
        total = zero
        k = t
        while k < length:
            total += exp(x[I32(first + I32(k * inner))] - top)
            k = I32(k + THREADS)
        total = over_block(total, scratch)
        k = t
        while k < length:
            at = I32(first + I32(k * inner))
            y[at] = x[at] - top - ln(total) if log else exp(x[at] - top) / total
            k = I32(k + THREADS)

    return softmax


@spec(threads=THREADS, registers=48, sectors=(4.5, 4.5), shared=1024, example={"real": np.float32, "log": False})
def softmax_grad(real: Any, log: bool) -> Callable[..., None]:
    """Make dx of softmax, or of its logarithm, from dy and y."""
    zero, exp = real(0), functions(real).exp
    over_block = block_reduce(ADD, THREADS)

    def softmax_grad(dx: pointer(real), dy: pointer(real), y: pointer(real), length: INTEGER, inner: INTEGER) -> None:
        scratch = cuda.shared.array(THREADS, real)
        line, t = I32(cuda.blockIdx.x), I32(cuda.threadIdx.x)
        outer = quotient(line, inner)
        first = I32(I32(I32(outer * length) * inner) + I32(line - I32(outer * inner)))
        total = zero
        k = t
        while k < length:
            at = I32(first + I32(k * inner))
            total += dy[at] if log else dy[at] * y[at]
            k = I32(k + THREADS)
        total = over_block(total, scratch)
        k = t
        while k < length:
            at = I32(first + I32(k * inner))
            dx[at] = dy[at] - exp(y[at]) * total if log else y[at] * (dy[at] - total)
            k = I32(k + THREADS)

    return softmax_grad
