"""The voxels that still change: weighted sums of what windows say, cell by cell, let go once they are finished.

The plan's grid is cut into cells where windows begin and end. A cell is made when the first window reaches it and
finished by the last one, so at any time only the cells between the two exist for all leaves.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from softseg.soft.blocks import Index, Partition

Region = tuple[slice, slice, slice]


class Mean(NamedTuple):
    """What all windows together say about a cell.

    Attributes
    ----------
    values: ``(k, j, i, channels)``.
    covered: ``(k, j, i)``, sum of the windows' weights; 0 where no window reached.
    scores: ``(k, j, i, S)``, outlier scores, if there are any.
    """

    values: Tensor
    covered: Tensor
    scores: Tensor | None


class WindowSums:
    """Sums over one picture's windows.

    Parameters
    ----------
    partition: the cells of the grid.
    """

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._open: dict[Index, Mean] = {}

    def add(self, cell: Index, inside: Region, values: Tensor, weights: Tensor, scores: Tensor | None = None) -> None:
        """Add what a window says about part of a cell.

        Parameters
        ----------
        cell: which one.
        inside: the part, as slices of the cell.
        values: ``(k, j, i, channels)``; taken over and changed where it fills a new cell.
        weights: ``(k, j, i)``.
        scores: ``(k, j, i, S)``, treated like ``values``; of every window or of none.
        """
        shape = self._partition.shape(cell)
        if cell not in self._open:
            if tuple(values.shape[:3]) == shape:
                scored = None if scores is None else scores.mul_(weights[..., None])
                self._open[cell] = Mean(values.mul_(weights[..., None]), weights.clone(), scored)
                return
            empty = None if scores is None else scores.new_zeros((*shape, scores.shape[3]))
            self._open[cell] = Mean(values.new_zeros((*shape, values.shape[3])), weights.new_zeros(shape), empty)
        total = self._open[cell]
        total.values[inside].addcmul_(values, weights[..., None])
        total.covered[inside] += weights
        if total.scores is not None and scores is not None:
            total.scores[inside].addcmul_(scores, weights[..., None])

    def finish(self, cell: Index) -> Mean | None:
        """Return the mean over the windows and the sum of their weights, and let the cell go; ``None``: no window."""
        if cell not in self._open:
            return None
        total = self._open.pop(cell)
        weights = total.covered.clamp(min=torch.finfo(torch.float32).tiny)[..., None]
        total.values.div_(weights)
        if total.scores is not None:
            total.scores.div_(weights)
        return total
