"""backward, grad, hooks, retain_grad, the grad modes, and who requires a gradient."""

import gc
import weakref

import pytest

from .compare import error_of, normal, rows, same_in_both


def leaf(t, *shape, seed=0):
    return t.from_numpy(normal(*shape, seed=seed)).requires_grad_()


# ---- backward ----


@same_in_both
def test_accumulation(t):
    x = leaf(t, 3)
    (x * 2).sum().backward()
    first = x.grad.clone()
    (x * x).sum().backward()
    x.grad.zero_()
    same = x.grad
    (x * 3).sum().backward()
    return first, x.grad, same is x.grad, x.grad.requires_grad


@same_in_both
def test_gradient_kept_by_others_is_not_changed(t):
    x, dy = leaf(t, 3), t.ones(3, dtype=t.float64)
    (x * 1).backward(dy)
    kept = x.grad
    x.clone().backward(dy)
    y = leaf(t, 3)
    y.view(3).backward(dy)
    y.view(3).backward(dy)
    return kept, x.grad, y.grad  # PyTorch changes dy, ours does not


@same_in_both
def test_two_leaves_with_one_gradient(t):
    x, y = leaf(t, 3), leaf(t, 3)
    (x + y).sum().backward()
    x.grad.mul_(2)
    (x + y).sum().backward()
    return x.grad, y.grad


@same_in_both
def test_not_scalar(t):
    x = leaf(t, 3)
    y = x * 2
    errors = [
        error_of(y.backward),
        error_of(y.backward, t.ones(2)),
        error_of(y.backward, t.ones(3, 1)),
        error_of(y.backward, 1.0),
    ]
    y.backward(t.tensor([1.0, 2.0, 3.0], dtype=t.float64))
    one = (x[:1] * 5).view(1, 1)
    one.backward()
    return errors, x.grad


@same_in_both
def test_wrong_starts(t):
    x, c = leaf(t, 3), t.ones(3)
    return [
        error_of(f)
        for f in (
            c.sum().backward, (c * 2).sum().backward, x.detach().sum().backward, lambda: (x > 0).sum().backward(),
            lambda: t.autograd.backward([x.sum(), c.sum()]),
            lambda: t.autograd.grad(x.sum(), c), lambda: t.autograd.grad(c.sum(), x), lambda: t.autograd.grad(x * 2, x),
            lambda: t.autograd.grad(x.sum(), leaf(t, 3)), lambda: t.autograd.grad(x.sum(), []), lambda: t.autograd.grad(3.0, x),
            lambda: t.autograd.backward(x.sum(), inputs=[]), lambda: t.autograd.grad(x.sum(), [x, leaf(t, 2)]),
            lambda: t.autograd.grad(x * 2, x, t.ones(2)), lambda: x.backward(), lambda: x.sum().backward(inputs=c),
        )
    ]  # fmt: skip


@same_in_both
def test_second_time(t):
    x = leaf(t, 3)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    errors = [error_of(y.backward), error_of(lambda: t.autograd.grad(y, x))]
    z = x.sum()  # saves nothing
    z.backward()
    errors.append(error_of(z.backward))
    h = x.exp()
    h.sum().backward()
    errors.append(error_of((h * 2).sum().backward))
    return errors, x.grad


@same_in_both
def test_backward_of_several(t):
    x = leaf(t, 3)
    y = x * 2
    t.autograd.backward([y.sum(), (x * x).sum()])
    t.autograd.backward([x * 3, x.sum()], [t.ones(3, dtype=t.float64), None])
    t.autograd.backward((x * 3,), (t.ones(3, dtype=t.float64),))
    return x.grad


@same_in_both
def test_inputs(t):
    x, y = leaf(t, 3), leaf(t, 3, seed=1)
    h = x * y
    z = (h * h).sum()
    z.backward(inputs=[x], retain_graph=True)
    first = x.grad.clone(), y.grad
    z.backward(inputs=y, retain_graph=True)
    z.backward(inputs=[h], retain_graph=True)
    z.backward(inputs=[h, x])
    return first, x.grad, y.grad, h.grad, error_of(lambda: x.sum().backward(inputs=[y])), y.grad


