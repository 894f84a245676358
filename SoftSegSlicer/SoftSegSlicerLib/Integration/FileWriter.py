"""What Slicer asks when a result is saved or exported."""

import logging
import os

import slicer
import vtk

from softseg.errors import InputError, SoftSegError

from ..Scene import References
from ..Translation import tr as _
from .FileReader import FILE_TYPE
from .Opening import SUFFIX
from .SharedLogic import sharedLogic

LABELS = ".labels.seg.nrrd"
"""Ending of the file by which a scene reads a segmentation whose result has a file of its own."""


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
            sharedLogic().results.parcellationOf(node).save(path)
            _keepForScene(node, path)
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


def _keepForScene(node, written):
    """Write the labels beside the result where the scene would refer to the result itself, or to no labels of now.

    A scene that is opened reads a segmentation by its storage node, which knows no soft parcellation; that is in the
    scene anyway. Slicer's dialog gives the storage node the name of the result's file, or leaves the name that it had;
    older labels there would pass for edits that take corrections back.
    """
    storage = node.GetStorageNode()
    path = "" if storage is None else storage.GetFullNameFromFileName() or ""
    ofNow = os.path.isfile(path) and not node.GetModifiedSinceRead()
    if not path or (ofNow and not path.lower().endswith(".npz")):
        return
    ending = next((each for each in (SUFFIX, ".npz") if written.lower().endswith(each)), "")
    storage.SetFileName(written[: len(written) - len(ending)] + LABELS)
    if not storage.WriteData(node):
        raise InputError("the labels cannot be written", file=storage.GetFileName(), hint="choose another folder")
