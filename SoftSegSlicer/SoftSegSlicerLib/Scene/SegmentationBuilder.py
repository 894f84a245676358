"""A new segmentation node for a result: named, placed beside its input, with its tree."""

import slicer

from . import Grids, References, SubjectHierarchy, TreeNode


def newSegmentation(scene, tree, geometry, name, volumeNode=None):
    """Return a new, still empty segmentation node that refers to a tree.

    Parameters
    ----------
    scene: the MRML scene.
    tree: LabelTree.
    geometry: grid of the labels.
    name: of the node.
    volumeNode: what was segmented, if it is in the scene; the segmentation takes its place and transform.
    """
    segmentationNode = References.addNode(scene, "vtkMRMLSegmentationNode", name)
    segmentationNode.CreateDefaultDisplayNodes()
    display = segmentationNode.GetDisplayNode()
    display.SetVisibility3D(False)  # surfaces of a hundred structures take minutes: only on request
    TreeNode.writeTree(segmentationNode, tree)
    if volumeNode is not None:
        References.setReference(segmentationNode, References.INPUT, volumeNode)
        segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
        SubjectHierarchy.placeBeside(segmentationNode, volumeNode)
    if volumeNode is None or not Grids.isOnGrid(volumeNode, geometry):
        # else saving, and Segment Editor, would resample every single segment to the volume's grid
        setReferenceGeometry(segmentationNode, geometry)
    return segmentationNode


def setReferenceGeometry(segmentationNode, geometry):
    """Let the segmentation's reference grid be ``geometry``, where its volume has another one, or is not there."""
    i, j, k = geometry.size
    image = slicer.vtkOrientedImageData()
    image.SetExtent(0, i - 1, 0, j - 1, 0, k - 1)
    image.SetGeometryFromImageToWorldMatrix(Grids.arrayToMatrix(geometry.affine))
    text = slicer.vtkSegmentationConverter.SerializeImageGeometry(image)
    segmentationNode.GetSegmentation().SetConversionParameter(referenceGeometryName(), text)


def referenceGeometryName():
    """Return the name under which a segmentation keeps its reference grid."""
    return slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
