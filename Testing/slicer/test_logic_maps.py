"""Numbers of a result, what lies under the pointer, and plain nodes for other tools."""

import math

import numpy as np
import pytest
import slicer


def ras(geometry, k, j, i):
    """The world position of a voxel's centre."""
    return tuple((geometry.affine @ [i, j, k, 1])[:3])


def test_volumes_are_the_parcellations(logic, parcellation):
    node = logic.results.add(parcellation)
    found = logic.volumes.ofNodes(node)
    for expected in parcellation.volumes():
        volume = found[expected.id]
        assert volume.softMl == pytest.approx(expected.soft_ml)
        assert volume.hardMl == pytest.approx(expected.hard_ml)
        assert volume.certainty == (None if math.isnan(expected.certainty) else pytest.approx(expected.certainty))
    assert 0.5 < found["left"].certainty < 1


def test_volumes_are_counted_level_by_level_and_once(logic, parcellation, monkeypatch):
    node = logic.results.add(parcellation)
    steps = list(logic.volumes.count(node))
    assert steps == [(done, parcellation.tree.depth + 1) for done in range(1, parcellation.tree.depth + 2)]
    monkeypatch.setattr(type(parcellation), "volumes", lambda *_args: pytest.fail("counted again"))
    assert logic.volumes.ofNodes(node)["brain"].hardMl > 0
    assert list(logic.volumes.count(node)) == []


def test_volumes_of_a_crisp_segmentation_add_up(logic, parcellation, grid, addVolume, tree):
    labels = parcellation.labels(3)
    node = logic.results.adopt(addVolume(labels, grid, "l", "vtkMRMLLabelMapVolumeNode"), tree)
    found = logic.volumes.ofNodes(node)
    assert found["left"].hardMl == pytest.approx((labels == 7).sum() * grid.voxel_volume_ml)
    assert found["brain"].hardMl == pytest.approx((labels > 0).sum() * grid.voxel_volume_ml)
    assert (found["brain"].softMl, found["brain"].certainty) == (None, None)


def test_the_table_has_a_row_for_every_node_and_is_filled_again(logic, parcellation):
    node = logic.results.add(parcellation)
    table = logic.volumes.table(node)
    assert [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())] == [
        "Structure",
        "Level",
        "Soft volume (ml)",
        "Hard volume (ml)",
        "Certainty",
        "Path",
    ]
    assert table.GetCellText(2, 0) == "brain"
    expected = next(volume for volume in parcellation.volumes() if volume.id == "brain")
    assert float(table.GetCellText(2, 2)) == pytest.approx(expected.soft_ml, rel=1e-4)
    logic.folding.setTree(node, parcellation.tree.rename("brain", "encephalon"))
    assert logic.volumes.table(node) is table
    assert (table.GetCellText(2, 0), table.GetNumberOfRows()) == ("encephalon", len(parcellation.tree))


def test_a_point_is_described_by_the_path_of_the_largest_node(logic, make, anyGrid):
    parcellation = make(anyGrid)
    node = logic.results.add(parcellation)
    tree = parcellation.tree
    random = np.random.default_rng(0)
    for level in (3, 2, 1):
        logic.collapse(node, level)
        labels = parcellation.labels(level)
        for k, j, i in random.integers(0, anyGrid.shape, (40, 3)):
            path = logic.points.describe(node, ras(anyGrid, k, j, i))
            assert [id_ for id_, _ in path] == [n.id for n in tree.path(path[-1][0])]
            assert tree.value_of(path[-1][0]) == labels[k, j, i]
            for id_, share in path:
                assert share == pytest.approx(parcellation.probability(id_)[k, j, i])


def test_outside_nothing_is_described(logic, parcellation, grid):
    node = logic.results.add(parcellation)
    assert logic.points.describe(node, (500, 0, 0)) == []
    assert logic.points.describe(node, ras(grid, 0, 0, -1)) == []
    assert logic.points.describe(node, ras(grid, 0, 0, 0)) == [("head", 1.0), ("background", 1.0)]


def test_a_crisp_point_is_certain(logic, parcellation, grid, addVolume, tree):
    labels = parcellation.labels(3)
    node = logic.results.adopt(addVolume(labels, grid, "l", "vtkMRMLLabelMapVolumeNode"), tree)
    k, j, i = np.argwhere(labels == 12)[0]
    assert logic.points.describe(node, ras(grid, k, j, i)) == [
        (id_, 1.0) for id_ in ("head", "brain", "nuclei", "putamen")
    ]
    logic.collapse(node, 2)
    assert logic.points.describe(node, ras(grid, k, j, i))[-1] == ("nuclei", 1.0)
    assert logic.points.describe(node, (900, 0, 0)) == []


def test_an_exported_segmentation_has_true_segments_of_the_cut_and_is_plain(logic, parcellation):
    node = logic.results.add(parcellation)
    logic.collapse(node, 2)
    exported = logic.exports.segmentation(node)
    assert list(exported.GetSegmentation().GetSegmentIDs()) == ["cortex", "nuclei", "stem"]
    assert exported.GetSegmentation().GetSegment("nuclei").GetName() == "nuclei"
    assert exported.GetNodeReference("softseg.tree") is None
    voxels = slicer.vtkOrientedImageData()
    exported.GetBinaryLabelmapRepresentation("nuclei", voxels)
    count = int((np.frombuffer(voxels.GetPointData().GetScalars(), np.uint8) > 0).sum())
    assert count == (parcellation.labels(2) == 40).sum()
    logic.collapse(node, 1)
    exported.GetBinaryLabelmapRepresentation("nuclei", voxels)
    assert int((np.frombuffer(voxels.GetPointData().GetScalars(), np.uint8) > 0).sum()) == count


def test_an_exported_label_map_has_the_whole_grid_names_and_codes(logic, make, anyGrid):
    from SoftSegSlicerLib.Scene import Grids

    parcellation = make(anyGrid)
    node = logic.results.add(parcellation)
    volume = logic.exports.labelMap(node)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), parcellation.labels(3))
    assert Grids.geometryOfVolume(volume).same_grid(anyGrid)
    table = volume.GetDisplayNode().GetColorNode()
    assert table.GetColorName(7) == "left cortex"
    assert table.GetTerminologyType(7).GetCodeMeaning() == "Cerebral cortex"
    assert not table.GetColorDefined(8)


def test_the_colour_table_has_the_whole_tree_and_follows_it(logic, parcellation, tmp_path, scene):
    node = logic.results.add(parcellation)
    table = logic.exports.colorTable(node)
    tree = parcellation.tree
    for n in tree.nodes:
        assert table.GetColorName(tree.value_of(n.id)) == n.name
    color = [0.0] * 4
    table.GetColor(7, color)
    np.testing.assert_allclose(color, [205 / 255, 62 / 255, 78 / 255, 1.0], atol=1e-2)
    assert table.GetTerminologyTypeModifier(3).GetCodeMeaning() == "Right"
    logic.folding.setTree(node, tree.rename("stem", "brainstem"))
    assert logic.exports.colorTable(node) is table
    assert table.GetColorName(200) == "brainstem"
    storage = scene.AddNewNodeByClass("vtkMRMLColorTableStorageNode")
    storage.SetFileName(str(tmp_path / "colors.csv"))
    assert storage.WriteData(table)
    read = scene.AddNewNodeByClass("vtkMRMLColorTableNode")
    assert storage.ReadData(read)
    assert read.GetColorName(7) == "left cortex"
    assert read.GetTerminologyType(7).GetCodeMeaning() == "Cerebral cortex"
