"""Voxels that were clicked and are not yet said to be something: a yellow layer over the slices, never saved."""

import numpy as np
import vtk

from . import Grids, References, SliceLayers

_NAME = "SoftSeg marked voxels"
_COLOR = (1.0, 0.9, 0.1)
_OPACITY = 0.7


def show(segmentationNode, voxels, geometry):
    """Mark voxels of a result's grid in the slice views.

    Parameters
    ----------
    segmentationNode: the result.
    voxels: flat indices in the grid.
    geometry: the whole grid.
    """
    scene = References.sceneOf(segmentationNode)
    marks = _node(scene) or _newNode(scene)
    marks.SetAndObserveTransformNodeID(segmentationNode.GetTransformNodeID())
    array = np.zeros(geometry.shape, np.uint8)
    array.reshape(-1)[voxels] = 1
    Grids.setArray(marks, array, geometry, vtk.VTK_UNSIGNED_CHAR)
    SliceLayers.showLabels(marks, _OPACITY)


def clear(scene):
    """Mark nothing any more."""
    marks = _node(scene)
    if marks is not None:
        SliceLayers.hideLabels(marks)
        colors = marks.GetDisplayNode().GetColorNode()
        for each in (*References.displayAndStorageOf(marks), colors, marks):
            scene.RemoveNode(each)


def _node(scene):
    return scene.GetFirstNode(_NAME, "vtkMRMLLabelMapVolumeNode")


def _newNode(scene):
    marks = References.addNode(scene, "vtkMRMLLabelMapVolumeNode", _NAME, hidden=True)
    marks.SetName(_NAME)  # by which it is found: a scene never gives a name twice
    marks.CreateDefaultDisplayNodes()
    table = References.addNode(scene, "vtkMRMLColorTableNode", f"{_NAME} color", hidden=True)
    table.SetTypeToUser()
    table.SetNumberOfColors(2)
    table.GetLookupTable().SetRange(0, 1)
    table.SetColor(0, "", 0.0, 0.0, 0.0, 0.0)
    table.SetColor(1, "", *_COLOR, 1.0)
    marks.GetDisplayNode().SetAndObserveColorNodeID(table.GetID())
    for each in (marks, marks.GetDisplayNode(), table):
        each.SetSaveWithScene(False)
    return marks
