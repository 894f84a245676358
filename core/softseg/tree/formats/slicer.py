"""Slicer's colour table as CSV: label value, name, colour and DICOM codes of the leaves.

Two more columns, which Slicer skips, keep the tree: ``NodeId`` (id of the leaf) and ``NodePath`` (names from the root
down to its parent). Tables without them read to a root with leaves.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from softseg.spreadsheets import write_cells
from softseg.tree.formats.codes import CODE_COLUMNS, codes_to_row
from softseg.tree.formats.flat import color_of, leaf_names, path_cell
from softseg.tree.labeltree import LabelTree

_COLORS = ("Color_R", "Color_G", "Color_B")
_COLUMNS = ("LabelValue", "Name", *_COLORS, "Color_A", *CODE_COLUMNS, "NodeId", "NodePath")


def write_csv(tree: LabelTree) -> str:
    """Return the leaves as a Slicer colour table; values, names, colours, codes and paths are kept, weights are not."""
    rows: list[Sequence[Any]] = [_COLUMNS]
    for leaf, name in zip(tree.leaves, leaf_names(tree), strict=True):
        label = name.replace('"', "'")  # Slicer's reader knows no quotation marks inside a cell
        alpha = 255 if leaf.value else 0
        codes = codes_to_row(leaf.terminology)
        rows.append([leaf.value, label, *color_of(leaf), alpha, *codes, leaf.id, path_cell(tree, leaf)])
    stream = io.StringIO()
    write_cells(stream, rows, "\n")
    return stream.getvalue()
