"""Joining, splitting, flipping, repeating, triangles, diagonals: values, gradients, views, errors."""

import numpy as np
import pytest

from .compare import Const, agree_or_both_reject, check_all, integers, normal, rows, same_in_both

ROWS = rows("""
    t.hstack([x, x])
    t.hstack((v, v, s))
    t.vstack([x, x[0]])
    t.vstack([v, v])
    t.dstack([x, x])
    t.dstack([v, v])
    t.column_stack([v, v])
    t.column_stack([x, x[:, 0]])
    t.row_stack([v, v])
    t.stack([x, x], -1), t.concat([x, x], 1), t.concatenate([x, x]), t.cat((x, x), dim=-1)
    t.tensor_split(x, 3, 1)
    x.tensor_split((1, 3), dim=1)
    t.tensor_split(x, t.tensor([1, 2]))
    t.tensor_split(x, (2, 1, 9), 1)
    t.hsplit(x, 2), t.vsplit(x, 3), t.hsplit(v, 2)
    t.dsplit(c, 2)
    t.hsplit(x, 3)
    x.split([1, 3], 1), x.split(2, dim=1), t.split(x, 2), x.split_with_sizes([1, 2]), x.chunk(2, 1)
    x.unbind(1), x.narrow(1, 1, 2), x.select(0, -1)
    t.flip(x, [0])
    x.flip(0, 1)
    x.flip((1,))
    t.flip(c, dims=(0, -1))
    t.flip(s, [])
    t.fliplr(x), t.flipud(x), t.flipud(v)
    t.fliplr(v)
    t.flip(x, [0, 0])
    t.roll(x, 1)
    t.roll(x, 2, 0)
    x.roll(shifts=-1, dims=1)
    t.roll(x, (1, -2), (0, 1))
    t.roll(x, (1, 2))
    x.roll(0, 1)
    t.rot90(x), t.rot90(x, 2), t.rot90(x, 3), t.rot90(x, -1, [1, 0]), t.rot90(c, 1, (1, 2)), t.rot90(x, 4)
    t.rot90(v)
    x.repeat(2, 1)
    x.repeat(2, 1, 2)
    x.repeat((1, 3))
    v.repeat(0)
    s.repeat(3)
    x.repeat(2)
    t.tile(x, (2,))
    x.tile(2, 1, 2)
    t.tile(v, (2, 2))
    t.repeat_interleave(x, 2)
    x.repeat_interleave(2, 1)
    t.repeat_interleave(x, i[:3].abs(), dim=0)
    t.repeat_interleave(i.abs())
    x.repeat_interleave(i[:2].abs(), 0)
    x.expand(2, 3, 4), x.expand(-1, 4), v.expand(2, -1), t.broadcast_to(v, (3, 4))
    t.broadcast_tensors(x, v, s)
    t.broadcast_shapes((3, 1), (4,), (2, 1, 1))
    t.tril(x), t.triu(x), x.tril(1), x.triu(-1), t.tril(c, diagonal=-1), t.triu(x[:0])
    t.tril(v)
    (x * 1).tril_(), (x * 1).triu_(1)
    t.tril_indices(3, 4), t.triu_indices(3, 3, 1), t.tril_indices(2, 3, -1, dtype=t.int32), t.triu_indices(3, 4, offset=-1)
    t.diag(x), t.diag(v), x.diag(1), v.diag(-1), x.diag(-5)
    t.diagonal(x), x.diagonal(1), t.diagonal(c, -1, 0, 2), t.diagonal(c, offset=1, dim1=-1, dim2=0), x.diagonal(9)
    t.diagonal(x, 0, 1, 1)
    t.diag_embed(x), t.diag_embed(v, 1), t.diag_embed(x, -1, 0, 2), t.diagflat(x[:2, :2], 1)
    t.trace(x)
    t.swapaxes(x, axis0=0, axis1=1), t.split_with_sizes(x, split_sizes=(1, 2), dim=0), t.adjoint(s), t.tril(x > 0), t.triu(x > 0, 1)
    t.cartesian_prod(x)
    t.combinations(x)
    t.ravel(x.t()), x.ravel(), t.flatten(c, 1), t.flatten(s), c.flatten(0, 1), x.unflatten(1, (2, -1))
    x.squeeze(), x[None].squeeze(0), x[None, :, None].squeeze((0, 2)), x[None].squeeze(1), t.squeeze(x[None, None], (0, 1))
    t.movedim(c, 0, -1), t.moveaxis(c, (0, 1), (2, 0)), t.swapaxes(c, 0, 2), t.swapdims(c, 1, 2), c.swapaxes(0, 1), c.mT, c.mH, x.H, x.T, x.adjoint()
    v.unfold(0, 2, 1), x.unfold(1, 3, 1), c.unfold(-1, 2, 2), x.unfold(0, 2, 3), x.unfold(1, 5, 1)
    t.meshgrid(v, i, indexing="ij")
    t.meshgrid([v, v], indexing="ij"), t.meshgrid(v, v[:2], s, indexing="xy"), t.meshgrid(v, v, indexing="ij")
    t.cartesian_prod(v, v[:2]), t.cartesian_prod(v), t.combinations(v), t.combinations(v, 3), t.combinations(v, with_replacement=True)
    t.atleast_1d(s), t.atleast_2d(v), t.atleast_3d(x), t.atleast_3d(v), t.atleast_2d([s, v]), t.atleast_3d(s, c)
    t.block_diag(x, v, s)
    t.hstack([])
    (x * 1).unsqueeze_(0), (x * 1).squeeze_(), (x * 1).t_(), (x * 1).transpose_(0, 1), (x * 1)[None].squeeze_(0)
    t.narrow(x, 1, 0, 2), t.unbind(v), t.permute(c, (2, 0, 1)), t.reshape(x, (-1, 2)), x.view(2, 6), x.view_as(x.reshape(4, 3)).t()
    x.reshape_as(t.zeros(4, 3))
""")


