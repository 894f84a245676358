"""The module ``qt``: one flat name space over QtCore, QtGui, QtWidgets and QUiLoader, as PythonQt gives it."""

from __future__ import annotations

import re
import types

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

_SCENE_CONNECTION = re.compile(
    rb"<connection>(?:(?!</connection>).)*vtkMRMLScene(?:(?!</connection>).)*</connection>", re.S
)


class _UiLoader(QtUiTools.QUiLoader):
    """Knows the stand-ins of ctk and qMRML widgets, whatever module asked for it."""

    def __init__(self, parent=None):
        super().__init__(parent)
        for widget in customWidgets:
            self.registerCustomWidget(widget)

    def load(self, device, parent=None):
        """Load a .ui file without its connections of the scene, which ``qMRMLWidget`` hands on itself."""
        content = _SCENE_CONNECTION.sub(b"", bytes(device.readAll().data()))
        buffer = QtCore.QBuffer()
        buffer.setData(content)
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        return super().load(buffer, parent)


customWidgets: list[type] = []
"""Widget classes that a .ui file may name."""


def make() -> types.ModuleType:
    """Return the module."""
    module = types.ModuleType("qt", __doc__)
    for part in (QtCore, QtGui, QtWidgets):
        for name in dir(part):
            if not name.startswith("_"):
                setattr(module, name, getattr(part, name))
    module.QUiLoader = _UiLoader
    module.SIGNAL, module.SLOT = QtCore.SIGNAL, QtCore.SLOT
    return module