@same_in_both
def test_create_graph(t):
    x = leaf(t, 3)
    (x**3).sum().backward(create_graph=True)
    g = x.grad
    x.grad = None
    (g * g).sum().backward()
    first = g.detach(), g.requires_grad, x.grad
    (d1,) = t.autograd.grad((x**4).sum(), x, create_graph=True)
    (d2,) = t.autograd.grad(d1.sum(), x, create_graph=True)
    (d3,) = t.autograd.grad(d2.sum(), x)
    return first, d1, d2, d3


@same_in_both
def test_accumulation_with_create_graph(t):
    x = leaf(t, 3)
    (x * x).sum().backward(create_graph=True)
    (x * x).sum().backward(create_graph=True)
    (d,) = t.autograd.grad(x.grad.sum(), x)
    return x.grad.detach(), d


# ---- grad ----


@same_in_both
def test_grad(t):
    x, y, unused = leaf(t, 3), leaf(t, 3, seed=1), leaf(t, 2)
    z = x * y
    h = z.exp()
    found = [
        t.autograd.grad(h.sum(), x, retain_graph=True),
        t.autograd.grad(h.sum(), [x, y], retain_graph=True),
        t.autograd.grad(h.sum(), (y, z, h), retain_graph=True),
        t.autograd.grad([h.sum(), z.sum()], [x], retain_graph=True),
        t.autograd.grad(h, x, t.ones(3, dtype=t.float64), retain_graph=True),
        t.autograd.grad([h, z], [y], [t.ones(3, dtype=t.float64), t.zeros(3, dtype=t.float64)], retain_graph=True),
        t.autograd.grad(h.sum(), [x, unused], allow_unused=True, retain_graph=True),
        t.autograd.grad(h.sum(), [x, unused], materialize_grads=True, retain_graph=True),
        t.autograd.grad(h.sum(), [x, x], retain_graph=True),
        t.autograd.grad(h, h, t.ones(3, dtype=t.float64), retain_graph=True),
        t.autograd.grad(x, x, t.ones(3, dtype=t.float64)),
        t.autograd.grad(z.sum(), h, allow_unused=True, retain_graph=True),
        t.autograd.grad(outputs=h.sum(), inputs=x, retain_graph=True, create_graph=False, allow_unused=False),
    ]
    errors = [
        error_of(lambda: t.autograd.grad(z.sum(), h)),
        error_of(lambda: t.autograd.grad(h.sum(), [x, unused], allow_unused=False)),
    ]
    return found, errors, x.grad, y.grad, z.grad


@same_in_both
def test_grad_through_one_of_two_paths(t):
    x = leaf(t, 3)
    a, b = x * 2, x * 3
    y = (a * b).sum()
    return t.autograd.grad(y, a, retain_graph=True), t.autograd.grad(y, [b, x])


@same_in_both
def test_a_view_as_input(t):
    x = leaf(t, 4)
    h = x * 2
    view = h[1:3]
    y = (h * h).sum() + (view * 5).sum()
    return t.autograd.grad(y, view, retain_graph=True), t.autograd.grad(y, h)


