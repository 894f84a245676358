"""The segments of a segmentation, or the labels of a label map, as items that belong to nodes of a label tree."""

from dataclasses import replace

import vtk

from softseg.errors import InputError
from softseg.tree.formats.codes import terminology_of_tag
from softseg.tree.matching import Item, match_items

from .LabelMatching import chosenOf

REFUSE, FIRST = "refuse", "first"
"""What to do with voxels of segments that contradict each other: refuse, or let the first segment have them."""
OVERLAPS = (REFUSE, FIRST)

_GENERIC = "FileGeneric"
"""Files of colours that Slicer gives to a label map that has none: nobody said that label 2 is bone."""


class ContradictionError(InputError):
    """Segments claim the same voxels although neither is an ancestor of the other in the label tree."""

    @property
    def plain(self):
        """The same without what to do, for questions."""
        return InputError(self.message, file=self.file, field=self.field)


def contradiction(overlaps, labelsNode):
    """Return the error that names what :class:`softseg.tree.overlaps.Overlaps` counted in a segmentation."""
    return ContradictionError(
        f"in '{labelsNode.GetName()}' {overlaps.note()}",
        hint="correct them in Segment Editor, or give these voxels to the first segment",
    )


def itemsOf(labelsNode, layers):
    """Return the items of a node: keys are segment ids, or the label values of a label map.

    Parameters
    ----------
    labelsNode: segmentation node, or volume node of whole numbers.
    layers: its layers (:func:`Exchange.LabelReader.layersOf`); segments without voxels are not among them.
    """
    if not isSegmentation(labelsNode):
        given = _namesAreGiven(labelsNode)
        return [_labelItem(value, name, given) for value, name in layers[0].labels if value]
    segmentation = labelsNode.GetSegmentation()
    found = {segmentId: value for layer in layers for value, segmentId in layer.labels}
    ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
    items = [_segmentItem(segmentation, segmentId, found[segmentId]) for segmentId in ids if segmentId in found]
    return [replace(item, given=False) for item in items] if _namedByATable(items, labelsNode.GetScene()) else items


def matchLabels(labelsNode, layers, tree, mapping=None):
    """Return the Matching of a node's labels with a tree.

    Parameters
    ----------
    labelsNode, layers: as for :func:`itemsOf`.
    tree: LabelTree.
    mapping: what people chose, see :func:`Exchange.LabelMatching.chosenOf`.

    Raises
    ------
    InputError: the mapping names what is not there.
    """
    items = itemsOf(labelsNode, layers)
    return match_items(items, tree, chosenOf(mapping, items, tree), numbered=isSegmentation(labelsNode))


def isSure(labelsNode, matching):
    """Whether nothing needs to be asked: all is found by name or id, or a label map has no names and fits by values.

    Segments are numbered by Slicer, so values alone are never sure of them.
    """
    if matching.open:
        return False
    ways = {match.how for match in matching.matches}
    return ways <= {"name", "id", "choice", "added", ""} or (ways == {"value"} and not isSegmentation(labelsNode))


def isSegmentation(node):
    """Whether this is a segmentation, not a label map."""
    return node.IsA("vtkMRMLSegmentationNode")


def _labelItem(value, name, given):
    return Item(value, "" if name == str(value) else name, value=value, given=given)


def _segmentItem(segmentation, segmentId, value):
    segment = segmentation.GetSegment(segmentId)
    return Item(segmentId, segment.GetName() or "", segmentId, value, _codesOf(segment))


def _codesOf(segment):
    text = vtk.mutable("")
    there = segment.GetTag(segment.GetTerminologyEntryTagName(), text)
    return terminology_of_tag(str(text)) if there else None


def _namesAreGiven(volumeNode):
    """Whether somebody gave a label map its colour table."""
    display = volumeNode.GetDisplayNode()
    colors = display.GetColorNode() if display else None
    return colors is None or not _isDefaultTable(colors)


def _isDefaultTable(colors):
    """Whether this is a table that Slicer gives to label maps that have none; it calls values as it likes.

    Slicer's own tables have a tag. Those of atlases (FreeSurfer's) are files, and nobody gets them without a choice.
    """
    tag = colors.GetSingletonTag() or ""
    return bool(tag) and (not tag.startswith("File") or tag.startswith(_GENERIC))


def _namedByATable(items, scene):
    """Whether segments have the names of their values in a default table: as when a label map was imported."""
    named = [item for item in items if not item.nameless]
    if not named or scene is None:
        return False
    tables = scene.GetNodesByClass("vtkMRMLColorTableNode")
    tables.UnRegister(None)
    for number in range(tables.GetNumberOfItems()):
        colors = tables.GetItemAsObject(number)
        if _isDefaultTable(colors) and all(
            item.value < colors.GetNumberOfColors() and colors.GetColorName(item.value) == item.name for item in named
        ):
            return True
    return False
