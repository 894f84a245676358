"""Every table of labels: rows with a label value, a name and mostly a colour, in whatever columns and order.

FreeSurfer's and MRtrix's look-up tables, ITK-SNAP's label descriptions, Slicer's colour tables (text and CSV), BIDS'
``dseg.tsv``, FastSurfer's, AAL's, CAT's and what people make with a spreadsheet. A header names the columns, else their
contents do (:mod:`softseg.tree.formats.columns`). A table that has the columns ``NodeId`` and ``NodePath`` (or
``node_id`` and ``node_path``) brings its tree back; others read to a root with leaves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from softseg.errors import InputError
from softseg.tables import BLANKS, Cell, Line, Lines, delimiter_of
from softseg.tree.formats.codes import codes_from_row
from softseg.tree.formats.columns import (
    Layout,
    by_content,
    could_be_header,
    is_number,
    is_whole,
    of_header,
    of_words,
    trailing_numbers,
)
from softseg.tree.formats.flat import SEPARATOR, Label, tree_of
from softseg.tree.formats.source import hex_color, located, whole
from softseg.tree.labeltree import LabelTree
from softseg.tree.node import Color, NodeError

SOUGHT = (
    "a header with a column of label values (index, id, LabelValue, ...) and one of names (name, label, structure), "
    "or rows of value, name, red, green, blue, alpha"
)
"""What is looked for in a table, for messages."""

_MISSING = ("", "n/a", "na", "nan", "none", "-")
_ABOVE = 40  # lines in which a header is looked for
_CLEAR = "Clear Label"
_CTBL = re.compile(r"#\s*Color table file", re.IGNORECASE)
_SHOWN = {"short": "short name", "": "a number", "color": "colour"}


@dataclass(frozen=True)
class Table:
    """Rows whose columns are known.

    Attributes
    ----------
    header: names of the columns, None where they are unnamed.
    layout: their roles.
    rows: the lines that hold labels.
    blanks: whether cells end at blanks, so that names may take several.
    """

    header: tuple[str, ...] | None
    layout: Layout
    rows: tuple[Line, ...]
    blanks: bool


def looks_like_table(text: str, file: Path) -> bool:
    """Whether a text has columns of a label table, or begins with a number as their rows do."""
    lines = Lines.of(text)
    if not lines.rows:
        return False
    return _find(lines, file) is not None or re.match(r"\s*\"?\d+\"?[\s,;|]+\S", lines.rows[0][1]) is not None


def is_slicer_table(text: str) -> bool:
    """Whether a text is marked as a colour table of Slicer's, in whose names underscores are blanks."""
    return _CTBL.match(text.lstrip()) is not None


def read(text: str, file: Path, name: str, underscores: bool = False) -> LabelTree:
    """Return the tree of a table.

    Parameters
    ----------
    text, file, name: the text, the file it came from, and a name for the tree.
    underscores: whether underscores in names are blanks, as in Slicer's tables.

    Raises
    ------
    InputError: no columns of a label table; a row with other columns; a bad number or colour; a value that has two
        names. File, line and label are named.
    """
    lines = Lines.of(text)
    if not lines.rows:
        raise InputError("no label in the file", file=file)
    table = _find(lines, file)
    if table is None:
        raise InputError(
            "no columns of a label table", file=file, field=f"line {lines.rows[0][0]}", hint=f"looked for {SOUGHT}"
        )
    channels = [role for role in ("red", "green", "blue") if role not in table.layout]
    if 0 < len(channels) < 3:
        raise InputError(f"no column for {' and '.join(channels)}", file=file, field=f"line {lines.rows[0][0]}")
    rows = []
    for line in table.rows:
        with located(file, line.number):
            rows.append((line.number, _cells(line, table)))
    unit = _unit([cells for _, cells in rows])
    labels: list[Label] = []
    for number, cells in rows:
        with located(file, number):
            labels += _labels(cells, number, unit, table, underscores)
    return tree_of(labels, file, name)


def read_ctbl(text: str, file: Path, name: str) -> LabelTree:
    """Return the tree of a colour table of Slicer's: underscores in names are blanks; else as :func:`read`."""
    return read(text, file, name, underscores=True)


