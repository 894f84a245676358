"""``slicer.app``: the QApplication and what the module asks the application for."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import slicer
import vtk
from PySide6.QtCore import QObject, QSettings, Signal
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory

_DARK = {
    "Window": "#2e2e2e",
    "WindowText": "#e6e6e6",
    "Base": "#1f1f1f",
    "AlternateBase": "#292929",
    "Text": "#e6e6e6",
    "Button": "#3c3c3c",
    "ButtonText": "#e6e6e6",
    "BrightText": "#ff5555",
    "Link": "#6cb6ff",
    "Highlight": "#2a6fb0",
    "HighlightedText": "#ffffff",
    "ToolTipBase": "#3c3c3c",
    "ToolTipText": "#e6e6e6",
    "PlaceholderText": "#8c8c8c",
    "Light": "#4d4d4d",
    "Midlight": "#454545",
    "Mid": "#252525",
    "Dark": "#191919",
    "Shadow": "#0d0d0d",
}
_LIGHT = {
    "Window": "#efefef",
    "WindowText": "#1a1a1a",
    "Base": "#ffffff",
    "AlternateBase": "#f5f5f5",
    "Text": "#1a1a1a",
    "Button": "#efefef",
    "ButtonText": "#1a1a1a",
    "BrightText": "#ffffff",
    "Link": "#0057ae",
    "Highlight": "#308cc6",
    "HighlightedText": "#ffffff",
    "ToolTipBase": "#ffffdc",
    "ToolTipText": "#000000",
    "PlaceholderText": "#7f7f7f",
    "Light": "#ffffff",
    "Midlight": "#f6f6f6",
    "Mid": "#b8b8b8",
    "Dark": "#9f9f9f",
    "Shadow": "#767676",
}
_GREYED = {"light": "#a0a0a0", "dark": "#767676"}


class ModuleManager(QObject):
    """Tells when a module is about to be unloaded."""

    moduleAboutToBeUnloaded = Signal(str)

    def module(self, name):
        """Return the module of this name, None if there is none."""
        return getattr(slicer.modules, name.lower(), None)

    def connect(self, signal, slot):
        """Connect by the signal's written signature, as PythonQt allows."""
        getattr(self, signal.split("(")[0]).connect(slot)

    def disconnect(self, signal, slot):
        """Take such a connection back."""
        getattr(self, signal.split("(")[0]).disconnect(slot)


class LayoutManager:
    """The views: their names, slice logics, and the present layout's number."""

    def __init__(self, host):
        self._host = host
        self._views = {name: SliceView() for name in self.sliceViewNames()}
        self.layout = 3

    def sliceViewNames(self):
        """Return the names of the slice views."""
        return ["Red", "Yellow", "Green"]

    def sliceWidget(self, name):
        """Return what has the slice's logic and node."""
        return _SliceWidget(self._host.sliceLogic(name), self._views[name])

    def mrmlSliceLogics(self):
        """Return the slice logics as a vtkCollection."""
        return self._host.sliceLogics

    def setLayout(self, number):
        """Remember the layout; nothing is drawn."""
        self.layout = number


class SliceView:
    """The interactor of a slice view: VTK's own, so that observers see events as in the application; nothing drawn."""

    def __init__(self):
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self.cursor = None

    def interactor(self):
        """Return the interactor."""
        return self._interactor

    def setViewCursor(self, cursor):
        """Remember the cursor."""
        self.cursor = cursor

    def unsetViewCursor(self):
        """Forget it."""
        self.cursor = None


class _SliceWidget:
    def __init__(self, logic, view):
        self._logic, self._view = logic, view

    def sliceView(self):
        return self._view

    def sliceLogic(self):
        return self._logic

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()


class Application:
    """Attributes and methods of ``slicer.app`` that the module or Slicer's own Python uses."""

    def __init__(self, host):
        self._qt = QApplication.instance() or QApplication(["SlicerHost"])
        self._qt.setOrganizationName("SlicerHost")
        self._qt.setApplicationName("SlicerHost")
        self._qt.setStyle(QStyleFactory.create("Fusion"))
        self._host = host
        self._testing = True
        self._folder = Path(tempfile.mkdtemp(prefix="slicerhost-"))
        QSettings.setDefaultFormat(QSettings.Format.IniFormat)
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(self._folder / "settings"))
        self._modules = ModuleManager()
        self._layouts = LayoutManager(host)
        self.temporaryPath = str(self._folder / "temporary")
        Path(self.temporaryPath).mkdir()
        self.applicationVersion = "5.13.0"
        self.majorVersion, self.minorVersion = 5, 13
        self.slicerHome = str(self._folder)
        self.commandOptions = lambda: None
        self.setPalette("light")
        self._qt.aboutToQuit.connect(lambda: shutil.rmtree(self._folder, ignore_errors=True))

    def connect(self, signal, slot):
        """Remember who waits for the start; the stand-in has started long ago and does not call them."""
        self.connected = [*getattr(self, "connected", []), (signal, slot)]

    def setPalette(self, name):
        """Take the palette ``"light"`` or ``"dark"``."""
        palette = QPalette()
        for role, color in (_DARK if name == "dark" else _LIGHT).items():
            palette.setColor(getattr(QPalette.ColorRole, role), QColor(color))
        for role in ("WindowText", "Text", "ButtonText", "HighlightedText"):
            palette.setColor(QPalette.ColorGroup.Disabled, getattr(QPalette.ColorRole, role), QColor(_GREYED[name]))
        self._qt.setPalette(palette)

    def palette(self):
        """Return the palette."""
        return self._qt.palette()

    def style(self):
        """Return the style."""
        return self._qt.style()

    def clipboard(self):
        """Return the clipboard."""
        return self._qt.clipboard()

    def setOverrideCursor(self, cursor):
        """Show another cursor."""
        self._qt.setOverrideCursor(cursor)

    def restoreOverrideCursor(self):
        """Show the cursor of before."""
        self._qt.restoreOverrideCursor()

    def processEvents(self, *arguments):
        """Handle what is waiting."""
        self._qt.processEvents(*arguments)

    def topLevelWidgets(self):
        """Return all windows."""
        return self._qt.topLevelWidgets()

    def testingEnabled(self):
        """Whether this is a test run, where Slicer's dialogs answer by themselves."""
        return self._testing

    def settings(self):
        """Return the settings (a file of this run only)."""
        return QSettings()

    userSettings = revisionUserSettings = settings

    def moduleManager(self):
        """Return the module manager."""
        return self._modules

    def layoutManager(self):
        """Return the layout manager."""
        return self._layouts

    def applicationLogic(self):
        """Return the vtkSlicerApplicationLogic."""
        return self._host.applicationLogic

    def mrmlScene(self):
        """Return the scene."""
        return slicer.mrmlScene

    def translate(self, _context, text):
        """Return the text: the stand-in speaks English."""
        return text

    def moduleDocumentationUrl(self, name):
        """Return where a module's page would be."""
        return f"https://slicer.readthedocs.io/en/latest/user_guide/modules/{name.lower()}.html"
