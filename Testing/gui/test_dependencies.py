"""Packages that are not shipped with Slicer: explained, asked for, installed; declining is no error."""

import re
import sys
import types
from dataclasses import replace

import pytest
import slicer
from gui_runs import addHead, click
from SoftSegSlicerLib.Dependencies import REQUIREMENTS, TORCH, TRAINING, DeclinedError, Dependencies, explanation
from SoftSegSlicerLib.Installation.Sizes import DOWNLOAD

from softseg.errors import InputError
from softseg.prediction.model_summary import ModelSummary


@pytest.fixture
def installed(monkeypatch):
    """A set of names that count as installed, and what pip was asked for."""
    names, asked, wanted = set(), [], []
    monkeypatch.setattr(slicer.packaging, "pip_check", lambda one: re.match(r"\w+", str(one)).group() in names)

    class Pip:
        output = ""

        def install(self, arguments, requester):
            asked.append(requester)
            wanted.extend(arguments)
            names.update(re.match(r"\w+", one).group() for one in arguments)
            return True

    monkeypatch.setattr("SoftSegSlicerLib.Dependencies.PipRun", Pip)
    monkeypatch.setattr(slicer.app, "testingEnabled", lambda: False)
    return types.SimpleNamespace(names=names, asked=asked, wanted=wanted)


class PyTorchUtils:
    """Stands for the extension PyTorch, whose logic installs torch, or cannot."""

    def __init__(self, names, works=True):
        self.calls = []

        class Logic:
            def installTorch(logic, askConfirmation, torchVersionRequirement):
                self.calls.append((askConfirmation, torchVersionRequirement))
                if works:
                    names.add("torch")
                return "torch" if works else None

        self.PyTorchUtilsLogic = Logic


def test_nothing_is_asked_when_everything_is_there(moduleWidget):
    dependencies = Dependencies(moduleWidget.context)
    assert dependencies.missing() == []
    assert dependencies.missing(training=True) == []
    dependencies.ensure()
    dependencies.ensure(training=True)
    assert moduleWidget.context.dialogs.asked == []


def test_the_question_says_what_how_large_and_what_goes_without(installed):  # noqa: ARG001
    text = explanation([TORCH, "monai<1.7,>=1.5"], training=True)
    assert text.startswith("For this, SoftSeg needs PyTorch")
    assert "PyTorch: 0.2 GB to download (3 GB with an NVIDIA GPU), through the extension PyTorch" in text
    assert "at most 2 MB to download: monai<1.7,>=1.5" in text
    assert "you can still look at results" in text


def test_prediction_asks_for_what_it_needs_and_nothing_else(moduleWidget, installed):
    Dependencies(moduleWidget.context).ensure()
    names = {re.match(r"\w+", one).group() for one in installed.wanted}
    assert names == {"onnxruntime", "pydantic", "typer", "rich", "PyYAML", "psutil"}
    (question,) = moduleWidget.context.dialogs.asked
    assert question.startswith("To segment, SoftSeg needs Python packages")
    assert "torch" not in question.lower()
    size = int(re.search(r"at most (\d+) MB to download", question).group(1))
    assert 20 <= size <= 60  # what ONNX Runtime alone takes, and the bound


def test_every_package_that_is_installed_has_its_size():
    for file in (REQUIREMENTS, TRAINING):
        names = {one.name.lower() for one in slicer.packaging.load_requirements(str(file))}
        assert names <= set(DOWNLOAD)


def test_training_asks_for_the_rest(moduleWidget, installed, monkeypatch):
    dependencies = Dependencies(moduleWidget.context)
    dependencies.ensure()
    monkeypatch.setitem(sys.modules, "PyTorchUtils", PyTorchUtils(installed.names))
    installed.wanted.clear()
    dependencies.ensure(training=True)
    assert "torch" in installed.names
    names = {re.match(r"\w+", one).group() for one in installed.wanted}
    assert {"monai", "onnx"} <= names
    assert not names & {"onnxruntime", "torch"}


@pytest.mark.parametrize(
    ("asked", "torch"),
    [
        ({}, False),
        ({"device": "cpu"}, False),
        ({"device": "cuda:0"}, True),
        ({"uncertainty": "tta"}, False),
        ({"uncertainty": "dropout"}, True),
    ],
)
def test_apply_asks_for_pytorch_only_where_nothing_else_predicts_it(moduleWidget, asked, torch):
    addHead()
    panel = moduleWidget.panel("Segment")
    for name, value in asked.items():
        setattr(moduleWidget.context.parameterNode, name, value)
    summary = ModelSummary.load("cord-gm-soft")
    panel.doubt.restore()
    device = moduleWidget.context.parameterNode.device
    assert panel.doubt.needsTorch(summary, device) is torch
    assert panel.doubt.needsTorch(replace(summary, without_torch=False), device)


@pytest.mark.parametrize(("score", "torch"), [("disagreement", False), ("entropy", True)])
def test_outlier_scores_ask_for_pytorch_only_where_it_computes_them(moduleWidget, score, torch):
    addHead()
    panel = moduleWidget.panel("Segment")
    summary = replace(ModelSummary.load("cord-gm-soft"), outlier_score=score)
    panel.doubt.restore()
    panel.doubt.allow(summary)
    assert panel.doubt.needsTorch(summary, "cpu") is False
    panel.ui.outliersCheck.checked = True
    assert panel.doubt.needsTorch(summary, "cpu") is torch


def test_torch_comes_through_its_extension_and_the_rest_through_pip(moduleWidget, installed, monkeypatch):
    extension = PyTorchUtils(installed.names)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    Dependencies(moduleWidget.context).ensure(training=True)
    assert extension.calls == [(False, TORCH.removeprefix("torch"))]
    assert installed.asked == ["SoftSeg"]
    assert len(moduleWidget.context.dialogs.asked) == 1


def test_declining_installs_nothing_and_the_viewer_works(moduleWidget, installed, monkeypatch):
    monkeypatch.setattr("SoftSegSlicerLib.Panels.Segment.LicenceQuestion.LicenceQuestion.agreed", lambda *_: True)
    addHead()
    moduleWidget.context.dialogs.answer = False
    for training in (False, True):
        with pytest.raises(DeclinedError):
            Dependencies(moduleWidget.context).ensure(training)
    panel = moduleWidget.panel("Segment")
    click(panel.ui.applyButton)
    assert panel.messages.messages == (("warning", "No packages were installed, so nothing was segmented."),)
    assert installed.asked == []
    for name in ("Look", "Tree"):
        assert moduleWidget.showPanel(name).widget.enabled


def test_without_the_extension_pytorch_it_says_what_to_install(moduleWidget, installed, monkeypatch):  # noqa: ARG001
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(InputError, match="install PyTorch in the Extensions Manager"):
        Dependencies(moduleWidget.context).ensure(training=True)


def test_an_installation_that_fails_is_said(moduleWidget, installed, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", PyTorchUtils(installed.names, works=False))
    with pytest.raises(InputError, match="PyTorch could not be installed"):
        Dependencies(moduleWidget.context).ensure(training=True)
    installed.names.add("torch")
    monkeypatch.setattr(slicer.app, "testingEnabled", lambda: True)  # then nothing is installed
    with pytest.raises(InputError, match=r"these packages are still missing: onnxruntime.*monai"):
        Dependencies(moduleWidget.context).ensure(training=True)