@same_in_both
def test_dtypes_of_gradients(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    w = t.tensor([3.0, 4.0], dtype=t.float64, requires_grad=True)
    y = (x * w + x.double() * 2).sum() + x.sum()
    y.backward()
    z = x * 2
    errors = [
        error_of(z.backward, t.ones(2, dtype=t.int64)),
        error_of(lambda: setattr(x, "grad", t.ones(2, dtype=t.float64))),
    ]
    return y, x.grad, w.grad, errors


@same_in_both
def test_grad_attribute(t):
    x = leaf(t, 3)
    y = t.ones(3, dtype=t.float64)
    x.grad = y
    (x * 2).sum().backward()
    wrong = (t.ones(2, dtype=t.float64), t.ones(3), 3.0, [1.0], None)
    errors = [error_of(setattr, x, "grad", value) for value in wrong]
    x.grad = None
    del x.grad
    return y, errors, x.grad


# ---- requires_grad ----


@pytest.mark.parametrize("code", rows("""
    t.ones(2, requires_grad=True)
    t.ones(2).requires_grad_()
    t.ones(2).requires_grad_(False)
    t.ones(2, requires_grad=True).requires_grad_(False)
    t.ones(2, requires_grad=True).detach()
    t.ones(2, requires_grad=True) * 2
    t.ones(2, requires_grad=True) > 0
    t.ones(2, requires_grad=True).long()
    t.ones(2, requires_grad=True).argmax()
    t.ones(2, requires_grad=True).double()
    t.ones(2, requires_grad=True).float()
    t.ones(2, requires_grad=True).clone()
    t.ones(2, requires_grad=True).view(-1)
    t.ones(2, requires_grad=True).round()
    t.ones(2, requires_grad=True).sign()
    t.ones(2, requires_grad=True).isnan()
    t.ones(2, requires_grad=True).max(0)
    t.ones(2, requires_grad=True).any()
    t.ones(2, requires_grad=True).data
    t.ones(2, requires_grad=True).new_zeros(2)
    t.ones_like(t.ones(2, requires_grad=True))
    t.tensor(t.ones(2, requires_grad=True))
    t.where(t.ones(2) > 0, t.ones(2, requires_grad=True), 0.0)
    t.cat([t.ones(2, requires_grad=True), t.ones(2)])
    t.ones(2, dtype=t.int64).requires_grad_(False)
    t.ones(2).requires_grad_().requires_grad
"""))  # fmt: skip
@same_in_both
def test_requires_grad(t, code):
    return eval(code, {"t": t})


@same_in_both
def test_requires_grad_errors(t):
    x = leaf(t, 3)
    y = x * 2
    results = [error_of(t.ones(2, dtype=t.int64).requires_grad_), error_of(t.ones(2, dtype=t.bool).requires_grad_)]
    results += [
        error_of(y.requires_grad_, False),
        error_of(y.requires_grad_, True),
        error_of(lambda: setattr(y, "requires_grad", False)),
    ]
    results += [
        error_of(lambda: t.ones(2, dtype=t.int8, requires_grad=True)),
        error_of(y.numpy),
        error_of(x.numpy),
        error_of(x.tolist),
    ]
    results += [
        error_of(t.ones(2).retain_grad),
        error_of(t.ones(2).register_hook, print),
        error_of(x.detach().retain_grad),
        error_of(float, x),
    ]
    x.requires_grad = False
    return results, x.requires_grad, x.numpy(), y.detach().numpy(), y.numpy(force=True)


# ---- hooks and retain_grad ----


@same_in_both
def test_retain_grad(t):
    x = leaf(t, 3)
    h = x * 2
    h.retain_grad()
    h.retain_grad()
    x.retain_grad()
    y = h * h
    before = h.grad, h.retains_grad, x.retains_grad, y.retains_grad
    y.sum().backward(retain_graph=True)
    first = h.grad.clone()
    y.sum().backward()
    return before, first, h.grad, x.grad


@same_in_both
def test_hooks_on_leaves(t):
    x, seen = leaf(t, 3), []
    first = x.register_hook(lambda g: seen.append(("first", g.clone())))
    second = x.register_hook(lambda g: g * 10)
    third = x.register_hook(lambda g: seen.append(("third", g.clone())))
    (x * 2).sum().backward()
    first.remove()
    first.remove()
    (x * x).sum().backward()
    second.remove()
    third.remove()
    (x * 3).sum().backward()
    return [list(item) for item in seen], x.grad


@same_in_both
def test_hook_sees_the_whole_gradient_of_a_leaf_once(t):
    x, seen = leaf(t, 3), []
    x.register_hook(lambda g: seen.append(g.clone()))
    (x * 2 + x * 3 + x.exp()).sum().backward()
    return seen, x.grad


@same_in_both
def test_hooks_on_results(t):
    x, seen = leaf(t, 3), []
    h = x * 2
    h.register_hook(lambda g: seen.append(g.clone()))
    h.register_hook(lambda g: g * 100)
    h.retain_grad()
    ((h * h).sum() + h.sum()).backward()
    return seen, h.grad, x.grad


@same_in_both
def test_hook_with_grad(t):
    x, seen = leaf(t, 3), []
    h = x * 2
    h.register_hook(lambda g: seen.append(g.clone()))
    x.register_hook(lambda g: g * 7)
    found = t.autograd.grad((h * h).sum(), [h, x], retain_graph=True)
    (h * h).sum().backward()
    return found, seen, x.grad


@same_in_both
def test_hook_as_context(t):
    x, seen = leaf(t, 3), []
    with x.register_hook(lambda g: seen.append(1)):
        x.sum().backward()
    x.sum().backward()
    return seen, x.grad


@same_in_both
def test_hook_that_changes_the_shape(t):
    x = leaf(t, 3)
    h = x * 2
    h.register_hook(lambda g: g[:2])
    return error_of((h * h).sum().backward)


@same_in_both
def test_hook_after_an_in_place_change(t):
    x, seen = leaf(t, 3), []
    h = x * 2
    h.register_hook(lambda g: seen.append(("old", g.clone())))
    h.mul_(3)
    h.register_hook(lambda g: seen.append(("new", g.clone())))
    h.sum().backward()
    return [list(item) for item in seen], x.grad


@same_in_both
def test_retain_grad_before_an_in_place_change(t):
    x = leaf(t, 3)
    h = x * 2
    h.retain_grad()
    h.mul_(3)
    (h * h).sum().backward()
    return h.grad, x.grad


@same_in_both
def test_post_accumulate_hooks(t):
    x, seen = leaf(t, 3), []
    handle = x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))
    x.sum().backward()
    (x * x).sum().backward()
    handle.remove()
    x.sum().backward()
    return seen, x.grad, error_of((x * 2).register_post_accumulate_grad_hook, print)


