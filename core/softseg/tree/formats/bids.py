"""BIDS look-up table of a discrete segmentation (``*_dseg.tsv``): index, name, abbreviation, colour.

Two more columns, which BIDS allows, keep the tree: ``node_id`` and ``node_path`` (names from the root down to the
leaf's parent). Tables without them read to a root with leaves.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from softseg.errors import InputError
from softseg.tree.formats.flat import SEPARATOR, Label, leaf_names, path_cell, tree_of
from softseg.tree.formats.source import hex_color, located, table_rows, whole
from softseg.tree.labeltree import LabelTree

_MISSING = ("", "n/a")
_COLUMNS = ("index", "name", "color", "node_id", "node_path")


def read(text: str, file: Path, name: str) -> LabelTree:
    """Return the tree of a ``dseg.tsv``; the columns ``abbreviation`` and ``mapping`` are not kept.

    Raises
    ------
    InputError: no column index or name, a bad number or colour, or a repeated index; file, line and label are named.
    """
    labels = []
    for line, row in table_rows(text, file, "\t"):
        with located(file, line):
            for column in ("index", "name"):
                if column not in row:
                    raise InputError(f"expected a column {column}", file=file, field="line 1")
            label = " ".join(row["name"].split()) or f"label {row['index']}"
            color, id_, path = (row.get(column, "") for column in ("color", "node_id", "node_path"))
            labels.append(
                Label(
                    line,
                    whole(row["index"], "the index", label),
                    label,
                    None if color in _MISSING else hex_color(color, label),
                    None,
                    "" if id_ in _MISSING else id_,
                    () if path in _MISSING else tuple(path.split(SEPARATOR)),
                )
            )
    return tree_of(labels, file, name)


def write(tree: LabelTree) -> str:
    """Return the leaves as a ``dseg.tsv``; index, name, colour and path are kept, weights and codes are not."""
    stream = io.StringIO()
    table = csv.writer(stream, delimiter="\t", lineterminator="\n")
    table.writerow(_COLUMNS)
    for leaf, name in zip(tree.leaves, leaf_names(tree), strict=True):
        color = "n/a" if leaf.color is None else "#{:02X}{:02X}{:02X}".format(*leaf.color)
        table.writerow([leaf.value, name, color, leaf.id, path_cell(tree, leaf)])
    return stream.getvalue()
