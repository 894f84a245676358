"""Memory that is used again for every block of voxels."""

from __future__ import annotations

import torch
from torch import Tensor


class Scratch:
    """Named work arrays of one type on one device, allocated once for the largest block.

    Parameters
    ----------
    columns: voxels in the largest block.
    dtype, device: of all arrays.
    """

    def __init__(self, columns: int, dtype: torch.dtype, device: torch.device) -> None:
        self.columns = columns
        self.dtype = dtype
        self.device = device
        self._memory: dict[str, Tensor] = {}

    def array(self, name: str, rows: int, columns: int) -> Tensor:
        """Return a contiguous array ``[rows, columns]`` with undefined values; the last one of this name is void."""
        memory = self._memory.get(name)
        if memory is None or memory.numel() < rows * columns:
            size = rows * max(columns, self.columns)
            memory = self._memory[name] = torch.empty(size, dtype=self.dtype, device=self.device)
        return memory[: rows * columns].view(rows, columns)
