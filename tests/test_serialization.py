"""save and load: every bit comes back, files of others are understood, and hostile files are refused by name."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import stat
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim

DTYPES = ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"]
SHAPES = [(), (3,), (0,), (2, 0, 3), (2, 3, 4), (1, 1, 1, 1)]


def tensor(dtype, shape=(2, 3), seed=0):
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, (*shape, np.dtype(dtype).itemsize), np.uint8)  # any bits: NaNs, denormals, infinities
    array = raw[..., 0] > 127 if dtype == "bool" else np.ascontiguousarray(raw).view(dtype)[..., 0]
    return tg.from_numpy(np.array(array))


def assert_same(a, b):
    """Raise unless two nests are equal in structure, types and bits."""
    if isinstance(a, tg.Tensor):
        assert isinstance(b, tg.Tensor)
        assert a.dtype is b.dtype
        assert a.shape == b.shape
        assert a.numpy(force=True).tobytes() == b.numpy(force=True).tobytes()
    elif isinstance(a, dict):
        assert list(a) == list(b)
        assert [type(k) for k in a] == [type(k) for k in b]
        assert_same(list(a.values()), list(b.values()))
    elif isinstance(a, (list, tuple)):
        assert type(a) is type(b)
        assert len(a) == len(b)
        for x, y in zip(a, b):
            assert_same(x, y)
    else:
        assert type(a) is type(b)
        assert a == b or (a != a and b != b)


# ---- round trips ----


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_bit_comes_back(dtype, shape, tmp_path):
    state = {"t": tensor(dtype, shape)}
    tg.save(state, tmp_path / "file")
    assert_same(tg.load(tmp_path / "file"), OrderedDict(state))


def test_a_state_dict_of_all_kinds(tmp_path):
    state = OrderedDict((f"{d}.{i}", tensor(d, shape, i)) for d in DTYPES for i, shape in enumerate(SHAPES))
    tg.save(state, tmp_path / "file")
    loaded = tg.load(str(tmp_path / "file"))
    assert type(loaded) is OrderedDict
    assert_same(loaded, state)


def test_nan_payloads_and_negative_zeros(tmp_path):
    bits = np.array([0x7FC00001, 0xFFC12345, 0x7F800001, 0x80000000, 0x00000001, 0xFF800000], np.uint32)
    tg.save({"x": tg.from_numpy(bits.view(np.float32))}, tmp_path / "file")
    np.testing.assert_array_equal(tg.load(tmp_path / "file")["x"].numpy().view(np.uint32), bits)


def test_a_model(tmp_path):
    def net():
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(3, 4))

    source, target = net(), net()
    source[1](tg.randn(4, 2, 3, 3))
    tg.save(source.state_dict(), tmp_path / "net.safetensors")
    target.load_state_dict(tg.load(tmp_path / "net.safetensors"))
    assert_same(target.state_dict(), source.state_dict())


def test_parameters_and_views_are_saved_by_value(tmp_path):
    base = tg.arange(12.0).reshape(3, 4)
    state = {"p": nn.Parameter(base), "t": base.T, "s": base[:, ::2], "e": base[:1].expand(2, 4), "same": base}
    tg.save(state, tmp_path / "file")
    loaded = tg.load(tmp_path / "file")
    assert_same({k: v.detach() for k, v in state.items()}, loaded)
    assert type(loaded["p"]) is tg.Tensor
    assert not loaded["p"].requires_grad
    loaded["same"].fill_(0)
    assert loaded["p"].sum() > 0


def test_a_nested_checkpoint_goes_on_bit_for_bit(tmp_path):
    def start():
        tg.manual_seed(1)
        net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
        optimizer = optim.AdamW(net.parameters(), lr=0.01, amsgrad=True)
        return net, optimizer, optim.lr_scheduler.MultiStepLR(optimizer, [2, 4])

    def train(net, optimizer, scheduler, steps):
        for step in steps:
            optimizer.zero_grad()
            (net(tg.randn(5, 3, generator=tg.Generator().manual_seed(step))) ** 2).mean().backward()
            optimizer.step()
            scheduler.step()

    first, second = start(), start()
    train(*first, range(3))
    names = ("net", "optimizer", "scheduler")
    checkpoint = {name: part.state_dict() for name, part in zip(names, first)}
    tg.save({**checkpoint, "epoch": 3, "best": 0.1, "note": "naïve", "history": [0.5, (1, None, True)]}, tmp_path / "c")
    loaded = tg.load(tmp_path / "c")
    for name, part in zip(names, second):
        part.load_state_dict(loaded[name])
    assert (loaded["epoch"], loaded["best"], loaded["note"]) == (3, 0.1, "naïve")
    assert loaded["history"] == [0.5, (1, None, True)]
    for steps in (range(3, 5), range(5, 8)):
        train(*first, steps)
        train(*second, steps)
        assert_same(second[0].state_dict(), first[0].state_dict())


NESTS = [
    {},
    [],
    None,
    3,
    "text",
    tensor("float32"),
    [tensor("int64"), (tensor("bool"), {"a": tensor("uint8")})],
    {1: "int", 2.5: "float", None: "none", "x": "string", False: "bool"},
    {"a": {"b": tensor("float32")}, "a.b": tensor("float64"), "a.b_": tensor("int8")},
    [math.inf, -math.inf, math.nan, 1e-320, 0.1, -0.0, 10**30],
    OrderedDict(b=1, a=OrderedDict()),
    {"__metadata__": {"x": 1}, "y": tensor("float32")},
    [{"__metadata__": tensor("float32")}],
    "\ud800 lone surrogate, \U0001f600, \0",
]


@pytest.mark.parametrize("nest", NESTS, ids=[str(i) for i in range(len(NESTS))])
def test_nests(nest, tmp_path):
    tg.save(nest, tmp_path / "file")
    loaded = tg.load(tmp_path / "file")
    assert_same(loaded, OrderedDict() if nest == {} else nest)


def test_numpy_numbers_become_python_numbers(tmp_path):
    tg.save({"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True)}, tmp_path / "file")
    assert_same(tg.load(tmp_path / "file"), {"a": 0.5, "b": 3, "c": True})


def test_file_objects():
    state = {"x": tensor("float32"), "n": tensor("int64", ())}
    buffer = io.BytesIO()
    buffer.write(b"before")
    tg.save(state, buffer)
    buffer.seek(6)
    assert_same(tg.load(buffer), OrderedDict(state))


def test_map_location(tmp_path):
    tg.save({"x": tensor("float32")}, tmp_path / "file")
    assert tg.load(tmp_path / "file").popitem()[1].device.type == "cpu"
    assert tg.load(tmp_path / "file", map_location="reference")["x"].device.type == "reference"
    assert tg.load(tmp_path / "file", weights_only=True, mmap=False)["x"].device.type == "cpu"
    with pytest.raises(TypeError, match="unexpected argument 'where'"):
        tg.load(tmp_path / "file", where="cpu")


# ---- the safetensors package as the oracle ----


@pytest.fixture
def safetensors():
    return pytest.importorskip("safetensors.numpy", reason="the oracle of the format is the package safetensors")


def test_the_safetensors_package_reads_our_files(safetensors, tmp_path):
    state = {f"{d}{i}": tensor(d, shape, i) for d in DTYPES for i, shape in enumerate(SHAPES)}
    tg.save(state, tmp_path / "file")
    found = safetensors.load_file(tmp_path / "file")
    assert set(found) == set(state)
    assert_same({k: tg.from_numpy(np.array(found[k])) for k in state}, state)


def test_we_read_files_of_the_safetensors_package(safetensors, tmp_path):
    state = {f"{d}{i}": tensor(d, shape, i) for d in DTYPES for i, shape in enumerate(SHAPES)}
    safetensors.save_file({k: v.numpy() for k, v in state.items()}, tmp_path / "file", metadata={"some": "text"})
    loaded = tg.load(tmp_path / "file")
    assert_same({k: loaded[k] for k in state}, state)


def test_the_safetensors_package_accepts_our_nests(safetensors, tmp_path):
    tg.save({"model": {"w": tensor("float32")}, "epoch": 3}, tmp_path / "file")
    assert list(safetensors.load_file(tmp_path / "file")) == ["model.w"]


def test_headers_of_every_length():
    """Some lengths, 640 for one, look like the start of a pickle."""
    for extra in range(0, 1600, 8):
        state = {"x" * (extra + 1): tensor("float32")}
        buffer = io.BytesIO()
        tg.save(state, buffer)
        assert_same(tg.load(io.BytesIO(buffer.getvalue())), OrderedDict(state))


# ---- all or nothing ----


def test_a_failing_save_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "file"
    tg.save({"x": tg.ones(2)}, path)
    before = path.read_bytes()
    with pytest.raises(TypeError, match="cannot store"):
        tg.save({"x": object()}, path)

    def full(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        tg.save({"x": tg.zeros(2)}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_appears_whole_with_the_usual_permissions(tmp_path):
    path = tmp_path / "file"
    tg.save({"x": tg.ones(2)}, path)
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    tg.save({"x": tg.zeros(2)}, path)
    assert_same(tg.load(path), OrderedDict(x=tg.zeros(2)))
    assert sorted(tmp_path.iterdir()) == [path, plain]


def test_a_folder_that_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        tg.save({}, tmp_path / "missing" / "file")
    with pytest.raises(FileNotFoundError):
        tg.load(tmp_path / "file")


UNSTORABLE = [
    ({"a": {"b": {1, 2}}}, TypeError, r"cannot store set at a\.b"),
    (nn.Linear(1, 1), TypeError, r"cannot store Linear at the top; .*save model\.state_dict\(\), not the model"),
    ({"f": len}, TypeError, "cannot store builtin_function_or_method at f"),
    ({"c": 1j}, TypeError, "cannot store complex at c"),
    ({(1, 2): 3}, TypeError, "a dictionary key must be a string or a number"),
    ({"__metadata__": tg.zeros(1)}, ValueError, "the format reserves the name '__metadata__'"),
]


@pytest.mark.parametrize(("obj", "error", "text"), UNSTORABLE, ids=[row[2] for row in UNSTORABLE])
def test_what_cannot_be_stored(obj, error, text, tmp_path):
    with pytest.raises(error, match=text):
        tg.save(obj, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


# ---- files that are refused ----


def file(header, data=b"", size=None):
    """Return the contents of a file with this header."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(head) if size is None else size).to_bytes(8, "little") + head + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def structure(node):
    return file({"__metadata__": {"tinygrad_cnn.structure": node if isinstance(node, str) else json.dumps(node)}})