@pytest.mark.parametrize("code", ROWS)
def test_values_and_gradients(code):
    inputs = {
        "x": normal(3, 4),
        "v": normal(4, seed=1),
        "s": np.array(1.5),
        "c": normal(2, 3, 4),
        "i": integers(4, low=-3, high=4),
    }
    single = {name: value.astype(np.float32) if value.dtype.kind == "f" else value for name, value in inputs.items()}
    wide = {**inputs, "x": np.asfortranarray(inputs["x"])}
    check_all([(code, inputs), (code, single), (code, wide)])


@pytest.mark.parametrize("code", rows("""
    t.flip(x, [0])
    t.roll(x, 1, 0)
    t.tril(x)
    x.repeat(2, 2)
    t.diagonal(x)
    t.diag_embed(x)
    t.hstack([x, x])
    t.repeat_interleave(x, 2, 0)
    t.rot90(x)
    t.tensor_split(x, 2)
    x.unfold(0, 0, 1)
"""))  # fmt: skip
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1)], ids=str)
def test_empty(code, shape):
    agree_or_both_reject(code, x=normal(*shape))


@same_in_both
def test_diagonals_are_views_that_can_be_written(t):
    x = t.zeros(3, 4)
    x.diagonal().fill_(1)
    x.diagonal(1)[0] = 5
    w = t.ones(3, 3, requires_grad=True)
    h = w * 2
    h.diagonal().mul_(3)
    h.sum().backward()
    return x, w.grad, t.zeros(3, 3).fill_diagonal_(2)


@same_in_both
def test_relabelled_tensors_keep_their_memory_and_history(t):
    base = t.arange(6.0)
    view = base.view(2, 3)
    view.t_()
    view[0, 0] = 7
    x = t.ones(2, 3, requires_grad=True)
    h = x * 2
    h.unsqueeze_(0).transpose_(1, 2)
    y = (h * t.arange(6.0).view(1, 3, 2)).sum()
    y.backward()
    h.detach().squeeze_().mul_(2)
    return base, view, h.shape, h.detach(), x.grad, t.zeros(2, 3).swapaxes_(0, 1).shape


def test_second_gradients():
    check_all([
        (f"t.autograd.grad(({code} ** 3).sum(), x, create_graph=True)", {"x": normal(3, 4)})
        for code in ("t.flip(x, [1])", "t.diagonal(x)", "t.tril(x)", "x.repeat(2, 2)", "x.unfold(1, 2, 1)", "t.cumsum(x, 1)", "t.cumprod(x, 1)", "t.sort(x)[0]", "x.norm(3)", "t.diag_embed(x)", "t.logcumsumexp(x, 1)")
    ] + [("t.block_diag(x, x)", {"x": Const(normal(2, 2))})])  # fmt: skip
