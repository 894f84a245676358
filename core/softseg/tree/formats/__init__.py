"""Reading and writing label trees: which format a file has, and who reads it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from softseg.errors import InputError
from softseg.files import write_beside
from softseg.texts import as_text
from softseg.tree.cut import Cut
from softseg.tree.formats import bids, csv_levels, indented, lut, own_json, slicer, table
from softseg.tree.formats.source import read_text
from softseg.tree.labeltree import LabelTree
from softseg.tree.node import NodeError


class Format(NamedTuple):
    """One file format.

    Attributes
    ----------
    suffixes: endings of its files, lower case; writing chooses the first format whose ending fits.
    read: from the text, the file (for errors) and a default name of the tree to a tree.
    write: from a tree to the text.
    """

    suffixes: tuple[str, ...]
    read: Callable[[str, Path, str], LabelTree]
    write: Callable[[LabelTree], str]


_FORMATS = {
    "json": Format((".json",), own_json.read, own_json.write),
    "freesurfer": Format(("lut.txt", ".lut"), table.read, lut.write_freesurfer),
    "text": Format((".txt",), indented.read, indented.write),
    "csv": Format((".csv",), csv_levels.read, csv_levels.write),
    "slicer-csv": Format(("_colors.csv", ".ctbl.csv"), table.read, slicer.write_csv),
    "ctbl": Format((".ctbl",), table.read_ctbl, lut.write_ctbl),
    "itk-snap": Format((".label", ".lbl"), table.read, lut.write_itk_snap),
    "dseg": Format((".tsv",), table.read, bids.write),
}
FORMATS = tuple(_FORMATS)
"""Names of the formats that are read and written."""


def load(path: str | os.PathLike[str], format_: str | None = None) -> LabelTree:
    """Read a tree; see :meth:`LabelTree.load`."""
    file = Path(path)
    _check_name(format_)
    text = read_text(file)
    read = _FORMATS[format_ or detect(file, text)].read
    return read(text, file, as_text(file.name.split(".")[0]))


def save(tree: LabelTree, path: str | os.PathLike[str], format_: str | None = None) -> Path:
    """Write a tree; see :meth:`LabelTree.save`."""
    file = Path(path)
    _check_name(format_)
    text = _FORMATS[format_ or _by_ending(file)].write(tree)
    with write_beside(file) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return file


def detect(file: Path, text: str) -> str:
    """Return the format of a file: by its ending, and by its columns where several formats have one ending.

    Text is indented text only if it looks like it; what is neither that nor a table is refused.

    Raises
    ------
    InputError: the ending belongs to no format, or the text looks like none.
    """
    name = _by_ending(file)
    if name == "json":
        return name
    if csv_levels.is_levels_table(text):
        return "csv"
    if table.is_slicer_table(text) or name == "ctbl":
        return "ctbl"
    if name == "text" and indented.looks_indented(text):
        return "text"
    if table.looks_like_table(text, file):
        return "freesurfer" if name in ("text", "csv") else name
    looked = f"{csv_levels.SOUGHT}, or {table.SOUGHT}" + (f", or {indented.SOUGHT}" if name == "text" else "")
    line = next(number for number, row in enumerate(text.split("\n"), start=1) if row.strip())
    raise InputError(f"expected {looked}", file=file, field=f"line {line}")


def _check_name(format_: str | None) -> None:
    if format_ is not None and format_ not in _FORMATS:
        raise InputError(f"unknown label tree format '{format_}'", hint=f"expected one of {', '.join(FORMATS)}")


def _by_ending(file: Path) -> str:
    found = [name for name, one in _FORMATS.items() if file.name.lower().endswith(one.suffixes)]
    if not found:
        endings = sorted({suffix for one in _FORMATS.values() for suffix in one.suffixes if suffix.count(".") == 1})
        raise InputError(
            "unrecognised file extension for a label tree",
            file=file,
            hint=f"name the format ({', '.join(FORMATS)}) or use one of {', '.join(endings)}",
        )
    return max(found, key=lambda name: max(len(s) for s in _FORMATS[name].suffixes if file.name.lower().endswith(s)))


def read_cut(tree: LabelTree, file: Path) -> Cut:
    """Return the cut whose nodes a text file lists, one id or name a line; ``#`` begins a comment line.

    Raises
    ------
    InputError: the file cannot be read, a node is unknown, or the nodes are no cut; file and line are named.
    """
    nodes = []
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                nodes.append(tree.find(line.strip()))
            except NodeError as error:
                raise error.at(file, number) from error
    try:
        return Cut(tree, tuple(nodes))
    except NodeError as error:
        raise error.at(file, None) from error
