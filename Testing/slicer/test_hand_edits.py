"""Painting into a result: folding loses nothing that people did."""

import numpy as np
import pytest
import slicer
from SoftSegSlicerLib.Scene import Grids, Segments


@pytest.fixture
def painted(logic, parcellation):
    """A result in which a box was painted over as brain stem, as an editor does in the shared layer."""
    node = logic.addSegmentation(parcellation)
    image = Segments.layerOf(node)
    Grids.arrayOf(image)[4:9, 4:9, 4:9] = 200
    image.GetPointData().GetScalars().Modified()
    image.Modified()
    return node


def segmentations(scene):
    return [scene.GetNthNodeByClass(n, "vtkMRMLSegmentationNode") for n in range(number(scene))]


def number(scene):
    return scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")


def test_what_was_painted_is_kept_when_the_result_is_folded(logic, painted, scene, parcellation, grid, shownLabels):
    before = Grids.arrayOf(Segments.layerOf(painted)).copy()
    kept = logic.collapse(painted, 2)
    np.testing.assert_array_equal(shownLabels(painted, grid, logic), parcellation.labels(2))
    assert kept.GetName().endswith("edited by hand")
    assert not kept.GetDisplayVisibility()
    assert not logic.isManaged(kept)
    copied = kept.GetSegmentation().GetSegment("stem").GetRepresentation(Segments.REPRESENTATION)
    np.testing.assert_array_equal(Grids.arrayOf(copied), before)
    assert logic.collapse(painted, 1) is None
    assert number(scene) == 2


def test_what_was_painted_is_kept_when_the_tree_is_edited(logic, painted, parcellation):
    kept = logic.setTree(painted, parcellation.tree.remove("stem"))
    assert kept.GetSegmentation().GetSegment("stem") is not None
    assert logic.setTree(painted, parcellation.tree) is None


def test_a_segment_that_got_a_layer_of_its_own_was_edited(logic, parcellation, grid, shownLabels):
    node = logic.addSegmentation(parcellation)
    node.GetSegmentation().SeparateSegmentLabelmap("stem")
    assert logic.collapse(node, 1) is not None
    assert logic.collapse(node, 3) is None
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(3))


def test_without_painting_nothing_is_copied(logic, parcellation, scene):
    node = logic.addSegmentation(parcellation)
    Segments.layerOf(node).Modified()
    for level in (1, 2, 3):
        assert logic.collapse(node, level) is None
    from SoftSegSlicerLib.SoftSegSlicerLogic import SoftSegSlicerLogic

    assert SoftSegSlicerLogic().collapse(node, 1) is None
    assert number(scene) == 1


def test_a_segment_that_people_add_stays_as_it_is(logic, parcellation, grid, shownLabels, tree):
    node = logic.addSegmentation(parcellation)
    segmentation = node.GetSegmentation()
    id_ = segmentation.AddEmptySegment("lesion", "lesion")
    segment, image = segmentation.GetSegment(id_), Segments.layerOf(node)
    segment.AddRepresentation("Binary labelmap", image)
    segment.SetLabelValue(250)
    array = Grids.arrayOf(image)
    array[3:6, 10:14, 8:12] = 250
    image.Modified()
    logic.collapse(node, 1)
    logic.setTree(node, tree.merge(["left", "right"]), {"right": "left"})
    logic.collapse(node, 3)
    voxels = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(id_, voxels)
    assert np.count_nonzero(Grids.arrayOf(voxels)) == 3 * 4 * 4
    assert node.GetDisplayNode().GetSegmentVisibility(id_)
    logic.setTree(node, tree)
    node.GetDisplayNode().SetSegmentVisibility(id_, False)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(3))
