"""The contract: every kernel that ops may call, with its shapes and its formula.

Arrays are opaque to whoever calls a backend: they have `shape`, `dtype` (NumPy's), `ndim` and `strides` (bytes), and
nothing else is done to them.  Kernels return new arrays, C-contiguous unless they say "view", and never change their
arguments unless they say so.  Sizes N C H W, O KH KW, OH OW; gradients dx dw dy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from math import prod
from typing import Any, TypeVar

import numpy as np

from ..geometry import Window

Array = Any
Shape = tuple[int, ...]
Dims = tuple[int, ...]
F = TypeVar("F", bound=Callable[..., Any])

# name -> formula; a and b broadcast, and may be Python numbers.  Comparisons and logic give bool.
ELEMENTWISE = {
    "add": "a + b",
    "sub": "a - b",
    "mul": "a * b",
    "div": "a / b",
    "floor_divide": "floor(a / b)",
    "remainder": "a - b * floor(a / b)",
    "pow": "a ** b",
    "maximum": "a if a > b else b; NaN if either is",
    "minimum": "a if a < b else b; NaN if either is",
    "fmax": "maximum, but NaN only if both are",
    "fmin": "minimum, but NaN only if both are",
    "fmod": "a - b * trunc(a / b)",
    "atan2": "angle of the point (b, a)",
    "hypot": "(a ** 2 + b ** 2) ** 0.5",
    "copysign": "|a| with the sign of b",
    "logaddexp": "ln(e ** a + e ** b)",
    "xlogy": "0 if a == 0 and b is not NaN else a * ln b",
    "bitwise_left_shift": "a * 2 ** b",
    "bitwise_right_shift": "floor(a / 2 ** b)",
    "eq": "a == b",
    "ne": "a != b",
    "lt": "a < b",
    "le": "a <= b",
    "gt": "a > b",
    "ge": "a >= b",
    "logical_and": "a and b",
    "logical_or": "a or b",
    "logical_xor": "bool(a) != bool(b)",
    "bitwise_and": "bits set in a and b",
    "bitwise_or": "bits set in a or b",
    "bitwise_xor": "bits set in one of a and b",
    "where": "b if a else c",
    "relu_grad": "0 if b <= 0 else a",
    "sigmoid_grad": "a * b * (1 - b)",
    "tanh_grad": "a * (1 - b * b)",
    "binary_cross_entropy": "-(b * max(ln a, -100) + (1 - b) * max(ln(1 - a), -100))",
    "clamp": "min(max(a, b), c)",
    "clamp_grad": "a if c <= b <= d else 0",
    "hardtanh_grad": "0 if b <= c or b >= d else a",
    "hardsigmoid": "min(max(a + 3, 0), 6) / 6",
    "hardsigmoid_grad": "a / 6 if -3 < b < 3 else 0",
    "hardswish": "a * min(max(a + 3, 0), 6) / 6",
    "hardswish_grad": "0 if b <= -3 else a * (b / 3 + 1 / 2) if b < 3 else a",
    "elu": "a if a > 0 else b * (e ** (c * a) - 1)",
    "elu_grad": "a * c * d * e ** (d * b) if b <= 0 else a",
    "gelu": "a * (1 + erf(a / sqrt 2)) / 2",
    "gelu_grad": "a * ((1 + erf(b / sqrt 2)) / 2 + b * e ** (-b ** 2 / 2) / sqrt(2 pi))",
    "gelu_tanh": "a * s(a * t), t = sqrt(8 / pi) * (1 + 0.044715 * a ** 2), s(x) = 1 / (1 + e ** -x)",
    "gelu_tanh_grad": "a times the slope of gelu_tanh at b",
    "logsigmoid": "min(a, 0) - ln(1 + e ** -|a|)",
    "logsigmoid_grad": "a / (1 + e ** b)",
    "mish": "a * tanh(ln(1 + e ** a))",
    "mish_grad": "a times the slope of mish at b",
    "silu": "a / (1 + e ** -a)",
    "silu_grad": "a * s * (1 + b * (1 - s)), s = 1 / (1 + e ** -b)",
    "softplus": "a if a * b > c else ln(1 + e ** (a * b)) / b",
    "softplus_grad": "a if b * c > d else a / (1 + e ** (-b * c))",
    "leaky_relu": "a if a > 0 else b * a",
    "leaky_relu_grad": "a if b > 0 else c * a",
    "add_scaled": "a + c * b",
    "addcmul": "a + d * b * c",
    "addcdiv": "a + d * b / c",
    "lerp": "a + c * (b - a)",
    "neg": "-a",
    "abs": "|a|",
    "sign": "-1, 0 or 1; 0 for NaN",
    "exp": "e ** a",
    "exp2": "2 ** a",
    "expm1": "e ** a - 1",
    "log": "ln a",
    "log1p": "ln(1 + a)",
    "log2": "log2 a",
    "log10": "log10 a",
    "sqrt": "a ** 0.5",
    "rsqrt": "a ** -0.5",
    "reciprocal": "1 / a",
    "sin": "sin a",
    "cos": "cos a",
    "tan": "tan a",
    "asin": "arcsine of a",
    "acos": "arccosine of a",
    "atan": "arctangent of a",
    "sinh": "sinh a",
    "cosh": "cosh a",
    "tanh": "tanh a",
    "asinh": "inverse of sinh",
    "acosh": "inverse of cosh",
    "atanh": "inverse of tanh",
    "erf": "2 / sqrt(pi) times the integral of e ** -t ** 2 from 0 to a",
    "erfc": "1 - erf a, without cancellation",
    "sigmoid": "1 / (1 + e ** -a)",
    "logit": "ln(a / (1 - a))",
    "relu": "a if a > 0 else 0; NaN for NaN",
    "floor": "largest integer <= a",
    "ceil": "smallest integer >= a",
    "round": "nearest integer, halves to even",
    "trunc": "a without its fraction",
    "logical_not": "not a",
    "bitwise_not": "bits not set in a; the opposite for bool",
    "signbit": "whether the sign bit of a is set",
    "isnan": "a != a",
    "isinf": "|a| == inf",
    "isfinite": "|a| < inf",
}
REDUCTIONS = ("sum", "mean", "prod", "amax", "amin", "any", "all")
ARG_REDUCTIONS = ("argmax", "argmin")
SCATTERS = ("add", "set", "mul", "maximum", "minimum")
SCANS = ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp")


def kernel(method: F) -> F:
    """Mark a method as a kernel of the contract; calling one that a backend does not override raises."""

    @wraps(method)
    def missing(self: Backend, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"the {self.name!r} backend has no kernel {method.__name__!r}")

    missing.is_kernel = True  # type: ignore[attr-defined]
    return missing  # type: ignore[return-value]


class Backend:
    """The kernels of one device."""

    name: str

    # ---- memory ----

    @kernel
    def from_numpy(self, array: np.ndarray) -> Array:
        """Bring a NumPy array to the device; on the CPU it is shared, not copied."""

    def copied_in(self, array: np.ndarray, wait: bool = True) -> Array:
        """Bring a copy to the device; without `wait` one of page-locked memory is made while the program goes on."""
        return self.from_numpy(np.array(array))

    def host_numbers(self, advance: Callable[[int], Any]) -> Any:
        """Return advance(1): numbers that a kernel gets in this step.  Replays of a recorded step ask for them again."""
        return advance(1)

    def not_recorded(self, what: str) -> None:
        """Raise RuntimeError while a step is recorded, in which `what` would be repeated unchanged."""

    @kernel
    def to_numpy(self, x: Array) -> np.ndarray:
        """Bring an array to NumPy; on the CPU it is shared, not copied."""

    @kernel
    def empty(self, shape: Shape, dtype: np.dtype) -> Array:
        """Allocate without initialising."""

    @kernel
    def full(self, shape: Shape, value: float, dtype: np.dtype) -> Array:
        """Allocate and fill."""

    @kernel
    def copy(self, x: Array) -> Array:
        """Copy to a new C-contiguous array."""

    @kernel
    def cast(self, x: Array, dtype: np.dtype) -> Array:
        """Convert to a new array; float to integer truncates."""

    @kernel
    def assign(self, target: Array, values: Array) -> None:
        """Write `values`, broadcast and converted, into `target` (changed in place)."""

    # ---- views ----

    @kernel
    def reshape(self, x: Array, shape: Shape) -> Array:
        """View with another shape; ValueError where that would need a copy."""

    @kernel
    def permute(self, x: Array, dims: Dims) -> Array:
        """View with axes in another order: y.shape[i] = x.shape[dims[i]]."""

    @kernel
    def expand(self, x: Array, shape: Shape) -> Array:
        """View broadcast to `shape`; not for writing."""

    @kernel
    def slice(self, x: Array, key: tuple[Any, ...]) -> Array:
        """View x[key]; `key` holds ints, slices with positive steps, None and Ellipsis."""

    @kernel
    def diagonal(self, x: Array, offset: int) -> Array:
        """View a diagonal of the last two axes as the last one: y[..., i] = x[..., i, i + offset] (offset >= 0)."""

    # ---- elementwise and reductions ----

    @kernel
    def elementwise(self, op: str, *operands: Any) -> Array:
        """Compute a row of ELEMENTWISE; operands are arrays of one dtype (conditions: bool) or Python numbers."""

    def loop(self, op: str) -> Callable[..., Array]:
        """Return the kernel of a row of ELEMENTWISE as a function of its operands."""
        return partial(self.elementwise, op)

    def update(self, op: str) -> Callable[..., Array]:
        """Return the same function, which may also write its result over the first operand, if that has its shape."""
        return self.loop(op)

    @kernel
    def reduce(self, op: str, x: Array, dims: Dims, keepdim: bool) -> Array:
        """Reduce (REDUCTIONS) along sorted axes, which stay as size 1 if keepdim; the dtype is kept."""

    @kernel
    def arg_reduce(self, op: str, x: Array, dim: int, keepdim: bool) -> Array:
        """Return int64 positions along an axis (ARG_REDUCTIONS): the first extreme, or the first NaN."""

    @kernel
    def arg_parts(self, op: str, x: Array, dim: int, parts: tuple[tuple[int, int], ...]) -> Array:
        """Do the same for parts of an axis, none empty, given by start and length -> positions as many as parts along it."""

    @kernel
    def scan(self, op: str, x: Array, dim: int) -> Array:
        """Reduce (SCANS) each element and all before it along an axis; the dtype is kept, and NaN stays to the end."""

    @kernel
    def argsort(self, x: Array, dim: int, descending: bool) -> Array:
        """Return the int64 places of the elements along an axis in order: equal ones in theirs, NaN as the largest."""

    # ---- joining and indexing ----

    @kernel
    def cat(self, xs: Sequence[Array], dim: int) -> Array:
        """Join arrays of one dtype along an axis."""

    @kernel
    def pad(self, x: Array, pads: tuple[tuple[int, int], ...], value: float) -> Array:
        """Add (before, after) elements of `value` along each axis; negative numbers crop."""

    @kernel
    def index(self, x: Array, key: tuple[Any, ...]) -> Array:
        """Copy x[key] as NumPy defines it; `key` may hold integer and bool arrays."""

    @kernel
    def index_put(self, target: Array, key: tuple[Any, ...], values: Array, accumulate: bool) -> None:
        """Write values into target[key] (changed in place), or add them, repeated positions included, in order."""

    @kernel
    def nonzero(self, x: Array) -> tuple[Array, ...]:
        """Return one int64 array of positions for each axis."""

    @kernel
    def gather(self, x: Array, dim: int, index: Array) -> Array:
        """Pick along an axis: y[.., i, ..] = x[.., index[.., i, ..], ..]."""

    @kernel
    def scatter(self, op: str, target: Array, dim: int, index: Array, values: Array) -> None:
        """Combine values (SCATTERS) with the elements that gather would pick, in order (target changed in place)."""

    # ---- random numbers ----

    @kernel
    def random_bits(self, count: int, seed: int, counter: int) -> Array:
        """Return uint32 words of Philox4x32-10: four for each counter, counter + 1, ...; the same on every device."""

    @kernel
    def random_uniform(self, shape: Shape, dtype: np.dtype, seed: int, counter: int) -> Array:
        """Return numbers in [0, 1): word / 2**32 cut to 24 bits (float32), word pairs to 53 bits (float64)."""

    @kernel
    def random_normal(self, shape: Shape, dtype: np.dtype, seed: int, counter: int) -> Array:
        """Return standard normal numbers by the Box-Muller transform of uniform ones."""

    @kernel
    def dropout(self, x: Array, p: float, seed: int, counter: int) -> Array:
        """Return x / (1 - p) where word i of random_bits >= p * 2**32, else 0; 0 <= p < 1."""

    # ---- matrix products ----

    @kernel
    def matmul(self, x: Array, y: Array) -> Array:
        """Multiply (..., M, K) @ (..., K, N) -> (..., M, N); batch axes broadcast; any strides."""

    @kernel
    def linear(self, x: Array, w: Array, b: Array | None, relu: bool = False) -> Array:
        """Compute x (..., K) @ w (N, K) transposed + b (N,) -> (..., N), or its relu."""

    def linear_grad(
        self, dy: Array, x: Array | None, w: Array | None, y: Array | None, wanted: Sequence[bool]
    ) -> tuple[Array | None, ...]:
        """Return those of dx = dy @ w, dw = dy transposed @ x and db = the sum of dy (..., N) that are wanted, else None.

        With y, the relu of a linear layer, dy is its gradient.
        """
        rows = self._rows(dy if y is None else self.elementwise("relu_grad", dy, y))
        dx = self.matmul(rows, w) if wanted[0] else None
        return (
            dx if dx is None or dy.ndim == 2 else self.reshape(dx, (*dy.shape[:-1], dx.shape[1])),
            self.matmul(self.permute(rows, (1, 0)), self._rows(x)) if wanted[1] else None,
            self.reduce("sum", rows, (0,), False) if wanted[2] else None,
        )

    def _rows(self, x: Array) -> Array:
        """Return x (..., K) as (M, K)."""
        if x.ndim == 2:
            return x
        return self.reshape(x if is_contiguous(x) else self.copy(x), (prod(x.shape[:-1]), x.shape[-1]))

    # ---- convolution ----

    @kernel
    def conv2d(self, x: Array, w: Array, b: Array | None, window: Window, groups: int, relu: bool = False) -> Array:
        """Cross-correlate x (N, C, H, W) with w (O, C / groups, KH, KW), zero-padded -> (N, O, OH, OW), or its relu.

        y[n, o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] * x[n, c, i * sh - pt + u * dh, j * sw - pl + v * dw]
        """

    @kernel
    def conv2d_input_grad(self, dy: Array, w: Array, window: Window, groups: int, size: tuple[int, int]) -> Array:
        """Return dx (N, C, H, W) for images of `size` (H, W): the adjoint of conv2d in x."""

    @kernel
    def conv2d_weight_grad(self, dy: Array, x: Array, window: Window, groups: int) -> Array:
        """Return dw (O, C / groups, KH, KW): the adjoint of conv2d in w."""

    @kernel
    def im2col(self, x: Array, window: Window) -> Array:
        """Copy the patches of x (N, C, H, W) -> (N, C * KH * KW, OH * OW)."""

    @kernel
    def col2im(self, columns: Array, window: Window, size: tuple[int, int]) -> Array:
        """Add patches up into images (N, C, H, W): the adjoint of im2col."""

    # ---- pooling ----

    @kernel
    def max_pool2d(self, x: Array, window: Window) -> tuple[Array, Array]:
        """Return the maxima (N, C, OH, OW) and their offsets u * KW + v inside the window.

        Offsets are uint8, or int32 for windows of more than 256 elements; the first of equal maxima is taken, and a
        NaN is larger than any number.  A window with no element inside the image gives -inf and offset 0; its
        gradient goes nowhere.
        """

    @kernel
    def max_pool2d_grad(self, dy: Array, offsets: Array, window: Window, size: tuple[int, int]) -> Array:
        """Return dx (N, C, H, W): dy added at the places of the maxima."""

    @kernel
    def max_pool2d_gather(self, x: Array, offsets: Array, window: Window) -> Array:
        """Read x at the places of the maxima: the adjoint of max_pool2d_grad."""

    @kernel
    def max_pool2d_indices(self, offsets: Array, window: Window, size: tuple[int, int]) -> Array:
        """Turn offsets into int64 places h * W + w in the image."""

    @kernel
    def pooled_conv2d(
        self, x: Array, w: Array, b: Array | None, window: Window, pool: Window, relu: bool
    ) -> tuple[Array, Array]:
        """Return max_pool2d of conv2d, with `relu` its maximum with 0, and the offsets, if algorithms.fuses_pooling says so."""

    @kernel
    def pooled_conv2d_input_grad(
        self, dy: Array, offsets: Array, w: Array, window: Window, pool: Window, size: tuple[int, int]
    ) -> Array:
        """Return conv2d_input_grad of max_pool2d_grad(dy, offsets), for one group and what algorithms.fits_pooled allows."""

    @kernel
    def pooled_conv2d_weight_grad(self, dy: Array, offsets: Array, x: Array, window: Window, pool: Window) -> Array:
        """Return conv2d_weight_grad of max_pool2d_grad(dy, offsets), likewise."""

    def pooled_conv2d_grad(
        self, dy: Array, y: Array | None, offsets: Array, x: Array, w: Array, window: Window, pool: Window,
        size: tuple[int, int], wanted: Sequence[bool],
    ) -> tuple[Array | None, ...]:  # fmt: skip
        """Return those of the gradients of x (N, C, *size), w and the bias that are wanted, else None.

        With y, the relu of the maxima, dy is its gradient.
        """
        dy = dy if y is None else self.elementwise("relu_grad", dy, y)
        return (
            self.pooled_conv2d_input_grad(dy, offsets, w, window, pool, size) if wanted[0] else None,
            self.pooled_conv2d_weight_grad(dy, offsets, x, window, pool) if wanted[1] else None,
            self.reduce("sum", dy, (0, 2, 3), False) if wanted[2] else None,
        )

    @kernel
    def avg_pool2d(self, x: Array, window: Window, count_include_pad: bool, divisor: int) -> Array:
        """Average windows; divisor 0 divides by the elements counted, with or without padding."""

    @kernel
    def avg_pool2d_grad(
        self, dy: Array, window: Window, size: tuple[int, int], count_include_pad: bool, divisor: int
    ) -> Array:
        """Return dx (N, C, H, W): the adjoint of avg_pool2d."""

    # ---- resampling ----

    @kernel
    def resample(self, x: Array, starts: Array, places: Array, weights: Array) -> Array:
        """Combine rows of x (P, A, K) -> (P, B, K).

        y[p, b, k] = sum of weights[j] * x[p, places[j], k] over j from starts[b] to starts[b + 1] - 1 (int64, in order).
        """

    @kernel
    def sample(self, x: Array, places: Array, weights: Array) -> Array:
        """Add up elements of x (N, C, A), A > 0 -> (N, C, B), each image at places of its own.

        y[n, c, b] = sum over j of weights[n, j, b] * x[n, c, places[n, j, b]]; places (int32) below 0 name a 0.
        """

    @kernel
    def sample_input_grad(self, dy: Array, places: Array, weights: Array, size: int) -> Array:
        """Return dx (N, C, size): the adjoint of sample in x."""

    @kernel
    def sample_weight_grad(self, dy: Array, x: Array, places: Array) -> Array:
        """Return dw (N, J, B): the adjoint of sample in the weights."""

    # ---- normalisation and softmax ----

    @kernel
    def batch_norm(
        self, x: Array, w: Array | None, b: Array | None, eps: float, residual: Array | None = None, relu: bool = False
    ) -> tuple[Array, Array, Array]:
        """Normalise x (N, C, ...) over all axes but C -> y as normalise gives it, mean, biased var (C,)."""

    @kernel
    def normalise(
        self, x: Array, w: Array | None, b: Array | None, mean: Array, var: Array, eps: float,
        residual: Array | None = None, relu: bool = False,
    ) -> Array:  # fmt: skip
        """Return (x - mean) / sqrt(var + eps) * w + b, plus `residual`, which is like x (N, C, ...), or the relu of that."""

    @kernel
    def batch_norm_grad(
        self, dy: Array, x: Array, w: Array | None, b: Array | None, mean: Array, var: Array, eps: float, rectified: bool,
    ) -> tuple[Array, Array, Array]:  # fmt: skip
        """Return dx, dw, db of batch_norm, or if `rectified` of its relu, mean and var being functions of x."""

    @kernel
    def local_response_norm(self, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
        """Compute x / (k + alpha * mean) ** beta for x (N, C, ...).

        mean[n, c] averages x ** 2 over channels c - size // 2 ... c + (size - 1) // 2; those that do not exist count as 0.
        """

    @kernel
    def local_response_norm_grad(self, dy: Array, x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
        """Return dx of local_response_norm."""

    @kernel
    def softmax(self, x: Array, dim: int) -> Array:
        """Compute e ** x / sum(e ** x) along an axis."""

    @kernel
    def softmax_grad(self, dy: Array, y: Array, dim: int) -> Array:
        """Compute y * (dy - sum(dy * y))."""

    @kernel
    def log_softmax(self, x: Array, dim: int) -> Array:
        """Compute x - log(sum(e ** x)) along an axis."""

    @kernel
    def log_softmax_grad(self, dy: Array, y: Array, dim: int) -> Array:
        """Compute dy - e ** y * sum(dy)."""

    @kernel
    def cross_entropy(self, x: Array, target: Array, ignore_index: int, reduction: str) -> tuple[Array, Array]:
        """Return the loss -log_softmax(x)[n, target[n]], 0 where ignored, and softmax(x) (N, C); target is int64.

        reduction: "none" for losses (N,), "sum", or "mean" over those not ignored (NaN if there are none).  IndexError for a
        class outside 0 ... C - 1 that is not `ignore_index`.
        """

    @kernel
    def cross_entropy_grad(self, dy: Array, y: Array, target: Array, ignore_index: int, reduction: str) -> Array:
        """Return dx (N, C) = dy * (y - one_hot(target)), 0 where ignored; y is softmax(x), dy as cross_entropy's loss.

        With reduction "mean" it is divided by the number of targets that are not ignored.
        """

    # ---- optimiser steps: all parameters in one call, changed in place ----

    @kernel
    def sgd(
        self, params: Sequence[Array], grads: Sequence[Array], momenta: Sequence[Array | None], started: Sequence[bool],
        lr: float, momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool,
    ) -> None:  # fmt: skip
        """Step: g = (-)grad + weight_decay * p; m = momentum * m + (1 - dampening) * g (first: m = g); p -= lr * m.

        With nesterov p -= lr * (g + momentum * m).  Momenta (None without momentum) are changed too.
        """

    @kernel
    def adam(
        self, params: Sequence[Array], grads: Sequence[Array], means: Sequence[Array], squares: Sequence[Array],
        peaks: Sequence[Array | None], steps: Sequence[int], lr: float, beta1: float, beta2: float, eps: float,
        weight_decay: float, decoupled: bool, maximize: bool,
    ) -> None:  # fmt: skip
        """Step number `steps[i]` of Adam (decoupled: AdamW; peaks: AMSGrad); moments are changed too.

        m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g ** 2;
        p -= lr / (1 - beta1 ** t) * m / (sqrt(v) / sqrt(1 - beta2 ** t) + eps)
        """

    # ---- images ----

    @kernel
    def gather_images(self, images: Array, index: Array, table: Array, windows: Array, size: Shape) -> Array:
        """Make a batch (B, C, *size) from uint8 images (N, H, W, C): y[b, c, i, j] = table[t, c][images[index[n], u, v, c]].

        `windows` (B, 4), int64, holds top, left and two flags: u = top + i, or counted from the last row if the first flag is
        set; v = left + j, or from the last column if the second is.  `table` (T, C, 257) holds the value of each byte (scaling
        and normalisation in one step), and at 256 the value of what lies outside the image.  If there are more windows than
        positions or tables, these start again: n = b % len(index), t = b % T.
        """


def kernel_names() -> list[str]:
    """Return the names of all kernels of the contract."""
    return [name for name, member in vars(Backend).items() if getattr(member, "is_kernel", False)]


def is_contiguous(x: Array) -> bool:
    """Return whether an array is C-contiguous."""
    expected = x.dtype.itemsize
    for size, stride in zip(reversed(x.shape), reversed(x.strides), strict=True):
        if size == 0:
            return True
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True
