"""Mixed precision switched off: there are no 16-bit floats, so programs that ask for it run in float32.

As in PyTorch on a machine without a GPU, asking for it on 'cuda' changes nothing; asking for it on the CPU is an error.
"""

from __future__ import annotations

from typing import Any

from .autograd.modes import F, _Mode, is_grad_enabled


class autocast(_Mode):
    """Compute in the usual precision: ``with autocast("cuda"): ...``; RuntimeError for an enabled one on the CPU."""

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if device_type == "cpu" and enabled:
            raise RuntimeError("autocast: there are no 16-bit floats on the CPU; use autocast('cpu', enabled=False)")

    def __enter__(self) -> None:
        self.grad = is_grad_enabled()
        super().__enter__()

    def __call__(self, function: F) -> F:
        """Return a function to be decorated as it is."""
        return function


class GradScaler:
    """Scale losses by 1, which float32 gradients need: ``scale``, ``unscale_``, ``step``, ``update`` as in PyTorch."""

    def __init__(self, device: str = "cuda", init_scale: float = 65536.0, growth_factor: float = 2.0,
                 backoff_factor: float = 0.5, growth_interval: int = 2000, enabled: bool = True) -> None:  # fmt: skip
        self.device = device

    def is_enabled(self) -> bool:
        """Return False."""
        return False

    def get_scale(self) -> float:
        """Return 1."""
        return 1.0

    def scale(self, outputs: Any) -> Any:
        """Return the losses as they are."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Leave the gradients as they are."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Let the optimiser step."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Keep the scale."""

    def state_dict(self) -> dict[str, Any]:
        """Return an empty state."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Accept any state."""


__all__ = ["GradScaler", "autocast"]
