"""Trees edited while a result is shown: labels follow at once, and every edit can be undone."""

import numpy as np
import pytest
import slicer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softseg.errors import InputError
from softseg.tree import LabelTree, Node


def test_renaming_and_recolouring_change_segments_and_no_voxel(logic, parcellation, grid, shownLabels):
    node = logic.results.add(parcellation)
    before = shownLabels(node, grid, logic)
    edited = parcellation.tree.rename("stem", "brainstem").recolor("left", (9, 8, 7))
    logic.folding.setTree(node, edited)
    segmentation = node.GetSegmentation()
    assert segmentation.GetSegment("stem").GetName() == "brainstem"
    np.testing.assert_allclose(segmentation.GetSegment("left").GetColor(), np.array([9, 8, 7]) / 255)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), before)
    assert logic.results.treeOf(node) == edited
    assert logic.results.parcellationOf(node).tree == edited


def test_another_id_takes_its_voxels_along(logic, parcellation, grid, shownLabels):
    node = logic.results.add(parcellation)
    before = shownLabels(node, grid, logic)
    logic.folding.setTree(
        node, parcellation.tree.rename("stem", "brainstem", new_id="brainstem"), {"stem": "brainstem"}
    )
    assert node.GetSegmentation().GetSegment("stem") is None
    np.testing.assert_array_equal(shownLabels(node, grid, logic), before)
    logic.showNode(node, "brainstem")


def test_a_merge_joins_at_once_and_undo_brings_everything_back(logic, parcellation, grid, shownLabels):
    tree = parcellation.tree
    node = logic.results.add(parcellation)
    merged = tree.merge(["putamen", "caudate"])
    logic.folding.setTree(node, merged, {"caudate": "putamen"})
    labels = parcellation.with_tree(merged, {11: 12}).labels(3)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), labels)
    assert node.GetSegmentation().GetSegment("caudate") is None
    assert logic.results.mergedOf(node) == {"caudate": "putamen"}
    logic.folding.setTree(node, tree)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(3))
    assert logic.results.mergedOf(node) == {}
    np.testing.assert_array_equal(
        logic.results.parcellationOf(node).probability("caudate"), parcellation.probability("caudate")
    )


def test_merged_leaves_answer_as_if_the_parcellation_were_written_anew(logic, parcellation, grid, shownLabels):
    node = logic.results.add(parcellation)
    tree = parcellation.tree.merge(["nuclei", "stem"], "deep", "deep parts")
    logic.folding.setTree(node, tree, {"putamen": "deep", "caudate": "deep", "stem": "deep"})
    merged = parcellation.with_tree(tree, {11: 40, 12: 40, 200: 40})
    for level in (1, 2, 3):
        logic.collapse(node, level)
        np.testing.assert_array_equal(shownLabels(node, grid, logic), merged.labels(level))
        entropy = slicer.util.arrayFromVolume(logic.maps.showUncertainty(node))
        np.testing.assert_allclose(entropy, merged.entropy(level, True), atol=1e-6)
    heat = slicer.util.arrayFromVolume(logic.showNode(node, "deep"))
    np.testing.assert_allclose(heat, merged.probability("deep"), atol=1e-6)
    volumes = logic.volumes.ofNodes(node)
    for expected in merged.volumes():
        assert volumes[expected.id].softMl == pytest.approx(expected.soft_ml)
        assert volumes[expected.id].hardMl == pytest.approx(expected.hard_ml)
        assert volumes[expected.id].certainty == pytest.approx(expected.certainty, nan_ok=True)
    k, j, i = np.argwhere(merged.labels(3) == 40)[0]
    path = logic.points.describe(node, (grid.affine @ [i, j, k, 1])[:3])
    assert path[-1] == ("deep", pytest.approx(merged.probability("deep")[k, j, i]))
    exact = logic.results.parcellationOf(node)
    assert exact.tree == tree
    np.testing.assert_array_equal(exact.shares, merged.shares)


def test_regrouping_changes_what_a_level_shows(logic, parcellation, grid, shownLabels):
    node = logic.results.add(parcellation)
    logic.collapse(node, 2)
    moved = parcellation.tree.move("stem", "nuclei")
    logic.folding.setTree(node, moved)
    logic.collapse(node, 2)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.with_tree(moved).labels(2))


def test_the_cut_is_kept_as_far_as_it_goes(logic, parcellation):
    node = logic.results.add(parcellation)
    logic.collapse(node, 2)
    logic.folding.setTree(node, parcellation.tree.remove("nuclei", keep_children=True))
    assert [n.id for n in logic.results.cutOf(node).nodes] == ["background", "cortex", "putamen", "caudate", "stem"]


def test_a_deleted_leaf_becomes_background_and_comes_back(logic, parcellation, grid, shownLabels):
    node = logic.results.add(parcellation)
    logic.folding.setTree(node, parcellation.tree.remove("stem"))
    shown = shownLabels(node, grid, logic)
    assert not (shown == 200).any()
    assert not shown[parcellation.probability("stem") > 0.9].any()
    logic.folding.setTree(node, parcellation.tree)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(3))


