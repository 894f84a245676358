"""Flat look-up tables as text: FreeSurfer colour LUT, Slicer colour table (.ctbl), ITK-SNAP label descriptions.

They hold value, name and colour of the leaves and nothing else: reading gives a root with leaves, and writing drops
inner nodes, weights, ids and terminology.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from softseg.tree.formats.flat import Label, color_of, leaf_names, tree_of
from softseg.tree.formats.source import located, whole
from softseg.tree.labeltree import LabelTree
from softseg.tree.node import Color, NodeError

_ROW = re.compile(r"\s*\S+\s+\S+(\s+[+-]?\d+){4}\s*")
_SNAP_ROW = re.compile(r'\s*(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+"(.*)"\s*')
_CTBL_HEADER = re.compile(r"#\s*Color table file", re.IGNORECASE)
_CLEAR = "Clear Label"


def detect(text: str) -> str | None:
    """Return which of these formats a text has, ``None`` if it is none of them."""
    first = next((line for _, line in _rows(text)), "")
    if _SNAP_ROW.fullmatch(first):
        return "itk-snap"
    if _ROW.fullmatch(first):
        return "ctbl" if _CTBL_HEADER.match(text.lstrip()) else "freesurfer"
    return None


def _rows(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of every line that is neither empty nor a comment."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line


def _color(cells: list[str], node: str) -> Color:
    channels = [whole(cell, "a colour channel", node) for cell in cells]
    if not all(0 <= channel <= 255 for channel in channels):
        raise NodeError(f"expected colour channels 0..255, got {' '.join(cells)}", node=node)
    return channels[0], channels[1], channels[2]


def _read_columns(text: str, file: Path, name: str, underscores: bool) -> LabelTree:
    labels = []
    for line, row in _rows(text):
        with located(file, line):
            cells = row.split()
            if len(cells) != 6:
                raise NodeError(f"expected value, name, red, green, blue, alpha; got {len(cells)} cells")
            value, label = whole(cells[0], "the label value", cells[1]), cells[1]
            color = _color(cells[2:5], label)
            whole(cells[5], "alpha", label)
            labels.append(Label(line, value, label.replace("_", " ").strip() or label if underscores else label, color))
    return tree_of(labels, file, name)


def read_freesurfer(text: str, file: Path, name: str) -> LabelTree:
    """Return a root with the leaves of a FreeSurfer LUT (value, name, red, green, blue, alpha).

    Raises
    ------
    InputError: a row has not six cells, a bad number or colour, or repeats a value; file, line and label are named.
    """
    return _read_columns(text, file, name, underscores=False)


def read_ctbl(text: str, file: Path, name: str) -> LabelTree:
    """Return a root with the leaves of a Slicer colour table; underscores in names are blanks, as in Slicer.

    Raises
    ------
    InputError: as for :func:`read_freesurfer`.
    """
    return _read_columns(text, file, name, underscores=True)


def read_itk_snap(text: str, file: Path, name: str) -> LabelTree:
    """Return a root with the leaves of ITK-SNAP's label descriptions (value, colour, alpha, visibility, name).

    Raises
    ------
    InputError: as for :func:`read_freesurfer`.
    """
    labels = []
    for line, row in _rows(text):
        with located(file, line):
            match = _SNAP_ROW.fullmatch(row)
            if match is None:
                raise NodeError('expected value, red, green, blue, alpha, visibility, mesh and "name"')
            cells, label = list(match.groups())[:7], " ".join(match.group(8).split()) or f"label {match.group(1)}"
            value = whole(cells[0], "the label value", label)
            labels.append(Label(line, value, "background" if label == _CLEAR else label, _color(cells[1:4], label)))
    return tree_of(labels, file, name)


def _write_columns(tree: LabelTree, header: str, blank: str, opaque: int) -> str:
    lines = [header]
    for leaf, name in sorted(zip(tree.leaves, leaf_names(tree), strict=True), key=lambda pair: pair[0].value or 0):
        red, green, blue = color_of(leaf)
        alpha = opaque if leaf.value else 0
        lines.append(f"{leaf.value:<5} {blank.join(name.split()):<40} {red:<3} {green:<3} {blue:<3} {alpha}")
    return "\n".join(lines) + "\n"


def write_freesurfer(tree: LabelTree) -> str:
    """Return the leaves as a FreeSurfer LUT, by value; blanks in names become hyphens."""
    return _write_columns(tree, f"# {tree.name or 'label tree'}\n#No. Label Name: R G B A", "-", 0)


def write_ctbl(tree: LabelTree) -> str:
    """Return the leaves as a Slicer colour table, by value; blanks in names become underscores."""
    return _write_columns(tree, f"# Color table file {tree.name}\n# {len(tree.leaves)} values", "_", 255)


def write_itk_snap(tree: LabelTree) -> str:
    """Return the leaves as ITK-SNAP label descriptions, by value; double quotes in names become single ones."""
    lines = ["# ITK-SnAP Label Description File", "# value, red, green, blue, alpha, visible, mesh visible, name"]
    for leaf, name in sorted(zip(tree.leaves, leaf_names(tree), strict=True), key=lambda pair: pair[0].value or 0):
        red, green, blue = color_of(leaf)
        shown = 1 if leaf.value else 0
        label = _CLEAR if leaf.value == 0 and name == "background" else name.replace('"', "'")
        lines.append(f'{leaf.value:5d} {red:5d} {green:4d} {blue:4d} {shown:8d} {shown:2d} {shown:2d}    "{label}"')
    return "\n".join(lines) + "\n"
