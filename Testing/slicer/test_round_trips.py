"""Saved and opened again: scene bundles and segmentation files."""

import numpy as np
import pytest
import slicer
from SoftSegSlicerLib.Scene.ShownMap import ShownMap

from softseg.errors import InputError


@pytest.fixture
def reopened(scene, logic, tmp_path):
    """Save the scene as .mrb, close it, open it, and return its first node of that name."""
    remote = slicer.vtkMRMLRemoteIOLogic()  # an opened bundle is unpacked into its cache folder
    remote.GetCacheManager().SetRemoteCacheDirectory(str(tmp_path))
    remote.SetMRMLScene(scene)
    remote.AddDataIOToScene()

    def reopen(name):
        file = str(tmp_path / "scene.mrb")
        assert scene.WriteToMRB(file)
        scene.Clear(True)
        logic.forget()
        assert scene.ReadFromMRB(file)
        return scene.GetFirstNodeByName(name)

    yield reopen
    remote.RemoveDataIOFromScene()


def test_a_scene_bundle_keeps_tree_cut_colours_names_and_the_soft_parcellation(
    logic, parcellation, grid, shownLabels, reopened
):
    node = logic.results.add(parcellation, name="result")
    edited = parcellation.tree.rename("stem", "brainstem").recolor("cortex", (1, 2, 3))
    logic.folding.setTree(node, edited)
    logic.collapse(node, 2)
    table = logic.volumes.table(node)
    before, rows = shownLabels(node, grid, logic), table.GetNumberOfRows()

    node = reopened("result")
    assert logic.results.isManaged(node)
    assert logic.results.treeOf(node) == edited
    assert logic.results.originalTree(node) == parcellation.tree
    assert [n.id for n in logic.results.cutOf(node).nodes] == ["background", "cortex", "nuclei", "stem"]
    np.testing.assert_array_equal(shownLabels(node, grid, logic), before)
    segment = node.GetSegmentation().GetSegment("stem")
    assert segment.GetName() == "brainstem"
    cortex = node.GetSegmentation().GetSegment("cortex")
    np.testing.assert_allclose(cortex.GetColor(), np.array([1, 2, 3]) / 255, atol=1e-3)
    assert node.GetNodeReference("softseg.volumes").GetNumberOfRows() == rows
    stored = logic.results.parcellationOf(node)
    np.testing.assert_array_equal(stored.shares, parcellation.shares)
    logic.collapse(node, 3)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(3))


def test_a_scene_bundle_keeps_heat_map_and_its_look(logic, parcellation, grid, addVolume, scene, reopened):
    composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    composite.SetLayoutName("Red")
    node = logic.results.add(parcellation, addVolume(np.zeros(grid.shape, np.int16), grid))
    logic.showNode(node, "nuclei", threshold=0.2, opacity=0.4, contour=True)

    node = reopened("scan segmentation")
    assert logic.maps.shown(node) == ShownMap.probability("nuclei")
    style = logic.maps.styleOf(node)
    assert (style["threshold"], style["opacity"], style["contour"], style["legend"]) == (0.2, 0.4, True, True)
    heat = node.GetNodeReference("softseg.heatMap")
    np.testing.assert_allclose(slicer.util.arrayFromVolume(heat), parcellation.probability("nuclei"), atol=1e-6)
    assert not node.GetDisplayNode().GetVisibility2DFill()
    assert logic.showNode(node, "cortex") is heat
    logic.maps.hide(node)
    assert node.GetDisplayNode().GetVisibility2DFill()


def test_a_scene_bundle_keeps_unfolded_labels_of_a_crisp_segmentation(
    logic, parcellation, grid, shownLabels, addVolume, reopened, tree
):
    labels = parcellation.labels(3)
    node = logic.results.adopt(addVolume(labels, grid, "labels", "vtkMRMLLabelMapVolumeNode"), tree)
    logic.collapse(node, 1)
    node = reopened(node.GetName())
    logic.collapse(node, 3)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), labels)


def test_a_damaged_parcellation_says_so_and_the_segments_stay(logic, parcellation):
    node = logic.results.add(parcellation)
    text = node.GetNodeReference("softseg.parcellation")
    text.SetText(text.GetText()[:400])
    text.RemoveAttribute("SoftSeg.Content")
    logic.forget()
    with pytest.raises(InputError, match="damaged"):
        logic.collapse(node, 1)
    assert len(node.GetDisplayNode().GetVisibleSegmentIDs()) == 5


@pytest.fixture
def throughFile(scene, tmp_path):
    """Write a segmentation as .seg.nrrd and read it into a new node."""

    def go(node):
        file = str(tmp_path / "result.seg.nrrd")
        storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
        storage.SetFileName(file)
        assert storage.WriteData(node)
        other = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "read")
        reader = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
        reader.SetFileName(file)
        assert reader.ReadData(other)
        other.CreateDefaultDisplayNodes()
        return other

    return go


def test_a_segmentation_file_alone_brings_back_tree_cut_names_colours_and_codes(
    logic, parcellation, grid, shownLabels, throughFile
):
    node = logic.results.add(parcellation)
    logic.collapse(node, ["background", "cortex", "putamen", "caudate", "stem"])
    before = shownLabels(node, grid, logic)
    read = throughFile(node)
    assert logic.results.isManaged(read)
    assert logic.results.treeOf(read) == parcellation.tree
    assert [n.id for n in logic.results.cutOf(read).nodes] == ["background", "cortex", "putamen", "caudate", "stem"]
    assert logic.results.parcellationOf(read) is None
    for id_ in ("cortex", "caudate"):
        old, new = node.GetSegmentation().GetSegment(id_), read.GetSegmentation().GetSegment(id_)
        assert new.GetName() == old.GetName()
        np.testing.assert_allclose(new.GetColor(), old.GetColor(), atol=1e-4)
    logic.collapse(read, logic.results.cutOf(read))
    np.testing.assert_array_equal(shownLabels(read, grid, logic), before)


def test_what_a_segmentation_file_was_folded_to_can_be_folded_further_but_not_opened(
    logic, parcellation, grid, shownLabels, throughFile, tree
):
    node = logic.results.add(parcellation)
    logic.collapse(node, 2)
    read = throughFile(node)
    logic.collapse(read, 1)
    folded = shownLabels(read, grid, logic)
    np.testing.assert_array_equal(folded > 0, parcellation.labels(2) > 0)
    assert np.unique(folded).tolist() == [0, tree.value_of("brain")]
    logic.collapse(read, 3)
    np.testing.assert_array_equal(shownLabels(read, grid, logic), parcellation.labels(2))
