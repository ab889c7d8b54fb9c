"""The composed losses: all reductions, weights, broadcast, former arguments, errors."""

import numpy as np
import pytest

from .compare import Const, agree, agree_or_both_reject, check_all, integers, normal, rows


def probabilities(*shape, seed=0):
    return 1 / (1 + np.exp(-normal(*shape, seed=seed)))


DATA = {
    "x": normal(4, 5), "y": normal(4, 5, seed=1), "z": normal(4, 5, seed=2), "w": Const(probabilities(4, 5, seed=3)),
    "p": probabilities(4, 5), "q": probabilities(4, 5, seed=1), "c": Const(probabilities(5)), "v": probabilities(4, 5, seed=5) + 0.1,
    "s": Const(np.sign(normal(4, 5, seed=6))), "s1": Const(np.sign(normal(4, seed=7))), "k": Const(integers(4, 5, low=0, high=7) * 1.0),
    "n": integers(4, low=0, high=5),
    "m": np.array([[3, 0, -1, 1, 4], [2, -1, 0, 0, 0], [-1, 1, 2, 3, 4], [0, 1, 2, 3, 4]]),
}  # fmt: skip

LOSSES = rows("""
    F.smooth_l1_loss(x, y
    F.smooth_l1_loss(x, y, beta=0.3
    F.smooth_l1_loss(x, y, beta=0
    F.huber_loss(x, y
    F.huber_loss(x, y, delta=0.4
    F.huber_loss(x, y, delta=2, weight=w
    F.mse_loss(x, y, weight=w
    F.l1_loss(x, y, weight=w
    F.kl_div(x, p
    F.kl_div(x, y, log_target=True
    F.binary_cross_entropy(p, q
    F.binary_cross_entropy(p, q, w
    F.binary_cross_entropy(p, q, c
    F.binary_cross_entropy_with_logits(x, q
    F.binary_cross_entropy_with_logits(x * 100, q
    F.binary_cross_entropy_with_logits(x, q, w
    F.binary_cross_entropy_with_logits(x, q, pos_weight=c
    F.binary_cross_entropy_with_logits(x, q, c, pos_weight=c * 3
    F.soft_margin_loss(x, s
    F.multilabel_soft_margin_loss(x, p
    F.multilabel_soft_margin_loss(x, p, c
    F.poisson_nll_loss(x, k
    F.poisson_nll_loss(x, k, full=True
    F.poisson_nll_loss(p, k, log_input=False
    F.poisson_nll_loss(p, k, False, True, eps=1e-3
    F.gaussian_nll_loss(x, y, v
    F.gaussian_nll_loss(x, y, v[:, 0]
    F.gaussian_nll_loss(x, y, v[:, :1], full=True
    F.gaussian_nll_loss(x, y, v - 0.1, eps=0.5
    F.gaussian_nll_loss(x, y, 0.3
    F.hinge_embedding_loss(x, s
    F.hinge_embedding_loss(x, s, margin=0.2
    F.hinge_embedding_loss(x, s * 0
    F.cosine_embedding_loss(x, y, s1
    F.cosine_embedding_loss(x, y, s1, margin=-0.5
    F.cosine_embedding_loss(x[0], y[0], s1[0]
    F.margin_ranking_loss(x, y, s
    F.margin_ranking_loss(x, y, s, margin=0.5
    F.triplet_margin_loss(x, y, z
    F.triplet_margin_loss(x, y, z, margin=2, p=1, swap=True
    F.triplet_margin_loss(x, y, z, 5.0, 3.0, 1e-3
    F.triplet_margin_loss(x[0], y[0], z[0]
    F.triplet_margin_with_distance_loss(x, y, z, swap=True
    F.triplet_margin_with_distance_loss(x, y, z, distance_function=lambda a, b: (a - b).abs().sum(-1), margin=3.0
    F.multi_margin_loss(x, n
    F.multi_margin_loss(x, n, p=2, margin=0.7
    F.multi_margin_loss(x, n, weight=c
    F.multi_margin_loss(x[0], n[0]
    F.multilabel_margin_loss(x, m
    F.multilabel_margin_loss(x[0], m[0]
    F.cross_entropy(x, p
    F.cross_entropy(x, p, c, label_smoothing=0.1
    F.nll_loss(x, n, c
""")


