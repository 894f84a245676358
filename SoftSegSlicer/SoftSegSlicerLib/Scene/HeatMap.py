"""A node's probability, or the uncertainty at the cut, as a coloured map over the slices."""

import json

import slicer
import vtk

from . import ColorMaps, Contour, Grids, Placement, References, SliceLayers, Stored, SubjectHierarchy
from .ShownMap import ShownMap

SCALAR_TYPE = vtk.VTK_FLOAT
DEFAULT_STYLE = {"threshold": 0.05, "opacity": 0.6, "colorMap": "Inferno", "contour": False, "legend": True}

_OPACITY = "SoftSeg.Opacity"
_FILL_BEFORE = "SoftSeg.FillBefore"
_WORDS = {
    References.HEAT_MAP: "probability",
    References.ENTROPY: "uncertainty",
    References.OUTLIER_SCORE: "outlier score",
    References.DISAGREEMENT: "disagreement",
    References.MASK: "mask",
}
_DISPLAY = "vtkMRMLScalarVolumeDisplayNode"
_LEAST = 1e-6
_LEGEND_SIZE, _LEGEND_POSITION, _LEGEND_FONT = (0.04, 0.2), (0.98, 0.85), 8
"""In the corner, clear of the anatomy; Slicer draws the title above this box, so low views need room over it."""


def show(segmentationNode, shown, array, geometry, title, style, span=(0.0, 1.0)):
    """Put values into the map of a segmentation and show it over the slices.

    Parameters
    ----------
    segmentationNode: the segmentation.
    shown: the ShownMap that says what the values are.
    array: shares 0..1 (or scores in their own units), ``(k, j, i)`` on ``geometry``.
    geometry: the grid.
    title: what the legend says.
    style: how it is drawn, as for :func:`applyStyle`; what it does not name is as in the map shown before.
    span: values that get the first and the last colour of the colour map.

    Returns
    -------
    the scalar volume node; the same one every time.
    """
    role = shown.role
    volumeNode = keep(segmentationNode, role, array, geometry)
    hideOthers(segmentationNode)
    if not isOn(volumeNode):
        style = {**_styleBefore(segmentationNode, role), **style}
    segmentationNode.SetAttribute(References.SHOWN_NODE, shown.text)
    volumeNode.SetAttribute(References.SHOWN_NODE, shown.text)
    display = _displayOf(volumeNode)
    display.SetVisibility(True)
    display.SetWindowLevelMinMax(*span)
    for other in _WORDS:
        if other != role:
            _hideOne(segmentationNode, other)
    applyStyle(segmentationNode, volumeNode, style, title)
    _showOutlinesOnly(segmentationNode)
    return volumeNode


def keep(segmentationNode, role, array, geometry):
    """Put values into a map of a segmentation without showing it, and return its volume node."""
    volumeNode = References.referenced(segmentationNode, role) or _newMap(segmentationNode, role)
    Grids.setArray(volumeNode, array, geometry, SCALAR_TYPE)
    Placement.noteTurn(segmentationNode, volumeNode)
    Placement.follow(segmentationNode)
    return volumeNode


def _newMap(segmentationNode, role):
    scene = References.sceneOf(segmentationNode)
    name = f"{segmentationNode.GetName()} {_WORDS[role]}"
    volumeNode = References.addNode(scene, "vtkMRMLScalarVolumeNode", name, attributes={References.MAP: role})
    _displayOf(volumeNode)
    References.setReference(segmentationNode, role, volumeNode)
    inputNode = References.referenced(segmentationNode, References.INPUT)
    SubjectHierarchy.listBeside(volumeNode, segmentationNode if inputNode is None else inputNode)
    return volumeNode


def _displayOf(volumeNode):
    """Return the display node of a map, made where it is missing, as in a damaged scene."""
    every = (volumeNode.GetNthDisplayNode(number) for number in range(volumeNode.GetNumberOfDisplayNodes()))
    found = next((each for each in every if each is not None and each.IsA(_DISPLAY)), None)
    if found is not None:
        return found
    scene = References.sceneOf(volumeNode)
    display = scene.AddNewNodeByClass(_DISPLAY)
    display.AutoWindowLevelOff()
    display.SetThreshold(DEFAULT_STYLE["threshold"], 1)
    display.ApplyThresholdOn()
    display.SetAndObserveColorNodeID(ColorMaps.colorMapNode(scene, DEFAULT_STYLE["colorMap"]).GetID())
    volumeNode.SetAndObserveDisplayNodeID(display.GetID())
    return display


def _styleBefore(segmentationNode, role):
    """Return the style of the map that was shown before; scores and shares have no threshold in common."""
    before = shownMap(segmentationNode)
    style = styleOf(before)
    scores = before is References.referenced(segmentationNode, References.OUTLIER_SCORE)
    if before is not None and scores != (role == References.OUTLIER_SCORE):
        style["threshold"] = DEFAULT_STYLE["threshold"]
    return style


def isOn(volumeNode):
    """Whether a map is shown."""
    return volumeNode is not None and volumeNode.GetAttribute(_OPACITY) is not None


def shownMap(segmentationNode):
    """Return the volume node of the map that a segmentation shows, None while it shows none."""
    return _shown(segmentationNode)[0]


