"""Qt properties as Python attributes, as PythonQt has them: ``button.text = "x"``; no ``setText``, no ``text()``.

PySide6 switches this per Python module, by name. Everything that is the product's, its tests included, runs with it;
the stand-in widgets of this package, which are C++ in the application, run without.
"""

from __future__ import annotations

import ctypes
import importlib.abc
import sys

from PySide6 import QtCore
from shibokensupport import feature

_PYTHONQT_LIKE = ("SoftSegSlicer", "Testing.gui", "conftest", "test_", "gui_")


class _Chooser(importlib.abc.MetaPathFinder):
    """Finds nothing: notes the names of modules that want attributes, before they are executed."""

    def find_spec(self, name, path=None, target=None):  # noqa: ARG002 - the signature of the protocol
        if name.split(".")[-1].startswith(_PYTHONQT_LIKE) or name.startswith(_PYTHONQT_LIKE):
            use_attributes(name)
        elif name.startswith("slicerhost"):
            use_methods(name)


def use_attributes(name: str) -> None:
    """Let the code of the Python module of this name see Qt properties as attributes."""
    feature.pyside_feature_dict[name] = 2


def use_methods(name: str) -> None:
    """Let the code of the Python module of this name see getters and setters (C++ style)."""
    feature.pyside_feature_dict[name] = 0


def install() -> None:
    """Switch the mechanism on, and add ``name``, PythonQt's other word for ``objectName``."""
    from __feature__ import true_property  # noqa: F401 - starts PySide's mechanism for this module

    if sys.version_info < (3, 12):
        # with this mechanism PySide gives away one reference to what a call returns; None, True and False are not
        # immortal in these versions, and Python would end with "deallocating None" after some thousand calls
        for constant in (None, True, False):
            ctypes.c_ssize_t.from_address(id(constant)).value += 1 << 40
    for name in [__name__, *(known for known in sys.modules if known.startswith("slicerhost"))]:
        use_methods(name)
    sys.meta_path.insert(0, _Chooser())
    QtCore.QObject.name = property(
        lambda self: self.property("objectName"), lambda self, value: self.setProperty("objectName", value)
    )
