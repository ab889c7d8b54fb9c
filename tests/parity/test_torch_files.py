"""Files of PyTorch's: what it writes we read, and what we write it reads with weights_only=True."""

from __future__ import annotations

import io
from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_cnn as tg

from .compare import torch

DTYPES = ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"]
SHAPES = [(), (3,), (0,), (2, 0, 3), (2, 3, 4)]


def tensor(dtype, shape, seed=0):
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, (*shape, np.dtype(dtype).itemsize), np.uint8)
    return torch.from_numpy(np.array(raw[..., 0] > 127 if dtype == "bool" else raw.view(dtype)[..., 0]))


def loaded(obj, new=True, **options):
    buffer = io.BytesIO()
    torch.save(obj, buffer, _use_new_zipfile_serialization=new, **options)
    return tg.load(io.BytesIO(buffer.getvalue()))


def assert_same(ours, theirs):
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, tg.Tensor)
        assert isinstance(ours, tg.nn.Parameter) == isinstance(theirs, torch.nn.Parameter)
        assert str(ours.dtype).split(".")[1] == str(theirs.dtype).split(".")[1]
        assert tuple(ours.shape) == tuple(theirs.shape)
        assert ours.requires_grad == theirs.requires_grad
        assert ours.stride() == theirs.stride() or 0 in theirs.shape or 1 in theirs.shape
        a, b = [np.ascontiguousarray(x.detach().numpy()).tobytes() for x in (ours, theirs)]
        assert a == b
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        assert isinstance(ours, OrderedDict) == isinstance(theirs, OrderedDict)
        assert_same(list(ours.values()), list(theirs.values()))
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            assert_same(a, b)
    else:
        assert type(ours) is type(theirs)
        assert ours == theirs


FORMATS = pytest.mark.parametrize("new", [True, False], ids=["zip", "old"])


@FORMATS
def test_all_dtypes_and_shapes(new):
    state = OrderedDict((f"{d}.{i}", tensor(d, shape, i)) for d in DTYPES for i, shape in enumerate(SHAPES))
    assert_same(loaded(state, new), state)


@FORMATS
def test_views_keep_their_strides_and_share_memory(new):
    base = torch.arange(24.0).reshape(2, 3, 4)
    views = {
        "base": base, "t": base.transpose(0, 2), "part": base[1:, :, 1::2], "row": base[1, 2], "expanded": base[:, :1].expand(2, 5, 4),
        "flat": base.view(-1)[5:7], "scalar": base[1, 1, 1],
    }  # fmt: skip
    ours = loaded(views, new)
    assert_same(ours, views)
    ours["base"].fill_(3)
    for view in ours.values():
        assert (view == 3).all()


@FORMATS
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_floats_become_float32(dtype, new):
    x = torch.tensor([1.5, -0.0, float("inf"), float("nan"), 1e-7, 65504.0, 3.14159]).to(getattr(torch, dtype))
    ours = loaded({"x": x, "again": x[2:]}, new)
    np.testing.assert_array_equal(ours["x"].numpy(), x.float().numpy())
    np.testing.assert_array_equal(ours["again"].numpy(), x.float().numpy()[2:])


