"""What a comparison found: the engine's tables, read back."""

import json
import math
import os

from softseg.errors import InputError
from softseg.spreadsheets import read_rows

TABLES = ("metrics.csv", "levels.csv", "summary.json")
"""Files of the engine."""

TEXTS = ("case", "node", "name", "status", "leaf")


class ComparisonTables:
    """Rows of ``metrics.csv`` and ``levels.csv``.

    Parameters
    ----------
    folder: what ``softseg evaluate`` wrote.

    Attributes
    ----------
    levels: one dictionary per level, the coarsest first.
    toldLevel: number of the finest level at which the reference names nearly all that it names.
    judgesModel: whether rows hold the scores of the model's own answer too.

    Raises
    ------
    InputError: there are no tables.
    """

    judgesModel = False

    def __init__(self, folder):
        self.folder = str(folder)
        self.levels = _rows(os.path.join(self.folder, "levels.csv"))
        self._nodes = _rows(os.path.join(self.folder, "metrics.csv"))
        self.toldLevel = _toldLevel(os.path.join(self.folder, "summary.json"))

    def nodes(self, level):
        """Return the structures of a level, the lowest Dice first; those in neither side are left out.

        Keys are the columns of metrics.csv (docs/evaluation.md); what was not measured is nan.
        """
        rows = [row for row in self._nodes if row["level"] == level and self._isThere(row)]
        return sorted(rows, key=lambda row: row["dice"] if math.isfinite(row["dice"]) else math.inf)

    def _isThere(self, row):
        return row["status"] != "absent"

    @property
    def deepest(self):
        """Number of the last level."""
        return int(self.levels[-1]["level"])

    @property
    def report(self):
        """Path of the report; empty while it is not written."""
        path = os.path.join(self.folder, "report.html")
        return path if os.path.isfile(path) else ""


def tablesAreThere(folder):
    """Whether the tables can be read already; the report comes later."""
    return all(os.path.isfile(os.path.join(str(folder), name)) for name in TABLES)


def place(row, kind):
    """Return a point of a row, ``(r, a, s)`` in mm: kind ``"center"`` or ``"error"``; None where there is none."""
    point = tuple(row[f"{kind}_{axis}"] for axis in "ras")
    return point if all(math.isfinite(number) for number in point) else None


def _toldLevel(path):
    try:
        with open(path, encoding="utf-8") as stream:
            return int(json.load(stream)["told_level"])
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(path) from error


def _unreadable(path):
    return InputError("the tables of the comparison cannot be read", file=path, hint="compare again")


def _rows(path):
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            rows = [{key: _value(key, text) for key, text in row.items()} for row in read_rows(stream)]
    except (OSError, ValueError) as error:
        raise _unreadable(path) from error
    if not rows:
        raise InputError("nothing could be compared: no voxel of the reference has a label", file=path)
    return rows


def _value(key, text):
    if key in TEXTS:
        return text
    return float(text) if text else math.nan
