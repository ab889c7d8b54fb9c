"""The compiled kernels: ``<level>/<element type>/<family>``, one level of which is used, chosen at import."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

try:
    from . import runtime  # compiled
except ImportError as error:
    raise ImportError(
        f"the compiled kernels are missing from {Path(__file__).parent}. If the package is installed and this is its source "
        "folder, run Python from another folder; else install it ('pip install .', or 'pip install -e .' to work here)."
    ) from error

LEVEL_VARIABLE = "TINYGRAD_CNN_CPU_LEVEL"


def built_levels() -> list[str]:
    """Return the instruction-set levels for which kernels are installed, lowest first."""
    return sorted(path.name for path in Path(__file__).parent.iterdir() if path.is_dir() and path.name[0] in "vb")


def usable_levels() -> list[str]:
    """Return the installed levels that this processor can run, lowest first."""
    levels = runtime.cpu_levels()
    return [level for level in built_levels() if level == "base" or level in levels]


def choose_level() -> str:
    """Return the best usable level, or the one that TINYGRAD_CNN_CPU_LEVEL forces."""
    usable = usable_levels()
    forced = os.environ.get(LEVEL_VARIABLE)
    if forced and forced not in usable:
        raise ImportError(f"{LEVEL_VARIABLE}={forced}: not one of the levels usable here, {', '.join(usable)}")
    if not usable:
        raise ImportError(
            f"no compiled kernels for this processor ({platform.machine()}): levels built {built_levels()}, "
            f"levels of the processor {runtime.cpu_levels()}; rebuild with 'pip install --force-reinstall --no-binary "
            "tinygrad_cnn tinygrad_cnn'"
        )
    return forced or usable[-1]


LEVEL = choose_level()


@cache
def load(family: str, real: str, level: str = LEVEL) -> ModuleType:
    """Import the kernels of one family for one element type, 'float32' or 'float64'."""
    return import_module(f"{__name__}.{level}.{real}.{family}")
