"""The Compare panel with a corrected result: model, corrected result and reference, with the real engine."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from gui_actions import click, settle
from gui_comparison import GRID, TREE, addLabelMap, clickRow, column, message, openPanel, soft, truth

from softseg.evaluation import evaluate
from softseg.image import Image, write_image

OWN_ANSWER = "Uncorrected prediction"


@pytest.fixture
def panel(moduleWidget):
    yield from openPanel(moduleWidget)


@pytest.fixture
def corrected(panel, moduleWidget):
    """A chosen result, off by a voxel, whose left cortex is corrected in every other slice; and the voxels said."""
    logic = moduleWidget.logic
    result = logic.results.add(soft(truth(1)), name="prediction")
    voxels = truth() == 1
    voxels[::2] = False
    logic.corrections.add(result, "left", voxels)
    panel.ui.resultSelector.setCurrentNode(result)
    settle()
    return result, voxels


def headers(table):
    return [table.headerItem().text(place).replace("\n", " ") for place in range(table.columnCount)]


def none(panel):
    return panel.ui.referenceSelector.noneDisplay


def engine(logic, result, said, folder):
    """What the engine says of a result, by row of level and node."""
    file = logic.results.parcellationOf(result).save(folder / "case.soft.npz")
    write_image(Image(truth(), GRID), folder / "truth.nrrd")
    out = folder / str(said)
    return evaluate([file], [folder / "truth.nrrd"], TREE, out, html=False, corrected=said)


def test_model_and_corrected_result_beside_each_other(panel, corrected, moduleWidget, waitUntil, screenshot, tmp_path):
    result, voxels = corrected
    panel.ui.referenceSelector.setCurrentNode(addLabelMap("drawn by hand", truth()))
    settle()
    click(panel.ui.compareButton)
    waitUntil(lambda: not panel.busy, 120)
    assert message(panel) == ""
    ui = panel.ui
    assert headers(ui.levelTable) == ["Level", "Structures", "Dice, model", "Dice, corrected", "Difference", "Missed"]
    assert headers(ui.structureTable) == ["Structure", "Dice, model", "Dice, corrected", "Difference"]
    now, before = (engine(moduleWidget.logic, result, said, tmp_path) for said in (True, False))
    checkLevels(ui, now, before)
    checkStructures(ui, now, before)
    checkLine(ui, int(voxels.sum()), now.levels[-1]["dice"], before.levels[-1]["dice"], "leaves")
    for path in screenshot(moduleWidget.parent, "compare-corrected"):
        assert path.stat().st_size > 10_000
    clickRow(ui.levelTable, 1)
    checkLine(ui, int(voxels.sum()), now.levels[1]["dice"], before.levels[1]["dice"], "level 2")
    clickRow(ui.structureTable, 0)
    assert "uncorrected" in ui.detailLabel.text
    checkSaved(panel, moduleWidget, tmp_path)
    checkThatColumnsGoWithTheCorrections(panel, moduleWidget, result, waitUntil)


def checkLevels(ui, now, before):
    for place, rows in ((2, before), (3, now)):
        assert column(ui.levelTable, place) == [f"{row['dice']:.3f}" for row in rows.levels]
    changes = [one["dice"] - other["dice"] for one, other in zip(now.levels, before.levels, strict=True)]
    assert [float(text) for text in column(ui.levelTable, 4)] == pytest.approx(changes, abs=6e-4)
    assert changes[-1] > 0.01


def checkStructures(ui, now, before):
    names = column(ui.structureTable, 0)
    for place, rows in ((1, before), (2, now)):
        dice = {row["name"]: row["dice"] for row in rows.nodes if row["level"] == TREE.depth}
        assert [float(text) for text in column(ui.structureTable, place)] == pytest.approx(
            [dice[name] for name in names], abs=6e-4
        )
    left = names.index("left cortex")
    assert float(column(ui.structureTable, 3)[left]) > 0.01
    shown = [float(text) for text in column(ui.structureTable, 2)]
    assert shown == sorted(shown)


def checkLine(ui, count, now, before, level):
    assert ui.correctionLabel.visible
    assert ui.correctionLabel.text == (
        f"{count:,} voxels were corrected. Mean Dice at {level}: model {before:.3f} → corrected {now:.3f} "
        f"({now - before:+.3f})."
    )


def checkSaved(panel, moduleWidget, folder):
    kept = folder / "kept"
    kept.mkdir()
    moduleWidget.context.dialogs.path = str(kept)
    click(panel.ui.saveButton)
    own = {"metrics.csv", "levels.csv", "summary.json"}
    assert {path.name for path in kept.iterdir()} == {*own, "report.html", "without-corrections"}
    assert {path.name for path in (kept / "without-corrections").iterdir()} == own
    click(panel.ui.saveButton)
    assert "Saved in" in message(panel)


def checkThatColumnsGoWithTheCorrections(panel, moduleWidget, result, waitUntil):
    moduleWidget.logic.corrections.undo(result)
    settle()
    assert none(panel) != OWN_ANSWER
    click(panel.ui.compareButton)
    waitUntil(lambda: not panel.busy, 120)
    assert headers(panel.ui.levelTable) == ["Level", "Structures", "Dice", "Soft Dice", "Missed"]
    assert headers(panel.ui.structureTable) == ["Structure", "Dice", "Soft", "ml", "Ref. ml"]
    assert not panel.ui.correctionLabel.visible


def test_the_model_itself_is_offered_as_reference(panel, corrected, moduleWidget, waitUntil):
    result, voxels = corrected
    assert panel.ui.referenceSelector.currentNode() is None
    assert none(panel) == OWN_ANSWER
    click(panel.ui.compareButton)
    waitUntil(lambda: not panel.busy, 120)
    assert message(panel) == ""
    logic = moduleWidget.logic
    own = logic.results.parcellationOf(result).predicted.labels(TREE.depth) == 1
    now = logic.results.parcellationOf(result).labels(TREE.depth) == 1
    dice = dict(zip(column(panel.ui.structureTable, 0), column(panel.ui.structureTable, 1), strict=True))
    assert dice["left cortex"] == f"{2 * np.sum(own & now) / (own.sum() + now.sum()):.3f}"
    mean = panel.result.levels[-1]["dice"]
    assert panel.ui.correctionLabel.text == (
        f"{voxels.sum():,} voxels were corrected. Mean Dice with the uncorrected prediction at leaves: {mean:.3f}."
    )


def test_a_coarse_reference_sums_up_at_its_own_level(panel, corrected, moduleWidget, waitUntil):
    result, voxels = corrected
    moduleWidget.logic.collapse(result, 2)
    panel.ui.referenceSelector.setCurrentNode(moduleWidget.logic.exports.labelMap(result))
    settle()
    click(panel.ui.compareButton)
    waitUntil(lambda: not panel.busy, 120)
    rows = panel.result.levels
    assert [row["level"] for row in rows] == [1, 2, 3]
    checkLine(panel.ui, int(voxels.sum()), 1.0, rows[1]["dice_model"], "level 2")
    assert 0.5 < rows[1]["dice_model"] < 1.0


@pytest.mark.usefixtures("corrected")
def test_only_corrected_results_offer_it(panel, moduleWidget):
    plain = moduleWidget.logic.results.add(soft(truth()), name="not corrected")
    panel.ui.resultSelector.setCurrentNode(plain)
    settle()
    assert none(panel) != OWN_ANSWER
    assert not panel.ui.compareButton.enabled
    moduleWidget.logic.corrections.add(plain, "white", truth() == 4)
    settle()
    assert none(panel) == OWN_ANSWER
    assert panel.ui.compareButton.enabled
    slicer.mrmlScene.Clear(False)
    settle()
    assert none(panel) != OWN_ANSWER
    assert not panel.ui.compareButton.enabled


@pytest.mark.usefixtures("corrected")
def test_cancel_ends_both(panel, waitUntil):
    panel.ui.referenceSelector.setCurrentNode(addLabelMap("drawn", truth()))
    settle()
    click(panel.ui.compareButton)
    waitUntil(lambda: panel._run.runner is not None and panel._run.runner.running)
    click(panel.ui.cancelButton)
    waitUntil(lambda: not panel.busy, 60)
    assert message(panel) == "Cancelled."
    assert not panel.ui.resultFrame.visible
    assert panel.ui.compareButton.enabled
