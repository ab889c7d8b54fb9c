"""Derivatives of functions: products of the Jacobian and the Hessian with vectors, and the matrices themselves.

`inputs` is a tensor or a tuple of them, and so is what `func` returns; the results have the same structure.  With create_graph
they can be differentiated again.  `strict` raises RuntimeError where a result is zero because no computation leads to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import autograd
from .function import Function
from .graph import TensorBase, wrap
from .modes import enable_grad, is_grad_enabled, set_grad_enabled

Tensors = Any  # a tensor or a tuple of them


class _Stack(Function):
    """Tensors of one shape along a new first axis."""

    @staticmethod
    def forward(ctx: Any, *tensors: Any) -> Any:  # noqa: ARG004
        backend = tensors[0]._backend
        rows = [backend.slice(t._array, (None, Ellipsis)) for t in tensors]
        return wrap(tensors[0].result_class, backend.cat(rows, 0), backend)

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:  # noqa: ARG004
        return tuple(dy[i] for i in range(len(dy)))


def _tuple(name: str, what: str, values: Any) -> tuple[bool, tuple[Any, ...]]:
    """Return whether values are a tuple, and them as one."""
    many = values if isinstance(values, tuple) else (values,)
    for i, value in enumerate(many):
        if not isinstance(value, TensorBase):
            raise TypeError(
                f"{name}: {what} must be a tensor or a tuple of tensors, but value {i} is {type(value).__name__}"
            )
    return isinstance(values, tuple), many


def _own(tensors: Sequence[Any], create_graph: bool, need: bool) -> tuple[Any, ...]:
    """Return aliases of tensors, so that gradients with respect to them are those of the arguments only."""
    return tuple(
        t.view(t.shape) if create_graph and t.requires_grad else t.detach().requires_grad_(need) for t in tensors
    )


def _vector(name: str, v: Any, like: Sequence[Any], create_graph: bool) -> tuple[Any, ...] | None:
    """Return the vector as a tuple; None stands for 1, if there is one element."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"{name}: v can only be left out for a single tensor with a single element")
        return None
    vs = _own(_tuple(name, "v", v)[1], create_graph, False)
    if [tuple(a.shape) for a in vs] != [tuple(b.shape) for b in like]:
        raise RuntimeError(
            f"{name}: v has shapes {[tuple(a.shape) for a in vs]}, expected {[tuple(b.shape) for b in like]}"
        )
    return vs


def _grads(outputs: Sequence[Any], inputs: Sequence[Any], v: Sequence[Any] | None, **options: Any) -> Sequence[Any]:
    """Return the gradients, None where there is none; outputs that depend on nothing are passed over."""
    pairs = [(out, None if v is None else v[i]) for i, out in enumerate(outputs)]
    pairs = [(out, dy) for out, dy in pairs if out is not None and out.requires_grad]
    if not pairs:
        return (None,) * len(inputs)
    outs, dys = zip(*pairs)
    return autograd.grad(outs, inputs, dys, allow_unused=True, **options)


def _filled(name: str, grads: Sequence[Any], like: Sequence[Any], strict: bool, create_graph: bool) -> tuple[Any, ...]:
    """Put zeros where no gradient is, or raise if `strict`."""
    _demand(name, grads, strict, create_graph)
    return tuple(t.new_zeros(t.shape) if grad is None else grad for grad, t in zip(grads, like))


def _demand(name: str, tensors: Sequence[Any], strict: bool, differentiable: bool = True) -> None:
    """Raise, if strict, where a tensor is missing or cannot be differentiated (again)."""
    for i, t in enumerate(tensors if strict else ()):
        if t is None or (differentiable and not t.requires_grad):
            what = (
                "does not depend on the inputs" if t is None else "cannot be differentiated with respect to the inputs"
            )
            raise RuntimeError(f"{name}: result {i} {what}, which strict=True does not allow")


def _result(tensors: Sequence[Any], as_tuple: bool, create_graph: bool) -> Any:
    many = tuple(tensors) if create_graph else tuple(t.detach() for t in tensors)
    return many if as_tuple else many[0]


def vjp(
    func: Callable[..., Tensors], inputs: Tensors, v: Tensors = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensors, Tensors]:
    """Return func(*inputs), and v times the Jacobian: the gradient of the outputs weighted by v."""
    with enable_grad():
        many_inputs, given = _tuple("vjp", "inputs", inputs)
        given = _own(given, create_graph, True)
        many_outputs, outputs = _tuple("vjp", "outputs of the function", func(*given))
        _demand("vjp", outputs, strict)
        weights = _vector("vjp", v, outputs, create_graph)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        grads = _grads(outputs, given, weights, create_graph=create_graph)
        products = _filled("vjp", grads, given, strict, create_graph)
    return _result(outputs, many_outputs, create_graph), _result(products, many_inputs, create_graph)


