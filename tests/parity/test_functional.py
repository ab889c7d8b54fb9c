"""autograd.functional against PyTorch's: values, structure, further derivatives and errors."""

from __future__ import annotations

import pytest

from .compare import error_of, normal, same_in_both


def inputs(t, grad=False):
    a, b = [t.from_numpy(normal(*shape, seed=k)).requires_grad_(grad) for k, shape in enumerate(((3,), (2, 3)))]
    return a, b


FUNCTIONS = {
    "one to one": (lambda a: (a * a).sin(), 1),
    "one to two": (lambda a: (a.exp(), (a**3).sum()), 1),
    "two to one": (lambda a, b: (a * b).exp().sum(1), 2),
    "two to two": (lambda a, b: (a * b**2, a.sum()), 2),
    "partly unused": (lambda a, b: (a * 2, b * b), 2),
    "tuple of one": (lambda a: (a**2,), 1),
}
SCALARS = {
    "cubic": (lambda a: (a**3).sum(), 1),
    "mixed": (lambda a, b: (a * b * b).sum() + (a**2).sum().exp(), 2),
    "linear": (lambda a: (a * 2).sum(), 1),
    "one unused": (lambda a, b: (b**3).sum(), 2),
    "of one dimension": (lambda a: (a**3).sum().reshape(1), 1),
}
EVERY = pytest.mark.parametrize("case", FUNCTIONS.values(), ids=FUNCTIONS)
SCALAR = pytest.mark.parametrize("case", SCALARS.values(), ids=SCALARS)
GRAPH = pytest.mark.parametrize("create_graph", [False, True])


def given(t, count, grad, single=True):
    xs = inputs(t, grad)[:count]
    return xs[0] if single and count == 1 else xs


def like(t, values, seed=5):
    """Return random tensors in the structure of others."""
    if isinstance(values, (tuple, list)):
        return tuple(like(t, v, seed + i) for i, v in enumerate(values))
    return t.from_numpy(normal(*values.shape, seed=seed))


def called(t, case, xs):
    return case[0](*xs) if isinstance(xs, tuple) else case[0](xs)


@EVERY
@GRAPH
@same_in_both
def test_jacobian(t, case, create_graph):
    return t.autograd.functional.jacobian(case[0], given(t, case[1], True), create_graph=create_graph)


@EVERY
@same_in_both
def test_jacobian_of_a_tuple_without_gradients(t, case):
    return t.autograd.functional.jacobian(case[0], given(t, case[1], False, single=False))


@EVERY
@GRAPH
@same_in_both
def test_vjp(t, case, create_graph):
    xs = given(t, case[1], True)
    return t.autograd.functional.vjp(case[0], xs, like(t, called(t, case, xs)), create_graph=create_graph)


@EVERY
@GRAPH
@same_in_both
def test_jvp(t, case, create_graph):
    xs = given(t, case[1], True)
    return t.autograd.functional.jvp(case[0], xs, like(t, xs), create_graph=create_graph)


@SCALAR
@GRAPH
@same_in_both
def test_hessian(t, case, create_graph):
    return t.autograd.functional.hessian(case[0], given(t, case[1], True), create_graph=create_graph)


@SCALAR
@GRAPH
@pytest.mark.parametrize("name", ["vhp", "hvp"])
@same_in_both
def test_products_with_the_hessian(t, case, create_graph, name):
    xs = given(t, case[1], True)
    return getattr(t.autograd.functional, name)(case[0], xs, like(t, xs), create_graph=create_graph)


@same_in_both
def test_further_derivatives(t):
    f = t.autograd.functional
    a, b = inputs(t, True)
    jacobian = f.jacobian(lambda a: (a**3) * b, a, create_graph=True)
    hessian = f.hessian(lambda a: (a**4).sum() * b.sum(), a, create_graph=True)
    _, product = f.jvp(lambda a: (a**3) * b, a, b[0], create_graph=True)
    return [t.autograd.grad((x**2).sum(), (a, b), retain_graph=True) for x in (jacobian, hessian, product)]


@same_in_both
def test_a_captured_tensor_is_a_constant(t):
    a, _ = inputs(t, True)
    return t.autograd.functional.jacobian(lambda x: x * a, a), t.autograd.functional.vjp(lambda x: (x * a).sum(), a)


@same_in_both
def test_inside_no_grad(t):
    a, _ = inputs(t)
    with t.no_grad():
        return t.autograd.functional.hessian(lambda x: (x**3).sum(), a), t.autograd.functional.vjp(
            lambda x: x.exp().sum(), a
        )


BAD = [
    lambda t, f, a, b: f.vjp(lambda x: x * 2, a),
    lambda t, f, a, b: f.vjp(lambda x: x * 2, a, t.ones(4)),
    lambda t, f, a, b: f.vjp(lambda x: x * 2, a, (t.ones(3), t.ones(3))),
    lambda t, f, a, b: f.vjp(lambda x: 3, a),
    lambda t, f, a, b: f.vjp(lambda x: x, [a]),
    lambda t, f, a, b: f.jvp(lambda x: x * 2, a),
    lambda t, f, a, b: f.jvp(lambda x: x * 2, a, b),
    lambda t, f, a, b: f.hessian(lambda x: x * 2, a),
    lambda t, f, a, b: f.hessian(lambda x: (x.sum(), x.sum()), a),
    lambda t, f, a, b: f.vhp(lambda x: x * 2, a, a),
    lambda t, f, a, b: f.hvp(lambda x: (x**2).sum(), a),
    lambda t, f, a, b: f.jacobian(lambda x, y: x * 2, (a, b), strict=True),
    lambda t, f, a, b: f.jacobian(lambda x: x.detach(), a, strict=True),
    lambda t, f, a, b: f.jacobian(lambda x: x * 2, a.requires_grad_(), create_graph=True, strict=True),
    lambda t, f, a, b: f.vjp(lambda x, y: x.sum(), (a, b), strict=True),
    lambda t, f, a, b: f.hessian(lambda x: x.sum(), a, strict=True),
    lambda t, f, a, b: f.vhp(lambda x: x.sum(), a, a.detach(), strict=True),
    lambda t, f, a, b: f.jvp(lambda x: x.detach(), a, a.detach(), strict=True),
]


@pytest.mark.parametrize("call", BAD, ids=range(len(BAD)))
@same_in_both
def test_errors(t, call):
    return error_of(lambda: call(t, t.autograd.functional, *inputs(t)))


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
@same_in_both
def test_strategies(t, strategy):
    f, (a, b) = t.autograd.functional, inputs(t)
    blocks = f.hessian(lambda x, y: (x * y * y).sum(), (a, b), vectorize=True, outer_jacobian_strategy=strategy)
    return f.jacobian(lambda x: x**2, a, vectorize=True, strategy=strategy), [
        [x.detach() for x in row] for row in blocks
    ]