@lru_cache(maxsize=1)  # a file's type and content are needed one after the other
def _find(lines: Lines, file: Path) -> Table | None:
    """Return the table with the columns found, None if there are none."""
    found: dict[str, Table] = {}

    def fits(rows: Sequence[Line], delimiter: str) -> float:
        table = _columns(rows, lines, delimiter == BLANKS)
        if table is None:
            return 0.0
        found[delimiter] = table
        even = sum(len(row.cells) == len(table.layout) for row in table.rows) / max(1, len(table.rows))
        return even + sum(map(bool, table.layout)) + (table.header is not None)

    return found.get(delimiter_of(lines, fits, file))


def _columns(rows: Sequence[Line], lines: Lines, blanks: bool) -> Table | None:
    for place, line in enumerate(rows[:_ABOVE]):
        if any(is_whole(cell.text) for cell in line.cells[:1]):
            break  # rows have begun
        if not could_be_header(line.texts):
            continue
        below = rows[place + 1 :]
        width = max((len(row.cells) for row in below), default=len(line.cells))
        layout = of_words(line.texts, len(line.cells), below) or (
            of_words(line.texts, width, below) if blanks else None
        )
        even = bool(below) and all(len(row.cells) == len(line.cells) for row in below)
        if layout is None and (even if blanks else len(line.cells) > 1):
            layout = of_header(line.texts, below)
        if layout is not None and (len(layout) > 1):
            header = line.texts if len(layout) == len(line.cells) else None
            return Table(header, layout, tuple(below), blanks)
    if not blanks:
        rows = [Line(row.number, _without_empty_end(row.cells)) for row in rows]
    by_themselves = by_content(rows, lines.comments, blanks)
    return None if by_themselves is None else Table(None, by_themselves, tuple(rows), blanks)


