"""Segmentations and label maps that were made elsewhere."""

import numpy as np
import pytest
import slicer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softseg.errors import InputError
from softseg.resources import label_tree_path
from softseg.tree import LabelTree, Node

SIDES = ("left", "right")


@pytest.fixture
def labelMap(addVolume):
    """Add a label map."""
    return lambda array, grid, name="labels": addVolume(array, grid, name, "vtkMRMLLabelMapVolumeNode")


def test_a_label_map_folds_and_opens_without_loss_on_every_grid(logic, make, anyGrid, labelMap, shownLabels, tree):
    labels = make(anyGrid).labels(3)
    original = labelMap(labels, anyGrid)
    node = logic.results.adopt(original, tree)
    assert logic.results.isManaged(node)
    assert logic.results.parcellationOf(node) is None
    for level in (1, 2, 3):
        logic.collapse(node, level)
        np.testing.assert_array_equal(shownLabels(node, anyGrid, logic), tree.collapse(labels, tree.cut_at(level)))
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(original), labels)


def test_integer_volumes_are_label_maps_too_and_scans_are_not(logic, addVolume, grid, parcellation, tree, shownLabels):
    node = logic.results.adopt(addVolume(parcellation.labels(3).astype(np.int16), grid), tree)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(3))
    with pytest.raises(InputError, match="no label map"):
        logic.results.adopt(addVolume(np.full(grid.shape, 0.5, np.float32), grid, "scan"), tree)


def test_label_values_one_rounding_step_from_whole_are_rounded_and_said(
    logic, addVolume, grid, parcellation, tree, shownLabels, caplog
):
    labels = parcellation.labels(3)
    volume = addVolume((labels - 5e-4 * (labels > 0)).astype(np.float32), grid, "scaled")
    node = logic.results.adopt(volume, tree)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), labels)
    assert "'scaled': " in caplog.text
    assert "values were rounded to whole label values, the largest difference was " in caplog.text
    with pytest.raises(InputError, match=r"'scan' is no label map: 2\.5 at voxel \(0, 0, 0\); label values are whole"):
        logic.results.adopt(addVolume(np.full(grid.shape, 2.5, np.float32), grid, "scan"), tree)


def test_labels_that_the_tree_lacks_are_named_and_what_to_do(logic, labelMap, grid, parcellation, tree, scene):
    labels = parcellation.labels(3)
    labels[0, 0, :2] = 77, 78
    before = scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    with pytest.raises(InputError, match=r"no node for 77, 78; choose another tree, map each one") as caught:
        logic.results.adopt(labelMap(labels, grid), tree)
    assert "'small'" in str(caught.value)
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == before


def test_labels_that_the_tree_lacks_can_be_added_or_left_out(logic, labelMap, grid, parcellation, tree, shownLabels):
    labels = parcellation.labels(3)
    labels[0, 0, :2] = 77
    volume = labelMap(labels, grid)
    added = logic.results.adopt(volume, tree, missing="add")
    assert logic.results.treeOf(added).node("label 77").value == 77
    np.testing.assert_array_equal(shownLabels(added, grid, logic), labels)
    without = logic.results.adopt(volume, tree, missing="background")
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
    node = logic.results.adopt(original, tree)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), labels)
    assert not original.GetDisplayVisibility()
    assert list(original.GetSegmentation().GetSegment(original.GetSegmentation().GetNthSegmentID(0)).GetName())


def test_segments_without_names_are_found_by_label_value(logic, parcellation, grid, scene, tree, shownLabels):
    labels = parcellation.labels(3)
    names = {leaf.value: f"Segment_{leaf.value}" for leaf in tree.leaves}
    segments = segmentation(scene, labels, names, grid)
    assert {match.how for match in logic.results.matches(segments, tree).matches} == {"value"}
    np.testing.assert_array_equal(shownLabels(logic.results.adopt(segments, tree), grid, logic), labels)


def test_one_foreign_name_does_not_swap_left_and_right(logic, parcellation, grid, scene, tree, shownLabels):
    """The numbers of the segments are those of other structures, and one name is not in the tree."""
    left, right = (next(leaf for leaf in tree.leaves if leaf.name == f"{side} cortex").value for side in SIDES)
    labels = parcellation.labels(3)
    swapped = np.where(labels == left, right, np.where(labels == right, left, labels))
    names = {leaf.value: leaf.name for leaf in tree.leaves} | {left: "Right-Cortex", right: "cortex_L"}
    strange = next(
        leaf.value for leaf in tree.leaves if leaf.value not in (0, left, right) and (labels == leaf.value).any()
    )
    for foreign, reason in (("Segment_9", "it has no name"), ("lesion", "no node has this name, and")):
        segments = segmentation(scene, swapped, names | {strange: foreign}, grid)
        with pytest.raises(InputError, match=rf"{foreign}.*{reason}"):
            logic.results.adopt(segments, tree)
        open_ = logic.results.matches(segments, tree).open
        assert [match.item.name for match in open_] == [foreign]
        found = logic.results.adopt(segments, tree, mapping={foreign: tree.find(names[strange]).id})
        np.testing.assert_array_equal(shownLabels(found, grid, logic), labels)
        without = logic.results.adopt(segments, tree, mapping={foreign: None})
        np.testing.assert_array_equal(shownLabels(without, grid, logic), np.where(labels == strange, 0, labels))


