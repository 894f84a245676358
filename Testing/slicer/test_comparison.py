"""A result against a reference: what the engine is handed, what its tables say, and where a click goes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import slicer
from SoftSegSlicerLib.Compare.Comparison import Comparison
from SoftSegSlicerLib.Compare.ComparisonNodes import MOST_BARS, ComparisonNodes, jump
from SoftSegSlicerLib.Compare.ComparisonTables import ComparisonTables, place, tablesAreThere

from softseg.errors import InputError
from softseg.evaluation import evaluate
from softseg.image import read_image
from softseg.requests import EvaluateRequest
from softseg.tree import LabelTree, Node


@pytest.fixture
def result(logic, parcellation):
    return logic.results.add(parcellation, name="result")


def labels(parcellation, tree):
    return parcellation.labels(tree.cut_at(tree.depth)).astype(np.uint16)


def compared(comparison):
    steps = list(comparison.write())
    assert steps[-1][0] == steps[-1][1]
    request = EvaluateRequest.from_argv(comparison.arguments)
    (prediction,), (reference,) = map(str, request.prediction), map(str, request.reference)
    tree, out = request.tree, str(request.out)
    evaluate([prediction], [reference], LabelTree.load(tree), out, html=False)
    return ComparisonTables(comparison.folder)


def test_a_result_against_its_own_labels_is_right_everywhere(logic, result, parcellation, tree, addVolume, tmp_path):
    truth = labels(parcellation, tree)
    reference = addVolume(truth, parcellation.geometry, "truth", "vtkMRMLLabelMapVolumeNode")
    tables = compared(Comparison(logic, result, reference, tmp_path))
    assert tables.deepest == tree.depth
    assert len(tables.levels) == tree.depth
    rows = tables.nodes(tables.deepest)
    assert {row["node"] for row in rows} == {leaf.id for leaf in tree.leaves if leaf is not tree.background}
    assert all(row["dice"] == 1.0 for row in rows)
    assert all(0 < row["soft_dice"] < 1 for row in rows)
    assert all(place(row, "error") is None for row in rows)
    for row in rows:
        assert row["volume_ml"] == pytest.approx(row["volume_reference_ml"])
    assert tables.report == ""


def test_what_is_wrong_comes_first_and_a_click_goes_there(logic, result, parcellation, tree, addVolume, tmp_path):
    truth = labels(parcellation, tree)
    wrong = truth.copy()
    middle = np.argwhere(truth == 200)
    chosen = middle[len(middle) // 2]
    near = np.abs(np.indices(truth.shape) - chosen.reshape(3, 1, 1, 1)).max(axis=0) <= 1
    wrong[near & (truth == 200)] = 12
    reference = addVolume(wrong, parcellation.geometry, "truth", "vtkMRMLLabelMapVolumeNode")
    tables = compared(Comparison(logic, result, reference, tmp_path))
    rows = tables.nodes(tables.deepest)
    assert rows[0]["dice"] == min(row["dice"] for row in rows) < 1
    stem = next(row for row in rows if row["node"] == "stem")
    point = place(stem, "error")
    k, j, i = np.round(np.linalg.solve(parcellation.geometry.affine, [*point, 1.0])[2::-1]).astype(int)
    assert truth[k, j, i] == 200
    assert wrong[k, j, i] == 12
    slices = slicer.vtkMRMLSliceNode()
    result.GetScene().AddNode(slices)
    jump(result, point)
    offset = [slices.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)]
    assert np.allclose(offset, point, atol=1e-3)


def test_a_moved_result_is_jumped_to_where_it_is_shown(result):
    transform = slicer.vtkMRMLLinearTransformNode()
    result.GetScene().AddNode(transform)
    matrix = transform.GetMatrixTransformToParent()
    matrix.SetElement(0, 3, 10.0)
    transform.SetMatrixTransformToParent(matrix)
    result.SetAndObserveTransformNodeID(transform.GetID())
    slices = slicer.vtkMRMLSliceNode()
    result.GetScene().AddNode(slices)
    jump(result, (1.0, 2.0, 3.0))
    offset = [slices.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)]
    assert np.allclose(offset, (11.0, 2.0, 3.0))


def test_a_reference_with_other_values_is_read_by_its_names(logic, result, parcellation, tree, addVolume, tmp_path):
    truth = labels(parcellation, tree)
    values = {200: 1, 12: 2, 11: 3, 7: 4, 3: 5}
    renumbered = np.zeros_like(truth)
    for value, other in values.items():
        renumbered[truth == value] = other
    reference = addVolume(renumbered, parcellation.geometry, "other", "vtkMRMLLabelMapVolumeNode")
    colors = slicer.vtkMRMLColorTableNode()
    colors.SetTypeToUser()
    colors.SetNumberOfColors(6)
    names = {tree.value_of(node.id): node.name for node in tree.nodes}
    for value, other in values.items():
        colors.SetColor(other, names[value].upper(), 1, 1, 1, 1)
    reference.GetScene().AddNode(colors)
    reference.CreateDefaultDisplayNodes()
    reference.GetDisplayNode().SetAndObserveColorNodeID(colors.GetID())
    comparison = Comparison(logic, result, reference, tmp_path)
    list(comparison.write())
    assert np.array_equal(read_image(tmp_path / "input" / "reference.nrrd").array, truth)


def test_a_crisp_result_is_judged_unfolded_whatever_is_shown(logic, parcellation, tree, addVolume, tmp_path):
    truth = labels(parcellation, tree)
    made = addVolume(truth, parcellation.geometry, "made elsewhere", "vtkMRMLLabelMapVolumeNode")
    adopted = logic.results.adopt(made, tree)
    logic.collapse(adopted, 1)
    reference = addVolume(truth, parcellation.geometry, "truth", "vtkMRMLLabelMapVolumeNode")
    tables = compared(Comparison(logic, adopted, reference, tmp_path))
    assert [row["dice"] for row in tables.nodes(tables.deepest)] == [1.0] * 5
    assert all(math.isnan(row["calibration_error"]) for row in tables.nodes(1))


def test_any_segmentation_can_be_judged_with_a_tree(logic, parcellation, tree, addVolume, tmp_path):
    truth = labels(parcellation, tree)
    made = addVolume(truth, parcellation.geometry, "made elsewhere", "vtkMRMLLabelMapVolumeNode")
    reference = addVolume(truth, parcellation.geometry, "truth", "vtkMRMLLabelMapVolumeNode")
    with pytest.raises(InputError, match="has no label tree"):
        Comparison(logic, made, reference, tmp_path)
    tables = compared(Comparison(logic, made, reference, tmp_path, tree))
    assert len(tables.nodes(tables.deepest)) == 5


def test_the_scan_goes_into_the_pictures_where_it_fits(logic, parcellation, tree, addVolume, tmp_path):
    scan = addVolume(np.ones(parcellation.geometry.shape, np.int16), parcellation.geometry, "scan")
    result = logic.results.add(parcellation, scan)
    truth = addVolume(labels(parcellation, tree), parcellation.geometry, "truth", "vtkMRMLLabelMapVolumeNode")
    comparison = Comparison(logic, result, truth, tmp_path)
    list(comparison.write())
    assert "--image" in comparison.arguments
    assert read_image(tmp_path / "input" / "scan.nrrd").array.dtype == np.int16


def test_what_cannot_be_compared_is_refused_with_the_reason(logic, result, parcellation, addVolume, tmp_path):
    other = addVolume(
        np.full(parcellation.geometry.shape, 99, np.uint8), parcellation.geometry, "x", "vtkMRMLLabelMapVolumeNode"
    )
    for given, said in (
        ((None, other), "no result is chosen"),
        ((result, None), "no reference is chosen"),
        ((result, result), "are the same node"),
        ((result, other), "no node for 99"),
    ):
        with pytest.raises(InputError, match=said):
            Comparison(logic, *given, tmp_path)
    small = LabelTree([Node("root", "root", None), Node("one", "one", "root", value=1)], name="one")
    with pytest.raises(InputError, match="has no node for"):
        Comparison(logic, result, other, tmp_path, small)
    with pytest.raises(InputError, match="cannot be read"):
        ComparisonTables(tmp_path)
    assert not tablesAreThere(tmp_path)


def test_table_and_bars_in_the_scene_are_used_again(scene, logic, result, parcellation, tree, addVolume, tmp_path):
    reference = addVolume(labels(parcellation, tree), parcellation.geometry, "truth", "vtkMRMLLabelMapVolumeNode")
    tables = compared(Comparison(logic, result, reference, tmp_path))
    nodes = ComparisonNodes(scene)
    table = nodes.write(tables, "result").GetTable()
    assert table.GetNumberOfRows() == sum(len(tables.nodes(level["level"])) for level in tables.levels)
    assert table.GetColumnByName("Dice").GetValue(0) == tables.nodes(1)[0]["dice"]
    assert table.GetColumnByName("structure").GetValue(0) == "brain"
    chart = nodes.bars(tables.nodes(tables.deepest), "result")
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    series = chart.GetNthPlotSeriesNode(0)
    assert series.GetPlotType() == slicer.vtkMRMLPlotSeriesNode.PlotTypeBar
    assert series.GetTableNode().GetTable().GetNumberOfRows() == min(MOST_BARS, 5)
    count = scene.GetNumberOfNodes()
    assert nodes.bars(tables.nodes(1), "again") is chart
    assert scene.GetNumberOfNodes() == count
    scene.RemoveNode(chart)
    assert nodes.bars(tables.nodes(1), "again") is not chart


def test_headless_scripts_get_the_tables(logic, result, parcellation, tree, addVolume, tmp_path):
    reference = addVolume(labels(parcellation, tree), parcellation.geometry, "truth", "vtkMRMLLabelMapVolumeNode")
    tables = logic.compare(result, reference, tmp_path / "out")
    assert tables.levels[-1]["dice"] == 1.0
    assert tables.report == str(tmp_path / "out" / "report.html")
