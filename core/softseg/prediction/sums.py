"""The voxels that still change: weighted sums of what windows say, block by block, let go once they are finished.

The plan's grid is cut at every place where a window begins or ends. A block is made when the first window reaches it
and finished by the last one, so at any time only the blocks between the two exist for all leaves.
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
    partition: the blocks of the grid.
    """

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._open: dict[Index, tuple[Tensor, Tensor]] = {}

    def add(self, block: Index, inside: Region, values: Tensor, weights: Tensor) -> None:
        """Add what a window says about part of a block.

        Parameters
        ----------
        block: which one.
        inside: the part, as slices of the block.
        values: ``(k, j, i, channels)``; taken over and changed where it fills a new block.
        weights: ``(k, j, i)``.
        """
        shape = self._partition.shape(block)
        if block not in self._open:
            if tuple(values.shape[:3]) == shape:
                self._open[block] = values.mul_(weights[..., None]), weights.clone()
                return
            self._open[block] = values.new_zeros((*shape, values.shape[3])), weights.new_zeros(shape)
        total, covered = self._open[block]
        total[inside].addcmul_(values, weights[..., None])
        covered[inside] += weights

    def finish(self, block: Index) -> tuple[Tensor, Tensor] | None:
        """Return the mean over the windows and the sum of their weights, and let the block go; ``None``: no window."""
        if block not in self._open:
            return None
        total, covered = self._open.pop(block)
        total /= covered.clamp(min=torch.finfo(torch.float32).tiny)[..., None]
        return total, covered
