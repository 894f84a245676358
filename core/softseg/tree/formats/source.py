"""What all readers have in common: text from a file, and a tree from nodes that know their lines."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from softseg import texts
from softseg.errors import InputError
from softseg.spreadsheets import plain
from softseg.tree.labeltree import LabelTree
from softseg.tree.node import Color, Node, NodeError


def read_text(file: Path) -> str:
    """Return the text of a file that holds a label tree; see :func:`softseg.texts.read_text`."""
    return texts.read_text(file, "a label tree")


@contextmanager
def located(file: Path | None, line: int | None) -> Iterator[None]:
    """Add file and line to the errors about nodes that are raised inside."""
    try:
        yield
    except NodeError as error:
        raise error.at(file, line if error.line is None else error.line) from error


def build(nodes: Sequence[Node], lines: Sequence[int | None], file: Path | None, name: str) -> LabelTree:
    """Return the tree of ``nodes``; errors name the file and the line of the node."""
    try:
        return LabelTree(nodes, name)
    except NodeError as error:
        line = None if error.index is None else lines[error.index]
        raise error.at(file, line) from error


def table_rows(text: str, file: Path, delimiter: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line number (from 1) and the cells by column of every row of a table with a header; blanks are cut.

    Raises
    ------
    InputError: not a table, a repeated column, or a row whose cells are not as many as the columns.
    """
    rows = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    header: list[str] = []
    try:
        for cells in rows:
            line = rows.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = [plain(cell.strip()) for cell in cells]
                if repeated := [column for column in header if column and header.count(column) > 1]:
                    raise InputError(f"the column '{repeated[0]}' is there twice", file=file, field=f"line {line}")
                continue
            if len(cells) != len(header):
                raise InputError(f"expected {len(header)} cells, got {len(cells)}", file=file, field=f"line {line}")
            yield line, {column: plain(cell.strip()) for column, cell in zip(header, cells, strict=True)}
    except csv.Error as error:
        raise InputError(f"not a table: {error}", file=file, field=f"line {rows.line_num}") from error


def whole(text: str, what: str, node: str | None = None) -> int:
    """Return ``text`` as a whole number, also one written as ``1.0``; NodeError otherwise."""
    match = re.fullmatch(r"([+-]?[0-9]{1,18})(\.0*)?", text.strip())
    if match is None:
        raise NodeError(f"expected {what} to be a whole number, got {text.strip()!r}", node=node)
    return int(match.group(1))


def number(text: str, what: str, node: str | None = None) -> float:
    """Return ``text`` as a number; NodeError otherwise."""
    try:
        return float(text)
    except ValueError:
        raise NodeError(f"expected {what} to be a number, got {text.strip()!r}", node=node) from None


def hex_color(text: str, node: str | None = None) -> Color:
    """Return ``#rrggbb`` as red, green, blue; NodeError otherwise."""
    match = re.fullmatch(r"#?([0-9a-fA-F]{6})", text.strip())
    if match is None:
        raise NodeError(f"expected a colour like #ff8000, got {text.strip()!r}", node=node)
    red, green, blue = bytes.fromhex(match.group(1))
    return red, green, blue


def slug(name: str) -> str:
    """Return ``name`` in lower case with hyphens between its words: a readable id."""
    return re.sub(r"[\W_]+", "-", name.casefold()).strip("-") or "node"


def unique_id(wanted: str, parent: str | None, taken: set[str]) -> str:
    """Return ``wanted``, or with the parent's id in front, or with a number behind: the first that is not taken."""
    candidates = [wanted] + ([f"{parent}-{wanted}"] if parent is not None else [])
    for candidate in candidates:
        if candidate not in taken:
            return candidate
    count = 2
    while f"{candidates[-1]}-{count}" in taken:
        count += 1
    return f"{candidates[-1]}-{count}"
