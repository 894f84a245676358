"""Reliability curves and the expected calibration error.

A prediction is calibrated when, of all voxels to which it gives a node with confidence 0.7, the node holds 0.7. The
curve compares both in bins of equal width; the expected calibration error is the mean distance between them, weighted
by the number of voxels in each bin (Guo et al. 2017). Which voxels count is decided by the prediction alone: choosing
them by the truth would bend the curve of a calibrated prediction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 20
"""Bins of equal width over 0..1 (our default; average-calibration-error losses use the same number)."""

FLOOR = 0.01
"""Voxels take part where the prediction gives at least this probability to what is judged (our default)."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Sums per bin from which curve and error follow; two of them can be added.

    Attributes
    ----------
    count: ``[..., bins]``, voxels.
    confidence: ``[..., bins]``, sum of the predicted probabilities.
    truth: ``[..., bins]``, sum of the reference's probabilities.
    """

    count: npt.NDArray[np.float64]
    confidence: npt.NDArray[np.float64]
    truth: npt.NDArray[np.float64]

    @staticmethod
    def zeros(*shape: int, bins: int = BINS) -> Reliability:
        """Return empty sums of shape ``[*shape, bins]``."""
        return Reliability(*(np.zeros((*shape, bins)) for _ in range(3)))

    def add(
        self,
        confidence: npt.NDArray[np.float32],
        truth: npt.NDArray[np.float32],
        row: npt.NDArray[np.intp] | int = 0,
    ) -> None:
        """Count voxels in.

        Parameters
        ----------
        confidence: ``[n]``, predicted probabilities, 0..1.
        truth: ``[n]``, the reference's probabilities, 0..1.
        row: ``[n]`` or one number: where in the leading axes (flattened) they belong.
        """
        bins = self.count.shape[-1]
        # a value on the edge between two bins may fall into either; 1 belongs to the last
        place = np.minimum((confidence * bins).astype(np.intp), bins - 1) + np.asarray(row) * bins
        for sums, weights in ((self.count, None), (self.confidence, confidence), (self.truth, truth)):
            sums += np.bincount(place, weights=weights, minlength=sums.size).reshape(sums.shape)

    def __add__(self, other: Reliability) -> Reliability:
        """Return the sums over both."""
        return Reliability(self.count + other.count, self.confidence + other.confidence, self.truth + other.truth)

    def __getitem__(self, row: int) -> Reliability:
        """Return one entry of the first axis."""
        return Reliability(self.count[row], self.confidence[row], self.truth[row])

    @property
    def curve(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Mean confidence and mean truth per bin; nan in empty bins."""
        with np.errstate(invalid="ignore"):
            return self.confidence / self.count, self.truth / self.count

    @property
    def error(self) -> npt.NDArray[np.float64]:
        """Expected calibration error, 0..1, over the last axis; nan where no voxel took part."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.abs(self.confidence - self.truth).sum(axis=-1) / self.count.sum(axis=-1))
