"""x[key] and x[key] = value in all forms, gather, scatter_add and their relatives; thousands of random keys."""

import numpy as np
import pytest

from .compare import (
    Const,
    agree,
    agree_or_both_reject,
    both_reject,
    check_all,
    integers,
    mask,
    normal,
    rows,
    same_in_both,
)

KEYS = rows("""
    1
    -1
    1, 2
    1, 2, 3
    -2, -3, -4
    :
    ...
    ()
    None
    None, None
    1:
    :2, 1:3
    ::2, :, ::3
    -2:, :-1
    5:
    2:1
    100:200, -100:100
    1:1, ...
    ..., 1
    ..., None
    ..., 1:3, 0
    None, 1, ..., None
    0, ..., 0
    :, None, :, 2
    i
    i,
    i, i
    i, i, i
    :, i
    :, :, i
    i, :, i
    i, 1
    1, i
    :, 1, i
    i, 1, i
    1, i, i
    1, :, i
    i, :, 1
    ..., i
    i, ...
    i, ..., i
    None, i
    i, None
    i, None, i
    :, None, i, i
    i, 1:3
    1:, i
    i, ::2, i
    i2
    i2, i
    :, i2
    i2, :, i
    i2, i2
    i2, 1
    i2[:, :1], i
    :, i2, i2
    i[:0]
    :, i[:0]
    i0
    i0, i
    :, i0
    i, i0
    i0, i0, i0
    i0:
    :i0
    i.int()
    -i
    m3
    m3, 1
    m3, :, 1
    ~m3, ..., ~m5
    :, m4
    :, m4, 1
    1, m4
    ..., m5
    m34
    m34, 1
    m34, 1:3
    :, m45
    1, m45
    m345
    m3, None
    None, m3
    m3, i[:1]
    i[:1], m4
    ~m3
    x > 0
    m3 & False
    m3 | True
    True
    False
    True, 1
    1, True
    :, True
    None, True
    True, True
    True, False
    True, i
    i, True
    False, i[:1]
    m0
    m0, i
    [1, 2]
    [1]
    [0, -1], [1, 2]
    [0, 1], :, [2, 3]
    np.array([[0, 1], [2, 0]])
    :, [1, 2]
    [True, False, True]
    [True, False, True], 1
    np.array([[True, False, False, True], [False] * 4, [True] * 4])
    []
    :, []
    np.array([0, 2])
    np.array([True, False, True])
    np.int64(1)
    np.array(1)
    np.array([[0], [1]]), np.array([1, 2])
    (0, 1)
    slice(None), 1
    slice(1, None, 2)
    slice(None, np.int64(2))
    i.tolist()
    range(2)
    (1, [0, 2])
    (1, [[0, 2], [1, 1]])
""")
BAD_KEYS = rows("""
    3
    -4
    0, 4
    0, 0, 0, 0
    :, :, :, :
    False, i
    m3, ..., m5
    ::-1
    ::0
    1.5
    "a"
    1:2.5
    "a":
    i * 10
    i - 100
    i.double()
    x
    m4
    m3, m3
    :, m34
    m345, 1
    [0, 3]
    [0, 1], [0, 1, 2]
    i, i[:2]
    [0, "a"]
    {1}
    {"a": 1}
    i, i, i, i
    [True, False]
    [True] * 4
    np.array([True, False])
    np.array(["a"])
    np.array([5])
    None, 3
    i0 + 3
    object()
""")


def inputs(grad=True):
    x = normal(3, 4, 5)
    return {
        "x": x if grad else Const(x), "i": np.array([2, 0, 1]), "i0": np.array(1), "i2": np.array([[0, 2, 1], [1, 1, 0]]),
        "m0": np.array(True), "m3": np.array([True, False, True]), "m4": mask(4), "m5": mask(5), "m34": mask(3, 4),
        "m45": mask(4, 5), "m345": mask(3, 4, 5),
    }  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_read(key):
    agree(f"x[{key}]", **inputs())


@pytest.mark.parametrize("key", KEYS)
def test_write(key):
    check_all([
        (code, inputs())
        for code in (
            f"put(x, np.s_[{key}], 7.0)", f"put(x, np.s_[{key}], x[{key}] * 2)", f"put(x, np.s_[{key}], t.tensor(2.0, dtype=t.float64))",
            f"put(x, np.s_[{key}], (x[{key}] * 3)[None, None])", f"put(x, np.s_[{key}], True)", f"put(x * 1, np.s_[{key}], x.sum())",
            f"put(x.detach(), np.s_[{key}], x[{key}])", f"put(x.long(), np.s_[{key}], 7)", f"put(x > 0, np.s_[{key}], True)",
        )
    ])  # fmt: skip


@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys(key):
    both_reject(f"x[{key}]", **inputs())
    both_reject(f"put(x, np.s_[{key}], 0.0)", **inputs())


