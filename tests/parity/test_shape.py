"""Views and copies: values, gradients, strides, and which results share memory with their input."""

import numpy as np
import pytest

from .compare import Const, agree, both_reject, check_all, evaluate, integers, normal, rows, same, tg, torch

VIEWS = rows("""
    x.view(6, 4)
    x.view(-1)
    x.view(2, -1)
    x.view(2, 3, 2, 2)
    x.view((4, 6))
    x.view([24])
    x.view(1, 2, 1, 3, 4, 1)
    x.view_as(t.zeros(4, 6))
    x.detach().view(x.dtype)
    x.reshape(6, 4)
    x.reshape(-1, 2)
    x.reshape((24,))
    x.reshape_as(t.zeros(3, 8))
    t.reshape(x, (4, -1))
    x.permute(2, 0, 1)
    x.permute((1, 0, 2))
    x.permute(-1, 0, 1)
    x.permute(0, 1, 2)
    t.permute(x, (2, 1, 0))
    x.transpose(0, 2)
    x.transpose(-1, 1)
    x.transpose(1, 1)
    t.transpose(x, 0, 1)
    x.swapaxes(0, 1)
    x.mT
    x[0].T
    x[0].t()
    x[0, 0].t()
    x[0, 0, 0].t()
    t.t(x[0])
    x[0, 0].T
    x.movedim(0, 2)
    x.movedim(-1, 0)
    x.movedim((0, 1), (2, 0))
    t.movedim(x, (0, 2), (1, 0))
    x.flatten()
    x.flatten(1)
    x.flatten(0, 1)
    x.flatten(1, -1)
    x.flatten(start_dim=1, end_dim=2)
    t.flatten(x, 2)
    x[0, 0, 0].flatten()
    x.unflatten(2, (2, 2))
    x.unflatten(-1, (2, -1))
    t.unflatten(x, 0, (1, 2))
    x.squeeze()
    x.unsqueeze(0)
    x.unsqueeze(-1)
    x.unsqueeze(2)
    x.unsqueeze(1).squeeze(1)
    x.unsqueeze(1).squeeze()
    x.unsqueeze(0).unsqueeze(-1).squeeze((0, -1))
    x.unsqueeze(0).squeeze(1)
    x.squeeze(())
    t.squeeze(x[:, :1], 1)
    t.squeeze(x[:1, :1, :1])
    t.unsqueeze(x, dim=1)
    x[:, :1].expand(2, 3, 4)
    x[:, :1].expand(-1, 5, -1)
    x[:, :1].expand((2, 3, 4))
    x.expand(5, 2, 3, 4)
    x.expand(2, 3, 4)
    x[0, 0, 0].expand(3)
    x[:1].expand(0, 3, 4)
    x[:1].expand_as(x)
    x[:, :1].broadcast_to((2, 2, 4))
    t.broadcast_to(x[0, 0], (3, 4))
    x.narrow(1, 1, 2)
    x.narrow(-1, -2, 1)
    x.narrow(0, 0, 0)
    t.narrow(x, 2, 1, 3)
    x.select(1, 0)
    x.select(-1, -1)
    t.select(x, 0, 1)
    x.unbind()
    x.unbind(1)
    t.unbind(x, -1)
    x.split(2, 2)
    x.split(3, 2)
    x.split(5)
    x.split([1, 3], -1)
    x.split((1, 0, 2), 1)
    t.split(x, 1, dim=1)
    t.split(x, [1, 1])
    x.chunk(2)
    x.chunk(3, 2)
    x.chunk(5, 2)
    x.chunk(2, dim=1)
    t.chunk(x, 4, -1)
    x[:0].split(2)
    x[:0].chunk(3)
    x.detach()
    x.contiguous()
    x.clone()
    x[1].t()
    x.transpose(0, 1).contiguous()
    x.transpose(0, 1).reshape(6, 4)
    x.transpose(0, 1).flatten()
    x.transpose(0, 1).reshape(3, 2, 2, 2)
    x.transpose(0, 1).view(3, 2, 2, 2)
    x.permute(2, 0, 1).flatten(1)
    x.permute(2, 0, 1).flatten(0, 1)
    x.permute(2, 0, 1).reshape(4, 6)
    x.permute(2, 0, 1).view(4, 6)
    x[:, :, ::2].reshape(2, 3, 2, 1)
    x[:, :, ::2].reshape(6, 2)
    x[:, :, ::2].view(6, 2)
    x[:, ::2].reshape(4, 4)
    x[..., 0].view(6)
    x[:, :1].expand(2, 3, 4).reshape(2, 12)
    x[:, :1].expand(2, 3, 4).flatten(1)
    x[0, 0, 0].view(1, 1)
    x[0, 0, 0].reshape(())
    x[0, 0, 0].unsqueeze(0)
    x[:0].view(0, 5)
    x[:0].reshape(3, 0)
    x[:0].view(-1, 12)
    x[1]
    x[1, 2, 3]
    x[-1]
    x[0:1]
    x[:, 1:3]
    x[:, ::2, 1::2]
    x[..., 1]
    x[None]
    x[:, None, 0]
    x[..., None]
    x[...]
    x[:]
    x[()]
    x[1:1]
    x[5:]
    x[-100:100]
    x[0][1]
    x.reshape(24)[3:20:4]
    x.data
""")


