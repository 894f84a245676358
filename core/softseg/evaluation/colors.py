"""Colours for the nodes of a tree, for scores and for tree distances."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from softseg.tree import node_colors
from softseg.tree.node import Color

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

__all__ = ["Color", "as_hex", "ink_on", "lookup", "node_colors", "score_color"]


def as_hex(color: Color) -> str:
    """Return ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def score_color(score: float) -> str:
    """Return the colour of a score in 0..1 (red, yellow, blue: distinct for colour-blind readers); grey for nan."""
    if not math.isfinite(score):
        return "#d5d8dd"
    red, green, blue, _ = _score_colors()(min(max(score, 0.0), 1.0))
    return as_hex((round(255 * red), round(255 * green), round(255 * blue)))


@cache
def _score_colors() -> Colormap:
    import matplotlib as mpl

    return mpl.colormaps["RdYlBu"]  # a copy of all its colours at each look-up


def ink_on(background: str) -> str:
    """Return black or white, whichever is read better on a colour ``#rrggbb``."""
    red, green, blue = (int(background[n : n + 2], 16) / 255 for n in (1, 3, 5))
    return "#14181f" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.55 else "#ffffff"


def lookup(colors: list[Color]) -> npt.NDArray[np.uint8]:
    """Return ``[n + 1, 3]``: the colours, and black at index -1."""
    return np.array([*colors, (0, 0, 0)], np.uint8)
