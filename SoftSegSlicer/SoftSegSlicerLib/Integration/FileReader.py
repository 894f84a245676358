"""What Slicer asks when a file is dropped on it or chosen in Add Data."""

import logging

import vtk

from softseg.errors import SoftSegError

from ..Translation import tr as _
from .Opening import confidenceOf, openResult
from .SharedLogic import moduleWindow, sharedLogic

FILE_TYPE = "SoftParcellation"


class SoftSegSlicerFileReader:
    """Reads ``.soft.npz``; Slicer finds the class by its name and makes it with the C++ reader as ``parent``."""

    def __init__(self, parent):
        self.parent = parent

    def description(self):
        """Return what people call such a file."""
        return _("Soft parcellation")

    def fileType(self):
        """Return by what name scripts ask for this reader."""
        return FILE_TYPE

    def extensions(self):
        """Return the endings for file dialogs."""
        return [_("Soft parcellation") + " (*.soft.npz)", _("Soft parcellation") + " (*.npz)"]

    def canLoadFile(self, filePath):
        """Whether this reader is the one for a file."""
        return confidenceOf(filePath) > 0

    def canLoadFileConfidence(self, filePath):
        """Return how sure that is, 0..1."""
        return confidenceOf(filePath)

    def load(self, properties):
        """Show the result of ``properties["fileName"]``; where that fails, one message says why."""
        path = properties["fileName"]
        try:
            node = openResult(sharedLogic(), path, properties.get("name") or "")
        except SoftSegError as error:
            return self._refuse(f"{error.message}; {error.hint}" if error.hint else error.message)
        except Exception as error:  # Slicer would print a traceback and say nothing to whoever dropped the file
            logging.exception("reading %s", path)
            return self._refuse(f"{type(error).__name__}: {error}")
        self.parent.loadedNodes = [node.GetID()]
        window = moduleWindow()
        if window is not None:
            window.context.segmentation = node
        return True

    def _refuse(self, text):
        self.parent.userMessages().AddMessage(vtk.vtkCommand.ErrorEvent, text)
        return False
