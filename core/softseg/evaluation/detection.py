"""How well a score separates outliers (voxels of no trained class) from trained classes, and what its use costs.

In all of this a *larger* score is stranger and outliers are the positive class. Everything is exact: ties count half
(AUROC) or are passed together (AUPR, thresholds), nothing is binned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from softseg.types import BoolArray

Scores = npt.NDArray[np.floating]
Positions = npt.NDArray[np.integer]

OUTLIER = -1
"""Position that stands for "outlier" among the positions of classes."""


def auroc(inside: Scores, outside: Scores) -> float:
    """Return the probability that an outlier has the larger score, ties counted half; nan where one side is empty.

    Parameters
    ----------
    inside, outside: scores of voxels of trained classes, and of outliers.
    """
    if not inside.size or not outside.size:
        return float("nan")
    ranks = rankdata(np.concatenate([outside, inside]))
    above = ranks[: outside.size].sum() - outside.size * (outside.size + 1) / 2
    return float(above / (outside.size * inside.size))


def average_precision(inside: Scores, outside: Scores) -> float:
    """Return the area under the precision-recall curve for finding outliers, as the sum of its steps.

    It depends on how many outliers there are: a score that knows nothing has the outliers' fraction. nan where one side
    is empty.
    """
    if not inside.size or not outside.size:
        return float("nan")
    found, wrong = _passed(inside, outside)
    recall = found / outside.size
    precision = found / (found + wrong)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def false_positive_rate(inside: Scores, outside: Scores, tpr: float = 0.95) -> float:
    """Return the fraction of outliers that pass where at least ``tpr`` of the trained classes' voxels do.

    "FPR at 95 % TPR", as the literature on outliers has it: there the trained classes are the positive ones. nan where
    one side is empty.
    """
    if not inside.size or not outside.size:
        return float("nan")
    return float(np.mean(outside <= threshold_for(inside, tpr)))


def threshold_for(inside: Scores, tpr: float) -> float:
    """Return the smallest score of ``inside`` that at least the fraction ``tpr`` of them does not exceed.

    A voxel is an outlier where its score is *larger* than the threshold.

    Raises
    ------
    ValueError: there are no scores, or ``tpr`` is not in 0..1.
    """
    if not inside.size or not 0 <= tpr <= 1:
        raise ValueError(f"expected scores and a fraction in 0..1, got {inside.size} scores and {tpr}")
    place = max(0, int(np.ceil(tpr * inside.size - 1e-9)) - 1)
    return float(np.partition(inside, place)[place])


def _passed(inside: Scores, outside: Scores) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return, for each distinct score from the largest down, outliers and others that reach it."""
    both = np.concatenate([outside, inside])
    order = np.argsort(-both, kind="stable")
    last = np.flatnonzero(np.append(np.diff(both[order]) != 0, True))
    found = np.cumsum(order < outside.size, dtype=np.float64)[last]
    return found, last + 1 - found


@dataclass(frozen=True)
class ClassScores:
    """How good one answer per voxel is, outliers counted as one more class.

    Attributes
    ----------
    accuracy: fraction of right answers.
    balanced_accuracy: mean recall of the classes that the truth has.
    f1: mean F1 of the classes that the truth has.
    """

    accuracy: float
    balanced_accuracy: float
    f1: float

    @staticmethod
    def of(truth: Positions, answer: Positions) -> ClassScores:
        """Compare positions of classes, :data:`OUTLIER` among them; all are nan where nothing is to be evaluated."""
        if not truth.size:
            return ClassScores(float("nan"), float("nan"), float("nan"))
        recall, f1 = recall_and_f1(truth, answer)
        return ClassScores(float(np.mean(truth == answer)), float(recall.mean()), float(f1.mean()))


def recall_and_f1(truth: Positions, answer: Positions) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return recall and F1 of each class that ``truth`` has, in the order of ``np.unique(truth)``."""
    names, where = np.unique(truth, return_inverse=True)
    size = np.bincount(where, minlength=len(names)).astype(np.float64)
    right = np.bincount(where[truth == answer], minlength=len(names))
    place = np.searchsorted(names, answer)
    place[place == len(names)] = 0
    answered = np.bincount(place[names[place] == answer], minlength=len(names))
    return right / size, 2 * right / (size + answered)


def with_outliers(answer: Positions, scores: Scores, threshold: float) -> npt.NDArray[np.int64]:
    """Return the answers with :data:`OUTLIER` where the score is beyond the threshold."""
    beyond: BoolArray = scores > threshold
    return np.where(beyond, OUTLIER, answer).astype(np.int64)
