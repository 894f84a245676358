"""Copies of results, made in every way Slicer has: each has its own tree and maps, and goes alone."""

import numpy as np
import pytest
import slicer
from SoftSegSlicerLib.Scene.ShownMap import ShownMap
from worlds import (
    assertSameCentres,
    expectedCentres,
    expectedMapCentre,
    linearTransform,
    nodesOf,
    segmentCentres,
    translation,
    volumeCentre,
)


@pytest.fixture(autouse=True)
def converters(scene):
    """Segmentations make their representations by themselves, as in the application."""
    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(scene)
    return logic


@pytest.fixture
def result(logic, parcellation, grid, addVolume):
    return logic.results.add(parcellation, addVolume(np.zeros(grid.shape, np.int16), grid))


def dataModule(scene, node):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = slicer.vtkSlicerSubjectHierarchyModuleLogic.CloneSubjectHierarchyItem(
        hierarchy, hierarchy.GetItemByDataNode(node)
    )
    found = hierarchy.GetItemDataNode(item)
    # without the application nothing adds new nodes to the subject hierarchy
    return found or scene.GetFirstNodeByName(f"{node.GetName()} Copy")


def copyNode(scene, node):
    return scene.CopyNode(node)


def copy(scene, node):
    other = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    other.Copy(node)
    return other


def copyContent(scene, node):
    other = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    other.CreateDefaultDisplayNodes()
    other.CopyContent(node)
    return other


WAYS = {"data module": dataModule, "scene's CopyNode": copyNode, "Copy": copy, "CopyContent": copyContent}


@pytest.fixture(params=sorted(WAYS))
def copied(request, scene, result):
    return WAYS[request.param](scene, result)


def assertWhole(logic, node, parcellation, matrix=None):
    """A result that folds, has its map and its tree, and lies where it should."""
    matrix = np.eye(4) if matrix is None else matrix
    assert logic.results.treeOf(node) == parcellation.tree
    np.testing.assert_array_equal(logic.results.parcellationOf(node).shares, parcellation.shares)
    for level in (1, 3):
        assert logic.collapse(node, level) is None, "nobody painted"
        assertSameCentres(segmentCentres(node), expectedCentres(parcellation, level, matrix))
    heat = logic.showNode(node, "left")
    np.testing.assert_allclose(volumeCentre(heat), expectedMapCentre(parcellation, "left", matrix), atol=0.2)
    logic.maps.hide(node)


ROLES = ("softseg.tree", "softseg.parcellation", "softseg.heatMap", "softseg.volumes", "softseg.colors")


def test_a_copy_has_everything_and_everything_of_its_own(logic, result, copied, parcellation):
    assert logic.results.isManaged(copied)
    assertWhole(logic, copied, parcellation)
    assertWhole(logic, result, parcellation)
    for node in (result, copied):
        logic.showNode(node, "brain")
        logic.volumes.table(node)
        logic.exports.colorTable(node)
    for role in ROLES:
        pair = [node.GetNodeReference(role) for node in (result, copied)]
        assert all(pair), role
        assert pair[0] is not pair[1], role
    assert result.GetDisplayNode() is not copied.GetDisplayNode()
    assert copied.GetNodeReference("softseg.input") is result.GetNodeReference("softseg.input")


def test_a_copy_folds_and_is_edited_alone(logic, result, copied, parcellation):
    logic.collapse(copied, 1)
    assert [node.id for node in logic.results.cutOf(result).nodes] == [leaf.id for leaf in parcellation.tree.leaves]
    assertSameCentres(segmentCentres(result), expectedCentres(parcellation, 3, np.eye(4)))
    logic.folding.setTree(copied, parcellation.tree.rename("brain", "encephalon"))
    assert logic.results.treeOf(result) == parcellation.tree
    assert logic.results.treeOf(copied).node("brain").name == "encephalon"


