"""A result in the scene: what its segments show, where they are, what they are called."""

import gc
import time
import weakref

import numpy as np
import pytest
import slicer
import vtk
from SoftSegSlicerLib.Scene import Grids

from softseg.errors import InputError
from softseg.image import Geometry
from softseg.resources import label_tree_path
from softseg.soft import SoftParcellation
from softseg.tree import LabelTree


def test_segments_show_the_labels_of_the_parcellation_on_every_grid(logic, make, anyGrid, shownLabels, addVolume):
    parcellation = make(anyGrid)
    volume = addVolume(np.zeros(anyGrid.shape, np.int16), anyGrid)
    node = logic.results.add(parcellation, volume)
    for level in range(parcellation.tree.depth, 0, -1):
        logic.collapse(node, level)
        np.testing.assert_array_equal(shownLabels(node, anyGrid, logic), parcellation.labels(level))


def test_segments_lie_where_the_voxels_of_the_grid_lie(logic, make, anyGrid):
    parcellation = make(anyGrid)
    node = logic.results.add(parcellation)
    image = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation("stem", image)
    k, j, i = np.argwhere(parcellation.labels(3) == 200)[0]
    expected = (anyGrid.affine @ [i, j, k, 1])[:3]
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    np.testing.assert_allclose(matrix.MultiplyPoint([int(i), int(j), int(k), 1])[:3], expected, atol=1e-4)


def test_segments_have_ids_names_colours_paths_and_terminology_of_the_tree(logic, parcellation):
    node = logic.results.add(parcellation)
    segmentation = node.GetSegmentation()
    assert list(segmentation.GetSegmentIDs()) == ["left", "right", "putamen", "caudate", "stem"]
    left = segmentation.GetSegment("left")
    assert left.GetName() == "left cortex"
    np.testing.assert_allclose(left.GetColor(), np.array([205, 62, 78]) / 255)
    assert tag(left, "SoftSeg.Path") == "head > brain > cortex > left cortex"
    entry = slicer.vtkSlicerTerminologyEntry()
    terminologies = slicer.vtkSlicerTerminologiesModuleLogic()
    assert terminologies.DeserializeTerminologyEntry(tag(left, left.GetTerminologyEntryTagName()), entry)
    assert (entry.GetTypeObject().GetCodeValue(), entry.GetTypeObject().GetCodeMeaning()) == (
        "40146001",
        "Cerebral cortex",
    )
    assert entry.GetTypeModifierObject().GetCodeMeaning() == "Left"


def tag(segment, name):
    value = vtk.mutable("")
    assert segment.GetTag(name, value)
    return str(value)


def test_all_segments_stay_in_one_layer_and_the_image_stays_the_same_object(logic, parcellation):
    node = logic.results.add(parcellation)
    segmentation = node.GetSegmentation()
    image = segmentation.GetSegment("left").GetRepresentation("Binary labelmap")
    for level in (2, 1, 3, 0, 3):
        logic.collapse(node, level)
        assert segmentation.GetNumberOfLayers("Binary labelmap") == 1
    assert segmentation.GetSegment("left").GetRepresentation("Binary labelmap") is image


def test_a_cut_across_levels_sums_before_it_decides(logic, parcellation, grid, shownLabels):
    cut = parcellation.tree.cut(["background", "cortex", "putamen", "caudate", "stem"])
    node = logic.results.add(parcellation)
    logic.collapse(node, cut)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(cut))
    assert logic.results.cutOf(node) == cut


def test_the_root_shows_what_is_not_background(logic, parcellation, grid, shownLabels, tree):
    node = logic.results.add(parcellation)
    logic.collapse(node, 0)
    shown = shownLabels(node, grid, logic)
    np.testing.assert_array_equal(shown > 0, parcellation.labels(1) != 0)
    assert np.unique(shown).tolist() == [0, tree.value_of("head")]
    logic.collapse(node, 3)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(3))


def test_a_result_stands_beside_its_input(logic, parcellation, grid, addVolume, scene):
    volume = addVolume(np.zeros(grid.shape, np.int16), grid)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "study")
    hierarchy.CreateItem(study, volume)
    node = logic.results.add(parcellation, volume)
    heat = logic.showNode(node, "brain")
    for made in (node, heat, logic.volumes.table(node)):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(made)) == study
    assert node.GetName() == "scan segmentation"
    reference = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    assert reference is volume


def test_a_moved_scan_moves_its_result(logic, parcellation, grid, addVolume, scene):
    volume = addVolume(np.zeros(grid.shape, np.int16), grid)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 100)
    transform.SetMatrixTransformToParent(matrix)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    node = logic.results.add(parcellation, volume)
    assert node.GetTransformNodeID() == logic.showNode(node, "brain").GetTransformNodeID() == transform.GetID()
    at = tuple((grid.affine @ [10, 12, 9, 1])[:3])
    moved = (at[0] + 100, at[1], at[2])
    assert logic.points.describe(node, moved)[0][0] == "head"
    assert logic.points.describe(node, at) == []


def test_three_dimensional_surfaces_are_not_made_unasked(logic, parcellation):
    node = logic.results.add(parcellation)
    logic.collapse(node, 2)
    assert not node.GetSegmentation().ContainsRepresentation("Closed surface")


