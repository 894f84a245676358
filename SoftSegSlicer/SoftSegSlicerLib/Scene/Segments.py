"""The segments of a result: one per node that was shown so far, all in one shared layer, ids those of the nodes."""

import slicer
import vtk

from softseg.tree import node_colors

from . import Grids, TreeNode
from .TerminologyEntry import terminologyText

_REPRESENTATION = "Binary labelmap"


def layerOf(segmentationNode):
    """Return the image that most segments share, None where there are none."""
    segmentation = segmentationNode.GetSegmentation()
    if segmentation.GetNumberOfLayers(_REPRESENTATION) == 0:
        return None
    return segmentation.GetLayerDataObject(0, _REPRESENTATION)


def scalarTypeOf(tree):
    """Return VTK's number of the smallest scalar type that holds every label value of a tree."""
    largest = max(tree.value_of(node.id) for node in tree.nodes)
    return vtk.VTK_UNSIGNED_CHAR if largest <= 255 else vtk.VTK_UNSIGNED_SHORT


def ensureLayer(segmentationNode, geometry, box, tree):
    """Return the shared layer, with room for a box of a grid and for the label values of a tree.

    The image stays the same object, so that whoever observes it goes on doing so; its voxels are kept only where extent
    and type fit already.
    """
    image = layerOf(segmentationNode)
    scalarType = scalarTypeOf(tree)
    if image is None:
        return Grids.orientedImage(geometry, box, scalarType)
    fits = Grids.boxOf(image) == tuple(box) and image.GetScalarType() == scalarType
    if not fits or abs(Grids.imageToRas(image) - geometry.affine).max() > 1e-3:
        Grids.allocate(image, box, scalarType)
        image.SetGeometryFromImageToWorldMatrix(Grids.arrayToMatrix(geometry.affine))
    return image


def ensureSegments(segmentationNode, tree, nodeIds, image):
    """Add the segments of these nodes that are not there yet, where they belong in the order of the tree."""
    segmentation = segmentationNode.GetSegmentation()
    there = set(segmentation.GetSegmentIDs())
    missing = set(nodeIds) - there - ({tree.background.id} if tree.background else set())
    if not missing:
        return
    colors = node_colors(tree)
    following = ""
    for node in reversed(tree.nodes):
        if node.id in missing:
            segment = slicer.vtkSegment()
            describeSegment(segment, tree, node, colors)
            segment.AddRepresentation(_REPRESENTATION, image)
            segmentation.AddSegment(segment, node.id, following)
        if node.id in missing or node.id in there:
            following = node.id


def shareLayer(segmentationNode, image):
    """Let every segment have ``image`` as its label map, also those that an editor gave one of their own."""
    segmentation = segmentationNode.GetSegmentation()
    for position in range(segmentation.GetNumberOfSegments()):
        segmentation.GetNthSegment(position).AddRepresentation(_REPRESENTATION, image)


def describeSegment(segment, tree, node, colors):
    """Give a segment the name, colour, label value, terminology and path of a tree node."""
    segment.SetName(node.name)
    segment.SetColor(*(channel / 255 for channel in colors[node.id]))
    segment.SetLabelValue(tree.value_of(node.id))
    segment.SetTag(TreeNode.PATH_TAG, TreeNode.pathText(tree, node.id))
    segment.SetTag(segment.GetTerminologyEntryTagName(), terminologyText(node))


def updateSegments(segmentationNode, tree):
    """Bring every segment to an edited tree; segments of nodes that are gone are removed."""
    segmentation = segmentationNode.GetSegmentation()
    colors = node_colors(tree)
    for segmentId in list(segmentation.GetSegmentIDs()):
        segment = segmentation.GetSegment(segmentId)
        if segmentId in tree and tree.node(segmentId) != tree.background:
            describeSegment(segment, tree, tree.node(segmentId), colors)
        else:  # with a label map of its own, removal does not go through all voxels of the shared one
            segment.AddRepresentation(_REPRESENTATION, slicer.vtkOrientedImageData())
            segmentation.RemoveSegment(segmentId)


def showOnly(segmentationNode, nodeIds):
    """Make the segments of these nodes visible and hide the others."""
    display = segmentationNode.GetDisplayNode()
    shown = set(nodeIds)
    modifying = display.StartModify()
    for segmentId in segmentationNode.GetSegmentation().GetSegmentIDs():
        if display.GetSegmentVisibility(segmentId) != (segmentId in shown):
            display.SetSegmentVisibility(segmentId, segmentId in shown)
    display.EndModify(modifying)
