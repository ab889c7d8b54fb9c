"""The rows of THE TABLE for what torch.nn.functional adds: convolution, pooling, activations, losses, norms, resizing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import oracles
import strategies as draw
from hypothesis import strategies as st
from op_cases import OpCase, bad, regression, zeros
from strategies import Call

from tinygrad_cnn.nn import functional as F

REDUCTIONS = st.sampled_from(["none", "mean", "sum"])


def normals(*shapes: tuple[int, ...], values: Callable[..., np.ndarray] = draw.normal, **kwargs: Any) -> Any:
    """Draw arrays of fixed shapes; `kwargs` are strategies or values of keyword arguments."""
    options = {k: v if isinstance(v, st.SearchStrategy) else st.just(v) for k, v in kwargs.items()}
    return st.builds(
        lambda seed, chosen: Call(
            tuple(values(np.random.default_rng([seed, i]), s) for i, s in enumerate(shapes)), chosen
        ),
        draw.seeds,
        st.fixed_dictionaries(options),
    )


# ---- convolution ----


@st.composite
def along(draw_one: Any, axes: int, transposed: bool = False) -> Call:
    """Draw a convolution along some axes."""
    n, groups = draw_one(st.integers(1, 2)), draw_one(st.integers(1, 2))
    kernel, stride, dilation = [tuple(draw_one(st.integers(1, 2)) for _ in range(axes)) for _ in range(3)]
    pads = tuple(draw_one(st.integers(0, k - 1)) for k in kernel)
    size = [d * (k - 1) + draw_one(st.integers(1, 2)) for k, d in zip(kernel, dilation)]
    rng = np.random.default_rng(draw_one(draw.seeds))
    x = rng.standard_normal((n, 2 * groups, *size))
    bias = rng.standard_normal(2 * groups) if draw_one(st.booleans()) else None
    options = {"stride": stride, "padding": pads, "dilation": dilation, "groups": groups}
    if transposed:
        options["output_padding"] = tuple(draw_one(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation))
    return Call((x, rng.standard_normal((2 * groups, 2, *kernel)), bias), options)


def taps(x: np.ndarray, w: np.ndarray, stride: Any, dilation: Any, counts: Any, groups: int) -> Any:
    """Yield for each window and kernel element the positions in input and output, and the matrices of the groups."""
    for at, tap in product(np.ndindex(*counts), np.ndindex(*w.shape[2:])):
        yield at, tuple(i * s + u * d for i, s, u, d in zip(at, stride, tap, dilation)), w[(..., *tap)]


def conv(x: np.ndarray, w: np.ndarray, b: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> np.ndarray:
    """Cross-correlate along any axes, window by window."""
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    counts = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], w.shape[2:], stride, dilation)]
    y = np.zeros((x.shape[0], w.shape[0], *counts))
    for at, place, matrix in taps(x, w, stride, dilation, counts, groups):
        for g, (rows, columns) in enumerate(zip(np.split(matrix, groups), np.split(x[(..., *place)], groups, 1))):
            y[(slice(None), slice(g * len(rows), (g + 1) * len(rows)), *at)] += columns @ rows.T
    return y if b is None else y + b.reshape(-1, *[1] * len(counts))


def conv_transpose(
    x: np.ndarray, w: np.ndarray, b: Any, stride: Any, padding: Any, dilation: Any, groups: int, output_padding: Any
) -> np.ndarray:
    """Spread each input over its window."""
    counts, axes = x.shape[2:], list(zip(x.shape[2:], w.shape[2:], stride, dilation, output_padding))
    y = np.zeros((x.shape[0], w.shape[1] * groups, *[(n - 1) * s + d * (k - 1) + 1 + e for n, k, s, d, e in axes]))
    for at, place, matrix in taps(x, w, stride, dilation, counts, groups):
        parts = [a @ m for a, m in zip(np.split(x[(..., *at)], groups, 1), np.split(matrix, groups))]
        y[(..., *place)] += np.concatenate(parts, 1)
    y = y[(..., *[slice(p, n - p) for p, n in zip(padding, y.shape[2:])])]
    return y if b is None else y + b.reshape(-1, *[1] * len(counts))


# ---- pooling ----


def pooled(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Make an oracle of pooling with kernel_size and stride, along any axes."""

    def oracle(x: np.ndarray, kernel_size: tuple[int, ...], stride: tuple[int, ...]) -> np.ndarray:
        counts = [(n - k) // s + 1 for n, k, s in zip(x.shape[2:], kernel_size, stride)]
        y = np.zeros((*x.shape[:2], *counts))
        for at in np.ndindex(*counts):
            part = x[(..., *[slice(i * s, i * s + k) for i, s, k in zip(at, stride, kernel_size)])]
            y[(..., *at)] = function(part, axis=tuple(range(2, x.ndim)))
        return y

    return oracle


def in_parts(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Make an oracle of adaptive pooling along any axes."""

    def oracle(x: np.ndarray, output_size: tuple[int, ...]) -> np.ndarray:
        y = np.zeros((*x.shape[:2], *output_size))
        for at in np.ndindex(*output_size):
            cut = [slice(i * n // o, -(-(i + 1) * n // o)) for i, n, o in zip(at, x.shape[2:], output_size)]
            y[(..., *at)] = function(x[(..., *cut)], axis=tuple(range(2, x.ndim)))
        return y

    return oracle


def unpool(x: np.ndarray) -> np.ndarray:
    """Keep the maxima of 2 x 2 windows."""
    y = np.zeros_like(x)
    for at in np.ndindex(*x.shape[:2], x.shape[2] // 2, x.shape[3] // 2):
        part = (*at[:2], slice(2 * at[2], 2 * at[2] + 2), slice(2 * at[3], 2 * at[3] + 2))
        y[part] = np.where(x[part] == x[part].max(), x[part], 0)
    return y


VOLUME = (1, 2, 4, 3, 4)
sizes_of = {1: VOLUME[:3], 2: VOLUME[:4], 3: VOLUME}


def places(axes: int) -> Any:
    """Draw arguments of an adaptive pooling."""
    return normals(sizes_of[axes], values=draw.separated, output_size=st.tuples(*[st.integers(1, 3)] * axes))


def windows(axes: int, values: Callable[..., np.ndarray] = draw.separated) -> Any:
    """Draw arguments of a pooling."""
    pairs = st.tuples(*[st.integers(1, 2)] * axes)
    return normals(sizes_of[axes], values=values, kernel_size=pairs, stride=pairs)


# ---- activations ----


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e ** -x)."""
    return 1 / (1 + np.exp(-x))


def softplus(x: np.ndarray) -> np.ndarray:
    """ln(1 + e ** x)."""
    return np.log(1 + np.exp(x))


def erf(x: np.ndarray) -> np.ndarray:
    """Add up the series of the error function."""
    total, term = np.zeros_like(x), x.copy()
    for n in range(60):
        total = total + term / (2 * n + 1)
        term = -term * x * x / (n + 1)
    return total * 2 / np.pi**0.5


SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
ACTIVATIONS: list[tuple[str, Callable[..., Any], Callable[..., Any], bool]] = [  # the last: a second derivative
    ("relu6", lambda x: F.relu6(x * 5), lambda x: np.clip(x * 5, 0, 6), False),
    ("elu", lambda x: F.elu(x, 0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(np.minimum(x, 0))), True),
    ("celu", lambda x: F.celu(x, 2.0), lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0) / 2)), True),
    ("selu", F.selu, lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))), True),
    ("gelu", F.gelu, lambda x: x * (1 + erf(x / 2**0.5)) / 2, True),
    ("gelu_tanh", lambda x: F.gelu(x, approximate="tanh"),
     lambda x: x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))) / 2, True),
    ("silu", F.silu, lambda x: x * sigmoid(x), True),
    ("mish", F.mish, lambda x: x * np.tanh(softplus(x)), True),
    ("softplus", lambda x: F.softplus(x, 2, 3), lambda x: np.where(2 * x > 3, x, softplus(2 * x) / 2), True),
    ("softsign", F.softsign, lambda x: x / (1 + np.abs(x)), True),
    ("softshrink", lambda x: F.softshrink(x, 0.97), lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.97, 0), False),
    ("hardshrink", lambda x: F.hardshrink(x, 0.0), lambda x: x, False),
    ("tanhshrink", F.tanhshrink, lambda x: x - np.tanh(x), True),
    ("threshold", lambda x: F.threshold(x, 0, 3.0), lambda x: np.where(x > 0, x, 3), False),
    ("hardtanh", F.hardtanh, lambda x: np.clip(x, -1, 1), False),
    ("hardsigmoid", F.hardsigmoid, lambda x: np.clip(x / 6 + 0.5, 0, 1), False),
    ("hardswish", F.hardswish, lambda x: x * np.clip(x / 6 + 0.5, 0, 1), True),
    ("logsigmoid", F.logsigmoid, lambda x: -softplus(-x), True),
    ("rrelu", F.rrelu, lambda x: np.where(x > 0, x, x * 11 / 48), False),
]  # fmt: skip


