"""Scores of labelled voxels: the same as scikit-learn's, unlabelled and coarser labels left out."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from softseg.errors import InputError
from softseg.evaluation import evaluate
from softseg.evaluation.labelled import LabelledScores, macro_f1
from softseg.evaluation.quick import quick_scores
from softseg.image import Image, read_image, write_image
from softseg.soft.labels import SoftLabels
from softseg.soft.parcellation import SoftParcellation
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
        probabilities = generator.dirichlet([0.5] * 4, (2, 5, 6)).astype(np.float32).transpose(3, 0, 1, 2)
        truth = generator.integers(-1, 4, (2, 5, 6))
        truth[truth == 3] = IGNORE_INDEX  # e2 is never labelled, but predicted
        quick_scores(probabilities, SoftLabels.from_class_indices(truth, 7), tree, pooled)
        truths.append(truth[truth >= 0])
        answers.append(probabilities[:, truth >= 0])
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
    probabilities = np.zeros((4, 1, 1, 2), np.float32)
    probabilities[1, 0, 0, 0] = probabilities[2, 0, 0, 1] = 1
    truth = np.full((1, 1, 2), tree.class_index("T"))
    quick_scores(probabilities, SoftLabels.from_class_indices(truth, 7), tree, pooled)
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


@pytest.mark.parametrize("unlabelled", [0, 200])
def test_evaluation_of_labelled_voxels_alone(case_files, small_tree, tmp_path, unlabelled) -> None:
    """References of a few voxels: the scores are those of these voxels, whatever lies around them."""
    generator = np.random.default_rng(2)
    cases, pairs = [], []
    html = unlabelled == 200
    names = ("ada",) if html else ("ada", "ben")
    for number, case in enumerate(names):
        image = read_image(case_files / "labels" / f"{case}.nii.gz")
        painted = np.full_like(image.array, unlabelled)
        places = generator.choice(np.flatnonzero(image.array), 300, replace=False)
        painted.flat[places] = image.array.flat[places]
        write_image(Image(painted, image.geometry), tmp_path / f"{case}.nii.gz")
        answer = SoftParcellation.load(case_files / "predictions" / case / "soft.soft.npz")
        pairs.append((image.array.flat[places], answer.labels(small_tree.cut_at(small_tree.depth)).flat[places]))
        files = {"images": {"T1": str(case_files / "images" / f"{case}.nii.gz")}, "labels": f"{case}.nii.gz"}
        cases.append({"id": case, "group": case, "split": ("val", "test")[number], **files})
    small_tree.save(tmp_path / "tree.json")
    content = {"name": "strokes", "channels": ["T1"], "tree": "tree.json", "unlabelled": unlabelled, "cases": cases}
    (tmp_path / "DATA.json").write_text(json.dumps(content))
    predictions = [case_files / "predictions" / case for case in names]
    report = evaluate(
        predictions, [tmp_path / "DATA.json"], small_tree, tmp_path / "out", html=html, labelled_only=True
    )
    truth, label = (np.concatenate(side) for side in zip(*pairs, strict=True))
    last = report.summary()["labelled_voxels"][-1]
    named = [leaf.value for leaf in small_tree.leaves if leaf.value]
    assert last["voxels"] == 300 * len(names)
    assert last["accuracy"] == pytest.approx(metrics.accuracy_score(truth, label))
    assert last["macro_f1"] == pytest.approx(metrics.f1_score(truth, label, labels=named, average="macro"))
    rows = list(csv.DictReader((tmp_path / "out" / "labelled.csv").open()))
    assert {row["node"] for row in rows if row["level"] == "4"} == {"left-cortex", "right-cortex", "deep", "white"}
    if html:
        assert "Only labelled voxels are judged" in (tmp_path / "out" / "report.html").read_text()
    assert all(np.isnan(row["hd95_mm"]) for row in report.nodes)


def test_references_without_any_label_are_an_error(case_files, small_tree, tmp_path) -> None:
    image = read_image(case_files / "labels" / "ada.nii.gz")
    write_image(Image(np.zeros_like(image.array), image.geometry), tmp_path / "ada.nii.gz")
    with pytest.raises(InputError, match=r"ada\.nii\.gz.*no voxel is labelled"):
        evaluate(
            [case_files / "predictions" / "ada"],
            [tmp_path / "ada.nii.gz"],
            small_tree,
            tmp_path / "out",
            labelled_only=True,
        )
    assert not (tmp_path / "out" / "summary.json").exists()
