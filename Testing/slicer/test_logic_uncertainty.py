"""Answers only as deep as sure, outliers and single decisions, in the scene."""

from dataclasses import replace

import numpy as np
import pytest
import slicer
from SoftSegSlicerLib.Scene.ShownMap import OUTLIER_SCORE, ShownMap

from softseg.errors import InputError
from softseg.soft.outliers import StoredOutliers
from softseg.types import OUTLIER_VALUE

LOW, HIGH, THRESHOLD = -10.0, 15.5, 2.05


@pytest.fixture
def strange(parcellation):
    """The parcellation with an outlier score: step 0 to 255 along i, its stored box smaller than the grid."""
    steps = np.zeros(parcellation.geometry.shape, np.uint8)
    steps[2:, 3:] = np.linspace(0, 255, steps.shape[2]).astype(np.uint8)
    return replace(parcellation, outliers=StoredOutliers.of_volume(steps, "energy", THRESHOLD, LOW, HIGH))


@pytest.fixture
def result(logic, strange):
    return logic.results.add(strange)


def layer(node):
    """The label values of the shared layer, on its own box."""
    from SoftSegSlicerLib.Scene import Grids, Segments

    return Grids.arrayOf(Segments.layerOf(node))


def visible(node):
    segmentation = node.GetSegmentation()
    return {segmentation.GetSegment(id_).GetName() for id_ in node.GetDisplayNode().GetVisibleSegmentIDs()}


@pytest.mark.parametrize("confidence", [0.5, 0.7, 0.95])
def test_at_the_leaves_the_layer_is_the_engines_answer(logic, result, strange, confidence):
    logic.confidence.set(result, confidence)
    expected = strange.confident_labels(confidence, outliers=False)[strange.box]
    np.testing.assert_array_equal(layer(result), np.where(expected == OUTLIER_VALUE, 0, expected))
    assert logic.confidence.of(result) == confidence


def test_a_mixed_depth_shows_segments_of_several_levels_and_none_when_it_is_off_again(logic, result, tree):
    before = layer(result).copy()
    assert visible(result) == {tree.node(id_).name for id_ in ("left", "right", "putamen", "caudate", "stem")}
    logic.confidence.set(result, 0.9)
    values = tree.node_values()
    present = {id_ for id_, value in values.items() if value and (layer(result) == value).any()}
    assert present & {"cortex", "nuclei", "brain"}, "something is coarser"
    assert {tree.node(id_).name for id_ in present} <= visible(result)
    logic.confidence.set(result, None)
    np.testing.assert_array_equal(layer(result), before)
    assert logic.confidence.of(result) is None
    assert "brain" not in visible(result)


def test_folding_goes_no_deeper_than_the_cut_and_keeps_the_confidence(logic, result, strange, tree):
    logic.confidence.set(result, 0.8)
    logic.collapse(result, 2)
    answers = strange.confident_labels(0.8, outliers=False)[strange.box]
    expected = np.zeros(answers.shape, np.uint16)
    inCut = {node.id for node in tree.cut_at(2).nodes}
    for id_, value in tree.node_values().items():
        shown = next((node.id for node in tree.path(id_) if node.id in inCut), id_)
        expected[answers == value] = tree.value_of(shown)
    np.testing.assert_array_equal(layer(result), expected)
    assert logic.confidence.of(result) == 0.8


def test_the_share_that_is_answered_at_each_level_adds_up_and_sinks_with_the_confidence(logic, result, tree):
    assert logic.confidence.depths(result) == {}
    deepest = []
    for confidence in (0.5, 0.8, 1.0):
        logic.confidence.set(result, confidence)
        depths = logic.confidence.depths(result)
        assert sum(depths.values()) == pytest.approx(1)
        deepest.append(depths[tree.depth])
    assert deepest == sorted(deepest, reverse=True)
    assert deepest[0] > deepest[-1]


def test_the_pointer_reads_what_the_layer_shows(logic, result, strange, tree):
    logic.confidence.set(result, 0.8)
    values = {value: id_ for id_, value in tree.node_values().items()}
    answers = strange.confident_labels(0.8, outliers=False)
    for voxel in np.random.default_rng(1).integers(0, answers.shape, (60, 3)):
        ras = strange.geometry.affine @ [*voxel[::-1], 1.0]
        path = logic.points.describe(result, ras[:3])
        expected = values.get(int(answers[tuple(voxel)]))
        assert (path[-1][0] if path else None) == expected


def test_a_confidence_survives_edits_of_the_tree_and_the_saved_attribute(logic, result, tree):
    logic.confidence.set(result, 0.8)
    before = layer(result).copy()
    logic.folding.setTree(result, tree.rename("stem", "trunk"))
    np.testing.assert_array_equal(layer(result), before)
    merged = tree.merge(["putamen", "caudate"], "both", "both nuclei")
    logic.folding.setTree(result, merged, {"putamen": "both", "caudate": "both"})
    both = layer(result) == merged.value_of("both")
    assert (both >= np.isin(before, [12, 11])).all(), "what was sure of a part is sure of both"
    assert both.sum() > np.isin(before, [12, 11]).sum()


def test_a_confidence_that_cannot_be_is_refused_and_nothing_changes(logic, result, parcellation, addVolume, tree, grid):
    before = layer(result).copy()
    with pytest.raises(InputError, match=r"from 0\.5 to 1"):
        logic.confidence.set(result, 0.3)
    np.testing.assert_array_equal(layer(result), before)
    crisp = logic.results.adopt(addVolume(parcellation.labels(3), grid, "l", "vtkMRMLLabelMapVolumeNode"), tree)
    with pytest.raises(InputError, match="no probability maps"):
        logic.confidence.set(crisp, 0.9)


