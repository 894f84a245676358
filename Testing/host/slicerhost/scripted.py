"""``slicer.ScriptedLoadableModule``: base classes of a scripted module's four classes."""

from __future__ import annotations

import importlib
import unittest
from pathlib import Path

import slicer
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QVBoxLayout

__all__ = [
    "ScriptedLoadableModule",
    "ScriptedLoadableModuleLogic",
    "ScriptedLoadableModuleTest",
    "ScriptedLoadableModuleWidget",
]


class ScriptedLoadableModule:
    """Title, category, help of a module; ``parent`` is the application's module object."""

    def __init__(self, parent):
        super().__init__()
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = ""
        parent.categories, parent.dependencies, parent.contributors = [], [], []
        icons = (
            Path(parent.path).parent / "Resources" / "Icons" / f"{self.moduleName}{end}" for end in (".svg", ".png")
        )
        parent.icon = next((QIcon(str(icon)) for icon in icons if icon.is_file()), QIcon())
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, filename):
        """Return the path of a file in the module's folder Resources."""
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def getDefaultModuleDocumentationLink(self, docPage=None):
        """Return a line with a link."""
        page = docPage or slicer.app.moduleDocumentationUrl(self.moduleName)
        return f'<p>See the <a href="{page}">documentation</a>.</p>'

    def runTest(self, msec=100, **options):
        """Run the module's test class."""
        test = getattr(importlib.import_module(type(self).__module__), f"{self.moduleName}Test")()
        test.messageDelay = msec
        test.runTest(**options)


class ScriptedLoadableModuleWidget:
    """The panel; without a parent it makes its own top-level widget and sets itself up."""

    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        if not parent:
            self.parent = slicer.qMRMLWidget()
            self.parent.setLayout(QVBoxLayout())
            self.parent.setMRMLScene(slicer.mrmlScene)
        self.layout = self.parent.layout()
        if not parent:
            self.setup()
            self.parent.show()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename):
        """Return the path of a file in the module's folder Resources."""
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def setup(self):
        """Do nothing (in the application: the developer's section)."""

    def cleanup(self):
        """Do nothing; modules override it."""

    def enter(self):
        """Do nothing; modules override it."""

    def exit(self):
        """Do nothing; modules override it."""

    def _onModuleAboutToBeUnloaded(self, name):
        if name == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)


class ScriptedLoadableModuleLogic:
    """The logic; knows the module's parameter node."""

    def __init__(self, parent=None):  # noqa: ARG002 - the application's signature
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        """Return the module's parameter node, made if it is not there."""
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.mrmlScene.AddNode(self.createParameterNode())
        elif node.GetAttribute("ModuleName") != self.moduleName:
            node.SetAttribute("ModuleName", self.moduleName)
        return node

    def createParameterNode(self):
        """Return a new parameter node."""
        node = slicer.vtkMRMLScriptedModuleNode()
        node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """The module's own tests; all methods with "test" in the name are run by ``runTest``."""

    messageDelay = 0

    def delayDisplay(self, message, requestedDelay=None, msec=None):  # noqa: ARG002 - the application's signature
        """Let the event loop catch up."""
        slicer.app.processEvents()

    def runTest(self):
        """Run all tests of this class."""
        names = [n for n in dir(self) if "test" in n and callable(getattr(self, n)) and n != "runTest"]
        self.setUpClass()
        for name in names:
            self.setUp()
            getattr(self, name)()
            self.tearDown()
        self.tearDownClass()