def test_what_is_no_parcellation_is_refused(logic, scene, tmp_path):
    before = scene.GetNumberOfNodes()
    with pytest.raises(InputError, match="expected a soft parcellation, got dict"):
        logic.results.add({})
    with pytest.raises(InputError, match="no such file"):
        logic.results.load(tmp_path / "gone.soft.npz")
    (tmp_path / "bad.soft.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read as a soft parcellation"):
        logic.results.load(tmp_path / "bad.soft.npz")
    assert scene.GetNumberOfNodes() == before


def test_cuts_that_are_none_are_refused_and_change_nothing(logic, parcellation, grid, shownLabels):
    node = logic.results.add(parcellation)
    for cut, message in (
        (9, "level from 0 to 3"),
        (["brain", "left"], "covers every leaf once"),
        (["x"], "no node 'x'"),
    ):
        with pytest.raises(InputError, match=message):
            logic.collapse(node, cut)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(3))


def test_a_plain_segmentation_is_not_ours(logic, scene):
    plain = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert not logic.results.isManaged(plain)
    assert not logic.results.isManaged(None)
    with pytest.raises(InputError, match="no label tree"):
        logic.collapse(plain, 1)


def test_a_file_becomes_a_segmentation_of_its_name(logic, parcellation, tmp_path, grid, shownLabels):
    file = parcellation.save(tmp_path / "case7.soft.npz")
    node = logic.results.load(file)
    assert node.GetName() == "case7"
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(3))
    assert isinstance(logic.results.parcellationOf(node), SoftParcellation)


def test_an_empty_parcellation_gives_an_empty_segmentation(logic, tree, grid, shownLabels):
    dense = np.zeros((len(tree.leaves), *grid.shape), np.float32)
    dense[tree.leaf_index("background")] = 1
    node = logic.results.add(SoftParcellation.from_dense(dense, tree, grid))
    assert not shownLabels(node, grid, logic).any()
    logic.collapse(node, 1)
    logic.showNode(node, "brain")
    assert logic.volumes.ofNodes(node)["brain"].softMl == 0


def test_what_belongs_to_a_removed_result_goes_with_it(logic, parcellation, grid, addVolume, scene):
    composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    volume = addVolume(np.zeros(grid.shape, np.int16), grid)
    before = {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())}
    kept = logic.results.add(parcellation, volume)
    node = logic.results.add(parcellation, volume)
    logic.showNode(node, "brain", contour=True)
    scene.RemoveNode(node)
    left = [scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes())]
    new = [n for n in left if n.GetID() not in before]
    own = [n for n in new if n.IsA("vtkMRMLStorableNode") and not n.IsA("vtkMRMLColorNode")]
    assert {n.GetID() for n in own} == {
        kept.GetID(),
        kept.GetNodeReferenceID("softseg.tree"),
        kept.GetNodeReferenceID("softseg.parcellation"),
    }
    assert composite.GetForegroundVolumeID() is None
    logic.collapse(kept, 1)


def test_a_closed_scene_leaves_nothing_and_the_logic_goes_on(logic, parcellation, scene):
    logic.showNode(logic.results.add(parcellation), "brain")
    scene.Clear(False)
    logic.forget()
    assert scene.GetNumberOfNodesByClass("vtkMRMLTextNode") == 0
    assert logic.results.isManaged(logic.results.add(parcellation))


def test_134_segments_fold_in_place(logic, capsys):
    tree, geometry = LabelTree.load(label_tree_path("brain-134")), Geometry((40, 48, 40), (4.0, 4.0, 4.0))
    random = np.random.default_rng(0)
    dense = np.zeros((len(tree.leaves), *geometry.shape), np.float32)
    dense[0] = 1
    blocks = random.dirichlet(np.full(len(tree.leaves), 0.02), (15, 18, 15)).astype(np.float32)
    dense[:, 5:35, 6:42, 5:35] = np.moveaxis(blocks.repeat(2, 0).repeat(2, 1).repeat(2, 2), -1, 0)
    parcellation = SoftParcellation.from_dense(dense, tree, geometry)
    node = logic.results.add(parcellation)
    segmentation = node.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == len(tree.leaves) - 1 == 134, "the background has none"
    image = segmentation.GetNthSegment(0).GetRepresentation("Binary labelmap")
    seconds = {}
    for level in (6, 5, 4, 3, 2, 1, 6):
        begin = time.perf_counter()
        logic.collapse(node, level)
        seconds[level] = time.perf_counter() - begin
        shown = np.zeros(geometry.shape, np.uint16)
        shown[parcellation.box] = Grids.arrayOf(image)
        np.testing.assert_array_equal(shown, parcellation.labels(level))
        expected = [n.id for n in tree.cut_at(level).nodes if n != tree.background]
        assert list(segmentation.GetSegmentIDs()) == expected
    assert segmentation.GetNumberOfLayers("Binary labelmap") == 1
    with capsys.disabled():
        print("  134 segments:", ", ".join(f"level {n} {1e3 * s:.0f} ms" for n, s in seconds.items()), end=" ")


def test_a_logic_that_nobody_holds_is_gone_at_once(logic, parcellation):
    from SoftSegSlicerLib.SoftSegSlicerLogic import SoftSegSlicerLogic

    other = SoftSegSlicerLogic()
    other.showNode(other.results.add(parcellation), "brain")
    watched = weakref.ref(other.maps)
    gc.disable()  # no cycle: what another logic does is not done twice until the collector comes by
    try:
        del other
        assert watched() is None
    finally:
        gc.enable()
    assert logic.results.treeOf(logic.results.add(parcellation)) == parcellation.tree
