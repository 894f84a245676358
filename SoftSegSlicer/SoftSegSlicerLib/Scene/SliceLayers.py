"""What the slice views show in front of the scan: set on their composite nodes, with or without an application."""

import json

from . import References, Stored

_BEFORE = "SoftSeg.ForegroundBefore"
_LABELS_BEFORE = "SoftSeg.LabelsBefore"


def _composites(scene):
    return [
        scene.GetNthNodeByClass(number, "vtkMRMLSliceCompositeNode")
        for number in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode"))
    ]


def _isLayer(value):
    """Whether this is the id of a volume, or None, and an opacity."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and (value[0] is None or isinstance(value[0], str))
        and Stored.isShare(value[1])
    )


def showForeground(volumeNode, opacity, backgroundNode=None):
    """Show a volume in front in every slice view.

    Parameters
    ----------
    volumeNode: what is shown.
    opacity: 0..1.
    backgroundNode: volume that is put behind it where a view shows none, or None.
    """
    for composite in _composites(References.sceneOf(volumeNode)):
        if composite.GetForegroundVolumeID() != volumeNode.GetID():
            if composite.GetAttribute(_BEFORE) is None:
                before = [composite.GetForegroundVolumeID(), composite.GetForegroundOpacity()]
                composite.SetAttribute(_BEFORE, json.dumps(before))
            composite.SetForegroundVolumeID(volumeNode.GetID())
        if composite.GetBackgroundVolumeID() is None and backgroundNode is not None:
            composite.SetBackgroundVolumeID(backgroundNode.GetID())
        composite.SetForegroundOpacity(opacity)


def restore(volumeNode):
    """Show what was in front before, wherever this volume still is."""
    scene = References.sceneOf(volumeNode)
    for composite in _composites(scene):
        if composite.GetForegroundVolumeID() == volumeNode.GetID():
            id_, opacity = Stored.optional(composite, _BEFORE, _isLayer, (None, 0.0))
            there = id_ is not None and scene.GetNodeByID(id_) is not None
            composite.SetForegroundVolumeID(id_ if there else None)
            composite.SetForegroundOpacity(opacity)
            composite.RemoveAttribute(_BEFORE)


def showBackground(volumeNode):
    """Show a volume behind everything else in every slice view."""
    for composite in _composites(References.sceneOf(volumeNode)):
        composite.SetBackgroundVolumeID(volumeNode.GetID())


def showLabels(volumeNode, opacity):
    """Show a label map volume over everything else in every slice view; ``opacity`` is 0..1."""
    for composite in _composites(References.sceneOf(volumeNode)):
        if composite.GetLabelVolumeID() != volumeNode.GetID():
            if composite.GetAttribute(_LABELS_BEFORE) is None:
                before = [composite.GetLabelVolumeID(), composite.GetLabelOpacity()]
                composite.SetAttribute(_LABELS_BEFORE, json.dumps(before))
            composite.SetLabelVolumeID(volumeNode.GetID())
        composite.SetLabelOpacity(opacity)


def hideLabels(volumeNode):
    """Show the label map volume that was shown before, wherever this one still is."""
    scene = References.sceneOf(volumeNode)
    for composite in _composites(scene):
        if composite.GetLabelVolumeID() == volumeNode.GetID():
            id_, opacity = Stored.optional(composite, _LABELS_BEFORE, _isLayer, (None, 1.0))
            there = id_ is not None and scene.GetNodeByID(id_) is not None
            composite.SetLabelVolumeID(id_ if there else None)
            composite.SetLabelOpacity(opacity)
            composite.RemoveAttribute(_LABELS_BEFORE)
