"""Segments edited by hand, by Segment Editor's own logic: what was painted is a correction, nothing is lost."""

import numpy as np
import pytest
import slicer
from editor import Editor, box
from SoftSegSlicerLib.Scene import Grids, Segments


@pytest.fixture
def node(logic, parcellation):
    """A result at its leaves."""
    return logic.results.add(parcellation)


@pytest.fixture
def editor(scene, node, grid):
    """Segment Editor on it."""
    return Editor(scene, node, grid)


@pytest.fixture
def stroke(grid):
    """Voxels of several structures and of background."""
    return box(grid, (4, 9), (4, 12), (4, 9))


def segmentations(scene):
    count = scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    return [scene.GetNthNodeByClass(number, "vtkMRMLSegmentationNode") for number in range(count)]


def said(logic, node):
    return [(each.node_id, each.is_node, each.voxel_count) for each in logic.corrections.of(node)]


def test_a_stroke_is_a_correction_that_every_level_shows(logic, node, editor, stroke, grid, shownLabels, scene):
    before = shownLabels(node, grid, logic)
    editor.paint("stem", stroke)
    assert logic.collapse(node, 3) is None
    assert said(logic, node) == [("stem", True, int((stroke & (before != 200)).sum()))]
    assert (logic.results.parcellationOf(node).probability("stem")[stroke & (before != 200)] == 1).all()
    assert (shownLabels(node, grid, logic)[stroke] == 200).all()
    logic.collapse(node, 1)
    assert (shownLabels(node, grid, logic)[stroke] == logic.results.treeOf(node).value_of("brain")).all()
    assert len(segmentations(scene)) == 1


def test_painting_a_branch_keeps_the_model_s_opinion_of_its_parts(logic, node, editor, stroke, parcellation):
    logic.collapse(node, 2)
    had = parcellation.probability("cortex")
    editor.paint("cortex", stroke)
    corrected = logic.results.parcellationOf(node)
    new = stroke & (parcellation.labels(2) != logic.results.treeOf(node).value_of("cortex"))
    known = new & (had > 0.2)
    assert known.any()
    np.testing.assert_allclose(corrected.probability("cortex")[new], 1)
    ratio = parcellation.probability("left")[known] / had[known]
    np.testing.assert_allclose(corrected.probability("left")[known], ratio, atol=0.01)


def test_erased_voxels_are_background(logic, node, editor, parcellation, grid, shownLabels):
    left = parcellation.labels(3) == 7
    editor.erase("left", left)
    assert said(logic, node) == [("background", True, int(left.sum()))]
    logic.collapse(node, 2)
    logic.collapse(node, 3)
    assert (shownLabels(node, grid, logic)[left] == 0).all()


def test_a_removed_segment_is_background_and_comes_back_by_undo(logic, node, editor, parcellation, grid, shownLabels):
    left = parcellation.labels(3) == 7
    editor.remove("left")
    assert said(logic, node) == [("background", True, int(left.sum()))]
    assert logic.corrections.undo(node)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(3))


def test_undo_and_redo_in_the_editor_are_those_of_the_corrections(logic, node, editor, stroke, grid, parcellation):
    editor.paint("stem", stroke)
    first = logic.corrections.of(node)
    editor.paint("putamen", box(grid, (10, 14), (10, 14), (10, 14)))
    second = logic.corrections.of(node)
    assert len(second) == 2
    editor.undo()
    assert logic.corrections.of(node) == first
    editor.undo()
    assert logic.corrections.of(node) == []
    assert logic.results.parcellationOf(node).leaves.tobytes() == parcellation.leaves.tobytes()
    assert logic.results.parcellationOf(node).shares.tobytes() == parcellation.shares.tobytes()
    editor.redo()
    assert logic.corrections.of(node) == first
    editor.redo()
    assert logic.corrections.of(node) == second


def test_painting_without_overwriting_gives_voxels_to_what_was_painted(logic, node, editor, stroke, grid, shownLabels):
    editor.allowOverlap()
    editor.paint("stem", stroke)
    assert not Segments.isShared(node, Segments.layerOf(node))
    edits = logic.corrections.takeEdits(node)
    assert edits.contested > 0
    assert str(edits.contested) in edits.said
    assert (shownLabels(node, grid, logic)[stroke] == 200).all()
    assert logic.corrections.takeEdits(node) is None
    assert len(logic.corrections.of(node)) == 1


def test_voxels_beyond_the_stored_box_are_corrected(logic, node, editor, parcellation, grid, shownLabels):
    corner = box(grid, (0, 2), (0, 2), (0, 2))
    assert parcellation.box[0].start > 0 or parcellation.box[1].start > 0 or parcellation.box[2].start > 0
    editor.paint("putamen", corner)
    logic.collapse(node, 3)
    assert (shownLabels(node, grid, logic)[corner] == 12).all()
    assert (logic.results.parcellationOf(node).probability("putamen")[corner] == 1).all()


