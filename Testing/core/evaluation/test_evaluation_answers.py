"""The curve of depth against accuracy: against the label maps of mixed depth themselves, voxel by voxel."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from softseg.evaluation import evaluate
from softseg.evaluation.answers import STEPS, Answers
from softseg.evaluation.rows import LevelBlock, TreeRows
from softseg.image import Geometry
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree

VOXELS = 400


def drawn(tree: LabelTree, seed: int) -> tuple[SoftParcellation, np.ndarray]:
    """Return random probabilities of a row of voxels, and reference labels: leaves, inner nodes and unlabelled (-1)."""
    generator = np.random.default_rng(seed)
    dense = generator.dirichlet(np.full(len(tree.leaves), 0.25), VOXELS).astype(np.float32).T
    likely = (generator.random(VOXELS) > np.cumsum(dense, axis=0)).sum(axis=0).clip(0, len(tree.leaves) - 1)
    classes = likely.astype(np.int16)
    classes[::7] = tree.class_index("cortex")
    classes[::11] = tree.class_index("brain")
    classes[::13] = -1
    grid = Geometry((VOXELS, 1, 1), (1, 1, 1), (0, 0, 0))
    return SoftParcellation.from_dense(dense[:, None, None, :], tree, grid), classes


@pytest.mark.parametrize("seed", [0, 1])
def test_the_curve_is_that_of_the_label_maps(small_tree, seed):
    found, classes = drawn(small_tree, seed)
    tree, rows = small_tree, TreeRows.of(small_tree)
    predicted = np.stack([found.probability(node.id).reshape(-1) for node in tree.nodes])
    said = np.flatnonzero(classes >= 0)
    reference = rows.from_classes(classes[None, said], np.ones((1, said.size), np.float32))
    answers = Answers.of(predicted[:, said], reference, rows)
    labels = found.labels(tree.depth).reshape(-1)
    judged_at_all = [v for v in said if not (classes[v] == tree.class_index("background") and labels[v] == 0)]
    assert answers.voxels == len(judged_at_all)
    ids = {value: id_ for id_, value in tree.node_values().items()}
    for place in (0, 13, 40, STEPS):
        level = float(answers.confidences[place])
        mixed = found.confident_labels(round(level, 4)).reshape(-1)
        depths, right, known = [], 0, 0
        for voxel in judged_at_all:
            node = ids.get(int(mixed[voxel]), "head")
            depth = tree.depth if tree.is_leaf(node) else tree.depth_of(node)
            depths.append(depth)
            truth = tree.class_nodes[classes[voxel]]
            speaks = tree.is_leaf(truth.id) or tree.depth_of(truth.id) >= tree.depth_of(node)
            if depth and speaks and (tree.depth_of(truth.id) >= depth or tree.is_leaf(truth.id)):
                known += 1
                right += node in [above.id for above in tree.path(truth.id)]
        expected = [np.mean([d >= wanted for d in depths]) for wanted in range(1, tree.depth + 1)]
        np.testing.assert_allclose(answers.fractions[:, place], expected, atol=1e-9)
        assert answers.judged[1:, place].sum() == pytest.approx(known)
        assert answers.right[1:, place].sum() == pytest.approx(right)


def test_parts_add_up_and_more_confidence_never_answers_deeper(small_tree):
    found, classes = drawn(small_tree, 5)
    rows = TreeRows.of(small_tree)
    predicted = np.stack([found.probability(node.id).reshape(-1) for node in small_tree.nodes])
    reference = rows.from_classes(np.maximum(classes, 0)[None], np.ones((1, VOXELS), np.float32))
    whole = Answers.of(predicted, reference, rows)
    halves = [Answers.of(predicted[:, part], reference[:, part], rows) for part in (slice(150), slice(150, None))]
    summed = halves[0] + halves[1]
    blocks = [LevelBlock.of(predicted, reference, level) for level in rows.levels]
    known = Answers.of(predicted, reference, rows, blocks)
    for name in ("answered", "judged", "right"):
        np.testing.assert_allclose(getattr(summed, name), getattr(whole, name), atol=1e-9)
        np.testing.assert_array_equal(getattr(known, name), getattr(whole, name))
    np.testing.assert_allclose(whole.answered.sum(axis=0), whole.voxels)
    assert (np.diff(whole.fractions, axis=1) <= 1e-12).all()
    assert (np.diff(whole.fractions, axis=0) <= 1e-12).all()


def test_needed_confidence():
    answers = Answers.zeros(1)
    answers.judged[1] = 10
    answers.right[1] = 9
    answers.right[1, 20:] = 9.6
    answers.right[1, 25] = 9.4  # once more below: what counts is from where on it holds
    answers.judged[1, 50] = answers.right[1, 50] = 0
    assert answers.needed(0.95) == 26
    assert answers.needed(0.9) == 0
    assert answers.needed(0.97) is None
    assert Answers.zeros(3).needed(0.5) is None


def test_evaluate_writes_the_curve(case_files, small_tree, tmp_path):
    chosen, reference = [case_files / "predictions" / "ada"], [case_files / "labels" / "ada.nii.gz"]
    report = evaluate(chosen, reference, small_tree, tmp_path, tolerance_mm=None, html=False)
    assert report.answers is not None
    with (tmp_path / "answers.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [rows[0]["confidence"], rows[-1]["confidence"]] == ["0.5", "1"]
    assert len(rows) == STEPS + 1
    assert float(rows[0]["answered_level_4"]) <= float(rows[0]["answered_level_1"]) <= 1
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["answers"]
    assert set(summary["needed"]) == {"0.9", "0.95", "0.99"}
    crisp = [case_files / "crisp" / "ada.nii.gz"]
    hard = evaluate(crisp, reference, small_tree, tmp_path / "hard", tolerance_mm=None, html=False)
    assert hard.answers is None
    assert not (tmp_path / "hard" / "answers.csv").exists()