# ---- modes ----


@same_in_both
def test_modes(t):
    x, seen = leaf(t, 2), []

    def look():
        seen.append([t.is_grad_enabled(), t.is_inference_mode_enabled(), (x * 2).requires_grad])

    look()
    with t.no_grad():
        look()
        with t.enable_grad():
            look()
            with t.no_grad():
                look()
            look()
        look()
        with t.set_grad_enabled(True):
            look()
        look()
    look()
    with t.set_grad_enabled(False):
        look()
    with t.inference_mode():
        look()
        with t.inference_mode(False):
            look()
        look()
    with t.inference_mode(mode=False):
        look()
    look()
    t.set_grad_enabled(False)
    look()
    t.set_grad_enabled(True)
    look()
    with t.no_grad(), t.autograd.enable_grad(), t.autograd.no_grad():
        look()
    look()
    return seen


@same_in_both
def test_modes_as_decorators(t):
    x, seen = leaf(t, 2), []

    @t.no_grad()
    def a(k=1):
        seen.append([t.is_grad_enabled(), (x * k).requires_grad])
        return k

    @t.enable_grad()
    def b():
        seen.append([t.is_grad_enabled()])
        return a(2)

    @t.set_grad_enabled(False)
    def c():
        seen.append([t.is_grad_enabled()])
        return b()

    @t.inference_mode()
    def d():
        seen.append([t.is_grad_enabled(), t.is_inference_mode_enabled()])
        return c()

    @t.no_grad
    def e():
        seen.append([t.is_grad_enabled()])
        return e.__name__

    results = [a(), a(k=3), b(), c(), d(), e(), a.__name__, t.is_grad_enabled()]
    with t.no_grad():
        results += [b(), t.is_grad_enabled()]
    return results, seen


@same_in_both
def test_modes_restore_after_errors(t):
    def fail():
        raise ValueError("expected")

    for mode in (t.no_grad, t.inference_mode, lambda: t.set_grad_enabled(False)):
        error_of(mode()(fail))
        try:
            with mode():
                fail()
        except ValueError:
            pass
    return t.is_grad_enabled(), t.is_inference_mode_enabled()


