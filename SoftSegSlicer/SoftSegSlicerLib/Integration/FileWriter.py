"""What Slicer asks when a result is saved or exported."""

import logging

import slicer
import vtk

from softseg.errors import SoftSegError

from ..Scene import References
from ..Scene.Translation import tr as _
from .FileReader import FILE_TYPE
from .SharedLogic import sharedLogic


class SoftSegSlicerFileWriter:
    """Writes the soft parcellation of a segmentation; Slicer finds the class by its name."""

    def __init__(self, parent):
        self.parent = parent

    def description(self):
        """Return what people call such a file."""
        return _("Soft parcellation")

    def fileType(self):
        """Return by what name scripts ask for this writer."""
        return FILE_TYPE

    def extensions(self, obj):  # noqa: ARG002 - Slicer's signature
        """Return the endings for file dialogs."""
        return [_("Soft parcellation") + " (.soft.npz)"]

    def canWriteObjectConfidence(self, obj):
        """Return how well the file fits a node: below that of ``.seg.nrrd``, which scenes are made of."""
        return 0.3 if self.canWriteObject(obj) else 0.0

    def canWriteObject(self, obj):
        """Whether a node is a segmentation with a soft parcellation."""
        if obj is None or not obj.IsA("vtkMRMLSegmentationNode"):
            return False
        return References.referenced(obj, References.PARCELLATION) is not None

    def write(self, properties):
        """Write the node ``properties["nodeID"]``: with its present tree, where it lies now."""
        path = properties["fileName"]
        try:
            node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
            sharedLogic().parcellationOf(node).save(path)
        except SoftSegError as error:
            return self._refuse(str(error))
        except Exception as error:  # Slicer would print a traceback and say nothing to whoever saves
            logging.exception("writing %s", path)
            return self._refuse(f"{path}: {type(error).__name__}: {error}")
        self.parent.writtenNodes = [node.GetID()]
        return True

    def _refuse(self, text):
        self.parent.userMessages().AddMessage(vtk.vtkCommand.ErrorEvent, text)
        return False
