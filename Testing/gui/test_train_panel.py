"""The Train panel on real widgets, with real trainings of a few seconds in processes of their own."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
from gui_actions import click, settle, write
from gui_training import STAND_IN, addCase, addPerson, addSegmentation, choose, message, prepared, table


@pytest.fixture
def panel(moduleWidget, tmp_path, monkeypatch):
    launcher = importlib.import_module("SoftSegSlicerLib.Training.Launcher").Launcher
    started = []

    def make():
        started.append(launcher([sys.executable, "-m", "softseg"]))
        return started[-1]

    monkeypatch.setattr(
        importlib.import_module("SoftSegSlicerLib.Panels.Train.TrainPanel").TrainPanel,
        "makeLauncher",
        staticmethod(make),
    )
    panel = moduleWidget.showPanel("Train")
    panel.ui.folderEdit.currentPath = str(tmp_path / "trainings")
    moduleWidget.parent.show()
    settle()
    yield panel
    for one in started:
        for process in one._children.values():
            process.kill()
            process.wait()


@pytest.fixture
def quick(panel):
    """The panel with a stand-in for the engine's process."""
    panel._launcher._command = [sys.executable, "-c", STAND_IN]
    return panel


def test_cases_are_added_named_and_removed(panel):
    assert not panel.ui.addCaseButton.enabled
    assert not panel.ui.startButton.enabled
    assert "Add a scan" in panel.ui.startButton.toolTip
    for number in range(3):
        addCase(panel, *addPerson(f"P{number}", number))
    assert table(panel) == [[f"P{n} T1", f"P{n} drawn", f"P{n} T1"] for n in range(3)]
    assert [case.split for case in panel.cases.cases()] == ["train", "train", "val"]
    assert panel.ui.startButton.enabled
    item = panel.ui.caseTable.topLevelItem(1)
    item.setText(2, "Ada")
    item.setText(0, "typed over")
    assert panel.cases.cases()[1].person == "Ada"
    assert table(panel)[1] == ["P1 T1", "P1 drawn", "Ada"]
    box = panel.ui.caseTable.itemWidget(panel.ui.caseTable.topLevelItem(2), 3)
    box.currentIndex = 0
    assert panel.cases.cases()[2].split == "train"
    panel.ui.caseTable.topLevelItem(0).setSelected(True)
    settle()
    click(panel.ui.removeCaseButton)
    assert [row[0] for row in table(panel)] == ["P1 T1", "P2 T1"]


def test_a_deleted_volume_leaves_the_table_and_closing_the_scene_empties_it(panel):
    nodes = [addPerson(f"P{number}", number) for number in range(2)]
    for volume, labels in nodes:
        addCase(panel, volume, labels)
    slicer.mrmlScene.RemoveNode(nodes[0][0])
    panel.refresh()
    assert [row[0] for row in table(panel)] == ["P1 T1"]
    slicer.mrmlScene.Clear(False)
    settle()
    assert table(panel) == []
    assert not panel.ui.startButton.enabled


def test_the_recipe_is_explained_in_plain_language(panel):
    assert panel.ui.recipeSelector.currentText == "tree-wasserstein-dice"
    assert "distant branches cost more" in panel.ui.recipeLabel.text
    panel.ui.recipeSelector.currentIndex = panel.ui.recipeSelector.findText("ce-dice")
    assert panel.ui.recipeLabel.text.startswith("Standard training")


