"""Results as plain nodes of Slicer, without anything of ours: for editing, statistics and other tools."""

import numpy as np

from . import ColorMaps, Grids, References, SegmentationBuilder, Segments, SubjectHierarchy


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
    Segments.ensureSegments(exported, tree, shown, layer)
    _sameGridAndPlace(exported, segmentationNode)
    return exported


def _sameGridAndPlace(exported, segmentationNode):
    name = SegmentationBuilder.referenceGeometryName()
    geometry = segmentationNode.GetSegmentation().GetConversionParameter(name)
    exported.GetSegmentation().SetConversionParameter(name, geometry)
    SubjectHierarchy.placeBeside(exported, segmentationNode)


def exportLabelMap(segmentationNode, tree, geometry, box, name):
    """Return a new label map volume of what is shown, on the whole grid, with a colour table of names and codes."""
    scene = References.sceneOf(segmentationNode)
    shown = Grids.arrayOf(Segments.layerOf(segmentationNode))
    array = np.zeros(geometry.shape, shown.dtype)
    array[box] = shown
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