@same_in_both
def test_modes_used_again(t):
    seen, mode = [], t.no_grad()
    for _ in range(2):
        with mode:
            seen.append(t.is_grad_enabled())
        seen.append(t.is_grad_enabled())
    return seen


@same_in_both
def test_decorated_generators(t):
    seen = []

    @t.no_grad()
    def numbers():
        for i in range(2):
            seen.append(t.is_grad_enabled())
            yield i

    for i in numbers():
        seen.append([i, t.is_grad_enabled()])
    return seen, t.is_grad_enabled()


@same_in_both
def test_backward_inside_no_grad(t):
    x = leaf(t, 3)
    y = (x * x).sum()
    with t.no_grad():
        y.backward()
        z = x * 2
    return x.grad, z.requires_grad, error_of(z.sum().backward)


@same_in_both
def test_create_graph_inside_no_grad(t):
    x = leaf(t, 3)
    y = (x**3).sum()
    with t.no_grad():
        (g,) = t.autograd.grad(y, x, create_graph=True)
    return g.detach(), t.autograd.grad(g.sum(), x)


@same_in_both
def test_grad_mode_inside_backward(t):
    seen, x = [], leaf(t, 3)
    h = x * 2
    h.register_hook(lambda g: seen.append([t.is_grad_enabled(), g.requires_grad]))
    (h * h).sum().backward(retain_graph=True)
    (h * h).sum().backward(create_graph=True)
    return seen


# ---- the graph ----


@same_in_both
def test_graph_names(t):
    x = leaf(t, 3)
    y = (x * 2).exp().sum()
    return [
        y.grad_fn is None, x.grad_fn, y.is_leaf, x.is_leaf, y.grad_fn.name().rstrip("0"),
        y.grad_fn.next_functions[0][0].name().rstrip("0"),
    ]  # fmt: skip


@same_in_both
def test_memory_is_freed(t):
    x = leaf(t, 3)
    h = x.exp()
    reference = weakref.ref(h)
    y = (h * h).sum()
    del h
    alive = reference() is not None
    y.backward()
    del y
    gc.collect()
    return alive in (True, False), reference() is None


@same_in_both
def test_long_chains_and_wide_sums(t):
    x = leaf(t, 2)
    y = x
    for _ in range(3000):
        y = y * 1.0001 + 0.001
    y.sum().backward()
    first = x.grad
    x.grad = None
    sum(x * k for k in range(200)).sum().backward()
    return first, x.grad


@same_in_both
def test_shared_parts(t):
    x = leaf(t, 3)
    h = x.exp()
    y = h
    for _ in range(5):
        y = y * h + y
    return y, t.autograd.grad(y.sum(), [x, h])


@same_in_both
def test_unused_outputs(t):
    x = leaf(t, 4)
    a, _ = x.exp().split(2)
    values, _ = (x * 2).view(2, 2).max(1)
    first, *_rest = x.tanh().unbind()
    return t.autograd.grad(a.sum(), x), t.autograd.grad(values.sum(), x), t.autograd.grad(first, x)


@same_in_both
def test_integers_and_bools_in_between(t):
    x = leaf(t, 4)
    index = x.argmax()
    y = x[index] * 2 + (x * (x > 0)).sum() + x[x > 0].sum() + x.long().sum()
    return y, t.autograd.grad(y, x)


@same_in_both
def test_gradients_of_a_result_leave_its_own_history_alone(t):
    x = t.tensor([1.0, 2.0], dtype=t.float64, requires_grad=True)
    h = x.exp()
    g = t.autograd.grad((h * h).sum(), h)[0]
    (h * g).sum().backward()
    return g, x.grad


@same_in_both
def test_variables(t):
    from_old_programs = t.autograd.Variable
    x = t.ones(2, requires_grad=True) * 2
    v, w = from_old_programs(x), from_old_programs(t.ones(1), requires_grad=True)
    v[0] = 5
    return x, v, v.requires_grad, w.requires_grad, isinstance(x, from_old_programs), isinstance(1, from_old_programs)
