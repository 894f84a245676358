"""Where a network runs and with which numbers: device and precision by name."""

from __future__ import annotations

import contextlib

import torch

from softseg.errors import InputError
from softseg.events import Events

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
"""Names of the precisions that :func:`resolve_precision` takes."""


def resolve_device(device: str | torch.device, events: Events | None = None) -> torch.device:
    """Return the device of that name; ``"auto"`` is the first CUDA device if there is one, else the CPU.

    The choice is announced through ``events``.

    Raises
    ------
    InputError: the name is unknown, or a CUDA device was asked for that this machine does not have.
    """
    events = Events() if events is None else events
    if str(device) == "auto":
        chosen = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        events.log(f"device: {_describe(chosen)}" + (", no CUDA device found" if chosen.type == "cpu" else ""))
        return chosen
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"expected auto, cpu or cuda:N, got {device!r}", field="device") from error
    if chosen.type not in ("cpu", "cuda"):
        raise InputError(f"expected auto, cpu or cuda:N, got {device!r}", field="device")
    if chosen.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (chosen.index or 0) >= count:
            raise InputError(
                f"{device} was asked for, but this machine offers {count} CUDA devices",
                field="device",
                hint="use --device auto or --device cpu",
            )
    events.log(f"device: {_describe(chosen)}")
    return chosen


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """Return the number type of the convolutions; probabilities are always formed and summed in float32.

    ``"auto"``: bfloat16 on CPUs with AMX tiles and on GPUs that have it, float16 on older GPUs, float32 on other CPUs.

    Raises
    ------
    InputError: the name is unknown, or float16 was asked for on a CPU.
    """
    if precision not in PRECISIONS:
        raise InputError(f"expected {', '.join(PRECISIONS)}, got {precision!r}", field="precision")
    if precision == "float16" and device.type == "cpu":
        raise InputError("float16 is for GPUs", field="precision", hint="use auto, float32 or bfloat16")
    if precision != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if cpu_has_bfloat16_tiles() else torch.float32


def autocast(dtype: torch.dtype, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return the context in which convolutions compute in ``dtype``; nothing for float32."""
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=dtype)


def cpu_has_bfloat16_tiles() -> bool:
    """Whether this CPU multiplies bfloat16 in AMX tiles; without them bfloat16 gains nothing."""
    ask = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(ask is not None and ask())


def _describe(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"
