"""Reading and writing label trees: which format a file has, and who reads it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from softseg.errors import InputError
from softseg.files import write_beside
from softseg.tree.formats import csv_levels, own_json
from softseg.tree.formats.source import read_text
from softseg.tree.labeltree import LabelTree


class Format(NamedTuple):
    """One file format.

    Attributes
    ----------
    suffixes: endings of its files.
    read: from the text, the file's name (for errors) and a default tree name to a tree.
    write: from a tree to the text.
    """

    suffixes: tuple[str, ...]
    read: Callable[[str, Path, str], LabelTree]
    write: Callable[[LabelTree], str]


_FORMATS = {
    "json": Format((".json",), own_json.read, own_json.write),
    "csv": Format((".csv",), csv_levels.read, csv_levels.write),
}
FORMATS = tuple(_FORMATS)
"""Names of the formats that are read and written."""


def load(path: str | os.PathLike[str], format_: str | None = None) -> LabelTree:
    """Read a tree; see :meth:`LabelTree.load`."""
    file = Path(path)
    text = read_text(file)
    return _FORMATS[_name(file, format_, text)].read(text, file, file.name.split(".")[0])


def save(tree: LabelTree, path: str | os.PathLike[str], format_: str | None = None) -> Path:
    """Write a tree; see :meth:`LabelTree.save`."""
    file = Path(path)
    text = _FORMATS[_name(file, format_, None)].write(tree)
    with write_beside(file) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return file


def read_cut(tree: LabelTree, file: Path) -> object:
    raise InputError("x")


def _name(file: Path, format_: str | None, text: str | None) -> str:
    if format_ is not None:
        if format_ not in _FORMATS:
            raise InputError(f"unknown format '{format_}'", hint=f"expected one of {', '.join(FORMATS)}")
        return format_
    for name, one in _FORMATS.items():
        if file.name.lower().endswith(one.suffixes):
            return name
    raise InputError("unknown ending", file=file)
