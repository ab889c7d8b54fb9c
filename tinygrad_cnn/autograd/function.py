"""Function: differentiable operations of one's own, written on tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from .graph import Node, TensorBase, Version, gradient_edge, next_sequence, own, refresh, wrap
from .modes import is_grad_enabled, no_grad


class Function(Node):
    """A differentiable operation of one's own: static methods ``forward(ctx, ...)`` and ``backward(ctx, *grads)``.

    Call it with ``apply``.  forward runs unrecorded; it hands tensors to backward with ctx.save_for_backward and other
    values as attributes of ctx.  backward returns one gradient (or None) for each argument of forward and, if it is
    written with tensor operations, can be differentiated again.
    """

    materialize_grads = True
    needs_input_grad: tuple[bool, ...] = ()

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; the first argument is ctx unless setup_context is defined."""
        raise NotImplementedError("a Function needs a static method forward(ctx, ...)")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Prepare ctx after a forward that does not take it."""
        raise NotImplementedError

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Compute the gradients of the inputs."""
        raise NotImplementedError("a Function needs a static method backward(ctx, *grad_outputs)")

    def __init__(self) -> None:
        self._to_save: tuple[Any, ...] = ()
        self._saved: list[tuple[Any, int, Version, int]] | None = None
        self._dirty: tuple[Any, ...] = ()
        self._constant: tuple[Any, ...] = ()
        self._are_tensors: list[bool] = []  # of the arguments

    # ---- what forward may call ----

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors, inputs or outputs, for backward."""
        for t in tensors:
            if t is not None and not isinstance(t, TensorBase):
                raise TypeError(
                    f"save_for_backward: expected tensors or None, got {type(t).__name__}; other values go on ctx itself"
                )
        self._to_save = tensors

    def mark_dirty(self, *tensors: Any) -> None:
        """Declare inputs that forward changes in place and returns."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Declare outputs without a gradient."""
        self._constant = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Say whether backward gets zeros (True) or None for outputs that nobody used."""
        self.materialize_grads = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What forward saved; RuntimeError if it was freed or changed in place since."""
        if self._saved is None:
            raise RuntimeError(
                "trying to go backward through the graph a second time, but what it saved has been freed; "
                "say backward(retain_graph=True) the first time"
            )
        return tuple([self._recall(*entry) for entry in self._saved])

    def _recall(self, tensor: Any, output: int, version: Version, value: int) -> Any:
        if version is not None and version.value != value:
            raise RuntimeError(
                f"{self.name()}: a tensor needed for the gradient has been changed by an in-place operation"
            )
        if output < 0:
            return tensor
        array, backend, cls = tensor
        t = wrap(cls, array, backend)
        t._node, t._output, t._requires_grad = self, output, True
        return t

    # ---- the node ----

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward, and record it if a tensor among the positional arguments requires a gradient."""
        ctx = cls()
        tensors = [arg for arg in args if isinstance(arg, TensorBase)]
        for tensor in tensors:
            refresh(tensor)
        needs = tuple(isinstance(arg, TensorBase) and arg._requires_grad for arg in args)
        recording = is_grad_enabled() and any(needs)
        ctx._are_tensors = [isinstance(arg, TensorBase) for arg in args]
        ctx.needs_input_grad, ctx.needs_grad = needs, needs if recording else (False,) * len(args)
        with no_grad():
            if cls.setup_context is not Function.setup_context:
                result = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args, **kwargs)
        outputs = result if isinstance(result, tuple) else (result,)
        edges = tuple([gradient_edge(arg) if need else None for arg, need in zip(args, ctx.needs_grad)])
        outputs = tuple([ctx._own(out, tensors) if isinstance(out, TensorBase) else out for out in outputs])
        if recording:
            ctx._record(edges, outputs)
        return outputs if isinstance(result, tuple) else outputs[0]

    def _own(self, out: Any, inputs: Sequence[Any]) -> Any:
        """Return an output that this node may become the history of."""
        if any(out is tensor for tensor in self._dirty):
            if out._node is None and out._requires_grad and is_grad_enabled():
                raise RuntimeError(f"{self.name()}: a leaf tensor that requires a gradient cannot be changed in place")
            out._counter.value += 1
            return out
        if any(out is tensor for tensor in inputs):  # handed through: an alias, so that the input keeps its history
            out._counter.shared = True
            alias = wrap(out.result_class, out._array, out._backend)
            alias._counter = out._counter
            return alias
        return out

    def _record(self, edges: tuple[Any, ...], outputs: tuple[Any, ...]) -> None:
        self.sequence = next_sequence()
        self.edges = edges
        self.outputs = []
        numbers = {}
        for k, out in enumerate(outputs):
            constant = not isinstance(out, TensorBase) or any(out is c for c in self._constant)
            if constant or out._array.dtype.kind != "f":
                self.outputs.append(None)
                continue
            self.outputs.append((out._array.shape, out._array.dtype))
            own(out, self, k)
            numbers[id(out)] = k
        self._likes = [
            (out.result_class, out._backend, out._array.shape, out._array.dtype)
            if isinstance(out, TensorBase)
            else None
            for out in outputs
        ]
        self._saved = []
        for t in self._to_save:
            if id(t) in numbers:  # by number, since a reference to the output itself would be a cycle
                entry = ((t._array, t._backend, t.result_class), numbers[id(t)], t._counter, t._counter.value)
            else:
                entry = (t, -1, *((None, 0) if t is None else (t._counter, t._counter.value)))
            self._saved.append(entry)
        self._to_save = self._dirty = self._constant = ()

    def shown(self) -> list[Any]:
        return [edge for edge, is_tensor in zip(self.edges, self._are_tensors) if is_tensor]

    def run(self, dys: list[Any]) -> Sequence[Any]:
        if self.materialize_grads:
            dys = [self._zeros(k) if dy is None else dy for k, dy in enumerate(dys)]
        grads = type(self).backward(self, *dys)
        grads = grads if isinstance(grads, tuple) else (grads,)
        expected = len(self.edges)
        if len(grads) < expected or any(grad is not None for grad in grads[expected:]):
            raise RuntimeError(f"{self.name()} returned {len(grads)} gradients for {expected} arguments of forward")
        for i, grad in enumerate(grads):
            if grad is not None and not isinstance(grad, TensorBase):
                raise TypeError(
                    f"{self.name()} returned {type(grad).__name__} as gradient {i}; expected a tensor or None"
                )
        return grads

    def _zeros(self, k: int) -> Any:
        """Return zeros like output k, or None if that is no tensor."""
        like = self._likes[k]
        if like is None:
            return None
        cls, backend, shape, dtype = like
        return wrap(cls, backend.full(shape, 0, dtype), backend)

    def release(self) -> None:
        if self._saved:
            self._saved = None


class _Once(Node):
    """The history of a gradient that cannot be differentiated again."""

    def run(self, dys: list[Any]) -> Sequence[Any]:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Mark the backward of a Function whose result cannot be differentiated again."""

    @wraps(backward)
    def wrapper(ctx: Any, *dys: Any) -> Any:
        with no_grad():
            grads = backward(ctx, *dys)
        sources = [dy for dy in dys if isinstance(dy, TensorBase) and dy._requires_grad]
        if not is_grad_enabled() or not sources:
            return grads
        many = grads if isinstance(grads, tuple) else (grads,)
        for grad in many:
            if isinstance(grad, TensorBase):
                node = _Once()
                node.sequence = next_sequence()
                node.edges = tuple(gradient_edge(dy) for dy in sources)
                node.outputs = [(grad._array.shape, grad._array.dtype)]
                grad._node, grad._output, grad._requires_grad = node, 0, True
        return grads

    return wrapper
