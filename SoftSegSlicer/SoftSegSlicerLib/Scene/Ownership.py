"""What belongs to a result: its hidden nodes, maps and tables, each of exactly one segmentation.

Slicer copies nodes in two ways: with their references, after which two nodes refer to one tree, or without, after which
the copy has none. Either way a copy gets nodes of its own here, and a segmentation takes its own along when it goes.
"""

import uuid

import slicer

from . import HeatMap, References, SliceLayers, VolumeRendering

COPIED = (
    References.TREE,
    References.SOURCE_TREE,
    References.PARCELLATION,
    References.CORRECTIONS,
    References.LEAF_LABELS,
    References.INTERVALS,
    References.DISAGREEMENT,
    References.MASK,
)
"""What a copy of a result needs; everything else can be made again."""
MADE = (
    References.HEAT_MAP,
    References.ENTROPY,
    References.OUTLIER_SCORE,
    References.OUTLIERS,
    References.VOLUMES,
    References.COLORS,
    *References.COMPARISON,
)
SHARED = (References.INPUT, slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole())
"""What a copy refers to as the original does: the scan."""
_RESULT = "SoftSeg.Result"
"""On a segmentation and on all its nodes: the mark by which they are known to belong together."""
_NODE = "SoftSeg.Node"
"""On a segmentation: id of the node that was given the mark; a copy has another id."""


def settle(segmentationNode):
    """Give a segmentation that was copied from another one, in whatever way, nodes of its own.

    Does nothing where all is well. Returns whether something was copied.
    """
    mark = segmentationNode.GetAttribute(_RESULT)
    others = _others(segmentationNode)
    if mark is None:
        original = _sharing(segmentationNode, others)
        return _takeOver(segmentationNode, original) if original is not None else _claim(segmentationNode)
    original = next((other for other in others if other.GetAttribute(_RESULT) == mark and _isWhole(other)), None)
    if original is None:
        if not _isWhole(segmentationNode):
            _forget(segmentationNode)
            return False
        return _claim(segmentationNode)
    if not _isWhole(segmentationNode):
        return _takeOver(segmentationNode, original)
    if _sharing(segmentationNode, [original]) is None:
        return _claim(segmentationNode, new=True)  # the same scene was loaded twice
    if segmentationNode.GetAttribute(_NODE) == segmentationNode.GetID():
        return False  # it is the original; the copy is settled in its turn
    return _takeOver(segmentationNode, original)


def settleAll(scene):
    """Do so for every segmentation of a scene, as after loading it."""
    for segmentationNode in _segmentations(scene):
        settle(segmentationNode)


def claim(segmentationNode):
    """Mark the nodes that a segmentation refers to as its own."""
    _claim(segmentationNode)


def ownedBy(segmentationNode):
    """Return the nodes that are a segmentation's alone, and what belongs to these in turn."""
    found = []
    others = _others(segmentationNode)
    for role in (*COPIED, *MADE):
        node = References.referenced(segmentationNode, role)
        if node is not None and not any(References.referenced(other, role) is node for other in others):
            found += [node, *_partsOf(node)]
    return found


def goingWith(segmentationNode):
    """Return all nodes that go when a segmentation goes; of one without a label tree none."""
    found = ownedBy(segmentationNode)
    if not found:
        return []
    others = _others(segmentationNode)
    used = [part for other in others for part in _partsOf(other)]
    found += [part for part in _partsOf(segmentationNode) if part not in used]
    colors = References.referenced(segmentationNode, References.COLORS)
    if colors is not None and any(each not in [*found, segmentationNode] for each in References.referencing(colors)):
        found = [node for node in found if node is not colors and node not in _partsOf(colors)]
    if not any(References.referenced(other, References.TREE) is not None for other in others):
        found += _ofAll(segmentationNode.GetScene())
    return found


def remove(scene, ids):
    """Remove nodes of these ids, as far as they are still there."""
    for node in map(scene.GetNodeByID, ids):
        if node is not None:
            if node.IsA("vtkMRMLVolumeNode"):
                SliceLayers.restore(node)
                SliceLayers.hideLabels(node)
            scene.RemoveNode(node)


def _ofAll(scene):
    """Return the nodes that all results of a scene use."""
    nodes = (scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes()))
    found = [node for node in nodes if node.GetAttribute(References.OF_ALL) is not None]
    return [part for node in found for part in (node, *_partsOf(node))]


