"""From evaluated voxels to numbers: detection of held-out classes, classes with outliers, cost of the branch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from softseg.evaluation.detection import (
    OUTLIER,
    ClassScores,
    auroc,
    average_precision,
    false_positive_rate,
    with_outliers,
)
from softseg.studies.findings.thresholds import LEVEL_SCORE, View, chosen_tpr
from softseg.studies.plan.study_file import RuleSpec
from softseg.studies.work.tables import Result
from softseg.studies.work.voxels import JudgedVoxels
from softseg.tree import LabelTree


@dataclass(frozen=True, eq=False)
class Judged:
    """One finished training of a study of outliers.

    Attributes
    ----------
    density, variant, seed, fold, held_out: which.
    voxels: what it answered.
    cases, units: name and subject of each case, by position.
    scores: names of the scores in ``voxels``.
    """

    density: str
    variant: str
    seed: int
    fold: str
    held_out: str
    voxels: JudgedVoxels
    cases: tuple[str, ...]
    units: tuple[str, ...]
    scores: tuple[str, ...]

    def row(
        self, case: int, level: int, metric: str, value: float, score: str = "", rule: str = "", node: str = ""
    ) -> Result:
        """Return one number of a case (by position; -1 for none) at a level (from 1; 0 for none)."""
        return Result(
            density=self.density,
            variant=self.variant,
            seed=self.seed,
            fold=self.fold,
            held_out=self.held_out,
            case=self.cases[case] if case >= 0 else "",
            unit=self.units[case] if case >= 0 else "",
            level=level,
            node=node,
            score=score,
            rule=rule,
            metric=metric,
            value=float(value),
        )

    @property
    def score_places(self) -> dict[str, int | None]:
        """Position of every score among the stored ones; None for the one that follows from the probabilities."""
        return {**{name: place for place, name in enumerate(self.scores)}, LEVEL_SCORE: None}


def judged_rows(trainings: Sequence[Judged], rules: Sequence[RuleSpec], tree: LabelTree) -> list[Result]:
    """Return all numbers of the trainings of one density, variant, seed and fold.

    Parameters
    ----------
    trainings: the one that saw all classes (``held_out`` empty) and those that held out a group each.
    rules: how thresholds are chosen.
    tree: the study's.
    """
    found: list[Result] = []
    for training in trainings:
        others = [other for other in trainings if other.held_out and other is not training]
        parts = _Parts.of(training)
        found += _answers(training, parts)
        for score in training.score_places:
            if training.held_out:
                found += _detection(training, parts, score, tree)
            for rule in rules:
                found += _with_rule(training, parts, others, score, rule)
    return found


@dataclass(frozen=True, eq=False)
class _Parts:
    """What of a training every score and rule looks at.

    Attributes
    ----------
    tested: position and voxels of each case of the test part.
    validation: voxels of the validation part.
    known: per level the nodes that the training may answer: those of trained classes, wherever they are evaluated.
    """

    tested: tuple[tuple[int, JudgedVoxels], ...]
    validation: JudgedVoxels
    known: tuple[frozenset[int], ...]

    @staticmethod
    def of(training: Judged) -> _Parts:
        voxels = training.voxels
        cases = np.flatnonzero(np.bincount(voxels.case[voxels.tested]))
        tested = tuple((int(case), voxels.where(voxels.tested & (voxels.case == case))) for case in cases)
        known = []
        for level in range(voxels.levels):
            view = View.of(voxels, level, None)
            nodes = np.concatenate([view.truth[view.inside], view.answer])
            known.append(frozenset(np.flatnonzero(np.bincount(nodes)).tolist()))
        return _Parts(tested, voxels.where(~voxels.tested), tuple(known))


def _answers(training: Judged, parts: _Parts) -> Iterator[Result]:
    """Yield accuracy, balanced accuracy and F1 on trained classes, without any outlier branch."""
    for case, voxels in parts.tested:
        for level in range(voxels.levels):
            view = View.of(voxels, level, None)
            inside = view.inside
            scores = ClassScores.of(view.truth[inside], view.answer[inside])
            for metric, value in vars(scores).items():
                yield training.row(case, level + 1, f"inside_{metric}", value)


def _detection(training: Judged, parts: _Parts, score: str, tree: LabelTree) -> Iterator[Result]:
    """Yield what needs no threshold: AUROC, AUPR, FPR at 95 % TPR, and the AUROC of each held-out class."""
    place = training.score_places[score]
    for case, voxels in parts.tested:
        for level in range(voxels.levels):
            view = View.of(voxels, level, place)
            own, strange = view.score[view.inside], view.score[~view.inside]
            if not own.size or not strange.size:
                continue
            yield training.row(case, level + 1, "auroc", auroc(own, strange), score)
            yield training.row(case, level + 1, "aupr", average_precision(own, strange), score)
            yield training.row(case, level + 1, "fpr95", false_positive_rate(own, strange), score)
            unknown = ~view.inside & ~np.isin(view.node, list(parts.known[level]))
            if unknown.any():
                yield training.row(case, level + 1, "auroc_unknown", auroc(own, view.score[unknown]), score)
            if level == voxels.levels - 1:
                for node in np.unique(view.node[~view.inside]):
                    value = auroc(own, view.score[~view.inside & (view.node == node)])
                    yield training.row(case, level + 1, "auroc", value, score, node=tree.nodes[int(node)].id)


def _with_rule(
    training: Judged, parts: _Parts, others: Sequence[Judged], score: str, rule: RuleSpec
) -> Iterator[Result]:
    """Yield what the branch finds and costs with a threshold that was chosen on other classes and other people."""
    place = training.score_places[score]
    levels = training.voxels.levels
    chosen: dict[int, tuple[float, float]] = {}
    for level in range(levels - 1, -1, -1):
        if place is not None and chosen:  # one score for all levels: its threshold is chosen at the leaves
            chosen[level] = chosen[levels - 1]
            continue
        own = View.of(parts.validation, level, place)
        views = [View.of(other.voxels.where(~other.voxels.tested), level, place) for other in others]
        tpr = chosen_tpr(rule, views, own)
        chosen[level] = tpr, own.threshold(tpr)
    for case, voxels in parts.tested:
        for level in range(levels):
            tpr, threshold = chosen[level]
            numbers = branch_numbers(View.of(voxels, level, place), threshold, parts.known[level])
            for metric, value in {**numbers, "chosen_tpr": tpr}.items():
                if not math.isnan(value):
                    yield training.row(case, level + 1, metric, value, score, rule.name)


def branch_numbers(view: View, threshold: float, known: Set[int]) -> Mapping[str, float]:
    """Return what the outlier branch does to evaluated voxels.

    Returns
    -------
    ``accuracy``, ``balanced_accuracy``, ``f1``: trained classes and outliers together (only with outliers).
    ``inside_accuracy_with``: accuracy on trained classes with the branch; ``accuracy_loss``: what it costs.
    ``passed``: fraction of trained classes' voxels that are not called outliers; ``found``: fraction of outliers that
        are.
    ``kin``: of the outliers that pass, and whose node at this level was trained, the fraction that gets that node: not
    a trained class, yet rightly named at this level.
    """
    inside = view.inside
    answer = with_outliers(view.answer, view.score, threshold)
    numbers: dict[str, float] = {}
    if inside.any():
        right = view.answer[inside] == view.truth[inside]
        kept = answer[inside] == view.truth[inside]
        numbers["inside_accuracy_with"] = float(kept.mean())
        numbers["accuracy_loss"] = float(right.mean() - kept.mean())
        numbers["passed"] = float(np.mean(answer[inside] != OUTLIER))
    if inside.any() and not inside.all():
        scores = ClassScores.of(view.truth, answer)
        numbers |= {"accuracy": scores.accuracy, "balanced_accuracy": scores.balanced_accuracy, "f1": scores.f1}
        numbers["found"] = float(np.mean(answer[~inside] == OUTLIER))
        missed = ~inside & (answer != OUTLIER) & np.isin(view.node, list(known))
        if missed.any():
            numbers["kin"] = float(np.mean(view.answer[missed] == view.node[missed]))
    return numbers