@pytest.mark.parametrize("first", ["copy", "original"])
def test_one_goes_the_other_stays_whole_and_nothing_is_left(logic, scene, result, copied, parcellation, first):
    for node in (result, copied):
        logic.showNode(node, "brain", contour=True)
        logic.maps.showVolumeRendering(node, True)
        logic.volumes.table(node)
        logic.exports.colorTable(node)
    goes, stays = (copied, result) if first == "copy" else (result, copied)
    scene.RemoveNode(goes)
    assertWhole(logic, stays, parcellation)
    kept = {stays.GetNodeReference("softseg.input").GetID()}
    scene.RemoveNode(stays)
    left = [scene.GetNodeByID(id_) for id_ in nodesOf(scene)]
    left = [node.GetName() for node in left if node.GetID() not in kept and not _ofSlicer(node)]
    assert left == []


def _ofSlicer(node):
    """Whether a node is there without any result."""
    classes = ("vtkMRMLSubjectHierarchyNode", "vtkMRMLViewNode", "vtkMRMLCameraNode")
    return any(node.IsA(name) for name in classes) or node.GetSingletonTag()


def test_a_copy_of_a_copy_and_of_a_hardened_result(logic, scene, result, parcellation):
    result.SetAndObserveTransformNodeID(linearTransform(scene, translation(0, 40, 0)).GetID())
    result.HardenTransform()
    second = dataModule(scene, result)
    third = copyNode(scene, second)
    scene.RemoveNode(second)
    for node in (result, third):
        assertWhole(logic, node, parcellation, translation(0, 40, 0))
    third.SetAndObserveTransformNodeID(linearTransform(scene, translation(0, 0, 9)).GetID())
    third.HardenTransform()
    assertWhole(logic, third, parcellation, translation(0, 40, 9))
    assertWhole(logic, result, parcellation, translation(0, 40, 0))


def test_content_copied_into_another_result_replaces_it(logic, scene, result, make, grid, parcellation):
    other = logic.results.add(make(grid, seed=5), name="other")
    logic.showNode(other, "stem")
    before = other.GetNodeReference("softseg.parcellation").GetID()
    other.CopyContent(result)
    assertWhole(logic, other, parcellation)
    assertWhole(logic, result, parcellation)
    assert scene.GetNodeByID(before) is None


def test_a_copy_looks_as_the_original_did_before_its_map(logic, scene, result):
    fill = result.GetDisplayNode().GetVisibility2DFill()
    logic.showNode(result, "brain")
    made = dataModule(scene, result)
    assert made.GetDisplayNode().GetVisibility2DFill() == fill
    assert logic.maps.shown(made) is None
    assert not result.GetDisplayNode().GetVisibility2DFill()
    assert logic.maps.shown(result) == ShownMap.probability("brain")


def test_a_crisp_result_is_copied_with_its_unfolded_labels(logic, scene, parcellation, grid, addVolume, tree):
    result = logic.results.adopt(addVolume(parcellation.labels(3), grid, "l", "vtkMRMLLabelMapVolumeNode"), tree)
    logic.collapse(result, 1)
    made = copyNode(scene, result)
    scene.RemoveNode(result)
    logic.collapse(made, 3)
    assertSameCentres(segmentCentres(made), expectedCentres(parcellation, 3, np.eye(4)))


def test_a_copy_made_while_nobody_watched_is_whole_when_somebody_looks(scene, parcellation):
    from SoftSegSlicerLib.SoftSegSlicerLogic import SoftSegSlicerLogic

    logic = SoftSegSlicerLogic()
    result = logic.results.add(parcellation)
    del logic
    copies = [way(scene, result) for way in (copyNode, copyContent)]
    logic = SoftSegSlicerLogic()
    for node in (*copies, result):
        assertWhole(logic, node, parcellation)
    for node in (result, copies[0]):
        scene.RemoveNode(node)
    assertWhole(logic, copies[1], parcellation)


def test_results_that_differ_by_repeated_answers_keep_that(logic, scene, result, grid):
    from SoftSegSlicerLib.Scene import HeatMap, References

    values = np.random.default_rng(0).random(grid.shape).astype(np.float32)
    HeatMap.keep(result, References.DISAGREEMENT, values, grid)
    made = dataModule(scene, result)
    scene.RemoveNode(result)
    shown = logic.maps.showDisagreement(made)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(shown), values)


