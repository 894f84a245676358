"""The Segment panel with a model of cubes: files instead of volumes, a picture in false colours behind the result."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from gui_runs import Dependencies, Runner, click, sayWritten
from SoftSegSlicerLib.SelfTest import headlessResult
from vtk.util import numpy_support

from softseg.requests import PredictRequest

MODELS = Path(__file__).resolve().parents[2] / "Resources" / "Models"


@pytest.fixture
def runner(moduleWidget):
    runner = Runner()
    moduleWidget.context.makeRunner = lambda: runner
    return runner


@pytest.fixture
def panel(moduleWidget, runner, tmp_path):  # noqa: ARG001 - must be in place first
    """The panel with a copy of a shipped model that says it takes cubes."""
    folder = tmp_path / "cubes" / "model"
    shutil.copytree(MODELS / "brain-134" / "members" / "coronal", folder, ignore=shutil.ignore_patterns("training"))
    file = folder / "configs" / "metadata.json"
    metadata = json.loads(file.read_text())
    metadata["softseg"]["plan"] |= {"channels": ["cube"], "bands": {"cube": {}}}
    file.write_text(json.dumps(metadata))
    panel = moduleWidget.panel("Segment")
    panel.dependencies = Dependencies()
    assert panel.models.choose(str(folder))
    return panel


@pytest.fixture
def cube(tmp_path):
    path = tmp_path / "field.npz"
    np.savez(path, cube=np.zeros((2, 2, 5), np.float32))
    return path


def writeResult(panel, arguments):
    logic = panel._context.logic
    volume, node = headlessResult(logic)
    parcellation = logic.results.parcellationOf(node)
    folder = Path(PredictRequest.from_argv(arguments).out) / "field"
    folder.mkdir(parents=True)
    parcellation.save(folder / "soft.soft.npz")
    sayWritten(arguments, folder)
    slicer.mrmlScene.RemoveNode(node)
    slicer.mrmlScene.RemoveNode(volume)
    return parcellation


def writePicture(path, geometry):
    colors = np.random.default_rng(0).integers(0, 256, (*geometry.shape, 3)).astype(np.uint8)
    image = sitk.GetImageFromArray(colors, isVector=True)
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    sitk.WriteImage(image, str(path))
    return colors


def colorsOf(node):
    size = node.GetImageData().GetDimensions()
    return numpy_support.vtk_to_numpy(node.GetImageData().GetPointData().GetScalars()).reshape(*size[::-1], 3)


def background():
    composite = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    return slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "")


def test_a_file_is_asked_for_and_named_where_it_is_missing(panel, cube):
    assert panel.ui.statusLabel.text == "Choose a file for cube."
    edit = panel.inputs.selector("cube")
    edit.currentPath = str(cube.with_name("other.npz"))
    assert "File not found" in panel.ui.statusLabel.text
    edit.currentPath = f"{cube}:cube"
    assert panel.ui.applyButton.enabled
    panel.ui.modelBox.currentIndex = 0
    assert panel.inputs.channels == ("T1",)
    assert panel.ui.statusLabel.text == "Choose a volume for T1."


def test_the_result_lies_on_a_picture_in_false_colours(panel, runner, cube, moduleWidget):
    panel.inputs.selector("cube").currentPath = str(cube)
    click(panel.ui.applyButton)
    assert runner.arguments[0] == "predict"
    assert runner.arguments[2] == str(cube)
    parcellation = writeResult(panel, runner.arguments)
    runner.end("done")
    assert runner.arguments[:3] == ["data", "false-colour", str(cube)]
    colors = writePicture(runner.arguments[4], parcellation.geometry)
    assert panel.running
    runner.end("done")
    assert not panel.running
    node = moduleWidget.context.segmentation
    assert node.GetName() == "field segmentation"
    assert node.GetNodeReference("softseg.input") is background()
    assert background().IsA("vtkMRMLVectorVolumeNode")
    assert np.array_equal(colorsOf(background()), colors)
    ras = np.zeros(6)
    background().GetRASBounds(ras)
    assert ras[1] - ras[0] == pytest.approx(parcellation.geometry.shape[2] * parcellation.geometry.spacing[0])


def test_a_picture_that_cannot_be_made_costs_nothing_but_itself(panel, runner, cube, moduleWidget):
    panel.inputs.selector("cube").currentPath = str(cube)
    click(panel.ui.applyButton)
    writeResult(panel, runner.arguments)
    runner.end("done")
    runner.end("failed", "no wavelengths", "give the bands", 2)
    assert moduleWidget.context.segmentation.GetName() == "field segmentation"
    assert ("warning", "no wavelengths give the bands.") in panel.messages.messages


def test_cancelling_during_the_picture_leaves_nothing(panel, runner, cube, moduleWidget):
    panel.inputs.selector("cube").currentPath = str(cube)
    click(panel.ui.applyButton)
    writeResult(panel, runner.arguments)
    runner.end("done")
    click(panel.ui.cancelButton)
    runner.end("cancelled")
    assert moduleWidget.context.segmentation is None
    assert panel.messages.messages == (("warning", "Cancelled."),)


def test_a_folder_of_cubes_keeps_its_pictures_beside_the_results(panel, runner, cube, tmp_path, moduleWidget):
    panel.ui.batchSection.collapsed = False
    assert "cubes of many bands: use a folder" in panel.ui.batchButton.toolTip
    folder = tmp_path / "scans"
    folder.mkdir()
    shutil.copy(cube, folder / "field.npz")
    panel.ui.batchSourceBox.currentIndex = 1
    panel.ui.batchFolderEdit.currentPath = str(folder)
    panel.ui.batchOutputEdit.currentPath = str(tmp_path / "out")
    click(panel.ui.batchButton)
    parcellation = writeResult(panel, runner.arguments)
    runner.end("done")
    assert runner.arguments[4] == str(tmp_path / "out" / "field" / "false-colour.nrrd")
    colors = writePicture(runner.arguments[4], parcellation.geometry)
    runner.end("done")
    panel.ui.batchList.itemDoubleClicked.emit(panel.ui.batchList.topLevelItem(0), 0)
    assert np.array_equal(colorsOf(background()), colors)
    assert moduleWidget.context.segmentation.GetNodeReference("softseg.input") is background()
