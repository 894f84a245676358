"""Thresholds by two-level cross-validation: chosen on classes that were held out on inner folds, evaluated on others.

A training that never saw the classes of group A is evaluated, on the people (or blocks) of the test part, with a
threshold that knows nothing of group A: it is chosen on the validation part of the trainings that held out the *other*
groups. What is carried over is not the threshold itself but the fraction of trained classes' voxels that pass it (its
TPR), because scores of different networks have different scales; each network then takes its own quantile, over its
own validation voxels. That fraction is also what ``softseg outliers fit --tpr`` takes. The carrying over is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softseg.evaluation.detection import OUTLIER, ClassScores, threshold_for, with_outliers
from softseg.studies.plan.study_file import RuleSpec
from softseg.studies.work.voxels import HELD_OUT, INSIDE, JudgedVoxels

CANDIDATES = np.unique(np.concatenate([[1.0], 1 - np.geomspace(0.0005, 0.5, 36)]))
"""Fractions of trained classes' voxels that may pass; one of them is chosen."""

LEVEL_SCORE = "level-max-softmax"
"""Score that every study has, too: 1 - the winner's summed probability, at the level that is judged (ours:
the maximum softmax probability, Hendrycks and Gimpel 2017, of the level's nodes instead of the leaves)."""

WITHOUT_OUTLIERS_TPR = 0.95
"""Fraction that passes where a rule wants outliers to choose by and there is no other group of classes."""


@dataclass(frozen=True, eq=False)
class View:
    """Evaluated voxels seen at one level with one score; voxels without a truth there are left out.

    Attributes
    ----------
    truth: node at that level, :data:`~softseg.evaluation.detection.OUTLIER` for held-out classes.
    answer: node that was answered.
    score: larger where stranger.
    node: node at that level, of held-out classes too.
    """

    truth: npt.NDArray[np.int64]
    answer: npt.NDArray[np.int64]
    score: npt.NDArray[np.float64]
    node: npt.NDArray[np.int64]

    @staticmethod
    def of(voxels: JudgedVoxels, level: int, score: int | None) -> View:
        """Look at voxels at a level (position from 0) with the score of this position, or :data:`LEVEL_SCORE`."""
        node = voxels.truth[level].astype(np.int64)
        known = (node >= 0) & ((voxels.state == INSIDE) | (voxels.state == HELD_OUT))
        held = voxels.state[known] == HELD_OUT
        values = 1 - voxels.share[level] if score is None else voxels.scores[score]
        return View(
            truth=np.where(held, OUTLIER, node[known]),
            answer=voxels.answer[level][known].astype(np.int64),
            score=values[known].astype(np.float64),
            node=node[known],
        )

    @property
    def inside(self) -> npt.NDArray[np.bool_]:
        """``[n]``: voxels of trained classes."""
        return np.asarray(self.truth != OUTLIER)

    def threshold(self, tpr: float) -> float:
        """Return the score that this fraction of the trained classes' voxels does not exceed; infinity without any."""
        own = self.score[self.inside]
        return threshold_for(own, tpr) if own.size else float("inf")

    def loss(self, threshold: float) -> float:
        """Return the accuracy on trained classes that is lost by calling voxels beyond the threshold outliers."""
        inside = self.inside
        if not inside.any():
            return 0.0
        right = self.answer[inside] == self.truth[inside]
        return float(np.mean(right & (self.score[inside] > threshold)))


def chosen_tpr(rule: RuleSpec, others: Sequence[View], own: View) -> float:
    """Return the fraction of trained classes' voxels that is to pass.

    Parameters
    ----------
    rule: how it is chosen.
    others: validation voxels of the trainings that held out other groups of classes.
    own: validation voxels of the training to be evaluated; its outliers are not looked at. It, too, must not lose
        more than the rule allows. Where there are no others this bound decides, or :data:`WITHOUT_OUTLIERS_TPR`.
    """
    if rule.tpr is not None:
        return rule.tpr
    views = [view for view in others if view.inside.any() and not view.inside.all()]
    allowed = [q for q in CANDIDATES if _lost(views, own, q) <= rule.most_loss]
    if not allowed:
        return 1.0
    if not views:
        return max(float(allowed[0]), WITHOUT_OUTLIERS_TPR) if rule.most_loss >= 1 else float(allowed[0])
    merit = [np.mean([_merit(view, view.threshold(q), rule) for view in views]) for q in allowed]
    best = np.flatnonzero(np.array(merit) >= max(merit))
    return float(allowed[int(best[-1])])  # of equals the one that costs least


def _lost(views: Sequence[View], own: View, tpr: float) -> float:
    """Return what the branch costs: the mean over the inner folds, or on the training's own voxels if that is more."""
    costs = [view.loss(view.threshold(tpr)) for view in views]
    return max(float(np.mean(costs)) if costs else 0.0, own.loss(own.threshold(tpr)))


def _merit(view: View, threshold: float, rule: RuleSpec) -> float:
    scores = ClassScores.of(view.truth, with_outliers(view.answer, view.score, threshold))
    return scores.f1 if rule.best == "f1" else scores.balanced_accuracy
