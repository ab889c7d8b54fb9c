"""autograd.Function: users' own operations."""

import pytest

from .compare import error_of, normal, same_in_both


def leaf(t, *shape, seed=0):
    return t.from_numpy(normal(*shape, seed=seed)).requires_grad_()


def once_differentiable(t):
    return __import__(f"{t.__name__}.autograd.function", fromlist=["once_differentiable"]).once_differentiable


@same_in_both
def test_saved_inputs_and_outputs(t):
    class Mix(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, y, scale):
            z = x * y.exp() * scale
            ctx.save_for_backward(x, y, z)
            ctx.scale = scale
            return z

        @staticmethod
        def backward(ctx, dz):
            _, y, z = ctx.saved_tensors
            return dz * y.exp() * ctx.scale, dz * z, None

    x, y = leaf(t, 3), leaf(t, 3, seed=1)
    z = Mix.apply(x, y, 2.0)
    (d,) = t.autograd.grad(z.sum(), x, create_graph=True)
    second = t.autograd.grad(d.sum(), [x, y], allow_unused=True, retain_graph=True)
    again = t.autograd.grad(z.sum(), [x, y])
    return z, d, second, again, error_of(z.sum().backward), z.grad_fn.name().rstrip("0"), z.is_leaf


@same_in_both
def test_second_gradient_through_a_saved_output(t):
    class Exp(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, dy):
            (y,) = ctx.saved_tensors
            return dy * y

    x = leaf(t, 3)
    (d1,) = t.autograd.grad(Exp.apply(x).sum(), x, create_graph=True)
    (d2,) = t.autograd.grad((d1 * d1).sum(), x, create_graph=True)
    return d1, d2, t.autograd.grad(d2.sum(), x)


@same_in_both
def test_needs_input_grad(t):
    seen = []

    class Product(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, y, k):
            seen.append(list(ctx.needs_input_grad))
            ctx.save_for_backward(x, y)
            return x * y * k

        @staticmethod
        def backward(ctx, dz):
            seen.append(list(ctx.needs_input_grad))
            x, y = ctx.saved_tensors
            return dz * y if ctx.needs_input_grad[0] else None, dz * x if ctx.needs_input_grad[1] else None, None

    x, y, c = leaf(t, 3), leaf(t, 3, seed=1), t.ones(3, dtype=t.float64)
    Product.apply(x, y, 1).sum().backward()
    Product.apply(x, c, 1).sum().backward()
    Product.apply(c, y, 1).sum().backward()
    constant = Product.apply(c, c, 1)
    with t.no_grad():
        quiet = Product.apply(x, y, 1)
    return seen, x.grad, y.grad, constant.requires_grad, quiet.requires_grad


@same_in_both
def test_setup_context(t):
    class Cube(t.autograd.Function):
        @staticmethod
        def forward(x, power=3):
            return x**power, x.detach() * 0

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, power = inputs
            ctx.save_for_backward(x)
            ctx.power = power
            ctx.extra = len(output)

        @staticmethod
        def backward(ctx, dy, _):
            (x,) = ctx.saved_tensors
            return dy * ctx.power * x ** (ctx.power - 1) * (ctx.extra - 1), None

    x = leaf(t, 3)
    y, zero = Cube.apply(x, 3)
    (d,) = t.autograd.grad(y.sum(), x, create_graph=True)
    return y, zero, d, t.autograd.grad(d.sum(), x)