@pytest.mark.parametrize(
    "code",
    rows("""
    put(x, np.s_[0], x)
    put(x, np.s_[:, 0], x[0])
    put(x, np.s_[0], t.zeros(3, dtype=t.float64))
    put(x, np.s_[i], t.zeros(2, dtype=t.float64))
    put(x, np.s_[i], t.zeros(2, 3, 4, 5, dtype=t.float64))
    put(x, np.s_[m34], t.zeros(1000, dtype=t.float64))
    put(x, np.s_[m345], t.zeros(2, dtype=t.float64))
    put(x, 0, "a")
    put(x, 0, None)
    put(x, 0, [1, 2])
    put(x.long(), 0, inf)
    put(x.byte(), 0, 300)
    put(x.byte(), i, 300)
    put(x.int(), (0, 0, 0), 2**40)
    x.__setitem__(0, 1.0)
    x.__setitem__(i, 1.0)
    x[0].__setitem__(0, 1.0)
    x.detach()[:1].expand(3, 4, 5).__setitem__(np.s_[:2], 1.0)
"""),
)
def test_bad_values(code):
    both_reject(code, **inputs())


@pytest.mark.parametrize(
    "code",
    rows("""
    put(x, np.s_[i], y[:3])
    put(x, np.s_[0], y[0])
    put(x, np.s_[i], y[0, 0])
    put(x, np.s_[m34], y[0, 0])
    put(x.detach(), np.s_[0], y[0])
    put(x.detach(), np.s_[i, 1], y[:3, 0])
    put(x.float(), np.s_[0], y[0])
    put(x, np.s_[0], y[0].float())
    put(x.long(), np.s_[0], 2.7)
    put(x.long(), np.s_[i], 2.7)
    put(x.long(), np.s_[0], y[0].detach())
    put(x.byte(), np.s_[0], -1)
    put(x > 0, np.s_[0], y[0].detach())
    put(x, np.s_[[0, 0]], y[:2])
    put(x, np.s_[[0, 0, 1], [1, 1, 0]], y[:3, 0])
    put(x * y, np.s_[1:], y[1:]) * x
    put(put(x, 0, y[1]), np.s_[:, i], y[:, :3])
    put(x.transpose(0, 1), 0, y[:, 0])
    put(x, 0, y[0]).sum() + put(x, (i, i), y[0, 0]).sum()
    put(x, (0, 0, 0), y[0, 0, 0]), put(x, (0, 0, 0), 5)
    put(x, (0, 0, 0), np.float64(5)), put(x, 0, np.int64(5))
    put(x, np.s_[:0], 5), put(x, np.s_[i[:0]], 5), put(x, m3 & False, 5), put(x, np.s_[:0], y[:0])
    put(x.clone()[0], 0, 3.0)
"""),
)
def test_values(code):
    agree(code, y=normal(3, 4, 5, seed=1), **inputs())


@pytest.mark.parametrize(
    "code",
    rows("""
    t.gather(y, 1, j)
    y.gather(0, j[:2] % 3)
    y.gather(-1, j[:, :2])
    y.gather(1, j[:0])
    y[0].gather(0, j[0])
    t.gather(y, dim=1, index=j)
    t.index_select(y, 0, i)
    y.index_select(1, i)
    y.index_select(-1, i.int())
    y.index_select(0, i0)
    y.index_select(0, i[:0])
    t.index_select(y, 0, t.tensor([0, 0, 0]))
    t.scatter_add(y, 1, j, z)
    y.scatter_add(0, j % 3, z)
    (y * 1).scatter_add_(1, j, z)
    y.detach().scatter_add(1, j, z)
    y.scatter_add(1, t.zeros_like(j), z)
    y.masked_fill(y > 0, 5)
    y.masked_fill(y > 0, -inf)
    y.masked_fill(m4, 5)
    y.masked_fill(y[:, :1] > 0, t.tensor(2))
    y.masked_fill(y > 0, z[0, 0])
    y.long().masked_fill(y > 0, 3)
    y.nonzero()
    t.nonzero(y > 0)
    t.nonzero(y > 0, as_tuple=True)
    (y > 0).nonzero(as_tuple=True)[0]
    (y > 100).nonzero()
    y[0, 0].nonzero()
    (y[0, 0] * 0).nonzero()
    y[0, 0].nonzero().shape
    y[:0].nonzero()
    t.where(y > 0, y, z)
"""),
)
def test_functions(code):
    agree(
        code,
        y=normal(3, 4),
        z=normal(3, 4, seed=1),
        j=integers(3, 4, low=0, high=4),
        i=np.array([2, 0]),
        i0=np.array(1),
        m4=mask(4),
    )


