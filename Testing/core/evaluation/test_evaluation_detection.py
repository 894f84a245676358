"""Scores of outlier detection against scikit-learn's, and against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from softseg.evaluation.detection import (
    OUTLIER,
    ClassScores,
    auroc,
    average_precision,
    false_positive_rate,
    recall_and_f1,
    threshold_for,
    with_outliers,
)

few_values = st.sampled_from([0.0, 0.25, 0.5, 1.0, 7.0])  # so that there are ties
scores = arrays(np.float64, st.integers(1, 40), elements=few_values)
metrics = pytest.importorskip("sklearn.metrics", reason="the independent reference comes with nilearn")


@given(scores, scores)
def test_areas_are_those_of_scikit_learn(inside: np.ndarray, outside: np.ndarray) -> None:
    truth = np.repeat([0, 1], [inside.size, outside.size])
    both = np.concatenate([inside, outside])
    assert auroc(inside, outside) == pytest.approx(metrics.roc_auc_score(truth, both))
    assert average_precision(inside, outside) == pytest.approx(metrics.average_precision_score(truth, both))


@given(scores, scores)
def test_false_positives_are_those_of_scikit_learns_curve(inside: np.ndarray, outside: np.ndarray) -> None:
    trained_first = np.repeat([1, 0], [inside.size, outside.size])  # here trained classes are the positive ones
    strange, reached, _ = metrics.roc_curve(trained_first, -np.concatenate([inside, outside]), drop_intermediate=False)
    assert false_positive_rate(inside, outside) == pytest.approx(strange[reached >= 0.95 - 1e-12].min())


@given(scores, st.floats(0, 1))
def test_threshold_lets_the_asked_fraction_pass_and_no_smaller_one_does(inside: np.ndarray, fraction: float) -> None:
    threshold = threshold_for(inside, fraction)
    assert np.mean(inside <= threshold) >= fraction - 1e-9
    smaller = inside[inside < threshold]
    assert smaller.size == 0 or np.mean(inside <= smaller.max()) < fraction + 1e-9


classes = st.integers(1, 60).flatmap(
    lambda n: st.tuples(*[arrays(np.int64, n, elements=st.sampled_from([OUTLIER, 0, 1, 4])) for _ in range(2)])
)


@given(classes)
def test_class_scores_are_those_of_scikit_learn(both: tuple[np.ndarray, np.ndarray]) -> None:
    truth, answer = both
    found = ClassScores.of(truth, answer)
    names = np.unique(truth)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(truth, answer))
    assert found.balanced_accuracy == pytest.approx(metrics.recall_score(truth, answer, labels=names, average="macro"))
    assert found.f1 == pytest.approx(metrics.f1_score(truth, answer, labels=names, average="macro"))


def test_by_hand() -> None:
    inside, outside = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.35, 0.9])
    assert auroc(inside, outside) == pytest.approx(7 / 8)
    assert average_precision(inside, outside) == pytest.approx((1 + 2 / 3) / 2)
    assert false_positive_rate(inside, outside, tpr=0.75) == 0.0
    assert threshold_for(inside, 0.75) == 0.3
    answer = with_outliers(np.array([0, 1, 1]), np.array([0.2, 0.3, 0.31]), 0.3)
    assert answer.tolist() == [0, 1, OUTLIER]
    recall, f1 = recall_and_f1(np.array([0, 1, OUTLIER]), np.array([0, 1, 1]))
    assert recall.tolist() == [0, 1, 1]
    assert f1.tolist() == pytest.approx([0, 1, 2 / 3])


def test_nothing_to_judge_is_said_to_be_nothing() -> None:
    empty, some = np.empty(0), np.array([1.0])
    assert np.isnan([auroc(empty, some), average_precision(some, empty), false_positive_rate(empty, some)]).all()
    assert np.isnan(ClassScores.of(np.empty(0, int), np.empty(0, int)).f1)
    with pytest.raises(ValueError, match="expected scores and a fraction"):
        threshold_for(empty, 0.95)
