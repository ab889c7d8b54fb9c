"""fit, evaluate and predict: the loop, data of all forms, names, options, history, errors."""

from __future__ import annotations

import csv
import math
import sys
import warnings

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim
from tinygrad_cnn.nn import functional as F
from tinygrad_cnn.training import AverageCrops, Callback, CSVLogger, History, Trainer, evaluate, fit, predict
from tinygrad_cnn.training.data import split
from tinygrad_cnn.utils.data import DataLoader, IterableDataset, Subset, TensorDataset

from . import nets


def quiet(*args, **options):
    return fit(*args, progress=False, **options)


def tensors(count=50):
    return tuple(map(tg.tensor, nets.arrays(count)))


def weights(model):
    return nets.flat(model.state_dict())


# ---- the loop ----


def plain_loop(step, epochs=2, batch=8):
    """Train as one would by hand; `step(model, optimizer, x, y, last)` does what a batch needs."""
    model = nets.net()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(epochs):
        loader = DataLoader(TensorDataset(*tensors()), batch, shuffle=True)
        for i, (x, y) in enumerate(loader, 1):
            step(model, optimizer, x, y, i == len(loader), i)
    return model


def simple(model, optimizer, x, y, last, i):
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
    optimizer.zero_grad()


def clipped(model, optimizer, x, y, last, i):
    F.cross_entropy(model(x), y).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    nn.utils.clip_grad_value_(model.parameters(), 0.01)
    optimizer.step()
    optimizer.zero_grad()