# ---- losses ----


def elements(loss: Callable[..., Any], values: Callable[..., np.ndarray] = draw.separated, targets: Any = None) -> Any:
    """Draw input and target of one shape, and the reduction."""
    second = targets or values

    def build(seed: int, reduction: str) -> Call:
        rng = np.random.default_rng(seed)
        return Call((values(rng, (3, 4)), second(rng, (3, 4))), {"reduction": reduction})

    return st.builds(build, draw.seeds, REDUCTIONS)


def shares(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers between 0.1 and 0.9."""
    return rng.uniform(0.1, 0.9, shape)


def signs(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return -1 and 1, as integers, which have no gradient."""
    return rng.integers(0, 2, shape) * 2 - 1


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Euclidean distances of rows."""
    return np.sqrt(((a - b + 1e-6) ** 2).sum(-1))


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return cosines of rows."""
    return (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))


def margins(x: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return multi-class margins sample by sample."""
    rows = [[max(0, 1 - x[n, t] + x[n, i]) for i in range(x.shape[1]) if i != t] for n, t in enumerate(target)]
    return np.array([sum(row) / x.shape[1] for row in rows])


ELEMENTS: list[tuple[str, Callable[..., Any], Callable[..., Any], Any, Any, bool]] = [
    ("smooth_l1_loss", F.smooth_l1_loss, lambda x, t: np.where(abs(x - t) < 1, (x - t) ** 2 / 2, abs(x - t) - 0.5), draw.normal,
     None, True),
    ("huber_loss", lambda x, t, reduction: F.huber_loss(x, t, reduction, 2.0),
     lambda x, t: np.where(abs(x - t) <= 2, (x - t) ** 2 / 2, 2 * (abs(x - t) - 1)), draw.normal, None, True),
    ("kl_div", F.kl_div, lambda x, t: t * (np.log(t) - x), shares, None, True),
    ("binary_cross_entropy", F.binary_cross_entropy, lambda x, t: -(t * np.log(x) + (1 - t) * np.log(1 - x)), shares, None, True),
    ("binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits, lambda x, t: softplus(x) - t * x, draw.normal, shares,
     True),
    ("soft_margin_loss", F.soft_margin_loss, lambda x, t: softplus(-t * x), draw.normal, signs, True),
    ("poisson_nll_loss", F.poisson_nll_loss, lambda x, t: np.exp(x) - t * x, draw.normal, shares, True),
    ("hinge_embedding_loss", F.hinge_embedding_loss, lambda x, t: np.where(t == 1, x, np.maximum(0, 1 - x)), draw.separated, signs,
     False),
]  # fmt: skip


# ---- resizing ----


def matrix(function: Callable[[float, int], float], before: int, after: int) -> np.ndarray:
    """Return the matrix of resampling: row b holds function(centre of output b in inputs, input a)."""
    centres = (np.arange(after) + 0.5) * before / after - 0.5
    return np.array([[function(centre, a) for a in range(before)] for centre in centres])


def tent(centre: float, a: int) -> float:
    """Weigh the two neighbours of a centre."""
    return max(0.0, 1 - abs(max(centre, 0) - a))


def resized(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resample rows and columns linearly; the edge repeats beyond the last pixel."""
    rows, columns = [matrix(tent, before, after) for before, after in zip(x.shape[2:], size)]
    rows, columns = [m / m.sum(1, keepdims=True) for m in (rows, columns)]
    return np.einsum("bh,nchw,dw->ncbd", rows, x, columns)


def nearest(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pick the pixel above and left."""
    rows, columns = [np.arange(after) * before // after for before, after in zip(x.shape[2:], size)]
    return x[:, :, rows][..., columns]


def read(x: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Read images at a grid, bilinearly, zeros outside."""
    y = np.zeros((*x.shape[:2], *grid.shape[1:3]))
    for n, i, j in np.ndindex(grid.shape[:3]):
        column, row = [(g + 1) * size / 2 - 0.5 for g, size in zip(grid[n, i, j], x.shape[:1:-1])]
        for r, c in product(range(x.shape[2]), range(x.shape[3])):
            y[n, :, i, j] += x[n, :, r, c] * max(0, 1 - abs(row - r)) * max(0, 1 - abs(column - c))
    return y


def normalised(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Take mean 0 and variance 1 over axes."""
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)


SIZES = st.tuples(st.integers(1, 6), st.integers(1, 6))
IMAGES = (2, 2, 3, 4)

ROWS = [
    *[OpCase(f"conv{axes}d", getattr(F, f"conv{axes}d"), along(axes), conv,
             [bad(RuntimeError, (f"conv{axes}d", "larger"), zeros(*VOLUME[: axes + 2]), zeros(1, 2, *[9] * axes)),
              bad(RuntimeError, (f"conv{axes}d", "channels"), zeros(*VOLUME[: axes + 2]), zeros(1, 3, *[1] * axes))])
      for axes in (1, 3)],
    *[OpCase(f"conv_transpose{axes}d", getattr(F, f"conv_transpose{axes}d"), along(axes, True), conv_transpose,
             [bad(RuntimeError, ("output_padding", "smaller"), zeros(*VOLUME[: axes + 2]), zeros(2, 1, *[2] * axes), output_padding=1),
              bad(TypeError, "numbers", zeros(*VOLUME[: axes + 2]), zeros(2, 1, *[2] * axes), padding="same")]) for axes in (1, 2, 3)],
    *[OpCase(f"max_pool{axes}d", getattr(F, f"max_pool{axes}d"), windows(axes), pooled(np.max), second=False) for axes in (1, 3)],
    *[OpCase(f"avg_pool{axes}d", getattr(F, f"avg_pool{axes}d"), windows(axes), pooled(np.mean), second=False) for axes in (1, 3)],
    *[OpCase(f"lp_pool{axes}d", partial(getattr(F, f"lp_pool{axes}d"), norm_type=2), windows(axes, draw.positive),
             pooled(lambda part, axis: np.sqrt((part**2).sum(axis)))) for axes in (1, 2, 3)],
    *[OpCase(f"adaptive_avg_pool{axes}d", getattr(F, f"adaptive_avg_pool{axes}d"), places(axes), in_parts(np.mean), second=False)
      for axes in (1, 3)],
    *[OpCase(f"adaptive_max_pool{axes}d", getattr(F, f"adaptive_max_pool{axes}d"), places(axes), in_parts(np.max), second=False)
      for axes in (1, 2, 3)],
    OpCase("max_unpool2d", lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2, output_size=x.shape),
           normals((2, 2, 4, 6), values=draw.separated), unpool, second=False),
    *[OpCase(name, function, draw.one(), oracle, second=second) for name, function, oracle, second in ACTIVATIONS],
    OpCase("prelu", F.prelu, normals((2, 3, 2), (3,), values=draw.separated),
           lambda x, w: np.where(x > 0, x, x * w.reshape(-1, 1))),
    OpCase("glu", F.glu, normals((2, 3, 4)), lambda x: x[..., :2] * sigmoid(x[..., 2:]), [bad(RuntimeError, "even", zeros(3))]),
    OpCase("softmin", lambda x: F.softmin(x, 1), normals((2, 3, 2)), lambda x: np.exp(oracles.log_softmax(-x, 1))),
    *[OpCase(name, function, elements(oracle, values, targets), regression(oracle),
             [bad(ValueError, "reduction", np.full(3, 0.5), np.full(3, 0.5), reduction="some")], second=second)
      for name, function, oracle, values, targets, second in ELEMENTS],
    OpCase("gaussian_nll_loss", F.gaussian_nll_loss, normals((2, 3), (2, 3), (2, 3), values=draw.positive),
           lambda x, t, v: ((np.log(v) + (x - t) ** 2 / v) / 2).mean(), [bad(ValueError, "negative", zeros(2), zeros(2), -np.ones(2))]),
    OpCase("multilabel_soft_margin_loss", F.multilabel_soft_margin_loss, normals((2, 3), (2, 3), values=shares),
           lambda x, t: (softplus(x) - t * x).mean()),
    OpCase("margin_ranking_loss", lambda x, y: F.margin_ranking_loss(x, y, (x > 0).to(x.dtype) * 2 - 1, 0.1), draw.two_separated()
           .filter(lambda call: call.args[0].shape == call.args[1].shape),
           lambda x, y: np.maximum(0, -np.where(x > 0, 1, -1) * (x - y) + 0.1).mean(), second=False),
    OpCase("triplet_margin_loss", lambda a, p, n, margin=5.0: F.triplet_margin_loss(a, p, n, margin), normals((3, 4), (3, 4), (3, 4)),
           lambda a, p, n: np.maximum(0, 5 + distance(a, p) - distance(a, n)).mean(),
           [bad(ValueError, "margin", zeros(2, 3), zeros(2, 3), zeros(2, 3), margin=0)]),
    OpCase("cosine_embedding_loss", lambda a, b: F.cosine_embedding_loss(a, b, a[:, 0].detach().sign(), -0.99), normals((3, 4), (3, 4)),
           lambda a, b: np.where(a[:, 0] > 0, 1 - cosine(a, b), np.maximum(0, cosine(a, b) + 0.99)).mean()),
    OpCase("multi_margin_loss", F.multi_margin_loss, draw.classified(logits=True).filter(lambda c: c.args[0].ndim == 2).map(
        lambda c: Call((c.args[0] * 9, np.maximum(c.args[1], 0)))), lambda x, t: margins(x, t).mean(), second=False),
    OpCase("multilabel_margin_loss", lambda x: F.multilabel_margin_loss(x, x.detach().argmin(1, True).expand(-1, 3) * 0 + 1),
           normals((2, 3), values=draw.separated), lambda x: sum(
               max(0, 1 - row[1] + row[i]) for row in x for i in (0, 2) for _ in range(3)) / 3 / len(x), second=False),
    OpCase("pairwise_distance", F.pairwise_distance, normals((3, 4), (3, 4)), distance),
    OpCase("cosine_similarity", F.cosine_similarity, normals((3, 4), (3, 4)), cosine),
    OpCase("normalize", F.normalize, normals((3, 4)), lambda x: x / np.sqrt((x * x).sum(1, keepdims=True))),
    OpCase("bilinear", F.bilinear, normals((2, 3), (2, 4), (5, 3, 4), (5,)),
           lambda a, b, w, bias: np.einsum("ni,kij,nj->nk", a, w, b) + bias,
           [bad(RuntimeError, "fit", zeros(2, 3), zeros(2, 4), zeros(5, 4, 3))]),
    OpCase("layer_norm", lambda x, w, b: F.layer_norm(x, (3, 4), w, b), normals(IMAGES, IMAGES[2:], IMAGES[2:]),
           lambda x, w, b: normalised(x, (2, 3)) * w + b),
    OpCase("rms_norm", lambda x, w: F.rms_norm(x, (4,), w, 0.1), normals(IMAGES, (4,)),
           lambda x, w: x / np.sqrt((x * x).mean(-1, keepdims=True) + 0.1) * w),
    OpCase("group_norm", lambda x, w=None, b=None: F.group_norm(x, 2, w, b), normals((2, 4, 3), (4,), (4,)),
           lambda x, w, b: normalised(x.reshape(2, 2, 2, 3), (2, 3)).reshape(2, 4, 3) * w[:, None] + b[:, None],
           [bad(RuntimeError, "divisible", zeros(2, 3))]),
    OpCase("instance_norm", lambda x, w: F.instance_norm(x, weight=w), normals(IMAGES, (2,)),
           lambda x, w: normalised(x, (2, 3)) * w.reshape(-1, 1, 1)),
    OpCase("local_response_norm_sum", lambda x, alpha_mode="sum": F.local_response_norm(x, 3, 0.2, alpha_mode=alpha_mode), normals(IMAGES),
           lambda x: oracles.local_response_norm(x, 3, 0.6, 0.75, 1.0), [bad(ValueError, "alpha_mode", zeros(1, 1, 1), alpha_mode="all")]),
    OpCase("interpolate_bilinear", lambda x, size=None: F.interpolate(x, size, mode="bilinear"), normals(IMAGES, size=SIZES), resized,
           [bad(ValueError, "exactly one", zeros(*IMAGES)), bad(RuntimeError, "positive", zeros(*IMAGES), size=0)], second=False),
    OpCase("interpolate_nearest", F.interpolate, normals(IMAGES, size=SIZES), nearest, second=False),
    OpCase("grid_sample", lambda x, g: F.grid_sample(x, g, align_corners=False), normals(IMAGES, (2, 2, 3, 2)), read,
           [bad(RuntimeError, "fit", zeros(*IMAGES), zeros(1, 2, 3, 2))], second=False),
    OpCase("affine_grid", lambda theta: F.affine_grid(theta, (2, 1, 1, 1)), normals((2, 2, 3)),
           lambda theta: theta[:, None, None, :, 2], second=False),
    OpCase("pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), normals((1, 8, 2, 3)),
           lambda x: x.reshape(1, 2, 2, 2, 2, 3).transpose(0, 1, 4, 2, 5, 3).reshape(1, 2, 4, 6),
           [bad(RuntimeError, "multiple", zeros(1, 3, 2, 2))], second=False),
    OpCase("pixel_unshuffle", lambda x: F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2), normals((1, 8, 2, 3)), lambda x: x, second=False),
    OpCase("channel_shuffle", lambda x: F.channel_shuffle(x, 2), normals((2, 6, 2)), lambda x: x[:, [0, 3, 1, 4, 2, 5]], second=False),
    OpCase("one_hot", lambda x: F.one_hot(x.argmax(1), 5), normals((3, 4)), lambda x: np.eye(5, dtype=int)[x.argmax(1)],
           differentiable=False),
    OpCase("embedding", lambda w, index: F.embedding(index, w), normals((5, 3)).map(lambda c: Call((*c.args, np.array([[0, 4], [4, 2]])))),
           lambda w, index: w[index], [bad(IndexError, ("embedding", "5"), zeros(5, 3), np.array([5]))], second=False),
]  # fmt: skip
