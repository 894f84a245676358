"""Which library runs a network, and what it can do: said before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from softseg.errors import InputError
from softseg.events import Events
from softseg.extras import command_for, missing
from softseg.requests.predict import PredictRequest, repeats
from softseg.system.cpu import threads_each
from softseg.system.packages import installed

Library = Literal["torch", "onnx"]


@dataclass(frozen=True)
class Processor:
    """The CPU, as :func:`resolve_device` returns it, where there is no PyTorch to say so."""

    type: str = "cpu"

    def __str__(self) -> str:
        """Return its name."""
        return self.type


def backend_of(request: PredictRequest) -> Library:
    """Return the library that runs the networks of a request; by default PyTorch where it and MONAI are installed.

    Raises
    ------
    InputError: it is not installed, or cannot do what is asked.
    """
    if request.backend != "auto":
        chosen: Library = "torch" if request.backend == "torch" else "onnx"
    else:
        chosen = "torch" if installed("torch") and installed("monai") else "onnx"
    for package in ("torch", "monai") if chosen == "torch" else ("onnxruntime",):
        if not installed(package):
            raise missing(package)
    if chosen == "onnx":
        require_without_torch(request)
    return chosen


def require_without_torch(request: PredictRequest) -> None:
    """Raise :class:`InputError` unless ONNX Runtime can do what is asked."""
    onnx_device(request.device)
    onnx_precision(request.precision)
    if request.outliers:
        raise needs_torch("outlier scores need PyTorch", "outliers", "or leave it out")
    if request.uncertainty is not None and repeats(request.uncertainty)[0] == "dropout":
        raise needs_torch("dropout needs PyTorch", "uncertainty", "or tta:N")


def onnx_device(device: str, events: Events | None = None) -> Processor:
    """Return the device on which ONNX Runtime runs networks: the CPU.

    Raises
    ------
    InputError: another one was asked for.
    """
    if device not in ("auto", "cpu"):
        raise needs_torch(f"ONNX Runtime computes on the CPU here, got {device!r}", "device")
    if events is not None:
        events.log(f"device: cpu, ONNX Runtime ({threads_each(1)} threads)")
    return Processor()


def onnx_precision(precision: str | None) -> str:
    """Return the number type in which ONNX Runtime computes: float32.

    Raises
    ------
    InputError: another one was asked for.
    """
    if precision not in (None, "auto", "float32"):
        raise needs_torch(f"ONNX Runtime computes in float32 here, got {precision!r}", "precision")
    return "float32"


def needs_torch(message: str, field: str, otherwise: str = "") -> InputError:
    """Return the error of an option that only PyTorch has, with what to do where that is not installed."""
    lacking = next((package for package in ("torch", "monai") if not installed(package)), None)
    do = "use --backend torch" if lacking is None else command_for(lacking)
    return InputError(message, field=field, hint=f"{do}, {otherwise}" if otherwise else do)
