"""What the panels ask people; tests put another object with the same methods in its place."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

from SoftSegSlicerLib.Panels.Widgets.AsWritten import asWritten


class Dialogs:
    """Asks in the application's own dialogs."""

    def confirm(self, text, title=None):
        """Return whether the answer to a question is yes."""
        return slicer.util.confirmYesNoDisplay(asWritten(text), windowTitle=title or _("SoftSeg"))

    def message(self, text, title=None):
        """Show a text until it is closed."""
        slicer.util.infoDisplay(asWritten(text), windowTitle=title or _("SoftSeg"))

    def problem(self, text, details, title=None):
        """Show what went wrong, and further lines for those who want them, until it is closed."""
        slicer.util.errorDisplay(text, windowTitle=title or _("SoftSeg"), detailedText=details)

    def askChoice(self, text, choices, title=None):
        """Return the number of the one of several texts that is chosen, None if cancelled."""
        from .Panels.Widgets.ChoiceDialog import ChoiceDialog

        return ChoiceDialog(text, choices, title or _("SoftSeg"), slicer.util.mainWindow()).ask()

    def askMatches(self, matching, title, allowAdd=True):
        """Return what each item of a Matching is, by key: the id of a node, LEAVE_OUT or ADD; None if cancelled."""
        from .Panels.Widgets.MatchDialog import MatchDialog

        return MatchDialog(matching, title, allowAdd, slicer.util.mainWindow()).ask()

    def askTerminology(self, terminology, title):
        """Return the Terminology chosen in Slicer's browser, which begins with one or None; None if cancelled."""
        from .Integration.TerminologySelector import askTerminology

        return askTerminology(terminology, title, slicer.util.mainWindow())

    def askOpenFile(self, title, filters=""):
        """Return the path of a file that exists, empty if none was chosen."""
        return _first(qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, "", filters))

    def askOpenFiles(self, title, filters=""):
        """Return the paths of files that exist, none if none was chosen."""
        answer = qt.QFileDialog.getOpenFileNames(slicer.util.mainWindow(), title, "", filters)
        nested = bool(answer) and not isinstance(answer[0], str)  # PythonQt gives the paths, PySide these and filter
        return list(answer[0] if nested else answer or ())

    def askSaveFile(self, title, fileName="", filters=""):
        """Return the path of a file to write, empty if none was chosen."""
        return _first(qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, fileName, filters))

    def askFolder(self, title, folder=""):
        """Return the path of a folder, empty if none was chosen."""
        return qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, folder)


def _first(answer):
    """PythonQt gives the path, PySide path and filter."""
    return answer[0] if isinstance(answer, tuple) else answer
