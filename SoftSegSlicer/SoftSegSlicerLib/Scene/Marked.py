"""Voxels that were clicked and are not yet said to be something: a yellow outline over everything, never saved."""

import numpy as np
import slicer
import vtk

from . import Grids, References, Segments

_NAME = "SoftSeg marked voxels"
_COLOR = (1.0, 0.9, 0.1)


def show(segmentationNode, voxels, geometry):
    """Mark voxels of a result's grid in all views.

    Parameters
    ----------
    segmentationNode: the result.
    voxels: flat indices in the grid, increasing.
    geometry: the whole grid.
    """
    scene = References.sceneOf(segmentationNode)
    marks = _node(scene) or _newNode(scene)
    marks.SetAndObserveTransformNodeID(segmentationNode.GetTransformNodeID())
    places = np.unravel_index(voxels, geometry.shape)
    box = tuple(slice(int(at.min()), int(at.max()) + 1) for at in places)
    image = Grids.orientedImage(geometry, box, vtk.VTK_UNSIGNED_CHAR)
    Grids.arrayOf(image)[tuple(at - part.start for at, part in zip(places, box, strict=True))] = 1
    marks.GetSegmentation().GetSegment(_NAME).AddRepresentation(Segments.REPRESENTATION, image)
    marks.GetSegmentation().GetSegment(_NAME).Modified()
    marks.Modified()
    marks.SetDisplayVisibility(True)


def clear(scene):
    """Mark nothing any more."""
    marks = _node(scene)
    if marks is not None:
        for each in (*References.displayAndStorageOf(marks), marks):
            scene.RemoveNode(each)


def _node(scene):
    found = scene.GetFirstNodeByName(_NAME)
    return found if found is not None and found.IsA("vtkMRMLSegmentationNode") else None


def _newNode(scene):
    marks = References.addNode(scene, "vtkMRMLSegmentationNode", _NAME, hidden=True)
    marks.SetSaveWithScene(False)
    marks.CreateDefaultDisplayNodes()
    marks.GetDisplayNode().SetSaveWithScene(False)
    marks.GetDisplayNode().SetVisibility3D(False)
    segment = slicer.vtkSegment()
    segment.SetName(_NAME)
    segment.SetColor(*_COLOR)
    segment.AddRepresentation(Segments.REPRESENTATION, slicer.vtkOrientedImageData())
    marks.GetSegmentation().AddSegment(segment, _NAME)
    return marks