def test_a_label_map_is_matched_by_the_names_of_its_colour_table(
    logic, parcellation, grid, labelMap, scene, tree, shownLabels
):
    labels = parcellation.labels(3)
    left, right = (next(leaf for leaf in tree.leaves if leaf.name == f"{side} cortex").value for side in SIDES)
    swapped = np.where(labels == left, right, np.where(labels == right, left, labels)).astype(np.uint8)
    volume = labelMap(swapped, grid)
    colors = scene.AddNewNodeByClass("vtkMRMLColorTableNode", "names")
    colors.SetTypeToUser()
    colors.SetNumberOfColors(1 + int(swapped.max()))
    for leaf in tree.leaves:
        name = {left: "right cortex", right: "left cortex"}.get(leaf.value, leaf.name)
        colors.SetColor(leaf.value, name, 1, 1, 1, 1)
    volume.CreateDefaultDisplayNodes()
    volume.GetDisplayNode().SetAndObserveColorNodeID(colors.GetID())
    np.testing.assert_array_equal(shownLabels(logic.results.adopt(volume, tree), grid, logic), labels)


def test_names_of_slicers_default_colour_table_are_nobodys(
    logic, parcellation, grid, labelMap, scene, tree, shownLabels
):
    """A label map without a table of its own: Slicer calls 2 bone and 3 skin."""
    labels = parcellation.labels(3)
    volume = labelMap(labels, grid)
    colors = slicer.vtkMRMLColorTableNode()
    colors.SetTypeToUser()
    colors.SetNumberOfColors(1 + int(labels.max()))
    for value in range(1 + int(labels.max())):
        colors.SetColor(value, f"tissue of the kind {value}", 1, 1, 1, 1)
    colors.SetSingletonTag("FileGenericAnatomyColors.txt")
    colors = scene.AddNode(colors)
    assert colors.GetID() == "vtkMRMLColorTableNodeFileGenericAnatomyColors.txt"
    volume.CreateDefaultDisplayNodes()
    volume.GetDisplayNode().SetAndObserveColorNodeID(colors.GetID())
    np.testing.assert_array_equal(shownLabels(logic.results.adopt(volume, tree), grid, logic), labels)


def test_segments_of_an_imported_label_map_have_nobodys_names(logic, parcellation, grid, scene, tree, shownLabels):
    """Importing a label map without a table names the segments by Slicer's own: 3 is called Brain."""
    labels = parcellation.labels(3)
    colors = slicer.vtkMRMLColorTableNode()
    colors.SetTypeToLabels()
    colors.SetSingletonTag("Labels")
    colors = scene.AddNode(colors)
    names = {leaf.value: colors.GetColorName(leaf.value) for leaf in tree.leaves}
    assert names[3] == "Brain"
    segments = segmentation(scene, labels, names, grid)
    matches = logic.results.matches(segments, tree).matches
    assert {match.how for match in matches} == {"value"}
    np.testing.assert_array_equal(shownLabels(logic.results.adopt(segments, tree), grid, logic), labels)
    segments.GetSegmentation().GetNthSegment(0).SetName("something else")
    assert logic.results.matches(segments, tree).open


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_any_permutation_of_segments_and_values_gives_the_same_voxels(
    logic, parcellation, grid, scene, tree, shownLabels, random
):
    labels = parcellation.labels(3)
    leaves = [leaf for leaf in tree.leaves if leaf.value]
    numbers = random.sample(range(1, 60), len(leaves))
    renumbered = np.zeros_like(labels)
    for leaf, number in zip(leaves, numbers, strict=True):
        renumbered[labels == leaf.value] = number
    segments = segmentation(scene, renumbered, {n: leaf.name for leaf, n in zip(leaves, numbers, strict=True)}, grid)
    order = segments.GetSegmentation()
    ids = [order.GetNthSegmentID(n) for n in range(order.GetNumberOfSegments())]
    order.ReorderSegments(random.sample(ids, len(ids)))
    found = logic.results.adopt(segments, tree)
    np.testing.assert_array_equal(shownLabels(found, grid, logic), labels)
    for node in (segments, found):
        scene.RemoveNode(node)


def overlapping(scene, grid, *names):
    """Segments that reach from the left, each wider than the one before."""
    from SoftSegSlicerLib.Scene import Grids

    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "overlapping")
    node.CreateDefaultDisplayNodes()
    for number, name in enumerate(names):
        image = Grids.orientedImage(grid, tuple(slice(0, size) for size in grid.shape), 3)
        Grids.arrayOf(image)[:, :, : 4 + 4 * number] = 1
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.AddRepresentation("Binary labelmap", image)
        node.GetSegmentation().AddSegment(segment)
    return node


