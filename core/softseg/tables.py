"""Tables as people and programs write them: rows of cells, whatever stands between the cells.

A cell ends at a tab, a semicolon, a comma or a vertical line; in other tables at blanks. Quoted cells may hold any of
these. Empty lines, lines that begin with ``#``, ``%`` or ``//`` and those in ``[]`` are no rows, but a comment may name
the columns.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from softseg.errors import InputError
from softseg.spreadsheets import plain
from softseg.texts import read_text

DELIMITERS = ("\t", ";", ",", "|")
BLANKS = " "
"""Stands for any number of blanks and tabs between two cells."""

_COMMENT = re.compile(r"\s*(#|%|//|\[[^\]]*\]\s*$)")
_HEX_COLOR = re.compile(r"#[0-9a-fA-F]{6}(?![0-9a-zA-Z])")
_NUMBERED = re.compile(r"\d+[:=.)]")
_TOKEN = re.compile(r"\"([^\"]*)\"|“([^”]*)”|'([^']*)'(?=\s|$)|(\S+)")


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes
    ----------
    text: without quotation marks and blanks around it.
    gap: blanks between it and the cell before (a tab counts 8); separates columns from words where blanks end cells.
    quoted: whether it stands in quotation marks in a table of blanks, so that it is text, and one cell.
    """

    text: str
    gap: int = 0
    quoted: bool = False


@dataclass(frozen=True)
class Line:
    """One line of a table: its number (from 1) and its cells."""

    number: int
    cells: tuple[Cell, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of the cells."""
        return tuple(cell.text for cell in self.cells)


@dataclass(frozen=True)
class Lines:
    """The lines of a table that are not comments, and the comments, each with its number from 1."""

    rows: tuple[tuple[int, str], ...]
    comments: tuple[tuple[int, str], ...]

    @staticmethod
    def of(text: str) -> Lines:
        """Return the lines of a text that are not empty."""
        rows: list[tuple[int, str]] = []
        comments: list[tuple[int, str]] = []
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip():
                continue
            comment = _COMMENT.match(line) and not _HEX_COLOR.match(line.lstrip())
            (comments if comment else rows).append((number, line))
        return Lines(tuple(rows), tuple(comments))


def split(line: tuple[int, str], delimiter: str, file: Path) -> Line:
    """Return one line in cells; ``delimiter`` is one of :data:`DELIMITERS` or :data:`BLANKS`.

    Raises
    ------
    InputError: a quotation mark is not closed.
    """
    number, text = line
    if delimiter == BLANKS:
        return Line(number, tuple(_words(text)))
    try:
        cells = next(csv.reader([text], delimiter=delimiter, strict=True, skipinitialspace=True))
    except csv.Error as error:
        raise InputError(f"not a table: {error}", file=file, field=f"line {number}") from error
    return Line(number, tuple(Cell(plain(" ".join(cell.split()))) for cell in cells))


def _words(text: str) -> Iterable[Cell]:
    end = 0
    for place, match in enumerate(_TOKEN.finditer(text)):
        plain = match.group(4)
        if place > 1 and plain is not None and plain.startswith("#") and not _HEX_COLOR.match(plain):
            return  # a remark behind value and name
        gap = sum(8 if sign == "\t" else 1 for sign in text[end : match.start()])
        quoted = next((group for group in match.groups()[:3] if group is not None), None)
        if plain is not None and place == 0 and _NUMBERED.fullmatch(plain):
            plain = plain[:-1]
        if plain is None or place != 1 or plain not in ("=", ":", "-", "->", "=>"):
            yield Cell(plain if quoted is None else " ".join(quoted.split()), gap, quoted is not None)
        end = match.end()


def delimiter_of(lines: Lines, fits: Callable[[Sequence[Line], str], float], file: Path) -> str:
    """Return what ends the cells: of all that are possible, the one whose rows fit best; blanks last.

    Parameters
    ----------
    lines: of the table.
    fits: how well rows look with a delimiter, above 0 where they are possible.
    file: for messages.
    """
    best, found = 0.0, BLANKS
    for delimiter in (*DELIMITERS, BLANKS):
        if delimiter != BLANKS and 2 * sum(delimiter in text for _, text in lines.rows) < len(lines.rows):
            continue
        try:
            score = fits([split(line, delimiter, file) for line in lines.rows], delimiter)
        except InputError:
            continue
        if score > best:
            best, found = score, delimiter
    return found


def plain_column(name: str) -> str:
    """Return a column's name as it is compared: lower case, letters and digits alone."""
    return re.sub(r"[\W_]+", "", name.casefold())


@dataclass(frozen=True)
class NamedRow:
    """One row of a table with a header: its line and its cells by what was asked for; empty where there is no cell."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class NamedTable:
    """A table with a header.

    Attributes
    ----------
    columns: of the columns that were asked for, what each is called in the file.
    rows: in file order.
    """

    columns: Mapping[str, str]
    rows: tuple[NamedRow, ...]


def read_named_table(path: str | PathLike[str], wanted: Mapping[str, Sequence[str]]) -> NamedTable:
    """Read a table (CSV, TSV, with semicolons or blanks) whose first row names the columns, in any order.

    Parameters
    ----------
    path: the file.
    wanted: by what a column means, the names it may have, the likeliest first; case, blanks and signs do not matter.
        Columns that were not requested are left out.

    Raises
    ------
    InputError: not readable as text, no row, no column that was asked for, a column named twice, or a row with more or
        fewer cells than the header; file and line are named.
    """
    file = Path(path)
    lines = Lines.of(read_text(file, "a table"))
    if not lines.rows:
        raise InputError("no row in the table", file=file)

    first = Lines(lines.rows[:1], ())
    delimiter = delimiter_of(first, lambda rows, _: float(len(_named(rows[0].texts, wanted))), file)
    header = split(lines.rows[0], delimiter, file)
    places = _named(header.texts, wanted)
    if not places:
        looked = "; ".join(f"{meaning}: {', '.join(names)}" for meaning, names in wanted.items())
        raise InputError(
            f"no known column in {lines.rows[0][1].strip()!r}",
            file=file,
            field=f"line {header.number}",
            hint=f"looked for {looked}",
        )
    plain = [plain_column(text) for text in header.texts]
    for place in places.values():
        if plain.count(plain[place]) > 1:
            raise InputError(
                f"the column {header.texts[place]!r} is there twice", file=file, field=f"line {header.number}"
            )
    rows = []
    for line in lines.rows[1:]:
        cells = list(split(line, delimiter, file).texts)
        while len(cells) > len(header.cells) and not cells[-1]:
            cells.pop()
        if len(cells) != len(header.cells):
            raise InputError(
                f"expected {len(header.cells)} cells as in the header, got {len(cells)}",
                file=file,
                field=f"line {line[0]}",
            )
        rows.append(NamedRow(line[0], {meaning: cells[place] for meaning, place in places.items()}))
    return NamedTable({meaning: header.texts[place] for meaning, place in places.items()}, tuple(rows))


def _named(header: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the place of each column that was asked for, as far as there is one; no column means two things."""
    plain = [plain_column(text) for text in header]
    found: dict[str, int] = {}
    for meaning, names in wanted.items():
        for name in names:
            place = next((n for n, text in enumerate(plain) if text == plain_column(name)), None)
            if place is not None and place not in found.values():
                found[meaning] = place
                break
    return found
