"""The outlier score that is stored: of one model, or of an ensemble, whose members' scores are joined.

While members predict, each one's score of the scan's voxels is kept in 16 bits; no map in floating point exists but the
joined one, for as long as it takes to round it to what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from softseg.network.ensemble_outliers import EnsembleOutliers
from softseg.network.fitted_outliers import FittedOutliers
from softseg.prediction.step_map import StepMap
from softseg.soft.outliers import StoredOutliers, as_steps
from softseg.types import FloatArray

if TYPE_CHECKING:
    from softseg.image import Geometry

Outliers = FittedOutliers | EnsembleOutliers
"""What was fitted to one model, or to an ensemble."""


def score_maps(outliers: Outliers | None, grid: Geometry, target: Geometry) -> tuple[StepMap, ...]:
    """Return what takes the score of each model that sees a scan in ``grid``; nothing where none is computed."""
    if outliers is None:
        return ()
    if isinstance(outliers, FittedOutliers):
        return (StepMap(outliers, grid, target),)
    return tuple(StepMap(member, grid, target, fine=True) for member in outliers.members)


def stored_scores(
    outliers: Outliers | None,
    maps: Sequence[StepMap],
    disagreement: Callable[[], FloatArray],
) -> StoredOutliers | None:
    """Return what is stored of the scores, None where none was wanted.

    Parameters
    ----------
    outliers: what was fitted.
    maps: what :func:`score_maps` returned, filled.
    disagreement: gives the mutual information of the members on the scan's grid ``(k, j, i)``, in nats.
    """
    if outliers is None:
        return None
    if isinstance(outliers, FittedOutliers):
        return _stored(outliers, maps[0].steps.astype(np.uint8, copy=False))
    scores = joined(outliers, maps, disagreement)
    return _stored(outliers, as_steps((scores - outliers.low) / (outliers.high - outliers.low)))


def joined(outliers: EnsembleOutliers, maps: Sequence[StepMap], disagreement: Callable[[], FloatArray]) -> FloatArray:
    """Return the score of an ensemble before it is rounded, float32 ``(k, j, i)`` of the scan.

    Parameters
    ----------
    outliers, maps, disagreement: see :func:`stored_scores`.
    """
    if not outliers.members:
        return disagreement()
    scores = np.zeros(maps[0].steps.shape, np.float32)
    for one in maps:
        scores += one.degree()
    scores /= len(maps)
    return scores


def _stored(outliers: Outliers, steps: npt.NDArray[np.uint8]) -> StoredOutliers:
    return StoredOutliers.of_volume(steps, outliers.score, outliers.threshold, outliers.low, outliers.high)
