"""Indented text: two spaces a level, one node a line, ``name`` or ``name = value``; ``#`` begins a comment line.

Ids are the names. Without any value on a leaf the leaves get 1..C in order. Colours, weights and codes have no place.
"""

from __future__ import annotations

import re
from pathlib import Path

from softseg.tree.formats.source import build, located, whole
from softseg.tree.labeltree import LabelTree
from softseg.tree.node import Node, NodeError

SOUGHT = "indented text (one root, two spaces a level, `name` or `name = value`)"
"""What a reader of indented text looks for, for messages."""

_NUMBERED = re.compile(r"\d+\s+\S")
_ENDS_WITH_NUMBER = re.compile(r"\s(\d{1,9})$")
_LINE = re.compile(r"( *)(.*?)(?:\s*=\s*(.*))?")


def looks_indented(text: str) -> bool:
    """Whether a text has a line without indent and indented ones below it, or ``name = value`` alone.

    Rows that begin with a number, or several lines without indent and no value, are something else.
    """
    rows = [row for row in text.split("\n") if row.strip() and not row.lstrip().startswith("#")]
    if not rows:
        return False
    valued = any(re.search(r"=\s*\S+\s*$", row) for row in rows)
    below = not rows[0][0].isspace() and any(row[0].isspace() for row in rows[1:])
    return (valued and below) if _NUMBERED.match(rows[0].lstrip()) else (valued or below)


def read(text: str, file: Path, name: str) -> LabelTree:
    """Return the tree of an indented text.

    Raises
    ------
    InputError: a tab or an odd indent, a step of more than one level, a repeated name, a second root, a bad value,
        values on some leaves only, or leaves without values whose names begin with a number or all end with one; file,
        line and node are named.
    """
    rows: list[tuple[int, int, str, int | None]] = []
    for line, row in enumerate(text.split("\n"), start=1):
        if row.strip() and not row.lstrip().startswith("#"):
            with located(file, line):
                rows.append((line, *_row(row, rows[-1][1] if rows else -1)))
    is_leaf = [
        depth >= following[1] for (_, depth, _, _), following in zip(rows, [*rows[1:], (0, 0, "", 0)], strict=True)
    ]
    plain = all(value is None for leaf, (_, _, _, value) in zip(is_leaf, rows, strict=True) if leaf)
    if not rows:
        raise NodeError("no node in the file", file=file)
    if plain:
        _refuse_values_without_sign([row for leaf, row in zip(is_leaf, rows, strict=True) if leaf], file)
    nodes: list[Node] = []
    above: list[str] = []
    first: dict[str, int] = {}
    count = 0
    for leaf, (line, depth, label, value) in zip(is_leaf, rows, strict=True):
        count += leaf
        with located(file, line):
            if first.setdefault(label, line) != line:
                raise NodeError(
                    f"this name stands in line {first[label]} already",
                    node=label,
                    hint="in indented text the names are the ids and must differ",
                )
            if leaf and value is None and _NUMBERED.match(label):
                raise NodeError(
                    "begins with a number and has no value", node=label, hint="is that its value? write `name = value`"
                )
            parent = above[depth - 1] if depth else None
            nodes.append(Node(label, label, parent, value=count if plain and leaf else value))
        above[depth:] = [label]
    return build(nodes, [row[0] for row in rows], file, name)


def _refuse_values_without_sign(leaves: list[tuple[int, int, str, int | None]], file: Path) -> None:
    """Refuse leaves that all end with a number which is not the one they would get: ``left hippocampus 17``."""
    ends = [_ENDS_WITH_NUMBER.search(label) for _, _, label, _ in leaves]
    numbers = [int(end.group(1)) for end in ends if end is not None]
    if len(leaves) > 1 and len(numbers) == len(leaves) and numbers != list(range(1, len(leaves) + 1)):
        line, _, label, _ = leaves[0]
        raise NodeError(
            "ends with a number and has no value",
            node=label,
            line=line,
            file=file,
            hint="are these the values? write `name = value`",
        )


def _row(row: str, depth_above: int) -> tuple[int, str, int | None]:
    """Return depth, name and value of one line."""
    if "\t" in row[: len(row) - len(row.lstrip())]:
        raise NodeError("a tab in the indent", hint="use two spaces a level")
    match = _LINE.fullmatch(row.rstrip())
    if match is None:
        raise NodeError("expected `name` or `name = value`")
    indent, label, value = len(match.group(1)), " ".join(match.group(2).split()), match.group(3)
    if not label:
        raise NodeError("no name before '='")
    if indent % 2:
        raise NodeError(f"an indent of {indent} spaces", node=label, hint="use two spaces a level")
    if indent // 2 > depth_above + 1:
        raise NodeError(f"indented by {indent // 2 - depth_above} levels below the line above", node=label)
    return indent // 2, label, None if value is None else whole(value, "the value after '='", label)


def write(tree: LabelTree) -> str:
    """Return the tree as indented text; names and values are kept, the rest is not.

    Raises
    ------
    NodeError: two nodes have the same name, or a name holds ``=`` or begins with ``#``.
    """
    names: dict[str, str] = {}
    lines = []
    for node, depth in zip(tree.nodes, tree.depths, strict=True):
        if node.name in names:
            raise NodeError(
                f"indented text needs names that differ, and '{names[node.name]}' is named '{node.name}' too",
                node=node.id,
                hint="rename it or use JSON",
            )
        if node.name.startswith("#"):
            raise NodeError("in indented text a name with '#' in front is a comment", node=node.id, hint="use JSON")
        if "=" in node.name:
            raise NodeError("indented text cannot hold a name with '='", node=node.id, hint="rename it or use JSON")
        names[node.name] = node.id
        value = "" if node.value is None else f" = {node.value}"
        lines.append("  " * int(depth) + node.name + value)
    return "\n".join(lines) + "\n"
