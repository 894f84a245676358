"""The Compare panel on real widgets, with the real engine in a process of its own."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import slicer
from gui_actions import click, settle
from gui_comparison import GRID, addLabelMap, clickRow, column, message, openPanel, soft, truth


@pytest.fixture
def panel(moduleWidget):
    yield from openPanel(moduleWidget)


@pytest.fixture
def compared(panel, moduleWidget, waitUntil):
    """A finished comparison with a reference that is a little off."""
    result = moduleWidget.logic.results.add(soft(truth(1)), name="prediction")
    panel.ui.resultSelector.setCurrentNode(result)
    panel.ui.referenceSelector.setCurrentNode(addLabelMap("drawn by hand", truth()))
    settle()
    click(panel.ui.compareButton)
    assert panel.busy
    assert not panel.ui.compareButton.enabled
    waitUntil(lambda: not panel.busy, 120)
    assert message(panel) == ""
    return panel


def test_from_a_click_to_everything(compared, moduleWidget, screenshot, tmp_path):
    """One real comparison, because each takes as long as the engine takes to load and draw its report."""
    checkTablesAndJumps(compared)
    compared.tables.show(compared.result)
    clickRow(compared.ui.structureTable, 0)
    dice = [float(text) for text in column(compared.ui.structureTable, 1)]
    assert dice == sorted(dice)  # whatever was sorted before
    for path in screenshot(moduleWidget.parent, "compare"):
        assert path.stat().st_size > 10_000
    checkPlotTableAndReport(compared, moduleWidget, tmp_path)
    checkThatNodesMayGo(compared)


def checkTablesAndJumps(compared):
    ui = compared.ui
    assert column(ui.levelTable, 0) == ["1", "2", "leaves"]
    assert column(ui.levelTable, 1) == ["1", "3", "5"]
    dice = [float(text) for text in column(ui.structureTable, 1)]
    assert dice == sorted(dice)
    assert len(dice) == 5
    assert 0 < dice[0] < 1
    assert ui.structureTitle.text == "5 structures at leaves, worst first"
    views = [slicer.mrmlScene.GetNodeByID(f"vtkMRMLSliceNode{name}") for name in ("Red", "Yellow", "Green")]
    before = [view.GetSliceOffset() for view in views]
    clickRow(ui.structureTable, 0)
    after = [view.GetSliceOffset() for view in views]
    assert before != after
    row = compared.tables.rows()[0]
    assert ui.detailLabel.text.startswith(row["name"])
    world = [views[0].GetSliceToRAS().GetElement(axis, 3) for axis in range(3)]
    assert np.allclose(world, [row[f"error_{axis}"] for axis in "ras"], atol=1e-3)
    ui.placeSelector.currentIndex = 1
    clickRow(ui.structureTable, 0)
    world = [views[0].GetSliceToRAS().GetElement(axis, 3) for axis in range(3)]
    assert np.allclose(world, [row[f"center_{axis}"] for axis in "ras"], atol=1e-3)
    clickRow(ui.levelTable, 0)
    assert column(ui.structureTable, 0) == ["brain"]
    clickRow(ui.levelTable, 2)
    compared.tables._onHeader(3)
    volumes = [float(text) for text in column(ui.structureTable, 3)]
    assert volumes == sorted(volumes)
    compared.tables._onHeader(3)
    assert [float(text) for text in column(ui.structureTable, 3)] == volumes[::-1]


def checkPlotTableAndReport(compared, moduleWidget, tmp_path):
    click(compared.ui.plotButton)
    selection = slicer.app.applicationLogic().GetSelectionNode()
    chart = slicer.mrmlScene.GetNodeByID(selection.GetActivePlotChartID())
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    click(compared.ui.tableButton)
    assert selection.GetActiveTableID()
    kept = tmp_path / "kept"
    kept.mkdir()
    moduleWidget.context.dialogs.path = str(kept)
    click(compared.ui.saveButton)
    assert {path.name for path in kept.iterdir()} == {"metrics.csv", "levels.csv", "summary.json", "report.html"}
    moduleWidget.context.dialogs.path = str(tmp_path / "missing")
    click(compared.ui.saveButton)
    assert "missing" in message(compared)


def checkThatNodesMayGo(compared):
    slicer.mrmlScene.RemoveNode(compared.ui.resultSelector.currentNode())
    settle()
    clickRow(compared.ui.structureTable, 0)
    assert "no longer in the scene" in message(compared)
    slicer.mrmlScene.Clear(False)
    settle()
    assert not compared.ui.resultFrame.visible
    assert not compared.ui.compareButton.enabled


def test_labels_that_are_not_in_the_tree_are_named(panel, moduleWidget):
    result = moduleWidget.logic.results.add(soft(truth()), name="prediction")
    panel.ui.resultSelector.setCurrentNode(result)
    values = truth()
    values[values == 5] = 77
    panel.ui.referenceSelector.setCurrentNode(addLabelMap("other", values))
    settle()
    click(panel.ui.compareButton)
    assert "77" in message(panel)
    assert panel.ui.compareButton.enabled
    panel.ui.referenceSelector.setCurrentNode(result)
    settle()
    click(panel.ui.compareButton)
    assert "are the same node" in message(panel)


def segments(name, masks):
    """A segmentation with a layer for each segment."""
    from SoftSegSlicerLib.Scene.Grids import arrayOf, orientedImage

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    for segmentName, mask in masks.items():
        image = orientedImage(GRID, tuple(slice(0, size) for size in GRID.shape), 3)
        arrayOf(image)[...] = mask
        segment = slicer.vtkSegment()
        segment.SetName(segmentName)
        segment.AddRepresentation("Binary labelmap", image)
        node.GetSegmentation().AddSegment(segment)
    return node


def test_a_label_map_exported_at_a_coarser_level_is_a_reference_named_as_in_the_scene(panel, moduleWidget, waitUntil):
    logic = moduleWidget.logic
    result = logic.results.add(soft(truth()), name="prediction")
    logic.collapse(result, 2)
    reference = logic.exports.labelMap(result)
    reference.SetName("exported")
    panel.ui.resultSelector.setCurrentNode(result)
    panel.ui.referenceSelector.setCurrentNode(reference)
    settle()
    click(panel.ui.compareButton)
    waitUntil(lambda: not panel.busy, 120)
    assert message(panel).startswith("'exported': values that no node has of its own")
    assert "/" not in message(panel)
    assert column(panel.ui.levelTable, 2)[1] == "1.000"
    title = panel.ui.structureTitle
    assert title.text == "3 structures at level 2, the finest level of the reference, worst first"
    assert column(panel.ui.structureTable, 1) == ["1.000"] * 3
    clickRow(panel.ui.levelTable, 2)
    assert title.text == "1 structures at leaves, below the finest level of the reference, worst first"


def test_what_is_not_sure_is_asked_before_it_is_compared(panel, moduleWidget, waitUntil):
    """A segment without a name, and two that contradict each other: first a table, then a question."""
    values = truth()
    panel.ui.resultSelector.setCurrentNode(moduleWidget.logic.results.add(soft(values), name="prediction"))
    masks = {"lh.cortex": values == 1, "Cortex_R": (values == 2) | (values == 4), "Segment_3": values == 3}
    reference = segments("drawn", masks | {"Putamen": values == 4})
    panel.ui.referenceSelector.setCurrentNode(reference)
    settle()
    dialogs = moduleWidget.context.dialogs
    dialogs.chosen = None
    click(panel.ui.compareButton)
    assert not panel.busy
    assert [match.item.name for match in dialogs.matchings[-1].open] == ["Segment_3"]
    dialogs.chosen = {dialogs.matchings[-1].open[0].item.key: "white"}
    dialogs.answer = False
    click(panel.ui.compareButton)
    waitUntil(lambda: not panel.busy, 30)
    count = int((values == 4).sum())
    assert f"'right cortex' and 'putamen' ({count} voxels)" in dialogs.asked[-1]
    assert "contradict each other" in message(panel)
    dialogs.answer = True
    click(panel.ui.compareButton)
    waitUntil(lambda: not panel.busy, 120)
    assert "contradict each other" in message(panel)  # said, and judged
    dice = {row["name"]: row["dice"] for row in panel.result.nodes(panel.result.deepest)}
    assert dice["white matter"] > 0.9
    assert dice["left cortex"] > 0.9


def test_cancel_ends_it_within_seconds_and_all_is_usable_again(panel, moduleWidget, waitUntil):
    result = moduleWidget.logic.results.add(soft(truth()), name="prediction")
    panel.ui.resultSelector.setCurrentNode(result)
    panel.ui.referenceSelector.setCurrentNode(addLabelMap("drawn", truth()))
    settle()
    click(panel.ui.compareButton)
    waitUntil(lambda: panel._run.runner is not None and panel._run.runner.running)
    click(panel.ui.cancelButton)
    waitUntil(lambda: not panel.busy)
    assert message(panel) == "Cancelled."
    assert panel.ui.compareButton.enabled


def test_a_program_that_cannot_start_is_said(panel, moduleWidget, waitUntil):
    runner = importlib.import_module("SoftSegSlicerLib.Process.ProcessRunner").ProcessRunner
    moduleWidget.context.makeRunner = lambda: runner("/nowhere/PythonSlicer")
    result = moduleWidget.logic.results.add(soft(truth()), name="prediction")
    panel.ui.resultSelector.setCurrentNode(result)
    panel.ui.referenceSelector.setCurrentNode(addLabelMap("drawn", truth()))
    settle()
    click(panel.ui.compareButton)
    waitUntil(lambda: not panel.busy)
    assert "could not be started" in message(panel)
    assert panel.ui.compareButton.enabled
