"""What people do to segments of a result in Slicer's own modules is kept: names, colours, codes, copies."""

import numpy as np
import pytest
import slicer
from SoftSegSlicerLib.Scene.SegmentChanges import terminologyOf
from SoftSegSlicerLib.Scene.TerminologyEntry import terminologyText


@pytest.fixture(autouse=True)
def segmentations(scene):
    """The module Segmentations, which knows how label maps are copied."""
    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(scene)
    return logic


@pytest.fixture
def node(logic, parcellation):
    return logic.results.add(parcellation)


def segment(node, id_):
    return node.GetSegmentation().GetSegment(id_)


def test_a_renamed_segment_renames_its_node_through_folds(logic, node):
    segment(node, "left").SetName("my left")
    logic.collapse(node, 1)
    logic.collapse(node, 3)
    assert segment(node, "left").GetName() == "my left"
    assert logic.results.treeOf(node).node("left").name == "my left"
    assert logic.results.treeOf(node).node("left").value == 7


def test_a_recoloured_segment_keeps_its_colour(logic, node):
    segment(node, "stem").SetColor(0.2, 0.4, 0.6)
    logic.collapse(node, 1)
    logic.collapse(node, 3)
    np.testing.assert_allclose(segment(node, "stem").GetColor(), (0.2, 0.4, 0.6), atol=1e-6)
    assert logic.results.treeOf(node).node("stem").color == (51, 102, 153)


def test_codes_chosen_in_slicer_are_the_nodes(logic, node):
    own, other = logic.results.treeOf(node).node("left"), segment(node, "stem")
    other.SetTag(other.GetTerminologyEntryTagName(), terminologyText(own))
    assert logic.folding.takeChanges(node)
    assert logic.results.treeOf(node).node("stem").terminology == own.terminology


def test_where_nobody_changed_anything_the_tree_is_the_same(logic, node, tree):
    for level in (1, 2, 3):
        logic.collapse(node, level)
        assert not logic.folding.takeChanges(node)
    assert logic.results.treeOf(node) == tree


@pytest.mark.parametrize("text", ["", "~~~~~~", "a~SCT^1^b~SCT^2~^^~c~^^~^^", "nonsense", None])
def test_what_is_no_terminology_changes_nothing(text):
    assert terminologyOf(text) is None


def test_an_empty_name_changes_nothing(logic, node, tree):
    segment(node, "left").SetName("")
    assert not logic.folding.takeChanges(node)
    assert logic.results.treeOf(node) == tree


def test_a_copy_of_a_segment_inside_a_result_stays_through_folds(logic, node, parcellation, shownLabels, grid):
    segmentation = node.GetSegmentation()
    copy = slicer.vtkSegment()
    copy.DeepCopy(segment(node, "stem"))
    copy.SetName("mine")
    segmentation.AddSegment(copy, "stem_1")
    before = voxels(node, "stem_1")
    assert before.any()
    logic.collapse(node, 1)
    assert "stem_1" in list(segmentation.GetSegmentIDs())
    np.testing.assert_array_equal(voxels(node, "stem_1"), before)
    logic.collapse(node, 3)
    np.testing.assert_array_equal(voxels(node, "stem_1"), before)
    segmentation.RemoveSegment("stem_1")
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(3))


def test_a_segment_copied_elsewhere_is_an_ordinary_one_there(logic, node, scene):
    other = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    other.CreateDefaultDisplayNodes()
    for id_ in ("left", "stem"):
        other.GetSegmentation().CopySegmentFromSegmentation(node.GetSegmentation(), id_)
    assert np.array_equal(voxels(other, "stem"), voxels(node, "stem"))
    logic.collapse(node, 1)
    assert list(other.GetSegmentation().GetSegmentIDs()) == ["left", "stem"]
    assert voxels(other, "stem").any()


def test_a_renamed_result_and_its_clone_keep_their_trees(logic, node, scene):
    node.SetName("renamed")
    segment(node, "left").SetName("my left")
    clone = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "clone")
    clone.CopyContent(node)
    logic.collapse(clone, 1)
    logic.collapse(clone, 3)
    assert segment(clone, "left").GetName() == "my left"
    segment(clone, "right").SetName("only here")
    logic.collapse(clone, 3)
    assert logic.results.treeOf(node).node("right").name == "right cortex"


def voxels(node, id_):
    return slicer.util.arrayFromSegmentInternalBinaryLabelmap(node, id_) == segment(node, id_).GetLabelValue()