def _without_empty_end(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    count = len(cells)
    while count and not cells[count - 1].text:
        count -= 1
    return cells[:count]


def _cells(line: Line, table: Table) -> dict[str, str]:
    """Return the texts of one row by role and, where a header names them, by column."""
    cells, layout = list(line.cells), table.layout
    while len(cells) > len(layout) and not cells[-1].text:
        cells.pop()
    if len(cells) == len(layout) - 1 and not layout[-1] and table.header is None:
        cells.append(Cell(""))  # a code that some rows lack
    if len(cells) > len(layout) and "name" in layout and table.header is None:
        cells = _fitted(cells, table)
    elif len(cells) > len(layout) and "name" in layout and table.blanks:
        cells = _joined(cells, layout)
    if len(cells) != len(layout):
        what = ", ".join(_SHOWN.get(role, role) for role in layout)
        expected = what if table.header is None else f"{len(layout)} cells as in the header"
        raise NodeError(f"expected {expected}; got {len(cells)} cells")
    found = {column: cell.text for column, cell in zip(table.header or (), cells, strict=False)}
    return found | {role: cell.text for role, cell in zip(layout, cells, strict=True) if role}


def _joined(cells: list[Cell], layout: Layout) -> list[Cell]:
    """Return the cells with all that are too many joined into the name."""
    place, extra = layout.index("name"), len(cells) - len(layout)
    words = " ".join(cell.text for cell in cells[place : place + extra + 1])
    return [*cells[:place], Cell(words), *cells[place + extra + 1 :]]


def _fitted(cells: list[Cell], table: Table) -> list[Cell]:
    """Return a row without a header that has more cells than columns in as many.

    Words go into the name. Numbers behind alpha are columns of their own (FreeSurfer 8 writes a class of tissue there),
    unless names have blanks and alpha is where other rows have it.
    """
    layout = table.layout
    place, extra = layout.index("name"), len(cells) - len(layout)
    numbers = len(layout) - 1 - place
    surplus = trailing_numbers(cells[place:]) - numbers
    if not table.blanks:
        return cells[: len(layout)] if layout[-1] == "alpha" and surplus >= extra else cells
    if layout[-1] != "alpha" or surplus <= 0:
        return cells if numbers and surplus < 0 else _joined(cells, layout)
    alphas = {row.texts[-1] for row in table.rows if trailing_numbers(row.cells[place:]) == numbers}
    blanks = any(len(row.cells) - place - trailing_numbers(row.cells[place:]) > 1 for row in table.rows)
    if blanks and cells[-1].text in alphas:
        return _joined(cells, layout)
    if not blanks or cells[-1 - surplus].text in alphas:
        kept = cells[: len(cells) - surplus]
        return _joined(kept, layout) if len(kept) > len(layout) else kept
    raise NodeError(
        f"cannot tell where the name ends and the colour begins: {' '.join(cell.text for cell in cells)}",
        hint="put names with blanks into double quotes",
    )


def _unit(rows: Sequence[Mapping[str, str]]) -> float:
    """Return what full colour is: 1 where all channels are fractions (or 0 and 1 with an alpha of 1), else 255."""
    channels = [row[role].strip() for row in rows for role in ("red", "green", "blue") if row.get(role)]
    alphas = [row["alpha"] for row in rows if row.get("alpha")]
    if not all(is_number(Cell(text)) for text in (*channels, *alphas)) or not channels:
        return 255.0
    highest = max(map(float, channels))
    if highest > 1 or highest <= 0:
        return 255.0
    fractions = any("." in text or "e" in text.casefold() for text in channels)
    return 1.0 if fractions or (bool(alphas) and max(map(float, alphas)) == 1) else 255.0


def _labels(row: Mapping[str, str], line: int, unit: float, table: Table, underscores: bool) -> list[Label]:
    """Return the label of one row, or the two of a row with a value for each side."""
    name = " ".join(row.get("name", "").split())
    name = "" if name.casefold() in _MISSING[:4] else name
    if underscores:
        name = name.replace("_", " ").strip() or name
    found = []
    for role, side in (("value", ""), ("left", "Left "), ("right", "Right ")):
        if role not in row or (side and row[role].casefold() in _MISSING):
            continue
        label = side + name if name else f"label {row[role]}"
        header = table.header
        column = header[table.layout.index(role)] if header is not None else "the label value"
        what = column if column == "LabelValue" or header is None else f"the column {column}"
        value = whole(row[role], what, label)
        path = row.get("path", "")
        found.append(
            Label(
                line,
                value,
                "background" if label == _CLEAR and value == 0 else label,
                _color(row, label, unit),
                codes_from_row(row, label),
                "" if row.get("id", "").casefold() in _MISSING else row["id"],
                () if path.casefold() in _MISSING else tuple(part for part in path.split(SEPARATOR) if part),
                row.get("short", ""),
            )
        )
    return found


def _color(row: Mapping[str, str], node: str, unit: float) -> Color | None:
    if row.get("alpha") and not is_number(Cell(row["alpha"])):
        raise NodeError(f"expected alpha to be a number, got {row['alpha']!r}", node=node)
    cell = row.get("color", "")
    if "red" not in row and cell.casefold() not in _MISSING:
        return _one_cell(cell, node)
    cells = [row.get(channel, "") for channel in ("red", "green", "blue")]
    return _channels(cells, node, unit) if any(text.casefold() not in _MISSING for text in cells) else None


def _one_cell(text: str, node: str) -> Color:
    """Return the colour of one cell: ``#rrggbb``, or three or four numbers with commas or blanks between them."""
    parts = [part for part in re.split(r"[\s,;]+", re.sub(r"(?i)^rgba?|[()\[\]]", " ", text)) if part]
    if len(parts) in (3, 4) and all(is_number(Cell(part)) for part in parts):
        fractions = all(float(part) <= 1 for part in parts) and any("." in part for part in parts)
        return _channels(parts[:3], node, 1.0 if fractions else 255.0)
    return hex_color(text, node)


def _channels(cells: Sequence[str], node: str, unit: float) -> Color:
    if unit == 1.0 and all(is_number(Cell(text)) and 0 <= float(text) <= 1 for text in cells):
        red, green, blue = (round(255 * float(text)) for text in cells)
        return red, green, blue
    red, green, blue = (whole(text, "a colour channel", node) for text in cells)
    if not all(0 <= channel <= 255 for channel in (red, green, blue)):
        raise NodeError(f"expected colour channels 0..255, got {' '.join(cells)}", node=node)
    return red, green, blue
