"""The tree as an icicle: root on the left, leaves on the right, every node a box; as SVG that shows values on hover."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from softseg.evaluation.colors import ink_on

if TYPE_CHECKING:
    from softseg.tree import LabelTree

_FONT = 7.4
_CHARACTER = 0.545 * _FONT


@dataclass(frozen=True)
class IcicleBox:
    """What one node shows.

    Attributes
    ----------
    fill: ``#rrggbb``.
    value: short text behind the name, e.g. ``0.87``.
    hint: what appears when the pointer rests on it.
    """

    fill: str
    value: str
    hint: str


def icicle(tree: LabelTree, cells: Mapping[str, IcicleBox], width: float = 1000.0) -> Markup:
    """Return the tree as SVG; background is left out, and so are nodes without a cell and what lies below them.

    Parameters
    ----------
    tree: the tree.
    cells: by node id.
    width: units across; the height follows from the number of leaves.

    Returns
    -------
    The picture; nothing where no node has a cell.
    """
    if not cells:
        return Markup()
    leaves = [
        node.id
        for node in tree.nodes
        if node.id in cells and not any(child.id in cells for child in tree.children(node.id))
    ]
    position = {leaf: number for number, leaf in enumerate(leaves)}
    row = 10.2 if len(leaves) > 40 else 18.0
    height = max(row * len(leaves), 60.0)
    row = height / max(len(leaves), 1)
    columns = _columns(tree, cells, width)
    first, last = dict.fromkeys(cells, len(leaves)), dict.fromkeys(cells, -1)
    for leaf, place in position.items():
        for node in tree.path(leaf):
            if node.id in cells:
                first[node.id], last[node.id] = min(first[node.id], place), max(last[node.id], place)
    parts = [
        f'<svg class="icicle" viewBox="0 0 {width:g} {height:.1f}" role="img" aria-label="Tree coloured by value">'
    ]
    for node in tree.nodes:
        if node.id not in cells:
            continue
        depth = tree.depth_of(node.id)
        left = columns[depth]
        right = columns[depth + 1] if node.id not in position else width
        parts.append(_box(node.name, cells[node.id], left, right, first[node.id] * row, (last[node.id] + 1) * row))
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704  (every text in it went through escape)


def _columns(tree: LabelTree, cells: Mapping[str, IcicleBox], width: float) -> list[float]:
    """Return the left edge of every depth: columns are as wide as their longest name deserves."""
    depth = max(tree.depth_of(node) for node in cells)
    first = min(tree.depth_of(node) for node in cells)
    longest = [0.0] * (depth + 1)
    for node in tree.nodes:
        if node.id in cells:
            at = tree.depth_of(node.id)
            longest[at] = max(longest[at], 8.0 + len(node.name))
    for at in range(first, depth + 1):
        longest[at] = min(longest[at], 34.0)
    total = sum(longest)
    edges = [0.0]
    for size in longest:
        edges.append(edges[-1] + width * size / total)
    return edges


def _box(name: str, cell: IcicleBox, left: float, right: float, top: float, bottom: float) -> str:
    ink = ink_on(cell.fill)
    room = int((right - left - 6) / _CHARACTER)
    label = f"{name}  {cell.value}" if len(name) + len(cell.value) + 2 <= room else name
    label = label if len(label) <= room else label[: max(room - 1, 0)] + "…"
    text = ""
    if bottom - top >= _FONT and room >= 3:
        middle = (top + bottom) / 2 + 0.36 * _FONT
        text = f'<text x="{left + 4:.1f}" y="{middle:.1f}" fill="{ink}" font-size="{_FONT}">{escape(label)}</text>'
    return (
        f'<g><title>{escape(cell.hint)}</title><rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{bottom - top:.1f}" fill="{cell.fill}" stroke="#ffffff" stroke-width="0.7"/>{text}</g>'
    )
