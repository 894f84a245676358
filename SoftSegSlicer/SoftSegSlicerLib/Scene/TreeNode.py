"""The label tree of a segmentation, its cut, and what they look like: text node, attribute, segment tags."""

import functools
import json

import vtk

from softseg.errors import InputError
from softseg.tree import LabelTree

from . import References, Stored

PATH_TAG = "SoftSeg.Path"
"""Segment tag: names from the root down to the node."""
TREE_TAG, CUT_TAG = "SoftSeg.Tree", "SoftSeg.Cut"
"""Tags of one segment: tree and cut, packed, so that a .seg.nrrd file alone brings them back."""
_SEPARATOR = " > "


@functools.lru_cache(maxsize=16)
def _parsed(text):
    try:
        return LabelTree.from_json(Stored.parsed(text))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError("the label tree in the scene is damaged", hint="load the tree again") from error


def treeOf(segmentationNode, role=References.TREE):
    """Return the label tree that a segmentation refers to, None where it refers to none.

    Raises
    ------
    InputError: the text is not a label tree.
    """
    text = References.textOf(segmentationNode, role)
    return None if text is None else _parsed(text)


def writeTree(segmentationNode, tree, role=References.TREE):
    """Write a label tree into the text node that a segmentation refers to."""
    name = f"{segmentationNode.GetName()} {'tree' if role == References.TREE else 'tree before edits'}"
    References.setText(segmentationNode, role, name, json.dumps(tree.to_json(), ensure_ascii=False))


def cutOf(segmentationNode, tree):
    """Return the cut that a segmentation shows: its attribute, or the leaves where that does not fit the tree."""
    ids = cutIds(segmentationNode)
    if ids is None:
        return tree.cut_at(tree.depth)
    try:
        return tree.cut(ids)
    except ValueError:
        return carriedOver(ids, tree)


def cutIds(segmentationNode):
    """Return the ids of the cut that a segmentation shows, as they were written; None where none was."""
    return Stored.optional(segmentationNode, References.CUT, Stored.areTexts, None)


def carriedOver(ids, tree):
    """Return the cut of an edited tree that is nearest to the cut of these ids: what is gone is opened."""
    wanted = {id_ for id_ in ids if id_ in tree}
    nodes = []
    stack = [tree.root]
    while stack:
        node = stack.pop()
        if node.id in wanted or tree.is_leaf(node.id):
            nodes.append(node.id)
        else:
            stack.extend(reversed(tree.children(node.id)))
    return tree.cut(nodes)


def writeCut(segmentationNode, cut):
    """Remember the cut that a segmentation shows, also in a file of its own, where references are not kept."""
    ids = [node.id for node in cut.nodes]
    segmentationNode.SetAttribute(References.CUT, json.dumps(ids))
    tree = References.textOf(segmentationNode, References.TREE)
    segmentation = segmentationNode.GetSegmentation()
    segments = [segmentation.GetNthSegment(position) for position in range(segmentation.GetNumberOfSegments())]
    carrier = next((segment for segment in segments if tagOf(segment, PATH_TAG) is not None), None)
    if carrier is None or tagOf(carrier, TREE_TAG) is None:
        dropCarried(segmentationNode)
    if carrier is not None:
        _setTag(carrier, TREE_TAG, _packed(tree))
        _setTag(carrier, CUT_TAG, _packed(json.dumps(ids)))


def _setTag(segment, name, value):
    """Set a tag that nobody looks at, and tell nobody: to hear of it would cost Slicer more than a fold does."""
    if tagOf(segment, name) == value:
        return
    first = segment.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: segment.GetCommand(first).AbortFlagOn(), 1e6)
    try:
        segment.SetTag(name, value)
    finally:
        segment.RemoveObserver(first)


def dropCarried(segmentationNode):
    """Take tree and cut off the segments."""
    carrier = _carrier(segmentationNode)
    if carrier is not None:
        carrier.RemoveTag(TREE_TAG)
        carrier.RemoveTag(CUT_TAG)


def structure(tree):
    """Return what of a tree decides which voxels its nodes have: everything but names, colours, weights and codes."""
    return [(node.id, node.parent, node.value) for node in tree.nodes]


def asCut(tree, cut):
    """Return a cut of ``tree`` from a level, a cut (also of an equal tree) or node ids.

    Raises
    ------
    InputError: no such level or node, or the nodes are no cut of the tree.
    """
    if isinstance(cut, int):
        return tree.cut_at(cut)
    nodes = getattr(cut, "nodes", None)
    return tree.cut([node.id for node in nodes] if nodes is not None else cut)


def pathText(tree, nodeId):
    """Return the names from the root down to a node."""
    return _SEPARATOR.join(node.name for node in tree.path(nodeId))


def tagOf(segment, name):
    """Return a tag of a segment, None where it has none."""
    value = vtk.mutable("")
    return str(value) if segment.GetTag(name, value) else None


@functools.lru_cache(maxsize=8)
def _packed(text):
    return Stored.packed(text)


def carriesTree(segmentationNode):
    """Whether the segments of a node bring a tree with them."""
    return _carrier(segmentationNode) is not None


def restoreTree(segmentationNode):
    """Take tree and cut from the segments of a node that was read from a file of its own.

    Raises
    ------
    InputError: they are damaged, or no cut.
    """
    carrier = _carrier(segmentationNode)
    try:
        tree = _parsed(Stored.unpacked(tagOf(carrier, TREE_TAG)))
        ids = Stored.parsed(Stored.unpacked(tagOf(carrier, CUT_TAG) or ""))
        if not Stored.areTexts(ids):
            raise ValueError("a cut is a list of ids")
        cut = tree.cut(ids)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError("the label tree that this segmentation carries is damaged", hint="choose a tree") from error
    writeTree(segmentationNode, tree)
    writeCut(segmentationNode, cut)


def _carrier(segmentationNode):
    segmentation = segmentationNode.GetSegmentation()
    for position in range(segmentation.GetNumberOfSegments()):
        if tagOf(segmentation.GetNthSegment(position), TREE_TAG) is not None:
            return segmentation.GetNthSegment(position)
    return None
