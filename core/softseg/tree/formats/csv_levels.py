"""CSV with a column per level: ``id,name,level1,level2,...``; the tree of a spreadsheet.

A row is a leaf, or an inner node when other rows go on below it. ``value`` (or ``id`` in its place, or ``label``) holds
the label value, ``name`` the name people read, the columns that begin with ``level`` the path from the root. A name
repeated in the next column is the same node, an empty cell ends the path. Optional columns: ``node`` (id of the node),
``color`` (``#rrggbb``), ``weight``, and the DICOM codes as in :mod:`softseg.tree.formats.codes`.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from softseg.errors import InputError
from softseg.spreadsheets import write_cells
from softseg.tables import DELIMITERS
from softseg.tree.formats.codes import CODE_COLUMNS, codes_from_row, codes_to_row
from softseg.tree.formats.source import build, hex_color, located, number, slug, table_rows, unique_id, whole
from softseg.tree.labeltree import LabelTree
from softseg.tree.node import Node, NodeError

SOUGHT = "columns level1, level2, ..."
"""What a reader of levels looks for, for messages."""

_LEVEL = re.compile(r"level", re.IGNORECASE)
_VALUE_COLUMNS = ("value", "label", "id")


@dataclass
class _Entry:
    """One node while the table is read: its path, and the row that describes it (``None`` for one only passed by)."""

    path: tuple[str, ...]
    line: int
    row: dict[str, str] | None = None
    id: str = ""
    children: dict[str, _Entry] = field(default_factory=dict)


def is_levels_table(text: str) -> bool:
    """Whether the first row of a table has level columns."""
    return _header(text) is not None


def _header(text: str) -> tuple[str, list[str]] | None:
    """Return what stands between the cells and the names of the columns, None if none of them is a level."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    for delimiter in DELIMITERS:
        columns = [column.strip().strip('"') for column in first.split(delimiter)]
        if len(columns) > 1 and any(_LEVEL.match(column) for column in columns):
            return delimiter, columns
    return None


def read(text: str, file: Path, name: str) -> LabelTree:
    """Return the tree of a table with level columns.

    Ids come from the column ``node``, else they are made of the names: lower case, with hyphens.

    Raises
    ------
    InputError: no level column, two roots, a row without path, a node described twice, a bad number or colour, or
        anything that makes the tree invalid; file, line and node are named.
    """
    found = _header(text)
    if found is None:
        raise InputError(f"expected {SOUGHT}", file=file, field="line 1")
    delimiter, header = found
    roots: dict[str, _Entry] = {}
    for line, row in table_rows(text, file, delimiter):
        with located(file, line):
            _enter(row, line, roots)
    if not roots:
        raise InputError("no label in the table", file=file)
    return _tree(roots, header, file, name)


def _enter(row: dict[str, str], line: int, roots: dict[str, _Entry]) -> None:
    path = _path([" ".join(cell.split()) for column, cell in row.items() if _LEVEL.match(column)])
    siblings = roots
    for depth, name in enumerate(path, start=1):
        entry = siblings.setdefault(name, _Entry(path[:depth], line))
        siblings = entry.children
    if entry.row is not None:
        raise NodeError(f"this node is described in line {entry.line} already", node=path[-1])
    entry.row, entry.line = row, line


def _path(names: list[str]) -> tuple[str, ...]:
    while names and not names[-1]:
        names.pop()
    if not names:
        raise NodeError("no name in the level columns")
    if "" in names:
        raise NodeError("an empty cell between two levels", node=names[-1])
    return tuple(name for position, name in enumerate(names) if position == 0 or name != names[position - 1])


def _tree(roots: dict[str, _Entry], header: list[str], file: Path, name: str) -> LabelTree:
    value_column = next((column for column in _VALUE_COLUMNS if column in header), None)
    if value_column is None:
        raise InputError("expected a column 'value' (or 'id') with the label values", file=file, field="line 1")
    entries: list[_Entry] = []
    stack = list(reversed(roots.values()))
    while stack:
        entry = stack.pop()
        entries.append(entry)
        stack.extend(reversed(entry.children.values()))
    _give_ids(entries, file)
    ids = {entry.path: entry.id for entry in entries}
    nodes = []
    for entry in entries:
        with located(file, entry.line):
            nodes.append(_node(entry, ids.get(entry.path[:-1]), value_column))
    return build(nodes, [entry.line for entry in entries], file, name)


def _give_ids(entries: list[_Entry], file: Path) -> None:
    taken: set[str] = set()
    for entry in entries:
        if entry.row is not None and entry.row.get("node"):
            entry.id = entry.row["node"]
            if entry.id in taken:
                raise NodeError("this id is given twice", node=entry.id, line=entry.line, file=file)
            taken.add(entry.id)
    ids = {entry.path: entry for entry in entries}
    for entry in entries:
        if not entry.id:
            named = entry.row["name"] if entry.row is not None and entry.row.get("name") else entry.path[-1]
            above = ids.get(entry.path[:-1])
            entry.id = unique_id(slug(named), above.id if above else None, taken)
            taken.add(entry.id)


def _node(entry: _Entry, parent: str | None, value_column: str) -> Node:
    row, id_ = entry.row or {}, entry.id
    value, color, weight = row.get(value_column, ""), row.get("color", ""), row.get("weight", "")
    return Node(
        id_,
        " ".join((row.get("name") or entry.path[-1]).split()),
        parent,
        weight=number(weight, "the weight", id_) if weight else 1.0,
        color=hex_color(color, id_) if color else None,
        value=whole(value, "the label value", id_) if value else None,
        terminology=codes_from_row(row, id_),
    )


def write(tree: LabelTree) -> str:
    """Return the tree as such a table, one row a node; it keeps everything but the tree's name.

    Raises
    ------
    NodeError: a node has the name of its parent or of a sibling, which this format would take for the same node.
    """
    for node in tree.nodes:
        names = [child.name for child in tree.children(node.id)]
        for child in tree.children(node.id):
            if child.name == node.name or names.count(child.name) > 1:
                raise NodeError(
                    "a CSV of levels cannot hold a node with the name of its parent or of a sibling",
                    node=child.id,
                    hint="rename it or use JSON",
                )
    levels = [f"level{level}" for level in range(1, tree.depth + 2)]
    coded = any(node.terminology is not None for node in tree.nodes)
    rows: list[list[Any]] = [["value", "name", "node", "color", "weight", *levels, *(CODE_COLUMNS if coded else ())]]
    for node in tree.nodes:
        names = [above.name for above in tree.path(node.id)]
        rows.append(
            [
                "" if node.value is None else node.value,
                node.name,
                node.id,
                "" if node.color is None else "#{:02x}{:02x}{:02x}".format(*node.color),
                "" if node.weight == 1.0 else repr(node.weight),
                *names,
                *[""] * (len(levels) - len(names)),
                *(codes_to_row(node.terminology) if coded else ()),
            ]
        )
    stream = io.StringIO()
    write_cells(stream, rows, "\n")
    return stream.getvalue()
