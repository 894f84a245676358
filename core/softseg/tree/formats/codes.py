"""DICOM codes in the columns of a table, as Slicer's colour tables have them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from softseg.tree.node import Code, NodeError, Terminology

_FIELDS = {
    "Category": "category",
    "Type": "type",
    "TypeModifier": "type_modifier",
    "Region": "region",
    "RegionModifier": "region_modifier",
}
_PARTS = {"CodeValue": "value", "CodingScheme": "scheme", "CodeMeaning": "meaning"}
CODE_COLUMNS = tuple(f"{field}_{part}" for field in _FIELDS for part in _PARTS)
"""The columns, in the order in which they are written."""


def codes_from_row(row: Mapping[str, str], node: str) -> Terminology | None:
    """Return the codes of one row, ``None`` where all of its cells are empty.

    Raises
    ------
    NodeError: a code is incomplete, or the category or the type is missing.
    """
    codes: dict[str, Code] = {}
    for prefix, field in _FIELDS.items():
        parts = {part: row.get(f"{prefix}_{column}", "").strip() for column, part in _PARTS.items()}
        if not any(parts.values()):
            continue
        if not all(parts.values()):
            raise NodeError(f"the code {prefix} needs value, scheme and meaning", node=node)
        codes[field] = Code(**parts)
    if not codes:
        return None
    if "category" not in codes or "type" not in codes:
        raise NodeError("terminology needs a Category and a Type", node=node)
    return Terminology(**codes)


def codes_to_row(terminology: Terminology | None) -> list[str]:
    """Return the cells of :data:`CODE_COLUMNS`."""
    if terminology is None:
        return [""] * len(CODE_COLUMNS)
    cells: list[str] = []
    for field in _FIELDS.values():
        code: Code | None = getattr(terminology, field)
        cells += [getattr(code, part) if code is not None else "" for part in _PARTS.values()]
    return cells


def terminology_of_tag(text: str) -> Terminology | None:
    """Return the codes of Slicer's tag ``TerminologyEntry`` of a segment; ``None`` where it holds none.

    The tag is ``context~category~type~modifier~context~region~modifier``, each code ``scheme^value^meaning``.
    """
    parts = text.split("~")
    parts += [""] * (7 - len(parts))
    category, type_, modifier, region, region_modifier = (_code_of_tag(parts[place]) for place in (1, 2, 3, 5, 6))
    if category is None or type_ is None:
        return None
    with contextlib.suppress(NodeError):
        return Terminology(category, type_, modifier, region, None if region is None else region_modifier)
    return None


def _code_of_tag(text: str) -> Code | None:
    scheme, value, meaning = [*text.split("^"), "", "", ""][:3]
    return Code(value, scheme, meaning or value) if scheme.strip() and value.strip() else None
