"""What people set for single segments of a result: name, colour, code, opacity and so on, kept while these are folded.

Segments exist for the cut that is shown only. What differs from the tree and from Slicer's defaults stays in an
attribute of the segmentation, so that it comes back with the segment, also after the scene was saved.
"""

import json

import numpy as np

from . import References, Segments, Stored, TreeNode

_SHOWN = {
    "Visibility": True,
    "Visibility3D": True,
    "Visibility2DFill": True,
    "Visibility2DOutline": True,
    "Opacity3D": 1.0,
    "Opacity2DFill": 1.0,
    "Opacity2DOutline": 1.0,
    "Pickable": True,
}
"""Properties of a segment in the display node, and Slicer's defaults."""
_OVERRIDE, _NAME, _COLOR, _TERMINOLOGY = "OverrideColor", "name", "color", "terminology"
_DESCRIBED = (_NAME, _COLOR, _TERMINOLOGY)
_SAME_COLOR = 1e-3


def remember(segmentationNode, tree, ids):
    """Keep what people set for segments that are about to go."""
    kept, described = _read(segmentationNode), Segments.descriptions(tree)
    for id_ in ids:
        looks = _looksOf(segmentationNode, id_, described[id_]) if id_ in described else {}
        kept.pop(id_, None)
        if looks:
            kept[id_] = looks
    _write(segmentationNode, kept)


def recall(segmentationNode, ids):
    """Give segments that came back what people had set for them."""
    kept = _read(segmentationNode)
    for id_ in ids:
        if id_ in kept:
            _apply(segmentationNode, id_, kept.pop(id_))
    _write(segmentationNode, kept)


def followTree(segmentationNode, changed, tree):
    """Forget what people set for folded segments where an edit of the tree says otherwise.

    Parameters
    ----------
    segmentationNode: the segmentation.
    changed: ids of nodes that the edited tree describes otherwise: names, colours and codes that people set go.
    tree: the edited LabelTree; what belongs to nodes that are gone goes too.
    """
    kept = {id_: looks for id_, looks in _read(segmentationNode).items() if id_ in tree}
    for id_ in set(changed) & set(kept):
        kept[id_] = {name: value for name, value in kept[id_].items() if name not in _DESCRIBED}
    _write(segmentationNode, kept)


def _looksOf(segmentationNode, id_, description):
    """Return what a segment has otherwise than the tree says of its node, and than Slicer's defaults."""
    segment, display = segmentationNode.GetSegmentation().GetSegment(id_), segmentationNode.GetDisplayNode()
    looks = {}
    if segment.GetName() != description.name:
        looks[_NAME] = segment.GetName()
    if np.abs(np.array(segment.GetColor()) - description.color).max() > _SAME_COLOR:
        looks[_COLOR] = list(segment.GetColor())
    terminology = TreeNode.tagOf(segment, segment.GetTerminologyEntryTagName())
    if terminology is not None and terminology != description.terminology:
        looks[_TERMINOLOGY] = terminology
    if display is not None:
        for name, default in _SHOWN.items():
            value = getattr(display, f"GetSegment{name}")(id_)
            if value != default:
                looks[name] = value
        override = list(display.GetSegmentOverrideColor(id_))
        if min(override) >= 0:
            looks[_OVERRIDE] = override
    return looks


def _apply(segmentationNode, id_, looks):
    segment, display = segmentationNode.GetSegmentation().GetSegment(id_), segmentationNode.GetDisplayNode()
    if _NAME in looks:
        segment.SetName(looks[_NAME])
    if _COLOR in looks:
        segment.SetColor(*looks[_COLOR])
    if _TERMINOLOGY in looks:
        segment.SetTag(segment.GetTerminologyEntryTagName(), looks[_TERMINOLOGY])
    setters = {name: f"SetSegment{name}" for name in _SHOWN}
    if display is not None and (set(looks) & set(_SHOWN) or _OVERRIDE in looks):
        modifying = display.StartModify()
        for name in set(looks) & set(_SHOWN):
            getattr(display, setters[name])(id_, looks[name])
        if _OVERRIDE in looks:
            display.SetSegmentOverrideColor(id_, *looks[_OVERRIDE])
        display.EndModify(modifying)


def _read(segmentationNode):
    return Stored.optional(segmentationNode, References.LOOKS, _areLooks, {})


def _areLooks(value):
    """Whether these are dicts of what people can set, by the ids of nodes."""
    if not isinstance(value, dict) or not all(isinstance(looks, dict) for looks in value.values()):
        return False
    return all(_isLook(name, each) for looks in value.values() for name, each in looks.items())


def _isLook(name, value):
    if name in (_NAME, _TERMINOLOGY):
        return isinstance(value, str)
    if name in (_COLOR, _OVERRIDE):
        return isinstance(value, list) and len(value) == 3 and all(map(Stored.isShare, value))
    return name in _SHOWN and (isinstance(value, bool) if _SHOWN[name] is True else Stored.isShare(value))


def _write(segmentationNode, kept):
    text = json.dumps(kept, sort_keys=True) if kept else None
    if segmentationNode.GetAttribute(References.LOOKS) != text:
        segmentationNode.SetAttribute(References.LOOKS, text)
