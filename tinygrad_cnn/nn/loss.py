"""Losses as layers: the functions of nn.functional with their options."""

from __future__ import annotations

from collections.abc import Callable

from ..ops import loss, metric
from ..tensor import Tensor
from .layer import Layer
from .linear import PairwiseDistance


class _Criterion(Layer):
    """A loss, whose text shows no options; those that are tensors become buffers."""

    shown = ()

    def __post_init__(self) -> None:
        """Register weights."""
        for name in ("weight", "pos_weight"):
            if name in self.signature.parameters:
                value = getattr(self, name)
                delattr(self, name)
                self.register_buffer(name, value)


class _Loss(_Criterion):
    """A loss with PyTorch's former arguments size_average and reduce, which become a reduction."""

    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"

    def __post_init__(self) -> None:
        """Name the reduction."""
        super().__post_init__()
        self.reduction = loss.named_reduction(self.size_average, self.reduce, self.reduction)
        self.size_average = self.reduce = None


class _WeightedLoss(_Loss):
    weight: Tensor | None = None
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class L1Loss(_Loss, function=loss.l1_loss):
    """|input - target|."""


class MSELoss(_Loss, function=loss.mse_loss):
    """(input - target) ** 2."""


class SmoothL1Loss(_Loss, function=loss.smooth_l1_loss):
    """(input - target) ** 2 / (2 * beta) near 0, |input - target| - beta / 2 elsewhere."""

    beta: float = 1.0


class HuberLoss(_Criterion, function=loss.huber_loss):
    """(input - target) ** 2 / 2 near 0, delta * (|input - target| - delta / 2) elsewhere."""

    reduction: str = "mean"
    delta: float = 1.0


class KLDivLoss(_Loss, function=loss.kl_div):
    """Kullback-Leibler divergence of log-probabilities input; see functional.kl_div."""

    log_target: bool = False


class SoftMarginLoss(_Loss, function=loss.soft_margin_loss):
    """ln(1 + e ** (-target * input))."""


class MultiLabelMarginLoss(_Loss, function=metric.multilabel_margin_loss):
    """Margins between several targets and all other classes; see functional.multilabel_margin_loss."""


class PoissonNLLLoss(_Loss, function=loss.poisson_nll_loss):
    """e ** input - target * input; see functional.poisson_nll_loss."""

    log_input: bool = True
    full: bool = False
    size_average: bool | None = None
    eps: float = 1e-8
    reduce: bool | None = None
    reduction: str = "mean"


class GaussianNLLLoss(_Criterion, function=loss.gaussian_nll_loss):
    """(ln var + (input - target) ** 2 / var) / 2; see functional.gaussian_nll_loss."""

    full: bool = False
    eps: float = 1e-6
    reduction: str = "mean"


class BCELoss(_WeightedLoss, function=loss.binary_cross_entropy):
    """-(target * ln input + (1 - target) * ln(1 - input)); see functional.binary_cross_entropy."""


class BCEWithLogitsLoss(_WeightedLoss, function=loss.binary_cross_entropy_with_logits):
    """BCELoss of sigmoid(input); see functional.binary_cross_entropy_with_logits."""

    pos_weight: Tensor | None = None


class MultiLabelSoftMarginLoss(_WeightedLoss, function=loss.multilabel_soft_margin_loss):
    """BCEWithLogitsLoss averaged over classes; see functional.multilabel_soft_margin_loss."""


class NLLLoss(_WeightedLoss, function=loss.nll_loss):
    """-input[target], for log-probabilities; see functional.nll_loss."""

    weight: Tensor | None = None
    size_average: bool | None = None
    ignore_index: int = -100
    reduce: bool | None = None
    reduction: str = "mean"


class CrossEntropyLoss(_WeightedLoss, function=loss.cross_entropy):
    """-log softmax(input)[target]; see functional.cross_entropy."""

    weight: Tensor | None = None
    size_average: bool | None = None
    ignore_index: int = -100
    reduce: bool | None = None
    reduction: str = "mean"
    label_smoothing: float = 0.0


class HingeEmbeddingLoss(_Loss, function=metric.hinge_embedding_loss):
    """A distance where target is 1, max(0, margin - distance) where it is -1."""

    margin: float = 1.0
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class CosineEmbeddingLoss(_Loss, function=metric.cosine_embedding_loss):
    """1 - cosine where target is 1, max(0, cosine - margin) where it is -1; see functional.cosine_embedding_loss."""

    margin: float = 0.0
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class MarginRankingLoss(_Loss, function=metric.margin_ranking_loss):
    """max(0, -target * (input1 - input2) + margin)."""

    margin: float = 0.0
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class MultiMarginLoss(_WeightedLoss, function=metric.multi_margin_loss):
    """Margins between the target and all other classes; see functional.multi_margin_loss."""

    p: int = 1
    margin: float = 1.0
    weight: Tensor | None = None
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


class TripletMarginLoss(_Loss, function=metric.triplet_margin_loss):
    """max(0, margin + |anchor - positive| - |anchor - negative|); see functional.triplet_margin_loss."""

    margin: float = 1.0
    p: float = 2.0
    eps: float = 1e-6
    swap: bool = False
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"

    def __post_init__(self) -> None:
        """Check the margin."""
        super().__post_init__()
        if self.margin <= 0:
            raise ValueError(f"TripletMarginLoss: margin must be positive, got {self.margin}")


class TripletMarginWithDistanceLoss(_Criterion, function=metric.triplet_margin_with_distance_loss):
    """TripletMarginLoss with a distance of one's own."""

    distance_function: Callable[..., Tensor] | None = None
    margin: float = 1.0
    swap: bool = False
    reduction: str = "mean"

    def __post_init__(self) -> None:
        """Choose the usual distance."""
        self.distance_function = self.distance_function or PairwiseDistance()
