"""The interface between prediction and a network: windows go in, the network's output for each comes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from softseg.types import FloatArray

Kind = Literal["raw", "logits", "shares"]
"""What is asked of a network: raw outputs; the logits of the leaves; or their softmax. NormReLU heads have only raw."""

Region = tuple[slice, slice, slice]
"""Part of a window, ``(k, j, i)``."""


class Outputs(Protocol):
    """A network's output for one window."""

    def part(self, part: Region) -> FloatArray:
        """Return what was asked for in a part of the window: a new float32 array ``(k, j, i, channels)``."""
        ...


class Backend(Protocol):
    """A network that is ready to run, on the device on which it runs."""

    @property
    def name(self) -> str:
        """The library's: ``"torch"``, ``"onnx"`` or ``"openvino"``."""
        ...

    def run(self, windows: Sequence[FloatArray], kind: Kind) -> Sequence[Outputs]:
        """Run the network on windows of one size, all in one pass.

        Parameters
        ----------
        windows: float32 ``[channels, k, j, i]`` each; ``k`` is 1 for a network of slices.
        kind: what is wanted; ``"logits"`` and ``"shares"`` have one channel for every leaf.

        Raises
        ------
        MemoryError, RuntimeError: memory ran out.
        """
        ...

    def memory(self, channels: int, window: Sequence[int], batch: int, gradient: bool = False) -> int:
        """Return about how many bytes a pass takes at most, input and outputs included.

        Parameters
        ----------
        channels: of the input.
        window: ``(k, j, i)``.
        batch: windows in the pass.
        gradient: whether the gradient by the input is computed too.
        """
        ...
