"""What people change of the segments of a result in Slicer's own modules: names, colours, terminology, copies."""

from softseg.errors import InputError
from softseg.tree import Code, Terminology, node_colors

from . import Segments, TreeNode
from .TerminologyEntry import terminologyText

_FIELDS = ("category", "type", "type_modifier", "region", "region_modifier")


def changedTree(segmentationNode, tree):
    """Return a tree in which the nodes of segments have the names, colours and codes that the segments have now.

    The same tree, where nobody changed any. A name that is empty, and codes that are none, change nothing.
    """
    colors = node_colors(tree)
    for id_, segment in Segments.ownSegments(segmentationNode):
        node = tree.node(id_) if id_ in tree else None
        if node is None:
            continue
        if segment.GetName() and segment.GetName().strip() != node.name.strip():
            tree = tree.rename(id_, segment.GetName())
        color = tuple(round(255 * share) for share in segment.GetColor())
        if color != tuple(colors[id_]):
            tree = tree.recolor(id_, color)
        text = TreeNode.tagOf(segment, segment.GetTerminologyEntryTagName())
        if text is not None and text != terminologyText(node):
            terminology = terminologyOf(text)
            if terminology is not None and terminology != node.terminology:
                tree = tree.with_terminology(id_, terminology)
    return tree


def terminologyOf(text):
    """Return the Terminology of a segment's tag; None where it is none."""
    parts = (text or "").split("~")
    if len(parts) != 7:
        return None
    codes = dict(zip(_FIELDS, map(_code, (*parts[1:4], *parts[5:])), strict=True))
    if codes["region"] is None:
        codes["region_modifier"] = None
    try:
        return Terminology(**codes) if codes["category"] is not None and codes["type"] is not None else None
    except InputError:
        return None


def _code(text):
    parts = text.split("^")
    return Code(parts[1], parts[0], parts[2]) if len(parts) == 3 and all(parts) else None


def releaseCopies(segmentationNode, tree):
    """Let copies of segments that people made inside a result stand for no node: they stay as they are."""
    for id_, segment in Segments.ownSegments(segmentationNode):
        if id_ not in tree:
            for tag in (TreeNode.PATH_TAG, TreeNode.TREE_TAG, TreeNode.CUT_TAG):
                segment.RemoveTag(tag)
