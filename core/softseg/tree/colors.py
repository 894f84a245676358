"""A colour for every node of a tree."""

from __future__ import annotations

import colorsys
import math
from typing import TYPE_CHECKING

from softseg.tree.node import Color

if TYPE_CHECKING:
    from softseg.tree.labeltree import LabelTree

_LIGHT, _SATURATED = (0.52, 0.68, 0.42, 0.60), (0.62, 0.55, 0.70, 0.80)


def node_colors(tree: LabelTree) -> dict[str, Color]:
    """Return a colour (red, green, blue; 0..255) for every node.

    A node's own colour where it has one. Others share out the circle of hues from the top of the tree down, each
    branch its own part (the idea of Tennekes and de Jonge's Tree Colors, 2014), while brightness alternates between
    neighbours. Background is black.
    """
    colors = _shared_out(tree)
    colors.update({node.id: node.color for node in tree.nodes if node.color is not None})
    if tree.background is not None:
        colors[tree.background.id] = (0, 0, 0)
    return colors


def _shared_out(tree: LabelTree) -> dict[str, Color]:
    colors: dict[str, Color] = {}
    parts = [(tree.root.id, 0.0, 1.0, 0)]  # a list and no recursion: trees may be thousands of levels deep
    while parts:
        node, low, high, place = parts.pop()
        hue = (low + high) / 2 if node != tree.root.id else 0.6
        red, green, blue = colorsys.hls_to_rgb(hue, _LIGHT[place % len(_LIGHT)], _SATURATED[place % len(_SATURATED)])
        colors[node] = (round(255 * red), round(255 * green), round(255 * blue))
        children = [child for child in tree.children(node) if child != tree.background]
        sizes = [math.sqrt(len(tree.leaves_under(child.id))) for child in children]
        start, width = low, (high - low) / max(sum(sizes), 1e-9)
        for number, (child, size) in enumerate(zip(children, sizes, strict=True)):
            parts.append((child.id, start, start + size * width, number))
            start += size * width
    return colors
