"""Which library runs a network, where, and what it can do: said before anything is loaded."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from softseg.errors import InputError
from softseg.extras import command_for, missing
from softseg.requests.predict import PredictRequest, repeats
from softseg.system.cpu import cpu_has_bfloat16_tiles
from softseg.system.packages import installed

Library = Literal["torch", "onnx", "openvino"]

PROVIDERS: Mapping[str, str] = {
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
"""ONNX Runtime's execution providers by the names of devices, in the order in which they are chosen."""

_PACKAGES: Mapping[Library, tuple[str, ...]] = {
    "torch": ("torch", "monai"),
    "onnx": ("onnxruntime",),
    "openvino": ("openvino",),
}


@dataclass(frozen=True)
class Processor:
    """What computes where there is no PyTorch to say so.

    Attributes
    ----------
    type: ``"cpu"`` or a key of :data:`PROVIDERS`.
    index: which of several GPUs.
    """

    type: str = "cpu"
    index: int = 0

    def __str__(self) -> str:
        """Return its name, as for ``--device``."""
        return self.type if self.type in ("cpu", "coreml") else f"{self.type}:{self.index}"


def backend_of(request: PredictRequest) -> Library:
    """Return the library that runs the networks of a request; by default PyTorch where it and MONAI are installed.

    Raises
    ------
    InputError: it is not installed, or cannot do what is asked.
    """
    chosen = _default() if request.backend == "auto" else _named(request.backend)
    for package in _PACKAGES[chosen]:
        if not installed(package):
            raise missing(package)
    if chosen != "torch":
        require_without_torch(request, chosen)
    return chosen


def require_without_torch(request: PredictRequest, library: Library = "onnx") -> None:
    """Raise :class:`InputError` unless ONNX Runtime, or OpenVINO, can do what is asked."""
    if request.device != "auto":  # which never fails, and would load the library
        graph_device(request.device, library)
    graph_precision(request.precision, library)
    if request.uncertainty is not None and repeats(request.uncertainty)[0] == "dropout":
        raise needs_torch("dropout needs PyTorch", "uncertainty", "or tta:N")


def graph_device(device: str, library: str = "onnx") -> Processor:
    """Return where a library other than PyTorch runs networks.

    ``"auto"`` is the first of ONNX Runtime's :data:`PROVIDERS` that is installed, else the CPU; whether the provider
    works is seen when a network is run. OpenVINO runs networks on the CPU.

    Raises
    ------
    InputError: another one was asked for, or its provider is not installed.
    """
    if device == "cpu" or (device == "auto" and library != "onnx"):
        return Processor()
    if library != "onnx":
        raise needs_torch(f"OpenVINO computes on the CPU here, got {device!r}", "device", "or --device cpu")
    named = re.fullmatch(rf"({'|'.join(PROVIDERS)})(?::(\d+))?", device)
    if device != "auto" and named is None:
        raise needs_torch(
            f"ONNX Runtime computes on auto, cpu, {', '.join(PROVIDERS)}, got {device!r}", "device", "or --device cpu"
        )
    there = _providers()
    if named is None:
        return Processor(next((name for name, provider in PROVIDERS.items() if provider in there), "cpu"))
    name, index = named.group(1), int(named.group(2) or 0)
    if PROVIDERS[name] not in there:
        raise needs_torch(f"ONNX Runtime here has no {PROVIDERS[name]}, got {device!r}", "device", "or --device cpu")
    return Processor(name, index)


def graph_precision(precision: str | None, library: str = "onnx") -> str:
    """Return the number type in which a library other than PyTorch computes: float32, unless another type is set.

    OpenVINO takes bfloat16 on CPUs with AMX tiles, where that or ``auto`` is asked for.

    Raises
    ------
    InputError: it cannot compute in what was asked for.
    """
    if precision in (None, "float32"):
        return "float32"
    if library != "openvino":
        if precision != "auto":
            raise needs_torch(f"ONNX Runtime computes in float32 here, got {precision!r}", "precision")
        return "float32"
    if precision == "float16":
        raise needs_torch("OpenVINO computes in float32 or bfloat16 here, got 'float16'", "precision")
    if cpu_has_bfloat16_tiles():
        return "bfloat16"
    if precision == "bfloat16":
        raise InputError(
            "OpenVINO computes in bfloat16 on processors with AMX tiles, which this one lacks",
            field="precision",
            hint="use --precision float32",
        )
    return "float32"


def needs_torch(message: str, field: str, otherwise: str = "") -> InputError:
    """Return the error of an option that only PyTorch has, with what to do where that is not installed."""
    lacking = next((package for package in ("torch", "monai") if not installed(package)), None)
    do = "use --backend torch" if lacking is None else command_for(lacking)
    return InputError(message, field=field, hint=f"{do}, {otherwise}" if otherwise else do)


def _default() -> Library:
    if installed("torch") and installed("monai"):
        return "torch"
    return "openvino" if installed("openvino") and not installed("onnxruntime") else "onnx"


def _named(name: str) -> Library:
    return next(library for library in _PACKAGES if library == name)


def _providers() -> list[str]:
    if not installed("onnxruntime"):
        return []
    found: list[str] = importlib.import_module("onnxruntime").get_available_providers()
    return found
