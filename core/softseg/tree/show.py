"""Label trees as plain text for people."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from softseg.tree.diff import changes
from softseg.tree.mirror import swapped
from softseg.tree.node import Node, Terminology

if TYPE_CHECKING:
    from softseg.tree.labeltree import LabelTree


def render(tree: LabelTree, level: int | None = None) -> str:
    """Return the tree as lines of text: branches, name, value, id where it differs, colour, weight where not 1.

    Parameters
    ----------
    level: draw only the nodes down to this depth, with the number of leaves that each cut node stands for.

    Raises
    ------
    InputError: the level is not within 0..depth.
    """
    cut = None if level is None else {node.id for node in tree.cut_at(level).nodes}
    counts = f"{len(tree.nodes)} nodes, {len(tree.leaves)} leaves, depth {tree.depth}"
    title = f"{tree.name}: {counts}" if tree.name else counts
    if level is not None and cut is not None:
        title += f"; level {level}: {len(cut)} labels"
    lines = [title]
    stack = [(tree.root, "", "")]
    while stack:
        node, head, below = stack.pop()
        folded = cut is not None and node.id in cut
        lines.append(head + describe(tree, node, folded))
        children = () if folded else tree.children(node.id)
        for child in reversed(children):
            last = child is children[-1]
            stack.append((child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  ")))
    return "\n".join(lines)


def describe(tree: LabelTree, node: Node, folded: bool = False) -> str:
    """Return one node in one line."""
    text = node.name if node.value is None else f"{node.name} = {node.value}"
    notes = [] if node.id == node.name else [node.id]
    if folded and not tree.is_leaf(node.id):
        notes.append(counted(len(tree.leaves_under(node.id)), "leaf", "leaves"))
    if node.color is not None:
        notes.append(_plain(node.color))
    if node.weight != 1.0 and node.parent is not None:
        notes.append(f"weight {node.weight:g}")
    return f"{text}  ({', '.join(notes)})" if notes else text


def remarks(tree: LabelTree) -> list[str]:
    """Return what is allowed but worth a look in a tree, one remark a line; [] where there is nothing.

    No background leaf, leaves without colour or of the same colour under one parent, inner nodes with a single child,
    leaves that name a side without their partner.
    """
    found = []
    if tree.background is None:
        found.append("no background (value 0): full supervision adds it, positive-only training needs none")
    bare = [leaf.id for leaf in tree.leaves if leaf.color is None]
    if bare:
        found.append(f"{counted(len(bare), 'leaf has', 'leaves have')} no colour: {_some(bare)}")
    twins = []
    for inner in tree.inner_nodes:
        colors = Counter(child.color for child in tree.children(inner.id) if child.color is not None)
        twins += [child.id for child in tree.children(inner.id) if child.color and colors[child.color] > 1]
    if twins:
        found.append(f"{counted(len(twins), 'node has', 'nodes have')} the colour of a sibling: {_some(twins)}")
    single = [inner.id for inner in tree.inner_nodes if len(tree.children(inner.id)) == 1]
    if single:
        found.append(f"{counted(len(single), 'node has', 'nodes have')} a single child: {_some(single)}")
    mirror = tree.mirror_permutation()
    alone = [
        leaf.id
        for index, leaf in enumerate(tree.leaves)
        if mirror[index] == index and (swapped(leaf.id), swapped(leaf.name)) != (leaf.id, leaf.name)
    ]
    if alone:
        who = counted(len(alone), "leaf names a side and has", "leaves name a side and have")
        found.append(f"{who} no partner: {_some(alone)}")
    return found


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")


def diff_lines(a: LabelTree, b: LabelTree) -> list[str]:
    """Return the differences from ``a`` to ``b``, a line each (``+`` added, ``-`` removed, ``~`` changed)."""
    lines = []
    for change in changes(a, b):
        if change.kind == "added":
            lines.append(f"+ {change.id}: {_under(change.after)}, {describe(b, change.after)}")
        elif change.kind == "removed":
            lines.append(f"- {change.id}: was {_under(change.before)}, {describe(a, change.before)}")
        elif change.kind == "order":
            lines.append(f"~ {change.id}: order of children {_plain(change.before)} -> {_plain(change.after)}")
        else:
            what = "tree" if change.kind == "tree" else change.id
            lines.append(f"~ {what}: {change.field} {_plain(change.before)} -> {_plain(change.after)}")
    return lines


def _under(node: Node) -> str:
    return "the root" if node.parent is None else f"under '{node.parent}'"


def counted(number: int, one: str, many: str) -> str:
    """Return a number with its noun, ``1 leaf`` or ``3 leaves``."""
    return f"{number} {one if number == 1 else many}"


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, Terminology):
        codes = (value.category, value.type, value.type_modifier, value.region, value.region_modifier)
        return " / ".join(code.meaning for code in codes if code is not None)
    if isinstance(value, tuple) and value and isinstance(value[0], int):
        return "#{:02x}{:02x}{:02x}".format(*value)
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:g}" if isinstance(value, float) else f"'{value}'" if isinstance(value, str) else str(value)
