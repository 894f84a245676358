"""The table that pairs predictions with references (``softseg evaluate --pairs``)."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from softseg.data.cubes import file_of
from softseg.errors import InputError
from softseg.evaluation.case_names import case_name
from softseg.evaluation.pairs import Pair, Pairs
from softseg.files import exists, require_file
from softseg.spreadsheets import reading
from softseg.texts import read_text

_NEEDED, _OPTIONAL = ("prediction", "reference"), ("case", "group", "image", "mask")
_SEPARATORS = "\t;,"


def read_pairs(path: str | PathLike[str]) -> Pairs:
    """Read a table with the columns ``prediction`` and ``reference``, and if wanted case, group, image and mask.

    Cells are separated by commas, semicolons or tabs; paths are relative to the table's folder.

    Raises
    ------
    InputError: the table is missing, is none, lacks a column or a cell, names a file that is not there, or says a case
        or a pair twice; the line is named.
    """
    table = Path(path)
    rows = _rows(table)
    cases: list[Pair] = []
    lines: dict[str, int] = {}
    pairs: dict[tuple[Path, Path], int] = {}
    for line, row in rows:
        pair = _pair(row, table, line)
        for known, key, what in (
            (lines, pair.case, f"the case '{pair.case}'"),
            (pairs, (pair.prediction, pair.reference), "the same pair"),
        ):
            if key in known:  # type: ignore[operator]
                raise InputError(
                    f"{what} is in line {known[key]} already",  # type: ignore[index]
                    file=table,
                    field=f"line {line}",
                    hint="give each case a name of its own in the column case",
                )
            known[key] = line  # type: ignore[index]
        cases.append(pair)
    if not cases:
        raise InputError("the table has no rows", file=table)
    return Pairs(tuple(cases))


def _rows(table: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the rows with their line numbers, cells by column in small letters."""
    require_file(table)
    text = read_text(table, "a table of pairs")
    head = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(_SEPARATORS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=separator)
    header: list[str] = []
    found = []
    for cells in reading(reader, table):
        plain = [cell.strip() for cell in cells]
        if not any(plain):
            continue
        if not header:
            header = [cell.casefold() for cell in plain]
            _require_columns(header, table)
        elif len(plain) > len(header):
            raise InputError(
                f"expected {len(header)} cells, got {len(plain)}", file=table, field=f"line {reader.line_num}"
            )
        else:
            found.append((reader.line_num, dict(zip(header, plain, strict=False))))
    return found


def _require_columns(header: list[str], table: Path) -> None:
    known = (*_NEEDED, *_OPTIONAL)
    missing = [column for column in _NEEDED if column not in header]
    strange = [column for column in header if column not in known]
    repeated = [column for column in known if header.count(column) > 1]
    if missing or strange or repeated:
        raise InputError(
            f"expected the columns {', '.join(_NEEDED)} and, if wanted, {', '.join(_OPTIONAL)}, got "
            f"{', '.join(header)}",
            file=table,
            field="line 1",
        )


def _pair(row: Mapping[str, str], table: Path, line: int) -> Pair:
    def place(column: str) -> Path | None:
        text = row.get(column, "")
        if not text:
            return None
        found = table.parent / text
        if not exists(file_of(found)):
            raise InputError(f"no such file or folder: {found}", file=table, field=f"line {line}, {column}")
        return found

    prediction, reference = place("prediction"), place("reference")
    if prediction is None or reference is None:
        missing = "prediction" if prediction is None else "reference"
        raise InputError(f"the cell {missing} is empty", file=table, field=f"line {line}")
    case = row.get("case", "") or case_name(prediction)
    return Pair(case, prediction, reference, place("mask"), place("image"), group=row.get("group", ""))