def test_a_split_leaf_keeps_its_voxels_and_says_that_nothing_is_known_below(logic, parcellation, grid, shownLabels):
    node = logic.results.add(parcellation)
    before = shownLabels(node, grid, logic)
    split = parcellation.tree.split("stem", [Node("pons", "pons", "stem"), Node("medulla", "medulla", "stem")])
    logic.folding.setTree(node, split)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), before)
    assert "stem" in node.GetDisplayNode().GetVisibleSegmentIDs()
    with pytest.raises(InputError, match="'pons' has no probability of its own"):
        logic.showNode(node, "pons")
    np.testing.assert_array_equal(
        logic.results.parcellationOf(node).probability("stem"), parcellation.probability("stem")
    )
    assert logic.volumes.ofNodes(node)["pons"].hardMl == 0
    assert logic.volumes.ofNodes(node)["stem"].hardMl > 0
    logic.collapse(node, 1)
    np.testing.assert_array_equal(shownLabels(node, grid, logic) > 0, parcellation.labels(1) > 0)


def test_a_tree_that_does_not_fit_is_refused_and_nothing_changes(logic, parcellation, grid, shownLabels):
    node = logic.results.add(parcellation)
    before = shownLabels(node, grid, logic)
    headless = LabelTree([Node("a", "a", None), Node("b", "b", "a", value=1)])
    with pytest.raises(InputError, match="has no background"):
        logic.folding.setTree(node, headless)
    with pytest.raises(InputError, match="no node 'nowhere'"):
        logic.folding.setTree(node, parcellation.tree, {"stem": "nowhere"})
    assert logic.results.treeOf(node) == parcellation.tree
    assert logic.results.mergedOf(node) == {}
    np.testing.assert_array_equal(shownLabels(node, grid, logic), before)


def test_a_heat_map_follows_the_tree(logic, parcellation):
    node = logic.results.add(parcellation)
    heat = logic.showNode(node, "nuclei", threshold=0.3)
    moved = parcellation.tree.move("stem", "nuclei")
    logic.folding.setTree(node, moved)
    np.testing.assert_allclose(
        slicer.util.arrayFromVolume(heat), parcellation.with_tree(moved).probability("nuclei"), atol=1e-6
    )
    assert logic.maps.styleOf(node)["threshold"] == 0.3
    logic.folding.setTree(node, moved.remove("nuclei", keep_children=True))
    assert logic.maps.shown(node) is None


def test_crisp_labels_follow_edits_and_undo_too(logic, parcellation, grid, shownLabels, addVolume, tree):
    labels = parcellation.labels(3)
    node = logic.results.adopt(addVolume(labels, grid, "l", "vtkMRMLLabelMapVolumeNode"), tree)
    logic.collapse(node, 1)
    logic.folding.setTree(node, tree.merge(["left", "right"]), {"right": "left"})
    logic.collapse(node, 3)
    expected = np.where(labels == 3, 7, labels)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), expected)
    logic.folding.setTree(node, tree.remove("stem"))
    np.testing.assert_array_equal(shownLabels(node, grid, logic), np.where(labels == 200, 0, labels))
    logic.folding.setTree(node, tree)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), labels)
    assert logic.results.originalTree(node) == tree


edits = st.lists(
    st.sampled_from(["move stem", "group", "merge", "remove stem", "rename", "flatten", "split", "recolor"]), max_size=5
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits)
def test_whatever_was_edited_the_first_tree_brings_the_first_labels_back(logic, parcellation, grid, shownLabels, steps):
    node = logic.results.add(parcellation)
    tree, merged = parcellation.tree, {}
    for step in steps:
        try:
            tree, merged = edited(tree, merged, step)
        except InputError:  # this edit does not go with those before it
            continue
        logic.folding.setTree(node, tree, merged)
        shown = shownLabels(node, grid, logic)
        known = {tree.value_of(n.id) for n in tree.nodes} | {0}
        assert set(np.unique(shown).tolist()) <= known
    logic.folding.setTree(node, parcellation.tree)
    logic.collapse(node, 3)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(3))
    node.GetScene().RemoveNode(node)


def edited(tree, merged, step):
    """One edit of the tree, and what became of leaves that are gone."""
    if step == "move stem":
        return tree.move("stem", "nuclei"), merged
    if step == "group":
        return tree.group(["cortex", "nuclei"], Node("both", "both", "brain")), merged
    if step == "merge":
        return tree.merge(["putamen", "caudate"]), {**merged, "caudate": "putamen"}
    if step == "remove stem":
        return tree.remove("stem"), merged
    if step == "rename":
        return tree.rename("right", "the right"), merged
    if step == "flatten":
        return tree.remove("cortex", keep_children=True), merged
    if step == "split":
        return tree.split("left", [Node("l1", "l1", "left"), Node("l2", "l2", "left")]), merged
    return tree.recolor("left", (1, 1, 1)), merged
