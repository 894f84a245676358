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
from softseg.types import BoolArray, FloatArray

MOST_LOSS = 0.005
"""Fraction of known, correctly labelled voxels that may be lost as outliers: half a point of accuracy (our default)."""

TAIL = 0.001
"""Fraction of known voxels that may lie beyond each end of the stored range (our default)."""


def threshold_at(scores: FloatArray, tpr: float) -> float:
    """Return the score that a fraction ``tpr`` of known voxels does not exceed.

    Raises
    ------
    InputError: ``tpr`` is not above 0 and at most 1, or there is no score.
    """
    if not 0 < tpr <= 1:
        raise InputError(f"expected a fraction above 0, at most 1, got {tpr}", field="tpr")
    finite = scores[np.isfinite(scores)]
    if not finite.size:
        raise _nothing()
    return float(np.quantile(finite, tpr, method="higher"))


def threshold_costing(scores: FloatArray, right: BoolArray, most_loss: float) -> float:
    """Return the smallest threshold beyond which at most a fraction of known voxels is both named rightly and lost.

    Parameters
    ----------
    scores: ``(N,)``, of known voxels.
    right: ``(N,)``, whether the model names them rightly.
    most_loss: accuracy that the outlier branch may cost, 0 to below 1.

    Raises
    ------
    InputError: ``most_loss`` is not in that range, or there is no score.
    """
    if not 0 <= most_loss < 1:
        raise InputError(f"expected a fraction from 0 to below 1, got {most_loss}", field="most loss")
    finite = np.isfinite(scores)
    if not finite.any():
        raise _nothing()
    worth = np.sort(scores[finite & right])[::-1]
    allowed = int(most_loss * int(finite.sum()))
    if allowed < worth.size:
        return float(worth[allowed])
    return float(scores[finite].min())  # so little is right that all of it may be lost


def _nothing() -> InputError:
    return InputError(
        "no labelled voxel of a known class to choose a threshold on",
        field="cases",
        hint="name cases with labels (--cases), or give a threshold (--threshold)",
    )


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
    low, high = range_for(scores, threshold, fitted.make(head).bounds(head.classes))
    return replace(fitted, threshold=threshold, low=low, high=high, chosen=dict(chosen))


def range_for(scores: FloatArray, threshold: float, bounds: tuple[float, float] | None) -> tuple[float, float]:
    """Return the lowest and the highest score of a range that stores scores well.

    Parameters
    ----------
    scores: ``(N,)``, of known voxels.
    threshold: voxels with a larger score are outliers.
    bounds: of the score itself, where it has any.

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
    if bounds is not None:
        low, high = max(low, bounds[0]), max(min(high, bounds[1]), threshold)
        high = bounds[1] if bounds[1] > threshold else high
    return score_range(threshold, low, high)
