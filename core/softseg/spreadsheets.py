"""CSV tables that people open in a spreadsheet, and that we read again: no cell of ours is ever taken for a formula.

Names of structures and cases come from files, and Excel and LibreOffice calculate a cell that begins with ``=``, ``+``,
``-``, ``@``, a tab or a carriage return. Such a cell is written with an apostrophe before it, the sign by which
spreadsheets know text; numbers stay as they are. :func:`read_rows` and :func:`plain` take the apostrophe off again, so
what was written is what is read, also where a text began with apostrophes of its own.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Protocol, TextIO

from softseg.errors import InputError

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")


def guarded(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula: the value itself, or its text behind an apostrophe."""
    if not isinstance(value, str) or not _FORMULA.match(value) or _is_number(value):
        return value
    return f"'{value}"


def plain(text: str) -> str:
    """Return the text that :func:`guarded` was given."""
    return text[1:] if _GUARDED.match(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text == text.strip()


def write_cells(stream: TextIO, rows: Iterable[Sequence[Any]], line_end: str = "\r\n") -> None:
    """Write rows of cells as CSV into a file that was opened with ``newline=""``."""
    writer = csv.writer(stream, lineterminator=line_end)
    writer.writerows([guarded(cell) for cell in row] for row in rows)


def write_rows(stream: TextIO, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a header and a row for each mapping; what is no column is left out, what is missing stays empty."""
    write_cells(stream, [columns])
    write_cells(stream, ([row.get(column, "") for column in columns] for row in rows))


def rounded(value: Any) -> Any:
    """Return a number as text with six digits, empty where it is not finite; anything else as it is."""
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return value


def read_rows(stream: TextIO) -> Iterator[dict[str, str]]:
    """Yield the rows of a table that :func:`write_rows` wrote, cells by column."""
    rows = reading(csv.reader(stream), getattr(stream, "name", None))
    header = [plain(cell) for cell in next(rows, [])]
    for cells in rows:
        if cells:
            yield dict(zip(header, map(plain, cells), strict=False))


class _Reader(Protocol):
    """What :func:`csv.reader` returns."""

    @property
    def line_num(self) -> int: ...

    def __iter__(self) -> Iterator[list[str]]: ...


def reading(reader: _Reader, file: str | PathLike[str] | None) -> Iterator[list[str]]:
    """Yield the rows of a :func:`csv.reader`.

    Raises
    ------
    InputError: a row is none (a cell without end, longer than 128 KiB).
    """
    try:
        yield from reader
    except csv.Error as error:
        raise InputError(f"not a table: {error}", file=file, field=f"line {reader.line_num}") from error
