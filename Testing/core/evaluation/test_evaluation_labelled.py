"""Scores of labelled voxels: the same as scikit-learn's, unlabelled and coarser labels left out."""

from __future__ import annotations

import numpy as np
import pytest

from softseg.evaluation.labelled import LabelledScores, macro_f1
from softseg.evaluation.quick import quick_scores
from softseg.soft.labels import SoftLabels
from softseg.tree import LabelTree, Node
from softseg.types import IGNORE_INDEX

metrics = pytest.importorskip("sklearn.metrics")


@pytest.fixture
def tree() -> LabelTree:
    parents = {"T": "root", "E": "root", "t1": "T", "t2": "T", "e1": "E", "e2": "E"}
    values = {"t1": 1, "t2": 2, "e1": 3, "e2": 4, "T": 5}
    nodes = [Node("root", "root", None)] + [Node(n, n, p, value=values.get(n)) for n, p in parents.items()]
    return LabelTree(nodes)


def test_pooled_over_cases_they_are_those_of_scikit_learn(tree: LabelTree) -> None:
    generator = np.random.default_rng(0)
    pooled = LabelledScores(tree)
    truths, answers = [], []
    for _ in range(3):
        shares = generator.dirichlet([0.5] * 4, (2, 5, 6)).astype(np.float32).transpose(3, 0, 1, 2)
        truth = generator.integers(-1, 4, (2, 5, 6))
        truth[truth == 3] = IGNORE_INDEX  # e2 is never labelled, but predicted
        quick_scores(shares, SoftLabels.from_class_indices(truth, 7), tree, pooled)
        truths.append(truth[truth >= 0])
        answers.append(shares[:, truth >= 0])
    truth, answer = np.concatenate(truths), np.concatenate(answers, axis=1)
    top = np.stack([answer[:2].sum(axis=0), answer[2:].sum(axis=0)]).argmax(axis=0)
    expected = {
        "accuracy/leaves": metrics.accuracy_score(truth, answer.argmax(axis=0)),
        "f1/leaves": metrics.f1_score(truth, answer.argmax(axis=0), average="macro", zero_division=0),
        "accuracy/level 1": metrics.accuracy_score(truth // 2, top),
        "f1/level 1": metrics.f1_score(truth // 2, top, average="macro", zero_division=0),
    }
    scores = pooled.scores()
    assert {name: scores[name] for name in expected} == pytest.approx(expected)
    assert scores["f1/level 2"] == scores["f1/leaves"]


def test_a_coarse_label_counts_from_its_level_up(tree: LabelTree) -> None:
    pooled = LabelledScores(tree)
    shares = np.zeros((4, 1, 1, 2), np.float32)
    shares[1, 0, 0, 0] = shares[2, 0, 0, 1] = 1
    truth = np.full((1, 1, 2), tree.class_index("T"))
    quick_scores(shares, SoftLabels.from_class_indices(truth, 7), tree, pooled)
    scores = pooled.scores()
    assert scores == pytest.approx({"accuracy/level 1": 0.5, "f1/level 1": (2 / 3 + 0) / 2})


def test_where_nothing_is_predicted_the_answer_is_wrong(tree: LabelTree) -> None:
    pooled = LabelledScores(tree)
    quick_scores(
        np.zeros((4, 1, 1, 2), np.float32), SoftLabels.from_class_indices(np.zeros((1, 1, 2), int), 7), tree, pooled
    )
    assert pooled.scores()["accuracy/leaves"] == 0
    assert pooled.tables[-1][0, -1] == 2
    assert macro_f1(pooled.tables[-1]) == 0
