"""What programs meet around the operations: classes of layers, NumPy's arrays as operands, graphs, versions, compile()."""

from __future__ import annotations

import operator
from importlib import import_module

import numpy as np
import pytest

import tinygrad_cnn as tg

from .compare import same_in_both, torch

LAZY = {f"Lazy{kind}Norm{n}d" for kind in ("Batch", "Instance") for n in (1, 2, 3)}  # here they are what they become


def described(x):
    """Return the dtype and the values of a tensor."""
    return str(x.dtype), x.tolist()


def test_layers_have_the_same_bases():
    both = [n for n in dir(torch.nn) if isinstance(getattr(torch.nn, n), type) and hasattr(tg.nn, n) and n not in LAZY]
    for name in both:
        found, expected = [
            [base for base in both if issubclass(getattr(t.nn, name), getattr(t.nn, base))] for t in (tg, torch)
        ]
        assert found == expected, name


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("batchnorm", ["_BatchNorm", "_NormBase", "BatchNorm2d"]), ("instancenorm", ["_InstanceNorm"]),
        ("conv", ["_ConvNd", "_ConvTransposeNd", "Conv2d"]), ("dropout", ["_DropoutNd"]), ("linear", ["Linear"]),
        ("pooling", ["_MaxPoolNd", "_AvgPoolNd", "_AdaptiveAvgPoolNd"]), ("loss", ["_Loss", "_WeightedLoss"]),
        ("container", ["Sequential"]), ("module", ["Module"]), ("padding", ["ZeroPad2d"]), ("flatten", ["Flatten"]),
        ("activation", ["ReLU"]), ("normalization", ["GroupNorm"]), ("upsampling", ["Upsample"]),
        ("pixelshuffle", ["PixelShuffle"]), ("sparse", ["Embedding"]), ("distance", ["CosineSimilarity"]),
        ("fold", ["Fold"]), ("lazy", ["LazyLinear"][:0]), ("utils", ["_pair"]), ("channelshuffle", ["ChannelShuffle"]),
    ],
)  # fmt: skip
def test_files_of_layers(place, names):
    ours, theirs = [import_module(f"{t}.nn.modules.{place}") for t in ("tinygrad_cnn", "torch")]
    for name in names:
        assert hasattr(ours, name)
        assert hasattr(theirs, name)
    assert getattr(tg.nn.modules, place) is ours


@same_in_both
def test_losses_of_ones_own(t):
    from importlib import import_module

    base = import_module(f"{t.__name__}.nn.modules.loss")._WeightedLoss

    class Smooth(base):
        def __init__(self, weight=None, reduction="mean", smoothing=0.1):
            super().__init__(weight=weight, reduction=reduction)
            self.smoothing = smoothing

        def forward(self, x, y):
            return t.nn.functional.cross_entropy(x, y, self.weight, label_smoothing=self.smoothing)

    loss = Smooth(t.tensor([1.0, 2.0]))
    return loss(t.tensor([[1.0, 0.0]]), t.tensor([1])), repr(loss), loss.reduction, list(loss.state_dict())


ARRAYS = {
    "float64": np.array([2.0, 3.0, 4.0]), "float32": np.array([1, 2, 3], np.float32), "int64": np.array([2, 3, 4]),
    "scalar": np.array(2.0), "bool": np.array([True, True, False]),
}  # fmt: skip
OPERATORS = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.floordiv, operator.mod,
    operator.matmul, operator.and_, operator.or_, operator.lshift, operator.rshift, operator.lt,
]  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)
@pytest.mark.filterwarnings("ignore:__array_wrap__|divide by zero|invalid value")
def test_arrays_as_operands(op, array):
    for values in ([1.0, 2.0, 3.0], [1, 2, 3]):
        for pair in (lambda t: (t, ARRAYS[array]), lambda t: (ARRAYS[array], t)):
            results = []
            for t in (tg, torch):
                try:
                    y = op(*pair(t.tensor(values)))
                    results.append((isinstance(y, t.Tensor), str(y.dtype), np.asarray(y).tolist()))
                except (TypeError, ValueError) as error:
                    results.append((type(error), None, None))
            assert results[0][:2] == results[1][:2]
            if results[0][1] is not None:
                np.testing.assert_allclose(results[0][2], results[1][2], rtol=1e-6)


@same_in_both
def test_next_functions_show_constants(t):
    a, b = t.ones(2, requires_grad=True), t.ones(2)
    image, conv = t.ones(1, 1, 4, 4), t.nn.Conv2d(1, 1, 3)

    class Scaled(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, factor, y):
            return x * factor + y

        @staticmethod
        def backward(ctx, dy):
            return dy, None, dy

    results = [
        Scaled.apply(a, 2, b),
        Scaled.apply(b, 2, a),
        a * b,
        b * a,
        a * 2,
        b - a,
        a.sum(),
        a**2,
        a[0],
        conv(image),
        conv(image).relu(),
    ]
    return [[node and node.name() for node, _ in y.grad_fn.next_functions] for y in results]


@same_in_both
def test_versions_are_numbers(t):
    x = t.zeros(3)
    seen = [x._version, x.add_(1)._version]
    x[0] = 2
    view = x[1:]
    view.mul_(2)
    return [*seen, x._version, view._version, x.detach()._version, x.data._version]