def test_what_was_painted_by_hand_is_sure(logic, result):
    array = layer(result)
    painted = array == 200
    array[painted] = 7
    from SoftSegSlicerLib.Scene import Segments

    Segments.layerOf(result).Modified()
    logic.confidence.set(result, 0.9)
    assert [each.node_id for each in logic.corrections.of(result)] == ["left"]
    assert (layer(result)[painted] == 7).all()


# -- outliers ---------------------------------------------------------------------------------------------------------


def test_outliers_are_a_layer_over_the_slices_that_comes_and_goes(logic, result, strange, scene):
    composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    other = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    composite.SetLabelVolumeID(other.GetID())
    mask = logic.outliers.show(result, 0.4)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(mask) > 0, strange.outliers.mask())
    assert composite.GetLabelVolumeID() == mask.GetID()
    assert composite.GetLabelOpacity() == pytest.approx(0.4)
    assert logic.outliers.opacityOf(result) == 0.4
    assert logic.outliers.show(result) is mask
    assert logic.outliers.opacityOf(result) == 0.4
    logic.outliers.hide(result)
    assert composite.GetLabelVolumeID() == other.GetID()
    assert logic.outliers.opacityOf(result) is None


def test_a_threshold_moves_mask_map_and_labels_together(logic, result, strange):
    mask = logic.outliers.show(result)
    score = logic.outliers.showScore(result)
    np.testing.assert_allclose(slicer.util.arrayFromVolume(score), strange.outliers.degree(), atol=1e-5)
    assert score.GetDisplayNode().GetLowerThreshold() == pytest.approx(THRESHOLD)
    assert score.GetDisplayNode().GetUpperThreshold() > HIGH
    plain = layer(result).copy()
    logic.outliers.leaveOut(result, True)
    for threshold in (THRESHOLD, 9.0, -4.0):
        logic.outliers.setThreshold(result, threshold)
        outside = strange.outliers.mask(threshold)
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(mask) > 0, outside)
        assert score.GetDisplayNode().GetLowerThreshold() == pytest.approx(threshold)
        np.testing.assert_array_equal(layer(result), np.where(outside[strange.box], 0, plain))
        assert logic.outliers.ml(result) == pytest.approx(outside.sum() * strange.geometry.voxel_volume_ml)
    logic.outliers.setThreshold(result, None)
    assert logic.outliers.threshold(result) == THRESHOLD
    logic.outliers.leaveOut(result, False)
    np.testing.assert_array_equal(layer(result), plain)


def test_the_score_under_the_pointer_is_that_of_the_map(logic, result, strange):
    degree = strange.outliers.degree()
    for voxel in [(0, 0, 0), (5, 6, 7), tuple(n - 1 for n in degree.shape)]:
        ras = (strange.geometry.affine @ [*voxel[::-1], 1.0])[:3]
        assert logic.points.outlierScoreAt(result, ras) == pytest.approx(float(degree[voxel]), abs=1e-4)
    assert logic.points.outlierScoreAt(result, (900.0, 0.0, 0.0)) is None


def test_a_map_of_shares_never_takes_the_threshold_of_the_scores(logic, result):
    logic.outliers.showScore(result)
    heat = logic.showNode(result, "brain")
    assert heat.GetDisplayNode().GetLowerThreshold() == 0.05
    assert heat.GetDisplayNode().GetWindowLevelMax() == pytest.approx(1)
    logic.outliers.showScore(result)
    assert logic.maps.shown(result) == OUTLIER_SCORE
    assert not logic.points.describe(result, (900.0, 0.0, 0.0))


def test_without_a_score_it_is_said_what_to_do(logic, parcellation):
    node = logic.results.add(parcellation)
    assert logic.outliers.of(node) is None
    for call in (logic.outliers.show, logic.outliers.showScore, logic.outliers.ml, logic.outliers.threshold):
        with pytest.raises(InputError, match="no outlier score; segment the scan with the option"):
            call(node)


def test_mask_and_score_go_with_their_segmentation(logic, result, scene):
    logic.outliers.show(result)
    logic.outliers.showScore(result)
    scene.RemoveNode(result)
    for className in ("vtkMRMLLabelMapVolumeNode", "vtkMRMLScalarVolumeNode"):
        assert scene.GetNumberOfNodesByClass(className) == 0


# -- one decision -----------------------------------------------------------------------------------------------------


def test_the_decision_inside_a_node_is_the_engines_entropy(logic, result, strange):
    node = logic.maps.showDecision(result, "cortex", threshold=0.2)
    np.testing.assert_allclose(slicer.util.arrayFromVolume(node), strange.branch_entropy("cortex"), atol=1e-6)
    assert logic.maps.shown(result) == ShownMap.decision("cortex")
    assert slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node).GetTitleText() == "Uncertainty within cortex"
    assert logic.maps.showDecision(result, "left") is node, "a leaf has no parts: the decision that leads to it"
    assert logic.maps.shown(result) == ShownMap.decision("cortex")
    logic.collapse(result, 1)
    assert logic.maps.shown(result) == ShownMap.decision("cortex")
    logic.showNode(result, "cortex")
    assert logic.maps.shown(result) == ShownMap.probability("cortex")


def test_the_decision_follows_an_edit_that_takes_it_away(logic, result, tree):
    logic.maps.showDecision(result, "nuclei")
    logic.folding.setTree(
        result, tree.merge(["putamen", "caudate"], "both", "both"), {"putamen": "both", "caudate": "both"}
    )
    assert logic.maps.shown(result) == ShownMap.decision("brain"), "one part alone decides nothing"
