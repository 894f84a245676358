"""The Segment panel: what it offers, what it refuses, and the way of a run from idle to its end."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
from gui_actions import settle
from gui_runs import Dependencies, Runner, addHead, click, sayWritten
from PySide6.QtTest import QTest
from SoftSegSlicerLib.Dependencies import DeclinedError
from SoftSegSlicerLib.SelfTest import headlessResult

from softseg.errors import InputError
from softseg.image import Image, read_image, write_image
from softseg.requests import PredictRequest

DATA = Path(__file__).resolve().parents[2] / "Resources"


@pytest.fixture
def runner(moduleWidget):
    """The runner that the panel will get."""
    runner = Runner()
    moduleWidget.context.makeRunner = lambda: runner
    return runner


@pytest.fixture
def panel(moduleWidget, runner):  # noqa: ARG001 - must be in place first
    """The panel, with everything installed."""
    panel = moduleWidget.panel("Segment")
    panel.dependencies = Dependencies()
    panel.models.choose("brain-134")
    return panel


@pytest.fixture
def head(panel):
    """A scan that is chosen and ready."""
    node = addHead()
    panel.inputs.selector("T1").setCurrentNode(node)
    slicer.app.processEvents()
    return node


def texts(panel, kind=None):
    return [text for said, text in panel.messages.messages if kind in (None, said)]


def writeResult(panel, arguments, name="head", case=None, mask=None):
    """Write what the engine would: the soft parcellation of a small scan, in a folder of this name."""
    logic = panel._context.logic
    volume, node = headlessResult(logic)
    folder = Path(arguments[arguments.index("--out") + 1]) / name
    folder.mkdir(parents=True)
    found = logic.results.parcellationOf(node)
    found.save(folder / "soft.soft.npz")
    if mask is not None:
        write_image(Image(np.full(found.geometry.shape, mask, np.float32), found.geometry), folder / "mask.nii.gz")
    sayWritten(arguments, folder, case)
    slicer.mrmlScene.RemoveNode(node)
    slicer.mrmlScene.RemoveNode(volume)


# -- before -------------------------------------------------------------------------------------------------------


def test_apply_waits_for_a_scan_and_says_so(panel):
    assert not panel.ui.applyButton.enabled
    assert panel.ui.applyButton.toolTip == panel.ui.statusLabel.text == "Choose a volume for T1."
    assert not panel.ui.cancelButton.enabled


def test_a_scan_makes_it_ready(panel, head):  # noqa: ARG001
    assert panel.ui.applyButton.enabled
    assert panel.ui.statusLabel.text == ""


def test_the_volume_in_the_slice_views_is_offered(panel, moduleWidget):
    node = addHead("in view")
    slicer.util.setSliceViewerLayers(background=node)
    moduleWidget.onSceneEndClose()
    assert panel.inputs.volumes() == [node]


def test_a_scan_with_its_skull_is_warned_about_until_a_mask_is_chosen(panel):
    node = addHead("mri", skull=True)
    choose(panel.ui.maskBox, "none")
    panel.inputs.selector("T1").setCurrentNode(node)
    assert "mri: the scan does not seem to be skull-stripped" in panel.ui.checksLabel.text
    assert panel.ui.applyButton.enabled, "a warning forbids nothing"
    mask = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "masks")
    mask.GetSegmentation().AddEmptySegment("brain", "brain")
    choose(panel.ui.maskBox, "segment")
    assert panel.ui.applyButton.toolTip == "Choose a segment as brain mask."
    panel.ui.maskSelector.setCurrentNode(mask)
    panel.ui.maskSelector.setCurrentSegmentID("brain")
    assert panel.ui.checksLabel.text == ""
    assert panel._context.parameterNode.maskSegment == "brain"


def test_a_model_that_needs_a_mask_says_what_becomes_of_the_scan(panel, runner, tmp_path, moduleWidget):
    """Before Apply; then the engine makes the mask, and it lies in the scene, where it can be given again."""
    folder = needing(tmp_path / "brains", "head-finder", "brain")
    assert panel.models.choose(folder)
    assert "raw or skull-stripped scans" in panel.ui.modelSummary.text
    stripped, raw = addHead("stripped"), addHead("raw", skull=True)
    panel.inputs.selector("T1").setCurrentNode(stripped)
    assert "Detected as skull-stripped" in panel.ui.checksLabel.text
    panel.inputs.selector("T1").setCurrentNode(raw)
    assert "head-finder computes a brain mask first" in panel.ui.checksLabel.text
    assert "does not seem to be skull-stripped" not in panel.ui.checksLabel.text

    click(panel.ui.applyButton)
    settle()
    assert PredictRequest.from_argv(runner.arguments).mask == "auto"
    runner.send("stage", stage="mask", total=4)
    runner.send("progress", stage="mask", done=2, total=4)
    assert panel.ui.statusLabel.text == "Making the brain mask ..."
    writeResult(panel, runner.arguments, mask=0.25)
    runner.end("done")
    (mask,) = [
        node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if node.GetName().endswith("mask")
    ]
    assert np.allclose(slicer.util.arrayFromVolume(mask), 0.25)
    assert moduleWidget.context.segmentation.GetNodeReference("softseg.mask") is mask

    choose(panel.ui.maskBox, "volume")
    assert panel.ui.applyButton.toolTip == "Choose a volume as brain mask."
    panel.ui.maskVolumeSelector.setCurrentNode(mask)
    click(panel.ui.applyButton)
    settle()
    given = read_image(PredictRequest.from_argv(runner.arguments).mask)
    assert np.allclose(given.array, 0.25)
    runner.end("cancelled")
    assert panel._context.parameterNode.maskKind == "volume"


def needing(folder, model, node):
    """A copy of the shipped ensemble that says it needs a model first."""
    shutil.copytree(DATA / "Models" / "brain-134", folder)
    file = folder / "ensemble.json"
    content = json.loads(file.read_text(encoding="utf-8")) | {"needs": {"model": model, "node": node}}
    file.write_text(json.dumps(content), encoding="utf-8")
    return str(folder)


def choose(box, value):
    box.currentIndex = box.findData(value)
    slicer.app.processEvents()


def test_odd_voxels_are_warned_about(panel):
    panel.inputs.selector("T1").setCurrentNode(addHead("thick", spacing=30.0))
    assert "is the spacing in the file&#x27;s header right?" in panel.ui.checksLabel.text


def test_thick_oblique_slices_are_warned_about_before_the_run(panel):
    """The axial member of the model would not mind them; the coronal one does, and the engine asks both."""
    node = addHead("thick")
    node.SetSpacing(2.0, 2.0, 5.0)
    cosine, sine = np.cos(np.deg2rad(15)), np.sin(np.deg2rad(15))
    node.SetIJKToRASDirections(-1, 0, 0, 0, -cosine, -sine, 0, -sine, cosine)
    panel.inputs.selector("T1").setCurrentNode(node)
    settle()
    said = "thick: voxels of 2 x 2 x 5 mm are up to 5.0 times as long as those the model was trained on"
    assert panel.ui.checksLabel.text.count(said) == 1
    assert panel.ui.applyButton.enabled
    node.SetSpacing(1.0, 1.0, 1.0)
    settle()
    assert "times as long" not in panel.ui.checksLabel.text


def test_every_channel_of_a_model_gets_a_selector(panel, tmp_path):
    folder = tmp_path / "two-channels"
    shutil.copytree(DATA / "Models" / "brain-134" / "members" / "axial", folder)
    file = folder / "configs" / "metadata.json"
    metadata = json.loads(file.read_text())
    metadata["softseg"]["plan"]["channels"] = ["T2starw", "T1"]
    file.write_text(json.dumps(metadata))
    assert panel.models.choose(str(folder))
    assert panel.inputs.channels == ("T2starw", "T1")
    one, other = addHead("a"), addHead("b", spacing=3.0)
    panel.inputs.selector("T2starw").setCurrentNode(one)
    assert panel.ui.statusLabel.text == "Choose a volume for T1."
    panel.inputs.selector("T1").setCurrentNode(one)
    assert panel.ui.statusLabel.text == "One volume is chosen for two channels."
    panel.inputs.selector("T1").setCurrentNode(other)
    assert "different voxel grids" in panel.ui.statusLabel.text
    assert not panel.ui.applyButton.enabled


# -- models -------------------------------------------------------------------------------------------------------


def test_shipped_models_have_their_cards(panel):
    names = [panel.ui.modelBox.itemText(row) for row in range(panel.ui.modelBox.count)]
    assert names == ["brain-134", "cord-gm-soft", "head-any"]
    assert "134 structures from T1" in panel.ui.modelSummary.text
    assert "CC BY-NC" in panel.ui.modelSummary.text
    assert not panel.ui.cardText.visible
    panel.ui.modelSummary.linkActivated.emit("card")
    assert panel.ui.cardText.visible
    assert "Expects T1-weighted, skull-stripped heads" in panel.ui.cardText.plainText


def test_choosing_a_model_changes_channels_and_levels(panel):
    assert panel.ui.cutBox.count == 6
    panel.ui.modelBox.currentIndex = 1
    assert panel.inputs.channels == ("T2starw",)
    assert [panel.ui.cutBox.itemText(row) for row in range(panel.ui.cutBox.count)] == [
        "All structures (2)",
        "Level 1 (1 structure)",
    ]
    assert panel._context.parameterNode.model == "cord-gm-soft"


def test_a_folder_is_chosen_remembered_and_offered_again(panel, moduleWidget, tmp_path):
    run = tmp_path / "my-run"
    shutil.copytree(DATA / "Models" / "cord-gm-soft" / "members" / "wing", run / "model")
    moduleWidget.context.dialogs.path = str(run)
    click(panel.ui.modelFolderButton)
    assert panel.models.current() == str(run / "model")
    assert panel.ui.modelBox.currentText == "my-run / model"
    slicer.mrmlScene.Clear(False)
    names = [panel.ui.modelBox.itemText(row) for row in range(panel.ui.modelBox.count)]
    assert names == ["brain-134", "cord-gm-soft", "head-any", "my-run / model"]


def test_several_models_in_one_folder_are_chosen_like_one(panel, tmp_path):
    folder = tmp_path / "both"
    shipped = DATA / "Models" / "brain-134"
    for name in ("axial", "coronal"):
        shutil.copytree(shipped, folder / "members" / name, ignore=shutil.ignore_patterns("training"))
    members = {"format_version": 1, "name": "two ways", "members": ["axial", "coronal"]}
    (folder / "ensemble.json").write_text(json.dumps(members))
    assert panel.models.choose(str(folder))
    assert panel.models.summary.name == "two ways"
    assert "134 structures from T1 \u00b7 mean of 2 models" in panel.ui.modelSummary.text


def test_a_model_of_another_product_is_refused_and_the_choice_stays(panel, moduleWidget, tmp_path):
    (tmp_path / "plans.json").write_text("{}")
    moduleWidget.context.dialogs.path = str(tmp_path)
    click(panel.ui.modelFolderButton)
    (text,) = texts(panel, "error")
    assert "is an nnU-Net folder without a trained fold, not a model of softseg" in text[0].lower() + text[1:]
    assert panel.models.current() == "brain-134"
    assert panel.inputs.channels == ("T1",)


def test_a_model_of_nnunet_is_chosen_like_any_other(panel, head, runner, moduleWidget, tmp_path):  # noqa: ARG001
    """Its channels and tree come from dataset.json; the engine is asked with its folder."""
    folder = tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    (folder / "fold_0").mkdir(parents=True)
    (folder / "fold_0" / "checkpoint_final.pth").write_bytes(b"")
    labels = {"background": 0, "whole": [1, 2], "core": [2]}
    description = {"channel_names": {"0": "FLAIR"}, "labels": labels, "regions_class_order": [1, 2]}
    (folder / "dataset.json").write_text(json.dumps(description))
    (folder / "plans.json").write_text(json.dumps({"dataset_name": "Dataset001_Tumour"}))
    moduleWidget.context.dialogs.path = str(folder)
    click(panel.ui.modelFolderButton)
    assert panel.models.current() == str(folder)
    assert "2 structures from FLAIR" in panel.ui.modelSummary.text
    assert panel.inputs.channels == ("FLAIR",)
    assert [node.id for node in panel.models.summary.tree.leaves] == ["background", "core", "rest of whole"]
    click(panel.ui.applyButton)
    assert runner.arguments[:2] == ["predict", str(folder)]


def test_a_trained_model_is_offered_and_chosen(panel, moduleWidget, tmp_path):
    shutil.copytree(DATA / "Models" / "cord-gm-soft" / "members" / "wing", tmp_path / "a" / "model")
    moduleWidget.context.notify("modelsChanged", path=str(tmp_path / "a" / "model"))
    assert panel.models.current() == "brain-134"
    assert panel.ui.modelBox.findText("a / model") >= 0
    moduleWidget.context.notify("modelsChanged", path=str(tmp_path / "a" / "model"), select=True)
    assert panel.ui.modelBox.currentText == "a / model"


# -- the run ------------------------------------------------------------------------------------------------------


def test_from_idle_over_running_to_done(panel, head, runner, moduleWidget):
    panel.ui.cutBox.currentIndex = panel.ui.cutBox.findData("2")
    click(panel.ui.applyButton)
    assert panel.running
    assert runner.arguments[:2] == ["predict", "brain-134"]
    assert not panel.ui.applyButton.enabled
    assert panel.ui.applyButton.toolTip == "A segmentation is running."
    assert panel.ui.progressBar.visible
    assert panel.ui.progressBar.maximum == 0  # moves, before anything can be measured
    assert panel.ui.cancelButton.enabled
    assert not panel.ui.inputsSection.enabled
    runner.send("stage", stage="predict", total=8)
    assert panel.ui.progressBar.maximum == 0
    runner.send("progress", stage="predict", done=4, total=8, seconds_left=17.2)
    assert panel.ui.statusLabel.text == "Segmenting: 17 s left"
    assert 450 <= panel.ui.progressBar.value <= 550
    assert panel.ui.progressBar.maximum == 1000
    runner.send("warning", text="the scan seems to be blurred")
    writeResult(panel, runner.arguments)
    runner.end("done")
    assert not panel.running
    assert not panel.ui.progressBar.visible
    node = moduleWidget.context.segmentation
    assert node.GetName() == "head segmentation"
    assert moduleWidget.logic.results.cutOf(node).nodes == moduleWidget.logic.results.treeOf(node).cut_at(2).nodes
    assert texts(panel) == ["the scan seems to be blurred.", "Done: head segmentation."]
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    parents = [hierarchy.GetItemParent(hierarchy.GetItemByDataNode(one)) for one in (head, node)]
    assert parents[0] == parents[1]
    assert panel.ui.resultRow.visible
    settle()
    assert node.GetNodeReference("softseg.volumes").GetNumberOfRows() > 100  # made after the result is shown
    click(panel.ui.lookButton)
    assert moduleWidget.ui.tabs.currentIndex == 1


def test_volumes_are_shown_in_a_layout_with_a_table(panel, head, runner):  # noqa: ARG001
    click(panel.ui.applyButton)
    writeResult(panel, runner.arguments)
    runner.end("done")
    click(panel.ui.volumesButton)
    table = slicer.mrmlScene.GetNodeByID(slicer.app.applicationLogic().GetSelectionNode().GetActiveTableID())
    assert table.GetNumberOfRows() > 100
    assert slicer.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView


def test_the_bar_moves_before_the_scan_is_written(panel, head, runner, monkeypatch):  # noqa: ARG001
    seen = []
    prepare = panel._context.logic.segmenting.prepare

    def watched(*arguments, **options):
        seen.append((panel.ui.progressBar.visible, panel.ui.progressBar.maximum, panel.ui.statusLabel.text))
        return prepare(*arguments, **options)

    monkeypatch.setattr(panel._context.logic.segmenting, "prepare", watched)
    panel.onApply()
    assert seen == []  # the click returns first
    settle()
    assert seen == [(True, 0, "Starting ...")]


def test_cancelling_leaves_the_scene_as_it_was(panel, head, runner):  # noqa: ARG001
    before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    click(panel.ui.applyButton)
    folder = Path(runner.arguments[2]).parent
    assert folder.is_dir()
    click(panel.ui.cancelButton)
    assert runner.cancelled
    assert panel.ui.statusLabel.text == "Cancelling ..."
    assert not panel.ui.cancelButton.enabled
    runner.end("cancelled", exitCode=130)
    assert texts(panel) == ["Cancelled."]
    assert panel.ui.applyButton.enabled
    assert not folder.exists()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == before


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ("/results: cannot write here", "choose a folder you may write to"),
        ("/results/head: the disk is full", "free space or choose another output"),
        ("the program PythonSlicer could not be started", "reinstall the extension"),
    ],
)
def test_a_failure_is_said_in_the_panel_and_it_can_be_tried_again(panel, head, runner, message, hint):  # noqa: ARG001
    click(panel.ui.applyButton)
    runner.end("failed", message, hint, 2)
    (text,) = texts(panel, "error")
    assert message in text
    assert hint in text
    assert panel.ui.messagesLabel.visible
    assert panel.ui.applyButton.enabled
    click(panel.ui.applyButton)
    assert texts(panel) == []
    assert panel.running


def test_an_engine_that_leaves_no_result_is_a_failure(panel, head, runner):  # noqa: ARG001
    click(panel.ui.applyButton)
    runner.end("done")
    assert "wrote no result" in texts(panel, "error")[0]


def test_deleting_the_volume_during_the_run_loses_nothing(panel, head, runner, moduleWidget):
    click(panel.ui.applyButton)
    slicer.mrmlScene.RemoveNode(head)
    slicer.app.processEvents()
    assert panel.running
    writeResult(panel, runner.arguments)
    runner.end("done")
    assert moduleWidget.context.segmentation is not None
    assert texts(panel, "error") == []
    assert panel.ui.statusLabel.text == "Choose a volume for T1."


def test_closing_the_scene_ends_the_run_quietly(panel, head, runner):  # noqa: ARG001
    click(panel.ui.applyButton)
    slicer.mrmlScene.Clear(False)
    assert runner.killed
    assert not panel.running
    assert texts(panel) == []
    assert panel.ui.statusLabel.text == "Choose a volume for MR.", "the model that a new scene begins with"


def test_closing_the_scene_while_a_result_is_shown_leaves_nothing(panel, head, runner):  # noqa: ARG001
    click(panel.ui.applyButton)
    writeResult(panel, runner.arguments)
    runner.finish("done")  # the result is still to be shown, in steps
    assert panel.running
    slicer.mrmlScene.Clear(False)
    settle()
    assert not panel.running
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_leaving_the_application_ends_the_run(panel, head, runner, moduleWidget):  # noqa: ARG001
    click(panel.ui.applyButton)
    moduleWidget.panels.pop("Segment").cleanup()
    assert runner.killed


def test_nothing_runs_when_installing_is_declined_or_fails(panel, head, runner):  # noqa: ARG001
    panel.dependencies = Dependencies(DeclinedError())
    click(panel.ui.applyButton)
    assert texts(panel) == ["No packages were installed, so nothing was segmented."]
    panel.dependencies = Dependencies(InputError("PyTorch could not be installed", hint="open PyTorch Utils"))
    click(panel.ui.applyButton)
    assert "PyTorch could not be installed" in texts(panel, "error")[0]
    assert runner.arguments is None
    assert panel.ui.applyButton.enabled


# -- several scans ------------------------------------------------------------------------------------------------


def rows(panel):
    items = [panel.ui.batchList.topLevelItem(row) for row in range(panel.ui.batchList.topLevelItemCount)]
    return {item.text(0): item.text(1) for item in items}


def test_a_list_of_volumes_goes_on_after_a_failure(panel, runner, moduleWidget):
    for name in ("head", "broken", "last"):
        addHead(name)
    panel.ui.batchSection.collapsed = False
    assert list(rows(panel)) == ["head", "broken", "last"]
    click(panel.ui.batchButton)
    runner.send("stage", stage="predict", total=8)
    assert panel.ui.statusLabel.text.startswith("head (1 of 3): Segmenting")
    writeResult(panel, runner.arguments)
    runner.end("done")
    assert "broken" in runner.arguments[2]
    runner.end("failed", "the image is constant", "", 2)
    runner.end("failed", "killed", "", -1)
    assert rows(panel)["head"] == "done"
    assert rows(panel)["broken"] == "failed: the image is constant"
    moduleWidget.refresh()
    assert rows(panel)["head"] == "done", "the list remembers when it is filled again"
    assert texts(panel, "warning") == ["1 of 3 scans are segmented."]
    assert texts(panel, "error")[0] == "broken: the image is constant."
    panel.ui.batchList.itemDoubleClicked.emit(panel.ui.batchList.topLevelItem(0), 0)
    assert moduleWidget.context.segmentation.GetName() == "head segmentation"


def test_a_volume_deleted_while_it_waits_fails_alone(panel, runner):
    addHead("first")
    second = addHead("second")
    panel.ui.batchSection.collapsed = False
    click(panel.ui.batchButton)
    slicer.mrmlScene.RemoveNode(second)
    runner.end("failed", "no", "", 2)
    slicer.app.processEvents()
    assert not panel.running
    assert "second: The volume second was deleted." in texts(panel, "error")


def test_cancelling_a_batch_forgets_what_waits(panel, runner):
    for name in ("a", "b", "c"):
        addHead(name)
    panel.ui.batchSection.collapsed = False
    click(panel.ui.batchButton)
    click(panel.ui.cancelButton)
    runner.end("cancelled")
    assert not panel.running
    assert texts(panel) == ["Cancelled."]


def test_a_folder_of_files(panel, runner, tmp_path, shared_data):
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    for name in ("p1.nii.gz", "p2.nii.gz"):
        (scans / name).symlink_to(shared_data / "brain" / "images" / "1000.nii.gz")
    panel.ui.batchSection.collapsed = False
    panel.ui.batchSourceBox.currentIndex = 1
    assert panel.ui.batchButton.toolTip == "Choose the folder with the scans."
    panel.ui.batchFolderEdit.currentPath = str(scans)
    assert list(rows(panel)) == ["p1", "p2"]
    assert panel.ui.batchButton.toolTip == "Choose a folder for the results."
    panel.ui.batchOutputEdit.currentPath = str(out)
    panel.ui.batchList.topLevelItem(0).setCheckState(0, qt.Qt.Unchecked)
    click(panel.ui.batchButton)
    request = PredictRequest.from_argv(runner.arguments)
    assert request == PredictRequest("brain-134", (str(scans / "p2.nii.gz"),), out, cut="leaves")
    writeResult(panel, runner.arguments, "p2")
    runner.end("done")
    assert rows(panel) == {"p1": "", "p2": "done"}


@pytest.mark.parametrize("name", ["p1_0000", "scan 1", "scan (1)"])
def test_a_finished_file_opens_whatever_its_folder_is_called(panel, runner, moduleWidget, tmp_path, shared_data, name):
    scans = tmp_path / "scans"
    scans.mkdir()
    for file in (f"{name}.nii.gz", "a.nii.gz"):
        (scans / file).symlink_to(shared_data / "brain" / "images" / "1000.nii.gz")
    panel.ui.batchSection.collapsed = False
    panel.ui.batchSourceBox.currentIndex = 1
    panel.ui.batchFolderEdit.currentPath = str(scans)
    panel.ui.batchOutputEdit.currentPath = str(tmp_path / "out")
    click(panel.ui.batchButton)
    for folder in ("z", "b"):  # the wanted one is not the first in the alphabet
        (image,) = PredictRequest.from_argv(runner.arguments).inputs
        writeResult(panel, runner.arguments, folder, f"case of {Path(image).name}")
        runner.end("done")
    found = rows(panel)
    assert set(found.values()) == {"done"}
    row = next(n for n, label in enumerate(found) if label != "a")
    panel.ui.batchList.itemDoubleClicked.emit(panel.ui.batchList.topLevelItem(row), 0)
    assert moduleWidget.context.segmentation.GetName().startswith(f"case of {name}.nii.gz")


def test_the_keyboard_goes_through_the_panel_in_reading_order(panel, head, moduleWidget):  # noqa: ARG001
    moduleWidget.parent.activateWindow()
    panel.ui.modelBox.setFocus()
    seen = []
    while panel.widget.focusWidget().name not in seen:
        widget = panel.widget.focusWidget()
        seen.append(widget.name)
        QTest.keyClick(widget, "\t")
    wanted = ["modelBox", "modelFolderButton", "volumeSelector_T1", "applyButton"]
    assert [name for name in seen if name in wanted] == wanted
