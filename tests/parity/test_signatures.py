"""Names, order and defaults of arguments are PyTorch's wherever both are Python functions."""

import inspect

import pytest

from .compare import tg, torch

PLACES = [
    "nn", "nn.functional", "nn.init", "nn.utils", "nn.utils.parametrizations", "nn.grad", "nn.Module", "optim",
    "optim.Optimizer", "optim.lr_scheduler", "optim.swa_utils", "utils.data", "autograd.functional",
]  # fmt: skip
# Own arguments: old names of others, warnings, and what stands for what (the generator is the default one with None, too).
DIFFERENT = {"Hardtanh", "ParametrizationList", "UninitializedParameter", "random_split"}
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def arguments(function):
    """Return the arguments of a function as {name: (default, whether by position)}, or None if they are not known."""
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in given):
        return None
    return {p.name: (repr(p.default), p.kind in POSITIONAL) for p in given if p.name != "self"}


def found(library, place):
    for name in place.split("."):
        library = getattr(library, name)
    return library


@pytest.mark.parametrize("place", PLACES)
def test_arguments(place):
    theirs, ours = found(torch, place), found(tg, place)
    wrong = {}
    for name in [n for n in dir(theirs) if n[0] != "_" and n not in DIFFERENT and callable(getattr(ours, n, None))]:
        expected, have = arguments(getattr(theirs, name)), arguments(getattr(ours, name))
        if expected is None or have is None:
            continue
        order = [n for n, (_, positional) in expected.items() if positional]
        if [n for n, (_, positional) in have.items() if positional][: len(order)] != order:
            wrong[name] = f"{list(have)} instead of {order}"
        elif any(n not in have or have[n][0] != default for n, (default, _) in expected.items()):
            wrong[name] = f"{have} instead of {expected}"
    assert not wrong