def test_a_few_strokes_are_learned_from_after_a_click_stopped_resumed_to_the_end_and_used(
    panel, moduleWidget, waitUntil, screenshot, tmp_path
):
    heard = []
    moduleWidget.context.addObserver("modelsChanged", lambda **data: heard.append(data))
    prepared(panel, steps=60, scribbles=True)
    settings, folder = panel.ui.settingsEdit.text, panel.ui.folderEdit.currentPath
    panel.ui.settingsEdit.text, panel.ui.folderEdit.currentPath = "", "SoftSeg trainings"
    assert len(screenshot(moduleWidget.parent, "train-choices")) == 2
    panel.ui.settingsEdit.text, panel.ui.folderEdit.currentPath = settings, folder
    click(panel.ui.startButton)
    assert not panel.ui.startButton.enabled
    turns = 0

    def learning():
        nonlocal turns
        turns += 1
        return panel.monitor.curves is not None and panel.monitor.curves.lastStep >= 1

    waitUntil(learning, 400)
    assert turns > 10  # the window answers while the process starts: a call that waits for it would leave one
    run = panel.monitor.run
    content = json.loads((tmp_path / "trainings" / Path(run.folder).name / "dataset" / "DATA.json").read_text())
    assert all("mask" in case for case in content["cases"])  # the unpainted takes no part
    click(panel.ui.stopButton)
    waitUntil(lambda: panel.monitor.state != "running")
    if panel.monitor.state == "stopped":  # on a fast machine it may have finished first
        assert "Stopped at step" in panel.ui.statusLabel.text
        assert panel.ui.stopButton.text == "Resume"
        click(panel.ui.stopButton)
        waitUntil(lambda: panel.monitor.state == "finished", 400)
    assert panel.monitor.state == "finished", message(panel)
    assert panel.ui.statusLabel.text.startswith("Finished after 60 steps.")
    assert [step for step, _ in panel.monitor.curves.losses] == list(range(1, 61))
    assert "Dice" in panel.ui.metricLabel.text
    assert not panel.ui.pictureLabel.pixmap.isNull()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 2
    click(panel.ui.plotButton)
    panel.ui.sourceSection.collapsed = panel.ui.choicesSection.collapsed = True
    for path in screenshot(moduleWidget.parent, "train-finished"):
        assert path.stat().st_size > 10_000
    click(panel.ui.useButton)
    assert moduleWidget.ui.tabs.currentIndex == 0  # Segment, with the model chosen
    assert heard[-1] == {"path": run.model, "select": True}
    assert Path(run.model, "models", "model.pt").is_file()
    moduleWidget.showPanel("Train")
    assert panel.ui.startButton.enabled


def test_declining_to_install_says_so_and_starts_nothing(panel):
    from SoftSegSlicerLib.Dependencies import DeclinedError

    class Declined:
        def ensure(self, training=False):
            assert training
            raise DeclinedError

    panel.dependencies = Declined()
    prepared(panel)
    click(panel.ui.startButton)
    assert message(panel) == "No packages were installed, so no training was started."
    assert panel.monitor.run is None


def test_writing_the_scans_can_be_stopped(panel, tmp_path, monkeypatch):
    monkeypatch.setattr("SoftSegSlicerLib.Panels.Widgets.Stepwise.PIECE_SECONDS", 0.0)
    monkeypatch.setattr("SoftSegSlicerLib.Exchange.LabelReader.SLAB_VOXELS", 1000)
    prepared(panel)
    panel._onStart()
    slicer.app.processEvents()
    assert panel.ui.statusLabel.text == "Writing the scans…"
    click(panel.ui.stopButton)
    assert panel.monitor.run is None
    assert panel.ui.startButton.enabled
    assert not list((tmp_path / "trainings").rglob("DATA.json"))


def test_a_training_is_picked_up_again_after_a_restart(quick, moduleWidget, waitUntil):
    panel = quick
    prepared(panel, steps=5000)
    click(panel.ui.startButton)
    waitUntil(lambda: panel.monitor.state == "running" and panel.monitor.curves.lastStep >= 1, 400)
    folder = panel.monitor.run.folder
    panel.cleanup()  # as Slicer closes; the process goes on
    again = type(panel)(moduleWidget.context)
    assert again.monitor.run.folder == folder
    assert again.monitor.state == "running"
    waitUntil(lambda: again.monitor.curves.lastStep >= 1)
    again._onStop()
    waitUntil(lambda: again.monitor.state == "stopped")
    again.cleanup()


class MainWindow(qt.QMainWindow):
    """A main window that asks a question of its own before it closes, as the application's does."""

    closes = True

    def closeEvent(self, event):
        event.setAccepted(self.closes)


def test_closing_slicer_asks_and_stops_only_if_told_to_and_slicer_closes(quick, moduleWidget, waitUntil):
    panel = quick
    from SoftSegSlicerLib.Panels.Train.CloseGuard import CloseGuard
    from SoftSegSlicerLib.Panels.Train.TrainResult import atClose

    window, dialogs = MainWindow(), moduleWidget.context.dialogs
    guard = CloseGuard(window, lambda: atClose(panel.monitor, moduleWidget.context.dialogs))
    window.show()
    assert window.close()
    assert dialogs.asked == []  # nothing runs, nothing is asked
    prepared(panel, steps=5000)
    click(panel.ui.startButton)
    waitUntil(lambda: panel.monitor.state == "running")
    for answer, closes in ((True, False), (True, True), (False, False)):
        dialogs.answer, window.closes = answer, closes
        window.show()
        assert window.close() == closes
        assert "A training is running" in dialogs.asked[-1]
        assert panel.monitor.run.running
        assert not panel.monitor.run.stopping
    assert len(dialogs.asked) == 3
    window.closes = True
    window.show()
    assert window.close()
    assert panel.monitor.run.stopping
    waitUntil(lambda: panel.monitor.state == "stopped")
    guard.release()


