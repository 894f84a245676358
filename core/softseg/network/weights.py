"""Reading files of weights without ever running code that may be in them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from softseg.errors import InputError


def read_weights(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a file of plain weights; pickled code in it is refused, never run.

    Raises
    ------
    InputError: the file is missing, damaged, or holds anything but plain values and tensors.
    """
    if not path.is_file():
        raise InputError("no such file", file=path)
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            "holds pickled Python objects where plain weights belong; refused, nothing of it was run",
            file=path,
            hint="get the weights from a source you trust as a plain state dict",
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise InputError("is damaged or not a file of weights", file=path) from error
    if not isinstance(state, dict):
        raise InputError(f"expected named weights, got {type(state).__name__}", file=path)
    return state
