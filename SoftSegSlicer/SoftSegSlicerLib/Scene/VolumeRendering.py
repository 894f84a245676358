"""The map of a segmentation as a cloud in the 3D views."""

import slicer
import vtk

from . import References


def logicFor(scene):
    """Return the application's volume rendering logic, or one for this scene where there is no application."""
    module = getattr(getattr(slicer, "modules", None), "volumerendering", None)
    if module is not None:
        return module.logic()
    logic = slicer.vtkSlicerVolumeRenderingLogic()
    logic.SetMRMLScene(scene)
    return logic


def show(volumeNode, on):
    """Show a map as a cloud, denser where the share is larger, or stop showing it.

    Returns
    -------
    the volume rendering display node, None where nothing is shown.
    """
    logic = logicFor(References.sceneOf(volumeNode))
    display = logic.GetFirstVolumeRenderingDisplayNode(volumeNode)
    if not on:
        if display is not None:
            display.SetVisibility(False)
        return None
    if display is None:
        display = logic.CreateDefaultVolumeRenderingNodes(volumeNode)
    _setProperty(display.GetVolumePropertyNode().GetVolumeProperty(), volumeNode.GetDisplayNode())
    display.SetVisibility(True)
    return display


def nodesOf(volumeNode):
    """Return the nodes of a volume's cloud beside its display node: property and region of interest."""
    displays = [volumeNode.GetNthDisplayNode(number) for number in range(volumeNode.GetNumberOfDisplayNodes())]
    found = []
    for display in displays:
        if display is not None and display.IsA("vtkMRMLVolumeRenderingDisplayNode"):
            found += [display.GetVolumePropertyNode(), display.GetROINode()]
    return [node for node in found if node is not None]


def isShown(volumeNode):
    """Whether a map is shown as a cloud."""
    display = logicFor(References.sceneOf(volumeNode)).GetFirstVolumeRenderingDisplayNode(volumeNode)
    return display is not None and bool(display.GetVisibility())


def _setProperty(volumeProperty, display):
    threshold = min(max(display.GetLowerThreshold(), 0.01), 0.95)
    opacity = vtk.vtkPiecewiseFunction()
    for share, value in ((0.0, 0.0), (threshold, 0.0), ((threshold + 1) / 2, 0.15), (1.0, 0.7)):
        opacity.AddPoint(share, value)
    colors = vtk.vtkColorTransferFunction()
    table = display.GetColorNode().GetScalarsToColors()
    low, high = table.GetRange()
    color = [0.0, 0.0, 0.0]
    for step in range(11):
        table.GetColor(low + (high - low) * step / 10, color)
        colors.AddRGBPoint(step / 10, *color)
    volumeProperty.SetScalarOpacity(opacity)
    volumeProperty.SetColor(colors)
