"""What is measured on one case: volumes, probabilities, tree distance, calibration of a parcellation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from softseg.evaluation.aggregate import node_rows, tree_distance_row
from softseg.evaluation.measure import hop_distances, measure
from softseg.evaluation.probabilities import LabelProbabilities, ParcellationProbabilities
from softseg.evaluation.rows import TreeRows
from softseg.events import Events
from softseg.image import Geometry
from softseg.soft.labels import SoftLabels
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree, Node


@pytest.fixture(scope="module")
def reference_tree():
    """The tree of the reference values."""
    parents = {"T": "root", "E": "root", "tum": "T", "nor": "T", "t1": "tum", "t2": "tum", "n1": "nor"}
    parents |= {"e1": "E", "e2": "E"}
    values = {"t1": 1, "t2": 2, "n1": 3, "e1": 4, "e2": 5}
    return LabelTree([Node("root", "root", None)] + [Node(n, n, p, value=values.get(n)) for n, p in parents.items()])


def crisp(values, tree, geometry):
    return LabelProbabilities(SoftLabels.from_class_indices(tree.to_class_indices(values), len(tree.nodes)), geometry)


def rows_of(found, level):
    return {row["node"]: row for row in node_rows("case", found, 2.0) if row["level"] == level}


def test_hop_distances_are_those_of_the_reference_tree(reference_tree):
    listed = [[0, 2, 4, 5, 5], [2, 0, 4, 5, 5], [4, 4, 0, 5, 5], [5, 5, 5, 0, 2], [5, 5, 5, 2, 0]]
    np.testing.assert_array_equal(hop_distances(TreeRows.of(reference_tree)), listed)


def test_tree_distance_of_the_errors(reference_tree):
    geometry = Geometry((4, 1, 1))
    truth, found = np.array([[[1, 1, 4, 2]]]), np.array([[[1, 2, 1, 3]]])
    rows = TreeRows.of(reference_tree)
    case = measure(crisp(found, reference_tree, geometry), crisp(truth, reference_tree, geometry), rows, Events())
    row = tree_distance_row("case", case.confusion, rows)
    assert (row["voxels"], row["wrong_voxels"]) == (4, 3)
    assert row["errors_edges"] == pytest.approx((2 + 5 + 4) / 3)
    assert row["all_edges"] == pytest.approx((2 + 5 + 4) / 4)
    assert row["errors_normalized"] == pytest.approx((2 + 5 + 4) / 3 / 5)


def test_agreement_of_backgrounds_says_nothing_about_distance(small_tree):
    geometry = Geometry((4, 1, 1))
    truth, found = np.array([[[0, 0, 0, 11]]]), np.array([[[0, 0, 0, 12]]])
    rows = TreeRows.of(small_tree)
    case = measure(crisp(found, small_tree, geometry), crisp(truth, small_tree, geometry), rows, Events())
    row = tree_distance_row("case", case.confusion, rows)
    assert row["voxels"] == 1
    assert row["all_edges"] == row["errors_edges"] == 2.0


def test_volumes_and_status(small_tree):
    geometry = Geometry((5, 1, 1))
    truth, found = np.array([[[0, 11, 11, 3, 3]]]), np.array([[[0, 11, 12, 3, 3]]])
    rows = TreeRows.of(small_tree)
    case = measure(crisp(found, small_tree, geometry), crisp(truth, small_tree, geometry), rows, Events())
    leaves = rows_of(case, 4)
    assert {node: row["status"] for node, row in leaves.items()} == {
        "left-cortex": "found",
        "right-cortex": "invented",
        "deep": "absent",
        "white": "found",
    }
    left = leaves["left-cortex"]
    assert (left["volume_ml"], left["volume_reference_ml"], left["volume_error_percent"]) == (2.0, 4.0, -50.0)
    assert left["dice"] == pytest.approx(2 / 3)
    assert leaves["right-cortex"]["dice"] == 0.0
    assert leaves["right-cortex"]["surface_dice"] == 0.0
    assert math.isnan(leaves["right-cortex"]["hd95_mm"])
    assert math.isnan(leaves["right-cortex"]["volume_error_percent"])
    assert math.isnan(leaves["deep"]["dice"])
    assert "background" not in leaves
    assert math.isnan(left["calibration_error"])  # a label map has no probabilities


def test_a_perfect_soft_prediction(small_tree, small_geometry, small_values, soften):
    dense = soften(small_values, 1.0)
    truth = LabelProbabilities(SoftLabels.from_dense(dense, len(small_tree.nodes), k=5), small_geometry)
    case = measure(truth, truth, TreeRows.of(small_tree), Events())
    for level in range(1, 5):
        for row in rows_of(case, level).values():
            assert row["dice"] == row["surface_dice"] == 1.0
            assert row["soft_dice"] == pytest.approx(1.0, abs=1e-6)
            assert (row["hd95_mm"], row["mae"]) == (0.0, 0.0)
            assert row["calibration_error"] == pytest.approx(0.0, abs=1e-6)
            assert row["soft_volume_error_ml"] == pytest.approx(0.0, abs=1e-6)


def test_soft_scores_follow_their_formulas(small_tree, small_geometry, small_values, soften):
    p, g = soften(np.roll(small_values, 1, 2), 1.0), soften(small_values, 1.5)
    sides = [LabelProbabilities(SoftLabels.from_dense(x, len(small_tree.nodes), k=5), small_geometry) for x in (p, g)]
    found = rows_of(measure(*sides, TreeRows.of(small_tree), Events()), 3)
    for node in ("cortex", "deep", "white"):
        part = small_tree.leaf_slice(node)
        ours, theirs = p[part].sum(axis=0, dtype=np.float64), g[part].sum(axis=0, dtype=np.float64)
        near = (ours >= 0.01) | (theirs > 0)
        expected = 1 - np.abs(ours - theirs).sum() / (ours + theirs).sum()
        assert found[node]["soft_dice"] == pytest.approx(expected, abs=1e-5)
        assert found[node]["mae"] == pytest.approx(np.abs(ours - theirs)[near].mean(), abs=1e-5)
        assert found[node]["soft_volume_ml"] == pytest.approx(2.0 * ours.sum(), rel=1e-5)


def test_a_parcellation_hands_out_the_probabilities_it_stores(small_tree, small_geometry, small_values, soften):
    dense = soften(small_values, 1.2)
    dense[:, 4] = 0
    dense[0, 4] = 1  # a slice of background
    stored = SoftParcellation.from_dense(dense, small_tree, small_geometry)
    probabilities = ParcellationProbabilities(stored, small_tree, "x.soft.npz")
    assert probabilities.soft
    for node in small_tree.nodes[1:]:
        expected = stored.probability(node.id)
        rows = TreeRows.of(small_tree)
        row = small_tree.position(node.id)
        for k in range(small_geometry.shape[0]):
            own = rows.from_classes(*probabilities.slice(k))[row].reshape(small_geometry.shape[1:])
            np.testing.assert_allclose(own, expected[k], atol=1e-6)


def test_leaves_are_found_in_an_edited_tree_by_value(small_tree, small_geometry, small_values, soften):
    stored = SoftParcellation.from_dense(soften(small_values, 1.0), small_tree, small_geometry)
    edited = small_tree.move("deep", "brain").rename("white", "WM")
    probabilities = ParcellationProbabilities(stored, edited, "x.soft.npz")
    truth = crisp(small_values, edited, small_geometry)
    case = measure(probabilities, truth, TreeRows.of(edited), Events())
    assert rows_of(case, edited.depth)["deep"]["dice"] > 0.7


def test_a_single_slice(small_tree):
    geometry = Geometry((12, 10, 1), spacing=(1.0, 1.0, 5.0))
    truth = np.zeros((1, 10, 12), int)
    truth[0, 2:8, 2:8] = 3
    found = np.roll(truth, 1, 2)
    case = measure(
        crisp(found, small_tree, geometry), crisp(truth, small_tree, geometry), TreeRows.of(small_tree), Events()
    )
    row = rows_of(case, 4)["white"]
    assert row["hd95_mm"] == pytest.approx(1.0)
    assert row["dice"] == pytest.approx(2 * 30 / 72)