def test_closing_the_scene_leaves_the_training_and_its_curve(quick, moduleWidget, waitUntil):
    panel = quick
    prepared(panel, steps=5000)
    click(panel.ui.startButton)
    waitUntil(lambda: panel.monitor.state == "running" and panel.monitor.curves.lastStep >= 3)
    slicer.mrmlScene.Clear(False)
    settle()
    assert moduleWidget.context.dialogs.asked == []  # its scans were written to files: it needs no scene
    assert panel.monitor.state == "running"
    assert panel.monitor.curves.losses[0][0] == 1
    assert panel.ui.curveLabel.visible
    panel._onStop()
    waitUntil(lambda: panel.monitor.state == "stopped")
    steps = panel.monitor.curves.lastStep
    for _scene in range(2):
        slicer.mrmlScene.Clear(False)
        settle()
    assert panel.monitor.state == "stopped"
    assert panel.ui.statusLabel.text == f"Stopped at step {steps}. Resume continues from there."
    assert [step for step, _loss in panel.monitor.curves.losses] == list(range(1, steps + 1))
    assert panel.ui.plotButton.enabled
    click(panel.ui.plotButton)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 2


ENDED = """
import json, os, sys
out, words = sys.argv[sys.argv.index("--out") + 1], json.loads(sys.argv[1])
os.makedirs(out, exist_ok=True)
with open(os.path.join(out, "log.jsonl"), "a") as log:
    for step in range(1, 24):
        log.write(json.dumps({"event": "step", "step": step, "loss": 1 / step, "learning_rate": 0.1}) + "\\n")
    log.write(json.dumps({"event": "end", "step": 23, **words}) + "\\n")
print(json.dumps({"event": "stage", "stage": "train", "total": None}))
print(json.dumps({"event": "progress", "stage": "train", "done": 23, "total": 23, "seconds_left": 0}))
print(json.dumps({"event": "done"}))
"""


@pytest.mark.parametrize(
    ("reason", "best", "said"),
    [
        ("time", 20, "Finished after 23 steps: the time is up. The best model is from step 20."),
        ("steps", 23, "Finished after 23 steps."),
        ("early stopping", 12, "Early stopping after 23 steps: no better validation score since step 12."),
    ],
)
def test_a_training_that_ended_says_after_how_many_steps_and_why(panel, waitUntil, reason, best, said):
    words = json.dumps({"reason": reason, "best_step": best})
    panel._launcher._command = [sys.executable, "-c", ENDED, words]
    prepared(panel)
    click(panel.ui.startButton)
    waitUntil(lambda: panel.monitor.state == "finished")
    assert panel.ui.statusLabel.text == said
    slicer.mrmlScene.Clear(False)
    settle()
    assert panel.ui.statusLabel.text == said


def test_a_training_of_several_networks_names_no_wrong_number_of_steps(panel, waitUntil):
    panel._launcher._command = [sys.executable, "-c", 'print(\'{"event": "done"}\')']
    prepared(panel)
    click(panel.ui.startButton)
    waitUntil(lambda: panel.monitor.state == "finished")
    assert panel.ui.statusLabel.text == "Finished."


def test_shipped_trees_are_offered_by_how_many_labels_fit(panel):
    volume, _labels = addPerson("P0", 0)
    mask = np.zeros(slicer.util.arrayFromVolume(volume).shape, bool)
    mask[1:3, 1:3, 1:3] = True
    organs = addSegmentation("organs", {"liver": mask, "rib left 1": np.roll(mask, 3, 0)}, volume)
    addCase(panel, volume, organs)
    texts = [panel.ui.treeSelector.itemText(place) for place in range(panel.ui.treeSelector.count)]
    assert texts[1] == "totalsegmentator (2 of 2 labels fit)"
    choose(panel.ui.treeSelector, "shipped|totalsegmentator")


