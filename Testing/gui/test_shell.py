"""The shell: the module opens fast and light, tells its panels about the scene, copies diagnostics."""

import importlib
import json
import subprocess
import sys
import unittest
from pathlib import Path

import slicer
from gui_runs import click
from PySide6.QtGui import QGuiApplication

REPOSITORY = Path(__file__).resolve().parents[2]

OPENING = """
import sys
sys.path[:0] = {path!r}
import slicerhost
slicerhost.install()
import slicer
from slicerhost import properties, scene
slicer.modules.softsegslicer = scene.Module("SoftSegSlicer", path={module!r})
import SoftSegSlicer
widget = SoftSegSlicer.SoftSegSlicerWidget()
slicer.app.processEvents()
heavy = [n for n in ("torch", "monai", "pydantic", "typer", "psutil", "matplotlib", "yaml") if n in sys.modules]
import json
print(json.dumps(heavy))
widget.cleanup()
sys.stdout.flush()
import os
os._exit(0)
"""


def test_it_opens_without_torch():
    path = [str(REPOSITORY / "Testing" / "host"), str(REPOSITORY / "SoftSegSlicer"), str(REPOSITORY / "core")]
    code = OPENING.format(path=path, module=str(REPOSITORY / "SoftSegSlicer" / "SoftSegSlicer.py"))
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert json.loads(answer.stdout.splitlines()[-1]) == []


def test_only_the_panel_that_is_looked_at_is_made(moduleWidget):
    assert list(moduleWidget.panels) == ["Segment"]
    moduleWidget.showPanel("Look")
    assert list(moduleWidget.panels) == ["Segment", "Look"]
    assert moduleWidget.ui.tabs.currentIndex == 1


def test_the_module_names_itself(moduleWidget):  # noqa: ARG001 - the module must be loaded
    parent = type("Module", (), {"path": slicer.modules.softsegslicer.path})()
    module = importlib.import_module("SoftSegSlicer").SoftSegSlicer(parent)
    assert parent.title == "SoftSeg"
    assert parent.categories == ["Segmentation"]
    assert not parent.icon.isNull()
    assert "Not a medical device" in parent.acknowledgementText
    assert module.resourcePath("UI/SoftSegSlicer.ui").endswith("Resources/UI/SoftSegSlicer.ui")


def test_the_modules_own_tests_pass_here(moduleWidget):  # noqa: ARG001 - the tests look for the module's widget
    case = importlib.import_module("SoftSegSlicer").SoftSegSlicerTest
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.testsRun >= 2
    assert [text for _test, text in result.errors + result.failures] == []


def test_a_deleted_segmentation_is_told_to_the_panels(moduleWidget, cleanScene):
    node = cleanScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "result")
    seen = []
    moduleWidget.context.addObserver("segmentationChanged", lambda **_: seen.append(moduleWidget.context.segmentation))
    moduleWidget.context.segmentation = node
    cleanScene.RemoveNode(node)
    assert seen == [node, None]


def test_choices_belong_to_the_scene(moduleWidget, cleanScene):
    panel = moduleWidget.panel("Segment")
    panel.ui.cutBox.currentIndex = panel.ui.cutBox.findData("3")
    assert moduleWidget.context.parameterNode.cut == "3"
    cleanScene.Clear(False)
    assert moduleWidget.context.parameterNode.cut == "leaves"
    assert panel.ui.cutBox.currentIndex == 0


class Answer:
    """Stands for the process of softseg doctor."""

    def __init__(self, code, output, errors):
        self.content = code, output, errors
        self.killed = False

    def start(self, arguments, onFinished):
        assert arguments == ["doctor"]
        self.finish = lambda: onFinished(*self.content)

    def kill(self):
        self.killed = True


def test_diagnostics_go_to_the_clipboard(moduleWidget):
    answer = Answer(0, "softseg 0.1.0, Python 3.12\nmemory 8 GB", "")
    moduleWidget.diagnostics.makeProcess = lambda: answer
    click(moduleWidget.ui.copyDiagnosticsButton)
    assert not moduleWidget.ui.copyDiagnosticsButton.enabled
    answer.finish()
    text = QGuiApplication.clipboard().text()
    assert text.startswith("3D Slicer 5.13")
    assert "memory 8 GB" in text
    assert moduleWidget.ui.copyDiagnosticsButton.enabled
    assert moduleWidget.ui.diagnosticsLabel.text.startswith("Copied")


def test_diagnostics_of_an_engine_that_does_not_run_say_why(moduleWidget):
    answer = Answer(1, "", "No module named 'typer'")
    moduleWidget.diagnostics.makeProcess = lambda: answer
    click(moduleWidget.ui.copyDiagnosticsButton)
    answer.finish()
    text = QGuiApplication.clipboard().text()
    assert "printed nothing (exit code 1)" in text
    assert "No module named 'typer'" in text


def test_leaving_the_module_ends_what_runs(moduleWidget):
    answer = Answer(0, "", "")
    moduleWidget.diagnostics.makeProcess = lambda: answer
    click(moduleWidget.ui.copyDiagnosticsButton)
    moduleWidget.diagnostics.cleanup()
    assert answer.killed


def test_slicer_finds_the_reader_and_the_writer_by_their_names():
    module = importlib.import_module("SoftSegSlicer")
    assert module.SoftSegSlicerFileReader(None).fileType() == "SoftParcellation"
    assert module.SoftSegSlicerFileWriter(None).fileType() == "SoftParcellation"
