"""The segment that is selected in Segment Editor: it follows its voxels when a result is folded, and comes back."""

import json

from . import References, Segments, Stored


def selections(segmentationNode):
    """Return what Segment Editors have selected in a segmentation: ``[(editor node, id of a node), ...]``."""
    scene = segmentationNode.GetScene()
    if scene is None:
        return []
    count = scene.GetNumberOfNodesByClass("vtkMRMLSegmentEditorNode")
    editors = [scene.GetNthNodeByClass(number, "vtkMRMLSegmentEditorNode") for number in range(count)]
    own = {segmentId for segmentId, _ in Segments.ownSegments(segmentationNode)}
    found = [(each, each.GetSelectedSegmentID()) for each in editors if each.GetSegmentationNode() is segmentationNode]
    return [(editor, _wish(editor, segmentId)) for editor, segmentId in found if segmentId in own]


def restore(selected, segmentationNode, tree):
    """Select the same segments after a fold; where one is gone, the one that has its voxels, or the first part of it.

    Parameters
    ----------
    selected: what :func:`selections` returned before.
    segmentationNode: the segmentation.
    tree: its LabelTree.
    """
    there = [segmentId for segmentId, _ in Segments.ownSegments(segmentationNode)]
    for editor, wanted in selected:
        found = _standIn(wanted, tree, there)
        if editor.GetSelectedSegmentID() != found:
            editor.SetSelectedSegmentID(found)
        editor.SetAttribute(References.SELECTED, None if found in (wanted, None) else json.dumps([wanted, found]))


def _wish(editor, segmentId):
    """Return what people selected: the segment itself, or the one that it stands in for."""
    kept = Stored.optional(editor, References.SELECTED, Stored.areTexts, [])
    return kept[0] if len(kept) == 2 and kept[1] == segmentId else segmentId


def _standIn(wanted, tree, there):
    if wanted in there or wanted not in tree:
        return wanted if wanted in there else None
    path = [node.id for node in reversed(tree.path(wanted))]
    above = next((id_ for id_ in path if id_ in there), None)
    return above or next((id_ for id_ in there if any(node.id == wanted for node in tree.path(id_))), None)
