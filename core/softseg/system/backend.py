"""Which library runs networks, and where ONNX Runtime computes and how."""

from __future__ import annotations

from dataclasses import dataclass

from softseg.errors import InputError
from softseg.events import Events
from softseg.system.cpu import threads_each
from softseg.system.packages import installed


@dataclass(frozen=True)
class Processor:
    """The CPU, as :func:`resolve_device` returns it, where there is no PyTorch to say so."""

    type: str = "cpu"

    def __str__(self) -> str:
        """Return its name."""
        return self.type


def chosen_backend(backend: str) -> str:
    """Return the library that runs networks, ``"torch"`` or ``"onnx"``; ``"auto"`` is PyTorch where it is installed.

    Raises
    ------
    InputError: it is not installed.
    """
    package = {"torch": "torch", "onnx": "onnxruntime"}
    chosen = backend if backend != "auto" else "torch" if installed("torch") or not installed("onnxruntime") else "onnx"
    if not installed(package[chosen]):
        raise InputError(
            f"the Python package {package[chosen]} is not installed",
            field="backend",
            hint="pip install 'softseg[engine]'" if backend != "onnx" else "pip install onnxruntime",
        )
    return chosen


def onnx_device(device: str, events: Events | None = None) -> Processor:
    """Return the device on which ONNX Runtime runs networks: the CPU.

    Raises
    ------
    InputError: another one was asked for.
    """
    if device not in ("auto", "cpu"):
        raise InputError(
            f"ONNX Runtime computes on the CPU here, got {device!r}", field="device", hint="use --backend torch"
        )
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
        raise InputError(
            f"ONNX Runtime computes in float32 here, got {precision!r}", field="precision", hint="use --backend torch"
        )
    return "float32"
