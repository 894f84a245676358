"""Loading a panel's .ui file."""

from pathlib import Path

import qt
import slicer

from SoftSegSlicerLib.Panels.Widgets.AsWritten import showAsWritten

__all__ = ["loadPanel"]

RESOURCES = Path(__file__).resolve().parents[3] / "Resources"
"""Resources of the module: beside SoftSegSlicerLib in the source tree and in the installed extension alike."""


def loadPanel(name: str):
    """Return the widget of ``Resources/UI/NAME.ui`` and its children by name."""
    widget = slicer.util.loadUI(str(RESOURCES / "UI" / f"{name}.ui"))
    widget.setMRMLScene(slicer.mrmlScene)
    ui = slicer.util.childWidgetVariables(widget)
    for child in vars(ui).values():
        if isinstance(child, qt.QLabel):
            showAsWritten(child)
    return widget, ui