def accumulated(model, optimizer, x, y, last, i):
    (F.cross_entropy(model(x), y) * len(y)).backward()
    if i % 3 == 0 or last:
        for p in model.parameters():
            p.grad.div_((i - 1) % 3 * 8 + len(y))
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize(
    ("step", "options"),
    [(simple, {}), (clipped, {"clip_norm": 0.1, "clip_value": 0.01}), (accumulated, {"accumulate": 3})],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_the_same_bits_as_a_loop_by_hand(step, options):
    expected = plain_loop(step)
    model = nets.net()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    quiet(model, nets.arrays(), optimizer=optimizer, epochs=2, batch_size=8, **options)
    assert weights(model) == weights(expected)


def test_accumulated_gradients_are_those_of_one_large_batch():
    """Also where the last batch is smaller: each sample counts the same."""
    models = [nn.Sequential(nn.Flatten(), nn.Linear(64, 3)) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    for model, options in zip(models, ({"batch_size": 20}, {"batch_size": 8, "accumulate": 3})):
        quiet(model, tensors(20), optimizer=lambda p: optim.SGD(p, 0.1), shuffle=False, **options)
    for a, b in zip(*[model.parameters() for model in models]):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-7)


def test_it_learns():
    history = quiet(nets.net(), nets.arrays(300), optimizer=lambda p: optim.Adam(p, 0.01), epochs=8, metrics=["accuracy"],
                    validation_split=0.2)  # fmt: skip
    assert history["val_accuracy"][-1] > 0.9
    assert history["loss"][-1] < history["loss"][0] / 2


def test_epochs_are_counted_over_all_calls():
    trainer = Trainer(nets.net(), progress=False)
    assert trainer.fit(nets.arrays(), 2).epochs == 2
    assert trainer.fit(nets.arrays(), 2).epochs == 2
    assert trainer.fit(nets.arrays(), 3).epochs == 3
    assert (trainer.epoch, trainer.step) == (3, 3 * 2)


def test_events_and_stop():
    class Recorder(Callback):
        def __init__(self):
            self.seen = []

        def __getattribute__(self, name):
            if name.startswith("on_"):
                self.seen.append(name[3:])
            return super().__getattribute__(name)

        def on_batch_end(self, trainer, logs):
            trainer.stop = trainer.epoch == 1

    callback = Recorder()
    history = quiet(nets.net(), nets.arrays(), epochs=9, batch_size=25, callbacks=[callback])
    assert callback.seen == [
        "init", "fit_start", "epoch_start", "batch_end", "batch_end", "epoch_end", "epoch_start", "batch_end", "fit_end",
    ]  # fmt: skip
    assert history.epochs == 1  # the second was not finished


def test_schedules():
    def rates(interval, schedule):
        return quiet(nets.net(), nets.arrays(), epochs=3, batch_size=25, optimizer=lambda p: optim.SGD(p, 1.0),
                     scheduler=schedule, scheduler_interval=interval)["lr"]  # fmt: skip

    assert rates("epoch", lambda o: optim.lr_scheduler.StepLR(o, 1, 0.5)) == [1, 0.5, 0.25]
    assert rates("step", lambda o: optim.lr_scheduler.StepLR(o, 1, 0.5)) == [0.25, 0.0625, 0.015625]
    optimizer = optim.SGD((model := nets.net()).parameters(), 1.0)
    quiet(model, nets.arrays(), optimizer=optimizer, scheduler=optim.lr_scheduler.ExponentialLR(optimizer, 0.5))
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_the_average_of_weights_validates():
    model = nets.net()
    trainer = Trainer(model, metrics=["accuracy"], ema=0.99, progress=False)
    history = trainer.fit(nets.arrays(), 2, validation_data=nets.arrays(20, 1), batch_size=10)
    averaged = trainer.averaged.module
    assert trainer.averaged.n_averaged == 10
    assert (
        history["val_loss"][-1]
        == evaluate(averaged, nets.arrays(20, 1), batch_size=10)["loss"]
        == trainer.evaluate(nets.arrays(20, 1), batch_size=10)["loss"]
    )
    assert history["val_loss"][-1] != evaluate(model, nets.arrays(20, 1), batch_size=10)["loss"]
    assert (trainer.predict(nets.arrays()) == predict(averaged, nets.arrays())).all()


def test_auxiliary_outputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nets.net()

        def forward(self, x):
            y = self.net(x)
            return y, 0.3 * y

    def loss(outputs, y):
        return F.cross_entropy(outputs[0], y) + F.cross_entropy(outputs[1], y)

    assert quiet(Two(), nets.arrays(), loss=loss, metrics=["accuracy"])["accuracy"][0] > 0
    assert predict(Two(), nets.arrays()).shape == (50, 3)


# ---- data, losses, metrics, optimisers ----


@pytest.mark.parametrize(
    "data",
    [
        tensors, nets.arrays, lambda: [x.tolist() for x in nets.arrays()], lambda: TensorDataset(*tensors()),
        lambda: DataLoader(TensorDataset(*tensors()), 32, shuffle=True),
        lambda: [*zip(*tensors())],
        lambda: tuple(a.astype(t) for a, t in zip(nets.arrays(), (np.float64, np.uint8))),
    ],
    ids=["tensors", "arrays", "lists", "dataset", "loader", "samples", "other types"],
)  # fmt: skip
def test_forms_of_data(data):
    """All with the same bits."""
    model, expected = nets.net(), nets.net()
    quiet(model, data())
    tg.manual_seed(0)
    nets.net()
    quiet(expected, tensors())
    assert weights(model) == weights(expected)
    assert evaluate(model, data()) == pytest.approx(evaluate(model, tensors()))
    assert predict(model, nets.arrays()[0]).shape == (50, 3)


def test_data_without_a_length():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(zip(*tensors(20)))

    history = quiet(nets.net(), Stream(), validation_data=Stream(), epochs=2, batch_size=8)
    assert history.epochs == 2
    assert set(history) == {"loss", "val_loss", "lr", "seconds"}


def test_means_are_over_samples():
    model = nets.net()
    whole = evaluate(model, nets.arrays(), "cross_entropy", ["accuracy", "accuracy"], batch_size=50)
    parts = evaluate(model, nets.arrays(), nn.CrossEntropyLoss(), ["accuracy"], batch_size=7)
    assert parts == pytest.approx(whole)
    outputs = predict(model, nets.arrays(), batch_size=7)
    assert whole["accuracy"] == pytest.approx((outputs.argmax(1).numpy() == nets.arrays()[1]).mean())
    assert model.training
    assert model[3].training


@pytest.mark.parametrize(
    ("loss", "function"),
    [("cross_entropy", F.cross_entropy), (F.cross_entropy, F.cross_entropy), (nn.CrossEntropyLoss, F.cross_entropy),
     ("mse", F.mse_loss), ("mse_loss", F.mse_loss), (nn.L1Loss(), F.l1_loss)],
)  # fmt: skip
def test_losses(loss, function):
    x, y = tensors()
    y = y if function is F.cross_entropy else tg.rand(50, 3)
    model = nets.net()
    assert evaluate(model, (x, y), loss, [], batch_size=50)["loss"] == float(function(predict(model, x, 50), y))


def test_metrics():
    output = tg.tensor([[6.0, 5, 4, 3, 2, 1, 0], [0, 1, 2, 3, 4, 5, 6]])
    model = nn.Identity()
    data = (output, tg.tensor([4, 6]))

    def half(output, target):
        return 0.5

    class Third:
        def __call__(self, output, target):
            return tg.tensor(1 / 3)

    found = evaluate(model, data, metrics=["accuracy", "top5", half, Third()])
    assert found == pytest.approx({"loss": found["loss"], "accuracy": 0.5, "top5": 1.0, "half": 0.5, "Third": 1 / 3})
    assert evaluate(model, (output, tg.tensor([5, 0])), metrics=["top5"])["top5"] == 0


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adamw", "rmsprop", optim.Adagrad])
def test_optimizers_by_name(optimizer):
    model = nets.net()
    before = weights(model)
    quiet(model, nets.arrays(), optimizer=optimizer)
    assert weights(model) != before


# ---- validation ----


def held_back(validation_split, labels):
    x = tg.arange(len(labels)).reshape(-1, 1)
    train, validation = split((x, tg.tensor(labels)), validation_split)
    assert sorted([*train.indices, *validation.indices]) == [*range(len(labels))]
    return np.array(validation.indices)


def test_splits():
    labels = np.random.default_rng(0).choice(3, 200, p=[0.7, 0.2, 0.1])
    assert held_back(0.1, labels).tolist() == [*range(180, 200)]
    random = held_back((0.1, "random"), labels)
    assert len(random) == 20
    assert random.min() < 100
    chosen = labels[held_back((0.1, "stratified"), np.sort(labels))]
    assert len(chosen) == 20
    shares = np.bincount(np.sort(labels)[held_back((0.1, "stratified"), np.sort(labels))])
    assert (abs(shares - np.bincount(labels) / 10) < 1).all()
    tg.manual_seed(7)
    assert (held_back((0.1, "random"), labels) == random).all()


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_warns_of_data_sorted_by_label(order):
    x, _ = nets.arrays(30)
    y = np.repeat(order, 10)
    with pytest.warns(UserWarning, match=r"lie class by class.*\(0.2, 'stratified'\)") as caught:
        quiet(nets.net(), (x, y), validation_split=0.2)
    assert caught[0].filename.endswith("test_fit.py")
    quiet(nets.net(), (x, y), validation_split=(0.2, "stratified"))
    quiet(
        nets.net(),
        Subset(TensorDataset(tg.tensor(x), tg.tensor(y)), [*range(0, 30, 7)]),
        validation_split=(0.4, "random"),
    )
    with pytest.warns(UserWarning, match="class by class"):
        quiet(nets.net(), Subset(TensorDataset(tg.tensor(x), tg.tensor(y)), range(30)), validation_split=0.2)


def test_validation_changes_nothing():
    models = [nets.net(), nets.net()]
    for model, options in zip(models, ({}, {"validation_data": nets.arrays(9)})):
        tg.manual_seed(3)
        quiet(model, nets.arrays(), epochs=2, **options)
    assert weights(models[0]) == weights(models[1])


# ---- progress and history ----


def test_lines_and_the_bar(capsys, monkeypatch):
    pytest.importorskip("tqdm")
    fit(nets.net(), nets.arrays(), epochs=2, metrics=["accuracy"])
    out, err = capsys.readouterr()
    assert [line.partition(":")[0] for line in out.splitlines()] == ["epoch 1/2", "epoch 2/2"]
    assert "loss" in out
    assert "2/2" in err
    monkeypatch.setitem(sys.modules, "tqdm", None)
    fit(nets.net(), nets.arrays(), metrics=["accuracy"])
    out, err = capsys.readouterr()
    assert out.startswith("epoch 1/1: loss ")
    assert err == ""


def test_history(tmp_path):
    history = History()
    history.append({"loss": 2.0, "lr": 0.1})
    history.append({"loss": 1.0, "lr": 0.1, "val_loss": 0.5})
    assert history["loss"] == [2.0, 1.0]
    assert math.isnan(history["val_loss"][0])
    history.write_csv(tmp_path / "a.csv")
    rows = [*csv.reader((tmp_path / "a.csv").read_text().splitlines())]
    assert rows == [["epoch", "loss", "lr", "val_loss"], ["1", "2.0", "0.1", "nan"], ["2", "1.0", "0.1", "0.5"]]


def test_history_plots():
    pytest.importorskip("matplotlib").use("Agg")
    history = quiet(nets.net(), nets.arrays(), epochs=3, metrics=["accuracy"], validation_split=0.2)
    figure = history.plot()
    assert [axis.get_title() for axis in figure.axes] == ["loss", "accuracy"]
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["training", "validation"]
    assert figure.axes[0].lines[1].get_ydata().tolist() == history["val_loss"]
    assert [axis.get_title() for axis in history.plot(["lr"]).axes] == ["lr"]


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"drawing needs the package matplotlib: pip install 'tinygrad_cnn\[viz\]'"):
        History(loss=[1.0]).plot()


