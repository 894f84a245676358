"""The voxels that still change: weighted sums of what windows say, cell by cell, let go once they are finished.

The plan's grid is cut into cells where windows begin and end. A cell is made when the first window reaches it and
finished by the last one, so at any time only the cells between the two exist for all leaves.
"""

from __future__ import annotations

import torch
from torch import Tensor

from softseg.soft.blocks import Index, Partition

Region = tuple[slice, slice, slice]


class WindowSums:
    """Sums over one picture's windows.

    Parameters
    ----------
    partition: the cells of the grid.
    """

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._open: dict[Index, tuple[Tensor, Tensor]] = {}

    def add(self, cell: Index, inside: Region, values: Tensor, weights: Tensor) -> None:
        """Add what a window says about part of a cell.

        Parameters
        ----------
        cell: which one.
        inside: the part, as slices of the cell.
        values: ``(k, j, i, channels)``; taken over and changed where it fills a new cell.
        weights: ``(k, j, i)``.
        """
        shape = self._partition.shape(cell)
        if cell not in self._open:
            if tuple(values.shape[:3]) == shape:
                self._open[cell] = values.mul_(weights[..., None]), weights.clone()
                return
            self._open[cell] = values.new_zeros((*shape, values.shape[3])), weights.new_zeros(shape)
        total, covered = self._open[cell]
        total[inside].addcmul_(values, weights[..., None])
        covered[inside] += weights

    def finish(self, cell: Index) -> tuple[Tensor, Tensor] | None:
        """Return the mean over the windows and the sum of their weights, and let the cell go; ``None``: no window."""
        if cell not in self._open:
            return None
        total, covered = self._open.pop(cell)
        total /= covered.clamp(min=torch.finfo(torch.float32).tiny)[..., None]
        return total, covered
