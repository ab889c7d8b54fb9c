"""A module of ours and PyTorch's with the same weights, and the comparison of all that comes out of them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

import tinygrad_cnn as tg


def arrays(state: Any) -> dict[str, np.ndarray]:
    """Return the tensors of a dictionary as arrays on the same memory."""
    return {name: t.detach().numpy() for name, t in state.items()}


def gradients(module: Any) -> dict[str, np.ndarray]:
    """Return the gradients of a module's parameters by name."""
    return arrays({name: p.grad for name, p in module.named_parameters() if p.grad is not None})


def both(make: Any, dtype: str = "float64") -> tuple[Any, Any]:
    """Return make(tg) and make(torch) in a dtype, the second with the weights of the first."""
    ours, theirs = make(tg).to(getattr(tg, dtype)), make(torch).to(getattr(torch, dtype))
    copy_weights(ours, theirs)
    return ours, theirs


def copy_weights(ours: Any, theirs: Any) -> None:
    """Give PyTorch's module our weights; names, shapes and order must agree."""
    state = arrays(ours.state_dict())
    expected = theirs.state_dict()
    assert [(k, v.shape) for k, v in state.items()] == [(k, tuple(v.shape)) for k, v in expected.items()]
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})


def close(ours: Any, theirs: Any, rtol: float, atol: float, where: str = "") -> None:
    """Raise unless tensors, or dictionaries of arrays, are equal up to rounding."""
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), where
        for name in theirs:
            close(ours[name], theirs[name], rtol, atol, f"{where} {name}")
        return
    a, b = [x if isinstance(x, np.ndarray) else x.detach().numpy() for x in (ours, theirs)]
    assert a.dtype == b.dtype, where
    assert a.shape == b.shape, where
    np.testing.assert_allclose(a, b, rtol, atol, err_msg=f"{where}: ours, then PyTorch's")


def quietly(function: Any, *args: Any) -> Any:
    """Call a function of PyTorch's without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args)
