"""BIDS look-up table of a discrete segmentation (``*_dseg.tsv``): index, name, abbreviation, colour.

Two more columns, which BIDS allows, keep the tree: ``node_id`` and ``node_path`` (names from the root down to the
leaf's parent). Tables without them read to a root with leaves.
"""

from __future__ import annotations

import csv
import io

from softseg.tree.formats.flat import leaf_names, path_cell
from softseg.tree.labeltree import LabelTree

_COLUMNS = ("index", "name", "color", "node_id", "node_path")


def write(tree: LabelTree) -> str:
    """Return the leaves as a ``dseg.tsv``; index, name, colour and path are kept, weights and codes are not."""
    stream = io.StringIO()
    table = csv.writer(stream, delimiter="\t", lineterminator="\n")
    table.writerow(_COLUMNS)
    for leaf, name in zip(tree.leaves, leaf_names(tree), strict=True):
        color = "n/a" if leaf.color is None else "#{:02X}{:02X}{:02X}".format(*leaf.color)
        table.writerow([leaf.value, name, color, leaf.id, path_cell(tree, leaf)])
    return stream.getvalue()
