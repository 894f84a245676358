"""Dice per level: against MONAI on a real head, against the reference values, and its rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_dice

from softseg.evaluation import quick_scores, rows
from softseg.soft.labels import SoftLabels
from softseg.tree import LabelTree, Node


def crisp(values, tree):
    return SoftLabels.from_class_indices(tree.to_class_indices(values), len(tree.nodes))


def one_hot(values, tree):
    return np.stack([values == leaf.value for leaf in tree.leaves]).astype(np.float32)


def soft_labels(dense, tree):
    return SoftLabels.from_dense(np.asarray(dense, np.float32), len(tree.nodes), k=len(dense))


def flat_tree(leaves):
    nodes = [Node("root", "root", None), Node("background", "background", "root", value=0)]
    return LabelTree(nodes + [Node(f"n{n}", f"n{n}", "root", value=n) for n in range(1, leaves + 1)])


def test_hard_dice_equals_monai_at_every_level_of_a_real_head(brain_tree, brain_values):
    shifted = np.roll(brain_values, (1, 0, 1), (0, 1, 2))
    scores = quick_scores(one_hot(shifted, brain_tree), crisp(brain_values, brain_tree), brain_tree)
    for level in range(1, brain_tree.depth + 1):
        cut = brain_tree.cut_at(level)
        ours, theirs = (brain_tree.collapse(values, cut) for values in (shifted, brain_values))
        expected = []
        for value in cut.values:
            masks = [torch.from_numpy((volume == value).astype(np.uint8))[None, None] for volume in (ours, theirs)]
            if value != 0 and (masks[0].any() or masks[1].any()):
                expected.append(float(compute_dice(*masks, ignore_empty=False)))
        assert scores[f"dice/level {level}"] == pytest.approx(np.mean(expected), abs=1e-6)
        assert scores[f"soft_dice/level {level}"] == pytest.approx(np.mean(expected), abs=1e-5)  # crisp: both agree
    assert scores["dice/leaves"] == scores[f"dice/level {brain_tree.depth}"]


@pytest.mark.parametrize(("given_probability", "loss"), [(0.25, 1 / 3), (0.5, 0.0), (0.75, 0.2), (1.0, 1 / 3)])
def test_soft_dice_has_its_best_value_at_the_target(given_probability, loss):
    tree = flat_tree(1)
    shape = (1, 4, 4)
    p = np.stack([np.full(shape, 1 - given_probability), np.full(shape, given_probability)]).astype(np.float32)
    g = np.full((2, *shape), 0.5, np.float32)
    assert quick_scores(p, soft_labels(g, tree), tree)["soft_dice/leaves"] == pytest.approx(1 - loss, abs=1e-6)


def test_soft_dice_equals_the_listed_value():
    tree = flat_tree(1)
    p = np.array([[0.8, 0.3], [0.2, 0.7]], np.float32).reshape(2, 1, 1, 2)
    g = np.full((2, 1, 1, 2), 0.5, np.float32)
    assert quick_scores(p, soft_labels(g, tree), tree)["soft_dice/leaves"] == pytest.approx(1 - 0.2631579, abs=1e-6)


def test_a_soft_map_scores_one_against_itself(small_tree, small_values, soften):
    dense = soften(small_values, 1.3)
    scores = quick_scores(dense, soft_labels(dense, small_tree), small_tree)
    assert set(scores) == {
        f"{m}/{at}" for m in ("dice", "soft_dice") for at in ("level 1", "level 2", "level 3", "level 4", "leaves")
    }
    assert all(value == pytest.approx(1, abs=1e-6) for value in scores.values())


def test_labels_are_collapsed_by_their_sum():
    # vectors.py, r: the best leaf lies under E, the larger sum under T
    parents = {"T": "root", "E": "root", "t1": "T", "t2": "T", "n1": "T", "e1": "E", "e2": "E"}
    values = {"t1": 1, "t2": 2, "n1": 3, "e1": 4, "e2": 5}
    nodes = [Node("root", "root", None)] + [Node(n, n, p, value=values.get(n)) for n, p in parents.items()]
    tree = LabelTree(nodes)
    r = np.array([0.30, 0.25, 0, 0.45, 0], np.float32).reshape(5, 1, 1, 1)
    truth = crisp(np.full((1, 1, 1), 1), tree)
    scores = quick_scores(r, truth, tree)
    assert scores["dice/level 1"] == 1.0
    assert scores["dice/leaves"] == 0.0


def test_structures_absent_from_both_are_skipped_and_from_one_score_zero():
    tree = flat_tree(3)
    truth, found = np.array([[[0, 1, 1, 0]]]), np.array([[[0, 1, 1, 2]]])
    assert quick_scores(one_hot(found, tree), crisp(truth, tree), tree)["dice/leaves"] == pytest.approx((1 + 0) / 2)
    assert quick_scores(one_hot(truth, tree), crisp(found, tree), tree)["soft_dice/leaves"] == pytest.approx(
        (1 + 0) / 2
    )
    nothing = np.zeros((1, 1, 4), int)
    assert quick_scores(one_hot(nothing, tree), crisp(nothing, tree), tree) == {}


def test_voxels_without_a_label_take_no_part(small_tree):
    truth = small_tree.to_class_indices(np.array([[[11, 12, 3, 0]]]))
    truth[0, 0, 1] = -1
    found = np.array([[[11, 2, 3, 0]]])
    labels = SoftLabels.from_class_indices(truth, len(small_tree.nodes))
    assert quick_scores(one_hot(found, small_tree), labels, small_tree)["dice/leaves"] == 1.0


def test_a_coarse_label_counts_at_its_level_and_above(small_tree):
    truth, found = np.array([[[20, 3, 0]]]), np.array([[[2, 3, 0]]])
    scores = quick_scores(one_hot(found, small_tree), crisp(truth, small_tree), small_tree)
    assert scores["dice/level 2"] == 1.0  # grey matter and white matter
    assert scores["dice/leaves"] == 1.0  # white matter alone; the grey voxel says nothing there
    wrong = quick_scores(one_hot(np.array([[[3, 3, 0]]]), small_tree), crisp(truth, small_tree), small_tree)
    assert wrong["dice/level 2"] == pytest.approx((0 + 2 / 3) / 2)
    assert wrong["dice/leaves"] == 1.0


def test_nothing_predicted_is_not_the_first_leaf():
    tree = LabelTree([Node("root", "root", None), Node("a", "a", "root", value=1), Node("b", "b", "root", value=2)])
    truth = crisp(np.array([[[1, 2]]]), tree)
    scores = quick_scores(np.zeros((2, 1, 1, 2), np.float32), truth, tree)
    assert scores == {"dice/level 1": 0.0, "soft_dice/level 1": 0.0, "dice/leaves": 0.0, "soft_dice/leaves": 0.0}


def test_block_size_does_not_matter(monkeypatch, small_tree, small_values, soften):
    dense, labels = soften(np.roll(small_values, 1, 1), 1.0), crisp(small_values, small_tree)
    whole = quick_scores(dense, labels, small_tree)
    monkeypatch.setattr("softseg.evaluation.quick.BLOCK_VOXELS", 37)
    assert quick_scores(dense, labels, small_tree) == pytest.approx(whole, abs=1e-5)
    assert rows.BLOCK_VOXELS > 37


def test_shapes_must_agree(small_tree, small_values):
    with pytest.raises(ValueError, match=r"expected probabilities of shape \(5, 20, 26, 24\), got \(3, 2, 2, 2\)"):
        quick_scores(np.zeros((3, 2, 2, 2), np.float32), crisp(small_values, small_tree), small_tree)


probabilities = st.lists(st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(probabilities, probabilities)
def test_scores_are_between_0_and_1_and_symmetric(first, second):
    tree = flat_tree(3)
    sides = []
    for side in (first, second):
        block = np.array(side[: min(len(first), len(second))], np.float32).T.reshape(4, 1, 1, -1) + np.float32(1e-3)
        sides.append(block / block.sum(axis=0))
    there = quick_scores(sides[0], soft_labels(sides[1], tree), tree)
    back = quick_scores(sides[1], soft_labels(sides[0], tree), tree)
    assert all(0 <= value <= 1 for value in there.values())
    assert there == pytest.approx(back, abs=1e-5)