def whatIsShown(segmentationNode):
    """Return the ShownMap that says what the map of a segmentation shows, None while it shows none."""
    volumeNode, role = _shown(segmentationNode)
    return None if volumeNode is None else ShownMap.of(role, volumeNode.GetAttribute(References.SHOWN_NODE))


def _shown(segmentationNode):
    for role in _WORDS:
        volumeNode = References.referenced(segmentationNode, role)
        if volumeNode is not None and volumeNode.GetAttribute(References.SHOWN_NODE):
            return volumeNode, role
    return None, None


def styleOf(volumeNode):
    """Return how a map is drawn, read from its nodes: threshold, opacity, colorMap, contour, legend."""
    if not isOn(volumeNode):
        return dict(DEFAULT_STYLE)
    display = _displayOf(volumeNode)
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(volumeNode)
    return {
        "threshold": 0.0 if display.GetLowerThreshold() == _LEAST else display.GetLowerThreshold(),
        "opacity": Stored.optional(volumeNode, _OPACITY, Stored.isShare, DEFAULT_STYLE["opacity"]),
        "colorMap": display.GetColorNode().GetName() if display.GetColorNode() else "",
        "contour": References.referenced(volumeNode, References.CONTOUR) is not None,
        "legend": legend is not None and bool(legend.GetVisibility()),
    }


def applyStyle(segmentationNode, volumeNode, style, title=None):
    """Draw a map otherwise; what ``style`` does not name stays as it is."""
    style = {**styleOf(volumeNode), **style}
    display = _displayOf(volumeNode)
    colorNode = ColorMaps.colorMapNode(References.sceneOf(volumeNode), style["colorMap"])
    modifying = display.StartModify()
    low, top = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    least = style["threshold"] or _LEAST  # at 0 voxels of no share at all would be drawn, and darken the scan
    display.SetThreshold(least, max(1, style["threshold"], 2 * top - low))
    display.SetAndObserveColorNodeID(colorNode.GetID())
    display.EndModify(modifying)
    volumeNode.SetAttribute(_OPACITY, json.dumps(style["opacity"]))
    if segmentationNode.GetDisplayVisibility():
        SliceLayers.showForeground(
            volumeNode, style["opacity"], References.referenced(segmentationNode, References.INPUT)
        )
    _setLegend(volumeNode, style["legend"], title)
    Contour.update(volumeNode, style["contour"])


def _setLegend(volumeNode, on, title):
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(volumeNode)
    if legend is None and on:
        scene = References.sceneOf(volumeNode)
        if not scene.IsNodeClassRegistered("vtkMRMLColorLegendDisplayNode"):  # the Colors module does it otherwise
            scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
        legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(volumeNode)
        legend.SetSize(*_LEGEND_SIZE)
        legend.SetPosition(*_LEGEND_POSITION)
        legend.SetNumberOfLabels(3)
        legend.SetLabelFormat("%.2g")
        for text in (legend.GetTitleTextProperty(), legend.GetLabelTextProperty()):
            text.SetFontFamilyToArial()
            text.SetFontSize(_LEGEND_FONT)
    if legend is not None:
        legend.SetVisibility(on)
        if title:
            legend.SetTitleText(title)


def hide(segmentationNode):
    """Take the map off the slices and give the segments the look that they had before."""
    for role in _WORDS:
        _hideOne(segmentationNode, role)
    segmentationNode.RemoveAttribute(References.SHOWN_NODE)
    if segmentationNode.GetAttribute(_FILL_BEFORE):
        fill, outline = Stored.optional(segmentationNode, _FILL_BEFORE, _areTwoFlags, (True, True))
        segmentationNode.RemoveAttribute(_FILL_BEFORE)
        _draw(segmentationNode.GetDisplayNode(), fill, outline)


def hideOthers(segmentationNode):
    """Take the maps of other segmentations off the slices, with their legends: there is room for one."""
    for other in References.segmentations(segmentationNode):
        if other is not segmentationNode and shownMap(other) is not None:
            hide(other)


def _draw(display, fill, outline):
    """Draw segments filled or as outlines; in between they are never neither, which Slicer warns of."""
    modifying = display.StartModify()
    display.SetVisibility2DFill(fill)
    display.SetVisibility2DOutline(outline)
    display.EndModify(modifying)


def _areTwoFlags(value):
    return isinstance(value, list) and len(value) == 2 and all(isinstance(flag, bool) for flag in value)


def _hideOne(segmentationNode, role):
    volumeNode = References.referenced(segmentationNode, role)
    if volumeNode is None:
        return
    SliceLayers.restore(volumeNode)
    notShown(volumeNode)
    _setLegend(volumeNode, False, None)
    Contour.update(volumeNode, False)


def notShown(volumeNode):
    """Say that a map is not shown."""
    for attribute in (References.SHOWN_NODE, _OPACITY):
        volumeNode.RemoveAttribute(attribute)


def _showOutlinesOnly(segmentationNode):
    """Draw segments as outlines, because their filled areas would cover the map."""
    display = segmentationNode.GetDisplayNode()
    if segmentationNode.GetAttribute(_FILL_BEFORE) is None:
        before = [bool(display.GetVisibility2DFill()), bool(display.GetVisibility2DOutline())]
        segmentationNode.SetAttribute(_FILL_BEFORE, json.dumps(before))
    _draw(display, False, True)
