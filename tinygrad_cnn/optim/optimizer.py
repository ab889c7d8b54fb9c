"""What all optimisers share: parameter groups, state, and one step over everything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import wraps
from typing import Any

from ..autograd import enable_grad, no_grad
from ..tensor import RemovableHandle, Tensor, add_hook

NOT_NEGATIVE = (
    "lr", "eps", "weight_decay", "momentum", "alpha", "lr_decay", "momentum_decay", "initial_accumulator_value",
)  # fmt: skip
NUMBERS = {"step": int, "mu_product": float, "eta": float, "mu": float}  # of a parameter's state; PyTorch's are tensors


def options(arguments: dict[str, Any], order: str = "") -> dict[str, Any]:
    """Return the hyperparameters among the local variables of a constructor: those of `order`, then as in its signature."""
    given = {name: value for name, value in arguments.items() if name not in ("self", "params", "__class__")}
    return {**{name: given[name] for name in order.split()}, **given}


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """Make step() call the hooks around it."""

    @wraps(step)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        given: Any = (self, *args)
        for pre_hook in list(self._pre_hooks.values()):
            replaced = pre_hook(self, given, kwargs)
            if replaced is not None:
                if not (isinstance(replaced, tuple) and len(replaced) == 2):
                    raise RuntimeError(f"a step pre-hook must return None or a pair (args, kwargs), got {replaced!r}")
                given, kwargs = replaced
        result = step(*given, **kwargs)
        for post_hook in list(self._post_hooks.values()):
            post_hook(self, given, kwargs)
        return result

    return wrapper


def _alike(params: list[Any]) -> list[list[Any]]:
    """Return parameters by device and dtype: one call steps all that are alike."""
    if not params:
        return []
    backend, dtype = params[0]._backend, params[0]._array.dtype
    if all([p._backend is backend and p._array.dtype is dtype for p in params]):  # noqa: C419  (in less time)
        return [params]
    kinds: dict[Any, list[Any]] = {}
    for p in params:
        kinds.setdefault((p._backend, p._array.dtype), []).append(p)
    return list(kinds.values())


class Optimizer:
    """The base of optimisers: groups of parameters with their hyperparameters, and the state of each parameter.

    A subclass lists its hyperparameters in `defaults`, checks them in `check`, and steps a group in `step_group`; or it
    defines `step` itself.  `foreach`, `fused` and `capturable` are accepted: they change no value.
    """

    states_like_parameters = True  # whether tensors of a state have the shape of their parameter

    def __init_subclass__(cls) -> None:
        if "step" in vars(cls):
            cls.step = _with_hooks(cls.step)  # type: ignore[method-assign]

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, (Tensor, set, frozenset)):
            raise TypeError(
                f"params must be tensors or groups in a fixed order, got a {type(params).__name__}; write a list"
            )
        self.defaults = defaults
        self._pre_hooks: dict[int, Any] = {}
        self._post_hooks: dict[int, Any] = {}
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def check(self, group: dict[str, Any]) -> None:
        """Raise ValueError for hyperparameters that make no sense."""
        name = type(self).__name__
        if isinstance(group.get("lr"), Tensor) and group["lr"].numel() != 1:
            raise ValueError(f"{name}: a tensor lr must have one element, got shape {tuple(group['lr'].shape)}")
        for key in NOT_NEGATIVE:
            if key in group and not group[key] >= 0:
                raise ValueError(f"{name}: {key} must not be negative, got {group[key]}")
        for i, beta in enumerate(group.get("betas", ())):
            if not 0 <= beta < 1:
                raise ValueError(f"{name}: betas[{i}] must be in [0, 1), got {beta}")
        if group.get("differentiable"):
            raise ValueError(f"{name}: differentiable=True is not supported")
        if group.get("fused") and group.get("foreach"):
            raise RuntimeError(f"{name}: fused and foreach cannot be True together")

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with hyperparameters of their own; those not given are the defaults."""
        if not isinstance(param_group, dict) or isinstance(param_group.get("params"), (set, frozenset)):
            raise TypeError(f"a parameter group must be a dictionary with a list of 'params', got {param_group!r}")
        params = param_group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        names = [p[0] for p in params if isinstance(p, tuple)]
        params = [p[1] if isinstance(p, tuple) else p for p in params]  # named_parameters() is as good as parameters()
        group = param_group  # the same dictionary: programs keep it to change its hyperparameters
        group["params"] = params
        for name, value in self.defaults.items():
            group.setdefault(name, value)
        if names:
            group["param_names"] = names
        if len(names) not in (0, len(params)) or any(bool(names) != ("param_names" in g) for g in self.param_groups):
            raise ValueError(f"{type(self).__name__}: either all parameters or none must come with names")
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"{type(self).__name__}: can only optimise tensors, got {type(p).__name__}")
            if p.grad_fn is not None:
                raise ValueError(f"{type(self).__name__}: cannot optimise a tensor that is not a leaf")
            if id(p) in known:
                raise ValueError(
                    f"{type(self).__name__}: a parameter of shape {tuple(p.shape)} appears in more than one group"
                )
            known.add(id(p))
        self.check(group)
        self.param_groups.append(group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero."""
        for group in self.param_groups:
            for p in group["params"]:
                p._clear_grad(set_to_none)

    @_with_hooks
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters once; a closure computes the loss (and gradients) first, and its value is returned."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                for params in _alike([p for p in group["params"] if p._grad is not None]):
                    self.step_group(params[0]._backend, group, params)
                    for p in params:
                        p._counter.value += 1
        return loss

    def step_group(self, backend: Any, group: dict[str, Any], params: list[Tensor]) -> None:
        """Change parameters of one group that have a gradient, by a kernel."""
        raise NotImplementedError

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before step(); it may return both anew.  args[0] is the optimizer."""
        return add_hook(self._pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after step()."""
        return add_hook(self._post_hooks, hook)

    # ---- state ----

    def state_dict(self) -> dict[str, Any]:
        """Return state and hyperparameters, parameters being numbered in the order of the groups."""
        numbers = {id(p): i for i, p in enumerate(p for group in self.param_groups for p in group["params"])}
        groups = [
            {**{k: v for k, v in group.items() if k != "params"}, "params": [numbers[id(p)] for p in group["params"]]}
            for group in self.param_groups
        ]
        return {"state": {numbers[id(p)]: dict(s) for p, s in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what state_dict() returned; tensors are copied.  ValueError, and no change, if it does not fit."""
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError(f"load_state_dict: {len(saved)} parameter groups for {len(self.param_groups)}")
        for theirs, ours in zip(saved, self.param_groups):
            if len(theirs["params"]) != len(ours["params"]):
                raise ValueError(
                    f"load_state_dict: a group of {len(theirs['params'])} parameters for one of {len(ours['params'])}"
                )
        parameters: dict[int, Tensor] = {}
        for theirs, ours in zip(saved, self.param_groups):
            parameters.update(zip(theirs["params"], ours["params"]))
        loaded: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        for number, state in state_dict["state"].items():
            if int(number) not in parameters:
                raise ValueError(f"load_state_dict: there is state for parameter {number}, which is in no group")
            p = parameters[int(number)]
            loaded[p] = {k: self._adopted(k, v, p) for k, v in state.items()}
        self.state = loaded
        for theirs, ours in zip(saved, self.param_groups):
            ours.update({k: deepcopy(v) for k, v in theirs.items() if k != "params"})

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines += ["", f"Parameter Group {i}"] if i else [f"Parameter Group {i}"]
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])

    def _adopted(self, name: str, value: Any, parameter: Tensor) -> Any:
        """Return a copy of saved state for a parameter: tensors of its shape in its dtype, NUMBERS as numbers."""
        if not isinstance(value, Tensor):
            return deepcopy(value)
        if name in NUMBERS:
            return NUMBERS[name](value.item())
        if self.states_like_parameters and value.shape != parameter.shape:
            raise ValueError(
                f"load_state_dict: {name} of shape {tuple(value.shape)} for a parameter of shape {tuple(parameter.shape)}"
            )
        return value.detach().to(dtype=parameter.dtype, device=parameter.device, copy=True)
