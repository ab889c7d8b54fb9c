"""All layers against PyTorch's with the same weights: text, state, parameters, outputs, gradients, initial values."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="parity needs torch 2.13.0")
pytestmark = pytest.mark.parity

import tinygrad_cnn as tg  # noqa: E402

from .compare import Const, agree_or_both_reject, failure, same_in_both  # noqa: E402
from .compare import rows as table  # noqa: E402
from .twins import arrays, both, close, copy_weights, quietly  # noqa: E402

SHAPES = {"a": (3, 4, 9), "b": (3, 4, 6, 8), "c": (2, 4, 5, 4, 6), "r": (5, 4)}

# The input is a letter of SHAPES, "a[0]" without its batch axis.
LAYERS = table("""
    b ReLU6()
    b RReLU(0.3, 0.3)
    b PReLU()
    b PReLU(4, 0.4)
    b ELU(0.5, inplace=True)
    b CELU(0.5)
    b SELU(True)
    b GELU()
    b GELU("tanh")
    b SiLU(inplace=True)
    b Mish()
    b Hardtanh(-0.5, 0.7, True)
    b Hardsigmoid()
    b Hardswish()
    b Threshold(0.1, 20)
    b Threshold(0.1, 20, True)
    b Softplus(2, 5)
    b Softshrink()
    b Hardshrink(0.3)
    b LogSigmoid()
    b Tanhshrink()
    b Softsign()
    b GLU()
    b GLU(1)
    b Softmin(1)
    b Softmax2d()
    b[0] Softmax2d()
    a Dropout1d(0.0)
    b Dropout3d(1.0)
    b AlphaDropout(0.0)
    b FeatureAlphaDropout(0.0, True)
    a MaxPool1d(2)
    a MaxPool1d(3, 2, 1, 2, ceil_mode=True)
    c MaxPool3d((1, 2, 3), 2)
    c[0] MaxPool3d(2)
    a AvgPool1d(2)
    a AvgPool1d(3, 1, 1, count_include_pad=False)
    c AvgPool3d(3, 2, 1, True, False, 4)
    a LPPool1d(2, 3)
    b LPPool2d(1, (3, 2), stride=2, ceil_mode=True)
    c LPPool3d(1, 2)
    a AdaptiveAvgPool1d(4)
    c AdaptiveAvgPool3d((1, 2, None))
    a AdaptiveMaxPool1d(2)
    b AdaptiveMaxPool2d((2, None))
    c[0] AdaptiveMaxPool3d(2)
    a Conv1d(4, 6, 3)
    a[0] Conv1d(4, 6, 3, 2, 1, 2, 2, False)
    a Conv1d(4, 2, 4, padding="same", padding_mode="circular")
    a Conv1d(4, 2, 3, padding=2, padding_mode="reflect")
    c Conv3d(4, 6, 3)
    c[0] Conv3d(4, 4, (1, 2, 3), (1, 2, 1), (0, 1, 1), groups=2)
    c Conv3d(4, 2, 3, padding="same", padding_mode="replicate", bias=False)
    c Conv3d(4, 2, (2, 1, 3), padding=(1, 0, 1), padding_mode="circular")
    a ConvTranspose1d(4, 6, 3)
    b ConvTranspose2d(4, 6, 3, 2, 1, 1, 2, False, 2)
    b[0] ConvTranspose2d(4, 2, (2, 3), (1, 2))
    c ConvTranspose3d(4, 2, 2, stride=(1, 2, 2), output_padding=(0, 1, 1))
    c BatchNorm3d(4)
    a InstanceNorm1d(4)
    a[0] InstanceNorm1d(4, affine=True)
    b InstanceNorm2d(4, affine=True, track_running_stats=True)
    b InstanceNorm2d(4, 1e-3, None, True, True, bias=False)
    c InstanceNorm3d(4, track_running_stats=True)
    b GroupNorm(2, 4)
    b GroupNorm(1, 4, affine=False)
    b GroupNorm(2, 4, bias=False)
    b LayerNorm(8)
    b LayerNorm((6, 8), 1e-3, False)
    b LayerNorm([8], bias=False)
    b RMSNorm(8)
    b RMSNorm((6, 8), 1e-3, False)
    b LocalResponseNorm(3, k=2)
    b Upsample(4)
    b Upsample((3, 4), mode="bilinear")
    b Upsample(scale_factor=2)
    b Upsample(scale_factor=(2, 1.5), mode="bicubic", align_corners=True)
    b UpsamplingNearest2d(scale_factor=2)
    b UpsamplingBilinear2d(5)
    b PixelShuffle(2)
    b PixelUnshuffle(2)
    b ChannelShuffle(2)
    a ReflectionPad1d(2)
    b ReflectionPad2d((1, 2, 3, 4))
    c[0] ReflectionPad3d(1)
    a ReplicationPad1d((1, 2))
    b ReplicationPad2d(2)
    c ReplicationPad3d((1, 0, 2, 0, 1, 1))
    a CircularPad1d(1)
    b CircularPad2d((1, 2, 0, 1))
    c CircularPad3d(1)
    a ZeroPad1d(1)
    b ZeroPad2d((1, -2, 0, 1))
    c ZeroPad3d(1)
    a ConstantPad1d(1, 3.5)
    b ConstantPad2d((1, 2, 3, 4), 0)
    c ConstantPad3d(2, -1)
    b Flatten(1, 2)
