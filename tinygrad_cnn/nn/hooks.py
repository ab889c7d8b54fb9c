"""Functions that look at what goes into a module and comes out of it, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..autograd import Function, is_grad_enabled
from ..tensor import RemovableHandle, Tensor, add_hook

changes = [0]  # how often an attribute of any module was set or a hook registered; joined.py keeps steps until it grows


class ForwardHook(NamedTuple):
    """A function to call before or after forward."""

    function: Callable[..., Any]
    with_kwargs: bool
    always: bool = False  # also after an error

    def before(self, module: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Return the arguments, or those that the function replaces them by."""
        if not self.with_kwargs:
            replaced = self.function(module, args)
            return args if replaced is None else replaced if isinstance(replaced, tuple) else (replaced,), kwargs
        replaced = self.function(module, args, kwargs)
        if replaced is not None and not (isinstance(replaced, tuple) and len(replaced) == 2):
            raise RuntimeError(f"a forward pre-hook must return None or a pair (args, kwargs), got {replaced!r}")
        return (args, kwargs) if replaced is None else replaced

    def after(self, module: Any, args: Any, kwargs: Any, result: Any) -> Any:
        """Return the output, or what the function replaces it by."""
        given = (args, kwargs, result) if self.with_kwargs else (args, result)
        replaced = self.function(module, *given)
        return result if replaced is None else replaced


class BackwardHook(NamedTuple):
    """A function to call with gradients: of the outputs only (before), or of inputs and outputs."""

    function: Callable[..., Any]
    before: bool


def register(hooks: dict[int, Any], hook: Any, prepend: bool) -> RemovableHandle:
    """Put a hook behind the others, or before them."""
    changes[0] += 1
    handle = add_hook(hooks, hook)
    if prepend:
        first = hooks.pop(handle.id)
        rest = dict(hooks)
        hooks.clear()
        hooks.update({handle.id: first, **rest})
    return handle


class _Identity(Function):
    """The identity on tensors, whose gradients pass through a function on their way back."""

    @staticmethod
    def forward(ctx: Any, function: Callable[..., Any], filled: bool, *tensors: Any) -> Any:
        ctx.function = function
        ctx.set_materialize_grads(filled)
        outputs = tuple(t if t.requires_grad else t.detach() for t in tensors)
        ctx.mark_non_differentiable(*[out for out in outputs if not out.requires_grad])
        return outputs

    @staticmethod
    def backward(ctx: Any, *dys: Any) -> Any:
        return (None, None, *ctx.function(dys))


class Watch:
    """One call of a module whose gradients somebody looks at: those of its outputs, and later those of its inputs."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.places: list[int] = []  # of the tensors among the inputs; none if no input needs a gradient
        self.output_grads: Any = None  # while they wait for those of the inputs

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the arguments of forward, watched."""

        def leave_backward(dys: Any) -> Any:
            if self.output_grads is None:  # the gradient did not come through the outputs
                return dys
            grads = self._call_hooks(_spread(dys, self.places, len(args)))
            return [grads[i] for i in self.places]

        args, self.places = _watched(args, leave_backward, True)
        return args

    def leave(self, result: Any, count: int) -> Any:
        """Return the output of forward, a tensor or a tuple of them, watched; `count` is the number of inputs."""
        outputs = result if isinstance(result, tuple) else (result,)

        def enter_backward(dys: Any) -> Any:
            grads = _spread(dys, places, len(outputs))
            for hook in self._hooks(True):
                grads = _replaced(hook(self.module, grads), grads, "backward pre-hook")
            self.output_grads = grads
            if not self.places:
                self._call_hooks((None,) * count)
            return [grads[i] for i in places]

        watched, places = _watched(outputs, enter_backward, False)
        return watched if isinstance(result, tuple) else watched[0]

    def _hooks(self, before: bool) -> list[Callable[..., Any]]:
        return [hook.function for hook in self.module._backward_hooks.values() if hook.before == before]

    def _call_hooks(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self._hooks(False):
            grads = _replaced(hook(self.module, grads, self.output_grads), grads, "backward hook")
        self.output_grads = None
        return grads


def _watched(values: tuple[Any, ...], function: Callable[..., Any], filled: bool) -> tuple[tuple[Any, ...], list[int]]:
    """Return values whose tensors pass through _Identity, and where they are; unchanged if no gradient will come."""
    places = [i for i, value in enumerate(values) if isinstance(value, Tensor)]
    if not is_grad_enabled() or not any(values[i].requires_grad for i in places):
        return values, []
    aliases = dict(zip(places, _Identity.apply(function, filled, *[values[i] for i in places])))
    return tuple(aliases.get(i, value) for i, value in enumerate(values)), places


def _spread(grads: Sequence[Any], places: list[int], count: int) -> tuple[Any, ...]:
    """Return gradients at their places among `count` values, None at the others."""
    at = dict(zip(places, grads))
    return tuple(at.get(i) for i in range(count))


def _replaced(returned: Any, grads: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    """Return what a hook returned, or what it was given if that is None."""
    if returned is None:
        return grads
    returned = (returned,) if isinstance(returned, Tensor) else tuple(returned)
    if len(returned) != len(grads):
        raise RuntimeError(f"a {what} must return None or {len(grads)} gradients, got {len(returned)}")
    return returned
