"""What a label tree is made of: nodes, their DICOM codes, and the error that points at one of them."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from os import PathLike
from typing import Any, TypeAlias

from softseg.errors import InputError
from softseg.identifiers import identifier

Color: TypeAlias = tuple[int, int, int]
"""Red, green, blue, each 0..255."""

MAX_VALUE = 65535
"""Largest label value: label maps are written with 16 bits."""


class NodeError(InputError):
    """Something is wrong with one node of a tree.

    Parameters
    ----------
    message, file, hint: as for :class:`softseg.errors.InputError`.
    node: id of the node.
    index: position of the node in the sequence that was given, where known; readers turn it into a line number.
    line: line of the file (from 1), where known.
    """

    def __init__(
        self,
        message: str,
        *,
        node: str | None = None,
        index: int | None = None,
        line: int | None = None,
        file: str | PathLike[str] | None = None,
        hint: str | None = None,
    ) -> None:
        self.node, self.index, self.line = node, index, line
        places = ([f"line {line}"] if line is not None else []) + ([f"node '{node}'"] if node is not None else [])
        super().__init__(message, file=file, field=", ".join(places) or None, hint=hint)

    def at(self, file: str | PathLike[str] | None, line: int | None) -> NodeError:
        """Return the same error with the place it was found at."""
        return NodeError(
            self.message, node=self.node, index=self.index, line=line, file=self.file or file, hint=self.hint
        )


@dataclass(frozen=True)
class Code:
    """One coded concept of DICOM.

    Attributes
    ----------
    value: code value, e.g. ``"85756007"``.
    scheme: coding scheme designator, e.g. ``"SCT"``.
    meaning: code meaning, e.g. ``"Tissue"``.
    """

    value: str
    scheme: str
    meaning: str

    def __post_init__(self) -> None:
        for field in ("value", "scheme", "meaning"):
            text = getattr(self, field)
            if not isinstance(text, str) or not text.strip():
                raise NodeError(f"a terminology code needs a {field}, got {text!r}")


@dataclass(frozen=True)
class Terminology:
    """The DICOM codes of a segment, as in a DICOM Segmentation object.

    Attributes
    ----------
    category: segmented property category, e.g. anatomical structure.
    type: segmented property type, e.g. hippocampus.
    type_modifier: e.g. left.
    region, region_modifier: anatomic region and its modifier.
    """

    category: Code
    type: Code
    type_modifier: Code | None = None
    region: Code | None = None
    region_modifier: Code | None = None

    def __post_init__(self) -> None:
        if self.region_modifier is not None and self.region is None:
            raise NodeError("the terminology has a region modifier but no region")


@dataclass(frozen=True)
class Node:
    """One node of a label tree.

    Attributes
    ----------
    id: stable, unique within the tree.
    name: what people read; may repeat within the tree.
    parent: id of the parent; ``None`` for the root.
    weight: length of the edge above the node, > 0; the root has no edge and its weight is not used.
    color: red, green, blue, each 0..255, or ``None``.
    value: what stands for the node in a label map, 0..65535, or ``None``; 0 is background. Leaves of a tree need one,
        an inner node may have one (a coarse annotation).
    terminology: DICOM codes, or ``None``.

    Raises
    ------
    NodeError (an InputError): one of them is not as described.
    """

    id: str
    name: str
    parent: str | None
    weight: float = 1.0
    color: Color | None = None
    value: int | None = None
    terminology: Terminology | None = None

    def __post_init__(self) -> None:
        for field in ("id", "name"):
            text = getattr(self, field)
            try:
                identifier(text)
            except ValueError as error:
                node = self.id if isinstance(self.id, str) and self.id else None
                raise NodeError(str(error).replace("expected ", f"expected {field} to be ", 1), node=node) from error
        if self.parent is not None and not isinstance(self.parent, str):
            raise NodeError(f"expected parent to be the id of a node, got {self.parent!r}", node=self.id)
        object.__setattr__(self, "weight", _weight(self.weight, self.id))
        object.__setattr__(self, "color", _color(self.color, self.id))
        object.__setattr__(self, "value", _value(self.value, self.id))
        if self.terminology is not None and not isinstance(self.terminology, Terminology):
            raise NodeError(f"expected a Terminology, got {self.terminology!r}", node=self.id)


def _weight(weight: Any, node: str) -> float:
    real = isinstance(weight, numbers.Real) and not isinstance(weight, bool)
    if not real or not math.isfinite(weight) or weight <= 0:
        raise NodeError(f"expected a weight that is a finite number above 0, got {weight!r}", node=node)
    return float(weight)


def _whole(number: Any) -> bool:
    return isinstance(number, numbers.Integral) and not isinstance(number, bool)


def _color(color: Any, node: str) -> Color | None:
    if color is None:
        return None
    if not isinstance(color, (tuple, list)) or len(color) != 3 or not all(_whole(c) and 0 <= c <= 255 for c in color):
        raise NodeError(f"expected a colour of three whole numbers 0..255, got {color!r}", node=node)
    return int(color[0]), int(color[1]), int(color[2])


def _value(value: Any, node: str) -> int | None:
    if value is None:
        return None
    if not _whole(value) or not 0 <= value <= MAX_VALUE:
        raise NodeError(f"expected a label value that is a whole number 0..{MAX_VALUE}, got {value!r}", node=node)
    return int(value)