""")


def given(name):
    shape = SHAPES[name[0]]
    x = np.random.default_rng(len(shape)).standard_normal(shape)
    return x[0] if "[0]" in name else x


def make_in(t, code):
    return eval(code, {**vars(t.nn), "t": t})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", LAYERS)
def test_layer(row, dtype):
    name, code = row.split(" ", 1)
    x = given(name).astype(dtype)
    x = np.abs(x) if "LPPool" in code else x
    ours, theirs = both(lambda t: make_in(t, code), dtype)
    assert repr(ours) == repr(theirs)
    tolerance = (2e-5, 5e-6) if dtype == "float32" or "Hardsigmoid" in code else (1e-9, 1e-11)
    for mode in (True, False):
        results = []
        for t, module in ((tg, ours), (torch, theirs)):
            module.train(mode)
            module.zero_grad()
            leaf = t.tensor(x).requires_grad_()
            y = quietly(module, leaf * 1)
            dy = t.tensor(np.random.default_rng(1).standard_normal(tuple(y.shape)).astype(dtype))
            y.backward(dy)
            found = {k: p.grad for k, p in module.named_parameters()}
            results.append({"y": y, "dx": leaf.grad, **{f"d {k}": g for k, g in found.items()}, **module.state_dict()})
        close(*map(arrays, results), *tolerance)


LOSSES = table("""
    SmoothL1Loss(beta=0.5)(x, y)
    HuberLoss("sum", 0.5)(x, y)
    KLDivLoss(reduction="batchmean")(x, p)
    KLDivLoss(log_target=True)(x, y)
    SoftMarginLoss()(x, s)
    MultiLabelMarginLoss()(x, m)
    PoissonNLLLoss(False, True, eps=1e-3)(p, p)
    GaussianNLLLoss(full=True)(x, y, p)
    BCELoss(p[0])(p, q)
    BCEWithLogitsLoss(p[0], pos_weight=q[0], reduction="none")(x, q)
    MultiLabelSoftMarginLoss(p[0])(x, q)
    HingeEmbeddingLoss(0.5)(x, s)
    CosineEmbeddingLoss(0.1)(x, y, s[:, 0])
    MarginRankingLoss(0.2, reduction="sum")(x, y, s)
    MultiMarginLoss(2, 0.5, p[0])(x, n)
    TripletMarginLoss(2.0, 1, swap=True)(x, y, z)
    TripletMarginWithDistanceLoss(margin=2.0)(x, y, z)
    CrossEntropyLoss(p[0], label_smoothing=0.1)(x, n)
    NLLLoss(p[0], ignore_index=2)(x, n)
    CosineSimilarity(0)(x, y)
    PairwiseDistance(1, keepdim=True)(x, y)
    MSELoss(size_average=False)(x, y)
    L1Loss(reduce=False)(x, y)
    AlphaDropout(2)
    BCELoss(reduction="some")(p, q)
    GroupNorm(3, 4)
    ConvTranspose2d(1, 1, 3, padding_mode="reflect")
    ConvTranspose2d(1, 1, 2, 2)(x[None], output_size=(9, 9))
    Conv1d(3, 4, 3, groups=2)
    MaxPool1d()
    MaxPool1d(2, some=3)
    Softmax2d()(x)
    BatchNorm3d(4)(x)
    InstanceNorm1d(4)(x[0])
    InstanceNorm1d(3, affine=True)(x[None])
    ReflectionPad1d(9)(x)
    Embedding(4, 3)(n + 9)
    LocalResponseNorm(3)(x)
