"""The list of networks: what builds each of them, by name, as in torchvision."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from fnmatch import fnmatch
from types import ModuleType
from typing import Any, TypeVar

from ..nn import Module

M = TypeVar("M", bound=Module)
F = TypeVar("F", bound=Callable[..., Module])
BUILDERS: dict[str, Callable[..., Module]] = {}


def register_model(name: str | None = None) -> Callable[[F], F]:
    """Add a function that builds a network to the list, under its own name or another; a decorator."""

    def register(build: F) -> F:
        key = build.__name__ if name is None else name
        if key in BUILDERS:
            raise ValueError(f"register_model: an entry is already registered under the name {key!r}")
        BUILDERS[key] = build
        return build

    return register


def no_weights(name: str, weights: Any) -> None:
    """Raise if pretrained weights are asked for: none are distributed."""
    if weights is not None:
        raise ValueError(
            f"{name}: no pretrained weights are distributed, use weights=None and load_state_dict(); got {weights!r}"
        )


def builder(name: str, text: str, make: Callable[..., M], *args: Any, **fixed: Any) -> Callable[..., M]:
    """Return, and put on the list, a function that makes a network from fixed arguments and those of its caller."""

    def build(*, weights: Any = None, progress: bool = True, pretrained: bool = False, **kwargs: Any) -> M:
        no_weights(name, weights or pretrained or None)
        return make(*args, **fixed, **kwargs)

    build.__name__ = build.__qualname__ = name
    build.__module__ = make.__module__
    build.__doc__ = f"Return {text}; keyword arguments: those of the class."
    return register_model()(build)


def list_models(
    module: ModuleType | None = None, include: Iterable[str] | str | None = None,
    exclude: Iterable[str] | str | None = None,
) -> list[str]:  # fmt: skip
    """Return the names of all networks, sorted; `include` and `exclude` are patterns such as "resnet*"."""

    def match(name: str, patterns: Iterable[str] | str) -> bool:
        return any(fnmatch(name, pattern) for pattern in ([patterns] if isinstance(patterns, str) else patterns))

    inside = "" if module is None else module.__name__
    names = [name for name, build in BUILDERS.items() if build.__module__.startswith(inside)]
    return sorted(n for n in names if (not include or match(n, include)) and not (exclude and match(n, exclude)))


def get_model_builder(name: str) -> Callable[..., Module]:
    """Return the function that builds a network, by its name in any case; ValueError for an unknown one."""
    if name.lower() not in BUILDERS:
        close = get_close_matches(name.lower(), BUILDERS) or sorted(BUILDERS)
        raise ValueError(f"Unknown model {name!r}; did you mean {', '.join(close)}?")
    return BUILDERS[name.lower()]


def get_model(name: str, **config: Any) -> Module:
    """Return a network by its name, made with the given arguments."""
    return get_model_builder(name)(**config)
