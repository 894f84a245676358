"""The Segment panel's options of what a model does not know, and what becomes of them in the scene."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import slicer
from gui_runs import Dependencies, Runner, addHead, click, sayWritten
from gui_training import choose
from PySide6.QtGui import QImage
from SoftSegSlicerLib.Scene.ShownMap import DISAGREEMENT
from SoftSegSlicerLib.SelfTest import headlessResult

from softseg.image import Image, write_image
from softseg.soft.guarantee import Guarantee, Person

MODELS = Path(__file__).resolve().parents[2] / "Resources" / "Models"


@pytest.fixture
def runner(moduleWidget):
    runner = Runner()
    moduleWidget.context.makeRunner = lambda: runner
    return runner


@pytest.fixture
def panel(moduleWidget, runner):  # noqa: ARG001 - must be in place first
    panel = moduleWidget.panel("Segment")
    panel.dependencies = Dependencies()
    panel.models.choose("brain-134")
    panel.ui.optionsSection.collapsed = False
    return panel


@pytest.fixture
def head(panel):
    node = addHead()
    panel.inputs.selector("T1").setCurrentNode(node)
    slicer.app.processEvents()
    return node


@pytest.fixture
def scored(tmp_path):
    """A copy of the shipped model with an outlier score and a calibration."""
    folder = tmp_path / "scored" / "model"
    shutil.copytree(MODELS / "brain-134" / "members" / "coronal", folder, ignore=shutil.ignore_patterns("training"))
    (folder / "outliers.json").write_text(json.dumps({"score": "energy", "threshold": -4.0, "low": -20, "high": 2}))
    (folder / "calibration.json").write_text("{}")
    return str(folder)


def after(arguments, option):
    return arguments[arguments.index(option) + 1]


def writeResult(panel, arguments, disagreement=None, intervals=None):
    logic = panel._context.logic
    volume, node = headlessResult(logic)
    folder = Path(after(arguments, "--out")) / "head"
    folder.mkdir(parents=True)
    parcellation = logic.results.parcellationOf(node)
    parcellation.save(folder / "soft.soft.npz")
    if disagreement is not None:
        values = np.full(parcellation.geometry.shape, disagreement, np.float32)
        write_image(Image(values, parcellation.geometry), folder / "mutual_information.nii.gz")
    rows = [f"{id_},{low},{high}" for id_, (low, high) in (intervals or {}).items()]
    (folder / "volumes.csv").write_text("\n".join(["id,soft_ml_low,soft_ml_high", *rows]))
    sayWritten(arguments, folder)
    slicer.mrmlScene.RemoveNode(node)
    slicer.mrmlScene.RemoveNode(volume)


def test_at_first_nothing_more_is_asked(panel, head, runner):  # noqa: ARG001
    click(panel.ui.applyButton)
    assert not {"--outliers", "--uncertainty", "--confidence"} & set(runner.arguments)


def test_outliers_are_offered_only_where_the_model_has_a_score(panel, head, runner, scored):  # noqa: ARG001
    assert not panel.ui.outliersCheck.enabled
    assert "softseg outliers fit" in panel.ui.outliersCheck.toolTip
    assert panel.models.choose(scored)
    assert panel.ui.outliersCheck.enabled
    assert "outlier score: energy" in panel.ui.modelSummary.text
    assert "calibrated" in panel.ui.modelSummary.text
    click(panel.ui.outliersCheck)
    click(panel.ui.applyButton)
    assert "--outliers" in runner.arguments
    runner.end("cancelled")
    panel.ui.modelBox.currentIndex = 0
    assert not panel.ui.outliersCheck.enabled
    click(panel.ui.applyButton)
    assert "--outliers" not in runner.arguments


def test_a_score_that_was_fitted_meanwhile_is_noticed(panel, moduleWidget, scored):
    file = Path(scored) / "outliers.json"
    content = file.read_text()
    file.unlink()
    assert panel.models.choose(scored)
    assert not panel.ui.outliersCheck.enabled
    file.write_text(content)
    moduleWidget.context.notify("modelsChanged", path=scored)
    assert panel.ui.outliersCheck.enabled


def test_repeated_answers_give_a_map_of_disagreement_and_intervals(panel, head, runner, moduleWidget):  # noqa: ARG001
    assert not panel.ui.samplesBox.enabled
    choose(panel.ui.uncertaintyBox, "tta")
    panel.ui.samplesBox.value = 5
    click(panel.ui.applyButton)
    assert after(runner.arguments, "--uncertainty") == "tta:5"
    writeResult(panel, runner.arguments, disagreement=0.25, intervals={"brain": (1.5, 2.5)})
    runner.end("done")
    logic, node = moduleWidget.logic, moduleWidget.context.segmentation
    assert logic.maps.hasDisagreement(node)
    volume = logic.maps.showDisagreement(node)
    assert slicer.util.arrayFromVolume(volume) == pytest.approx(0.25)
    assert volume.GetDisplayNode().GetWindowLevelMax() == pytest.approx(np.log(2))
    table = node.GetNodeReference("softseg.volumes").GetTable()
    row = [table.GetColumnByName("Structure").GetValue(n) for n in range(table.GetNumberOfRows())].index("brain")
    assert table.GetColumnByName("From (ml)").GetValue(row) == 1.5
    assert table.GetColumnByName("To (ml)").GetValue(row) == 2.5
    assert np.isnan(table.GetColumnByName("To (ml)").GetValue(0))
    look = moduleWidget.showPanel("Look")
    moduleWidget.parent.show()
    click(look.ui.uncertaintyButton)
    look.ui.decisionSelector.currentIndex = 2
    assert logic.maps.shown(node) == DISAGREEMENT
    panel.ui.batchSection.collapsed = False
    listed = [panel.ui.batchList.topLevelItem(n).text(0) for n in range(panel.ui.batchList.topLevelItemCount)]
    assert listed == ["head"], "maps are no scans"
    logic.maps.hide(node)
    panel.batch.refresh()
    assert panel.ui.batchList.topLevelItemCount == 1


def test_a_confidence_is_asked_for_and_shown(panel, head, runner, moduleWidget):  # noqa: ARG001
    click(panel.ui.confidenceCheck)
    panel.ui.confidenceBox.value = 0.75
    click(panel.ui.applyButton)
    assert after(runner.arguments, "--confidence") == "0.75"
    writeResult(panel, runner.arguments)
    runner.end("done")
    assert moduleWidget.logic.confidence.of(moduleWidget.context.segmentation) == 0.75


def test_the_choices_come_back_with_the_scene_and_go_to_batches(panel, runner, moduleWidget):
    addHead("a")
    choose(panel.ui.uncertaintyBox, "dropout")
    panel.ui.samplesBox.value = 12
    click(panel.ui.confidenceCheck)
    moduleWidget.onSceneEndClose()
    parameters = moduleWidget.context.parameterNode
    assert (parameters.uncertainty, parameters.samples, parameters.deepAsSure) == ("dropout", 12, True)
    assert panel.ui.samplesBox.value == 12
    assert panel.ui.confidenceBox.enabled
    panel.ui.batchSection.collapsed = False
    click(panel.ui.batchButton)
    assert after(runner.arguments, "--uncertainty") == "dropout:12"
    assert after(runner.arguments, "--confidence") == "0.9"


def test_a_damaged_score_is_said_when_the_model_is_chosen(panel, scored):
    Path(scored, "outliers.json").write_text("{")
    assert not panel.models.choose(scored)
    assert "outliers.json" in panel.messages.messages[-1][1]


def test_picture(panel, head, scored, moduleWidget, screenshot):  # noqa: ARG001
    panel.models.choose(scored)
    click(panel.ui.outliersCheck)
    choose(panel.ui.uncertaintyBox, "tta")
    click(panel.ui.confidenceCheck)
    light, dark = (QImage(str(path)) for path in screenshot(moduleWidget.parent, "segment-doubt"))
    assert light.width() == dark.width() == 400


def giveGuarantee(folder, people):
    """Write wrong answers of people that fall from 20 % at 0.5 to none at 1."""
    levels = np.linspace(0.5, 1, 51)
    curves = tuple(Person(str(number), 0.2 * (2 - 2 * levels)) for number in range(people))
    Guarantee(levels, curves).save(Path(folder) / "guarantee.json")


def test_a_bound_is_offered_only_where_the_model_carries_one(panel, head, runner, scored):  # noqa: ARG001
    (Path(scored) / "outliers.json").unlink()
    assert panel.models.choose(scored)
    assert not panel.ui.guaranteeCheck.enabled
    assert "softseg guarantee" in panel.ui.guaranteeCheck.toolTip
    click(panel.ui.applyButton)
    assert not {"--guarantee", "--guarantee-confidence"} & set(runner.arguments)
    runner.end("cancelled")


def test_a_bound_on_wrong_voxels_is_asked_for_and_its_level_is_shown(panel, head, runner, scored, moduleWidget):  # noqa: ARG001
    giveGuarantee(scored, 9)
    assert panel.models.choose(scored)
    assert panel.ui.guaranteeCheck.enabled
    click(panel.ui.confidenceCheck)
    click(panel.ui.guaranteeCheck)
    assert not panel.ui.confidenceBox.enabled, "the bound says which probability it takes"
    panel.ui.wrongBox.value = 4
    assert panel.ui.guaranteeLabel.text == "Probability 0.90 or more, estimated on 9 people"
    panel.ui.boundConfidenceBox.value = 0.95
    assert "9 people cannot vouch for a confidence of 0.95: it takes 19" in panel.ui.guaranteeLabel.text
    panel.ui.boundConfidenceBox.value = 0.8
    click(panel.ui.applyButton)
    assert "--confidence" not in runner.arguments
    assert (after(runner.arguments, "--guarantee"), after(runner.arguments, "--guarantee-confidence")) == (
        "0.04",
        "0.8",
    )
    writeResult(panel, runner.arguments)
    record = Path(after(runner.arguments, "--out")) / "head" / "prediction.json"
    record.write_text(json.dumps({"settings": {"confidence": 0.87}}))
    runner.end("done")
    assert moduleWidget.logic.confidence.of(moduleWidget.context.segmentation) == 0.87


def test_a_bound_needs_single_predictions_and_comes_back_with_the_scene(panel, runner, scored, moduleWidget):  # noqa: ARG001
    giveGuarantee(scored, 9)
    assert panel.models.choose(scored)
    click(panel.ui.guaranteeCheck)
    panel.ui.wrongBox.value = 2.5
    choose(panel.ui.uncertaintyBox, "tta")
    assert not panel.ui.guaranteeCheck.enabled
    assert "switch Uncertainty off" in panel.ui.guaranteeCheck.toolTip
    assert panel.doubt.options().get("guarantee") is None
    choose(panel.ui.uncertaintyBox, "")
    assert panel.doubt.options()["guarantee"] == 0.025
    moduleWidget.onSceneEndClose()
    parameters = moduleWidget.context.parameterNode
    assert (parameters.bounded, parameters.wrongPercent, parameters.boundConfidence) == (True, 2.5, 0.9)
    assert panel.ui.wrongBox.value == 2.5