def test_scribbles_are_seen_and_get_the_recipe_for_them(panel):
    addCase(panel, *addPerson("P0", 0))
    assert (panel.scribbles.unpainted, panel.choices.recipe) == ("background", "tree-wasserstein-dice")
    addCase(panel, *addPerson("P1", 1, scribbles=True))  # with some background
    assert (panel.scribbles.unpainted, panel.choices.recipe) == ("unknown", "sparse")
    assert panel.scribbles.sets([]) == ["sparse=false"]  # the background that is painted counts


def test_scribbles_without_a_background_are_learned_from_alone(panel):
    volume, labels = addPerson("P0", 0, scribbles=True)
    segmentation = labels.GetSegmentation()
    segmentation.RemoveSegment(segmentation.GetSegmentIdBySegmentName("Background"))
    segmentation.RemoveSegment(segmentation.GetSegmentIdBySegmentName("rim"))
    import numpy as np

    values = slicer.util.arrayFromSegmentBinaryLabelmap(labels, segmentation.GetSegmentIdBySegmentName("core"), volume)
    thin = np.zeros_like(values)
    k = np.flatnonzero(values.any((1, 2)))[1]
    thin[k] = values[k]
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        thin, labels, segmentation.GetSegmentIdBySegmentName("core"), volume
    )
    addCase(panel, volume, labels)
    assert (panel.scribbles.unpainted, panel.choices.recipe) == ("strokes", "sparse")


def test_what_people_chose_stays_when_scribbles_are_added(panel):
    panel.ui.recipeSelector.currentIndex = panel.ui.recipeSelector.findText("tree-ce")
    addCase(panel, *addPerson("P1", 1, scribbles=True))
    assert (panel.scribbles.unpainted, panel.choices.recipe) == ("unknown", "tree-ce")
    assert "Suggested recipe: sparse." in panel.ui.unpaintedLabel.text
    choose(panel.ui.unpaintedSelector, "background")
    addCase(panel, *addPerson("P2", 2, scribbles=True))
    assert panel.scribbles.unpainted == "background"


def test_a_killed_training_is_said_and_can_be_resumed(quick, waitUntil):
    panel = quick
    prepared(panel, steps=5000)
    click(panel.ui.startButton)
    waitUntil(lambda: panel.monitor.state == "running" and panel.monitor.curves.lastStep >= 1, 400)
    panel.monitor.run.kill()
    waitUntil(lambda: panel.monitor.state == "failed")
    assert "was killed" in message(panel)
    assert panel.ui.stopButton.text == "Resume"
    assert panel.ui.stopButton.enabled
    assert panel.ui.startButton.enabled


def test_a_tree_that_does_not_fit_is_refused_before_anything_starts(panel, tmp_path):
    prepared(panel)
    choose(panel.ui.treeSelector, "shipped|multiple-sclerosis")
    click(panel.ui.startButton)
    settle()
    assert "core: no node has this name" in message(panel)
    assert panel.monitor.run is None
    assert panel.ui.startButton.enabled
    assert not list((tmp_path / "trainings").rglob("DATA.json"))


def test_strokes_without_background_say_what_to_paint(panel):
    volume, labels = addPerson("P0", 0)
    addCase(panel, volume, labels)
    choose(panel.ui.unpaintedSelector, "unknown")
    click(panel.ui.startButton)
    settle()
    assert "Background" in message(panel)
    assert panel.ui.startButton.enabled


def test_painted_strokes_take_the_recipe_for_them_and_give_the_other_one_back(panel):
    strokes, recipes = panel.ui.unpaintedSelector, panel.ui.recipeSelector
    assert not panel.ui.unpaintedLabel.visible
    choose(strokes, "strokes")
    assert recipes.currentText == "sparse"
    assert "there is no background" in panel.ui.unpaintedLabel.text
    assert panel.scribbles.sets([]) == []
    recipes.currentIndex = recipes.findText("tree-wasserstein")
    assert panel.scribbles.unpainted == "strokes"
    assert panel.scribbles.sets([]) == ["sparse=true"]
    assert panel.scribbles.sets(["sparse=true"]) == []
    choose(strokes, "background")
    assert recipes.currentText == "tree-wasserstein"
    recipes.currentIndex = recipes.findText("sparse")
    assert panel.scribbles.unpainted == "strokes"
    choose(strokes, "unknown")
    assert recipes.currentText == "sparse"
    assert panel.scribbles.sets([]) == ["sparse=false"]
    choose(strokes, "background")
    assert recipes.currentText == "tree-wasserstein-dice"


