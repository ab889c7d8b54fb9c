"""Packages that need not be installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def required(module: str, by: str, extra: str) -> Any:
    """Import a module of an optional package; ImportError says how to get it."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(f"{by} needs the package {package}: pip install 'tinygrad_cnn[{extra}]'") from error
