"""Segmentations and label maps that were made elsewhere."""

import numpy as np
import pytest
import slicer

from softseg.errors import InputError
from softseg.resources import label_tree_path
from softseg.tree import LabelTree, Node


@pytest.fixture
def labelMap(addVolume):
    """Add a label map."""
    return lambda array, grid, name="labels": addVolume(array, grid, name, "vtkMRMLLabelMapVolumeNode")


def test_a_label_map_folds_and_opens_without_loss_on_every_grid(logic, make, anyGrid, labelMap, shownLabels, tree):
    labels = make(anyGrid).labels(3)
    original = labelMap(labels, anyGrid)
    node = logic.adopt(original, tree)
    assert logic.isManaged(node)
    assert logic.parcellationOf(node) is None
    for level in (1, 2, 3):
        logic.collapse(node, level)
        np.testing.assert_array_equal(shownLabels(node, anyGrid, logic), tree.collapse(labels, tree.cut_at(level)))
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(original), labels)


def test_integer_volumes_are_label_maps_too_and_scans_are_not(logic, addVolume, grid, parcellation, tree, shownLabels):
    node = logic.adopt(addVolume(parcellation.labels(3).astype(np.int16), grid), tree)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(3))
    with pytest.raises(InputError, match="no label map"):
        logic.adopt(addVolume(np.full(grid.shape, 0.5, np.float32), grid, "scan"), tree)


def test_labels_that_the_tree_lacks_are_named_and_what_to_do(logic, labelMap, grid, parcellation, tree, scene):
    labels = parcellation.labels(3)
    labels[0, 0, :2] = 77, 78
    before = scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    with pytest.raises(InputError, match=r"no node for label 77, 78; choose another tree, add") as caught:
        logic.adopt(labelMap(labels, grid), tree)
    assert "'small'" in str(caught.value)
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == before


def test_labels_that_the_tree_lacks_can_be_added_or_left_out(logic, labelMap, grid, parcellation, tree, shownLabels):
    labels = parcellation.labels(3)
    labels[0, 0, :2] = 77
    volume = labelMap(labels, grid)
    added = logic.adopt(volume, tree, missing="add")
    assert logic.treeOf(added).node("label 77").value == 77
    np.testing.assert_array_equal(shownLabels(added, grid, logic), labels)
    without = logic.adopt(volume, tree, missing="background")
    np.testing.assert_array_equal(shownLabels(without, grid, logic), np.where(labels == 77, 0, labels))


def segmentation(scene, labels, names, geometry):
    """A segmentation as Slicer's own import makes it; each segment with the name given for its label value."""
    from SoftSegSlicerLib.Scene import Grids

    volume = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "imported")
    Grids.setArray(volume, labels, geometry, 5)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "elsewhere")
    slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(volume, node)
    for position in range(node.GetSegmentation().GetNumberOfSegments()):
        segment = node.GetSegmentation().GetNthSegment(position)
        segment.SetName(names[segment.GetLabelValue()])
    scene.RemoveNode(volume)
    return node


def test_segments_are_found_by_name_whatever_their_label_values_are(
    logic, parcellation, grid, scene, tree, shownLabels
):
    labels = parcellation.labels(3)
    renumbered = np.zeros_like(labels)
    names = {}
    for number, leaf in enumerate(leaf for leaf in tree.leaves if leaf.value):
        renumbered[labels == leaf.value] = number + 1
        names[number + 1] = leaf.name.upper().replace(" ", "_")
    original = segmentation(scene, renumbered, names, grid)
    node = logic.adopt(original, tree)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), labels)
    assert not original.GetDisplayVisibility()
    assert list(original.GetSegmentation().GetSegment(original.GetSegmentation().GetNthSegmentID(0)).GetName())


def test_segments_with_foreign_names_are_found_by_label_value(logic, parcellation, grid, scene, tree, shownLabels):
    labels = parcellation.labels(3)
    names = {leaf.value: f"thing {leaf.value}" for leaf in tree.leaves}
    node = logic.adopt(segmentation(scene, labels, names, grid), tree)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), labels)


def test_the_deeper_of_two_overlapping_segments_wins(logic, grid, scene, tree, shownLabels):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "overlapping")
    node.CreateDefaultDisplayNodes()
    from SoftSegSlicerLib.Scene import Grids

    for name, width in (("left cortex", 6), ("nuclei", 10)):
        image = Grids.orientedImage(grid, tuple(slice(0, size) for size in grid.shape), 3)
        Grids.arrayOf(image)[:, :, :width] = 1
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.AddRepresentation("Binary labelmap", image)
        node.GetSegmentation().AddSegment(segment)
    assert node.GetSegmentation().GetNumberOfLayers() == 2
    shown = shownLabels(logic.adopt(node, tree), grid, logic)
    assert (shown[:, :, :6] == 7).all()
    assert (shown[:, :, 6:10] == 40).all()
    assert not shown[:, :, 10:].any()


def test_coarse_labels_stay_where_nothing_finer_is_known(logic, labelMap, grid, tree, shownLabels):
    labels = np.zeros(grid.shape, np.uint16)
    labels[5:10, 5:10, 5:10] = 40
    labels[10:14, 5:10, 5:10] = 12
    node = logic.adopt(labelMap(labels, grid), tree)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), labels)
    assert "nuclei" in node.GetDisplayNode().GetVisibleSegmentIDs()
    logic.collapse(node, 2)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), np.where(labels > 0, 40, 0))


def test_freesurfer_values_fit_the_shipped_tree(logic, labelMap, grid, shownLabels):
    tree = LabelTree.load(label_tree_path("freesurfer-aseg-dkt"))
    values = [leaf.value for leaf in tree.leaves if leaf.value][:40]
    labels = np.random.default_rng(0).choice([0, *values], grid.shape).astype(np.uint16)
    assert max(values) > 255 or max(leaf.value for leaf in tree.leaves) > 255
    node = logic.adopt(labelMap(labels, grid), tree)
    for level in (tree.depth, 2, 1):
        logic.collapse(node, level)
        expected = tree.collapse(labels, tree.cut_at(level))
        np.testing.assert_array_equal(shownLabels(node, grid, logic), expected)


def test_a_tree_without_background_leaves_zero_alone(logic, labelMap, grid, shownLabels):
    tree = LabelTree([Node("organs", "organs", None), *[Node(f"o{n}", f"o{n}", "organs", value=n) for n in (1, 2, 5)]])
    labels = np.random.default_rng(1).choice([0, 1, 2, 5], grid.shape).astype(np.uint8)
    node = logic.adopt(labelMap(labels, grid), tree)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), labels)
    logic.collapse(node, 0)
    np.testing.assert_array_equal(shownLabels(node, grid, logic) > 0, labels > 0)


def test_nothing_to_adopt_is_said(logic, scene, tree):
    with pytest.raises(InputError, match="holds no labels"):
        logic.adopt(scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "empty"), tree)
