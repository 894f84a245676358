"""What ``softseg export`` is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from softseg.errors import InputError
from softseg.requests.request import Request, argument, option


@dataclass(frozen=True)
class ExportRequest(Request):
    """Write a model's network in a form that other software runs, into its folder.

    Attributes
    ----------
    model: a model folder or the name of a shipped model; of an ensemble, each member.
    onnx: write ``models/model.onnx``, for ONNX Runtime.
    """

    COMMAND: ClassVar[tuple[str, ...]] = ("export",)

    model: str = argument("MODEL", "A model folder or shipped model; of an ensemble, each member.")
    onnx: bool = option("--onnx", "Write models/model.onnx, for predictions without PyTorch.", kind=bool, default=False)

    def check(self) -> None:
        """One form is named."""
        if not self.onnx:
            raise InputError("say in which form to write the model", field="--onnx", hint="there is --onnx")
