"""One button fine-tunes the model of the Segment panel from what was corrected in the scene."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import gui_results
import numpy as np
import pytest
import slicer
from gui_actions import click, settle
from gui_training import choose, message
from SoftSegSlicerLib.Scene.Grids import setArray
from vtk.util import numpy_support

MAKE_MODEL = """
import sys
import torch
from softseg.data import Plan
from softseg.network import Head, ModelFolder, build_network
from softseg.tree import LabelTree
folder, tree = sys.argv[1], LabelTree.load(sys.argv[2])
plan = Plan(
    channels=("T1",),
    spacing=(2.0, 1.0, 1.0),
    patch_size=(8, 8, 8),
    batch_size=1,
    normalization={"T1": {"kind": "z-score"}},
    network={"name": "DynUNet", "options": {"filters": [2, 2, 2]}},
    precision="float32",
)
head = Head("softmax", len(tree.leaves), 0)
torch.manual_seed(0)
network = build_network(plan.network, plan.inputs, head.out_channels, plan.dimensions)
recipe = "name: own\\nexplanation: small\\nhead: softmax\\nlosses: [{name: tree-cross-entropy}]\\nsteps: 10\\n"
ModelFolder.save(folder, network, plan, tree, recipe, {"name": "own"}, head=head)
"""


@pytest.fixture
def model(tmp_path):
    """An untrained network for the small tree, made elsewhere: PyTorch stays out of the host."""
    tree = gui_results.tree().save(tmp_path / "tree.json")
    command = [sys.executable, "-c", MAKE_MODEL, str(tmp_path / "own"), str(tree)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(place for place in sys.path if place)}
    subprocess.run(command, check=True, env=environment)
    return tmp_path / "own"


@pytest.fixture
def panel(moduleWidget, model, tmp_path, monkeypatch):
    launcher = importlib.import_module("SoftSegSlicerLib.Training.Launcher").Launcher
    started = []

    def make():
        started.append(launcher([sys.executable, "-m", "softseg"]))
        return started[-1]

    train = importlib.import_module("SoftSegSlicerLib.Panels.Train.TrainPanel").TrainPanel
    monkeypatch.setattr(train, "makeLauncher", staticmethod(make))
    panel = moduleWidget.showPanel("Train")
    panel.ui.folderEdit.currentPath = str(tmp_path / "trainings")
    panel._context.parameterNode.model = str(model)
    choose(panel.ui.deviceSelector, "cpu")
    panel.ui.settingsEdit.text = "steps=5"
    moduleWidget.parent.show()
    settle()
    yield panel
    for one in started:
        for process in one._children.values():
            process.kill()
            process.wait()


VOXELS = np.zeros(gui_results.GEOMETRY.shape, bool)
VOXELS[2:5, 3:7, 4:8] = True


def addResult(logic):
    """Add a scan and its result, in which a box is said to be white matter."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Ada T1")
    array = np.random.default_rng(0).normal(100, 10, gui_results.GEOMETRY.shape).astype(np.float32)
    setArray(node, array, gui_results.GEOMETRY, numpy_support.get_vtk_array_type(array.dtype))
    return logic.results.add(gui_results.parcellation().corrected("white", VOXELS), node, "Ada")


def test_a_click_teaches_the_model_what_was_corrected_and_offers_the_new_one(panel, moduleWidget, model, waitUntil):
    heard = []
    moduleWidget.context.addObserver("modelsChanged", lambda **data: heard.append(data))
    corrections, logic = panel.corrections, panel._context.logic
    panel.refresh()
    assert not corrections.button.enabled
    assert "Correct a result first" in corrections.button.toolTip
    addResult(logic)
    panel.refresh()
    settle()
    assert "corrections: 1, corrected results: 1." in corrections.label.text
    before = (model / "models" / "model.pt").read_bytes()
    click(corrections.button)
    assert not corrections.button.enabled
    waitUntil(lambda: panel.monitor.state in ("finished", "failed"), 400)
    assert panel.monitor.state == "finished", message(panel)
    assert (model / "models" / "model.pt").read_bytes() == before
    text = corrections.outcome.text
    assert "Corrected voxels predicted as corrected" in text
    assert "(1 person)" in text
    assert "No scan was held out" in text
    run = panel.monitor.run
    assert heard[-1]["path"] == run.model
    assert run.model != str(model)
    assert Path(run.model, "models", "model.pt").read_bytes() != before
    click(panel.ui.useButton)
    assert panel._context.parameterNode.model == run.model


def test_a_result_without_its_scan_is_refused_in_words(panel, waitUntil):
    logic = panel._context.logic
    logic.results.add(gui_results.parcellation().corrected("white", VOXELS), None, "alone")
    panel.refresh()
    settle()
    click(panel.corrections.button)
    waitUntil(lambda: message(panel) != "")
    assert "The scan of 'alone' is not in the scene" in message(panel)
    assert panel.corrections.button.enabled