def _partsOf(node):
    """Return what belongs to a map or table: contour, cloud, display and storage nodes."""
    parts = []
    contour = References.referenced(node, References.CONTOUR)
    if contour is not None:
        parts += [contour, *_partsOf(contour)]
    if node.IsA("vtkMRMLDisplayableNode"):
        for each in VolumeRendering.nodesOf(node):
            parts += [each, *References.displayAndStorageOf(each)]
    return parts + References.displayAndStorageOf(node)


def _segmentations(scene):
    count = scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    return [scene.GetNthNodeByClass(number, "vtkMRMLSegmentationNode") for number in range(count)]


def _others(segmentationNode):
    return [node for node in _segmentations(segmentationNode.GetScene()) if node is not segmentationNode]


def _sharing(segmentationNode, others):
    """Return one of the others that refers to the same tree, None where none does."""
    tree = References.referenced(segmentationNode, References.TREE)
    shared = [] if tree is None else [o for o in others if References.referenced(o, References.TREE) is tree]
    return shared[0] if shared else None


def _isWhole(segmentationNode):
    """Whether a segmentation has a tree, and one that carries its own mark."""
    tree = References.referenced(segmentationNode, References.TREE)
    return tree is not None and tree.GetAttribute(_RESULT) == segmentationNode.GetAttribute(_RESULT)


def _claim(segmentationNode, new=False):
    if References.referenced(segmentationNode, References.TREE) is None:
        return False
    mark = None if new else segmentationNode.GetAttribute(_RESULT)
    mark = mark or uuid.uuid4().hex
    for node, name, value in [
        (segmentationNode, _RESULT, mark),
        (segmentationNode, _NODE, segmentationNode.GetID()),
        *((References.referenced(segmentationNode, role), _RESULT, mark) for role in (*COPIED, *MADE)),
    ]:
        if node is not None and node.GetAttribute(name) != value:
            node.SetAttribute(name, value)
    if segmentationNode.GetUndoEnabled():
        for node in goingWith(segmentationNode):
            node.SetUndoEnabled(True)
    return False


def _forget(segmentationNode):
    """Make a copy whose original is gone a segmentation like one from a file: its segments carry the tree."""
    before = [node.GetID() for node in ownedBy(segmentationNode)]
    for role in (*COPIED, *MADE):
        References.setReference(segmentationNode, role, None)
    remove(segmentationNode.GetScene(), before)
    for name in (_RESULT, _NODE, References.GRID, References.MERGED, References.SURENESS):
        segmentationNode.RemoveAttribute(name)


def _takeOver(segmentationNode, original):
    """Give a copy nodes of its own, made from those of the original; what it had before goes."""
    scene = segmentationNode.GetScene()
    before = [node.GetID() for node in ownedBy(segmentationNode)]
    segmentationNode.RemoveAttribute(_RESULT)  # what follows tells of changes, and is not to begin again
    for role in (*COPIED, *MADE):
        References.setReference(segmentationNode, role, None)
    remove(scene, before)
    for role in COPIED:
        node = References.referenced(original, role)
        if node is not None:
            References.setReference(segmentationNode, role, _copyOf(node))
    for role in SHARED:
        References.setReference(segmentationNode, role, References.referenced(original, role))
    _partDisplay(segmentationNode, original)
    HeatMap.hide(segmentationNode)  # the map is the original's; a copy begins without one
    _claim(segmentationNode, new=True)
    return True


def _partDisplay(segmentationNode, original):
    """Give a copy a display node of its own, and no file, where it was given those of the original."""
    display = original.GetDisplayNode()
    if segmentationNode.GetDisplayNode() is None:
        segmentationNode.CreateDefaultDisplayNodes()
    if display is not None and segmentationNode.GetDisplayNode() is display:
        segmentationNode.RemoveNodeReferenceIDs(segmentationNode.GetDisplayNodeReferenceRole())
        segmentationNode.SetAndObserveDisplayNodeID(_copyOf(display).GetID())
    if original.GetStorageNode() is not None and segmentationNode.GetStorageNode() is original.GetStorageNode():
        segmentationNode.SetAndObserveStorageNodeID(None)


def _copyOf(node):
    hidden = bool(node.GetHideFromEditors())
    copy = References.addNode(node.GetScene(), node.GetClassName(), node.GetName(), hidden)
    copy.CopyContent(node)
    if node.IsA("vtkMRMLVolumeNode"):
        HeatMap.notShown(copy)
        if node.GetDisplayNode() is not None:
            copy.SetAndObserveDisplayNodeID(_copyOf(node.GetDisplayNode()).GetID())
    if node.IsA("vtkMRMLDisplayNode") and not node.IsA("vtkMRMLSegmentationDisplayNode"):
        copy.SetAndObserveColorNodeID(node.GetColorNodeID())
    return copy