def jvp(
    func: Callable[..., Tensors], inputs: Tensors, v: Tensors = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensors, Tensors]:
    """Return func(*inputs), and the Jacobian times v: the derivative of the outputs in the direction v.

    The product v -> v J is linear, and its gradient is J: two passes backward take the place of one forward.
    """
    with enable_grad():
        given = _own(_tuple("jvp", "inputs", inputs)[1], create_graph, True)
        direction = _vector("jvp", v, given, create_graph)
        many_outputs, outputs = _tuple("jvp", "outputs of the function", func(*given))
        _demand("jvp", outputs, strict)
        weights = tuple(out.new_zeros(out.shape, requires_grad=True) for out in outputs)
        grads = _grads(outputs, given, weights, create_graph=True)
        _demand("jvp", grads, strict)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        again = _grads(grads, weights, direction, create_graph=create_graph)
        products = _filled("jvp", again, outputs, strict, create_graph)
    return _result(outputs, many_outputs, create_graph), _result(products, many_outputs, create_graph)


def jacobian(
    func: Callable[..., Tensors], inputs: Tensors, create_graph: bool = False, strict: bool = False,
    vectorize: bool = False, strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """Return the Jacobian, of shape (*output.shape, *input.shape): a tuple over outputs of tuples over inputs.

    A level whose values are a single tensor is left out.  `vectorize` and `strategy` change no value.
    """
    _check_strategy("jacobian", strategy)
    with enable_grad():
        many_inputs, given = _tuple("jacobian", "inputs", inputs)
        given = _own(given, create_graph, True)
        many_outputs, outputs = _tuple("jacobian", "outputs of the function", func(*given))
        _demand("jacobian", outputs, strict)
        blocks = []
        for out in outputs:
            columns: list[list[Any]] = [[] for _ in given]
            for element in out.reshape(-1):
                grads = _grads((element,), given, None, retain_graph=True, create_graph=create_graph)
                for column, grad in zip(columns, _filled("jacobian", grads, given, strict, create_graph)):
                    column.append(grad)
            stacked = [_Stack.apply(*c) if c else x.new_zeros(0) for c, x in zip(columns, given)]
            rows = [block.reshape((*out.shape, *x.shape)) for block, x in zip(stacked, given)]
            blocks.append(_result(rows, many_inputs, create_graph))
    return tuple(blocks) if many_outputs else blocks[0]


def _check_strategy(name: str, strategy: str) -> None:
    if strategy not in ("reverse-mode", "forward-mode"):
        raise AssertionError(f"{name}: strategy must be 'reverse-mode' or 'forward-mode', got {strategy!r}")


def _scalar(name: str, output: Any) -> Any:
    """Return the single element that a function to be differentiated twice must return."""
    many, outputs = _tuple(name, "the output of the function", output)
    if many or outputs[0].numel() != 1:
        raise RuntimeError(f"{name}: the function must return a single tensor with a single element")
    return outputs[0].reshape(())


def hessian(
    func: Callable[..., Any], inputs: Tensors, create_graph: bool = False, strict: bool = False,
    vectorize: bool = False, outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """Return the second derivatives of a function with one element: the Jacobian of its gradient."""
    _check_strategy("hessian", outer_jacobian_strategy)
    many, given = _tuple("hessian", "inputs", inputs)

    def value(*xs: Any) -> Any:
        y = _scalar("hessian", func(*xs))
        _demand("hessian", (y,), strict)
        return y

    def gradient(*xs: Any) -> Any:
        grads = jacobian(value, xs, create_graph=True)
        _demand("hessian", grads, strict)
        return grads

    blocks = jacobian(gradient, given, create_graph=create_graph, strict=strict)
    return blocks if many else blocks[0][0]


def _hessian_product(
    name: str, func: Callable[..., Any], inputs: Tensors, v: Tensors, create_graph: bool, strict: bool, reverse: bool
) -> tuple[Any, Tensors]:
    """Return func(*inputs), and v times the Hessian, or the Hessian times v if not `reverse`."""
    with enable_grad():
        many, given = _tuple(name, "inputs", inputs)
        given = _own(given, create_graph, True)
        direction = _vector(name, v, given, create_graph)
        output = func(*given)
        _demand(name, (_scalar(name, output),), strict)
        first = _grads((output,), given, None, create_graph=True)
        _demand(name, first, strict)
        sources: Sequence[Any] = given
        if not reverse:  # as in jvp
            sources = tuple(x.new_zeros(x.shape, requires_grad=True) for x in given)
            first = _grads(first, given, sources, create_graph=True)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        second = _grads(first, sources, direction, create_graph=create_graph)
        products = _filled(name, second, given, strict, create_graph)
    return _result((output,), False, create_graph), _result(products, many, create_graph)


def vhp(
    func: Callable[..., Any], inputs: Tensors, v: Tensors = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Tensors]:
    """Return func(*inputs), and v times the Hessian: the gradient of the gradient in the direction v."""
    return _hessian_product("vhp", func, inputs, v, create_graph, strict, True)


def hvp(
    func: Callable[..., Any], inputs: Tensors, v: Tensors = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Tensors]:
    """Return func(*inputs), and the Hessian times v; since the Hessian is symmetric, vhp gives the same for less."""
    return _hessian_product("hvp", func, inputs, v, create_graph, strict, False)


__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]