DATA = bytes(8)
GOOD = file({"x": entry()}, DATA)
REFUSED = {
    "empty": b"",
    "shorter than a length": b"\1\0\0",
    "header longer than the file": file(b"{}", size=10),
    "huge header": file(b"{}", size=2**63 - 1),
    "header of 2 ** 64 - 1 bytes": b"\xff" * 8 + b"{}",
    "not JSON": file(b"{not json}"),
    "not UTF-8": file(b'{"\xff\xfe": 1}'),
    "a list": file([1, 2]),
    "a number": file(3),
    "null": file(None),
    "deep nesting": file(b"[" * 100_000 + b"]" * 100_000),
    "entry is no dictionary": file({"x": 3}),
    "entry without dtype": file({"x": {"shape": [2], "data_offsets": [0, 8]}}, DATA),
    "entry without offsets": file({"x": {"dtype": "F32", "shape": [2]}}, DATA),
    "one offset": file({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0]}}, DATA),
    "unknown dtype": file({"x": entry("F8_E4M3", (8,))}, DATA),
    "dtype of NumPy": file({"x": entry("object", (1,))}, DATA),
    "truncated": GOOD[:-1],
    "too long": GOOD + b"\0",
    "overlap": file({"x": entry(), "y": entry(offsets=(4, 12))}, bytes(12)),
    "same bytes twice": file({"x": entry(), "y": entry()}, DATA),
    "gap": file({"x": entry(), "y": entry(offsets=(12, 20))}, bytes(20)),
    "gap at the start": file({"x": entry(offsets=(8, 16))}, bytes(16)),
    "negative offsets": file({"x": entry(offsets=(-8, 0))}, DATA),
    "backwards": file({"x": entry(offsets=(8, 0))}, DATA),
    "beyond the end": file({"x": entry(shape=(4,), offsets=(0, 16))}, DATA),
    "size does not fit the shape": file({"x": entry(shape=(3,))}, DATA),
    "size does not fit the dtype": file({"x": entry("F64")}, DATA),
    "negative size": file({"x": entry(shape=(-2,), offsets=(0, -8))}, b""),
    "two negative sizes": file({"x": entry(shape=(-2, -1))}, DATA),
    "sizes that overflow to 0": file({"x": entry(shape=(2**32, 2**32), offsets=(0, 0))}),
    "sizes that overflow to 2": file({"x": entry(shape=(2**63 + 1, 2))}, DATA),
    "sizes that are no integers": file({"x": entry(shape=(2.0,))}, DATA),
    "sizes that are strings": file({"x": entry(shape=("2",))}, DATA),
    "offsets that are strings": file({"x": entry(offsets=("0", "8"))}, DATA),
    "metadata is a number": file({"__metadata__": 3}),
    "too many axes": file({"x": entry(shape=(1,) * 100, offsets=(0, 4))}, bytes(4)),
    "structure is not JSON": structure("{"),
    "structure with an unknown tensor": structure({"tensor": "gone"}),
    "structure of an unknown kind": structure({"module": "os"}),
    "structure with two kinds": structure({"value": 1, "list": []}),
    "structure with a list as key": structure({"dict": [[[1], {"value": 1}]]}),
    "structure that nests deeply": structure('{"list":[' * 50_000 + "]}" * 50_000),
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_refused_by_name(content, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.safetensors is not a valid safetensors file: .") as caught:
        tg.load(path)
    assert str(path) in str(caught.value)
    with pytest.raises(ValueError, match=r"load: the file is not a valid safetensors file"):
        tg.load(io.BytesIO(content))


def test_every_truncation_is_refused():
    buffer = io.BytesIO()
    tg.save({"x": tg.arange(3), "y": tg.zeros(2, 2), "e": {"n": 1}}, buffer)
    content = buffer.getvalue()
    for length in range(len(content)):
        with pytest.raises(ValueError, match="is not a valid safetensors file"):
            tg.load(io.BytesIO(content[:length]))


class Hostile:
    """A pickle of this creates a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_are_refused_and_not_executed(protocol, tmp_path):
    path, proof = tmp_path / "model.pt", tmp_path / "executed"
    path.write_bytes(pickle.dumps(Hostile(proof), protocol))
    with pytest.raises(ValueError, match=r"model\.pt is not a valid PyTorch file: refused"):
        tg.load(path)
    assert not proof.exists()


def test_old_text_pickles_are_refused(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps({"x": 1}, 0))
    with pytest.raises(ValueError, match=r"model\.pt is not a valid safetensors file"):
        tg.load(path)


def test_bytes_that_are_no_bools_become_true(tmp_path):
    content = file({"x": entry("BOOL", (4,), (0, 4))}, bytes([0, 1, 2, 255]))
    x = tg.load(io.BytesIO(content))["x"]
    assert x.tolist() == [False, True, True, True]
    assert x.sum().item() == 3