def test_what_follows_needs_a_scan_to_judge_by(panel):
    for number in range(2):
        addCase(panel, *addPerson(f"P{number}", number))
    assert not panel.ui.calibrateCheck.enabled
    assert not panel.ui.outliersCheck.enabled
    assert "Validation" in panel.ui.outliersCheck.toolTip
    addCase(panel, *addPerson("P2", 2))
    assert not panel.ui.scoreSelector.enabled
    click(panel.ui.calibrateCheck)
    click(panel.ui.outliersCheck)
    choose(panel.ui.scoreSelector, "mahalanobis")
    assert panel.after.steps() == ["calibrate", "outliers:mahalanobis"]
    choose(panel.ui.sourceSelector, "file")
    assert panel.ui.calibrateCheck.enabled


def test_strokes_alone_are_learned_from_calibrated_and_taught_to_tell_outliers(panel, waitUntil, screenshot):
    prepared(panel, steps=10)
    choose(panel.ui.unpaintedSelector, "strokes")
    click(panel.ui.calibrateCheck)
    click(panel.ui.outliersCheck)
    settings, folder = panel.ui.settingsEdit.text, panel.ui.folderEdit.currentPath
    panel.ui.settingsEdit.text, panel.ui.folderEdit.currentPath = "", "SoftSeg trainings"
    assert len(screenshot(panel.widget, "train-strokes")) == 2
    panel.ui.settingsEdit.text, panel.ui.folderEdit.currentPath = settings, folder
    click(panel.ui.startButton)
    waitUntil(lambda: panel.monitor.state == "running")
    waitUntil(lambda: panel.monitor.state != "running", 400)
    run = panel.monitor.run
    assert panel.monitor.state == "finished", message(panel)
    assert run.notes == []
    content = json.loads(Path(run.folder, "dataset", "DATA.json").read_text())
    assert not any("mask" in case for case in content["cases"])
    assert "F1" in panel.ui.metricLabel.text
    for name in ("tree.json", "calibration.json", "outliers.json"):
        assert Path(run.model, name).is_file(), name
    tree = json.loads(Path(run.model, "tree.json").read_text())
    assert "background" not in json.dumps(tree)


def test_a_program_that_cannot_start_is_said(panel, waitUntil):
    prepared(panel)
    panel._launcher._command = ["/nowhere/PythonSlicer"]
    click(panel.ui.startButton)
    waitUntil(lambda: message(panel))
    assert "could not be started" in message(panel)
    assert panel.ui.startButton.enabled


def test_a_folder_that_cannot_be_written_is_said(panel, waitUntil, tmp_path):
    prepared(panel)
    (tmp_path / "file").write_text("in the way")
    panel.ui.folderEdit.currentPath = str(tmp_path / "file")
    click(panel.ui.startButton)
    waitUntil(lambda: message(panel))
    assert "cannot be written" in message(panel)
    assert panel.ui.startButton.enabled


def test_a_full_disk_is_said(panel, waitUntil, monkeypatch):
    prepared(panel)
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr("SoftSegSlicerLib.Training.CaseChecks.shutil.disk_usage", lambda _: usage)
    click(panel.ui.startButton)
    waitUntil(lambda: message(panel))
    assert "0 MB are free" in message(panel)
    assert panel.ui.startButton.enabled


def test_a_malformed_dataset_file_is_said_with_its_field(panel, waitUntil, tmp_path):
    choose(panel.ui.sourceSelector, "file")
    assert not panel.ui.startButton.enabled
    (tmp_path / "DATA.json").write_text('{"name": "x", "channels": ["T1"], "tree": "t", "cases": [{"id": 3}]}')
    panel.ui.datasetEdit.currentPath = str(tmp_path / "DATA.json")
    settle()
    click(panel.ui.startButton)
    waitUntil(lambda: panel.monitor.state == "failed")
    assert "DATA.json: cases[0]" in message(panel)
    assert panel.ui.startButton.enabled


def test_settings_that_are_none_are_refused(panel):
    prepared(panel)
    write(panel.ui.settingsEdit, "faster")
    click(panel.ui.startButton)
    assert "Expected key=value" in message(panel)


def test_a_folder_that_is_no_training_is_refused(panel, moduleWidget, tmp_path):
    moduleWidget.context.dialogs.path = str(tmp_path)
    addCase(panel, *addPerson("P0", 0))
    panel.ui.progressFrame.visible = True
    click(panel.ui.openRunButton)
    assert "not the folder of a training" in message(panel)