@pytest.mark.parametrize("materialize", [True, False])
@same_in_both
def test_several_outputs(t, materialize):
    seen = []

    class Parts(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(materialize)
            return x * 2, x * 3, x * 5

        @staticmethod
        def backward(ctx, *dys):
            seen.append([None if dy is None else dy.clone() for dy in dys])
            total = 0
            for k, dy in zip((2, 3, 5), dys):
                total = total if dy is None else total + dy * k
            return total

    x = leaf(t, 3)
    a, _, c = Parts.apply(x)
    (a.sum() + c.sum() * 2).backward()
    (d,) = t.autograd.grad(Parts.apply(x)[1].sum(), x)
    return seen, x.grad, d, type(Parts.apply(x)).__name__


@same_in_both
def test_mark_non_differentiable(t):
    seen = []

    class Sorted(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y, mask, index = x.abs(), (x > 0).double(), x.argmax()
            ctx.mark_non_differentiable(mask, index)
            ctx.save_for_backward(x)
            return y, mask, index

        @staticmethod
        def backward(ctx, dy, dmask, dindex):
            seen.append([dmask is not None and dmask.clone(), dindex is not None])
            (x,) = ctx.saved_tensors
            return dy * x.sign()

    x = leaf(t, 3)
    y, mask, index = Sorted.apply(x)
    y.sum().backward()
    return y, mask, index, x.grad, seen


@same_in_both
def test_mark_dirty(t):
    class Double(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, dy):
            return dy * 2

    x = leaf(t, 3)
    h = x * 3
    y = h * h
    out = Double.apply(h)
    errors = [error_of(y.sum().backward), error_of(Double.apply, x)]
    (out * out).sum().backward()
    c = t.ones(3)
    result = Double.apply(c)
    return out is h, out, x.grad, errors, result is c, c


@same_in_both
def test_inputs_handed_through(t):
    class Same(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x, y * 1

        @staticmethod
        def backward(ctx, dx, dy):
            return dx * 10, dy * 100

    x, y = leaf(t, 3), leaf(t, 3, seed=1)
    a, b = Same.apply(x, y)
    (a.sum() + b.sum()).backward()
    return a is x, a, b, x.grad, y.grad, x.is_leaf


@same_in_both
def test_a_view_as_output(t):
    class Rows(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x[:2]

        @staticmethod
        def backward(ctx, dy):
            return t.cat([dy * 7, dy[:1] * 0])

    x = leaf(t, 3, 2)
    y = Rows.apply(x)
    return y, t.autograd.grad(y.sum(), x)


@same_in_both
def test_wrong_gradients(t):
    def function_with(result):
        class Wrong(t.autograd.Function):
            @staticmethod
            def forward(ctx, x, y):
                return x + y

            @staticmethod
            def backward(ctx, dz):
                return result(dz)

        return Wrong

    x, y = leaf(t, 3), leaf(t, 3)
    results = []
    for result in (
        lambda dz: dz, lambda dz: (dz,), lambda dz: (dz, dz, dz), lambda dz: (dz, dz, None), lambda dz: (dz, None), lambda dz: None,
        lambda dz: (None, None), lambda dz: (dz[:2], dz), lambda dz: (dz.sum(), dz), lambda dz: (dz.expand(2, 3), dz),
        lambda dz: (1.0, dz), lambda dz: ("a", dz), lambda dz: [dz, dz], lambda dz: (dz.float(), dz), lambda dz: (dz.long(), dz),
    ):  # fmt: skip
        x.grad = y.grad = None
        z = function_with(result).apply(x, y)
        results.append([error_of(z.sum().backward), x.grad, y.grad])
    return results


@same_in_both
def test_missing_methods(t):
    class Nothing(t.autograd.Function):
        pass

    class Forward(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    x = leaf(t, 3)
    y = Forward.apply(x)
    return error_of(Nothing.apply, x), y, error_of(y.sum().backward)


@same_in_both
def test_changed_saved_tensors(t):
    class Square(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, dy):
            (x,) = ctx.saved_tensors
            return dy * 2 * x

    x = leaf(t, 3)
    h = x * 2
    y = Square.apply(h)
    h.mul_(2)
    return error_of(y.sum().backward)


@same_in_both
def test_once_differentiable(t):
    class Square(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable(t)
        def backward(ctx, dy):
            (x,) = ctx.saved_tensors
            return dy * 2 * x

    x = leaf(t, 3)
    first = t.autograd.grad(Square.apply(x).sum(), x)
    (d,) = t.autograd.grad(Square.apply(x).sum(), x, create_graph=True)
    return first, d.detach(), d.requires_grad, error_of(d.sum().backward)


@same_in_both
def test_grad_mode_inside(t):
    seen = []

    class Look(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            seen.append([t.is_grad_enabled(), x.requires_grad, (x * 2).requires_grad])
            return x * 2

        @staticmethod
        def backward(ctx, dy):
            seen.append([t.is_grad_enabled(), dy.requires_grad])
            return dy * 2

    x = leaf(t, 3)
    Look.apply(x).sum().backward()
    t.autograd.grad(Look.apply(x).sum(), x, create_graph=True)
    return seen


@same_in_both
def test_other_arguments_and_results(t):
    class Pair(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, text, numbers, flag=None):
            ctx.k = len(text) + sum(numbers)
            return x * ctx.k, "text"

        @staticmethod
        def backward(ctx, dy, dtext):
            return dy * ctx.k, None, None, None

    x = leaf(t, 3)
    y, text = Pair.apply(x, "abc", [1, 2], None)
    y.sum().backward()
    return y, text, x.grad


@same_in_both
def test_errors_inside_are_passed_on(t):
    class Fails(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, dy):
            raise KeyError("mine")

    return error_of(Fails.apply(leaf(t, 3)).sum().backward)


@same_in_both
def test_backward_inside_backward(t):
    class Inner(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.exp()

        @staticmethod
        def backward(ctx, dy):
            (x,) = ctx.saved_tensors
            with t.enable_grad():
                again = x.detach().requires_grad_()
                (d,) = t.autograd.grad(again.exp(), again, dy)
            return d

    x = leaf(t, 3)
    return t.autograd.grad(Inner.apply(x * 2).sum(), x)


@same_in_both
def test_calling_the_class(t):
    class Twice(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, dy):
            return dy * 2

    return error_of(lambda: Twice()(t.ones(2)))


@same_in_both
def test_several_saves_and_attributes(t):
    class Keep(t.autograd.Function):
        @staticmethod
        def forward(ctx, x, y=None):
            ctx.save_for_backward(x, None, x * 3)
            ctx.note = "kept"
            return x * 2

        @staticmethod
        def backward(ctx, dy):
            x, nothing, triple = ctx.saved_tensors
            assert nothing is None
            assert ctx.note == "kept"
            return dy * triple / x, None

    x = leaf(t, 3)
    return t.autograd.grad(Keep.apply(x, None).sum(), x)


@same_in_both
def test_saving_what_is_no_tensor(t):
    class Wrong(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(3, "a")
            return x * 2

        @staticmethod
        def backward(ctx, dy):
            return dy

    return error_of(Wrong.apply, leaf(t, 3))
