"""The few sums over windows that prediction does itself: numpy's, or PyTorch's threads where it is loaded anyway."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from softseg.types import FloatArray


def softmax(values: FloatArray) -> FloatArray:
    """Return the softmax over the last axis, float32; the argument may be changed."""
    torch = _torch()
    if torch is not None:
        found: FloatArray = torch.softmax(torch.from_numpy(values), -1).numpy()
        return found
    values -= values.max(axis=-1, keepdims=True)
    np.exp(values, out=values)
    values /= values.sum(axis=-1, keepdims=True)
    return values


def scale(values: FloatArray, weights: FloatArray) -> None:
    """Multiply ``values`` ``(..., C)`` by ``weights`` ``(...)`` in place."""
    torch = _torch()
    if torch is not None:
        torch.from_numpy(values).mul_(torch.from_numpy(weights)[..., None])
        return
    values *= weights[..., None]


def divide(values: FloatArray, weights: FloatArray) -> None:
    """Divide ``values`` ``(..., C)`` by ``weights`` ``(...)`` in place."""
    torch = _torch()
    if torch is not None:
        torch.from_numpy(values).div_(torch.from_numpy(weights)[..., None])
        return
    values /= weights[..., None]


def add_scaled(total: FloatArray, values: FloatArray, weights: FloatArray) -> None:
    """Add ``values`` times ``weights`` to ``total`` ``(..., C)`` in place; ``values`` may be changed."""
    torch = _torch()
    if torch is not None:
        torch.from_numpy(total).addcmul_(torch.from_numpy(values), torch.from_numpy(weights)[..., None])
        return
    values *= weights[..., None]
    total += values


def _torch() -> Any:
    """Return PyTorch if something else has loaded it; nothing here is worth loading it for."""
    return sys.modules.get("torch")
