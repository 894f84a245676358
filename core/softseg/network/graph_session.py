"""What a library that runs the graph of ``models/model.onnx`` offers; the libraries themselves are in their modules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from softseg.types import FloatArray

if TYPE_CHECKING:
    from softseg.system import Processor

ONNX_FILE = "models/model.onnx"
WEIGHTS_FILE = "models/model.pt"

REWRITE = "write it again with softseg export MODEL --onnx, where PyTorch is installed"
"""What to do about a graph that is damaged, or belongs to something else."""


class GraphSession(Protocol):
    """A graph that a library has read, with its weights."""

    @property
    def name(self) -> str:
        """Name of the library as ``--backend`` takes it."""
        ...

    @property
    def notes(self) -> Mapping[str, str]:
        """Metadata of the file by name."""
        ...

    @property
    def outputs(self) -> frozenset[str]:
        """Names of the graph's outputs."""
        ...

    def run(self, output: str, batch: FloatArray) -> FloatArray:
        """Return one output for a batch ``[B, channels, *spatial]``, in the graph's own axes; nothing else is computed.

        Raises
        ------
        MemoryError, RuntimeError: memory ran out, or the library failed.
        """
        ...

    def on(self, device: Processor, precision: str) -> GraphSession:
        """Return a session of the same graph on another device, or in another number type.

        Raises
        ------
        InputError: the library cannot do it here.
        """
        ...


def version_of(text: str) -> tuple[int, int]:
    """Return the first two numbers of a library's version."""
    first, second, *_ = [*re.findall(r"\d+", text), "0", "0"]
    return int(first), int(second)
