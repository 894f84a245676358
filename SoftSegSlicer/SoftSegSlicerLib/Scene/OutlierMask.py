"""Outliers as a coloured layer over the slices: a label map volume of its own, so that no label is touched."""

import json

import vtk

from ..Translation import tr as _
from . import Grids, Placement, References, SliceLayers, Stored, SubjectHierarchy

OPACITY = 0.6
"""Of the layer at first."""
_COLORS = "SoftSeg outliers"
_COLOR = (0.95, 0.15, 0.85)
_SHOWN = "SoftSeg.MaskOpacity"


def show(segmentationNode, mask, geometry, opacity):
    """Put outliers into the layer of a segmentation and show it over the slices.

    Parameters
    ----------
    segmentationNode: the segmentation.
    mask: bool ``(k, j, i)`` on ``geometry``.
    geometry: the grid.
    opacity: 0..1; None: as it was, or OPACITY.

    Returns
    -------
    the label map volume node; the same one every time.
    """
    volumeNode = References.referenced(segmentationNode, References.OUTLIERS) or _newMask(segmentationNode)
    Grids.setArray(volumeNode, mask, geometry, vtk.VTK_UNSIGNED_CHAR)
    Placement.noteTurn(segmentationNode, volumeNode)
    Placement.follow(segmentationNode)
    setOpacity(segmentationNode, opacityOf(segmentationNode) if opacity is None else opacity)
    return volumeNode


def setOpacity(segmentationNode, opacity):
    """Show the layer with another opacity, 0..1."""
    volumeNode = References.referenced(segmentationNode, References.OUTLIERS)
    volumeNode.SetAttribute(_SHOWN, json.dumps(opacity))
    SliceLayers.showLabels(volumeNode, opacity)


def opacityOf(segmentationNode):
    """Return how opaque the layer is, or would be."""
    volumeNode = References.referenced(segmentationNode, References.OUTLIERS)
    return OPACITY if volumeNode is None else Stored.optional(volumeNode, _SHOWN, Stored.isShare, OPACITY)


def isOn(segmentationNode):
    """Whether the layer is shown."""
    volumeNode = References.referenced(segmentationNode, References.OUTLIERS)
    return volumeNode is not None and volumeNode.GetAttribute(_SHOWN) is not None


def hide(segmentationNode):
    """Take the layer off the slices."""
    volumeNode = References.referenced(segmentationNode, References.OUTLIERS)
    if volumeNode is not None:
        SliceLayers.hideLabels(volumeNode)
        volumeNode.RemoveAttribute(_SHOWN)


def _newMask(segmentationNode):
    scene = References.sceneOf(segmentationNode)
    name = f"{segmentationNode.GetName()} outliers"
    attributes = {References.MAP: References.OUTLIERS}
    volumeNode = References.addNode(scene, "vtkMRMLLabelMapVolumeNode", name, attributes=attributes)
    volumeNode.CreateDefaultDisplayNodes()
    volumeNode.GetDisplayNode().SetAndObserveColorNodeID(_colors(scene).GetID())
    References.setReference(segmentationNode, References.OUTLIERS, volumeNode)
    inputNode = References.referenced(segmentationNode, References.INPUT)
    SubjectHierarchy.listBeside(volumeNode, segmentationNode if inputNode is None else inputNode)
    return volumeNode


def _colors(scene):
    """Return the colour table of all outlier layers of a scene."""
    table = scene.GetFirstNodeByName(_COLORS)
    if table is not None and table.IsA("vtkMRMLColorTableNode"):
        return table
    table = References.addNode(scene, "vtkMRMLColorTableNode", _COLORS, hidden=True)
    table.SetAttribute(References.OF_ALL, "1")
    table.SetTypeToUser()
    table.SetNumberOfColors(2)
    table.GetLookupTable().SetRange(0, 1)
    table.SetColor(0, "", 0.0, 0.0, 0.0, 0.0)
    table.SetColor(1, _("outlier"), *_COLOR, 1.0)
    return table
