"""Modules that hold modules."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from itertools import groupby, islice
from typing import Any, Self

from ..tensor import Tensor
from .joined import Steps
from .module import Module
from .parameter import Parameter


class _Numbered(Module):
    """What Sequential and ModuleList share: modules found by number."""

    def _position(self, index: int) -> str:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} modules")
        return next(islice(self._modules, index % len(self), None))

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._position(index), module)

    def __delitem__(self, index: int | slice) -> None:
        modules = list(self)
        del modules[index]
        self._renumber(modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def _renumber(self, modules: Iterable[Module]) -> None:
        """Hold these modules, numbered from 0; none is changed if one of them is no module."""
        numbered = ModuleList(modules)._modules
        self._modules.clear()
        self._modules.update(numbered)

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end."""
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put a module before position `index`; the numbers of those behind it grow by one."""
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)
        return self

    def pop(self, key: int) -> Any:
        """Remove a module and return it."""
        module = list(self)[key]
        del self[key]
        return module

    def __add__(self, other: Iterable[Module]) -> Self:
        joined = type(self)()
        return joined.extend(self).extend(other)

    __iadd__ = extend


class Sequential(_Numbered):
    """Modules applied one after the other: ``Sequential(a, b)`` or ``Sequential(OrderedDict(...))``."""

    def __init__(self, *args: Any) -> None:
        super().__init__()
        self._steps = Steps()
        if len(args) == 1 and isinstance(args[0], Mapping):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            self.extend(args)

    def forward(self, input: Any) -> Any:
        """Apply all modules."""
        for step in self._steps.of(list(self._modules.values())):
            input = step(input)
        return input

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return self._modules[self._position(index)]


class ModuleList(_Numbered):
    """A list of modules, which are found by number."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._modules[self._position(index)]

    def __repr__(self) -> str:
        """Show equal neighbours once: ``(0-2): 3 x ReLU()``."""
        lines, first = [], 0
        for text, equal in groupby(map(repr, self)):
            count = len(list(equal))
            place = f"({first}): " if count == 1 else f"({first}-{first + count - 1}): {count} x "
            lines.append((place + text).replace("\n", "\n  "))
            first += count
        return self._get_name() + ("(\n  " + "\n  ".join(lines) + "\n)" if lines else "()")


class ModuleDict(Module):
    """A dictionary of modules."""

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        super().__init__()
        self.update(modules or {})

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def keys(self) -> Iterable[str]:
        """Return the names."""
        return self._modules.keys()

    def values(self) -> Iterable[Any]:
        """Return the modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Return (name, module) pairs."""
        return self._modules.items()

    def pop(self, key: str) -> Any:
        """Remove a module and return it."""
        return self._modules.pop(key)

    def clear(self) -> None:
        """Remove all modules."""
        self._modules.clear()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules, given by name or as (name, module) pairs, replacing those of the same names."""
        for key, module in dict(modules).items():
            self[key] = module


class _OfParameters(Module):
    """What ParameterList and ParameterDict share: tensors become parameters, other values stay as they are."""

    def _put(self, name: str, value: Any) -> None:
        parameter = Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value
        setattr(self, name, parameter)

    def _items(self) -> Iterable[tuple[Any, Any]]:
        raise NotImplementedError

    def extra_repr(self) -> str:
        """List the values."""
        lines = []
        for name, value in self._items():
            if isinstance(value, Tensor):
                size = "x".join(map(str, value.shape))
                kind = value.type() if isinstance(self, ParameterDict) else value.dtype  # PyTorch's texts differ, too
                lines.append(f"  ({name}): {type(value).__name__} containing: [{kind} of size {size}]")
            else:
                lines.append(f"  ({name}): Object of type: {type(value).__name__}")
        return "\n".join(lines)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"{type(self).__name__} should not be called.")


class ParameterList(_OfParameters):
    """A list of parameters, which are found by number."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        self.extend(() if values is None else values)

    def _name(self, index: int) -> str:
        if not -self._size <= index < self._size:
            raise IndexError(f"index {index} is out of range for {self._size} parameters")
        return str(index % self._size)

    def _items(self) -> Iterable[tuple[Any, Any]]:
        return enumerate(self)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return getattr(self, self._name(index))

    def __setitem__(self, index: int, param: Any) -> None:
        self._put(self._name(index), param)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(self._size))

    def __iadd__(self, parameters: Iterable[Any]) -> Self:
        return self.extend(parameters)

    def append(self, value: Any) -> Self:
        """Add a value at the end."""
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add values at the end."""
        if isinstance(values, Tensor) or not isinstance(values, Iterable):
            raise TypeError(f"ParameterList.extend: expected a list or another iterable, got {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self


class ParameterDict(_OfParameters, MutableMapping[str, Any]):
    """A dictionary of parameters; those of a plain dictionary are added in the order of their names."""

    __hash__ = Module.__hash__  # a module is equal to itself only

    def __eq__(self, other: object) -> bool:
        return self is other

    def __init__(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        self.update({} if parameters is None else parameters)

    def _items(self) -> Iterable[tuple[Any, Any]]:
        return self.items()

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"ParameterDict: a key must be a string, got {type(key).__name__} {key!r}")
        self._put(key, value)
        self._keys[key] = None

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys)

    def update(self, parameters: Any) -> None:  # type: ignore[override]
        """Add parameters, given by name or as (name, parameter) pairs, replacing those of the same names."""
        if not isinstance(parameters, Iterable):
            raise TypeError(f"ParameterDict.update: expected a dictionary or pairs, got {type(parameters).__name__}")
        ordered = not isinstance(parameters, Mapping) or isinstance(parameters, (OrderedDict, ParameterDict))
        for key, value in dict(parameters).items() if ordered else sorted(dict(parameters).items()):
            self[key] = value

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the parameter of this name; the default becomes one if there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def popitem(self) -> tuple[str, Any]:
        """Remove the parameter that was added last and return its name and itself."""
        if not self._keys:
            raise KeyError("popitem: the ParameterDict is empty")
        key = next(reversed(self))
        return key, self.pop(key)

    def copy(self) -> ParameterDict:
        """Return a dictionary of the same parameters."""
        return ParameterDict(OrderedDict(self))

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """Return a dictionary with one value for all keys."""
        return ParameterDict(OrderedDict.fromkeys(keys, default))

    def __or__(self, other: Mapping[str, Any]) -> ParameterDict:
        joined = self.copy()
        joined.update(other)
        return joined

    def __ior__(self, other: Mapping[str, Any]) -> Self:
        self.update(other)
        return self
