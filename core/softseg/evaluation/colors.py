"""Colours for the nodes of a tree, for scores and for tree distances."""

from __future__ import annotations

import colorsys
import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from softseg.tree import LabelTree

Color = tuple[int, int, int]

_LIGHT, _SATURATED = (0.52, 0.68, 0.42, 0.60), (0.62, 0.55, 0.70, 0.80)


def node_colors(tree: LabelTree) -> dict[str, Color]:
    """Return a colour (red, green, blue; 0..255) for every node.

    A node's own colour where it has one. Others share out the circle of hues from the top of the tree down, each
    branch its own part (the idea of Tennekes and de Jonge's Tree Colors, 2014), while brightness alternates between
    neighbours. Background is black.
    """
    colors: dict[str, Color] = {}
    _share_out(tree, tree.root.id, 0.0, 1.0, 0, colors)
    colors.update({node.id: node.color for node in tree.nodes if node.color is not None})
    if tree.background is not None:
        colors[tree.background.id] = (0, 0, 0)
    return colors


def _share_out(tree: LabelTree, node: str, low: float, high: float, place: int, colors: dict[str, Color]) -> None:
    hue = (low + high) / 2 if node != tree.root.id else 0.6
    red, green, blue = colorsys.hls_to_rgb(hue, _LIGHT[place % len(_LIGHT)], _SATURATED[place % len(_SATURATED)])
    colors[node] = (round(255 * red), round(255 * green), round(255 * blue))
    children = [child for child in tree.children(node) if child != tree.background]
    sizes = [math.sqrt(len(tree.leaves_under(child.id))) for child in children]
    start, width = low, (high - low) / max(sum(sizes), 1e-9)
    for number, (child, size) in enumerate(zip(children, sizes, strict=True)):
        _share_out(tree, child.id, start, start + size * width, number, colors)
        start += size * width


def as_hex(color: Color) -> str:
    """Return ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def score_color(score: float) -> str:
    """Return the colour of a score in 0..1 (red, yellow, blue: told apart by colour-blind readers); grey for nan."""
    import matplotlib as mpl

    if not math.isfinite(score):
        return "#d5d8dd"
    red, green, blue, _ = mpl.colormaps["RdYlBu"](min(max(score, 0.0), 1.0))
    return as_hex((round(255 * red), round(255 * green), round(255 * blue)))


def ink_on(background: str) -> str:
    """Return black or white, whichever is read better on a colour ``#rrggbb``."""
    red, green, blue = (int(background[n : n + 2], 16) / 255 for n in (1, 3, 5))
    return "#14181f" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.55 else "#ffffff"


def lookup(colors: list[Color]) -> npt.NDArray[np.uint8]:
    """Return ``[n + 1, 3]``: the colours, and black at index -1."""
    return np.array([*colors, (0, 0, 0)], np.uint8)
