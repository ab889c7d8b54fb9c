"""The older names of amp: autocast without the name of a device."""

from __future__ import annotations

from typing import Any

from .. import amp
from ..amp import GradScaler

__all__ = ["GradScaler", "autocast"]


class autocast(amp.autocast):
    """Compute in the usual precision: ``with autocast(): ...``."""

    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> None:
        super().__init__("cuda", dtype, enabled, cache_enabled)
