"""Checkpoints: parts of a network that keep only their inputs and compute the rest again in backward.  Chen et al., 2016."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any

from ..autograd import Function, enable_grad, grad, is_grad_enabled
from ..nn.containers import Sequential
from ..random import default_generator
from ..tensor import Tensor


class _Checkpoint(Function):
    """What `again` computes from tensors; the graph of it is made in backward only.

    `leaves` are tensors that it uses without being given them, such as the parameters of a module.
    """

    @staticmethod
    def forward(ctx: Any, again: Callable[..., Any], outputs: Sequence[Any], count: int, *tensors: Any) -> Any:
        ctx.again, ctx.count = again, count
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        made = [out.detach() if isinstance(out, Tensor) else out for out in outputs]
        ctx.mark_non_differentiable(*[m for m, out in zip(made, outputs) if m is not out and not out.requires_grad])
        return tuple(made)

    @staticmethod
    def backward(ctx: Any, *dys: Any) -> Any:
        if is_grad_enabled():
            raise RuntimeError("checkpoint: its gradient cannot be differentiated again; leave out create_graph")
        inputs, leaves = _aliases(ctx.saved_tensors[: ctx.count]), ctx.saved_tensors[ctx.count :]
        pairs = [(out, dy) for out, dy in zip(ctx.again(inputs), dys) if dy is not None]
        for out, dy in pairs:
            if out.shape != dy.shape:
                raise RuntimeError(
                    f"checkpoint: an output had shape {tuple(dy.shape)} in forward and {tuple(out.shape)} in backward; the "
                    "function must compute the same again"
                )
        targets = [t for t in (*inputs, *leaves) if t.requires_grad]
        outs, weights = zip(*pairs)
        # What was captured together with its history is passed through to the leaves, and needed once more.
        grads = iter(grad(outs, targets, weights, retain_graph=True, allow_unused=True))
        return (None, None, None, *[next(grads) if t.requires_grad else None for t in (*inputs, *leaves)])


def _aliases(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return leaves on the memory of tensors."""
    return [t.detach().requires_grad_(t.requires_grad) for t in tensors]


def _leaves(outputs: Iterable[Any], but: list[Tensor]) -> list[Tensor]:
    """Return the leaves that outputs were computed from, without some."""
    found: dict[int, Tensor] = {}
    stack = [out.grad_fn for out in outputs if isinstance(out, Tensor) and out.grad_fn is not None]
    seen = set(stack)
    while stack:
        for node, _ in stack.pop().next_functions:
            if hasattr(node, "variable"):
                found[id(node.variable)] = node.variable
            elif node is not None and node not in seen:
                seen.add(node)
                stack.append(node)
    return [leaf for number, leaf in found.items() if number not in map(id, but)]


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Any, Any]] = lambda: (nullcontext(), nullcontext()),
    determinism_check: str = "default", debug: bool = False, early_stop: bool = True, preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """Return function(*args, **kwargs), a tensor or a tuple of them, without keeping what backward needs.

    Backward computes it again, with the same random numbers if preserve_rng_state; it passes once, without create_graph.
    Both ways of PyTorch to do it give the same here.  context_fn makes two contexts: for the first time and for the second.
    """
    if not is_grad_enabled():
        return function(*args, **kwargs)
    values = [*args, *kwargs.values()]
    places = [i for i, value in enumerate(values) if isinstance(value, Tensor)]
    tensors = [values[i] for i in places]
    first, second = context_fn()
    state = default_generator.get_state()

    def run(inputs: Sequence[Tensor], context: Any) -> Any:
        at = dict(zip(places, inputs))
        given = [at.get(i, None if i in places else value) for i, value in enumerate(values)]
        with enable_grad(), context:
            return function(*given[: len(args)], **dict(zip(kwargs, given[len(args) :])))

    def again(inputs: Sequence[Tensor]) -> Sequence[Any]:
        now = default_generator.get_state()
        if preserve_rng_state:
            default_generator.set_state(state)
        result = run(inputs, second)
        if preserve_rng_state:
            default_generator.set_state(now)
        return (result,) if isinstance(result, Tensor) else result

    aliases = _aliases(tensors)
    result = run(aliases, first)
    outputs = [result] if isinstance(result, Tensor) else result
    if not isinstance(outputs, (list, tuple)) or any(isinstance(out, (list, tuple, dict)) for out in outputs):
        raise TypeError(
            f"checkpoint: the function must return a tensor or a tuple of them, got {type(result).__name__}"
        )
    made = _Checkpoint.apply(again, outputs, len(tensors), *tensors, *_leaves(outputs, aliases))
    return made[0] if isinstance(result, Tensor) else type(result)(made)


def checkpoint_sequential(
    functions: Sequential | Sequence[Callable[[Any], Any]], segments: int, input: Any,
    use_reentrant: bool | None = None, preserve_rng_state: bool = True,
) -> Any:  # fmt: skip
    """Apply functions, or the modules of a Sequential, one after the other; all segments but the last are checkpoints."""
    steps: list[Callable[[Any], Any]] = (
        list(functions.children()) if isinstance(functions, Sequential) else list(functions)
    )
    size = len(steps) // segments

    def run(x: Any, start: int, end: int) -> Any:
        for step in steps[start:end]:
            x = step(x)
        return x

    for start in range(0, size * (segments - 1), size):
        input = checkpoint(run, input, start, start + size, preserve_rng_state=preserve_rng_state)
    return run(input, size * (segments - 1), len(steps))


__all__ = ["checkpoint", "checkpoint_sequential"]
