"""Module: parameters, buffers and submodules by name, and what can be done to all of them at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar

from ..autograd import no_grad
from ..dtypes import as_dtype, float32, float64
from ..tensor import RemovableHandle, Tensor
from .hooks import BackwardHook, ForwardHook, Watch, changes, register
from .parameter import Parameter

M = TypeVar("M", bound="Module")
P = ParamSpec("P")
R = TypeVar("R", covariant=True)
REGISTRIES = ("_parameters", "_buffers", "_modules")
HOOKS = (
    "_forward_pre_hooks", "_forward_hooks", "_backward_hooks", "_state_dict_pre_hooks", "_state_dict_hooks",
    "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
)  # fmt: skip
EXTRA_STATE = "_extra_state"  # the name in a state of what get_extra_state() returned


class _IncompatibleKeys(NamedTuple("_IncompatibleKeys", [("missing_keys", list[str]), ("unexpected_keys", list[str])])):
    """What load_state_dict(strict=False) passed over."""

    __slots__ = ()

    def __repr__(self) -> str:
        return super().__repr__() if any(self) else "<All keys matched successfully>"


def has_hooks(module: Module) -> bool:
    """Return whether somebody looks at what goes into a module or comes out of it."""
    of = module.__dict__
    return bool(of["_forward_hooks"] or of["_forward_pre_hooks"] or of["_backward_hooks"])


class HasForward(Protocol[P, R]):
    """What can be called as its forward is: so the types of a module's forward reach whoever calls the module."""

    @property
    def forward(self) -> Callable[P, R]:
        """The function that a call runs."""


def _missing(self: Module, *args: Any, **kwargs: Any) -> Any:
    raise NotImplementedError(f"Module [{type(self).__name__}] is missing the required 'forward' function")


