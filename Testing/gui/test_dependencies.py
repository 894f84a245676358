"""Packages that are not shipped with Slicer: explained, asked for, installed; declining is no error."""

import re
import sys
import types

import pytest
import slicer
from gui_runs import addHead, click
from SoftSegSlicerLib.Dependencies import TORCH, DeclinedError, Dependencies, explanation

from softseg.errors import InputError


@pytest.fixture
def installed(monkeypatch):
    """A set of names that count as installed, and what pip was asked for."""
    names, asked = set(), []
    monkeypatch.setattr(slicer.packaging, "pip_check", lambda one: re.match(r"\w+", str(one)).group() in names)

    class Pip:
        output = ""

        def install(self, arguments, requester):
            asked.append(requester)
            names.update(re.match(r"\w+", one).group() for one in arguments)
            return True

    monkeypatch.setattr("SoftSegSlicerLib.Dependencies.PipRun", Pip)
    monkeypatch.setattr(slicer.app, "testingEnabled", lambda: False)
    return types.SimpleNamespace(names=names, asked=asked)


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
    dependencies.ensure()
    assert moduleWidget.context.dialogs.asked == []


def test_the_question_says_what_how_large_and_what_goes_without(installed):  # noqa: ARG001
    text = explanation([TORCH, "monai<1.7,>=1.5"])
    assert "PyTorch: 0.2 GB to download (3 GB with an NVIDIA GPU), through the extension PyTorch" in text
    assert "monai<1.7,>=1.5" in text
    assert "you can still look at results" in text


def test_torch_comes_through_its_extension_and_the_rest_through_pip(moduleWidget, installed, monkeypatch):
    extension = PyTorchUtils(installed.names)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    Dependencies(moduleWidget.context).ensure()
    assert extension.calls == [(False, TORCH.removeprefix("torch"))]
    assert installed.asked == ["SoftSeg"]
    assert len(moduleWidget.context.dialogs.asked) == 1


def test_declining_installs_nothing_and_the_viewer_works(moduleWidget, installed, monkeypatch):
    monkeypatch.setattr("SoftSegSlicerLib.Panels.Segment.LicenceQuestion.LicenceQuestion.agreed", lambda *_: True)
    addHead()
    moduleWidget.context.dialogs.answer = False
    with pytest.raises(DeclinedError):
        Dependencies(moduleWidget.context).ensure()
    panel = moduleWidget.panel("Segment")
    click(panel.ui.applyButton)
    assert panel.messages.messages == (("warning", "No packages were installed, so nothing was segmented."),)
    assert installed.asked == []
    for name in ("Look", "Tree"):
        assert moduleWidget.showPanel(name).widget.enabled


def test_without_the_extension_pytorch_it_says_what_to_install(moduleWidget, installed, monkeypatch):  # noqa: ARG001
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(InputError, match="install PyTorch in the Extensions Manager"):
        Dependencies(moduleWidget.context).ensure()


def test_an_installation_that_fails_is_said(moduleWidget, installed, monkeypatch):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", PyTorchUtils(installed.names, works=False))
    with pytest.raises(InputError, match="PyTorch could not be installed"):
        Dependencies(moduleWidget.context).ensure()
    installed.names.add("torch")
    monkeypatch.setattr(slicer.app, "testingEnabled", lambda: True)  # then nothing is installed
    with pytest.raises(InputError, match="these packages are still missing: monai"):
        Dependencies(moduleWidget.context).ensure()
