"""Segment Editor without its window: its own logic, parameter node and undo, over a segmentation of the scene."""

import numpy as np
import slicer
import vtk
from SoftSegSlicerLib.Scene import Grids

Modes = slicer.vtkSlicerSegmentEditorLogic


class Editor:
    """Paints as the effects of Segment Editor do.

    Parameters
    ----------
    scene: the MRML scene.
    node: the segmentation.
    geometry: grid of the masks that are painted.
    """

    def __init__(self, scene, node, geometry):
        self._segmentations = slicer.vtkSlicerSegmentationsModuleLogic()  # knows how to copy representations
        self._segmentations.SetMRMLScene(scene)
        self.node, self._geometry = node, geometry
        self.parameters = scene.GetFirstNodeByClass("vtkMRMLSegmentEditorNode")
        if self.parameters is None:
            self.parameters = scene.AddNode(slicer.vtkMRMLSegmentEditorNode())
        self.logic = Modes()
        self.logic.SetMRMLScene(scene)
        self.logic.SetSegmentEditorNode(self.parameters)
        self.logic.SetSegmentationNode(node)
        self.logic.SetMaximumNumberOfUndoStates(10)

    def paint(self, segmentId, mask, mode=Modes.ModificationModeAdd):
        """Add a mask ``(k, j, i)`` to a segment, or do to it what another mode does, as one undoable step."""
        self.logic.SaveStateForUndo()
        self.parameters.SetSelectedSegmentID(segmentId)
        self.logic.ModifySegmentByLabelmap(self.node, segmentId, self._image(mask), mode, True, False)

    def erase(self, segmentId, mask):
        """Take a mask from a segment."""
        self.paint(segmentId, mask, Modes.ModificationModeRemove)

    def remove(self, segmentId):
        """Remove a segment, as the button does."""
        self.logic.SaveStateForUndo()
        self.node.GetSegmentation().RemoveSegment(segmentId)

    def allowOverlap(self):
        """Let painting leave other segments as they are."""
        self.parameters.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)

    def undo(self):
        """Undo the last step."""
        self.logic.Undo()

    def redo(self):
        """Do it again."""
        self.logic.Redo()

    def _image(self, mask):
        whole = tuple(slice(0, size) for size in self._geometry.shape)
        image = Grids.orientedImage(self._geometry, whole, vtk.VTK_UNSIGNED_CHAR)
        Grids.arrayOf(image)[:] = mask
        return image


def box(geometry, *ranges):
    """A mask ``(k, j, i)``: true between ``(first, last + 1)`` along each axis."""
    mask = np.zeros(geometry.shape, bool)
    mask[tuple(slice(*each) for each in ranges)] = True
    return mask