@pytest.mark.parametrize("code", LOSSES)
def test_loss(code):
    for reduction in ("mean", "sum", "none"):
        agree(f'{code}, reduction="{reduction}")', **DATA)
    agree(f"{code})", **{k: a.astype(np.float32) if getattr(a, "dtype", None) == np.float64 else
                         Const(a.array.astype(np.float32)) if isinstance(a, Const) else a for k, a in DATA.items()})  # fmt: skip


MORE = rows("""
    F.kl_div(x, p, reduction="batchmean")
    F.kl_div(x, p, size_average=False)
    F.smooth_l1_loss(x, y, reduce=False)
    F.binary_cross_entropy(p, q, None, False)
    F.hinge_embedding_loss(x, s, reduce=True)
    F.pairwise_distance(x, y)
    F.pairwise_distance(x, y, 1, 1e-3, True)
    F.pairwise_distance(x, y[0], p=inf)
    F.pairwise_distance(x, y, p=3.0)
    F.pairwise_distance(x[0], y[0])
    F.cosine_similarity(x, y)
    F.cosine_similarity(x, y, 0)
    F.cosine_similarity(x, y[:1], dim=-1, eps=10.0)
    F.cosine_similarity(x[0], y[0], 0)
    F.normalize(x)
    F.normalize(x, 1, 0)
    F.normalize(x, p=3.0, dim=-1)
    F.normalize(x, p=inf)
    F.normalize(x * 0)
    F.normalize(x[0], dim=0, eps=100.0)
    F.normalize(x, dim=(0, 1))
    F.bilinear(x, y[:, :3], z.reshape(2, 2, 5)[:, :1].expand(2, 5, 5)[:, :, :3])
    F.bilinear(x, y[:, :3], z.expand(2, 4, 5).reshape(8, 5, 1).expand(8, 5, 3), x.reshape(-1)[:8])
    F.bilinear(x.reshape(2, 2, 5), y.reshape(2, 2, 5), z.expand(3, 4, 5)[:, :1].expand(3, 5, 5))
    F.binary_cross_entropy(x, q)
    F.binary_cross_entropy(p, q[0])
    F.binary_cross_entropy(p, n)
    F.binary_cross_entropy_with_logits(x, q[:2])
    F.huber_loss(x, y, delta=0)
    F.huber_loss(x, y, weight=w[0])
    F.smooth_l1_loss(x, y, beta=-1)
    F.mse_loss(x, y, reduction="some")
    F.gaussian_nll_loss(x, y, v[:2])
    F.gaussian_nll_loss(x, y, -v)
    F.gaussian_nll_loss(x, y, v, reduction="some")
    F.multi_margin_loss(x, n, p=3)
    F.multi_margin_loss(x, n[:2])
    F.multi_margin_loss(x, n + 9)
    F.multi_margin_loss(x, n, weight=w)
    F.multilabel_margin_loss(x, n)
    F.multilabel_margin_loss(x, m + 9)
    F.triplet_margin_loss(x, y, z[0])
    F.triplet_margin_loss(x, y, z, margin=0)
    F.margin_ranking_loss(x, y, s[0])
    F.cosine_embedding_loss(x, y, s)
    F.bilinear(x, y, z.reshape(4, 5, 1))
    F.normalize(n)
""")


@pytest.mark.parametrize("code", MORE)
def test_forms_and_errors(code):
    agree_or_both_reject(code, **DATA)


def test_probabilities_at_the_ends():
    x = np.array([0.0, 1.0, 0.0, 1.0, 1e-40, 0.5])
    t = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.25])
    check_all([("F.binary_cross_entropy(x, y, reduction='sum')", {"x": x.astype(np.float32), "y": Const(t.astype(np.float32))}),
               ("F.binary_cross_entropy(x, y, reduction='none')", {"x": x.astype(np.float32), "y": Const(t.astype(np.float32))}),
               ("F.kl_div(x, y)", {"x": x, "y": Const(t)})])  # fmt: skip