@pytest.fixture
def undoing(scene, result):
    """A scene that can undo, and a result that takes part."""
    scene.SetUndoOn()
    result.SetUndoEnabled(True)
    yield scene
    scene.SetUndoOff()


def test_undoing_a_hardened_transform_brings_the_map_back_too(logic, undoing, result, parcellation):
    heat = logic.showNode(result, "brain")
    result.SetAndObserveTransformNodeID(linearTransform(undoing, translation(0, 40, 0)).GetID())
    undoing.SaveStateForUndo()
    result.HardenTransform()
    result.SetAndObserveTransformNodeID(linearTransform(undoing, translation(7, 0, 0)).GetID())
    result.HardenTransform()
    undoing.Undo()
    np.testing.assert_allclose(
        volumeCentre(heat), expectedMapCentre(parcellation, "brain", translation(0, 40, 0)), atol=0.2
    )
    assertSameCentres(segmentCentres(result), expectedCentres(parcellation, 3, translation(0, 40, 0)))
    result.HardenTransform()
    assertWhole(logic, result, parcellation, translation(0, 40, 0))


def test_undoing_a_deletion_brings_the_whole_result_back(logic, undoing, result, parcellation):
    name = result.GetName()
    logic.showNode(result, "brain")
    undoing.SaveStateForUndo()
    undoing.RemoveNode(result)
    undoing.Undo()
    back = undoing.GetFirstNodeByName(name)
    assert back.GetNodeReference("softseg.heatMap") is not None
    assertWhole(logic, back, parcellation)


def test_undoing_a_copy_leaves_the_original_whole(logic, undoing, result, parcellation):
    undoing.SaveStateForUndo()
    made = dataModule(undoing, result)
    assertWhole(logic, made, parcellation)
    undoing.Undo()
    assertWhole(logic, result, parcellation)


def test_what_a_comparison_found_goes_with_the_result_that_was_judged(logic, scene, result, parcellation):
    from SoftSegSlicerLib.Compare.ComparisonNodes import ComparisonNodes

    other = logic.results.add(parcellation, name="other")
    before = nodesOf(scene)
    nodes = ComparisonNodes(scene)
    chart = nodes.bars([{"name": "brain", "dice": 0.5, "soft_dice": 0.6}], "result")
    nodes.belongTo(result)
    nodes.belongTo(other)
    made = nodesOf(scene) - before
    scene.RemoveNode(result)
    assert scene.IsNodePresent(chart)
    scene.RemoveNode(other)
    assert not made & nodesOf(scene)


def test_a_colour_table_that_others_use_stays(logic, scene, result, addVolume, grid, parcellation):
    table = logic.exports.colorTable(result)
    labels = addVolume(parcellation.labels(3), grid, "l", "vtkMRMLLabelMapVolumeNode")
    labels.CreateDefaultDisplayNodes()
    labels.GetDisplayNode().SetAndObserveColorNodeID(table.GetID())
    scene.RemoveNode(result)
    assert labels.GetDisplayNode().GetColorNode() is table
    assert scene.IsNodePresent(table)


def test_showing_another_result_leaves_one_alone_that_is_being_removed(logic, scene, result, copied):
    # the subject hierarchy does not know it any more, and would complain of every change
    logic.showNode(copied, "left")
    seen = []

    def choose(_scene, _event):
        """As a selector does, which has lost its node."""
        copied.AddObserver(slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent, lambda *_: seen.append("display"))
        logic.results.showAlone(result)

    scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, choose)
    scene.RemoveNode(copied)
    assert seen == []
    assert result.GetDisplayVisibility()


def test_nothing_is_shown_while_the_scene_closes(logic, scene, result, copied):
    # the subject hierarchy may be gone by then, and would complain of every change
    logic.results.showAlone(copied)
    assert not result.GetDisplayVisibility()
    seen = []

    def choose(_scene, _event):
        """As a selector does, which has lost its node."""
        result.AddObserver(slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent, lambda *_: seen.append("display"))
        logic.results.showAlone(result)

    scene.AddObserver(slicer.vtkMRMLScene.StartCloseEvent, choose)
    scene.Clear(0)
    assert seen == []
