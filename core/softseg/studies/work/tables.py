"""The study's long table: one row per number, with everything that identifies it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from softseg import spreadsheets
from softseg.files import write_beside


@dataclass(frozen=True)
class Result:
    """One number of one case.

    Attributes
    ----------
    density: of the annotation, ``whole`` or as the study names it.
    variant, seed, fold: of the training.
    held_out: the group of classes that it never saw; empty where it saw all.
    case, unit: the case, and the subject that it counts for in statistics (a person; a fold, for blocks).
    level: of the tree, 1 below the root; 0 for numbers that belong to no level.
    node: id, or empty for numbers of the whole level.
    score, rule: outlier score and rule of its threshold; empty without.
    metric, value: what it is; nan where it is not defined.
    """

    density: str
    variant: str
    seed: int
    fold: str
    held_out: str
    case: str
    unit: str
    level: int
    node: str
    score: str
    rule: str
    metric: str
    value: float


def write_rows(path: Path, rows: Sequence[Any], columns: Sequence[str] | None = None) -> Path:
    """Write dataclass objects or mappings as CSV; numbers with six digits, undefined ones empty."""
    table = [row if isinstance(row, dict) else asdict(row) for row in rows]
    names = list(columns) if columns is not None else list(table[0]) if table else []
    with write_beside(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        spreadsheets.write_rows(
            stream, names, ({name: spreadsheets.rounded(row[name]) for name in names} for row in table)
        )
    return path


def write_results(path: Path, rows: Iterable[Result]) -> Path:
    """Write the long table."""
    return write_rows(path, list(rows), RESULT_COLUMNS)


def read_results(path: Path) -> list[Result]:
    """Read what :func:`write_results` wrote."""
    with path.open(newline="", encoding="utf-8") as stream:
        return [Result(**_typed(row)) for row in spreadsheets.read_rows(stream)]


def _typed(row: dict[str, str]) -> dict[str, Any]:
    value = float(row["value"]) if row["value"] else math.nan
    return {**row, "seed": int(row["seed"]), "level": int(row["level"]), "value": value}


RESULT_COLUMNS = tuple(field.name for field in fields(Result))
