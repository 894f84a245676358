"""What context menus and Segment Statistics do with a result, without their windows."""

import numpy as np
import pytest
import slicer
from SoftSegSlicerLib.Integration.ResultActions import ResultActions
from SoftSegSlicerLib.Integration.SegmentNumbers import KEYS, SegmentNumbers
from SoftSegSlicerLib.Scene.ShownMap import UNCERTAINTY, ShownMap

from softseg.image import Geometry


@pytest.fixture
def window(monkeypatch):
    """No window of the module is open."""
    monkeypatch.setattr(slicer, "modules", type("Modules", (), {})(), raising=False)


@pytest.fixture
def node(logic, parcellation, window):  # noqa: ARG001 - wanted for its effect
    return logic.results.add(parcellation)


def shown(logic, node):
    return [each.id for each in logic.results.cutOf(node).nodes]


def test_a_result_is_folded_to_a_level(logic, node):
    actions = ResultActions.of(logic, node)
    assert [level for level, _title in actions.levels()] == [1, 2, 3]
    assert actions.level() == 3
    actions.fold(2)
    assert shown(logic, node) == ["background", "cortex", "nuclei", "stem"]
    assert actions.level() == 2


def test_a_segment_is_folded_into_its_branch_and_opened_again(logic, node):
    actions = ResultActions.of(logic, node, "left")
    assert actions.parentName() == "cortex"
    assert not actions.canOpen()
    actions.foldIntoParent()
    assert shown(logic, node) == ["background", "cortex", "putamen", "caudate", "stem"]
    assert actions.level() is None
    branch = ResultActions.of(logic, node, "cortex")
    assert branch.canOpen()
    branch.open()
    assert shown(logic, node) == ["background", "left", "right", "putamen", "caudate", "stem"]
    assert ResultActions.of(logic, node, "brain").parentName() is None


def test_the_probability_of_a_segment_or_the_uncertainty_of_all_is_shown_and_hidden(logic, node):
    ResultActions.of(logic, node, "nuclei").showProbability()
    assert logic.maps.shown(node) == ShownMap.probability("nuclei")
    actions = ResultActions.of(logic, node)
    actions.showProbability()
    assert logic.maps.shown(node) == UNCERTAINTY
    assert actions.isMapShown()
    actions.hideMap()
    assert not actions.isMapShown()


def test_what_is_shown_is_exported(logic, node, parcellation):
    actions = ResultActions.of(logic, node)
    actions.fold(1)
    exported = actions.exportSegmentation()
    assert list(exported.GetSegmentation().GetSegmentIDs()) == ["brain"]
    labels = slicer.util.arrayFromVolume(actions.exportLabelMap())
    np.testing.assert_array_equal(labels > 0, parcellation.labels(1) > 0)


def test_other_segmentations_and_segments_that_people_added_are_left_alone(logic, node, scene):
    assert ResultActions.of(logic, scene.AddNewNodeByClass("vtkMRMLSegmentationNode")) is None
    node.GetSegmentation().AddEmptySegment("mine", "mine")
    actions = ResultActions.of(logic, node, "mine")
    assert actions.nodeId is None
    assert actions.parentName() is None


# -- statistics -------------------------------------------------------------------------------------------------------


def expected(parcellation, id_, values):
    share = parcellation.probability(id_).astype(np.float64)
    mean = (share * values).sum() / share.sum()
    deviation = np.sqrt((share * (values - mean) ** 2).sum() / share.sum())
    copies = np.repeat(values.ravel(), np.rint(share * 255).astype(int).ravel())
    return {
        "soft_volume_cm3": share.sum() * parcellation.geometry.voxel_volume_ml,
        "soft_mean": mean,
        "soft_stdev": deviation,
        "soft_median": np.median(copies),
    }


@pytest.mark.parametrize("id_", ["left", "cortex", "brain", "background"])
def test_numbers_of_a_segment_are_those_of_the_dense_distribution(logic, make, anyGrid, addVolume, window, id_):  # noqa: ARG001
    parcellation = make(anyGrid)
    values = np.random.default_rng(3).integers(0, 900, anyGrid.shape).astype(np.int16)
    scan, node = addVolume(values, anyGrid), logic.results.add(parcellation)
    found = SegmentNumbers(logic).of(node, id_, scan)
    assert set(found) == set(KEYS)
    assert 0 < found.pop("certainty") <= 1
    assert found == pytest.approx(expected(parcellation, id_, values.astype(float)), rel=1e-5)


def test_numbers_follow_a_transform_that_the_scan_is_not_under(logic, parcellation, addVolume, grid, window):  # noqa: ARG001
    import vtk

    values = np.random.default_rng(3).integers(0, 900, grid.shape).astype(np.int16)
    node = logic.results.add(parcellation)
    before = SegmentNumbers(logic).of(node, "cortex", addVolume(values, grid))
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 10.0)
    transform.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())
    moved = Geometry(grid.size, grid.spacing, (grid.origin[0] - 10.0, *grid.origin[1:]), grid.direction)
    after = SegmentNumbers(logic).of(node, "cortex", addVolume(values, moved))
    assert after == pytest.approx(before, rel=1e-4)
    # as Segment Statistics does it: a copy with the transform hardened
    copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "copy")
    copy.CopyContent(node)
    copy.SetAndObserveTransformNodeID(transform.GetID())
    copy.HardenTransform()
    assert SegmentNumbers(logic).of(copy, "cortex", addVolume(values, moved)) == pytest.approx(before, rel=1e-4)


def test_what_is_not_known_is_left_out(logic, node, scene, addVolume, grid):
    numbers, scan = SegmentNumbers(logic), addVolume(np.ones(grid.shape, np.int16), grid)
    node.GetSegmentation().AddEmptySegment("mine", "mine")
    assert numbers.of(node, "mine", scan) == {}
    assert numbers.of(scene.AddNewNodeByClass("vtkMRMLSegmentationNode"), "left", scan) == {}
    assert set(numbers.of(node, "left", None)) == {"soft_volume_cm3", "certainty"}
    assert set(numbers.of(node, "left", scan, ("soft_mean",))) == {"soft_mean"}
    far = addVolume(np.ones(grid.shape, np.int16), Geometry(grid.size, grid.spacing, (5e3, 0.0, 0.0), grid.direction))
    assert set(numbers.of(node, "left", far)) == {"soft_volume_cm3", "certainty"}