def test_what_lies_beyond_the_grid_is_kept_apart_and_said(scene, logic, node, grid):
    larger = Grids.geometryOf(grid.affine, [size + 4 for size in grid.size])
    beyond = box(larger, (grid.shape[0] - 1, grid.shape[0] + 3), (4, 6), (4, 6))
    Editor(scene, node, larger).paint("stem", beyond)
    edits = logic.corrections.takeEdits(node)
    assert "beyond" in edits.said
    assert not logic.results.isManaged(edits.kept)
    image = edits.kept.GetSegmentation().GetSegment("stem").GetRepresentation(Segments.REPRESENTATION)
    assert np.count_nonzero(Grids.arrayOf(image)) == 3 * 2 * 2
    assert (logic.results.parcellationOf(node).probability("stem")[-1, 4:6, 4:6] == 1).all()
    assert logic.corrections.takeEdits(node) is None


def test_a_segment_that_people_add_stays_and_corrects_nothing(logic, node, editor, parcellation, grid, shownLabels):
    id_ = node.GetSegmentation().AddEmptySegment("lesion", "lesion")
    lesion = box(grid, (6, 9), (10, 14), (8, 12))
    editor.paint(id_, lesion)
    assert logic.corrections.takeEdits(node) is None
    logic.collapse(node, 1)
    logic.collapse(node, 3)
    assert logic.corrections.of(node) == []
    voxels = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(id_, voxels)
    assert np.count_nonzero(Grids.arrayOf(voxels)) == lesion.sum()
    node.GetDisplayNode().SetSegmentVisibility(id_, False)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(3))


def test_a_result_of_which_only_added_segments_are_left_says_what_it_said(logic, node, editor, grid, shownLabels):
    before = shownLabels(node, grid, logic)
    node.GetSegmentation().AddEmptySegment("lesion", "lesion")
    editor.paint("lesion", box(grid, (2, 4), (2, 4), (2, 4)))
    for segmentId, _segment in Segments.ownSegments(node):
        editor.remove(segmentId)
    assert said(logic, node) == []
    logic.collapse(node, logic.results.treeOf(node).depth)
    assert node.GetSegmentation().GetSegment("lesion") is not None
    node.GetDisplayNode().SetSegmentVisibility("lesion", False)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), before)


def test_a_layer_on_another_lattice_is_read(logic, node, grid, shownLabels):
    fine = Grids.geometryOf(grid.affine @ np.diag([0.5, 0.5, 0.5, 1]), [2 * size for size in grid.size])
    image = Grids.orientedImage(fine, tuple(slice(0, size) for size in fine.shape), 3)
    Grids.arrayOf(image)[8:16, 8:16, 8:16] = 1
    segment = node.GetSegmentation().GetSegment("stem")
    segment.AddRepresentation(Segments.REPRESENTATION, image)
    segment.SetLabelValue(1)
    logic.corrections.takeEdits(node)
    assert (shownLabels(node, grid, logic)[4:7, 4:7, 4:7] == 200).all()


def test_without_editing_nothing_is_corrected(logic, node, scene):
    Segments.layerOf(node).Modified()
    for level in (1, 2, 3):
        assert logic.collapse(node, level) is None
    from SoftSegSlicerLib.SoftSegSlicerLogic import SoftSegSlicerLogic

    other = SoftSegSlicerLogic()
    assert other.collapse(node, 1) is None
    assert other.corrections.of(node) == logic.corrections.of(node) == []
    assert len(segmentations(scene)) == 1


def test_while_somebody_edits_segments_are_not_written(logic, node, editor, stroke):
    editor.allowOverlap()
    editor.paint("stem", stroke)
    layers = [segment.GetRepresentation(Segments.REPRESENTATION) for _, segment in Segments.ownSegments(node)]
    assert logic.corrections.takeEdits(node, live=True) is None
    after = [segment.GetRepresentation(Segments.REPRESENTATION) for _, segment in Segments.ownSegments(node)]
    assert after == layers
    assert logic.corrections.takeEdits(node).contested


def test_the_editor_gets_what_is_shown(logic, node, addVolume, grid):
    scan = addVolume(np.zeros(grid.shape, np.int16), grid)
    from SoftSegSlicerLib.Scene import References

    References.setReference(node, References.INPUT, scan)
    logic.collapse(node, 2)
    parameters = logic.corrections.prepareEditor(node, "left")
    assert parameters.GetSegmentationNode() is node
    assert parameters.GetSourceVolumeNode() is scan
    assert parameters.GetSelectedSegmentID() == "cortex"
    assert parameters.GetOverwriteMode() == parameters.OverwriteAllSegments
    assert logic.corrections.prepareEditor(node, "brain") is parameters
    assert parameters.GetSelectedSegmentID() in ("cortex", "nuclei", "stem")


def test_the_first_segment_is_shown_after_an_effect_gave_it_a_label_map_of_its_own(logic, node, editor, stroke):
    tree = logic.results.treeOf(node)
    first = Segments.ownSegments(node)[0][0]
    editor.allowOverlap()
    editor.paint(first, stroke)  # as the union of Logical operators does
    assert logic.corrections.takeEdits(node).contested
    for id_, segment in Segments.ownSegments(node):
        assert segment.GetLabelValue() == tree.value_of(id_)
    image = Segments.layerOf(node)
    assert np.count_nonzero(Grids.arrayOf(image) == tree.value_of(first)) >= stroke.sum()
