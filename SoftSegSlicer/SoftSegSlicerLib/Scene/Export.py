"""Results as plain nodes of Slicer, without anything of ours: for editing, statistics and other tools."""

import numpy as np
import slicer

from . import ColorMaps, Grids, Placement, References, SegmentList, Segments, SubjectHierarchy, TreeNode


def exportSegmentation(segmentationNode, tree, cut, name):
    """Return a new segmentation with true segments of the nodes of the cut, and of coarser ones that have voxels."""
    scene = References.sceneOf(segmentationNode)
    image = Segments.layerOf(segmentationNode)
    exported = References.addNode(scene, "vtkMRMLSegmentationNode", name)
    exported.CreateDefaultDisplayNodes()
    layer = type(image)()
    layer.DeepCopy(image)
    present = np.bincount(Grids.arrayOf(layer).reshape(-1))
    shown = {node.id for node in cut.nodes}
    for node in tree.nodes:
        value = tree.value_of(node.id)
        if node.id not in shown and value < present.size and present[value]:
            shown.add(node.id)
    with SegmentList.batch(exported):
        Segments.ensureSegments(exported, tree, shown, layer)
    sameGridAndPlace(exported, segmentationNode)
    return exported


def copySegments(segmentationNode, copy):
    """Copy all segments, hidden ones as hidden, into an empty segmentation; what makes them ours is left out."""
    with SegmentList.batch(copy):
        _copyInto(segmentationNode, copy)


def _copyInto(segmentationNode, copy):
    images = {}
    for segmentId in segmentationNode.GetSegmentation().GetSegmentIDs():
        segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
        image = segment.GetRepresentation(Segments.REPRESENTATION)
        if image is None:
            continue
        if image not in images:
            images[image] = slicer.vtkOrientedImageData()
            images[image].DeepCopy(image)
        other = slicer.vtkSegment()
        other.SetName(segment.GetName())
        other.SetColor(segment.GetColor())
        other.SetLabelValue(segment.GetLabelValue())
        terminology = segment.GetTerminologyEntryTagName()
        other.SetTag(terminology, TreeNode.tagOf(segment, terminology) or "")
        other.AddRepresentation(Segments.REPRESENTATION, images[image])
        copy.GetSegmentation().AddSegment(other, segmentId)
        visible = segmentationNode.GetDisplayNode().GetSegmentVisibility(segmentId)
        if not visible:
            copy.GetDisplayNode().SetSegmentVisibility(segmentId, False)


def sameGridAndPlace(exported, segmentationNode):
    """Give a copy the reference grid, transform and place of a segmentation."""
    name = Placement.referenceGeometryName()
    geometry = segmentationNode.GetSegmentation().GetConversionParameter(name)
    exported.GetSegmentation().SetConversionParameter(name, geometry)
    SubjectHierarchy.placeBeside(exported, segmentationNode)


def exportLabelMap(segmentationNode, tree, geometry, name):
    """Return a new label map volume of what is shown, on the whole grid, with a colour table of names and codes."""
    scene = References.sceneOf(segmentationNode)
    image = Segments.layerOf(segmentationNode)
    shown = Grids.arrayOf(image)
    array = np.zeros(geometry.shape, shown.dtype)
    here, there = Grids.overlap(image, geometry, tuple(slice(0, size) for size in geometry.shape))
    array[here] = shown[there]
    volumeNode = References.addNode(scene, "vtkMRMLLabelMapVolumeNode", name)
    Grids.setArray(volumeNode, array, geometry, Segments.scalarTypeOf(tree))
    present = np.bincount(shown.reshape(-1))
    ids = [node.id for node in tree.nodes if tree.value_of(node.id) < present.size and present[tree.value_of(node.id)]]
    ids = ids or [tree.background.id if tree.background else tree.root.id]
    table = ColorMaps.writeColorTable(scene, tree, ids, f"{volumeNode.GetName()} colors")
    volumeNode.CreateDefaultDisplayNodes()
    volumeNode.GetDisplayNode().SetAndObserveColorNodeID(table.GetID())
    SubjectHierarchy.placeBeside(volumeNode, segmentationNode)
    return volumeNode