def memory(t, y, x):
    """Return the strides of y, and where in the memory of x it starts (None if it has memory of its own)."""
    if not y.numel():
        return "empty"
    if t is tg:
        shared = np.shares_memory(y.detach().numpy(), x.detach().numpy())
    else:
        shared = y.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    strides = [stride for stride, size in zip(y.stride(), y.shape) if size != 1]
    return strides, y.is_contiguous(), y.data_ptr() - x.data_ptr() if shared else None


@pytest.mark.parametrize("code", VIEWS)
def test_views(code):
    agree(code, x=normal(2, 3, 4))
    agree(code, x=integers(2, 3, 4))


@pytest.mark.parametrize("code", VIEWS)
def test_memory(code):
    found = []
    for t in (tg, torch):
        y, given = evaluate(t, code, {"x": normal(2, 3, 4)})
        found.append([memory(t, part, given["x"]) for part in (y if isinstance(y, (tuple, list)) else [y])])
    same(*found, code)


@pytest.mark.parametrize(
    "code",
    rows("""
    t.cat([x, y])
    t.cat((x, y), 0)
    t.cat([x, y], dim=-2)
    t.cat([x, x, x], 1)
    t.cat([x])
    t.cat([x, t.zeros(0)])
    t.cat([t.zeros(0, dtype=t.float64), x], 1)
    t.cat([x[:0], x])
    t.cat([x[:, :0], x], 1)
    t.cat([x, x.long()], 1)
    t.cat([x.t(), y.t()], 1)
    t.concat([x, y])
    t.concatenate([x, y], 0)
    t.cat([x[:1].expand(2, 3), y])
    t.cat(x.split(1))
    t.cat(tensors=[x, y], dim=0)
    t.stack([x, x])
    t.stack([x, x], 1)
    t.stack([x, x], -1)
    t.stack((x, x, x), dim=2)
    t.stack([x[0, 0], x[0, 1]])
    t.stack([x.sum(), x.mean()])
    t.stack([x[:0], x[:0]])
    t.stack([x, x.long()])
    t.stack([x])
    t.stack([a for a in x])
    t.stack(x.unbind(1), 1)
    t.clone(x)
    x.contiguous()
    x.t().contiguous()
    sum(x), sum(x[0])
    [row * 2 for row in x]
    dict(enumerate(x))[1]
    max(x[0]), min(x[1])
    x.type_as(y) is x
    F.pad(x, (1, 2))
    F.pad(x, (1, 2, 3, 4))
    F.pad(x, [0, 1], value=2.5)
    F.pad(x, (-1, 1))
    F.pad(x, (-1, -1, 1, 0), "constant", 3)
    F.pad(x, ())
    F.pad(x, (0, 0))
    F.pad(x, (1, 1), mode="constant", value=None)
    F.pad(x[None, None], (1, 2, 1, 0), mode="reflect")
    F.pad(x[None], (2, 2), mode="reflect")
    F.pad(x[None, None], (1, 2, 3, 0), mode="replicate")
    F.pad(x[None], (5, 5), "replicate")
    F.pad(x[None, None], (1, 2, 1, 2), mode="circular")
    F.pad(x[None], (3, 0), mode="circular")
    F.pad(x[None, None], (-1, 2, 1, 0), mode="reflect")
    F.pad(x[None, None], (1, -1, 0, 0), mode="replicate")
    F.pad(x[None], (1, 1), mode="reflect")
    F.pad(x, (1, 1), mode="reflect")
    F.pad(x, (1, 1), mode="replicate")
    F.pad(x, (1, 1), mode="circular")
    F.pad(x[None, None], (0, 0, 0, 0), mode="reflect")
    F.pad(x[:, None, None, None], (1, 0, 0, 0, 0, 0), mode="reflect")
    F.pad(x.long(), (1, 1), value=7)
    F.pad(x > 0, (1, 1), value=True)
    F.pad(x[:0], (1, 1))
"""),
)
def test_copies(code):
    agree(code, x=normal(2, 3), y=normal(2, 3, seed=1))


