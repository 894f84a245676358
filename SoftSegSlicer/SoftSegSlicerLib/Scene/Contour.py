"""The contour of a map at one half, between voxels: a model that is drawn where slices cut it."""

import numpy as np
import vtk

from . import Grids, References

LEVEL = 0.5


def update(volumeNode, on):
    """Draw, draw again or remove the contour of a map."""
    if not on:
        References.removeReferenced(volumeNode, References.CONTOUR)
        return
    model = References.referenced(volumeNode, References.CONTOUR) or _newModel(volumeNode)
    model.SetAndObservePolyData(surface(volumeNode))


def _newModel(volumeNode):
    scene = References.sceneOf(volumeNode)
    model = References.addNode(scene, "vtkMRMLModelNode", f"{volumeNode.GetName()} contour", hidden=True)
    model.CreateDefaultDisplayNodes()
    display = model.GetDisplayNode()
    display.SetColor(1, 1, 1)
    display.SetVisibility2D(True)
    display.SetVisibility3D(False)
    display.SetSliceIntersectionThickness(2)
    model.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    References.setReference(volumeNode, References.CONTOUR, model)
    return model


def surface(volumeNode):
    """Return the surface at one half: vtkPolyData in the coordinates of the volume node (RAS mm)."""
    image = volumeNode.GetImageData()
    if image is None or image.GetNumberOfScalarComponents() != 1:  # a damaged scene
        return vtk.vtkPolyData()
    inside = Grids.arrayOf(image) >= LEVEL
    places = [np.flatnonzero(inside.any(axis=axes)) for axes in ((0, 1), (0, 2), (1, 2))]
    if not all(place.size for place in places):
        return vtk.vtkPolyData()
    part = vtk.vtkExtractVOI()  # only around what is inside: most structures are small
    part.SetInputData(image)
    bounds = [
        (max(int(place[0]) - 1, 0), min(int(place[-1]) + 1, n - 1))
        for place, n in zip(places, image.GetDimensions(), strict=True)
    ]
    part.SetVOI(*[edge for pair in bounds for edge in pair])
    edges = vtk.vtkFlyingEdges3D()
    edges.SetInputConnection(part.GetOutputPort())
    edges.SetValue(0, LEVEL)
    edges.ComputeScalarsOff()
    edges.ComputeNormalsOff()
    toRas = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(toRas)
    transform = vtk.vtkTransform()
    transform.SetMatrix(toRas)
    placed = vtk.vtkTransformPolyDataFilter()
    placed.SetInputConnection(edges.GetOutputPort())
    placed.SetTransform(transform)
    placed.Update()
    return placed.GetOutput()