# ---- crops ----


def test_average_of_crops():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    crops = [tg.randn(5, 1, 2, 2) for _ in range(10)]
    expected = sum(model(crop).softmax(1) for crop in crops) / 10
    for x in (crops, tg.stack(crops, 1)):
        y = AverageCrops(model)(x)
        np.testing.assert_allclose(y.exp().detach().numpy(), expected.detach().numpy(), rtol=1e-5)
    data = DataLoader(TensorDataset(tg.stack(crops, 1), tg.tensor([0, 1, 2, 0, 1])), 2)
    assert predict(AverageCrops(model), data).shape == (5, 3)
    loss = -sum(math.log(expected[i, i % 3]) for i in range(5)) / 5
    assert evaluate(AverageCrops(model), data)["loss"] == pytest.approx(loss, rel=1e-5)


# ---- errors ----


def test_a_loss_that_is_not_finite_stops_before_the_step():
    model = nets.net()

    def loss(output, target):
        return F.cross_entropy(output, target) * (math.nan if trainer.step == 3 else 1)

    trainer = Trainer(model, loss, progress=False)
    with pytest.raises(FloatingPointError, match=r"the loss is nan in epoch 2, batch 2, at learning rate 0.001"):
        trainer.fit(nets.arrays(), 2)
    assert (trainer.epoch, trainer.batch, trainer.step) == (1, 1, 3)
    assert all(p.isfinite().all() for p in model.parameters())


