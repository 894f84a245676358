"""Which segments a result has: those of the cut that is shown, and changes of them that Slicer hears of all at once."""

import contextlib

import slicer

from . import SegmentLooks, Segments, TreeNode

_MOVE = 10
"""Where Slicer lists segments, one more in the middle takes as long as so many that are put back at the end."""


def bringTo(segmentationNode, tree, nodeIds, image, surfaces=None):
    """Let the segments of nodes be those of ``nodeIds``, in the order of the tree; those that people added stay.

    Observers hear of all that goes at once, and then of all that comes at once. What people set for a segment is
    remembered when it goes, and is there again when it comes back.

    Parameters
    ----------
    segmentationNode: the segmentation.
    tree: LabelTree.
    nodeIds: which nodes; the background never has a segment.
    image: the shared layer.
    surfaces: where surfaces are shown, those of nodes by their ids.
    """
    ids = set(nodeIds) - ({tree.background.id} if tree.background else set())
    wanted = [node.id for node in tree.nodes if node.id in ids]
    stale = _stale(segmentationNode)
    there = [segmentId for segmentId, _ in Segments.ownSegments(segmentationNode)]
    staying = [segmentId for segmentId in there if segmentId in ids and segmentId not in stale]
    back = _putBack(staying, wanted)
    gone = [segmentId for segmentId in there if segmentId not in staying or segmentId in back]
    taken = {}
    if gone:
        with batch(segmentationNode):
            SegmentLooks.remember(segmentationNode, tree, [id_ for id_ in gone if id_ not in stale])
            taken = _remove(segmentationNode, gone)
    if len(staying) - len(back) < len(wanted):
        with batch(segmentationNode):
            made = {id_: segment for id_, segment in taken.items() if id_ in back}
            added = Segments.ensureSegments(segmentationNode, tree, wanted, image, made, surfaces)
            SegmentLooks.recall(segmentationNode, added)


def update(segmentationNode, tree, before):
    """Bring every segment to an edited tree; segments of nodes that are gone are removed.

    What people set for a segment stays where both trees say the same of its node.

    Parameters
    ----------
    segmentationNode: the segmentation.
    tree: the edited LabelTree.
    before: the LabelTree before the edit.
    """
    old, new = Segments.descriptions(before), Segments.descriptions(tree)
    changed = {id_ for id_, description in new.items() if old.get(id_) != description}
    own = Segments.ownSegments(segmentationNode)
    with batch(segmentationNode):
        for segmentId, segment in own:
            if segmentId in changed:
                Segments.describe(segment, new[segmentId])
        _remove(segmentationNode, [segmentId for segmentId, _ in own if segmentId not in new])
        SegmentLooks.followTree(segmentationNode, changed, tree)


@contextlib.contextmanager
def batch(segmentationNode):
    """Let observers of a segmentation node hear of each kind of change once, at the end."""
    modifying = segmentationNode.StartModify()
    try:
        yield
    finally:
        segmentationNode.EndModify(modifying)


def _remove(segmentationNode, ids):
    """Remove segments of nodes and return them by their ids; the voxels of the shared layer stay as they are."""
    segmentation = segmentationNode.GetSegmentation()
    taken = {id_: segmentation.GetSegment(id_) for id_ in ids}
    for id_, segment in taken.items():
        # with a label map of its own, removal does not go through all voxels of the shared one
        segment.AddRepresentation(Segments.REPRESENTATION, slicer.vtkOrientedImageData())
        segmentation.RemoveSegment(id_)
    return taken


def _putBack(staying, wanted):
    """Return the segments to take off and put back at the end, because too many come before them.

    Slicer looks through its whole list for every segment that comes in the middle of it.
    """
    there = set(staying)
    first = next((place for place, id_ in enumerate(wanted) if id_ not in there), len(wanted))
    tail = [id_ for id_ in wanted[first:] if id_ in there]
    if not tail:
        return []
    before = wanted[first : wanted.index(tail[-1])]
    inTheMiddle = sum(id_ not in there for id_ in before)
    return tail if inTheMiddle * _MOVE > len(tail) else []


def _stale(segmentationNode):
    """Return the segments that earlier versions left hidden when their nodes were folded."""
    shown, display = TreeNode.cutIds(segmentationNode), segmentationNode.GetDisplayNode()
    if shown is None or display is None:
        return set()
    others = [segmentId for segmentId, _ in Segments.ownSegments(segmentationNode) if segmentId not in shown]
    return {segmentId for segmentId in others if not display.GetSegmentVisibility(segmentId)}