@pytest.mark.parametrize(
    "code",
    rows("""
    x.view(5)
    x.view(-1, -1)
    x.view(-2, 4)
    x.view(-1, 5)
    x.view(-1, 0)
    x.view(0, -1)
    x.view("a")
    x.view(2.5)
    x.view()
    x.reshape()
    x.permute()
    x.expand()
    x.reshape(6, shape=(6,))
    x.t().view(6)
    x.t().view(-1)
    x.reshape(5)
    x.reshape(-1, 4)
    x.reshape("a")
    x[:0].reshape(-1, 0)
    x[:0].view(-1)[0]
    x.permute(0)
    x.permute(0, 0)
    x.permute(0, 2)
    x.permute(0, 1, 2)
    x.permute("a")
    x.transpose(0, 2)
    x.transpose(0)
    x.transpose(-3, 0)
    x.unsqueeze(3)
    x.unsqueeze(-4)
    x.unsqueeze()
    x.squeeze(2)
    x.squeeze((0, 0))
    x.flatten(1, 0)
    x.flatten(2)
    x.flatten(0, 5)
    x.unflatten(0, (3, 3))
    x.unflatten(2, (1, 2))
    x.unflatten(0, ())
    x.expand(3, 3)
    x.expand(2)
    x.expand(-1, 2, 3)
    x.expand(2, -2)
    x.expand(4, -1)
    x.expand("a")
    x.broadcast_to((2, 4))
    x.narrow(0, 1, 2)
    x.narrow(0, 3, 0)
    x.narrow(0, -3, 1)
    x.narrow(0, 0, -1)
    x.narrow(2, 0, 1)
    x.select(0, 2)
    x.select(0, -3)
    x.select(2, 0)
    x.unbind(2)
    x[0, 0].unbind()
    x.split(-1)
    x.split(0)
    x.split([1, 2])
    x.split([3, -1])
    x.split([1, 1, 1])
    x.split(1, 2)
    x[0, 0].split(1)
    x.chunk(0)
    x.chunk(-1)
    x.chunk(2, 2)
    x.movedim(0, 2)
    x.movedim((0, 0), (0, 1))
    x.movedim((0, 1), (0,))
    x.mT.mT[0].mT
    t.t(x[None])
    t.cat([])
    t.cat([x, x[0]])
    t.cat([x, x[:, :2]])
    t.cat([x, x], 2)
    t.cat([x, x], -3)
    t.cat(x)
    t.cat([x, 3])
    t.cat([1, 2])
    t.cat([x[0, 0], x[0, 1]])
    t.cat(None)
    t.stack([])
    t.stack([x, x[:1]])
    t.stack([x, x], 3)
    t.stack([x, x], -4)
    t.stack([x, 3])
    t.stack([1, 2])
    t.stack(5)
    x.reshape_as(x[0])
    x.view_as(x[0])
    F.pad(x, (1,))
    F.pad(x, (1, 2, 3))
    F.pad(x, (1, 1, 1, 1, 1, 1))
    F.pad(x, (-2, -2))
    F.pad(x, 1)
    F.pad(x, (1, 1), mode="nonsense")
    F.pad(x[None], (3, 0), mode="reflect")
    F.pad(x[None, None], (0, 0, 2, 0), mode="reflect")
    F.pad(x[None], (4, 0), mode="circular")
    F.pad(x[None], (1, 1), mode="reflect", value=1)
    F.pad(x, (1, 1, 1, 1), mode="reflect")
    F.pad(x[0], (1, 1), mode="reflect")
    F.pad(x[None, None], (1, 1), mode="reflect")
    F.pad(x[None, None, None], (1, 1), mode="circular")
    F.pad(x, (1.5, 1))
    F.pad(x, "ab")
    t.reshape([1, 2], (2,))
    t.transpose(3, 0, 1)
    t.squeeze([1])
    t.flatten(np.zeros(3))
    t.permute("a", (0,))
"""),
)
def test_errors(code):
    both_reject(code, x=normal(2, 3))


