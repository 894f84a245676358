"""The real module in the stand-in host: a clean scene, clean settings, pictures of it."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = REPOSITORY / "SoftSegSlicer"

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path[:0] = [str(REPOSITORY / "Testing" / name) for name in ("host", "gui")] + [
    str(MODULE),
    str(REPOSITORY / "core"),
]

try:
    import PySide6.QtWidgets  # noqa: F401 - only to see whether it loads
except ImportError as error:
    raise ImportError(
        f"Qt does not load ({error}); on Debian: apt install libegl1 libgl1 libxkbcommon0 libfontconfig1 libdbus-1-3"
    ) from error

import slicerhost  # noqa: E402 - its folder had to be named first

slicerhost.install()

import qt  # noqa: E402 - exists since install()
import slicer  # noqa: E402
from slicerhost import properties, scene  # noqa: E402

properties.use_attributes(__name__)


class Dialogs:
    """Stands for the person at the dialogs: answers are set before, questions are kept."""

    def __init__(self):
        self.answer = True
        self.path = ""
        self.paths = []
        self.asked = []
        self.chosen = {}
        self.choice = 0
        self.matchings = []
        self.terminology = None
        self.problems = []

    def confirm(self, text, title=None):  # noqa: ARG002 - the panels' protocol
        self.asked.append(text)
        return self.answer

    def message(self, text, title=None):  # noqa: ARG002
        self.asked.append(text)

    def problem(self, text, details, title=None):  # noqa: ARG002
        self.problems.append((text, details))

    def askChoice(self, text, choices, title=None):  # noqa: ARG002
        self.asked.append((text, list(choices)))
        return self.choice(choices) if callable(self.choice) else self.choice

    def askMatches(self, matching, title, allowAdd=True):  # noqa: ARG002
        self.matchings.append(matching)
        return self.chosen

    def askTerminology(self, terminology, title):
        self.asked.append((terminology, title))
        return self.terminology

    def askOpenFile(self, title, filters=""):  # noqa: ARG002
        return self.path

    def askOpenFiles(self, title, filters=""):  # noqa: ARG002
        return self.paths

    def askSaveFile(self, title, fileName="", filters=""):  # noqa: ARG002
        return self.path

    def askFolder(self, title, folder=""):  # noqa: ARG002
        return self.path


@pytest.fixture
def cleanScene():
    """An empty scene and empty settings."""
    host = scene.install()
    host.clear()
    slicer.app.settings().clear()
    yield slicer.mrmlScene
    host.clear()


@pytest.fixture
def moduleWidget(cleanScene):  # noqa: ARG001 - wanted for its effect
    """The module's widget, as the application makes it; dialogs answer yes and are kept in ``context.dialogs``."""
    module = importlib.import_module("SoftSegSlicer")
    slicer.modules.softsegslicer = scene.Module("SoftSegSlicer", path=str(MODULE / "SoftSegSlicer.py"))
    widget = module.SoftSegSlicerWidget()
    slicer.modules.softsegslicer.pythonWidget = slicer.modules.SoftSegSlicerWidget = widget
    widget.context.dialogs = Dialogs()
    widget.parent.resize(400, 820)
    slicer.app.processEvents()
    yield widget
    del slicer.modules.SoftSegSlicerWidget
    widget.cleanup()
    widget.parent.close()
    widget.parent.deleteLater()
    slicer.app.processEvents()


@pytest.fixture
def screenshot(tmp_path):
    """``screenshot(widget, name)``: pictures in light and dark, 400 pixels wide; returns their paths.

    They are written to the folder that SOFTSEG_SCREENSHOTS names, to be looked at, else to a folder of this test. The
    pictures that README shows are from the application.
    """
    folder = Path(os.environ.get("SOFTSEG_SCREENSHOTS") or tmp_path)

    def take(widget, name, palettes=("light", "dark"), height=None):
        folder.mkdir(parents=True, exist_ok=True)
        window = widget.window()
        paths = []
        for palette in palettes:
            slicer.app.setPalette(palette)
            window.resize(400, height or max(820, window.minimumSizeHint.height()))
            for _round in range(3):
                slicer.app.processEvents()
            path = folder / f"{name}-{palette}.png"
            assert widget.grab().save(str(path))
            paths.append(path)
        slicer.app.setPalette("light")
        return paths

    return take


@pytest.fixture
def waitUntil():
    """``waitUntil(condition, seconds=300)``: handle events until it is true; fails when it does not become true."""

    def wait(condition, seconds=300.0):
        timer = qt.QElapsedTimer()
        timer.start()
        while not condition():
            assert timer.elapsed() < 1000 * seconds, "it did not happen in time"
            slicer.app.processEvents(qt.QEventLoop.AllEvents | qt.QEventLoop.WaitForMoreEvents, 50)

    return wait
