"""Thresholds: chosen on other classes and other people, never by looking at what they will be judged on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from study_kit import some_voxels

from softseg.evaluation.detection import OUTLIER, ClassScores, with_outliers
from softseg.studies.findings.judge import Judged, branch_numbers, judged_rows
from softseg.studies.findings.thresholds import CANDIDATES, View, chosen_tpr
from softseg.studies.plan.study_file import RuleSpec
from softseg.studies.work.voxels import HELD_OUT
from softseg.tree import LabelTree

BOUNDED = RuleSpec(name="bounded", best="f1", most_loss=0.01)
FREE = RuleSpec(name="free", best="balanced_accuracy")


@given(st.integers(0, 30))
@settings(deadline=None, max_examples=15)
def test_the_bound_holds_where_it_was_chosen(seed: int) -> None:
    views = [View.of(some_voxels(seed + n), 1, 0) for n in range(3)]
    tpr = chosen_tpr(BOUNDED, views[1:], views[0])
    assert np.mean([view.loss(view.threshold(tpr)) for view in views[1:]]) <= 0.01
    assert views[0].loss(views[0].threshold(tpr)) <= 0.01


@given(st.integers(0, 30))
@settings(deadline=None, max_examples=10)
def test_the_best_probability_is_the_best_of_all_candidates(seed: int) -> None:
    views = [View.of(some_voxels(seed + n), 1, 0) for n in range(2)]

    def merit(q: float) -> float:
        answers = [with_outliers(v.answer, v.score, v.threshold(q)) for v in views]
        return float(
            np.mean([ClassScores.of(v.truth, a).balanced_accuracy for v, a in zip(views, answers, strict=True)])
        )

    chosen = chosen_tpr(FREE, views, views[0])
    assert merit(chosen) == pytest.approx(max(merit(q) for q in CANDIDATES))


def test_own_outliers_are_not_looked_at() -> None:
    """Whatever the held-out voxels of the judged training score, the choice and the threshold stay."""
    own, others = some_voxels(1), [View.of(some_voxels(n), 1, 0) for n in (2, 3)]
    scores = own.scores.copy()
    scores[0, own.state == HELD_OUT] = 1e6
    for rule in (BOUNDED, FREE):
        one, two = View.of(own, 1, 0), View.of(replace(own, scores=scores), 1, 0)
        tpr = chosen_tpr(rule, others, one)
        assert chosen_tpr(rule, others, two) == tpr
        assert one.threshold(tpr) == two.threshold(tpr)


def test_without_another_group_the_bound_or_a_fixed_probability_decides() -> None:
    own = View.of(some_voxels(5), 1, 0)
    assert chosen_tpr(FREE, [], own) == 0.95
    tpr = chosen_tpr(BOUNDED, [], own)
    assert own.loss(own.threshold(tpr)) <= 0.01
    smaller = CANDIDATES[tpr > CANDIDATES]
    assert smaller.size == 0 or own.loss(own.threshold(smaller.max())) > 0.01
    assert chosen_tpr(RuleSpec(name="fixed", tpr=0.9), [], own) == 0.9


def test_the_levels_own_score_is_the_winners_missing_probability() -> None:
    voxels = some_voxels(3)
    for level in range(2):
        assert View.of(voxels, level, None).score == pytest.approx(1 - voxels.share[level])


def test_numbers_of_the_branch_by_hand() -> None:
    """Nodes 1 and 2 are trained; of three outliers one is found, one gets its relative 2, one gets 1."""
    view = View(
        truth=np.array([1, 1, 2, 2, OUTLIER, OUTLIER, OUTLIER]),
        answer=np.array([1, 2, 2, 2, 1, 2, 1]),
        score=np.array([0.1, 0.2, 0.9, 0.3, 0.8, 0.4, 0.2]),
        node=np.array([1, 1, 2, 2, 2, 2, 2]),
    )
    numbers = branch_numbers(view, 0.5, {1, 2})
    assert numbers["inside_accuracy_with"] == pytest.approx(2 / 4)
    assert numbers["accuracy_loss"] == pytest.approx(1 / 4)
    assert numbers["passed"] == pytest.approx(3 / 4)
    assert numbers["found"] == pytest.approx(1 / 3)
    assert numbers["kin"] == pytest.approx(1 / 2)
    assert numbers["accuracy"] == pytest.approx(3 / 7)
    assert numbers["balanced_accuracy"] == pytest.approx((1 / 2 + 1 / 2 + 1 / 3) / 3)
    assert "kin" not in branch_numbers(view, 0.5, {1})
    assert set(branch_numbers(replace(view, truth=np.ones(7, int)), 0.5, {1})) == {
        "inside_accuracy_with",
        "accuracy_loss",
        "passed",
    }


def test_every_number_of_a_fold(fields_tree: LabelTree) -> None:
    """A score that separates perfectly: AUROC 1, everything found, nothing lost; each held-out class by itself."""
    trainings = [
        Judged(
            "whole", "tree", 0, "0", group, some_voxels(n, held=bool(group), perfect=True), ("a",), ("farm",), ("s",)
        )
        for n, group in enumerate(("", "one", "two"))
    ]
    rules = [RuleSpec(name="best", best="f1")]
    rows = judged_rows(trainings, rules, fields_tree)
    perfect = [row for row in rows if row.score == "s"]
    for metric, value in (("auroc", 1), ("aupr", 1), ("fpr95", 0), ("found", 1)):
        values = {row.value for row in perfect if row.metric == metric}
        assert list(values) == pytest.approx([value] * len(values)), metric
    assert max(row.value for row in perfect if row.metric == "accuracy_loss") < 0.02
    assert {row.node for row in perfect if row.metric == "auroc"} == {"", "pine"}
    assert {row.unit for row in rows} == {"farm"}
    assert {row.held_out for row in rows if row.metric == "auroc"} == {"one", "two"}
    inside = [row for row in rows if row.metric == "inside_accuracy" and not row.held_out]
    assert {row.level for row in inside} == {1, 2}
    assert all(0.5 < row.value < 1 for row in inside)
