"""From scores of known voxels to a threshold and a range to store scores in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from softseg.errors import InputError
from softseg.network import Head
from softseg.network.fitted_outliers import FittedOutliers
from softseg.soft.outliers import score_range
from softseg.types import FloatArray

TPR = 0.95
"""Share of known voxels that stay below the threshold (the usual working point of the literature)."""

TAIL = 0.001
"""Share of known voxels that may lie beyond each end of the stored range (our default)."""


def threshold_at(scores: FloatArray, tpr: float) -> float:
    """Return the score that a share ``tpr`` of known voxels does not exceed.

    Raises
    ------
    InputError: ``tpr`` is not above 0 and at most 1, or there is no score.
    """
    if not 0 < tpr <= 1:
        raise InputError(f"expected a share above 0, at most 1, got {tpr}", field="tpr")
    finite = scores[np.isfinite(scores)]
    if not finite.size:
        raise InputError(
            "no labelled voxel of a known class to choose a threshold on",
            field="cases",
            hint="name cases with labels, or give a threshold",
        )
    return float(np.quantile(finite, tpr, method="higher"))


def with_threshold(
    fitted: FittedOutliers, scores: FloatArray, threshold: float, chosen: Mapping[str, Any], head: Head
) -> FittedOutliers:
    """Return a fitted score with a threshold and a range that stores it well.

    Parameters
    ----------
    fitted: with any threshold.
    scores: ``(N,)``, of known voxels; what the range is chosen from, with the score's own bounds.
    threshold: voxels with a larger score are outliers.
    chosen: how it was chosen, as plain values.
    head: the model's.

    Raises
    ------
    InputError: the threshold is not finite.
    """
    if not math.isfinite(threshold):
        raise InputError(f"expected a finite number, got {threshold}", field="threshold")
    finite = scores[np.isfinite(scores)]
    low, high = (threshold, threshold) if not finite.size else map(float, np.quantile(finite, [TAIL, 1 - TAIL]))
    low = min(low, threshold)
    high = max(high, 2 * threshold - low)
    bounds = fitted.make(head).bounds(head.classes)
    if bounds is not None:
        low, high = max(low, bounds[0]), max(min(high, bounds[1]), threshold)
        high = bounds[1] if bounds[1] > threshold else high
    low, high = score_range(threshold, low, high)
    return replace(fitted, threshold=threshold, low=low, high=high, chosen=dict(chosen))
