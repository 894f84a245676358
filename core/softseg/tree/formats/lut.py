"""Flat look-up tables as text: FreeSurfer colour LUT, Slicer colour table (.ctbl), ITK-SNAP label descriptions.

They hold value, name and colour of the leaves and nothing else: writing drops inner nodes, weights, ids and codes.
:mod:`softseg.tree.formats.table` reads them.
"""

from __future__ import annotations

from softseg.tree.formats.flat import color_of, leaf_names
from softseg.tree.labeltree import LabelTree

_CLEAR = "Clear Label"


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
