"""The segments of a result: one per node that was shown so far, all in one shared layer, ids those of the nodes."""

import slicer
import vtk

from softseg.tree import node_colors

from . import Grids, TreeNode
from .TerminologyEntry import terminologyText

REPRESENTATION = "Binary labelmap"


def isOurs(segment):
    """Whether a segment stands for a node of the tree; people may add others of their own."""
    return TreeNode.tagOf(segment, TreeNode.PATH_TAG) is not None


def ownSegments(segmentationNode):
    """Return ``[(id, segment)]`` of those that stand for nodes."""
    segmentation = segmentationNode.GetSegmentation()
    pairs = [(id_, segmentation.GetSegment(id_)) for id_ in segmentation.GetSegmentIDs()]
    return [(id_, segment) for id_, segment in pairs if isOurs(segment)]


def layerOf(segmentationNode):
    """Return the image that the segments of nodes share, None where there are none."""
    segmentation = segmentationNode.GetSegmentation()
    for position in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(position)
        if isOurs(segment):
            return segment.GetRepresentation(REPRESENTATION)
    return None


def isShared(segmentationNode, image):
    """Whether all segments of nodes have this image; an editor may have given some one of their own."""
    return all(segment.GetRepresentation(REPRESENTATION) is image for _, segment in ownSegments(segmentationNode))


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
            segment.AddRepresentation(REPRESENTATION, image)
            segmentation.AddSegment(segment, node.id, following)
        if node.id in missing or node.id in there:
            following = node.id


def shareLayer(segmentationNode, image, tree):
    """Let the segments of nodes have ``image`` as their label map, also those that an editor gave one of their own."""
    for segmentId, segment in ownSegments(segmentationNode):
        if segment.GetRepresentation(REPRESENTATION) is not image:
            segment.AddRepresentation(REPRESENTATION, image)
            segment.SetLabelValue(tree.value_of(segmentId))


def setOthersApart(segmentationNode, image):
    """Give segments that people added a label map of their own, before the shared one is written anew."""
    segmentation = segmentationNode.GetSegmentation()
    for id_ in list(segmentation.GetSegmentIDs()):
        segment = segmentation.GetSegment(id_)
        if not isOurs(segment) and segment.GetRepresentation(REPRESENTATION) is image:
            segmentation.SeparateSegmentLabelmap(id_)


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
    for segmentId, segment in ownSegments(segmentationNode):
        if segmentId in tree and tree.node(segmentId) != tree.background:
            describeSegment(segment, tree, tree.node(segmentId), colors)
        else:  # with a label map of its own, removal does not go through all voxels of the shared one
            segment.AddRepresentation(REPRESENTATION, slicer.vtkOrientedImageData())
            segmentation.RemoveSegment(segmentId)


def showOnly(segmentationNode, nodeIds):
    """Make the segments of these nodes visible and hide those of other nodes."""
    display = segmentationNode.GetDisplayNode()
    shown = set(nodeIds)
    modifying = display.StartModify()
    for segmentId, _ in ownSegments(segmentationNode):
        if display.GetSegmentVisibility(segmentId) != (segmentId in shown):
            display.SetSegmentVisibility(segmentId, segmentId in shown)
    display.EndModify(modifying)
