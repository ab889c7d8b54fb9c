"""Layer: a module without parameters, made from a function by naming its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any, ClassVar, dataclass_transform

from .module import Module


@dataclass_transform()
class Layer(Module):
    """The function of a class as a module: ``class ELU(Layer, function=elu)``.

    The annotated names of the class, inherited ones first unless they are repeated, are the constructor's arguments, the
    module's attributes, and the options that `forward` hands to the function by name.  Those in `shown` (default: all) make up
    the module's text.
    """

    function: ClassVar[Callable[..., Any]]
    shown: ClassVar[tuple[str, ...] | None] = None
    signature: ClassVar[Signature] = Signature()
    options: ClassVar[tuple[str, ...]] = ()  # the names of the constructor's arguments

    def __init_subclass__(cls, function: Callable[..., Any] | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if function is not None:
            cls.function = staticmethod(function)
        fields = dict(cls.signature.parameters)
        for name, annotation in inspect.get_annotations(cls).items():
            if not str(annotation).startswith("ClassVar"):
                default = cls.__dict__.get(name, Parameter.empty)
                if name in cls.__dict__:
                    delattr(cls, name)  # the attribute is the module's
                fields.pop(name, None)
                fields[name] = Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default)
        cls.signature = Signature(list(fields.values()))
        own = [] if cls.__init__ is Layer.__init__ else [*inspect.signature(cls.__init__).parameters.values()][1:]
        cls.__signature__ = Signature(own) if own else cls.signature  # type: ignore[attr-defined]
        cls.options = tuple(fields)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        try:
            given = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self._get_name()}: {error}") from None
        given.apply_defaults()
        for name, value in given.arguments.items():
            setattr(self, name, value)
        self.__post_init__()

    def __post_init__(self) -> None:
        """Check or complete the options."""

    def forward(self, *inputs: Any) -> Any:
        """Apply the function."""
        return self.function(*inputs, **{name: getattr(self, name) for name in self.options})

    def extra_repr(self) -> str:
        """Show the options; `inplace` only if it is set."""
        names = self.options if self.shown is None else self.shown
        return ", ".join([f"{n}={getattr(self, n)}" for n in names if n != "inplace" or self.inplace])
