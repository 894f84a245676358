"""A tree's nodes as segments of DICOM, and codes of DICOM as a tree's."""

from __future__ import annotations

from typing import Any

from softseg import __version__
from softseg.tree import Code, Node, Terminology

MANUFACTURER = "SoftSeg"

OWN_SCHEME = "99SOFTSEG"
"""Private coding scheme of nodes without codes: the value is the node's id."""

CATEGORY = Code("123037004", "SCT", "Anatomical Structure")
"""Category of nodes without codes."""

_LONGEST = 64  # of DICOM's LO


def text_of(text: str) -> str:
    """Return text as one value of DICOM: no backslash, which separates values, and at most 64 signs."""
    return text.replace("\\", "/")[:_LONGEST].strip() or "-"


def terminology_of(node: Node) -> Terminology:
    """Return a node's codes; of a node without any, its id in our private coding scheme."""
    if node.terminology is not None:
        return node.terminology
    return Terminology(CATEGORY, Code(node.id, OWN_SCHEME, text_of(node.name)))


def description_of(node: Node, number: int, model: str, corrected: bool) -> Any:
    """Return a node as ``highdicom.seg.SegmentDescription``: name, codes, colour, and what segmented it.

    Parameters
    ----------
    node: the node.
    number: of the segment.
    model: name of the model; empty for an unknown one.
    corrected: whether people have corrected the result.
    """
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription

    codes = terminology_of(node)
    made = SegmentDescription(
        segment_number=number,
        segment_label=text_of(node.name),
        segmented_property_category=_concept(codes.category),
        segmented_property_type=_concept(codes.type),
        algorithm_type="SEMIAUTOMATIC" if corrected else "AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=text_of(model or MANUFACTURER),
            family=_concept(Code("123110", "DCM", "Artificial Intelligence")),
            version=__version__,
        ),
        anatomic_regions=None if codes.region is None else [_concept(codes.region)],
        display_color=None if node.color is None else CIELabColor.from_rgb(*node.color),
    )
    if codes.type_modifier is not None:
        made.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [
            _concept(codes.type_modifier)
        ]
    if codes.region_modifier is not None:
        made.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [_concept(codes.region_modifier)]
    return made


def terminology_of_segment(segment: Any) -> Terminology | None:
    """Return the codes of an item of ``SegmentSequence``; None where it holds none, or those of our own scheme."""
    category = _first(segment, "SegmentedPropertyCategoryCodeSequence")
    kind = _first(segment, "SegmentedPropertyTypeCodeSequence")
    code, what = _code(category), _code(kind)
    if code is None or what is None or what.scheme == OWN_SCHEME:
        return None
    region = _first(segment, "AnatomicRegionSequence")
    place = _code(region)
    return Terminology(
        code,
        what,
        _code(_first(kind, "SegmentedPropertyTypeModifierCodeSequence")),
        place,
        None if place is None else _code(_first(region, "AnatomicRegionModifierSequence")),
    )


def own_id(segment: Any) -> str:
    """Return the id of the node that we wrote as a segment without codes; empty for others."""
    found = _code(_first(segment, "SegmentedPropertyTypeCodeSequence"))
    return found.value if found is not None and found.scheme == OWN_SCHEME else ""


def _concept(code: Code) -> Any:
    from highdicom.sr import CodedConcept

    return CodedConcept(code.value, code.scheme, text_of(code.meaning))


def _first(holder: Any, name: str) -> Any:
    found = None if holder is None else holder.get(name)
    return found[0] if found else None


def _code(item: Any) -> Code | None:
    if item is None:
        return None
    value = item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue")
    scheme = item.get("CodingSchemeDesignator")
    return Code(str(value), str(scheme), str(item.get("CodeMeaning") or value)) if value and scheme else None
