"""What the flat formats share: a root with leaves, and, where a table has room for it, the path of every leaf."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from softseg.tree.formats.source import build, located, slug, unique_id
from softseg.tree.labeltree import LabelTree
from softseg.tree.node import Color, Node, NodeError, Terminology

ROOT = "root"
"""Id of the root that a flat table is hung under."""
SEPARATOR = " > "
"""Between the names of a path in one cell."""


@dataclass(frozen=True)
class Label:
    """One row of a flat table.

    Attributes
    ----------
    line: line of the file, from 1.
    value, name, color, terminology: of the leaf.
    id: of the leaf, where the table gives it.
    path: names from the root down to the leaf's parent, where the table gives them.
    short: the abbreviation beside the name, where the table has one.
    """

    line: int
    value: int
    name: str
    color: Color | None = None
    terminology: Terminology | None = None
    id: str = ""
    path: tuple[str, ...] = ()
    short: str = ""

    def is_alias_of(self, other: Label) -> bool:
        """Whether this row names the structure of another once more, of the same value, place and colour.

        Either all is the same, or the colour is given and the short names are one or one name begins with the other
        (``Left-Thalamus-Proper``).
        """
        if (self.path, self.color, self.terminology) != (other.path, other.color, other.terminology):
            return False
        begins = self.name.startswith(other.name) or other.name.startswith(self.name)
        return self.name == other.name or (self.color is not None and (begins or self.short == other.short != ""))


def tree_of(labels: Sequence[Label], file: Path, name: str) -> LabelTree:
    """Return the tree of flat labels: leaves under one root, or under the paths that the table gives.

    The ids of leaves are given or made of their names; those of inner nodes are made of their names. A row that names
    a structure once more is passed over, see :meth:`Label.is_alias_of`.

    Raises
    ------
    NodeError: no label, a repeated id or value, or paths that do not begin at one root; file and line are named.
    """
    if not labels:
        raise NodeError("no label in the file", file=file)
    nodes: list[Node] = []
    lines: list[int | None] = []
    taken = {label.id for label in labels if label.id}
    inner: dict[tuple[str, ...], str] = {}
    top = next((label.path[:1] for label in labels if label.path), ())
    if not top:
        top = (name or ROOT,)
        inner[top] = unique_id(ROOT, None, taken)
        taken.add(inner[top])
        nodes.append(Node(inner[top], top[0], None))
        lines.append(None)
    first: dict[int, Label] = {}
    for label in labels:
        with located(file, label.line):
            before = first.setdefault(label.value, label)
            if before is not label:
                if label.is_alias_of(before):
                    continue
                raise NodeError(
                    f"label value {label.value} already belongs to node '{before.name}' of line {before.line}",
                    node=label.name,
                    hint="a value can have one name",
                )
            parent = _inner(label.path or top, inner, taken, nodes, lines, label.line)
            id_ = label.id or unique_id(slug(label.name), None, taken)
            taken.add(id_)
            nodes.append(Node(id_, label.name, parent, 1.0, label.color, label.value, label.terminology))
            lines.append(label.line)
    return build(nodes, lines, file, name)


def _inner(
    path: tuple[str, ...],
    known: dict[tuple[str, ...], str],
    taken: set[str],
    nodes: list[Node],
    lines: list[int | None],
    line: int,
) -> str:
    """Return the id of the inner node at ``path``; it and what is above it are made where they are new."""
    for depth in range(1, len(path) + 1):
        here, above = path[:depth], known.get(path[: depth - 1])
        if here not in known:
            known[here] = unique_id(slug(here[-1]), above, taken)
            taken.add(known[here])
            nodes.append(Node(known[here], here[-1], above))
            lines.append(line)
    return known[path]


def leaf_names(tree: LabelTree) -> list[str]:
    """Return one name per leaf, in tree order: its name, or its id where several leaves share the name."""
    count = Counter(leaf.name for leaf in tree.leaves)
    return [leaf.name if count[leaf.name] == 1 else leaf.id for leaf in tree.leaves]


def path_cell(tree: LabelTree, leaf: Node) -> str:
    """Return the names from the root down to the leaf's parent, in one cell.

    Raises
    ------
    NodeError: a name holds the separator.
    """
    names = [node.name for node in tree.path(leaf.id)[:-1]]
    for name in names:
        if SEPARATOR in name:
            raise NodeError(f"this format cannot hold a name with '{SEPARATOR}'", node=leaf.id, hint="use JSON")
    return SEPARATOR.join(names)


def color_of(leaf: Node) -> Color:
    """Return the colour of a leaf; black for background and mid grey for others that have none."""
    return leaf.color or ((0, 0, 0) if leaf.value == 0 else (128, 128, 128))
