"""Products beyond matmul, einsum in all forms, norms."""

import numpy as np
import pytest

from .compare import Const, agree_or_both_reject, check_all, integers, normal, rows

ROWS = rows("""
    t.mv(a, v)
    a.mv(a)
    t.dot(v, v * 2), v.dot(v), t.vdot(v, v), v.vdot(v)
    t.dot(v, v[:2])
    t.outer(v, a[:, 0]), v.outer(v), t.ger(v, v)
    t.outer(a, v)
    t.inner(v, v), t.inner(a, v), t.inner(a, a), t.inner(s, a)
    t.inner(a, v[:2])
    t.addmm(c, a, b), t.addmm(c[0], a, b, beta=2, alpha=0.5), c.addmm(a, b), t.addmm(s.detach(), a, b, beta=0)
    t.addmm(a, a, b)
    (c * 1).addmm_(a, b)
    t.addmv(a[:, 0], a, v), t.addmv(s, a, v, beta=0.5, alpha=2)
    t.addr(a, a[:, 0], v), t.addr(v, a[:, 0], v, beta=-1)
    t.baddbmm(d, x, y), t.baddbmm(d[0], x, y, alpha=2), (d * 1).baddbmm_(x, y), t.addbmm(d[0], x, y, beta=0.5)
    t.bmm(x, y), t.mm(a, b), a.mm(b), a @ b, x @ y, x @ b, a @ y, x.matmul(v)
    t.bmm(a, b)
    t.tensordot(a, b, 1), t.tensordot(x, y, ([1, 2], [2, 1])), t.tensordot(a, a, 2), t.tensordot(v, v, 0), t.tensordot(x, y, dims=([2], [1]))
    t.tensordot(a, a, 1)
    t.kron(a, b), t.kron(v, a), t.kron(s, a)
    t.chain_matmul(a, b, a)
    t.cdist(a, a + 1), t.cdist(x, x[:1] + 1, p=1), t.cdist(a, b.t() + 1, 3.0), t.cdist(a, a + 1, float("inf"))
    t.cdist(a, v)
    t.cross(a.t(), a.t() * 2, dim=1), t.linalg.cross(a.t(), a.t() ** 2), t.cross(a, a + 1, 0)
    t.linalg.vector_norm(x), t.linalg.vector_norm(x, 1, 0), t.linalg.vector_norm(x, 3, (0, 2), True), t.linalg.vector_norm(x, dim=-1)
    t.linalg.norm(x), t.linalg.norm(a, "fro"), t.linalg.norm(v, 1), t.linalg.norm(x, dim=1), t.linalg.norm(a, dim=(0, 1)), t.linalg.norm(v, inf)
    t.linalg.norm(a, 1), t.linalg.norm(a, inf), t.linalg.norm(a, -1), t.linalg.norm(a, ord=-inf, keepdim=True)
    t.linalg.matrix_norm(x), t.linalg.matrix_norm(x, 1), t.linalg.matrix_norm(x, inf, (0, 2), True)
    t.linalg.vecdot(a * 1.0, a + 1.0), t.linalg.matmul(a, b), t.linalg.diagonal(a)
    t.einsum("ij,jk->ik", a, b)
    t.einsum("ij,jk", a, b)
    t.einsum("bij,bjk->bik", x, y)
    t.einsum("bij,bjk->ki", x, y)
    t.einsum("...ij,...jk->...ik", x, b)
    t.einsum("...ij,...jk", x, y)
    t.einsum("i,i", v, v), t.einsum("i,j", v, v), t.einsum("i,j->ji", v, v), t.einsum("i->", v), t.einsum("ij->ji", a), t.einsum("ba", a)
    t.einsum("ii->i", q), t.einsum("ii", q), t.einsum("iij->ij", q[:, :, None] * v), t.einsum("bii->b", q[None])
    t.einsum("ij,ij->", a, a), t.einsum("ij->j", a), t.einsum("i...->...", x), t.einsum("...->...", x), t.einsum("...", x)
    t.einsum("bij,jk,kl->bil", x, b, a), t.einsum("i,j,k->kji", v, v, v), t.einsum("ab,bc,cd,de->ae", q, q, q, q)
    t.einsum(" i j , j k -> i k ", a, b), t.einsum("ij,jk->ik", [a, b]), t.einsum("Ij,jk->kI", a, b)
    t.einsum("bhid,bhjd->bhij", x[:, None], x[:, None]), t.einsum("nchw,oc->nohw", x[..., None], x[0, :, :3].reshape(3, 3)), t.einsum("ij,j->ij", a, v)
    t.einsum("ij,kj->ik", a, v[None]), t.einsum("i...j,j->...i", x, v)
    t.einsum("ij,jk->ii", a, b)
    t.einsum("ij,jk->im", a, b)
    t.einsum("ij,jk->ik", a)
    t.einsum("ijk,jk->ik", a, b)
    t.einsum("ij,jk->ik", a, a)
    t.einsum("ii", a)
    t.einsum("i1", a)
""")


@pytest.mark.parametrize("code", ROWS)
def test_values_and_gradients(code):
    inputs = {
        "a": normal(3, 4), "b": normal(4, 3, seed=1), "c": normal(3, 3, seed=2), "v": normal(4, seed=3), "s": np.array(1.5),
        "x": normal(2, 3, 4, seed=4), "y": normal(2, 4, 3, seed=5), "d": normal(2, 3, 3, seed=6), "q": normal(3, 3, seed=7),
    }  # fmt: skip
    single = {name: array.astype(np.float32) for name, array in inputs.items()}
    whole = {name: Const(integers(*array.shape)) for name, array in inputs.items()}
    cases = [(code, inputs), (code, single)]
    if "norm" not in code and "cdist" not in code and "0.5" not in code:
        cases.append((code, whole))
    check_all(cases, scaled)


def scaled(code, **inputs):
    return agree_or_both_reject(code, scaled=True, **inputs)


@pytest.mark.parametrize("shapes", [((2, 0), (0, 3)), ((0, 2), (2, 3)), ((2, 2), (2, 0)), ((0, 0), (0, 0))], ids=str)
def test_empty(shapes):
    a, b = [normal(*shape) for shape in shapes]
    check_all(
        [
            (code, {"a": a, "b": b})
            for code in (
                "t.mm(a, b)",
                "t.einsum('ij,jk->ik', a, b)",
                "t.tensordot(a, b, 1)",
                "t.kron(a, b)",
                "t.einsum('ij,jk->', a, b)",
            )
        ]
    )


@pytest.mark.parametrize("seed", range(60))
def test_random_einsums(seed):
    random = np.random.default_rng(seed)
    letters = "abcd"
    sizes = dict(zip(letters, random.permutation([1, 2, 3, 4])))
    terms = ["".join(random.choice(list(letters), random.integers(1, 4))) for _ in range(random.integers(1, 4))]
    known = sorted(set("".join(terms)))
    output = "".join(random.permutation(known)[: random.integers(0, len(known) + 1)])
    operands = {f"x{n}": normal(*[sizes[k] for k in term], seed=n) for n, term in enumerate(terms)}
    equation = ",".join(terms) + (f"->{output}" if seed % 4 else "")
    scaled(f"t.einsum({equation!r}, {', '.join(operands)})", **operands)