@pytest.mark.parametrize(
    "code",
    rows("""
    t.reshape(input=x, shape=(4, 3))
    x.reshape(shape=(4, 3)), x.view(size=(4, 3)), x.expand(size=(2, 3, 4)), x.permute(dims=(1, 0)), x.broadcast_to(size=(2, 3, 4))
    t.permute(input=x, dims=(1, 0)), t.transpose(input=x, dim0=0, dim1=1), x.movedim(source=0, destination=1)
    x.narrow(dim=0, start=0, length=1), x.select(dim=0, index=0), x.unbind(dim=0), x.flatten(start_dim=0, end_dim=-1)
    x.unflatten(dim=0, sizes=(1, 3)), x.unsqueeze(dim=0), x[:1].squeeze(dim=0), t.chunk(input=x, chunks=2, dim=0)
    t.split(x, split_size_or_sections=1, dim=1)
    t.cat(tensors=[x, x], dim=1), t.cat([x, x], axis=1), t.stack([x, x], axis=1), t.concatenate([x, x], axis=-1)
    t.gather(input=x, dim=0, index=x.long() * 0), x.index_select(dim=0, index=t.tensor([0])), x.masked_fill(mask=x > 0, value=0)
    x.new_zeros(size=(2,)), x.new_ones(size=(2,)), x.new_full(size=(2,), fill_value=1.0), x.size(dim=0), x.stride(dim=1)
    t.exp(input=x), t.add(input=x, other=x), t.mul(x, other=2), t.pow(input=x.abs(), exponent=2), t.clamp(input=x, min=0, max=1)
    t.where(condition=x > 0, input=x, other=0.0), t.maximum(input=x, other=x), t.eq(x, other=0), t.matmul(input=x, other=x.t())
    t.mm(input=x, mat2=x.t()), x.softmax(dim=0), t.sum(input=x, dim=0, keepdim=True), x.max(dim=0), x.sum(0, keepdims=True)
    x.T.T, x[0, 0].T, x[0, 0].permute(()), x[0, 0].expand(()), x[0, 0].reshape(()), x[0, 0].view(())
"""),
)
def test_names_of_arguments(code):
    agree(code, x=normal(3, 4))


def test_every_reshape_of_every_layout():
    layouts = ["x", "x.transpose(0, 1)", "x.transpose(1, 2)", "x.permute(2, 0, 1)", "x[:, :2]", "x[:, ::2]", "x[:, :, 1:]", "x[1]",
               "x[:1]", "x[:, :1].expand(2, 3, 4)", "x[..., :1]", "x.unsqueeze(1).transpose(0, 2)"]  # fmt: skip
    cases = []
    for layout in layouts:
        size = evaluate(torch, layout, {"x": normal(2, 3, 4)})[0].numel()
        shapes = [(a, size // a) for a in (1, 2, 3, 4, 6) if size % a == 0] + [(2, -1, 2), (-1,), (size, 1), (1, -1, 1)]
        cases += [
            (f"{layout}.reshape({shape})", {"x": normal(2, 3, 4)})
            for shape in shapes
            if size % 4 == 0 or len(shape) < 3
        ]
    check_all(cases)
    for code, inputs in cases:
        found = []
        for t in (tg, torch):
            y, given = evaluate(t, code, inputs)
            found.append(memory(t, y, given["x"]))
        same(*found, code)


def test_view_fails_where_pytorch_says_so():
    layouts = [
        "x",
        "x.transpose(0, 1)",
        "x.permute(2, 0, 1)",
        "x[:, :2]",
        "x[:, ::2]",
        "x[:, :, 1:]",
        "x[:, :1].expand(2, 3, 4)",
    ]
    shapes = ["-1", "2, -1", "4, -1", "-1, 3", "-1, 4", "2, 2, -1", "1, -1, 2", "-1, 1"]
    check_all([(f"{layout}.view({shape})", {"x": Const(normal(2, 3, 4))}) for layout in layouts for shape in shapes])


@pytest.mark.parametrize(
    "code",
    rows("""
    x[0] is x[0]
    x.view(-1)._base is x
    x.view(-1)[2:]._base is x
    x._base is None
    x.reshape(6)._base is x
    x.clone()._base is None
    x.detach().requires_grad, x.detach().is_leaf, x[0].is_leaf, x.view(-1).requires_grad
    x.contiguous() is x, x.t().contiguous() is x, x.expand(2, 3) is x, x.reshape(2, 3) is x
    x.to(t.float64) is x, x.double() is x, x.cpu() is x
    x.flatten(0, 0) is x, x[0].flatten() is x[0]
    x.squeeze().shape, x.unsqueeze(0).stride(), x.stride(), x.t().stride(-1), x.T.is_contiguous()
    x.size(), x.size(0), x.size(-1), x.size(dim=1), x.shape[-1], tuple(x.shape), list(x.shape), x.shape == (2, 3), len(x.shape)
    [*x.size()], x.shape[1:], x.shape.numel(), str(x.shape).replace("torch.", ""), x.numel(), x.ndim, x.dim(), x.nelement()
"""),
)
def test_properties(code):
    agree(code, x=normal(2, 3))