@pytest.mark.parametrize("dtype", ["complex64", "float8_e4m3fn", "uint16"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(ValueError, match="not a valid PyTorch file: refused torch"):
        loaded(torch.zeros(2, dtype=getattr(torch, dtype)))


def network(t):
    return t.nn.Sequential(
        t.nn.Conv2d(1, 3, 3, bias=False), t.nn.BatchNorm2d(3), t.nn.ReLU(), t.nn.Flatten(), t.nn.Linear(12, 2)
    )


def trained(t, x, optimizer="AdamW", steps=3, net=None, made=None):
    t.manual_seed(0)
    net = net or network(t).double()
    made = made or getattr(t.optim, optimizer)(net.parameters(), lr=0.01)
    for _ in range(steps):
        made.zero_grad()
        (net(t.tensor(x)) ** 2).sum().backward()
        made.step()
    return net, made


@FORMATS
@pytest.mark.parametrize("optimizer", ["SGD", "AdamW", "NAdam", "RMSprop", "Adagrad", "ASGD", "Rprop"])
def test_training_goes_on_after_loading(optimizer, new):
    torch.set_default_dtype(torch.float64)
    x = np.random.default_rng(0).standard_normal((4, 1, 4, 4))
    net, made = trained(torch, x, optimizer)
    schedule = torch.optim.lr_scheduler.MultiStepLR(made, [1, 4])
    saved = {"net": net.state_dict(), "optimizer": made.state_dict(), "schedule": schedule.state_dict(), "epoch": 3}
    checkpoint = loaded(saved, new)
    ours = network(tg).double()
    stepper = getattr(tg.optim, optimizer)(ours.parameters(), lr=0.5)
    again = tg.optim.lr_scheduler.MultiStepLR(stepper, [2])
    ours.load_state_dict(checkpoint["net"])
    stepper.load_state_dict(checkpoint["optimizer"])
    again.load_state_dict(checkpoint["schedule"])
    for t, model, o, s in ((tg, ours, stepper, again), (torch, net, made, schedule)):
        for _ in range(4):
            trained(t, x, steps=1, net=model, made=o)
            s.step()
    for a, b in zip(ours.state_dict().values(), net.state_dict().values(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6, atol=1e-9)


def test_pytorch_reads_ours(tmp_path):
    x = np.random.default_rng(0).standard_normal((4, 1, 4, 4))
    ours, stepper = trained(tg, x)
    views = {
        "t": tg.ones(2, 3).T,
        "e": tg.ones(1).expand(3),
        "kinds": [tg.zeros(2, 0, dtype=getattr(tg, d)) for d in DTYPES],
    }
    tg.save(
        {"net": ours.state_dict(), "optimizer": stepper.state_dict(), "p": list(ours.parameters()), **views},
        tmp_path / "x.pt",
    )
    for options in ({"weights_only": True}, {"weights_only": False}, {"mmap": True}):
        found = torch.load(tmp_path / "x.pt", **options)
        assert_same(ours.state_dict(), found["net"])
        assert all(isinstance(p, torch.nn.Parameter) for p in found["p"])
        assert found["t"].shape == (3, 2)
        assert [str(k.dtype).split(".")[1] for k in found["kinds"]] == DTYPES
    net = network(torch).double()
    net.load_state_dict(found["net"])
    made = torch.optim.AdamW(net.parameters())
    made.load_state_dict(found["optimizer"])
    trained(tg, x, steps=2, net=ours, made=stepper)
    trained(torch, x, steps=2, net=net, made=made)
    for a, b in zip(ours.state_dict().values(), net.state_dict().values(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pytorch_reads_every_bit(dtype, shape, tmp_path):
    theirs = tensor(dtype, shape)
    tg.save({"x": tg.from_numpy(theirs.numpy())}, tmp_path / "x.pth")
    assert_same(tg.load(tmp_path / "x.pth"), torch.load(tmp_path / "x.pth"))
    assert torch.load(tmp_path / "x.pth")["x"].numpy().tobytes() == theirs.numpy().tobytes()


@FORMATS
def test_models_are_refused(new):
    buffer = io.BytesIO()
    torch.save(network(torch), buffer, _use_new_zipfile_serialization=new)
    with pytest.raises(ValueError, match=r"refused|unknown kind"):
        tg.load(io.BytesIO(buffer.getvalue()), weights_only=False)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@FORMATS
def test_protocols(protocol, new):
    nest = {"a": [torch.ones(2), (1, 2.5, None, "x" * 300)], "b": b"bytes", "n": 2**80, "s": torch.Size([1, 2])}
    ours = loaded(nest, new, pickle_protocol=protocol)
    assert_same({k: ours[k] for k in "abn"}, {k: nest[k] for k in "abn"})
    assert ours["s"] == (1, 2)