""")


@pytest.mark.parametrize("code", LOSSES)
def test_losses_and_errors(code):
    layer = code.split("(", 1)[0]
    rng = np.random.default_rng(0)
    given = {name: rng.standard_normal((4, 5)) for name in "xyz"} | {
        name: rng.uniform(0.1, 0.9, (4, 5)) for name in "pq"
    }
    given |= {
        "s": np.sign(rng.standard_normal((4, 5))),
        "n": np.array([0, 2, 1, 4]),
        "m": np.array([[1, 2, -1, 0, 0]] * 4),
    }
    constants = {name: Const(given[name]) for name in "pqs"}
    agree_or_both_reject(code.replace(layer, f"t.nn.{layer}", 1), **{**given, **constants})


def test_parameters_and_buffers_of_losses():
    for code in (
        "BCELoss(t.ones(3))",
        "BCEWithLogitsLoss(pos_weight=t.ones(2))",
        "MultiMarginLoss()",
        "CrossEntropyLoss(t.ones(3))",
    ):
        ours, theirs = make_in(tg, code), make_in(torch, code)
        assert repr(ours) == repr(theirs)
        assert list(ours.state_dict()) == list(theirs.state_dict())


@pytest.mark.parametrize("size", [(11, 12), (12, 13), (2, 3, 12, 14), (13, 13), (11,)])
@same_in_both
def test_output_size_of_a_transposed_convolution(t, size):
    layer = t.nn.ConvTranspose2d(4, 3, 3, 2, 1)
    error = failure(layer, t.zeros(2, 4, 6, 7), size)
    return type(error).__name__ if error else tuple(layer(t.zeros(2, 4, 6, 7), output_size=size).shape)


@same_in_both
def test_unpooling(t):
    x = t.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 7, 8)))
    pool, unpool = t.nn.MaxPool2d(2, return_indices=True), t.nn.MaxUnpool2d(2)
    return repr(unpool), unpool(*pool(x)), unpool(*pool(x), output_size=(7, 8)), unpool(*pool(x), output_size=x.shape)


# ---- initial values ----


@pytest.mark.parametrize(
    "code",
    [
        "Conv1d(30, 40, 9)", "Conv3d(8, 16, 5)", "ConvTranspose1d(30, 40, 9)", "ConvTranspose2d(20, 30, 5, groups=2)",
        "ConvTranspose3d(8, 16, 5)", "Bilinear(20, 30, 40)", "Embedding(300, 40)", "Linear(300, 40)",
    ],
)  # fmt: skip
def test_initial_values(code):
    torch.manual_seed(0)
    tg.manual_seed(0)
    ours, theirs = make_in(tg, code), make_in(torch, code)
    for (name, a), (other, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert (name, tuple(a.shape)) == (other, tuple(b.shape))
        a, b = [np.sort(x.detach().numpy().reshape(-1)) for x in (a, b)]
        if len(a) < 1000:
            assert 0.7 < np.abs(a).max() / np.abs(b).max() < 1.4, name
        else:
            at = np.linspace(0, len(a) - 1, 9).astype(int)[1:-1]
            assert np.abs(a[at] - b[at]).max() < 0.1 * b.std(), name


# ---- lazy layers ----

LAZY = table("""
    r LazyLinear(3)
    a LazyConv1d(6, 3, groups=2)
    b[0] LazyConv2d(6, 3, padding=1, padding_mode="reflect")
    c LazyConv3d(2, 2, bias=False)
    a LazyConvTranspose1d(6, 3)
    b LazyConvTranspose2d(6, 3, stride=2, groups=2)
    c[0] LazyConvTranspose3d(2, 2)
    a LazyBatchNorm1d()
    b LazyBatchNorm2d(affine=False)
    c LazyBatchNorm3d(momentum=None)
    a LazyInstanceNorm1d()
    b LazyInstanceNorm2d(track_running_stats=False)
    c LazyInstanceNorm3d()
""")


@pytest.mark.parametrize("row", LAZY)
def test_lazy_layer(row):
    name, code = row.split(" ", 1)
    x = given(name).astype(np.float32)
    ours, theirs = [t.nn.Sequential(quietly(make_in, t, code)) for t in (tg, torch)]
    assert repr(ours) == repr(theirs)
    kept = list(ours.parameters())
    assert all(isinstance(p, tg.nn.UninitializedParameter) for p in kept)
    quietly(ours, tg.tensor(x)), quietly(theirs, torch.tensor(x))
    assert repr(ours) == repr(theirs)
    assert type(ours[0]).__name__ == type(theirs[0]).__name__
    assert all(a is b and type(a) is tg.nn.Parameter for a, b in zip(kept, ours.parameters(), strict=True))
    copy_weights(ours, theirs)
    close(ours(tg.tensor(x)), theirs(torch.tensor(x)), 2e-5, 1e-5)
    again = tg.nn.Sequential(make_in(tg, code))
    again.load_state_dict(ours.state_dict())
    close(again.eval()(tg.tensor(x)), ours.eval()(tg.tensor(x)), 0, 0)


def test_names_of_torch_nn():
    """What torch.nn has and we do not is known."""
    left_out = {
        "AdaptiveLogSoftmaxWithLoss", "Buffer", "CTCLoss", "Container", "CrossMapLRN2d", "DataParallel", "EmbeddingBag",
        "FractionalMaxPool2d", "FractionalMaxPool3d", "GRU", "GRUCell", "LSTM", "LSTMCell", "LinearCrossEntropyLoss",
        "LinearCrossEntropyOptions", "MultiheadAttention", "NLLLoss2d", "ParameterDict", "ParameterList", "RNN", "RNNBase",
        "RNNCell", "RNNCellBase", "SyncBatchNorm", "Transformer", "TransformerDecoder", "TransformerDecoderLayer",
        "TransformerEncoder", "TransformerEncoderLayer", "UninitializedBuffer",
    }  # fmt: skip
    theirs = {name for name in vars(torch.nn) if name[0].isupper()}
    assert theirs - set(vars(tg.nn)) <= left_out
