"""The number type in which PyTorch computes convolutions."""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING

from softseg.errors import InputError
from softseg.requests.predict import PRECISIONS
from softseg.system.backend import Processor
from softseg.system.cpu import cpu_has_bfloat16_tiles

if TYPE_CHECKING:
    import torch


def resolve_precision(precision: str, device: torch.device | Processor) -> torch.dtype:
    """Return the number type of the convolutions; probabilities are always formed and summed in float32.

    ``"auto"``: bfloat16 on CPUs with AMX tiles and on GPUs that have it, float16 on older GPUs, float32 on other CPUs.

    Raises
    ------
    InputError: the name is unknown, or float16 was asked for on a CPU.
    """
    torch = importlib.import_module("torch")
    if precision not in PRECISIONS:
        raise InputError(f"expected {', '.join(PRECISIONS)}, got {precision!r}", field="precision")
    if precision == "float16" and device.type == "cpu":
        raise InputError("float16 is for GPUs", field="precision", hint="use auto, float32 or bfloat16")
    if precision == "auto" and device.type == "cuda":
        precision = "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    elif precision == "auto":
        precision = "bfloat16" if cpu_has_bfloat16_tiles() else "float32"
    return getattr(torch, precision)  # type: ignore[no-any-return]


def autocast(dtype: torch.dtype, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return the context in which convolutions compute in ``dtype``; nothing for float32."""
    torch = importlib.import_module("torch")
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=dtype)  # type: ignore[no-any-return]
