"""Slicer's colour table as CSV: label value, name, colour and DICOM codes of the leaves.

Two more columns, which Slicer skips, keep the tree: ``NodeId`` (id of the leaf) and ``NodePath`` (names from the root
down to its parent). Tables without them read to a root with leaves.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from softseg.errors import InputError
from softseg.tree.formats.codes import CODE_COLUMNS, codes_from_row, codes_to_row
from softseg.tree.formats.flat import SEPARATOR, Label, color_of, leaf_names, path_cell, tree_of
from softseg.tree.formats.source import located, table_rows, whole
from softseg.tree.labeltree import LabelTree
from softseg.tree.node import Color, NodeError

_COLORS = ("Color_R", "Color_G", "Color_B")
_COLUMNS = ("LabelValue", "Name", *_COLORS, "Color_A", *CODE_COLUMNS, "NodeId", "NodePath")


def is_color_table(header: Sequence[str]) -> bool:
    """Whether a CSV header is that of a Slicer colour table."""
    return "LabelValue" in [column.strip() for column in header]


def read_csv(text: str, file: Path, name: str) -> LabelTree:
    """Return the tree of a Slicer colour table (CSV, or with tabs).

    Raises
    ------
    InputError: not such a table, a bad number, colour or code, or a repeated value; file, line and label are named.
    """
    first = text.lstrip("\n").split("\n", 1)[0]
    labels = []
    for line, row in table_rows(text, file, "\t" if "\t" in first else ","):
        with located(file, line):
            if "LabelValue" not in row:
                raise InputError("expected a column LabelValue", file=file, field="line 1")
            label = " ".join(row.get("Name", "").split()) or f"label {row['LabelValue']}"
            labels.append(
                Label(
                    line,
                    whole(row["LabelValue"], "LabelValue", label),
                    label,
                    _color(row, label),
                    codes_from_row(row, label),
                    row.get("NodeId", ""),
                    tuple(part for part in row.get("NodePath", "").split(SEPARATOR) if part),
                )
            )
    return tree_of(labels, file, name)


def _color(row: dict[str, str], node: str) -> Color | None:
    cells = [row.get(column, "") for column in _COLORS]
    if not any(cells):
        return None
    red, green, blue = (whole(cell, "a colour channel", node) for cell in cells)
    if not all(0 <= channel <= 255 for channel in (red, green, blue)):
        raise NodeError(f"expected colour channels 0..255, got {' '.join(cells)}", node=node)
    return red, green, blue


def write_csv(tree: LabelTree) -> str:
    """Return the leaves as a Slicer colour table; values, names, colours, codes and paths are kept, weights are not."""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(_COLUMNS)
    for leaf, name in zip(tree.leaves, leaf_names(tree), strict=True):
        label = name.replace('"', "'")  # Slicer's reader knows no quotation marks inside a cell
        alpha = 255 if leaf.value else 0
        codes = codes_to_row(leaf.terminology)
        table.writerow([leaf.value, label, *color_of(leaf), alpha, *codes, leaf.id, path_cell(tree, leaf)])
    return stream.getvalue()
