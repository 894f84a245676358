"""Segment Editor is given the segments that are shown: its parameter node says which, over which scan, and how."""

import slicer

from . import Grids, Placement, References, Segments

_TAG = "SegmentEditor"
"""Singleton tag of the parameter node of the module Segment Editor."""


def prepare(segmentationNode, geometry, segmentId):
    """Return the parameter node of Segment Editor, set to edit a segmentation.

    A voxel has one node: what is painted is taken from all other segments. Painting is allowed everywhere.

    Parameters
    ----------
    segmentationNode: a segmentation of ours.
    geometry: its whole grid, on which is painted.
    segmentId: the segment that is chosen; None: the first one that is shown.
    """
    _paintOn(segmentationNode, geometry)
    editorNode = _editorNode(References.sceneOf(segmentationNode))
    modifying = editorNode.StartModify()
    editorNode.SetAndObserveSegmentationNode(segmentationNode)
    volumeNode = sourceVolume(segmentationNode)
    if volumeNode is not None:
        editorNode.SetAndObserveSourceVolumeNode(volumeNode)
    shown = [id_ for id_, _segment in Segments.ownSegments(segmentationNode)]
    editorNode.SetSelectedSegmentID(segmentId if segmentId in shown else shown[0] if shown else None)
    editorNode.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteAllSegments)
    editorNode.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere)
    editorNode.EndModify(modifying)
    return editorNode


def sourceVolume(segmentationNode):
    """Return the scan of a result, None where it is not in the scene or has colours."""
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    for each in (References.INPUT, role):
        volumeNode = References.referenced(segmentationNode, each)
        image = None if volumeNode is None else volumeNode.GetImageData()
        if image is not None and image.GetNumberOfScalarComponents() == 1:
            return volumeNode
    return None


def _paintOn(segmentationNode, geometry):
    """Let the reference grid be the result's: on another one strokes would be resampled."""
    text = Placement.referenceText(segmentationNode)
    if text:
        image = slicer.vtkOrientedImageData()
        slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, image, False)
        same = abs(Grids.imageToRas(image) - geometry.affine).max() < Placement.SAME
        if same and image.GetDimensions() == tuple(geometry.size):
            return
    Placement.setReferenceGeometry(segmentationNode, geometry)
    Placement.noteReference(segmentationNode)


def _editorNode(scene):
    found = scene.GetSingletonNode(_TAG, "vtkMRMLSegmentEditorNode")
    if found is None:
        found = slicer.vtkMRMLSegmentEditorNode()
        found.SetSingletonTag(_TAG)
        found = scene.AddNode(found)
    return found