def test_wrong_shapes_are_noted():
    with pytest.raises(RuntimeError) as caught:
        quiet(nets.net(), (tg.zeros(4, 2, 8, 8), tg.zeros(4, dtype=tg.int64)))
    assert caught.value.__notes__[-1:] == ["epoch 1, batch 1: inputs of shape (4, 2, 8, 8), targets of shape (4,)"]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda m: quiet(m, "mnist"), TypeError, "data must be a DataLoader, a Dataset or a pair"),
        (lambda m: quiet(m, 3), TypeError, r"a pair \(x, y\), got int"),
        (lambda m: quiet(m, (tg.zeros(4, 1, 8, 8), tg.zeros(3))), ValueError, r"lengths differ: \[4, 3\]"),
        (lambda m: quiet(m, (tg.zeros(0, 1, 8, 8), tg.zeros(0, dtype=tg.int64))), ValueError, "fit: the data are empty"),
        (lambda m: evaluate(m, (tg.zeros(0, 1, 8, 8), tg.zeros(0))), ValueError, "evaluate: the data are empty"),
        (lambda m: predict(m, tg.zeros(0, 1, 8, 8)), ValueError, "predict: the data are empty"),
        (lambda m: quiet(m, tg.zeros(4, 1, 8, 8)), TypeError, "a pair of inputs and targets, got 1 parts"),
        (lambda m: quiet(m, DataLoader(tg.zeros(4, 1, 8, 8))), TypeError, "inputs and targets, got Tensor"),
        (lambda m: quiet(m, nets.arrays(), loss="crossentropy"), ValueError, "unknown loss 'crossentropy'; known are .*cross_entropy"),
        (lambda m: quiet(m, nets.arrays(), loss=3), TypeError, "loss must be a function or a name, got int"),
        (lambda m: quiet(m, nets.arrays(), metrics=["acc"]), ValueError, "unknown metric 'acc'; known are accuracy, top5"),
        (lambda m: quiet(m, nets.arrays(), metrics="accuracy"), TypeError, r"write \['accuracy'\]"),
        (lambda m: quiet(m, nets.arrays(), optimizer="adamax2"), ValueError, "unknown optimizer 'adamax2'"),
        (lambda m: quiet(m, nets.arrays(), accumulate=0), ValueError, "accumulate must be a positive number"),
        (lambda m: quiet(m, nets.arrays(), scheduler_interval="batch"), ValueError, "must be 'epoch' or 'step'"),
        (lambda m: quiet(m, nets.arrays(), scheduler=optim.lr_scheduler.ReduceLROnPlateau), TypeError, "use the callback"),
        (lambda m: quiet(m, DataLoader(TensorDataset(*tensors())), batch_size=4), ValueError, "has its own batch_size"),
        (lambda m: quiet(m, DataLoader(TensorDataset(*tensors())), validation_split=0.1), ValueError, "pass validation_data"),
        (lambda m: quiet(m, nets.arrays(), validation_split=0.1, validation_data=nets.arrays()), ValueError, "not both"),
        (lambda m: quiet(m, nets.arrays(), validation_split=(0.1, "first")), ValueError, "one of last, random, stratified"),
        (lambda m: quiet(m, nets.arrays(), validation_split=1.0), ValueError, "leaves nothing"),
        (lambda m: quiet(m, nets.arrays(4), validation_split=0.1), ValueError, "leaves nothing"),
        (lambda m: quiet(m, [*zip(*tensors())], validation_split=(0.1, "stratified")), ValueError, "needs integer labels"),
        (lambda m: quiet(m, nets.arrays(), resume="nowhere.safetensors"), FileNotFoundError, "nowhere"),
    ],
)  # fmt: skip
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call(nets.net())


def test_nothing_is_warned_of(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet(nets.net(), nets.arrays(), callbacks=[CSVLogger(tmp_path / "a.csv")], validation_split=0.1)