def test_segments_that_contradict_each_other_are_refused_with_names_and_voxels(logic, grid, scene, tree, shownLabels):
    node = overlapping(scene, grid, "left cortex", "right cortex")
    count = grid.shape[0] * grid.shape[1] * 4
    with pytest.raises(InputError, match=rf"'left cortex' and 'right cortex' \({count} voxels\); correct them"):
        logic.results.adopt(node, tree)
    left, right = (tree.find(f"{side} cortex").value for side in SIDES)
    shown = shownLabels(logic.results.adopt(node, tree, overlaps="first"), grid, logic)
    assert (shown[:, :, :4] == left).all()
    assert (shown[:, :, 4:8] == right).all()
    ids = [node.GetSegmentation().GetNthSegmentID(n) for n in (1, 0)]
    node.GetSegmentation().ReorderSegments(ids)
    assert (shownLabels(logic.results.adopt(node, tree, overlaps="first"), grid, logic)[:, :, :8] == right).all()


def test_segments_that_were_never_painted_are_no_question(logic, grid, scene, tree):
    node = overlapping(scene, grid, "left cortex")
    node.GetSegmentation().AddEmptySegment("", "something that no tree has")
    assert [match.item.name for match in logic.results.matches(node, tree).matches] == ["left cortex"]
    logic.results.adopt(node, tree)


def test_a_mapping_that_names_nothing_is_refused(logic, grid, scene, tree):
    node = overlapping(scene, grid, "left cortex")
    with pytest.raises(InputError, match="there is no segment or label 'liver'"):
        logic.results.adopt(node, tree, mapping={"liver": None})
    with pytest.raises(InputError, match="no node 'nowhere'"):
        logic.results.adopt(node, tree, mapping={"left cortex": "nowhere"})


def test_the_deeper_of_two_overlapping_segments_wins(logic, grid, scene, tree, shownLabels):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "overlapping")
    node.CreateDefaultDisplayNodes()
    from SoftSegSlicerLib.Scene import Grids

    for name, width in (("left cortex", 6), ("cortex", 10)):
        image = Grids.orientedImage(grid, tuple(slice(0, size) for size in grid.shape), 3)
        Grids.arrayOf(image)[:, :, :width] = 1
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.AddRepresentation("Binary labelmap", image)
        node.GetSegmentation().AddSegment(segment)
    assert node.GetSegmentation().GetNumberOfLayers() == 2
    shown = shownLabels(logic.results.adopt(node, tree), grid, logic)
    assert (shown[:, :, :6] == 7).all()
    assert (shown[:, :, 6:10] == tree.value_of(tree.find("cortex").id)).all()
    assert not shown[:, :, 10:].any()


def test_coarse_labels_stay_where_nothing_finer_is_known(logic, labelMap, grid, tree, shownLabels):
    labels = np.zeros(grid.shape, np.uint16)
    labels[5:10, 5:10, 5:10] = 40
    labels[10:14, 5:10, 5:10] = 12
    node = logic.results.adopt(labelMap(labels, grid), tree)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), labels)
    assert "nuclei" in node.GetDisplayNode().GetVisibleSegmentIDs()
    logic.collapse(node, 2)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), np.where(labels > 0, 40, 0))


def test_freesurfer_values_fit_the_shipped_tree(logic, labelMap, grid, shownLabels):
    tree = LabelTree.load(label_tree_path("freesurfer-aseg-dkt"))
    values = [leaf.value for leaf in tree.leaves if leaf.value][:40]
    labels = np.random.default_rng(0).choice([0, *values], grid.shape).astype(np.uint16)
    assert max(values) > 255 or max(leaf.value for leaf in tree.leaves) > 255
    node = logic.results.adopt(labelMap(labels, grid), tree)
    for level in (tree.depth, 2, 1):
        logic.collapse(node, level)
        expected = tree.collapse(labels, tree.cut_at(level))
        np.testing.assert_array_equal(shownLabels(node, grid, logic), expected)


def test_a_tree_without_background_leaves_zero_alone(logic, labelMap, grid, shownLabels):
    tree = LabelTree([Node("organs", "organs", None), *[Node(f"o{n}", f"o{n}", "organs", value=n) for n in (1, 2, 5)]])
    labels = np.random.default_rng(1).choice([0, 1, 2, 5], grid.shape).astype(np.uint8)
    node = logic.results.adopt(labelMap(labels, grid), tree)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), labels)
    logic.collapse(node, 0)
    np.testing.assert_array_equal(shownLabels(node, grid, logic) > 0, labels > 0)


def test_nothing_to_adopt_is_said(logic, scene, tree):
    with pytest.raises(InputError, match="holds no labels"):
        logic.results.adopt(scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "empty"), tree)
