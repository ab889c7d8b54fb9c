"""Modules that hold modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice
from typing import Any, Self

from .activation import ReLU
from .conv import Conv2d
from .module import Module, has_hooks
from .norm import BatchNorm2d
from .pool import MaxPool2d


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


class Sequential(_Numbered):
    """Modules applied one after the other: ``Sequential(a, b)`` or ``Sequential(OrderedDict(...))``."""

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            self.extend(args)

    def forward(self, input: Any) -> Any:
        """Apply all modules."""
        for module in _pooled_first(list(self._modules.values())):
            input = module(input)
        return input

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return self._modules[self._position(index)]


def _pooled_first(modules: list[Any]) -> list[Any]:
    """Let max pooling come before a ReLU that stands in front of it: the same values and gradients, from less work."""
    for i in range(len(modules) - 1):
        relu, pool = modules[i], modules[i + 1]
        if type(relu) is ReLU and type(pool) is MaxPool2d and _may_change_places(relu, pool, modules[i - 1 : i]):
            modules[i], modules[i + 1] = pool, relu
    return modules


def _may_change_places(relu: ReLU, pool: MaxPool2d, before: list[Any]) -> bool:
    """Return whether nobody can tell: no window without an image, no hooks, no change of a tensor that others see."""
    if pool.return_indices or pool.dilation not in (1, (1, 1)) or has_hooks(relu) or has_hooks(pool):
        return False
    return not relu.inplace or any(type(m) in (Conv2d, BatchNorm2d) and not has_hooks(m) for m in before)


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
