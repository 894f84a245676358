"""The voxels that still change: weighted sums of the windows' outputs, cell by cell, freed once they are finished.

The plan's grid is cut into cells where windows begin and end. A cell is made when the first window reaches it and
finished by the last one, so at any time only the cells between the two exist for all leaves.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from softseg.backends import Region
from softseg.backends.arithmetic import add_scaled, divide, scale
from softseg.soft.blocks import Index, Partition
from softseg.types import FloatArray


class Mean(NamedTuple):
    """The sum of all windows' outputs in a cell.

    Attributes
    ----------
    values: ``(k, j, i, channels)``.
    covered: ``(k, j, i)``, sum of the windows' weights; 0 where no window reached.
    scores: ``(k, j, i, S)``, outlier scores, if there are any.
    """

    values: FloatArray
    covered: FloatArray
    scores: FloatArray | None


class WindowSums:
    """Sums over one picture's windows.

    Parameters
    ----------
    partition: the cells of the grid.
    """

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._open: dict[Index, Mean] = {}

    def add(
        self,
        cell: Index,
        inside: Region,
        values: FloatArray,
        weights: FloatArray,
        scores: FloatArray | None = None,
    ) -> None:
        """Add a window's output for part of a cell.

        Parameters
        ----------
        cell: which one.
        inside: the part, as slices of the cell.
        values: ``(k, j, i, channels)``; taken over and changed.
        weights: ``(k, j, i)``.
        scores: ``(k, j, i, S)``, treated like ``values``; of every window or of none.
        """
        shape = self._partition.shape(cell)
        if cell not in self._open:
            if tuple(values.shape[:3]) == shape:
                scale(values, weights)
                if scores is not None:
                    scale(scores, weights)
                self._open[cell] = Mean(values, weights.copy(), scores)
                return
            empty = None if scores is None else np.zeros((*shape, scores.shape[3]), np.float32)
            self._open[cell] = Mean(np.zeros((*shape, values.shape[3]), np.float32), np.zeros(shape, np.float32), empty)
        total = self._open[cell]
        add_scaled(total.values[inside], values, weights)
        total.covered[inside] += weights
        if total.scores is not None and scores is not None:
            add_scaled(total.scores[inside], scores, weights)

    def finish(self, cell: Index) -> Mean | None:
        """Return the mean over the windows and the sum of their weights, and let the cell go; ``None``: no window."""
        if cell not in self._open:
            return None
        total = self._open.pop(cell)
        weights = np.maximum(total.covered, np.finfo(np.float32).tiny)
        divide(total.values, weights)
        if total.scores is not None:
            divide(total.scores, weights)
        return total
