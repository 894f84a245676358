"""The segments of a result: one per node of the cut with voxels, all in one shared layer, ids those of the nodes."""

from dataclasses import dataclass

import slicer
import vtk

from softseg.lookup import value_counts
from softseg.tree import node_colors

from . import Grids, TreeNode
from .TerminologyEntry import terminologyText

REPRESENTATION, SURFACE = "Binary labelmap", "Closed surface"


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


def withVoxels(tree, ids, labels):
    """Return those of some nodes that have voxels, without the background; where none has any, the first of them.

    Parameters
    ----------
    tree: LabelTree.
    ids: which nodes.
    labels: integers, label values of nodes.
    """
    counts = value_counts(labels)
    ids = [id_ for id_ in ids if tree.background is None or id_ != tree.background.id]
    present = [id_ for id_ in ids if tree.value_of(id_) < counts.size and counts[tree.value_of(id_)]]
    return present or ids[:1]


def ensureSegments(segmentationNode, tree, nodeIds, image, made=None, surfaces=None):
    """Add the segments of these nodes that are not there yet, where they belong in the order of the tree.

    Parameters
    ----------
    segmentationNode: the segmentation.
    tree: LabelTree.
    nodeIds: which nodes; the background never has a segment.
    image: the shared layer.
    made: vtkSegments to use again, by their ids; the others are new.
    surfaces: where the segmentation has surfaces, those of nodes by their ids; else Slicer would make them, each from
        the whole label map.

    Returns
    -------
    the ids of those that were added.
    """
    segmentation = segmentationNode.GetSegmentation()
    there = set(segmentation.GetSegmentIDs())
    missing = set(nodeIds) - there - ({tree.background.id} if tree.background else set())
    if not missing:
        return []
    described, following, next_ = descriptions(tree), {}, ""
    for node in reversed(tree.nodes):
        following[node.id] = next_
        next_ = node.id if node.id in there else next_
    added = []
    for node in tree.nodes:
        if node.id in missing:
            segment = (made or {}).get(node.id) or _newSegment(described[node.id])
            segment.AddRepresentation(REPRESENTATION, image)
            if surfaces is not None:
                segment.AddRepresentation(SURFACE, surfaces.get(node.id) or vtk.vtkPolyData())
            segmentation.AddSegment(segment, node.id, following[node.id])
            added.append(node.id)
    _observeLayers(segmentation, segmentation.GetSegment(added[-1]))
    return added


def _observeLayers(segmentation, segment):
    """Let a segmentation observe the label map of the segment that was added last; Slicer begins with the next change.

    Nobody else is told of that change.
    """
    event = slicer.vtkSegmentation.SegmentModified
    tag = segmentation.AddObserver(event, lambda *_: segmentation.GetCommand(tag).AbortFlagOn(), 1e6)
    try:
        segment.Modified()
    finally:
        segmentation.RemoveObserver(tag)


def _newSegment(description):
    segment = slicer.vtkSegment()
    describe(segment, description)
    return segment


def giveSurfaces(segmentationNode, surfaces):
    """Let the segments of nodes have these surfaces, by ids of nodes, and empty ones where there are no voxels."""
    for segmentId, segment in ownSegments(segmentationNode):
        segment.AddRepresentation(SURFACE, surfaces.get(segmentId) or vtk.vtkPolyData())


def keepSurfacesWhileModified(segmentationNode, image):
    """Say that the voxels of the shared layer changed, without that Slicer drops the surfaces of all segments."""
    tag = image.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: image.GetCommand(tag).AbortFlagOn(), 1e6)
    try:
        image.Modified()
    finally:
        image.RemoveObserver(tag)
    segmentation = segmentationNode.GetSegmentation()
    segmentation.InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified)
    segmentation.InvokeEvent(slicer.vtkSegmentation.RepresentationModified)


def shareLayer(segmentationNode, image, tree):
    """Let the segments of nodes have ``image`` as their label map, also those that an editor gave one of their own."""
    for segmentId, segment in ownSegments(segmentationNode):
        if segment.GetRepresentation(REPRESENTATION) is not image:
            segment.AddRepresentation(REPRESENTATION, image)
        if segment.GetLabelValue() != tree.value_of(segmentId):  # also where the image is the one that an editor made
            segment.SetLabelValue(tree.value_of(segmentId))


def setOthersApart(segmentationNode, image):
    """Give segments that people added a label map of their own, before the shared one is written anew."""
    segmentation = segmentationNode.GetSegmentation()
    for id_ in list(segmentation.GetSegmentIDs()):
        segment = segmentation.GetSegment(id_)
        if not isOurs(segment) and segment.GetRepresentation(REPRESENTATION) is image:
            segmentation.SeparateSegmentLabelmap(id_)


@dataclass(frozen=True)
class Description:
    """What the segment of a node is given by the tree.

    Attributes
    ----------
    name, value: of the node.
    color: three shares, 0..1.
    path: names from the root down to the node.
    terminology: its codes, as Slicer writes them.
    """

    name: str
    value: int
    color: tuple
    path: str
    terminology: str


def descriptions(tree):
    """Return the description of the segment of every node that may have one: all but the background."""
    colors = node_colors(tree)
    return {
        node.id: Description(
            node.name,
            tree.value_of(node.id),
            tuple(channel / 255 for channel in colors[node.id]),
            TreeNode.pathText(tree, node.id),
            terminologyText(node),
        )
        for node in tree.nodes
        if node != tree.background
    }


def describe(segment, description):
    """Give a segment what the tree says of its node."""
    segment.SetName(description.name)
    segment.SetColor(*description.color)
    segment.SetLabelValue(description.value)
    segment.SetTag(TreeNode.PATH_TAG, description.path)
    segment.SetTag(segment.GetTerminologyEntryTagName(), description.terminology)
