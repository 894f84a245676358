"""Where finished outlier scores go: a map in 8 or 16 bits on the scan's grid, filled block by block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from softseg.image import Geometry
from softseg.soft.blocks import BlockResampler, Index, Partition
from softseg.soft.outliers import STEPS, as_steps
from softseg.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from softseg.network.fitted_outliers import FittedOutliers

FINE = 65535
"""Largest step of a score in 16 bits."""

NOT_JUDGED = float("-inf")
"""Score of voxels that no window reached: they are surely background, so never strange."""

ScoreSink = Callable[[Index, FloatArray | None], None]
"""Takes a finished block's position and its scores ``(k, j, i, S)``, None where no window reached."""


def mean_of_pictures(found: Sequence[tuple[FloatArray, BoolArray] | None], shape: Index) -> FloatArray | None:
    """Return the mean of several pictures' scores of a block, ``(k, j, i, S)``; NOT_JUDGED where none has any.

    Parameters
    ----------
    found: for each picture scores ``(k, j, i, S)`` and where windows reached, bool ``(k, j, i)``; None: nowhere.
    shape: ``(k, j, i)`` of the block.
    """
    there = [pair for pair in found if pair is not None]
    if not there:
        return None
    total = np.zeros((*shape, there[0][0].shape[3]), np.float32)
    count = np.zeros(shape, np.float32)
    for scores, reached in there:
        total += np.where(reached[..., None], scores, np.float32(0))
        count += reached
    mean = total / np.maximum(count, 1)[..., None]
    return np.where(count[..., None] > 0, mean, np.float32(NOT_JUDGED))


class StepMap:
    """A fitted score on the scan's grid, in 8 or 16 bits, filled block by block.

    Parameters
    ----------
    fitted: whose range it is kept in.
    grid, target: the model's grid of this case and the scan's.
    fine: keep it in 16 bits, to be joined with others.

    Attributes
    ----------
    fitted: see above.
    steps: uint8 or uint16 ``(k, j, i)`` of the scan: 0 at the low end of the range, the largest number at the high end.
    """

    def __init__(self, fitted: FittedOutliers, grid: Geometry, target: Geometry, fine: bool = False) -> None:
        self.fitted, self._fine = fitted, fine
        self.steps: npt.NDArray[np.uint8] | npt.NDArray[np.uint16] = np.zeros(
            target.shape, np.uint16 if fine else np.uint8
        )
        self._resampler = BlockResampler(grid, target, 1, None)

    def begin(self, partition: Partition) -> ScoreSink:
        """Return what takes the blocks of a partition, in its order."""
        completed = self._resampler.one_by_one(partition)
        low, high = self.fitted.low, self.fitted.high

        def take(block: Index, scores: FloatArray | None) -> None:
            degree = None if scores is None else np.clip((scores - low) / (high - low), 0, 1).astype(np.float32)
            for voxels, _, values in completed(block, degree):
                steps = np.rint(values[0] * np.float32(FINE)) if self._fine else as_steps(values[0])
                self.steps.reshape(-1)[voxels] = steps

        return take

    def degree(self) -> FloatArray:
        """Return the place of each voxel's score in the range, float32 ``(k, j, i)`` in 0..1."""
        return np.asarray(self.steps / np.float32(FINE if self._fine else STEPS), np.float32)