@pytest.mark.parametrize(
    "code",
    rows("""
    t.gather(y, 2, j)
    t.gather(y, 1, j[0])
    t.gather(y, 1, j + 4)
    t.gather(y, 1, j - 5)
    t.gather(y, 1, j.double())
    t.gather(y, 0, j.t())
    t.gather(y, 1, t.zeros(4, 4, dtype=t.int64))
    t.gather(y, 1, [0])
    t.gather(y, "a", j)
    y.index_select(2, i)
    y.index_select(0, j)
    y.index_select(0, i + 3)
    y.index_select(0, i - 4)
    y.index_select(0, i.double())
    y.index_select(0, [0])
    y.index_select(0, 1)
    y.scatter_add(1, j, z[:2])
    y.scatter_add(1, j + 4, z)
    y.scatter_add(1, j, z.float())
    y.scatter_add(1, j, 1.0)
    y.scatter_add(2, j, z)
    y.scatter_add(1, j[0], z)
    y.scatter_add_(1, j, z)
    y.masked_fill(j, 1)
    y.masked_fill(m4[:3], 1)
    y.masked_fill(y > 0, [1])
    y.masked_fill(True, 1)
    t.nonzero([1])
"""),
)
def test_function_errors(code):
    both_reject(
        code, y=normal(3, 4), z=normal(3, 4, seed=1), j=integers(3, 4, low=0, high=4), i=np.array([2, 0]), m4=mask(4)
    )


# ---- random keys ----

SHAPES = [(3, 4, 5), (2, 3), (4,), (1, 3, 1, 2), (2, 0, 3), ()]


def random_item(random, size):
    """Return the text of an index for an axis of a size, and the axes that it uses."""
    if size == 0:
        return random.choice([":", "None", ":0", "..."]), 1
    length = random.choice([0, 1, 2, 2, 2, 3])
    picks = random.integers(-size, size, length).tolist()
    start, stop = random.integers(-size - 1, size + 2, 2)
    rows_of_picks = random.integers(-size, size, (int(random.choice([1, 2])), 2)).tolist()
    flags = (random.random(size) < 0.6).tolist()
    return random.choice(np.array([
        ":", f"{start}:{stop}", f"{start}:", f":{stop}:{random.integers(1, 3)}", f"{random.integers(-size, size)}",
        f"t.tensor({random.integers(-size, size)})", f"t.tensor({picks}, dtype=t.int64)", f"{picks}", f"t.tensor({rows_of_picks})",
        f"t.tensor({flags})", f"{flags}", f"np.array({picks}, dtype=np.int64)", f"t.tensor({picks}, dtype=t.int32)",
    ], object)), 1  # fmt: skip


def random_key(random, shape):
    """Return the text of a key for a shape."""
    items, axis = [], 0
    end = int(random.integers(0, len(shape) + 1))
    while axis < end:
        kind = random.random()
        if kind < 0.1:
            items.append("None")
        elif kind < 0.14:
            items.append(str(random.choice([True, False])))
        elif kind < 0.2 and axis + 1 < len(shape):
            flags = (random.random(shape[axis : axis + 2]) < 0.5).tolist()
            items.append(f"t.tensor({flags}, dtype=t.bool).reshape({shape[axis : axis + 2]})")
            axis += 2
        else:
            text, used = random_item(random, shape[axis])
            items.append(str(text))
            axis += used
    if random.random() < 0.15 and not any("..." in item for item in items):
        items.insert(int(random.integers(0, len(items) + 1)), "...")
    return ", ".join(items) + ("," if len(items) == 1 else "") if items else "()"


@pytest.mark.parametrize("seed", range(12))
def test_random_keys(seed):
    random = np.random.default_rng(seed)
    cases = []
    for _ in range(100):
        shape = SHAPES[random.choice(len(SHAPES), p=[0.5, 0.15, 0.1, 0.15, 0.05, 0.05])]
        key = random_key(random, shape)
        x = {"x": normal(*shape)}
        cases += [(f"x[{key}]", x), (f"put(x, np.s_[{key}], 7)", x), (f"put(x * 1, np.s_[{key}], x[{key}] * 2 + 1)", x)]
    check_all(cases, agree_or_both_reject)


@same_in_both
def test_assignment_through_views(t):
    x = t.zeros(3, 4)
    x[0] = 1
    x[:, 1][1:] = 2
    x.t()[3] = 3
    x.view(-1)[5:8:2] = 4
    x[t.tensor([0, 2])][0] = 100  # a copy
    x[x == 3] += 10
    x[0, 0] += 5
    x[:, 2] *= -1
    x[t.tensor([1, 1]), t.tensor([0, 0])] += 1  # once
    return x


@same_in_both
def test_assignment_of_overlapping_parts(t):
    x = t.arange(6)
    x[1:] = x[:-1].clone()
    y = t.arange(9.0).view(3, 3)
    y[:] = y.t().clone()
    return x, y
