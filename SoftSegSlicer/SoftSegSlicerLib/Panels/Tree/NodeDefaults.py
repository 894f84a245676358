"""What a new tree begins with; ids, names, label values and colours for nodes that a user adds."""

import colorsys
import re
from collections.abc import Iterable

from slicer.i18n import tr as _

from softseg.tree import LabelTree, Node
from softseg.tree.labels import free_values

__all__ = ["blend", "colorFor", "emptyTree", "freeValue", "shades", "uniqueId", "uniqueName"]

GOLDEN_TURN = 0.618034
"""Steps of this many turns around the colour circle never come close to each other."""


def uniqueId(tree: LabelTree, name: str, besides: str | None = None, taken: Iterable[str] = ()) -> str:
    """Return an id made from a name ("Left Pons" gives "left-pons") that no other node has.

    Parameters
    ----------
    tree: the tree.
    name: the name; letters of any script are kept.
    besides: the node that the id is for, where it is in the tree already.
    taken: further ids that must not be used.
    """
    base = re.sub(r"[^\w]+", "-", name.casefold()).strip("-_") or "node"
    used = {node.id for node in tree.nodes if node.id != besides} | set(taken)
    return next(id_ for id_ in _numbered(base, "-") if id_ not in used)


def uniqueName(tree: LabelTree, parent: str, name: str) -> str:
    """Return ``name``, with a number where a child of ``parent`` has it already."""
    used = {child.name.casefold() for child in tree.children(parent)}
    return next(candidate for candidate in _numbered(name, " ") if candidate.casefold() not in used)


def _numbered(text: str, separator: str):
    yield text
    number = 2
    while True:
        yield f"{text}{separator}{number}"
        number += 1


def freeValue(tree: LabelTree) -> int:
    """Return the label value for a new leaf (InputError where all 65535 are taken)."""
    return free_values({node.value for node in tree.nodes if node.value is not None}, 1)[0]


def colorFor(tree: LabelTree, parent: str) -> tuple[int, int, int]:
    """Return a colour unlike those of the children of ``parent``."""
    used = {child.color for child in tree.children(parent)}
    turn = len(tree.nodes) * GOLDEN_TURN
    while True:
        color = _rgb(turn % 1.0, 0.55, 0.88)
        if color not in used:
            return color
        turn += GOLDEN_TURN


def blend(colors) -> tuple[int, int, int] | None:
    """Return the mean of the colours (0..255 each) that are not ``None``; ``None`` where there is none."""
    known = [color for color in colors if color is not None]
    if not known:
        return None
    return tuple(round(sum(channel) / len(known)) for channel in zip(*known, strict=True))


def shades(color: tuple[int, int, int] | None, count: int) -> list[tuple[int, int, int] | None]:
    """Return ``count`` colours of the same hue, from lighter to darker."""
    if color is None:
        return [None] * count
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in color))
    # half of the brightness is spread around the colour's own, kept within what a screen can show
    lightest = min(1.0, value + 0.25)
    steps = [lightest - 0.5 * step / max(1, count - 1) for step in range(count)]
    return [_rgb(hue, saturation, max(0.15, step)) for step in steps]


def _rgb(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = (round(channel * 255) for channel in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue


def emptyTree() -> LabelTree:
    """Return the tree that a new one begins with: a root and the background."""
    root = Node("root", _("everything"), None)
    return LabelTree([root, Node("background", _("background"), "root", color=(0, 0, 0), value=0)])
