"""Label trees: the labels of a segmentation, their order from coarse to fine, and the files they are kept in.

Only the standard library and numpy are needed.
"""

from __future__ import annotations

from softseg.tree.colors import node_colors
from softseg.tree.cut import Cut
from softseg.tree.diff import Change
from softseg.tree.formats import FORMATS
from softseg.tree.labeltree import LabelTree
from softseg.tree.mapping import LabelMapping
from softseg.tree.node import Code, Node, NodeError, Terminology
from softseg.tree.show import diff_lines, remarks, render

__all__ = [
    "FORMATS",
    "Change",
    "Code",
    "Cut",
    "LabelMapping",
    "LabelTree",
    "Node",
    "NodeError",
    "Terminology",
    "diff_lines",
    "node_colors",
    "remarks",
    "render",
]
