"""A new segmentation node for a result: named, placed beside its input, with its tree."""

from . import Grids, Placement, References, SubjectHierarchy, Surfaces, TreeNode


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
    Surfaces.useQuickConversion(segmentationNode.GetSegmentation())
    TreeNode.writeTree(segmentationNode, tree)
    if volumeNode is not None:
        References.setReference(segmentationNode, References.INPUT, volumeNode)
        segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
        SubjectHierarchy.placeBeside(segmentationNode, volumeNode)
    if volumeNode is None or not Grids.isOnGrid(volumeNode, geometry):
        # else saving, and Segment Editor, would resample every single segment to the volume's grid
        Placement.setReferenceGeometry(segmentationNode, geometry)
    return segmentationNode