class Module:
    """The base of layers and networks: define `forward`, call the module.

    Parameters, tensors registered as buffers, and modules that are assigned to attributes are found by name.
    """

    training: bool
    forward: Callable[..., Any] = _missing  # every subclass defines it, with arguments of its own

    def __init__(self) -> None:
        for name in (*REGISTRIES, *HOOKS):
            object.__setattr__(self, name, {})
        object.__setattr__(self, "_transient", set())  # buffers that state_dict leaves out
        self.training = True

    def __call__(self: HasForward[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run forward, with the hooks; an error is noted with the path of the module where it happened."""
        module: Any = self
        try:
            of = module.__dict__
            if of["_forward_hooks"] or of["_forward_pre_hooks"] or of["_backward_hooks"]:  # has_hooks, without its call
                return module._call_with_hooks(args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            note_path(error, module)
            raise

    def _call_with_hooks(self, args: Any, kwargs: Any) -> Any:
        result, waiting = None, list(self._forward_hooks.values())
        try:
            for pre_hook in list(self._forward_pre_hooks.values()):
                args, kwargs = pre_hook.before(self, args, kwargs)
            watch = Watch(self) if self._backward_hooks else None
            args = watch.enter(args) if watch else args
            result = self.forward(*args, **kwargs)
            while waiting:
                result = waiting.pop(0).after(self, args, kwargs, result)
            result = watch.leave(result, len(args)) if watch else result
        except Exception:
            for hook in waiting:
                if hook.always:
                    hook.after(self, args, kwargs, result)
            raise
        return result

    # ---- attributes ----

    def __setattr__(self, name: str, value: Any) -> None:
        changes[0] += 1
        registries = self.__dict__
        if "_parameters" not in registries:
            if isinstance(value, (Parameter, Module)):
                raise AttributeError(f"cannot assign {name!r} before Module.__init__() was called")
            object.__setattr__(self, name, value)
        elif isinstance(value, Parameter):
            self._forget(name, but="_parameters")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._forget(name, but="_modules")
            self.add_module(name, value)
        elif name in self._parameters:
            if value is not None:
                raise TypeError(
                    f"cannot assign {type(value).__name__} as parameter {name!r}; wrap it in Parameter, or None"
                )
            self._parameters[name] = None
        elif name in self._modules:
            if value is not None:
                raise TypeError(f"cannot assign {type(value).__name__} as module {name!r}; expected a Module or None")
            self._modules[name] = None
        elif name in self._buffers:
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(f"cannot assign {type(value).__name__} as buffer {name!r}; expected a tensor or None")
            self._buffers[name] = value
        else:
            object.__setattr__(self, name, value)

    def _forget(self, name: str, but: str) -> None:
        """Remove a name from wherever it is but one registry, where a new value keeps the place of the old one."""
        self.__dict__.pop(name, None)
        for registry in REGISTRIES:
            if registry != but:
                self.__dict__[registry].pop(name, None)
        self._transient.discard(name)

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for registry in REGISTRIES if "_parameters" in own else ():
            found = own[registry]
            if name in found:
                return found[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        changes[0] += 1
        for registry in REGISTRIES:
            if name in self.__dict__[registry]:
                del self.__dict__[registry][name]
                self._transient.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._parameters, *self._buffers, *self._modules})

    def _check_name(self, kind: str, name: str, registry: dict[str, Any]) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"cannot register a {kind} before Module.__init__() was called")
        if not isinstance(name, str):
            raise TypeError(f"the name of a {kind} must be a string, got {name!r}")
        if not name or "." in name:
            raise KeyError(f"the name of a {kind} must not be empty or contain a dot, got {name!r}")
        if hasattr(self, name) and name not in registry:
            raise KeyError(f"attribute {name!r} already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter by name; None reserves the name."""
        self._check_name("parameter", name, self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"register_parameter: {name!r} must be a Parameter or None, got {type(param).__name__}")
        if param is not None and param.grad_fn is not None:
            raise ValueError(f"register_parameter: {name!r} must be a leaf, not the result of operations")
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is part of the state but not trained; state_dict holds it if persistent."""
        self._check_name("buffer", name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"register_buffer: {name!r} must be a tensor or None, got {type(tensor).__name__}")
        self._buffers[name] = tensor
        (self._transient.discard if persistent else self._transient.add)(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule by name."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"add_module: {name!r} must be a Module or None, got {type(module).__name__}")
        self._check_name("module", name, self._modules)
        self._modules[name] = module

    register_module = add_module

    # ---- walking ----

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield (dotted name, module) for this module and all below it."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """Yield this module and all below it."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield (name, module) for the modules directly below this one."""
        seen: set[Module] = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """Yield the modules directly below this one."""
        for _, module in self.named_children():
            yield module

    def _named(self, registry: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, value in module.__dict__[registry].items():
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield (dotted name, parameter), each parameter once."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield the parameters, each once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield (dotted name, buffer), each buffer once."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield the buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """Return the module with a dotted name."""
        module: Module = self
        for name in target.split(".") if target else []:
            if not isinstance(module._modules.get(name), Module):
                raise AttributeError(f"{type(module).__name__} has no submodule {name!r} (looking for {target!r})")
            module = module._modules[name]
        return module

    def _named_one(self, registry: str, kind: str, target: str) -> Any:
        path, _, name = target.rpartition(".")
        found = self.get_submodule(path).__dict__[registry].get(name)
        if found is None:
            raise AttributeError(f"{type(self).__name__} has no {kind} {target!r}")
        return found

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter with a dotted name."""
        return self._named_one("_parameters", "parameter", target)

    def get_buffer(self, target: str) -> Tensor:
        """Return the buffer with a dotted name."""
        return self._named_one("_buffers", "buffer", target)

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module where a dotted name says; `strict` only replaces."""
        path, _, name = target.rpartition(".")
        if not name:
            raise ValueError("set_submodule: the target must have a name, got ''")
        if not isinstance(module, Module):
            raise ValueError(f"set_submodule: expected a module, got {type(module).__name__}")
        parent = self.get_submodule(path)
        present = getattr(parent, name, None)
        if (present is None and strict) or not isinstance(present, (Module, type(None))):
            raise AttributeError(f"set_submodule: {type(parent).__name__} has no submodule {name!r} (for {target!r})")
        setattr(parent, name, module)

    # ---- changing everything ----

    def apply(self: M, fn: Callable[[Module], None]) -> M:
        """Call `fn` on all modules, children first; return self."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def _apply(self: M, convert: Callable[[Tensor], Tensor], recurse: bool = True) -> M:
        """Replace the memory of all parameters, gradients and buffers; the parameters stay the same objects."""
        with no_grad():
            for module in self.modules() if recurse else [self]:
                for parameter in module._parameters.values():
                    if parameter is not None:
                        gradient, parameter._grad = parameter._grad, None
                        parameter.data = convert(parameter.data)
                        parameter._grad = None if gradient is None else convert(gradient)
                for name, buffer in module._buffers.items():
                    if buffer is not None:
                        module._buffers[name] = convert(buffer)
        return self

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: there is nothing to compile, the kernels are."""

    def to(self: M, *args: Any, dtype: Any = None, device: Any = None, **kwargs: Any) -> M:
        """Move parameters and buffers to a device, or convert the floating ones to a dtype, in place; return self."""
        for arg in args:
            if isinstance(arg, Tensor):
                dtype, device = arg.dtype, arg.device
            elif isinstance(arg, str) or type(arg).__name__ == "device":
                device = arg
            elif arg is not None and not isinstance(arg, bool):
                dtype = arg
        for name in kwargs:
            if name not in ("non_blocking", "memory_format"):
                raise TypeError(f"to: unexpected argument {name!r}")
        if dtype is not None and not as_dtype(dtype).is_floating_point:
            raise TypeError(f"to: modules can only be converted to floating dtypes, got {dtype}")

        def convert(t: Tensor) -> Tensor:
            return t.to(dtype=dtype if t.is_floating_point() else None, device=device)

        return self._apply(convert)

    def to_empty(self: M, *, device: Any, recurse: bool = True) -> M:
        """Move parameters and buffers to a device without their values."""
        return self._apply(lambda t: t.new_empty(t.shape, device=device), recurse)

    def type(self: M, dst_type: Any) -> M:
        """Convert all parameters and buffers to a dtype."""
        return self._apply(lambda t: t.type(dst_type))

    def cpu(self: M) -> M:
        """Move to the CPU."""
        return self.to(device="cpu")

    def cuda(self: M, device: Any = None) -> M:
        """Move to the GPU."""
        return self.to(device="cuda" if device is None else device)

    def float(self: M) -> M:
        """Convert floating parameters and buffers to float32."""
        return self.to(dtype=float32)

    def double(self: M) -> M:
        """Convert floating parameters and buffers to float64."""
        return self.to(dtype=float64)

    def train(self: M, mode: bool = True) -> M:
        """Switch to training (or evaluation) behaviour, with all modules below."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: mode must be a bool, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: M) -> M:
        """Switch to evaluation behaviour."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Say whether the parameters are to be trained."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero."""
        for parameter in self.parameters():
            parameter._clear_grad(set_to_none)

    # ---- state ----

    def state_dict(
        self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> OrderedDict[str, Tensor]:
        """Return parameters and persistent buffers by dotted name, on the same memory."""
        state: OrderedDict[str, Any] = OrderedDict() if destination is None else destination
        for pre_hook in list(self._state_dict_pre_hooks.values()):
            pre_hook(self, prefix, keep_vars)
        self._save_to_state_dict(state, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=state, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in list(self._state_dict_hooks.values()):
            hook(self, state, prefix, {})
        return state

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Add what this module itself has to a state."""
        for name, value in chain(self._parameters.items(), self._buffers.items()):
            if value is not None and name not in self._transient:
                destination[prefix + name] = value if keep_vars else value.detach()
        if type(self).get_extra_state is not Module.get_extra_state:
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def get_extra_state(self) -> Any:
        """Return what else belongs into the state; a subclass may define it, together with set_extra_state."""
        raise NotImplementedError(f"{type(self).__name__} has no extra state")

    def set_extra_state(self, state: Any) -> None:
        """Take over what get_extra_state() returned."""
        raise NotImplementedError(f"{type(self).__name__} defines get_extra_state, but not set_extra_state")

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copy tensors into the parameters and buffers of the same names.

        RuntimeError lists every difference of shapes and, if `strict`, every missing or unexpected name; nothing is
        changed then.  `assign` takes the tensors over instead of copying.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected a dictionary, got {type(state_dict).__name__}")
        state_dict = OrderedDict(state_dict)
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []
        own: dict[str, Any] = {}
        for path, module in self.named_modules(remove_duplicate=False):
            prefix = path and f"{path}."
            for pre_hook in list(module._load_state_dict_pre_hooks.values()):
                pre_hook(module, state_dict, prefix, {}, strict, missing, unexpected, errors)
            module._save_to_state_dict(own, prefix, True)
        missing += [key for key in own if key not in state_dict]
        unexpected += [key for key in state_dict if key not in own]
        for key, target in own.items():
            if key in state_dict and isinstance(target, Tensor):
                value = state_dict[key]
                if not isinstance(value, Tensor):
                    errors.append(f"{key}: expected a tensor, got {type(value).__name__}.")
                elif value.shape != target.shape:
                    errors.append(
                        f"size mismatch for {key}: the checkpoint has {tuple(value.shape)}, the model {tuple(target.shape)}."
                    )
        keys = _IncompatibleKeys(missing, unexpected)
        hooks = [(m, h) for m in reversed(list(self.modules())) for h in m._load_state_dict_post_hooks.values()]
        if errors or not hooks:  # hooks may put up with other keys, which is only known at the end
            self._refuse(errors, keys, strict)
        with no_grad():
            for key, target in own.items():
                if key in state_dict:
                    self._load(key, target, state_dict[key], assign)
        for module, hook in hooks:
            hook(module, keys)
        self._refuse(errors, keys, strict)
        return keys

    def _refuse(self, errors: list[str], keys: _IncompatibleKeys, strict: bool) -> None:
        """Raise if a state does not fit."""
        if strict:
            for word, names in (("Unexpected", keys.unexpected_keys), ("Missing", keys.missing_keys)):
                if names:
                    errors.insert(0, f"{word} key(s) in state_dict: {', '.join(map(repr, names))}.")
        if errors:
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t" + "\n\t".join(errors))

    def _load(self, key: str, target: Any, value: Any, assign: bool) -> None:
        path, _, name = key.rpartition(".")
        module = self.get_submodule(path)
        if name == EXTRA_STATE:
            module.set_extra_state(value)
        elif not assign:
            target.copy_(value)
        elif name in module._parameters:
            module._parameters[name] = Parameter(value.detach(), target.requires_grad)
        else:
            module._buffers[name] = value

    # ---- hooks ----

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before forward; what it returns replaces the arguments."""
        return register(self._forward_pre_hooks, ForwardHook(hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after forward; what it returns replaces the output.

        `always_call` calls it also when forward or another hook raises, with the output so far (or None).
        """
        return register(self._forward_hooks, ForwardHook(hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_output)` when the gradients of the outputs are there; what it returns replaces them."""
        return register(self._backward_hooks, BackwardHook(hook, True), prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the inputs are there.

        What it returns replaces grad_input.  Both are tuples, with None for what is no tensor.
        """
        return register(self._backward_hooks, BackwardHook(hook, False), prepend)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before state_dict() lists this module."""
        return register(self._state_dict_pre_hooks, hook, False)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, {})` after state_dict() has listed this module and those below."""
        return register(self._state_dict_hooks, hook, False)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, {}, strict, missing, unexpected, errors)` before load_state_dict().

        It may change the dictionary, which is a copy, and the lists.
        """
        return register(self._load_state_dict_pre_hooks, hook, False)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` after load_state_dict(); it may change the lists of keys."""
        return register(self._load_state_dict_post_hooks, hook, False)

    # ---- text ----

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """Return what stands between the parentheses of the module's text."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        for name, module in self._modules.items():
            lines.append(f"({name}): " + repr(module).replace("\n", "\n  "))
        if not self._modules and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


def note_path(error: Exception, module: Module) -> None:
    """Add to an error in which module it happened: ``in layer2.0.conv1: Conv2d(...)``."""
    failed, path, inner, said = getattr(error, "_module_path", (module, "", None, None))
    if inner is not None:
        name = next((name for name, child in module._modules.items() if child is inner), None)
        path = path if name is None else f"{name}.{path}" if path else name
    where = f"in {path or 'module'}: {repr(failed) if not failed._modules else failed._get_name()}"
    error._module_path = (failed, path, module, where)  # type: ignore[attr-defined]
    error.__notes__ = [*(note for note in getattr(error, "__notes__", []) if note != said), where]
