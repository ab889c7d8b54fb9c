"""PyTorch's files without PyTorch: round trips, and files that are broken or hostile."""

from __future__ import annotations

import io
import math
import pickle
import random
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest
from test_serialization import DTYPES, SHAPES, assert_same, tensor

import tinygrad_cnn as tg
from tinygrad_cnn import nn, optim


def saved(obj, tmp_path, name="file.pt"):
    tg.save(obj, tmp_path / name)
    return (tmp_path / name).read_bytes()


@pytest.mark.parametrize("name", ["x.pt", "x.pth", "best.pth.tar"])
def test_names_that_mean_pytorchs_format(name, tmp_path):
    assert saved({"x": tg.ones(1)}, tmp_path, name)[:4] == b"PK\3\4"
    assert tg.load(tmp_path / name)["x"].item() == 1


@pytest.mark.parametrize("name", ["x.safetensors", "x", "x.ptx", "pt"])
def test_other_names_mean_safetensors(name, tmp_path):
    assert saved({"x": tg.ones(1)}, tmp_path, name)[8:9] == b"{"


def test_the_content_decides_not_the_name(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(saved({"x": tg.ones(1)}, tmp_path))
    assert tg.load(tmp_path / "a.safetensors")["x"].item() == 1
    buffer = io.BytesIO(saved([1, "x"], tmp_path))
    assert tg.load(buffer) == [1, "x"]


def test_a_state_dict_of_all_kinds(tmp_path):
    state = OrderedDict((f"{d}.{i}", tensor(d, shape, i)) for d in DTYPES for i, shape in enumerate(SHAPES))
    tg.save(state, tmp_path / "file.pt")
    loaded = tg.load(tmp_path / "file.pt")
    assert type(loaded) is OrderedDict
    assert_same(loaded, state)


NESTS = [
    {}, [], (), None, 3, "text", [(1, [2]), {"a": ({},)}], OrderedDict(b=1, a=OrderedDict()), {1: "int", 2.5: 1, None: 2, False: 3},
    [math.inf, -math.inf, math.nan, 1e-320, 0.1, -0.0], [10**30, -(10**30), 2**31, -(2**31), 255, 256, -1, 2**63],
    "\ud800 lone surrogate, \U0001f600, \0",
]  # fmt: skip


@pytest.mark.parametrize("nest", NESTS, ids=range(len(NESTS)))
def test_nests(nest, tmp_path):
    tg.save(nest, tmp_path / "file.pt")
    assert_same(tg.load(tmp_path / "file.pt"), nest)


def test_parameters_stay_parameters_and_shared_memory_stays_shared(tmp_path):
    w = tg.ones(2, 3)
    frozen = nn.Parameter(tg.ones(1), requires_grad=False)
    tg.save({"p": nn.Parameter(w), "frozen": frozen, "a": w, "b": w.detach(), "t": w.T}, tmp_path / "file.pt")
    loaded = tg.load(tmp_path / "file.pt")
    assert type(loaded["p"]) is nn.Parameter
    assert loaded["p"].requires_grad
    assert not loaded["frozen"].requires_grad
    loaded["a"].fill_(7)
    assert loaded["b"].tolist() == [[7.0] * 3] * 2
    assert loaded["t"].shape == (3, 2)


def test_a_checkpoint(tmp_path):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    optimizer = optim.NAdam(net.parameters())
    schedule = optim.lr_scheduler.MultiStepLR(optimizer, [1, 2])
    net(tg.randn(2, 1, 4, 4)).sum().backward()
    optimizer.step()
    schedule.step()
    checkpoint = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
    tg.save(checkpoint, tmp_path / "file.pt")
    assert_same(tg.load(tmp_path / "file.pt")["net"], net.state_dict())
    loaded = tg.load(tmp_path / "file.pt", map_location=lambda storage, location: storage)
    optimizer.load_state_dict(loaded["optimizer"])
    schedule.load_state_dict(loaded["schedule"])


def test_members_begin_at_multiples_of_64(tmp_path):
    content = saved({"a": tg.arange(3), "b": tg.ones(5, 7), "c": tg.zeros(0)}, tmp_path)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            extra = int.from_bytes(content[info.header_offset + 28 : info.header_offset + 30], "little")
            assert (info.header_offset + 30 + len(info.filename) + extra) % 64 == 0


@pytest.mark.parametrize(
    ("obj", "text"), [({"a": [{1}]}, "set at a.0"), (len, "at the top"), (nn.ReLU(), "not the model")]
)
def test_what_cannot_be_stored(obj, text, tmp_path):
    with pytest.raises(TypeError, match=text):
        tg.save(obj, tmp_path / "file.pt")
    assert list(tmp_path.iterdir()) == []


# ---- files that are refused ----

STORAGE = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" + b"0X\3\0\0\0cpuK\2tQ"  # two elements
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n("


def archive(pickled, members=None, **options):
    """Return a zip archive with this pickle, and by default a storage of two elements."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", pickled, **options)
        for name, content in (members or {"archive/data/0": np.float32([1, 2]).tobytes()}).items():
            file.writestr(name, content)
    return buffer.getvalue()


def built(tail):
    """Return an archive with one tensor: offset, size, stride ..."""
    return archive(b"\x80\2" + TENSOR + STORAGE + tail + b"\x89NtR.")


def old(*parts):
    """Return an old file: the magic number, version and system, then these parts."""
    head = [pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    return b"".join([*head, *parts])


OLD_TENSOR = b"\x80\2" + TENSOR + STORAGE.replace(b"K\2tQ", b"K\2NtQ") + b"K\0K\2\x85K\1\x85\x89NtR."


def test_the_pieces_of_the_refused_files_are_right():
    assert tg.load(io.BytesIO(built(b"K\0K\2\x85K\1\x85"))).tolist() == [1, 2]
    data = (2).to_bytes(8, "little") + np.float32([3, 4]).tobytes()
    assert tg.load(io.BytesIO(old(OLD_TENSOR, pickle.dumps(["0"], 2), data))).tolist() == [3, 4]


REFUSED = {
    "not a zip archive": (b"PK\3\4" + bytes(40), "zip"),
    "no pickle": (archive(b"", {"x": b""})[:0] + archive(b"N.").replace(b"data.pkl", b"data.pkx"), "0 pickles"),
    "two pickles": (archive(b"N.", {"other/data.pkl": b"N."}), "2 pickles"),
    "compressed": (archive(b"\x80\2N." + bytes(1000), compress_type=zipfile.ZIP_DEFLATED), "is compressed"),
    "no storage": (archive(b"\x80\2" + TENSOR + STORAGE + b"K\0)) \x89NtR.", {"archive/x": b""}), "archive/data/0"),
    "short storage": (archive(b"\x80\2" + STORAGE + b".", {"archive/data/0": bytes(7)}), "should have 8 bytes"),
    "storage larger than the file": (
        archive(b"\x80\2" + STORAGE.replace(b"K\2tQ", b"J\xff\xff\xff\x7ftQ") + b"."),
        "larger",
    ),
    "negative storage": (archive(b"\x80\2" + STORAGE.replace(b"K\2tQ", b"J\xfe\xff\xff\xfftQ") + b"."), "larger"),
    "unknown storage": (
        archive(b"\x80\2" + STORAGE.replace(b"Float", b"ComplexFloat") + b"."),
        "torch.ComplexFloatStorage",
    ),
    "offset beyond the storage": (built(b"K\1K\2\x85K\1\x85"), r"shape \(2,\), stride \(1,\) and offset 1 on 2"),
    "negative offset": (built(b"J\xff\xff\xff\xffK\2\x85K\1\x85"), "offset -1"),
    "stride beyond the storage": (built(b"K\0K\2\x85K\2\x85"), "stride"),
    "negative stride": (built(b"K\1K\2\x85J\xff\xff\xff\xff\x85"), "stride"),
    "negative size": (built(b"K\0J\xff\xff\xff\xff\x85K\1\x85"), "shape"),
    "huge size": (built(b"K\0\x8a\x08" + b"\xff" * 7 + b"\x7f\x85K\1\x85"), "shape"),
    "size and stride of different lengths": (built(b"K\0K\2\x85)"), "argument 2"),
    "size that is no integer": (built(b"K\0G?\xf0\0\0\0\0\0\0\x85K\1\x85"), "float"),
    "a call of a number": (archive(b"\x80\2K\1)R."), "it calls int"),
    "a call of a class": (archive(b"\x80\2ctorch\nFloatStorage\n)R."), "it calls StorageKind"),
    "arguments that are no tuple": (archive(b"\x80\2ccollections\nOrderedDict\n]R."), "with list"),
    "wrong arguments": (archive(b"\x80\2ctorch\ndevice\n)R."), "argument"),
    "system": (archive(b"\x80\2cos\nsystem\nX\4\0\0\0true\x85R."), r"refused os\.system"),
    "eval": (archive(b"\x80\2cbuiltins\neval\nX\1\0\0\x001\x85R."), r"refused builtins\.eval"),
    "a name by stack": (archive(b"\x80\4\x8c\2os\x8c\6system\x93."), r"refused os\.system"),
    "an instance": (archive(b"\x80\2(ios\nsystem\n."), "refused the pickle instruction INST"),
    "a new object": (archive(b"\x80\2ccollections\nOrderedDict\n)\x81."), "refused the pickle instruction NEWOBJ"),
    "build": (archive(b"\x80\2}}b."), "refused the pickle instruction BUILD"),
    "build of a function": (archive(b"\x80\2ccollections\nOrderedDict\n}b."), "refused the pickle instruction BUILD"),
    "an extension": (archive(b"\x80\2\x82\1."), "refused the pickle instruction EXT1"),
    "append to a dictionary": (archive(b"\x80\2}K\1a."), "APPEND on dict"),
    "items of a list": (archive(b"\x80\2](K\1K\2u."), "SETITEMS on list"),
    "an odd number of items": (archive(b"\x80\2}(K\1u."), "argument 2"),
    "a list as key": (archive(b"\x80\2}]K\1s."), "unhashable"),
    "empty stack": (archive(b"\x80\2."), "pop"),
    "no mark": (archive(b"\x80\2t."), "pop"),
    "unknown memo": (archive(b"\x80\2h\5."), "5"),
    "unknown instruction": (archive(b"\x80\2\xff."), "opcode"),
    "no end": (archive(b"\x80\2N"), "exhausted"),
    "an encoding": (archive(b"\x80\2c_codecs\nencode\nX\1\0\0\0aX\4\0\0\0uu_c\x86R."), "encoding 'uu_c'"),
    "a pickle of one's own": (pickle.dumps({"x": [1, 2, 3]}, 2), "not of PyTorch's"),
    "old, without an end": (old(OLD_TENSOR), "exhausted|No data|not enough"),
    "old, without data": (old(OLD_TENSOR, pickle.dumps(["0"], 2)), "should have 2 elements"),
    "old, unknown key": (old(OLD_TENSOR, pickle.dumps(["1"], 2)), "1"),
    "old, view of a storage": (old(OLD_TENSOR.replace(b"NtQ", b"K\1tQ")), "unknown kind of storage"),
    "a module": (archive(b"\x80\2(X\6\0\0\0module" + STORAGE[11:] + b"."), "."),
}


@pytest.mark.parametrize(("content", "text"), REFUSED.values(), ids=REFUSED)
def test_refused_by_name(content, text, tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"load: .*weights\.pt is not a valid PyTorch file: (.|\n)*({text})"):
        tg.load(path, weights_only=False)


def test_plain_containers():
    counted = pickle.dumps([Counter("aab"), {1, 2}, frozenset({3}), b"bytes", OrderedDict(a=1)], 2)
    assert tg.load(io.BytesIO(archive(counted))) == [Counter("aab"), {1, 2}, frozenset({3}), b"bytes", OrderedDict(a=1)]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol(protocol):
    nest = {
        "a": [1, 2.5, None, True, "x" * 300, (1,), (1, 2, 3, 4), 2**40, -(2**70), set("ab")],
        "b": {},
        "c": b"x" * 300,
    }
    nest["again"] = nest["a"]
    found = tg.load(io.BytesIO(archive(pickle.dumps(nest, protocol))))
    assert found == nest
    assert found["again"] is found["a"]


@pytest.mark.parametrize("content", ["new", "old"])
def test_broken_files_are_refused_or_read(content, tmp_path):
    """Truncate, and change single bytes: a ValueError or a value, never anything else."""
    if content == "new":
        good = saved({"x": tg.arange(3), "y": nn.Parameter(tg.zeros(2, 2)), "e": [{"n": 1}, 0.5]}, tmp_path)
    else:
        good = old(OLD_TENSOR, pickle.dumps(["0"], 2), (2).to_bytes(8, "little") + bytes(8))
    rng = random.Random(0)
    broken = [good[:length] for length in range(0, len(good), 3)]
    for _ in range(1500):
        changed = bytearray(good)
        for _ in range(rng.choice([1, 1, 3])):
            changed[rng.randrange(len(good))] = rng.randrange(256)
        broken.append(bytes(changed))
    refused = 0
    for file in broken:
        try:
            tg.load(io.BytesIO(file))
        except ValueError:
            refused += 1
    assert refused > len(broken) // 2