@same_in_both
def test_softmax_asks_for_an_axis(t):
    x = t.arange(24.0).reshape(2, 3, 4)
    results = []
    for function in (t.softmax, t.log_softmax, t.Tensor.softmax):
        with pytest.raises(TypeError):
            function(x)
        results.append(function(x, 1, t.float64))
    functional = t.nn.functional
    for chosen in (functional.softmax, functional.log_softmax, functional.softmin, t.nn.Softmax(), t.nn.LogSoftmax()):
        for y in (x, x[0], x[0, 0], x[0, 0, 0]):
            with pytest.warns(UserWarning, match="softm"):
                results.append(chosen(y))
    return [described(y) for y in results]


@same_in_both
def test_limits_of_dtypes(t):
    kinds = t.float32, t.float64, t.int8, t.uint8, t.int64
    infos = [t.finfo(d) if d.is_floating_point else t.iinfo(d) for d in kinds]
    for wrong in (lambda: t.iinfo(t.float32), lambda: t.finfo(t.int32), lambda: t.iinfo(t.bool)):
        with pytest.raises(TypeError):
            wrong()
    return [repr(info) for info in infos], t.finfo() == t.finfo(t.float32), t.finfo() == t.finfo(t.float64)


NAMES = ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Adadelta", "ASGD", "Rprop", "LBFGS"]


@pytest.mark.parametrize("name", NAMES)
@same_in_both
def test_order_of_hyperparameters(t, name):
    group = {"params": [t.zeros(2, requires_grad=True)], "lr": 0.5}
    optimizer = getattr(t.optim, name)([group])
    group["lr"] = 0.25  # the dictionary is the group
    return list(optimizer.defaults.items()), list(optimizer.param_groups[0]), optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize("name", ["eq_", "ne_", "lt_", "ge_"])
@same_in_both
def test_gradients_of_comparisons_in_place_are_zero(t, name):
    x, w = t.tensor([1.0, 2.0], requires_grad=True), t.tensor([2.0, 2.0], requires_grad=True)
    for y in (x * 1, t.ones(2)):
        getattr(y, name)(w).sum().backward()
    return described(x.grad), described(w.grad)


def calls_with_out(t):
    a, b, c = t.arange(6.0).reshape(2, 3), t.arange(6.0).reshape(3, 2), t.tensor([[1, 0, 2]])
    return {
        "matmul": (a, b), "mm": (a, b), "bmm": (a[None], b[None]), "gather": (a, 1, c), "index_select": (a, 1, c[0]),
        "nonzero": (a,), "where": (a > 2, a, -a), "masked_select": (a, a > 2), "topk": (a, 2), "sort": (a,),
        "quantile": (a, 0.5), "bitwise_not": (c,), "max": (a, 1), "cummax": (a, 0), "kthvalue": (a, 2),
    }  # fmt: skip


@pytest.mark.parametrize("name", calls_with_out(tg))
@same_in_both
def test_out(t, name):
    function, arguments = getattr(t, name), calls_with_out(t)[name]
    expected = function(*arguments)
    several = isinstance(expected, tuple)
    out = tuple(t.empty_like(y) for y in expected) if several else t.empty_like(expected)
    result = function(*arguments, out=out)
    pairs = [*zip(result, out)] if several else [(result, out)]
    return several, [(one is other, described(one)) for one, other in pairs]


@same_in_both
def test_compile_changes_nothing(t):
    options = {} if t is tg else {"backend": "eager"}
    net = t.nn.Linear(2, 3)
    compiled = t.compile(net, **options)

    @t.compile(**options)
    def double(x):
        return x * 2

    assert (compiled(t.ones(1, 2)) == net(t.ones(1, 2))).all()
    compiled.eval()
    return (
        list(compiled.state_dict()), repr(compiled), compiled.in_features, compiled._orig_mod is net, net.training,
        described(double(t.ones(2))), net.compile(**options), list(net.state_dict()),
    )  # fmt: skip


@same_in_both
def test_small_things(t):
    tall, dot = t.zeros(7, 3).fill_diagonal_(5, wrap=True), t.linalg.multi_dot([t.ones(2), t.ones(2, 3), t.ones(3)])
    errors = []
    for wrong in (
        lambda: t.ones(1, 2).gather(1, t.tensor([[2]])),
        lambda: t.ones(1, 2).scatter(1, t.tensor([[2]]), 1.0),
        lambda: t.ones(2).index_select(0, t.tensor([2])),
    ):
        with pytest.raises((RuntimeError, IndexError)) as error:
            wrong()
        errors.append(error.type)
    gains = [t.nn.init.calculate_gain(name) for name in ("linear", "sigmoid", "conv2d", "relu")]
    return described(tall), described(dot), errors, gains, [type(g) for g in gains]


def test_names_of_classes():
    for name in ("Tensor", "Size", "dtype", "device"):
        assert repr(getattr(tg, name)) == repr(getattr(torch, name)).replace("torch", "tinygrad_cnn")


@same_in_both
def test_membership_and_areas(t):
    x, few = t.tensor([[1, 2, 3], [3, 4, 5]]), t.tensor([[3], [5]])
    y, at = t.tensor([[1.0, 3.0, 2.0], [0.0, 1.0, 5.0]]), t.tensor([0.0, 1.0, 4.0])
    inside = [t.isin(x, few), t.isin(x, 3), t.isin(3, few), t.isin(x, few, invert=True), t.isin(x.float(), few)]
    areas = [
        t.trapezoid(y),
        t.trapz(y, at),
        t.trapezoid(y, dx=0.5, dim=0),
        t.trapezoid(y, y.cumsum(1)),
        t.trapezoid(y[0]),
    ]
    return [described(result) for result in inside + areas]
