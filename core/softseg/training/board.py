"""TensorBoard, where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Board:
    """Writes scalars for TensorBoard; does nothing where the package is missing.

    Parameters
    ----------
    folder: where its files go; None: nowhere.
    step: steps done so far; later entries of an interrupted session are hidden.
    """

    def __init__(self, folder: Path | None, step: int) -> None:
        self._writer: Any = None
        if folder is None:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self._writer = SummaryWriter(str(folder), purge_step=step + 1 if step else None)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Add one point."""
        if self._writer is not None:
            self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        """Write everything out."""
        if self._writer is not None:
            self._writer.flush()
